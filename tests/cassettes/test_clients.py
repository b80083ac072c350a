"""Every client, recorded against a server on loopback and replayed with that server stopped: the same pieces, the same
usage, and not one request more in the server's log.
"""

import asyncio
import functools
import gc
import gzip
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from langchain_clients import Endpoint, chat_model
from provider_server import Refused

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response

sys.path.append(str(Path(__file__).parents[1] / "wire"))
from bodies import aws_stream, ndjson, sse

#: The first that can read what an asynchronous generator gives.
VCRPY_9 = version("vcrpy") >= "9"
WORDS = ["Peregrine", " falcons", " dive", " at", " 389 km/h", " – é", "."]
PROMPT = "fastest bird?"


def openai_chat(streamed):
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    base = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-mini-2024-07-18", "system_fingerprint": "fp_1"}
    if not streamed:
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
    base["object"] = "chat.completion.chunk"
    chunks = [
        {**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        for word in WORDS
    ]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return sse(*chunks, {**base, "choices": [], "usage": usage}, done=True)


def openai_responses(streamed):
    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o-mini-2024-07-18",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]}],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18,
                  "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    }  # fmt: skip
    if not streamed:
        return response
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    item = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    message = {**response["output"][0], "status": "in_progress", "content": []}
    events = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **item, "part": {"type": "output_text", "text": "", "annotations": []}},
        *({"type": "response.output_text.delta", **item, "delta": word, "logprobs": []} for word in WORDS),
        {"type": "response.completed", "response": response},
    ]
    return sse(*((event["type"], {**event, "sequence_number": number}) for number, event in enumerate(events)))


def anthropic(streamed):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test-1",
               "stop_reason": "end_turn", "stop_sequence": None}  # fmt: skip
    usage = {"input_tokens": 11, "output_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    if not streamed:
        return {**message, "content": [{"type": "text", "text": "".join(WORDS)}], "usage": usage}
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return sse(*((event["type"], event) for event in events))


def gemini(streamed):
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    words = WORDS if streamed else ["".join(WORDS)]
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}],
         "modelVersion": "gemini-2.5-flash", "usageMetadata": usage, "responseId": "r1"}
        for word in words
    ]  # fmt: skip
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    return sse(*chunks) if streamed else chunks[0]


def bedrock_converse(streamed):
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    if not streamed:
        message = {"role": "assistant", "content": [{"text": "".join(WORDS)}]}
        return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
    return aws_stream(
        ("messageStart", {"role": "assistant"}),
        *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}) for word in WORDS),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    )


def bedrock_invoke(streamed):
    if not streamed:
        return anthropic(streamed=False)
    events = [
        json.loads(line[6:]) for line in anthropic(streamed=True).decode().splitlines() if line.startswith("data: ")
    ]
    return aws_stream(*(("chunk", event) for event in events))


def cohere(streamed):
    usage = {
        "billed_units": {"input_tokens": 11, "output_tokens": 7},
        "tokens": {"input_tokens": 11, "output_tokens": 7},
    }
    if not streamed:
        content = [{"type": "text", "text": "".join(WORDS)}]
        return {
            "id": "1",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": content},
            "usage": usage,
        }
    return sse(
        {
            "type": "message-start",
            "id": "1",
            "delta": {"message": {"role": "assistant", "content": [], "tool_calls": []}},
        },
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        *({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}} for word in WORDS),
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    )


def ollama(streamed):
    base = {"model": "llama3.2", "created_at": "2025-01-01T00:00:00Z"}
    done = {"done": True, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 7, "total_duration": 1,
            "load_duration": 1, "prompt_eval_duration": 1, "eval_duration": 1}  # fmt: skip
    if not streamed:
        return {**base, "message": {"role": "assistant", "content": "".join(WORDS)}, **done}
    chunks = [{**base, "message": {"role": "assistant", "content": word}, "done": False} for word in WORDS]
    return ndjson(*chunks, {**base, "message": {"role": "assistant", "content": ""}, **done})


CONTENT_TYPES = {
    bedrock_converse: "application/vnd.amazon.eventstream",
    bedrock_invoke: "application/vnd.amazon.eventstream",
    ollama: "application/x-ndjson",
}


