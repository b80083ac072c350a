"""Amounts of money: exact decimals in USD, whatever decimal context the code under test has set."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

__all__ = ["EXACT", "normal", "plain", "total"]

#: Wide enough that no sum or product of tokens and prices is ever rounded, however absurd the count: Python reads and writes
#: integers of 4,300 digits at most.
EXACT = Context(prec=10_000, rounding=ROUND_HALF_EVEN)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum, in its shortest form; 0 of none."""
    amount = Decimal(0)
    for each in amounts:
        amount = EXACT.add(amount, each)
    return normal(amount)


def normal(amount: Decimal) -> Decimal:
    """The same number in its shortest form: no trailing zeros, no positive exponent."""
    short = amount.normalize(EXACT)
    return short.quantize(Decimal(1), context=EXACT) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


def plain(amount: Decimal) -> str:
    """`amount` in full, without exponent: `0.00000002`, where `str` gives `2E-8`."""
    return f"{amount:f}"
