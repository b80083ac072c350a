"""The start of pytest on an empty suite, with the plugin and without it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, only, processor_time_s, run_pytest

MOST_EXTRA_S = 0.015

#: What else is loaded: syrupy, which we depend on, and langsmith, which comes with LangChain and imports HTTP clients.
OTHERS = {"": ("syrupy",), " beside langsmith": ("syrupy", "langsmith_plugin")}


def compare(rounds: int) -> list[Comparison]:
    """Comparisons of a start beside `OTHERS`: with more plugins it takes seconds, in which milliseconds do not show."""
    lines = []
    for what, others in OTHERS.items():
        sides = alternate(
            {
                "ours": partial(start, *others, "llm_usage"),
                "other": partial(start, *others),
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


def start(*plugins: str) -> Seconds:
    """The processor time of one start with these plugins and no others."""
    with tempfile.TemporaryDirectory() as directory:
        return {"start": processor_time_s(lambda: run_pytest(only(*plugins), Path(directory), {}))}
