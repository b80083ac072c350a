"""A run of 20,000 tests that make five calls each, under xdist: what its controller holds in memory, and how long each report takes.

The calls are a fake model's, with the name and the usage of a real one, so that they are priced. The memory is what the
run takes more than without the plugin; times are the controller's processor time.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import SUITES, Figure, duration, run_pytest

CALLS = 5
#: The most seconds for the reports that are read while a job runs.
MOST_S = {"terminal": 5.0, "JSON": 5.0}
#: Bytes of a call in a large run, against those in a small one.
MOST_GROWTH = 1.2


def figures(tests: int) -> Iterator[Figure]:
    """What was measured, against its bounds."""
    if not Path("/proc/self/statm").exists():
        return
    small = _bytes_of_a_call(max(tests // 10, 1))[0]
    large, seconds = _bytes_of_a_call(tests)
    yield Figure(f"a call in the controller, {tests // 10:,} tests", small, None, _bytes)
    yield Figure(f"a call in the controller, {tests:,} tests", large, MOST_GROWTH * small, _bytes)
    seconds["JSON"] += seconds.pop("run_data")
    for name, taken in sorted(seconds.items()):
        yield Figure(f"{name}, {tests * CALLS:,} calls", taken, MOST_S.get(name.partition(",")[0]), duration)


def _bytes_of_a_call(tests: int) -> tuple[float, dict[str, float]]:
    """What the plugin makes the controller hold for each call, and the seconds of each report."""
    with tempfile.TemporaryDirectory() as directory:
        reports = [f"--llm-usage-{name}={directory}/run.{name}" for name in ("json", "md", "html", "history")]
        ours = _run(tests, Path(directory), reports)
        bare = _run(tests, Path(directory), ["-p", "no:llm_usage"])
    held = [side["bytes"]["after"] - side["bytes"]["before"] for side in (ours, bare)]
    return (held[0] - held[1]) / (tests * CALLS), ours["seconds"]


def _run(tests: int, directory: Path, arguments: list[str]) -> dict[str, Any]:
    result = directory / "result.json"
    environment = {"BENCHMARK_TESTS": str(tests), "BENCHMARK_CALLS": str(CALLS), "BENCHMARK_RESULT": str(result)}
    workers = ["-n", str(min(4, os.cpu_count() or 1))]
    run_pytest(["-c", str(SUITES / "pytest.ini"), *workers, *arguments, str(SUITES / "large")], SUITES, environment)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _bytes(value: float) -> str:
    return f"{value:8,.0f} B"
