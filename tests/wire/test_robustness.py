"""Whatever a server sent and a recorder kept: nothing raises, and a number that is not the whole one says so."""

import gzip
import json
import sys
import zlib
from dataclasses import replace

import brotli
import pytest
import zstandard
from bodies import aws_stream, exchange, ndjson, sse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_llm_usage import encoding, wire
from pytest_llm_usage.wire import Exchange

CHAT = {"model": "m", "messages": []}
SPENT = {"prompt_tokens": 120, "completion_tokens": 34, "total_tokens": 154}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "model": "m-1", "choices": [], "usage": None}
STOP = CHUNK | {"choices": [{"finish_reason": "stop"}]}
MESSAGE = {"id": "msg", "type": "message", "model": "m-1", "usage": {"input_tokens": 120, "output_tokens": 34}}

#: One exchange in every framing, streams with cumulative usage and with usage at the end among them.
WHOLE = {
    "json": exchange("https://api.openai.com/v1/chat/completions", CHAT, {"model": "m-1", "usage": SPENT}),
    "sse-at-the-end": exchange(
        "https://api.openai.com/v1/chat/completions",
        CHAT,
        sse(CHUNK, CHUNK, STOP, CHUNK | {"usage": SPENT}, done=True),
    ),
    "sse-cumulative": exchange(
        "https://api.anthropic.com/v1/messages",
        CHAT,
        sse(
            ("message_start", {"type": "message_start", "message": MESSAGE | {"usage": {"input_tokens": 120}}}),
            ("ping", {"type": "ping"}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 34}}),
            ("message_stop", {"type": "message_stop"}),
        ),
    ),
    "sse-in-every-event": exchange(
        "https://g.example/models/m:streamGenerateContent",
        {"contents": []},
        sse(
            {"candidates": [{}], "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}},
            {"candidates": [{}], "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 30}},
            {
                "candidates": [{"finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 34},
            },
        ),
    ),
    "json-array": exchange(
        "https://g.example/models/m:streamGenerateContent",
        {"contents": []},
        [
            {"candidates": [{}], "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 30}},
            {
                "candidates": [{"finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 34},
            },
        ],
    ),
    "ndjson": exchange(
        "http://localhost:11434/api/chat",
        CHAT,
        ndjson(
            {"model": "m", "message": {}, "done": False},
            {"model": "m", "message": {}, "done": True, "prompt_eval_count": 120, "eval_count": 34},
        ),
    ),
    "aws-eventstream": exchange(
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream",
        CHAT,
        aws_stream(
            ("messageStart", {"role": "assistant"}),
            ("messageStop", {"stopReason": "end_turn"}),
            ("metadata", {"usage": {"inputTokens": 120, "outputTokens": 34, "totalTokens": 154}}),
        ),
    ),
    "aws-eventstream-wrapped": exchange(
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/invoke-with-response-stream",
        CHAT,
        aws_stream(
            ("chunk", {"type": "message_start", "message": MESSAGE | {"usage": {"input_tokens": 120}}}),
            ("chunk", {"type": "message_delta", "usage": {"output_tokens": 34}}),
            ("chunk", {"type": "message_stop"}),
        ),
    ),
}

ENCODERS = {
    "": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def with_body(whole, body, **headers):
    return Exchange(whole.method, whole.url, {}, whole.request_body, 200, headers, body)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    ("encoding", "told"),
    # Deflate and brotli have no signature: only the header tells.
    [*((encoding, True) for encoding in ENCODERS), ("gzip", False), ("zstd", False)],
)
def test_a_whole_body_is_read_whatever_its_headers_say(name, encoding, told):
    whole = WHOLE[name]
    headers = {"Content-Encoding": encoding} if told and encoding else {}

    for content_type in ("application/json", "text/event-stream", "application/octet-stream", ""):
        call = wire.read(
            with_body(whole, ENCODERS[encoding](whole.response_body), **headers, **{"content-type": content_type})
        )
        assert (call.usage.to_dict(), call.status) == (
            {"input_tokens": 120, "output_tokens": 34, "total_tokens": 154},
            "ok",
        )


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_header_that_lies_does_no_harm(name, encoding):
    whole = WHOLE[name]

    assert wire.read(with_body(whole, whole.response_body, **{"content-encoding": encoding})) == wire.read(whole)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_body_that_is_cut_off_never_passes_for_a_whole_one(name, encoding):
    whole = WHOLE[name]
    body = ENCODERS[encoding](whole.response_body)
    known = wire.read(whole).usage

    for length in range(len(body)):
        call = wire.read(with_body(whole, body[:length], **{"content-encoding": encoding}))
        assert call is None or call.usage == known or call.status != "ok", length
        assert call is None or call.status == "ok" or call.note, length


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.startswith("aws")])
def test_white_space_that_kept_the_connection_alive_does_no_harm(name):
    whole = WHOLE[name]

    assert wire.read(with_body(whole, b"\n         " * 1000 + whole.response_body)) == wire.read(whole)


@pytest.mark.parametrize("name", ["json", "sse-at-the-end", "json-array", "ndjson"])
def test_characters_that_a_recorder_broke_do_no_harm(name):
    whole = WHOLE[name]
    broken = whole.response_body.replace(b'"m', b'"\xe2\x80m')

    assert wire.read(with_body(whole, broken)).usage == wire.read(whole).usage


def test_what_came_before_the_cut_is_told():
    whole = WHOLE["sse-cumulative"]
    call = wire.read(with_body(whole, whole.response_body.split(b"event: message_delta")[0]))

    assert (call.usage.input_tokens, call.status) == (120, "aborted")
    assert call.note == "the stream breaks off before its end"


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"", "the response has no body"),
        (b'{"model": "m-1", "usage": {"prompt_to', "the body is cut off or garbled"),
        (b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: {"usage": {"prom', "the stream is cut off"),
        (b'data: {"usage": {]}\n\ndata: {"x": 1}\n\n', "the stream is garbled"),
        (gzip.compress(b'{"usage": 1}' * 99, mtime=0)[:-9], "the compressed body is cut off"),
        (b"<html>", "the response states no usage"),
        (b'{"error": {"message": "overloaded"}}', "the provider answered with an error: overloaded"),
        (b'data: {"choices": []}\n\ndata: {"error": "gone"}\n\n', "the provider answered with an error: gone"),
        (b'{"error": {"code": 3}}', "the provider answered with an error: no message given"),
        (
            b'data: {"type": "response.failed", "response": {"status": "failed", "error": {"message": "too large"}}}\n\n',
            "the provider answered with an error: too large",
        ),
        (
            b'data: {"type": "error", "code": "server_error", "message": "went wrong", "sequence_number": 4}\n\n',
            "the provider answered with an error: went wrong",
        ),
        (
            b'data: {"object": "thread.run", "last_error": {"message": "no quota"}}\n\nevent: done\ndata: [DONE]\n\n',
            "the provider answered with an error: no quota",
        ),
        # The cohere SDK: `ChatMessageEndEventDelta`.
        (
            b'data: {"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": {}, "error": "no tool"}}\n\n',
            "the provider answered with an error: no tool",
        ),
        # https://openrouter.ai/docs/api/reference/errors-and-debugging
        (
            b'{"choices": [{"finish_reason": "error", "error": {"code": 502, "message": "no host"}}]}',
            "the provider answered with an error: no host",
        ),
        # The mistralai SDK: `ResponseErrorEvent`.
        (
            b'data: {"type": "conversation.response.error", "message": "no agent", "code": 1}\n\n',
            "the provider answered with an error: no agent",
        ),
        # llama.cpp's older servers: `server_sent_event`; and what stands behind a gateway.
        (
            b'data: {"choices": []}\n\nerror: {"code": 500, "message": "no memory", "type": "server_error"}\n\n',
            "the provider answered with an error: no memory",
        ),
        (
            b'data: {"choices": []}\n\nerror: {"detail": "x", "error": {"message": "no memory"}}\n\n',
            "the provider answered with an error: no memory",
        ),
        (b'data: {"choices": []}\n\nerror: no memory\n\n', "the stream breaks off before its end"),
        # Google's servers end a stream so that they cannot finish.
        (
            b'data: {"candidates": []}\n\n{\n  "error": {\n    "message": "cancelled"\n  }\n}\n',
            "the provider answered with an error: cancelled",
        ),
    ],
)
def test_the_note_says_what_is_wrong(body, note):
    call = wire.read(with_body(WHOLE["json"], body))

    assert call.status in ("aborted", "no_usage")
    assert note in call.note


def test_a_missing_decoder_is_named_with_what_installs_it(monkeypatch):
    packages = ("botocore.eventstream", "brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard")
    for name in packages:
        monkeypatch.setitem(sys.modules, name, None)

    def note(encoding):
        body = ENCODERS[encoding](WHOLE["json"].response_body)
        return wire.read(with_body(WHOLE["json"], body, **{"content-encoding": encoding})).note

    assert wire.read(WHOLE["aws-eventstream"]).note == (
        "an AWS event stream is decoded by botocore, which is not installed (pip install botocore)"
    )
    assert note("br") == "the body is compressed with brotli, and no decoder is installed (pip install brotli)"
    assert note("zstd") == "the body is compressed with zstandard, and no decoder is installed (pip install zstandard)"


def test_compressed_nonsense_is_named(monkeypatch):
    monkeypatch.setattr(encoding, "MAX_BYTES", 1000)
    nonsense = with_body(WHOLE["json"], b"\x81\xff nonsense", **{"content-encoding": "br"})
    bomb = with_body(WHOLE["json"], gzip.compress(b" " * 10_000))
    zstd = with_body(WHOLE["json"], b"\x28\xb5\x2f\xfd" + b"\xff" * 99)
    padded = with_body(WHOLE["json"], gzip.compress(WHOLE["json"].response_body) + b"\0" * 9)

    assert wire.read(bomb).note == "the body is larger than 1,000 bytes"
    assert wire.read(nonsense).note == "the compressed body is garbled"
    assert wire.read(zstd).note == "the compressed body is garbled"
    assert wire.read(padded) == wire.read(WHOLE["json"])


def test_a_wrapped_aws_event_that_is_no_base64_is_left_out():
    whole = WHOLE["aws-eventstream-wrapped"]
    garbled = aws_stream(("other", {"bytes": "é"}), ("other", {"bytes": "a"})) + whole.response_body

    assert wire.read(with_body(whole, garbled)).usage == wire.read(whole).usage


# --- Generated --------------------------------------------------------------------------------------------------------

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
NOISE = st.sampled_from(["", ": a comment", ":", "retry: 9", "id: 7", "unknown: field", "event:  spaced "])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(
    line_end=LINE_ENDS,
    noise=st.lists(NOISE, min_size=1, max_size=5),
    indent=st.sampled_from([None, 0, 2]),
    space=st.sampled_from(["", " "]),
    ends_blank=st.booleans(),
    bom=st.booleans(),
    text=st.text(),
)
@example(line_end="\r", noise=[""], indent=2, space="", ends_blank=False, bom=True, text='\u2028"usage": {')
def test_server_sent_events_read_the_same_however_they_are_written(
    line_end, noise, indent, space, ends_blank, bom, text
):
    events = [CHUNK | {"text": text}, CHUNK, STOP, CHUNK | {"usage": SPENT}]
    lines = []
    for number, event in enumerate(events):
        # A line of nothing would end the event.
        lines += [line for line in [noise[number % len(noise)]] if line]
        lines += [f"data:{space}{line}" for line in json.dumps(event, indent=indent).split("\n")]
        lines += [""]
    body = line_end.join(lines if ends_blank else lines[:-1]).encode()
    call = wire.read(with_body(WHOLE["sse-at-the-end"], b"\xef\xbb\xbf" * bom + body))

    assert (call.usage.total_tokens, call.status, call.model) == (154, "ok", "m-1")


@st.composite
def mangled(draw):
    """A body of some framing, cut, spliced, with bytes changed, compressed, or not one at all."""
    whole = WHOLE[draw(st.sampled_from(sorted(WHOLE)))]
    body = bytearray(whole.response_body)
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(body)))
        if draw(st.booleans()):
            body[position : position + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
        else:
            other = WHOLE[draw(st.sampled_from(sorted(WHOLE)))].response_body
            body[position:position] = other[: draw(st.integers(0, len(other)))]
    encoding = draw(st.sampled_from([*ENCODERS, "gzip, br", "x-unknown"]))
    content = ENCODERS.get(encoding, gzip.compress)(bytes(body[: draw(st.integers(0, len(body)))]))
    headers = {"content-encoding": encoding, "content-type": draw(st.sampled_from(["", "application/x-ndjson", "?"]))}
    return with_body(whole, content, **headers)


#: Each body is read at this many lengths: ten thousand streams in all.
CUTS = 10


@settings(max_examples=1000)
@given(mangled())
@example(with_body(WHOLE["aws-eventstream"], WHOLE["aws-eventstream"].response_body[:-1] + b"\0"))
@example(with_body(WHOLE["json-array"], b"[,"))
@example(with_body(WHOLE["json"], b"[" * 100_000))
@example(with_body(WHOLE["ndjson"], b'{"done": true}\n{"eval_count": ' + b"9" * 5000 + b"}"))
@example(with_body(WHOLE["json"], b'{"usage": {"prompt_tokens": 1e999, "completion_tokens": NaN}}'))
@example(with_body(WHOLE["json"], b'{"usage": {"prompt_tokens": 1, "cost": 1e999}, "created": 1e308}'))
@example(with_body(WHOLE["json"], b'{"usage": {"prompt_tokens": 1}, "id": ["x"], "model": {"a": 1}}'))
@example(with_body(WHOLE["json"], b"\x1f\x8b", **{"content-encoding": "gzip"}))
@example(with_body(WHOLE["json"], b"\x28\xb5\x2f\xfd", **{"content-encoding": "zstd"}))
@example(with_body(WHOLE["json"], b"{}", date="Fri, 99 Foo 99999999999 99:99:99 +9999"))
def test_no_body_raises(mangled):
    body = mangled.response_body
    for cut in range(CUTS):
        call = wire.read(replace(mangled, response_body=body[: len(body) - cut * len(body) // CUTS]))

        assert call is None or isinstance(call, wire.WireCall)
        if call is not None and call.status != "ok":
            assert call.note
        elif call is not None:
            assert call.usage is not None


@given(body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(), whole=st.sampled_from(sorted(WHOLE)))
def test_no_json_raises(body, whole):
    wire.read(with_body(WHOLE[whole], body))


@given(usage=st.dictionaries(st.sampled_from([*SPENT, "prompt_tokens_details", "cost"]), JSON))
def test_no_usage_object_raises(usage):
    call = wire.read(with_body(WHOLE["json"], json.dumps({"usage": usage}).encode()))

    assert call.usage is None or call.usage.total_tokens >= 0


#: Members by which answers are told when the path does not tell.
TELLING = ["object", "type", "event_type", "message", "usage", "usageMetadata", "candidates", "data", "done", "model"]
VALUES = st.sampled_from(["response", "chat.completion", "message", "message_start", "message-start", "interaction"])


@given(st.dictionaries(st.sampled_from([*TELLING, "response", "output", "stopReason", "error"]), VALUES | JSON))
@example({"message": {}, "usage": 5})
@example({"type": ["message"], "usage": [], "iterations": {}})
def test_no_shape_raises(body):
    wire.read(exchange("https://proxy.example/llm", b"", body))


@given(
    st.text(),
    st.text(),
    st.binary(),
    st.dictionaries(st.text(), st.text() | st.lists(st.text())),
    st.integers(),
    st.text(),
)
def test_no_exchange_raises(method, url, body, headers, status, date):
    wire.read(Exchange(method, url, headers, body, status, headers | {"date": date}, body))
    wire.read(Exchange("POST", "https://api.openai.com/v1/messages", headers, b"", 200, headers | {"date": date}, body))
