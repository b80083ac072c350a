"""Guards that guard nothing say so."""

import pytest

CALLS = """
    import pytest
    from fakes import FakeChatModel
"""


def run(pytester, body, *arguments):
    pytester.makepyfile(test_it=f"{CALLS}\n{body}")
    return pytester.runpytest(*arguments)


@pytest.mark.parametrize("keywords", ["", "model='gpt-*'"])
def test_a_budget_without_a_limit_fails_the_test(pytester, keywords):
    result = run(
        pytester,
        f"""
    @pytest.mark.llm_budget({keywords})
    def test_it(): pass

    def test_other(): pass
    """,
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.llm_budget sets no limit (example: llm_budget(max_tokens=5000))*"])


def test_a_limit_on_a_model_that_was_not_called_is_told(pytester):
    result = run(
        pytester,
        """
    @pytest.mark.llm_budget(max_tokens=5, model="gpt-5*")
    @pytest.mark.llm_budget(max_tokens=500, model="gpt-4o-mini*")
    def test_it():
        FakeChatModel().invoke("one")
    """,
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["@pytest.mark.llm_budget model='gpt-5[*]' matches no call of test_it.py::test_it"])
    result.stdout.no_fnmatch_line("*gpt-4o-mini[*]* matches*")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("PYTEST_LLM_USAGE_MAX_TOKNS", "; did you mean PYTEST_LLM_USAGE_MAX_TOKENS?"), ("PYTEST_LLM_USAGE_QQQQ", "")],
)
def test_a_misspelt_variable_is_one_line(pytester, monkeypatch, name, hint):
    monkeypatch.setenv(name, "5")

    result = run(pytester, "    def test_it(): pass")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {name}: there is no such setting{hint}"]


def test_a_marker_on_a_test_that_is_not_tracked_is_a_warning(pytester):
    pytester.makeini("[pytest]\nllm_usage_track = requested")
    result = run(
        pytester,
        """
    @pytest.mark.llm_budget(max_tokens=5)
    def test_budget():
        FakeChatModel().invoke("one")

    @pytest.mark.llm_budget(max_tokens=500)
    def test_tracked(llm_usage):
        FakeChatModel().invoke("one")

    @pytest.mark.llm_cassette("name")
    def test_cassette(): pass
    """,
        "-W",
        "always",
    )

    result.assert_outcomes(passed=3, warnings=2)
    result.stdout.fnmatch_lines(
        [
            "*test_it.py::test_budget: @pytest.mark.llm_budget has no effect: llm_usage_track = requested, and the test*",
            "*test_it.py::test_cassette: @pytest.mark.llm_cassette has no effect: the test does not request llm_usage",
        ]
    )


def test_a_snapshot_that_is_never_compared_is_a_warning(pytester):
    result = run(
        pytester,
        """
    def test_idle(llm_usage, usage_snapshot): pass

    def test_skipped(llm_usage, usage_snapshot): pytest.skip("later")

    def test_compared(llm_usage, usage_snapshot):
        assert llm_usage == usage_snapshot.with_defaults()
    """,
        "-p",
        "syrupy",
        "--snapshot-update",
        "-W",
        "always",
    )

    result.assert_outcomes(passed=2, skipped=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py::test_idle: usage_snapshot was requested and never compared: *"])


def test_such_a_snapshot_fails_its_test_with_one_line_where_warnings_are_errors(pytester):
    pytester.makepyfile(test_it="def test_idle(usage_snapshot): pass")

    result = pytester.runpytest("-p", "syrupy", "-W", "error::pytest_llm_usage.LLMUsageWarning")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["test_it.py::test_idle: usage_snapshot was requested and never compared: *"])
    result.stdout.no_fnmatch_line("*guards.py*")


SPENT = """
    @pytest.mark.parametrize("number", range(5))
    def test_it(number):
        FakeChatModel().invoke("one")
"""


def test_a_spent_session_budget_never_ends_in_green(pytester):
    result = run(pytester, SPENT, "--session-max-tokens=30", "--color=yes")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    assert (
        "llm-usage: LLM budget exceeded: 45 tokens (limit 30, --session-max-tokens); 2 tests not run: session budget"
        in (text.replace("45 tokens, limit 30 (--session-max-tokens)", "45 tokens (limit 30, --session-max-tokens)"))
    )
    assert result.outlines[-1].startswith("\x1b[31m")


def test_github_shows_what_is_over_at_the_tests_line(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    result = run(pytester, SPENT, "--max-tokens=14", "-k", "1")

    line = next(line for line in result.outlines if line.startswith("::error "))
    assert line.startswith(
        "::error file=test_it.py,line=5,title=LLM usage::test_it.py::test_it[1]: 15, limit 14 (107 %25, --max-tokens)"
    )


def test_a_marker_without_effect_fails_its_test_alone_where_warnings_are_errors(pytester, plugin_args):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.llm_cassette("birds")
        def test_idle():
            pass

        def test_other():
            pass
        """
    )

    result = pytester.runpytest(*plugin_args, "-W", "error")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_it.py::test_idle: @pytest.mark.llm_cassette has no effect: *"])
    result.stdout.no_fnmatch_line("*internal error*")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_snapshot_that_cannot_be_written_fails_the_run_and_costs_no_report(pytester, forked, workers):
    pytester.makepyfile(
        conftest="""
            import pytest_llm_usage.snapshot.file

            def replace_file(path, data):
                raise OSError(28, "No space left on device")

            pytest_llm_usage.snapshot.file.replace_file = replace_file
        """,
        test_it="""
            import pytest
            from fakes import FakeChatModel

            @pytest.mark.parametrize("number", range(2))
            def test_it(number, llm_usage, usage_snapshot):
                FakeChatModel().invoke("one")
                assert llm_usage == usage_snapshot
        """,
    )

    result = pytester.runpytest_subprocess("-p", "syrupy", "--snapshot-update", "--llm-usage-json=run.json", *workers)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "total * 2 *",
            "FAILED llm-usage: snapshots not written: __snapshots__/test_it.usage.yaml: No space left on device",
            "*2 passed*",
        ]
    )
    assert (pytester.path / "run.json").exists()
