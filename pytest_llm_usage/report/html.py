"""The run as one self-contained page: charts in SVG, light and dark, nothing fetched from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from pytest_llm_usage.ledger import Call, summed_usage
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.comparison import Row, RunComparison
from pytest_llm_usage.report.data import RunData, calls_in, calls_of
from pytest_llm_usage.report.run import TestRecord
from pytest_llm_usage.text import percent, plural, tokens, usd
from pytest_llm_usage.usage import TokenUsage

__all__ = ["page", "table_cells"]

#: Browsers grow slow with more; the run as data has all of them.
_MOST_TESTS = 2_000
_MOST_TESTS_WITH_CALLS = 300
_MOST_CHANGES = 200


def page(data: RunData, comparison: RunComparison | None = None) -> str:
    """The page, whole.

    Args:
        data: The run; of several compared ones the last.
        comparison: With earlier runs.
    """
    calls = calls_of(data)
    tests = _tests(data)
    body = [
        _heading(data),
        _tiles(calls, len(tests)),
        *(_comparison(comparison) if comparison is not None else ()),
        *(_models(calls) if calls else ()),
        *(_test_table(tests) if tests else ()),
        *_disagreements(data),
    ]
    return _PAGE.format(style=_STYLE, body="\n".join(body), script=_SCRIPT)


def table_cells(test: TestRecord | None) -> tuple[str, str]:
    """Tokens and USD of the last attempt at a test, as cells for the table of pytest-html; empty where it made no call."""
    if test is None or not test.ledger.calls:
        return "<td></td>", "<td></td>"
    spent = summed_usage(test.ledger.calls)
    cost_usd = spent["cost_usd"]
    amount = usd(None if cost_usd is None else Decimal(cost_usd))
    return f"<td>{tokens(spent['total_tokens'])}</td>", f"<td>{escape(amount)}</td>"


@dataclass(frozen=True)
class _Test:
    name: str
    calls: Sequence[Call]
    usage: TokenUsage


def _tests(data: RunData) -> list[_Test]:
    """The tests, those that used most first."""
    tests = []
    for name, record in data["tests"].items():
        calls = calls_in(record)
        tests.append(_Test(name, calls, _sum(calls)))
    return sorted(tests, key=lambda test: -test.usage.total_tokens)


def _sum(calls: Iterable[Call]) -> TokenUsage:
    return sum((call.usage for call in calls if call.is_billed and call.usage is not None), TokenUsage())


# -- the parts of the page -------------------------------------------------------------------------------------


def _heading(data: RunData) -> str:
    environment = {name: _joined(value) for name, value in data["environment"].items()}
    commit = environment.pop("commit", "")
    facts = [f"commit {commit[:12]}"] if commit else []
    facts += [f"{name} {environment[name]}" for name in ("pytest", "langchain-core", "python") if name in environment]
    facts += [f"prices: {environment['prices']}"] if "prices" in environment else []
    return f"<header><h1>LLM usage</h1><p>{escape(' · '.join(facts))}</p></header>"


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _tiles(calls: Sequence[Call], tests: int) -> str:
    number, sent, cached, received, reasoning, cost = usage_cells(calls)
    total = _sum(calls).total_tokens
    is_least = sent.startswith(">=") or received.startswith(">=")
    tiles = (
        ("tokens", "?" if sent == "?" else f"{'≥ ' if is_least else ''}{tokens(total)}", f"{sent} in, {received} out"),
        ("USD", cost.replace(">=", "≥ "), "; ".join(notes(calls))),
        ("model calls", number, f"in {plural(tests, 'test')}"),
        ("cached input", cached, f"{reasoning} tokens of reasoning" if reasoning != "-" else ""),
    )
    return (
        '<section class="tiles">'
        + "".join(
            f"<div><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(note)}</small></div>"
            for name, value, note in tiles
        )
        + "</section>"
    )


def _comparison(comparison: RunComparison) -> Iterator[str]:
    rows, more = comparison.rows(_MOST_CHANGES)
    kind = "bad" if comparison.failed else "good"
    yield f"<section><h2>Compared with {escape(comparison.base_name)}</h2>"
    if verdict := comparison.verdict():
        yield f'<p class="verdict {kind}">{escape(verdict)}</p>'
    yield f"<p>{escape(comparison.summary)}</p>"
    yield '<div class="scroll"><table><thead><tr><th>test<th class="n">before<th class="n">after<th class="n">Δ<th></tr></thead><tbody>'
    yield from (_changed(row) for row in rows)
    if more:
        yield f'<tr><td colspan="5">{more:,} more</tr>'
    yield _changed(comparison.total, "total")
    yield "</tbody></table></div></section>"


def _changed(row: Row, kind: str = "") -> str:
    remarks = [f'<mark class="bad">{escape(item.text().replace("->", "→"))}</mark>' for item in row.over]
    remarks += [f"renamed from <code>{escape(row.renamed_from)}</code>"] if row.renamed_from else []
    remarks += [escape(note.replace("->", "→").replace(">=", "≥ ")) for note in row.notes]
    by = row.by.replace("-", "\N{MINUS SIGN}")
    return (
        f'<tr class="{kind}"><td>{_name(row.name)}<td class="n">{row.was}<td class="n">{row.now}'
        f'<td class="n {"up" if row.by.startswith("+") else "down"}">{by}<td>{"<br>".join(remarks)}</tr>'
    )


def _models(calls: Sequence[Call]) -> Iterator[str]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(f"{call.model} (http)" if call.source == "http" else call.model, []).append(call)
    usages = {name: _sum(group) for name, group in groups.items()}
    most = max(usage.total_tokens for usage in usages.values())
    yield f"<section><h2>By model</h2>{_LEGEND}"
    yield '<div class="scroll"><table><thead><tr><th>model<th class="chart"><th class="n">calls<th class="n">input'
    yield '<th class="n">cached<th class="n">output<th class="n">reasoning<th class="n">USD</tr></thead><tbody>'
    for name, *cells in model_rows(calls):
        bar = _bar(usages[name], most) if name in usages else ""
        kind = "" if name in usages else "total"
        yield f'<tr class="{kind}"><td><code>{escape(name)}</code><td class="chart">{bar}{_numbers(cells)}</tr>'
    yield "</tbody></table></div>"
    remarks = "; ".join(notes(calls))
    yield f"<p>{escape(remarks)}</p>" if remarks else ""
    for reason, fix in unpriced_reasons(calls):
        yield f"<p>unpriced: {escape(reason)}{f': <code>{escape(fix)}</code>' if fix else ''}</p>"
    yield "</section>"


def _test_table(tests: Sequence[_Test]) -> Iterator[str]:
    most = tests[0].usage.total_tokens
    yield '<section><h2>By test</h2><p><input type="search" id="filter" placeholder="part of a name" aria-label="Show tests whose name has"></p>'
    yield '<div class="scroll"><table id="tests"><thead><tr><th>test<th class="chart"><th class="n">calls<th class="n">input'
    yield '<th class="n">cached<th class="n">output<th class="n">reasoning<th class="n">USD</tr></thead>'
    for i, test in enumerate(tests[:_MOST_TESTS]):
        detail = _calls(test.calls) if i < _MOST_TESTS_WITH_CALLS else ""
        yield f'<tbody><tr><td>{_name(test.name)}<td class="chart">{_bar(test.usage, most)}'
        yield f"{_numbers(usage_cells(test.calls))}</tr>{detail}</tbody>"
    yield "</table></div>"
    if len(tests) > _MOST_TESTS:
        yield f"<p>and {len(tests) - _MOST_TESTS:,} more with fewer tokens</p>"
    yield "</section>"


def _calls(calls: Sequence[Call]) -> str:
    rows = "".join(
        f'<tr><td class="n">{call.index + 1}<td>{escape(call.model)}<td class="n">{escape(_count(call))}'
        f'<td class="n" title="{escape(call.quote.source)}">{escape(_cost(call))}<td>{escape(call.where or "")}'
        f"<td>{escape('; '.join(filter(None, (call.node or '', call.note, call.quote.reason, *call.quote.notes))))}</tr>"
        for call in calls
    )
    return (
        f'<tr class="detail"><td colspan="8"><details><summary>{plural(len(calls), "call")}</summary>'
        f"<table>{rows}</table></details></tr>"
    )


def _count(call: Call) -> str:
    if call.usage is None:
        return {"error": "failed"}.get(call.status, "?")
    least = "≥ " if call.is_partial else ""
    return f"{least}{tokens(call.usage.total_tokens)}" if call.is_billed else "cached"


def _cost(call: Call) -> str:
    if call.usage is None or not call.is_billed:
        return ""
    return "?" if call.is_partial else usd(call.cost_usd)


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


def _numbers(cells: Iterable[str]) -> str:
    return "".join(f'<td class="n">{escape(cell.replace(">=", "≥ "))}' for cell in cells)


def _name(test: str) -> str:
    """A test's name, which may be broken where its parts end."""
    return f"<code>{'<wbr>'.join(map(escape, re.split(_ENDS_OF_PARTS, test)))}</code>"


