"""`Row`, one documented response; `api`, which makes the rows of one API."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bodies import exchange

from pytest_llm_usage import TokenUsage


@dataclass(frozen=True, kw_only=True)
class Row:
    """A documented response and what it says.

    Attributes:
        name: What is special about it.
        source: Where it is documented: a page, or the class of an SDK.
        url: Where the request went.
        response: The body: bytes, or a value that becomes JSON.
        flavour, provider, model …: What must be read.
        usage: Input and output, and the total if it is not their sum; None if no usage is known.
        sent, received: The details of the input and of the output.
        billed: The tokens as billed, in the same form with both details, if they differ from `usage`.
        parts: Kind, model, input, output of each part.
        stated: The cost that the provider states, in USD.
        note: Words of the note; empty if there must be none.
        cost: The bill: tokens times USD per million (or, for a piece, USD times a million), added up: millionths of a USD.
            `stated` if it is the stated cost; `unpriced` if nobody publishes a price; None if the row is only about
            counts.
    """

    name: str
    source: str
    url: str
    response: Any
    flavour: str
    provider: str | None
    usage: tuple[int, ...] | None
    request: Any = field(default_factory=lambda: {"model": "m", "messages": [], "input": "hi", "prompt": "hi"})
    method: str = "POST"
    request_headers: dict = field(default_factory=dict)
    response_headers: dict = field(default_factory=dict)
    kind: str = "call"
    model: str = "m"
    sent: dict = field(default_factory=dict)
    received: dict = field(default_factory=dict)
    billed: tuple | None = None
    items: dict = field(default_factory=dict)
    parts: tuple = ()
    stated: str | None = None
    seller: str | None = None
    region: str | None = None
    tier: str | None = None
    modifiers: dict = field(default_factory=dict)
    status: str = "ok"
    note: str = ""
    cost: str | None = None

    @property
    def id(self):
        return f"{self.flavour}-{self.name}".replace(" ", "_")

    @property
    def exchange(self):
        return exchange(
            self.url,
            b"" if self.method == "GET" else self.request,
            self.response,
            method=self.method,
            request_headers=self.request_headers,
            response_headers=self.response_headers,
        )

    @property
    def expected_usage(self):
        return None if self.usage is None else counts(*self.usage, details=(self.sent, self.received))

    @property
    def expected_bill(self):
        if self.billed is None:
            return None
        sent, received, *details = self.billed
        return counts(sent, received, details=details)


def counts(sent, received, total=None, *, details):
    return TokenUsage.from_counts(
        sent, received, total_tokens=total, input_token_details=details[0], output_token_details=details[1]
    )


def api(**common):
    """A function that makes rows with the fields `common`; it takes a name, a response, a usage and what differs."""

    def row(name, response, usage, **more):
        return partial(Row, **common)(name=name, response=response, usage=usage, **more)

    return row
