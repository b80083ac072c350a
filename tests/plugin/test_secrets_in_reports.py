"""No key that an error repeats is shown: not in the terminal, not in a report, not in the run's data."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import keys, made_up

from pytest_llm_usage.credentials.shapes import shapes_in

#: One key of each kind, as an error tells it.
KEYS = list({shape.rule: (shape, key) for shape, key in keys()}.values())
VALUE = 'pa"ss\\wo"rd-1'

ERRORS = """
    import contextlib
    import json
    import os
    import pytest
    from fakes import FakeChatModel

    KEYS = {keys!r}

    @pytest.mark.parametrize("number", range(len(KEYS)))
    def test_refused(number, llm_usage):
        model = FakeChatModel(error=RuntimeError(f"401: the key {{KEYS[number]}} is wrong"))
        with contextlib.suppress(RuntimeError):
            model.invoke("one")
        FakeChatModel().invoke("two")

    def test_of_the_environment(llm_usage):
        for text in (os.environ["PGPASSWORD"], json.dumps(os.environ["PGPASSWORD"])):
            with contextlib.suppress(RuntimeError):
                FakeChatModel(error=RuntimeError(f"no user with {{text}} there")).invoke("one")
"""


def test_no_report_shows_a_key_of_an_error(pytester, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", VALUE)
    planted = [" ".join(key.split()) for _, key in KEYS]
    pytester.makepyfile(ERRORS.format(keys=planted))

    result = pytester.runpytest_subprocess(
        "-p", "no:xdist", "--llm-usage-report=calls", "--llm-usage-json=run.json", "--llm-usage-md=run.md",
        "--llm-usage-html=run.html", "--junit-xml=run.xml", "-v",
    )  # fmt: skip

    result.assert_outcomes(passed=len(planted) + 1)
    written = {name: (pytester.path / name).read_text() for name in ("run.json", "run.md", "run.html", "run.xml")}
    assert "the key ***" in written["run.json"]
    assert "no user with ***" in written["run.json"]
    for name, text in {**written, "terminal": result.stdout.str() + result.stderr.str()}.items():
        for shape, key in zip((shape for shape, _ in KEYS), planted, strict=True):
            _, begin, end = next(found for found in shapes_in(key) if found[0] is shape)
            assert key[begin:end] not in text, (name, shape.rule)
        assert VALUE not in text, name
        assert VALUE.replace("\\", "\\\\").replace('"', '\\"') not in text, name


OBJECTS = """
    from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
    from pytest_llm_usage.wire import Exchange

    def test_shown():
        headers = {{"authorization": ["Bearer {key}"]}}
        request = Request("POST", "https://h.test/x?key={key}", headers, b"{key}")
        found = Interaction(request, Response(401, "no {key}", headers, b"{key}"))
        exchange = Exchange("POST", "https://h.test/x?key={key}", headers, b"{key}", 401, headers, b"{key}")
        shown = [found, exchange]
        del headers, request
        assert not shown
"""


def test_what_pytest_prints_of_objects_shows_no_key(pytester):
    key = made_up(40)
    pytester.makepyfile(OBJECTS.format(key=key))

    result = pytester.runpytest("--showlocals", "-vv")

    lines = result.stdout.str().split("def test_shown")[1].split("assert not shown")[1]
    assert "<Request POST https://h.test/x?key=***" in lines
    assert key not in lines
