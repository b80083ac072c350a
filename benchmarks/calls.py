"""One tracked call of a fake model, against `get_usage_metadata_callback` around the same call.

That callback registers one more hook for the process at every use, and every later call asks all of them; so both sides are
measured in the first tests of a suite and again after many.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.measure import SUITES, Comparison, Seconds, alternate, run_pytest


def compare(tests: int, rounds: int) -> list[Comparison]:
    """Comparisons of `invoke` and `ainvoke`, in the first tests and after `tests` tests."""
    sides = alternate(
        {
            "ours": lambda: _run("llm_usage", tests),
            "other": lambda: _run("get_usage_metadata_callback", tests),
        },
        rounds,
    )
    ours, other = sides["ours"], sides["other"]
    lines = []
    for call, most_ratio in (("invoke", 1.0), ("ainvoke", 0.7)):
        for moment, when in (("first", "in the first tests"), ("last", f"after {tests:,} tests")):
            key = f"{call} {moment}"
            lines.append(Comparison(f"{call}, {when}", ours[key], other[key], most_ratio))
        # Against itself: what the suite's length adds.
        lines.append(
            Comparison(f"{call}, ours after against ours first", ours[f"{call} last"], ours[f"{call} first"], 1.2)
        )
    lines.append(Comparison(f"the suite of {tests:,} tests", ours["suite"], other["suite"]))
    return lines


def _run(side: str, tests: int) -> Seconds:
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "seconds.json"
        environment = {"BENCHMARK_SIDE": side, "BENCHMARK_TESTS": str(tests), "BENCHMARK_RESULT": str(result)}
        arguments = ["-c", str(SUITES / "pytest.ini"), str(SUITES / "calls")]
        if side != "llm_usage":
            arguments += ["-p", "no:llm_usage"]
        printed = run_pytest(arguments, SUITES, environment)
        assert ("LLM usage" in printed) == (side == "llm_usage"), printed
        return json.loads(result.read_text())
