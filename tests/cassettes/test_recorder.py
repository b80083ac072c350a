"""A cassette in use: what is replayed, recorded, let pass and refused, in each mode."""

import asyncio
import contextlib
import gzip
import http.client
import json
import threading
import time
import urllib.request

import httpx
import pytest
import requests
import vcr
import vcr.filters
from provider_server import HOST, Refused, refuse

from pytest_llm_usage.anatomy import tokenizer
from pytest_llm_usage.anatomy.tokenizer import Tokenizer
from pytest_llm_usage.cassettes import (
    CassettePolicy,
    OpenCassette,
    Redaction,
    observing_vcrpy,
    storage,
    watch_all_cassettes,
    writer,
)
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.errors import CassetteError, ConfigurationError, RecordingMismatchError, SecretError

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def ask(url, body=None, *, client=httpx, path="/v1/chat/completions", **kwargs):
    return client.post(url + path, json=CHAT if body is None else body, **kwargs).json()


def bodies(path):
    return [json.loads(interaction.request.body) for interaction in storage.load(path)]


def write(path, *interactions):
    storage.save(path, interactions)
    return path.read_bytes()


def recorded(url, body, answer, status=200, **headers):
    return Interaction(
        Request(
            "POST", url + "/v1/chat/completions", {"content-type": ["application/json"]}, json.dumps(body).encode()
        ),
        Response(status, "OK", {"content-type": ["application/json"], **headers}, json.dumps(answer).encode()),
    )


# Recording and replaying ------------------------------------------------------------------------------------------------


def test_what_was_recorded_replays_without_the_network(provider, cassette, path):
    with cassette("once") as opened:
        first = [ask(provider.url), ask(provider.url, {"n": 2})]
    assert [exchange.replayed for exchange in opened.seen] == [False, False]
    provider.stop()
    with cassette() as opened:
        assert [ask(provider.url), ask(provider.url, {"n": 2})] == first
    assert [exchange.replayed for exchange in opened.seen] == [True, True]
    assert len(provider.requests) == 2
    assert opened.unplayed == []


def test_equal_requests_replay_in_order_and_then_fail(provider, cassette):
    with cassette("once"):
        first = [ask(provider.url)["number"] for _ in range(3)]
    assert first == [1, 2, 3]
    with cassette() as opened:
        assert [ask(provider.url)["number"] for _ in range(3)] == first
        with pytest.raises(
            Refused, match="this request was recorded 3 times, and every recording was already replayed"
        ):
            ask(provider.url)
    assert opened.failure.startswith("Recording used up:")


def test_what_is_not_played_is_known(provider, cassette):
    with cassette("once"):
        ask(provider.url)
        ask(provider.url, {"n": 2})
    with cassette() as opened:
        ask(provider.url, {"n": 2})
    assert [json.loads(found.request.body) for found in opened.unplayed] == [CHAT]


def test_a_missing_cassette_fails_with_the_command_that_records_it(provider, cassette, path):
    with cassette() as opened, pytest.raises(Refused) as refused:
        ask(provider.url)
    assert str(refused.value).splitlines() == [
        "No recording: cassettes/test_agent/test_bird.yaml does not exist",
        f"POST {provider.url}/v1/chat/completions",
        'Record it:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=once',
    ]
    assert opened.failure == str(refused.value)
    assert not provider.requests
    assert not path.parent.exists()


def test_a_cassette_that_a_fixture_puts_there_is_replayed(provider, cassette, path):
    provider.stop()
    with cassette():
        write(path, recorded(provider.url, CHAT, {"number": 7}))
        assert ask(provider.url) == {"number": 7}
    with cassette():
        write(path, recorded(provider.url, CHAT, {"number": 12}))
        assert ask(provider.url) == {"number": 12}


@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all"])
def test_a_broken_cassette_is_no_matter_where_nothing_is_asked(cassette, path, mode):
    path.parent.mkdir(parents=True)
    path.write_text("not a cassette: [")
    with cassette(mode) as opened:
        pass
    assert opened.failure is None


def test_a_cassette_is_read_before_an_event_loop_asks_for_it(provider, cassette, path, monkeypatch):
    provider.stop()
    write(path, recorded(provider.url, CHAT, {"number": 7}))

    async def asked():
        monkeypatch.setattr(storage, "find_recording", None)
        async with httpx.AsyncClient() as client:
            return (await client.post(provider.url + "/v1/chat/completions", json=CHAT)).json()

    with cassette():
        assert asyncio.run(asked()) == {"number": 7}


