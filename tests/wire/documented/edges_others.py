"""Google, Amazon, Mistral, Cohere and the providers of many models at their edges; servers of one's own; APIs of their own in Asia."""

import json

from bodies import aws_stream, ndjson, sse

from documented.agents import GEMINI, line
from documented.bedrock import NOVA, SONNET, answer, converse, invoke
from documented.openai import chunk, chunks, completion, tokens
from documented.row import api

# --- Gemini and Vertex ------------------------------------------------------------------------------------------------

GENERATE = "https://ai.google.dev/api/generate-content"
GEMINI_PRICES = "https://ai.google.dev/gemini-api/docs/pricing"
VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models"


def gemini(model, verb="generateContent", **more):
    return api(
        **{
            "url": f"{GEMINI}/models/{model}:{verb}",
            "source": GENERATE,
            "flavour": "gemini-generateContent",
            "provider": "google_genai",
            "request": {"contents": []},
            "model": model,
            **more,
        }
    )


def generated(model, usage, finish_reason="STOP", parts=({"text": "Hi"},), **more):
    content = {"role": "model", "parts": list(parts)}
    return {
        "candidates": [{"content": content, "finishReason": finish_reason, "index": 0, **more}],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": "r1",
    }


def metered(sent, received=None, thought=None, total=None, **more):
    usage = {"promptTokenCount": sent}
    usage |= {} if received is None else {"candidatesTokenCount": received}
    usage |= {} if thought is None else {"thoughtsTokenCount": thought}
    return {**usage, "totalTokenCount": total or sent + (received or 0) + (thought or 0), **more}


def modality(name, count):
    return {"modality": name, "tokenCount": count}


