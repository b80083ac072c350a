"""Tests that share a cassette, or nearly do: nothing of the one is lost to, or lands with, the other."""

import json

import pytest
from counting_server import serving

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response

APP = """
    import os

    import httpx

    def ask(text):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text + " [3 2]"}]}
        return httpx.post(os.environ["APP_URL"] + "/v1/chat/completions", json=body).json()
"""


@pytest.fixture
def project(pytester, monkeypatch):
    pytester.makepyfile(app=APP)
    with serving() as provider:
        monkeypatch.setenv("APP_URL", provider.url)
        pytester.provider = provider
        yield pytester


def asked(project, path):
    found = storage.load(project.path / "cassettes" / path)
    return [json.loads(one.request.body)["messages"][0]["content"].removesuffix(" [3 2]") for one in found]


def names(project, folder="test_it"):
    return sorted(path.name for path in (project.path / "cassettes" / folder).iterdir())


TWELVE = """
    import pytest
    from app import ask

    @pytest.mark.llm_cassette("shared")
    @pytest.mark.parametrize("number", range(12))
    def test(number, llm_usage):
        ask(f"first {number}")
        ask(f"second {number}")
"""


@pytest.mark.parametrize(
    ("mode", "args"),
    [("once", ()), ("new_episodes", ("-n", "2")), ("all", ("-n", "2")), ("rewrite", ()), ("rewrite", ("-n", "4"))],
)
def test_twelve_tests_record_into_one_cassette(project, mode, args):
    project.makepyfile(test_it=TWELVE)
    expected = sorted(f"{which} {number}" for number in range(12) for which in ("first", "second"))
    for _ in range(2):
        project.runpytest(f"--llm-usage-record={mode}", *args).assert_outcomes(passed=12)
        assert sorted(asked(project, "test_it/shared.yaml")) == expected
    paid = len(project.provider.asked)
    project.runpytest(*args).assert_outcomes(passed=12)
    assert len(project.provider.asked) == paid
    assert paid == (24 if mode in ("once", "new_episodes") else 48)


def test_the_file_does_not_depend_on_which_test_was_done_first(project):
    project.makepyfile(test_it=TWELVE)
    files = []
    for args in ((), ("-n", "3")):
        project.runpytest("--llm-usage-record=rewrite", *args).assert_outcomes(passed=12)
        files.append(asked(project, "test_it/shared.yaml"))
    assert files[0] == files[1]


def test_a_fixture_in_every_worker_records_once(project):
    project.makeconftest(
        """
        import pytest
        from app import ask

        @pytest.fixture(scope="session")
        def corpus(llm_cassette):
            with llm_cassette("corpus", record="rewrite"):
                ask("embed")
        """
    )
    project.makepyfile(
        test_it="import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test(n, corpus, llm_usage): pass"
    )
    project.runpytest("-n", "3").assert_outcomes(passed=8)
    assert asked(project, "conftest/corpus.yaml") == ["embed"]


COLLIDING = """
    import pytest
    from app import ask

    @pytest.mark.parametrize("name", ["a/b", "a-b", "a:b", "plain", "other/plain"], ids=str)
    def test(name, llm_usage):
        ask(name)
"""


def test_names_that_files_cannot_tell_apart(project, plugin_args):
    project.makepyfile(test_it=COLLIDING)
    project.runpytest("--llm-usage-record=once", *plugin_args).assert_outcomes(passed=5)
    found = names(project)
    assert found[0].startswith("test[a-b]-")
    assert found[1].startswith("test[a-b]-")
    assert found[2:] == ["test[a-b].yaml", "test[other-plain].yaml", "test[plain].yaml"]
    assert asked(project, "test_it/test[a-b].yaml") == ["a-b"]
    project.runpytest(*plugin_args).assert_outcomes(passed=5)
    # Alone, a test finds the same file: the others are known though they do not run.
    project.runpytest("test_it.py::test[a/b]", "--llm-usage-record=rewrite").assert_outcomes(passed=1)
    project.runpytest("-k", "other").assert_outcomes(passed=1, deselected=4)
    assert names(project) == found


