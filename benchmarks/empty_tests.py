"""5,000 tests that do nothing, with the plugin and without it: what it costs tests that call no model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, only, processor_time_s, run_pytest

MOST_RATIO = 1.04

_MODULES = 10


def compare(tests: int, rounds: int) -> list[Comparison]:
    """The comparison of a suite of `tests` empty tests, start included, beside syrupy and nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        suite = Path(directory)
        for module in range(_MODULES):
            functions = (f"def test_{number}():\n    pass\n" for number in range(tests // _MODULES))
            (suite / f"test_module_{module}.py").write_text("\n\n".join(functions))
        # The least, as for starts: other work on the machine only adds to the time of a side.
        sides = alternate(
            {
                "ours": lambda: _run(suite, "syrupy", "llm_usage"),
                "other": lambda: _run(suite, "syrupy"),
            },
            rounds,
            figure=min,
        )
    return [
        Comparison(f"{tests:,} empty tests", sides["ours"]["suite"], sides["other"]["suite"], most_ratio=MOST_RATIO)
    ]


def _run(suite: Path, *plugins: str) -> Seconds:
    return {"suite": processor_time_s(lambda: run_pytest(only(*plugins), suite, {}))}
