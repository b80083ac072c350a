"""Reading public recordings of provider traffic, in every layout they come in.

`LLM_USAGE_CORPUS` names the folder with its `index.jsonl`; without it `../shared/corpus` beside the repository is
tried. Tests that need it skip where it is missing. Deliberately more lenient than the product's own cassette reader:
header names that are tagged Python objects, httpx's old layout and columnar files are read as well.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llm_usage.wire.exchange import Exchange

ROOT = Path(os.environ.get("LLM_USAGE_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus").resolve()

needs_corpus = pytest.mark.skipif(
    not (ROOT / "index.jsonl").is_file(), reason=f"no recordings at {ROOT} (set LLM_USAGE_CORPUS)"
)


@lru_cache(maxsize=1)
def rows() -> list[dict[str, Any]]:
    """The lines of the index; none if there is no corpus."""
    index = ROOT / "index.jsonl"
    if not index.is_file():
        return []
    return [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]


def row_id(row: Mapping[str, Any]) -> str:
    """A test id that leads back to the recording."""
    return f"{row['api_flavour']}-{Path(row['file']).stem}-{row['interaction_index']}"


def exchange(row: Mapping[str, Any]) -> Exchange:
    """The interaction that a line of the index refers to."""
    return exchanges(row["file"])[row["interaction_index"]]


@lru_cache(maxsize=64)
def exchanges(file: str) -> list[Exchange]:
    """Every interaction of a cassette, in the order of the file."""
    path = ROOT / file
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    document = yaml.load(content, Loader=_LenientLoader)
    if "interactions" in document:
        return [_exchange(pair["request"], pair["response"]) for pair in document["interactions"]]
    return [
        _exchange(request, response)
        for request, response in zip(document["requests"], document["responses"], strict=True)
    ]


class _LenientLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that takes tagged Python objects for the string they hold."""


def _untagged(loader: Any, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return "".join(str(item) for item in loader.construct_sequence(node, deep=True))
    if isinstance(node, yaml.MappingNode):
        return json.dumps(loader.construct_mapping(node, deep=True), default=str)
    return loader.construct_scalar(node)


_LenientLoader.add_multi_constructor("tag:yaml.org,2002:python/", _untagged)


def _exchange(request: Mapping[str, Any], response: Mapping[str, Any]) -> Exchange:
    status = response.get("status")
    code = status.get("code") if isinstance(status, Mapping) else response.get("status_code", status)
    return Exchange(
        method=request["method"],
        url=str(request["uri"]),
        request_headers=_headers(request.get("headers")),
        request_body=_body(request),
        status=int(code or 0),
        response_headers=_headers(response.get("headers")),
        response_body=_body(response),
    )


def _headers(headers: Mapping[Any, Any] | None) -> dict[str, list[str]]:
    return {
        str(name): [str(value) for value in (values if isinstance(values, list) else [values])]
        for name, values in (headers or {}).items()
    }


def _body(message: Mapping[str, Any]) -> bytes:
    for key in ("body", "content", "parsed_body"):
        value = message.get(key)
        if key == "body" and isinstance(value, Mapping) and "string" in value:
            value = value["string"]
        if value is None or value == {}:
            continue
        if isinstance(value, bytes):
            return value
        # YAML may hold half of a surrogate pair.
        return (
            value.encode(errors="surrogatepass") if isinstance(value, str) else json.dumps(value, default=str).encode()
        )
    return b""
