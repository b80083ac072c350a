"""What changed between two usages, or two runs, and whether that is allowed. Pure functions on plain data.

A *usage* is the form of `LLMUsage.to_dict()`: by model, `calls`, `input_tokens`, `output_tokens`, `total_tokens`, the
details that are not zero, and `cost_usd` as a string; None is unknown (or unpriced). All arithmetic is exact.

Snapshots ask `compare_usage` with `Tolerances`, reports ask `compare_runs` with `Gate`s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from statistics import median_high
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import columns, percent, tokens, usd

__all__ = [
    "EXACT",
    "Comparison",
    "FieldChange",
    "Gate",
    "MergedRun",
    "ModelChange",
    "Spending",
    "TestChange",
    "Tolerance",
    "Tolerances",
    "change_lines",
    "compare_runs",
    "compare_usage",
    "is_within",
    "merge_runs",
    "parse_gates",
]

Usage: TypeAlias = Mapping[str, Mapping[str, Any]]
Number: TypeAlias = int | Decimal

_DETAILS = {"input_token_details": "input", "output_token_details": "output"}
_TOKEN_FIELDS = ("input_tokens", "output_tokens", "total_tokens")
#: What follows from the other counts: held to a tolerance of its own only where one is named.
_DERIVED = ("total_tokens", "cost_usd")
#: Costs are added without rounding, whatever context the code under test has set.
_EXACT_CONTEXT = Context(prec=200)


# -- tolerance -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may move.

    Attributes:
        rel: Share of what it was (0.05 is 5 %).
        abs: Tokens, calls or USD; the larger of both holds.
        ratchet: Whether it may fall as far as it likes.
    """

    rel: Decimal = Decimal(0)
    abs: Decimal = Decimal(0)
    ratchet: bool = False

    def allows(self, was: Number | None, now: Number | None) -> bool:
        """Whether the move is within the tolerance. From or to an unknown number (None) never is."""
        if was == now:
            return True
        if was is None or now is None:
            return False
        moved = Fraction(now) - Fraction(was)
        room = max(Fraction(self.abs), Fraction(self.rel) * Fraction(was))
        return moved <= room and (self.ratchet or -moved <= room)

    def __str__(self) -> str:
        parts = [f"{_plain(self.rel * 100)} %"] if self.rel else []
        parts += [_plain(self.abs)] if self.abs else []
        return " or ".join(parts) or "0"


@dataclass(frozen=True, slots=True)
class Tolerances:
    """A tolerance for each field of a usage.

    Attributes:
        named: By `input`, `output`, `total`, `tokens` (all three), `calls`, `cost` or the name of a detail
            (`cache_read`, `reasoning` …).
        tokens: For token counts that are not named.
        other: For calls and cost where they are not named.

    `total_tokens` and `cost_usd` follow from the other counts: where these moved within their tolerance, they may
    move too unless they are named. Where nothing else moved they are compared, so a new price does not pass unseen.
    A ratchet holds them always, and leaves the details to the cost: more tokens read from a cache are no loss.
    """

    named: Mapping[str, Tolerance] = field(default_factory=dict)
    tokens: Tolerance = Tolerance()
    other: Tolerance = Tolerance()

    @classmethod
    def of(
        cls,
        *,
        rel: object = None,
        abs: object = None,  # noqa: A002 -- the name that pytest.approx gave it
        ratchet: bool = False,
    ) -> Tolerances:
        """Tolerances from the arguments of `usage_snapshot(...)`.

        Args:
            rel: A share (0.05 is 5 %) for every number, or a mapping by name.
            abs: Tokens, for every token count, or a mapping by name (tokens, calls, or USD for `cost`).
            ratchet: Numbers may fall, and rise by no more than `rel` or `abs`.

        Raises:
            ConfigurationError: Not a number that can be a tolerance.
        """
        rels, rel_all = _by_name("rel", rel)
        abses, abs_all = _by_name("abs", abs)
        named = {
            name: Tolerance(rels.get(name, rel_all), abses.get(name, Decimal(0)), ratchet)
            for name in dict.fromkeys((*rels, *abses))
        }
        return cls(named, Tolerance(rel_all, abs_all, ratchet), Tolerance(rel_all, Decimal(0), ratchet))

    @classmethod
    def parse(cls, text: str) -> Tolerances:
        """Tolerances as ini files write them: `input:5% output:10% cost:$0.001 calls:1`, and `ratchet`.

        Raises:
            ConfigurationError: A part that cannot be read, and what can.
        """
        rel: dict[str, Decimal] = {}
        absolute: dict[str, Decimal] = {}
        ratchet = False
        for part in text.replace(",", " ").split():
            if part == "ratchet":
                ratchet = True
                continue
            match = _TOLERANCE.fullmatch(part)
            if match is None:
                raise ConfigurationError(
                    f"{part!r} is not a tolerance (examples: input:5%, output:20, cost:$0.001, ratchet)"
                )
            name, dollar, amount, share = match.groups()
            _check_unit(part, name, dollar=bool(dollar), share=bool(share))
            if share:
                rel[name] = Decimal(amount) / 100
            else:
                absolute[name] = Decimal(amount)
        return cls.of(rel=rel or None, abs=absolute or None, ratchet=ratchet)

    @property
    def is_exact(self) -> bool:
        """Whether nothing may move."""
        return not any(t.rel or t.abs or t.ratchet for t in (self.tokens, self.other, *self.named.values()))

    def of_field(self, name: str, group: str | None = None) -> tuple[Tolerance, bool]:
        """The tolerance of a field (of a detail: with the group it is part of), and whether it was named."""
        short = name.removesuffix("_tokens").removesuffix("_usd")
        is_tokens = group is not None or name in _TOKEN_FIELDS
        for candidate in (name, short, group, "tokens" if is_tokens else None):
            if candidate in self.named:
                return self.named[candidate], True
        return (self.tokens if is_tokens else self.other), False


