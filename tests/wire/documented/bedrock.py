"""Amazon Bedrock: Converse, every maker's own API, the OpenAI-compatible hosts, and regions; SageMaker."""

from bodies import aws_stream

from documented.row import api

CONVERSE = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
MODELS = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"


def answer(sent, received, *, cache=None, **more):
    usage = {"inputTokens": sent, "outputTokens": received, "totalTokens": sent + received, **(cache or {})}
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 100},
        **more,
    }


def converse(model, region="us-east-1", **more):
    common = {"url": f"https://bedrock-runtime.{region}.amazonaws.com/model/{model}/converse", "source": CONVERSE}
    common |= {"flavour": "bedrock-converse", "provider": "amazon_bedrock", "model": model, "region": region}
    return api(**{**common, "request": {"messages": []}, **more})


def invoke(model, *, stream=False, **more):
    verb = "invoke-with-response-stream" if stream else "invoke"
    common = {
        "url": f"{HOST}/{model}/{verb}",
        "source": MODELS,
        "flavour": "bedrock-invoke",
        "provider": "amazon_bedrock",
    }
    return api(**{**common, "model": model, "region": "us-east-1", "request": {"prompt": "hi"}, **more})


METRICS = {"inputTokenCount": 12, "outputTokenCount": 7, "invocationLatency": 900, "firstByteLatency": 300}

