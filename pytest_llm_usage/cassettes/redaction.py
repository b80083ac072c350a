"""Replaces credentials, cookies and account ids before anything is compared or written.

A value is replaced if its place says that it is a credential: a header, a query parameter, a form or JSON field of
such a name (also in JSON inside a JSON string, and in each event of a stream). Nothing else changes, not a byte.
Values elsewhere that only look like a credential are found later, by `secret_scan`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from urllib.parse import quote_plus, unquote_plus, urlsplit, urlunsplit

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import aws_frames
from pytest_llm_usage.cassettes.content import decode_body
from pytest_llm_usage.cassettes.cookies import sent_cookies, set_cookies
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, header
from pytest_llm_usage.cassettes.json_fields import replace_fields, unescaped
from pytest_llm_usage.cassettes.parts import joined_parts, multipart_boundary, split_parts
from pytest_llm_usage.cassettes.xml_fields import replace_xml_fields
from pytest_llm_usage.credentials.names import (
    field_kind,
    is_account_header,
    is_credential_header,
    is_credential_name,
    is_credential_parameter,
    may_be_credential_parameter,
    snake_case,
)
from pytest_llm_usage.credentials.placeholders import REDACTED, is_placeholder
from pytest_llm_usage.credentials.recognised import bare_credential, header_credentials
from pytest_llm_usage.credentials.values import (
    LONG_WORDS,
    core,
    is_worth_guarding,
    longest_first,
    looks_random,
    spellings,
)
from pytest_llm_usage.encoding import is_aws_message
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import quoted

__all__ = ["REDACTED", "RecordingRedaction", "Redaction", "answers_a_model"]

#: Replaces the id of an AWS account, so that an ARN with it stays a valid one.
_NO_ACCOUNT = "000000000000"

#: Account ids that are recognised by the text around them, wherever they are.
_ARN_ACCOUNT = re.compile(
    r"(arn(:|%3[Aa])aws[a-z-]{0,20}\2[a-z0-9-]{1,40}\2[a-z0-9-]{0,40}\2)(?P<value>\d{12})(?=:|%3[Aa])"
)
_OPENAI_ACCOUNT = re.compile(r"\b(org-|proj_)(?P<value>[A-Za-z0-9]{20,})\b")
_ACCOUNT_IN_PATH = re.compile(r"(?<=/accounts/)[0-9a-f]{32}(?=/|$)")
_GOOGLE_PROJECT = re.compile(r"(?<=/projects/)[^/:?]+(?=/)")

#: Parameters that give access to a URL, in any text that holds the URL.
_URL_CREDENTIAL = re.compile(
    r"(?P<start>(?:[?&]|&amp;|\\u0026)(?:(?P<maybe>key|token|sig|Signature)|X-Amz-(?:Signature|Credential|Security-Token)"
    r"|X-Goog-(?:Signature|Credential)|api[_-]?key|(?:access|refresh|id|auth|session)_token|client_secret)=)"
    r"(?P<value>[^&\s\"'<>\\#]+)"
)

#: Deeper than any mail; parts further down are treated as text.
_MAX_PARTS_IN_PARTS = 8
#: A parameter in a path: `/a;jsessionid=1/b`.
_MATRIX = re.compile(r";([^;/=]{1,64})=([^;/]+)")
#: A body that is a form although no header says so.
_FORM = re.compile(r"[\w.%\[\]+-]{1,64}=[^&\s]*(?:&[\w.%\[\]+-]{1,64}=[^&\s]*)+")
#: Bedrock's chunks hold the model's JSON in base64.
_AWS_BYTES = re.compile(r'("bytes"\s*:\s*")([A-Za-z0-9+/]+={0,2})(?=")')


@dataclass(frozen=True)
class Redaction:
    """What to replace, besides what is always replaced.

    Attributes:
        header_names: Names of headers, lower case.
        query_names: Names of query parameters and form fields, lower case.
        field_names: Names of text fields in JSON bodies, as they are spelt.
        patterns: Their matches are replaced anywhere in a URL, a header or a text body.
        values: Credentials that were recognised elsewhere: they are replaced wherever they occur, however they are
            escaped.
        is_by_shape: Whether text of the shape of a known key is replaced as well. When recording, such text stops the
            save instead.
    """

    header_names: frozenset[str] = frozenset()
    query_names: frozenset[str] = frozenset()
    field_names: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    values: tuple[str, ...] = ()
    is_by_shape: bool = False

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Redaction:
        """Read rules as the ini file has them: `header:NAME`, `query:NAME`, `field:NAME` or `pattern:REGEX` a line.

        Raises:
            ConfigurationError: A line is not such a rule.
        """
        rules: dict[str, list[str]] = {"header": [], "query": [], "field": [], "pattern": []}
        for line in filter(None, map(str.strip, lines)):
            kind, colon, value = line.partition(":")
            if not colon or kind not in rules or not value.strip():
                raise ConfigurationError(
                    f"{quoted(line)} is not a rule (header:NAME, query:NAME, field:NAME or pattern:REGEX)"
                )
            rules[kind].append(value.strip())
        try:
            patterns = tuple(map(re.compile, rules["pattern"]))
        except re.error as error:
            raise ConfigurationError(f"pattern:{error.pattern!s}: {error}") from None
        except (OverflowError, RecursionError) as error:
            raise ConfigurationError(f"pattern: a regular expression that Python cannot compile: {error}") from None
        return cls(
            frozenset(map(str.lower, rules["header"])),
            frozenset(map(str.lower, rules["query"])),
            frozenset(rules["field"]),
            patterns,
        )

    def interaction(self, interaction: Interaction) -> Interaction:
        """The interaction as it may be written."""
        request, response = interaction.request, interaction.response
        body = self.body(request.headers, request.body)
        answer = self.body(response.headers, response.body, is_made_up=answers_a_model(interaction)) or b""
        return Interaction(
            replace(
                request,
                uri=self.uri(request.uri),
                headers=self._headers_of(request.headers, is_same_body=body == request.body),
                body=body,
            ),
            replace(
                response,
                reason=self._text(response.reason),
                headers=self._headers_of(response.headers, is_same_body=answer == response.body),
                body=answer,
            ),
        )

    def for_request(self, headers: Headers) -> Redaction:
        """The redaction for a request that may repeat its own credentials, such as a header's key in the body."""
        values = header_credentials(headers)
        return replace(self, values=(*self.values, *values)) if values else self

    def _headers_of(self, headers: Headers, *, is_same_body: bool) -> dict[str, list[str]]:
        """The redacted headers. A body that was changed is no longer compressed."""
        redacted = self.headers(headers)
        if is_same_body:
            return redacted
        return {name: values for name, values in redacted.items() if name.lower() != "content-encoding"}

    def uri(self, uri: str) -> str:
        """A URL without credentials and account ids."""
        try:
            parts = urlsplit(uri)
        except ValueError:
            return self._text(uri)
        path, netloc, query, fragment = parts.path, parts.netloc, parts.query, parts.fragment
        if "/accounts/" in path:
            path = _ACCOUNT_IN_PATH.sub(self._hidden_match, path)
        if "/projects/" in path and netloc.endswith("googleapis.com"):
            path = _GOOGLE_PROJECT.sub(self._hidden_match, path)
        if ";" in path:
            path = _MATRIX.sub(lambda match: f";{match[1]}={self._parameter(match[1], match[2])}", path)
        if "@" in netloc:
            user, _, host = netloc.rpartition("@")
            netloc = f"{self.hide(user)}@{host}"
        query, fragment = self._pairs(query), self._pairs(fragment)
        if (path, netloc, query, fragment) != (parts.path, parts.netloc, parts.query, parts.fragment):
            uri = urlunsplit((parts.scheme, netloc, path, query, fragment))
        return self._text(uri)

    def headers(self, headers: Headers) -> dict[str, list[str]]:
        """Headers without credentials, cookies and account ids; their names stay, for a reviewer to see."""
        return {name: self._header(name, values) for name, values in headers.items()}

    def body(self, headers: Headers, body: bytes | None, *, is_made_up: bool = False) -> bytes | None:
        """A body without credentials and account ids; the same bytes if there are none.

        A body that only looks compressed, without a header that says so, is left alone: `secret_scan` searches it.

        Args:
            headers: The headers that it came with.
            body: As it was sent.
            is_made_up: Whether a model wrote it; passwords that a model makes up are not secret.
        """
        if not body:
            return body
        # A body that cannot be decoded is found by the scan, which stops the save.
        plain = decode_body(headers, body).content
        redacted = self._plain_body(header(headers, "content-type"), plain, is_made_up=is_made_up)
        return body if redacted == plain else redacted

    def _plain_body(self, content_type: str, body: bytes, *, is_made_up: bool, depth: int = 0) -> bytes:
        if is_aws_message(body):
            return aws_frames.with_payloads(body, lambda payload: self._aws_payload(payload, is_made_up=is_made_up))
        kind = content_type.lower()
        is_multipart = kind.startswith("multipart/") and depth < _MAX_PARTS_IN_PARTS
        if is_multipart and (boundary := multipart_boundary(content_type, body)):
            return self._multipart(boundary, body, is_made_up=is_made_up, depth=depth + 1)
        # Bytes that are not UTF-8 pass through: a stray one in a text, or a file.
        text = body.decode("utf-8", "surrogateescape")
        redacted = self._text(text)
        if kind.startswith("application/x-www-form-urlencoded"):
            redacted = self._pairs(redacted)
        elif text.lstrip().startswith("<"):
            redacted = replace_xml_fields(redacted, self._is_credential_field, self.hide)
        elif not kind and _FORM.fullmatch(redacted):
            redacted = self._pairs(redacted)
        else:
            redacted = self._fields(redacted, is_made_up=is_made_up)
        return body if redacted == text else redacted.encode("utf-8", "surrogateescape")

    def _aws_payload(self, payload: bytes, *, is_made_up: bool) -> bytes:
        text = payload.decode("utf-8", "surrogateescape")
        redacted = self._fields(self._text(text), is_made_up=is_made_up)

        def unwrapped(match: re.Match[str]) -> str:
            try:
                inner = base64.b64decode(match[2], validate=True)
            except ValueError:
                return match[0]
            clean = self._plain_body("", inner, is_made_up=is_made_up)
            return match[0] if clean == inner else match[1] + base64.b64encode(clean).decode()

        return _AWS_BYTES.sub(unwrapped, redacted).encode("utf-8", "surrogateescape")

    def _multipart(self, boundary: bytes, body: bytes, *, is_made_up: bool, depth: int) -> bytes:
        """A multipart body with its parts redacted by their names and types; files pass through."""
        parts = split_parts(boundary, body)
        for part in parts:
            if any(map(self._is_credential_field, part.names)) and part.content:
                part.content = self.hide(part.content.decode("utf-8", "replace")).encode()
            else:
                part.content = self._plain_body(part.content_type, part.content, is_made_up=is_made_up, depth=depth)
        return joined_parts(boundary, parts)

    def _is_credential_field(self, name: str) -> bool:
        return name in self.field_names or is_credential_name(name)

    def _header(self, name: str, values: Sequence[str]) -> list[str]:
        snake = snake_case(name)
        if snake in ("set_cookie", "cookie"):
            without = set_cookies if snake == "set_cookie" else sent_cookies
            return [without(value, partial(self.hide, is_credential=False)) for value in values]
        if name.lower() in self.header_names or is_account_header(name):
            return [self.hide(value, is_credential=False) for value in values]
        if is_credential_header(name):
            return [value if value.isdigit() or value in ("true", "false") else self.hide(value) for value in values]
        if snake in ("location", "content_location", "referer", "http_referer", "link"):
            return [self.uri(value) for value in values]
        return [self._text(value) for value in values]

    def _pairs(self, text: str) -> str:
        """`name=value&name=value` without the values of credentials."""
        if "=" not in text:
            return text
        pieces = []
        for piece in text.split("&"):
            name, equals, value = piece.partition("=")
            pieces.append(name + equals + self._parameter(name, value))
        return "&".join(pieces)

    def _parameter(self, name: str, value: str) -> str:
        if not value:
            return value
        if unquote_plus(name).lower() in self.query_names or is_credential_parameter(name):
            return self.hide(value)
        if may_be_credential_parameter(name) and _is_opaque(unquote_plus(value)):
            return self.hide(value)
        if "%22" in value or '"' in value or "%3D" in value.upper():
            plain = unquote_plus(value)
            redacted = self._fields(self._text(plain), is_made_up=False)
            return value if redacted == plain else quote_plus(redacted)
        return value

    def _fields(self, text: str, *, is_made_up: bool) -> str:
        def replacement(name: str, value: str) -> str | None:
            kind = "always" if name in self.field_names else field_kind(name)
            if (
                kind == "never"
                or (kind == "password" and is_made_up)
                or (kind == "token" and not _is_opaque(unescaped(value)))
            ):
                return None
            return self.hide(value)

        return replace_fields(text, replacement, self._text)

    def _text(self, text: str) -> str:
        for value in longest_first(self.values):
            if core(value) not in text:
                continue
            for spelling in spellings(value):
                if spelling in text:
                    text = text.replace(spelling, self.hide(spelling))
        if self.is_by_shape:
            from pytest_llm_usage.credentials.shapes import without_shapes  # noqa: PLC0415 -- a long table

            text = without_shapes(text, self.hide)
        if "arn" in text:
            text = _ARN_ACCOUNT.sub(self._hidden_account, text)
        if "org-" in text or "proj_" in text:
            text = _OPENAI_ACCOUNT.sub(lambda match: match[1] + self.hide(match["value"], is_credential=False), text)
        if "=" in text and ("?" in text or "&" in text):
            text = _URL_CREDENTIAL.sub(self._hidden_parameter, text)
        for pattern in self.patterns:
            text = pattern.sub(self._hidden_match, text)
        return text

    def _hidden_parameter(self, match: re.Match[str]) -> str:
        is_credential = match["maybe"] is None or _is_opaque(match["value"])
        return match["start"] + self.hide(match["value"]) if is_credential else match[0]

    def _hidden_account(self, match: re.Match[str]) -> str:
        return match[1] + self.hide(match["value"], _NO_ACCOUNT)

    def _hidden_match(self, match: re.Match[str]) -> str:
        return self.hide(match[0], is_credential=False)

    def hide(self, value: str, placeholder: str = REDACTED, *, is_credential: bool = True) -> str:
        """What replaces `value`. Every replacement goes through here.

        Args:
            value: What is replaced.
            placeholder: What replaces it.
            is_credential: Whether its place is surely that of a credential. A cookie or an account's id need not be
                one.
        """
        del value, is_credential  # Subclasses use them.
        return placeholder


