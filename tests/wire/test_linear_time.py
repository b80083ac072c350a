"""How much work a body takes: counted in parsed bytes rather than in seconds, it grows with the body alone."""

import json

import pytest
from bodies import exchange

from pytest_llm_usage import wire
from pytest_llm_usage.wire import framing, recognition

CHAT = {"model": "m", "messages": []}
URL = "https://api.openai.com/v1/chat/completions"


@pytest.fixture
def parsed_bytes(monkeypatch):
    """How many bytes were parsed since the fixture was set up."""
    sizes = []
    parse = framing.parsed
    monkeypatch.setattr(framing, "parsed", lambda text: (sizes.append(len(text)), parse(text))[1])
    return sizes


class CountingBytes(bytes):
    """A body that counts how far it is searched."""

    searched = 0

    def rfind(self, sub, start=0, end=None):
        found = super().rfind(sub, start, len(self) if end is None else end)
        CountingBytes.searched += (len(self) if end is None else end) - max(found, start)
        return found

    def find(self, sub, start=0, end=None):
        found = super().find(sub, start, len(self) if end is None else end)
        CountingBytes.searched += (found if found >= 0 else len(self)) - start
        return found


def event_with(number):
    return b"data: {" + b",".join(b'"usage":%d' % n for n in range(number)) + b"}\n\n"


@pytest.mark.parametrize("backwards", [True, False])
def test_a_key_that_one_event_holds_many_times_is_looked_up_once(backwards):
    body = framing.Body(event_with(10_000), {})
    body._content = CountingBytes(body._content)
    CountingBytes.searched = 0

    assert len(list(body.holding(("usage",), backwards=backwards))) == 1
    assert CountingBytes.searched <= 3 * len(body._content)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(event_with(70_000), id="one-key-many-times"),
        pytest.param(b"data: {]\n\n" * 70_000, id="many-broken-events"),
        pytest.param(b"data: {]\n" * 70_000, id="many-broken-lines"),
        pytest.param(b'data: {"usage": {}}\n' * 50_000, id="no-blank-lines"),
        pytest.param(b'{"usage": 1}\n{]\n' * 50_000, id="broken-lines"),
        pytest.param(b"[" + b'{"usage": {}},' * 50_000, id="an-array-that-is-cut-off"),
        pytest.param(b"\n" * 900_000, id="nothing-but-line-ends"),
        pytest.param(b" " * 900_000 + b"{", id="nothing-but-spaces"),
        pytest.param(b"[" * 900_000, id="brackets"),
    ],
)
def test_every_byte_is_parsed_a_few_times_at_most(parsed_bytes, body):
    wire.read(exchange(URL, CHAT, body))

    assert sum(parsed_bytes) <= 12 * len(body)


def test_an_upload_with_many_names_is_read_in_one_go():
    form = b'; name="a"\r\n' * 100_000
    found = recognition.Request.from_body(form, {"content-type": "multipart/form-data"})

    assert found.model is None


def test_a_large_answer_of_an_unknown_api_is_looked_through_a_little():
    data = {"vectors": [[0.5] * 10] * 100_000, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    call = wire.read(exchange("https://llm.example/x", {}, json.dumps(data).encode()))

    assert call.flavour == "unknown"