def test_a_cassette_of_pytest_recording_for_all_of_them_replays(project):
    project.makepyfile(test_it=COLLIDING)
    url = project.provider.url + "/v1/chat/completions"
    answer = json.dumps({"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
    recorded = [
        Interaction(
            Request("POST", url, {}, json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{name} [3 2]"}]}).encode()),
            Response(200, "OK", {"content-type": ["application/json"]}, answer),
        )
        for name in ("a/b", "a-b", "a:b")
    ]  # fmt: skip
    path = project.path / "cassettes" / "test_it" / "test[a-b].yaml"
    storage.save(path, recorded)
    before = path.read_bytes()
    project.runpytest("-k", "a and b").assert_outcomes(passed=3, deselected=2)
    assert not project.provider.asked
    project.runpytest("test_it.py::test[a/b]", "--llm-usage-record=rewrite").assert_outcomes(passed=1)
    assert path.read_bytes() == before, "it is the others' as well"
    assert len(names(project)) == 2
    project.runpytest("-k", "a and b").assert_outcomes(passed=3, deselected=2)


CLASSES = """
    from app import ask

    class TestCreate:
        class TestInvalid:
            def test_fails(self, llm_usage):
                ask("create")

    class TestUpdate:
        class TestInvalid:
            def test_fails(self, llm_usage):
                ask("update")

            def test_alone(self, llm_usage):
                ask("alone")

    class TestDelete:
        def test_fails(self, llm_usage):
            ask("delete")
"""


def test_classes_of_one_name_within_others(project, plugin_args):
    # Pytest-recording calls both cassettes TestInvalid.test_fails.
    project.makepyfile(test_it=CLASSES)
    project.runpytest("--llm-usage-record=once", *plugin_args).assert_outcomes(passed=4)
    plain = {"TestDelete.test_fails.yaml", "TestInvalid.test_alone.yaml"}
    apart = sorted({*names(project)} - plain)
    assert len(names(project)) == 4
    assert [asked(project, f"test_it/{name}") for name in apart] in ([["create"], ["update"]], [["update"], ["create"]])

    project.makepyfile(test_it=CLASSES.replace('"update"', '"another"'))
    project.runpytest("--llm-usage-record=rewrite", "-k", "TestUpdate").assert_outcomes(passed=2, deselected=2)

    project.runpytest("--llm-usage-orphans=fail", *plugin_args).assert_outcomes(passed=4)


def test_stale_keeps_what_another_test_of_the_same_file_recorded(project):
    # Recorded for both, by pytest-recording or an earlier version of this plugin.
    project.makepyfile(test_it=CLASSES)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=4)
    folder = project.path / "cassettes/test_it"
    apart = sorted(folder.glob("TestInvalid.test_fails-*"))
    storage.save(folder / "TestInvalid.test_fails.yaml", [one for path in apart for one in storage.load(path)])
    for path in apart:
        path.unlink()

    project.makepyfile(test_it=CLASSES.replace('"update"', '"another"'))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=4)

    assert "create" in asked(project, "test_it/TestInvalid.test_fails.yaml")
    project.runpytest().assert_outcomes(passed=4)


def test_the_command_of_a_shared_cassette_keeps_what_other_tests_recorded(project):
    suite = """
        import pytest
        from app import ask

        @pytest.mark.llm_cassette("shared")
        def test_one(llm_usage):
            ask("one")

        @pytest.mark.llm_cassette("shared")
        def test_two(llm_usage):
            ask("two")
    """
    project.makepyfile(test_it=suite)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=2)
    project.makepyfile(test_it=suite.replace('"two"', '"2"'))

    failed = project.runpytest()
    failed.stdout.fnmatch_lines(['Record again:  pytest "test_it.py::test_two" --llm-usage-record=stale'])
    project.runpytest("test_it.py::test_two", "--llm-usage-record=stale").assert_outcomes(passed=1)

    project.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize("length", [239, 242, 245, 400])
