"""Model calls of processes that a test forks count with the test: in totals, budgets, sections and the run's data."""

import json
import os

import pytest
from counting_server import serving
from plugin.printed import section, totals
from plugin.test_every_test import ASKING

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")

CHILDREN = """
    import multiprocessing
    import os
    import signal
    import threading
    from concurrent.futures import ProcessPoolExecutor

    import pytest
    from asking import by_httpx, by_openai_async, by_openai_stream

    FORK = multiprocessing.get_context("fork")

    def in_child(target, *arguments):
        process = FORK.Process(target=target, args=arguments)
        process.start()
        process.join()
        return process.exitcode

"""


@pytest.fixture
def project(pytester, forked, monkeypatch):
    """Runs tests that ask a counting server."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    pytester.makeini("[pytest]\nfilterwarnings = ignore\n")
    pytester.makepyfile(asking=ASKING)
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)

        def run(source, *arguments):
            pytester.makepyfile(test_it=CHILDREN + source)
            result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llm-usage-json=run.json", *arguments)
            file = pytester.path / "run.json"
            return result, json.loads(file.read_text()) if file.exists() else {}, len(server.asked)

        yield run


def tokens_of(run):
    """Input and output of each call, by test."""
    return {
        nodeid.partition("::")[2]: [
            (call["usage"]["input_tokens"], call["usage"]["output_tokens"]) for call in test["calls"]
        ]
        for nodeid, test in run["tests"].items()
    }


WAYS = """
    def test_os_fork():
        by_httpx("of the parent [8 4]")
        child = os.fork()
        if child == 0:
            by_openai_async("of a child [100 50]")
            os._exit(0)
        os.waitpid(child, 0)

    def test_process():
        assert in_child(by_openai_stream, "of a child [100 50]") == 0

    def test_executor():
        with ProcessPoolExecutor(2, mp_context=FORK) as pool:
            list(pool.map(by_httpx, ["one [1 2]", "two [1 2]", "three [1 2]"]))

    def test_pool():
        with FORK.Pool(2) as pool:
            pool.map(by_httpx, ["one [1 2]", "two [1 2]", "three [1 2]"])

    def test_grandchild():
        def parent():
            by_httpx("of a child [3 4]")
            in_child(by_httpx, "of a grandchild [5 6]")
            by_httpx("of a child again [7 8]")
        assert in_child(parent) == 0

    def test_from_threads():
        threads = [threading.Thread(target=in_child, args=(by_httpx, "of a thread's child [1 2]")) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_without_calls():
        assert in_child(os.getpid) == 0
"""


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--session-max-tokens=1M",)], ids=["alone", "xdist", "session"])
def test_calls_of_forked_processes_count(project, options):
    result, run, asked = project(WAYS, *options)

    result.assert_outcomes(passed=7)
    assert tokens_of(run) == {
        "test_os_fork": [(8, 4), (100, 50)],
        "test_process": [(100, 50)],
        "test_executor": [(1, 2)] * 3,
        "test_pool": [(1, 2)] * 3,
        "test_grandchild": [(3, 4), (5, 6), (7, 8)],
        "test_from_threads": [(1, 2)] * 3,
    }
    assert asked == 15
    assert totals(result)["total"][:2] == ("15", "232")
    assert "not seen" not in "\n".join(section(result))


def test_threads_that_fork_at_once_lose_no_call(project, pytester):
    """Where making ready takes its time: none of them waits for its turn by luck."""
    pytester.makeconftest("""
    import tempfile, time
    original = tempfile.mkdtemp

    def slowly(*arguments, **options):
        time.sleep(0.2)
        return original(*arguments, **options)

    tempfile.mkdtemp = slowly
    """)
    result, run, asked = project("""
    import threading

    def test_it():
        threads = [threading.Thread(target=in_child, args=(by_httpx, "of a thread's child [1 2]")) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)

    result.assert_outcomes(passed=1)
    assert (tokens_of(run), asked) == ({"test_it": [(1, 2)] * 5}, 5)


def test_the_test_reads_what_its_children_spent(project):
    result, _, _ = project(
        """
    def test_it(llm_usage):
        with llm_usage.section("outer") as outer:
            by_httpx("one [8 4]")
            with llm_usage.section("inner") as inner:
                in_child(by_httpx, "of a child [100 50]")
        in_child(by_httpx, "behind [1 1]")
        assert llm_usage.total_tokens == 164
        assert (outer.total_tokens, inner.total_tokens) == (162, 150)
        assert llm_usage.cost > 0
        assert [call.index for call in llm_usage.calls] == [0, 1, 2]
        assert llm_usage.calls[1].where.startswith("asking.py:")
    """,
        "--llm-usage-record=live",
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "sent"),
    [(("--max-llm-calls=2",), 2), (("--max-tokens=20",), 3), (("--session-max-tokens=20",), 3)],
    ids=["calls", "tokens", "session"],
)
def test_a_spent_budget_stops_the_next_call_of_a_child(project, options, sent):
    result, run, asked = project(
        """
    def test_it():
        by_httpx("of the parent [8 1]")
        for _ in range(4):
            in_child(by_httpx, "of a child [8 1]")
    """,
        *options,
    )

    result.assert_outcomes(failed=1)
    assert asked == sent
    assert len(tokens_of(run)["test_it"]) == sent
    result.stdout.fnmatch_lines(["*budget exceeded*"])


