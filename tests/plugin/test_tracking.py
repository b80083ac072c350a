"""What a test sees of the calls it made, by every way of making one."""

import asyncio
import copy
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from fakes import PRICED_MODEL, UNPRICED_MODEL, FakeChatModel, FakeStreamingModel, tool_call
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langgraph.graph import END, START, StateGraph
from printed import section, totals
from pydantic import BaseModel

from pytest_llm_usage import PriceUnknownError, UsageUnknownError


class Bird(BaseModel):
    """A bird."""

    name: str


# -- ways of calling ---------------------------------------------------------------------------------------------


def test_an_invoked_model_is_one_call_of_its_usage(llm_usage):
    FakeChatModel(usage=(812, 64)).invoke("fastest bird?")

    assert (llm_usage.input_tokens, llm_usage.output_tokens, llm_usage.total_tokens) == (812, 64, 876)
    (call,) = llm_usage.calls
    assert (call.index, call.source, call.provider, call.model, call.status, call.streamed, call.phase) == (
        0,
        "langchain",
        "openai",
        PRICED_MODEL,
        "ok",
        False,
        "call",
    )


def test_a_stream_is_one_call(llm_usage):
    pieces = list(FakeStreamingModel(usage=(10, 5)).stream("fastest bird?"))

    assert len(pieces) > 4
    assert llm_usage.total_tokens == 15
    assert [call.streamed for call in llm_usage.calls] == [True]


def test_a_batch_is_as_many_calls_as_it_has_inputs(llm_usage):
    FakeChatModel(delay_s=0.01).batch([str(number) for number in range(20)])

    assert len(llm_usage.calls) == 20
    assert llm_usage.total_tokens == 300


def test_structured_output_counts(llm_usage):
    model = FakeChatModel(answers=[tool_call("Bird", name="falcon")])

    assert model.with_structured_output(Bird).invoke("fastest bird?") == Bird(name="falcon")
    assert llm_usage.total_tokens == 15


def test_chains_count_every_model_in_them(llm_usage):
    one, other = FakeChatModel(usage=(1, 2)) | StrOutputParser(), FakeStreamingModel(usage=(10, 20), model="gpt-4o")
    RunnableParallel(one=one, other=other).invoke("fastest bird?")

    assert llm_usage.total_tokens == 33
    assert {model: view.total_tokens for model, view in llm_usage.by_model.items()} == {PRICED_MODEL: 3, "gpt-4o": 30}


class State(TypedDict):
    said: Annotated[list[Any], add]


def graph_of(model):
    def plan(state):
        return {"said": [model.invoke("plan").content]}

    def act(state):
        return {"said": [model.invoke("act").content, model.invoke("act again").content]}

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("act", act)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "act")
    graph.add_edge("act", END)
    return graph.compile()


def test_a_graphs_calls_are_told_by_node(llm_usage):
    graph_of(FakeChatModel()).invoke({"said": []})

    assert {node: len(view.calls) for node, view in llm_usage.by_node.items()} == {"plan": 1, "act": 2}
    assert llm_usage.by_node["act"].total_tokens == 30
    assert [call.where.split(" in ")[1] for call in llm_usage.calls] == ["plan", "act", "act"]


def test_an_agent_counts_the_call_before_and_the_call_after_its_tool(llm_usage):
    def wikipedia(query: str) -> str:
        """Looks it up."""
        return "The peregrine falcon."

    model = FakeChatModel(usages=[(100, 10), (150, 20)], answers=[tool_call("wikipedia", query="bird")])
    create_agent(model, [wikipedia]).invoke({"messages": [("user", "fastest bird?")]})

    assert [call.usage.total_tokens for call in llm_usage.calls] == [110, 170]
    # The frames of the agent's own loop are not the user's code: this file is.
    assert {call.where.split(":")[0].split("/")[-1] for call in llm_usage.calls} == {"test_tracking.py"}


# -- what a call is ----------------------------------------------------------------------------------------------


def test_calls_stand_in_the_order_in_which_they_started(llm_usage):
    slow, quick = FakeChatModel(model="gpt-4o", delay_s=0.2), FakeChatModel()
    thread = threading.Thread(target=slow.invoke, args=("first",))
    thread.start()
    while not slow.requests:
        pass
    quick.invoke("second")
    thread.join()

    assert [(call.index, call.model) for call in llm_usage.calls] == [(0, "gpt-4o"), (1, PRICED_MODEL)]
    assert llm_usage.calls[0].duration_s >= 0.2 > llm_usage.calls[1].duration_s


