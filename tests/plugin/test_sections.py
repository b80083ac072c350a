"""`llm_usage.section(name)`: a part of a test, whatever tasks and threads it is made of."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import PRICED_MODEL, FakeChatModel, FakeStreamingModel


def test_a_section_has_the_calls_made_inside(llm_usage):
    FakeChatModel().invoke("before")
    with llm_usage.section("retrieval") as part:
        assert part.calls == ()
        FakeChatModel(usage=(100, 20)).invoke("inside")
        assert part.total_tokens == 120
    FakeChatModel().invoke("after")

    assert part.total_tokens == 120
    assert part[PRICED_MODEL].cost == part.cost < llm_usage.cost
    assert [call.sections for call in llm_usage.calls] == [(), ("retrieval",), ()]
    assert llm_usage.total_tokens == 150
    with pytest.raises(AssertionError, match="LLM budget exceeded: 120 tokens, limit 119"):
        part.assert_within(max_tokens=119)


def test_calls_keep_their_place_in_the_test(llm_usage):
    FakeChatModel().invoke("before")
    with llm_usage.section("retrieval") as part:
        FakeChatModel().invoke("inside")

    assert [call.index for call in part.calls] == [1]
    assert part.calls == llm_usage.calls[1:]


def test_sections_nest(llm_usage):
    with llm_usage.section("outer") as outer:
        FakeChatModel().invoke("one")
        with llm_usage.section("inner") as inner:
            FakeChatModel().invoke("two")
        FakeChatModel().invoke("three")

    assert [call.index for call in outer.calls] == [0, 1, 2]
    assert [call.index for call in inner.calls] == [1]
    assert llm_usage.calls[1].sections == ("outer", "inner")


def test_sections_of_one_name_are_two(llm_usage):
    with llm_usage.section("turn") as first:
        FakeChatModel().invoke("one")
    with llm_usage.section("turn") as second:
        FakeChatModel().invoke("two")
        FakeChatModel().invoke("three")

    assert (len(first.calls), len(second.calls)) == (1, 2)
    assert {sections: len(view.calls) for sections, view in llm_usage.by("sections").items()} == {("turn",): 3}


def test_a_section_ends_with_an_exception_too(llm_usage):
    with pytest.raises(ConnectionError), llm_usage.section("inside") as part:
        FakeChatModel(error=ConnectionError("refused")).invoke("one")
    FakeChatModel().invoke("after")

    assert [call.status for call in part.calls] == ["error"]


def test_a_stream_belongs_where_it_was_begun(llm_usage):
    with llm_usage.section("one") as one:
        stream = FakeStreamingModel().stream("one")
        next(stream)
    with llm_usage.section("other") as other:
        list(stream)

    assert one.total_tokens == 15
    assert other.calls == ()


def test_sections_of_concurrent_tasks_do_not_mix(llm_usage):
    model = FakeChatModel(delay_s=0.01)

    async def turn(number):
        with llm_usage.section(f"turn {number}") as part:
            for _ in range(number):
                await model.ainvoke(str(number))
        return number, part

    async def turns():
        with llm_usage.section("all") as every:
            parts = await asyncio.gather(*map(turn, range(6)))
        return parts, every

    parts, every = asyncio.run(turns())

    assert all(len(part.calls) == number for number, part in parts)
    assert {call.sections for call in parts[3][1].calls} == {("all", "turn 3")}
    assert len(every.calls) == 15


def test_sections_of_threads_with_the_callers_context_do_not_mix(llm_usage):
    model = FakeChatModel(delay_s=0.01)

    def turn(number):
        with llm_usage.section(f"turn {number}") as part:
            for _ in range(number):
                model.invoke(str(number))
        return number, part

    with llm_usage.section("all") as every, ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(contextvars.copy_context().run, turn, number) for number in range(6)]
        parts = [future.result() for future in futures]

    assert all(len(part.calls) == number for number, part in parts)
    assert len(every.calls) == 15


def test_sections_of_plain_threads_do_not_mix(llm_usage):
    model = FakeChatModel(delay_s=0.01)
    parts = {}
    started = threading.Barrier(6)

    def turn(number):
        with llm_usage.section(f"turn {number}") as part:
            started.wait()
            for _ in range(number):
                model.invoke(str(number))
            started.wait()
        parts[number] = part

    threads = [threading.Thread(target=turn, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: len(part.calls) for number, part in parts.items()} == {number: number for number in range(6)}
    assert len(llm_usage.calls) == 15


def test_a_plain_thread_works_for_the_section_the_test_has_open(llm_usage):
    with llm_usage.section("retrieval") as part:
        thread = threading.Thread(target=FakeChatModel().invoke, args=("one",))
        thread.start()
        thread.join()
    thread = threading.Thread(target=FakeChatModel().invoke, args=("two",))
    thread.start()
    thread.join()

    assert [call.index for call in part.calls] == [0]


def test_langchains_own_threads_work_for_the_section_they_were_started_in(llm_usage):
    with llm_usage.section("retrieval") as part:
        FakeChatModel(delay_s=0.01).batch(["one", "two", "three"])
    FakeChatModel(delay_s=0.01).batch(["four", "five"])

    assert len(part.calls) == 3


def test_a_section_left_in_another_context_than_it_was_entered_in_ends_all_the_same(llm_usage):
    async def turns():
        with llm_usage.section("generated") as part:
            yield part
            await FakeChatModel().ainvoke("inside")

    async def abandon():
        generator = turns()
        part = await anext(generator)
        await asyncio.create_task(generator.aclose())
        return part

    part = asyncio.run(abandon())
    FakeChatModel().invoke("after")

    assert part.calls == ()
    assert llm_usage.total_tokens == 15


def test_a_section_of_a_fixture_spans_the_test(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def part(llm_usage):
            with llm_usage.section("fixture") as part:
                yield part

        def test_it(part, llm_usage):
            FakeChatModel().invoke("one")
            assert part.total_tokens == llm_usage.total_tokens == 15

        def test_other(llm_usage):
            FakeChatModel().invoke("one")
            assert llm_usage.calls[0].sections == ()
    """)

    pytester.runpytest().assert_outcomes(passed=2)


@pytest.mark.asyncio
async def test_a_section_of_an_async_test(llm_usage):
    with llm_usage.section("retrieval") as part:
        await FakeChatModel().ainvoke("one")
        await asyncio.to_thread(FakeChatModel().invoke, "two")
        [_ async for _ in FakeStreamingModel().astream("three")]
    await FakeChatModel().ainvoke("after")

    assert len(part.calls) == 3
