"""`Observer` and `Observation`: what all client libraries have in common.

The module of a library reports a request before it is sent (`Observer.begin`), puts the observation in flight while the
request is (`with`), and attaches it to the answer (`attached`), which feeds it what the code under test reads
(`respond`, `tap`, `finish`).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import Context, Token, copy_context
from functools import lru_cache
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pytest_llm_usage.errors import StoppedInChildError
from pytest_llm_usage.http_clients.body import BoundedBody
from pytest_llm_usage.http_clients.sink import Sink
from pytest_llm_usage.wire.exchange import Exchange, Headers
from pytest_llm_usage.wire.in_flight import InFlight, in_flight
from pytest_llm_usage.wire.loopback import is_loopback

__all__ = ["LazyHeaders", "Observation", "Observer", "as_bytes"]

_T = TypeVar("_T")

#: Returns the headers and the body of a request. Called only if the request may ask a model.
Details = Callable[[], tuple[Headers, bytes]]


class Observer:
    """Reports requests to models to a sink. There is one observer for each run of pytest.

    Args:
        sink: Makes the sink, at the first request; returns None if it cannot.
    """

    def __init__(self, sink: Callable[[], Sink | None]) -> None:
        self._make_sink = sink
        self._sinks: list[Sink | None] = []
        self._wanted: dict[tuple[str, str], bool] = {}
        self._given_up: deque[Observation] = deque()

    @property
    def _sink(self) -> Sink | None:
        """The sink; None once the observer was stopped."""
        if not self._sinks:
            # No lock, because an event loop must not wait for one: if several threads make a sink, the first one stays.
            self._sinks.append(self._make_sink())
        return self._sinks[0]

    def begin(self, method: str, url: str, details: Details) -> Observation | None:
        """The observation of a request that is about to be sent; None if it asks no model, or an outer layer observes.

        Raises:
            BaseException: An outcome exception that the sink raises.
        """
        sink = self._sink
        if sink is None or not self.wants(method, url):
            return None
        outer = in_flight.get()
        if outer is not None and outer.covers(url):
            return None
        self.flush()
        try:
            headers, body = details()
        except Exception as error:  # noqa: BLE001 - an internal error must not fail the user's test
            self.report(f"{method} {url}", error)
            headers, body = {}, b""
        observation = Observation(self, method, url, headers, body)
        try:
            observation.ticket = observation.context.run(sink.before_send, method, url, headers, body)
        except StoppedInChildError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.report(f"{method} {url}", error)
            return None
        return observation

    def wants(self, method: str, url: str) -> bool:
        """Whether a request may ask a model; the sink is asked once for each address."""
        sink = self._sink
        if sink is None:
            return False
        key = (method, url)
        wanted = self._wanted.get(key)
        if wanted is None:
            try:
                wanted = sink.wants(method, url)
            except Exception as error:  # noqa: BLE001 - as above
                self.report(f"{method} {url}", error)
                wanted = False
            if len(self._wanted) >= _REMEMBERED:
                self._wanted.clear()
            self._wanted[key] = wanted
        return wanted

    def wants_answer(self, observation: Observation, headers: Headers) -> bool:
        """Whether the body of an answer is to be observed."""
        sink = self._sink
        if sink is None:
            return False
        try:
            return sink.wants_answer(observation.method, observation.url, headers, live=observation.live)
        except Exception as error:  # noqa: BLE001 - as above
            self.report(f"{observation.method} {observation.url}", error)
            return False

    def before_network(self, url: Callable[[], str]) -> None:
        """Report that the lowest layer of a library was reached: the request in flight is about to leave the process.

        Args:
            url: Returns the address; called only if a request to a model is in flight.

        Raises:
            BaseException: An outcome exception that the sink raises.
        """
        request = in_flight.get()
        if not isinstance(request, Observation) or request.observer is not self or request.live:
            return
        sink = self._sink
        if sink is None:
            return
        try:
            address = url()
            if not request.covers(address) or _is_local(address):
                return
            request.live = True
            request.context.run(sink.before_network, address, request.ticket)
        except StoppedInChildError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.report(f"{request.method} {request.url}", error)

    def observed(self, observation: Observation, exchange: Exchange) -> None:
        """Pass an exchange to the sink."""
        sink = self._sink
        if sink is None:
            return
        try:
            observation.context.run(sink.observe, exchange, observation.ticket)
        except Exception as error:  # noqa: BLE001 - as above
            self.report(f"{exchange.method} {exchange.url}", error)

    def unanswered(self, observation: Observation) -> None:
        """Report that no answer to a request will be passed to the sink."""
        sink = self._sink
        if sink is not None:
            with contextlib.suppress(Exception):  # an internal error must not fail the user's test
                sink.unanswered(observation.ticket)

    def report(self, subject: str, error: Exception) -> None:
        """Pass an internal error to the sink."""
        sink = self._sink
        if sink is not None:
            with contextlib.suppress(Exception):  # a warning may be an error
                sink.failed(subject, error)

    def give_up(self, observation: Observation) -> None:
        """Note an answer that was dropped before its end.

        The garbage collector calls this in the middle of anything, under any lock, so the sink gets the answer later.
        """
        self._given_up.append(observation)

    def flush(self) -> None:
        """Report the answers that were dropped before their end."""
        while self._given_up:
            with contextlib.suppress(IndexError):
                self._given_up.popleft().finish()

    def stop(self) -> None:
        """Report what is left, and nothing from now on: a wrapper that cannot be removed then does nothing."""
        self.flush()
        self._sinks = [None]


#: How many addresses are remembered.
_REMEMBERED = 4096


@lru_cache(maxsize=_REMEMBERED)
def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "localhost")


class Observation(InFlight):
    """One request of the code under test, and its answer.

    Inside its `with` block the request is in flight, and the layers below do not observe it again.

    Attributes:
        scope: The client's object that follows redirects inside the request; None if there is none.
        tap: Keeps a piece of the body on its way to the reader and returns it; called once for each piece.
        ticket: What the sink returned for the request.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_headers",
        "_request_body",
        "_request_headers",
        "_started_at",
        "_status",
        "_token",
        "context",
        "method",
        "observer",
        "scope",
        "tap",
        "ticket",
        "url",
    )

    def __init__(self, observer: Observer, method: str, url: str, headers: Headers, body: bytes) -> None:
        super().__init__(url)
        self.observer = observer
        self.method = method
        self.url = url
        self.context: Context = copy_context()
        self.ticket: object = None
        self.scope: object = None
        self._request_headers = headers
        self._request_body = body
        self._started_at = time.time()
        self._status: int | None = None
        self._headers: Headers = {}
        self._body: BoundedBody | None = None
        self.tap: Callable[[Any], Any] = _passed_on
        self._token: Token[InFlight | None] | None = None

    def __enter__(self) -> Self:
        """Put the request in flight."""
        self._token = in_flight.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the request out of flight."""
        if self._token is not None:
            with contextlib.suppress(ValueError):  # a coroutine that is closed from another context
                in_flight.reset(self._token)
        if kind is not None and self._status is None:
            self.observer.unanswered(self)

    def respond(self, status: int, headers: Headers) -> bool:
        """Note the head of the answer. Returns whether its body is to be observed; if not, it is left as it is."""
        self._status = status
        self._headers = headers
        if not self.observer.wants_answer(self, headers):
            self.observer.unanswered(self)
            return False
        self._body = BoundedBody()
        self.tap = self._body.add
        return True

    def attached(self, answer: _T, attach: Callable[[_T, Observation], object]) -> _T:
        """The same answer, after `attach` has begun to observe it; an error in that is reported, and fails no request."""
        try:
            attach(answer, self)
        except Exception as error:  # noqa: BLE001 - an internal error must not fail the user's test
            self.observer.report(f"{self.method} {self.url}", error)
        return answer

    def take_whole(self, body: bytes) -> None:
        """Report the request with an answer whose body is in memory already."""
        self.tap(body)
        self.finish()

    def passing(self, pieces: Iterable[Any]) -> Iterator[Any]:
        """The pieces of the body, observed on their way to the reader. At their end the whole body has been read.

        These are iterators of `itertools`, not a generator, so that an error on the way shows the library's frames
        only.
        """
        return iter(pieces) if self._body is None else chain(self._body.passing(pieces), self._at_end())

    def _at_end(self) -> Iterator[Any]:
        self.finish()
        yield from ()

    @property
    def is_open(self) -> bool:
        """Whether its answer has begun and was not reported yet."""
        return self._body is not None

    def finish(self) -> None:
        """Report the request, with what was read of its answer. Only the first call counts."""
        body, self._body = self._body, None
        self.tap = _passed_on
        if body is None or self._status is None:
            return
        if self.claimed:
            self.observer.unanswered(self)
            return
        exchange = Exchange(
            method=self.method,
            url=self.url,
            request_headers=self._request_headers,
            request_body=self._request_body,
            status=self._status,
            response_headers=self._headers,
            response_body=body.content(),
            started_at=self._started_at,
            replayed=False,
            live=self.live,
        )
        self.observer.observed(self, exchange)


def as_bytes(value: object) -> bytes:
    """A body that is in memory as a whole; empty for one that would have to be read."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""


def _passed_on(piece: Any) -> Any:
    return piece


class LazyHeaders(Mapping[str, list[str]]):
    """Headers by name, each with all its values, built on first access.

    Args:
        pairs: Names and values, as they are now.
    """

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self._pairs = [*pairs]
        self._by_name: dict[str, list[str]] | None = None

    def _read(self) -> dict[str, list[str]]:
        if self._by_name is None:
            self._by_name = {}
            for name, value in self._pairs:
                self._by_name.setdefault(_text(name), []).append(_text(value))
        return self._by_name

    def __getitem__(self, name: str) -> list[str]:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
