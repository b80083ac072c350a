"""The run as Markdown: the comment on a pull request, and GitHub's step summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_llm_usage.ledger import Call
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.comparison import Exceeded, Row, RunComparison
from pytest_llm_usage.report.data import RunData, calls_in, calls_of
from pytest_llm_usage.text import plural

__all__ = ["MARK", "markdown"]

#: The first line, by which a script finds the comment that it is to replace.
MARK = "<!-- pytest-llm-usage -->"

#: GitHub takes comments of 65,536 characters.
_MOST_ROWS = 50
_MOST_CHARACTERS_OF_A_NAME = 300


def markdown(data: RunData, comparison: RunComparison | None = None) -> str:
    """The run, and what changed where there is something to compare it with.

    Args:
        data: The run; of several compared ones the last.
        comparison: With earlier runs.
    """
    calls = calls_of(data)
    lines = [MARK]
    if comparison is None:
        lines += ["### LLM usage", "", *_by_model(calls), "", *_tests(data)]
    else:
        verdict = f": {comparison.verdict(_code)}" if comparison.failed else ""
        lines += [f"### LLM usage{verdict}", "", *_compared(comparison), ""]
        lines += _folded("By model", _by_model(calls)) if calls else []
    return "\n".join(lines).rstrip() + "\n"


# -- what changed ----------------------------------------------------------------------------------------------


def _compared(comparison: RunComparison) -> Iterator[str]:
    rows, more = comparison.rows(_MOST_ROWS)
    total = comparison.total
    yield from ("| test | before | after | Δ | |", "| --- | ---: | ---: | ---: | --- |")
    yield from map(_row, rows)
    for count, what in (
        (more, "changed"),
        (comparison.noise, "within the noise"),
        (comparison.unchanged, "unchanged"),
    ):
        if count:
            yield f"| {count:,} more, {what} | | | | |"
    remarks = "; ".join([*(_gate(item) for item in total.over), *map(_text, total.notes)])
    yield f"| **all** | {total.was} | {total.now} | {_by(total)} | {remarks} |"
    yield ""
    facts = [f"Compared with {_code(comparison.base_name)}"]
    if comparison.gates and not comparison.failed:
        facts.append(comparison.verdict(_code))
    yield f"{': '.join(facts)}."


def _row(row: Row) -> str:
    remarks = [_gate(item) for item in row.over]
    remarks += [f"renamed from {_code(row.renamed_from)}"] if row.renamed_from else []
    remarks += map(_text, row.notes)
    return f"| {_code(row.name)} | {row.was} | {row.now} | {_by(row)} | {'; '.join(remarks)} |"


def _gate(item: Exceeded) -> str:
    return item.text(_code).replace("->", "→")


def _by(row: Row) -> str:
    by = row.by.replace("-", "\N{MINUS SIGN}")
    return f"**{by}**" if by and row.over else by


# -- what was spent --------------------------------------------------------------------------------------------


def _by_model(calls: Sequence[Call]) -> Iterator[str]:
    if not calls:
        yield "No model was called."
        return
    yield from ("| model | calls | input | cached | output | reasoning | USD |", f"| --- |{' ---: |' * 6}")
    *models, total = model_rows(calls)
    yield from (f"| {_code(name)} | {' | '.join(cells)} |" for name, *cells in models)
    name, *cells = total
    yield f"| **{name}** | {' | '.join(cells)} |"
    remarks = "; ".join(notes(calls))
    if remarks:
        yield ""
        yield _text(remarks)
    reasons = list(unpriced_reasons(calls))
    if reasons:
        yield ""
        yield from (f"- {_text(f'unpriced: {reason}')}{f': {_code(fix)}' if fix else ''}" for reason, fix in reasons)


def _tests(data: RunData) -> Iterator[str]:
    tests = [(test, calls_in(record)) for test, record in data["tests"].items()]
    if not tests:
        return
    tests.sort(key=lambda test: -sum(call.usage.total_tokens for call in test[1] if call.is_billed and call.usage))
    lines = ["| test | calls | input | cached | output | reasoning | USD |", f"| --- |{' ---: |' * 6}"]
    lines += [f"| {_code(test)} | {' | '.join(usage_cells(calls))} |" for test, calls in tests[:_MOST_ROWS]]
    if len(tests) > _MOST_ROWS:
        lines.append(f"| {len(tests) - _MOST_ROWS:,} more | | | | | | |")
    yield from _folded(plural(len(tests), "test"), lines)


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


# -- what Markdown makes of text -------------------------------------------------------------------------------

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def _text(text: str) -> str:
    """`text` with nothing in it that Markdown reads otherwise."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("-\\>", "→")


def _code(text: str) -> str:
    """`text` as code that may stand in a table."""
    text = " ".join(text.split())
    if len(text) > _MOST_CHARACTERS_OF_A_NAME:
        half = _MOST_CHARACTERS_OF_A_NAME // 2
        text = f"{text[:half]}…{text[-half:]}"
    # Longer than any run of backticks in it; in a table a bar ends the cell even in code.
    fence = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", r"\|")
