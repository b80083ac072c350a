"""The book that genai-prices ships: finding a model in it, and its prices at a moment.

Only this module imports genai-prices, and not before the first price is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.errors import NoPriceError
from pytest_llm_usage.event_loop import outside_event_loop
from pytest_llm_usage.import_hook import uncollected, untraced
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.pricing.billing_rules import (
    AUDIO_AS_TEXT,
    BILLS_INPUT_ONLY,
    CLOSED_MAKERS,
    FEE_BY_SEARCH_SIZE,
    GATEWAYS,
    GENERIC_CLIENT,
    KNOWN_SELLERS,
    NOT_SOLD_BY_MAKER,
    REASONING_IN_TOTAL_ONLY,
    SELLS_FOR,
    provider_id_of,
)
from pytest_llm_usage.pricing.model_names import is_same, spellings, stem
from pytest_llm_usage.pricing.price import PER_ITEM, per_million
from pytest_llm_usage.pricing.rates import ENDLESS_DIGITS, Rate, Rates
from pytest_llm_usage.pricing.sale import Sale
from pytest_llm_usage.pricing.surcharges import SURCHARGES, TIER, holds, own_prices, terms_notes, with_long_context

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, MatchLogic, ModelInfo, ModelPrice, PriceVariant, Provider

__all__ = ["book_name", "book_rates", "look_up", "shipped_providers"]

#: Our kinds → genai-prices' price keys. Its prices are per million tokens, per thousand (`kcount`, `kpages`) of what is
#: counted one by one, and per hour of audio.
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
    "cache_read_audio": "cache_audio_read_mtok",
    "cache_read_image": "cache_image_read_mtok",
    "output_reasoning": "output_reasoning_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "output_video": "output_video_mtok",
    "output_citation": "output_citation_mtok",
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "page": "input_document_kpages",
    "annotated_page": "input_annotated_document_kpages",
    "audio_second": "audio_hours",
}
_DOTTED_VERSION = re.compile(r"-(\d+\.\d+)$")


@cache
def shipped_providers() -> Mapping[str, Provider]:
    """The book that genai-prices ships, not its "current" one, which an application may update over the network.

    Importing it takes about 0.2 s if pydantic and httpx2 are already loaded, else 0.4 s. Most of that time builds the
    2,400 models, one object at a time, so the import waits until a cost is first read.
    """
    data = outside_event_loop(uncollected()(untraced()(lambda: import_module("genai_prices.data"))))
    return {provider.id: provider for provider in data.providers}


@cache
def book_name() -> str:
    """`genai-prices 0.2.3`, without importing it."""
    return f"genai-prices {outside_event_loop(lambda: version('genai-prices'))}"


def _matches(rule: MatchLogic, name: str) -> bool:
    """Whether one of genai-prices' rules names exactly this model; see `is_same`."""
    from genai_prices import types  # noqa: PLC0415

    if not rule.is_match(name):
        return False
    match rule:
        case types.ClauseStartsWith(starts_with=text):
            return is_same(name, 0, text.lower())
        case types.ClauseEndsWith(ends_with=text):
            return is_same(name, len(name) - len(text), text.lower())
        case types.ClauseContains(contains=text):
            return is_same(name, name.index(text.lower()), text.lower())
        case types.ClauseRegex(regex=pattern):
            found = re.search(pattern, name)
            return found is not None and not name[found.end() :].strip("-0123456789")
        case types.ClauseOr(or_=rules):
            return any(_matches(each, name) for each in rules)
        case types.ClauseAnd(and_=rules):
            return any(_matches(each, name) for each in rules)
        case types.ClauseEquals():
            return True


def _find(provider: Provider, model: str) -> ModelInfo | None:
    """The model of `provider` (or of one whose models it sells at the same price) with that name."""
    book = shipped_providers()
    makers = SELLS_FOR.get(provider.id, provider.fallback_model_providers or ())
    sellers = [provider, *(book[maker] for maker in makers if maker in book)]
    sold = [info for seller in sellers for info in seller.models if not _is_sold_by_others(seller, info)]
    for name in spellings(provider.id, model):
        for info in sold:
            if name == info.id.lower() or _matches(info.match, name) or (info.is_match(name) and _is_named(info, name)):
                return info
    return None


def _is_named(info: ModelInfo, name: str) -> bool:
    """Whether an entry whose rules are laxer names exactly this model, in its id or its title (Claude 2.0 / 2.1)."""
    version = _DOTTED_VERSION.search(name)
    return stem(name) == stem(info.id.lower()) or (version is not None and version[1] in (info.name or "").split())


def _is_sold_by_others(seller: Provider, info: ModelInfo) -> bool:
    prefix = NOT_SOLD_BY_MAKER.get(seller.id)
    return prefix is not None and info.id.startswith(prefix)


