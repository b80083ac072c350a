"""Where in the user's code an event came from.

Asked in the middle of a call, often inside of an event loop: nothing here looks at a disk once it is imported.
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
    """The folders of Python, its libraries and this package: as they are named, and where links lead."""
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


#: Held while the frames of another thread are looked at, so that no other look ends what `_without_collections` began.
_looking = threading.RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    # A process that is forked meanwhile has no thread that would release it.
    os.register_at_fork(before=_looking.acquire, after_in_parent=_looking.release, after_in_child=_looking.release)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keeps garbage from being collected while the frames of another thread are looked at.

    Python lists the frames under a lock that a thread which starts needs as well. Where a garbage collection begins
    meanwhile, and gives way to such a thread, both wait for ever (https://github.com/python/cpython/issues/106883).
    And `f_back` makes an object for the frame of a function that is still running. In Python 3.11 a collection may begin in
    there and give way to the thread that runs it: that function ends, and Python goes on with memory that holds something else.
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
    """The name of the function that a comprehension, a generator expression or a lambda stands in."""
    named = [part for part in code.co_qualname.split(".") if not part.startswith("<")]
    return named[-1] if named else code.co_name


def user_callsite(thread_id: int | None = None, *, skip: int = 0, in_task: bool = False) -> Callsite | None:
    """The innermost frame of the user's own code that led here; None if there is none.

    Args:
        thread_id: Where to look instead: another thread, at the line where it is now.
        skip: How many of the innermost callers are known to be no user's: to look at a frame takes time.
        in_task: Whether to look no further than the task under way: who runs the event loop knows nothing of what is
            done in it.
    """
    # The interpreter's own lists of frames: `inspect.stack()` reads source files, and knows one thread only.
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
            return None  # what started pytest made no call
        if in_task and code.co_name == _STEP and code.co_filename.endswith(_LOOP):
            return None
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def _relative(filename: str, root: str) -> str:
    if not Path(filename).is_absolute():
        return filename  # as it was run; where that was, only the disk would say
    # `os.path.relpath` is for the disk's current folder, too, and so forbidden in an event loop by who looks after that.
    path, folder = Path(os.path.normpath(filename)), Path(os.path.normpath(root))
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def shown(callsite: Callsite | None, root: Path) -> str | None:
    """`file:line in function`, the file relative to `root` where it lies below it."""
    if callsite is None:
        return None
    filename, line, function = callsite
    return f"{_relative(filename, str(root))}:{line} in {function}"
