"""Failures of the run beside its tests, shown where people look: in pytest's short summary and its red last line."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_llm_usage.plugin.safety import Hooks

__all__ = ["RunFailures"]

#: The outcomes that pytest's short summary lists, by the letters of `-r`.
_LISTED = {"f": "failed", "E": "error", "x": "xfailed", "X": "xpassed", "s": "skipped", "p": "passed"}


class _Uncounted:
    """A failure in pytest's statistics that is no test's: it turns the last line red and counts as no failed test."""

    count_towards_summary = False


class RunFailures(Hooks):
    """Gates, session budgets, reports and cassettes that fail the run."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, session: pytest.Session, text: str) -> None:
        """Fails the run, with a line in the short summary."""
        self._texts.append(text)
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Adds a line for each failure after pytest's own lines, which pytest prints at the end of its wrapper."""
        yield
        if not self._texts:
            return
        chars = terminalreporter.reportchars
        if not any(terminalreporter.stats.get(status) for char, status in _LISTED.items() if char in chars):
            terminalreporter.section("short test summary info", cyan=True, bold=True)
        for text in self._texts:
            terminalreporter.write("FAILED", red=True)
            terminalreporter.write(f" llm-usage: {text}\n")
        # Private, and the only way to colour the last line of a run that ended early; read in pytest 9.0 and 9.2.
        add_stats = getattr(terminalreporter, "_add_stats", None)
        if add_stats is not None:
            add_stats("failed", [_Uncounted()])
        else:
            terminalreporter.stats.setdefault("failed", []).append(_Uncounted())