def test_a_call_names_the_line_and_function_of_the_users_code(llm_usage, request):
    def ask():
        return FakeChatModel().invoke("fastest bird?")

    ask()

    line = ask.__code__.co_firstlineno + 1
    assert llm_usage.calls[0].where.endswith(f"test_tracking.py:{line} in ask")


def test_an_awaited_chain_names_the_line_that_awaits_it(llm_usage):
    """Its steps are tasks of their own: the line that runs the event loop is not what called the model."""
    chain = ChatPromptTemplate.from_template("{bird}?") | FakeChatModel()

    async def ask():
        return await chain.ainvoke({"bird": "falcon"})

    asyncio.run(ask())

    line = ask.__code__.co_firstlineno + 1
    assert llm_usage.calls[0].where.endswith(f"test_tracking.py:{line} in ask")


#: A retriever that asks a model, in a file that is not the user's.
LIBRARY = """
class Rewriting(BaseRetriever):
    model: Any

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(self.model.invoke(query, {"callbacks": run_manager.get_child()}).content)]
"""


@pytest.mark.parametrize("asked", ["alone", "in a chain"])
def test_a_model_that_a_retriever_asks_names_the_line_that_asks_the_retriever(llm_usage, asked):
    """The retriever runs in a thread, and the frames there lead to nobody."""
    names = {"Any": Any, "BaseRetriever": BaseRetriever, "Document": Document, "__name__": __name__}
    exec(compile(LIBRARY, "<library>", "exec"), names)
    retriever = names["Rewriting"](model=FakeChatModel())
    runnable = retriever if asked == "alone" else RunnableParallel(context=retriever)

    async def ask():
        return await runnable.ainvoke("fastest bird?")

    asyncio.run(ask())

    line = ask.__code__.co_firstlineno + 1
    assert [call.where.rpartition("/")[2] for call in llm_usage.calls] == [f"test_tracking.py:{line} in ask"]


def _with_copied_handlers(config):
    manager = config["callbacks"].copy()
    manager.handlers = [copy.copy(handler) for handler in manager.handlers]
    manager.inheritable_handlers = [copy.copy(handler) for handler in manager.inheritable_handlers]
    return {**config, "callbacks": manager}


@pytest.mark.parametrize("copied", [copy.deepcopy, _with_copied_handlers], ids=["deep", "handlers"])
def test_a_copied_configuration_tells_the_same_test_and_once(llm_usage, copied):
    def node(_, config: RunnableConfig):
        return FakeChatModel().invoke("fastest bird?", copied(config)).content

    RunnableLambda(node).invoke("start")

    assert [call.usage.total_tokens for call in llm_usage.calls] == [15]


def test_a_batch_of_completions_without_usage_is_as_many_calls_as_it_has_inputs(llm_usage):
    """Nothing says that one of them was told with another."""
    FakeListLLM(responses=["hello"]).batch(["one", "two", "three"])

    assert [call.status for call in llm_usage.calls] == ["fake"] * 3


def test_a_call_keeps_the_tags_of_its_run(llm_usage):
    FakeChatModel().invoke("fastest bird?", {"tags": ["retrieval"]})

    assert llm_usage.calls[0].tags == ("retrieval",)
    assert {tags: view.total_tokens for tags, view in llm_usage.by("tags").items()} == {("retrieval",): 15}


def test_calls_are_frozen(llm_usage):
    FakeChatModel().invoke("fastest bird?")

    with pytest.raises(AttributeError):
        llm_usage.calls[0].model = "another"
    with pytest.raises(TypeError):
        llm_usage.by_model["another"] = llm_usage
    with pytest.raises(TypeError):
        llm_usage.input_token_details["another"] = 1


def test_changing_a_message_afterwards_changes_nothing(llm_usage):
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"cache_read": 4}}
    message = FakeChatModel(usage=usage).invoke("fastest bird?")
    message.usage_metadata["input_tokens"] = 10_000
    message.usage_metadata["input_token_details"]["cache_read"] = 10_000
    message.response_metadata.clear()

    assert (llm_usage.input_tokens, llm_usage.total_tokens) == (10, 15)
    assert llm_usage.input_token_details == {"cache_read": 4}
    assert llm_usage.usage_metadata == {PRICED_MODEL: usage | {"input_token_details": {"cache_read": 4}}}


