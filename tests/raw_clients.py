"""The clients that ask models without LangChain, each in all its ways: at once, streamed, and both asynchronously.

Each is given the URL of a provider on loopback (`counting_server`). A way asks one question and reads the whole answer;
an asynchronous one is a coroutine function.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

#: No request leaves the machine; the clients only insist on having something to send.
KEY = "dummy-key"
AWS = {"region_name": "us-east-1", "aws_access_key_id": KEY, "aws_secret_access_key": KEY}

Ways = dict[str, Callable[[str], object]]


class Client(NamedTuple):
    """A client.

    Attributes:
        module: The module that it needs.
        ways: Returns all its ways by name, for the URL of a provider.
        styles: The names of its ways, without the client's name in front.
    """

    module: str
    ways: Callable[[str], Ways]
    styles: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether it can be tried here."""
        package = self.module.partition(".")[0]
        return find_spec(package) is not None and find_spec(self.module) is not None


def ask_five_times(ask: Callable[[str], Any], question: str) -> None:
    async def ask_in_loop() -> None:
        for _ in range(5):
            await ask(question)

    if iscoroutinefunction(ask):
        asyncio.run(ask_in_loop())
    else:
        for _ in range(5):
            ask(question)


def messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def awaited(ask: Callable[[str], Any]) -> Callable[[str], Any]:
    """An asynchronous way; what comes in pieces is read to its end."""

    async def asked(question: str) -> object:
        answer = ask(question)
        if hasattr(answer, "__await__"):
            answer = await answer
        return [piece async for piece in answer] if hasattr(answer, "__aiter__") else answer

    return asked


# -- the providers' SDKs ---------------------------------------------------------------------------------------


def openai(url: str, **more: Any) -> Ways:
    import openai

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0, **more}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=messages(question), **more)

    return {
        "openai": lambda question: create(openai.OpenAI(**options), question),
        "openai stream": lambda question: [*create(openai.OpenAI(**options), question, **streamed)],
        "openai async": awaited(lambda question: create(openai.AsyncOpenAI(**options), question)),
        "openai async stream": awaited(lambda question: create(openai.AsyncOpenAI(**options), question, **streamed)),
    }


def anthropic(url: str) -> Ways:
    import anthropic

    options = {"base_url": url, "api_key": KEY, "max_retries": 0}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=messages(question), **more)

    return {
        "anthropic": lambda question: create(anthropic.Anthropic(**options), question),
        "anthropic stream": lambda question: [*create(anthropic.Anthropic(**options), question, stream=True)],
        "anthropic async": awaited(lambda question: create(anthropic.AsyncAnthropic(**options), question)),
        "anthropic async stream": awaited(
            lambda question: create(anthropic.AsyncAnthropic(**options), question, stream=True)
        ),
    }


def genai(url: str, **options: Any) -> Ways:
    from google import genai

    asked = {"model": "gemini-2.5-flash"}
    client = genai.Client(http_options={"base_url": url}, **(options or {"api_key": KEY}))
    return {
        "genai": lambda question: client.models.generate_content(contents=question, **asked),
        "genai stream": lambda question: [*client.models.generate_content_stream(contents=question, **asked)],
        "genai async": awaited(lambda question: client.aio.models.generate_content(contents=question, **asked)),
        "genai async stream": awaited(
            lambda question: client.aio.models.generate_content_stream(contents=question, **asked)
        ),
    }


def mistral(url: str) -> Ways:
    from mistralai.client import Mistral

    def client() -> Any:
        return Mistral(api_key=KEY, server_url=url)  # each has connections of one event loop

    def asked(question: str) -> dict[str, Any]:
        return {"model": "mistral-small", "messages": messages(question)}

    return {
        "mistral": lambda question: client().chat.complete(**asked(question)),
        "mistral stream": lambda question: [*client().chat.stream(**asked(question))],
        "mistral async": awaited(lambda question: client().chat.complete_async(**asked(question))),
        "mistral async stream": awaited(lambda question: client().chat.stream_async(**asked(question))),
    }


def cohere(url: str) -> Ways:
    import cohere

    def asked(question: str) -> dict[str, Any]:
        return {"model": "command-a-03-2025", "messages": messages(question)}

    def client(made: Any) -> Any:
        return made(KEY, base_url=url)  # each has connections of one event loop

    return {
        "cohere": lambda question: client(cohere.ClientV2).chat(**asked(question)),
        "cohere stream": lambda question: [*client(cohere.ClientV2).chat_stream(**asked(question))],
        "cohere async": awaited(lambda question: client(cohere.AsyncClientV2).chat(**asked(question))),
        "cohere async stream": awaited(lambda question: client(cohere.AsyncClientV2).chat_stream(**asked(question))),
    }


