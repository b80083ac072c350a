"""Threads and tasks that a test left behind: their requests do not belong to the next test."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import thread as executors
from weakref import WeakSet

from pytest_llm_usage.tracker.scope import is_left_behind
from pytest_llm_usage.upstream import Internals

__all__ = ["is_late", "noting_threads"]

_EXECUTORS = Internals(
    distribution="Python",
    read_in="3.13",
    reason="tell the threads of executors from those that a test left behind",
    names={"concurrent.futures.thread:_threads_queues": ()},
)
_check_executors = functools.cache(_EXECUTORS.check)
_left_behind: WeakSet[threading.Thread] = WeakSet()


@contextlib.contextmanager
def noting_threads() -> Iterator[None]:
    """Notes the threads that a test starts in this block and leaves running at its end.

    The threads of executors are not noted: they wait for the work of whichever test comes next.

    Raises:
        UpstreamMovedError: Python keeps the threads of executors elsewhere.
    """
    _check_executors()
    before = set(threading.enumerate())
    try:
        yield
    finally:
        pooled = executors._threads_queues  # noqa: SLF001 -- no public name tells the threads of executors
        _left_behind.update(thread for thread in threading.enumerate() if thread not in before and thread not in pooled)


def is_late() -> bool:
    """Whether the running code was left behind by a test that has ended."""
    return threading.current_thread() in _left_behind or is_left_behind()
