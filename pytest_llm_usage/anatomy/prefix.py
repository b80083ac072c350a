"""`cache_prefix`: how much of each call's input repeats an earlier call from its start, and what ends the repetition.

Providers cache prefixes of prompts. An input can be read from the cache up to its first difference from an earlier one;
everything after that is sent anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite

from pytest_llm_usage.anatomy.cache_rules import CacheRule, cache_rule
from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.split import tokens_by_piece
from pytest_llm_usage.anatomy.tokenizer import tokenizer_for
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.text import plural

__all__ = ["CachePrefix", "PrefixBreak", "RepeatedPrefix", "cache_prefix"]


@dataclass(frozen=True, slots=True)
class PrefixBreak:
    """The first difference of an input from the earlier one that it repeats.

    Attributes:
        path: Its place in the request body.
        was: What the earlier call had there, from shortly before the difference, shortened.
        now: What this call has there.
        cause: What differs, in words (`a timestamp`, `an id`, `a different order of the tools` …).
        is_volatile: Whether it looks like something that changes with every call, or changes without need.
    """

    path: str
    was: str
    now: str
    cause: str
    is_volatile: bool


@dataclass(frozen=True, slots=True)
class RepeatedPrefix:
    """A call, and the earlier call of the same model with which it shares the longest prefix. Tokens are estimates.

    Attributes:
        call_index: The index of the call.
        earlier_index: The index of the call that it repeats.
        input_tokens: Its input.
        tokens: How many of them repeat the earlier call from the start.
        readable_tokens: How many of those its provider can read from a cache, by its published rules; None where none
            are published.
        cache_read: How many were read, as the provider reports; None where it does not say.
        difference: What ends the repetition before the earlier input ends; None where this input only continues it.
        sent_anew: Tokens after `difference` that the earlier call had sent as well.
        saving_usd: What reading them from the cache as well would have saved, at this call's price; None where that is
            not known.
    """

    call_index: int
    earlier_index: int
    input_tokens: int
    tokens: int
    readable_tokens: int | None
    cache_read: int | None
    difference: PrefixBreak | None = None
    sent_anew: int = 0
    saving_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CachePrefix:
    """How far calls repeat earlier ones.

    Attributes:
        calls: The calls that follow a call of the same model whose request can be read.
    """

    calls: tuple[RepeatedPrefix, ...] = ()

    @property
    def share(self) -> float:
        """The share of their input that repeats an earlier call from the start, from 0 to 1; 0 where there are none."""
        sent = sum(call.input_tokens for call in self.calls)
        return sum(call.tokens for call in self.calls) / sent if sent else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What breaks the prefix although the rest is sent again: a line for each place, the most tokens first."""
        places: dict[tuple[str, str], list[RepeatedPrefix]] = {}
        for call in self.calls:
            if call.difference is not None and call.difference.is_volatile and call.sent_anew:
                places.setdefault((call.difference.cause, call.difference.path), []).append(call)
        ranked = sorted(places.items(), key=lambda item: -sum(call.sent_anew for call in item[1]))
        return tuple(_note(cause, path, calls) for (cause, path), calls in ranked)


def _note(cause: str, path: str, calls: Sequence[RepeatedPrefix]) -> str:
    known = [call.saving_usd for call in calls if call.saving_usd is not None]
    saving = total(known)
    cost = f", ${saving.normalize(EXACT):f} more than from a cache" if len(known) == len(calls) and saving > 0 else ""
    sent = f"~{plural(sum(call.sent_anew for call in calls), 'token')} are sent anew in {plural(len(calls), 'call')}"
    return f"{cause} at {path} breaks the prefix: {sent}{cost}"


def cache_prefix(calls: Iterable[Call], prompt_of: Callable[[Call], Prompt | None]) -> CachePrefix:
    """How far each of `calls` repeats an earlier one of the same model.

    Args:
        calls: In the order in which they started.
        prompt_of: What a call sent; None where that cannot be read.
    """
    earlier: dict[tuple[str | None, str], list[tuple[Call, Prompt]]] = {}
    found = []
    for call in calls:
        prompt = prompt_of(call) if call.is_billed and call.usage is not None else None
        if prompt is None:
            continue
        before = earlier.setdefault((call.provider, call.model), [])
        if before:
            # Of several calls that it repeats equally far, the latest counts.
            best = max(reversed(before), key=lambda each: _common(each[1].pieces, prompt.pieces))
            found.append(_repeated(best, (call, prompt)))
        before.append((call, prompt))
    return CachePrefix(tuple(found))


def _key(piece: Piece) -> tuple[str, str, str]:
    return piece.name, piece.content, "" if piece.is_text else piece.part


