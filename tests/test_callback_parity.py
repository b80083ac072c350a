"""Beside LangChain's own callback, in the same test, over every way of calling a model.

`llm_usage.usage_metadata` is that callback's `usage_metadata`, to the letter. Where the callback loses calls, `LOST`
says so, and `llm_usage` is held against the provider's bill instead, as it is everywhere.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from billed_models import (
    REQUESTED_MODEL,
    Bill,
    BilledChat,
    BilledCompletion,
    Form,
    ProviderError,
    answering_model,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManager, UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_core.tracers import context as langchain_hooks
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel

from pytest_llm_usage.errors import UsageUnknownError
from pytest_llm_usage.tracker import LLMUsage
from pytest_llm_usage.usage import TokenUsage

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")

#: Where LangChain's callback loses calls, and what it loses.
LOST = {
    # Forms of usage.
    "no_model_name": "every call: it files them by response_metadata['model_name'] alone",
    "openai_metadata": "every call: it reads usage_metadata alone",
    "openai_object": "every call: it reads usage_metadata alone",
    "anthropic_metadata": "every call: it reads usage_metadata alone",
    "langchain_metadata": "every call: it reads usage_metadata alone",
    "llm_output": "every call: it reads usage_metadata alone",
    # Ways of calling.
    "thread": "calls of plain threads: its context variable is not set there",
    "pool": "calls of plain thread pools: its context variable is not set there",
    "completion": "every call of a completion model: it reads chat messages alone",
    "completion_batch": "every call of a completion model: it reads chat messages alone",
    "completion_stream": "every call of a completion model: it reads chat messages alone",
    # What happens later.
    "changed_message": "the numbers of a message that is changed afterwards: it keeps the very mapping of the first",
}

#: Where LangChain itself loses the details of usage, before langchain-core 1.5.
DETAILS_LOST = ("stream_events_v3", "astream_events_v3")

#: The forms in which usage can stand at all, whatever the way of calling.
FORMS: tuple[Form, ...] = (
    "usage_metadata",
    "no_model_name",
    "openai_metadata",
    "openai_object",
    "anthropic_metadata",
    "langchain_metadata",
)


class Provider:
    """One test's provider: the models it offers all charge to one bill."""

    def __init__(self, form: Form = "usage_metadata") -> None:
        self.bill = Bill()
        self._form = form

    def chat(self, **options: Any) -> BilledChat:
        return BilledChat(bill=self.bill, form=self._form, **options)

    def completion(self, **options: Any) -> BilledCompletion:
        return BilledCompletion(bill=self.bill, **options)


@pytest.fixture
def callback(llm_usage: LLMUsage) -> Iterator[UsageMetadataCallbackHandler]:
    """LangChain's own, for the whole test."""
    with _callback() as callback:
        yield callback


@contextmanager
def _callback() -> Iterator[UsageMetadataCallbackHandler]:
    # It registers a hook for ever whenever it is used, which would slow down every test that follows.
    hooks = langchain_hooks._configure_hooks
    count = len(hooks)
    with get_usage_metadata_callback() as callback:
        yield callback
    del hooks[count:]


# -- ways of calling -------------------------------------------------------------------------------------------


class Answer(BaseModel):
    """An answer."""

    text: str


@tool
def shout(text: str) -> str:
    """The text, louder."""
    return text.upper()


class State(TypedDict):
    answers: Annotated[list[str], add]


def _graph(*models: BilledChat) -> Any:
    """A graph that asks one model after the other, each in a node of its own."""
    builder = StateGraph(State)
    names = [f"ask_{number}" for number in range(len(models))]
    for name, model in zip(names, models, strict=True):
        builder.add_node(name, _asks(model))
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder.compile()


def _async_graph(model: BilledChat) -> Any:
    async def ask(_state: State) -> dict[str, Any]:
        return {"answers": [(await model.ainvoke("hi")).text]}

    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END).compile()


