"""Where those who observe the wire hand over what they see: it belongs to whoever makes the request.

A cassette or a client of wider scope stays open while tests call models, so whose call it is is asked at every request.
A request passes several observers on its way: the client that makes it tells first (`WireSink`), and a cassette that
answers it tells in its place (`before_request`, `observe`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from pytest_llm_usage.credentials.recognised import header_credentials, remember
from pytest_llm_usage.tracker.tracker import Tracker, current
from pytest_llm_usage.wire import asked_model, may_ask_model, may_be_unread, may_hold_counts, read
from pytest_llm_usage.wire.exchange import Exchange, Headers
from pytest_llm_usage.wire.in_flight import claim, in_flight

__all__ = ["WireSink", "before_request", "observe", "observe_other_cassette"]


class WireSink:
    """Tells the test that makes a request of it; what the observers of HTTP clients ask for (`http_clients.Sink`).

    Args:
        failed: Called with a request and what went wrong with observing it.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed

    def wants(self, method: str, url: str) -> bool:
        """Whether a request may ask a model, by its address."""
        return may_ask_model(method, url) or may_be_unread(method, url)

    def before_send(self, method: str, url: str, headers: Headers, body: bytes) -> _Ticket | None:
        """Stops a request that a limit forbids."""
        tracker = current()
        if tracker is None:
            return None
        ticket = _Ticket(tracker, partial(asked_model, method, url, body, headers))
        if tracker.counts_requests:
            tracker.check(ticket.request, ticket.asked_model)
        return ticket

    def before_network(self, url: str, ticket: object) -> None:
        """Stops a call that would leave this machine, where that is not allowed."""
        if isinstance(ticket, _Ticket) and ticket.asked_model() is not None:
            ticket.tracker.check_live(ticket.request, url)

    def wants_answer(self, method: str, url: str, headers: Headers, *, live: bool) -> bool:
        """Whether an answer may be a model's, by its head.

        From an address where nobody is known, only what left this machine: an application's own API answers there as
        well, and is tested without a network.
        """
        return may_ask_model(method, url) or (live and may_hold_counts(headers))

    def observe(self, exchange: Exchange, ticket: object) -> None:
        """Takes in what was sent and answered; from an address where nobody is known, only what counts tokens."""
        if not isinstance(ticket, _Ticket):
            return
        if not may_ask_model(exchange.method, exchange.url) and not read(exchange):
            ticket.tracker.unanswered(ticket.request)
        elif ticket.tracker.counts_requests:
            remember(header_credentials(exchange.request_headers))
            ticket.tracker.take_in(exchange, ticket.request)

    def unanswered(self, ticket: object) -> None:
        """Notes that no answer will come."""
        if isinstance(ticket, _Ticket):
            ticket.tracker.unanswered(ticket.request)

    def failed(self, subject: str, error: Exception) -> None:
        """Notes that something went unobserved through a mistake of ours."""
        self._failed(subject, error)


class _Ticket:
    """What is kept of a request from before it is sent until it is answered."""

    def __init__(self, tracker: Tracker, asked_model: Callable[[], str | None]) -> None:
        self.tracker = tracker
        self.request = tracker.request()
        #: Found out when it is first asked for: most tests have no limit.
        self.asked_model = cache(asked_model)


def before_request(method: str, url: str, body: bytes, headers: Headers) -> None:
    """Stops a request that a cassette is about to answer or to let go, where its client has not been asked already."""
    tracker = current()
    if tracker is not None and _ticket_in_flight() is None:
        request = tracker.request()
        tracker.check(request, partial(asked_model, method, url, body, headers))
        tracker.unanswered(request)  # nobody says when it is answered


def observe(exchange: Exchange) -> None:
    """Takes in what a cassette recorded or replayed; the client that made the request then tells nothing of it."""
    # An answer or an error that repeats the key of its request is not shown with it.
    remember(header_credentials(exchange.request_headers))
    claim()
    ticket = _ticket_in_flight()
    if ticket is not None:
        ticket.tracker.take_in(exchange, ticket.request)
    elif (tracker := current()) is not None:
        tracker.take_in(exchange, tracker.request())


def observe_other_cassette(exchange: Exchange) -> None:
    """Takes in what a cassette recorded or replayed that is none of ours: one that plain vcrpy opened."""
    tracker = current()
    if tracker is not None and tracker.counts_requests:
        observe(exchange)


def _ticket_in_flight() -> _Ticket | None:
    ticket = getattr(in_flight.get(), "ticket", None)
    return ticket if isinstance(ticket, _Ticket) else None
