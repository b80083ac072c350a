"""OpenAI and Anthropic at their edges: tiers, failures, refusals, streams that end early, tools, what is retrieved or changed later."""

import json

from bodies import ndjson, sse

from documented.openai import CHAT, OPENAI, PRICES, RESPONSES, chunk, completion, response, tokens
from documented.row import api

SDK = "openai SDK"

# --- OpenAI: chat -----------------------------------------------------------------------------------------------------


def asking(model, **more):
    return api(
        **{
            "url": f"{OPENAI}/chat/completions",
            "source": CHAT,
            "flavour": "openai-chat",
            "provider": "openai",
            "request": {"model": model, "messages": []},
            "model": model,
            **more,
        }
    )


MINI = "gpt-5-mini-2025-08-07"
chat = asking(MINI)
WEATHER = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"usage": 1}'}}


def choice(message, finish_reason="stop", index=0):
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}


def delta(content, finish_reason=None, index=0):
    return {"index": index, "delta": content, "finish_reason": finish_reason}


STREAMING = {"model": MINI, "messages": [], "stream": True, "stream_options": {"include_usage": True}}
CHAT_ROWS = (
    chat(
        "tool calls",
        completion(MINI, tokens(200, 30), choices=[choice({"content": None, "tool_calls": [WEATHER]}, "tool_calls")]),
        (200, 30),
        cost="200*0.25 + 30*2",
    ),
    chat(
        "refusal",
        completion(MINI, tokens(200, 12), choices=[choice({"content": None, "refusal": "I cannot."})]),
        (200, 12),
        cost="200*0.25 + 12*2",
    ),
    chat(
        "stopped by a filter",
        completion(MINI, tokens(200, 0), choices=[choice({"content": ""}, "content_filter")]),
        (200, 0),
        cost="200*0.25",
    ),
    chat(
        "cut at the limit, all of it thoughts",
        completion(MINI, tokens(200, 64, None, {"reasoning_tokens": 64}), choices=[choice({"content": ""}, "length")]),
        (200, 64),
        received={"reasoning": 64},
        cost="200*0.25 + 64*2",
    ),
    chat("usage null", completion(MINI, None), None, status="no_usage", note="states no usage"),
    chat(
        "usage without its output",
        completion(MINI, {"prompt_tokens": 200, "completion_tokens": None, "total_tokens": 210}),
        None,
        status="no_usage",
        note="completion_tokens holds null",
    ),
    chat(
        "details null",
        completion(MINI, {**tokens(200, 10), "prompt_tokens_details": None, "completion_tokens_details": None}),
        (200, 10),
        cost="200*0.25 + 10*2",
    ),
    chat(
        "three choices",
        completion(MINI, tokens(200, 90), choices=[choice({"content": "Hi"}, index=n) for n in range(3)]),
        (200, 90),
        cost="200*0.25 + 90*2",
    ),
    chat(
        "stream of two choices",
        sse(
            chunk(MINI, choices=[delta({"content": "a"})]),
            chunk(MINI, choices=[delta({"content": "b"}, index=1)]),
            chunk(MINI, choices=[delta({}, "stop")]),
            chunk(MINI, choices=[delta({}, "stop", 1)]),
            chunk(MINI, tokens(200, 60)),
            done=True,
        ),
        (200, 60),
        request=STREAMING,
        cost="200*0.25 + 60*2",
    ),
    chat(
        "stream of a tool call",
        sse(
            chunk(MINI, choices=[delta({"tool_calls": [{"index": 0, **WEATHER}]})]),
            chunk(MINI, choices=[delta({}, "tool_calls")]),
            chunk(MINI, tokens(200, 30, {"cached_tokens": 128, "audio_tokens": 0})),
            done=True,
        ),
        (200, 30),
        sent={"cache_read": 128, "audio": 0},
        request=STREAMING,
        cost="72*0.25 + 128*0.025 + 30*2",
    ),
    chat(
        "stream with obfuscation",
        sse(
            chunk(MINI, choices=[delta({"content": "a"})], obfuscation="x7Yq"),
            chunk(MINI, choices=[delta({}, "stop")], obfuscation="q"),
            chunk(MINI, tokens(200, 3), obfuscation=""),
            done=True,
        ),
        (200, 3),
        request=STREAMING,
        cost="200*0.25 + 3*2",
    ),
    chat(
        "stream that breaks off",
        sse(chunk(MINI, choices=[delta({"content": "a"})])),
        None,
        request=STREAMING,
        status="aborted",
        note="breaks off",
    ),
    chat(
        "stream that ends in an error",
        sse(
            chunk(MINI, choices=[delta({"content": "a"})]),
            {"error": {"message": "The server had an error", "type": "server_error", "param": None, "code": None}},
        ),
        None,
        request=STREAMING,
        status="aborted",
        note="The server had an error",
    ),
    chat(
        "stream cut within an event",
        sse(chunk(MINI, choices=[delta({"content": "a"})])) + b'data: {"id": "chatcmpl-1", "obj',
        None,
        request=STREAMING,
        status="aborted",
        note="cut off",
    ),
    chat(
        "priority tier",
        completion(MINI, tokens(200, 10, {"cached_tokens": 100, "audio_tokens": 0}), service_tier="priority"),
        (200, 10),
        sent={"cache_read": 100, "audio": 0},
        tier="priority",
        source=PRICES,
        cost="100*0.45 + 100*0.045 + 10*3.6",
    ),
    chat(
        "scale tier",
        completion(MINI, tokens(200, 10), service_tier="scale"),
        (200, 10),
        tier="scale",
        cost="unpriced",
    ),
    asking("gpt-5.4-2026-03-05")(
        "long context at the priority tier",
        completion("gpt-5.4-2026-03-05", tokens(300_000, 10), service_tier="priority"),
        (300_000, 10),
        tier="priority",
        source=PRICES,
        cost="300000*5 + 10*30",
    ),
    asking("gpt-5.4-2026-03-05")(
        "long context at the flex tier",
        completion("gpt-5.4-2026-03-05", tokens(300_000, 10), service_tier="flex"),
        (300_000, 10),
        tier="flex",
        source=PRICES,
        cost="300000*2.5 + 10*11.25",
    ),
    asking("gpt-5.4-2026-03-05")(
        "the last token at the short price",
        completion("gpt-5.4-2026-03-05", tokens(272_000, 10)),
        (272_000, 10),
        source=PRICES,
        cost="272000*2.5 + 10*15",
    ),
    asking("gpt-audio")(
        "sound and its transcript",
        completion(
            "gpt-audio",
            tokens(
                150,
                90,
                {"cached_tokens": 0, "audio_tokens": 120, "text_tokens": 30},
                {"reasoning_tokens": 0, "audio_tokens": 70, "text_tokens": 20},
            ),
        ),
        (150, 90),
        sent={"cache_read": 0, "audio": 120},
        received={"reasoning": 0, "audio": 70},
        source=PRICES,
        cost="30*2.5 + 120*32 + 20*10 + 70*64",
    ),
    asking("ft:gpt-4o-mini-2024-07-18:acme::AbCdEf")(
        "fine-tuned model",
        completion("ft:gpt-4o-mini-2024-07-18:acme::AbCdEf", tokens(1_000, 100)),
        (1_000, 100),
        source=PRICES,
        cost="1000*0.3 + 100*1.2",
    ),
    asking("ft:gpt-4.1-nano-2025-04-14:acme:usage:AbCdEf")(
        "fine-tuned model without a price",
        completion("ft:gpt-unheard-of:acme:usage:AbCdEf", tokens(1_000, 100)),
        (1_000, 100),
        model="ft:gpt-unheard-of:acme:usage:AbCdEf",
        cost="unpriced",
    ),
    asking("gpt-4o")(
        "an alias answered by its snapshot",
        completion("gpt-4o-2024-08-06", tokens(100, 10)),
        (100, 10),
        model="gpt-4o-2024-08-06",
        source=PRICES,
        cost="100*2.5 + 10*10",
    ),
    asking("gpt-4o-2024-05-13")(
        "an older snapshot at its own price",
        completion("gpt-4o-2024-05-13", tokens(100, 10)),
        (100, 10),
        source=PRICES,
        cost="100*5 + 10*15",
    ),
    asking("o3")(
        "rejected predictions are output",
        completion(
            "o3-2025-04-16",
            tokens(
                500,
                300,
                {"cached_tokens": 0},
                {"accepted_prediction_tokens": 80, "rejected_prediction_tokens": 120, "reasoning_tokens": 64},
            ),
        ),
        (500, 300),
        model="o3-2025-04-16",
        sent={"cache_read": 0},
        received={"reasoning": 64},
        source=PRICES,
        cost="500*2 + 300*8",
    ),
    chat(
        "cut off at the end of its JSON",
        json.dumps(completion(MINI, tokens(200, 10))).encode()[:-20],
        None,
        status="aborted",
        note="cut off",
    ),
    chat("no body", b"", None, status="no_usage", note="no body"),
    asking("gpt-3.5-turbo-instruct")(
        "several completions",
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": "gpt-3.5-turbo-instruct",
            "choices": [{"text": "a", "index": 0}, {"text": "b", "index": 1}],
            "usage": tokens(100, 20),
        },
        (100, 20),
        url=f"{OPENAI}/completions",
        flavour="openai-completions",
        source=f"{SDK}: Completion",
        request={"model": "gpt-3.5-turbo-instruct", "prompt": "hi", "n": 2},
        cost="100*1.5 + 20*2",
    ),
    asking("gpt-3.5-turbo-instruct")(
        "streamed completion",
        sse(
            {
                "id": "cmpl-1",
                "object": "text_completion",
                "choices": [{"text": "a", "finish_reason": None}],
                "model": "gpt-3.5-turbo-instruct",
            },
            {
                "id": "cmpl-1",
                "object": "text_completion",
                "choices": [{"text": "", "finish_reason": "stop"}],
                "model": "gpt-3.5-turbo-instruct",
            },
            {
                "id": "cmpl-1",
                "object": "text_completion",
                "choices": [],
                "model": "gpt-3.5-turbo-instruct",
                "usage": tokens(100, 20),
            },
            done=True,
        ),
        (100, 20),
        url=f"{OPENAI}/completions",
        flavour="openai-completions",
        source=f"{SDK}: Completion",
        request={"model": "gpt-3.5-turbo-instruct", "prompt": "hi", "stream": True},
        cost="100*1.5 + 20*2",
    ),
    chat(
        "metadata of a stored completion changed",
        completion(MINI, tokens(200, 10), metadata={"a": "b"}),
        (200, 10),
        url=f"{OPENAI}/chat/completions/chatcmpl-1",
        request={"metadata": {"a": "b"}},
        source=f"{SDK}: chat.completions.update",
        kind="retrieve",
    ),
)

