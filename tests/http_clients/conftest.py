"""A scripted server, and a sink that receives every library's requests."""

import contextlib

import pytest
from scripted import KeptSink, ScriptedServer, observing

from pytest_llm_usage import http_clients
from pytest_llm_usage.http_clients.patches import Patches


@pytest.fixture(scope="session")
def replaced():
    """The functions of other packages that observation replaces: the owner and the name of each."""
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
    """The libraries as they are without the plugin, which observes this suite like any other."""
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
    """A sink that receives all requests of the test; observation may not fail."""
    sink = KeptSink()
    with observing(sink) as sink.observation:
        yield sink
    assert sink.failures == []
