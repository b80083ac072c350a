"""The command `cassettes`: lists and shows recordings, finds and removes secrets."""

# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import argparse
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

from pytest_llm_usage.cassettes import inventory
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.secret_scan import Finding
from pytest_llm_usage.cli.output import FAILED, OK, UNUSABLE, say, screen_columns
from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.text import columns, inert, plural, shortened, shown_path, width, wrapped

__all__ = ["audit", "list_", "redact", "show"]

_COLUMNS = 80
_MOST_MODEL_COLUMNS = 24


def list_(options: argparse.Namespace) -> int:
    """Prints what each cassette holds."""
    columns_most = screen_columns()
    model_columns = _MOST_MODEL_COLUMNS if columns_most >= _COLUMNS else _MOST_MODEL_COLUMNS // 2
    summaries = [inventory.summarize(path) for path in _cassettes(options)]
    found = [summary for summary in summaries if not summary.problem]
    rows = [("cassette", "requests", "calls", "recorded", "models")]
    rows += [
        (
            f"  {summary.path.name}",
            f"{summary.interactions:,}",
            f"{summary.model_calls:,}",
            summary.recorded_from.date().isoformat() if summary.recorded_from else "?",
            shortened(summary.models[0], model_columns) + f" +{len(summary.models) - 1}" * (len(summary.models) > 1)
            if summary.models
            else "-",
        )
        for summary in found
    ]
    requests, calls = (sum(map(attrgetter(name), found)) for name in ("interactions", "model_calls"))
    rows.append((plural(len(found), "cassette"), f"{requests:,}", f"{calls:,}", "", ""))
    others = sum(2 + max(map(width, column)) for column in list(zip(*rows, strict=True))[1:])
    head, *lines, total = columns(((shortened(row[0], columns_most - others), *row[1:]) for row in rows), "<>><<")
    print(head)
    folder = None
    for summary, line in zip(found, lines, strict=True):
        if summary.path.parent != folder:
            folder = summary.path.parent
            print(shortened(f"{shown_path(folder)}/", columns_most))
        print(line)
    print(total)
    problems = [summary.problem for summary in summaries if summary.problem]
    for problem in problems:
        say(problem)
    return UNUSABLE if problems else OK


def show(options: argparse.Namespace) -> int:
    """Prints the requests and answers of cassettes."""
    status = OK
    for path in _cassettes(options):
        try:
            print(f"{shown_path(path)}\n\n{inventory.show(path)}")
        except CassetteError as error:  # the others can still be shown
            say(str(error))
            status = UNUSABLE
    return status


def audit(options: argparse.Namespace) -> int:
    """Prints the secrets in cassettes."""
    return _report_secrets(options, inventory.audit, "none holds a secret")


def redact(options: argparse.Namespace) -> int:
    """Removes the secrets in cassettes."""
    return _report_secrets(options, inventory.redact, "none holds a secret any more")


def _report_secrets(
    options: argparse.Namespace, look: Callable[[Path, Redaction], list[Finding]], all_is_well: str
) -> int:
    from pytest_llm_usage.settings.project import project_settings  # noqa: PLC0415 -- imports pytest

    paths = _cassettes(options)
    rules = Redaction.parse((*project_settings(options.paths).redact, *options.rule))
    count = unusable = 0
    for path in paths:
        try:
            findings = look(path, rules)
        except CassetteError as error:  # the others can still be checked
            say(str(error))
            unusable += 1
            continue
        count += len(findings)
        if findings:
            print(shown_path(path))
        for finding in findings:
            print("\n".join(map(inert, wrapped(str(finding), _COLUMNS, indent="  "))))
    print(f"{plural(len(paths) - unusable, 'cassette')}, {plural(count, 'secret') if count else all_is_well}")
    return UNUSABLE if unusable else FAILED if count else OK


def _cassettes(options: argparse.Namespace) -> list[Path]:
    for place in options.paths:
        if not place.exists():
            raise CassetteError(f"{place}: no such file or folder")
    paths = inventory.find_cassettes(options.paths)
    if not paths:
        raise CassetteError(f"no cassettes in {', '.join(map(str, options.paths))}")
    return paths
