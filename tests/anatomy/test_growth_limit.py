"""`llm_budget(max_growth=…)`: a conversation that grows faster than it may fails its test, whoever makes the calls."""

import json
from textwrap import dedent

import langchain_openai  # noqa: F401 -- once here, rather than in every run inside this process
import pytest
from counting_server import serving

from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.errors import BudgetExceededError, ConfigurationError
from pytest_llm_usage.tracker.tracker import Tracker
from pytest_llm_usage.wire.exchange import Exchange

MODEL = "gpt-4o-2024-08-06"
LINE = (100, 200, 300, 400, 500)
CURVE = (100, 200, 400, 700, 1100)


def exchange(sent, *, model=MODEL, first="Which bird?", body: bytes | None = None, answers=0):
    """A call of a conversation whose input the provider counts as `sent`; None where it does not."""
    messages = [{"role": "user", "content": first}, *[{"role": "assistant", "content": "This."}] * answers]
    usage = {} if sent is None else {"prompt_tokens": sent, "completion_tokens": 5, "total_tokens": sent + 5}
    answer = {"object": "chat.completion", "model": model, "choices": [], **({"usage": usage} if usage else {})}
    return Exchange(
        "POST",
        "https://api.openai.com/v1/chat/completions",
        request_body=json.dumps({"model": model, "messages": messages}).encode() if body is None else body,
        status=200,
        response_body=json.dumps(answer).encode(),
    )


def told(*exchanges, max_growth="linear", **more):
    """What a test with that limit says."""
    limits = Limits.parse({"max_growth": max_growth, **more}, origin="@pytest.mark.llm_budget")
    tracker = Tracker(limits=(limits,))
    for each in exchanges:
        tracker.take_in(each, tracker.request())
    return tracker.over_budget()


def test_a_conversation_that_grows_faster_than_linearly_is_told_by_its_turns_and_what_more_would_cost():
    lines = told(*map(exchange, CURVE)).splitlines()

    assert lines[0] == (
        f"LLM budget exceeded: the input of {MODEL} grows quadratically in turns 1 to 5, "
        "limit linear (@pytest.mark.llm_budget)"
    )
    assert [line.split()[:4] for line in lines[2:8]] == [
        ["turn", "input", "more", "call"],
        ["1", "100", "1", lines[3].split()[3]],
        ["2", "200", "+100", "2"],
        ["3", "400", "+200", "3"],
        ["4", "700", "+300", "4"],
        ["5", "1,100", "+400", "5"],
    ]
    # 50 n² - 50 n + 100 tokens at turn n, 2.50 USD per million; 5 tokens of answer, 10 USD per million.
    assert lines[-2:] == [
        "  10 turns: ~17,500 input tokens, ~$0.04425",
        "  50 turns: ~2,087,500 input tokens, ~$5.22125",
    ]


def test_what_grows_linearly_or_not_at_all_holds():
    assert told(*map(exchange, LINE)) is None
    assert told(*map(exchange, (500,) * 5)) is None


def test_nothing_may_grow_where_the_limit_is_constant():
    assert told(*map(exchange, (500,) * 5), max_growth="constant") is None
    assert " grows linearly in turns 1 to 5, limit constant " in told(*map(exchange, LINE), max_growth="constant")


def test_a_conversation_too_short_to_tell_says_nothing():
    assert told(*map(exchange, (100, 1_000, 100_000))) is None
    # Four calls, and no conversation of four.
    assert told(*(exchange(10**i, first=f"Which {'bird' if i % 2 else 'fish'}?") for i in range(4))) is None


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (exchange(400, body=b""), "the recording has no request body"),
        (exchange(400, body=b"(redacted)"), "the request body is not a JSON object"),
        (exchange(None), "its usage is not known"),
    ],
)
def test_what_is_not_known_fails_with_the_reason(unknown, reason):
    text = told(*map(exchange, LINE[:3]), unknown)

    assert text.splitlines() == [
        (
            f"LLM budget cannot be verified: the growth of {MODEL}'s input is unknown for 1 call, "
            "limit linear (@pytest.mark.llm_budget)"
        ),
        "",
        f"  Unknown: {reason} (call 4)",
    ]


def test_what_is_not_known_of_a_conversation_too_short_to_tell_says_nothing():
    assert told(*map(exchange, LINE[:2]), exchange(400, body=b"")) is None
    other = [exchange(400, first="Which fish?"), exchange(500, first="Which fish?")]
    assert told(*map(exchange, LINE[:2]), *other, exchange(400, body=b"")) is None


def test_what_is_certain_is_told_before_what_is_not_known():
    assert "cannot be verified" not in told(*map(exchange, CURVE), exchange(400, body=b""))


