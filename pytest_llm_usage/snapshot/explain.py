"""The explanation of a mismatch: the verdict, a table for each model, what changed, and the command that accepts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from syrupy.location import PyTestLocation

from pytest_llm_usage.compare import PRICE_FROM, causes, change_lines, compare_usage, model_name
from pytest_llm_usage.snapshot.assertion import UsageSnapshotAssertion, UsageSnapshotExtension
from pytest_llm_usage.snapshot.file import UsageFile, parsed
from pytest_llm_usage.text import shell_quoted, shown_path, wrapped

__all__ = ["explain_mismatch"]

#: How much of an explanation pytest shows without -vv (lines, characters), its own tolerance included.
_PYTEST_SHOWS = (10, 690)


def explain_mismatch(config: Any, op: str, left: object, right: object, record_option: str = "") -> list[str] | None:
    """The explanation of a failed `assert llm_usage == usage_snapshot`, or None if something else failed.

    The verdict comes first, then a table for each model, what changed, and the command that accepts it. If pytest would
    cut the text short, the tables come last.

    Args:
        config: pytest's.
        op: The operator of the comparison.
        left: Its left side.
        right: Its right side.
        record_option: The option of the command with which the test records, if it does so now.
    """
    snapshot, usage = (right, left) if isinstance(right, UsageSnapshotAssertion) else (left, right)
    if op != "==" or not isinstance(snapshot, UsageSnapshotAssertion) or not snapshot.executions:
        return None
    result = snapshot.executions[snapshot.num_executions - 1]
    if result.exception is not None or result.asserted_data is None:
        return None
    path = UsageSnapshotExtension.path_of(result.snapshot_location)
    nodeid = shell_quoted(_nodeid(config, snapshot.test_location))
    command = " ".join(filter(None, ("pytest", nodeid, record_option, "--snapshot-update")))
    now = parsed(result.asserted_data)
    if result.recalled_data is None:
        verdict = f"No LLM usage is recorded in {shown_path(path)} ({result.snapshot_name})"
        table = change_lines(compare_usage({}, now))
        return _arranged(verdict, table, [f"Record:  {command}"])
    then = parsed(result.recalled_data)
    changes = compare_usage(then, now, snapshot.compared_with)
    verdict = f"LLM usage differs from {shown_path(path)} ({result.snapshot_name})"
    reasons = causes(changes, _where(usage, snapshot.model_names), _prices(path, then, now))
    return _arranged(
        verdict,
        change_lines(changes),
        [*(line for text in reasons for line in wrapped(text, 76)), f"Accept:  {command}"],
    )


def _arranged(verdict: str, table: list[str], rest: list[str]) -> list[str]:
    table = [f"  {line}" for line in table]
    lines = [verdict, *table, *rest]
    most_lines, most_characters = _PYTEST_SHOWS
    fits = len(lines) <= most_lines and sum(map(len, lines)) <= most_characters
    return lines if fits else [verdict, *rest, *table]


def _nodeid(config: Any, test_location: PyTestLocation) -> str:
    """The test's id, relative to the folder where pytest was started, as the command line takes it."""
    path = os.path.relpath(test_location.filepath, config.invocation_params.dir)
    return "::".join((Path(path).as_posix(), *test_location.nodeid.split("::")[1:]))


def _where(usage: object, model_names: Mapping[str, str]) -> Callable[[str, str], str]:
    """Where in the user's code a model's last call, or the one with the most tokens of a kind, was made."""

    def where(model: str, which: str) -> str:
        known = [call for call in getattr(usage, "calls", ()) if call.usage is not None]
        calls = [call for call in known if model_name(call.model, model_names) == model]
        if not calls:
            return ""
        call = calls[-1] if which == "last" else max(calls, key=lambda call: getattr(call.usage, which))
        return call.where or ""

    return where


def _prices(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> Callable[[str], tuple[str, str]]:
    """Where a model's price came from then and now: as the snapshots say, else the version of genai-prices."""
    book = UsageFile.load(path).prices_version
    books = (f"genai-prices {book}" if book else "", f"genai-prices {version('genai-prices')}")

    def prices(model: str) -> tuple[str, str]:
        was, is_now = (usage.get(model, {}).get(PRICE_FROM) for usage in (then, now))
        return (was, is_now) if was and is_now else books

    return prices
