"""What a user did wrong is told with their own line and one message: no frame of the plugin is shown."""

import re

import pytest

TEST = """
    from fakes import UNPRICED_MODEL, FakeChatModel

    {marker}
    def test_it(llm_usage, usage_snapshot):
        FakeChatModel(model=UNPRICED_MODEL, provider="acme", usage=(1_000, 500)).invoke("one")
        {line}
"""


@pytest.fixture
def failure(pytester):
    """What pytest shows of a test that ends in that line: the text, and the files whose frames are in it."""

    def failure(line, marker="", snapshot=None):
        pytester.makepyfile(test_it=TEST.format(line=line, marker=marker))
        if snapshot is not None:
            pytester.mkdir("__snapshots__")
            (pytester.path / "__snapshots__" / "test_it.usage.yaml").write_text(snapshot)
        result = pytester.runpytest("-p", "syrupy")
        assert result.ret == 1
        shown = re.split(r"^=+ (?:FAILURES|ERRORS) =+$|^=+ LLM usage =+$", result.stdout.str(), flags=re.MULTILINE)[1]
        return shown, re.findall(r"^(\S+):\d+:", shown, re.MULTILINE)

    return failure


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("llm_usage.cost", "PriceUnknownError: cost is not known"),
        ("llm_usage.by_model['acme-1'].cost", "PriceUnknownError: cost is not known"),
        ("llm_usage['gpt-4o']", "KeyError: \"no call of model 'gpt-4o' (models called: acme-1)\""),
        ("llm_usage.assert_within(max_calls=0)", "BudgetExceededError: LLM budget exceeded: 1 call, limit 0"),
        (
            "llm_usage.assert_within(max_cals=0)",
            "ConfigurationError: assert_within: 'max_cals' is not a limit; did you mean 'max_calls'?",
        ),
        ("llm_usage.by('nod')", "ConfigurationError: by: a call has no 'nod'; did you mean 'node'?"),
        ("llm_usage.by('_quotes')", "ConfigurationError: by: a call has no '_quotes'"),
        ("assert 1 == usage_snapshot", "TypeError: usage_snapshot compares llm_usage"),
        ("assert llm_usage == usage_snapshot(rel='5%')", "ConfigurationError: rel='5%' is not a tolerance (a number,"),
        ("llm_usage.section(5)", "ConfigurationError: section: 5 is not a name (a string)"),
        ("llm_usage.section(None)", "ConfigurationError: section: None is not a name (a string)"),
        (
            "assert llm_usage == usage_snapshot(rel=10**5000)",
            "ConfigurationError: rel=a number of thousands of digits is not a tolerance",
        ),
    ],
)
def test_the_line_of_the_test_and_the_message(failure, line, error):
    shown, frames = failure(line)
    assert frames == ["test_it.py"]
    assert f">       {line}\n" in shown
    assert f"E       {error}" in re.sub(r"pytest_llm_usage\.errors\.", "", shown)


def test_a_broken_snapshot_file(failure):
    shown, frames = failure("assert llm_usage == usage_snapshot", snapshot="test_it: {\n")
    assert frames == ["test_it.py"]
    assert "ConfigurationError: __snapshots__/test_it.usage.yaml:1: not YAML: " in shown


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('match_on=["bodi"]', "match_on: unknown matcher 'bodi', did you mean 'body'? available: body, headers, host,"),
        ('ignore_body=["a..b"]', "'a..b' is not a path in a JSON body (examples: metadata.session_id,"),
    ],
)
def test_a_marker_that_cannot_be_used(failure, marker, message):
    shown, frames = failure("pass", marker=f"@__import__('pytest').mark.llm_cassette({marker})")
    assert frames == []
    assert message in shown


def test_a_matcher_that_configuration_names_is_told_as_its_setting(pytester):
    pytester.makepyfile(test_it=TEST.format(line="pass", marker=""))
    result = pytester.runpytest("-p", "syrupy", "-o", "llm_usage_match_on=method bodi")
    result.stdout.fnmatch_lines(["llm_usage_match_on: unknown matcher 'bodi', did you mean 'body'? available: body, *"])


