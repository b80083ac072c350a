"""Real recordings, replayed by plain vcrpy through the LangChain client that speaks their format.

A client never sends the recorded request again (the prompt is another), so a request matches by where it goes, and only
the one interaction that was selected.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import Any
from urllib.parse import unquote, urlsplit

import corpus
import langchain_core
import pytest
from langchain_clients import Endpoint, chat_model, plain_path
from packaging.version import Version
from vcr import VCR
from vcr.persisters.filesystem import FilesystemPersister
from vcr.request import Request

#: What every test needs that replays them.
MARKS = [
    corpus.needs_corpus,
    # Older clients report some details otherwise, or not at all.
    pytest.mark.skipif(
        Version(langchain_core.__version__) < Version("1.7"), reason="the index is about langchain-core 1.7's clients"
    ),
    # Not the plugin's own recorder: what is replayed here is matched in a way of its own.
    pytest.mark.llm_cassette(record="live"),
    # Clients warn of models that have been retired since, and of blocks that they do not know yet.
    pytest.mark.filterwarnings("ignore"),
]


def cassettes() -> list[Any]:
    """The recordings with calls that LangChain has a client for: parameters `file` and `rows` of a test."""
    rows = sorted(
        (row for row in corpus.rows() if row["langchain"]), key=lambda row: (row["file"], row["interaction_index"])
    )
    return [
        pytest.param(file, list(calls), id=file.partition("/")[2].rpartition(".yaml")[0])
        for file, calls in groupby(rows, key=lambda row: row["file"])
    ]


def make_call(replaying: Replayed, row: Mapping[str, Any], *, asynchronous: bool) -> str:
    """Makes the call of a line of the index, and returns the requested model."""
    endpoint = replaying.select(row)
    model = chat_model(endpoint)
    # The recording may hold a refusal, or an answer that its client cannot read: the index says so.
    with suppress(Exception):
        if asynchronous:
            asyncio.run(_ask_async(model, stream=row["requested_stream"]))
        elif row["requested_stream"]:
            list(model.stream("hi"))
        else:
            model.invoke("hi")
    return endpoint.model


async def _ask_async(model: Any, *, stream: bool) -> None:
    if stream:
        async for _piece in model.astream("hi"):
            pass
    else:
        await model.ainvoke("hi")


class Replayed:
    """An open cassette, of which one interaction at a time may be played."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._selected: Request | None = None
        self._endpoint: Endpoint | None = None

    def select(self, row: Mapping[str, Any]) -> Endpoint:
        """Makes the interaction of a line of the index the one that may be played."""
        self._selected = self.requests[row["interaction_index"]]
        self._endpoint = _endpoint(row, self._selected.uri)
        return self._endpoint

    def matches(self, request: Request, recorded: Request) -> None:
        """vcrpy's matcher: the request must go where the recording says, as far as its URL was not redacted."""
        assert recorded is self._selected, "not the selected interaction"
        assert request.method.upper() == recorded.method.upper()
        if self._endpoint.has_host:
            assert urlsplit(request.uri).netloc == urlsplit(recorded.uri).netloc.removesuffix(":443")
        if self._endpoint.has_route:
            assert plain_path(request.uri) == plain_path(recorded.uri)


@contextmanager
def replayed(file: str) -> Iterator[Replayed]:
    """Opens a cassette."""
    replaying = Replayed()
    # aiohttp's stub hands compressed bodies on as they are.
    player = VCR(record_mode="none", match_on=["interaction"], decode_compressed_response=True)
    player.register_matcher("interaction", replaying.matches)
    player.register_persister(_Recordings)
    with player.use_cassette(str(corpus.ROOT / file)) as cassette:
        replaying.requests = cassette.requests
        yield replaying


#: Bedrock and Gemini have the model in the URL alone.
_MODEL_IN_PATH = re.compile(r"/models?/(.+)(?:/(?:converse|invoke)[\w-]*|:(?:g|streamG)enerateContent)$")


def _endpoint(row: Mapping[str, Any], url: str) -> Endpoint:
    url = re.split("[?#]", url, maxsplit=1)[0]
    in_path = _MODEL_IN_PATH.search(unquote(url))
    return Endpoint(
        client=row["langchain"]["class"],
        api_flavour=row["api_flavour"],
        url=url,
        model=in_path[1] if in_path else row["request_model"] or row["model"] or "unnamed",
    )


class _Recordings(FilesystemPersister):
    """vcrpy's own reader, and for layouts of other tools, which it cannot replay, the same content in its layout."""

    @classmethod
    def load_cassette(cls, cassette_path: Any, serializer: Any) -> Any:
        try:
            requests, responses, *_ = super().load_cassette(cassette_path, serializer)
        except (KeyError, TypeError, ValueError):
            return _relaid(cassette_path)
        return (requests, responses) if all(map(_replays, responses)) else _relaid(cassette_path)


def _replays(response: Mapping[str, Any]) -> bool:
    return "body" in response and not _claims_compression(response["headers"], response["body"]["string"] or b"")


def _claims_compression(headers: Mapping[str, Any], body: bytes) -> bool:
    """Whether a header says that a body is compressed which was decompressed before it was stored."""
    return any(name.lower() == "content-encoding" for name in headers) and _is_text(body)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _relaid(path: Any) -> tuple[list[Request], list[dict[str, Any]]]:
    requests, responses = [], []
    for exchange in corpus.exchanges(str(path)):
        requests.append(Request(exchange.method, exchange.url, exchange.request_body, exchange.request_headers))
        headers = exchange.response_headers
        if _claims_compression(headers, exchange.response_body):
            headers = {name: values for name, values in headers.items() if name.lower() != "content-encoding"}
        responses.append(
            {
                "status": {"code": exchange.status, "message": ""},
                "headers": headers,
                "body": {"string": exchange.response_body},
            }
        )
    return requests, responses
