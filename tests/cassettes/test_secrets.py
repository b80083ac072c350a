"""No secret reaches a file, and nothing that only looks like one is touched.

Each planted secret goes the way of every recording: redacted, looked through, rendered. It must be gone, or the save
must be refused without telling it.
"""

import base64
import gzip
import json
import sys
import zlib
from pathlib import Path
from urllib.parse import quote

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage import encoding
from pytest_llm_usage.cassettes import Redaction, reader, writer
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.credentials.values import credentials_in
from pytest_llm_usage.errors import ConfigurationError, SecretError

sys.path.append(str(Path(__file__).parents[1] / "wire"))
from bodies import aws_stream, ndjson, sse

MODEL_URL = "https://api.openai.com/v1/chat/completions"
TOOL_URL = "https://tools.provider.test/search"
JSON = {"content-type": ["application/json"]}
FORM = {"content-type": ["application/x-www-form-urlencoded"]}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

#: Values without a shape of their own; where they stand must say what they are.
WORD = "hunter2-swordfish-mellon"
HEX = "0123456789abcdef0123456789abcdef"


def shaped(prefix, count, alphabet="aB3dE5gH7jK9mN1pQ"):
    return prefix + (alphabet * 20)[:count]


#: One of each shape that is known. None was ever a key.
SHAPES = {
    "openai": shaped("sk-", 48),
    "openai-project": shaped("sk-proj-", 80),
    "openai-service": shaped("sk-svcacct-", 60),
    "anthropic": shaped("sk-ant-api03-", 90),
    "openrouter": "sk-or-v1-" + HEX * 2,
    "google": shaped("AIza", 35),
    "google-oauth": shaped("ya29.", 60),
    "google-refresh": shaped("1//0", 60),
    "aws-id": "AKIA" + "ABCDEFGHIJ234567",
    "aws-temporary-id": "ASIA" + "ABCDEFGHIJ234567",
    "aws-bedrock": shaped("ABSK", 100),
    "azure": shaped("", 52) + "JQQJ99BFACYeBjFXJ3w3AAAALACOGz5j",
    "groq": shaped("gsk_", 52),
    "xai": shaped("xai-", 80),
    "perplexity": shaped("pplx-", 48),
    "huggingface": shaped("hf_", 34),
    "replicate": shaped("r8_", 37),
    "nvidia": shaped("nvapi-", 64),
    "databricks": "dapi" + HEX,
    "langsmith": f"lsv2_pt_{HEX}_0123456789",
    "langfuse": "sk-lf-01234567-89ab-cdef-0123-456789abcdef",
    "tavily": shaped("tvly-", 32),
    "github": shaped("ghp_", 36),
    "slack": "xoxb-" + "123456789012-abcdefghijkl",
    "stripe": shaped("sk_live_", 24),
    "jwt": ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"HS256"}', b'{"sub":"12345678"}', b"signature-bytes")
    ),
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + HEX,
    "bearer": "Bearer " + HEX,
    "url-password": "postgres://admin:pa55word@db.internal/x",
}


def interaction(url=TOOL_URL, method="POST", headers=None, body=b"", answer_headers=None, answer=b"{}", status=200):
    request = Request(method, url, headers or {}, body if isinstance(body, bytes) else json.dumps(body).encode())
    answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Interaction(request, Response(status, "OK", answer_headers or {}, answer))


def in_header(name, form="{}"):
    return lambda secret: interaction(headers={name: [form.format(secret)]})


def in_answer_header(name, form="{}"):
    return lambda secret: interaction(answer_headers={name: [form.format(secret)]})


def in_query(name):
    return lambda secret: interaction(f"{TOOL_URL}?q=bird&{name}={quote(secret, safe='')}")


def in_field(*path, url=TOOL_URL):
    def planted(secret):
        value = secret
        for name in reversed(path):
            value = {name: value} if isinstance(name, str) else [value]
        return interaction(url, headers=JSON, body={**CHAT, **value})

    return planted


def in_answer_field(*path):
    def planted(secret):
        value = secret
        for name in reversed(path):
            value = {name: value} if isinstance(name, str) else [value]
        return interaction(answer_headers=JSON, answer=value)

    return planted


def in_form(name):
    return lambda secret: interaction(headers=FORM, body=f"grant_type=x&{name}={quote(secret, safe='')}".encode())


