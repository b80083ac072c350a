"""`BoundedBody`: the bytes of an answer, kept while it is under way and up to a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

__all__ = ["MAX_BODY_BYTES", "BoundedBody"]

_T = TypeVar("_T")

#: Answers with images or audio have some megabytes; their usage is at the end.
MAX_BODY_BYTES = 64 * 2**20

#: How many pieces of an iterator are kept before their size is checked. A piece is what one read of a socket returns,
#: at most 64 KiB.
_UNWEIGHED_PIECES = 1024


class BoundedBody:
    """Collects the pieces of a body as they pass. They are the client's own objects: nothing is copied on the way."""

    __slots__ = ("_first", "_pieces", "_room")

    def __init__(self) -> None:
        self._first: dict[int, Any] = {}
        self._pieces: list[Any] = []
        self._room = MAX_BODY_BYTES

    def add(self, piece: _T) -> _T:
        """Keep one more piece and pass it on; beyond the bound nothing is kept, and the answer reads as cut off."""
        try:
            self._room -= len(piece)  # type: ignore[arg-type]
        except TypeError:  # a mock may return something other than bytes
            return piece
        if self._room >= 0:
            self._pieces.append(piece)
        return piece

    def passing(self, pieces: Iterable[Any]) -> Iterator[Any]:
        """The same pieces, kept as they pass.

        `setdefault` keeps a value and gives it back: most streams pass without a line of Python for each piece.
        """
        iterator = iter(pieces)
        return chain(map(self._first.setdefault, range(_UNWEIGHED_PIECES), iterator), map(self.add, iterator))

    def content(self) -> bytes:
        """What was kept."""
        pieces = [*self._first.values(), *self._pieces]
        try:
            return b"".join(pieces)
        except TypeError:
            return b"".join(piece for piece in pieces if isinstance(piece, bytes | bytearray))
