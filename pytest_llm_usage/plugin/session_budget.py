"""The budget of the whole run: before its next call, each process knows what all of them have spent together.

xdist's controller hears of a test when the worker is already at the next one, and it cannot take back the tests that a
worker was given. So a limit of the whole run has to be enforced where the calls are made. The processes share a table
in memory, in which each writes one row: no process waits for another, and nothing is read from a disk.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llm_usage.budget.breaches import Breach, spending
from pytest_llm_usage.budget.limits import BUDGET_KINDS, Limits
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.text import plural

if TYPE_CHECKING:
    from pytest_llm_usage.ledger import Call

__all__ = [
    "WORKER_ROWS",
    "PlannedSpending",
    "SessionBudget",
    "begin_row",
    "lose_row",
    "new_table",
    "plan_verdict",
]

#: Rows of the table: workers have the first half, processes that were forked the second.
_ROWS = 4096
#: Cells of a row, one for each limit of the session.
_CELLS = 8
_BYTES = _ROWS * _CELLS * 8
#: Rows that workers may have.
WORKER_ROWS = _ROWS // 2
#: The largest number in a cell. Cells hold whole numbers: tokens, and billionths of a USD. A process counts its own
#: spending exactly, outside of the table.
_MOST = 2**63 - 1
_BILLIONTHS = 10**9

#: Cells of a row after those of the limits: the state of the process's plan, and the amounts of the plan.
_STATE, _TOKENS, _COST, _TESTS = range(_CELLS - 4, _CELLS)
_REPLAYING, _PLANNED, _JUDGED, _LOST = range(1, 5)


class PlannedSpending(NamedTuple):
    """What recording the stale tests of a process will take.

    Attributes:
        tests: How many there are.
        tokens: Their tokens at most, as far as known.
        cost_usd: Their cost at most, as far as known.
        is_known: Whether all of both is known.
    """

    tests: int
    tokens: Decimal
    cost_usd: Decimal
    is_known: bool


class SessionBudget:
    """Counts what a run has spent, against its limits.

    Args:
        limits: What the run may spend.
        unreported: Returns the calls of this process that `add` has not counted yet.
        table: The table that the processes share; None if this process and its forks are the only ones.
        row: The row of this process.
        is_worker: Whether this process is an xdist worker: without a table it is on another machine.
    """

    def __init__(
        self,
        limits: Limits,
        unreported: Callable[[], Sequence[Call]],
        table: Path | None = None,
        row: int = 0,
        *,
        is_worker: bool = False,
    ) -> None:
        self._limits = limits
        self._unreported = unreported
        self._row = row
        self._process = os.getpid()
        self._reported: dict[str, Decimal] = {}
        self._names = [name for name, *_ in spending(limits, ())]
        self._is_remote = is_worker and table is None
        if table is None:
            self._table = mmap.mmap(-1, _BYTES)
        else:
            with table.open("r+b") as file:
                self._table = mmap.mmap(file.fileno(), _BYTES)
        self._cells = memoryview(self._table).cast("q")

    def stay_in_row(self) -> None:
        """Makes a process that a test has forked count in its parent's row: the two hear of each other's calls."""
        self._process = os.getpid()

    def add(self, data: Mapping[str, Any]) -> None:
        """Adds what the report of one attempt at a test carries: its calls, and those that belong to no test."""
        from pytest_llm_usage.ledger import Ledger  # noqa: PLC0415 -- at the first call

        attempts = data.get("attempts", ())
        calls = [call for rows in (*attempts[-1:], data.get("shared", ())) for call in Ledger.from_list(rows).calls]
        for name, amount in self._amounts(calls).items():
            self._reported[name] = EXACT.add(self._reported.get(name, Decimal(0)), amount)
        self._write(self._reported)

    @property
    def is_exceeded(self) -> bool:
        """Whether all processes together are known to have spent more than the run may."""
        return any(spent > limit for _, limit, spent, _ in self._spent())

    def forbids(self) -> str:
        """Why no further call may be made; empty where one may."""
        for name, limit, spent, origin in self._spent():
            if spent > limit or limit == 0:
                verdict = Breach(name, limit, spent, 0, origin).verdict
                return f"{verdict}\nThe budget of the whole run is spent: this call was not sent."
        return ""

    # The plan of recording stale tests ---------------------------------------------------------------------------

    def write_plan(self, planned: PlannedSpending) -> None:
        """Writes what recording the stale tests of this process will take, now that all its tests have run."""
        first = self._row * _CELLS
        self._cells[first + _TOKENS] = _in_cell("max_tokens", planned.tokens, ROUND_CEILING)
        self._cells[first + _COST] = _in_cell("max_cost", planned.cost_usd, ROUND_CEILING)
        self._cells[first + _TESTS] = 2 * planned.tests + (not planned.is_known)
        self._cells[first + _STATE] = _PLANNED

    def abandon_plan(self) -> None:
        """Writes that it will not be known what recording the stale tests of this process takes."""
        self._cells[self._row * _CELLS + _STATE] = _LOST

    @property
    def awaits_plans(self) -> bool:
        """Whether other processes are still running tests."""
        return _REPLAYING in self._cells[_STATE::_CELLS].tolist()

    @property
    def awaits_verdicts(self) -> bool:
        """Whether other processes have not judged yet: their sums must not include what is spent from now on."""
        return _PLANNED in self._cells[_STATE::_CELLS].tolist()

    def judge_plan(self) -> str:
        """Why the stale tests may not be recorded, by the plans of all processes; empty if they may."""
        tokens, cost, tests = (self._cells[column::_CELLS].tolist() for column in (_TOKENS, _COST, _TESTS))
        planned = PlannedSpending(
            sum(count // 2 for count in tests),
            Decimal(sum(tokens)),
            EXACT.divide(Decimal(sum(cost)), _BILLIONTHS),
            is_known=not any(count % 2 for count in tests),
        )
        if _LOST in self._cells[_STATE::_CELLS].tolist():
            verdict = "a worker ended before it was known what recording its stale tests would cost"
        elif self._is_remote:
            verdict = (
                "workers on other machines cannot add up what recording their stale tests costs: leave out -n and --tx"
            )
        else:
            verdict = plan_verdict(self._limits, {name: spent for name, _, spent, _ in self._spent()}, planned)
        self._cells[self._row * _CELLS + _STATE] = _JUDGED
        return verdict

    def take_back(self, data: Mapping[str, Any]) -> None:
        """Undoes `add`, for a test that runs again as if it had not run."""
        reported = self._reported
        self._reported = {}
        self.add(data)
        self._reported = {
            name: EXACT.subtract(amount, self._reported.get(name, Decimal(0))) for name, amount in reported.items()
        }
        self._write(self._reported)

    def _spent(self) -> list[tuple[str, int | Decimal, int | Decimal, str]]:
        """Each limit, what all processes have spent of it, and where it was set."""
        if os.getpid() != self._process:
            # A forked child begins its own row; what was spent before is in its parent's.
            self._process, self._reported = os.getpid(), {}
            self._row = WORKER_ROWS + self._process % (_ROWS - WORKER_ROWS)
        own = dict(self._reported)
        for name, amount in self._amounts(self._unreported()).items():
            own[name] = EXACT.add(own.get(name, Decimal(0)), amount)
        self._write(own)
        return [
            (name, limit, EXACT.add(own.get(name, Decimal(0)), self._others(name)), origin)
            for name, limit, _, origin in spending(self._limits, ())
        ]

    def _amounts(self, calls: Iterable[Call]) -> dict[str, Decimal]:
        return {name: Decimal(spent) for name, _, spent, _ in spending(self._limits, calls)}

    def _write(self, spent: Mapping[str, Decimal]) -> None:
        for column, name in enumerate(self._names):
            cell = self._row * _CELLS + column
            # A forked process may have written more already: what was spent is never reduced.
            self._cells[cell] = max(self._cells[cell], _in_cell(name, spent.get(name, Decimal(0)), ROUND_FLOOR))

    def _others(self, name: str) -> Decimal:
        column = self._names.index(name)
        own = self._cells[self._row * _CELLS + column]
        return EXACT.divide(Decimal(sum(self._cells[column::_CELLS]) - own), _units(name))

    def close(self) -> None:
        """Releases the table."""
        self._cells.release()
        self._table.close()


def _units(name: str) -> int:
    return _BILLIONTHS if BUDGET_KINDS[name].noun == "USD" else 1


def _in_cell(name: str, amount: Decimal, rounding: str) -> int:
    """The amount in the unit of a limit's cell; an amount too large for a cell is more than any budget."""
    return min(int(EXACT.multiply(amount, _units(name)).to_integral_value(rounding)), _MOST)


