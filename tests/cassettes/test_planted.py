"""A table of planted secrets: kinds of keys, where they stand, how they are encoded; and of texts that only look like one.

Each goes the way of every recording: redacted, looked through, rendered. It must be gone, or the save must be refused
without telling it. What is no secret is neither touched nor refused.
"""

import base64
import gzip
import html
import json
import quopri
import re
import sys
import zlib
from itertools import pairwise, product
from pathlib import Path
from urllib.parse import quote, quote_plus

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from planted_keys import ALIKE, JWT, TAILS, b64, hexa, keys, made_up

from pytest_llm_usage.cassettes import Redaction, writer
from pytest_llm_usage.cassettes.content import decode_body
from pytest_llm_usage.cassettes.decoded_texts import layers_of
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.credentials.shapes import SHAPES, shapes_in
from pytest_llm_usage.credentials.values import looks_random
from pytest_llm_usage.errors import SecretError

sys.path.append(str(Path(__file__).parents[1] / "wire"))
from bodies import aws_stream, ndjson, sse

URL = "https://api.openai.com/v1/chat/completions"
TOOL = "https://tools.provider.test/search"
KEYS = list(keys())
JSON = {"content-type": ["application/json"]}
CHAT = b'{"model": "m", "messages": []}'


def chat(text="hi", answer="ok", answer_headers=JSON):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    answer = (
        answer if isinstance(answer, bytes) else json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
    )
    return Interaction(Request("POST", URL, JSON, body), Response(200, "OK", answer_headers, answer))


def tool(body=b"{}", headers=JSON, url=TOOL, answer=b"{}", answer_headers=JSON, reason="OK"):
    return Interaction(Request("POST", url, headers, body), Response(200, reason, answer_headers, answer))


def nested(text, times):
    for _ in range(times):
        text = json.dumps({"result": text})
    return text


def dot_net(text):
    """JSON in JSON as .NET writes it: quotes as `\\u0022`."""
    inner = json.dumps({"text": text}).replace('"', "\\u0022")
    return b'{"messages": [{"content": "' + inner.encode() + b'"}]}'


def part(headers, content):
    return b"--xyz\r\n" + headers + b"\r\n\r\n" + content + b"\r\n--xyz--\r\n"


def multipart(headers, content):
    return tool(part(headers, content), {"content-type": ["multipart/form-data; boundary=xyz"]})


def delta(piece, index=0):
    return {"id": "c", "choices": [{"index": index, "delta": {"content": piece}}]}


def pieces(text):
    return [text[start : start + 5] for start in range(0, len(text), 5)]


