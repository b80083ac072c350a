"""The text of a cassette: reads every layout in the wild, writes one that a reviewer can read and plain vcrpy loads.

Read are vcrpy's own layout (any version, YAML or JSON), the one of Ruby's VCR (`http_interactions`), the columns of
langchain-tests (`requests:` and `responses:`), bodies stored parsed (`parsed_body`), the layout of early httpx
recorders (`content`, `status_code`), and header names that were written as Python objects. No YAML tag ever makes a Python object that is not plain data.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from pytest_llm_usage.cassettes.content import is_json_text
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, Request, Response, header
from pytest_llm_usage.errors import CassetteError

__all__ = ["indented_json", "parse", "render"]

_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Values that an aliased document may stand for. Recorders write aliases for header lists that occur twice; a document
#: that grows beyond this by them was made to.
_MAX_EXPANDED_VALUES = 5_000_000
_ANCHOR = re.compile(r"&\w")


class _Loader(_BaseLoader):  # type: ignore[misc]
    """Plain data only, with the few Python tags that recorders have written for plain data."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Names of headers may be of a class of their own (`istr`); the text in them is the name."""
        for position, (key, value) in enumerate(node.value if isinstance(node, yaml.MappingNode) else ()):
            if key.tag.startswith(_OBJECT_TAGS) and isinstance(key, yaml.SequenceNode) and len(key.value) == 1:
                node.value[position] = (key.value[0], value)
        return super().construct_mapping(node, deep=deep)