EXACT = Tolerances()

_AMOUNT = r"(\$?)(\d+(?:\.\d+)?|\.\d+)(%?)"
_TOLERANCE = re.compile(rf"([a-z]\w*):{_AMOUNT}")


def _check_unit(part: str, name: str, *, dollar: bool, share: bool) -> None:
    if dollar and share:
        raise ConfigurationError(f"{part!r} has two units, $ and %: write one")
    if dollar != (name == "cost") and not share:
        unit = "an amount in USD (cost:$0.01)" if name == "cost" else f"a number ({name}:20)"
        raise ConfigurationError(f"{part!r}: {name} takes {unit} or a share ({name}:5%)")


def _by_name(argument: str, value: object) -> tuple[dict[str, Decimal], Decimal]:
    """The tolerances that are named, and the one for all others."""
    if value is None:
        return {}, Decimal(0)
    if isinstance(value, Mapping):
        return {str(name): _amount(f"{argument}[{name!r}]", item) for name, item in value.items()}, Decimal(0)
    return {}, _amount(argument, value)


def _amount(argument: str, value: object) -> Decimal:
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            # A float as it was written: 0.05 is 5 %, not 0.05000000000000000277.
            amount = Decimal(str(value))
        except ArithmeticError:
            amount = Decimal(-1)
        if amount.is_finite() and amount >= 0:
            return amount
    raise ConfigurationError(f"{argument}={value!r} is not a tolerance (a number, 0 or more; rel=0.05 is 5 %)")


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():,f}"


