"""A server on loopback that answers like OpenAI and Wikipedia, always with the same words and on the same day.

It speaks as much of three interfaces as the examples and the pages in docs need:

* OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat), whole and as server-sent events; in a
  stream the usage comes in a last chunk without choices, and only when `stream_options.include_usage` asks for it;
* OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings): texts with the same words are near each other;
* Wikipedia's page search (https://api.wikimedia.org/wiki/Core_REST_API) and page summary
  (https://en.wikipedia.org/api/rest_v1/).

What is said here was written for these examples, and the token counts go with the texts; no provider was asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

#: The day of every answer, and so of its price.
ANSWERED_AT = datetime(2024, 8, 1, tzinfo=UTC)

#: What the `server` header of every answer says.
SERVER_NAME = "loopback emulator of pytest-llm-usage"


@dataclass(frozen=True)
class Reply:
    """What the model says, and what it counts.

    Attributes:
        input_tokens: Tokens of the request.
        output_tokens: Tokens of the reply.
        text: The words, if it speaks.
        tool: The tool to call, if it wants one.
        arguments: The arguments for that tool.
    """

    input_tokens: int
    output_tokens: int
    text: str = ""
    tool: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


#: By the system's and the user's words: the replies in turn, one more with every result of a tool.
REPLIES: dict[tuple[str, str], tuple[Reply, ...]] = {
    ("", "Tell me a joke"): (Reply(11, 15, "Why did the bicycle fall over? It was two-tired."),),
    ("", "Tell me a short joke"): (Reply(12, 9, "Parallel lines: so much in common."),),
    ("Translate into German.", "The early bird catches the worm."): (Reply(23, 9, "Morgenstund hat Gold im Mund."),),
    ("Translate into French.", "Good morning!"): (Reply(18, 3, "Bonjour !"),),
    ("Translate into Spanish.", "Good morning!"): (Reply(18, 4, "¡Buenos días!"),),
    (
        "You answer questions about birds. Look every fact up in Wikipedia first, one thing at a time.",
        "What's a hummingbird's scientific name and what's the fastest bird species?",
    ): (
        Reply(112, 22, tool="wikipedia", arguments={"query": "hummingbird scientific name"}),
        Reply(509, 22, tool="wikipedia", arguments={"query": "fastest bird species"}),
        Reply(
            791,
            127,
            "Hummingbirds are not one species but a whole family, so their scientific name is that of the family: "
            "Trochilidae. Each of its more than 360 species has a name of its own; the smallest, the bee hummingbird, is "
            "Mellisuga helenae.\n\n"
            "The fastest bird is the peregrine falcon (Falco peregrinus): when it dives on its prey it goes faster than "
            "320 km/h (200 mph), which no other animal does. In level flight, without the help of gravity, swifts are "
            "faster than falcons.",
        ),
    ),
    ("", "I was charged twice for order 1017, and my card is blocked now. Please help today!"): (
        Reply(104, 19, tool="Ticket", arguments={"queue": "billing", "is_urgent": True}),
    ),
    (
        "Reply to the customer in two sentences.",
        "I was charged twice for order 1017, and my card is blocked now. Please help today!",
    ): (
        Reply(
            43,
            39,
            "I am sorry that order 1017 was charged twice: the second payment goes back to you today. "
            "As soon as it has arrived, your bank can unblock the card, and we gladly confirm it to them in writing.",
        ),
    ),
    ("Look speeds up with the tool.", "How fast is a peregrine falcon?"): (
        Reply(62, 16, tool="speed", arguments={"bird": "peregrine falcon"}),
        Reply(95, 21, "A peregrine falcon reaches up to 389 kilometres an hour when it dives on its prey."),
    ),
    ("Look speeds up with the tool. Say how sure you are.", "How fast is a peregrine falcon?"): (
        Reply(68, 16, tool="speed", arguments={"bird": "peregrine falcon"}),
        Reply(
            101,
            29,
            "A peregrine falcon reaches up to 389 kilometres an hour when it dives. I am sure: the tool says so.",
        ),
    ),
    ("", "In three words: The peregrine falcon is the fastest bird."): (Reply(18, 5, "Falcons fly fastest."),),
}


@dataclass(frozen=True)
class Article:
    """An article of Wikipedia: its key in addresses, its title and its first paragraphs."""

    key: str
    title: str
    extract: str


#: By the words of the search.
ARTICLES = {
    "hummingbird scientific name": Article(
        "Hummingbird",
        "Hummingbird",
        "Hummingbirds are small birds of the Americas that make up the family Trochilidae. With more than 360 species in "
        "over 110 genera they live from Alaska to Tierra del Fuego, most of them in the tropics and in the Andes. Most "
        "species measure between seven and thirteen centimetres; the bee hummingbird (Mellisuga helenae) of Cuba, at five "
        "centimetres and less than two grams, is the smallest bird there is.\n"
        "They are named after the hum of their wings, which beat from about a dozen times a second in the largest species "
        "to eighty times in the smallest, and which let them stand still in the air and even fly backwards. They live on "
        "nectar and on small insects. Hovering costs more energy, for their weight, than any other animal spends on "
        "moving; on cool nights, or where food is short, they fall into torpor and let their metabolism drop to a "
        "fifteenth of what it is by day.\n"
        "Their closest relatives are the swifts, from which they parted some 42 million years ago. The oldest fossils of "
        "hummingbirds come from Europe, where none live today. Hummingbirds pollinate many flowers that are shaped for "
        "their bills, and both have changed together over millions of years: the sword-billed hummingbird (Ensifera "
        "ensifera) has a bill longer than its body, for a passion flower that no one else can reach into.",
    ),
    "fastest bird species": Article(
        "Fastest_animals",
        "Fastest animals",
        "The fastest animal is the peregrine falcon (Falco peregrinus). When it dives on other birds it passes 320 "
        "kilometres an hour (200 mph); the highest speed measured was 389 kilometres an hour. Its pointed wings, stiff "
        "feathers and the small cones in its nostrils, which slow the air that it breathes, are made for the dive.\n"
        "In level flight others are ahead. The common swift (Apus apus) has been measured at 111 kilometres an hour under "
        "its own power; more is told of the white-throated needletail (Hirundapus caudacutus), though nobody has "
        "confirmed it. Among the animals on land the cheetah comes first, with some 100 kilometres an hour over a short "
        "distance, and in the sea the sailfish and the black marlin are usually named, though their speeds were long "
        "overestimated.",
    ),
}


#: Numbers of an embedding.
_DIMENSIONS = 32


class UnknownRequestError(LookupError):
    """A request that no answer was written for."""


def reply_to(request: dict[str, Any]) -> Reply:
    """The reply to a chat request.

    Raises:
        UnknownRequestError: Nothing was written for these words.
    """
    said = {message["role"]: message["content"] for message in request["messages"]}
    turn = sum(message["role"] == "tool" for message in request["messages"])
    try:
        return REPLIES[said.get("system", ""), said["user"]][turn]
    except LookupError:
        raise UnknownRequestError(f"no reply was written for {said!r}, turn {turn}") from None


def completion(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """A whole chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool is not None:
        message["tool_calls"] = [_tool_call(reply)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
    return _envelope("chat.completion", request, reply) | {"choices": [choice], "usage": _usage(reply)}


def completion_chunks(request: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    """The same completion, piece by piece."""
    envelope = _envelope("chat.completion.chunk", request, reply)
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    absent = {"usage": None} if with_usage else {}
    if reply.tool is None:
        words = [{"content": word} for word in _words(reply.text)]
        deltas = [{"role": "assistant", "content": "", "refusal": None}, *words]
    else:
        call = _tool_call(reply)
        arguments = call["function"].pop("arguments")
        opening = {"index": 0, **call, "function": {**call["function"], "arguments": ""}}
        deltas = [
            {"role": "assistant", "content": None, "tool_calls": [opening], "refusal": None},
            *({"tool_calls": [{"index": 0, "function": {"arguments": word}}]} for word in _words(arguments)),
        ]
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield envelope | {"choices": [choice]} | absent
    choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish_reason(reply)}
    yield envelope | {"choices": [choice]} | absent
    if with_usage:
        yield envelope | {"choices": [], "usage": _usage(reply)}


def _envelope(kind: str, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{_token(reply)}",
        "object": kind,
        "created": int(ANSWERED_AT.timestamp()),
        "model": request["model"],
        "system_fingerprint": "fp_emulator",
    }


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }


