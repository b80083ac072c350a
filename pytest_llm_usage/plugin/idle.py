"""Tests that call no model: how the hooks that pytest calls for every test tell that they have nothing to do.

A suite has thousands of them, so each of these is a few lookups.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llm_usage.plugin.attempt import attempt_at, run_scope
from pytest_llm_usage.plugin.safety import safe_hooks
from pytest_llm_usage.plugin.stale import NOTES
from pytest_llm_usage.plugin.state import CASSETTE, fail

__all__ = [
    "FailedSetup",
    "has_idle_report",
    "has_idle_teardown",
    "is_fixture_of_test",
    "is_idle",
    "is_idle_in_call",
    "is_idle_in_teardown",
    "keep_from_running",
]


def is_idle(_result: object, item: pytest.Item) -> bool:
    """Whether a test has had no need of a tracker so far, as tests have none that call no model."""
    return attempt_at(item).used_tracker is None


def is_fixture_of_test(fixturedef: pytest.FixtureDef[Any], _request: pytest.FixtureRequest) -> bool:
    """Whether the calls of a fixture are those of the test that asks for it."""
    return fixturedef.scope == "function"


def is_idle_in_call(item: pytest.Item) -> bool:
    """The same, as its call phase begins."""
    attempt = attempt_at(item)
    attempt.enter_phase("call")
    return attempt.used_tracker is None


def is_idle_in_teardown(item: pytest.Item) -> bool:
    """The same, as its teardown begins."""
    attempt = attempt_at(item)
    attempt.enter_phase("teardown")
    return attempt.used_tracker is None


def has_idle_teardown(_result: object, item: pytest.Item) -> bool:
    """Whether a teardown ends without a tracker; the attempt ends with it."""
    attempt = attempt_at(item)
    if attempt.used_tracker is not None:
        return False
    attempt.close()
    return True


def has_idle_report(report: pytest.TestReport | None, item: pytest.Item, _call: pytest.CallInfo[None]) -> bool:
    """Whether there is nothing to put on a report: its phase passed and either is not the last one, or nobody called a model."""
    if report is None or not report.passed:
        return report is None
    attempt = attempt_at(item)
    if report.when == "setup":
        return True
    if report.when == "call":
        if item.stash.get(CASSETTE, None) is not None:
            return False
        attempt.note_outcome(report)
        return True
    if (
        attempt.used_tracker is not None
        or attempt.earlier
        or attempt.outcome not in {"passed", None}
        or NOTES in item.stash
        or run_scope(item.config).calls
    ):
        return False
    attempt.note_reported()
    return True


class FailedSetup:
    """Keeps tests from running whose budget was spent, or whose request no cassette held, in their fixtures already."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Fails such a test in its call phase."""
        if (failure := attempt_at(item).failure) is not None:
            fail(failure)


def keep_from_running(item: pytest.Item) -> None:
    """The call phase of a test says why it must fail, and does not run it."""
    plugins = item.config.pluginmanager
    if not plugins.has_plugin("llm_usage_failed_setup"):  # few runs have such a test
        plugins.register(safe_hooks(FailedSetup(), item.config), "llm_usage_failed_setup")
