"""`Tracker` collects the calls of one test (or of the run).

LangChain's callbacks report that a call started and how it ended, observers of the wire add what was sent and answered,
and the tracker makes frozen `Call`s from both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from pytest_llm_usage.budget.breaches import Breach, breaches
from pytest_llm_usage.budget.failure import failure_text
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call, Ledger
from pytest_llm_usage.tracker.callsite import Callsite, shown, user_callsite
from pytest_llm_usage.tracker.events import CallFields, OpenCall, Reporter, Request, Response, current_call, read_fields
from pytest_llm_usage.tracker.live import live_text
from pytest_llm_usage.tracker.origin import Origin, origins_of
from pytest_llm_usage.tracker.quotes import LateQuotes, genai_prices
from pytest_llm_usage.tracker.reconcile import Discrepancy
from pytest_llm_usage.tracker.relatives import Processes, Relatives
from pytest_llm_usage.tracker.scope import Sections, current_scope
from pytest_llm_usage.tracker.stops import SessionLimit, exceeded, forbidding
from pytest_llm_usage.tracker.view import LLMUsage, Missing, growth_failures
from pytest_llm_usage.wire.exchange import Exchange

if TYPE_CHECKING:
    from pytest_llm_usage.anatomy.prompt import Prompt
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["Tracker", "current"]

_T = TypeVar("_T")


class Tracker:
    """Collects the calls of one test, from the set-up of its fixtures to their teardown.

    Thread-safe: lists only grow by `append` and are copied before they are iterated, and each call is ended by one
    thread. Limits are checked under a lock, so that calls made at the same time count for each other.

    Args:
        root: Shown paths are relative to this folder.
        missing: What reading a number does if it is not known because a call's usage is not.
        unpriced: What reading a cost does if it is not known because a call's price is not.
        phase: The current phase of pytest.
        thread_id: The thread that runs the test; the current one by default.
        limits: What the test may spend.
        stop: Raises, with the text it is given, to stop a call that a limit forbids; None lets calls go on.
        session: What the whole run may spend, if that is limited.
        stop_live: Raises, with the text it is given, to stop a call that would leave this machine; None lets it go.
        prices: Makes the price book when the first price is needed.
        note_fault: Called with what was done and the exception, where an internal error must not fail the test; None
            raises the exception.
        counts_requests: Whether requests that this plugin's cassettes do not replay are counted and limited; if not,
            only LangChain's calls are.

    Attributes:
        stopped_by: The limits that forbade the last call that was stopped; a limit on calls counts that call.
        cassettes: The recordings that its responses came from, or went to.
        processes: The processes that the test has forked.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        missing: Missing = "error",
        unpriced: Missing = "error",
        phase: str = "call",
        thread_id: int | None = None,
        limits: tuple[Limits, ...] = (),
        stop: Callable[[str], NoReturn] | None = None,
        session: SessionLimit | None = None,
        stop_live: Callable[[str], NoReturn] | None = None,
        prices: Callable[[], PriceBook] = genai_prices,
        note_fault: Callable[[str, Exception], None] | None = None,
        counts_requests: bool = True,
    ) -> None:
        self.root = root or Path.cwd()
        self.missing: Missing = missing
        self.unpriced: Missing = unpriced
        self.limits = limits
        self.counts_requests = counts_requests
        self._failure: str | None = None
        self.stopped_by: tuple[Breach, ...] = ()
        self.cassettes: set[Path] = set()
        self._phase = phase
        self._stop = stop
        self._is_limited = stop is not None and (bool(limits) or session is not None)
        self._session = session
        self._stop_live = stop_live
        self._quotes = LateQuotes(prices)
        self._note_fault = note_fault
        self._add_reported: Callable[[Any, Any], Any] | None = None
        #: Identifies the tracker in objects that it keeps: a reference would be a cycle to collect for each test.
        self._name = object()
        self._attached: dict[str, Any] = {}
        self._thread_id = threading.get_ident() if thread_id is None else thread_id
        self._opened: list[OpenCall] = []
        self._responses: list[Response] = []
        self._stopped: list[str] = []
        #: Requests that were sent and not answered yet, with their models; without those of LangChain's open calls.
        self._in_flight: dict[Request, str] = {}
        self._deciding = threading.RLock()
        self._sections = Sections()
        self.processes = Processes()
        self._origins: tuple[Origin, ...] = ()
        #: A new object after every event: the last answer of `calls` holds for as long as this has not changed.
        self._state = object()
        self._answer: tuple[object, tuple[Call, ...]] = (None, ())
        self._made: dict[int, tuple[Origin, Call]] = {}

    @property
    def usage(self) -> LLMUsage:
        """What the test reads."""
        return LLMUsage(self)

    def attached(self, name: str, make: Callable[[Tracker], _T]) -> _T:
        """An object that a source of calls keeps for this tracker under `name`; `make` makes it at first."""
        found: _T | None = self._attached.get(name)
        if found is None:
            found = self._attached[name] = make(self)
        return found

    def detach(self) -> None:
        """Drops the attached objects when the test has ended."""
        self._attached = {}

    def enter_phase(self, phase: str) -> None:
        """Makes calls that start from now on belong to pytest's phase `phase`."""
        self._phase = phase

    def price_by(self, prices: Callable[[], PriceBook]) -> None:
        """Takes prices that are first read from now on from another book."""
        self._quotes.prices = prices

    # -- events ------------------------------------------------------------------------------------------------

    def start(
        self,
        reporter: Reporter,
        run_id: object,
        callsite: Callsite | None,
        fields: CallFields,
        batch: object = None,
    ) -> OpenCall:
        """Notes that a call is about to be sent. If a limit forbids it, it is stopped instead and not noted.

        Args:
            reporter: What reports it.
            run_id: LangChain's id of the run.
            callsite: Where the user's code made it.
            fields: Fields of `Call` that are known at its start.
            batch: An object that the calls of one batch share.
        """
        self._add_reported = reporter.add_reported
        callsite = callsite or self._callsite()
        call = OpenCall(self._name, run_id, self._phase, callsite, self._sections.here(), fields, batch)
        if not self._is_limited:
            self._opened.append(call)
        else:
            with self._deciding:
                model = read_fields(fields).get("requested_model")
                self._stop_beyond_limits(call.callsite, model, spent_only=reporter.may_be_cached())
                self._opened.append(call)
        self._state = object()
        return call

    def _callsite(self) -> Callsite | None:
        """The line at which the test waits for this thread, which a library started; None in the test's own thread."""
        return None if threading.get_ident() == self._thread_id else user_callsite(self._thread_id)

    def end(self, call: OpenCall, fields: CallFields) -> None:
        """Notes how a call ended; only the first end counts."""
        call.end(fields)
        self._changed()

    def drop(self, call: OpenCall) -> None:
        """Forgets a call that turned out to be part of another one's request."""
        self._opened.remove(call)
        call.end({})  # no request that follows in its context is made for it
        self._changed()

    def siblings(self, call: OpenCall) -> list[OpenCall]:
        """The calls that LangChain started as one batch with `call`."""
        return [other for other in self._opened.copy() if other.batch is call.batch and other is not call]

    def current_call(self) -> OpenCall | None:
        """LangChain's call that is under way in this context."""
        return current_call(self._name)

    def request(self) -> Request:
        """The `Request` for a request to a model that is made now: what it belongs to."""
        return Request(self.current_call(), self._phase, user_callsite() or self._callsite(), self._sections.here())

    def check(self, request: Request, asked_model: Callable[[], str | None]) -> None:
        """Stops a request about to be sent if a limit forbids it; that of an open LangChain call was checked already.

        Args:
            request: The request; in flight from now on, until `take_in` or `unanswered`.
            asked_model: Returns the model, or None if this is no call to a model; called only if there is a limit.
        """
        if not self._is_limited or (model := asked_model()) is None:
            return
        with self._deciding:
            if request.call is None or not self._awaits_answer(request.call):
                self._stop_beyond_limits(request.callsite, model)
                self._in_flight[request] = model

    def check_live(self, request: Request, url: str) -> None:
        """Stops a request that is about to leave this machine, if that is not allowed."""
        if self._stop_live is not None:
            where = shown(request.callsite, self.root)
            text = live_text(url, where)
            self.fail(text)
            self._stop_live(text)

    def take_in(self, exchange: Exchange, request: Request) -> None:
        """Notes what was sent and answered."""
        with self._deciding:
            self._responses.append(Response(exchange, request))
            self.unanswered(request)
        if exchange.cassette is not None:
            self.cassettes.add(exchange.cassette)
        self._changed()

    def unanswered(self, request: Request) -> None:
        """Notes that a request is not in flight any more."""
        self._in_flight.pop(request, None)

    def _awaits_answer(self, call: OpenCall) -> bool:
        """Whether fewer answers have come than calls were made in the context of `call`."""
        calls = sum(other.context is call.context for other in self._opened.copy())
        answers = (of for of in self._responses.copy() if of.call is not None and of.call.context is call.context)
        return calls > sum(response.wire() is not None for response in answers)

    def note_fault(self, what: str, error: Exception) -> None:
        """Notes an internal error, which fails no test."""
        if self._note_fault is None:
            raise error
        self._note_fault(what, error)

    def fail(self, text: str) -> None:
        """Notes why the test must fail even if its code handles the error; the first reason stays."""
        if self._failure is None:
            self._failure = text
            self._changed()

    @property
    def failure(self) -> str | None:
        """The whole text of why the test must fail (a stopped call, a request that no cassette holds), or None."""
        self._receive()
        return self._own_failure

    @property
    def _own_failure(self) -> str | None:
        if self._failure is None and self.stopped_by:
            # The text includes the answers that have come meanwhile.
            return failure_text(self.stopped_by, self.calls(), self._stopped)
        return self._failure

    def _changed(self) -> None:
        """Invalidates the last answer of `calls`, and shares what has changed with forked processes."""
        self._state = object()
        if self.processes.relatives:
            calls = self.calls()
            self.processes.publish(zip(calls, self._origins, strict=True), self.cassettes, self._own_failure)

    def known(self) -> tuple[Origin, ...]:
        """The origins that its calls are made from."""
        self.calls()
        return self._origins

    def go_on_in_child(self) -> None:
        """Continues in a process that was forked from the one that made it."""
        self._deciding = threading.RLock()  # another thread may have held it
        self.processes.start(self._origins)

    def take_over(self, left: list[Relatives]) -> None:
        """Adds what the processes of another tracker have written after its end."""
        self.processes.take_over(left)
        self._state = object()

    def _receive(self) -> None:
        if (received := self.processes.receive()) is not None:
            self._failure = self._failure or received.failure
            self.cassettes |= received.cassettes
            self._state = object()

    # -- answers -----------------------------------------------------------------------------------------------

    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in the order in which they started; those under way have no usage yet."""
        if self.processes.relatives:  # checked first: every hook calls this, and few tests fork
            self._receive()
        state = self._state
        known, calls = self._answer
        if known is not state:
            self._origins = origins_of(self._opened.copy(), self._responses.copy())
            if received := self.processes.received:
                self._origins = tuple(sorted((*self._origins, *received), key=lambda origin: origin.started_at))
            calls = tuple(self._call(index, origin) for index, origin in enumerate(self._origins))
            self._answer = state, calls
        return calls

    def _call(self, index: int, origin: Origin) -> Call:
        known = self._made.get(index)
        if known is not None and origin.is_same(known[0]):
            return known[1]
        call = origin.to_call(index, self.root, quotes=self._quotes)
        if origin.is_settled:
            self._made[index] = (origin, call)
        return call

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """The calls on which LangChain and the wire disagree."""
        pairs = zip(self.calls(), self._origins, strict=True)
        return tuple(found for call, origin in pairs if (found := origin.discrepancy(call)) is not None)

    def prompt_of(self, call: Call) -> Prompt | None:
        """What a call sent; None where that cannot be read."""
        prompt = self._origins[call.index].prompt()
        return None if isinstance(prompt, str) else prompt

    def ledger(self) -> Ledger:
        """The calls, as a frozen value."""
        return Ledger(self.calls())

    def drain(self) -> Ledger:
        """The calls that have ended, which are then forgotten; open calls stay."""
        open_calls = [opened for opened in self._opened.copy() if opened.end_fields is None]
        calls = self.calls()
        kept = {id(opened) for opened in open_calls}
        ended = tuple(call for call, origin in zip(calls, self._origins, strict=True) if id(origin.call) not in kept)
        self._responses = [
            origin.response for origin in self._origins if id(origin.call) in kept and origin.response is not None
        ]
        self._opened = open_calls
        self.processes.forget_received()
        self._state = object()
        return Ledger() + Ledger(ended)

    def add_reported(self, left: Any, right: Any) -> Any:
        """LangChain's own sum of two usages that it reported."""
        if self._add_reported is None:
            raise AssertionError("usage was reported by nobody")  # pragma: no cover
        return self._add_reported(left, right)

    @contextmanager
    def section(self, name: str) -> Iterator[LLMUsage]:
        """See `LLMUsage.section`."""
        with self._sections.opened(name) as section:
            yield LLMUsage(self, lambda call: any(own.key == section.key for own in self._origins[call.index].sections))

    # -- limits ------------------------------------------------------------------------------------------------

    def over_budget(self) -> str | None:
        """The verdict with the table of calls, if a limit was exceeded or cannot be verified; else None."""
        calls = self.calls()
        unpriced_holds = self.unpriced != "error"
        found = [breach for limits in self.limits for breach in breaches(limits, calls, unpriced_holds=unpriced_holds)]
        texts = [failure_text(found, calls, self._stopped)] if found else []
        texts += growth_failures(self.limits, calls, self.prompt_of)
        return "\n\n".join(texts) or None

    def _stop_beyond_limits(self, callsite: Callsite | None, model: str | None, *, spent_only: bool = False) -> None:
        if self._stop is None:
            return
        calls, found = self.calls(), list[Breach]()
        if spent_only:
            found = exceeded(self.limits, calls)
        elif self.limits:
            # LangChain's open calls are among the calls already.
            under_way = [call.model for call, origin in zip(calls, self._origins, strict=True) if not origin.is_settled]
            # A replay costs nothing: its budget is verified at the end.
            reserve = any(not response.exchange.replayed for response in self._responses.copy())
            asked, sent = model or UNKNOWN_MODEL, list(self._in_flight.values())
            found = forbidding(self.limits, calls, asked, sent=sent, under_way=under_way, reserve=reserve)
        if found:
            self.stopped_by = tuple(found)
            self._stopped.append(shown(callsite, self.root) or "")
            self._changed()
            self._stop(self.failure or "")
        if self._session is not None and (text := self._session.forbids()):
            self.fail(text)
            self._stop(self.failure or text)


def current() -> Tracker | None:
    """The tracker that an event happening now belongs to; None where nothing is running."""
    scope = current_scope()
    return None if scope is None else cast("Tracker", scope.tracker)
