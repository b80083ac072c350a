"""`RunRecordings`: which recordings in a cassette were made by this run, and by which test.

Tests may share a cassette. A test that records it anew drops its older recordings, but never those that another test of
the same run has just paid for, in this process or in another xdist worker. So every save notes, for the bytes that it
is about to write, which test each recording belongs to.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_llm_usage.atomic import replace_file

__all__ = ["Owners", "RunRecordings"]

#: Who recorded each interaction of a cassette, in the file's order: a test of this run, or None for what is older.
Owners: TypeAlias = Sequence[str | None]

#: The notes for the new content and for the old: a process that is killed in between leaves either of them.
_KEPT_NOTES = 2


class RunRecordings:
    """The notes of one run. Reading and writing them takes the lock of the cassette (`atomic.alone_with`).

    Args:
        folder: Where the processes of the run keep them; None for a run of one process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._notes: dict[str, dict[str, list[str | None]]] = {}

    def knows(self, cassette: Path) -> bool:
        """Whether this run recorded into a cassette."""
        return bool(self._read(cassette))

    def owners(self, cassette: Path, data: bytes) -> Owners | None:
        """Who recorded each interaction of a cassette; None if that is unknown, because the file was changed since.

        Args:
            cassette: The file.
            data: Its content, decompressed.
        """
        return self._read(cassette).get(_digest(data))

    def note(self, cassette: Path, data: bytes, owners: Owners) -> None:
        """Note who recorded the content that is about to be written.

        Raises:
            OSError: The note cannot be written, so the cassette must not be written either.
        """
        notes = {**self._read(cassette), _digest(data): list(owners)}
        notes = dict([*notes.items()][-_KEPT_NOTES:])
        if self._folder is None:
            self._notes[_key(cassette)] = notes
        else:
            replace_file(self._file(cassette), json.dumps(notes).encode())

    def _read(self, cassette: Path) -> dict[str, list[str | None]]:
        if self._folder is None:
            return self._notes.get(_key(cassette), {})
        try:
            notes: dict[str, list[str | None]] = json.loads(self._file(cassette).read_bytes())
        except FileNotFoundError:
            return {}
        return notes

    def _file(self, cassette: Path) -> Path:
        return Path(self._folder or "", f"{_digest(os.fsencode(_key(cassette)))}.json")


def _key(cassette: Path) -> str:
    return os.path.realpath(cassette)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
