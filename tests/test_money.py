"""Amounts are exact: whatever the decimal context, in whatever order, and wherever in the package they are added."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import usd

from pytest_llm_usage import money
from pytest_llm_usage.billing import Billing, Quote
from pytest_llm_usage.budget.amounts import parse_count
from pytest_llm_usage.budget.breaches import breaches, spending
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.compare import Spending, Tolerances, change_lines, compare_usage
from pytest_llm_usage.ledger import Call, summed_usage
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.report.cells import usage_cells
from pytest_llm_usage.text import percent
from pytest_llm_usage.text import usd as shown
from pytest_llm_usage.tracker import Tracker
from pytest_llm_usage.usage import TokenUsage

#: Wider than any context people set, and than the default one.
amounts = usd | st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=30)


@pytest.fixture(autouse=True, params=[1, 3, 28])
def _context(request):
    """The context that the code under test may have set."""
    with decimal.localcontext(prec=request.param):
        yield


def exactly(values):
    with decimal.localcontext(prec=400):
        return sum(values, Decimal(0))


def paid(cost, index=0, **fields):
    fields.setdefault("usage", TokenUsage.from_counts(10, 5))
    return Call(index=index, model="m", _quotes=Quote(cost_usd=cost), **fields)


@given(st.lists(amounts, max_size=6))
def test_a_total_is_exact_and_short(values):
    total = money.total(values)
    assert total == exactly(values)
    assert money.plain(total) == money.plain(money.normal(total))
    assert "E" not in money.plain(total)


@pytest.mark.parametrize(
    ("amount", "short"),
    [
        ("1000", "1000"),
        ("10", "10"),
        ("1.20E+5", "120000"),
        ("1.500", "1.5"),
        ("7.00", "7"),
        ("0.00", "0"),
        ("0E+3", "0"),
    ],
)
def test_the_shortest_form_has_no_trailing_zero_and_no_exponent(amount, short):
    assert str(money.normal(Decimal(amount))) == short


@given(st.lists(amounts, min_size=1, max_size=6))
def test_every_sum_of_costs_is_the_same_and_exact(values):
    calls = [paid(value, index) for index, value in enumerate(values)]
    total = exactly(values)
    usage = {"m": summed_usage(calls)}

    assert Decimal(usage["m"]["cost_usd"]) == total
    assert Spending.from_usage(usage).cost_usd == total
    ((_, _, spent, _),) = spending(Limits(max_cost=Decimal(0)), calls)
    assert spent == total
    assert breaches(Limits(max_cost=total), calls) == []
    assert usage_cells(calls)[-1] == usage_cells([paid(total)])[-1]


@given(st.lists(amounts, min_size=1, max_size=6))
def test_the_cost_of_a_test_is_exact(values):
    tracker = Tracker()
    calls = tuple(paid(value, index) for index, value in enumerate(values))
    tracker.calls = lambda: calls
    assert tracker.usage.cost == exactly(values)


@given(amounts, amounts)
def test_a_move_is_exact(was, now):
    (change,) = compare_usage({"m": {"cost_usd": money.plain(was)}}, {"m": {"cost_usd": money.plain(now)}})
    assert change["cost_usd"].by == exactly([now, was.copy_negate()])
    assert change_lines([change]) or was == now


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 9))
def test_parts_add_up(sent, received, searches):
    call = Call(
        index=0,
        provider="openai",
        model="gpt-5.4",
        usage=TokenUsage.from_counts(sent, received),
        billing=Billing(items={"web_search": searches}, priced_at=1_790_000_000),
    )
    price = PriceBook.from_sources(
        {"models": {"gpt-5.4": {"input": "0.123456789", "output": 3, "web_search": "0.0123456789"}}}
    ).quote(call)
    assert price.cost_usd == exactly(line.amount_usd for line in price.lines)
    with decimal.localcontext(prec=400):
        assert price.cost_usd == (
            Decimal("0.123456789") * sent / 10**6 + Decimal(3) * received / 10**6 + Decimal("0.0123456789") * searches
        )


def test_a_price_without_end_is_cut_alike_in_every_context():
    third = {"models": {"m": {"audio_second": "0." + "3" * 50}}}
    call = Call(index=0, model="m", usage=TokenUsage(), billing=Billing(items={"audio_second": 3}, priced_at=0))
    quote = PriceBook.from_sources(third).quote(call)
    assert quote.cost_usd == 1
    assert [money.plain(line.usd_per_million) for line in quote.lines] == ["333333.333333333333"]


def test_what_is_read_and_shown_is_not_rounded_either():
    assert parse_count("1.2345M", "tokens") == 1_234_500
    assert shown(Decimal("1234567.123456")) == "1,234,567.12346"
    assert percent(Decimal("1.2345"), 10) == "12 %"
    assert str(Tolerances.parse("cost:1.2345%").named["cost"]) == "1.2345 %"
