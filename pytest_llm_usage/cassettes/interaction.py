"""`Interaction`: one HTTP request with its response, as a cassette holds it. Plain values, no HTTP library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeAlias

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.wire.exchange import Exchange

__all__ = ["Headers", "Interaction", "Request", "Response", "header", "recording_dates"]

#: Header names as they came (any case), each with its values in order.
Headers: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request as the client made it or as a cassette holds it.

    Attributes:
        method: The HTTP method, upper case.
        uri: The whole URL; recordings by other tools may have it redacted.
        headers: See `Headers`.
        body: The bytes that were sent, content-encoding included; None where there was no body.
    """

    method: str
    uri: str
    headers: Headers = field(default_factory=dict)
    body: bytes | None = None

    def __repr__(self) -> str:
        """Without headers and body, which pytest would print with the keys in them."""
        return f"<Request {self.method} {mask_text(self.uri)}, {len(self.body or b''):,} bytes>"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """A response.

    Attributes:
        status: The HTTP status code.
        reason: The reason phrase; empty where none is known.
        headers: See `Headers`.
        body: The bytes that were received, content-encoding included.
    """

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        """Without headers and body, which pytest would print with the keys in them."""
        return f"<Response {self.status}, {len(self.body):,} bytes>"


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request with the response that it got."""

    request: Request
    response: Response

    def exchange(
        self, *, started_at: float = 0.0, replayed: bool = True, cassette: Path | None = None, live: bool = False
    ) -> Exchange:
        """The same as an `Exchange`, from which usage is read.

        Args:
            started_at: When the request was made in this process, in seconds since the epoch.
            replayed: Whether a cassette answered.
            cassette: The cassette that it comes from or is recorded to.
            live: Whether a provider answered.
        """
        return Exchange(
            method=self.request.method,
            url=self.request.uri,
            request_headers=self.request.headers,
            request_body=self.request.body or b"",
            status=self.response.status,
            response_headers=self.response.headers,
            response_body=self.response.body,
            started_at=started_at,
            replayed=replayed,
            cassette=cassette,
            live=live,
        )


def header(headers: Headers, name: str) -> str:
    """The first value of the header `name` (any case), or an empty string."""
    values = headers.get(name)
    if values is None:
        name = name.lower()
        values = next((found for key, found in headers.items() if key.lower() == name), ())
    return values[0] if values else ""


def recording_dates(interactions: Iterable[Interaction]) -> list[datetime]:
    """When the responses were recorded, by their `date` headers; a response without a valid one is left out."""
    dates = []
    for interaction in interactions:
        try:
            date = parsedate_to_datetime(header(interaction.response.headers, "date"))
        except (ValueError, OverflowError):
            continue
        dates.append(date if date.tzinfo is not None else date.replace(tzinfo=UTC))
    return dates
