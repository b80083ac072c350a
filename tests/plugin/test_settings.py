"""Options, environment variables and ini keys: which of them holds, and what a wrong one says."""

import itertools

import pytest

SPENDS_15 = """
    from fakes import FakeChatModel

    def test_it():
        FakeChatModel().invoke("one")
"""

#: Where a limit on tokens can be set, the nearest first, each with how it is set and what failures call it.
PLACES = {
    "marker": "@pytest.mark.llm_budget",
    "option": "--max-tokens",
    "environment": "PYTEST_LLM_USAGE_MAX_TOKENS",
    "ini": "llm_usage_max_tokens",
}


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs a test of 15 tokens under limits: place → tokens."""

    def run(limits):
        args = []
        source = SPENDS_15
        for place, tokens in limits.items():
            if place == "marker":
                source = (
                    f"    import pytest\n    pytestmark = pytest.mark.llm_budget(max_tokens={tokens!r})\n{SPENDS_15}"
                )
            elif place == "option":
                args = [f"--max-tokens={tokens}"]
            elif place == "environment":
                monkeypatch.setenv("PYTEST_LLM_USAGE_MAX_TOKENS", str(tokens))
            else:
                pytester.makeini(f"[pytest]\nllm_usage_max_tokens = {tokens}")
        pytester.makepyfile(source)
        return pytester.runpytest(*args)

    return run


@pytest.mark.parametrize("place", PLACES)
def test_a_limit_can_be_set_in_every_place(run, place):
    result = run({place: 14})

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*LLM budget exceeded: 15 tokens, limit 14 ({PLACES[place]})"])


@pytest.mark.parametrize(("nearer", "farther"), [*itertools.combinations(PLACES, 2)])
def test_the_nearer_place_wins(run, nearer, farther):
    run({nearer: 15, farther: 1}).assert_outcomes(passed=1)

    result = run({nearer: 14, farther: 1_000})

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*LLM budget exceeded: 15 tokens, limit 14 ({PLACES[nearer]})"])


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("15", "passed"),
        ("1_5", None),
        ("0.014k", "failed"),
        ("0.015k", "passed"),
        ("1.5M", "passed"),
        (" 15 ", "passed"),
    ],
)
def test_numbers_are_read_as_people_write_them(run, text, outcome):
    result = run({"option": text})

    if outcome is None:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    else:
        result.assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize(
    ("option", "text", "complaint"),
    [
        ("--max-tokens", "abc", "'abc' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"),
        ("--max-tokens", "-3", "'-3' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"),
        ("--max-tokens", "1.5", "'1.5' is not a number of tokens"),
        ("--max-tokens", "1e3", "'1e3' is not a number of tokens"),
        ("--max-tokens", "nan", "'nan' is not a number of tokens"),
        ("--max-tokens", "5 000", "'5 000' is not a number of tokens"),
        ("--max-tokens", "5kk", "'5kk' is not a number of tokens"),
        ("--max-tokens", "", "'' is not a number of tokens"),
        ("--max-cost", "cheap", "'cheap' is not an amount in USD"),
        ("--max-cost", "-0.01", "'-0.01' is not an amount in USD"),
        ("--max-cost", "NaN", "'NaN' is not an amount in USD"),
        ("--max-cost", "inf", "'inf' is not an amount in USD"),
        ("--max-cost", "0,02", "'0,02' is not an amount in USD"),
        ("--max-llm-calls", "few", "'few' is not a number of calls"),
        ("--session-max-tokens", "abc", "'abc' is not a number of tokens"),
        ("--session-max-cost", "abc", "'abc' is not an amount in USD"),
        ("--llm-usage-mode", "wran", "'wran' is not one of fail, warn, off; did you mean 'warn'?"),
        ("--llm-usage", "model", "'model' is not one of models, tests, calls, off; did you mean 'models'?"),
        ("--llm-usage-record", "never", "'never' is not one of none, once, new_episodes, all, rewrite, off"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it_and_what_it_takes(pytester, option, text, complaint):
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest(f"{option}={text}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = filter(None, result.errlines)
    assert line.startswith(f"ERROR: {option}: {complaint}")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_wrong_option_is_one_line_under_workers_too(pytester):
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest("-n", "2", "--max-tokens=abc")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        "ERROR: --max-tokens: 'abc' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"
    ]


@pytest.mark.parametrize("place", ["environment", "ini"])
def test_a_wrong_value_elsewhere_is_named_by_its_place(run, place):
    result = run({place: "abc"})

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        f"ERROR: {PLACES[place]}: 'abc' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"
    ]


@pytest.mark.parametrize(
    ("key", "text", "complaint"),
    [
        ("llm_usage_track", "some", "'some' is not one of all, requested"),
        ("llm_usage_missing", "eror", "'eror' is not one of error, warn, ignore; did you mean 'error'?"),
        ("llm_usage_mode", "on", "'on' is not one of fail, warn, off"),
    ],
)
def test_a_wrong_ini_key_is_one_line(pytester, key, text, complaint):
    pytester.makeini(f"[pytest]\n{key} = {text}")
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = filter(None, result.errlines)
    assert line.startswith(f"ERROR: {key}: {complaint}")


def test_an_empty_environment_variable_says_nothing(run):
    run({"environment": "", "ini": "15"}).assert_outcomes(passed=1)


@pytest.mark.parametrize("section", ["[tool.pytest.ini_options]", "[tool.pytest]"])
def test_settings_stand_in_pyproject_too(pytester, section):
    # pytest's own table takes TOML's types and refuses others: a number is written as text there.
    pytester.makepyprojecttoml(f'{section}\nllm_usage_max_tokens = "14"\n')
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*limit 14 (llm_usage_max_tokens)"])


# -- spellings ---------------------------------------------------------------------------------------------------

SPELLINGS = [
    ("--max-tokens", "--llm-usage-max-tokens", "14"),
    ("--max-cost", "--llm-usage-max-cost", "0.0000044"),
    ("--max-llm-calls", "--llm-usage-max-llm-calls", "0"),
    ("--session-max-tokens", "--llm-usage-session-max-tokens", "14"),
    ("--session-max-cost", "--llm-usage-session-max-cost", "0.0000044"),
]


@pytest.mark.parametrize(("short", "long", "limit"), SPELLINGS)
def test_both_spellings_of_a_limit_do_the_same(pytester, short, long, limit):
    pytester.makepyfile(SPENDS_15)

    for option in (short, long):
        result = pytester.runpytest(f"{option}={limit}")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(["*LLM budget exceeded*"])


@pytest.mark.parametrize(("short", "long", "limit"), SPELLINGS)
def test_a_suite_may_declare_the_short_options_itself(pytester, monkeypatch, short, long, limit):
    monkeypatch.setenv("PYTEST_LLM_USAGE_SHORT_OPTIONS", "0")
    pytester.makeconftest(f"""
        def pytest_addoption(parser):
            parser.addoption({short!r}, type=int, default=7, dest="own")
    """)
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it(pytestconfig):
            assert pytestconfig.getoption("own") == 0
            FakeChatModel().invoke("one")
    """)

    pytester.runpytest(f"{short}=0").assert_outcomes(passed=1)
    result = pytester.runpytest(f"{short}=0", f"{long}={limit}")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*LLM budget exceeded*"])


