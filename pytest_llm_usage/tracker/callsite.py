"""Where in the user's code an event came from."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TypeAlias

__all__ = ["Callsite", "shown", "user_callsite"]

#: File, line and function.
Callsite: TypeAlias = tuple[str, int, str]

#: Folders whose files are not the user's own: Python's, its libraries' and this package's.
_FOREIGN = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")),
        str(Path(__file__).parents[1]),
    )
)

_PYTEST = f"{os.sep}_pytest{os.sep}"


@lru_cache(maxsize=4096)
def _is_users(filename: str) -> bool:
    if filename.startswith("<") or "site-packages" in filename:
        return False
    return not os.path.realpath(filename).startswith(_FOREIGN)


def user_callsite(thread_id: int | None = None, *, skip: int = 0) -> Callsite | None:
    """The innermost frame of the user's own code that led here; None if there is none.

    Args:
        thread_id: Where to look instead: another thread, at the line where it is now.
        skip: How many of the innermost callers are known to be no user's: to look at a frame takes time.
    """
    # The interpreter's own lists of frames: `inspect.stack()` reads source files, and knows one thread only.
    frame: FrameType | None = (
        sys._getframe(1 + skip) if thread_id is None else sys._current_frames().get(thread_id)  # noqa: SLF001
    )
    while frame is not None:
        code = frame.f_code
        if _is_users(code.co_filename):
            return code.co_filename, frame.f_lineno, code.co_name
        if _PYTEST in code.co_filename:
            return None  # what started pytest made no call
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def _relative(filename: str, root: str) -> str:
    path = os.path.relpath(filename, root)
    return Path(filename).name if path.startswith("..") else path


def shown(place: Callsite | None, root: Path) -> str | None:
    """`file:line in function`, the file relative to `root` where it lies below it."""
    if place is None:
        return None
    filename, line, function = place
    return f"{_relative(filename, str(root))}:{line} in {function}"
