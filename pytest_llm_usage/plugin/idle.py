"""Tests that call no model: how the hooks that pytest calls for every test tell that they have nothing to do.

A suite has thousands of them, so each of these is a few lookups.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, TypeVar

import pytest

from pytest_llm_usage.plugin.attempt import Attempt, attempt_at, begin
from pytest_llm_usage.plugin.fixtures import open_cassette_first
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.safety import note_fault, run_behind, safe, safe_hooks
from pytest_llm_usage.plugin.stale import NOTES
from pytest_llm_usage.plugin.state import CASSETTE, fail, has_marker, settings_of

__all__ = [
    "FailedSetup",
    "keep_from_running",
    "safe_around_fixture",
    "safe_around_phase",
    "safe_around_report",
]

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


def _begun(item: pytest.Item) -> Attempt:
    """The attempt at a test that begins with its set-up."""
    attempt = begin(item)
    if attempt.trackers or "llm_usage" in getattr(item, "fixturenames", ()):
        from pytest_llm_usage.plugin.prices_ahead import read_prices_ahead_of  # noqa: PLC0415 -- only where one may be asked for

        open_cassette_first(item)
        read_prices_ahead_of(item)
    return attempt


def safe_around_phase(phase: str) -> Callable[[_Hook], _Hook]:
    """`safe` for the wrapper around a phase of every test; it is run where the test has a tracker.

    Where the tracker is first asked for within the phase, the wrapper is run as a whole behind the others' hooks.
    """
    attempt_of = _begun if phase == "setup" else attempt_at
    is_last = phase == "teardown"

    def decorate(hook: _Hook) -> _Hook:
        whole = safe(hook)

        def guarded(item: pytest.Item) -> Generator[None, Any, Any]:
            try:
                attempt: Attempt | None = attempt_of(item)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
                note_fault(item.config, hook.__name__, error)
                attempt = None
            if attempt is None:
                result = yield
                if phase == "setup" and has_marker(item, "llm_budget"):
                    settings_of(item.config)  # where there are none, nobody would hold the limit
                return result
            if attempt.trackers:
                return (yield from whole(item))
            attempt.phase = phase
            try:
                result = yield
            except BaseException as theirs:
                if attempt.trackers:
                    return run_behind(whole(item), error=theirs)
                if is_last:
                    attempt.close()
                raise
            if attempt.trackers:
                return run_behind(whole(item), result)
            if is_last:
                attempt.close()
            return result

        return wraps(hook)(guarded)  # type: ignore[return-value]

    return decorate


def safe_around_report(hook: _Hook) -> _Hook:
    """`safe` for the wrapper around the making of a report; it is run where there is something to put on the report."""
    whole = safe(hook)

    def guarded(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        try:
            if _has_idle_report(item, report):
                return report
        except Exception:  # noqa: BLE001, S110 -- the hook itself is run then, and tells of what goes wrong in it
            pass
        return run_behind(whole(item, call), report)

    return wraps(hook)(guarded)  # type: ignore[return-value]


def _has_idle_report(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Whether its phase passed and either is not the last one, or nobody called a model."""
    if report.outcome != "passed":
        return False
    if report.when == "setup":
        return True
    attempt = attempt_at(item)
    if report.when == "call":
        if attempt.trackers and CASSETTE in item.stash:
            return False
        attempt.note_outcome(report)
        return True
    if (
        attempt.trackers
        or attempt.earlier
        or attempt.outcome not in {"passed", None}
        or NOTES in item.stash
        or run_scope(item.config).calls
    ):
        return False
    attempt.note_reported()
    return True


def safe_around_fixture(hook: _Hook) -> _Hook:
    """`safe` for the wrapper around the set-up of a fixture; it is run for those whose calls are not the test's own."""
    whole = safe(hook)

    def guarded(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        return (yield from whole(fixturedef, request))

    return wraps(hook)(guarded)  # type: ignore[return-value]


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