def in_prompt(encode=lambda secret: secret):
    def planted(secret):
        return interaction(MODEL_URL, headers=JSON, body={"messages": [{"content": f"see: {encode(secret)} ok"}]})

    return planted


def in_answer(encode=lambda secret: secret):
    return lambda secret: interaction(MODEL_URL, headers=JSON, body=CHAT, answer={"text": f"it is {encode(secret)} "})


def escapes(secret):
    return "".join(f"\\u{ord(letter):04x}" for letter in secret)


def b64(secret):
    return base64.b64encode(b'{"credential": "' + secret.encode() + b'"}').decode()


def multipart(secret):
    body = f'--xyz\r\nContent-Disposition: form-data; name="api_key"\r\n\r\n{secret}\r\n--xyz--\r\n'
    return interaction(headers={"content-type": ["multipart/form-data; boundary=xyz"]}, body=body.encode())


def xml(secret):
    body = f"<R><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey></Credentials></R>"
    return interaction(answer_headers={"content-type": ["text/xml"]}, answer=body.encode())


def stream(secret):
    lines = f'data: {{"id":"1","delta":"x"}}\n\ndata: {{"mcp":{{"authorization_token":"{secret}"}}}}\n\n'
    return interaction(
        MODEL_URL, body=CHAT, answer_headers={"content-type": ["text/event-stream"]}, answer=lines.encode()
    )


def compressed_answer(secret):
    body = gzip.compress(json.dumps({"access_token": secret}).encode())
    return interaction(answer_headers={**JSON, "content-encoding": ["gzip"]}, answer=body)


def compressed_request(secret):
    body = zlib.compress(json.dumps({"client_secret": secret}).encode())
    return interaction(headers={**JSON, "content-encoding": ["deflate"]}, body=body)


def signed(secret):
    value = f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/bedrock/aws4_request, Signature={secret}"
    return interaction(headers={"Authorization": [value]})


def presigned_in_text(secret):
    return interaction(answer={"url": f"https://bucket.s3.amazonaws.com/x?X-Amz-Date=1&X-Amz-Signature={secret}&x=1"})


def arguments(secret):
    call = {"function": {"name": "login", "arguments": json.dumps({"api_key": secret, "user": 'a"b'})}}
    return interaction(MODEL_URL, headers=JSON, body={"messages": [{"tool_calls": [call]}]})


