"""`NetworkGuard`: while a cassette replays, nothing else reaches the network unnoticed.

vcrpy intercepts HTTP libraries one by one. A client that moves to another one, or to gRPC or a websocket, would go live
silently: its calls cost money, and its numbers change from run to run.
"""

from __future__ import annotations

import _socket
import fnmatch
import functools
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from pytest_llm_usage.cassettes.grpc_channels import GRPC_CHANNELS, grpc_calls, grpc_target
from pytest_llm_usage.import_hook import ImportHook
from pytest_llm_usage.wire.loopback import is_loopback

__all__ = ["HostPatterns", "NetworkGuard"]

#: Packages that only pass a connection on: the library that wanted it is further up the stack.
_PLUMBING = frozenset({"asyncio", "socket", "ssl", "concurrent", "threading", "anyio", "sniffio", "trio", "contextlib"})


class HostPatterns:
    """Hosts by name or pattern (`*.internal`), with `:port` to mean only that port."""

    def __init__(self, patterns: Sequence[str]) -> None:
        # Brackets belong to an IPv6 address; they are not a set of characters.
        self._patterns = tuple(pattern.strip().lower().replace("[", "[[]") for pattern in patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostPatterns) and other._patterns == self._patterns

    def __hash__(self) -> int:
        return hash(self._patterns)

    def match(self, host: str, port: int | None) -> bool:
        """Whether one of the patterns names the host."""
        if not self._patterns:
            return False
        host = host.lower().rstrip(".")
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return any(
            fnmatch.fnmatchcase(host, pattern) or fnmatch.fnmatchcase(shown, pattern) for pattern in self._patterns
        )


class NetworkGuard(AbstractContextManager["NetworkGuard"]):
    """Refuses connections of this process to anything but loopback while it is entered.

    Guards nest, and the innermost decides: a test that records inside a replaying session cassette may connect.
    Guards see connections, datagrams and name lookups through Python's `socket` and `_socket`, and so everything that
    is built on them (asyncio, http.client, websockets, dnspython …), and the calls of grpcio. They do not see libraries
    with a network stack of their own (libcurl: pycurl and curl_cffi; uvloop; extensions in Rust or C), other processes,
    and system calls through ctypes.

    Args:
        allowed: Hosts that may be reached.
        refuse: Called with the message; it raises. None to refuse nothing.
        cassette: The path of the cassette, for the message.
    """

    def __init__(self, allowed: HostPatterns, refuse: Callable[[str], NoReturn] | None, cassette: str) -> None:
        self._allowed = allowed
        self._refuse = refuse
        self._cassette = cassette
        self._let_through: set[str] = set()
        self._addresses: set[str] = set()

    def let_through(self, host: str) -> None:
        """Allow one more host, because a request to it was allowed."""
        self._let_through.add(host.lower())

    def __enter__(self) -> Self:
        """Start refusing connections."""
        _watch.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop refusing connections."""
        _watch.remove(self)

    def check_lookup(self, host: str, port: Any) -> None:
        """Refuse to look up a host that must not be reached; the lookup alone would leave the machine."""
        if not is_loopback(host) and not _is_address(host) and not _is_own_name(host):
            self.check(host, port)

    def resolved(self, addresses: Iterable[str]) -> None:
        """Allow the addresses that an allowed name resolved to."""
        self._addresses.update(addresses)

    def check(self, host: str, port: Any, library: str | None = None) -> None:
        """Refuse a connection, unless it is allowed."""
        if self._refuse is None or is_loopback(host) or host in self._addresses:
            return
        if host.lower() in self._let_through or self._allowed.match(host, port):
            return
        library = library or _calling_library(sys._getframe(1))  # noqa: SLF001 - the cheap way to the caller
        came_from = f" made by {library}" if library else ""
        self._refuse(
            f"Not replayed: a connection to {host}{f':{port}' if port else ''}{came_from} bypasses the cassette {self._cassette}\n"
            "Only httpx, httpx2, requests, urllib3, urllib, aiohttp, boto3, httplib2 and tornado are recorded and "
            "replayed; this would have gone live.\n"
            f"To allow it:  llm_usage_ignore_hosts = {host}  in pytest's configuration"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_own_name(host: str) -> bool:
    return host.lower() in (socket.gethostname().lower(), os.environ.get("HOSTNAME", "").lower())


def _calling_library(frame: FrameType | None) -> str | None:
    """The package that wanted the connection, as far as the stack tells."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _PLUMBING and package != __name__.partition(".")[0]:
            return package
        frame = frame.f_back
    return None


_INHERITED = object()