def test_details_are_summed_and_every_key_is_kept(llm_usage):
    first = {"input_token_details": {"cache_read": 4}, "output_token_details": {"reasoning": 3}}
    other = {"input_token_details": {"cache_read": 1, "novelty": 2, "audio": 0}}
    counts = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    model = FakeChatModel(usages=[counts | first, counts | other])
    model.invoke("one")
    model.invoke("two")

    assert llm_usage.input_token_details == {"cache_read": 5, "novelty": 2, "audio": 0}
    assert llm_usage.output_token_details == {"reasoning": 3}


# -- answers without usage ---------------------------------------------------------------------------------------


def test_a_call_that_told_no_usage_is_listed_and_its_count_is_refused(llm_usage):
    FakeChatModel().invoke("one")
    FakeStreamingModel(usage=None, provider="openai", model="gpt-4o").invoke("two")
    list(FakeStreamingModel(usage=None, model="gpt-4o").stream("three"))

    assert [call.status for call in llm_usage.calls] == ["ok", "no_usage", "no_usage"]
    assert llm_usage.calls[1].usage is None
    for name in ("input_tokens", "output_tokens", "total_tokens", "input_token_details", "output_token_details"):
        with pytest.raises(UsageUnknownError, match=f"^{name} is not known: 2 of 3 calls reported no usage"):
            getattr(llm_usage, name)
    assert llm_usage[PRICED_MODEL].total_tokens == 15


def test_the_refusal_names_the_calls_and_what_to_do(llm_usage):
    list(FakeStreamingModel(usage=None, model="gpt-4o").stream("one"))

    with pytest.raises(UsageUnknownError) as refused:
        llm_usage.total_tokens

    first, call, asked, fix, way_out = str(refused.value).splitlines()
    assert first == "total_tokens is not known: 1 of 1 call reported no usage"
    assert call.split()[:3] == ["1", "gpt-4o", "stream"]
    assert call.endswith("in test_the_refusal_names_the_calls_and_what_to_do")
    assert asked == "OpenAI-compatible servers send usage in streams only when asked:"
    assert fix == "  ChatOpenAI(..., stream_usage=True)"
    assert way_out == "To count what is known:  llm_usage_missing = warn  in pytest's configuration"


def test_the_refusal_of_a_cost_says_the_same_of_calls_that_told_no_usage(llm_usage):
    list(FakeStreamingModel(usage=None, model="gpt-4o").stream("one"))

    with pytest.raises(PriceUnknownError) as refused:
        llm_usage.cost

    first, call, asked, fix, way_out = str(refused.value).splitlines()
    assert first == "cost is not known: 1 of 1 call has no price"
    assert call.split()[:6] == ["1", "gpt-4o", "its", "usage", "is", "not"]
    assert call.endswith("in test_the_refusal_of_a_cost_says_the_same_of_calls_that_told_no_usage")
    assert asked == "OpenAI-compatible servers send usage in streams only when asked:"
    assert fix == "  ChatOpenAI(..., stream_usage=True)"
    assert way_out == "To count what is known:  llm_usage_missing = warn  in pytest's configuration"


def test_nothing_of_streams_is_advised_where_none_was_made(llm_usage):
    FakeChatModel(usage=None).invoke("one")

    with pytest.raises(UsageUnknownError) as refused:
        llm_usage.total_tokens

    assert "stream_usage" not in str(refused.value)


def test_an_abandoned_stream_is_aborted_and_its_count_is_refused(llm_usage):
    for _piece in FakeStreamingModel().stream("fastest bird?"):
        break

    (call,) = llm_usage.calls
    assert (call.status, call.usage, call.streamed) == ("aborted", None, True)
    with pytest.raises(UsageUnknownError, match="abandoned"):
        llm_usage.total_tokens


def test_a_stream_that_was_never_read_to_its_end_is_unknown_too(llm_usage):
    stream = FakeStreamingModel().stream("fastest bird?")
    next(stream)

    assert [call.status for call in llm_usage.calls] == ["aborted"]
    with pytest.raises(UsageUnknownError, match="had not ended"):
        llm_usage.total_tokens

    list(stream)
    assert [call.status for call in llm_usage.calls] == ["ok"]
    assert llm_usage.total_tokens == 15


