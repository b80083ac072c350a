"""The prices of a test's calls, from a book that is made when the first price is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.ledger import Call

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["LateQuotes", "genai_prices"]


class LateQuotes:
    """Prices calls (`ledger.Quotes`).

    Attributes:
        prices: Makes the price book, or returns the one that was made.
    """

    __slots__ = ("prices",)

    def __init__(self, prices: Callable[[], PriceBook]) -> None:
        self.prices = prices

    def quote(self, call: Call) -> Quote:
        """What a call costs, or why that is not known; called once for each call."""
        return self.prices().quote(call)


def genai_prices() -> PriceBook:
    """The price book without prices of the user's own."""
    from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- costs nothing until a price is read

    return PriceBook()
