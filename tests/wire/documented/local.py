"""Servers that people run themselves: Ollama, TGI, TEI, SGLang, llama.cpp, LM Studio, vLLM."""

from bodies import ndjson, sse

from documented.row import api

OLLAMA = "https://github.com/ollama/ollama/blob/main/docs/api.md"
TGI = "https://huggingface.co/docs/text-generation-inference/reference/api_reference"
SGLANG = "https://docs.sglang.io/basic_usage/native_api.html"
LLAMA_CPP = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 290, "eval_duration": 4_709_213_000}

ollama = api(
    url="http://localhost:11434/api/chat", source=OLLAMA, flavour="ollama-chat", provider="ollama", model="llama3.2"
)
generate = api(
    url="http://localhost:11434/api/generate",
    source=OLLAMA,
    flavour="ollama-generate",
    provider="ollama",
    model="llama3.2",
)
tgi = api(
    url="http://localhost:8080/generate",
    source=TGI,
    flavour="tgi-generate",
    provider=None,
    request={"inputs": "hi"},
    model="unknown",
)
sglang = api(
    url="http://localhost:30000/generate",
    source=SGLANG,
    flavour="sglang-generate",
    provider=None,
    request={"text": "hi"},
    model="unknown",
)
llama_cpp = api(
    url="http://localhost:8080/completion",
    source=LLAMA_CPP,
    flavour="llama-cpp-completion",
    provider=None,
    request={"prompt": "hi"},
    model="unknown",
)
lm_studio = api(
    url="http://localhost:1234/api/v1/chat",
    source="https://lmstudio.ai/docs/developer/rest/chat",
    flavour="lm-studio-chat",
    provider=None,
    request={"model": "qwen3", "input": "hi"},
    model="qwen3",
)
vllm = api(
    source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    flavour="vllm-pooling",
    provider=None,
    url="http://localhost:8000/score",
)
STATS = {"input_tokens": 646, "total_output_tokens": 586, "reasoning_output_tokens": 195, "tokens_per_second": 29.7}
TGI_DETAILS = {
    "finish_reason": "length",
    "generated_tokens": 2,
    "prefill": [{"id": 1}, {"id": 2}, {"id": 3}],
    "tokens": [],
}
META = {"id": "g-1", "prompt_tokens": 7, "completion_tokens": 5, "cached_tokens": 2, "finish_reason": {"type": "stop"}}

features = api(
    source="https://huggingface.co/docs/inference-providers/tasks/feature-extraction",
    flavour="tei",
    provider="huggingface",
    request={"inputs": "hi"},
    model="thenlper/gte-large",
)

