"""Clouds, hosts of open models and servers of one's own at their edges: what each adds to the forms that they share."""

from bodies import ndjson, sse

from documented.agents import video
from documented.edges import DAY_ONE, message
from documented.edges_others import at
from documented.openai import chunk, chunks, completion, response, tokens
from documented.row import api

PLAIN = tokens(100, 10)
ERRED = {"error": {"message": "boom", "type": "server_error", "code": 500}}
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
AZURE = "https://res.openai.azure.com/openai"
AZURE_DOCS = "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference"
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.1]}


def vectors(model, usage):
    return {"object": "list", "data": [VECTOR], "model": model, "usage": usage}


# --- Azure ------------------------------------------------------------------------------------------------------------


def azure(path, model, **more):
    return at(f"{AZURE}/{path}", "azure", model, AZURE_DOCS, **more)


FILTERED = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [{"prompt_index": 0}],
}
AZURE_ROWS = (
    azure(
        "deployments/d/chat/completions?api-version=2024-10-21",
        "gpt-4o-mini-2024-07-18",
        request={"messages": [], "stream": True},
    )(
        "a first chunk that names nothing",
        sse(
            FILTERED,
            chunk("gpt-4o-mini-2024-07-18", choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]),
            chunk("gpt-4o-mini-2024-07-18", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
            chunk("gpt-4o-mini-2024-07-18", PLAIN),
            done=True,
        ),
        (100, 10),
        cost="100*0.15 + 10*0.6",
    ),
    azure("deployments/d/chat/completions?api-version=2024-10-21", "gpt-4o-mini-2024-07-18", request={"messages": []})(
        "an answer on one's own data",
        completion(
            "gpt-4o-mini-2024-07-18",
            PLAIN,
            object="extensions.chat.completion",
            choices=[{"index": 0, "message": {"content": "Hi", "context": {"citations": []}}, "finish_reason": "stop"}],
        ),
        (100, 10),
        cost="100*0.15 + 10*0.6",
    ),
    azure("deployments/d/chat/completions?api-version=2024-10-21", "d", request={"messages": []})(
        "a deployment whose model nobody names",
        completion("", PLAIN),
        (100, 10),
        cost="unpriced",
    ),
    azure("v1/chat/completions", "gpt-4o-mini-2024-07-18", request={"model": "d", "messages": []})(
        "stopped by a filter of Azure's",
        completion(
            "gpt-4o-mini-2024-07-18",
            tokens(100, 0),
            choices=[{"index": 0, "message": {"content": ""}, "finish_reason": "content_filter"}],
        ),
        (100, 0),
        cost="100*0.15",
    ),
    azure(
        "deployments/d/embeddings?api-version=2024-10-21",
        "text-embedding-3-large",
        request={"input": "hi"},
        flavour="openai-embeddings",
    )(
        "embedding of a deployment",
        vectors("text-embedding-3-large", {"prompt_tokens": 8, "total_tokens": 8}),
        (8, 0),
        cost="8*0.13",
    ),
    azure(
        "deployments/d/images/generations?api-version=2024-10-21",
        "d",
        request={"prompt": "hi"},
        flavour="openai-images",
    )(
        "a picture without usage",
        {"created": 1_788_000_000, "data": [{"url": "https://a.b/c.png", "revised_prompt": "hi"}]},
        None,
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    azure("v1/responses", "gpt-4.1-2025-04-14", request={"model": "d", "input": "hi"}, flavour="openai-responses")(
        "a search by Bing",
        response(
            "gpt-4.1-2025-04-14",
            {"input_tokens": 900, "output_tokens": 40, "total_tokens": 940},
            [{"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "a"}}],
            tools=[{"type": "web_search"}],
        ),
        (900, 40),
        items={"web_search": 1},
        cost="900*2 + 40*8 + 14000",
    ),
    azure(
        "v1/files/file-1/content",
        "gpt-4o-mini-2024-07-18",
        method="GET",
        kind="batch-results",
        flavour="openai-batch-results",
        tier="batch",
    )(
        "a batch on Azure",
        ndjson(
            {
                "custom_id": "1",
                "response": {"status_code": 200, "body": completion("gpt-4o-mini-2024-07-18", PLAIN)},
                "error": None,
            }
        ),
        (100, 10),
        parts=(("request", "gpt-4o-mini-2024-07-18", 100, 10),),
    ),
)

# --- Google's cloud ---------------------------------------------------------------------------------------------------

VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers"
CLOUD = {"provider": "google_vertexai", "region": "us-central1"}
VERTEX_ROWS = (
    at(
        f"{VERTEX}/mistralai/models/mistral-ocr-2505:rawPredict",
        "google_vertexai",
        "mistral-ocr-2505",
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral/mistral-ocr",
        region="us-central1",
        request={"model": "mistral-ocr-2505", "document": {}},
    )(
        "pages on Vertex",
        {
            "pages": [{"index": 0, "markdown": "Hi"}],
            "model": "mistral-ocr-2505",
            "usage_info": {"pages_processed": 2, "doc_size_bytes": 9},
        },
        None,
        flavour="mistral-ocr-vertex",
        billed=(0, 0, {}, {}),
        items={"page": 2},
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    at(
        f"{VERTEX}/mistralai/models/codestral-2:streamRawPredict",
        "google_vertexai",
        "codestral-2",
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral",
        region="us-central1",
        request={"model": "codestral-2", "prompt": "def", "stream": True},
    )(
        "filled in the middle on Vertex",
        chunks("codestral-2", PLAIN),
        (100, 10),
        cost="unpriced",
    ),
    at(
        f"{VERTEX}/google/models/multimodalembedding@001:predict",
        "google_vertexai",
        "multimodalembedding@001",
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/multimodal-embeddings-api",
        region="us-central1",
        request={"instances": [{"text": "hi"}]},
    )(
        "embedding of several kinds",
        {"predictions": [{"textEmbedding": [0.1]}], "deployedModelId": "1"},
        None,
        flavour="vertex-predict",
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    at(
        f"{VERTEX}/google/models/veo-3.0-generate-001:predictLongRunning",
        "google_vertexai",
        "veo-3.0-generate-001",
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation",
        region="us-central1",
        request=video(durationSeconds=4, sampleCount=2),
    )(
        "videos on Vertex",
        {"name": "projects/p/locations/us-central1/publishers/google/models/veo-3.0-generate-001/operations/1"},
        None,
        flavour="google-videos",
        billed=(0, 0, {}, {}),
        items={"video_second": 8},
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    at(
        f"{VERTEX}/google/models/imagen-4.0-generate-001:predict",
        "google_vertexai",
        "imagen-4.0-generate-001",
        "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api",
        region="us-central1",
        request={"instances": [{"prompt": "hi"}]},
    )(
        "pictures, one of which was filtered",
        {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": "aGk="}, {"raiFilteredReason": "no"}]},
        (0, 0),
        flavour="vertex-predict",
        items={"image": 1},
        cost="unpriced",
    ),
)

# --- Databricks, Snowflake, watsonx, SageMaker, OCI -------------------------------------------------------------------

BRICKS = "https://dbc-1.cloud.databricks.com/serving-endpoints"
SNOW = "https://acme.snowflakecomputing.com/api/v2/cortex"
WATSONX = "https://us-south.ml.cloud.ibm.com/ml/v1/text"
OCI = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/actions"
GRANITE = "ibm/granite-3-3-8b-instruct"


def watsonx(verb, source, **more):
    return at(
        f"{WATSONX}/{verb}?version=2025-02-06",
        "watsonx",
        GRANITE,
        f"https://cloud.ibm.com/apidocs/watsonx-ai#{source}",
        **{"request": {"model_id": GRANITE, "project_id": "p", "input": "hi"}, "region": "us-south", **more},
    )


CLOUD_ROWS = (
    at(
        f"{BRICKS}/databricks-gte-large-en/invocations",
        "databricks",
        "gte-large-en-v1.5",
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        request={"input": "hi"},
    )(
        "embedding of an endpoint",
        vectors("gte-large-en-v1.5", {"prompt_tokens": 8, "total_tokens": 8}),
        (8, 0),
    ),
    at(
        f"{BRICKS}/databricks-claude-sonnet-4-5/invocations",
        "databricks",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        request={"messages": [], "stream": True},
    )(
        "stream of an endpoint with a cache",
        sse(
            chunk(
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                tokens(100, 1),
                [{"index": 0, "delta": {"content": "H"}}],
            ),
            chunk(
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                {**tokens(100, 9), "cache_read_input_tokens": 60, "cache_creation_input_tokens": 0},
                [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            ),
            done=True,
        ),
        (100, 9),
        sent={"cache_read": 60, "cache_creation": 0},
    ),
    at(
        f"{SNOW}/inference:complete",
        "snowflake",
        "claude-4-sonnet",
        "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
        request={"model": "claude-4-sonnet", "messages": [], "stream": True},
    )(
        "stream with usage in every event",
        sse(
            {"id": "1", "model": "claude-4-sonnet", "choices": [{"delta": {"content": "H"}}], "usage": {}},
            {
                "id": "1",
                "model": "claude-4-sonnet",
                "choices": [{"delta": {"content": "i"}}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
            },
            done=True,
        ),
        (12, 2),
        cost="unpriced",
    ),
    at(
        f"{SNOW}/inference:embed",
        "snowflake",
        "snowflake-arctic-embed-l-v2.0",
        "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
        request={"model": "snowflake-arctic-embed-l-v2.0", "text": ["hi"]},
        flavour="openai-embeddings",
    )(
        "Snowflake's embedding",
        {
            "object": "list",
            "data": [{"object": "embedding", "embedding": [[0.1]], "index": 0}],
            "model": "snowflake-arctic-embed-l-v2.0",
            "usage": {"total_tokens": 8},
        },
        (8, 0),
        cost="unpriced",
    ),
    watsonx("chat_stream", "text-chat-stream", flavour="watsonx-chat", request={"model_id": GRANITE, "messages": []})(
        "chat streamed",
        sse(
            {
                "id": "1",
                "model_id": GRANITE,
                "model": GRANITE,
                "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
            },
            {
                "id": "1",
                "model_id": GRANITE,
                "model": GRANITE,
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            },
            {"id": "1", "model_id": GRANITE, "model": GRANITE, "choices": [], "usage": PLAIN},
        ),
        (100, 10),
        cost="unpriced",
    ),
    at(
        "https://us-south.ml.cloud.ibm.com/ml/v1-beta/generation/text_stream?version=2023-09-30",
        "watsonx",
        "google/flan-ul2",
        "the ibm-watson-machine-learning SDK: get_fm_generation_stream_href",
        request={"model_id": "google/flan-ul2", "project_id": "p", "input": "hi"},
        region="us-south",
        flavour="watsonx-generation",
    )(
        "generation streamed at the path before",
        sse(
            *(
                {
                    "model_id": "google/flan-ul2",
                    "results": [
                        {
                            "generated_text": "",
                            "generated_token_count": made,
                            "input_token_count": sent,
                            "stop_reason": why,
                        }
                    ],
                }
                for made, sent, why in ((0, 8, "not_finished"), (1, 0, "not_finished"), (2, 0, "eos_token"))
            )
        ),
        (8, 2),
        cost="unpriced",
    ),
    watsonx("generation_stream", "text-generation-stream", flavour="watsonx-generation")(
        "generation streamed",
        sse(
            {
                "model_id": GRANITE,
                "results": [
                    {
                        "generated_text": "H",
                        "generated_token_count": 1,
                        "input_token_count": 0,
                        "stop_reason": "not_finished",
                    }
                ],
            },
            {
                "model_id": GRANITE,
                "results": [
                    {
                        "generated_text": "i",
                        "generated_token_count": 2,
                        "input_token_count": 12,
                        "stop_reason": "eos_token",
                    }
                ],
            },
        ),
        (12, 2),
        cost="unpriced",
    ),
    watsonx("generation_stream", "text-generation-stream", flavour="watsonx-generation")(
        "generation streamed, its input in the first event alone",
        sse(
            *(
                {
                    "model_id": GRANITE,
                    "results": [
                        {
                            "generated_text": text,
                            "generated_token_count": received,
                            "input_token_count": sent,
                            "stop_reason": "eos_token" if received == 2 else "not_finished",
                        }
                    ],
                }
                for text, received, sent in (("", 0, 12), ("H", 1, 0), ("i", 2, 0))
            ),
        ),
        (12, 2),
        cost="unpriced",
    ),
    watsonx(
        "rerank", "text-rerank", flavour="watsonx-embed", request={"model_id": GRANITE, "query": "q", "inputs": []}
    )(
        "ranking of watsonx",
        {"model_id": GRANITE, "results": [{"index": 0, "score": 0.9}], "input_token_count": 20},
        (20, 0),
        cost="unpriced",
    ),
    at(
        "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations",
        "sagemaker",
        "e",
        "https://docs.aws.amazon.com/sagemaker/latest/dg/large-model-inference-container-docs.html",
        region="us-east-1",
        request={"messages": []},
    )(
        "chat of an endpoint on SageMaker",
        completion("lmi", PLAIN),
        (100, 10),
        model="lmi",
        cost="unpriced",
    ),
    at(
        f"{OCI}/chat",
        "oci",
        "cohere.command-a-03-2025",
        "oci SDK: CohereChatResponse, Usage",
        region="us-chicago-1",
        flavour="oci",
        request={"servingMode": {"modelId": "cohere.command-a-03-2025", "servingType": "ON_DEMAND"}, "chatRequest": {}},
    )(
        "Cohere's form, cut at the limit",
        {
            "modelId": "cohere.command-a-03-2025",
            "modelVersion": "1.0",
            "chatResponse": {
                "apiFormat": "COHERE",
                "text": "Hi",
                "finishReason": "MAX_TOKENS",
                "usage": {"promptTokens": 100, "completionTokens": 10, "totalTokens": 110},
            },
        },
        (100, 10),
        cost="unpriced",
    ),
    at(
        f"{OCI}/chat",
        "oci",
        "xai.grok-4",
        "oci SDK: GenericChatResponse, Usage",
        region="us-chicago-1",
        flavour="oci",
        request={"servingMode": {"modelId": "xai.grok-4"}, "chatRequest": {}},
    )(
        "cached tokens and reasoning",
        {
            "modelId": "xai.grok-4",
            "chatResponse": {
                "apiFormat": "GENERIC",
                "choices": [{"index": 0, "finishReason": "stop"}],
                "usage": {
                    "promptTokens": 100,
                    "completionTokens": 60,
                    "totalTokens": 160,
                    "promptTokensDetails": {"cachedTokens": 40},
                    "completionTokensDetails": {"reasoningTokens": 50},
                },
            },
        },
        (100, 60),
        sent={"cache_read": 40},
        received={"reasoning": 50},
        cost="unpriced",
    ),
)

# --- Hosts of open models ---------------------------------------------------------------------------------------------


def host(url, provider, model=LLAMA, **more):
    return at(url, provider, model, more.pop("source", f"https://{url.split('/')[2]}"), **more)


RANKED = {"results": [{"index": 0, "relevance_score": 0.9}]}
HOST_ROWS = (
    host(
        "https://api.perplexity.ai/chat/completions",
        "perplexity",
        "sonar-pro",
        source="perplexity SDK: UsageInfo, Cost",
        request={"model": "sonar-pro", "messages": [], "stream": True},
    )(
        "stream with usage in every chunk",
        sse(
            chunk(
                "sonar-pro",
                {**tokens(14, 1), "search_context_size": "low"},
                [{"index": 0, "delta": {"content": "H"}, "finish_reason": None}],
            ),
            chunk(
                "sonar-pro",
                {
                    **tokens(14, 90),
                    "search_context_size": "low",
                    "cost": {
                        "input_tokens_cost": 0.00004,
                        "output_tokens_cost": 0.00135,
                        "request_cost": 0.006,
                        "total_cost": 0.00739,
                    },
                },
                [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
            ),
        ),
        (14, 90),
        stated="0.00739",
        cost="stated",
    ),
    host(
        "https://api.perplexity.ai/async/chat/completions/1",
        "perplexity",
        "sonar-deep-research",
        source="perplexity SDK: AsyncApiChatCompletionsResponse",
        method="GET",
    )(
        "a research that failed",
        {"id": "1", "model": "sonar-deep-research", "status": "FAILED", "error_message": "boom", "response": None},
        None,
        flavour="perplexity-async",
        kind="retrieve",
        status="no_usage",
        note="states no usage",
    ),
    host(
        "https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/openai/whisper",
        "cloudflare",
        "@cf/openai/whisper",
        source="https://developers.cloudflare.com/workers-ai/models/whisper/",
        request=b"ID3",
        flavour="cloudflare-run",
    )(
        "sound that is heard",
        {"result": {"text": "Hi", "word_count": 1}, "success": True, "errors": [], "messages": []},
        None,
        status="no_usage",
        note="states no usage",
        cost="unpriced",
    ),
    host(
        "https://api.cloudflare.com/client/v4/accounts/a/ai/v1/embeddings",
        "cloudflare",
        "@cf/baai/bge-m3",
        source="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        request={"model": "@cf/baai/bge-m3", "input": "hi"},
        flavour="openai-embeddings",
    )(
        "embedding without its tokens",
        {"object": "list", "data": [VECTOR], "model": "@cf/baai/bge-m3"},
        None,
        status="no_usage",
        note="states no usage",
    ),
    host(
        "https://router.huggingface.co/v1/chat/completions",
        "huggingface",
        f"{LLAMA}:groq",
        source="https://huggingface.co/docs/inference-providers/tasks/chat-completion",
        response_headers={"x-inference-provider": "groq"},
    )(
        "answered by Groq behind the router",
        completion(LLAMA, PLAIN),
        (100, 10),
        model=LLAMA,
        seller="groq",
    ),
    host(
        "http://tei:80/v1/embeddings",
        None,
        "BAAI/bge-m3",
        source="https://huggingface.github.io/text-embeddings-inference",
        request={"model": "BAAI/bge-m3", "input": "hi"},
        flavour="openai-embeddings",
    )(
        "TEI by OpenAI's path",
        vectors("BAAI/bge-m3", {"prompt_tokens": 8, "total_tokens": 8}),
        (8, 0),
        cost="unpriced",
    ),
    host(
        "http://gpu:30000/v1/chat/completions",
        None,
        "qwen/qwen3-8b",
        source="https://docs.sglang.io/basic_usage/openai_api_completions.html",
    )(
        "SGLang with a cached prefix",
        completion(
            "qwen/qwen3-8b",
            {**tokens(100, 10, {"cached_tokens": 64}), "reasoning_tokens": 4},
            metadata={"weight_version": "default"},
        ),
        (100, 10),
        sent={"cache_read": 64},
        received={"reasoning": 4},
        cost="unpriced",
    ),
    host(
        "http://localhost:1234/api/v0/chat/completions",
        None,
        "granite-3.0-2b-instruct",
        source="https://lmstudio.ai/docs/developer/rest/endpoints",
    )(
        "LM Studio before its first version",
        completion(
            "granite-3.0-2b-instruct",
            PLAIN,
            stats={"tokens_per_second": 51.4, "time_to_first_token": 0.1},
            model_info={"context_length": 4_096},
        ),
        (100, 10),
        cost="unpriced",
    ),
    host(
        "https://qianfan.baidubce.com/v2/chat/completions",
        "qianfan",
        "ernie-4.5-turbo-32k",
        source="https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb",
    )(
        "tokens of a search",
        completion("ernie-4.5-turbo-32k", tokens(100, 10, {"search_tokens": 40, "cached_tokens": 0})),
        (100, 10),
        sent={"cache_read": 0},
        cost="unpriced",
    ),
    host(
        "https://api.stepfun.com/v1/chat/completions",
        "stepfun",
        "step-2-16k",
        source="https://platform.stepfun.com/docs/api-reference/chat/chat-completion-create",
    )(
        "cached tokens",
        completion("step-2-16k", {**PLAIN, "cached_tokens": 40}),
        (100, 10),
        sent={"cache_read": 40},
        cost="unpriced",
    ),
    host(
        "https://gigachat.devices.sberbank.ru/api/v1/chat/completions",
        "gigachat",
        "GigaChat-2:2.0.28.2",
        source="gigachat SDK: ChatCompletion, Usage",
    )(
        "a call of a function",
        completion(
            "GigaChat-2:2.0.28.2",
            {**PLAIN, "precached_prompt_tokens": 4},
            choices=[
                {
                    "index": 0,
                    "message": {"role": "assistant", "function_call": {"name": "f"}},
                    "finish_reason": "function_call",
                }
            ],
        ),
        (100, 10),
        cost="unpriced",
    ),
    host(
        "https://gigachat.devices.sberbank.ru/api/v1/embeddings",
        "gigachat",
        "Embeddings",
        source="gigachat SDK: Embedding, EmbeddingUsage",
        request={"model": "Embeddings", "input": ["hi"]},
        flavour="openai-embeddings",
    )(
        "tokens beside each vector",
        {
            "object": "list",
            "model": "Embeddings",
            "data": [{**VECTOR, "usage": {"prompt_tokens": 6}}, {**VECTOR, "index": 1, "usage": {"prompt_tokens": 4}}],
        },
        (10, 0),
        cost="unpriced",
    ),
    host(
        "https://llm.api.cloud.yandex.net/foundationModels/v1/completionAsync",
        "yandex",
        "yandexgpt/latest",
        source="https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGenerationAsync/completion",
        request={"modelUri": "gpt://b1g/yandexgpt/latest", "messages": []},
        flavour="yandex-completion",
    )(
        "asked for later",
        {"id": "d7qi6shlbvo5muevamav", "description": "Async GPT Completion", "done": False},
        None,
        status="no_usage",
        note="states no usage",
    ),
    host(
        "https://operation.api.cloud.yandex.net/operations/d7qi6shlbvo5muevamav",
        None,
        "unknown",
        source="https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGenerationAsync/completion",
        method="GET",
        flavour="yandex-completion",
    )(
        "fetched later",
        {
            "id": "d7qi6shlbvo5muevamav",
            "done": True,
            "response": {
                "alternatives": [{"status": "ALTERNATIVE_STATUS_FINAL"}],
                "usage": {"inputTextTokens": "19", "completionTokens": "6", "totalTokens": "25"},
            },
        },
        (19, 6),
        kind="retrieve",
    ),
    host(
        "https://api.reka.ai/v1/chat",
        "reka",
        "reka-flash",
        source="reka SDK: ChatResponse",
        request={"model": "reka-flash", "messages": []},
        flavour="reka-chat",
    )(
        "cut at the limit",
        {
            "id": "1",
            "model": "reka-flash",
            "responses": [{"finish_reason": "length", "message": {"role": "assistant", "content": "Hi"}}],
            "usage": {"input_tokens": 10, "output_tokens": 3},
        },
        (10, 3),
        cost="unpriced",
    ),
    host(
        "https://api.voyageai.com/v1/embeddings",
        "voyageai",
        "voyage-3.5",
        source="voyageai SDK: EmbeddingsObject",
        request={"model": "voyage-3.5", "input": ["hi"], "output_dtype": "int8"},
        flavour="openai-embeddings",
    )(
        "embedding in bytes",
        vectors("voyage-3.5", {"total_tokens": 8}),
        (8, 0),
        cost="8*0.06",
    ),
    host(
        "https://api.jina.ai/v1/embeddings",
        "jina",
        "jina-embeddings-v4",
        source="https://api.jina.ai/docs",
        request={"model": "jina-embeddings-v4", "input": [{"image": "https://a.b/c.png"}]},
        flavour="openai-embeddings",
    )(
        "embedding of a picture by Jina",
        vectors("jina-embeddings-v4", {"total_tokens": 740, "prompt_tokens": 740}),
        (740, 0),
        cost="unpriced",
    ),
    host(
        "https://api.mixedbread.com/v1/reranking",
        "mixedbread",
        "mixedbread-ai/mxbai-rerank-large-v2",
        source="mixedbread SDK: RerankResponse",
        request={"model": "mixedbread-ai/mxbai-rerank-large-v2", "query": "q", "input": ["a"]},
        flavour="rerank",
    )(
        "ranking of Mixedbread",
        {
            "usage": {"prompt_tokens": 20, "total_tokens": 20, "completion_tokens": 0},
            "model": "mixedbread-ai/mxbai-rerank-large-v2",
            "data": [{"index": 0, "score": 0.9}],
        },
        (20, 0),
        cost="unpriced",
    ),
    host(
        "https://integrate.api.nvidia.com/v1/embeddings",
        "NVIDIA",
        "nvidia/nv-embedqa-e5-v5",
        source="https://docs.api.nvidia.com/nim/reference/nvidia-nv-embedqa-e5-v5-infer",
        request={"model": "nvidia/nv-embedqa-e5-v5", "input": ["hi"], "input_type": "query"},
        flavour="openai-embeddings",
    )(
        "embedding of a query",
        vectors("nvidia/nv-embedqa-e5-v5", {"prompt_tokens": 8, "total_tokens": 8}),
        (8, 0),
        cost="unpriced",
    ),
    host(
        "https://api.together.xyz/v1/rerank",
        "together",
        "Salesforce/Llama-Rank-V1",
        source="together SDK: RerankResponse",
        request={"model": "Salesforce/Llama-Rank-V1", "query": "q", "documents": ["a"]},
        flavour="rerank",
    )(
        "ranking of Together",
        {
            "object": "rerank",
            "model": "Salesforce/Llama-Rank-V1",
            **RANKED,
            "usage": {"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20},
        },
        (20, 0),
    ),
    host(
        "https://api.together.xyz/v1/completions",
        "together",
        source="together SDK: CompletionResponse",
        request={"model": LLAMA, "prompt": "hi"},
        flavour="openai-completions",
    )(
        "completion with its prompt",
        {
            "id": "1",
            "object": "text.completion",
            "model": LLAMA,
            "prompt": [{"text": "hi"}],
            "choices": [{"text": "Hi", "finish_reason": "eos"}],
            "usage": PLAIN,
        },
        (100, 10),
    ),
    host(
        "https://api.friendli.ai/serverless/v1/completions",
        "friendli",
        "meta-llama-3.1-8b-instruct",
        source="https://friendli.ai/docs/openapi/serverless/completions",
        request={"model": "meta-llama-3.1-8b-instruct", "prompt": "hi"},
        flavour="openai-completions",
    )(
        "completion by Friendli",
        {"choices": [{"index": 0, "text": "Hi", "finish_reason": "length"}], "usage": PLAIN},
        (100, 10),
        cost="unpriced",
    ),
    host("https://api.studio.nebius.com/v1/chat/completions", "nebius")(
        "an error with a status of 200",
        ERRED,
        None,
        status="no_usage",
        note="boom",
    ),
    host(
        "https://openrouter.ai/api/v1/completions",
        "openrouter",
        "openai/gpt-3.5-turbo-instruct",
        source="openrouter SDK: CompletionResponse",
        request={"model": "openai/gpt-3.5-turbo-instruct", "prompt": "hi"},
        flavour="openai-completions",
    )(
        "completion with its cost",
        {
            "id": "gen-1",
            "object": "text_completion",
            "model": "openai/gpt-3.5-turbo-instruct",
            "choices": [{"text": "Hi", "finish_reason": "stop"}],
            "usage": {**PLAIN, "cost": 0.00017},
        },
        (100, 10),
        stated="0.00017",
        cost="stated",
    ),
    host(
        "https://openrouter.ai/api/v1/embeddings",
        "openrouter",
        "openai/text-embedding-3-small",
        source="openrouter SDK: CreateEmbeddingsResponse",
        request={"model": "openai/text-embedding-3-small", "input": "hi"},
        flavour="openai-embeddings",
    )(
        "embedding with its cost",
        vectors("openai/text-embedding-3-small", {"prompt_tokens": 8, "total_tokens": 8, "cost": 1.6e-7}),
        (8, 0),
        stated="0.00000016",
        cost="stated",
    ),
    host(
        "https://api.replicate.com/v1/predictions/p1",
        "replicate",
        "meta/meta-llama-3-8b-instruct",
        source="https://replicate.com/docs/reference/http",
        method="GET",
        flavour="replicate",
    )(
        "prediction, fetched",
        {
            "id": "p1",
            "model": "meta/meta-llama-3-8b-instruct",
            "version": "hidden",
            "input": {"prompt": "hi"},
            "output": ["Hi"],
            "status": "succeeded",
            "urls": {},
            "metrics": {"input_token_count": 12, "output_token_count": 5, "predict_time": 0.3},
        },
        (12, 5),
        kind="retrieve",
    ),
)

# --- Agents of Anthropic's --------------------------------------------------------------------------------------------


def span(sent, received, **more):
    usage = {
        "input_tokens": sent,
        "output_tokens": received,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    return "span.model_request_end", {
        "type": "span.model_request_end",
        "id": "evt_1",
        "model_request_start_id": "evt_0",
        "processed_at": DAY_ONE,
        "model_usage": {**usage, **more},
    }


agent = api(
    url="https://api.anthropic.com/v1/sessions/sesn_1/events/stream",
    source="anthropic SDK: BetaManagedAgentsSpanModelRequestEndEvent",
    flavour="anthropic-managed-agents",
    provider="anthropic",
    method="GET",
    kind="call",
    model="unknown",
    sent={"cache_read": 0, "cache_creation": 0},
)
AGENT_ROWS = (
    agent("three requests", sse(span(100, 10), span(200, 20), span(300, 30)), (600, 60), cost="unpriced"),
    agent(
        "a request from a cache",
        sse(span(10, 10, cache_read_input_tokens=500)),
        (510, 10),
        sent={"cache_read": 500, "cache_creation": 0},
    ),
    agent(
        "nothing was asked yet",
        sse(("session.status_idle", {"type": "session.status_idle", "id": "evt_1"})),
        None,
        sent={},
        status="no_usage",
        note="states no usage",
    ),
    api(
        url="https://openrouter.ai/api/v1/messages",
        source="openrouter SDK: MessagesResult",
        flavour="anthropic-messages",
        provider="openrouter",
        request={"model": "anthropic/claude-haiku-4.5", "max_tokens": 9, "messages": []},
        model="anthropic/claude-4.5-haiku-20251001",
    )(
        "a message on a key of one's own",
        message(
            "anthropic/claude-4.5-haiku-20251001",
            {
                "input_tokens": 100,
                "output_tokens": 10,
                "cost": 0.0000075,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.00015},
            },
        ),
        (100, 10),
        stated="0.0001575",
        cost="stated",
    ),
)

ROWS = (*AZURE_ROWS, *VERTEX_ROWS, *CLOUD_ROWS, *HOST_ROWS, *AGENT_ROWS)
