"""`parse`: the text of a cassette → interactions, whichever recorder wrote it.

It reads vcrpy's own layout (any version, YAML or JSON), that of Ruby's VCR (`http_interactions`), the columns of
langchain-tests (`requests:` and `responses:`), bodies stored parsed (`parsed_body`), the layout of early httpx
recorders (`content`, `status_code`), and header names that were written as Python objects. No YAML tag ever makes a
Python object that is not plain data.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.errors import CassetteError

__all__ = ["parse"]

_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: How many values a document with aliases may expand to. Recorders write aliases for header lists that occur twice; a
#: document that expands further was made to do so.
_MAX_EXPANDED_VALUES = 5_000_000
_ANCHOR = re.compile(r"&\w")
#: The first line of a conflict as git marks it. A body cannot hold such a line: in YAML it is indented, in JSON one line.
_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
_MAX_STATUS = 999
#: How many members merges (`<<`) may add in all. Up to PyYAML 6.0.3, merges of merges double them with each line.
_MAX_MERGED = 100_000


class _Loader(_BaseLoader):  # type: ignore[misc]
    """Plain data only, with the few Python tags that recorders have written for plain data."""

    _merged = 0

    def construct_document(self, node: Any) -> Any:
        """Refuse a name that occurs twice: Python keeps only the last value, so recordings would be lost."""
        _refuse_twice(_names(node))
        for key, rows in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.value in _ROWS and isinstance(rows, yaml.SequenceNode):
                for row in rows.value:
                    _refuse_twice(_names(row))
        return super().construct_document(node)

    def flatten_mapping(self, node: Any) -> None:
        """Merge what `<<` names, unless it is a bomb."""
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(merged, yaml.MappingNode):
                        self.flatten_mapping(merged)
                    self._merged += len(merged.value)
                    if self._merged > _MAX_MERGED:
                        raise CassetteError(f"its merges (<<) stand for more than {_MAX_MERGED:,} members")
        super().flatten_mapping(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Read header names that are objects of another class (`istr`): the text in them is the name."""
        for position, (key, value) in enumerate(node.value if isinstance(node, yaml.MappingNode) else ()):
            if key.tag in _NUMBERS:
                key.tag = _TEXT  # numbers can be chosen so that thousands of them collide in a dictionary
            if key.tag.startswith(_OBJECT_TAGS) and isinstance(key, yaml.SequenceNode) and len(key.value) == 1:
                node.value[position] = (key.value[0], value)
        return super().construct_mapping(node, deep=deep)


#: The names under which a cassette has its recordings, and the parts of one.
_ROWS = ("interactions", "http_interactions")
_COLUMNS = ("requests", "responses")
_PARTS = ("request", "response")


def _names(node: Any) -> list[Any]:
    return [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []


def _refuse_twice(names: list[Any]) -> None:
    for name in (*_ROWS, *_COLUMNS, *_PARTS):
        if names.count(name) > 1:
            raise CassetteError(f"it has {name!r} twice in one place, perhaps after a merge: combine the two")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a cassette in JSON."""
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse_twice([name for name, _ in pairs])
    return found


def _plain_text(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_scalar(node)


def _plain_tuple(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_sequence(node, deep=True)


def _file_content(loader: Any, node: yaml.Node) -> Any:
    state = loader.construct_mapping(node, deep=True).get("state")
    return _joined(state[:1]) if isinstance(state, list | tuple) else b""


def _enumerated(loader: Any, node: yaml.Node) -> Any:
    values = loader.construct_sequence(node)
    return values[0] if values else None


def _joined_parts(loader: Any, node: yaml.Node) -> Any:
    arguments = loader.construct_mapping(node, deep=True).get("args")
    return _joined(arguments[0]) if isinstance(arguments, list | tuple) and arguments else b""


def _joined(parts: Any) -> bytes:
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str | bytes) for part in parts):
        raise CassetteError("a body in it is made of something other than text and bytes")
    return b"".join(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts)


# Dates stay text: in headers, and in bodies that were stored parsed.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _BaseLoader.yaml_implicit_resolvers.items()
}
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
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
# Ruby's tag for binary data.
_Loader.add_constructor("!binary", _Loader.construct_yaml_binary)


def parse(data: bytes) -> list[Interaction]:
    """The interactions of a cassette, in recorded order.

    Args:
        data: The file's content, decompressed.

    Raises:
        CassetteError: It is not a cassette, is damaged, or asks for Python objects. The message has no path, which the
            caller knows.
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
            raise CassetteError("it has a different number of requests and responses")
        pairs = list(zip(requests, responses, strict=True))
    else:
        raise CassetteError("it has neither 'interactions' nor 'requests' and 'responses'")
    return [_interaction(number, request, response) for number, (request, response) in enumerate(pairs, 1)]


def _document(text: str) -> Any:
    if not text.strip():
        raise CassetteError("it is empty")
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        raise CassetteError(f"it has a merge conflict, line {line:,}: resolve it, or record the cassette again")
    try:
        if text.startswith("{"):
            return json.loads(text, object_pairs_hook=_object)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, see above
    except yaml.constructor.ConstructorError as error:
        where = f", line {error.problem_mark.line + 1:,}" if error.problem_mark else ""
        raise CassetteError(f"it asks for something other than plain data{where}: {error.problem}") from None
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1:,}" if error.problem_mark else ""
        raise CassetteError(f"it is not valid YAML{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise CassetteError(f"it cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}") from None
    except RecursionError:
        raise CassetteError("it is nested too deeply") from None
    if _ANCHOR.search(text):
        _check_expansion(document)
    return document


def _check_expansion(document: Any) -> None:
    """Refuse aliases that explode: count the values that the document expands to, visiting each shared part once."""
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
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
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
    if not 0 <= int(code) <= _MAX_STATUS:
        raise ValueError("its status is not a number from 0 to 999")
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
