"""One test a flavour, each naming its counts: what the provider's reference says an answer looks like, in our terms."""

import json

import pytest
from bodies import aws_stream, exchange, ndjson, sse
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage import Billing, Part, TokenUsage, wire
from pytest_llm_usage.wire.providers import FLAVOURS

CHAT = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}


def usage(input_tokens, output_tokens, total=None, *, sent=None, received=None):
    return TokenUsage.from_counts(
        input_tokens,
        output_tokens,
        total_tokens=total,
        input_token_details=sent or {},
        output_token_details=received or {},
    )


def read(url, request, body, **more):
    return wire.read(exchange(url, request, body, **more))


# --- OpenAI and everybody who speaks like it --------------------------------------------------------------------------

OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 20, "audio_tokens": 7, "text_tokens": 9},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5, "rejected_prediction_tokens": 2},
}
OPENAI_COUNTS = usage(
    100,
    40,
    sent={"cache_read": 64, "cache_creation": 20, "audio": 7},
    received={"reasoning": 30, "audio": 5},
)


def chunk(**more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-x-1", "choices": [], **more}


STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def test_openai_chat():
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-x-1", "created": 1_700_000_000}
    call = read(
        "https://api.openai.com/v1/chat/completions",
        CHAT,
        {**body, "service_tier": "flex", "choices": [], "usage": OPENAI_USAGE},
    )

    assert call == wire.WireCall(
        provider="openai",
        flavour="openai-chat",
        model="gpt-x-1",
        requested_model="gpt-x",
        usage=OPENAI_COUNTS,
        billing=Billing(service_tier="flex", priced_at=1_700_000_000),
        response_id="chatcmpl-1",
    )


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([chunk(usage=None), chunk(**STOP, usage=None), chunk(usage=OPENAI_USAGE)], id="empty-choices"),
        pytest.param([chunk(), chunk(**STOP, usage=OPENAI_USAGE)], id="with-choices"),
        pytest.param([chunk(), chunk(**STOP), chunk(usage=OPENAI_USAGE), chunk()], id="chunks-after-it"),
        pytest.param(
            [
                chunk(usage={"prompt_tokens": 100, "completion_tokens": None, "total_tokens": None}),
                chunk(usage={"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}),
                chunk(**STOP, usage=OPENAI_USAGE),
            ],
            id="in-every-chunk",
        ),
        pytest.param([chunk(usage=None), chunk(**STOP, usage=None, x_groq={"usage": OPENAI_USAGE})], id="x_groq"),
        pytest.param(
            [chunk(), chunk(choices=[{"delta": {}, "finish_reason": "stop", "usage": OPENAI_USAGE}])],
            id="in-the-choice",
        ),
    ],
)
@pytest.mark.parametrize("done", [True, False])
def test_openai_chat_stream(events, done):
    call = read("https://api.openai.com/v1/chat/completions", CHAT, sse(*events, done=done))

    assert (call.usage, call.streamed, call.status, call.note) == (OPENAI_COUNTS, True, "ok", "")


def test_openai_chat_stream_without_usage():
    call = read("https://api.openai.com/v1/chat/completions", CHAT, sse(chunk(), chunk(**STOP), done=True))

    assert (call.usage, call.status, call.model) == (None, "no_usage", "gpt-x-1")
    assert call.note == "the response states no usage"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 100},
            usage(12, 6, 100),
            id="thinking-only-in-the-total",
        ),
        pytest.param(
            {
                "prompt_tokens": 12,
                "completion_tokens": 6,
                "total_tokens": 100,
                "completion_tokens_details": {"reasoning_tokens": 82},
            },
            usage(12, 88, received={"reasoning": 82}),
            id="xai-counts-reasoning-apart",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 3, "total_tokens": 93, "prompt_cache_hit_tokens": 64},
            usage(90, 3, sent={"cache_read": 64}),
            id="deepseek-hits",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 3, "total_tokens": 93, "cached_tokens": 64},
            usage(90, 3, sent={"cache_read": 64}),
            id="together-cached",
        ),
        pytest.param(
            {
                "prompt_tokens": 90,
                "completion_tokens": 3,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 20,
            },
            usage(90, 3, sent={"cache_read": 60, "cache_creation": 20}),
            id="databricks-cache",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 7, "reasoning_tokens": 6, "citation_tokens": 99},
            usage(5, 7, received={"reasoning": 6}),
            id="perplexity-reasoning",
        ),
        pytest.param(
            {"prompt_tokens": 12.0, "completion_tokens": 6.0, "total_tokens": None, "prompt_tokens_details": None},
            usage(12, 6),
            id="floats-and-nulls",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 0, "num_cached_tokens": 9},
            usage(10, 0),
            id="engine-statistics-are-no-billing",
        ),
        pytest.param({"total_tokens": 9}, usage(0, 0, 9), id="a-total-alone-is-not-split"),
        pytest.param({}, None, id="empty"),
        pytest.param({"prompt_tokens": None, "completion_tokens": None}, None, id="all-null"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": True}, None, id="no-counts"),
        pytest.param([1, 2], None, id="no-object"),
    ],
)
def test_openai_chat_as_others_write_it(stated, expected):
    assert read("https://any.example/v1/chat/completions", CHAT, {"usage": stated}).usage == expected


