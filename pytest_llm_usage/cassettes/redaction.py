"""What is replaced before anything is compared or written: credentials, cookies, account ids.

A value is replaced where its place says that it is a credential: a header, a query parameter, a form or JSON field of
such a name (also in JSON inside of a JSON string, and in each event of a stream). Nothing else changes, not a byte.
What only looks like a credential, wherever it stands, is for `secret_scan` to find, after this.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes.content import decode_body
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, header
from pytest_llm_usage.errors import ConfigurationError

__all__ = ["REDACTED", "Redaction", "answers_a_model"]

#: What stands in the place of a credential; a word that is one in a URL, a header, JSON and YAML alike.
REDACTED = "redacted"
#: In the place of an AWS account, so that what holds it is still an ARN.
_NO_ACCOUNT = "000000000000"

#: Ends of names (in snake case) that are a credential's wherever they stand.
_CREDENTIAL = re.compile(
    r"(?:^|_)(?:api_?keys?|(?:access|secret|secret_access|private|subscription|account|shared_access|auth|app|application"
    r"|master|service|virtual|functions|license|encryption|signing|webhook)_key(?:_id)?|aws_?access_?key_?id"
    r"|secret|passw(?:or)?d|pwd|passphrase|authorization|connection_string"
    r"|(?:access|auth|refresh|id|session|security|bearer|api|oauth|csrf|xsrf|authorization|jwt|personal|private|bot"
    r"|subscription|metadata|vault|github|gitlab|user|device|deploy)_?token)$"
)
#: Ends that are a credential's in a header or a query. In bodies they are ordinary words (log probabilities have a
#: `token`, an answer is signed), so there a token must look like one.
_CREDENTIAL_OUTSIDE_BODIES = re.compile(
    r"(?:^|_)(?:(?<!next_)(?<!page_)(?<!continuation_)(?<!sync_)token|cookie2?|credentials?|bearer|auth|signature|sig)$"
)
_TOKEN_IN_BODY = re.compile(r"(?:^|_)(?:(?<!next_)(?<!page_)(?<!continuation_)(?<!sync_)token|bearer|auth)$")
_PASSWORD = re.compile(r"(?:^|_)(?:passw(?:or)?d|pwd|passphrase)$|^secret$")
_QUERY_NAMES = frozenset({"key", "appid", "app_id", "googleaccessid", "assertion", "client_assertion", "code_verifier"})
#: Headers that say whose account it is.
_ACCOUNT_HEADER = re.compile(
    r"(?:^|_)(?:organi[sz]ation|org_id|account|account_id|tenant_id|workspace_id|customer_id|user_project"
    r"|openai_project|project_id|organi[sz]ation_id|client_principal(?:_id|_name)?|access_client_(?:id|secret))$"
)
_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")

#: Account ids that are told by what stands round them, in any text.
_ARN_ACCOUNT = re.compile(r"(arn(:|%3[Aa])aws[a-z-]*\2[a-z0-9-]+\2[a-z0-9-]*\2)(?P<value>\d{12})(?=:|%3[Aa])")
_OPENAI_ACCOUNT = re.compile(r"\b(org-|proj_)(?P<value>[A-Za-z0-9]{20,})\b")
_ACCOUNT_IN_PATH = re.compile(r"(?<=/accounts/)[0-9a-f]{32}(?=/|$)")
_GOOGLE_PROJECT = re.compile(r"(?<=/projects/)[^/:?]+(?=/)")

#: What opens a URL to whoever has it, wherever in a text the URL stands.
_URL_CREDENTIAL = re.compile(
    r"(?P<start>(?:[?&]|&amp;|\\u0026)(?:(?P<maybe>key|token)|sig|Signature|X-Amz-(?:Signature|Credential|Security-Token)"
    r"|X-Goog-(?:Signature|Credential)|api[_-]?key|(?:access|refresh|id|auth|session)_token|client_secret)=)"
    r"(?P<value>[^&\s\"'<>\\#]+)"
)

#: Between the name of a JSON field and its text value, as it stands or escaped in a JSON string.
_FIELD = re.compile(r'"\s*:\s*(\\?)"')
_FIELD_VALUES = {
    "": re.compile(r'((?:[^"\\]|\\.)*)"', re.DOTALL),
    # Escaped twice: what JSON escapes inside, then the quotes and backslashes of that.
    "\\": re.compile(r'((?:[^"\\]|\\[^"\\]|\\\\(?:\\\\|\\"|[^"\\]))*)\\"', re.DOTALL),
}
_MAX_NAME_CHARACTERS = 64
_XML_FIELD = re.compile(r"(<(?P<name>[A-Za-z][\w.-]{0,63})>)(?P<value>[^<>]+)(?=</(?P=name)>)")
_MULTIPART_FIELD = re.compile(
    r'(\bname="(?P<name>[^"\r\n]{1,64})"[^\r\n]*(?:\r\n[^\r\n]+)*\r\n\r\n)(?P<value>[^\r\n]+)(?=\r\n--)'
)


def _snake(name: str) -> str:
    return _SNAKE.sub("_", name).strip("_").lower()


@functools.lru_cache(maxsize=4096)
def _sort_of_field(name: str) -> Literal["always", "password", "token", "never"]:
    """Whether a JSON field of this name holds a credential: always, unless a model made it up, or if it looks so."""
    snake = _snake(name)
    if _PASSWORD.search(snake):
        return "password"
    if _CREDENTIAL.search(snake):
        return "always"
    return "token" if _TOKEN_IN_BODY.search(snake) else "never"


def _looks_random(value: str) -> bool:
    """Whether a value is long, without spaces, of letters and digits: no word of a language, then."""
    return (
        len(value) >= 20
        and not any(character.isspace() for character in value)
        and any(character.isdigit() for character in value)
        and any(character.isalpha() for character in value)
    )


@dataclass(frozen=True)
class Redaction:
    """What to replace, beyond what always is.

    Attributes:
        header_names: Names of headers, lower case.
        query_names: Names of query parameters and form fields, lower case.
        field_names: Names of text fields in JSON bodies, as they are spelt.
        patterns: What they match is replaced wherever it stands in a URL, a header or a text body.
    """

    header_names: frozenset[str] = frozenset()
    query_names: frozenset[str] = frozenset()
    field_names: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Redaction:
        """Read rules as the ini file has them: `header:NAME`, `query:NAME`, `field:NAME` or `pattern:REGEX` a line.

        Raises:
            ConfigurationError: A line is no such rule.
        """
        rules: dict[str, list[str]] = {"header": [], "query": [], "field": [], "pattern": []}
        for line in filter(None, map(str.strip, lines)):
            kind, colon, value = line.partition(":")
            if not colon or kind not in rules or not value.strip():
                raise ConfigurationError(
                    f"{line!r} is not a rule (header:NAME, query:NAME, field:NAME or pattern:REGEX)"
                )
            rules[kind].append(value.strip())
        try:
            patterns = tuple(map(re.compile, rules["pattern"]))
        except re.error as error:
            raise ConfigurationError(f"pattern:{error.pattern!s}: {error}") from None
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
                headers=self._headers_of(response.headers, is_same_body=answer == response.body),
                body=answer,
            ),
        )

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
        """A body without credentials and account ids; the very bytes where there are none.

        Args:
            headers: The headers that it came with.
            body: As it was sent.
            is_made_up: Whether a model wrote it, whose passwords are nobody's.
        """
        if not body:
            return body
        # What cannot be decoded is found by the scan, which stops the save.
        plain = decode_body(headers, body).content
        content_type = header(headers, "content-type").lower()
        if content_type.startswith("multipart/"):
            # Files among the fields are binary; their bytes pass through.
            text = plain.decode("utf-8", "surrogateescape")
            redacted = _MULTIPART_FIELD.sub(self._named_value, text)
            return body if redacted == text else redacted.encode("utf-8", "surrogateescape")
        try:
            text = plain.decode()
        except UnicodeDecodeError:
            return body
        redacted = self._text(text)
        if content_type.startswith("application/x-www-form-urlencoded"):
            redacted = self._pairs(redacted)
        elif text.lstrip().startswith("<"):
            redacted = _XML_FIELD.sub(self._named_value, redacted)
        else:
            redacted = self._fields(redacted, is_made_up=is_made_up)
        return body if redacted == text else redacted.encode()

    def _named_value(self, match: re.Match[str]) -> str:
        is_credential = match["name"] in self.field_names or _sort_of_field(match["name"]) in ("always", "password")
        return match[1] + self.hide(match["value"]) if is_credential else match[0]

    def _header(self, name: str, values: Sequence[str]) -> list[str]:
        snake = _snake(name)
        if snake in ("set_cookie", "cookie"):
            return [self._cookies(value, only_first=snake == "set_cookie") for value in values]
        if name.lower() in self.header_names or _ACCOUNT_HEADER.search(snake):
            return [self.hide(value) for value in values]
        if _CREDENTIAL.search(snake) or _CREDENTIAL_OUTSIDE_BODIES.search(snake):
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
            pieces.append(
                name + equals + (self.hide(value) if value and self._is_credential_parameter(name) else value)
            )
        return "&".join(pieces)

    def _is_credential_parameter(self, name: str) -> bool:
        name = unquote_plus(name)
        if name.lower() in self.query_names:
            return True
        snake = _snake(name)
        return (
            snake in _QUERY_NAMES
            or _CREDENTIAL.search(snake) is not None
            or _CREDENTIAL_OUTSIDE_BODIES.search(snake) is not None
        )

    def _fields(self, text: str, *, is_made_up: bool) -> str:
        """Text with the values of JSON's credential fields replaced, found in the text so that the rest stays put."""
        pieces: list[str] = []
        done = 0
        for start in _FIELD.finditer(text):
            escape = start[1]
            name_end = start.start() - len(escape)
            if start.start() < done or text[name_end : start.start()] != escape:
                continue
            name = text[text.rfind('"', max(0, name_end - _MAX_NAME_CHARACTERS), name_end) + 1 : name_end]
            sort = "always" if name in self.field_names else _sort_of_field(name)
            if sort == "never" or (sort == "password" and is_made_up):
                continue
            value = _FIELD_VALUES[escape].match(text, start.end())
            if value is None or not value[1] or (sort == "token" and not _looks_random(value[1])):
                continue
            pieces += [text[done : start.end()], self.hide(value[1])]
            done = value.end(1)
        return "".join([*pieces, text[done:]]) if pieces else text

    def _text(self, text: str) -> str:
        if "arn" in text:
            text = _ARN_ACCOUNT.sub(self._hidden_account, text)
        if "org-" in text or "proj_" in text:
            text = _OPENAI_ACCOUNT.sub(lambda match: match[1] + self.hide(match["value"]), text)
        if "?" in text and "=" in text:
            text = _URL_CREDENTIAL.sub(self._hidden_parameter, text)
        for pattern in self.patterns:
            text = pattern.sub(self._hidden_match, text)
        return text

    def _cookies(self, value: str, *, only_first: bool) -> str:
        """Cookies by name alone; of what the server sets, the attributes stay."""
        first, *others = value.split(";")
        if only_first:
            return self._cookie(first) + "".join(f";{attribute}" for attribute in others if _is_lasting(attribute))
        return ";".join(map(self._cookie, (first, *others)))

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        return f"{name}={self.hide(value)}" if equals else self.hide(name)

    def _hidden_parameter(self, match: re.Match[str]) -> str:
        is_credential = match["maybe"] is None or _looks_random(match["value"])
        return match["start"] + self.hide(match["value"]) if is_credential else match[0]

    def _hidden_account(self, match: re.Match[str]) -> str:
        return match[1] + self.hide(match["value"], _NO_ACCOUNT)

    def _hidden_match(self, match: re.Match[str]) -> str:
        return self.hide(match[0])

    def hide(self, value: str, placeholder: str = REDACTED) -> str:
        """What takes the place of `value`. Every replacement goes through here."""
        del value  # A subclass may want to know it.
        return placeholder


def answers_a_model(interaction: Interaction) -> bool:
    """Whether a model wrote the answer. What it makes up for a tool's `password` is no credential, and on replay the
    tool must get it.
    """
    request = interaction.request
    return wire.is_model_call(request.method, request.uri, request.body or b"", request.headers)


def _is_lasting(attribute: str) -> bool:
    """Whether an attribute of a cookie is the same at each recording."""
    return attribute.partition("=")[0].strip().lower() not in ("expires", "max-age")
