"""Threads that ask at the same time: every request is recorded, whichever of them connects meanwhile."""

import http.client
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config
import botocore.loaders
import botocore.session
import certifi
import httpx
import pytest
import requests
import urllib3

from pytest_llm_usage.cassettes import storage

N_THREADS, N_REQUESTS = 12, 60


def _url(url):
    return f"{url}/v1/chat/completions"


def by_httpx(url, body):
    httpx.post(_url(url), content=body, headers={"content-type": "application/json"})


def by_requests(url, body):
    with requests.Session() as session:
        session.post(_url(url), data=body, headers={"content-type": "application/json"})


def by_urllib3(url, body):
    with urllib3.PoolManager() as pool:
        pool.request("POST", _url(url), body=body, headers={"content-type": "application/json"})


def by_urllib(url, body):
    request = urllib.request.Request(_url(url), data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        response.read()


def by_http_client(url, body):
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    connection.getresponse().read()
    connection.close()


#: Reads the files that describe AWS' services, once: to read them takes longer than all else here.
LOADER = botocore.loaders.create_loader()


def by_boto3(url, body):
    session = botocore.session.get_session()
    session.register_component("data_loader", LOADER)
    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"max_attempts": 0})
    client = boto3.session.Session(botocore_session=session).client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=config
    )
    client.invoke_model(modelId="m", body=body)
    client.close()


CLIENTS = [by_httpx, by_requests, by_urllib3, by_urllib, by_http_client, by_boto3]


def body(number):
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": f"bird {number}"}]}).encode()


def ask_at_once(clients, url):
    def ask(number):
        clients[number % len(clients)](url, body(number))

    with ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(ask, range(N_REQUESTS)))


@pytest.mark.parametrize(
    "clients", [*([client] for client in CLIENTS), CLIENTS], ids=lambda found: "+".join(c.__name__ for c in found)
)
def test_requests_of_all_threads_are_recorded(provider, cassette, path, clients):
    with cassette("once") as opened:
        ask_at_once(clients, provider.url)
    assert len(provider.requests) == len(opened.seen) == N_REQUESTS
    recorded = [json.loads(interaction.request.body)["messages"][0]["content"] for interaction in storage.load(path)]
    assert sorted(recorded) == sorted(f"bird {number}" for number in range(N_REQUESTS))
    provider.stop()
    with cassette() as opened:
        ask_at_once(clients, provider.url)
    assert len(opened.seen) == N_REQUESTS
    assert opened.unplayed == []


@pytest.mark.parametrize("kind", ["HTTPConnection", "HTTPSConnection"])
def test_a_connection_that_is_made_while_others_are_asks_the_cassette(cassette, kind, monkeypatch):
    """With all the certificates that it loads, one takes long enough to be made for others to begin."""
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    with cassette("once"), ThreadPoolExecutor(N_THREADS) as threads:
        made = list(threads.map(lambda _: getattr(http.client, kind)("api.provider.test"), range(N_REQUESTS)))
    assert {hasattr(connection, "real_connection") for connection in made} == {True}
    assert isinstance(made[0].real_connection, getattr(http.client, kind))
