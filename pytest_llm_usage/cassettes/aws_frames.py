"""Replaces the payloads of messages in AWS event streams; lengths and checksums are written anew.

The layout: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

__all__ = ["with_payloads"]

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_SMALLEST = _PRELUDE.size + _CHECKSUM.size


def with_payloads(stream: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The stream with the payload of each message changed; a message whose payload stays the same keeps its bytes.

    The rest of a stream that is cut off or garbled stays as it is.
    """
    pieces = []
    position = 0
    while len(stream) - position >= _SMALLEST:
        length, headers_length, _ = _PRELUDE.unpack_from(stream, position)
        payload_start, payload_end = position + _PRELUDE.size + headers_length, position + length - _CHECKSUM.size
        if not position + _PRELUDE.size <= payload_start <= payload_end or position + length > len(stream):
            break
        payload = stream[payload_start:payload_end]
        changed = change(payload)
        if changed == payload:
            pieces.append(stream[position : position + length])
        else:
            headers = stream[position + _PRELUDE.size : payload_start]
            pieces.append(_message(headers, changed))
        position += length
    return b"".join([*pieces, stream[position:]])


def _message(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", _SMALLEST + len(headers) + len(payload), len(headers))
    message = lengths + _CHECKSUM.pack(zlib.crc32(lengths)) + headers + payload
    return message + _CHECKSUM.pack(zlib.crc32(message))
