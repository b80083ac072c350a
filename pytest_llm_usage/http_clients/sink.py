"""`Sink`: who is told of requests to models, given once for every client library."""

from __future__ import annotations

from typing import Protocol

from pytest_llm_usage.wire.exchange import Exchange, Headers

__all__ = ["Sink"]


class Sink(Protocol):
    """Who is told of requests to models that code under test makes through an HTTP library.

    Every method runs in the context of the request (`contextvars`), also where the answer ends elsewhere: in another
    task or thread. Only outcome exceptions (`BaseException` that is no `Exception`) reach the code under test; any
    other error is caught and handed to `failed`.
    """

    def wants(self, method: str, url: str) -> bool:
        """Whether a request may ask a model. Asked once for each address; nothing else is looked at where it does not."""

    def before_send(self, method: str, url: str, headers: Headers, body: bytes) -> object:
        """Take note of a request that is about to be made; raise an outcome exception to stop it.

        Whether it will be answered by a cassette, a mock or a provider is not known yet.

        Args:
            method: The HTTP method.
            url: The whole URL.
            headers: Those that the client has set so far.
            body: What is known of it without reading it: empty where it is a stream.

        Returns:
            Anything: `observe` gets it back with the answer.
        """

    def wants_answer(self, method: str, url: str, headers: Headers, *, live: bool) -> bool:
        """Whether the body of an answer is to be observed, by its head; else nothing of it is looked at.

        Args:
            method: The HTTP method of the request.
            url: The whole URL.
            headers: The answer's.
            live: Whether the request left this machine.
        """

    def before_network(self, url: str, ticket: object) -> None:
        """Take note that a request leaves this machine now; raise an outcome exception to stop it.

        Called only for requests that `before_send` was called for, whose ticket this is.
        """

    def observe(self, exchange: Exchange, ticket: object) -> None:
        """Take in what was sent and what was answered, when the answer has ended, was closed or was given up.

        Not called where a cassette has claimed the request, or where no answer came.
        """

    def unanswered(self, ticket: object) -> None:
        """Take note that `observe` will not be called for a request: it failed without an answer, or was claimed."""

    def failed(self, subject: str, error: Exception) -> None:
        """Warn that something went unobserved through a mistake of this package.

        Args:
            subject: `POST https://…`, or the library whose inner parts are not as they were.
            error: What went wrong.
        """
