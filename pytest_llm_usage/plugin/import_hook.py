"""Tracking begins when the code under test imports LangChain."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.machinery import ModuleSpec
from types import ModuleType


class AttachOnImport:
    """Attaches tracking when the module is imported in which LangChain keeps its configure hooks.

    A finder of one module that steps aside as soon as it was asked for it. (wrapt has such hooks ready, but importing
    it costs every start of pytest more than the whole plugin.)
    """

    _module = "langchain_core.tracers.context"

    def __init__(self, attach: Callable[[], object]) -> None:
        self._attach = attach

    def install(self, closers: ExitStack) -> None:
        """Attaches now or on import, until `closers` are closed."""
        if self._module in sys.modules:
            self._attach()
        else:
            sys.meta_path.insert(0, self)
            closers.callback(self._uninstall)

    def _uninstall(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What `sys.meta_path` asks for: the module as others find it, attaching behind its import."""
        if name != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                self._attach()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
