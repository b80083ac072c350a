"""`--llm-usage-live`: what happens to calls that leave this machine. A host that is no loopback counts, wherever it leads."""

import aiohttp  # noqa: F401 -- what a run inside this process imports first, it forgets at its end
import httpx  # noqa: F401
import openai  # noqa: F401
import pytest
import requests  # noqa: F401
from counting_server import serving
from plugin.printed import section
from plugin.test_every_test import ASKING

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed")

HOST = "api.openai.com"

CONFTEST = f"""
    import socket

    import pytest

    lookup = socket.getaddrinfo

    @pytest.fixture(autouse=True)
    def host_on_this_machine(monkeypatch):
        def getaddrinfo(host, *args, **kwargs):
            return lookup("127.0.0.1" if host in ({HOST!r}, {HOST.encode()!r}) else host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
"""

CLIENTS = ("openai", "openai_async", "httpx", "requests", "aiohttp", "urllib")


@pytest.fixture
def provider(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url.replace("127.0.0.1", HOST))
        yield server


@pytest.fixture
def project(pytester, provider):
    pytester.makepyfile(asking=ASKING)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nfilterwarnings =\n    ignore:unclosed\n")
    return pytester


def run(project, client, *arguments, calls=1):
    project.makepyfile(f"""
        from asking import by_{client} as ask

        def test_it():
            for _ in range({calls}):
                ask("fastest bird? [8000 4]")
    """)
    return project.runpytest("-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("client", CLIENTS)
def test_fail_stops_a_call_before_it_is_sent(project, provider, client):
    result = run(project, client, "--llm-usage-live=fail", calls=3)

    result.assert_outcomes(failed=1)
    assert provider.asked == []
    result.stdout.fnmatch_lines(
        [
            f"live model call stopped: {HOST}/v1/chat/completions (--llm-usage-live=fail)",
            f"  asking.py:* in *by_{client}",
            "Request the fixture llm_usage and record it:  pytest --llm-usage-record=once --llm-usage-live=allow",
        ]
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_warn_names_the_calls(project, provider, client):
    result = run(project, client, "--llm-usage-live=warn", "-W", "always::pytest_llm_usage.LLMUsageWarning", calls=2)

    result.assert_outcomes(passed=1, warnings=1)
    assert len(provider.asked) == 2
    result.stdout.fnmatch_lines(
        [
            "*live model calls: 2 (--llm-usage-live=warn)",
            f"*1  gpt-4o-mini-2024-07-18  asking.py:* in *by_{client}",
            f"*2  gpt-4o-mini-2024-07-18  asking.py:* in *by_{client}",
        ]
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_allow_lets_them_go_and_says_what_was_spent(project, provider, client):
    result = run(project, client, calls=2)

    result.assert_outcomes(passed=1)
    assert len(provider.asked) == 2
    assert any(line.strip() == "spent in this run: $0.00240 in 2 live calls" for line in section(result)), section(
        result
    )


@pytest.mark.parametrize("mode", ["fail", "warn", "allow"])
def test_loopback_is_not_live(project, provider, monkeypatch, mode):
    monkeypatch.setenv("PROVIDER_URL", provider.url)

    result = run(project, "httpx", f"--llm-usage-live={mode}", "-W", "error")

    result.assert_outcomes(passed=1)
    assert len(provider.asked) == 1
    assert "spent in this run" not in "\n".join(section(result))


def test_mocked_calls_are_not_live(project):
    project.makepyfile("""
        import httpx

        def test_it():
            answer = {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [],
                      "usage": {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}}
            mock = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
            httpx.Client(transport=mock).post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o-mini"})
    """)

    result = project.runpytest("-p", "no:cacheprovider", "--llm-usage-live=fail")

    result.assert_outcomes(passed=1)
    assert "spent in this run" not in "\n".join(section(result))


def test_fail_stops_what_the_test_swallows(project, provider):
    project.makepyfile("""
        from asking import by_openai

        def test_it():
            try:
                by_openai("fastest bird? [8 4]")
            except BaseException:
                pass
    """)

    result = project.runpytest("-p", "no:cacheprovider", "--llm-usage-live=fail")

    result.assert_outcomes(failed=1)
    assert provider.asked == []