FLASH, PRO, FLASH3 = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview"
flash, pro, flash3 = gemini(FLASH), gemini(PRO), gemini(FLASH3)
GROUNDED = {"webSearchQueries": ["a", "b", "c"], "groundingChunks": [{"web": {"uri": "https://a.b"}}]}
GEMINI_ROWS = (
    flash(
        "blocked for safety",
        generated(FLASH, metered(80), "SAFETY", ()),
        (80, 0),
        source=f"{GENERATE}#FinishReason",
        cost="80*0.3",
    ),
    flash(
        "cut at the limit within its thoughts",
        generated(FLASH, metered(80, None, 500), "MAX_TOKENS", ()),
        (80, 500),
        received={"reasoning": 500},
        cost="80*0.3 + 500*2.5",
    ),
    flash(
        "a function call that is malformed",
        generated(FLASH, metered(80), "MALFORMED_FUNCTION_CALL", ()),
        (80, 0),
        cost="80*0.3",
    ),
    flash(
        "a function call",
        generated(
            FLASH, metered(80, 12), parts=({"functionCall": {"name": "f", "args": {"usage": {"tokenCount": 3}}}},)
        ),
        (80, 12),
        cost="80*0.3 + 12*2.5",
    ),
    flash(
        "without usage",
        {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "modelVersion": FLASH},
        None,
        status="no_usage",
        note="states no usage",
    ),
    flash(
        "two candidates",
        {
            "candidates": [
                {"content": {"parts": [{"text": t}]}, "finishReason": "STOP", "index": n} for n, t in enumerate("ab")
            ],
            "usageMetadata": metered(80, 20),
            "modelVersion": FLASH,
            "responseId": "r1",
        },
        (80, 20),
        cost="80*0.3 + 20*2.5",
    ),
    flash(
        "three queries of one search are billed once",
        generated(FLASH, metered(80, 20), groundingMetadata=GROUNDED),
        (80, 20),
        items={"web_search": 3},
        source="https://ai.google.dev/gemini-api/docs/google-search#pricing",
        cost="80*0.3 + 20*2.5 + 35000",
    ),
    flash3(
        "three queries of a later model are billed each",
        generated(FLASH3, metered(80, 20), groundingMetadata=GROUNDED),
        (80, 20),
        items={"web_search": 3},
        source="https://ai.google.dev/gemini-api/docs/google-search#pricing",
        cost="80*0.5 + 20*3 + 42000",
    ),
    flash(
        "sound from a cache",
        generated(
            FLASH,
            metered(
                1_000,
                20,
                cachedContentTokenCount=600,
                promptTokensDetails=[modality("TEXT", 300), modality("AUDIO", 700)],
                cacheTokensDetails=[modality("AUDIO", 500), modality("TEXT", 100)],
            ),
        ),
        (1_000, 20),
        sent={"cache_read": 600, "audio": 700},
        billed=(
            1_000,
            20,
            {"cache_read": 600, "audio": 700, "cache_read_text": 100, "cache_read_audio": 500},
            {},
        ),
        source=GEMINI_PRICES,
        cost="200*0.3 + 200*1 + 100*0.03 + 500*0.1 + 20*2.5",
    ),
    pro(
        "a cache within a long context",
        generated(PRO, metered(250_000, 100, cachedContentTokenCount=200_000)),
        (250_000, 100),
        sent={"cache_read": 200_000},
        source=GEMINI_PRICES,
        cost="50000*2.5 + 200000*0.25 + 100*15",
    ),
    pro(
        "two hundred thousand tokens are not long",
        generated(PRO, metered(200_000, 100)),
        (200_000, 100),
        source=GEMINI_PRICES,
        cost="200000*1.25 + 100*10",
    ),
    gemini(FLASH, "streamGenerateContent?alt=sse")(
        "stream whose thoughts are counted from the first chunk on",
        sse(
            generated(FLASH, metered(80, None, 300), None, ({"text": "H", "thought": True},)),
            generated(FLASH, metered(80, 4, 412), None),
            generated(FLASH, metered(80, 9, 412)),
        ),
        (80, 421),
        received={"reasoning": 412},
        cost="80*0.3 + 421*2.5",
    ),
    gemini(FLASH, "streamGenerateContent?alt=sse")(
        "stream that breaks off",
        sse(
            {
                "candidates": [{"content": {"parts": [{"text": "H"}]}, "index": 0}],
                "usageMetadata": metered(80, 4),
                "modelVersion": FLASH,
                "responseId": "r1",
            }
        ),
        (80, 4),
        status="aborted",
        note="breaks off",
    ),
    gemini(FLASH, "streamGenerateContent")(
        "array that ends in an error",
        [
            {
                "candidates": [{"content": {"parts": [{"text": "H"}]}, "index": 0}],
                "usageMetadata": metered(80, 4),
                "modelVersion": FLASH,
            },
            {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
        ],
        (80, 4),
        status="aborted",
        note="overloaded",
    ),
    gemini(FLASH, url=f"{VERTEX}/{FLASH}:generateContent", provider="google_vertexai", region="global")(
        "Vertex, provisioned throughput",
        generated(FLASH, metered(80, 20, trafficType="PROVISIONED_THROUGHPUT")),
        (80, 20),
        tier="PROVISIONED_THROUGHPUT",
        source="google-genai SDK: TrafficType",
        cost="unpriced",
    ),
    gemini(FLASH, url=f"{VERTEX}/{FLASH}:generateContent", provider="google_vertexai", region="global")(
        "Vertex, on demand",
        generated(FLASH, metered(80, 20, trafficType="ON_DEMAND")),
        (80, 20),
        tier="ON_DEMAND",
        source="google-genai SDK: TrafficType",
        cost="80*0.3 + 20*2.5",
    ),
    api(
        url=f"{GEMINI}/batches/2",
        source="google-genai SDK: InlinedResponse",
        flavour="gemini-batch-results",
        provider="google_genai",
        method="GET",
        kind="batch-results",
        model=FLASH,
        tier="batch",
    )(
        "batch of which a request failed",
        {
            "name": "batches/2",
            "metadata": {"model": f"models/{FLASH}", "state": "BATCH_STATE_SUCCEEDED"},
            "response": {
                "inlinedResponses": {
                    "inlinedResponses": [
                        {"response": generated(FLASH, metered(1_000, 100, 50))},
                        {"error": {"code": 3, "message": "bad"}},
                    ]
                }
            },
        },
        (1_000, 150),
        received={"reasoning": 50},
        parts=(("request", FLASH, 1_000, 150),),
        source=GEMINI_PRICES,
        cost="1000*0.15 + 150*1.25",
    ),
    gemini("gemini-embedding-2", "embedContent", flavour="gemini-embed")(
        "embedding of a picture",
        {
            "embedding": {"values": [0.1]},
            "usageMetadata": {
                "promptTokenCount": 270,
                "promptTokenDetails": [modality("TEXT", 12), modality("IMAGE", 258)],
            },
        },
        (270, 0),
        billed=(270, 0, {"image": 258}, {}),
        source=f"https://ai.google.dev/api/embeddings#EmbeddingUsageMetadata; {GEMINI_PRICES}",
        cost="12*0.2 + 258*0.45",
    ),
    gemini("gemini-embedding-2", "batchEmbedContents", flavour="gemini-embed")(
        "embeddings of sound and a video",
        {
            "embeddings": [{"values": [0.1]}, {"values": [0.2]}],
            "usageMetadata": {
                "promptTokenCount": 400,
                "promptTokenDetails": [modality("TEXT", 10), modality("AUDIO", 90), modality("VIDEO", 300)],
            },
        },
        (400, 0),
        sent={"audio": 90},
        billed=(400, 0, {"audio": 90, "video": 300}, {}),
        source=f"https://ai.google.dev/api/embeddings#EmbeddingUsageMetadata; {GEMINI_PRICES}",
        cost="10*0.2 + 90*6.5 + 300*12",
    ),
    # Vertex writes it like any other usage: `UsageMetadata` of the google-cloud-aiplatform SDK.
    api(
        url="https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/gemini-embedding-2:embedContent",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api",
        flavour="gemini-embed",
        provider="google_vertexai",
        region="us-central1",
        request={"content": {}},
        model="gemini-embedding-2",
    )(
        "embedding of a picture on Vertex",
        {
            "embedding": {"values": [0.1]},
            "usageMetadata": {
                "promptTokenCount": 270,
                "promptTokensDetails": [modality("TEXT", 12), modality("IMAGE", 258)],
            },
        },
        (270, 0),
        billed=(270, 0, {"image": 258}, {}),
    ),
    api(
        url="https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude",
        flavour="anthropic-messages",
        provider="google_vertexai",
        region="global",
        request={"anthropic_version": "vertex-2023-10-16", "max_tokens": 10, "messages": []},
        model="claude-haiku-4-5-20251001",
    )(
        "Vertex, a cache of one hour",
        {
            "id": "msg_vrtx_1",
            "type": "message",
            "model": "claude-haiku-4-5-20251001",
            "stop_reason": "end_turn",
            "content": [],
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100},
                "output_tokens": 5,
            },
        },
        (110, 5),
        sent={
            "cache_read": 0,
            "cache_creation": 100,
            "ephemeral_5m_input_tokens": 0,
            "ephemeral_1h_input_tokens": 100,
        },
        cost="10*1 + 100*2 + 5*5",
    ),
)

# --- Amazon Bedrock ---------------------------------------------------------------------------------------------------

