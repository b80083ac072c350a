"""How much of an input repeats an earlier call, what breaks the repetition, and what a cache would have saved."""

import json
from decimal import Decimal

import corpus
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy import tokenizer
from pytest_llm_usage.anatomy.cache_rules import CACHE_RULES, cache_rule
from pytest_llm_usage.anatomy.prefix import cache_prefix
from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.tokenizer import Tokenizer
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.tracker.tracker import Tracker
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire.exchange import Exchange


@pytest.fixture
def letters(monkeypatch):
    """A token for each character."""
    monkeypatch.setattr(
        tokenizer, "_loaded", dict.fromkeys(("cl100k_base", "o200k_base"), Tokenizer("o200k_base", list))
    )


def exchange(*contents, input_tokens, cached=0, **more):
    """A call of gpt-4o; the contents are those of the system, the user, the model, the user …"""
    roles = ["system", *["user", "assistant"] * len(contents)]
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    usage = {"prompt_tokens": input_tokens, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": cached}}
    return Exchange(
        "POST",
        "https://api.openai.com/v1/chat/completions",
        request_body=json.dumps({"model": "gpt-4o-2024-08-06", "messages": messages, **more}).encode(),
        status=200,
        response_body=json.dumps({"object": "chat.completion", "model": "gpt-4o-2024-08-06", "usage": usage}).encode(),
    )


def prefix(*exchanges):
    tracker = Tracker()
    for each in exchanges:
        tracker.take_in(each, tracker.request())
    return tracker.usage.cache_prefix


LONG = "x" * 1996  # with what is put around a message, 2,000 tokens


def test_a_conversation_that_goes_on_repeats_all_of_the_call_before(letters):
    found = prefix(exchange(LONG, "u" * 96, input_tokens=2100), exchange(LONG, "u" * 96, "a" * 396, input_tokens=2500))

    (call,) = found.calls
    assert (call.call_index, call.earlier_index, call.tokens, call.input_tokens) == (1, 0, 2100, 2500)
    assert call.difference is None
    assert call.readable_tokens == 2048
    assert (call.cache_read, found.share, found.notes) == (0, 0.84, ())


def test_a_prompt_below_the_minimum_is_not_read_from_a_cache(letters):
    (call,) = prefix(exchange("x" * 996, input_tokens=1000), exchange("x" * 996, input_tokens=1000)).calls

    assert (call.tokens, call.readable_tokens) == (1000, 0)


def stamped(stamp, rest=LONG):
    return exchange(f"Now: {stamp}. {rest}", "u" * 96, input_tokens=2126)


def test_a_timestamp_at_the_top_is_named_with_what_it_costs(letters):
    found = prefix(*(stamped(f"2025-11-0{day}T10:00:00") for day in (1, 2, 3)))

    assert [call.difference.path for call in found.calls] == ["messages[0].content"] * 2
    assert {call.difference.cause for call in found.calls} == {"a timestamp"}
    assert {call.tokens for call in found.calls} == {14}
    assert found.share < 0.01
    # gpt-4o: 2.50 USD per million tokens of input, 1.25 where they are read from a cache.
    readable = 2048
    assert [call.saving_usd for call in found.calls] == [Decimal("1.25") * readable / 1_000_000] * 2
    (note,) = found.notes
    assert note.startswith("a timestamp at messages[0].content breaks the prefix: ~4,2")
    assert note.endswith(" tokens are sent anew in 2 calls, $0.00512 more than from a cache")


@pytest.mark.parametrize(
    ("was", "now", "cause", "is_volatile"),
    [
        ("It is 2025-01-01.", "It is 2025-01-02.", "a timestamp", True),
        ("It is 10:59:01 now", "It is 11:00:07 now", "a timestamp", True),
        ("On November 3, 2025", "On November 4, 2025", "a timestamp", True),
        ("At 1762160000 s", "At 1762160009 s", "a timestamp", True),
        (
            "run 1b4e28ba-2fa1-11d2-883f-0016d3cca427.",
            "run 1b4e28ba-2fa1-11d2-883f-0016d3cca428.",
            "an id",
            True,
        ),
        ("call_Ab12Cd34Ef56Gh78 is", "call_Zb12Cd34Ef56Gh79 is", "an id", True),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "a different order of keys or words", True),
        ("Translate to French.", "Translate to German.", "different text", False),
    ],
)
def test_the_cause_of_a_break(letters, was, now, cause, is_volatile):
    (call,) = prefix(exchange(was, "u", input_tokens=30), exchange(now, "u", input_tokens=30)).calls

    assert (call.difference.cause, call.difference.is_volatile) == (cause, is_volatile)


