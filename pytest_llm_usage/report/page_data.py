"""The data for the page's script: tests and their calls, as lists of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any

from pytest_llm_usage.budget.limits import BUDGET_KINDS
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.report.cells import usage_cells
from pytest_llm_usage.report.data import RunData
from pytest_llm_usage.report.history import Trend
from pytest_llm_usage.text import percent, tokens, usd
from pytest_llm_usage.usage import TokenUsage

__all__ = ["PageExtras", "as_shown", "page_data", "pieces", "summed"]


@dataclass(frozen=True, kw_only=True)
class PageExtras:
    """What the page shows that is not in the run's data.

    Attributes:
        trend: The last runs of the history; None if none is kept.
        bodies: By test, what was recorded of each of its calls, see `bodies.call_bodies`.
    """

    trend: Trend | None = None
    bodies: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def page_data(data: RunData, by_test: Mapping[str, Sequence[Call]], extras: PageExtras | None = None) -> dict[str, Any]:
    """The tests, those that used most first, and the models, price sources and texts that their calls refer to by number.

    Each text is stored once, however many calls have it, so the page is small and a search reads each text once.

    Args:
        data: The run.
        by_test: Its `calls_by_test`.
        extras: What else the page shows.
    """
    named = _Named()
    tests = [_test(name, record, by_test[name], named) for name, record in data["tests"].items()]
    for test in tests:
        if extras is not None and test["name"] in extras.bodies:
            test["bodies"] = extras.bodies[test["name"]]
    tests.sort(key=lambda test: -sum(test["pieces"]))
    most = max((sum(test["pieces"]) for test in tests), default=0)
    lists = {"models": list(named.models), "sources": list(named.sources), "texts": list(named.texts)}
    return lists | {"most": most, "tests": tests}


def summed(calls: Sequence[Call]) -> TokenUsage:
    """The known tokens of calls."""
    return TokenUsage.summed(call.usage for call in calls if call.is_billed and call.usage is not None)


def pieces(usage: TokenUsage) -> tuple[int, int, int, int]:
    """Input, cached input, output and reasoning, none of them part of another."""
    cached = min(usage.input_token_details.get("cache_read", 0), usage.input_tokens)
    reasoning = min(usage.output_token_details.get("reasoning", 0), usage.output_tokens)
    return usage.input_tokens - cached, cached, usage.output_tokens - reasoning, reasoning


@dataclass(frozen=True, slots=True)
class _Named:
    """What calls refer to by number, each in the order of its first appearance."""

    models: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)


def _number(names: dict[str, int], name: str) -> int:
    return names.setdefault(name, len(names))


def _test(name: str, record: Mapping[str, Any], calls: Sequence[Call], named: _Named) -> dict[str, Any]:
    times = [(call.started_at, call.started_at + (call.duration_s or 0)) for call in calls if call.started_at]
    seconds = max(end for _, end in times) - min(start for start, _ in times) if times else 0.0
    return {
        "name": name,
        "outcome": record.get("outcome", ""),
        "pieces": pieces(summed(calls)),
        "cells": [as_shown(cell) for cell in usage_cells(calls)],
        "seconds": round(seconds, 3) if times and isfinite(seconds) else None,
        "budget": _budget(record.get("budget", ()), calls),
        "calls": [_call(call, named, times[0][0] if times else 0.0) for call in calls],
        "notes": [f"{item['model']}: {item['reason']}" for item in record.get("discrepancies", ())],
    }


def as_shown(cell: str) -> str:
    """A number as the page shows it."""
    return cell.replace(">=", "≥ ").replace("<=", "≤ ")


def _budget(limits: Sequence[Mapping[str, Any]], calls: Sequence[Call]) -> tuple[float, str, bool] | None:
    """The limit of which most was used: its share, in words, and whether more may have been used; None without a limit.

    An exceeded limit comes first, then one of which more may have been used, then one that was kept.
    """
    shares = []
    for item in limits:
        spent, limit = Decimal(item["spent"]), Decimal(item["limit"])
        share = EXACT.divide(spent, limit) if limit else Decimal(spent > 0)
        is_least = _is_least(item, calls)
        words = f"{item['name']}: {'at least ' if is_least else ''}{spent:,f} of {limit:,f} ({percent(spent, limit)})"
        shares.append((share > 1, is_least, float(share), words))
    if not shares:
        return None
    _, is_least, most, words = max(shares)
    return most, words, is_least


def _is_least(limit: Mapping[str, Any], calls: Sequence[Call]) -> bool:
    kind, model = BUDGET_KINDS.get(limit["name"]), limit.get("model")
    mine = [call for call in calls if model is None or fnmatchcase(call.model, model)]
    return kind is not None and any(kind.is_unknown(call) for call in mine)


def _call(call: Call, named: _Named, start: float) -> tuple[Any, ...]:
    notes = (call.node or "", "live" if call.live else "", call.note, call.quote.reason, *call.quote.notes)
    return (
        _number(named.models, call.model),
        _count(call),
        _cost(call),
        _number(named.texts, call.where or ""),
        _number(named.texts, "; ".join(filter(None, notes))),
        _rounded(call.started_at - start) if call.started_at else 0,
        _rounded(call.duration_s or 0),
        pieces(call.usage or TokenUsage()),
        _number(named.sources, call.quote.source),
    )


def _rounded(seconds: float) -> float:
    return round(max(seconds, 0), 3) if isfinite(seconds) else 0


def _count(call: Call) -> str:
    if call.usage is None:
        return {"error": "failed", "fake": "fake"}.get(call.status, "?")
    least = "≥ " if call.is_partial else ""
    return f"{least}{tokens(call.usage.total_tokens)}" if call.is_billed else "cached"


def _cost(call: Call) -> str:
    if call.usage is None or not call.is_billed:
        return ""
    return "?" if call.is_partial else f"{'≤ ' if call.quote.at_most else ''}{usd(call.cost_usd)}"
