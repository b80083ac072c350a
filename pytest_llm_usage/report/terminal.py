"""The section `LLM usage` at the end of a run, in 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from textwrap import wrap

from pytest_llm_usage.budget import call_lines
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.text import columns, percent, plural, shortened, tokens, usd, width

__all__ = ["section_lines"]

#: Tests above this share of a limit are listed beside those over it.
_NEAR = Decimal("0.8")
_WIDTH = 80
#: No name is cut shorter, however wide the numbers are.
_NARROWEST = 12
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
        lines += [
            "",
            *wrap(f"shared fixtures: {_summary(run.shared.calls)}, counted in the total, not in a test", _WIDTH),
        ]
    if detail in ("tests", "calls"):
        lines += ["", *_tests(run.records, detail == "calls")]
    lines += _budgets(run.records, bar)
    if audit:
        lines += _discrepancies(run.records)
    return lines


# -- by model --------------------------------------------------------------------------------------------------

_HEAD = ("model", "calls", "input", "cached", "output", "reason.", "USD")


def _models(calls: Sequence[Call]) -> list[str]:
    rows = [_HEAD, *model_rows(calls)]
    taken = sum(max(len(row[i]) for row in rows) + 2 for i in range(1, len(_HEAD)))
    rows = [(shortened(row[0], max(_WIDTH - taken, _NARROWEST)), *row[1:]) for row in rows]
    lines = columns(rows, "<>>>>>>")
    edge = min(_WIDTH, max(map(width, lines)))
    remarks = [line for note in notes(calls) for line in wrap(note, _WIDTH)]
    lines += [" " * (edge - width(note)) + note for note in remarks]
    return lines + _unpriced(calls)


_MOST_REASONS = 3


def _unpriced(calls: Sequence[Call]) -> list[str]:
    """Why calls have no price, and the line of the price file that settles it, where it fits: half of it helps nobody."""
    reasons = list(unpriced_reasons(calls))
    lines = []
    for reason, fix in reasons[:_MOST_REASONS]:
        told = wrap(f"unpriced: {reason}", _WIDTH, subsequent_indent="  ")
        lines += [shortened(line, _WIDTH) for line in told]  # Wide characters take more room than they are.
        lines += [f"  {fix}"] if fix and width(fix) <= _WIDTH - 2 else []
    if more := reasons[_MOST_REASONS:]:
        lines.append(f"and for {plural(len(more), 'reason')} more: llm_usage.explain_cost() in the test")
    return lines


def _summary(calls: Sequence[Call]) -> str:
    row = usage_cells(calls)
    return f"{row[0]} {'call' if row[0] == '1' else 'calls'}, {row[1]} input, {row[3]} output, {row[5]} USD"


# -- by test ---------------------------------------------------------------------------------------------------


def _tests(records: Sequence[TestRecord], with_calls: bool) -> list[str]:
    rows = [("test", "calls", "input", "output", "USD")]
    for test in records:
        row = usage_cells(test.ledger.calls)
        rows.append((test.nodeid, row[0], row[1], row[3], row[5]))
    taken = sum(max(len(row[i]) for row in rows) + 2 for i in range(1, 5))
    rows = [(shortened(row[0], max(_WIDTH - taken, _NARROWEST)), *row[1:]) for row in rows]
    head, *lines = columns(rows, "<>>>>")
    if not with_calls:
        return [head, *lines]
    detailed = [head]
    for test, line in zip(records, lines, strict=True):
        detailed += [line, *call_lines(test.ledger.calls, mark=None, columns_most=_WIDTH)]
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
    groups: dict[tuple[str, str, Decimal, str | None], list[tuple[TestRecord, Spent]]] = {}
    for test in records:
        for spent in test.budget:
            groups.setdefault((spent.origin, spent.name, spent.limit, spent.model), []).append((test, spent))
    lines: list[str] = []
    for (origin, name, limit, model), members in groups.items():
        # All of the calls that may be made is what most tests are meant to make.
        near = _NEAR if name != "max_calls" else Decimal(1)
        shown = sorted((m for m in members if m[1].share > near), key=lambda member: -member[1].share)
        if not shown:
            continue
        over = sum(spent.is_over for _, spent in shown)
        said = ", ".join(
            f"{count} {what}" for count, what in ((over, "over"), (len(shown) - over, "above 80 %")) if count
        )
        limit_text = f"{origin}={limit:,}" if origin.startswith("--") else f"{origin} {name}={limit:,}"
        limit_text += f" of {model}" if model else ""
        lines += wrap(f"{limit_text}: {said} of {plural(len(members), 'test')}", _WIDTH, break_on_hyphens=False)
        amount: Callable[[Decimal], str] = usd if name == "max_cost" else lambda value: tokens(int(value))
        most = max(spent.share for _, spent in shown)
        lines += [
            f"  {line}"
            for line in columns(
                [
                    (
                        shortened(test.nodeid, 40),
                        amount(spent.spent),
                        bar * max(1, round(EXACT.divide(EXACT.multiply(_BAR_WIDTH, spent.share), most))),
                        percent(spent.spent, spent.limit),
                    )
                    for test, spent in shown
                ],
                "<><>",
            )
        ]
    return ["", *lines] if lines else []