def _plain_text(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_scalar(node)


def _plain_tuple(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_sequence(node, deep=True)


def _file_content(loader: Any, node: yaml.Node) -> Any:
    state = loader.construct_mapping(node, deep=True).get("state")
    return state[0] if state else b""


def _enumerated(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_sequence(node)[0]


def _joined_parts(loader: Any, node: yaml.Node) -> Any:
    arguments = loader.construct_mapping(node, deep=True).get("args") or [()]
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in arguments[0])


# What looks like a date is text: in headers, and in bodies that were stored parsed.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _BaseLoader.yaml_implicit_resolvers.items()
}
_PYTHON = "tag:yaml.org,2002:python/"
_OBJECT_TAGS = (f"{_PYTHON}object/apply:", f"{_PYTHON}object/new:")
for _tag, _constructor in {
    "str": _plain_text,
    "unicode": _plain_text,
    "long": _plain_text,
    "bytes": _Loader.construct_yaml_binary,
    "tuple": _plain_tuple,
    "object/new:_io.BytesIO": _file_content,
    "object/apply:builtins.iter": _joined_parts,
    "object/apply:http.HTTPMethod": _enumerated,
    "object/apply:http.HTTPStatus": _enumerated,
    "object/apply:httpx._status_codes.codes": _enumerated,
}.items():
    _Loader.add_constructor(_PYTHON + _tag, _constructor)
# As Ruby writes it.
_Loader.add_constructor("!binary", _Loader.construct_yaml_binary)


def parse(data: bytes) -> list[Interaction]:
    """The interactions of a cassette, in recorded order.

    Args:
        data: The file's content, decompressed.

    Raises:
        CassetteError: It is no cassette, is damaged, or asks for Python objects. The message has no path: the caller
            knows it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CassetteError(f"it is not UTF-8 text (byte {error.start:,})") from None
    document = _document(text)
    columns = document if isinstance(document, Mapping) else {}
    rows = columns.get("interactions", columns.get("http_interactions"))
    requests, responses = columns.get("requests"), columns.get("responses")
    if isinstance(rows, list):
        pairs = [(_part(row, "request"), _part(row, "response")) for row in rows]
    elif isinstance(requests, list):
        if not isinstance(responses, list) or len(responses) != len(requests):
            raise CassetteError("it has not as many responses as requests")
        pairs = list(zip(requests, responses, strict=True))
    else:
        raise CassetteError("it has neither 'interactions' nor 'requests' and 'responses'")
    return [_interaction(number, request, response) for number, (request, response) in enumerate(pairs, 1)]


def _document(text: str) -> Any:
    if not text.strip():
        raise CassetteError("it is empty")
    try:
        if text.startswith("{"):
            return json.loads(text)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, see above
    except yaml.constructor.ConstructorError as error:
        where = f", line {error.problem_mark.line + 1:,}" if error.problem_mark else ""
        raise CassetteError(f"it asks for something other than plain data{where}: {error.problem}") from None
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1:,}" if error.problem_mark else ""
        raise CassetteError(f"it is not valid YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise CassetteError(f"it cannot be read: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise CassetteError("it is nested too deeply") from None
    if _ANCHOR.search(text):
        _check_expansion(document)
    return document


def _check_expansion(document: Any) -> None:
    """Refuse aliases that explode: count what the document stands for, visiting each shared part once."""
    sizes: dict[int, int] = {}
    open_ids: set[int] = set()

    def size(value: Any) -> int:
        if not isinstance(value, dict | list | tuple):
            return 1
        known = sizes.get(id(value))
        if known is not None:
            return known
        if id(value) in open_ids:
            raise CassetteError("an alias in it contains itself")
        open_ids.add(id(value))
        parts = value.values() if isinstance(value, dict) else value
        total = 1 + sum(size(part) for part in parts)
        open_ids.discard(id(value))
        if total > _MAX_EXPANDED_VALUES:
            raise CassetteError(f"its aliases stand for more than {_MAX_EXPANDED_VALUES:,} values")
        sizes[id(value)] = total
        return total

    try:
        size(document)
    except RecursionError:
        raise CassetteError("it is nested too deeply") from None


def _part(item: Any, name: str) -> Any:
    if not isinstance(item, Mapping) or name not in item:
        raise CassetteError(f"an interaction has no {name}")
    return item[name]


def _interaction(number: int, request: Any, response: Any) -> Interaction:
    try:
        return Interaction(_request(request), _response(response))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CassetteError(f"interaction {number} is not one request and one response ({detail})") from None


def _request(data: Mapping[str, Any]) -> Request:
    uri = data["uri"] if "uri" in data else data["url"]
    return Request(str(data["method"]).upper(), str(uri), _headers(data.get("headers")), _body(data))


def _response(data: Mapping[str, Any]) -> Response:
    status = data.get("status", data.get("status_code"))
    code: Any
    code, reason = (status.get("code"), status.get("message")) if isinstance(status, Mapping) else (status, None)
    # vcrpy writes an empty mapping for a body that could not be read.
    body = None if data.get("body") == {} and "parsed_body" not in data else _body(data)
    return Response(int(code), str(reason or ""), _headers(data.get("headers")), body or b"")


def _body(data: Mapping[str, Any]) -> bytes | None:
    if "parsed_body" in data:
        return _encoded(data["parsed_body"])
    body = data.get("body", data.get("content"))
    if isinstance(body, Mapping) and body and set(body) <= {"string", "encoding", "base64_string"}:
        return base64.b64decode(body["base64_string"]) if "base64_string" in body else _encoded(body.get("string"))
    return _encoded(body)


def _encoded(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _headers(data: Any) -> dict[str, list[str]]:
    if not data:
        return {}
    pairs: Iterable[tuple[Any, Any]] = data.items() if isinstance(data, Mapping) else data
    headers: dict[str, list[str]] = {}
    for name, values in pairs:
        several = values if isinstance(values, list | tuple) else [values]
        headers.setdefault(_text(name), []).extend(_text(value) for value in several)
    return headers


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


# Writing ------------------------------------------------------------------------------------------------------------

#: What YAML's literal blocks cannot hold byte for byte: controls, other line breaks than \n, byte order marks.
_NOT_LITERAL = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9 _./+*;=()@%~^$-]*(?<! )")
_STREAM_IN_PATH = re.compile(r"stream(?!=false)", re.IGNORECASE)
_STREAM_IN_BODY = re.compile(rb'"stream"\s*:\s*true')
_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def render(interactions: Sequence[Interaction], *, indent_json: bool = True) -> bytes:
    """A cassette in this project's form of vcrpy's layout: one key order, text as blocks, JSON indented.

    Args:
        interactions: In the order to replay them.
        indent_json: Write JSON bodies indented (the same value) instead of byte for byte. Streams keep their bytes: who
            reads them goes by lines.

    Returns:
        UTF-8 text that `parse` and every vcrpy from 4 on read alike.
    """
    lines = ["version: 1", "interactions:"]
    for interaction in interactions:
        request, response = interaction.request, interaction.response
        body = _shown_body(request.headers, request.body) if indent_json else request.body
        lines += ["- request:", f"    method: {_scalar(request.method)}", f"    uri: {_scalar(request.uri)}"]
        lines += _rendered_headers(_fitted(request.headers, body))
        lines += _rendered_body("body", body, indent=4)
        lines += ["  response:", "    status:", f"      code: {response.status}"]
        lines += [f"      message: {_scalar(response.reason)}"]
        is_value = indent_json and not _is_streamed(interaction)
        answer = (_shown_body(response.headers, response.body) if is_value else response.body) or b""
        lines += _rendered_headers(_fitted(response.headers, answer) if answer else response.headers)
        lines += ["    body:", *_rendered_body("string", answer, indent=6)]
    return ("\n".join(lines) + "\n").encode()


def _is_streamed(interaction: Interaction) -> bool:
    """Whether the answer came in pieces, by what was asked and by what it says of itself."""
    request = interaction.request
    content_type = header(interaction.response.headers, "content-type").lower()
    return (
        any(
            kind in content_type
            for kind in ("event-stream", "eventstream", "ndjson", "jsonl", "json-lines", "json-seq")
        )
        or _STREAM_IN_PATH.search(request.uri) is not None
        or _STREAM_IN_BODY.search(request.body or b"") is not None
    )


def _shown_body(headers: Headers, body: bytes | None) -> bytes | None:
    if not body or not is_json_text(body) or _is_checked(headers):
        return body
    try:
        json.loads(body)
        return indented_json(body.decode()).encode()
    except (ValueError, RecursionError):
        return body


def _is_checked(headers: Headers) -> bool:
    """Whether the client checks these very bytes against a checksum."""
    return any(
        name.lower() in ("content-md5", "digest", "content-digest", "repr-digest", "x-amz-crc32")
        or name.lower().startswith("x-amz-checksum-")
        for name in headers
    ) or bool(header(headers, "content-encoding"))


def _fitted(headers: Headers, body: bytes | None) -> Headers:
    """The headers with a content length that is the body's; AWS clients count."""
    if body is None:
        return headers
    return {name: [str(len(body))] if name.lower() == "content-length" else values for name, values in headers.items()}


def _rendered_headers(headers: Headers) -> list[str]:
    if not headers:
        return ["    headers: {}"]
    lines = ["    headers:"]
    for name in sorted(headers, key=str.lower):
        lines.append(f"      {_scalar(name)}:")
        lines += [f"      - {_scalar(value)}" for value in headers[name]]
    return lines


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """A double-quoted scalar on one line; JSON's escapes are YAML's. Halves of surrogate pairs have no YAML at all."""
    escaped = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return _NOT_LITERAL.sub(lambda match: f"\\U{ord(match[0]):08x}", escaped)


def _rendered_body(key: str, body: bytes | None, *, indent: int) -> list[str]:
    margin = " " * indent
    if body is None:
        return [f"{margin}{key}: null"]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return [f"{margin}{key}: !!binary |", *_base64_lines(body, margin)]
    if "\n" not in text.strip("\n") and not (len(text) > 80 and not _NOT_LITERAL.search(text)):
        return [f"{margin}{key}: {_quoted(text)}"]
    if _NOT_LITERAL.search(text):
        return _quoted_lines(key, text, margin)
    return _literal_block(key, text, margin)


def _literal_block(key: str, text: str, margin: str) -> list[str]:
    content = text.rstrip("\n")
    breaks = len(text) - len(content)
    if not content:
        return [f"{margin}{key}: {_quoted(text)}"]
    chomping = {0: "-", 1: ""}.get(breaks, "+")
    # The indentation must be said where the first line with content starts with a space.
    explicit = "2" if content.lstrip("\n").startswith((" ", "\t")) or content.startswith("\n") else ""
    lines = [f"{margin}  {line}" if line else "" for line in content.split("\n")]
    return [f"{margin}{key}: |{explicit}{chomping}", *lines, *[""] * max(breaks - 1, 0)]


def _quoted_lines(key: str, text: str, margin: str) -> list[str]:
    """A double-quoted scalar, broken after each line of the text, for text that a literal block cannot hold."""
    pieces = [_quoted(piece)[1:-1] for piece in text.split("\n")]
    lines = [f'{margin}{key}: "\\']
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        # A line of a quoted scalar loses the white space it starts with, unless the first of it is escaped.
        shown = f"\\{piece}" if piece.startswith((" ", "\t")) else piece
        lines.append(f"{margin}  {shown}" + ('"' if is_last else "\\n\\"))
    return lines


def _base64_lines(body: bytes, margin: str) -> list[str]:
    text = base64.b64encode(body).decode()
    return [f"{margin}  {text[start : start + 100]}" for start in range(0, len(text), 100)]


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+|[{}\[\],:]', re.DOTALL)


def indented_json(text: str, *, indent: str = "  ") -> str:
    """JSON with one item a line. Numbers stay as they are spelt, and repeated keys stay repeated.

    Args:
        text: Valid JSON.
        indent: One level.
    """
    out: list[str] = []
    depth = 0
    pieces = _TOKEN.findall(text)
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece in "{[":
            depth += 1
            out.append(piece if following in ("}", "]") else f"{piece}\n{indent * depth}")
        elif piece in "}]":
            depth -= 1
            out.append(piece if out[-1] in ("{", "[") else f"\n{indent * depth}{piece}")
        elif piece == ",":
            out.append(f",\n{indent * depth}")
        elif piece == ":":
            out.append(": ")
        else:
            out.append(_readable_string(piece) if "\\u" in piece else piece)
    return "".join(out)


def _readable_string(literal: str) -> str:
    """A JSON string with letters instead of escapes, where YAML can hold them."""
    plain = json.dumps(json.loads(literal), ensure_ascii=False)
    return literal if _NOT_LITERAL.search(plain) else plain
