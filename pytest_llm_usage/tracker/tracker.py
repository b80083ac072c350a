"""`Tracker` gathers the calls of one test (or of the run); `current` says which tracker an event belongs to.

The only mutable thing between an event and a number: LangChain's callbacks tell it that a call started and how it
ended, the cassettes' observer hands it what went over the wire, and it answers with frozen `Call`s.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from pytest_llm_usage.billing import Billing, Quote
from pytest_llm_usage.budget import Breach, Limits, breaches, failure_text, must_stop
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call, Ledger
from pytest_llm_usage.tracker.callsite import Callsite, shown, user_callsite
from pytest_llm_usage.tracker.reconcile import (
    Candidate,
    Discrepancy,
    completed,
    difference,
    joined,
    pair,
    unnamed,
    wire_fields,
)
from pytest_llm_usage.tracker.view import LLMUsage, Missing
from pytest_llm_usage.wire import WireCall, is_model_call, read
from pytest_llm_usage.wire.exchange import Exchange, Headers

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["OpenCall", "Section", "Told", "Tracker", "current", "current_call", "running"]

#: Fields of `Call`, or what reads them when they are first asked for, so that the code under test does not wait.
Told: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

_UNENDED = "it had not ended when its usage was read"


class OpenCall:
    """A call under way: what is known of it so far, read only when it is asked for.

    Attributes:
        tracker: Where it is gathered.
        run_id: LangChain's id of the run.
        about: Fields of `Call` that its start told, or what reads them.
        batch: An object that the calls of one batch share; None for a call of its own.
        streamed: Whether a piece of the answer has come.
        ended: As `about`, for its end; None while it is under way.
        told: Both, once read.
    """

    __slots__ = (
        "about",
        "batch",
        "duration_s",
        "ended",
        "phase",
        "place",
        "run_id",
        "sections",
        "started_at",
        "started_s",
        "streamed",
        "told",
        "tracker",
    )

    def __init__(
        self,
        tracker: Tracker,
        run_id: object,
        phase: str,
        place: Callsite | None,
        sections: tuple[Section, ...],
        about: Told,
        batch: object,
    ) -> None:
        self.tracker = tracker
        self.run_id = run_id
        self.phase = phase
        self.place = place
        self.sections = sections
        self.about = about
        self.batch = batch
        self.streamed = False
        self.ended: Told | None = None
        self.told: Mapping[str, Any] | None = None
        self.duration_s: float | None = None
        self.started_at = time.time()
        self.started_s = time.perf_counter()

    @property
    def context(self) -> object:
        """What it has in common with the requests made for it: a batch is sent from the context of its last call."""
        return self if self.batch is None else self.batch


#: The LangChain call under way in this context: an HTTP request made now is made for it. An event cannot reset a
#: variable of the context it was started in (async ends run in a task of their own), so what ended says so itself.
current_call: ContextVar[OpenCall | None] = ContextVar("llm_usage_call", default=None)


def _run_of(tracker: Tracker) -> OpenCall | None:
    # A stream that another test left open stays in the context.
    run = current_call.get()
    return run if run is not None and run.ended is None and run.tracker is tracker else None


@dataclass(slots=True, eq=False)
class _Response:
    """What went over the wire, read when it is first asked for.

    Attributes:
        exchange: The request and its response.
        run: LangChain's call under way in the context that the request was made in.
        phase: pytest's phase.
        place: Where the user's code made the request.
        sections: The sections open then.
    """

    exchange: Exchange
    run: OpenCall | None
    phase: str
    place: Callsite | None
    sections: tuple[Section, ...]
    _read: tuple[WireCall | None] | None = None

    @property
    def started_at(self) -> float:
        return self.exchange.started_at

    def wire(self) -> WireCall | None:
        """What the response says; None where it answered no call to a model."""
        if self._read is None:
            self._read = (read(self.exchange),)
        return self._read[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """What one `Call` is made of: LangChain's call, the response on the wire, or both."""

    opened: OpenCall | None
    response: _Response | None
    wire: WireCall | None

    @property
    def started_at(self) -> float:
        source = self.opened or self.response
        return source.started_at if source is not None else math.inf

    @property
    def sections(self) -> tuple[Section, ...]:
        source = self.opened or self.response
        return source.sections if source is not None else ()

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will be told."""
        return self.opened is None or self.opened.ended is not None

    def is_same(self, other: _Origin) -> bool:
        """Whether a `Call` made of the other stands for this one too."""
        return self.is_settled and self.opened is other.opened and self.wire is other.wire


class Tracker:
    """Gathers the calls of one test, from the set-up of its fixtures to their tear-down.

    Safe under threads without a lock: lists only grow by `append`, are copied before they are walked, and each call is
    ended by one thread.

    Attributes:
        root: Shown paths are relative to this folder.
        missing: What reading a number does that is not known because a call's usage is not.
        unpriced: What reading a cost does that is not known because a call's price is not.
        is_run: Whether it gathers what is no test's.
        phase: pytest's phase that is under way.
        limits: What the test may spend.
        stop: Raises, with the text it is given, to stop a call that a limit forbids; None lets calls go on.
        failure: The first reason for which this test must fail whatever its code made of it (a stopped call, a
            request that no cassette holds), as whole text.
        stopped_by: The limits that forbade the last call that was stopped; a limit on calls counts that call.
        cassettes: The recordings that its responses came from, or went to.
        prices: The price book, made when a price is first asked for; None is genai-prices alone.
        handler: The LangChain callback handler, made by `langchain` when the code under test first asks for one.
        add_reported: LangChain's own sum of two `UsageMetadata`, set with it: nothing is reported before that.
        may_be_cached: Asked when a call starts, set with it: whether LangChain will look into a cache first, where an
            answer costs nothing. Then only a limit that is exceeded already stops it, not one that it may yet keep.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        missing: Missing = "error",
        unpriced: Missing = "error",
    ) -> None:
        self.is_run = False
        self.root = root or Path.cwd()
        self.missing: Missing = missing
        self.unpriced: Missing = unpriced
        self.phase = "setup"
        self.limits: tuple[Limits, ...] = ()
        self.stop: Callable[[str], NoReturn] | None = None
        self.failure: str | None = None
        self.stopped_by: tuple[Breach, ...] = ()
        self.cassettes: set[Path] = set()
        self.prices: Callable[[], PriceBook] | None = None
        self.handler: Any = None
        self.add_reported: Callable[[Any, Any], Any] = _nothing_reported
        self.may_be_cached: Callable[[], bool] = _never
        self._thread_id = threading.get_ident()
        self._opened: list[OpenCall] = []
        self._responses: list[_Response] = []
        self._stopped: list[str] = []
        self._sections: list[Section] = []
        self._origins: tuple[_Origin, ...] = ()
        #: Another object after every event, so that an answer that no event came behind is given again.
        self._state = object()
        self._answer: tuple[object, tuple[Call, ...]] = (None, ())
        self._made: dict[int, tuple[_Origin, Call]] = {}
        self._quoted: dict[int, tuple[Call, Quote]] = {}

    @cached_property
    def usage(self) -> LLMUsage:
        """What the test reads."""
        return LLMUsage(self)

    # -- gathering ---------------------------------------------------------------------------------------------

    def start(
        self,
        run_id: object,
        place: Callsite | None,
        about: Told,
        batch: object = None,
    ) -> OpenCall:
        """Notes that a call is about to be sent. Where a limit forbids it, `stop` raises instead and there is none.

        Args:
            run_id: LangChain's id of the run.
            place: Where the user's code made it.
            about: Fields of `Call` that the start tells.
            batch: An object that the calls of one batch share.
        """
        if place is None and threading.get_ident() != self._thread_id:
            # A thread of a library's: the test waits for it, at the line that started it.
            place = user_callsite(self._thread_id)
        if self.stop is not None and self.limits:
            self._stop_beyond_limits(place, _read(about).get("requested_model"), spent_only=self.may_be_cached())
        call = OpenCall(self, run_id, self.phase, place, self._open_sections(), about, batch)
        self._opened.append(call)
        self._state = object()
        return call

    def end(self, call: OpenCall, told: Told) -> None:
        """Notes how a call ended; only its first end counts."""
        if call.ended is None:
            call.duration_s = time.perf_counter() - call.started_s
            call.ended = told
            self._state = object()

    def drop(self, call: OpenCall) -> None:
        """Forgets a call that turned out to be part of another one's request."""
        self._opened.remove(call)
        self._state = object()

    def siblings(self, call: OpenCall) -> list[OpenCall]:
        """The calls that LangChain started as one batch with `call`."""
        return [other for other in self._opened.copy() if other.batch is call.batch and other is not call]

    def before_request(self, method: str, url: str, body: bytes, headers: Headers) -> None:
        """Stops a request to a model that a limit forbids and that no LangChain call waits for."""
        tracker = current() or self
        if tracker.limits and is_model_call(method, url, body, headers):
            tracker.check_request(_run_of(tracker))

    def check_request(self, run: OpenCall | None) -> None:
        """Stops a request made while `run` was under way where a limit forbids it; one that `run` waits for goes on."""
        if self.stop is not None and (run is None or not self._awaits_answer(run)):
            self._stop_beyond_limits(user_callsite(), None)

    def observe(self, exchange: Exchange) -> None:
        """Takes in what a cassette recorded or replayed.

        It belongs to whoever made the request: a cassette of wider scope stays open while tests call models.
        """
        tracker = current() or self
        tracker.take_in(exchange, _run_of(tracker))

    def take_in(self, exchange: Exchange, run: OpenCall | None) -> None:
        """Notes what went over the wire while `run` was under way in the context of the request."""
        self._responses.append(_Response(exchange, run, self.phase, user_callsite(), self._open_sections()))
        if exchange.cassette is not None:
            self.cassettes.add(exchange.cassette)
        self._state = object()

    def _awaits_answer(self, run: OpenCall) -> bool:
        """Whether the calls made in the context of `run` are more than the answers that have come for them."""
        calls = sum(call.context is run.context for call in self._opened.copy())
        answers = (of for of in self._responses.copy() if of.run is not None and of.run.context is run.context)
        return calls > sum(response.wire() is not None for response in answers)

    def fail(self, text: str) -> None:
        """Notes a reason for which the test must fail; the first one stays."""
        if self.failure is None:
            self.failure = text

    # -- answering ---------------------------------------------------------------------------------------------

    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in the order in which they started; those under way have no usage yet."""
        state = self._state
        known, calls = self._answer
        if known is not state:
            self._origins = self._joined()
            calls = tuple(self._call(index, origin) for index, origin in enumerate(self._origins))
            self._answer = state, calls
        return calls

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """The calls of which LangChain and the wire say different things."""
        return tuple(
            found
            for call, origin in zip(self.calls(), self._origins, strict=True)
            if (found := _discrepancy(call, origin)) is not None
        )

    def ledger(self) -> Ledger:
        """The calls as a frozen value."""
        return Ledger(self.calls())

    def drain(self) -> Ledger:
        """The calls, which are then forgotten; those that have not ended yet stay."""
        open_calls = [opened for opened in self._opened.copy() if opened.ended is None]
        calls = self.calls()
        kept = {id(opened) for opened in open_calls}
        ended = tuple(call for call, origin in zip(calls, self._origins, strict=True) if id(origin.opened) not in kept)
        self._responses = [
            origin.response for origin in self._origins if id(origin.opened) in kept and origin.response is not None
        ]
        self._opened = open_calls
        self._state = object()
        return Ledger() + Ledger(ended)

    def over_budget(self) -> str | None:
        """The verdict with the table of calls where the limits were exceeded or cannot be shown to hold, else None."""
        calls = self.calls()
        unpriced_holds = self.unpriced != "error"
        found = [breach for limits in self.limits for breach in breaches(limits, calls, unpriced_holds=unpriced_holds)]
        return failure_text(found, calls, self._stopped) if found else None

    def _stop_beyond_limits(self, place: Callsite | None, model: str | None, *, spent_only: bool = False) -> None:
        calls = self.calls()
        if spent_only:
            found = [
                breach for limits in self.limits for breach in breaches(limits, calls) if breach.spent > breach.limit
            ]
        else:
            found = [breach for limits in self.limits if (breach := must_stop(limits, calls, model or UNKNOWN_MODEL))]
        if found and self.stop is not None:
            self.stopped_by = tuple(found)
            self._stopped.append(shown(place, self.root) or "")
            self.fail(failure_text(found, calls, self._stopped))
            self.stop(cast("str", self.failure))

    # -- one book of two ---------------------------------------------------------------------------------------

    def _joined(self) -> tuple[_Origin, ...]:
        opened = self._opened.copy()
        answered = [(response, wire) for response in self._responses.copy() if (wire := response.wire()) is not None]
        if not answered:
            return tuple(_Origin(call, None, None) for call in opened)
        book = completed([wire for _, wire in answered])
        billed = [(response, wire) for (response, _), wire in zip(answered, book, strict=True) if wire is not None]
        wire_of = {id(response): wire for response, wire in billed}
        pairs = pair(
            [_candidate(call) for call in opened if _told(call).get("status") != "cached"],
            [_answer(response, wire) for response, wire in billed],
        )
        response_of = {id(call): response for call, response in pairs}
        taken = {id(response) for _, response in pairs}
        origins = [
            _Origin(call, response, wire_of[id(response)])
            if (response := response_of.get(id(call))) is not None
            else _Origin(call, None, None)
            for call in opened
        ]
        origins += [_Origin(None, response, wire) for response, wire in billed if id(response) not in taken]
        return tuple(sorted(origins, key=lambda origin: origin.started_at))

    def _call(self, index: int, origin: _Origin) -> Call:
        known = self._made.get(index)
        if known is not None and origin.is_same(known[0]):
            return known[1]
        fields: dict[str, Any] = {"source": "http"}
        if origin.opened is not None:
            fields = {**_told(origin.opened), "duration_s": origin.opened.duration_s}
            fields.setdefault("streamed", origin.opened.streamed)
        if origin.wire is not None and origin.response is not None:
            fields = joined(fields, origin.wire) if origin.opened is not None else fields | wire_fields(origin.wire)
            billing: Billing = fields["billing"]
            if billing.priced_at is None and origin.response.exchange.replayed:
                # A recording that does not say when it was made: the newest price known, whatever the day is.
                fields["billing"] = replace(billing, priced_at=math.inf)
        if fields.get("model", UNKNOWN_MODEL) == UNKNOWN_MODEL:
            fields["model"] = fields.get("requested_model") or UNKNOWN_MODEL
        source = origin.opened or cast("_Response", origin.response)
        call = Call(
            index=index,
            **{
                "started_at": source.started_at,
                "phase": source.phase,
                "where": shown(source.place, self.root),
                "sections": tuple(section.name for section in source.sections),
                "_quotes": self,
                **fields,
            },
        )
        if origin.is_settled:
            self._made[index] = (origin, call)
        return call

    # -- prices ------------------------------------------------------------------------------------------------

    def quote(self, call: Call) -> Quote:
        """What a call costs, or why that is not known; looked up once."""
        from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- costs nothing until a price is read

        known = self._quoted.get(call.index)
        if known is None or known[0] is not call:
            book = self.prices() if self.prices is not None else PriceBook()
            known = self._quoted[call.index] = (call, book.quote(call))
        return known[1]

    # -- sections ----------------------------------------------------------------------------------------------

    def _open_sections(self) -> tuple[Section, ...]:
        own = _sections.get()
        if own is not None:
            return own and tuple(section for section in own if section.tracker is self)
        # A plain thread has no context of ours. Where just one chain of sections is open, opened by the test itself
        # (and not by another thread), the thread works for it; where several are, it cannot be told.
        chains = {section.path for section in self._sections.copy() if section.follows_test}
        longest = max(chains, key=len, default=())
        if all(longest[: len(chain)] == chain for chain in chains):
            return longest
        return ()

    @contextmanager
    def section(self, name: str) -> Iterator[LLMUsage]:
        """See `LLMUsage.section`."""
        outer = _sections.get()
        section = Section(name, self, tuple(s for s in outer or () if s.tracker is self), outer is not None)
        self._sections.append(section)
        token = _sections.set(section.path)
        try:
            yield LLMUsage(self, section.holds)
        finally:
            self._sections.remove(section)
            with suppress(ValueError):  # left in another context than it was entered in: an async generator's
                _sections.reset(token)

    def _in_section(self, call: Call, section: Section) -> bool:
        return section in self._origins[call.index].sections


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a test, opened by `llm_usage.section(name)`.

    Attributes:
        name: As given.
        tracker: The test it is a part of.
        outer: The sections it was opened in, outermost first.
        follows_test: Opened by code that runs in the test's own context, not in a plain thread.
    """

    name: str
    tracker: Tracker = field(repr=False)
    outer: tuple[Section, ...]
    follows_test: bool

    @property
    def path(self) -> tuple[Section, ...]:
        """The section itself behind those it was opened in."""
        return (*self.outer, self)

    def holds(self, call: Call) -> bool:
        """Whether a call was made inside."""
        return self.tracker._in_section(call, self)  # noqa: SLF001 -- two halves of one thing


