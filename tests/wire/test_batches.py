"""Results of batches: each request counts and costs by itself, whoever wrote the file, and once however often fetched."""

import json
from decimal import Decimal

import pytest
from bodies import exchange, ndjson

from pytest_llm_usage import TokenUsage, wire
from pytest_llm_usage.billing import Billing, Part
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.tracker.reconcile import completed, wire_fields


def fetched(url, body, **more):
    return wire.read(exchange(url, b"", body, method="GET", **more))


def cost(call, day=1_788_000_000):
    fields = wire_fields(call) | {"started_at": float(day)}
    return PriceBook().quote(Call(index=0, source="http", **fields)).cost_usd


def chat(model, sent, received, **more):
    usage = {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [], "usage": usage, **more}


def openai_line(body, number=1):
    response = {"status_code": 200, "request_id": "req", "body": body}
    return {"id": f"batch_req_{number}", "custom_id": f"r-{number}", "response": response, "error": None}


OPENAI_FILE = "https://api.openai.com/v1/files/file-abc/content"


def test_three_hundred_requests_are_not_one_long_request():
    call = fetched(OPENAI_FILE, ndjson(*(openai_line(chat("gpt-5.4-2026-03-05", 1000, 10), n) for n in range(300))))

    assert call.usage == TokenUsage.from_counts(300_000, 3_000)
    assert (
        call.billing.parts
        == (Part("request", "gpt-5.4-2026-03-05", TokenUsage.from_counts(1000, 10), in_total=True),) * 300
    )
    assert (call.billing.service_tier, call.response_id, call.status) == ("batch", "file-abc", "ok")
    # Half of 2.50 and 15 USD a million, and no request is long.
    assert cost(call) == Decimal("0.3975")


def test_each_request_has_the_model_and_the_price_of_its_own():
    lines = [openai_line(chat("gpt-4o-mini-2024-07-18", 1000, 100, service_tier="default"), 1)]
    lines += [openai_line(chat("gpt-4o-2024-08-06", 1000, 100), 2)]
    call = fetched(OPENAI_FILE, ndjson(*lines))

    assert [part.model for part in call.billing.parts] == ["gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"]
    mini = 1000 * Decimal("0.075") + 100 * Decimal("0.3")
    whole = 1000 * Decimal("1.25") + 100 * 5
    assert cost(call) == (mini + whole) / 1_000_000


