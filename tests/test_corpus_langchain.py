"""Real recordings, replayed by plain vcrpy through the LangChain client that speaks their format.

The index says for every call what that client reports. A client never sends the recorded request again (the prompt is
another), so a cassette is matched on where the request goes, and on the one interaction that is up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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

from pytest_llm_usage.ledger import Call
from pytest_llm_usage.tracker import LLMUsage
from pytest_llm_usage.usage import TokenUsage

pytestmark = [
    corpus.needs_corpus,
    # Older clients report some details otherwise, or not at all.
    pytest.mark.skipif(
        Version(langchain_core.__version__) < Version("1.7"), reason="the index tells of langchain-core 1.7's clients"
    ),
    # Not the plugin's own recorder: what is replayed here is matched in a way of its own.
    pytest.mark.llm_cassette(record="off"),
    # Clients warn of models that have been retired since, and of blocks that they do not know yet.
    pytest.mark.filterwarnings("ignore"),
]


def _cassettes() -> list[Any]:
    rows = sorted(
        (row for row in corpus.rows() if row["langchain"]), key=lambda row: (row["file"], row["interaction_index"])
    )
    return [
        pytest.param(file, list(calls), id=file.partition("/")[2].rpartition(".yaml")[0])
        for file, calls in groupby(rows, key=lambda row: row["file"])
    ]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("file", "rows"), _cassettes())
def test_cassette(file: str, rows: list[dict[str, Any]], *, asynchronous: bool, llm_usage: LLMUsage) -> None:
    """Every call of the cassette is one call in the test's usage, with the numbers that the index has for it."""
    if asynchronous:
        rows = [row for row in rows if not _differs(row).startswith(_OTHERWISE_IF_ASYNC)]
    with _replayed(file) as replayed:
        requested = [_call(replayed, row, asynchronous=asynchronous) for row in rows]
    calls = llm_usage.calls
    assert list(map(_counted, calls)) == list(map(_expected, rows))
    for call, row, model in zip(calls, rows, requested, strict=True):
        assert call.model in _models(row, model)


#: ChatCohere reads streams one way, and asynchronous streams another; the index has the first.
_OTHERWISE_IF_ASYNC = "C1 "


def _differs(row: Mapping[str, Any]) -> str:
    """How LangChain departs from the wire; empty where it does not."""
    return row["langchain"]["langchain_differs"] or ""


@dataclass(frozen=True)
class Counted:
    """What a test can read of a call, and what LangChain itself reported; the note only so that a failure shows it."""

    usage: TokenUsage | None
    reported: Mapping[str, Any] | None
    raised: bool
    note: str = field(default="", compare=False)


def _counted(call: Call) -> Counted:
    return Counted(call.usage, _without_zeros(call.reported), call.status in ("error", "aborted"), call.note)


def _expected(row: Mapping[str, Any]) -> Counted:
    langchain = row["langchain"]
    return Counted(_expected_usage(row), _without_zeros(langchain["usage"]), raised=langchain["raises"] is not None)


def _models(row: Mapping[str, Any], requested_model: str) -> tuple[str, ...]:
    """The model that LangChain names; where it loses the name, the response's or the one that was asked for."""
    named = row["langchain"]["model_name"]
    return (named,) if named else (row["model"], requested_model)


def _expected_usage(row: Mapping[str, Any]) -> TokenUsage | None:
    """The wire's numbers, which are in canonical form; LangChain's where it loses some."""
    langchain = row["langchain"]
    if langchain["usage"] is None:
        return None
    if _differs(row) and not _differs(row).endswith("(by design)"):
        return TokenUsage.from_langchain(langchain["usage"])[0]
    return TokenUsage.from_dict(row["usage"])


def _without_zeros(usage: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """`usage` with zero and absent details told as one."""
    if usage is None:
        return None
    details = {
        name: {key: count for key, count in (usage.get(name) or {}).items() if count}
        for name in ("input_token_details", "output_token_details")
    }
    counts = {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
    return counts | {name: detail for name, detail in details.items() if detail}


def _call(replayed: _Replayed, row: Mapping[str, Any], *, asynchronous: bool) -> str:
    """Makes the call of a line of the index; the model it asked for."""
    endpoint = replayed.put_up(row)
    model = chat_model(endpoint)
    # The recording may hold a refusal, or an answer that its client cannot read: the index says so.
    with suppress(Exception):
        if asynchronous:
            asyncio.run(_asked_async(model, stream=row["requested_stream"]))
        elif row["requested_stream"]:
            list(model.stream("hi"))
        else:
            model.invoke("hi")
    return endpoint.model


async def _asked_async(model: Any, *, stream: bool) -> None:
    if stream:
        async for _piece in model.astream("hi"):
            pass
    else:
        await model.ainvoke("hi")


# -- replaying -------------------------------------------------------------------------------------------------


class _Replayed:
    """An open cassette, of which one interaction at a time may be played."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._up: Request | None = None
        self._endpoint: Endpoint | None = None

    def put_up(self, row: Mapping[str, Any]) -> Endpoint:
        """Makes the interaction of a line of the index the one that may be played."""
        self._up = self.requests[row["interaction_index"]]
        self._endpoint = _endpoint(row, self._up.uri)
        return self._endpoint

    def matches(self, request: Request, recorded: Request) -> None:
        """vcrpy's matcher: what the recording still says of where the request went must be where this one goes."""
        assert recorded is self._up, "not the interaction that is up"
        assert request.method.upper() == recorded.method.upper()
        if self._endpoint.has_host:
            assert urlsplit(request.uri).netloc == urlsplit(recorded.uri).netloc.removesuffix(":443")
        if self._endpoint.has_route:
            assert plain_path(request.uri) == plain_path(recorded.uri)


@contextmanager
def _replayed(file: str) -> Iterator[_Replayed]:
    replayed = _Replayed()
    # aiohttp's stub hands compressed bodies on as they are.
    player = VCR(record_mode="none", match_on=["interaction"], decode_compressed_response=True)
    player.register_matcher("interaction", replayed.matches)
    player.register_persister(_Recordings)
    with player.use_cassette(str(corpus.ROOT / file)) as cassette:
        replayed.requests = cassette.requests
        yield replayed


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
