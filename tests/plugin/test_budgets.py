"""Limits on what a test and a run may spend: what fails, when it stops, and what it says."""

import langchain.agents  # noqa: F401 -- once here, rather than in every run inside this process
import pytest
from printed import section

SPENDS_5001 = """
    from fakes import FakeChatModel

    def test_agent():
        FakeChatModel(usage=(812, 64)).invoke("plan")
        FakeChatModel(usage=(4_000, 125)).invoke("act")
"""


def test_more_than_the_limit_is_one_failure_with_the_table_of_calls(pytester, plugin_args):
    pytester.makepyfile(test_agent=SPENDS_5001)

    result = pytester.runpytest(*plugin_args, "--max-tokens=5000")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "LLM budget exceeded: 5,001 tokens, limit 5,000 (--max-tokens)",
            "",
            "*#  model                   input  output  total  where",
            "*1  gpt-4o-mini-2024-07-18    812      64    876  test_agent.py:4 in test_agent",
            "*2  gpt-4o-mini-2024-07-18  4,000     125  4,125  test_agent.py:5 in test_agent   <- largest",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.fnmatch_lines(["FAILED test_agent.py::test_agent - *LLM budget exceeded: 5,001 tokens*"])


def test_exactly_the_limit_passes(pytester):
    pytester.makepyfile(test_agent=SPENDS_5001.replace("125", "124"))

    result = pytester.runpytest("--max-tokens=5000")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        ("max_tokens=14", "15 tokens, limit 14"),
        ("max_input_tokens=9", "10 input tokens, limit 9"),
        ("max_output_tokens=4", "5 output tokens, limit 4"),
        ("max_cost='0.0000044'", "$0.0000045, limit $0.0000044"),
        ("max_calls=0", "1 call, limit 0"),
    ],
)
def test_every_limit_by_marker(pytester, limit, verdict):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.llm_budget({limit})
        def test_it():
            FakeChatModel().invoke("one")
    """)

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*LLM budget exceeded: {verdict} (@pytest.mark.llm_budget)"])


@pytest.mark.parametrize(
    "limit",
    [
        "max_tokens=15",
        "max_input_tokens=10",
        "max_output_tokens=5",
        "max_cost='0.0000045'",
        "max_calls=1",
        "max_tokens='15'",
    ],
)
def test_exactly_every_limit_passes(pytester, limit):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.llm_budget({limit})
        def test_it():
            FakeChatModel().invoke("one")
    """)

    pytester.runpytest().assert_outcomes(passed=1)


def test_every_limit_that_is_exceeded_is_said(pytester):
    pytester.makepyfile(SPENDS_5001)

    result = pytester.runpytest("--max-tokens=5000", "--max-cost=$0.0006")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "LLM budget exceeded: 5,001 tokens, limit 5,000 (--max-tokens)",
            "LLM budget exceeded: $0.0008352, limit $0.0006 (--max-cost)",
        ]
    )


def test_a_test_that_calls_no_model_is_within_any_budget(pytester):
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest("--max-tokens=0", "--max-cost=0", "--max-llm-calls=0")

    result.assert_outcomes(passed=1)
    assert section(result) is None


# -- a stopped call ----------------------------------------------------------------------------------------------