def test_tools_in_another_order(letters):
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("search", "rain")]
    found = prefix(exchange(LONG, input_tokens=2200, tools=tools), exchange(LONG, input_tokens=2200, tools=tools[::-1]))

    assert found.calls[0].difference.cause == "a different order of the tools"
    assert found.notes[0].startswith("a different order of the tools at tools[0].function breaks the prefix: ~2,")


def test_another_question_is_no_note(letters):
    found = prefix(exchange(LONG, "Which bird?", input_tokens=2015), exchange(LONG, "Which fish?", input_tokens=2015))

    assert found.calls[0].difference.cause == "different text"
    assert found.notes == ()


def test_what_cannot_be_read_is_left_out(letters):
    unreadable = Exchange(
        "POST",
        "https://api.openai.com/v1/chat/completions",
        request_body=b"(redacted)",
        response_body=stamped("1").response_body,
    )

    assert prefix(unreadable, stamped("1"), unreadable).calls == ()


def test_models_do_not_share_a_cache():
    prompt = Prompt((Piece("user", "messages[0].content", "u" * 40),))
    calls = [Call(index=i, model=model, usage=TokenUsage.from_counts(10, 1)) for i, model in enumerate(("a", "b", "a"))]

    assert [(call.call_index, call.earlier_index) for call in cache_prefix(calls, lambda _: prompt).calls] == [(2, 0)]


def test_a_marked_prefix_is_read_up_to_its_mark():
    system = Piece("system", "system[0].text", "s" * 6000, ends_cached_prefix=True)
    prompts = [Prompt((system, Piece("user", "m", question))) for question in ("a" * 400, "b" * 400)]
    calls = [
        Call(index=i, provider="anthropic", model="claude-sonnet-4-5", usage=TokenUsage.from_counts(1600, 1))
        for i in range(2)
    ]
    unmarked = Prompt((Piece("system", "system", "s" * 6000), prompts[1].pieces[1]))

    assert cache_prefix(calls, lambda call: prompts[call.index]).calls[0].readable_tokens == 1500
    assert cache_prefix(calls, lambda call: (prompts[0], unmarked)[call.index]).calls[0].readable_tokens == 0
    assert cache_prefix(calls, lambda _: unmarked).calls[0].readable_tokens == 0


contents = st.lists(st.text("ab 0", max_size=12), max_size=5)


@given(st.lists(contents, max_size=4), st.integers(0, 500))
def test_a_call_repeats_no_more_than_it_sends(conversations, input_tokens):
    prompts = [Prompt(tuple(Piece("user", f"m{i}", text) for i, text in enumerate(each))) for each in conversations]
    calls = [Call(index=i, model="gpt-4o", usage=TokenUsage.from_counts(input_tokens, 1)) for i in range(len(prompts))]

    found = cache_prefix(calls, lambda call: prompts[call.index])

    assert 0 <= found.share <= 1
    for call in found.calls:
        assert 0 <= call.tokens <= call.tokens + call.sent_anew <= call.input_tokens
        assert call.earlier_index < call.call_index


def test_every_rule_has_its_source():
    assert all(rule.source.startswith("https://") for rule in CACHE_RULES)
    assert cache_rule("openai", "gpt-4o").readable(1300) == 1280
    assert cache_rule("openai", "gpt-4o").readable(1023) == 0
    assert cache_rule("anthropic", "claude-haiku-4-5").min_tokens == 4096
    assert cache_rule("azure", "grok-4") is None
    assert cache_rule("groq", "llama") is None


