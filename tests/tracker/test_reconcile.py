"""One book of two: which response answered which call, and what one call of both says."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import anthropic
import httpx
import pytest
from counting_server import MODEL, serving
from hypothesis import given
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_openai import ChatOpenAI, OpenAI
from openai import AsyncOpenAI
from openai import OpenAI as OpenAIClient
from strategies import usages

from pytest_llm_usage import BudgetExceededError, PriceUnknownError, UsageUnknownError
from pytest_llm_usage.billing import Billing, Part
from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette
from pytest_llm_usage.langchain.handler import UsageHandler
from pytest_llm_usage.tracker import Discrepancy, Tracker, observe, set_current_call
from pytest_llm_usage.tracker.reconcile import Candidate, completed, difference, joined, pair, wire_fields
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire import Exchange, WireCall

USAGE, OTHER = TokenUsage.from_counts(10, 5), TokenUsage.from_counts(20, 7)


def candidate(item, *, context=None, models=(MODEL,), response_id=None, usage=None, at=0.0, until=None, failed=False):
    return Candidate(
        item, context, frozenset(models), response_id, usage, at, at if until is None else until, failed=failed
    )


# -- pairs -----------------------------------------------------------------------------------------------------


def test_the_context_of_a_request_says_whose_it_is():
    one, other = object(), object()
    calls = [candidate("one", context=one), candidate("other", context=other)]
    responses = [candidate("of other", context=other), candidate("of one", context=one)]

    assert sorted(pair(calls, responses)) == [("one", "of one"), ("other", "of other")]


@pytest.mark.parametrize(
    ("mine", "foreign"),
    [
        ({"response_id": "a"}, {"response_id": "b", "usage": USAGE}),
        ({"models": ["gpt-4o"]}, {"models": ["claude-haiku-4-5"], "usage": USAGE}),
        ({"usage": USAGE}, {"usage": OTHER}),
    ],
    ids=["by id", "by model", "by usage"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_responses_in_one_context_the_one_that_fits_is_taken(mine, foreign, swapped):
    context = object()
    call = candidate("call", context=context, models=["gpt-4o"], response_id="a", usage=USAGE)
    responses = [
        candidate("mine", **{"context": context, "models": ["gpt-4o"], **mine}),
        candidate("foreign", **{"context": context, "models": ["gpt-4o"], **foreign}),
    ]

    assert pair([call], responses[::-1] if swapped else responses) == [("call", "mine")]


def test_calls_of_one_batch_take_their_responses_in_order_where_nothing_else_tells():
    batch = object()
    calls = [candidate(number, context=batch) for number in range(3)]
    responses = [candidate(f"answer {number}", context=batch) for number in range(3)]

    assert pair(calls, responses) == [(0, "answer 0"), (1, "answer 1"), (2, "answer 2")]


def test_calls_of_one_batch_take_their_responses_by_usage_before_order():
    batch = object()
    calls = [candidate("one", context=batch, usage=USAGE), candidate("other", context=batch, usage=OTHER)]
    responses = [candidate("of other", context=batch, usage=OTHER), candidate("of one", context=batch, usage=USAGE)]

    assert sorted(pair(calls, responses)) == [("one", "of one"), ("other", "of other")]


def test_a_request_without_context_is_known_by_its_id():
    calls = [candidate("one", response_id="a"), candidate("other", response_id="b")]

    assert pair(calls, [candidate("answer", response_id="b", at=99.0)]) == [("other", "answer")]


def test_a_request_without_context_belongs_to_a_call_of_its_model_that_was_under_way():
    calls = [
        candidate("before", at=0.0, until=1.0),
        candidate("other model", models=["claude-haiku-4-5"], at=1.0, until=3.0),
        candidate("under way", at=1.0, until=3.0),
    ]

    assert pair(calls, [candidate("answer", at=2.0)]) == [("under way", "answer")]


@pytest.mark.parametrize(("at", "belongs"), [(0.9, False), (1.0, True), (3.0, True), (3.1, False)])
def test_a_call_is_under_way_from_its_first_moment_to_its_last(at, belongs):
    """A clock that ticks slowly gives a call and its request one moment."""
    call = candidate("call", at=1.0, until=3.0)

    assert pair([call], [candidate("answer", at=at)]) == ([("call", "answer")] if belongs else [])


def test_parallel_calls_without_context_are_told_by_usage_then_by_order():
    calls = [candidate(number, usage=usage, at=0.0, until=9.0) for number, usage in enumerate([USAGE, None, OTHER])]
    responses = [candidate(usage, usage=usage, at=1.0) for usage in (OTHER, TokenUsage.from_counts(1, 1), USAGE)]

    assert dict(pair(calls, responses)) == {0: USAGE, 1: TokenUsage.from_counts(1, 1), 2: OTHER}


def test_a_call_that_failed_takes_no_answer_of_a_neighbour():
    call = candidate("refused", at=0.0, until=9.0, failed=True)

    assert pair([call], [candidate("of a raw client", at=1.0)]) == []


def test_a_response_of_another_call_is_nobody_elses():
    context = object()
    calls = [candidate("one", context=context), candidate("in another thread", at=0.0, until=9.0)]
    responses = [candidate("first", context=context, at=1.0), candidate("second", context=context, at=2.0)]

    assert pair(calls, responses) == [("one", "first")]


def test_a_name_that_is_not_known_may_be_any():
    assert pair([candidate("call", models=["unknown"], until=9.0)], [candidate("answer", at=1.0)]) == [
        ("call", "answer")
    ]


contexts = st.sampled_from([object() for _ in range(3)])
sides = st.lists(
    st.builds(
        Candidate,
        st.uuids(),
        st.none() | contexts,
        st.frozensets(st.sampled_from(["gpt-4o", "o3", "unknown"]), max_size=2),
        st.none() | st.sampled_from("abc"),
        st.none() | st.sampled_from([USAGE, OTHER]),
        st.floats(0, 5),
        st.floats(5, 10),
        st.booleans(),
    ),
    max_size=6,
)


@given(sides, sides)
def test_each_stands_in_one_pair_at_most(calls, responses):
    pairs = pair(calls, responses)

    assert len({call for call, _ in pairs}) == len({response for _, response in pairs}) == len(pairs)
    assert {call for call, _ in pairs} <= {call.item for call in calls}
    assert {response for _, response in pairs} <= {response.item for response in responses}


@given(sides, sides)
def test_nobody_goes_without_where_the_context_tells(calls, responses):
    pairs = pair(calls, responses)
    paired_calls, paired_responses = {call for call, _ in pairs}, {response for _, response in pairs}

    for response in responses:
        if response.context is not None and response.item not in paired_responses:
            waiting = [call for call in calls if call.context is response.context and call.item not in paired_calls]
            assert not waiting


# -- what differs ----------------------------------------------------------------------------------------------


@given(usages, usages)
def test_a_difference_is_told_exactly_where_there_is_one(langchain, wire):
    assert bool(difference(langchain, wire)) == (langchain != wire)


@given(usages)
def test_usage_that_langchain_lost_is_told_whatever_it_is(wire):
    reason = difference(None, wire)

    assert reason.startswith("LangChain reported no usage, the provider ")
    assert f"{wire.input_tokens:,} input and {wire.output_tokens:,} output tokens" in reason


def test_a_difference_names_each_count_with_both_numbers():
    langchain = TokenUsage.from_counts(0, 29, output_token_details={"reasoning": 9})
    wire = TokenUsage.from_counts(
        1_049, 29, input_token_details={"cache_read": 1_024}, output_token_details={"reasoning": 9}
    )

    assert difference(langchain, wire) == "input 0 against 1,049, total 29 against 1,078, cache_read 0 against 1,024"


@pytest.mark.parametrize("details", ["input_token_details", "output_token_details"])
def test_a_count_that_one_side_lacks_is_zero_of_it(details):
    """Of one token too; a zero that the other side states is no difference."""
    lacking = TokenUsage.from_counts(100, 100, **{details: {"audio": 7}})
    of_one = TokenUsage.from_counts(100, 100, **{details: {"audio": 7, "kind": 1}})
    of_none = TokenUsage.from_counts(100, 100, **{details: {"audio": 7, "kind": 0}})

    assert difference(lacking, of_one) == difference(of_none, of_one) == "kind 0 against 1"
    assert difference(of_one, lacking) == difference(of_one, of_none) == "kind 1 against 0"
    assert difference(lacking, of_none) == difference(of_none, lacking) == ""


# -- one call of two -------------------------------------------------------------------------------------------

WIRE = WireCall(
    provider="openai",
    flavour="openai-chat",
    model=MODEL,
    requested_model="gpt-4o-mini",
    usage=OTHER,
    billing=Billing(
        service_tier="flex",
        parts=(Part("compaction", MODEL, USAGE),),
        stated_cost_usd=Decimal("0.01"),
        priced_at=1_760_000_000.0,
    ),
    response_id="chatcmpl-1",
)


def test_the_wires_numbers_count():
    fields = joined({"usage": USAGE, "model": "gpt-4o-mini", "status": "ok", "provider": None}, WIRE)

    assert (fields["usage"], fields["provider"], fields["billing"]) == (OTHER, "openai", WIRE.billing)


def test_the_model_is_langchains_where_it_names_one():
    assert joined({"model": "named"}, WIRE)["model"] == "named"
    assert joined({"model": "unknown"}, WIRE)["model"] == joined({}, WIRE)["model"] == MODEL


@pytest.mark.parametrize(
    "told", [{"model": "an-alias", "requested_model": "an-alias"}, {"model": "http://127.0.0.1:8080/v1"}]
)
def test_the_model_is_the_responses_where_langchain_repeats_what_was_asked_for(told):
    assert joined(told, WIRE)["model"] == MODEL
    # A response that names none goes by what the request says, which may be a path or a deployment.
    assert joined(told, replace(WIRE, model="a-path", requested_model="a-path"))["model"] == told["model"]
    assert joined(told, replace(WIRE, model="unknown"))["model"] == told["model"]


@pytest.mark.parametrize("name", ["requested_model", "response_id"])
def test_the_response_says_what_was_asked_for_and_its_id_and_langchain_where_it_does_not(name):
    assert joined({name: "LangChain's"}, WIRE)[name] == getattr(WIRE, name)
    assert joined({}, WIRE)[name] == getattr(WIRE, name)
    assert joined({name: "LangChain's"}, replace(WIRE, **{name: None}))[name] == "LangChain's"
    assert joined({}, replace(WIRE, **{name: None}))[name] is None


@pytest.mark.parametrize("choices", [2, 3])
def test_the_name_that_langchain_joins_of_all_choices_of_a_stream_is_the_responses(choices):
    assert joined({"model": MODEL * choices}, WIRE)["model"] == MODEL
    assert joined({"model": f"{MODEL * choices}-2"}, WIRE)["model"] == f"{MODEL * choices}-2"


@pytest.mark.parametrize(
    ("told", "status"), [("no_usage", "ok"), ("ok", "ok"), ("error", "error"), ("aborted", "aborted")]
)
def test_usage_on_the_wire_makes_unknown_usage_known_and_errors_stay_errors(told, status):
    fields = joined({"status": told, "usage": None}, WIRE)

    assert (fields["status"], fields["usage"]) == (status, OTHER)


def test_a_response_without_usage_takes_nothing_away():
    wire = WireCall(provider=None, flavour="openai-chat", status="no_usage", note="the response states no usage")

    told = {"status": "ok", "usage": USAGE, "provider": "openai", "billing": Billing(service_tier="flex")}
    fields = joined(told, wire)
    assert (fields["usage"], fields["provider"], fields["billing"].service_tier) == (USAGE, "openai", "flex")

    assert joined({"status": "no_usage", "usage": None}, wire)["note"] == "the response states no usage"


# -- answers that are asked for again --------------------------------------------------------------------------


def answered(response_id, usage=None, *, kind="call"):
    status = "no_usage" if usage is None else "ok"
    return WireCall(
        provider="openai",
        flavour="openai-responses",
        kind=kind,
        usage=usage,
        status=status,
        response_id=response_id,
        note="" if usage else "the response is queued: its usage comes when it is retrieved",
    )


def test_a_background_response_has_the_usage_of_its_last_retrieval():
    begun, waiting = answered("a"), answered("a", kind="retrieve")
    ready = answered("a", USAGE, kind="retrieve")

    call, *retrieved = completed([begun, waiting, ready, ready])

    assert (call.usage, call.status, call.note) == (USAGE, "ok", "")
    assert retrieved == [None, None, None]


def test_a_background_response_has_the_bill_of_its_retrieval():
    begun = replace(answered("a"), billing=Billing(service_tier="flex", priced_at=1.0))
    bill = Billing(usage=OTHER, items={"web_search": 2}, priced_at=2.0)
    call, _ = completed([begun, replace(answered("a", USAGE, kind="retrieve"), billing=bill)])

    assert call.billing == replace(bill, service_tier="flex", priced_at=1.0)


def test_what_is_billed_reaches_the_call_that_langchain_told_of():
    wire = replace(answered("a", USAGE), billing=Billing(items={"web_search": 2}))

    assert joined({"usage": USAGE, "status": "ok"}, wire)["billing"] == wire.billing


def test_a_retrieval_of_what_is_known_or_was_begun_elsewhere_is_no_call():
    known = answered("a", USAGE)

    assert completed([known, answered("a", USAGE, kind="retrieve")]) == [known, None]
    assert completed([answered("b", USAGE, kind="retrieve")]) == [None]


def test_retrievals_complete_their_own_call():
    one, other = completed(
        [answered("a"), answered("b"), answered("b", OTHER, kind="retrieve"), answered("a", USAGE, kind="retrieve")]
    )[:2]

    assert (one.usage, other.usage) == (USAGE, OTHER)


CUT = WireCall(
    provider="anthropic",
    flavour="anthropic-messages",
    usage=USAGE,
    status="aborted",
    note="the stream breaks off before its end",
)


def test_a_stream_that_breaks_off_is_taken_up_where_it_is_asked_for_again():
    begun, ready = replace(CUT, response_id="a"), answered("a", OTHER, kind="retrieve")

    assert completed([begun, ready])[0].usage == OTHER
    assert completed([begun, replace(CUT, kind="retrieve", response_id="a")])[0].is_partial


@given(st.sampled_from([USAGE, None]), st.sampled_from(["ok", "aborted", "no_usage"]))
def test_a_call_of_the_wire_alone_is_what_the_wire_says(usage, status):
    fields = wire_fields(WireCall(provider=None, flavour="openai-chat", usage=usage, status=status))

    assert (fields["status"], fields["is_partial"]) == (status, status == "aborted" and usage is not None)


@pytest.mark.parametrize(
    ("told", "status"), [("no_usage", "aborted"), ("ok", "aborted"), ("error", "error"), ("aborted", "aborted")]
)
def test_a_part_of_a_usage_never_passes_for_the_whole(told, status):
    fields = joined({"status": told, "usage": OTHER if told == "ok" else None}, CUT)

    assert (fields["status"], fields["usage"], fields["is_partial"], fields["note"]) == (status, USAGE, True, CUT.note)


# -- the two books, live ---------------------------------------------------------------------------------------
#
# LangChain's and OpenAI's own clients on a server that counts as it is told, with a cassette that records.


@pytest.fixture
def provider():
    with serving() as server:
        yield server


@pytest.fixture
def observed(tmp_path, provider):
    """The wire of everything in the test; its cassette is recorded to nowhere."""
    policy = CassettePolicy(path=tmp_path / "cassette.yaml", record_mode="all")
    with OpenCassette(policy, observe=observe, fail=pytest.fail):
        yield


@pytest.fixture
def options(provider):
    return {"base_url": f"{provider.url}/v1", "api_key": "dummy-key", "max_retries": 0}


@pytest.fixture
def model(options):
    return ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **options)


def told(llm_usage):
    return [
        (call.source, call.usage and (call.usage.input_tokens, call.usage.output_tokens)) for call in llm_usage.calls
    ]


def ask(client, question, **more):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)


def live(test):
    """A test whose wire is observed, whose clients are left for the interpreter to close."""
    for mark in (
        pytest.mark.usefixtures("observed"),
        pytest.mark.llm_cassette(record="live"),
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed"),
    ):
        mark(test)
    return test


@live
def test_a_refused_request_is_no_call_and_its_retry_is_one(options, provider, llm_usage):
    ChatOpenAI(model="gpt-4o-mini", **options | {"max_retries": 2}).invoke("refuse once [10 5]")

    assert len(provider.asked) == 2
    assert told(llm_usage) == [("langchain", (10, 5))]
    assert llm_usage.discrepancies == ()


@live
def test_a_call_that_was_refused_is_an_error_that_cost_nothing(model, llm_usage):
    with pytest.raises(Exception, match="too many requests"):
        model.invoke("refuse [10 5]")

    assert [(call.source, call.status, call.usage) for call in llm_usage.calls] == [("langchain", "error", None)]
    assert llm_usage.total_tokens == 0


class AskingTwice(ChatOpenAI):
    """A client that does not like its first answer, and does not tell."""

    def _generate(self, *args, **kwargs):
        super()._generate(*args, **kwargs)
        return super()._generate(*args, **kwargs)


@live
def test_a_second_success_of_one_run_is_a_call_of_its_own(options, provider, llm_usage):
    AskingTwice(model="gpt-4o-mini", **options).invoke("fastest bird? [10 5]")

    assert len(provider.asked) == 2
    assert told(llm_usage) == [("langchain", (10, 5)), ("http", (10, 5))]
    assert (llm_usage.total_tokens, llm_usage.discrepancies) == (30, ())


@live
def test_the_sdk_while_a_stream_is_open_is_a_call_of_its_own(model, options, llm_usage):
    stream = model.stream("fastest bird? [10 5]")
    next(stream)
    ask(OpenAIClient(**options), "fastest fish? [20 7]")
    list(stream)

    assert told(llm_usage) == [("langchain", (10, 5)), ("http", (20, 7))]
    assert llm_usage.discrepancies == ()


@live
def test_the_sdk_after_a_stream_that_was_left_open(model, options, llm_usage):
    stream = model.stream("fastest bird? [10 5]")
    next(stream)
    ask(OpenAIClient(**options), "fastest fish? [20 7]")
    stream.close()

    (first, second) = llm_usage.calls
    assert (first.source, first.status, first.usage) == ("langchain", "aborted", USAGE)
    assert (second.source, second.usage) == ("http", OTHER)
    assert llm_usage.discrepancies == ()


@live
def test_parallel_calls_keep_their_own_numbers(model, options, llm_usage):
    async def all_at_once():
        client = AsyncOpenAI(**options)
        try:
            await asyncio.gather(
                *(model.ainvoke(f"bird {n}? [{100 + n} {10 + n}]") for n in range(8)),
                *(ask(client, f"fish {n}? [{200 + n} {20 + n}]") for n in range(8)),
            )
        finally:
            await client.close()

    asyncio.run(all_at_once())

    expected = [("langchain", (100 + n, 10 + n)) for n in range(8)] + [("http", (200 + n, 20 + n)) for n in range(8)]
    assert sorted(told(llm_usage)) == sorted(expected)
    assert llm_usage.discrepancies == ()


@live
def test_interleaved_streams_keep_their_own_numbers(model, llm_usage):
    streams = [model.stream(f"bird {n}? [{100 + n} {10 + n}]") for n in range(4)]
    while streams:
        streams = [stream for stream in streams if next(stream, None) is not None]

    assert told(llm_usage) == [("langchain", (100 + n, 10 + n)) for n in range(4)]
    assert llm_usage.discrepancies == ()


@live
def test_a_batch_is_as_many_calls(model, llm_usage):
    model.batch([f"bird {n}? [{100 + n} {10 + n}]" for n in range(6)])

    assert sorted(told(llm_usage)) == [("langchain", (100 + n, 10 + n)) for n in range(6)]
    assert llm_usage.discrepancies == ()


@live
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_several_prompts_of_one_generate(model, llm_usage, asynchronous):
    prompts = [f"bird {n}? [{100 + n} {10 + n}]" for n in range(4)]
    messages = [[("user", prompt)] for prompt in prompts]
    converted = [model._convert_input(each).to_messages() for each in messages]
    if asynchronous:
        asyncio.run(model.agenerate(converted))
    else:
        model.generate(converted)

    assert told(llm_usage) == [("langchain", (100 + n, 10 + n)) for n in range(4)]
    assert llm_usage.discrepancies == ()


@live
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_several_prompts_of_one_request_are_one_call(options, llm_usage, asynchronous):
    model = OpenAI(model="davinci-002", **options)
    if asynchronous:
        asyncio.run(model.agenerate(["fastest bird?", "fastest fish? [20 7]"]))
    else:
        model.generate(["fastest bird?", "fastest fish? [20 7]"])

    assert told(llm_usage) == [("langchain", (20, 7))]
    assert llm_usage.discrepancies == ()


@live
def test_several_prompts_of_one_request_leave_what_is_asked_afterwards_alone(options, llm_usage):
    model = OpenAI(model="davinci-002", **options)
    model.generate(["fastest bird?", "fastest fish? [20 7]"])
    asyncio.run(model.agenerate(["slowest bird?", "slowest fish? [30 8]"]))

    assert told(llm_usage) == [("langchain", (20, 7)), ("langchain", (30, 8))]
    assert llm_usage.discrepancies == ()


@live
def test_several_answers_of_one_request_are_one_call(options, llm_usage):
    ChatOpenAI(model="gpt-4o-mini", n=3, **options).invoke("fastest bird? [10 5]")

    assert told(llm_usage) == [("langchain", (10, 5))]
    (found,) = llm_usage.discrepancies
    assert found.reason == (
        "LangChain's callback drops usage without a model name; the provider counted 10 input and 5 output tokens"
    )


@live
def test_answers_of_langchains_cache_take_no_response(options, llm_usage):
    model = ChatOpenAI(model="gpt-4o-mini", cache=InMemoryCache(), **options)
    model.invoke("fastest bird? [10 5]")
    model.invoke("fastest bird? [10 5]")
    ask(OpenAIClient(**options), "fastest bird? [10 5]")

    assert [(call.source, call.status) for call in llm_usage.calls] == [
        ("langchain", "ok"),
        ("langchain", "cached"),
        ("http", "ok"),
    ]
    assert llm_usage.total_tokens == 30


@live
def test_a_response_that_langchain_could_not_read_was_billed(options, llm_usage):
    class Picky(ChatOpenAI):
        def _create_chat_result(self, *args, **kwargs):
            raise ValueError("not what was expected")

    with pytest.raises(ValueError, match="not what was expected"):
        Picky(model="gpt-4o-mini", **options).invoke("fastest bird? [10 5]")

    assert [(call.source, call.status, call.usage) for call in llm_usage.calls] == [("langchain", "error", USAGE)]
    assert llm_usage.total_tokens == 15
    assert llm_usage.discrepancies == ()  # LangChain claims nothing


@live
def test_clients_in_plain_threads(model, options, llm_usage):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(model.invoke, [f"bird {n}? [{100 + n} {10 + n}]" for n in range(4)]))
        list(pool.map(lambda n: ask(OpenAIClient(**options), f"fish {n}? [{200 + n} 1]"), range(4)))

    expected = [("http", (200 + n, 1)) for n in range(4)] + [("langchain", (100 + n, 10 + n)) for n in range(4)]
    assert sorted(told(llm_usage)) == expected


class OfAThread(ChatOpenAI):
    """Its requests are made in a thread that knows nothing of who asked, as those of a client's own pool."""

    def _generate(self, *args, **kwargs):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(super(OfAThread, self)._generate(*args, **kwargs)))
        thread.start()
        thread.join()
        return answers[0]


