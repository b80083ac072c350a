"""What a response reports beside its usage: tools that ran, the model behind a router, the id of its request."""

from bodies import aws_stream, sse

from documented.bedrock import answer
from documented.openai import chunk, completion, tokens
from documented.row import api

GROQ = "https://api.groq.com/openai/v1/chat/completions"
XAI = "https://api.x.ai/v1"
PLAIN = tokens(100, 10)
REQUEST_ID = "d8e7a1f0-1c2b-4a3d-9e4f-5a6b7c8d9e0f"
PROFILES = "arn:aws:bedrock:us-east-1:123456789012:inference-profile"
SONNET = f"{PROFILES}/us.anthropic.claude-3-5-sonnet-20240620-v1:0"
HAIKU = f"{PROFILES}/us.anthropic.claude-3-haiku-20240307-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
NOVA_TOOLS = [
    {"toolUseId": f"t-{number}", "name": name, "type": "server_tool_use"}
    for number, name in enumerate(("nova_grounding", "nova_code_interpreter", "nova_grounding"))
]
ROUTER = "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1"


def ran(*tools):
    return [{"index": index, "arguments": "{}", "output": "…", **tool} for index, tool in enumerate(tools)]


def told(tools, usage=None):
    return chunk("m", usage, choices=[{"index": 0, "delta": {"executed_tools": tools}, "finish_reason": None}])


def groq(model, source="https://console.groq.com/docs/tool-use/built-in-tools", **more):
    return api(url=GROQ, source=source, flavour="openai-chat", provider="groq", model=model, **more)


def analysed(name, usage, counts, cost="unpriced", **more):
    return api(
        url="https://r.services.ai.azure.com/contentunderstanding/analyzerResults/a-1",
        source="https://learn.microsoft.com/azure/ai-services/content-understanding/pricing-explainer",
        flavour="azure-content-understanding",
        provider="azure",
        model="unknown",
        kind="retrieve",
        method="GET",
    )(
        name,
        {"id": "a-1", "status": "Succeeded", "result": {"contents": []}, "usage": usage},
        counts,
        request=b"",
        cost=cost,
        **more,
    )


#: Hosts that speak like OpenAI: provider, URL, where it is documented.
HOSTS = (
    (
        "heroku",
        "https://us.inference.heroku.com/v1",
        "https://devcenter.heroku.com/articles/heroku-inference-api-v1-chat-completions",
    ),
    ("aihubmix", "https://aihubmix.com/v1", "https://docs.aihubmix.com/en"),
    ("aimlapi", "https://api.aimlapi.com/v1", "https://docs.aimlapi.com"),
    ("anyscale", "https://api.endpoints.anyscale.com/v1", "langchain-community: ChatAnyscale"),
    ("edenai", "https://api.edenai.run/v3/llm", "https://docs.edenai.co"),
    ("mimo", "https://api.xiaomimimo.com/v1", "https://platform.xiaomimimo.com/docs"),
    (
        "modelscope",
        "https://api-inference.modelscope.cn/v1",
        "https://modelscope.cn/docs/model-service/API-Inference/intro",
    ),
    ("cline", "https://api.cline.bot/api/v1", "https://docs.cline.bot/api/chat-completions"),
    ("lambda", "https://api.lambdalabs.com/v1", "https://docs.lambda.ai/public-cloud/lambda-inference-api"),
)


def hosted(provider, url, source):
    return api(url=f"{url}/chat/completions", source=source, flavour="openai-chat", provider=provider, model="m")(
        f"chat of {provider}", completion("m", PLAIN), (100, 10)
    )


BREAKDOWN = [
    {"model": "llama-3.3-70b-versatile", "usage": tokens(60, 4)},
    {"model": "openai/gpt-oss-120b", "usage": tokens(40, 6)},
]
SEARCH, VISIT, CODE = {"type": "search"}, {"type": "visit"}, {"type": "python"}

