"""OpenAI's request bodies: chat completions (also of compatible APIs), responses, completions and embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from pytest_llm_usage.anatomy.schema_text import declaration, response_format

__all__ = ["chat", "function_tools", "plain", "responses"]

#: Tokens around each message, its role included:
#: https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
_AROUND_MESSAGE = 4
#: Tokens around a tool call in the model's answer: the tool's channel and its end.
_AROUND_TOOL_CALL = 4
_SYSTEM = ("system", "developer")


def chat(body: Mapping[str, Any]) -> Prompt:
    """`/chat/completions` of OpenAI and compatible APIs; also Cohere's v2, Mistral's and Ollama's chat."""
    pieces = [*function_tools(body.get("tools"), "tools")]
    for index, function in enumerate(listed(body.get("functions"))):
        pieces += _function(function, f"functions[{index}]")
    messages = list(_chat_messages(body.get("messages")))
    pieces += by_turn(messages)
    wanted = body.get("response_format")
    pieces += _response_format("response_format", wanted.get("json_schema") if isinstance(wanted, Mapping) else None)
    # `format` is Ollama's, `documents` is Cohere's.
    pieces += text_piece("other", "format", body.get("format") if isinstance(body.get("format"), Mapping) else None)
    pieces += text_piece("files", "documents", body.get("documents"))
    return Prompt(tuple(pieces), api="openai")


def _chat_messages(messages: Any) -> Iterator[tuple[str, Piece]]:
    for index, message in enumerate(listed(messages)):
        path = f"messages[{index}]"
        if not isinstance(message, Mapping):
            yield from (("user", piece) for piece in text_piece("user", path, message))
            continue
        role = str(message.get("role"))
        part: Any = (
            "system"
            if role in _SYSTEM
            else "tool_results"
            if role in ("tool", "function")
            else "history"
            if role == "assistant"
            else "user"
        )
        framing = _AROUND_MESSAGE
        if isinstance(message.get("name"), str):
            yield role, Piece(part, f"{path}.name", message["name"], framing=1)
        for piece in content_pieces(part, f"{path}.content", message.get("content"), framing=framing):
            framing = 0
            yield role, piece
        for image, data in enumerate(listed(message.get("images"))):
            # Ollama's.
            yield role, media_piece("images", f"{path}.images[{image}]", data)
        for call, tool_call in enumerate(listed(message.get("tool_calls"))):
            here = f"{path}.tool_calls[{call}].function"
            function = tool_call.get("function") if isinstance(tool_call, Mapping) else None
            named = function if isinstance(function, Mapping) else {"arguments": tool_call}
            yield from ((role, piece) for piece in _tool_call(here, named, framing))
            framing = 0
        if isinstance(legacy := message.get("function_call"), Mapping):
            yield from ((role, piece) for piece in _tool_call(f"{path}.function_call", legacy, framing))


def _tool_call(path: str, call: Mapping[str, Any], framing: int) -> Iterator[Piece]:
    yield from text_piece("history", f"{path}.name", call.get("name"), framing=framing + _AROUND_TOOL_CALL)
    yield from text_piece("history", f"{path}.arguments", call.get("arguments"))


def function_tools(tools: Any, path: str) -> Iterator[Piece]:
    """The pieces of a list of tools: functions as declarations, the provider's own tools as uncounted content."""
    for index, tool in enumerate(listed(tools)):
        here = f"{path}[{index}]"
        if not isinstance(tool, Mapping):
            yield from text_piece("tools", here, tool, name=str(tool))
        elif isinstance(tool.get("function"), Mapping):
            yield from _function(tool["function"], f"{here}.function")
        elif tool.get("type") in ("function", "custom", None):
            yield from _function(tool, here)
        elif tool.get("type") == "namespace":
            yield from function_tools(tool.get("tools"), f"{here}.tools")
        else:
            # How the model is shown the provider's own tools is not public.
            yield media_piece("tools", here, tool, name=str(tool.get("type")))


def _function(function: Any, path: str) -> Iterator[Piece]:
    if not isinstance(function, Mapping):
        return
    name = str(function.get("name") or "unnamed")
    # A deferred tool's parameters are loaded by a search: https://platform.openai.com/docs/guides/tools-tool-search
    parameters = None if function.get("defer_loading") is True else function.get("parameters")
    yield Piece("tools", path, declaration(name, function.get("description"), parameters), name=name)


