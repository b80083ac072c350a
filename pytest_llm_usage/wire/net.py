"""`model_with_counts`: the safety net for unknown APIs. It asks whether an answer counts tokens and names a model.

Names of members are compared word by word, whatever their spelling: `inputTokenCount`, `input_tokens`, `Tokens-Input`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from pytest_llm_usage.wire.address import address_of
from pytest_llm_usage.wire.exchange import Exchange, Headers
from pytest_llm_usage.wire.framing import Body, header, parsed

__all__ = ["model_with_counts"]

#: A model's answer has few values; a larger one is an application's data.
_MOST_VALUES = 2_000
_MOST_EVENTS = 10_000

_SENT = frozenset({"context", "evaluated", "in", "input", "prompt", "query", "sent", "total"})
_RECEIVED = frozenset(
    {
        "answer",
        "candidates",
        "completion",
        "generated",
        "generation",
        "out",
        "output",
        "predicted",
        "received",
        "response",
    }
)
_TOKENS = frozenset({"token", "tokens"})
#: Words for tokens that were not used: limits, prices and rates.
_LIMITS = frozenset(
    {
        "allowed",
        "budget",
        "cost",
        "default",
        "last",
        "left",
        "limit",
        "limits",
        "max",
        "maximum",
        "min",
        "minimum",
        "minute",
        "per",
        "price",
        "pricing",
        "quota",
        "rate",
        "ratelimit",
        "remaining",
        "reset",
        "second",
        "window",
    }
)
#: Ollama's names for its counts.
_EVALUATED = {("prompt", "eval", "count"): "sent", ("eval", "count"): "received"}
_MODEL_NAMES = frozenset(
    {("model",), ("model", "id"), ("model", "name"), ("model", "version"), ("engine",), ("ai", "model")}
)
_MENTION = re.compile(rb"token|eval_count", re.IGNORECASE)


#: Services that keep traces of calls that were made elsewhere: by their hosts, and by the paths of those that people run
#: themselves (LangSmith, Opik, Weave, MLflow, Langfuse, OpenTelemetry) or that a gateway has.
#: https://docs.smith.langchain.com/reference, https://www.comet.com/docs/opik/reference/rest-api/overview,
#: https://docs.wandb.ai/weave/reference/service-api, https://mlflow.org/docs/latest/rest-api.html,
#: https://portkey.ai/docs/api-reference/admin-api/data-plane/logs/insert-a-log
_TRACES = re.compile(
    r"(?:^|\.)(?:smith\.langchain\.com|langfuse\.com|braintrust\.dev|arize\.com|datadoghq\.\w+|comet\.com|trace\.wandb\.ai"
    r"|api\.helicone\.ai|honeyhive\.ai|langwatch\.ai|lmnr\.ai|posthog\.com|galileo\.ai|agentops\.ai|traceloop\.(?:com|dev))/"
    r"|/api/public/|/v1/(?:logs|traces)$"
    r"|/(?:traces?|spans|runs|calls)/(?:search|query|stream_query|batch|multipart)$"
)


def model_with_counts(exchange: Exchange, body: Body) -> str | None:
    """The model of an answer that counts tokens; None if it counts none, or if nothing names a model.

    An answer counts tokens if one of its objects has numbers above zero for the tokens sent (or all tokens) and for the
    tokens received. In an object that is named for the usage, one of them is enough, as for embeddings. Limits and
    prices are not counts. The headers of an answer count as such an object. A stream may spread an object over several
    events.
    """
    model = None
    headers = exchange.response_headers
    has_counts = _are_counts(
        "headers", _counted_in("headers", {str(name): header(headers, str(name).lower()) for name in headers})
    )
    counted: dict[str, set[str]] = {}
    if (not has_counts and not body.mentions(_MENTION)) or _TRACES.search(address_of(exchange.url)):
        return None
    for number, event in enumerate(body.events()):
        for name, value in _objects(event.data):
            if not has_counts and (found := _counted_in(name, value)):
                counted.setdefault(name, set()).update(found)
                has_counts = _are_counts(name, counted[name])
            model = model or _model_in(value)
        if (has_counts and model) or number > _MOST_EVENTS:
            break
    return (_asked_model(exchange.request_body, exchange.request_headers) or model) if has_counts else None


def _asked_model(body: bytes, headers: Headers) -> str | None:
    if "x-www-form-urlencoded" in header(headers, "content-type"):
        return next(iter(parse_qs(body.decode(errors="replace")).get("model", ())), None)
    request = parsed(body) if body[:64].lstrip()[:1] == b"{" else None
    return next((model for _, value in _objects(request) if (model := _model_in(value))), None)


def _objects(data: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the objects in `data` except limits, outer ones first, each with the name of the member that holds it."""
    left: list[tuple[str, Any]] = [("", data)]
    for visited, (name, value) in enumerate(left):
        if visited > _MOST_VALUES:
            return
        if isinstance(value, list):
            left.extend((name, item) for item in value[:_MOST_VALUES] if isinstance(item, Mapping | list))
        elif isinstance(value, Mapping):
            yield name, value
            left.extend(
                (str(key), member)
                for key, member in value.items()
                if isinstance(member, Mapping | list) and _LIMITS.isdisjoint(_words(str(key)))
            )


def _counted_in(name: str, data: Mapping[str, Any]) -> set[str]:
    """What an object counts: tokens that were `sent`, `received`, or `some`. `name` is the member that holds it."""
    holder = _words(name)
    found = set()
    for key, value in data.items():
        if not _is_count(value):
            continue
        words = _words(str(key))
        if words in _EVALUATED:
            found.add(_EVALUATED[words])
        elif _LIMITS.isdisjoint(words) and not _TOKENS.isdisjoint((*words, *holder)):
            found |= {"received"} if not _RECEIVED.isdisjoint(words) else set()
            found |= {"sent"} if not _SENT.isdisjoint(words) else set()
            if words in (("tokens",), ("token", "count")):
                found.add("some")
    return found


def _are_counts(name: str, found: set[str]) -> bool:
    return {"sent", "received"} <= found or ("usage" in _words(name) and bool(found))


def _is_count(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 16 and int(value) > 0
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _model_in(data: Mapping[str, Any]) -> str | None:
    return next(
        (value for key, value in data.items() if isinstance(value, str) and value and _words(str(key)) in _MODEL_NAMES),
        None,
    )


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name))


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
