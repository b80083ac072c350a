"""`Rerecording`: what recording the cassette of one test again will cost, worked out from what it holds.

A test that replays stops at its first request that is not recorded. When it records again, it sends that request, and
every later one that no recording matches any more: at least none of them, at most all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.anatomy.delta import InputDelta, delta_of_bodies
from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.subject import Subject
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT, plain, total
from pytest_llm_usage.tracker.tracker import Tracker

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["SHORTEST_ANSWER", "Amount", "Miss", "Rerecording", "recorded_calls"]

#: Answers to the same request differ in length. In 97 % of 89 pairs of answers to the same request, from public
#: recordings, the longer one has no more than twice the tokens of the other.
SHORTEST_ANSWER = Decimal("0.5")
_LONGEST_ANSWER = 2
#: The kinds of price lines that pay for the answer.
_OF_ANSWERS = ("output", "reasoning")
_ZERO = Decimal(0)
_ROUGHLY = Decimal("0.0001")
#: Members of a request that limit its answer.
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount that is not known before it is spent.

    Attributes:
        least: The least that is spent.
        likely: What is spent if only the request changes: every recorded call is made again, and answered as before.
        most: The most that is spent.
    """

    least: Decimal = Decimal(0)
    likely: Decimal = Decimal(0)
    most: Decimal = Decimal(0)

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            EXACT.add(self.least, other.least), EXACT.add(self.likely, other.likely), EXACT.add(self.most, other.most)
        )

    def to_list(self) -> list[str]:
        """Plain data."""
        return [plain(self.least), plain(self.likely), plain(self.most)]

    @classmethod
    def from_list(cls, data: Iterable[str]) -> Amount:
        """The inverse of `to_list`."""
        return cls(*map(Decimal, data))


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that no recording answers.

    Attributes:
        made: The request.
        closest: The position of the recording that is closest to it; None if no such request is recorded.
        is_model_call: Whether it is a call to a model.
    """

    made: Subject
    closest: int | None
    is_model_call: bool


@dataclass(frozen=True, slots=True)
class Rerecording:
    """What recording a test again will cost.

    Attributes:
        calls: How many recorded calls are made again at most, by model.
        tokens: Their tokens, by model; None if they are not known.
        cost_usd: What they cost, by model; None if that is not known.
        is_known: Whether that is everything: no call is made that was not recorded before.
    """

    calls: Mapping[str, int]
    tokens: Mapping[str, Amount | None]
    cost_usd: Mapping[str, Amount | None]
    is_known: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        return {
            "is_known": self.is_known,
            "models": {
                model: [count, *(found and found.to_list() for found in (self.tokens[model], self.cost_usd[model]))]
                for model, count in self.calls.items()
            },
        }

    @classmethod
    def from_recordings(
        cls,
        found: Sequence[Interaction],
        subjects: Sequence[Subject],
        played: AbstractSet[int],
        misses: Sequence[Miss],
        prices: PriceBook,
    ) -> Rerecording:
        """Estimates it from the recordings of a cassette and the requests that missed them.

        Args:
            found: The recordings of the cassette.
            subjects: Their requests in comparable form, in the same order.
            played: The positions of those that were replayed.
            misses: The requests that no recording answered; none if the cassette is too old and every call is made
                again.
            prices: The price book.
        """
        missed = {miss.closest: miss for miss in misses if miss.closest is not None}
        models = {_model(subjects[index]): _model(miss.made) for index, miss in missed.items()}
        changes = {index: _change(subjects[index], miss.made) for index, miss in missed.items()}
        new_calls = [miss for miss in misses if miss.closest is None and miss.is_model_call]
        is_known = not new_calls and len(missed) == sum(miss.closest is not None for miss in misses)
        is_known = is_known and not any(change is not None and change.uncounted for change in changes.values())
        most_added = max((change.most for change in changes.values() if change is not None), default=0)
        calls: dict[str, int] = {}
        tokens: dict[str, Amount | None] = {}
        costs: dict[str, Amount | None] = {}
        for index in sorted((set(range(len(found))) - played) | missed.keys()):
            subject, change = subjects[index], changes.get(index)
            answer = _Answer(
                added=(change.least, change.most) if change is not None else (0, max(most_added, 0)),
                limit=_answer_limit(subject),
                is_sure=index in missed or not misses,
            )
            for recorded in recorded_calls(found[index : index + 1], prices):
                model = models.get(_model(subject))
                call = _billed_today(recorded, model if model != _model(subject) else None, prices)
                calls[call.model] = calls.get(call.model, 0) + 1
                for sums, amount in ((tokens, answer.tokens(call)), (costs, answer.cost_usd(call))):
                    before = sums.get(call.model, Amount())
                    sums[call.model] = None if before is None or amount is None else before + amount
        return cls(calls, tokens, costs, is_known)


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a recorded call may turn out when it is made again.

    Attributes:
        added: By how many tokens its input changes, at least and at most.
        limit: How many tokens its answer may have; None if the request does not limit it.
        is_sure: Whether it is certainly made again.
    """

    added: tuple[int, int]
    limit: int | None
    is_sure: bool

    def tokens(self, call: Call) -> Amount | None:
        """The tokens that are billed; None if the recording does not state them."""
        usage = call.billed_usage
        if call.is_unknown or usage is None:
            return None
        answer = Decimal(usage.output_tokens)
        rest = Decimal(usage.total_tokens - usage.output_tokens)
        inputs = [max(EXACT.add(rest, Decimal(added)), _ZERO) for added in (self.added[0], self._middle, self.added[1])]
        return self._amount(inputs, (answer, _ZERO), call)

    def cost_usd(self, call: Call) -> Amount | None:
        """What the call costs; None if that is not known."""
        if call.is_unknown or call.cost_usd is None:
            return None
        lines = call.quote.lines
        per_token = EXACT.divide(
            next((line.usd_per_million for line in lines if line.kind == "input"), None) or _ZERO, Decimal(10**6)
        )
        answer = total(line.amount_usd for line in lines if line.kind.startswith(_OF_ANSWERS))
        stated = total(line.amount_usd for line in lines if line.kind == "stated")
        rest = EXACT.subtract(call.cost_usd, EXACT.add(answer, stated))
        changes = [EXACT.multiply(Decimal(added), per_token) for added in (self.added[0], self._middle, self.added[1])]
        least, likely, most = (max(EXACT.add(rest, change), _ZERO) for change in changes)
        # Tokens that were read from a prompt cache may have to be paid in full.
        uncached = (
            max(EXACT.subtract(EXACT.multiply(Decimal(line.quantity), per_token), line.amount_usd), _ZERO)
            for line in lines
            if line.kind.startswith("cache_read")
        )
        return self._amount([least, likely, total([most, *uncached])], (answer, stated), call)

    @property
    def _middle(self) -> int:
        return sum(self.added) // 2

    def _amount(self, inputs: Sequence[Decimal], answers: tuple[Decimal, Decimal], call: Call) -> Amount:
        """The inputs with answers from shortest to longest; `answers` are those of known and of unknown length."""
        least, likely, most = inputs
        by_length, others = answers
        short = EXACT.multiply(EXACT.add(by_length, others), SHORTEST_ANSWER)
        long = EXACT.multiply(by_length, self._longest(call))
        return Amount(
            EXACT.add(least, short) if self.is_sure else _ZERO,
            total([likely, by_length, others]),
            total([most, long, EXACT.multiply(others, Decimal(_LONGEST_ANSWER))]),
        )

    def _longest(self, call: Call) -> Decimal:
        """How many times as long as the recorded one an answer may be."""
        recorded = call.usage.output_tokens if call.usage is not None else 0
        if self.limit is None or not recorded:
            return Decimal(_LONGEST_ANSWER)
        allowed = EXACT.divide(Decimal(self.limit), Decimal(recorded)).quantize(_ROUGHLY, ROUND_UP, EXACT)
        return max(min(Decimal(_LONGEST_ANSWER), allowed), Decimal(1))


