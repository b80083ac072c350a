"""`Body`: the JSON events of a body, whatever the framing: one document, an array, SSE, NDJSON or an AWS event stream.

The bytes decide, not the headers: recordings hold gzip without a header, plain text under `content-encoding: gzip`,
event streams under `application/json` and redacted content types. Headers are used only if the bytes do not decide
(brotli and deflate have no signature, a cut AWS frame has no checksum).

Reading is lazy. An event is parsed when it is reached, or when it holds a key that is searched for, and the search for
the key runs over the raw body. That is why no SSE package is used: `httpx-sse`, the well-kept one, imports httpx and
returns every event through a Python loop over lines, which alone costs as much as parsing all of them. Once events are
looked up in place, little is left to do (fields, comments, multi-line data, line ends): the few lines of `_sse_data`,
after https://html.spec.whatwg.org/multipage/server-sent-events.html.

Nothing here raises, whatever the bytes: what cannot be read is left out, and `Body.problems` says so.
"""

from __future__ import annotations

import base64
import importlib
import json
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.encoding import decode, is_aws_message
from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.paths import iter_path

__all__ = ["Body", "Event", "Framing", "first_text", "header", "parsed"]

Framing: TypeAlias = Literal["json", "json-array", "sse", "ndjson", "aws-eventstream", "empty", "other"]


@dataclass(frozen=True, slots=True)
class Event:
    """One JSON value of a body: `data`, as parsed."""

    data: Any


def header(headers: Headers, name: str) -> str:
    """The value of a header, several joined by a comma; empty if it is absent."""
    for key, values in headers.items():
        if str(key).lower() == name:
            return values if isinstance(values, str) else ", ".join(str(value) for value in values)
    return ""


def parsed(text: bytes | str) -> Any:
    """The JSON value of `text`, or None if it is not JSON."""
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        # Some recorders break characters in an answer's text, but its numbers are ASCII.
        return parsed(text.decode(errors="replace")) if isinstance(text, bytes) else None
    except (ValueError, RecursionError):
        return None


def first_text(paths: Iterable[str], events: Iterable[Event], *, ignored: tuple[str, ...] = ()) -> str | None:
    """The first text that is neither empty nor `ignored` at one of `paths`."""
    return next(
        (
            value
            for event in events
            for path in paths
            for value in iter_path(event.data, path)
            if isinstance(value, str) and value and value not in ignored
        ),
        None,
    )


