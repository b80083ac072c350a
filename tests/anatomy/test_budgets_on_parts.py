"""Limits on parts of the input: exactly reached, exceeded by one token, and where the parts are not known."""

from dataclasses import replace

import pytest

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.budget.breaches import breaches, must_stop
from pytest_llm_usage.budget.failure import failure_text
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.usage import TokenUsage

PARTS = InputByPart(
    {"system": 400, "tools": 900, "history": 300, "user": 50}, {"search": 600, "rain": 300}, "o200k_base"
)
CALL = Call(
    index=0,
    model="gpt-4o",
    usage=TokenUsage.from_counts(1650, 80, output_token_details={"reasoning": 60}),
    where="test_a.py:3 in test_a",
    _quotes=Quote(),
    _inputs=PARTS,
)
SPENT = [
    ("max_system_tokens", 800, "~800 system tokens"),
    ("max_tool_schema_tokens", 1800, "~1,800 tool schema tokens"),
    ("max_history_tokens", 600, "~600 history tokens"),
    ("max_reasoning_tokens", 120, "120 reasoning tokens"),
]


def limits(**values):
    return Limits.parse(values, origin="@pytest.mark.llm_budget")


@pytest.mark.parametrize(("name", "spent", "shown"), SPENT)
def test_exactly_the_limit_holds_and_one_token_more_does_not(name, spent, shown):
    calls = (CALL, replace(CALL, index=1))

    assert breaches(limits(**{name: spent}), calls) == []
    (breach,) = breaches(limits(**{name: spent - 1}), calls)
    assert breach.verdict == f"LLM budget exceeded: {shown}, limit {spent - 1:,} (@pytest.mark.llm_budget)"


@pytest.mark.parametrize(("name", "spent", "shown"), SPENT)
def test_the_next_call_is_stopped_only_where_more_was_spent(name, spent, shown):
    calls = (CALL, replace(CALL, index=1))

    assert must_stop(limits(**{name: spent}), calls, "gpt-4o") is None
    assert must_stop(limits(**{name: spent - 1}), calls, "gpt-4o").name == name


@pytest.mark.parametrize("name", [name for name, *_ in SPENT])
def test_none_of_it_does_not_mean_no_call(name):
    assert must_stop(limits(**{name: 0}), (), "gpt-4o") is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("max_system_tokens", "the recording has no request body"),
        ("max_tool_schema_tokens", "the recording has no request body"),
        ("max_history_tokens", "the recording has no request body"),
        ("max_reasoning_tokens", "its provider does not say how many of its output tokens are reasoning"),
    ],
)
def test_a_part_that_is_not_known_fails_with_the_reason(name, reason):
    call = replace(CALL, usage=TokenUsage.from_counts(1650, 80), _inputs="the recording has no request body")
    found = breaches(limits(**{name: 10_000}), (call,))

    assert failure_text(found, (call,)).startswith("LLM budget cannot be verified: 0 ")
    assert f"  Unknown: {reason}" in failure_text(found, (call,)).splitlines()


def test_a_limit_on_schemas_lists_them():
    calls = (CALL, replace(CALL, index=1))
    text = failure_text(breaches(limits(max_tool_schema_tokens=1000), calls), calls)

    assert text.splitlines()[-3:] == [
        "  tool    tokens",
        "  search  ~1,200  in 2 calls",
        "  rain      ~600  in 2 calls",
    ]


def reading(cache_read, **values):
    details = {} if cache_read is None else {"cache_read": cache_read}
    return replace(CALL, usage=TokenUsage.from_counts(1000, 5, input_token_details=details), **values)


def test_a_share_of_cache_reads():
    calls = (reading(0), reading(900, index=1))

    assert breaches(limits(min_cache_read=0.45), calls) == []
    assert breaches(limits(min_cache_read="45 %"), calls) == []
    (breach,) = breaches(limits(min_cache_read=0.46), calls)
    assert breach.verdict == (
        "LLM budget missed: 45 % of the input was read from a cache, at least 46 % wanted (@pytest.mark.llm_budget)"
    )
    (breach,) = breaches(limits(min_cache_read=0.45), (reading(0), reading(899, index=1)))
    assert breach.is_exceeded
    assert must_stop(limits(min_cache_read=0.9), calls, "gpt-4o") is None
    assert breaches(limits(min_cache_read=0.9), ()) == []


def test_cache_reads_that_a_provider_does_not_report_are_not_zero():
    found = breaches(limits(min_cache_read=0.1), (reading(None),))

    assert failure_text(found, ()).splitlines()[0] == (
        "LLM budget cannot be verified: 1 call with unknown cache reads, at least 10 % wanted (@pytest.mark.llm_budget)"
    )
    assert "  Unknown: its provider does not say how much of its input was read from a cache" in failure_text(
        found, (reading(None),)
    )


@pytest.mark.parametrize("value", ["1.01", 60, "-1", "x", True, "101 %"])
def test_what_is_no_share(value):
    with pytest.raises(ConfigurationError, match="is not a share between 0 and 1"):
        limits(min_cache_read=value)