def test_a_stale_cassette_fails_and_says_what_changed(provider, cassette, monkeypatch):
    monkeypatch.setattr(tokenizer, "_loaded", {"o200k_base": Tokenizer("o200k_base", str.split)})
    with cassette("once"):
        ask(provider.url)
    with cassette(), pytest.raises(Refused) as refused:
        ask(provider.url, {**CHAT, "messages": [{"role": "user", "content": "hi there"}]})
    assert str(refused.value).splitlines() == [
        "Recording does not match: cassettes/test_agent/test_bird.yaml, request 1 of 1",
        f"POST {provider.url}/v1/chat/completions",
        "  messages[0].content   'hi'",
        "                     -> 'hi there'",
        "  about 1 input token more (estimate by o200k_base)",
        'Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite',
    ]
    assert len(provider.requests) == 1


def test_reordered_keys_are_the_same_request(provider, cassette):
    with cassette("once"):
        answer = ask(provider.url)
    with cassette():
        assert ask(provider.url, dict(reversed(CHAT.items()))) == answer


def test_no_request_no_cassette(cassette, path):
    for mode in ("none", "once", "new_episodes", "all", "rewrite", "live"):
        with cassette(mode):
            pass
    assert not path.parent.exists()


def test_nothing_is_read_before_the_first_request(cassette, path):
    path.parent.mkdir(parents=True)
    path.write_text("no cassette")
    with cassette():
        pass
    with cassette(), pytest.raises(Refused, match="Cassette cannot be read"):
        ask("http://anything.test")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\1\2", b"interactions: [", b"!!python/object/apply:os.system ['x']", gzip.compress(b"x", mtime=0)[:-4]],
)
@pytest.mark.parametrize("mode", ["none", "once", "new_episodes", "all"])
def test_what_cannot_be_read_is_one_clear_error_and_stays(provider, cassette, path, content, mode):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with cassette(mode), pytest.raises(Refused) as refused:
        ask(provider.url)
    first, last = str(refused.value).splitlines()
    assert first.startswith(f"Cassette cannot be read: {path}: it ")
    assert last == 'Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite'
    assert path.read_bytes() == content
    assert not provider.requests


def test_the_failure_is_known_even_if_something_swallowed_it(provider, cassette):
    with cassette() as opened:
        for body in (CHAT, {"other": 1}):
            with contextlib.suppress(BaseException):
                ask(provider.url, body)
    assert opened.failure.startswith("No recording")


def test_neither_except_exception_nor_retries_swallow_it(provider, cassette):
    import openai

    client = openai.OpenAI(base_url=provider.url + "/v1", api_key="k", max_retries=3)
    with cassette() as opened, pytest.raises(Refused):
        client.chat.completions.create(**CHAT)
    assert opened.failure.startswith("No recording")


# Modes ------------------------------------------------------------------------------------------------------------------


def test_once_replays_what_is_there_and_adds_nothing(provider, cassette, path):
    before = write(path, recorded(provider.url, CHAT, {"old": True}))
    with cassette("once"):
        assert ask(provider.url) == {"old": True}
        with pytest.raises(Refused, match="Recording does not match"):
            ask(provider.url, {"new": 1})
    assert path.read_bytes() == before
    assert not provider.requests


def test_new_episodes_adds_what_is_missing(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": True}))
    with cassette("new_episodes"):
        assert ask(provider.url) == {"old": True}
        assert ask(provider.url)["number"] == 1
        assert ask(provider.url, {"new": 1})["number"] == 2
    assert bodies(path) == [CHAT, CHAT, {"new": 1}]


def test_new_episodes_without_news_writes_nothing(provider, cassette, path):
    before = write(path, recorded(provider.url, CHAT, {"old": True}))
    with cassette("new_episodes"):
        ask(provider.url)
    assert path.read_bytes() == before


def test_all_asks_again_and_keeps_what_was_not_asked(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}), recorded(provider.url, {"kept": 1}, {"old": 2}))
    with cassette("all"):
        assert ask(provider.url)["number"] == 1
    assert bodies(path) == [{"kept": 1}, CHAT]


def test_rewrite_keeps_nothing(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}), recorded(provider.url, {"kept": 1}, {"old": 2}))
    with cassette("rewrite"):
        assert ask(provider.url)["number"] == 1
    assert bodies(path) == [CHAT]


def test_rewrite_does_not_read_what_it_replaces(provider, cassette, path):
    path.parent.mkdir(parents=True)
    path.write_text("{[ no cassette")
    with cassette("rewrite"):
        ask(provider.url)
    assert bodies(path) == [CHAT]


