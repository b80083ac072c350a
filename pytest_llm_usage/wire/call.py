"""`read`: an exchange → `WireCall`, what the provider's response says about one call.

The steps, in order: is it an answer at all (2xx) → which API (`providers.FLAVOURS`, by path and request, else by the
shape of the response) → the events that hold usage (`framing.Body`) → one `TokenUsage` → everything else that the
response says. No step raises, because a server may send anything and somebody may record it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias

from pytest_llm_usage.billing import Billing
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.ledger import NOT_READ, UNKNOWN_MODEL, USAGE_NOT_ASKED
from pytest_llm_usage.usage import TokenUsage, count
from pytest_llm_usage.wire.address import address_of, host_of, parameter_of, path_of
from pytest_llm_usage.wire.exchange import Exchange, Headers
from pytest_llm_usage.wire.facts import Facts
from pytest_llm_usage.wire.flavour import Flavour, Kind
from pytest_llm_usage.wire.framing import Body, Event, first_text, header, parsed
from pytest_llm_usage.wire.hosts import answerer_at, provider_at
from pytest_llm_usage.wire.loopback import is_loopback
from pytest_llm_usage.wire.net import model_with_counts
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.providers import UNBILLED
from pytest_llm_usage.wire.recognition import Request, by_path, by_shape, is_known_path

__all__ = [
    "WireCall",
    "WireStatus",
    "asked_model",
    "is_model_call",
    "may_ask_model",
    "may_be_unread",
    "may_hold_counts",
    "read",
]

#: ``ok``: usage is known. ``no_usage``: the provider answered without usage. ``aborted``: the answer breaks off; its
#: usage, if any, is what had been stated by then.
WireStatus: TypeAlias = Literal["ok", "no_usage", "aborted"]


@dataclass(frozen=True, kw_only=True)
class WireCall:
    """One call to a model, as the provider's HTTP response describes it.

    Attributes:
        provider: Who answered, by LangChain's name (`ls_provider`) if there is one; None for an unknown host.
        flavour: The API that was used, a name of `providers.FLAVOURS`; `unknown` if it is none of them.
        kind: `call`; `retrieve` for an answer that was requested again, which is not a call of its own: it completes
            the call with the same `response_id` if that had no usage yet; `batch-results` for all answers of a batch in
            one body: `usage` is their sum, and the parts of its billing are the requests.
        model: What the response says, else what the URL or the request asks for, else `unknown`.
        requested_model: What the request or the URL asks for, if one of them does.
        usage: The tokens, or None if the response states none.
        status: See `WireStatus`.
        billing: What it was billed for and on which terms; priced at the time of the answer, in seconds since the
            epoch: the `date` header, else the body's own time stamp.
        response_id: The provider's id of the response.
        streamed: Whether the answer came in pieces.
        note: Why usage is missing or may be incomplete, in words; empty if there is nothing to say.
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
        """Whether `usage` is what was stated before the answer broke off: the provider counted that or more."""
        return self.status == "aborted" and self.usage is not None

    @property
    def retrieved(self) -> bool:
        """Whether this is an answer that was requested again rather than a call of its own."""
        return self.kind == "retrieve"


def is_model_call(method: str, url: str, request_body: bytes, request_headers: Headers) -> bool:
    """Whether this request asks a model, or requests a model's answer again, judged by path and shape alone.

    If others use the path as well (`/api/chat` may be the application's own), the request must have the members that
    the API needs.
    """
    return asked_model(method, url, request_body, request_headers) is not None


def asked_model(method: str, url: str, request_body: bytes, request_headers: Headers) -> str | None:
    """The model that a request asks, `unknown` if it names none; None if it is not a call to a model."""
    path = path_of(url)
    if UNBILLED.search(path):
        return None
    request = Request.from_body(request_body, request_headers)
    recognised = by_path(method, path, request)
    if recognised is None or recognised[1] == "batch-results":
        return None
    return recognised[2].get("model") or request.model or recognised[2].get("deployment") or UNKNOWN_MODEL


