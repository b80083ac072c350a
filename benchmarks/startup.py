"""The start of pytest on an empty suite, with the plugin and without it."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate, run_pytest

MOST_EXTRA_S = 0.015


def compare(rounds: int) -> list[Comparison]:
    """Comparisons of a start beside whatever plugins are installed, and of one beside syrupy alone.

    The second is the harder one: what other plugins import anyway cannot hide in it.
    """
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    lines = []
    for what, ours, other, environment in (
        ("start, beside all installed plugins", [], ["-p", "no:llm_usage"], {}),
        ("start, beside syrupy alone", ["-p", "syrupy", "-p", "pytest_llm_usage.plugin"], ["-p", "syrupy"], alone),
    ):
        sides = alternate(
            {"ours": lambda a=ours, e=environment: _start(a, e), "other": lambda a=other, e=environment: _start(a, e)},
            rounds,
            figure=min,
        )
        lines.append(Comparison(what, sides["ours"]["start"], sides["other"]["start"], most_extra_s=MOST_EXTRA_S))
    return lines


def _start(arguments: list[str], environment: dict[str, str]) -> Seconds:
    with tempfile.TemporaryDirectory() as directory:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_pytest(arguments, Path(directory), environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"start": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}