def test_live_measures_and_writes_nothing(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}))
    before = path.read_bytes()
    with cassette("live") as opened:
        assert ask(provider.url)["number"] == 1
    assert path.read_bytes() == before
    assert [exchange.replayed for exchange in opened.seen] == [False]


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_a_test_that_failed_leaves_the_old_file(provider, path, mode):
    if mode != "once":
        write(path, recorded(provider.url, {"old": 1}, {}))
    opened = OpenCassette(CassettePolicy(path=path, record_mode=mode), observe=lambda _: None, fail=refuse)
    with opened:
        ask(provider.url)
    opened.close(save=False)
    assert bodies(path) == [{"old": 1}] if mode != "once" else not path.exists()


def test_a_gzipped_cassette_is_read_and_stays_gzipped(provider, cassette, path):
    zipped = path.with_name(path.name + ".gz")
    write(zipped, recorded(provider.url, CHAT, {"old": 1}))
    with cassette():
        assert ask(provider.url) == {"old": 1}
    with cassette("rewrite"):
        ask(provider.url)
    assert not path.exists()
    assert bodies(zipped) == [CHAT]


# What is written --------------------------------------------------------------------------------------------------------


def test_two_recordings_of_one_conversation_are_one_file(provider, cassette, path):
    files = []
    for attempt in range(2):
        provider.answers = [
            (
                200,
                {"content-type": "application/json", "x-request-id": f"r{attempt}", "cf-ray": f"c{attempt}"},
                b'{"a":1}',
            )
        ]
        with cassette("rewrite"):
            ask(provider.url, headers={"authorization": f"Bearer {attempt}", "user-agent": f"sdk/{attempt}"})
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_compressed_answers_are_written_as_text(provider, cassette, path):
    answer = json.dumps({"text": "é" * 50}).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    provider.answers = [(200, headers, gzip.compress(answer))]
    with cassette("once"):
        assert ask(provider.url) == json.loads(answer)
    (interaction,) = storage.load(path)
    assert json.loads(interaction.response.body) == json.loads(answer)
    assert "content-encoding" not in interaction.response.headers
    assert interaction.response.headers["content-length"] == [str(len(interaction.response.body))]
    for client in (httpx, requests):
        with cassette():
            assert ask(provider.url, client=client) == json.loads(answer)


def test_verbatim_json(provider, cassette, path):
    provider.answers = [(200, {"content-type": "application/json"}, b'{"b":1,   "a":2}')]
    with cassette("once", json_style="verbatim"):
        ask(provider.url)
    assert storage.load(path)[0].response.body == b'{"b":1,   "a":2}'


def test_credentials_are_replaced_and_still_match(provider, cassette, path):
    url = "/v1/chat/completions?key=AIzaSyA-0123456789-one"
    headers = {"authorization": "Bearer first-secret", "cookie": "session=first-secret"}
    with cassette("once", match_on=("method", "path", "query", "headers", "body")):
        answer = ask(provider.url, {**CHAT, "api_key": "first-secret"}, path=url, headers=headers)
    text = path.read_text()
    # The echo of the server holds what the request held, as text within text.
    assert "first-secret" not in text
    assert "AIzaSyA-0123456789-one" not in text
    headers = {"authorization": "Bearer second-secret", "cookie": "session=second"}
    with cassette(match_on=("method", "path", "query", "headers", "body")):
        again = ask(provider.url, {**CHAT, "api_key": "other"}, path=url.replace("one", "two"), headers=headers)
    assert again["number"] == answer["number"]


def test_the_client_gets_the_real_answer_while_it_is_recorded(provider, cassette, path):
    provider.answers = [(200, {"content-type": "application/json"}, b'{"access_token":"real-one"}')]
    with cassette("once"):
        assert requests.post(f"{provider.url}/oauth/token", json={}).json() == {"access_token": "real-one"}
    assert "real-one" not in path.read_text()


def test_a_leak_stops_the_save_and_the_old_file_stays(provider, path):
    before = write(path, recorded(provider.url, {"old": 1}, {}))
    opened = OpenCassette(CassettePolicy(path=path, record_mode="rewrite"), observe=lambda _: None, fail=refuse)
    with opened:
        ask(provider.url, {"messages": [{"content": "AIza" + "aB3dE" * 7}]})
    with pytest.raises(
        SecretError, match=r"request body, messages\[0\].content: something of the shape of a Google API key"
    ):
        opened.close(save=True)
    assert path.read_bytes() == before


