"""SDKs change, recordings stay: what is the same request although its bytes differ, and what no recording is of."""

import json
import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.cassettes import DEFAULT_MATCH_ON, Redaction, storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.matching import Recordings, changes_each_run, without_ids
from pytest_llm_usage.cassettes.not_recorded import NOT_RECORDED, is_not_recorded
from pytest_llm_usage.cassettes.provider_keys import PROVIDER_KEYS
from pytest_llm_usage.cassettes.subject import Subject, canonical_json

URL = "https://api.provider.test/v1/chat/completions"


IN = "in pytest's configuration"


def subject(body):
    return Subject(Request("POST", URL, {"content-type": ["application/json"]}, json.dumps(body).encode()), Redaction())


def position(made, *recorded):
    return Recordings([subject(body) for body in recorded], DEFAULT_MATCH_ON).take(subject(made))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.sets(st.text(min_size=4, max_size=5), max_size=3))
def test_a_member_that_is_null_is_the_same_as_none(body, names):
    assert position({**body, **dict.fromkeys(names)}, body) == 0
    assert position(body, {**body, **dict.fromkeys(names)}) == 0


def test_null_in_a_list_and_other_empty_values_are_something():
    assert position({"a": [None]}, {"a": []}) is None
    assert position({"a": ""}, {}) is None
    assert position({"a": None}, {"a": False}) is None
    assert position({"a": {"b": None}, "p": "x"}, {"a": {}, "p": "**REDACTED**"}) == 0


def conversation(first, second, *, answer="sunny"):
    return {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": first}, {"id": second}]},
            {"role": "tool", "tool_call_id": first, "content": answer},
            {"role": "tool", "tool_call_id": second, "content": f"see {first}"},
        ]
    }


MAKERS = {
    "uuid": lambda: str(uuid4()),
    "hex": lambda: uuid4().hex,
    "call": lambda: f"call_{uuid4().hex[:24]}0",
    "toolu": lambda: f"toolu_01{uuid4().hex[:22]}",
    "pydantic-ai": lambda: f"pyd_ai_{uuid4().hex}",
    "chatcmpl": lambda: f"chatcmpl-tool-{uuid4().hex}",
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_ids_made_anew_in_each_run_match_under_one_renaming(make):
    recorded = conversation(make(), make())
    assert position(conversation(make(), make()), recorded) == 0
    same = make()
    assert position(conversation(same, same), recorded) is None, "two ids are not one"
    assert position(conversation(make(), make(), answer="rain"), recorded) is None


def test_the_recording_with_the_very_ids_is_preferred():
    first, second = conversation(str(uuid4()), str(uuid4())), conversation(str(uuid4()), str(uuid4()))
    assert position(second, first, second) == 1


@given(st.text(alphabet="abcdef0123456789-_ call", max_size=60))
def test_words_are_no_ids(text):
    if not re.search(r"[0-9a-f]{32}|[0-9a-f]{8}-|_", text):
        assert without_ids(canonical_json(text)) == canonical_json(text)
    assert without_ids("call_me_maybe run_away thread_pool") == "call_me_maybe run_away thread_pool"


# What changes from run to run -------------------------------------------------------------------------------------------


def miss(cassette, path, provider, was, now):
    import httpx
    from provider_server import Refused

    url = provider.url + "/v1/chat/completions"
    storage.save(path, [Interaction(Request("POST", url, {}, json.dumps(was).encode()), Response(200))])
    with cassette() as opened, pytest.raises(Refused):
        httpx.post(url, json=now)
    return opened.failure.splitlines()


def test_what_changes_from_run_to_run_is_named_with_what_settles_it(cassette, path, provider):
    was = {"messages": [{"content": "it is 2025-03-01T10:00:00Z"}], "metadata": {"at": 1740823200}}
    now = {"messages": [{"content": "it is 2026-04-02T11:22:33Z"}], "metadata": {"at": 1775128953}}
    lines = miss(cassette, path, provider, was, now)
    assert lines[-4:] == [
        "Changes from run to run: messages[*].content, metadata.at",
        f"Leave it out of the comparison:  llm_usage_ignore_body = messages[*].content  {IN}",
        'or for one test:  @pytest.mark.llm_cassette(ignore_body=["messages[*].content"])',
        "or compare no bodies at all:  llm_usage_match_on = method host path query  in pytest's configuration",
    ]
    assert not any("Record again" in line for line in lines), "it would not help"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (1796048310.1385682, 1796048316.8379638),
        ("1796048310123456789", "1796048316222456789"),
        ("Today is November 30, 2026.", "Today is December 1, 2026."),
        ("Today is Monday, November 30th, 2026.", "Today is Tuesday, December 1st, 2026."),
        ("Heute: 30 Nov. 2026", "Heute: 1 Dec. 2026"),
        ("30/11/2026 or 30.11.2026", "01/12/2026 or 01.12.2026"),
        ("Mon Nov 30 14:18:30 2026", "Tue Dec  1 09:19:31 2026"),
        ("Mon, 30 Nov 2026 14:18:30 GMT", "Tue, 01 Dec 2026 09:19:31 GMT"),
        ("on May 3, 2026 at 2:18 PM", "on June 12, 2026 at 11:05 AM"),
        ("read /tmp/pytest-of-ann/pytest-12/test_x0/a.txt", "read /tmp/pytest-of-bob/pytest-3/test_x0/a.txt"),
    ],
)
def test_moments_and_folders_of_a_run_change_with_it(was, now):
    assert changes_each_run(was, now)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("Tell me about May 1", "Tell me about May 2"),
        ("version 1.2.3", "version 1.2.4"),
        ("at 14:18", "at 14:19"),
        ("page 30 of 2026", "page 31 of 2026"),
        ("Today is November 30, 2026.", "Today is a good day, December 1, 2026."),
        (12, 13),
        (True, False),
    ],
)
def test_what_a_person_changed_does_not(was, now):
    assert not changes_each_run(was, now)


