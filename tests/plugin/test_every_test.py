"""Budgets hold in tests that do not ask for `llm_usage`, whatever client makes the call; every call is counted once."""

import asyncio  # noqa: F401 -- what a run inside this process imports first, it forgets at its end

import aiohttp  # noqa: F401
import anthropic  # noqa: F401
import httpx  # noqa: F401
import openai  # noqa: F401
import pytest
import requests  # noqa: F401
import vcr  # noqa: F401
from counting_server import serving
from plugin.printed import section, totals

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed")

ASKING = """
    import asyncio
    import json
    import os
    import urllib.request

    URL = os.environ["PROVIDER_URL"]
    CHAT = URL + "/v1/chat/completions"

    def messages(question):
        return [{"role": "user", "content": question}]

    def body(question):
        return {"model": "gpt-4o-mini", "messages": messages(question)}

    def by_openai(question, **options):
        import openai

        client = openai.OpenAI(base_url=URL + "/v1", api_key="dummy-key", max_retries=0)
        return client.chat.completions.create(model="gpt-4o-mini", messages=messages(question), **options)

    def by_openai_stream(question):
        list(by_openai(question, stream=True, stream_options={"include_usage": True}))

    async def _by_openai_async(question, **options):
        import openai

        async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key="dummy-key", max_retries=0) as client:
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=messages(question), **options)
            if options:
                async for _ in answer:
                    pass

    def by_openai_async(question):
        asyncio.run(_by_openai_async(question))

    def by_openai_async_stream(question):
        asyncio.run(_by_openai_async(question, stream=True, stream_options={"include_usage": True}))

    def _anthropic():
        import anthropic

        return anthropic.Anthropic(base_url=URL, api_key="dummy-key", max_retries=0).messages

    CLAUDE = {"model": "claude-3-haiku-20240307", "max_tokens": 10}

    def by_anthropic(question):
        _anthropic().create(messages=messages(question), **CLAUDE)

    def by_anthropic_stream(question):
        with _anthropic().stream(messages=messages(question), **CLAUDE) as stream:
            list(stream)

    def by_httpx(question):
        import httpx

        httpx.post(CHAT, json=body(question))

    async def by_httpx_async(question):
        import httpx

        async with httpx.AsyncClient() as client:
            await client.post(CHAT, json=body(question))

    def by_requests(question):
        import requests

        requests.post(CHAT, json=body(question))

    async def _by_aiohttp(question):
        import aiohttp

        async with aiohttp.ClientSession() as session, session.post(CHAT, json=body(question)) as answer:
            await answer.read()

    def by_aiohttp(question):
        asyncio.run(_by_aiohttp(question))

    def by_urllib(question):
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(CHAT, json.dumps(body(question)).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            answer.read()
"""

CLIENTS = (
    "openai",
    "openai_stream",
    "openai_async",
    "openai_async_stream",
    "anthropic",
    "anthropic_stream",
    "httpx",
    "requests",
    "aiohttp",
    "urllib",
)


@pytest.fixture
def provider(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        yield server


@pytest.fixture
def project(pytester, provider):
    pytester.makepyfile(asking=ASKING)
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
    return pytester


def run(project, *arguments):
    return project.runpytest("-p", "no:cacheprovider", *arguments)


class TestBudgets:
    @pytest.mark.parametrize("client", CLIENTS)
    def test_stop_the_second_call_of_any_client(self, project, provider, client):
        project.makepyfile(f"""
            from asking import by_{client} as ask

            def test_it():
                for _ in range(5):
                    ask("fastest bird? [8 4]")
        """)

        result = run(project, "--max-tokens=10")

        result.assert_outcomes(failed=1)
        assert len(provider.asked) == 1
        result.stdout.fnmatch_lines(
            ["*LLM budget exceeded: 12 tokens, limit 10 (--max-tokens)", "*2  stopped before it was sent *.py:* in *"]
        )

    @pytest.mark.parametrize("client", CLIENTS)
    def test_let_calls_within_them_pass(self, project, provider, client):
        project.makepyfile(f"""
            from asking import by_{client} as ask

            def test_it():
                for _ in range(3):
                    ask("fastest bird? [8 4]")
        """)

        result = run(project, "--max-tokens=36", "--max-llm-calls=3")

        result.assert_outcomes(passed=1)
        assert len(provider.asked) == 3
        assert totals(result)["total"][:2] == ("3", "24")

    @pytest.mark.parametrize("client", ["httpx", "requests", "urllib", "openai"])
    def test_count_calls_of_threads_that_are_under_way(self, project, provider, client):
        project.makepyfile(f"""
            from concurrent.futures import ThreadPoolExecutor, wait
            from threading import Barrier

            import pytest
            from asking import by_{client} as ask

            START = Barrier(10)

            def ask_at_once(number):
                START.wait()
                ask(f"bird {{number}}? [8 4]")

            @pytest.mark.llm_budget(max_calls=2)
            def test_it():
                with ThreadPoolExecutor(10) as pool:
                    wait([pool.submit(ask_at_once, number) for number in range(10)])
        """)

        result = run(project)

        result.assert_outcomes(failed=1)
        assert len(provider.asked) == 2
        result.stdout.fnmatch_lines(["*LLM budget exceeded: 3 calls, limit 2 (@pytest.mark.llm_budget)"])

    @pytest.mark.parametrize("client", ["by_httpx_async", "_by_aiohttp", "_by_openai_async"])
    def test_count_calls_of_tasks_that_are_under_way(self, project, provider, client):
        project.makepyfile(f"""
            import asyncio

            import pytest
            from asking import {client} as ask

            async def ask_all():
                await asyncio.gather(*(ask(f"bird {{n}}? [8 4]") for n in range(10)), return_exceptions=True)

            @pytest.mark.llm_budget(max_calls=2)
            def test_it():
                asyncio.run(ask_all())
        """)

        result = run(project)

        result.assert_outcomes(failed=1)
        assert len(provider.asked) == 2
        result.stdout.fnmatch_lines(["*LLM budget exceeded: 3 calls, limit 2 (@pytest.mark.llm_budget)"])


NOT_ASKED = 'stream_options={"include_usage": True}'


class TestStreamsThatWereNotAskedForUsage:
    @pytest.fixture
    def result(self, project):
        project.makepyfile("""
            from asking import by_openai

            def test_it():
                list(by_openai("fastest bird? [8 4]", stream=True))
        """)
        return run(project, "--max-tokens=100")

    def test_fail_a_budget_that_names_the_fix(self, result):
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*LLM budget cannot be verified: 0 tokens and 1 call with unknown usage, limit 100 (--max-tokens)",
                f"*Unknown: the streamed call did not ask for usage: {NOT_ASKED}",
            ]
        )

    def test_have_a_note_in_the_terminal(self, result):
        lines = " ".join(line.strip() for line in section(result))
        assert f"1 streamed call did not ask for usage: {NOT_ASKED}" in lines

    def test_a_count_is_refused_with_the_option_of_the_sdk(self, project):
        project.makepyfile("""
            from asking import by_openai

            def test_it(llm_usage):
                list(by_openai("fastest bird? [8 4]", stream=True))
                llm_usage.total_tokens
        """)
        result = run(project, "--llm-usage-record=live")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E * send usage in streams only when asked:", f"E *  {NOT_ASKED}"])
        result.stdout.no_fnmatch_line("*ChatOpenAI*")


