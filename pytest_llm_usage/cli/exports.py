"""`export`, and `compare --as`: runs for other tools, and on other models."""

# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from pytest_llm_usage.atomic import replace_file
from pytest_llm_usage.cli.output import OK, screen_columns
from pytest_llm_usage.errors import ReportError
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.report.data import read_run, read_runs
from pytest_llm_usage.report.export import export
from pytest_llm_usage.report.formats import STDOUT
from pytest_llm_usage.report.what_if import what_if_lines
from pytest_llm_usage.text import shown_path

__all__ = ["export_runs", "what_if"]


def what_if(options: argparse.Namespace) -> int:
    """Prints what a run would cost on another model."""
    if len(options.runs) != 1 or options.after is not None:
        options.error("--as takes one run")
    book = PriceBook() if options.prices is None else PriceBook.from_sources(options.prices)
    lines = what_if_lines(
        read_run(options.runs[0]),
        options.as_model,
        options.provider,
        book,
        datetime.now(UTC).timestamp(),
        screen_columns(),
    )
    print("\n".join(lines))
    return OK


def export_runs(options: argparse.Namespace) -> int:
    """Writes runs in the format of another tool."""
    runs = [run for path in options.runs for run in read_runs(path)]
    text = export(options.format, runs)
    if options.output == STDOUT:
        print(text, end="")
        return OK
    if options.output.exists():
        raise ReportError(f"{shown_path(options.output)} already exists; choose another path")
    replace_file(options.output, text.encode())
    print(f"Wrote {options.format} to {shown_path(options.output)}")
    return OK
