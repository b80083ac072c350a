"""What a call costs: the user's own prices first, then genai-prices, else `Unpriced` with the reason.

Amounts are exact decimals in USD: tokens × price, nothing rounded. A price is that of the day the call was made (of the
recording, where it was replayed), taken from the book that genai-prices ships, never from one updated over the network:
the same cassette costs the same tomorrow.

Unknown is `Unpriced`, never 0. That includes what genai-prices itself would answer by resemblance: its rules match by
prefix (`gemini-1.5-flash…` also takes `gemini-1.5-flash-8b`); here a rule counts only where what it leaves over is a date,
a revision or `-latest`.

A price file (TOML) holds one line a model, USD per million tokens::

    [models]
    "my-model" = { input = 0.5, output = 1.5, cache_read = 0.05 }
    "prod-*"   = { provider = "azure", same_as = "gpt-4o-2024-08-06" }     # an Azure deployment
    "llama3*"  = { provider = "ollama", free = true }
    "gpt-4o"   = [ { until = 2026-01-01, input = 2, output = 8 }, { from = 2026-01-01, input = 1, output = 4 } ]

    [price_map]                        # LangChain NVIDIA's price_map as it is: USD per thousand tokens
    "mixtral_8x7b" = 0.0006
"""

from __future__ import annotations

import difflib
import math
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call
from pytest_llm_usage.usage import TokenUsage

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider

_T = TypeVar("_T")

__all__ = ["Price", "PriceBook", "PriceLine", "PriceSource", "Unpriced", "explain", "plain", "sum_lines"]

#: A price file, the same data as a mapping, or LangChain NVIDIA's `price_map` (model → USD per thousand tokens).
PriceSource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"

# Wide enough that no product or sum of tokens and prices is ever rounded; the user's own context may be narrow.
_EXACT = Context(prec=500)
_MILLION = Decimal(1_000_000)


