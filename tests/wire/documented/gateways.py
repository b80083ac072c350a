"""APIs that a gateway has for itself, and paths that came later or went out of use."""

from bodies import sse

from documented.openai import completion, response, tokens
from documented.row import api

AI_SDK = "https://ai-sdk.dev/providers/ai-sdk-providers/ai-gateway; the ai SDK"
VERCEL = "https://ai-gateway.vercel.sh/v4/ai"
CLAUDE = "anthropic/claude-sonnet-4.5"

#: The model is in a header.
vercel = api(
    url=f"{VERCEL}/language-model",
    source=f"{AI_SDK}: LanguageModelV4Usage",
    flavour="vercel-ai",
    provider="vercel",
    request={"prompt": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    request_headers={"ai-language-model-id": CLAUDE, "ai-language-model-specification-version": "4"},
    model=CLAUDE,
)
vercel_piece = api(
    source=f"{AI_SDK}: GatewayImageModel, GatewayEmbeddingModel, GatewaySpeechModel",
    provider="vercel",
    request={"values": ["hi"]},
    request_headers={"ai-model-id": "openai/some-model"},
    model="openai/some-model",
)
NESTED = {
    "inputTokens": {"total": 120, "noCache": 20, "cacheRead": 90, "cacheWrite": 10},
    "outputTokens": {"total": 50, "text": 20, "reasoning": 30},
    "raw": {"input_tokens": 20, "output_tokens": 50},
}
VERCEL_ROWS = (
    vercel(
        "answer",
        {
            "content": [{"type": "text", "text": "Hi"}],
            "finishReason": {"unified": "stop", "raw": "end_turn"},
            "usage": NESTED,
            "providerMetadata": {"gateway": {"cost": "0.00123", "generationId": "gen_1"}},
            "response": {"id": "msg_1", "modelId": "claude-sonnet-4-5-20250929"},
        },
        (120, 50),
        sent={"cache_read": 90, "cache_creation": 10},
        received={"reasoning": 30},
        model="claude-sonnet-4-5-20250929",
        stated="0.00123",
        cost="stated",
    ),
    vercel(
        "answer in the form before",
        {
            "content": [{"type": "text", "text": "Hi"}],
            "finishReason": "stop",
            "usage": {
                "inputTokens": 120,
                "outputTokens": 50,
                "totalTokens": 170,
                "reasoningTokens": 30,
                "cachedInputTokens": 90,
            },
        },
        (120, 50),
        url="https://ai-gateway.vercel.sh/v1/ai/language-model",
        source=f"{AI_SDK}: LanguageModelV2Usage",
        sent={"cache_read": 90},
        received={"reasoning": 30},
    ),
    vercel(
        "stream",
        sse(
            {"type": "stream-start", "warnings": []},
            {"type": "response-metadata", "id": "msg_1", "modelId": "claude-sonnet-4-5-20250929"},
            {"type": "text-start", "id": "0"},
            {"type": "text-delta", "id": "0", "delta": "Hi"},
            {
                "type": "finish",
                "finishReason": {"unified": "stop", "raw": "end_turn"},
                "usage": NESTED,
                "providerMetadata": {"gateway": {"cost": "0.00123", "generationId": "gen_1"}},
            },
        ),
        (120, 50),
        sent={"cache_read": 90, "cache_creation": 10},
        received={"reasoning": 30},
        model="claude-sonnet-4-5-20250929",
        stated="0.00123",
        cost="stated",
    ),
    vercel(
        "stream that breaks off",
        sse({"type": "stream-start", "warnings": []}, {"type": "text-delta", "id": "0", "delta": "Hi"}),
        None,
        status="aborted",
        note="breaks off",
    ),
    vercel(
        "an output that nobody knows",
        {"content": [], "usage": {"inputTokens": {"total": 120}, "outputTokens": {}}},
        None,
        status="no_usage",
        note="usage.outputTokens holds an object",
    ),
    vercel_piece(
        "picture",
        {"images": ["aGk="], "usage": {"inputTokens": 12, "outputTokens": 1_000, "totalTokens": 1_012}},
        (12, 1_000),
        url=f"{VERCEL}/image-model",
        flavour="vercel-ai",
    ),
    vercel_piece(
        "speech",
        {"audio": "aGk="},
        None,
        url=f"{VERCEL}/speech-model",
        flavour="vercel-ai",
        status="no_usage",
        note="the response states no usage",
    ),
    vercel_piece(
        "embeddings",
        {"embeddings": [[0.1]], "usage": {"tokens": 7}},
        (7, 0),
        url=f"{VERCEL}/embedding-model",
        flavour="vercel-ai-embeddings",
    ),
)

PERPLEXITY = "https://api.perplexity.ai/v1"
AGENT = "https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility"
USED = {"input_tokens": 120, "output_tokens": 50, "total_tokens": 170}
perplexity = api(
    url=f"{PERPLEXITY}/agent",
    source=AGENT,
    flavour="openai-responses",
    provider="perplexity",
    request={"preset": "pro-search", "input": "hi"},
    model="openai/gpt-5.4",
)
PERPLEXITY_ROWS = (
    perplexity("agent", response("openai/gpt-5.4", USED), (120, 50)),
    perplexity(
        "agent that is asked for again",
        response("openai/gpt-5.4", USED),
        (120, 50),
        method="GET",
        kind="retrieve",
        url=f"{PERPLEXITY}/agent/resp_1",
    ),
    api(
        url=f"{PERPLEXITY}/sonar",
        source="https://docs.perplexity.ai/api-reference/sonar-post",
        flavour="openai-chat",
        provider="perplexity",
        model="sonar",
    )(
        "Sonar at its own path",
        completion("sonar", tokens(120, 50)),
        (120, 50),
        request={"model": "sonar", "messages": []},
    ),
)

PALM = "https://generativelanguage.googleapis.com/v1beta2/models"
palm = api(
    source="google-ai-generativelanguage SDK: GenerateTextResponse, GenerateMessageResponse",
    flavour="palm",
    provider="google_genai",
    status="no_usage",
    note="the response states no usage",
)
OLDER = (
    palm(
        "text of PaLM",
        {"candidates": [{"output": "Hi"}]},
        None,
        url=f"{PALM}/text-bison-001:generateText",
        request={"prompt": {"text": "hi"}},
        model="text-bison-001",
    ),
    palm(
        "message of PaLM",
        {"candidates": [{"author": "1", "content": "Hi"}], "messages": []},
        None,
        url=f"{PALM}/chat-bison-001:generateMessage",
        request={"prompt": {"messages": []}},
        model="chat-bison-001",
    ),
    palm(
        "answer from passages",
        {"answer": {"content": {"parts": [{"text": "Hi"}]}}, "answerableProbability": 0.9},
        None,
        url="https://generativelanguage.googleapis.com/v1beta/models/aqa:generateAnswer",
        source="https://ai.google.dev/api/question-answering",
        request={"contents": []},
        model="aqa",
    ),
    api(
        url="https://bedrock-runtime.us-east-1.amazonaws.com/async-invoke",
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_StartAsyncInvoke.html",
        flavour="bedrock-async-invoke",
        provider="amazon_bedrock",
        region="us-east-1",
        request={"modelId": "amazon.nova-reel-v1:1", "modelInput": {}},
        model="amazon.nova-reel-v1:1",
    )(
        "video that comes later",
        {"invocationArn": "arn:aws:bedrock:us-east-1:111111111111:async-invoke/abc"},
        None,
        status="no_usage",
        note="the response states no usage",
    ),
)

ROWS = (*VERCEL_ROWS, *PERPLEXITY_ROWS, *OLDER)
