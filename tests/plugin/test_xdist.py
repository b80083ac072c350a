"""Several workers: what each of them spent is added up, whatever becomes of it."""

import json
import re

import pytest
from printed import section, totals


def test_what_finished_survives_a_worker_that_died(pytester):
    pytester.makepyfile("""
        import os

        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("number", range(6))
        def test_it(number):
            FakeChatModel().invoke("one")
            if number == 3:
                os._exit(1)
    """)

    result = pytester.runpytest("-n", "1")

    result.assert_outcomes(passed=5, failed=1)
    assert totals(result)["total"][:2] == ("5", "50")
    # The call of the test that the worker died in is in no total.
    said = "not seen: model calls before the worker crashed in test_what_finished_survives_a_worker_that_died.py::test_it[3]"
    assert said in " ".join(map(str.strip, section(result)))


def test_a_worker_that_died_is_no_matter_of_a_suite_without_model_calls(pytester):
    pytester.makepyfile("""
        import os

        def test_it():
            os._exit(1)
    """)

    result = pytester.runpytest("-n", "1")

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*LLM usage*")


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_what_pytest_keeps_of_a_report_is_not_kept_twice(pytester, workers):
    pytester.makeconftest("""
        seen = []

        def pytest_runtest_logreport(report):
            seen.append(hasattr(report, "llm_usage"))

        def pytest_terminal_summary(terminalreporter):
            kept = [hasattr(report, "llm_usage") for reports in terminalreporter.stats.values() for report in reports]
            print(f"seen {sum(seen)}, kept {sum(kept)} of {len(kept)}")
    """)
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("number", range(5))
        def test_it(number):
            FakeChatModel().invoke("one")
    """)

    result = pytester.runpytest(*workers)

    # Every other plugin sees it; that of the last test alone stays.
    result.stdout.fnmatch_lines(["seen 5, kept 1 of *"])
    assert totals(result)["total"][:2] == ("5", "50")


# -- a budget of the whole run -----------------------------------------------------------------------------------

#: 200 tests of one call; every call that is answered leaves a byte in a file, whatever becomes of its process.
COUNTED = """
    import os
    import time

    import pytest
    from fakes import FakeChatModel

    def call(usage=(10, 5)):
        FakeChatModel(usage=usage).invoke("one")
        with open(os.environ["CALLS"], "ab", buffering=0) as calls:
            calls.write(b".")
            made = calls.tell()
        time.sleep(float(os.environ["CALL_S"]))
        return made

    @pytest.mark.parametrize("number", range(200))
    def test_it(number):
        call()