def test_requests_to_other_apis_of_openai():
    response = {
        "id": "resp_1",
        "object": "response",
        "model": "m",
        "output": [{"type": "web_search_call", "action": {"type": "search"}}],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    }
    embedding = {
        "object": "list",
        "model": "e",
        "data": [{"object": "embedding", "embedding": [0.5]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    failed = {"id": "b", "custom_id": "r-3", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}}
    call = fetched(OPENAI_FILE, ndjson(openai_line(response), openai_line(embedding), failed))

    assert [(part.model, part.usage, dict(part.billing.items)) for part in call.billing.parts] == [
        ("m", TokenUsage.from_counts(7, 3), {"web_search": 1}),
        ("e", TokenUsage.from_counts(8, 0), {}),
    ]
    assert call.usage == TokenUsage.from_counts(15, 3)


def anthropic_line(number, result):
    return {"custom_id": f"r-{number}", "result": result}


def test_anthropic():
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4, "service_tier": "batch"}
    message = {"id": "msg_1", "type": "message", "model": "claude-opus-4-8", "usage": usage | {"speed": "standard"}}
    lines = [
        anthropic_line(1, {"type": "succeeded", "message": message}),
        anthropic_line(2, {"type": "errored", "error": {"type": "invalid_request_error"}}),
        anthropic_line(3, {"type": "expired"}),
    ]
    call = fetched("https://api.anthropic.com/v1/messages/batches/msgbatch_1/results", ndjson(*lines))

    expected = TokenUsage.from_counts(14, 5, input_token_details={"cache_read": 4})
    assert call.billing.parts == (Part("request", "claude-opus-4-8", expected, in_total=True),)
    assert (call.usage, call.response_id, call.billing.service_tier) == (expected, "msgbatch_1", "batch")


def gemini(sent, received, model="gemini-2.5-flash"):
    usage = {"promptTokenCount": sent, "candidatesTokenCount": received, "totalTokenCount": sent + received}
    return {"candidates": [{"finishReason": "STOP"}], "modelVersion": model, "usageMetadata": usage}


GEMINI = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("url", "body"),
    [
        pytest.param(
            f"{GEMINI}/v1beta/batches/123",
            {
                "name": "batches/123",
                "metadata": {"model": "models/gemini-2.5-flash", "state": "BATCH_STATE_SUCCEEDED"},
                "done": True,
                "response": {
                    "inlinedResponses": {
                        "inlinedResponses": [
                            {"response": gemini(100, 10), "metadata": {"key": "1"}},
                            {"error": {"code": 3}},
                            {"response": gemini(50, 5)},
                        ]
                    }
                },
            },
            id="inline",
        ),
        pytest.param(
            f"{GEMINI}/download/v1beta/files/batch-123:download?alt=media",
            ndjson(
                {"key": "1", "response": gemini(100, 10)},
                {"key": "2", "error": {"code": 3}},
                {"key": "3", "response": gemini(50, 5)},
            ),
            id="file",
        ),
        pytest.param(
            f"{GEMINI}/download/v1beta/files/batch-123:download?alt=media",
            json.dumps({"key": "1", "response": gemini(100, 10)}).encode()
            + b"\n"
            + json.dumps({"key": "3", "response": gemini(50, 5)}).encode(),
            id="file-without-last-line-end",
        ),
    ],
)
def test_gemini(url, body):
    call = fetched(url, body)

    assert [(part.model, part.usage) for part in call.billing.parts] == [
        ("gemini-2.5-flash", TokenUsage.from_counts(100, 10)),
        ("gemini-2.5-flash", TokenUsage.from_counts(50, 5)),
    ]
    assert (call.usage, call.billing.service_tier, call.provider) == (
        TokenUsage.from_counts(150, 15),
        "batch",
        "google_genai",
    )


def test_a_file_of_one_line_is_a_batch_as_well():
    call = fetched(OPENAI_FILE, json.dumps(openai_line(chat("m", 3, 1))).encode())

    assert call.billing.parts == (Part("request", "m", TokenUsage.from_counts(3, 1), Billing(), in_total=True),)


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (f"{GEMINI}/v1beta/batches/123", {"name": "batches/123", "metadata": {"state": "BATCH_STATE_RUNNING"}}),
        (f"{GEMINI}/v1beta/batches/123", {"done": True, "response": {"responsesFile": "files/batch-123"}}),
        (f"{GEMINI}/download/v1beta/files/video:download?alt=media", b"\0\1\2"),
        (OPENAI_FILE, ndjson({"messages": [{"role": "user"}]}, {"messages": []})),
        (OPENAI_FILE, b"question,answer\n"),
    ],
)
def test_a_batch_under_way_and_other_files_are_no_results(url, body):
    assert fetched(url, body) is None


def test_a_count_that_cannot_be_read_makes_the_whole_unknown():
    call = fetched(
        OPENAI_FILE,
        ndjson(
            openai_line(chat("m", 3, 1)),
            openai_line({"object": "chat.completion", "usage": {"prompt_tokens": None, "completion_tokens": 1}}),
        ),
    )

    assert (call.usage, call.status) == (None, "no_usage")
    assert call.note == "usage.prompt_tokens holds null, which is not a number of tokens"


def test_results_that_are_fetched_twice_count_once():
    first, second = (fetched(OPENAI_FILE, ndjson(openai_line(chat("m", 3, 1)))) for _ in range(2))
    other = fetched(OPENAI_FILE.replace("abc", "xyz"), ndjson(openai_line(chat("m", 3, 1))))

    assert completed([first, second, other]) == [first, None, other]


