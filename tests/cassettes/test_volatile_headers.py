"""What is left out of cassettes because it changes by itself, and what must not be."""

import pytest
from corpus import ROOT, needs_corpus

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.volatile_headers import strip_volatile_headers

#: What a client or a reader of usage acts on.
KEPT_OF_REQUESTS = [
    "accept",
    "content-type",
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "authorization",
    "x-api-key",
    "x-amzn-bedrock-trace",
    "x-amzn-bedrock-guardrailidentifier",
    "x-goog-user-project",
    "content-encoding",
    "x-tenant",
    "cookie",
    "cache-control",
]
KEPT_OF_ANSWERS = [
    "content-type",
    "content-length",
    "content-encoding",
    "location",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "set-cookie",
    "etag",
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-errortype",
    "x-gemini-service-tier",
    "openai-model",
    "openai-version",
    "x-ms-served-model",
    "num_tokens",
    "last-modified",
    "content-disposition",
    "x-accel-buffering",
    "azureai-processed-tier",
    "www-authenticate",
    "link",
    "allow",
]
DROPPED_OF_REQUESTS = [
    "User-Agent",
    "Host",
    "Connection",
    "Accept-Encoding",
    "Content-Length",
    "X-Stainless-Retry-Count",
    "x-stainless-os",
    "amz-sdk-request",
    "amz-sdk-invocation-id",
    "X-Amz-Date",
    "x-goog-api-client",
    "traceparent",
    "Idempotency-Key",
    "x-request-id",
    "X-Amzn-Trace-Id",
    "x-ms-client-request-id",
    "x-fern-sdk-version",
]
DROPPED_OF_ANSWERS = [
    "Server",
    "Connection",
    "cf-ray",
    "CF-Cache-Status",
    "alt-svc",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-RequestId",
    "via",
    "openai-processing-ms",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-tokens-reset",
    "x-envoy-upstream-service-time",
    "x-amzn-bedrock-invocation-latency",
    "server-timing",
    "x-kong-request-id",
    "mistral-correlation-id",
    "traceresponse",
    "Age",
    "transfer-encoding",
    "x-oai-request-id",
    "strict-transport-security",
    "x-amz-cf-id",
    "nel",
    "report-to",
]


def tidy(request=(), answer=()):
    found = strip_volatile_headers(
        Interaction(
            Request("POST", "https://h.test/", {name: ["1"] for name in request}),
            Response(200, "OK", {name: ["1"] for name in answer}),
        )
    )
    return set(found.request.headers), set(found.response.headers)


def test_what_clients_act_on_stays():
    assert tidy(KEPT_OF_REQUESTS, KEPT_OF_ANSWERS) == (set(KEPT_OF_REQUESTS), set(KEPT_OF_ANSWERS))


def test_what_changes_by_itself_goes():
    assert tidy(DROPPED_OF_REQUESTS, DROPPED_OF_ANSWERS) == (set(), set())


@pytest.mark.parametrize(
    ("date", "kept"),
    [
        ("Sat, 21 Nov 2026 23:10:42 GMT", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("21 Nov 2026 01:02:03 -0000", "Sat, 21 Nov 2026 00:00:00 -0000"),
        ("21 Nov 2026 01:02:03 +0200", "Sat, 21 Nov 2026 00:00:00 +0200"),
        ("21 Nov 2026 01:02:03 +0000", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("Tue, 06 Jan 2222222026 00:00:00 GMT", "Tue, 06 Jan 2222222026 00:00:00 GMT"),
        ("**REDACTED**", "**REDACTED**"),
        ("", ""),
    ],
)
def test_of_the_date_the_day_stays(date, kept):
    found = strip_volatile_headers(
        Interaction(Request("GET", "https://h.test/"), Response(200, "OK", {"Date": [date]}))
    )
    assert found.response.headers == {"date": [kept]}


def test_names_are_one_spelling():
    headers = {"X-Twice": ["a"], "x-twice": ["b"]}
    found = strip_volatile_headers(
        Interaction(Request("GET", "https://h.test/", headers), Response(200, "OK", headers))
    )
    assert found.request.headers == found.response.headers == {"x-twice": ["a", "b"]}


@needs_corpus
def test_tidying_twice_is_tidying_once():
    for file in sorted(ROOT.glob("corpus*/**/*.yaml"))[::5]:
        for interaction in storage.load(file):
            once = strip_volatile_headers(interaction)
            assert strip_volatile_headers(once) == once