# --- What a price is -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One kind of tokens (or requests, or searches) of one model: quantity × price = amount.

    Attributes:
        kind: `input`, `output`, `cache_read`, `request` …; `stated` where the provider itself named the whole cost.
            A kind that the price book does not price apart is part of `input` or `output`.
        quantity: Tokens; for `request` and the searches, how many.
        usd_per_million: USD per million of them; None for `stated`.
        amount_usd: Exactly their product.
        model: The model in the price book's words.
    """

    kind: str
    quantity: int
    usd_per_million: Decimal | None
    amount_usd: Decimal
    model: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a call costs and how that came about.

    Attributes:
        cost_usd: Exact; the sum of the lines' amounts.
        lines: The parts, in the order input, output, per request, then the call's `parts`.
        source: Where the price is from: `genai-prices 0.2.3, openai/o3, since 2025-06-10`, `prices.toml:7` or
            `stated by openrouter`.
        book_usd: What the price book would have given where the provider stated its own cost; else None.
        notes: What a reader of the bill should know, in words.
    """

    cost_usd: Decimal
    lines: tuple[PriceLine, ...]
    source: str
    book_usd: Decimal | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A call whose price is not known.

    Attributes:
        reason: Why, in words.
        fix: The line of the price file, beneath `[models]`, that would settle it; `?` stands for a number to fill in.
    """

    reason: str
    fix: str


def plain(amount: Decimal) -> str:
    """`amount` in full, without exponent: `0.00000002`, where `str` gives `2E-8`."""
    return f"{amount:f}"


def sum_lines(lines: Iterable[PriceLine]) -> tuple[PriceLine, ...]:
    """One line for each model, kind and price, in the order in which they first come; amounts add up exactly."""
    sums: dict[tuple[str, str, Decimal | None], PriceLine] = {}
    for line in lines:
        key = (line.model, line.kind, line.usd_per_million)
        known = sums.get(key)
        sums[key] = (
            line
            if known is None
            else replace(
                known,
                quantity=known.quantity + line.quantity,
                amount_usd=_added(known.amount_usd, line.amount_usd),
            )
        )
    return tuple(sums.values())


def explain(prices: Iterable[Price]) -> str:
    """A table of tokens × price = amount per model and kind, its total, and where the prices are from."""
    prices = tuple(prices)
    lines = sum_lines(line for price in prices for line in price.lines)
    rows = [("model", "kind", "quantity", "USD per 1M", "USD")]
    rows += [
        (
            line.model,
            line.kind,
            f"{line.quantity:,}",
            "" if line.usd_per_million is None else plain(line.usd_per_million),
            plain(line.amount_usd),
        )
        for line in lines
    ]
    rows.append(("total", "", "", "", plain(_added(*(price.cost_usd for price in prices)))))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    table = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    sources = dict.fromkeys(price.source for price in prices)
    notes = dict.fromkeys(note for price in prices for note in price.notes)
    return "\n".join([*table, *(f"prices: {source}" for source in sources), *(f"note: {note}" for note in notes)])


def _normal(amount: Decimal) -> Decimal:
    """The same number in its shortest form: no trailing zeros, no positive exponent."""
    short = amount.normalize(_EXACT)
    return short.quantize(Decimal(1), context=_EXACT) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


def _added(*amounts: Decimal) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return _normal(total)


# --- Rates: prices per kind, whatever book they are from --------------------------------------------------------------

#: The kinds of a price file → genai-prices' price keys. USD per million tokens unless `_PER_ITEM` says otherwise.
_PRICE_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_5m": "cache_write_5m_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "input_image": "input_image_mtok",
    "input_video": "input_video_mtok",
    "output_reasoning": "output_reasoning_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "output_video": "output_video_mtok",
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
}
#: Kinds that a price file gives in USD for one, and genai-prices for a thousand.
_PER_ITEM = frozenset({"request", "web_search", "file_search"})

#: Keys of `TokenUsage`'s details → the kind under which a book may price them apart.
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
}


_Steps: TypeAlias = tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True)
class _Rate:
    """USD per million; with `steps` (more input tokens than this → USD per million of all tokens), ascending."""

    base: Decimal
    steps: _Steps = ()

    def at(self, input_tokens: int) -> Decimal:
        price = self.base
        for above, usd_per_million in self.steps:
            if input_tokens > above:
                price = usd_per_million
        return price


@dataclass(frozen=True, slots=True)
class _Rates:
    """The prices that apply to a model at a moment, and where they are from."""

    model: str
    source: str
    by_kind: Mapping[str, _Rate]
    free: bool = False
    notes: tuple[str, ...] = ()
    #: The tokens that only `total_tokens` counts are output (the provider's reasoning), not a contradiction.
    total_has_reasoning: bool = False


class _NoPriceError(Exception):
    """Why there is no price: the words of `Unpriced`, on their way up to `PriceBook.price`."""

    def __init__(self, reason: str, **fix: Any) -> None:
        super().__init__(reason)
        self.fix = fix


def _lines(rates: _Rates, usage: TokenUsage, server_tools: Mapping[str, int]) -> tuple[list[PriceLine], list[str]]:
    """The lines of one usage, and notes; raises `_NoPriceError` where a price or a count is missing."""
    if rates.free:
        quantity = usage.total_tokens
        return [PriceLine("free", quantity, Decimal(0), Decimal(0), rates.model)], []
    notes = list(rates.notes)
    counts = {
        **_input_counts(rates, usage, notes),
        **_output_counts(rates, usage, notes),
    }
    if "request" in rates.by_kind:
        counts["request"] = 1
    for tool, times in server_tools.items():
        if times and tool in rates.by_kind:
            counts[tool] = times
        elif times:
            notes.append(f"{times} × {tool}: the price book has no fee for it")
    lines = []
    for kind, quantity in counts.items():
        if not quantity:
            continue
        rate = rates.by_kind.get(kind)
        if rate is None:
            raise _NoPriceError(f"{rates.source} has no price for {kind} tokens", **{kind: "?"})
        usd_per_million = rate.at(usage.input_tokens)
        amount = _EXACT.multiply(Decimal(quantity), usd_per_million).scaleb(-6, _EXACT)
        lines.append(PriceLine(kind, quantity, _normal(usd_per_million), _normal(amount), rates.model))
    return lines, notes


def _input_counts(rates: _Rates, usage: TokenUsage, notes: list[str]) -> dict[str, int]:
    """Input tokens by the kind they are priced as."""
    details = usage.input_token_details
    caching = {kind: details.get(key, 0) for key, kind in _CACHING_KINDS.items()}
    modalities = {kind: details.get(key, 0) for key, kind in _INPUT_MODALITY_KINDS.items()}

    lifetimes = caching["cache_write_5m"] + caching["cache_write_1h"]
    if lifetimes > caching["cache_write"]:
        raise _NoPriceError(
            f"contradictory usage: cache writes by lifetime ({lifetimes:,}) exceed "
            f"cache_creation ({caching['cache_write']:,})"
        )
    caching["cache_write"] -= lifetimes
    if caching["cache_write_1h"] and "cache_write_1h" not in rates.by_kind:
        # Longer-lived writes cost more than the others; their price is never that of the shorter ones.
        raise _NoPriceError(f"{rates.source} has no price for cache writes that last an hour", cache_write_1h="?")
    if "cache_write_5m" not in rates.by_kind:
        caching["cache_write"] += caching.pop("cache_write_5m")

    counts = _priced_apart(rates, caching, "input", notes)
    apart = _priced_apart(rates, modalities, "input", notes)
    if counts and apart:
        raise _NoPriceError(
            f"{' and '.join([*counts, *apart])} are priced apart, and the usage does not say how many tokens are both"
        )
    counts |= apart
    return {"input": _remainder("input", usage.input_tokens, counts), **counts}


def _output_counts(rates: _Rates, usage: TokenUsage, notes: list[str]) -> dict[str, int]:
    """Output tokens by the kind they are priced as."""
    details = {kind: usage.output_token_details.get(key, 0) for key, kind in _OUTPUT_KINDS.items()}
    counts = _priced_apart(rates, details, "output", notes)
    output_tokens = usage.output_tokens
    only_in_total = usage.total_tokens - usage.input_tokens - usage.output_tokens
    if only_in_total > 0:
        if not rates.total_has_reasoning:
            raise _NoPriceError(
                f"contradictory usage: total_tokens ({usage.total_tokens:,}) is {only_in_total:,} more than "
                f"input_tokens ({usage.input_tokens:,}) and output_tokens ({usage.output_tokens:,})"
            )
        notes.append(f"{only_in_total:,} tokens that only the total counts (reasoning) are priced as output")
        output_tokens += only_in_total
    return {"output": _remainder("output", output_tokens, counts), **counts}


def _priced_apart(rates: _Rates, counts: Mapping[str, int], whole: str, notes: list[str]) -> dict[str, int]:
    """Those of `counts` that have a price of their own; the others are part of `whole`."""
    for kind, quantity in counts.items():
        if quantity and kind in ("cache_read", "cache_write") and kind not in rates.by_kind:
            notes.append(f"{rates.source} has no price of its own for {kind}: priced as {whole}")
    return {kind: quantity for kind, quantity in counts.items() if quantity and kind in rates.by_kind}


def _remainder(whole: str, tokens: int, counts: Mapping[str, int]) -> int:
    remainder = tokens - sum(counts.values())
    if remainder < 0:
        parts = " + ".join(f"{kind} ({quantity:,})" for kind, quantity in counts.items())
        raise _NoPriceError(f"contradictory usage: {parts} exceed {whole}_tokens ({tokens:,})")
    return remainder


# --- Service tiers ----------------------------------------------------------------------------------------------------

#: What providers call the tier at which their list price applies. `1` is Vertex AI's TrafficType ON_DEMAND as a number.
_STANDARD_TIERS = frozenset(
    {"", "1", "auto", "default", "none", "on_demand", "standard", "standard_only", "traffic_type_unspecified"}
)


def _tier(service_tier: str | None) -> str | None:
    """The tier in one spelling, or None for the standard one: Vertex AI says ON_DEMAND_FLEX, OpenAI says flex."""
    tier = (service_tier or "").strip().lower().replace("-", "_")
    if tier in _STANDARD_TIERS:
        return None
    return tier.removeprefix("on_demand_")


# --- genai-prices -----------------------------------------------------------------------------------------------------

#: Providers in LangChain's words (and those of other tools) → genai-prices' ids; ids stand for themselves.
_PROVIDER_IDS = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "anthropic-bedrock": "aws",
    "anthropic-mantle": "aws",
    "aws-bedrock": "aws",
    "azure-ai": "azure",
    "azure-openai": "azure",
    "azureai": "azure",
    "bedrock": "aws",
    "bedrock-converse": "aws",
    "fireworks-ai": "fireworks",
    "gemini": "google",
    "google-anthropic-vertex": "google",
    "google-genai": "google",
    "google-gemini": "google",
    "google-vertex": "google",
    "google-vertexai": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "openai-mantle": "aws",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "togetherai": "together",
    "vertex-ai": "google",
    "vertexai": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
}

#: Providers that bill by the model that was asked for: Bedrock's region prefix stands only there.
_BILLED_AS_REQUESTED = frozenset({"aws"})

#: Providers whose client is pointed at gateways; there `maker/model` means the maker's price.
_GATEWAYS = frozenset({"openai", "litellm"})

#: Providers whose OpenAI-compatible endpoint counts reasoning in `total_tokens` only.
_REASONING_IN_TOTAL_ONLY = frozenset({"google"})

#: What may follow (or be left out of) a model's name without making it another model.
_REVISION = re.compile(
    r"""(?:
        [-@:](?:19|20)\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])   # -2024-07-18, @20240620
      | -(?:0[1-9]|1[0-2])-(?:19|20)\d{2}                                 # -08-2024
      | -(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])                        # -05-06
      | -\d{3,4}                                                          # -001, -0613, -2411
      | -v\d+ | :\d+ | :\d+k                                              # Bedrock's -v1:0 and :200k
      | -latest | -preview | -exp | -beta
    )$""",
    re.VERBOSE,
)
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|in|ca|sa|me|af|mx|il)\.(?=[a-z0-9-]+\.)")
_FINE_TUNED = re.compile(r"^ft:([^:]+):")


def _provider_id(provider: str) -> str:
    word = provider.strip().lower().replace("_", "-")
    return _PROVIDER_IDS.get(word, word)


@cache
def _providers() -> Mapping[str, Provider]:
    """genai-prices' shipped book. Not its "current" one: an application may have that updated over the network.

    Importing it costs about 0.2 s beside pydantic and httpx (0.4 s without), nearly all of it for building its 1.5 MB
    of Python objects; so it happens at the first read of a cost and not before.
    """
    from genai_prices.data import providers  # noqa: PLC0415

    return {provider.id: provider for provider in providers}


@cache
def _book_name() -> str:
    import genai_prices  # noqa: PLC0415

    return f"genai-prices {genai_prices.__version__}"


def _names(provider_id: str | None, model: str) -> Iterator[str]:
    """The spellings of `model` under which the book may know it, the given one first; all in lower case."""
    name = model.strip().lower()
    if "models/" in name and not name.startswith("accounts/"):
        name = name.rpartition("models/")[2]  # models/gemini-…, projects/…/publishers/google/models/gemini-…
    if name.startswith("arn:"):
        name = name.rpartition("/")[2]
    yield name
    if fine_tuned := _FINE_TUNED.match(name):
        yield f"ft:{fine_tuned[1]}"
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    if dashed != name:
        yield dashed
    if provider_id == "aws" and (regionless := _REGION.sub("", name)) != name:
        yield regionless


def _stem(name: str) -> str:
    """`name` without dates, revisions and the like, however many."""
    name = name.rstrip("-@:")
    if fine_tuned := _FINE_TUNED.match(name):
        name = f"ft:{fine_tuned[1]}"
    while revision := _REVISION.search(name):
        name = name[: revision.start()]
    return name


def _is_same(name: str, start: int, rule: str) -> bool:
    """Whether `rule`, found in `name` at `start`, names that model and not one that only begins (or ends) alike."""
    if start and name[start - 1] not in "/.:":
        return False
    found = name[start:]
    end = len(rule)
    while end < len(found) and found[end].isdigit() and rule[-1].isdigit():
        end += 1  # The rule ends within a number (`claude-sonnet-4-2025`): the number counts as a whole.
    stem = _stem(found)
    return stem == _stem(found[:end]) and len(stem) <= len(rule)


def _matches(rule: MatchLogic, name: str) -> bool:
    """Whether one of genai-prices' rules names exactly this model; see `_is_same`."""
    from genai_prices import types  # noqa: PLC0415

    if not rule.is_match(name):
        return False
    match rule:
        case types.ClauseStartsWith(starts_with=text):
            return _is_same(name, 0, text.lower())
        case types.ClauseEndsWith(ends_with=text):
            return _is_same(name, len(name) - len(text), text.lower())
        case types.ClauseContains(contains=text):
            return _is_same(name, name.index(text.lower()), text.lower())
        case types.ClauseRegex(regex=pattern):
            found = re.search(pattern, name)
            return found is not None and not name[found.end() :].strip("-0123456789")
        case types.ClauseOr(or_=rules):
            return any(_matches(each, name) for each in rules)
        case types.ClauseAnd(and_=rules):
            return any(_matches(each, name) for each in rules)
        case types.ClauseEquals():
            return True


