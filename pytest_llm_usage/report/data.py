"""The run as data: what `--llm-usage-json` writes, and what comparisons, merging and the other reports read.

`run.schema.json` beside this file is its JSON Schema.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from pytest_llm_usage.compare import MergedRun, merge_runs
from pytest_llm_usage.credentials.mask import mask_name
from pytest_llm_usage.errors import RunFileError
from pytest_llm_usage.ledger import Call, Ledger, summed_usage, usage_by_model
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.report.schema import run_fault
from pytest_llm_usage.text import printable

__all__ = [
    "FORMAT",
    "RunData",
    "calls_by_test",
    "calls_in",
    "calls_of",
    "collector_paused",
    "merged_data",
    "read_content",
    "read_run",
    "read_runs",
    "rendered",
    "run_data",
]

#: The version of the format. A reader refuses newer versions, and ignores what was added without a new version.
#: 1: tests, duplicates, shared, totals, environment, shards, exit_status; later also outcome of tests, model of budgets,
#:    billed_usage, billed_items and price of calls, billed_items of sums; seller, region, modifiers and live of calls,
#:    all that is billed of their parts, at_most of prices; input_by_part of calls, prefix_notes of tests
FORMAT = 1

#: Names no file of the user's: a command copied from a hint must not replace anything.
_HOW = "pytest --llm-usage-json=NEW-FILE.json writes one"

#: Plain JSON-able data of the form that the schema describes.
RunData: TypeAlias = Mapping[str, Any]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses Python's cyclic garbage collector. A large run is a million objects, none of them in a cycle, and scanning
    them again and again takes a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def run_data(
    run: Run,
    *,
    environment: Mapping[str, str],
    exit_status: int = 0,
    shard: tuple[int, int] | None = None,
    root: Path | None = None,
) -> dict[str, Any]:
    """A run as data, in an order that does not depend on when its tests finished.

    Args:
        run: What was spent.
        environment: See `report.environment`.
        exit_status: pytest's.
        shard: Which part of a sharded run this is: its number, from 1, and of how many.
        root: The folder to which the paths of cassettes are relative.
    """
    # If every worker ran every test (xdist's `--dist=each`), each has its own record of it.
    by_worker: dict[str, dict[str, Any]] = {}
    for (_, worker), test in run.tests.items():
        by_worker.setdefault(worker, {})[test.nodeid] = _test_data(test, root or Path.cwd())
    merged = merge_runs({"tests": tests} for tests in by_worker.values())
    return _data(merged, [shard] if shard else [], run.shared, environment, exit_status, run.calls)


def merged_data(runs: Sequence[RunData]) -> tuple[dict[str, Any], MergedRun]:
    """Several runs as one, whatever their order, and what the merge found: duplicates and missing shards."""
    merged = merge_runs(runs)
    shared = sorted((call for run in runs for call in calls_in(run["shared"])), key=_moment)
    environment = {
        name: _one_or_all(run["environment"].get(name) for run in runs)
        for name in sorted({name for run in runs for name in run["environment"]})
    }
    exit_status = max((run["exit_status"] for run in runs), default=0)
    # The calls are numbered anew, in this order.
    ledger = Ledger() + Ledger(tuple(shared))
    return _data(merged, merged.shards, ledger, environment, exit_status), merged


def calls_by_test(data: RunData) -> dict[str, list[Call]]:
    """The calls of each test, see `calls_in`."""
    return {test: calls_in(record) for test, record in data["tests"].items()}


def calls_of(data: RunData, by_test: Mapping[str, Sequence[Call]] | None = None) -> list[Call]:
    """All calls of a run: of tests, of their earlier attempts and duplicates, and shared ones.

    Args:
        data: The run.
        by_test: Its `calls_by_test`, if they were already read.
    """
    tests = calls_by_test(data) if by_test is None else by_test
    others = [*(record for records in data["duplicates"].values() for record in records), data["shared"]]
    return [
        *(call for calls in tests.values() for call in calls),
        *(call for each in others for call in calls_in(each)),
    ]


def calls_in(record: Mapping[str, Any]) -> list[Call]:
    """All calls of a test, those of earlier attempts first.

    Raises:
        RunFileError: A call does not fit the schema.
    """
    try:
        return [Call.from_dict(call) for name in ("earlier_calls", "calls") for call in record.get(name, ())]
    except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:
        raise RunFileError(f"a call cannot be read: {type(error).__name__}: {printable(str(error))}") from None


def rendered(data: RunData, comparison: object = None) -> str:
    """The text of the file: JSON with a line for each test, easy to diff and to read."""
    del comparison  # another run is not in it
    lines = []
    for name, value in data.items():
        if name in ("tests", "duplicates") and value:
            inner = ",\n".join(
                f"  {json.dumps(key)}: {json.dumps(item, allow_nan=False)}" for key, item in value.items()
            )
            lines.append(f"{json.dumps(name)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_runs(path: Path) -> list[dict[str, Any]]:
    """A run from its file, or all runs of a folder (`*.json`), in the order of their names.

    Raises:
        RunFileError: As `read_run`, or a folder has no run.
    """
    try:
        if not path.is_dir():
            return [read_run(path)]
        files = sorted(file for file in path.iterdir() if file.suffix == ".json")
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not files:
        raise RunFileError(f"{path}: no run in this folder; {_HOW}")
    return [read_run(file) for file in files]


def read_content(path: Path) -> bytes:
    """The content of a run's file.

    Raises:
        RunFileError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def read_run(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """A run from its file.

    Args:
        path: The file.
        content: Its content, if that was already read: a pipe can be read only once.

    Raises:
        RunFileError: The file is not there, is not a run, or was written by a later version. The message is one line.
    """
    content = read_content(path) if content is None else content
    try:
        with collector_paused():
            data: dict[str, Any] = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{path}: not JSON ({error}), so not a run; {_HOW}") from None
    version = data.get("format") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RunFileError(f"{path}: not a run of pytest-llm-usage; {_HOW}")
    if version > FORMAT:
        raise RunFileError(
            f"{path}: format {version} was written by a later pytest-llm-usage; this one reads format {FORMAT}: "
            "pip install --upgrade pytest-llm-usage"
        )
    if (fault := run_fault(data)) is not None:
        raise RunFileError(f"{path}: not a run of format {version}: {printable(fault)}")
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# -- writing ---------------------------------------------------------------------------------------------------


def _data(
    merged: MergedRun,
    shards: Iterable[tuple[int, int]],
    shared: Ledger,
    environment: Mapping[str, Any],
    exit_status: int,
    calls: Sequence[Call] | None = None,
) -> dict[str, Any]:
    """The run's data.

    Args:
        merged: Its tests.
        shards: Which parts of a sharded run it is.
        shared: Calls that belong to no test.
        environment: See `report.environment`.
        exit_status: pytest's.
        calls: All its calls, if the caller has them.
    """
    data: dict[str, Any] = {
        "format": FORMAT,
        "environment": dict(environment),
        "exit_status": int(exit_status),
        "shards": [list(shard) for shard in shards],
        "tests": dict(merged.tests),
        "duplicates": {test: list(records) for test, records in merged.duplicates.items()},
        "shared": {"usage": usage_by_model(shared.calls), "calls": shared.to_list()},
    }
    calls = calls_of(data) if calls is None else calls
    data["totals"] = {"tests": len(merged.tests), **summed_usage(calls), "usage": usage_by_model(calls)}
    return data


def _test_data(test: TestRecord, root: Path) -> dict[str, Any]:
    data: dict[str, Any] = {"usage": usage_by_model(test.ledger.calls), "calls": test.ledger.to_list()}
    optional: dict[str, Any] = {
        "outcome": test.outcome,
        "earlier_calls": test.earlier.to_list(),
        "budget": [
            {"name": spent.name, "limit": f"{spent.limit:f}", "spent": f"{spent.spent:f}", "origin": spent.origin}
            | ({"model": spent.model} if spent.model is not None else {})
            for spent in test.budget
        ],
        "discrepancies": [found.to_dict() for found in test.discrepancies],
        "prefix_notes": list(test.prefix_notes),
        "cassettes": {
            mask_name(name): digest for name in sorted(test.cassettes) if (digest := _digest(root / name)) is not None
        },
    }
    return data | {name: value for name, value in optional.items() if value}


def _digest(cassette: Path) -> str | None:
    """The cassette's digest, by which a test is known if both are renamed; None if nothing was recorded."""
    for path in (cassette, cassette.with_name(f"{cassette.name}.gz")):
        with suppress(OSError):  # it may not be readable any more, or its name may be too long for a file
            if path.is_file():
                return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return None


def _moment(call: Call) -> tuple[float, str]:
    return call.started_at, json.dumps(call.to_dict() | {"index": 0}, sort_keys=True)


def _one_or_all(values: Iterable[Any]) -> Any:
    """The value that runs agree on, or a list of all their values."""
    said: set[str] = set()
    for value in values:
        said.update(value if isinstance(value, list) else [] if value is None else [value])
    return said.pop() if len(said) == 1 else sorted(said)
