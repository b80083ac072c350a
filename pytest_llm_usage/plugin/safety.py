"""A mistake of ours fails nobody's test: hooks that keep it to themselves, and one note of it at the end of the run.

What a hook means to raise passes: outcomes of tests (`pytest.fail` …) and usage errors.
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
    "fault_text",
    "note_early_faults",
    "note_fault",
    "run_behind",
    "safe",
    "safe_hooks",
    "unlimited_text",
]

#: What went wrong in this process, the first of it in full; kept with pytest's configuration.
FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()
#: What went wrong before there was a configuration to keep it with, as options are declared.
_EARLY: list[tuple[str, Exception]] = []

_Hook = TypeVar("_Hook", bound=Callable[..., Any])
_Plugin = TypeVar("_Plugin")


def safe(hook: _Hook, config: pytest.Config | None = None) -> _Hook:
    """A hook of ours that does nothing where it goes wrong.

    Args:
        hook: A function, or the method of an object; a generator where it goes around others' hooks.
        config: pytest's, where no argument of the hook leads to it.
    """
    guarded = _around(hook, config) if inspect.isgeneratorfunction(hook) else _plain(hook, config)
    return wraps(hook)(guarded)  # type: ignore[return-value]


def run_behind(wrapper: Generator[None, Any, Any], result: Any = None, error: BaseException | None = None) -> Any:
    """Runs a wrapper as a whole behind the hooks that it should have been around.

    Args:
        wrapper: Not begun.
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


def safe_hooks(plugin: _Plugin, config: pytest.Config) -> _Plugin:
    """The same object, whose hooks do nothing where they go wrong."""
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
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
            _note(hook.__name__, error, (config, *args))
            return None

    return guarded


def _around(hook: Callable[..., Any], config: pytest.Config | None) -> Callable[..., Any]:
    """Others' hooks stand alone where ours goes wrong."""

    def guarded(*args: Any) -> Generator[None, Any, Any]:
        ours = _begun(hook, args, config)
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
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
            _note(hook.__name__, error, (config, *args))
        return result

    return guarded


def _begun(
    hook: Callable[..., Any], args: tuple[Any, ...], config: pytest.Config | None
) -> Generator[None, Any, Any] | None:
    """A hook of ours that has run as far as others' hooks; None where it went wrong."""
    try:
        ours: Generator[None, Any, Any] = hook(*args)
        next(ours)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
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
    """Keeps what went wrong before there was a configuration."""
    while _EARLY:
        note_fault(config, *_EARLY.pop(0))


def note_fault(config: pytest.Config, where: str, error: Exception) -> None:
    """Keeps what went wrong for the end of the run."""
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
    """The lines that tell of them at the end of the run."""
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
    """Why a run that was to be limited, gated or reported does not start: the settings went wrong in our own code."""
    return "\n".join(
        (
            f"pytest-llm-usage: internal error while the settings are read: {type(error).__name__}: {error}",
            "No budget, gate or report of this run would hold, so it does not start.",
            "To run the tests without the plugin:  pytest -p no:llm_usage",
            "Please report it with these lines:",
            *"".join(traceback.format_exception(error)).rstrip().splitlines(),
        )
    )


_MOST_SHOWN = 5
