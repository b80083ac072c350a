"""Content encodings: the bytes of a body without gzip, deflate, brotli and zstandard, within one limit for all of them.

`decode` does not raise and does not hold much more than `MAX_BYTES`, whatever the bytes: each encoding is decompressed
in small steps, in time that grows with the body alone. It returns what it cannot decompress as it is, with the reason:
a missing package, or a body that is cut off, garbled or too large.

Headers are not always true. Recorders store plain bodies under the header of the compressed one, and compressed bodies
without any header. So a body that is plain is left alone, and `guess` decompresses what starts like gzip, zstandard or
zlib although no header says so.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["MAX_BYTES", "Decoded", "decode", "is_aws_message"]

#: A body, and a cassette, may be this large once decompressed. Far above every real recording; below what makes a
#: machine swap when somebody hands over an archive bomb.
MAX_BYTES = 256 * 2**20

#: How many compressed bytes a decoder gets at a time, so that what they expand to stays small: one byte can become a
#: thousand in gzip, 32,000 in zstandard and a million in brotli.
_GZIP_STEP = 2**14
_ZSTANDARD_STEP = 2**10
_ZSTANDARD_PIECE = 2**20
_BROTLI_STEP = 2**4
#: The first step of each gzip member is small: what is left of a step after the member's end is copied.
_FIRST_GZIP_STEP = 2**8

#: More layers than any server makes. Some archives contain themselves.
_MAX_LAYERS = 8
_TOO_MANY_LAYERS = f"the body is compressed more than {_MAX_LAYERS} times"

#: How files start that are neither text nor a compressed body: images, sound, documents, archives.
_KNOWN_FILES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"%PDF",
    b"PK\x03\x04",
    b"ID3",
    b"OggS",
    b"fLaC",
    b"PAR1",
)

#: Two lengths and their checksum: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
_AWS_PRELUDE_BYTES = 12
_SAMPLE_BYTES = 4096
#: A few compressed bytes can be text by accident: brotli's empty body is `;`.
_MIN_CERTAIN_BYTES = 16
_MIN_PRINTABLE_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body after its content encodings were removed.

    Attributes:
        content: The decompressed bytes, as far as there are any; the body itself if nothing can be decompressed.
        problem: Why `content` is not the whole body, with the package to install; empty if it is.
        is_cut_off: Whether the only problem is that the body ends early: `content` is then all that it holds.
    """

    content: bytes
    problem: str = ""
    is_cut_off: bool = False


class _BrokenError(Exception):
    """Compressed data that ends early (`is_cut_off`) or that its decoder rejects."""

    def __init__(self, *, is_cut_off: bool) -> None:
        super().__init__("the compressed body is cut off" if is_cut_off else "the compressed body is garbled")
        self.is_cut_off = is_cut_off


class _MissingPackageError(Exception):
    """The decoder of an encoding is not installed."""


#: From compressed bytes to plain ones, piece by piece.
_Decoder: TypeAlias = Callable[[bytes], Iterator[bytes]]


def decode(body: bytes, content_encoding: str, *, guess: bool = False) -> Decoded:
    """Remove the content encodings of a body.

    Args:
        body: The body as it was sent or recorded.
        content_encoding: The value of the `content-encoding` header: names, joined by commas.
        guess: Whether to decompress also what starts like gzip, zstandard or zlib without a header that says so.
    """
    names = [name.strip() for name in content_encoding.lower().split(",")]
    if len(names) > _MAX_LAYERS:
        return Decoded(body, _TOO_MANY_LAYERS)
    decoded, doubt = _without_named(body, names)
    if guess and not decoded.problem:
        decoded = _without_guessed(decoded)
    if doubt and not decoded.problem and not _is_recognised(decoded.content):
        return Decoded(decoded.content, doubt)
    return decoded


def _without_named(body: bytes, names: Sequence[str]) -> tuple[Decoded, str]:
    """The body without the encodings that its header names, and why one of them was skipped; empty if none was."""
    decoded = Decoded(body)
    doubt = ""
    for name in reversed(names):
        if name in ("", "identity", "aws-chunked") or _is_text(decoded.content):
            continue
        signature, decoder = _DECODERS.get(name, (b"", None))
        if decoder is None:
            doubt = f"the content encoding {name!r} is not known"
            continue
        if not decoded.content.startswith(signature):
            doubt = f"the body is not {name}, which its content-encoding names"
            continue
        layer = _decompressed(decoder, decoded.content)
        if not signature and layer.problem and (layer.content is decoded.content or _is_recognised(decoded.content)):
            # The body is not compressed in this way, or that cannot be known.
            doubt = layer.problem
            continue
        decoded = layer
        if decoded.problem:
            break
    return decoded, doubt


def _without_guessed(decoded: Decoded) -> Decoded:
    """The same without the encodings that it starts like."""
    layers = 0
    while not decoded.problem and (decoder := _guessed_decoder(decoded.content)) is not None:
        layer = _decompressed(decoder, decoded.content)
        if layer.problem and decoder is _undeflated:
            # Two bytes are not a certain sign: `x^2` is not zlib.
            break
        layers += 1
        if layers > _MAX_LAYERS:
            return Decoded(decoded.content, _TOO_MANY_LAYERS)
        decoded = layer
    return decoded


def _guessed_decoder(content: bytes) -> _Decoder | None:
    if content.startswith(_GZIP):
        return _gunzipped
    if content.startswith(_ZSTANDARD):
        return _unzstandarded
    return _undeflated if content.startswith(_ZLIB) and not _is_text(content) else None