#: The sections open in this context, outermost first; None where the context is not one of ours (a plain thread).
_sections: ContextVar[tuple[Section, ...] | None] = ContextVar("llm_usage_sections", default=None)


# -- which tracker ---------------------------------------------------------------------------------------------


_of_context: ContextVar[Tracker | None] = ContextVar("llm_usage_tracker", default=None)
_running: list[Tracker] = []


def current() -> Tracker | None:
    """The tracker that an event happening now belongs to.

    The context's, where that is a test's: one that has ended left something behind that still runs, which is the run's
    and not the next test's. Else the innermost that is running; the run's own counts by context only while a fixture of
    wider scope is set up or torn down, since loops that such a fixture starts keep its context and serve every test.
    """
    if not _running:
        return None
    innermost, of_context = _running[-1], _of_context.get()
    if of_context is innermost or of_context is None or of_context.is_run:
        return innermost
    run = next((tracker for tracker in reversed(_running) if tracker.is_run), innermost)
    if of_context not in _running:
        return run
    # A test that runs pytest in its own process is no test of that inner run.
    return of_context if of_context in _running[_running.index(run) :] else innermost


class running:  # noqa: N801 -- a context manager, used as a function
    """Makes `tracker` the current one, for this context and for all threads that have none."""

    __slots__ = ("_sections", "_token", "_tracker")

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def __enter__(self) -> Tracker:
        _running.append(self._tracker)
        self._token = _of_context.set(self._tracker)
        self._sections = _sections.set(())
        return self._tracker

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # left in another context than it was entered in
            _sections.reset(self._sections)
            _of_context.reset(self._token)
        # The innermost: the run's tracker may stand in the list more than once.
        del _running[len(_running) - 1 - _running[::-1].index(self._tracker)]


