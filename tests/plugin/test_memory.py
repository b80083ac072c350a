"""What a test leaves in memory."""

import json

import pytest

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response

CONFTEST = """
    import gc

    FROM, TO = 3, 6
    tests = []

    def pytest_runtest_logstart():
        tests.append(None)
        if len(tests) == FROM:
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
        if len(tests) == TO:
            gc.collect()
            gc.set_debug(0)
            ours = {type(found).__qualname__ for found in gc.garbage if type(found).__module__.startswith("pytest_llm_usage")}
            # httpx's response and its stream refer to each other, and to what stands between them.
            print("left to be collected:", sorted(ours - {"ObservedStream"}))
"""

HTTPX = """
    import httpx, pytest

    BODY = {"object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    URL = "https://api.openai.com/v1/chat/completions"
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=BODY))
"""

TESTS = {
    "langchain": """
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("number", range(6))
        def test_it(llm_usage, number):
            FakeChatModel().invoke("x")
            assert llm_usage.total_tokens == 15
        """,
    "langchain, asynchronous": """
        import asyncio
        import pytest
        from fakes import FakeStreamingModel

        @pytest.mark.parametrize("number", range(6))
        def test_it(llm_usage, number):
            async def ask():
                with llm_usage.section("asking"):
                    async for _ in FakeStreamingModel().astream("x"):
                        pass

            asyncio.run(ask())
            assert len(llm_usage.calls) == 1
        """,
    "httpx": f"""{HTTPX}
    @pytest.mark.parametrize("number", range(6))
    def test_it(llm_usage, number):
        with httpx.Client(transport=transport) as client:
            client.post(URL, json={{"model": "gpt-4o", "messages": []}})
        assert llm_usage.total_tokens == 7
        """,
    "httpx, not asked for": f"""{HTTPX}
    @pytest.mark.parametrize("number", range(6))
    def test_it(number):
        with httpx.Client(transport=transport) as client, client.stream("POST", URL, json={{"model": "gpt-4o"}}) as answer:
            answer.read()
        """,
    "a recording": """
        import httpx, pytest

        @pytest.mark.llm_cassette("answer")
        @pytest.mark.parametrize("number", range(6))
        def test_it(llm_usage, number):
            httpx.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})
            assert llm_usage.total_tokens == 7
        """,
}


JSON = {"content-type": ["application/json"]}
ANSWER = {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
RECORDING = Interaction(
    Request("POST", "https://api.openai.com/v1/chat/completions", JSON, b'{"model": "gpt-4o"}'),
    Response(200, "OK", JSON, json.dumps(ANSWER).encode()),
)


@pytest.mark.parametrize("client", TESTS)
def test_a_test_leaves_nothing_that_only_the_garbage_collector_frees(pytester, client):
    """A ring of objects for each test makes the collector run more often, over all that a suite holds."""
    pytester.makeconftest(CONFTEST)
    storage.save(pytester.path / "cassettes" / "test_it" / "answer.yaml", [RECORDING])
    pytester.makepyfile(test_it=TESTS[client])

    result = pytester.runpytest_subprocess("-s", "--max-tokens=100")

    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines("*left to be collected: []*")
