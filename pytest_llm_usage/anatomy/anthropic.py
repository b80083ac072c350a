"""Anthropic's messages, as its own API, Bedrock's invoke and Vertex take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_llm_usage.anatomy.prompt import (
    Piece,
    Prompt,
    as_json,
    by_turn,
    content_pieces,
    listed,
    media_piece,
    text_piece,
)

__all__ = ["messages"]


def messages(body: Mapping[str, Any]) -> Prompt:
    """`/v1/messages`; tools come first, then the system prompt, then the messages.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching#structuring-your-prompt
    """
    pieces = [*_tools(body.get("tools"))]
    pieces += content_pieces("system", "system", body.get("system"))
    pieces += by_turn(
        pair for index, message in enumerate(listed(body.get("messages"))) for pair in _message(message, index)
    )
    for key in ("output_format", "output_config"):
        value = body.get(key)
        if isinstance(value, Mapping) and ("schema" in value or "format" in value):
            pieces += text_piece("other", key, value)
    if pieces and "cache_control" in body:
        # The whole prompt is marked.
        pieces[-1] = replace(pieces[-1], ends_cached_prefix=True)
    return Prompt(tuple(pieces), unseen=("tools",) if body.get("mcp_servers") else (), api="anthropic")


def _tools(tools: Any) -> Iterator[Piece]:
    for index, tool in enumerate(listed(tools)):
        path = f"tools[{index}]"
        if not isinstance(tool, Mapping):
            continue
        marked = "cache_control" in tool
        if "input_schema" in tool:
            if tool.get("defer_loading") is True:
                # A deferred tool is not in the prompt until a search finds it:
                # https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool
                continue
            shown = {key: tool[key] for key in ("name", "description", "input_schema") if key in tool}
            name = str(tool.get("name") or "unnamed")
            yield Piece("tools", path, as_json(shown), name=name, ends_cached_prefix=marked)
        else:
            name = str(tool.get("name") or tool.get("mcp_server_name") or tool.get("type"))
            yield media_piece("tools", path, tool, name=name, ends_cached_prefix=marked)


def _message(message: Any, index: int) -> Iterator[tuple[str, Piece]]:
    path = f"messages[{index}]"
    if not isinstance(message, Mapping):
        return
    role = str(message.get("role"))
    part: Any = "system" if role == "system" else "history" if role == "assistant" else "user"
    content = message.get("content")
    if not isinstance(content, list):
        yield from ((role, piece) for piece in content_pieces(part, f"{path}.content", content))
        return
    for number, block in enumerate(content):
        yield from ((role, piece) for piece in _block(part, f"{path}.content[{number}]", block))


def _block(part: Any, path: str, block: Any) -> Iterator[Piece]:
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(kind, str):
        yield from content_pieces(part, path, [block])
        return
    marked = "cache_control" in block
    if kind.endswith("tool_result"):
        pieces = list(content_pieces("tool_results", f"{path}.content", block.get("content")))
        if pieces and marked:
            pieces[-1] = replace(pieces[-1], ends_cached_prefix=True)
        yield from pieces
    elif kind.endswith("tool_use"):
        yield from text_piece("history", f"{path}.name", block.get("name"))
        yield from text_piece("history", f"{path}.input", block.get("input"), ends_cached_prefix=marked)
    elif kind == "thinking":
        yield from text_piece("history", f"{path}.thinking", block.get("thinking"))
    elif kind == "redacted_thinking":
        yield media_piece("history", path, block)
    else:
        # `content_pieces` counts from 0 within the list it is given.
        yield from (
            replace(piece, path=piece.path.replace(f"{path}[0]", path, 1))
            for piece in content_pieces(part, path, [block])
        )
