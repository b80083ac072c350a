"""Two runs, or groups of runs, side by side: test by test and in sum, checked against gates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from statistics import median_high
from typing import Any, Literal

from pytest_llm_usage import money
from pytest_llm_usage.compare.amounts import AMOUNT, Number, Usage, check_unit, number
from pytest_llm_usage.compare.tolerance import Tolerance
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import quoted


@dataclass(frozen=True, slots=True)
class Spending:
    """What one test, or many, spent. Spendings add up.

    Attributes:
        calls: Calls to models.
        input_tokens: Known input tokens, cached ones included.
        output_tokens: Known output tokens, reasoning included.
        total_tokens: Known tokens.
        cost_usd: Known cost in USD.
        is_unknown: Whether the tokens of a call are not known: the counts are lower bounds.
        is_unsplit: Whether input or output of a call are not known, though its total may be.
        is_unpriced: Whether a price is not known: the cost is a lower bound.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    is_unknown: bool = False
    is_unpriced: bool = False
    is_unsplit: bool = False

    @classmethod
    def from_usage(cls, usage: Usage) -> Spending:
        """The sum over all models."""
        calls = inputs = outputs = total = 0
        cost = Decimal(0)
        unknown = unpriced = unsplit = False
        for model in usage.values():
            # A snapshot may leave numbers out, or have what its `matcher=` put in their place.
            if isinstance(count := model.get("calls"), int):
                calls += count
            if isinstance(count := model.get("input_tokens"), int):
                inputs += count
            else:
                unsplit = True
            if isinstance(count := model.get("output_tokens"), int):
                outputs += count
            else:
                unsplit = True
            if isinstance(count := model.get("total_tokens"), int):
                total += count
            else:
                unknown = True
            if isinstance(price := number(model.get("cost_usd")), int | Decimal):
                cost = money.EXACT.add(cost, price)
            else:
                unpriced = True
        return cls(calls, inputs, outputs, total, cost, unknown, unpriced, unsplit)

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.total_tokens + other.total_tokens,
            money.EXACT.add(self.cost_usd, other.cost_usd),
            self.is_unknown or other.is_unknown,
            self.is_unpriced or other.is_unpriced,
            self.is_unsplit or other.is_unsplit,
        )

    def amount(self, metric: str) -> Number | None:
        """The number that a gate's metric stands for, or None if it is not known."""
        if metric == "calls":
            return self.calls
        if self.is_unpriced if metric == "cost" else self.is_unknown:
            return None
        if self.is_unsplit and metric in ("input", "output"):
            return None
        amount: Number = getattr(self, _METRICS[metric])
        return amount


_METRICS = {
    "tokens": "total_tokens",
    "input": "input_tokens",
    "output": "output_tokens",
    "calls": "calls",
    "cost": "cost_usd",
}
_GATE = re.compile(rf"([a-z]+):\+{AMOUNT}")


@dataclass(frozen=True, slots=True)
class Gate:
    """How much a metric may rise from one run to the next, for each test and for the tests that both runs have.

    Attributes:
        metric: `tokens`, `input`, `output`, `calls` or `cost`.
        room: What it may rise by.
        text: The gate as it was written.
    """

    metric: str
    room: Tolerance
    text: str

    @classmethod
    def parse(cls, text: str) -> Gate:
        """One gate: `tokens:+5%`, `cost:+$0.01`, `calls:+0`.

        Raises:
            ConfigurationError: It cannot be read; the message has examples.
        """
        match = _GATE.fullmatch(text)
        if match is None or match[1] not in _METRICS:
            raise ConfigurationError(
                f"{quoted(text)} is not a gate (examples: tokens:+5%, cost:+$0.01, calls:+0; of {', '.join(_METRICS)})"
            )
        metric, dollar, amount, share = match.groups()
        check_unit(text, metric, dollar=bool(dollar), share=bool(share))
        most = Decimal(amount)
        room = (
            Tolerance(rel=money.EXACT.divide(most, 100), ratchet=True) if share else Tolerance(abs=most, ratchet=True)
        )
        return cls(metric, room, text)

    def is_exceeded(self, was: Spending, now: Spending) -> bool:
        """Whether the metric rose by more; True as well if that cannot be known."""
        before, after = was.amount(self.metric), now.amount(self.metric)
        return before is None or not self.room.allows(before, after)


