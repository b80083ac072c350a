"""Mocks below the point that vcrpy patches (respx): whether there is one, and whether it answered a request itself."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from pytest_llm_usage.upstream import Internals
from pytest_llm_usage.wire.loopback import is_loopback

__all__ = ["is_answered_by_mock", "is_mocked_below", "is_sent_out", "sender_patches"]

_HTTPX_STUBS = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="tell what a mock answers from what was sent",
    names={
        "vcr.stubs.httpx_stubs:_record_responses": ("cassette", "vcr_request", "real_response", "real_response_content")
    },
)
_HTTPCORE = Internals(
    distribution="httpcore",
    read_in="1.0.9",
    reason="tell whether a mock answers below httpx",
    names={
        "httpcore:ConnectionPool.handle_request": ("self", "request"),
        "httpcore:AsyncConnectionPool.handle_async_request": ("self", "request"),
    },
)
_check_httpcore = functools.cache(_HTTPCORE.check)


def sender_patches() -> Iterator[Any]:
    """Yields patches of vcrpy itself: a request through httpx notes whether a connection answered it, or a mock below.

    `is_answered_by_mock` reads the note. httpcore gives each response its connection:
    https://www.encode.io/httpcore/extensions/#network_stream
    """
    stubs: Any = sys.modules.get("vcr.stubs.httpx_stubs")
    if stubs is None:
        return
    _HTTPX_STUBS.check()
    record_responses = stubs._record_responses  # noqa: SLF001 - there is no other place that sees the response

    def record_noted_responses(cassette: Any, request: Any, response: Any, content: bytes) -> None:
        request.llm_usage_is_sent = "network_stream" in response.extensions
        record_responses(cassette, request, response, content)

    yield mock.patch.object(stubs, "_record_responses", record_noted_responses)


def is_answered_by_mock(request: Any) -> bool:
    """Whether the mock below httpx answered a request itself instead of passing it on.

    Only meaningful if there is such a mock (see `is_mocked_below`).
    """
    return not getattr(request, "llm_usage_is_sent", True)


def is_mocked_below() -> bool:
    """Whether a mock (respx) answers for httpx below the point that vcrpy patches."""
    httpcore = sys.modules.get("httpcore")
    if httpcore is None:
        return False
    _check_httpcore()
    return any(
        getattr(vars(pool)[method], "__module__", "").partition(".")[0] != "httpcore"
        for pool, method in (
            (httpcore.ConnectionPool, "handle_request"),
            (httpcore.AsyncConnectionPool, "handle_async_request"),
        )
    )


def is_sent_out(url: str) -> bool:
    """Whether a request to `url` that no cassette answers leaves the machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return not is_loopback(host) and not is_mocked_below()
