"""Under `--max-tokens=10` a test that asks for no fixture is stopped before its second call, whatever client makes it.

Live on loopback by each client in each of its ways (`raw_clients.CLIENTS`), and mocked by each library that mocks one.
Each run has a process of its own: not every client can be imported twice in one.
"""

import os
from textwrap import dedent

import pytest
import raw_clients
from counting_server import serving

LIVE = """
    import os

    import pytest
    import raw_clients

    WAYS = raw_clients.CLIENTS[os.environ["CLIENT"]].ways(os.environ["PROVIDER_URL"])

    @pytest.mark.parametrize("way", WAYS)
    def test_it(way):
        raw_clients.ask_five_times(WAYS[way], f"bird of {way}? [8 4]")
"""


def assert_stopped(pytester, ways, *arguments):
    """Every test of a run fails, and is stopped before its second call."""
    pytester.makeini("[pytest]\nfilterwarnings = ignore\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--max-tokens=10", *arguments)
    result.assert_outcomes(failed=ways)
    assert result.stdout.lines.count("LLM budget exceeded: 12 tokens, limit 10 (--max-tokens)") == ways
    assert result.stdout.str().count("  2  stopped before it was sent ") == ways


@pytest.mark.parametrize("client", raw_clients.CLIENTS)
def test_live(pytester, monkeypatch, client):
    tried = raw_clients.CLIENTS[client]
    if not tried.is_installed:
        pytest.skip(f"{client} is not installed: make test{'-frameworks' * (client in raw_clients.FRAMEWORKS)}")
    monkeypatch.setenv("CLIENT", client)
    # litellm fetches its prices when it is imported.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(LIVE)

        assert_stopped(pytester, len(tried.styles))

        asked = sorted(str(question.body).partition("bird of ")[2].partition("?")[0] for question in server.asked)
        assert asked == sorted(f"{client} {style}".strip() for style in tried.styles)


#: What the mocks answer, as the provider on loopback does, and a note of it in `ANSWERED`.
MOCKING = """
    import importlib
    import json
    import os

    import counting_server
    import pytest
    import raw_clients

    URL = "https://api.openai.com"

    def answer_to(path, body):
        with open(os.environ["ANSWERED"], "a") as file:
            print(body, file=file)
        return counting_server.answer_to(path, body)

    def answer_by(library):
        def answer(request):
            content_type, content = answer_to(request.url.path, request.read())
            return library.Response(200, headers={"content-type": content_type}, content=content)

        return answer

    def ask(ways, way):
        raw_clients.ask_five_times(ways[way], "fastest bird? [8 4]")

    def each_of(ways):
        return pytest.mark.parametrize("way", ways)
"""

#: By the mocking library: what it needs, how many ways there are, and the tests.
MOCKED = {
    "httpx.MockTransport": (
        ("httpx",),
        4,
        """
        import httpx

        WAYS = raw_clients.httpx(URL, transport=httpx.MockTransport(answer_by(httpx)))

        @each_of(WAYS)
        def test_it(way):
            ask(WAYS, way)
        """,
    ),
    "httpx2.MockTransport": (
        ("httpx2",),
        4,
        """
        import httpx2

        WAYS = raw_clients.httpx(URL, "httpx2", transport=httpx2.MockTransport(answer_by(httpx2)))

        @each_of(WAYS)
        def test_it(way):
            ask(WAYS, way)
        """,
    ),
    "MockTransport, by openai": (
        ("openai",),
        2,
        """
        import openai

        BASE = next(base for base in openai.DefaultHttpxClient.__mro__ if base.__name__ == "Client")
        HTTP = importlib.import_module(BASE.__module__.partition(".")[0])
        WAYS = raw_clients.openai(URL, http_client=HTTP.Client(transport=HTTP.MockTransport(answer_by(HTTP))))

        @each_of(["openai", "openai stream"])
        def test_it(way):
            ask(WAYS, way)
        """,
    ),
    "respx": (
        ("respx",),
        4,
        """
        import httpx
        import respx

        @each_of(raw_clients.httpx(URL))
        def test_it(way):
            with respx.mock:
                respx.post(URL + "/v1/chat/completions").mock(side_effect=answer_by(httpx))
                ask(raw_clients.httpx(URL), way)
        """,
    ),
    "respx, by groq": (
        (
            "respx",
            "groq",
        ),
        4,
        """
        import httpx
        import respx

        GROQ = "https://api.groq.com"

        @each_of(raw_clients.groq(GROQ))
        def test_it(way):
            with respx.mock:
                respx.post(GROQ + "/openai/v1/chat/completions").mock(side_effect=answer_by(httpx))
                ask(raw_clients.groq(GROQ), way)
        """,
    ),
    "pytest-httpx": (
        ("pytest_httpx",),
        4,
        """
        import httpx

        @each_of(raw_clients.httpx(URL))
        def test_it(httpx_mock, way):
            httpx_mock.add_callback(answer_by(httpx), is_reusable=True)
            ask(raw_clients.httpx(URL), way)
        """,
    ),
    "responses": (
        ("responses",),
        2,
        """
        import responses

        def answer(request):
            content_type, content = answer_to(request.path_url, request.body)
            return 200, {"content-type": content_type}, content

        @each_of(raw_clients.requests(URL))
        def test_it(way):
            with responses.RequestsMock() as mock:
                mock.add_callback("POST", URL + "/v1/chat/completions", answer, content_type=None)
                ask(raw_clients.requests(URL), way)
        """,
    ),
    "aioresponses": (
        ("aioresponses",),
        2,
        """
        import inspect
        import types

        import aiohttp
        from aioresponses import CallbackResult, aioresponses

        def made(*args, **keywords):
            # aioresponses 0.7.9 does not know what aiohttp 3.14 asks for.
            if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
                keywords["stream_writer"] = types.SimpleNamespace(output_size=0)
            return aiohttp.ClientResponse(*args, **keywords)

        def answer(url, json, **_):
            content_type, content = answer_to(url.path, importlib.import_module("json").dumps(json).encode())
            return CallbackResult(body=content, content_type=content_type, response_class=made)

        @each_of(raw_clients.aiohttp(URL))
        def test_it(way):
            with aioresponses() as mock:
                mock.post(URL + "/v1/chat/completions", callback=answer, repeat=True)
                ask(raw_clients.aiohttp(URL), way)
        """,
    ),
    "moto": (
        ("moto",),
        2,
        """
        import moto
        from moto.core.botocore_stubber import BotocoreStubber

        AWS = "https://bedrock-runtime.us-east-1.amazonaws.com"

        # moto makes no answers up for Bedrock's models.
        def process_request(self, request):
            content_type, content = answer_to(request.url, request.body)
            return 200, {"content-type": content_type}, content

        @each_of(["boto3", "boto3 in a thread"])
        def test_it(monkeypatch, way):
            monkeypatch.setattr(BotocoreStubber, "process_request", process_request)
            with moto.mock_aws():
                ask(raw_clients.boto3(AWS), way)
        """,
    ),
}


@pytest.mark.parametrize("mock", MOCKED)
def test_mocked(pytester, monkeypatch, mock):
    needed, ways, source = MOCKED[mock]
    for module in needed:
        pytest.importorskip(module)
    answered = pytester.path / "answered"
    monkeypatch.setenv("ANSWERED", os.fspath(answered))
    pytester.makepyfile(dedent(MOCKING) + dedent(source))

    assert_stopped(pytester, ways, *(("-p", "pytest_httpx") if mock == "pytest-httpx" else ()))

    assert len(answered.read_text().splitlines()) == ways
