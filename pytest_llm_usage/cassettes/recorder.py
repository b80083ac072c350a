"""`OpenCassette`: vcrpy's clients, patched for as long as one cassette is open. The only module that knows vcrpy.

vcrpy patches the HTTP clients and turns their calls into requests and responses; which recording answers, what is
written, and when, is decided here. Its stubs ask a cassette four things (`can_play_response_for`, `play_response`,
`append`, `write_protected`), which `_Cassette` answers.

On loopback only model calls are recorded: everything else there is the application's own server. What an older cassette
holds of it is replayed all the same, since whoever recorded it relies on that.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from unittest import mock
from urllib.parse import urlencode, urlsplit

import vcr
import vcr.filters
from vcr.cassette import Cassette
from vcr.patch import CassettePatcherBuilder
from vcr.request import Request as VcrRequest

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.content import decoded
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response, recording_dates
from pytest_llm_usage.cassettes.matching import DEFAULT_MATCH_ON, JsonPath, Recordings, Subject
from pytest_llm_usage.cassettes.mismatch import explain_age, explain_miss, explain_no_recording, explain_unplayed
from pytest_llm_usage.cassettes.network import HostPatterns, NetworkGuard, is_loopback
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.errors import CassetteError, ConfigurationError, RecordingMismatchError
from pytest_llm_usage.wire.exchange import Exchange

__all__ = ["OpenCassette", "observing_vcrpy"]

#: Transports that answer inside the process: the application under test, not a provider.
_IN_PROCESS_TRANSPORTS = frozenset({"ASGITransport", "WSGITransport", "MockTransport"})
_LANGSMITH_HOSTS = ("*.smith.langchain.com", "smith.langchain.com")
_LANGSMITH_ENDPOINTS = ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT")


class _Action(Enum):
    """What becomes of a request."""

    REPLAY = auto()
    RECORD = auto()
    #: Sent and seen, not recorded.
    MEASURE = auto()
    #: None of the cassette's business.
    PASS = auto()


@dataclass(frozen=True, slots=True)
class _Decision:
    fate: _Action
    request: Request
    started_at: float
    #: The position of the recording that is replayed, or the place of the request among those that are recorded: what
    #: was asked first stands first, whatever was answered first.
    index: int = -1


class OpenCassette(AbstractContextManager["OpenCassette"]):
    """A cassette in use: while it is open, requests of the patched clients are replayed or recorded.

    Nothing is read before the first request, and nothing is written before `close`.

    Args:
        policy: How to use it.
        observe: Called once for each response that is replayed or recorded, in the context of whoever made the
            request, before the response reaches the client.
        before_send: Called with each request that concerns the cassette, before it is replayed or sent; what it raises
            reaches the client.
        fail: Called with the message when a request must not be answered. It raises something that no `except
            Exception` of a client catches.

    Attributes:
        failure: The message of the first such failure, whatever became of what `fail` raised; None where all is well.

    Raises:
        ConfigurationError: `match_on`, `ignore_body` or `vcr_config` cannot be used as it is written.
    """

    def __init__(
        self,
        policy: CassettePolicy,
        *,
        observe: Callable[[Exchange], None],
        before_send: Callable[[Request], None] | None = None,
        fail: Callable[[str], NoReturn],
    ) -> None:
        self.policy = policy
        self.failure: str | None = None
        self._fail = fail
        self._cassette = _Cassette(policy, observe, before_send, self._refuse)
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        """Patch the clients."""
        with ExitStack() as patches:
            patches.enter_context(_patched_clients(self._cassette))
            patches.enter_context(self._cassette.network_guard)
            self._patches = patches.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the clients back. Nothing is saved; that is what `close` is for."""
        self._patches.close()

    def close(self, *, save: bool) -> None:
        """Give the clients back and, if asked to, replace the file by what was recorded.

        Args:
            save: Whether the test passed. Otherwise the file stays as it is.

        Raises:
            CassetteError: The cassette could not be written.
            SecretError: It must not be written: it would hold a credential.
            RecordingMismatchError: Recordings were not played, and the policy minds that.
        """
        self._patches.close()
        if save:
            self._cassette.check_unplayed()
            self._cassette.save()

    @property
    def unplayed(self) -> Sequence[Interaction]:
        """The recordings that no request asked for; reads the cassette, if nothing has yet."""
        return self._cassette.unplayed

    def _refuse(self, message: str) -> NoReturn:
        if self.failure is None:
            self.failure = message
        self._fail(message)