@live
def test_a_client_with_threads_of_its_own_is_counted_once(options, llm_usage):
    OfAThread(model="gpt-4o-mini", **options).invoke("fastest bird? [10 5]")

    assert told(llm_usage) == [("langchain", (10, 5))]


@live
def test_a_refused_call_beside_one_of_the_sdk_are_two(model, options, llm_usage):
    async def both():
        client = AsyncOpenAI(**options)
        with suppress(Exception):
            await asyncio.gather(
                model.ainvoke("refuse [30 3]"), ask(client, "fastest bird? [10 5]"), return_exceptions=True
            )
        await client.close()

    asyncio.run(both())

    assert sorted(told(llm_usage)) == [("http", (10, 5)), ("langchain", None)]


@live
def test_a_section_has_the_calls_of_both_books(model, options, llm_usage):
    with llm_usage.section("inside") as inside:
        model.invoke("fastest bird? [10 5]")
        ask(OpenAIClient(**options), "fastest fish? [20 7]")
    ask(OpenAIClient(**options), "slowest fish? [1 1]")

    assert told(inside) == [("langchain", (10, 5)), ("http", (20, 7))]
    assert len(llm_usage.calls) == 3


def claude_by_langchain(url, question):
    list(ChatAnthropic(model="claude-3-haiku-20240307", base_url=url, api_key="dummy-key").stream(question))