PLANTED = {
    # What providers authenticate with, by header.
    **{
        f"header {name}": (in_header(name), WORD)
        for name in (
            "Authorization", "Proxy-Authorization", "x-api-key", "api-key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key",
            "X-Amz-Security-Token", "X-Auth-Token", "x-portkey-api-key", "x-portkey-virtual-key", "Helicone-Auth",
            "cf-aig-authorization", "X-Functions-Key", "PRIVATE-TOKEN", "X-Vault-Token", "x-csrf-token", "X-My-Secret",
            "apikey", "X-Subscription-Token",
        )
    },
    "header Authorization, in lower case": (in_header("authorization", "Bearer {}"), WORD),
    "header Authorization, basic": (lambda s: in_header("authorization", "Basic {}")(b64(s)), WORD),
    "header Authorization, AWS": (signed, HEX * 2),
    "header Cookie": (in_header("Cookie", "theme=dark; session={}"), WORD),
    "header Set-Cookie": (in_answer_header("Set-Cookie", "__cf_bm={}; path=/; expires=Thu; HttpOnly"), WORD),
    # Whose account it is.
    **{
        f"answer header {name}": (in_answer_header(name), WORD)
        for name in (
            "openai-organization", "openai-project", "anthropic-organization-id", "anthropic-workspace-id",
            "x-databricks-org-id", "x-ms-client-principal-id",
        )
    },
    "header chatgpt-account-id": (in_header("chatgpt-account-id"), WORD),
    "header OpenAI-Organization": (in_header("OpenAI-Organization"), WORD),
    "header x-goog-user-project": (in_header("x-goog-user-project"), WORD),
    "ARN in a path": (lambda s: interaction(f"https://b.test/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A{s}%3Ax%2Fy/converse"), "123456789876"),
    "ARN in a body": (in_prompt(lambda s: f"arn:aws:iam::{s}:role/x"), "123456789876"),
    "account in a path": (lambda s: interaction(f"https://api.cloudflare.com/client/v4/accounts/{s}/ai/run/x"), HEX),
    "project in a path": (lambda s: interaction(f"https://eu-aiplatform.googleapis.com/v1/projects/{s}/locations/eu/x"), WORD),
    "organisation in an error": (in_answer_field("error", "message"), "org-aB3dE5gH7jK9mN1pQaB3dE5g"),
    # Queries.
    **{
        f"query {name}": (in_query(name), WORD)
        for name in (
            "key", "api_key", "apikey", "access_token", "token", "X-Amz-Signature", "X-Amz-Security-Token", "sig",
            "subscription-key", "X-Goog-Signature", "client_secret", "password", "appid", "Signature",
        )
    },
    "user in a URL": (lambda s: interaction(f"https://user:{s}@h.test/"), WORD),
    "redirect": (in_answer_header("Location", "https://h.test/cb?access_token={}&x=1"), WORD),
    "fragment": (lambda s: interaction(f"https://h.test/cb#access_token={s}"), WORD),
    # Bodies.
    **{
        f"field {name}": (in_field(name), WORD)
        for name in ("api_key", "apiKey", "client_secret", "password", "authorization", "access_token", "private_key", "aws_secret_access_key", "refreshToken", "secret")
    },
    "field of a tool": (in_field("tools", 0, "headers", "Authorization", url=MODEL_URL), WORD),
    "field of a server": (in_field("mcp_servers", 0, "authorization_token", url=MODEL_URL), WORD),
    "field in JSON in JSON": (arguments, WORD),
    "answer access_token": (in_answer_field("access_token"), WORD),
    "answer id_token": (in_answer_field("data", 0, "id_token"), WORD),
    "answer password of a tool": (in_answer_field("password"), WORD),
    "form client_secret": (in_form("client_secret"), WORD),
    "form refresh_token": (in_form("refresh_token"), WORD),
    "form assertion": (in_form("assertion"), WORD),
    "multipart": (multipart, WORD),
    "XML": (xml, WORD),
    "event of a stream": (stream, WORD),
    "compressed answer": (compressed_answer, WORD),
    "compressed request": (compressed_request, WORD),
    "signed URL in an answer": (presigned_in_text, HEX * 2),
    "URL with a key in an answer": (lambda s: interaction(answer={"next": f"https://h.test/a?page=2&key={s}"}), HEX),
    "URL with a token in a prompt": (in_prompt(lambda s: f"https://h.test/a?access_token={s}"), WORD),
    # Shapes, where nothing says that it is a key.
    **{f"prompt: {name}": (in_prompt(), secret) for name, secret in SHAPES.items()},
    **{f"answer: {name}": (in_answer(), secret) for name, secret in SHAPES.items()},
    **{
        f"{place}: {encoding}": (place_of(encode), SHAPES["anthropic"])
        for place, place_of in (("prompt", in_prompt), ("answer", in_answer))
        for encoding, encode in {
            "base64": b64,
            "base64 without padding": lambda s: b64(s).rstrip("="),
            "URL-safe base64": lambda s: base64.urlsafe_b64encode(f"???>>>{s}".encode()).decode(),
            "base64 of base64": lambda s: b64(b64(s)),
            "gzip in base64": lambda s: base64.b64encode(gzip.compress(s.encode())).decode(),
            "zlib in base64": lambda s: base64.b64encode(zlib.compress(s.encode())).decode(),
            "percent": lambda s: "".join(f"%{byte:02X}" for byte in s.encode()),
            "escapes in code": escapes,
            "JSON in JSON": lambda s: json.dumps({"x": json.dumps({"y": s})}),
            "code": lambda s: f'client = Client("{s}")\n',
        }.items()
    },
    "prompt: JSON escapes": (
        lambda s: interaction(MODEL_URL, headers=JSON, body=b'{"messages": [{"content": "%s"}]}' % escapes(s).encode()),
        SHAPES["anthropic"],
    ),
    "answer: JSON escapes": (
        lambda s: interaction(MODEL_URL, headers=JSON, body=CHAT, answer=b'{"text": "%s"}' % escapes(s).encode()),
        SHAPES["anthropic"],
    ),
    "shape in a header": (in_header("x-debug"), SHAPES["google"]),
    "shape in an answer's header": (in_answer_header("x-debug"), SHAPES["google"]),
    "shape in a path": (lambda s: interaction(f"https://h.test/{s}/x"), SHAPES["google"]),
    "shape in a query": (in_query("q"), SHAPES["google"]),
    "shape in a compressed answer": (
        lambda s: interaction(answer=gzip.compress(s.encode()), answer_headers={"content-encoding": ["gzip"]}),
        SHAPES["google"],
    ),
    "shape in a field's name": (lambda s: interaction(headers=JSON, body={s: 1}), SHAPES["google"]),
    "shape in a binary answer": (lambda s: interaction(answer=b"\x00\xff" + s.encode() + b"\xff"), SHAPES["google"]),
}  # fmt: skip