def answer(flavour, streamed, *, packed=False):
    body = flavour(streamed)
    headers = {"content-type": CONTENT_TYPES.get(flavour, "text/event-stream") if streamed else "application/json"}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    if packed:
        headers["content-encoding"], body = "gzip", gzip.compress(body)
    return (200, headers, body)


# Raw clients: each gives the pieces of an answer as plain data ----------------------------------------------------------


def raw_openai(url, streamed):
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    got = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=streamed)
    return [chunk.to_dict() for chunk in got] if streamed else [got.to_dict()]


async def raw_openai_async(url, streamed):
    import openai

    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0) as client:
        got = await client.responses.create(model="gpt-4o-mini", input=PROMPT, stream=streamed)
        return [event.to_dict() async for event in got] if streamed else [got.to_dict()]


def raw_anthropic(url, streamed):
    import anthropic as sdk

    client = sdk.Anthropic(base_url=url, api_key="k", max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    got = client.messages.create(model="claude-test", max_tokens=50, messages=messages, stream=streamed)
    return [event.to_dict() for event in got] if streamed else [got.to_dict()]


async def raw_anthropic_async(url, streamed):
    import anthropic as sdk

    async with sdk.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
        messages = [{"role": "user", "content": PROMPT}]
        got = await client.messages.create(model="claude-test", max_tokens=50, messages=messages, stream=streamed)
        return [event.to_dict() async for event in got] if streamed else [got.to_dict()]


def _google(url):
    from google import genai

    return genai.Client(api_key="k", http_options={"base_url": url})


def raw_google(url, streamed):
    client = _google(url)
    models = client.models
    if streamed:
        return [
            _without_headers(part) for part in models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)
        ]
    return [_without_headers(models.generate_content(model="gemini-2.5-flash", contents=PROMPT))]


async def raw_google_async(url, streamed):
    client = _google(url)
    models = client.aio.models
    if streamed:
        parts = await models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)
        return [_without_headers(part) async for part in parts]
    return [_without_headers(await models.generate_content(model="gemini-2.5-flash", contents=PROMPT))]


def _without_headers(response):
    data = response.to_json_dict()
    data.pop("sdk_http_response", None)
    return data


def _bedrock(url):
    import boto3

    return boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b"
    )


def raw_boto3_converse(url, streamed):
    request = {"modelId": "amazon.nova-lite-v1:0", "messages": [{"role": "user", "content": [{"text": PROMPT}]}]}
    if streamed:
        return list(_bedrock(url).converse_stream(**request)["stream"])
    got = _bedrock(url).converse(**request)
    return [got["output"], got["usage"]]


def raw_boto3_invoke(url, streamed):
    body = json.dumps({"max_tokens": 50, "anthropic_version": "bedrock-2023-05-31", "messages": []})
    request = {"modelId": "anthropic.claude-test-1-v1:0", "body": body}
    if streamed:
        return list(_bedrock(url).invoke_model_with_response_stream(**request)["body"])
    return [json.load(_bedrock(url).invoke_model(**request)["body"])]


def raw_cohere(url, streamed):
    import cohere as sdk

    client = sdk.ClientV2(api_key="k", base_url=url)
    messages = [{"role": "user", "content": PROMPT}]
    if streamed:
        return [event.model_dump(mode="json") for event in client.chat_stream(model="command-r", messages=messages)]
    return [client.chat(model="command-r", messages=messages).model_dump(mode="json")]


def raw_ollama(url, streamed):
    import ollama as sdk

    got = sdk.Client(host=url).chat(model="llama3.2", messages=[{"role": "user", "content": PROMPT}], stream=streamed)
    return [part.model_dump(mode="json") for part in got] if streamed else [got.model_dump(mode="json")]


async def raw_ollama_async(url, streamed):
    import ollama as sdk

    messages = [{"role": "user", "content": PROMPT}]
    got = await sdk.AsyncClient(host=url).chat(model="llama3.2", messages=messages, stream=streamed)
    return [part.model_dump(mode="json") async for part in got] if streamed else [got.model_dump(mode="json")]


