"""A scripted server, and a sink that every library's requests are told to."""

import pytest
from scripted import KeptSink, ScriptedServer, observing


@pytest.fixture
def server():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def sink():
    """A sink to which all that the test asks is told; nothing of it may go wrong."""
    sink = KeptSink()
    with observing(sink) as sink.observation:
        yield sink
    assert sink.failures == []