@lru_cache(maxsize=4096)
def may_ask_model(method: str, url: str) -> bool:
    """Whether a request may ask a model, judged by host and path alone: the path of a known API, or a known host."""
    path = path_of(url)
    if UNBILLED.search(path):
        return False
    return is_known_path(method, path) or (method.upper() == "POST" and provider_at(url, "") not in (None, ""))


@lru_cache(maxsize=4096)
def may_be_unread(method: str, url: str) -> bool:
    """Whether a request to an unknown API may still ask a model: it is a POST to another machine."""
    return (
        method.upper() == "POST" and not UNBILLED.search(path_of(url)) and not is_loopback(host_of(url) or "localhost")
    )


def may_hold_counts(headers: Headers) -> bool:
    """Whether an answer with these headers may count tokens: it is JSON, lines of JSON, or an event stream."""
    content_type = header(headers, "content-type").lower()
    return "json" in content_type or "event-stream" in content_type


def read(exchange: Exchange) -> WireCall | None:
    """What `exchange` says about a call to a model; None if it is not such a call or was refused (not 2xx).

    An answer of an unknown API that counts tokens like a model's answer is a call without usage, with a note.
    """
    path = path_of(exchange.url)
    if not 200 <= exchange.status < 300 or UNBILLED.search(path):
        return None
    request = Request.from_body(exchange.request_body, exchange.request_headers)
    body = Body(exchange.response_body, exchange.response_headers)
    first = next(body.events(), None)
    recognised = by_path(exchange.method, path, request) or by_shape(exchange.method, first)
    if recognised is None:
        return _unread(exchange, request, body)
    flavour, kind, in_path = recognised

    requested_model = in_path.get("model") or request.model or in_path.get("deployment")
    facts = Facts.from_body(flavour, body, exchange.response_headers, requested_model or UNKNOWN_MODEL)
    if kind == "batch-results" and facts.usage is None and not facts.problems:
        # A batch that is not done, or a file that holds something else.
        return None
    asked = _asked_items(flavour, exchange)
    streamed = kind != "batch-results" and (
        body.framing in ("sse", "ndjson", "aws-eventstream")
        or (body.framing == "json-array" and flavour.streams_arrays)
    )
    # This reads the end of the body, which may add to its problems. In a batch, a line that is an error says nothing
    # about the others.
    failure = "" if kind == "batch-results" else _failure(body)
    is_cut = bool(body.problems) or (streamed and not _has_ended(flavour, body))
    answerer = answerer_at(
        exchange.url, flavour.home, exchange.request_headers, exchange.response_headers, requested_model
    )
    return WireCall(
        provider=answerer.provider,
        flavour=flavour.name,
        kind=kind,
        model=facts.model,
        requested_model=requested_model,
        usage=facts.usage,
        status="aborted" if is_cut else "no_usage" if facts.usage is None else "ok",
        billing=replace(
            facts.billing,
            # A call that is billed only by the piece is not billed by tokens.
            usage=TokenUsage() if asked else facts.billing.usage,
            items=asked or facts.billing.items,
            seller=answerer.seller or (flavour.seller or None if answerer.provider == flavour.home else None),
            region=facts.billing.region or answerer.region,
            priced_at=_responded_at(exchange.response_headers, facts.events),
        ),
        response_id=_page_of(in_path.get("id"), flavour, exchange.url) or facts.response_id,
        streamed=streamed,
        note=_note(body, facts, failure, first, is_cut=is_cut) or _why_no_usage(flavour, facts, exchange),
    )