def test_gemini_answers_requests_in_openai_s_form_in_that_form():
    # https://ai.google.dev/gemini-api/docs/batch-api: thoughts are in the total alone.
    usage = {"promptTokens": 100, "completionTokens": 10, "totalTokens": 150}
    lines = [openai_line({**chat("gemini-2.5-flash", 0, 0), "usage": usage}, n) for n in range(2)]
    expected = TokenUsage.from_counts(200, 20, total_tokens=300)

    for path in ("download/v1beta/files/batch-123:download?alt=media", "v1beta/openai/files/batch-123/content"):
        call = fetched(f"{GEMINI}/{path}", ndjson(*lines))
        assert (call.usage, len(call.billing.parts), call.billing.service_tier) == (expected, 2, "batch")
        assert cost(call) == (200 * Decimal("0.15") + 100 * Decimal("1.25")) / 1_000_000


def xai_page(*answers):
    return {
        "results": [
            {"batch_request_id": f"r-{number}", "batch_result": {"response": answer}}
            for number, answer in enumerate(answers)
        ],
        "pagination_token": None,
    }


XAI_BATCH = "https://api.x.ai/v1/batches/batch_1/results?limit=100"


def test_xai_answers_each_request_under_the_name_of_its_api():
    # https://docs.x.ai/docs/guides/batch-api
    response = {
        "object": "response",
        "model": "grok-4-0709",
        "output": [],
        "usage": {"input_tokens": 50, "output_tokens": 5, "total_tokens": 55},
    }
    page = xai_page({"chat_get_completion": chat("grok-4-0709", 100, 10)}, {"responses": response})
    page["results"].append({"batch_request_id": "r-3", "batch_result": {"error": {"code": 3, "message": "no"}}})
    call = fetched(XAI_BATCH, page)

    assert (call.provider, call.usage) == ("xai", TokenUsage.from_counts(150, 15))
    assert [part.model for part in call.billing.parts] == ["grok-4-0709"] * 2


def test_each_page_of_the_results_of_a_batch_counts_once():
    first, again = (fetched(XAI_BATCH, xai_page({"chat_get_completion": chat("m", 3, 1)})) for _ in range(2))
    second = fetched(f"{XAI_BATCH}&pagination_token=abc", xai_page({"chat_get_completion": chat("m", 3, 1)}))

    assert completed([first, second, again]) == [first, second, None]


def test_openrouter_s_batch_has_its_results_and_what_they_cost():
    # The openrouter SDK: `BatchObject`.
    answers = [chat("openai/gpt-4o-mini", 10, 5), chat("openai/gpt-4o-mini", 20, 5)]
    for answer, usd in zip(answers, (0.001, 0.002), strict=True):
        answer["usage"]["cost"] = usd
    message = {
        "type": "message",
        "model": "anthropic/claude",
        "usage": {"input_tokens": 7, "output_tokens": 1, "cost": 0.5},
    }
    batch = {
        "id": "batch_1",
        "object": "batch",
        "status": "completed",
        "results": [{**openai_line(answer), "error": None} for answer in (*answers, message)],
        "usage": {"prompt_tokens": 37, "completion_tokens": 11, "total_tokens": 48},
    }
    call = fetched("https://openrouter.ai/api/v1/batches/batch_1", batch)

    assert (call.provider, call.response_id, call.usage) == ("openrouter", "batch_1", TokenUsage.from_counts(37, 11))
    assert call.billing.stated_cost_usd == Decimal("0.503")
    assert cost(call) == Decimal("0.503")
    assert fetched("https://openrouter.ai/api/v1/batches/batch_1", {**batch, "results": None}) is None


def test_what_a_batch_costs_is_not_known_where_one_request_does_not_state_it():
    answers = [chat("openai/gpt-4o-mini", 10, 5), chat("openai/gpt-4o-mini", 20, 5)]
    answers[0]["usage"]["cost"] = 0.001
    call = fetched("https://openrouter.ai/api/v1/batches/b", {"results": [openai_line(answer) for answer in answers]})

    assert call.billing.stated_cost_usd is None