# vcrpy's patches -----------------------------------------------------------------------------------------------------


@functools.cache
def _missing_libraries() -> Sequence[str]:
    """Patches of vcrpy's for libraries that are not there. It would look for them each time a cassette is opened."""
    return tuple(name for name in ("httplib2", "tornado") if importlib.util.find_spec(name) is None)


class _ActiveCassette:
    """What vcrpy's patches take for the cassette where they serve one after the other: the one that is open.

    Building the patches takes longer than a replay, so they are built once for the process.
    """

    # Names that vcrpy's patcher reads.
    _path = ""
    custom_patches = ()

    def __init__(self) -> None:
        self.skip_patchers = _missing_libraries()
        self.cassette: _Cassette | None = None
        self.is_open = False

    @property
    def write_protected(self) -> bool:
        """Whether nothing may be sent; the stubs also ask before there is a request."""
        return self.cassette is not None and self.cassette.write_protected

    def __getattr__(self, name: str) -> Any:
        """A method of the cassette that was open when the request, its first argument, was made."""

        def ask(request: Any, *arguments: Any) -> Any:
            cassette = getattr(request, "llm_usage_cassette", None)
            if cassette is None:
                cassette = request.llm_usage_cassette = self.cassette
            return getattr(cassette, name)(request, *arguments)

        return ask


