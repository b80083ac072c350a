"""`tell_of_forks` tells its listeners when this process is forked.

Python keeps what is registered for that until it ends, with this module and everything that this module imports. Python then
takes all of that down last and slowly, which every run of pytest would pay for: 9 ms with pytest among it, 2 ms with `typing`.
So this module imports next to nothing.
"""

from __future__ import annotations

import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Protocol

    class ForkListener(Protocol):
        """Is told of every fork."""

        def before(self) -> None:
            """The process is about to be forked."""

        def in_child(self) -> None:
            """The process was forked, and this is the child."""


__all__ = ["tell_of_forks"]

_listeners: list[ForkListener] = []
_is_registered = False
#: Held while a process is forked: of threads that fork at once each would make ready in its own way, and a child would tell of
#: its calls where nobody listens.
_forking = threading.RLock()


def tell_of_forks(listener: ForkListener, closers: ExitStack) -> None:
    """Tells of every fork, until `closers` are closed."""
    _listeners.append(listener)
    closers.callback(_listeners.remove, listener)
    _register()


def _before() -> None:
    _forking.acquire()
    for each in _listeners:
        each.before()


def _in_parent() -> None:
    _forking.release()


def _in_child() -> None:
    global _forking  # noqa: PLW0603 -- the thread that holds the parent's may not be this one, as Python numbers them
    _forking = threading.RLock()
    for each in _listeners:
        each.in_child()


def _register() -> None:
    global _is_registered  # noqa: PLW0603 -- once for the process
    if not _is_registered and hasattr(os, "register_at_fork"):  # not on Windows
        _is_registered = True
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
