"""What a tracker needs to stop a call: the limits of the test and of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pytest_llm_usage.budget.breaches import Breach, breaches, must_stop
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.ledger import Call

__all__ = ["SessionLimit", "exceeded", "forbidding"]


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
