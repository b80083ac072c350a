"""Keeps internal errors from failing users' tests: hooks swallow them, and the end of the run reports them once.

What a hook raises on purpose passes: outcomes of tests (`pytest.fail` …) and usage errors.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, TypeVar

import pytest

__all__ = [
    "FAULTS",
    "Hooks",
    "fault_text",
    "note_early_faults",
    "note_fault",
    "run_after",
    "safe",
    "safe_hooks",
    "unlimited_text",
]

#: The internal errors of this process, after the traceback of the first one; kept with pytest's configuration.
FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()
#: Internal errors from before there is a configuration to keep them with, while options are declared.
_EARLY: list[tuple[str, Exception]] = []

_Hook = TypeVar("_Hook", bound=Callable[..., Any])
_Plugin = TypeVar("_Plugin")


def safe(hook: _Hook, config: pytest.Config | None = None) -> _Hook:
    """Wraps a hook of ours so that an internal error in it has no effect but a note.

    Args:
        hook: A function or a method; a generator function for a hook wrapper.
        config: pytest's, if no argument of the hook leads to it.
    """
    guarded = _around(hook, config) if inspect.isgeneratorfunction(hook) else _plain(hook, config)
    return wraps(hook)(guarded)  # type: ignore[return-value]


def run_after(wrapper: Generator[None, Any, Any], result: Any = None, error: BaseException | None = None) -> Any:
    """Runs a whole hook wrapper after the hooks that it should have wrapped.

    Args:
        wrapper: A generator that has not started.
        result: What those hooks returned.
        error: What they raised instead.
    """
    next(wrapper)
    try:
        if error is not None:
            wrapper.throw(error)
        else:
            wrapper.send(result)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a wrapper yields once")


class Hooks:
    """A plugin object that lists only its hooks: pytest and pluggy look at each name that a plugin lists."""

    def __dir__(self) -> list[str]:
        """The names of its hooks."""
        return [name for name in dir(type(self)) if name.startswith("pytest_")]


def safe_hooks(plugin: _Plugin, config: pytest.Config) -> _Plugin:
    """Makes all hooks of a plugin object `safe`, and returns the object."""
    for name in dir(plugin):
        if name.startswith("pytest_"):
            setattr(plugin, name, safe(getattr(plugin, name), config))
    return plugin


def _plain(hook: Callable[..., Any], config: pytest.Config | None) -> Callable[..., Any]:
    def guarded(*args: Any) -> Any:
        try:
            return hook(*args)
        except pytest.UsageError:
            raise
        except Exception as error:  # noqa: BLE001 -- any error here is internal
            _note(hook.__name__, error, (config, *args))
            return None

    return guarded


def _around(hook: Callable[..., Any], config: pytest.Config | None) -> Callable[..., Any]:
    """Wraps a hook wrapper of ours: if it fails, the hooks of others run as without it."""

    def guarded(*args: Any) -> Generator[None, Any, Any]:
        ours = _started(hook, args, config)
        if ours is None:
            return (yield)
        try:
            result = yield
        except BaseException as theirs:
            try:
                ours.throw(theirs)
            except StopIteration as stop:
                return stop.value
            except Exception as error:
                if error is theirs or isinstance(error, pytest.UsageError):
                    raise
                _note(hook.__name__, error, (config, *args))
            raise
        try:
            ours.send(result)
        except StopIteration as stop:
            return stop.value
        except pytest.UsageError:
            raise
        except Exception as error:  # noqa: BLE001 -- any error here is internal
            _note(hook.__name__, error, (config, *args))
        return result

    return guarded


def _started(
    hook: Callable[..., Any], args: tuple[Any, ...], config: pytest.Config | None
) -> Generator[None, Any, Any] | None:
    """Starts a hook wrapper of ours, up to its `yield`; None if it failed."""
    try:
        ours: Generator[None, Any, Any] = hook(*args)
        next(ours)
    except Exception as error:  # noqa: BLE001 -- any error here is internal
        _note(hook.__name__, error, (config, *args))
        return None
    return ours


def _note(where: str, error: Exception, args: tuple[Any, ...]) -> None:
    config = next((found for arg in args if (found := _config_of(arg)) is not None), None)
    if config is None:
        _EARLY.append((where, error))
    else:
        note_fault(config, where, error)


def note_early_faults(config: pytest.Config) -> None:
    """Moves the errors from before there was a configuration into it."""
    while _EARLY:
        note_fault(config, *_EARLY.pop(0))


def note_fault(config: pytest.Config, where: str, error: Exception) -> None:
    """Keeps an internal error for the end of the run."""
    faults = config.stash.setdefault(FAULTS, [])
    if not faults:
        faults.append("".join(traceback.format_exception(error)).rstrip())
    faults.append(f"{where}: {type(error).__name__}: {error}")


def _config_of(arg: Any) -> pytest.Config | None:
    for owner in (arg, getattr(arg, "_config", None), getattr(arg, "config", None)):
        if isinstance(owner, pytest.Config):
            return owner
    return None


def fault_text(faults: list[str]) -> list[str]:
    """The lines that report internal errors at the end of the run."""
    if not faults:
        return []
    traceback_text, *all_of_them = faults
    first, *others = dict.fromkeys(all_of_them)
    return [
        f"pytest-llm-usage: internal error in {first}",
        *(f"  and in {other}" for other in others[:_MOST_SHOWN]),
        *((f"  and {len(others) - _MOST_SHOWN} more",) if len(others) > _MOST_SHOWN else ()),
        "The tests' results stand; numbers of model calls may be missing. Please report it with these lines:",
        *traceback_text.splitlines(),
    ]


def unlimited_text(error: Exception) -> str:
    """Why a run with a budget, gate or report does not start: an internal error kept its settings from being read."""
    return "\n".join(
        (
            f"pytest-llm-usage: internal error while the settings are read: {type(error).__name__}: {error}",
            "No budget, gate or report would work in this run, so it does not start.",
            "To run the tests without the plugin:  pytest -p no:llm_usage",
            "Please report it with these lines:",
            *"".join(traceback.format_exception(error)).rstrip().splitlines(),
        )
    )


_MOST_SHOWN = 5
