"""Headers that change with each recording although the conversation is the same; cassettes leave them out.

They are client versions, time stamps, request ids, rate limits, traces and transport details. Without them, the diff of
a new recording shows only what changed. Headers that a client acts on are kept (content types, API versions, retry
hints, token counts).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from pytest_llm_usage.cassettes.interaction import Headers, Interaction

__all__ = ["lasting_request_headers", "strip_volatile_headers"]

_IN_BOTH = (
    r"connection|keep-alive|transfer-encoding|te|trailer|traceparent|tracestate|traceresponse|baggage|b3|sentry-trace"
    r"|x-b3-.*|x-datadog-.*|x-cloud-trace-context|x-amzn-trace-id|x-debug-trace-id|x-ds-trace-id"
    r"|(?:x-)?(?:[a-z]+-)?request-?id|(?:x-)?(?:[a-z]+-)?correlation-id|x-ms-client-request-id"
)
_REQUEST = (
    rf"(?:{_IN_BOTH}|user-agent|x-openai-client-user-agent|x-together-client-user-agent|accept-encoding|host|date"
    r"|content-length|x-stainless-.*|x-fern-.*|amz-sdk-.*|x-amz-date|x-amz-content-sha256|x-amz-user-agent"
    r"|x-goog-api-client|x-goog-request-params|(?:x-)?idempotency-key|x-client-data|x-crewai-version)"
)
_RESPONSE = (
    rf"(?:{_IN_BOTH}|server|via|age|expires|alt-svc|nel|report-to|reporting-endpoints|server-timing|cf-.*|x-cache.*"
    r"|x-served-by|x-timer|x-amz-cf-.*|x-amz-id-2|x-envoy-.*|x-kong-.*|x-runtime|x-powered-by|x-build-.*"
    r"|(?:x-|anthropic-)?ratelimit-.*|x-codex-.*|x-metrics-.*|x-generation-id|inference-id|x-.*-(?:time|accepted-at)"
    r"|(?:req|resp)-.*-time|x-request-time-secs|.*-latency|(?!retry-after).*-ms|x-trial-endpoint-call-.*"
    r"|x-endpoint-.*-limit|strict-transport-security|access-control-expose-headers|content-security-policy)"
)
#: Those of responses are needed only where something is recorded.
_compiled = functools.cache(re.compile)


def lasting_request_headers(headers: Headers) -> Headers:
    """The request headers that the next recording will also have, names in lower case."""
    return _lasting(headers, _REQUEST)


def strip_volatile_headers(interaction: Interaction) -> Interaction:
    """The interaction without volatile headers, names in lower case.

    Only the day of the response's date is kept, because it decides the price.
    """
    response = interaction.response
    headers = dict(_lasting(response.headers, _RESPONSE))
    if "date" in headers:
        headers["date"] = [_day(value) for value in headers["date"]]
    return Interaction(
        replace(interaction.request, headers=lasting_request_headers(interaction.request.headers)),
        replace(response, headers=headers),
    )


def _lasting(headers: Headers, volatile: str) -> Mapping[str, list[str]]:
    lasting: dict[str, list[str]] = {}
    for name, values in headers.items():
        lower = name.lower()
        if not _compiled(volatile).fullmatch(lower):
            lasting.setdefault(lower, []).extend(values)
    return lasting


def _day(date: str) -> str:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return date
    return format_datetime(moment.replace(hour=0, minute=0, second=0), usegmt=moment.tzinfo is UTC)