def _same(one: Sequence[Piece], other: Sequence[Piece]) -> int:
    """How many pieces at the start are the same."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if _key(a) != _key(b)), min(len(one), len(other))
    )


def _common(one: Sequence[Piece], other: Sequence[Piece]) -> tuple[int, int]:
    same = _same(one, other)
    is_there = len(one) > same and len(other) > same
    return same, _common_length(one[same].content, other[same].content) if is_there else 0


def _common_length(one: str, other: str) -> int:
    """How many characters at the start are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _repeated(before: tuple[Call, Prompt], after: tuple[Call, Prompt]) -> RepeatedPrefix:
    (earlier, was), (call, now) = before, after
    usage = call.usage
    if usage is None:
        raise AssertionError("a call without usage has no prefix")  # pragma: no cover
    tokenizer = tokenizer_for(call.model)
    tokens = tokens_by_piece(now, call.model, usage.input_tokens, tokenizer)
    same, length = _common(was.pieces, now.pieces)
    repeated = sum(tokens[:same])
    if length and now.pieces[same].is_text:
        content = now.pieces[same].content
        repeated += tokens[same] * tokenizer.count(content[:length]) // max(tokenizer.count(content), 1)
    rule = cache_rule(call.provider, call.model)
    reported = usage.input_token_details.get("cache_read")
    result = RepeatedPrefix(
        call.index,
        earlier.index,
        usage.input_tokens,
        repeated,
        None if rule is None else _readable(rule, before, call, now, tokens, repeated),
        reported,
    )
    if same >= len(was.pieces) or same >= len(now.pieces):
        return result
    difference = _difference(was.pieces, now.pieces, same)
    anew = _sent_anew(was.pieces, now.pieces, same, tokens)
    return replace(result, difference=difference, sent_anew=anew, saving_usd=_saving(call, repeated + anew, rule))


def _readable(
    rule: CacheRule, before: tuple[Call, Prompt], call: Call, now: Prompt, tokens: Sequence[int], repeated: int
) -> int:
    """How many tokens of the common prefix the provider can read from its cache."""
    earlier, was = before
    moments = [moment for moment in (earlier.billing.priced_at, call.billing.priced_at) if moment and isfinite(moment)]
    if len(moments) == 2 and moments[1] - moments[0] > rule.lifetime_s:
        return 0
    if not rule.is_marked:
        return rule.readable(repeated)
    ends = [i for i, piece in enumerate(was.pieces) if piece.ends_cached_prefix and i < _same(was.pieces, now.pieces)]
    if not ends or not any(piece.ends_cached_prefix for piece in now.pieces[ends[-1] :]):
        return 0
    # What the provider puts in front of a prompt is cached with it.
    added = max(0, (call.usage.input_tokens if call.usage else 0) - sum(tokens))
    return rule.readable(sum(tokens[: ends[-1] + 1]) + added)


def _sent_anew(was: Sequence[Piece], now: Sequence[Piece], same: int, tokens: Sequence[int]) -> int:
    """The tokens after the difference that the earlier call had sent as well."""
    known = Counter(map(_key, was[same:]))
    anew = 0
    for piece, share in zip(now[same:], tokens[same:], strict=False):
        if known[_key(piece)]:
            known[_key(piece)] -= 1
            anew += share
    if was[same].path == now[same].path and now[same].content:
        # The rest of the text that the difference stands in.
        rest = _common_length(was[same].content[::-1], now[same].content[::-1])
        anew += tokens[same] * rest // len(now[same].content)
    return anew


def _saving(call: Call, tokens: int, rule: CacheRule | None) -> Decimal | None:
    """How much less the call would have cost, had that many tokens been read from the cache."""
    usage = call.usage
    if rule is None or usage is None or call.billing.usage is not None or call.billing.stated_cost_usd is not None:
        return None
    read = min(rule.readable(tokens), usage.input_tokens)
    reported = usage.input_token_details.get("cache_read", 0)
    if read <= reported:
        return Decimal(0)
    details = {**usage.input_token_details, "cache_read": read}
    spare = usage.input_tokens - read
    if details.get("cache_creation", 0) > spare:
        details = {key: value for key, value in details.items() if not key.startswith(("cache_creation", "ephemeral"))}
        details["cache_creation"] = spare
    cached = replace(call, usage=replace(usage, input_token_details=details)).cost_usd
    if cached is None or call.cost_usd is None:
        return None
    return EXACT.subtract(call.cost_usd, cached)


# -- what differs ----------------------------------------------------------------------------------------------------

_SHOWN = 60
_KINDS = (
    ("a timestamp", re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)?|\b\d{1,2}:\d\d(?::\d\d)?\b")),
    (
        "a timestamp",
        re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? \d{1,2}\b|\b1[5-9]\d{8}\b"),
    ),
    ("an id", re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=\w*\d)[0-9a-zA-Z_]{16,}\b")),
)


def _difference(was: Sequence[Piece], now: Sequence[Piece], same: int) -> PrefixBreak:
    one, other = was[same], now[same]
    at = _common_length(one.content, other.content)
    cause, is_volatile = _cause(was, now, same, at)
    start = max(0, at - 10)
    return PrefixBreak(
        other.path, one.content[start : start + _SHOWN], other.content[start : start + _SHOWN], cause, is_volatile
    )


def _cause(was: Sequence[Piece], now: Sequence[Piece], same: int, at: int) -> tuple[str, bool]:
    one, other = was[same], now[same]
    if "tools" in (one.part, other.part):
        schemas = [sorted(_key(piece) for piece in each if piece.part == "tools") for each in (was, now)]
        if schemas[0] == schemas[1]:
            return "a different order of the tools", True
        if one.name != other.name or not (one.is_text and other.is_text):
            return "a different set of tools", False
    if sorted(one.content) == sorted(other.content):
        return "a different order of keys or words", True
    if not (one.is_text and other.is_text):
        return "another image or file", False
    for name, pattern in _KINDS:
        spans = [
            next((m for m in pattern.finditer(each.content) if m.start() <= at <= m.end()), None)
            for each in (one, other)
        ]
        if None not in spans:
            return name, True
    return "a different tool schema" if one.part == other.part == "tools" else "different text", False