# --- OpenAI: responses ------------------------------------------------------------------------------------------------


def used(sent, received, cached=0, thought=0, **more):
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": received,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": sent + received,
        **more,
    }


ZEROS = {"sent": {"cache_read": 0}, "received": {"reasoning": 0}}
asked = api(
    url=f"{OPENAI}/responses",
    source=RESPONSES,
    flavour="openai-responses",
    provider="openai",
    request={"model": MINI, "input": "hi"},
    model=MINI,
)
BACKGROUND = {"background": True, "status": "in_progress"}
RESPONSE_ROWS = (
    asked(
        "function call",
        response(MINI, used(200, 20), [{"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}]),
        (200, 20),
        **ZEROS,
        cost="200*0.25 + 20*2",
    ),
    asked(
        "tools of an MCP server",
        response(
            MINI,
            used(900, 40),
            [
                {"type": "mcp_list_tools", "server_label": "s", "tools": []},
                {"type": "mcp_call", "name": "roll", "arguments": "{}", "output": "4"},
                {"type": "message", "content": [{"type": "output_text", "text": "4"}]},
            ],
        ),
        (900, 40),
        **ZEROS,
        cost="900*0.25 + 40*2",
    ),
    asked(
        "tools that were searched for, and a patch",
        response(
            MINI,
            used(900, 40),
            [{"type": "tool_search_call"}, {"type": "tool_search_output"}, {"type": "apply_patch_call"}],
        ),
        (900, 40),
        **ZEROS,
        source=f"{SDK}: ResponseToolSearchCall, ResponseApplyPatchToolCall",
        cost="900*0.25 + 40*2",
    ),
    asked(
        "refusal",
        response(MINI, used(200, 8), [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]),
        (200, 8),
        **ZEROS,
        cost="200*0.25 + 8*2",
    ),
    asked(
        "failed",
        response(MINI, None, status="failed", error={"code": "server_error", "message": "The model failed"}),
        None,
        status="no_usage",
        note="The model failed",
    ),
    asked(
        "stream that failed",
        sse(
            ("response.created", {"type": "response.created", "response": response(MINI, None, status="in_progress")}),
            (
                "response.failed",
                {
                    "type": "response.failed",
                    "response": response(
                        MINI, None, status="failed", error={"code": "server_error", "message": "The model failed"}
                    ),
                },
            ),
        ),
        None,
        request={"model": MINI, "input": "hi", "stream": True},
        status="no_usage",
        note="the provider answered with an error: The model failed",
    ),
    asked(
        "stream that is incomplete",
        sse(
            ("response.created", {"type": "response.created", "response": response(MINI, None, status="in_progress")}),
            (
                "response.incomplete",
                {
                    "type": "response.incomplete",
                    "response": response(
                        MINI,
                        used(200, 64, 0, 64),
                        status="incomplete",
                        incomplete_details={"reason": "max_output_tokens"},
                    ),
                },
            ),
        ),
        (200, 64),
        sent={"cache_read": 0},
        received={"reasoning": 64},
        request={"model": MINI, "input": "hi", "stream": True},
        cost="200*0.25 + 64*2",
    ),
    asked(
        "stream that breaks off",
        sse(
            ("response.created", {"type": "response.created", "response": response(MINI, None, status="in_progress")}),
            ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "Hi"}),
        ),
        None,
        request={"model": MINI, "input": "hi", "stream": True},
        status="aborted",
        note="breaks off",
    ),
    asked(
        "stream that ends in an error",
        sse(
            ("response.created", {"type": "response.created", "response": response(MINI, None, status="in_progress")}),
            ("error", {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None}),
        ),
        None,
        request={"model": MINI, "input": "hi", "stream": True},
        status="aborted",
        note="the provider answered with an error: Slow down",
    ),
    asked(
        "flex tier",
        response(MINI, used(200, 20, 100), service_tier="flex"),
        (200, 20),
        sent={"cache_read": 100},
        received={"reasoning": 0},
        tier="flex",
        source=PRICES,
        cost="100*0.125 + 100*0.0125 + 20*1",
    ),
    asked(
        "by a stored prompt",
        response("gpt-4.1-2025-04-14", used(200, 20)),
        (200, 20),
        **ZEROS,
        request={"prompt": {"id": "pmpt_1", "version": "2"}},
        model="gpt-4.1-2025-04-14",
        cost="200*2 + 20*8",
    ),
    asked(
        "in the background, still under way",
        response(MINI, None, **BACKGROUND),
        None,
        url=f"{OPENAI}/responses/resp_1",
        method="GET",
        kind="retrieve",
        status="no_usage",
        note="in_progress",
    ),
    asked(
        "in the background, cancelled",
        response(MINI, None, background=True, status="cancelled"),
        None,
        url=f"{OPENAI}/responses/resp_1/cancel",
        request=b"",
        kind="retrieve",
        status="no_usage",
        note="states no usage",
    ),
    asked(
        "in the background, its stream taken up again",
        sse(
            ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "Hi", "sequence_number": 9}),
            ("response.completed", {"type": "response.completed", "response": response(MINI, used(200, 20))}),
        ),
        (200, 20),
        url=f"{OPENAI}/responses/resp_1?stream=true&starting_after=8",
        **ZEROS,
        method="GET",
        kind="retrieve",
    ),
    asked(
        "search tool of today beside a page that was searched in",
        response(
            MINI,
            used(9_000, 200),
            [
                {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "a"}},
                {
                    "type": "web_search_call",
                    "status": "completed",
                    "action": {"type": "open_page", "url": "https://a.b"},
                },
                {"type": "web_search_call", "status": "completed", "action": {"type": "find_in_page", "pattern": "c"}},
            ],
            tools=[{"type": "web_search"}],
        ),
        (9_000, 200),
        **ZEROS,
        items={"web_search": 1},
        source=PRICES,
        cost="9000*0.25 + 200*2 + 10000",
    ),
    asked(
        "two file searches",
        response(MINI, used(900, 40), [{"type": "file_search_call", "queries": ["a"]}, {"type": "file_search_call"}]),
        (900, 40),
        **ZEROS,
        items={"file_search": 2},
        source=PRICES,
        cost="900*0.25 + 40*2 + 5000",
    ),
    asked(
        "text that speaks of usage",
        response(
            MINI,
            used(200, 20),
            [{"type": "message", "content": [{"type": "output_text", "text": '{"usage": {"input_tokens": 9}}'}]}],
        ),
        (200, 20),
        **ZEROS,
        cost="200*0.25 + 20*2",
    ),
)

