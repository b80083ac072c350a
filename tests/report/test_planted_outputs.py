"""A table of planted secrets over everything that a run writes: kinds of keys, places, encodings, outputs.

One run of pytest makes a model call for each key, place and encoding, with a cassette of its own, and writes all there is:
cassettes, a usage snapshot, JSON, Markdown, the page with the recorded texts, the terminal, JUnit, and what fails each
call. No key is in any of it. A second run does the same with texts that only look like keys, and all of it keeps them.
How a key can be encoded in a cassette is looked at closer in tests/cassettes/test_planted.py.
"""

import html
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import ALIKE, keys

from pytest_llm_usage.cassettes import reader, writer
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.credentials.shapes import shapes_in

#: Each key in one line, as a note is, with the part of it that is secret.
KEYS = []
for shape, several_lines in keys():
    one_line = " ".join(several_lines.split())
    _, begin, end = next(found for found in shapes_in(one_line) if found[0] is shape)
    KEYS.append((shape, one_line, one_line[begin:end]))

#: The value of a variable, which has no shape.
PASSWORD = 'pa"ss\\wo"rd-1'

ENCODINGS = {
    "plain": str,
    "JSON": lambda text: json.dumps({"error": text}),
    "after an escaped newline": lambda text: f"a\\n{text}",
    "in colour": lambda text: f"\x1b[31m{text}\x1b[0m",
    "in a URL": lambda text: f"https://h.test/x?q={quote(text, safe='')}&n=1",
    "in a URL in a URL": lambda text: f"https://h.test/x?next={quote(quote(text, safe=''), safe='')}",
}

#: Makes one call for each text, in the place that the test is named for, and fails with what it was told of each.
SUITE = """
    import contextlib
    import json
    import pathlib
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import quote

    import httpx
    import pytest
    from fakes import FakeChatModel

    PLANTED = json.loads(pathlib.Path(__file__).with_name("planted.json").read_text())
    USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet
        answer = ({}, {})

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            headers, body = self.answer
            data = json.dumps(body).encode()
            self.send_response(200)
            for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_): pass

    @pytest.fixture(scope="module")
    def url():
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/v1"
            server.shutdown()

    @pytest.fixture(scope="module")
    def client():
        with httpx.Client() as client:
            yield client

    def answer(content="ok", usage=USAGE):
        return {"id": "x", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "usage": usage,
                "choices": [{"message": {"role": "assistant", "content": content}}]}

    def ask(client, url, prompt="hi", body=None, headers=(), sent=(), path="/chat/completions"):
        Handler.answer = (dict(headers), body or answer())
        client.post(url + path, headers=dict(sent),
                    json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]})

    def in_header(text):
        # As a log keeps it: without what a header cannot hold.
        return {"x-note": "".join(char for char in " ".join(text.split()) if " " <= char <= "~")}

    PLACES = {
        "the prompt": lambda ask, text: ask(prompt=f"see {text} ok"),
        "the answer": lambda ask, text: ask(body=answer(f"it is {text}.")),
        "a count": lambda ask, text: ask(body=answer(usage={**USAGE, "prompt_tokens": text})),
        "a header": lambda ask, text: ask(sent=in_header(text)),
        "a header of the answer": lambda ask, text: ask(headers=in_header(text)),
        "the query": lambda ask, text: ask(path=f"/chat/completions?q={quote(text, safe='')}"),
    }

    def call(place, text, number, client, url, llm_cassette):
        provider = "https://api.openai.com/v1"
        if place == "an exception":
            with contextlib.suppress(RuntimeError):
                FakeChatModel(error=RuntimeError(f"no: {text}")).invoke("hi")
        elif place == "the provider's error":
            # A stream that ends in one: an answer that is nothing but an error is no call that is counted.
            begun = {"object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [{"delta": {"content": "a"}}]}
            events = [begun, {"error": {"message": f"no: {text}", "type": "server_error"}}]
            stream = httpx.Response(200, headers={"content-type": "text/event-stream"},
                                    text="".join(f"data: {json.dumps(event)}\\n\\n" for event in events))
            with httpx.Client(transport=httpx.MockTransport(lambda _: stream), trust_env=False) as mocked:
                ask(mocked, provider)
        elif place == "a changed prompt":
            ask(client, provider, prompt=f"see {text} ok")
        elif place == "a URL that is not recorded":
            ask(client, provider, path=f"/chat/completions/{quote(text, safe='')}")
        else:
            with llm_cassette(f"{place}/{number}", record="once"):
                PLACES[place](lambda **said: ask(client, url, **said), text)

    @pytest.mark.parametrize("place", PLANTED)
    def test_planted(place, client, url, llm_cassette, llm_usage, usage_snapshot):
        told = []
        replayed = {"a changed prompt": "recorded", "a URL that is not recorded": "nothing"}
        with contextlib.ExitStack() as opened:
            if place in replayed:
                opened.enter_context(llm_cassette(replayed[place], record="none"))
            for number, text in enumerate(PLANTED[place]):
                with llm_usage.section(str(number)) as part:
                    try:
                        call(place, text, number, client, url, llm_cassette)
                        part.total_tokens
                        part.assert_within(max_calls=0)
                    except BaseException as error:
                        told.append(f"<{place} {number}> {error}")
        if place != "a count":
            assert llm_usage == usage_snapshot
        with pathlib.Path("failures.txt").open("a", encoding="utf-8") as file:
            file.write("\\n".join([*told, ""]))
        pytest.fail("\\n".join(told), pytrace=False)
"""
RECORDED = ["the prompt", "the answer", "a count", "a header", "a header of the answer", "the query"]
REFUSED = ["a changed prompt", "a URL that is not recorded"]
PLACES = [*RECORDED, *REFUSED, "the provider's error", "an exception"]

