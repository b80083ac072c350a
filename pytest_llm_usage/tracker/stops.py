"""What a tracker needs to stop a call or to price it: limits of the test and the run, and the default price book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pytest_llm_usage.budget.breaches import Breach, breaches, must_stop
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.ledger import Call

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["SessionLimit", "exceeded", "forbidding", "genai_prices"]


class SessionLimit(Protocol):
    """What the whole run may spend."""

    def forbids(self) -> str:
        """Why no further call may be made; empty where one may."""


def exceeded(limits: Sequence[Limits], calls: Sequence[Call]) -> list[Breach]:
    """The limits that are exceeded already."""
    return [breach for some in limits for breach in breaches(some, calls) if breach.spent > breach.limit]


def forbidding(limits: Sequence[Limits], calls: Sequence[Call], model: str, **under_way: Any) -> list[Breach]:
    """The limits that forbid a further call of `model`; see `budget.must_stop`."""
    return [breach for some in limits if (breach := must_stop(some, calls, model, **under_way))]


def genai_prices() -> PriceBook:
    """The price book without prices of the user's own."""
    from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- costs nothing until a price is read

    return PriceBook()
