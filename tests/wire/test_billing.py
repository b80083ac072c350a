"""What responses tell of the bill beside tokens: searches, containers, search units, and tokens at prices of their own."""

from collections import Counter

import corpus
import pytest
from bodies import exchange, sse

from pytest_llm_usage import TokenUsage, wire

OPENAI = "https://api.openai.com/v1"
USAGE = {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}
ASKED = {"model": "m", "input": "hi"}


def read(url, body, request=None, **more):
    return wire.read(
        exchange(url, request or {"model": "m", "messages": [], "input": "hi", "contents": []}, body, **more)
    )


def response(*output, **more):
    return {"id": "resp_1", "object": "response", "model": "m", "output": list(output), "usage": USAGE, **more}


def search(action=None):
    return {"type": "web_search_call", "status": "completed"} | ({"action": {"type": action}} if action else {})


def in_container(name):
    return {"type": "code_interpreter_call", "container_id": name}


@pytest.mark.parametrize(
    ("output", "items"),
    [
        pytest.param([{"type": "message"}], {}, id="nothing"),
        pytest.param(
            [search("search"), search("open_page"), search("find_in_page"), search("search")], {"web_search": 2}
        ),
        pytest.param([search("open_page")], {}, id="pages-only"),
        pytest.param([search()], {"web_search": 1}, id="before-there-were-actions"),
        pytest.param([{"type": "file_search_call"}, {"type": "file_search_call"}], {"file_search": 2}),
        pytest.param([in_container("a"), in_container("a"), in_container("b")], {"code_interpreter": 2}),
        pytest.param([{"type": "code_interpreter_call", "name": "code_execution"}] * 2, {"code_interpreter": 2}),
        pytest.param([{"type": "x_search_call", "name": "x_semantic_search"}] * 2, {"x_search": 2}),
        pytest.param([{"type": "image_generation_call", "result": "…"}], {"image_generation": 1}),
        pytest.param(
            [{"type": "mcp_call"}, {"type": "computer_call"}, {"type": "function_call"}], {}, id="tokens-only"
        ),
        pytest.param(["odd", None, {"type": 5}], {}, id="odd"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_openai_responses(output, items, streamed):
    whole = response(*output)
    events = [
        {"type": "response.created", "response": response(usage=None)},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "hi"},
        {"type": "response.completed", "response": whole},
    ]

    call = read(f"{OPENAI}/responses", sse(*events) if streamed else whole)

    assert call.billing.items == items
    assert call.usage == TokenUsage.from_counts(20, 5)


def test_what_openai_itself_counts_goes_before_what_is_listed():
    body = response(search("search"), search("search"), tool_usage={"web_search": {"num_requests": 1}})

    assert read(f"{OPENAI}/responses", body).billing.items == {"web_search": 1}


@pytest.mark.parametrize(
    ("usage", "items"),
    [
        ({"num_search_queries": 18}, {"web_search": 18}),
        ({"num_sources_used": 4}, {"search_source": 4}),
        ({"num_sources_used": 0}, {}),
        (
            {"server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1, "mcp_calls": 5}},
            {"web_search": 2, "x_search": 1},
        ),
        ({"connectors": {"web_search": 1, "code_interpreter": 2}}, {"web_search": 1, "code_interpreter": 2}),
        ({"server_tool_use": {"web_search_requests": 3}}, {"web_search": 3}),
        ({"server_tool_use": None, "connectors": [], "num_search_queries": "many"}, {}),
    ],
)
def test_what_compatible_servers_count_in_their_usage(usage, items):
    body = {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, **usage}}

    assert read("https://api.perplexity.ai/chat/completions", body).billing.items == items


def anthropic(**usage):
    return {"input_tokens": 9, "output_tokens": 1, **usage}


@pytest.mark.parametrize(
    ("usage", "items"),
    [
        ({"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}, {"web_search": 2}),
        ({"server_tool_use": {"web_search_requests": 0}}, {}),
        ({"server_tool_use": None}, {}),
    ],
)
def test_anthropic(usage, items):
    body = {"type": "message", "model": "m", "stop_reason": "end_turn", "usage": anthropic(**usage)}

    assert read("https://api.anthropic.com/v1/messages", body).billing.items == items


def test_the_count_of_a_stream_is_its_last():
    events = [
        {
            "type": "message_start",
            "message": {"model": "m", "usage": anthropic(server_tool_use={"web_search_requests": 0})},
        },
        {"type": "message_delta", "delta": {}, "usage": anthropic(server_tool_use={"web_search_requests": 2})},
        {"type": "message_stop"},
    ]

    assert read("https://api.anthropic.com/v1/messages", sse(*events)).billing.items == {"web_search": 2}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_container_that_anthropic_opened(streamed):
    container = {"id": "container_1", "expires_at": "2026-06-30T23:59:30Z"}
    message = {"type": "message", "model": "m", "container": container, "stop_reason": "end_turn", "usage": anthropic()}
    events = [
        {"type": "message_start", "message": {"model": "m", "container": None, "usage": anthropic()}},
        {"type": "message_delta", "delta": {"container": container}, "usage": anthropic()},
        {"type": "message_stop"},
    ]

    call = read("https://api.anthropic.com/v1/messages", sse(*events) if streamed else message)

    assert call.billing.items == {"code_execution": 1}


def gemini(usage=None, **candidate):
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110, **(usage or {})}
    return {"candidates": [{"finishReason": "STOP", **candidate}], "modelVersion": "m", "usageMetadata": counts}


GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/m"


@pytest.mark.parametrize(
    ("grounding", "items"),
    [
        ({"webSearchQueries": ["a", "b"]}, {"web_search": 2}),
        ({"webSearchQueries": ["7"]}, {"web_search": 1}),
        ({"webSearchQueries": []}, {}),
        ({"groundingChunks": [{"web": {"uri": "x"}}]}, {}),
        ({"groundingChunks": [{"maps": {"placeId": "x"}}]}, {"map_search": 1}),
        (None, {}),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_gemini_grounding(grounding, items, streamed):
    grounded = gemini(groundingMetadata=grounding)
    if streamed:
        # In whichever chunk it came.
        call = read(f"{GEMINI}:streamGenerateContent", sse(gemini(), grounded, gemini()))
    else:
        call = read(f"{GEMINI}:generateContent", grounded)

    assert call.billing.items == items


def by_modality(**counts):
    return [{"modality": name.upper(), "tokenCount": n} for name, n in counts.items()]


def test_gemini_images_video_and_what_of_them_is_cached():
    usage = {
        "cachedContentTokenCount": 50,
        "promptTokensDetails": by_modality(text=20, image=30, audio=40, video=10),
        "cacheTokensDetails": by_modality(text=15, audio=35),
        "candidatesTokensDetails": by_modality(image=9, text=1),
    }

    call = read(f"{GEMINI}:generateContent", gemini(usage))

    assert call.usage == TokenUsage.from_counts(100, 10, input_token_details={"cache_read": 50, "audio": 40})
    assert call.billing.usage == TokenUsage.from_counts(
        100,
        10,
        input_token_details={
            "cache_read": 50,
            "audio": 40,
            "image": 30,
            "video": 10,
            "cache_read_text": 15,
            "cache_read_audio": 35,
        },
        output_token_details={"image": 9},
    )


def test_images_that_openai_edits():
    usage = {**USAGE, "input_tokens_details": {"image_tokens": 12, "text_tokens": 8}}

    call = read(f"{OPENAI}/images/edits", {"created": 1, "data": [], "usage": usage})

    assert call.usage == TokenUsage.from_counts(20, 5)
    assert call.billing.usage == TokenUsage.from_counts(
        20, 5, input_token_details={"image": 12}, output_token_details={"image": 5}
    )


def test_nothing_more_to_say_is_none():
    call = read(f"{OPENAI}/chat/completions", {"object": "chat.completion", "choices": [], "usage": USAGE})

    assert (call.billing.usage, call.billing.items) == (None, {})


def test_cohere_bills_less_than_it_counts():
    usage = {
        "billed_units": {"input_tokens": 5, "output_tokens": 5},
        "tokens": {"input_tokens": 71, "output_tokens": 6},
    }

    call = read("https://api.cohere.com/v2/chat", {"id": "1", "message": {}, "usage": usage})

    assert (call.usage, call.billing.usage) == (TokenUsage.from_counts(71, 6), TokenUsage.from_counts(5, 5))


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("https://api.cohere.com/v2/rerank", {"meta": {"billed_units": {"search_units": 2}}}),
        ("https://api.example.com/v1/rerank", {"usage": {"search_units": 2}}),
    ],
)
def test_reranking_is_billed_by_the_search(url, body):
    assert read(url, {"results": [], **body}).billing.items == {"search_unit": 2}


@corpus.needs_corpus
def test_what_recordings_tell_of_searches():
    """Against the counts that the index has read from Anthropic's usage objects."""
    told, read_from_wire = Counter(), Counter()
    for row in corpus.rows():
        searches = ((row["extra"] or {}).get("server_tool_use") or {}).get("web_search_requests")
        if row["call_kind"] == "call" and searches:
            told[corpus.row_id(row)] = searches
            read_from_wire[corpus.row_id(row)] = wire.read(corpus.exchange(row)).billing.items["web_search"]
    assert told
    assert read_from_wire == told
