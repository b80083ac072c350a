"""Chat models that answer in this process, report the usage that a test gives them, and keep the requests.

For tests of what a given number leads to: budgets, reports, sections. (The models of `billed_models` choose the usage
themselves, and report it wherever integrations do.) Nothing here knows the plugin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel, LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

#: A model that the price book knows: 0.15 USD per million input tokens, 0.60 per million output tokens.
PRICED_MODEL = "gpt-4o-mini-2024-07-18"
UNPRICED_MODEL = "acme-1"


class FakeChatModel(BaseChatModel):
    """A chat model.

    Attributes:
        usage: The usage of every answer: `(input, output)`, a whole `UsageMetadata`, or None to report none.
        usages: The usages of the first answers, one each; later answers have `usage`.
        model: The name that is requested, and that the answer reports.
        provider: The provider's name as LangChain passes it to callbacks.
        answers: The first answers, one each; later answers are a text.
        error: Raised instead of an answer.
        delay_s: How long an answer, or a piece of one, takes.
        pieces: Pieces of text in a streamed answer; its usage comes after them.
        requests: The messages of every request that was sent, in order.
    """

    usage: Any = (10, 5)
    usages: list[Any] = Field(default_factory=list)
    model: str = PRICED_MODEL
    provider: str = "openai"
    answers: list[AIMessage] = Field(default_factory=list)
    error: Any = None
    delay_s: float = 0.0
    pieces: int = 4
    requests: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "fake-chat-model"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider=self.provider, ls_model_name=self.model, ls_model_type="chat")

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=list(tools))

    def _send(self, messages: list[BaseMessage]) -> AIMessage:
        """Keeps the request, and returns the answer to it."""
        index = len(self.requests)
        self.requests.append(messages)
        if self.error is not None:
            raise self.error
        answer = self.answers[index] if index < len(self.answers) else AIMessage("The peregrine falcon.")
        told = {
            "usage_metadata": _usage_metadata(self.usages[index] if index < len(self.usages) else self.usage),
            "response_metadata": {"model_name": self.model},
        }
        return answer.model_copy(update=told)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        answer = self._send(messages)
        time.sleep(self.delay_s)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        answer = self._send(messages)
        await asyncio.sleep(self.delay_s)
        return ChatResult(generations=[ChatGeneration(message=answer)])


class FakeStreamingModel(FakeChatModel):
    """A chat model that answers in pieces."""

    def _pieces(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        answer = self._send(messages)
        for number in range(self.pieces):
            yield ChatGenerationChunk(message=AIMessageChunk(f"piece {number} "))
        last = AIMessageChunk(
            "",
            usage_metadata=answer.usage_metadata,
            response_metadata=answer.response_metadata,
            tool_calls=answer.tool_calls,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        manager = kwargs.get("run_manager")
        for chunk in self._pieces(messages):
            time.sleep(self.delay_s)
            if manager:
                manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        manager = kwargs.get("run_manager")
        for chunk in self._pieces(messages):
            await asyncio.sleep(self.delay_s)
            if manager:
                await manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _usage_metadata(usage: tuple[int, int] | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if usage is None or isinstance(usage, Mapping):
        return None if usage is None else dict(usage)
    sent, received = usage
    return {"input_tokens": sent, "output_tokens": received, "total_tokens": sent + received}


def tool_call(name: str, /, **arguments: Any) -> AIMessage:
    """An answer that asks for a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{name}", "type": "tool_call"}])
