"""Files replaced in one step, and one writer at a time.

Whoever reads meanwhile sees the old file or the new one, whole. A crash, a full disk or a killed process leaves the old
one as it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["alone_with", "replace_file"]

#: No write takes this long: a temporary file of this age belongs to a process that was killed.
_ABANDONED_AFTER_S = 600


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file, or make it. A link stays a link: the file that it leads to is replaced.

    A temporary file in the same folder takes its place once it is on the disk. Those of processes that were killed are
    removed by the next writer.

    Raises:
        OSError: It could not be written. The old file is as it was. So is what is no file: of a device, such as /dev/null,
            nothing would be left for all the others who write to it.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "A device or a pipe, not a file")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, temporary = tempfile.mkstemp(prefix=_temporary_prefix(path), suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))  # noqa: PTH101 - mkstemp's 0600 is for secrets, these files are shared
        os.replace(temporary, path)  # noqa: PTH105
        temporary = None
        _sync_folder(path.parent)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108


def _temporary_prefix(path: Path) -> str:
    """A hidden name, so that nobody takes it for a cassette or a snapshot; a name of its own for each file."""
    return f".{_digest(path.name)}."


def _digest(text: str) -> str:
    return hashlib.md5(os.fsencode(text), usedforsecurity=False).hexdigest()[:12]


def _remove_abandoned(path: Path) -> None:
    oldest = time.time() - _ABANDONED_AFTER_S
    for temporary in path.parent.glob(f"{_temporary_prefix(path)}*.tmp"):
        with contextlib.suppress(OSError):
            if temporary.stat().st_mtime < oldest:
                temporary.unlink()


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """The only process (and thread) that reads `path` in order to replace it; others wait.

    No lock file is left beside `path`: its folder, which is made, is what is locked. Windows locks no folders, so there
    it is a file in the folder for temporary files. `filelock` would bring such a file everywhere.

    Raises:
        OSError: The folder cannot be made or locked.
    """
    folder = Path(os.path.realpath(path)).parent
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock_file_on_windows if sys.platform == "win32" else _lock_folder
    with lock(folder):
        yield


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    import fcntl  # noqa: PLC0415 -- only there

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _lock_file_on_windows(folder: Path) -> Iterator[None]:
    import msvcrt  # noqa: PLC0415 -- only there

    system: Any = msvcrt
    lock = Path(tempfile.gettempdir()) / f"pytest-llm-usage-{_digest(os.path.normcase(folder))}.lock"
    with lock.open("ab") as file:
        while True:
            file.seek(0)
            # It gives up after ten seconds; somebody else's write on a slow disk may take longer.
            with contextlib.suppress(OSError):
                system.locking(file.fileno(), system.LK_LOCK, 1)
                break
        try:
            yield
        finally:
            file.seek(0)
            system.locking(file.fileno(), system.LK_UNLCK, 1)
