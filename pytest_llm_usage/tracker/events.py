"""What is known of calls while they happen: `OpenCall`, which LangChain started; `Request` and `Response` on the wire.

All of it is parsed only when it is needed, so that the code under test does not wait.
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

#: Fields of `Call`, or a function that reads them when they are needed.
CallFields: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

_UNENDED = "it had not ended when its usage was read"


class Reporter(Protocol):
    """What reports calls before they are sent: LangChain's handler."""

    @staticmethod
    def add_reported(left: Any, right: Any) -> Any:
        """Adds two usages as it reports them; `left` is None for the first."""

    def may_be_cached(self) -> bool:
        """Whether the call that is starting is looked up in a cache first, where an answer costs nothing.

        Such a call is stopped only by a limit that is exceeded already, not by one that it might exceed.
        """


class OpenCall:
    """A call under way: what is known of it so far.

    Attributes:
        owner: An object that identifies its tracker.
        run_id: LangChain's id of the run.
        phase: pytest's phase.
        callsite: Where the user's code made it.
        sections: The sections that were open when it started.
        start_fields: Fields of `Call` that its start reported, or what reads them.
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
        """Notes how it ended; only the first end counts."""
        if self.end_fields is None:
            self.duration_s = time.perf_counter() - self._started_s
            self.end_fields = fields

    @property
    def context(self) -> object:
        """What it shares with the requests made for it: a batch is sent from the context of its last call."""
        return self if self.batch is None else self.batch

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of `Call` that LangChain reported."""
        if self.end_fields is None:
            return {**read_fields(self.start_fields), "status": "aborted", "note": _UNENDED}
        if self._fields is None:
            self._fields = {**read_fields(self.start_fields), **read_fields(self.end_fields)}
        return self._fields


def read_fields(fields: CallFields) -> Mapping[str, Any]:
    """The fields, read if need be."""
    return fields() if callable(fields) else fields


#: The LangChain call under way in this context: an HTTP request made now is made for it. The end of an async call runs
#: in a task of its own and cannot reset the variable in this context, so a call that has ended says so itself.
_current_call: ContextVar[OpenCall | None] = ContextVar("llm_usage_call", default=None)


#: Sets the call that requests in this context are made for.
set_current_call = _current_call.set


def current_call(owner: object) -> OpenCall | None:
    """The call that a request made now is made for, if it belongs to the tracker that `owner` identifies; else None.

    A stream that another test left open does not belong to it.
    """
    call = _current_call.get()
    return call if call is not None and call.end_fields is None and call.owner is owner else None


@dataclass(slots=True, eq=False)
class Request:
    """A request to a model, from before it is sent until it is answered.

    Attributes:
        call: LangChain's call under way in the context of the request.
        phase: pytest's phase.
        callsite: Where the user's code made it.
        sections: The sections that were open when it was made.
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
        """LangChain's call under way in the context of the request."""
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
        """What the response says; None if it answers no call to a model."""
        if self._read is None:
            self._read = (read(self.exchange),)
        return self._read[0]
