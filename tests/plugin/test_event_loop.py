"""Measuring and replaying touch no disk while an event loop runs: what forbids that (as BlockBuster does) fails nobody's test."""

import aiohttp  # noqa: F401 -- what a run inside this process imports first, it forgets at its end
import httpx  # noqa: F401
import langchain_openai  # noqa: F401
import openai  # noqa: F401
import pytest
from counting_server import serving
from plugin.printed import totals
from plugin.test_every_test import ASKING

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed")

#: Raises where a function that may block is called by this package while a loop runs in the thread.
CONFTEST = """
    import asyncio
    import builtins
    import os
    import sys

    import pytest

    BLOCKED = []

    def name_of(frame):
        return "" if frame is None else frame.f_globals.get("__name__", "")

    def forbidden(name, original):
        def call(*args, **kwargs):
            frame = sys._getframe(1)
            while name_of(frame).split(".")[0] in ("posixpath", "genericpath", "pathlib", "os"):
                frame = frame.f_back
            module = name_of(frame)
            if module.split(".")[0] == "pytest_llm_usage" and asyncio._get_running_loop() is not None:
                BLOCKED.append(f"{name} in {module}:{frame.f_lineno}")
                raise RuntimeError(BLOCKED[-1])
            return original(*args, **kwargs)
        return call

    @pytest.fixture(autouse=True)
    def nothing_blocks(monkeypatch):
        blocking = {os.path: ("realpath", "abspath"), os: ("stat", "lstat", "open"), builtins: ("open",)}
        for module, names in blocking.items():
            for name in names:
                monkeypatch.setattr(module, name, forbidden(name, getattr(module, name)))
        yield
        assert BLOCKED == []
"""

TESTS = """
    import asyncio

    import pytest
    from asking import _by_aiohttp, _by_openai_async, by_httpx_async
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from fakes import FakeStreamingModel

    STREAM = {{"stream": True, "stream_options": {{"include_usage": True}}}}

    async def _by_stream(question):
        await _by_openai_async(question, **STREAM)

    async def _by_langchain(question):
        await FakeListChatModel(responses=["one"]).ainvoke(question)
        async for _ in FakeStreamingModel().astream(question):
            pass

    ASKS = [_by_aiohttp, _by_openai_async, by_httpx_async, _by_stream, _by_langchain]

    @pytest.mark.asyncio
    @pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
    async def test_one(ask{fixtures}):
        await ask("one [8 4]")
        await asyncio.gather(ask("two [8 4]"), asyncio.create_task(ask("three [8 4]")))

    @pytest.mark.asyncio
    @pytest.mark.llm_budget(max_tokens=10, max_cost=1)
    @pytest.mark.parametrize("ask", ASKS[:4], ids=lambda ask: ask.__name__)
    async def test_over(ask{fixtures}):
        for number in range(5):
            await ask(f"{{number}} [8 4]")
"""


@pytest.mark.parametrize("fixtures", ["", ", llm_usage"], ids=["plain", "llm_usage"])
def test_measuring_does_not_block_an_event_loop(pytester, monkeypatch, fixtures):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(asking=ASKING)
        pytester.makeconftest(CONFTEST)
        pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
        pytester.makepyfile(TESTS.format(fixtures=fixtures))

        result = pytester.runpytest("-p", "no:cacheprovider", "--llm-usage-record=live", "--llm-usage-live=warn")

        result.assert_outcomes(passed=5, failed=4)
        assert result.stdout.str().count("2  stopped before it was sent") == 4


#: As pydantic-ai's and langchain-core's suites have it, over the code under test and this package.
BLOCKBUSTER = """
    import aiohttp
    import asking
    import httpx
    import openai
    import pytest
    import pytest_llm_usage
    from blockbuster import blockbuster_ctx

    # What they import with their first client would block.
    httpx.AsyncClient()
    openai.AsyncOpenAI(api_key="dummy-key")

    @pytest.fixture(autouse=True)
    def nothing_blocks(request):
        with blockbuster_ctx([asking, pytest_llm_usage, request.module]):
            yield
"""

