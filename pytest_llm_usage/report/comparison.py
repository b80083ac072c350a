"""A run compared with an earlier one: what every report of a comparison shows, and the verdict of its gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.compare import (
    Comparison,
    Gate,
    Spending,
    TestChange,
    causes,
    compare_runs,
    compare_usage,
    parse_gates,
)
from pytest_llm_usage.ledger import price_sources
from pytest_llm_usage.report.data import RunData, calls_in
from pytest_llm_usage.text import columns, dollars, percent, plural, tokens, told_apart, width, wrapped

__all__ = ["Exceeded", "FailOn", "Row", "RunComparison", "comparison_lines"]

_Status: TypeAlias = Literal["changed", "renamed", "added", "removed"]

#: The word among the gates that makes a missing baseline a failure.
NO_BASELINE = "no-baseline"


@dataclass(frozen=True, slots=True)
class FailOn:
    """The value of `--llm-usage-fail-on`.

    Attributes:
        gates: How much usage may rise.
        no_baseline: Whether the run also fails if there is nothing to compare it with.
    """

    gates: tuple[Gate, ...] = ()
    no_baseline: bool = False

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Gates separated by commas, and `no-baseline`.

        Raises:
            ConfigurationError: One of them cannot be read.
        """
        words = [word.strip() for word in text.split(",")]
        return cls(parse_gates(",".join(word for word in words if word != NO_BASELINE)), NO_BASELINE in words)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A gate that a test, or all tests together, exceeded.

    Attributes:
        gate: The gate as it was written.
        amounts: The amounts before and now, unless they are the tokens that every row shows; may be empty.
        is_known: Whether both amounts are known; otherwise the gate cannot be verified.
    """

    gate: str
    amounts: str
    is_known: bool

    def text(self, quoted: Callable[[str], str] = str) -> str:
        """The gate in words; `quoted` formats its text for the report."""
        what = f"over {quoted(self.gate)}" if self.is_known else f"{quoted(self.gate)} cannot be verified"
        return f"{what} ({self.amounts})" if self.amounts else what


@dataclass(frozen=True, slots=True)
class Row:
    """One test, or all tests together, as a report shows it.

    Attributes:
        name: The test's node id.
        was: Tokens before; `-` if it was not there.
        now: Tokens now; `-` if it is not there.
        by: The difference in per cent, with its sign; empty if there is none.
        over: The gates it exceeds.
        notes: What happened, a sentence or two.
        renamed_from: Its earlier name.
        was_tokens: The known tokens before, for charts; 0 if it was not there.
        now_tokens: The known tokens now, likewise.
    """

    name: str
    was: str
    now: str
    by: str = ""
    over: tuple[Exceeded, ...] = ()
    notes: tuple[str, ...] = ()
    renamed_from: str | None = None
    was_tokens: int = 0
    now_tokens: int = 0

    @property
    def tokens(self) -> int:
        """The larger of `was_tokens` and `now_tokens`."""
        return max(self.was_tokens, self.now_tokens)


@dataclass(frozen=True)
class RunComparison:
    """The runs of `head` compared with those of `base`.

    Attributes:
        base: Earlier runs.
        head: Later runs.
        base_name: What reports call the earlier runs.
        gates: How much usage may rise.
        floor_tokens: A change of no more tokens, and no more calls, is called noise.
    """

    base: Sequence[RunData]
    head: Sequence[RunData]
    base_name: str
    gates: tuple[Gate, ...] = ()
    floor_tokens: int = 0

    @cached_property
    def result(self) -> Comparison:
        """The comparison itself."""
        return compare_runs(self.base, self.head, gates=self.gates, floor_tokens=self.floor_tokens)

    @property
    def failed(self) -> bool:
        """Whether a gate is exceeded."""
        return self.result.failed

    def verdict(self, quoted: Callable[[str], str] = str) -> str:
        """What the gates say, in a line; empty if there is no gate.

        Args:
            quoted: Formats a gate's text for the report.
        """
        if not self.gates:
            return ""
        return "; ".join(self._exceeded(quoted)) or f"within {', '.join(quoted(gate.text) for gate in self.gates)}"

    @property
    def failures(self) -> list[str]:
        """The gates that are exceeded, a line each."""
        return self._exceeded(str)

    def _exceeded(self, quoted: Callable[[str], str]) -> list[str]:
        parts = []
        for gate in self.gates:
            found = [_exceeded(gate, change.was, change.now) for change in self.result.changes if gate in change.over]
            together = [_exceeded(gate, self.result.was, self.result.now)] if gate in self.result.over else []
            for is_known in (True, False):
                count = sum(item.is_known == is_known for item in found)
                who = [plural(count, "test")] if count else []
                who += ["all tests together" for item in together if item.is_known == is_known]
                if who:
                    what = Exceeded(gate.text, "", is_known).text(quoted)
                    parts.append(f"{' and '.join(who)}{' ' if is_known else ': '}{what}")
        return parts

    @property
    def summary(self) -> str:
        """How many tests changed, in a line."""
        counts = Counter(change.status for change in self.result.changes if change.status != "noise")
        words: dict[_Status, str] = {
            "changed": "changed",
            "renamed": "renamed",
            "added": "new",
            "removed": "not in this run",
        }
        said = [f"{counts[status]:,} {word}" for status, word in words.items() if counts[status]]
        said += [f"{self.noise:,} changed within the noise"] if self.noise else []
        said += [f"{self.unchanged:,} unchanged"] if self.unchanged else []
        return ", ".join(said) or "no test called a model"

    @cached_property
    def noise(self) -> int:
        """How many tests changed no more than several runs of them differ anyway, or by no more than the floor."""
        return sum(change.status == "noise" and change.was != change.now for change in self.result.changes)

    @property
    def unchanged(self) -> int:
        """How many tests are the same (with several runs a side: in their medians)."""
        steady = sum(change.status == "noise" for change in self.result.changes) - self.noise
        return self.result.unchanged + steady

    def rows(self, most: int) -> tuple[list[Row], int]:
        """At most `most` of the tests that changed beyond noise, and how many more there are.

        Those over a gate come first, then the largest changes.
        """
        shown = [change for change in self.result.changes if change.status != "noise"]
        shown.sort(key=lambda change: (not change.over, -abs(_by(change.was, change.now))))
        return [self._row(change) for change in shown[:most]], max(0, len(shown) - most)

    @property
    def total(self) -> Row:
        """All tests together; the note is what they cost."""
        was, now = self.result.was, self.result.now
        cost, cost_now = _cost(was), _cost(now)
        note = cost if was == now or cost == cost_now else f"{cost} -> {cost_now}"
        over = tuple(_exceeded(gate, was, now) for gate in self.result.over)
        # If a gate already shows the cost, it is not repeated.
        notes = () if any(note in item.text() for item in over) else (note,)
        row = ("all", _tokens(was), _tokens(now), _share(was, now), over, notes)
        return Row(*row, was_tokens=was.total_tokens, now_tokens=now.total_tokens)

    def _row(self, change: TestChange) -> Row:
        over = tuple(_exceeded(gate, change.was, change.now) for gate in change.over)
        row = (change.test, _tokens(change.was), _tokens(change.now), _share(change.was, change.now), over)
        was, now = (side.total_tokens if side else 0 for side in (change.was, change.now))
        return Row(*row, tuple(self._notes(change)), change.renamed_from, was, now)

    def _notes(self, change: TestChange) -> Iterator[str]:
        if change.was is None or change.now is None:
            yield "new" if change.was is None else "not in this run"
        elif len(self.base) == len(self.head) == 1:
            if reasons := self._causes(change):
                yield from (*reasons, *self._failures(change))
        elif change.was.calls != change.now.calls:
            yield f"{change.was.calls} -> {plural(change.now.calls, 'call')}"

    def _causes(self, change: TestChange) -> list[str]:
        was = self.base[0]["tests"][change.renamed_from or change.test]
        now = self.head[0]["tests"][change.test]
        sources = price_sources(calls_in(was)), price_sources(calls_in(now))
        return causes(
            compare_usage(was["usage"], now["usage"]),
            lambda model, which: _where(now, model, which),
            lambda model: (sources[0].get(model, ""), sources[1].get(model, "")),
        )

    def _failures(self, change: TestChange) -> Iterator[str]:
        """Notes that a test failed, now or before: it may not have reached its later calls."""
        if self.head[0]["tests"][change.test].get("outcome") in _FAILED:
            yield "the test failed"
        if self.base[0]["tests"][change.renamed_from or change.test].get("outcome") in _FAILED:
            yield "it had failed before"


_FAILED = ("failed", "error")


def _where(record: Mapping[str, Any], model: str, which: str) -> str:
    """Where a model's last call was made, or the one with the most tokens of a kind."""
    calls = [call for call in record["calls"] if call.get("model", "unknown") == model]
    if which != "last":
        calls.sort(key=lambda call: call.get("usage", {}).get(which, 0))
    return str(calls[-1].get("where", "")) if calls else ""