LOOPS = {
    "sync": """
        def test_agent(model):
            for _ in range(10):
                try:
                    model.invoke("act")
                except Exception:
                    continue
    """,
    "async": """
        @pytest.mark.asyncio
        async def test_agent(model):
            for _ in range(10):
                try:
                    await model.ainvoke("act")
                except Exception:
                    continue
    """,
    "stream": """
        def test_agent(model):
            for _ in range(10):
                try:
                    list(model.stream("act"))
                except Exception:
                    continue
    """,
    "async stream": """
        @pytest.mark.asyncio
        async def test_agent(model):
            for _ in range(10):
                try:
                    [_ async for _ in model.astream("act")]
                except Exception:
                    continue
    """,
    "retries": """
        def test_agent(model):
            model.with_retry(stop_after_attempt=5).batch([["act"]] * 10, {"max_concurrency": 1}, return_exceptions=True)
    """,
    "fallbacks": """
        def test_agent(model):
            for _ in range(10):
                model.with_fallbacks([model]).invoke("act")
    """,
    "graph": """
        def test_agent(model):
            def act(state):
                try:
                    model.invoke("act")
                except Exception:
                    pass
                return {"turns": state["turns"] + 1}

            graph = StateGraph(State)
            graph.add_node("act", act)
            graph.add_edge(START, "act")
            graph.add_conditional_edges("act", lambda state: END if state["turns"] > 9 else "act")
            graph.compile().invoke({"turns": 0})
    """,
    "agent": """
        def test_agent(model):
            model.answers.extend(tool_call("look") for _ in range(10))

            def look() -> str:
                "Looks."
                return "a falcon"

            create_agent(model, [look]).invoke({"messages": [("user", "fastest bird?")]})
    """,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_the_next_call_is_stopped_before_it_is_sent(pytester, loop):
    """The model's own count of requests is the witness."""
    source = """
        from pathlib import Path
        from typing import TypedDict

        import pytest
        from fakes import FakeChatModel, FakeStreamingModel, tool_call
        from langchain.agents import create_agent
        from langgraph.graph import END, START, StateGraph

        class State(TypedDict):
            turns: int

        @pytest.fixture
        def model():
            model = FakeStreamingModel(usage=(2_000, 1_000))
            yield model
            Path("requests").write_text(str(len(model.requests)))
    """
    pytester.makepyfile(source + LOOPS[loop])

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (pytester.path / "requests").read_text() == "2"
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 6,000 tokens, limit 5,000 (--max-tokens)"])
    result.stdout.fnmatch_lines(["*stopped before it was sent*"])


def test_a_stopped_call_fails_the_test_that_swallows_everything(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            model = FakeChatModel(usage=(6_000, 0))
            for _ in range(3):
                try:
                    model.invoke("act")
                except BaseException:
                    pass
            assert len(model.requests) == 1
    """)

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 6,000 tokens, limit 5,000 (--max-tokens)"])


@pytest.mark.parametrize(
    "gather",
    ["asyncio.gather(*calls)", "asyncio.gather(*calls, return_exceptions=True)", "in_group(calls)"],
)
def test_a_stopped_call_among_concurrent_ones(pytester, gather):
    pytester.makepyfile(f"""
        import asyncio

        import pytest
        from fakes import FakeChatModel

        async def in_group(calls):
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(call)

        @pytest.mark.asyncio
        async def test_it():
            model = FakeChatModel(usage=(6_000, 0))
            await model.ainvoke("first")
            try:
                calls = [model.ainvoke(str(number)) for number in range(5)]
                await {gather}
            finally:
                assert len(model.requests) == 1
    """)

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 6,000 tokens, limit 5,000 (--max-tokens)"])
    result.stdout.no_fnmatch_line("*ExceptionGroup*")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_call_stopped_in_a_plain_thread_fails_the_test(pytester):
    pytester.makepyfile("""
        import threading

        from fakes import FakeChatModel

        def test_it():
            model = FakeChatModel(usage=(6_000, 0))
            model.invoke("first")
            thread = threading.Thread(target=model.invoke, args=("second",))
            thread.start()
            thread.join()
            assert len(model.requests) == 1
    """)

    result = pytester.runpytest("--max-tokens=5000", "-W", "ignore::pytest.PytestUnhandledThreadExceptionWarning")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 6,000 tokens, limit 5,000 (--max-tokens)"])


@pytest.mark.parametrize(
    "args", [["--max-tokens=0"], ["--max-cost=0"], ["--max-llm-calls=0"]], ids=lambda args: args[0]
)
def test_nought_means_that_no_call_is_ever_sent(pytester, args):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            model = FakeChatModel()
            try:
                model.invoke("one")
            finally:
                assert not model.requests
    """)

    result = pytester.runpytest(*args)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded*"])
    result.stdout.no_fnmatch_line("*assert not*")


def test_the_last_call_that_may_be_made_is_made_and_the_next_is_not(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            model = FakeChatModel()
            try:
                for number in range(5):
                    model.invoke(str(number))
            finally:
                print("requests:", len(model.requests))
    """)

    result = pytester.runpytest("--max-llm-calls=2")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 3 calls, limit 2 (--max-llm-calls)", "requests: 2"])


def test_an_answer_of_langchains_cache_is_no_call(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel
        from langchain_core.caches import InMemoryCache

        @pytest.mark.llm_budget(max_calls=1, max_tokens=15)
        def test_it(llm_usage):
            model = FakeChatModel(cache=InMemoryCache())
            for _ in range(3):
                model.invoke("the same")
            assert [call.status for call in llm_usage.calls] == ["ok", "cached", "cached"]
    """)

    pytester.runpytest().assert_outcomes(passed=1)


# -- what cannot be verified --------------------------------------------------------------------------------


def test_a_budget_over_a_call_of_unknown_usage_fails(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel().invoke("one")
            FakeChatModel(usage=None).invoke("two")
    """)

    result = pytester.runpytest("--max-tokens=1M")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*LLM budget cannot be verified: 15 tokens and 1 call with unknown usage, limit 1,000,000 (--max-tokens)",
            "*2  gpt-4o-mini-2024-07-18      ?       ?      ?  *",
        ]
    )


def test_a_budget_exceeded_by_what_is_known_says_at_least(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=None).invoke("one")
            FakeChatModel(usage=(6_000, 0)).invoke("two")
    """)

    result = pytester.runpytest("--max-tokens=5k")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: at least 6,000 tokens, limit 5,000 (--max-tokens)"])


def test_a_cost_budget_over_a_call_without_a_price_fails(pytester):
    pytester.makepyfile("""
        from fakes import UNPRICED_MODEL, FakeChatModel

        def test_it():
            FakeChatModel(usage=(1_000, 500)).invoke("one")
            FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")
    """)

    result = pytester.runpytest("--max-cost=100")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*LLM budget cannot be verified: $0.00045 and 1 call with unknown price, limit $100 (--max-cost)",
            "*Unpriced: no price is known for acme-1*",
            "*Add to the file of llm_usage_prices:",
            '*  "acme-1" = { provider = "acme", input = [?], output = [?] }',
        ]
    )
    pytester.runpytest("--max-tokens=1515").assert_outcomes(passed=1)


