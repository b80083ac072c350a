"""The history in the page: how usage moved from run to run, in total and by test, as small line charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pytest_llm_usage.compare import Spending
from pytest_llm_usage.report.history import PastRun, Trend
from pytest_llm_usage.report.markup import escape
from pytest_llm_usage.text import percent, plural, tokens, usd

__all__ = ["trend_section"]

_MOST_TESTS = 20
_WIDTH, _HEIGHT, _EDGE = 600, 60, 5


def trend_section(trend: Trend) -> Iterator[str]:
    """The section of the page; nothing if there is no earlier run."""
    if len(trend.runs) < 2:
        return
    spent = [Spending.from_usage(run.usage) for run in trend.runs]
    counts = [None if each.is_unknown else Decimal(each.total_tokens) for each in spent]
    costs = [None if each.is_unknown or each.is_unpriced else each.cost_usd for each in spent]
    names = [_name(run) for run in trend.runs]
    unknown = counts.count(None)
    gaps = f" The usage of {plural(unknown, 'run')} is not fully known; the line has gaps there." if unknown else ""
    yield f'<section><h2>History</h2><p>The last {plural(len(trend.runs), "run")}.{gaps}</p><div class="trends">'
    for title, values, shown in (
        ("tokens", counts, [_tokens(each) for each in counts]),
        ("USD", costs, list(map(usd, costs))),
    ):
        if sum(value is not None for value in values) > 1:
            points = [f"{name}: {value}" for name, value in zip(names, shown, strict=True)]
            yield f"<figure><figcaption>{title}: {escape(_moved(values, shown))}</figcaption>"
            yield f"{_line(values, f'{title} of the last {len(values)} runs: {_moved(values, shown)}', points)}</figure>"
    yield "</div>"
    yield from _by_test(trend)
    yield "</section>"


def _by_test(trend: Trend) -> Iterator[str]:
    """The tests that used most in the last run that has them."""
    ranked = sorted(
        ((name, counts) for name, counts in trend.tests.items() if sum(count is not None for count in counts) > 1),
        key=lambda item: -_known(item[1])[-1],
    )
    if not ranked:
        return
    yield '<details><summary>by test</summary><div class="scroll" tabindex="0"><table class="cards"><thead><tr>'
    yield '<th scope="col">test<th scope="col" class="chart">tokens<th scope="col" class="n">first'
    yield '<th scope="col" class="n">last<th scope="col" class="n">Δ</tr></thead><tbody>'
    for name, counts in ranked[:_MOST_TESTS]:
        known = _known(counts)
        first, last = known[0], known[-1]
        values = [None if count is None else Decimal(count) for count in counts]
        line = _line(values, f"{tokens(first)} to {tokens(last)} tokens", ())
        yield f'<tr><td class="name"><code>{escape(name)}</code><td class="chart">{line}<td class="n" data-label="first">{tokens(first)}'
        yield f'<td class="n" data-label="last">{tokens(last)}<td class="n" data-label="Δ">{_by(Decimal(first), Decimal(last))}</tr>'
    yield "</tbody></table></div>"
    if len(ranked) > _MOST_TESTS:
        yield f"<p>{plural(len(ranked) - _MOST_TESTS, 'more test')}; pytest-llm-usage history --test shows each</p>"
    yield "</details>"


def _known(counts: Sequence[int | None]) -> list[int]:
    return [count for count in counts if count is not None]


def _tokens(count: Decimal | None) -> str:
    return tokens(None if count is None else int(count))


def _name(run: PastRun) -> str:
    try:
        day = datetime.fromtimestamp(run.finished_at, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        day = "?"
    return " ".join(filter(None, (day, (run.commit or "")[:10], run.branch)))


def _moved(values: Sequence[Decimal | None], shown: Sequence[str]) -> str:
    """The first and the last known value, and by how much they differ."""
    known = [(value, text) for value, text in zip(values, shown, strict=True) if value is not None]
    (first, first_shown), (last, last_shown) = known[0], known[-1]
    by = _by(first, last)
    return f"{first_shown} to {last_shown}{f' ({by})' if by else ''}"


def _by(first: Decimal, last: Decimal) -> str:
    if not first or first == last:
        return ""
    sign = "+" if last > first else "\N{MINUS SIGN}"
    return f"{sign}{percent(abs(last - first), first)}"


def _line(values: Sequence[Decimal | None], label: str, points: Sequence[str]) -> str:
    """Values as a line from 0 up, broken where one is not known.

    Args:
        values: The values, in order.
        label: The text that describes the line.
        points: The text of each value; no points are drawn if this is empty.
    """
    most = max((value for value in values if value is not None), default=Decimal(0)) or Decimal(1)
    step = (_WIDTH - 2 * _EDGE) / max(len(values) - 1, 1)
    places = [
        None if value is None else (_EDGE + step * at, _HEIGHT - _EDGE - float(value / most) * (_HEIGHT - 2 * _EDGE))
        for at, value in enumerate(values)
    ]
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    lines = "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in run)}"/>' for run in runs if len(run) > 1
    )
    dots = "".join(
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3"><title>{escape(text)}</title></circle>'
        for place, text in zip(places, points or [""] * len(places), strict=True)
        if place is not None and points
    )
    return (
        f'<svg class="trend" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{lines}{dots}</svg>'
    )
