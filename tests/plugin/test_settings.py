"""Options, environment variables and ini keys: which of them holds, and what a wrong one says."""

import itertools
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Limit:
    """A limit, and amounts of it for a test that calls a model (for calls: twice), 15 tokens and $0.0000045 a time.

    Attributes:
        much: More than enough.
        enough: Exactly what is spent.
        less: Too little.
        verdict: What is said then.
    """

    name: str
    option: str
    much: str
    enough: str
    less: str
    verdict: str

    @property
    def places(self):
        """Where it can be set, the nearest first, each with what failures call it."""
        marker = {} if self.name.startswith("session") else {"marker": "@pytest.mark.llm_budget"}
        key = f"llm_usage_{self.name}"
        return marker | {"option": self.option, "environment": f"PYTEST_{key.upper()}", "ini": key}


LIMITS = (
    Limit("max_tokens", "--max-tokens", "1k", "15", "14", "15 tokens, limit 14"),
    Limit("max_cost", "--max-cost", "1", "$0.0000045", "0.0000044", "$0.0000045, limit $0.0000044"),
    Limit("max_calls", "--max-llm-calls", "9", "2", "1", "2 calls, limit 1"),
    Limit("session_max_tokens", "--session-max-tokens", "1k", "15", "14", "15 tokens, limit 14"),
    Limit("session_max_cost", "--session-max-cost", "1", "$0.0000045", "0.0000044", "$0.0000045, limit $0.0000044"),
)


@pytest.fixture
def run_within(pytester, monkeypatch):
    """Runs a test under a limit: place → amount."""

    def run_within(limit, amounts):
        args = []
        calls = 'FakeChatModel().invoke("one")\n'
        marker = ""
        for place, amount in amounts.items():
            if place == "marker":
                marker = f"@pytest.mark.llm_budget({limit.name}={amount!r})"
            elif place == "option":
                args = [f"{limit.option}={amount}"]
            elif place == "environment":
                monkeypatch.setenv(limit.places["environment"], amount)
            else:
                pytester.makeini(f"[pytest]\n{limit.places['ini']} = {amount}")
        if limit.name == "max_calls":
            calls += '    FakeChatModel().invoke("two")\n'
        text = f"import pytest\nfrom fakes import FakeChatModel\n\n{marker}\ndef test_it():\n    {calls}"
        (pytester.path / "test_it.py").write_text(text)
        return pytester.runpytest(*args)

    return run_within


def assert_exceeded(result, limit, place):
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"LLM budget exceeded: {limit.verdict} ({limit.places[place]})" in result.stdout.str()


@pytest.mark.parametrize(
    ("limit", "place"),
    [pytest.param(limit, place, id=f"{limit.name}-{place}") for limit in LIMITS for place in limit.places],
)
def test_a_limit_can_be_set_in_every_place(run_within, limit, place):
    assert run_within(limit, {place: limit.enough}).ret == pytest.ExitCode.OK
    assert_exceeded(run_within(limit, {place: limit.less}), limit, place)


@pytest.mark.parametrize(
    ("limit", "nearer", "farther"),
    [
        pytest.param(limit, *pair, id=f"{limit.name}-{pair[0]}-{pair[1]}")
        for limit in LIMITS
        for pair in itertools.combinations(limit.places, 2)
    ],
)
def test_the_nearer_place_wins(run_within, limit, nearer, farther):
    assert run_within(limit, {nearer: limit.enough, farther: limit.less}).ret == pytest.ExitCode.OK
    assert_exceeded(run_within(limit, {nearer: limit.less, farther: limit.much}), limit, nearer)