# -- two usages ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One number then and now; None is unknown (for `cost_usd`: unpriced).

    Attributes:
        name: `calls`, `input_tokens`, `cache_read`, `cost_usd` …
        was: Before; 0 where it was not there.
        now: Now; 0 where it is not there.
        allowed: Whether the tolerance allows the move.
        tolerance: What it was held to.
        is_detail: Whether it is a part of the count before it.
    """

    name: str
    was: Number | None
    now: Number | None
    allowed: bool = True
    tolerance: Tolerance = Tolerance()
    is_detail: bool = False

    @property
    def moved(self) -> bool:
        """Whether it changed at all."""
        return self.was != self.now

    @property
    def by(self) -> Number | None:
        """How far it moved, or None where that is not known."""
        if self.was is None or self.now is None:
            return None
        if isinstance(self.was, int) and isinstance(self.now, int):
            return self.now - self.was
        return _EXACT_CONTEXT.subtract(Decimal(self.now), Decimal(self.was))


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


def compare_usage(was: Usage, now: Usage, tolerances: Tolerances = EXACT) -> tuple[ModelChange, ...]:
    """Model by model, sorted by name, what `now` has that `was` had not, and whether that is allowed."""
    return tuple(
        _compare_model(model, was.get(model), now.get(model), tolerances) for model in sorted({*was, *now})
    )


def is_within(changes: Iterable[ModelChange]) -> bool:
    """Whether every change is allowed."""
    return all(change.allowed for change in changes)


def _compare_model(
    model: str, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, tolerances: Tolerances
) -> ModelChange:
    status: Literal["same", "changed", "new", "gone"]
    changes = []
    for name, group in _field_names(was or {}, now or {}):
        tolerance, _named = tolerances.of_field(name, group)
        before, after = _value(was, name, group), _value(now, name, group)
        allowed = tolerance.allows(before, after) or (group is not None and tolerance.ratchet)
        changes.append(FieldChange(name, before, after, allowed, tolerance, group is not None))
    changes = _with_derived(changes, tolerances)
    if was is None or now is None:
        status = "new" if was is None else "gone"
    else:
        status = "changed" if any(change.moved for change in changes) else "same"
    return ModelChange(model, status, tuple(changes))


def _with_derived(changes: list[FieldChange], tolerances: Tolerances) -> list[FieldChange]:
    counts = [change for change in changes if change.name not in _DERIVED]
    if not any(change.moved for change in counts) or not all(change.allowed for change in counts):
        return changes

    def follows(change: FieldChange) -> bool:
        tolerance, named = tolerances.of_field(change.name)
        return change.name in _DERIVED and not named and not tolerance.ratchet and change.by is not None

    return [
        FieldChange(c.name, c.was, c.now, allowed=True, tolerance=c.tolerance) if follows(c) else c for c in changes
    ]


_FIRST = ("calls", "calls_without_usage", "input_tokens", "output_tokens", "total_tokens", "cost_usd")


def _field_names(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Every number on either side: its name, and for a detail the group (`input`, `output`) it is part of."""
    names = {*was, *now}
    for name in (*_FIRST, *sorted(names.difference(_FIRST, _DETAILS))):
        if name in names:
            yield name, None
        for container, group in _DETAILS.items():
            if name == f"{group}_tokens":
                details = {*(was.get(container) or {}), *(now.get(container) or {})}
                yield from ((detail, group) for detail in sorted(details))


def _value(model: Mapping[str, Any] | None, name: str, group: str | None) -> Number | None:
    if model is None:
        return 0
    source = model if group is None else model.get(f"{group}_token_details") or {}
    return _number(source.get(name, 0))


def _number(value: Any) -> Number | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


# -- as people read it -----------------------------------------------------------------------------------------


def change_lines(changes: Iterable[ModelChange], *, all_models: bool = False) -> list[str]:
    """A table for each model that changed: was, now, by how much and how many per cent.

    Totals and details are listed where they moved, the other numbers always; models that did not change only with
    `all_models`. Where a tolerance was exceeded, the line says which.
    """
    rows: list[tuple[str, ...]] = []
    for change in changes:
        if change.status == "same" and not all_models:
            continue
        note = {"new": "new", "gone": "no longer called"}.get(change.status, "")
        rows.append((change.model, "was", "now", "by", "", note))
        rows.extend(_row(item) for item in change.fields if item.moved or _is_listed(item))
    return columns(rows, "<>>>><") if rows else []


def _is_listed(item: FieldChange) -> bool:
    return item.name != "total_tokens" and not item.is_detail


def _row(item: FieldChange) -> tuple[str, ...]:
    name = f"  {'  ' if item.is_detail else ''}{item.name}"
    was, now = _shown(item, item.was), _shown(item, item.now)
    if was == now and item.moved:
        was, now = (_exact(amount) for amount in (item.was, item.now))
    over = "" if item.allowed or item.tolerance == Tolerance(ratchet=item.tolerance.ratchet) else f"over {item.tolerance}"
    return name, was, now, *signed(item), over


def _shown(item: FieldChange, amount: Number | None) -> str:
    if item.name == "cost_usd":
        return usd(None if amount is None else Decimal(amount))
    return tokens(amount) if amount is None or isinstance(amount, int) else _plain(amount)


def _exact(amount: Number | None) -> str:
    return "?" if amount is None else _plain(Decimal(amount))


def signed(item: FieldChange) -> tuple[str, str]:
    """By how much a number moved, and how many per cent that is: `+678`, `+48 %`; empty where it did not."""
    by = item.by
    if not by or item.was is None:
        return "", ""
    sign = "+" if by > 0 else "-"
    amount = _shown(item, abs(by))
    share = f"{sign}{percent(abs(by), item.was)}" if item.was else ""
    return f"<{sign}{amount[1:]}" if amount.startswith("<") else f"{sign}{amount}", share


# -- runs ------------------------------------------------------------------------------------------------------