def _fan_out(model: BilledChat) -> Any:
    """A graph whose one node runs three times at once."""
    builder = StateGraph(State).add_node("ask", _asks(model))
    builder.add_conditional_edges(START, lambda _state: [Send("ask", {"answers": []}) for _ in range(3)], ["ask"])
    return builder.compile()


def _asks(model: BilledChat) -> Callable[[State], dict[str, Any]]:
    return lambda _state: {"answers": [model.invoke("hi").text]}


def _thread(target: Callable[[], Any]) -> None:
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


def _pool(model: BilledChat) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(model.invoke, ["hi", "ho", "hey"]))


def _interleaved(model: BilledChat) -> None:
    for _ in zip(model.stream("hi"), model.stream("ho"), strict=True):
        pass


async def _drained(pieces: Any) -> list[Any]:
    return [piece async for piece in pieces]


async def _gathered(model: BilledChat) -> None:
    await asyncio.gather(model.ainvoke("hi"), _drained(model.astream("ho")), model.abatch(["hey", "hello"]))


async def _tasks(model: BilledChat) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(model.ainvoke("hi"))


async def _events_v3(model: BilledChat) -> None:
    # Awaiting the stream, unlike its `output`, waits for the end of the run.
    await (await model.astream_events("hi", version="v3"))


AGENT_INPUT = {"messages": [("user", "hi")]}

WAYS: dict[str, Callable[[Provider], Any]] = {
    "invoke": lambda p: p.chat().invoke("hi"),
    "ainvoke": lambda p: asyncio.run(p.chat().ainvoke("hi")),
    "stream": lambda p: list(p.chat().stream("hi")),
    "astream": lambda p: asyncio.run(_drained(p.chat().astream("hi"))),
    "batch": lambda p: p.chat().batch(["hi", "ho", "hey"]),
    "abatch": lambda p: asyncio.run(p.chat().abatch(["hi", "ho", "hey"])),
    "batch_as_completed": lambda p: list(p.chat().batch_as_completed(["hi", "ho", "hey"])),
    "abatch_as_completed": lambda p: asyncio.run(_drained(p.chat().abatch_as_completed(["hi", "ho", "hey"]))),
    "generate": lambda p: p.chat().generate([[HumanMessage("hi")], [HumanMessage("ho")]]),
    "agenerate": lambda p: asyncio.run(p.chat().agenerate([[HumanMessage("hi")], [HumanMessage("ho")]])),
    "several_generations": lambda p: p.chat(n=3).invoke("hi"),
    "stream_events_v3": lambda p: list(p.chat().stream_events("hi", version="v3")),
    "astream_events_v2": lambda p: asyncio.run(_drained(p.chat().astream_events("hi", version="v2"))),
    "astream_events_v3": lambda p: asyncio.run(_events_v3(p.chat())),
    "interleaved_streams": lambda p: _interleaved(p.chat()),
    "gather": lambda p: asyncio.run(_gathered(p.chat())),
    "task_group": lambda p: asyncio.run(_tasks(p.chat())),
    "sequence": lambda p: _sequence(p).invoke({"text": "hi"}),
    "sequence_stream": lambda p: list(_sequence(p).stream({"text": "hi"})),
    "sequence_events": lambda p: asyncio.run(_drained(_sequence(p).astream_events({"text": "hi"}, version="v2"))),
    "parallel": lambda p: RunnableParallel(a=p.chat(), b=p.chat()).invoke("hi"),
    "parallel_async": lambda p: asyncio.run(RunnableParallel(a=p.chat(), b=p.chat()).ainvoke("hi")),
    "in_lambda": lambda p: RunnableLambda(lambda text: p.chat().invoke(text)).invoke("hi"),
    "in_tool": lambda p: tool("ask", description="ask")(lambda text: p.chat().invoke(text).text).invoke({"text": "hi"}),
    "retry": lambda p: p.chat(failures=1).with_retry(wait_exponential_jitter=False).invoke("hi"),
    "fallback": lambda p: p.chat(failures=1).with_fallbacks([p.chat()]).invoke("hi"),
    "structured_output": lambda p: p.chat().with_structured_output(Answer).invoke("hi"),
    "structured_output_async": lambda p: asyncio.run(p.chat().with_structured_output(Answer).ainvoke("hi")),
    "structured_output_stream": lambda p: list(p.chat().with_structured_output(Answer).stream("hi")),
    "structured_output_raw": lambda p: p.chat().with_structured_output(Answer, include_raw=True).invoke("hi"),
    "graph": lambda p: _graph(p.chat(), p.chat()).invoke({"answers": []}),
    "graph_stream": lambda p: list(_graph(p.chat(), p.chat()).stream({"answers": []}, stream_mode="messages")),
    "graph_async": lambda p: asyncio.run(_async_graph(p.chat()).ainvoke({"answers": []})),
    "graph_async_stream": lambda p: asyncio.run(
        _drained(_async_graph(p.chat()).astream({"answers": []}, stream_mode="messages"))
    ),
    "graph_fan_out": lambda p: _fan_out(p.chat()).invoke({"answers": []}),
    "graph_in_graph": lambda p: _outer(_graph(p.chat())).invoke({"answers": []}),
    "agent": lambda p: create_agent(p.chat(), [shout]).invoke(AGENT_INPUT),
    "agent_async": lambda p: asyncio.run(create_agent(p.chat(), [shout]).ainvoke(AGENT_INPUT)),
    "agent_stream": lambda p: list(create_agent(p.chat(), [shout]).stream(AGENT_INPUT, stream_mode="messages")),
    "agent_events": lambda p: asyncio.run(
        _drained(create_agent(p.chat(), [shout]).astream_events(AGENT_INPUT, version="v2"))
    ),
    "to_thread": lambda p: asyncio.run(_to_thread(p.chat())),
    "thread_of_context": lambda p: _thread(partial(contextvars.copy_context().run, p.chat().invoke, "hi")),
    "thread": lambda p: _thread(lambda: p.chat().invoke("hi")),
    "pool": lambda p: _pool(p.chat()),
    "two_models": lambda p: [p.chat(model=name).invoke("hi") for name in ("large", "small", "large")],
    "cache_filled": lambda p: p.chat(cache=InMemoryCache()).invoke("hi"),
}

