"""What is a call and what is not, and what else a response tells of one."""

import subprocess
import sys
from decimal import Decimal

import pytest
from bodies import exchange, sse

from pytest_llm_usage import wire
from pytest_llm_usage.wire import asked_model

CHAT = {"model": "m", "messages": []}
URL = "https://api.openai.com/v1/chat/completions"
SPENT = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@pytest.mark.parametrize("status", [0, 100, 301, 400, 401, 404, 429, 500, 503])
def test_an_answer_that_is_no_success_is_no_call(status):
    assert wire.read(exchange(URL, CHAT, {"usage": SPENT}, status=status)) is None


@pytest.mark.parametrize(
    ("method", "url", "request_body", "body"),
    [
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", CHAT, {"input_tokens": 9}),
        ("POST", "https://api.openai.com/v1/responses/input_tokens", CHAT, {"input_tokens": 9}),
        ("POST", "https://g.example/v1beta/models/g:countTokens", {"contents": []}, {"totalTokens": 9}),
        ("POST", "https://v.example/v1/publishers/anthropic/models/count-tokens:rawPredict", CHAT, {"input_tokens": 9}),
        ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens", {}, {"inputTokens": 9}),
        ("POST", "https://api.cohere.com/v1/tokenize", {"text": "hi", "model": "m"}, {"tokens": [1, 2]}),
        ("GET", "https://api.openai.com/v1/models", b"", {"object": "list", "data": [{"id": "m"}]}),
        ("GET", "https://api.openai.com/v1/chat/completions?limit=9", b"", {"object": "list", "data": []}),
        ("GET", "https://api.openai.com/v1/responses/resp_1/input_items", b"", {"object": "list", "data": []}),
        ("DELETE", "https://api.openai.com/v1/responses/resp_1", b"", {"object": "response"}),
        ("POST", "https://api.openai.com/v1/moderations", {"input": "hi", "model": "m"}, {"results": []}),
        ("POST", "https://api.openai.com/v1/threads/t/messages", {"role": "user"}, {"object": "thread.message"}),
        ("POST", "https://api.anthropic.com/v1/messages/batches", {"requests": []}, {"type": "message_batch"}),
        ("POST", "http://localhost:5000/api/chat", {"message": "to my own server"}, {"reply": "hi"}),
        ("POST", "http://localhost:5000/messages", {"text": "to my own server"}, {"id": 1}),
        ("POST", "http://localhost:5000/responses", {"answers": []}, {"id": 1}),
        ("POST", "http://localhost:5000/predictions", {"input": [1.0]}, {"output": [2.0]}),
        (
            "POST",
            "http://localhost:2024/threads/6f9619ff-8b86/runs",
            {"assistant_id": "agent", "input": {}},
            {"run_id": "r"},
        ),
        ("GET", "http://localhost:5000/files/7/content", b"", b"text"),
        ("GET", "http://localhost:5000/responses/7", b"", {"answers": []}),
        ("POST", "https://api.tavily.com/search", {"query": "hi"}, {"results": [], "usage": {"credits": 1}}),
        ("GET", "https://example.org/", b"", b"<html>"),
    ],
)
def test_what_is_not_billed_by_a_model_is_no_call(method, url, request_body, body):
    asked = exchange(url, request_body, body, method=method)

    assert wire.read(asked) is None
    assert not wire.is_model_call(method, url, asked.request_body, {})


@pytest.mark.parametrize(
    ("method", "url", "request_body"),
    [
        ("POST", "http://127.0.0.1:8000/v1/chat/completions", b'{"model": "m", "messages": []}'),
        ("post", "http://[::1]:8000/v1/chat/completions/", b'{"messages": []}'),
        ("POST", "http://localhost:8000/v1/chat/completions", b""),
        ("POST", "http://localhost:11434/api/chat", b'{"model": "m", "messages": []}'),
        ("POST", "http://localhost:11434/api/chat", b'{"model": "m", "messages": [{"content": "cut o'),
        ("POST", "http://localhost:11434/api/embed", b'{"model": "m", "input": "hi"}'),
        ("POST", "http://localhost:8000/v1/embeddings", b'{"input": "hi"}'),
        ("GET", "http://localhost:8000/v1/responses/resp_abc", b""),
    ],
)
def test_a_local_model_is_asked_like_any_other(method, url, request_body):
    assert wire.is_model_call(method, url, request_body, {})