@pytest.mark.parametrize(("publisher", "verb"), [("mistralai", "rawPredict"), ("ai21", "streamRawPredict")])
def test_openai_chat_of_other_makers_on_vertex(publisher, verb):
    url = f"https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/{publisher}/models"
    body = {"id": "c-1", "choices": [], "usage": OPENAI_USAGE}
    answer = body if verb == "rawPredict" else sse(body | STOP, done=True)
    call = read(f"{url}/large@2411:{verb}", {"messages": []}, answer)

    assert (call.flavour, call.provider, call.model) == ("openai-chat", "google_vertexai", "large@2411")
    assert (call.usage, call.status) == (OPENAI_COUNTS, "ok")


def test_openai_completions():
    body = {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": []}
    call = read(
        "http://localhost:8000/v1/completions",
        {"model": "m", "prompt": "hi"},
        {**body, "usage": {"prompt_tokens": 2, "completion_tokens": 16, "total_tokens": 18}},
    )

    assert (call.flavour, call.usage, call.provider) == ("openai-completions", usage(2, 16), None)


RESPONSES_USAGE = {
    "input_tokens": 300,
    "input_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 350,
}
RESPONSES_COUNTS = usage(300, 50, sent={"cache_read": 256, "cache_creation": 10}, received={"reasoning": 40})


def response(status="completed", stated=RESPONSES_USAGE):
    return {"id": "resp_1", "object": "response", "model": "gpt-x-1", "status": status, "usage": stated}


def test_openai_responses():
    call = read("https://api.openai.com/v1/responses", {"model": "gpt-x", "input": "hi"}, response())

    assert (call.flavour, call.kind, call.usage) == ("openai-responses", "call", RESPONSES_COUNTS)


@pytest.mark.parametrize("ending", ["completed", "incomplete", "failed"])
def test_openai_responses_stream(ending):
    tiers = {"service_tier": "auto"}, {"service_tier": "priority"}
    events = sse(
        ("response.created", {"type": "response.created", "response": response("in_progress", None) | tiers[0]}),
        ("response.output_text.delta", {"type": "response.output_text.delta", "delta": '"usage": {'}),
        (f"response.{ending}", {"type": f"response.{ending}", "response": response(ending) | tiers[1]}),
    )
    call = read("https://api.openai.com/v1/responses", {"model": "gpt-x", "input": "hi", "stream": True}, events)

    assert (call.usage, call.status, call.response_id) == (RESPONSES_COUNTS, "ok", "resp_1")
    # Asked for "auto"; the last event says which one it came to be.
    assert call.billing.service_tier == "priority"


def test_openai_responses_in_the_background():
    url = "https://api.openai.com/v1/responses"
    asked = read(url, {"model": "gpt-x", "input": "hi", "background": True}, response("queued", None))
    polled = read(f"{url}/resp_1", b"", response(), method="GET")
    cancelled = read(f"{url}/resp_1/cancel", b"", response("cancelled", None))

    assert (asked.kind, asked.usage, asked.status) == ("call", None, "no_usage")
    assert asked.note == "the response is queued: its usage comes when it is retrieved"
    assert (polled.kind, polled.retrieved, polled.usage) == ("retrieve", True, RESPONSES_COUNTS)
    assert {asked.response_id, polled.response_id, cancelled.response_id} == {"resp_1"}
    assert cancelled.retrieved


def test_openai_responses_compact():
    call = read(
        "https://api.openai.com/v1/responses/compact",
        {"model": "gpt-x", "input": []},
        {"id": "resp_2", "object": "response.compaction", "output": [], "usage": RESPONSES_USAGE},
    )

    assert (call.flavour, call.usage, call.model) == ("openai-responses-compact", RESPONSES_COUNTS, "gpt-x")


def test_openai_assistants():
    url = "https://api.openai.com/v1/threads/thread_1/runs"
    run = {"id": "run_1", "object": "thread.run", "model": "gpt-x-1", "status": "queued", "usage": None}
    stated = {
        "prompt_tokens": 381,
        "completion_tokens": 89,
        "total_tokens": 470,
        "prompt_token_details": {"cached_tokens": 128},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    step = {"id": "step_1", "object": "thread.run.step", "run_id": "run_1", "usage": stated | {"prompt_tokens": 154}}
    asked = read(url, {"assistant_id": "asst_1"}, run)
    polled = read(f"{url}/run_1", b"", run | {"usage": stated, "status": "completed"}, method="GET")
    streamed = read(
        url,
        {"assistant_id": "asst_1", "stream": True},
        sse(
            ("thread.run.created", run),
            ("thread.run.step.completed", step),
            ("thread.run.completed", run | {"usage": stated}),
            done=True,
        ),
    )
    counts = usage(381, 89, sent={"cache_read": 128}, received={"reasoning": 3})

    assert (asked.kind, asked.usage, asked.response_id) == ("call", None, "run_1")
    assert (polled.kind, polled.usage, polled.response_id) == ("retrieve", counts, "run_1")
    assert (streamed.kind, streamed.usage, streamed.response_id) == ("call", counts, "run_1")


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, usage(8, 0)),
        ({"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8}, usage(8, 0)),
        ({"total_tokens": 8}, usage(8, 0)),
    ],
)
def test_openai_embeddings(stated, expected):
    body = {"object": "list", "data": [{"object": "embedding", "embedding": [0.5]}], "model": "e-1", "usage": stated}
    call = read("https://api.openai.com/v1/embeddings", {"model": "e", "input": "hi"}, body)
    elsewhere = read("https://gateway.example/embed-it", {"anything": 1}, body)

    assert (call.flavour, call.usage) == (elsewhere.flavour, elsewhere.usage) == ("openai-embeddings", expected)


def test_openai_images():
    stated = {
        "input_tokens": 50,
        "output_tokens": 272,
        "total_tokens": 322,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }
    url = "https://api.openai.com/v1/images/generations"

    assert read(url, {"model": "gpt-image", "prompt": "a cat"}, {"data": [], "usage": stated}).usage == usage(50, 272)
    # Billed by the picture: no tokens are stated, which is not zero tokens.
    assert read(url, {"model": "dall-e", "prompt": "a cat"}, {"data": []}).usage is None


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
    b'--x\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain\r\n\r\nscribe-1\r\n--x--\r\n'
)


