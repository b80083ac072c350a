"""A count that is no count is never zero: over every documented response, each number is made impossible in turn."""

import json
import math
from dataclasses import replace

import pytest
from bodies import exchange, sse
from documented import ROWS
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llm_usage import TokenUsage, wire
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.tracker.reconcile import wire_fields

IMPOSSIBLE = [-1, -1000, math.nan, math.inf, -math.inf, "abc", "", "1e3", 1000.5, True, False, [7], {"n": 7}, 10**600]


def read(usage, **more):
    body = {"id": "msg_1", "type": "message", "model": "claude-opus-4-8", "stop_reason": "end_turn", "usage": usage}
    request = {"model": "claude-opus-4-8", "messages": []}
    return wire.read(exchange("https://api.anthropic.com/v1/messages", request, body | more))


@pytest.mark.parametrize("value", [None, *IMPOSSIBLE], ids=repr)
@pytest.mark.parametrize("member", ["input_tokens", "output_tokens"])
def test_a_count_that_cannot_be_read_is_unknown_and_named(member, value):
    call = read({"input_tokens": 12, "output_tokens": 6, member: value})

    assert (call.usage, call.status) == (None, "no_usage")
    assert call.note.startswith(f"usage.{member} holds ")
    assert call.note.endswith(", which is not a number of tokens")
    assert len(call.note) < 120


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (-1000, "-1000"),
        (math.nan, "NaN"),
        ("abc", '"abc"'),
        (1000.5, "1000.5"),
        (True, "true"),
        ([7], "a list"),
        ({"n": 7}, "an object"),
        (10**600, "a number of 601 digits"),
        ("x" * 99, f'"{"x" * 23}…'),
        ("AKIAN3JGVJ2JVJ7QYW1G", '"***"'),
        ("sk-proj-" + "aB3dE5gH7jK9mN1pQ" * 4, '"***"'),
    ],
)
def test_the_note_shows_what_the_member_holds(value, shown):
    note = read({"input_tokens": value, "output_tokens": 6}).note

    assert note == f"usage.input_tokens holds {shown}, which is not a number of tokens"


@pytest.mark.parametrize("value", [None, *(value for value in IMPOSSIBLE if value not in ("1e3", 1000.5))], ids=repr)
@pytest.mark.parametrize(
    ("url", "request_body", "body"),
    [
        (
            "https://api.openai.com/v1/audio/transcriptions",
            {"model": "whisper-1"},
            lambda value: {"text": "Hi", "usage": {"type": "duration", "seconds": value}},
        ),
        (
            "https://api.mistral.ai/v1/ocr",
            {"model": "mistral-ocr-2512", "document": {}},
            lambda value: {"pages": [], "model": "mistral-ocr-2512", "usage_info": {"pages_processed": value}},
        ),
        (
            "https://api.mistral.ai/v1/chat/completions",
            {"model": "voxtral-small-24b-2507", "messages": []},
            lambda value: {
                "object": "chat.completion",
                "model": "voxtral-small-24b-2507",
                "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_audio_seconds": value},
            },
        ),
    ],
    ids=["seconds", "pages", "seconds in a chat"],
)
def test_a_unit_that_cannot_be_read_does_not_cost_nothing(url, request_body, body, value):
    call = wire.read(exchange(url, request_body, body(value)))
    quote = PriceBook().quote(Call(index=0, source="http", **wire_fields(call)))

    assert call.billing.items == {}
    if url.endswith("completions") and (value is None or isinstance(value, list | dict)):
        assert call.usage is not None  # No sound is told of.
    else:
        assert (call.usage, quote.cost_usd) == (None, None)


