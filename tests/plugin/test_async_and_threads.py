"""Async tests, by both plugins that run them, and what their tasks and threads call."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest
from fakes import FakeChatModel, FakeStreamingModel, tool_call
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


@pytest.fixture(params=["asyncio", "anyio"])
def mark(request):
    """The marker by which a plugin knows its async tests."""
    return request.param


# -- ways of calling ---------------------------------------------------------------------------------------------


async def ainvoke(model):
    await model.ainvoke("fastest bird?")


async def astream(model):
    assert [piece async for piece in model.astream("fastest bird?")]


async def abatch(model):
    await model.abatch(["fastest bird?"])


async def abatch_as_completed(model):
    assert [answer async for answer in model.abatch_as_completed(["fastest bird?"])]


async def astream_events(model):
    assert [event async for event in model.astream_events("fastest bird?", version="v2")]


async def agenerate(model):
    await model.agenerate([[HumanMessage("fastest bird?")]])


async def invoke_in_a_thread(model):
    await asyncio.to_thread(model.invoke, "fastest bird?")


async def invoke_in_an_executor(model):
    await asyncio.get_running_loop().run_in_executor(None, model.invoke, "fastest bird?")


async def invoke_on_the_loop(model):
    model.invoke("fastest bird?")


async def task(model):
    await asyncio.create_task(model.ainvoke("fastest bird?"))


WAYS = [
    ainvoke,
    astream,
    abatch,
    abatch_as_completed,
    astream_events,
    agenerate,
    invoke_in_a_thread,
    invoke_in_an_executor,
    invoke_on_the_loop,
    task,
]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", [FakeChatModel, FakeStreamingModel])
async def test_every_way_of_calling_is_one_call(llm_usage, way, kind):
    await way(kind(usage=(812, 64)))

    assert [call.status for call in llm_usage.calls] == ["ok"]
    assert (llm_usage.input_tokens, llm_usage.output_tokens) == (812, 64)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_under_anyio_too(llm_usage, way, anyio_backend):
    await way(FakeStreamingModel(usage=(812, 64)))

    assert llm_usage.total_tokens == 876


@pytest.mark.asyncio
async def test_an_awaited_agent(llm_usage):
    def wikipedia(query: str) -> str:
        """Looks it up."""
        return "The peregrine falcon."

    model = FakeChatModel(usages=[(100, 10), (150, 20)], answers=[tool_call("wikipedia", query="bird")])
    await create_agent(model, [wikipedia]).ainvoke({"messages": [("user", "fastest bird?")]})

    assert [call.usage.total_tokens for call in llm_usage.calls] == [110, 170]


def test_a_task_of_a_framework_leads_back_to_the_users_code(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel
        from langchain.agents import create_agent

        @pytest.mark.asyncio
        async def test_it(llm_usage):
            await create_agent(FakeChatModel(), []).ainvoke({"messages": [("user", "fastest bird?")]})
            assert [call.where.split(":")[0] for call in llm_usage.calls] == ["test_here.py"]
    """).rename(pytester.path / "test_here.py")

    # The command itself: its script is no library and yet not the user's code.
    result = pytester.run(Path(sys.executable).parent / "pytest")

    result.assert_outcomes(passed=1)


@pytest.mark.asyncio
async def test_concurrent_calls_lose_nothing(llm_usage):
    model = FakeStreamingModel(delay_s=0.001)

    async def stream(number):
        return [piece async for piece in model.astream(str(number))]

    await asyncio.gather(*(model.ainvoke(str(number)) for number in range(50)), *map(stream, range(50)))

    assert llm_usage.total_tokens == 100 * 15
    assert len(llm_usage.calls) == 100


