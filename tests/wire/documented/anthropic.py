"""Anthropic's messages, wherever they are served: its own hosts, Vertex, Bedrock, gateways; batches and agents."""

from bodies import ndjson, sse

from documented.row import api

MESSAGES = "https://platform.claude.com/docs/en/api/messages"
URL = "https://api.anthropic.com/v1/messages"
VERTEX = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude"
OPUS, SONNET, HAIKU = "claude-opus-4-8", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"


def message(model, usage, stop_reason="end_turn", **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **more,
    }


def used(sent, received, **more):
    return {"input_tokens": sent, "output_tokens": received, **more}


def streamed(model, first, last, stop_reason="end_turn", **delta):
    return sse(
        ("message_start", {"type": "message_start", "message": message(model, first, None)}),
        ("ping", {"type": "ping"}),
        (
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        ),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": stop_reason, **delta}, "usage": last}),
        ("message_stop", {"type": "message_stop"}),
    )


def cached(read, written, **lifetimes):
    more = {"cache_creation": lifetimes} if lifetimes else {}
    return {"cache_read_input_tokens": read, "cache_creation_input_tokens": written, **more}


messages = api(url=URL, source=MESSAGES, flavour="anthropic-messages", provider="anthropic")
CACHING = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
GEO = "https://platform.claude.com/docs/en/manage-claude/data-residency"
FAST = "https://platform.claude.com/docs/en/build-with-claude/fast-mode"

