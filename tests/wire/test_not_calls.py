"""What providers' APIs answer without having asked a model: it is no call, and no call that is not read either."""

import pytest
from bodies import exchange
from documented.openai import completion, response, tokens

from pytest_llm_usage import wire

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1"
MISTRAL = "https://api.mistral.ai/v1"
USED = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}

#: By what it is: the method, the URL, the request (None for a GET's) and the response.
NOT_CALLS = {
    # OpenAI
    "tokens counted before a response": (
        "POST",
        f"{OPENAI}/responses/input_tokens",
        {"model": "m", "input": "hi"},
        {"object": "response.input_tokens", "input_tokens": 12},
    ),
    "a moderation": (
        "POST",
        f"{OPENAI}/moderations",
        {"input": "hi"},
        {"id": "modr-1", "model": "omni-moderation-latest", "results": [{"flagged": False}]},
    ),
    "a list of stored completions": (
        "GET",
        f"{OPENAI}/chat/completions?limit=2",
        None,
        {"object": "list", "data": [completion("m", tokens(1, 1))]},
    ),
    "messages of a stored completion": (
        "GET",
        f"{OPENAI}/chat/completions/chatcmpl-1/messages",
        None,
        {"object": "list", "data": [{"id": "1", "role": "user"}]},
    ),
    "a stored completion that is deleted": (
        "DELETE",
        f"{OPENAI}/chat/completions/chatcmpl-1",
        None,
        {"object": "chat.completion.deleted", "id": "chatcmpl-1", "deleted": True},
    ),
    "a response that is deleted": (
        "DELETE",
        f"{OPENAI}/responses/resp_1",
        None,
        {"object": "response", "id": "resp_1", "deleted": True},
    ),
    "what went into a response": (
        "GET",
        f"{OPENAI}/responses/resp_1/input_items",
        None,
        {"object": "list", "data": [{"type": "message"}]},
    ),
    "a conversation": (
        "POST",
        f"{OPENAI}/conversations",
        {"items": []},
        {"id": "conv_1", "object": "conversation", "created_at": 1_788_000_000},
    ),
    "a batch that begins": (
        "POST",
        f"{OPENAI}/batches",
        {"input_file_id": "f", "endpoint": "/v1/chat/completions"},
        {
            "id": "batch_1",
            "object": "batch",
            "model": "m",
            "status": "validating",
            "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        },
    ),
    "a batch that is done": (
        "GET",
        f"{OPENAI}/batches/batch_1",
        None,
        {"id": "batch_1", "object": "batch", "model": "m", "status": "completed", "usage": USED},
    ),
    "a batch that is stopped": (
        "POST",
        f"{OPENAI}/batches/batch_1/cancel",
        b"",
        {"id": "batch_1", "object": "batch", "model": "m", "status": "cancelling", "usage": USED},
    ),
    "a file": ("POST", f"{OPENAI}/files", b"", {"id": "file-1", "object": "file", "bytes": 9}),
    "the content of a file": (
        "GET",
        f"{OPENAI}/files/file-1/content",
        None,
        b'{"messages": [{"role": "user", "content": "hi"}]}\n{"messages": []}\n',
    ),
    "a search of a vector store": (
        "POST",
        f"{OPENAI}/vector_stores/vs_1/search",
        {"query": "hi"},
        {"object": "vector_store.search_results.page", "search_query": "hi", "data": []},
    ),
    "a vector store": (
        "POST",
        f"{OPENAI}/vector_stores",
        {"name": "a"},
        {"id": "vs_1", "object": "vector_store", "usage_bytes": 123, "file_counts": {"total": 1}},
    ),
    "a container": (
        "POST",
        f"{OPENAI}/containers",
        {"name": "a"},
        {"id": "cntr_1", "object": "container", "memory_limit": "1g"},
    ),
    "a training that begins": (
        "POST",
        f"{OPENAI}/fine_tuning/jobs",
        {"model": "m", "training_file": "f"},
        {"id": "ftjob-1", "object": "fine_tuning.job", "model": "m", "trained_tokens": None},
    ),
    "a training that is done": (
        "GET",
        f"{OPENAI}/fine_tuning/jobs/ftjob-1",
        None,
        {"id": "ftjob-1", "object": "fine_tuning.job", "model": "m", "trained_tokens": 5_768},
    ),
    "an evaluation that begins": (
        "POST",
        f"{OPENAI}/evals/eval_1/runs",
        {"data_source": {"type": "completions", "model": "m"}},
        {"id": "evalrun_1", "object": "eval.run", "model": "m", "status": "queued", "per_model_usage": None},
    ),
    "a key for a session": (
        "POST",
        f"{OPENAI}/realtime/client_secrets",
        {"session": {"type": "realtime", "model": "m"}},
        {
            "value": "ek_1",
            "expires_at": 1,
            "session": {
                "model": "m",
                "max_output_tokens": 4_096,
                "truncation": {"token_limits": {"post_instructions": 900}},
            },
        },
    ),
    "an assistant": (
        "POST",
        f"{OPENAI}/assistants",
        {"model": "m"},
        {"id": "asst_1", "object": "assistant", "model": "m"},
    ),
    "a thread": ("POST", f"{OPENAI}/threads", {"messages": []}, {"id": "thread_1", "object": "thread"}),
    "a message of a thread": (
        "POST",
        f"{OPENAI}/threads/thread_1/messages",
        {"role": "user", "content": "hi"},
        {"id": "msg_1", "object": "thread.message", "content": []},
    ),
    "a list of models": ("GET", f"{OPENAI}/models", None, {"object": "list", "data": [{"id": "m", "object": "model"}]}),
    "the usage of an organisation": (
        "GET",
        f"{OPENAI}/organization/usage/completions",
        None,
        {
            "object": "page",
            "data": [{"results": [{"object": "organization.usage.completions.result", "model": "m", **USED}]}],
        },
    ),
    "a list of responses' answers elsewhere": (
        "GET",
        "https://app.example.com/history",
        None,
        {"items": [response("m", USED)]},
    ),
    # Anthropic
    "tokens counted before a message": (
        "POST",
        f"{ANTHROPIC}/messages/count_tokens",
        {"model": "m", "messages": []},
        {"input_tokens": 12},
    ),
    "tokens counted by the beta": (
        "POST",
        f"{ANTHROPIC}/messages/count_tokens?beta=true",
        {"model": "m", "messages": []},
        {"input_tokens": 12, "context_management": {"original_input_tokens": 30}},
    ),
    "a batch of Anthropic's": (
        "POST",
        f"{ANTHROPIC}/messages/batches",
        {"requests": []},
        {
            "id": "msgbatch_1",
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": 2},
        },
    ),
    "an uploaded file": ("POST", f"{ANTHROPIC}/files", b"", {"id": "file_1", "type": "file", "size_bytes": 9}),
    "a model of Anthropic's": (
        "GET",
        f"{ANTHROPIC}/models/claude-sonnet-4-5",
        None,
        {"id": "claude-sonnet-4-5", "type": "model", "max_input_tokens": 1_000_000, "max_tokens": 64_000},
    ),
    # Google
    "tokens counted by Gemini": (
        "POST",
        f"{GEMINI}/models/gemini-2.5-flash:countTokens",
        {"contents": []},
        {"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]},
    ),
    "tokens computed by Vertex": (
        "POST",
        f"{VERTEX}/publishers/google/models/gemini-2.5-flash:computeTokens",
        {"contents": []},
        {"tokensInfo": [{"tokenIds": ["1"]}]},
    ),
    "tokens of Claude counted on Vertex": (
        "POST",
        f"{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict",
        {"model": "m", "messages": []},
        {"input_tokens": 14},
    ),
    "a cache of Gemini's": (
        "POST",
        f"{GEMINI}/cachedContents",
        {"model": "models/gemini-2.5-flash", "contents": []},
        {"name": "cachedContents/1", "model": "models/gemini-2.5-flash", "usageMetadata": {"totalTokenCount": 4_600}},
    ),
    "a batch of Gemini's that begins": (
        "POST",
        f"{GEMINI}/models/gemini-2.5-flash:batchGenerateContent",
        {"batch": {}},
        {"name": "batches/1", "metadata": {"model": "models/gemini-2.5-flash", "state": "BATCH_STATE_PENDING"}},
    ),
    "a batch of Gemini's under way": (
        "GET",
        f"{GEMINI}/batches/1",
        None,
        {"name": "batches/1", "metadata": {"state": "BATCH_STATE_RUNNING"}},
    ),
    "a video under way": (
        "GET",
        f"{GEMINI}/models/veo-3.1-generate-preview/operations/1",
        None,
        {"name": "operations/1", "done": False},
    ),
    "a model of Google's": (
        "GET",
        f"{GEMINI}/models/gemini-2.5-flash",
        None,
        {"name": "models/gemini-2.5-flash", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536},
    ),
    "a key for a live session": ("POST", f"{GEMINI}/auth_tokens", {"uses": 1}, {"name": "auth_tokens/1"}),
    # Others
    "tokens counted by Bedrock": (
        "POST",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens",
        {"input": {}},
        {"inputTokens": 12},
    ),
    "a guardrail of Bedrock's": (
        "POST",
        "https://bedrock-runtime.us-east-1.amazonaws.com/guardrail/g/version/1/apply",
        {"source": "INPUT", "content": []},
        {"usage": {"topicPolicyUnits": 1}, "action": "NONE", "outputs": []},
    ),
    "a search of a knowledge base": (
        "POST",
        "https://bedrock-agent-runtime.us-east-1.amazonaws.com/knowledgebases/k/retrieve",
        {"retrievalQuery": {"text": "hi"}},
        {"retrievalResults": []},
    ),
    "a session of Bedrock's": (
        "PUT",
        "https://bedrock-agent-runtime.us-east-1.amazonaws.com/sessions/",
        {},
        {"sessionId": "s"},
    ),
    "an agent of Mistral's": (
        "POST",
        f"{MISTRAL}/agents",
        {"model": "m", "name": "a"},
        {"id": "ag_1", "model": "m", "object": "agent"},
    ),
    "what was said in a conversation": (
        "GET",
        f"{MISTRAL}/conversations/conv_1/history",
        None,
        {"object": "conversation.history", "entries": []},
    ),
    "a batch of Mistral's": (
        "POST",
        f"{MISTRAL}/batch/jobs",
        {"model": "m", "input_files": ["f"]},
        {"id": "job-1", "object": "batch", "model": "m", "status": "QUEUED", "total_requests": 3},
    ),
    "a document in a library": (
        "GET",
        f"{MISTRAL}/libraries/l/documents/d",
        None,
        {"id": "d", "tokens_processing_total": 900},
    ),
    "Cohere's tokenizer": (
        "POST",
        "https://api.cohere.com/v1/tokenize",
        {"model": "command-r", "text": "hi"},
        {"tokens": [1, 2], "token_strings": ["h", "i"], "meta": {"api_version": {"version": "1"}}},
    ),
    "Cohere's tokenizer, backwards": (
        "POST",
        "https://api.cohere.com/v1/detokenize",
        {"model": "command-r", "tokens": [1]},
        {"text": "h", "meta": {}},
    ),
    "a key that Cohere checks": ("POST", "https://api.cohere.com/v1/check-api-key", {}, {"valid": True}),
    "an estimate of Moonshot's": (
        "POST",
        "https://api.moonshot.ai/v1/tokenizers/estimate-token-count",
        {"model": "kimi-k2", "messages": []},
        {"data": {"total_tokens": 80}},
    ),
    "Volcengine's tokenizer": (
        "POST",
        "https://ark.cn-beijing.volces.com/api/v3/tokenization",
        {"model": "m", "text": ["hi"]},
        {"object": "list", "model": "m", "data": [{"object": "tokenization", "total_tokens": 4, "token_ids": [1]}]},
    ),
    "xAI's tokenizer": (
        "POST",
        "https://api.x.ai/v1/tokenize-text",
        {"model": "grok-4", "text": "hi"},
        {"token_ids": [{"token_id": 1, "string_token": "hi"}]},
    ),
    "what a generation cost": (
        "GET",
        "https://openrouter.ai/api/v1/generation?id=gen-1",
        None,
        {"data": {"id": "gen-1", "model": "m", "total_cost": 0.1, "tokens_prompt": 10, "tokens_completion": 5}},
    ),
    "vLLM's tokenizer": (
        "POST",
        "http://gpu:8000/tokenize",
        {"model": "m", "prompt": "hi"},
        {"count": 2, "max_model_len": 4_096, "tokens": [1, 2]},
    ),
    "llama.cpp's template": ("POST", "http://gpu:8080/apply-template", {"messages": []}, {"prompt": "<|user|>hi"}),
    "llama.cpp's properties": (
        "GET",
        "http://gpu:8080/props",
        None,
        {"default_generation_settings": {"n_ctx": 1_024, "params": {"n_predict": -1}}},
    ),
    "a model of Ollama's": (
        "POST",
        "http://localhost:11434/api/show",
        {"model": "m"},
        {
            "details": {"family": "llama"},
            "model_info": {"llama.context_length": 8_192, "tokenizer.ggml.bos_token_id": 128_000},
        },
    ),
    "a model that Ollama fetches": (
        "POST",
        "http://localhost:11434/api/pull",
        {"model": "m"},
        b'{"status": "pulling", "total": 9, "completed": 1}\n{"status": "success"}\n',
    ),
    "a model that LM Studio loads": (
        "POST",
        "http://localhost:1234/api/v1/models/load",
        {"model": "m"},
        {"type": "llm", "instance_id": "m", "load_config": {"context_length": 8_192}},
    ),
    "a search without a model": (
        "POST",
        "https://api.perplexity.ai/search",
        {"query": "hi"},
        {"results": [], "id": "1"},
    ),
    "Jina's reader": (
        "POST",
        "https://r.jina.ai/",
        {"url": "https://a.b"},
        {"code": 200, "data": {"title": "a", "content": "b"}},
    ),
    "rows of Pinecone": (
        "POST",
        "https://idx.svc.pinecone.io/query",
        {"vector": [0.1], "topK": 1},
        {"matches": [], "usage": {"readUnits": 5}},
    ),
}


@pytest.mark.parametrize(("method", "url", "request_body", "body"), NOT_CALLS.values(), ids=NOT_CALLS)
def test_what_asks_no_model_is_no_call(method, url, request_body, body):
    found = wire.read(exchange(url, b"" if request_body is None else request_body, body, method=method))

    assert found is None
