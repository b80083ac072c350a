"""Gemini's `generateContent`, as the Gemini API and Vertex take it, with keys in camel case or snake case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llm_usage.anatomy.prompt import Piece, Prompt, as_json, by_turn, listed, media_piece, text_piece

__all__ = ["generate_content"]


def generate_content(body: Mapping[str, Any]) -> Prompt:
    """`:generateContent` and `:streamGenerateContent`."""
    pieces = [*_tools(body.get("tools"))]
    system = _first_of(body, "systemInstruction", "system_instruction")
    pieces += (piece for _, piece in _content("system", "systemInstruction", system))
    contents = body.get("contents")
    given = contents if isinstance(contents, list) else [] if contents is None else [contents]
    pieces += by_turn(
        pair for index, content in enumerate(given) for pair in _content("user", f"contents[{index}]", content)
    )
    # `responseSchema` is not input: Gemini counts no tokens for it.
    return Prompt(tuple(pieces), unseen=("other",) if _first_of(body, "cachedContent", "cached_content") else ())


def _first_of(value: Mapping[str, Any], *keys: str) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _tools(tools: Any) -> Iterator[Piece]:
    for index, tool in enumerate(listed(tools)):
        path = f"tools[{index}]"
        if not isinstance(tool, Mapping):
            continue
        functions = _first_of(tool, "functionDeclarations", "function_declarations")
        for number, function in enumerate(listed(functions)):
            name = str(function.get("name") or "unnamed") if isinstance(function, Mapping) else "unnamed"
            yield Piece("tools", f"{path}.functionDeclarations[{number}]", as_json(function), name=name)
        for kind, settings in tool.items():
            if kind not in ("functionDeclarations", "function_declarations"):
                yield media_piece("tools", f"{path}.{kind}", settings, name=kind)


def _content(part: Any, path: str, content: Any) -> Iterator[tuple[str, Piece]]:
    if isinstance(content, str):
        yield from (("user", piece) for piece in text_piece(part, path, content))
        return
    if not isinstance(content, Mapping):
        return
    role = "assistant" if content.get("role") == "model" else "user"
    if role == "assistant" and part == "user":
        part = "history"
    parts = content.get("parts")
    for index, each in enumerate(parts if isinstance(parts, list) else [] if parts is None else [parts]):
        yield from ((role, piece) for piece in _part(part, f"{path}.parts[{index}]", each))


def _part(part: Any, path: str, value: Any) -> Iterator[Piece]:
    if not isinstance(value, Mapping):
        yield from text_piece(part, path, value)
        return
    if isinstance(value.get("text"), str):
        yield from text_piece(part, f"{path}.text", value["text"])
    elif (result := _first_of(value, "functionResponse", "function_response")) is not None:
        shown = result.get("response") if isinstance(result, Mapping) else result
        yield from text_piece("tool_results", f"{path}.functionResponse.response", shown)
    elif (call := _first_of(value, "functionCall", "function_call")) is not None:
        named = {key: call[key] for key in ("name", "args") if key in call} if isinstance(call, Mapping) else call
        yield from text_piece("history", f"{path}.functionCall", named)
    elif (data := _first_of(value, "inlineData", "inline_data", "fileData", "file_data")) is not None:
        kind = _first_of(data, "mimeType", "mime_type") if isinstance(data, Mapping) else None
        yield media_piece("images" if str(kind).startswith("image/") else "files", path, data)
    else:
        yield from text_piece(part, path, value)