def groq(url: str) -> Ways:
    import groq

    options = {"base_url": url, "api_key": KEY, "max_retries": 0}

    def create(client: Any, question: str, **more: Any) -> Any:
        return client.chat.completions.create(model="llama-3.1-8b-instant", messages=messages(question), **more)

    return {
        "groq": lambda question: create(groq.Groq(**options), question),
        "groq stream": lambda question: [*create(groq.Groq(**options), question, stream=True)],
        "groq async": awaited(lambda question: create(groq.AsyncGroq(**options), question)),
        "groq async stream": awaited(lambda question: create(groq.AsyncGroq(**options), question, stream=True)),
    }


_CLAUDE_OF_BEDROCK = "anthropic.claude-haiku-4-5-20251001-v1:0"


def _converse(question: str) -> dict[str, Any]:
    return {"modelId": _CLAUDE_OF_BEDROCK, "messages": [{"role": "user", "content": [{"text": question}]}]}


def boto3(url: str) -> Ways:
    import boto3

    client = boto3.client("bedrock-runtime", endpoint_url=url, **AWS)
    return {
        "boto3": lambda question: client.converse(**_converse(question)),
        "boto3 stream": lambda question: [*client.converse_stream(**_converse(question))["stream"]],
        "boto3 in a thread": awaited(lambda question: asyncio.to_thread(client.converse, **_converse(question))),
    }


def aioboto3(url: str) -> Ways:
    import aioboto3

    def client() -> Any:
        return aioboto3.Session().client("bedrock-runtime", endpoint_url=url, **AWS)

    async def ask(question: str) -> None:
        async with client() as opened:
            await opened.converse(**_converse(question))

    async def stream(question: str) -> None:
        async with client() as opened:
            answer = await opened.converse_stream(**_converse(question))
            [piece async for piece in answer["stream"]]

    return {"aioboto3 async": ask, "aioboto3 async stream": stream}


def ollama(url: str) -> Ways:
    import ollama

    def asked(question: str) -> dict[str, Any]:
        return {"model": "llama3.2", "messages": messages(question)}

    return {
        "ollama": lambda question: ollama.Client(host=url).chat(**asked(question)),
        "ollama stream": lambda question: [*ollama.Client(host=url).chat(**asked(question), stream=True)],
        "ollama async": awaited(lambda question: ollama.AsyncClient(host=url).chat(**asked(question))),
        "ollama async stream": awaited(
            lambda question: ollama.AsyncClient(host=url).chat(**asked(question), stream=True)
        ),
    }


# -- frameworks on top of them ---------------------------------------------------------------------------------


def litellm(url: str) -> Ways:
    import litellm

    def asked(question: str) -> dict[str, Any]:
        asked = {"model": "openai/gpt-4o-mini", "messages": messages(question)}
        return {**asked, "base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}

    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return {
        "litellm": lambda question: litellm.completion(**asked(question)),
        "litellm stream": lambda question: [*litellm.completion(**asked(question), **streamed)],
        "litellm async": awaited(lambda question: litellm.acompletion(**asked(question))),
        "litellm async stream": awaited(lambda question: litellm.acompletion(**asked(question), **streamed)),
    }


def pydantic_ai(url: str) -> Ways:
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def agent() -> Any:
        # One client for all, as it has by itself, would keep connections of event loops that are closed.
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        return Agent(OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client)))

    async def stream(question: str) -> None:
        async with agent().run_stream(question) as answer:
            await answer.get_output()

    return {
        "pydantic_ai": lambda question: agent().run_sync(question),
        "pydantic_ai async": awaited(lambda question: agent().run(question)),
        "pydantic_ai async stream": stream,
    }


def instructor(url: str) -> Ways:
    import instructor
    import openai

    options = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}

    def create(client: Any, question: str, **more: Any) -> Any:
        made = instructor.from_openai(client, mode=instructor.Mode.JSON)
        asked = {"model": "gpt-4o-mini", "messages": messages(question), "response_model": None}
        return made.chat.completions.create(**asked, **more)

    return {
        "instructor": lambda question: create(openai.OpenAI(**options), question),
        "instructor stream": lambda question: [*create(openai.OpenAI(**options), question, **streamed)],
        "instructor async": awaited(lambda question: create(openai.AsyncOpenAI(**options), question)),
        "instructor async stream": awaited(
            lambda question: create(openai.AsyncOpenAI(**options), question, **streamed)
        ),
    }


