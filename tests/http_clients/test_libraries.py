"""Each library by itself and on top of others: one call, told of once, with its usage; mocks are, too; live is live."""

import asyncio
import gc
import http.client
import inspect
import json
import pickle
import socket
import threading
import urllib.request
import warnings
import weakref
from io import BytesIO
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import aioresponses
import boto3
import botocore.config
import moto
import pytest
import requests
import responses
import urllib3
import vcr
from drivers import DRIVERS, Plan, seen_of
from drivers import QUESTION as RAW_QUESTION
from scripted import (
    ANSWER,
    MODEL_PATH,
    OTHER_PATH,
    QUESTION,
    KeptSink,
    Script,
    answer,
    encoded,
    events,
    json_answer,
    observing,
    stream_answer,
)

from pytest_llm_usage.wire import read
from pytest_llm_usage.wire.in_flight import claim

URL = "https://api.openai.com/v1/chat/completions"
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "bird"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12},
    "metrics": {"latencyMs": 1},
}
#: botocore asks Bedrock, all others OpenAI.
ANSWERS = {name: CONVERSED if name == "botocore" else ANSWER for name in DRIVERS}


def totals(sink):
    return [call.usage.total_tokens if call.usage else None for call in map(read, sink.exchanges) if call]


class Stopped(BaseException):
    """As pytest's outcomes: no `except Exception` swallows it."""


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, driver in DRIVERS.items() for mode in driver.modes])
class TestOnce:
    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    def test_with_usage(self, server, sink, name, mode, encoding):
        driver = DRIVERS[name]
        headers = ("content-type: application/json", f"content-encoding: {encoding}")
        if name == "botocore":
            # Bedrock's invoke tells its usage in headers; botocore decodes nothing.
            encoding = "identity"
            headers = (*headers[:1], "x-amzn-bedrock-input-token-count: 9", "x-amzn-bedrock-output-token-count: 3")
        body = encoded(json.dumps(ANSWERS[name]).encode(), encoding)
        for framing in ("length", "chunked", "close"):
            sink.exchanges.clear()
            server.scripts = [answer([body[:40], body[40:]], headers=headers, framing=framing)]
            seen = seen_of(driver.run, server.url + driver.path, RAW_QUESTION, Plan(mode))
            assert not isinstance(seen[-1], tuple) or not isinstance(seen[-1][0], str), seen[-1]
            sink.observation.flush()
            assert totals(sink) == [12]
            (exchange,) = sink.exchanges
            assert (exchange.live, exchange.replayed, exchange.cassette) == (False, False, None)


@pytest.mark.parametrize("name", DRIVERS)
class TestStopping:
    def test_before_it_is_sent(self, server, sink, name):
        sink.stop = Stopped()
        with pytest.raises(Stopped):
            DRIVERS[name].run(server.url + DRIVERS[name].path, RAW_QUESTION, Plan(DRIVERS[name].modes[0]))
        assert server.requests == []

    def test_in_a_thread(self, server, sink, name):
        sink.stop = Stopped()
        caught = []

        def ask():
            try:
                DRIVERS[name].run(server.url + DRIVERS[name].path, RAW_QUESTION, Plan(DRIVERS[name].modes[0]))
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert caught == [sink.stop]
        assert server.requests == []


@pytest.mark.parametrize("name", DRIVERS)
class TestLive:
    @pytest.fixture
    def url(self, server, monkeypatch):
        """A name that is no loopback, and leads there."""
        lookup = socket.getaddrinfo

        def getaddrinfo(host, *args, **keywords):
            return lookup("127.0.0.1" if host in ("api.openai.com", b"api.openai.com") else host, *args, **keywords)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return f"http://api.openai.com:{server.port}"

    def test_live(self, server, sink, url, name):
        server.scripts = [json_answer(ANSWERS[name])]
        seen_of(
            DRIVERS[name].run,
            url + DRIVERS[name].path,
            RAW_QUESTION,
            Plan("read" if "read" in DRIVERS[name].modes else "content"),
        )
        assert [exchange.live for exchange in sink.exchanges] == [True]
        (left,) = sink.left
        assert urlsplit(left).hostname == "api.openai.com"

    def test_stopped_before_it_leaves(self, server, sink, url, name):
        sink.stop_network = Stopped()
        with pytest.raises(Stopped):
            DRIVERS[name].run(url + DRIVERS[name].path, RAW_QUESTION, Plan(DRIVERS[name].modes[0]))
        assert server.requests == []