ROWS = (
    messages("plain", message(SONNET, used(10, 25)), (10, 25), model=SONNET, cost="10*3 + 25*15"),
    messages(
        "everything null that may be",
        message(
            SONNET,
            used(
                10,
                25,
                cache_creation=None,
                cache_creation_input_tokens=None,
                cache_read_input_tokens=None,
                server_tool_use=None,
                service_tier=None,
                inference_geo=None,
                speed=None,
            ),
        ),
        (10, 25),
        model=SONNET,
        cost="10*3 + 25*15",
        source="anthropic SDK: Usage",
    ),
    messages(
        "cache written for five minutes",
        message(
            SONNET, used(21, 393, **cached(0, 188_086, ephemeral_5m_input_tokens=188_086, ephemeral_1h_input_tokens=0))
        ),
        (188_107, 393),
        model=SONNET,
        sent={
            "cache_read": 0,
            "cache_creation": 188_086,
            "ephemeral_5m_input_tokens": 188_086,
            "ephemeral_1h_input_tokens": 0,
        },
        cost="21*3 + 188086*3.75 + 393*15",
        source=CACHING,
    ),
    messages(
        "cache read",
        message(SONNET, used(21, 393, **cached(188_086, 0))),
        (188_107, 393),
        model=SONNET,
        sent={"cache_read": 188_086, "cache_creation": 0},
        cost="21*3 + 188086*0.3 + 393*15",
        source=CACHING,
    ),
    messages(
        "cache of both lifetimes",
        message(
            SONNET, used(2048, 503, **cached(1800, 248, ephemeral_5m_input_tokens=148, ephemeral_1h_input_tokens=100))
        ),
        (4096, 503),
        model=SONNET,
        sent={
            "cache_read": 1800,
            "cache_creation": 248,
            "ephemeral_5m_input_tokens": 148,
            "ephemeral_1h_input_tokens": 100,
        },
        cost="2048*3 + 1800*0.3 + 148*3.75 + 100*6 + 503*15",
        source=CACHING,
    ),
    messages(
        "thinking",
        message(OPUS, used(10, 300, output_tokens_details={"thinking_tokens": 250})),
        (10, 300),
        model=OPUS,
        received={"reasoning": 250},
        cost="10*5 + 300*25",
        source="anthropic SDK: OutputTokensDetails",
    ),
    messages(
        "long context",
        message(SONNET, used(250_000, 100)),
        (250_000, 100),
        model=SONNET,
        cost="250000*6 + 100*22.5",
        source="https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    messages(
        "stream", streamed(SONNET, used(25, 1), {"output_tokens": 15}), (25, 15), model=SONNET, cost="25*3 + 15*15"
    ),
    messages(
        "stream with input that server tools add",
        streamed(
            SONNET,
            used(2679, 3, **cached(0, 0)),
            used(10_682, 510, **cached(0, 0), server_tool_use={"web_search_requests": 1}),
        ),
        (10_682, 510),
        model=SONNET,
        sent={"cache_read": 0, "cache_creation": 0},
        items={"web_search": 1},
        cost="10682*3 + 510*15 + 10000",
        source="https://platform.claude.com/docs/en/build-with-claude/streaming",
    ),
    messages(
        "searches",
        message(
            SONNET,
            used(105, 6039, **cached(7123, 7345), server_tool_use={"web_search_requests": 3, "web_fetch_requests": 2}),
        ),
        (14_573, 6039),
        model=SONNET,
        sent={"cache_read": 7123, "cache_creation": 7345},
        items={"web_search": 3},
        cost="105*3 + 7123*0.3 + 7345*3.75 + 6039*15 + 3*10000",
        source="https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool#usage-and-pricing",
    ),
    messages(
        "code execution",
        message(SONNET, used(10, 25), container={"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}),
        (10, 25),
        model=SONNET,
        items={"code_execution": 1},
        source="https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing",
    ),
    messages(
        "standard tier",
        message(SONNET, used(10, 25, service_tier="standard")),
        (10, 25),
        model=SONNET,
        tier="standard",
        cost="10*3 + 25*15",
    ),
    messages(
        "priority tier",
        message(SONNET, used(10, 25, service_tier="priority")),
        (10, 25),
        model=SONNET,
        tier="priority",
        cost="unpriced",
    ),
    messages(
        "batch tier",
        message(SONNET, used(10, 25, service_tier="batch")),
        (10, 25),
        model=SONNET,
        tier="batch",
        cost="10*1.5 + 25*7.5",
    ),
    messages(
        "in the US",
        message(OPUS, used(10, 25, inference_geo="us")),
        (10, 25),
        model=OPUS,
        region="us",
        cost="10*5.5 + 25*27.5",
        source=GEO,
    ),
    messages(
        "anywhere",
        message(OPUS, used(10, 25, inference_geo="global")),
        (10, 25),
        model=OPUS,
        region="global",
        cost="10*5 + 25*25",
        source=GEO,
    ),
    messages(
        "older models name no place",
        message(SONNET, used(10, 25, inference_geo="not_available")),
        (10, 25),
        model=SONNET,
        cost="10*3 + 25*15",
        source=GEO,
    ),
    messages(
        "in the US, streamed",
        streamed(OPUS, used(10, 1, inference_geo="us"), {"output_tokens": 25}),
        (10, 25),
        model=OPUS,
        region="us",
        cost="10*5.5 + 25*27.5",
        source=GEO,
    ),
    messages(
        "fast",
        message(OPUS, used(10, 25, speed="fast")),
        (10, 25),
        model=OPUS,
        modifiers={"speed": "fast"},
        cost="10*10 + 25*50",
        source=FAST,
    ),
    messages(
        "fast, the older model",
        message("claude-opus-4-6", used(10, 25, speed="fast")),
        (10, 25),
        model="claude-opus-4-6",
        modifiers={"speed": "fast"},
        cost="10*30 + 25*150",
        source=FAST,
    ),
    messages(
        "fast, streamed",
        streamed(OPUS, used(10, 1, speed="fast"), {"output_tokens": 25}),
        (10, 25),
        model=OPUS,
        modifiers={"speed": "fast"},
        cost="10*10 + 25*50",
        source=FAST,
    ),
    messages(
        "not fast",
        message(OPUS, used(10, 25, speed="standard")),
        (10, 25),
        model=OPUS,
        cost="10*5 + 25*25",
        source=FAST,
    ),
    messages(
        "refused before any output",
        message(
            OPUS, used(500, 0), "refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "no"}
        ),
        (500, 0),
        model=OPUS,
        modifiers={"stop_reason": "refusal"},
        source="https://platform.claude.com/docs/en/release-notes/overview",
    ),
    messages(
        "refused in the middle, streamed",
        streamed(OPUS, used(500, 1), {"output_tokens": 40}, "refusal"),
        (500, 40),
        model=OPUS,
        modifiers={"stop_reason": "refusal"},
        source="https://platform.claude.com/docs/en/test-and-evaluate/strengthen-guardrails/handle-streaming-refusals",
    ),
    messages(
        "compaction",
        message(
            OPUS,
            used(
                45,
                201,
                iterations=[
                    {"type": "compaction", "input_tokens": 83_000, "output_tokens": 709, **cached(0, 0)},
                    {"type": "message", "input_tokens": 45, "output_tokens": 201, **cached(0, 0)},
                ],
            ),
        ),
        (45, 201),
        model=OPUS,
        parts=(("compaction", OPUS, 83_000, 709),),
        cost="45*5 + 201*25 + 83000*5 + 709*25",
        source="https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage",
    ),
    messages(
        "an advisor of another model",
        message(
            SONNET,
            used(
                100,
                20,
                iterations=[
                    {"type": "message", "input_tokens": 100, "output_tokens": 20},
                    {"type": "advisor_message", "model": OPUS, "input_tokens": 900, "output_tokens": 80},
                ],
            ),
        ),
        (100, 20),
        model=SONNET,
        parts=(("advisor_message", OPUS, 900, 80),),
        cost="100*3 + 20*15 + 900*5 + 80*25",
        source="anthropic SDK: BetaAdvisorMessageIterationUsage",
    ),
    messages(
        "a fallback that served the answer",
        message(
            OPUS,
            used(
                100,
                20,
                iterations=[{"type": "fallback_message", "model": OPUS, "input_tokens": 100, "output_tokens": 20}],
            ),
        ),
        (100, 20),
        model=OPUS,
        cost="100*5 + 20*25",
        source="anthropic SDK: BetaFallbackMessageIterationUsage",
    ),
    messages("paused turn", message(SONNET, used(10, 25), "pause_turn"), (10, 25), model=SONNET, cost="10*3 + 25*15"),
    messages(
        "stream that breaks off",
        streamed(SONNET, used(25, 1), {"output_tokens": 15}).split(b"event: message_delta")[0],
        (25, 1),
        model=SONNET,
        status="aborted",
        note="the stream breaks off before its end",
    ),
    messages(
        "stream that ends in an error",
        streamed(SONNET, used(25, 1), {"output_tokens": 15}).split(b"event: message_delta")[0]
        + sse(("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})),
        (25, 1),
        model=SONNET,
        status="aborted",
        note="the provider answered with an error: Overloaded",
        source="https://platform.claude.com/docs/en/build-with-claude/streaming#error-events",
    ),
    api(
        url=f"{URL}/batches/msgbatch_1/results",
        source="https://platform.claude.com/docs/en/build-with-claude/batch-processing",
        flavour="anthropic-batch-results",
        provider="anthropic",
    )(
        "batch",
        ndjson(
            {"custom_id": "1", "result": {"type": "succeeded", "message": message(HAIKU, used(11, 36))}},
            {
                "custom_id": "2",
                "result": {
                    "type": "succeeded",
                    "message": message(SONNET, used(10, 5, server_tool_use={"web_search_requests": 1})),
                },
            },
            {"custom_id": "3", "result": {"type": "errored", "error": {"type": "error"}}},
            {"custom_id": "4", "result": {"type": "canceled"}},
        ),
        (21, 41),
        method="GET",
        kind="batch-results",
        model=HAIKU,
        tier="batch",
        parts=(("request", HAIKU, 11, 36), ("request", SONNET, 10, 5)),
    ),
    api(
        url="https://api.anthropic.com/v1/sessions/sesn_1/events/stream?beta=true",
        source="anthropic SDK: BetaManagedAgentsSpanModelRequestEndEvent",
        flavour="anthropic-managed-agents",
        provider="anthropic",
    )(
        "two requests of an agent",
        sse(
            {"id": "e1", "type": "span.model_request_start"},
            {
                "id": "e2",
                "type": "span.model_request_end",
                "model_usage": used(100, 20, **cached(50, 10)),
                "model_request_start_id": "e1",
            },
            {
                "id": "e3",
                "type": "span.model_request_end",
                "model_usage": used(200, 30, **cached(0, 0), speed="fast"),
                "model_request_start_id": "e0",
            },
            {"id": "e4", "type": "session.status_idle"},
        ),
        (360, 50),
        method="GET",
        model="unknown",
        sent={"cache_read": 50, "cache_creation": 10},
        modifiers={"speed": "fast"},
    ),
    api(
        url="https://api.anthropic.com/v1/complete",
        source="https://platform.claude.com/docs/en/api/complete",
        flavour="anthropic-complete",
        provider="anthropic",
    )(
        "text completion",
        {
            "type": "completion",
            "id": "compl_1",
            "completion": " Hi",
            "stop_reason": "stop_sequence",
            "model": "claude-2.1",
        },
        None,
        model="claude-2.1",
        status="no_usage",
        note="the response states no usage",
    ),
    # --- Vertex
    *(
        api(url=url, source=VERTEX, flavour="anthropic-messages", provider="google_vertexai")(
            name,
            message(model, used(10, 25)),
            (10, 25),
            request={"anthropic_version": "vertex-2023-10-16", "messages": []},
            model=model,
            region=region,
            **more,
        )
        for name, url, model, region, more in (
            (
                "Vertex, global",
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
                SONNET,
                "global",
                {"cost": "10*3 + 25*15"},
            ),
            (
                "Vertex, a region",
                "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
                SONNET,
                "us-east5",
                {"cost": "10*3.3 + 25*16.5"},
            ),
            (
                "Vertex, several regions",
                "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/anthropic/models/claude-opus-4-8:rawPredict",
                OPUS,
                "eu",
                {"cost": "10*5.5 + 25*27.5"},
            ),
        )
    ),
    api(
        url="https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict",
        source=VERTEX,
        flavour="anthropic-messages",
        provider="google_vertexai",
    )(
        "Vertex, streamed",
        streamed(HAIKU, used(10, 1), {"output_tokens": 25}),
        (10, 25),
        request={"anthropic_version": "vertex-2023-10-16", "messages": [], "stream": True},
        model=HAIKU,
        region="us-east5",
    ),
    # --- others who serve the same API
    *(
        api(url=url, source=source, flavour="anthropic-messages", provider=provider)(
            f"messages of {provider}", message(model, used(10, 25)), (10, 25), model=model, **more
        )
        for provider, url, model, source, more in (
            (
                "deepseek",
                "https://api.deepseek.com/anthropic/v1/messages",
                "deepseek-chat",
                "https://api-docs.deepseek.com/guides/anthropic_api",
                {},
            ),
            (
                "moonshotai",
                "https://api.moonshot.ai/anthropic/v1/messages",
                "kimi-k2-thinking",
                "https://platform.moonshot.ai/docs",
                {},
            ),
            (
                "zai",
                "https://api.z.ai/api/anthropic/v1/messages",
                "glm-4.6",
                "https://docs.z.ai/devpack/tool/claude",
                {},
            ),
            (
                "minimax",
                "https://api.minimax.io/anthropic/v1/messages",
                "MiniMax-M2",
                "https://platform.minimax.io/docs/api-reference/text-anthropic-api",
                {},
            ),
            (
                "openrouter",
                "https://openrouter.ai/api/v1/messages",
                "anthropic/claude-sonnet-4.5",
                "https://openrouter.ai/docs/api-reference/overview",
                {},
            ),
            (
                "vercel",
                "https://ai-gateway.vercel.sh/v1/messages",
                "anthropic/claude-sonnet-4.5",
                "https://vercel.com/docs/ai-gateway/anthropic-compat",
                {},
            ),
            (
                "cloudflare",
                "https://gateway.ai.cloudflare.com/v1/account/gateway/anthropic/v1/messages",
                SONNET,
                "https://developers.cloudflare.com/ai-gateway/usage/providers/anthropic/",
                {"seller": "anthropic", "cost": "10*3 + 25*15"},
            ),
            (
                "anthropic",
                "https://anthropic.helicone.ai/v1/messages",
                SONNET,
                "https://docs.helicone.ai/integrations/anthropic/python",
                {},
            ),
            (
                "snowflake",
                "https://acct.snowflakecomputing.com/api/v2/cortex/v1/messages",
                "claude-sonnet-4-5",
                "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
                {},
            ),
            (
                "databricks",
                "https://ws.cloud.databricks.com/serving-endpoints/anthropic/v1/messages",
                "databricks-claude-sonnet-4-5",
                "https://docs.databricks.com/aws/en/machine-learning/model-serving/query-anthropic",
                {},
            ),
            (
                "ollama",
                "http://localhost:11434/v1/messages",
                "qwen3-coder",
                "https://docs.ollama.com/api/anthropic-compatibility",
                {},
            ),
            (
                "portkey",
                "https://api.portkey.ai/v1/messages",
                SONNET,
                "https://portkey.ai/docs/api-reference/inference-api/messages",
                {"request_headers": {"x-portkey-provider": "anthropic"}, "seller": "anthropic", "cost": "10*3 + 25*15"},
            ),
            (None, "http://127.0.0.1:4000/v1/messages", SONNET, "https://docs.litellm.ai/docs/anthropic_unified", {}),
        )
    ),
)
