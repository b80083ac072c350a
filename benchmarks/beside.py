"""Compares the package with that of another commit, in one run: `python -m benchmarks.beside HEAD~1`.

The benchmarks of this commit measure starts, single calls and replays, with one package and the other in turn. The
comparison of two runs depends on the package's internals, so the benchmark of each commit measures its own.

On a machine that does other work, or whose speed varies, a commit compared with itself may exceed the bound. Use
`--instructions` there, which counts the processor's instructions instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

from benchmarks import calls, instructions, replay, startup
from benchmarks.measure import Comparison, Figure, Seconds, alternate

ROOT = Path(__file__).parents[1]
#: How much slower this commit may be than the other, before it is more than the machine's noise.
MOST_RATIO = 1.03

_COMPARE_RUNS = """
import benchmarks.compare_runs
(line, *_) = benchmarks.compare_runs.compare(rounds=1)
print(line.ours_s / line.other_s)
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("commit", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="runs of each side (default: 9)")
    parser.add_argument(
        "--instructions", action="store_true", help="count instructions instead (needs valgrind; takes ten minutes)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        before = Path(directory)
        archive = subprocess.run(["git", "archive", options.commit], cwd=ROOT, capture_output=True, check=True)
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as packed:
            packed.extractall(before, filter="data")
        if options.instructions:
            print(f"{'':<56} {'ratio':>10}   target")
        else:
            print(f"{'':<56} {'now':>10} {'before':>10} {'ratio':>7}   target")
        lines: list[Comparison | Figure] = []
        for measured in (_instructions,) if options.instructions else (_starts, _calls, _replays, _comparisons):
            for line in measured(before, options.rounds):
                lines.append(line)
                print(line, flush=True)
    return 0 if all(line.is_met for line in lines) else 1


def _starts(before: Path, rounds: int) -> Iterator[Comparison]:
    for what, others in startup.OTHERS.items():
        sides = _sides(before, partial(startup.start, *others, "llm_usage"), 2 * rounds)
        yield Comparison(f"start on an empty suite{what}", sides["now"]["start"], sides["before"]["start"], MOST_RATIO)


def _calls(before: Path, rounds: int) -> Iterator[Comparison]:
    sides = _sides(before, lambda: calls.run("llm_usage", 0), 2 * rounds)
    for call in ("invoke", "ainvoke", "suite"):
        yield Comparison(f"{call}, in the first tests", sides["now"][call], sides["before"][call], MOST_RATIO)


def _replays(before: Path, rounds: int) -> Iterator[Comparison]:
    with replay.suite() as suite:
        sides = _sides(before, lambda: replay.run(suite, 100, "test_ours.py", "-p", "no:recording"), rounds)
    yield Comparison("100 replays of a stream", sides["now"]["tests"], sides["before"]["tests"], MOST_RATIO)


def _comparisons(before: Path, rounds: int) -> Iterator[Comparison]:
    """As shares of reading the files, since the benchmark of each commit writes its own."""

    def measured(tree: Path) -> Seconds:
        done = subprocess.run(
            [sys.executable, "-c", _COMPARE_RUNS],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            check=True,
        )
        return {"share": float(done.stdout)}

    # The median: the least share would be that of the slowest reading.
    sides = alternate({"now": lambda: measured(ROOT), "before": lambda: measured(before)}, max(1, rounds // 3))
    yield Comparison(
        "two runs compared, as a share of json.load", sides["now"]["share"], sides["before"]["share"], MOST_RATIO
    )


def _instructions(before: Path, _: int) -> Iterator[Figure]:
    counted = {}
    for side, tree in (("before", before), ("now", ROOT)):
        with _package_of(tree):
            counted[side] = instructions.count()
    for what, now in counted["now"].items():
        yield instructions.line(what, now, counted["before"][what], MOST_RATIO)


def _sides(before: Path, run: Callable[[], Seconds], rounds: int) -> dict[str, dict[str, float]]:
    def of(tree: Path) -> Seconds:
        with _package_of(tree):
            return run()

    return alternate({"now": lambda: of(ROOT), "before": lambda: of(before)}, rounds, figure=min)


@contextmanager
def _package_of(tree: Path) -> Iterator[None]:
    """Lets every Python that is started meanwhile import the package of `tree`."""
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tree)
    try:
        yield
    finally:
        if inherited is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = inherited


if __name__ == "__main__":
    sys.exit(main())
