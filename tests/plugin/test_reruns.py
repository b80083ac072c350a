"""Tests that pytest-rerunfailures runs again: the run paid for every attempt, the test is judged by its last."""

import pytest
from printed import section, totals

FLAKY = """
    from fakes import FakeChatModel

    attempts = []

    def test_flaky(llm_usage):
        attempts.append(1)
        FakeChatModel(usage=(100 * len(attempts), 0)).invoke("one")
        assert len(llm_usage.calls) == 1
        assert llm_usage.total_tokens == 100 * len(attempts)
        assert len(attempts) == 3
"""


def test_all_attempts_count_for_the_run_and_the_last_for_the_test(pytester, plugin_args):
    pytester.makepyfile(test_it=FLAKY)

    result = pytester.runpytest(*plugin_args, "--reruns=2", "--llm-usage-report=tests")

    assert result.parseoutcomes()["rerun"] == 2
    result.assert_outcomes(passed=1)
    assert totals(result)["total"][:2] == ("3", "600")
    (row,) = (line.split() for line in section(result) if line.startswith("test_it.py::test_flaky"))
    assert row[1:3] == ["1", "300"]


def test_every_attempt_has_a_whole_budget(pytester):
    pytester.makepyfile(test_it=FLAKY)

    pytester.runpytest("--reruns=2", "--max-tokens=300", "--max-llm-calls=1").assert_outcomes(passed=1)


def test_a_test_over_its_budget_is_run_again(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        attempts = []

        def test_it():
            attempts.append(1)
            FakeChatModel(usage=(100 if len(attempts) > 1 else 1_000, 0)).invoke("one")
    """)

    result = pytester.runpytest("--reruns=1", "--max-tokens=500")

    result.assert_outcomes(passed=1)
    assert result.parseoutcomes()["rerun"] == 1
    assert totals(result)["total"][1] == "1,100"


def test_a_session_budget_pays_for_every_attempt(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=(100, 0)).invoke("one")
            assert False
    """)

    result = pytester.runpytest("--reruns=3", "--session-max-tokens=350")

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 400 tokens, limit 350 (--session-max-tokens)*"])


def test_shared_fixtures_are_paid_for_once(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        attempts = []

        @pytest.fixture(scope="session")
        def shared():
            FakeChatModel(usage=(7, 0)).invoke("set-up")

        def test_it(shared, llm_usage):
            attempts.append(1)
            assert llm_usage.calls == ()
            assert len(attempts) > 1
    """)

    result = pytester.runpytest("--reruns=2")

    result.assert_outcomes(passed=1)
    assert totals(result)["total"][:2] == ("1", "7")