@dataclass(frozen=True)
class RecordingRedaction(Redaction):
    """A redaction that notes each value that it replaces, with its placeholder, except placeholders themselves."""

    replaced: dict[str, str] = field(default_factory=dict)
    uncertain: set[str] = field(default_factory=set)

    @classmethod
    def from_rules(cls, redaction: Redaction) -> RecordingRedaction:
        """A recording redaction with the same rules that has noted nothing yet."""
        return cls(**{rule.name: getattr(redaction, rule.name) for rule in fields(Redaction)})

    def hide(self, value: str, placeholder: str = REDACTED, *, is_credential: bool = True) -> str:
        if not is_credential:
            self.uncertain.add(value)
        if value not in ("", placeholder) and not is_placeholder(value.removeprefix("Bearer ").strip()):
            self.replaced[value] = placeholder
        return super().hide(value, placeholder, is_credential=is_credential)

    def credentials(self) -> list[str]:
        """The replaced values that can be searched for everywhere, without escapes and the name of a scheme.

        A short value that may be a word, such as `test-key`, is left out: it would also be found where it is not a
        credential.
        """
        return [
            plain
            for value, placeholder in self.replaced.items()
            if placeholder == REDACTED
            for plain in dict.fromkeys(bare_credential(form) for form in (value, unescaped(value), unquote_plus(value)))
            if is_worth_guarding(plain)
            and (looks_random(plain) or (value not in self.uncertain and len(plain) >= LONG_WORDS))
        ]


def _is_opaque(value: str) -> bool:
    """Whether a value is long, has letters and digits and no spaces, and so is not a word of a language."""
    return (
        len(value) >= 20
        and not any(character.isspace() for character in value)
        and any(character.isdigit() for character in value)
        and any(character.isalpha() for character in value)
    )


def answers_a_model(interaction: Interaction) -> bool:
    """Whether a model wrote the answer.

    What a model makes up for a tool's `password` is not a credential, and on replay the tool must get it.
    """
    request = interaction.request
    return wire.is_model_call(request.method, request.uri, request.body or b"", request.headers)