def _response_format(path: str, wanted: Any) -> Iterator[Piece]:
    """The schema of a structured answer.

    https://developers.openai.com/cookbook/articles/openai-harmony#structured-output
    """
    if isinstance(wanted, Mapping) and wanted.get("schema"):
        yield Piece("other", path, response_format(wanted.get("name"), wanted.get("description"), wanted["schema"]))


def responses(body: Mapping[str, Any]) -> Prompt:
    """`/responses`."""
    pieces = [*function_tools(body.get("tools"), "tools")]
    given = body.get("input")
    items = given if isinstance(given, list) else []
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and item.get("type") in ("additional_tools", "tool_search_output"):
            pieces += function_tools(item.get("tools"), f"input[{index}].tools")
    pieces += text_piece("system", "instructions", body.get("instructions"), framing=_AROUND_MESSAGE)
    if isinstance(given, str):
        pieces += text_piece("user", "input", given, framing=_AROUND_MESSAGE)
    pieces += by_turn(pair for index, item in enumerate(items) for pair in _item(item, f"input[{index}]"))
    output = body.get("text")
    pieces += _response_format("text.format", output.get("format") if isinstance(output, Mapping) else None)
    unseen: list[Any] = ["history"] if body.get("previous_response_id") or body.get("conversation") else []
    if isinstance(body.get("prompt"), Mapping):
        # A prompt that is stored at the provider.
        unseen.append("system")
    return Prompt(tuple(pieces), tuple(unseen), api="openai")


#: Items that bring tools; they are counted with the other tools.
_TOOL_ITEMS = ("additional_tools", "tool_search_output")


def _item(item: Any, path: str) -> Iterator[tuple[str, Piece]]:
    if not isinstance(item, Mapping):
        yield from (("user", piece) for piece in text_piece("user", path, item))
        return
    kind = item.get("type")
    if kind in _TOOL_ITEMS:
        return
    if kind in (None, "message") and "role" in item:
        role = str(item.get("role"))
        part: Any = "system" if role in _SYSTEM else "history" if role == "assistant" else "user"
        pieces = content_pieces(part, f"{path}.content", item.get("content"), framing=_AROUND_MESSAGE)
        yield from ((role, piece) for piece in pieces)
    elif isinstance(kind, str) and kind.endswith("_output"):
        output = content_pieces("tool_results", f"{path}.output", item.get("output"), framing=_AROUND_MESSAGE)
        yield from (("tool", piece) for piece in output)
    elif kind in ("function_call", "custom_tool_call"):
        call = {"name": item.get("name"), "arguments": item.get("arguments") or item.get("input")}
        yield from (("assistant", piece) for piece in _tool_call(path, call, _AROUND_MESSAGE))
    elif kind == "reasoning":
        # Encrypted or left out, so what the model reads of it cannot be counted here.
        yield "assistant", media_piece("history", path, {key: item[key] for key in item if key != "id"})
    elif kind in ("input_text", "input_image", "input_file"):
        yield from (("user", piece) for piece in content_pieces("user", path, [item]))
    else:
        shown = {key: value for key, value in item.items() if key not in ("id", "status", "type")}
        yield from (("assistant", piece) for piece in text_piece("history", path, as_json(shown)))


def plain(body: Mapping[str, Any]) -> Prompt:
    """One text or several: completions, embeddings, and small APIs that take little more."""
    pieces = [*text_piece("system", "system", body.get("system"))]
    for key in ("prompt", "inputText", "input", "texts", "query", "message", "inputs"):
        value = body.get(key)
        if isinstance(value, list):
            for index, each in enumerate(value):
                pieces += content_pieces("user", f"{key}[{index}]", [each] if isinstance(each, Mapping) else each)
        else:
            pieces += text_piece("user", key, value)
    for index, image in enumerate(listed(body.get("images"))):
        pieces.append(media_piece("images", f"images[{index}]", image))
    pieces += text_piece("files", "documents", body.get("documents"))
    return Prompt(tuple(pieces), unseen=("history",) if body.get("context") else ())
