"""Client libraries as a test drives them: one request, read in one of several ways, and everything that the code sees.

A driver takes a `Plan` and gives a list of what happened, comparable with `==`: the head of the answer, every piece, the
error with its causes and frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import boto3
import botocore.config
import httpx
import httpx2
import requests
import urllib3

OWN = "pytest_llm_usage"
TIMEOUT_S = 20


@dataclass
class Plan:
    """How an answer is read.

    Attributes:
        mode: One of the modes of the driver.
        size: How many bytes are asked for at once, where the mode asks for some.
        stop_after: After how many pieces the reader stops; None to read to the end.
        stop_by: `close`, `raise` an error of its own, `cancel` (asynchronous clients), or `drop` what it has.
        received: Called with every piece, as it comes.
    """

    mode: str
    size: int = 7
    stop_after: int | None = None
    stop_by: str = "close"
    received: Callable[[bytes], object] = lambda piece: None
    seen: list[Any] = field(default_factory=list)

    def pieces(self, pieces: Iterator[Any]) -> None:
        for index, piece in enumerate(pieces):
            self.take(piece)
            if self.stop_after is not None and index + 1 >= self.stop_after:
                if self.stop_by == "raise":
                    raise UsersError
                break

    async def apieces(self, pieces: AsyncIterator[Any]) -> None:
        index = 0
        async for piece in pieces:
            self.take(piece)
            index += 1
            if self.stop_after is not None and index >= self.stop_after:
                if self.stop_by == "raise":
                    raise UsersError
                if self.stop_by == "cancel":
                    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
                    continue
                break

    def take(self, piece: Any) -> None:
        self.seen.append(piece)
        raw = piece[0] if isinstance(piece, tuple) else piece
        self.received(raw.encode() if isinstance(raw, str) else bytes(raw))

    def head(self, response: Any, status: int, headers: Any) -> None:
        self.seen.append(
            (type(response).__qualname__, type(response).__module__, status, sorted(dict(headers).items()))
        )


class UsersError(Exception):
    """An error of the code under test."""


def seen_of(run: Callable[[str, bytes, Plan], None], url: str, body: bytes, plan: Plan) -> list[Any]:
    """What the code under test sees of one request."""
    try:
        run(url, body, plan)
    except BaseException as error:
        plan.seen.append(shown(error))
        # The traceback goes, as it would with a test's error.
        error.__traceback__ = None
    return plan.seen


def shown(error: BaseException | None) -> Any:
    """An error, its causes and the frames that are not ours."""
    if error is None:
        return None
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        if OWN not in traceback.tb_frame.f_code.co_filename:
            frames.append(traceback.tb_frame.f_code.co_qualname)
        traceback = traceback.tb_next
    text = re.sub(r"0x[0-9a-f]+|port=\d+|127\.0\.0\.1:\d+", "…", str(error))
    return (type(error).__qualname__, text, frames, shown(error.__cause__), shown(error.__context__))


# --- Synchronous ------------------------------------------------------------------------------------------------------


def httpx_sync(library: Any, url: str, body: bytes, plan: Plan) -> None:
    with (
        library.Client(timeout=TIMEOUT_S, trust_env=False, verify=False) as client,
        client.stream("POST", url, content=body, headers={"content-type": "application/json"}) as response,
    ):
        plan.head(response, response.status_code, response.headers.multi_items())
        if plan.mode == "read":
            plan.take(response.read())
        else:
            plan.pieces(_httpx_pieces(response, plan))
        plan.seen.append((response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded))


def _httpx_pieces(response: Any, plan: Plan, prefix: str = "") -> Any:
    if plan.mode == "raw-sized":
        return getattr(response, f"{prefix}iter_raw")(plan.size)
    return getattr(response, f"{prefix}iter_{plan.mode}")()


def requests_sync(url: str, body: bytes, plan: Plan) -> None:
    with requests.Session() as session:
        session.trust_env = False
        is_stream = plan.mode != "content"
        with session.post(url, data=body, stream=is_stream, timeout=TIMEOUT_S) as response:
            plan.head(response, response.status_code, response.headers)
            plan.seen.append(type(response.raw).__qualname__)
            if plan.mode in ("content", "late-content"):
                plan.take(response.content)
            elif plan.mode == "iter":
                plan.pieces(response.iter_content(None))
            elif plan.mode == "iter-sized":
                plan.pieces(response.iter_content(plan.size))
            elif plan.mode == "lines":
                plan.pieces(response.iter_lines())
            elif plan.mode == "raw-sized":
                plan.pieces(iter(partial(response.raw.read, plan.size), b""))
            plan.seen.append(response.raw.closed)


def urllib3_sync(url: str, body: bytes, plan: Plan) -> None:
    with urllib3.PoolManager(timeout=TIMEOUT_S, retries=False) as pool:
        response = pool.request("POST", url, body=body, preload_content=plan.mode == "preload")
        plan.head(response, response.status, response.headers)
        try:
            if plan.mode == "preload":
                plan.take(response.data)
            elif plan.mode == "read":
                plan.take(response.read())
            elif plan.mode == "late-data":
                plan.take(response.data)
            elif plan.mode == "stream":
                plan.pieces(response.stream())
            elif plan.mode == "stream-sized":
                plan.pieces(response.stream(plan.size))
            elif plan.mode == "read-sized":
                plan.pieces(iter(partial(response.read, plan.size), b""))
            elif plan.mode == "read1":
                plan.pieces(iter(response.read1, b""))
            elif plan.mode == "lines":
                plan.pieces(iter(response))
        finally:
            plan.seen.append((response.closed, response.tell()))
            response.release_conn()


def http_client_sync(url: str, body: bytes, plan: Plan) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("POST", parts.path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        plan.head(response, response.status, response.getheaders())
        _read_file(response, plan)
        plan.seen.append(response.isclosed())


def urllib_sync(url: str, body: bytes, plan: Plan) -> None:
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            plan.head(response, response.status, response.getheaders())
            _read_file(response, plan)
    except urllib.error.HTTPError as error:
        error.close()
        raise


def _read_file(response: Any, plan: Plan) -> None:
    if plan.mode == "read":
        plan.take(response.read())
    elif plan.mode == "read-sized":
        plan.pieces(iter(partial(response.read, plan.size), b""))
    elif plan.mode == "read1":
        plan.pieces(iter(response.read1, b""))
    elif plan.mode == "lines":
        plan.pieces(iter(response))
    elif plan.mode == "readinto":
        buffer = bytearray(plan.size)
        while size := response.readinto(buffer):
            plan.take(bytes(buffer[:size]))


def botocore_sync(url: str, body: bytes, plan: Plan) -> None:
    config = botocore.config.Config(
        retries={"max_attempts": 0}, read_timeout=TIMEOUT_S, signature_version=botocore.UNSIGNED, proxies={}
    )
    parts = urlsplit(url)
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        config=config,
    )
    with contextlib.closing(client):
        if plan.mode == "converse":
            told = client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "x"}]}])
            plan.seen.append(sorted(told["ResponseMetadata"]["HTTPHeaders"].items()))
            return
        told = client.invoke_model(modelId="m", body=body)
        stream = told["body"]
        plan.head(stream, told["ResponseMetadata"]["HTTPStatusCode"], told["ResponseMetadata"]["HTTPHeaders"])
        try:
            if plan.mode == "read":
                plan.take(stream.read())
            elif plan.mode == "sized":
                plan.pieces(stream.iter_chunks(plan.size))
            elif plan.mode == "lines":
                plan.pieces(stream.iter_lines(plan.size))
        finally:
            stream.close()


# --- Asynchronous -----------------------------------------------------------------------------------------------------


async def httpx_async(library: Any, url: str, body: bytes, plan: Plan) -> None:
    async with (
        library.AsyncClient(timeout=TIMEOUT_S, trust_env=False, verify=False) as client,
        client.stream("POST", url, content=body, headers={"content-type": "application/json"}) as response,
    ):
        plan.head(response, response.status_code, response.headers.multi_items())
        if plan.mode == "read":
            plan.take(await response.aread())
        else:
            await plan.apieces(_httpx_pieces(response, plan, "a"))
        plan.seen.append((response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded))


async def aiohttp_async(url: str, body: bytes, plan: Plan) -> None:
    # Now and then it waits for the rest of a broken answer, observed or not.
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S / 5)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers={"content-type": "application/json"}) as response,
    ):
        plan.head(response, response.status, response.headers)
        plan.seen.append(type(response.content).__qualname__)
        if plan.mode == "read":
            plan.take(await response.read())
        elif plan.mode == "any":
            await plan.apieces(response.content.iter_any())
        elif plan.mode == "sized":
            await plan.apieces(response.content.iter_chunked(plan.size))
        elif plan.mode == "chunks":
            await plan.apieces(response.content.iter_chunks())
        elif plan.mode == "lines":
            await plan.apieces(response.content)
        plan.seen.append((response.closed, response.content.at_eof()))


def run_async(driver: Callable[..., Any], url: str, body: bytes, plan: Plan) -> None:
    asyncio.run(driver(url, body, plan))


@dataclass(frozen=True)
class Driver:
    """One client library.

    Attributes:
        run: Makes a request and reads it as planned.
        modes: The ways to read; those that give what has arrived, without waiting for more, are `eager`.
        eager: See `modes`.
        path: The path that is asked.
    """

    run: Callable[[str, bytes, Plan], None]
    modes: tuple[str, ...]
    eager: tuple[str, ...] = ()
    path: str = "/v1/chat/completions"


_HTTPX = ("read", "raw", "raw-sized", "bytes", "text", "lines")
DRIVERS = {
    "httpx": Driver(partial(httpx_sync, httpx), _HTTPX, ("raw",)),
    "httpx-async": Driver(partial(run_async, partial(httpx_async, httpx)), _HTTPX, ("raw",)),
    "httpx2": Driver(partial(httpx_sync, httpx2), _HTTPX, ("raw",)),
    "httpx2-async": Driver(partial(run_async, partial(httpx_async, httpx2)), _HTTPX, ("raw",)),
    "requests": Driver(
        requests_sync, ("content", "late-content", "iter", "iter-sized", "lines", "raw-sized"), ("iter",)
    ),
    "urllib3": Driver(
        urllib3_sync,
        ("preload", "read", "late-data", "stream", "stream-sized", "read-sized", "read1", "lines"),
        ("stream", "read1"),
    ),
    "http.client": Driver(http_client_sync, ("read", "read-sized", "read1", "lines", "readinto"), ("read1",)),
    "urllib": Driver(urllib_sync, ("read", "read-sized", "read1", "lines", "readinto"), ("read1",)),
    "aiohttp": Driver(partial(run_async, aiohttp_async), ("read", "any", "sized", "chunks", "lines"), ("any",)),
    "botocore": Driver(botocore_sync, ("read", "sized", "lines", "converse"), path="/model/m/invoke"),
}
QUESTION = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "fastest bird?"}]}).encode()
