"""`Patches`: functions of others, replaced while a run lasts and put back as they were."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

__all__ = ["MovedError", "Patches"]


class MovedError(Exception):
    """Another library's inner part is not where, or not what, it was when it was read."""


class Patches:
    """Replaces functions, and restores them when `closers` are closed.

    Whoever replaced one on top of ours meanwhile keeps it: ours stays below, and does nothing any more.
    """

    def __init__(self, closers: ExitStack) -> None:
        self._closers = closers

    def replace(
        self, owner: Any, name: str, parameters: Sequence[str], wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """Replace one function.

        Args:
            owner: The class or module that has it.
            name: Its name there.
            parameters: The names of the parameters that we rely on, in their order.
            wrap: Makes ours of the original.

        Raises:
            MovedError: It is not there, or its parameters are others.
        """
        original = vars(owner).get(name)
        shown = f"{getattr(owner, '__module__', '') or ''}.{owner.__name__}.{name}".lstrip(".")
        if original is None:
            raise MovedError(f"{shown} is not there any more")
        try:
            # Not of what others have wrapped: theirs may take anything.
            found = list(inspect.signature(inspect.unwrap(original)).parameters)
        except (TypeError, ValueError):
            found = list(parameters)
        if found[: len(parameters)] != list(parameters) and found != ["args", "kwargs"]:
            raise MovedError(f"{shown} takes ({', '.join(found)}), not ({', '.join(parameters)}, …)")
        wrapper = functools.wraps(original)(wrap(original))
        setattr(owner, name, wrapper)

        def restore() -> None:
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)

        self._closers.callback(restore)