def test_rules_of_the_user_s_own(provider, cassette, path):
    rules = Redaction(field_names=frozenset({"customer"}))
    with cassette("once", redaction=rules):
        ask(provider.url, {**CHAT, "customer": "ACME"})
    assert bodies(path) == [{**CHAT, "customer": "redacted"}]
    with cassette(redaction=rules):
        ask(provider.url, {**CHAT, "customer": "Other"})


def test_plain_vcrpy_replays_what_we_wrote(provider, cassette, path):
    with cassette("once"):
        answers = [ask(provider.url), ask(provider.url, {"n": 2}, client=requests)]
    provider.stop()
    with vcr.use_cassette(str(path), record_mode="none", match_on=["method", "uri", "body"]):
        assert [ask(provider.url), ask(provider.url, {"n": 2}, client=requests)] == answers


def test_we_replay_what_plain_vcrpy_wrote(provider, cassette, path):
    with vcr.use_cassette(str(path)):
        answers = [ask(provider.url), ask(provider.url, {"n": 2}, client=requests), ask(provider.url)]
    before = path.read_bytes()
    provider.stop()
    with cassette():
        assert [ask(provider.url), ask(provider.url, {"n": 2}, client=requests), ask(provider.url)] == answers
    assert path.read_bytes() == before


# What is none of the cassette's business --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["none", "once", "all", "live"])
def test_on_loopback_only_model_calls_concern_the_cassette(provider, cassette, path, mode):
    local = f"http://127.0.0.1:{provider.port}"
    with cassette(mode) as opened:
        assert httpx.get(local + "/health").json()["path"] == "/health"
        assert ask(local, {"order": 1}, path="/orders", client=requests)["path"] == "/orders"
        assert json.load(urllib.request.urlopen(local + "/x"))["path"] == "/x"
    assert opened.seen == []
    assert not path.exists()


def test_what_others_recorded_on_loopback_replays(provider, cassette, path):
    local = f"http://127.0.0.1:{provider.port}"
    with vcr.use_cassette(str(path)):
        card = httpx.get(local + "/.well-known/agent-card.json").json()
    with cassette() as opened:
        assert httpx.get(local + "/.well-known/agent-card.json").json() == card
        assert httpx.get(local + "/.well-known/agent-card.json").json()["number"] == 2
    assert len(opened.seen) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_local_model_server_is_recorded_like_any_provider(provider, cassette, host):
    local = f"http://{host}:{provider.port}"
    with cassette("once"):
        answer = ask(local)
    with cassette():
        assert ask(local) == answer
        with pytest.raises(Refused, match="used up"):
            ask(local)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("pattern", ["127.0.0.1", "127.*", "{host}:{port}"])
def test_hosts_to_ignore_answer_live(provider, cassette, path, pattern):
    local = f"http://127.0.0.1:{provider.port}"
    with cassette(ignore_hosts=(pattern.format(host="127.0.0.1", port=provider.port),)) as opened:
        assert ask(local)["number"] == 1
        assert ask(local)["number"] == 2
        with pytest.raises(Refused):
            ask(provider.url)
    assert opened.seen == []
    assert not path.exists()


def test_a_remote_host_to_ignore_gets_through_the_network_guard(provider, cassette):
    with cassette(ignore_hosts=(HOST,)):
        assert ask(provider.url)["number"] == 1
        assert ask(provider.url, client=requests)["number"] == 2


@pytest.mark.parametrize("mode", ["none", "once"])
def test_langsmith_is_neither_recorded_nor_replayed_nor_refused(provider, cassette, path, monkeypatch, mode):
    monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://traces.test:{provider.port}/api")
    with cassette(mode) as opened:
        assert httpx.post(f"http://traces.test:{provider.port}/api/runs/batch", json={}).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.post("http://api.smith.langchain.com:1/runs/batch", json={}, timeout=0.1)
    assert opened.failure is None
    assert opened.seen == []
    assert not path.exists()


def test_in_process_transports_are_never_touched(cassette, path):
    def app(environ, start_response):
        start_response("200 OK", [("content-type", "application/json")])
        return [b'{"wsgi": true}']

    async def asgi(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"asgi": true}'})

    async def ask_asgi():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://app.test") as client:
            return (await client.post("/v1/chat/completions", json=CHAT)).json()

    mock = httpx.MockTransport(lambda request: httpx.Response(200, json={"mock": True}))
    for mode in ("none", "once"):
        with cassette(mode) as opened:
            with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://app.test") as client:
                assert client.post("/v1/chat/completions", json=CHAT).json() == {"wsgi": True}
            assert asyncio.run(ask_asgi()) == {"asgi": True}
            with httpx.Client(transport=mock) as client:
                assert client.get("http://app.test/").json() == {"mock": True}
        assert opened.seen == []
    assert not path.exists()


