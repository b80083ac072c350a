"""`RunCollector`: what rides on the reports of the tests, added up, printed and written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.plugin.attempt import spent_by_no_test
from pytest_llm_usage.plugin.state import SETTINGS, price_book
from pytest_llm_usage.settings import Settings

if TYPE_CHECKING:
    from pytest_llm_usage.report import Run
    from pytest_llm_usage.report.data import RunData
    from pytest_llm_usage.report.write import Delivery


def _baseline(path: Path | None) -> Sequence[RunData]:
    if path is None:
        return ()
    from pytest_llm_usage.report.write import read_baseline  # noqa: PLC0415 -- only where it is asked for

    return read_baseline(path)


class RunCollector:
    """Adds up what rides on the reports, in the process that prints: the only one, or xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run: Run | None = None
        self._baseline = _baseline(config.stash[SETTINGS].compare)
        self._delivery: Delivery | None = None
        self._printed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes in what a test spent."""
        data = getattr(report, "llm_usage", None)
        if not data:
            return
        self._gathered().add(report.nodeid, getattr(report, "worker_id", ""), data)

    def _gathered(self) -> Run:
        if self._run is None:
            from pytest_llm_usage.report import Run  # noqa: PLC0415 -- only for runs that called a model

            self._run = Run()
        return self._run

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes in what a worker of xdist spent behind its last test."""
        data = getattr(node, "workeroutput", {}).get("llm_usage")
        if data:
            self._gathered().add("", "", data)

    def _check_session(self, session: pytest.Session, settings: Settings) -> None:
        """Fails the run that spent more than it may, or of which that cannot be known; only says so where budgets warn."""
        if self._run is None or not settings.session_limits or settings.budgets == "off":
            return
        breached = self._run.breached(settings.session_limits)
        verdict = breached or self._run.unproven(settings.session_limits)
        if verdict is None:
            return
        if settings.budgets == "fail" and breached is not None:
            session.shouldfail = verdict  # pytest's own words for a run that ended early: !!! … !!!
        else:
            self._printed.append(verdict)
        if settings.budgets == "fail" and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Adds columns to the table of pytest-html, before its links."""
        cells[-1:-1] = ["<th>Tokens</th>", "<th>USD</th>"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fills those columns, of the row of the test itself."""
        from pytest_llm_usage.report.html import table_cells  # noqa: PLC0415 -- only beside pytest-html

        test = (report.nodeid, getattr(report, "worker_id", "")) if report.when == "call" else None
        cells[-1:-1] = table_cells(self._run.tests.get(test) if self._run is not None and test is not None else None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compares and writes the reports that are asked for; fails the run where a gate is exceeded."""
        if data := spent_by_no_test(self._config):
            self._gathered().add("", "", data)
        settings = self._config.stash[SETTINGS]
        self._check_session(session, settings)
        wanted = (settings.json, settings.md, settings.html, settings.compare)
        if self._config.option.collectonly or not (any(wanted) or (settings.step_summary and self._run)):
            return
        from pytest_llm_usage.report.write import Reports  # noqa: PLC0415 -- only where it is asked for

        reports = Reports(
            json=settings.json,
            markdown=settings.md,
            html=settings.html,
            step_summary=settings.step_summary if settings.report != "off" else None,
            compare=settings.compare,
            baseline=self._baseline,
            fail_on=settings.fail_on,
            floor_tokens=settings.floor,
            shard=settings.shard,
            root=settings.root,
        )
        self._delivery = reports.deliver(
            self._gathered(),
            exit_status=int(session.exitstatus),
            prices=lambda: price_book(self._config, settings.prices).name,
            print_text=self._printed.append,
        )
        if self._delivery.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section `LLM usage`; nothing where no model was called and nothing was asked for."""
        for text in self._printed:
            terminalreporter.write_line(text)
        if self._run is None:
            return
        from pytest_llm_usage.report import section_lines  # noqa: PLC0415

        unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
        bar = "█" if unicode and terminalreporter.isatty else "#"
        settings = self._config.stash[SETTINGS]
        lines = section_lines(self._run, settings.report, bar=bar, audit=settings.audit != "off")
        if self._delivery is not None and self._delivery.lines:
            lines += ["", *self._delivery.lines] if lines else self._delivery.lines
        if lines:
            terminalreporter.section("LLM usage")
            for line in lines:
                terminalreporter.line(line)
