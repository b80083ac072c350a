"""A response that states a total and neither input nor output: the total is known, its split is unknown and never 0."""

import json
import sys

import pytest
from printed import section, totals

COMMAND = (sys.executable, "-m", "pytest_llm_usage.cli")

CALLS = """
    import httpx
    import pytest

    def respond(request):
        return httpx.Response(200, json={
            "id": "c", "object": "chat.completion", "model": "MiniMax-M2",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"total_tokens": 12},
        })

    def call(usage=None):
        with httpx.Client(transport=httpx.MockTransport(respond)) as client:
            client.post("https://api.minimax.io/v1/chat/completions", json={"model": "MiniMax-M2", "messages": []})
"""


@pytest.fixture
def suite(pytester):
    """A function that runs tests of these lines, after `call` is defined."""

    def run(source, *arguments):
        pytester.makeconftest("")
        pytester.makepyfile(calls=CALLS, test_it=f"import pytest\nfrom calls import call\n\n{source}")
        return pytester.runpytest(*arguments)

    return run


def test_the_total_can_be_read_and_the_parts_cannot(suite):
    result = suite("""
def test_it(llm_usage):
    call()
    assert llm_usage.total_tokens == llm_usage.billed_tokens == 12
    assert llm_usage.to_dict()["MiniMax-M2"] == {
        "calls": 1, "input_tokens": None, "output_tokens": None, "total_tokens": 12, "cost_usd": None
    }
    for name in ("input_tokens", "output_tokens"):
        with pytest.raises(Exception, match=f"{name} is not known: 1 of 1 call reported only a total"):
            getattr(llm_usage, name)
""")

    result.assert_outcomes(passed=1)


def test_it_is_priced_by_no_price_of_a_part(suite):
    """Gemini's reasoning is in the total alone; a total without anything else is not all reasoning."""
    result = suite("""
import httpx

def respond(request):
    return httpx.Response(200, json={
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}}], "usageMetadata": {"totalTokenCount": 12},
        "modelVersion": "gemini-2.5-flash",
    })

def test_it(llm_usage):
    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        client.post(
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent", json={}
        )
    assert llm_usage.calls[0].cost_usd is None
    assert llm_usage.calls[0].quote.reason == "the usage has only a total, 12 tokens, and no input and output to price"
""")

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        ("max_tokens=12", "passed"),
        ("max_tokens=11", "LLM budget exceeded: 12 tokens, limit 11 (@pytest.mark.llm_budget)"),
        (
            "max_input_tokens=5",
            "LLM budget cannot be verified: 0 input tokens and 1 call with unknown usage, limit 5 (@pytest.mark.llm_budget)",
        ),
        (
            "max_output_tokens=5",
            "LLM budget cannot be verified: 0 output tokens and 1 call with unknown usage, limit 5 (@pytest.mark.llm_budget)",
        ),
    ],
)
def test_budgets(suite, limit, outcome):
    result = suite(f"@pytest.mark.llm_budget({limit})\ndef test_it():\n    call()\n")

    if outcome == "passed":
        result.assert_outcomes(passed=1)
        return
    result.stdout.fnmatch_lines([outcome.replace("[", "[[]"), "", "*model*input*output*total*", "*MiniMax-M2*?*?*12*"])


def test_every_report_says_so(suite, pytester):
    result = suite(
        "def test_it():\n    call()\n",
        "--llm-usage-json=run.json",
        "--llm-usage-md=run.md",
        "--llm-usage-html=run.html",
        "--llm-usage-history=runs.db",
        "--junit-xml=junit.xml",
        "--llm-usage-report=calls",
    )

    result.assert_outcomes(passed=1)
    assert totals(result)["total"] == ("1", "?", "-", "?", "-", "unpriced")
    assert any(line.split()[:5] == ["1", "MiniMax-M2", "?", "?", "12"] for line in section(result))
    assert "| **total** | 1 | ? | - | ? | - | unpriced |" in (pytester.path / "run.md").read_text()
    run = json.loads((pytester.path / "run.json").read_text())
    for spent in (run["totals"], run["tests"]["test_it.py::test_it"]["usage"]["MiniMax-M2"]):
        assert (spent["input_tokens"], spent["output_tokens"], spent["total_tokens"]) == (None, None, 12)
    junit = (pytester.path / "junit.xml").read_text()
    assert 'name="llm_total_tokens" value="12"' in junit
    assert "llm_input_tokens" not in junit
    assert "llm_output_tokens" not in junit

    csv = pytester.run(*COMMAND, "export", "csv", "run.json")
    assert ",ok,,,12,," in csv.outlines[1]
    pytester.run(*COMMAND, "history", "runs.db").stdout.fnmatch_lines(["*12*"])


def test_comparisons_know_the_total(suite, pytester):
    assert suite("def test_it():\n    call()\n", "--llm-usage-json=base.json").ret == 0
    compared = ("--llm-usage-compare=base.json", "-p", "no:cacheprovider")

    result = suite("def test_it():\n    call()\n", *compared, "--llm-usage-fail-on=tokens:+5%,calls:+0")
    assert "within tokens:+5%, calls:+0" in section(result)
    result = suite("def test_it():\n    call(); call()\n", *compared, "--llm-usage-fail-on=input:+5%,calls:+1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*input:+5% cannot be verified*"])


def test_a_snapshot_holds_what_is_known(suite, pytester):
    source = "def test_it(llm_usage, usage_snapshot):\n    call()\n    assert llm_usage == usage_snapshot\n"
    syrupy = ("-p", "syrupy", "-p", "no:cacheprovider")
    assert suite(source, *syrupy, "--snapshot-update").ret == 0
    (file,) = pytester.path.glob("__snapshots__/*.yaml")
    assert "    input_tokens: null\n    output_tokens: null\n    total_tokens: 12\n" in file.read_text()

    assert suite(source, *syrupy).ret == 0
    assert suite(source.replace("    call()\n", "    call(); call()\n"), *syrupy).ret == pytest.ExitCode.TESTS_FAILED
