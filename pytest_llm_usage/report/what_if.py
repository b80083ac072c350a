"""What a run would cost on another model, at the counts that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pytest_llm_usage.billing import Billing
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.ledger import Call, Quotes
from pytest_llm_usage.money import total
from pytest_llm_usage.report.data import RunData, calls_in
from pytest_llm_usage.text import columns, percent, plural, told_apart, usd, width, wrapped

__all__ = ["what_if_lines"]

_MOST_ROWS = 20
_SHORTEST_NAME = 12
#: What the numbers do not say.
_GUESS = "Another model counts the same text differently and answers at another length: this is a first guess."


def what_if_lines(
    data: RunData, model: str, provider: str | None, prices: Quotes, at: float, columns_most: int
) -> list[str]:
    """A table of the tests, those that would cost most first, and what the numbers do not say.

    Args:
        data: The run.
        model: The other model.
        provider: Who sells it; None for the provider of each call.
        prices: The price book.
        at: The day of the price, in seconds since the epoch.
        columns_most: How long a line may be.

    Raises:
        ConfigurationError: No price is known for the model.
    """
    rows = []
    for test, record in data["tests"].items():
        calls = [call for call in calls_in(record) if call.is_billed and call.usage is not None and not call.is_partial]
        if calls:
            rows.append(
                (test, _cost(calls), _cost([_on_other_model(call, model, provider, prices, at) for call in calls]))
            )
    if not rows:
        return ["no test called a model with known usage"]
    rows.sort(key=lambda row: -(row[2] or 0))
    now, other = (_total([row[i] for row in rows]) for i in (1, 2))
    cells = [("now", "then", ""), *((usd(row[1]), usd(row[2]), _by(row[1], row[2])) for row in rows[:_MOST_ROWS])]
    cells.append((usd(now), usd(other), _by(now, other)))
    room = columns_most - sum(2 + max(map(width, column)) for column in zip(*cells, strict=True))
    names = ["test", *told_apart([row[0] for row in rows[:_MOST_ROWS]], max(room, _SHORTEST_NAME))]
    lines = columns([(name, *row) for name, row in zip([*names, "all"], cells, strict=True)], "<>>>")
    if len(rows) > _MOST_ROWS:
        lines.insert(-1, f"and {plural(len(rows) - _MOST_ROWS, 'more test')}")
    return [
        f"USD now, and then on {model}, at the recorded counts",
        "",
        *lines,
        "",
        *wrapped(_GUESS, columns_most),
    ]


def _on_other_model(call: Call, model: str, provider: str | None, prices: Quotes, at: float) -> Call:
    moved = replace(
        call,
        model=model,
        requested_model=None,
        provider=provider or call.provider,
        billing=Billing(priced_at=at),
        _quotes=prices,
    )
    if moved.cost_usd is None:
        raise ConfigurationError(f"--as={model}: {moved.quote.reason or 'no price is known'}")
    return moved


def _cost(calls: Sequence[Call]) -> Decimal | None:
    return _total([call.cost_usd for call in calls])


def _total(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return total(known) if len(known) == len(costs) else None


def _by(now: Decimal | None, other: Decimal | None) -> str:
    if now is None or other is None or not now or now == other:
        return ""
    return f"{'+' if other > now else '-'}{percent(abs(other - now), now)}"