@pytest.mark.parametrize(
    ("value", "remark"),
    [
        (12.0, "usage.input_tokens holds 12.0, read as 12"),
        ("12", 'usage.input_tokens holds "12", read as 12'),
        (" 12.0 ", 'usage.input_tokens holds " 12.0 ", read as 12'),
        (12, ""),
    ],
)
def test_a_number_that_is_written_otherwise_is_that_number_with_a_note(value, remark):
    call = read({"input_tokens": value, "output_tokens": 6})

    assert (call.usage, call.status, call.note) == (TokenUsage.from_counts(12, 6), "ok", remark)


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=repr)
def test_so_is_a_detail_and_a_piece(value):
    detail = read({"input_tokens": 12, "output_tokens": 6, "cache_read_input_tokens": value})
    piece = read({"input_tokens": 12, "output_tokens": 6, "server_tool_use": {"web_search_requests": value}})

    assert detail.usage is None
    assert detail.note.startswith("usage.cache_read_input_tokens holds ")
    if not isinstance(value, list | dict):
        assert piece.usage is None
        assert piece.note.startswith("server_tool_use.web_search_requests holds ")


CHAT = {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [{"message": {"content": "hello"}}]}
CHUNK = {
    "object": "chat.completion.chunk",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": "a"}}],
}


def chat(usage):
    return wire.read(
        exchange(
            "https://api.openai.com/v1/chat/completions",
            {"model": "gpt-4o-mini", "messages": []},
            {**CHAT, "usage": usage},
        )
    )


def streamed(*usages):
    events = sse(CHUNK, *({**CHUNK, "usage": usage} for usage in usages), done=True)
    request = {"model": "gpt-4o-mini", "messages": [], "stream": True}
    return wire.read(exchange("https://api.openai.com/v1/chat/completions", request, events))


@pytest.mark.parametrize(
    ("usage", "expected", "note"),
    [
        ({"prompt_tokens": 7, "total_tokens": 12}, (7, 5), "usage.completion_tokens is missing: the total leaves 5 for it"),
        ({"completion_tokens": 5, "total_tokens": 1_012}, (1_007, 5), "usage.prompt_tokens is missing: the total leaves 1,007 for it"),
        # What is there is believed, and so is a part that the total has no room for.
        ({"prompt_tokens": 7, "total_tokens": 7}, (7, 0), ""),
        ({"prompt_tokens": 7, "total_tokens": 3}, (7, 0), ""),
        ({"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 12}, (7, 0), ""),
    ],
)  # fmt: skip
def test_a_count_that_is_not_there_is_what_the_total_leaves(usage, expected, note):
    call = chat(usage)

    assert (call.usage.input_tokens, call.usage.output_tokens) == expected
    assert call.usage.total_tokens == usage["total_tokens"] or not note
    assert call.note == note


def test_of_gemini_as_well_with_what_stands_apart():
    call = wire.read(
        exchange(
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": []},
            {
                "candidates": [],
                "usageMetadata": {"promptTokenCount": 7, "thoughtsTokenCount": 2, "totalTokenCount": 14},
            },
        )
    )

    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.total_tokens) == (7, 7, 14)
    assert call.note == "usageMetadata.candidatesTokenCount is missing: the total leaves 5 for it"


@pytest.mark.parametrize(
    ("stated", "counted", "output", "note"),
    [
        (0, [[11], [4, 5]], 20, "total_output_tokens is 0, and 20 are listed"),
        (9, [[11]], 9, ""),
        (0, [], 0, ""),
    ],
)
def test_an_output_of_zero_beside_tokens_that_are_listed_is_not_zero(stated, counted, output, note):
    # What Gemini's model for transcriptions answers: its totals leave out all that it wrote.
    usage = {
        "total_tokens": 250 + stated,
        "total_input_tokens": 250,
        "total_output_tokens": stated,
        "total_thought_tokens": 0,
        "model_invocation_token_counts": [
            {
                "prompt_tokens_details": [{"modality": "audio", "tokens": 250}],
                "candidates_tokens_details": [{"modality": "text", "tokens": n} for n in counts],
            }
            for counts in counted
        ],
    }
    call = wire.read(
        exchange(
            "https://generativelanguage.googleapis.com/v1beta/interactions",
            {"model": "gemini-3.5-transcribe", "input": []},
            {"object": "interaction", "id": "v1_1", "model": "gemini-3.5-transcribe", "usage": usage},
        )
    )

    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.total_tokens) == (250, output, 250 + output)
    assert note in call.note
    assert bool(call.note) == bool(note)


NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
SOME = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


@pytest.mark.parametrize(
    ("usages", "tokens"),
    [
        ([SOME, NOTHING], 12),
        ([SOME, NOTHING, None, NOTHING], 12),
        ([NOTHING, SOME], 12),
        ([NOTHING, SOME, NOTHING, {**SOME, "completion_tokens": 6, "total_tokens": 13}], 13),
        ([NOTHING, NOTHING], 0),
        ([SOME, {**SOME, "completion_tokens": 2, "total_tokens": 9}], 9),
    ],
)
def test_zeros_at_the_end_of_a_stream_take_nothing_back(usages, tokens):
    call = streamed(*usages)

    assert (call.usage.total_tokens, call.status) == (tokens, "ok")


def test_what_cannot_be_read_at_the_end_of_a_stream_is_not_passed_over():
    assert streamed(SOME, NOTHING, {**NOTHING, "prompt_tokens": -1}).usage is None


def test_null_is_how_some_write_that_there_was_no_cache():
    assert read(
        {"input_tokens": 12, "output_tokens": 6, "cache_read_input_tokens": None}
    ).usage == TokenUsage.from_counts(12, 6)


def test_the_last_count_of_a_stream_is_not_replaced_by_an_earlier_one():
    start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 12, "output_tokens": 1}}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": None}}
    request = {"model": "m", "messages": []}
    anthropic = wire.read(
        exchange("https://api.anthropic.com/v1/messages", request, sse(start, delta, {"type": "message_stop"}))
    )
    chunks = [
        {"object": "chat.completion.chunk", "usage": {"prompt_tokens": 12, "completion_tokens": n}} for n in (1, "many")
    ]
    openai = wire.read(exchange("https://api.openai.com/v1/chat/completions", request, sse(*chunks, done=True)))

    assert (anthropic.usage, openai.usage) == (None, None)


