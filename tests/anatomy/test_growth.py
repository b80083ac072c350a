"""How the input of a loop grows, and what more turns of it would cost."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy.growth import growths
from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.tracker.tracker import Tracker
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire.exchange import Exchange

PROMPT = Prompt((Piece("user", "messages[0].content", "Which bird?"),))


def grown(*inputs, output=0, prompt_of=lambda _: PROMPT, **more):
    calls = [
        Call(
            index=i,
            provider="openai",
            model="gpt-4o-2024-08-06",
            usage=TokenUsage.from_counts(tokens, output),
            _quotes=PriceBook(),
            **more,
        )
        for i, tokens in enumerate(inputs)
    ]
    return growths(calls, prompt_of)


@pytest.mark.parametrize(
    ("inputs", "kind", "at_10"),
    [
        ((500, 500, 500, 500), "constant", 500),
        ((500, 510, 495, 505), "constant", 502),
        ((100, 200, 300, 400), "linear", 1000),
        ((100, 210, 290, 400), "linear", 985),
        # One large answer of a tool is no curve.
        ((100, 200, 300, 3300), "linear", None),
        # A little more each time is no curve either.
        ((100, 200, 310, 430, 560), "linear", None),
        ((100, 200, 400, 700, 1100), "quadratic", 4600),
        ((3, 6, 11, 18, 27, 38), "quadratic", 102),
    ],
)
def test_the_curve_of_a_loop(inputs, kind, at_10):
    (growth,) = grown(*inputs)

    assert growth.kind == kind
    assert growth.input_tokens == inputs
    if at_10 is not None:
        assert growth.input_at(10) == at_10


def test_fewer_calls_say_nothing():
    assert grown(100, 200, 300) == ()


def test_conversations_and_what_cannot_be_read_stay_apart():
    other = Prompt((Piece("user", "messages[0].content", "Which fish?"),))

    assert grown(*[100] * 6, prompt_of=lambda call: (PROMPT, other)[call.index % 2]) == ()
    assert grown(*[100] * 6, prompt_of=lambda _: None) == ()


def test_what_more_turns_would_cost():
    (growth,) = grown(100, 200, 300, 400, output=10)

    # 2.50 USD per million tokens of input, 10 of output.
    assert growth.cost_usd(4) == sum(call.cost_usd for call in growth.calls)
    assert growth.cost_usd(10) == Decimal("2.50") * 5500 / 10**6 + Decimal(10) * 100 / 10**6
    assert growth.cost_usd(50) == Decimal("2.50") * 127_500 / 10**6 + Decimal(10) * 500 / 10**6


def test_it_says_so():
    assert str(*grown(100, 200, 300, 400, output=10)) == (
        "linear over 4 calls, 100 to 400 input tokens; 10 turns: ~$0.01475, 50 turns: ~$0.32375"
    )


def test_a_view_has_it():
    assert Tracker().usage.growth == ()
    tracker = Tracker()
    for turn in range(4):
        messages = [{"role": "user", "content": "Which bird?"}, *[{"role": "assistant", "content": "This."}] * turn]
        usage = {"prompt_tokens": 100 + 50 * turn, "completion_tokens": 5, "total_tokens": 105 + 50 * turn}
        answer = {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "usage": usage}
        exchange = Exchange(
            "POST",
            "https://api.openai.com/v1/chat/completions",
            request_body=json.dumps({"model": "gpt-4o", "messages": messages}).encode(),
            status=200,
            response_body=json.dumps(answer).encode(),
        )
        tracker.take_in(exchange, tracker.request())

    (growth,) = tracker.usage.growth

    assert (growth.kind, growth.input_tokens, growth.input_at(50)) == ("linear", (100, 150, 200, 250), 2550)
    assert growth.cost_usd(4) == tracker.usage.cost


def test_without_a_price_there_is_no_cost():
    calls = [
        Call(index=i, model="unheard-of", usage=TokenUsage.from_counts(100, 1), _quotes=PriceBook()) for i in range(4)
    ]

    assert growths(calls, lambda _: PROMPT)[0].cost_usd(10) is None


@given(st.integers(0, 5000), st.integers(0, 500), st.integers(4, 9))
def test_a_line_is_a_line(start, step, count):
    (growth,) = grown(*(start + step * i for i in range(count)))

    assert growth.kind == ("linear" if step * (count - 1) * 20 > start else "constant")
    if growth.kind == "linear":
        assert growth.input_at(count + 1) == start + step * count


@given(st.integers(0, 5000), st.integers(10, 500), st.integers(4, 9))
def test_what_adds_more_each_time_is_no_line(start, step, count):
    (growth,) = grown(*(start + step * i * i for i in range(count)))

    assert growth.kind == ("quadratic" if step * (count - 1) ** 2 * 20 > start else "constant")
