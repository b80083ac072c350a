"""Providers with an API of their own: Cohere, Voyage, Jina, Cloudflare, Pinecone, DashScope, Replicate, Oracle, Yandex …"""

from bodies import ndjson, sse

from documented.row import api

COHERE = "https://docs.cohere.com/reference/chat"
UNITS = "cohere SDK: ApiMetaBilledUnits"


def meta(**units):
    return {"api_version": {"version": "2"}, "billed_units": units}


def used(billed, counted, **more):
    names = ("input_tokens", "output_tokens")
    return {
        "billed_units": dict(zip(names, billed, strict=True)),
        "tokens": dict(zip(names, counted, strict=True)),
        **more,
    }


cohere = api(
    url="https://api.cohere.com/v2/chat",
    source=COHERE,
    flavour="cohere-v2",
    provider="cohere",
    model="command-a-03-2025",
    request={"model": "command-a-03-2025", "messages": []},
)
embed = api(
    url="https://api.cohere.com/v2/embed",
    source=UNITS,
    flavour="cohere-embed",
    provider="cohere",
    model="embed-v4.0",
    request={"model": "embed-v4.0", "texts": []},
)
embed_v3 = api(
    url="https://api.cohere.com/v1/embed",
    source=UNITS,
    flavour="cohere-embed",
    provider="cohere",
    model="embed-english-v3.0",
    request={"model": "embed-english-v3.0", "texts": []},
)
rerank = api(
    url="https://api.cohere.com/v2/rerank",
    source="https://docs.cohere.com/reference/rerank",
    flavour="rerank",
    provider="cohere",
    model="rerank-v3.5",
    request={"model": "rerank-v3.5", "query": "q"},
)
CF = "https://api.cloudflare.com/client/v4/accounts/acc/ai/run"
CF_USED = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
cloudflare = api(
    url=f"{CF}/@cf/meta/llama-3.1-8b-instruct",
    source="https://developers.cloudflare.com/workers-ai/get-started/rest-api/",
    flavour="cloudflare-run",
    provider="cloudflare",
    model="@cf/meta/llama-3.1-8b-instruct",
    request={"messages": []},
)
DASHSCOPE = "https://dashscope.aliyuncs.com/api/v1/services/aigc"
dashscope = api(
    url=f"{DASHSCOPE}/text-generation/generation",
    source="https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope",
    flavour="dashscope",
    provider="dashscope",
    model="qwen-plus",
    request={"model": "qwen-plus", "input": {}},
)
OCI = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/actions"
OCI_USED = {
    "completionTokens": 10,
    "promptTokens": 20,
    "totalTokens": 30,
    "completionTokensDetails": {"reasoningTokens": 4},
    "promptTokensDetails": {"cachedTokens": 8},
}
oci = api(
    url=f"{OCI}/chat",
    source="oci SDK: GenericChatResponse",
    flavour="oci",
    provider="oci",
    model="cohere.command-r-plus",
    region="us-chicago-1",
    request={"servingMode": {"modelId": "cohere.command-r-plus", "servingType": "ON_DEMAND"}, "chatRequest": {}},
)
YANDEX = "https://llm.api.cloud.yandex.net/foundationModels/v1"
YANDEX_SOURCE = "https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion"
YANDEX_USED = {
    "inputTextTokens": "19",
    "completionTokens": "6",
    "totalTokens": "25",
    "completionTokensDetails": {"reasoningTokens": "0"},
}
yandex = api(
    url=f"{YANDEX}/completion",
    source=YANDEX_SOURCE,
    flavour="yandex-completion",
    provider="yandex",
    model="yandexgpt/latest",
    request={"modelUri": "gpt://folder/yandexgpt/latest", "messages": []},
)
FINAL = [{"message": {"role": "assistant", "text": "Hi"}, "status": "ALTERNATIVE_STATUS_FINAL"}]
PINECONE = "https://api.pinecone.io"
watsonx = api(
    url="https://us-south.ml.cloud.ibm.com/ml/v1/text/generation?version=2023-05-29",
    source="https://cloud.ibm.com/apidocs/watsonx-ai#text-generation",
    flavour="watsonx-generation",
    provider="watsonx",
    model="ibm/granite-13b",
    region="us-south",
    request={"model_id": "ibm/granite-13b", "input": "hi"},
)
WATSONX_RESULT = {
    "generated_text": "Hi",
    "generated_token_count": 10,
    "input_token_count": 20,
    "stop_reason": "max_tokens",
}

