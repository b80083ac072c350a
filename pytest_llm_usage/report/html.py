"""The run as one self-contained page: charts in SVG, light and dark, nothing fetched from anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from pytest_llm_usage.ledger import Call, summed_usage
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.comparison import Row, RunComparison
from pytest_llm_usage.report.data import RunData, calls_by_test, calls_of
from pytest_llm_usage.report.icicle import icicle
from pytest_llm_usage.report.markup import escape
from pytest_llm_usage.report.page_data import PageExtras, as_shown, page_data, pieces, summed
from pytest_llm_usage.report.run import TestRecord
from pytest_llm_usage.report.trend import trend_section
from pytest_llm_usage.report.why import causes, explained_tests
from pytest_llm_usage.text import percent, plural, printable, tokens, usd
from pytest_llm_usage.usage import TokenUsage

__all__ = ["page", "table_cells"]

#: The page shows no more; the run's data has all of them.
_MOST_CHANGES = 200


def page(data: RunData, comparison: RunComparison | None = None, extras: PageExtras | None = None) -> str:
    """The whole page.

    Args:
        data: The run; the last one if several are compared.
        comparison: With earlier runs.
        extras: What else the page shows.
    """
    by_test = calls_by_test(data)
    calls = calls_of(data, by_test)
    tests = page_data(data, by_test, extras)
    body = [
        _heading(data, calls),
        "<main>",
        _tiles(calls, len(data["tests"])),
        *(_comparison(comparison) if comparison is not None else ()),
        *(_models(calls) if calls else ()),
        *_why(data, by_test),
        *(trend_section(extras.trend) if extras is not None and extras.trend is not None else ()),
        *(_test_table() if tests["tests"] else ()),
        *_disagreements(data),
        "</main>",
    ]
    parts = {"style": _part("page.css"), "body": "\n".join(body), "data": _json(tests), "script": _part("page.js")}
    # One pass, so that no placeholder is replaced inside a part.
    return re.sub(r"\{(style|body|data|script)\}", lambda match: parts[match[1]], _part("page.html"))


@cache
def _part(name: str) -> str:
    return files("pytest_llm_usage.report").joinpath("page", name).read_text(encoding="utf-8")


def _json(data: object) -> str:
    """JSON that cannot end the script element, whatever is in it."""
    return json.dumps(_printable_values(data), separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _printable_values(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): _printable_values(part) for key, part in value.items()}
    return [_printable_values(part) for part in value] if isinstance(value, list | tuple) else value


def table_cells(test: TestRecord | None) -> tuple[str, str]:
    """Tokens and USD of the last attempt at a test, as cells for the table of pytest-html; empty if it made no call."""
    if test is None or not test.ledger.calls:
        return "<td></td>", "<td></td>"
    spent = summed_usage(test.ledger.calls)
    cost_usd = spent["cost_usd"]
    amount = usd(None if cost_usd is None else Decimal(cost_usd))
    return f"<td>{tokens(spent['total_tokens'])}</td>", f"<td>{escape(amount)}</td>"


# -- the parts of the page -------------------------------------------------------------------------------------


def _heading(data: RunData, calls: Sequence[Call]) -> str:
    environment = {name: _joined(value) for name, value in data["environment"].items()}
    commit, job = environment.pop("commit", ""), environment.get("job", "")
    days = sorted({date for call in calls if (date := _day(call.started_at))})
    facts = [days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"] if days else []
    uncommitted = " and uncommitted changes" if "uncommitted" in environment else ""
    facts += [f"commit {commit[:12]}{uncommitted}"] if commit else []
    facts += [f"branch {environment['branch']}"] if "branch" in environment else []
    facts += [f"{name} {environment[name]}" for name in ("pytest", "langchain-core", "python") if name in environment]
    facts += [f"prices: {environment['prices']}"] if "prices" in environment else []
    link = f' · <a href="{escape(job)}" rel="noreferrer">the job</a>' if job.startswith("https://") else ""
    return f"<header><h1>LLM usage</h1><p>{escape(' · '.join(facts))}{link}</p></header>"


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else ""
    except (OverflowError, OSError, ValueError):
        return ""


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _tiles(calls: Sequence[Call], tests: int) -> str:
    number, sent, cached, received, reasoning, cost = usage_cells(calls)
    total = summed(calls).total_tokens
    is_least = sent.startswith(">=") or received.startswith(">=")
    # The notes in full are below the models.
    missing = [note.partition(":")[0] for note in notes(calls) if note.startswith("and ") and "failed call" not in note]
    spent = [note for note in notes(calls) if note.startswith("spent in this run")]
    tiles = (
        ("tokens", "?" if sent == "?" else f"{'>=' if is_least else ''}{tokens(total)}", f"{sent} in, {received} out"),
        ("USD", cost, "; ".join((*missing, *spent))),
        ("model calls", number, f"in {plural(tests, 'test')}"),
        ("cached input", cached, f"{reasoning} tokens of reasoning" if reasoning != "-" else ""),
    )
    return (
        '<section class="tiles">'
        + "".join(
            f"<div><b>{escape(as_shown(value))}</b><span>{escape(name)}</span><small>{escape(as_shown(note))}</small></div>"
            for name, value, note in tiles
        )
        + "</section>"
    )


def _comparison(comparison: RunComparison) -> Iterator[str]:
    rows, more = comparison.rows(_MOST_CHANGES)
    kind = "bad" if comparison.failed else "good"
    total = comparison.total
    most = max((row.tokens for row in rows), default=0)
    yield f"<section><h2>Compared with {escape(comparison.base_name)}</h2>"
    if verdict := comparison.verdict():
        yield f'<p class="verdict {kind}">{escape(verdict)}</p>'
    yield f"<p>{escape(comparison.summary)}</p>"
    yield '<div class="scroll" tabindex="0"><table class="cards"><thead><tr><th scope="col">test<th scope="col" class="chart">before and after'
    yield '<th scope="col" class="n">before<th scope="col" class="n">after<th scope="col" class="n">Δ<th scope="col">why</tr></thead><tbody>'
    yield _changed(total, total.tokens, "total")
    yield from (_changed(row, most) for row in rows)
    if more:
        yield f'<tr><td colspan="6">{more:,} more</tr>'
    yield "</tbody></table></div></section>"


def _changed(row: Row, most: int, kind: str = "") -> str:
    over = "; ".join(escape(item.text().replace("->", "→")) for item in row.over)
    over = f'<mark class="bad">{over}</mark>' if over else ""
    remarks = [f"renamed from <code>{escape(row.renamed_from)}</code>"] if row.renamed_from else []
    remarks += [escape(as_shown(note.replace("->", "→"))) for note in row.notes]
    why = "<br>".join(remarks)
    if why and not kind:
        why = f"<details><summary>{over or ('renamed' if row.renamed_from else 'why')}</summary>{why}</details>"
    else:
        why = "<br>".join(filter(None, (over, why)))
    by = row.by.replace("-", "\N{MINUS SIGN}")
    way = "bad" if row.over else ""
    return (
        f'<tr class="{kind}"><td class="name">{_name(row.name)}<td class="chart">{_pair(row, most)}'
        f'<td class="n" data-label="before">{as_shown(row.was)}<td class="n" data-label="after">{as_shown(row.now)}'
        f'<td class="n {way}" data-label="Δ">{by}<td class="why">{why}</tr>'
    )


def _pair(row: Row, most: int) -> str:
    """Tokens before and after, one bar above the other."""
    bars = "".join(
        f'<rect class="{kind}" y="{y}" width="{100 * count / most if most else 0:.3f}" height="4"/>'
        for kind, y, count in (("before", 0, row.was_tokens), ("after", 6, row.now_tokens))
    )
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(row.was)} before, {escape(row.now)} after">{bars}</svg>'
    )


def _models(calls: Sequence[Call]) -> Iterator[str]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(f"{call.model} (http)" if call.source == "http" else call.model, []).append(call)
    usages = {name: summed(group) for name, group in groups.items()}
    most = max(usage.total_tokens for usage in usages.values())
    yield f"<section><h2>By model</h2>{_LEGEND}"
    yield '<div class="scroll" tabindex="0"><table class="cards"><thead><tr><th scope="col">model<th scope="col" class="chart">tokens'
    heads = ("calls", "input", "cached", "output", "reasoning", "USD")
    yield "".join(f'<th scope="col" class="n">{name}' for name in heads) + "</tr></thead><tbody>"
    for name, *cells in model_rows(calls):
        bar = _bar(usages[name], most) if name in usages else ""
        kind = "" if name in usages else "total"
        numbers = "".join(
            f'<td class="n" data-label="{head}">{escape(as_shown(cell))}'
            for head, cell in zip(heads, cells, strict=True)
        )
        if source := "; ".join(dict.fromkeys(call.quote.source for call in groups.get(name, ()) if call.quote.source)):
            # Where the price comes from, on the last cell.
            numbers = f' title="{escape(source)}" data-label="USD"'.join(numbers.rsplit(' data-label="USD"', 1))
        yield f'<tr class="{kind}"><td class="name"><code>{escape(name)}</code><td class="chart">{bar}{numbers}</tr>'
    yield "</tbody></table></div>"
    remarks = as_shown("; ".join(notes(calls)))
    yield f"<p>{escape(remarks)}</p>" if remarks else ""
    for reason, fix in unpriced_reasons(calls):
        yield f"<p>unpriced: {escape(reason)}{f': <code>{escape(fix)}</code>' if fix else ''}</p>"
    yield "</section>"


def _why(data: RunData, by_test: Mapping[str, Sequence[Call]]) -> Iterator[str]:
    """What the cost is made of, if the run says what its calls sent."""
    tests = explained_tests(data, by_test)
    if any(call.input_by_part is not None for test in tests for call in test.calls):
        yield from icicle(causes(tests))


#: Heading, and what the script sorts by.
_COLUMNS = (
    ("test", "test"),
    ("status", "status"),
    ("tokens", "tokens"),
    *((name, name) for name in ("calls", "input", "cached", "output", "reasoning", "USD")),
    ("model time", "time"),
    ("budget", "budget"),
)


def _test_table() -> Iterator[str]:
    """The table that the script fills: with thousands of rows in it the page would be slow."""
    yield '<section><h2>By test</h2><div class="tools"><label for="filter">Search</label>'
    yield '<input type="search" id="filter" placeholder="test, model, status, file or note">'
    yield '<span class="quiet" id="found" role="status"></span></div>'
    yield '<div class="scroll" tabindex="0"><table id="tests" class="cards"><thead><tr>'
    for title, key in _COLUMNS:
        kind = ' class="n"' if title in ("calls", "input", "cached", "output", "reasoning", "USD", "model time") else ""
        yield f'<th scope="col" data-key="{key}"{kind}><button type="button">{title}</button>'
    yield '</tr></thead><tbody></tbody></table></div><button type="button" class="more" id="more" hidden></button>'
    yield "<noscript><p>The list of tests needs JavaScript.</p></noscript></section>"


def _disagreements(data: RunData) -> Iterator[str]:
    found: list[tuple[str, Mapping[str, Any]]] = [
        (name, item) for name, record in data["tests"].items() for item in record.get("discrepancies", ())
    ]
    if not found:
        return
    yield f"<section><h2>LangChain and the provider disagree on {plural(len(found), 'call')}</h2>"
    yield "<p>The provider's numbers count.</p><ul>"
    for name, item in found[:_MOST_CHANGES]:
        yield f"<li><code>{escape(name)}</code>, {escape(item['model'])}: {escape(item['reason'])}"
    if len(found) > _MOST_CHANGES:
        yield f"<li>{len(found) - _MOST_CHANGES:,} more"
    yield "</ul></section>"


# -- numbers and bars ------------------------------------------------------------------------------------------


def _name(test: str) -> str:
    """A test's name, which the browser may wrap where its parts end."""
    return f"<code>{'<wbr>'.join(map(escape, re.split(_ENDS_OF_PARTS, test)))}</code>"


_ENDS_OF_PARTS = re.compile(r"(?<=[/_])|(?<=::)|(?=\[)")


def _bar(usage: TokenUsage, most: int) -> str:
    """A bar of the four kinds of tokens; the longest takes the whole width."""
    at = 0.0
    rectangles = []
    for name, count in zip(_KINDS, pieces(usage), strict=True):
        if count and most:
            wide = 100 * count / most
            share = percent(count, usage.total_tokens)
            rectangles.append(
                f'<rect class="{name}" x="{at:.3f}" width="{wide:.3f}" height="10"><title>{name}: {tokens(count)} ({share})</title></rect>'
            )
            at += wide
    return (
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{tokens(usage.total_tokens)} tokens">'
        f"{''.join(rectangles)}</svg>"
    )


_KINDS = ("input", "cached", "output", "reasoning")
_LEGEND = (
    '<p class="legend">'
    + "".join(
        f'<span><svg viewBox="0 0 10 10"><rect class="{name}" width="10" height="10"/></svg>{name}</span>'
        for name in _KINDS
    )
    + "</p>"
)
