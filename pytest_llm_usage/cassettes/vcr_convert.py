"""Converts between vcrpy's requests and responses and ours.

vcrpy's stubs pass on what the client was called with (aiohttp: a form, a plain value, a file), and expect responses as
dictionaries. Everything else in this package works on the plain values of `interaction`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from vcr.request import Request as VcrRequest

from pytest_llm_usage.cassettes.content import decoded
from pytest_llm_usage.cassettes.interaction import Request, Response
from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.upstream import Internals

__all__ = ["plain_request", "plain_response", "playable", "read_form", "vcr_request", "vcr_response"]


def plain_request(request: Any) -> Request:
    headers = {str(name): [_text(value)] for name, value in request.headers.items()}
    return Request(str(request.method).upper(), str(request.uri), headers, _body_bytes(request))


_AIOHTTP = Internals(
    distribution="aiohttp",
    read_in="3.14.5",
    reason="read a form before it is sent, because it can be rendered only once",
)
#: The boundary between the parts of a form; aiohttp's own would be random.
_FORM_BOUNDARY = "llm-usage-form"


def read_form(request: Any) -> None:
    """Replace an aiohttp form by the body that will be sent: the stub passes on the form, which renders only once."""
    form = request.body
    if type(form).__name__ != "FormData" or not type(form).__module__.startswith("aiohttp."):
        return
    try:
        fields, is_multipart = form._fields, form._is_multipart  # noqa: SLF001
    except AttributeError:
        raise _AIOHTTP.moved("aiohttp:FormData._fields") from None
    if not is_multipart:
        content_type = "application/x-www-form-urlencoded"
        body = urlencode([(options["name"], value) for options, _, value in fields], doseq=True).encode()
    else:
        content_type = f"multipart/form-data; boundary={_FORM_BOUNDARY}"
        parts = (_form_part(request, *field) for field in fields)
        body = b"".join(f"--{_FORM_BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts)
        body += f"--{_FORM_BOUNDARY}--\r\n".encode()
    request.headers["content-type"] = content_type
    request.body = body


def _form_part(request: Any, options: Mapping[str, str], headers: Mapping[str, str], value: Any) -> bytes:
    if hasattr(value, "read") and hasattr(value, "seek"):
        position = value.tell()
        content = value.read()
        value.seek(position)
    else:
        content = value
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes | bytearray | memoryview):
        raise _unreadable(request, value)
    disposition = "; ".join(["form-data", *(f'{name}="{text}"' for name, text in options.items())])
    lines = [f"content-disposition: {disposition}", *(f"{name.lower()}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + bytes(content)


def _unreadable(request: Any, body: Any) -> CassetteError:
    return CassetteError(
        f"{request.method} {request.uri}: a body of type {type(body).__name__} can be neither recorded nor replayed"
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _body_bytes(request: Any) -> bytes | None:
    """The body as it is sent. aiohttp's stub passes on what the caller gave: `json=` is a plain value."""
    body = request.body
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        content = body.read()
        return content.encode() if isinstance(content, str) else bytes(content)
    try:
        if isinstance(body, dict | list | int | float):
            return json.dumps(body).encode()
        return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in body)
    except TypeError:
        raise _unreadable(request, body) from None


def vcr_request(request: Request) -> Any:
    return VcrRequest(
        method=request.method,
        uri=request.uri,
        body=request.body,
        headers={name: list(values) for name, values in request.headers.items()},
    )


def plain_response(response: Mapping[str, Any]) -> Response:
    body = response.get("body", {}).get("string")
    headers = response["headers"]
    return Response(
        status=response["status"]["code"],
        reason=response["status"].get("message") or "",
        headers={
            name: [_text(value) for value in (values if isinstance(values, list | tuple) else [values])]
            # tornado's client gives pairs.
            for name, values in (headers.items() if isinstance(headers, Mapping) else headers)
        },
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
    )


class _HeaderValue(str):
    """A header value that is not ASCII. httpx takes the bytes of a live one as they are, but encodes this as ASCII."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8" if encoding == "ascii" else encoding, errors)


def vcr_response(response: Response) -> dict[str, Any]:
    """The response in vcrpy's form; a new one each time, because the stubs change the headers that they are given."""
    return {
        "status": {"code": response.status, "message": response.reason},
        "headers": {
            name: [value if value.isascii() else _HeaderValue(value) for value in values]
            for name, values in response.headers.items()
            # Some recorders list HTTP/2's `:status`: no client shows it, and Python 3.14 refuses it as a name.
            if not name.startswith(":")
        },
        "body": {"string": response.body},
    }


def playable(response: Response) -> Response:
    """The response with its body decoded and headers that fit it.

    Recordings hold compressed bodies, plain bodies under a header that says compressed (urllib3 decodes before vcrpy
    looks) and wrong lengths of bodies that were edited. All clients can read a plain body: those that decode
    themselves, and those that are patched above that point (requests, botocore).
    """
    body = decoded(response.headers, response.body)
    if body is None:
        return response
    headers = {}
    for name, values in response.headers.items():
        lower = name.lower()
        if lower in ("content-encoding", "transfer-encoding"):
            continue
        headers[name] = [str(len(body))] if lower == "content-length" and body else values
    return Response(response.status, response.reason, headers, body)
