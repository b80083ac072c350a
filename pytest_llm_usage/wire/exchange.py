"""`Exchange`: one HTTP request with its response, as a cassette recorded or replayed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Exchange", "Headers"]

Headers = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One request and the response to it.

    Attributes:
        method: The HTTP method; any case.
        url: The whole URL; recordings by other tools may have it redacted.
        request_headers: As recorded; names in any case, values one string or several.
        request_body: Undecoded bytes.
        status: The HTTP status.
        response_headers: As recorded.
        response_body: Undecoded bytes: compressed where the headers say so (and sometimes where they lie).
        started_at: Seconds since the epoch at which the request was made in this process.
        replayed: Whether the response came from a cassette rather than the network.
        cassette: The cassette that it came from or is recorded to; None if it is only observed.
        live: Whether the response came from a provider during this run: from no cassette, no mock and no loopback.
    """

    method: str
    url: str
    request_headers: Headers = field(default_factory=dict)
    request_body: bytes = b""
    status: int = 200
    response_headers: Headers = field(default_factory=dict)
    response_body: bytes = b""
    started_at: float = 0.0
    replayed: bool = True
    cassette: Path | None = None
    live: bool = False

    def __repr__(self) -> str:
        """Without headers and bodies, which pytest would print with the keys in them."""
        from pytest_llm_usage.credentials.mask import mask_text  # noqa: PLC0415 -- only where one is shown

        return f"<Exchange {self.method} {mask_text(self.url)} {self.status}>"
