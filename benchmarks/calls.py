"""One tracked call of a fake model, against `get_usage_metadata_callback` around the same call.

That callback registers one more hook for the process at every use, and every later call goes through all of them. So
both sides are measured in the first tests of a suite and again after many.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import SUITES, Comparison, Seconds, alternate, run_pytest


def compare(tests: int, rounds: int) -> list[Comparison]:
    """Comparisons of `invoke` and `ainvoke`, in the first tests and after `tests` tests."""
    # The memory layout of a process changes such short times by more than the sides differ: so many processes are run.
    first, last = _sides(0, 5 * rounds), _sides(tests, rounds)
    lines = []
    for call, most_ratio in (("invoke", 1.0), ("ainvoke", 0.7)):
        for when, sides in (("in the first tests", first), (f"after {tests:,} tests", last)):
            lines.append(Comparison(f"{call}, {when}", sides["ours"][call], sides["other"][call], most_ratio))
        # Against itself: what the suite's length adds.
        lines.append(Comparison(f"{call}, ours after against ours first", last["ours"][call], first["ours"][call], 1.2))
    lines.append(Comparison(f"the suite of {tests:,} tests", last["ours"]["suite"], last["other"]["suite"]))
    return lines


def _sides(tests: int, rounds: int) -> Mapping[str, Seconds]:
    return alternate(
        {
            "ours": lambda: run("llm_usage", tests),
            "other": lambda: run("get_usage_metadata_callback", tests),
        },
        rounds,
    )


def run(side: str, tests: int) -> Seconds:
    """The times of one run of the suite, on one side."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "seconds.json"
        environment = {"BENCHMARK_SIDE": side, "BENCHMARK_TESTS": str(tests), "BENCHMARK_RESULT": str(result)}
        arguments = ["-c", str(SUITES / "pytest.ini"), str(SUITES / "calls")]
        if side != "llm_usage":
            arguments += ["-p", "no:llm_usage"]
        printed = run_pytest(arguments, SUITES, environment)
        assert ("LLM usage" in printed) == (side == "llm_usage"), printed
        return json.loads(result.read_text())
