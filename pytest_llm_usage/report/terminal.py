"""The section `LLM usage` at the end of a run, in 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from textwrap import wrap

from pytest_llm_usage.budget import call_lines
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.text import columns, percent, plural, tokens, usd
from pytest_llm_usage.usage import TokenUsage

__all__ = ["section_lines"]

#: Tests above this share of a limit are listed beside those over it.
_NEAR = Decimal("0.8")
_WIDTH = 80
_BAR_WIDTH = 13


def section_lines(run: Run, detail: str, *, bar: str = "#", audit: bool = True) -> list[str]:
    """The lines of the section; none where no model was called.

    Args:
        run: What was spent.
        detail: `models`, `tests`, `calls` (each with the lines of those before it) or `off`.
        bar: What bars are drawn with.
        audit: Whether to tell what LangChain and the providers disagree on.
    """
    calls = run.calls
    if not calls or detail == "off":
        return []
    lines = _models(calls)
    if run.shared.calls:
        lines += ["", f"shared fixtures: {_summary(run.shared.calls)}, in the total, in no test"]
    if detail in ("tests", "calls"):
        lines += ["", *_tests(run.records, detail == "calls")]
    lines += _budgets(run.records, bar)
    if audit:
        lines += _discrepancies(run.records)
    return lines


# -- by model --------------------------------------------------------------------------------------------------

_HEAD = ("model", "calls", "input", "cached", "output", "reason.", "USD")


def _models(calls: Sequence[Call]) -> list[str]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        name = f"{call.model} (http)" if call.source == "http" else call.model
        groups.setdefault(name, []).append(call)
    rows = [_HEAD, *((name, *_row(group)) for name, group in sorted(groups.items())), ("total", *_row(calls))]
    taken = sum(max(len(row[i]) for row in rows) + 2 for i in range(1, len(_HEAD)))
    rows = [(_shortened(row[0], _WIDTH - taken), *row[1:]) for row in rows]
    lines = columns(rows, "<>>>>>>")
    notes = _notes(calls)
    return lines + [note.rjust(min(_WIDTH, max(map(len, lines)))) for note in notes]


def _row(calls: Sequence[Call]) -> tuple[str, ...]:
    billed = [call for call in calls if call.is_billed]
    usage = sum((call.usage for call in billed if call.usage is not None), TokenUsage())
    unknown = sum(call.is_unknown for call in billed)
    known = any(call.usage is not None for call in billed)

    def shown(value: int) -> str:
        if unknown:
            return f">={tokens(value)}" if known else "?"
        return tokens(value) if value else "-"

    costs = [call.cost_usd for call in billed if call.usage is not None or call.is_unknown]
    priced = [cost for cost in costs if cost is not None]
    price = "-" if not costs else usd(sum(priced, Decimal(0))) if priced else "?" if unknown else "unpriced"
    if priced and len(priced) < len(costs):
        price = f">={price}"
    return (
        tokens(len(billed)),
        shown(usage.input_tokens),
        tokens(usage.input_token_details.get("cache_read", 0) or None).replace("?", "-"),
        shown(usage.output_tokens),
        tokens(usage.output_token_details.get("reasoning", 0) or None).replace("?", "-"),
        price,
    )


def _notes(calls: Sequence[Call]) -> Iterable[str]:
    unpriced = [call for call in calls if call.usage is not None and call.is_billed and call.cost_usd is None]
    unknown = [call for call in calls if call.is_unknown]
    cached = [call for call in calls if not call.is_billed]
    if unpriced:
        yield f"and {plural(len(unpriced), 'unpriced call')}"
    if unknown:
        yield f"and {plural(len(unknown), 'call')} of unknown usage: {_where(unknown)}"
    if cached:
        yield f"and {plural(len(cached), 'answer')} of LangChain's cache, not counted"


def _where(calls: Sequence[Call]) -> str:
    places = list(dict.fromkeys(call.where or call.model for call in calls))
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{places[0]}{more}"


def _shortened(name: str, width: int) -> str:
    """`name` in `width` columns, without its middle where it is longer: both ends tell models apart."""
    width = max(width, 12)
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def _summary(calls: Sequence[Call]) -> str:
    row = _row(calls)
    return f"{row[0]} {'call' if row[0] == '1' else 'calls'}, {row[1]} input, {row[3]} output, {row[5]} USD"


# -- by test ---------------------------------------------------------------------------------------------------


def _tests(records: Sequence[TestRecord], with_calls: bool) -> list[str]:
    rows = [("test", "calls", "input", "output", "USD")]
    for test in records:
        row = _row(test.ledger.calls)
        rows.append((test.nodeid, row[0], row[1], row[3], row[5]))
    taken = sum(max(len(row[i]) for row in rows) + 2 for i in range(1, 5))
    rows = [(_shortened(row[0], _WIDTH - taken), *row[1:]) for row in rows]
    head, *lines = columns(rows, "<>>>>")
    if not with_calls:
        return [head, *lines]
    detailed = [head]
    for test, line in zip(records, lines, strict=True):
        detailed += [line, *(f"    {call}" for call in call_lines(test.ledger.calls))]
    return detailed


# -- the two books ---------------------------------------------------------------------------------------------

_MOST_DISCREPANCIES = 5


def _discrepancies(records: Sequence[TestRecord]) -> list[str]:
    found = [(test.nodeid, item) for test in records for item in test.discrepancies]
    if not found:
        return []
    lines = ["", f"LangChain and the provider disagree on {plural(len(found), 'call')}; the provider's numbers count:"]
    for nodeid, item in found[:_MOST_DISCREPANCIES]:
        lines += wrap(f"{nodeid}, {item.model}: {item.reason}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    if len(found) > _MOST_DISCREPANCIES:
        lines.append(f"  and {len(found) - _MOST_DISCREPANCIES} more: llm_usage.discrepancies in the test")
    return lines


# -- budgets ---------------------------------------------------------------------------------------------------


def _budgets(records: Sequence[TestRecord], bar: str) -> list[str]:
    groups: dict[tuple[str, str, Decimal], list[tuple[TestRecord, Spent]]] = {}
    for test in records:
        for spent in test.budget:
            groups.setdefault((spent.origin, spent.name, spent.limit), []).append((test, spent))
    lines: list[str] = []
    for (origin, name, limit), members in groups.items():
        shown = sorted((m for m in members if m[1].share > _NEAR), key=lambda member: -member[1].share)
        if not shown:
            continue
        over = sum(spent.is_over for _, spent in shown)
        limit_text = f"{origin}={limit:,}" if origin.startswith("--") else f"{origin} {name}={limit:,}"
        lines.append(f"{limit_text}: {over} over, {len(shown) - over} above 80 % of {plural(len(members), 'test')}")
        amount: Callable[[Decimal], str] = usd if name == "max_cost" else lambda value: tokens(int(value))
        most = max(spent.share for _, spent in shown)
        lines += [
            f"  {line}"
            for line in columns(
                [
                    (
                        _shortened(test.nodeid, 40),
                        amount(spent.spent),
                        bar * max(1, round(_BAR_WIDTH * spent.share / most)),
                        percent(spent.spent, spent.limit),
                    )
                    for test, spent in shown
                ],
                "<><>",
            )
        ]
    return ["", *lines] if lines else []
