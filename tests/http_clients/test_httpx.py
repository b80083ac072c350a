"""httpx and httpx2: every response to a model call is told of, once, and nothing else changes."""

import asyncio
import copy
import gc
import gzip
import importlib
import io
import json
import pickle
import threading

import anyio
import httpx
import httpx2
import pytest
import pytest_httpx
import respx
from scripted import (
    ANSWER,
    MODEL_PATH,
    OTHER_PATH,
    QUESTION,
    KeptSink,
    Script,
    answer,
    chunked,
    events,
    json_answer,
    observing,
    stream_answer,
)

from pytest_llm_usage.wire import read
from pytest_llm_usage.wire.in_flight import claim, in_flight


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request):
    return request.param


def totals(sink):
    return [call.usage.total_tokens if call.usage else None for call in map(read, sink.exchanges) if call]


class TestOnce:
    def test_json(self, library, server, sink):
        server.scripts = [json_answer()]
        response = library.post(server.url + MODEL_PATH, json=QUESTION)
        assert response.json() == ANSWER
        assert type(response) is library.Response
        (exchange,) = sink.exchanges
        assert json.loads(exchange.request_body) == QUESTION
        assert (exchange.method, exchange.url, exchange.status) == ("POST", server.url + MODEL_PATH, 200)
        assert totals(sink) == [12]
        assert sink.tickets == [1]

    def test_async(self, library, server, sink):
        server.scripts = [json_answer()]

        async def ask():
            async with library.AsyncClient() as client:
                return await client.post(server.url + MODEL_PATH, json=QUESTION)

        assert asyncio.run(ask()).json() == ANSWER
        assert totals(sink) == [12]

    @pytest.mark.parametrize("encoding", ["identity", "gzip", "br", "zstd"])
    def test_stream_in_any_encoding(self, library, server, sink, encoding):
        import brotli
        import zstandard

        if encoding not in importlib.import_module(f"{library.__name__}._decoders").SUPPORTED_DECODERS:
            pytest.skip(f"{library.__name__} has no decoder")
        body = b"".join(events())
        encode = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}.get(encoding, bytes)
        headers = ("content-type: text/event-stream", f"content-encoding: {encoding}")
        server.scripts = [answer([encode(body)], headers=headers)]
        with library.stream("POST", server.url + MODEL_PATH, json=QUESTION) as response:
            assert sink.exchanges == []
            assert "".join(response.iter_text()).encode() == body
        assert totals(sink) == [12]

    def test_abandoned_stream_is_told_of_when_the_test_ends(self, library, server):
        sink = KeptSink()
        with observing(sink) as observation:
            server.scripts = [stream_answer()]
            client = library.Client()
            response = client.send(client.build_request("POST", server.url + MODEL_PATH, json=QUESTION), stream=True)
            pieces = response.iter_raw()
            next(pieces)
            assert sink.exchanges == []
            client.close()
            del pieces, response
            gc.collect()
            observation.flush()
            assert [read(exchange).status for exchange in sink.exchanges] == ["aborted"]

    def test_closed_stream(self, library, server, sink):
        server.scripts = [stream_answer()]
        with library.stream("POST", server.url + MODEL_PATH, json=QUESTION) as response:
            next(response.iter_lines())
        assert [read(exchange).status for exchange in sink.exchanges] == ["aborted"]

    def test_other_paths_are_not_looked_at(self, library, server, sink):
        server.scripts = [json_answer(), json_answer()]
        with library.Client() as client:
            client.post(server.url + OTHER_PATH, json=QUESTION)
            response = client.post(server.url + OTHER_PATH, json=QUESTION)
        assert type(response.stream._stream).__module__.startswith(library.__name__)
        # The same address is looked at once.
        assert sink.asked == [("POST", server.url + OTHER_PATH)]
        assert (sink.sent, sink.exchanges) == ([], [])

    def test_redirect_to_a_model(self, library, server, sink):
        moved = answer([], status="307 Moved", headers=(f"location: {MODEL_PATH}",), framing="length")
        server.scripts = [moved, json_answer()]
        response = library.post(server.url + OTHER_PATH, json=QUESTION, follow_redirects=True)
        assert [past.status_code for past in response.history] == [307]
        assert totals(sink) == [12]

    def test_retry_counts_where_it_was_answered(self, library, server, sink):
        server.scripts = [json_answer({"error": {}}, status="500 No"), json_answer()]
        with library.Client() as client:
            for _ in range(2):
                client.post(server.url + MODEL_PATH, json=QUESTION)
        assert [exchange.status for exchange in sink.exchanges] == [500, 200]
        assert totals(sink) == [12]

    def test_a_claimed_request_is_not_told_of(self, library, sink):
        def replay(request):
            claim()
            return library.Response(200, json=ANSWER)

        with library.Client(transport=library.MockTransport(replay)) as client:
            client.post("https://api.openai.com/v1/chat/completions", json=QUESTION)
        assert len(sink.sent) == 1
        assert sink.exchanges == []

    def test_several_threads(self, library, server, sink):
        server.scripts = [json_answer() for _ in range(8)]

        def ask():
            library.post(server.url + MODEL_PATH, json=QUESTION)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert totals(sink) == [12] * 8
        assert sorted(sink.tickets) == list(range(1, 9))

    def test_several_tasks(self, library, server, sink):
        server.scripts = [stream_answer() for _ in range(8)]

        async def ask():
            async with library.AsyncClient() as client:
                return await asyncio.gather(*(client.post(server.url + MODEL_PATH, json=QUESTION) for _ in range(8)))

        asyncio.run(ask())
        assert totals(sink) == [12] * 8

    def test_trio(self, library, server, sink):
        pytest.importorskip("trio")
        server.scripts = [stream_answer()]

        async def ask():
            async with (
                library.AsyncClient() as client,
                client.stream("POST", server.url + MODEL_PATH, json=QUESTION) as r,
            ):
                return [piece async for piece in r.aiter_raw()]

        assert anyio.run(ask, backend="trio") == events()
        assert totals(sink) == [12]

    def test_multipart_form_names_its_model_and_its_file_is_read_by_the_client_alone(self, library, server, sink):
        class Audio(io.BytesIO):
            n_reads = 0

            def read(self, *args):
                Audio.n_reads += 1
                return super().read(*args)

        server.scripts = [
            json_answer({"text": "hello", "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}})
        ]
        library.post(
            server.url + "/v1/audio/transcriptions", data={"model": "whisper-1"}, files={"file": Audio(b"RIFF" * 9)}
        )
        n_observed, Audio.n_reads = Audio.n_reads, 0
        server.scripts = [json_answer()]
        library.post(server.url + OTHER_PATH, data={"model": "whisper-1"}, files={"file": Audio(b"RIFF" * 9)})
        assert n_observed == Audio.n_reads
        assert read(sink.exchanges[0]).requested_model == "whisper-1"
        assert totals(sink) == [12]


class TestMocks:
    """Live is what leaves this machine: no mock, no loopback."""

    URL = "https://api.openai.com/v1/chat/completions"

    def test_mock_transport(self, library, sink):
        transport = library.MockTransport(lambda request: library.Response(200, json=ANSWER))
        with library.Client(transport=transport) as client:
            assert client.post(self.URL, json=QUESTION).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]
        assert sink.left == []

    def test_mock_transport_with_a_stream(self, library, sink):
        transport = library.MockTransport(lambda request: library.Response(200, content=iter(events())))
        with library.Client(transport=transport) as client:
            assert client.post(self.URL, json=QUESTION).content == b"".join(events())
        assert totals(sink) == [12]

    def test_asgi(self, library, sink):
        async def app(scope, receive, send):
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": json.dumps(ANSWER).encode()})

        async def ask():
            async with library.AsyncClient(transport=library.ASGITransport(app)) as client:
                return await client.post("http://testserver/v1/chat/completions", json=QUESTION)

        assert asyncio.run(ask()).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    def test_wsgi(self, library, sink):
        def app(environ, start_response):
            start_response("200 OK", [("content-type", "application/json")])
            return [json.dumps(ANSWER).encode()]

        with library.Client(transport=library.WSGITransport(app)) as client:
            client.post("http://testserver/v1/chat/completions", json=QUESTION)
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    @pytest.mark.parametrize("using", ["httpcore", "httpx"])
    def test_respx(self, sink, using):
        with respx.mock(using=using) as router:
            router.post(self.URL).respond(json=ANSWER)
            assert httpx.post(self.URL, json=QUESTION).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    @pytest.mark.parametrize("using", ["httpcore", "httpx"])
    def test_respx_async(self, sink, using):
        async def ask():
            with respx.mock(using=using) as router:
                router.post(self.URL).respond(json=ANSWER)
                async with httpx.AsyncClient() as client:
                    return await client.post(self.URL, json=QUESTION)

        assert asyncio.run(ask()).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    def test_respx_passes_through(self, server, sink):
        server.scripts = [json_answer()]
        with respx.mock() as router:
            router.post(server.url + MODEL_PATH).pass_through()
            httpx.post(server.url + MODEL_PATH, json=QUESTION)
        assert totals(sink) == [12]

    @pytest.fixture
    def httpx_mock(self, request):
        # The plugin is not loaded in this suite; its fixture is a plain generator.
        with pytest.MonkeyPatch.context() as monkeypatch:
            fixture = pytest_httpx.httpx_mock.__wrapped__(monkeypatch, request)
            yield next(fixture)
            with pytest.raises(StopIteration):
                next(fixture)

    def test_pytest_httpx(self, httpx_mock, sink):
        httpx_mock.add_response(json=ANSWER)
        assert httpx.post(self.URL, json=QUESTION).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    def test_pytest_httpx_stream(self, httpx_mock, sink):
        httpx_mock.add_response(stream=pytest_httpx.IteratorStream(events()))
        with httpx.stream("POST", self.URL, json=QUESTION) as response:
            assert list(response.iter_raw()) == events()
        assert totals(sink) == [12]


class TestLive:
    """A name that is no loopback is live, wherever it leads."""

    @pytest.fixture
    def url(self, server, monkeypatch):
        import socket

        lookup = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **kw: lookup(
                "127.0.0.1" if host in ("api.openai.com", b"api.openai.com") else host, *args, **kw
            ),
        )
        return f"http://api.openai.com:{server.port}/v1/chat/completions"

    def test_live(self, library, server, sink, url):
        server.scripts = [json_answer()]
        library.post(url, json=QUESTION)
        assert [exchange.live for exchange in sink.exchanges] == [True]
        assert len(sink.left) == 1

    def test_live_async(self, library, server, sink, url):
        server.scripts = [json_answer()]

        async def ask():
            async with library.AsyncClient() as client:
                await client.post(url, json=QUESTION)

        asyncio.run(ask())
        assert [exchange.live for exchange in sink.exchanges] == [True]

    def test_loopback_is_not(self, library, server, sink):
        server.scripts = [json_answer()]
        library.post(server.url + MODEL_PATH, json=QUESTION)
        assert [exchange.live for exchange in sink.exchanges] == [False]
        assert sink.left == []

    def test_stopped_before_it_leaves(self, library, server, sink, url):
        sink.stop_network = Stopped()
        with pytest.raises(Stopped):
            library.post(url, json=QUESTION)
        assert server.n_connections == 0


