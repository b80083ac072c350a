"""A run, or several of one kind, in the formats of tools that draw trends. What is not known is left out, never 0."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from statistics import median_low
from typing import Any

from pytest_llm_usage.money import plain
from pytest_llm_usage.report.data import RunData, calls_in

__all__ = ["EXPORTS", "export"]

#: The sums that are exported, each with its unit.
_METRICS = (("total_tokens", "tokens"), ("calls", "calls"), ("cost_usd", "USD"))


def export(name: str, runs: Sequence[RunData]) -> str:
    """The runs in a format of `EXPORTS`. Of several runs, the median of each number, with the least and the largest."""
    return EXPORTS[name](runs)


def _amounts(runs: Sequence[RunData]) -> Iterator[tuple[str, str, str, list[Decimal]]]:
    """Test (empty for all of them), name and unit of each sum, and its value in each run, if every run has one."""
    sums = [("", [run["totals"] for run in runs])]
    sums += [
        (test, [_sum(run["tests"][test]["usage"]) for run in runs if test in run["tests"]])
        for test in dict.fromkeys(test for run in runs for test in run["tests"])
    ]
    for test, totals in sums:
        for name, unit in _METRICS:
            values = [total[name] for total in totals]
            if None not in values:
                yield _encodable(test), name, unit, [Decimal(value) for value in values]


def _encodable(text: str) -> str:
    """Text without lone surrogates, as names of files that are not UTF-8 have: Bencher refuses a whole file for one."""
    return text.encode(errors="backslashreplace").decode()


def _sum(usage: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, _ in _METRICS:
        values = [model[name] for model in usage.values()]
        found[name] = None if None in values else sum(map(Decimal, values), Decimal(0))
    return found


def _benchmark_action(runs: Sequence[RunData]) -> str:
    """github-action-benchmark's `customSmallerIsBetter`."""
    rows = []
    for test, name, unit, values in _amounts(runs):
        row = {"name": f"{test or 'all tests'}: {name}", "unit": unit, "value": _number(median_low(values))}
        if len(values) > 1:
            row["range"] = f"{plain(min(values))} to {plain(max(values))}"
        rows.append(row)
    return json.dumps(rows, indent=1) + "\n"


def _bencher(runs: Sequence[RunData]) -> str:
    """Bencher's metric format, with the spread of several runs as lower and upper value."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for test, name, _, values in _amounts(runs):
        metric = {"value": _number(median_low(values))}
        if len(values) > 1:
            metric |= {"lower_value": _number(min(values)), "upper_value": _number(max(values))}
        found.setdefault(_benchmark(test or "all tests"), {})[name] = metric
    return json.dumps(found, indent=1) + "\n"


#: Bencher refuses a whole file for a benchmark with a longer name, in bytes of UTF-8.
_LONGEST_BENCHMARK = 1024


def _benchmark(test: str) -> str:
    """A test's name as Bencher takes it; one that is too long keeps its ends around a digest that makes it unique."""
    name = test.encode()
    if len(name) <= _LONGEST_BENCHMARK:
        return test
    digest = f"… {hashlib.sha256(name).hexdigest()[:16]} …"
    half = (_LONGEST_BENCHMARK - len(digest.encode())) // 2
    return name[:half].decode(errors="ignore") + digest + name[-half:].decode(errors="ignore")


def _number(value: Decimal) -> float:
    return int(value) if value == value.to_integral_value() else float(value)


def _openmetrics(runs: Sequence[RunData]) -> str:
    """OpenMetrics, as GitLab's metrics report reads it."""
    lines: dict[str, list[str]] = {name: [] for name, _ in _METRICS}
    for test, name, _, values in _amounts(runs):
        labels = f'{{test="{_label(test)}"}}' if test else ""
        metric = f"llm_usage_{'test_' if test else ''}{name}"
        lines.setdefault(metric, []).append(f"{metric}{labels} {plain(median_low(values))}")
    text = [f"# TYPE {name} gauge\n" + "\n".join(rows) for name, rows in lines.items() if rows]
    return "\n".join([*text, "# EOF"]) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_COLUMNS = ("run", "test", "outcome", "model", "provider", "source", "status", "input_tokens", "output_tokens")
_MORE = ("total_tokens", "cost_usd", "live", "where")


def _csv(runs: Sequence[RunData]) -> str:
    """A row for each call."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((*_COLUMNS, *_MORE))
    for number, run in enumerate(runs, start=1):
        for test, record in (*run["tests"].items(), ("", run["shared"])):
            for call in calls_in(record):
                usage = call.usage
                parts = ("", "") if usage is None or usage.is_total_alone else (usage.input_tokens, usage.output_tokens)
                counts = (*parts, "" if usage is None else usage.total_tokens)
                is_priced = usage is not None or call.billing.usage is not None
                cost = "" if not is_priced or call.cost_usd is None else plain(call.cost_usd)
                who = (call.model, call.provider or "", call.source, call.status)
                about = (number, test, record.get("outcome", ""), *who)
                rows.writerow(
                    [*map(_cell, (*about, *counts, cost)), "yes" if call.live else "no", _cell(call.where or "")]
                )
    return text.getvalue()


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = _encodable(str(value))
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


#: Name → renderer.
EXPORTS: Mapping[str, Callable[[Sequence[RunData]], str]] = {
    "github-action-benchmark": _benchmark_action,
    "bencher": _bencher,
    "openmetrics": _openmetrics,
    "csv": _csv,
}