# Observers --------------------------------------------------------------------------------------------------------------


def test_observers_see_each_exchange_once_before_the_client_does(provider, cassette):
    order = []
    for mode in ("once", "none"):
        with cassette(mode, observe=order.append) as _:
            answer = ask(provider.url, headers={"x-sent": "1"})
            order.append(answer["number"])
    first, _, second, _ = order
    for exchange, replayed in ((first, False), (second, True)):
        assert exchange.replayed is replayed
        assert exchange.live is not replayed
        assert (exchange.method, exchange.url) == ("POST", provider.url + "/v1/chat/completions")
        assert exchange.request_headers["x-sent"] == ["1"]
        assert json.loads(exchange.request_body) == CHAT
        assert (exchange.status, json.loads(exchange.response_body)["number"]) == (200, 1)
        assert exchange.started_at > 1_700_000_000


def test_what_never_left_the_machine_is_not_live(provider, cassette, respx_mock):
    respx_mock.post("https://api.openai.com/v1/chat/completions").respond(json={"id": 1})
    respx_mock.route(host="127.0.0.1").pass_through()
    with cassette("once") as opened:
        httpx.post("https://api.openai.com/v1/chat/completions", json=CHAT)
        httpx.post(f"http://127.0.0.1:{provider.port}/v1/chat/completions", json=CHAT)
    assert [exchange.live for exchange in opened.seen] == [False, False]


def test_a_cassette_claims_the_request_of_the_client_above_it(provider, cassette, path):
    from pytest_llm_usage.wire.in_flight import InFlight, in_flight

    def claimed():
        request = InFlight(f"{provider.url}/v1/chat/completions")
        token = in_flight.set(request)
        ask(provider.url)
        in_flight.reset(token)
        return request.claimed

    for mode in ("once", "none", "live"):
        with cassette(mode):
            assert claimed()
    with observing_vcrpy(lambda _: None), vcr.use_cassette(str(path)):
        assert claimed()
    assert not claimed()


def test_observers_run_in_the_context_of_the_caller(provider, cassette):
    from contextvars import ContextVar

    who = ContextVar("who", default="nobody")
    seen = []

    async def caller(client, name):
        who.set(name)
        await client.post(provider.url + "/v1/chat/completions", json={"n": name})

    async def callers():
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(caller(client, name) for name in "abc"))

    for mode in ("once", "none"):
        seen.clear()
        with cassette(mode, observe=lambda e: seen.append((who.get(), json.loads(e.request_body)["n"]))):
            asyncio.run(callers())
        assert sorted(seen) == [("a", "a"), ("b", "b"), ("c", "c")]


def test_before_send_stops_a_request_before_anything_happens(provider, cassette, path):
    class Stop(BaseException):
        pass

    asked = []

    def before_send(request):
        asked.append((request.method, json.loads(request.body)))
        if len(asked) == 2:
            raise Stop

    for client in (httpx, requests):
        asked.clear()
        provider.requests.clear()
        with cassette("rewrite", before_send=before_send):
            ask(provider.url, client=client)
            with pytest.raises(Stop):
                ask(provider.url, {"n": 2}, client=client)
        assert asked == [("POST", CHAT), ("POST", {"n": 2})]
        assert len(provider.requests) == 1
        assert bodies(path) == [CHAT]


def test_threads_replay_each_recording_once(provider, cassette):
    with cassette("once"):
        for _ in range(20):
            ask(provider.url)
    numbers = []
    with cassette():
        threads = [threading.Thread(target=lambda: numbers.append(ask(provider.url)["number"])) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 21))


def test_the_clients_are_left_as_they_were(cassette):
    before = (httpx.HTTPTransport.handle_request, http.client.HTTPConnection, requests.adapters.HTTPAdapter.send)
    with cassette():
        assert httpx.HTTPTransport.handle_request is not before[0]
    assert before == (
        httpx.HTTPTransport.handle_request,
        http.client.HTTPConnection,
        requests.adapters.HTTPAdapter.send,
    )


def test_the_inner_of_two_cassettes_answers(provider, cassette, path):
    outer, inner = path, path.with_name("inner.yaml")
    with cassette("once", path=outer):
        ask(provider.url, {"outer": 1})
        with cassette("once", path=inner):
            ask(provider.url, {"inner": 1})
    assert (bodies(outer), bodies(inner)) == ([{"outer": 1}], [{"inner": 1}])
    with cassette(path=outer):
        with cassette(path=inner):
            ask(provider.url, {"inner": 1})
            with pytest.raises(Refused):
                ask(provider.url, {"outer": 1})
        ask(provider.url, {"outer": 1})