def encodings(secret):
    """The secret as a file could hold it."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield escapes(secret).encode()
    for start in range(3):
        # What base64 makes of it in the middle of something, less the ends that depend on its neighbours.
        yield base64.b64encode(b"\0" * start + raw)[4 : -4 if len(raw) > 12 else None]


def contents(data):
    yield data
    for found in reader.parse(data):
        for body in (found.request.body or b"", found.response.body):
            yield body
            for decompress in (gzip.decompress, zlib.decompress):
                try:
                    yield decompress(body)
                except (OSError, EOFError, zlib.error):
                    continue


def is_seen(secret, data):
    return any(encoded in content for content in contents(data) for encoded in encodings(secret))


@pytest.mark.parametrize(("plant", "secret"), PLANTED.values(), ids=PLANTED)
def test_no_planted_secret_reaches_a_file(plant, secret):
    planted = plant(secret)
    assert planted != plant("another"), "the secret was not planted"
    try:
        data = writer.render(sanitize([planted], Redaction(), shown_path="c.yaml"))
    except SecretError as error:
        assert secret not in str(error)
        assert str(error).startswith("Cassette not saved: c.yaml would hold a credential\n  interaction 1, re")
        assert not any(encoded.decode("latin-1") in str(error) for encoded in encodings(secret))
    else:
        assert is_seen(secret, writer.render([planted])), "saved, and this test would not see the secret in the file"
        assert not is_seen(secret, data)


def test_there_are_enough_of_them():
    assert len(PLANTED) >= 60


ENVIRONMENT = {
    "OPENAI_API_KEY": "value-without-any-shape-1",
    "MY_SERVICE_TOKEN": "another_value_2",
    "DB_PASSWORD": "correct horse battery staple",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}


@pytest.mark.parametrize("name", ENVIRONMENT)
@pytest.mark.parametrize(
    "plant",
    [
        in_prompt(), in_answer(), in_prompt(b64), in_answer(lambda s: base64.b64encode(gzip.compress(s.encode())).decode()),
        in_header("x-trace"), in_query("q"), in_field("note"), in_prompt(lambda s: quote(s, safe="")), stream,
    ],
    ids=["prompt", "answer", "base64", "gzip", "header", "query", "field", "percent", "stream"],
)  # fmt: skip
def test_values_of_the_environment_stop_the_save(plant, name, monkeypatch):
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    secret = ENVIRONMENT[name]
    planted = plant(secret)
    try:
        data = writer.render(sanitize([planted], Redaction(), shown_path="c.yaml"))
    except SecretError as error:
        assert f"the value of the environment variable {name}" in str(error)
        assert secret not in str(error)
    else:
        assert is_seen(secret, writer.render([planted])), "saved, and this test would not see the secret in the file"
        assert not is_seen(secret, data)


def _delta(piece):
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}}]}


#: How streams bring a text in pieces: framing, and what the place of the text is called.
STREAMS = {
    "sse": (lambda pieces: sse(*map(_delta, pieces), done=True), "choices[0].delta.content"),
    "named-sse": (
        lambda pieces: sse(*(("x", {"type": "x", "delta": {"partial_json": piece}}) for piece in pieces)),
        "delta.partial_json",
    ),
    "ndjson": (lambda pieces: ndjson(*({"message": {"content": piece}} for piece in pieces)), "message.content"),
    "json-array": (
        lambda pieces: json.dumps([{"parts": [{"text": piece}]} for piece in pieces], indent=1).encode(),
        "parts[0].text",
    ),
    "aws": (lambda pieces: aws_stream(*(("d", {"delta": {"text": piece}}) for piece in pieces)), "delta.text"),
    "aws-invoke": (lambda pieces: aws_stream(*(("chunk", {"completion": piece}) for piece in pieces)), "completion"),
}


@pytest.mark.parametrize("name", ["anthropic", "environment"])
@pytest.mark.parametrize(("render", "path"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_secret_in_pieces_stops_the_save(render, path, name, packed, monkeypatch):
    secret = SHAPES["anthropic"]
    if name == "environment":
        secret = ENVIRONMENT["DB_PASSWORD"]
        monkeypatch.setenv("DB_PASSWORD", secret)
    body = render(["The key is ", *(secret[start : start + 7] for start in range(0, len(secret), 7)), ", see?"])
    headers = {"content-encoding": ["gzip"]} if packed else {}
    answered = interaction(MODEL_URL, answer_headers=headers, answer=gzip.compress(body) if packed else body)
    with pytest.raises(SecretError) as error:
        sanitize([answered], Redaction(), shown_path="c.yaml")
    assert f"  interaction 1, response body, {path}, joined from the stream's events: " in str(error.value)
    assert secret not in str(error.value)


@pytest.mark.parametrize(("render", "path"), STREAMS.values(), ids=STREAMS)
def test_what_looks_like_one_only_across_events_that_repeat_it_is_none(render, path):
    """Ids that each event repeats are no text in pieces."""
    answered = interaction(MODEL_URL, answer=render(["pa-abcdefgh"] * 20))
    (clean,) = sanitize([answered], Redaction(), shown_path="c.yaml")
    assert clean.response.body == answered.response.body


# Bodies that cannot be decoded ------------------------------------------------------------------------------------------

CANNOT_BE_CHECKED = """\
Cassette not saved: c.yaml has a body that cannot be checked for credentials
  interaction 1, {side} body: {problem}
