"""The start of pytest on an empty suite, with the plugin and without it."""

from __future__ import annotations

import resource
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, run_pytest

MOST_EXTRA_S = 0.015

#: What else is loaded: syrupy, which we depend on, and langsmith, which comes with LangChain and imports HTTP clients.
OTHERS = {"": ("-p", "syrupy"), " beside langsmith": ("-p", "syrupy", "-p", "langsmith_plugin")}


def compare(rounds: int) -> list[Comparison]:
    """Comparisons of a start beside `OTHERS`: more plugins would take seconds, in which some milliseconds do not show."""
    lines = []
    for what, others in OTHERS.items():
        sides = alternate(
            {
                "ours": partial(start, *others, "-p", "llm_usage"),
                "other": partial(start, *others, "-p", "no:llm_usage"),
            },
            rounds,
            figure=min,
        )
        lines.append(
            Comparison(
                f"start on an empty suite{what}",
                sides["ours"]["start"],
                sides["other"]["start"],
                most_extra_s=MOST_EXTRA_S,
            )
        )
    return lines


def start(*arguments: str) -> Seconds:
    """The processor time of one start."""
    with tempfile.TemporaryDirectory() as directory:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_pytest(arguments, Path(directory), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"start": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}