def _by(was: Spending | None, now: Spending | None) -> int:
    return (now.total_tokens if now else 0) - (was.total_tokens if was else 0)


def _tokens(spent: Spending | None) -> str:
    if spent is None:
        return "-"
    if spent.is_unknown:
        return f">={tokens(spent.total_tokens)}" if spent.total_tokens else "?"
    return tokens(spent.total_tokens)


def _cost(spent: Spending) -> str:
    if spent.is_unpriced and not spent.cost_usd:
        return "unpriced"
    return dollars(spent.cost_usd, at_least=spent.is_unpriced)


def _share(was: Spending | None, now: Spending | None) -> str:
    by = _by(was, now)
    if was is None or now is None or was.is_unknown or now.is_unknown or not by:
        return ""
    sign = "+" if by > 0 else "-"
    return f"{sign}{percent(abs(by), was.total_tokens)}" if was.total_tokens else f"{sign}{tokens(abs(by))}"


def _exceeded(gate: Gate, was: Spending | None, now: Spending | None) -> Exceeded:
    if was is None or now is None:
        return Exceeded(gate.text, "", is_known=True)
    is_known = was.amount(gate.metric) is not None and now.amount(gate.metric) is not None
    amounts = "" if gate.metric == "tokens" else f"{_amount(gate, was)} -> {_amount(gate, now)}"
    return Exceeded(gate.text, amounts, is_known)