def _find(provider: Provider, name: str) -> ModelInfo | None:
    """The model of `provider` (or of one whose models it sells at the same price) with that name."""
    book = _providers()
    sellers = [provider, *(book[maker] for maker in provider.fallback_model_providers or () if maker in book)]
    for seller in sellers:
        for model in seller.models:
            if _matches(model.match, name) or (model.is_match(name) and _stem(model.id.lower()) == _stem(name)):
                return model
    return None


def _look_up(provider: str | None, model: str) -> tuple[Provider, ModelInfo, tuple[str, ...]] | None:
    """Who sells `model`, the book's entry for it, and notes on how it was found; None where it is not there."""
    book = _providers()
    if provider is not None:
        seller = book.get(_provider_id(provider))
        if seller is not None:
            for name in _names(seller.id, model):
                if found := _find(seller, name):
                    return seller, found, ()
        if _provider_id(provider) not in _GATEWAYS:
            return None
    maker, slash, name = model.partition("/")
    if slash and (seller := book.get(_provider_id(maker))) is not None:
        for spelling in _names(seller.id, name):
            if found := _find(seller, spelling):
                return seller, found, (f"{model} on a gateway: priced as {seller.name}'s {found.id}",)
    if provider is None:
        for name in _names(None, model):
            for seller in book.values():
                if seller.model_match and seller.model_match.is_match(name) and (found := _find(seller, name)):
                    return seller, found, (f"provider not known: taken from the model's name ({seller.name})",)
    return None