@pytest.mark.parametrize(
    "body",
    [
        {"object": "chat.completion", "model": "m", "usage": SPENT},
        sse({"object": "chat.completion.chunk", "model": "m"}, {"object": "", "usage": SPENT}, done=True),
        {"object": "response", "model": "m", "usage": {"input_tokens": 12, "output_tokens": 3}},
        {"type": "message", "model": "m", "usage": {"input_tokens": 12, "output_tokens": 3}},
        {
            "candidates": [],
            "modelVersion": "m",
            "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 3},
        },
        {"model": "m", "message": {}, "done": True, "prompt_eval_count": 12, "eval_count": 3},
        # Servers that leave out the `object` of a completion, and Azure's streams, whose first chunk names nothing.
        {"id": "1", "model": "m", "choices": [{"message": {"content": "hi"}}], "usage": SPENT},
        sse(
            {"id": "1", "model": "m", "choices": [{"delta": {"content": "hi"}}]}, {"id": "1", "usage": SPENT}, done=True
        ),
        sse(
            {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            {"id": "1", "model": "m", "object": "chat.completion.chunk", "choices": [], "usage": SPENT},
            done=True,
        ),
    ],
)
@pytest.mark.parametrize("url", ["**REDACTED**", "https://proxy.example/llm", "http://[broken/"])
def test_where_the_path_tells_nothing_the_answer_does(url, body):
    call = wire.read(exchange(url, b"", body))

    assert (call.usage.input_tokens, call.usage.output_tokens, call.model) == (12, 3, "m")
    assert call.kind == "call"


@pytest.mark.parametrize(
    ("flavour", "body"),
    [
        ("ollama-embed", {"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 12}),
        (
            "cohere-embed",
            {
                "id": "1",
                "embeddings": {"float": [[0.1]]},
                "texts": ["hi"],
                "meta": {"billed_units": {"input_tokens": 12}},
            },
        ),
        ("gemini-embed", {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 12}}),
        (
            "openai-images",
            {"created": 1, "data": [{"b64_json": "aGk="}], "usage": {"input_tokens": 12, "output_tokens": 0}},
        ),
        (
            "openai-images",
            sse(
                {"type": "image_generation.partial_image", "b64_json": "aGk="},
                {"type": "image_generation.completed", "usage": {"input_tokens": 12, "output_tokens": 0}},
            ),
        ),
        (
            "openai-audio",
            sse(
                {"type": "transcript.text.delta", "delta": "hi"},
                {"type": "transcript.text.done", "text": "hi", "usage": {"input_tokens": 12, "output_tokens": 0}},
            ),
        ),
    ],
)
def test_where_the_path_tells_nothing_the_answer_tells_embeddings_and_pictures(flavour, body):
    call = wire.read(exchange("**REDACTED**", {"model": "m"}, body))

    assert (call.flavour, call.model, call.usage.input_tokens, call.usage.output_tokens) == (flavour, "m", 12, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ["red", "blue"], "id": "1", "model": "T"},
        {"choices": [{"text": "red"}], "id": "1", "model": "T"},
        {"choices": [], "model": "T"},
        {"created": 1, "data": [{"url": "/a.png"}]},
        {"embeddings": "none"},
        {"type": "transcript.final"},
    ],
)
def test_what_looks_a_little_like_a_models_answer_is_none(body):
    assert wire.read(exchange("https://shop.example/api", {"q": 1}, body)) is None


def test_a_stream_whose_first_event_has_no_id_is_named_by_a_later_one():
    # Azure's first event is about the prompt alone.
    stream = sse(
        {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": []},
        {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [{"index": 0, "finish_reason": "stop"}]},
        done=True,
    )
    call = wire.read(exchange("https://a.openai.azure.com/openai/deployments/d/chat/completions", CHAT, stream))

    assert (call.response_id, call.model, call.usage) == ("chatcmpl-1", "gpt-4o-2024-08-06", None)


def test_a_stored_completion_that_is_read_again_is_no_call_of_its_own():
    stored = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "usage": SPENT}
    call = wire.read(exchange(f"{URL}/chatcmpl-1", b"", stored, method="GET"))

    assert (call.kind, call.retrieved, call.response_id) == ("retrieve", True, "chatcmpl-1")


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ({"cost": 0.00333825}, Decimal("0.00333825")),
        ({"cost": 1.4e-07}, Decimal("0.00000014")),
        ({"cost": 0}, Decimal(0)),
        ({"cost": {"total_cost": 0.00507, "request_cost": 0.005}}, Decimal("0.00507")),
        ({"cost_in_usd_ticks": 6306000}, Decimal("0.0006306")),
        ({"cost_in_usd_ticks": 0}, None),
        ({"cost": None}, None),
        ({"cost": True}, None),
        ({"cost": "much"}, None),
        ({"cost": -1}, None),
        # On a key of one's own OpenRouter's cost is its fee, and the provider's bill comes on top.
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, Decimal("0.021")),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ({"cost": 0.02, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.02}}, Decimal("0.02")),
        ({}, None),
    ],
)
def test_a_stated_cost_is_exact(more, cost):
    assert wire.read(exchange(URL, CHAT, {"usage": SPENT | more})).billing.stated_cost_usd == cost