TIERS = "https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html"
BEDROCK_ROWS = (
    converse(NOVA)(
        "tool use",
        answer(300, 40, stopReason="tool_use"),
        (300, 40),
        cost="300*0.06 + 40*0.24",
    ),
    converse(NOVA)(
        "a guardrail that stepped in",
        answer(0, 0, stopReason="guardrail_intervened", trace={"guardrail": {"modelOutput": []}}),
        (0, 0),
        source="botocore, bedrock-runtime: ConverseTrace",
    ),
    converse(NOVA)(
        "a guardrail that counts units of its own",
        answer(
            300,
            40,
            trace={
                "guardrail": {
                    "inputAssessment": {
                        "g": {"invocationMetrics": {"usage": {"topicPolicyUnits": 1, "contentPolicyUnits": 1}}}
                    }
                }
            },
        ),
        (300, 40),
        source="botocore, bedrock-runtime: GuardrailInvocationMetrics",
        cost="300*0.06 + 40*0.24",
    ),
    converse(NOVA)(
        "priority tier",
        answer(300, 40, serviceTier={"type": "priority"}),
        (300, 40),
        tier="priority",
        source=TIERS,
        cost="unpriced",
    ),
    converse(NOVA, url=f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{NOVA}/converse-stream")(
        "stream that breaks off",
        aws_stream(
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
        ),
        None,
        status="aborted",
        note="breaks off",
    ),
    converse(SONNET)(
        "thinking",
        answer(300, 200),
        (300, 200),
        cost="300*3.3 + 200*16.5",
    ),
    invoke("amazon.titan-image-generator-v2:0")(
        "picture of Titan",
        {"images": ["aGk="], "error": None},
        None,
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    invoke("amazon.rerank-v1:0")(
        "ranking",
        {"results": [{"index": 0, "relevance_score": 0.9}]},
        None,
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    invoke("amazon.nova-lite-v1:0", stream=True)(
        "Nova, streamed",
        aws_stream(
            ("chunk", {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}}),
            ("chunk", {"messageStop": {"stopReason": "end_turn"}}),
            (
                "chunk",
                {
                    "metadata": {"usage": {"inputTokens": 30, "outputTokens": 7}, "metrics": {}, "trace": {}},
                    "amazon-bedrock-invocationMetrics": {"inputTokenCount": 30, "outputTokenCount": 7},
                },
            ),
        ),
        (30, 7),
        cost="30*0.06 + 7*0.24",
    ),
    invoke("meta.llama3-3-70b-instruct-v1:0")(
        "Llama, cut at the limit",
        {"generation": "Hi", "prompt_token_count": 30, "generation_token_count": 512, "stop_reason": "length"},
        (30, 512),
        cost="30*0.72 + 512*0.72",
    ),
)

# --- Mistral ----------------------------------------------------------------------------------------------------------

MISTRAL = "https://api.mistral.ai/v1"
LARGE = "mistral-large-2512"


def mistral(path, model=LARGE, **more):
    return api(
        **{
            "url": f"{MISTRAL}/{path}",
            "source": "mistralai SDK: ChatCompletionResponse, UsageInfo",
            "flavour": "openai-chat",
            "provider": "mistral",
            "request": {"model": model, "messages": []},
            "model": model,
            **more,
        }
    )


conversed = mistral(
    "conversations",
    "mistral-medium-latest",
    flavour="mistral-conversations",
    source="mistralai SDK: ConversationResponse, ConversationUsageInfo",
    request={"model": "mistral-medium-latest", "inputs": "hi"},
)


def conversation(usage, *outputs):
    shown = outputs or ({"type": "message.output", "content": "Hi", "model": "mistral-medium-latest"},)
    return {"object": "conversation.response", "conversation_id": "conv_1", "outputs": list(shown), "usage": usage}


MISTRAL_ROWS = (
    mistral("chat/completions")(
        "Mistral's priority tier",
        completion(LARGE, {**tokens(100, 10), "service_tier": "priority"}),
        (100, 10),
        tier="priority",
        cost="unpriced",
    ),
    mistral("chat/completions")(
        "Mistral's standard tier",
        completion(LARGE, {**tokens(100, 10), "service_tier": "standard"}),
        (100, 10),
        tier="standard",
        cost="100*0.5 + 10*1.5",
    ),
    mistral("chat/completions")(
        "tokens read from a cache",
        completion(LARGE, {**tokens(100, 10), "num_cached_tokens": 60}),
        (100, 10),
        billed=(100, 10, {"cache_read": 60}, {}),
        cost="40*0.5 + 60*0.05 + 10*1.5",
    ),
    mistral("chat/completions", "magistral-medium-2509")(
        "thoughts as content",
        completion(
            "magistral-medium-2509",
            tokens(100, 300),
            choices=[
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": [{"type": "thinking", "thinking": []}]},
                    "finish_reason": "stop",
                }
            ],
        ),
        (100, 300),
        cost="100*2 + 300*5",
    ),
    mistral(
        "fim/completions", "codestral-2508", request={"model": "codestral-2508", "prompt": "def f(", "suffix": ")"}
    )(
        "filled in the middle",
        completion("codestral-2508", tokens(20, 10)),
        (20, 10),
        source="mistralai SDK: FIMCompletionResponse",
        cost="20*0.3 + 10*0.9",
    ),
    mistral("agents/completions", request={"agent_id": "ag_1", "messages": []})(
        "an agent",
        completion(LARGE, tokens(100, 10)),
        (100, 10),
        source="mistralai SDK: agents.complete",
        cost="100*0.5 + 10*1.5",
    ),
    mistral("embeddings", "codestral-embed-2505", flavour="openai-embeddings")(
        "embeddings of code",
        {
            "id": "e1",
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
            "model": "codestral-embed-2505",
            "usage": {"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8},
        },
        (8, 0),
        source="mistralai SDK: EmbeddingResponse",
        cost="8*0.15",
    ),
    conversed(
        "stream",
        sse(
            ("conversation.response.started", {"type": "conversation.response.started", "conversation_id": "conv_1"}),
            (
                "message.output.delta",
                {"type": "message.output.delta", "model": "mistral-medium-latest", "content": "Hi"},
            ),
            (
                "conversation.response.done",
                {"type": "conversation.response.done", "usage": {**tokens(100, 10), "connector_tokens": None}},
            ),
        ),
        (100, 10),
        cost="100*1.5 + 10*7.5",
    ),
    conversed(
        "stream that fails",
        sse(
            ("conversation.response.started", {"type": "conversation.response.started", "conversation_id": "conv_1"}),
            (
                "conversation.response.error",
                {"type": "conversation.response.error", "message": "Internal error", "code": 500},
            ),
        ),
        None,
        status="no_usage",
        note="the provider answered with an error: Internal error",
    ),
    conversed(
        "started again",
        conversation(tokens(100, 10)),
        (100, 10),
        url=f"{MISTRAL}/conversations/conv_1/restart",
        request={"inputs": "hi", "from_entry_id": "msg_1"},
        cost="100*1.5 + 10*7.5",
    ),
    conversed(
        "an agent hands over",
        conversation(
            tokens(100, 10),
            {"type": "agent.handoff", "previous_agent_id": "a", "next_agent_id": "b"},
            {"type": "message.output", "content": "Hi", "model": "mistral-medium-latest"},
        ),
        (100, 10),
        request={"agent_id": "ag_1", "inputs": "hi"},
        cost="100*1.5 + 10*7.5",
    ),
    api(
        url=f"{MISTRAL}/files/file-1/content",
        source="mistralai SDK: BatchJob.output_file",
        flavour="openai-batch-results",
        provider="mistral",
        method="GET",
        kind="batch-results",
        model="mistral-embed",
        tier="batch",
    )(
        "embeddings in a batch",
        ndjson(line("mistral-embed", 1_000), line("mistral-embed", 500)),
        (1_500, 0),
        parts=(("request", "mistral-embed", 1_000, 0), ("request", "mistral-embed", 500, 0)),
        cost="1500*0.05",
    ),
    mistral(
        "audio/speech",
        "voxtral-mini-tts-2603",
        flavour="openai-audio",
        request={"model": "voxtral-mini-tts-2603", "input": "Hi", "stream": True},
    )(
        "speech that is streamed",
        sse(
            ("speech.audio.delta", {"type": "speech.audio.delta", "audio_data": "aGk="}),
            ("speech.audio.done", {"type": "speech.audio.done", "usage": tokens(10, 200)}),
        ),
        (10, 200),
        source="mistralai SDK: SpeechStreamDone",
        cost="unpriced",
    ),
    mistral(
        "classifications",
        "ft:classifier:ministral-3b",
        flavour="mistral-classifiers",
        request={"model": "ft:classifier:ministral-3b", "input": "hi"},
    )(
        "classification without usage",
        {"id": "c1", "model": "ft:classifier:ministral-3b", "results": [{"mood": {"scores": {"good": 0.9}}}]},
        None,
        source="mistralai SDK: ClassificationResponse",
        status="no_usage",
        note="states no usage",
    ),
)

# --- Cohere -----------------------------------------------------------------------------------------------------------

COHERE = "https://api.cohere.com"
cohered = api(
    url=f"{COHERE}/v2/chat",
    source="cohere SDK: V2ChatResponse, Usage",
    flavour="cohere-v2",
    provider="cohere",
    request={"model": "command-a-03-2025", "messages": []},
    model="command-a-03-2025",
)
COHERE_USAGE = {
    "billed_units": {"input_tokens": 20, "output_tokens": 10},
    "tokens": {"input_tokens": 500, "output_tokens": 12},
}
COHERE_ROWS = (
    cohered(
        "tool calls",
        {
            "id": "c1",
            "finish_reason": "TOOL_CALL",
            "message": {
                "role": "assistant",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}],
            },
            "usage": COHERE_USAGE,
        },
        (500, 12),
        billed=(20, 10, {}, {}),
        cost="20*2.5 + 10*10",
    ),
    cohered(
        "billed units alone",
        {
            "id": "c1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": []},
            "usage": {"billed_units": {"input_tokens": 20, "output_tokens": 10}},
        },
        (20, 10),
        billed=(20, 10, {}, {}),
        cost="20*2.5 + 10*10",
    ),
    # LangChain's input is Cohere's `input_tokens`, which is the text; the picture is in the bill.
    cohered(
        "picture",
        {
            "id": "c1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "A ruby."}]},
            "usage": {
                "billed_units": {"input_tokens": 265, "output_tokens": 10},
                "tokens": {"input_tokens": 30, "output_tokens": 12, "reasoning_tokens": 0, "image_tokens": 256},
                "cached_tokens": 0,
            },
        },
        (30, 12),
        sent={"cache_read": 0},
        received={"reasoning": 0},
        billed=(265, 10, {}, {}),
        source="https://docs.cohere.com/docs/image-inputs; cohere SDK: V2ChatResponse, Usage",
        cost="265*2.5 + 10*10",
    ),
    cohered(
        "stream that fails",
        sse(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "boom"}},
        ),
        None,
        status="no_usage",
        note="the provider answered with an error: boom",
    ),
    cohered(
        "stream that breaks off",
        sse(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
        ),
        None,
        status="aborted",
        note="breaks off",
    ),
    cohered(
        "embedding by the first version",
        {
            "id": "e1",
            "texts": ["hi"],
            "embeddings": [[0.1]],
            "meta": {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 3}},
            "response_type": "embeddings_floats",
        },
        (3, 0),
        url=f"{COHERE}/v1/embed",
        flavour="cohere-embed",
        source="cohere SDK: EmbedFloatsResponse",
        request={"model": "embed-v4.0", "texts": ["hi"], "input_type": "search_query"},
        model="embed-v4.0",
        cost="3*0.12",
    ),
    cohered(
        "ranking by the first version",
        {
            "id": "r1",
            "results": [{"index": 0, "relevance_score": 0.9}],
            "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
        },
        (0, 0),
        url=f"{COHERE}/v1/rerank",
        flavour="rerank",
        source="cohere SDK: RerankResponse",
        request={"model": "rerank-v3.5", "query": "q", "documents": ["a"]},
        model="rerank-v3.5",
        items={"search_unit": 1},
        cost="unpriced",
    ),
)