# -- the parts of the above ------------------------------------------------------------------------------------


def _read(told: Told) -> Mapping[str, Any]:
    return told() if callable(told) else told


def _told(call: OpenCall) -> Mapping[str, Any]:
    """The fields of `Call` that LangChain told of a call."""
    if call.ended is None:
        return {**_read(call.about), "status": "aborted", "note": _UNENDED}
    if call.told is None:
        call.told = {**_read(call.about), **_read(call.ended)}
    return call.told


def _candidate(call: OpenCall) -> Candidate[OpenCall]:
    told = _told(call)
    ended_at = math.inf if call.duration_s is None else call.started_at + call.duration_s
    models = frozenset(filter(None, (told.get("requested_model"), told.get("model"))))
    return Candidate(
        call,
        call.context,
        models,
        told.get("response_id"),
        told.get("usage"),
        call.started_at,
        ended_at,
        failed=told.get("status") == "error",
    )


def _answer(response: _Response, wire: WireCall) -> Candidate[_Response]:
    models = frozenset(filter(None, (wire.requested_model, wire.model)))
    started_at = response.started_at
    context = response.run.context if response.run is not None else None
    return Candidate(response, context, models, wire.response_id, wire.usage, started_at, started_at)


def _discrepancy(call: Call, origin: _Origin) -> Discrepancy | None:
    if origin.opened is None or origin.wire is None or origin.wire.usage is None:
        return None
    told = _told(origin.opened)
    if told.get("usage") is None and (told["status"] in ("error", "aborted") or origin.wire.is_partial):
        return None  # neither claims to know
    reason = difference(told.get("usage"), origin.wire.usage)
    if not reason and told.get("_reported") is not None and told.get("_reported_model") is None:
        reason = unnamed(origin.wire.usage)
    if not reason:
        return None
    return Discrepancy(
        call_index=call.index,
        model=call.model,
        where=call.where,
        langchain=told.get("usage"),
        wire=origin.wire.usage,
        reason=reason,
    )


def _never() -> bool:
    return False


def _nothing_reported(*_: Any) -> Any:
    raise AssertionError("a report of LangChain's without LangChain")  # pragma: no cover