class TestMistakesOfOurs:
    @pytest.mark.parametrize("method", ["wants", "before_send", "wants_answer", "observe"])
    @pytest.mark.parametrize("name", DRIVERS)
    def test_one_report_that_names_the_request(self, server, name, method):
        sink = KeptSink(break_on=method)
        server.scripts = [json_answer(ANSWERS[name])]
        with observing(sink):
            seen = seen_of(
                DRIVERS[name].run,
                server.url + DRIVERS[name].path,
                RAW_QUESTION,
                Plan("read" if "read" in DRIVERS[name].modes else "content"),
            )
        assert json.loads(next(item for item in seen if isinstance(item, bytes))) == ANSWERS[name]
        assert {subject for subject, _ in sink.failures} == {f"POST {server.url}{DRIVERS[name].path}"}
        assert {str(error) for _, error in sink.failures} == {f"a mistake in {method}"}

    @pytest.mark.parametrize(
        ("owner", "attribute", "told"),
        [
            (requests.Session, "send", "Session.send is not there any more"),
            (urllib3.HTTPConnectionPool, "urlopen", "HTTPConnectionPool.urlopen is not there any more"),
            (http.client.HTTPConnection, "getresponse", "HTTPConnection.getresponse is not there any more"),
            (aiohttp.ClientSession, "post", "ClientSession.post is not there any more"),
            (botocore.endpoint.Endpoint, "_do_get_response", "Endpoint._do_get_response is not there any more"),
        ],
    )
    def test_a_library_that_moved_is_named(self, owner, attribute, told, monkeypatch):
        monkeypatch.delattr(owner, attribute)
        sink = KeptSink()
        with observing(sink):
            pass
        (failure,) = sink.failures
        assert failure[0].startswith(owner.__module__.split(".")[0])
        assert told in str(failure[1])

    def test_other_parameters_are_named(self, monkeypatch):
        monkeypatch.setattr(requests.Session, "send", lambda self, prepared, **kwargs: None)
        sink = KeptSink()
        with observing(sink):
            pass
        ((subject, error),) = sink.failures
        assert subject == f"requests {requests.__version__}"
        assert str(error).endswith("Session.send takes (self, prepared, kwargs), not (self, request, …)")


