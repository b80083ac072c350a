"""`Call`, one billed request to a model, and `Ledger`, the calls of a test (or of the run) in the order they started.

Frozen values with a plain-dict form: what a report, a snapshot or another process reads is exactly what was gathered.
Nothing here knows where a call came from (LangChain's callbacks or the wire); the layers above fill these in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.money import plain, total
from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "NO_ITEMS",
    "STATUSES",
    "UNKNOWN_MODEL",
    "Call",
    "Ledger",
    "Part",
    "Quote",
    "Source",
    "Status",
    "price_sources",
    "summed_usage",
    "usage_by_model",
]

Source: TypeAlias = Literal["langchain", "http"]

#: ``ok``: usage is known. ``no_usage``: the provider answered without usage. ``error``: it raised.
#: ``aborted``: it was abandoned, cancelled, broke off or never ended. ``cached``: answered by LangChain's own response
#: cache.
Status: TypeAlias = Literal["ok", "no_usage", "error", "aborted", "cached"]
STATUSES: tuple[Status, ...] = ("ok", "no_usage", "error", "aborted", "cached")

#: The model of a call that neither named a model nor was asked for one.
UNKNOWN_MODEL = "unknown"


#: Of what is billed by the piece: nothing.
NO_ITEMS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Part:
    """Work that a provider lists apart from the call's own usage, such as Anthropic's `iterations`.

    Attributes:
        kind: The provider's name for it (`compaction`, `advisor_message` …).
        model: The model that did it; it may be another than the call's.
        usage: Its tokens; not contained in `Call.usage`.
    """

    kind: str
    model: str
    usage: TokenUsage

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        return {"kind": self.kind, "model": self.model, "usage": self.usage.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Part:
        """The inverse of `to_dict`."""
        return cls(data["kind"], data["model"], TokenUsage.from_dict(data["usage"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a call costs and by whose price, or why that is not known.

    Attributes:
        cost_usd: USD, exact; None where it is not known.
        source: Where the price is from: the book, a comma, its entry (`genai-prices 0.2.3, openai/o3, since 2025-06-10`),
            `prices.toml:7` or `stated by openrouter`; several are separated by a semicolon. Empty where there is none.
        notes: What a reader of the bill should know, in words.
        book_usd: What the price book would have given where the provider stated its own cost; else None.
        reason: Why the cost is not known, in words.
        fix: The line of the price file that settles it, `?` for each number to fill in; empty where none would.
    """

    cost_usd: Decimal | None = None
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
        """Plain JSON-able data of all but the cost itself. Fields that hold nothing are left out."""
        data = {"source": self.source, "notes": list(self.notes), "reason": self.reason, "fix": self.fix}
        book = {} if self.book_usd is None else {"book_usd": plain(self.book_usd)}
        return {name: value for name, value in data.items() if value} | book

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], cost_usd: Decimal | None) -> Quote:
        """The inverse of `to_dict`; older files have none of it."""
        return cls(
            cost_usd=cost_usd,
            source=data.get("source", ""),
            notes=tuple(data.get("notes", ())),
            book_usd=Decimal(data["book_usd"]) if "book_usd" in data else None,
            reason=data.get("reason", ""),
            fix=data.get("fix", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to a model.

    Attributes:
        index: Position in the test, from 0, in the order in which calls started.
        source: `langchain` (a callback reported it) or `http` (only the provider's response told of it).
        provider: Who was asked, in LangChain's words (`openai`, `anthropic`, `amazon_bedrock` …); None if unknown.
        model: What the response says, else what was asked for, else `unknown`.
        requested_model: What was asked for, where that is known.
        usage: The tokens, or None where nobody knows them.
        is_partial: Whether `usage` is only what was told until the answer broke off: that or more was spent.
        status: See `Status`.
        service_tier: The provider's tier (`flex`, `priority`, `batch` …) where it tells one.
        parts: Work the provider lists apart; empty for nearly every call.
        billed_usage: The tokens as the provider bills them, where `usage` does not say all about it: fewer than it counts
            (Cohere), or with details that have a price of their own and that LangChain has no term for (`image`, `video`,
            `cache_read_audio` …). None for nearly every call.
        billed_items: What is billed by the piece, beside tokens or instead of them, by kind: searches and other tools that
            the provider ran itself (`web_search`, `file_search`, `code_interpreter` …), Cohere's `search_unit`.
        response_id: The provider's id of the response.
        streamed: Whether the answer came in pieces.
        node: The LangGraph node that made the call.
        tags: LangChain's tags of the run.
        started_at: Seconds since the epoch.
        duration_s: Seconds from the request to the last piece of the answer.
        priced_at: Seconds since the epoch that decide the price: the recording's date, else `started_at`; `math.inf` for a
            recording that does not say when it was made.
        phase: pytest's phase in which it started: `setup`, `call` or `teardown`.
        where: `file:line in function` of the user's code that made the call.
        sections: The sections (`llm_usage.section(name)`) that were open when it started, outermost first.
        reported: What LangChain reported, to the letter (`UsageMetadata`), or None.
        reported_model: The model name LangChain's own callback would file it under, or None where it drops the call.
        stated_cost_usd: The cost that the provider itself states on the wire, in USD.
        note: Why the usage is not what one would expect, in words; empty where there is nothing to say.
    """

    index: int
    source: Source = "langchain"
    provider: str | None = None
    model: str = UNKNOWN_MODEL
    requested_model: str | None = None
    usage: TokenUsage | None = None
    is_partial: bool = False
    status: Status = "ok"
    service_tier: str | None = None
    parts: tuple[Part, ...] = ()
    billed_usage: TokenUsage | None = None
    billed_items: Mapping[str, int] = field(default_factory=lambda: NO_ITEMS, hash=False)
    response_id: str | None = None
    streamed: bool = False
    node: str | None = None
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    duration_s: float | None = None
    priced_at: float | None = None
    phase: str = "call"
    where: str | None = None
    sections: tuple[str, ...] = ()
    reported: Mapping[str, Any] | None = None
    reported_model: str | None = None
    stated_cost_usd: Decimal | None = None
    note: str = ""
    #: Looks the price up when it is first read; the ledger itself knows no prices.
    pricer: Callable[[Call], Quote] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def quote(self) -> Quote:
        """What it costs and by whose price, or why that is not known."""
        if self.status == "cached":
            return Quote(cost_usd=Decimal(0))
        if self.is_partial:
            return Quote(reason="its usage is not known")
        return self.pricer(self) if self.pricer is not None else Quote()

    @property
    def cost_usd(self) -> Decimal | None:
        """USD, exact; None where the usage or the price is not known. Never 0 for want of a price."""
        return self.quote.cost_usd

    @property
    def is_billed(self) -> bool:
        """Whether a provider was asked at all: everything but an answer of LangChain's own cache."""
        return self.status != "cached"

    @property
    def is_unknown(self) -> bool:
        """Whether tokens were (or may have been) spent that nobody knows."""
        return self.is_partial or (self.usage is None and self.status in ("no_usage", "aborted"))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data; decimals as strings. Fields that hold nothing are left out."""
        data: dict[str, Any] = {}
        for name in _PLAIN_FIELDS:
            value = getattr(self, name)
            if value not in (None, "", ()):
                data[name] = _thawed(value)
        if self.usage is not None:
            data["usage"] = self.usage.to_dict()
        if self.parts:
            data["parts"] = [part.to_dict() for part in self.parts]
        if self.billed_usage is not None:
            data["billed_usage"] = self.billed_usage.to_dict()
        if self.billed_items:
            data["billed_items"] = dict(self.billed_items)
        if self.reported is not None:
            data["reported"] = _thawed(self.reported)
        if self.stated_cost_usd is not None:
            data["stated_cost_usd"] = plain(self.stated_cost_usd)
        if self.cost_usd is not None:
            data["cost_usd"] = plain(self.cost_usd)
        if self.usage is not None and (price := self.quote.to_dict()):
            data["price"] = price
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Call:
        """The inverse of `to_dict`: the cost is the one that was written, not looked up again."""
        values: dict[str, Any] = {name: data[name] for name in _PLAIN_FIELDS if name in data}
        for name in ("tags", "sections"):
            if name in values:
                values[name] = tuple(values[name])
        if values.get("priced_at") == _INFINITE:
            values["priced_at"] = math.inf
        if "usage" in data:
            values["usage"] = TokenUsage.from_dict(data["usage"])
        if "parts" in data:
            values["parts"] = tuple(Part.from_dict(part) for part in data["parts"])
        if "billed_usage" in data:
            values["billed_usage"] = TokenUsage.from_dict(data["billed_usage"])
        if "billed_items" in data:
            values["billed_items"] = MappingProxyType(dict(data["billed_items"]))
        if "reported" in data:
            values["reported"] = MappingProxyType(dict(data["reported"]))
        if "stated_cost_usd" in data:
            values["stated_cost_usd"] = Decimal(data["stated_cost_usd"])
        quote = Quote.from_dict(data.get("price", {}), Decimal(data["cost_usd"]) if "cost_usd" in data else None)
        return cls(**values, pricer=lambda _call: quote)


_STRUCTURED_FIELDS = ("usage", "parts", "billed_usage", "billed_items", "reported", "stated_cost_usd", "pricer")
_PLAIN_FIELDS = tuple(f.name for f in fields(Call) if f.name not in _STRUCTURED_FIELDS)


#: JSON has no infinite numbers.
_INFINITE = str(math.inf)


def _thawed(value: Any) -> Any:
    """`value` as JSON has it: without read-only mappings, tuples and numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


@dataclass(frozen=True, slots=True)
class Ledger:
    """The calls of a test, or of the run, in the order in which they started. Ledgers add up."""

    calls: tuple[Call, ...] = ()

    def __add__(self, other: Ledger) -> Ledger:
        if not isinstance(other, Ledger):
            return NotImplemented
        start = len(self.calls)
        renumbered = (replace(call, index=start + i) for i, call in enumerate(other.calls))
        return Ledger((*self.calls, *renumbered))

    def __radd__(self, other: object) -> Ledger:
        # sum() starts from 0.
        return self if other == 0 else NotImplemented

    def to_list(self) -> list[dict[str, Any]]:
        """Plain JSON-able data, one dict a call."""
        return [call.to_dict() for call in self.calls]

    @classmethod
    def from_list(cls, data: list[Mapping[str, Any]]) -> Ledger:
        """The inverse of `to_list`."""
        return cls(tuple(Call.from_dict(item) for item in data))


def price_sources(calls: Iterable[Call], name: Callable[[str], str] = str) -> dict[str, str]:
    """By whose price each model costs what it costs; several are separated by a semicolon.

    Args:
        calls: The calls; those without a price are left out.
        name: What a model is called in the result.
    """
    sources: dict[str, dict[str, None]] = {}
    for call in calls:
        if call.is_billed and call.quote.source:
            sources.setdefault(name(call.model), {})[call.quote.source] = None
    return {model: "; ".join(found) for model, found in sources.items()}


def usage_by_model(calls: Iterable[Call]) -> dict[str, dict[str, Any]]:
    """Plain JSON-able data by model, sorted by name: `summed_usage` of its calls. Answers of a cache are left out."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        if call.is_billed:
            groups.setdefault(call.model, []).append(call)
    return {model: summed_usage(groups[model]) for model in sorted(groups)}


def summed_usage(calls: Iterable[Call]) -> dict[str, Any]:
    """Plain JSON-able data: calls, tokens, details and billed items that are not zero, cost in USD as a string.

    What is not known is None, with `calls_without_usage` beside it; never 0. Answers of a cache count nothing.
    """
    billed = [call for call in calls if call.is_billed]
    unknown = sum(call.is_unknown for call in billed)
    data: dict[str, Any] = {"calls": len(billed)}
    if unknown:
        data |= {"calls_without_usage": unknown, "input_tokens": None, "output_tokens": None, "total_tokens": None}
    else:
        data |= sum((call.usage for call in billed if call.usage is not None), TokenUsage()).to_dict()
    items: Counter[str] = Counter()
    for call in billed:
        items.update(call.billed_items)
    if items:
        data["billed_items"] = dict(sorted(items.items()))
    costs = [call.cost_usd for call in billed if call.usage is not None or call.is_unknown]
    data["cost_usd"] = None if None in costs else plain(total(cost for cost in costs if cost is not None))
    return data
