"""`Sink`: the protocol of what receives requests to models, the same for every client library."""

from __future__ import annotations

from typing import Protocol

from pytest_llm_usage.wire.exchange import Exchange, Headers

__all__ = ["Sink"]


class Sink(Protocol):
    """Receives the requests to models that the code under test makes through an HTTP library.

    Every method runs in the context of the request (`contextvars`), even if the answer ends in another task or thread.
    Only outcome exceptions (a `BaseException` that is not an `Exception`) reach the code under test; any other error is
    caught and passed to `failed`.
    """

    def wants(self, method: str, url: str) -> bool:
        """Whether a request may ask a model. Called once for each address; if it may not, nothing else is read."""

    def before_send(self, method: str, url: str, headers: Headers, body: bytes) -> object:
        """Note a request that is about to be made; raise an outcome exception to stop it.

        It is not known yet whether a cassette, a mock or a provider will answer it.

        Args:
            method: The HTTP method.
            url: The whole URL.
            headers: The headers that the client has set so far.
            body: The body, as far as it is known without reading it: empty if it is a stream.

        Returns:
            A ticket, which can be anything: `observe` gets it with the answer.
        """

    def wants_answer(self, method: str, url: str, headers: Headers, *, live: bool) -> bool:
        """Whether the body of an answer is to be observed, by its head; if not, nothing of it is read.

        Args:
            method: The HTTP method of the request.
            url: The whole URL.
            headers: The answer's.
            live: Whether the request left this machine.
        """

    def before_network(self, url: str, ticket: object) -> None:
        """Note that a request leaves this machine now; raise an outcome exception to stop it.

        Called only after `before_send`, with the ticket that it returned.
        """

    def observe(self, exchange: Exchange, ticket: object) -> None:
        """Receive what was sent and answered, when the answer has ended or was closed or dropped.

        Not called if a cassette has claimed the request, or if no answer came.
        """

    def unanswered(self, ticket: object) -> None:
        """Note that `observe` will not be called for a request: it failed without an answer, or was claimed."""

    def failed(self, subject: str, error: Exception) -> None:
        """Note that something was not observed because of an error in this package.

        Args:
            subject: `POST https://…`, or the library whose internals have changed.
            error: What went wrong.
        """
