"""The last check before a cassette is written: finds what looks like a credential although its place does not say so.

Three things are searched for in every part of an interaction: the value of an environment variable that is named like a
credential, a credential that was recognised and replaced elsewhere in the cassette, and text of the shape of a known
key. Texts are searched as they stand and in every layer of encoding that they have (`decoded_texts`); the pieces that
the events of a stream bring are joined first.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llm_usage.cassettes.archives import ArchiveTooLargeError, archived
from pytest_llm_usage.cassettes.content import decode_body, is_json_text
from pytest_llm_usage.cassettes.decoded_texts import Layer, layers_of, texts_of
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, header
from pytest_llm_usage.cassettes.json_fields import replace_fields
from pytest_llm_usage.cassettes.parts import multipart_boundary, split_parts
from pytest_llm_usage.credentials.names import field_kind
from pytest_llm_usage.credentials.placeholders import is_example
from pytest_llm_usage.credentials.shapes import shapes_in
from pytest_llm_usage.credentials.values import looks_random
from pytest_llm_usage.encoding import decode
from pytest_llm_usage.wire.framing import Body

__all__ = ["Finding", "find_secrets", "texts_in", "values_to_find"]

_REPLACED = "a credential that was replaced where it was recognised"
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_.:-]{1,40})")
#: A longer text in a body is not searched on its own, so the message does not say where in the body a finding is.
_LONG_VALUE = 100_000
#: Members that say which of several texts an event continues.
_WHICH = ("index", "output_index", "content_index", "item_id", "contentBlockIndex")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a credential.

    Attributes:
        place: Where it is: `request body, messages[0].content`.
        what: What it looks like, never the value itself.
        is_unreadable: Whether `what` is the reason why a body cannot be searched.
    """

    place: str
    what: str
    is_unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def values_to_find(credentials: Mapping[str, str], replaced: Iterable[str] = ()) -> dict[str, str]:
    """The values that must not be in a cassette, each with a description.

    Args:
        credentials: The values of environment variables, each with the name of its variable.
        replaced: What was replaced elsewhere in the cassette.
    """
    return {
        **dict.fromkeys(replaced, _REPLACED),
        **{value: f"the value of the environment variable {name}" for value, name in credentials.items()},
    }


def find_secrets(interaction: Interaction, values: Mapping[str, str]) -> Iterator[Finding]:
    """Yields what looks like a credential in an interaction.

    Args:
        interaction: As it is about to be written: redacted.
        values: The values that must not be in it, each with a description (see `values_to_find`).
    """
    scanner = _Scanner(values)
    request, response = interaction.request, interaction.response
    yield from scanner.text("request method", request.method)
    yield from scanner.text("request URL", request.uri)
    yield from scanner.headers("request", request.headers)
    yield from scanner.body("request body", request.headers, request.body)
    yield from scanner.headers("response", response.headers)
    yield from scanner.text("response status", response.reason)
    yield from scanner.body("response body", response.headers, response.body)