def test_a_call_that_raised_is_listed_and_counts_nothing(llm_usage):
    with pytest.raises(ConnectionError):
        FakeChatModel(error=ConnectionError("refused")).invoke("one")
    FakeChatModel().invoke("two")

    assert [call.status for call in llm_usage.calls] == ["error", "ok"]
    assert llm_usage.total_tokens == 15
    assert llm_usage.cost > 0


def test_an_answer_of_langchains_cache_is_listed_and_counts_nothing(llm_usage):
    model = FakeChatModel(cache=InMemoryCache())
    model.invoke("fastest bird?")
    model.invoke("fastest bird?")

    assert len(model.requests) == 1
    assert [call.status for call in llm_usage.calls] == ["ok", "cached"]
    assert llm_usage.total_tokens == 15
    assert llm_usage.calls[1].cost_usd == 0
    assert llm_usage.cost == llm_usage.calls[0].cost_usd
    assert llm_usage.to_dict()[PRICED_MODEL]["calls"] == 1


@pytest.mark.parametrize(("missing", "outcome"), [("error", "failed"), ("warn", "passed"), ("ignore", "passed")])
def test_the_ini_file_says_what_reading_an_unknown_count_does(pytester, missing, outcome):
    pytester.makeini(f"[pytest]\nllm_usage_missing = {missing}")
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it(llm_usage):
            FakeChatModel().invoke("one")
            FakeChatModel(usage=None).invoke("two")
            assert llm_usage.total_tokens == 15
    """)

    result = pytester.runpytest("-W", "always::pytest_llm_usage.tracker.LLMUsageWarning")

    result.assert_outcomes(**{outcome: 1}, warnings=int(missing == "warn"))
    printed = "total_tokens is not known: 1 of 2 calls reported no usage" in result.stdout.str()
    assert printed == (missing != "ignore")


# -- cost --------------------------------------------------------------------------------------------------------


def test_cost_is_exact(llm_usage):
    FakeChatModel(usage=(1_000, 500)).invoke("fastest bird?")

    assert llm_usage.cost == (1_000 * Decimal("0.15") + 500 * Decimal("0.60")) / 1_000_000
    assert llm_usage.cost == llm_usage.calls[0].cost_usd == llm_usage[PRICED_MODEL].cost


def test_cost_of_no_call_is_nothing(llm_usage):
    assert llm_usage.cost == 0
    assert llm_usage.total_tokens == 0
    assert llm_usage.calls == ()


def test_a_call_without_a_price_is_refused_by_name_with_the_line_to_write(llm_usage):
    FakeChatModel().invoke("one")
    FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")

    assert llm_usage.total_tokens == 30
    assert llm_usage.calls[1].cost_usd is None
    with pytest.raises(PriceUnknownError) as refused:
        llm_usage.cost
    first, *calls = str(refused.value).splitlines()
    assert first.startswith("cost is not known: 1 of 2 calls")
    assert calls[0].split()[:2] == ["2", UNPRICED_MODEL]
    assert any(UNPRICED_MODEL in line and "input =" in line for line in calls[1:])
    assert llm_usage[PRICED_MODEL].cost > 0


def test_cost_of_a_call_of_unknown_usage_is_refused(llm_usage):
    FakeChatModel(usage=None).invoke("one")

    with pytest.raises(PriceUnknownError, match="usage is not known"):
        llm_usage.cost


# -- views -------------------------------------------------------------------------------------------------------


def test_views_narrow_and_narrow_again(llm_usage):
    FakeChatModel(model="gpt-4o", usage=(1, 1)).invoke("one")
    FakeChatModel(model="gpt-4o", provider="azure", usage=(2, 2)).invoke("two")
    FakeChatModel(usage=(4, 4)).invoke("three")

    assert llm_usage["gpt-4o"].total_tokens == 6
    assert llm_usage["gpt-4o"].by_provider["azure"].total_tokens == 4
    assert {provider: view.total_tokens for provider, view in llm_usage.by_provider.items()} == {
        "openai": 10,
        "azure": 4,
    }
    assert {big: len(view.calls) for big, view in llm_usage.by(lambda call: call.usage.total_tokens > 3).items()} == {
        False: 1,
        True: 2,
    }


def test_a_model_that_was_not_called_is_named_with_those_that_were(llm_usage):
    FakeChatModel(model="gpt-4o").invoke("one")

    with pytest.raises(KeyError, match=r"no call of model 'gpt-4' \(models called: gpt-4o\)"):
        llm_usage["gpt-4"]


def test_usage_equals_its_plain_form_and_another_view_of_the_same(llm_usage):
    FakeChatModel(usage=(1_000, 500)).invoke("one")
    data = llm_usage.to_dict()

    assert json.loads(json.dumps(data)) == data
    assert data == {
        PRICED_MODEL: {
            "calls": 1,
            "input_tokens": 1_000,
            "output_tokens": 500,
            "total_tokens": 1_500,
            "cost_usd": "0.00045",
        }
    }
    assert llm_usage == data
    assert data == llm_usage
    assert llm_usage == llm_usage.by_provider["openai"]
    FakeChatModel(usage=(1_000, 500)).invoke("two")
    assert llm_usage != data
    assert llm_usage != llm_usage.by("index")[0]


def test_usage_compares_with_its_own_kind_alone(llm_usage):
    assert llm_usage.__eq__(15) is NotImplemented
    assert llm_usage != 15
    with pytest.raises(TypeError, match="unhashable"):
        hash(llm_usage)


def test_an_unknown_is_none_in_the_plain_form_never_zero(llm_usage):
    FakeChatModel(usage=None).invoke("one")
    FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")

    data = llm_usage.to_dict()
    assert (data[PRICED_MODEL]["total_tokens"], data[PRICED_MODEL]["cost_usd"]) == (None, None)
    assert (data[UNPRICED_MODEL]["total_tokens"], data[UNPRICED_MODEL]["cost_usd"]) == (15, None)


def test_assert_within_fails_with_the_verdict_and_the_table(llm_usage):
    FakeChatModel(usage=(4_903, 341)).invoke("one")
    FakeChatModel(usage=(812, 64)).invoke("two")

    llm_usage.assert_within(max_tokens=6_120, max_calls=2, max_cost="1.00", max_input_tokens="10k")
    with pytest.raises(AssertionError) as failed:
        llm_usage.assert_within(max_tokens=6_119)
    verdict, _, head, largest, other = str(failed.value).splitlines()
    assert verdict == "LLM budget exceeded: 6,120 tokens, limit 6,119 (assert_within)"
    assert head.split() == ["#", "model", "input", "output", "total", "where"]
    assert largest.split()[:5] == ["1", PRICED_MODEL, "4,903", "341", "5,244"]
    assert largest.endswith("<- largest")
    assert "largest" not in other


# -- beside LangChain's own callback -----------------------------------------------------------------------------


def test_usage_metadata_is_langchains_book_in_a_section_too(llm_usage):
    FakeChatModel().invoke("before")
    with llm_usage.section("inside") as part, get_usage_metadata_callback() as callback:
        FakeChatModel().invoke("one")
        FakeChatModel(model="gpt-4o").invoke("two")

    assert part.usage_metadata == callback.usage_metadata
    assert llm_usage.usage_metadata != callback.usage_metadata


# -- threads -----------------------------------------------------------------------------------------------------


def test_calls_of_plain_threads_count(llm_usage):
    model = FakeChatModel(delay_s=0.01)
    threads = [threading.Thread(target=model.invoke, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert llm_usage.total_tokens == 8 * 15


def test_calls_of_a_pool_that_outlives_its_test_belong_to_the_test_that_runs(pytester):
    pytester.makepyfile("""
        from concurrent.futures import ThreadPoolExecutor

        from fakes import FakeChatModel

        POOL = ThreadPoolExecutor(1)

        def test_one(llm_usage):
            POOL.submit(FakeChatModel().invoke, "one").result()
            assert len(llm_usage.calls) == 1

        def test_other(llm_usage):
            list(POOL.map(FakeChatModel().invoke, ["one", "two"]))
            assert len(llm_usage.calls) == 2
            POOL.shutdown()
    """)

    pytester.runpytest().assert_outcomes(passed=2)


def test_a_pool_of_threads_loses_nothing(llm_usage):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(FakeChatModel().invoke, map(str, range(400))))

    assert llm_usage.total_tokens == 400 * 15
    assert [call.index for call in llm_usage.calls] == list(range(400))


# -- a test's own calls ------------------------------------------------------------------------------------------


def test_calls_of_set_up_and_tear_down_belong_to_the_test(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        seen = {}

        @pytest.fixture
        def primed(request, llm_usage):
            FakeChatModel().invoke("set-up")
            yield
            FakeChatModel().invoke("tear-down")
            seen[request.node.name] = [call.phase for call in llm_usage.calls]

        @pytest.fixture(autouse=True)
        def unasked():
            FakeChatModel(model="gpt-4o").invoke("set-up")

        def test_one(primed, llm_usage):
            FakeChatModel().invoke("call")
            assert [call.phase for call in llm_usage.calls] == ["setup", "setup", "call"]

        def test_other(llm_usage):
            assert seen == {"test_one": ["setup", "setup", "call", "teardown"]}
            assert len(llm_usage.calls) == 1
    """)

    pytester.runpytest().assert_outcomes(passed=2)