ROWS = (
    *(hosted(*each) for each in HOSTS),
    groq("groq/compound")(
        "a system that searched and read a page",
        completion(
            "groq/compound",
            PLAIN,
            choices=[{"index": 0, "message": {"content": "Hi", "executed_tools": ran(SEARCH, VISIT, SEARCH)}}],
            usage_breakdown={"models": BREAKDOWN},
        ),
        (100, 10),
        items={"web_search": 2, "web_fetch": 1},
        parts=(("model", "llama-3.3-70b-versatile", 60, 4), ("model", "openai/gpt-oss-120b", 40, 6)),
        cost="unpriced",
    ),
    # A tool is reported when it begins and when it ends.
    groq("m", source="the langchain-groq package's recordings")(
        "a stream of a system that searched twice",
        sse(
            told([{"index": 0, "type": "search", "arguments": "{}"}]),
            told([{"index": 0, "type": "search", "arguments": "{}", "output": "…"}]),
            told([{"index": 1, "type": "search", "arguments": "{}"}]),
            told([{"index": 1, "type": "search", "arguments": "{}", "output": "…"}]),
            chunk("m", PLAIN, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
            done=True,
        ),
        (100, 10),
        items={"web_search": 2},
    ),
    groq("openai/gpt-oss-120b", source="https://console.groq.com/docs/browser-search")(
        "a model that browsed",
        completion(
            "openai/gpt-oss-120b",
            PLAIN,
            choices=[
                {
                    "index": 0,
                    "message": {
                        "content": "Hi",
                        "executed_tools": ran(
                            {"type": "browser_search", "name": "browser.search"},
                            {"type": "browser_search", "name": "browser.open"},
                            {"type": "browser_search", "name": "browser.find"},
                        ),
                    },
                }
            ],
        ),
        (100, 10),
        items={"web_search": 1, "web_fetch": 1},
        cost="unpriced",
    ),
    groq("openai/gpt-oss-120b", source="https://console.groq.com/docs/code-execution")(
        "a model that ran code",
        completion(
            "openai/gpt-oss-120b",
            PLAIN,
            choices=[
                {"index": 0, "message": {"executed_tools": ran({"type": "function", "name": "python"}, CODE)}},
            ],
        ),
        (100, 10),
        items={"code_execution": 2},
        cost="100*0.15 + 10*0.6",
    ),
    api(
        url=f"{XAI}/chat/deferred-completion/{REQUEST_ID}",
        source="https://docs.x.ai/docs/guides/deferred-chat-completions",
        flavour="xai-deferred",
        provider="xai",
        model="grok-4-0709",
        kind="retrieve",
        method="GET",
    )(
        "fetched by the id of its request",
        completion("grok-4-0709", {**tokens(100, 10, None, {"reasoning_tokens": 200}), "total_tokens": 310}),
        (100, 210),
        received={"reasoning": 200},
        cost="100*3 + 210*15",
    ),
    api(
        url=f"{XAI}/videos/generations",
        source="https://docs.x.ai/docs/guides/video-generations",
        flavour="openai-videos",
        provider="xai",
    )(
        "a video that is asked for",
        {"request_id": REQUEST_ID},
        None,
        request={"model": "grok-imagine-video", "prompt": "a cat"},
        model="grok-imagine-video",
        status="no_usage",
        note="states no usage",
    ),
    api(
        url=f"{XAI}/videos/{REQUEST_ID}",
        source="https://docs.x.ai/docs/guides/video-generations",
        flavour="openai-videos",
        provider="xai",
        method="GET",
        kind="retrieve",
        model="grok-imagine-video",
    )(
        "a video that is done",
        {
            "status": "done",
            "video": {"url": "https://vidgen.x.ai/v.mp4", "duration": 6, "respect_moderation": True},
            "model": "grok-imagine-video",
            "usage": {"cost_in_usd_ticks": 3_000_000_000},
        },
        (0, 0),
        items={"video_second": 6},
        stated="0.3",
        cost="stated",
    ),
    api(
        url=f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{ROUTER.replace('/', '%2F')}/converse",
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PromptRouterTrace.html",
        flavour="bedrock-converse",
        provider="amazon_bedrock",
        region="us-east-1",
    )(
        "the model behind a router",
        answer(100, 10, trace={"promptRouter": {"invokedModelId": SONNET}}),
        (100, 10),
        model=SONNET,
        cost="100*3 + 10*15",
    ),
    api(
        url=f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{ROUTER.replace('/', '%2F')}/converse-stream",
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamTrace.html",
        flavour="bedrock-converse",
        provider="amazon_bedrock",
        region="us-east-1",
    )(
        "a stream of the model behind a router",
        aws_stream(
            ("messageStop", {"stopReason": "end_turn"}),
            (
                "metadata",
                {
                    "usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110},
                    "trace": {"promptRouter": {"invokedModelId": HAIKU}},
                },
            ),
        ),
        (100, 10),
        model=HAIKU,
        cost="100*0.25 + 10*1.25",
    ),
    api(
        url="https://api.minimax.chat/v1/embeddings?GroupId=1",
        source="https://platform.minimaxi.com/document/Embeddings",
        flavour="openai-embeddings",
        provider="minimax",
    )(
        "embeddings whose tokens stand beside the vectors",
        {"vectors": [[0.1, 0.2]], "total_tokens": 15, "base_resp": {"status_code": 0, "status_msg": ""}},
        (15, 0),
        request={"model": "embo-01", "type": "db", "texts": ["hi"]},
        model="embo-01",
    ),
    api(
        url="https://openrouter.ai/api/v1/videos/job-abc123",
        source="openrouter SDK: VideoGenerationResponse",
        flavour="openrouter-videos",
        provider="openrouter",
        method="GET",
        kind="retrieve",
        model="unknown",
    )(
        "a job that is done",
        {
            "id": "job-abc123",
            "polling_url": "/api/v1/videos/job-abc123",
            "status": "completed",
            "unsigned_urls": ["https://a.b/c.mp4"],
            "usage": {"cost": 0.5, "is_byok": False},
        },
        (0, 0),
        stated="0.5",
        cost="stated",
    ),
    api(
        url="https://api.cohere.com/v2/parse",
        source="cohere SDK: ParseResponse",
        flavour="cohere-parse",
        provider="cohere",
    )(
        "pages",
        {"id": "p-1", "pages": [{}], "meta": {"api_version": {"version": "2"}, "billed_units": {"pages": 3}}},
        None,
        request={"model": "parse-1", "document": {"type": "image_url"}},
        model="parse-1",
        billed=(0, 0, {}, {}),
        items={"page": 3},
        status="no_usage",
        note="states no usage",
    ),
    api(
        url="https://api.z.ai/api/paas/v4/layout_parsing",
        source="zai SDK: LayoutParsingResp",
        flavour="zai-layout-parsing",
        provider="zai",
        model="glm-ocr",
    )(
        "a document",
        {"id": "t-1", "model": "glm-ocr", "md_results": "# Hi", "layout_details": [], "usage": PLAIN},
        (100, 10),
        request={"model": "glm-ocr", "file": "https://a.b/c.pdf"},
    ),
    api(
        url="https://api.z.ai/api/v1/agents",
        source="zai SDK: AgentsCompletionChunk",
        flavour="zai-agents",
        provider="zai",
        model="unknown",
    )(
        "a stream of an agent",
        sse(
            {"agent_id": "a-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]},
            {
                "agent_id": "a-1",
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                "usage": PLAIN,
            },
            done=True,
        ),
        (100, 10),
        request={"agent_id": "a-1", "messages": [], "stream": True},
    ),
    api(
        url="https://open.bigmodel.cn/api/paas/v4/assistant",
        source="zai SDK: AssistantCompletion",
        flavour="zai-assistants",
        provider="zhipuai",
        model="unknown",
    )(
        "a stream of an assistant",
        sse(
            {"id": "c-1", "assistant_id": "a-1", "status": "in_progress", "choices": [{"index": 0, "delta": {}}]},
            {
                "id": "c-1",
                "assistant_id": "a-1",
                "status": "completed",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": PLAIN,
            },
        ),
        (100, 10),
        request={"assistant_id": "a-1", "messages": [], "stream": True},
    ),
    api(
        url=f"{XAI}/batches/batch_1/results?limit=100",
        source="https://docs.x.ai/docs/guides/batch-api",
        flavour="xai-batch-results",
        provider="xai",
        method="GET",
        kind="batch-results",
        model="grok-4-0709",
        tier="batch",
    )(
        "a page of a batch",
        {
            "results": [
                {
                    "batch_request_id": "r-1",
                    "batch_result": {"response": {"chat_get_completion": completion("grok-4-0709", PLAIN)}},
                }
            ],
            "pagination_token": None,
        },
        (100, 10),
        parts=(("request", "grok-4-0709", 100, 10),),
    ),
    api(
        url="https://openrouter.ai/api/v1/batches/batch_1",
        source="openrouter SDK: BatchObject",
        flavour="openrouter-batch-results",
        provider="openrouter",
        method="GET",
        kind="batch-results",
        model="openai/gpt-4o-mini",
        tier="batch",
    )(
        "a batch with its results in it",
        {
            "id": "batch_1",
            "status": "completed",
            "results": [
                {
                    "custom_id": "r-1",
                    "response": {"status_code": 200, "body": completion("openai/gpt-4o-mini", {**PLAIN, "cost": 0.25})},
                }
            ],
        },
        (100, 10),
        parts=(("request", "openai/gpt-4o-mini", 100, 10),),
        stated="0.25",
        cost="stated",
    ),
    api(
        url="https://dashscope.aliyuncs.com/api/v1/services/aigc/multimodal-generation/generation",
        source="https://help.aliyun.com/zh/model-studio/qwen-image-api",
        flavour="dashscope",
        provider="dashscope",
    )(
        "a picture with its size",
        {
            "request_id": "r-1",
            "output": {"choices": [{"message": {"content": [{"image": "https://a.b/c.png"}]}}]},
            "usage": {"output_width": 1024, "output_height": 1024, "output_image_count": 2},
        },
        (0, 0),
        request={"model": "qwen-image-2.0-pro", "input": {"messages": []}},
        model="qwen-image-2.0-pro",
        items={"image": 2},
        cost="unpriced",
    ),
    api(
        url="https://res.services.ai.azure.com/mai/v1/images/generations",
        source="https://learn.microsoft.com/azure/foundry/foundry-models/how-to/use-foundry-models-mai; litellm: `mai_transformation.py`",
        flavour="openai-images",
        provider="azure",
        model="MAI-Image-2.5",
    )(
        "a picture of Microsoft's own model",
        {
            "created": 1_780_000_000,
            "data": [{"b64_json": "…"}],
            "usage": {"num_input_text_tokens": 20, "num_input_image_tokens": 80, "num_output_tokens": 1000},
        },
        (100, 1000),
        request={"model": "MAI-Image-2.5", "prompt": "a cat"},
        billed=(100, 1000, {"image": 80}, {"image": 1000}),
        cost="unpriced",
    ),
    api(
        url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
        source="https://help.aliyun.com/zh/model-studio/context-cache",
        flavour="openai-chat",
        provider="dashscope",
        region="intl",
        model="qwen3-coder-plus",
    )(
        "a cache that is asked for",
        completion(
            "qwen3-coder-plus",
            tokens(
                1500,
                10,
                {
                    "cached_tokens": 200,
                    "cache_creation_input_tokens": 1000,
                    "cache_creation": {"ephemeral_5m_input_tokens": 1000},
                    "cache_type": "ephemeral",
                },
            ),
        ),
        (1500, 10),
        sent={"cache_read": 200, "cache_creation": 1000, "ephemeral_5m_input_tokens": 1000},
    ),
    api(
        url="https://proxy.example/v1/chat/completions",
        source="litellm: `PromptTokensDetailsWrapper`",
        flavour="openai-chat",
        provider=None,
        model="claude-sonnet-4-5-20250929",
    )(
        "how long what is written to a cache is kept",
        completion(
            "claude-sonnet-4-5-20250929",
            {
                **tokens(
                    1500,
                    10,
                    {
                        "cached_tokens": 200,
                        "cache_creation_tokens": 1000,
                        "cache_creation_token_details": {
                            "ephemeral_5m_input_tokens": 400,
                            "ephemeral_1h_input_tokens": 600,
                        },
                    },
                ),
                "cache_creation_input_tokens": 1000,
                "cache_read_input_tokens": 200,
            },
        ),
        (1500, 10),
        sent={
            "cache_read": 200,
            "cache_creation": 1000,
            "ephemeral_5m_input_tokens": 400,
            "ephemeral_1h_input_tokens": 600,
        },
        cost="300*3 + 200*0.3 + 400*3.75 + 600*6 + 10*15",
    ),
    # Its own estimate of the cost is not a bill: the seller's price applies.
    api(
        url="https://gateway-us.pydantic.dev/proxy/groq/openai/v1/chat/completions",
        source="https://pydantic.dev/docs/ai/overview/gateway/",
        flavour="openai-chat",
        provider="pydantic",
        model="llama-3.3-70b-versatile",
        seller="groq",
    )(
        "behind Pydantic's gateway",
        completion("llama-3.3-70b-versatile", {**PLAIN, "pydantic_ai_gateway": {"cost_estimate": 0.25}}),
        (100, 10),
        cost="100*0.59 + 10*0.79",
    ),
    api(
        url="https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash-preview:generateContent",
        source="https://ai.google.dev/gemini-api/docs/google-search#pricing",
        flavour="gemini-generateContent",
        provider="google_genai",
        model="gemini-3-flash-preview",
    )(
        "queries without words, which are not billed",
        {
            "candidates": [
                {
                    "finishReason": "STOP",
                    "groundingMetadata": {
                        "webSearchQueries": ["", "weather in Mexico City", "", "weather in Mexico City"]
                    },
                }
            ],
            "modelVersion": "gemini-3-flash-preview",
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110},
        },
        (100, 10),
        items={"web_search": 1},
        cost="100*0.5 + 10*3 + 14000",
    ),
    *(
        api(
            url=f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{NOVA}/{path}",
            source="https://docs.aws.amazon.com/nova/latest/nova2-userguide/web-grounding.html",
            flavour="bedrock-converse",
            provider="amazon_bedrock",
            region="us-east-1",
            model=NOVA,
        )(f"searches of Nova, {path}", body, (100, 10), items={"web_search": 2}, cost="unpriced")
        for path, body in (
            (
                "converse",
                answer(
                    100,
                    10,
                    output={"message": {"role": "assistant", "content": [{"toolUse": use} for use in NOVA_TOOLS]}},
                ),
            ),
            (
                "converse-stream",
                aws_stream(
                    *(("contentBlockStart", {"start": {"toolUse": use}}) for use in NOVA_TOOLS),
                    ("messageStop", {"stopReason": "end_turn"}),
                    ("metadata", {"usage": {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110}}),
                ),
            ),
        )
    ),
    api(
        url="https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        source="https://help.aliyun.com/zh/model-studio/web-search",
        flavour="dashscope",
        provider="dashscope",
        model="qwen-plus",
    )(
        "searches of Qwen",
        {
            "request_id": "r-1",
            "output": {"choices": [], "search_info": {"search_results": []}},
            "usage": {
                "input_tokens": 100,
                "output_tokens": 10,
                "total_tokens": 110,
                "plugins": {"search": {"count": 2, "strategy": "turbo"}},
            },
        },
        (100, 10),
        request={"model": "qwen-plus", "input": {"messages": []}},
        items={"web_search": 2},
    ),
    api(
        url="https://dashscope.aliyuncs.com/compatible-mode/v1/responses",
        source="https://help.aliyun.com/zh/model-studio/qwen-api-via-openai-responses",
        flavour="openai-responses",
        provider="dashscope",
        model="qwen3-max",
    )(
        "searches of Qwen in a response",
        {
            "id": "resp_1",
            "object": "response",
            "model": "qwen3-max",
            "output": [{"type": "web_search_call", "status": "completed", "action": {"type": "search"}}],
            "usage": {
                "input_tokens": 100,
                "output_tokens": 10,
                "total_tokens": 110,
                "x_tools": {"web_search": {"count": 3}, "web_extractor": {"count": 1}},
            },
        },
        (100, 10),
        request={"model": "qwen3-max", "input": "hi"},
        items={"web_search": 3},
    ),
    *(
        analysed(name, {"documentPagesStandard": 1, "contextualizationTokens": 1000, "tokens": counts}, *usage, **more)
        for name, counts, usage, more in (
            (
                "a field is extracted, with examples",
                {"gpt-4.1-input": 100, "gpt-4.1-output": 10, "text-embedding-3-large": 20},
                ((120, 10),),
                {},
            ),
            (
                "two models, one of them from the cache",
                {"gpt-4.1-input": 100, "gpt-4.1-cached_input": 50, "gpt-4.1-output": 10, "gpt-4.1-mini-input": 3},
                ((153, 10),),
                {"sent": {"cache_read": 50}},
            ),
            ("a model of an unknown kind", {"gpt-9-input": 100, "gpt-9-output": 10, "x-9": 7}, ((100, 10, 117),), {}),
            (
                "a count that is null",
                {"gpt-4.1-input": None, "gpt-4.1-output": 10},
                (None,),
                {"status": "no_usage", "note": "tokens.* holds null"},
            ),
        )
    ),
    analysed(
        "pages that no model read",
        {"documentPagesBasic": 2},
        None,
        status="no_usage",
        note="states no usage",
        cost=None,
    ),
)
