"""Runs kept in one SQLite file: what each test spent, by model, with the commit and the branch.

Tables: `runs` (id, finished_at, commit_id, branch, exit_status, environment as JSON) and `spent` (run_id, test, model,
calls, input_tokens, output_tokens, total_tokens, cost_usd as text; NULL where that is not known; test '' is what no test
spent). `PRAGMA user_version` is the version of this form.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llm_usage.errors import ReportError, RunFileError
from pytest_llm_usage.report.data import RunData
from pytest_llm_usage.text import shown_path

__all__ = ["FORMAT", "MOST_PAST_RUNS", "PastRun", "Trend", "add_run", "past_runs", "read_trend"]

FORMAT = 1
#: How many past runs a page shows.
MOST_PAST_RUNS = 60
#: How long a writer waits for others.
_WAIT_S = 60

_TABLES = """
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, finished_at REAL NOT NULL, commit_id TEXT, branch TEXT, exit_status INTEGER NOT NULL,
  environment TEXT NOT NULL
);
CREATE TABLE spent (
  run_id INTEGER NOT NULL REFERENCES runs (id), test TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL,
  input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER, cost_usd TEXT,
  PRIMARY KEY (run_id, test, model)
) WITHOUT ROWID;
CREATE INDEX spent_by_test ON spent (test, run_id);
"""
_COUNTS = ("calls", "input_tokens", "output_tokens", "total_tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the history.

    Attributes:
        finished_at: Seconds since the epoch.
        commit: What was checked out; None if that is not known.
        branch: Likewise.
        usage: By model, in the form of `LLMUsage.to_dict()`, without details.
        is_uncommitted: Whether files were changed since the commit.
    """

    finished_at: float
    commit: str | None
    branch: str | None
    usage: Mapping[str, Mapping[str, Any]]
    is_uncommitted: bool = False


@dataclass(frozen=True, slots=True)
class Trend:
    """The last runs of a history.

    Attributes:
        runs: The earliest first.
        tests: By test, its tokens in each of those runs; None if it was not in the run, or if they are not known.
    """

    runs: Sequence[PastRun]
    tests: Mapping[str, Sequence[int | None]]


def add_run(path: Path, data: RunData, finished_at: float) -> None:
    """Adds a run in one transaction; others that write at the same time wait.

    Raises:
        ReportError: The file is not a history, or cannot be written.
    """
    environment = data["environment"]
    commit, branch = (environment.get(name) if isinstance(environment.get(name), str) else None for name in _WHERE)
    spent = [(test, record["usage"]) for test, record in (*data["tests"].items(), ("", data["shared"]))]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            _make(connection)
            row = (finished_at, commit, branch, data["exit_status"], json.dumps(environment))
            run = connection.execute(
                "INSERT INTO runs (finished_at, commit_id, branch, exit_status, environment) VALUES (?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            connection.executemany(
                "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (run, _text(test), _text(model), *(sums[name] for name in _COUNTS))
                    for test, usage in spent
                    for model, sums in usage.items()
                ),
            )
    except (OSError, sqlite3.Error, RunFileError) as error:
        raise ReportError(f"history not written: {shown_path(path)}: {_why(error)}") from None


_WHERE = ("commit", "branch")


def past_runs(path: Path, *, test: str | None = None, branch: str | None = None, last: int = 0) -> list[PastRun]:
    """The runs of a history, the earliest first.

    Args:
        path: The file.
        test: What this test spent; runs without it are left out. None for all that was spent.
        branch: Only runs of this branch.
        last: How many of the latest runs; 0 for all.

    Raises:
        RunFileError: The file is not a history.
    """
    if not path.is_file():
        raise RunFileError(f"{path}: no such file; pytest --llm-usage-history=NEW-FILE.db writes one")
    try:
        with _opened(path) as connection:
            _check(connection)
            return _read(connection, test, branch, last)
    except (OSError, sqlite3.Error, RunFileError) as error:
        raise RunFileError(f"{path}: {_why(error)}") from None


def read_trend(path: Path, last: int) -> Trend:
    """The last runs of a history, as many as `last`. Raises RunFileError as `past_runs` does."""
    runs = past_runs(path, last=last)
    try:
        with _opened(path) as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM runs ORDER BY id DESC LIMIT ?", (len(runs),))][
                ::-1
            ]
            rows = connection.execute(
                "SELECT run_id, test, sum(total_tokens), sum(total_tokens IS NULL) FROM spent"
                " WHERE run_id >= ? AND test != '' GROUP BY run_id, test",
                (ids[0] if ids else 0,),
            ).fetchall()
    except sqlite3.Error as error:
        raise RunFileError(f"{path}: {_why(error)}") from None
    place = {run: at for at, run in enumerate(ids)}
    tests: dict[str, list[int | None]] = {}
    for run, test, count, unknown in rows:
        if run in place and not unknown:
            tests.setdefault(test, [None] * len(ids))[place[run]] = count
    return Trend(runs, tests)


def _read(connection: sqlite3.Connection, test: str | None, branch: str | None, last: int) -> list[PastRun]:
    # Decimals are added here: SQLite has none.
    wanted = connection.execute(
        "SELECT id, finished_at, commit_id, branch, environment FROM runs WHERE (:branch IS NULL OR branch = :branch)"
        " AND (:test IS NULL OR EXISTS (SELECT 1 FROM spent WHERE run_id = id AND test = :test)) ORDER BY id DESC LIMIT :last",
        {"branch": branch, "test": test, "last": last or -1},
    ).fetchall()
    if not wanted:
        return []
    spent: dict[int, list[Sequence[Any]]] = {}
    rows = connection.execute(
        "SELECT run_id, model, calls, input_tokens, output_tokens, total_tokens, cost_usd FROM spent"
        " WHERE run_id >= :first AND (:test IS NULL OR test = :test)",
        {"first": wanted[-1][0], "test": test},
    )
    for row in rows:
        spent.setdefault(row[0], []).append(row[1:])
    return [
        PastRun(at, commit, on, _usage(spent.get(run, [])), is_uncommitted="uncommitted" in json.loads(environment))
        for run, at, commit, on, environment in reversed(wanted)
    ]


def _usage(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, Any]]:
    from pytest_llm_usage.compare import added_usage  # noqa: PLC0415 -- only where rows are read

    usage: dict[str, dict[str, Any]] = {}
    for model, *values in rows:
        sums = dict(zip(_COUNTS, values, strict=True))
        usage[model] = added_usage(usage[model], sums) if model in usage else sums
    return usage


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise RunFileError("a device or a pipe, not a file")  # SQLite would leave its journal beside it
    with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as connection:
        yield connection


def _make(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    _check(connection)


def _check(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"runs", "spent"} <= names:
        raise RunFileError("this database is not a history of pytest-llm-usage; choose another path")
    if version > FORMAT:
        raise RunFileError(f"format {version} was written by a later pytest-llm-usage; this one reads format {FORMAT}")


def _why(error: Exception) -> str:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
        return "this file is not a history of pytest-llm-usage; choose another path"
    return getattr(error, "strerror", None) or str(error)


def _text(name: str) -> str:
    """A name without lone surrogates, which SQLite refuses: they are no reason to lose a run."""
    return name.encode(errors="backslashreplace").decode()
