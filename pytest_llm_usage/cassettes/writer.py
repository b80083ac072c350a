"""`render`: interactions → the text of a cassette, which a reviewer can read and plain vcrpy loads.

The YAML is written here and not by PyYAML. Its emitter refuses a literal block if any line ends in a space, even if it
is asked for one, and writes such a stream of events as one line of escapes. Nor can it be told to break a text with
control characters after each line. A test compares what is written with what PyYAML reads, byte by byte, for random
bodies (`tests/cassettes/test_layout.py`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence

from pytest_llm_usage.cassettes.content import is_json_text
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, header

__all__ = ["indented_json", "render"]

#: What YAML's literal blocks cannot hold byte for byte: controls, line breaks other than \n, surrogates, byte order
#: marks.
_NOT_LITERAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9 _./+*;=()@%~^$-]*(?<! )")
_STREAM_IN_PATH = re.compile(r"stream(?!=false)", re.IGNORECASE)
_STREAM_IN_BODY = re.compile(rb'"stream"\s*:\s*true')
_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def render(interactions: Sequence[Interaction], *, indent_json: bool = True) -> bytes:
    """A cassette in this project's form of vcrpy's layout: one key order, text as blocks, JSON indented.

    Args:
        interactions: In the order to replay them.
        indent_json: Write JSON bodies indented (the same value) instead of byte for byte. Streams keep their bytes,
            because clients read them by lines.

    Returns:
        UTF-8 text that `parse` and every vcrpy from version 4 on read alike.
    """
    lines = ["version: 1", "interactions:"]
    for interaction in interactions:
        request, response = interaction.request, interaction.response
        body = _shown_body(request.headers, request.body) if indent_json else request.body
        lines += ["- request:", f"    method: {_scalar(request.method)}", f"    uri: {_scalar(request.uri)}"]
        lines += _rendered_headers(_fitted(request.headers, body))
        lines += _rendered_body("body", body, indent=4)
        lines += ["  response:", "    status:", f"      code: {response.status}"]
        lines += [f"      message: {_scalar(response.reason)}"]
        is_value = indent_json and not _is_streamed(interaction)
        answer = (_shown_body(response.headers, response.body) if is_value else response.body) or b""
        lines += _rendered_headers(_fitted(response.headers, answer) if answer else response.headers)
        lines += ["    body:", *_rendered_body("string", answer, indent=6)]
    return ("\n".join(lines) + "\n").encode()


def _is_streamed(interaction: Interaction) -> bool:
    """Whether the answer came in pieces, judged by the request and by the answer's content type."""
    request = interaction.request
    content_type = header(interaction.response.headers, "content-type").lower()
    return (
        any(
            kind in content_type
            for kind in ("event-stream", "eventstream", "ndjson", "jsonl", "json-lines", "json-seq")
        )
        or _STREAM_IN_PATH.search(request.uri) is not None
        or _STREAM_IN_BODY.search(request.body or b"") is not None
    )


def _shown_body(headers: Headers, body: bytes | None) -> bytes | None:
    if not body or not is_json_text(body) or _is_checked(headers):
        return body
    try:
        json.loads(body)
        return indented_json(body.decode()).encode()
    except (ValueError, RecursionError):
        return body


def _is_checked(headers: Headers) -> bool:
    """Whether the client compares these bytes with a checksum, or they are encoded."""
    return any(
        name.lower() in ("content-md5", "digest", "content-digest", "repr-digest", "x-amz-crc32")
        or name.lower().startswith("x-amz-checksum-")
        for name in headers
    ) or bool(header(headers, "content-encoding"))


def _fitted(headers: Headers, body: bytes | None) -> Headers:
    """The headers with the content length of the body; AWS clients check it."""
    if body is None:
        return headers
    return {name: [str(len(body))] if name.lower() == "content-length" else values for name, values in headers.items()}


def _rendered_headers(headers: Headers) -> list[str]:
    if not headers:
        return ["    headers: {}"]
    lines = ["    headers:"]
    for name in sorted(headers, key=str.lower):
        lines.append(f"      {_scalar(name)}:")
        lines += [f"      - {_scalar(value)}" for value in headers[name]]
    return lines


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """A double-quoted scalar on one line, with JSON's escapes. YAML cannot write halves of surrogate pairs at all."""
    escaped = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return _NOT_LITERAL.sub(lambda match: f"\\U{ord(match[0]):08x}", escaped)


def _rendered_body(key: str, body: bytes | None, *, indent: int) -> list[str]:
    margin = " " * indent
    if body is None:
        return [f"{margin}{key}: null"]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return [f"{margin}{key}: !!binary |", *_base64_lines(body, margin)]
    if "\n" not in text.strip("\n") and not (len(text) > 80 and not _NOT_LITERAL.search(text)):
        return [f"{margin}{key}: {_quoted(text)}"]
    if _NOT_LITERAL.search(text):
        return _quoted_lines(key, text, margin)
    return _literal_block(key, text, margin)


def _literal_block(key: str, text: str, margin: str) -> list[str]:
    content = text.rstrip("\n")
    breaks = len(text) - len(content)
    if not content:
        return [f"{margin}{key}: {_quoted(text)}"]
    chomping = {0: "-", 1: ""}.get(breaks, "+")
    # The indentation must be stated if the first line with content starts with a space.
    explicit = "2" if content.lstrip("\n").startswith((" ", "\t")) or content.startswith("\n") else ""
    lines = [f"{margin}  {line}" if line else "" for line in content.split("\n")]
    return [f"{margin}{key}: |{explicit}{chomping}", *lines, *[""] * max(breaks - 1, 0)]


def _quoted_lines(key: str, text: str, margin: str) -> list[str]:
    """A double-quoted scalar, broken after each line of the text, for text that a literal block cannot hold."""
    pieces = [_quoted(piece)[1:-1] for piece in text.split("\n")]
    lines = [f'{margin}{key}: "\\']
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        # A line of a quoted scalar loses its leading white space, unless the first character of it is escaped.
        shown = f"\\{piece}" if piece.startswith((" ", "\t")) else piece
        lines.append(f"{margin}  {shown}" + ('"' if is_last else "\\n\\"))
    return lines


def _base64_lines(body: bytes, margin: str) -> list[str]:
    text = base64.b64encode(body).decode()
    return [f"{margin}  {text[start : start + 100]}" for start in range(0, len(text), 100)]


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+|[{}\[\],:]', re.DOTALL)


#: One level.
_INDENT = "  "


def indented_json(text: str) -> str:
    """Valid JSON with one item per line. Numbers stay as they are spelt, and repeated keys stay repeated."""
    out: list[str] = []
    depth = 0
    pieces = _TOKEN.findall(text)
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece in "{[":
            depth += 1
            out.append(piece if following in ("}", "]") else f"{piece}\n{_INDENT * depth}")
        elif piece in "}]":
            depth -= 1
            out.append(piece if out[-1] in ("{", "[") else f"\n{_INDENT * depth}{piece}")
        elif piece == ",":
            out.append(f",\n{_INDENT * depth}")
        elif piece == ":":
            out.append(": ")
        else:
            out.append(_readable_string(piece) if "\\u" in piece else piece)
    return "".join(out)


def _readable_string(literal: str) -> str:
    """A JSON string with characters instead of escapes, if YAML can hold them."""
    plain = json.dumps(json.loads(literal), ensure_ascii=False)
    return literal if _NOT_LITERAL.search(plain) else plain
