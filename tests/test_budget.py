"""Limits: how they are read, when they are exceeded, what is said then."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import ledgers, written_amounts, written_counts

import pytest_llm_usage
from pytest_llm_usage.billing import Billing, Part, Quote
from pytest_llm_usage.budget.amounts import parse_count, parse_share, parse_usd, shown_share
from pytest_llm_usage.budget.breaches import breaches, must_stop, spending
from pytest_llm_usage.budget.failure import call_lines, failure_text
from pytest_llm_usage.budget.limits import BUDGET_KINDS, LIMIT_KEYWORDS, Limits
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import NOT_READ, USAGE_NOT_ASKED, Call
from pytest_llm_usage.text import width
from pytest_llm_usage.usage import TokenUsage

MODELS = st.sampled_from(["gpt-4o", "gpt-4o-mini", "claude-sonnet-4"])
LIMITS = ["max_tokens", "max_input_tokens", "max_output_tokens", "max_cost", "max_calls"]


def call(tokens=15, *, model="gpt-4o", cost="0.01", **values):
    return Call(
        index=values.pop("index", 0),
        model=model,
        usage=None if tokens is None else TokenUsage.from_counts(tokens, 0),
        status=values.pop("status", "ok" if tokens is not None else "no_usage"),
        _quotes=Quote(cost_usd=None if cost is None or tokens is None else Decimal(cost)),
        **values,
    )


def read_from_cache(each, tokens):
    usage = TokenUsage.from_counts(each.usage.input_tokens, 0, input_token_details={"cache_read": tokens})
    return replace(each, usage=usage)


# -- numbers as people write them --------------------------------------------------------------------------------


@given(written_counts())
def test_a_count_is_what_was_written(written):
    text, value = written
    assert parse_count(text, "tokens") == value
    assert parse_count(f" {text} ", "tokens") == value


@given(st.integers(min_value=0))
def test_an_int_is_a_count(value):
    assert parse_count(value, "tokens") == value


@given(written_amounts())
def test_an_amount_is_exactly_what_was_written(written):
    text, amount = written
    assert parse_usd(text) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.02", "0.02"),
        ("$0.02", "0.02"),
        (".5", "0.5"),
        ("1_000", "1000"),
        (5, "5"),
        (Decimal("0.1"), "0.1"),
        ("0", "0"),
    ],
)
def test_amounts_in_every_spelling(text, amount):
    assert parse_usd(text) == Decimal(amount)


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "abc", "-3", "1.5", "0.0001k", "1__000", "1_00", "_1", "1_", "5kk", "5 000", "5,000", "0x10", "1e3"),
        *("nan", "inf", "٣", "５", "½"),
        *(-1, 1.5, 5000.0, float("nan"), float("inf"), True, None, Decimal(5), [5]),
    ],
    ids=repr,
)
def test_anything_else_is_no_count(value):
    with pytest.raises(ConfigurationError) as refused:
        parse_count(value, "tokens")
    assert str(refused.value) == f"{value!r} is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"


@pytest.mark.parametrize(
    "value",
    [
        *("", "cheap", "-0.01", "$", "$-1", "1,50", "1.5.2", "1.", "1e3", "nan", "inf", "€5", "5 EUR", "٣"),
        *(-1, True, None, [5], Decimal(-1), Decimal("NaN"), Decimal("Infinity")),
    ],
    ids=repr,
)
def test_anything_else_is_no_amount(value):
    with pytest.raises(ConfigurationError) as refused:
        parse_usd(value)
    assert str(refused.value) == f"{value!r} is not an amount in USD (examples: 0.02, $0.02, 1_000)"


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (0.0, "0.0"), (1e-05, "0.00001"), (1e16, "10000000000000000")]
)
def test_a_float_is_answered_with_what_to_write(value, text):
    with pytest.raises(ConfigurationError) as refused:
        parse_usd(value)
    assert str(refused.value) == f"{value!r} is a float, which is not exact: write it as text, '{text}'"
    assert parse_usd(text) == Decimal(text)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_float_that_is_no_amount_is_none_as_text_either(value):
    with pytest.raises(ConfigurationError, match="is not an amount in USD"):
        parse_usd(value)


def test_nothing_is_an_amount():
    assert (parse_count(0, "calls"), parse_usd(0), parse_usd(Decimal(0)), parse_share(0)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("value", "share"),
    [
        *[("0.6", "0.6"), (" .5 ", "0.5"), ("1", "1"), ("1.0", "1"), ("60 %", "0.6"), ("60%", "0.6")],
        *[("100 %", "1"), ("33.3 %", "0.333"), (1, "1"), (0.25, "0.25"), (Decimal("0.1"), "0.1")],
    ],
)
def test_shares_in_every_spelling(value, share):
    assert parse_share(value) == Decimal(share)


@pytest.mark.parametrize(
    "value", ["1.01", "101 %", "-1", "", "x", "6O %", True, None, -0.5, 60, float("nan"), [1]], ids=repr
)
def test_anything_else_is_no_share(value):
    with pytest.raises(ConfigurationError) as refused:
        parse_share(value)
    assert str(refused.value) == f"{value!r} is not a share between 0 and 1 (examples: 0.6, 60 %)"


@pytest.mark.parametrize(
    ("share", "shown"), [("0.59999", "59.99 %"), ("0.6", "60 %"), (1, "100 %"), (0, "0 %"), ("0.0001", "0.01 %")]
)
def test_a_share_is_shown_rounded_down(share, shown):
    assert shown_share(Decimal(share)) == shown


@given(st.text(max_size=8) | st.floats() | st.integers() | st.decimals() | st.none())
@example("1" * 40 + "k")
def test_reading_gives_a_sound_value_or_says_what_is_wrong_in_one_line(value):
    for parse in (lambda value: parse_count(value, "tokens"), parse_usd):
        try:
            read = parse(value)
        except ConfigurationError as error:
            assert "\n" not in str(error)
        else:
            assert read >= 0


# -- limits ------------------------------------------------------------------------------------------------------


def test_limits_are_read_from_a_markers_keywords():
    limits = Limits.parse({"max_tokens": "5k", "max_cost": "$0.02", "max_calls": 2, "model": "gpt-4o*"}, origin="here")

    assert (limits.max_tokens, limits.max_cost, limits.max_calls, limits.model) == (
        5_000,
        Decimal("0.02"),
        2,
        "gpt-4o*",
    )
    assert limits.origins == {"max_tokens": "here", "max_cost": "here", "max_calls": "here", "model": "here"}


def test_a_keyword_of_none_limits_nothing():
    assert not Limits.parse({"max_tokens": None, "max_cost": None}, origin="here")
    assert not Limits()
    assert Limits(max_tokens=0)


def test_a_misspelt_keyword_is_named_with_the_one_that_was_meant():
    with pytest.raises(ConfigurationError) as refused:
        Limits.parse({"max_token": 1}, origin="@pytest.mark.llm_budget")

    assert str(refused.value) == "@pytest.mark.llm_budget: 'max_token' is not a limit; did you mean 'max_tokens'?"


def test_a_keyword_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(ConfigurationError) as refused:
        Limits.parse({"zzz": 1}, origin="here")

    assert str(refused.value) == f"here: 'zzz' is not a limit (it takes {', '.join(LIMIT_KEYWORDS)})"
    assert {*LIMITS, "model"} <= {*LIMIT_KEYWORDS}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_input_tokens", "x", "'x' is not a number of input tokens (examples: 5000, 5_000, 5k, 1.5M)"),
        ("max_cost", "x", "'x' is not an amount in USD (examples: 0.02, $0.02, 1_000)"),
        ("min_cache_read", "x", "'x' is not a share between 0 and 1 (examples: 0.6, 60 %)"),
        ("max_growth", "cubic", "'cubic' is not a growth that can be a limit ('constant', 'linear')"),
        ("model", "", "'' is not a pattern of a model's name (example: 'gpt-4o*')"),
        ("model", 4, "4 is not a pattern of a model's name (example: 'gpt-4o*')"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_place_and_the_keyword(name, value, said):
    with pytest.raises(ConfigurationError) as refused:
        Limits.parse({name: value}, origin="here")

    assert str(refused.value) == f"here: {name}: {said}"


def test_a_keyword_of_none_leaves_those_behind_it():
    limits = Limits.parse({"max_tokens": None, "max_calls": 1, "max_growth": "linear"}, origin="here")

    assert (limits.max_tokens, limits.max_calls, limits.max_growth) == (None, 1, "linear")
    assert limits.origins == {"max_calls": "here", "max_growth": "here"}


def test_what_stands_for_a_limit_in_the_help():
    assert {name for name, kind in BUDGET_KINDS.items() if kind.metavar == "USD"} == {"max_cost"}
    assert {kind.metavar for kind in BUDGET_KINDS.values()} == {"N", "USD"}


def test_a_pattern_alone_limits_nothing_and_growth_alone_does():
    assert not Limits(model="gpt-4o*")
    assert Limits(max_growth="linear")


def test_the_nearer_limits_win_limit_by_limit():
    near = Limits(max_tokens=1, origins={"max_tokens": "near"})
    far = Limits(max_tokens=2, max_calls=3, origins={"max_tokens": "far", "max_calls": "far"})

    merged = near.over(far)
    assert (merged.max_tokens, merged.max_calls) == (1, 3)
    assert merged.origins == {"max_tokens": "near", "max_calls": "far"}


def test_limits_keep_their_pattern_over_that_of_others():
    assert Limits(max_tokens=1, model="near*").over(Limits(max_calls=1, model="far*")).model == "near*"
    assert Limits(max_tokens=1).over(Limits(max_calls=1, model="far*")).model is None
    assert Limits(max_tokens=1).over(Limits(max_calls=1, max_growth="linear")).max_growth == "linear"
    assert Limits(max_tokens=1).over(Limits(max_calls=1)).origins == {}


def test_a_limit_of_nothing_is_a_limit_and_wins():
    assert Limits(max_tokens=0).over(Limits(max_tokens=5)).max_tokens == 0


# -- when they are exceeded --------------------------------------------------------------------------------------


@given(ledgers(models=MODELS), st.sampled_from(LIMITS))
def test_a_limit_at_what_was_spent_holds_and_one_below_does_not(ledger, name):
    billed = [call for call in ledger.calls if call.is_billed]
    assume(not any(call.is_unknown for call in billed))
    assume(name != "max_cost" or all(call.cost_usd is not None for call in billed if call.usage is not None))
    ((_, _, spent, _),) = spending(Limits(**{name: 0}), ledger.calls)

    assert breaches(Limits(**{name: spent}), ledger.calls) == []
    smallest = Decimal("1e-12") if name == "max_cost" else 1
    if spent:
        (breach,) = breaches(Limits(**{name: spent - smallest}), ledger.calls)
        assert (breach.name, breach.spent, breach.limit, breach.unknown) == (name, spent, spent - smallest, 0)


@given(ledgers(models=MODELS), st.sampled_from(LIMITS))
def test_a_limit_over_what_nobody_knows_never_holds(ledger, name):
    assume(any(call.is_unknown for call in ledger.calls))

    found = breaches(Limits(**{name: 10**15}), ledger.calls)

    assert bool(found) == (name != "max_calls")


@given(ledgers(models=MODELS))
def test_limits_of_a_model_see_its_calls_alone(ledger):
    mine = [call for call in ledger.calls if call.model.startswith("gpt-4o")]
    limits = Limits(max_calls=0, model="gpt-4o*")

    assert bool(breaches(limits, ledger.calls)) == any(call.is_billed for call in mine)
    assert must_stop(limits, ledger.calls, "claude-sonnet-4") is None
    assert must_stop(limits, ledger.calls, "gpt-4o-mini") is not None


@given(ledgers(models=MODELS), st.sampled_from(LIMITS), st.integers(0, 10**12))
def test_what_is_exceeded_stops_the_next_call_and_what_is_not_does_not(ledger, name, limit):
    limits = Limits(**{name: limit})
    exceeded = any(breach.spent > breach.limit for breach in breaches(limits, ledger.calls))
    ((_, _, spent, _),) = spending(limits, ledger.calls)
    another_exceeds = limit == 0 or (name == "max_calls" and spent + 1 > limit)

    assert (must_stop(limits, ledger.calls, "gpt-4o") is not None) == (exceeded or another_exceeds)


def test_a_price_is_looked_up_only_where_a_cost_is_limited():
    def quote(_self, _call):
        raise AssertionError("asked for a price")

    spent = Call(index=0, usage=TokenUsage.from_counts(10, 5), _quotes=type("Prices", (), {"quote": quote})())

    assert breaches(Limits(max_tokens=15, max_calls=1), [spent]) == []


@pytest.mark.parametrize("status", ["cached", "fake"])
def test_an_answer_without_a_provider_counts_towards_no_limit(status):
    answered = [call(status=status)]

    assert breaches(Limits(max_calls=0, max_tokens=0, max_cost=Decimal(0)), answered) == []
    assert spending(Limits(max_calls=0, max_tokens=0), answered) == [
        ("max_tokens", 0, 0, "max_tokens"),
        ("max_calls", 0, 0, "max_calls"),
    ]


def test_a_pattern_tells_capitals_from_small_letters():
    assert breaches(Limits(max_calls=0, model="GPT-4o"), [call()]) == []


@pytest.mark.parametrize(
    "name", ["max_tokens", "max_system_tokens", "max_reasoning_tokens", "min_cache_read", "max_cost"]
)
def test_a_request_that_failed_has_spent_nothing_that_is_unknown(name):
    assert breaches(Limits.parse({name: 1}, origin="here"), [call(None, status="error")]) == []


def test_a_cost_that_the_provider_states_is_known_without_its_tokens():
    stated = Call(index=0, status="no_usage", _quotes=Quote(cost_usd=Decimal("0.5")))

    assert breaches(Limits(max_cost=Decimal("0.5")), [stated]) == []
    (breach,) = breaches(Limits(max_cost=Decimal("0.4")), [stated])
    assert (breach.spent, breach.unknown) == (Decimal("0.5"), 0)


def test_where_unpriced_calls_may_be_a_cost_limit_holds_and_every_other_stays():
    limits = Limits(max_reasoning_tokens=5, max_cost=Decimal(1))

    def names(calls, **how):
        return [breach.name for breach in breaches(limits, calls, **how)]

    assert names([call(cost=None)]) == ["max_reasoning_tokens", "max_cost"]
    assert names([call(cost=None)], unpriced_holds=True) == ["max_reasoning_tokens"]
    assert names([call(None)], unpriced_holds=True) == ["max_reasoning_tokens", "max_cost"]


def test_what_was_spent_of_each_limit_but_a_share():
    limits = Limits.parse({"max_tokens": 5, "min_cache_read": 0.5, "max_cost": 1, "model": "gpt-4o"}, origin="here")

    assert spending(limits, [call(), call(model="gpt-4o-mini", index=1)]) == [
        ("max_tokens", 5, 15, "here"),
        ("max_cost", 1, Decimal("0.01"), "here"),
    ]


# -- whether a further call may be made --------------------------------------------------------------------------

WAITING = call(None, index=1, status="aborted")


@pytest.mark.parametrize(
    ("limits", "calls", "under_way", "verdict"),
    [
        ({"max_tokens": 0}, [], {}, "exceeded: a model call, but none is allowed (here=0)"),
        ({"max_cost": 0, "model": "gpt*"}, [], {}, "exceeded for gpt*: a model call, but none is allowed (here=0)"),
        ({"max_calls": 0}, [], {}, "exceeded: 1 call, limit 0 (here)"),
        ({"max_calls": 2}, [call()], {}, None),
        ({"max_calls": 2}, [call(), call(index=1)], {}, "exceeded: 3 calls, limit 2 (here)"),
        ({"max_calls": 2}, [call()], {"sent": ["gpt-4o"]}, "exceeded: 3 calls, limit 2 (here)"),
        ({"max_calls": 2, "model": "gpt*"}, [call()], {"sent": ["claude"]}, None),
        ({"min_cache_read": "0.1"}, [read_from_cache(call(), 5)], {}, None),
        ({"min_cache_read": "0.9"}, [read_from_cache(call(), 5)], {}, None),
        ({"max_tokens": 15}, [call()], {"sent": ["gpt-4o"]}, None),
        ({"max_tokens": 14}, [call()], {"sent": ["gpt-4o"]}, "exceeded: 15 tokens, limit 14 (here)"),
        ({"max_tokens": 10}, [call(), call(None, index=1)], {}, "exceeded: at least 15 tokens, limit 10 (here)"),
        ({"max_tokens": 10}, [call(), WAITING], {"under_way": ["gpt-4o"]}, "exceeded: 15 tokens, limit 10 (here)"),
        ({"max_tokens": 10}, [call()], {"under_way": ["gpt-4o"]}, "exceeded: 15 tokens, limit 10 (here)"),
    ],
)
def test_what_forbids_a_further_call(limits, calls, under_way, verdict):
    breach = must_stop(Limits.parse(limits, origin="here"), calls, "gpt-4o", **under_way)

    assert (breach and breach.verdict) == (verdict and f"LLM budget {verdict}")


@pytest.mark.parametrize(
    ("limits", "calls", "under_way", "verdict"),
    [
        ({"max_tokens": 30}, [call()], {"sent": ["gpt-4o"]}, None),
        (
            {"max_tokens": 29},
            [call()],
            {"sent": ["gpt-4o"]},
            "15 tokens and up to 15 tokens of calls under way, limit 29",
        ),
        (
            {"max_tokens": 15},
            [call()],
            {"sent": ["gpt-4o"]},
            "15 tokens and up to 15 tokens of calls under way, limit 15",
        ),
        ({"max_tokens": 14}, [call()], {"sent": ["gpt-4o"]}, "15 tokens, limit 14"),
        (
            {"max_tokens": 39},
            [call(), call(10, index=1)],
            {"sent": ["gpt-4o"]},
            "25 tokens and up to 15 tokens of calls under way, limit 39",
        ),
        (
            {"max_tokens": 29},
            [call(), WAITING],
            {"under_way": ["gpt-4o"]},
            "15 tokens and up to 15 tokens of calls under way, limit 29",
        ),
        (
            {"max_tokens": 44},
            [call(), WAITING],
            {"sent": ["gpt-4o"], "under_way": ["gpt-4o"]},
            "15 tokens and up to 30 tokens of calls under way, limit 44",
        ),
        ({"max_tokens": 29, "model": "gpt*"}, [call()], {"sent": ["claude"], "under_way": ["claude"]}, None),
        ({"max_tokens": 1}, [], {"sent": ["gpt-4o", "gpt-4o"]}, None),
        (
            {"max_cost": "0.015"},
            [call()],
            {"sent": ["gpt-4o"]},
            "$0.01 and up to $0.01 of calls under way, limit $0.015",
        ),
    ],
)
def test_what_is_under_way_is_taken_for_as_large_as_the_largest_so_far(limits, calls, under_way, verdict):
    breach = must_stop(Limits.parse(limits, origin="here"), calls, "gpt-4o", reserve=True, **under_way)

    assert (breach and breach.verdict) == (verdict and f"LLM budget exceeded: {verdict} (here)")


def test_ten_calls_of_unknown_usage_stop_the_next():
    unknown = [call(None, index=index) for index in range(10)]
    limits = Limits(max_tokens=1_000_000, max_calls=100)

    assert must_stop(limits, unknown[:9], "gpt-4o") is None
    assert must_stop(limits, unknown, "gpt-4o", under_way=["gpt-4o"]) is None
    assert must_stop(Limits(max_calls=100), unknown, "gpt-4o") is None
    assert must_stop(limits, unknown, "gpt-4o").verdict == (
        "LLM budget cannot be verified: 0 tokens and 10 calls with unknown usage, limit 1,000,000 (max_tokens)"
    )


# -- what is said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "calls", "verdict"),
    [
        ({"max_tokens": 5_000}, [call(5_001)], "LLM budget exceeded: 5,001 tokens, limit 5,000 (here)"),
        ({"max_tokens": 0}, [call(1)], "LLM budget exceeded: 1 token, limit 0 (here)"),
        ({"max_calls": 1}, [call(), call(index=1)], "LLM budget exceeded: 2 calls, limit 1 (here)"),
        ({"max_input_tokens": 1}, [call(2)], "LLM budget exceeded: 2 input tokens, limit 1 (here)"),
        ({"max_cost": "0.005"}, [call()], "LLM budget exceeded: $0.01, limit $0.005 (here)"),
        ({"max_cost": "0"}, [call(cost="1E-9")], "LLM budget exceeded: $0.000000001, limit $0 (here)"),
        ({"max_cost": "100"}, [call(cost="1000")], "LLM budget exceeded: $1,000, limit $100 (here)"),
        (
            {"max_tokens": 10},
            [call(15), call(None, index=1)],
            "LLM budget exceeded: at least 15 tokens, limit 10 (here)",
        ),
        (
            {"max_tokens": 100},
            [call(15), call(None, index=1)],
            "LLM budget cannot be verified: 15 tokens and 1 call with unknown usage, limit 100 (here)",
        ),
        (
            {"max_cost": "1"},
            [call(), call(cost=None, index=1), call(cost=None, index=2)],
            "LLM budget cannot be verified: $0.01 and 2 calls with unknown price, limit $1 (here)",
        ),
        (
            {"max_tokens": 0},
            [call(None)],
            "LLM budget cannot be verified: 0 tokens and 1 call with unknown usage, limit 0 (here)",
        ),
        (
            {"max_system_tokens": 10_000},
            [call()],
            "LLM budget cannot be verified: 0 system tokens and 1 call with unknown input parts, limit 10,000 (here)",
        ),
        (
            {"max_reasoning_tokens": 5},
            [call()],
            "LLM budget cannot be verified: 0 reasoning tokens and 1 call with unknown reasoning tokens, limit 5 (here)",
        ),
        (
            {"min_cache_read": 0.5, "model": "gpt-4*"},
            [call(), call(index=1)],
            "LLM budget cannot be verified for gpt-4*: 2 calls with unknown cache reads, at least 50 % wanted (here)",
        ),
        (
            {"max_tokens": 10, "model": "gpt-4*"},
            [call(15)],
            "LLM budget exceeded for gpt-4*: 15 tokens, limit 10 (here)",
        ),
    ],
)
def test_the_verdict_is_one_line(limits, calls, verdict):
    (breach,) = breaches(Limits.parse(limits, origin="here"), calls)

    assert breach.verdict == verdict
    assert failure_text([breach], calls).splitlines()[0] == verdict


def test_the_table_marks_the_largest_and_says_what_was_stopped():
    calls = [
        call(876, index=0, where="agent.py:41 in plan"),
        call(5_244, index=1, where="agent.py:57 in act"),
        call(None, index=2, where="agent.py:58 in act"),
    ]
    limits = Limits(max_tokens=5_000, origins={"max_tokens": "--max-tokens"})

    lines = failure_text(breaches(limits, calls), calls, ["agent.py:57 in act"]).splitlines()

    assert lines[1:] == [
        "",
        "  #  model   input  output  total  where",
        "  1  gpt-4o    876       0    876  agent.py:41 in plan",
        "  2  gpt-4o  5,244       0  5,244  agent.py:57 in act   <- largest",
        "  3  gpt-4o      ?       ?      ?  agent.py:58 in act",
        "  4  stopped before it was sent    agent.py:57 in act",
    ]


def test_the_table_says_what_became_of_calls_without_tokens():
    calls = [
        call(12_000, where="a.py:1 in f"),
        call(None, index=1, status="error"),
        call(20_000, index=2, status="cached"),
        call(None, index=3, status="cached"),
        call(None, index=4, status="fake"),
        call(None, index=5, status="aborted"),
    ]

    assert call_lines(calls, ["b.py:2", "c.py:3"]) == [
        "#  model    input  output   total  where",
        # An answer of the cache takes nothing: it is not the largest.
        "1  gpt-4o  12,000       0  12,000  a.py:1 in f   <- largest",
        "2  gpt-4o                  failed",
        "3  gpt-4o                  cached",
        "4  gpt-4o                  cached",
        "5  gpt-4o                    fake",
        "6  gpt-4o       ?       ?       ?",
        "7  stopped before it was sent      b.py:2",
        "8  stopped before it was sent      c.py:3",
    ]


def test_where_nothing_was_spent_no_call_is_the_largest():
    calls = [call(None, status="error", where="a.py:1"), call(index=1, status="cached", where="b.py:2")]

    assert "largest" not in "".join(call_lines(calls))


def test_the_table_of_what_was_stopped_alone():
    assert call_lines([], ["b.py:2", "c.py:3"]) == [
        "#  model  input  output  total  where",
        "1  stopped before it was sent   b.py:2",
        "2  stopped before it was sent   c.py:3",
    ]
    assert failure_text([must_stop(Limits(max_tokens=0), [], "gpt-4o")], [], ["b.py:2"]).splitlines()[1:] == [
        "",
        "  #  model  input  output  total  where",
        "  1  stopped before it was sent   b.py:2",
    ]


def test_numbers_of_two_digits_stand_below_each_other():
    lines = call_lines([call(index=8), call(index=9)], ["b.py:2"], mark=None)

    assert [line[:4] for line in lines] == [" #  ", " 9  ", "10  ", "11  "]
    assert lines[-1].index("b.py:2") == lines[0].index("where")


def test_the_largest_is_the_one_that_took_most_of_what_is_limited():
    calls = [call(100, cost="0.01", where="a.py:1"), call(10, index=1, cost="0.02", where="b.py:2")]

    def largest(**how):
        return [line.split()[-3] for line in call_lines(calls, **how) if line.endswith("<- largest")]

    assert (largest(), largest(mark="max_cost"), largest(mark=None)) == (["a.py:1"], ["b.py:2"], [])
    assert "largest" not in "".join(call_lines(calls[:1]))
    text = failure_text(breaches(Limits(max_cost=Decimal("0.001")), calls), calls)
    assert text.splitlines()[-1].endswith("b.py:2   <- largest")
    read = [read_from_cache(each, size) for each, size in zip(calls, (1, 2), strict=True)]
    assert "largest" not in failure_text(breaches(Limits(min_cache_read=Decimal("0.5")), read), read)


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        ("--max-tokens", "--max-tokens=0"),
        ("llm_usage_max_tokens", "llm_usage_max_tokens=0"),
        ("@pytest.mark.llm_budget", "@pytest.mark.llm_budget(max_tokens=0)"),
        ("assert_within", "assert_within(max_tokens=0)"),
    ],
)
def test_what_allows_no_call_is_shown_as_it_is_written(origin, shown):
    breach = must_stop(Limits.parse({"max_tokens": 0}, origin=origin), [], "gpt-4o")

    assert breach.verdict == f"LLM budget exceeded: a model call, but none is allowed ({shown})"


@pytest.mark.parametrize(
    ("columns", "model", "place"),
    [
        # In a failure no place is cut, and no model further than to what nearly all names take.
        (0, "mmmmmmmmmmmmmm…mmmmmmmmmmmmm", "w" * 40),
        (200, "m" * 30, "w" * 40),
        # The place is cut first, as far as the shortest model's name leaves room.
        (60, "mmmmmm…mmmmm", "wwwwwwwwww…wwwwwwwwww"),
        (30, "mmmmmm…mmmmm", "wwwwww…wwwww"),
    ],
)
def test_names_and_places_are_cut_where_there_is_no_room(columns, model, place):
    made = call(model="m" * 30, where="w" * 40)

    assert call_lines([made], columns_most=columns)[1] == f"1  {model}     15       0     15  {place}"


@pytest.mark.parametrize("model", ["an-organisation/" + "m" * 70 + "-{}", "模" * 40 + "{}"])
def test_a_failure_fits_the_terminal_whatever_its_models_are_called(model):
    calls = [call(model=model.format(i), index=i, where="agent.py:57 in act") for i in range(40)]
    calls.append(call(model="gpt-4o-mini-2024-07-18", index=40, where="agent.py:57 in act"))
    limits = Limits(max_tokens=1)

    lines = failure_text(breaches(limits, calls), calls).splitlines()

    # Before a line of an assertion pytest puts `E   `.
    assert max(map(width, lines)) <= 76
    models = [line.split()[1] for line in lines if line.endswith("agent.py:57 in act")]
    assert len(set(models)) == 41
    assert models[-1] == "gpt-4o-mini-2024-07-18"


def test_a_short_place_leaves_its_room_to_the_model():
    made = call(model="m" * 30, where="a.py:1")

    assert call_lines([made], columns_most=60)[1] == f"1  {'m' * 13}…{'m' * 13}     15       0     15  a.py:1"


def test_a_verdict_without_calls_is_all_there_is():
    found = breaches(Limits(max_tokens=1, max_calls=0), [call()])

    assert failure_text(found, []).splitlines() == [breach.verdict for breach in found]


def test_what_a_name_contains_moves_no_cursor():
    calls = [call(model="gpt\x1b[31m", note=f"\x1b[2J {USAGE_NOT_ASKED}"), call(None, index=1)]

    assert "\x1b" not in failure_text(breaches(Limits(max_tokens=1), calls), calls)


def test_each_reason_for_a_bound_is_said_once():
    def bound(*notes, **values):
        return Quote(cost_usd=Decimal("0.03"), notes=notes, **values)

    calls = [
        replace(call(), _quotes=bound("one", "two", at_most=True)),
        replace(call(index=1), _quotes=bound("two", "three", at_most=True)),
        replace(call(index=2), _quotes=bound("of no bound")),
    ]

    (breach,) = found = breaches(Limits(max_cost=Decimal("0.01")), calls)
    lines = failure_text(found, calls).splitlines()
    assert (lines[0], len(lines)) == (breach.verdict, 10)
    assert lines[-4:] == ["", "  At most: one", "  At most: two", "  At most: three"]
    assert "At most" not in failure_text(breaches(Limits(max_tokens=1), calls), calls)


def test_the_largest_schemas_come_first_and_calls_without_parts_have_none():
    parts = InputByPart({"tools": 11}, {"rain": 3, "search": 8}, "characters")
    calls = [
        call(_inputs=parts),
        call(index=1, _inputs=InputByPart({"tools": 4}, {"rain": 4}, "characters")),
        call(index=2, _inputs="not read"),
    ]

    (breach,) = found = breaches(Limits(max_tool_schema_tokens=1), calls)
    lines = failure_text(found, calls).splitlines()
    assert lines[:2] == [breach.verdict, ""]
    assert lines[lines.index("  tool    tokens") - 1 :] == [
        "",
        "  tool    tokens",
        "  search      ~8  in 1 call",
        "  rain        ~7  in 2 calls",
        "",
        "  Unknown: not read",
    ]
    assert "tool    tokens" not in failure_text(breaches(Limits(max_tool_schema_tokens=1), calls[2:]), calls[2:])
    assert "tool    tokens" not in failure_text(breaches(Limits(max_tokens=1), calls), calls)


@pytest.mark.parametrize("what", [USAGE_NOT_ASKED, NOT_READ])
def test_what_to_do_about_calls_of_unknown_usage_is_said_once(what):
    calls = [call(None, index=index, note=f"POST /v1/x {what}") for index in (0, 1)]

    text = failure_text(breaches(Limits(max_tokens=100), calls), calls)
    assert text.splitlines()[-2:] == ["", f"  Unknown: POST /v1/x {what}"]
    assert "Unknown:" not in failure_text(breaches(Limits(max_calls=1), calls), calls)
    other = [call(None, note="the stream broke off")]
    assert "Unknown:" not in failure_text(breaches(Limits(max_tokens=100), other), other)
    known = [call(note=f"POST /v1/x {what}"), call(None, index=1)]
    assert "Unknown:" not in failure_text(breaches(Limits(max_tokens=100), known), known)


@pytest.mark.parametrize("limits", [Limits(min_cache_read=Decimal("0.1")), Limits(max_reasoning_tokens=100)])
def test_a_reason_is_that_of_the_calls_which_are_unknown(limits):
    known = TokenUsage.from_counts(10, 5, input_token_details={"cache_read": 5}, output_token_details={"reasoning": 1})
    calls = [replace(call(), usage=known), call(None, index=1), call(index=2, status="cached")]

    found = breaches(limits, calls)
    assert [breach.unknown for breach in found] == [1]
    assert "Unknown:" not in failure_text(found, calls)


def test_calls_without_a_price_are_told_from_those_without_usage():
    calls = [
        replace(call(model="acme-1", cost=None), _quotes=Quote()),
        replace(call(model="acme-2", cost=None, index=1), _quotes=Quote(reason="nobody sells acme-2")),
        call(None, index=2, model="acme-3"),
        call(10, index=3, model="acme-4", is_partial=True, status="aborted"),
    ]

    text = failure_text(breaches(Limits(max_cost=Decimal(1)), calls), calls)
    assert text.splitlines()[-3:] == [
        "",
        "  Unpriced: no price is known for acme-1",
        "  Unpriced: nobody sells acme-2",
    ]
    assert "Unpriced" not in failure_text(breaches(Limits(max_tokens=1), calls), calls)
    assert failure_text(breaches(Limits(max_cost=Decimal(1)), calls[2:3]), calls[2:3]).endswith(
        "acme-3      ?       ?      ?"
    )


def test_a_limit_over_a_part_of_a_usage_never_holds_and_no_price_is_asked_for():
    part = call(10, is_partial=True, status="aborted")

    tokens, cost = breaches(Limits(max_tokens=50, max_cost=Decimal(1)), [part])

    assert (tokens.spent, tokens.unknown, cost.spent, cost.unknown) == (10, 1, 0, 1)
    assert failure_text([cost], [part]).splitlines()[-1].split() == ["1", "gpt-4o", ">=10", ">=0", ">=10"]


def test_of_two_largest_calls_none_is_marked():
    calls = [call(10), call(10, index=1)]

    assert "largest" not in failure_text(breaches(Limits(max_tokens=1), calls), calls)


def test_an_unpriced_model_is_named_with_what_to_do():
    quote = Quote(reason="nobody sells acme-1", fix='"acme-1" = { input = ?, output = ? }')
    calls = [Call(index=index, model="acme-1", usage=TokenUsage.from_counts(10, 5), _quotes=quote) for index in (0, 1)]

    text = failure_text(breaches(Limits(max_cost=Decimal(1)), calls), calls)

    assert text.splitlines()[-5:] == [
        "  Unpriced: nobody sells acme-1",
        "  Add to the file of llm_usage_prices:",
        '    "acme-1" = { input = ?, output = ? }',
        "  No such file yet? Create prices.toml with the first line  [models]",
        "  and set  llm_usage_prices = prices.toml  in pytest's configuration",
    ]


def part(kind, sent, received, **more):
    return Part(kind, "gpt-4o-2", TokenUsage.from_counts(sent, received), **more)


def test_work_that_is_listed_apart_counts_and_is_shown():
    spent = Call(
        index=0,
        model="gpt-4o",
        usage=TokenUsage.from_counts(200, 46),
        billing=Billing(parts=(part("compaction", 83_000, 709), part("request", 100, 23, in_total=True))),
        where="agent.py:41",
    )
    (breach,) = breaches(Limits(max_tokens=1_000), [spent])

    assert failure_text([breach], [spent]).splitlines() == [
        "LLM budget exceeded: 83,955 tokens, limit 1,000 (max_tokens)",
        "",
        "  #  model                    input  output   total  where",
        "  1  gpt-4o                     200      46     246  agent.py:41",
        "     + compaction: gpt-4o-2  83,000     709  83,709",
    ]
    assert [breach.spent for breach in breaches(Limits(max_input_tokens=0, max_output_tokens=0), [spent])] == [
        83_200,
        755,
    ]


def test_tokens_that_are_counted_and_not_billed_count():
    counted = Call(
        index=0, usage=TokenUsage.from_counts(200, 46), billing=Billing(usage=TokenUsage.from_counts(20, 46))
    )

    assert [spent for _, _, spent, _ in spending(Limits(max_tokens=1, max_input_tokens=1), [counted])] == [246, 200]


def test_a_cost_that_is_a_bound_keeps_a_budget_that_is_above_it_and_cannot_verify_one_below():
    quote = Quote(cost_usd=Decimal("0.03"), at_most=True, notes=("the price book has no price of a cache read",))
    calls = [replace(call(), _quotes=quote), call(index=1)]

    assert breaches(Limits(max_cost=Decimal("0.04")), calls) == []
    (breach,) = breaches(Limits(max_cost=Decimal("0.02")), calls)
    assert breach.verdict == "LLM budget cannot be verified: at most $0.04, limit $0.02 (max_cost)"
    assert failure_text([breach], calls).splitlines()[-2:] == [
        "",
        "  At most: the price book has no price of a cache read",
    ]
    (breach,) = breaches(Limits(max_cost=Decimal("0.02")), [*calls, call(cost=None, index=2)])
    assert breach.verdict == (
        "LLM budget cannot be verified: at most $0.04 and 1 call with unknown price, limit $0.02 (max_cost)"
    )


NEW_KIND = """
    max_cached_tokens: Annotated[
        int | None,
        BudgetKind(
            "cached token",
            _tokens(lambda usage: usage.input_token_details.get("cache_read", 0)),
            option="max-cached-tokens",
            help="fail a test that reads more than N tokens from a cache",
            session_help="end the run once it has read more than N tokens from caches",
        ),
    ] = None
