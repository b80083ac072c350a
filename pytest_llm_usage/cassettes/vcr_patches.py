"""Patches the HTTP clients, by means of vcrpy, while a cassette is open.

The internals of vcrpy that this relies on are listed below, each with its reason (`_VCRPY` and the next). Besides
vcrpy's patches there are three changes of our own:

- The patches are built once for the process and pointed at whichever cassette is open (`_ActiveCassette`), because
  building them takes longer than a replay.
- Streams of aiohttp are repaired where vcrpy is older than 9.0 (`_repaired_streams`).
- vcrpy unpatches the clients for the whole process while one thread connects. Requests of other threads at that time
  were sent and not recorded, and two such threads left the clients unpatched. Our replacement restores the original
  names only for a class that needs them (`_original_names`).
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from unittest import mock

import vcr.patch
import vcr.stubs

from pytest_llm_usage.cassettes.mocks import sender_patches
from pytest_llm_usage.upstream import Internals

__all__ = ["PatchedCassette", "missing_libraries", "patched_clients"]

_VCRPY = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="patch the HTTP clients once for all cassettes of a run",
    names={"vcr.patch:CassettePatcherBuilder": ("cassette",), "vcr.patch:CassettePatcherBuilder.build": ("self",)},
)
_MOCK = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="enter and leave the patches of vcrpy faster than a replay takes",
    names={
        "vcr.patch:ConnectionRemover": (),
        "vcr.patch:ConnectionRemover.__exit__": ("self", "kind", "error", "trace"),
    },
)
_RESET = Internals(
    distribution="vcrpy",
    read_in="9.4.2",
    reason="record the requests of threads that connect at the same time",
    names={
        "vcr.patch:force_reset": (),
        "vcr.patch:reset_patchers": (),
        "vcr.stubs:VCRHTTPSConnection._baseclass": ("host",),
    },
)
_AIOHTTP_STUBS = Internals(
    distribution="vcrpy",
    read_in="8.2.1",
    reason="repair streams of aiohttp, which vcrpy 8 gives anew at each access",
    names={
        "vcr.stubs.aiohttp_stubs:MockStream": (),
        "vcr.stubs.aiohttp_stubs:build_response": ("vcr_request", "vcr_response", "history"),
        "vcr.stubs.aiohttp_stubs:record_response": ("cassette", "vcr_request", "response"),
    },
)

#: Transports that answer inside the process: the application under test, not a provider.
_IN_PROCESS_TRANSPORTS = frozenset({"ASGITransport", "WSGITransport", "MockTransport"})


class PatchedCassette(Protocol):
    """What vcrpy's patches and stubs need from the open cassette, under vcrpy's names."""

    _path: str
    custom_patches: Sequence[Any]
    skip_patchers: Sequence[str]

    @property
    def write_protected(self) -> bool:
        """Whether nothing may be sent."""

    def filter_request(self, request: Any) -> Any:
        """The request if its response concerns the cassette, else None."""

    def can_play_response_for(self, request: Any) -> bool:
        """Whether a request is replayed."""

    def play_response(self, request: Any) -> dict[str, Any]:
        """The recorded response."""

    def append(self, request: Any, response: Mapping[str, Any]) -> None:
        """Takes the response to a request that was sent."""

    def find_requests_with_most_matches(self, request: Any) -> list[tuple[Any, list[str], list[str]]]:
        """The recorded requests that come closest."""


@functools.cache
def missing_libraries() -> Sequence[str]:
    """The patches of vcrpy for missing libraries, which it would look for at each opening of a cassette."""
    return tuple(name for name in ("httplib2", "tornado") if importlib.util.find_spec(name) is None)


class _ActiveCassette:
    """Stands for whichever cassette is open in patches that serve one cassette after the other."""

    # Names that vcrpy's patcher reads.
    _path = ""
    custom_patches = ()

    def __init__(self) -> None:
        self.skip_patchers = missing_libraries()
        self.cassette: PatchedCassette | None = None
        self.is_open = False

    @property
    def write_protected(self) -> bool:
        """Whether nothing may be sent; the stubs also ask before there is a request."""
        return self.cassette is not None and self.cassette.write_protected

    def __getattr__(self, name: str) -> Any:
        """A method of the cassette that was open when the request, the method's first argument, was made."""

        def ask(request: Any, *arguments: Any) -> Any:
            cassette = getattr(request, "llm_usage_cassette", None)
            if cassette is None:
                cassette = request.llm_usage_cassette = self.cassette
            return getattr(cassette, name)(request, *arguments)

        return ask