Install the package that is named, or do not record this host:  llm_usage_ignore_hosts = HOST"""


def encoded_interaction(side, encoding, body):
    headers = {"content-encoding": [encoding]}
    if side == "request":
        return interaction(MODEL_URL, headers=headers, body=body)
    return interaction(MODEL_URL, body=CHAT, answer_headers=headers, answer=body)


ENCODED = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("outer", [None, *ENCODED])
def test_a_key_in_an_encoded_body_stops_the_save(side, name, outer):
    body = ENCODED[name](json.dumps({"text": f"it is {SHAPES['anthropic']}"}).encode())
    if outer is not None:
        name, body = f"{name}, {outer}", ENCODED[outer](body)
    with pytest.raises(SecretError, match=f"interaction 1, {side} body, text: ") as error:
        sanitize([encoded_interaction(side, name, body)], Redaction(), shown_path="c.yaml")
    assert SHAPES["anthropic"] not in str(error.value)


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_key_in_a_compressed_body_without_a_header_stops_the_save(side, name):
    body = ENCODED[name](json.dumps({"text": f"it is {SHAPES['anthropic']}"}).encode())
    with pytest.raises(SecretError, match=f"interaction 1, {side} body, text: "):
        sanitize([encoded_interaction(side, "", body)], Redaction(), shown_path="c.yaml")


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("br", "the body is compressed with brotli, and no decoder is installed (pip install brotli)"),
        ("zstd", "the body is compressed with zstandard, and no decoder is installed (pip install zstandard)"),
    ],
)
def test_a_body_without_its_decoder_stops_the_save(side, name, problem, monkeypatch):
    for package in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SecretError) as error:
        sanitize([encoded_interaction(side, name, ENCODED[name](b"{}" * 99))], Redaction(), shown_path="c.yaml")
    assert str(error.value) == CANNOT_BE_CHECKED.format(side=side, problem=problem)


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("name", ENCODED)
def test_a_bomb_stops_the_save(side, name, monkeypatch):
    monkeypatch.setattr(encoding, "MAX_BYTES", 10_000)
    with pytest.raises(SecretError) as error:
        sanitize([encoded_interaction(side, name, ENCODED[name](b" " * 10_001))], Redaction(), shown_path="c.yaml")
    assert str(error.value) == CANNOT_BE_CHECKED.format(side=side, problem="the body is larger than 10,000 bytes")


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("gzip", b"\x1f\x8b" + b"\xff" * 50, "the compressed body is garbled"),
        ("", b"\x1f\x8b" + b"\xff" * 50, "the compressed body is garbled"),
        ("zstd", b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "the compressed body is garbled"),
        ("br", b"\xff\x00" * 50, "the compressed body is garbled"),
        ("deflate", b"\xff\x00" * 50, "the compressed body is garbled"),
        ("gzip", b"\xff\x00" * 50, "the body is not gzip, which its content-encoding names"),
        ("dcb", b"\xff\x00" * 50, "the content encoding 'dcb' is not known"),
    ],
)
def test_a_garbled_body_stops_the_save(name, body, problem):
    with pytest.raises(SecretError) as error:
        sanitize([encoded_interaction("response", name, body)], Redaction(), shown_path="c.yaml")
    assert str(error.value) == CANNOT_BE_CHECKED.format(side="response", problem=problem)


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("body", [b"plain text", b"plain \xe9 latin"])
def test_a_plain_body_under_the_header_of_a_compressed_one_is_saved(name, body):
    planted = encoded_interaction("response", name, body)
    assert sanitize([planted], Redaction(), shown_path="c.yaml")[0].response.body == body
    planted = encoded_interaction("response", name, body + b" " + SHAPES["anthropic"].encode())
    with pytest.raises(SecretError, match="response body, line 1: something of the shape of an Anthropic key"):
        sanitize([planted], Redaction(), shown_path="c.yaml")


@pytest.mark.parametrize("name", ENCODED)
def test_a_compressed_stream_that_was_left_early_is_saved_if_it_holds_no_key(name):
    """A client may stop reading. What came until then can be decoded, and is looked through."""
    events = sse(*(_delta(f"word {number * number} ") for number in range(9999)))
    body = ENCODED[name](events)
    planted = encoded_interaction("response", name, body[: len(body) * 3 // 4])
    assert sanitize([planted], Redaction(), shown_path="c.yaml")[0].response.body == planted.response.body
    body = ENCODED[name](sse(_delta(SHAPES["anthropic"])) + events)
    planted = encoded_interaction("response", name, body[: len(body) * 3 // 4])
    with pytest.raises(SecretError, match="something of the shape of an Anthropic key"):
        sanitize([planted], Redaction(), shown_path="c.yaml")


def test_the_message_says_where(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "value-without-any-shape-1")
    body = {"messages": [{"content": "a"}, {"content": "my key: value-without-any-shape-1"}]}
    dirty = interaction(MODEL_URL, headers={**JSON, "x-debug": [SHAPES["google"]]}, body=body)
    with pytest.raises(SecretError) as error:
        sanitize([interaction(), dirty], Redaction(), shown_path="tests/c.yaml")
    assert str(error.value).splitlines() == [
        "Cassette not saved: tests/c.yaml would hold a credential",
        "  interaction 2, request header 'x-debug': something of the shape of a Google API key",
        "  interaction 2, request body, messages[1].content: the value of the environment variable OPENAI_API_KEY",
        "Keep it out of the test, or have it replaced:  llm_usage_redact = field:NAME (header:, query:, pattern:)",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "short"),
        ("OPENAI_API_KEY", "REDACTED"),
        ("OPENAI_API_KEY", "redacted"),
        ("OPENAI_API_KEY", "dummykey"),
        ("SSH_AUTH_SOCK", "/run/user/1000/ssh-agent-socket"),
        ("GOOGLE_TOKEN_FILE", "secrets/google.json"),
        ("AUTH_TOKEN_TYPE", "bearer-token-v2"),
        ("MAX_TOKENS", "1234567890123"),
        ("TOKENIZERS_PARALLELISM", "false-or-true"),
        ("KEYBOARD_LAYOUT", "de-latin1-nodeadkeys"),
        ("AUTHOR_NAME", "somebody with a name 1"),
        ("HOME", "/home/user/some-long-path-1"),
        ("SESSION_TOKEN_COUNT", "12345678901"),
    ],
)
def test_variables_that_hold_no_credential(name, value):
    assert credentials_in({name: value}) == {}


# Look-alikes ------------------------------------------------------------------------------------------------------------

LOOKALIKE_FIELDS = {
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "cached_tokens": "4"},
    "max_tokens": "512",
    "max_completion_tokens": 100,
    "max_output_tokens": "100",
    "input_tokens": "17",
    "token_count": "5",
    "totalTokenCount": "5",
    "tokens": ["a", "b"],
    "token": " the",
    "bytes of a token": [{"token": "\u65e5\u672c\u8a9e\u3060"}, {"token": "\U0001f600\U0001f600\U0001f600"}],
    "top_logprobs": [{"token": "Hello", "logprob": -0.1}],
    "stop_token": "<|end|>",
    "eos_token": "</s>",
    "tokenizer": "cl100k_base-with-a-long-name-1",
    "tokenization": "bpe-0123456789-abcdefghijkl",
    "nextPageToken": "CAoQAA1234567890abcdefghij",
    "next_page_token": "CAoQAA1234567890abcdefghij",
    "page_token": "CAoQAA1234567890abcdefghij",
    "continuation_token": "CAoQAA1234567890abcdefghij",
    "sync_token": "CAoQAA1234567890abcdefghij",
    "prompt_cache_key": "user-0123456789abcdef012345",
    "safety_identifier": HEX,
    "key": "A minor, 4/4",
    "keys": "house keys",
    "primary_key": "id",
    "foreign_key": "customer_id",
    "keyword": "secretary of state",
    "monkey": "a capuchin named Marcel",
    "secretary": "Ms Moneypenny",
    "secret_ingredient": "nutmeg",
    "password_policy": "at least 12 characters",
    "passwordless": "yes",
    "author": "J. Authorson",
    "authority": "the court",
    "cookie": "chocolate chip",
    "cookies": "oatmeal",
    "signature": base64.b64encode(bytes(range(200))).decode(),
    "thoughtSignature": base64.b64encode(bytes(range(200, 40, -1))).decode(),
    "encrypted_content": "gAAAAAB" + base64.urlsafe_b64encode(bytes(range(120))).decode(),
    "system_fingerprint": "fp_0123456789",
    "id": "chatcmpl-" + "AbCdEfGhIjKlMnOpQrStUvWxYz123",
    "response_id": "resp_" + HEX,
    "tool_call_id": "call_AbCdEfGhIjKlMnOpQrStUvWx",
    "msg_id": "msg_01AbCdEfGhIjKlMnOpQrStUv",
    "file_id": "file-AbCdEfGhIjKlMnOpQrStUvWx",
    "sha256": HEX * 2,
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "phone": "123456789012",
    "text": "Put your key (sk-...) into OPENAI_API_KEY; Bearer tokens expire; AIza is how Google's start.",
    "docs": "export ANTHROPIC_API_KEY=sk-ant-xxxx and Authorization: Bearer <token>",
    "english": "The password is whatever you like; the secret of the token ring is authorization.",
    "word": "task-risk-disk-skeleton-sk-based-asking",
    "python": "os.environ['TOKEN']; password=None; api_key=settings.API_KEY",
    "url": "https://example.com/page?id=12&sigma=3&monkey=1&keyword=x#section-2",
    "git": "git@github.com:owner/repository.git",
    "mail": "somebody@example.com",
    "data": "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 2).decode(),
    "base64": base64.b64encode(b"an ordinary sentence that somebody encoded in base64").decode(),
    "arn": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3",
    "model": "us.anthropic.claude-sonnet-4-5-20250929-v2:0",
    "pa": "pa-thetic, ek_nosk, fc-barcelona, hf_transfer, fw_update, gsk_ and xai-",
    "connection": "redis://localhost:6379/0",
}
LOOKALIKE_HEADERS = {
    "x-remaining-tokens": "149984",
    "x-amzn-bedrock-input-token-count": "12",
    "x-amzn-bedrock-output-token-count": "7",
    "num_tokens": "11",
    "anthropic-beta": "token-efficient-tools-2025-02-19,prompt-caching-2024-07-31",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json; charset=utf-8",
    "retry-after": "20",
    "x-should-retry": "true",
    "access-control-allow-credentials": "true",
    "etag": 'W/"0123456789abcdef"',
    "x-tokenizer": "cl100k",
    "cache-control": "no-store, private",
    "x-next-page-token": "CAoQAA1234567890abcdefghij",
}


@pytest.mark.parametrize("name", LOOKALIKE_FIELDS)
@pytest.mark.parametrize("side", ["request", "answer", "stream"])
def test_no_lookalike_in_a_body_is_touched(name, side):
    value = {name: LOOKALIKE_FIELDS[name], "nested": [{name: LOOKALIKE_FIELDS[name]}]}
    body = json.dumps(value).encode()
    if side == "stream":
        body = b"data: " + body + b"\n\ndata: [DONE]\n\n"
    planted = interaction(MODEL_URL, **({"body": body} if side == "request" else {"body": CHAT, "answer": body}))
    (clean,) = sanitize([planted], Redaction(), shown_path="c.yaml")
    assert (clean.request.body, clean.response.body) == (planted.request.body, planted.response.body)


@pytest.mark.parametrize("name", LOOKALIKE_HEADERS)
def test_no_lookalike_in_a_header_is_touched(name):
    planted = interaction(answer_headers={name: [LOOKALIKE_HEADERS[name]]})
    (clean,) = sanitize([planted], Redaction(), shown_path="c.yaml")
    assert clean.response.headers == planted.response.headers


@pytest.mark.parametrize(
    "query",
    ["max_tokens=5", "page_token=abc", "q=password", "id=key", "monkey=1", "keyword=a", "nextPageToken=x", "a=1&b=2"],
)
def test_no_lookalike_in_a_query_is_touched(query):
    assert Redaction().uri(f"https://h.test/a?{query}") == f"https://h.test/a?{query}"


def test_what_a_model_makes_up_for_a_tool_reaches_the_tool():
    """Its `password` is nobody's, and on replay the tool must get what it got when it was recorded."""
    answer = {"choices": [{"message": {"tool_calls": [{"function": {"arguments": '{"password": "mellon"}'}}]}}]}
    planted = interaction(MODEL_URL, headers=JSON, body=CHAT, answer=answer)
    assert Redaction().interaction(planted).response == planted.response


