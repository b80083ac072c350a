"""The run as data: what `--llm-usage-json` writes, and what comparisons, merging and the other reports read.

`run.schema.json` beside this file is its JSON Schema.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from pytest_llm_usage.compare import MergedRun, merge_runs
from pytest_llm_usage.errors import RunFileError
from pytest_llm_usage.ledger import Call, Ledger, summed_usage, usage_by_model
from pytest_llm_usage.report.run import Run, TestRecord

__all__ = [
    "FORMAT",
    "RunData",
    "calls_in",
    "calls_of",
    "merged_data",
    "read_run",
    "read_runs",
    "rendered",
    "run_data",
]

#: The version of the form. A reader refuses newer ones; what is added without a new version, older readers pass over.
#: 1: tests, duplicates, shared, totals, environment, shards, exit_status; later also outcome of tests, model of budgets,
#:    billed_usage, billed_items and price of calls, billed_items of sums; seller, region, modifiers and live of calls,
#:    all that is billed of their parts, at_most of prices
FORMAT = 1

#: Plain JSON-able data of the form that the schema describes.
RunData: TypeAlias = Mapping[str, Any]


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
        shard: Which part of a divided run this is: its number, from 1, and of how many.
        root: The folder to which the paths of cassettes are relative.
    """
    # Where every worker ran every test (xdist's `--dist=each`), their records stand beside each other.
    by_worker: dict[str, dict[str, Any]] = {}
    for (nodeid, worker), test in run.tests.items():
        by_worker.setdefault(worker, {})[nodeid] = _test_data(test, root or Path.cwd())
    merged = merge_runs({"tests": tests} for tests in by_worker.values())
    return _data(merged, [shard] if shard else [], run.shared, environment, exit_status)


def merged_data(runs: Sequence[RunData]) -> tuple[dict[str, Any], MergedRun]:
    """Several runs as one, whatever their order, and what there is to say about it."""
    merged = merge_runs(runs)
    shared = sorted((call for run in runs for call in calls_in(run["shared"])), key=_moment)
    environment = {
        name: _one_or_all(run["environment"].get(name) for run in runs)
        for name in sorted({name for run in runs for name in run["environment"]})
    }
    exit_status = max((run["exit_status"] for run in runs), default=0)
    # Numbered anew, in this order.
    ledger = Ledger() + Ledger(tuple(shared))
    return _data(merged, merged.shards, ledger, environment, exit_status), merged


def calls_of(data: RunData) -> list[Call]:
    """All calls of a run: of tests, of their earlier attempts and duplicates, and shared ones."""
    records = [*data["tests"].values(), *(record for records in data["duplicates"].values() for record in records)]
    return [call for record in (*records, data["shared"]) for call in calls_in(record)]


def calls_in(record: Mapping[str, Any]) -> list[Call]:
    """All calls of a test, those of earlier attempts first.

    Raises:
        RunFileError: A call is not what the schema says.
    """
    try:
        return [Call.from_dict(call) for name in ("earlier_calls", "calls") for call in record.get(name, ())]
    except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:
        raise RunFileError(f"a call cannot be read: {type(error).__name__}: {error}") from None


def rendered(data: RunData) -> str:
    """The file: JSON with a line for each test, for diffs and for reading."""
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
        RunFileError: As `read_run`; a folder without a run as well.
    """
    if not path.is_dir():
        return [read_run(path)]
    files = sorted(path.glob("*.json"))
    if not files:
        raise RunFileError(f"{path}: no run in this folder; --llm-usage-json={path / 'run.json'} writes one")
    return [read_run(file) for file in files]


def read_run(path: Path) -> dict[str, Any]:
    """A run from its file.

    Raises:
        RunFileError: The file is not there, is no run, or was written by a later version: one line.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise RunFileError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{path}: not JSON ({error}); --llm-usage-json={path.name} writes a run") from None
    version = data.get("format") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RunFileError(f"{path}: not a run of pytest-llm-usage; --llm-usage-json={path.name} writes one")
    if version > FORMAT:
        raise RunFileError(
            f"{path}: format {version} is of a later pytest-llm-usage, this one reads {FORMAT}: "
            "pip install --upgrade pytest-llm-usage"
        )
    for fault in _faults(data):
        raise RunFileError(f"{path}: not a run of format {version}: {fault}")
    return data


# -- writing ---------------------------------------------------------------------------------------------------


def _data(
    merged: MergedRun,
    shards: Iterable[tuple[int, int]],
    shared: Ledger,
    environment: Mapping[str, Any],
    exit_status: int,
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "format": FORMAT,
        "environment": dict(environment),
        "exit_status": int(exit_status),
        "shards": [list(shard) for shard in shards],
        "tests": dict(merged.tests),
        "duplicates": {test: list(records) for test, records in merged.duplicates.items()},
        "shared": {"usage": usage_by_model(shared.calls), "calls": shared.to_list()},
    }
    calls = calls_of(data)
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
        "cassettes": {name: digest for name in sorted(test.cassettes) if (digest := _digest(root / name)) is not None},
    }
    return data | {name: value for name, value in optional.items() if value}


