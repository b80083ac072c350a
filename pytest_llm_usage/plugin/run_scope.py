"""`RunScope`: the calls of a run that belong to no test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.text import sendable
from pytest_llm_usage.tracker.scope import running

if TYPE_CHECKING:
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.tracker import Tracker
    from pytest_llm_usage.tracker.relatives import Relatives

__all__ = ["RUN", "RunScope", "run_scope"]


class RunScope:
    """The run: the scope of calls that belong to no test, made by fixtures of wider scope and at import.

    Attributes:
        left: What forked processes that outlive their test use to report their calls.
        trackers: Its tracker; empty until one is needed.
    """

    __slots__ = ("_config", "_thread_id", "left", "trackers")

    is_run = True

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.left: list[Relatives] = []
        self._thread_id = threading.get_ident()
        self.trackers: list[Tracker] = []

    @property
    def tracker(self) -> Tracker:
        """The tracker that collects its calls; made on first access."""
        if not self.trackers:
            from pytest_llm_usage.plugin.trackers import tracker_of_run  # noqa: PLC0415 -- at the first call

            self.trackers.append(tracker_of_run(self._config, self._thread_id))
        return self.trackers[0]

    @contextmanager
    def around(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """Assigns the calls of a fixture's set-up and teardown to the run."""
        # Finalizers run in reverse order: the last one added opens, the first one closes, the fixture's own in between.
        teardown = ExitStack()
        fixturedef.addfinalizer(teardown.close)
        try:
            with running(self):
                yield
        finally:
            fixturedef.addfinalizer(lambda: teardown.enter_context(running(self)))

    @property
    def calls(self) -> tuple[Call, ...]:
        """Its calls since they were last drained."""
        return self.trackers[0].calls() if self.trackers else ()

    def collect_left(self) -> None:
        """Adds the calls of processes that outlived the test that forked them, at the end of the run."""
        if self.left:
            self.tracker.take_over(self.left)

    def drain(self) -> dict[str, Any]:
        """Its calls since they were last drained, as plain data."""
        ledger = self.trackers[0].drain() if self.calls else None
        return {"shared": sendable(ledger.to_list())} if ledger is not None and ledger.calls else {}


#: Kept with pytest's configuration.
RUN: pytest.StashKey[RunScope] = pytest.StashKey()


def run_scope(config: pytest.Config) -> RunScope:
    """The scope of this run."""
    return config.stash[RUN]
