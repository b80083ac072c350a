"""Cassettes looked at as files: listed, shown, searched for secrets, cleaned."""

import gzip
import json
from datetime import UTC, datetime
from textwrap import dedent

import pytest
import vcr
from corpus import ROOT, needs_corpus
from vcr.request import Request as VcrRequest

from pytest_llm_usage.cassettes import Redaction, storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.inventory import audit, find_cassettes, find_orphans, redact, show, summarize
from pytest_llm_usage.errors import CassetteError

URL = "https://api.openai.com/v1/chat/completions"
JSON = {"content-type": ["application/json"]}
KEY = "sk-ant-api03-" + "aB3dE5gH7j" * 6


def chat(model="gpt-4o-mini", date="Sat, 01 Feb 2025 00:00:00 GMT"):
    answer = {
        "id": "1", "object": "chat.completion", "model": model + "-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A falcon."}}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 7, "total_tokens": 1207},
    }  # fmt: skip
    body = {"model": model, "messages": [{"role": "user", "content": "fastest bird?"}]}
    return Interaction(
        Request("POST", URL, JSON, json.dumps(body).encode()),
        Response(200, "OK", {**JSON, "date": [date]}, json.dumps(answer).encode()),
    )


def tool():
    return Interaction(Request("GET", "https://en.wikipedia.org/w/api.php"), Response(200, "OK", {}, b"\x00\xff" * 10))


# Finding ----------------------------------------------------------------------------------------------------------------


def test_cassettes_are_found_in_folders_of_that_name(tmp_path):
    for name in (
        "tests/cassettes/test_a/one.yaml",
        "tests/cassettes/two.yaml.gz",
        "tests/deep/cassettes/x/y/three.yml",
    ):
        storage.save(tmp_path / name, [chat()])
    for name in ("tests/config.yaml", "tests/cassettes/notes.txt", ".github/workflows/ci.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: 1")
    found = [path.name for path in find_cassettes([tmp_path])]
    assert found == ["one.yaml", "two.yaml.gz", "three.yml"]
    # The name of the folder that a project is checked out in says nothing.
    (tmp_path / "cassettes").mkdir()
    project = (tmp_path / "tests").rename(tmp_path / "cassettes" / "tests")
    assert [path.name for path in find_cassettes([project])] == found
    project.rename(tmp_path / "tests")
    assert find_cassettes([tmp_path / "tests/cassettes/test_a"]) == [tmp_path / "tests/cassettes/test_a/one.yaml"]
    assert find_cassettes([tmp_path / "tests/config.yaml"]) == [tmp_path / "tests/config.yaml"]


def test_orphans(tmp_path):
    folder = tmp_path / "cassettes" / "test_a"
    for name in ("test_one.yaml", "test_two.yaml.gz", "test_gone.yaml", "test_gone_too.yaml.gz"):
        storage.save(folder / name, [chat()])
    owned = [folder / "test_one.yaml", folder / "test_two.yaml", folder / "test_without_any.yaml"]
    assert [path.name for path in find_orphans([folder, folder, tmp_path / "none"], owned)] == [
        "test_gone.yaml",
        "test_gone_too.yaml.gz",
    ]


# Reading ----------------------------------------------------------------------------------------------------------------


def test_a_summary(path):
    storage.save(path, [chat(), tool(), chat("gpt-4o", "Sun, 02 Feb 2025 10:00:00 -0000")])
    summary = summarize(path)
    assert (summary.interactions, summary.model_calls) == (3, 2)
    assert summary.hosts == ("api.openai.com", "en.wikipedia.org")
    assert summary.models == ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-07-18")
    assert summary.recorded_from == datetime(2025, 2, 1, tzinfo=UTC)
    assert summary.recorded_to == datetime(2025, 2, 2, 10, tzinfo=UTC)
    assert summary.size_bytes == path.stat().st_size
    assert not summary.problem


def test_a_summary_of_what_cannot_be_read(tmp_path):
    broken = tmp_path / "a.yaml"
    broken.write_text("interactions: [")
    assert "it is not valid YAML" in summarize(broken).problem
    assert "No such file" in summarize(tmp_path / "none.yaml").problem


def test_showing(path):
    storage.save(path, [chat(), tool()])
    assert show(path) == dedent("""\
        1/2  POST https://api.openai.com/v1/chat/completions
           > { "model": "gpt-4o-mini", "messages": [ { "role": "user", "content":
             "fastest bird?" } ] }
           200 OK
           < { "id": "1", "object": "chat.completion", "model":
             "gpt-4o-mini-2024-07-18", "choices": [ { "index": 0, "finish_reason":
             "stop", "message": { "role": "assistant", "content": "A falcon." } } ],
             "usage": { "prompt_tokens": 1200, "completion_tokens": 7, "total_tokens":
             1207 } }
           gpt-4o-mini-2024-07-18: 1,200 in, 7 out

        2/2  GET https://en.wikipedia.org/w/api.php
           200 OK
           < (20 bytes)
        """)