# --- Providers of many models -----------------------------------------------------------------------------------------

PLAIN = tokens(100, 10)


def at(url, provider, model, source, **more):
    return api(
        **{
            "url": url,
            "source": source,
            "flavour": "openai-chat",
            "provider": provider,
            "request": {"model": model, "messages": []},
            "model": model,
            **more,
        }
    )


XAI = "https://api.x.ai/v1"
GROK = "grok-4-0709"
OSS = "openai/gpt-oss-120b"
GROQ = "https://api.groq.com/openai/v1"
OPENROUTER = "https://openrouter.ai/api/v1"
grok = at(f"{XAI}/chat/completions", "xai", GROK, "https://docs.x.ai/docs/api-reference")
groq = at(f"{GROQ}/chat/completions", "groq", OSS, "groq SDK: CompletionUsage")
router = at(f"{OPENROUTER}/chat/completions", "openrouter", "openai/gpt-5-mini", "openrouter SDK: ChatUsage")
MANY_ROWS = (
    grok(
        "reasoning beside the completion",
        completion(
            GROK,
            {
                **tokens(100, 10, {"cached_tokens": 60, "text_tokens": 100}, {"reasoning_tokens": 200}),
                "total_tokens": 310,
            },
        ),
        (100, 210),
        sent={"cache_read": 60},
        received={"reasoning": 200},
        cost="40*3 + 60*0.75 + 210*15",
    ),
    grok(
        "cost in ticks",
        completion(GROK, {**tokens(100, 10), "cost_in_usd_ticks": 4_500_000}),
        (100, 10),
        stated="0.00045",
        cost="stated",
    ),
    grok(
        "asked for later",
        {"request_id": "req-1"},
        None,
        request={"model": GROK, "messages": [], "deferred": True},
        status="no_usage",
        note="states no usage",
    ),
    groq(
        "cached prompt and reasoning",
        completion(
            OSS,
            {
                **tokens(100, 30, {"cached_tokens": 64}, {"reasoning_tokens": 20}),
                "queue_time": 0.05,
                "prompt_time": 0.01,
                "completion_time": 0.1,
                "total_time": 0.11,
            },
            usage_breakdown=None,
            x_groq={"id": "req_1", "seed": 1},
            service_tier="on_demand",
        ),
        (100, 30),
        sent={"cache_read": 64},
        received={"reasoning": 20},
        tier="on_demand",
        cost="36*0.15 + 64*0.075 + 30*0.6",
    ),
    groq(
        "stream with its usage apart",
        sse(
            chunk(
                OSS, choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}], x_groq={"id": "req_1"}
            ),
            chunk(
                OSS,
                choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}],
                x_groq={"id": "req_1", "usage": PLAIN},
            ),
            done=True,
        ),
        (100, 10),
        request={"model": OSS, "messages": [], "stream": True},
        cost="100*0.15 + 10*0.6",
    ),
    groq(
        "Groq's flex tier",
        completion(OSS, PLAIN, service_tier="flex"),
        (100, 10),
        tier="flex",
        source="https://console.groq.com/docs/flex-processing",
        cost="unpriced",
    ),
    groq(
        "Groq's performance tier",
        completion(OSS, PLAIN, service_tier="performance"),
        (100, 10),
        tier="performance",
        source="https://console.groq.com/docs/service-tiers",
        cost="unpriced",
    ),
    at(f"{GROQ}/audio/transcriptions", "groq", "whisper-large-v3", "https://console.groq.com/docs/speech-to-text")(
        "transcription in full",
        {
            "task": "transcribe",
            "language": "English",
            "duration": 35.2,
            "text": "Hi",
            "segments": [],
            "x_groq": {"id": "r"},
        },
        None,
        flavour="openai-audio",
        billed=(0, 0, {}, {}),
        items={"audio_second": 36},
        status="no_usage",
        note="states no usage",
        cost="1110",
    ),
    router(
        "an error in a stream",
        sse(
            chunk("openai/gpt-5-mini", choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]),
            {
                **chunk(
                    "openai/gpt-5-mini", choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
                ),
                "error": {"code": 502, "message": "Provider disconnected"},
            },
        ),
        None,
        request={"model": "openai/gpt-5-mini", "messages": [], "stream": True},
        source="https://openrouter.ai/docs/api-reference/errors",
        status="no_usage",
        note="Provider disconnected",
    ),
    router(
        "comments that keep the stream alive",
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
        + chunks("openai/gpt-5-mini", {**PLAIN, "cost": 0.000045}),
        (100, 10),
        request={"model": "openai/gpt-5-mini", "messages": [], "stream": True},
        source="https://openrouter.ai/docs/api-reference/streaming",
        stated="0.000045",
        cost="stated",
    ),
    router(
        "a model that is free",
        completion("z-ai/glm-4.5-air:free", {**PLAIN, "cost": 0}),
        (100, 10),
        request={"model": "z-ai/glm-4.5-air:free", "messages": []},
        model="z-ai/glm-4.5-air:free",
        stated="0",
        cost="stated",
    ),
    router(
        "pictures and sound in the prompt",
        completion(
            "google/gemini-2.5-flash",
            {
                **tokens(
                    400,
                    10,
                    {
                        "cached_tokens": 0,
                        "cache_write_tokens": 0,
                        "audio_tokens": 100,
                        "video_tokens": 0,
                        "file_tokens": 0,
                    },
                    {"reasoning_tokens": 0, "image_tokens": 0, "audio_tokens": 0},
                ),
                "cost": 0.0002,
                "cost_details": {"upstream_inference_cost": None},
                "is_byok": False,
            },
        ),
        (400, 10),
        request={"model": "google/gemini-2.5-flash", "messages": []},
        model="google/gemini-2.5-flash",
        sent={"cache_read": 0, "cache_creation": 0, "audio": 100},
        received={"reasoning": 0, "audio": 0},
        stated="0.0002",
        cost="stated",
    ),
    at(
        "https://api.deepseek.com/chat/completions",
        "deepseek",
        "deepseek-reasoner",
        "https://api-docs.deepseek.com/api/create-chat-completion",
    )(
        "an answer after empty lines that kept the connection",
        b"\n\n\n"
        + json.dumps(
            completion(
                "deepseek-reasoner",
                {
                    **tokens(100, 210, {"cached_tokens": 64}, {"reasoning_tokens": 200}),
                    "prompt_cache_hit_tokens": 64,
                    "prompt_cache_miss_tokens": 36,
                },
            )
        ).encode(),
        (100, 210),
        sent={"cache_read": 64},
        received={"reasoning": 200},
    ),
    at(
        "https://api.deepseek.com/beta/completions",
        "deepseek",
        "deepseek-chat",
        "https://api-docs.deepseek.com/api/create-completion",
    )(
        "filled in the middle",
        {
            "id": "1",
            "object": "text_completion",
            "model": "deepseek-chat",
            "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}],
            "usage": {**PLAIN, "prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 100},
        },
        (100, 10),
        flavour="openai-completions",
        request={"model": "deepseek-chat", "prompt": "a", "suffix": "b"},
        sent={"cache_read": 0},
    ),
    at(
        "https://api.together.xyz/v1/chat/completions",
        "together",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "https://docs.together.ai/reference/chat-completions-1",
    )(
        "cached tokens beside the counts",
        completion("meta-llama/Llama-3.3-70B-Instruct-Turbo", {**PLAIN, "cached_tokens": 0}, prompt=[]),
        (100, 10),
        sent={"cache_read": 0},
        cost="100*0.88 + 10*0.88",
    ),
    at(
        "https://api.fireworks.ai/inference/v1/chat/completions",
        "fireworks",
        "accounts/fireworks/models/deepseek-v3p2",
        "https://docs.fireworks.ai/api-reference/post-chatcompletions",
    )(
        "figures of performance",
        completion(
            "accounts/fireworks/models/deepseek-v3p2",
            tokens(100, 10, {"cached_tokens": 0}),
            perf_metrics={"prompt-tokens": 100, "cached-prompt-tokens": 0, "server-time-to-first-token": 0.1},
        ),
        (100, 10),
        sent={"cache_read": 0},
    ),
    at(
        "https://api.cerebras.ai/v1/chat/completions",
        "cerebras",
        "gpt-oss-120b",
        "https://inference-docs.cerebras.ai/api-reference/chat-completions",
    )(
        "times of the parts",
        completion(
            "gpt-oss-120b",
            tokens(100, 10, {"cached_tokens": 0}),
            time_info={"queue_time": 0.001, "prompt_time": 0.002, "completion_time": 0.003, "total_time": 0.01},
        ),
        (100, 10),
        sent={"cache_read": 0},
        cost="100*0.35 + 10*0.75",
    ),
    at(
        "https://api.sambanova.ai/v1/chat/completions",
        "sambanova",
        "Meta-Llama-3.3-70B-Instruct",
        "https://docs.sambanova.ai/cloud/api-reference/endpoints/chat",
    )(
        "figures of performance in the usage",
        completion(
            "Meta-Llama-3.3-70B-Instruct",
            {
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "total_tokens": 110,
                "acceptance_rate": 4.1,
                "completion_tokens_after_first_per_sec": 431.2,
                "total_tokens_per_sec": 250.1,
                "time_to_first_token": 0.1,
                "is_last_response": True,
            },
        ),
        (100, 10),
        cost="unpriced",
    ),
    at(
        "https://api.moonshot.ai/v1/chat/completions",
        "moonshotai",
        "kimi-k2-0905-preview",
        "https://platform.moonshot.ai/docs/api/chat",
    )(
        "stream with its usage in the choice",
        sse(
            chunk("kimi-k2-0905-preview", choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]),
            chunk(
                "kimi-k2-0905-preview",
                choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {**PLAIN, "cached_tokens": 60}}],
            ),
            done=True,
        ),
        (100, 10),
        sent={"cache_read": 60},
        cost="40*0.6 + 60*0.15 + 10*2.5",
    ),
    at(
        "https://api.minimax.io/v1/text/chatcompletion_v2",
        "minimax",
        "MiniMax-M2",
        "https://platform.minimax.io/docs/api-reference/text-post",
    )(
        "under its own path",
        completion("MiniMax-M2", {**PLAIN, "total_characters": 0}, base_resp={"status_code": 0, "status_msg": ""}),
        (100, 10),
        cost="100*0.3 + 10*1.2",
    ),
    at(
        "https://api.minimax.io/v1/text/chatcompletion_v2",
        "minimax",
        "MiniMax-M2",
        "https://platform.minimax.io/docs/api-reference/text-post",
    )(
        "total alone",
        completion("MiniMax-M2", {"total_tokens": 110, "total_characters": 0}),
        (0, 0, 110),
        cost="unpriced",
    ),
    at("https://open.bigmodel.cn/api/paas/v4/async/chat/completions", "zhipuai", "glm-4.6", "zai SDK: AsyncTaskStatus")(
        "asked for later",
        {"id": "task-1", "request_id": "r", "model": "glm-4.6", "task_status": "PROCESSING"},
        None,
        flavour="zai-async",
        status="no_usage",
        note="PROCESSING",
    ),
    at("https://open.bigmodel.cn/api/paas/v4/async-result/task-1", "zhipuai", "glm-4.6", "zai SDK: AsyncCompletion")(
        "fetched later",
        {
            "id": "task-1",
            "request_id": "r",
            "model": "glm-4.6",
            "task_status": "SUCCESS",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": PLAIN,
        },
        (100, 10),
        method="GET",
        kind="retrieve",
        flavour="zai-async",
    ),
    at(
        "https://ark.cn-beijing.volces.com/api/v3/embeddings/multimodal",
        "volcengine",
        "doubao-embedding-vision-250615",
        "volcenginesdkarkruntime: MultimodalEmbeddingResponse",
    )(
        "embedding of a picture",
        {
            "id": "1",
            "object": "list",
            "model": "doubao-embedding-vision-250615",
            "data": {"object": "embedding", "embedding": [0.1]},
            "usage": {
                "prompt_tokens": 528,
                "prompt_tokens_details": {"text_tokens": 28, "image_tokens": 500},
                "total_tokens": 528,
            },
        },
        (528, 0),
        flavour="openai-embeddings",
        cost="unpriced",
    ),
    at(
        "https://ark.cn-beijing.volces.com/api/v3/bots/chat/completions",
        "volcengine",
        "bot-1",
        "volcenginesdkarkruntime: BotUsage",
    )(
        "a bot of two models",
        completion(
            "doubao-1-5-pro-32k-250115",
            None,
            bot_usage={
                "model_usage": [
                    {"name": "doubao-1-5-pro-32k-250115", **tokens(100, 10)},
                    {"name": "doubao-1-5-lite-32k-250115", **tokens(50, 5)},
                ],
                "action_usage": [{"name": "search", "search_count": 1}],
            },
        ),
        (150, 15),
        model="doubao-1-5-pro-32k-250115",
        parts=(
            ("model", "doubao-1-5-pro-32k-250115", 100, 10),
            ("model", "doubao-1-5-lite-32k-250115", 50, 5),
        ),
        cost="unpriced",
    ),
    at(
        "https://ark.cn-beijing.volces.com/api/v3/contents/generations/tasks/cgt-1",
        "volcengine",
        "doubao-seedance-1-0-pro-250528",
        "volcenginesdkarkruntime: ContentGenerationTask",
    )(
        "video, done",
        {
            "id": "cgt-1",
            "model": "doubao-seedance-1-0-pro-250528",
            "status": "succeeded",
            "content": {"video_url": "https://a.b/c.mp4"},
            "usage": {"completion_tokens": 246_840, "total_tokens": 246_840},
        },
        (0, 246_840),
        method="GET",
        kind="retrieve",
        flavour="volcengine-videos",
    ),
    at(
        "https://ark.cn-beijing.volces.com/api/v3/contents/generations/tasks",
        "volcengine",
        "doubao-seedance-1-0-pro-250528",
        "volcenginesdkarkruntime: ContentGenerationTaskID",
    )(
        "video, asked for",
        {"id": "cgt-1"},
        None,
        request={"model": "doubao-seedance-1-0-pro-250528", "content": [{"type": "text", "text": "a cat"}]},
        flavour="volcengine-videos",
        status="no_usage",
        note="states no usage",
    ),
    at(
        "https://dashscope.aliyuncs.com/api/v1/apps/app-1/completion",
        "dashscope",
        "qwen-max",
        "dashscope SDK: ApplicationUsage",
    )(
        "an application of two models",
        {
            "output": {"finish_reason": "stop", "session_id": "s", "text": "Hi"},
            "usage": {
                "models": [
                    {"model_id": "qwen-max", "input_tokens": 100, "output_tokens": 10},
                    {"model_id": "qwen-plus", "input_tokens": 50, "output_tokens": 5},
                ]
            },
            "request_id": "r1",
        },
        (150, 15),
        request={"input": {"prompt": "hi"}, "parameters": {}, "debug": {}},
        model="unknown",
        flavour="dashscope-application",
        parts=(("model", "qwen-max", 100, 10), ("model", "qwen-plus", 50, 5)),
        cost="unpriced",
    ),
    at(
        "https://hunyuan.tencentcloudapi.com/",
        "hunyuan",
        "hunyuan-turbos-latest",
        "tencentcloud SDK: ChatCompletionsResponse, Usage",
    )(
        "its own API",
        {
            "Response": {
                "RequestId": "r1",
                "Id": "c1",
                "Created": 1_788_000_000,
                "Choices": [{"FinishReason": "stop", "Message": {"Role": "assistant", "Content": "Hi"}}],
                "Usage": {"PromptTokens": 100, "CompletionTokens": 10, "TotalTokens": 110},
            }
        },
        (100, 10),
        request={"Model": "hunyuan-turbos-latest", "Messages": []},
        flavour="hunyuan-chat",
        cost="unpriced",
    ),
    at(
        "https://hunyuan.tencentcloudapi.com/",
        "hunyuan",
        "hunyuan-turbos-latest",
        "tencentcloud SDK: ChatCompletionsResponse, Usage",
    )(
        "its own API, streamed",
        sse(
            {
                "Id": "c1",
                "Choices": [{"FinishReason": "", "Delta": {"Content": "H"}}],
                "Usage": {"PromptTokens": 100, "CompletionTokens": 1, "TotalTokens": 101},
            },
            {
                "Id": "c1",
                "Choices": [{"FinishReason": "stop", "Delta": {"Content": ""}}],
                "Usage": {"PromptTokens": 100, "CompletionTokens": 10, "TotalTokens": 110},
            },
        ),
        (100, 10),
        request={"Model": "hunyuan-turbos-latest", "Messages": [], "Stream": True},
        flavour="hunyuan-chat",
    ),
    at(
        "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions_pro",
        "qianfan",
        "unknown",
        "https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t",
    )(
        "the API before the second version",
        {"id": "as-1", "object": "chat.completion", "created": 1_788_000_000, "result": "Hi", "usage": PLAIN},
        (100, 10),
        request={"messages": []},
        cost="unpriced",
    ),
    at("https://api.jina.ai/v1/classify", "jina", "jina-embeddings-v3", "https://api.jina.ai/docs")(
        "classification",
        {
            "usage": {"total_tokens": 196},
            "data": [{"object": "classification", "index": 0, "prediction": "a", "score": 0.3}],
        },
        (196, 0),
        request={"model": "jina-embeddings-v3", "input": ["a"], "labels": ["b"]},
        flavour="vllm-pooling",
        cost="unpriced",
    ),
)

