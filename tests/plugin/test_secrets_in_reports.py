"""What pytest prints of the plugin's objects shows no key."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import made_up

OBJECTS = """
    from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
    from pytest_llm_usage.wire import Exchange

    def test_shown():
        headers = {{"authorization": ["Bearer {key}"]}}
        request = Request("POST", "https://h.test/x?key={key}", headers, b"{key}")
        found = Interaction(request, Response(401, "no {key}", headers, b"{key}"))
        exchange = Exchange("POST", "https://h.test/x?key={key}", headers, b"{key}", 401, headers, b"{key}")
        shown = [found, exchange]
        del headers, request
        assert not shown
"""


def test_what_pytest_prints_of_objects_shows_no_key(pytester):
    key = made_up(40)
    pytester.makepyfile(OBJECTS.format(key=key))

    result = pytester.runpytest("--showlocals", "-vv")

    lines = result.stdout.str().split("def test_shown")[1].split("assert not shown")[1]
    assert "<Request POST https://h.test/x?key=***" in lines
    assert key not in lines


TWO_TESTS = """
    import httpx
    import pytest

    def ask(key, model, prompt="hi"):
        usage = {{"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
        answer = {{"object": "chat.completion", "model": model, "usage": usage, "choices": [{{"message": {{"content": "ok"}}}}]}}
        body = {{"model": model, "messages": [{{"role": "user", "content": prompt}}]}}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
        with httpx.Client(transport=transport, trust_env=False) as client:
            client.post("http://localhost:1234/v1/chat/completions", headers={{"authorization": key}} if key else {{}}, json=body)

    @pytest.mark.parametrize("key", {keys})
    def test_with_a_key(key):
        ask(key, "m")

    @pytest.mark.parametrize("text", {texts})
    def test_behind_it(text):
        ask("", text)
"""


def test_a_key_that_was_seen_once_is_masked_in_every_test_behind_it(pytester):
    key = made_up(40)
    pytester.makepyfile(TWO_TESTS.format(keys=[f"Bearer {key}"], texts=[f"a model called {key}"]))

    result = pytester.runpytest("--max-tokens=3")

    failures = result.stdout.str().split("= FAILURES =")[1].split("= LLM usage =")[0]
    assert "1  a model called ***" in failures


def test_words_in_the_place_of_a_key_are_masked_nowhere(pytester):
    """What servers on loopback are given that want no key, which may be a part of a model's name."""
    models = ["lm-studio-community/llama", "gpt-4o-mini", "not-needed-1b", "your-key-here"]
    keys = ["Bearer lm-studio", "gpt-4o-mini", "Bearer not-needed", "Bearer your-key-here"]
    pytester.makepyfile(TWO_TESTS.format(keys=keys, texts=models))

    result = pytester.runpytest("--max-tokens=3")

    assert result.parseoutcomes() == {"failed": 8}
    printed = result.stdout.str()
    assert "***" not in printed
    for model in models:
        assert f"  1  {model}  " in printed
