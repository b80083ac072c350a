"""`read`: an exchange → `WireCall`, what the provider's response says about one call.

The steps, in order: is it an answer at all (2xx) → which API (`providers.FLAVOURS`, by path and request, else by the
shape of the response) → the events that hold usage (`framing.Body`) → one `TokenUsage` → whatever else the response
tells. None of them raises: an exchange is whatever a server sent and somebody recorded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.billing import Billing, Part
from pytest_llm_usage.ledger import UNKNOWN_MODEL
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.usage import TokenUsage, count
from pytest_llm_usage.wire.exchange import Exchange, Headers
from pytest_llm_usage.wire.flavour import Flavour, Kind, Source
from pytest_llm_usage.wire.framing import Body, Event, header
from pytest_llm_usage.wire.hosts import path_of, provider_at
from pytest_llm_usage.wire.paths import get_path, iter_path
from pytest_llm_usage.wire.providers import UNBILLED
from pytest_llm_usage.wire.recognition import Request, by_path, by_shape, is_known_path

__all__ = ["WireCall", "WireStatus", "is_model_call", "may_ask_model", "read"]

#: ``ok``: usage is known. ``no_usage``: the provider answered without usage. ``aborted``: the answer breaks off; its
#: usage, if any, is what was stated until then.
WireStatus: TypeAlias = Literal["ok", "no_usage", "aborted"]


@dataclass(frozen=True, kw_only=True)
class WireCall:
    """One call to a model as the provider's HTTP response tells of it.

    Attributes:
        provider: Who answered, in LangChain's words (`ls_provider`) where LangChain has one; None where the host is
            nobody's that is known.
        flavour: The API that was spoken, a name of `providers.FLAVOURS`.
        kind: `call`; `retrieve` for an answer that was asked for again, no call of its own: it completes the call
            with the same `response_id` where that one had no usage yet; `batch-results` for all answers of a batch in
            one body, their usage summed.
        model: What the response says, else what the URL or the request asks for, else `unknown`.
        requested_model: What the request or the URL asks for, where one of them does.
        usage: The tokens, or None where the response states none.
        status: See `WireStatus`.
        billing: What it was billed for and on which terms; priced at when the provider answered, in seconds since the
            epoch: the `date` header, else the body's own time stamp.
        response_id: The provider's id of the response.
        streamed: Whether the answer came in pieces.
        note: Why usage is missing or may be incomplete, in words; empty where there is nothing to say.
    """

    provider: str | None
    flavour: str
    kind: Kind = "call"
    model: str = UNKNOWN_MODEL
    requested_model: str | None = None
    usage: TokenUsage | None = None
    status: WireStatus = "ok"
    billing: Billing = field(default_factory=Billing)
    response_id: str | None = None
    streamed: bool = False
    note: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether `usage` is what was stated until the answer broke off: the provider counted that or more."""
        return self.status == "aborted" and self.usage is not None

    @property
    def retrieved(self) -> bool:
        """Whether this is an answer asked for again rather than a call of its own."""
        return self.kind == "retrieve"


def is_model_call(method: str, url: str, request_body: bytes, request_headers: Headers) -> bool:
    """Whether this request asks a model, or asks again for what a model answered, judged by path and shape alone.

    Where others use the path as well (`/api/chat` may be the application's own), the request must have the members
    that the API needs.
    """
    path = path_of(url)
    if UNBILLED.search(path):
        return False
    recognised = by_path(method, path, Request.from_body(request_body, request_headers))
    return recognised is not None and recognised[1] != "batch-results"


@lru_cache(maxsize=4096)
def may_ask_model(method: str, url: str) -> bool:
    """Whether a request may ask a model, judged by host and path alone: the path of a known API, or a known host."""
    path = path_of(url)
    if UNBILLED.search(path):
        return False
    return is_known_path(method, path) or (method.upper() == "POST" and provider_at(url, "") not in (None, ""))


