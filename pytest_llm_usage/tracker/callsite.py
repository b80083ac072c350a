"""Finds where in the user's code an event came from.

This runs in the middle of a call, often inside an event loop: nothing here reads from a disk after the import.
"""

from __future__ import annotations

import gc
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeAlias

__all__ = ["Callsite", "shown", "user_callsite"]

#: File, line and function.
Callsite: TypeAlias = tuple[str, int, str]


def _library_folders() -> tuple[str, ...]:
    """The folders of Python, its libraries and this package: their names, and the paths that links resolve to."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")}
    folders |= {str(Path(__file__).parents[1]), str(Path(os.__file__).parent)}
    return tuple(sorted({path + os.sep for folder in folders for path in (folder, os.path.realpath(folder))}))


#: Folders whose files are not the user's own.
_LIBRARIES = _library_folders()

_PYTEST = f"{os.sep}_pytest{os.sep}"
#: Where asyncio's loop runs a step of a task.
_LOOP, _STEP = os.path.join(os.sep, "asyncio", "events.py"), "_run"  # noqa: PTH118 -- the end of a name


@lru_cache(maxsize=4096)
def _is_users(filename: str) -> bool:
    return not filename.startswith(("<", *_LIBRARIES)) and "site-packages" not in filename


#: Held while the frames of another thread are read, so that no other reader switches the collector back on.
_looking = threading.RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    # A process forked meanwhile would have no thread to release it.
    os.register_at_fork(before=_looking.acquire, after_in_parent=_looking.release, after_in_child=_looking.release)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Switches garbage collection off while the frames of another thread are read.

    Python lists the frames under a lock that a starting thread needs as well. If a garbage collection begins meanwhile
    and switches to such a thread, both wait for ever (https://github.com/python/cpython/issues/106883). Also, `f_back`
    makes an object for the frame of a function that is still running. In Python 3.11 a collection may begin there and
    switch to the thread that runs the function: the function ends, and Python goes on with memory that holds something
    else.
    """
    with _looking:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_enabled:
                gc.enable()


def _function(code: CodeType) -> str:
    """The name of the function that encloses a comprehension, a generator expression or a lambda."""
    named = [part for part in code.co_qualname.split(".") if not part.startswith("<")]
    return named[-1] if named else code.co_name


def user_callsite(thread_id: int | None = None, *, skip: int = 0, in_task: bool = False) -> Callsite | None:
    """The innermost frame of the user's own code that led here; None if there is none.

    Args:
        thread_id: Another thread to look at instead, at the line where it is now.
        skip: How many of the innermost callers are known not to be the user's: reading a frame takes time.
        in_task: Whether to stop at the current task: the code that runs the event loop is not what made the call.
    """
    # The interpreter's own lists of frames: `inspect.stack()` reads source files, and sees only one thread.
    if thread_id is None:
        return _users_frame(sys._getframe(1 + skip), in_task=in_task)  # noqa: SLF001
    with _without_collections():
        return _users_frame(sys._current_frames().get(thread_id), in_task=in_task)  # noqa: SLF001


def _users_frame(frame: FrameType | None, *, in_task: bool) -> Callsite | None:
    while frame is not None:
        code = frame.f_code
        if _is_users(code.co_filename):
            name = code.co_name
            return code.co_filename, frame.f_lineno, _function(code) if name.startswith("<") else name
        if _PYTEST in code.co_filename:
            return None  # the code that started pytest made no call
        if in_task and code.co_name == _STEP and code.co_filename.endswith(_LOOP):
            return None
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def _relative(filename: str, root: str) -> str:
    if not Path(filename).is_absolute():
        return filename  # as it was run; only the disk could say in which folder
    # Not `os.path.relpath`: it reads the current folder from the disk, which BlockBuster forbids in an event loop.
    path, folder = Path(os.path.normpath(filename)), Path(os.path.normpath(root))
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def shown(callsite: Callsite | None, root: Path) -> str | None:
    """`file:line in function`, the file relative to `root` where it lies below it."""
    if callsite is None:
        return None
    filename, line, function = callsite
    return f"{_relative(filename, str(root))}:{line} in {function}"
