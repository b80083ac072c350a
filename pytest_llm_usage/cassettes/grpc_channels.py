"""grpcio's channels: where gRPC calls are made, and which host they go to. No other module knows that.

gRPC has its own sockets, below Python, and an interceptor sees only the calls of the channel that it was given to.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pytest_llm_usage.upstream import Internals

__all__ = ["GRPC_CHANNELS", "grpc_calls", "grpc_target"]


def _internals(module: str, prefix: str) -> Internals:
    return Internals(
        distribution="grpcio",
        read_in="1.85.1",
        reason="see calls that gRPC makes",
        names={
            f"{module}:{prefix}{kind}MultiCallable.__call__": ("self", "request")
            for kind in ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
        },
    )


#: The modules that make calls, blocking and asyncio, each with the names that are needed from it.
GRPC_CHANNELS = {
    "grpc._channel": _internals("grpc._channel", "_"),
    "grpc.aio._channel": _internals("grpc.aio._channel", ""),
}


def grpc_calls(module: ModuleType) -> Iterator[tuple[type, str]]:
    """Yields the methods that make calls in a module of `GRPC_CHANNELS`, each with its class."""
    for name, multi_callable in list(vars(module).items()):
        if isinstance(multi_callable, type) and name.endswith("MultiCallable"):
            for method in ("__call__", "with_call", "future"):
                if method in vars(multi_callable):
                    yield multi_callable, method


def grpc_target(multi_callable: Any) -> tuple[str, str]:
    """The host and port of a call's channel; empty for a channel without a network (`unix:`, in-process)."""
    channel = getattr(multi_callable, "_channel", None)
    target = getattr(channel, "target", None)
    address = target() if callable(target) else target
    text = address.decode() if isinstance(address, bytes) else str(address or "")
    scheme, separator, rest = text.partition("://")
    if separator:
        text = rest.rpartition("/")[2] if scheme == "dns" else rest
    text = text.removeprefix("dns:").lstrip("/")
    if text.startswith(("unix:", "unix-abstract:", "inproc:")):
        return "", ""
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), port) if host else (text, "")
