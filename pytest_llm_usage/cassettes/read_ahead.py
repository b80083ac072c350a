"""`ReadAhead`: a cassette's file, read when the cassette is opened.

The first request may come from an event loop, which must not wait for a disk. A file that is missing or broken does not
matter until a request asks for it: most tests of a suite may make no request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.event_loop import is_in_event_loop, outside_event_loop

__all__ = ["ReadAhead"]

#: Shows whether a file is still the one that was read: its path, inode, size and time of modification.
_Stamp: TypeAlias = tuple[Path, int, int, int]


class ReadAhead:
    """The recordings in the file of a cassette.

    Args:
        path: The cassette.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_read = False
        self._stamp: _Stamp | None = None
        self._recordings: Sequence[Interaction] | None = None
        self._problem: CassetteError | None = None

    def read(self) -> None:
        """Read the file now."""
        outside_event_loop(self._read)

    def _read(self) -> None:
        self._recordings = self._problem = None
        try:
            found = storage.find_recording(self._path)
            self._stamp = _stamp(found)
            if found is not None:
                self._recordings = storage.load(found)
        except CassetteError as error:
            self._problem = error
        self._is_read = True

    def recordings(self) -> Sequence[Interaction] | None:
        """The recordings in the file; None if there is no file.

        A fixture may have put another file there meanwhile. That is checked, except in an event loop.

        Raises:
            CassetteError: The file cannot be read, or is not a cassette.
        """
        if not self._is_read or (not is_in_event_loop() and self._has_changed()):
            self.read()
        if self._problem is not None:
            raise self._problem
        return self._recordings

    def _has_changed(self) -> bool:
        return self._problem is not None or _stamp(storage.find_recording(self._path)) != self._stamp


def _stamp(found: Path | None) -> _Stamp | None:
    if found is not None:
        with contextlib.suppress(OSError):
            state = found.stat()
            return found, state.st_ino, state.st_size, state.st_mtime_ns
    return None
