"""Which names and values are credentials, how a text spells them, and what is masked in it."""

import json
from urllib.parse import quote

import pytest

from pytest_llm_usage.credentials import recognised
from pytest_llm_usage.credentials.mask import mask_id, mask_name, mask_text, mask_values
from pytest_llm_usage.credentials.names import (
    field_kind,
    is_account_header,
    is_credential_header,
    is_credential_name,
    is_credential_parameter,
    is_credential_variable,
    snake_case,
)
from pytest_llm_usage.credentials.values import (
    credentials_in,
    is_worth_guarding,
    longest_first,
    looks_random,
    spellings,
)

KEY, OTHER = "my-own-2024-x7", "another-2024-y8"
RANDOM = "a1b2c3d4e5f6"
LONG = "abcdefghi-abcdefghi1"

# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-Api-Key", "xApiKey", "x_api_key", "x api.key", "-X-API-KEY-"])
def test_names_are_read_in_snake_case(name):
    assert snake_case(name) == "x_api_key"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("apiKey", "always"),
            ("password", "password"),
            ("token", "token"),
            ("page_token", "never"),
            ("text", "never"),
        ),
        *((name, "password") for name in ("dbPassword", "user.passwd", "X-Pass-Phrase", "secret", "PWD")),
    ],
)
def test_fields_of_bodies(name, kind):
    assert field_kind(name) == kind
    assert is_credential_name(name) is (kind in ("always", "password"))


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (["Authorization", "Cookie", "X-Goog-Api-Key", "X-Signature", "X-Key"], is_credential_header),
        (["OpenAI-Organization", "X-Account-Id"], is_account_header),
        (["key", "access%5Ftoken", "sig", "apiKey", "token"], is_credential_parameter),
        (["MY_API_KEY", "my_api_key", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "SECRETKEY"], is_credential_variable),
    ],
)
def test_names_of_credentials(names, test):
    assert [name for name in names if not test(name)] == []


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (["Idempotency-Key", "Content-Type", "Accept"], is_credential_header),
        (["X-Request-Id", "Authorization"], is_account_header),
        (["page", "q", "page_token"], is_credential_parameter),
        (["HOME", "SSH_AUTH_SOCK", "CACHE_KEY", "TOKEN_FILE"], is_credential_variable),
    ],
)
def test_names_that_are_no_credentials(names, test):
    assert [name for name in names if test(name)] == []


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (KEY, [KEY]),
        (f"  {KEY}\n", [KEY]),
        (f"Bearer {KEY}", [f"Bearer {KEY}", KEY]),
        (f"Bearer Basic {KEY}", [f"Bearer Basic {KEY}", f"Basic {KEY}"]),
        (f"{{{KEY}", [f"{{{KEY}"]),
        # Of several keys each counts; a word of a passphrase is none.
        (f"{LONG}, {LONG[1:]}", [f"{LONG}, {LONG[1:]}", LONG]),
        (f"postgres://me:{KEY}@db.test/x", [f"postgres://me:{KEY}@db.test/x", KEY]),
        ("short-1", []),
        (
            json.dumps({"private_key": f" {KEY} ", "type": "service-account-1", "more": [{"client_secret": OTHER}]}),
            [KEY, OTHER],
        ),
        (json.dumps({"type": "service-account-1", "private_key": 5}), []),
    ],
)
def test_what_a_variable_that_is_a_credentials_holds(value, found):
    assert credentials_in({"MY_API_KEY": value}) == dict.fromkeys(found, "MY_API_KEY")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (KEY, []),
        (f"postgres://me:{KEY}@db.test/x", [KEY]),
        ("postgres://me:password@db.test/x", []),
        ("postgres://me@db.test/x", []),
        (f"//me:{KEY}@db.test", [KEY]),
        (f"me:{KEY}@db.test", []),
        (f"http://[me:{KEY}@db.test", []),
    ],
)
def test_any_other_variable_may_hold_a_url_with_a_password(value, found):
    assert credentials_in({"DATABASE": value}) == dict.fromkeys(found, "DATABASE")


