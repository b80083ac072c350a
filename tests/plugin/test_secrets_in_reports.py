"""What pytest prints of the plugin's objects shows no key."""

import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import hexa, made_up

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


#: A key in the place of a name, as whoever mixes up two arguments passes it.
NAMED = """
    import httpx
    import pytest
    from fakes import FakeChatModel

    PLANTED = {planted}

    def ask(asked="gpt-4o-mini", answered="gpt-4o-mini", **said):
        usage = {{"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
        answer = {{"object": "chat.completion", "model": answered, "usage": usage, "choices": [], **said}}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
        with httpx.Client(transport=transport, trust_env=False) as client:
            client.post("https://api.openai.com/v1/chat/completions", json={{"model": asked, "messages": []}})

    PLACES = {{
        "asked": lambda key: ask(asked=key, answered=key),
        "of a maker": lambda key: ask(asked="acme/" + key, answered="acme/" + key),
        "answered": lambda key: ask(answered=key),
        "tier": lambda key: ask(service_tier=key),
        "tag": lambda key: FakeChatModel().invoke("hi", config={{"tags": [key]}}),
    }}

    @pytest.mark.parametrize("number", range(len(PLANTED)))
    @pytest.mark.parametrize("place", PLACES)
    def test_named(place, number, llm_usage, usage_snapshot):
        with llm_usage.section(PLANTED[number]):
            PLACES[place](PLANTED[number])
        assert llm_usage == usage_snapshot
        PLACES[place](PLANTED[number])

    @pytest.mark.parametrize("key", PLANTED, ids=PLANTED)
    def test_ids(key):
        ask()
"""


def reports(pytester):
    """What a run prints and writes, without the names of tests that pytest itself prints."""
    result = pytester.runpytest(
        "-p", "syrupy", "--snapshot-update", "--max-llm-calls=1", "--llm-usage-report=why", "--llm-usage-json=run.json",
        "--llm-usage-md=run.md", "--llm-usage-html=run.html", "--llm-usage-history=runs.db", "--junit-xml=run.xml",
    )  # fmt: skip
    with closing(sqlite3.connect("runs.db")) as history:
        dumped = "\n".join(history.iterdump())
    return result, {
        "history": dumped,
        "JUnit": re.sub(r'\bname="test_ids[^"]*"', "", (pytester.path / "run.xml").read_text()),
        "terminal": result.stdout.str().split("= FAILURES =")[1].split("short test summary")[0],
        "snapshot": next((pytester.path / "__snapshots__").iterdir()).read_text(),
        **{name: (pytester.path / name).read_text() for name in ("run.json", "run.md", "run.html")},
    }


def test_a_key_that_is_passed_as_a_name_is_in_no_report(pytester, monkeypatch):
    key, value = f"sk-ant-api03-{made_up(93)}AA", "aZ9xEnvValue4711abcD"
    monkeypatch.setenv("MY_SERVICE_TOKEN", value)
    monkeypatch.setenv("GITHUB_REF_NAME", f"try-{value}")
    monkeypatch.setenv("CI_JOB_URL", "https://bot:pa55w0rd@ci.test/1")
    pytester.makepyfile(NAMED.format(planted=[key, value]))

    result, written = reports(pytester)

    assert result.parseoutcomes() == {"passed": 2, "failed": 10}
    assert [(name, each) for name, text in written.items() for each in (key, value, "pa55w0rd") if each in text] == []
    run = json.loads(written["run.json"])
    assert run["environment"]["job"] == "https://bot:***@ci.test/1"
    assert run["environment"]["branch"] == "try-***"
    # Nothing is lost with the names: each test is there, and each call.
    assert [name.partition("::")[2] for name in run["tests"] if "test_ids" in name] == [
        "test_ids[***]",
        "test_ids[***] (2)",
    ]
    assert run["totals"]["calls"] == 12
    assert run["totals"]["total_tokens"] == 12 * 10 + 15 * 2


def test_names_that_look_like_chance_are_kept(pytester, monkeypatch):
    """Of tuned models, of endpoints, and the value of a variable that is named like a key and holds a model's name."""
    monkeypatch.setenv("DEFAULT_MODEL_KEY", "gpt-4o-mini")
    names = [
        "gpt-4o-mini",
        "ft:gpt-4o-mini-2024-07-18:acme::B7xKq2Zp",
        "us.anthropic.claude-sonnet-4-5-20250929-v2:0",
        hexa(40),
    ]
    pytester.makepyfile(NAMED.format(planted=names))

    result, written = reports(pytester)

    assert result.parseoutcomes() == {"passed": 4, "failed": 20}
    assert [name for name, text in written.items() if "***" in text and name != "terminal"] == []
    run = json.loads(written["run.json"])
    assert {name.partition("::")[2] for name in run["tests"] if "test_ids" in name} == {
        f"test_ids[{name}]" for name in names
    }
    assert {call["model"] for name, test in run["tests"].items() for call in test["calls"]} >= {
        *names,
        f"acme/{names[1]}",
    }


