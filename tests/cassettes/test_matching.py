"""Which recording answers a request."""

import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcr import VCR

from pytest_llm_usage.cassettes import DEFAULT_MATCH_ON, MATCHERS, JsonPath, Redaction
from pytest_llm_usage.cassettes.interaction import Request
from pytest_llm_usage.cassettes.matching import Recordings, agrees, changes_each_run, is_same_scalar, without_ids
from pytest_llm_usage.cassettes.subject import Subject, canonical_json
from pytest_llm_usage.credentials.placeholders import is_placeholder
from pytest_llm_usage.errors import ConfigurationError

URL = "https://api.provider.test/v1/chat/completions"
JSON = {"content-type": ["application/json"]}
PLAIN = Redaction()


def subject(body=None, *, url=URL, method="POST", headers=JSON, ignore_body=(), redaction=PLAIN):
    encoded = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return Subject(Request(method, url, headers, encoded), redaction, [JsonPath(path) for path in ignore_body])


def is_match(recorded, made, match_on=DEFAULT_MATCH_ON):
    return Recordings([recorded], match_on).take(made) == 0


def test_every_matcher_of_vcrpy_is_known():
    assert set(MATCHERS) == set(VCR().matchers)


# What is the same -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "made"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}'),
        (b'{"a":1.0}', b'{"a":1}'),
        (b'{"a":"\\u00e9"}', '{"a":"é"}'.encode()),
        (b'{"a":1e3}', b'{"a":1000}'),
        (b"\n{ }", b"{}"),
    ],
)
def test_json_bodies_compare_as_values(recorded, made):
    assert is_match(subject(recorded), subject(made))
    assert is_match(subject(recorded, headers={}), subject(made, headers={}))
    assert not is_match(subject(recorded), subject(made), ["raw_body"])


@pytest.mark.parametrize(
    ("recorded", "made"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": None}, {"a": 0}),
        ({"a": []}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": ""}, {"a": " "}),
        ({"a": "You answer."}, {"a": "You answer. Cite."}),
    ],
)
def test_json_bodies_that_differ(recorded, made):
    assert not is_match(subject(recorded), subject(made))
    assert not is_match(subject(made), subject(recorded))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)


def identical(one, other):
    """Python's equality, but with `True` no number, and a member that is null none."""
    return repr(_floats(one)) == repr(_floats(other))


def _floats(value):
    if isinstance(value, dict):
        return {key: _floats(value[key]) for key in sorted(value) if value[key] is not None}
    if isinstance(value, list):
        return [_floats(part) for part in value]
    return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value


@given(json_values, json_values, st.booleans())
def test_values_match_exactly_if_they_are_equal(one, other, wrapped):
    one, other = ({"a": one}, {"a": other}) if wrapped else ([one], [other])
    assert is_match(subject(one), subject(other)) == identical(one, other)
    assert is_match(subject(one), subject(json.dumps(one, indent=3, sort_keys=True).encode()))


def test_forms_compare_by_their_fields():
    headers = {"Content-Type": ["application/x-www-form-urlencoded; charset=utf-8"]}
    recorded = subject(b"a=1&b=%20x", headers=headers)
    assert is_match(recorded, subject(b"b=+x&a=1", headers=headers))
    assert not is_match(recorded, subject(b"a=1&b=y", headers=headers))
    assert not is_match(recorded, subject(b"a=1", headers=headers))


def multipart(boundary, *parts):
    lines = [part for content in parts for part in (f"--{boundary}", *content)]
    body = "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
    return subject(body, headers={"content-type": [f"multipart/form-data; boundary={boundary}"]})


def test_multipart_compares_by_its_parts():
    file = ('Content-Disposition: form-data; name="file"; filename="a.txt"', "", "content\r\nmore")
    field = ('Content-Disposition: form-data; name="purpose"', "", "batch")
    recorded = multipart("abc123", file, field)
    assert is_match(recorded, multipart("zzz", file, field))
    assert not is_match(recorded, multipart("abc123", field))
    assert not is_match(recorded, multipart("abc123", (*file[:2], "other"), field))


def test_other_bodies_compare_by_their_bytes():
    assert is_match(subject(b"\x00\xff", headers={}), subject(b"\x00\xff", headers={}))
    assert not is_match(subject(b"\x00\xff", headers={}), subject(b"\x00\xfe", headers={}))
    assert not is_match(subject(b"text", headers={}), subject(b"text ", headers={}))