def test_the_nearest_of_all_places_wins(run_within):
    limit = LIMITS[0]
    amounts = dict(zip(limit.places, (limit.enough, limit.less, limit.less, limit.less), strict=True))
    assert run_within(limit, amounts).ret == pytest.ExitCode.OK


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
        ("--llm-usage-budgets", "wran", "'wran' is not one of fail, warn, off; did you mean 'warn'?"),
        ("--llm-usage-report", "model", "'model' is not one of models, tests, calls, why, off; did you mean 'models'?"),
        ("--llm-usage-compare", "-", "- stands for standard output, not for a file"),
        ("--llm-usage-history", "-", "- stands for standard output, not for a file"),
        ("--llm-usage-record", "never", "'never' is not one of none, once, new_episodes, all, rewrite, stale, live"),
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
        ("llm_usage_track", "some", "'some' is not one of all, langchain, requested"),
        ("llm_usage_missing", "eror", "'eror' is not one of error, warn, ignore; did you mean 'error'?"),
        ("llm_usage_budgets", "on", "'on' is not one of fail, warn, off"),
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
    result = run({"environment": "", "ini": "14"})

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*limit 14 (llm_usage_max_tokens)"])


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("--llm-usage-mode=warn", "--llm-usage-mode was renamed: use --llm-usage-budgets=warn"),
        ("--llm-usage=tests", "--llm-usage was renamed: use --llm-usage-report=tests"),
        ("--llm-usage", "--llm-usage was renamed: use --llm-usage-report=..."),
        ("--llm-usage-record=off", "--llm-usage-record: 'off' was renamed: use 'live'"),
        ("-ollm_usage_mode=warn", "llm_usage_mode was renamed: use llm_usage_budgets = warn"),
        ("-ollm_usage_record=off", "llm_usage_record: 'off' was renamed: use 'live'"),
        ("PYTEST_LLM_USAGE_MODE=off", "PYTEST_LLM_USAGE_MODE was renamed: use PYTEST_LLM_USAGE_BUDGETS=off"),
        ("PYTEST_LLM_USAGE_RECORD=off", "PYTEST_LLM_USAGE_RECORD: 'off' was renamed: use 'live'"),
    ],
)
@pytest.mark.parametrize("strict", [(), ("--strict-config",)], ids=["", "strict"])
def test_an_earlier_name_is_one_line_with_the_new_one(pytester, monkeypatch, argument, complaint, strict):
    pytester.makepyfile(SPENDS_15)
    arguments = [argument]
    if not argument.startswith("-"):
        monkeypatch.setenv(*argument.split("="))
        arguments = []

    result = pytester.runpytest(*arguments, *strict)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {complaint}"]


def test_an_earlier_record_mode_in_a_marker_fails_the_test_with_the_new_one(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_cassette(record="off")
        def test_it(llm_usage): pass
    """)

    result = pytester.runpytest()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*llm_cassette: record: 'off' was renamed: use 'live'*"])


needs_tool_pytest = pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 9 brought the table [tool.pytest]")


@pytest.mark.parametrize(
    "section", ["[tool.pytest.ini_options]", pytest.param("[tool.pytest]", marks=needs_tool_pytest)]
)
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


@pytest.mark.parametrize(("short", "long", "limit"), SPELLINGS)
def test_two_of_one_name_are_one_line_that_says_what_to_do(pytester, short, long, limit):
    pytester.makeconftest(f"""
        def pytest_addoption(parser):
            parser.addoption({short!r}, type=int, default=7, dest="own")
    """)

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {short}: this suite and *PYTEST_LLM_USAGE_SHORT_OPTIONS=0 *"])
    assert "Traceback" not in result.stderr.str()


def test_a_conflict_that_is_none_of_ours_stays_as_it_is(pytester):
    pytester.makeconftest("""
        def pytest_addoption(parser):
            parser.addoption("--twice", dest="once")
            parser.getgroup("other").addoption("--twice", dest="again")
    """)

    result = pytester.runpytest_subprocess()

    assert "conflicting option string: --twice" in result.stderr.str()


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
    assert "--llm-usage-mode" not in text
    for name in (
        "--llm-usage-budgets",
        "--llm-usage-record",
        "--llm-usage-report",
        "llm_usage_track",
        "llm_usage_missing",
    ):
        assert name in text


def test_markers_are_registered_and_name_their_keywords(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_budget(max_tokens=1)
        @pytest.mark.llm_cassette("name")
        def test_it(llm_usage): pass
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


@pytest.mark.parametrize("amount", ["9" * 5_000, "9" * 41, "0." + "0" * 5_000 + "1"])
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_number_of_thousands_of_digits_is_one_line(pytester, limit, amount):
    """It could not be shown: the run's reports were lost, and every test's numbers."""
    pytester.makepyfile(SPENDS_15)
    result = pytester.runpytest(f"{limit.option}={amount}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [line] = [line for line in result.stderr.lines if limit.option in line]
    assert len(line) < 200


@pytest.mark.parametrize("written", ["0.00005", "5e-5", "0.0000514", "'0.00005'"])
def test_a_small_limit_of_a_toml_file_is_read_as_it_is_written(pytester, written):
    """pytest hands on a number of such a file as Python writes it: 5e-05."""
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\nllm_usage_max_cost = {written}\n")
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=(400, 0)).invoke("one")
    """)

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["LLM budget exceeded: $0.00006, limit $0.00005* (llm_usage_max_cost)"])


