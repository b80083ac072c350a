"""The last look before a cassette is written: what looks like a credential although nothing said that it is one.

Two things are looked for in every part of an interaction: the value of an environment variable that is named like a
credential, and text of the shape of a known key. Texts are looked at as they stand and as they decode: content encoding,
JSON and percent escapes, base64, gzip, and these in each other.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pytest_llm_usage.cassettes.content import decode_body, is_json_text
from pytest_llm_usage.cassettes.interaction import Headers, Interaction
from pytest_llm_usage.cassettes.matching import is_placeholder
from pytest_llm_usage.cassettes.redaction import REDACTED
from pytest_llm_usage.encoding import decode
from pytest_llm_usage.wire.framing import Body

__all__ = ["Finding", "credentials_in", "find_secrets", "masked", "patterns_of", "texts_in"]

_START = r"(?<![A-Za-z0-9_-])"
#: The shapes of keys that can be told from other text: what it is, text that it always holds (quick to look for), and
#: how it is written.
_SHAPES: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (what, sure, re.compile(shape))
    for what, sure, shape in (
        ("an Anthropic key", "sk-ant-", _START + r"sk-ant-[A-Za-z0-9_-]{20,}"),
        ("an OpenRouter key", "sk-or-v", _START + r"sk-or-v\d-[A-Za-z0-9]{32,}"),
        ("a Langfuse key", "k-lf-", _START + r"[sp]k-lf-[0-9a-f-]{36}"),
        ("an OpenAI key", "sk-", _START + r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}"),
        ("an API key", "sk-", _START + r"sk-[A-Za-z0-9]{20}(?:T3BlbkFJ)?[A-Za-z0-9]{12,}"),
        ("an OpenAI session key", "sess-", _START + r"sess-[A-Za-z0-9]{40}"),
        ("an OpenAI ephemeral key", "ek_", _START + r"ek_[0-9a-f]{32,}"),
        ("a Google API key", "AIza", _START + r"AIza[0-9A-Za-z_-]{35}"),
        ("a Google access token", "ya29.", _START + r"ya29\.[0-9A-Za-z_-]{20,}"),
        ("a Google refresh token", "1//0", _START + r"1//0[0-9A-Za-z_-]{40,}"),
        ("a Google OAuth secret", "GOCSPX-", _START + r"GOCSPX-[0-9A-Za-z_-]{28}"),
        ("an AWS access key id", "IA", _START + r"A[KS]IA[0-9A-Z]{16}(?![0-9A-Za-z])"),
        ("an AWS Bedrock key", "ABSK", _START + r"ABSK[A-Za-z0-9+/]{60,}={0,2}"),
        ("an AWS Bedrock key", "bedrock-api-key-", r"bedrock-api-key-[A-Za-z0-9+/=]{60,}"),
        ("an AWS signature", "Signature=", r"Signature=[0-9a-f]{64}"),
        ("an Azure account key", "Key=", r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{40,}={0,2}"),
        ("a signed URL", "sig=", r"[?&;]sig=[A-Za-z0-9%+/]{40,}"),
        ("a Groq key", "gsk_", _START + r"gsk_[A-Za-z0-9]{40,}"),
        ("an xAI key", "xai-", _START + r"xai-[A-Za-z0-9]{60,}"),
        ("a Perplexity key", "pplx-", _START + r"pplx-[A-Za-z0-9]{32,}"),
        ("a Hugging Face token", "hf_", _START + r"hf_[A-Za-z0-9]{30,}"),
        ("a Replicate token", "r8_", _START + r"r8_[A-Za-z0-9]{37}"),
        ("an NVIDIA key", "nvapi-", _START + r"nvapi-[A-Za-z0-9_-]{50,}"),
        ("a Fireworks key", "fw_", _START + r"fw_[A-Za-z0-9]{22,}"),
        ("a Cerebras key", "csk-", _START + r"csk-[A-Za-z0-9]{40,}"),
        ("a Voyage key", "pa-", _START + r"pa-[A-Za-z0-9_-]{40,}"),
        ("a Databricks token", "dapi", _START + r"dapi[0-9a-f]{32}"),
        ("a LangSmith key", "lsv2_", _START + r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
        ("a Tavily key", "tvly-", _START + r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{30,}"),
        ("a Jina key", "jina_", _START + r"jina_[0-9a-f]{32}[A-Za-z0-9_-]{20,}"),
        ("a Pinecone key", "pcsk_", _START + r"pcsk_[A-Za-z0-9_]{40,}"),
        ("an E2B key", "e2b_", _START + r"e2b_[0-9a-f]{40}"),
        ("a Firecrawl key", "fc-", _START + r"fc-[0-9a-f]{32}(?![0-9a-f])"),
        ("a GitHub token", "gh", _START + r"gh[pousr]_[A-Za-z0-9]{36,}"),
        ("a GitHub token", "github_pat_", _START + r"github_pat_[A-Za-z0-9_]{60,}"),
        ("a GitLab token", "glpat-", _START + r"glpat-[A-Za-z0-9_-]{20,}"),
        ("a Slack token", "xox", _START + r"xox[abeprs]-[A-Za-z0-9-]{20,}"),
        ("a Stripe key", "k_", _START + r"[rs]k_(?:live|test)_[A-Za-z0-9]{20,}"),
        ("a SendGrid key", "SG.", _START + r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
        ("an npm token", "npm_", _START + r"npm_[A-Za-z0-9]{36}"),
        ("a PyPI token", "pypi-", _START + r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
        ("a JSON web token", "eyJ", _START + r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("a private key", "PRIVATE KEY-----", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
        ("a bearer token", "Bearer ", r"Bearer (?=[A-Za-z._~+/-]*\d)[A-Za-z0-9._~+/-]{24,}=*"),
        (
            "a password in a URL",
            "://",
            r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>\\]{1,64}:[^\s/:@\"'<>\\{$]{6,64}@[A-Za-z0-9]",
        ),
    )
)

_CREDENTIAL_VARIABLE = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD|CREDENTIALS?|AUTH|PAT)(?:_|$)"
)
#: Variables named like credentials whose values are none.
_INNOCENT_VARIABLE = re.compile(
    r"(?:^|_)(?:FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|NAME|SOCK|TYPE|MODE|ENABLED|EXPIR\w*|TTL|ID|KEYRING|PROVIDER)$"
    r"|^(?:PWD|OLDPWD|GPG_KEY|SSH_AUTH_SOCK)$"
)
_MIN_VALUE_CHARACTERS = 8

_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_ESCAPE = re.compile(r"\\u00|\\x[0-9a-fA-F]{2}|\\/")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_MAX_DEPTH = 3
#: Base64 that decodes to no text at all is an image or a signature; nobody wrote a key into it.
_MIN_TEXT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a credential.

    Attributes:
        place: Where it stands: `request body, messages[0].content`.
        what: What it looks like, never the thing itself.
        is_unreadable: Whether `what` is the reason why a body cannot be looked through.
    """

    place: str
    what: str
    is_unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def credentials_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that look like credentials, by value.

    Names decide (`…_API_KEY`, `…_TOKEN`, `…_SECRET`, `…_PASSWORD`). Short values, paths, numbers, single words and
    placeholders are left out: they would be found everywhere.
    """
    return {
        value: name
        for name, value in environment.items()
        if _CREDENTIAL_VARIABLE.search(name.upper())
        and not _INNOCENT_VARIABLE.search(name.upper())
        and _is_worth_guarding(value)
    }


def _is_worth_guarding(value: str) -> bool:
    return (
        len(value) >= _MIN_VALUE_CHARACTERS
        and not value.startswith(("/", "./", "~"))
        and not value.isdigit()
        and not (value.isalpha() and value.islower() and len(value) < 20)
        and value != REDACTED
        and not is_placeholder(value)
    )


def patterns_of(credentials: Mapping[str, str]) -> tuple[re.Pattern[str], ...]:
    """What finds findings in plain text: the values themselves, and the shape of each known key."""
    values = sorted(credentials, key=len, reverse=True)
    return (*(re.compile(re.escape(value)) for value in values), *(shape for _, _, shape in _SHAPES))


def masked(text: str) -> str:
    """A text to print, without the credentials of this process and without text of the shape of a known key."""
    for pattern in patterns_of(credentials_in(os.environ)):
        text = pattern.sub("***", text)
    return text


def find_secrets(interaction: Interaction, credentials: Mapping[str, str]) -> Iterator[Finding]:
    """What looks like a credential in an interaction.

    Args:
        interaction: As it is about to be written: redacted.
        credentials: Values that must not be in it, each with the name of its variable (see `credentials_in`).
    """
    scanner = _Scanner(credentials)
    request, response = interaction.request, interaction.response
    yield from scanner.text("request URL", request.uri)
    yield from scanner.headers("request", request.headers)
    yield from scanner.body("request body", request.headers, request.body)
    yield from scanner.headers("response", response.headers)
    yield from scanner.text("response status", response.reason)
    yield from scanner.body("response body", response.headers, response.body)


class _Scanner:
    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._credentials = credentials
        self._values = (
            re.compile("|".join(map(re.escape, sorted(credentials, key=len, reverse=True)))) if credentials else None
        )

    def text(self, place: str, text: str) -> Iterator[Finding]:
        """What stands in a text, each kind of thing once."""
        found = dict.fromkeys(what for view in _views(text) for what in self._in(view))
        for what in found:
            yield Finding(place, what)

    def headers(self, place: str, headers: Headers) -> Iterator[Finding]:
        for name, values in headers.items():
            for value in values:
                yield from self.text(f"{place} header {name!r}", value)

    def body(self, place: str, headers: Headers, body: bytes | None) -> Iterator[Finding]:
        if not body:
            return
        plain = decode_body(headers, body, guess=True)
        if plain.problem and not plain.is_cut_off:
            yield Finding(place, plain.problem, is_unreadable=True)
        text = plain.content.decode("utf-8", "replace")
        found = [finding.what for finding in self.text(place, text)]
        placed: set[str] = set()
        for path, value in texts_in(text) if found else ():
            for finding in self.text(f"{place}, {path}", value):
                placed.add(finding.what)
                yield finding
        for what in found:
            if what not in placed:
                yield Finding(place, what)
        for path, value in _streamed_texts(headers, body):
            for finding in self.text(f"{place}, {path} of the stream's events together", value):
                if finding.what not in found:
                    yield finding

    def _in(self, text: str) -> Iterator[str]:
        if self._values is not None:
            for match in self._values.finditer(text):
                yield f"the value of the environment variable {self._credentials[match[0]]}"
        for what, sure, shape in _SHAPES:
            if sure in text and shape.search(text):
                yield f"something of the shape of {what}"


def _views(text: str, depth: int = 0) -> Iterator[str]:
    """A text, and what it and its parts decode to."""
    yield text
    if depth == _MAX_DEPTH:
        return
    if _ESCAPE.search(text):
        yield from _views(_ESCAPED.sub(_unescaped, text), _MAX_DEPTH - 1 if depth < _MAX_DEPTH - 1 else _MAX_DEPTH)
    if _PERCENT.search(text):
        yield from _views(unquote_plus(text), depth + 1)
    for run in _BASE64_RUN.findall(text):
        inner = _from_base64(run)
        if inner is not None:
            yield from _views(inner, depth + 1)


_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\(/)")


def _unescaped(match: re.Match[str]) -> str:
    return match[3] or chr(int(match[1] or match[2], 16))


def _from_base64(run: str) -> str | None:
    """The text that a run of base64 stands for, decompressed where it is compressed; None where it is no text."""
    padded = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except binascii.Error:
        return None
    data = decode(data, "deflate" if data[:2] in (b"x\x9c", b"x\xda", b"x\x01") else "", guess=True).content
    text = data.decode("utf-8", "replace")
    readable = sum(character.isprintable() or character.isspace() for character in text) - text.count("\ufffd")
    return text if readable >= _MIN_TEXT_SHARE * len(text) else None


def _streamed_texts(headers: Headers, body: bytes) -> Iterator[tuple[str, str]]:
    """The texts that the events of a stream bring piece by piece, each put together, with its path in the events."""
    stream = Body(body, headers)
    if stream.framing == "json":
        return
    pieces: dict[str, list[str]] = defaultdict(list)
    for event in stream.events():
        for path, piece in _walk(event.data, ""):
            pieces[path].append(piece)
    for path, several in pieces.items():
        # What every event repeats, such as an id, is no text in pieces.
        if len(several) > 1 and several.count(several[0]) < len(several):
            yield path, "".join(several)


def texts_in(text: str) -> Iterator[tuple[str, str]]:
    """The texts in a body with their places: JSON paths, or lines with the paths of the JSON in them."""
    if is_json_text(text[:64].encode()):
        try:
            yield from _walk(json.loads(text), "")
        except (ValueError, RecursionError):
            pass
        else:
            return
    for number, line in enumerate(text.split("\n"), 1):
        yield f"line {number}", line


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path or "the whole", value
    elif isinstance(value, dict):
        for key, part in value.items():
            here = f"{path}.{key}" if path else str(key)
            yield f"a name at {path}" if path else "a name", str(key)
            yield from _walk(part, here)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _walk(part, f"{path}[{index}]")