class _Patches:
    """Patches of the clients that point at one cassette, to be entered any number of times."""

    def __init__(self, cassette: Any) -> None:
        for internals in (_VCRPY, _MOCK, _RESET):
            internals.check()
        built = [
            *vcr.patch.CassettePatcherBuilder(cassette).build(),
            *_repaired_streams(),
            *_narrow_reset(),
            *sender_patches(),
        ]
        self._removers = [patcher for patcher in built if not hasattr(patcher, "getter")]
        #: Owner, attribute, its replacement, and the value that was last seen to be the owner's own.
        self._patches = [
            [owner, patcher.attribute, patcher.new, None]
            for patcher in built
            # In-process transports answer for the application under test, so they are not patched.
            if hasattr(patcher, "getter")
            and getattr(owner := patcher.getter(), "__name__", "") not in _IN_PROCESS_TRANSPORTS
        ]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Patches the clients while the block runs. `mock` itself would take longer for that than a replay takes."""
        replaced = []
        try:
            with _names:
                for patch in self._patches:
                    owner, name, replacement, own = patch
                    found = vars(owner).get(name, _INHERITED)
                    if found is not own:
                        if _belongs_to_others(owner, name):
                            continue
                        patch[-1] = found
                    replaced.append((owner, name, found))
                    setattr(owner, name, replacement)
            yield
        finally:
            for remover in self._removers:
                remover.__exit__(None, None, None)
                # The remover would keep the connection pools of all tests alive.
                remover._connection_pool_to_connections.clear()  # noqa: SLF001
            with _names:
                for owner, name, found in reversed(replaced):
                    if found is _INHERITED:
                        delattr(owner, name)
                    else:
                        setattr(owner, name, found)


_INHERITED = object()
_active = _ActiveCassette()
_shared_patches = functools.cache(lambda: _Patches(_active))


@contextlib.contextmanager
def patched_clients(cassette: PatchedCassette) -> Iterator[None]:
    """Patches the clients to ask `cassette` while the block runs.

    Raises:
        UpstreamMovedError: The installed vcrpy is not built like the version that was read.
    """
    if _active.is_open or cassette.custom_patches or cassette.skip_patchers != _active.skip_patchers:
        with _Patches(cassette).entered():
            yield
        return
    _active.cassette, _active.is_open = cassette, True
    try:
        with _shared_patches().entered():
            yield
    finally:
        _active.is_open = False


def _belongs_to_others(owner: Any, name: str) -> bool:
    """Whether another library (aioresponses, pytest-httpx) has replaced a method: the test wants that to answer."""
    current = getattr(owner, name)
    if not (inspect.isfunction(current) or inspect.ismethod(current)):
        return False
    return _package(current) not in (_package(owner), "vcr")


def _repaired_streams() -> Iterator[Any]:
    """Yields patches of vcrpy itself: before version 9 it breaks streams of aiohttp.

    A replayed response returns a new stream at each access (google-genai, which accesses it for each line, reads the
    first line for ever), and a response that was just recorded returns an empty one.
    """
    stubs: Any = sys.modules.get("vcr.stubs.aiohttp_stubs")
    if stubs is None or issubclass(stubs.MockStream, stubs.streams.StreamReader):
        return
    _AIOHTTP_STUBS.check()
    build_response, record_response = stubs.build_response, stubs.record_response

    def give_stream(response: Any) -> None:
        body = response._body or b""  # noqa: SLF001 - what was read so far, without reading more
        stream = stubs.MockStream(limit=max(len(body), 2**16))
        stream.feed_data(body)
        stream.feed_eof()
        # Set on the instance, because some suites replace the property of the class by work-arounds of their own.
        vars(response)["content"] = stream

    def build_readable_response(*args: Any) -> Any:
        response = build_response(*args)
        give_stream(response)
        return response

    async def record_readable_response(cassette: Any, request: Any, response: Any) -> None:
        await record_response(cassette, request, response)
        give_stream(response)

    new_stream = vars(stubs.MockClientResponse).get("content")
    if isinstance(new_stream, property):
        yield mock.patch.object(stubs.MockClientResponse, "content", _kept_stream(new_stream))
    yield mock.patch.object(stubs, "build_response", build_readable_response)
    yield mock.patch.object(stubs, "record_response", record_readable_response)


def _narrow_reset() -> Iterator[Any]:
    """Yields patches of vcrpy itself: it makes real connections without unpatching the clients for every thread."""
    stub: Any = vcr.stubs.VCRHTTPSConnection
    yield mock.patch.object(vcr.patch, "force_reset", _force_reset)
    yield mock.patch.object(stub, "_baseclass", _with_names_of_its_own(stub._baseclass))  # noqa: SLF001


_OWN_NAMES = "_llm_usage_has_names_of_its_own"


@functools.cache
def _with_names_of_its_own(connection: type[Any]) -> type[Any]:
    """A copy of `http.client.HTTPSConnection` that works while that name is patched: its `super()` uses the name."""
    original: Any = connection.__init__
    own = types.FunctionType(
        original.__code__,
        {**original.__globals__, connection.__name__: connection},
        original.__name__,
        original.__defaults__,
        original.__closure__,
    )
    own.__kwdefaults__ = original.__kwdefaults__
    return type(
        connection.__name__, (connection,), {"__init__": own, "__module__": connection.__module__, _OWN_NAMES: True}
    )


def _force_reset() -> contextlib.AbstractContextManager[None]:
    """Replaces vcrpy's: names are restored only to make a connection, and only for classes that need them."""
    caller = sys._getframe(1)  # noqa: SLF001 -- vcrpy does not say what it resets for
    stub: Any = type(caller.f_locals.get("self"))
    is_making = caller.f_code.co_name == "__init__"
    return _original_names() if is_making and _calls_itself(stub) else contextlib.nullcontext()