def test_how_many_calls_there_were_is_known_whatever_they_told(pytester):
    pytester.makepyfile("""
        from fakes import UNPRICED_MODEL, FakeChatModel

        def test_it():
            FakeChatModel(usage=None).invoke("one")
            FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")
    """)

    pytester.runpytest("--max-llm-calls=2").assert_outcomes(passed=1)


def test_a_call_that_raised_spends_nothing_and_is_a_call(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        def test_it():
            with pytest.raises(ConnectionError):
                FakeChatModel(error=ConnectionError("refused")).invoke("one")
            FakeChatModel().invoke("two")
    """)

    pytester.runpytest("--max-tokens=15", "--max-cost=1", "--max-llm-calls=2").assert_outcomes(passed=1)
    pytester.runpytest("--max-llm-calls=1").assert_outcomes(failed=1)


# -- set-up and tear-down ----------------------------------------------------------------------------------------


def test_what_fixtures_spend_fails_the_test_and_is_no_error(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def primed():
            FakeChatModel(usage=(5_001, 0)).invoke("set-up")

        def test_it(primed):
            pass
    """)

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 5,001 tokens, limit 5,000 (--max-tokens)"])


def test_a_call_stopped_in_a_fixture_is_a_failure_and_no_error(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def primed():
            model = FakeChatModel(usage=(5_001, 0))
            model.invoke("set-up")
            model.invoke("set-up")

        def test_it(primed):
            pass
    """)

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopped before it was sent*"])


def test_a_test_over_its_budget_cannot_skip_its_way_out(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=(5_001, 0)).invoke("one")
            pytest.skip("enough")
    """)

    pytester.runpytest("--max-tokens=5000").assert_outcomes(failed=1)


def test_what_a_fixture_spends_on_the_way_out_counts(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def primed():
            yield
            FakeChatModel(usage=(5_001, 0)).invoke("tear-down")

        def test_it(primed):
            FakeChatModel().invoke("call")
    """)

    result = pytester.runpytest("--max-tokens=5000")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 5,016 tokens, limit 5,000 (--max-tokens)"])


def test_a_test_that_fails_by_itself_keeps_its_own_reason(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=(5_001, 0)).invoke("one")
            assert "falcon" == "swift"
    """)

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: assert 'falcon' == 'swift'"])