class Body:
    """A body as its events, which are parsed only as far as they are needed.

    Attributes:
        framing: How the events are laid out.
        problems: Why some of the body could not be read, in words; complete once everything that is needed was read.
    """

    def __init__(self, body: bytes, headers: Headers) -> None:
        self.problems: list[str] = []
        decoded = decode(body, header(headers, "content-encoding"), guess=True)
        if decoded.problem:
            self._report(decoded.problem)
        content = decoded.content.removeprefix(b"\xef\xbb\xbf")
        self.framing: Framing = _framing(content, header(headers, "content-type").lower())
        if self.framing == "sse" and b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._content = content
        self._whole: tuple[Event, ...] | None = None
        self._aws_text: list[bytes] = []
        #: The last block that was parsed, and whether it is known that none can be.
        self._parsed_block: tuple[int, int, list[Event]] = (-1, -1, [])
        self._holds_nothing = False

    @classmethod
    def from_value(cls, value: Any) -> Body:
        """A body of one JSON value that is parsed already."""
        body = cls(b"", {})
        body.framing = "json"
        body._whole = (Event(value),)
        return body

    def events(self) -> Iterator[Event]:
        """Yields every event in order, each parsed when it is reached."""
        if (whole := self._unframed()) is not None:
            yield from whole
            return
        separator = _SEPARATORS[self.framing]
        start = 0
        found = False
        while start < len(self._content) and not self._holds_nothing:
            end = self._content.find(separator, start)
            end = len(self._content) if end < 0 else end
            for event in self._between(start, end):
                found = True
                yield event
            start = end + len(separator)
        self._holds_nothing = not found

    def last(self) -> Event | None:
        """The last event that can be read."""
        if (whole := self._unframed()) is not None:
            return whole[-1] if whole else None
        separator = _SEPARATORS[self.framing]
        end = len(self._content)
        while end > 0 and not self._holds_nothing:
            start = self._content.rfind(separator, 0, end)
            start = 0 if start < 0 else start + len(separator)
            if events := self._between(start, end):
                return events[-1]
            end = start - len(separator)
        return None

    def holding(self, keys: Sequence[str], *, backwards: bool = False) -> Iterator[Event]:
        """Yields the events in which one of `keys` has a value other than null; hardly any other event is parsed.

        Args:
            keys: Names of members, anywhere in the event.
            backwards: Yield the last event first.
        """
        if (whole := self._unframed()) is not None:
            # Parsed already, so the caller looks for the key itself.
            yield from reversed(whole) if backwards else whole
            return
        content = self._content
        # Most keys do not occur at all, which is found out at the speed of memory.
        present = (key for key in keys if key.encode() in content)
        positions = sorted(match.start() for key in present for match in _member(key).finditer(content))
        separator = _SEPARATORS[self.framing]
        start = end = -1
        for position in reversed(positions) if backwards else positions:
            if start <= position < end:
                # One event may hold a key a hundred thousand times; its bounds are searched for once.
                continue
            start = self._content.rfind(separator, 0, position)
            start = 0 if start < 0 else start + len(separator)
            end = self._content.find(separator, position)
            end = len(self._content) if end < 0 else end
            events = self._between(start, end)
            yield from reversed(events) if backwards else events

    def mentions(self, pattern: re.Pattern[bytes], word: bytes = b"") -> bool:
        """Whether `pattern` occurs anywhere in the text; AWS events read `event: <type>`, a line feed, their JSON.

        Args:
            pattern: What is searched for.
            word: A part of each match: text without it is skipped at the speed of memory.
        """
        if self.framing == "aws-eventstream":
            self._unframed()
            text = b"".join(self._aws_text)
        else:
            text = self._content
        if word not in text:
            return False
        # The mark that ends a stream is at its end, unless the last event is a large one.
        starts = (len(text) - size for size in (2**10, 2**16) if size < len(text))
        return any(pattern.search(text, start) for start in (*starts, 0))

    def _report(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _unframed(self) -> tuple[Event, ...] | None:
        """The events of a body that can only be read as a whole; None for a framing that is read in place."""
        if self.framing in _SEPARATORS:
            return None
        if self._whole is None:
            self._whole = tuple(self._read_whole())
        return self._whole

    def _read_whole(self) -> Iterator[Event]:
        if self.framing == "json":
            if (value := parsed(self._content)) is None:
                self._report("the body is cut off or garbled")
            else:
                yield Event(value)
        elif self.framing == "json-array":
            yield from self._array_items()
        elif self.framing == "aws-eventstream":
            yield from self._aws_events()

    def _array_items(self) -> Iterator[Event]:
        """Yields the items of a JSON array; if it is cut off, those that are complete."""
        items = parsed(self._content)
        if isinstance(items, list):
            yield from (Event(item) for item in items)
            return
        self._report("the body is cut off or garbled")
        text = self._content.decode(errors="replace")
        position = text.find("[") + 1
        while (found := _VALUE_AHEAD.match(text, position)) is not None:
            try:
                value, position = _DECODER.raw_decode(text, found.end())
            except (ValueError, RecursionError):
                return
            yield Event(value)

    def _aws_events(self) -> Iterator[Event]:
        """Yields the events of an AWS event stream, decoded by botocore.

        Messages are passed to botocore one by one: its buffer copies the rest of the stream after each message, which
        takes minutes for ten megabytes.
        """
        try:
            eventstream = importlib.import_module("botocore.eventstream")
        except ImportError:
            self._report("an AWS event stream is decoded by botocore, which is not installed (pip install botocore)")
            return
        position = 0
        while position < len(self._content):
            head = self._content[position : position + 4]
            length = struct.unpack(">I", head)[0] if len(head) == 4 else 0
            message = self._content[position : position + length]
            if length < _AWS_SMALLEST_MESSAGE or len(message) < length:
                self._report("the stream is cut off")
                return
            position += length
            buffer = eventstream.EventStreamBuffer()
            buffer.add_data(message)
            try:
                decoded = next(buffer)
                payload = _aws_payload(decoded.payload)
            except (eventstream.ParserError, StopIteration, ValueError, struct.error):
                self._report("the stream is garbled")
                continue
            self._aws_text.append(b"event: %s\n%s\n" % (str(decoded.headers.get(":event-type")).encode(), payload))
            yield Event(parsed(payload))

    def _between(self, start: int, end: int) -> list[Event]:
        """The events between two positions of a body that is read in place: usually one."""
        if self._parsed_block[:2] != (start, end):
            self._parsed_block = (start, end, self._parse(start, end))
        return self._parsed_block[2]

    def _parse(self, start: int, end: int) -> list[Event]:
        block = self._content[start:end]
        lines = _sse_data(block) if self.framing == "sse" else [block]
        lines = [line for line in lines if line.strip() not in (b"", b"[DONE]")]
        if not lines:
            # Google's servers end a failed stream with an error that is not an event.
            bare = parsed(block) if block.lstrip()[:1] == b"{" else _sse_error(block)
            return [] if bare is None else [Event(bare)]
        if (value := parsed(b"\n".join(lines))) is not None:
            return [Event(value)]
        # Some servers leave out the blank line between events.
        values = [parsed(line) for line in lines] if len(lines) > 1 else [None]
        if None in values:
            is_last = not self._content[end : end + _TAIL_BYTES].strip() and end + _TAIL_BYTES >= len(self._content)
            self._report("the stream is cut off" if is_last else "the stream is garbled")
        return [Event(value) for value in values if value is not None]


#: How much white space may follow the last event; a body with more of it is garbled in another way.
_TAIL_BYTES = 4096

#: What separates two events of a body that is read in place.
_SEPARATORS: dict[Framing, bytes] = {"sse": b"\n\n", "ndjson": b"\n"}

_SSE_START = re.compile(rb"\s*(?:(?:data|event|id|retry):|:)")
_SSE_DATA = re.compile(rb"[\r\n]data:")
_VALUE_AHEAD = re.compile(r"[\s,]*(?=[^\s,\]])")
_DECODER = json.JSONDecoder()

#: Prelude (lengths and their checksum) and the message's checksum:
#: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
_AWS_SMALLEST_MESSAGE = 16


@lru_cache(maxsize=256)
def _member(key: str) -> re.Pattern[bytes]:
    # One pattern per key, because only a literal prefix is searched for at the speed of memory. A quotation inside a
    # JSON string is escaped (`\"usage\":`) and does not match. Possessive, or backtracking would try the lookahead
    # before the space.
    return re.compile(rb'"%s"\s*+:\s*+(?!null)' % re.escape(key.encode()))


def _framing(content: bytes, content_type: str) -> Framing:
    # Gateways keep a connection alive with white space: the longer the answer takes, the more of it.
    start = content.lstrip()[:4096]
    if not start:
        return "empty"
    if is_aws_message(content) or "vnd.amazon.eventstream" in content_type:
        return "aws-eventstream"
    if start.startswith(b"["):
        return "json-array"
    if start.startswith(b"{"):
        first, _, rest = content.lstrip().partition(b"\n")
        is_lines = "ndjson" in content_type or "jsonl" in content_type
        return "ndjson" if is_lines or (rest.strip() and parsed(first) is not None) else "json"
    if "event-stream" in content_type or _SSE_START.match(start) or _SSE_DATA.search(start):
        return "sse"
    return "json" if parsed(content) is not None else "other"


def _sse_data(block: bytes) -> list[bytes]:
    """The data lines of a block of SSE lines; comments and other fields say nothing that the data does not."""
    fields = (line.partition(b":") for line in block.split(b"\n"))
    return [value.removeprefix(b" ") for field, _, value in fields if field == b"data"]


def _sse_error(block: bytes) -> Any:
    """The error in a block without data, in the form of an answer; None if there is none.

    llama.cpp's older servers name the field `error`: `server_sent_event` in their `utils.hpp`.
    """
    value = next((parsed(line[6:]) for line in block.split(b"\n") if line.startswith(b"error:")), None)
    if not isinstance(value, dict):
        return None
    return value if "error" in value else {"error": value}


def _aws_payload(payload: bytes) -> bytes:
    """The JSON of a message; Bedrock's invoke wraps the model's own JSON: `{"bytes": "<base64>"}`."""
    value = parsed(payload)
    if isinstance(value, dict) and isinstance(value.get("bytes"), str):
        return base64.b64decode(value["bytes"])
    return payload