def test_a_test_may_record_inside_a_session_cassette_that_replays(provider, cassette, path):
    with cassette("once", path=path):
        ask(provider.url, {"session": 1})
    with cassette(path=path):
        with cassette("once", path=path.with_name("new.yaml")):
            assert ask(provider.url, {"new": 1})["number"] == 2
        ask(provider.url, {"session": 1})


# vcr_config of pytest-recording -----------------------------------------------------------------------------------------


def test_filters_of_vcr_config_apply_to_what_is_written_and_compared(provider, cassette, path):
    config = {
        "filter_headers": ["x-custom", ("x-other", "DUMMY")],
        "filter_query_parameters": ["session"],
        "filter_post_data_parameters": ["stamp"],
        "before_record_response": lambda response: {**response, "headers": {"content-type": ["application/json"]}},
    }
    kwargs = {"path": "/v1/chat/completions?a=1&session={}", "headers": {"x-custom": "1", "x-other": "2"}}
    with cassette("once", vcr_config=config):
        ask(
            provider.url,
            {"a": 1, "stamp": "one"},
            path="/v1/chat/completions?a=1&session=one",
            headers=kwargs["headers"],
        )
    (interaction,) = storage.load(path)
    assert interaction.request.uri.endswith("?a=1")
    assert "x-custom" not in interaction.request.headers
    assert interaction.request.headers["x-other"] == ["DUMMY"]
    assert json.loads(interaction.request.body) == {"a": 1}
    assert set(interaction.response.headers) == {"content-type"}
    with cassette(vcr_config=config):
        ask(provider.url, {"a": 1, "stamp": "two"}, path="/v1/chat/completions?a=1&session=two")


def test_requests_that_vcr_config_drops_are_live(provider, cassette, path):
    config = {"before_record_request": lambda request: None if "/drop" in request.path else request}
    for mode in ("once", "none"):
        with cassette(mode, vcr_config=config) as opened:
            assert ask(provider.url, path="/drop")["path"] == "/drop"
            ask(provider.url)
        assert len(opened.seen) == 1
    assert len(storage.load(path)) == 1


def test_responses_that_vcr_config_drops_are_not_written(provider, cassette, path):
    config = {
        "before_record_response": lambda response: None if b'"number": 1' in response["body"]["string"] else response
    }
    with cassette("once", vcr_config=config) as opened:
        ask(provider.url, {"n": 1})
        ask(provider.url, {"n": 2})
    assert bodies(path) == [{"n": 2}]
    assert len(opened.seen) == 2


def test_match_on_of_vcr_config_and_of_the_policy(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}))
    config = {"match_on": ["method", "path"]}
    with cassette(vcr_config=config):
        assert ask(provider.url, {"other": 1}) == {"old": 1}
    with cassette(vcr_config=config, match_on=("method", "body")), pytest.raises(Refused):
        ask(provider.url, {"other": 1})


def test_matchers_of_the_user_s_own(provider, cassette, path):
    write(path, recorded(provider.url, {"n": 1}, {"old": 1}), recorded(provider.url, {"n": 2}, {"old": 2}))

    def same_number(made, stored):
        assert json.loads(made.body)["n"] == json.loads(stored.body)["n"]

    def configure(reader):
        reader.register_matcher("same_number", same_number)
        reader.match_on = ["method", "same_number"]

    with cassette(configure_vcr=configure):
        assert ask(provider.url, {"n": 2, "more": True}) == {"old": 2}
        with pytest.raises(Refused):
            ask(provider.url, {"n": 3})


@pytest.mark.skipif(not hasattr(vcr.filters, "sensitive_data_hooks"), reason="vcrpy 9 brought it")
def test_sensitive_data_of_vcr_config(provider, cassette, path):
    config = {"filter_sensitive_data": {"<TENANT>": "acme-corp"}}
    with cassette("once", vcr_config=config):
        ask(provider.url, {"tenant": "acme-corp"}, path="/acme-corp/chat")
    assert "acme-corp" not in path.read_text()
    with cassette(vcr_config=config):
        ask(provider.url, {"tenant": "acme-corp"}, path="/acme-corp/chat")
    with cassette(vcr_config=config), pytest.raises(Refused):
        ask(provider.url, {"tenant": "other"}, path="/acme-corp/chat")


needs_interaction_hooks = pytest.mark.skipif(
    not hasattr(vcr.VCR(), "before_save_interaction"), reason="vcrpy 9.4 brought them"
)


