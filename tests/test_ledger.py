"""`Call` and `Ledger`: frozen values with a plain form."""

import json
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest
from hypothesis import given
from strategies import calls, ledgers

from pytest_llm_usage.ledger import Call, Ledger, Quote, summed_usage
from pytest_llm_usage.usage import TokenUsage


@given(calls())
def test_a_calls_plain_form_is_json_and_reads_back(call):
    again = Call.from_dict(json.loads(json.dumps(call.to_dict())))

    assert again == call
    assert again.cost_usd == call.cost_usd
    assert again.to_dict() == call.to_dict()


@given(calls())
def test_a_cost_is_zero_only_for_an_answer_of_the_cache_or_a_price_of_zero(call):
    if call.status == "cached":
        assert call.cost_usd == 0
        assert not call.is_billed
    elif call.usage is None or call.is_partial:
        assert call.cost_usd is None


@given(calls())
def test_unknown_is_what_was_spent_and_not_told(call):
    assert call.is_unknown == (call.status in ("no_usage", "aborted"))
    assert call.is_unknown <= (call.usage is None or call.is_partial)


def test_a_part_of_a_usage_has_no_cost_whatever_its_price():
    call = Call(index=0, usage=TokenUsage.of(120, 1), is_partial=True, status="aborted", pricer=lambda _: Decimal(1))

    assert (call.cost_usd, call.is_unknown) == (None, True)


def test_a_price_is_looked_up_once_and_only_when_it_is_read():
    asked = []

    def price(call):
        asked.append(call)
        return Quote(cost_usd=Decimal("0.02"))

    call = Call(index=0, usage=TokenUsage.of(10, 5), pricer=price)

    assert asked == []
    assert (call.cost_usd, call.cost_usd) == (Decimal("0.02"), Decimal("0.02"))
    assert asked == [call]


def test_a_call_of_an_older_file_reads_without_what_was_not_written_then():
    call = Call.from_dict({"index": 0, "model": "m", "source": "http", "status": "ok", "cost_usd": "0.5"})

    assert call.quote == Quote(cost_usd=Decimal("0.5"))
    assert (call.billed_usage, call.billed_items, call.quote.books) == (None, {}, ())


def test_what_a_later_version_adds_to_a_price_is_passed_over():
    plain = {"index": 0, "model": "m", "source": "http", "status": "ok", "price": {"source": "b, e", "later": 1}}

    assert Call.from_dict(plain).quote == Quote(source="b, e")


def test_the_books_of_a_price_without_their_entries():
    quote = Quote(
        source="genai-prices 0.2.3, openai/o3, since 2025-06-10; prices.toml:7; genai-prices 0.2.3, openai/o4"
    )

    assert quote.books == ("genai-prices 0.2.3", "prices.toml:7")


def test_what_is_billed_by_the_piece_adds_up():
    calls = [Call(index=i, usage=TokenUsage.of(1, 1), billed_items={"web_search": 2}) for i in range(3)]

    assert summed_usage(calls)["billed_items"] == {"web_search": 6}
    assert "billed_items" not in summed_usage([Call(index=0, usage=TokenUsage.of(1, 1))])


def test_a_call_without_a_pricer_is_unpriced_not_free():
    assert Call(index=0, usage=TokenUsage.of(10, 5)).cost_usd is None


def test_what_langchain_reported_is_kept_to_the_letter():
    reported = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"flex": 3, "audio": 0},
    }
    call = Call(index=0, reported=reported, reported_model="gpt-4o")

    assert Call.from_dict(json.loads(json.dumps(call.to_dict()))).reported == reported


def test_a_cost_survives_without_rounding():
    cost = Decimal("0.000000012345678901234567890123456789")
    call = Call(index=0, usage=TokenUsage.of(1, 0), pricer=lambda _: Quote(cost_usd=cost))

    assert Call.from_dict(call.to_dict()).cost_usd == cost


def test_calls_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Call(index=0).model = "another"


# -- ledgers -----------------------------------------------------------------------------------------------------


@given(ledgers(), ledgers(), ledgers())
def test_ledgers_add_up_in_order_and_are_numbered_anew(one, two, three):
    total = one + two + three

    assert [call.index for call in total.calls] == list(range(len(one.calls) + len(two.calls) + len(three.calls)))
    assert [call.model for call in total.calls] == [call.model for part in (one, two, three) for call in part.calls]
    assert total == one + (two + three) == sum([one, two, three]) == sum([one, two, three], Ledger())


@given(ledgers(), ledgers())
def test_adding_leaves_costs_as_they_are(one, two):
    assert [call.cost_usd for call in (one + two).calls] == [
        call.cost_usd for part in (one, two) for call in part.calls
    ]


@given(ledgers())
def test_a_ledgers_plain_form_is_json_and_reads_back(ledger):
    assert Ledger.from_list(json.loads(json.dumps(ledger.to_list()))) == ledger


def test_only_ledgers_are_added():
    with pytest.raises(TypeError):
        Ledger() + 1
    with pytest.raises(TypeError):
        1 + Ledger()
