"""The plan: what recording the stale tests again will cost, printed before anything is sent."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from pytest_llm_usage.cassettes.rerecording import Amount
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.plugin.session_budget import PlannedSpending
from pytest_llm_usage.text import columns, dollars, plural, told_apart, usd, width

__all__ = ["outcome_line", "plan_lines", "planned_spending"]

_MOST_ROWS = 20
_LONGEST_NAME = 40
_READABLE_NAME = 20
_SHORTEST_NAME = 12
_NARROWEST = 40
#: A range is rounded outwards, so that what is spent stays inside it.
_SMALLEST_USD = Decimal("0.00001")
_HOW = (
    "from: the request that changed is sent, its answer is half as long as recorded, and what comes after it matches",
    "to: every call after it is sent as well, answers are twice as long, and nothing is read from a prompt cache",
    "not included: calls beyond those in the recording; they are unknown until it is recorded",
)


def _sums(plans: Iterable[Mapping[str, Any]], place: int) -> tuple[Amount, bool]:
    """The sum of the known amounts in all plans, and whether every amount is known."""
    amount, is_known = Amount(), True
    for plan in plans:
        is_known = is_known and plan["is_known"]
        for row in plan["models"].values():
            is_known = is_known and row[place] is not None
            if row[place] is not None:
                amount += Amount.from_list(row[place])
    return amount, is_known


def plan_lines(plans: Mapping[str, Mapping[str, Any]], columns_most: int = 80) -> list[str]:
    """The plan in words.

    Args:
        plans: By test, what `Rerecording.to_dict` gives.
        columns_most: How wide the terminal is.
    """
    rows = [
        (test, model, row)
        for test, plan in plans.items()
        for model, row in (plan["models"] or {"": [0, None, None]}).items()
    ]
    hidden = rows[_MOST_ROWS:]
    cells: list[tuple[str, ...]] = [("test", "model", "calls", "USD", "from", "to")]
    for test, model, row in rows[:_MOST_ROWS]:
        cells.append((test, model or "?", *_cells(row, is_known=plans[test]["is_known"])))
    models = sorted({model for _, model, _ in rows if model})
    for model in models if len(models) > 1 else ():
        of_model = [{"is_known": True, "models": {model: row}} for _, name, row in rows if name == model]
        cells.append(("all of", model, *_total(of_model)))
    cells.append(("all", "", *_total([*plans.values()])))
    alone = models[0] if len(models) == 1 and all(model for _, model, _ in rows) else ""
    if alone:
        # The title names the only model, which leaves room for the names of the tests.
        cells = [(test, "", *numbers) for test, _, *numbers in cells]
    lines = columns(_fitting(cells, columns_most), "<<>>>>" if not alone else "<>>>>")
    if hidden:
        lines.insert(1 + _MOST_ROWS, f"and {plural(len(hidden), 'more row')}")
    new = [test for test, plan in plans.items() if not plan["is_known"]]
    notes = [*_HOW]
    if new:
        notes.append(f"?: not known, because requests are new: {', '.join(new[:3])}{' …' if len(new) > 3 else ''}")
    told = [
        line for note in notes for line in textwrap.wrap(note, max(columns_most, _NARROWEST), subsequent_indent="  ")
    ]
    title = f"Plan: recording {plural(len(plans), 'stale test')} again{f', with {alone}' if alone else ''}"
    return [title, "", *lines, "", *told]


def _fitting(rows: Sequence[tuple[str, ...]], columns_most: int) -> list[tuple[str, ...]]:
    """The rows, with tests and models cut to the width that the numbers leave, and without an empty model column."""
    test, model, *numbers = (max(map(width, column)) for column in zip(*rows, strict=True))
    room = columns_most - sum(2 + number for number in numbers)
    if not model:
        names = told_apart([row[0] for row in rows], max(_SHORTEST_NAME, room))
        return [(name, *row[2:]) for name, row in zip(names, rows, strict=True)]
    room -= 2
    for_test = max(_SHORTEST_NAME, min(test, _LONGEST_NAME, max(room - model, min(_READABLE_NAME, room // 2))))
    for_model = max(_SHORTEST_NAME, min(model, room - for_test))
    names, models = (told_apart([row[i] for row in rows], most) for i, most in ((0, for_test), (1, for_model)))
    return [(name, model, *row[2:]) for name, model, row in zip(names, models, rows, strict=True)]


def outcome_line(plans: Mapping[str, Mapping[str, Any]], sent: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """What recording cost, compared with the plan: an agent may have made more calls than its recording had.

    Args:
        plans: By test, what `Rerecording.to_dict` gives.
        sent: By test, what `note_sent` notes for each of its cassettes.
    """
    costs = [cost for rows in sent.values() for _, cost, _ in rows]
    if None in costs:
        return "What recording cost is not known: calls are unpriced or reported no usage"
    took = total(map(Decimal, costs))
    planned, is_known = _sums(plans.values(), 2)
    longer = []
    for test, rows in sent.items():
        made, expected = sum(count for *_, count in rows), sum(row[0] for row in plans[test]["models"].values())
        if made > expected > 0:
            longer.append(f"{test} ({plural(made, 'call')}, {expected:,} planned)")
    text = f"Recording took {dollars(took)}"
    if took > planned.most and is_known:
        text += ", more than the plan"
    elif took < planned.least:
        text += ", less than the plan"
    elif is_known:
        text += ", within the plan"
    if longer:
        text += f"; more calls than recorded before: {', '.join(longer[:3])}{' …' if len(longer) > 3 else ''}"
    return text


def _cells(row: list[Any], *, is_known: bool) -> tuple[str, str, str, str]:
    count, _, cost = row
    if cost is None:
        unknown = "unpriced" if count else "?"
        return str(count or "?"), unknown, "", ""
    amount = Amount.from_list(cost)
    return f"{'' if is_known else '>='}{count:,}", usd(amount.likely), _from(amount), _to(amount) if is_known else "?"


def _total(plans: Sequence[Mapping[str, Any]]) -> tuple[str, str, str, str]:
    amount, is_known = _sums(plans, 2)
    calls = sum(row[0] for plan in plans for row in plan["models"].values())
    if not is_known and not amount.most:
        return str(calls or "?"), "not known", "", ""
    likely = usd(amount.likely)
    if not is_known:
        likely = ">0" if likely[0] == "<" else f">={likely}"
    at_least = "" if all(plan["is_known"] for plan in plans) else ">="
    return f"{at_least}{calls:,}", likely, _from(amount), _to(amount) if is_known else "?"


def _from(amount: Amount) -> str:
    # An amount too small to show is not shown as 0 either.
    return usd(max(amount.least.quantize(_SMALLEST_USD, ROUND_FLOOR, EXACT), min(amount.least, _SMALLEST_USD)))


def _to(amount: Amount) -> str:
    return usd(amount.most.quantize(_SMALLEST_USD, ROUND_CEILING, EXACT))


def planned_spending(plans: Sequence[Mapping[str, Any]]) -> PlannedSpending:
    """What recording will take by these plans.

    Args:
        plans: What `Rerecording.to_dict` gives, for each stale test.
    """
    (tokens, knows_tokens), (cost, knows_cost) = _sums(plans, 1), _sums(plans, 2)
    return PlannedSpending(len(plans), tokens.most, cost.most, is_known=knows_tokens and knows_cost)