def test_without_a_price_the_tokens_are_told():
    text = told(*(exchange(sent, model="acme-1") for sent in CURVE))

    assert text.splitlines()[-2] == "  10 turns: ~17,500 input tokens, a cost that is not known: a call has no price"


def test_the_limit_may_be_of_some_models_alone():
    calls = [exchange(sent, model=model) for model in ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14") for sent in CURVE]

    text = told(*calls, model="gpt-4.1*")
    assert text.startswith("LLM budget exceeded for gpt-4.1*: the input of gpt-4.1-2025-04-14 grows quadratically")
    assert text.count("LLM budget") == 1


def test_other_limits_are_told_as_well():
    text = told(*map(exchange, CURVE), max_tokens=10)

    assert text.startswith("LLM budget exceeded: 2,525 tokens, limit 10 (@pytest.mark.llm_budget)\n")
    assert "\n\nLLM budget exceeded: the input of " in text


def test_within_a_test():
    tracker = Tracker()
    for sent in CURVE:
        tracker.take_in(exchange(sent), tracker.request())

    with pytest.raises(
        BudgetExceededError, match=r"grows quadratically in turns 1 to 5, limit linear \(assert_within\)"
    ):
        tracker.usage.assert_within(max_growth="linear")
    tracker.usage.assert_within(max_calls=5)


@pytest.mark.parametrize("value", ["quadratic", "Linear", "", 1, 0.5, True, ["linear"]])
def test_what_is_no_growth(value):
    with pytest.raises(ConfigurationError) as error:
        Limits.parse({"max_growth": value}, origin="@pytest.mark.llm_budget")

    assert str(error.value) == (
        f"@pytest.mark.llm_budget: max_growth: {value!r} is not a growth that can be a limit ('constant', 'linear')"
    )


def test_the_nearest_marker_wins():
    near, far = (Limits.parse({"max_growth": value}, origin=value) for value in ("linear", "constant"))

    assert near
    assert (near.over(far).max_growth, near.over(far).origins) == ("linear", {"max_growth": "linear"})
    assert Limits().over(far).max_growth == "constant"


LOOPS = {
    "sync": """
        {mark}
        def test_{name}():
            for messages in turns({sizes}):
                model().invoke(messages)
    """,
    "async": """
        {mark}
        @pytest.mark.asyncio
        async def test_{name}():
            for messages in turns({sizes}):
                await model().ainvoke(messages)
    """,
    "streamed": """
        {mark}
        def test_{name}():
            for messages in turns({sizes}):
                list(model().stream(messages, stream_usage=True))
    """,
    "streamed asynchronously": """
        {mark}
        @pytest.mark.asyncio
        async def test_{name}():
            for messages in turns({sizes}):
                async for _ in model().astream(messages, stream_usage=True):
                    pass
    """,
}
HEAD = """
import httpx
import pytest
from langchain_openai import ChatOpenAI

def model():
    # An asynchronous client belongs to the event loop of its test.
    options = {{"http_client": httpx.Client(), "http_async_client": httpx.AsyncClient()}}
    return ChatOpenAI(model="gpt-4o-mini", base_url="{url}/v1", api_key="-", max_retries=0, **options)

def turns(sizes):
    messages = []
    for size in sizes:
        messages = [*messages, ("user", f"And then? [{{size}} 5]")]
        yield messages
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_of_every_kind_of_loop_the_one_that_grows_too_fast_fails(pytester, workers):
    mark = '@pytest.mark.llm_budget(max_growth="linear")'
    with serving() as provider:
        for number, text in enumerate(LOOPS.values()):
            source = "".join(
                dedent(text).format(mark=mark, name=name, sizes=sizes)
                for name, sizes in (("linear", LINE), ("quadratic", CURVE), ("short", CURVE[:3]))
            )
            (pytester.path / f"test_loop_{number}.py").write_text(HEAD.format(url=provider.url) + source)

        result = pytester.runpytest("-rA", *workers)

    result.assert_outcomes(passed=2 * len(LOOPS), failed=len(LOOPS))
    ended = {line.split()[1] for line in result.stdout.lines if line.startswith("FAILED ")}
    assert ended == {f"test_loop_{number}.py::test_quadratic" for number in range(len(LOOPS))}
    verdicts = [line for line in result.stdout.lines if line.startswith("LLM budget exceeded: the input of ")]
    assert len(verdicts) == len(LOOPS)
    assert all("grows quadratically in turns 1 to 5, limit linear" in line for line in verdicts)


def test_an_invalid_value_fails_its_test_alone_with_one_line(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_budget(max_growth="fast")
        def test_it(): pass

        def test_other(): pass
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["@pytest.mark.llm_budget: max_growth: 'fast' is not a growth that can be a limit ('constant', 'linear')"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
