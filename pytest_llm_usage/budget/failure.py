"""The failure message of a test that is over its budget: the verdict, and the table of its calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_llm_usage.budget.breaches import Breach
from pytest_llm_usage.budget.limits import BUDGET_KINDS
from pytest_llm_usage.text import columns, fitted, inert, plural, shortened, tokens, width

if TYPE_CHECKING:  # settings loads this module at every start of pytest
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.usage import TokenUsage

__all__ = ["call_lines", "failure_text"]


def call_lines(
    calls: Sequence[Call], stopped: Sequence[str] = (), *, mark: str | None = "max_tokens", columns_most: int = 0
) -> list[str]:
    """A table of calls, one line each: model, tokens and where it was made, the largest marked.

    Work that a provider lists separately has its own line below its call.

    Args:
        calls: The calls, in order.
        stopped: Where calls were stopped before they were sent; listed after the others.
        mark: The limit that decides which call is the largest (`max_cost` …); None marks none.
        columns_most: The columns of the terminal: models, then callsites are cut in their middle to fit. 0 for a table
            in a failure, where no callsite is cut.
    """
    rows: list[tuple[str, ...]] = [("#", "model", "input", "output", "total", "where")]
    sizes = [0 if mark is None or not call.is_billed else BUDGET_KINDS[mark].spent(call) for call in calls]
    largest = max(sizes, default=0)
    for call, size in zip(calls, sizes, strict=True):
        is_largest = largest and size == largest and len(calls) > 1 and sizes.count(largest) == 1
        where = (call.where or "") + ("   <- largest" if is_largest else "")
        rows.append((str(call.index + 1), call.model, *_counts(call), where))
        rows += [
            ("", f"+ {part.kind}: {part.model}", *_tokens_text(part.billing.usage or part.usage), "")
            for part in call.parts
            if not part.in_total
        ]
    if not columns_most:
        rows = fitted(rows, 1)
    else:
        room = columns_most - sum(max(width(row[i]) for row in rows) + 2 for i in (0, 2, 3, 4)) - 2
        place_width = min(max(width(row[5]) for row in rows), max(room - _NARROWEST, _NARROWEST))
        model_width = max(room - place_width, _NARROWEST)
        rows = [(row[0], shortened(row[1], model_width), *row[2:5], shortened(row[5], place_width)) for row in rows]
    table = columns(rows, "><>>><")
    number = max((call.index + 1 for call in calls), default=0)
    behind = table[0].index("where")
    return table + [
        f"{number + i}  stopped before it was sent".ljust(behind - 2) + f"  {where}"
        for i, where in enumerate(stopped, start=1)
    ]


#: No name is cut shorter.
_NARROWEST = 12


def _counts(call: Call) -> tuple[str, str, str]:
    if call.usage is None:
        state = {"error": "failed", "cached": "cached", "fake": "fake"}.get(call.status)
        return ("", "", state) if state else ("?", "?", "?")
    if not call.is_billed:
        return "", "", "cached"
    return _tokens_text(call.usage, ">=" if call.is_partial else "")


def _tokens_text(usage: TokenUsage, sign: str = "") -> tuple[str, str, str]:
    if usage.is_total_alone:
        return "?", "?", f"{sign}{tokens(usage.total_tokens)}"
    sent, received, total = map(tokens, (usage.input_tokens, usage.output_tokens, usage.total_tokens))
    return f"{sign}{sent}", f"{sign}{received}", f"{sign}{total}"


def failure_text(found: Sequence[Breach], calls: Sequence[Call], stopped: Sequence[str] = ()) -> str:
    """The verdict, a line for each limit that was exceeded, and below it the table of calls."""
    lines = [breach.verdict for breach in found]
    if calls or stopped:
        mark = found[0].name if BUDGET_KINDS[found[0].name].whole is None else None
        table = call_lines(calls, stopped, mark=mark)
        lines += ["", *(f"  {line}" for line in table)]
    if any(breach.at_most for breach in found):
        reasons = dict.fromkeys(note for call in calls if call.quote.at_most for note in call.quote.notes)
        lines += ["", *(f"  At most: {reason}" for reason in reasons)]
    if any(breach.name == "max_tool_schema_tokens" and breach.spent for breach in found):
        lines += ["", *(f"  {line}" for line in _tool_lines(calls))]
    whys = dict.fromkeys(why for breach in found for call in calls if (why := _why_unknown(breach, call)))
    lines += ["", *(f"  Unknown: {why}" for why in whys)] if whys else []
    if any(breach.name == "max_cost" and breach.unknown for breach in found):
        from pytest_llm_usage.billing import price_file_lines  # noqa: PLC0415 -- as above

        unpriced = [call for call in calls if call.usage is not None and not call.is_partial and call.cost_usd is None]
        reasons = dict.fromkeys(call.quote.reason or f"no price is known for {call.model}" for call in unpriced)
        lines += ["", *(f"  Unpriced: {reason}" for reason in reasons)] if reasons else []
        lines += [f"  {line}" for line in price_file_lines(call.quote.fix for call in unpriced)]
    return "\n".join(map(inert, lines))


def _why_unknown(breach: Breach, call: Call) -> str:
    from pytest_llm_usage.ledger import NOT_READ, USAGE_NOT_ASKED  # noqa: PLC0415 -- settings loads this module at every start of pytest

    kind = BUDGET_KINDS[breach.name]
    if (
        breach.unknown
        and call.is_unknown
        and call.usage is None
        and (USAGE_NOT_ASKED in call.note or NOT_READ in call.note)
    ):
        return call.note
    return kind.why_unknown(call) if breach.unknown and call.is_billed and kind.is_unknown(call) else ""


def _tool_lines(calls: Iterable[Call]) -> list[str]:
    """The schemas that were sent, the largest first: the tokens of each in all calls, and how many calls sent it."""
    sizes: dict[str, list[int]] = {}
    for call in calls:
        for name, size in (call.input_by_part.tools_by_name if call.input_by_part is not None else {}).items():
            sizes.setdefault(name, []).append(size)
    ranked = sorted(sizes.items(), key=lambda item: -sum(item[1]))
    rows = [(name, f"~{sum(found):,}", f"in {plural(len(found), 'call')}") for name, found in ranked]
    return columns([("tool", "tokens", ""), *rows], "<><")