ROWS = (
    converse(NOVA)("plain", answer(125, 60), (125, 60), cost="125*0.06 + 60*0.24"),
    converse(NOVA)(
        "cache read and written",
        answer(20, 60, cache={"cacheReadInputTokens": 100, "cacheWriteInputTokens": 30}),
        (150, 60),
        sent={"cache_read": 100, "cache_creation": 30},
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html",
    ),
    converse(SONNET)(
        "cache of both lifetimes",
        answer(
            20,
            60,
            cache={
                "cacheReadInputTokens": 0,
                "cacheWriteInputTokens": 30,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 20}],
            },
        ),
        (50, 60),
        sent={"cache_read": 0, "cache_creation": 30, "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        source="botocore: CacheDetail",
    ),
    converse(SONNET, url=f"{HOST}/{SONNET}/converse-stream")(
        "stream",
        aws_stream(
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"delta": {"text": "Hi"}, "contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "end_turn"}),
            (
                "metadata",
                {"usage": {"inputTokens": 47, "outputTokens": 20, "totalTokens": 67}, "metrics": {"latencyMs": 100}},
            ),
        ),
        (47, 20),
        source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html",
    ),
    converse("us.amazon.nova-pro-v1:0")(
        "optimised latency",
        answer(125, 60, performanceConfig={"latency": "optimized"}),
        (125, 60),
        modifiers={"latency": "optimized"},
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html",
    ),
    converse("us.amazon.nova-pro-v1:0")(
        "standard latency", answer(125, 60, performanceConfig={"latency": "standard"}), (125, 60)
    ),
    converse(NOVA)(
        "flex tier",
        answer(125, 60, serviceTier={"type": "flex"}),
        (125, 60),
        tier="flex",
        source="botocore: ServiceTier",
    ),
    *(
        converse(NOVA, region)(f"in {region}", answer(10, 5), (10, 5))
        for region in ("us-west-2", "eu-central-1", "ap-northeast-1", "us-gov-west-1", "sa-east-1")
    ),
    converse(
        NOVA, url=f"https://bedrock-runtime-fips.us-west-2.amazonaws.com/model/{NOVA}/converse", region="us-west-2"
    )("FIPS host", answer(10, 5), (10, 5)),
    converse(
        NOVA,
        url=f"https://vpce-0a-1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com/model/{NOVA}/converse",
        region="eu-west-1",
    )("a private endpoint", answer(10, 5), (10, 5)),
    converse("global.anthropic.claude-sonnet-4-5-20250929-v1:0")(
        "global profile", answer(10, 5), (10, 5), cost="10*3 + 5*15"
    ),
    converse(
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
        url=f"{HOST}/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/converse",
    )("profile by its ARN", answer(10, 5), (10, 5)),
    # --- the makers' own APIs
    invoke(SONNET)(
        "Claude",
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 12, "output_tokens": 7},
        },
        (12, 7),
        model="claude-sonnet-4-5-20250929",
        request={"anthropic_version": "bedrock-2023-05-31", "messages": []},
    ),
    invoke(SONNET, stream=True)(
        "Claude, streamed",
        aws_stream(
            (
                "chunk",
                {
                    "type": "message_start",
                    "message": {
                        "id": "msg_1",
                        "model": "claude-sonnet-4-5-20250929",
                        "usage": {"input_tokens": 12, "output_tokens": 1},
                    },
                },
            ),
            ("chunk", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
            ("chunk", {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}),
        ),
        (12, 7),
        model="claude-sonnet-4-5-20250929",
    ),
    invoke(NOVA)("Nova", answer(12, 7), (12, 7)),
    invoke("amazon.titan-text-express-v1")(
        "Titan",
        {"inputTextTokenCount": 12, "results": [{"tokenCount": 7, "outputText": "Hi", "completionReason": "FINISH"}]},
        (12, 7),
    ),
    invoke("amazon.titan-text-express-v1", stream=True)(
        "Titan, streamed",
        aws_stream(
            (
                "chunk",
                {
                    "outputText": "Hi",
                    "index": 0,
                    "totalOutputTextTokenCount": 7,
                    "completionReason": "FINISH",
                    "inputTextTokenCount": 12,
                    "amazon-bedrock-invocationMetrics": METRICS,
                },
            )
        ),
        (12, 7),
    ),
    invoke("amazon.titan-text-express-v1", stream=True)(
        "Titan, streamed and blocked by a guardrail",
        aws_stream(
            (
                "chunk",
                {
                    "outputText": "No.",
                    "index": 0,
                    "totalOutputTextTokenCount": 0,
                    "completionReason": "CONTENT_FILTERED",
                    "inputTextTokenCount": 12,
                    "amazon-bedrock-guardrailAction": "INTERVENED",
                },
            )
        ),
        (12, 0),
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-input-tagging-base-inference.html",
    ),
    invoke("amazon.titan-embed-text-v2:0")(
        "Titan embedding",
        {"embedding": [0.1], "inputTextTokenCount": 8},
        (8, 0),
        request={"inputText": "hi"},
        cost="8*0.02",
    ),
    invoke("meta.llama3-70b-instruct-v1:0")(
        "Llama",
        {"generation": "Hi", "prompt_token_count": 12, "generation_token_count": 7, "stop_reason": "stop"},
        (12, 7),
    ),
    invoke("meta.llama3-70b-instruct-v1:0", stream=True)(
        "Llama, streamed",
        aws_stream(
            ("chunk", {"generation": "H", "prompt_token_count": 12, "generation_token_count": 1, "stop_reason": None}),
            (
                "chunk",
                {
                    "generation": "i",
                    "prompt_token_count": None,
                    "generation_token_count": 7,
                    "stop_reason": "stop",
                    "amazon-bedrock-invocationMetrics": METRICS,
                },
            ),
        ),
        (12, 7),
    ),
    invoke("ai21.jamba-1-5-large-v1:0")(
        "Jamba",
        {"id": "c-1", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}},
        (12, 7),
    ),
    invoke("ai21.j2-ultra-v1")(
        "Jurassic", {"prompt": {"tokens": [{}] * 3}, "completions": [{"data": {"tokens": [{}, {}]}}]}, (3, 2)
    ),
    invoke("cohere.command-r-v1:0")(
        "Cohere",
        {"response_id": "r", "text": "Hi", "generation_id": "g"},
        (12, 7),
        response_headers={"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "7"},
    ),
    invoke("cohere.embed-english-v3")(
        "Cohere embedding, counted in a header",
        {"embeddings": [[0.1]], "id": "e", "texts": ["hi"]},
        (4, 0),
        response_headers={"x-amzn-bedrock-input-token-count": "4"},
    ),
    invoke("mistral.mistral-large-2402-v1:0")(
        "Mistral, counted in headers",
        {"outputs": [{"text": "Hi", "stop_reason": "stop"}]},
        (12, 7),
        response_headers={"X-Amzn-Bedrock-Input-Token-Count": ["12"], "X-Amzn-Bedrock-Output-Token-Count": ["7"]},
    ),
    invoke("mistral.mistral-large-2402-v1:0", stream=True)(
        "Mistral, streamed",
        aws_stream(
            ("chunk", {"outputs": [{"text": "Hi", "stop_reason": "stop"}], "amazon-bedrock-invocationMetrics": METRICS})
        ),
        (12, 7),
    ),
    invoke("deepseek.r1-v1:0")(
        "DeepSeek, counted in headers",
        {"choices": [{"text": "Hi", "stop_reason": "stop"}]},
        (12, 7),
        response_headers={"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "7"},
    ),
    invoke("openai.gpt-oss-120b-1:0")(
        "OpenAI's open weights",
        {
            "id": "c",
            "object": "chat.completion",
            "model": "openai.gpt-oss-120b-1:0",
            "choices": [],
            "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
        },
        (12, 7),
    ),
    invoke("us.amazon.nova-pro-v1:0")(
        "optimised latency, in a header",
        answer(12, 7),
        (12, 7),
        response_headers={"x-amzn-bedrock-performanceconfig-latency": "optimized"},
        modifiers={"latency": "optimized"},
    ),
    # --- OpenAI's API
    *(
        api(
            url=f"https://{host}/{path}",
            source="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
            flavour=flavour,
            provider="amazon_bedrock",
        )(f"{flavour} at {host}", body, (12, 7), model="openai.gpt-oss-120b", region=region)
        for host, path, flavour, region, body in (
            (
                "bedrock-mantle.us-west-2.api.aws",
                "v1/chat/completions",
                "openai-chat",
                "us-west-2",
                {
                    "object": "chat.completion",
                    "model": "openai.gpt-oss-120b",
                    "choices": [],
                    "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
                },
            ),
            (
                "bedrock-mantle.eu-west-1.api.aws",
                "v1/responses",
                "openai-responses",
                "eu-west-1",
                {
                    "object": "response",
                    "model": "openai.gpt-oss-120b",
                    "output": [],
                    "usage": {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19},
                },
            ),
            (
                "bedrock-runtime.us-west-2.amazonaws.com",
                "openai/v1/chat/completions",
                "openai-chat",
                "us-west-2",
                {
                    "object": "chat.completion",
                    "model": "openai.gpt-oss-120b",
                    "choices": [],
                    "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
                },
            ),
        )
    ),
    api(
        url="https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
        source="https://platform.claude.com/docs/en/build-with-claude/claude-in-amazon-bedrock",
        flavour="anthropic-messages",
        provider="amazon_bedrock",
    )(
        "Claude by Anthropic's API",
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-opus-4-8",
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 12, "output_tokens": 7},
        },
        (12, 7),
        model="claude-opus-4-8",
        region="us-east-1",
    ),
    # --- SageMaker
    api(
        url="https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/tgi/invocations",
        source="https://docs.aws.amazon.com/sagemaker/latest/dg/jumpstart-foundation-models-use-python-sdk.html",
        flavour="tgi-root",
        provider="sagemaker",
    )(
        "TGI on SageMaker",
        [
            {
                "generated_text": "Hi",
                "details": {
                    "finish_reason": "length",
                    "generated_tokens": 2,
                    "prefill": [{"id": 1}, {"id": 2}, {"id": 3}],
                },
            }
        ],
        (3, 2),
        request={"inputs": "hi", "parameters": {"details": True, "decoder_input_details": True}},
        model="tgi",
        region="us-east-1",
    ),
    api(
        url="https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/vllm/invocations",
        source="https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/chat_input_output_schema.html",
        flavour="openai-chat",
        provider="sagemaker",
    )(
        "chat on SageMaker",
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "lmi",
            "choices": [],
            "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
        },
        (12, 7),
        model="lmi",
        region="us-east-1",
    ),
)