#: Where a key stands and how it is encoded.
PLACES = {
    "prompt": lambda key: chat(f"see {key} ok"),
    "prompt, after a newline": lambda key: chat(f"see\n{key}\nok"),
    "prompt, after a tab": lambda key: chat(f"see\t{key}\tok"),
    "prompt, after an emoji": lambda key: chat(f"see\N{KEY}{key}"),
    "prompt, after a CJK character": lambda key: chat(f"see键{key}键"),
    "prompt, after U+2028": lambda key: chat(f"see\u2028{key}"),
    "prompt, in colour": lambda key: chat(f"see \x1b[1;31m{key}\x1b[0m"),
    "prompt, after a name": lambda key: chat(f"MY_KEY={key} and KEY_{key}"),
    "prompt, in code": lambda key: chat(f'client = Client("one\\n{key}")'),
    "prompt, JSON": lambda key: chat(nested(f"a\n{key}", 1)),
    "prompt, JSON in JSON": lambda key: chat(nested(f"a\n{key}", 2)),
    "prompt, JSON six deep": lambda key: chat(nested(f"a\n{key}", 6)),
    "prompt, JSON of .NET": lambda key: tool(dot_net(f"a\n{key}"), url=URL),
    "prompt, base64": lambda key: chat(f"data: {b64(f'(the key) {key}')}"),
    "prompt, base64 in lines": lambda key: chat(base64.encodebytes(f"{'words ' * 20}\n{key}".encode()).decode()),
    "prompt, base64 of gzip": lambda key: chat(base64.b64encode(gzip.compress(key.encode())).decode()),
    "prompt, percent": lambda key: chat("".join(f"%{byte:02x}" for byte in key.encode())),
    "prompt, HTML": lambda key: chat("".join(f"&#{ord(char)};" for char in key)),
    "prompt, hexadecimal": lambda key: chat(key.encode().hex()),
    "answer": lambda key: chat(answer=f"it is {key}."),
    "answer, after a newline": lambda key: chat(answer=f"it is\n{key}"),
    "answer, gzip": lambda key: chat(answer=gzip.compress(f"it is {key}".encode()), answer_headers={"content-encoding": ["gzip"]}),
    "answer, br in zstd": lambda key: chat(
        answer=zstandard.compress(brotli.compress(f"it is {key}".encode())), answer_headers={"content-encoding": ["br, zstd"]}
    ),
    "answer, gzip without a header": lambda key: chat(answer=gzip.compress(f"it is {key}".encode())),
    "answer, zlib without a header": lambda key: chat(answer=zlib.compress(f"it is {key}".encode())),
    "answer, one stray byte": lambda key: chat(answer=b"\xff it is " + key.encode()),
    "answer, UTF-16": lambda key: chat(answer=f"it is {key}".encode("utf-16")),
    "stream": lambda key: chat(answer=sse(delta(f"it is {key}."))),
    "stream, in pieces": lambda key: chat(answer=sse(*map(delta, pieces(f"it is {key} .")))),
    "stream, two answers in pieces": lambda key: chat(
        answer=sse(*(event for piece in pieces(f"it is {key} .") for event in (delta("other words", 1), delta(piece))))
    ),
    "NDJSON, in pieces": lambda key: chat(answer=ndjson(*({"message": {"content": piece}} for piece in pieces(f"a {key} .")))),
    "AWS stream, in pieces": lambda key: chat(
        answer=aws_stream(*(("chunk", {"completion": piece}) for piece in pieces(f"a {key} .")))
    ),
    "header": lambda key: tool(headers={"x-note": [f"see {key}".replace("\n", " ")]}),
    "header of the answer": lambda key: tool(answer_headers={"x-note": [f"see {key}".replace("\n", " ")]}),
    "reason": lambda key: tool(reason=f"no {key}"),
    "path": lambda key: tool(url=f"{TOOL}/{quote(key, safe='')}/x"),
    "query": lambda key: tool(url=f"{TOOL}?q={quote(key, safe='')}"),
    "form": lambda key: tool(f"q={quote(key)}".encode(), {"content-type": ["application/x-www-form-urlencoded"]}),
    "multipart": lambda key: multipart(b'Content-Disposition: form-data; name="q"', key.encode()),
    "multipart, JSON": lambda key: multipart(b"Content-Type: application/json", json.dumps({"q": f"a\n{key}"}).encode()),
    "multipart, base64": lambda key: multipart(b"Content-Transfer-Encoding: base64", base64.encodebytes(f"a {key}".encode())),
    "multipart, a compressed file": lambda key: multipart(b"Content-Type: application/gzip", gzip.compress(key.encode())),
    "name of a field": lambda key: tool(json.dumps({key: 1}).encode()),
}  # fmt: skip


def spelled(secret):
    """The secret as a file could hold it."""
    yield secret.encode()
    yield json.dumps(secret)[1:-1].encode()
    yield quote(secret, safe="").encode()


def secret_part(shape, key):
    """What must not be seen of a key."""
    (_, begin, end) = next(found for found in shapes_in(key) if found[0] is shape)
    return key[begin:end]


def planted_in(place):
    """The keys that are planted there: everything in a prompt and in the pieces of a stream, elsewhere each third."""
    number = list(PLACES).index(place)
    return KEYS if place in ("prompt", "stream, in pieces") else KEYS[number % 3 :: 3]


