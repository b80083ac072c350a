"""A mistake of ours fails nobody's test: every hook broken, one by one, and what an interrupted run says it spent."""

import html
import importlib
import inspect
import json
import os
import pkgutil
import re

import pytest
from plugin.printed import section, totals

import pytest_llm_usage.plugin as hooks

SUITE = """
    import warnings
    import pytest
    from fakes import FakeChatModel

    @pytest.fixture(scope="module")
    def shared():
        FakeChatModel().invoke("shared")
        yield 1

    @pytest.mark.parametrize("number", [1, 2])
    def test_passes(shared, number):
        FakeChatModel().invoke("one")

    def test_fails():
        FakeChatModel().invoke("two")
        assert 1 == 2

    @pytest.mark.skip
    def test_skips(): pass

    @pytest.fixture
    def broken():
        yield
        raise ValueError("in a teardown")

    def test_errs(broken): pass

    @pytest.mark.xfail(strict=True)
    def test_xfails():
        assert {1: 2} == {1: 3}
"""

#: Puts a body that raises in the place of a hook's own, with its signature.
BREAKER = """
    import importlib, inspect, pathlib

    def reached():
        pathlib.Path(__file__).with_name("reached").touch()
        return RuntimeError("broken on purpose")

    def break_hook(module, name, behind):
        owner = importlib.import_module(module)
        for part in name.split("."):
            owner = getattr(owner, part)
        hook = inspect.unwrap(owner)
        parameters = ", ".join(inspect.signature(hook).parameters)
        lines = ["result = yield"] if behind else ["yield"] if inspect.isgeneratorfunction(hook) else []
        body = "; ".join([*lines, "raise __import__('breaker').reached()"] if behind or not lines
                         else ["raise __import__('breaker').reached()", *lines])
        made = {}
        exec(f"def {hook.__name__}({parameters}): {body}", made)
        hook.__code__ = made[hook.__name__].__code__

    break_hook(*%r)
"""


def _owners():
    """Whatever has hooks: the plugin itself, and the classes of its modules."""
    yield hooks
    for found in pkgutil.iter_modules(hooks.__path__, f"{hooks.__name__}."):
        module = importlib.import_module(found.name)
        yield from (owner for owner in vars(module).values() if getattr(owner, "__module__", "") == found.name)


def _all_hooks():
    for owner in _owners():
        for name, hook in vars(owner).items() if hasattr(owner, "__dict__") else ():
            if name.startswith("pytest_") and callable(hook):
                path = name if owner is hooks else f"{owner.__name__}.{name}"
                module = owner.__name__ if owner is hooks else owner.__module__
                yield module, path, False
                if inspect.isgeneratorfunction(inspect.unwrap(hook)):
                    yield module, path, True


HOOKS = list(_all_hooks())