def _decompressed(decoder: _Decoder, body: bytes) -> Decoded:
    """The body as a decoder decompresses it; if it cannot decompress any of it, the body itself with the reason."""
    pieces: list[bytes] = []
    room = MAX_BYTES
    problem, is_cut_off = "", False
    try:
        for piece in decoder(body):
            if len(piece) > room:
                pieces.append(piece[:room])
                problem = f"the body is larger than {MAX_BYTES:,} bytes"
                break
            room -= len(piece)
            pieces.append(piece)
    except _BrokenError as error:
        problem, is_cut_off = str(error), error.is_cut_off
    except _MissingPackageError as error:
        problem = str(error)
    content = b"".join(pieces)
    if problem and not content:
        return Decoded(body, problem)
    return Decoded(content, problem, is_cut_off)


def _inflated(body: bytes, wbits: int) -> Iterator[bytes]:
    """Decompress zlib's formats, gzip files in several members included. What follows the last member is padding."""
    data = memoryview(body)
    position = 0
    while position < len(data):
        start, step = position, _FIRST_GZIP_STEP
        stream = zlib.decompressobj(wbits)
        while not stream.eof and position < len(data):
            piece = data[position : position + step]
            try:
                yield stream.decompress(piece)
            except zlib.error:
                if start:
                    return
                raise _BrokenError(is_cut_off=False) from None
            position += len(piece) - len(stream.unused_data)
            step = min(step * 4, _GZIP_STEP)
        if not stream.eof:
            raise _BrokenError(is_cut_off=True)


def _gunzipped(body: bytes) -> Iterator[bytes]:
    return _inflated(body, zlib.MAX_WBITS | 16)


def _undeflated(body: bytes) -> Iterator[bytes]:
    """Decompress "deflate", which means zlib's format. Some servers send the bare one."""
    is_zlib = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflated(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


def _unbrotlied(body: bytes) -> Iterator[bytes]:
    module = _installed("brotli", "brotlicffi")
    if module is None:
        raise _MissingPackageError(
            "the body is compressed with brotli, and no decoder is installed (pip install brotli)"
        )
    stream = module.Decompressor()
    for position in range(0, len(body), _BROTLI_STEP):
        try:
            yield stream.process(body[position : position + _BROTLI_STEP])
        except module.error:
            raise _BrokenError(is_cut_off=False) from None
        if stream.is_finished():
            return
    raise _BrokenError(is_cut_off=True)


def _unzstandarded(body: bytes) -> Iterator[bytes]:
    """Decompress zstandard, several frames included: with Python 3.14's own module, its backport, or `zstandard`."""
    module = _installed("compression.zstd", "backports.zstd", "zstandard")
    if module is None:
        raise _MissingPackageError(
            "the body is compressed with zstandard, and no decoder is installed (pip install zstandard)"
        )
    position = 0
    while position < len(body):
        start = position
        stream = module.ZstdDecompressor()
        if hasattr(stream, "decompressobj"):
            stream = stream.decompressobj()
        while not stream.eof and position < len(body):
            piece = body[position : position + _ZSTANDARD_STEP]
            try:
                yield from _unzstandarded_step(stream, piece)
            except module.ZstdError:
                if start and not body.startswith(_ZSTANDARD, start):
                    return
                raise _BrokenError(is_cut_off=False) from None
            position += len(piece) - len(stream.unused_data)
        if not stream.eof:
            raise _BrokenError(is_cut_off=True)


def _unzstandarded_step(stream: Any, step: bytes) -> Iterator[bytes]:
    if not hasattr(
        stream, "needs_input"
    ):  # `zstandard` returns all that a step decompresses to, Python's own as much as it is asked for
        yield stream.decompress(step)
        return
    yield stream.decompress(step, _ZSTANDARD_PIECE)
    while not (stream.eof or stream.needs_input):
        yield stream.decompress(b"", _ZSTANDARD_PIECE)


def _installed(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")

#: By the name of the encoding: how the bytes start (empty where that does not tell), and the decoder.
_DECODERS: dict[str, tuple[bytes, _Decoder]] = {
    "gzip": (_GZIP, _gunzipped),
    "x-gzip": (_GZIP, _gunzipped),
    "deflate": (b"", _undeflated),
    "br": (b"", _unbrotlied),
    "zstd": (_ZSTANDARD, _unzstandarded),
}


def is_aws_message(body: bytes) -> bool:
    """Whether the body starts with a message of an AWS event stream, by the checksum of its first bytes."""
    if len(body) < _AWS_PRELUDE_BYTES:
        return False
    return zlib.crc32(body[:8]) == int.from_bytes(body[8:_AWS_PRELUDE_BYTES], "big")


def _is_text(body: bytes) -> bool:
    """Whether the body is text for certain: UTF-8 without control characters, as far as its start tells."""
    if len(body) < _MIN_CERTAIN_BYTES:
        return False
    try:
        text = body[:_SAMPLE_BYTES].decode()
    except UnicodeDecodeError as error:
        if error.start < _SAMPLE_BYTES - 4:
            return False
        text = body[: error.start].decode()
    return all(char >= " " or char in "\t\n\r\f" for char in text)


def _is_recognised(body: bytes) -> bool:
    """Whether the body is mostly text, or of a kind that its first bytes identify."""
    if body.startswith((*_KNOWN_FILES, _GZIP, _ZSTANDARD)) or is_aws_message(body):
        return True
    if b"\0" in body[:_SAMPLE_BYTES]:
        return False
    text = body[:_SAMPLE_BYTES].decode("utf-8", "replace")
    printable = sum(char.isprintable() or char.isspace() for char in text) - text.count("\N{REPLACEMENT CHARACTER}")
    return printable >= _MIN_PRINTABLE_SHARE * len(text)