REPLAYED = """
    import asyncio
    import os
    import time

    import openai
    import pytest
    from asking import URL, _by_aiohttp, _by_openai_async, by_httpx_async
    from blockbuster import BlockingError
    from langchain_openai import ChatOpenAI

    def model():
        # Of its own: LangChain's would keep connections of a loop that is closed.
        client = openai.AsyncOpenAI(base_url=URL + "/v1", api_key="dummy-key", max_retries=0)
        return ChatOpenAI(
            model="gpt-4o-mini",
            api_key="dummy-key",
            stream_usage=True,
            root_async_client=client,
            async_client=client.chat.completions,
        )

    async def _by_ainvoke(question):
        await model().ainvoke(question)

    async def _by_astream(question):
        async for _ in model().astream(question):
            pass

    ASKS = [_by_aiohttp, _by_openai_async, by_httpx_async, _by_ainvoke, _by_astream]
    every_way = pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)

    @pytest.mark.asyncio
    async def test_blockbuster_is_on(llm_usage):
        with pytest.raises(BlockingError):
            time.sleep(0)
        with pytest.raises(BlockingError):
            os.stat(".")

    @pytest.mark.asyncio
    @every_way
    async def test_one(ask, llm_usage):
        await ask("one [8 4]")
        await asyncio.gather(ask("two [8 4]"), asyncio.create_task(ask("three [8 4]")))
        assert llm_usage.total_tokens == 36

    @pytest.mark.vcr
    @pytest.mark.asyncio
    @every_way
    async def test_in_a_cassette_of_pytest_recordings(ask):
        await ask("four [8 4]")
"""


COSTS = """
    import pytest
    from asking import _by_openai_async

    @pytest.mark.asyncio
    async def test_a_limit_of_the_run():
        for number in range(2):
            await _by_openai_async(f"{number} [8 4]")

    @pytest.mark.asyncio
    @pytest.mark.llm_budget(max_cost=1)
    async def test_a_limit_of_its_own():
        for number in range(2):
            await _by_openai_async(f"{number} [8 4]")

    @pytest.mark.asyncio
    async def test_read(llm_usage):
        await _by_openai_async("one [8 4]")
        assert llm_usage.cost > 0
"""

#: Refuses to import genai-prices, which reads its files then, while a loop runs in the thread.
NO_PRICES_IN_A_LOOP = """
    import asyncio
    import sys

    import openai
    import pytest

    openai.AsyncOpenAI(api_key="dummy-key")

    class InALoop:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "genai_prices":
                try:
                    asyncio.get_running_loop()
                except RuntimeError:
                    return None
                raise AssertionError(f"{name} is read in an event loop")

    sys.meta_path.insert(0, InALoop())
"""


@pytest.mark.parametrize("test", ["test_a_limit_of_the_run", "test_a_limit_of_its_own", "test_read"])
def test_prices_are_read_before_the_loop_runs(pytester, monkeypatch, test):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(asking=ASKING, test_it=COSTS)
        pytester.makeconftest(NO_PRICES_IN_A_LOOP)
        pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
        limit = ["--max-cost=1"] if test == "test_a_limit_of_the_run" else []

        # In a process of its own: this one has read the prices.
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llm-usage-record=live", *limit, "-k", test)

        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*is read in an event loop*")


def test_recording_and_replaying_do_not_block_an_event_loop(pytester, monkeypatch):
    pytest.importorskip("blockbuster")
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(asking=ASKING, test_it=REPLAYED)
        pytester.makeconftest(BLOCKBUSTER)
        pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
        options = ("-p", "no:cacheprovider", "-p", "pytest_recording.plugin")

        recorded = pytester.runpytest(*options, "--record-mode=once")
        recorded.assert_outcomes(passed=11)
        assert len(server.asked) == 20

        replayed = pytester.runpytest(*options)
        replayed.assert_outcomes(passed=11)
        assert len(server.asked) == 20
        assert totals(replayed) == totals(recorded)
        assert totals(replayed)["total"][:4] == ("20", "160", "-", "80")

        # A request that no cassette holds has its own message, whatever forbids the disk: another one, and a first one.
        for test, message in (("test_one", "Recording does not match"), ("test_other", "No recording")):
            changed = REPLAYED.replace("one [8 4]", "another [8 4]").replace("test_one", test)
            pytester.makepyfile(test_it=changed)
            refused = pytester.runpytest(*options, "-k", test)
            refused.assert_outcomes(failed=5)
            assert "BlockingError" not in refused.stdout.str()
            assert refused.stdout.str().count(message) >= 5
        assert len(server.asked) == 20