def openai_agents(url: str) -> Ways:
    import agents
    import openai

    agents.set_tracing_disabled(True)

    def agent() -> Any:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        model = agents.OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=client)
        return agents.Agent(name="birds", model=model, model_settings=agents.ModelSettings(include_usage=True))

    return {
        "openai_agents": lambda question: agents.Runner.run_sync(agent(), question),
        "openai_agents async": awaited(lambda question: agents.Runner.run(agent(), question)),
        "openai_agents async stream": awaited(
            lambda question: agents.Runner.run_streamed(agent(), question).stream_events()
        ),
    }


# -- plain HTTP ------------------------------------------------------------------------------------------------


def _body(question: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": messages(question), **more}


def _streamed(question: str) -> dict[str, Any]:
    return _body(question, stream=True, stream_options={"include_usage": True})


def httpx(url: str, name: str = "httpx", **options: Any) -> Ways:
    library, chat = import_module(name), f"{url}/v1/chat/completions"

    def ask(question: str) -> None:
        with library.Client(**options) as client:
            client.post(chat, json=_body(question))

    def stream(question: str) -> None:
        with library.Client(**options) as client, client.stream("POST", chat, json=_streamed(question)) as answer:
            list(answer.iter_lines())

    async def ask_async(question: str) -> None:
        async with library.AsyncClient(**options) as client:
            await client.post(chat, json=_body(question))

    async def stream_async(question: str) -> None:
        async with (
            library.AsyncClient(**options) as client,
            client.stream("POST", chat, json=_streamed(question)) as answer,
        ):
            [line async for line in answer.aiter_lines()]

    return {
        name: ask,
        f"{name} stream": stream,
        f"{name} async": ask_async,
        f"{name} async stream": stream_async,
    }


def httpx2(url: str) -> Ways:
    return httpx(url, "httpx2")


def requests(url: str) -> Ways:
    import requests

    chat = f"{url}/v1/chat/completions"

    def stream(question: str) -> None:
        with requests.post(chat, json=_streamed(question), stream=True) as answer:
            list(answer.iter_lines())

    return {"requests": lambda question: requests.post(chat, json=_body(question)), "requests stream": stream}


def aiohttp(url: str) -> Ways:
    import aiohttp

    chat = f"{url}/v1/chat/completions"

    async def ask(question: str) -> None:
        async with aiohttp.ClientSession() as session, session.post(chat, json=_body(question)) as answer:
            await answer.json()

    async def stream(question: str) -> None:
        async with aiohttp.ClientSession() as session, session.post(chat, json=_streamed(question)) as answer:
            [line async for line in answer.content]

    return {"aiohttp async": ask, "aiohttp async stream": stream}


def urllib3(url: str) -> Ways:
    import urllib3

    chat, pool = f"{url}/v1/chat/completions", urllib3.PoolManager()

    def stream(question: str) -> None:
        list(pool.request("POST", chat, json=_streamed(question), preload_content=False).stream())

    return {"urllib3": lambda question: pool.request("POST", chat, json=_body(question)), "urllib3 stream": stream}


def urllib(url: str) -> Ways:
    from urllib.request import Request, urlopen

    def ask(body: dict[str, Any]) -> None:
        headers = {"content-type": "application/json"}
        with urlopen(Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)) as answer:
            list(answer)

    return {
        "urllib": lambda question: ask(_body(question)),
        "urllib stream": lambda question: ask(_streamed(question)),
    }


ALL = ("", "stream", "async", "async stream")
SYNC, ASYNC = ALL[:2], ALL[2:]

CLIENTS = {
    "openai": Client("openai", openai, ALL),
    "anthropic": Client("anthropic", anthropic, ALL),
    "genai": Client("google.genai", genai, ALL),
    "mistral": Client("mistralai.client", mistral, ALL),
    "cohere": Client("cohere", cohere, ALL),
    "groq": Client("groq", groq, ALL),
    "boto3": Client("boto3", boto3, (*SYNC, "in a thread")),
    "aioboto3": Client("aioboto3", aioboto3, ASYNC),
    "ollama": Client("ollama", ollama, ALL),
    "litellm": Client("litellm", litellm, ALL),
    "pydantic_ai": Client("pydantic_ai", pydantic_ai, ("", *ASYNC)),
    "instructor": Client("instructor", instructor, ALL),
    "openai_agents": Client("agents", openai_agents, ("", *ASYNC)),
    "httpx": Client("httpx", httpx, ALL),
    "httpx2": Client("httpx2", httpx2, ALL),
    "requests": Client("requests", requests, SYNC),
    "aiohttp": Client("aiohttp", aiohttp, ASYNC),
    "urllib3": Client("urllib3", urllib3, SYNC),
    "urllib": Client("urllib", urllib, SYNC),
}

#: What is installed for `make test-frameworks` alone.
FRAMEWORKS = frozenset({"aioboto3", "litellm", "pydantic_ai", "instructor", "openai_agents"})