@pytest.mark.parametrize(
    ("mark", "outcome"),
    [
        ("xfail", "xfailed"),
        ("xfail(strict=True)", "xfailed"),
        ("xfail(raises=ValueError)", "failed"),
        ("xfail(run=False)", "xfailed"),
    ],
)
def test_a_test_that_is_expected_to_fail_may_do_so_over_its_budget_and_is_listed(pytester, mark, outcome):
    """It is a failure as any other, for pytest; what was spent was spent."""
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.{mark}
        def test_it():
            FakeChatModel(usage=(5_001, 0)).invoke("one")
    """)

    result = pytester.runpytest("--max-tokens=5000", "--session-max-tokens=6000")

    result.assert_outcomes(**{outcome: 1})
    listed = [line for line in section(result) or () if line.startswith("--max-tokens=5,000: 1 of 1 test over")]
    assert len(listed) == (0 if "run=False" in mark else 1)


def test_the_next_test_starts_with_a_whole_budget(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("spent", [5_001, 5_000, 5_001, 4_999])
        def test_it(spent):
            FakeChatModel(usage=(spent, 0)).invoke("one")
    """)

    pytester.runpytest("--max-tokens=5000").assert_outcomes(failed=2, passed=2)


# -- markers -----------------------------------------------------------------------------------------------------


def test_the_nearest_marker_wins(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        pytestmark = pytest.mark.llm_budget(max_tokens=14)

        def test_of_module_fails():
            FakeChatModel().invoke("one")

        @pytest.mark.llm_budget(max_tokens=15)
        def test_of_function_passes():
            FakeChatModel().invoke("one")

        @pytest.mark.llm_budget(max_tokens=15)
        class TestIt:
            def test_of_class_passes(self):
                FakeChatModel().invoke("one")

            @pytest.mark.llm_budget(max_tokens=13)
            def test_of_function_fails(self):
                FakeChatModel().invoke("one")

        @pytest.mark.parametrize("name", [pytest.param("fails"), pytest.param("passes", marks=pytest.mark.llm_budget(max_tokens=15))])
        def test_of_parameter(name):
            FakeChatModel().invoke("one")
    """)

    result = pytester.runpytest("-rA")

    result.assert_outcomes(failed=3, passed=3)
    assert all(
        ("fails" in line) == ("FAILED" in line) for line in result.outlines if "test_of" in line and " - " in line
    )


def test_a_parameters_marker_is_nearer_than_its_functions(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.llm_budget(max_tokens=14)
        @pytest.mark.parametrize("name", [pytest.param("long", marks=pytest.mark.llm_budget(max_tokens=15))])
        def test_it(name):
            FakeChatModel().invoke("one")
    """)

    pytester.runpytest().assert_outcomes(passed=1)


def test_markers_win_limit_by_limit(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        pytestmark = pytest.mark.llm_budget(max_calls=1)

        @pytest.mark.llm_budget(max_tokens=30)
        def test_it():
            FakeChatModel().invoke("one")
            FakeChatModel().invoke("two")
    """)

    result = pytester.runpytest("--max-tokens=1")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 2 calls, limit 1 (@pytest.mark.llm_budget)"])


@pytest.mark.parametrize(
    ("markers", "outcome"),
    [
        (["max_calls=1, model='gpt-4o-mini*'"], "passed"),
        (["max_calls=0, model='gpt-4o-mini*'"], "failed"),
        (["max_tokens=14, model='gpt-4o-mini*'"], "failed"),
        (["max_tokens=14, model='claude-*'"], "passed"),
        (["max_tokens=1_015, model='gpt-4o*'"], "passed"),
        (["max_tokens=1_014, model='gpt-4o*'"], "failed"),
        (["max_tokens=15, model='gpt-4o-mini*'", "max_tokens=999, model='gpt-4o'"], "failed"),
        (["max_tokens=15, model='gpt-4o-mini*'", "max_tokens=1_000, model='gpt-4o'"], "passed"),
        (["max_tokens=15, model='gpt-4o-mini*'", "max_tokens=1_014"], "failed"),
        (["max_tokens=15, model='gpt-4o-mini*'", "max_tokens=1_015"], "passed"),
    ],
)
def test_a_marker_with_a_model_limits_those_models_and_several_add_up(pytester, markers, outcome):
    lines = "".join(f"        @pytest.mark.llm_budget({marker})\n" for marker in markers)
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

{lines}
        def test_it():
            FakeChatModel().invoke("one")
            FakeChatModel(model="gpt-4o", usage=(1_000, 0)).invoke("two")
    """)

    pytester.runpytest().assert_outcomes(**{outcome: 1})


