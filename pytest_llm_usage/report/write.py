"""The reports of a run beside the terminal's section: compared with earlier runs, and written to files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llm_usage.errors import ConfigurationError, LLMUsageError, ReportError
from pytest_llm_usage.report.bodies import Recordings, call_bodies
from pytest_llm_usage.report.comparison import FailOn, RunComparison, comparison_lines
from pytest_llm_usage.report.data import RunData, collector_paused, read_runs, run_data
from pytest_llm_usage.report.environment import environment
from pytest_llm_usage.report.files import append_report, check_replaceable, write_report
from pytest_llm_usage.report.formats import FORMATS
from pytest_llm_usage.report.history import MOST_PAST_RUNS, Trend, add_run, read_trend
from pytest_llm_usage.report.markdown import markdown
from pytest_llm_usage.report.page_data import PageExtras
from pytest_llm_usage.report.run import Run
from pytest_llm_usage.text import shown_path

__all__ = ["Baseline", "WrittenReports", "check_paths", "write_reports"]


@dataclass
class WrittenReports:
    """The outcome of writing the reports.

    Attributes:
        lines: For the terminal: the comparison, and what was written where.
        failures: What fails the run, a line each: exceeded gates, reports that could not be written.
        comparison: With the baseline; None if there is none.
    """

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    comparison: RunComparison | None = None

    def fail(self, text: str) -> None:
        """Fails the run, and says so."""
        self.failures.append(text)
        self.lines.append(f"FAILED: {text}")

    @contextmanager
    def failing_on_errors(self) -> Iterator[None]:
        """Fails the run for an error of ours in the block, and goes on after it."""
        try:
            yield
        except LLMUsageError as error:
            self.fail(str(error))


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a run is compared with.

    Attributes:
        path: The file of an earlier run, or the folder of several.
        runs: Those runs; empty before the first run.
        fail_on: What fails the run.
        floor_tokens: A test that moved by no more tokens, and no more calls, is called noise.
    """

    path: Path
    runs: Sequence[RunData]
    fail_on: FailOn = field(default_factory=FailOn)
    floor_tokens: int = 0

    @classmethod
    def read(cls, path: Path, fail_on: FailOn | None, floor_tokens: int) -> Baseline:
        """Reads the runs before the tests run, so that a file that is not a run fails early.

        Raises:
            ConfigurationError: A file is not a run, or was written by a later version.
        """
        runs: Sequence[RunData] = ()
        try:
            if path.exists() and not (path.is_dir() and not any(file.suffix == ".json" for file in path.iterdir())):
                runs = read_runs(path)
        except OSError as error:
            raise ConfigurationError(f"--llm-usage-compare: {path}: {error.strerror or error}") from None
        except (LLMUsageError, ValueError) as error:
            raise ConfigurationError(f"--llm-usage-compare: {error}") from None
        return cls(path=path, runs=runs, fail_on=fail_on or FailOn(), floor_tokens=floor_tokens)

    def compare(self, data: RunData) -> RunComparison | None:
        """The comparison with a run; None if there is nothing to compare it with."""
        if not self.runs:
            return None
        name = shown_path(self.path)
        return RunComparison(
            self.runs,
            [data],
            base_name=name if len(self.runs) == 1 else f"{len(self.runs)} runs in {name}",
            gates=self.fail_on.gates,
            floor_tokens=self.floor_tokens,
        )

    def is_in(self, path: Path | None) -> bool:
        """Whether a run that is written to `path` becomes what later runs are compared with."""
        return path is not None and self.path in (path, path.parent)


def check_paths(reports: Mapping[str, Path]) -> None:
    """Refuses, before the tests run, to replace a file that is not such a report.

    Raises:
        ConfigurationError: There is such a file at one of the paths.
    """
    for report in FORMATS:
        if report.option in reports:
            try:
                check_replaceable(report, reports[report.option])
            except ReportError as error:
                raise ConfigurationError(f"--llm-usage-{report.option}: {error}") from None


@collector_paused()
def write_reports(
    run: Run,
    *,
    reports: Mapping[str, Path],
    baseline: Baseline | None,
    step_summary: Path | None,
    history: Path | None = None,
    recordings: Recordings | None = None,
    shard: tuple[int, int] | None,
    root: Path,
    exit_status: int,
    prices: Callable[[], str],
    print_text: Callable[[str], object] = print,
    columns: int = 80,
) -> WrittenReports:
    """Compares the run and writes its reports. One that cannot be written is a failure; the others are still written.

    Args:
        run: What was spent.
        reports: The path of each report, by the option of its format: absolute, or `STDOUT`.
        baseline: What it is compared with.
        step_summary: The file to which GitHub wants Markdown to be added.
        history: The SQLite file to which the run is added.
        recordings: The functions that read recorded prompts and answers, if a report shows them.
        shard: Which shard of a run this is, from 1, and of how many.
        root: pytest's root directory.
        exit_status: pytest's, before any gate.
        prices: Returns which price books were asked.
        print_text: Prints what goes to the standard output.
        columns: How wide the terminal is.
    """
    data = run_data(run, environment=environment(root, prices()), exit_status=exit_status, shard=shard, root=root)
    written = WrittenReports()
    comparison = written.comparison = None if baseline is None else baseline.compare(data)
    if baseline is not None:
        _report_comparison(baseline, comparison, written, columns, makes_one=baseline.is_in(reports.get("json")))
    trend: Trend | None = None
    if history is not None:
        with written.failing_on_errors():
            add_run(history, data, time.time())
            # It includes this run.
            trend = read_trend(history, MOST_PAST_RUNS) if "html" in reports else None
    base = baseline.runs[-1] if baseline is not None and baseline.runs else None
    extras = PageExtras(trend=trend, bodies=call_bodies(data, recordings, base) if recordings is not None else {})
    for report in FORMATS:
        path = reports.get(report.option)
        if path is None:
            continue
        has_failed = written.failures or exit_status
        if has_failed and report.option == "json" and baseline is not None and baseline.runs and baseline.is_in(path):
            # A run that was just refused, or half a run, must not become the baseline.
            written.lines.append(f"Kept {shown_path(baseline.path)} as it was, because the run failed")
            continue
        with written.failing_on_errors():
            if line := write_report(report, path, report.render(data, comparison, extras), print_text):
                written.lines.append(line)
    if step_summary is not None and (data["totals"]["calls"] or comparison is not None):
        with written.failing_on_errors():
            append_report(step_summary, markdown(data, comparison))
    return written


def _report_comparison(
    baseline: Baseline, comparison: RunComparison | None, written: WrittenReports, columns: int, *, makes_one: bool
) -> None:
    """Adds the lines of the comparison, or that there is nothing to compare with."""
    if comparison is not None:
        written.lines += comparison_lines(comparison, columns)
        written.failures += comparison.failures
        return
    name = shown_path(baseline.path)
    what, file = (f"run in {name}", f"{name}/run.json") if baseline.path.is_dir() else (name, name)
    missing = f"nothing to compare with: there is no {what}"
    if baseline.fail_on.no_baseline:
        written.fail(missing)
    else:
        written.lines.append(missing)
    if not makes_one:
        written.lines.append(f"  to make it:  --llm-usage-json={file}")
