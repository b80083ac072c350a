"""Fails the run for snapshots that could not be written: syrupy writes them when no test can fail any more."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pytest_llm_usage.plugin.state import RUN_FAILURES
from pytest_llm_usage.text import sendable

__all__ = ["collect_unwritten", "fail_for_unwritten"]

#: The key of an xdist worker's output, and what the workers have sent.
_OF_WORKER = "llm_usage_unwritten"
_FROM_WORKERS: pytest.StashKey[list[str]] = pytest.StashKey()


def fail_for_unwritten(session: pytest.Session) -> None:
    """Fails the run for each snapshot file that could not be written; an xdist worker passes them to the controller."""
    snapshot = sys.modules.get("pytest_llm_usage.snapshot")
    found: list[str] = snapshot.unwritten_files() if snapshot is not None else []
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[_OF_WORKER] = sendable(found)
    elif RUN_FAILURES in config.stash:
        for text in dict.fromkeys((*config.stash.get(_FROM_WORKERS, ()), *found)):
            config.stash[RUN_FAILURES].add(session, text)


def collect_unwritten(node: Any) -> None:
    """Collects the snapshot files that an xdist worker could not write."""
    node.config.stash.setdefault(_FROM_WORKERS, []).extend(getattr(node, "workeroutput", {}).get(_OF_WORKER, ()))