#: What the changed prompt is compared with.
BEFORE = writer.render(
    [
        Interaction(
            Request(
                "POST",
                "https://api.openai.com/v1/chat/completions",
                {"content-type": ["application/json"]},
                b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}',
            ),
            Response(200, "OK", {"content-type": ["application/json"]}, b"{}"),
        )
    ]
)


@pytest.fixture
def run(pytester):
    """Makes a run of the texts of each place, and gives what it wrote, by the name of the output."""

    def run(texts):
        pytester.makepyfile(test_it=SUITE)
        (pytester.path / "planted.json").write_text(json.dumps(texts))
        folder = pytester.path / "cassettes" / "test_it"
        folder.mkdir(parents=True)
        (folder / "recorded.yaml").write_bytes(BEFORE)
        result = pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "-p", "syrupy", "--snapshot-update", "--llm-usage-report=calls",
            "--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html", "--llm-usage-html-bodies",
            "--junit-xml=run.xml",
        )  # fmt: skip
        # Other plugins may warn, as langsmith's does on Python 3.14.
        assert result.parseoutcomes() | {"warnings": 0} == {"failed": len(texts), "warnings": 0}, result.stdout.str()[
            -3000:
        ]
        cassettes = {path.relative_to(folder): path.read_text() for path in folder.rglob("*.yaml")}
        return {
            "cassette": "\n".join(f"<{path.parent} {path.stem}> {text}" for path, text in cassettes.items()),
            "snapshot": (pytester.path / "__snapshots__" / "test_it.usage.yaml").read_text(),
            "JSON": (pytester.path / "run.json").read_text(),
            "Markdown": (pytester.path / "run.md").read_text(),
            "HTML": (pytester.path / "run.html").read_text(),
            "terminal": result.stdout.str() + result.stderr.str(),
            "JUnit": (pytester.path / "run.xml").read_text(),
            "failure text": (pytester.path / "failures.txt").read_text(),
        }

    return run


