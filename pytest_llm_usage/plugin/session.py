"""The budget of the whole run in pytest and xdist: workers share it, and no more tests run once it is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.plugin.safety import safe_hooks
from pytest_llm_usage.plugin.session_budget import WORKER_ROWS, SessionBudget, begin_row, lose_row, new_table
from pytest_llm_usage.plugin.state import CLOSERS, SESSION_BUDGET, SETTINGS

if TYPE_CHECKING:
    from pytest_llm_usage.ledger import Call

__all__ = ["SpentRun", "limit_session", "name_workers_row", "note_lost_worker"]

_TABLE: pytest.StashKey[Path] = pytest.StashKey()
_WORKERS: pytest.StashKey[int] = pytest.StashKey()


class SpentRun:
    """Does not run the remaining tests once the whole run has spent its budget.

    Each xdist worker does this by itself, so that none is cut short: what its last test spent is still reported.
    """

    def __init__(self, budget: SessionBudget) -> None:
        self._budget = budget

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Claims a test without running it, if the budget is spent."""
        return True if self._budget.is_exceeded else None


def limit_session(config: pytest.Config, unreported: Callable[[], Sequence[Call]]) -> None:
    """Starts adding up what the run spends, against its limits."""
    table, row = getattr(config, "workerinput", {}).get("llm_usage_session", ("", 0))
    # A worker on another machine has no such file: it knows only what it spends itself; the controller knows all.
    shared = Path(table) if table and Path(table).is_file() else None
    budget = config.stash[SESSION_BUDGET] = SessionBudget(
        config.stash[SETTINGS].session_limits, unreported, shared, row, is_worker=hasattr(config, "workerinput")
    )
    config.stash[CLOSERS].callback(budget.close)
    config.pluginmanager.register(safe_hooks(SpentRun(budget), config), "llm_usage_spent_run")


def name_workers_row(node: Any) -> None:
    """Tells an xdist worker which row of the table is its own."""
    stash = node.config.stash
    if _TABLE not in stash:
        stash[_TABLE] = new_table(stash[CLOSERS])
    # The replacement of a crashed worker gets a new row: what was spent stays spent.
    row = stash[_WORKERS] = stash.get(_WORKERS, -1) + 1
    if row < WORKER_ROWS:
        node.workerinput["llm_usage_session"] = (str(stash[_TABLE]), row)
        begin_row(stash[_TABLE], row)


def note_lost_worker(node: Any) -> None:
    """Keeps the other workers from waiting for the plan of a worker that has ended, for whatever reason."""
    table, row = getattr(node, "workerinput", {}).get("llm_usage_session", ("", 0))
    if table and Path(table).is_file():
        lose_row(Path(table), row)
