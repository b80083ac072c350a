"""`history` and `blame`: how usage moved from run to run, or from commit to commit, and what moved it."""

# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_llm_usage.compare import Spending, causes, compare_usage
from pytest_llm_usage.errors import ConfigurationError, RunFileError
from pytest_llm_usage.report.history import PastRun, past_runs
from pytest_llm_usage.text import columns, dollars, percent, plural, tokens

__all__ = ["LAST", "blame", "history"]

#: How many runs are shown by default.
LAST = 30
_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
_SHORT_COMMIT = 10


def history(options: argparse.Namespace) -> int:
    """Prints the runs of a history, and a sparkline of their tokens."""
    runs = past_runs(options.file, test=options.test, branch=options.branch, last=options.last)
    if options.model is not None:
        runs = [_of_model(run, options.model) for run in runs]
    if not runs:
        raise RunFileError(f"{options.file}: no matching run")
    spent = [Spending.from_usage(run.usage) for run in runs]
    rows = [("day", "commit", "branch", "calls", "tokens", "USD")]
    rows += [
        (_day(run.finished_at), _commit(run), run.branch or "-", *_cells(sums))
        for run, sums in zip(runs, spent, strict=True)
    ]
    print("\n".join(columns(rows, "<<<>>>")))
    if any(run.commit and run.is_uncommitted for run in runs):
        print("+: with changes that were not committed")
    print()
    print(f"tokens  {_sparkline([sums.total_tokens for sums in spent])}  {_moved(spent)}")
    return 0


def _of_model(run: PastRun, pattern: str) -> PastRun:
    usage = {model: sums for model, sums in run.usage.items() if fnmatchcase(model, pattern)}
    return replace(run, usage=usage)


def _commit(run: PastRun) -> str:
    return f"{run.commit[:_SHORT_COMMIT]}{'+' if run.is_uncommitted else ''}" if run.commit else "-"


def _cells(spent: Spending) -> tuple[str, str, str]:
    count = tokens(spent.total_tokens or None if spent.is_unknown else spent.total_tokens)
    known = dollars(spent.cost_usd, at_least=spent.is_unpriced).replace("$", "")
    cost = known if spent.cost_usd or not spent.is_unpriced else "unpriced"
    return tokens(spent.calls), f">={count}" if spent.is_unknown and count != "?" else count, cost


def _moved(spent: Sequence[Spending]) -> str:
    first, last = spent[0].total_tokens, spent[-1].total_tokens
    share = f", {'+' if last > first else '-'}{percent(abs(last - first), first)}" if first and first != last else ""
    return f"{tokens(first)} to {tokens(last)}{share} in {plural(len(spent), 'run')}"


def _sparkline(values: Sequence[int]) -> str:
    bars = _BARS if (sys.stdout.encoding or "").lower().startswith("utf") else _PLAIN_BARS
    least, most = min(values), max(values)
    return "".join(bars[(value - least) * (len(bars) - 1) // (most - least) if most > least else 0] for value in values)


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return "?"


# -- blame -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    """What a test used as of a commit."""

    commit: str
    usage: Mapping[str, Mapping[str, Any]]
    is_uncommitted: bool = False


def blame(options: argparse.Namespace) -> int:
    """Prints what moved the usage of a test: the commit, its day and author, and what changed."""
    root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel") or ".")
    if options.history is not None:
        runs = past_runs(options.history, test=options.test)
        states = [_State(run.commit or "", run.usage, run.is_uncommitted) for run in runs]
    else:
        states = list(_snapshots(root, options.test))
    if not states:
        where = f"{options.history}" if options.history is not None else "git's history of usage snapshots"
        raise RunFileError(f"{options.test}: not in {where}")
    found = 0
    for before, after in pairwise(states):
        changes = compare_usage(before.usage, after.usage)
        if all(change.status == "same" for change in changes):
            continue
        found += 1
        was, now = Spending.from_usage(before.usage), Spending.from_usage(after.usage)
        print(_commit_line(root, after.commit))
        if after.commit and after.is_uncommitted:
            print("    or what was changed since and not committed when it ran")
        print(f"    {_kind(before.usage, after.usage)}: {'; '.join(causes(changes))}")
        print(f"    {_tokens(was)} -> {_tokens(now)} tokens, {_cost(was)} -> {_cost(now)}")
    if not found:
        print(f"{options.test}: the same in {plural(len(states), 'state')}")
    return 0


def _tokens(spent: Spending) -> str:
    return "?" if spent.is_unknown else tokens(spent.total_tokens)


def _cost(spent: Spending) -> str:
    is_known = spent.cost_usd or not spent.is_unpriced
    return dollars(spent.cost_usd, at_least=spent.is_unpriced) if is_known else "unpriced"


def _kind(was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> str:
    """What changed, in a word: the model, the number of calls, the prompt, the answer or the price."""
    before, after = Spending.from_usage(was), Spending.from_usage(now)
    if not was:
        return "new"
    if was.keys() != now.keys():
        return "model"
    if before.calls != after.calls:
        return "calls"
    if (before.is_unknown, before.is_unsplit) != (after.is_unknown, after.is_unsplit):
        return "usage"
    if before.input_tokens != after.input_tokens:
        return "prompt"
    if before.output_tokens != after.output_tokens:
        return "answer"
    return "price" if before.cost_usd != after.cost_usd or before.is_unpriced != after.is_unpriced else "details"


def _commit_line(root: Path, commit: str) -> str:
    if not commit:
        return "a run whose commit is not known"
    line = _git(root, "show", "-s", "--format=%h %as %an: %s", commit)
    return line or commit[:_SHORT_COMMIT]


def _snapshots(root: Path, test: str) -> Iterator[_State]:
    """A test's usage in each commit that touched its snapshot file, the earliest first."""
    from pytest_llm_usage.snapshot import UsageFile  # noqa: PLC0415 -- imports syrupy

    path, _, name = test.partition("::")
    if not name:
        raise ConfigurationError(f"{test!r} is not the name of a test (example: tests/test_agent.py::test_bird)")
    module = Path(path)
    file = (Path.cwd() / module.parent / "__snapshots__" / f"{module.stem}.usage.yaml").resolve()
    if not file.is_relative_to(root):
        return
    shown = file.relative_to(root).as_posix()
    name = ".".join(name.split("::"))
    seen = False
    for commit in _git(root, "log", "--format=%H", "--reverse", "--", shown).split():
        text = _git(root, "show", f"{commit}:{shown}")
        entries = UsageFile.parse(text, f"{commit[:_SHORT_COMMIT]}:{shown}").entries if text else {}
        usage = _of_test(entries, name)
        if usage or seen:
            seen = True
            yield _State(commit, usage)


def _of_test(entries: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """The sum of a test's snapshots: the one with its name, and the numbered ones after it."""
    from pytest_llm_usage.compare import added_usage  # noqa: PLC0415

    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries.values():
        number = entry.name.removeprefix(f"{name}.")
        if entry.name == name or (number != entry.name and number.isdecimal()):
            for model, sums in entry.usage.items():
                found[model] = added_usage(found[model], sums) if model in found else sums
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- words of ours and names of the user's own
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise RunFileError(f"git: {error.strerror or error}") from None
    return done.stdout.rstrip("\n") if done.returncode == 0 else ""
