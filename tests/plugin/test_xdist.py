"""Several workers: what each of them spent is added up, whatever becomes of it."""

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


def test_a_session_budget_is_summed_over_workers_and_ends_the_run(pytester):
    pytester.makepyfile("""
        import time

        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("number", range(60))
        def test_it(number):
            FakeChatModel().invoke("one")
            time.sleep(0.05)
    """)

    result = pytester.runpytest("-n", "2", "--session-max-tokens=150")

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    assert 11 <= result.parseoutcomes()["passed"] < 60
    assert re.search(r"LLM budget exceeded: [\d,]+ tokens, limit 150 \(--session-max-tokens\)", result.stdout.str())


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