def read(exchange: Exchange) -> WireCall | None:
    """What `exchange` says about a call to a model; None where it is no such call or was refused (any but 2xx)."""
    path = path_of(exchange.url)
    if not 200 <= exchange.status < 300 or UNBILLED.search(path):
        return None
    request = Request.from_body(exchange.request_body, exchange.request_headers)
    body = Body(exchange.response_body, exchange.response_headers)
    first = next(body.events(), None)
    recognised = by_path(exchange.method, path, request) or by_shape(exchange.method, first)
    if recognised is None:
        return None
    flavour, kind, in_path = recognised

    stated = _stated(flavour, body, exchange.response_headers)
    if kind == "batch-results" and stated.usage is None:
        # A batch that is not done, or a file that holds something else.
        return None
    telling = stated.events if first is None else (*stated.events, first)
    requested_model = in_path.get("model") or request.model or in_path.get("deployment")
    model = _text(flavour.model, chain(telling, _naming(flavour, body))) or requested_model or UNKNOWN_MODEL
    streamed = kind != "batch-results" and body.framing in ("sse", "ndjson", "aws-eventstream", "json-array")
    failure = _failure(body)
    is_cut = bool(body.problems) or (streamed and not _has_ended(flavour, body))
    return WireCall(
        provider=provider_at(exchange.url, flavour.home),
        flavour=flavour.name,
        kind=kind,
        model=model,
        requested_model=requested_model,
        usage=stated.usage,
        status="aborted" if is_cut else "no_usage" if stated.usage is None else "ok",
        billing=Billing(
            usage=stated.billed_usage,
            items=_billed_items(flavour, body, stated),
            parts=_parts(stated, model),
            stated_cost_usd=_stated_cost_usd(stated.objects),
            # OpenAI's and Google's answers name the tier of a request, and not the batch that it is billed as.
            service_tier="batch"
            if kind == "batch-results"
            else _text(flavour.service_tier, telling)
            or header(exchange.response_headers, flavour.service_tier_header)
            or None,
            priced_at=_responded_at(exchange.response_headers, telling),
        ),
        response_id=in_path.get("id")
        or _text(flavour.response_id, telling)
        or header(exchange.response_headers, flavour.response_id_header)
        or None,
        streamed=streamed,
        note=_note(body, failure, first, is_cut=is_cut, has_usage=stated.usage is not None),
    )