@pytest.mark.parametrize("amount", ["Decimal('1e999999')", "Decimal('1e-999999')", "10**5000", "Decimal('NaN')"])
def test_an_amount_that_cannot_be_shown_fails_its_test(pytester, amount):
    """A run did not end that had such a limit to show."""
    pytester.makepyfile(
        "from decimal import Decimal\nimport pytest\nfrom fakes import FakeChatModel\n\n"
        f"@pytest.mark.llm_budget(max_cost={amount})\ndef test_it():\n    FakeChatModel().invoke('one')\n"
    )
    result = pytester.runpytest("--llm-usage-json=run.json")
    result.assert_outcomes(failed=1)
    assert "@pytest.mark.llm_budget: max_cost: " in result.stdout.str()
    assert "internal error" not in result.stdout.str()


@pytest.mark.parametrize("amount", ["2**63 - 1", "10**30"])
def test_a_limit_that_nobody_reaches_is_one(pytester, amount):
    pytester.makepyfile(
        "import pytest\nfrom fakes import FakeChatModel\n\n"
        f"@pytest.mark.llm_budget(max_tokens={amount})\ndef test_it():\n    FakeChatModel().invoke('one')\n"
    )
    assert pytester.runpytest("--llm-usage-json=run.json").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "option", ["--llm-usage-budgets", "--llm-usage-shard", "--llm-usage-fail-on", "--llm-usage-floor"]
)
def test_a_long_value_is_shortened_in_its_error(pytester, option):
    result = pytester.runpytest(f"{option}={'9' * 20_000}/{'9' * 20_000}")
    [line] = [line for line in result.stderr.lines if option in line]
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(line) < 250


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('llm_usage_match_on = ["method", "bodi"]', "llm_usage_match_on: unknown matcher 'bodi'"),
        ('llm_usage_ignore_hosts = ["a.test", "b.test"]', None),
        ('llm_usage_model_names = ["a-* = a", "b-* = b"]', None),
        ('llm_usage_ignore_body = ["metadata.id"]', None),
        ('llm_usage_budgets = ["fail", "warn"]', "llm_usage_budgets: 'fail\\nwarn' is not one of fail, warn, off"),
        ("llm_usage_max_tokens = [5, 6]", "llm_usage_max_tokens: '5\\n6' is not a number of tokens"),
    ],
)
def test_a_list_of_toml_is_read_or_refused(pytester, line, message):
    """It was an internal error: the run was green, and none of its settings held."""
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{line}\n")
    pytester.makepyfile("def test_it(llm_usage): pass")

    result = pytester.runpytest("-W", "ignore")

    printed = result.stdout.str() + result.stderr.str()
    assert "internal error" not in printed
    assert (result.ret == pytest.ExitCode.OK) is (message is None)
    assert message is None or message in printed
