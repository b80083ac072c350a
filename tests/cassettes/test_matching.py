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
from pytest_llm_usage.cassettes.matching import Recordings, agrees
from pytest_llm_usage.cassettes.subject import Subject
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


# What is left out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("metadata.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("$.metadata.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("messages[*].id", {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"t": "a"}, {}], "o.d": 3}),
        ("messages[1]", {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}], "o.d": 3}),
        ("messages[*]", {"metadata": {"k": 1, "session_id": "s"}, "messages": [], "o.d": 3}),
        ('["o.d"]', {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}, {"id": 2}]}),
        ("*.session_id", {"metadata": {"k": 1}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}),
        ("nothing.there[3].x", None),
    ],
)
def test_paths(path, left):
    value = {"metadata": {"k": 1, "session_id": "s"}, "messages": [{"id": 1, "t": "a"}, {"id": 2}], "o.d": 3}
    before = json.dumps(value)
    assert JsonPath(path).without(value) == (left or value)
    assert json.dumps(value) == before


def test_ignored_places_are_not_compared():
    ignore = ["metadata.session_id", "messages[*].id"]
    recorded = subject({"metadata": {"session_id": 1}, "messages": [{"id": "a", "t": 1}]}, ignore_body=ignore)
    made = subject({"metadata": {}, "messages": [{"id": "b", "t": 1}]}, ignore_body=ignore)
    assert is_match(recorded, made)
    assert not is_match(recorded, subject({"metadata": {}, "messages": [{"t": 2}]}, ignore_body=ignore))


@pytest.mark.parametrize("path", ["", "$", "a[", "a[x]", "a]", "a b[", "[-1]"])
def test_what_is_no_path(path):
    with pytest.raises(
        ConfigurationError, match=r"is not a path in a JSON body \(examples: metadata.session_id, messages"
    ):
        JsonPath(path)


def test_what_is_no_url_matches_only_itself():
    assert is_match(subject(url="http://[bad"), subject(url="http://[bad"))
    assert not is_match(subject(url="http://[bad"), subject(url=URL))


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
