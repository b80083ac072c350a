"""Model providers on loopback that count as they are told: `fastest bird? [812 64]` is answered with that usage.

Anthropic, Bedrock, Cohere, Gemini, Groq, Mistral, Ollama and OpenAI's chat completions, streamed and not, embeddings
and reranking, each stating its usage where its provider does. A request that says `break off` gets half an answer.
`Provider.asked` is what was sent, so that a test can tell a replayed call from one that reached the server.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

MODEL = "gpt-4o-mini-2024-07-18"
_TEXT = "The peregrine falcon."
_TOLD = re.compile(r"\[(\d+) (\d+)\]")


class Question(NamedTuple):
    """A request: the usage it asks for is that of the last `[input output]` in it."""

    path: str
    body: dict[str, Any]
    sent: int
    received: int


class Provider(ThreadingHTTPServer):
    """The server; `asked` holds every request, in order."""

    daemon_threads = True
    request_queue_size = 64  # clients that start all at once

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Question] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that disconnect without a word."""


@contextmanager
def serving() -> Iterator[Provider]:
    """A provider, running."""
    with Provider() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        question = _question(self.path, text)
        self.server.asked.append(question)
        refusals = text.count("refuse") - sum(asked == question for asked in self.server.asked[:-1])
        if refusals > 0:
            self._answer(429, "application/json", json.dumps({"error": {"message": "too many requests"}}).encode())
        else:
            content_type, content = _answer(question)
            self._answer(200, content_type, content[: len(content) // 2] if "break off" in text else content)

    def _answer(self, status: int, content_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


_Answer = tuple[str, bytes]


def answer_to(path: str, body: bytes) -> _Answer:
    """What the server answers to a request, for those who mock it: the content type and the content."""
    return _answer(_question(path, body.decode()))


def _question(path: str, text: str) -> Question:
    sent, received = map(int, _TOLD.findall(text)[-1])
    return Question(path, json.loads(text), sent, received)


def _answer(question: Question) -> _Answer:
    return next(answer for part, answer in _ANSWERS.items() if part in question.path)(question)


def _json(value: Any) -> _Answer:
    return "application/json", json.dumps(value).encode()


def _openai_usage(question: Question) -> dict[str, int]:
    total = question.sent + question.received
    return {"prompt_tokens": question.sent, "completion_tokens": question.received, "total_tokens": total}


def _openai(question: Question) -> _Answer:
    """https://platform.openai.com/docs/api-reference/chat/object and …/chat-streaming/streaming"""
    body, usage = question.body, _openai_usage(question)
    model = MODEL if body["model"].startswith("gpt") else body["model"]
    named = {"id": f"chatcmpl-{question.sent}-{question.received}", "created": 1_760_000_000, "model": model}
    if not body.get("stream"):
        message = {"role": "assistant", "content": _TEXT}
        choices = [{"index": n, "message": message, "finish_reason": "stop"} for n in range(body.get("n") or 1)]
        return _json({**named, "object": "chat.completion", "choices": choices, "usage": usage})
    named["object"] = "chat.completion.chunk"
    delta = {"role": "assistant", "content": _TEXT}
    last = {**named, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}
    chunks = [{**named, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, last]
    if model.startswith("mistral"):  # https://docs.mistral.ai/api/#tag/chat
        last["usage"] = usage
    elif "/openai/v1/" in question.path:  # https://console.groq.com/docs/api-reference#chat-create
        last["x_groq"] = {"id": "req_1", "usage": usage}
    elif (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**named, "choices": [], "usage": usage})
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return "text/event-stream", f"{events}data: [DONE]\n\n".encode()


def _completions(question: Question) -> _Answer:
    """https://platform.openai.com/docs/api-reference/completions/object"""
    prompts = question.body["prompt"]
    choices = [{"index": n, "text": _TEXT, "finish_reason": "stop"} for n in range(len(prompts))]
    named = {
        "id": f"cmpl-{question.sent}",
        "object": "text_completion",
        "created": 1_760_000_000,
        "model": "davinci-002",
    }
    return _json({**named, "choices": choices, "usage": _openai_usage(question)})


def _embeddings(question: Question) -> _Answer:
    """https://platform.openai.com/docs/api-reference/embeddings/create"""
    data = [{"object": "embedding", "index": 0, "embedding": _VECTOR}]
    usage = {"prompt_tokens": question.sent, "total_tokens": question.sent}
    return _json({"object": "list", "data": data, "model": question.body["model"], "usage": usage})


_VECTOR = [0.25, -0.5]


def _ollama_chat(question: Question) -> _Answer:
    """https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion"""
    message = {"role": "assistant", "content": _TEXT}
    return _ollama(question, {"message": message}, {"message": {**message, "content": ""}})


def _ollama_generate(question: Question) -> _Answer:
    """https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-completion"""
    return _ollama(question, {"response": _TEXT}, {"response": ""})


def _ollama(question: Question, answer: Mapping[str, Any], rest: Mapping[str, Any]) -> _Answer:
    named = {"model": question.body["model"], "created_at": "2025-10-09T08:53:20Z"}
    counts = {"prompt_eval_count": question.sent, "eval_count": question.received}
    last = {**named, "done": True, "done_reason": "stop", **counts}
    if question.body.get("stream") is False:
        return _json({**last, **answer})
    lines = [{**named, **answer, "done": False}, {**last, **rest}]
    return "application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines).encode()


def _ollama_embed(question: Question) -> _Answer:
    """https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings"""
    return _json({"model": question.body["model"], "embeddings": [_VECTOR], "prompt_eval_count": question.sent})


def _gemini(question: Question) -> _Answer:
    """https://ai.google.dev/api/generate-content; Vertex answers alike."""
    counts = {"promptTokenCount": question.sent, "candidatesTokenCount": question.received}
    usage = {**counts, "totalTokenCount": question.sent + question.received}
    candidate = {"content": {"role": "model", "parts": [{"text": _TEXT}]}, "index": 0}
    named = {"modelVersion": "gemini-2.5-flash", "responseId": f"gemini-{question.sent}"}
    last = {"candidates": [{**candidate, "finishReason": "STOP"}], "usageMetadata": usage, **named}
    if "stream" not in question.path:
        return _json(last)
    first = {"candidates": [candidate], "usageMetadata": {"promptTokenCount": question.sent}, **named}
    return "text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in (first, last)).encode()


def _gemini_embed(question: Question) -> _Answer:
    """https://ai.google.dev/api/embeddings"""
    embedding = {"values": _VECTOR}
    several = {"embeddings": [embedding]} if "batch" in question.path else {"embedding": embedding}
    return _json({**several, "usageMetadata": {"promptTokenCount": question.sent}})


def _cohere_chat(question: Question) -> _Answer:
    """https://docs.cohere.com/v2/reference/chat and …/chat-stream"""
    counts = {"input_tokens": question.sent, "output_tokens": question.received}
    ended = {"finish_reason": "COMPLETE", "usage": {"billed_units": counts, "tokens": counts}}
    text = {"type": "text", "text": _TEXT}
    if not question.body.get("stream"):
        return _json({"id": "chat-1", "message": {"role": "assistant", "content": [text]}, **ended})
    begun = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}
    events = (
        {"type": "message-start", "id": "chat-1", "delta": begun},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {**text, "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": _TEXT}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "id": "chat-1", "delta": ended},
    )
    pieces = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return "text/event-stream", f"{''.join(pieces)}data: [DONE]\n\n".encode()


def _cohere_embed(question: Question) -> _Answer:
    """https://docs.cohere.com/reference/embed"""
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": question.sent}}
    texts = {"id": "embed-1", "texts": question.body["texts"], "response_type": "embeddings_by_type"}
    return _json({**texts, "embeddings": {"float": [_VECTOR]}, "meta": meta})


def _rerank(question: Question) -> _Answer:
    """https://docs.cohere.com/reference/rerank; billed by the search, not by the token."""
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return _json({"id": "rerank-1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": meta})


def _converse(question: Question) -> _Answer:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""
    total = question.sent + question.received
    usage = {"inputTokens": question.sent, "outputTokens": question.received, "totalTokens": total}
    metrics = {"latencyMs": 1}
    message = {"role": "assistant", "content": [{"text": _TEXT}]}
    return _json({"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": metrics})


def _converse_stream(question: Question) -> _Answer:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html"""
    whole = json.loads(_converse(question)[1])
    return _aws_stream(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": _TEXT}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": whole["usage"], "metrics": whole["metrics"]}),
    )


def _anthropic(question: Question) -> _Answer:
    """https://docs.anthropic.com/en/api/messages"""
    if question.body.get("stream"):
        events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _claude_events(question))
        return "text/event-stream", "".join(events).encode()
    return _invoke(question)


