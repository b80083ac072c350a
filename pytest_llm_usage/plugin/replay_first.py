"""Recording within a budget: all tests are replayed first, and the stale ones are recorded if their plan fits.

What recording costs is known only when all tests have run, in all processes of the run. So the reports of a stale test
are kept back. After the last test the processes add up their plans. Then either all stale tests run again and are
recorded, or their reports are sent as they are, and nothing was sent to a provider.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest

from pytest_llm_usage.plugin.attempt import forget_attempt
from pytest_llm_usage.plugin.safety import safe_hooks
from pytest_llm_usage.plugin.session_budget import PlannedSpending, SessionBudget
from pytest_llm_usage.plugin.stale import NOTES, note
from pytest_llm_usage.plugin.state import REPLAYS_FIRST, SESSION_BUDGET, SETTINGS

__all__ = ["ReplayFirst", "replay_first"]

_WAIT_S = 0.05
_UNKNOWN = {"is_known": False, "models": {}}


def replay_first(config: pytest.Config) -> None:
    """Makes a run that has a budget, and records its stale tests, replay all tests first."""
    settings = config.stash[SETTINGS]
    is_controller = getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")
    if settings.record != "stale" or settings.plan or is_controller:
        return
    config.stash[REPLAYS_FIRST] = True
    config.pluginmanager.register(
        safe_hooks(ReplayFirst(config.stash[SESSION_BUDGET]), config), "llm_usage_replay_first"
    )


class ReplayFirst:
    """Keeps the stale tests of this process back until it is known what recording all of them costs.

    Args:
        budget: The budget of the whole run.
    """

    def __init__(self, budget: SessionBudget) -> None:
        self._budget = budget
        self._kept: list[tuple[pytest.Item, list[pytest.TestReport]]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Replays a test that may have a cassette; keeps its reports back if it is stale."""
        names = getattr(item, "fixturenames", ())
        if (
            self._budget.is_exceeded
            or not item.config.stash[REPLAYS_FIRST]
            or not {"llm_usage", "llm_cassette"}.intersection(names)
        ):
            return None
        # pytest's own runner, which cannot be imported publicly; pytest-rerunfailures gets a test's reports in the same
        # way.
        runner: Any = item.config.pluginmanager.get_plugin("runner")
        reports = runner.runtestprotocol(item, log=False, nextitem=nextitem)
        if "stale" in item.stash.get(NOTES, {}):
            self._kept.append((item, reports))
        else:
            _report(item, reports)
        return True

    # Inside pytest's own wrapper, which writes the last line of the progress.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Records the tests that were kept back, or reports them as they are."""
        try:
            result = yield
        except BaseException:
            self._budget.abandon_plan()
            raise
        self._budget.write_plan(self._planned())
        while self._budget.awaits_plans:
            time.sleep(_WAIT_S)
        verdict = self._budget.judge_plan()
        while self._budget.awaits_verdicts:
            time.sleep(_WAIT_S)
        session.config.stash[REPLAYS_FIRST] = False
        for number, (item, reports) in enumerate(self._kept, 1):
            if session.shouldfail or session.shouldstop:
                break
            _set_xdist_index(session, item)
            if verdict:
                note(item, "unrecorded", verdict)
                _report(item, reports)
                continue
            del item.stash[NOTES]["stale"]
            for report in reports:
                forget_attempt(item, report)
            following = self._kept[number][0] if number < len(self._kept) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return result

    def _planned(self) -> PlannedSpending:
        if not self._kept:
            return PlannedSpending(0, Decimal(0), Decimal(0), is_known=True)
        from pytest_llm_usage.plugin.plan import planned_spending  # noqa: PLC0415 -- loads what reads cassettes

        return planned_spending([item.stash[NOTES].get("plan", _UNKNOWN) for item, _ in self._kept])


def _set_xdist_index(session: pytest.Session, item: pytest.Item) -> None:
    """Sets the current test of an xdist worker, whose index the worker sends with each report."""
    if hasattr(session.config, "workerinput"):
        for plugin in session.config.pluginmanager.get_plugins():
            if hasattr(plugin, "item_index"):  # of xdist 3.6 to 3.8
                plugin.item_index = session.items.index(item)


def _report(item: pytest.Item, reports: list[pytest.TestReport]) -> None:
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
