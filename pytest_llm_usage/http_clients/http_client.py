"""http.client, and urllib.request, which is built on it.

Read in Python 3.11 and 3.14. What is replaced, and why there:
- `HTTPConnection.request` and `getresponse`: the two halves of a request. vcrpy puts another class in place of this one.
- `HTTPConnection.putrequest`: everything built on http.client, urllib3 included, calls it before it sends.
- the methods that read an answer, for observed answers only (`readers`).
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from types import FrameType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.http_clients.readers import FILE_METHODS, observe_reader
from pytest_llm_usage.wire.exchange import Headers

__all__ = ["attach"]


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the connections of http.client."""
    #: By connection: the request whose answer has not been read.
    sent: MutableMapping[Any, Observation] = WeakKeyDictionary()

    def wrap_request(original: Any) -> Any:
        def request(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            sent.pop(self, None)
            observation = observer.begin(method, _absolute(self, url), lambda: _details(args, kwargs))
            if observation is None:
                return original(self, method, url, *args, **kwargs)
            with observation:
                original(self, method, url, *args, **kwargs)
            if _is_recorder(sys._getframe(1)):  # noqa: SLF001 - the cheap way to the caller
                observer.unanswered(observation)
            else:
                sent[self] = observation
            return None

        return request

    def wrap_getresponse(original: Any) -> Any:
        def getresponse(self: Any) -> Any:
            __tracebackhide__ = True
            observation = sent.pop(self, None)
            if observation is None:
                return original(self)
            with observation:
                response = original(self)
            return observation.attached(response, _attach_to)

        return getresponse

    def wrap_putrequest(original: Any) -> Any:
        def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            observer.before_network(lambda: _absolute(self, url))
            return original(self, method, url, *args, **kwargs)

        return putrequest

    connection = library.HTTPConnection
    patches.replace(connection, "request", ("self", "method", "url", "body", "headers"), wrap_request)
    patches.replace(connection, "getresponse", ("self",), wrap_getresponse)
    patches.replace(connection, "putrequest", ("self", "method", "url"), wrap_putrequest)


def _absolute(connection: Any, url: str) -> str:
    if not url.startswith("/"):
        return url
    # Through a tunnel, the request is for the tunnel's host.
    host = getattr(connection, "_tunnel_host", None) or connection.host
    port = (
        getattr(connection, "_tunnel_port", None) if getattr(connection, "_tunnel_host", None) else None
    ) or connection.port
    scheme = "https" if connection.default_port == 443 else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{url}"


def _is_recorder(caller: FrameType) -> bool:
    """Whether vcrpy sends a request to record it; its cassette reports the request later."""
    return str(caller.f_globals.get("__name__", "")).startswith("vcr.")


def _details(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Headers, bytes]:
    body = args[0] if args else kwargs.get("body")
    headers = args[1] if len(args) > 1 else kwargs.get("headers")
    return LazyHeaders((headers or {}).items()), as_bytes(body)


def _attach_to(response: Any, observation: Observation) -> None:
    if not observation.respond(response.status, LazyHeaders(response.getheaders())):
        return
    if response.fp is None:
        observation.finish()
    else:
        observe_reader(response, observation, FILE_METHODS)