def parse_gates(text: str) -> tuple[Gate, ...]:
    """Gates as `--llm-usage-fail-on` takes them, separated by commas.

    Raises:
        ConfigurationError: One of them cannot be read.
    """
    return tuple(Gate.parse(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class TestChange:
    """What changed for one test.

    Attributes:
        test: Its node id (in the later run).
        status: `changed`, `noise` (within the spread of several runs, or below the floor), `added`, `removed` or
            `renamed`.
        was: What it spent before (with several runs: the medians); None if it was not there.
        now: What it spends now; None if it is no longer there.
        over: The gates it exceeds.
        renamed_from: Its node id in the earlier run, where that was another.
    """

    __test__ = False  # not a test class, whatever its name

    test: str
    status: Literal["changed", "noise", "added", "removed", "renamed"]
    was: Spending | None
    now: Spending | None
    over: tuple[Gate, ...] = ()
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs (or two groups of runs) side by side.

    Attributes:
        changes: The tests that are not the same, in the order of the later run, removed ones last.
        unchanged: How many are the same.
        was: What all tests of the earlier run spent.
        now: What all tests of the later run spend.
        over: The gates exceeded by the sum over the tests that both have.
    """

    changes: tuple[TestChange, ...]
    unchanged: int
    was: Spending
    now: Spending
    over: tuple[Gate, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any gate is exceeded, by a test or by the sum."""
        return bool(self.over) or any(change.over for change in self.changes)


def compare_runs(
    base: Sequence[Mapping[str, Any]],
    head: Sequence[Mapping[str, Any]],
    *,
    gates: Sequence[Gate] = (),
    floor_tokens: int = 0,
) -> Comparison:
    """The runs of `head` against those of `base`, one or several a side.

    Args:
        base: Earlier runs. From each, `tests` is read: node id → `usage`, and `cassettes` (paths, or path → digest) if
            there are any.
        head: Later runs, in the same form.
        gates: What must not rise by more.
        floor_tokens: A change of no more tokens than this, and no more calls, is called noise.

    With several runs a side, medians are compared, and a change no larger than the larger spread (largest less
    smallest) of both sides is called noise. Noise exceeds no gate. A test that is gone and one that is new and
    replays the same cassettes are one test, renamed.
    """
    old, new = [run["tests"] for run in base], [run["tests"] for run in head]
    before, after = _test_ids(old), _test_ids(new)
    renamed = _renamed(old, new, [t for t in before if t not in after], [t for t in after if t not in before])
    changes = []
    unchanged = 0
    any_moved = False
    was_all = now_all = was_both = now_both = Spending()
    for test in after:
        origin = test if test in before else renamed.get(test)
        now_runs = _usages(new, test)
        if origin is None:
            now = _medians(now_runs)
            now_all += now
            changes.append(TestChange(test, "added", None, now))
            continue
        was_runs = _usages(old, origin)
        same = len(was_runs) == 1 and was_runs == now_runs
        was = _medians(was_runs)
        now = was if same else _medians(now_runs)
        was_all, now_all, was_both, now_both = was_all + was, now_all + now, was_both + was, now_both + now
        if same and origin == test:
            unchanged += 1
            continue
        moved = not same and not _is_noise(was_runs, now_runs, was, now, floor_tokens)
        any_moved |= moved
        over = tuple(gate for gate in gates if moved and gate.is_exceeded(was, now))
        if origin != test:
            changes.append(TestChange(test, "renamed", was, now, over, origin))
        else:
            changes.append(TestChange(test, "changed" if moved else "noise", was, now, over))
    taken = set(renamed.values())
    for test in before:
        if test not in after and test not in taken:
            was = _medians(_usages(old, test))
            was_all += was
            changes.append(TestChange(test, "removed", was, None))
    over_all = tuple(gate for gate in gates if any_moved and gate.is_exceeded(was_both, now_both))
    return Comparison(tuple(changes), unchanged, was_all, now_all, over_all)


def _test_ids(runs: Sequence[Mapping[str, Any]]) -> dict[str, None]:
    return dict.fromkeys(test for run in runs for test in run)


def _usages(runs: Sequence[Mapping[str, Any]], test: str) -> list[Usage]:
    return [run[test]["usage"] for run in runs if test in run]


def _medians(usages: Sequence[Usage]) -> Spending:
    spent = [Spending.from_usage(usage) for usage in usages]
    if len(spent) == 1:
        return spent[0]
    return Spending(
        **{name: median_high(getattr(item, name) for item in spent) for name in _SUMS},
        is_unknown=any(item.is_unknown for item in spent),
        is_unpriced=any(item.is_unpriced for item in spent),
        is_unsplit=any(item.is_unsplit for item in spent),
    )


_SUMS = ("calls", "input_tokens", "output_tokens", "total_tokens", "cost_usd")


def _is_noise(
    was_runs: Sequence[Usage], now_runs: Sequence[Usage], was: Spending, now: Spending, floor_tokens: int
) -> bool:
    if any(getattr(was, name) != getattr(now, name) for name in ("is_unknown", "is_unpriced", "is_unsplit")):
        return False
    if was.calls == now.calls and 0 < abs(now.total_tokens - was.total_tokens) <= floor_tokens:
        return True
    if len(was_runs) == len(now_runs) == 1:
        return False
    sides = [[Spending.from_usage(usage) for usage in side] for side in (was_runs, now_runs)]
    for name in _SUMS:
        # Fractions: the difference of two decimals is rounded to whatever the context says.
        spreads = [
            max(values) - min(values) for values in ([Fraction(getattr(s, name)) for s in side] for side in sides)
        ]
        if abs(Fraction(getattr(now, name)) - Fraction(getattr(was, name))) > max(spreads):
            return False
    return True


def _renamed(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], gone: Sequence[str], added: Sequence[str]
) -> dict[str, str]:
    """New name → old name of tests that alone replay the same cassettes, by their names or else by their content."""
    renamed: dict[str, str] = {}
    for known_by in (_names, _contents):
        before = _by_cassettes(old, (test for test in gone if test not in renamed.values()), known_by)
        after = _by_cassettes(new, (test for test in added if test not in renamed), known_by)
        renamed |= {
            tests[0]: before[cassettes][0]
            for cassettes, tests in after.items()
            if len(tests) == 1 and len(before.get(cassettes, ())) == 1
        }
    return renamed


def _by_cassettes(
    runs: Sequence[Mapping[str, Any]], tests: Iterable[str], known_by: Callable[[Any], Iterable[str]]
) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for test in tests:
        record = next(run[test] for run in runs if test in run)
        cassettes = tuple(sorted(known_by(record.get("cassettes") or ())))
        if cassettes:
            found.setdefault(cassettes, []).append(test)
    return found


def _names(cassettes: Iterable[str]) -> Iterable[str]:
    return cassettes


def _contents(cassettes: Iterable[str]) -> Iterable[str]:
    return cassettes.values() if isinstance(cassettes, Mapping) else ()