class TestRequests:
    def test_redirects_are_one_request(self, server, sink):
        moved = answer([], status="307 Moved", headers=("location: /v1/elsewhere",), framing="length")
        server.scripts = [moved, json_answer()]
        response = requests.post(server.url + MODEL_PATH, json=QUESTION, timeout=20)
        assert [past.status_code for past in response.history] == [307]
        assert totals(sink) == [12]

    def test_redirect_to_a_model(self, server, sink):
        moved = answer([], status="307 Moved", headers=(f"location: {MODEL_PATH}",), framing="length")
        server.scripts = [moved, json_answer()]
        requests.post(server.url + OTHER_PATH, json=QUESTION, timeout=20)
        assert totals(sink) == [12]

    def test_response_can_be_pickled(self, server, sink):
        server.scripts = [stream_answer()]
        response = requests.post(server.url + MODEL_PATH, json=QUESTION, stream=True, timeout=20)
        assert pickle.loads(pickle.dumps(response)).content == b"".join(events())
        assert totals(sink) == [12]

    def test_retries_of_the_adapter_are_one_request(self, server, sink):
        server.scripts = [json_answer({}, status="503 No"), json_answer()]
        with requests.Session() as session:
            retry = urllib3.Retry(3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
            session.post(server.url + MODEL_PATH, json=QUESTION)
        assert len(server.requests) == 2
        assert totals(sink) == [12]

    @responses.activate
    def test_responses(self, sink):
        responses.post(URL, json=ANSWER)
        assert requests.post(URL, json=QUESTION, timeout=20).json() == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    @responses.activate
    @pytest.mark.parametrize("size", [None, 1, 100_000])
    def test_responses_streamed(self, sink, size):
        responses.post(URL, body=b"".join(events()), content_type="text/event-stream")
        with requests.post(URL, json=QUESTION, stream=True, timeout=20) as response:
            assert b"".join(response.iter_content(size)) == b"".join(events())
        assert totals(sink) == [12]

    def test_abandoned_response_gives_its_connection_back_at_once(self, server):
        """Nothing of ours keeps it alive until the garbage collector comes."""

        def is_gone():
            server.scripts = [stream_answer()]
            with requests.Session() as session:
                response = session.post(server.url + MODEL_PATH, json=QUESTION, stream=True)
                raw = weakref.ref(response.raw)
                next(response.iter_content(None))
                del response
                return raw() is None

        gc.disable()
        try:
            plain = is_gone()
            sink = KeptSink()
            with observing(sink) as observation:
                assert is_gone() == plain
                observation.flush()
            assert [read(exchange).status for exchange in sink.exchanges] == ["aborted"]
        finally:
            gc.enable()


class TestUrllib3:
    def test_redirects_are_one_request(self, server, sink):
        moved = answer([], status="307 Moved", headers=("location: /v1/elsewhere",), framing="length")
        server.scripts = [moved, json_answer()]
        with urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool:
            pool.request("POST", MODEL_PATH, body=RAW_QUESTION)
        assert totals(sink) == [12]

    def test_connections_are_reused(self, server, sink):
        server.scripts = [json_answer(), stream_answer(), json_answer()]
        with urllib3.PoolManager() as pool:
            for _ in range(3):
                pool.request("POST", server.url + MODEL_PATH, body=RAW_QUESTION)
        assert server.n_connections == 1
        assert totals(sink) == [12] * 3

    def test_an_answer_that_breaks_off_is_told_of_however_long_it_is_held(self, server, sink):
        server.scripts = [Script([b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n'], end="reset")]
        with urllib3.PoolManager(retries=False) as pool:
            response = pool.request("POST", server.url + MODEL_PATH, body=RAW_QUESTION, preload_content=False)
            with pytest.raises(urllib3.exceptions.ProtocolError) as error:
                while response.read1():
                    pass
            assert [exchange.response_body[:5] for exchange in sink.exchanges] in ([b'{"a":'], [b""])
            assert response.status == 200
            assert error.value is not None


class TestHttpClient:
    def test_connections_are_reused(self, server, sink):
        server.scripts = [json_answer(), json_answer()]
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for _ in range(2):
            connection.request("POST", MODEL_PATH, RAW_QUESTION)
            connection.getresponse().read()
        connection.close()
        assert server.n_connections == 1
        assert totals(sink) == [12, 12]

    def test_a_response_that_only_its_method_holds(self, server, sink):
        """`urlopen(…).read()`: with the last piece the response and its connection are gone."""
        server.scripts = [json_answer(), stream_answer(), stream_answer()]
        request = urllib.request.Request(server.url + MODEL_PATH, data=RAW_QUESTION)
        # Not in an assertion, which pytest rewrites so that it holds every part.
        whole, stream = urllib.request.urlopen(request).read(), urllib.request.urlopen(request).read()
        line = urllib.request.urlopen(request).readline()
        assert (json.loads(whole), stream) == (ANSWER, b"".join(events()))
        assert stream.startswith(line)
        assert totals(sink)[:2] == [12, 12]

    def test_copied_to_a_file(self, server, sink):
        import shutil

        server.scripts = [stream_answer()]
        request = urllib.request.Request(server.url + MODEL_PATH, data=RAW_QUESTION)
        target = BytesIO()
        with urllib.request.urlopen(request) as response:
            shutil.copyfileobj(response, target)
        assert target.getvalue() == b"".join(events())
        assert totals(sink) == [12]


class TestBotocore:
    @pytest.fixture
    def client(self, server):
        config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"max_attempts": 0})
        with_server = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=server.url, config=config)
        yield with_server
        with_server.close()

    def test_converse(self, server, sink, client):
        server.scripts = [json_answer(CONVERSED)]
        client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "bird?"}]}])
        assert totals(sink) == [12]

    def test_converse_stream(self, server, sink, client):
        from counting_server import _aws_message as aws_message

        pieces = [
            aws_message("messageStart", {"role": "assistant"}),
            aws_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "bird"}}),
            aws_message("messageStop", {"stopReason": "end_turn"}),
            aws_message("metadata", {"usage": CONVERSED["usage"], "metrics": {"latencyMs": 1}}),
        ]
        server.scripts = [answer(pieces, headers=("content-type: application/vnd.amazon.eventstream",))]
        told = client.converse_stream(modelId="m", messages=[{"role": "user", "content": [{"text": "bird?"}]}])
        assert [next(iter(event)) for event in told["stream"]][-1] == "metadata"
        assert totals(sink) == [12]

    def test_moto(self, sink, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        with moto.mock_aws():
            # moto knows no answers of Bedrock's models: its own way to make them up.
            from moto.core.botocore_stubber import BotocoreStubber

            monkeypatch.setattr(
                BotocoreStubber,
                "process_request",
                lambda self, request: (200, {"content-type": "application/json"}, json.dumps(CONVERSED)),
            )
            client = boto3.client("bedrock-runtime", region_name="us-east-1")
            told = client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "bird?"}]}])
            assert told["usage"] == CONVERSED["usage"]
            body = client.invoke_model(modelId="m", body=b"{}")["body"]
            assert json.loads(body.read()) == CONVERSED
        assert [exchange.live for exchange in sink.exchanges] == [False, False]
        assert [json.loads(exchange.response_body) for exchange in sink.exchanges] == [CONVERSED, CONVERSED]


