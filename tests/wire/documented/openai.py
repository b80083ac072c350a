"""OpenAI: chat, responses, embeddings, pictures, sound, batches and what else answers with a usage; Azure's hosts."""

from bodies import ndjson, sse

from documented.row import api

CHAT = "https://platform.openai.com/docs/api-reference/chat/object"
RESPONSES = "https://platform.openai.com/docs/api-reference/responses/object"
PRICES = "https://developers.openai.com/api/docs/pricing"
OPENAI = "https://api.openai.com/v1"


def completion(model, usage, **more):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": usage,
        **more,
    }


def tokens(sent, received, sent_details=None, received_details=None):
    usage = {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
    usage |= {"prompt_tokens_details": sent_details} if sent_details else {}
    return usage | ({"completion_tokens_details": received_details} if received_details else {})


def chunk(model, usage=None, choices=(), **more):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": model,
        "choices": list(choices),
        "usage": usage,
        **more,
    }


def chunks(model, usage, **more):
    return sse(
        chunk(model, choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]),
        chunk(model, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        chunk(model, usage, **more),
        done=True,
    )


def response(model, usage, output=(), **more):
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": model,
        "output": list(output),
        "usage": usage,
        **more,
    }


def used(sent, received, cached=0, reasoning=0, written=0):
    return {
        "input_tokens": sent,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": received,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": sent + received,
    }


def completed(model, usage, output=(), **more):
    whole = response(model, usage, output, **more)
    return sse(
        (
            "response.created",
            {"type": "response.created", "response": response(model, None) | {"status": "in_progress"}},
        ),
        ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "Hi"}),
        ("response.completed", {"type": "response.completed", "response": whole}),
    )