FAKES = """
    from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def test_it({fixtures}):
        for _ in range(3):
            FakeListChatModel(responses=["one"]).invoke("hello")
            list(FakeListChatModel(responses=["one"]).stream("hello"))
            GenericFakeChatModel(messages=iter([AIMessage("one")])).invoke("hello")
            list(GenericFakeChatModel(messages=iter([AIMessage("one")])).stream("hello"))
"""


@pytest.mark.parametrize("fixtures", ["", "llm_usage"])
@pytest.mark.parametrize(
    "limits", [(), ("--max-tokens=5",), ("--max-llm-calls=1",), ("--max-cost=0.001",), ("--session-max-tokens=5",)]
)
def test_fake_models_of_langchain_are_listed_apart(pytester, fixtures, limits):
    pytester.makepyfile(FAKES.format(fixtures=fixtures))

    result = run(pytester, *limits)

    result.assert_outcomes(passed=1)
    lines = section(result)
    assert any(line.strip() == "and 12 calls of fake models, not counted" for line in lines), lines
    assert "?" not in "\n".join(lines)
    assert totals(result)["total"][0] == "0"


def test_one_line_gives_a_whole_suite_its_cassettes(project, provider):
    project.makeini("[pytest]\nusefixtures = llm_usage\nfilterwarnings =\n    ignore:unclosed\n")
    project.makepyfile(
        test_one="""
            from asking import by_openai

            def test_first():
                by_openai("fastest bird? [8 4]")

            def test_none():
                pass
        """,
        test_two="""
            import unittest

            from asking import by_requests

            class Birds(unittest.TestCase):
                def test_second(self):
                    by_requests("slowest bird? [5 2]")
        """,
    )
    recorded = run(project, "--llm-usage-record=once")
    recorded.assert_outcomes(passed=3)
    assert (len(provider.asked), totals(recorded)["total"][:2]) == (2, ("2", "13"))

    replayed = run(project)
    replayed.assert_outcomes(passed=3)
    assert (len(provider.asked), totals(replayed)["total"][:2]) == (2, ("2", "13"))


CASSETTE_IN_THE_CODE = """
    import vcr
    from asking import by_{client}

    def code_under_test():
        with vcr.use_cassette("{client}.yaml", record_mode="once"):
            by_{client}("fastest bird? [8 4]")

    def test_it({fixtures}):
        code_under_test()
"""


@pytest.mark.parametrize("client", ["openai", "openai_async", "httpx", "requests", "aiohttp", "urllib"])
@pytest.mark.parametrize("fixtures", ["", "llm_usage"])
def test_a_cassette_that_the_code_opens_is_counted_once(project, provider, fixtures, client):
    project.makepyfile(CASSETTE_IN_THE_CODE.format(client=client, fixtures=fixtures))

    for _ in range(2):
        result = run(project, "--max-llm-calls=1", "--llm-usage-record=once")
        result.assert_outcomes(passed=1)
        assert totals(result)["total"][:2] == ("1", "8")
        assert len(provider.asked) == 1


@pytest.mark.parametrize("client", ["httpx", "requests", "urllib"])
def test_calls_that_a_cassette_of_the_code_records_are_counted_once_by_a_budget(project, provider, client):
    project.makepyfile(f"""
        import vcr
        from asking import by_{client}

        def test_it():
            with vcr.use_cassette("{client}.yaml", record_mode="new_episodes"):
                by_{client}("one [8 4]")
                by_{client}("two [8 4]")
                by_{client}("three [8 4]")
    """)

    result = run(project, "--max-llm-calls=3")

    result.assert_outcomes(passed=1)
    assert len(provider.asked) == 3
    assert totals(result)["total"][:2] == ("3", "24")
