"""A mistake of ours while the settings are read: no run that was to be limited is green without its limits."""

import pytest

BREAKER = """
    import pytest_llm_usage.plugin

    class Broken:
        @classmethod
        def from_config(cls, config):
            raise RuntimeError("broken on purpose")

    pytest_llm_usage.plugin.Settings = Broken
"""


@pytest.fixture
def run(pytester, forked):
    pytester.makepyfile(breaker=BREAKER)

    def run(*arguments):
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "breaker", *arguments)

    return run


@pytest.fixture
def passing(pytester):
    pytester.makepyfile("def test_passes(): pass")


def assert_does_not_start(result):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: pytest-llm-usage: internal error while the settings are read: RuntimeError: broken on purpose",
            "No budget, gate or report would work in this run, so it does not start.",
            "To run the tests without the plugin:  pytest -p no:llm_usage",
            "Please report it with these lines:",
            "Traceback *",
        ]
    )


@pytest.mark.parametrize(
    "option",
    ["--max-tokens=5", "--session-max-cost=1", "--llm-usage-json=run.json", "-ollm_usage_max_calls=2"],
)
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_a_run_that_asked_for_something_does_not_start(run, passing, option, workers):
    assert_does_not_start(run(option, *workers))


def test_a_variable_asks_for_something_too(run, passing, monkeypatch):
    monkeypatch.setenv("PYTEST_LLM_USAGE_MAX_TOKENS", "5")

    assert_does_not_start(run())


def test_a_run_that_asked_for_nothing_stands(run, passing):
    result = run()

    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*internal error in pytest_configure: RuntimeError: broken on purpose"])


def test_a_test_with_a_limit_or_the_fixture_fails(run, pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_budget(max_tokens=5)
        def test_limited(): pass

        def test_with_fixture(llm_usage): pass

        def test_other(): pass
    """)

    result = run()

    result.assert_outcomes(passed=1, errors=2)
    assert "KeyError" not in "".join(line for line in result.outlines if line.startswith(("E ", "ERROR")))
    result.stdout.fnmatch_lines(
        ["pytest-llm-usage could not be set up, so this test cannot be checked: see the end of the run"] * 2
    )
