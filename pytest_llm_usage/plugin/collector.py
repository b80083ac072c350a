"""`RunCollector`: adds up the usage that test reports carry, prints it and writes the reports of the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.plugin.attempt import spent_by_no_test
from pytest_llm_usage.plugin.failures import RunFailures
from pytest_llm_usage.plugin.safety import Hooks
from pytest_llm_usage.plugin.stale import StaleTests
from pytest_llm_usage.plugin.state import SETTINGS, price_book
from pytest_llm_usage.plugin.unseen import UNSEEN, unseen_lines
from pytest_llm_usage.settings import Settings
from pytest_llm_usage.text import plural

if TYPE_CHECKING:
    from pytest_llm_usage.plugin.progress import SpendingSoFar
    from pytest_llm_usage.report.bodies import Recordings
    from pytest_llm_usage.report.comparison import RunComparison
    from pytest_llm_usage.report.run import Run
    from pytest_llm_usage.report.write import Baseline


def _baseline(settings: Settings) -> Baseline | None:
    """The baseline of the comparison, or None. Reports that could not be written are refused here, before the run."""
    if settings.reports:
        from pytest_llm_usage.report.write import check_paths  # noqa: PLC0415 -- only where it is asked for

        check_paths(settings.reports)
    if settings.compare is None:
        return None
    from pytest_llm_usage.report.write import Baseline  # noqa: PLC0415 -- only where it is asked for

    return Baseline.read(settings.compare, settings.fail_on, settings.floor)


def _recordings(settings: Settings) -> Recordings | None:
    """The reader of the cassettes, where the HTML report is to show what was recorded."""
    if not settings.html_bodies or "html" not in settings.reports:
        return None
    from pytest_llm_usage.cassettes.replayed import exchanges_at, exchanges_now  # noqa: PLC0415 -- where asked for
    from pytest_llm_usage.report.bodies import Recordings  # noqa: PLC0415 -- only where it is asked for

    root = settings.root
    return Recordings(
        now=lambda name: exchanges_now(root / name),
        then=lambda commit, name, digest: exchanges_at(root, commit, name, digest),
    )


class RunCollector(Hooks):
    """Adds up what the reports carry, in the process that prints: xdist's controller, or the only process."""

    def __init__(self, config: pytest.Config, failures: RunFailures, stale: StaleTests) -> None:
        self._config = config
        self._stale = stale
        self._spending: SpendingSoFar | None = None
        self._counts_tests = bool(config.stash[SETTINGS].session_limits)
        self._failures = failures
        self._run: Run | None = None
        self._baseline = _baseline(config.stash[SETTINGS])
        self._lines: list[str] = []
        self._printed: list[str] = []
        self._collected: set[str] = set()
        self._begun: set[str] = set()
        self._places: dict[str, tuple[str, int | None]] = {}
        self._comparison: RunComparison | None = None
        self._unseen: list[tuple[str, str]] = []
        self._crashed: list[tuple[str, str]] = []
        self._last_taken: pytest.TestReport | None = None
        self._has_html_columns = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes which tests will run."""
        if self._counts_tests:
            self._collected.update(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Notes which tests an xdist worker will run."""
        if self._counts_tests:
            self._collected.update(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds what a test spent."""
        if self._counts_tests:
            self._begun.add(report.nodeid)
        # One hook reads everything that reports carry, because it is called three times for every test.
        carried = report.__dict__
        if "llm_usage" not in carried and "llm_usage_cassette" not in carried:
            return
        if notes := getattr(report, "llm_usage_cassette", None):
            self._stale.add(notes)
            if "sent" in notes:
                self._add_sent(report.nodeid, notes["sent"])
        data = getattr(report, "llm_usage", None)
        if not data:
            return
        if self._last_taken is not None:
            # pytest keeps every report until it ends. Every plugin has seen this one, and the run has its data.
            self._last_taken.__dict__.pop("llm_usage", None)
        self._last_taken = report
        file, line, _ = report.location
        workspace = os.environ.get("GITHUB_WORKSPACE")
        if workspace:
            file = os.path.relpath(self._config.rootpath / file, workspace)
        self._places[report.nodeid] = (file, line)
        self._ensure_run().add(report.nodeid, getattr(report, "worker_id", ""), data)

    def _add_sent(self, nodeid: str, sent: Mapping[str, Sequence[Any]]) -> None:
        if self._spending is None:
            from pytest_llm_usage.plugin.progress import SpendingSoFar  # noqa: PLC0415 -- once something was sent

            self._spending = SpendingSoFar(self._config)
        self._spending.add(nodeid, sent)

    def _ensure_run(self) -> Run:
        if self._run is None:
            from pytest_llm_usage.report.run import Run  # noqa: PLC0415 -- only for runs that called a model

            self._run = Run()
        return self._run

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Adds what an xdist worker spent after its last test."""
        output = getattr(node, "workeroutput", {})
        if data := output.get("llm_usage"):
            self._ensure_run().add("", "", data)
        self._unseen += map(tuple, output.get("llm_usage_unseen", ()))
        if interrupted := output.get("llm_usage_interrupted"):
            self.add(interrupted[0], node.gateway.id, interrupted[1])

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Notes the test that an xdist worker crashed in: what it spent until then is in no total."""
        self._crashed.append(("model calls before the worker crashed", crashitem))

    def add(self, nodeid: str, worker: str, data: Mapping[str, Any]) -> None:
        """Adds what a test spent whose report never came."""
        self._ensure_run().add(nodeid, worker, data)

    def _check_session(self, session: pytest.Session, settings: Settings) -> None:
        """Fails the run if its budget is exceeded or cannot be verified; only prints that where budgets warn."""
        self._check_plan(session, settings)
        if self._run is None or not settings.session_limits or settings.budgets == "off":
            return
        breached = self._run.breached(settings.session_limits)
        verdict = breached or self._run.unproven(settings.session_limits)
        if verdict is None:
            return
        if settings.budgets != "fail":
            self._printed.append(verdict)
            return
        if breached is not None:
            session.shouldfail = verdict  # pytest prints it as for any run that ended early: !!! … !!!
        left = len(self._collected - self._begun) if breached is not None else 0
        self._failures.add(session, f"{verdict}; {plural(left, 'test')} not run: session budget" if left else verdict)

    def _check_plan(self, session: pytest.Session, settings: Settings) -> None:
        """Fails the run if its stale tests cannot be recorded within its budget."""
        verdict = self._stale.unrecorded
        if settings.plan and self._stale.plans and settings.session_limits and settings.budgets == "fail":
            from pytest_llm_usage.budget.breaches import spending  # noqa: PLC0415 -- only where there is a plan
            from pytest_llm_usage.plugin.plan import planned_spending  # noqa: PLC0415
            from pytest_llm_usage.plugin.session_budget import plan_verdict  # noqa: PLC0415

            spent = spending(settings.session_limits, self._ensure_run().calls)
            amounts = {name: amount for name, _, amount, _ in spent}
            verdict = plan_verdict(settings.session_limits, amounts, planned_spending([*self._stale.plans.values()]))
        if verdict:
            self._failures.add(session, f"{verdict}; nothing was sent")

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Adds columns to pytest-html's table, before its links."""
        cells[-1:-1] = ["<th>Tokens</th>", "<th>USD</th>"]
        self._has_html_columns = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fills those columns, in the row of the test's call phase."""
        if not self._has_html_columns:
            return  # pytest-html aborts at a row that is longer than its header
        cells[-1:-1] = ["<td></td>", "<td></td>"]
        from pytest_llm_usage.report.html import table_cells  # noqa: PLC0415 -- only beside pytest-html

        test = (report.nodeid, getattr(report, "worker_id", "")) if report.when == "call" else None
        cells[-3:-1] = table_cells(self._run.tests.get(test) if self._run is not None and test is not None else None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compares the run and writes its reports, as the settings say; fails the run if a gate is exceeded."""
        if data := spent_by_no_test(self._config):
            self._ensure_run().add("", "", data)
        settings = self._config.stash[SETTINGS]
        self._check_session(session, settings)
        wanted = (
            settings.reports or settings.history or self._baseline is not None or (settings.step_summary and self._run)
        )
        if self._config.option.collectonly or not wanted:
            return
        from pytest_llm_usage.report.write import write_reports  # noqa: PLC0415 -- only where it is asked for

        written = write_reports(
            self._ensure_run(),
            reports=settings.reports,
            baseline=self._baseline,
            step_summary=settings.step_summary if settings.report != "off" else None,
            history=settings.history,
            recordings=_recordings(settings),
            shard=settings.shard,
            root=settings.root,
            exit_status=int(session.exitstatus),
            prices=lambda: price_book(self._config, settings.prices).name,
            print_text=self._printed.append,
            columns=self._config.get_terminal_writer().fullwidth,
        )
        self._lines = written.lines
        self._comparison = written.comparison
        for failure in written.failures:
            self._failures.add(session, failure)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section `LLM usage`, unless no model was called and no setting needs it."""
        for text in self._printed:
            terminalreporter.write_line(text)
        settings = self._config.stash[SETTINGS]
        # A crash says nothing about model calls in a suite that makes none.
        crashed = self._crashed if self._run is not None else []
        unseen = list(unseen_lines([*self._config.stash[UNSEEN].found(), *self._unseen, *crashed]))
        if self._run is None and not unseen:
            return
        from pytest_llm_usage.report.styled import Line, judged  # noqa: PLC0415
        from pytest_llm_usage.report.terminal import Screen, section_lines  # noqa: PLC0415

        writer = self._config.get_terminal_writer()
        unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
        screen = Screen(
            columns=writer.fullwidth,
            bar="█" if unicode and terminalreporter.isatty else "#",
            shows_all=self._config.option.verbose > 0,
        )
        lines = section_lines(self._ensure_run(), settings.report, screen, audit=settings.audit != "off")
        if unseen and settings.report != "off":
            notes = [line for text in unseen for line in screen.wrapped(text)]
            lines += [Line(), *notes] if lines else notes
        told = judged(self._lines)
        lines += [Line(), *told] if lines and told else told
        if lines:
            terminalreporter.section("LLM usage")
            for line in lines:
                for text, markup in line.styled():
                    writer.write(text, **markup)
                writer.line()
        if os.environ.get("GITHUB_ACTIONS") == "true" and settings.report != "off":
            from pytest_llm_usage.report.annotations import github_lines  # noqa: PLC0415 -- only there

            level = "error" if settings.budgets == "fail" else "warning"
            for text in github_lines(self._ensure_run(), self._comparison, self._places, level=level):
                writer.line(text)