def _digest(cassette: Path) -> str | None:
    """What a test is known by when both it and its cassette have a new name; None where nothing was recorded."""
    for path in (cassette, cassette.with_name(f"{cassette.name}.gz")):
        if path.is_file():
            return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return None


def _moment(call: Call) -> tuple[float, str]:
    return call.started_at, json.dumps(call.to_dict() | {"index": 0}, sort_keys=True)


def _one_or_all(values: Iterable[Any]) -> Any:
    """What runs agree on, or all that they say."""
    said: set[str] = set()
    for value in values:
        said.update(value if isinstance(value, list) else [] if value is None else [value])
    return said.pop() if len(said) == 1 else sorted(said)


# -- reading ---------------------------------------------------------------------------------------------------


def _faults(data: Mapping[str, Any]) -> Iterator[str]:
    """What comparisons, merging and reports would stumble over."""
    for name, kind in (
        ("environment", dict),
        ("exit_status", int),
        ("shards", list),
        ("tests", dict),
        ("duplicates", dict),
        ("shared", dict),
        ("totals", dict),
    ):
        if not isinstance(data.get(name), kind):
            yield f"{name} is missing, or is none"
            return
    if not all(isinstance(value, str) or _is_list_of(str, value) for value in data["environment"].values()):
        yield "environment: not texts"
    if not all(_is_list_of(int, shard) and len(shard) == 2 for shard in data["shards"]):
        yield "shards: not pairs of numbers"
    if not all(map(partial(_is_list_of, dict), data["duplicates"].values())):
        yield "duplicates: not lists of records"
        return
    records = [*data["tests"].items(), *((test, item) for test, items in data["duplicates"].items() for item in items)]
    for test, record in (*records, ("shared", data["shared"])):
        if not isinstance(record, dict) or not _is_usage(record.get("usage")):
            yield f"{test}: usage cannot be read"
            continue
        lists = [record.get(name, []) for name in ("calls", "earlier_calls", "discrepancies")]
        if not all(map(partial(_is_list_of, dict), lists)) or "calls" not in record:
            yield f"{test}: calls cannot be read"
        elif not all(map(_is_call, (*lists[0], *lists[1]))):
            yield f"{test}: a call cannot be read"
        elif not all(isinstance(item.get(name), str) for item in lists[2] for name in ("model", "reason")):
            yield f"{test}: a discrepancy cannot be read"
        elif not isinstance(record.get("outcome", ""), str):
            yield f"{test}: outcome cannot be read"
        elif not isinstance(record.get("cassettes", {}), dict):
            yield f"{test}: cassettes cannot be read"
    if not _is_usage({"totals": data["totals"]}):
        yield "totals cannot be read"


def _is_list_of(kind: type, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_usage(usage: object) -> bool:
    return isinstance(usage, dict) and all(
        isinstance(model, dict)
        and isinstance(model.get("calls"), int)
        and all(name in model and isinstance(model[name], int | None) for name in _COUNTS)
        # A call of unknown usage makes all of its model's counts unknown.
        and len({model[name] is None for name in _COUNTS}) == 1
        and all(_is_counts(model.get(name, {})) for name in _DETAILS)
        and isinstance(model.get("cost_usd"), str | None)
        and (model.get("cost_usd") is None or _is_decimal(model["cost_usd"]))
        for model in usage.values()
    )


def _is_call(call: Mapping[str, Any]) -> bool:
    usage = call.get("usage", dict.fromkeys(_COUNTS, 0))
    return (
        {"index", "model", "source", "status"} <= call.keys()
        and all(isinstance(call[name], kind) for name, kind in _CALL_TYPES.items() if name in call)
        and isinstance(usage, dict)
        and all(isinstance(usage.get(name), int) for name in _COUNTS)
        and all(_is_counts(usage.get(name, {})) for name in _DETAILS)
        and _is_counts(call.get("billed_items", {}))
        and all(_is_decimal(call[name]) for name in ("cost_usd", "stated_cost_usd") if name in call)
        and _is_quote(call.get("price", {}))
    )


def _is_quote(price: object) -> bool:
    return (
        isinstance(price, dict)
        and all(isinstance(price.get(name, ""), str) for name in ("source", "reason", "fix"))
        and _is_list_of(str, price.get("notes", []))
        and _is_decimal(price.get("book_usd", "0"))
    )


_TEXTS = ("source", "model", "status", "provider", "where", "node", "note", "cost_usd", "stated_cost_usd")
_CALL_TYPES: Mapping[str, Any] = {
    "index": int,
    "is_partial": bool,
    "started_at": int | float,
    **dict.fromkeys(_TEXTS, str),
}


def _is_counts(details: object) -> bool:
    return isinstance(details, dict) and all(isinstance(value, int) for value in details.values())


_DETAILS = ("input_token_details", "output_token_details", "billed_items")
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def _is_decimal(text: str) -> bool:
    whole, _, fraction = text.partition(".")
    return text.isascii() and whole.isdigit() and (fraction.isdigit() or "." not in text)