def test_compressed_bodies_compare_by_what_is_in_them():
    packed = {**JSON, "Content-Encoding": ["gzip"]}
    recorded = subject({"a": 1})
    assert is_match(recorded, subject(gzip.compress(b'{"a":1}', mtime=1), headers=packed))
    assert not is_match(recorded, subject(gzip.compress(b'{"a":2}', mtime=1), headers=packed))


@pytest.mark.parametrize(
    ("recorded", "made", "same"),
    [
        ("https://h.test/a?x=1&y=2", "https://h.test/a?y=2&x=1", True),
        ("https://h.test", "https://h.test/", True),
        ("https://H.test/a", "https://h.test/a", True),
        ("https://h.test:443/a", "https://h.test/a", True),
        ("https://h.test/model/a%3Ab/invoke", "https://h.test/model/a:b/invoke", True),
        ("https://me@h.test/a", "https://h.test/a", True),
        ("https://h.test./a", "https://h.test/a", True),
        ("https://[FE80::1]:8443/a", "https://[fe80::1]/a", True),
        ("https://[fe80::1]/a", "https://[fe80::2]/a", False),
        ("https://[fe80::1]/a", "https://[ae80::1]/a", False),
        ("https://h.test/a?x=1&x=2", "https://h.test/a?x=2&x=1", True),
        ("https://h.test/a", "https://h.test/b", False),
        ("https://h.test/a", "https://other.test/a", False),
        ("https://h.test/a?x=1", "https://h.test/a?x=2", False),
        ("https://h.test/a?x=1", "https://h.test/a", False),
        ("https://h.test/a", "https://h.test/A", False),
    ],
)
def test_urls(recorded, made, same):
    assert is_match(subject(url=recorded), subject(url=made)) is same


def test_scheme_and_port_count_where_they_are_asked_for():
    recorded, made = subject(url="https://h.test:8443/a"), subject(url="http://h.test/a")
    assert is_match(recorded, made)
    assert not is_match(recorded, made, ["scheme"])
    assert not is_match(recorded, made, ["port"])
    assert not is_match(recorded, made, ["uri"])
    assert is_match(subject(url="https://h.test/a"), subject(url="https://h.test:443/a"), ["url", "port"])


@pytest.mark.parametrize(
    ("recorded", "made", "same"),
    [
        ("http://h.test/a", "http://h.test:80/a", True),
        ("http://h.test:443/a", "https://h.test/a", True),
        ("http://h.test/a", "https://h.test/a", False),
        ("http://h.test:99999/a", "http://h.test:99999/a", True),
        ("http://h.test:99999/a", "http://h.test/a", False),
    ],
)
def test_a_port_that_is_not_written_is_that_of_the_scheme(recorded, made, same):
    assert is_match(subject(url=recorded), subject(url=made), ["port"]) is same


def test_headers_compare_in_any_order_with_all_their_values():
    recorded = subject(headers={"X-A": ["1", "2"], "X-B": ["3"]})
    assert is_match(recorded, subject(headers={"x-b": ["3"], "x-a": ["1", "2"]}), ["headers"])
    assert not is_match(recorded, subject(headers={"x-a": ["1"], "x-b": ["3"]}), ["headers"])


def test_headers_compare_without_those_that_change_by_themselves():
    recorded = subject(headers={"X-Version": ["1"], "User-Agent": ["a/1"], "Authorization": ["Bearer one"]})
    assert is_match(recorded, subject(headers={"x-version": ["1"], "authorization": ["Bearer two"]}), ["headers"])
    assert not is_match(recorded, subject(headers={"x-version": ["2"], "authorization": ["x"]}), ["headers"])


def test_the_method_counts():
    assert not is_match(subject(method="GET"), subject(method="DELETE"))
    assert is_match(subject(method="post"), subject(method="POST"))


# What was redacted ------------------------------------------------------------------------------------------------------


def test_redaction_comes_before_comparing():
    recorded = subject(
        {"api_key": "redacted", "q": 1},
        url="https://h.test/a?key=redacted",
        headers={**JSON, "x-api-key": ["redacted"]},
    )
    made = subject({"api_key": "secret", "q": 1}, url="https://h.test/a?key=AIza", headers={**JSON, "x-api-key": ["s"]})
    assert is_match(recorded, made, [*DEFAULT_MATCH_ON, "headers"])
    assert is_match(made, recorded, [*DEFAULT_MATCH_ON, "headers"])


