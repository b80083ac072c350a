"""The start of pytest on an empty suite, with the plugin and without it."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, run_pytest

MOST_EXTRA_S = 0.015


def compare(rounds: int) -> list[Comparison]:
    """The comparison of a start beside syrupy, which we depend on, and nothing else.

    Other plugins would take seconds, in which some milliseconds do not show, and import what we then need not.
    """
    sides = alternate(
        {"ours": lambda: _start("-p", "llm_usage"), "other": lambda: _start("-p", "no:llm_usage")}, rounds, figure=min
    )
    return [
        Comparison(
            "start on an empty suite", sides["ours"]["start"], sides["other"]["start"], most_extra_s=MOST_EXTRA_S
        )
    ]


def _start(*arguments: str) -> Seconds:
    with tempfile.TemporaryDirectory() as directory:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_pytest(["-p", "syrupy", *arguments], Path(directory), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"start": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}
