"""Runs work that waits for a disk outside the thread of an event loop.

A plain function cannot yield to the loop: `with llm_cassette(...)` in an async fixture, `llm_usage.cost` in the middle
of a coroutine. Tools that forbid blocking a loop (BlockBuster, in pydantic-ai's and langchain-core's suites) watch the
thread that the loop runs in. So such work is done in a thread of its own. The loop still waits for it, as it would
otherwise: some milliseconds for a cassette, some tenths of a second for the prices of a run, which are read once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["is_in_event_loop", "outside_event_loop"]

_T = TypeVar("_T")


def is_in_event_loop() -> bool:
    """Whether the caller runs in an event loop, so that nothing may wait for a disk."""
    asyncio = sys.modules.get("asyncio")  # importing it takes a tenth of pytest's start; without it no loop runs
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except (RuntimeError, AttributeError):  # no loop runs; another thread is importing asyncio
        return False


def outside_event_loop(work: Callable[[], _T]) -> _T:
    """Returns or raises what `work` does. If an event loop runs in this thread, `work` runs in another one.

    There it sees the context variables of the caller, and cannot change them.
    """
    if not is_in_event_loop():
        return work()
    context = copy_context()
    results: list[_T] = []
    # Waiting for a lock, a `Future` or `join` happens in Python code, and counts as blocking.
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            results.append(context.run(work))
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=run, name="llm-usage outside the event loop", daemon=True).start()
    error = ended.get()
    if error is None:
        return results[0]
    try:
        raise error
    finally:
        del error  # its traceback holds this frame