@pytest.mark.parametrize(
    ("value", "guarded"),
    [
        *[("abc1234", False), ("abc12345", True), ("12345678", False), ("password", False), ("Password", True)],
        *[("a" * 19, False), ("a" * 20, True), ("redacted", False), ("<API_KEY>", False), ("undefined", False)],
        *[("/usr/bin", False), ("./abc/def1", False), ("~/abc1234", False), (f"/{RANDOM}Z{RANDOM}", True)],
    ],
)
def test_what_can_be_looked_for_everywhere(value, guarded):
    assert is_worth_guarding(value) is guarded


@pytest.mark.parametrize(
    ("value", "random"),
    [
        (RANDOM, True),
        (RANDOM[:-1], False),
        (f"key-{RANDOM}", True),
        ("hello-wonderful-world", False),
        ("helloWonderful", False),
        # Three changes in 15 characters, and in 16.
        ("abcde12345abcd1", True),
        ("abcde12345abcde1", False),
        ("20240101T120000Z", False),
        ("deadbeefdeadbeefdeadbee1", True),
        ("123456789012345678901234", False),
    ],
)
def test_what_looks_random(value, random):
    assert looks_random(value) is random


def test_how_a_text_can_spell_a_value():
    assert set(spellings('p ä"/')) == {
        'p ä"/',
        'p \\u00e4\\"/',
        'p ä\\"/',
        'p \\\\u00e4\\\\\\"/',
        'p \\u00e4\\"\\/',
        'p \\xe4"/',
        "p%20%C3%A4%22%2F",
        "p%20%C3%A4%22/",
        "p+%C3%A4%22%2F",
        "p ä&quot;/",
    }
    assert {"a&lt;b&amp;'&gt;", "a&lt;b&amp;&#x27;&gt;", "a&lt;b&amp;&#39;&gt;"} <= set(spellings("a<b&'>"))
    assert spellings("plain") == ("plain",)


def test_the_longest_value_is_replaced_first():
    assert longest_first(["ab", "b", "abc", "aa", "ab"]) == ["abc", "aa", "ab", "b"]
    assert mask_values("abcdef", ["abc", "abcdef"]) == "***"
    assert mask_values("a 'b' c", ["'b'"]) == "a *** c"


def test_a_value_that_is_not_in_the_text_hides_no_other():
    assert mask_values("my abc and !@#$%^&* here", ["abcdef", "!@#$%^&*", "abc"]) == "my *** and *** here"


# -- what was recognised -----------------------------------------------------------------------------------------


def test_credentials_of_headers_are_read_without_their_scheme():
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Accept": "application/json",
        "X-Api-Key": [OTHER, "short"],
        "Cookie": f"sid={RANDOM}; theme=dark-and-light",
        "Set-Cookie": [f"id={RANDOM[::-1]}"],
    }

    assert recognised.header_credentials(headers) == [KEY, OTHER, RANDOM, RANDOM[::-1]]
    assert recognised.bare_credential(f" token  {KEY} ") == KEY
    assert recognised.bare_credential(f"{KEY} token x") == f"{KEY} token x"


def test_what_is_not_worth_it_is_not_remembered():
    recognised.remember([KEY, "short"])

    assert recognised.remembered() == (KEY,)
    assert mask_text(f"it is {KEY}, in short") == "it is ***, in short"


#: What servers are given that want no key, and what stands in other headers that are named like a credential's.
NO_SECRETS = (
    *(
        "lm-studio",
        "not-needed",
        "test-key",
        "Test_Key",
        "testApiKey",
        "sk-no-key",
        "EMPTY-KEY",
        "no key yet",
        "key-0001",
    ),
    *(
        "gpt-4o-mini",
        "llama3.1-8b",
        "qwen2.5:7b",
        "model-v2",
        "open-sesame-now",
        "conversation-1",
        "your-key-here",
        "fake-key-for-example-code",
    ),
    *("placeholder-while-replaying", "sk-xxxxxxxxxxxxxxxxxxxxxxxx"),
)


@pytest.mark.parametrize("value", NO_SECRETS)
def test_words_in_the_place_of_a_key_are_not_remembered(value):
    recognised.remember([value])

    assert mask_text(f"test_it.py::test_answers[{value}]: {value}-community/llama") == (
        f"test_it.py::test_answers[{value}]: {value}-community/llama"
    )


