"""`scripts/other_suite.py` tells what the plugin changes in a suite: here, in suites made for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from counting_server import serving

SCRIPT = Path(__file__).parents[1] / "scripts" / "other_suite.py"

ASKS = """
    import os

    import httpx
    import pytest

    def ask():
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "one [8 4]"}]}
        assert httpx.post(os.environ["APP_URL"] + "/v1/chat/completions", json=body).status_code == 200

    @pytest.mark.parametrize("number", [1, 2])
    def test_asks(number):
        for _ in range(number):
            ask()

    def test_asks_nothing():
        pass
"""

UNSEEN = """
    def test_unseen():
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
        assert httpx.Client(transport=transport).post("https://app.test/other").status_code == 200
"""


@pytest.fixture
def compare(pytester, monkeypatch):
    def compare(source, *options):
        pytester.makepyfile(test_it=source)
        command = [sys.executable, SCRIPT, *options, pytester.path, "--", "-p", "llm_usage"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    with serving() as server:
        monkeypatch.setenv("APP_URL", server.url)
        yield compare


def test_a_suite_that_is_as_it_was(compare):
    code, lines = compare(ASKS)

    assert code == 0
    assert [line.partition(":")[0] for line in lines[:4]] == ["without", "with", "counted", "ratio of processor time"]
    assert lines[4:] == [
        "answered POST requests: 3; runs of LangChain's models: 0; calls in the report: 3",
        "  requests: 3 through httpx",
        "other outcomes: 0",
    ]


def test_a_call_that_is_not_counted_is_named(compare):
    code, lines = compare(ASKS + UNSEEN)

    assert code == 0
    assert lines[4:] == [
        "answered POST requests: 4; runs of LangChain's models: 0; calls in the report: 3",
        "  requests: 4 through httpx",
        "  calls: test_it.py::test_unseen: 1 requests (1 app.test/other), 0 runs, 0 calls",
        "other outcomes: 0",
    ]


def test_answers_through_aiohttp_are_counted_once_each(compare, pytester):
    """Asked for directly, through httpx, for a recording and from it."""
    pytester.makeconftest("import vcr.patch")  # remembers aiohttp's method as it is before anything is counted
    source = """
        import asyncio
        import os

        import aiohttp
        import httpx
        import vcr

        URL = os.environ["APP_URL"] + "/v1/chat/completions"
        BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "one [8 4]"}]}

        class AiohttpTransport(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                headers = {"content-type": "application/json"}
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(str(request.url), data=request.content, headers=headers) as answer,
                ):
                    return httpx.Response(answer.status, content=await answer.read())

        async def ask():
            async with aiohttp.ClientSession() as session, session.post(URL, json=BODY) as answer:
                assert (await answer.json())["usage"]

        async def ask_through_httpx():
            async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
                assert (await client.post(URL, json=BODY)).json()["usage"]

        def test_asks():
            asyncio.run(ask())

        def test_asks_through_httpx():
            asyncio.run(ask_through_httpx())

        def test_records_and_replays(tmp_path):
            for played in (0, 1):
                with vcr.use_cassette(str(tmp_path / "asked.yaml")) as cassette:
                    asyncio.run(ask())
                assert cassette.play_count == played

        def test_replays_through_httpx(tmp_path):
            with vcr.use_cassette(str(tmp_path / "asked.yaml")):
                asyncio.run(ask())
            with vcr.use_cassette(str(tmp_path / "asked.yaml")) as cassette:
                asyncio.run(ask_through_httpx())
            assert cassette.play_count == 1
    """

    code, lines = compare(source)

    assert code == 0
    assert lines[4:] == [
        "answered POST requests: 6; runs of LangChain's models: 0; calls in the report: 6",
        "  requests: 6 through aiohttp",
        "other outcomes: 0",
    ]


def test_addresses_that_ask_no_model_are_left_out(compare):
    source = ASKS + UNSEEN

    _, lines = compare(source, "--not-a-model", "/other$")

    assert lines[4] == "answered POST requests: 3; runs of LangChain's models: 0; calls in the report: 3"


def test_an_outcome_that_the_plugin_changes_is_named_and_fails(compare):
    source = """
        def test_same(): pass
        def test_other(pytestconfig): assert not pytestconfig.getoption("--llm-usage-json", None)
    """

    code, lines = compare(source)

    assert code == 1
    assert lines[-2:] == ["other outcomes: 1", "  outcome: test_it.py::test_other: passed → failed"]
