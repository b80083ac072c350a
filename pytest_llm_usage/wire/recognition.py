"""Which API an exchange speaks: the first row of `providers.FLAVOURS` that fits its path and request, or its response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.flavour import Flavour, Kind
from pytest_llm_usage.wire.framing import Event, header, parsed
from pytest_llm_usage.wire.providers import FLAVOURS

__all__ = ["Recognised", "Request", "by_path", "by_shape", "is_known_path"]

Recognised: TypeAlias = tuple[Flavour, Kind, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a request tells: its members (None where it tells nothing) and the model it names."""

    members: frozenset[str] | None = None
    model: str | None = None

    @classmethod
    def from_body(cls, body: bytes, headers: Headers) -> Request:
        if "multipart" in header(headers, "content-type"):
            # Uploads of audio and images.
            parts = {match["name"].decode(): match["value"].strip() for match in _FORM_PART.finditer(body)}
            return cls(frozenset(parts), parts.get("model", b"").decode(errors="replace") or None)
        if body[:64].lstrip()[:1] != b"{":
            return cls()
        if isinstance(value := parsed(body), dict):
            model = value.get("model")
            return cls(frozenset(value), model if isinstance(model, str) and model else None)
        # Bodies that somebody shortened or redacted, and that are no JSON any more, still name their members.
        names = {match["name"].decode(): match["text"] for match in _JSON_MEMBER.finditer(body)}
        return cls(frozenset(names), (names.get("model") or b"").decode(errors="replace") or None)


_FORM_PART = re.compile(rb'; name="(?P<name>\w+)"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(?P<value>[^\r\n]*)')
_JSON_MEMBER = re.compile(rb'"(?P<name>\w+)"\s*:\s*(?:"(?P<text>[^"\\]*)")?', re.ASCII)


def by_path(method: str, path: str, request: Request) -> Recognised | None:
    method = method.upper()
    for flavour in FLAVOURS:
        expected = "POST" if flavour.kind == "call" else "GET"
        if method == expected and (match := re.search(flavour.path, path)) and flavour.fits(request.members):
            return flavour, flavour.kind, {name: value for name, value in match.groupdict().items() if value}
        if method in ("GET", "POST") and flavour.stored and re.search(flavour.stored, path):
            return flavour, "retrieve", {}
    return None


def is_known_path(method: str, path: str) -> bool:
    """Whether a path is that of a known API, whatever the request says."""
    return method.upper() in _KINDS_BY_METHOD and any(
        re.search(flavour.path, path) or (flavour.stored and re.search(flavour.stored, path)) for flavour in FLAVOURS
    )


def by_shape(method: str, first: Event | None) -> Recognised | None:
    kind = _KINDS_BY_METHOD.get(method.upper())
    if kind is None or first is None or not isinstance(first.data, Mapping):
        return None
    return next(
        ((flavour, kind, {}) for flavour in FLAVOURS if flavour.looks is not None and flavour.looks(first.data)), None
    )


_KINDS_BY_METHOD: Mapping[str, Kind] = {"POST": "call", "GET": "retrieve"}
