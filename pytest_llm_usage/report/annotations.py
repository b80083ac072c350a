"""GitHub's annotations: what is wrong with a test, shown at its line of the pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_llm_usage.report.comparison import RunComparison
from pytest_llm_usage.report.run import Run
from pytest_llm_usage.text import percent, printable, tokens, usd

__all__ = ["github_lines"]

#: GitHub shows no more annotations for each step.
_MOST = 10


def github_lines(
    run: Run,
    comparison: RunComparison | None,
    places: Mapping[str, tuple[str, int | None]],
    *,
    level: str,
) -> Iterator[str]:
    """A line that GitHub Actions reads for each test that is over its budget or exceeds a gate.

    Args:
        run: What was spent.
        comparison: With earlier runs; None if there is none.
        places: Test → its file, relative to the repository, and its line, from 0.
        level: `error` or `warning`, for budgets.
    """
    found = [*_over_budget(run, level), *_over_gates(comparison)]
    for kind, test, text in found[:_MOST]:
        file, line = places.get(test, ("", None))
        place = f"file={_property(file)}," if file else ""
        place += f"line={line + 1}," if file and line is not None else ""
        yield f"::{kind} {place}title=LLM usage::{_message(f'{test}: {text}')}"


def _over_budget(run: Run, level: str) -> Iterator[tuple[str, str, str]]:
    for test in run.records:
        for spent in test.budget:
            if spent.is_over:
                amount = usd if spent.name == "max_cost" else lambda value: tokens(int(value))
                share = percent(spent.spent, spent.limit)
                yield (
                    level,
                    test.nodeid,
                    f"{amount(spent.spent)}, limit {amount(spent.limit)} ({share}, {spent.origin})",
                )


def _over_gates(comparison: RunComparison | None) -> Iterator[tuple[str, str, str]]:
    for row in comparison.rows(_MOST)[0] if comparison is not None else ():
        if row.over:
            moved = f"{row.was} -> {row.now} tokens"
            yield "error", row.name, "; ".join((*(item.text() for item in row.over), moved, *row.notes))


def _message(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