class _Watch:
    """The process-wide wrappers of sockets and gRPC calls. They ask the innermost guard; without one they do nothing.

    Sockets are wrapped while there is a guard. gRPC has sockets of its own, below Python, so its calls are wrapped
    instead: once for the process, as soon as grpc is imported.
    """

    def __init__(self) -> None:
        self._guards: list[NetworkGuard] = []
        self._lock = threading.Lock()
        self._wrapped: list[tuple[Any, str, Any, Any]] = []
        #: The last wrapper of each name, and what it wraps: most tests find the same function there.
        self._wrappers: dict[tuple[Any, str], tuple[Any, Any]] = {}
        self._grpc_imports = ImportHook({})
        #: The modules of grpc whose calls are wrapped, by name; a run of pytest within a test imports its own.
        self._grpc: dict[str, Any] = {}

    @property
    def _guard(self) -> NetworkGuard | None:
        guards = self._guards
        return guards[-1] if guards else None

    def add(self, guard: NetworkGuard) -> None:
        for name, internals in GRPC_CHANNELS.items():
            if (module := sys.modules.get(name)) is not None:
                internals.check()  # otherwise calls would pass unseen
                self._wrap_grpc(module)
        with self._lock:
            self._guards.append(guard)
            if len(self._guards) == 1:
                # The names in `socket` are copies of those in `_socket`, which some libraries use.
                for owner in (socket, _socket):
                    self._wrap(owner, "getaddrinfo", self._watched_lookup)
                    for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
                        self._wrap(owner, name, self._watched_resolution)
                    self._wrap(owner, "getnameinfo", self._watched_reverse_lookup)
                for name in ("connect", "connect_ex"):
                    self._wrap(socket.socket, name, self._watched_connect)
                for name in ("sendto", "sendmsg"):
                    if hasattr(socket.socket, name):  # Windows has no sendmsg
                        self._wrap(socket.socket, name, self._watched_datagram)
                self._wrap(_socket, "socket", lambda _: self._watched_socket_type())
        unseen = [name for name in GRPC_CHANNELS if name not in sys.modules]
        if unseen and not all(map(self._grpc_imports.waits_for, unseen)):
            # Never uninstalled: the wrappers do nothing without a guard.
            self._grpc_imports = ImportHook(dict.fromkeys(unseen, self._wrap_grpc))
            self._grpc_imports.install(ExitStack())

    def remove(self, guard: NetworkGuard) -> None:
        with self._lock:
            self._guards.remove(guard)
            while not self._guards and self._wrapped:
                owner, name, original, wrapper = self._wrapped.pop()
                # If someone else has wrapped it since, our wrapper stays below; it does nothing without a guard.
                if getattr(owner, name) is not wrapper:
                    continue
                if original is _INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)

    def _wrap(self, owner: Any, name: str, watched: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        original = vars(owner).get(name, getattr(owner, name))
        known, wrapper = self._wrappers.get((owner, name), (None, None))
        if known is not original:
            wrapper = watched(original)
            if not isinstance(original, type):
                wrapper = functools.wraps(original)(wrapper)
            self._wrappers[owner, name] = original, wrapper
        self._wrapped.append((owner, name, original if name in vars(owner) else _INHERITED, wrapper))
        setattr(owner, name, wrapper)

    def _watched_socket_type(self) -> type[_socket.socket]:
        """`_socket.socket` for code that uses it directly. `socket.socket` derives from the original."""
        original = _socket.socket
        methods = {
            **{name: self._watched_connect(getattr(original, name)) for name in ("connect", "connect_ex")},
            **{
                name: self._watched_datagram(getattr(original, name))
                for name in ("sendto", "sendmsg")
                if hasattr(original, name)
            },
        }
        return type("socket", (original,), {**methods, "__module__": "_socket", "__slots__": ()})

    def _watched_lookup(self, lookup: Callable[..., Any]) -> Callable[..., Any]:
        def getaddrinfo(host: Any, port: Any = None, *args: Any, **kwargs: Any) -> Any:
            guard = self._guard
            if guard is None or not host:
                return lookup(host, port, *args, **kwargs)
            guard.check_lookup(host.decode("idna") if isinstance(host, bytes) else str(host), port)
            found = lookup(host, port, *args, **kwargs)
            if not _is_address(str(host)):
                guard.resolved(str(entry[4][0]) for entry in found)
            return found

        return getaddrinfo

    def _watched_resolution(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        def watched(host: Any) -> Any:
            guard = self._guard
            if guard is None or not host:
                return resolve(host)
            name = host.decode("idna") if isinstance(host, bytes) else str(host)
            if _is_address(name):
                # `gethostbyaddr` looks up the name of an address, which asks a server.
                guard.check(name, None)
            guard.check_lookup(name, None)
            found = resolve(host)
            guard.resolved([found] if isinstance(found, str) else found[2])
            return found

        return watched

    def _watched_reverse_lookup(self, lookup: Callable[..., Any]) -> Callable[..., Any]:
        def getnameinfo(address: Any, flags: int) -> Any:
            guard = self._guard
            if guard is not None and not flags & socket.NI_NUMERICHOST:
                guard.check(str(address[0]), address[1])
            return lookup(address, flags)

        return getnameinfo

    def _watched_datagram(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps `sendto` and `sendmsg`, whose last argument is the address, if there is one."""

        def watched(sock: socket.socket, *args: Any) -> Any:
            guard = self._guard
            address = args[-1] if len(args) > 1 else None
            if guard is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                guard.check(str(address[0]), address[1])
            return send(sock, *args)

        return watched

    def _watched_connect(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def watched(sock: socket.socket, address: Any, *args: Any, **kwargs: Any) -> Any:
            guard = self._guard
            if guard is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                try:
                    guard.check(str(address[0]), address[1])
                except BaseException:
                    # Callers close the socket only on network errors.
                    sock.close()
                    raise
            return connect(sock, address, *args, **kwargs)

        return watched

    def _wrap_grpc(self, module: Any) -> None:
        if self._grpc.get(module.__name__) is module:
            return
        self._grpc[module.__name__] = module
        for owner, name in grpc_calls(module):
            setattr(owner, name, self._watched_call(vars(owner)[name]))

    def _watched_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(multi_callable: Any, *args: Any, **kwargs: Any) -> Any:
            guard = self._guard
            if guard is not None:
                host, port = grpc_target(multi_callable)
                if host:
                    guard.check(host, port, "grpc")
            return original(multi_callable, *args, **kwargs)

        return call


_watch = _Watch()