#: What a hook is called for: options of the run without the plugin as well.
_XDIST = ("-n", "2")
_HTML = (
    *("-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin", "-W", "ignore::DeprecationWarning"),
    "--html=page.html",
)
_MARKED = ("-o", "markers=llm_cassette", "-W", "error::pytest_llm_usage.LLMUsageWarning")
OPTIONS = {
    "pytest_configure_node": _XDIST,
    "pytest_testnodedown": _XDIST,
    "RunCollector.pytest_testnodedown": _XDIST,
    "StaleTests.pytest_testnodedown": _XDIST,
    "RunCollector.pytest_xdist_node_collection_finished": _XDIST,
    "RunCollector.pytest_html_results_table_header": _HTML,
    "RunCollector.pytest_html_results_table_row": _HTML,
    "RunCollector.pytest_handlecrashitem": ("-n", "1"),  # with two it is chance which one crashes
    "OrphanCheck.pytest_testnodedown": _XDIST,
    "FailingTests.pytest_runtest_setup": _MARKED,
}
#: Options of the plugin, beyond those of every run.
_STALE = ("--llm-usage-record=stale", "--session-max-tokens=1M")
OWN_OPTIONS = {
    "ReplayFirst.pytest_runtest_protocol": _STALE,
    "ReplayFirst.pytest_runtestloop": _STALE,
    "SpentRun.pytest_runtest_protocol": ("--session-max-tokens=1M",),
    "FailedSetup.pytest_runtest_call": ("--max-llm-calls=1",),
}
#: Suites of the hooks that are called only where tests are to fail. One is there for tests that would pass without the
#: plugin: its run is compared with the same run with the hook whole.
SUITES = {
    "FailedSetup.pytest_runtest_call": """
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture
        def dear():
            FakeChatModel().invoke("one")
            FakeChatModel().invoke("two")

        def test_over(dear): pass

        @pytest.mark.usefixtures("dear")
        def test_over_and_fails():
            assert 1 == 2

        def test_within():
            FakeChatModel().invoke("one")
    """,
    "FailingTests.pytest_runtest_setup": """
        import pytest

        @pytest.mark.llm_cassette("idle.yaml")
        def test_marked(): pass

        def test_fails():
            assert 1 == 2
    """,
    "RunCollector.pytest_handlecrashitem": """
        import os

        def test_crashes():
            os._exit(1)

        def test_fails():
            assert 1 == 2
    """,
}
FAILS_TESTS = {"FailedSetup.pytest_runtest_call"}

#: What goes wrong as the end of the run is printed, or behind that, is not told of.
TOO_LATE = {
    ("pytest_sessionfinish_around_syrupy", True),
    ("RunFailures.pytest_terminal_summary", True),
    ("pytest_terminal_summary", False),
    ("pytest_unconfigure", False),
}

#: What the suite says without the plugin, run once.
_WITHOUT = {}


def outcomes_of(result):
    """What pytest says of each test, and of all."""
    lines = [line for line in result.stdout.lines if re.match(r"test_it\.py::|E  |FAILED test|ERROR test", line)]
    return sorted(re.sub(r"\s*\[.*%\]", "", line) for line in lines), result.parseoutcomes(), result.ret


@pytest.fixture
def suite(pytester, forked):
    pytester.makepyfile(test_it=SUITE)

    def run(*arguments):
        return pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", *arguments)

    return run


def test_there_are_hooks_to_break():
    assert len(HOOKS) > 30
    assert ("pytest_llm_usage.plugin", "pytest_runtest_call", True) in HOOKS


def told_of(printed, hook):
    """Whether it was said that a hook went wrong: once, and what to do about it."""
    return (
        printed.count("pytest-llm-usage: internal error in") == 1
        and printed.count(f"internal error in {hook}: RuntimeError: broken on purpose") == 1
        and "Please report it with these lines:" in printed
    )


@pytest.mark.parametrize(("module", "name", "behind"), HOOKS, ids=lambda value: str(value).rpartition(".usage.")[-1])
def test_a_broken_hook_changes_no_test(suite, pytester, monkeypatch, module, name, behind):
    options, own = OPTIONS.get(name, ()), ["--llm-usage-orphans=warn", "--llm-usage-json=run.json"]
    own += OWN_OPTIONS.get(name, ())
    if name in SUITES:
        pytester.makepyfile(test_it=SUITES[name])
    key = (name if name in SUITES else "", options)
    if key not in _WITHOUT:
        _WITHOUT[key] = outcomes_of(suite(*options, *(own if name in FAILS_TESTS else ("-p", "no:llm_usage"))))
    pytester.makepyfile(breaker=BREAKER % ((module, name, behind),))
    if name == "pytest_addoption":
        # It is called as soon as the plugin is loaded, and what it would have declared cannot be used.
        monkeypatch.setenv("PYTEST_ADDOPTS", f"-p breaker {os.environ['PYTEST_ADDOPTS']}")
        broken = suite()
    else:
        broken = suite("-p", "breaker", *options, *own)

    assert outcomes_of(broken) == _WITHOUT[key]
    assert (pytester.path / "reached").exists(), "the fault was never met"
    printed = broken.stdout.str() + broken.stderr.str()
    assert "INTERNALERROR" not in printed
    assert told_of(printed, name.rpartition(".")[-1]) is ((name, behind) not in TOO_LATE)


