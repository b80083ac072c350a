"""Which API an exchange uses: the first row of `providers.FLAVOURS` that fits its path and request, or its response."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.flavour import Flavour, Kind
from pytest_llm_usage.wire.framing import Event, header, parsed
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.providers import FLAVOURS

__all__ = ["Recognised", "Request", "by_path", "by_shape", "is_known_path"]

Recognised: TypeAlias = tuple[Flavour, Kind, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says: its members (None if they are not known) and the model that it names."""

    members: frozenset[str] | None = None
    model: str | None = None

    @classmethod
    def from_body(cls, body: bytes, headers: Headers) -> Request:
        request = cls._from_body(body, headers)
        if request.model is None and (
            model := next(filter(None, (header(headers, name) for name in _MODEL_HEADERS)), "")
        ):
            return replace(request, model=model)
        return request

    @classmethod
    def _from_body(cls, body: bytes, headers: Headers) -> Request:
        if "multipart" in header(headers, "content-type"):
            # Uploads of audio and images.
            parts = {match["name"].decode(): match["value"].strip() for match in _FORM_PART.finditer(body)}
            return cls(frozenset(parts), parts.get("model", b"").decode(errors="replace") or None)
        if body[:64].lstrip()[:1] != b"{":
            return cls()
        if isinstance(value := parsed(body), dict):
            return cls(frozenset(value), _model_in(value))
        # Bodies that were shortened or redacted, and are no longer JSON, still name their members.
        names = {match["name"].decode(): match["text"] for match in _JSON_MEMBER.finditer(body)}
        return cls(frozenset(names), (names.get("model") or b"").decode(errors="replace") or None)


def _model_in(request: Mapping[str, Any]) -> str | None:
    name = next((name for path in _REQUEST_MODELS if isinstance(name := get_path(request, path), str) and name), None)
    # Yandex: `gpt://<folder>/<model>`; the folder is an account.
    return re.sub(r"^\w+://[^/]+/", "", name) if name and "://" in name else name


#: Where requests name the model. Nearly all have `model`; the others are those of Yandex, watsonx, Oracle, AssemblyAI,
#: Bedrock's inline agents, and Tencent.
_REQUEST_MODELS = (
    "model",
    "modelUri",
    "model_id",
    "modelId",
    "servingMode.modelId",
    "final_model",
    "foundationModel",
    "Model",
)

#: Headers that name the model instead: Vercel's gateway.
_MODEL_HEADERS = ("ai-language-model-id", "ai-model-id")

#: RFC 2183: a parameter is a token or quoted (.NET quotes none). Recorders may keep the line ends of their own files.
_FORM_PART = re.compile(
    rb';[ \t]*name=(?P<quote>"?)(?P<name>\w+)(?P=quote)(?=[;\s])[^\r\n]*\r?\n(?:[^\r\n]+\r?\n){0,9}\r?\n(?P<value>[^\r\n]*)'
)
_JSON_MEMBER = re.compile(rb'"(?P<name>\w+)"\s*:\s*(?:"(?P<text>[^"\\]*)")?', re.ASCII)


def by_path(method: str, path: str, request: Request) -> Recognised | None:
    """The first row that fits a request; None where none does."""
    return _first_row(method.upper(), path, request.members)


@lru_cache(maxsize=1024)
def _first_row(method: str, path: str, members: frozenset[str] | None) -> Recognised | None:
    return next(
        (found for found in _rows_at(method, path) if found[1] == "retrieve" or found[0].fits(members)),
        None,
    )


@lru_cache(maxsize=1024)
def _is_known(method: str, path: str) -> bool:
    return any(True for _ in _rows_at(method, path))


def _rows_at(method: str, path: str) -> Iterator[Recognised]:
    """The rows whose paths fit, without regard to the request's body; a row that nobody asks for is not compiled."""
    for flavour in FLAVOURS:
        expected = flavour.method or ("POST" if flavour.kind == "call" else "GET")
        if method == expected and (match := re.search(flavour.path, path)):
            yield flavour, flavour.kind, {name: value for name, value in match.groupdict().items() if value}
        elif method in _KINDS_BY_METHOD and flavour.stored and (match := re.search(flavour.stored, path)):
            yield flavour, "retrieve", match.groupdict()


def is_known_path(method: str, path: str) -> bool:
    """Whether a path is that of a known API, without regard to the request's body."""
    return _is_known(method.upper(), path)


def by_shape(method: str, first: Event | None) -> Recognised | None:
    kind = _KINDS_BY_METHOD.get(method.upper())
    if kind is None or first is None or not isinstance(first.data, Mapping):
        return None
    return next(
        ((flavour, kind, {}) for flavour in FLAVOURS if flavour.looks is not None and flavour.looks(first.data)), None
    )


_KINDS_BY_METHOD: Mapping[str, Kind] = {"POST": "call", "GET": "retrieve"}