def test_showing_a_stream_that_breaks_off(path):
    message = {"model": "claude-1", "usage": {"input_tokens": 120, "output_tokens": 1}}
    begun = f"event: message_start\ndata: {json.dumps({'type': 'message_start', 'message': message})}\n\n"
    request = Request("POST", "https://api.anthropic.com/v1/messages", JSON, b'{"model": "claude", "messages": []}')
    storage.save(
        path, [Interaction(request, Response(200, "OK", {"content-type": ["text/event-stream"]}, begun.encode()))]
    )

    assert "claude-1: at least 120 in, 1 out" in show(path)


def test_showing_prints_no_secret_and_nothing_that_a_terminal_obeys(path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "fastest-bird-key-1")
    answer = b'{"text": "\x1b]0;title\x07 fastest-bird-key-1", "token": "t"}'
    dirty = Interaction(DIRTY.request, Response(200, "OK \x1b[31m", {}, answer))
    storage.save(path, [dirty])
    shown = show(path)
    for secret in (KEY, "abcdefgh", "fastest-bird-key-1"):
        assert secret not in shown
    assert all(line.isprintable() for line in shown.splitlines())


@pytest.mark.parametrize("before", [0, 20, 50, 70, 200, 280, 299])
def test_showing_prints_no_half_of_a_secret_where_a_line_ends_or_the_text_is_cut(path, before):
    key = "sk-proj-Q7wE4rT9yU2iO5pA8sD1fG6hJ3kL0zXcVbN7mQ7wE4rT9yU2iO5pA8sD1fG6"
    body = json.dumps({"messages": [{"role": "user", "content": f"{'x' * before} {key} and more {'y ' * 300}"}]})
    write_plain(
        path,
        Interaction(
            Request("POST", f"https://h.test/v1/{'p' * before}/{key}/x", {}, body.encode()),
            Response(200, "OK", {}, b"{}"),
        ),
    )

    shown = "".join(line.strip() for line in show(path).splitlines())

    assert "sk-proj" not in shown
    assert not any(key[start : start + 12] in shown for start in range(len(key) - 12))


@needs_corpus
def test_every_public_cassette_can_be_shown():
    for file in sorted(ROOT.glob("corpus*/**/*.yaml"))[::7]:
        assert all(len(line) <= 80 for line in show(file).splitlines()), file
        assert not summarize(file).problem


# Secrets ----------------------------------------------------------------------------------------------------------------

DIRTY = Interaction(
    Request(
        "POST",
        "https://h.test/v1?key=abcdefgh&x=1",
        {**JSON, "Authorization": [f"Bearer {KEY}"], "Cookie": ["theme=dark; session=it's-mine"]},
        json.dumps({"api_key": 'quo"ted', "messages": [{"content": f"my key: {KEY}"}], "n": 1}).encode(),
    ),
    Response(
        200,
        "OK",
        {**JSON, "openai-organization": ["acme-corp"]},
        json.dumps({"arn": "arn:aws:iam::123456789876:role/x", "id_token": "word-word", "kept": "word"}).encode(),
    ),
)
LEAKS = [
    "interaction 1, request URL: a credential or an account id",
    "interaction 1, request header 'Authorization': a credential or an account id",
    "interaction 1, request header 'Cookie': a credential or an account id",
    "interaction 1, response header 'openai-organization': a credential or an account id",
    "interaction 1, request body, api_key: a credential or an account id",
    "interaction 1, response body, arn: a credential or an account id",
    "interaction 1, response body, id_token: a credential or an account id",
    "interaction 1, request body, messages[0].content: something of the shape of an Anthropic key",
]