def test_a_table_of_pytest_html_keeps_its_rows_where_ours_cannot_be_filled(suite, pytester):
    pytester.makepyfile(
        breaker="""
            import pytest_llm_usage.report.html

            def table_cells(test):
                raise RuntimeError("broken on purpose")

            pytest_llm_usage.report.html.table_cells = table_cells
        """
    )

    result = suite("-p", "breaker", *_HTML)

    assert told_of(result.stdout.str(), "pytest_html_results_table_row")
    page = (pytester.path / "page.html").read_text()
    table = json.loads(html.unescape(re.search('data-jsonblob="(.*?)"', page)[1]))
    rows = [row["resultsTableRow"] for rows in table["tests"].values() for row in rows]
    assert len(rows) == 7
    assert all(row[-3:-1] == ["<td></td>", "<td></td>"] for row in rows)
    assert {len(row) for row in rows} == {6}


@pytest.mark.parametrize("name", ["pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_makereport"])
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_mistake_of_ours_is_told_once(suite, pytester, name, workers):
    pytester.makepyfile(breaker=BREAKER % (("pytest_llm_usage.plugin", name, False),))

    printed = suite("-p", "breaker", *workers).stdout.str()

    assert printed.count("pytest-llm-usage: internal error in") == 1
    assert f"internal error in {name}: RuntimeError: broken on purpose" in printed


@pytest.mark.parametrize("stop", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_what_was_spent_before_an_interrupt_is_in_the_totals(pytester, forked, stop):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        def test_first():
            FakeChatModel().invoke("one")

        def test_interrupted():
            FakeChatModel().invoke("two")
            {stop}

        def test_never_run():
            FakeChatModel().invoke("three")
    """)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llm-usage-report=tests")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert totals(result)["total"][0] == "2"
    assert any("test_interrupted" in line for line in section(result))


# -- events of LangChain's ---------------------------------------------------------------------------------------

#: Breaks what an event needs before the run begins, and lets nothing out of the run's process.
BREAK_EVENT = """
    import importlib

    def broken(*arguments, **named):
        raise RuntimeError("broken on purpose")

    module, _, path = %r.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    setattr(owner, name, broken)
"""
NOTE_CALLSITE = "pytest_llm_usage.langchain.handler:UsageHandler._note_callsite"
START = "pytest_llm_usage.tracker.tracker:Tracker.start"
END = "pytest_llm_usage.tracker.tracker:Tracker.end"

#: What a test asks LangChain for, in both ways; the line that asks is the one the note must name.
ASKING = """
    import asyncio
    from fakes import FakeChatModel, FakeStreamingModel
    from langchain.agents import create_agent
    from langchain_core.documents import Document
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import StructuredTool
    from billed_models import Bill, BilledCompletion

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document("The peregrine falcon.")]

    def found(query: str) -> str:
        "Looks it up."
        return "The peregrine falcon."

    async def found_later(query: str) -> str:
        "Looks it up."
        return found(query)

    look_up = StructuredTool.from_function(found, found_later)
    prompt = ChatPromptTemplate.from_template("{bird}?")
    chat, stream, shelf = FakeChatModel(), FakeStreamingModel(), Shelf()
    refused = FakeChatModel(error=ValueError("overloaded"))
    completion = BilledCompletion(bill=Bill())
    chain = prompt | chat
    agent = create_agent(chat, [])

    def said(answer):
        text = answer["messages"][-1] if isinstance(answer, dict) else answer
        text = text[0].page_content if isinstance(text, list) else getattr(text, "content", text)
        assert text in ("The peregrine falcon.", "hello") or text.to_string() == "Human: bird?"
