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
