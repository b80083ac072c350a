"""Cassettes to record a provider's answers with, and host names that resolve to the provider."""

import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from provider_server import Provider, refuse

from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette


@pytest.fixture(autouse=True)
def provider_names(monkeypatch):
    """Resolves names under `.test` to loopback, in this process, however they are looked up."""
    lookup = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        return lookup("127.0.0.1" if name and name.endswith(".test") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassettes" / "test_agent" / "test_bird.yaml"


@pytest.fixture
def cassette(path):
    """Opens the cassette of the test: `with cassette("once") as opened: …` saves when the block ends well."""

    @contextmanager
    def opened(record_mode="none", *, observe=None, before_send=None, path=path, **policy):
        seen = []
        policy = CassettePolicy(
            path=Path(path),
            record_mode=record_mode,
            rerecord_command='pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite',
            root=Path(path).parents[2],
            **policy,
        )
        used = OpenCassette(policy, observe=observe or seen.append, before_send=before_send, fail=refuse)
        used.seen = seen
        with used:
            yield used
        used.close(save=True)

    return opened