def test_a_name_that_leaves_no_room_for_the_end_of_a_compressed_file(project, length):
    # The own name, or what is left of it, with `.yaml` is a file's, and with `.yaml.gz` none's.
    project.makepyfile(
        test_it=f"""
            import pytest
            from app import ask

            @pytest.mark.parametrize("n", [1], ids=["x" * {length}])
            def test(n, llm_usage):
                ask("long")
        """
    )
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    assert len(names(project)) == 1

    project.runpytest("--llm-usage-json=run.json").assert_outcomes(passed=1)
    (test,) = json.loads((project.path / "run.json").read_text())["tests"].values()
    assert len(test["cassettes"]) == 1


def test_neither_of_two_such_names_is_an_orphan(project):
    project.makepyfile(test_it=COLLIDING)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=5)
    result = project.runpytest("--llm-usage-orphans=fail")
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*Orphaned*")


LATE = """
    import threading, time
    import pytest
    from app import ask

    go, done, problems = threading.Event(), threading.Event(), []

    def late():
        go.wait(10)
        try:
            ask("late")
        except Exception as error:
            problems.append(str(error))
        done.set()

    def test_one(llm_usage):
        ask("one")
        threading.Thread(target=late).start()

    def test_two(llm_usage):
        ask("two")
        go.set()
        done.wait(10)

    def test_three():
        print(problems[0])
"""


@pytest.mark.parametrize("mode", ["none", "rewrite", "new_episodes"])
def test_a_late_request_of_a_thread_is_not_the_next_test_s(project, mode):
    project.makepyfile(test_it=LATE)
    if mode == "none":
        project.runpytest("--llm-usage-record=rewrite").assert_outcomes(passed=3)
        project.provider.asked.clear()
    result = project.runpytest(f"--llm-usage-record={mode}", "-rP")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "Late request: not sent, and not recorded in cassettes/test_it/test_two.yaml, which belongs to another test",
            "POST http://*/v1/chat/completions",
            "An earlier test started the thread or task that made it",
            "Wait for it at the end of that test, or start it in a fixture of wider scope",
        ]
    )
    assert asked(project, "test_it/test_one.yaml") == ["one"]
    assert asked(project, "test_it/test_two.yaml") == ["two"]
    assert len(project.provider.asked) == (0 if mode == "none" else 2)


def test_threads_of_wider_scope_and_of_executors_work_for_the_test(project):
    project.makepyfile(
        test_it="""
        import queue, threading
        from concurrent.futures import ThreadPoolExecutor
        import pytest
        from app import ask

        @pytest.fixture(scope="session")
        def worker():
            inbox, outbox = queue.Queue(), queue.Queue()
            def work():
                while text := inbox.get():
                    outbox.put(ask(text))
            threading.Thread(target=work).start()
            def do(text):
                inbox.put(text)
                return outbox.get(timeout=10)
            yield do
            inbox.put(None)

        POOL = ThreadPoolExecutor(2)

        @pytest.mark.parametrize("number", range(3))
        def test(number, worker, llm_usage):
            worker(f"worker {number}")
            POOL.submit(ask, f"pool {number}").result()
        """
    )
    project.runpytest("--llm-usage-record=rewrite").assert_outcomes(passed=3)
    assert asked(project, "test_it/test[2].yaml") == ["worker 2", "pool 2"]
    project.runpytest().assert_outcomes(passed=3)


def test_a_late_request_of_a_task_is_not_the_next_test_s(project):
    project.makepyfile(
        test_it="""
        import asyncio
        import httpx, os, pytest

        async def ask(text):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text + " [3 2]"}]}
            async with httpx.AsyncClient() as client:
                await client.post(os.environ["APP_URL"] + "/v1/chat/completions", json=body)

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        state = {}

        async def late():
            await state["go"].wait()
            await ask("late")

        async def test_one(llm_usage):
            state["go"] = asyncio.Event()
            await ask("one")
            state["late"] = asyncio.create_task(late())

        async def test_two(llm_usage):
            await ask("two")
            state["go"].set()
            with pytest.raises(Exception, match="Late request"):
                await state["late"]
        """
    )
    project.runpytest("--llm-usage-record=rewrite").assert_outcomes(passed=2)
    assert asked(project, "test_it/test_two.yaml") == ["two"]
    project.runpytest().assert_outcomes(passed=2)