def _book_rates(provider: str | None, model: str, tier: str | None, moment: datetime) -> _Rates | None:
    """genai-prices' prices at a moment; None where it does not know the model."""
    found = _look_up(provider, model)
    if found is None:
        return None
    seller, info, notes = found
    source = f"{_book_name()}, {seller.id}/{info.id}"
    since = ""
    if not isinstance(info.prices, list):
        standard = info.prices
    else:
        for conditional in reversed(info.prices):
            if conditional.constraint is None or conditional.constraint.active(moment):
                standard = conditional.prices
                since = _constraint_text(conditional.constraint)
                break
        else:
            raise _NoPriceError(f"{source} has no price for {moment:%Y-%m-%d}")
    by_kind = _kinds(standard)
    if tier is not None:
        context = ("processing", "batch") if tier == "batch" else ("service_tier", tier)
        # A seller of others' models has tiers, and prices for them, of its own.
        variants = (info.price_variants or ()) if info in seller.models else ()
        overrides = [
            _kinds(variant.prices)
            for variant in variants
            if variant.when == dict([context]) and (variant.constraint is None or variant.constraint.active(moment))
        ]
        if not any(overrides):
            raise _NoPriceError(f"{source} has no price for the service tier {tier}", tier=tier)
        for override in reversed(overrides):
            by_kind |= override
        source += f", {tier}"
    return _Rates(
        model=info.id,
        source=source + since,
        by_kind=by_kind,
        notes=notes,
        total_has_reasoning=seller.id in _REASONING_IN_TOTAL_ONLY,
    )