@pytest.mark.parametrize(
    ("headers", "body", "responded_at"),
    [
        ({"Date": ["Tue, 03 Mar 2026 03:02:58 GMT"]}, {"created": 1_600_000_000}, 1_772_506_978),
        ({"date": "**REDACTED**"}, {"created": 1_700_000_000}, 1_700_000_000),
        ({}, {"created_at": 1_700_000_000.0}, 1_700_000_000),
        ({}, {"created": 0}, None),
        ({}, {"created": 1_700_000_000_000}, None),
        ({"date": "Tue, 99 Mar 99999999999 03:02:58 GMT"}, {}, None),
        ({}, {}, None),
    ],
)
def test_when_the_provider_answered(headers, body, responded_at):
    assert wire.read(exchange(URL, CHAT, body, response_headers=headers)).billing.priced_at == responded_at


@pytest.mark.parametrize(
    ("url", "request_body", "body", "streamed"),
    [
        ("http://localhost:8080/embed", {"inputs": "hi"}, [[0.1, 0.2]], False),
        ("http://localhost:8080/generate", {"inputs": "hi"}, [{"generated_text": "hi"}], False),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent",
            {"contents": []},
            [{"candidates": [{"finishReason": "STOP"}]}],
            True,
        ),
    ],
)
def test_a_list_of_answers_is_not_a_stream(url, request_body, body, streamed):
    assert wire.read(exchange(url, request_body, body)).streamed is streamed


def test_a_tier_may_stand_in_a_header():
    url = "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent"
    call = wire.read(exchange(url, {"contents": []}, {}, response_headers={"X-Gemini-Service-Tier": ["priority"]}))

    assert call.billing.service_tier == "priority"


def test_a_call_that_names_no_model_says_so():
    call = wire.read(exchange(URL, {"messages": []}, {"usage": SPENT}))

    assert (call.model, call.requested_model) == ("unknown", None)


def test_reading_imports_no_client_library():
    code = "import sys, pytest_llm_usage.wire; print({'botocore', 'httpx', 'httpx_sse', 'brotli'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "set()\n"


@pytest.mark.parametrize(
    ("method", "url", "may"),
    [
        ("POST", "https://gateway.example/v1/chat/completions", True),
        ("POST", "https://api.openai.com/v1/anything", True),
        ("GET", "https://api.openai.com/v1/responses/resp_1", True),
        ("GET", "https://example.org/", False),
        ("GET", "https://gateway.example/v1/chat/completions", False),
        ("POST", "https://example.org/form", False),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", False),
    ],
)
def test_which_requests_may_ask_a_model(method, url, may):
    assert wire.may_ask_model(method, url) is may


@pytest.mark.parametrize(
    ("url", "request_body", "headers", "model"),
    [
        ("https://api.perplexity.ai/v1/sonar", CHAT, {}, "m"),
        # https://learn.microsoft.com/azure/foundry/agents/: the agent has the model.
        (
            "https://r.services.ai.azure.com/api/projects/p/openai/v1/responses",
            {"agent_reference": {"name": "a", "type": "agent_reference"}, "input": "hi"},
            {},
            "unknown",
        ),
        ("https://ai-gateway.vercel.sh/v4/ai/language-model", {"prompt": []}, {"AI-Language-Model-Id": ["m"]}, "m"),
    ],
)
def test_which_model_is_asked_is_known_before_it_answers(url, request_body, headers, model):
    asked = exchange(url, request_body, b"")

    assert asked_model("POST", url, asked.request_body, headers) == model


def test_an_agent_of_the_applications_own_is_no_model():
    # Perplexity has this path as well; there the answer tells.
    asked = exchange("http://localhost:8000/v1/agent", {"model": "m", "input": "hi"}, {"reply": "ho"})

    assert asked_model("POST", asked.url, asked.request_body, {}) is None
    assert wire.read(asked) is None