@pytest.mark.parametrize("ask", ["model.invoke('bird?')", "asyncio.run(model.ainvoke('bird?'))"], ids=["sync", "async"])
def test_langchain_in_a_child_is_stopped_by_an_error_that_a_pool_hands_on(project, ask):
    result, run, _ = project(
        f"""
    import asyncio
    from fakes import FakeChatModel
    from pytest_llm_usage.errors import StoppedInChildError

    model = FakeChatModel(usage=(8, 1))

    def child(_):
        {ask}
        return len(model.requests)

    def sent():
        return len(model.requests)

    def test_it():
        with FORK.Pool(1) as pool:
            assert [pool.apply(child, (0,)) for _ in range(2)] == [1, 2]
            with pytest.raises(StoppedInChildError, match="--max-llm-calls"):
                pool.apply(child, (0,))
            assert pool.apply(sent) == 2
        print("stopped as told")
    """,
        "--max-llm-calls=2",
    )

    result.assert_outcomes(failed=1)
    assert tokens_of(run) == {"test_it": [(8, 1), (8, 1)]}
    result.stdout.fnmatch_lines(["*budget exceeded*"])
    result.stdout.fnmatch_lines(["stopped as told"])
    assert "internal error" not in result.stdout.str()


def test_siblings_count_for_each_other_and_for_their_parent(project):
    result, _, asked = project(
        """
    def test_it():
        def child(wait, done):
            wait.wait()
            try:
                by_httpx("of a child [8 1]")
            finally:
                done.set()
        events = [FORK.Event() for _ in range(6)]
        children = [FORK.Process(target=child, args=events[2 * n:2 * n + 2]) for n in range(3)]
        for process in children:
            process.start()
        # All are there before the first one asks.
        for wait, done in zip(events[::2], events[1::2]):
            wait.set()
            done.wait()
        for process in children:
            process.join()
        by_httpx("of the parent [8 1]")
    """,
        "--max-llm-calls=2",
    )

    result.assert_outcomes(failed=1)
    assert asked == 2


def test_a_pool_whose_budget_is_spent_ends(project):
    result, _, asked = project(
        """
    def test_it():
        with FORK.Pool(1) as pool:
            pool.map(by_httpx, ["of a child [8 1]"] * 4)
    """,
        "--max-llm-calls=2",
    )

    result.assert_outcomes(failed=1)
    assert asked == 2


def test_a_child_that_swallows_the_error_fails_the_test_all_the_same(project):
    result, _, asked = project(
        """
    def test_it():
        def child():
            for _ in range(5):
                try:
                    by_httpx("of a child [8 1]")
                except Exception:
                    pass
        assert in_child(child) == 0
    """,
        "--max-llm-calls=2",
    )

    result.assert_outcomes(failed=1)
    assert asked == 2


def test_a_killed_child_leaves_what_it_finished(project):
    result, run, asked = project("""
    def test_it():
        def child():
            by_httpx("one [8 1]")
            by_httpx("two [9 1]")
            os.kill(os.getpid(), signal.SIGKILL)
        assert in_child(child) == -signal.SIGKILL
    """)

    result.assert_outcomes(passed=1)
    assert (tokens_of(run), asked) == ({"test_it": [(8, 1), (9, 1)]}, 2)


HALF = """
    def test_it(monkeypatch):
        def child():
            by_httpx("one [8 1]")
            write = os.write
            def write_half(file, data):
                write(file, data[:len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            os.write = write_half
            by_httpx("two [9 1]")
        in_child(child)
"""