@pytest.mark.parametrize("place", PLACES)
def test_no_planted_key_reaches_a_file(place):
    leaked = []
    for shape, key in planted_in(place):
        secret = secret_part(shape, key)
        try:
            data = writer.render(sanitize([PLACES[place](key)], Redaction(), shown_path="c.yaml"))
        except SecretError as error:
            leaked += [(shape.rule, key)] if secret in str(error) else []
        else:
            # A place of this kind is redacted by its name: a signature in a URL.
            leaked += [(shape.rule, key)] if shape.rule != "own-azure-signed-url" or secret.encode() in data else []
    assert leaked == []


def test_there_are_enough_planted_keys():
    assert sum(len(planted_in(place)) for place in PLACES) >= 4000


@pytest.mark.parametrize(
    ("shape", "key"), KEYS, ids=[f"{shape.rule}-{number}" for number, (shape, _) in enumerate(KEYS)]
)
def test_each_rule_finds_its_keys_and_no_other_does(shape, key):
    assert [found for found, _, _ in shapes_in(f"see {key} ok")] == [shape]


def test_no_rule_can_be_lost():
    """Keys are made of the table of rules, so a rule or a start of keys that leaves it must be missed by its keys' table."""
    assert {(shape.starts[0], shape.rule) for shape in SHAPES} == set(TAILS)
    assert len(KEYS) == 301


def test_every_repetition_in_a_rule_is_bounded():
    """So that no text takes more time than its length: there is nothing that a rule could go back over for ever."""
    for shape in SHAPES:
        assert not re.search(r"(?<!\\)(?<!\[)[*+](?![^\[]*\])", re.sub(r"\\.|\[[^\]]*\]", "x", shape.rest)), shape.rule
        assert not re.search(r"\{\d+,\}", shape.rest), shape.rule


@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda key: f"a\n{key}",
        lambda key: json.dumps({"a": f"b\n{key}"}),
        html.escape,
        lambda key: f"\x1b[31m{key}\x1b[0m",
        lambda key: f"\\x1b[31m{key}\\x1b[0m",
        lambda key: f"[31m{key}[0m",
        lambda key: f"{TOOL}?q={quote(key, safe='')}",
        lambda key: f"{TOOL}?next={quote(quote(key, safe=''), safe='')}&n=1",
    ],
)
def test_no_text_for_people_shows_a_key(spell):
    for shape, key in KEYS:
        shown = mask_text(f"provider said: {spell(key)} (401)")
        assert not [secret for secret in spelled(secret_part(shape, key)) if secret.decode() in shown], shape.rule
        assert "provider said: " in shown


#: How settings, source code, commands, markup and people give a key that has no shape of its own.
ASSIGNED = {
    "variable": "DATADOG_API_KEY={}",
    "exported": 'export DATADOG_SECRET="{}"',
    "Dockerfile": "ENV DATADOG_TOKEN {}",
    "YAML": "datadog:\n  api_key: {}\n",
    "YAML of Kubernetes": "- name: DATADOG_API_KEY\n  value: {}\n",
    "a name of one's own": "datadog_token: '{}'",
    "JSON in prose": 'use {{"name": "x", "datadog_api_key": "{}"}} please',
    "JSON of names and values": '[{{"name": "DATADOG_API_KEY", "value": "{}"}}]',
    "an argument": 'client = datadog.Client(api_key="{}")',
    "a dictionary": "{{'datadog_secret': '{}'}}",
    "an item": 'os.environ["DATADOG_API_KEY"] = "{}"',
    "two arguments": "headers.set('x-api-key', '{}')",
    "JavaScript": "const datadogApiKey = '{}';",
    "PHP": "'secret_key' => '{}',",
    "TOML": 'client_secret = "{}"',
    "a header": "curl -H 'X-Api-Key: {}' https://api.datadog.test",
    "a bearer": 'curl -H "Authorization: Bearer {}"',
    "another scheme": "Authorization: ApiKey {}",
    "an option": "datadog --api-key {} run",
    "an option with a sign": "datadog --token={} run",
    "an attribute": '<add key="apiKey" value="{}"/>',
    "an element": "<apiKey>{}</apiKey>",
    "a parameter": "https://api.datadog.test/v1?api_key={}&x=1",
    "a sentence": "my api key is {}, thanks",
}
UNSHAPED = {
    "16": "zpu3d739n4ogn7tj",
    "hexadecimal": hexa(44),
    "33": made_up(33),
    "marks": f"{made_up(20)}/{made_up(19)}=",
}


