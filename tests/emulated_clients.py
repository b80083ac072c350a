"""Every way of asking a model that the emulator stands in for: LangChain's class and the provider's own SDK.

A way asks one question of one model; asynchronous ones are run here, so that a test calls them all alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

#: No request leaves the machine; the clients only insist on having something to send.
_KEY = "dummy-key"
_AWS = {"region_name": "us-east-1", "aws_access_key_id": _KEY, "aws_secret_access_key": _KEY}


@dataclass(frozen=True)
class Way:
    """One way of asking.

    Attributes:
        source: Who tells of the call: `langchain`, or `http` where only the wire does.
        name: The client and how it is asked.
        ask: Asks the question it is given.
    """

    source: str
    name: str
    ask: Callable[[str], object]


#: One loop for all: clients, and the connections that LangChain shares among them, belong to the loop that made them.
_LOOP = asyncio.Runner()


def ways(flavour: str, url: str) -> Iterator[Way]:
    """Every way of asking in the wire format `flavour` at `url`."""
    model, raw = _CLIENTS[flavour](url)
    yield Way("langchain", "invoke", model.invoke)
    yield Way("langchain", "stream", lambda question: [*model.stream(question)])
    yield Way("langchain", "ainvoke", _in_loop(model.ainvoke))
    yield Way("langchain", "astream", _in_loop(lambda question: _drained(model.astream(question))))
    yield Way("langchain", "batch", lambda question: model.batch([question]))
    for name, ask in raw.items():
        yield Way("http", name, _in_loop(ask) if iscoroutinefunction(ask) else ask)


def _in_loop(ask: Callable[[str], Any]) -> Callable[[str], object]:
    # The loop's own context is the one that it was made in.
    return lambda question: _LOOP.run(ask(question), context=copy_context())


def open_stream(flavour: str, url: str, question: str) -> Iterator[Any]:
    """LangChain's stream of an answer, not begun."""
    model, _ = _CLIENTS[flavour](url)
    return model.stream(question)


async def _drained(stream: Any) -> list[Any]:
    return [piece async for piece in stream]


def _awaited(ask: Callable[[str], Any]) -> Callable[[str], Any]:
    """An asynchronous way; what comes in pieces is read to its end."""

    async def asked(question: str) -> object:
        answer = ask(question)
        if hasattr(answer, "__await__"):
            answer = await answer
        return await _drained(answer) if hasattr(answer, "__aiter__") else answer

    return asked


_Client = tuple[Any, dict[str, Callable[[str], object]]]


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _openai_chat(url: str) -> _Client:
    import openai
    from langchain_openai import ChatOpenAI

    options = {"base_url": f"{url}/v1", "api_key": _KEY, "max_retries": 0}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=_messages(question), **more)

    return ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **options), {
        "openai": lambda question: create(openai.OpenAI(**options), question),
        "openai stream": lambda question: [*create(openai.OpenAI(**options), question, **streamed)],
        "openai async": _awaited(lambda question: create(openai.AsyncOpenAI(**options), question)),
        "openai async stream": _awaited(lambda question: create(openai.AsyncOpenAI(**options), question, **streamed)),
    }


def _openai_responses(url: str) -> _Client:
    import openai
    from langchain_openai import ChatOpenAI

    options = {"base_url": f"{url}/v1", "api_key": _KEY, "max_retries": 0}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.responses.create(model="gpt-4o-mini", input=question, **more)

    return ChatOpenAI(model="gpt-4o-mini", use_responses_api=True, **options), {
        "openai": lambda question: create(openai.OpenAI(**options), question),
        "openai stream": lambda question: [*create(openai.OpenAI(**options), question, stream=True)],
        "openai async": _awaited(lambda question: create(openai.AsyncOpenAI(**options), question)),
        "openai async stream": _awaited(lambda question: create(openai.AsyncOpenAI(**options), question, stream=True)),
    }


def _azure(url: str) -> _Client:
    import openai
    from langchain_openai import AzureChatOpenAI

    options = {"azure_endpoint": url, "api_key": _KEY, "api_version": "2024-10-21", "max_retries": 0}

    def create(client: Any, question: str) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=_messages(question))

    return AzureChatOpenAI(azure_deployment="gpt-4o-mini", stream_usage=True, **options), {
        "openai": lambda question: create(openai.AzureOpenAI(**options), question),
        "openai async": _awaited(lambda question: create(openai.AsyncAzureOpenAI(**options), question)),
    }


def _groq(url: str) -> _Client:
    import groq
    from langchain_groq import ChatGroq

    options = {"base_url": url, "api_key": _KEY, "max_retries": 0}

    def create(client: Any, question: str) -> Any:
        return client.chat.completions.create(model="llama-3.1-8b-instant", messages=_messages(question))

    return ChatGroq(model="llama-3.1-8b-instant", **options), {
        "groq": lambda question: create(groq.Groq(**options), question),
        "groq async": _awaited(lambda question: create(groq.AsyncGroq(**options), question)),
    }


def _mistral(url: str) -> _Client:
    from langchain_mistralai import ChatMistralAI

    return ChatMistralAI(model="mistral-small", base_url=f"{url}/v1", api_key=_KEY, max_retries=0), {}