def made_response(*args, **keywords):
    # aioresponses 0.7.9 does not know what aiohttp 3.14 asks for.
    if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
        keywords["stream_writer"] = SimpleNamespace(output_size=0)
    return aiohttp.ClientResponse(*args, **keywords)


class TestAiohttp:
    def test_aioresponses(self, sink):
        async def ask():
            with aioresponses.aioresponses() as mock:
                mock.post(URL, payload=ANSWER, response_class=made_response)
                async with aiohttp.ClientSession() as session, session.post(URL, json=QUESTION) as response:
                    return await response.json()

        assert asyncio.run(ask()) == ANSWER
        assert totals(sink) == [12]
        assert [exchange.live for exchange in sink.exchanges] == [False]

    def test_module_function(self, server, sink):
        async def ask():
            async with aiohttp.request("POST", server.url + MODEL_PATH, json=QUESTION) as response:
                return await response.json()

        server.scripts = [json_answer()]
        assert asyncio.run(ask()) == ANSWER
        assert totals(sink) == [12]

    def test_awaited_and_read_in_another_task(self, server, sink):
        async def ask():
            async with aiohttp.ClientSession() as session:
                response = await session.post(server.url + MODEL_PATH, json=QUESTION)
                return await asyncio.create_task(response.json())

        server.scripts = [json_answer()]
        assert asyncio.run(ask()) == ANSWER
        assert totals(sink) == [12]

    def test_released_unread(self, server, sink):
        async def ask():
            async with aiohttp.ClientSession() as session, session.post(server.url + MODEL_PATH, json=QUESTION):
                pass

        server.scripts = [json_answer()]
        asyncio.run(ask())
        assert [exchange.status for exchange in sink.exchanges] == [200]

    def test_form_names_its_model(self, server, sink):
        async def ask():
            form = aiohttp.FormData()
            form.add_field("model", "whisper-1")
            form.add_field("file", b"RIFF", filename="a.wav")
            async with (
                aiohttp.ClientSession() as session,
                session.post(server.url + "/v1/audio/transcriptions", data=form) as response,
            ):
                return await response.json()

        server.scripts = [
            json_answer({"text": "hello", "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}})
        ]
        asyncio.run(ask())
        assert read(sink.exchanges[0]).requested_model == "whisper-1"
        assert totals(sink) == [12]

    @pytest.mark.parametrize("is_closed", [True, False])
    def test_a_request_that_is_never_awaited(self, server, sink, is_closed):
        async def ask(path):
            async with aiohttp.ClientSession() as session:
                manager = session.post(server.url + path, json=QUESTION)
                if is_closed:
                    manager.close()

        def warned(path):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                asyncio.run(ask(path))
                gc.collect()
            return [str(warning.message) for warning in caught if warning.category is RuntimeWarning]

        assert warned(MODEL_PATH) == warned(OTHER_PATH)
        assert bool(warned(MODEL_PATH)) is not is_closed
        assert sink.sent == []

    def test_as_a_task_of_its_own(self, server, sink):
        async def ask():
            async with aiohttp.ClientSession() as session:
                response = await asyncio.create_task(session.post(server.url + MODEL_PATH, json=QUESTION))
                return await response.json()

        server.scripts = [json_answer()]
        assert asyncio.run(ask()) == ANSWER
        assert totals(sink) == [12]


@pytest.fixture(params=[name for name in DRIVERS if name != "botocore"])
def name(request):
    return request.param


class TestCassettes:
    """A cassette tells of what it records and replays; who made the request does not."""

    @pytest.fixture
    def claiming(self, monkeypatch):
        """What the cassettes' own observer does with every cassette of vcrpy."""
        for method in ("play_response", "append"):
            original = getattr(vcr.cassette.Cassette, method)

            def observed(*args, _original=original):
                claim()
                return _original(*args)

            monkeypatch.setattr(vcr.cassette.Cassette, method, observed)

    def test_recorded_and_replayed(self, server, sink, claiming, tmp_path, name):
        server.scripts = [json_answer()]
        mode = "read" if "read" in DRIVERS[name].modes else "content"
        for _ in range(2):
            with vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="once"):
                seen = seen_of(DRIVERS[name].run, server.url + MODEL_PATH, RAW_QUESTION, Plan(mode))
            assert any(isinstance(item, bytes) and json.loads(item) == ANSWER for item in seen), seen
        assert len(server.requests) == 1
        gc.collect()
        sink.observation.flush()
        assert sink.exchanges == []


def test_nothing_is_attached_before_the_import_nor_made_before_the_first_request(pytester):
    pytester.makepyfile(
        """
        import socket
        import sys
        from contextlib import ExitStack
        from pytest_llm_usage.http_clients import HttpObservation

        def test_it():
            made = []
            for name in [name for name in sys.modules if name.split(".")[0] in ("requests", "urllib3", "http")]:
                del sys.modules[name]
            with ExitStack() as closers:
                HttpObservation(lambda: made.append(1) or Sink(), closers)
                import http.client
                assert http.client.HTTPConnection.request.__wrapped__
                assert made == []
                with socket.create_server(("127.0.0.1", 0)) as server:
                    for _ in range(2):
                        http.client.HTTPConnection(*server.getsockname()).request("GET", "/")
                        server.accept()[0].close()
                assert made == [1]
            assert not hasattr(http.client.HTTPConnection.request, "__wrapped__")

        class Sink:
            def wants(self, method, url):
                return False

            def failed(self, subject, error):
                raise error
        """
    )
    pytester.runpytest_subprocess("-p", "no:llm_usage").assert_outcomes(passed=1)