@pytest.mark.parametrize("how", ASSIGNED)
@pytest.mark.parametrize("kind", UNSHAPED)
def test_a_key_without_a_shape_is_told_by_its_name(how, kind):
    text, secret = ASSIGNED[how].format(UNSHAPED[kind]), UNSHAPED[kind]
    assert secret not in mask_text(text)
    for place in (
        "prompt",
        "prompt, after a newline",
        "prompt, JSON in JSON",
        "stream, in pieces",
        "multipart, JSON",
        "answer",
    ):
        try:
            data = writer.render(sanitize([PLACES[place](text)], Redaction(), shown_path="c.yaml"))
        except SecretError as error:
            assert secret not in str(error)
        else:
            assert secret.encode() not in data, place


def test_all_of_a_key_is_masked_where_its_mark_is_at_its_end():
    for key in (f"{hexa(32)}-us12", f"{made_up(6)}_{made_up(29)}_mmk"):
        assert mask_text(f"see {key} ok") == "see *** ok"


# Recognised once, removed everywhere ------------------------------------------------------------------------------------

WORD = "hunter2-swordfish-mellon"
RECOGNISED = {
    "bearer": lambda s: {"Authorization": [f"Bearer {s}"]},
    "key": lambda s: {"x-key": [s]},
    "OpenAI key": lambda s: {"x-openai-key": [s]},
    "jwt": lambda s: {"jwt": [s]},
    "cookie": lambda s: {"Cookie": [f"theme=dark; session={s}"]},
}
ECHOES = {
    name: place
    for name, place in PLACES.items()
    if name not in ("header", "header of the answer", "reason", "prompt, HTML", "prompt, hexadecimal")
}


RANDOM, ESCAPES = made_up(40), 'quo"te\\d-9x Ünïcode-pass'


@pytest.mark.parametrize(
    ("how", "secret"),
    # A cookie of words need not be a credential.
    [(how, secret) for how in RECOGNISED for secret in (RANDOM, WORD, ESCAPES) if how != "cookie" or secret is RANDOM],
)
@pytest.mark.parametrize("place", ECHOES)
def test_what_was_recognised_once_is_removed_everywhere(how, place, secret):
    first = tool(headers={**JSON, **RECOGNISED[how](secret)})
    try:
        clean = sanitize([first, ECHOES[place](secret)], Redaction(), shown_path="c.yaml")
    except SecretError as error:
        assert "a credential that was replaced where it was recognised" in str(error)
        assert secret not in str(error)
    else:
        # As if the placeholder had stood there.
        assert plainly(clean[1]) == plainly(sanitize([ECHOES[place]("redacted")], Redaction(), shown_path="c.yaml")[0])


def plainly(found):
    """An interaction with its bodies decompressed."""
    return (
        found.request.uri,
        found.response.reason,
        [
            (
                {name: values for name, values in part.headers.items() if name != "content-encoding"},
                decode_body(part.headers, part.body).content,
            )
            for part in (found.request, found.response)
        ],
    )


@pytest.mark.parametrize("name", ["access_token", "refreshToken", "client_secret", "api_key"])
def test_a_token_of_an_answer_is_removed_from_the_next_prompt(name):
    first = tool(answer=json.dumps({name: WORD, "expires_in": 3600}).encode())
    clean = sanitize([first, chat(f"use {WORD} now")], Redaction(), shown_path="c.yaml")
    assert json.loads(clean[1].request.body)["messages"][0]["content"] == "use redacted now"


# Values of the environment ----------------------------------------------------------------------------------------------