def raw_groq(url, streamed):
    import groq

    client = groq.Groq(base_url=url, api_key="k", max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    got = client.chat.completions.create(model="llama-3.3-70b-versatile", messages=messages, stream=streamed)
    return [chunk.to_dict() for chunk in got] if streamed else [got.to_dict()]


async def raw_groq_async(url, streamed):
    import groq

    messages = [{"role": "user", "content": PROMPT}]
    async with groq.AsyncGroq(base_url=url, api_key="k", max_retries=0) as client:
        got = await client.chat.completions.create(model="llama-3.3", messages=messages, stream=streamed)
        return [chunk.to_dict() async for chunk in got] if streamed else [got.to_dict()]


async def raw_cohere_async(url, streamed):
    import cohere as sdk

    request = {"model": "command-r", "messages": [{"role": "user", "content": PROMPT}]}
    async with sdk.AsyncClientV2(api_key="k", base_url=url) as client:
        if streamed:
            return [event.model_dump(mode="json") async for event in client.chat_stream(**request)]
        return [(await client.chat(**request)).model_dump(mode="json")]


def raw_mistral(url, streamed):
    from mistralai.client import Mistral

    with Mistral(api_key="k", server_url=url) as client:
        request = {"model": "mistral-small", "messages": [{"role": "user", "content": PROMPT}]}
        if streamed:
            return [event.data.model_dump(mode="json") for event in client.chat.stream(**request)]
        return [client.chat.complete(**request).model_dump(mode="json")]


def raw_perplexity(url, streamed):
    import perplexity

    client = perplexity.Perplexity(base_url=url, api_key="k", max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    got = client.chat.completions.create(model="sonar", messages=messages, stream=streamed)
    return [chunk.to_dict() for chunk in got] if streamed else [got.to_dict()]


# HTTP libraries by themselves -------------------------------------------------------------------------------------------

REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": PROMPT}]}
ROUTE = "/v1/chat/completions"


def lines_or_json(lines, streamed):
    """A stream comes back line for line; JSON comes back by value."""
    lines = list(lines)
    return lines if streamed else [json.loads((b"" if isinstance(lines[0], bytes) else "").join(lines))]


def library_httpx(url, streamed, library="httpx"):
    with sys.modules[library].Client() as client, client.stream("POST", url + ROUTE, json=REQUEST) as response:
        return lines_or_json(response.iter_lines(), streamed)


async def library_httpx_async(url, streamed, library="httpx"):
    async with (
        sys.modules[library].AsyncClient() as client,
        client.stream("POST", url + ROUTE, json=REQUEST) as response,
    ):
        return lines_or_json([line async for line in response.aiter_lines()], streamed)


def library_httpx2(url, streamed):
    import httpx2  # noqa: F401

    return library_httpx(url, streamed, "httpx2")


async def library_httpx2_async(url, streamed):
    import httpx2  # noqa: F401

    return await library_httpx_async(url, streamed, "httpx2")


def library_requests(url, streamed):
    import requests

    with requests.post(url + ROUTE, json=REQUEST, stream=streamed) as response:
        return lines_or_json(response.iter_lines(), streamed)


def library_urllib3(url, streamed):
    import urllib3

    with urllib3.PoolManager() as pool:
        response = pool.request("POST", url + ROUTE, json=REQUEST, preload_content=not streamed)
        return lines_or_json([b"".join(response.stream()) if streamed else response.data], streamed)


def library_urllib(url, streamed):
    import urllib.request

    request = urllib.request.Request(url + ROUTE, json.dumps(REQUEST).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return lines_or_json([response.read()], streamed)


async def library_aiohttp(url, streamed):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.post(url + ROUTE, json=REQUEST) as response:
        return [line async for line in response.content] if streamed else [await response.json()]


async def library_tornado(url, streamed):
    from tornado.httpclient import AsyncHTTPClient

    client = AsyncHTTPClient(force_instance=True)
    # What fails in a callback of tornado's is only logged, and the client waits for ever.
    asked = client.fetch(url + ROUTE, method="POST", body=json.dumps(REQUEST))
    response = await asyncio.wait_for(asked, timeout=60)
    client.close()
    return lines_or_json([response.body], streamed)


def library_httplib2(url, streamed):
    import httplib2

    _, content = httplib2.Http().request(url + ROUTE, "POST", body=json.dumps(REQUEST))
    return lines_or_json([content], streamed)


# Through LangChain ------------------------------------------------------------------------------------------------------


def langchain(name, flavour, route="", model="m"):
    return lambda url: chat_model(Endpoint(name, flavour, url + route, model))


def langchain_nvidia(url):
    from langchain_nvidia_ai_endpoints import ChatNVIDIA

    return ChatNVIDIA(model="meta/llama-3.1-8b-instruct", base_url=url + "/v1", nvidia_api_key="nvapi-k")


@functools.cache
def langchain_perplexity(url):
    import perplexity
    from langchain_perplexity import ChatPerplexity

    # The class offers no base URL, but takes clients that have one.
    options = {"base_url": url, "api_key": "k", "max_retries": 0}
    clients = {"client": perplexity.Perplexity(**options), "async_client": perplexity.AsyncPerplexity(**options)}
    return ChatPerplexity(model="sonar", api_key="k", **clients)


MODELS = {
    "ChatOpenAI": (langchain("ChatOpenAI", "openai-chat", "/v1/chat/completions", "gpt-4o-mini"), openai_chat),
    "ChatOpenAI responses": (
        langchain("ChatOpenAI", "openai-responses", "/v1/responses", "gpt-4o-mini"),
        openai_responses,
    ),
    "ChatAnthropic": (langchain("ChatAnthropic", "anthropic-messages", "/v1/messages", "claude-test"), anthropic),
    "ChatGoogleGenerativeAI": (
        langchain(
            "ChatGoogleGenerativeAI", "gemini-generateContent", "/v1beta/models/gemini-2.5-flash:x", "gemini-2.5-flash"
        ),
        gemini,
    ),
    "ChatBedrockConverse": (
        langchain("ChatBedrockConverse", "bedrock-converse", "/model/x/converse", "amazon.nova-lite-v1:0"),
        bedrock_converse,
    ),
    "ChatMistralAI": (langchain("ChatMistralAI", "openai-chat", "/v1/chat/completions", "mistral-small"), openai_chat),
    "ChatCohere": (langchain("ChatCohere", "cohere-v2", "/v2/chat", "command-r"), cohere),
    "ChatOllama": (langchain("ChatOllama", "ollama-chat", "/api/chat", "llama3.2"), ollama),
    "ChatGroq": (langchain("ChatGroq", "openai-chat", "/openai/v1/chat/completions", "llama-3.3"), openai_chat),
    "ChatDeepSeek": (langchain("ChatDeepSeek", "openai-chat", "/chat/completions", "deepseek-chat"), openai_chat),
    "ChatXAI": (langchain("ChatXAI", "openai-chat", "/v1/chat/completions", "grok-4"), openai_chat),
    "ChatOpenRouter": (
        langchain("ChatOpenRouter", "openai-chat", "/v1/chat/completions", "openai/gpt-4o"),
        openai_chat,
    ),
    "ChatNVIDIA": (langchain_nvidia, openai_chat),
    "ChatPerplexity": (langchain_perplexity, openai_chat),
}


def through(build, how):
    def call(url, streamed):
        model = build(url)
        if how == "sync":
            pieces = list(model.stream(PROMPT)) if streamed else [model.invoke(PROMPT)]
            return [_plain(piece) for piece in pieces]

        async def ask():
            pieces = [piece async for piece in model.astream(PROMPT)] if streamed else [await model.ainvoke(PROMPT)]
            return [_plain(piece) for piece in pieces]

        return ask()

    return call


def _plain(message):
    """A message without what LangChain makes up at each call."""
    data = message.model_dump()
    data.pop("id")
    data["response_metadata"].pop("ResponseMetadata", None)
    data["response_metadata"].pop("headers", None)
    return data


CLIENTS = {
    "openai": (raw_openai, openai_chat),
    "openai async": (raw_openai_async, openai_responses),
    "anthropic": (raw_anthropic, anthropic),
    "anthropic async": (raw_anthropic_async, anthropic),
    "google-genai": (raw_google, gemini),
    "google-genai async": (raw_google_async, gemini),
    "boto3 converse": (raw_boto3_converse, bedrock_converse),
    "boto3 invoke": (raw_boto3_invoke, bedrock_invoke),
    "cohere": (raw_cohere, cohere),
    "cohere async": (raw_cohere_async, cohere),
    "mistral": (raw_mistral, openai_chat),
    "perplexity": (raw_perplexity, openai_chat),
    "ollama": (raw_ollama, ollama),
    "ollama async": (raw_ollama_async, ollama),
    "groq": (raw_groq, openai_chat),
    "groq async": (raw_groq_async, openai_chat),
    "httpx": (library_httpx, openai_chat),
    "httpx async": (library_httpx_async, openai_chat),
    "httpx2": (library_httpx2, openai_chat),
    "httpx2 async": (library_httpx2_async, openai_chat),
    "requests": (library_requests, openai_chat),
    "urllib3": (library_urllib3, openai_chat),
    "urllib": (library_urllib, openai_chat),
    "aiohttp": (library_aiohttp, openai_chat),
    "tornado": (library_tornado, openai_chat),
    "httplib2": (library_httplib2, openai_chat),
    **{f"{name} {how}": (through(build, how), flavour) for name, (build, flavour) in MODELS.items() for how in ("sync", "async")},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _leftovers_of_the_clients():
    """Connections that the SDKs leave open are collected here, and not in the middle of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def ask():
    """Asks once; the pieces of the answer, with the usage among them. One event loop, as in one test of an application."""
    with asyncio.Runner() as runner:

        def ask(call, url, streamed):
            try:
                got = call(url, streamed)
                return runner.run(got) if asyncio.iscoroutine(got) else got
            except ModuleNotFoundError as error:
                pytest.skip(f"{error.name} is not installed")

        yield ask


# What the SDKs leave open at the end is theirs to close.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_replays_what_it_recorded(provider, cassette, ask, name, streamed):
    call, flavour = CLIENTS[name]
    url = f"http://127.0.0.1:{provider.port}"
    # These ask for no compression, and get what they cannot read.
    packed = not streamed and not any(plain in name for plain in ("boto3", "Bedrock", "urllib"))
    provider.answers = [answer(flavour, streamed, packed=packed)] * 2
    with cassette("once") as recording:
        recorded = [ask(call, url, streamed) for _ in range(2)]
    sent = len(provider.requests)
    assert sent == 2
    provider.stop()

    with cassette() as replaying:
        replayed = [ask(call, url, streamed) for _ in range(2)]
    assert len(provider.requests) == sent
    assert replayed == recorded
    assert replaying.unplayed == []
    assert any("dive" in str(piece) for piece in replayed[0])

    for used in (recording, replaying):
        usages = [wire.read(exchange).usage for exchange in used.seen]
        assert [(usage.input_tokens, usage.output_tokens) for usage in usages] == [(11, 7)] * 2


#: What recordings of others hold besides a body: each must reach the client, whatever the client makes of it.
ODD_HEADERS = {
    "letters": {"x-note": ["caf\xe9 \U0001f426"]},
    "two-encodings": {"content-encoding": ["gzip", "gzip"]},
    "encoding-of-nobody": {"content-encoding": ["zz"]},
    "a-lie": {"Content-Encoding": ["br"]},
    "wrong-length": {"content-length": ["5"]},
    "two-lengths": {"content-length": ["5", "7"]},
    "chunked": {"transfer-encoding": ["chunked"], "Content-Length": ["3"]},
    "pseudo": {":status": ["200"]},
    "nothing": {"x-empty": [""], "x-none": []},
    "cookies": {"set-cookie": ["a=b; Path=/", "c=d; Expires=junk", "=;;"]},
}
LIBRARIES = ("httpx", "httpx async", "httpx2", "httpx2 async", "requests", "urllib3", "urllib", "aiohttp")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("odd", ODD_HEADERS)
def test_odd_headers_of_other_recorders_replay(cassette, path, ask, library, odd):
    url = "https://api.provider.test"
    body = answer(openai_chat, streamed=False)[2]
    if odd == "two-encodings":
        body = gzip.compress(gzip.compress(body))
    storage.save(
        path,
        [
            Interaction(
                Request("POST", url + ROUTE, {"content-type": ["application/json"]}, json.dumps(REQUEST).encode()),
                Response(200, "OK", {"content-type": ["application/json"], **ODD_HEADERS[odd]}, body),
            )
        ],
    )
    with cassette() as opened:
        assert ask(CLIENTS[library][0], url, streamed=False) == [openai_chat(streamed=False)]
    assert wire.read(opened.seen[0]).usage.input_tokens == 11


def test_a_stream_that_was_left_half_way_replays_so(provider, cassette):
    import openai

    def first_two(url):
        client = openai.OpenAI(base_url=url + "/v1", api_key="k")
        with client.chat.completions.create(**REQUEST, stream=True) as stream:
            return [next(stream).choices[0].delta.content for _ in range(2)]

    provider.answers = [answer(openai_chat, streamed=True)]
    with cassette("once"):
        assert first_two(provider.url) == WORDS[:2]
    provider.stop()
    with cassette() as opened:
        assert first_two(provider.url) == WORDS[:2]
    assert len(opened.seen) == 1


def test_retries_after_429_and_500_replay_in_order(provider, cassette):
    import openai

    def call(url):
        client = openai.OpenAI(base_url=url + "/v1", api_key="k", max_retries=3)
        return client.chat.completions.create(**REQUEST).usage.total_tokens

    error = {"content-type": "application/json", "retry-after-ms": "1"}
    provider.answers = [
        (429, error, b'{"error": {"message": "slow down"}}'),
        (500, error, b'{"error": {"message": "oops"}}'),
        answer(openai_chat, streamed=False),
    ]
    with cassette("once"):
        assert call(provider.url) == 18
    provider.stop()
    with cassette() as opened:
        assert call(provider.url) == 18
    assert [exchange.status for exchange in opened.seen] == [429, 500, 200]


def test_redirects_replay(provider, cassette):
    import requests

    async def aiohttp_get(url):
        import aiohttp

        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    clients = {
        "httpx": lambda url: httpx.get(url, follow_redirects=True).text,
        "requests": lambda url: requests.get(url).text,
        "aiohttp": lambda url: asyncio.run(aiohttp_get(url)),
    }
    for name, get in clients.items():
        provider.answers = [(302, {"location": f"/{name}/end?token=abc"}, b""), (200, {}, b"found")]
        with cassette("new_episodes"):
            assert get(f"{provider.url}/{name}/start") == "found"
        sent = len(provider.requests)
        with cassette():
            assert get(f"{provider.url}/{name}/start") == "found"
        assert len(provider.requests) == sent


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_uploads_replay(provider, cassette, library):
    import requests

    def upload():
        files = {"file": ("a.bin", b"\x00\xff content", "application/octet-stream")}
        client = httpx if library == "httpx" else requests
        return client.post(provider.url + "/v1/files", files=files, data={"purpose": "batch"}).json()["number"]

    with cassette("once"):
        number = upload()
    with cassette():
        assert upload() == number


def test_a_body_that_cannot_be_recorded(provider, cassette):
    import aiohttp

    async def post(url):
        data = {"a": b"1", "b": "2"}
        async with aiohttp.ClientSession() as session, session.post(url + "/x", data=data) as response:
            return (await response.json())["got"]

    for mode in ("none", "once"):
        with cassette(mode):
            # The application's own server gets what is meant for it.
            with pytest.warns(DeprecationWarning):
                assert 'name="a"' in asyncio.run(post(f"http://127.0.0.1:{provider.port}"))
            with pytest.raises(Refused, match=r"/x: a body of type dict can be neither recorded nor replayed"):
                asyncio.run(post(provider.url))


@pytest.mark.parametrize("with_filters", [False, True])
def test_forms_of_aiohttp_replay(provider, cassette, path, tmp_path, with_filters):
    import aiohttp

    (tmp_path / "bird.bin").write_bytes(b"\x00\xff content")
    config = {"filter_headers": ["authorization"]} if with_filters else {}

    async def post(purpose, *, file=False):
        form = aiohttp.FormData({"purpose": purpose, "api_key": "first-secret"})
        with (tmp_path / "bird.bin").open("rb") as opened:
            if file:
                form.add_field("file", opened, filename="bird.bin", content_type="application/octet-stream")
            async with aiohttp.ClientSession() as session, session.post(provider.url + "/x", data=form) as response:
                return (await response.json())["number"]

    with cassette("once", vcr_config=config):
        numbers = [asyncio.run(post("batch", file=file)) for file in (False, True)]
    (_, _, _, plain), (_, _, headers, multipart) = provider.requests
    assert plain == b"purpose=batch&api_key=first-secret"
    assert b"\x00\xff content" in multipart
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    for found in storage.load(path):
        assert b"redacted" in found.request.body
        assert b"first-secret" not in found.request.body
    with cassette(vcr_config=config):
        assert [asyncio.run(post("batch", file=file)) for file in (False, True)] == numbers
    for file in (False, True):
        with cassette(vcr_config=config), pytest.raises(Refused, match="Recording does not match"):
            asyncio.run(post("other", file=file))
    assert len(provider.requests) == 2


def test_aiohttp_bodies_of_every_kind_replay(provider, cassette):
    import aiohttp

    async def post(**kwargs):
        async with aiohttp.ClientSession() as session, session.post(provider.url + "/x", **kwargs) as response:
            return (await response.json())["number"]

    async def chunks():
        yield b"one"
        yield b"two"

    for body in (
        lambda: {"json": {"a": [1, None, "é"]}},
        lambda: {"data": {"a": "1", "b": "2"}},
        lambda: {"data": b"\x00\xff"},
        lambda: {"data": "text"},
        *([lambda: {"data": chunks()}] if VCRPY_9 else []),
        dict,
    ):
        with cassette("rewrite"):
            number = asyncio.run(post(**body()))
        with cassette():
            assert asyncio.run(post(**body())) == number


@pytest.fixture
def fresh_patches():
    """The patches of the clients are built once a process; a conftest comes before that."""
    from pytest_llm_usage.cassettes import vcr_patches

    vcr_patches._shared_patches.cache_clear()
    yield
    vcr_patches._shared_patches.cache_clear()


def cached_fget(stubs):
    """What pydantic-ai's conftest does."""
    cached = functools.cached_property(stubs.MockClientResponse.content.fget)
    cached.__set_name__(stubs.MockClientResponse, "content")
    return cached


def own_property(stubs):
    """What several others do: one stream a response."""

    def content(response):
        if not hasattr(response, "kept_stream"):
            response.kept_stream = stubs.MockStream(response._body)
        return response.kept_stream

    return property(content, lambda response, stream: None)


def has_stream_property():
    """Whether this vcrpy makes a new stream whenever one asks for it; later ones (8.5, 9) have an attribute."""
    from vcr.stubs import aiohttp_stubs

    return "content" in vars(aiohttp_stubs.MockClientResponse)


@pytest.mark.parametrize("when", ["before", "inside"])
@pytest.mark.parametrize(
    "work_around",
    [
        pytest.param(cached_fget, marks=pytest.mark.skipif(not has_stream_property(), reason="no property to wrap")),
        pytest.param(
            own_property, marks=pytest.mark.skipif(has_stream_property(), reason="as written for later vcrpy")
        ),
    ],
)
def test_work_arounds_of_suites_for_aiohttp_streams(provider, cassette, monkeypatch, fresh_patches, work_around, when):
    import aiohttp
    from vcr.stubs import aiohttp_stubs

    async def lines():
        async with aiohttp.ClientSession() as session, session.post(provider.url + ROUTE, json=REQUEST) as response:
            return [line async for line in response.content]

    def apply():
        monkeypatch.setattr(aiohttp_stubs.MockClientResponse, "content", work_around(aiohttp_stubs), raising=False)
        monkeypatch.setattr(aiohttp_stubs.MockStream, "set_exception", lambda *_: None, raising=False)

    provider.answers = [answer(openai_chat, streamed=True)]
    if when == "before":
        apply()
    with cassette("once"):
        recorded = asyncio.run(lines())
    with cassette():
        if when == "inside":
            apply()
        assert asyncio.run(lines()) == recorded
        monkeypatch.undo()
    assert len(recorded) > len(WORDS)
