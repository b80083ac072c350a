"""urllib3 by itself, and what is built on it.

Read in urllib3 2.8.0 and 1.26.20. What is replaced, and why there:
- `HTTPConnectionPool.urlopen`: every request passes through it, and it calls itself for retries and redirects. vcrpy
  and others replace the connections below.
- `_fp_read` and `_handle_chunk` of observed answers (`readers`): raw bytes, before they are decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.http_clients.readers import FILE_METHODS, URLLIB3_METHODS, observe_reader
from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.in_flight import in_flight

__all__ = ["attach", "observe_raw"]


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the connection pools of urllib3."""

    def wrap(original: Any) -> Any:
        def urlopen(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            address = _absolute(self, url)
            outer = in_flight.get()
            if isinstance(outer, Observation) and outer.scope is self:
                # It follows a redirect, or tries again, inside the request.
                outer.redirect(address)
            observation = observer.begin(method, address, lambda: _details(self, args, kwargs))
            if observation is None:
                return original(self, method, url, *args, **kwargs)
            observation.scope = self
            with observation:
                response = original(self, method, url, *args, **kwargs)
            return observation.attached(response, _attach_to)

        return urlopen

    patches.replace(
        library.connectionpool.HTTPConnectionPool, "urlopen", ("self", "method", "url", "body", "headers"), wrap
    )


def _absolute(pool: Any, url: str) -> str:
    if not url.startswith("/"):
        return url
    host = f"[{pool.host}]" if ":" in pool.host.strip("[]") and not pool.host.startswith("[") else pool.host
    return f"{pool.scheme}://{host}:{pool.port}{url}" if pool.port else f"{pool.scheme}://{host}{url}"


def _details(pool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Headers, bytes]:
    body = args[0] if args else kwargs.get("body")
    headers = args[1] if len(args) > 1 else kwargs.get("headers")
    return LazyHeaders((headers if headers is not None else pool.headers or {}).items()), as_bytes(body)


def _attach_to(response: Any, observation: Observation) -> None:
    if observation.respond(response.status, LazyHeaders(response.headers.items())):
        observe_raw(response, observation)


def observe_raw(response: Any, observation: Observation) -> None:
    """Observe what a layer above reads of an answer: urllib3's own, or a mock's.

    Raises:
        AttributeError: The answer cannot be observed.
    """
    if isinstance(body := getattr(response, "_body", None), bytes):
        # The body was read when the answer was made.
        observation.take_whole(body)
    elif hasattr(response, "_fp_read"):
        observe_reader(response, observation, URLLIB3_METHODS)
    else:
        observe_reader(response, observation, FILE_METHODS)
