"""Observes what cassettes of plain vcrpy replay and record, whether pytest-recording, pytest-vcr or a test opened them.

Their methods `play_response` and `append` are wrapped once for the whole process (`watch_all_cassettes`). Only the
newest observer is called, so that one exchange is one call.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from vcr.cassette import Cassette

from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.mocks import is_sent_out
from pytest_llm_usage.cassettes.vcr_convert import plain_request, plain_response
from pytest_llm_usage.upstream import Internals
from pytest_llm_usage.wire.exchange import Exchange
from pytest_llm_usage.wire.in_flight import claim

__all__ = ["observing_vcrpy", "watch_all_cassettes"]

_VCRPY = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="count what cassettes opened by other plugins replay and record",
    names={
        "vcr.cassette:Cassette.play_response": ("self", "request"),
        "vcr.cassette:Cassette.append": ("self", "request", "response"),
        "vcr.cassette:Cassette._load": ("self",),
    },
)


def watch_all_cassettes(observe: Callable[[Exchange], None]) -> Callable[[], None]:
    """Observe what cassettes of plain vcrpy replay and record from now on.

    Args:
        observe: Called once for each response, before it reaches the client.

    Returns:
        A function that stops it.

    Raises:
        UpstreamMovedError: The installed vcrpy is not built like the version that was read.
    """
    return _watch.add(observe)


@contextlib.contextmanager
def observing_vcrpy(observe: Callable[[Exchange], None]) -> Iterator[None]:
    """Like `watch_all_cassettes`, while the block runs."""
    stop = watch_all_cassettes(observe)
    try:
        yield
    finally:
        stop()


class _Watch:
    """The wrappers round vcrpy's cassettes, in place while there are observers."""

    def __init__(self) -> None:
        self._observers: list[Callable[[Exchange], None]] = []
        self._lock = threading.Lock()
        self._originals: dict[str, Any] = {}
        #: The cassettes that are being read. Reading calls `append`, too, although no request was made.
        self._loading: set[int] = set()
        #: The files of the cassettes that were read.
        self._paths: WeakKeyDictionary[Any, Path] = WeakKeyDictionary()

    def add(self, observe: Callable[[Exchange], None]) -> Callable[[], None]:
        def observer(exchange: Exchange) -> None:
            observe(exchange)

        with self._lock:
            if not self._observers:
                self._wrap()
            self._observers.append(observer)

        def stop() -> None:
            with self._lock:
                if observer in self._observers:
                    self._observers.remove(observer)
                    if not self._observers:
                        self._unwrap()

        return stop

    def _wrap(self) -> None:
        _VCRPY.check()
        play, append, load = Cassette.play_response, Cassette.append, Cassette._load  # noqa: SLF001

        def watched_play(cassette: Any, request: Any) -> Any:
            response = play(cassette, request)
            self._notify(cassette, request, response, replayed=True)
            return response

        def watched_append(cassette: Any, request: Any, response: Any) -> None:
            append(cassette, request, response)
            if id(cassette) not in self._loading:
                self._notify(cassette, request, response, replayed=False)

        def watched_load(cassette: Any) -> None:
            # Resolved now, while vcrpy reads the disk: a later request may run in an event loop, which must not.
            self._paths[cassette] = Path(cassette._path).absolute()  # noqa: SLF001 - public only from vcrpy 9 on
            self._loading.add(id(cassette))
            try:
                load(cassette)
            finally:
                self._loading.discard(id(cassette))

        self._originals = {"play_response": play, "append": append, "_load": load}
        for name, wrapper in {"play_response": watched_play, "append": watched_append, "_load": watched_load}.items():
            setattr(Cassette, name, wrapper)

    def _unwrap(self) -> None:
        for name, original in self._originals.items():
            setattr(Cassette, name, original)

    def _notify(self, cassette: Any, request: Any, response: Mapping[str, Any], *, replayed: bool) -> None:
        observers = self._observers
        if not observers:
            return
        answered = Interaction(plain_request(request), plain_response(response))
        claim()
        observers[-1](
            answered.exchange(
                started_at=time.time(),
                replayed=replayed,
                cassette=self._paths.get(cassette) or Path(cassette._path).absolute(),  # noqa: SLF001 - as above
                live=not replayed and is_sent_out(answered.request.uri),
            )
        )


_watch = _Watch()