"""
SYNC = """
    def test_it():
        try:
            answer = %s.invoke(%s)
        except ValueError as error:
            assert str(error) == "overloaded"
        else:
            said(answer)
"""
ASYNC = """
    def test_it():
        async def ask():
            try:
                answer = await %s.ainvoke(%s)
            except ValueError as error:
                assert str(error) == "overloaded"
            else:
                said(answer)
        asyncio.run(ask())
"""
SYNC_STREAM = """
    def test_it():
        pieces = list(%s.stream(%s))
        assert "".join(piece.content for piece in pieces).startswith("piece 0 piece 1 ")
"""
ASYNC_STREAM = """
    def test_it():
        async def ask():
            pieces = [piece async for piece in %s.astream(%s)]
            assert "".join(piece.content for piece in pieces).startswith("piece 0 piece 1 ")
        asyncio.run(ask())
"""
BIRD, AGENTS = "'bird'", "{'messages': [('user', 'bird?')]}"
EVENTS = [
    ("on_chain_start", NOTE_CALLSITE, "prompt", BIRD),
    ("on_tool_start", NOTE_CALLSITE, "look_up", BIRD),
    ("on_retriever_start", NOTE_CALLSITE, "shelf", BIRD),
    ("on_chat_model_start", START, "chat", BIRD),
    ("on_chat_model_start", START, "chain", BIRD),
    ("on_chat_model_start", START, "agent", AGENTS),
    ("on_chat_model_start", START, "completion", BIRD),
    ("on_chat_model_start", START, "stream", BIRD),
    ("on_llm_end", END, "chat", BIRD),
    ("on_llm_end", END, "agent", AGENTS),
    ("on_llm_end", END, "stream", BIRD),
    ("on_llm_error", END, "refused", BIRD),
]


#: An awaited completion model starts in a task of its own, which knows neither a line nor a run that it belongs to.
WAYS = [(*row, way) for row in EVENTS for way in (False, True) if (row[2], way) != ("completion", True)]


@pytest.mark.parametrize(
    ("event", "needed", "asked", "question", "asynchronous"),
    WAYS,
    ids=[f"{event}-{asked}-{'async' if way else 'sync'}" for event, _, asked, _, way in WAYS],
)
def test_a_broken_event_fails_no_call_and_names_its_line(
    pytester, forked, event, needed, asked, question, asynchronous
):
    one, whole = (ASYNC_STREAM, ASYNC) if asynchronous else (SYNC_STREAM, SYNC)
    code = (one if asked == "stream" else whole) % (asked, question)
    pytester.makepyfile(breaker=BREAK_EVENT % needed, test_it=ASKING + code)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "breaker")

    result.assert_outcomes(passed=1)
    lines = (pytester.path / "test_it.py").read_text().splitlines()
    (line,) = (number for number, text in enumerate(lines, 1) if re.search(rf"{asked}\.a?(invoke|stream)\(", text))
    where = f"test_it.py:{line} in {'ask' if asynchronous else 'test_it'}"
    printed = result.stdout.str()
    assert told_of(printed, f"LangChain's event {event}, {where}"), printed
    assert "  and in " not in printed


def test_a_place_that_cannot_be_found_fails_no_call_either(pytester, forked):
    """What says where a call was made is ours, too."""
    pytester.makepyfile(
        breaker=BREAK_EVENT % "pytest_llm_usage.langchain.handler:user_callsite",
        test_it=ASKING + SYNC % ("chain", BIRD),
    )

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "breaker")

    result.assert_outcomes(passed=1)
    printed = result.stdout.str()
    assert told_of(printed, "LangChain's event on_chain_start")
    assert printed.count("  and in LangChain's event on_chat_model_start: RuntimeError: broken on purpose") == 1