def recorded_calls(interactions: Iterable[Interaction], prices: PriceBook) -> Sequence[Call]:
    """The billed calls to models in some recordings.

    Args:
        interactions: The recordings.
        prices: The price book.
    """
    tracker = Tracker(root=Path(), prices=lambda: prices)
    for interaction in interactions:
        tracker.take_in(interaction.exchange(), tracker.request())
    return [call for call in tracker.calls() if call.is_billed]


def _model(subject: Subject) -> str | None:
    _, body = subject.body_value
    model = body.get("model") if isinstance(body, Mapping) else None
    return model if isinstance(model, str) else None


def _change(recorded: Subject, made: Subject) -> InputDelta | None:
    was, now = recorded.body_value[1], made.body_value[1]
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return None
    return delta_of_bodies(made.method, made.path, was, now)


def _billed_today(call: Call, model: str | None, prices: PriceBook) -> Call:
    """A call as it would be billed today, for another model if the request names one now."""
    billing = replace(call.billing, priced_at=time.time())
    if model is None:
        return replace(call, billing=billing, _quotes=prices)
    billing = replace(billing, stated_cost_usd=None)
    return replace(call, model=model, requested_model=model, billing=billing, _quotes=prices)


def _answer_limit(subject: Subject) -> int | None:
    _, body = subject.body_value
    found = [body.get(name) for name in _LIMITS] if isinstance(body, Mapping) else []
    return next((limit for limit in found if isinstance(limit, int) and not isinstance(limit, bool)), None)