@lru_cache(maxsize=4096)
def look_up(seller_id: str | None, model: str) -> tuple[Provider, ModelInfo, tuple[str, ...]] | None:
    """The seller of `model`, the book's entry for it, and notes on how it was found; None if it is not in the book.

    Args:
        seller_id: The seller's id (`Sale.seller`).
        model: The model's name.
    """
    book = shipped_providers()
    seller = book.get(seller_id) if seller_id else None
    if seller is not None and (info := _find(seller, model)):
        return seller, info, ()
    is_known = seller is not None or seller_id in KNOWN_SELLERS
    if is_known and seller_id != GENERIC_CLIENT and seller_id not in GATEWAYS:
        return None
    maker_id, _, name = model.partition("/")
    maker = book.get(provider_id_of(maker_id))
    if maker is not None and (maker.id in CLOSED_MAKERS or seller_id in GATEWAYS) and (info := _find(maker, name)):
        return maker, info, (f"{model} on a gateway: priced as {maker.name}'s {info.id}",)
    if seller_id == GENERIC_CLIENT:
        return None
    for maker in (book[each] for each in CLOSED_MAKERS):
        if info := _find(maker, model):
            known = f"{seller_id} is a gateway" if is_known else "provider not known"
            return maker, info, (f"{known}: taken from the model's name ({maker.name})",)
    return None


def book_rates(sale: Sale) -> Rates | None:
    """genai-prices' prices of a sale under the first of its names; None if it does not know the model."""
    # Each call has its own moment. Unless the price depends on the hour, calls of one day share a cached result.
    return _rates_at(sale if _changes_within_days(sale.seller, sale.names[0]) else sale.on_its_day())


@lru_cache(maxsize=4096)
def _changes_within_days(seller_id: str | None, model: str) -> bool:
    """Whether a model has a price for some hours of the day."""
    found = look_up(seller_id, model)
    if found is None:
        return False
    listed = found[1].prices
    prices = (*(listed if isinstance(listed, list) else ()), *(found[1].price_variants or ()))
    return any(hasattr(price.constraint, "start_time") for price in prices)


@lru_cache(maxsize=4096)
def _rates_at(sale: Sale) -> Rates | None:
    model = sale.names[0]
    found = look_up(sale.seller, model)
    if found is None:
        return None
    seller, info, notes = found
    source = f"{book_name()}, {seller.id}/{info.id}"
    listed = _listed(info, sale.moment)
    if listed is None:
        raise NoPriceError(f"{source} has no price for {sale.moment:%Y-%m-%d}", {})
    by_kind = _kinds(listed.prices)
    if not by_kind:
        raise NoPriceError(f"{source} has no price per token", {})
    # A seller of another maker's models has its own tiers, at its own prices.
    variants = (info.price_variants or []) if any(info is own for own in seller.models) else []
    settled = set()
    if sale.tier is not None:
        when = {"processing": "batch"} if sale.tier == "batch" else {"service_tier": sale.tier}
        tier_kinds, note = _variant_kinds(info, variants, when, sale.moment)
        if tier_kinds:
            by_kind |= tier_kinds
            source += f", {sale.tier}"
            notes += note
            settled.add(TIER)
    for name, value in sale.terms:
        term_kinds, note = _variant_kinds(info, variants, {name: value}, sale.moment)
        if term_kinds:
            by_kind |= term_kinds
            source += f", {value}"
            notes += note
            settled.add(name)
    by_kind = with_long_context(seller.id, info.id, by_kind)
    for surcharge in SURCHARGES:
        if surcharge.modifier not in settled and surcharge.covers(sale, seller.id, info.id):
            by_kind = {
                kind: rate if kind in PER_ITEM else rate.times(surcharge.factor) for kind, rate in by_kind.items()
            }
            notes += (f"list price × {surcharge.factor} for {surcharge.name} ({surcharge.source})",)
            settled.add(surcharge.modifier or "region")
    if sale.tier is not None and TIER not in settled:
        raise NoPriceError(f"{source} has no price for the service tier {sale.tier}", {"tier": sale.tier})
    if "speed" not in settled and "speed" in sale.modifiers:
        raise NoPriceError(
            f"{source} has no price for speed = {sale.modifiers['speed']}", {"speed": sale.modifiers["speed"]}
        )
    if seller.id in BILLS_INPUT_ONLY:
        by_kind["output"] = Rate(Decimal(0))
    names = (model, info.id)
    by_kind |= {kind: Rate(per_million(kind, usd)) for kind, usd in own_prices(seller.id, names).items()}
    notes += terms_notes(sale, seller.id, info.id, frozenset(settled))
    notes += _history_notes(info, sale.moment)
    is_largest_fee = "request" in by_kind and seller.id in FEE_BY_SEARCH_SIZE
    if is_largest_fee:
        notes += ("the fee per request is that of the largest search: this is the most it can cost",)
    if seller.id == "azure":
        notes += ("price of a global deployment: Azure's data zones and regions have their own",)
    return Rates(
        model=info.id,
        source=source + _constraint_text(listed.constraint),
        by_kind=by_kind,
        notes=notes,
        at_most=is_largest_fee,
        total_has_reasoning=seller.id in REASONING_IN_TOTAL_ONLY,
        audio_as_text=seller.id in AUDIO_AS_TEXT,
    )


