"""Warns of guards that guard nothing: a marker without effect, or a snapshot that is never compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_llm_usage.plugin.safety import safe_hooks
from pytest_llm_usage.plugin.state import SETTINGS, fail, marker_names

if TYPE_CHECKING:
    from pytest_llm_usage.settings import Settings

__all__ = ["FailingTests", "warn_of_idle_markers", "warn_of_idle_snapshot"]


def warn_of_idle_markers(session: pytest.Session) -> None:
    """Warns of markers that have no effect on their test; if warnings are errors, that test fails."""
    settings = session.config.stash[SETTINGS]
    failing = FailingTests()
    unmarked: set[pytest.Item | pytest.Collector | None] = set()
    for item in session.items:
        if not item.own_markers and item.parent in unmarked:
            continue
        markers = marker_names(item)
        if not markers:
            unmarked.add(item.parent)
        for text in _idle_markers(item, markers, settings):
            try:
                _warn(item, text)
            except Warning as error:
                failing.texts.setdefault(item, str(error))
    if failing.texts:
        session.config.pluginmanager.register(safe_hooks(failing, session.config), "llm_usage_idle_markers")


class FailingTests:
    """Fails tests before their set-up; registered only if there are any."""

    def __init__(self) -> None:
        self.texts: dict[pytest.Item, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fails a test."""
        if item in self.texts:
            fail(self.texts[item])


def _idle_markers(item: pytest.Item, markers: set[str], settings: Settings) -> Iterator[str]:
    if "llm_usage" in getattr(item, "fixturenames", ()):
        return
    if settings.track == "requested" and "llm_budget" in markers:
        yield (
            "@pytest.mark.llm_budget has no effect: llm_usage_track = requested, and the test does not request llm_usage"
        )
    if "llm_cassette" in markers and "llm_cassette" not in getattr(item, "fixturenames", ()):
        yield "@pytest.mark.llm_cassette has no effect: the test does not request llm_usage"


def warn_of_idle_snapshot(item: pytest.Item) -> None:
    """Warns of a test that requests `usage_snapshot` and compares nothing with it; if warnings are errors, the test fails."""
    try:
        _warn(item, "usage_snapshot was requested and never compared:  assert llm_usage == usage_snapshot")
    except Warning as error:
        fail(str(error))


def _warn(item: pytest.Item, text: str) -> None:
    from pytest_llm_usage.tracker import LLMUsageWarning  # noqa: PLC0415 -- only where there is something to say

    item.warn(LLMUsageWarning(f"{item.nodeid}: {text}"))