def test_a_budget_of_a_model_names_it_and_stops_that_model_alone(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.llm_budget(max_calls=0, model="gpt-4o")
        def test_it():
            FakeChatModel().invoke("one")
            model = FakeChatModel(model="gpt-4o")
            try:
                model.invoke("two")
            finally:
                assert not model.requests
    """)

    result = pytester.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded for gpt-4o: *"])


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("max_token=1", "'max_token' is not a limit; did you mean 'max_tokens'?"),
        ("max_tokens='abc'", "max_tokens: 'abc' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"),
        ("max_tokens=-3", "max_tokens: -3 is not a number of tokens"),
        ("max_tokens=1.5", "max_tokens: 1.5 is not a number of tokens"),
        ("max_tokens=float('nan')", "max_tokens: nan is not a number of tokens"),
        ("max_tokens=True", "max_tokens: True is not a number of tokens"),
        ("max_calls='few'", "max_calls: 'few' is not a number of calls"),
        ("max_cost=0.02", "max_cost: 0.02 is a float, which is not exact: write it as text, '0.02'"),
        ("max_cost='-1'", "max_cost: '-1' is not an amount in USD"),
        ("max_cost='NaN'", "max_cost: 'NaN' is not an amount in USD"),
        ("max_cost=Decimal('Infinity')", "max_cost: Decimal('Infinity') is not an amount in USD"),
        ("max_tokens=1, model=4", "model: 4 is not a pattern"),
        ("500", "llm_budget takes keywords only, not 500"),
    ],
)
def test_a_marker_that_cannot_be_read_fails_its_test_alone_with_one_line(pytester, marker, line):
    pytester.makepyfile(f"""
        from decimal import Decimal

        import pytest

        @pytest.mark.llm_budget({marker})
        def test_bad():
            pass

        def test_good():
            pass
    """)

    result = pytester.runpytest()

    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes.get("failed", 0) + outcomes.get("errors", 0)) == (1, 1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = [printed for printed in result.outlines if printed.startswith("@pytest.mark.llm_budget")]
    assert len(said) == 1
    assert line in said[0]
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_misspelt_keyword_fails_its_test_alone_under_workers_too(pytester, plugin_args):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.llm_budget(max_token=1)
        def test_bad():
            pass

        @pytest.mark.parametrize("number", range(5))
        def test_good(number):
            pass
    """)

    result = pytester.runpytest(*plugin_args)

    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes.get("failed", 0) + outcomes.get("errors", 0)) == (5, 1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*'max_token' is not a limit; did you mean 'max_tokens'?"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


# -- modes -------------------------------------------------------------------------------------------------------


def test_a_warning_instead_of_a_failure(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_agent():
            model = FakeChatModel(usage=(5_001, 0))
            for number in range(3):
                model.invoke(str(number))
            assert len(model.requests) == 3
    """)

    result = pytester.runpytest("--max-tokens=5000", "--llm-usage-budgets=warn", "-W", "always")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 15,003 tokens, limit 5,000 (--max-tokens)*"])


def test_nothing_is_said_of_budgets_that_are_off(pytester):
    pytester.makepyfile(SPENDS_5001)

    result = pytester.runpytest("--max-tokens=5000", "--llm-usage-budgets=off")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*LLM budget*")
    assert section(result) is not None


@pytest.mark.parametrize(("track", "outcome"), [("all", {"failed": 2}), ("requested", {"failed": 1, "passed": 1})])
def test_tests_that_do_not_ask_are_budgeted_unless_only_those_that_ask_are_tracked(pytester, track, outcome):
    pytester.makeini(f"[pytest]\nllm_usage_track = {track}")
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_asks(llm_usage):
            FakeChatModel().invoke("one")

        def test_does_not():
            FakeChatModel().invoke("one")
    """)

    pytester.runpytest("--max-tokens=14").assert_outcomes(**outcome)


# -- the whole run -----------------------------------------------------------------------------------------------

FIVE_TESTS = """
    import pytest
    from fakes import FakeChatModel

    @pytest.mark.parametrize("number", range(5))
    def test_it(number):
        FakeChatModel(usage=(1_000, 500)).invoke("one")
"""


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("--session-max-tokens=2000", "LLM budget exceeded: 3,000 tokens, limit 2,000 (--session-max-tokens)"),
        ("--session-max-cost=0.0005", "LLM budget exceeded: $0.0009, limit $0.0005 (--session-max-cost)"),
    ],
)
def test_a_spent_session_budget_ends_the_run_with_the_reason(pytester, limit, reason):
    pytester.makepyfile(FIVE_TESTS)

    result = pytester.runpytest(limit)

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"*{reason}*"])


