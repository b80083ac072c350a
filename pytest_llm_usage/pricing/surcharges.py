"""Prices that sellers publish and genai-prices lacks: surcharges, long-context steps, and prices of single kinds.
Each row has its source. Where a seller publishes no rule, the list price applies, with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pytest_llm_usage.pricing.price import PER_ITEM
from pytest_llm_usage.pricing.rates import Rate
from pytest_llm_usage.pricing.sale import Sale

__all__ = [
    "LONG_CONTEXTS",
    "OWN_PRICES",
    "SURCHARGES",
    "TIER",
    "LongContext",
    "OwnPrice",
    "Surcharge",
    "holds",
    "own_prices",
    "terms_notes",
    "with_long_context",
]


#: The name of the service tier among the settled terms of a sale.
TIER = "service_tier"


class Surcharge(NamedTuple):
    """A factor on the list price of tokens.

    Attributes:
        name: What it is for, in words.
        seller: genai-prices' id of the seller.
        models: A regular expression for the models, by the price book's ids.
        applies: Whether a sale has the surcharge.
        factor: What the list price is multiplied by.
        source: Where the seller publishes it.
        modifier: The term of the sale that it settles; `TIER` for the service tier, empty for a region.
    """

    name: str
    seller: str
    models: str
    applies: Callable[[Sale], bool]
    factor: Decimal
    source: str
    modifier: str = ""

    def covers(self, sale: Sale, seller: str, model: str) -> bool:
        """Whether this sale of this model has the surcharge."""
        return seller == self.seller and re.match(self.models, model) is not None and self.applies(sale)


#: Models whose embeddings cost half in a batch, which genai-prices does not have: by seller, a pattern and its source.
_HALF_IN_A_BATCH = {
    "openai": (r"text-embedding-", "https://developers.openai.com/api/docs/guides/batch"),
    "google": (
        r"gemini-embedding-001",
        "https://developers.googleblog.com/gemini-batch-api-now-supports-embeddings-and-openai-compatibility",
    ),
}

SURCHARGES = (
    Surcharge(
        name="inference in the US only",
        seller="anthropic",
        models=r"claude-",  # older models refuse the parameter
        applies=lambda sale: sale.region == "us",
        factor=Decimal("1.1"),
        source="https://platform.claude.com/docs/en/manage-claude/data-residency",
    ),
    Surcharge(
        name="fast mode",
        seller="anthropic",
        models=r"claude-opus-4-[67]$",
        applies=lambda sale: sale.modifiers.get("speed") == "fast",
        factor=Decimal(6),
        source="https://platform.claude.com/docs/en/build-with-claude/fast-mode",
        modifier="speed",
    ),
    Surcharge(
        name="data residency",
        seller="openai",
        models=r"gpt-5[.-](?:[4-9]|\d\d)|gpt-(?:[6-9]|\d\d)|gpt-realtime-2\.",  # released on or after 2026-03-05
        applies=lambda sale: sale.region is not None,
        factor=Decimal("1.1"),
        source="https://developers.openai.com/api/docs/guides/data-residency",
    ),
    Surcharge(
        name="an endpoint that is not global",
        seller="google",
        models=r"claude-(?:haiku|sonnet|opus)-4-[5-9]|claude-(?!\d)[a-z]+-[5-9]",  # since the models 4.5
        applies=lambda sale: sale.region not in (None, "global"),
        factor=Decimal("1.1"),
        source="https://platform.claude.com/docs/en/about-claude/pricing#third-party-platform-pricing",
    ),
    *(
        Surcharge(
            name="a batch",
            seller=seller,
            models=models,
            applies=lambda sale: sale.tier == "batch",
            factor=Decimal("0.5"),
            source=source,
            modifier=TIER,
        )
        for seller, (models, source) in _HALF_IN_A_BATCH.items()
    ),
)


class LongContext(NamedTuple):
    """What a seller charges for a request with a long input, where genai-prices has one price for all requests.

    Attributes:
        seller: genai-prices' id of the seller.
        models: A regular expression for the models, by the price book's ids.
        above: With more input tokens than this, all tokens of the request cost more.
        input: The factor on every price of the input.
        output: The factor on every price of the output.
        source: Where it is published.
    """

    seller: str
    models: str
    above: int
    input: Decimal
    output: Decimal
    source: str


LONG_CONTEXTS = (
    LongContext(
        seller="aws",
        models=r"(?:global|regional)\.anthropic\.claude-sonnet-4-(?:5-)?2025",
        above=200_000,
        input=Decimal(2),
        output=Decimal("1.5"),
        source="https://claude.com/blog/1m-context",  # it names Amazon Bedrock and these prices
    ),
    # In the price book the list price has these steps; the prices of a batch and of the flex tier do not.
    LongContext(
        seller="openai",
        models=r"gpt-5\.5-pro$",
        above=272_000,
        input=Decimal(2),
        output=Decimal("1.5"),
        source="https://developers.openai.com/api/docs/guides/batch",  # half of what the same request costs
    ),
)


def with_long_context(seller: str, model: str, by_kind: Mapping[str, Rate]) -> dict[str, Rate]:
    """The prices with the steps of `LONG_CONTEXTS`; a price that has steps already keeps those."""
    row = next((row for row in LONG_CONTEXTS if row.seller == seller and re.match(row.models, model)), None)
    if row is None:
        return dict(by_kind)
    return {
        kind: rate
        if kind in PER_ITEM or rate.steps
        else rate.above(row.above, row.output if kind.startswith("output") else row.input)
        for kind, rate in by_kind.items()
    }


#: Regions (and other values of that field) in which a seller's list price is known to apply.
_LIST_PRICE_REGIONS: Mapping[str, frozenset[str]] = {
    "anthropic": frozenset({"global", "not_available"}),
    "aws": frozenset({"us", "us-east-1", "us-west-2"}),
    "google": frozenset({"global"}),
}
#: Models whose list price applies in all regions: OpenAI's models before its surcharge; on Vertex AI, Claude before 4.5
#: and Gemini before 3. All of Azure's are here because `genai_book` notes its regional prices on every price.
_SAME_EVERYWHERE: Mapping[str, str] = {
    "openai": r"gpt-[34]|gpt-5(?![.-][4-9])|o\d|chatgpt|text-embedding|whisper|tts|davinci|babbage|omni-moderation",
    "google": r"claude-3|claude-(?:opus|sonnet)-4(?!-[5-9])|claude-4|gemini-(?:[12]\.|pro|flash-1|live-2|embedding)",
    "azure": r"",
}


#: Terms that have no price of their own; `PriceBook` handles them.
_NO_PRICES = frozenset({"stop_reason", "fallback_credit"})


def terms_notes(sale: Sale, seller: str, model: str, settled: frozenset[str]) -> tuple[str, ...]:
    """Notes on the terms of a sale whose effect on the price is unknown; `settled` are the terms that have a price."""
    notes = [
        f"price of {name} = {value} not known: list price"
        for name, value in sale.terms
        if name not in settled | _NO_PRICES
    ]
    region = sale.place
    if region is not None and "region" not in settled and not _holds_in(region, seller, model):
        notes.append(f"price in the region {region} not known: list price")
    return tuple(notes)


def _holds_in(region: str, seller: str, model: str) -> bool:
    if region in _LIST_PRICE_REGIONS.get(seller, ()):
        return True
    if seller == "aws":
        # Claude and GPT cost the same in all of AWS's geographies except the government's.
        return re.match(r"global\.|regional\.(?:anthropic|openai)\.", model) is not None and "us-gov" not in region
    same = _SAME_EVERYWHERE.get(seller)
    return same is not None and re.match(same, model) is not None


class OwnPrice(NamedTuple):
    """Prices of single kinds that a seller publishes and genai-prices lacks or has differently.

    Attributes:
        seller: genai-prices' id of the seller.
        models: A regular expression for the models, by the name they are billed under.
        usd: USD by kind: for a million tokens, or for one item.
        source: Where the seller publishes them.
    """

    seller: str
    models: str
    usd: Mapping[str, Decimal]
    source: str


_OPENAI_PRICING = "https://developers.openai.com/api/docs/pricing"
#: OpenAI's reasoning models: for them a search by the older tool costs less, and the tokens that it found cost more.
_REASONING = r"(?:o\d|gpt-5(?!-chat)|gpt-(?:[6-9]|\d\d))"

OWN_PRICES = (
    OwnPrice(
        seller="cohere",
        models=r"embed-v4",
        usd={"input_image": Decimal("0.47")},
        source="https://cohere.com/pricing",
    ),
    # Searches by Bing. Azure's own price list shows no numbers without an account.
    OwnPrice(
        seller="azure",
        models=r"gpt-|o\d",
        usd={"web_search": Decimal("0.014"), "web_search_preview": Decimal("0.014")},
        source="https://github.com/microsoft/Foundry-Agent-Solution-Templates/blob/main/enterprise-knowledge-agent/docs/cost.md",
    ),
    # A prompt that was answered with Google Maps. Later models are billed per query, whose number no response states.
    OwnPrice(
        seller="google",
        models=r"gemini-2\.5",
        usd={"map_search": Decimal("0.025")},
        source="https://ai.google.dev/gemini-api/docs/maps-grounding#pricing",
    ),
    OwnPrice(
        seller="openai",
        models=r"gpt-4o(?:-mini)?-search-preview",
        usd={"web_search": Decimal("0.025")},
        source=_OPENAI_PRICING,
    ),
    OwnPrice(
        seller="openai",
        models=r"gpt-\d+-search-api",
        usd={"web_search": Decimal("0.01")},
        source=_OPENAI_PRICING,
    ),
    OwnPrice(
        seller="openai",
        models=_REASONING,
        usd={
            "web_search": Decimal("0.01"),
            "web_search_preview": Decimal("0.01"),
            "file_search": Decimal("0.0025"),
        },
        source=_OPENAI_PRICING,
    ),
    OwnPrice(
        seller="openai",
        models=r"gpt-4o(?:-mini|-2024-\d\d-\d\d|-mini-2024-\d\d-\d\d)?$|gpt-4\.1",
        usd={"web_search_preview": Decimal("0.025")},
        source=_OPENAI_PRICING,
    ),
)


#: Since this day DeepSeek does not charge its peak prices on Saturdays and Sundays, which genai-prices leaves out:
#: https://api-docs.deepseek.com/quick_start/pricing
_CHEAP_WEEKENDS_SINCE = date(2026, 8, 23)
#: The hours, in UTC, at which peak prices begin.
_PEAK_START_HOURS = (1, 6)


def holds(constraint: Any, moment: datetime) -> bool:
    """Whether the condition of a price holds at a moment."""
    begin = getattr(constraint, "start_time", None)
    is_weekend = moment.weekday() >= _SATURDAY and moment.date() >= _CHEAP_WEEKENDS_SINCE
    if begin is not None and begin.hour in _PEAK_START_HOURS and is_weekend:
        return False
    return bool(constraint.active(moment))


_SATURDAY = 5


def own_prices(seller: str, names: tuple[str, ...]) -> Mapping[str, Decimal]:
    """The prices by kind from `OWN_PRICES`; the earlier row wins."""
    prices: dict[str, Decimal] = {}
    for row in reversed(OWN_PRICES):
        if row.seller == seller and any(re.match(row.models, name.strip().lower()) for name in names):
            prices |= row.usd
    return prices
