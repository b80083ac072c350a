"""Where a response states what is billed by the piece (`BilledItems`) and what a call cost (`StatedCost`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.records import Record
from pytest_llm_usage.usage import MAX_COUNT, count
from pytest_llm_usage.wire.paths import get_path, iter_path, path_steps

__all__ = ["BilledItems", "StatedCost", "shown"]

#: How much is shown of a value that is not a count.
_SHOWN_CHARS = 24
_LOOKED_AT_CHARS = 4_000


class BilledItems(Record):
    """Work that a provider bills by the piece, besides tokens or instead of them.

    Attributes:
        kind: Its name in a price file (`web_search`, `file_search` …).
        paths: Where it is stated, the best first: a number says how many pieces there are, and each other value is one.
        is_billed: Whether a piece that an object describes is billed at all; if only numbers count, none is.
        by_name: Texts name the pieces; each name is one piece, however often it occurs, and an empty text is none. All
            paths are read.
        identified_by: The member that identifies a piece, if a stream repeats it in several events without listing the
            earlier ones again.
        unless: Paths; if one leads to something, the pieces are billed as something else.
        only_if: Paths; if none leads to anything, the pieces are billed as something else.
        begun: A fraction counts as a whole piece.
    """

    kind: str
    paths: tuple[str, ...]
    is_billed: Callable[[Any], bool] = lambda _: True
    by_name: bool = False
    identified_by: str = ""
    unless: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    begun: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The member names that distinguish an event with such pieces from others."""
        return tuple(dict.fromkeys(path_steps(path)[-1][0] for path in self.paths))

    def count(self, data: Any) -> int | None:
        """How many pieces `data` states, or None if it states none."""
        if not isinstance(data, dict):
            return None
        # Checked first, because hardly any usage object has any of the paths, and each is searched for all of them.
        stated = [path for path in self.paths if path_steps(path)[0][0] in data]
        if not stated or ((self.unless or self.only_if) and not self._is_meant(data)):
            return None
        if self.by_name or self.identified_by:
            return len(self.names(data)) or None
        for path in stated:
            if found := list(iter_path(data, path)):
                numbers = sum(n for value in found if (n := self._number_of(value)) is not None)
                return numbers + sum(isinstance(value, Mapping) and self.is_billed(value) for value in found)
        return None

    def names(self, data: Any) -> set[str | int]:
        """The names that identify the pieces in `data`; empty if a number states how many there are."""
        found = [value for path in self.paths if self.by_name or self.identified_by for value in iter_path(data, path)]
        if not self.identified_by:
            return {value for value in found if isinstance(value, str | int) and value != ""}
        pieces = [value for value in found if isinstance(value, Mapping) and self.is_billed(value)]
        names = [get_path(piece, self.identified_by) for piece in pieces]
        # A piece without a name counts, too.
        return {
            name if isinstance(name, str | int) and name != "" else f"unnamed {place}"
            for place, name in enumerate(names)
        }

    def problem(self, data: Any) -> str:
        """Which path holds something other than a number of pieces, in words; empty if none does."""
        if self.by_name or self.identified_by or not isinstance(data, dict):
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


class StatedCost(Record):
    """Where a usage object states what the call cost.

    Attributes:
        path: The amount.
        units_per_usd: How many units of the amount are one dollar.
        zero_is_unset: A zero means that the member was not filled in; it is not a price.
        fee_only: A path; if it leads to true, the amount is only the seller's fee and the provider bills the rest.
        upstream: Where the rest is stated then.
        currency: Where the currency is stated; an amount in another currency than USD is ignored.
    """

    path: str
    units_per_usd: int = 1
    zero_is_unset: bool = False
    fee_only: str = ""
    upstream: str = ""
    currency: str = ""

    def read(self, data: Mapping[str, Any]) -> Decimal | None:
        """The cost in USD, or None if `data` does not state it."""
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
    """An amount in any unit; None if `value` is not a number, or is larger than any bill."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        # repr returns the shortest digits that give this float: those on the wire.
        amount = Decimal(value.strip() if isinstance(value, str) else repr(value))
    except (InvalidOperation, ValueError):
        return None
    return amount if amount.is_finite() and 0 <= amount < _MAX_AMOUNT and amount.as_tuple().exponent > -100 else None  # type: ignore[operator]


#: Large enough for the smallest unit that any provider uses: xAI's ticks, 10^10 of which are a dollar.
_MAX_AMOUNT = Decimal(10) ** 20


def shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_COUNT:
        return f"a number of {len(str(abs(value)))} digits" if value > 0 else "a number below zero"
    # Masked before it is cut, because the beginning of a key is no longer recognised.
    value = mask_text(value[:_LOOKED_AT_CHARS]) if isinstance(value, str) else value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