def test_openai_audio():
    url = "https://api.openai.com/v1/audio/transcriptions"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    stated = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "input_token_details": {"audio_tokens": 14}}
    call = read(url, FORM, {"text": "hi", "usage": stated}, request_headers=headers)
    by_time = read(url, FORM, {"text": "hi", "usage": {"type": "duration", "seconds": 9}}, request_headers=headers)

    assert (call.flavour, call.model, call.usage) == ("openai-audio", "scribe-1", usage(14, 45, sent={"audio": 14}))
    assert by_time.usage is None


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(FORM.replace(b'name="model"', b"name=model"), id="without-quotes"),
        pytest.param(FORM.replace(b'; name="model"', b';name="model"'), id="without-spaces"),
        pytest.param(FORM.replace(b"\r\n", b"\n"), id="line-ends-of-a-file"),
        pytest.param(
            FORM.replace(b'form-data; name="model"\r\n', b"form-data; name=model; size=9\r\n"), id="more-parameters"
        ),
    ],
)
def test_a_form_names_its_model_however_the_client_writes_it(form):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    url = "https://api.openai.com/v1/audio/transcriptions"
    call = read(url, form, {"text": "hi", "usage": {"type": "duration", "seconds": 9}}, request_headers=headers)

    assert call.model == "scribe-1"


def test_the_name_of_a_file_is_no_model():
    form = FORM.replace(b'name="model"', b"filename=model")
    headers = {"content-type": "multipart/form-data; boundary=x"}

    assert read("https://api.openai.com/v1/audio/transcriptions", form, {}, request_headers=headers).model == "unknown"


def test_openai_batch_results():
    def line(tokens):
        body = {"model": "gpt-x-1", "usage": {"prompt_tokens": tokens, "completion_tokens": 1}}
        return {"custom_id": str(tokens), "response": {"status_code": 200, "body": body}}

    url = "https://api.openai.com/v1/files/file-1/content"
    call = read(url, b"", ndjson(line(3), line(4)), method="GET")

    assert (call.kind, call.usage, call.model, call.streamed) == ("batch-results", usage(7, 2), "gpt-x-1", False)
    assert call.billing.service_tier == "batch"
    assert read(url, b"", b"what a file holds", method="GET") is None


# --- Anthropic --------------------------------------------------------------------------------------------------------

ANTHROPIC_USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens": 60,
    "output_tokens_details": {"thinking_tokens": 50},
    "service_tier": "standard",
}
ANTHROPIC_COUNTS = usage(
    140,
    60,
    sent={
        "cache_read": 100,
        "cache_creation": 30,
        "ephemeral_5m_input_tokens": 20,
        "ephemeral_1h_input_tokens": 10,
    },
    received={"reasoning": 50},
)
MESSAGES = "https://api.anthropic.com/v1/messages"


def message(stated):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": [], "usage": stated}


def message_stream(first, last):
    return sse(
        ("message_start", {"type": "message_start", "message": message(first)}),
        ("ping", {"type": "ping"}),
        ("content_block_delta", {"type": "content_block_delta", "delta": {"text": "hi"}}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}),
        ("message_stop", {"type": "message_stop"}),
    )


def test_anthropic_messages():
    call = read(MESSAGES, CHAT, message(ANTHROPIC_USAGE))

    assert (call.flavour, call.usage, call.model) == ("anthropic-messages", ANTHROPIC_COUNTS, "claude-1")
    assert (call.provider, call.billing.service_tier, call.billing.parts) == ("anthropic", "standard", ())


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 5}, usage(9, 5), id="output-only"),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 1},
            {"input_tokens": 700, "output_tokens": 5},
            usage(700, 5),
            id="server-tools-add-input",
        ),
        pytest.param(
            {"input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": None},
            usage(9, 5),
            id="compatible-servers",
        ),
        pytest.param(
            ANTHROPIC_USAGE | {"output_tokens": 1},
            {"output_tokens": 60, "output_tokens_details": {"thinking_tokens": 50}},
            ANTHROPIC_COUNTS,
            id="lifetimes-only-at-the-start",
        ),
    ],
)
def test_anthropic_messages_stream(first, last, expected):
    call = read(MESSAGES, CHAT | {"stream": True}, message_stream(first, last))

    assert (call.usage, call.model, call.response_id, call.status) == (expected, "claude-1", "msg_1", "ok")


