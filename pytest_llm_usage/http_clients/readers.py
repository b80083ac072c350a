"""`observe_reader`: a response that is read like a file, told of as it is read.

Its methods are replaced on the one object, so that its type stays what it was. What is put there knows it weakly: a
response that nobody holds any more is gone at once, as ever, and its connection with it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llm_usage.http_clients.observer import Observation

__all__ = ["FILE_METHODS", "URLLIB3_METHODS", "observe_reader"]

#: What a method does: it returns a `piece` of the body, or can `fill` a buffer with one; after it, nothing is read any
#: more (`end`), or it is one by which the garbage collector makes an end (`close`).
Kind = str

#: `http.client.HTTPResponse`, and what mocks have in its place. Some of them call each other.
FILE_METHODS: Mapping[str, Kind] = {
    "read": "piece",
    "read1": "piece",
    "readline": "piece",
    "readinto": "fill",
    "readinto1": "fill",
    "close": "close",
}

#: `urllib3.HTTPResponse` reads through these, before it decodes: 2.8 through the first and the last, 1.26 through the
#: second and the last.
URLLIB3_METHODS: Mapping[str, Kind] = {
    "_raw_read": "piece",
    "_fp_read": "piece",
    "_handle_chunk": "piece",
    "close": "close",
    "release_conn": "end",
}


def observe_reader(reader: Any, observation: Observation, methods: Mapping[str, Kind]) -> None:
    """Tell `observation` of what is read from `reader` from now on.

    Raises:
        AttributeError: It has no such methods, or takes no others in their place.
    """
    tap = _Tap(reader, observation)
    for name, kind in methods.items():
        if hasattr(reader, name):
            setattr(reader, name, getattr(tap, f"wrap_{kind}")(name))
    if not any(name in vars(reader) and kind == "piece" for name, kind in methods.items()):
        raise AttributeError(f"{type(reader).__name__} has none of {', '.join(methods)}")


class _Tap:
    """Lives as long as the reader does; with it goes the last chance to read on."""

    __slots__ = ("_depth", "_observation", "_reader")

    def __init__(self, reader: Any, observation: Observation) -> None:
        self._reader = weakref.ref(reader)
        self._observation = observation
        self._depth = 0

    def wrap_piece(self, name: str) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            piece = self._call(name, args, kwargs)
            amount = args[0] if args else kwargs.get("amt")
            is_whole = (
                name in ("read", "_fp_read", "_raw_read") and (amount is None or amount < 0) and not kwargs.get("read1")
            )
            self._passed(piece, is_end=is_whole or (not piece and amount != 0))
            return piece

        return read

    def wrap_fill(self, name: str) -> Callable[..., Any]:
        def readinto(buffer: Any, *args: Any) -> Any:
            __tracebackhide__ = True
            size = self._call(name, (buffer, *args), {})
            self._passed(bytes(memoryview(buffer).cast("B")[: size or 0]), is_end=not size and len(buffer) > 0)
            return size

        return readinto

    def wrap_end(self, name: str) -> Callable[..., Any]:
        def end(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            # An answer of responses has no connection, and is told to release it at every read.
            is_end = getattr(self._reader(), "_connection", None) is not None
            try:
                return self._call(name, args, kwargs)
            finally:
                if is_end and not self._depth:
                    self._observation.finish()

        return end

    def wrap_close(self, name: str) -> Callable[..., Any]:
        def close(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            try:
                return self._call(name, args, kwargs)
            finally:
                self._give_up()

        return close

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        __tracebackhide__ = True
        reader = self._reader()
        self._depth += 1
        try:
            return getattr(type(reader), name)(reader, *args, **kwargs)
        finally:
            self._depth -= 1

    def _passed(self, piece: Any, *, is_end: bool) -> None:
        if self._depth:
            return
        self._observation.tap(piece)
        if is_end or _is_spent(self._reader()):
            self._observation.finish()

    def _give_up(self) -> None:
        if not self._depth and self._observation.is_open:
            self._observation.observer.give_up(self._observation)

    def __del__(self) -> None:
        self._give_up()


def _is_spent(reader: Any) -> bool:
    """Whether a reader has let go of its file, as `http.client` does when all is read.

    Of a mock's file nothing is asked: the `isclosed` of responses closes it.
    """
    file = reader.fp if hasattr(reader, "fp") else getattr(reader, "_fp", reader)
    return file is None or (hasattr(file, "fp") and file.fp is None)
