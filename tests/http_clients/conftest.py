"""A scripted server, and a sink that every library's requests are told to."""

import contextlib

import pytest
from scripted import KeptSink, ScriptedServer, observing

from pytest_llm_usage import http_clients
from pytest_llm_usage.http_clients.patches import Patches


@pytest.fixture(scope="session")
def replaced():
    """The functions of others that observation replaces: who has each, and its name."""
    places = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        replace = Patches.replace

        def noted(patches, owner, name, *args):
            places.append((owner, name))
            replace(patches, owner, name, *args)

        monkeypatch.setattr(Patches, "replace", noted)
        with observing(KeptSink()):
            pass
    assert len(places) > 20
    return places


@pytest.fixture(autouse=True)
def unobserved(replaced):
    """The libraries as they are without the plugin, which observes this suite as any other."""
    with contextlib.ExitStack() as stack:
        for owner, name in replaced:
            function = current = vars(owner)[name]
            while http_clients.__path__[0] in function.__code__.co_filename:
                function = function.__wrapped__
            stack.callback(setattr, owner, name, current)
            setattr(owner, name, function)
        yield


@pytest.fixture
def server():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def sink(unobserved):
    """A sink to which all that the test asks is told; nothing of it may go wrong."""
    sink = KeptSink()
    with observing(sink) as sink.observation:
        yield sink
    assert sink.failures == []
