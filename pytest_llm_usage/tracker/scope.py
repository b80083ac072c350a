"""Says which test (or the run) an event that happens now belongs to, and which sections of the test.

A scope is entered for every test, so this module imports nothing of ours: the test's tracker is made at its first
event.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Scope", "Section", "Sections", "current_scope", "is_left_behind", "running"]


class Scope(Protocol):
    """What calls belong to: an attempt at a test, or the run."""

    @property
    def is_run(self) -> bool:
        """Whether it stands for the run, that is for calls that belong to no test."""

    @property
    def tracker(self) -> object:
        """The `Tracker` that collects its calls; made on first access."""


#: The scope of a context, and the sections open in it, outermost first; None where the context is not one of ours
#: (a plain thread). One variable for both, because they are set for every test.
_here: ContextVar[tuple[Scope | None, tuple[Section, ...]] | None] = ContextVar("llm_usage_scope", default=None)
_running: list[Scope] = []


def _of_context() -> Scope | None:
    here = _here.get()
    return None if here is None else here[0]


def current_scope() -> Scope | None:
    """The scope of an event that happens now: that of the context, if it is a test's, else the innermost running one.

    What a test leaves running after its end belongs to the run, not to the next test. The run's own scope in the
    context counts only while a fixture of wider scope is set up or torn down: event loops that such a fixture starts
    keep its context and serve every test.
    """
    if not _running:
        return None
    innermost, of_context = _running[-1], _of_context()
    if of_context is innermost or of_context is None or of_context.is_run:
        return innermost
    run = next((scope for scope in reversed(_running) if scope.is_run), innermost)
    if of_context not in _running:
        return run
    # A test that runs pytest in its own process does not belong to that inner run.
    return of_context if of_context in _running[_running.index(run) :] else innermost


def is_left_behind() -> bool:
    """Whether this context belongs to a test that has ended."""
    of_context = _of_context()
    return of_context is not None and not of_context.is_run and of_context not in _running


class running:  # noqa: N801 -- a context manager, used as a function
    """Makes `scope` the current one, for this context and for all threads that have none."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        _running.append(self._scope)
        self._token = _here.set((self._scope, ()))

    def __exit__(self, *_: object) -> None:
        try:  # noqa: SIM105 -- for every test
            _here.reset(self._token)
        except ValueError:  # left in another context than it was entered in
            pass
        if _running and _running[-1] is self._scope:
            _running.pop()
        else:
            # Remove the innermost entry: the run's scope may be in the list more than once.
            del _running[len(_running) - 1 - _running[::-1].index(self._scope)]


# -- sections --------------------------------------------------------------------------------------------------

_numbers = itertools.count()


class Section:  # not a dataclass: defining one costs time at every start of pytest
    """A part of a test, opened by `llm_usage.section(name)`.

    Attributes:
        name: As given.
        owner: The open sections of the test that it is a part of.
        outer: The sections it was opened in, outermost first.
        follows_test: Whether code in the test's own context opened it, not a plain thread.
        key: Identifies it, also across the processes that a test forks.
    """

    __slots__ = ("follows_test", "key", "name", "outer", "owner")

    def __init__(self, name: str, owner: Sections, outer: tuple[Section, ...], follows_test: bool) -> None:
        self.name = name
        self.owner = owner
        self.outer = outer
        self.follows_test = follows_test
        self.key = os.getpid(), next(_numbers)

    @property
    def path(self) -> tuple[Section, ...]:
        """The sections it was opened in, then the section itself."""
        return (*self.outer, self)


class Sections:
    """The sections of one test that are open."""

    def __init__(self) -> None:
        self._open: list[Section] = []

    def here(self) -> tuple[Section, ...]:
        """The sections that a call starting now belongs to, outermost first."""
        here = _here.get()
        if here is not None:
            return here[1] and tuple(section for section in here[1] if section.owner is self)
        # A plain thread has no context of ours. If only one chain of sections is open, opened by the test itself
        # (and not by another thread), the thread works for it. With several chains nobody knows.
        chains = {section.path for section in self._open.copy() if section.follows_test}
        longest = max(chains, key=len, default=())
        if all(longest[: len(chain)] == chain for chain in chains):
            return longest
        return ()

    @contextmanager
    def opened(self, name: str) -> Iterator[Section]:
        """Opens a section inside those that are open here."""
        here = _here.get()
        scope, outer = (None, ()) if here is None else here
        section = Section(name, self, tuple(s for s in outer if s.owner is self), here is not None)
        self._open.append(section)
        token = _here.set((scope, section.path))
        try:
            yield section
        finally:
            self._open.remove(section)
            with suppress(ValueError):  # left in another context than it was entered in: an async generator's
                _here.reset(token)
