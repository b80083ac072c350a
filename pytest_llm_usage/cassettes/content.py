"""Decodes bodies: their content encoding, and the value that their bytes stand for."""

from __future__ import annotations

import json
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from pytest_llm_usage.cassettes.interaction import Headers, header
from pytest_llm_usage.cassettes.parts import multipart_boundary, split_parts
from pytest_llm_usage.encoding import Decoded, decode

__all__ = ["BodyValue", "body_value", "decode_body", "decoded", "is_json_text"]

#: The kind of a body (`json`, `form`, `multipart`, `text`, `binary`, `empty`) and the value to compare.
BodyValue: TypeAlias = tuple[str, Any]

_BRACKETS = (b"{", b"[")


def decode_body(headers: Headers, body: bytes, *, guess: bool = False) -> Decoded:
    """The body without the content encodings that its headers name.

    A plain body under a header that names an encoding is returned as it is: recordings through urllib3, which decodes
    before vcrpy looks, have such bodies.

    Args:
        headers: The headers that it came with.
        body: As it was sent or recorded.
        guess: Whether to decompress a body that starts like gzip or zstandard even if no header says so.
    """
    encodings = (value for name, values in headers.items() if name.lower() == "content-encoding" for value in values)
    return decode(body, ",".join(encodings), guess=guess)


def decoded(headers: Headers, body: bytes) -> bytes | None:
    """The body without its content encoding; None where it cannot be decoded as a whole."""
    found = decode_body(headers, body)
    return None if found.problem else found.content


def is_json_text(body: bytes) -> bool:
    """Whether the body looks like a JSON object or array; a look at its first byte, not a parse."""
    return body.lstrip(b" \t\r\n")[:1] in _BRACKETS


def body_value(headers: Headers, body: bytes | None) -> BodyValue:
    """The value of a request body, whatever its bytes: JSON as its value, forms as their fields, text as text.

    JSON is recognised by its look as well as by the content type, which many recordings have lost.
    """
    if not body:
        return ("empty", None)
    plain = decoded(headers, body)
    if plain is None:
        return ("binary", body)
    content_type = header(headers, "content-type").lower()
    if is_json_text(plain) or "json" in content_type:
        try:
            return ("json", json.loads(plain))
        except (ValueError, RecursionError):
            pass
    if content_type.startswith("multipart/"):
        return ("multipart", _multipart(header(headers, "content-type"), plain))
    if content_type.startswith("application/x-www-form-urlencoded"):
        try:
            return ("form", tuple(sorted(parse_qsl(plain.decode(), keep_blank_values=True))))
        except UnicodeDecodeError:
            return ("binary", plain)
    try:
        return ("text", plain.decode())
    except UnicodeDecodeError:
        return ("binary", plain)


def _multipart(content_type: str, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The parts as (headers, content), without the boundary between them, which is random."""
    boundary = multipart_boundary(content_type)
    if boundary is None:
        return ((b"", body),)
    parts = []
    for part in split_parts(boundary, body)[1:]:
        if part.head.startswith(b"--"):
            break
        parts.append((part.head.strip(), part.content))
    return tuple(parts)
