"""Makes the tracker of a test or of the run, as the settings say. Imported at the first call."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.plugin.safety import note_fault
from pytest_llm_usage.plugin.state import SESSION_BUDGET, SETTINGS, fail, has_marker, is_tracked, price_book
from pytest_llm_usage.settings import limits_of
from pytest_llm_usage.tracker import Tracker

__all__ = ["tracker_of_run", "tracker_of_test"]


def tracker_of_test(item: pytest.Item, phase: str, thread_id: int) -> Tracker:
    """The tracker of a test; an invalid marker fails this test alone."""
    try:
        limits, problem = _limits_of(item), ""
    except ConfigurationError as error:
        limits, problem = (), str(error)
    tracker = _new_tracker(item.config, phase, thread_id, limits)
    if problem:
        tracker.fail(problem)
    return tracker


def tracker_of_run(config: pytest.Config, thread_id: int) -> Tracker:
    """The tracker of calls that belong to no test."""
    return _new_tracker(config, "setup", thread_id, ())


def _limits_of(item: pytest.Item) -> tuple[Limits, ...]:
    settings = item.config.stash[SETTINGS]
    if settings.budgets == "off" or not is_tracked(item, settings):
        return ()
    return limits_of(item, settings) if has_marker(item, "llm_budget") else settings.general_limits


def _new_tracker(config: pytest.Config, phase: str, thread_id: int, limits: tuple[Limits, ...]) -> Tracker:
    """A tracker configured by the settings."""
    settings = config.stash[SETTINGS]
    return Tracker(
        root=settings.root,
        missing=settings.missing,
        unpriced=settings.unpriced,
        phase=phase,
        thread_id=thread_id,
        limits=limits,
        stop=fail if settings.budgets == "fail" else None,
        session=config.stash.get(SESSION_BUDGET, None),
        stop_live=fail if settings.live == "fail" else None,
        prices=lambda: price_book(config, settings.prices),
        note_fault=partial(note_fault, config),
        counts_requests=settings.track != "langchain",
    )
