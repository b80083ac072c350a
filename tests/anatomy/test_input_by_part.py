"""`llm_usage.input_by_part`, as a test reads it."""

import json
import sys

import pytest

from pytest_llm_usage.anatomy import tokenizer
from pytest_llm_usage.anatomy.tokenizer import Tokenizer
from pytest_llm_usage.errors import UsageUnknownError
from pytest_llm_usage.tracker import LLMUsageWarning
from pytest_llm_usage.tracker.tracker import Tracker
from pytest_llm_usage.wire.exchange import Exchange


@pytest.fixture(autouse=True)
def letters(monkeypatch):
    """A token for each character."""
    monkeypatch.setattr(
        tokenizer, "_loaded", dict.fromkeys(("cl100k_base", "o200k_base"), Tokenizer("o200k_base", list))
    )


def exchange(*messages, input_tokens=0, url="https://api.openai.com/v1/chat/completions", **more):
    body = {"model": "gpt-4o", "messages": messages, **more}
    usage = {"prompt_tokens": input_tokens, "completion_tokens": 5, "total_tokens": input_tokens + 5}
    answer = {
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [{"message": {"content": "Hi."}}],
        "usage": usage,
    }
    return Exchange(
        "POST", url, request_body=json.dumps(body).encode(), status=200, response_body=json.dumps(answer).encode()
    )


SYSTEM = {"role": "system", "content": "s" * 96}
USER = {"role": "user", "content": "u" * 46}


def tracked(*exchanges, **options):
    tracker = Tracker(**options)
    for each in exchanges:
        tracker.take_in(each, tracker.request())
    return tracker


def test_a_call_and_a_view_have_their_parts():
    usage = tracked(exchange(SYSTEM, USER, input_tokens=150), exchange(USER, input_tokens=50)).usage

    assert dict(usage.calls[0].input_by_part) == {
        **dict.fromkeys(("tools", "history", "tool_results", "images", "files", "other"), 0),
        "system": 100,
        "user": 50,
    }
    assert (usage.input_by_part["system"], usage.input_by_part["user"]) == (100, 100)
    assert usage.input_by_part.total == usage.input_tokens == 200
    assert usage.by_model["gpt-4o"].input_by_part == usage.input_by_part
    assert str(usage.input_by_part) == "system ~100, user ~100"


def test_a_section_has_its_own():
    tracker = tracked(exchange(SYSTEM, input_tokens=100))
    with tracker.section("asking") as part:
        tracker.take_in(exchange(USER, input_tokens=50), tracker.request())

    assert (part.input_by_part["system"], part.input_by_part["user"]) == (0, 50)


def test_each_schema_has_its_tokens():
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("rain", "search")]
    parts = tracked(exchange(USER, input_tokens=250, tools=tools)).usage.input_by_part

    assert list(parts.tools_by_name) == ["rain", "search"]
    assert sum(parts.tools_by_name.values()) == parts["tools"] > 100


def unreadable():
    call = exchange(USER, input_tokens=50)
    return Exchange("POST", call.url, request_body=b"(redacted)", status=200, response_body=call.response_body)


def test_a_request_that_cannot_be_read_is_told():
    usage = tracked(exchange(USER, input_tokens=50), unreadable()).usage

    assert usage.calls[1].input_by_part is None
    assert usage.calls[1].input_by_part_reason == "the request body is not a JSON object"
    with pytest.raises(UsageUnknownError) as unknown:
        usage.input_by_part
    assert str(unknown.value).splitlines() == [
        "input_by_part is not known: 1 of 2 calls has no request that can be read",
        f"  2  gpt-4o  the request body is not a JSON object{'':2}" + (usage.calls[1].where or ""),
        "To count what is known:  llm_usage_missing = warn  in pytest's configuration",
    ]


def test_what_is_known_can_be_counted():
    usage = tracked(exchange(USER, input_tokens=50), unreadable(), missing="warn").usage

    with pytest.warns(LLMUsageWarning, match="input_by_part is not known"):
        assert usage.input_by_part["user"] == 50


def test_a_call_without_a_request_says_so():
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.usage import TokenUsage

    assert Call(index=0).input_by_part_reason == "its usage is not known"
    assert Call(index=0, usage=TokenUsage()).input_by_part_reason == "its request was not seen"


def test_nothing_is_counted_before_it_is_read(monkeypatch):
    counted = []
    for name in ("cl100k_base", "o200k_base"):
        monkeypatch.setitem(tokenizer._loaded, name, Tokenizer(name, lambda text: counted.append(text) or "x"))
    for name in [
        name for name in sys.modules if name.startswith("pytest_llm_usage.anatomy.") and "tokenizer" not in name
    ]:
        monkeypatch.delitem(sys.modules, name)
    usage = tracked(exchange(SYSTEM, USER, input_tokens=150)).usage

    assert usage.total_tokens == 155
    assert usage.to_dict()
    assert counted == []
    assert "pytest_llm_usage.anatomy.split" not in sys.modules
    assert usage.input_by_part.total == 150
    assert counted