@pytest.mark.parametrize(
    ("recorded", "made"),
    [
        ("**REDACTED**", URL),
        ("<URL>", URL),
        ("<API_BASE>/chat/completions", URL),
        ("<API_BASE>/chat/<ID>/messages", "https://h.test/chat/1/messages"),
        ("https://REDACTED.h.test/a", "https://eu.h.test/a"),
        ("https://api.XXXX/v1/chat/completions", URL),
        ("https://bedrock-runtime.<AWS_REGION>.amazonaws.com/m", "https://bedrock-runtime.us-east-1.amazonaws.com/m"),
        ("https://h.test/projects/<PROJECT>/models", "https://h.test/projects/mine/models"),
        ("https://h.test/a?key=REDACTED&alt=sse", "https://h.test/a?alt=sse&key=AIzaX"),
        ("https://h.test/a?user=**REDACTED**", "https://h.test/a?user=me"),
    ],
)
def test_placeholders_in_urls_stand_for_anything(recorded, made):
    assert is_match(subject(url=recorded), subject(url=made))


def test_a_placeholder_in_a_url_stands_for_no_more_than_itself():
    recorded = subject(url="https://a.<REGION>.test/projects/<PROJECT>/models?x=1")
    assert not is_match(recorded, subject(url="https://a.eu.test/projects/mine/other?x=1"))
    assert not is_match(recorded, subject(url="https://b.eu.test/projects/mine/models?x=1"))
    assert not is_match(recorded, subject(url="https://a.eu.test/projects/mine/models?x=2"))
    assert not is_match(subject(url="https://h.test/v1/<A>/v1"), subject(url="https://h.test/v1/v1"))


@pytest.mark.parametrize("body", [None, b""])
def test_a_body_that_was_not_recorded_matches_any(body):
    assert is_match(subject(body), subject({"a": 1}))
    assert not is_match(subject({"a": 1}), subject(body))


def test_a_get_without_body_is_no_gap():
    assert is_match(subject(method="GET"), subject(b"", method="GET"))
    assert not is_match(subject(method="GET"), subject({"a": 1}, method="GET"))


@pytest.mark.parametrize(
    "placeholder", ["**REDACTED**", "REDACTED", "<REDACTED>", "[REDACTED]", "<API_KEY>", "XXXXX", "FILTERED"]
)
def test_placeholders_in_bodies_stand_for_any_value_in_their_place(placeholder):
    recorded = subject({"user": placeholder, "q": ["a", placeholder]})
    assert is_match(recorded, subject({"user": "me", "q": ["a", {"any": "thing"}]}))
    assert not is_match(recorded, subject({"user": "me", "q": ["b", 1]}))
    assert not is_match(recorded, subject({"user": "me", "q": ["a"]}))
    assert not is_match(recorded, subject({"q": ["a", 1]}))
    assert not is_match(recorded, subject({"user": "me", "q": ["a", 1], "n": 1}))


def test_text_round_a_placeholder_is_a_prompt_like_any_other():
    assert not is_match(subject({"p": "Answer in <LANGUAGE>."}), subject({"p": "Answer in French."}))


@pytest.mark.parametrize(
    "text", ["hidden", "redacted twice", "removed", "a", "", "dummy", "masked man", "filtered", "x"]
)
def test_words_are_no_placeholders(text):
    assert not is_placeholder(text)


def test_forms_with_placeholders():
    headers = {"content-type": ["application/x-www-form-urlencoded"]}
    recorded = subject(b"grant_type=refresh_token&refresh_token=<TOKEN>&client_id=<GOOGLE_CLIENT_ID>", headers=headers)
    made = b"client_id=1.apps&grant_type=refresh_token&refresh_token=1//0abc"
    assert is_match(recorded, subject(made, headers=headers))
    assert not is_match(recorded, subject(made.replace(b"=refresh_token", b"=code"), headers=headers))


