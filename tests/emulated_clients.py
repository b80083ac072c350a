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

import raw_clients
from raw_clients import AWS, KEY, Ways, awaited, messages


@dataclass(frozen=True)
class Way:
    """One way of asking.

    Attributes:
        source: What reports the call: `langchain`, or `http` if only the wire does.
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
    if flavour in STREAMED:
        model, raw = _CLIENTS[flavour](url)
        yield Way("langchain", "invoke", model.invoke)
        yield Way("langchain", "stream", lambda question: [*model.stream(question)])
        yield Way("langchain", "ainvoke", _in_loop(model.ainvoke))
        yield Way("langchain", "astream", _in_loop(lambda question: _drained(model.astream(question))))
        yield Way("langchain", "batch", lambda question: model.batch([question]))
    else:
        raw = _SILENT_CLIENTS[flavour](url)
    for name, ask in raw.items():
        yield Way("http", name, _in_loop(ask) if iscoroutinefunction(ask) else ask)


def counted(flavour: str, sent: int, received: int) -> tuple[int, int, int]:
    """The input, output and total tokens of an answer that was asked to count `sent` and `received`."""
    if flavour in STREAMED:
        return sent, received, sent + received
    # Reranking is billed by the search.
    return (0, 0, 0) if flavour == "cohere-rerank" else (sent, 0, sent)


def _in_loop(ask: Callable[[str], Any]) -> Callable[[str], object]:
    # The loop's own context is the one that it was made in.
    return lambda question: _LOOP.run(ask(question), context=copy_context())


def open_stream(flavour: str, url: str, question: str) -> Iterator[Any]:
    """LangChain's stream of an answer, not begun."""
    model, _ = _CLIENTS[flavour](url)
    return model.stream(question)


async def _drained(stream: Any) -> list[Any]:
    return [piece async for piece in stream]


_Client = tuple[Any, Ways]


def _openai_chat(url: str) -> _Client:
    from langchain_openai import ChatOpenAI

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}
    return ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **options), raw_clients.openai(url)


def _openai_responses(url: str) -> _Client:
    import openai
    from langchain_openai import ChatOpenAI

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.responses.create(model="gpt-4o-mini", input=question, **more)

    return ChatOpenAI(model="gpt-4o-mini", use_responses_api=True, **options), {
        "openai": lambda question: create(openai.OpenAI(**options), question),
        "openai stream": lambda question: [*create(openai.OpenAI(**options), question, stream=True)],
        "openai async": awaited(lambda question: create(openai.AsyncOpenAI(**options), question)),
        "openai async stream": awaited(lambda question: create(openai.AsyncOpenAI(**options), question, stream=True)),
    }


def _azure(url: str) -> _Client:
    import openai
    from langchain_openai import AzureChatOpenAI

    options = {"azure_endpoint": url, "api_key": KEY, "api_version": "2024-10-21", "max_retries": 0}

    def create(client: Any, question: str) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=messages(question))

    return AzureChatOpenAI(azure_deployment="gpt-4o-mini", stream_usage=True, **options), {
        "openai": lambda question: create(openai.AzureOpenAI(**options), question),
        "openai async": awaited(lambda question: create(openai.AsyncAzureOpenAI(**options), question)),
    }


def _groq(url: str) -> _Client:
    from langchain_groq import ChatGroq

    model = ChatGroq(model="llama-3.1-8b-instant", base_url=url, api_key=KEY, max_retries=0)
    return model, raw_clients.groq(url)


def _mistral(url: str) -> _Client:
    from langchain_mistralai import ChatMistralAI

    model = ChatMistralAI(model="mistral-small", base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    return model, raw_clients.mistral(url)


def _anthropic(url: str) -> _Client:
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model="claude-haiku-4-5", base_url=url, api_key=KEY, max_retries=0)
    return model, raw_clients.anthropic(url)


def _gemini(url: str) -> _Client:
    return _google(url, {"api_key": KEY})


def _vertex(url: str) -> _Client:
    from google.oauth2.credentials import Credentials

    return _google(
        url, {"vertexai": True, "project": "p", "location": "us-central1", "credentials": Credentials(token=KEY)}
    )


def _google(url: str, options: dict[str, Any]) -> _Client:
    from langchain_google_genai import ChatGoogleGenerativeAI

    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, max_retries=1, **options)
    return model, raw_clients.genai(url, **options)


def _bedrock_runtime(url: str) -> Any:
    import boto3

    return boto3.client("bedrock-runtime", endpoint_url=url, **AWS)


def _bedrock_converse(url: str) -> _Client:
    from langchain_aws import ChatBedrockConverse

    client, model_id = _bedrock_runtime(url), "anthropic.claude-haiku-4-5-20251001-v1:0"
    model = ChatBedrockConverse(model=model_id, client=client, bedrock_client=client, region_name="us-east-1")
    return model, raw_clients.boto3(url)


def _bedrock_invoke(url: str) -> _Client:
    import json

    from langchain_aws import ChatBedrock

    client, model_id = _bedrock_runtime(url), "anthropic.claude-3-haiku-20240307-v1:0"

    def asked(question: str) -> dict[str, Any]:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": messages(question)}
        return {"modelId": model_id, "body": json.dumps(body)}

    model = ChatBedrock(
        model=model_id, beta_use_converse_api=False, client=client, bedrock_client=client, region_name="us-east-1"
    )
    return model, {
        "boto3": lambda question: client.invoke_model(**asked(question))["body"].read(),
        "boto3 stream": lambda question: [*client.invoke_model_with_response_stream(**asked(question))["body"]],
    }