@functools.cache
def _calls_itself(stub: type[Any]) -> bool:
    """Whether the real connection behind a stub looks up one of the patched classes by name when it is made."""
    base: type[Any] = stub._baseclass  # noqa: SLF001
    if _OWN_NAMES in vars(base):
        return False
    makers = (vars(kind).get("__init__") for kind in base.__mro__)
    names = (name for maker in makers if inspect.isfunction(maker) for name in maker.__code__.co_names)
    return any(name.endswith(("Connection", "ConnectionWithTimeout")) for name in names)


#: Held while patches are applied or removed, so that no thread takes a patch for the original.
_names = threading.RLock()


@contextlib.contextmanager
def _original_names() -> Iterator[None]:
    """Restores the real classes under their names in modules; the classes of pools and transports stay patched."""
    with _names, contextlib.ExitStack() as given_back:
        for patcher in vcr.patch.reset_patchers():
            if inspect.ismodule(patcher.getter()):
                given_back.enter_context(patcher)
        yield


def _kept_stream(new_stream: property) -> property:
    """The property of vcrpy, but with one stream per response. Work-arounds in suites wrap its `fget`."""

    def content(response: Any) -> Any:
        kept = vars(response)
        if "content" not in kept:
            kept["content"] = new_stream.__get__(response)
        return kept["content"]

    def replace(response: Any, stream: Any) -> None:
        vars(response)["content"] = stream

    return property(content, replace)


def _package(thing: Any) -> str:
    return str(getattr(thing, "__module__", "")).partition(".")[0]
