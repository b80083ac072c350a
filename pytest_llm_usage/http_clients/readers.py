"""`observe_reader`: observes a response that is read like a file.

The methods of its class are wrapped, once for the process. The wrappers look for the `_Tap` of the object, and do
nothing if it has none. Functions in the object itself would not do: in `urlopen(url).read()` only the bound method
keeps the object alive. So the type of the object stays the same, and without references it is freed at once, as ever,
with its connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llm_usage.http_clients.observer import Observation

__all__ = ["FILE_METHODS", "URLLIB3_METHODS", "observe_reader"]

#: What a method does: it returns a `piece` of the body, or can `fill` a buffer with one; after it nothing more is read
#: (`end`), or the garbage collector may call it, too (`close`).
Kind = str

#: The methods of `http.client.HTTPResponse`, and of mocks of it. Some of them call each other.
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


#: The attribute that holds an object's tap, and the one that marks our wrapper of a method.
_TAP = "_llm_usage_tap"
_IS_WRAPPER = "_llm_usage_reads"


def observe_reader(reader: Any, observation: Observation, methods: Mapping[str, Kind]) -> None:
    """Report to `observation` what is read from `reader` from now on.

    Raises:
        AttributeError: The reader has no such methods, or attributes cannot be set on it or on its class.
    """
    kind = type(reader)
    found = {name: kind_of_method for name, kind_of_method in methods.items() if hasattr(kind, name)}
    if "piece" not in found.values():
        raise AttributeError(f"{kind.__name__} has none of {', '.join(methods)}")
    for name, kind_of_method in found.items():
        original = getattr(kind, name)
        if not hasattr(original, _IS_WRAPPER):
            wrapper = functools.wraps(original)(_WRAPPERS[kind_of_method](name, original))
            setattr(wrapper, _IS_WRAPPER, True)
            try:
                setattr(kind, name, wrapper)
            except TypeError as error:
                raise AttributeError(str(error)) from None
    setattr(reader, _TAP, _Tap(observation))


class _Tap:
    """Reports what is read from one reader. It is freed with its reader, after which nothing more can be read."""

    __slots__ = ("_observation", "depth")

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        #: How many methods of the reader are running: some call each other.
        self.depth = 0

    def passed(self, reader: Any, piece: Any, *, is_end: bool) -> None:
        if self.depth:
            return
        self._observation.tap(piece)
        if is_end or _is_spent(reader):
            self._observation.finish()

    def failed(self, reader: Any) -> None:
        """Ends the answer after a read that raised, if the connection is gone as well."""
        if not self.depth and _is_spent(reader):
            self._observation.finish()

    def finish(self) -> None:
        if not self.depth:
            self._observation.finish()

    def give_up(self) -> None:
        if not self.depth and self._observation.is_open:
            self._observation.observer.give_up(self._observation)

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1

    def __del__(self) -> None:
        self.give_up()


def _tap_of(reader: Any) -> _Tap | None:
    tap: _Tap | None = getattr(reader, "__dict__", {}).get(_TAP)
    return tap


def _wrap_piece(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tap = _tap_of(self)
        if tap is None:
            return original(self, *args, **kwargs)
        try:
            with tap:
                piece = original(self, *args, **kwargs)
        except BaseException:
            tap.failed(self)
            raise
        amount = args[0] if args else kwargs.get("amt")
        is_whole = (
            name in ("read", "_fp_read", "_raw_read") and (amount is None or amount < 0) and not kwargs.get("read1")
        )
        tap.passed(self, piece, is_end=is_whole or (not piece and amount != 0))
        return piece

    return read


def _wrap_fill(_: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def readinto(self: Any, buffer: Any, *args: Any) -> Any:
        __tracebackhide__ = True
        tap = _tap_of(self)
        if tap is None:
            return original(self, buffer, *args)
        try:
            with tap:
                size = original(self, buffer, *args)
        except BaseException:
            tap.failed(self)
            raise
        tap.passed(self, bytes(memoryview(buffer).cast("B")[: size or 0]), is_end=not size and len(buffer) > 0)
        return size

    return readinto


def _wrap_end(_: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def end(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tap = _tap_of(self)
        # An answer of responses has no connection, but every read calls this to release it.
        if tap is None or getattr(self, "_connection", None) is None:
            return original(self, *args, **kwargs)
        try:
            with tap:
                return original(self, *args, **kwargs)
        finally:
            tap.finish()

    return end


def _wrap_close(_: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tap = _tap_of(self)
        if tap is None:
            return original(self, *args, **kwargs)
        try:
            with tap:
                return original(self, *args, **kwargs)
        finally:
            tap.give_up()

    return close


_WRAPPERS: Mapping[Kind, Callable[[str, Callable[..., Any]], Callable[..., Any]]] = {
    "piece": _wrap_piece,
    "fill": _wrap_fill,
    "end": _wrap_end,
    "close": _wrap_close,
}


def _is_spent(reader: Any) -> bool:
    """Whether a reader has dropped its file, as `http.client` does when all is read.

    No method of a mock's file is called: the `isclosed` of responses closes it.
    """
    file = reader.fp if hasattr(reader, "fp") else getattr(reader, "_fp", reader)
    return file is None or (hasattr(file, "fp") and file.fp is None)
