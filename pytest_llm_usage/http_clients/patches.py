"""`Patches`: replaces functions of other libraries during a run, and restores them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

__all__ = ["MovedError", "Patches"]


class MovedError(Exception):
    """An internal function of another library is gone, or has other parameters than when it was read."""


class Patches:
    """Replaces functions, and restores them when `closers` are closed.

    If another library has replaced one on top of ours meanwhile, its function stays. Ours stays below, and does nothing
    more.
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
            wrap: Makes our function from the original.

        Raises:
            MovedError: The function is not there, or has other parameters.
        """
        original = vars(owner).get(name)
        shown = f"{getattr(owner, '__module__', '') or ''}.{owner.__name__}.{name}".lstrip(".")
        if original is None:
            raise MovedError(f"{shown} is not there any more")
        try:
            # Of the function below all wrappers: those of other libraries may take anything.
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
