"""Receives what observers of the wire see, and passes it to the test that makes the request.

A cassette or a client of wider scope stays open while tests call models, so the test is looked up at every request.
A request passes several observers on its way: the client that makes it reports first (`WireSink`), and a cassette that
answers it reports in its place (`before_request`, `observe`).
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
    """Passes requests to the test that makes them; the sink of the observers of HTTP clients (`http_clients.Sink`).

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

        An answer from an unknown address may be one only if its request left this machine: an application's own API has
        an unknown address as well, and is tested without a network.
        """
        return may_ask_model(method, url) or (live and may_hold_counts(headers))

    def observe(self, exchange: Exchange, ticket: object) -> None:
        """Adds what was sent and answered; an answer from an unknown address only if it counts tokens."""
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
        """Notes that something was not observed because of an internal error."""
        self._failed(subject, error)


class _Ticket:
    """What is kept of a request from before it is sent until it is answered."""

    def __init__(self, tracker: Tracker, asked_model: Callable[[], str | None]) -> None:
        self.tracker = tracker
        self.request = tracker.request()
        #: Parsed only on demand: most tests have no limit.
        self.asked_model = cache(asked_model)


def before_request(method: str, url: str, body: bytes, headers: Headers) -> None:
    """Stops a request that a limit forbids before its cassette answers or sends it, unless its client checked it."""
    tracker = current()
    if tracker is not None and _ticket_in_flight() is None:
        request = tracker.request()
        tracker.check(request, partial(asked_model, method, url, body, headers))
        tracker.unanswered(request)  # nothing reports when it is answered


def observe(exchange: Exchange) -> None:
    """Adds what a cassette recorded or replayed; the client that made the request then does not report it."""
    # If an answer or an error repeats the key of its request, the key is masked where that is shown.
    remember(header_credentials(exchange.request_headers))
    claim()
    ticket = _ticket_in_flight()
    if ticket is not None:
        ticket.tracker.take_in(exchange, ticket.request)
    elif (tracker := current()) is not None:
        tracker.take_in(exchange, tracker.request())


def observe_other_cassette(exchange: Exchange) -> None:
    """Adds what a cassette recorded or replayed that plain vcrpy opened, not this plugin."""
    tracker = current()
    if tracker is not None and tracker.counts_requests:
        observe(exchange)


def _ticket_in_flight() -> _Ticket | None:
    ticket = getattr(in_flight.get(), "ticket", None)
    return ticket if isinstance(ticket, _Ticket) else None