# --- OpenAI: the rest -------------------------------------------------------------------------------------------------

heard = api(
    url=f"{OPENAI}/audio/transcriptions",
    source=f"{SDK}: Transcription, TranscriptionVerbose, TranscriptionDiarized",
    flavour="openai-audio",
    provider="openai",
    request={"model": "gpt-4o-transcribe"},
    model="gpt-4o-transcribe",
)
SPOKEN = {
    "type": "tokens",
    "input_tokens": 130,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 120},
    "output_tokens": 40,
    "total_tokens": 170,
}
pictured = api(
    url=f"{OPENAI}/images/generations",
    source=f"{SDK}: ImagesResponse; {PRICES}",
    flavour="openai-images",
    provider="openai",
    request={"model": "gpt-image-1-mini", "prompt": "hi"},
    model="gpt-image-1-mini",
)
OTHER_ROWS = (
    heard(
        "stream",
        sse(
            {"type": "transcript.text.delta", "delta": "Hi"},
            {"type": "transcript.text.done", "text": "Hi", "usage": SPOKEN},
        ),
        (130, 40),
        sent={"audio": 120},
        cost="10*2.5 + 120*6 + 40*10",
    ),
    heard(
        "speakers told apart",
        {
            "task": "transcribe",
            "duration": 12.3,
            "text": "Hi",
            "segments": [{"type": "transcript.text.segment", "speaker": "A", "start": 0.0, "end": 1.0, "text": "Hi"}],
            "usage": SPOKEN,
        },
        (130, 40),
        sent={"audio": 120},
        request={"model": "gpt-4o-transcribe-diarize"},
        model="gpt-4o-transcribe-diarize",
        cost="10*2.5 + 120*6 + 40*10",
    ),
    heard(
        "in full, by the second",
        {
            "task": "transcribe",
            "language": "en",
            "duration": 8.47,
            "text": "Hi",
            "usage": {"type": "duration", "seconds": 9},
        },
        None,
        billed=(0, 0, {}, {}),
        items={"audio_second": 9},
        request={"model": "whisper-1"},
        model="whisper-1",
        status="no_usage",
        note="states no usage",
        cost="9*100",
    ),
    heard(
        "as subtitles",
        b"1\n00:00:00,000 --> 00:00:01,000\nHi\n\n",
        None,
        request={"model": "whisper-1"},
        model="whisper-1",
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    heard(
        "speech as sound",
        b"ID3\x04\x00\x00\x00\x00\x00#TSSE\x00\x00",
        None,
        url=f"{OPENAI}/audio/speech",
        source=f"{SDK}: audio.speech.create",
        request={"model": "tts-1", "input": "Hi", "voice": "alloy"},
        model="tts-1",
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    pictured(
        "without pictures in the prompt",
        {
            "created": 1_788_000_000,
            "data": [{"b64_json": "aGk="}],
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
                "output_tokens": 272,
                "output_tokens_details": {"image_tokens": 272, "text_tokens": 0},
                "total_tokens": 322,
            },
        },
        (50, 272),
        billed=(50, 272, {}, {"image": 272}),
        cost="50*2 + 272*8",
    ),
    pictured(
        "by an older model",
        {"created": 1_788_000_000, "data": [{"url": "https://a.b/c.png"}]},
        None,
        request={"model": "dall-e-3", "prompt": "hi"},
        model="dall-e-3",
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    api(
        url=f"{OPENAI}/embeddings",
        source=f"{SDK}: CreateEmbeddingResponse",
        flavour="openai-embeddings",
        provider="openai",
        request={"model": "text-embedding-3-large", "input": ["a", "b"], "encoding_format": "base64"},
        model="text-embedding-3-large",
    )(
        "two in base64",
        {
            "object": "list",
            "data": [{"object": "embedding", "index": n, "embedding": "AACAPw=="} for n in (0, 1)],
            "model": "text-embedding-3-large",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        (8, 0),
        cost="8*0.13",
    ),
    api(
        url=f"{OPENAI}/videos/video_1",
        source=f"{SDK}: Video",
        flavour="openai-videos",
        provider="openai",
        method="GET",
        kind="retrieve",
        model="sora-2",
    )(
        "done",
        {
            "id": "video_1",
            "object": "video",
            "model": "sora-2",
            "status": "completed",
            "seconds": "8",
            "size": "720x1280",
        },
        (0, 0),
        items={"video_second": 8},
    ),
    api(
        url=f"{OPENAI}/files/file-1/content",
        source=f"{SDK}: Batch.output_file_id",
        flavour="openai-batch-results",
        provider="openai",
        method="GET",
        kind="batch-results",
        model="gpt-5.4-2026-03-05",
        tier="batch",
    )(
        "responses, one of which failed",
        ndjson(
            {
                "custom_id": "1",
                "response": {"status_code": 200, "body": response("gpt-5.4-2026-03-05", used(1_000, 10))},
            },
            {"custom_id": "2", "response": {"status_code": 400, "body": {"error": {"message": "bad"}}}, "error": None},
            {"custom_id": "3", "response": None, "error": {"code": "batch_expired", "message": "expired"}},
        ),
        (1_000, 10),
        **ZEROS,
        parts=(("request", "gpt-5.4-2026-03-05", 1_000, 10),),
        cost="1000*1.25 + 10*7.5",
    ),
)

# --- Anthropic --------------------------------------------------------------------------------------------------------

DAY_ONE = "2026-09-01T00:00:00Z"
MESSAGES = "https://docs.anthropic.com/en/api/messages"
CLAUDE_PRICES = "https://platform.claude.com/docs/en/about-claude/pricing"


def claude(model, **more):
    return api(
        **{
            "url": "https://api.anthropic.com/v1/messages",
            "source": MESSAGES,
            "flavour": "anthropic-messages",
            "provider": "anthropic",
            "request": {"model": model, "max_tokens": 10, "messages": []},
            "model": model,
            **more,
        }
    )


def message(model, usage, stop_reason="end_turn", content=(), **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(content) or [{"type": "text", "text": "Hi"}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **more,
    }


def counted(sent, received, written=0, read=0, hour=0, **more):
    return {
        "input_tokens": sent,
        "cache_creation_input_tokens": written + hour,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": hour},
        "output_tokens": received,
        "service_tier": "standard",
        **more,
    }


def caching(read=0, written=0, hour=0):
    return {
        "cache_read": read,
        "cache_creation": written + hour,
        "ephemeral_5m_input_tokens": written,
        "ephemeral_1h_input_tokens": hour,
    }


def events(model, start, *end, stop=True):
    return sse(
        ("message_start", {"type": "message_start", "message": message(model, start, None, [])}),
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        ("ping", {"type": "ping"}),
        (
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        ),
        *(("message_delta", {"type": "message_delta", **each}) for each in end),
        *([("message_stop", {"type": "message_stop"})] if stop else []),
    )


SONNET, OPUS, HAIKU = "claude-sonnet-4-5-20250929", "claude-opus-4-6", "claude-haiku-4-5-20251001"
sonnet, opus, haiku = claude(SONNET), claude(OPUS), claude(HAIKU)
NONE = caching()
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"usage": {"input_tokens": 1}}}
CLAUDE_ROWS = (
    haiku(
        "tool use",
        message(HAIKU, counted(300, 40), "tool_use", [TOOL]),
        (300, 40),
        sent=NONE,
        tier="standard",
        cost="300*1 + 40*5",
    ),
    haiku(
        "cut at the limit",
        message(HAIKU, counted(300, 10), "max_tokens"),
        (300, 10),
        sent=NONE,
        tier="standard",
        cost="300*1 + 10*5",
    ),
    haiku(
        "a context window that is full",
        message(HAIKU, counted(199_000, 1_000), "model_context_window_exceeded"),
        (199_000, 1_000),
        sent=NONE,
        tier="standard",
        cost="199000*1 + 1000*5",
    ),
    haiku(
        "fetches of pages cost nothing beside tokens",
        message(HAIKU, counted(9_000, 40, server_tool_use={"web_search_requests": 0, "web_fetch_requests": 3})),
        (9_000, 40),
        sent=NONE,
        tier="standard",
        source="anthropic SDK: ServerToolUsage",
        cost="9000*1 + 40*5",
    ),
    haiku(
        "searches in a stream",
        events(
            HAIKU,
            counted(300, 1),
            {
                "delta": {"stop_reason": "end_turn"},
                "usage": {
                    "input_tokens": 9_000,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 60,
                    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
                },
            },
        ),
        (9_000, 60),
        sent=NONE,
        tier="standard",
        items={"web_search": 2},
        source="anthropic SDK: MessageDeltaUsage",
        cost="9000*1 + 60*5 + 20000",
    ),
    haiku(
        "a tool search",
        message(
            HAIKU,
            counted(500, 20),
            "tool_use",
            [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_regex", "input": {}},
                {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": {}},
                TOOL,
            ],
        ),
        (500, 20),
        sent=NONE,
        tier="standard",
        source="anthropic SDK: BetaToolSearchToolResultBlock",
        cost="500*1 + 20*5",
    ),
    sonnet(
        "a cache of one hour in a stream",
        events(
            SONNET,
            counted(20, 1, 100, 1_000, 400),
            {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}},
        ),
        (1_520, 50),
        sent=caching(1_000, 100, 400),
        tier="standard",
        source=CLAUDE_PRICES,
        cost="20*3 + 1000*0.3 + 100*3.75 + 400*6 + 50*15",
    ),
    sonnet(
        "long context that comes from the cache",
        message(SONNET, counted(1_000, 100, 0, 250_000)),
        (251_000, 100),
        sent=caching(250_000),
        tier="standard",
        source=CLAUDE_PRICES,
        cost="1000*6 + 250000*0.6 + 100*22.5",
    ),
    sonnet(
        "two hundred thousand tokens are not long",
        message(SONNET, counted(200_000, 100)),
        (200_000, 100),
        sent=NONE,
        tier="standard",
        source=CLAUDE_PRICES,
        cost="200000*3 + 100*15",
    ),
    opus(
        "fast, from a cache",
        message(OPUS, counted(100, 50, 0, 1_000, speed="fast")),
        (1_100, 50),
        sent=caching(1_000),
        tier="standard",
        modifiers={"speed": "fast"},
        source="https://platform.claude.com/docs/en/build-with-claude/fast-mode",
        cost="100*30 + 1000*3 + 50*150",
    ),
    opus(
        "fast, in the US",
        message(OPUS, counted(100, 50, speed="fast", inference_geo="us")),
        (100, 50),
        sent=NONE,
        tier="standard",
        region="us",
        modifiers={"speed": "fast"},
        source="https://platform.claude.com/docs/en/manage-claude/data-residency",
        cost="100*33 + 50*165",
    ),
    opus(
        "searches in the US cost what they cost elsewhere",
        message(OPUS, counted(100, 50, inference_geo="us", server_tool_use={"web_search_requests": 1})),
        (100, 50),
        sent=NONE,
        tier="standard",
        region="us",
        items={"web_search": 1},
        source="https://platform.claude.com/docs/en/manage-claude/data-residency",
        cost="100*5.5 + 50*27.5 + 10000",
    ),
    haiku(
        "a stream that is overloaded",
        sse(
            ("message_start", {"type": "message_start", "message": message(HAIKU, counted(300, 1), None, [])}),
            ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ),
        (300, 1),
        sent=NONE,
        tier="standard",
        status="aborted",
        note="Overloaded",
    ),
    haiku(
        "a stream without its last event",
        events(
            HAIKU, counted(300, 1), {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}, stop=False
        ),
        (300, 9),
        sent=NONE,
        tier="standard",
    ),
    haiku(
        "usage null",
        message(HAIKU, None),
        None,
        status="no_usage",
        note="states no usage",
    ),
    haiku(
        "output null",
        message(HAIKU, {"input_tokens": 300, "output_tokens": None}),
        None,
        status="no_usage",
        note="output_tokens holds null",
    ),
    haiku(
        "a compaction alone, in a stream",
        events(
            HAIKU,
            counted(300, 1),
            {
                "delta": {"stop_reason": "compaction"},
                "usage": {
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "iterations": [
                        {
                            "type": "compaction",
                            "input_tokens": 180_000,
                            "output_tokens": 3_500,
                            "cache_read_input_tokens": 0,
                            "cache_creation_input_tokens": 0,
                        }
                    ],
                },
            },
        ),
        (0, 0),
        sent=NONE,
        tier="standard",
        parts=(("compaction", HAIKU, 180_000, 3_500),),
        source="anthropic SDK: BetaCompactionIterationUsage",
        cost="180000*1 + 3500*5",
    ),
    claude(HAIKU, url="https://api.anthropic.com/v1/messages/batches/msgbatch_1/results")(
        "batch with lines that failed",
        ndjson(
            {
                "custom_id": "1",
                "result": {"type": "succeeded", "message": message(HAIKU, counted(1_000, 100, 0, 0, 500))},
            },
            {
                "custom_id": "2",
                "result": {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}},
            },
            {"custom_id": "3", "result": {"type": "expired"}},
            {"custom_id": "4", "result": {"type": "canceled"}},
        ),
        (1_500, 100),
        sent=caching(0, 0, 500),
        flavour="anthropic-batch-results",
        method="GET",
        kind="batch-results",
        tier="batch",
        parts=(("request", HAIKU, 1_500, 100),),
        source="anthropic SDK: MessageBatchIndividualResponse",
        cost="1000*0.5 + 500*1 + 100*2.5",
    ),
)

ROWS = (*CHAT_ROWS, *RESPONSE_ROWS, *OTHER_ROWS, *CLAUDE_ROWS)