def test_anthropic_lifetimes_without_their_sum():
    stated = {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_5m_input_tokens": 20}}
    sent = {"cache_creation": 20, "ephemeral_5m_input_tokens": 20}

    assert read(MESSAGES, CHAT, message(stated)).usage == usage(21, 2, sent=sent)


def test_anthropic_iterations_that_the_top_level_leaves_out_are_parts():
    spent = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 2}
    stated = ANTHROPIC_USAGE | {
        "iterations": [
            {"type": "message", "model": "claude-1", **spent},
            {"type": "compaction", **spent},
            {"type": "advisor_message", "model": "claude-2", **spent},
            {"type": "fallback_message", "model": "claude-3", **spent},
        ]
    }
    parts = (
        Part("compaction", "claude-1", usage(15, 2, sent={"cache_read": 5})),
        Part("advisor_message", "claude-2", usage(15, 2, sent={"cache_read": 5})),
    )

    assert read(MESSAGES, CHAT, message(stated)).billing.parts == parts
    streamed = read(MESSAGES, CHAT, message_stream({"input_tokens": 10, "output_tokens": 1}, stated))
    assert (streamed.billing.parts, streamed.usage) == (parts, ANTHROPIC_COUNTS)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        (
            "https://eu-aiplatform.googleapis.com/v1/p/publishers/anthropic/models/claude-1@2:rawPredict",
            "google_vertexai",
        ),
        (
            "https://aiplatform.googleapis.com/v1/p/publishers/anthropic/models/claude-1@2:streamRawPredict",
            "google_vertexai",
        ),
        ("https://mine.services.ai.azure.com/anthropic/v1/messages", "azure"),
        ("http://127.0.0.1:8787/anthropic/v1/messages", None),
    ],
)
def test_anthropic_messages_elsewhere(url, provider):
    request = {"anthropic_version": "vertex-2023-10-16", "messages": []}
    call = read(url, request, message(ANTHROPIC_USAGE))

    assert (call.flavour, call.provider, call.usage) == ("anthropic-messages", provider, ANTHROPIC_COUNTS)


def test_anthropic_complete_states_no_usage():
    body = {"type": "completion", "id": "compl_1", "completion": "hi", "stop_reason": "stop_sequence", "model": "c-2"}
    call = read("https://api.anthropic.com/v1/complete", {"model": "c-2", "prompt": "hi"}, body)

    assert (call.flavour, call.usage, call.status) == ("anthropic-complete", None, "no_usage")


def test_anthropic_batch_results():
    def line(number):
        return {"custom_id": str(number), "result": {"type": "succeeded", "message": message(ANTHROPIC_USAGE)}}

    failed = {"custom_id": "3", "result": {"type": "errored", "error": {"type": "invalid_request"}}}
    call = read(f"{MESSAGES}/batches/msgbatch_1/results", b"", ndjson(line(1), line(2), failed), method="GET")

    assert (call.kind, call.usage) == ("batch-results", ANTHROPIC_COUNTS + ANTHROPIC_COUNTS)
    assert (call.response_id, call.model, call.streamed) == ("msgbatch_1", "claude-1", False)


# --- Google -----------------------------------------------------------------------------------------------------------

GEMINI_USAGE = {
    "promptTokenCount": 200,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 15,
    "cachedContentTokenCount": 128,
    "totalTokenCount": 265,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 150}, {"modality": "AUDIO", "tokenCount": 50}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
}
GEMINI_COUNTS = usage(215, 50, sent={"cache_read": 128, "audio": 50}, received={"reasoning": 30, "audio": 4})
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-9"
CONTENTS = {"contents": [{"parts": [{"text": "hi"}]}]}


def candidate(stated, **more):
    content = {"candidates": [{"content": {"parts": []}, **more}], "modelVersion": "gemini-9-001", "responseId": "r1"}
    return content if stated is None else content | {"usageMetadata": stated}


def test_gemini_generate_content():
    call = read(f"{GEMINI}:generateContent", CONTENTS, candidate(GEMINI_USAGE, finishReason="STOP"))

    assert (call.flavour, call.usage, call.provider) == ("gemini-generateContent", GEMINI_COUNTS, "google_genai")
    assert (call.model, call.requested_model, call.response_id) == ("gemini-9-001", "gemini-9", "r1")


@pytest.mark.parametrize("framing", ["sse", "json-array"])
def test_gemini_stream_whose_counts_move_both_ways(framing):
    events = (
        candidate({"promptTokenCount": 900, "totalTokenCount": 900}),
        candidate({"trafficType": "ON_DEMAND"}),
        candidate(GEMINI_USAGE, finishReason="STOP"),
        candidate({"trafficType": "ON_DEMAND"}),
    )
    body = sse(*events) if framing == "sse" else list(events)
    call = read(f"{GEMINI}:streamGenerateContent?alt=sse", CONTENTS, body)

    assert (call.usage, call.streamed, call.status) == (GEMINI_COUNTS, True, "ok")