class Stopped(BaseException):
    """As pytest's outcomes: no `except Exception` swallows it."""


class TestStopping:
    def test_before_it_is_sent(self, library, server, sink):
        sink.stop = Stopped()
        with pytest.raises(Stopped):
            library.post(server.url + MODEL_PATH, json=QUESTION)
        assert server.n_connections == 0

    def test_async(self, library, server, sink):
        sink.stop = Stopped()

        async def ask():
            async with library.AsyncClient() as client:
                await client.post(server.url + MODEL_PATH, json=QUESTION)

        with pytest.raises(Stopped):
            asyncio.run(ask())
        assert server.n_connections == 0


class TestMistakesOfOurs:
    @pytest.mark.parametrize("method", ["wants", "before_send", "wants_answer", "observe"])
    def test_one_report_that_names_the_request(self, library, server, method):
        sink = KeptSink(break_on=method)
        server.scripts = [json_answer()]
        with observing(sink):
            assert library.post(server.url + MODEL_PATH, json=QUESTION).json() == ANSWER
        assert [subject for subject, _ in sink.failures] == [f"POST {server.url}{MODEL_PATH}"]
        assert str(sink.failures[0][1]) == f"a mistake in {method}"

    def test_a_library_that_moved(self, library, server, monkeypatch):
        monkeypatch.delattr(library.Client, "_send_single_request")
        sink = KeptSink()
        with observing(sink):
            pass
        (failure,) = sink.failures
        assert failure[0] == f"{library.__name__} {library.__version__}"
        assert "Client._send_single_request is not there any more" in str(failure[1])

    def test_a_stream_that_moved(self, library, server, monkeypatch):
        client = importlib.import_module(f"{library.__name__}._client")
        monkeypatch.setattr(
            client.BoundSyncStream, "_stream", property(lambda stream: stream.__dict__["_stream"]), raising=False
        )
        monkeypatch.setattr(
            client.BoundSyncStream,
            "__setattr__",
            lambda stream, name, value: (
                stream.__dict__.update({name: value})
                if not (name == "_stream" and name in stream.__dict__)
                else (_ for _ in ()).throw(AttributeError("read-only"))
            ),
        )
        sink = KeptSink()
        server.scripts = [json_answer()]
        with observing(sink):
            assert library.post(server.url + MODEL_PATH, json=QUESTION).json() == ANSWER
        assert [subject for subject, _ in sink.failures] == [f"POST {server.url}{MODEL_PATH}"]