@needs_interaction_hooks
@pytest.mark.parametrize("by", ["vcr_config", "configure_vcr"])
def test_interaction_hooks_of_vcr_config(provider, cassette, path, by):
    def hide(request, response):
        if b"drop" in request.body:
            return None
        request.body = request.body.replace(b"acme-corp", b"TENANT")
        response["body"]["string"] = response["body"]["string"].replace(b"acme-corp", b"TENANT")
        return request, response

    def restore(request, response, opened):
        assert opened
        request.body = request.body.replace(b"TENANT", b"acme-corp")
        response["body"]["string"] = response["body"]["string"].replace(b"TENANT", b"acme-corp")
        return request, response

    hooks = {"before_save_interaction": hide, "after_load_interaction": [restore]}

    def configure(reader):
        for name, hook in hooks.items():
            setattr(reader, name, hook)

    how = {"vcr_config": hooks} if by == "vcr_config" else {"configure_vcr": configure}
    with cassette("once", **how):
        answer = ask(provider.url, {"tenant": "acme-corp"})
        ask(provider.url, {"drop": 1})
    assert "acme-corp" not in path.read_text()
    assert bodies(path) == [{"tenant": "TENANT"}]
    with cassette(**how):
        assert ask(provider.url, {"tenant": "acme-corp"}) == answer


@needs_interaction_hooks
def test_an_interaction_hook_that_returns_something_else(provider, cassette, path):
    hooks = {"before_save_interaction": lambda request, response: request.body}
    message = r"before_save_interaction must return \(request, response\) or None, not bytes"
    with pytest.raises(CassetteError, match=message), cassette("once", vcr_config=hooks):
        ask(provider.url)
    assert not path.exists()


def test_concurrent_calls_are_written_in_the_order_in_which_they_were_made(provider, cassette, path):
    async def ask_all():
        async with httpx.AsyncClient() as client:
            posts = [client.post(provider.url + "/v1/chat/completions", json={"n": number}) for number in range(8)]
            await asyncio.gather(*posts)

    delays = iter([0.05, 0.03, 0.0, 0.02, 0.01, 0.04, 0.0, 0.0])
    answer = (200, {"content-type": "application/json"}, b"{}")

    class Slow(list):
        def pop(self, index):
            time.sleep(next(delays))
            return answer

        def __bool__(self):
            return True

    provider.answers = Slow()
    with cassette("once"):
        asyncio.run(ask_all())
    assert [body["n"] for body in bodies(path)] == list(range(8))


def test_an_answer_that_comes_late_belongs_to_the_cassette_it_was_asked_under(provider, cassette, path):
    asked, answered = threading.Event(), threading.Event()

    class Late(list):
        def pop(self, index):
            asked.set()
            answered.wait(5)
            self.clear()
            return 200, {"content-type": "application/json"}, b'{"late": true}'

    provider.answers = Late([None])
    late = threading.Thread(target=ask, args=(provider.url, {"n": 1}))
    with cassette("once"):
        late.start()
        asked.wait(5)
    other = path.with_name("other.yaml")
    with cassette("once", path=other) as opened:
        answered.set()
        late.join()
        provider.answers = []
        ask(provider.url, {"n": 2})
    assert [body["n"] for body in bodies(other)] == [2]
    assert len(opened.seen) == 1
    assert not path.exists()