def _amount(gate: Gate, spent: Spending) -> str:
    if gate.metric == "cost":
        return _cost(spent)
    amount = spent.amount(gate.metric)
    return "?" if amount is None else tokens(int(amount))


# -- in a terminal ---------------------------------------------------------------------------------------------

_USUAL_WIDTH, _NARROWEST, _WIDEST_TEXT = 80, 60, 120
_MOST_ROWS = 20
#: In the usual width. In a wider terminal, names get the additional columns.
_LONGEST_NAME = 44
_SHORTEST_NAME = 12


def comparison_lines(comparison: RunComparison, columns_most: int = _USUAL_WIDTH) -> list[str]:
    """The comparison for a terminal: the baseline, the tests that changed, all tests together, and the verdict.

    Args:
        comparison: The runs.
        columns_most: How wide the terminal is; at least 60 is assumed.
    """
    wide = max(columns_most, _NARROWEST)
    text = min(wide, _WIDEST_TEXT)
    lines = wrapped(f"compared with {comparison.base_name}: {comparison.summary}", text)
    rows, more = comparison.rows(_MOST_ROWS)
    total = comparison.total
    if rows or total.over or total.was != total.now:
        cells = [("before", "now", ""), *((row.was, row.now, row.by) for row in (*rows, total))]
        taken = sum(max(map(width, column)) + 2 for column in zip(*cells, strict=True))
        longest = max(_SHORTEST_NAME, min(_LONGEST_NAME + max(0, wide - _USUAL_WIDTH), wide - 2 - taken))
        names = ["test", *told_apart([row.name for row in (*rows, total)], longest)]
        table = columns([(name, *rest) for name, rest in zip(names, cells, strict=True)], "<>>>")
        lines.append(f"  {table[0]}")
        for row, line in zip((*rows, total), table[1:], strict=True):
            if row is total and more:
                lines.append(f"  and {more:,} more")
            lines += _with_notes(line, row, wide, text)
    if verdict := comparison.verdict():
        lines += wrapped(f"{'FAILED: ' if comparison.failed else ''}{verdict}", text)
    return lines


def _with_notes(line: str, row: Row, wide: int, text_width: int) -> list[str]:
    notes = [item.text() for item in row.over]
    notes += [f"renamed from {row.renamed_from}"] if row.renamed_from else []
    notes += row.notes
    if not notes:
        return [f"  {line}"]
    beside = f"  {line}  {'; '.join(notes)}"
    if width(beside) <= wide:
        return [beside]
    return [f"  {line}", *(text for note in notes for text in wrapped(note, text_width, indent="      "))]
