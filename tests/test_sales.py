"""What a price book is asked for, and the arithmetic below every book, on plain values."""

import math
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pytest_llm_usage.billing import PriceLine
from pytest_llm_usage.errors import NoPriceError
from pytest_llm_usage.pricing.billing_rules import tier_of
from pytest_llm_usage.pricing.rates import Rate, Rates, lines_of
from pytest_llm_usage.pricing.sale import Sale, moment_of
from pytest_llm_usage.pricing.surcharges import LONG_CONTEXTS, with_long_context
from pytest_llm_usage.usage import TokenUsage

MOMENT = datetime(2026, 3, 1, 13, 14, 15, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        *[("ON_DEMAND_FLEX", "flex"), ("on-demand-flex", "flex"), (" Priority ", "priority")],
        *[("default", None), ("standard-only", None), ("", None), (None, None)],
    ],
)
def test_tiers_have_one_spelling(said, tier):
    assert tier_of(said) == tier


@pytest.mark.parametrize(
    ("seller", "names", "place"),
    [
        ("aws", ("us.anthropic.claude",), "us"),
        ("aws", ("anthropic.claude",), "eu-west-1"),
        ("aws", (), "eu-west-1"),
        ("google", ("us.anthropic.claude",), "eu-west-1"),
    ],
)
def test_the_place_is_in_the_name_of_an_inference_profile_alone(seller, names, place):
    assert Sale(seller=seller, named=seller, names=names, moment=MOMENT, region="eu-west-1").place == place


def test_a_sale_of_a_model_by_its_name():
    assert Sale.from_model("", None, 0.0).names == ()
    sale = Sale.from_model("m", "gemini", 0.0)
    assert (sale.seller, sale.named, sale.names) == ("google", "gemini", ("m",))
    assert sale.moment == datetime(1970, 1, 1, tzinfo=UTC)


def test_sales_of_one_day_have_its_beginning_in_common():
    sale = Sale(seller=None, named=None, names=(), moment=MOMENT)

    assert sale.on_its_day().moment == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_moment_beyond_all_dates_is_the_first_or_the_last():
    assert moment_of(math.inf) == moment_of(1e30) == datetime.max.replace(tzinfo=UTC)
    assert moment_of(-math.inf) == moment_of(-1e30) == datetime.min.replace(tzinfo=UTC)
    with pytest.raises(NoPriceError) as refused:
        moment_of(math.nan)
    assert str(refused.value) == "the day of the call is not known"


def test_what_is_free_has_one_line_of_all_its_tokens():
    rates = Rates("m", "prices.toml", {}, free=True)
    lines, remarks = lines_of(rates, TokenUsage.from_counts(100, 20), {})

    assert lines == [PriceLine("free", 120, Decimal(0), Decimal(0), "m")]
    assert (remarks.notes, remarks.at_most) == ([], False)


@pytest.mark.parametrize(
    ("seller", "model"), [("openai", "gpt-5.5-pro"), ("aws", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0")]
)
def test_a_long_context_raises_prices_of_tokens_that_have_no_steps(seller, model):
    plain, stepped = Rate(Decimal(2)), Rate(Decimal(2), ((5, Decimal(3)),))
    kinds = {"input": plain, "output": plain, "output_audio": plain, "cache_read": stepped, "request": plain}
    (row,) = (row for row in LONG_CONTEXTS if row.seller == seller)

    assert with_long_context(seller, model, kinds) == {
        "input": Rate(Decimal(2), ((row.above, 2 * row.input),)),
        "output": Rate(Decimal(2), ((row.above, 2 * row.output),)),
        "output_audio": Rate(Decimal(2), ((row.above, 2 * row.output),)),
        "cache_read": stepped,
        "request": plain,
    }
    assert with_long_context("nobody", model, kinds) == kinds


SOUND = {kind: Rate(Decimal(1)) for kind in ("input", "output", "input_audio", "cache_read", "audio_second")}


def test_sound_by_the_second_is_in_the_total_of_the_tokens_alone():
    lines, _ = lines_of(Rates("m", "prices.toml", SOUND), TokenUsage(0, 0, 50), {"audio_second": 3})

    assert [(line.kind, line.quantity) for line in lines] == [("audio_second", 3)]


@pytest.mark.parametrize(
    ("where", "fix"),
    [
        ("", {"same_as": "m", "cache_read_audio": "?"}),
        ("prices.toml:7", "add  cache_read_audio = ?  to prices.toml:7"),
    ],
)
def test_cached_audio_costs_what_text_does_only_where_audio_does(where, fix):
    heard = TokenUsage.from_counts(100, 0, input_token_details={"cache_read": 10, "audio": 20, "cache_read_audio": 5})

    with pytest.raises(NoPriceError) as refused:
        lines_of(Rates("m", "prices.toml", SOUND, where=where), heard, {})
    assert (str(refused.value), refused.value.fix) == ("prices.toml has no price for cache_read_audio tokens", fix)
    lines, _ = lines_of(Rates("m", "prices.toml", SOUND, audio_as_text=True), heard, {})
    assert {line.kind: line.quantity for line in lines} == {"input": 75, "cache_read": 10, "input_audio": 15}


def test_more_reasoning_than_output_is_a_contradiction():
    rates = Rates("m", "prices.toml", {**SOUND, "output_reasoning": Rate(Decimal(1))})

    with pytest.raises(NoPriceError) as refused:
        lines_of(rates, TokenUsage.from_counts(1, 5, output_token_details={"reasoning": 10}), {})
    assert str(refused.value) == "contradictory usage: output_reasoning (10) exceed output_tokens (5)"


def test_cache_writes_without_a_price_of_their_own_are_noted():
    usage = TokenUsage.from_counts(100, 0, input_token_details={"cache_creation": 10})
    lines, remarks = lines_of(Rates("m", "prices.toml", SOUND), usage, {})

    assert [(line.kind, line.quantity) for line in lines] == [("input", 100)]
    assert remarks.notes == ["prices.toml has no price of its own for cache_write: priced as input"]
    assert not remarks.at_most


def test_a_sale_on_its_day_is_the_same_but_for_the_hour():
    """Its fields are written out there one by one, so each is something here."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    sale = Sale(
        seller="openai", named="azure", names=("m",), moment=moment,
        tier="flex", region="eu", terms=(("speed", "fast"),), newest=True,
    )  # fmt: skip

    assert all(getattr(sale, each.name) != each.default for each in fields(Sale))
    assert sale.on_its_day() == replace(sale, moment=datetime(2026, 1, 2, tzinfo=UTC))
