"""What the processes of one run have spent together, known to each of them before its next test.

xdist's controller hears of a test when its worker is at the next one already, and a worker runs what it was once given,
whatever the controller says meanwhile: a limit of the whole run has to be looked after where the tests run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_llm_usage.budget import Limits, spending
from pytest_llm_usage.ledger import Ledger

__all__ = ["SessionBudget"]


class SessionBudget:
    """What has been spent of the limits of a run.

    Args:
        limits: What the run may spend.
        own: The file to which this process notes what it spends, in a folder of its kind; no other process writes to
            it, so that none has to wait. None where this process is the only one.
    """

    def __init__(self, limits: Limits, own: Path | None = None) -> None:
        self._limits = limits
        self._own = own
        self._spent: dict[str, Decimal] = {}
        #: How much of each file has been read, in bytes.
        self._read: dict[Path, int] = {}

    def add(self, data: Mapping[str, Any]) -> None:
        """Takes in what rode on the report of one attempt at a test: its calls, and those that were no test's."""
        attempts = data.get("attempts", ())
        calls = [call for rows in (*attempts[-1:], data.get("shared", ())) for call in Ledger.from_list(rows).calls]
        amounts = {name: str(amount) for name, _, amount, _ in spending(self._limits, calls)}
        if self._own is None:
            self._take(amounts)
        else:
            with self._own.open("a", encoding="ascii") as file:
                file.write(f"{json.dumps(amounts)}\n")

    @property
    def is_exceeded(self) -> bool:
        """Whether all processes together are known to have spent more than the run may."""
        for file in self._own.parent.iterdir() if self._own is not None else ():
            self._take_news(file)
        return any(self._spent.get(name, 0) > limit for name, limit, _, _ in spending(self._limits, ()))

    def _take_news(self, file: Path) -> None:
        with file.open("rb") as stream:
            stream.seek(self._read.get(file, 0))
            # Behind the last end of a line is one that is still being written.
            news, end, _ = stream.read().rpartition(b"\n")
        for line in news.splitlines():
            self._take(json.loads(line))
        self._read[file] = self._read.get(file, 0) + len(news + end)

    def _take(self, amounts: Mapping[str, str]) -> None:
        for name, amount in amounts.items():
            self._spent[name] = self._spent.get(name, Decimal(0)) + Decimal(amount)