class _Scanner:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, place: str, text: str) -> Iterator[Finding]:
        """Yields the findings in a text, each kind once."""
        for what in self._found_in(text):
            yield Finding(place, what)

    def headers(self, place: str, headers: Headers) -> Iterator[Finding]:
        for name, values in headers.items():
            yield from self.text(f"the name of a {place} header", name)
            for value in values:
                yield from self.text(f"{place} header {name!r}", value)

    def body(self, place: str, headers: Headers, body: bytes | None) -> Iterator[Finding]:
        if not body:
            return
        plain = decode_body(headers, body, guess=True)
        if plain.problem and not plain.is_cut_off:
            yield Finding(place, plain.problem, is_unreadable=True)
        charset = _CHARSET.search(header(headers, "content-type"))
        texts = dict.fromkeys(texts_of(plain.content, charset[1] if charset else ""))
        if plain.content != body:
            # What is next to the compressed data: names of files, padding.
            texts.update(dict.fromkeys(texts_of(body)))
        try:
            for content in _inner_contents(header(headers, "content-type"), plain.content):
                texts.update(dict.fromkeys(texts_of(content)))
        except ArchiveTooLargeError as error:
            yield Finding(place, str(error), is_unreadable=True)
        found_in = {text: self._found_in(text) for text in texts}
        found = dict.fromkeys(what for several in found_in.values() for what in several)
        placed: set[str] = set()
        for path, value in texts_in(next(iter(texts))) if found else ():
            if value not in found_in:
                # A long value takes long, and was searched already with the whole body.
                found_in[value] = self._found_in(value) if len(value) <= _LONG_VALUE else {}
            for what in found_in[value]:
                placed.add(what)
                yield Finding(f"{place}, {path}", what)
        for what in found:
            if what not in placed:
                yield Finding(place, what)
        for path, value in _streamed_texts(headers, body):
            for finding in self.text(f"{place}, {path}, joined from the stream's events", value):
                if finding.what not in found:
                    yield finding

    def _found_in(self, text: str) -> dict[str, None]:
        """What is found in a text and in its layers, in words, each kind once."""
        return dict.fromkeys(what for layer in layers_of(text) for what in self._found_in_layer(layer))

    def _found_in_layer(self, layer: Layer) -> Iterator[str]:
        text = layer.text
        shapes = [] if layer.is_between else shapes_in(text)
        for shape, _, _ in shapes:
            yield f"something of the shape of {shape.what}"
        for value, what in self._values.items():
            begin = text.find(value)
            if begin < 0:
                continue
            # The shape of a key says more about a value than that it was replaced elsewhere.
            if what != _REPLACED or not any(start < begin + len(value) and begin < end for _, start, end in shapes):
                yield what
        if layer.is_encoded and not layer.is_between:
            # Only in encoded text: fields in plain text have been replaced already.
            yield from (f"a field {name!r} in something encoded" for name in _credential_fields(text))


def _inner_contents(content_type: str, body: bytes) -> Iterator[bytes]:
    """Yields the contents of archives, and of compressed parts of a multipart body, whatever their type."""
    boundary = multipart_boundary(content_type, body) if content_type.lower().startswith("multipart/") else None
    yield from archived(body)
    for part in split_parts(boundary, body) if boundary is not None else ():
        plain = decode(part.content, "", guess=True).content
        if plain != part.content:
            yield plain
        yield from archived(plain)


def _credential_fields(text: str) -> list[str]:
    """The names of the fields in a text that hold a credential and whose values look like one."""
    names: list[str] = []

    def note(name: str, value: str) -> None:
        if field_kind(name) == "always" and looks_random(value) and not is_example(value):
            names.append(name)

    replace_fields(text, note, str)
    return names


def _streamed_texts(headers: Headers, body: bytes) -> Iterator[tuple[str, str]]:
    """Yields the texts that the events of a stream bring in pieces, each joined, with its path in the events."""
    stream = Body(body, headers)
    if stream.framing == "json":
        return
    pieces: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in stream.events():
        for path, which, piece in _pieces(event.data, "", ""):
            pieces[path, which].append(piece)
    for (path, _), several in pieces.items():
        # A value that every event repeats, such as an id, is not a text in pieces.
        if len(several) > 1 and several.count(several[0]) < len(several):
            yield path, "".join(several)


def _pieces(value: Any, path: str, which: str) -> Iterator[tuple[str, str, str]]:
    """Yields the texts in an event, each with its path and with the key of the text that it continues."""
    if isinstance(value, str):
        yield path or "the whole value", which, value
    elif isinstance(value, dict):
        which += "".join(f" {name}={value[name]!r}" for name in _WHICH if isinstance(value.get(name), int | str))
        for key, part in value.items():
            yield from _pieces(part, f"{path}.{key}" if path else str(key), which)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _pieces(part, f"{path}[{index}]", which)


def texts_in(text: str) -> Iterator[tuple[str, str]]:
    """Yields the texts in a body with their places: JSON paths, or numbers of lines."""
    if is_json_text(text[:64].encode()):
        try:
            yield from _walk(json.loads(text), "")
        except (ValueError, RecursionError):
            pass
        else:
            return
    for number, line in enumerate(text.split("\n"), 1):
        yield f"line {number}", line


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path or "the whole value", value
    elif isinstance(value, dict):
        for key, part in value.items():
            here = f"{path}.{key}" if path else str(key)
            yield f"a name at {path}" if path else "a name", str(key)
            yield from _walk(part, here)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _walk(part, f"{path}[{index}]")
