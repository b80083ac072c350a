"""httpx requests to a server on loopback, with and without observation, in blocks that alternate within one process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from benchmarks.measure import Comparison

CHUNKS = 64
#: Requests in a block: few, so that other work on the machine affects both sides alike.
BLOCK = 50

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def compare(requests: int, streams: int) -> list[Comparison]:
    """`requests` that ask no model, and `streams` of 64 chunks that one answers; the processor time of the client."""
    import httpx

    with _server() as url, httpx.Client(trust_env=False) as client:

        def ask() -> None:
            client.get(f"{url}/v1/things")

        def stream() -> None:
            with client.stream("POST", f"{url}/v1/chat/completions", json={"model": "m", "messages": []}) as response:
                for _ in response.iter_bytes():
                    pass

        return [
            _compared(f"{requests:,} requests of httpx to no model", ask, requests, 1.03),
            _compared(f"{streams:,} streams of {CHUNKS} chunks, read by httpx", stream, streams, 1.05),
        ]


def _compared(what: str, run: Callable[[], None], times: int, most_ratio: float) -> Comparison:
    """The medians of all blocks of each side."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 + 2 * times // BLOCK):
        # Which side goes first changes from pair to pair.
        is_observed = number % 4 in (1, 2)
        with ExitStack() as closers:
            if is_observed:
                _observe(closers)
            run()
            start = time.process_time()
            for _ in range(BLOCK):
                run()
            duration_s = time.process_time() - start
        if number > 1:
            seconds[is_observed].append(duration_s)
    return Comparison(what, median(seconds[True]) / BLOCK, median(seconds[False]) / BLOCK, most_ratio)


def _observe(closers: ExitStack) -> None:
    from pytest_llm_usage.http_clients import HttpObservation
    from pytest_llm_usage.wire import may_ask_model

    class Sink:
        wants = staticmethod(may_ask_model)

        def before_send(self, *_: object) -> None:
            pass

        def wants_answer(self, *_: object, live: bool) -> bool:
            return True

        def before_network(self, *_: object) -> None:
            pass

        def observe(self, *_: object) -> None:
            """Nothing: exchanges are read when the test asks for its calls, which `wire_reading` measures."""

        def unanswered(self, ticket: object) -> None:
            pass

        def failed(self, subject: str, error: Exception) -> None:
            raise SystemExit(f"{subject}: {error}")

    HttpObservation(Sink, closers)


@contextmanager
def _server() -> Iterator[str]:
    """A server in a process of its own."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def _serve() -> None:
    """Answers the one connection of the client, GET with some JSON and POST with a stream."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    body = json.dumps({"things": ["some"] * 20}).encode()
    plain = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "usage": None}
    events = [{**chunk, "choices": [{"index": 0, "delta": {"content": f" word{n}"}}]} for n in range(CHUNKS - 1)]
    events.append({**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}})
    texts = [b"data: %s\n\n" % json.dumps(event).encode() for event in events]
    stream = _HEAD + b"".join(b"%x\r\n%s\r\n" % (len(text), text) for text in texts) + b"0\r\n\r\n"
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while request := connection.recv(65536):
                if request.startswith(b"GET"):
                    connection.sendall(plain)
                    continue
                head, _, sent = request.partition(b"\r\n\r\n")
                expected = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                while len(sent) < expected:
                    sent += connection.recv(65536)
                connection.sendall(stream)


if __name__ == "__main__":
    _serve()
