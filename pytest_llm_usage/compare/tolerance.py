"""How far numbers may move: as arguments of `usage_snapshot(...)`, or as ini files write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from pytest_llm_usage import money
from pytest_llm_usage.compare.amounts import AMOUNT, TOKEN_FIELDS, Value, check_unit, plain
from pytest_llm_usage.errors import ConfigurationError, hides_frames
from pytest_llm_usage.text import quoted

#: pytest shows the user's line alone.
__tracebackhide__ = hides_frames


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may move.

    Attributes:
        rel: Share of what it was (0.05 is 5 %).
        abs: Tokens, calls or USD; the larger of `rel` and `abs` applies.
        ratchet: Whether it may fall without limit.
    """

    rel: Decimal = Decimal(0)
    abs: Decimal = Decimal(0)
    ratchet: bool = False

    def allows(self, was: Value, now: Value) -> bool:
        """Whether the move is within the tolerance. From or to an unknown number (None) never is."""
        if was == now:
            return True
        if not isinstance(was, int | Decimal) or not isinstance(now, int | Decimal):
            return False
        moved = Fraction(now) - Fraction(was)
        room = max(Fraction(self.abs), Fraction(self.rel) * Fraction(was))
        return moved <= room and (self.ratchet or -moved <= room)

    def __str__(self) -> str:
        parts = [f"{plain(money.EXACT.multiply(self.rel, 100))} %"] if self.rel else []
        parts += [plain(self.abs)] if self.abs else []
        return " or ".join(parts) or "0"


#: Allows no change.
NO_ROOM = Tolerance()


@dataclass(frozen=True, slots=True)
class Tolerances:
    """A tolerance for each field of a usage.

    Attributes:
        named: By `input`, `output`, `total`, `tokens` (all three), `calls`, `cost` or the name of a detail
            (`cache_read`, `reasoning` …).
        tokens: For token counts that are not named.
        other: For calls and cost if they are not named.

    `total_tokens` and `cost_usd` follow from the other counts: if those moved within their tolerance, these may move
    too unless they are named. If nothing else moved they are compared, so that a new price does not go unnoticed. A
    ratchet always applies to them, and leaves the details to the cost: more tokens read from a cache are no loss.
    """

    named: Mapping[str, Tolerance] = field(default_factory=dict)
    tokens: Tolerance = NO_ROOM
    other: Tolerance = NO_ROOM

    @classmethod
    def from_arguments(
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
            ConfigurationError: `rel` or `abs` is not a tolerance.
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
            ConfigurationError: A part cannot be read; the message has examples.
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
                    f"{quoted(part)} is not a tolerance (examples: input:5%, output:20, cost:$0.001, ratchet)"
                )
            name, dollar, amount, share = match.groups()
            check_unit(part, name, dollar=bool(dollar), share=bool(share))
            if share:
                rel[name] = money.EXACT.divide(Decimal(amount), 100)
            else:
                absolute[name] = Decimal(amount)
        return cls.from_arguments(rel=rel or None, abs=absolute or None, ratchet=ratchet)

    @property
    def is_exact(self) -> bool:
        """Whether nothing may move."""
        return not any(t.rel or t.abs or t.ratchet for t in (self.tokens, self.other, *self.named.values()))

    def of_field(self, name: str, group: str | None = None) -> tuple[Tolerance, bool]:
        """The tolerance of a field (for a detail, with the group it is part of), and whether it was named."""
        short = name.removesuffix("_tokens").removesuffix("_usd")
        wider = (group, "tokens") if group is not None else ("tokens",) if name in TOKEN_FIELDS else ()
        for candidate in (name, short, *wider):
            if candidate in self.named:
                return self.named[candidate], True
        return (self.tokens if wider else self.other), False


NO_TOLERANCE = Tolerances()

_TOLERANCE = re.compile(rf"([a-z]\w*):{AMOUNT}")


def _by_name(argument: str, value: object) -> tuple[dict[str, Decimal], Decimal]:
    """The tolerances that are named, and the one for all others."""
    if value is None:
        return {}, Decimal(0)
    if isinstance(value, Mapping):
        return {str(name): _amount(f"{argument}[{name!r}]", item) for name, item in value.items()}, Decimal(0)
    return {}, _amount(argument, value)


def _amount(argument: str, value: object) -> Decimal:
    if isinstance(value, int | float | str | Decimal):
        # A float as it was written: 0.05 is 5 %, not 0.05000000000000000277. `True` as text is not a number.
        with suppress(ArithmeticError, ValueError):  # Python converts no integer of more than 4,300 digits to text
            amount = Decimal(str(value))
            if amount.is_finite() and amount >= 0:
                return amount
    raise ConfigurationError(f"{argument}={quoted(value)} is not a tolerance (a number, 0 or more; rel=0.05 is 5 %)")