class TestNothingElseChanges:
    def test_response_can_be_pickled_and_copied(self, library, server, sink):
        server.scripts = [json_answer()]
        response = library.post(server.url + MODEL_PATH, json=QUESTION)
        for again in (pickle.loads(pickle.dumps(response)), copy.copy(response), copy.deepcopy(response)):
            assert type(again) is library.Response
            assert again.json() == ANSWER
        assert totals(sink) == [12]

    def test_first_piece_arrives_before_the_last_is_sent(self, library, server, sink):
        has_first = threading.Event()
        first, *rest = events()
        script = answer([first], headers=("content-type: text/event-stream",))
        script.sends[-1:] = [lambda: has_first.wait(20) or 1 / 0, *map(chunked, rest), b"0\r\n\r\n"]
        server.scripts = [script]
        with library.stream("POST", server.url + MODEL_PATH, json=QUESTION) as response:
            pieces = response.iter_raw()
            assert next(pieces) == first
            has_first.set()
            assert list(pieces) == rest
        assert totals(sink) == [12]

    def test_first_piece_arrives_before_the_last_is_sent_async(self, library, server, sink):
        has_first = threading.Event()
        first, *rest = events()
        script = answer([first], headers=("content-type: text/event-stream",))
        script.sends[-1:] = [lambda: has_first.wait(20) or 1 / 0, *map(chunked, rest), b"0\r\n\r\n"]
        server.scripts = [script]

        async def ask():
            async with (
                library.AsyncClient() as client,
                client.stream("POST", server.url + MODEL_PATH, json=QUESTION) as r,
            ):
                pieces = r.aiter_raw()
                assert await anext(pieces) == first
                has_first.set()
                return [piece async for piece in pieces]

        assert asyncio.run(ask()) == rest
        assert totals(sink) == [12]

    def test_connections_are_reused(self, library, server, sink):
        server.scripts = [json_answer(), stream_answer(), json_answer()]
        with library.Client() as client:
            for _ in range(3):
                client.post(server.url + MODEL_PATH, json=QUESTION)
        assert server.n_connections == 1
        assert totals(sink) == [12] * 3

    def test_event_hooks_see_what_they_saw(self, library, server, sink):
        seen = []

        def note(message):
            seen.append((type(message), in_flight.get()))

        server.scripts = [json_answer()]
        with library.Client(event_hooks={"request": [note], "response": [note]}) as client:
            client.post(server.url + MODEL_PATH, json=QUESTION)
        assert seen == [(library.Request, None), (library.Response, None)]

    def test_error_on_the_way_has_the_librarys_frames_alone(self, library, server):
        def frames():
            server.scripts = [
                Script([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"], end="close")
            ]
            with (
                pytest.raises(library.RemoteProtocolError) as caught,
                library.stream("POST", server.url + MODEL_PATH, json=QUESTION) as response,
            ):
                for _ in response.iter_raw():
                    pass
            return [entry.name for entry in caught.traceback]

        plain = frames()
        with observing(KeptSink()):
            assert frames() == plain

    def test_everything_is_restored(self, library):
        client, core = (
            library.Client.__dict__["_send_single_request"],
            importlib.import_module(library.__name__.replace("httpx", "httpcore")),
        )
        pool = core.ConnectionPool.__dict__["handle_request"]
        with observing(KeptSink()):
            assert library.Client.__dict__["_send_single_request"] is not client
        assert library.Client.__dict__["_send_single_request"] is client
        assert core.ConnectionPool.__dict__["handle_request"] is pool

    def test_whoever_patched_on_top_of_us_keeps_it(self, library, server, monkeypatch):
        sink = KeptSink()
        with observing(sink):
            ours = library.Client._send_single_request

            def theirs(client, request):
                return ours(client, request)

            monkeypatch.setattr(library.Client, "_send_single_request", theirs)
        server.scripts = [json_answer()]
        assert library.post(server.url + MODEL_PATH, json=QUESTION).json() == ANSWER
        assert (sink.asked, sink.exchanges) == ([], [])