"""
MARKED_TEST = """
import pytest
from fakes import FakeChatModel
USAGE = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10, "input_token_details": {"cache_read": 7}}

@pytest.mark.llm_budget(max_cached_tokens=6)
def test_by_the_marker(llm_usage):
    FakeChatModel(usage=USAGE).invoke("hi")

def test_by_the_option(llm_usage):
    FakeChatModel(usage=USAGE).invoke("hi")
"""


def test_a_new_kind_of_budget_is_a_field_of_one_class(tmp_path):
    shutil.copytree(
        Path(pytest_llm_usage.__file__).parent,
        tmp_path / "pytest_llm_usage",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    module = tmp_path / "pytest_llm_usage" / "budget" / "limits.py"
    anchor = "    model: str | None = None\n    origins"
    assert module.read_text().count(anchor) == 1
    module.write_text(module.read_text().replace(anchor, f"{NEW_KIND}{anchor}"))
    (tmp_path / "test_it.py").write_text(MARKED_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def ran(*args):
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])},
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    text = ran("--max-cached-tokens=5")
    assert "LLM budget exceeded: 7 cached tokens, limit 6 (@pytest.mark.llm_budget)" in text
    assert "LLM budget exceeded: 7 cached tokens, limit 5 (--max-cached-tokens)" in text
    assert "LLM budget exceeded: 7 cached tokens, limit 6 (--session-max" in ran("--session-max-cached-tokens=6")
    assert "max_cached_tokens=None" in ran("--markers")
