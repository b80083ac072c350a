"""`ImportHook`: calls back when the code under test imports a module. The rest is for imports of our own.

wrapt has such hooks, but importing it would cost more at every start of pytest than this whole plugin.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, TypeAlias

__all__ = ["ImportHook", "OwnModules", "lazy_names", "uncollected", "untraced"]

OnImport: TypeAlias = Callable[[ModuleType], object]


class ImportHook:
    """A finder that waits for a few modules by name, and forgets each one as soon as its import begins.

    Args:
        callbacks: By the name of a module: called once with the module, after its import, or at once if it is imported
            already. A callback must not raise: it would fail the import.
    """

    def __init__(self, callbacks: Mapping[str, OnImport]) -> None:
        self._callbacks = dict(callbacks)

    def install(self, closers: ExitStack) -> None:
        """Calls back now or on import, until `closers` are closed."""
        for name in [name for name in self._callbacks if name in sys.modules]:
            self._callbacks.pop(name)(sys.modules[name])
        if self._callbacks:
            sys.meta_path.insert(0, self)
            closers.callback(self._uninstall)

    def waits_for(self, name: str) -> bool:
        """Whether this still waits for a module; a pytest run within a test removes finders from `sys.meta_path`."""
        return name in self._callbacks and self in sys.meta_path

    def _uninstall(self) -> None:
        self._callbacks.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The protocol of `sys.meta_path`: the spec that other finders return, with the callback after the import."""
        if name not in self._callbacks:
            return None
        callback = self._callbacks.pop(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            # Not installed; it may be by the next attempt to import it.
            self._callbacks[name] = callback
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            callback(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class OwnModules:
    """A finder that imports the modules of a package without pytest's assertion rewriting.

    pytest rewrites the assertions of every module that belongs to a plugin. This package has none, and would pay for it
    at every start: each module's source is read and hashed, and where pytest cannot cache the result
    (`PYTHONDONTWRITEBYTECODE`, another user's site-packages) it is compiled again in every run.

    Args:
        package: The name of the package, which is imported already.
    """

    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The protocol of `sys.meta_path`: finds a module of the package as Python itself does."""
        return PathFinder.find_spec(name, path, target) if name.startswith(self._prefix) else None

    def step_aside(self) -> None:
        """Leaves `sys.meta_path`: what is still in it when Python ends makes the taking down of all modules slow."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def lazy_names(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names are imported on first use.

    Args:
        package: The package's name.
        modules: By module of the package, the names that are imported from it.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 -- in its place
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__


@contextmanager
def untraced() -> Iterator[None]:
    """Switches off the tracer of this thread (coverage's, a debugger's) for the block.

    To trace a line, Python 3.12 counts lines from the beginning of the module, whatever the tracer needs. Importing a
    module of 30,000 lines, as genai-prices has one, then takes 9 s instead of 0.2 s.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    try:  # pragma: no cover -- no tracer sees it
        yield
    finally:
        sys.settrace(trace)


@contextmanager
def uncollected() -> Iterator[None]:
    """Postpones the collection of garbage until the block has ended.

    An import that makes tens of thousands of objects starts dozens of collections, which take a third of its time and
    find nothing.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
