"""The budget of the whole run: where the processes of a run keep what they have spent together."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from pytest_llm_usage.plugin.state import CLOSERS, SESSION_BUDGET, SESSION_BUDGET_FOLDER, SETTINGS

__all__ = ["limit_session", "name_workers_file"]


def limit_session(config: pytest.Config) -> None:
    """Adds up what the run spends, where that is limited."""
    settings = config.stash[SETTINGS]
    if not settings.session_limits or settings.budgets != "fail":
        return
    from pytest_llm_usage.report.session_budget import SessionBudget  # noqa: PLC0415 -- only for runs with a budget

    own = Path(getattr(config, "workerinput", {}).get("llm_usage_tally", ""))
    # A worker on another machine has no such folder: it knows of itself alone, and the controller of all.
    config.stash[SESSION_BUDGET] = SessionBudget(
        settings.session_limits, own if own.name and own.parent.is_dir() else None
    )


def name_workers_file(node: Any) -> None:
    """Tells a worker of xdist where it notes for the others what it spends."""
    stash = node.config.stash
    if SESSION_BUDGET not in stash:
        return
    if SESSION_BUDGET_FOLDER not in stash:
        folder = tempfile.TemporaryDirectory(prefix="llm-usage-", ignore_cleanup_errors=True)
        stash[SESSION_BUDGET_FOLDER] = stash[CLOSERS].enter_context(folder)
    node.workerinput["llm_usage_tally"] = str(Path(stash[SESSION_BUDGET_FOLDER], node.workerinput["workerid"]))
