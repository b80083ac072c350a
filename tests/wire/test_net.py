"""The net below all APIs that are read: an answer that counts tokens beside a model's name is listed, and nothing else is."""

import gzip
import json
from urllib.parse import urlencode

import pytest
from bodies import aws_stream, exchange, ndjson, sse

from pytest_llm_usage import wire

UNKNOWN = "https://gateway.example.com/v9/ask"
ASKED = {"model": "m", "question": "hi"}
COUNTS = {"input_tokens": 12, "output_tokens": 5}


def answered(body, request=ASKED, url=UNKNOWN, method="POST", **more):
    return wire.read(exchange(url, request, body, method=method, **more))


def form(*pairs):
    return {
        "request": urlencode(pairs).encode(),
        "request_headers": {"content-type": "application/x-www-form-urlencoded"},
    }


#: What an API that is not known may answer, by what is special about it: the body, and what differs of the request.
SEEN = {
    "usage of prompt and completion": ({"text": "Hi", "usage": {"prompt_tokens": 12, "completion_tokens": 5}}, {}),
    "usage of input and output": ({"text": "Hi", "usage": COUNTS}, {}),
    "camel case": ({"text": "Hi", "usage": {"inputTokens": 12, "outputTokens": 5}}, {}),
    "camel case of prompts": ({"text": "Hi", "usage": {"promptTokens": 12, "completionTokens": 5}}, {}),
    "capitals": ({"Text": "Hi", "Usage": {"PromptTokens": 12, "CompletionTokens": 5, "TotalTokens": 17}}, {}),
    "capitals, the model in them too": (
        {"Model": "m", "Usage": {"InputTokens": 12, "OutputTokens": 5}},
        {"request": {}},
    ),
    "token counts": ({"inputTokenCount": 12, "outputTokenCount": 5}, {}),
    "snake-case token counts": ({"input_token_count": 12, "output_token_count": 5}, {}),
    "kebab case": ({"input-tokens": 12, "output-tokens": 5}, {}),
    "with spaces": ({"stats": {"Input Tokens": 12, "Output Tokens": 5}}, {}),
    "tokens first": ({"usage": {"tokens_in": 12, "tokens_out": 5}}, {}),
    "tokens first, in full": ({"meta": {"tokens_input": 12, "tokens_generated": 5}}, {}),
    "tokens first, camel case": ({"tokensInput": 12, "tokensOutput": 5}, {}),
    "numbers of tokens": ({"num_input_tokens": 12, "num_output_tokens": 5}, {}),
    "numbers of tokens, of another order": ({"n_prompt_tokens": 12, "n_generated_tokens": 5}, {}),
    "numbers of tokens used": ({"prompt_tokens_used": 12, "completion_tokens_used": 5}, {}),
    "in and out alone": ({"usage": {"tokens": {"input": 12, "output": 5}}}, {}),
    "prompt and completion alone": ({"tokens": {"prompt": 12, "completion": 5}}, {}),
    "a number of tokens alone": ({"usage": {"tokens": 17}}, {}),
    "total alone in a usage": ({"usage": {"total_tokens": 17}}, {}),
    "total alone in its own word": ({"tokenUsage": {"total": 17}}, {}),
    "token usage": ({"token_usage": {"prompt": 12, "completion": 5}}, {}),
    "usage metadata": ({"usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5}}, {}),
    "Ollama's counts": ({"prompt_eval_count": 12, "eval_count": 5}, {}),
    "counts of what was evaluated": ({"timings": {"tokens_evaluated": 12, "tokens_predicted": 5}}, {}),
    "nested": ({"data": {"result": {"meta": {"usage": COUNTS}}}}, {}),
    "in a list": ({"results": [{"text": "Hi", "usage": COUNTS}]}, {}),
    "a list at the top": ([{"text": "Hi", "usage": COUNTS}], {}),
    "counts as text": ({"usage": {"input_tokens": "12", "output_tokens": "5"}}, {}),
    "JSON-RPC": (
        {"jsonrpc": "2.0", "id": 1, "result": {"model": "m", "usage": COUNTS}},
        {"request": {"method": "ask"}},
    ),
    "GraphQL": (
        {"data": {"complete": {"text": "Hi", "model": "m", "usage": {"inputTokens": 12, "outputTokens": 5}}}},
        {"request": {"query": "mutation { complete { text } }"}, "url": "https://api.example.com/graphql"},
    ),
    "GraphQL, the model among the variables": (
        {"data": {"complete": {"text": "Hi", "usage": {"inputTokens": 12, "outputTokens": 5}}}},
        {"request": {"query": "mutation($model: String!) { complete }", "variables": {"model": "m"}}},
    ),
    "the model in the answer": ({"model": "m", "usage": COUNTS}, {"request": {"question": "hi"}}),
    "the model deep in the answer": ({"info": {"model_name": "m"}, "usage": COUNTS}, {"request": {}}),
    "an engine": ({"usage": COUNTS}, {"request": {"engine": "m", "prompt": "hi"}}),
    "the model in a parameter of the request": (
        {"usage": COUNTS},
        {"request": {"input": "hi", "config": {"model": "m"}}},
    ),
    "form-encoded": ({"usage": COUNTS}, form(("model", "m"), ("prompt", "hi"))),
    "events": (sse({"text": "H"}, {"text": "", "usage": COUNTS}), {}),
    "events, then the end": (sse({"text": "H"}, {"usage": COUNTS}, {"type": "done"}), {}),
    "events with [DONE]": (sse({"text": "H"}, {"usage": COUNTS}, done=True), {}),
    "events, what was sent in the first": (
        sse({"results": [{"tokens_in": 12, "tokens_out": 0}]}, {"results": [{"tokens_in": 0, "tokens_out": 5}]}),
        {},
    ),
    "lines": (ndjson({"text": "H"}, {"text": "", "usage": COUNTS}), {}),
    "lines, the counts before the last": (ndjson({"usage": COUNTS}, {"done": True}), {}),
    "an event stream of AWS": (aws_stream(("delta", {"text": "H"}), ("metadata", {"usage": COUNTS})), {}),
    "compressed": (
        gzip.compress(json.dumps({"usage": COUNTS}).encode()),
        {"response_headers": {"content-encoding": "gzip"}},
    ),
    "counts in headers": (
        {"text": "Hi"},
        {"response_headers": {"x-input-tokens": "12", "x-output-tokens": "5", "content-type": "application/json"}},
    ),
    "counts in headers of another kind": (
        b"Hi",
        {"response_headers": {"x-usage-prompt-tokens": "12", "x-usage-completion-tokens": "5"}},
    ),
    "on a server of one's own": ({"usage": COUNTS}, {"url": "http://127.0.0.1:5000/predict"}),
}


@pytest.mark.parametrize(("body", "more"), SEEN.values(), ids=SEEN)
def test_what_counts_tokens_is_listed(body, more):
    call = answered(body, **more)

    assert call is not None
    assert (call.flavour, call.model, call.usage, call.status) == ("unknown", "m", None, "no_usage")
    assert call.note == "looks like a model call that is not read: " + more.get("url", UNKNOWN).split("://")[1]


TOKEN = {"access_token": "x", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "y", "scope": "a"}
#: What no model answers.
UNSEEN = {
    "OAuth": ("https://auth.example.com/oauth/token", form(("grant_type", "client_credentials")), TOKEN),
    "OAuth in JSON": ("https://auth.example.com/oauth/token", {"request": {"grant_type": "password"}}, TOKEN),
    "OpenID": ("https://accounts.example.com/token", form(("model", "device")), {**TOKEN, "id_token": "z"}),
    "a token of GitHub": (
        "https://api.github.com/app/installations/1/access_tokens",
        {"request": {"repositories": ["a"]}},
        {"token": "x", "expires_at": "2026-01-01", "permissions": {"issues": "write"}},
    ),
    "an issue of GitHub": (
        "https://api.github.com/repos/a/b/issues",
        {"request": {"title": "usage of input_tokens", "body": '{"usage": {"input_tokens": 3}}'}},
        {
            "id": 1,
            "number": 7,
            "title": "usage of input_tokens",
            "comments": 0,
            "body": '{"usage": {"input_tokens": 3}}',
        },
    ),
    "GitHub by GraphQL": (
        "https://api.github.com/graphql",
        {"request": {"query": "{ rateLimit { cost remaining } }"}},
        {"data": {"rateLimit": {"cost": 1, "remaining": 4999, "used": 1}}},
    ),
    "a charge of Stripe": (
        "https://api.stripe.com/v1/charges",
        form(("amount", "2000"), ("source", "tok_visa")),
        {"id": "ch_1", "object": "charge", "amount": 2000, "usage": "off_session", "payment_method": "card"},
    ),
    "a token of Stripe": (
        "https://api.stripe.com/v1/tokens",
        form(("card[number]", "4242")),
        {"id": "tok_1", "object": "token", "used": False, "card": {"last4": "4242", "exp_year": 2030}},
    ),
    "a meter event of Stripe": (
        "https://api.stripe.com/v1/billing/meter_events",
        form(("event_name", "tokens"), ("payload[value]", "25")),
        {
            "object": "billing.meter_event",
            "event_name": "tokens",
            "payload": {"value": "25", "stripe_customer_id": "c"},
        },
    ),
    "usage records of Stripe": (
        "https://api.stripe.com/v1/subscription_items/si_1/usage_records",
        form(("quantity", "100")),
        {"object": "usage_record", "quantity": 100, "timestamp": 1_788_000_000},
    ),
    "traces": (
        "https://api.smith.langchain.com/runs/batch",
        {"request": {"post": [{"extra": {"metadata": {"ls_model_name": "m"}}, "outputs": {"usage": COUNTS}}]}},
        {"message": "Runs batch ingested"},
    ),
    "traces that are queried": (
        "https://api.smith.langchain.com/runs/query",
        {"request": {"session": ["s"]}},
        {"runs": [{"extra": {"invocation_params": {"model": "m"}}, "prompt_tokens": 12, "completion_tokens": 5}]},
    ),
    "traces of Langfuse": (
        "https://cloud.langfuse.com/api/public/ingestion",
        {"request": {"batch": [{"body": {"model": "m", "usage": COUNTS}}]}},
        {"successes": [], "usage": COUNTS},
    ),
    "traces of a LangSmith of one's own": (
        "https://langsmith.example.com/api/v1/runs/query",
        {"request": {"session": ["s"]}},
        {"runs": [{"extra": {"invocation_params": {"model": "m"}}, "prompt_tokens": 12, "completion_tokens": 5}]},
    ),
    "spans of Opik": (
        "http://localhost:5173/api/v1/private/spans/search",
        {"request": {"project_name": "p"}},
        ndjson({"type": "llm", "model": "m", "usage": COUNTS}),
    ),
    "calls of Weave": (
        "https://trace.wandb.ai/calls/stream_query",
        {"request": {"project_id": "p"}},
        ndjson({"id": "1", "output": {"model": "m", "usage": COUNTS}}),
    ),
    "requests that Helicone kept": (
        "https://api.helicone.ai/v1/request/query",
        {"request": {"filter": "all"}},
        {"data": [{"request_id": "1", "model": "m", "prompt_tokens": 12, "completion_tokens": 5}]},
    ),
    "a log of Portkey": (
        "https://api.portkey.ai/v1/logs",
        {"request": {"response": {"model": "m"}}},
        {"id": "1", "model": "m", "usage": COUNTS},
    ),
    "traces of MLflow": (
        "http://localhost:5000/api/3.0/mlflow/traces/search",
        {"request": {"max_results": 1}},
        {"traces": [{"model": "m", "token_usage": COUNTS}]},
    ),
    "traces of LangWatch": (
        "https://app.langwatch.ai/api/trace/search",
        {"request": {"pageSize": 1}},
        {"traces": [{"spans": [{"model": "m", "metrics": COUNTS}]}]},
    ),
    "events of HoneyHive": (
        "https://api.honeyhive.ai/events/export",
        {"request": {"project": "p"}},
        {"events": [{"config": {"model": "m"}, "metadata": COUNTS}]},
    ),
    "a query of PostHog": (
        "https://us.posthog.com/api/projects/1/query",
        {"request": {"query": {"kind": "TracesQuery"}}},
        {"results": [{"model": "m", "usage": COUNTS}]},
    ),
    "a query of Laminar": (
        "https://api.lmnr.ai/v1/sql/query",
        {"request": {"query": "SELECT 1"}},
        {"data": [{"model": "m", "input_tokens": 12, "output_tokens": 5}]},
    ),
    "traces of OpenTelemetry": (
        "http://localhost:4318/v1/traces",
        {"request": {"resourceSpans": []}},
        {"model": "m", "usage": COUNTS},
    ),
    "limits of a model": (
        "https://proxy.example.com/model/new",
        {"request": {"model_name": "m", "litellm_params": {"model": "openai/m"}}},
        {"model_id": "1", "model_info": {"max_input_tokens": 128_000, "max_output_tokens": 4_096, "max_tokens": 4_096}},
    ),
    "limits of a deployment": (
        "https://management.example.com/deployments",
        {"request": {"model": "m"}},
        {"model": "m", "limits": {"maxInputTokens": 1_000, "maxOutputTokens": 500}, "tokensPerMinute": 9},
    ),
    "prices of a model": (
        "https://proxy.example.com/model/info",
        {"request": {"model": "m"}},
        {"model": "m", "input_cost_per_token": 0.1, "output_cost_per_token": 0.2},
    ),
    "settings that name limits": (
        "https://api.example.com/settings",
        {"request": {"model": "m", "max_tokens": 9}},
        {"model": "m", "max_prompt_tokens": 100, "max_completion_tokens": 100},
    ),
    "a budget that is left": (
        "https://api.example.com/quota",
        {"request": {"model": "m"}},
        {"model": "m", "remaining_tokens": 100, "tokens_limit": 1_000},
    ),
    "counting tokens": (
        "https://gateway.example.com/v9/count-tokens",
        {"request": {"model": "m"}},
        {"model": "m", "input_tokens": 12},
    ),
    "tokens of a tokenizer": (
        "https://gateway.example.com/v9/tokenize",
        {"request": {"model": "m", "text": "hi"}},
        {"model": "m", "tokens": [1, 2, 3], "token_count": 3},
    ),
    "a CSRF token": ("https://shop.example.com/login", form(("user", "a")), {"csrf_token": "x", "input_tokens": None}),
    "game tokens": (
        "https://game.example.com/play",
        {"request": {"model": "tank-3"}},
        {"model": "tank-3", "tokens_won": 5, "prizes": 2},
    ),
    "tokens of a currency": (
        "https://dex.example.com/swap",
        {"request": {"pair": "A/B"}},
        {"inputToken": "A", "outputToken": "B", "inputAmount": 12, "outputAmount": 5},
    ),
    "usage of a disk": (
        "https://cloud.example.com/volumes",
        {"request": {"model": "ssd"}},
        {"model": "ssd", "usage": {"total": 100, "used": 5}},
    ),
    "usage of electricity": (
        "https://meter.example.com/read",
        {"request": {"model": "kwh-1"}},
        {"model": "kwh-1", "usage": {"input": 12, "output": 5}},
    ),
    "a search that has a query": (
        "https://es.example.com/idx/_search",
        {"request": {"query": {"match": {"model": "x"}}}},
        {"took": 3, "hits": {"total": {"value": 5}, "hits": [{"_source": {"model": "x", "tokens": 3}}]}},
    ),
    "counts of zero": (UNKNOWN, {"request": ASKED}, {"model": "m", "usage": {"input_tokens": 0, "output_tokens": 0}}),
    "counts without a model": (UNKNOWN, {"request": {"question": "hi"}}, {"usage": COUNTS}),
    "a car": ("https://cars.example.com/buy", {"request": {"model": "T"}}, {"model": "T", "price": 9, "total": 9}),
    "an upload": ("https://files.example.com/up", {"request": b"\x00\x01"}, {"id": 1, "bytes": 2, "tokens": None}),
    "a web page": (UNKNOWN, {"request": ASKED}, b"<html>usage: input_tokens 12, output_tokens 5</html>"),
    "a webhook of Slack": ("https://hooks.slack.com/x", {"request": {"text": "12 input_tokens"}}, b"ok"),
    "an event of Segment": (
        "https://api.segment.io/v1/track",
        {"request": {"event": "llm", "properties": {"model": "m", **COUNTS}}},
        {"success": True},
    ),
    "rows of a database": (
        "https://db.example.com/query",
        {"request": {"sql": "select 1"}},
        {"rows": [{"model": "T", "query_tokens": "12"}], "rowCount": 1},
    ),
    "a list of models": (
        "https://gateway.example.com/v9/models/search",
        {"request": {"q": "m"}},
        {"models": [{"model": "m", "input_token_limit": 1_000, "output_token_limit": 9}]},
    ),
    "an error": (UNKNOWN, {"request": ASKED, "status": 429}, {"model": "m", "usage": COUNTS}),
    "what was read": (UNKNOWN, {"request": b"", "method": "GET"}, {"model": "m", "usage": COUNTS}),
    "what was deleted": (UNKNOWN, {"request": b"", "method": "DELETE"}, {"model": "m", "usage": COUNTS}),
}


@pytest.mark.parametrize(("url", "more", "body"), UNSEEN.values(), ids=UNSEEN)
def test_what_no_model_answers_is_not_listed(url, more, body):
    assert answered(body, url=url, **more) is None


def test_the_lists_are_long():
    assert len(SEEN) >= 40
    assert len(UNSEEN) >= 30