chat = api(url=f"{OPENAI}/chat/completions", source=CHAT, flavour="openai-chat", provider="openai")
responses = api(url=f"{OPENAI}/responses", source=RESPONSES, flavour="openai-responses", provider="openai")
SEARCH = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
OPEN = {"type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "u"}}
RESPONSES_ZERO = {"cache_read": 0, "cache_creation": 0}

ROWS = (
    # --- chat
    chat(
        "plain",
        completion("gpt-4o-2024-08-06", tokens(19, 10)),
        (19, 10),
        model="gpt-4o-2024-08-06",
        cost="19*2.5 + 10*10",
    ),
    chat(
        "cached prompt",
        completion("gpt-4o-2024-08-06", tokens(2006, 300, {"cached_tokens": 1920}, {"reasoning_tokens": 0})),
        (2006, 300),
        model="gpt-4o-2024-08-06",
        sent={"cache_read": 1920},
        received={"reasoning": 0},
        cost="86*2.5 + 1920*1.25 + 300*10",
        source="https://platform.openai.com/docs/guides/prompt-caching",
    ),
    chat(
        "reasoning",
        completion("o3-2025-04-16", tokens(75, 1186, {"cached_tokens": 0}, {"reasoning_tokens": 1024})),
        (75, 1186),
        model="o3-2025-04-16",
        sent={"cache_read": 0},
        received={"reasoning": 1024},
        cost="75*2 + 1186*8",
        source="https://platform.openai.com/docs/guides/reasoning",
    ),
    chat(
        "audio in and out",
        completion(
            "gpt-4o-audio-preview-2025-06-03",
            tokens(
                90,
                70,
                {"audio_tokens": 60, "text_tokens": 30, "cached_tokens": 0},
                {"audio_tokens": 50, "text_tokens": 20},
            ),
        ),
        (90, 70),
        model="gpt-4o-audio-preview-2025-06-03",
        sent={"audio": 60, "cache_read": 0},
        received={"audio": 50},
        source="https://platform.openai.com/docs/guides/audio",
    ),
    chat(
        "predicted output",
        completion(
            "gpt-4o-2024-08-06",
            tokens(200, 60, None, {"accepted_prediction_tokens": 18, "rejected_prediction_tokens": 10}),
        ),
        (200, 60),
        model="gpt-4o-2024-08-06",
        cost="200*2.5 + 60*10",
        source="https://platform.openai.com/docs/guides/predicted-outputs",
    ),
    chat(
        "cache writes",
        completion("gpt-5.4-2026-03-05", tokens(3000, 10, {"cached_tokens": 0, "cache_write_tokens": 2048})),
        (3000, 10),
        model="gpt-5.4-2026-03-05",
        sent={"cache_read": 0, "cache_creation": 2048},
    ),
    chat(
        "long context",
        completion("gpt-5.4-2026-03-05", tokens(300_000, 10)),
        (300_000, 10),
        model="gpt-5.4-2026-03-05",
        cost="300000*5 + 10*22.5",
        source=PRICES,
    ),
    chat(
        "flex tier",
        completion("o3-2025-04-16", tokens(100, 10), service_tier="flex"),
        (100, 10),
        model="o3-2025-04-16",
        tier="flex",
        cost="100*1 + 10*4",
        source="https://platform.openai.com/docs/guides/flex-processing",
    ),
    chat(
        "default tier",
        completion("gpt-4o-mini-2024-07-18", tokens(100, 10), service_tier="default"),
        (100, 10),
        model="gpt-4o-mini-2024-07-18",
        tier="default",
        cost="100*0.15 + 10*0.6",
    ),
    chat(
        "stream",
        chunks("gpt-4o-mini-2024-07-18", tokens(9, 3)),
        (9, 3),
        model="gpt-4o-mini-2024-07-18",
        cost="9*0.15 + 3*0.6",
    ),
    chat(
        "stream with a cached prompt",
        chunks("gpt-4o-mini-2024-07-18", tokens(2000, 3, {"cached_tokens": 1024})),
        (2000, 3),
        model="gpt-4o-mini-2024-07-18",
        sent={"cache_read": 1024},
        cost="976*0.15 + 1024*0.075 + 3*0.6",
    ),
    chat(
        "stream without usage",
        sse(chunk("gpt-4o"), chunk("gpt-4o", choices=[{"delta": {}, "finish_reason": "stop"}]), done=True),
        None,
        model="gpt-4o",
        status="no_usage",
        note="the response states no usage",
        source="https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options",
    ),
    chat(
        "a model that always searches",
        completion("gpt-4o-search-preview-2025-03-11", tokens(100, 50)),
        (100, 50),
        model="gpt-4o-search-preview-2025-03-11",
        source="https://platform.openai.com/docs/guides/tools-web-search",
    ),
    chat(
        "stored completion",
        completion("gpt-4.1-2025-04-14", tokens(1000, 100)),
        (1000, 100),
        model="gpt-4.1-2025-04-14",
        cost="1000*2 + 100*8",
    ),
    chat(
        "data residency",
        completion("gpt-4.1-2025-04-14", tokens(1000, 100)),
        (1000, 100),
        model="gpt-4.1-2025-04-14",
        url="https://eu.api.openai.com/v1/chat/completions",
        region="eu",
        source="https://developers.openai.com/api/docs/guides/your-data",
    ),
    chat(
        "n above one",
        completion("gpt-4o-2024-08-06", tokens(19, 30)),
        (19, 30),
        model="gpt-4o-2024-08-06",
        cost="19*2.5 + 30*10",
    ),
    # --- responses
    responses(
        "plain",
        response("gpt-4.1-2025-04-14", used(36, 87)),
        (36, 87),
        model="gpt-4.1-2025-04-14",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        cost="36*2 + 87*8",
    ),
    responses(
        "cached and reasoning",
        response("gpt-5-2025-08-07", used(1000, 500, 768, 448)),
        (1000, 500),
        model="gpt-5-2025-08-07",
        sent={"cache_read": 768, "cache_creation": 0},
        received={"reasoning": 448},
        cost="232*1.25 + 768*0.125 + 500*10",
    ),
    responses(
        "stream",
        completed("gpt-5-2025-08-07", used(1000, 500)),
        (1000, 500),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        cost="1000*1.25 + 500*10",
    ),
    responses(
        "two searches and a page that was opened",
        response("gpt-5-2025-08-07", used(100, 50), [SEARCH, OPEN, SEARCH], tools=[{"type": "web_search"}]),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"web_search": 2},
        cost="100*1.25 + 50*10 + 2*10000",
        source="https://platform.openai.com/docs/guides/tools-web-search#output-and-citations",
    ),
    responses(
        "the older search tool",
        response("gpt-4o-2024-08-06", used(100, 50), [SEARCH], tools=[{"type": "web_search_preview"}]),
        (100, 50),
        model="gpt-4o-2024-08-06",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"web_search_preview": 1},
        cost="100*2.5 + 50*10 + 25000",
        source=PRICES,
    ),
    responses(
        "the older search tool by its dated name, streamed",
        completed(
            "gpt-4o-2024-08-06", used(100, 50), [SEARCH, SEARCH], tools=[{"type": "web_search_preview_2025_03_11"}]
        ),
        (100, 50),
        model="gpt-4o-2024-08-06",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"web_search_preview": 2},
        cost="100*2.5 + 50*10 + 2*25000",
        source=PRICES,
    ),
    responses(
        "searches that OpenAI counts itself",
        response(
            "gpt-5-2025-08-07",
            used(100, 50),
            [SEARCH, SEARCH],
            tools=[{"type": "web_search"}],
            tool_usage={
                "web_search": {"num_requests": 1},
                "image_gen": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
            },
        ),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"web_search": 1},
        cost="100*1.25 + 50*10 + 10000",
        source="openai SDK: ToolUsageWebSearch",
    ),
    responses(
        "file search",
        response("gpt-4.1-2025-04-14", used(100, 50), [{"type": "file_search_call", "queries": ["q"]}]),
        (100, 50),
        model="gpt-4.1-2025-04-14",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"file_search": 1},
        cost="100*2 + 50*8 + 2500",
        source=PRICES,
    ),
    responses(
        "code interpreter, two calls in one container",
        response(
            "gpt-4.1-2025-04-14",
            used(100, 50),
            [
                {"type": "code_interpreter_call", "container_id": "cntr_1"},
                {"type": "code_interpreter_call", "container_id": "cntr_1"},
            ],
        ),
        (100, 50),
        model="gpt-4.1-2025-04-14",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"code_interpreter": 1},
        source="https://platform.openai.com/docs/guides/tools-code-interpreter",
    ),
    responses(
        "a hosted shell beside the code interpreter",
        response(
            "gpt-5-2025-08-07",
            used(100, 50),
            [
                {
                    "type": "shell_call",
                    "call_id": "c",
                    "environment": {"type": "container_reference", "container_id": "cntr_2"},
                },
                {"type": "code_interpreter_call", "container_id": "cntr_1"},
                {"type": "shell_call_output", "call_id": "c"},
            ],
        ),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"code_interpreter": 2},
        source="https://developers.openai.com/api/docs/guides/tools-shell",
    ),
    responses(
        "a picture whose tokens are told",
        response(
            "gpt-5-2025-08-07",
            used(100, 50),
            [{"type": "image_generation_call", "status": "completed"}],
            tools=[{"type": "image_generation", "model": "gpt-image-1"}],
            tool_usage={
                "image_gen": {
                    "input_tokens": 300,
                    "input_tokens_details": {"image_tokens": 200, "text_tokens": 100},
                    "output_tokens": 1056,
                    "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
                    "total_tokens": 1356,
                },
                "web_search": {"num_requests": 0},
            },
        ),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        parts=(("image_generation", "gpt-image-1", 300, 1056),),
        source="openai SDK: ToolUsageImageGen",
    ),
    responses(
        "a picture whose tokens are not told",
        response("gpt-5-2025-08-07", used(100, 50), [{"type": "image_generation_call", "status": "completed"}]),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        items={"image_generation": 1},
        source="https://platform.openai.com/docs/guides/tools-image-generation",
    ),
    responses(
        "tools that cost nothing beside tokens",
        response(
            "gpt-5-2025-08-07",
            used(100, 50),
            [{"type": "mcp_call"}, {"type": "computer_call"}, {"type": "function_call"}, {"type": "tool_search_call"}],
        ),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        cost="100*1.25 + 50*10",
    ),
    responses(
        "priority tier, asked for as auto",
        completed("gpt-5-2025-08-07", used(100, 50), service_tier="priority"),
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        tier="priority",
        source="https://developers.openai.com/api/docs/guides/priority-processing",
    ),
    responses(
        "incomplete",
        response("gpt-5-2025-08-07", used(100, 50), incomplete_details={"reason": "max_output_tokens"})
        | {"status": "incomplete"},
        (100, 50),
        model="gpt-5-2025-08-07",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        cost="100*1.25 + 50*10",
    ),
    responses(
        "in the background, queued",
        response("o3", None) | {"status": "queued"},
        None,
        model="o3",
        status="no_usage",
        note="the response is queued: its usage comes when it is retrieved",
        source="https://platform.openai.com/docs/guides/background",
    ),
    responses(
        "in the background, fetched",
        response("o3-2025-04-16", used(10, 5)),
        (10, 5),
        url=f"{OPENAI}/responses/resp_1",
        method="GET",
        kind="retrieve",
        model="o3-2025-04-16",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
    ),
    api(
        url=f"{OPENAI}/responses/compact",
        source="openai SDK: CompactedResponse",
        flavour="openai-responses-compact",
        provider="openai",
    )(
        "compaction",
        {"id": "resp_2", "object": "response.compaction", "output": [], "usage": used(9000, 700)},
        (9000, 700),
        request={"model": "gpt-5", "input": []},
        model="gpt-5",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
        cost="9000*1.25 + 700*10",
    ),
    # --- other paths of OpenAI
    api(
        url=f"{OPENAI}/completions",
        source="https://platform.openai.com/docs/api-reference/completions",
        flavour="openai-completions",
        provider="openai",
    )(
        "legacy completion",
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": "gpt-3.5-turbo-instruct",
            "choices": [],
            "usage": tokens(5, 7),
        },
        (5, 7),
        model="gpt-3.5-turbo-instruct",
        cost="5*1.5 + 7*2",
    ),
    api(
        url=f"{OPENAI}/embeddings",
        source="https://platform.openai.com/docs/api-reference/embeddings",
        flavour="openai-embeddings",
        provider="openai",
    )(
        "embedding",
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        (8, 0),
        model="text-embedding-3-small",
        cost="8*0.02",
    ),
    api(url=f"{OPENAI}/decisions", source="openai SDK: Decision", flavour="openai-decisions", provider="openai")(
        "decision",
        {"answers": [{"type": "predicate", "probability": 0.9}], "model": "m-1", "usage": used(40, 2)},
        (40, 2),
        model="m-1",
        seller="openai-decisions",
        sent=RESPONSES_ZERO,
        received={"reasoning": 0},
    ),
    api(
        url=f"{OPENAI}/fine_tuning/alpha/graders/run",
        source="https://platform.openai.com/docs/api-reference/graders/run",
        flavour="openai-graders",
        provider="openai",
    )(
        "a grader that is a model",
        {
            "reward": 1.0,
            "metadata": {
                "name": "g",
                "type": "score_model",
                "execution_time": 1.5,
                "token_usage": 120,
                "sampled_model_name": "gpt-4o",
            },
            "model_grader_token_usage_per_model": {},
        },
        (0, 0, 120),
        request={"grader": {"type": "score_model"}, "model_sample": "x"},
        model="gpt-4o",
        cost="unpriced",
    ),
    api(
        url=f"{OPENAI}/fine_tuning/alpha/graders/run",
        source="openai SDK: GraderRunResponse",
        flavour="openai-graders",
        provider="openai",
    )(
        "a grader that compares text",
        {
            "reward": 1.0,
            "metadata": {"name": "g", "type": "string_check", "execution_time": 0.001, "token_usage": None},
        },
        (0, 0),
        request={"grader": {"type": "string_check"}, "model_sample": "x"},
        model="unknown",
    ),
    api(
        url=f"{OPENAI}/videos",
        source="https://developers.openai.com/api/reference/resources/videos",
        flavour="openai-videos",
        provider="openai",
    )(
        "video",
        {
            "id": "video_1",
            "object": "video",
            "model": "sora-2",
            "status": "queued",
            "progress": 0,
            "seconds": "8",
            "size": "720x1280",
            "created_at": 1_758_941_485,
        },
        (0, 0),
        request={"model": "sora-2", "prompt": "hi", "seconds": "8"},
        model="sora-2",
        items={"video_second": 8},
        cost="unpriced",
    ),
    api(
        url=f"{OPENAI}/images/generations",
        source="openai SDK: ImagesResponse",
        flavour="openai-images",
        provider="openai",
    )(
        "picture",
        {
            "created": 1_713_833_628,
            "data": [{"b64_json": ""}],
            "usage": {
                "total_tokens": 1106,
                "input_tokens": 50,
                "output_tokens": 1056,
                "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
            },
        },
        (50, 1056),
        request={"model": "gpt-image-1", "prompt": "hi"},
        model="gpt-image-1",
        billed=(50, 1056, {}, {"image": 1056}),
        cost="50*5 + 1056*40",
    ),
    api(url=f"{OPENAI}/images/edits", source="openai SDK: ImagesResponse", flavour="openai-images", provider="openai")(
        "picture edited",
        {
            "created": 1_713_833_628,
            "data": [],
            "usage": {
                "total_tokens": 1406,
                "input_tokens": 350,
                "output_tokens": 1056,
                "input_tokens_details": {"text_tokens": 50, "image_tokens": 300},
            },
        },
        (350, 1056),
        request={"model": "gpt-image-1", "prompt": "hi"},
        model="gpt-image-1",
        billed=(350, 1056, {"image": 300}, {"image": 1056}),
        cost="50*5 + 300*10 + 1056*40",
    ),
    api(
        url=f"{OPENAI}/images/generations",
        source="openai SDK: ImageGenCompletedEvent",
        flavour="openai-images",
        provider="openai",
    )(
        "picture streamed",
        sse(
            ("image_generation.partial_image", {"type": "image_generation.partial_image", "b64_json": ""}),
            (
                "image_generation.completed",
                {
                    "type": "image_generation.completed",
                    "usage": {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50},
                },
            ),
        ),
        (50, 50),
        request={"model": "gpt-image-1", "prompt": "hi"},
        model="gpt-image-1",
        billed=(50, 50, {}, {"image": 50}),
    ),
    api(url=f"{OPENAI}/images/generations", source="openai SDK: SvgUsage", flavour="openai-images", provider="openai")(
        "drawing with a model of its own",
        {
            "created": 1,
            "data": [],
            "usage": {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50},
            "svg_usage": {
                "input_tokens": 7,
                "model": "gpt-5",
                "output_tokens": 90,
                "reasoning_tokens": 20,
                "total_tokens": 97,
            },
        },
        (50, 50),
        request={"model": "gpt-image-2", "prompt": "hi"},
        model="gpt-image-2",
        billed=(50, 50, {}, {"image": 50}),
        parts=(("svg", "gpt-5", 7, 90),),
    ),
    api(
        url=f"{OPENAI}/audio/transcriptions",
        source="openai SDK: Transcription",
        flavour="openai-audio",
        provider="openai",
    )(
        "transcription by tokens",
        {
            "text": "Hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "output_tokens": 45,
                "total_tokens": 59,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
            },
        },
        (14, 45),
        request={"model": "gpt-4o-transcribe"},
        model="gpt-4o-transcribe",
        sent={"audio": 14},
    ),
    api(
        url=f"{OPENAI}/audio/transcriptions",
        source="openai SDK: UsageDuration",
        flavour="openai-audio",
        provider="openai",
    )(
        "transcription by the second",
        {"text": "Hi", "usage": {"type": "duration", "seconds": 9}},
        None,
        billed=(0, 0, {}, {}),
        status="no_usage",
        note="the response states no usage",
        request={"model": "whisper-1"},
        model="whisper-1",
        items={"audio_second": 9},
        cost="9*100",
    ),
    api(
        url=f"{OPENAI}/audio/speech",
        source="openai SDK: SpeechAudioDoneEvent",
        flavour="openai-audio",
        provider="openai",
    )(
        "speech streamed",
        sse(
            {"type": "speech.audio.delta", "audio": ""},
            {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 90, "total_tokens": 94}},
        ),
        (4, 90),
        request={"model": "gpt-4o-mini-tts", "input": "hi"},
        model="gpt-4o-mini-tts",
    ),
    api(
        url=f"{OPENAI}/threads/thread_1/runs",
        source="https://platform.openai.com/docs/api-reference/runs",
        flavour="openai-assistants",
        provider="openai",
    )(
        "run streamed",
        sse(
            (
                "thread.run.created",
                {"id": "run_1", "object": "thread.run", "status": "queued", "model": "gpt-4o", "usage": None},
            ),
            (
                "thread.run.completed",
                {
                    "id": "run_1",
                    "object": "thread.run",
                    "status": "completed",
                    "model": "gpt-4o",
                    "usage": tokens(20, 11),
                },
            ),
            done=True,
        ),
        (20, 11),
        request={"assistant_id": "asst_1"},
        model="gpt-4o",
        cost="20*2.5 + 11*10",
    ),
    api(
        url=f"{OPENAI}/files/file-1/content",
        source="https://platform.openai.com/docs/guides/batch",
        flavour="openai-batch-results",
        provider="openai",
    )(
        "batch of two models",
        ndjson(
            {
                "id": "b1",
                "custom_id": "1",
                "response": {"status_code": 200, "body": completion("gpt-4o-mini-2024-07-18", tokens(20, 10))},
                "error": None,
            },
            {
                "id": "b2",
                "custom_id": "2",
                "response": {"status_code": 200, "body": completion("gpt-4o-2024-08-06", tokens(40, 10))},
                "error": None,
            },
        ),
        (60, 20),
        method="GET",
        kind="batch-results",
        model="gpt-4o-mini-2024-07-18",
        tier="batch",
        parts=(("request", "gpt-4o-mini-2024-07-18", 20, 10), ("request", "gpt-4o-2024-08-06", 40, 10)),
        cost="20*0.075 + 10*0.3 + 40*1.25 + 10*5",
    ),
    # --- regions
    *(
        chat(
            f"region {region}",
            completion("gpt-4o-2024-08-06", tokens(19, 10)),
            (19, 10),
            url=f"https://{region}.api.openai.com/v1/chat/completions",
            model="gpt-4o-2024-08-06",
            region=region,
            cost="19*2.5 + 10*10",
            source="https://developers.openai.com/api/docs/guides/your-data",
        )
        for region in ("eu", "us", "au", "ca", "jp", "in", "sg", "kr", "gb", "ae")
    ),
    # --- Azure
    *(
        api(
            url=url,
            source="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
            flavour="openai-chat",
            provider="azure",
        )(
            name,
            completion(model, tokens(19, 10, {"cached_tokens": 0})),
            (19, 10),
            model=model,
            sent={"cache_read": 0},
            **more,
        )
        for name, url, model, more in (
            (
                "deployment",
                "https://res.openai.azure.com/openai/deployments/prod/chat/completions?api-version=2024-10-21",
                "gpt-4o-2024-08-06",
                {"cost": "19*2.5 + 10*10"},
            ),
            (
                "deployment whose region a header tells",
                "https://res.openai.azure.com/openai/deployments/prod/chat/completions?api-version=2024-10-21",
                "gpt-4o-2024-08-06",
                {"response_headers": {"x-ms-region": "East US 2"}, "region": "eastus2"},
            ),
            ("v1 path", "https://res.openai.azure.com/openai/v1/chat/completions", "gpt-4o-2024-08-06", {}),
            ("government", "https://res.openai.azure.us/openai/v1/chat/completions", "gpt-4o-2024-08-06", {}),
            (
                "cognitive services",
                "https://res.cognitiveservices.azure.com/openai/deployments/d/chat/completions",
                "gpt-4o-2024-08-06",
                {},
            ),
            (
                "foundry, model of another maker",
                "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
                "DeepSeek-V3-0324",
                {},
            ),
            ("foundry, Grok", "https://res.services.ai.azure.com/models/chat/completions", "grok-3", {}),
            (
                "foundry, Llama",
                "https://res.services.ai.azure.com/openai/v1/chat/completions",
                "Llama-3.3-70B-Instruct",
                {},
            ),
            (
                "serverless endpoint",
                "https://mistral-large.eastus2.models.ai.azure.com/v1/chat/completions",
                "mistral-large",
                {"region": "eastus2"},
            ),
            (
                "serverless inference",
                "https://llama.swedencentral.inference.ai.azure.com/v1/chat/completions",
                "llama-3",
                {"region": "swedencentral"},
            ),
            (
                "regional host",
                "https://westeurope.api.cognitive.microsoft.com/openai/deployments/d/chat/completions",
                "gpt-4o-2024-08-06",
                {"region": "westeurope"},
            ),
        )
    ),
    api(
        url="https://res.services.ai.azure.com/anthropic/v1/messages",
        source="https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry",
        flavour="anthropic-messages",
        provider="azure",
    )(
        "Claude on Azure",
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-sonnet-4-5",
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 12, "output_tokens": 6},
        },
        (12, 6),
        model="claude-sonnet-4-5",
    ),
)