def _unread(exchange: Exchange, request: Request, body: Body) -> WireCall | None:
    """A call to an API that is not known here, if the answer counts tokens like a model's."""
    if exchange.method.upper() != "POST":
        return None
    model = model_with_counts(exchange, body)
    if model is None:
        return None
    last = body.last()
    answerer = answerer_at(exchange.url, "", exchange.request_headers, exchange.response_headers, request.model)
    return WireCall(
        provider=answerer.provider,
        flavour="unknown",
        model=request.model or model,
        requested_model=request.model,
        status="no_usage",
        billing=Billing(
            seller=answerer.seller,
            region=answerer.region,
            priced_at=_responded_at(exchange.response_headers, () if last is None else (last,)),
        ),
        streamed=body.framing != "json",
        note=f"{NOT_READ}: {address_of(exchange.url)}",
    )


def _page_of(batch: str | None, flavour: Flavour, url: str) -> str | None:
    """The id in the path, with the page if the results come in several pages."""
    page = parameter_of(url, flavour.page_by) if batch and flavour.page_by else ""
    return f"{batch} {page}" if page else batch


def _asked_items(flavour: Flavour, exchange: Exchange) -> Mapping[str, int]:
    """What the request asks for by the piece, if the answer does not say it."""
    request = parsed(exchange.request_body) if flavour.asked_items is not None else None
    return flavour.asked_items(request) if flavour.asked_items is not None and isinstance(request, Mapping) else {}


def _has_ended(flavour: Flavour, body: Body) -> bool:
    return not flavour.end or body.mentions(re.compile(flavour.end))


def _failure(body: Body) -> str:
    """The message of an answer that is an error, or of a stream that ends in one."""
    last = body.last()
    if last is None:
        return ""
    if not get_path(last.data, "error"):
        is_error = str(get_path(last.data, "type")).rpartition(".")[2] == "error"
        return first_text(("message",) if is_error else _FAILED_WITHIN, (last,)) or ""
    return first_text(("error", "error.message", "error.type"), (last,)) or "no message given"


#: Where an answer without a top-level error states one: OpenAI's responses and runs and Coze's chats in their own
#: object, Cohere's streams at their end (`ChatMessageEndEvent` of its SDK), and OpenRouter in the choices:
#: https://openrouter.ai/docs/api/reference/errors-and-debugging
_FAILED_WITHIN = (
    "response.error.message",
    "last_error.message",
    "last_error.msg",
    "delta.error",
    "choices[].error.message",
)


def _note(body: Body, facts: Facts, failure: str, first: Event | None, *, is_cut: bool) -> str:
    reasons = [*body.problems, *facts.problems]
    if failure:
        reasons.append(f"the provider answered with an error: {mask_text(failure)}")
    if not reasons and is_cut:
        reasons.append("the stream breaks off before its end")
    if reasons or facts.usage is not None:
        return "; ".join([*reasons, *facts.remarks])
    if body.framing == "empty":
        return "the response has no body"
    state = first_text(("status", "task_status"), () if first is None else (first,))
    if state is not None and state.lower() in _UNDER_WAY:
        return f"the response is {state}: its usage comes when it is retrieved"
    return ""


def _why_no_usage(flavour: Flavour, facts: Facts, exchange: Exchange) -> str:
    """Why a complete answer states no usage; empty if it states some."""
    if facts.usage is not None:
        return ""
    if flavour.usage_asked_by:
        request = parsed(exchange.request_body)
        if get_path(request, "stream") is True and not get_path(request, flavour.usage_asked_by):
            return f"the streamed call {USAGE_NOT_ASKED}"
    return "the response states no usage"


#: States of an answer that is made in the background: OpenAI's responses and runs, Replicate's predictions,
#: Perplexity's and Z.ai's asynchronous chats, Azure's analyses.
_UNDER_WAY = ("queued", "in_progress", "starting", "processing", "created", "running", "notstarted")


def _responded_at(headers: Headers, events: Iterable[Event]) -> float | None:
    # This import takes longer than the rest of this package, and pytest starts without it.
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


#: 2020 in seconds: there was no API to call before. 2001 in milliseconds: larger time stamps have another unit.
_EPOCH_OF_MODELS = 1_577_836_800
_EPOCH_OF_MILLISECONDS = 10**12