@pytest.mark.parametrize("cost", [10**600, 1e300, -1, "dear", True, math.nan, [1]], ids=repr)
def test_a_cost_that_cannot_be_one_is_not_stated(cost):
    body = {"object": "chat.completion", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": cost}}
    call = wire.read(exchange("https://openrouter.ai/api/v1/chat/completions", {"model": "m", "messages": []}, body))

    assert (call.usage, call.billing.stated_cost_usd) == (TokenUsage.from_counts(1, 1), None)


# --- Every documented response ------------------------------------------------------------------------------------------

#: Rows whose response is JSON, streams of JSON included.
TEXTS = [
    (row, row.exchange.response_body) for row in ROWS if row.usage and not row.exchange.response_body.startswith(b"\0")
]


def numbers_in(value, path=()):
    if isinstance(value, dict):
        for key, member in value.items():
            yield from numbers_in(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from numbers_in(member, (*path, index))
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield path


def with_number(value, path, number):
    if not path:
        return number
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_number(value[path[0]], path[1:], number)
    return copy


def mutations(body, number):
    """The same body with one number of one of its JSON values exchanged, for each of them."""
    text = body.decode()
    lines = text.split("\n") if not isinstance(parsed(text), dict | list) else [text]
    for index, line in enumerate(lines):
        prefix = "data: " if line.startswith("data: ") else ""
        value = parsed(line.removeprefix(prefix))
        for path in numbers_in(value):
            changed = prefix + json.dumps(with_number(value, path, number))
            yield path, "\n".join([*lines[:index], changed, *lines[index + 1 :]]).encode()


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def is_told(call, known):
    """Whether a call says at least what is known, or says that it does not know."""
    if call is None or call.usage is None or call.status != "ok" or call.note:
        return True
    usage = call.usage
    if usage.total_tokens == known.total_tokens > usage.input_tokens + usage.output_tokens:
        # The total tells: such a usage has no price.
        return True
    return (
        usage.input_tokens >= known.input_tokens
        and usage.output_tokens >= known.output_tokens
        and usage.total_tokens >= known.total_tokens
    )


@pytest.mark.parametrize("number", IMPOSSIBLE, ids=repr)
def test_no_impossible_number_makes_a_documented_usage_lower(number):
    lower = []
    mutated = 0
    for row, body in TEXTS:
        for path, changed in mutations(body, number):
            mutated += 1
            call = wire.read(replace(row.exchange, response_body=changed))
            if not is_told(call, row.expected_usage):
                lower.append((row.id, path))

    assert mutated > 1000
    assert lower == []


#: Members that providers' SDKs declare as nullable, and that are not counted where they are: caches of Anthropic, the
#: tokens of a grader that asks no model, and totals, which are the sum of what is stated beside them.
NULLABLE = ("cache_read_input_tokens", "cache_creation_input_tokens", "ephemeral_5m_input_tokens", "token_usage")
#: Null stands for "as before" there: `MessageDeltaUsage` of the anthropic SDK.
AS_BEFORE = {
    ("stream with input that server tools add", "input_tokens"),
    ("searches in a stream", "input_tokens"),
}


def test_no_null_makes_a_documented_usage_lower():
    lower = [
        (row.id, path)
        for row, body in TEXTS
        for path, changed in mutations(body, None)
        if "total" not in str(path[-1]).lower()
        and path[-1] not in NULLABLE
        and (row.name, path[-1]) not in AS_BEFORE
        and not is_told(wire.read(replace(row.exchange, response_body=changed)), row.expected_usage)
    ]

    assert lower == []


COUNTS = st.one_of(st.sampled_from(IMPOSSIBLE), st.none(), st.integers(), st.floats(), st.text(max_size=9))


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
        COUNTS,
        min_size=1,
    )
)
def test_what_is_read_is_at_least_every_number_that_is_one(usage):
    call = read(usage)

    numbers = [n for n in usage.values() if isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 10**15]
    assert call.usage is None or call.usage.total_tokens >= sum(numbers)


ALONE = {
    "chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": "gpt-4o-mini", "messages": []},
        lambda usage: {**CHAT, "usage": usage},
        ("prompt_tokens", "completion_tokens"),
        "usage",
    ),
    "responses": (
        "https://api.openai.com/v1/responses",
        {"model": "gpt-4o-mini", "input": "hi"},
        lambda usage: {"object": "response", "model": "gpt-4o-mini", "output": [], "usage": usage},
        ("input_tokens", "output_tokens"),
        "usage",
    ),
    "messages": (
        "https://api.anthropic.com/v1/messages",
        {"model": "claude-sonnet-4-5", "messages": []},
        lambda usage: {"type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [], "usage": usage},
        ("input_tokens", "output_tokens"),
        "usage",
    ),
    "converse": (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse",
        {"messages": []},
        lambda usage: {"output": {}, "stopReason": "end_turn", "usage": usage},
        ("inputTokens", "outputTokens"),
        "usage",
    ),
}  # fmt: skip


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("name", ALONE)
def test_one_count_of_two_without_a_total_leaves_the_other_unknown(name, there):
    url, request, answer, names, where = ALONE[name]
    call = wire.read(exchange(url, request, answer({names[there]: 7})))

    assert (call.usage, call.status) == (None, "no_usage")
    assert call.note == f"{where}.{names[1 - there]} is missing"


def test_one_count_of_two_in_a_stream_leaves_the_other_unknown():
    call = streamed({"prompt_tokens": 7})

    assert (call.usage, call.note) == (None, "usage.completion_tokens is missing")


def test_an_embedding_has_no_output():
    answer = {"object": "list", "data": [], "model": "text-embedding-3-small", "usage": {"prompt_tokens": 7}}
    request = {"model": "text-embedding-3-small", "input": "hi"}
    assert wire.read(exchange("https://api.openai.com/v1/embeddings", request, answer)).usage.total_tokens == 7