def test_a_form_of_other_fields_is_another_whatever_was_taken_out():
    headers = {"content-type": ["application/x-www-form-urlencoded"]}
    recorded = subject(b"a=<A>&b=2", headers=headers)
    assert is_match(recorded, subject(b"a=1&b=2", headers=headers))
    assert not is_match(recorded, subject(b"c=1&b=2", headers=headers))
    assert not is_match(recorded, subject(b"a=1", headers=headers))
    assert not is_match(recorded, subject(b"a=1&b=3", headers=headers))
    assert not is_match(recorded, subject({"a": "1", "b": "2"}))


@pytest.mark.parametrize(
    ("recorded", "has_gaps"),
    [
        (subject({"a": 1}), False),
        (subject({"a": ["b", {"c": "REDACTED"}]}), True),
        (subject({"a": "the key redacted here"}), True),
        (subject({"REDACTED": "a"}), False),
        (subject(b"the key REDACTED", headers={}), False),
        (subject({"a": 1}, url="<URL>"), True),
        (subject({"a": 1}, url="https://h.test/<PROJECT>/a"), True),
        (subject({"a": 1}, url="https://h.test/a?key=redacted"), True),
        (subject({"a": 1}, method="REDACTED"), True),
        (subject(b"a=1", headers={"content-type": ["application/x-www-form-urlencoded"]}), False),
        (subject(b"REDACTED=1", headers={"content-type": ["application/x-www-form-urlencoded"]}), False),
        (subject(b"b=1&a=<A>", headers={"content-type": ["application/x-www-form-urlencoded"]}), True),
        *[(subject(method=method), False) for method in ("GET", "HEAD", "OPTIONS", "TRACE", "DELETE")],
        *[(subject(method=method), True) for method in ("POST", "PUT", "PATCH")],
    ],
)
def test_what_leaves_something_out(recorded, has_gaps):
    assert recorded.has_gaps is has_gaps


@pytest.mark.parametrize(
    ("recorded", "made", "same"),
    [
        ("one redacted two", "one qwerty123456 two", True),
        ("one redacted two", "one redacted two", True),
        ("one redacted two", "one short two", False),
        ("one redacted two", "one qwerty123456 three", False),
        ("one redacted two", "a qwerty123456 two", False),
        ("redacted and redacted.", "qwerty123456 and asdfgh123456.", True),
        ("redacted and redacted.", "qwerty123456 and redacted.", True),
        ("redacted and redacted.", "qwerty123456 or asdfgh123456.", False),
        ("redacted and redacted.", "qwerty123456 and short.", False),
        ("redacted and redacted.", "short and qwerty123456.", False),
        ("one and redacted and redacted.", "one and qwerty123456 and asdfgh123456.", True),
        ("redacted and redacted and redacted.", "qwerty123456 and asdfgh123456 and zxcvbn123456.", True),
        ("one redacted two", "one qwerty123456 two more", False),
        ("one redacted", "one qwerty123456", True),
        ("one redacted.", "one q.w.qwerty123456.", True),
        ("aredacteda", "a", False),
        ("one", "one qwerty123456", False),
    ],
)
def test_a_credential_that_was_taken_out_of_a_text_stands_for_one(recorded, made, same):
    assert is_match(subject({"p": recorded}), subject({"p": made})) is same
    assert (
        is_match(subject({"a": 1}, url=f"https://h.test/{recorded}"), subject({"a": 1}, url=f"https://h.test/{made}"))
        is same
    )


@pytest.mark.parametrize("part", ["scheme", "host", "port", "path", "query", "method", "body"])
def test_of_a_url_that_was_taken_out_nothing_is_compared_but_what_is_beside_it(part):
    recorded = subject({"a": 1}, url="**REDACTED**", method="GET")
    assert agrees(part, recorded, subject({"a": 2}, url="http://other.test:1/b?c=1")) is (
        part not in ("method", "body")
    )


@pytest.mark.parametrize(
    ("part", "same"), [("scheme", True), ("host", True), ("port", True), ("path", False), ("query", False)]
)
def test_of_a_base_that_was_taken_out_the_rest_is_compared(part, same):
    recorded = subject({"a": 1}, url="<API_BASE>/chat")
    assert agrees(part, recorded, subject({"a": 1}, url="http://other.test:1/other?c=1")) is same
    assert agrees(part, recorded, subject({"a": 1}, url="http://other.test:1/v1/chat"))


