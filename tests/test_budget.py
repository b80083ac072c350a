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
from pytest_llm_usage.budget import Limits, breaches, failure_text, must_stop, parse_count, parse_usd, spending
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.ledger import Call
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


@pytest.mark.parametrize("value", [0.1, 0.0, -1.0, float("nan")])
def test_a_float_is_refused_as_an_amount_whatever_it_is(value):
    with pytest.raises(ConfigurationError, match="is a float, which is not exact"):
        parse_usd(value)


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

    assert all(name in str(refused.value) for name in (*LIMITS, "model"))


def test_the_nearer_limits_win_limit_by_limit():
    near = Limits(max_tokens=1, origins={"max_tokens": "near"})
    far = Limits(max_tokens=2, max_calls=3, origins={"max_tokens": "far", "max_calls": "far"})

    merged = near.over(far)
    assert (merged.max_tokens, merged.max_calls) == (1, 3)
    assert merged.origins == {"max_tokens": "near", "max_calls": "far"}


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
            "LLM budget cannot be verified: 15 tokens and 1 call of unknown usage, limit 100 (here)",
        ),
        (
            {"max_cost": "1"},
            [call(), call(cost=None, index=1), call(cost=None, index=2)],
            "LLM budget cannot be verified: $0.01 and 2 calls of unknown price, limit $1 (here)",
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

    assert [line.strip() for line in text.splitlines()[-3:-1]] == [
        "Unpriced: nobody sells acme-1",
        'Add to the file of llm_usage_prices:  "acme-1" = { input = ?, output = ? }',
    ]
    assert text.splitlines()[-1].startswith("  No such file yet? Create prices.toml ")


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
        "LLM budget cannot be verified: at most $0.04 and 1 call of unknown price, limit $0.02 (max_cost)"
    )


NEW_KIND = """
    max_cached_tokens: int | None = field(
        default=None,
        metadata=_kind(
            "cached token",
            _tokens(lambda usage: usage.input_token_details.get("cache_read", 0)),
            option="max-cached-tokens",
            help="fail a test that reads more than N tokens from a cache",
            session_help="end the run once it has read more than N tokens from caches",
        ),
    )
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