def cells_in(written):
    """How many of the planted texts each output tells of: as calls that it counts, or each by itself."""
    page = re.search('<script type="application/json" id="run">(.*?)</script>', written["HTML"], re.DOTALL)[1]
    told = {name: set(re.findall(r"<([A-Za-z' ]+ \d+)> ", html.unescape(text))) for name, text in written.items()}
    return {
        "cassette": len(told["cassette"]) + written["failure text"].count("> Cassette not saved: "),
        "snapshot": sum(map(int, re.findall(r"\bcalls: (\d+)", written["snapshot"]))),
        "JSON": sum(len(test["calls"]) for test in json.loads(written["JSON"])["tests"].values()),
        "Markdown": int(re.search(r"\| \*\*total\*\* \| ([\d,]+) ", written["Markdown"])[1].replace(",", "")),
        "HTML": sum(len(test["calls"]) for test in json.loads(page)["tests"]),
        "terminal": len(told["terminal"]),
        "JUnit": len(told["JUnit"]),
        "failure text": len(told["failure text"]),
    }


def expected_cells(planted):
    """The same, of a run that loses none. Who shows only what fails a test first shows no more of requests that are refused."""
    counts = {place: len(texts) for place, texts in planted.items()}
    recorded, refused = (sum(counts[place] for place in places) for places in (RECORDED, REFUSED))
    calls = sum(counts.values()) - refused
    return {
        "cassette": recorded,
        "snapshot": calls - counts["a count"],  # of unknown usage there is no snapshot
        **dict.fromkeys(("JSON", "Markdown", "HTML", "terminal", "JUnit"), calls),
        "failure text": calls + refused,
    }


def spelled(secret):
    """The secret as a file could hold it."""
    escaped = json.dumps(secret)[1:-1]
    return {
        *(secret, escaped, json.dumps(escaped)[1:-1], html.escape(secret)),
        *(quote(secret, safe=""), quote(quote(secret, safe=""), safe="")),
    }


def planted_in_turn(texts):
    """The texts of each place, each in one of the encodings: which, differs from place to place.

    Of the places in which a cassette is saved, which takes longest, each text stands in one or two; of the others, in two.
    """
    ways = list(ENCODINGS.values())
    return {
        place: [
            ways[(number + start) % len(ways)](text)
            for number, text in enumerate(texts[start % 5 :: 5] if place in RECORDED else texts[start % 2 :: 2])
        ]
        for start, place in enumerate(PLACES)
    }


def test_no_planted_key_is_in_an_output(run, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    planted = planted_in_turn([*(key for _, key, _ in KEYS), *[PASSWORD] * 10])

    written = run(planted)

    leaked = [
        (secret, output)
        for secret in {PASSWORD, *(secret for _, _, secret in KEYS)}
        for output, text in written.items()
        if any(spelling in text for spelling in spelled(secret))
    ]
    assert leaked == []
    cells = cells_in(written)
    assert cells == expected_cells(planted)
    assert min(cells.values()) >= 350
    assert sum(cells.values()) >= 4_000
    # What the errors say is there, so that something is looked at. The page holds equal texts once.
    assert "no: ***" in written["JSON"]
    assert "no: ***" in written["HTML"]
    for output in ("JSON", "terminal", "JUnit", "failure text"):
        assert written[output].count("***") >= 100, output
    assert written["failure text"].count("would hold a credential") >= 350


def test_no_lookalike_is_touched_or_refused_in_an_output(run):
    planted = planted_in_turn(ALIKE)

    written = run(planted)

    cells = cells_in(written)
    assert cells == expected_cells(planted)
    assert len(set(ALIKE)) >= 150
    assert "Cassette not saved" not in written["failure text"]
    assert [output for output, text in written.items() if "***" in text or "redacted" in text] == []
    kept = re.findall(r"(?ms)^<the prompt (\d+)> (.*?)(?=^<|\Z)", written["cassette"])
    sent = {int(number): json.loads(reader.parse(text.encode())[0].request.body) for number, text in kept}
    assert {number: body["messages"][0]["content"] for number, body in sent.items()} == {
        number: f"see {text} ok" for number, text in enumerate(planted["the prompt"])
    }
