"""Prices per kind of tokens, whichever book they come from, and the arithmetic: usage × rates = lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeAlias

from pytest_llm_usage.billing import PriceLine
from pytest_llm_usage.errors import NoPriceError
from pytest_llm_usage.money import EXACT, normal
from pytest_llm_usage.pricing.billing_rules import BILLED_BY_THE_HOUR
from pytest_llm_usage.text import plural
from pytest_llm_usage.usage import TokenUsage

__all__ = ["ENDLESS_DIGITS", "Rate", "Rates", "Remarks", "Steps", "cut", "lines_of"]

#: Keys of `TokenUsage`'s details → the kind under which a book may price them separately.
_CACHING_KINDS = {
    "cache_read": "cache_read",
    "cache_creation": "cache_write",
    "ephemeral_5m_input_tokens": "cache_write_5m",
    "ephemeral_1h_input_tokens": "cache_write_1h",
}
_INPUT_MODALITY_KINDS = {"audio": "input_audio", "image": "input_image", "video": "input_video"}
_OUTPUT_KINDS = {
    "reasoning": "output_reasoning",
    "audio": "output_audio",
    "image": "output_image",
    "video": "output_video",
    "citation": "output_citation",
}


#: How many decimal places are kept of a price that never ends (one per hour, converted to seconds), and of its amounts.
ENDLESS_DIGITS = 40
_SHORT = Decimal("1e-12")


def cut(usd: Decimal) -> Decimal:
    """The amount itself; one that never ends is rounded to a millionth of a millionth of a dollar."""
    return usd.quantize(_SHORT, context=EXACT) if usd.as_tuple().exponent <= -ENDLESS_DIGITS else usd  # type: ignore[operator]


Steps: TypeAlias = tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """USD per million, with ascending `steps`: above this many input tokens → USD per million of all tokens."""

    base: Decimal
    steps: Steps = ()

    def times(self, factor: Decimal) -> Rate:
        """The rate with a surcharge."""
        steps = tuple((above, EXACT.multiply(price, factor)) for above, price in self.steps)
        return Rate(EXACT.multiply(self.base, factor), steps)

    def above(self, input_tokens: int, factor: Decimal) -> Rate:
        """The rate with one step: with more than `input_tokens`, all tokens cost `factor` times as much."""
        return Rate(self.base, ((input_tokens, EXACT.multiply(self.base, factor)),))

    def at(self, input_tokens: int) -> Decimal:
        price = self.base
        for above, usd_per_million in self.steps:
            if input_tokens > above:
                price = usd_per_million
        return price


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices that apply to a model at a moment, and where they come from."""

    model: str
    source: str
    by_kind: Mapping[str, Rate]
    free: bool = False
    notes: tuple[str, ...] = ()
    #: Whether the prices are upper bounds; `notes` say why.
    at_most: bool = False
    #: Their line if they come from a price file: `prices.toml:7`.
    where: str = ""
    #: Whether tokens that only `total_tokens` counts are output (the provider's reasoning), not a contradiction.
    total_has_reasoning: bool = False
    #: Whether audio without a price of its own costs as much as text. Otherwise its price is unknown.
    audio_as_text: bool = False


@dataclass(slots=True)
class Remarks:
    """Notes for the reader of a quote, collected while it is computed."""

    notes: list[str] = field(default_factory=list)
    at_most: bool = False

    def add(self, note: str, *, at_most: bool = False) -> None:
        """Adds a note; `at_most` if it makes the cost an upper bound."""
        self.notes.append(note)
        self.at_most |= at_most


def lines_of(rates: Rates, usage: TokenUsage, items: Mapping[str, int]) -> tuple[list[PriceLine], Remarks]:
    """The lines of a usage and its items, and remarks.

    Raises `NoPriceError` if a price or a count is missing: a search without a fee in the book is not free.
    """
    if rates.free:
        quantity = usage.total_tokens
        return [PriceLine("free", quantity, Decimal(0), Decimal(0), rates.model)], Remarks()
    notes = Remarks(list(rates.notes), at_most=rates.at_most)
    counts: dict[str, int] = {}
    is_timed = "audio_second" in items
    if not is_timed or "input" in rates.by_kind:
        counted = _without_sound(usage) if is_timed else usage
        counts |= _input_counts(rates, counted, notes)
        counts |= _output_counts(rates, counted, notes)
    if "request" in rates.by_kind:
        counts["request"] = 1
    for kind, quantity in items.items():
        if kind in BILLED_BY_THE_HOUR and kind not in rates.by_kind:
            notes.add(f"{kind}: {BILLED_BY_THE_HOUR[kind]}")
        else:
            counts[kind] = quantity
    lines = []
    for kind, quantity in counts.items():
        if not quantity:
            continue
        rate = rates.by_kind.get(kind)
        if rate is None:
            raise _missing(rates, kind, kind if kind in items else f"{kind} tokens")
        usd_per_million = rate.at(usage.input_tokens)
        amount = EXACT.multiply(Decimal(quantity), usd_per_million).scaleb(-6, EXACT)
        usd_per_million, amount = cut(usd_per_million), cut(amount)
        lines.append(PriceLine(kind, quantity, normal(usd_per_million), normal(amount), rates.model))
    return lines, notes


def _without_sound(usage: TokenUsage) -> TokenUsage:
    """The usage without audio that is billed by the second: its tokens are only in the total, and none is billed."""
    details = {key: n for key, n in usage.input_token_details.items() if key != "audio"}
    return replace(usage, total_tokens=0, input_token_details=details)