def test_gemini_with_enumerations_as_numbers_and_a_total_of_null():
    stated = {
        "promptTokenCount": 7,
        "candidatesTokenCount": 3,
        "totalTokenCount": None,
        "trafficType": 1,
        "promptTokensDetails": [{"modality": 1, "tokenCount": 5}, {"modality": 4, "tokenCount": 2}],
    }
    call = read(
        "https://us-east1-aiplatform.googleapis.com/v1/projects/p/publishers/google/models/g:generateContent",
        CONTENTS,
        candidate(stated),
    )

    assert (call.usage, call.provider) == (usage(7, 3, sent={"audio": 2}), "google_vertexai")


def test_gemini_wrapped_in_a_response():
    body = {"response": candidate(GEMINI_USAGE)}
    call = read("https://gateway.example/v1internal:generateContent", {"model": "g", "request": CONTENTS}, body)

    assert (call.usage, call.model, call.requested_model) == (GEMINI_COUNTS, "gemini-9-001", "g")


def test_gemini_embed():
    body = {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 4}}
    call = read(f"{GEMINI}:batchEmbedContents", {"requests": [{"model": "models/gemini-9"}]}, body)

    assert (call.flavour, call.usage, call.model) == ("gemini-embed", usage(4, 0), "gemini-9")


def test_gemini_interactions():
    stated = {
        "total_tokens": 340,
        "total_input_tokens": 266,
        "input_tokens_by_modality": [{"modality": "audio", "tokens": 8}],
        "total_cached_tokens": 64,
        "total_output_tokens": 3,
        "total_tool_use_tokens": 14,
        "total_thought_tokens": 57,
    }
    done = {"id": "v1_a", "object": "interaction", "model": "gemini-9", "status": "completed", "usage": stated}
    url = "https://generativelanguage.googleapis.com/v1beta/interactions"
    request = {"model": "gemini-9", "input": "hi"}
    counts = usage(280, 60, sent={"cache_read": 64, "audio": 8}, received={"reasoning": 57})
    stream = sse(
        ("interaction.created", {"event_type": "interaction.created", "interaction": done | {"usage": None}}),
        ("interaction.completed", {"event_type": "interaction.completed", "interaction": done}),
    )

    assert read(url, request, done).usage == counts
    streamed = read(url, request, stream)
    assert (streamed.usage, streamed.status, streamed.response_id) == (counts, "ok", "v1_a")
    assert read(f"{url}/v1_a", b"", done, method="GET").retrieved


def test_gemini_batch_results():
    inlined = [{"response": candidate(GEMINI_USAGE)}, {"error": {"code": 3}}, {"response": candidate(GEMINI_USAGE)}]
    body = {
        "name": "batches/b1",
        "metadata": {"model": "models/gemini-9"},
        "done": True,
        "response": {"inlinedResponses": {"inlinedResponses": inlined}},
    }
    url = "https://generativelanguage.googleapis.com/v1beta/batches/b1"

    call = read(url, b"", body, method="GET")
    assert (call.kind, call.usage) == ("batch-results", GEMINI_COUNTS + GEMINI_COUNTS)
    assert call.billing.service_tier == "batch"
    assert read(url, b"", {"name": "batches/b1", "done": False}, method="GET") is None


def test_vertex_predict():
    url = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/text-1:predict"
    request = {"instances": [{"content": "hi"}, {"content": "ho"}]}
    prediction = {"embeddings": {"values": [0.1], "statistics": {"token_count": 5, "truncated": False}}}
    text = {"tokenMetadata": {"inputTokenCount": {"totalTokens": 9}, "outputTokenCount": {"totalTokens": 4}}}
    embedded = read(url, request, {"predictions": [prediction, prediction], "metadata": {"billableCharacterCount": 4}})

    assert (embedded.flavour, embedded.usage, embedded.model) == ("vertex-predict", usage(10, 0), "text-1")
    assert read(url, request, {"predictions": [{}], "metadata": text}).usage == usage(9, 4)
    assert read(url, request, {"predictions": [{"bytesBase64Encoded": ""}]}).usage is None


# --- Bedrock ----------------------------------------------------------------------------------------------------------

BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
CONVERSE_USAGE = {
    "inputTokens": 3,
    "outputTokens": 121,
    "totalTokens": 2072,
    "cacheReadInputTokens": 1712,
    "cacheReadInputTokenCount": 1712,
    "cacheWriteInputTokens": 236,
    "cacheDetails": [{"inputTokens": 200, "ttl": "5m"}, {"inputTokens": 36, "ttl": "1h"}],
}
CONVERSE_COUNTS = usage(
    1951,
    121,
    sent={
        "cache_read": 1712,
        "cache_creation": 236,
        "ephemeral_5m_input_tokens": 200,
        "ephemeral_1h_input_tokens": 36,
    },
)


def test_bedrock_converse():
    body = {"output": {"message": {}}, "stopReason": "end_turn", "usage": CONVERSE_USAGE}
    url = f"{BEDROCK}/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse"
    call = read(url, CHAT, body, response_headers={"x-amzn-RequestId": "r-1"})

    assert (call.flavour, call.usage, call.provider) == ("bedrock-converse", CONVERSE_COUNTS, "amazon_bedrock")
    assert (call.model, call.response_id) == ("arn:aws:bedrock:us-east-1:1:inference-profile/x", "r-1")