def test_there_are_enough_lookalikes():
    assert len(LOOKALIKE_FIELDS) + len(LOOKALIKE_HEADERS) >= 60


# Rules of the user's own ------------------------------------------------------------------------------------------------


def test_rules():
    rules = Redaction.parse(["header:X-Tenant", "query: tenant ", "field:customer", "", r"pattern:cust-\d+"])
    planted = interaction(
        f"{TOOL_URL}?tenant=abc&x=1",
        headers={"x-tenant": ["abc"], "x-other": ["about cust-17"]},
        body={"customer": "abc", "text": "cust-18 called"},
        answer={"customer": "abc", "n": 1},
    )
    clean = rules.interaction(planted)
    assert clean.request.uri == f"{TOOL_URL}?tenant=redacted&x=1"
    assert clean.request.headers == {"x-tenant": ["redacted"], "x-other": ["about redacted"]}
    assert json.loads(clean.request.body) == {"customer": "redacted", "text": "redacted called"}
    assert json.loads(clean.response.body) == {"customer": "redacted", "n": 1}


@pytest.mark.parametrize("line", ["x-tenant", "headers:x", "field:", ":x", "body.x"])
def test_a_rule_that_is_none(line):
    with pytest.raises(
        ConfigurationError, match=r"is not a rule \(header:NAME, query:NAME, field:NAME or pattern:REGEX\)"
    ):
        Redaction.parse([line])


