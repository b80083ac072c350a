"""A mistake of ours fails nobody's test: hooks that keep it to themselves, and one note of it at the end of the run.

What a hook means to raise passes: outcomes of tests (`pytest.fail` …) and usage errors.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, TypeVar

import pytest

__all__ = ["FAULTS", "fault_text", "note_fault", "safe", "safe_wrapper"]

#: What went wrong in this process, the first of it in full; kept with pytest's configuration.
FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


def safe(hook: _Hook) -> _Hook:
    """A hook of ours that does nothing where it goes wrong."""

    @wraps(hook)
    def guarded(*args: Any) -> Any:
        try:
            return hook(*args)
        except pytest.UsageError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
            _note(hook.__name__, error, args)
            return None

    return guarded  # type: ignore[return-value]


def safe_wrapper(hook: _Hook) -> _Hook:
    """A hook of ours around others', which stand alone where it goes wrong."""

    @wraps(hook)
    def guarded(*args: Any) -> Generator[None, Any, Any]:
        try:
            ours = hook(*args)
            next(ours)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
            _note(hook.__name__, error, args)
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
                _note(hook.__name__, error, args)
            raise
        try:
            ours.send(result)
        except StopIteration as stop:
            return stop.value
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is ours
            _note(hook.__name__, error, args)
        return result

    return guarded  # type: ignore[return-value]


def _note(where: str, error: Exception, args: tuple[Any, ...]) -> None:
    config = next((found for arg in args if (found := _config_of(arg)) is not None), None)
    if config is not None:
        note_fault(config, where, error)


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


_MOST_SHOWN = 5
