"""`Subject`: the parts of a request that can be compared, redacted and in one canonical form."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pytest_llm_usage.cassettes.content import BodyValue, body_value
from pytest_llm_usage.cassettes.interaction import Request
from pytest_llm_usage.cassettes.json_path import JsonPath
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.volatile_headers import lasting_request_headers
from pytest_llm_usage.credentials.placeholders import PLACEHOLDER_WORDS, REDACTED, is_placeholder

__all__ = ["URL_PLACEHOLDER", "Subject", "canonical_json"]

#: A placeholder within a URL, as recorders write them.
URL_PLACEHOLDER = re.compile(
    rf"<[A-Za-z0-9_ -]+>|\*\*?[A-Za-z]+\*\*?|\{{\{{?\w+\}}\}}?|(?<![A-Za-z])(?:{PLACEHOLDER_WORDS})(?![A-Za-z])"
)
#: google-genai's version decides the version of the API that it uses: v1beta before 3.6, v1 from then on.
_GOOGLE = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com")
_GOOGLE_VERSION = re.compile(r"^/v1(?:alpha|beta)\d?(?=/(?:models|tunedModels|projects|publishers)/)")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "DELETE"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_URL = urlsplit("")


class Subject:
    """The parts of a request that can be compared, each computed when it is first needed.

    Args:
        request: As it was made or recorded.
        redaction: Applied to what is compared, so that a redacted recording still matches.
        ignore_body: What to leave out of JSON and form bodies.
    """

    def __init__(self, request: Request, redaction: Redaction, ignore_body: Sequence[JsonPath] = ()) -> None:
        self._request = request
        self._rules = redaction
        self._redaction = redaction.for_request(request.headers)
        self._ignore_body = ignore_body

    @property
    def method(self) -> str:
        return self._request.method.upper()

    @cached_property
    def uri(self) -> str:
        """The whole URL, redacted."""
        return self._redaction.uri(self._request.uri)

    @cached_property
    def _url(self) -> SplitResult:
        try:
            return urlsplit(self.uri)
        except ValueError:
            # Text that is not a URL is compared as a whole.
            return _NO_URL._replace(path=self.uri)

    @property
    def is_url_unknown(self) -> bool:
        """Whether the whole URL is a placeholder."""
        return is_placeholder(self.uri)

    @property
    def scheme(self) -> str:
        return self._url.scheme

    @cached_property
    def host(self) -> str:
        host = self._url.netloc.rpartition("@")[2]
        if host.startswith("["):
            return host.partition("]")[0][1:].lower()
        name = host.partition(":")[0].rstrip(".")
        return name if URL_PLACEHOLDER.search(name) else name.lower()

    @property
    def port(self) -> int | None:
        try:
            port = self._url.port
        except ValueError:
            return None
        return port if port is not None else _DEFAULT_PORTS.get(self.scheme)

    @cached_property
    def path(self) -> str:
        path = unquote(self._url.path) or "/"
        return _GOOGLE_VERSION.sub("/v1", path) if self.host.endswith(_GOOGLE) else path

    @cached_property
    def query(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(parse_qsl(self._url.query)))

    @cached_property
    def headers(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        headers = self._redaction.headers(lasting_request_headers(self._request.headers))
        return tuple(sorted((name.lower(), tuple(values)) for name, values in headers.items()))

    @cached_property
    def raw_body(self) -> bytes:
        return self._redaction.body(self._request.headers, self._request.body) or b""

    @cached_property
    def body_value(self) -> BodyValue:
        """The kind of the body and its value, without what is ignored."""
        kind, value = body_value(self._request.headers, self.raw_body)
        if self._ignore_body and kind == "json":
            for path in self._ignore_body:
                value = path.without(value)
        elif self._ignore_body and kind == "form":
            names = {path.text for path in self._ignore_body}
            value = tuple(pair for pair in value if pair[0] not in names)
        return kind, value

    @cached_property
    def body(self) -> Hashable:
        kind, value = self.body_value
        return (kind, canonical_json(value)) if kind == "json" else (kind, value)

    @cached_property
    def as_sent(self) -> Subject | None:
        """The request as other recorders keep it, with credentials that its body repeats; None if it has none."""
        if self._redaction is self._rules:
            return None
        return Subject(replace(self._request, headers={}), self._rules, self._ignore_body)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether something was taken out of the request, so that it must be compared piece by piece."""
        if (
            self.is_url_unknown
            or URL_PLACEHOLDER.search(self.uri)
            or is_placeholder(self.method)
            or REDACTED in self.uri
        ):
            return True
        kind, value = self.body_value
        if kind == "empty":
            return self.method not in _BODILESS
        if kind == "form":
            return any(is_placeholder(part) for _, part in value)
        return kind == "json" and any(REDACTED in text or is_placeholder(text) for text in _strings(value))


def canonical_json(value: Any) -> str:
    """One text for equal JSON values: sorted keys, no white space, integral floats as integers, no null members."""
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return value


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
