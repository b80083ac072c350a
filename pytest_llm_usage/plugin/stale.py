"""Stale recordings: prints one command for the tests that they fail, and the tests that were recorded again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_llm_usage.plugin.safety import Hooks
from pytest_llm_usage.text import plural, sendable

__all__ = ["NOTES", "StaleTests", "attach_notes", "note", "note_without_report"]

#: Kept with a test: notes on its cassette for the end of the run, as plain data.
NOTES: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
#: The key of an xdist worker's output: notes on tests without a report.
_OF_WORKER = "llm_usage_notes"
#: Beyond these limits, or if a name holds a key, the command names files: tests in them that are not stale are only
#: replayed.
_MAX_NAMED = 12
_LONGEST_TYPED = 320


def note(item: pytest.Item, kind: str, value: Any) -> None:
    """Notes something about a test's cassette; the test's report carries it.

    Args:
        item: The test.
        kind: `stale`, `recorded`, `new` (there was no recording before), `renamed`, `plan` (of recording it again),
            `unrecorded` (why it was not recorded) or `unsaved` (a recording of a test that did not pass).
        value: What is noted.
    """
    item.stash.setdefault(NOTES, {})[kind] = sendable(value)


def note_without_report(config: pytest.Config, kind: str, value: Any) -> None:
    """Notes something about the cassette of a test that was interrupted: it has no report to carry the note."""
    stale: StaleTests | None = config.pluginmanager.get_plugin("llm_usage_stale_tests")
    if stale is not None:
        stale.add({kind: value})
    elif hasattr(config, "workeroutput"):
        config.workeroutput.setdefault(_OF_WORKER, []).append(sendable({kind: value}))


def attach_notes(item: pytest.Item, report: pytest.TestReport) -> None:
    """Adds the notes to a report, which carries them to the process that prints.

    That of the teardown also carries what is noted later. Earlier ones carry a copy: pytest-rerunfailures hands them on
    when the test is over, and what the teardown noted would be said twice.
    """
    if NOTES in item.stash:
        notes = item.stash[NOTES]
        report.llm_usage_cassette = notes if report.when == "teardown" else dict(notes)  # type: ignore[attr-defined]


class StaleTests(Hooks):
    """Prints at the end of the run which tests to record again, and which were recorded.

    Args:
        is_plan: Whether the run asks for the plan of what that will cost.
    """

    def __init__(self, *, is_plan: bool = False) -> None:
        self._is_plan = is_plan
        #: By test: what recording it again will cost.
        self.plans: dict[str, Mapping[str, Any]] = {}
        #: Why nothing was recorded; empty if nothing was to be recorded, or it was recorded.
        self.unrecorded = ""
        self._sent: dict[str, list[Any]] = {}
        #: By test: whether it had no recording before.
        self._stale: dict[str, bool] = {}
        self._recorded: dict[str, bool] = {}
        #: The texts on unsaved recordings of tests for which pytest prints no report section.
        self._unsaved: list[str] = []

    def add(self, notes: Mapping[str, Any]) -> None:
        """Adds the notes on a test."""
        if "stale" in notes:
            self._stale[notes["stale"]] = "new" in notes
        if "plan" in notes:
            self.plans[notes["plan"]["test"]] = notes["plan"]
            if "sent" in notes:
                self._sent[notes["plan"]["test"]] = [*notes["sent"].values()]
        self.unrecorded = notes.get("unrecorded", self.unrecorded)
        if "unsaved" in notes:
            self._unsaved.append(notes["unsaved"])
        if "recorded" in notes:
            self._recorded[notes["recorded"]] = "new" in notes

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Adds the notes on tests in which an xdist worker was interrupted."""
        for notes in getattr(node, "workeroutput", {}).get(_OF_WORKER, ()):
            self.add(notes)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the plan, what was recorded, and what is still stale."""
        # The failure of a single stale test already ends with its command.
        is_asked_for = self.plans or self._is_plan or self._recorded or self._unsaved
        if is_asked_for or len(self._stale) > 1 or (self._stale and self.unrecorded):
            terminalreporter.write_sep("=", "LLM recordings")
        if self.plans:
            from pytest_llm_usage.plugin.plan import outcome_line, plan_lines  # noqa: PLC0415 -- only where it is asked for

            for line in plan_lines(self.plans, terminalreporter.config.get_terminal_writer().fullwidth):
                terminalreporter.write_line(line)
            terminalreporter.write_line("")
        elif self._is_plan:
            terminalreporter.write_line("Plan: every recording matches; there is nothing to record again")
        for is_new, title in ((False, "Recorded again"), (True, "Recorded")):
            if names := [name for name, was_new in self._recorded.items() if was_new is is_new]:
                terminalreporter.write_line(f"{title}: {plural(len(names), 'test')} (--llm-usage-record=stale)")
                for name in names:
                    terminalreporter.write_line(f"  {name}")
        for text in self._unsaved:
            terminalreporter.write_line(text)
        if self._sent:
            terminalreporter.write_line(outcome_line(self.plans, self._sent))
        if self._stale and (self._is_plan or self.unrecorded):
            terminalreporter.write_line("Nothing was sent. Record them:")
            self._write_command(terminalreporter)
        elif len(self._stale) > 1:
            terminalreporter.write_line(self._title)
            self._write_command(terminalreporter)

    @property
    def _title(self) -> str:
        missing = sum(self._stale.values())
        stale = len(self._stale) - missing
        if not missing:
            return f"Stale recordings: {plural(stale, 'test')}. Record them again:"
        told = f"Stale recordings: {plural(stale, 'test')}; missing: " if stale else "Missing recordings: "
        return f"{told}{plural(missing, 'test')}. Record them:"

    def _write_command(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"  pytest {_typed(list(self._stale))} --llm-usage-record=stale")


def _typed(names: list[str]) -> str:
    from pytest_llm_usage.credentials.mask import mask_name  # noqa: PLC0415 -- only where one is stale

    typed = " ".join(names)
    if len(names) <= _MAX_NAMED and len(typed) <= _LONGEST_TYPED and all(mask_name(name) == name for name in names):
        return typed
    files = dict.fromkeys(name.partition("::")[0].lstrip("\"'") for name in names)
    return " ".join(f'"{file}"' for file in files)