VALUES = {
    "quotes": 'pa"ss\\wo"rd-1',
    "newline inside": "first line 1\nsecond line 2",
    "newline at the end": "trailing-newline-4711\n",
    "not ASCII": "schlüssel-für-alle-4711",
    "slash": "/K7MDENGbPxRfiCYwJalrXUtnFEMI+4711abcd",
    "emoji": "key-\N{KEY}-4711-abc",
}
VARIABLES = [
    "OPENAI_API_KEY", "PGPASSWORD", "DB_PASS", "GPG_PASSPHRASE", "OPENAI_API_KEYS", "ACCESSTOKEN", "SECRETKEY",
    "SERVICE_CREDENTIALS", "MYSQL_PWD", "CI_JOB_JWT", "HF_TOKEN", "BASIC_AUTH", "GH_PAT", "client_secret",
]  # fmt: skip


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("kind", VALUES)
def test_values_of_the_environment_reach_no_file(variable, kind, monkeypatch):
    value = VALUES[kind]
    monkeypatch.setenv(variable, value)
    leaked = []
    for name in (
        "prompt",
        "prompt, JSON in JSON",
        "prompt, base64",
        "stream, in pieces",
        "form",
        "multipart, JSON",
        "answer",
    ):
        with pytest.raises(SecretError) as error:
            sanitize([PLACES[name](f"a {value.strip()} b")], Redaction(), shown_path="c.yaml")
        assert f"the value of the environment variable {variable}" in str(error.value)
        leaked += [name] if value.strip() in str(error.value) else []
    assert leaked == []
    assert value.strip() not in mask_text(f"it was {value}") + mask_text(json.dumps([value])) + mask_text(quote(value))


