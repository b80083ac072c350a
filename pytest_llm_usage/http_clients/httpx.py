"""httpx and httpx2: the stream below the response is observed, so that decoding and iteration stay the library's own.

Read in httpx 0.28.1, httpx2 2.16.2, httpcore 1.0.9 and httpcore2 2.16.2. What is replaced, and why there:
- `Client._send_single_request` and `AsyncClient._send_single_request`: called once for each request, including those
  for redirects and authentication, inside the event hooks and outside of every transport: a mock or a cassette is
  below.
- `BoundSyncStream._stream` and `BoundAsyncStream._stream` of an answer: the transport's own stream, still undecoded.
- `ConnectionPool.handle_request` and `AsyncConnectionPool.handle_async_request` of httpcore: a request that gets here
  opens a connection. respx and vcrpy replace these or something above.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import partial
from types import ModuleType
from typing import Any, Self

from pytest_llm_usage.http_clients.observer import LazyHeaders, Observation, Observer, as_bytes
from pytest_llm_usage.http_clients.patches import Patches
from pytest_llm_usage.wire.exchange import Headers

__all__ = ["attach", "attach_core"]


def attach(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Observe the clients of httpx or httpx2."""

    def wrap(original: Any) -> Any:
        def _send_single_request(self: Any, request: Any) -> Any:
            __tracebackhide__ = True
            observation = observer.begin(request.method, str(request.url), lambda: _details(request))
            if observation is None:
                return original(self, request)
            with observation:
                response = original(self, request)
            return observation.attached(response, partial(_attach_to, wrapper=ObservedStream))

        return _send_single_request

    def wrap_async(original: Any) -> Any:
        async def _send_single_request(self: Any, request: Any) -> Any:
            __tracebackhide__ = True
            observation = observer.begin(request.method, str(request.url), lambda: _details(request))
            if observation is None:
                return await original(self, request)
            with observation:
                response = await original(self, request)
            return observation.attached(response, partial(_attach_to, wrapper=ObservedAsyncStream))

        return _send_single_request

    patches.replace(library.Client, "_send_single_request", ("self", "request"), wrap)
    patches.replace(library.AsyncClient, "_send_single_request", ("self", "request"), wrap_async)


def attach_core(library: ModuleType, observer: Observer, patches: Patches) -> None:
    """Report which requests of httpx reach httpcore's connections."""

    def wrap(original: Any) -> Any:
        # respx checks the names of the parameters, and whether this is a coroutine function.
        def handle_request(self: Any, request: Any) -> Any:
            __tracebackhide__ = True
            observer.before_network(lambda: _core_url(request))
            return original(self, request)

        return handle_request

    def wrap_async(original: Any) -> Any:
        async def handle_async_request(self: Any, request: Any) -> Any:
            __tracebackhide__ = True
            observer.before_network(lambda: _core_url(request))
            return await original(self, request)

        return handle_async_request

    patches.replace(library.ConnectionPool, "handle_request", ("self", "request"), wrap)
    patches.replace(library.AsyncConnectionPool, "handle_async_request", ("self", "request"), wrap_async)


def _core_url(request: Any) -> str:
    url = request.url
    return f"{url.scheme.decode('ascii')}://{_host(url.host.decode('ascii'))}{url.target.decode('ascii')}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _details(request: Any) -> tuple[Headers, bytes]:
    headers = LazyHeaders(request.headers.raw)
    return headers, as_bytes(getattr(request, "_content", None)) or _form(request.stream)


def _form(stream: Any) -> bytes:
    """A form with files as it will be sent, without the files' content: only the client may read that, once."""
    fields = getattr(stream, "fields", None)
    if not fields or not hasattr(stream, "boundary"):
        return b""
    parts = [
        field.render_headers() + (field.render_data() if hasattr(field, "value") else b"") + b"\r\n" for field in fields
    ]
    return b"".join(b"--%s\r\n%s" % (stream.boundary, part) for part in parts)


def _attach_to(response: Any, observation: Observation, wrapper: type[ObservedStream | ObservedAsyncStream]) -> None:
    if not observation.respond(response.status_code, LazyHeaders(response.headers.raw)):
        return
    content = getattr(response, "_content", None)
    if content is not None:
        # A mock's response, which has no stream to read.
        observation.take_whole(content)
    else:
        stream = response.stream
        stream._stream = wrapper(stream._stream, observation)  # noqa: SLF001


class _Observed:
    """An observed stream; everything but reading is delegated to the stream itself."""

    def __init__(self, stream: Any, observation: Observation) -> None:
        self._stream = stream
        self._observation = observation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __del__(self) -> None:
        observation = self.__dict__.get("_observation")
        if observation is not None and observation.is_open:
            observation.observer.give_up(observation)


class ObservedStream(_Observed):
    """The stream of a response's raw bytes, observed as they are read."""

    def __iter__(self) -> Iterator[Any]:
        return self._observation.passing(self._stream)

    def close(self) -> None:
        __tracebackhide__ = True
        try:
            self._stream.close()
        finally:
            self._observation.finish()


class ObservedAsyncStream(_Observed):
    """The same for asynchronous clients.

    An iterator and not a generator: event loops keep track of asynchronous generators, and close them at odd times.
    """

    def __aiter__(self) -> AsyncIterator[Any]:
        pieces = self._stream.__aiter__()
        kind = _ObservedGenerator if isinstance(pieces, AsyncGenerator) else _ObservedIterator
        return kind(pieces, self._observation)

    async def aclose(self) -> None:
        __tracebackhide__ = True
        try:
            await self._stream.aclose()
        finally:
            self._observation.finish()


class _ObservedIterator:
    def __init__(self, pieces: Any, observation: Observation) -> None:
        self._pieces = pieces
        self._observation = observation

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        __tracebackhide__ = True
        try:
            return self._observation.tap(await self._pieces.__anext__())
        except StopAsyncIteration:
            self._observation.finish()
            raise


class _ObservedGenerator(_ObservedIterator):
    """An iterator with the methods of an asynchronous generator, by which httpx2 knows that it must close it."""

    async def asend(self, value: Any) -> Any:
        return self._observation.tap(await self._pieces.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return self._observation.tap(await self._pieces.athrow(*error))

    async def aclose(self) -> None:
        await self._pieces.aclose()