def _cohere(url: str) -> _Client:
    from langchain_cohere import ChatCohere

    return ChatCohere(model="command-a-03-2025", cohere_api_key=KEY, base_url=url), raw_clients.cohere(url)


def _ollama(url: str) -> _Client:
    from langchain_ollama import ChatOllama

    return ChatOllama(model="llama3.2", base_url=url), raw_clients.ollama(url)


def _ollama_generate(url: str) -> _Client:
    import ollama
    from langchain_ollama import OllamaLLM

    def asked(question: str) -> dict[str, Any]:
        return {"model": "llama3.2", "prompt": question}

    return OllamaLLM(model="llama3.2", base_url=url), {
        "ollama": lambda question: ollama.Client(host=url).generate(**asked(question)),
        "ollama stream": lambda question: [*ollama.Client(host=url).generate(**asked(question), stream=True)],
        "ollama async": awaited(lambda question: ollama.AsyncClient(host=url).generate(**asked(question))),
        "ollama async stream": awaited(
            lambda question: ollama.AsyncClient(host=url).generate(**asked(question), stream=True)
        ),
    }


# -- what no callback of LangChain's reports: embeddings and reranking -------------------------------------------


def _by_langchain(embeddings: Any) -> Ways:
    return {
        "langchain": embeddings.embed_query,
        "langchain documents": lambda question: embeddings.embed_documents([question]),
        "langchain async": awaited(embeddings.aembed_query),
    }


def _openai_embeddings(url: str) -> Ways:
    import openai
    from langchain_openai import OpenAIEmbeddings

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}
    asked = {"model": "text-embedding-3-small", "encoding_format": "float"}
    # Text as it is, not as tokens: what makes them is fetched from the network.
    return _by_langchain(OpenAIEmbeddings(model=asked["model"], check_embedding_ctx_length=False, **options)) | {
        "openai": lambda question: openai.OpenAI(**options).embeddings.create(input=question, **asked),
        "openai async": awaited(
            lambda question: openai.AsyncOpenAI(**options).embeddings.create(input=question, **asked)
        ),
    }


def _azure_embeddings(url: str) -> Ways:
    import openai
    from langchain_openai import AzureOpenAIEmbeddings

    options = {"azure_endpoint": url, "api_key": KEY, "api_version": "2024-10-21", "max_retries": 0}
    asked = {"model": "text-embedding-3-small", "encoding_format": "float"}
    return _by_langchain(AzureOpenAIEmbeddings(model=asked["model"], check_embedding_ctx_length=False, **options)) | {
        "openai": lambda question: openai.AzureOpenAI(**options).embeddings.create(input=question, **asked)
    }


def _gemini_embed(url: str) -> Ways:
    from google import genai
    from langchain_google_genai import GoogleGenerativeAIEmbeddings

    client = genai.Client(api_key=KEY, http_options={"base_url": url})
    asked = {"model": "gemini-embedding-001"}
    embeddings = GoogleGenerativeAIEmbeddings(google_api_key=KEY, base_url=url, **asked)
    return _by_langchain(embeddings) | {
        "genai": lambda question: client.models.embed_content(contents=question, **asked),
        "genai async": awaited(lambda question: client.aio.models.embed_content(contents=question, **asked)),
    }


def _cohere_embed(url: str) -> Ways:
    import cohere
    from langchain_cohere import CohereEmbeddings

    def asked(question: str) -> dict[str, Any]:
        options = {"model": "embed-v4.0", "input_type": "search_query", "embedding_types": ["float"]}
        return {"texts": [question], **options}

    return _by_langchain(CohereEmbeddings(model="embed-v4.0", cohere_api_key=KEY, base_url=url)) | {
        "cohere": lambda question: cohere.ClientV2(KEY, base_url=url).embed(**asked(question)),
        "cohere async": awaited(lambda question: cohere.AsyncClientV2(KEY, base_url=url).embed(**asked(question))),
    }


def _cohere_rerank(url: str) -> Ways:
    import cohere
    from langchain_cohere import CohereRerank

    client, model = cohere.ClientV2(KEY, base_url=url), "rerank-v3.5"
    by_langchain = CohereRerank(model=model, client=client)
    asynchronous = cohere.AsyncClientV2(KEY, base_url=url)
    return {
        "langchain": lambda question: by_langchain.rerank(["a falcon"], question),
        "cohere": lambda question: client.rerank(model=model, query=question, documents=["a falcon"]),
        "cohere async": awaited(
            lambda question: asynchronous.rerank(model=model, query=question, documents=["a falcon"])
        ),
    }


def _ollama_embed(url: str) -> Ways:
    import ollama
    from langchain_ollama import OllamaEmbeddings

    asked = {"model": "nomic-embed-text"}
    return _by_langchain(OllamaEmbeddings(base_url=url, **asked)) | {
        "ollama": lambda question: ollama.Client(host=url).embed(input=question, **asked),
        "ollama async": awaited(lambda question: ollama.AsyncClient(host=url).embed(input=question, **asked)),
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
    "ollama-generate": _ollama_generate,
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
    "vertex-gemini": _vertex,
}

_SILENT_CLIENTS: dict[str, Callable[[str], Ways]] = {
    "azure-openai-embeddings": _azure_embeddings,
    "cohere-embed": _cohere_embed,
    "cohere-rerank": _cohere_rerank,
    "gemini-embed": _gemini_embed,
    "ollama-embed": _ollama_embed,
    "openai-embeddings": _openai_embeddings,
}

#: The formats in which answers can be streamed, and whose calls LangChain reports.
STREAMED = frozenset(_CLIENTS)