#: Ways in which usage can stand in `llm_output`: LangChain has none for streams.
WHOLE = ("invoke", "ainvoke", "batch", "generate", "agenerate", "several_generations", "sequence", "thread")

#: Completion models have one form of their own.
COMPLETIONS: dict[str, Callable[[Provider], Any]] = {
    "completion": lambda p: p.completion().invoke("hi"),
    "completion_batch": lambda p: p.completion().batch(["hi", "ho", "hey"]),
    "completion_stream": lambda p: list(p.completion().stream("hi")),
}


def _sequence(p: Provider) -> Any:
    return ChatPromptTemplate.from_messages([("user", "{text}")]) | p.chat() | StrOutputParser()


def _outer(inner: Any) -> Any:
    return StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()


async def _to_thread(model: BilledChat) -> None:
    await asyncio.to_thread(model.invoke, "hi")


# -- parity ----------------------------------------------------------------------------------------------------


CASES = [
    *((way, form) for way in WAYS for form in FORMS),
    *((way, "llm_output") for way in WHOLE),
]


@pytest.mark.parametrize(("way", "form"), CASES, ids=["-".join(case) for case in CASES])
def test_every_way(way: str, form: Form, llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler) -> None:
    """The tokens are the provider's, and the book is the callback's, or the callback lost calls."""
    provider = Provider(form)
    WAYS[way](provider)
    assert _counts(llm_usage) == _counts(provider.bill.total)
    if way not in DETAILS_LOST:
        assert llm_usage.input_token_details["cache_read"] == provider.bill.total.input_token_details["cache_read"]
    assert [call.status for call in llm_usage.calls if call.usage] == ["ok"] * len(provider.bill.usages)
    if way in LOST or form in LOST:
        assert callback.usage_metadata == {}
    else:
        assert llm_usage.usage_metadata == callback.usage_metadata
        assert callback.usage_metadata


