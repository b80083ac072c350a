"""`Call`, one billed request to a model, and `Ledger`, the calls of a test (or of the run) in the order they started.

These are frozen values with a plain-dict form: a report, a snapshot or another process reads exactly what was
collected. Nothing here knows where a call came from (LangChain's callbacks or the wire); the layers above make them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from sys import intern
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

from pytest_llm_usage.billing import Billing, Part, Quote, as_data
from pytest_llm_usage.errors import ConfigurationError, hides_frames
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.money import plain, total
from pytest_llm_usage.usage import TokenUsage, masked, with_names_once

__all__ = [
    "NOT_READ",
    "STATUSES",
    "UNKNOWN_MODEL",
    "USAGE_NOT_ASKED",
    "Call",
    "Inputs",
    "Ledger",
    "Quotes",
    "Source",
    "Status",
    "call_attribute",
    "langchain_report",
    "price_sources",
    "summed_usage",
    "usage_by_model",
]

Source: TypeAlias = Literal["langchain", "http"]

#: See `Call.status`.
Status: TypeAlias = Literal["ok", "no_usage", "error", "aborted", "cached", "fake"]
STATUSES: tuple[Status, ...] = ("ok", "no_usage", "error", "aborted", "cached", "fake")

#: The model of a call whose request and response name none.
UNKNOWN_MODEL = "unknown"

#: In the note of a call: streams of APIs like OpenAI's state their usage only if the request asks for it.
USAGE_NOT_ASKED = 'did not ask for usage: stream_options={"include_usage": True}'
#: In the note of a call to an unknown API, before the address that answered.
NOT_READ = "looks like a model call that is not read"


class Quotes(Protocol):
    """What knows the cost of a call: a price book, or a stand-in for one."""

    def quote(self, call: Call) -> Quote:
        """What `call` costs and by whose price, or why that is not known."""


class Inputs(Protocol):
    """What knows the input of a call."""

    def input_by_part(self, call: Call) -> InputByPart | str:
        """The input of `call` by part, or why that is not known."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request to a model.

    Attributes:
        index: Position in the test, from 0, in the order in which calls started.
        source: `langchain` (a callback reported it) or `http` (only the provider's response told of it).
        provider: Who was asked, in LangChain's words (`openai`, `anthropic`, `amazon_bedrock` …); None if unknown.
        model: What the response says, else what was asked for, else `unknown`.
        requested_model: What was asked for, where that is known.
        usage: The tokens, or None if they are unknown.
        is_partial: Whether `usage` is only what was reported before the answer broke off: that or more was spent.
        status: `ok` (the usage is known), `no_usage` (the provider answered without it), `error` (the call failed), `aborted`
            (it was abandoned, cancelled, broke off or never ended), `cached` (answered by LangChain's own response cache) or
            `fake` (answered without usage by one of LangChain's own fake models).
        billing: What it was billed for and on which terms: see `Billing`.
        response_id: The provider's id of the response.
        streamed: Whether the answer came in pieces.
        node: The LangGraph node that made the call.
        tags: LangChain's tags of the run.
        started_at: Seconds since the epoch.
        duration_s: Seconds from the request to the last piece of the answer.
        live: Whether the provider answered during this run: no cassette, no mock, no loopback.
        phase: pytest's phase in which it started: `setup`, `call` or `teardown`.
        where: `file:line in function` of the user's code that made the call.
        sections: The sections (`llm_usage.section(name)`) that were open when it started, outermost first.
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
    billing: Billing = field(default_factory=Billing)
    response_id: str | None = None
    streamed: bool = False
    node: str | None = None
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    duration_s: float | None = None
    live: bool = False
    phase: str = "call"
    where: str | None = None
    sections: tuple[str, ...] = ()
    note: str = ""
    #: What LangChain reported, to the letter (`UsageMetadata`), and the model that its own callback would file it under
    #: (None where it drops the call). Read them with `langchain_report`.
    _reported: Mapping[str, Any] | None = None
    _reported_model: str | None = None
    #: The quote, or what provides it on first access; the ledger itself knows no prices.
    _quotes: Quotes | Quote | None = field(default=None, repr=False, compare=False)
    #: The input by part (or why it is not known), or what provides it on first access.
    _inputs: Inputs | InputByPart | str = field(default="its request was not seen", repr=False, compare=False)

    @cached_property
    def quote(self) -> Quote:
        """What it costs and by whose price, or why that is not known."""
        if not self.is_billed:
            return Quote(cost_usd=Decimal(0))
        if self.is_partial:
            return Quote(reason="its usage is not known")
        if isinstance(self._quotes, Quote):
            return self._quotes
        return self._quotes.quote(self) if self._quotes is not None else Quote()

    @property
    def cost_usd(self) -> Decimal | None:
        """USD, exact; None where the usage or the price is not known. Never 0 for want of a price."""
        return self.quote.cost_usd

    @cached_property
    def _split(self) -> InputByPart | str:
        if self.usage is None or self.is_partial:
            return "its usage is not known"
        if self.is_total_alone:
            return "its response states only a total"
        return self._inputs if isinstance(self._inputs, InputByPart | str) else self._inputs.input_by_part(self)

    @property
    def input_by_part(self) -> InputByPart | None:
        """The input tokens by part: estimated shares that add up to the provider's count; None where they are not known.

        See `input_by_part_reason`. The request is parsed and its texts are counted when this is first read.
        """
        return self._split if isinstance(self._split, InputByPart) else None

    @property
    def input_by_part_reason(self) -> str:
        """Why `input_by_part` is not known; empty where it is."""
        return self._split if isinstance(self._split, str) else ""

    @property
    def service_tier(self) -> str | None:
        """The provider's tier (`flex`, `priority`, `batch` …) where it tells one."""
        return self.billing.service_tier

    @property
    def parts(self) -> tuple[Part, ...]:
        """Work the provider lists apart; empty for nearly every call."""
        return self.billing.parts

    @property
    def billed_tokens(self) -> int | None:
        """The tokens that are paid for, with work that the provider lists apart; None where the usage is not known.

        An answer of LangChain's own cache is not paid for.
        """
        usage = self.billed_usage
        return None if usage is None else usage.total_tokens

    @property
    def billed_usage(self) -> TokenUsage | None:
        """The same as a usage: the tokens as the provider bills them, including the parts that it lists apart."""
        if not self.is_billed:
            return TokenUsage()
        usage = self.billing.usage or self.usage
        if usage is None:
            return None
        return sum((part.billing.usage or part.usage for part in self.parts if not part.in_total), usage)

    @property
    def is_billed(self) -> bool:
        """Whether a provider was asked at all: everything but an answer of LangChain's own cache or fakes."""
        return self.status not in ("cached", "fake")

    @property
    def is_unknown(self) -> bool:
        """Whether an unknown number of tokens was (or may have been) spent."""
        return self.is_partial or (self.usage is None and self.status in ("no_usage", "aborted"))

    @property
    def is_total_alone(self) -> bool:
        """Whether the provider stated a total and neither input nor output: those are unknown, and the total is not."""
        return self.is_billed and not self.is_partial and self.usage is not None and self.usage.is_total_alone

    def to_dict(self, *, with_parts: bool = False) -> dict[str, Any]:
        """Plain JSON-able data; decimals as strings. Fields that hold nothing are left out.

        Args:
            with_parts: Whether to read and add `input_by_part`, with what the input cost; else it is added where it came
                from such data.
        """
        data = {
            name: value for name, value in zip(_PLAIN_FIELDS, _plain_values(self), strict=True) if value not in _NOTHING
        }
        for name in _NOT_AS_IN_JSON:
            if name in data:
                data[name] = as_data(data[name])
        if self.usage is not None:
            data["usage"] = self.usage.to_dict()
        data |= self.billing.to_dict()
        if self._reported is not None:
            # An integration may nest this deeper than can be written; the counts are in `usage`.
            with suppress(RecursionError):
                data["reported"] = masked(as_data(self._reported))
        if self._reported_model is not None:
            data["reported_model"] = self._reported_model
        if self.cost_usd is not None:
            data["cost_usd"] = plain(self.cost_usd)
        if self.usage is not None and (price := self.quote.to_dict()):
            data["price"] = price
        if (with_parts or isinstance(self._inputs, InputByPart)) and self.input_by_part is not None:
            costs = [line.amount_usd for line in self.quote.lines if line.kind.startswith(_INPUT_KINDS)]
            known = {"cost_usd": plain(total(costs))} if costs else {}
            data["input_by_part"] = self.input_by_part.to_dict() | known
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Call:
        """The inverse of `to_dict`: the cost is the one that was written, not looked up again."""
        # Thousands of calls have the same texts; each is in memory once.
        values: dict[str, Any] = {
            name: intern(value) if type(value := data[name]) is str else value for name in _PLAIN_FIELDS if name in data
        }
        for name in ("tags", "sections"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(
            **values,
            usage=TokenUsage.from_dict(data["usage"]) if "usage" in data else None,
            billing=Billing.from_dict(data),
            _reported=MappingProxyType(with_names_once(data["reported"])) if "reported" in data else None,
            _reported_model=data.get("reported_model"),
            _inputs=InputByPart.from_dict(data["input_by_part"]) if "input_by_part" in data else _NO_PARTS,
            _quotes=Quote.from_dict(data.get("price", {}), Decimal(data["cost_usd"]) if "cost_usd" in data else None),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The providers of its price and its input cannot be pickled; their answers can.
        return Call.from_dict, (self.to_dict(with_parts=True),)


_NOTHING = (None, "", ())
_NO_PARTS = "the run was written without it"
#: How the kinds of price lines start that are for input.
_INPUT_KINDS = ("input", "cache_")

_PLAIN_FIELDS = tuple(f.name for f in fields(Call) if f.name not in ("usage", "billing") and not f.name.startswith("_"))
_plain_values = attrgetter(*_PLAIN_FIELDS)
#: Those of them that JSON cannot hold as they are: tuples, and numbers that may not be finite.
_NOT_AS_IN_JSON = ("tags", "sections", "started_at", "duration_s")


def call_attribute(path: str) -> Callable[[Call], Any]:
    """Returns a reader of an attribute of calls, which may be nested (`billing.seller`).

    Raises:
        ConfigurationError: A call has no such attribute. Checked here, because there may be no call to read it from.
    """
    __tracebackhide__ = hides_frames
    read: Callable[[Call], Any] = attrgetter(path)
    name = path.partition(".")[0]
    names = [known for known in (*(each.name for each in fields(Call)), *vars(Call)) if not known.startswith("_")]
    if name not in names:
        from difflib import get_close_matches  # noqa: PLC0415 -- only where a name is wrong

        near = get_close_matches(name, names, n=1)
        raise ConfigurationError(f"by: a call has no {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
    return read


def langchain_report(call: Call) -> tuple[Mapping[str, Any] | None, str | None]:
    """What LangChain reported of `call`, to the letter (`UsageMetadata`), and the model it files that under."""
    return call._reported, call._reported_model  # noqa: SLF001 -- private to users, not to this package


@dataclass(frozen=True, slots=True)
class Ledger:
    """The calls of a test, or of the run. Ledgers add up.

    Attributes:
        calls: In the order in which they started.
    """

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

    @property
    def billed_tokens(self) -> int | None:
        """The tokens that are paid for (see `Call.billed_tokens`); None where that of a call is not known."""
        if any(call.is_unknown for call in self.calls):
            return None
        return sum(call.billed_tokens or 0 for call in self.calls)

    def to_list(self, *, with_parts: bool = False) -> list[dict[str, Any]]:
        """Plain JSON-able data, one dict a call; see `Call.to_dict`."""
        return [call.to_dict(with_parts=with_parts) for call in self.calls]

    @classmethod
    def from_list(cls, data: list[Mapping[str, Any]]) -> Ledger:
        """The inverse of `to_list`."""
        return cls(tuple(Call.from_dict(item) for item in data))


def price_sources(calls: Iterable[Call], name: Callable[[str], str] = str) -> dict[str, str]:
    """By whose price each model costs what it costs; several are separated by a semicolon.

    Args:
        calls: The calls; those without a price are left out.
        name: Returns the name of a model in the result.
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

    What is not known is None, never 0, with `calls_without_usage` beside it unless only the split of a total is unknown.
    Answers of a cache count nothing.
    """
    billed = [call for call in calls if call.is_billed]
    unknown = sum(call.is_unknown for call in billed)
    data: dict[str, Any] = {"calls": len(billed)}
    if unknown:
        data |= {"calls_without_usage": unknown, "input_tokens": None, "output_tokens": None, "total_tokens": None}
    else:
        data |= TokenUsage.summed(call.usage for call in billed if call.usage is not None).to_dict()
        if any(call.is_total_alone for call in billed):
            data |= {"input_tokens": None, "output_tokens": None}
    items: Counter[str] = Counter()
    for call in billed:
        if call.billing.items:
            items.update(call.billing.items)
    if items:
        data["billed_items"] = dict(sorted(items.items()))
    costs = [call.cost_usd for call in billed if call.usage is not None or call.is_unknown]
    data["cost_usd"] = None if None in costs else plain(total(cost for cost in costs if cost is not None))
    return data
