"""`Forks`: counts the model calls of forked processes toward the test that forked them, however these processes end.

A process forked between tests is left alone: it runs tests and reports them itself (pytest-forked's). What
`subprocess` and the like start is no such process; `unseen_hooks` reports it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llm_usage.budget.limits import BUDGET_KINDS
from pytest_llm_usage.fork_hooks import listen_to_forks
from pytest_llm_usage.plugin import state
from pytest_llm_usage.plugin.attempt import attempt_under_way
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.safety import note_fault
from pytest_llm_usage.plugin.state import CLOSERS, SESSION_BUDGET, SETTINGS, is_tracked
from pytest_llm_usage.tracker.scope import current_scope

if TYPE_CHECKING:
    import mmap

    from pytest_llm_usage.tracker import Tracker
    from pytest_llm_usage.tracker.relatives import Relatives

__all__ = ["watch_forks"]

#: Up to this many tests that fork, a lost call is reported for the right test.
_TESTS = 4096


class Forks:
    """The processes that the tests of a run fork."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._process = os.getpid()
        self._folder: Path | None = None
        #: A byte for each test that forks, set if a process could not report a call.
        self._lost: mmap.mmap | None = None
        #: For each test that forks: its name, and what its processes report to each other.
        self._forked: list[tuple[str, Relatives]] = []
        self._sharing: list[Tracker] = []

    def before(self) -> None:
        """Prepares to hear of the calls of the process that is about to be forked."""
        self._sharing = []
        attempt = attempt_under_way(self._config)
        if attempt is None or not is_tracked(attempt.item, self._config.stash[SETTINGS]):
            return
        try:
            run = run_scope(self._config)
            trackers = [attempt.tracker, *([run.tracker] if current_scope() is run else [])]
            for tracker in trackers:
                if not tracker.processes.relatives:
                    tracker.processes.share(self._new(attempt.item.nodeid, tracker), tracker.known())
            self._sharing = trackers
        except Exception as error:  # noqa: BLE001 -- any error here is internal
            note_fault(self._config, "forked processes", error)

    def _new(self, test: str, tracker: Tracker) -> Relatives:
        from pytest_llm_usage.tracker.relatives import Relatives  # noqa: PLC0415 -- only where a test forks

        if self._folder is None:
            import mmap  # noqa: PLC0415 -- only where a test forks

            self._folder = Path(tempfile.mkdtemp(prefix="llm-usage-forks-"))
            self._lost = mmap.mmap(-1, _TESTS)
            self._config.stash[CLOSERS].callback(self._remove)
        with_parts = self._config.stash[SETTINGS].explains or any(
            getattr(limits, name) is not None
            for limits in tracker.limits
            for name, kind in BUDGET_KINDS.items()
            if kind.is_estimate
        )
        index = min(len(self._forked), _TESTS - 1)
        folder = self._folder / str(len(self._forked))
        folder.mkdir(mode=0o700)
        relatives = Relatives(folder, with_parts=with_parts, lost=partial(self._note_lost, index))
        self._forked.append((test, relatives))
        return relatives

    def _note_lost(self, index: int) -> None:
        if self._lost is not None:
            self._lost[index] = 1

    def _remove(self) -> None:
        if os.getpid() == self._process and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def in_child(self) -> None:
        """Continues in a process that was forked, if a test forked it."""
        if not self._sharing:
            return
        state.fail_in_child()
        for tracker in self._sharing:
            tracker.go_on_in_child()
        if SESSION_BUDGET in self._config.stash:
            self._config.stash[SESSION_BUDGET].stay_in_row()

    def not_counted(self) -> Iterator[tuple[str, str]]:
        """The calls known to be missing, each with its test; read at the end of the run."""
        for index, (test, relatives) in enumerate(self._forked):
            if relatives.has_half_line:
                yield "a model call of a forked process that ended while writing it,", test
            if self._lost is not None and self._lost[min(index, _TESTS - 1)]:
                yield "model calls that a forked process could not write,", test


def watch_forks(config: pytest.Config) -> Forks:
    """Counts the calls of forked processes until pytest ends."""
    forks = Forks(config)
    listen_to_forks(forks, config.stash[CLOSERS])
    return forks