def claude_by_its_sdk(url, question):
    messages = [{"role": "user", "content": question}]
    client = anthropic.Anthropic(base_url=url, api_key="dummy-key")
    list(client.messages.create(model="claude-3-haiku-20240307", max_tokens=9, messages=messages, stream=True))


@live
@pytest.mark.parametrize(("source", "stream"), [("langchain", claude_by_langchain), ("http", claude_by_its_sdk)])
def test_the_usage_of_a_stream_that_breaks_off_is_at_least_what_it_told(source, stream, provider, llm_usage):
    stream(provider.url, "fastest bird? [50 5]")
    stream(provider.url, "break off: fastest bird? [120 34]")

    whole, cut = llm_usage.calls
    assert (whole.source, whole.status, whole.usage) == (source, "ok", TokenUsage.from_counts(50, 5))
    assert (cut.source, cut.status, cut.usage, cut.cost_usd) == (
        source,
        "aborted",
        TokenUsage.from_counts(120, 1),
        None,
    )
    with pytest.raises(UsageUnknownError) as refused:
        llm_usage.total_tokens
    first, line, *_ = str(refused.value).splitlines()
    assert first == "total_tokens is not known: 1 of 2 calls did not report all usage"
    assert line.split("  ")[-2:-1] == ["the stream breaks off before its end; at least 121 tokens"]
    assert "stream_usage" not in str(refused.value)
    with pytest.raises(PriceUnknownError, match="its usage is not known"):
        llm_usage.cost
    with pytest.raises(BudgetExceededError) as over:
        llm_usage.assert_within(max_tokens=1000)
    assert "cannot be verified: 176 tokens and 1 call with unknown usage, limit 1,000" in str(over.value)
    assert str(over.value).splitlines()[-1].split()[2:5] == [">=120", ">=1", ">=121"]
    with pytest.raises(BudgetExceededError, match="exceeded: at least 176 tokens, limit 100"):
        llm_usage.assert_within(max_tokens=100)
    assert llm_usage.to_dict()[cut.model]["total_tokens"] is None
    assert cut.index not in {discrepancy.call_index for discrepancy in llm_usage.discrepancies}


