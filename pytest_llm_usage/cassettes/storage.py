"""Reads and writes the files of cassettes: whole or not at all, and replaced in one step."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pytest_llm_usage.atomic import replace_file
from pytest_llm_usage.cassettes import reader, writer
from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.encoding import MAX_BYTES, decode
from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.text import shown_path

__all__ = ["file_to_write", "find_recording", "load", "parse", "read", "save", "unwritable", "write"]

_T = TypeVar("_T")
_JSON_SUFFIX = ".json"
_GZIP_MAGIC = b"\x1f\x8b"
#: Cassettes with fewer bytes than this are kept in memory once they were parsed.
_SMALL = 1_000_000


def find_recording(path: Path) -> Path | None:
    """The file that holds the cassette `path`: itself, itself with `.gz`, the `.json` of vcrpy's serializer, or None.

    Raises:
        CassetteError: Its folder cannot be read.
    """
    for candidate in (path, path.with_name(path.name + ".gz"), path.with_suffix(_JSON_SUFFIX)):
        try:
            if candidate.is_file():
                return candidate
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                continue  # there is no such file: the suffix makes its name too long
            raise CassetteError(
                f"Cassette cannot be read: {shown_path(candidate)}: {error.strerror or error}"
            ) from None
    return None


def file_to_write(path: Path) -> Path:
    """The file that the cassette `path` is saved to: a compressed file stays compressed, JSON is replaced by YAML."""
    found = find_recording(path)
    return path if found is None or found.suffix == _JSON_SUFFIX else found


def unwritable(path: Path) -> str:
    """Why the cassette `path` cannot be saved, as far as that is known beforehand; empty if no reason is known."""
    folder = Path(os.path.realpath(path)).parent
    with suppress(OSError):
        if path.is_dir():
            return f"{shown_path(path)} is a folder"
        while not folder.exists():
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{shown_path(folder)} cannot be written to"
    return ""


def load(path: Path) -> list[Interaction]:
    """The interactions of the cassette in the file `path`, `.gz` or not.

    Raises:
        CassetteError: The file cannot be read or is not a cassette. It is never changed.
    """
    return list(_read(path, lambda: _parsed(_content(path))))


def parse(path: Path, data: bytes) -> list[Interaction]:
    """The interactions in the content of a cassette's file, as `read` returns it.

    Raises:
        CassetteError: It is not a cassette.
    """
    return list(_read(path, lambda: _parsed(data)))


def _parsed(content: bytes) -> Sequence[Interaction]:
    # Parametrised tests, and tests that name a cassette, share one; parsing its YAML takes most of a replay's time.
    return _parsed_before(content) if len(content) < _SMALL else reader.parse(content)


@lru_cache(maxsize=16)
def _parsed_before(content: bytes) -> Sequence[Interaction]:
    return tuple(reader.parse(content))


def _read(path: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except OSError as error:
        problem = f"{error.strerror or error}"
    except CassetteError as error:
        problem = str(error)
    raise CassetteError(f"Cassette cannot be read: {shown_path(path)}: {problem}. The file was left as it is")


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise CassetteError(f"it has more than {MAX_BYTES:,} bytes")
    data = path.read_bytes()
    if not data.startswith(_GZIP_MAGIC):
        return data
    found = decode(data, "gzip")
    if found.problem:
        raise CassetteError(f"it cannot be decompressed ({found.problem})")
    return found.content


def save(path: Path, interactions: Sequence[Interaction], *, indent_json: bool = True) -> None:
    """Write a cassette of only these interactions; see `write`."""
    write(path, writer.render(interactions, indent_json=indent_json))


def read(path: Path) -> bytes:
    """The content of a cassette's file, decompressed.

    Raises:
        CassetteError: The file cannot be read.
    """
    return _read(path, lambda: _content(path))


def write(path: Path, data: bytes) -> None:
    """Replace the file `path` in one step; a file whose name ends in `.gz` is compressed.

    A concurrent reader sees the old file or the new one, never a part.

    Raises:
        CassetteError: It could not be written. The old file is unchanged.
    """
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    try:
        replace_file(path, data)
    except OSError as error:
        raise CassetteError(
            f"Cassette not saved: {shown_path(path)}: {error.strerror or error}. The old one was left as it is"
        ) from error