def test_every_test_starts_from_nothing(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("count", range(6))
        def test_it(llm_usage, count):
            for number in range(count):
                FakeChatModel().invoke(str(number))
            assert len(llm_usage.calls) == count
            assert llm_usage.total_tokens == 15 * count
    """)

    pytester.runpytest().assert_outcomes(passed=6)


def test_names_of_tests_may_hold_anything(pytester, plugin_args):
    pytester.makepyfile(r"""
        import pytest
        from fakes import FakeChatModel

        NAMES = ["it's \"quoted\"", "größe/日本", "a[b]c", "x::y", "two\nlines", "back\\slash", "$HOME `id`", " ", "%s {}"]

        class TestIt:
            @pytest.mark.parametrize("what", NAMES)
            def test_it(self, llm_usage, what):
                FakeChatModel().invoke(what)
                assert llm_usage.total_tokens == 15
    """)

    result = pytester.runpytest(*plugin_args, "--llm-usage-report=calls", "--max-tokens=15")

    result.assert_outcomes(passed=9)
    assert totals(result)["total"][0] == "9"
    assert "--max-tokens=15: 9 of 9 tests above 80 %" in section(result)


@pytest.mark.parametrize("number", ["-5", "10**5000", "float('nan')", "2.5"])
@pytest.mark.parametrize("where", ["input_tokens", "total_tokens", "input_token_details.cache_read"])
def test_what_langchain_says_and_no_count_can_be_is_unknown(pytester, where, number):
    """It was zero: an impossible number is no more known than a missing one."""
    pytester.makepyfile(f"""
    import itertools
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def test_it(llm_usage):
        usage = {{"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "input_token_details": {{"cache_read": 1}}}}
        *outer, name = "{where}".split(".")
        (usage[outer[0]] if outer else usage)[name] = {number}
        answer = AIMessage.model_construct(
            content="Yes.", usage_metadata=usage, response_metadata={{"model_name": "gpt-4o-mini"}}, type="ai",
            additional_kwargs={{}}, tool_calls=[], invalid_tool_calls=[], id="1", name=None,
        )
        GenericFakeChatModel(messages=itertools.repeat(answer)).invoke("x")
        (call,) = llm_usage.calls
        assert (call.usage, call.status) == (None, "no_usage")
        assert call.note == "LangChain's {where} is not a number of tokens"
    """)

    result = pytester.runpytest("--max-tokens=5")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*LLM budget cannot be verified: *1 call with unknown usage*")
    result.stdout.no_fnmatch_line("*internal error*")


def test_tags_that_are_no_texts_are_told_as_texts(llm_usage):
    """LangChain takes them; a report of them was an internal error."""
    FakeChatModel().invoke("x", config={"tags": ["a", 5, None]})

    assert llm_usage.calls[0].tags == ("a", "5", "None")
    assert [*llm_usage.by("tags")] == [("a", "5", "None")]


@pytest.mark.parametrize(
    ("told", "note"),
    [
        ({"input_tokens": 5}, "LangChain's output_tokens is missing"),
        ({"output_tokens": 5, "input_tokens": None}, "LangChain's input_tokens is missing"),
    ],
)
def test_what_langchain_does_not_say_is_unknown(llm_usage, told, note):
    """It was zero."""
    answer = AIMessage("Yes.", response_metadata={"model_name": "gpt-4o-mini"})
    answer.usage_metadata = told

    GenericFakeChatModel(messages=iter([answer])).invoke("x")

    (call,) = llm_usage.calls
    assert (call.usage, call.status, call.note) == (None, "no_usage", note)
    assert llm_usage.usage_metadata == {"gpt-4o-mini": told}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb", "a b"), ("sk-proj-" + "q7Zx" * 12, "***"), ("b" * 500, "b" * 80)],
    ids=["two lines", "a key", "long"],
)
def test_the_note_of_such_a_detail_is_one_short_line_without_a_key(llm_usage, name, shown):
    answer = AIMessage("Yes.", response_metadata={"model_name": "gpt-4o-mini"})
    answer.usage_metadata = {
        "input_tokens": 5,
        "output_tokens": 2,
        "total_tokens": 7,
        "input_token_details": {name: -1},
    }

    GenericFakeChatModel(messages=iter([answer])).invoke("x")

    assert llm_usage.calls[0].note == f"LangChain's input_token_details.{shown} is not a number of tokens"


def test_a_key_among_the_details_of_langchains_usage_is_in_no_file(pytester):
    """As a name and as a text: an integration files there what it likes."""
    key = "sk-proj-" + "q7Zx" * 12
    pytester.makepyfile(f"""
    import itertools
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def test_it(llm_usage, usage_snapshot):
        usage = {{"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}
        usage |= {{"input_token_details": {{{key!r}: 3, "kind": {key!r}}}, "seen": [{key!r}, {{{key!r}: 1}}]}}
        answer = AIMessage("Yes.", response_metadata={{"model_name": "gpt-4o-mini"}})
        answer.usage_metadata = usage
        GenericFakeChatModel(messages=itertools.repeat(answer)).invoke("x")
        assert llm_usage.input_token_details == {{"***": 3}}
        assert llm_usage == usage_snapshot
    """)
    reports = [f"--llm-usage-{kind}=run.{kind}" for kind in ("json", "html", "md")]

    result = pytester.runpytest("-p", "syrupy", "--snapshot-update", "--llm-usage-report=calls", *reports)

    result.assert_outcomes(passed=1)
    written = [*pytester.path.glob("run.*"), *pytester.path.rglob("*.usage.yaml")]
    assert len(written) == 4
    assert [path.name for path in written if key in path.read_text()] == []
    result.stdout.no_fnmatch_line(f"*{key}*")


def test_what_is_nested_in_langchains_usage_without_end_ends_no_report(pytester):
    pytester.makepyfile("""
    import itertools
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def test_it(llm_usage):
        lists, members = [], {}
        for _ in range(700):
            lists, members = [lists], {"more": members}
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "lists": lists, "members": members}
        answer = AIMessage("Yes.", response_metadata={"model_name": "gpt-4o-mini"})
        answer.usage_metadata = usage
        GenericFakeChatModel(messages=itertools.repeat(answer)).invoke("x")
        assert llm_usage.total_tokens == 7
    """)

    result = pytester.runpytest("--max-tokens=7", "--llm-usage-json=run.json")

    result.assert_outcomes(passed=1)
    (test,) = json.loads((pytester.path / "run.json").read_text())["tests"].values()
    assert "'total_tokens': 7" in str(test)
    result.stdout.no_fnmatch_line("*internal error*")


def test_usage_that_holds_more_than_counts_is_kept_as_text(pytester):
    """An integration files what it likes there; none of it ends the report."""
    pytester.makepyfile("""
    import itertools
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def test_it(llm_usage):
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "input_token_details": {"kind": "text"}}
        usage |= {"credits": 10**5000, ("a", 1): {2}, "share": float("nan"), "half": "\\ud800"}
        answer = AIMessage("Yes.", response_metadata={"model_name": "gpt-4o-mini"})
        answer.usage_metadata = usage
        GenericFakeChatModel(messages=itertools.repeat(answer)).invoke("x")
        assert llm_usage.total_tokens == 7
    """)

    result = pytester.runpytest("--max-tokens=7", "--llm-usage-report=calls", "--llm-usage-json=run.json")

    result.assert_outcomes(passed=1)
    assert json.loads((pytester.path / "run.json").read_text())["tests"]
    result.stdout.no_fnmatch_line("*internal error*")