class _Patches:
    """Patches of the clients that point at one cassette, to be entered any number of times."""

    def __init__(self, cassette: Any) -> None:
        built = [*CassettePatcherBuilder(cassette).build(), *_repairs()]
        self._removers = [patcher for patcher in built if not hasattr(patcher, "getter")]
        #: Owner, attribute, what is put there, and what stood there when it was last seen to be the owner's own.
        self._patches = [
            [owner, patcher.attribute, patcher.new, None]
            for patcher in built
            # In-process transports answer for the application under test.
            if hasattr(patcher, "getter")
            and getattr(owner := patcher.getter(), "__name__", "") not in _IN_PROCESS_TRANSPORTS
        ]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The clients, patched; `mock` itself would look at each patch for longer than a replay takes."""
        replaced = []
        try:
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
                # It would hold on to the pools of all tests.
                remover._connection_pool_to_connections.clear()  # noqa: SLF001
            for owner, name, found in reversed(replaced):
                if found is _INHERITED:
                    delattr(owner, name)
                else:
                    setattr(owner, name, found)


_INHERITED = object()
_innermost = _ActiveCassette()
_shared_patches = functools.cache(lambda: _Patches(_innermost))


@contextlib.contextmanager
def _patched_clients(cassette: _Cassette) -> Iterator[None]:
    if _innermost.is_open or cassette.custom_patches or cassette.skip_patchers != _innermost.skip_patchers:
        with _Patches(cassette).entered():
            yield
        return
    _innermost.cassette, _innermost.is_open = cassette, True
    try:
        with _shared_patches().entered():
            yield
    finally:
        _innermost.is_open = False


def _belongs_to_others(owner: Any, name: str) -> bool:
    """Whether a method was replaced by another library already (aioresponses, pytest-httpx): the test wants it asked."""
    current = getattr(owner, name)
    if not (inspect.isfunction(current) or inspect.ismethod(current)):
        return False
    return _package(current) not in (_package(owner), "vcr")


def _repairs() -> Iterator[Any]:
    """Patches of vcrpy itself: its version 8 breaks streams of aiohttp.

    A replayed response gives a new stream each time it is asked for one (google-genai, which asks for each line, gets
    the first line for ever), and a response that was just recorded gives an empty one.
    """
    stubs: Any = sys.modules.get("vcr.stubs.aiohttp_stubs")
    if stubs is None or not isinstance(vars(stubs.MockClientResponse).get("content"), property):
        return
    build_response, record_response = stubs.build_response, stubs.record_response

    def give_stream(response: Any) -> None:
        body = response._body or b""  # noqa: SLF001 - what was read of it, without reading
        response.content = stubs.MockStream(limit=max(len(body), 2**16))
        response.content.feed_data(body)
        response.content.feed_eof()

    def build_readable_response(*args: Any) -> Any:
        response = build_response(*args)
        give_stream(response)
        return response

    async def record_readable_response(cassette: Any, request: Any, response: Any) -> None:
        await record_response(cassette, request, response)
        give_stream(response)

    yield mock.patch.object(stubs.MockClientResponse, "content", None)
    yield mock.patch.object(stubs, "build_response", build_readable_response)
    yield mock.patch.object(stubs, "record_response", record_readable_response)


def _package(thing: Any) -> str:
    return str(getattr(thing, "__module__", "")).partition(".")[0]


def _is_mocked_below() -> bool:
    """Whether a mock (respx) answers for httpx below the point that vcrpy patches."""
    httpcore = sys.modules.get("httpcore")
    return httpcore is not None and any(
        _package(vars(pool)[method]) != "httpcore"
        for pool, method in (
            (httpcore.ConnectionPool, "handle_request"),
            (httpcore.AsyncConnectionPool, "handle_async_request"),
        )
    )


class _Cassette:
    """What vcrpy's stubs take for a cassette."""

    def __init__(
        self,
        policy: CassettePolicy,
        observe: Callable[[Exchange], None],
        before_send: Callable[[Request], None] | None,
        refuse: Callable[[str], NoReturn],
    ) -> None:
        self._policy = policy
        self._observe = observe
        self._before_send = before_send
        self._refuse = refuse
        self._config = _VcrConfig.of(policy)
        self._ignore_body = tuple(map(JsonPath, policy.ignore_body))
        self._ignored = HostPatterns((*policy.ignore_hosts, *_LANGSMITH_HOSTS, *_langsmith_endpoints()))
        self._lock = threading.RLock()
        self._loaded: Sequence[Interaction] = ()
        self._recordings: Recordings | None = None
        self._recorded: dict[int, Interaction] = {}
        self._sent = itertools.count()
        self._is_new = False
        # Names that vcrpy's patcher and stubs read.
        self._path = str(policy.path)
        self.write_protected = policy.record_mode == "none" or (
            policy.record_mode == "once" and storage.find_recording(policy.path) is not None
        )
        self.custom_patches = self._config.custom_patches
        self.skip_patchers = (*self._config.skip_patchers, *_missing_libraries())
        self.network_guard = NetworkGuard(self._ignored, refuse if self.write_protected else None, policy.shown_path)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Cassette:
        """A request knows its cassette, and vcrpy's filters copy requests."""
        return self

    # What the stubs ask ------------------------------------------------------------------------------------------

    def filter_request(self, request: Any) -> Any:
        """The request if its response concerns the cassette, None if it was let pass."""
        return None if self._decided(request).fate is _Action.PASS else request

    def can_play_response_for(self, request: Any) -> bool:
        """Whether a request is replayed. Takes its recording, so that no other request gets it."""
        return self._decided(request).fate is _Action.REPLAY

    def play_response(self, request: Any) -> dict[str, Any]:
        """The recorded response, in vcrpy's form."""
        decision = self._decided(request)
        if decision.fate is not _Action.REPLAY:
            # The stub of aiohttp follows a recorded redirect by itself, wherever it leads.
            self._refuse(f"Recording ends in a redirect: {self._policy.shown_path} has no {decision.request.uri}")
        response = playable(self._loaded[decision.index].response)
        self._report(decision, response)
        return _vcr_response(response)

    def find_requests_with_most_matches(self, request: Any) -> list[tuple[Any, list[str], list[str]]]:
        """The stub of aiohttp looks here for the request that a redirect leads to: it is the very one."""
        return [(request, [], [])]

    def append(self, request: Any, response: Mapping[str, Any]) -> None:
        """A request was sent and answered."""
        decision = self._decided(request)
        if decision.fate is _Action.PASS:
            return
        received = _plain_response(response)
        if decision.fate is _Action.RECORD:
            recorded = self._config.filtered(request, received)
            if recorded is not None:
                self._recorded[decision.index] = recorded
        self._report(decision, received)

    # Decisions ---------------------------------------------------------------------------------------------------

    def _decided(self, request: Any) -> _Decision:
        """What becomes of a request, decided once: the stubs ask several times about each."""
        decision: _Decision | None = getattr(request, "llm_usage_decision", None)
        if decision is None:
            decision = request.llm_usage_decision = self._decide(request)
        return decision

    def _decide(self, request: Any) -> _Decision:
        started_at = time.time()
        url = urlsplit(request.uri)
        host = url.hostname or ""
        if self._ignored.match(host, url.port):
            return self._passing(request, host, started_at)
        try:
            _read_form(request)
            filtered = self._config.filtered_request(request)
            if filtered is None:
                return self._passing(request, host, started_at)
            plain = _plain_request(request)
        except CassetteError as error:
            if not is_loopback(host):
                self._refuse(str(error))
            return self._passing(request, host, started_at)
        is_local = is_loopback(host) and not _is_model_call(plain)
        if self._before_send is not None and not is_local:
            self._before_send(plain)
        mode = self._policy.record_mode
        if mode == "live":
            return _Decision(_Action.PASS if is_local else _Action.MEASURE, plain, started_at)
        with self._lock:
            recordings = self._opened()
            is_recording = mode in ("all", "rewrite") or (mode == "once" and self._is_new)
            subject = self._subject(plain if filtered is request else _plain_request(filtered))
            index = None if is_recording else recordings.take(subject, self._own_condition(filtered))
        if index is not None:
            return _Decision(_Action.REPLAY, plain, started_at, index)
        if is_local:
            return self._passing(request, host, started_at)
        if is_recording or mode == "new_episodes":
            # What a mock will answer is not recorded, unless it can only be a model's answer.
            is_mocked = _is_mocked_below() and not _is_model_call(plain)
            return _Decision(_Action.PASS if is_mocked else _Action.RECORD, plain, started_at, next(self._sent))
        if not _is_mocked_below():
            self._refuse(
                explain_no_recording(self._policy, subject)
                if self._is_new
                else explain_miss(self._policy, recordings, subject)
            )
        # The mock answers. Should it send the request on, the network guard is in the way.
        return _Decision(_Action.PASS, plain, started_at)

    def _passing(self, request: Any, host: str, started_at: float) -> _Decision:
        self.network_guard.let_through(host)
        return _Decision(_Action.PASS, Request(request.method, request.uri), started_at)

    def _subject(self, request: Request) -> Subject:
        return Subject(request, self._policy.redaction, self._ignore_body)

    def _own_condition(self, request: Any) -> Callable[[int], bool] | None:
        """The user's own matchers, as a condition on the position of a recording."""
        matchers = self._config.own_matchers
        if not matchers:
            return None
        return lambda index: _all_agree(matchers, request, _vcr_request(self._loaded[index].request))

    def _opened(self) -> Recordings:
        if self._recordings is None:
            found = storage.find_recording(self._policy.path) if self._policy.record_mode != "rewrite" else None
            self._is_new = found is None
            try:
                loaded = storage.load(found) if found is not None else []
            except CassetteError as error:
                self._refuse(f"{error}\nRecord again:  {self._policy.rerecord_command}")
            if found is not None and self.write_protected:
                self._check_age(loaded)
            self._loaded = self._config.after_load(loaded, self)
            subjects = [self._subject(interaction.request) for interaction in self._loaded]
            self._recordings = Recordings(subjects, self._config.match_on, repeat=self._config.repeat)
        return self._recordings

    def _check_age(self, loaded: Sequence[Interaction]) -> None:
        recorded_at = min(recording_dates(loaded), default=None)
        if self._policy.max_age_days is None or recorded_at is None:
            return
        age_days = (datetime.now(UTC) - recorded_at).days
        if age_days > self._policy.max_age_days:
            self._refuse(explain_age(self._policy, recorded_at, age_days))

    # Results -----------------------------------------------------------------------------------------------------

    def _report(self, decision: _Decision, response: Response) -> None:
        answered = Interaction(decision.request, response)
        cassette = self._policy.path if decision.fate in (_Action.REPLAY, _Action.RECORD) else None
        replayed = decision.fate is _Action.REPLAY
        self._observe(answered.exchange(started_at=decision.started_at, replayed=replayed, cassette=cassette))

    @property
    def unplayed(self) -> Sequence[Interaction]:
        played = self._opened().played
        return [interaction for index, interaction in enumerate(self._loaded) if index not in played]

    def check_unplayed(self) -> None:
        if self._policy.fail_unplayed and self.write_protected and self.unplayed:
            raise RecordingMismatchError(explain_unplayed(self._policy, self.unplayed, len(self._loaded)))

    def save(self) -> None:
        """Write what was recorded, after what is kept of the old file."""
        if not self._recorded:
            return
        storage.save(
            storage.file_to_write(self._policy.path),
            sanitize(
                self._config.before_save((*self._kept_of_old(), *self._new()), self),
                self._policy.redaction,
                shown_path=self._policy.shown_path,
            ),
            indent_json=self._policy.json_style == "indented",
        )

    def _new(self) -> Sequence[Interaction]:
        return [self._recorded[place] for place in sorted(self._recorded)]

    def _kept_of_old(self) -> Sequence[Interaction]:
        if self._policy.record_mode != "all":
            return self._loaded
        again = [self._subject(interaction.request) for interaction in self._new()]
        recorded = Recordings(again, self._config.match_on)
        return [old for old in self._loaded if not any(True for _ in recorded.matching(self._subject(old.request)))]