def test_an_answer_fetched_by_the_id_of_its_request_belongs_to_that_request():
    # xAI's deferred chats: the completion has another id than the request was given.
    asked = wire.read(exchange("https://api.x.ai/v1/chat/completions", CHAT, {"request_id": "req-1"}))
    fetched = wire.read(
        exchange(
            "https://api.x.ai/v1/chat/deferred-completion/req-1",
            b"",
            {"id": "c-1", "object": "chat.completion", "model": "m", "usage": SPENT},
            method="GET",
        )
    )

    assert (asked.kind, asked.response_id, asked.usage) == ("call", "req-1", None)
    assert (fetched.kind, fetched.response_id, fetched.usage.total_tokens) == ("retrieve", "req-1", 15)


def test_a_generation_of_cohere_is_told_by_its_answer():
    # A recording without its request. The cohere SDK: `Generation`.
    answer = {"id": "g-1", "generations": [{"id": "1", "text": "hi"}], "prompt": "hi", "meta": {"api_version": {}}}
    call = wire.read(exchange("https://api.cohere.ai/v1/generate", b"", answer))

    assert (call.flavour, call.provider, call.usage) == ("cohere-v1", "cohere", None)


@pytest.mark.parametrize(
    ("method", "path", "state"),
    [
        ("POST", "analyzers/mine:analyze", "Running"),
        ("POST", "analyzers/prebuilt-invoice:analyzeBinary", "NotStarted"),
        ("GET", "analyzerResults/a-1", "Running"),
    ],
)
def test_an_analysis_of_azure_comes_when_it_is_asked_for(method, path, state):
    # https://learn.microsoft.com/rest/api/contentunderstanding/content-analyzers/analyze
    url = f"https://r.services.ai.azure.com/contentunderstanding/{path}?api-version=2025-11-01"
    call = wire.read(exchange(url, b"", {"id": "a-1", "status": state, "result": {}}, method=method))

    assert (call.response_id, call.usage) == ("a-1", None)
    assert call.note == f"the response is {state}: its usage comes when it is retrieved"


@pytest.mark.parametrize("path", ["analyzers/mine", "analyzers/mine/operations/a-1", "analyzerResults/a-1/files/f"])
def test_what_azure_tells_of_an_analyser_is_no_call(path):
    url = f"https://r.services.ai.azure.com/contentunderstanding/{path}"

    assert wire.read(exchange(url, b"", {"id": "a-1", "status": "Succeeded", "result": {}}, method="GET")) is None


def test_a_task_of_dashscope_is_the_call_that_asked_for_it():
    # https://help.aliyun.com/zh/model-studio/text-to-image-api-reference: each answer has a request's id of its own.
    host = "https://dashscope.aliyuncs.com/api/v1"
    asked = wire.read(
        exchange(
            f"{host}/services/aigc/text2image/image-synthesis",
            {"model": "wanx-v1", "input": {"prompt": "a cat"}},
            {"request_id": "a", "output": {"task_id": "t-1", "task_status": "PENDING"}},
        )
    )
    fetched = wire.read(
        exchange(
            f"{host}/tasks/t-1",
            b"",
            {
                "request_id": "b",
                "output": {"task_id": "t-1", "task_status": "SUCCEEDED", "results": []},
                "usage": {"image_count": 4},
            },
            method="GET",
        )
    )

    assert (asked.kind, asked.response_id) == ("call", "t-1")
    assert (fetched.kind, fetched.response_id, dict(fetched.billing.items)) == ("retrieve", "t-1", {"image": 4})


def test_a_tool_that_came_to_its_end_is_not_the_end_of_the_stream():
    # Anthropic's advisor says why it stopped: https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool
    usage = {"input_tokens": 20, "output_tokens": 2}
    began = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-5", "usage": usage}}
    advice = {"type": "advisor_result", "text": "Ship it.", "stop_reason": "end_turn"}
    told = {"type": "content_block_start", "content_block": {"type": "advisor_tool_result", "content": advice}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}}
    url, request = "https://api.anthropic.com/v1/messages", {**CHAT, "stream": True}
    cut, whole = (wire.read(exchange(url, request, sse(*events))) for events in ((began, told), (began, told, ended)))

    assert (cut.status, cut.is_partial, cut.usage.total_tokens) == ("aborted", True, 22)
    assert (whole.status, whole.usage.total_tokens) == ("ok", 70)


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": [1]}, {"index": ""}])
def test_a_piece_that_nothing_tells_from_others_is_a_piece_all_the_same(index):
    tools = [{"type": "search", **index}, {"type": "search", "index": 0}, {"type": "search", **index}]
    message = {"role": "assistant", "content": "Hi", "executed_tools": tools}
    body = {
        "id": "c",
        "object": "chat.completion",
        "model": "groq/compound",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    call = wire.read(exchange("https://api.groq.com/openai/v1/chat/completions", CHAT, body))

    assert call.billing.items == {"web_search": 3}