@live
def test_what_is_not_a_call_to_a_model_is_none(provider, llm_usage):
    with suppress(httpx.HTTPError, KeyError):
        httpx.post(f"{provider.url}/v1/chat/completions/refuse", json={"messages": "refuse [1 1]"})

    assert llm_usage.calls == ()


def test_a_call_under_way_keeps_its_response_when_the_run_is_drained():
    tracker = Tracker()
    call = tracker.start(UsageHandler(tracker), "run", None, {"requested_model": MODEL})
    set_current_call(call)
    tracker.take_in(chat_exchange(10, 5), tracker.request())
    set_current_call(None)
    tracker.take_in(chat_exchange(1, 1), tracker.request())

    assert [drained.source for drained in tracker.drain().calls] == ["http"]
    tracker.end(call, {"status": "no_usage", "usage": None})
    assert [(drained.source, drained.usage) for drained in tracker.drain().calls] == [("langchain", USAGE)]


def chat_exchange(sent, received):
    usage = f'{{"prompt_tokens": {sent}, "completion_tokens": {received}, "total_tokens": {sent + received}}}'
    return Exchange(
        "POST",
        "https://api.openai.com/v1/chat/completions",
        request_body=b'{"model": "gpt-4o-mini", "messages": []}',
        response_headers={"content-type": "application/json"},
        response_body=f'{{"id": "chatcmpl-{sent}", "model": "{MODEL}", "usage": {usage}}}'.encode(),
    )


