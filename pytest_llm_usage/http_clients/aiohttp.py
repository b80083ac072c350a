"""aiohttp.

Read in aiohttp 3.14.5. What is replaced, and why there:
- `ClientSession.request`, `get` and so on, and `aiohttp.request`: each returns a coroutine of `ClientSession._request`.
  aioresponses and vcrpy replace `_request`, so these methods are the only place above them.
- `_buffer` of an answer's `StreamReader`: a reader takes the decoded pieces from there.
- `ClientResponse._notify_content`: called when an answer is closed or released before its end.
- `BaseConnector.connect`: a request that gets here opens a connection.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import ModuleType
from typing import Any

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.wire.exchange import Headers

__all__ = ["attach"]

_METHODS = ("get", "options", "head", "post", "put", "patch", "delete")


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the sessions of aiohttp."""
    session = library.ClientSession

    def observe(manager: Any, session: Any, method: str, url: Any, kwargs: Mapping[str, Any]) -> Any:
        """The same context manager, its request observed once it is awaited."""
        try:
            address = str(_address(session, url, kwargs.get("params")))
            if observer.wants(method, address):
                manager._coro = _Watched(  # noqa: SLF001
                    manager._coro,  # noqa: SLF001
                    lambda coroutine: _request(coroutine, observer, method, address, session, kwargs),
                )
        except Exception as error:  # noqa: BLE001 - an internal error must not fail the user's test
            observer.report(f"{method} {url}", error)
        return manager

    def wrap(method: str) -> Any:
        def wrap(original: Any) -> Any:
            def send(self: Any, url: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                return observe(original(self, url, **kwargs), self, method, url, kwargs)

            return send

        return wrap

    def wrap_request(original: Any) -> Any:
        def request(self: Any, method: str, url: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return observe(original(self, method, url, **kwargs), self, method.upper(), url, kwargs)

        return request

    def wrap_function(original: Any) -> Any:
        def request(method: str, url: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return observe(original(method, url, **kwargs), None, method.upper(), url, kwargs)

        return request

    def wrap_notify(original: Any) -> Any:
        def _notify_content(self: Any) -> Any:
            __tracebackhide__ = True
            try:
                return original(self)
            finally:
                buffer = getattr(self.content, "_buffer", None)
                if isinstance(buffer, _ObservedBuffer):
                    buffer.close()

        return _notify_content

    def wrap_connect(original: Any) -> Any:
        async def connect(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if not hasattr(self, "path"):  # a Unix socket or a named pipe
                observer.before_network(lambda: str(req.url))
            return await original(self, req, *args, **kwargs)

        return connect

    patches.replace(session, "request", ("self", "method", "url"), wrap_request)
    for name in _METHODS:
        patches.replace(session, name, ("self", "url"), wrap(name.upper()))
    for module in (library, library.client):
        patches.replace(module, "request", ("method", "url"), wrap_function)
    patches.replace(library.ClientResponse, "_notify_content", ("self",), wrap_notify)
    patches.replace(library.BaseConnector, "connect", ("self", "req"), wrap_connect)


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine around another one, made only when it is awaited: if it never is, nothing of ours is left behind.

    Args:
        coroutine: The library's own.
        watch: Makes the coroutine that awaits it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], watch: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._coroutine = coroutine
        self._watch = watch
        self._watching: Coroutine[Any, Any, Any] | None = None

    def _started(self) -> Coroutine[Any, Any, Any]:
        if self._watching is None:
            self._watching = self._watch(self._coroutine)
        return self._watching

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._started().__await__()

    def send(self, value: Any) -> Any:
        __tracebackhide__ = True
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        __tracebackhide__ = True
        return (self._watching or self._coroutine).throw(*error)

    def close(self) -> None:
        if self._watching is not None:
            self._watching.close()
        self._coroutine.close()


async def _request(
    coroutine: Coroutine[Any, Any, Any],
    observer: Observer,
    method: str,
    url: str,
    session: Any,
    kwargs: Mapping[str, Any],
) -> Any:
    __tracebackhide__ = True
    try:
        observation = observer.begin(method, url, lambda: _details(session, kwargs))
    except BaseException:
        coroutine.close()
        raise
    if observation is None:
        return await coroutine
    with observation:
        response = await coroutine
    return observation.attached(response, _attach_to)


def _address(session: Any, url: Any, params: Any) -> Any:
    built = url if session is None else session._build_url(url)  # noqa: SLF001
    return built.extend_query(params) if params and hasattr(built, "extend_query") else built


def _details(session: Any, kwargs: Mapping[str, Any]) -> tuple[Headers, bytes]:
    own = kwargs.get("headers") or {}
    headers = LazyHeaders(
        (str(name), str(value))
        for source in (getattr(session, "headers", None) or {}, own)
        for name, value in (source.items() if hasattr(source, "items") else source)
    )
    if kwargs.get("json") is not None:
        return headers, json.dumps(kwargs["json"], default=str).encode()
    data = kwargs.get("data")
    fields = getattr(data, "_fields", None)
    if fields is not None:
        # The client renders a form only once, so only its short and plain values are read.
        named = {str(options.get("name")): value for options, _, value in fields}
    elif isinstance(data, Mapping):
        named = {str(name): value for name, value in data.items()}
    else:
        return headers, as_bytes(data)
    parts = "".join(
        f'--\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value if isinstance(value, str) else ""}\r\n'
        for name, value in named.items()
    )
    return {**headers, "content-type": "multipart/form-data"}, parts.encode("utf-8", "replace")


def _attach_to(response: Any, observation: Observation) -> None:
    if not observation.respond(response.status, LazyHeaders(response.headers.items())):
        return
    content = response.content
    if isinstance(body := getattr(response, "_body", None), bytes):
        observation.take_whole(body)
    elif not hasattr(content, "_buffer"):
        observation.finish()  # an answer without a body
    else:
        content._buffer = _ObservedBuffer(content, observation)  # noqa: SLF001
        if content.at_eof():
            observation.finish()


class _ObservedBuffer(deque[Any]):
    """The pieces that have arrived and not been read; observed as a reader takes them."""

    def __init__(self, stream: Any, observation: Observation) -> None:
        super().__init__(stream._buffer)  # noqa: SLF001
        self._observation = observation
        self._is_eof = stream.is_eof
        self._n_unread = 0
        stream.on_eof(self._at_eof)

    def popleft(self) -> Any:
        piece = super().popleft()
        if self._n_unread:
            self._n_unread -= 1
        else:
            self._observation.tap(piece)
        self._at_eof()
        return piece

    def appendleft(self, piece: Any) -> None:
        # Returned by its reader (`unread_data`), who will take it once more.
        self._n_unread += 1
        super().appendleft(piece)

    def close(self) -> None:
        self._observation.finish()
        self._is_eof = bool  # no longer references the stream

    def _at_eof(self) -> None:
        if not self and self._is_eof():
            self.close()

    def __del__(self) -> None:
        if self._observation.is_open:
            self._observation.observer.give_up(self._observation)
