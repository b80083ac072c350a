"""What changed between two usages, number by number, and whether a tolerance allows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from pytest_llm_usage import money
from pytest_llm_usage.compare.amounts import DETAILS, FIELDS, ITEMS, PARTS, PRICE_FROM, Number, Usage, Value, number
from pytest_llm_usage.compare.tolerance import NO_ROOM, NO_TOLERANCE, Tolerance, Tolerances

#: Numbers that follow from the other counts. They have a tolerance of their own only if one is named.
DERIVED = ("total_tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One number then and now; None is unknown (for `cost_usd`: unpriced).

    Attributes:
        name: `calls`, `input_tokens`, `cache_read`, `cost_usd`, `input_by_part.system`, `input_by_part.tools_by_name.search` …
        was: The number before; 0 if it was not there.
        now: The number now; 0 if it is not there.
        allowed: Whether the tolerance allows the move.
        tolerance: The tolerance that was applied.
        group: For a detail of the input or the output, which of the two (`input`, `output`).
        is_estimate: Whether it is an estimate.
    """

    name: str
    was: Value
    now: Value
    allowed: bool = True
    tolerance: Tolerance = NO_ROOM
    group: str | None = None
    is_estimate: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        """The number's identity within its model: the input and the output may both have `audio`."""
        return self.group, self.name

    @property
    def is_detail(self) -> bool:
        """Whether it is a part of the count before it."""
        return self.group is not None

    @property
    def label(self) -> str:
        """Its name without that of the mapping that it is in."""
        return self.name.removeprefix(f"{PARTS}.").removeprefix("tools_by_name.")

    @property
    def moved(self) -> bool:
        """Whether it changed at all."""
        return self.was != self.now

    @property
    def by(self) -> Number | None:
        """How far it moved, or None if that is not known."""
        if isinstance(self.was, int) and isinstance(self.now, int):
            return self.now - self.was
        if isinstance(self.was, int | Decimal) and isinstance(self.now, int | Decimal):
            return money.EXACT.subtract(Decimal(self.now), Decimal(self.was))
        return None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """What changed for one model.

    Attributes:
        model: Its name.
        status: `same`, `changed`, `new` (it was not called before) or `gone` (it is no longer called).
        fields: Every number that either side knows, moved or not, in the order of the files.
    """

    model: str
    status: Literal["same", "changed", "new", "gone"]
    fields: tuple[FieldChange, ...]

    @property
    def allowed(self) -> bool:
        """Whether every move is within its tolerance."""
        return all(item.allowed for item in self.fields)

    def __getitem__(self, name: str) -> FieldChange:
        return next((item for item in self.fields if item.name == name), FieldChange(name, 0, 0))


def compare_usage(was: Usage, now: Usage, tolerances: Tolerances = NO_TOLERANCE) -> tuple[ModelChange, ...]:
    """What changed from `was` to `now`, model by model in the order of names, and whether that is allowed."""
    return tuple(_compare_model(model, was.get(model), now.get(model), tolerances) for model in sorted({*was, *now}))


def is_within(changes: Iterable[ModelChange]) -> bool:
    """Whether every change is allowed."""
    return all(change.allowed for change in changes)


def _compare_model(
    model: str, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, tolerances: Tolerances
) -> ModelChange:
    status: Literal["same", "changed", "new", "gone"]
    changes = []
    for name, container in _field_names(was or {}, now or {}):
        group = DETAILS.get(container)
        tolerance, _named = tolerances.of_field(name, group)
        before, after = _value(was, name, container), _value(now, name, container)
        allowed = tolerance.allows(before, after) or (group is not None and tolerance.ratchet)
        changes.append(FieldChange(name, before, after, allowed, tolerance, group))
    changes += _part_changes((was or {}).get(PARTS), (now or {}).get(PARTS), tolerances, both=None not in (was, now))
    changes = _with_derived(changes, tolerances)
    if was is None or now is None:
        status = "new" if was is None else "gone"
    else:
        status = "changed" if any(change.moved for change in changes) else "same"
    return ModelChange(model, status, tuple(changes))


def _part_changes(was: Any, now: Any, tolerances: Tolerances, *, both: bool) -> list[FieldChange]:
    """The parts of the input then and now, if the usages have them.

    Args:
        was: The parts before; None if they were not written down.
        now: The parts now, likewise.
        tolerances: Each part has the tolerance of input tokens; a ratchet lets none of them rise.
        both: Whether the model was called then and is called now.
    """
    sides = [side if isinstance(side, Mapping) else {} for side in (was, now)]
    if both and bool(was) != bool(now):
        before, after = ("yes" if side else "no" for side in sides)
        return [FieldChange(PARTS, before, after, allowed=False)]
    before, after = (str(side.get(_COUNTER, "?")) for side in sides)
    if both and before != after:
        return [FieldChange(f"{PARTS}.{_COUNTER}", before, after, allowed=False)]
    flat = [_flat(side) for side in sides]
    changes = []
    for name in dict.fromkeys((*flat[1], *flat[0])):
        # A tool's own name may have dots.
        tolerance, _named = tolerances.of_field(name.removeprefix(f"{_TOOLS}."), "input")
        size_before, size_after = (_value(side, name) for side in flat)
        allowed = tolerance.allows(size_before, size_after)
        changes.append(
            FieldChange(f"{PARTS}.{name}", size_before, size_after, allowed, tolerance, "input", is_estimate=True)
        )
    return changes


_COUNTER = "estimated_by"
_TOOLS = "tools_by_name"


def _flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts as one flat mapping; each tool is named `tools_by_name.…`."""
    tools = parts.get(_TOOLS)
    flat: dict[str, Any] = {}
    for name, value in parts.items():
        if name == _TOOLS and isinstance(tools, Mapping):
            flat |= {f"{_TOOLS}.{tool}": size for tool, size in tools.items()}
        elif name != _COUNTER:
            flat[name] = value
    return flat


def _with_derived(changes: list[FieldChange], tolerances: Tolerances) -> list[FieldChange]:
    counts = [change for change in changes if change.name not in DERIVED]
    if not any(change.moved for change in counts) or not all(change.allowed for change in counts):
        return changes

    def follows(change: FieldChange) -> bool:
        tolerance, named = tolerances.of_field(change.name)
        return change.name in DERIVED and not named and not tolerance.ratchet and change.by is not None

    return [replace(change, allowed=True) if follows(change) else change for change in changes]


def _field_names(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name of every number on either side, and the mapping that it is in; empty if that is the model's own."""
    names = {*was, *now}
    containers = {f"{group}_tokens": container for container, group in DETAILS.items()} | {"total_tokens": ITEMS}
    for name in (*FIELDS, *sorted(names.difference(FIELDS, DETAILS, {ITEMS, PARTS, PRICE_FROM}))):
        if name in names:
            yield name, ""
        if container := containers.get(name):
            inner = {*(was.get(container) or {}), *(now.get(container) or {})}
            yield from ((each, container) for each in sorted(inner))


def _value(model: Mapping[str, Any] | None, name: str, container: str = "") -> Value:
    if model is None:
        return 0
    source = (model.get(container) or {}) if container else model
    return number(source.get(name, 0))
