"""Other libraries that stand between a test and the network: side by side, nothing breaks."""

import asyncio
import json

import aiohttp
import httpx
import pytest
import requests
from provider_server import HOST, Refused

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
URL = "/v1/chat/completions"


@pytest.fixture
def recorded(provider, cassette):
    """A cassette with one chat call; gives the answer."""
    with cassette("once"):
        return httpx.post(provider.url + URL, json=CHAT).json()


def test_respx_inside(provider, cassette, recorded, respx_mock):
    weather = respx_mock.get("https://weather.test/now").respond(json={"sky": "blue"})
    with cassette():
        assert httpx.get("https://weather.test/now").json() == {"sky": "blue"}
        assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
    assert weather.call_count == 1


def test_respx_async(provider, cassette, recorded, respx_mock):
    respx_mock.get("https://weather.test/now").respond(json={"sky": "blue"})

    async def ask():
        async with httpx.AsyncClient() as client:
            sky = await client.get("https://weather.test/now")
            answer = await client.post(provider.url + URL, json=CHAT)
            return sky.json(), answer.json()

    with cassette():
        assert asyncio.run(ask()) == ({"sky": "blue"}, recorded)


def test_what_respx_answers_is_not_recorded(provider, cassette, path):
    import respx

    with cassette("once"), respx.mock(assert_all_called=False) as router:
        router.get("https://weather.test/now").respond(json={"sky": "blue"})
        router.route(host=HOST).pass_through()
        httpx.get("https://weather.test/now")
        httpx.post(provider.url + URL, json=CHAT)
    text = path.read_text()
    assert "weather.test" not in text
    assert HOST in text


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite", "stale"])
def test_a_model_s_answer_by_respx_is_not_recorded(provider, cassette, path, mode, asynchronous):
    """Recorded, it would be replayed in the mock's place, and `call_count` be 0."""
    import respx

    async def ask(url):
        async with httpx.AsyncClient() as client:
            await client.post(url, json=CHAT)

    with cassette(mode) as opened, respx.mock as router:
        route = router.post("https://api.openai.com/v1/chat/completions").respond(json={"id": "mocked"})
        router.route(host=HOST).pass_through()
        for url in ("https://api.openai.com/v1/chat/completions", provider.url + URL):
            asyncio.run(ask(url)) if asynchronous else httpx.post(url, json=CHAT)
        assert route.call_count == 1
    assert "mocked" not in path.read_text()
    assert HOST in path.read_text()
    assert [exchange.cassette for exchange in opened.seen] == [None, path]


def test_what_respx_sends_on_does_not_go_live(cassette, recorded):
    import respx

    with cassette() as opened, respx.mock(assert_all_called=False) as router:
        router.route(host="api.openai.com").pass_through()
        with pytest.raises(Refused, match=r"Not replayed: a connection to api\.openai\.com:443 made by httpcore"):
            httpx.post("https://api.openai.com" + URL, json=CHAT)
    assert opened.failure


async def post(url, body):
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return await response.json()


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_aioresponses(provider, cassette, first):
    from aioresponses import aioresponses

    with cassette("once"):
        answer = asyncio.run(post(provider.url + URL, CHAT))

    class MockedError(Exception):
        pass

    def check():
        with pytest.raises(MockedError):
            asyncio.run(post("https://weather.test/now", {}))
        assert requests.post(provider.url + URL, json=CHAT).json() == answer

    if first == "ours":
        with cassette(match_on=("method", "host", "path")), aioresponses() as mock:
            mock.post("https://weather.test/now", exception=MockedError())
            check()
    else:
        with aioresponses() as mock:
            mock.post("https://weather.test/now", exception=MockedError())
            with cassette(match_on=("method", "host", "path")):
                check()


def test_pytest_httpx(provider, cassette, recorded, httpx_mock):
    """It answers for httpx altogether; the cassette is left the other clients."""
    httpx_mock.add_response(url="https://weather.test/now", json={"sky": "blue"})
    with cassette():
        assert httpx.get("https://weather.test/now").json() == {"sky": "blue"}
        assert requests.post(provider.url + URL, json=CHAT).json() == recorded


def test_moto(provider, cassette, recorded, monkeypatch):
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for order in (0, 1):
        contexts = [mock_aws(), cassette()]
        with contexts[order], contexts[1 - order]:
            s3 = boto3.client("s3", region_name="us-east-1")
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key="k", Body=b"x")
            assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x"
            assert httpx.post(provider.url + URL, json=CHAT).json() == recorded


def test_pytest_socket(provider, cassette, recorded):
    from pytest_socket import disable_socket, enable_socket

    disable_socket(allow_unix_socket=True)
    try:
        with cassette():
            assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
    finally:
        enable_socket()


def test_pytest_socket_with_allowed_hosts(provider, cassette, recorded):
    from pytest_socket import _remove_restrictions, socket_allow_hosts

    with cassette():
        socket_allow_hosts(["127.0.0.1"])
        assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
        assert httpx.get(f"http://127.0.0.1:{provider.port}/health").json()["path"] == "/health"
        _remove_restrictions()


# Whoever connects does not expect a RuntimeError, and leaves the socket open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_block_network_of_pytest_recording(provider, cassette, recorded):
    from pytest_recording.network import blocking_context

    with cassette(), blocking_context():
        assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
    with blocking_context(), cassette():
        assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
        with pytest.raises(RuntimeError, match="Network is disabled"):
            httpx.get(f"http://127.0.0.1:{provider.port}/health")


def test_a_plain_cassette_inside_of_ours(provider, cassette, recorded, tmp_path):
    import vcr

    with vcr.use_cassette(str(tmp_path / "theirs.yaml")):
        theirs = httpx.get(provider.url + "/tool").json()
    with cassette():
        with vcr.use_cassette(str(tmp_path / "theirs.yaml"), record_mode="none"):
            assert httpx.get(provider.url + "/tool").json() == theirs
        assert httpx.post(provider.url + URL, json=CHAT).json() == recorded


def test_ours_inside_of_a_plain_cassette(provider, cassette, recorded, tmp_path):
    import vcr

    with vcr.use_cassette(str(tmp_path / "theirs.yaml")) as outer:
        with cassette():
            assert httpx.post(provider.url + URL, json=CHAT).json() == recorded
        httpx.get(provider.url + "/tool")
        assert len(outer) == 1
    assert json.dumps(CHAT)[2:10] not in (tmp_path / "theirs.yaml").read_text()