def test_no_cassette_is_named_after_a_key(pytester):
    key = f"sk-ant-api03-{made_up(93)}AA"
    pytester.makepyfile(f"""
        import httpx
        import pytest
        from counting_server import serving

        @pytest.mark.llm_cassette(record="once")
        @pytest.mark.parametrize("key", [1], ids=[{key!r}])
        def test_ids(key, llm_usage):
            with serving() as provider:
                messages = [{{"role": "user", "content": "[10 5]"}}]
                httpx.post(provider.url + "/v1/chat/completions", json={{"model": "gpt-4o-mini", "messages": messages}})
    """)

    result = pytester.runpytest()

    printed = result.stdout.str()
    assert "has a credential in its name" in printed
    assert "Give the parameter of the test an id, pytest.param(..., id=NAME), or the cassette a name" in printed
    assert not [*pytester.path.rglob("*.yaml")]


#: A key that an answer repeats as its id, and one that names a tool and the models of a limit.
AS_ID_AND_TOOL = """
    import httpx
    import pytest

    @pytest.mark.llm_budget(max_tokens=1, model="{tool}*")
    def test_named(llm_usage):
        usage = {{"prompt_tokens": 70, "completion_tokens": 5, "total_tokens": 75}}
        answer = {{"id": "{key}", "object": "chat.completion", "model": "gpt-4o-mini", "usage": usage, "choices": []}}
        tool = {{"type": "function", "function": {{"name": "{tool}", "description": "finds birds", "parameters": {{}}}}}}
        request = {{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "hi"}}], "tools": [tool]}}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
        with httpx.Client(transport=transport, trust_env=False) as client:
            client.post("https://api.openai.com/v1/chat/completions", json=request)
        with llm_usage.section("part"):
            pass
"""


def test_a_key_that_is_the_id_of_an_answer_or_the_name_of_a_tool_is_in_no_report(pytester):
    key, tool = f"sk-ant-api03-{made_up(93)}AA", f"sk-proj-{made_up(48)}"
    pytester.makepyfile(AS_ID_AND_TOOL.format(key=key, tool=tool))

    result = pytester.runpytest(
        "--llm-usage-report=why", "--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html"
    )

    written = {name: (pytester.path / name).read_text() for name in ("run.json", "run.md", "run.html")}
    written["terminal"] = result.stdout.str()
    assert [(name, each) for name, text in written.items() for each in (key, tool) if each in text] == []
    [call] = json.loads(written["run.json"])["tests"]["test_a_key_that_is_the_id_of_an_answer_or_the_name_of_a_tool_is_in_no_report.py::test_named"]["calls"]  # fmt: skip
    assert call["response_id"] == "***"
    assert list(call["input_by_part"]["tools_by_name"]) == ["***"]


def test_a_key_among_parameters_or_given_as_a_name_is_in_no_snapshot(pytester):
    key = f"sk-proj-{made_up(48)}"
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("key", ["{key}"])
        def test_parameter(key, llm_usage, usage_snapshot):
            FakeChatModel().invoke("one")
            assert llm_usage == usage_snapshot

        def test_name(llm_usage, usage_snapshot):
            FakeChatModel().invoke("two")
            assert llm_usage == usage_snapshot(name="{key}")
    """)

    pytester.runpytest("-p", "syrupy", "--snapshot-update").assert_outcomes(passed=2)

    (file,) = (pytester.path / "__snapshots__").iterdir()
    written = file.read_text()
    assert key not in written
    assert written.count("***") == 2
    pytester.runpytest("-p", "syrupy").assert_outcomes(passed=2)
    assert pytester.runpytest("-p", "syrupy", "--snapshot-update").ret == 0
    assert file.read_text() == written


def test_the_command_that_records_again_types_no_key(pytester):
    key = f"sk-proj-{made_up(48)}"
    pytester.makepyfile(f"""
        import httpx
        import pytest

        @pytest.mark.parametrize("key", ["{key}"])
        def test_one(key, llm_usage):
            httpx.post("https://api.openai.com/v1/chat/completions", json={{"model": "m"}})

        def test_two(llm_usage):
            httpx.post("https://api.openai.com/v1/chat/completions", json={{"model": "m"}})
    """)

    printed = pytester.runpytest("--tb=no", "-q", "-rN").stdout.str()

    assert key not in printed
    assert re.search(r'^  pytest "test_\w+\.py" --llm-usage-record=stale$', printed, re.MULTILINE)
