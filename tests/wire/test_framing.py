"""From bytes to events: which framing, which events, and that the others are not parsed."""

import json
import re

import pytest
from bodies import aws_stream, ndjson, sse

from pytest_llm_usage.wire import framing
from pytest_llm_usage.wire.framing import Body


def data(events):
    return [event.data for event in events]


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b'{"a": 1}', "text/event-stream", "json"),
        (b'  {\n  "a": 1\n}\n', "", "json"),
        (b'[{"a": 1}]', "application/json", "json-array"),
        (b'{"a": 1}\n{"a": 2}\n', "application/json", "ndjson"),
        (b'{"a": 1}', "application/x-ndjson", "ndjson"),
        (b'{"a": 1}', "application/x-jsonl", "ndjson"),
        (b'data: {"a": 1}\n\n', "application/json", "sse"),
        (b'\r\n: comment\r\ndata:{"a": 1}', "", "sse"),
        (b'vendor: x\ndata: {"a": 1}', "", "sse"),
        (b"nothing that tells", "text/event-stream", "sse"),
        (aws_stream(("chunk", {"a": 1})), "application/json", "aws-eventstream"),
        (b"\0\0\0\x20 but no more", "application/vnd.amazon.eventstream", "aws-eventstream"),
        (b" \n", "application/json", "empty"),
        (b" " * 5000 + b"{}", "application/json", "json"),
        (b"<html>", "text/html", "other"),
        (b"17", "", "json"),
    ],
)
def test_the_bytes_decide_what_the_framing_is(content, content_type, expected):
    assert Body(content, {"Content-Type": content_type}).framing == expected


@pytest.mark.parametrize(
    "body",
    [
        sse({"n": 1}, {"n": 2}, {"n": 3}, done=True),
        b'data: {"n": 1}\ndata: {"n": 2}\ndata: {"n": 3}\ndata: [DONE]\n',
        ndjson({"n": 1}, {"n": 2}, {"n": 3}),
        b'[{"n": 1}\n,\r\n{"n": 2},{"n": 3}]',
        aws_stream(("a", {"n": 1}), ("b", {"n": 2}), ("chunk", {"n": 3})),
    ],
    ids=["sse", "sse-without-blank-lines", "ndjson", "json-array", "aws-eventstream"],
)
def test_every_framing_gives_the_same_events(body):
    events = [{"n": 1}, {"n": 2}, {"n": 3}]

    assert data(Body(body, {}).events()) == events
    assert data(Body(body, {}).holding(["n"])) == events
    assert data(Body(body, {}).holding(["n"], backwards=True)) == events[::-1]
    assert Body(body, {}).last().data == {"n": 3}
    assert Body(body, {}).problems == []


def test_a_single_document_is_one_event():
    body = Body(b'{"n": 1}', {})

    assert data(body.events()) == data(body.holding(["absent"])) == [{"n": 1}]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,", " : ")])
@pytest.mark.parametrize("frame", [b"data: %s\n\n", b"%s\n"])
def test_only_events_that_hold_a_key_are_parsed(monkeypatch, separators, frame):
    quoted = {"text": 'says "usage": {} and \\"usage\\": 1', "usage": None}
    events = [quoted] * 50 + [{"deep": [{"usage": {"n": 1}}]}] + [quoted] * 50
    content = b"".join(frame % json.dumps(event, separators=separators).encode() for event in events)
    body = Body(content, {})
    texts = []
    parse = framing.parsed
    monkeypatch.setattr(framing, "parsed", lambda text: texts.append(text) or parse(text))

    assert data(body.holding(["usage"])) == [{"deep": [{"usage": {"n": 1}}]}]
    assert len(texts) == 1


def test_reading_backwards_stops_where_the_reader_does(monkeypatch):
    body = Body(sse(*({"usage": {"n": n}} for n in range(100))), {})
    texts = []
    parse = framing.parsed
    monkeypatch.setattr(framing, "parsed", lambda text: texts.append(text) or parse(text))

    assert next(body.holding(["usage"], backwards=True)).data == {"usage": {"n": 99}}
    assert len(texts) == 1


def test_what_a_stream_mentions_is_found_wherever_it_stands():
    aws = Body(aws_stream(("metadata", {"n": 1}), ("chunk", {"n": 2})), {})
    long = Body(sse({"n": "first"}, *[{"n": "x" * 999}] * 99), {})

    assert aws.mentions(re.compile(rb'event: chunk\n{"n": 2}'))
    assert not aws.mentions(re.compile(rb"event: metadata\n{.n.: 2}"))
    assert long.mentions(re.compile(rb"first"))
    assert not long.mentions(re.compile(rb"second"))


@pytest.mark.parametrize(
    ("content", "events", "problems"),
    [
        (b'[{"n": 1}, {"n": 2}, {"n"', [{"n": 1}, {"n": 2}], ["the body is cut off or garbled"]),
        (b'{"n": 1}\n{"n": 2}\n{"n', [{"n": 1}, {"n": 2}], ["the stream is cut off"]),
        (b'data: {"n": 1}\n\ndata: {]\n\ndata: {"n": 3}', [{"n": 1}, {"n": 3}], ["the stream is garbled"]),
        (b'data: {"n": 1}\n\ndata: {"n', [{"n": 1}], ["the stream is cut off"]),
        (aws_stream(("a", {"n": 1}), ("b", {"n": 2}))[:-1], [{"n": 1}], ["the stream is cut off"]),
        (aws_stream(("a", {"n": 1})) + b"\0" * 20, [{"n": 1}], ["the stream is cut off"]),
        (
            aws_stream(("a", {"n": 1})).replace(b'"n": 1', b'"n": 7') + aws_stream(("b", {"n": 2})),
            [{"n": 2}],
            ["the stream is garbled"],
        ),
        (b'{"n": ', [], ["the body is cut off or garbled"]),
    ],
)
def test_what_can_be_read_of_a_broken_body_is_read(content, events, problems):
    body = Body(content, {})

    assert data(body.events()) == events
    assert body.problems == problems
