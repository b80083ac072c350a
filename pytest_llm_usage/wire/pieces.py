"""What a provider bills by the piece, and what it says that a call cost: where a response tells of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.usage import MAX_COUNT, count
from pytest_llm_usage.wire.paths import get_path, iter_path, path_steps

__all__ = ["BilledItems", "StatedCost", "shown"]

#: Of a value that is no count, this much is shown.
_SHOWN_CHARS = 24
_LOOKED_AT_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class BilledItems:
    """Work that a provider bills by the piece, beside tokens or instead of them.

    Attributes:
        kind: What a price file calls it (`web_search`, `file_search` …).
        paths: Where it is told, the best first: a number says how many, of anything else each is a piece.
        is_billed: Whether such a piece, told by an object, is billed at all; where only numbers tell, none is.
        by_name: Texts name the pieces, each of them one however often it occurs; an empty one names none. All paths are
            asked.
        told_by: A member of such a piece that tells it from the others, where a stream tells of it more than once and of
            those before it no more.
        unless: A path; where it leads to something, the pieces are billed as something else.
        only_if: Paths; where none leads to anything, the pieces are billed as something else.
        begun: A fraction counts as a whole piece.
    """

    kind: str
    paths: tuple[str, ...]
    is_billed: Callable[[Any], bool] = lambda _: True
    by_name: bool = False
    told_by: str = ""
    unless: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    begun: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The member names by which an event that tells of it is told from the others."""
        return tuple(dict.fromkeys(path_steps(path)[-1][0] for path in self.paths))

    def count(self, data: Any) -> int | None:
        """How many pieces `data` tells of, or None where it tells of none."""
        if not isinstance(data, dict):
            return None
        # Nearly no usage object has any of them, and each is asked for all.
        told = [path for path in self.paths if path_steps(path)[0][0] in data]
        if not told or ((self.unless or self.only_if) and not self._is_meant(data)):
            return None
        if self.by_name or self.told_by:
            return len(self.names(data)) or None
        for path in told:
            if found := list(iter_path(data, path)):
                numbers = sum(n for value in found if (n := self._number_of(value)) is not None)
                return numbers + sum(isinstance(value, Mapping) and self.is_billed(value) for value in found)
        return None

    def names(self, data: Any) -> set[str | int]:
        """What tells the pieces that `data` tells of apart; nothing where they are told by their number."""
        found = [value for path in self.paths if self.by_name or self.told_by for value in iter_path(data, path)]
        if not self.told_by:
            return {value for value in found if isinstance(value, str | int) and value != ""}
        pieces = [value for value in found if isinstance(value, Mapping) and self.is_billed(value)]
        names = [get_path(piece, self.told_by) for piece in pieces]
        # One without a name is a piece all the same.
        return {
            name if isinstance(name, str | int) and name != "" else f"unnamed {place}"
            for place, name in enumerate(names)
        }

    def problem(self, data: Any) -> str:
        """Which path holds what that is no number of pieces, in words; empty where there is no such."""
        if self.by_name or self.told_by or not isinstance(data, dict):
            return ""
        for path in self.paths:
            if path_steps(path)[0][0] in data:
                for value in iter_path(data, path):
                    if value is not None and not isinstance(value, Mapping | list) and self._number_of(value) is None:
                        return f"{path} holds {shown(value)}, which is not a number of {self.kind}"
        return ""

    def _number_of(self, value: Any) -> int | None:
        if self.begun and (amount := _amount(value)) is not None:
            value = math.ceil(amount)
        return count(value)

    def _is_meant(self, data: Any) -> bool:
        if any(next(iter_path(data, path), None) is not None for path in self.unless):
            return False
        return not self.only_if or any(next(iter_path(data, path), None) is not None for path in self.only_if)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCost:
    """Where a usage object states what the call cost.

    Attributes:
        path: The amount.
        units_per_usd: How many of its unit a dollar has.
        zero_is_unset: A zero is a member that nobody filled in, not a price.
        fee_only: A path; where it leads to true, the amount is the seller's fee alone and the provider bills the rest.
        upstream: Where the rest stands then.
        currency: Where the currency stands; an amount in any but USD is no cost that can be used.
    """

    path: str
    units_per_usd: int = 1
    zero_is_unset: bool = False
    fee_only: str = ""
    upstream: str = ""
    currency: str = ""

    def read(self, data: Mapping[str, Any]) -> Decimal | None:
        """The cost in USD, or None where `data` does not state it."""
        amount = _amount(get_path(data, self.path))
        if amount is None or (self.zero_is_unset and not amount):
            return None
        if self.currency and get_path(data, self.currency) != "USD":
            return None
        cost = EXACT.divide(amount, self.units_per_usd)
        if not self.fee_only or get_path(data, self.fee_only) is not True:
            return cost
        upstream = _amount(get_path(data, self.upstream))
        return None if upstream is None else total((cost, upstream))


def _amount(value: Any) -> Decimal | None:
    """A number of some currency's units; None where `value` is none, or is larger than any bill."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        # repr gives the shortest digits that are this float: those on the wire.
        amount = Decimal(value.strip() if isinstance(value, str) else repr(value))
    except (InvalidOperation, ValueError):
        return None
    return amount if amount.is_finite() and 0 <= amount < _MAX_AMOUNT and amount.as_tuple().exponent > -100 else None  # type: ignore[operator]


#: In the smallest unit that anybody states: xAI's ticks, of which a dollar has 10^10.
_MAX_AMOUNT = Decimal(10) ** 20


def shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_COUNT:
        return f"a number of {len(str(abs(value)))} digits" if value > 0 else "a number below zero"
    # Before it is cut: the start of a key no longer says what it is.
    value = mask_text(value[:_LOOKED_AT_CHARS]) if isinstance(value, str) else value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