def plan_verdict(limits: Limits, spent: Mapping[str, int | Decimal], planned: PlannedSpending) -> str:
    """Why recording would not fit into the budget of the run; empty where it would, as far as that is known.

    Args:
        limits: What the run may spend.
        spent: What it has spent already, by the names of the limits.
        planned: What recording will take.
    """
    for name, most in (("max_tokens", planned.tokens), ("max_cost", planned.cost_usd)):
        limit, before = getattr(limits, name), Decimal(spent.get(name, 0))
        if not planned.tests or limit is None or EXACT.add(before, most) <= limit:
            continue
        kind = BUDGET_KINDS[name]
        what = f"up to {kind.shown(most)}{'' if planned.is_known else ' plus an unknown amount'}"
        replayed = f" on top of {kind.shown(before)} for replayed calls" if before else ""
        return (
            f"recording {plural(planned.tests, 'stale test')} again takes {what}{replayed}, "
            f"limit {kind.shown_limit(limit)} ({limits.origins.get(name, name)})"
        )
    return ""


# -- the table as a file ----------------------------------------------------------------------------------------


def begin_row(table: Path, row: int) -> None:
    """Marks a worker as about to run tests: if there are plans, the others wait for its plan."""
    _set_state(table, row, _REPLAYING)


def lose_row(table: Path, row: int) -> None:
    """Marks the plan of a worker that has ended as lost, if it was still running tests; nobody waits for it then."""
    if _state(table, row) == _REPLAYING:
        _set_state(table, row, _LOST)


def _state(table: Path, row: int) -> int:
    place = (row * _CELLS + _STATE) * 8
    return int.from_bytes(table.read_bytes()[place : place + 8], sys.byteorder, signed=True)


def _set_state(table: Path, row: int, state: int) -> None:
    with table.open("r+b") as file:
        file.seek((row * _CELLS + _STATE) * 8)
        file.write(state.to_bytes(8, sys.byteorder, signed=True))


def new_table(closers: ExitStack) -> Path:
    """Makes a table for several processes: a file that exists until `closers` are closed."""
    folder = closers.enter_context(tempfile.TemporaryDirectory(prefix="llm-usage-", ignore_cleanup_errors=True))
    table = Path(folder, "session")
    table.write_bytes(bytes(_BYTES))
    return table