@pytest.mark.parametrize(
    ("recorded", "made", "same"),
    [
        ("a=<A>&b=1", "b=1&a=x", True),
        ("a=in <A> of&b=1", "b=1&a=in x of", True),
        ("a=[REDACTED]&b=1", "b=1&a=x", True),
        ("a=<A>&b=1", "a=x&b=2", False),
        ("a=<A>&b=1", "a=x&c=1", False),
        ("a=<A>&b=1", "a=x", False),
        ("a=<A>", "a=x&b=1", False),
    ],
)
def test_a_query_with_placeholders_agrees_field_by_field(recorded, made, same):
    url = "https://h.test/a?"
    assert is_match(subject({"a": 1}, url=url + recorded), subject({"a": 1}, url=url + made)) is same


def test_each_piece_between_placeholders_is_found_behind_the_one_before():
    recorded = subject({"a": 1}, url="https://h.test/<A>/k/<B>/k/<C>")
    assert is_match(recorded, subject({"a": 1}, url="https://h.test/1/k/2/k/3"))
    assert not is_match(recorded, subject({"a": 1}, url="https://h.test/1/k/2/3"))
    recorded = subject({"a": 1}, url="https://h.test/<A>/k/<B>/k")
    assert is_match(recorded, subject({"a": 1}, url="https://h.test/1/k/2/k"))
    assert not is_match(recorded, subject({"a": 1}, url="https://h.test/1/k/k"))


@pytest.mark.parametrize(
    ("one", "other"), [({"a": 1}, 1), ({"a": 1}, [1]), ([1], 1), ({}, None), ([], None), ([1, 2], [1]), ("a", {"a": 1})]
)
def test_beside_a_placeholder_values_of_two_kinds_differ(one, other):
    assert not is_match(subject({"p": "<A>", "q": one}), subject({"p": "x", "q": other}))
    assert not is_match(subject({"p": "<A>", "q": other}), subject({"p": "x", "q": one}))


def test_a_method_that_was_taken_out_is_any():
    assert is_match(subject({"a": 1}, method="REDACTED"), subject({"a": 1}))


def test_bytes_that_were_not_recorded_are_any_and_others_are_compared():
    assert is_match(subject(None), subject({"a": 1}), ["raw_body"])
    gap = {"url": "https://h.test/<A>"}
    assert is_match(subject({"a": 1}, **gap), subject({"a": 1}, url="https://h.test/b"), ["raw_body"])
    assert not is_match(subject({"a": 1}, **gap), subject({"a": 2}, url="https://h.test/b"), ["raw_body"])
    headers = {**JSON, "x-version": ["1"]}
    assert not is_match(subject({"a": 1}, headers=headers, **gap), subject({"a": 1}), ["headers"])
    assert is_match(subject({"a": 1}, headers=headers, **gap), subject({"a": 2}, headers=headers), ["headers"])


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("scheme", {"url": "http://h.test/b"}),
        ("port", {"url": "https://h.test:1/b"}),
        ("headers", {"headers": {"x": ["1"]}}),
    ],
)
def test_beside_a_placeholder_every_other_part_counts_as_ever(part, other):
    recorded, made = subject(url="https://h.test/<A>"), {"url": "https://h.test/b"}
    assert is_match(recorded, subject(**made), ["path", part])
    assert not is_match(recorded, subject(**made | other), ["path", part])


def test_beside_a_placeholder_a_text_of_json_is_no_plain_text():
    gap, plain = {"url": "https://h.test/<A>"}, {"content-type": ["text/plain"]}
    made = {"url": "https://h.test/b"}
    assert is_match(subject("hi", **gap), subject("hi", **made))
    assert not is_match(subject("hi", **gap), subject(b"hi", headers=plain, **made))
    assert not is_match(subject(b"hi", headers=plain, **gap), subject("hi", **made))


@pytest.mark.parametrize("value", [True, 1, 1.5, None, [1], {"a": 1}])
def test_a_placeholder_stands_for_a_value_of_any_kind(value):
    assert is_match(subject({"p": "<VALUE>", "q": 1}), subject({"p": value, "q": 1}))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        *[(1, 1.0, True), (True, True, True), (None, None, True), ("a", "a", True)],
        *[(1, True, False), (False, 0, False), (True, False, False), (None, 0, False), ("1", 1, False)],
        *[("a", "b", False), (1, 2, False)],
    ],
)
def test_scalars_of_json(one, other, same):
    assert is_same_scalar(one, other) is same
    assert is_same_scalar(other, one) is same
    assert is_match(subject({"p": "<VALUE>", "q": one}), subject({"p": "x", "q": other})) is same


