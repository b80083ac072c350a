"""`Run`: what every test of a run spent, collected from the plain data that pytest's reports carry.

The path is the same with and without xdist: a worker attaches data, and the process that prints adds it up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_llm_usage.budget.breaches import breaches, spending
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.credentials.mask import mask_name
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.text import sendable
from pytest_llm_usage.tracker import Discrepancy, Tracker

__all__ = ["Run", "Spent", "TestRecord", "record"]

_NO_CALLS = Ledger()


@dataclass(frozen=True)
class Spent:
    """How much of one limit a test used.

    Attributes:
        name: The limit's keyword (`max_tokens` …).
        limit: What was allowed, in tokens, calls or USD.
        spent: What is known to have been spent; for calls, including the one that was stopped before it was sent.
        origin: Where the limit was set.
        model: The pattern of the models that the limit covers; None for all.
    """

    name: str
    limit: Decimal
    spent: Decimal
    origin: str
    model: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether more was spent than allowed."""
        return self.spent > self.limit

    @property
    def share(self) -> Decimal:
        """What was spent as a share of what was allowed; 1 is all of it."""
        return EXACT.divide(self.spent, self.limit) if self.limit else Decimal(self.spent > 0)


@dataclass(frozen=True)
class TestRecord:
    """What one test spent.

    Attributes:
        nodeid: pytest's node id of the test, with credentials in its parameters masked.
        ledger: The calls of its last attempt.
        earlier: The calls of attempts before it (reruns); spent all the same.
        budget: How much of its limits the last attempt used.
        discrepancies: What LangChain and the provider disagree on in the last attempt.
        cassettes: The paths of the recordings that its last attempt replayed or made, relative to pytest's root directory.
        prefix_notes: What kept its calls from repeating the start of earlier ones (`CachePrefix.notes`), where that was read.
        outcome: `passed`, `failed`, `error`, `skipped`, `xfailed` or `xpassed`; None if it is not known.
    """

    __test__ = False  # not a test class, whatever its name

    nodeid: str
    ledger: Ledger = field(default_factory=Ledger)
    earlier: Ledger = field(default_factory=Ledger)
    budget: tuple[Spent, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    cassettes: tuple[str, ...] = ()
    outcome: str | None = None
    prefix_notes: tuple[str, ...] = ()

    @property
    def total_tokens(self) -> int:
        """The known tokens of the last attempt."""
        return sum(call.usage.total_tokens for call in self.ledger.calls if call.is_billed and call.usage is not None)


def record(
    last: Tracker,
    outcome: str | None = None,
    *,
    earlier: Iterable[list[dict[str, Any]]] = (),
    with_parts: bool = False,
) -> dict[str, Any]:
    """A test as plain JSON-able data: the calls of each attempt, how much of its limits the last one used, its outcome.

    Args:
        last: The tracker of its last attempt.
        outcome: The outcome of that attempt.
        earlier: The calls of the attempts before it, in the same form.
        with_parts: Whether to read what the calls' input is made of, and what breaks its prefix.
    """
    # For a limit on calls, the call that was stopped counts as well.
    beyond = {(breach.name, breach.limit, breach.model): breach.spent for breach in last.stopped_by}
    budget = [
        {
            "name": name,
            "limit": str(limit),
            "spent": str(beyond.get((name, limit, limits.model), spent)),
            "origin": origin,
            "model": None if limits.model is None else mask_name(limits.model),
        }
        for limits in last.limits
        for name, limit, spent, origin in spending(limits, last.calls())
    ]
    data = {
        "attempts": [*earlier, last.ledger().to_list(with_parts=with_parts)],
        "budget": budget,
        "discrepancies": [found.to_dict() for found in last.discrepancies()],
        "cassettes": sorted(_relative(path, last.root) for path in last.cassettes),
        "outcome": outcome,
        "prefix_notes": list(last.usage.cache_prefix.notes) if with_parts else [],
    }
    found: dict[str, Any] = sendable(data)
    return found


def _relative(path: Path, root: Path) -> str:
    name, start = str(path), f"{root}{os.sep}"
    if name.startswith(start):  # nearly always, and ten times as fast as pathlib
        return name[len(start) :].replace(os.sep, "/")
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else name


@dataclass
class Run:
    """The tests of a run and what they spent, in the order in which they finished.

    Attributes:
        tests: By nodeid (and worker, where several run the same tests).
        shared: Calls of fixtures of wider scope, and other calls that belong to no test.
    """

    tests: dict[tuple[str, str], TestRecord] = field(default_factory=dict)
    shared: Ledger = field(default_factory=Ledger)

    def add(self, nodeid: str, worker: str, data: Mapping[str, Any]) -> None:
        """Adds the data that a test's report carried."""
        if "attempts" in data:
            *earlier, last = (Ledger.from_list(attempt) for attempt in data["attempts"])
            budget = tuple(
                Spent(item["name"], Decimal(item["limit"]), Decimal(item["spent"]), item["origin"], item["model"])
                for item in data["budget"]
            )
            self.tests[nodeid, worker] = TestRecord(
                self._shown_name(nodeid),
                last,
                sum(earlier, _NO_CALLS),
                budget,
                tuple(map(Discrepancy.from_dict, data["discrepancies"])),
                tuple(data["cassettes"]),
                data["outcome"],
                tuple(data.get("prefix_notes", ())),
            )
        if "shared" in data:
            self.shared += Ledger.from_list(data["shared"])

    def _shown_name(self, nodeid: str) -> str:
        """A test's name with credentials in its parameters masked; tests that then have the same name are numbered."""
        name = mask_name(nodeid)
        if name == nodeid:
            return name
        others = {test.nodeid for (other, _), test in self.tests.items() if other != nodeid}
        names = (name, *(f"{name} ({number})" for number in range(2, len(others) + 3)))
        return next(each for each in names if each not in others)

    @property
    def records(self) -> list[TestRecord]:
        """The tests that made a call."""
        return [test for test in self.tests.values() if test.ledger.calls or test.earlier.calls]

    @property
    def calls(self) -> list[Call]:
        """All calls of the run: of tests, of their earlier attempts, and shared ones."""
        return [
            *(call for test in self.tests.values() for call in (*test.earlier.calls, *test.ledger.calls)),
            *self.shared.calls,
        ]

    def breached(self, limits: Limits) -> str | None:
        """The verdict if the run spent more than `limits`, else None."""
        return next((breach.verdict for breach in breaches(limits, self.calls) if breach.spent > breach.limit), None)

    def unproven(self, limits: Limits) -> str | None:
        """The verdict if `limits` cannot be verified because usage or a price is not known, else None."""
        return next((breach.verdict for breach in breaches(limits, self.calls) if breach.unknown), None)