@pytest.mark.parametrize("count", [10**10, 10**14])
@pytest.mark.parametrize("limit", ["--session-max-tokens=1M", "--session-max-cost=0.01"])
@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["", "xdist"])
def test_the_session_budget_holds_however_much_is_spent(pytester, count, limit, workers):
    pytester.makepyfile(FIVE_TESTS.replace("(1_000, 500)", f"({count}, 500)"))

    result = pytester.runpytest(limit, *workers)

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    assert 0 < result.parseoutcomes()["passed"] < 5
    result.stdout.fnmatch_lines(["*LLM budget exceeded: *"])
    result.stdout.no_fnmatch_line("*internal error*")


def test_the_session_budget_is_exact_in_any_decimal_context(pytester):
    pytester.makeconftest("import decimal\ndecimal.setcontext(decimal.Context(prec=1))")
    pytester.makepyfile(FIVE_TESTS)
    result = pytester.runpytest_subprocess("--session-max-tokens=7499", "--session-max-cost=0.003")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 7,500 tokens, limit 7,499 (--session-max-tokens)*"])


def test_exactly_the_session_budget_is_not_exceeded(pytester):
    pytester.makepyfile(FIVE_TESTS)

    result = pytester.runpytest("--session-max-tokens=7500", "--session-max-cost=0.00225")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=5)


def test_a_session_budget_spent_by_the_last_test_fails_the_run_all_the_same(pytester):
    pytester.makepyfile(FIVE_TESTS)

    result = pytester.runpytest("--session-max-tokens=7499")

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 7,500 tokens, limit 7,499 (--session-max-tokens)*"])


def test_shared_fixtures_spend_of_the_session_budget(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="session")
        def shared():
            FakeChatModel(usage=(5_000, 0)).invoke("set-up")

        @pytest.mark.parametrize("number", range(5))
        def test_it(shared, number):
            pass
    """)

    result = pytester.runpytest("--session-max-tokens=4999")

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_session_budget_that_only_warns_ends_nothing(pytester, mode):
    pytester.makepyfile(FIVE_TESTS)

    result = pytester.runpytest("--session-max-tokens=10", f"--llm-usage-budgets={mode}", "-W", "always")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=5)
    assert ("LLM budget exceeded" in result.stdout.str()) == (mode == "warn")


def test_a_session_budget_of_unknown_usage_does_not_pass_for_kept(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=None).invoke("one")
    """)

    result = pytester.runpytest("--session-max-tokens=5000")

    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["*LLM budget cannot be verified: 0 tokens and 1 call with unknown usage*"])


@pytest.mark.parametrize("phase", ["call", "teardown"])
def test_a_budget_that_warns_fails_its_test_alone_where_warnings_are_errors(pytester, phase):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def at_the_end():
            yield
            if {phase == "teardown"}:
                FakeChatModel().invoke("one")

        def test_over(at_the_end):
            if {phase == "call"}:
                FakeChatModel().invoke("one")

        def test_other(): pass
    """)

    result = pytester.runpytest(
        "--max-tokens=5", "--llm-usage-budgets=warn", "-W", "error::pytest_llm_usage.LLMUsageWarning", "--tb=short"
    )

    result.assert_outcomes(**({"passed": 1, "failed": 1} if phase == "call" else {"passed": 2, "errors": 1}))
    result.stdout.no_fnmatch_line("*internal error*")
    result.stdout.fnmatch_lines(["*::test_over: LLM budget exceeded: 15 tokens, limit 5 (--max-tokens)"])