def test_bedrock_converse_stream():
    body = aws_stream(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": '"usage": {"inputTokens": 9}'}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
    )
    call = read(f"{BEDROCK}/meta.llama%3A0/converse-stream", CHAT, body)

    assert (call.usage, call.streamed, call.status, call.model) == (CONVERSE_COUNTS, True, "ok", "meta.llama:0")


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 10, "invocationLatency": 1}}
COUNT_HEADERS = {
    "X-Amzn-Bedrock-Input-Token-Count": ["3"],
    "x-amzn-bedrock-output-token-count": "87",
    "x-amzn-bedrock-cache-read-input-token-count": "7",
}


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        pytest.param(message(ANTHROPIC_USAGE), COUNT_HEADERS, ANTHROPIC_COUNTS, id="claude"),
        pytest.param({"output": {}, "usage": CONVERSE_USAGE}, COUNT_HEADERS, CONVERSE_COUNTS, id="nova"),
        pytest.param({"choices": [], "usage": OPENAI_USAGE}, {}, OPENAI_COUNTS, id="openai-like"),
        pytest.param(
            {"inputTextTokenCount": 9, "results": [{"tokenCount": 17}, {"tokenCount": 3}]}, {}, usage(9, 20), id="titan"
        ),
        pytest.param({"embedding": [0.1], "inputTextTokenCount": 6}, {}, usage(6, 0), id="titan-embed"),
        pytest.param({"prompt_token_count": 10, "generation_token_count": 60}, {}, usage(10, 60), id="llama"),
        pytest.param(
            {"prompt": {"tokens": [{}] * 4}, "completions": [{"data": {"tokens": [{}] * 3}}] * 2},
            {},
            usage(4, 6),
            id="jurassic",
        ),
        pytest.param(
            {"generations": [{"text": "hi"}]}, COUNT_HEADERS, usage(10, 87, sent={"cache_read": 7}), id="headers"
        ),
        pytest.param({"generations": [{"text": "hi"}]}, {}, None, id="nothing"),
        pytest.param(
            aws_stream(
                ("chunk", {"type": "message_start", "message": message({"input_tokens": 45, "output_tokens": 1})}),
                ("chunk", {"type": "message_delta", "usage": {"output_tokens": 38}}),
                ("chunk", {"type": "message_stop"} | METRICS),
            ),
            {},
            usage(45, 38),
            id="claude-stream-against-metrics",
        ),
        pytest.param(
            aws_stream(
                ("chunk", {"outputText": "a", "inputTextTokenCount": 5, "totalOutputTextTokenCount": None}),
                ("chunk", {"outputText": "b", "inputTextTokenCount": None, "totalOutputTextTokenCount": 10} | METRICS),
            ),
            {},
            usage(5, 10),
            id="titan-stream",
        ),
        pytest.param(
            aws_stream(
                ("chunk", {"generation": "a", "prompt_token_count": 5, "generation_token_count": 1}),
                ("chunk", {"generation": "", "prompt_token_count": None, "generation_token_count": 10} | METRICS),
            ),
            {},
            usage(5, 10),
            id="llama-stream",
        ),
    ],
)
def test_bedrock_invoke(body, headers, expected):
    call = read(f"{BEDROCK}/maker.model-v1/invoke", {"prompt": "hi"}, body, response_headers=headers)

    assert (call.flavour, call.usage) == ("bedrock-invoke", expected)
    assert call.model in ("maker.model-v1", "claude-1")


# --- Everybody else ---------------------------------------------------------------------------------------------------

COHERE_USAGE = {
    "billed_units": {"input_tokens": 31, "output_tokens": 63},
    "tokens": {"input_tokens": 49.0, "output_tokens": 64.0},
    "cached_tokens": 16,
}
COHERE_COUNTS = usage(49, 64, sent={"cache_read": 16})


def test_cohere_v2():
    url = "https://api.cohere.com/v2/chat"
    stream = sse(
        ("message-start", {"type": "message-start", "id": "c1"}),
        ("message-end", {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}}),
    )
    call = read(url, CHAT, {"id": "c1", "message": {}, "usage": COHERE_USAGE})
    streamed = read(url, CHAT, stream)

    assert (call.flavour, call.usage, call.model) == ("cohere-v2", COHERE_COUNTS, "gpt-x")
    assert (streamed.usage, streamed.response_id, streamed.status) == (COHERE_COUNTS, "c1", "ok")


def test_cohere_v1():
    url = "https://api.cohere.com/v1/chat"
    request = {"model": "command", "message": "hi"}
    meta = {"api_version": {"version": "1"}, **COHERE_USAGE}
    end = {"is_finished": True, "event_type": "stream-end", "response": {"response_id": "r", "meta": meta}}
    stream = ndjson({"is_finished": False, "event_type": "stream-start", "generation_id": "g"}, end)

    assert read(url, request, {"response_id": "r", "meta": meta}).usage == COHERE_COUNTS
    streamed = read(url, request, stream)
    assert (streamed.flavour, streamed.usage, streamed.streamed) == ("cohere-v1", COHERE_COUNTS, True)


