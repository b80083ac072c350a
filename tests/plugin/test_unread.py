"""A model call by an API that nobody knows: it left this machine, counts tokens, and is listed; an application's own answer is not."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import aiohttp  # noqa: F401 -- what a run inside this process imports first, it forgets at its end
import httpx  # noqa: F401
import pytest
import requests  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed")

HOST = "gateway.example.com"
CONFTEST = f"""
    import socket

    import pytest

    lookup = socket.getaddrinfo

    @pytest.fixture(autouse=True)
    def host_on_this_machine(monkeypatch):
        def getaddrinfo(host, *args, **kwargs):
            return lookup("127.0.0.1" if host in ({HOST!r}, {HOST.encode()!r}) else host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
"""
POSTING = """
    import asyncio, json, urllib.request

    def by_httpx(url, question):
        import httpx
        return httpx.post(url, json=question).json()

    def by_requests(url, question):
        import requests
        return requests.post(url, json=question).json()

    def by_urllib(url, question):
        request = urllib.request.Request(url, json.dumps(question).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())

    def by_aiohttp(url, question):
        import aiohttp

        async def post():
            async with aiohttp.ClientSession() as session, session.post(url, json=question) as response:
                return await response.json()

        return asyncio.run(post())

    def by_a_mock(url, question):
        import httpx
        answer = httpx.Response(200, json={"text": "Hi", "tokens_in": 12, "tokens_out": 5})
        return httpx.Client(transport=httpx.MockTransport(lambda _: answer)).post(url, json=question).json()
"""
ANSWERS = {
    "/ask": {"text": "Hi", "tokens_in": 12, "tokens_out": 5},
    "/oauth/token": {"access_token": "x", "expires_in": 3600},
    "/limits": {"model": "m", "max_input_tokens": 1_000, "max_output_tokens": 9},
}


class Handler(BaseHTTPRequestHandler):
    content_type = "application/json"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        content = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("content-type", self.content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """No text among the test's."""


@pytest.fixture
def port():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()


def run(pytester, client, url, *arguments):
    pytester.makepyfile(posting=POSTING)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
    pytester.makepyfile(f"""
        from posting import by_{client} as post

        def test_it():
            assert post({url!r}, {{"model": "m", "question": "hi"}})
    """)
    return pytester.runpytest("-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("client", ["httpx", "requests", "urllib", "aiohttp"])
def test_what_left_this_machine_and_counts_tokens_is_listed(pytester, port, client):
    result = run(pytester, client, f"http://{HOST}:{port}/ask", "--max-tokens=1000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*looks like a model call that is not read: {HOST}:{port}/ask*"])


@pytest.mark.parametrize("path", ["/oauth/token", "/limits"])
@pytest.mark.parametrize("client", ["httpx", "requests", "urllib", "aiohttp"])
def test_what_counts_none_is_not(pytester, port, client, path):
    result = run(pytester, client, f"http://{HOST}:{port}{path}", "--max-tokens=1000")

    result.assert_outcomes(passed=1)
    assert "LLM usage" not in result.stdout.str()


@pytest.mark.parametrize(
    ("client", "host"), [("a_mock", HOST), ("httpx", "127.0.0.1"), ("requests", "localhost"), ("urllib", "127.0.0.1")]
)
def test_an_applications_own_answer_is_not(pytester, port, client, host):
    result = run(pytester, client, f"http://{host}:{port}/ask", "--max-tokens=1000")

    result.assert_outcomes(passed=1)
    assert "LLM usage" not in result.stdout.str()


@pytest.mark.parametrize(
    ("content_type", "listed"), [("application/x-ndjson", True), ("image/png", False), ("", False)]
)
def test_only_what_may_count_tokens_is_read(pytester, port, content_type, listed):
    """Of any other answer nothing is looked at but its head."""
    Handler.content_type = content_type
    try:
        result = run(pytester, "urllib", f"http://{HOST}:{port}/ask")
    finally:
        Handler.content_type = "application/json"

    result.assert_outcomes(passed=1)
    assert (f"looks like a model call that is not read: {HOST}:{port}/ask" in result.stdout.str()) is listed


def test_calls_that_are_not_read_are_stopped_by_no_option(pytester, port):
    result = run(pytester, "httpx", f"http://{HOST}:{port}/oauth/token", "--llm-usage-live=fail")

    result.assert_outcomes(passed=1)


def test_it_is_listed_in_the_terminal(pytester, port):
    result = run(pytester, "httpx", f"http://{HOST}:{port}/ask")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*looks like a model call that is not read: {HOST}:{port}/ask"])