def test_the_canonical_text_of_a_value():
    assert canonical_json({"b": 1.0, "a": [None, {"x": None, "y": 1.5}], "é": "ü", "c": True}) == (
        '{"a":[null,{"y":1.5}],"b":1,"c":true,"é":"ü"}'
    )


KEY = "my-own-2024-x7"


def test_a_body_that_repeats_its_own_key_matches_as_it_was_sent():
    made = subject({"note": f"it is {KEY}"}, headers={**JSON, "authorization": [f"Bearer {KEY}"]})
    other = subject({"note": "it is another"})
    kept = subject({"note": f"it is {KEY}"})
    taken = subject({"note": "it is redacted"})

    assert made.as_sent is not None
    assert kept.as_sent is None
    assert Recordings([other, kept, kept], DEFAULT_MATCH_ON).take(made) == 1
    recordings = Recordings([kept, taken], DEFAULT_MATCH_ON)
    assert [recordings.take(made) for _ in range(3)] == [1, 0, None]
    assert Recordings([other], DEFAULT_MATCH_ON).take(made) is None


def test_a_body_that_repeats_its_own_key_is_compared_without_what_is_ignored():
    ignore = {"ignore_body": ["n"]}
    made = subject({"note": KEY, "n": 1}, headers={**JSON, "authorization": [f"Bearer {KEY}"]}, **ignore)
    assert is_match(subject({"note": KEY, "n": 2}, **ignore), made)
    assert not is_match(subject({"note": "other", "n": 2}, **ignore), made)


def test_a_recording_that_says_everything_comes_first():
    recordings = Recordings([subject(None), subject({"a": 1})], DEFAULT_MATCH_ON)
    assert [recordings.take(subject({"a": 1})) for _ in range(3)] == [1, 0, None]


# Order ------------------------------------------------------------------------------------------------------------------


def test_equal_requests_get_their_recordings_in_order_and_each_once():
    recordings = Recordings([subject({"a": 1}), subject({"a": 2}), subject({"a": 1})], DEFAULT_MATCH_ON)
    assert [recordings.take(subject({"a": 1})) for _ in range(3)] == [0, 2, None]
    assert recordings.played == {0, 2}


def test_the_last_recording_repeats_where_that_is_asked_for():
    recordings = Recordings([subject({"a": 1}), subject({"a": 1})], DEFAULT_MATCH_ON, repeat=True)
    assert [recordings.take(subject({"a": 1})) for _ in range(4)] == [0, 1, 1, 1]
    assert recordings.take(subject({"a": 2})) is None


def test_a_further_condition():
    recordings = Recordings([subject(), subject()], DEFAULT_MATCH_ON)
    assert recordings.take(subject(), lambda index: index == 1) == 1
    assert recordings.take(subject(), lambda index: index == 1) is None


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_any_order_of_requests(recorded, made):
    recordings = Recordings([subject({"n": number}) for number in recorded], DEFAULT_MATCH_ON)
    left = {number: [at for at, other in enumerate(recorded) if other == number] for number in range(4)}
    for number in made:
        expected = left[number].pop(0) if left[number] else None
        assert recordings.take(subject({"n": number})) == expected


def test_the_last_recording_repeats_only_where_its_condition_holds():
    recordings = Recordings([subject(), subject()], DEFAULT_MATCH_ON, repeat=True)
    assert [recordings.take(subject(), lambda index: index == 0) for _ in range(2)] == [0, 0]


# Ids that are made anew in each run -------------------------------------------------------------------------------------


def identified(number, **how):
    return subject({"id": f"call_{number:024}", "q": 1}, **how)


GEMINI = "https://generativelanguage.googleapis.com/{}/models/gemini-2.5-flash:generateContent"
VERTEX = "https://us-central1-aiplatform.googleapis.com/{}/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"


@pytest.mark.parametrize("url", [GEMINI, VERTEX], ids=["gemini", "vertex"])
@pytest.mark.parametrize("versions", [("v1beta", "v1"), ("v1", "v1beta"), ("v1beta1", "v1"), ("v1alpha", "v1beta")])
def test_the_versions_of_google_s_api_are_one(url, versions):
    recorded, made = (subject({"contents": []}, url=url.format(version)) for version in versions)
    assert is_match(recorded, made)
    assert not is_match(recorded, subject({"contents": ["more"]}, url=url.format(versions[1])))