def _constraint_text(constraint: Any) -> str:
    """`, since 2025-06-10` or `, 16:30 to 00:30 UTC`."""
    if constraint is None:
        return ""
    if start := getattr(constraint, "start_date", None):
        return f", since {start:%Y-%m-%d}"
    return f", {constraint.start_time:%H:%M} to {constraint.end_time:%H:%M} UTC"


def _kinds(prices: ModelPrice) -> dict[str, _Rate]:
    """genai-prices' prices of a model by our kinds. Those in other units (hours, pages, characters) are left out."""
    by_kind = {}
    for kind, key in _PRICE_KEYS.items():
        price = getattr(prices, key)
        if price is None:
            continue
        factor = Decimal(1_000) if kind in _PER_ITEM else Decimal(1)
        if isinstance(price, Decimal):
            by_kind[kind] = _Rate(price * factor)
        else:
            by_kind[kind] = _Rate(price.base * factor, tuple((tier.start, tier.price * factor) for tier in price.tiers))
    return by_kind


# --- The user's own prices --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """One model (or pattern) of a price file."""

    pattern: str
    where: str
    provider: str | None = None
    tier: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    same_as: str | None = None
    free: bool = False
    by_kind: Mapping[str, _Rate] = field(default_factory=dict)

    def applies(self, provider: str | None, names: Iterable[str], tier: str | None, moment: datetime) -> bool:
        if self.tier != tier and not self.free:
            return False
        if self.provider is not None and (provider is None or _provider_id(provider) != _provider_id(self.provider)):
            return False
        if (self.since and moment < self.since) or (self.until and moment >= self.until):
            return False
        return any(fnmatchcase(name, self.pattern) for name in names)

    @property
    def is_exact(self) -> bool:
        return not any(wildcard in self.pattern for wildcard in "*?[")


_ENTRY_KEYS = ("provider", "tier", "from", "until", "same_as", "free", "above")
_TABLES = ("models", "price_map", "currency")