def test_half_a_line_is_dropped_and_named(project):
    result, run, asked = project(HALF)

    result.assert_outcomes(passed=1)
    assert (tokens_of(run), asked) == ({"test_it": [(8, 1)]}, 2)
    text = " ".join(" ".join(section(result)).split())
    assert "not seen: a model call of a forked process that ended while writing it, in test_it.py::test_it" in text


def test_a_full_disk_in_a_child_is_named(project):
    result, run, _ = project("""
    def test_it():
        def child():
            def write(file, data):
                raise OSError(28, "No space left on device")
            os.write = write
            by_httpx("one [8 1]")
        assert in_child(child) == 0
    """)

    result.assert_outcomes(passed=1)
    assert not run["tests"]
    text = " ".join(" ".join(section(result)).split())
    assert "not seen: model calls that a forked process could not write, in test_it.py::test_it" in text


def test_a_child_that_outlives_its_test_counts_for_the_run(project):
    result, run, _ = project("""
    children = []

    def test_forks():
        start, asked = FORK.Event(), FORK.Event()
        def child():
            start.wait()
            by_httpx("late [8 1]")
            asked.set()
        process = FORK.Process(target=child)
        process.start()
        children.append((process, start, asked))

    def test_next():
        process, start, asked = children.pop()
        start.set()
        asked.wait()
        process.join()
    """)

    result.assert_outcomes(passed=2)
    assert not run["tests"]
    assert [call["usage"]["total_tokens"] for call in run["shared"]["calls"]] == [9]


def test_a_pool_of_a_wider_fixture_counts_for_the_run(project):
    result, run, asked = project("""
    @pytest.fixture(scope="module")
    def pool():
        with FORK.Pool(1) as pool:
            yield pool

    def test_it(pool):
        pool.map(by_httpx, ["one [1 2]", "two [1 2]"])
    """)

    result.assert_outcomes(passed=1)
    assert asked == 2
    assert [call["usage"]["total_tokens"] for call in run["shared"]["calls"]] == [3, 3]


def test_what_children_note_is_gone_behind_the_run(project, pytester, monkeypatch):
    folder = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    result, _, _ = project("""
    def test_it():
        in_child(by_httpx, "one [8 1]")
        (folder,) = __import__("pathlib").Path(os.environ["TMPDIR"]).glob("llm-usage-forks-*")
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))
    """)

    result.assert_outcomes(passed=1)
    assert not list(folder.glob("llm-usage-*"))


WITH_CASSETTE = """
    def ask():
        by_httpx("one [8 1]")

    @pytest.mark.parametrize("number", [1])
    def test_it(llm_usage, number):
        if os.environ["WHO"] == "parent":
            ask()
        else:
            in_child(ask)
            in_child(ask)
"""


def test_children_replay_a_cassette_and_record_none(project, pytester, monkeypatch):
    monkeypatch.setenv("WHO", "child")
    result, run, asked = project(WITH_CASSETTE, "--llm-usage-record=once")

    result.assert_outcomes(failed=1)
    assert not asked and not (pytester.path / "cassettes").exists()
    result.stdout.fnmatch_lines(
        [
            "Request of a forked process: not sent, and not recorded in cassettes/test_it/test_it[[]1].yaml, which its parent saves",
            "POST http://127.0.0.1:*/v1/chat/completions",
            "Record it with one process or with threads; processes replay it. Without a cassette:  --llm-usage-record=live",
        ]
    )

    monkeypatch.setenv("WHO", "parent")
    project(WITH_CASSETTE, "--llm-usage-record=once")[0].assert_outcomes(passed=1)
    monkeypatch.setenv("WHO", "child")
    result, run, asked = project(WITH_CASSETTE)

    result.assert_outcomes(passed=1)
    assert asked == 1
    (test,) = run["tests"].values()
    assert [call["usage"]["total_tokens"] for call in test["calls"]] == [9, 9]
    assert list(test["cassettes"]) == ["cassettes/test_it/test_it[1].yaml"]


def test_a_recording_that_a_child_misses_fails_the_test(project, monkeypatch):
    monkeypatch.setenv("WHO", "child")
    result, _, asked = project(WITH_CASSETTE)

    result.assert_outcomes(failed=1)
    assert not asked
    result.stdout.fnmatch_lines(["No recording:*"])
