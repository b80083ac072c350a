"""A history of 10,000 runs: how long `pytest-llm-usage history` and the page of the next run wait for it."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.measure import Figure, duration

RUNS, TESTS = 10_000, 50
MOST_S = 1.0


def figures() -> Iterator[Figure]:
    """What was measured, against its bound."""
    from pytest_llm_usage.report.history import MOST_PAST_RUNS, past_runs, read_trend

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "history.sqlite"
        _write(path)
        for what, opened in (
            ("the last 30", lambda: past_runs(path, last=30)),
            ("all of one test", lambda: past_runs(path, test="test_a.py::test_7")),
            ("what the page draws", lambda: read_trend(path, MOST_PAST_RUNS)),
        ):
            started = time.process_time()
            assert opened()
            yield Figure(f"a history of {RUNS:,} runs, {what}", time.process_time() - started, MOST_S, duration)


def _write(path: Path) -> None:
    from pytest_llm_usage.report.data import run_data
    from pytest_llm_usage.report.history import add_run
    from pytest_llm_usage.report.run import Run

    # The first run makes the tables. The others are inserted directly: `add_run` would wait for the disk each time.
    add_run(path, run_data(Run(), environment={}), 1.7e9)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (finished_at, commit_id, branch, exit_status, environment) VALUES (?, ?, 'main', 0, '{}')",
            ((1.7e9 + 600 * number, f"{number:040x}") for number in range(1, RUNS)),
        )
        connection.executemany(
            "INSERT INTO spent VALUES (?, ?, 'gpt-4o-mini', 2, ?, 10, ?, '0.001')",
            (
                (run, f"test_a.py::test_{test}", 1_000 + run, 1_010 + run)
                for run in range(1, RUNS + 1)
                for test in range(TESTS)
            ),
        )