@dataclass(frozen=True)
class _PriceFile:
    """A price file or mapping while it is read: turns its data into entries, and mistakes into one line."""

    label: str
    text: str | None
    data: Mapping[str, Any]

    @classmethod
    def read(cls, source: PriceSource) -> _PriceFile:
        if isinstance(source, Mapping):
            is_price_map = not any(key in _TABLES for key in source) and not any(
                isinstance(value, Mapping | list) for value in source.values()
            )
            return cls("llm_usage_prices", None, {"price_map": source} if is_price_map else source)
        path = Path(source)
        try:
            label = os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigurationError(f"{label}: the price file cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigurationError(f"{label}:{line}: the price file is not UTF-8 text") from None
        try:
            data = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            at_line = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(at_line[1]) if at_line else text.count("\n") + 1
            message = str(error).partition(" (at ")[0]
            raise ConfigurationError(f"{label}:{line}: not TOML: {message[:1].lower()}{message[1:]}") from None
        return cls(label, text, data)

    def entries(self) -> Iterator[_Entry]:
        for key in self.data:
            if key not in _TABLES:
                self._fail((key,), f"{key!r} is not known here ({', '.join(_TABLES)}){_did_you_mean(key, _TABLES)}")
        currency = self.data.get("currency", "USD")
        if currency != "USD":
            self._fail(("currency",), f"currency {currency!r}: prices are in USD")
        for pattern, value in self._table("models").items():
            tables = value if isinstance(value, list) else [value]
            for index, table in enumerate(tables):
                path = ("models", pattern, str(index)) if isinstance(value, list) else ("models", pattern)
                if not isinstance(table, Mapping):
                    self._fail(path, f"model {pattern!r}: expected a table such as {{ input = 0.5, output = 1.5 }}")
                yield self._entry(pattern, table, path)
        yield from self._price_map(self._table("price_map"))

    def _entry(self, pattern: str, table: Mapping[str, Any], path: tuple[str, ...]) -> _Entry:
        def read(key: str, parse: Callable[[str, Any], _T], default: _T) -> _T:
            try:
                return parse(key, table[key]) if key in table else default
            except ValueError as problem:
                self._fail((*path, key), f"model {pattern!r}: {problem}")

        for key in table:
            if key not in _PRICE_KEYS and key not in _ENTRY_KEYS:
                hint = _did_you_mean(key, (*_PRICE_KEYS, *_ENTRY_KEYS))
                problem = f"{key!r} is not a price kind (input, output, cache_read, cache_write, ...){hint}"
                self._fail((*path, key), f"model {pattern!r}: {problem}")
        prices = {kind: read(kind, _usd, Decimal(0)) for kind in _PRICE_KEYS if kind in table}
        steps: Mapping[str, _Steps] = read("above", _steps, {})
        same_as = read("same_as", _text, None)
        free = read("free", _flag, default=False)
        since, until = read("from", _day, None), read("until", _day, None)
        if free and (prices or same_as):
            self._fail((*path, "free"), f"model {pattern!r}: free = true leaves no room for prices")
        if not (free or prices or same_as):
            self._fail(path, f"model {pattern!r}: no price: give input and output, or same_as, or free = true")
        if since and until and since >= until:
            problem = f"until = {until:%Y-%m-%d} is not after from = {since:%Y-%m-%d}"
            self._fail((*path, "until"), f"model {pattern!r}: {problem}")
        if missing := next((kind for kind in steps if kind not in prices), None):
            problem = f"above: {missing} has no price for less input"
            self._fail((*path, "above"), f"model {pattern!r}: {problem}")
        return _Entry(
            pattern=pattern.strip().lower(),
            where=self._where(path),
            provider=read("provider", _text, None),
            tier=_tier(read("tier", _text, None)),
            since=since,
            until=until,
            same_as=same_as,
            free=free,
            by_kind={kind: _Rate(usd, steps.get(kind, ())) for kind, usd in prices.items()},
        )

    def _price_map(self, price_map: Mapping[str, Any]) -> Iterator[_Entry]:
        """LangChain NVIDIA's form: USD per thousand tokens; `NAME-completion`, where there is one, is NAME's output."""
        per_million = {}
        for name, value in price_map.items():
            try:
                per_million[name] = _usd(name, value) * 1_000
            except ValueError as problem:
                self._fail(("price_map", name), f"price_map: {problem}")
        for name, input_usd in per_million.items():
            output_usd = per_million.get(f"{name}-completion", input_usd)
            yield _Entry(
                pattern=name.strip().lower(),
                where=self._where(("price_map", name)),
                by_kind={"input": _Rate(input_usd), "output": _Rate(output_usd)},
            )

    def _table(self, key: str) -> Mapping[str, Any]:
        table = self.data.get(key, {})
        if not isinstance(table, Mapping):
            self._fail((key,), f"{key}: expected a table, [{key}]")
        return table

    def _where(self, path: tuple[str, ...]) -> str:
        line = self._line(path)
        return self.label if line is None else f"{self.label}:{line}"

    def _fail(self, path: tuple[str, ...], problem: str) -> NoReturn:
        raise ConfigurationError(f"{self._where(path)}: {problem}")

    def _line(self, path: tuple[str, ...]) -> int | None:
        """The line at which `path` (or the nearest above it) is written; None for data that has no lines."""
        lines = self._statements
        while path:
            if path in lines:
                return lines[path]
            path = path[:-1]
        return None

    @cached_property
    def _statements(self) -> Mapping[tuple[str, ...], int]:
        """Path of keys → line, by parsing statement by statement: tomllib itself tells no lines."""
        found: dict[tuple[str, ...], int] = {}
        header: tuple[str, ...] = ()
        chunk: list[str] = []
        for number, text in enumerate((self.text or "").splitlines(), 1):
            chunk.append(text)
            try:
                data = tomllib.loads("\n".join(chunk))
            except tomllib.TOMLDecodeError:
                continue  # A statement over several lines.
            start = number - len(chunk) + 1
            chunk = []
            if not data:
                continue
            path = tuple(_only_path(data))
            if text.lstrip().startswith("["):
                array = "[[" in text.lstrip()[:2]
                index = (str(sum(1 for known in found if known[:-1] == path)),) if array else ()
                header = (*path, *index)
                found.setdefault(header, start)
            else:
                for key in _paths(data, header):
                    found.setdefault(key, start)
        return found


def _usd(kind: str, value: Any) -> Decimal:
    """USD per million tokens, as written; USD for one (see `_PER_ITEM`) becomes USD per million."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise InvalidOperation  # noqa: TRY301
        usd = Decimal(str(value).strip().removeprefix("$"))
        if not usd.is_finite() or usd < 0:
            raise InvalidOperation  # noqa: TRY301
    except InvalidOperation:
        raise ValueError(f"{kind} = {value!r} is not a price in USD (examples: 2.5, 0.075)") from None
    return usd * _MILLION if kind in _PER_ITEM else usd


def _steps(key: str, value: Any) -> Mapping[str, _Steps]:
    """Long-context prices by kind: `above = { input_tokens = 200_000, input = 5 }`, or a list of such."""
    steps: dict[str, _Steps] = {}
    previous = 0
    for step in value if isinstance(value, list) else [value]:
        start = step.get("input_tokens") if isinstance(step, Mapping) else None
        if not isinstance(start, int) or start <= previous:
            raise ValueError(f"{key}: expected tables like {{ input_tokens = 200_000, input = 5 }}, in ascending order")
        previous = start
        for kind, price in step.items():
            if kind in _PRICE_KEYS:
                steps[kind] = (*steps.get(kind, ()), (start, _usd(kind, price)))
            elif kind != "input_tokens":
                raise ValueError(f"{key}: {kind!r} is not a price kind{_did_you_mean(kind, _PRICE_KEYS)}")
    return steps


def _text(key: str, value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} = {value!r}: expected a name in quotes")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{key} = {value!r}: expected true or false")  # noqa: TRY004
    return value


def _day(key: str, value: Any) -> datetime | None:
    """Midnight UTC of that day."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(f"{key} = {value!s} is not a day (example: 2026-01-01, without quotes)")  # noqa: TRY004
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _only_path(data: Any) -> Iterator[str]:
    """The keys of `{a: {b: {}}}` or `{a: {b: [{}]}}`, which is what a table header alone parses to."""
    while isinstance(data, Mapping) and data:
        key, data = next(iter(data.items()))
        yield key


def _paths(data: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, str(key))
        yield from _paths(value, (*path, str(key)))


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


# --- The book ---------------------------------------------------------------------------------------------------------


class PriceBook:
    """The user's own prices, then genai-prices. Immutable; may be shared between threads.

    Among the user's prices an exact name wins over a pattern, then the earlier source, then the earlier line.
    """

    def __init__(self, entries: Iterable[_Entry] = ()) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: not entry.is_exact))

    @classmethod
    def of(cls, *sources: PriceSource) -> PriceBook:
        """A book of the user's prices, before those of genai-prices.

        Args:
            sources: Paths of price files, mappings of the same form, or NVIDIA's `price_map`; the earlier wins.

        Raises:
            ConfigurationError: A source that cannot be used as it is written: what, in which line, and what it takes.
        """
        return cls(entry for source in sources for entry in _PriceFile.read(source).entries())

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> PriceBook:
        """A book of one price file. Raises ConfigurationError as `of` does."""
        return cls.of(path)

    def price(self, call: Call, *, server_tools: Mapping[str, int] | None = None) -> Price | Unpriced:
        """What `call` costs. Never raises, whatever the call says.

        The price is that of `call.priced_at` (else `started_at`, else now); `math.inf` means the newest price known,
        for a recording that does not say when it was made. A cost that the provider stated is the cost.

        Args:
            call: The call; its `parts` are priced each as its own model and added.
            server_tools: How often the provider ran its own tools for it: `web_search`, `file_search`.
        """
        try:
            book: Price | Unpriced = self._price(call, server_tools or {})
        except _NoPriceError as error:
            book = Unpriced(str(error), _fix(call, error.fix))
        if call.stated_cost_usd is None or not call.stated_cost_usd.is_finite():
            return book
        cost_usd = _normal(call.stated_cost_usd)
        return Price(
            cost_usd,
            (PriceLine("stated", 1, None, cost_usd, call.model),),
            f"stated by {call.provider or 'the provider'}",
            book_usd=book.cost_usd if isinstance(book, Price) else None,
        )

    def describe(self, model: str, *, provider: str | None = None, at: float | None = None) -> str:
        """What applies to `model` and from where, as text: its prices now (or at `at`, epoch seconds) by kind.

        Args:
            model: A model's name as a call would have it.
            provider: LangChain's word for who sells it; None lists everyone who sells a model of that name.
            at: Seconds since the epoch; None is now.
        """
        moment = _moment(time.time() if at is None else at)
        if provider is not None:
            sellers: list[str | None] = [provider]
        else:
            sellers = [None, *(seller for seller in _providers() if _look_up(seller, model))]
        blocks: dict[str, str] = {}
        problem = ""
        for seller in sellers:
            try:
                rates = self._rates(seller, (model,), None, moment)
            except _NoPriceError as error:
                problem = (
                    problem
                    or f"{model}: {error}\nAdd to the price file:  {_fix(Call(index=0, provider=provider, model=model), error.fix)}"
                )
            else:
                blocks.setdefault(rates.source, _rates_text(rates))
        if not blocks:
            return problem
        return "\n\n".join([f"{model} on {moment:%Y-%m-%d}, USD per million tokens", *blocks.values()])

    def _price(self, call: Call, server_tools: Mapping[str, int]) -> Price:
        if call.usage is None:
            raise _NoPriceError("its usage is not known")
        moment = _moment(call.priced_at if call.priced_at is not None else call.started_at or time.time())
        tier = _tier(call.service_tier)
        names = [call.model, call.requested_model]
        if _provider_id(call.provider or "") in _BILLED_AS_REQUESTED:
            names.reverse()
        rates = self._rates(call.provider, tuple(name for name in names if name), tier, moment)
        lines, notes = _lines(rates, call.usage, server_tools)
        sources = [rates.source]
        for part in call.parts:
            part_rates = self._rates(call.provider, (part.model,), tier, moment)
            part_lines, part_notes = _lines(part_rates, part.usage, {})
            lines += part_lines
            notes += part_notes
            sources.append(part_rates.source)
        return Price(
            _added(*(line.amount_usd for line in lines)),
            tuple(lines),
            "; ".join(dict.fromkeys(sources)),
            notes=tuple(dict.fromkeys(notes)),
        )

    def _rates(self, provider: str | None, names: tuple[str, ...], tier: str | None, moment: datetime) -> _Rates:
        """The prices of the first of `names` that is known; the user's before genai-prices'."""
        spellings = dict.fromkeys(
            spelling
            for name in names
            for spelling in (name.strip().lower(), *_names(_provider_id(provider or ""), name))
        )
        for entry in self._entries:
            if entry.applies(provider, spellings, tier, moment):
                return self._entry_rates(entry, provider, names[0], tier, moment)
        for name in names:
            rates = _book_rates(provider, name, tier, moment)
            if rates is not None:
                if name != names[0]:
                    note = f"{names[0]} is not in the price book: priced as {name}, which was asked for"
                    rates = replace(rates, notes=(*rates.notes, note))
                return rates
        raise _NoPriceError(_unknown(provider, names))

    def _entry_rates(
        self, entry: _Entry, provider: str | None, model: str, tier: str | None, moment: datetime
    ) -> _Rates:
        own = _Rates(model=model, source=entry.where, by_kind=entry.by_kind, free=entry.free)
        if entry.same_as is None:
            return own
        others = PriceBook(other for other in self._entries if other.same_as is None)
        base = others._rates(provider, (entry.same_as,), tier, moment)
        return replace(
            base,
            source=f"{entry.where} as {base.source}",
            by_kind={**base.by_kind, **entry.by_kind},
        )


