"""A budget holds for every kind of test: one table of kinds, each of a test that is within it and one that is not."""

from textwrap import dedent

import langchain.agents  # noqa: F401 -- once here, rather than in every run inside this process
import pytest
from printed import totals

HEAD = """
import unittest

import pytest
from fakes import FakeChatModel

def spend(tokens):
    FakeChatModel(usage=(tokens, 0)).invoke("one")

async def spend_async(tokens):
    await FakeChatModel(usage=(tokens, 0)).ainvoke("one")
"""

#: Each kind: test `within` spends 100 tokens, test `over` spends 101, of a budget of 100.
KINDS = {
    "plain": """
        {mark}
        def test_within():
            spend(100)

        {mark}
        def test_over():
            spend(101)
    """,
    "requested": """
        {mark}
        def test_within(llm_usage):
            spend(100)

        {mark}
        def test_over(llm_usage):
            spend(101)
    """,
    "parametrised": """
        {mark}
        @pytest.mark.parametrize("tokens", [pytest.param(100, id="within"), pytest.param(101, id="over")])
        def test_it(tokens):
            spend(tokens)
    """,
    "parameters with marks": """
        @pytest.mark.parametrize(
            "tokens", [pytest.param(100, id="within", {param_marks}), pytest.param(101, id="over", {param_marks})]
        )
        def test_it(tokens):
            spend(tokens)
    """,
    "class": """
        {mark}
        class TestIt:
            def test_within(self):
                spend(100)

            def test_over(self):
                spend(101)
    """,
    "module": """
        {module_mark}

        def test_within():
            spend(100)

        def test_over():
            spend(101)
    """,
    "unittest": """
        {mark}
        @pytest.mark.usefixtures("llm_usage")
        class TestIt(unittest.TestCase):
            def test_within(self):
                spend(100)
                self.assertEqual(self.llm_usage.total_tokens, 100)

            def test_over(self):
                spend(101)
    """,
    "async unittest": """
        {mark}
        @pytest.mark.usefixtures("llm_usage")
        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def test_within(self):
                await spend_async(100)

            async def test_over(self):
                await spend_async(101)
    """,
    "pytest-asyncio": """
        {mark}
        @pytest.mark.asyncio
        async def test_within():
            await spend_async(100)

        {mark}
        @pytest.mark.asyncio
        async def test_over():
            await spend_async(101)
    """,
    "anyio": """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        {mark}
        @pytest.mark.anyio
        async def test_within():
            await spend_async(100)

        {mark}
        @pytest.mark.anyio
        async def test_over():
            await spend_async(101)
    """,
    "subtests": """
        {mark}
        @pytest.mark.parametrize("last", [pytest.param(50, id="within"), pytest.param(51, id="over")])
        def test_it(subtests, last):
            for tokens in (50, last):
                with subtests.test(tokens=tokens):
                    spend(tokens)
    """,
    "reruns": """
        attempts = {{"within": 0, "over": 0}}

        {mark}
        @pytest.mark.flaky(reruns=1)
        @pytest.mark.parametrize("name", ["within", "over"])
        def test_it(name):
            attempts[name] += 1
            # Of the test only its last attempt counts.
            spend(99 if attempts[name] == 1 else 100 if name == "within" else 101)
            assert attempts[name] == 2
    """,
    "fixtures": """
        @pytest.fixture
        def spending(request):
            spend(60)
            yield
            spend(40)

        {mark}
        def test_within(spending):
            pass

        {mark}
        def test_over(spending):
            spend(1)
    """,
}

MARK = "@pytest.mark.llm_budget(max_tokens=100)"
PLACES = {
    "marker": ({"mark": MARK, "module_mark": f"pytestmark = {MARK[1:]}", "param_marks": f"marks={MARK[1:]}"}, ()),
    "option": (
        {"mark": "@pytest.mark.filterwarnings()", "module_mark": "", "param_marks": "marks=()"},
        ("--max-tokens=100",),
    ),
}


def module(kind):
    return f"test_of_{kind.replace(' ', '_').replace('-', '_')}.py"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
@pytest.mark.parametrize("place", PLACES)
def test_of_every_kind_of_test_the_one_over_its_budget_fails(pytester, place, workers):
    """Every kind in a module of its own, so that a run takes all."""
    words, options = PLACES[place]
    for kind, text in KINDS.items():
        source = HEAD + dedent(text).format_map(words)
        (pytester.path / module(kind)).write_text(source)

    result = pytester.runpytest("-rA", *options, *workers)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["rerun"] == 2
    ended = {}
    for line in result.stdout.lines:
        outcome, _, test = line.partition(" ")
        if outcome in ("PASSED", "FAILED", "ERROR", "SUBFAILED"):
            file, _, name = test.partition(" - ")[0].partition("::")
            ended.setdefault(file, set()).add((outcome, "over" if "over" in name else "within"))
    expected = {module(kind): {("PASSED", "within"), ("FAILED", "over")} for kind in KINDS}
    # Of a fixture's tear-down, the call that is one too many comes behind the test.
    expected["test_of_fixtures.py"] = {("PASSED", "within"), ("PASSED", "over"), ("ERROR", "over")}
    assert ended == expected
    verdicts = [line for line in result.stdout.lines if line.startswith("LLM budget exceeded")]
    origin = MARK.partition("(")[0] if place == "marker" else "--max-tokens"
    assert set(verdicts) == {f"LLM budget exceeded: 101 tokens, limit 100 ({origin})"}
    spent = (len(KINDS) - 1) * 201 + 2 * 99 + 201
    assert totals(result)["total"][1] == f"{spent:,}"
