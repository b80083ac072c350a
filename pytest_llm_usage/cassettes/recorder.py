"""`Recorder`: which recording answers a request, what is written, and when.

vcrpy patches the HTTP clients and turns their calls into requests and responses (`vcr_patches`). Its stubs ask a
cassette four things (`can_play_response_for`, `play_response`, `append`, `write_protected`), which `Recorder` answers.

On loopback only model calls are recorded: everything else there is the application's own server. If an older cassette
holds requests to it, they are still replayed, because the people who recorded them rely on that.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.json_path import JsonPath
from pytest_llm_usage.cassettes.late import is_late
from pytest_llm_usage.cassettes.matching import Recordings
from pytest_llm_usage.cassettes.mismatch import (
    closest_recording,
    explain_forked,
    explain_late,
    explain_miss,
    explain_no_recording,
    explain_unplayed,
    explain_unwritable,
)
from pytest_llm_usage.cassettes.mocks import is_answered_by_mock, is_mocked_below, is_sent_out
from pytest_llm_usage.cassettes.network import HostPatterns, NetworkGuard
from pytest_llm_usage.cassettes.not_recorded import is_not_recorded
from pytest_llm_usage.cassettes.playback import Playback
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.cassettes.saving import save_recording
from pytest_llm_usage.cassettes.subject import Subject
from pytest_llm_usage.cassettes.vcr_config import VcrConfig
from pytest_llm_usage.cassettes.vcr_convert import (
    plain_request,
    plain_response,
    playable,
    read_form,
    vcr_request,
    vcr_response,
)
from pytest_llm_usage.cassettes.vcr_patches import missing_libraries
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.credentials.values import credentials_now
from pytest_llm_usage.errors import CassetteError, RecordingMismatchError
from pytest_llm_usage.wire.exchange import Exchange
from pytest_llm_usage.wire.in_flight import claim
from pytest_llm_usage.wire.loopback import is_loopback

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.rerecording import Rerecording
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["Recorder"]


class _Action(Enum):
    """What is done with a request."""

    REPLAY = auto()
    RECORD = auto()
    #: Sent and observed, but not recorded.
    MEASURE = auto()
    #: Does not concern the cassette.
    PASS = auto()


@dataclass(frozen=True, slots=True)
class _Decision:
    action: _Action
    request: Request
    started_at: float
    #: The position of the recording that is replayed, or of the request among those that are recorded: in the order in
    #: which they were sent, not in that of their responses.
    index: int = -1
    #: Whether a mock below the client may answer it.
    may_be_mocked: bool = False


class Recorder:
    """The object that vcrpy's stubs use as their cassette.

    Args:
        policy: How to use it.
        observe: Called once for each response that is replayed or recorded.
        before_send: Called with each request that concerns the cassette, before it is replayed or sent.
        refuse: Called with the message when a request must not be answered; it raises.

    Raises:
        ConfigurationError: `match_on`, `ignore_body` or `vcr_config` is not valid.
    """

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
        self._config = VcrConfig.from_policy(policy)
        #: A request in the form in which it is compared.
        self._subject = partial(
            Subject, redaction=policy.redaction, ignore_body=tuple(map(JsonPath, policy.ignore_body))
        )
        self._ignored = HostPatterns(policy.ignore_hosts)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._recorded: dict[int, Interaction] = {}
        #: The credentials in the environment when the requests were made, each with its variable: a test may set its
        #: own.
        self._credentials: dict[str, str] = {}
        self._sent = itertools.count()
        #: The requests that no recording answered.
        self._missed: list[tuple[Request, Subject]] = []
        self.renamed: Path | None = None
        # Names that vcrpy's patcher and stubs read.
        self._path = str(policy.path)
        # A test that shares its cassette with others also records into a cassette that one of them has just made.
        self.write_protected = policy.record_mode == "none" or (
            policy.record_mode == "once"
            and storage.find_recording(policy.path) is not None
            and not policy.run.knows(policy.path)
        )
        self._playback = Playback(policy, self._config, self._subject, replays_only=self.write_protected, refuse=refuse)
        # Checked before anything is sent: a response that was paid for and cannot be saved is lost.
        self._unwritable = (
            "" if self.write_protected or policy.record_mode == "live" else storage.unwritable(policy.path)
        )
        self.custom_patches: Sequence[Any] = self._config.custom_patches
        self.skip_patchers: Sequence[str] = (*self._config.skip_patchers, *missing_libraries())
        self.network_guard = NetworkGuard(self._ignored, refuse if self.write_protected else None, policy.shown_path)

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorder:
        """Return the recorder itself: vcrpy's filters copy requests, and a request refers to its cassette."""
        return self

    def read_ahead(self) -> None:
        """Read the file, unless the record mode does not replay it."""
        self._playback.read_ahead()

    # What the stubs ask ------------------------------------------------------------------------------------------

    def filter_request(self, request: Any) -> Any:
        """The request if its response concerns the cassette, else None."""
        return None if self._decided(request).action is _Action.PASS else request

    def can_play_response_for(self, request: Any) -> bool:
        """Whether a request is replayed. If so, its recording is taken, so that no other request gets it."""
        return self._decided(request).action is _Action.REPLAY

    def play_response(self, request: Any) -> dict[str, Any]:
        """The recorded response, in vcrpy's form."""
        decision = self._decided(request)
        if decision.action is not _Action.REPLAY:
            # aiohttp's stub follows a recorded redirect by itself, wherever it leads.
            self._refuse(f"Recording ends in a redirect: {self._policy.shown_path} has no {decision.request.uri}")
        response = playable(self._playback.interactions[decision.index].response)
        self._report(decision, response)
        return vcr_response(response)

    def find_requests_with_most_matches(self, request: Any) -> list[tuple[Any, list[str], list[str]]]:
        """The request itself: aiohttp's stub looks here for the request that a redirect leads to."""
        return [(request, [], [])]

    def append(self, request: Any, response: Mapping[str, Any]) -> None:
        """Record or observe the response to a request that was sent."""
        decision = self._decided(request)
        if decision.action is _Action.PASS:
            return
        received = plain_response(response)
        if decision.may_be_mocked and is_answered_by_mock(request):
            decision = replace(decision, action=_Action.MEASURE)
        if decision.action is _Action.RECORD:
            readable = playable(received)
            recorded = self._config.filtered(request, received, readable)
            if recorded is not None:
                self._recorded[decision.index] = recorded
                self._credentials |= credentials_now()
            # Decoded already, so that the observer need not do it again.
            received = readable
        self._report(decision, received)

    # Decisions ---------------------------------------------------------------------------------------------------

    def _decided(self, request: Any) -> _Decision:
        """What is done with a request, decided once: the stubs ask several times about each."""
        decision: _Decision | None = getattr(request, "llm_usage_decision", None)
        if decision is None:
            decision = request.llm_usage_decision = self._decide(request)
        return decision

    def _decide(self, request: Any) -> _Decision:
        started_at = time.time()
        url = urlsplit(request.uri)
        host = url.hostname or ""
        if self._ignored.match(host, url.port):
            return self._pass_through(request, host, started_at)
        try:
            read_form(request)
            filtered = self._config.filtered_request(request)
            if filtered is None:
                return self._pass_through(request, host, started_at)
            plain = plain_request(request)
        except CassetteError as error:
            if not is_loopback(host) and not is_not_recorded(request.uri):
                self._refuse(str(error))
            return self._pass_through(request, host, started_at)
        # Not part of the test's traffic: its own server, and what libraries fetch for themselves.
        is_local = is_not_recorded(plain.uri) or (is_loopback(host) and not _is_model_call(plain))
        if self._before_send is not None and not is_local:
            self._before_send(plain)
        mode = self._policy.record_mode
        if mode == "live":
            return _Decision(_Action.PASS if is_local else _Action.MEASURE, plain, started_at)
        with self._lock:
            recordings = self._playback.recordings(self)
            subject = self._subject(plain if filtered is request else plain_request(filtered))
            is_asked_again = mode in ("all", "rewrite")
            index = None if is_asked_again else recordings.take(subject, self._matcher_condition(filtered))
        if index is not None:
            return _Decision(_Action.REPLAY, plain, started_at, index)
        if is_local:
            return self._pass_through(request, host, started_at)
        if is_late():
            raise CassetteError(explain_late(self._policy, subject))
        if not self.write_protected:
            # What a mock answers is not recorded. Whether a mock passes a model call on shows only in the response.
            may_be_mocked = is_mocked_below()
            is_mocked = may_be_mocked and not _is_model_call(plain)
            if os.getpid() != self._process and not is_mocked:
                self._refuse(explain_forked(self._policy, subject))
            if self._unwritable and not may_be_mocked:
                self._refuse(explain_unwritable(self._policy, self._unwritable))
            action = _Action.PASS if is_mocked else _Action.RECORD
            return _Decision(action, plain, started_at, next(self._sent), may_be_mocked)
        if not is_mocked_below():
            self._missed.append((plain, subject))
            self._refuse(
                explain_no_recording(self._policy, subject, self._find_renamed(subject))
                if self._playback.is_new
                else explain_miss(self._policy, recordings, subject, self._playback.interactions)
            )
        # The mock answers. If it passes the request on, the network guard refuses the connection.
        return _Decision(_Action.PASS, plain, started_at)

    def _pass_through(self, request: Any, host: str, started_at: float) -> _Decision:
        self.network_guard.let_through(host)
        return _Decision(_Action.PASS, Request(request.method, request.uri), started_at)

    def _find_renamed(self, made: Subject) -> Path | None:
        """The cassette of a test that was renamed: one that no test owns, with the same request first."""
        # Problems of these cassettes do not matter here, nor does a tool that forbids disk access in an event loop.
        with suppress(Exception):
            for path in self._policy.unclaimed():
                with suppress(CassetteError):
                    found = [self._subject(old.request) for old in storage.load(path)[:1]]
                    if found and any(True for _ in Recordings(found, self._config.match_on).matching(made)):
                        self.renamed = path
                        break
        return self.renamed

    def _matcher_condition(self, request: Any) -> Callable[[int], bool] | None:
        """The user's own matchers, as a condition on the position of a recording."""
        matchers = self._config.own_matchers
        if not matchers:
            return None
        recorded = self._playback.interactions
        return lambda index: _all_agree(matchers, request, vcr_request(recorded[index].request))

    def recorded_urls(self) -> Sequence[str]:
        """The URLs in the file; none if it cannot be read, which the first request reports."""
        return self._playback.urls()

    @property
    def is_stale(self) -> bool:
        """Whether a request failed because it is not recorded, or the recording is too old."""
        return bool(self._missed) or (self.write_protected and self._playback.is_too_old)

    def rerecording(self, prices: PriceBook) -> Rerecording:
        """What recording this cassette again will cost, by its recordings and the requests that missed them."""
        from pytest_llm_usage.cassettes.rerecording import Miss, Rerecording  # noqa: PLC0415 -- only where it is asked for

        with self._lock:
            recordings = self._playback.recordings_of_any_age(self)
            misses = [
                Miss(made, closest_recording(recordings, made), _is_model_call(request))
                for request, made in self._missed
            ]
            found = self._playback.interactions
            return Rerecording.from_recordings(found, recordings.subjects, recordings.played, misses, prices)

    # Results -----------------------------------------------------------------------------------------------------

    def _report(self, decision: _Decision, response: Response) -> None:
        answered = Interaction(decision.request, response)
        claim()
        self._observe(
            answered.exchange(
                started_at=decision.started_at,
                replayed=decision.action is _Action.REPLAY,
                cassette=self._policy.path if decision.action in (_Action.REPLAY, _Action.RECORD) else None,
                live=decision.action is not _Action.REPLAY and is_sent_out(decision.request.uri),
            )
        )

    @property
    def unplayed(self) -> Sequence[Interaction]:
        return self._playback.unplayed(self)

    def check_unplayed(self) -> None:
        if self._policy.fail_unplayed and self.write_protected and self.unplayed:
            raise RecordingMismatchError(
                mask_text(explain_unplayed(self._policy, self.unplayed, len(self._playback.interactions)))
            )

    @property
    def recorded(self) -> Sequence[Interaction]:
        return [self._recorded[place] for place in sorted(self._recorded)]

    def save(self) -> None:
        """Add what was recorded to the file."""
        recorded = self.recorded
        if not recorded:
            return
        requests = Recordings([self._subject(found.request) for found in recorded], self._config.match_on)

        def is_replaced(old: Interaction) -> bool:
            loaded = self._config.after_load(old, self)
            return loaded is not None and any(True for _ in requests.matching(self._subject(loaded.request)))

        def is_dropped(old: Interaction) -> bool:
            mode = self._policy.record_mode
            if mode == "stale" and self._policy.is_shared:
                return self._playback.is_too_old and is_replaced(old)
            if mode == "stale":
                return old not in played
            return mode == "rewrite" or (mode == "all" and is_replaced(old))

        played = self._playback.played(self)
        save_recording(
            self._policy,
            self._config.before_save(recorded, self),
            credentials=self._credentials,
            is_replaced=is_replaced,
            is_dropped=is_dropped,
        )

    def save_failed(self, path: Path) -> None:
        """Write what was recorded, and nothing else, to a file that is never replayed."""
        recorded = self._config.before_save(self.recorded, self)
        clean = sanitize(recorded, self._policy.redaction, shown_path=str(path), credentials=self._credentials)
        storage.save(path, clean)


def _is_model_call(request: Request) -> bool:
    return wire.is_model_call(request.method, request.uri, request.body or b"", request.headers)


def _all_agree(matchers: Sequence[Callable[[Any, Any], Any]], made: Any, recorded: Any) -> bool:
    """Whether all matchers, in vcrpy's form, agree. A matcher disagrees by returning False or failing an assertion."""
    try:
        return all(matcher(made, recorded) in (None, True) for matcher in matchers)
    except AssertionError:
        return False
