"""What reports note below their numbers about prices."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.report.cells import notes, unpriced_reasons, usage_cells
from pytest_llm_usage.usage import TokenUsage


def calls(*quotes):
    return [Call(index=index, usage=TokenUsage.from_counts(10, 5), _quotes=quote) for index, quote in enumerate(quotes)]


BOOK = Quote(cost_usd=Decimal("0.1"), source="genai-prices 0.2.3, openai/o3; genai-prices 0.2.3, openai/gpt-5")
OWN = Quote(cost_usd=Decimal("0.1"), source="prices.toml:7")


def test_one_book_is_named():
    assert list(notes(calls(BOOK, BOOK))) == ["prices: genai-prices 0.2.3"]


def test_of_several_books_how_many_calls_each_priced():
    assert list(notes(calls(OWN, BOOK, BOOK))) == ["prices: genai-prices 0.2.3 (2 calls), prices.toml:7 (1 call)"]


def test_a_stated_cost_that_the_book_does_not_have():
    stated = Quote(cost_usd=Decimal("0.005"), source="stated by x", book_usd=Decimal("0.012"), notes=("…",))
    agreed = Quote(cost_usd=Decimal("0.1"), source="stated by x", book_usd=Decimal("0.1"))

    assert list(notes(calls(stated, agreed, stated))) == [
        "0.01000 as stated for 2 calls, 0.02400 by the price book",
        "prices: stated by x",
    ]


def test_a_reason_is_given_once():
    lost = Quote(reason="nobody sells it", fix="line")

    assert list(unpriced_reasons(calls(lost, BOOK, lost, Quote()))) == [("nobody sells it", "line")]
    assert list(notes(calls(lost))) == ["and 1 unpriced call"]


@pytest.mark.parametrize(
    ("quotes", "shown"),
    [
        ([BOOK, BOOK], "0.20000"),
        ([BOOK, Quote(cost_usd=Decimal("0.1"), at_most=True)], "<=0.20000"),
        ([Quote(cost_usd=Decimal("0.000001"), at_most=True)], "<=0.00001"),
        ([BOOK, Quote(reason="?")], ">=0.10000"),
        ([BOOK, Quote(reason="?"), Quote(cost_usd=Decimal("0.1"), at_most=True)], "~0.20000"),
    ],
    ids=["exact", "at-most", "at-most-a-little", "at-least", "neither"],
)
def test_a_cost_that_is_a_bound_is_shown_as_one(quotes, shown):
    assert usage_cells(calls(*quotes))[-1] == shown


@pytest.mark.parametrize(
    ("quotes", "spent"),
    [
        ((BOOK, BOOK), "$0.20000 in 2 live calls"),
        ((BOOK, Quote()), ">=$0.10000 in 2 live calls"),
        ((Quote(cost_usd=Decimal("0.1"), at_most=True),), "<=$0.10000 in 1 live call"),
        ((Quote(cost_usd=Decimal("1E-9")),), "<$0.00001 in 1 live call"),
        ((Quote(cost_usd=Decimal("1E-9")), Quote()), ">$0 in 2 live calls"),
        ((Quote(),), "an unknown amount in 1 live call"),
    ],
)
def test_a_bound_stands_before_the_dollar(quotes, spent):
    assert f"spent in this run: {spent}" in notes([replace(call, live=True) for call in calls(*quotes)])