OPENED_IN_A_LOOP = """
    import asyncio

    import pytest
    import pytest_asyncio
    from asking import _by_aiohttp, _by_openai_async, by_httpx_async

    ASKS = [_by_aiohttp, _by_openai_async, by_httpx_async]
    every_way = pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)

    @pytest_asyncio.fixture
    async def opened(llm_cassette, request):
        with llm_cassette(request.node.name):
            await _by_openai_async("of the fixture [8 4]")
            yield

    @pytest.mark.asyncio
    @every_way
    async def test_fixture(ask, opened):
        await ask("of the test [8 4]")

    @pytest.mark.asyncio
    @every_way
    async def test_coroutine(ask, llm_cassette, request):
        with llm_cassette(request.node.name):
            await ask("of the test [8 4]")

    @every_way
    def test_loop_of_its_own(ask, llm_cassette, request):
        async def ask_twice():
            with llm_cassette(request.node.name):
                await asyncio.gather(ask("one [8 4]"), ask("two [8 4]"))

        asyncio.run(ask_twice())

    @pytest.mark.asyncio
    async def test_forbidden_name(llm_cassette):
        with llm_cassette("../../elsewhere"):
            await by_httpx_async("never [8 4]")
"""


def test_a_cassette_may_be_opened_in_an_event_loop(pytester, monkeypatch):
    pytest.importorskip("blockbuster")
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(asking=ASKING, test_it=OPENED_IN_A_LOOP)
        pytester.makeconftest(BLOCKBUSTER)
        pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")

        recorded = pytester.runpytest("-p", "no:cacheprovider", "--llm-usage-record=once")
        recorded.assert_outcomes(passed=9, failed=1)
        recorded.stdout.fnmatch_lines("*'../../elsewhere' leads out of the cassette folder*")
        assert len(server.asked) == 15

        replayed = pytester.runpytest("-p", "no:cacheprovider")
        replayed.assert_outcomes(passed=9, failed=1)
        assert len(server.asked) == 15
        assert totals(replayed) == totals(recorded)

        # What is refused there is refused in the words it has elsewhere.
        pytester.makepyfile(test_it=OPENED_IN_A_LOOP.replace("[8 4]", "[8 5]"))
        refused = pytester.runpytest("-p", "no:cacheprovider")
        refused.assert_outcomes(failed=10)
        assert "BlockingError" not in refused.stdout.str()
        assert refused.stdout.str().count("Recording does not match") == 9
        assert len(server.asked) == 15


FIRST_COST = """
    import asyncio

    from asking import _by_openai_async

    def test_it(llm_usage):
        async def ask():
            await _by_openai_async("one [8 4]")
            return llm_usage.cost

        assert asyncio.run(ask()) > 0
"""


@pytest.mark.parametrize("has_price_file", [False, True], ids=["genai-prices", "price file"])
def test_the_first_cost_may_be_read_in_the_loop_of_an_ordinary_test(pytester, monkeypatch, has_price_file):
    pytest.importorskip("blockbuster")
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        pytester.makepyfile(asking=ASKING, test_it=FIRST_COST)
        pytester.makeconftest(BLOCKBUSTER)
        prices = ""
        if has_price_file:
            prices = "llm_usage_prices = prices.toml\n"
            pytester.path.joinpath("prices.toml").write_text('[models]\n"another-model" = { input = 1, output = 2 }\n')
        pytester.makeini(f"[pytest]\n{prices}filterwarnings =\n    ignore:unclosed\n")

        # In a process of its own: this one has read the prices.
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llm-usage-record=live")

        result.assert_outcomes(passed=1)