@cache
def _history_begins() -> date:
    """The first day on which the book records a price change. It does not say what was billed before."""
    starts: Iterator[date] = (
        start
        for provider in shipped_providers().values()
        for info in provider.models
        if isinstance(info.prices, list)
        for price in info.prices
        if (start := getattr(price.constraint, "start_date", None))
    )
    return min(starts)


def _history_notes(info: ModelInfo, moment: datetime) -> tuple[str, ...]:
    begins = _history_begins()
    if moment.date() >= begins:
        return ()
    return (f"the price book knows prices since {begins:%Y-%m-%d}: its oldest price of {info.id}",)


def _listed(info: ModelInfo, moment: datetime) -> ConditionalPrice | None:
    """The list price at a moment: the last whose condition holds.

    A price for hours of the day starts with the dated price that it follows; genai-prices itself applies it on any day.
    """
    from genai_prices.types import ConditionalPrice, StartDateConstraint  # noqa: PLC0415

    if not isinstance(info.prices, list):
        return ConditionalPrice(prices=info.prices)
    listed = None
    has_begun = True
    for price in info.prices:
        if isinstance(price.constraint, StartDateConstraint):
            has_begun = price.constraint.active(moment)
        if price.constraint is None or (has_begun and holds(price.constraint, moment)):
            listed = price
    return listed


def _variant_kinds(
    info: ModelInfo, variants: Iterable[PriceVariant], when: Mapping[str, str], moment: datetime
) -> tuple[dict[str, Rate], tuple[str, ...]]:
    """The prices with which a service tier (or another term) replaces list prices, and a note if they are inferred.

    genai-prices has many tiers only since the day it began to record them. Before that day the tier's first price is
    used, if the list price has not changed since.
    """
    variants = [variant for variant in variants if variant.when == when]
    active = [variant for variant in variants if variant.constraint is None or variant.constraint.active(moment)]
    note: tuple[str, ...] = ()
    if not active:
        dated = [(getattr(variant.constraint, "start_date", date.max), variant) for variant in variants]
        first_day = min((day for day, _ in dated), default=date.max)
        listed_then = _listed(info, datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC))
        listed_now = _listed(info, moment)
        if listed_then and listed_now and listed_then.prices == listed_now.prices:
            active = [variant for day, variant in dated if day == first_day]
            note = (
                f"the price book has the {next(iter(when.values()))} price since {first_day:%Y-%m-%d}, and the list price did not change",
            )
    kinds: dict[str, Rate] = {}
    for variant in reversed(active):
        kinds |= _kinds(variant.prices)
    return kinds, note


def _constraint_text(constraint: Any) -> str:
    """`, since 2025-06-10` or `, 16:30 to 00:30 UTC`."""
    if constraint is None:
        return ""
    if start := getattr(constraint, "start_date", None):
        return f", since {start:%Y-%m-%d}"
    return f", {constraint.start_time:%H:%M} to {constraint.end_time:%H:%M} UTC"


def _per_million_seconds(usd_per_hour: Decimal) -> Decimal:
    """USD per million seconds. The division may never end, so digits are cut here; `lines_of` rounds the amount."""
    return EXACT.divide(EXACT.multiply(usd_per_hour, 1_000_000), 3_600).quantize(_ENDLESS, context=EXACT)


_ENDLESS = Decimal(1).scaleb(-ENDLESS_DIGITS)


def _kinds(prices: ModelPrice) -> dict[str, Rate]:
    """genai-prices' prices of a model by our kinds. Prices per character are left out."""
    by_kind = {}
    for kind, key in _PRICE_KEYS.items():
        price = getattr(prices, key)
        if price is None:
            continue
        factor = Decimal(1_000) if kind in PER_ITEM else Decimal(1)
        if kind == "audio_second" and isinstance(price, Decimal):
            by_kind[kind] = Rate(_per_million_seconds(price))
        elif isinstance(price, Decimal):
            by_kind[kind] = Rate(EXACT.multiply(price, factor))
        else:
            by_kind[kind] = Rate(
                EXACT.multiply(price.base, factor),
                tuple((tier.start, EXACT.multiply(tier.price, factor)) for tier in price.tiers),
            )
    return by_kind