def _tool_call(reply: Reply) -> dict[str, Any]:
    function = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
    return {"id": f"call_{_token(reply)[:24]}", "type": "function", "function": function}


def _finish_reason(reply: Reply) -> str:
    return "stop" if reply.tool is None else "tool_calls"


def _words(text: str) -> list[str]:
    """`text` in pieces that begin with a space, as tokens do."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def _token(reply: Reply) -> str:
    """What stands in for a random id: the same for the same reply."""
    return hashlib.sha256(repr(reply).encode()).hexdigest()[:29]


def embeddings(request: dict[str, Any]) -> dict[str, Any]:
    """Embeddings, in which each word of a text has a place; a word counts as a token."""
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    vectors: list[list[float]] = []
    for of_text in words:
        places = [hashlib.sha256(word.encode()).digest()[0] % _DIMENSIONS for word in of_text]
        vectors.append([places.count(place) / len(places) for place in range(_DIMENSIONS)])
    is_coded = request.get("encoding_format") == "base64"
    coded = [base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *vector)).decode() for vector in vectors]
    data = [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(coded if is_coded else vectors)
    ]
    count = sum(map(len, words))
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


def search_results(query: str) -> dict[str, Any]:
    """The answer of Wikipedia's search."""
    article = ARTICLES.get(query)
    if article is None:
        return {"pages": []}
    page = {"id": 1, "key": article.key, "title": article.title, "excerpt": article.title, "matched_title": None}
    return {"pages": [page]}