def test_allow_playback_repeats(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}), recorded(provider.url, CHAT, {"old": 2}))
    with cassette(vcr_config={"allow_playback_repeats": True}):
        assert [ask(provider.url)["old"] for _ in range(4)] == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (
            {"match_on": ("method", "bodi")},
            "match_on: unknown matcher 'bodi', did you mean 'body'? available: body, headers, host, method,",
        ),
        ({"vcr_config": {"match_on": ["nope"]}}, "match_on: unknown matcher 'nope'; available: "),
        ({"vcr_config": {"serializer": "nope"}}, "vcr_config: Serializer nope doesn't exist"),
        ({"ignore_body": ("a[",)}, "'a[' is not a path in a JSON body"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(path, policy, problem):
    with pytest.raises(ConfigurationError) as error:
        OpenCassette(CassettePolicy(path=path, **policy), observe=lambda _: None, fail=refuse)
    assert problem in str(error.value)


def test_ignored_places_of_the_body(provider, cassette):
    with cassette("once", ignore_body=("metadata.session_id",)):
        ask(provider.url, {**CHAT, "metadata": {"session_id": "one"}})
    with cassette(ignore_body=("metadata.session_id",)):
        ask(provider.url, {**CHAT, "metadata": {"session_id": "two"}})
    with cassette(), pytest.raises(Refused, match=r"metadata\.session_id"):
        ask(provider.url, {**CHAT, "metadata": {"session_id": "two"}})


# Cassettes of plain vcrpy -----------------------------------------------------------------------------------------------


def test_cassettes_of_plain_vcrpy_are_observed_once_for_each_response(provider, path):
    for replayed in (False, True):
        seen = []
        with observing_vcrpy(seen.append), vcr.use_cassette(str(path)):
            ask(provider.url)
            ask(provider.url, {"n": 2}, client=requests)
        assert [(exchange.replayed, json.loads(exchange.request_body)) for exchange in seen] == [
            (replayed, CHAT),
            (replayed, {"n": 2}),
        ]
    with vcr.use_cassette(str(path)):
        ask(provider.url)
    assert len(seen) == 2


def test_whoever_began_to_observe_last_is_told_and_nobody_twice(provider, path):
    of_the_run, of_the_test = [], []
    stop = watch_all_cassettes(of_the_run.append)
    with vcr.use_cassette(str(path), record_mode="all"):
        ask(provider.url)
        with observing_vcrpy(of_the_test.append):
            ask(provider.url, {"n": 2})
        ask(provider.url, {"n": 3})
    stop()
    with vcr.use_cassette(str(path)):
        ask(provider.url)
    assert [json.loads(exchange.request_body) for exchange in of_the_run] == [CHAT, {"n": 3}]
    assert [json.loads(exchange.request_body) for exchange in of_the_test] == [{"n": 2}]


def test_a_cassette_that_was_opened_before_is_watched_as_well(provider, path):
    seen = []
    with vcr.use_cassette(str(path)):
        stop = watch_all_cassettes(seen.append)
        ask(provider.url)
        stop()
        stop()  # twice does no harm
        ask(provider.url, {"n": 2})
    assert len(seen) == 1
    assert seen[0].cassette == path


def test_a_save_that_fails_says_so(provider, tmp_path):
    blocked = tmp_path / "file"
    opened = OpenCassette(
        CassettePolicy(path=blocked / "c.yaml", record_mode="rewrite"), observe=lambda _: None, fail=refuse
    )
    with opened:
        ask(provider.url)
    blocked.write_text("")  # in the place of its folder
    with pytest.raises(CassetteError, match=r"Cassette not saved: .*c\.yaml: "):
        opened.close(save=True)


def test_layout_is_the_one_of_this_project(provider, cassette, path):
    with cassette("once"):
        ask(provider.url)
    assert writer.render(storage.load(path)) == path.read_bytes()


# Age, and recordings that nobody plays ----------------------------------------------------------------------------------


def test_a_recording_that_is_too_old(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}, date=["Sat, 01 Feb 2025 00:00:00 GMT"]))
    with cassette(max_age_days=100_000):
        ask(provider.url)
    with cassette(max_age_days=30), pytest.raises(Refused) as refused:
        ask(provider.url)
    first, last = str(refused.value).splitlines()
    assert first.startswith("Recording too old: cassettes/test_agent/test_bird.yaml was recorded on 2025-02-01, ")
    assert first.endswith(" days ago (llm_usage_max_age = 30 days)")
    assert last.endswith("--llm-usage-record=rewrite")
    with cassette("rewrite", max_age_days=30):
        ask(provider.url)
    with cassette(max_age_days=30):
        ask(provider.url)


def test_a_recording_without_a_date_has_no_age(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {"old": 1}))
    with cassette(max_age_days=0):
        ask(provider.url)


@pytest.mark.parametrize("asks", [0, 1])
def test_recordings_that_are_not_played_fail_where_that_is_minded(provider, cassette, path, asks):
    write(path, recorded(provider.url, CHAT, {}), recorded(provider.url, {"n": 2}, {}))
    with pytest.raises(RecordingMismatchError) as error, cassette(fail_unplayed=True):
        for _ in range(asks):
            ask(provider.url)
    assert str(error.value).splitlines() == [
        f"Recording not played: cassettes/test_agent/test_bird.yaml, {2 - asks} of 2 requests were not made",
        *[f"  POST {provider.url}/v1/chat/completions"] * (2 - asks),
        'Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite',
    ]


def test_recordings_that_are_all_played_do_not(provider, cassette, path):
    write(path, recorded(provider.url, CHAT, {}))
    with cassette(fail_unplayed=True):
        ask(provider.url)
    with cassette("rewrite", fail_unplayed=True):
        ask(provider.url, {"n": 2})


def test_no_cassette_has_nothing_unplayed(cassette):
    with cassette(fail_unplayed=True):
        pass
