"""Building bodies in every framing, and the exchanges around them."""

import base64
import json
import struct
import zlib

from pytest_llm_usage.wire import Exchange


def exchange(url, request, body, **more):
    """A POST to `url`; `request` and `body` are bytes, or values that become JSON."""
    return Exchange(
        **{
            "method": "POST",
            "url": url,
            "request_body": _bytes(request),
            "response_body": _bytes(body),
            **more,
        }
    )


def sse(*events, done=False):
    """Server-sent events; a pair names its event."""
    blocks = []
    for event in events:
        name, data = event if isinstance(event, tuple) else (None, event)
        blocks.append((f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n")
    return "".join([*blocks, "data: [DONE]\n\n" if done else ""]).encode()


def ndjson(*events):
    return "".join(f"{json.dumps(event)}\n" for event in events).encode()


def aws_stream(*events):
    """An AWS event stream of (event type, payload); `chunk` payloads are wrapped as Bedrock's invoke wraps them."""
    return b"".join(_aws_message(name, data) for name, data in events)


def _aws_message(name, data):
    payload = json.dumps(data).encode()
    if name == "chunk":
        payload = json.dumps({"bytes": base64.b64encode(payload).decode()}).encode()
    headers = b"".join(
        struct.pack(">B", len(key)) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in ((":event-type", name), (":content-type", "application/json"), (":message-type", "event"))
    )
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _bytes(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()