def test_a_pattern_that_is_none():
    with pytest.raises(ConfigurationError, match=r"pattern:\(: missing \)"):
        Redaction.parse(["pattern:("])


# Properties -------------------------------------------------------------------------------------------------------------

values = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=4, max_size=40)
names = st.sampled_from(
    ["api_key", "apiKey", "password", "client_secret", "access_token", "x-api-key", "secretAccessKey"]
)


@given(
    values.filter(lambda value: value not in "redacted"),
    names,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_a_credential_field_is_replaced_whatever_its_value(secret, name, ascii_only, nested, indent):
    value = {"before": 'a "quoted" \\ text', name: secret, "after": [1, {"max_tokens": "7"}]}
    body = {"outer": [value]} if nested else value
    if nested is False:
        body = {"arguments": json.dumps(value, ensure_ascii=ascii_only), **value}
    encoded = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode()
    redacted = Redaction().body(JSON, encoded)
    expected = {**value, name: "redacted"}
    found = json.loads(redacted)
    if nested:
        assert found == {"outer": [expected]}
    else:
        assert json.loads(found.pop("arguments")) == expected
        assert found == expected
    assert Redaction().body(JSON, redacted) == redacted


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([JSON, FORM, {}, {"content-type": ["multipart/form-data; boundary=x"]}]),
)
def test_any_body_can_be_redacted_and_only_once(body, headers):
    once = Redaction().body(headers, body)
    assert Redaction().body(headers, once) == once


@given(st.text(max_size=60))
def test_any_url_can_be_redacted_and_only_once(text):
    once = Redaction().uri("https://h.test/" + text)
    assert Redaction().uri(once) == once


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=6), c, max_size=3),
    )
)
def test_json_without_credentials_keeps_its_bytes(value):
    body = json.dumps({"v": value}).encode()
    assert Redaction().body(JSON, body) == body