def _is_model_call(request: Request) -> bool:
    return wire.is_model_call(request.method, request.uri, request.body or b"", request.headers)


def _all_agree(matchers: Sequence[Callable[[Any, Any], Any]], made: Any, recorded: Any) -> bool:
    """Whether matchers in vcrpy's form agree: one that returns False or fails an assertion does not."""
    try:
        return all(matcher(made, recorded) in (None, True) for matcher in matchers)
    except AssertionError:
        return False


def _langsmith_endpoints() -> list[str]:
    endpoints = (os.environ.get(name, "") for name in _LANGSMITH_ENDPOINTS)
    return [host for endpoint in endpoints if (host := urlsplit(endpoint).netloc)]


# vcrpy's values and ours ---------------------------------------------------------------------------------------------


def _plain_request(request: Any) -> Request:
    headers = {str(name): [_text(value)] for name, value in request.headers.items()}
    return Request(str(request.method).upper(), str(request.uri), headers, _body_bytes(request))


#: Between the parts of a form that aiohttp would put something random between.
_FORM_BOUNDARY = "llm-usage-form"


def _read_form(request: Any) -> None:
    """Put in the place of a form of aiohttp's what will be sent of it: the stub hands over the form, which can be
    rendered only once.
    """
    form = request.body
    if type(form).__name__ != "FormData" or _package(type(form)) != "aiohttp":
        return
    fields = form._fields
    if not form._is_multipart:  # noqa: SLF001
        content_type = "application/x-www-form-urlencoded"
        body = urlencode([(options["name"], value) for options, _, value in fields], doseq=True).encode()
    else:
        content_type = f"multipart/form-data; boundary={_FORM_BOUNDARY}"
        parts = (_form_part(request, *field) for field in fields)
        body = b"".join(f"--{_FORM_BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts)
        body += f"--{_FORM_BOUNDARY}--\r\n".encode()
    request.headers["content-type"] = content_type
    request.body = body


def _form_part(request: Any, options: Mapping[str, str], headers: Mapping[str, str], value: Any) -> bytes:
    if hasattr(value, "read") and hasattr(value, "seek"):
        position = value.tell()
        content = value.read()
        value.seek(position)
    else:
        content = value
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes | bytearray | memoryview):
        raise _unreadable(request, value)
    disposition = "; ".join(["form-data", *(f'{name}="{text}"' for name, text in options.items())])
    lines = [f"content-disposition: {disposition}", *(f"{name.lower()}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + bytes(content)


def _unreadable(request: Any, body: Any) -> CassetteError:
    return CassetteError(
        f"{request.method} {request.uri}: a body of type {type(body).__name__} can be neither recorded nor replayed"
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _body_bytes(request: Any) -> bytes | None:
    """The body as it is sent. aiohttp's stub hands over what the caller gave: `json=` is a plain value."""
    body = request.body
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        content = body.read()
        return content.encode() if isinstance(content, str) else bytes(content)
    try:
        if isinstance(body, dict | list | int | float):
            return json.dumps(body).encode()
        return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in body)
    except TypeError:
        raise _unreadable(request, body) from None


def _vcr_request(request: Request) -> Any:
    return VcrRequest(
        method=request.method,
        uri=request.uri,
        body=request.body,
        headers={name: list(values) for name, values in request.headers.items()},
    )


def _plain_response(response: Mapping[str, Any]) -> Response:
    body = response.get("body", {}).get("string")
    return Response(
        status=response["status"]["code"],
        reason=response["status"].get("message") or "",
        headers={
            name: [_text(value) for value in (values if isinstance(values, list | tuple) else [values])]
            for name, values in response["headers"].items()
        },
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
    )


class _HeaderValue(str):
    """A value that is not ASCII. httpx would encode it as if it were, where it takes the bytes of a live one as they are."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8" if encoding == "ascii" else encoding, errors)


def _vcr_response(response: Response) -> dict[str, Any]:
    """A new one each time: the stubs change the headers of what they are given."""
    return {
        "status": {"code": response.status, "message": response.reason},
        "headers": {
            name: [value if value.isascii() else _HeaderValue(value) for value in values]
            for name, values in response.headers.items()
        },
        "body": {"string": response.body},
    }


def playable(response: Response) -> Response:
    """The response with its body decoded and headers that fit it.

    Recordings hold compressed bodies, plain bodies under a header that says compressed (urllib3 decodes before vcrpy
    looks) and lengths of bodies that were edited. Clients that decode for themselves and clients that were patched
    above that point (requests, botocore) read a plain body alike.
    """
    body = decoded(response.headers, response.body)
    if body is None:
        return response
    headers = {}
    for name, values in response.headers.items():
        lower = name.lower()
        if lower in ("content-encoding", "transfer-encoding"):
            continue
        headers[name] = [str(len(body))] if lower == "content-length" and body else values
    return Response(response.status, response.reason, headers, body)


# vcr_config ----------------------------------------------------------------------------------------------------------


_REQUEST_FILTERS = (
    "filter_headers",
    "filter_query_parameters",
    "filter_post_data_parameters",
    "before_record",
    "before_record_request",
    "ignore_hosts",
    "ignore_localhost",
)
_RESPONSE_FILTERS = ("before_record_response", "decode_compressed_response")


@dataclass(frozen=True, slots=True)
class _VcrConfig:
    """What `vcr_config` asks for, in the form in which it is used.

    Filters that nobody asked for are None: vcrpy would copy every request deeply to apply nothing.
    """

    match_on: Sequence[str]
    own_matchers: Sequence[Callable[[Any, Any], Any]]
    request_filter: Callable[[Any], Any] | None
    response_filter: Callable[[Any], Any] | None
    custom_patches: Sequence[Any]
    skip_patchers: Sequence[str]
    repeat: bool
    #: What vcrpy 9 lets an interaction go through before a save and after a load, with the names that it has for them.
    #: Its `filter_sensitive_data` is one of each: placeholders take the place of values, and values theirs.
    save_hooks: Sequence[Any]
    load_hooks: Sequence[Any]

    @classmethod
    def of(cls, policy: CassettePolicy) -> _VcrConfig:
        is_default = policy.match_on is None and not policy.vcr_config and policy.configure_vcr is None
        return _default_config() if is_default else cls.read(policy)

    @classmethod
    def read(cls, policy: CassettePolicy) -> _VcrConfig:
        pristine, reader = vcr.VCR(), vcr.VCR()
        if policy.configure_vcr is not None:
            policy.configure_vcr(reader)
        options = {name: value for name, value in policy.vcr_config.items() if name not in ("path", "record_mode")}
        names = policy.match_on or options.get("match_on")
        if names is None:
            names = DEFAULT_MATCH_ON if reader.match_on == pristine.match_on else reader.match_on
        names = (*names, *options.pop("additional_matchers", ()))
        for name in names:
            if name not in reader.matchers:
                known = ", ".join(sorted(reader.matchers))
                raise ConfigurationError(f"match_on: {name!r} is no matcher (there are: {known})")
        try:
            merged = reader.get_merged_config(**{**options, "match_on": names})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"vcr_config: {error.args[0] if error.args else error}") from None

        def is_used(filters: Sequence[str]) -> bool:
            return any(options.get(name) or getattr(reader, name, None) for name in filters)

        sensitive_data = merged.get("filter_sensitive_data")
        hooks = [vcr.filters.sensitive_data_hooks(sensitive_data)] if sensitive_data else []
        own = [name for name in names if reader.matchers[name] is not pristine.matchers.get(name)]
        return cls(
            match_on=[name for name in names if name not in own],
            own_matchers=[reader.matchers[name] for name in own],
            request_filter=merged["before_record_request"] if is_used(_REQUEST_FILTERS) else None,
            response_filter=merged["before_record_response"] if is_used(_RESPONSE_FILTERS) else None,
            custom_patches=merged["custom_patches"],
            skip_patchers=merged.get("skip_patchers", ()),
            repeat=bool(merged["allow_playback_repeats"]),
            # Hooks of the user's see real values.
            save_hooks=(*_several(merged.get("before_save_interaction")), *(hide for hide, _ in hooks)),
            load_hooks=(*(restore for _, restore in hooks), *_several(merged.get("after_load_interaction"))),
        )

    def filtered_request(self, request: Any) -> Any:
        """The request as the user's filters leave it; None where they drop it."""
        return request if self.request_filter is None else self.request_filter(request)

    def filtered(self, request: Any, response: Response) -> Interaction | None:
        """What is recorded of an exchange; None where the user's filters drop it."""
        request = self.filtered_request(request)
        if request is None:
            return None
        if self.response_filter is not None:
            kept = self.response_filter(_vcr_response(response))
            if kept is None:
                return None
            response = _plain_response(kept)
        return Interaction(_plain_request(request), playable(response))

    def after_load(self, loaded: Sequence[Interaction], cassette: Any) -> Sequence[Interaction]:
        """What the user's filters leave of a file; vcrpy applies them to what it reads as well."""
        if self.request_filter is None and self.response_filter is None and not self.load_hooks:
            return loaded
        kept = (_through(self.load_hooks, found, cassette, "after_load_interaction") for found in loaded)
        filtered = (self.filtered(_vcr_request(found.request), found.response) for found in kept if found is not None)
        return [interaction for interaction in filtered if interaction is not None]

    def before_save(self, recorded: Sequence[Interaction], cassette: Any) -> Sequence[Interaction]:
        """What is to be written, as the user's hooks leave it."""
        if not self.save_hooks:
            return recorded
        kept = (_through(self.save_hooks, found, cassette, "before_save_interaction") for found in recorded)
        return [interaction for interaction in kept if interaction is not None]


def _several(hooks: Any) -> Sequence[Any]:
    if hooks is None:
        return ()
    return tuple(hooks) if isinstance(hooks, Iterable) else (hooks,)


def _through(hooks: Sequence[Any], interaction: Interaction, cassette: Any, name: str) -> Interaction | None:
    """What vcrpy's interaction hooks leave of an interaction: None where one drops it."""
    request, response = _vcr_request(interaction.request), _vcr_response(interaction.response)
    for hook in hooks:
        kept = hook(request, response, cassette) if _takes_cassette(hook) else hook(request, response)
        if kept is None:
            return None
        try:
            request, response = kept
        except (TypeError, ValueError):
            raise CassetteError(
                f"vcr_config: {name} must return (request, response) or None, not {type(kept).__name__}"
            ) from None
    return Interaction(_plain_request(request), _plain_response(response))


def _takes_cassette(hook: Any) -> bool:
    try:
        inspect.signature(hook).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return True


@functools.cache
def _default_config() -> _VcrConfig:
    return _VcrConfig.read(CassettePolicy(path=Path()))


# Cassettes of others -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def observing_vcrpy(observe: Callable[[Exchange], None]) -> Iterator[None]:
    """Observe what cassettes of plain vcrpy (pytest-recording's, or a test's own) replay and record meanwhile.

    Args:
        observe: Called once for each response, before it reaches the client.
    """
    play, append, load = Cassette.play_response, Cassette.append, Cassette._load  # noqa: SLF001 - it appends, too
    loading: set[int] = set()

    def observed(cassette: Any, request: Any, response: Mapping[str, Any], *, replayed: bool) -> None:
        answered = Interaction(_plain_request(request), _plain_response(response))
        path = Path(cassette._path).absolute()  # noqa: SLF001 - vcrpy tells it nowhere else
        observe(answered.exchange(started_at=time.time(), replayed=replayed, cassette=path))

    def observed_play(self: Any, request: Any) -> Any:
        response = play(self, request)
        observed(self, request, response, replayed=True)
        return response

    def observed_append(self: Any, request: Any, response: Any) -> None:
        append(self, request, response)
        if id(self) not in loading:
            observed(self, request, response, replayed=False)

    def unobserved_load(self: Any) -> None:
        loading.add(id(self))
        try:
            load(self)
        finally:
            loading.discard(id(self))

    replacements: dict[str, Any] = {"play_response": observed_play, "append": observed_append, "_load": unobserved_load}
    with ExitStack() as patches:
        for name, replacement in replacements.items():
            patches.enter_context(mock.patch.object(Cassette, name, replacement))
        yield