def _invoke(question: Question) -> _Answer:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html"""
    usage = {"input_tokens": question.sent, "output_tokens": question.received}
    return _json({**_CLAUDE, "content": [{"type": "text", "text": _TEXT}], "stop_reason": "end_turn", "usage": usage})


def _invoke_stream(question: Question) -> _Answer:
    *events, last = _claude_events(question)
    metrics = {"inputTokenCount": question.sent, "outputTokenCount": question.received}
    events.append({**last, "amazon-bedrock-invocationMetrics": metrics})
    coded = (base64.b64encode(json.dumps(event).encode()).decode() for event in events)
    return _aws_stream(*(("chunk", {"bytes": chunk}) for chunk in coded))


def _claude_events(question: Question) -> tuple[dict[str, Any], ...]:
    """https://docs.anthropic.com/en/docs/build-with-claude/streaming"""
    begun = {
        **_CLAUDE,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": question.sent, "output_tokens": 1},
    }
    ended = {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": question.received}}
    return (
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": _TEXT}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", **ended},
        {"type": "message_stop"},
    )


_CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-3-haiku-20240307"}


def _aws_stream(*events: tuple[str, Mapping[str, Any]]) -> _Answer:
    """https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream"""
    return "application/vnd.amazon.eventstream", b"".join(_aws_message(*event) for event in events)


def _aws_message(event_type: str, event: Mapping[str, Any]) -> bytes:
    named = {":event-type": event_type, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    payload = json.dumps(event).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


#: By what the path holds; the first that fits.
_ANSWERS = {
    "/chat/completions": _openai,
    "/completions": _completions,
    "/messages": _anthropic,
    "/embeddings": _embeddings,
    "/api/chat": _ollama_chat,
    "/v2/chat": _cohere_chat,
    "/api/generate": _ollama_generate,
    "/api/embed": _ollama_embed,
    "/embed": _cohere_embed,
    "/rerank": _rerank,
    "GenerateContent": _gemini,
    ":generateContent": _gemini,
    "mbedContent": _gemini_embed,
    "/converse-stream": _converse_stream,
    "/converse": _converse,
    "/invoke-with-response-stream": _invoke_stream,
    "/invoke": _invoke,
}