@pytest.mark.parametrize("way", WAYS)
def test_section_of_every_way(way: str, llm_usage: LLMUsage) -> None:
    """A section holds just what the callback hears that is opened with it."""
    outside, inside = Provider(), Provider()
    WAYS[way](outside)
    with _callback() as callback, llm_usage.section("part") as part:
        WAYS[way](inside)
    WAYS[way](outside)
    assert _counts(part) == _counts(inside.bill.total)
    if way not in LOST:
        assert part.usage_metadata == callback.usage_metadata
    assert _counts(llm_usage) == _counts(outside.bill.total + inside.bill.total)


@pytest.mark.parametrize("way", COMPLETIONS)
def test_completion_models(way: str, llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler) -> None:
    """Completion models are counted, one call a request."""
    provider = Provider()
    COMPLETIONS[way](provider)
    assert way in LOST
    assert callback.usage_metadata == {}
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert [call.model for call in llm_usage.calls] == [answering_model()] * len(provider.bill.usages)


def test_calls_without_model_name_are_filed_under_the_model_asked_for(llm_usage: LLMUsage) -> None:
    """What the callback drops is there, in the form it would have had."""
    provider = Provider("no_model_name")
    provider.chat().batch(["hi", "ho"])
    assert llm_usage.usage_metadata == {REQUESTED_MODEL: provider.bill.total.to_dict()}


@pytest.mark.asyncio
async def test_in_a_test_of_pytest_asyncio(llm_usage: LLMUsage) -> None:
    """The test's own event loop runs in another context than its fixtures."""
    provider = Provider()
    with _callback() as callback:
        await _gathered(provider.chat())
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert llm_usage.usage_metadata == callback.usage_metadata


@pytest.mark.anyio
async def test_in_a_test_of_anyio(llm_usage: LLMUsage) -> None:
    """So does anyio's."""
    provider = Provider()
    with _callback() as callback:
        await _gathered(provider.chat())
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert llm_usage.usage_metadata == callback.usage_metadata


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_answers_of_the_cache(
    form: Form, asynchronous: bool, llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler
) -> None:
    """They are in LangChain's book, as the callback has them, and cost nothing in ours."""
    provider = Provider(form)
    model = provider.chat(cache=InMemoryCache())
    for _ in range(3):
        _invoke(model, asynchronous=asynchronous)
    assert len(provider.bill.usages) == 1
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert [call.status for call in llm_usage.calls] == ["ok", "cached", "cached"]
    if form == "no_model_name":
        assert callback.usage_metadata == {}
    else:
        assert llm_usage.usage_metadata == callback.usage_metadata


def _invoke(model: BilledChat, *, asynchronous: bool) -> Any:
    return asyncio.run(model.ainvoke("hi")) if asynchronous else model.invoke("hi")


# -- calls that do not end well --------------------------------------------------------------------------------


def _abandoned(model: BilledChat) -> None:
    stream = model.stream("hi")
    next(stream)
    stream.close()


async def _abandoned_async(model: BilledChat) -> None:
    stream = model.astream("hi")
    await anext(stream)
    await stream.aclose()


def _broken_off(model: BilledChat) -> None:
    with pytest.raises(ProviderError):
        list(model.stream("hi"))


async def _cancelled(model: BilledChat) -> None:
    task = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _never_ended(model: BilledChat) -> None:
    CallbackManager.configure().on_chat_model_start({}, [[HumanMessage("hi")]])


