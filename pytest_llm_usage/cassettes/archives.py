"""The contents of archives that are uploaded or fetched: zip (and with it office documents), bzip2 and xz.

They are only searched for keys: no file of an archive is written anywhere.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import zipfile
from collections.abc import Iterator

__all__ = ["ArchiveTooLargeError", "archived"]

_ZIP = b"PK\x03\x04"
#: By their first bytes: the module that decompresses a stream, which Python may have been built without, and its class.
_STREAMS = {b"BZh": ("bz2", "BZ2Decompressor"), b"\xfd7zXZ\0": ("lzma", "LZMADecompressor")}
#: An archive may hold archives: a folder that was sent holds documents.
_MAX_DEPTH = 3
_MAX_BYTES = 64 * 2**20


class ArchiveTooLargeError(Exception):
    """An archive holds more than is searched."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"it is an archive that holds more than {max_bytes:,} bytes")


def archived(data: bytes, max_bytes: int = _MAX_BYTES) -> Iterator[bytes]:
    """Yields the contents of the files in an archive, and of archives in it; nothing if it is not an archive.

    A damaged archive counts as none. Encrypted files are left out: nobody can read a key in them without the password.

    Args:
        data: The archive.
        max_bytes: How many bytes all contents may have together.

    Raises:
        ArchiveTooLargeError: They have more.
    """
    room = max_bytes
    waiting = [(data, 0)]
    while waiting:
        outer, depth = waiting.pop()
        for content in _contents(outer, max_bytes):
            room -= len(content)
            if room < 0:
                raise ArchiveTooLargeError(max_bytes)
            yield content
            if depth + 1 < _MAX_DEPTH:
                waiting.append((content, depth + 1))


def _contents(data: bytes, max_bytes: int) -> Iterator[bytes]:
    if data.startswith(_ZIP):
        yield from _unzipped(data, max_bytes)
    for start, (module, decompressor) in _STREAMS.items():
        if data.startswith(start):
            try:
                yield getattr(importlib.import_module(module), decompressor)().decompress(data, max_bytes + 1)
            except Exception:  # noqa: BLE001 -- whatever is wrong with it, it is not an archive
                return


def _unzipped(data: bytes, max_bytes: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                content = b""
                # A file that is encrypted, damaged, or compressed in a way that Python does not know is left out.
                with contextlib.suppress(Exception), archive.open(member) as file:
                    content = file.read(max_bytes + 1)
                yield content
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, LookupError, OverflowError):
        return