def test_cohere_embed():
    request = {"model": "embed", "texts": ["hi"]}
    call = read("https://api.cohere.com/v2/embed", request, {"id": "e", "meta": {"billed_units": {"input_tokens": 2}}})

    assert (call.flavour, call.usage) == ("cohere-embed", usage(2, 0))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"meta": {"billed_units": {"search_units": 1}}}, usage(0, 0), id="billed-by-search"),
        pytest.param({"usage": {"total_tokens": 43}}, usage(43, 0), id="voyage"),
        pytest.param({"usage": {"prompt_tokens": 9, "total_tokens": 9}}, usage(9, 0), id="nvidia"),
        pytest.param({"results": []}, None, id="nothing"),
    ],
)
def test_rerank(body, expected):
    call = read("https://any.example/v1/rerank", {"model": "r", "query": "q", "documents": []}, body)

    assert (call.flavour, call.usage) == ("rerank", expected)


OLLAMA_COUNTS = [({"prompt_eval_count": 26, "eval_count": 290}, usage(26, 290)), ({"eval_count": 290}, usage(0, 290))]


@pytest.mark.parametrize(("stated", "expected"), OLLAMA_COUNTS)
def test_ollama_chat(stated, expected):
    assert_ollama("ollama-chat", "/api/chat", CHAT, {"message": {"content": "hi"}}, stated, expected)


@pytest.mark.parametrize(("stated", "expected"), OLLAMA_COUNTS)
def test_ollama_generate(stated, expected):
    assert_ollama("ollama-generate", "/api/generate", {"model": "m"}, {"response": "hi"}, stated, expected)


def assert_ollama(flavour, path, request, answer, stated, expected):
    piece = {"model": "m:1b", "created_at": "2026-01-01T00:00:00Z", "done": False, **answer}
    end = piece | {"done": True, **stated}

    for body, streamed in ((end, False), (ndjson(piece, piece, end), True)):
        call = read(f"http://127.0.0.1:11434{path}", request, body)
        assert (call.flavour, call.provider, call.model) == (flavour, "ollama", "m:1b")
        assert (call.usage, call.streamed, call.status) == (expected, streamed, "ok")


def test_ollama_embed():
    call = read("http://localhost:11434/api/embed", {"model": "m", "input": "hi"}, {"prompt_eval_count": 8})

    assert (call.flavour, call.usage) == ("ollama-embed", usage(8, 0))


def test_mistral_conversations():
    stated = {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42, "connector_tokens": None}
    url = "https://api.mistral.ai/v1/conversations"
    request = {"model": "mistral-x", "inputs": "hi"}
    body = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [], "usage": stated}
    stream = sse(
        ("conversation.response.started", {"type": "conversation.response.started", "conversation_id": "conv_1"}),
        ("conversation.response.done", {"type": "conversation.response.done", "usage": stated}),
    )

    assert read(url, request, body).usage == usage(12, 30)
    assert read(url, request, stream).usage == usage(12, 30)
    # OpenAI's conversations are containers: nothing is asked of a model.
    assert read("https://api.openai.com/v1/conversations", {"items": []}, {"id": "conv_2"}) is None


def test_mistral_ocr_is_billed_by_the_page():
    body = {"pages": [], "model": "mistral-ocr-1", "usage_info": {"pages_processed": 1}}
    call = read("https://api.mistral.ai/v1/ocr", {"model": "mistral-ocr", "document": {}}, body)

    assert (call.flavour, call.usage, call.status, call.model) == ("mistral-ocr", None, "no_usage", "mistral-ocr-1")


def test_dashscope():
    url = "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation"
    request = {"model": "qwen-x", "input": {"messages": []}}

    def event(output_tokens, finish):
        stated = {"input_tokens": 35, "output_tokens": output_tokens, "total_tokens": 35 + output_tokens}
        choice = {"message": {"content": "hi"}, "finish_reason": finish}
        return {"output": {"choices": [choice]}, "usage": stated, "request_id": "q1"}

    call = read(url, request, sse(("result", event(1, "null")), ("result", event(5, "stop"))))

    assert (call.flavour, call.usage, call.model) == ("dashscope", usage(35, 5), "qwen-x")
    assert read(url, request, sse(("result", event(1, "null")))).status == "aborted"


def test_replicate():
    url = "https://api.replicate.com/v1/models/meta/llama/predictions"
    started = {"id": "p1", "model": "meta/llama", "status": "starting", "urls": {}, "version": "v", "input": {}}
    done = started | {"status": "succeeded", "metrics": {"input_token_count": 6, "output_token_count": 9}}
    asked = read(url, {"input": {"prompt": "hi"}}, started, status=201)
    polled = read("https://api.replicate.com/v1/predictions/p1", b"", done, method="GET")

    assert (asked.kind, asked.usage, asked.note.split(":")[0]) == ("call", None, "the response is starting")
    assert (polled.kind, polled.usage, polled.response_id) == ("retrieve", usage(6, 9), "p1")


def test_replicate_prediction_that_is_stopped_is_no_call_of_its_own():
    url = "https://api.replicate.com/v1/predictions/p1/cancel"
    call = read(url, b"", {"id": "p1", "model": "a/b", "version": "v", "status": "processing", "urls": {}, "input": {}})

    assert (call.flavour, call.kind, call.response_id) == ("replicate", "retrieve", "p1")