_ENDS_OF_PARTS = re.compile(r"(?<=[/_])|(?<=::)|(?=\[)")


def _bar(usage: TokenUsage, most: int) -> str:
    """A bar of the four kinds of tokens; the longest takes the whole width."""
    cached = min(usage.input_token_details.get("cache_read", 0), usage.input_tokens)
    reasoning = min(usage.output_token_details.get("reasoning", 0), usage.output_tokens)
    pieces = (
        ("input", usage.input_tokens - cached),
        ("cached", cached),
        ("output", usage.output_tokens - reasoning),
        ("reasoning", reasoning),
    )
    at = 0.0
    rectangles = []
    for name, count in pieces:
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


_LEGEND = (
    '<p class="legend">'
    + "".join(
        f'<span><svg viewBox="0 0 10 10"><rect class="{name}" width="10" height="10"/></svg>{name}</span>'
        for name in ("input", "cached", "output", "reasoning")
    )
    + "</p>"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>LLM usage</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""

_STYLE = """
:root { --paper: #fff; --ink: #1c1e21; --quiet: #646a73; --line: #e1e4e8; --tile: #f6f7f9;
  --input: #2f6db5; --cached: #a3c4ea; --output: #c8651b; --reasoning: #efb27e; --bad: #b3261e; --good: #1e7a3c; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e4e6e9; --quiet: #9aa1ab; --line: #2d3138;
  --tile: #1f2227; --input: #5b9be0; --cached: #2f5584; --output: #e58b45; --reasoning: #8a5227; --bad: #ff8a80; --good: #6fcf8e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
header p, small, .legend { color: var(--quiet); } header p { margin: .2rem 0 0; }
section { margin-top: 2rem; } p { margin: .4rem 0; }
code { font: .87em ui-monospace, monospace; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
.tiles div { background: var(--tile); border-radius: .5rem; padding: .8rem 1rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles small { display: block; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--quiet); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.total td { font-weight: 600; }
.scroll > table > * > tr > td:first-child { min-width: 16rem; }
.chart { width: 22%; min-width: 7rem; } .chart svg { display: block; width: 100%; height: 1rem; margin-top: .25rem; }
.legend span { margin-right: 1rem; } .legend svg { width: .8em; height: .8em; margin-right: .35em; }
rect.input { fill: var(--input); } rect.cached { fill: var(--cached); }
rect.output { fill: var(--output); } rect.reasoning { fill: var(--reasoning); }
.verdict { font-weight: 600; } .bad { color: var(--bad); } .good { color: var(--good); }
mark { background: none; font-weight: 600; }
tr:has(+ .detail) td { border: 0; padding-bottom: 0; } .detail > td { padding-top: 0; }
summary { cursor: pointer; color: var(--quiet); font-size: .85em; }
.detail table { margin: .2rem 0 .4rem 1rem; width: auto; font-size: .9em; }
.detail table td { border: 0; padding: .1rem 1rem .1rem 0; }
input { font: inherit; color: inherit; background: var(--tile); border: 1px solid var(--line); border-radius: .4rem;
  padding: .3rem .6rem; width: 20rem; max-width: 100%; }
"""

_SCRIPT = """
const filter = document.getElementById("filter");
filter?.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase();
  for (const body of document.querySelectorAll("#tests tbody")) {
    body.hidden = !body.querySelector("code").textContent.toLowerCase().includes(wanted);
  }
});
"""