def test_only_the_long_spelling_is_named_where_only_it_exists(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_LLM_USAGE_SHORT_OPTIONS", "0")
    pytester.makepyfile(SPENDS_15)

    wrong = pytester.runpytest("--llm-usage-max-tokens=abc")
    exceeded = pytester.runpytest("--llm-usage-max-tokens=14")

    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["ERROR: --llm-usage-max-tokens: 'abc' is not a number of tokens*"])
    exceeded.stdout.fnmatch_lines(["*LLM budget exceeded: 15 tokens, limit 14 (--llm-usage-max-tokens)"])


def test_the_short_options_are_gone_when_they_are_asked_to_be(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_LLM_USAGE_SHORT_OPTIONS", "0")
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest("--max-tokens=14")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --max-tokens=14"])


# -- help --------------------------------------------------------------------------------------------------------


def test_help_names_every_option_and_ini_key(pytester):
    result = pytester.runpytest("--help")

    text = result.stdout.str()
    for short, long, _ in SPELLINGS:
        assert short in text
        assert long in text
    for name in ("--llm-usage-mode", "--llm-usage-record", "--llm-usage=", "llm_usage_track", "llm_usage_missing"):
        assert name in text


def test_markers_are_registered_and_name_their_keywords(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_budget(max_tokens=1)
        @pytest.mark.llm_cassette("name")
        def test_it(): pass
    """)

    listed = pytester.runpytest("--markers")

    for keyword in ("max_tokens", "max_input_tokens", "max_output_tokens", "max_cost", "max_calls", "model"):
        listed.stdout.fnmatch_lines([f"@pytest.mark.llm_budget(*{keyword}*"])
    pytester.runpytest("--strict-markers", "--strict-config").assert_outcomes(passed=1)


def test_without_the_plugin_nothing_of_it_is_left(pytester):
    pytester.makepyfile(SPENDS_15)

    result = pytester.runpytest("-p", "no:llm_usage")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*LLM usage*")
