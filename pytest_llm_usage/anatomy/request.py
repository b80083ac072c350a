"""`read_prompt`: reads a request as a `Prompt`, by the API that it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_llm_usage.anatomy import anthropic, bedrock, cohere, gemini, openai
from pytest_llm_usage.anatomy.prompt import Prompt, text_piece
from pytest_llm_usage.encoding import decode
from pytest_llm_usage.wire.exchange import Exchange
from pytest_llm_usage.wire.framing import header, parsed

__all__ = ["UnreadableRequestError", "read_body", "read_prompt"]


class UnreadableRequestError(Exception):
    """A request body that does not say what was sent; the message says why."""


#: The reader of each API, by its name in `wire.providers`; `_whole` reads all others.
_READERS: Mapping[str, Callable[[Mapping[str, Any]], Prompt]] = {
    "openai-chat": openai.chat,
    "openai-responses": openai.responses,
    "openai-responses-compact": openai.responses,
    "openai-completions": openai.plain,
    "openai-embeddings": openai.plain,
    "openai-images": openai.plain,
    "anthropic-messages": anthropic.messages,
    "anthropic-complete": openai.plain,
    "gemini-generateContent": gemini.generate_content,
    "gemini-interactions": openai.responses,
    "bedrock-converse": bedrock.converse,
    "bedrock-invoke": bedrock.invoke,
    "cohere-v1": cohere.chat_v1,
    "cohere-v2": openai.chat,
    "cohere-embed": openai.plain,
    "rerank": openai.plain,
    "ollama-chat": openai.chat,
    "ollama-generate": openai.plain,
}


def read_prompt(exchange: Exchange, flavour: str) -> Prompt:
    """What the request of `exchange` sends to the model.

    Args:
        exchange: The request; its response is not read.
        flavour: The API that it speaks, a name of `wire.providers.FLAVOURS`.

    Raises:
        UnreadableRequestError: The body is missing, redacted, not JSON, or has nothing for a model to read.
    """
    body = decode(exchange.request_body, header(exchange.request_headers, "content-encoding"))
    if body.problem:
        raise UnreadableRequestError(f"the request body cannot be read: {body.problem}")
    if not body.content:
        raise UnreadableRequestError("the recording has no request body")
    if "multipart" in header(exchange.request_headers, "content-type"):
        raise UnreadableRequestError("the request is a form with files, whose parts are not read")
    return read_body(parsed(body.content), flavour)


def read_body(body: Any, flavour: str) -> Prompt:
    """What a parsed request body sends to the model. Raises UnreadableRequestError as `read_prompt` does."""
    if not isinstance(body, Mapping):
        raise UnreadableRequestError("the request body is not a JSON object")
    prompt = _READERS.get(flavour, _whole)(body)
    if not prompt.pieces and not prompt.unseen:
        # A body that its reader cannot make sense of is not lost: all of it is then one part.
        prompt = _whole(body)
    if not prompt.pieces:
        raise UnreadableRequestError("the request body has nothing for a model to read")
    return prompt


def _whole(body: Mapping[str, Any]) -> Prompt:
    """All of a body that no reader knows."""
    return Prompt(
        tuple(piece for key, value in body.items() if key != "model" for piece in text_piece("other", key, value))
    )
