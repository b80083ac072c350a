"""The run as Markdown: the comment on a pull request, and GitHub's step summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice

from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import total
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.comparison import Exceeded, Row, RunComparison
from pytest_llm_usage.report.data import RunData, calls_by_test, calls_of
from pytest_llm_usage.report.why import about_usd, causes, explained_tests
from pytest_llm_usage.text import inert, percent, plural

__all__ = ["MARK", "markdown"]

#: The first line, by which a script finds the comment to replace.
MARK = "<!-- pytest-llm-usage -->"

#: How many rows are open; the rest is folded.
_OPEN_ROWS = 10
#: GitHub takes comments of up to 65,536 characters.
_MOST_ROWS = 50
_MOST_CHARACTERS_OF_A_NAME = 300


def markdown(data: RunData, comparison: RunComparison | None = None) -> str:
    """The run, and what changed if there is something to compare it with: totals first, details folded.

    Args:
        data: The run; the last one if several are compared.
        comparison: With earlier runs.
    """
    by_test = calls_by_test(data)
    calls = calls_of(data, by_test)
    lines = [MARK]
    if comparison is None:
        lines += ["### LLM usage", ""]
        if not calls:
            lines.append("No model was called.")
        else:
            lines += [
                _headline(data, calls),
                "",
                *_over_budget(data),
                *_by_model(calls),
                "",
                *_why(data, by_test),
                *_tests(by_test),
            ]
    else:
        verdict = f": {comparison.verdict(_code)}" if comparison.failed else ""
        lines += [f"### LLM usage{verdict}", "", *_over_budget(data), *_compared(comparison), ""]
        lines += _folded("By model", _by_model(calls)) if calls else []
        lines += ["", *_why(data, by_test)]
    return "\n".join(lines).rstrip() + "\n"


def _headline(data: RunData, calls: Sequence[Call]) -> str:
    """The total, in a sentence."""
    count, sent, _, received, _, cost = usage_cells(calls)
    amount = cost if cost in ("?", "-", "unpriced") else f"{_sign(cost)}${cost.lstrip('<>=')}"
    tests = f" in {plural(len(data['tests']), 'test')}" if data["tests"] else ""
    noun = "call" if count == "1" else "calls"
    return (
        f"**{_text(sent)} input and {_text(received)} output tokens, {_text(amount)}** in {count} model {noun}{tests}"
    )


def _sign(cost: str) -> str:
    return cost[: len(cost) - len(cost.lstrip("<>="))]


def _over_budget(data: RunData) -> Iterator[str]:
    """The tests that spent more than their budget allows."""
    rows = []
    for test, record in data["tests"].items():
        for item in record.get("budget", ()):
            spent, limit = Decimal(item["spent"]), Decimal(item["limit"])
            if spent > limit:
                of_model = f" for {item['model']}" if "model" in item else ""
                what = _text(f"{item['name']} {limit:,f}{of_model} ({item['origin']})")
                rows.append((spent / limit if limit else spent, f"| {_code(test)} | {spent:,f} | {what} |"))
    if not rows:
        return
    rows.sort(key=lambda row: -row[0])
    yield from (f"**{plural(len(rows), 'budget')} exceeded**", "")
    head = ["| test | spent | limit |", "| --- | ---: | --- |"]
    yield from (*head, *(row for _, row in rows[:_OPEN_ROWS]), "")
    if more := rows[_OPEN_ROWS : _OPEN_ROWS + _MOST_ROWS]:
        yield from (*_folded(f"{len(rows) - _OPEN_ROWS:,} more", [*head, *(row for _, row in more)]), "")


# -- what changed ----------------------------------------------------------------------------------------------


def _compared(comparison: RunComparison) -> Iterator[str]:
    rows, more = comparison.rows(_MOST_ROWS)
    total = comparison.total
    head = ("| test | before | after | Δ | |", "| --- | ---: | ---: | ---: | --- |")
    yield from head
    remarks = "; ".join([*(_gate(item) for item in total.over), *map(_text, total.notes)])
    yield f"| **all** | {total.was} | {total.now} | {_by(total)} | {remarks} |"
    yield from map(_row, rows[:_OPEN_ROWS])
    for count, what in (
        (len(rows) - _OPEN_ROWS + more, "changed"),
        (comparison.noise, "within the noise"),
        (comparison.unchanged, "unchanged"),
    ):
        if count > 0:
            yield f"| {count:,} more, {what} | | | | |"
    yield ""
    if rows[_OPEN_ROWS:]:
        last = [f"| {more:,} more | | | | |"] if more else []
        title = f"{len(rows) - _OPEN_ROWS + more:,} more changed"
        yield from (*_folded(title, [*head, *map(_row, rows[_OPEN_ROWS:]), *last]), "")
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
    head = ("| model | calls | input | cached | output | reasoning | USD |", f"| --- |{' ---: |' * 6}")
    *models, total = model_rows(calls)
    rows = [f"| {_code(name)} | {' | '.join(cells)} |" for name, *cells in models]
    name, *cells = total
    yield from (*head, f"| **{name}** | {' | '.join(cells)} |", *rows[:_OPEN_ROWS])
    remarks = "; ".join(notes(calls))
    if remarks:
        yield ""
        yield _text(remarks)
    if more := rows[_OPEN_ROWS : _OPEN_ROWS + _MOST_ROWS]:
        yield from ("", *_folded(f"{plural(len(rows) - _OPEN_ROWS, 'more model')}", [*head, *more]))
    reasons = list(unpriced_reasons(calls))
    if reasons:
        yield ""
        told = (f"- {_text(f'unpriced: {reason}')}{f': {_code(fix)}' if fix else ''}" for reason, fix in reasons)
        yield from islice(told, _OPEN_ROWS)
    if len(reasons) > _OPEN_ROWS:
        yield f"- and {plural(len(reasons) - _OPEN_ROWS, 'more reason')}"


def _tests(by_test: Mapping[str, Sequence[Call]]) -> Iterator[str]:
    tests = list(by_test.items())
    if not tests:
        return
    tests.sort(key=lambda test: -sum(call.usage.total_tokens for call in test[1] if call.is_billed and call.usage))
    lines = ["| test | calls | input | cached | output | reasoning | USD |", f"| --- |{' ---: |' * 6}"]
    lines += [f"| {_code(test)} | {' | '.join(usage_cells(calls))} |" for test, calls in tests[:_MOST_ROWS]]
    if len(tests) > _MOST_ROWS:
        lines.append(f"| {len(tests) - _MOST_ROWS:,} more | | | | | | |")
    yield from _folded(plural(len(tests), "test"), lines)


def _why(data: RunData, by_test: Mapping[str, Sequence[Call]]) -> Iterator[str]:
    """The largest causes of the cost, folded, if the run says what its calls sent."""
    tests = explained_tests(data, by_test)
    if not any(call.input_by_part is not None for test in tests for call in test.calls):
        return
    ranked = causes(tests)
    is_priced = all(cause.cost_usd is not None for cause in ranked)
    whole = total(cause.cost_usd or Decimal(0) for cause in ranked) if is_priced else sum(c.tokens for c in ranked)
    lines = [f"| share |{' USD |' if is_priced else ''} cause | what would change it |"]
    lines += [f"| ---: |{' ---: |' if is_priced else ''} --- | --- |"]
    for cause in ranked[:_OPEN_ROWS]:
        share = percent((cause.cost_usd if is_priced else cause.tokens) or 0, whole)
        cost = f" {_text(about_usd(cause.cost_usd))} |" if is_priced else ""
        lines.append(f"| {share} |{cost} {_text(cause.words)} | {_text(cause.change)} |")
    title = f"Why it {'costs' if is_priced else 'takes'} that (shares are estimates)"
    yield from (*_folded(title, lines), "")


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


# -- what Markdown makes of text -------------------------------------------------------------------------------

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def _text(text: str) -> str:
    """`text` with everything escaped that means something in Markdown."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(inert(text).split())).replace("-\\>", "→")
    # No one is mentioned, and nothing becomes a link. GitHub looks for names after it has decoded entities.
    return escaped.replace("@", "@<!-- -->").replace("://", "&#58;//").replace("www.", "www&#46;")


def _code(text: str) -> str:
    """`text` as inline code that may be in a table."""
    text = " ".join(inert(text).split())
    if len(text) > _MOST_CHARACTERS_OF_A_NAME:
        half = _MOST_CHARACTERS_OF_A_NAME // 2
        text = f"{text[:half]}…{text[-half:]}"
    # Longer than any run of backticks in it; in a table a bar ends the cell even in code.
    fence = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", r"\|")