def test_a_name_that_langchain_joined_once_for_each_choice_gives_way_to_the_responses():
    wire = WireCall(
        provider="openai", flavour="openai-chat", model="gpt-4o-2024-08-06", usage=TokenUsage.from_counts(5, 2)
    )

    told = {"model": "gpt-4o-2024-08-06" * 3, "usage": TokenUsage.from_counts(5, 2), "provider": "openai"}
    assert joined(told, wire)["model"] == "gpt-4o-2024-08-06"
    # Another name is the caller's own.
    assert joined(told | {"model": "my-alias"}, wire)["model"] == "my-alias"


def test_a_stated_total_below_its_parts_is_no_difference():
    stated = TokenUsage(12, 6, 10)

    assert difference(stated, TokenUsage.from_counts(12, 6, total_tokens=10)) == ""
    assert difference(TokenUsage(12, 6, 30), TokenUsage.from_counts(12, 6)) == "total 30 against 18"


@pytest.mark.parametrize(
    ("langchain", "written"),
    [
        (None, None),
        (
            TokenUsage.from_counts(9, 2),
            {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        ),
    ],
)
def test_a_discrepancy_is_plain_data_that_reads_back(langchain, written):
    discrepancy = Discrepancy(
        call_index=3,
        model="gpt-4o",
        where="app.py:7 in ask",
        langchain=langchain,
        wire=TokenUsage.from_counts(10, 2),
        reason="input 9 against 10",
    )

    data = discrepancy.to_dict()
    assert data == {
        "call_index": 3,
        "model": "gpt-4o",
        "where": "app.py:7 in ask",
        "langchain": written,
        "wire": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
        "reason": "input 9 against 10",
    }
    assert Discrepancy.from_dict(data) == discrepancy


def test_what_langchain_noted_is_kept_and_the_response_s_note_stands_where_it_noted_nothing():
    wire = WireCall(provider="openai", flavour="openai-chat", model="m", usage=TokenUsage(1, 1, 2), note="the wire's")

    assert joined({"model": "m", "note": "LangChain's"}, wire)["note"] == "LangChain's"
    assert joined({"model": "m", "note": None}, wire)["note"] == "the wire's"
    assert joined({"model": "m"}, wire)["note"] == "the wire's"


def test_a_response_whose_model_has_no_name_leaves_the_one_that_langchain_told():
    wire = WireCall(provider="openai", flavour="openai-chat", model="", usage=TokenUsage(1, 1, 2))

    assert joined({"model": "gpt-4o"}, wire)["model"] == "gpt-4o"


def test_the_results_of_a_batch_count_once_however_often_they_are_fetched():
    def results(response_id, status="ok"):
        return WireCall(
            provider="anthropic",
            flavour="anthropic",
            model="m",
            usage=TokenUsage(1, 1, 2),
            kind="batch-results",
            response_id=response_id,
            status=status,
        )

    first, again, other = results("batch_1"), results("batch_1"), results("batch_2")
    assert completed([first, again, other, again]) == [first, None, other, None]
    # A fetch that failed delivered no results: it is not the one that counts.
    failed = results("batch_1", status="error")
    assert completed([failed, first]) == [failed, first]
    # Without an id nothing tells that they are the same.
    nameless = results(None)
    assert completed([nameless, nameless]) == [nameless, nameless]