@pytest.mark.parametrize("path", ["conversations", "conversations/conv_1", "conversations/conv_1/restart"])
def test_mistral_conversations_are_told_by_their_paths(path):
    request = {"inputs": "hi", "model": "mistral-medium-latest"}

    def asked(url):
        return wire.asked_model("POST", url, json.dumps(request).encode(), {})

    assert asked(f"https://api.mistral.ai/v1/{path}") == "mistral-medium-latest"
    assert asked(f"https://api.mistral.ai/v1/{path}/messages/1") is None


WATSONX = "https://us-south.ml.cloud.ibm.com/ml/v1/text"


@pytest.mark.parametrize(
    ("last", "status"),
    [({"amazon-bedrock-guardrailAction": "INTERVENED"}, "ok"), ({"amazon-bedrock-guardrailAction": "NONE"}, "aborted")],
)
def test_a_stream_of_titan_that_a_guardrail_blocked_has_ended(last, status):
    url = (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.titan-text-express-v1/invoke-with-response-stream"
    )
    piece = {"outputText": "Sorry", "inputTextTokenCount": 5, "totalOutputTextTokenCount": 2}
    body = aws_stream(("chunk", piece | last))
    call = read(url, {"inputText": "hi"}, body)
    assert (call.status, call.usage) == (status, usage(5, 2))


def test_aleph_alpha_complete():
    body = {"model_version": "1", "completions": [], "num_tokens_prompt_total": 7, "num_tokens_generated": 20}
    call = read("https://api.aleph-alpha.com/complete", {"model": "luminous", "prompt": "hi"}, body)

    assert (call.flavour, call.usage, call.provider) == ("aleph-alpha-complete", usage(7, 20), "aleph_alpha")


def test_watsonx_generation():
    def body(generated, reason):
        result = {"input_token_count": 7, "generated_token_count": generated, "stop_reason": reason}
        return {"model_id": "granite", "results": [result]}

    request = {"model_id": "granite", "input": "hi"}
    call = read(f"{WATSONX}/generation?version=1", request, body(12, "eos_token"))
    stream = sse(("message", body(1, "not_finished")), ("message", body(12, "eos_token")))

    assert (call.flavour, call.usage, call.model) == ("watsonx-generation", usage(7, 12), "granite")
    assert read(f"{WATSONX}/generation_stream", request, stream).usage == usage(7, 12)


def test_watsonx_chat():
    request = {"model_id": "granite", "messages": []}
    call = read(f"{WATSONX}/chat", request, {"model_id": "granite", "usage": OPENAI_USAGE})

    assert (call.flavour, call.usage, call.model) == ("watsonx-chat", OPENAI_COUNTS, "granite")


@pytest.mark.parametrize("kind", ["chat", "chat_stream", "generation", "generation_stream"])
def test_watsonx_deployments_are_asked_like_models(kind):
    url = f"https://us-south.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/{kind}?version=1"
    call = read(url, {"messages": []}, {"model_id": "granite", "results": [{}], "usage": OPENAI_USAGE})

    assert (call.flavour, call.model) == (f"watsonx-{kind.removesuffix('_stream')}", "granite")


@pytest.mark.parametrize("kind", ["embeddings", "rerank"])
def test_watsonx_embed(kind):
    body = {"model_id": "slate", "results": [], "created_at": "2026-01-01T00:00:00Z", "input_token_count": 11}
    call = read(f"{WATSONX}/{kind}?version=1", {"model_id": "slate", "inputs": ["hi"]}, body)

    assert (call.flavour, call.usage, call.model) == ("watsonx-embed", usage(11, 0), "slate")


# --- Who is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai"),
        ("https://user:pass@api.openai.com:443/v1/chat/completions", "openai"),
        ("https://API.GROQ.com/openai/v1/chat/completions", "groq"),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "azure"),
        ("https://llm.mycompany.example/openai/deployments/d/chat/completions", "azure"),
        ("http://localhost:11434/v1/chat/completions", "ollama"),
        ("http://localhost:8000/v1/chat/completions", None),
        ("https://notapi.openai.com.evil.example/v1/chat/completions", None),
        ("https://integrate.api.nvidia.com/v1/chat/completions", "NVIDIA"),
        ("**REDACTED**/chat/completions", "openai"),
    ],
)
def test_provider(url, provider):
    assert read(url, CHAT, {"usage": OPENAI_USAGE}).provider == provider


def test_a_deployment_is_the_model_where_nothing_else_names_one():
    url = "https://x.openai.azure.com/openai/deployments/mine/chat/completions"

    assert read(url, {"messages": []}, {"usage": OPENAI_USAGE}).model == "mine"
    assert read(url, CHAT, {"usage": OPENAI_USAGE}).model == "gpt-x"
    assert read(url, CHAT, {"usage": OPENAI_USAGE, "model": "gpt-x-2024"}).model == "gpt-x-2024"


def test_the_model_is_found_where_the_first_chunks_leave_it_empty():
    filtered = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    call = read("https://x.openai.azure.com/chat/completions", CHAT, sse(filtered, chunk(), chunk(**STOP), done=True))

    assert call.model == "gpt-x-1"


@given(st.sampled_from([flavour.name for flavour in FLAVOURS]), st.text())
def test_a_url_never_raises(name, url):
    assert isinstance(wire.is_model_call("POST", f"http://[{name}{url}", b"", {}), bool)
    assert isinstance(wire.is_model_call("POST", url, b"{}", {}), bool)
