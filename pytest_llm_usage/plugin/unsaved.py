"""The texts on recordings that were paid for and not saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.money import plain, total
from pytest_llm_usage.plugin.attempt import attempt_at, attempt_under_way
from pytest_llm_usage.plugin.recordings import own_name
from pytest_llm_usage.plugin.stale import note_without_report
from pytest_llm_usage.plugin.state import CASSETTE
from pytest_llm_usage.text import plural, shown_path

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.settings import Settings

__all__ = ["WHY_UNSAVED", "cost_of", "record_option", "report_lost_recording", "unsaved_text"]

#: Outcomes other than a failure of the test itself for which nothing is saved.
WHY_UNSAVED = {
    "error": "its setup failed",
    "skipped": "the test was skipped",
    "xfailed": "the test failed, as expected",
    None: "the run was interrupted",
}


def cost_of(made: Sequence[Call]) -> str:
    """How many calls were billed, and what they cost."""
    calls = [call for call in made if call.is_billed]
    costs = [call.cost_usd for call in calls]
    known = [cost for cost in costs if cost is not None]
    spent = f"{'at least ' if len(known) < len(costs) else ''}${plain(total(known))} spent"
    if costs and not known:
        spent = "cost unknown"
    return f"{plural(len(calls), 'call')}, {spent}"


def record_option(config: pytest.Config) -> str:
    """The option that a command needs to make the recording again which the test under way loses if it fails; else empty."""
    attempt = attempt_under_way(config)
    cassette = attempt.item.stash.get(CASSETTE, None) if attempt is not None else None
    return f"--llm-usage-record={cassette.policy.record_mode}" if cassette is not None and cassette.recorded else ""


def unsaved_text(item: pytest.Item, cassette: OpenCassette, settings: Settings) -> str:
    """The text on the recording of a test that did not pass; keeps the recording if the settings say so."""
    from pytest_llm_usage.cassettes.names import failed_path  # noqa: PLC0415 -- only on the way to an error

    why = WHY_UNSAVED.get(attempt_at(item).outcome, "the test failed")
    lines = [f"{cassette.policy.shown_path} not saved: {why} ({cost_of(attempt_at(item).tracker.calls())})"]
    if settings.keep_failed:
        path = failed_path(cassette.policy.path, own_name(item) if cassette.policy.is_shared else "")
        try:
            cassette.save_failed(path)
        except CassetteError as error:
            lines.append(str(error))
        else:
            lines.append(f"Kept for inspection, never replayed: {shown_path(path)}")
    else:
        lines.append("To keep it for inspection:  --llm-usage-keep-failed")
    return "\n".join(lines)


def report_lost_recording(config: pytest.Config, policy: CassettePolicy, spent: str) -> None:
    """Reports that a recording of `llm_cassette` was paid for and not saved."""
    told = f"{policy.shown_path} not saved: the code that recorded it failed ({spent})"
    attempt = attempt_under_way(config)
    if attempt is None:
        note_without_report(config, "unsaved", told)
    else:
        attempt.item.add_report_section(attempt.phase, "recording", told)
