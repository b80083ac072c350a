"""requests.

Read in requests 2.34.2. `Session.send` is replaced. It is called once for each request, and calls itself once for each
redirect. responses replaces `HTTPAdapter.send` below it, requests-mock `Session.get_adapter`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.http_clients.urllib3 import observe_raw
from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.in_flight import in_flight

__all__ = ["attach"]


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the sessions of requests."""

    def wrap(original: Any) -> Any:
        def send(self: Any, request: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            method, url = getattr(request, "method", None) or "", getattr(request, "url", None) or ""
            outer = in_flight.get()
            if isinstance(outer, Observation) and outer.scope is self and kwargs.get("allow_redirects") is False:
                outer.redirect(url)
            observation = observer.begin(method, url, lambda: _details(request))
            if observation is None:
                return original(self, request, **kwargs)
            observation.scope = self
            with observation:
                response = original(self, request, **kwargs)
            return observation.attached(response, _attach_to)

        return send

    patches.replace(library.sessions.Session, "send", ("self", "request"), wrap)


def _details(request: Any) -> tuple[Headers, bytes]:
    return LazyHeaders(request.headers.items()), as_bytes(request.body)


def _attach_to(response: Any, observation: Observation) -> None:
    if not observation.respond(response.status_code, LazyHeaders(response.headers.items())):
        return
    content = response._content  # noqa: SLF001 - `content` would read it
    if content is False:
        observe_raw(response.raw, observation)
    else:
        observation.take_whole(content or b"")