ROWS = (
    ollama(
        "chat",
        {"model": "llama3.2", "message": {"role": "assistant", "content": "Hi"}, **DONE},
        (26, 290),
        cost="unpriced",
    ),
    ollama(
        "chat streamed",
        ndjson(
            {"model": "llama3.2", "message": {"content": "H"}, "done": False},
            {"model": "llama3.2", "message": {"content": ""}, **DONE},
        ),
        (26, 290),
    ),
    ollama("prompt that was cached", {"model": "llama3.2", "message": {}, "done": True, "eval_count": 9}, (0, 9)),
    generate("generate", {"model": "llama3.2", "response": "Hi", **DONE}, (26, 290)),
    generate(
        "generate streamed",
        ndjson({"model": "llama3.2", "response": "H", "done": False}, {"model": "llama3.2", "response": "", **DONE}),
        (26, 290),
    ),
    api(
        url="http://localhost:11434/api/embed",
        source=OLLAMA,
        flavour="ollama-embed",
        provider="ollama",
        model="all-minilm",
    )("embeddings", {"model": "all-minilm", "embeddings": [[0.1]], "prompt_eval_count": 8}, (8, 0)),
    api(
        url="http://localhost:11434/api/embed",
        source="ollama SDK: EmbedResponse",
        flavour="ollama-embed",
        provider="ollama",
        model="all-minilm",
    )(
        "embeddings, as the SDK writes its answer",
        {"model": "all-minilm", "embeddings": [[0.1]], "prompt_eval_count": 8, "eval_count": None, "done": None},
        (8, 0),
    ),
    api(
        url="https://ollama.com/api/chat",
        source="https://docs.ollama.com/cloud",
        flavour="ollama-chat",
        provider="ollama",
        model="gpt-oss:120b",
    )("cloud", {"model": "gpt-oss:120b", "message": {}, **DONE}, (26, 290), cost="unpriced"),
    tgi("details", {"generated_text": "Hi", "details": TGI_DETAILS}, (3, 2)),
    # The tokens of the prompt are listed if `decoder_input_details` requests them.
    tgi(
        "details without the prompt",
        {"generated_text": "Hi", "details": TGI_DETAILS | {"prefill": []}},
        None,
        status="no_usage",
        note="details.input_length is missing",
    ),
    tgi(
        "details without the prompt, which the headers count",
        {"generated_text": "Hi", "details": TGI_DETAILS | {"prefill": []}},
        (3, 2),
        response_headers={"x-prompt-tokens": "3", "x-generated-tokens": "2"},
    ),
    tgi(
        "counts in headers",
        {"generated_text": "Hi"},
        (3, 2),
        response_headers={"x-prompt-tokens": "3", "x-generated-tokens": "2"},
    ),
    api(
        url="http://localhost:8080/",
        source=TGI,
        flavour="tgi-generate",
        provider=None,
        request={"inputs": "hi"},
        model="unknown",
    )(
        "the root of a server, counted in headers",
        [{"generated_text": "Hi"}],
        (3, 2),
        response_headers={"x-prompt-tokens": "3", "x-generated-tokens": "2"},
    ),
    tgi("no counts", {"generated_text": "Hi"}, None, status="no_usage", note="the response states no usage"),
    api(
        url="http://localhost:8080/generate_stream",
        source=TGI,
        flavour="tgi-generate",
        provider=None,
        request={"inputs": "hi"},
        model="unknown",
    )(
        "streamed",
        sse(
            {"index": 1, "token": {"id": 1, "text": "H"}, "generated_text": None, "details": None},
            {
                "index": 2,
                "token": {"id": 2, "text": "i"},
                "generated_text": "Hi",
                "details": {"finish_reason": "length", "generated_tokens": 2, "input_length": 3},
            },
        ),
        (3, 2),
    ),
    api(
        url="https://abc.us-east-1.aws.endpoints.huggingface.cloud/",
        source=TGI,
        flavour="tgi-root",
        provider="huggingface",
        request={"inputs": "hi", "parameters": {"details": True}},
        model="unknown",
    )("the root of an endpoint", [{"generated_text": "Hi", "details": TGI_DETAILS}], (3, 2)),
    api(
        url="https://api-inference.huggingface.co/models/bigscience/bloom",
        source="huggingface_hub: InferenceClient.text_generation",
        flavour="tgi-root",
        provider="huggingface",
        request={"inputs": "hi", "parameters": {}},
        model="bigscience/bloom",
    )(
        "serverless without counts",
        [{"generated_text": "Hi"}],
        None,
        status="no_usage",
        note="the response states no usage",
    ),
    api(
        url="http://localhost:8080/embed",
        source="https://huggingface.github.io/text-embeddings-inference",
        flavour="tei",
        provider=None,
        request={"inputs": "hi"},
        model="unknown",
    )("embeddings counted in a header", [[0.1, 0.2]], (6, 0), response_headers={"x-compute-tokens": "6"}),
    features(
        "embeddings of a provider",
        [[0.1, 0.2]],
        (6, 0),
        url="https://router.huggingface.co/hf-inference/models/thenlper/gte-large/pipeline/feature-extraction",
        response_headers={"x-compute-tokens": "6"},
    ),
    features(
        "embeddings without counts",
        [0.1, 0.2],
        None,
        url="https://api-inference.huggingface.co/pipeline/feature-extraction/thenlper/gte-large",
        status="no_usage",
        note="the response states no usage",
    ),
    features(
        "embeddings of a model without an owner",
        [0.1, 0.2],
        None,
        url="https://api-inference.huggingface.co/models/gpt2/pipeline/feature-extraction",
        model="gpt2",
        status="no_usage",
        note="the response states no usage",
    ),
    sglang("text", {"text": "Hi", "meta_info": META}, (7, 5), sent={"cache_read": 2}),
    sglang(
        "several texts",
        [{"text": "Hi", "meta_info": META}, {"text": "Ho", "meta_info": META | {"completion_tokens": 9}}],
        (14, 14),
        sent={"cache_read": 4},
    ),
    sglang(
        "streamed",
        sse({"text": "H", "meta_info": META | {"completion_tokens": 1}}, {"text": "Hi", "meta_info": META}, done=True),
        (7, 5),
        sent={"cache_read": 2},
    ),
    llama_cpp(
        "completion",
        {
            "content": "Hi",
            "stop": True,
            "model": "q.gguf",
            "tokens_predicted": 12,
            "tokens_evaluated": 9,
            "tokens_cached": 20,
            "timings": {"prompt_n": 9, "predicted_n": 12},
        },
        (9, 12),
        model="q.gguf",
    ),
    llama_cpp(
        "streamed",
        sse(
            {"content": "H", "stop": False},
            {"content": "", "stop": True, "model": "q.gguf", "tokens_predicted": 12, "tokens_evaluated": 9},
        ),
        (9, 12),
        model="q.gguf",
    ),
    lm_studio(
        "chat",
        {
            "model_instance_id": "qwen3",
            "output": [{"type": "message", "content": "Hi"}],
            "stats": STATS,
            "response_id": "resp_9",
        },
        (646, 586),
        received={"reasoning": 195},
    ),
    lm_studio(
        "chat streamed",
        sse(
            ("chat.start", {"type": "chat.start", "model_instance_id": "qwen3"}),
            ("message.delta", {"type": "message.delta", "content": "Hi"}),
            (
                "chat.end",
                {
                    "type": "chat.end",
                    "result": {"model_instance_id": "qwen3", "output": [], "stats": STATS, "response_id": "resp_9"},
                },
            ),
        ),
        (646, 586),
        received={"reasoning": 195},
    ),
    vllm(
        "score",
        {
            "id": "s-1",
            "object": "list",
            "model": "BAAI/bge-reranker",
            "data": [{"score": 1.0}],
            "usage": {"prompt_tokens": 14, "total_tokens": 14, "completion_tokens": 0},
        },
        (14, 0),
        request={"model": "BAAI/bge-reranker", "text_1": "a", "text_2": "b"},
        model="BAAI/bge-reranker",
    ),
    api(
        url="http://localhost:8000/pooling",
        source="https://docs.vllm.ai/en/latest/models/pooling_models.html",
        flavour="vllm-pooling",
        provider=None,
    )(
        "pooling",
        {
            "id": "p-1",
            "object": "list",
            "model": "m",
            "data": [{"data": [0.1]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0},
        },
        (5, 0),
    ),
    api(
        url="http://localhost:8000/v1/rerank",
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        flavour="rerank",
        provider=None,
        model="BAAI/bge-reranker",
    )("vLLM", {"id": "r-1", "model": "BAAI/bge-reranker", "usage": {"total_tokens": 56}, "results": []}, (56, 0)),
)