# --- Servers of one's own ---------------------------------------------------------------------------------------------


def own(url, model, source, **more):
    return api(
        **{
            "url": url,
            "source": source,
            "flavour": "openai-chat",
            "provider": None,
            "request": {"model": model, "messages": []},
            "model": model,
            **more,
        }
    )


LLAMA = "llama3.2"
ollama = own(
    "http://localhost:11434/api/chat", LLAMA, "ollama SDK: ChatResponse", provider="ollama", flavour="ollama-chat"
)
OLLAMA_END = {"model": LLAMA, "done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 29}
OWN_ROWS = (
    ollama(
        "tool calls",
        {**OLLAMA_END, "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}},
        (26, 29),
        cost="unpriced",
    ),
    ollama(
        "thoughts",
        {**OLLAMA_END, "message": {"role": "assistant", "content": "Hi", "thinking": "…"}},
        (26, 29),
    ),
    ollama(
        "a model that is only loaded",
        {"model": LLAMA, "message": {"role": "assistant", "content": ""}, "done_reason": "load", "done": True},
        None,
        status="no_usage",
        note="states no usage",
    ),
    ollama(
        "an error in a stream",
        ndjson(
            {"model": LLAMA, "message": {"role": "assistant", "content": "H"}, "done": False},
            {"error": "model runner has unexpectedly stopped"},
        ),
        None,
        status="aborted",
        note="unexpectedly stopped",
    ),
    own(
        "http://gpu:8000/v1/chat/completions",
        "Qwen/Qwen3-8B",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    )(
        "vLLM",
        completion(
            "Qwen/Qwen3-8B",
            {**PLAIN, "prompt_tokens_details": None},
            prompt_logprobs=None,
            kv_transfer_params=None,
            service_tier=None,
        ),
        (100, 10),
        cost="unpriced",
    ),
    own(
        "http://gpu:8000/v1/chat/completions",
        "Qwen/Qwen3-8B",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    )(
        "vLLM, usage in every chunk",
        sse(
            chunk("Qwen/Qwen3-8B", tokens(100, 1), [{"index": 0, "delta": {"content": "H"}, "finish_reason": None}]),
            chunk("Qwen/Qwen3-8B", tokens(100, 2), [{"index": 0, "delta": {"content": "i"}, "finish_reason": "stop"}]),
            chunk("Qwen/Qwen3-8B", tokens(100, 2)),
            done=True,
        ),
        (100, 2),
    ),
    own(
        "http://gpu:8080/v1/chat/completions",
        "gpt-oss-20b",
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    )(
        "llama.cpp and its timings",
        completion("gpt-oss-20b", PLAIN, timings={"prompt_n": 100, "predicted_n": 10, "cache_n": 0}),
        (100, 10),
        cost="unpriced",
    ),
    own(
        "http://gpu:3000/v1/chat/completions",
        "tgi",
        "https://huggingface.co/docs/text-generation-inference/reference/api_reference",
    )(
        "TGI",
        completion("meta-llama/Llama-3.1-8B-Instruct", PLAIN, system_fingerprint="3.3.4-sha"),
        (100, 10),
        model="meta-llama/Llama-3.1-8B-Instruct",
        cost="unpriced",
    ),
    own(
        "http://gpu:8000/v1/rerank",
        "BAAI/bge-reranker-v2-m3",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    )(
        "vLLM's ranking by Jina's path",
        {
            "id": "r1",
            "model": "BAAI/bge-reranker-v2-m3",
            "usage": {"total_tokens": 56},
            "results": [{"index": 0, "relevance_score": 0.9}],
        },
        (56, 0),
        request={"model": "BAAI/bge-reranker-v2-m3", "query": "q", "documents": ["a"]},
        flavour="rerank",
        cost="unpriced",
    ),
    own(
        "http://gpu:8000/v1/audio/transcriptions",
        "openai/whisper-large-v3",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    )(
        "vLLM's transcription",
        {"text": "Hi", "usage": {"type": "duration", "seconds": 12}},
        None,
        request={"model": "openai/whisper-large-v3"},
        flavour="openai-audio",
        billed=(0, 0, {}, {}),
        items={"audio_second": 12},
        status="no_usage",
        note="states no usage",
    ),
)

ROWS = (*GEMINI_ROWS, *BEDROCK_ROWS, *MISTRAL_ROWS, *COHERE_ROWS, *MANY_ROWS, *OWN_ROWS)