@pytest.mark.parametrize(
    "value", ["pa55w0rd-1", "a8Zk2_p9Qw", "aBcDeFgH", "12345678-1", "correct horse battery", "open-sesame-open"]
)
def test_a_short_key_and_a_long_passphrase_are_remembered(value):
    recognised.remember([value])

    assert mask_text(f"it is {value}") == "it is ***"


def test_what_is_taken_out_of_all_recordings_is_certain():
    random, passphrase = RANDOM, "open-sesame-open"
    recognised.remember(["pa55w0rd-1", random, passphrase])

    assert recognised.remembered_for_sure() == [random, passphrase]


def test_the_oldest_of_many_is_forgotten():
    recognised.remember(f"num83r-{number:04}" for number in range(500))
    recognised.remember(["num83r-0000"])
    assert len(recognised.remembered()) == 500

    recognised.remember(["num83r-0500"])
    kept = recognised.remembered()
    assert (len(kept), kept[0], kept[-2:]) == (500, "num83r-0002", ("num83r-0000", "num83r-0500"))


# -- what is masked ----------------------------------------------------------------------------------------------


def test_a_credential_of_the_environment_is_masked_in_every_spelling(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "my own/2024")

    assert mask_text("my own/2024, my+own%2F2024, my%20own/2024, my own\\/2024") == "***, ***, ***, ***"
    assert (
        mask_text(f"https://h.test/x?next={quote(quote('my own/2024', safe=''), safe='')}&n=1")
        == "https://h.test/x?next=***&n=1"
    )


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://h.test/a?api_key=short&q=1", "https://h.test/a?api_key=***&q=1"),
        ("https://h.test/a?q=1&api_key=short", "https://h.test/a?q=1&api_key=***"),
        (f"https://h.test/a?key={RANDOM}", "https://h.test/a?key=***"),
        ("https://h.test/a?key=name", "https://h.test/a?key=name"),
        (f"https://h.test/a?q={RANDOM}", f"https://h.test/a?q={RANDOM}"),
        ("https://h.test/a?api_key=***", "https://h.test/a?api_key=***"),
    ],
)
def test_parameters_of_urls(text, masked):
    assert mask_text(text) == masked


def test_a_key_that_is_written_for_a_url_is_masked():
    url = f"postgres://me:{KEY}@db.test"
    once = quote(url, safe="")
    twice = quote(once, safe="")

    assert mask_text(f"see {once} and 50%25 or {twice} or a%20b") == "see *** and 50%25 or *** or a%20b"


def test_a_key_is_found_behind_many_other_parts():
    before, key = "a%20b " * 20, quote(f"postgres://me:{KEY}@db.test", safe="")

    assert mask_text(f"{before}{key} c%20d") == f"{before}*** c%20d"


def test_each_of_several_values_is_masked_whatever_is_escaped_in_it(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "my own 2024")

    assert mask_text("a=my+%6Fwn+2024 b=my%20%6Fwn%202024&c=%6Dy+own+2024 d=%6Fwn") == "a=*** b=***&c=*** d=%6Fwn"


@pytest.mark.parametrize("before", ["%FF", "%ff", "%41\ud800/"])
def test_a_key_is_found_behind_what_is_no_text(before):
    key = "sk-ant-" + RANDOM * 2
    hidden = key.replace("-", "%2D")

    masked = mask_text(f"see {before}{hidden} or a%20b")
    assert masked == f"see {before if '/' in before else ''}*** or a%20b"


def test_a_name_is_masked_where_it_looks_random_alone():
    recognised.remember([f"k-{RANDOM}", "open-sesame-open"])

    assert mask_name(f"model-k-{RANDOM}") == "model-***"
    assert mask_name("open-sesame-open") == "open-sesame-open"


def test_an_id_is_masked_of_what_was_recognised_alone(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", OTHER)
    assert mask_id(f"resp_{KEY}") == f"resp_{KEY}"

    recognised.remember([KEY])
    assert mask_id(f"resp_{KEY}_{OTHER}") == f"resp_***_{OTHER}"