def page_summary(key: str) -> dict[str, Any]:
    """The answer of Wikipedia's page summary.

    Raises:
        UnknownRequestError: No such article was written.
    """
    for article in ARTICLES.values():
        if article.key == key:
            return {"type": "standard", "title": article.title, "lang": "en", "extract": article.extract}
    raise UnknownRequestError(f"no article was written for {key!r}")


class Handler(BaseHTTPRequestHandler):
    """Reads a request, finds the answer, sends it."""

    protocol_version = "HTTP/1.1"

    def version_string(self) -> str:
        """The `server` header."""
        return SERVER_NAME

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `date` header: the day of the recording is part of the script, or a price would depend on today."""
        del timestamp
        return format_datetime(ANSWERED_AT, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Nothing: pytest's own output is the log."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path.removeprefix("/").split("/"):
            case ["w", "rest.php", "v1", "search", "page"]:
                self._send_json(search_results(parse_qs(url.query)["q"][0]))
            case ["api", "rest_v1", "page", "summary", key]:
                with self._unknown_is_an_error():
                    self._send_json(page_summary(unquote(key)))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            self._send_json(embeddings(request))
            return
        if self.path != "/v1/chat/completions":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with self._unknown_is_an_error():
            reply = reply_to(request)
            if request.get("stream"):
                self._send_events(completion_chunks(request, reply))
            else:
                self._send_json(completion(request, reply))

    @contextmanager
    def _unknown_is_an_error(self) -> Iterator[None]:
        try:
            yield
        except UnknownRequestError as error:
            self._send_json({"error": {"message": str(error), "type": "emulator"}}, HTTPStatus.BAD_REQUEST)

    def _send_json(self, answer: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(answer, ensure_ascii=False), "application/json", status)

    def _send_events(self, chunks: Iterator[dict[str, Any]]) -> None:
        datas = [*(json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) for chunk in chunks), "[DONE]"]
        self._send("".join(f"data: {data}\n\n" for data in datas), "text/event-stream; charset=utf-8")

    def _send(self, text: str, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(certificate: Path, key: Path) -> ThreadingHTTPServer:
    """A server that speaks TLS on a free port of loopback; the caller starts it with `serve_forever`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server
