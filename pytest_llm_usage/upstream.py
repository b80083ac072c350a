"""`Internals`: private names of another package that this one relies on, checked before they are used.

Patching a library, or reading its private names, is sometimes the only way. Each place that does so declares the names
it needs, why, and the release they were read in. If a later release moves one of them, the user gets one clear error,
not an `AttributeError` in the middle of a test.
"""

from __future__ import annotations

import importlib
import inspect
import platform
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import metadata
from types import MappingProxyType
from typing import Any

from pytest_llm_usage.errors import UpstreamMovedError
from pytest_llm_usage.records import Record

__all__ = ["Internals"]

_PYTHON = "Python"


class Internals(Record):
    """What one place in this package needs of the internals of one distribution.

    Attributes:
        distribution: Its name, as it is installed; "Python" for the standard library.
        read_in: The release whose source was read.
        reason: Why its public names are not enough; a clause that completes "needed to …".
        names: `module:attribute.attribute`, each with the parameters that it is called with (none: not checked).
    """

    distribution: str
    read_in: str
    reason: str
    names: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def check(self) -> None:
        """Looks all names up.

        Raises:
            UpstreamMovedError: A name is gone, or takes other arguments.
        """
        for name, parameters in self.names.items():
            problem = _problem(name, parameters)
            if problem:
                raise self.moved(name, problem)

    def moved(self, name: str, problem: str = "is gone") -> UpstreamMovedError:
        """The error for a name that has changed; raise it for attributes of instances, which `check` cannot see."""
        return UpstreamMovedError(
            f"{self.distribution} {_installed(self.distribution)}: {name.replace(':', '.')} {problem}. pytest-llm-usage "
            f"needs it to {self.reason} (as in {self.distribution} {self.read_in}).\n"
            f"{self._remedy()}"
        )

    def _remedy(self) -> str:
        if self.distribution == _PYTHON:
            return f"Use {_PYTHON} {self.read_in}, or a newer pytest-llm-usage."
        return f"Install that release, or a newer pytest-llm-usage:  pip install '{self.distribution}=={self.read_in}'"


def _problem(name: str, parameters: tuple[str, ...]) -> str:
    module, _, path = name.partition(":")
    try:
        found: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError):
        return "is gone"
    if not parameters:
        return ""
    return "" if _takes(found, parameters) else f"no longer takes ({', '.join(parameters)})"


def _takes(function: Callable[..., Any], parameters: tuple[str, ...]) -> bool:
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _installed(distribution: str) -> str:
    if distribution == _PYTHON:
        return platform.python_version()
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"
