"""Request bodies of every family of APIs, as the pieces that a model reads."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_body, read_prompt
from pytest_llm_usage.input_by_part import PARTS
from pytest_llm_usage.wire.exchange import Exchange
from pytest_llm_usage.wire.providers import FLAVOURS

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CASES = {
    "openai-chat": (
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "You help."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi."},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Rain?"}, {"type": "image_url", "image_url": {}}],
                },
                {"role": "assistant", "tool_calls": [{"function": {"name": "rain", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "Yes."},
            ],
            "tools": [{"type": "function", "function": {"name": "rain", "parameters": SCHEMA}}],
        },
        {
            ("tools", "tools[0].function"),
            ("system", "messages[0].content"),
            ("history", "messages[1].content"),
            ("history", "messages[2].content"),
            ("user", "messages[3].content[0].text"),
            ("images", "messages[3].content[1]"),
            ("history", "messages[4].tool_calls[0].function.name"),
            ("history", "messages[4].tool_calls[0].function.arguments"),
            ("tool_results", "messages[5].content"),
        },
    ),
    "openai-responses": (
        {
            "model": "gpt-4o",
            "instructions": "You help.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Rain?"}]},
                {"type": "reasoning", "id": "r", "encrypted_content": "gAAA"},
                {"type": "function_call", "name": "rain", "arguments": "{}", "call_id": "1"},
                {"type": "function_call_output", "call_id": "1", "output": "Yes."},
            ],
            "tools": [{"type": "function", "name": "rain", "parameters": SCHEMA}, {"type": "web_search"}],
            "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}},
        },
        {
            ("tools", "tools[0]"),
            ("tools", "tools[1]"),
            ("system", "instructions"),
            ("user", "input[0].content[0].text"),
            ("history", "input[1]"),
            ("history", "input[2].name"),
            ("history", "input[2].arguments"),
            ("tool_results", "input[3].output"),
            ("other", "text.format"),
        },
    ),
    "anthropic-messages": (
        {
            "system": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "Rain?"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "rain", "input": {"city": "A"}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "Yes."}]},
                        {"type": "document", "source": {"type": "base64", "data": "JVBERi0="}},
                        {"type": "text", "text": "Sure?"},
                    ],
                },
            ],
            "tools": [{"name": "rain", "input_schema": SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
        },
        {
            ("tools", "tools[0]"),
            ("tools", "tools[1]"),
            ("system", "system[0].text"),
            ("history", "messages[0].content"),
            ("history", "messages[1].content[0].name"),
            ("history", "messages[1].content[0].input"),
            ("tool_results", "messages[2].content[0].content[0].text"),
            ("files", "messages[2].content[1]"),
            ("user", "messages[2].content[2].text"),
        },
    ),
    "gemini-generateContent": (
        {
            "systemInstruction": {"parts": [{"text": "You help."}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": "Rain?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
                },
                {"role": "model", "parts": [{"functionCall": {"name": "rain", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "rain", "response": {"is": "wet"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "rain", "parameters": SCHEMA}], "googleSearch": {}}],
        },
        {
            ("tools", "tools[0].functionDeclarations[0]"),
            ("tools", "tools[0].googleSearch"),
            ("system", "systemInstruction.parts[0].text"),
            ("user", "contents[0].parts[0].text"),
            ("images", "contents[0].parts[1]"),
            ("history", "contents[1].parts[0].functionCall"),
            ("tool_results", "contents[2].parts[0].functionResponse.response"),
        },
    ),
    "bedrock-converse": (
        {
            "system": [{"text": "You help."}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "Rain?"}, {"image": {"format": "png"}}]},
                {"role": "assistant", "content": [{"toolUse": {"name": "rain", "input": {"city": "A"}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"json": {"is": "wet"}}]}}]},
            ],
            "toolConfig": {"tools": [{"toolSpec": {"name": "rain", "inputSchema": {"json": SCHEMA}}}]},
        },
        {
            ("tools", "toolConfig.tools[0].toolSpec"),
            ("system", "system[0].text"),
            ("user", "messages[0].content[0].text"),
            ("images", "messages[0].content[1]"),
            ("history", "messages[1].content[0].toolUse.name"),
            ("history", "messages[1].content[0].toolUse.input"),
            ("tool_results", "messages[2].content[0].toolResult.content[0].json"),
        },
    ),
    "bedrock-invoke": (
        {
            "anthropic_version": "bedrock-2023-05-31",
            "system": "You help.",
            "messages": [{"role": "user", "content": "Rain?"}],
        },
        {("system", "system"), ("user", "messages[0].content")},
    ),
    "cohere-v1": (
        {"preamble": "You help.", "chat_history": [{"role": "USER", "message": "Hi"}], "message": "Rain?"},
        {("system", "preamble"), ("history", "chat_history[0].message"), ("user", "message")},
    ),
    "cohere-v2": (
        {"messages": [{"role": "user", "content": "Rain?"}], "documents": [{"data": "It rains."}]},
        {("user", "messages[0].content"), ("files", "documents")},
    ),
    "ollama-chat": (
        {"messages": [{"role": "user", "content": "Rain?", "images": ["iVBO"]}], "format": SCHEMA},
        {("user", "messages[0].content"), ("images", "messages[0].images[0]"), ("other", "format")},
    ),
    "ollama-generate": ({"system": "You help.", "prompt": "Rain?"}, {("system", "system"), ("user", "prompt")}),
    "openai-embeddings": ({"input": ["a", "b"]}, {("user", "input[0]"), ("user", "input[1]")}),
    "vertex-predict": ({"instances": [{"prompt": "Rain?"}]}, {("other", "instances")}),
}


@pytest.mark.parametrize("flavour", CASES)
def test_each_piece_belongs_to_a_part(flavour):
    body, expected = CASES[flavour]

    assert {(piece.part, piece.path) for piece in read_body(body, flavour).pieces} == expected


@pytest.mark.parametrize("flavour", CASES)
def test_a_path_leads_to_what_was_sent(flavour):
    body, _ = CASES[flavour]

    for piece in read_body(body, flavour).pieces:
        value = {**body, "input": body["input"]} if "input" in body else body
        for step in piece.path.replace("[", ".[").split("."):
            value = value[int(step[1:-1])] if step.startswith("[") else value.get(step, value)
        if isinstance(value, str):
            assert piece.content == value


def test_tools_have_their_names():
    body, _ = CASES["anthropic-messages"]

    tools = [piece.name for piece in read_body(body, "anthropic-messages").pieces if piece.part == "tools"]

    assert tools == ["rain", "web_search"]


def test_marks_of_a_cached_prefix():
    marked = {
        flavour: [piece.path for piece in read_body(CASES[flavour][0], flavour).pieces if piece.ends_cached_prefix]
        for flavour in ("anthropic-messages", "bedrock-converse", "openai-chat")
    }

    assert marked == {
        "anthropic-messages": ["system[0].text"],
        "bedrock-converse": ["system[0].text"],
        "openai-chat": [],
    }


def test_the_order_is_that_in_which_the_model_reads():
    parts = [piece.part for piece in read_body(CASES["anthropic-messages"][0], "anthropic-messages").pieces]

    assert parts[:3] == ["tools", "tools", "system"]


def test_a_tool_that_is_loaded_by_a_search_is_not_in_the_prompt():
    tool = {"name": "rain", "input_schema": SCHEMA, "defer_loading": True}
    body = {"messages": [{"role": "user", "content": "Rain?"}], "tools": [tool]}

    assert [piece.part for piece in read_body(body, "anthropic-messages").pieces] == ["user"]


def test_a_conversation_that_the_provider_keeps_is_unseen_history():
    body = {"input": "And now?", "previous_response_id": "resp_1"}

    assert read_body(body, "openai-responses").unseen == ("history",)


def test_functions_are_declarations_to_openai_s_models():
    parameters = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "unit": {"enum": ["C", "F"], "default": "C"},
            "days": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["city"],
    }
    body = {"tools": [{"type": "function", "name": "rain", "description": "Tells rain.", "parameters": parameters}]}

    (tool,) = read_body(body, "openai-responses").pieces

    assert tool.content == (
        "// Tells rain.\ntype rain = (_: {\n// Where\ncity: string,\n"
        'unit?: "C" | "F", // default: "C"\ndays?: number[],\n}) => any;\n\n'
    )


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        (Exchange("POST", "https://h.test"), "the recording has no request body"),
        (Exchange("POST", "https://h.test", request_body=b"REDACTED"), "the request body is not a JSON object"),
        (Exchange("POST", "https://h.test", request_body=b'{"model": "m"}'), "has nothing for a model to read"),
        (
            Exchange("POST", "https://h.test", {"content-type": "multipart/form-data"}, b"--x"),
            "the request is a form with files",
        ),
        (
            Exchange("POST", "https://h.test", {"content-encoding": "gzip"}, b"\x1f\x8b\x08\x00garbled\x00\xff\x01"),
            "the request body cannot be read",
        ),
    ],
)
def test_what_cannot_be_read_says_why(exchange, reason):
    with pytest.raises(UnreadableRequestError, match=reason):
        read_prompt(exchange, "openai-chat")


KEYS = (
    "role content type text messages tools input contents parts system tool_calls function name source toolConfig "
    "toolSpec toolResult functionResponse inlineData cache_control arguments output description enum properties"
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["user", "assistant", "tool_use"]),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), children, max_size=5)
    ),
    max_leaves=25,
)


@given(st.sampled_from([flavour.name for flavour in FLAVOURS]), json_values)
def test_no_body_breaks_a_reader(flavour, body):
    try:
        prompt = read_body(body, flavour)
    except UnreadableRequestError:
        return
    assert {piece.part for piece in prompt.pieces} <= set(PARTS)
    assert max(Counter(piece.path for piece in prompt.pieces).values(), default=1) == 1
    assert json.dumps([piece.content for piece in prompt.pieces])
