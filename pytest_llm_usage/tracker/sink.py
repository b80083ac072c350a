"""Where those who observe the wire hand over what they see: it belongs to whoever makes the request.

A cassette or a client of wider scope stays open while tests call models, so whose call it is is asked at every request.
"""

from __future__ import annotations

from pytest_llm_usage.credentials.recognised import header_credentials, remember
from pytest_llm_usage.tracker.events import current_call
from pytest_llm_usage.tracker.tracker import current
from pytest_llm_usage.wire import is_model_call
from pytest_llm_usage.wire.exchange import Exchange, Headers

__all__ = ["before_request", "observe"]


def before_request(method: str, url: str, body: bytes, headers: Headers) -> None:
    """Stops a request to a model that a limit forbids and that no LangChain call waits for."""
    tracker = current()
    if tracker is not None and tracker.limits and is_model_call(method, url, body, headers):
        tracker.check_request(current_call(tracker))


def observe(exchange: Exchange) -> None:
    """Takes in what a cassette recorded or replayed."""
    # An answer or an error that repeats the key of its request is not shown with it.
    remember(header_credentials(exchange.request_headers))
    tracker = current()
    if tracker is not None:
        tracker.take_in(exchange, current_call(tracker))
