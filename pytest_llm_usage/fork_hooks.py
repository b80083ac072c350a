"""`tell_of_forks`: who is told when this process is forked.

Python keeps what is registered for that to its end, with the module that it stands in and all that this one imports. So
this module imports next to nothing: with pytest among it, every run would end later by the time that pytest takes to be
taken down.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from functools import cache
from typing import Protocol

__all__ = ["Told", "tell_of_forks"]


class Told(Protocol):
    """Who is told."""

    def before(self) -> None:
        """The process is about to be forked."""

    def in_child(self) -> None:
        """The process was forked, and this is the child."""


_told: list[Told] = []
#: Held while a process is forked: of threads that fork at once each would make ready in its own way, and a child would tell of
#: its calls where nobody listens.
_forking = threading.RLock()


def tell_of_forks(told: Told, closers: ExitStack) -> None:
    """Tells of every fork, until `closers` are closed."""
    _told.append(told)
    closers.callback(_told.remove, told)
    _register()


def _before() -> None:
    _forking.acquire()
    for each in _told:
        each.before()


def _in_parent() -> None:
    _forking.release()


def _in_child() -> None:
    global _forking  # noqa: PLW0603 -- the thread that holds the parent's may not be this one, as Python numbers them
    _forking = threading.RLock()
    for each in _told:
        each.in_child()


@cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