def _input_counts(rates: Rates, usage: TokenUsage, notes: Remarks) -> dict[str, int]:
    """Input tokens by the kind they are priced as."""
    details = usage.input_token_details
    caching = {kind: details.get(key, 0) for key, kind in _CACHING_KINDS.items()}
    modalities = {kind: details.get(key, 0) for key, kind in _INPUT_MODALITY_KINDS.items()}

    lifetimes = caching["cache_write_5m"] + caching["cache_write_1h"]
    if lifetimes > caching["cache_write"]:
        raise NoPriceError(
            f"contradictory usage: cache writes by lifetime ({lifetimes:,}) exceed "
            f"cache_creation ({caching['cache_write']:,})"
        )
    caching["cache_write"] -= lifetimes
    if caching["cache_write_1h"] and "cache_write_1h" not in rates.by_kind:
        # Longer-lived writes cost more than the others; their price is never that of the shorter ones.
        raise _missing(rates, "cache_write_1h", "cache writes that last an hour")
    if "cache_write_5m" not in rates.by_kind:
        caching["cache_write"] += caching.pop("cache_write_5m")

    counts = _priced_apart(rates, caching)
    apart = _priced_apart(rates, modalities)
    if caching["cache_read"] and "cache_read" not in counts:
        # No provider charges more for input that it reads from a cache.
        notes.add(
            f"{rates.source} has no price for cache_read: priced as input, which is the most it can cost", at_most=True
        )
    if caching["cache_write"] and "cache_write" not in counts:
        notes.add(f"{rates.source} has no price of its own for cache_write: priced as input")
    if counts and apart:
        counts |= _cached_modalities(rates, counts, apart, details)
    counts |= apart
    return {"input": _remainder("input", usage.input_tokens, counts), **counts}


def _cached_modalities(
    rates: Rates, cached: dict[str, int], apart: dict[str, int], details: Mapping[str, int]
) -> dict[str, int]:
    """Takes tokens that are both cached and of a modality out of `apart`; returns those with a price of their own."""
    if cached.keys() != {"cache_read"} or not any(key.startswith("cache_read_") for key in details):
        raise NoPriceError(
            f"{' and '.join([*cached, *apart])} are priced separately, and the usage does not say "
            "how many tokens are both"
        )
    counts = {}
    for kind, tokens in apart.items():
        both = kind.replace("input", "cache_read")
        quantity = details.get(both, 0)
        if quantity > tokens:
            raise NoPriceError(f"contradictory usage: {both} ({quantity:,}) exceed {kind} ({tokens:,})")
        apart[kind] = tokens - quantity
        if quantity and both in rates.by_kind:
            cached["cache_read"] -= quantity
            counts[both] = quantity
        elif quantity and kind.endswith("_audio") and not rates.audio_as_text:
            raise _missing(rates, both, f"{both} tokens")
    return counts


def _output_counts(rates: Rates, usage: TokenUsage, notes: Remarks) -> dict[str, int]:
    """Output tokens by the kind they are priced as."""
    details = {kind: usage.output_token_details.get(key, 0) for key, kind in _OUTPUT_KINDS.items()}
    counts = _priced_apart(rates, details)
    output_tokens = usage.output_tokens
    if (citations := usage.output_token_details.get("citation", 0)) and "output_citation" not in rates.by_kind:
        # Text that a search gave to the model. The provider bills it only for some models.
        output_tokens -= citations
    if usage.is_total_alone:
        raise NoPriceError(
            f"the usage has only a total, {plural(usage.total_tokens, 'token')}, and no input and output to price"
        )
    only_in_total = usage.total_tokens - usage.input_tokens - usage.output_tokens
    if only_in_total > 0:
        if not rates.total_has_reasoning:
            raise NoPriceError(
                f"contradictory usage: total_tokens ({usage.total_tokens:,}) is {only_in_total:,} more than "
                f"input_tokens ({usage.input_tokens:,}) and output_tokens ({usage.output_tokens:,})"
            )
        notes.add(f"{only_in_total:,} tokens that only the total counts (reasoning) are priced as output")
        output_tokens += only_in_total
    return {"output": _remainder("output", output_tokens, counts), **counts}


def _missing(rates: Rates, kind: str, what: str) -> NoPriceError:
    advice = f"add  {kind} = ?  to {rates.where}" if rates.where else {"same_as": rates.model, kind: "?"}
    return NoPriceError(f"{rates.source} has no price for {what}", advice)


def _priced_apart(rates: Rates, counts: Mapping[str, int]) -> dict[str, int]:
    """Those of `counts` that have a price of their own; the others are part of the input or the output."""
    for kind, quantity in counts.items():
        if quantity < 0:
            raise NoPriceError(f"contradictory usage: {kind} ({quantity:,}) is negative")
        if quantity and kind.endswith("_audio") and kind not in rates.by_kind and not rates.audio_as_text:
            raise _missing(rates, kind, f"{kind} tokens")
    return {kind: quantity for kind, quantity in counts.items() if quantity and kind in rates.by_kind}


def _remainder(whole: str, tokens: int, counts: Mapping[str, int]) -> int:
    remainder = tokens - sum(counts.values())
    if tokens < 0:
        raise NoPriceError(f"contradictory usage: {whole}_tokens ({tokens:,}) is negative")
    if remainder < 0:
        parts = " + ".join(f"{kind} ({quantity:,})" for kind, quantity in counts.items())
        raise NoPriceError(f"contradictory usage: {parts} exceed {whole}_tokens ({tokens:,})")
    return remainder
