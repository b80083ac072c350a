"""5,000 tests that do nothing, with the plugin and without it: what it costs tests that call no model."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, run_pytest

MOST_RATIO = 1.04

_MODULES = 10


def compare(tests: int, rounds: int) -> list[Comparison]:
    """The comparison of a suite of `tests` empty tests, start included, beside syrupy and nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        suite = Path(directory)
        for module in range(_MODULES):
            functions = (f"def test_{number}():\n    pass\n" for number in range(tests // _MODULES))
            (suite / f"test_module_{module}.py").write_text("\n\n".join(functions))
        # The least, as of starts: whatever else the machine does only adds to the time of a side.
        sides = alternate(
            {
                "ours": lambda: _run(suite, "-p", "llm_usage"),
                "other": lambda: _run(suite, "-p", "no:llm_usage"),
            },
            rounds,
            figure=min,
        )
    return [
        Comparison(f"{tests:,} empty tests", sides["ours"]["suite"], sides["other"]["suite"], most_ratio=MOST_RATIO)
    ]


def _run(suite: Path, *arguments: str) -> Seconds:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_pytest(["-p", "syrupy", *arguments], suite, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"suite": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}
