"""Wrappers that let the hooks of every test skip their work for tests that call no model.

A suite has thousands of such tests, so each wrapper costs a few lookups.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, TypeVar

import pytest

from pytest_llm_usage.plugin.attempt import Attempt, attempt_at, begin
from pytest_llm_usage.plugin.fixtures import open_cassette_first
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.safety import note_fault, run_after, safe, safe_hooks
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


def _begin(item: pytest.Item) -> Attempt:
    """Begins an attempt at a test, in its set-up."""
    attempt = begin(item)
    if attempt.trackers or "llm_usage" in getattr(item, "fixturenames", ()):
        from pytest_llm_usage.plugin.prices_ahead import read_prices_ahead_of  # noqa: PLC0415 -- only where one may be asked for

        open_cassette_first(item)
        read_prices_ahead_of(item)
    return attempt


def safe_around_phase(phase: str) -> Callable[[_Hook], _Hook]:
    """`safe` for a wrapper around a phase of every test; the wrapper runs only if the test has a tracker.

    If the tracker is made during the phase, the whole wrapper runs after the hooks of others.
    """
    attempt_of = _begin if phase == "setup" else attempt_at
    is_last = phase == "teardown"

    def decorate(hook: _Hook) -> _Hook:
        whole = safe(hook)

        def guarded(item: pytest.Item) -> Generator[None, Any, Any]:
            try:
                attempt: Attempt | None = attempt_of(item)
            except Exception as error:  # noqa: BLE001 -- any error here is internal
                note_fault(item.config, hook.__name__, error)
                attempt = None
            if attempt is None:
                result = yield
                if phase == "setup" and has_marker(item, "llm_budget"):
                    settings_of(item.config)  # fails the test if there are none: nothing would enforce its limit
                return result
            if attempt.trackers:
                return (yield from whole(item))
            attempt.phase = phase
            try:
                result = yield
            except BaseException as theirs:
                if attempt.trackers:
                    return run_after(whole(item), error=theirs)
                if is_last:
                    attempt.close()
                raise
            if attempt.trackers:
                return run_after(whole(item), result)
            if is_last:
                attempt.close()
            return result

        return wraps(hook)(guarded)  # type: ignore[return-value]

    return decorate


def safe_around_report(hook: _Hook) -> _Hook:
    """`safe` for the wrapper around the making of a report; it runs only if there is something to add to the report."""
    whole = safe(hook)

    def guarded(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        try:
            if _has_idle_report(item, report):
                return report
        except Exception:  # noqa: BLE001, S110 -- then the hook itself runs, and notes its own errors
            pass
        return run_after(whole(item, call), report)

    return wraps(hook)(guarded)  # type: ignore[return-value]


def _has_idle_report(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Whether a report needs nothing from us: its phase passed, and it is not the last one or no model was called."""
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
    """`safe` for the wrapper around the set-up of a fixture; it runs only for fixtures of a wider scope."""
    whole = safe(hook)

    def guarded(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        return (yield from whole(fixturedef, request))

    return wraps(hook)(guarded)  # type: ignore[return-value]


class FailedSetup:
    """Keeps a test from running if its fixtures spent its budget already, or made a request that no cassette holds."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Fails such a test in its call phase."""
        if (failure := attempt_at(item).failure) is not None:
            fail(failure)


def keep_from_running(item: pytest.Item) -> None:
    """Makes the call phase of a test fail with the attempt's failure, without running the test."""
    plugins = item.config.pluginmanager
    if not plugins.has_plugin("llm_usage_failed_setup"):  # few runs have such a test
        plugins.register(safe_hooks(FailedSetup(), item.config), "llm_usage_failed_setup")
