"""Watches gRPC calls and started processes for `Unseen`.

Nothing is loaded before the code under test uses gRPC or starts a process.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_llm_usage.import_hook import ImportHook
from pytest_llm_usage.plugin.attempt import attempt_under_way
from pytest_llm_usage.plugin.forks import watch_forks
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.safety import note_fault
from pytest_llm_usage.plugin.state import CLOSERS, SETTINGS, is_tracked
from pytest_llm_usage.plugin.unseen import UNSEEN, Unseen

__all__ = ["watch_unseen"]

_GRPC_CHANNELS = ("grpc._channel", "grpc.aio._channel")
#: The modules whose `Popen` starts a process other than by a plain fork.
_STARTERS = (
    "subprocess",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.popen_spawn_win32",
)
#: Programs that call no model: what Python's libraries run to learn about the machine, and developers' tools.
_CALL_NO_MODEL = frozenset(
    [
        "arp",
        "cc",
        "cmd",
        "file",
        "gcc",
        "git",
        "hg",
        "ifconfig",
        "ip",
        "ld",
        "ldconfig",
        "lsb_release",
        "netstat",
        "objdump",
        "ps",
        "sw_vers",
        "sysctl",
        "uname",
        "ver",
        "which",
    ]
)


def watch_unseen(config: pytest.Config) -> None:
    """Notes what cannot be seen until pytest ends."""
    closers = config.stash[CLOSERS]
    unseen = config.stash[UNSEEN] = Unseen(partial(_test_under_way, config))
    unseen.ask(watch_forks(config).not_counted)
    if config.stash[SETTINGS].track == "langchain":
        return  # LangChain's calls are seen over any transport

    def watch(attach: Callable[..., None], module: ModuleType) -> None:
        try:
            attach(module)
        except Exception as error:  # noqa: BLE001 -- it would fail the import
            note_fault(config, module.__name__, error)

    def replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
        original = vars(owner)[name]
        wrapper = functools.wraps(original)(make(original))
        setattr(owner, name, wrapper)
        closers.callback(lambda: setattr(owner, name, original) if vars(owner).get(name) is wrapper else None)

    def attach_grpc(module: ModuleType) -> None:
        from pytest_llm_usage.cassettes.grpc_channels import (  # noqa: PLC0415 -- with grpc
            GRPC_CHANNELS,
            grpc_calls,
            grpc_target,
        )
        from pytest_llm_usage.wire.hosts import provider_at  # noqa: PLC0415

        def note(call: Any) -> None:
            host, _ = grpc_target(call)
            if host and provider_at(f"https://{host}/", "") and not _is_reported(config):
                unseen.note(f"gRPC to {host}")

        GRPC_CHANNELS[module.__name__].check()
        for owner, name in grpc_calls(module):
            replace(owner, name, partial(_noting_calls, _safely(config, note)))

    def attach_processes(module: ModuleType) -> None:
        def note(command: object, environment: Mapping[str, str]) -> None:
            keys = _provider_keys(environment)
            program = _program(command)
            if keys and program not in _CALL_NO_MODEL:
                unseen.note(f"a subprocess ({program}) with {', '.join(keys)}", in_test_only=True)

        replace(module.Popen, "__init__", partial(_noting_processes, _safely(config, note)))

    ImportHook(
        {
            **dict.fromkeys(_GRPC_CHANNELS, partial(watch, attach_grpc)),
            **dict.fromkeys(_STARTERS, partial(watch, attach_processes)),
        }
    ).install(closers)


def _test_under_way(config: pytest.Config) -> str | None:
    """The name of the test that is under way, where its calls are counted."""
    attempt = attempt_under_way(config)
    return attempt.item.nodeid if attempt is not None and is_tracked(attempt.item, config.stash[SETTINGS]) else None


def _is_reported(config: pytest.Config) -> bool:
    """Whether what is sent now belongs to a LangChain call, which is seen over any transport."""
    attempt = attempt_under_way(config)
    trackers = (*(attempt.trackers if attempt is not None else ()), *run_scope(config).trackers)
    return any(tracker.current_call() is not None for tracker in trackers)


def _safely(config: pytest.Config, note: Callable[..., None]) -> Callable[..., None]:
    """The same function, whose internal errors fail no call of the user's."""

    def noted(*args: Any) -> None:
        try:
            note(*args)
        except Exception as error:  # noqa: BLE001 -- any error here is internal
            note_fault(config, "what cannot be seen", error)

    return noted


def _noting_calls(note: Callable[[Any], None], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            answer = original(self, *args, **kwargs)
        except Exception:  # not an outcome exception: a call that was refused was not made
            note(self)
            raise
        note(self)
        return answer

    return call


def _noting_processes(note: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 -- in its place
        __tracebackhide__ = True
        original(self, *args, **kwargs)
        environment = kwargs.get("env", args[_ENV] if len(args) > _ENV else None)
        note(getattr(self, "args", None), os.environ if environment is None else environment)

    return __init__


#: The place of `env` among the arguments of `subprocess.Popen`.
_ENV = 10


def _provider_keys(environment: Mapping[Any, Any]) -> list[str]:
    """The variables that hold a key of a provider that sells only models; AWS keys are for all of AWS."""
    keys = {os.fsdecode(name): value for name, value in environment.items() if value}
    names = sorted(name for name in keys if name.endswith("_API_KEY"))
    if not names:
        return []
    from pytest_llm_usage.cassettes.provider_keys import PROVIDER_KEYS  # noqa: PLC0415 -- only where there may be one

    return [name for name in names if name in PROVIDER_KEYS and keys[name] != PROVIDER_KEYS[name][1]]


def _program(command: Any) -> str:
    """The name of the program that is started; "python" for processes of `multiprocessing`, which have no command."""
    if isinstance(command, (list, tuple)):
        command = command[0] if command else ""
    words = os.fsdecode(command).split() if isinstance(command, (str, bytes, os.PathLike)) else ["python"]
    return Path(words[0]).name if words else "?"
