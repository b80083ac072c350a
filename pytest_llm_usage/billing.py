"""`Billing`: what a call was billed for, and on which terms. `Quote`: what that costs.

A `Billing` is made from the wire (or LangChain), a `Call` carries it, and a price book reads it and returns a `Quote`.
A new fact about what is billed is a field here and a property in the run file's schema; nothing in between names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from operator import attrgetter
from sys import intern
from types import MappingProxyType
from typing import Any

from pytest_llm_usage.money import plain
from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "BY_TOKENS",
    "NEW_PRICE_FILE",
    "NOTHING",
    "Billing",
    "Part",
    "PriceLine",
    "Quote",
    "as_data",
    "price_file_lines",
]

#: An empty mapping, of items or of modifiers.
NOTHING: Mapping[str, Any] = MappingProxyType({})

#: Python does not write an integer of some 14,000 bits (4,300 digits) as text.
_MOST_BITS = 10_000


def as_data(value: Any) -> Any:
    """`value` as JSON can hold it: without read-only mappings, tuples, decimals and numbers that are not finite.

    Any other value, which only an integration can have put there, becomes text.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < _MOST_BITS else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, TokenUsage | Part):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    return plain(value) if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """What a call was billed for, and the terms that decide its price. Everything may be left out.

    Attributes:
        usage: The tokens as the provider bills them, where `Call.usage` does not say all about it: fewer than it counts
            (Cohere), or with details that have a price of their own and that LangChain has no term for (`image`, `video`,
            `cache_read_audio` …). None for nearly every call.
        items: What is billed by the piece, beside tokens or instead of them, by kind: searches and other tools that the
            provider ran itself (`web_search`, `file_search`, `code_interpreter` …), Cohere's `search_unit`.
        parts: Work that the provider lists apart, or the requests that a batch is made of.
        stated_cost_usd: The cost that the provider itself states on the wire, in USD.
        seller: Who sells the model where that is not `Call.provider`: the provider behind a gateway.
        region: Where it was sold, in the provider's words (`us-east-1`, `eu`, `global` …).
        service_tier: The provider's tier (`flex`, `priority`, `batch` …).
        modifiers: Further terms that change the price, in the provider's words: `speed` (`fast`), `latency`
            (`optimized`) …
        priced_at: Seconds since the epoch that decide the price: the recording's date; `math.inf` for a recording that
            does not say when it was made; None for the moment at which the call started.
    """

    usage: TokenUsage | None = None
    items: Mapping[str, int] = field(default_factory=lambda: NOTHING, hash=False)
    parts: tuple[Part, ...] = ()
    stated_cost_usd: Decimal | None = None
    seller: str | None = None
    region: str | None = None
    service_tier: str | None = None
    modifiers: Mapping[str, str] = field(default_factory=lambda: NOTHING, hash=False)
    priced_at: float | None = None

    def filled_from(self, other: Billing) -> Billing:
        """The same billing, with every field that is not set taken from `other`."""
        names = [f.name for f in fields(self)]
        return Billing(
            **{name: mine if _is_set(mine := getattr(self, name)) else getattr(other, name) for name in names}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data, as part of the call's. Fields that hold nothing are left out."""
        if self is BY_TOKENS:
            return {}
        return {
            key: as_data(value) for key, value in zip(_DATA_KEYS, _billed(self), strict=True) if value not in _NOTHING
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Billing:
        """The inverse of `to_dict`; the call's other data may stand beside it."""
        found = {name: data[key] for name, key in _KEYS if data.get(key) is not None}
        if not found:
            return BY_TOKENS
        return cls(**{name: _READERS.get(name, _as_is)(value) for name, value in found.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        # Mapping proxies cannot be pickled.
        return Billing.from_dict, (self.to_dict(),)


@dataclass(frozen=True, slots=True)
class Part:
    """Work that a provider lists apart from the call's own usage, such as Anthropic's `iterations`, or a batch's request.

    Attributes:
        kind: The provider's name for it (`compaction`, `advisor_message` …).
        model: The model that did it; it may be another than the call's.
        usage: Its tokens.
        billing: What it was billed for, where that is not all in `usage`, and its terms where they are not the call's.
        in_total: Whether `Call.usage` contains `usage`, as that of a batch contains its requests'.
    """

    kind: str
    model: str
    usage: TokenUsage
    billing: Billing = field(default_factory=Billing)
    in_total: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        data = {"kind": self.kind, "model": self.model, "usage": self.usage.to_dict()} | self.billing.to_dict()
        return data | {"in_total": True} if self.in_total else data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Part:
        """The inverse of `to_dict`."""
        return cls(
            data["kind"],
            data["model"],
            TokenUsage.from_dict(data["usage"]),
            Billing.from_dict(data),
            data.get("in_total", False),
        )


def _is_set(value: object) -> bool:
    return value not in _NOTHING


_NOTHING = (None, NOTHING, (), "")


def _as_is(value: Any) -> Any:
    return value


#: The names of `Billing`'s fields in a call's data, where they differ.
_DATA_NAMES = {"usage": "billed_usage", "items": "billed_items"}
_KEYS = tuple((f.name, _DATA_NAMES.get(f.name, f.name)) for f in fields(Billing))
_DATA_KEYS = tuple(key for _, key in _KEYS)
_billed = attrgetter(*(name for name, _ in _KEYS))
#: The billing of nearly every call: by its tokens, without special terms.
BY_TOKENS = Billing()
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "usage": TokenUsage.from_dict,
    "items": lambda items: MappingProxyType(dict(items)),
    "modifiers": lambda modifiers: MappingProxyType(dict(modifiers)),
    "parts": lambda parts: tuple(Part.from_dict(part) for part in parts),
    "stated_cost_usd": Decimal,
    "priced_at": float,
}


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One kind of tokens (or requests, or searches) of one model: quantity × price = amount.

    Attributes:
        kind: `input`, `output`, `cache_read`, `request` …; `stated` where the provider itself named the whole cost.
            A kind that the price book does not price apart is part of `input` or `output`.
        quantity: Tokens; for `request` and the searches, how many.
        usd_per_million: USD per million of them; None for `stated`.
        amount_usd: Exactly their product; of a price by the hour, to a millionth of a millionth of a dollar.
        model: The model in the price book's words.
    """

    kind: str
    quantity: int
    usd_per_million: Decimal | None
    amount_usd: Decimal
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a call costs, how that came about and by whose price; or why that is not known.

    Attributes:
        cost_usd: USD, exact; None where it is not known.
        at_most: Whether `cost_usd` is a bound: that or less was billed, and `notes` say why.
        lines: The parts of the cost, in the order input, output, by the piece, then the call's `parts`. Not part of a
            run's data.
        source: Where the price is from: the book, a comma, its entry (`genai-prices 0.2.3, openai/o3, since 2025-06-10`),
            `prices.toml:7` or `stated by openrouter`; several are separated by a semicolon. Empty if there is none.
        notes: What a reader of the bill should know, in words.
        book_usd: What the price book would have given where the provider stated its own cost; else None.
        reason: Why the cost is not known, in words.
        fix: The line of the price file, beneath `[models]`, that fixes it, or what to add to which line; `?` stands for
            a number to fill in. Empty where no line would help.
    """

    cost_usd: Decimal | None = None
    at_most: bool = False
    lines: tuple[PriceLine, ...] = field(default=(), compare=False)
    source: str = ""
    notes: tuple[str, ...] = ()
    book_usd: Decimal | None = None
    reason: str = ""
    fix: str = ""

    @property
    def books(self) -> tuple[str, ...]:
        """The books of `source`, without their entries."""
        return tuple(dict.fromkeys(each.partition(", ")[0] for each in self.source.split("; ") if each))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data of all but the cost itself and its lines. Fields that hold nothing are left out."""
        values = {name: getattr(self, name) for name in _QUOTE_DATA}
        return {name: as_data(value) for name, value in values.items() if value or isinstance(value, Decimal)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], cost_usd: Decimal | None) -> Quote:
        """The inverse of `to_dict`; older files have none of it."""
        return cls(
            cost_usd=cost_usd,
            at_most=data.get("at_most", False),
            # Thousands of calls have the same texts; each is in memory once.
            source=intern(data.get("source", "")),
            notes=tuple(map(intern, data.get("notes", ()))),
            book_usd=Decimal(data["book_usd"]) if "book_usd" in data else None,
            reason=intern(data.get("reason", "")),
            fix=intern(data.get("fix", "")),
        )


_QUOTE_DATA = tuple(f.name for f in fields(Quote) if f.name not in ("cost_usd", "lines"))

#: How to set up a price file; two lines where nothing wraps them.
NEW_PRICE_FILE = (
    "No such file yet? Create prices.toml with the first line  [models]",
    "and set  llm_usage_prices = prices.toml  in pytest's configuration",
)


def price_file_lines(fixes: Iterable[str]) -> list[str]:
    """The end of an error that lines of a price file fix: the lines to add, and how to set up such a file.

    Args:
        fixes: `Quote.fix` of each call; the empty ones are left out.
    """
    lines = [f"  {fix}" for fix in dict.fromkeys(fixes) if fix]
    return ["Add to the file of llm_usage_prices:", *lines, *NEW_PRICE_FILE] if lines else []