def _anthropic(url: str) -> _Client:
    import anthropic
    from langchain_anthropic import ChatAnthropic

    options = {"base_url": url, "api_key": _KEY, "max_retries": 0}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=_messages(question), **more)

    return ChatAnthropic(model="claude-haiku-4-5", **options), {
        "anthropic": lambda question: create(anthropic.Anthropic(**options), question),
        "anthropic stream": lambda question: [*create(anthropic.Anthropic(**options), question, stream=True)],
        "anthropic async": _awaited(lambda question: create(anthropic.AsyncAnthropic(**options), question)),
        "anthropic async stream": _awaited(
            lambda question: create(anthropic.AsyncAnthropic(**options), question, stream=True)
        ),
    }


def _gemini(url: str) -> _Client:
    from google import genai
    from langchain_google_genai import ChatGoogleGenerativeAI

    asked = {"model": "gemini-2.5-flash"}
    client = genai.Client(api_key=_KEY, http_options={"base_url": url})
    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key=_KEY, base_url=url, max_retries=1)
    return model, {
        "genai": lambda question: client.models.generate_content(contents=question, **asked),
        "genai stream": lambda question: [*client.models.generate_content_stream(contents=question, **asked)],
        "genai async": _awaited(lambda question: client.aio.models.generate_content(contents=question, **asked)),
        "genai async stream": _awaited(
            lambda question: client.aio.models.generate_content_stream(contents=question, **asked)
        ),
    }


def _bedrock_runtime(url: str) -> Any:
    import boto3

    return boto3.client("bedrock-runtime", endpoint_url=url, **_AWS)


def _bedrock_converse(url: str) -> _Client:
    from langchain_aws import ChatBedrockConverse

    client, model_id = _bedrock_runtime(url), "anthropic.claude-haiku-4-5-20251001-v1:0"

    def asked(question: str) -> dict[str, Any]:
        return {"modelId": model_id, "messages": [{"role": "user", "content": [{"text": question}]}]}

    model = ChatBedrockConverse(model=model_id, client=client, bedrock_client=client, region_name="us-east-1")
    return model, {
        "boto3": lambda question: client.converse(**asked(question)),
        "boto3 stream": lambda question: [*client.converse_stream(**asked(question))["stream"]],
        "boto3 in a thread": _awaited(lambda question: asyncio.to_thread(client.converse, **asked(question))),
    }


def _bedrock_invoke(url: str) -> _Client:
    import json

    from langchain_aws import ChatBedrock

    client, model_id = _bedrock_runtime(url), "anthropic.claude-3-haiku-20240307-v1:0"

    def asked(question: str) -> dict[str, Any]:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": _messages(question)}
        return {"modelId": model_id, "body": json.dumps(body)}

    model = ChatBedrock(
        model=model_id, beta_use_converse_api=False, client=client, bedrock_client=client, region_name="us-east-1"
    )
    return model, {
        "boto3": lambda question: client.invoke_model(**asked(question))["body"].read(),
        "boto3 stream": lambda question: [*client.invoke_model_with_response_stream(**asked(question))["body"]],
    }


def _cohere(url: str) -> _Client:
    import cohere
    from langchain_cohere import ChatCohere

    def asked(question: str) -> dict[str, Any]:
        return {"model": "command-a-03-2025", "messages": _messages(question)}

    client, asynchronous = cohere.ClientV2(_KEY, base_url=url), cohere.AsyncClientV2(_KEY, base_url=url)
    return ChatCohere(model="command-a-03-2025", cohere_api_key=_KEY, base_url=url), {
        "cohere": lambda question: client.chat(**asked(question)),
        "cohere stream": lambda question: [*client.chat_stream(**asked(question))],
        "cohere async": _awaited(lambda question: asynchronous.chat(**asked(question))),
        "cohere async stream": _awaited(lambda question: asynchronous.chat_stream(**asked(question))),
    }


def _ollama(url: str) -> _Client:
    import ollama
    from langchain_ollama import ChatOllama

    def asked(question: str) -> dict[str, Any]:
        return {"model": "llama3.2", "messages": _messages(question)}

    return ChatOllama(model="llama3.2", base_url=url), {
        "ollama": lambda question: ollama.Client(host=url).chat(**asked(question)),
        "ollama stream": lambda question: [*ollama.Client(host=url).chat(**asked(question), stream=True)],
        "ollama async": _awaited(lambda question: ollama.AsyncClient(host=url).chat(**asked(question))),
        "ollama async stream": _awaited(
            lambda question: ollama.AsyncClient(host=url).chat(**asked(question), stream=True)
        ),
    }


_CLIENTS: dict[str, Callable[[str], _Client]] = {
    "anthropic-messages": _anthropic,
    "azure-openai-chat": _azure,
    "bedrock-converse": _bedrock_converse,
    "bedrock-invoke": _bedrock_invoke,
    "cohere-chat": _cohere,
    "gemini": _gemini,
    "groq-chat": _groq,
    "mistral-chat": _mistral,
    "ollama-chat": _ollama,
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
}
