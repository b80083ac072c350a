"""Every documented response of the table in `documented` reads and costs as its row says."""

from collections import Counter
from decimal import Decimal

import pytest
from documented import ROWS

from pytest_llm_usage import wire
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.tracker.reconcile import wire_fields
from pytest_llm_usage.wire.providers import FLAVOURS

#: Prices are those of this day, 2026-09-01.
DAY = 1_788_220_800.0

params = pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])


@params
def test_a_documented_response_reads_as_documented(row):
    call = wire.read(row.exchange)

    assert call is not None
    assert (call.flavour, call.kind, call.provider) == (row.flavour, row.kind, row.provider)
    assert call.usage == row.expected_usage
    if call.usage is not None:
        # Equality passes over details of zero; which of them are there is told as well.
        assert dict(call.usage.input_token_details) == row.sent
        assert dict(call.usage.output_token_details) == row.received
    assert call.model == row.model
    assert call.billing.usage == row.expected_bill
    if not any(part.in_total for part in call.billing.parts):
        assert dict(call.billing.items) == row.items
    assert [
        (part.kind, part.model, part.usage.input_tokens, part.usage.output_tokens) for part in call.billing.parts
    ] == list(row.parts)
    assert call.billing.stated_cost_usd == (None if row.stated is None else Decimal(row.stated))
    billing = call.billing
    assert (billing.seller, billing.region, billing.service_tier) == (row.seller, row.region, row.tier)
    assert dict(billing.modifiers) == row.modifiers
    assert call.status == row.status
    assert row.note in call.note
    assert bool(call.note) == bool(row.note)


def bill(row):
    """What the arithmetic of a row comes to, in USD."""
    micros = Decimal(0)
    for line in row.cost.split(" + "):
        product = Decimal(1)
        for factor in line.split("*"):
            product *= Decimal(factor)
        micros += product
    return micros / 1_000_000


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.cost])
def test_a_documented_response_costs_as_documented(row):
    quote = PriceBook().quote(
        Call(index=0, source="http", **{**wire_fields(wire.read(row.exchange)), "started_at": DAY})
    )

    if row.cost == "unpriced":
        assert quote.cost_usd is None
        assert quote.reason
    else:
        assert quote.cost_usd == (Decimal(row.stated) if row.cost == "stated" else bill(row)), quote


def test_the_table_is_large_and_every_row_is_a_case_of_its_own():
    assert len(ROWS) >= 720
    assert [name for name, n in Counter(row.id for row in ROWS).items() if n > 1] == []
    assert all(row.source for row in ROWS)


def test_every_api_is_documented():
    # Without usage on the wire, or read in another row's place.
    assert {flavour.name for flavour in FLAVOURS} - {row.flavour for row in ROWS} == set()


def test_every_provider_with_a_host_is_documented():
    from pytest_llm_usage.wire.hosts import ENDPOINTS

    assert {provider for _, provider in ENDPOINTS} - {row.provider for row in ROWS} == set()
