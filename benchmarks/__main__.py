"""Run all comparisons and print their ratios; exit status 1 when a target is missed."""

from __future__ import annotations

import argparse
import sys
from itertools import chain

from benchmarks import calls, compare_runs, empty_tests, history, http_clients, large_run, replay, startup, wire_reading


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--tests", type=int, default=10_000, metavar="N", help="tests in the long suite (default: 10,000)"
    )
    parser.add_argument(
        "--large",
        type=int,
        default=20_000,
        metavar="N",
        help="tests in the run whose reports are timed (default: 20,000)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="runs of each side of the long suite (default: 3)"
    )
    options = parser.parse_args()
    print(f"{'':<56} {'ours':>10} {'other':>10} {'ratio':>7}   target")
    comparisons = []
    for measured in (
        lambda: startup.compare(rounds=10 * options.rounds),
        lambda: empty_tests.compare(tests=5_000, rounds=2 * options.rounds),
        lambda: replay.compare(tests=100, rounds=2 * options.rounds),
        lambda: wire_reading.compare(rounds=options.rounds),
        lambda: compare_runs.compare(rounds=options.rounds),
        lambda: http_clients.compare(requests=10_000, streams=2_000),
        lambda: calls.compare(tests=options.tests, rounds=options.rounds),
    ):
        lines = measured()
        comparisons += lines
        print(*lines, sep="\n", flush=True)
    figures = []
    for figure in chain(history.figures(), large_run.figures(options.large)):
        figures.append(figure)
        print(figure, flush=True)
    return 0 if all(each.is_met for each in (*comparisons, *figures)) else 1


if __name__ == "__main__":
    sys.exit(main())
