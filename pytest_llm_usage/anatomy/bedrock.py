"""Bedrock's Converse, and its invoke, which takes the form of each model's maker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_llm_usage.anatomy import anthropic, openai
from pytest_llm_usage.anatomy.prompt import Piece, Prompt, as_json, by_turn, listed, media_piece, text_piece

__all__ = ["converse", "invoke"]


def converse(body: Mapping[str, Any]) -> Prompt:
    """`/model/…/converse` and `/converse-stream`."""
    config = body.get("toolConfig")
    pieces = _marked(_tools(config.get("tools") if isinstance(config, Mapping) else None))
    pieces += _marked(_blocks("system", "system", body.get("system")))
    turns: list[tuple[str, Piece]] = []
    for index, message in enumerate(listed(body.get("messages"))):
        if not isinstance(message, Mapping):
            continue
        role = str(message.get("role"))
        part: Any = "history" if role == "assistant" else "user"
        blocks = _marked(_blocks(part, f"messages[{index}].content", message.get("content")))
        turns += ((role, piece) for piece in blocks)
    pieces += by_turn(turns)
    pieces += text_piece("other", "outputConfig", body.get("outputConfig"))
    return Prompt(tuple(pieces))


def invoke(body: Mapping[str, Any]) -> Prompt:
    """`/model/…/invoke`: the body has the form of the model's maker."""
    if "messages" not in body:
        return openai.plain(body)
    if "anthropic_version" in body:
        return anthropic.messages(body)
    # Amazon's own models take Converse's form, the others OpenAI's.
    return converse(body) if "schemaVersion" in body or "inferenceConfig" in body else openai.chat(body)


#: Stands for a cache point, which comes after the prefix that it ends.
_CACHE_POINT = Piece("other", "", "")


def _marked(pieces: Iterator[Piece]) -> list[Piece]:
    """The pieces without the cache points; the piece before each cache point is marked."""
    found: list[Piece] = []
    for piece in pieces:
        if piece is not _CACHE_POINT:
            found.append(piece)
        elif found:
            found[-1] = replace(found[-1], ends_cached_prefix=True)
    return found


def _tools(tools: Any) -> Iterator[Piece]:
    for index, tool in enumerate(listed(tools)):
        path = f"toolConfig.tools[{index}]"
        if not isinstance(tool, Mapping):
            continue
        if "cachePoint" in tool:
            yield _CACHE_POINT
        elif isinstance(tool.get("toolSpec"), Mapping):
            name = str(tool["toolSpec"].get("name") or "unnamed")
            yield Piece("tools", f"{path}.toolSpec", as_json(tool["toolSpec"]), name=name)
        else:
            yield media_piece("tools", path, tool, name=next(iter(tool), "unnamed"))


def _blocks(part: Any, path: str, blocks: Any) -> Iterator[Piece]:
    if isinstance(blocks, str):
        yield from text_piece(part, path, blocks)
    for index, block in enumerate(listed(blocks)):
        yield from _block(part, f"{path}[{index}]", block)


def _block(part: Any, path: str, block: Any) -> Iterator[Piece]:
    if not isinstance(block, Mapping):
        yield from text_piece(part, path, block)
    elif "cachePoint" in block:
        yield _CACHE_POINT
    elif isinstance(block.get("text"), str):
        yield from text_piece(part, f"{path}.text", block["text"])
    elif isinstance(call := block.get("toolUse"), Mapping):
        yield from text_piece("history", f"{path}.toolUse.name", call.get("name"))
        yield from text_piece("history", f"{path}.toolUse.input", call.get("input"))
    elif isinstance(result := block.get("toolResult"), Mapping):
        yield from _blocks("tool_results", f"{path}.toolResult.content", result.get("content"))
    elif "image" in block:
        yield media_piece("images", path, block["image"])
    elif (file := next((block[kind] for kind in ("document", "video", "audio") if kind in block), None)) is not None:
        yield media_piece("files", path, file)
    elif isinstance(guarded := block.get("guardContent"), Mapping) and isinstance(guarded.get("text"), Mapping):
        yield from text_piece(part, f"{path}.guardContent.text.text", guarded["text"].get("text"))
    elif "json" in block:
        yield from text_piece(part, f"{path}.json", block["json"])
    elif isinstance(reasoning := block.get("reasoningContent"), Mapping):
        text = reasoning.get("reasoningText")
        shown = text.get("text") if isinstance(text, Mapping) else None
        if isinstance(shown, str):
            yield from text_piece("history", f"{path}.reasoningContent.reasoningText.text", shown)
        else:
            yield media_piece("history", path, reasoning)
    else:
        yield from text_piece(part, path, block)