# --- What it says ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a response states about its usage.

    Attributes:
        events: The events that state it, the one that counts first.
        objects: The usage objects as they stand there, combined as the source says.
        usage: What they come to; None where nothing is stated.
        parts: What they list apart.
        billed_usage: What they say of the bill beyond `usage`; None where they say no more.
        billed_items: What they say is billed by the piece.
    """

    events: tuple[Event, ...] = ()
    objects: tuple[Mapping[str, Any], ...] = ()
    usage: TokenUsage | None = None
    parts: tuple[tuple[Mapping[str, Any], TokenUsage], ...] = ()
    billed_usage: TokenUsage | None = None
    billed_items: Mapping[str, int] = field(default_factory=dict)


def _stated(flavour: Flavour, body: Body, headers: Headers) -> _Stated:
    """The usage of the first source that states one."""
    for source in flavour.sources:
        if source.in_headers:
            named = {str(name).lower(): header(headers, str(name).lower()) for name in headers}
            if (usage := source.schema.read(named)) is not None:
                return _Stated(usage=usage)
            continue
        events: list[Event] = []
        objects: list[Mapping[str, Any]] = []
        # Where only the last statement counts, the search starts at the end and stops there.
        for event in body.holding(source.keys, backwards=source.combine == "last"):
            if found := _usage_objects(source, event):
                events.insert(0, event)
                objects.extend(found)
                if source.combine == "last":
                    break
        if not objects:
            continue
        if source.combine == "merge":
            objects = [{key: value for each in objects for key, value in each.items() if value is not None}]
        schema = source.schema
        usages = [schema.read(each) or TokenUsage() for each in objects]
        billed = [schema.read_billed(each, usage) for each, usage in zip(objects, usages, strict=True)]
        items: Counter[str] = Counter()
        for each in objects:
            items.update({item.kind: n for item in schema.items if (n := item.count(each)) is not None})
        return _Stated(
            tuple(events),
            tuple(objects),
            sum(usages, TokenUsage()),
            tuple(
                (part, usage)
                for each in objects
                for part in iter_path(each, source.parts)
                if source.parts and (usage := schema.read(part)) is not None
            ),
            sum((bill or usage for bill, usage in zip(billed, usages, strict=True)), TokenUsage())
            if any(billed)
            else None,
            items,
        )
    return _Stated()


def _usage_objects(source: Source, event: Event) -> list[Mapping[str, Any]]:
    """The objects of an event that state a count, all at the same path."""
    for path in source.paths:
        found = [value for value in iter_path(event.data, path) if source.schema.read(value) is not None]
        if found:
            return found
    return []


def _naming(flavour: Flavour, body: Body) -> Iterator[Event]:
    """The events that may name the model; the first chunks of some streams leave it empty."""
    keys = tuple(dict.fromkeys(path.rsplit(".", 1)[-1] for path in flavour.model))
    return body.holding(keys) if keys else iter(())


def _text(paths: Iterable[str], events: Iterable[Event]) -> str | None:
    """The first text that is not empty at one of `paths`."""
    return next(
        (value for event in events for path in paths if isinstance(value := get_path(event.data, path), str) and value),
        None,
    )


def _has_ended(flavour: Flavour, body: Body) -> bool:
    return not flavour.end or body.mentions(re.compile(flavour.end))


def _failure(body: Body) -> str:
    """The message of an answer that is an error, or of a stream that ends in one."""
    last = body.last()
    if last is None or not isinstance(last.data, Mapping):
        return ""
    if not last.data.get("error"):
        return ""
    return _text(("error", "error.message", "error.type"), (last,)) or "it gives no message"


def _note(body: Body, failure: str, first: Event | None, *, is_cut: bool, has_usage: bool) -> str:
    reasons = list(body.problems)
    if failure:
        reasons.append(f"the provider answered with an error: {failure}")
    if reasons:
        return "; ".join(reasons)
    if is_cut:
        return "the stream breaks off before its end"
    if has_usage:
        return ""
    if body.framing == "empty":
        return "the response has no body"
    state = get_path(first.data, "status") if first is not None else None
    if state in _UNDER_WAY:
        return f"the response is {state}: its usage comes when it is retrieved"
    return "the response states no usage"


#: States of an answer that is made in the background: OpenAI's responses and runs, Replicate's predictions.
_UNDER_WAY = ("queued", "in_progress", "starting", "processing")


def _parts(stated: _Stated, model: str) -> tuple[Part, ...]:
    """The work that the top level leaves out: every part but the reply itself.

    Of Anthropic's iterations a `message` (after a fallback, a `fallback_message`) is part of the top level, a
    `compaction` and an advisor's message are not:
    https://docs.anthropic.com/en/docs/build-with-claude/compaction#understanding-usage
    """
    return tuple(
        Part(kind, _text(("model",), (Event(part),)) or model, usage)
        for part, usage in stated.parts
        if (kind := _text(("type",), (Event(part),)) or "part") not in ("message", "fallback_message")
    )


def _billed_items(flavour: Flavour, body: Body, stated: _Stated) -> Mapping[str, int]:
    """What is billed by the piece: as the usage object counts it, else as the events list it.

    Events of a stream that list anything list all there was until then.
    """
    items = {**{item.kind: 0 for item in flavour.items}, **stated.billed_items}
    unstated = [item for item in flavour.items if item.kind not in stated.billed_items]
    keys = tuple(dict.fromkeys(key for item in unstated for key in item.keys))
    for event in body.holding(keys) if keys else ():
        for item in unstated:
            items[item.kind] = max(items[item.kind], item.count(event.data) or 0)
    return MappingProxyType({kind: n for kind, n in items.items() if n})


def _stated_cost_usd(objects: Iterable[Mapping[str, Any]]) -> Decimal | None:
    """OpenRouter's `cost`, Perplexity's `cost.total_cost`, xAI's `cost_in_usd_ticks`, of which a dollar has 10^10.

    https://openrouter.ai/docs/use-cases/usage-accounting, https://docs.perplexity.ai/api-reference,
    https://docs.x.ai/docs/api-reference
    """
    costs = [cost for usage in objects if (cost := _cost_of(usage)) is not None]
    return total(costs) if costs else None


_TICKS_PER_USD = 10**10


def _cost_of(usage: Mapping[str, Any]) -> Decimal | None:
    if ticks := count(usage.get("cost_in_usd_ticks")):
        # Zero ticks are what resellers of the model pass on, not a price.
        return EXACT.divide(Decimal(ticks), _TICKS_PER_USD)
    cost = next((usd for path in ("cost", "cost.total_cost") if (usd := _usd_at(usage, path)) is not None), None)
    if cost is None or usage.get("is_byok") is not True:
        return cost
    # On a key of one's own OpenRouter's cost is its fee alone; the provider bills the rest.
    upstream = _usd_at(usage, "cost_details.upstream_inference_cost")
    return None if upstream is None else total((cost, upstream))


def _usd_at(usage: Mapping[str, Any], path: str) -> Decimal | None:
    cost = get_path(usage, path)
    if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < float("inf"):
        # repr gives the shortest digits that are this float: those on the wire.
        return Decimal(repr(cost))
    return None


def _responded_at(headers: Headers, events: Iterable[Event]) -> float | None:
    # Costs more to import than all the rest of this package, and pytest starts without it.
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415

    date = parsedate_tz(header(headers, "date"))
    if date is not None:
        try:
            return float(mktime_tz(date))
        except (ValueError, OverflowError):
            pass
    return next(
        (
            float(seconds)
            for event in events
            for path in ("created", "created_at", "response.created_at")
            if (seconds := count(get_path(event.data, path))) is not None
            and _EPOCH_OF_MODELS < seconds < _EPOCH_OF_MILLISECONDS
        ),
        None,
    )


#: 2020 in seconds: before it there was no API to call; and 2001 in milliseconds, a time stamp in another unit.
_EPOCH_OF_MODELS = 1_577_836_800
_EPOCH_OF_MILLISECONDS = 10**12