ROWS = (
    # --- Cohere
    cohere(
        "chat",
        {"id": "1", "finish_reason": "COMPLETE", "message": {}, "usage": used((5, 418), (71, 418))},
        (71, 418),
        billed=(5, 418, {}, {}),
        cost="5*2.5 + 418*10",
    ),
    cohere(
        "chat with reasoning",
        {
            "id": "1",
            "finish_reason": "COMPLETE",
            "message": {},
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 40},
                "tokens": {"input_tokens": 71, "output_tokens": 48, "reasoning_tokens": 33},
            },
        },
        (71, 48),
        received={"reasoning": 33},
        billed=(5, 40, {}, {}),
        cost="5*2.5 + 40*10",
    ),
    cohere(
        "chat with a cache",
        {"id": "1", "message": {}, "usage": used((5, 418), (71, 418), cached_tokens=48)},
        (71, 418),
        sent={"cache_read": 48},
        billed=(5, 418, {}, {}),
        cost="5*2.5 + 418*10",
    ),
    cohere(
        "counts as floats",
        {"id": "1", "message": {}, "usage": used((5.0, 418.0), (71.0, 418.0))},
        (71, 418),
        billed=(5, 418, {}, {}),
        cost="5*2.5 + 418*10",
        source="cohere SDK: UsageTokens",
    ),
    cohere(
        "chat streamed",
        sse(
            ("message-start", {"type": "message-start", "id": "1", "delta": {"message": {}}}),
            (
                "message-end",
                {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": used((5, 9), (71, 9))}},
            ),
        ),
        (71, 9),
        billed=(5, 9, {}, {}),
        cost="5*2.5 + 9*10",
    ),
    api(
        url="https://api.cohere.com/v1/chat",
        source="https://docs.cohere.com/v1/reference/chat",
        flavour="cohere-v1",
        provider="cohere",
        model="command-r-08-2024",
        request={"model": "command-r-08-2024", "message": "hi"},
    )(
        "chat of the first version",
        {"response_id": "r", "generation_id": "g", "text": "Hi", "meta": meta(input_tokens=4, output_tokens=9)},
        (4, 9),
        billed=(4, 9, {}, {}),
        cost="4*0.15 + 9*0.6",
    ),
    api(
        url="https://api.cohere.com/v1/chat",
        source="https://docs.cohere.com/v1/reference/chat",
        flavour="cohere-v1",
        provider="cohere",
        model="command-r-08-2024",
        request={"model": "command-r-08-2024", "message": "hi", "stream": True},
    )(
        "chat of the first version, streamed",
        ndjson(
            {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
            {
                "is_finished": True,
                "event_type": "stream-end",
                "response": {"meta": meta(input_tokens=4, output_tokens=9)},
            },
        ),
        (4, 9),
        billed=(4, 9, {}, {}),
        cost="4*0.15 + 9*0.6",
    ),
    embed(
        "texts",
        {"id": "e", "embeddings": {"float": [[0.1]]}, "texts": ["hi"], "meta": meta(input_tokens=3)},
        (3, 0),
        cost="3*0.12",
    ),
    embed(
        "image tokens",
        {"id": "e", "embeddings": {}, "images": [{}], "meta": meta(images=1, image_tokens=1000)},
        (1000, 0),
        billed=(1000, 0, {"image": 1000}, {}),
        cost="1000*0.47",
    ),
    embed(
        "text and image tokens",
        {"id": "e", "embeddings": {}, "meta": meta(text_tokens=50, image_tokens=1000)},
        (1050, 0),
        billed=(1050, 0, {"image": 1000}, {}),
        cost="50*0.12 + 1000*0.47",
    ),
    embed_v3(
        "images by the piece",
        {"id": "e", "embeddings": {}, "images": [{}], "meta": meta(images=2)},
        (0, 0),
        items={"image": 2},
        cost="unpriced",
    ),
    rerank("search units", {"id": "r", "results": [], "meta": meta(search_units=1)}, (0, 0), items={"search_unit": 1}),
    api(
        url="https://api.cohere.com/v1/classify",
        source="https://docs.cohere.com/reference/classify",
        flavour="cohere-classify",
        provider="cohere",
        model="embed-english-v3.0",
        request={"model": "embed-english-v3.0", "inputs": []},
    )(
        "classifications",
        {"id": "c", "classifications": [], "meta": meta(classifications=3)},
        (0, 0),
        items={"classification": 3},
        cost="unpriced",
    ),
    # --- others who rank and embed
    api(
        url="https://api.voyageai.com/v1/rerank",
        source="https://docs.voyageai.com/reference/reranker-api",
        flavour="rerank",
        provider="voyageai",
        model="rerank-2.5",
    )("Voyage", {"object": "list", "data": [], "model": "rerank-2.5", "usage": {"total_tokens": 26}}, (26, 0)),
    api(
        url="https://api.jina.ai/v1/rerank",
        source="https://jina.ai/reranker",
        flavour="rerank",
        provider="jina",
        model="jina-reranker-v2-base-multilingual",
    )(
        "Jina",
        {
            "model": "jina-reranker-v2-base-multilingual",
            "usage": {"total_tokens": 815, "prompt_tokens": 815},
            "results": [],
        },
        (815, 0),
    ),
    api(
        url="https://api.together.xyz/v1/rerank",
        source="together SDK: RerankCreateResponse",
        flavour="rerank",
        provider="together",
        model="Salesforce/Llama-Rank-v1",
    )(
        "Together",
        {
            "object": "rerank",
            "model": "Salesforce/Llama-Rank-v1",
            "results": [],
            "usage": {"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20},
        },
        (20, 0),
    ),
    api(
        url="https://ai.api.nvidia.com/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking",
        source="https://docs.api.nvidia.com/nim/reference",
        flavour="rerank",
        provider="NVIDIA",
        model="nvidia/llama-3.2-nv-rerankqa-1b-v2",
        request={"model": "nvidia/llama-3.2-nv-rerankqa-1b-v2", "query": {}},
    )("NVIDIA", {"rankings": [], "usage": {"prompt_tokens": 20, "total_tokens": 20}}, (20, 0)),
    api(
        url="https://api.voyageai.com/v1/multimodalembeddings",
        source="voyageai SDK: MultimodalEmbeddingsObject",
        flavour="voyage-multimodal",
        provider="voyageai",
        model="voyage-multimodal-3.5",
    )(
        "text and pixels",
        {
            "object": "list",
            "data": [],
            "model": "voyage-multimodal-3.5",
            "usage": {"text_tokens": 5, "image_pixels": 2_000_000, "total_tokens": 3576},
        },
        (3576, 0),
        billed=(5, 0, {}, {}),
        items={"image_pixel": 2_000_000},
        cost="unpriced",
    ),
    api(
        url=f"{PINECONE}/embed",
        source="pinecone SDK: EmbedUsage",
        flavour="pinecone-inference",
        provider="pinecone",
        model="multilingual-e5-large",
        request={"model": "multilingual-e5-large", "inputs": []},
    )(
        "Pinecone",
        {"model": "multilingual-e5-large", "vector_type": "dense", "data": [], "usage": {"total_tokens": 16}},
        (16, 0),
    ),
    api(
        url=f"{PINECONE}/rerank",
        source="pinecone SDK: RerankUsage",
        flavour="rerank",
        provider="pinecone",
        model="bge-reranker-v2-m3",
    )(
        "Pinecone",
        {"model": "bge-reranker-v2-m3", "data": [], "usage": {"rerank_units": 1}},
        (0, 0),
        items={"rerank_unit": 1},
        cost="unpriced",
    ),
    api(
        url="https://idx-abc.svc.aped-1.pinecone.io/records/namespaces/ns/search",
        source="pinecone SDK: SearchUsage",
        flavour="pinecone-search",
        provider="pinecone",
        request={"query": {}},
        model="unknown",
    )(
        "a search that embeds",
        {"result": {"hits": []}, "usage": {"read_units": 6, "embed_total_tokens": 8, "rerank_units": 1}},
        (8, 0),
        items={"rerank_unit": 1},
    ),
    api(
        url="https://prod-1-data.ke.pinecone.io/assistant/chat/my-assistant",
        source="https://docs.pinecone.io/reference/api/assistant/chat_assistant",
        flavour="pinecone-assistant",
        provider="pinecone",
        model="gpt-4o",
        request={"messages": [], "model": "gpt-4o"},
    )(
        "assistant",
        {
            "id": "a",
            "model": "gpt-4o",
            "message": {},
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
        },
        (20, 10),
        cost="unpriced",
    ),
    # --- Cloudflare
    cloudflare(
        "text",
        {"result": {"response": "Hi", "usage": CF_USED}, "success": True, "errors": [], "messages": []},
        (20, 10),
    ),
    cloudflare("text streamed", sse({"response": "H"}, {"response": "", "usage": CF_USED}, done=True), (20, 10)),
    api(
        url="https://gateway.ai.cloudflare.com/v1/acc/gw/workers-ai/@cf/meta/llama-3.1-8b-instruct",
        source="https://developers.cloudflare.com/ai-gateway/usage/providers/workersai/",
        flavour="cloudflare-run",
        provider="cloudflare",
        model="@cf/meta/llama-3.1-8b-instruct",
        request={"prompt": "hi"},
    )("through the gateway", {"result": {"response": "Hi", "usage": CF_USED}, "success": True}, (20, 10)),
    api(
        url=f"{CF}/@cf/baai/bge-base-en-v1.5",
        source="https://developers.cloudflare.com/workers-ai/models/bge-base-en-v1.5/",
        flavour="cloudflare-run",
        provider="cloudflare",
        model="@cf/baai/bge-base-en-v1.5",
        request={"text": ["hi"]},
    )(
        "embedding without usage",
        {"result": {"shape": [1, 768], "data": [[0.1]]}, "success": True},
        None,
        status="no_usage",
        note="the response states no usage",
    ),
    # --- DeepInfra, Replicate, AI21, Aleph Alpha, Reka, NLP Cloud, AssemblyAI
    api(
        url="https://api.deepinfra.com/v1/inference/meta-llama/Llama-2-70b-chat-hf",
        source="https://deepinfra.com/docs/advanced/deepinfra_api",
        flavour="deepinfra",
        provider="deepinfra",
        model="meta-llama/Llama-2-70b-chat-hf",
        request={"input": "hi"},
    )(
        "native",
        {
            "results": [{"generated_text": "Hi"}],
            "num_tokens": 10,
            "num_input_tokens": 20,
            "request_id": "r",
            "inference_status": {
                "status": "succeeded",
                "runtime_ms": 99,
                "cost": 0.00003,
                "tokens_generated": 10,
                "tokens_input": 20,
            },
        },
        (20, 10),
        stated="0.00003",
        cost="stated",
    ),
    api(
        url="https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions",
        source="https://replicate.com/docs/reference/http",
        flavour="replicate",
        provider="replicate",
        model="meta/meta-llama-3-70b-instruct",
        request={"input": {"prompt": "hi"}},
    )(
        "prediction",
        {
            "id": "p",
            "model": "meta/meta-llama-3-70b-instruct",
            "version": "v",
            "status": "succeeded",
            "metrics": {"input_token_count": 20, "output_token_count": 10, "predict_time": 0.9},
            "urls": {},
            "input": {},
        },
        (20, 10),
    ),
    api(
        url="https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions",
        source="https://replicate.com/docs/reference/http",
        flavour="replicate",
        provider="replicate",
        model="meta/meta-llama-3-70b-instruct",
        request={"input": {"prompt": "hi"}},
    )(
        "prediction under way",
        {
            "id": "p",
            "model": "meta/meta-llama-3-70b-instruct",
            "version": "v",
            "status": "starting",
            "urls": {},
            "input": {},
        },
        None,
        status="no_usage",
        note="the response is starting: its usage comes when it is retrieved",
    ),
    api(
        url="https://api.ai21.com/studio/v1/j2-ultra/complete",
        source="https://docs.ai21.com/reference/j2-complete-ref",
        flavour="ai21-complete",
        provider="ai21",
        model="j2-ultra",
    )(
        "Jurassic",
        {"id": "1", "prompt": {"text": "hi", "tokens": [{}] * 4}, "completions": [{"data": {"tokens": [{}, {}]}}]},
        (4, 2),
    ),
    api(
        url="https://api.aleph-alpha.com/complete",
        source="https://docs.aleph-alpha.com/api/complete",
        flavour="aleph-alpha-complete",
        provider="aleph_alpha",
        model="luminous-base",
        request={"model": "luminous-base", "prompt": []},
    )(
        "completion",
        {
            "model_version": "2021-12",
            "completions": [{"completion": "Hi", "finish_reason": "maximum_tokens"}],
            "num_tokens_prompt_total": 20,
            "num_tokens_generated": 10,
        },
        (20, 10),
    ),
    api(
        url="https://api.reka.ai/v1/chat",
        source="reka SDK: ChatResponse",
        flavour="reka-chat",
        provider="reka",
        model="reka-flash-3",
        request={"model": "reka-flash-3", "messages": []},
    )(
        "chat",
        {
            "id": "r",
            "model": "reka-flash-3",
            "responses": [{"finish_reason": "stop", "message": {}}],
            "usage": {"input_tokens": 20, "output_tokens": 10},
        },
        (20, 10),
    ),
    api(
        url="https://api.reka.ai/v1/chat",
        source="reka SDK: ChunkChatResponse",
        flavour="reka-chat",
        provider="reka",
        model="reka-flash-3",
        request={"model": "reka-flash-3", "messages": []},
    )(
        "chat streamed",
        sse(
            {
                "id": "r",
                "model": "reka-flash-3",
                "responses": [{"chunk": {"content": "H"}, "finish_reason": None}],
                "usage": {"input_tokens": 20, "output_tokens": 1},
            },
            {
                "id": "r",
                "model": "reka-flash-3",
                "responses": [{"chunk": {"content": "Hi"}, "finish_reason": "stop"}],
                "usage": {"input_tokens": 20, "output_tokens": 10},
            },
        ),
        (20, 10),
    ),
    api(
        url="https://api.nlpcloud.io/v1/gpu/chatdolphin/chatbot",
        source="https://docs.nlpcloud.com/#chatbot-and-conversational-ai",
        flavour="nlp-cloud",
        provider=None,
        model="chatdolphin",
        request={"input": "hi"},
    )("chat", {"response": "Hi", "nb_input_tokens": 20, "nb_generated_tokens": 10}, (20, 10)),
    api(
        url="https://api.assemblyai.com/lemur/v3/generate/task",
        source="assemblyai SDK: LemurUsage",
        flavour="assemblyai-lemur",
        provider="assemblyai",
        model="anthropic/claude-3-5-sonnet",
        request={"prompt": "hi", "final_model": "anthropic/claude-3-5-sonnet"},
    )(
        "LeMUR",
        {"request_id": "r", "response": "Hi", "usage": {"input_tokens": 20, "output_tokens": 10}},
        (20, 10),
        cost="unpriced",
    ),
    # --- DashScope
    dashscope(
        "text",
        {
            "request_id": "r",
            "output": {"choices": []},
            "usage": {
                "input_tokens": 20,
                "output_tokens": 10,
                "total_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        },
        (20, 10),
        sent={"cache_read": 0},
    ),
    dashscope(
        "text streamed",
        sse(
            {
                "request_id": "r",
                "output": {"choices": [{"finish_reason": "null"}]},
                "usage": {"input_tokens": 20, "output_tokens": 1, "total_tokens": 21},
            },
            {
                "request_id": "r",
                "output": {"choices": [{"finish_reason": "stop"}]},
                "usage": {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30},
            },
        ),
        (20, 10),
    ),
    api(
        url=f"{DASHSCOPE}/multimodal-generation/generation",
        source="https://help.aliyun.com/zh/model-studio/vision",
        flavour="dashscope",
        provider="dashscope",
    )(
        "pictures to read",
        {
            "request_id": "r",
            "output": {},
            "usage": {
                "input_tokens": 1250,
                "output_tokens": 10,
                "image_tokens": 1230,
                "input_tokens_details": {"text_tokens": 20, "image_tokens": 1230},
            },
        },
        (1250, 10),
        billed=(1250, 10, {"image": 1230}, {}),
    ),
    api(
        url=f"{DASHSCOPE}/multimodal-generation/generation",
        source="https://help.aliyun.com/zh/model-studio/qwen-image-api",
        flavour="dashscope",
        provider="dashscope",
    )(
        "pictures to make",
        {"request_id": "r", "output": {}, "usage": {"image_count": 2, "width": 1024, "height": 1024}},
        (0, 0),
        items={"image": 2},
        cost="unpriced",
    ),
    api(
        url="https://dashscope.aliyuncs.com/api/v1/services/embeddings/text-embedding/text-embedding",
        source="https://help.aliyun.com/zh/model-studio/text-embedding-synchronous-api",
        flavour="dashscope-embeddings",
        provider="dashscope",
    )("embeddings", {"request_id": "r", "output": {"embeddings": []}, "usage": {"total_tokens": 26}}, (26, 0)),
    api(
        url="https://dashscope.aliyuncs.com/api/v1/services/rerank/text-rerank/text-rerank",
        source="https://help.aliyun.com/zh/model-studio/text-rerank-api",
        flavour="dashscope-embeddings",
        provider="dashscope",
    )("ranking", {"request_id": "r", "output": {"results": []}, "usage": {"total_tokens": 79}}, (79, 0)),
    # --- Oracle
    oci(
        "chat",
        {
            "modelId": "cohere.command-r-plus",
            "modelVersion": "1.0",
            "chatResponse": {"apiFormat": "GENERIC", "choices": [], "usage": OCI_USED},
        },
        (20, 10),
        sent={"cache_read": 8},
        received={"reasoning": 4},
    ),
    oci(
        "chat by Cohere's form",
        {
            "modelId": "cohere.command-r-plus",
            "chatResponse": {
                "apiFormat": "COHERE",
                "text": "Hi",
                "finishReason": "COMPLETE",
                "usage": {"completionTokens": 10, "promptTokens": 20, "totalTokens": 30},
            },
        },
        (20, 10),
    ),
    oci(
        "chat streamed",
        sse(
            {"index": 0, "message": {"content": [{"text": "Hi"}]}},
            {"finishReason": "stop", "usage": {"completionTokens": 10, "promptTokens": 20, "totalTokens": 30}},
        ),
        (20, 10),
    ),
    api(
        url=f"{OCI}/embedText",
        source="oci SDK: EmbedTextResult",
        flavour="oci",
        provider="oci",
        model="cohere.embed-v4.0",
        region="us-chicago-1",
        request={"servingMode": {"modelId": "cohere.embed-v4.0"}, "inputs": []},
    )(
        "embeddings",
        {
            "id": "e",
            "embeddings": [[0.1]],
            "modelId": "cohere.embed-v4.0",
            "usage": {"promptTokens": 6, "totalTokens": 6},
        },
        (6, 0),
    ),
    # --- Yandex
    yandex(
        "completion",
        {"result": {"alternatives": FINAL, "usage": YANDEX_USED, "modelVersion": "09.02.2025"}},
        (19, 6),
        received={"reasoning": 0},
    ),
    yandex(
        "completion streamed",
        ndjson(
            {
                "result": {
                    "alternatives": [{"status": "ALTERNATIVE_STATUS_PARTIAL"}],
                    "usage": {"inputTextTokens": "19", "completionTokens": "1", "totalTokens": "20"},
                }
            },
            {"result": {"alternatives": FINAL, "usage": YANDEX_USED}},
        ),
        (19, 6),
        received={"reasoning": 0},
    ),
    api(
        url=f"{YANDEX}/textEmbedding",
        source="https://yandex.cloud/en/docs/foundation-models/embeddings/api-ref/Embeddings/textEmbedding",
        flavour="yandex-embedding",
        provider="yandex",
        model="text-search-doc/latest",
        request={"modelUri": "emb://folder/text-search-doc/latest", "text": "hi"},
    )("embedding", {"embedding": [0.1], "numTokens": "5", "modelVersion": "06.12.2023"}, (5, 0)),
    # --- watsonx
    watsonx("generation", {"model_id": "ibm/granite-13b", "results": [WATSONX_RESULT]}, (20, 10)),
    api(
        url="https://eu-de.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2023-10-25",
        source="https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings",
        flavour="watsonx-embed",
        provider="watsonx",
        model="slate",
        region="eu-de",
        request={"model_id": "slate", "inputs": []},
    )("embeddings", {"model_id": "slate", "results": [], "input_token_count": 10}, (10, 0)),
    # --- what is of no API that is known
    api(
        url="https://llm.example.com/v3/ask",
        source="no documentation",
        flavour="unknown",
        provider=None,
        model="wonder-1",
        request={"question": "hi"},
    )(
        "counts beside a model's name",
        {"answer": "Hi", "model": "wonder-1", "usage": {"inputTokens": 20, "outputTokens": 10}},
        None,
        status="no_usage",
        note="looks like a model call that is not read: llm.example.com/v3/ask",
    ),
    api(
        url="https://llm.example.com/v3/ask",
        source="no documentation",
        flavour="unknown",
        provider=None,
        model="wonder-1",
        request={"model": "wonder-1", "question": "hi"},
    )(
        "counts deep inside, the model in the request",
        {"data": {"reply": "Hi", "billing": {"prompt_token_count": 20, "generated_tokens": 10}}},
        None,
        status="no_usage",
        note="looks like a model call that is not read: llm.example.com/v3/ask",
    ),
    api(
        url="https://llm.example.com/v3/vectors",
        source="no documentation",
        flavour="unknown",
        provider=None,
        model="wonder-1",
        request={"model": "wonder-1", "texts": ["hi"]},
    )(
        "a usage that counts what was sent alone",
        {"vectors": [[0.1]], "usage": {"total_tokens": 20}},
        None,
        status="no_usage",
        note="looks like a model call that is not read: llm.example.com/v3/vectors",
    ),
)
