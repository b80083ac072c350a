"""`RunScope`: the calls of a run that are no test's."""

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
    """The run: calls that are no test's, of fixtures of wider scope and at import.

    Attributes:
        left: Where processes tell of their calls that outlive the test that forked them.
        trackers: Its tracker; empty where nobody has asked for one.
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
        """Gathers its calls; made when it is first asked for."""
        if not self.trackers:
            from pytest_llm_usage.plugin.trackers import tracker_of_run  # noqa: PLC0415 -- at the first call

            self.trackers.append(tracker_of_run(self._config, self._thread_id))
        return self.trackers[0]

    @contextmanager
    def around(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """Calls of the set-up and the teardown of a fixture belong to the run."""
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
        """Its calls since the last time."""
        return self.trackers[0].calls() if self.trackers else ()

    def take_in_left(self) -> None:
        """Takes in the calls of processes that outlived the test that forked them, at the end of the run."""
        if self.left:
            self.tracker.take_over(self.left)

    def drain(self) -> dict[str, Any]:
        """Its calls since the last time, as plain data."""
        ledger = self.trackers[0].drain() if self.calls else None
        return {"shared": sendable(ledger.to_list())} if ledger is not None and ledger.calls else {}


#: Kept with pytest's configuration.
RUN: pytest.StashKey[RunScope] = pytest.StashKey()


def run_scope(config: pytest.Config) -> RunScope:
    """The run."""
    return config.stash[RUN]
