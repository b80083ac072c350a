"""Calls back when anyone opens the first cassette of plain vcrpy.

Whoever waits for that need not load vcrpy, and starts once vcrpy is loaded completely. An import hook alone would come
too early, because modules of ours may be half-way through importing vcrpy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType
from typing import Any

from pytest_llm_usage.upstream import Internals

__all__ = ["when_first_opened"]

_VCRPY = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="notice the first cassette that is opened",
    names={"vcr.cassette:CassetteContextDecorator.__enter__": ("self",)},
)


def when_first_opened(vcr: ModuleType, start: Callable[[], object], closers: ExitStack) -> None:
    """Calls `start` once, just before vcrpy opens a cassette for the first time; never after `closers` are closed.

    Raises:
        UpstreamMovedError: The installed vcrpy is not built like the version that was read.
    """
    _VCRPY.check()
    decorator = vcr.cassette.CassetteContextDecorator
    original = decorator.__enter__

    def enter(self: Any) -> Any:
        restore()
        start()
        return original(self)

    def restore() -> None:
        if decorator.__enter__ is enter:
            decorator.__enter__ = original

    decorator.__enter__ = enter
    closers.callback(restore)