@pytest.mark.parametrize(
    ("recorded", "made"),
    [
        (GEMINI.format("v1beta"), GEMINI.format("v2")),
        (GEMINI.format("v1beta"), GEMINI.format("v1").replace("flash", "pro")),
        (GEMINI.format("v1beta"), GEMINI.format("v1").replace("generateContent", "countTokens")),
        ("https://api.provider.test/v1beta/models/m:ask", "https://api.provider.test/v1/models/m:ask"),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/a",
            "https://generativelanguage.googleapis.com/v1/files/a",
        ),
    ],
)
def test_other_paths_and_other_hosts_versions_are_others(recorded, made):
    assert not is_match(subject({}, url=recorded), subject({}, url=made))


def test_ids_are_numbered_in_the_order_in_which_they_appear():
    text = '["call_abc123DEF","toolu_01XYZabcd","call_abc123DEF"]'
    assert without_ids(text) == '["<id 0>","<id 1>","<id 0>"]'


def test_a_request_with_other_ids_gets_a_recording_only_where_none_has_its_own():
    recordings = Recordings([identified(1), identified(2), subject({"q": 1})], DEFAULT_MATCH_ON)
    assert [recordings.take(identified(2)) for _ in range(2)] == [1, None]
    assert [recordings.take(identified(3)) for _ in range(2)] == [0, None]


def test_a_recording_that_says_less_is_preferred_to_one_with_other_ids():
    recordings = Recordings([subject(None), identified(1)], DEFAULT_MATCH_ON)
    assert [recordings.take(identified(2)) for _ in range(2)] == [0, None]
    note = {"q": f"call_{2:024}", "note": KEY}
    made = subject(note, headers={**JSON, "authorization": [f"Bearer {KEY}"]})
    with_other_ids = subject({"q": f"call_{1:024}", "note": "redacted"})
    assert is_match(with_other_ids, made)
    recordings = Recordings([subject(note), with_other_ids], DEFAULT_MATCH_ON)
    assert [recordings.take(made) for _ in range(2)] == [0, None]


def test_other_ids_are_the_same_nowhere_but_in_the_body():
    assert not is_match(identified(1), identified(2, url="https://h.test/other"))
    assert not is_match(identified(1), identified(2), ["method", "raw_body"])
    assert is_match(identified(1), identified(2), ["method", "path"])
    text = [subject(f"call_{number:024}".encode(), headers={}) for number in (1, 2)]
    assert not is_match(*text)


def test_a_recording_whose_url_was_taken_out_is_none_of_other_ids_unless_no_url_is_compared():
    recorded = identified(1, url="<URL>")
    assert not is_match(recorded, identified(2))
    assert is_match(recorded, identified(2), ["method", "body"])


@pytest.mark.parametrize(
    ("was", "now", "changes"),
    [
        ("at 2025-03-01T10:00:00Z", "at 2026-04-02T11:22:33Z", True),
        ("2025-03-01", "2026-04-02", True),
        (1740823200, 1775128953, True),
        (1740823200000, 1775128953000, True),
        (f"call_{1:024}", f"call_{2:024}", True),
        ("at 2025-03-01", "on 2025-03-02", False),
        ("2025-03-01", f"call_{1:024}", False),
        ("a", "b", False),
        ("a", "a", False),
        ("<a>", "<a>", False),
        (1, 2, False),
        (["2025-03-01"], ["2026-04-02"], False),
        ("2025-03-01", ["2025-03-01"], False),
        ("['2025-03-01']", ["2026-04-02"], False),
        ("2025-03-01", "2025-03-01", False),
        ("2025-03-01 and <moment>", "<moment> and 2026-04-02", False),
        (None, "2025-03-01", False),
    ],
)
def test_what_differs_in_moments_and_ids_alone(was, now, changes):
    assert changes_each_run(was, now) is changes
    assert changes_each_run(now, was) is changes


# What is left out -------------------------------------------------------------------------------------------------------