UNKNOWN: dict[str, tuple[Callable[[Provider], Any], str]] = {
    "stream_abandoned": (lambda p: _abandoned(p.chat()), "aborted"),
    "astream_abandoned": (lambda p: asyncio.run(_abandoned_async(p.chat())), "aborted"),
    "stream_left": (lambda p: next(p.chat().stream("hi")), "aborted"),
    "stream_broken_off": (lambda p: _broken_off(p.chat(breaks_after=1)), "aborted"),
    "cancelled": (lambda p: asyncio.run(_cancelled(p.chat(delay_s=10))), "aborted"),
    "never_ended": (lambda p: _never_ended(p.chat()), "aborted"),
    "usage_nowhere": (lambda p: Provider("nowhere").chat().invoke("hi"), "no_usage"),
    "usage_nowhere_in_stream": (lambda p: list(Provider("nowhere").chat().stream("hi")), "no_usage"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_usage(case: str, llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler) -> None:
    """A call whose usage nobody knows is listed, and no total is told over it; the callback knows nothing of it."""
    call, status = UNKNOWN[case]
    provider = Provider()
    provider.chat().invoke("hi")
    call(provider)
    assert llm_usage.usage_metadata == callback.usage_metadata == {answering_model(): provider.bill.usages[0].to_dict()}
    assert [call.status for call in llm_usage.calls] == ["ok", status]
    with pytest.raises(UsageUnknownError, match="total_tokens is not known: 1 of 2 calls reported no usage"):
        llm_usage.total_tokens


def _refused(model: BilledChat, *, stream: bool = False) -> None:
    with pytest.raises(ProviderError):
        list(model.stream("hi")) if stream else model.invoke("hi")


async def _refused_async(model: BilledChat) -> None:
    with pytest.raises(ProviderError):
        await model.ainvoke("hi")


REFUSED: dict[str, Callable[[BilledChat], Any]] = {
    "invoke": _refused,
    "ainvoke": lambda model: asyncio.run(_refused_async(model)),
    "stream": lambda model: _refused(model, stream=True),
    "batch": lambda model: model.batch(["hi"], return_exceptions=True),
}


@pytest.mark.parametrize("way", REFUSED)
def test_refused_calls(way: str, llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler) -> None:
    """A request that the provider refused is listed, and spent nothing."""
    provider = Provider()
    REFUSED[way](provider.chat(failures=1))
    provider.chat().invoke("hi")
    assert [call.status for call in llm_usage.calls] == ["error", "ok"]
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert llm_usage.usage_metadata == callback.usage_metadata


def test_changed_message(llm_usage: LLMUsage, callback: UsageMetadataCallbackHandler) -> None:
    """What happens to a message afterwards changes nothing."""
    assert "changed_message" in LOST
    provider = Provider()
    message = provider.chat().invoke("hi")
    told = llm_usage.usage_metadata
    message.usage_metadata["input_tokens"] = 10**6
    message.usage_metadata["input_token_details"]["cache_read"] = 10**6
    assert callback.usage_metadata != told
    told[answering_model()]["input_token_details"]["cache_read"] = 10**6
    assert _counts(llm_usage) == _counts(provider.bill.total)
    assert llm_usage.usage_metadata == {answering_model(): provider.bill.total.to_dict()}


# -- whatever LangChain reports --------------------------------------------------------------------------------

_COUNTS = st.integers(0, 10**9)
_DETAILS = st.dictionaries(
    st.sampled_from(["audio", "cache_read", "cache_creation", "ephemeral_5m_input_tokens", "reasoning", "flex"]),
    _COUNTS,
)
_USAGE_METADATA = st.fixed_dictionaries(
    {"input_tokens": _COUNTS, "output_tokens": _COUNTS, "total_tokens": _COUNTS},
    optional={"input_token_details": _DETAILS, "output_token_details": _DETAILS},
)


@given(st.lists(st.tuples(st.sampled_from(["large", "small", "tiny"]), _USAGE_METADATA), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_usage_metadata(llm_usage: LLMUsage, reports: list[tuple[str, Any]]) -> None:
    """Every count and every detail of every model is LangChain's, and adds up as LangChain adds."""
    messages = [
        AIMessage("hi", usage_metadata=usage, response_metadata={"model_name": name}) for name, usage in reports
    ]
    model = GenericFakeChatModel(messages=iter(messages))
    callback = UsageMetadataCallbackHandler()
    with llm_usage.section("example") as part:
        for _ in messages:
            model.invoke("hi", config={"callbacks": [callback]})
    assert part.usage_metadata == callback.usage_metadata


def _counts(usage: LLMUsage | TokenUsage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.output_tokens, usage.total_tokens
