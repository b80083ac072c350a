"""A table of planted secrets over what shows the words of an error: kinds of keys, encodings, who tells of them, outputs.

What reaches a cassette is looked at in tests/cassettes/test_planted.py. Here a provider's error, an exception and a failure
repeat a key. The terminal's section and Markdown do not show the words of an error; a whole run's outputs, theirs too, are
looked at in tests/plugin/test_secrets_in_reports.py.
"""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from fakes import FakeChatModel

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import keys

from pytest_llm_usage.credentials.shapes import shapes_in
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.plugin.state import fail
from pytest_llm_usage.report.data import rendered, run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.wire import Exchange, read

#: A note is one line.
KEYS = [(shape, " ".join(key.split())) for shape, key in keys()]
ENCODINGS = {
    "plain": str,
    "JSON": lambda key: json.dumps({"error": key}),
    "after an escaped newline": lambda key: f"a\\n{key}",
    "in colour": lambda key: f"\x1b[31m{key}\x1b[0m",
    "in a URL": lambda key: f"https://h.test/x?q={quote(key, safe='')}&n=1",
    "in a URL in a URL": lambda key: f"https://h.test/x?next={quote(quote(key, safe=''), safe='')}",
}


def of_provider(text):
    body = json.dumps({"error": {"message": f"no: {text}", "type": "invalid_request_error"}}).encode()
    sent = b'{"model": "gpt-4o-mini", "messages": []}'
    url = "https://api.openai.com/v1/chat/completions"
    call = read(Exchange("POST", url, request_body=sent, response_body=body))
    return Call(index=0, source="http", provider="openai", model="gpt-4o-mini", status="error", note=call.note)


def of_failure(text):
    with pytest.raises(pytest.fail.Exception) as raised:
        fail(f"no: {text}")
    return str(raised.value)


def outputs(calls):
    run = Run()
    for number, call in enumerate(calls):
        name = f"test_a.py::test_{number}"
        run.tests[name, ""] = TestRecord(name, Ledger((call,)), Ledger())
    data = run_data(run, environment={"pytest": "9"})
    return {"JSON": rendered(data), "HTML": page(data)}


def spelled(secret):
    """The secret as a file could hold it."""
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote(quote(secret, safe=""), safe="")}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_planted_key_is_in_an_output(encoding, llm_usage):
    planted = []
    for shape, key in KEYS:
        _, begin, end = next(found for found in shapes_in(key) if found[0] is shape)
        planted.append((shape.rule, ENCODINGS[encoding](key), key[begin:end]))
    for _, text, _ in planted:
        with pytest.raises(RuntimeError):
            FakeChatModel(error=RuntimeError(f"no: {text}")).invoke("hi")
    told = {"provider": [of_provider(text) for _, text, _ in planted], "exception": llm_usage.calls}
    written = {(who, name): text for who, calls in told.items() for name, text in outputs(calls).items()}
    written["failure", "failure text"] = "\n".join(of_failure(text) for _, text, _ in planted)
    leaked = [
        (rule, where)
        for where, text in written.items()
        for rule, _, secret in planted
        if any(spelling in text for spelling in spelled(secret))
    ]
    assert leaked == []
    # What the errors say is there, so that something is looked at. The page holds equal texts once.
    assert all("no: " in text and "***" in text for text in written.values())
    assert written["failure", "failure text"].count("***") >= len(KEYS)
    assert written["provider", "JSON"].count("***") >= len(KEYS)
    assert written["exception", "JSON"].count("***") >= len(KEYS)
    assert len(planted) * len(written) * len(ENCODINGS) >= 4000
