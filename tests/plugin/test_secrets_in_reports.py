"""What pytest prints of the plugin's objects shows no key."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cassettes"))
from planted_keys import made_up

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
