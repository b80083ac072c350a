"""Reading streams of ten megabytes, against `json.loads` on all their events: at most a fifth.

`python -m benchmarks.wire_reading`. One stream of each kind: usage in the last event, in the first and the last, in
every event, in none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from benchmarks.measure import Comparison, alternate
from pytest_llm_usage import wire

STREAM_BYTES = 10_000_000
LARGEST_RATIO = 0.2

CHUNK = {
    "id": "chatcmpl-0123456789",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "gpt-x-2026-01-01",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
    "choices": [{"index": 0, "delta": {"content": " a word"}, "logprobs": None, "finish_reason": None}],
    "usage": None,
}
CHAT_USAGE = {"prompt_tokens": 100, "completion_tokens": 40_000, "total_tokens": 40_100}
MESSAGE_START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "model": "claude-x",
        "usage": {"input_tokens": 9, "output_tokens": 1},
    },
}
MESSAGE_CHUNK = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " a word"}}
MESSAGE_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40_000}}
RESPONSE = {"id": "resp_1", "object": "response", "model": "gpt-x", "status": "completed"}
RESPONSE_CHUNK = {"type": "response.output_text.delta", "item_id": "msg_1", "sequence_number": 9, "delta": " a word"}
RESPONSE_USAGE = {"input_tokens": 100, "output_tokens": 40_000, "total_tokens": 40_100}
CANDIDATE = {
    "candidates": [{"content": {"parts": [{"text": " a word"}], "role": "model"}, "index": 0, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 40_000, "totalTokenCount": 40_100},
    "modelVersion": "gemini-x",
    "responseId": "abc",
}
CHAT_REQUEST = {"model": "gpt-x", "messages": [], "stream": True}

#: Name, URL, request, first events, the event that fills the stream, last events.
STREAMS = (
    (
        "chat",
        "https://api.openai.com/v1/chat/completions",
        CHAT_REQUEST,
        [],
        CHUNK,
        [CHUNK | {"choices": [{"finish_reason": "stop"}]}, CHUNK | {"choices": [], "usage": CHAT_USAGE}],
    ),
    (
        "chat (usage in every event)",
        "https://api.openai.com/v1/chat/completions",
        CHAT_REQUEST,
        [],
        CHUNK | {"usage": CHAT_USAGE},
        [CHUNK | {"choices": [{"finish_reason": "stop"}], "usage": CHAT_USAGE}],
    ),
    (
        "chat (no usage)",
        "https://api.openai.com/v1/chat/completions",
        CHAT_REQUEST,
        [],
        CHUNK,
        [CHUNK | {"choices": [{"finish_reason": "stop"}]}],
    ),
    (
        "responses",
        "https://api.openai.com/v1/responses",
        {"model": "gpt-x", "input": "hi"},
        [{"type": "response.created", "response": RESPONSE}],
        RESPONSE_CHUNK,
        [{"type": "response.completed", "response": RESPONSE | {"usage": RESPONSE_USAGE}}],
    ),
    (
        "messages",
        "https://api.anthropic.com/v1/messages",
        CHAT_REQUEST,
        [MESSAGE_START],
        MESSAGE_CHUNK,
        [MESSAGE_END, {"type": "message_stop"}],
    ),
    (
        "generateContent (usage in every event)",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        {"contents": []},
        [],
        CANDIDATE,
        [],
    ),
)


def compare(*, rounds: int) -> list[Comparison]:
    """One comparison a stream: reading it against parsing all its events."""
    return [_compared(*stream, rounds=rounds) for stream in STREAMS]


def _compared(name, url, request, first, filling, last, *, rounds):
    count = STREAM_BYTES // (len(json.dumps(filling)) + len("data: \n\n"))
    events = [json.dumps(event).encode() for event in (*first, *[filling] * count, *last)]
    exchange = wire.Exchange(
        method="POST",
        url=url,
        request_body=json.dumps(request).encode(),
        response_headers={"content-type": "text/event-stream"},
        response_body=b"".join(b"data: %s\n\n" % event for event in events),
    )
    call = wire.read(exchange)
    if call is None or call.status == "aborted" or not call.streamed:
        raise RuntimeError(f"{name}: not read as a whole stream: {call}")
    medians = alternate(
        {
            "ours": lambda: {"s": timed(lambda: wire.read(exchange))},
            "other": lambda: {"s": timed(lambda: [json.loads(event) for event in events])},
        },
        rounds,
    )
    return Comparison(f"10 MB of SSE: {name}", medians["ours"]["s"], medians["other"]["s"], most_ratio=LARGEST_RATIO)


def timed(function: Callable[[], object]) -> float:
    """Seconds of processor time that one call of `function` takes."""
    started_s = time.process_time()
    function()
    return time.process_time() - started_s


def main() -> int:
    comparisons = compare(rounds=5)
    print(*comparisons, sep="\n")
    return 0 if all(comparison.is_met for comparison in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