@corpus.needs_corpus
def test_what_is_predicted_is_what_providers_report():
    """Whether anything was read from the cache, in every pair of recorded calls whose provider says so."""
    compared = []
    for file in dict.fromkeys(row["file"] for row in corpus.rows()):
        tracker = Tracker()
        for each in corpus.exchanges(file):
            tracker.take_in(each, tracker.request())
        compared += [
            (call.readable_tokens, call.cache_read, file)
            for call in tracker.usage.cache_prefix.calls
            if call.readable_tokens is not None and call.cache_read is not None
        ]
    agreeing = [file for predicted, reported, file in compared if bool(predicted) == bool(reported)]
    read = [(predicted, reported) for predicted, reported, _ in compared if predicted and reported]

    assert len(compared) > 200
    assert len(agreeing) >= 0.97 * len(compared)
    assert len(read) >= 10
    # The others: DeepSeek and Anthropic had read answers that they had given themselves, Gemini some of a video.
    assert sum(abs(predicted - reported) <= 0.1 * reported for predicted, reported in read) >= len(read) - 3


#: Breaks in recordings of agents, each read by hand: the recording, the call, where it differs from an earlier one, the cause,
#: and why that is the cause.
READ_BY_HAND = [
    # The container that the code runs in is named by the second call.
    ("langchain-openai-1.7.4__test_code_interpreter", 1, "tools[0]", "a different set of tools"),
    # Three questions, each a conversation of its own with the same tools before it.
    ("langchain-openai-1.7.4__test_function_calling", 2, "input[0].content", "different text"),
    # The agent offers its tool again in the call that asks for a format.
    ("langchain-anthropic-1.7.10__test_response_format_in_agent", 1, "tools[0]", "a different set of tools"),
    # The answer that a framework told again lost what the model had thought.
    (
        "pydantic-ai__test_cache_prefix_stability__test_anthropic_thinking_agui_0_1_10_drops_prefix",
        2,
        "messages[1].content[0].text",
        "different text",
    ),
    # A tool that was found is put into the conversation, and the list of what is deferred shrinks.
    (
        "pydantic-ai__test_tool_search__test_openai_native_tool_search_with_deferred_capability",
        2,
        "input[8].tools[0]",
        "a different set of tools",
    ),
    # The tool of the deferred capability stands where the way to load it stood.
    (
        "pydantic-ai__test_deepseek__test_deepseek_deferred_capability_with_thinking",
        1,
        "tools[1].function",
        "a different set of tools",
    ),
    # "summarize the document" and "describe the document".
    (
        "pydantic-ai__test_multimodal_tool_returns__test_text_plain_document_anthropic",
        1,
        "messages[0].content[0].text",
        "different text",
    ),
    # The second call has no tools any more: the conversation begins where they were.
    (
        "opentelemetry-python-genai__test_chat_completion_tool_calls_with_content",
        1,
        "messages[0].content",
        "a different set of tools",
    ),
    # Two agents of a crew, each with its own role.
    ("dd-trace-py__test_basic_crew", 1, "messages[0].content", "different text"),
    # A sequence of agents: the name in the instruction is the second one's.
    ("langsmith-sdk__test_google_adk_test_sequential_agent", 1, "systemInstruction.parts[0].text", "different text"),
    # `current_date` became `current_date2`.
    (
        "chatlas__test_provider_openai_completions__test_openai_tool_variations_async",
        2,
        "tools[0].function",
        "a different set of tools",
    ),
    # The tool that carries the structured answer keeps its name and loses its description.
    ("chatlas__test_provider_bedrock__test_data_extraction", 2, "tools[0]", "a different tool schema"),
]


@corpus.needs_corpus
@pytest.mark.parametrize(("name", "call_index", "path", "cause"), READ_BY_HAND)
def test_breaks_that_were_read_by_hand(name, call_index, path, cause):
    (file,) = {row["file"] for row in corpus.rows() if row["file"].endswith(f"/{name}.yaml")}
    tracker = Tracker()
    for each in corpus.exchanges(file):
        tracker.take_in(each, tracker.request())
    (call,) = [call for call in tracker.usage.cache_prefix.calls if call.call_index == call_index]
    assert (call.difference.path, call.difference.cause) == (path, cause)
    assert not call.difference.is_volatile