"""


@pytest.fixture
def counted(pytester, monkeypatch):
    """Runs a suite; gives the result and how many calls were made, as counted by those who made them."""

    def run(source, *args, call_s=0.0):
        calls = pytester.path / "calls"
        monkeypatch.setenv("CALLS", str(calls))
        monkeypatch.setenv("CALL_S", str(call_s))
        pytester.makepyfile(test_it=source)
        result = pytester.runpytest(*args)
        return result, calls.stat().st_size

    return run


@pytest.mark.parametrize(
    ("limit", "verdict", "call_s"),
    [
        ("--session-max-tokens=300", r"[\d,]+ tokens, limit 300 \(--session-max-tokens\)", 0),
        ("--session-max-tokens=300", r"[\d,]+ tokens, limit 300 \(--session-max-tokens\)", 0.03),
        ("--session-max-cost=0.00009", r"\$[\d.]+, limit \$0.00009 \(--session-max-cost\)", 0),
    ],
    ids=["tokens", "tokens, slow calls", "cost"],
)
def test_a_session_budget_holds_over_all_workers(counted, limit, verdict, call_s):
    """Twenty tests are within it; the one that exceeds it may find a call in progress in each of the other workers.

    A test that was about to call a model then fails before its call is sent.
    """
    result, calls = counted(COUNTED, "-n", "4", limit, call_s=call_s)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert 21 <= calls <= 20 + 4
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == calls
    stopped = result.stdout.str().count("The budget of the whole run is spent: this call was not sent.")
    assert outcomes.get("failed", 0) == stopped <= 4
    assert totals(result)["total"][:2] == (str(calls), str(10 * calls))
    assert re.search(rf"!! LLM budget exceeded: {verdict} !!", result.stdout.str())


@pytest.mark.parametrize("dist", ["loadfile", "worksteal", "each"])
def test_a_session_budget_ends_every_distribution(counted, dist):
    result, calls = counted(COUNTED, "-n", "2", f"--dist={dist}", "--session-max-tokens=300")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert 21 <= calls <= 20 + 2
    assert totals(result)["total"][0] == str(calls)


def test_a_session_budget_outlives_a_worker_that_died(counted):
    """What its finished tests spent still counts; its successor, and the others, go on with what is left."""
    source = COUNTED.replace("        call()\n", "        if call() == 8: os._exit(1)\n")

    result, calls = counted(source, "-n", "4", "--session-max-tokens=300", call_s=0.01)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reported = int(totals(result)["total"][0])
    assert reported == calls - 1, "the call of the test that its worker died in"
    assert 21 <= reported <= 20 + 4


def test_a_session_budget_pays_for_every_attempt_in_every_worker(counted):
    """Every attempt counts, and once twenty calls are spent each worker sends at most the one that it was about to send."""
    source = COUNTED.replace("        call()\n", "        call()\n        assert False\n")

    result, calls = counted(source, "-n", "4", "--reruns=2", "--session-max-tokens=300", "--llm-usage-report=tests")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert 21 <= calls <= 20 + 4
    assert totals(result)["total"][:2] == (str(calls), str(10 * calls))
    # The last attempt at each test: it called once, or its call was not sent. A test whose first call was not sent has no row.
    rows = {
        line.split()[0]: tuple(line.split()[1:3]) for line in section(result) if line.startswith("test_it.py::test_it[")
    }
    failures = dict(
        re.findall(
            r"^FAILED (test_it\S+) - (assert False|Failed: LLM budget exceeded)", result.stdout.str(), re.MULTILINE
        )
    )
    called = {name for name, failure in failures.items() if failure == "assert False"}
    assert {name for name, row in rows.items() if row == ("1", "10")} == called
    assert {name for name, row in rows.items() if row == ("0", "-")} == rows.keys() - called <= failures.keys()
    assert len(failures) == result.parseoutcomes()["failed"]


def test_what_fixtures_of_all_workers_spend_counts(counted):
    source = COUNTED.replace(
        "    @pytest.mark.parametrize",
        """    @pytest.fixture(scope="session", autouse=True)
    def shared():
        call(usage=(100, 0))

    @pytest.mark.parametrize""",
    )

    result, calls = counted(source, "-n", "2", "--session-max-tokens=350")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    # 200 by the fixtures, known with the first test that asked for them, and the eleventh test is over what they left.
    assert 2 + 11 <= calls < 2 + 200
    assert totals(result)["total"][0] == str(calls)


def test_a_session_budget_that_only_warns_runs_every_test(counted):
    result, calls = counted(COUNTED, "-n", "2", "--session-max-tokens=300", "--llm-usage-budgets=warn")

    assert result.ret == pytest.ExitCode.OK
    assert calls == 200
    result.stdout.fnmatch_lines(["LLM budget exceeded: 3,000 tokens, limit 300 (--session-max-tokens)"])


def test_numbers_are_equal_in_every_distribution(pytester):
    """Every worker runs every test with `--dist=each`; a test that ran twice was paid for twice."""
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="session")
        def shared():
            FakeChatModel(usage=(7, 0)).invoke("set-up")

        @pytest.mark.parametrize("number", range(3))
        def test_it(shared, llm_usage, number):
            FakeChatModel().invoke("one")
            assert llm_usage.total_tokens == 15
    """)

    result = pytester.runpytest("--tx=2*popen", "--dist=each")

    result.assert_outcomes(passed=6)
    assert totals(result)["total"][:2] == ("8", "74")
    assert any(line.startswith("shared fixtures: 2 calls") for line in section(result))


HALVES = """
    import json

    import httpx
    import pytest
    from counting_server import serving

    def ask(model="gpt-4o-mini", **said):
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        answer = {"object": "chat.completion", "model": model, "usage": usage, "choices": [], **said}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, text=json.dumps(answer)))
        with httpx.Client(transport=transport, trust_env=False) as client:
            client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": []})

    @pytest.fixture(scope="module")
    def shared():
        ask("\\ud800 of a fixture")

    def test_model(shared):
        ask("\\ud800")

    def test_id():
        ask(id="\\ud800")

    def test_tier():
        ask(service_tier="\\ud800")

    def test_section(llm_usage):
        with llm_usage.section("\\ud800"):
            ask()

    @pytest.mark.llm_cassette("\\udc80", record="once")
    def test_cassette(llm_usage):
        ask()

    def test_cassette_of_a_fixture(llm_cassette):
        with serving() as provider, llm_cassette("\\udc81", record="once"):
            messages = [{"role": "user", "content": "[7 5]"}]
            httpx.post(provider.url + "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
"""


def test_half_a_surrogate_pair_ends_no_run(pytester, plugin_args):
    """A provider's JSON may escape one, and xdist sends none: the run ended at the first test whose report had one."""
    pytester.makepyfile(HALVES)

    result = pytester.runpytest(*plugin_args, "--llm-usage-json=run.json", "--llm-usage-orphans=warn")

    assert result.parseoutcomes() == {"passed": 6}
    run = json.loads((pytester.path / "run.json").read_text())
    assert run["totals"]["total_tokens"] == 12 * 7
    assert {*run["totals"]["usage"]} == {
        *("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        *("\\ud800", "\\ud800 of a fixture"),
    }
    (sections,) = (
        call["sections"] for name, test in run["tests"].items() if "section" in name for call in test["calls"]
    )
    assert sections == ["\\ud800"]
