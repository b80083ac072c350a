"""The reports of a run beside the terminal's section: compared, written, and told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llm_usage.errors import ConfigurationError, LLMUsageError, ReportError
from pytest_llm_usage.report.comparison import FailOn, RunComparison, comparison_lines
from pytest_llm_usage.report.data import RunData, read_runs, rendered, run_data
from pytest_llm_usage.report.environment import environment
from pytest_llm_usage.report.files import append_report, shown_path, write_report
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.markdown import markdown
from pytest_llm_usage.report.run import Run

__all__ = ["Delivery", "Reports", "read_baseline"]


@dataclass
class Delivery:
    """What became of the reports.

    Attributes:
        lines: For the terminal: the comparison, what was written where, and what could not be.
        failed: Whether a gate is exceeded or a report could not be written.
    """

    lines: list[str] = field(default_factory=list)
    failed: bool = False


def read_baseline(path: Path) -> list[RunData]:
    """The runs to compare with, read before the tests run: a file that is none fails early; empty where there is none yet.

    Raises:
        ConfigurationError: It is no run, or was written by a later version.
    """
    if not path.exists() or (path.is_dir() and not any(path.glob("*.json"))):
        return []
    try:
        return [*read_runs(path)]
    except LLMUsageError as error:
        raise ConfigurationError(f"--llm-usage-compare: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What is asked for. Paths are absolute, or `files.STDOUT`.

    Attributes:
        json: Where the run is written to as data.
        markdown: … as Markdown.
        html: … as a page.
        step_summary: The file to which GitHub wants Markdown to be added.
        compare: The file of the run to compare with, or the folder of several.
        baseline: Those runs; empty where there is none yet.
        fail_on: What fails the run.
        floor_tokens: A test that moved by no more tokens, and no more calls, is called noise.
        shard: Which part of a divided run this is, from 1, and of how many.
        root: pytest's root directory.
    """

    json: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    step_summary: Path | None = None
    compare: Path | None = None
    baseline: Sequence[RunData] = ()
    fail_on: FailOn | None = None
    floor_tokens: int = 0
    shard: tuple[int, int] | None = None
    root: Path

    def deliver(
        self,
        run: Run,
        *,
        exit_status: int,
        prices: Callable[[], str],
        print_text: Callable[[str], object] = print,
    ) -> Delivery:
        """Compares and writes.

        Args:
            run: What was spent.
            exit_status: pytest's, before any gate.
            prices: Tells which price books were asked.
            print_text: Prints what is to go to the standard output.
        """
        data = run_data(
            run,
            environment=environment(self.root, prices()),
            exit_status=exit_status,
            shard=self.shard,
            root=self.root,
        )
        delivery = Delivery()
        comparison = self._compare(data, delivery)
        if (
            self.json is not None
            and self.compare in (self.json, self.json.parent)
            and self.baseline
            and (delivery.failed or exit_status)
        ):
            # What runs are compared with must not become what was just refused, or half of it.
            delivery.lines.append(f"Kept {shown_path(self.compare)} as it was, because the run failed")
            data_path = None
        else:
            data_path = self.json
        reports: tuple[tuple[str, Path | None, Callable[[], str]], ...] = (
            ("JSON", data_path, lambda: rendered(data)),
            ("Markdown", self.markdown, lambda: markdown(data, comparison)),
            ("HTML", self.html, lambda: page(data, comparison)),
        )
        try:
            for kind, path, text in reports:
                if path is not None and (line := write_report(kind, path, text(), print_text)):
                    delivery.lines.append(line)
            if self.step_summary is not None and (data["totals"]["calls"] or comparison is not None):
                append_report(self.step_summary, markdown(data, comparison))
        except ReportError as error:
            delivery.lines.append(f"FAILED: {error}")
            delivery.failed = True
        return delivery

    def _compare(self, data: RunData, delivery: Delivery) -> RunComparison | None:
        if self.compare is None:
            return None
        name = shown_path(self.compare)
        fail_on = self.fail_on or FailOn()
        if not self.baseline:
            delivery.failed = fail_on.no_baseline
            what, file = (f"run in {name}", f"{name}/run.json") if self.compare.is_dir() else (name, name)
            delivery.lines.append(f"{'FAILED: ' if delivery.failed else ''}nothing to compare with: there is no {what}")
            if self.json is None or self.compare not in (self.json, self.json.parent):
                delivery.lines.append(f"  to make it:  --llm-usage-json={file}")
            return None
        comparison = RunComparison(
            self.baseline,
            [data],
            base_name=name if len(self.baseline) == 1 else f"{len(self.baseline)} runs in {name}",
            gates=fail_on.gates,
            floor_tokens=self.floor_tokens,
        )
        delivery.lines += comparison_lines(comparison)
        delivery.failed = comparison.failed
        return comparison
