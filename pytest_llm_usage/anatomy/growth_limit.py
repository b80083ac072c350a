"""`growth_failure`: the message for a test whose conversation grows faster than its budget's `max_growth` allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from pytest_llm_usage.anatomy.growth import FEWEST_CALLS, Growth, conversations, growths
from pytest_llm_usage.anatomy.prompt import Prompt
from pytest_llm_usage.budget.limits import GROWTH_LIMITS, Limits
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.text import columns, inert, plural, tokens, usd

__all__ = ["growth_failure"]

#: The numbers of turns whose cost is shown.
_TURNS = (10, 50)
_ADVERBS = {"linear": "linearly", "quadratic": "quadratically"}


def growth_failure(limits: Limits, calls: Iterable[Call], prompt_of: Callable[[Call], Prompt | None]) -> str | None:
    """Why `max_growth` is exceeded or cannot be verified, with a table of turns; None where it holds.

    Fewer than four calls do not show how a conversation grows, so they exceed nothing.

    Args:
        limits: What may be spent.
        calls: The calls that were made, in the order in which they started.
        prompt_of: What a call sent; None where that cannot be read.
    """
    if limits.max_growth is None:
        return None
    spent = [call for call in calls if limits.covers(call) and (call.usage is not None or call.is_unknown)]
    if len(spent) < FEWEST_CALLS:
        return None
    prompts = {call.index: None if call.is_unknown or call.is_total_alone else prompt_of(call) for call in spent}

    def read(call: Call) -> Prompt | None:
        return prompts[call.index]

    allowed = GROWTH_LIMITS[: GROWTH_LIMITS.index(limits.max_growth) + 1]
    texts = [_exceeded(growth, limits) for growth in growths(spent, read) if growth.kind not in allowed]
    if not texts:
        texts = [_unverified(missing, limits) for missing in _incomplete(spent, read)]
    return "\n\n".join(texts) or None


def _incomplete(spent: Sequence[Call], prompt_of: Callable[[Call], Prompt | None]) -> Iterator[list[Call]]:
    """Yields the unreadable calls of each model and node that could be part of a conversation of four."""
    missing: dict[tuple[str, str | None], list[Call]] = {}
    for call in spent:
        if prompt_of(call) is None:
            missing.setdefault((call.model, call.node), []).append(call)
    known = conversations(spent, prompt_of)
    for (model, node), calls in missing.items():
        longest = max((len(made) for key, made in known.items() if key[:2] == (model, node)), default=0)
        if longest + len(calls) >= FEWEST_CALLS:
            yield calls


def _limit(limits: Limits) -> str:
    return f"limit {limits.max_growth} ({limits.origins.get('max_growth', 'max_growth')})"


def _scope(limits: Limits) -> str:
    return f" for {limits.model}" if limits.model else ""


def _exceeded(growth: Growth, limits: Limits) -> str:
    turns, model = len(growth.calls), growth.calls[0].model
    verdict = (
        f"LLM budget exceeded{_scope(limits)}: the input of {model} grows {_ADVERBS[growth.kind]} "
        f"in turns 1 to {turns}, {_limit(limits)}"
    )
    rows = [("turn", "input", "more", "call", "where")]
    more = ["", *(f"{after - before:+,}" for before, after in pairwise(growth.input_tokens))]
    rows += [
        (str(turn), tokens(sent), added, str(call.index + 1), call.where or "")
        for turn, (sent, added, call) in enumerate(zip(growth.input_tokens, more, growth.calls, strict=True), start=1)
    ]
    table = [f"  {line}" for line in columns(rows, ">>>><")]
    return "\n".join(map(inert, [verdict, "", *table, "", *(f"  {_projected(growth, turns)}" for turns in _TURNS)]))


def _projected(growth: Growth, turns: int) -> str:
    """The tokens and the cost of that many turns, in words."""
    sent = sum(growth.input_at(turn) for turn in range(1, turns + 1))
    cost_usd = growth.cost_usd(turns)
    cost = "a cost that is not known: a call has no price" if cost_usd is None else f"~${usd(cost_usd)}"
    return f"{turns} turns: ~{plural(sent, 'input token')}, {cost}"


def _unverified(missing: Sequence[Call], limits: Limits) -> str:
    """The message for calls whose input is not known: each reason with its calls."""
    verdict = (
        f"LLM budget cannot be verified{_scope(limits)}: the growth of {missing[0].model}'s input is unknown for "
        f"{plural(len(missing), 'call')}, {_limit(limits)}"
    )
    reasons: dict[str, list[int]] = {}
    for call in missing:
        reason = "its usage is not known" if call.is_unknown else call.input_by_part_reason
        reasons.setdefault(reason, []).append(call.index + 1)
    lines = [
        f"  Unknown: {reason} ({'call' if len(numbers) == 1 else 'calls'} {', '.join(map(str, numbers))})"
        for reason, numbers in reasons.items()
    ]
    return "\n".join(map(inert, [verdict, "", *lines]))