def test_where_more_than_that_differs_it_is_recorded_again(cassette, path, provider):
    was, now = {"at": "2025-03-01", "prompt": "a"}, {"at": "2026-03-01", "prompt": "b"}
    lines = miss(cassette, path, provider, was, now)
    assert "Changes from run to run: at" in lines
    assert lines[-1].startswith("Record again:")
    lines = miss(cassette, path, provider, {"n": 1}, {"n": 2})
    assert not any("Changes from run to run" in line for line in lines)


# What is no test's business ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken", True),
        ("https://huggingface.co/gpt2/resolve/main/tokenizer.json", True),
        ("https://cdn-lfs.huggingface.co/x", True),
        ("https://router.huggingface.co/v1/chat/completions", False),
        ("https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json", True),
        ("https://raw.githubusercontent.com/somebody/data/main/rows.csv", False),
        ("https://us.i.posthog.com/batch/", True),
        ("https://o1.ingest.us.sentry.io/api/1/envelope/", True),
        ("https://api.openai.com/v1/chat/completions", False),
        ("http://[", False),
    ],
)
def test_what_libraries_fetch_and_tell(url, expected):
    assert is_not_recorded(url) is expected


def test_no_provider_is_among_them():
    for host, _ in PROVIDER_KEYS.values():
        assert not is_not_recorded(f"https://{host}/v1/chat/completions")
    assert all(path.startswith("/") for _, path, _ in NOT_RECORDED)


@pytest.mark.parametrize("mode", ["none", "once", "rewrite"])
def test_they_are_neither_recorded_nor_a_failure(cassette, path, respx_mock, mode):
    import httpx

    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    respx_mock.get(url).respond(text="vocabulary")
    with cassette(mode):
        assert httpx.get(url).text == "vocabulary"
    assert not path.exists()


def test_what_a_cassette_holds_of_them_replays(cassette, path):
    import httpx

    url = "https://huggingface.co/gpt2/resolve/main/config.json"
    storage.save(path, [Interaction(Request("GET", url), Response(200, "OK", {}, b"{}"))])
    with cassette():
        assert httpx.get(url).text == "{}"