VALUE = {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("metadata.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("$.metadata.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("messages[*].id", {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"t": "a"}, {}], "o.d": 3}),
        ("messages[1]", {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}], "o.d": 3}),
        ("messages[*]", {"metadata": {"k": 1, "session_id": "s"}, "messages": [], "o.d": 3}),
        ('$.["o.d"]', {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}, {"id": 2}]}),
        ('["o.d"]', {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}, {"id": 2}]}),
        ("*.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("  messages[1].id ", {**VALUE, "messages": [{"id": 1, "t": "a"}, {}]}),
        ("messages[0]['t']", {**VALUE, "messages": [{"id": 1}, {"id": 2}]}),
        (".metadata.*", {**VALUE, "metadata": {}}),
        ("*[0]", {**VALUE, "messages": [{"id": 2}]}),
        ("*", {}),
        ("messages[7]", None),
        ("messages.id", None),
        ("metadata[0]", None),
        ("metadata.k.x", None),
        ("nothing.there[3].x", None),
    ],
)
def test_paths(path, left):
    before = json.dumps(VALUE)
    assert JsonPath(path).without(VALUE) == (VALUE if left is None else left)
    assert json.dumps(VALUE) == before


def test_ignored_places_are_not_compared():
    ignore = ["metadata.session_id", "messages[*].id"]
    recorded = subject({"metadata": {"session_id": 1}, "messages": [{"id": "a", "t": 1}]}, ignore_body=ignore)
    made = subject({"metadata": {}, "messages": [{"id": "b", "t": 1}]}, ignore_body=ignore)
    assert is_match(recorded, made)
    assert not is_match(recorded, subject({"metadata": {}, "messages": [{"t": 2}]}, ignore_body=ignore))


def test_ignored_fields_of_a_form_are_not_compared():
    headers = {"content-type": ["application/x-www-form-urlencoded"]}
    recorded = subject(b"a=1&b=2&c=3", headers=headers, ignore_body=["b", "c"])
    assert is_match(recorded, subject(b"a=1&b=4", headers=headers, ignore_body=["b", "c"]))
    assert not is_match(recorded, subject(b"a=2&b=2&c=3", headers=headers, ignore_body=["b", "c"]))


@pytest.mark.parametrize(
    ("recorded", "made"),
    [(b"b one", b"b two"), (b"bb one", b"b one"), (b"\xff\x00", b"\xff\x01")],
    ids=["text", "letters", "bytes"],
)
def test_of_a_body_without_members_nothing_is_ignored(recorded, made):
    ignore = {"headers": {}, "ignore_body": ["b"]}
    assert is_match(subject(recorded, **ignore), subject(recorded, **ignore))
    assert not is_match(subject(recorded, **ignore), subject(made, **ignore))


@pytest.mark.parametrize("path", ["", "$", "$.", "..a", "$..a", "a..b", "a[", "a[x]", "a]", "a b[", "[-1]"])
def test_what_is_no_path(path):
    with pytest.raises(ConfigurationError) as refused:
        JsonPath(path)
    assert str(refused.value) == (
        f"{path!r} is not a path in a JSON body (examples: metadata.session_id, messages[*].id)"
    )


def test_what_is_no_url_matches_only_itself():
    assert is_match(subject(url="http://[bad"), subject(url="http://[bad"))
    assert not is_match(subject(url="http://[bad"), subject(url=URL))
    assert not is_match(subject(url="http://[bad"), subject(url="http://[worse"))
    assert not is_match(subject(url="http://[bad"), subject({"a": 1}, url="https://h.test/"))


@pytest.mark.parametrize("count", [6, 2_000])
def test_many_placeholders_in_a_url_take_no_time(count):
    recorded = Subject(Request("GET", "https://x.test/" + "<a>/a" * count + "/end"), Redaction())
    made = Subject(Request("GET", "https://x.test/" + "/a" * count * 2 + "/other"), Redaction())
    assert not agrees("path", recorded, made)


@given(st.lists(st.sampled_from(["<a>", "a", "b", "ab", "/"]), max_size=8), st.text("ab/", max_size=12))
def test_placeholders_match_as_a_pattern_would(pieces, made):
    from pytest_llm_usage.cassettes.matching import _text_agrees

    pattern = "".join(".*" if piece == "<a>" else piece for piece in pieces)
    assert _text_agrees("".join(pieces), made) is (re.fullmatch(pattern, made) is not None)
