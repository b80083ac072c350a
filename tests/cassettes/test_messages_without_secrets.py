"""What the messages of a refused request show of it: no key, wherever in the request it stands."""

import httpx
import pytest
from provider_server import Refused

from pytest_llm_usage.errors import SecretError

TOKEN = "aB3dE5gH7jK9mN1pQaB3dE5gH7jK9mN1pQ"
ENDINGS = {
    "path": f"/bot{TOKEN}/x",
    "shape": f"/sk-ant-{TOKEN}",
    "query": f"?access_token={TOKEN}",
    "value": "/a%2Fb%20horse%20battery1",
}
HEADERS = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("recorded", [False, True])
def test_no_message_shows_a_key_of_the_url(cassette, provider, recorded, ending, monkeypatch):
    monkeypatch.setenv("DB_PASS", "a/b horse battery1")
    url = f"{provider.url}/v1/chat/completions"
    if recorded:
        with cassette("once"):
            httpx.post(url, json={"n": 1})
    with cassette() as opened, pytest.raises(Refused) as refused:
        httpx.post(url + ending, headers=HEADERS, json={"n": 2})
    message = str(refused.value)
    assert message.startswith("Recording does not match" if recorded else "No recording")
    assert f"POST {url}" in message
    assert "redacted" in message or "***" in message
    for shown in (message, opened.failure):
        assert TOKEN not in shown
        assert "horse" not in shown


def test_what_changed_is_shown_without_keys(cassette, provider, monkeypatch):
    monkeypatch.setenv("DB_PASS", 'horse "battery"\n1')
    url = f"{provider.url}/v1/chat/completions"
    with cassette("once"):
        httpx.post(url, json={"n": 1, "text": "before", "other": "before"})
    with cassette(), pytest.raises(Refused) as refused:
        changed = {"n": 1, "text": f"after\n{TOKEN}", "other": 'after horse "battery"\n1'}
        httpx.post(url, headers=HEADERS, json=changed)
    assert "'before'" in str(refused.value)
    assert "after" in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert "battery" not in str(refused.value)


def test_an_answer_that_repeats_the_key_is_saved_without_it_and_replays(cassette, provider, path):
    url = f"{provider.url}/v1/chat/completions"
    body = {"messages": [{"content": f"my key is {TOKEN}"}]}
    with cassette("once"):
        assert TOKEN in httpx.post(url, headers=HEADERS, json=body).text
    assert TOKEN not in path.read_text()
    with cassette():
        answer = httpx.post(url, headers=HEADERS, json=body)
    assert "my key is redacted" in answer.json()["got"]


def test_a_key_of_another_request_is_no_difference(cassette, provider, path):
    """What was recorded in a prompt is taken out because a later request carries it; on replay it is there again."""
    url = f"{provider.url}/v1/chat/completions"
    bodies = [{"messages": [{"content": f"use {TOKEN} for the search, twice: {TOKEN}"}]}, {"n": 2}]

    def run():
        httpx.post(url, json=bodies[0])
        httpx.post(url, json=bodies[1], headers=HEADERS)

    with cassette("once"):
        run()
    assert TOKEN not in path.read_text()
    with cassette():
        run()
    with cassette(), pytest.raises(Refused, match="Recording does not match"):
        httpx.post(url, json={"messages": [{"content": f"use {TOKEN} for the find, twice: {TOKEN}"}]})
    with cassette(), pytest.raises(Refused, match="Recording does not match"):
        httpx.post(url, json={"messages": [{"content": "use nothing for the search, twice: nothing"}]})


def test_a_recording_of_another_recorder_that_kept_the_key_replays(cassette, provider, path):
    url = f"{provider.url}/v1/chat/completions"
    with cassette("once"):
        httpx.post(url, json={"messages": [{"content": "my key is THE-KEY"}]})
    path.write_text(path.read_text().replace("THE-KEY", TOKEN))
    with cassette():
        httpx.post(url, headers=HEADERS, json={"messages": [{"content": f"my key is {TOKEN}"}]})


def test_a_key_of_another_test_is_in_no_cassette_behind_it(cassette, provider, path):
    """One test logs in; the next one's request says nothing of where the key in it comes from."""
    url = f"{provider.url}/v1/chat/completions"
    body = {"messages": [{"content": f"use {TOKEN} for the search"}]}
    with cassette("once"):
        httpx.post(url, json={"n": 1}, headers=HEADERS)

    second = path.with_name("second.yaml")
    with cassette("once", path=second):
        httpx.post(url, json=body)
    assert "use redacted for the search" in second.read_text()
    assert TOKEN not in second.read_text()
    with cassette(path=second):
        httpx.post(url, json=body)


@pytest.mark.parametrize("key", ["test-key", "lm-studio", "your-key-here-for-tests"])
def test_words_in_the_place_of_a_key_stay_in_the_cassettes_of_other_tests(cassette, provider, path, key):
    url = f"{provider.url}/v1/chat/completions"
    with cassette("once"):
        httpx.post(url, json={"n": 1}, headers={"authorization": f"Bearer {key}"})

    second = path.with_name("second.yaml")
    with cassette("once", path=second):
        httpx.post(url, json={"messages": [{"content": f"what is a {key}?"}]})
    assert f"what is a {key}?" in second.read_text()


def test_a_variable_that_was_set_for_the_request_alone_stops_the_save(cassette, provider, path):
    """`monkeypatch` takes back what a test has set before the test's recording is saved."""
    url = f"{provider.url}/v1/chat/completions"
    with pytest.raises(SecretError) as error, cassette("once") as opened, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DB_PASSWORD", "Zx9 correct horse")
        httpx.post(url, json={"messages": [{"content": "log in with Zx9 correct horse"}]})

    assert "the value of the environment variable DB_PASSWORD" in str(error.value)
    with pytest.raises(SecretError, match="DB_PASSWORD"):
        opened.save_failed(path)
    assert not path.exists()