# -- ends that are none ------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_cancelled_call_is_aborted(llm_usage):
    task = asyncio.create_task(FakeChatModel(delay_s=60).ainvoke("fastest bird?"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [call.status for call in llm_usage.calls] == ["aborted"]


@pytest.mark.asyncio
async def test_a_call_that_timed_out_is_aborted(llm_usage):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(FakeChatModel(delay_s=60).ainvoke("fastest bird?"), 0.01)

    assert [call.status for call in llm_usage.calls] == ["aborted"]


@pytest.mark.asyncio
async def test_an_abandoned_async_stream_is_aborted(llm_usage):
    stream = FakeStreamingModel().astream("fastest bird?")
    await anext(stream)
    await stream.aclose()

    (call,) = llm_usage.calls
    assert (call.status, call.streamed, call.usage) == ("aborted", True, None)


def test_a_call_that_never_ended_is_unknown_and_fails_a_budget(pytester):
    pytester.makepyfile("""
        import asyncio

        import pytest
        from fakes import FakeChatModel

        @pytest.mark.asyncio
        @pytest.mark.llm_budget(max_tokens=1_000_000)
        async def test_it():
            asyncio.get_running_loop().create_task(FakeChatModel(delay_s=60).ainvoke("fastest bird?"))
            await asyncio.sleep(0.01)
    """)

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget cannot be verified: 0 tokens and 1 call with unknown usage*"])


# -- who runs the test -------------------------------------------------------------------------------------------


def test_async_fixtures_and_tests_are_one_test(pytester, mark):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        {"import pytest_asyncio" if mark == "asyncio" else ""}

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @{"pytest_asyncio" if mark == "asyncio" else "pytest"}.fixture
        async def primed(llm_usage, anyio_backend):
            await FakeChatModel().ainvoke("set-up")
            yield
            await FakeChatModel().ainvoke("tear-down")
            assert [call.phase for call in llm_usage.calls] == ["setup", "call", "teardown"]

        @pytest.mark.{mark}
        @pytest.mark.parametrize("number", range(3))
        async def test_it(primed, llm_usage, number):
            await FakeChatModel().ainvoke("call")
            assert llm_usage.total_tokens == 30
    """)

    pytester.runpytest().assert_outcomes(passed=3)


def test_a_loop_that_tests_share_mixes_nothing(pytester):
    pytester.makepyfile("""
        import asyncio

        import pytest
        from fakes import FakeChatModel

        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest.mark.parametrize("count", [3, 1, 2])
        async def test_it(llm_usage, count):
            await asyncio.gather(*(FakeChatModel().ainvoke(str(number)) for number in range(count)))
            assert len(llm_usage.calls) == count
    """)

    pytester.runpytest().assert_outcomes(passed=3)


@pytest.mark.parametrize("scope", ["module", "session"])
def test_a_loop_that_anyio_keeps_mixes_nothing(pytester, scope):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        pytestmark = pytest.mark.anyio

        @pytest.fixture(scope="{scope}")
        def anyio_backend():
            return "asyncio"

        @pytest.fixture(scope="{scope}")
        async def shared(anyio_backend):
            await FakeChatModel(usage=(1_000, 0)).ainvoke("set-up")
            yield
            await FakeChatModel(usage=(1_000, 0)).ainvoke("tear-down")

        @pytest.mark.parametrize("count", [3, 1, 2])
        async def test_it(shared, llm_usage, count):
            for number in range(count):
                await FakeChatModel().ainvoke(str(number))
            assert llm_usage.total_tokens == 15 * count
    """)

    pytester.runpytest("--max-tokens=45").assert_outcomes(passed=3)


def test_a_task_that_outlives_its_test_is_not_billed_to_the_next(pytester):
    pytester.makepyfile("""
        import asyncio

        import pytest
        from fakes import FakeChatModel

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        tasks = []

        async def late():
            await asyncio.sleep(0.05)
            await FakeChatModel(usage=(1_000, 0)).ainvoke("late")

        async def test_one(llm_usage):
            tasks.append(asyncio.create_task(late()))

        async def test_other(llm_usage):
            await tasks[0]
            await FakeChatModel().ainvoke("mine")
            assert llm_usage.total_tokens == 15
    """)

    pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.asyncio
async def test_a_plain_thread_of_an_async_test_counts(llm_usage):
    thread = threading.Thread(target=FakeChatModel().invoke, args=("one",))
    thread.start()
    await asyncio.to_thread(thread.join)

    assert llm_usage.total_tokens == 15


def test_a_loop_of_its_own_in_a_thread_counts(llm_usage):
    def run():
        asyncio.run(ainvoke(FakeChatModel()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert llm_usage.total_tokens == 15