def _moment(at: float) -> datetime:
    """Seconds since the epoch as a moment; beyond what a date can hold, the first or last one."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        if math.isnan(at):
            raise _NoPriceError("the day of the call is not known") from None
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)


def _unknown(provider: str | None, names: tuple[str, ...]) -> str:
    if not names or set(names) == {UNKNOWN_MODEL}:
        return "nobody names the model"
    model = " or ".join(dict.fromkeys(names))
    if provider is None:
        return f"no price is known for {model} (no provider is named)"
    if _provider_id(provider) not in _providers():
        return f"no price is known for {model}: {_book_name()} does not know the provider {provider}"
    return f"{_book_name()} has no price for {model} by {provider}"


def _fix(call: Call, keys: Mapping[str, Any]) -> str:
    """The line of a price file that would price `call`."""
    name = call.model
    if call.model == UNKNOWN_MODEL and call.requested_model:
        name = call.requested_model
    if name.startswith("arn:"):
        name = f"*{name[name.rfind(':') :]}"  # The account's number is nobody's business.
    values: dict[str, Any] = {"provider": call.provider} if call.provider else {}
    if any(key in _PRICE_KEYS for key in keys):
        values |= {"same_as": call.model, **keys}
    else:
        values |= {**keys, "input": "?", "output": "?"}
    inside = ", ".join(f"{key} = {value}" if value == "?" else f'{key} = "{value}"' for key, value in values.items())
    return f'"{name}" = {{ {inside} }}'


def _rates_text(rates: _Rates) -> str:
    lines = [f"from {rates.source}"]
    if rates.free:
        lines.append("  free")
    for kind, rate in rates.by_kind.items():
        per = Decimal(1) / _MILLION if kind in _PER_ITEM else Decimal(1)
        suffix = " each" if kind in _PER_ITEM else ""
        lines.append(f"  {kind:<17}{plain(_normal(rate.base * per)):>12}{suffix}")
        lines += [f"    above {start:,} input tokens: {plain(_normal(usd * per))}{suffix}" for start, usd in rate.steps]
    lines += [f"  note: {note}" for note in rates.notes]
    return "\n".join(lines)
