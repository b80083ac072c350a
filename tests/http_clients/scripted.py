"""A server on loopback that does what a test's script says, step by step, and a sink that keeps what it is told.

The raw bytes of an answer are sent as the script has them: whatever a server may send, a well-formed answer or not.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_llm_usage.wire import may_ask_model

#: The path of a model, and one that asks none.
MODEL_PATH = "/v1/chat/completions"
OTHER_PATH = "/v1/things"

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "bird"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "fastest bird?"}]}


def events(*, pieces: int = 3, usage: bool = True) -> list[bytes]:
    """The events of a streamed answer, one a piece."""
    chunk = {**ANSWER, "object": "chat.completion.chunk", "usage": None}
    told = [{**chunk, "choices": [{"index": 0, "delta": {"content": f"w{n} "}}]} for n in range(pieces)]
    told.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        told.append({**chunk, "choices": [], "usage": ANSWER["usage"]})
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in told] + [b"data: [DONE]\n\n"]


def encoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, mtime=0)
    if encoding == "deflate":
        return zlib.compress(body)
    return body


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""


@dataclass
class Script:
    """What the server does with one connection.

    Attributes:
        sends: What is sent, in order: bytes, or a function that is called (to wait for the client).
        end: `keep` the connection for the next request, `close` it, or `reset` it.
    """

    sends: list[bytes | Callable[[], object]]
    end: str = "keep"


def answer(
    pieces: list[bytes], *, status: str = "200 OK", headers: tuple[str, ...] = (), framing: str = "chunked"
) -> Script:
    """A script that answers with `pieces`, each sent by itself."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if framing == "chunked":
        lines.append("transfer-encoding: chunked")
        sends = [*map(chunked, pieces), b"0\r\n\r\n"]
    elif framing == "length":
        lines.append(f"content-length: {len(b''.join(pieces))}")
        sends = list(pieces)
    else:
        lines.append("connection: close")
        sends = list(pieces)
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return Script([head, *sends], end="close" if framing == "close" else "keep")


def json_answer(body: Any = ANSWER, *headers: str, status: str = "200 OK") -> Script:
    return answer(
        [json.dumps(body).encode()],
        status=status,
        headers=("content-type: application/json", *headers),
        framing="length",
    )


def stream_answer(**keywords: Any) -> Script:
    return answer(events(**keywords), headers=("content-type: text/event-stream",))


class ScriptedServer:
    """Answers the requests of all connections with its scripts, the next one each."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.requests: list[bytes] = []
        self.n_connections = 0
        #: Set when the client has what it wants.
        self.is_done = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._is_closed = False
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close what clients left open."""
        while self._connections:
            with contextlib.suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.n_connections += 1
            self._connections.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            reader = connection.makefile("rb")
            while (request := _read_request(reader)) is not None:
                self.requests.append(request)
                script = self.scripts.pop(0)
                for step in script.sends:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        step()
                if script.end == "reset":
                    # A linger of no time sends RST.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if script.end != "keep":
                    return


def _read_request(reader: Any) -> bytes | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return None
        head += line
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    body = b""
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get(b"content-length", b"0")))
    return head + body


@dataclass
class KeptSink:
    """Keeps what it is told; `stop` is raised before a request is sent, `break_on` makes it fail in one of its methods."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, Any], bytes]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    exchanges: list[Any] = field(default_factory=list)
    tickets: list[object] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    unanswered_tickets: list[object] = field(default_factory=list)
    stop: BaseException | None = None
    stop_network: BaseException | None = None
    break_on: str = ""
    observation: Any = None

    def wants(self, method, url):
        self._break("wants")
        self.asked.append((method, url))
        return may_ask_model(method, url)

    def wants_answer(self, method, url, headers, *, live):
        self._break("wants_answer")
        return may_ask_model(method, url)

    def before_send(self, method, url, headers, body):
        self._break("before_send")
        if self.stop is not None:
            raise self.stop
        self.sent.append((method, url, dict(headers), body))
        return len(self.sent)

    def before_network(self, url, ticket):
        self._break("before_network")
        if self.stop_network is not None:
            raise self.stop_network
        self.left.append(url)

    def observe(self, exchange, ticket):
        self._break("observe")
        self.exchanges.append(exchange)
        self.tickets.append(ticket)

    def unanswered(self, ticket):
        self.unanswered_tickets.append(ticket)

    def failed(self, subject, error):
        self.failures.append((subject, error))

    def _break(self, method: str) -> None:
        if self.break_on == method:
            raise RuntimeError(f"a mistake in {method}")


@contextlib.contextmanager
def observing(sink: KeptSink) -> Iterator[Any]:
    """Observation of every library that is imported, for a block."""
    from pytest_llm_usage.http_clients import HttpObservation

    with contextlib.ExitStack() as closers:
        yield HttpObservation(lambda: sink, closers)
