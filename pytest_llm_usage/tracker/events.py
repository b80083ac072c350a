"""What is told of calls while they happen: `OpenCall`, a call that LangChain started; `Request` and `Response` on the wire.

Read when it is first asked for, so that the code under test does not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pytest_llm_usage.tracker.callsite import Callsite
from pytest_llm_usage.tracker.scope import Section
from pytest_llm_usage.wire import WireCall, read
from pytest_llm_usage.wire.exchange import Exchange

__all__ = [
    "CallFields",
    "OpenCall",
    "Reporter",
    "Request",
    "Response",
    "current_call",
    "read_fields",
    "set_current_call",
]

#: Fields of `Call`, or what reads them when they are first asked for.
CallFields: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

_UNENDED = "it had not ended when its usage was read"


class Reporter(Protocol):
    """Whoever reports calls before they are sent: LangChain's handler."""

    @staticmethod
    def add_reported(left: Any, right: Any) -> Any:
        """Its own sum of two usages as it reports them; `left` is None for the first."""

    def may_be_cached(self) -> bool:
        """Whether the call that is starting is looked up in a cache first, where an answer costs nothing.

        Then only a limit that is exceeded already stops it, not one that it may yet keep.
        """


class OpenCall:
    """A call under way: what is known of it so far.

    Attributes:
        owner: What the tracker that gathers it is known by.
        run_id: LangChain's id of the run.
        phase: pytest's phase.
        callsite: Where the user's code made it.
        sections: The sections open then.
        start_fields: Fields of `Call` that its start told, or what reads them.
        batch: An object that the calls of one batch share; None for a call of its own.
        streamed: Whether a piece of the answer has come.
        end_fields: As `start_fields`, for its end; None while it is under way.
        duration_s: Seconds that it took; None while it is under way.
        started_at: Seconds since the epoch.
    """

    __slots__ = (
        "_fields",
        "_started_s",
        "batch",
        "callsite",
        "duration_s",
        "end_fields",
        "owner",
        "phase",
        "run_id",
        "sections",
        "start_fields",
        "started_at",
        "streamed",
    )

    def __init__(
        self,
        owner: object,
        run_id: object,
        phase: str,
        callsite: Callsite | None,
        sections: tuple[Section, ...],
        start_fields: CallFields,
        batch: object,
    ) -> None:
        self.owner = owner
        self.run_id = run_id
        self.phase = phase
        self.callsite = callsite
        self.sections = sections
        self.start_fields = start_fields
        self.batch = batch
        self.streamed = False
        self.end_fields: CallFields | None = None
        self._fields: Mapping[str, Any] | None = None
        self.duration_s: float | None = None
        self.started_at = time.time()
        self._started_s = time.perf_counter()

    def end(self, fields: CallFields) -> None:
        """Notes how it ended; only its first end counts."""
        if self.end_fields is None:
            self.duration_s = time.perf_counter() - self._started_s
            self.end_fields = fields

    @property
    def context(self) -> object:
        """What it has in common with the requests made for it: a batch is sent from the context of its last call."""
        return self if self.batch is None else self.batch

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of `Call` that LangChain told."""
        if self.end_fields is None:
            return {**read_fields(self.start_fields), "status": "aborted", "note": _UNENDED}
        if self._fields is None:
            self._fields = {**read_fields(self.start_fields), **read_fields(self.end_fields)}
        return self._fields


def read_fields(fields: CallFields) -> Mapping[str, Any]:
    """The fields themselves."""
    return fields() if callable(fields) else fields


#: The LangChain call under way in this context: an HTTP request made now is made for it. An event cannot reset a
#: variable of the context it was started in (async ends run in a task of their own), so what ended says so itself.
_current_call: ContextVar[OpenCall | None] = ContextVar("llm_usage_call", default=None)


#: Says that requests made in this context are made for a call.
set_current_call = _current_call.set


def current_call(owner: object) -> OpenCall | None:
    """The call of a tracker, by what it is known by, that a request made now is made for; a stream that another test left
    open is none.
    """
    call = _current_call.get()
    return call if call is not None and call.end_fields is None and call.owner is owner else None


@dataclass(slots=True, eq=False)
class Request:
    """A request to a model, from before it is sent: what is known of it until it is answered.

    Attributes:
        call: LangChain's call under way in the context that it was made in.
        phase: pytest's phase.
        callsite: Where the user's code made it.
        sections: The sections open then.
    """

    call: OpenCall | None
    phase: str
    callsite: Callsite | None
    sections: tuple[Section, ...]


@dataclass(slots=True, eq=False)
class Response:
    """What went over the wire.

    Attributes:
        exchange: The request and its response.
        request: What was known when the request was made.
    """

    exchange: Exchange
    request: Request
    _read: tuple[WireCall | None] | None = None

    @property
    def started_at(self) -> float:
        """Seconds since the epoch at which the request was made."""
        return self.exchange.started_at

    @property
    def call(self) -> OpenCall | None:
        """LangChain's call under way in the context that the request was made in."""
        return self.request.call

    @property
    def phase(self) -> str:
        """Pytest's phase."""
        return self.request.phase

    @property
    def callsite(self) -> Callsite | None:
        """Where the user's code made the request."""
        return self.request.callsite

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that were open when it was made."""
        return self.request.sections

    def wire(self) -> WireCall | None:
        """What the response says; None where it answered no call to a model."""
        if self._read is None:
            self._read = (read(self.exchange),)
        return self._read[0]