def test_each_of_several_keys_in_a_variable(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEYS", f"{made_up(30)},{made_up(31)}")
    for key in (made_up(30), made_up(31)):
        with pytest.raises(SecretError, match="OPENAI_API_KEYS"):
            sanitize([chat(key)], Redaction(), shown_path="c.yaml")


def test_the_keys_in_a_variable_of_json(monkeypatch):
    monkeypatch.setenv(
        "GOOGLE_CREDENTIALS", json.dumps({"type": "service_account", "private_key": f"{made_up(30)}\nab"})
    )
    with pytest.raises(SecretError, match="GOOGLE_CREDENTIALS"):
        sanitize([chat(f"{made_up(30)}\nab")], Redaction(), shown_path="c.yaml")


# Bodies as what they are ------------------------------------------------------------------------------------------------


def test_an_aws_stream_without_accounts_and_tokens():
    arn = "arn:aws:bedrock:us-east-1:123456789876:inference-profile/x"
    stream = aws_stream(
        ("metadata", {"trace": {"arn": arn}}),
        ("x", {"access_token": WORD}),
        ("chunk", {"type": "message_start", "arn": arn, "api_key": WORD}),
        ("metadata", {"usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}}),
    )
    (clean,) = sanitize([tool(answer=stream)], Redaction(), shown_path="c.yaml")
    expected = aws_stream(
        ("metadata", {"trace": {"arn": arn.replace("123456789876", "000000000000")}}),
        ("x", {"access_token": "redacted"}),
        ("chunk", {"type": "message_start", "arn": arn.replace("123456789876", "000000000000"), "api_key": "redacted"}),
        ("metadata", {"usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}}),
    )
    assert clean.response.body == expected
    # What is cut off stays as it is, and is looked through.
    (clean,) = sanitize([tool(answer=stream[:-3])], Redaction(), shown_path="c.yaml")
    assert WORD.encode() not in clean.response.body
    assert clean.response.body.endswith(stream[-40:-3])


def test_a_text_with_a_stray_byte_is_redacted_and_keeps_its_bytes():
    body = b'{"text": "\xff", "api_key": "' + WORD.encode() + b'"}'
    assert Redaction().body(JSON, body) == b'{"text": "\xff", "api_key": "redacted"}'


@pytest.mark.parametrize("depth", range(1, 8))
def test_fields_of_json_in_json_to_any_depth(depth):
    text = nested(json.dumps({"api_key": 'a"b\\c', "kept": 'x"y\\z'}), depth)
    assert json.loads(_unnested(Redaction().body(JSON, text.encode()).decode(), depth)) == {
        "api_key": "redacted",
        "kept": 'x"y\\z',
    }


def _unnested(text, times):
    for _ in range(times):
        text = json.loads(text)["result"]
    return text


def test_fields_of_json_in_json_as_dot_net_writes_it():
    body = b'{"arguments": "{\\u0022api_key\\u0022: \\u0022' + WORD.encode() + b'\\u0022, \\u0022n\\u0022: 1}"}'
    clean = json.loads(Redaction().body(JSON, body))
    assert json.loads(clean["arguments"]) == {"api_key": "redacted", "n": 1}


def test_lists_of_credentials():
    body = json.dumps({"api_keys": [WORD, "short"], "n": [1], "Authorization": ["Bearer x"]}).encode()
    expected = {"api_keys": ["redacted", "redacted"], "n": [1], "Authorization": ["redacted"]}
    assert json.loads(Redaction().body(JSON, body)) == expected


def test_json_in_a_part_and_in_a_form():
    clean = Redaction().interaction(multipart(b"Content-Type: application/json\r\nX: 1", b'{"api_key": "x-1", "n": 1}'))
    assert clean.request.body == part(b"Content-Type: application/json\r\nX: 1", b'{"api_key": "redacted", "n": 1}')
    form = {"content-type": ["application/x-www-form-urlencoded"]}
    assert Redaction().body(form, b"payload=%7B%22token%22%3A1%2C%22api_key%22%3A%22x%22%7D&n=1") == (
        b"payload=%7B%22token%22%3A1%2C%22api_key%22%3A%22redacted%22%7D&n=1"
    )
    assert Redaction().body(form, b"payload=%7B%22n%22%3A1%7D&n=1") == b"payload=%7B%22n%22%3A1%7D&n=1"


def test_files_of_a_multipart_body_keep_their_bytes():
    body = (
        b"".join(
            b'--xyz\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name, content)
            for name, content in ((b"file", bytes(range(256)) * 9), (b"api_key", WORD.encode()), (b"n", b"1"))
        )
        + b"--xyz--\r\n"
    )
    headers = {"content-type": ["multipart/form-data; boundary=xyz"]}
    assert Redaction().body(headers, body) == body.replace(WORD.encode(), b"redacted")


# Long and hostile texts: work that grows with their length ---------------------------------------------------------------

HOSTILE = {
    "multipart": part(b'Content-Disposition: form-data; name="f"', b"\r\nx\r\n" * 200_000),
    "quotes": b'"' * 500_000,
    "backslashes": b"\\" * 500_000 + b'"',
    "fields": b'{"password":"' * 40_000,
    "open fields": b'"api_key":"\\"' * 40_000,
    "web tokens": b".eyJabcdefghijkl-" * 30_000,
    "keys": b"-sk-ant-" * 60_000,
    "starts of keys": b"sk-" * 170_000,
    "starts of keys and long words": (b"sk-" * 30 + b"abcdefghijkl-") * 5_000,
    "key headers": b"-----BEGIN PRIVATE KEY-----" * 20_000,
    "short runs of base64": b"KEY----------BEGIN " * 25_000,
    "angle brackets": b"<a>" * 200_000,
    "base64": base64.b64encode(bytes(range(256)) * 2000),
    "URLs": b"://a:" * 100_000,
    "unicode escapes": b'"' + b"\\u0022" * 80_000 + b'"',
    "assignments": b"api_key = " * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_half_a_megabyte_of_anything_is_read_in_the_time_of_a_test(name):
    """Each of these would take minutes where the work grew with the square of the length: the test would time out."""
    body = HOSTILE[name]
    headers = {"content-type": ["multipart/form-data; boundary=xyz"]} if name == "multipart" else {}
    planted = tool(body, headers, answer=body, answer_headers={})
    try:
        (clean,) = sanitize([planted], Redaction(), shown_path="c.yaml")
    except SecretError:
        assert name in ("key headers", "web tokens")
    else:
        assert len(clean.request.body) == len(body) or name in ("fields", "open fields")


@pytest.mark.parametrize(
    "unit",
    [
        "\\\\" * 64 + "n",
        "%" + "25" * 40 + "41",
        "&" + "amp;" * 40 + "#65;",
        "=" + "3D" * 40 + "41",
        "%2525252541 &amp;amp;amp;#65; =3D3D3D41 \\\\\\\\n",
    ],
)
def test_a_text_is_looked_at_a_few_times_however_it_is_escaped(unit):
    text = unit * 500
    layers = list(layers_of(text))
    assert sum(len(layer.text) for layer in layers if not layer.is_between) <= 12 * len(text)
    assert sum(len(layer.text) for layer in layers) <= 40 * len(text)


def encodings_in_turn():
    return {
        "JSON": lambda text: json.dumps({"a": text}),
        "percent": lambda text: "q=" + quote(text, safe=""),
        "form": lambda text: "q=" + quote_plus(text) + "&b=1",
        "HTML": lambda text: "<a>" + "".join(f"&#{ord(char)};" for char in text),
        "markup": lambda text: "<p>" + html.escape(text),
        "base64": lambda text: "data " + b64("(x) " + text),
        "base64 of gzip": lambda text: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
        "hexadecimal": lambda text: text.encode().hex(),
        "quoted-printable": lambda text: quopri.encodestring(text.encode()).decode(),
    }


@pytest.mark.parametrize("first", encodings_in_turn())
def test_encodings_in_encodings(first):
    """A key, and a value whose own marks are escapes, in any three encodings in each other."""
    ways = encodings_in_turn()
    key = f"sk-ant-api03-{made_up(93)}AA"
    for others in product(ways, repeat=2):
        if (first, *others).count("quoted-printable") > 1:
            continue  # which nobody writes
        for start, value in ((f"see\n{key} ok", None), (f"a {ESCAPES}\n b", ESCAPES)):
            text = start
            for way in (first, *others):
                text = ways[way](text)
            layers = layers_of(text)
            if value is None:
                assert any(shapes_in(layer.text) for layer in layers if not layer.is_between), others
            else:
                assert any(value in layer.text for layer in layers), others


# Look-alikes ------------------------------------------------------------------------------------------------------------


def test_there_are_enough_lookalikes():
    assert len(set(ALIKE)) >= 150


@pytest.mark.parametrize("text", ALIKE, ids=range(len(ALIKE)))
def test_no_lookalike_is_touched_or_refused(text):
    events = sse(*map(delta, pieces(f"it is {text} .")))
    planted = [
        chat(f"see {text} ok", f"it is {text}."),
        chat(f"see\n{text}", events),
        tool(json.dumps({"note": nested(text, 2)}).encode(), {**JSON, "x-note": [text]}),
    ]
    clean = sanitize(planted, Redaction(), shown_path="c.yaml")
    assert [(found.request.body, found.response.body) for found in clean] == [
        (found.request.body, found.response.body) for found in planted
    ]
    assert clean[2].request.headers["x-note"] == [text]
    assert mask_text(f"it was {text} .") == f"it was {text} ."


@given(st.text(max_size=200))
def test_any_text_can_be_masked_and_only_once(text):
    assert mask_text(mask_text(text)) == mask_text(text)


def test_the_token_of_a_service_is_no_example():
    assert [shape.rule for shape, _, _ in shapes_in(JWT)] == ["jwt"]


#: What keys are made of, whole and in parts, and what may stand around them.
PIECES = [
    *(part for _, key in KEYS for part in (key, key[: len(key) // 2], key[len(key) // 2 :])),
    *(start for shape in SHAPES for start in shape.starts),
    *" -_.,:;=/\\\"'%\n",
    *("\\n", "%0a", "a" * 12, "abcABC123", "word", "é"),
]


def plainly_random(value):
    """A part between marks that changes its kind of character at every fifth, or is of hexadecimal digits."""
    for run in re.split("[^A-Za-z0-9]+", value):
        if len(run) >= 24 and re.fullmatch("[0-9a-f]+|[0-9A-F]+", run):
            head = run[:41]
            if any(map(str.isdigit, head)) and any(map(str.isalpha, head)):
                return True
        kinds = ["0" if char.isdigit() else "a" if char.islower() else "A" for char in run]
        changes = sum(one != other and (one, other) != ("A", "a") for one, other in pairwise(kinds))
        if len(run) >= 12 and changes * 5 >= len(run):
            return True
    return False


@given(st.text(alphabet="abcXYZ0189-_é ", max_size=80) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_looks_random(value):
    assert looks_random(value) == plainly_random(value)
