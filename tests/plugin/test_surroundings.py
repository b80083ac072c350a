"""Beside what replaces the ground that a plugin stands on: another event loop, green threads, no network at all."""

import pytest
from counting_server import serving
from plugin.printed import totals
from plugin.test_every_test import ASKING

SPENT = "LLM budget exceeded: 12 tokens, limit 10 (--max-tokens)"


@pytest.fixture
def provider(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        yield server


@pytest.fixture
def project(pytester, provider):
    pytester.makepyfile(asking=ASKING)
    pytester.makeini("[pytest]\nfilterwarnings = ignore\n")
    return pytester


def run(project, *arguments):
    """In a process of its own: what is patched there stays there."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


TRIO = """
    import anyio
    import pytest
    from asking import by_httpx_async, _by_openai_async

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend():
        return "trio"

    @pytest.mark.parametrize("ask", [by_httpx_async, _by_openai_async])
    async def test_alone(ask{fixtures}):
        await ask("one [8 4]")

    async def test_together(llm_usage):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(by_httpx_async, f"{{number}} [8 4]")
        assert llm_usage.total_tokens == 36
"""


class TestTrio:
    """By anyio's plugin."""

    @pytest.fixture(autouse=True)
    def trio(self):
        pytest.importorskip("trio")

    def test_calls_are_recorded_and_replayed(self, project, provider):
        project.makepyfile(TRIO.format(fixtures=", llm_usage"))

        recorded = run(project, "--llm-usage-record=once")
        recorded.assert_outcomes(passed=3)
        assert (len(provider.asked), totals(recorded)["total"][:2]) == (5, ("5", "40"))

        replayed = run(project)
        replayed.assert_outcomes(passed=3)
        assert (len(provider.asked), totals(replayed)) == (5, totals(recorded))

    def test_a_budget_stops_them(self, project, provider):
        source = TRIO.format(fixtures="").replace(
            'await ask("one [8 4]")', 'await ask("one [8 4]"); await ask("two [8 4]")'
        )
        project.makepyfile(source)

        result = run(project, "--max-tokens=10", "-k", "alone")

        result.assert_outcomes(failed=2)
        assert len(provider.asked) == 2
        assert result.stdout.lines.count(SPENT) == 2


GEVENT = """
    import gevent
    import pytest
    from asking import by_httpx, by_openai, by_requests, by_urllib

    @pytest.mark.parametrize("ask", [by_httpx, by_openai])
    def test_green_threads(ask, llm_usage):
        gevent.joinall([gevent.spawn(ask, f"{number} [8 4]") for number in range(3)], raise_error=True)
        assert llm_usage.total_tokens == 36

    # At once, vcrpy would record some of them only: it takes its patches of http.client away while one of them connects.
    @pytest.mark.parametrize("ask", [by_requests, by_urllib])
    def test_one_green_thread(ask, llm_usage):
        for number in range(3):
            gevent.spawn(ask, f"{number} [8 4]").get()
        assert llm_usage.total_tokens == 36

    @pytest.mark.parametrize("ask", [by_httpx, by_openai, by_requests, by_urllib])
    @pytest.mark.llm_budget(max_calls=2)
    def test_over(ask):
        for number in range(5):
            ask(f"over {number} [8 4]")
"""


def test_gevent(project, provider):
    pytest.importorskip("gevent")
    project.makepyfile(GEVENT)
    # Before anything else is imported, as gevent asks for.
    project.makepyfile(patched="from gevent import monkey\n\nmonkey.patch_all()\n")

    recorded = run(project, "-p", "patched", "--llm-usage-record=once")
    recorded.assert_outcomes(passed=4, failed=4)
    assert len(provider.asked) == 4 * 3 + 4 * 2
    assert recorded.stdout.lines.count("LLM budget exceeded: 3 calls, limit 2 (@pytest.mark.llm_budget)") == 4

    replayed = run(project, "-p", "patched", "-k", "green")
    replayed.assert_outcomes(passed=4)
    assert len(provider.asked) == 4 * 3 + 4 * 2
    assert totals(replayed)["total"][:2] == ("12", "96")


OFFLINE = """
    import pytest
    from asking import by_httpx, by_httpx_async, by_openai, by_requests, by_urllib, by_aiohttp

    @pytest.mark.parametrize("ask", [by_httpx, by_openai, by_requests, by_urllib, by_aiohttp])
    def test_it(ask, llm_usage):
        ask("one [8 4]")
        assert llm_usage.total_tokens == 12
"""


@pytest.mark.parametrize(
    "blocking",
    [
        # An event loop itself needs a socket of the system.
        ("-p", "pytest_socket", "--disable-socket", "--allow-unix-socket"),
        ("-p", "pytest_recording.plugin", "--block-network"),
    ],
    ids=["pytest-socket", "pytest-recording"],
)
def test_a_cassette_replays_where_there_is_no_network(project, provider, blocking):
    pytest.importorskip(blocking[1].partition(".")[0])
    project.makepyfile(OFFLINE)
    run(project, "--llm-usage-record=once").assert_outcomes(passed=5)
    assert len(provider.asked) == 5

    replayed = run(project, *blocking)
    replayed.assert_outcomes(passed=5)
    assert totals(replayed)["total"][:2] == ("5", "40")

    # What is not recorded fails with our reason, not with theirs.
    project.makepyfile(OFFLINE.replace("one [8 4]", "another [8 4]"))
    refused = run(project, *blocking)
    refused.assert_outcomes(failed=5)
    assert refused.stdout.str().count("Recording does not match") >= 5
    assert len(provider.asked) == 5


@pytest.mark.parametrize(
    "blocking",
    [("-p", "pytest_socket", "--disable-socket"), ("-p", "pytest_recording.plugin", "--block-network")],
    ids=["pytest-socket", "pytest-recording"],
)
def test_a_call_that_they_block_is_counted_as_none(project, provider, blocking):
    pytest.importorskip(blocking[1].partition(".")[0])
    project.makepyfile("""
        import pytest
        from asking import by_httpx, by_requests, by_urllib

        @pytest.mark.parametrize("ask", [by_httpx, by_requests, by_urllib])
        def test_it(ask):
            with pytest.raises(Exception):
                ask("one [8 4]")
    """)

    result = run(project, *blocking, "--max-llm-calls=1")

    result.assert_outcomes(passed=3)
    assert provider.asked == []
    assert "LLM usage" not in result.stdout.str()