def write_plain(path, *interactions):
    """As plain vcrpy writes, with nothing filtered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with vcr.use_cassette(str(path)) as cassette:
        for found in interactions:
            request, response = found.request, found.response
            body = request.body.decode() if request.body else None
            cassette.append(
                VcrRequest(request.method, request.uri, body, dict(request.headers)),
                {
                    "status": {"code": response.status, "message": response.reason},
                    "headers": dict(response.headers),
                    "body": {"string": response.body},
                },
            )
    return path.read_text()


def test_an_audit_names_every_secret_and_where_it_is(path):
    write_plain(path, DIRTY)
    assert sorted(map(str, audit(path))) == sorted(LEAKS)


def test_an_audit_of_the_environment(path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "fastest-bird-key-1")
    dirty = chat()
    storage.save(path, [Interaction(dirty.request, Response(200, "OK", {}, b"it is fastest-bird-key-1"))])
    (finding,) = audit(path)
    assert str(finding) == "interaction 1, response body, line 1: the value of the environment variable MY_API_KEY"


def test_an_audit_of_a_clean_cassette(path, provider, cassette):
    storage.save(path, [chat(), tool()])
    assert audit(path) == []


@pytest.mark.parametrize(
    "placeholder", ["redacted", "REDACTED", "**REDACTED**", "<TOKEN>", "Bearer REDACTED", "DUMMY", ""]
)
def test_placeholders_are_no_secrets(path, placeholder):
    found = chat()
    headers = {**JSON, "authorization": [placeholder], "openai-organization": [placeholder]}
    storage.save(path, [Interaction(Request("POST", URL, headers, found.request.body), Response(200, "OK", headers))])
    assert audit(path) == []
    before = path.read_bytes()
    assert redact(path) == []
    assert path.read_bytes() == before


def test_redacting_in_place_changes_nothing_else(path):
    before = write_plain(path, DIRTY, chat()).splitlines()
    assert redact(path) == []
    after = path.read_text().splitlines()
    assert audit(path) == []
    assert len(after) == len(before)
    changed = [line for line in after if line not in before]
    assert len(changed) <= 9
    assert all("redacted" in line or "000000000000" in line for line in changed)
    text = path.read_text()
    for secret in (KEY, "abcdefgh", "mine", "quo", "acme-corp", "123456789876", "word-word"):
        assert secret not in text
    first, second = storage.load(path)
    assert json.loads(first.response.body)["kept"] == "word"
    assert second.response == chat().response


def test_redacting_what_cannot_be_replaced_in_the_text(path):
    """In base64, as vcrpy writes bodies that are no text, a value is not to be seen; the file is then written anew."""
    request, response = DIRTY.request, DIRTY.response
    packed = gzip.compress(response.body)
    dirty = Interaction(request, Response(200, "OK", {**response.headers, "content-encoding": ["gzip"]}, packed))
    assert "!!binary" in write_plain(path, dirty)
    assert redact(path) == []
    (clean,) = storage.load(path)
    assert json.loads(clean.response.body)["id_token"] == "redacted"
    assert "content-encoding" not in clean.response.headers


def test_redacting_a_gzipped_cassette(path):
    path = path.with_name(path.name + ".gz")
    storage.save(path, [DIRTY])
    assert redact(path) == []
    assert gzip.decompress(path.read_bytes()).startswith(b"version: 1")
    assert audit(path) == []


def test_what_redacting_cannot_reach_is_told(path):
    import base64

    hidden = base64.b64encode(f"key: {KEY}".encode()).decode()
    found = chat()
    storage.save(path, [Interaction(found.request, Response(200, "OK", {}, json.dumps({"blob": hidden}).encode()))])
    (finding,) = redact(path)
    assert str(finding) == "interaction 1, response body, blob: something of the shape of an Anthropic key"


def test_rules_of_the_user_s_own(path):
    rules = Redaction(field_names=frozenset({"model"}))
    storage.save(path, [chat()])
    assert [finding.place for finding in audit(path, rules)] == [
        "interaction 1, request body, model",
        "interaction 1, response body, model",
    ]
    assert redact(path, rules) == []
    assert json.loads(storage.load(path)[0].request.body)["model"] == "redacted"


def test_a_cassette_that_cannot_be_read(path):
    path.parent.mkdir(parents=True)
    path.write_text("no cassette")
    for use in (show, audit, redact):
        with pytest.raises(CassetteError, match="Cassette cannot be read"):
            use(path)
    assert path.read_text() == "no cassette"


def without_length(headers):
    return {name: values for name, values in headers.items() if name.lower() != "content-length"}


@needs_corpus
def test_redacting_every_public_cassette(tmp_path):
    """After it, each says what it said, but for what was replaced; and there is nothing left to replace."""
    rules, environment = Redaction(), {}
    for file in sorted(ROOT.glob("corpus*/**/*.yaml"))[::3]:
        copy = tmp_path / "copy.yaml"
        copy.write_bytes(file.read_bytes())
        assert redact(copy, rules, environment) == [], file
        assert audit(copy, rules, environment) == [], file
        for old, new in zip(storage.load(file), storage.load(copy), strict=True):
            expected = rules.interaction(old)
            assert (new.request.method, new.response.status) == (old.request.method, old.response.status)
            again = rules.interaction(new)  # Placeholders of others were left alone.
            assert again.request.uri == expected.request.uri, file
            assert without_length(again.response.headers) == without_length(expected.response.headers), file
