"""Cohere's chat API, version 1; version 2 takes OpenAI's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llm_usage.anatomy.prompt import Piece, Prompt, as_json, listed, text_piece

__all__ = ["chat_v1"]


def chat_v1(body: Mapping[str, Any]) -> Prompt:
    """`/v1/chat`."""
    pieces: list[Piece] = []
    for index, tool in enumerate(listed(body.get("tools"))):
        name = str(tool.get("name") or "unnamed") if isinstance(tool, Mapping) else "unnamed"
        pieces.append(Piece("tools", f"tools[{index}]", as_json(tool), name=name))
    pieces += text_piece("system", "preamble", body.get("preamble"))
    for index, turn in enumerate(listed(body.get("chat_history"))):
        if isinstance(turn, Mapping):
            part: Any = {"SYSTEM": "system", "TOOL": "tool_results"}.get(str(turn.get("role")), "history")
            shown = turn.get("message") or turn.get("tool_results")
            pieces += text_piece(part, f"chat_history[{index}].message", shown)
    pieces += text_piece("files", "documents", body.get("documents"))
    pieces += text_piece("user", "message", body.get("message"))
    pieces += text_piece("tool_results", "tool_results", body.get("tool_results"))
    return Prompt(tuple(pieces))