def test_a_mistake_of_ours_is_shown_whole(pytester):
    """So that it can be reported."""
    pytester.makepyfile("def test_it(llm_usage):\n    llm_usage.by(5)")
    result = pytester.runpytest()
    result.stdout.re_match_lines([r"E +TypeError: .*", r".*[/\\]ledger\.py:\d+: TypeError"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("llm_cassette(match_on=5)", "llm_cassette: match_on: 5 is neither a string nor a list of strings"),
        ("llm_cassette(match_on=b'body')", "llm_cassette: match_on: b'body' is neither a string nor a list of strings"),
        ("llm_cassette(match_on={'body': 1})", "llm_cassette: match_on: {'body': 1} is neither a string nor a list of strings"),
        ("llm_cassette(match_on=['body', 5])", "llm_cassette: match_on: 5 is not a string"),
        ("llm_cassette(ignore_body=5)", "llm_cassette: ignore_body: 5 is neither a string nor a list of strings"),
        ("llm_cassette(ignore_body=['a', None])", "llm_cassette: ignore_body: None is not a string"),
        ("llm_cassette(ignore_body='[')", "llm_cassette: ignore_body: '[' is not a path in a JSON body (examples: "),
        ("llm_cassette(ignore_body='a[' + '9' * 5000 + ']')", "llm_cassette: ignore_body: 'a[9999"),
        ("llm_cassette('a', name='b')", "llm_cassette: two names, 'a' and 'b': leave one of them out"),
        ("llm_budget(max_growth=10**5000)", "max_growth: a number of thousands of digits is not a growth"),
        ("llm_budget(min_cache_read=10**5000)", "min_cache_read: a number of thousands of digits is not a share"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_in_a_marker(failure, marker, message):
    shown, frames = failure("pass", marker=f"@__import__('pytest').mark.{marker}")
    assert frames == []
    assert message in shown


FIXTURE = """
    import pytest

    @pytest.fixture(scope="{scope}")
    def {name}():
        return {value}

    def test_it(llm_usage):
        pass
"""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vcr_config", "None", "the fixture vcr_config: None is not a dictionary"),
        ("vcr_config", "['x']", "the fixture vcr_config: ['x'] is not a dictionary"),
        ("vcr_config", "{'match_on': 5}", "match_on: 5 is not a list of matchers"),
        ("vcr_config", "{'match_on': 'body'}", "match_on: 'body' is not a list of matchers"),
        ("vcr_cassette_dir", "5", "the fixture vcr_cassette_dir*: 5 is not the path of a folder"),
        ("llm_usage_redact", "None", "llm_usage_redact: None is neither a string nor a list of rules"),
        ("llm_usage_redact", "[5]", "llm_usage_redact: 5 is not a string"),
        ("llm_usage_redact", "'pattern:' + '(' * 5000", "llm_usage_redact: pattern: a regular expression that *"),
        ("llm_usage_prices", "5", "llm_usage_prices: 5 is neither a path nor a mapping"),
        ("llm_usage_prices", "'nope.toml'", "nope.toml: the price file cannot be read: No such file or directory"),
        ("llm_usage_prices", "{'models': {'m': {'input': 10**5000}}}", "llm_usage_prices: model 'm': input = a number *"),
    ],
)  # fmt: skip
def test_a_fixture_of_the_wrong_kind_is_one_line(pytester, name, value, message):
    """Its calls are in the report all the same, and no error is one of ours."""
    scope = "session" if name in ("llm_usage_prices", "llm_usage_redact") else "function"
    pytester.makepyfile(test_it=FIXTURE.format(name=name, value=value, scope=scope))

    result = pytester.runpytest()

    result.assert_outcomes(errors=1)
    printed = result.stdout.str()
    result.stdout.fnmatch_lines([message])
    assert "internal error" not in printed
    assert "pytest_llm_usage" not in printed.split("= ERRORS =")[1].split("= warnings summary =")[0]
