"""Instructions that the processor executes, as valgrind counts them: the same on a busy machine as on an idle one.

They are not seconds: waiting for memory or a disk is not in them. Each figure comes from a process of its own; that of
one test is the difference between two suites of different length.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import replay, startup
from benchmarks.measure import SUITES, Figure, only, run_pytest

#: The tests of the shorter of two suites, and how many more the longer one has.
_CALLS = (20, 100)
_REPLAYS = (5, 20)


def count() -> Mapping[str, int]:
    """Instructions by what was measured: one start, one test of one call, one replay of a stream."""
    with tempfile.TemporaryDirectory() as empty:
        starts = {
            f"start on an empty suite{what}": _of(only(*others, "llm_usage"), Path(empty), {})
            for what, others in startup.OTHERS.items()
        }
    with replay.suite() as folder:
        result = {"BENCHMARK_SIDE": "llm_usage", "BENCHMARK_RESULT": str(folder / "seconds.json")}
        test = _of_test(["-c", str(SUITES / "pytest.ini"), str(SUITES / "calls")], SUITES, result, _CALLS)
        replays = ["test_ours.py", "-p", "no:recording"]
        return {
            **starts,
            "a test of one call": test,
            "a replay of a stream": _of_test(replays, folder, result | {"OPENAI_API_KEY": "none"}, _REPLAYS),
        }


def line(what: str, now: int, before: int, most_ratio: float) -> Figure:
    """A line of the report."""
    return Figure(
        f"{what}: {now / 1e6:,.1f} M against {before / 1e6:,.1f} M", now / before, most_ratio, "{:.3f}".format
    )


def _of_test(arguments: Sequence[str], directory: Path, environment: Mapping[str, str], tests: tuple[int, int]) -> int:
    shorter, more = tests
    one, other = (
        _of(arguments, directory, {**environment, "BENCHMARK_TESTS": str(number)})
        for number in (shorter, shorter + more)
    )
    return (other - one) // more


def _of(arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> int:
    # Once without valgrind, so that Python has compiled the modules.
    run_pytest(arguments, directory, environment)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "valgrind.log"
        under = [
            # Addresses decide how long a search in a table takes.
            *("setarch", "--addr-no-randomize"),
            *(
                "valgrind",
                "--tool=cachegrind",
                "--cache-sim=no",
                "--cachegrind-out-file=/dev/null",
                f"--log-file={log}",
            ),
        ]
        run_pytest(arguments, directory, {**environment, "PYTHONHASHSEED": "0"}, under)
        (counted,) = re.findall(r"I\s+refs:\s+([0-9,]+)", log.read_text())
    return int(counted.replace(",", ""))
