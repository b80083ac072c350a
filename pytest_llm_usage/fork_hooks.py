"""`listen_to_forks`: notifies listeners when this process is forked.

Python keeps a registered hook until it exits, with the hook's module and everything that this module imports, and tears all
of that down last and slowly: every run would exit 9 ms later if this module imported pytest, 2 ms if it imported `typing`.
So it imports next to nothing.
"""

from __future__ import annotations

import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Protocol

    class ForkListener(Protocol):
        """A listener to forks."""

        def before(self) -> None:
            """The process is about to be forked."""

        def in_child(self) -> None:
            """The process was forked, and this is the child."""


__all__ = ["listen_to_forks"]

_listeners: list[ForkListener] = []
_is_registered = False
#: Held while a process is forked. Otherwise threads that fork at once would each prepare in their own way, and a child
#: would report its calls where nobody reads them.
_forking = threading.RLock()


def listen_to_forks(listener: ForkListener, closers: ExitStack) -> None:
    """Notifies a listener of every fork, until `closers` are closed."""
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
