"""Models that stand for a provider: they answer at once, charge for every answer, and keep the bill.

Tests compare everything else that counts usage with this bill. The model's `form` says where in the answer the usage
is: LangChain's integrations differ in that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict

from pytest_llm_usage.usage import TokenUsage

#: The model that is asked for, and the one that the response then names, as providers do.
REQUESTED_MODEL = "fake-1"


def answering_model(requested: str = REQUESTED_MODEL) -> str:
    """The name in the response to a request for `requested`."""
    return f"{requested}-2024-07-18"


#: Where the usage of an answer is: on the message, there but without the model's name, in `response_metadata` in
#: OpenAI's words, as the object of OpenAI's SDK, in Anthropic's words or in LangChain's, in `llm_output`, or nowhere.
Form = Literal[
    "usage_metadata",
    "no_model_name",
    "openai_metadata",
    "openai_object",
    "anthropic_metadata",
    "langchain_metadata",
    "llm_output",
    "nowhere",
]


class ProviderError(Exception):
    """The provider refused, or broke off."""


class Bill:
    """What the provider charged, answer by answer. Every answer costs something else, so that none can be mixed up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.usages: list[TokenUsage] = []

    def charge(self) -> TokenUsage:
        """Charges one answer."""
        with self._lock:
            n = len(self.usages)
            usage = TokenUsage.from_counts(100 + n, 10 + n * n, input_token_details={"cache_read": 30 + n})
            self.usages.append(usage)
            return usage

    @property
    def total(self) -> TokenUsage:
        """All that was charged."""
        return sum(self.usages, TokenUsage())


def openai_words(usage: TokenUsage) -> dict[str, Any]:
    """`usage` as OpenAI's chat completions report it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.input_token_details["cache_read"]},
    }


def openai_object(usage: TokenUsage) -> SimpleNamespace:
    """`usage` as OpenAI's SDK and litellm hand it on: an object, and one in it."""
    words = openai_words(usage)
    return SimpleNamespace(**words | {"prompt_tokens_details": SimpleNamespace(**words["prompt_tokens_details"])})


def anthropic_words(usage: TokenUsage) -> dict[str, Any]:
    """`usage` as Anthropic's messages report it: cached tokens are not part of the input."""
    cached = usage.input_token_details["cache_read"]
    return {
        "input_tokens": usage.input_tokens - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output_tokens,
    }


class BilledChat(BaseChatModel):
    """A chat model. With tools bound it calls the first one, with `text`, until it has been answered."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bill: Bill
    form: Form = "usage_metadata"
    model: str = REQUESTED_MODEL
    n: int = 1
    #: How many calls fail before the first that succeeds.
    failures: int = 0
    #: After how many pieces a stream breaks off; None for never.
    breaks_after: int | None = None
    #: How long an awaited answer takes.
    delay_s: float = 0

    @property
    def _llm_type(self) -> str:
        return "fake-chat"

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        self._fail_if_told()
        usage = self.bill.charge()
        message = AIMessage(
            "hello",
            tool_calls=_tool_calls(messages, kwargs),
            usage_metadata=self._usage_metadata(usage),
            response_metadata=self._response_metadata(usage),
        )
        # A provider's usage speaks of all choices; LangChain's integrations put it on each of them.
        generations = [ChatGeneration(message=message.model_copy(deep=True)) for _ in range(self.n)]
        return ChatResult(generations=generations, llm_output=self._llm_output(usage))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        await asyncio.sleep(self.delay_s)
        return self._generate(messages, **kwargs)

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self._fail_if_told()
        usage = self.bill.charge()
        calls = [
            {"name": call["name"], "args": '{"text": "hi"}', "id": call["id"], "index": 0}
            for call in _tool_calls(messages, kwargs)
        ]
        pieces = [
            AIMessageChunk("hel"),
            AIMessageChunk("lo", tool_call_chunks=calls),
            AIMessageChunk(
                "",
                usage_metadata=self._usage_metadata(usage),
                response_metadata=self._response_metadata(usage),
                chunk_position="last",
            ),
        ]
        for count, message in enumerate(pieces):
            if count == self.breaks_after:
                raise ProviderError("connection lost")
            chunk = ChatGenerationChunk(message=message)
            if run_manager is not None:
                run_manager.on_llm_new_token(str(message.content), chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages, **kwargs):
            if run_manager is not None:
                await run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk

    def _fail_if_told(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise ProviderError("overloaded")

    def _usage_metadata(self, usage: TokenUsage) -> Any:
        return usage.to_dict() if self.form in ("usage_metadata", "no_model_name") else None

    def _response_metadata(self, usage: TokenUsage) -> dict[str, Any]:
        if self.form in ("no_model_name", "llm_output"):
            return {}
        words: dict[str, tuple[str, Callable[[TokenUsage], Any]]] = {
            "openai_metadata": ("token_usage", openai_words),
            "openai_object": ("token_usage", openai_object),
            "anthropic_metadata": ("usage", anthropic_words),
            "langchain_metadata": ("usage_metadata", TokenUsage.to_dict),
        }
        where, in_words = words.get(self.form, (None, None))
        return {"model_name": answering_model(self.model)} | ({where: in_words(usage)} if where else {})

    def _llm_output(self, usage: TokenUsage) -> dict[str, Any]:
        if self.form != "llm_output":
            return {}
        return {"token_usage": openai_words(usage), "model_name": answering_model(self.model)}


def _tool_calls(messages: list[BaseMessage], kwargs: dict[str, Any]) -> list[Any]:
    tools = kwargs.get("tools")
    if not tools or any(isinstance(message, ToolMessage) for message in messages):
        return []
    return [{"name": tools[0]["function"]["name"], "args": {"text": "hi"}, "id": "call-1"}]


class BilledCompletion(BaseLLM):
    """A completion model: all prompts are one request, with one usage."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bill: Bill
    model: str = REQUESTED_MODEL

    @property
    def _llm_type(self) -> str:
        return "fake-completion"

    def _generate(self, prompts: list[str], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> LLMResult:
        usage = self.bill.charge()
        return LLMResult(
            generations=[[Generation(text="hello")] for _ in prompts],
            llm_output={"token_usage": openai_words(usage), "model_name": answering_model(self.model)},
        )

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        usage = self.bill.charge()
        for text, info in (
            ("hel", None),
            ("lo", {"token_usage": openai_words(usage), "model_name": answering_model(self.model)}),
        ):
            chunk = GenerationChunk(text=text, generation_info=info)
            if run_manager is not None:
                run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk
