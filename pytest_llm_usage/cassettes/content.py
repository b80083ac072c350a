"""What the bytes of a body are: their content encoding, and the value they stand for."""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from pytest_llm_usage.cassettes.interaction import Headers, header
from pytest_llm_usage.errors import CassetteError

__all__ = ["MAX_BYTES", "BodyValue", "body_value", "decoded", "inflate", "is_json_text"]

#: A cassette, and each body in it, may be this large once decompressed. Far above every real recording;
#: below what makes a machine swap when somebody hands over an archive bomb.
MAX_BYTES = 256 * 2**20

#: What a body stands for: its kind (`json`, `form`, `multipart`, `text`, `binary`, `empty`) and the value to compare.
BodyValue: TypeAlias = tuple[str, Any]

_BRACKETS = (b"{", b"[")
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


def inflate(data: bytes, *, wbits: int = zlib.MAX_WBITS | 32) -> bytes:
    """Decompress gzip or zlib data.

    Raises:
        CassetteError: It holds more than `MAX_BYTES`.
        zlib.error: It is not compressed data.
    """
    parts: list[bytes] = []
    size = 0
    while data:
        stream = zlib.decompressobj(wbits)
        try:
            parts.append(stream.decompress(data, MAX_BYTES - size + 1))
        except zlib.error:
            if not parts:
                raise
            break  # What follows compressed data is padding.
        size += len(parts[-1])
        if size > MAX_BYTES:
            raise CassetteError(f"compressed data of more than {MAX_BYTES:,} bytes")
        if not stream.eof:
            raise zlib.error("compressed data ends early")
        data = stream.unused_data
    return b"".join(parts)


def _deflate(data: bytes) -> bytes:
    try:
        return inflate(data)
    except zlib.error:
        return inflate(data, wbits=-zlib.MAX_WBITS)


def _brotli(data: bytes) -> bytes:
    for name in ("brotli", "brotlicffi"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return bytes(module.decompress(data))
    raise ImportError("brotli")


def _zstandard(data: bytes) -> bytes:
    module = importlib.import_module("zstandard")
    with module.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        plain = bytes(reader.read(MAX_BYTES + 1))
    if len(plain) > MAX_BYTES:
        raise CassetteError(f"compressed data of more than {MAX_BYTES:,} bytes")
    return plain


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": inflate,
    "x-gzip": inflate,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}


def decoded(headers: Headers, body: bytes) -> bytes | None:
    """The body without its content encoding; None where it cannot be decoded here.

    A header that lies over a plain body, as recordings through urllib3 have it (it decodes before vcrpy looks), is
    no obstacle: the body is then returned as it is.

    Raises:
        CassetteError: The body holds more than `MAX_BYTES`.
    """
    encodings = (value for name, values in headers.items() if name.lower() == "content-encoding" for value in values)
    for encoding in reversed(",".join(encodings).lower().split(",")):
        encoding = encoding.strip()  # noqa: PLW2901 - the same thing, strip_volatile_headers
        if encoding in ("", "identity"):
            continue
        decoder = _DECODERS.get(encoding)
        if decoder is None:
            return body if _is_text(body) else None
        try:
            body = decoder(body)
        except CassetteError:
            raise
        except ImportError:
            return body if _is_text(body) else None
        except Exception:  # noqa: BLE001 - each library has errors of its own for "this is not compressed"
            return body if _is_text(body) else None
    return body


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def is_json_text(body: bytes) -> bool:
    """Whether the body looks like a JSON object or array; a look at its first byte, not a parse."""
    return body.lstrip(b" \t\r\n")[:1] in _BRACKETS


def body_value(headers: Headers, body: bytes | None) -> BodyValue:
    """What a request body stands for, whatever its bytes: JSON as its value, forms as their fields, text as text.

    JSON is known by its look as well as by the content type, which many recordings have lost.
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
    """The parts as (headers, content): the boundary between them is random and stands for nothing."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return ((b"", body),)
    delimiter = b"--" + (boundary[1] or boundary[2]).encode()
    parts = []
    for part in body.split(delimiter)[1:]:
        if part.startswith(b"--"):
            break
        headers, _, content = part.partition(b"\r\n\r\n")
        parts.append((headers.strip(), content.removesuffix(b"\r\n")))
    return tuple(parts)
