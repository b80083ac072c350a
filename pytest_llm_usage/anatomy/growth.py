"""`growths`: how the input of a conversation grows from call to call, and what more turns of it would cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Literal, TypeAlias

from pytest_llm_usage.anatomy.prompt import Prompt
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.text import usd

__all__ = ["FEWEST_CALLS", "Growth", "GrowthKind", "conversations", "growths"]

#: ``constant``: each call sends about as many tokens. ``linear``: each call adds about as many as the one before.
#: ``quadratic``: the number that a call adds grows as well.
GrowthKind: TypeAlias = Literal["constant", "linear", "quadratic"]

#: Fewer calls do not show how the input grows.
FEWEST_CALLS = 4
#: What the calls add grows if a line fitted to it explains this share of its spread, and ends this many times as high
#: as it begins.
_EXPLAINED = Fraction(9, 10)
_TIMES = 2
#: The input grows if the last call exceeds the first by more than this share.
_GROWS = Fraction(1, 20)


@dataclass(frozen=True, slots=True)
class Growth:
    """How the input of one conversation grows.

    Attributes:
        kind: `constant` (each call sends about as many tokens), `linear` (each call adds about as many as the one
            before) or `quadratic` (the number that a call adds grows as well).
        calls: Its calls, in order.
    """

    kind: GrowthKind
    calls: tuple[Call, ...]

    @property
    def input_tokens(self) -> tuple[int, ...]:
        """The input of each call."""
        return tuple(_input(call) for call in self.calls)

    def __str__(self) -> str:
        first, *_, last = self.input_tokens
        text = f"{self.kind} over {len(self.calls)} calls, {first:,} to {last:,} input tokens"
        ten, fifty = self.cost_usd(10), self.cost_usd(50)
        return text if ten is None or fifty is None else f"{text}; 10 turns: ~${usd(ten)}, 50 turns: ~${usd(fifty)}"

    def input_at(self, turn: int) -> int:
        """The input tokens of a turn (the first is 1), estimated from a curve through the calls that were made."""
        degree = {"constant": 0, "linear": 1, "quadratic": 2}[self.kind]
        return max(0, round(_value(_fit(self.input_tokens, degree), turn)))

    def cost_usd(self, turns: int) -> Decimal | None:
        """The estimated cost of that many turns at these calls' prices; None where a price is not known."""
        if any(call.cost_usd is None or not call.quote.lines for call in self.calls):
            return None
        whole = total(call.cost_usd for call in self.calls if call.cost_usd is not None)
        sent_usd = total(
            line.amount_usd
            for call in self.calls
            for line in call.quote.lines
            if line.kind.startswith(("input", "cache_"))
        )
        sent = sum(self.input_tokens)
        if not sent:
            return None
        inputs = sum(self.input_at(turn) for turn in range(1, turns + 1))
        inputs_usd = EXACT.divide(EXACT.multiply(sent_usd, inputs), sent)
        others_usd = EXACT.divide(EXACT.multiply(EXACT.subtract(whole, sent_usd), turns), len(self.calls))
        return EXACT.add(inputs_usd, others_usd)


def growths(calls: Iterable[Call], prompt_of: Callable[[Call], Prompt | None]) -> tuple[Growth, ...]:
    """How each conversation of four calls or more grows.

    A conversation is the calls of one model and node that begin with the same message.

    Args:
        calls: In the order in which they started.
        prompt_of: What a call sent; None where that cannot be read.
    """
    return tuple(
        Growth(_kind([_input(call) for call in made]), tuple(made))
        for made in conversations(calls, prompt_of).values()
        if len(made) >= FEWEST_CALLS
    )


def conversations(
    calls: Iterable[Call], prompt_of: Callable[[Call], Prompt | None]
) -> dict[tuple[str, str | None, str], list[Call]]:
    """The calls of each conversation, by model, node and first message; calls that cannot be read are left out."""
    found: dict[tuple[str, str | None, str], list[Call]] = {}
    for call in calls:
        prompt = prompt_of(call) if call.is_billed and call.usage is not None else None
        if prompt is None:
            continue
        first = next((piece.content for piece in prompt.pieces if piece.part in ("user", "history")), "")
        found.setdefault((call.model, call.node, first), []).append(call)
    return found


def _input(call: Call) -> int:
    return call.usage.input_tokens if call.usage is not None else 0


def _kind(inputs: Sequence[int]) -> GrowthKind:
    if inputs[-1] - inputs[0] <= _GROWS * inputs[0]:
        return "constant"
    added = [after - before for before, after in pairwise(inputs)]
    line = _fit(added, 1)
    mean = Fraction(sum(added), len(added))
    spread = sum((each - mean) ** 2 for each in added)
    left = sum((each - _value(line, turn)) ** 2 for turn, each in enumerate(added, start=1))
    first, last = _value(line, 1), _value(line, len(added))
    is_curved = spread and last > 0 and left <= (1 - _EXPLAINED) * spread and last >= _TIMES * max(first, Fraction(0))
    return "quadratic" if is_curved else "linear"


def _fit(values: Sequence[int], degree: int) -> list[Fraction]:
    """The coefficients of the least-squares polynomial through `values` at 1, 2, 3 and so on, the constant first."""
    size = degree + 1
    rows = [
        [
            *(Fraction(sum(x ** (i + j) for x in range(1, len(values) + 1))) for j in range(size)),
            Fraction(sum(value * x**i for x, value in enumerate(values, start=1))),
        ]
        for i in range(size)
    ]
    for i in range(size):
        pivot = next(k for k in range(i, size) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(size):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[-1] for row in rows]


def _value(coefficients: Sequence[Fraction], x: int) -> Fraction:
    return sum((c * x**i for i, c in enumerate(coefficients)), Fraction(0))
