"""`BoundedBody`: the bytes of an answer, kept for as long as it is under way and never more than a bound."""

from __future__ import annotations

__all__ = ["MAX_BODY_BYTES", "BoundedBody"]

#: Answers with images or audio have some megabytes; usage stands at the end of those.
MAX_BODY_BYTES = 64 * 2**20


class BoundedBody:
    """Collects the pieces of a body as they pass. They are the client's own objects: nothing is copied on the way."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Keep one more piece; beyond the bound nothing is kept, and the answer reads as cut off."""
        self._size += len(piece)
        if self._size <= MAX_BODY_BYTES:
            self._pieces.append(piece)

    def content(self) -> bytes:
        """What was kept."""
        return b"".join(self._pieces)
