"""The section in terminals of several widths, with and without colour."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.report.styled import Styled, judged
from pytest_llm_usage.report.terminal import Screen, section_lines
from pytest_llm_usage.text import told_apart, width
from pytest_llm_usage.usage import TokenUsage

FIX = '"us.acme.quite-a-long-name-of-a-model-v1:0" = { provider = "acme_cloud_services", input = ?, output = ? }'
PRICED = Quote(cost_usd=Decimal("0.01925"), source="genai-prices 0.2.3, openai/gpt-4-turbo")
UNPRICED = Quote(
    reason="genai-prices 0.2.3 has no price for us.acme.quite-a-long-name-of-a-model-v1:0 by acme", fix=FIX
)
HALF = {"cache_read": 5_120}


def call(index, model, usage, quote=PRICED, **fields):
    return Call(index=index, model=model, usage=usage, _quotes=quote, where="agent.py:57 in act", **fields)


def run():
    bird = "tests/test_agent.py::test_bird_with_a_name_that_says_what_it_expects[en]"
    long = TokenUsage.from_counts(8_204, 2_310, input_token_details=HALF, output_token_details={"reasoning": 640})
    calls = (
        call(0, "gpt-4-turbo-2024-04-09", TokenUsage.from_counts(1_412, 171), live=True),
        call(1, "gpt-4o-mini-2024-07-18", long),
        call(2, "us.acme.quite-a-long-name-of-a-model-v1:0", TokenUsage.from_counts(10, 0), UNPRICED),
        call(3, "gpt-4o", None, Quote(), status="no_usage"),
        call(4, "text-embedding-3-small", None, Quote(), status="error", source="http"),
    )
    spent = Spent("max_tokens", Decimal(5_000), Decimal(6_120), "--max-tokens")
    near = Spent("max_tokens", Decimal(5_000), Decimal(4_410), "--max-tokens")
    tests = {
        (bird, ""): TestRecord(bird, Ledger(calls), budget=(spent,)),
        ("tests/test_chat.py::test_long", ""): TestRecord(
            "tests/test_chat.py::test_long",
            Ledger((call(0, "gpt-4o", TokenUsage.from_counts(4_000, 410)),)),
            budget=(near,),
        ),
    }
    return Run(tests=tests)


GOLDEN = {
    60: """
model                    calls     input   output        USD
gpt-4-turbo-2024-04-09       1     1,412      171    0.01925
gpt-4o                       2   >=4,000    >=410  >=0.01925
gpt-4o-mini-2024-07-18       1     8,204    2,310    0.01925
text-embedd…mall (http)      1    failed   failed          -
us.acme.qui…-model-v1:0      1        10        0   unpriced
total                        6  >=13,626  >=2,891  >=0.05775
                       and 1 failed call: agent.py:57 in act
                                         and 1 unpriced call
           and 1 call with unknown usage: agent.py:57 in act
                  spent in this run: $0.01925 in 1 live call
                                  prices: genai-prices 0.2.3
unpriced: genai-prices 0.2.3 has no price for
  us.acme.quite-a-long-name-of-a-model-v1:0 by acme
  "us.acme.quite-a-long-name-of-a-model-v1:0" = { provider = "acme_cloud_services", input = ?, output = ? }
A line in a price file fixes it. No such file yet? Create
  prices.toml with the first line  [models]  and set
  llm_usage_prices = prices.toml  in pytest's configuration

test                      calls    input   output        USD
test_bird_wi…expects[en]      5  >=9,626  >=2,481  >=0.03850
test_chat.py::test_long       1    4,000      410    0.01925

--max-tokens=5,000: 1 of 2 tests over, 1 above 80 %
  test_bird_with…it_expects[en]  6,120  #############  122 %
  tests/test_chat.py::test_long  4,410  #########       88 %
""",
    80: """
model                       calls     input  cached   output  reason.        USD
gpt-4-turbo-2024-04-09          1     1,412       -      171        -    0.01925
gpt-4o                          2   >=4,000       -    >=410        -  >=0.01925
gpt-4o-mini-2024-07-18          1     8,204   5,120    2,310      640    0.01925
text-embeddin…small (http)      1    failed       -   failed        -          -
us.acme.quite…a-model-v1:0      1        10       -        0        -   unpriced
total                           6  >=13,626   5,120  >=2,891      640  >=0.05775
                                           and 1 failed call: agent.py:57 in act
                                                             and 1 unpriced call
                               and 1 call with unknown usage: agent.py:57 in act
                                      spent in this run: $0.01925 in 1 live call
                                                      prices: genai-prices 0.2.3
unpriced: genai-prices 0.2.3 has no price for
  us.acme.quite-a-long-name-of-a-model-v1:0 by acme
  "us.acme.quite-a-long-name-of-a-model-v1:0" = { provider = "acme_cloud_services", input = ?, output = ? }
A line in a price file fixes it. No such file yet? Create prices.toml with the
  first line  [models]  and set  llm_usage_prices = prices.toml  in pytest's
  configuration

test                                          calls    input   output        USD
test_bird_with_a_name_…s_what_it_expects[en]      5  >=9,626  >=2,481  >=0.03850
tests/test_chat.py::test_long                     1    4,000      410    0.01925

--max-tokens=5,000: 1 of 2 tests over, 1 above 80 %
  test_bird_with_a_name_th…says_what_it_expects[en]  6,120  #############  122 %
  tests/test_chat.py::test_long                      4,410  #########       88 %
""",
    120: """
model                                      calls     input  cached   output  reason.        USD
gpt-4-turbo-2024-04-09                         1     1,412       -      171        -    0.01925
gpt-4o                                         2   >=4,000       -    >=410        -  >=0.01925
gpt-4o-mini-2024-07-18                         1     8,204   5,120    2,310      640    0.01925
text-embedding-3-small (http)                  1    failed       -   failed        -          -
us.acme.quite-a-long-name-of-a-model-v1:0      1        10       -        0        -   unpriced
total                                          6  >=13,626   5,120  >=2,891      640  >=0.05775
                                                          and 1 failed call: agent.py:57 in act
                                                                            and 1 unpriced call
                                              and 1 call with unknown usage: agent.py:57 in act
                                                     spent in this run: $0.01925 in 1 live call
                                                                     prices: genai-prices 0.2.3
unpriced: genai-prices 0.2.3 has no price for us.acme.quite-a-long-name-of-a-model-v1:0 by acme
  "us.acme.quite-a-long-name-of-a-model-v1:0" = { provider = "acme_cloud_services", input = ?, output = ? }
A line in a price file fixes it. No such file yet? Create prices.toml with the first line  [models]  and set
  llm_usage_prices = prices.toml  in pytest's configuration

test                                                                      calls    input   output        USD
tests/test_agent.py::test_bird_with_a_name_that_says_what_it_expects[en]      5  >=9,626  >=2,481  >=0.03850
tests/test_chat.py::test_long                                                 1    4,000      410    0.01925

--max-tokens=5,000: 1 of 2 tests over, 1 above 80 %
  tests/test_agent.py::test_bird_with_a_name_that_says_what_it_expects[en]  6,120  #############  122 %
  tests/test_chat.py::test_long                                             4,410  #########       88 %
""",
    200: """
model                                      calls     input  cached   output  reason.        USD
gpt-4-turbo-2024-04-09                         1     1,412       -      171        -    0.01925
gpt-4o                                         2   >=4,000       -    >=410        -  >=0.01925
gpt-4o-mini-2024-07-18                         1     8,204   5,120    2,310      640    0.01925
text-embedding-3-small (http)                  1    failed       -   failed        -          -
us.acme.quite-a-long-name-of-a-model-v1:0      1        10       -        0        -   unpriced
total                                          6  >=13,626   5,120  >=2,891      640  >=0.05775
                                                          and 1 failed call: agent.py:57 in act
                                                                            and 1 unpriced call
                                              and 1 call with unknown usage: agent.py:57 in act
                                                     spent in this run: $0.01925 in 1 live call
                                                                     prices: genai-prices 0.2.3
unpriced: genai-prices 0.2.3 has no price for us.acme.quite-a-long-name-of-a-model-v1:0 by acme
  "us.acme.quite-a-long-name-of-a-model-v1:0" = { provider = "acme_cloud_services", input = ?, output = ? }
A line in a price file fixes it. No such file yet? Create prices.toml with the first line  [models]  and set
  llm_usage_prices = prices.toml  in pytest's configuration

test                                                                      calls    input   output        USD
tests/test_agent.py::test_bird_with_a_name_that_says_what_it_expects[en]      5  >=9,626  >=2,481  >=0.03850
tests/test_chat.py::test_long                                                 1    4,000      410    0.01925

--max-tokens=5,000: 1 of 2 tests over, 1 above 80 %
  tests/test_agent.py::test_bird_with_a_name_that_says_what_it_expects[en]  6,120  #############  122 %
  tests/test_chat.py::test_long                                             4,410  #########       88 %
""",
}


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_the_layout(columns):
    lines = [line.text for line in section_lines(run(), "tests", Screen(columns=columns))]

    assert "\n".join(lines) == GOLDEN[columns].strip("\n")
    assert [line for line in lines if width(line) > columns and FIX not in line] == []


def test_narrower_than_sixty_columns_is_sixty():
    assert section_lines(run(), "calls", Screen(columns=20)) == section_lines(run(), "calls", Screen(columns=60))


def test_what_is_wrong_or_not_known_has_a_colour():
    styles = {}
    for line in section_lines(run(), "tests", Screen()):
        for part in line.parts:
            if isinstance(part, Styled):
                styles.setdefault(part.style, []).append(part.strip())

    assert styles["bad"] == [
        "failed",
        "failed",
        "--max-tokens=5,000: 1 of 2 tests over, 1 above 80 %",
        "#############",
        "122 %",
    ]
    assert {">=4,000", "unpriced", "88 %", "and 1 unpriced call"} <= set(styles["warn"])


MANY = 45


def many():
    calls = [call(i, f"model-{i:02}", TokenUsage.from_counts(10 * i, 1)) for i in range(MANY)]
    return Run(tests={("t", ""): TestRecord("t", Ledger(tuple(calls)))})


def test_long_lists_say_how_to_see_all():
    shown = [line.text for line in section_lines(many(), "models", Screen())]
    whole = [line.text for line in section_lines(many(), "models", Screen(shows_all=True))]

    assert [line.split()[0] for line in shown[1:21]] == [f"model-{i:02}" for i in range(MANY - 20, MANY)]
    assert shown[21:23] == [
        "and 25 more models, in the total; -v shows all",
        next(x for x in whole if x.startswith("total")),
    ]
    assert sum(line.startswith("model-") for line in whole) == MANY


@given(st.lists(st.text("ab-日", max_size=40), max_size=12), st.integers(12, 30))
def test_no_two_names_look_alike(names, columns):
    cut = told_apart(names, columns)

    assert all(width(name) <= columns for name in cut)
    assert len(set(cut)) == len(set(names))


SUITE = """
from fakes import FakeChatModel

def test_it():
    FakeChatModel(model="größe-日本", provider="acme").invoke("one")
"""


@pytest.mark.parametrize(
    "variables",
    [{"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "cp1252"}],
)
@pytest.mark.parametrize("color", ["yes", "no"])
def test_terminals_that_know_few_characters(tmp_path, variables, color):
    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "llm_usage",
        f"--color={color}",
        "--max-tokens=14",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)

    text = done.stdout.decode("cp1252", errors="replace")
    assert "Traceback" not in text + done.stderr.decode("cp1252", errors="replace")
    assert "--max-tokens=14: 1 of 1 test over" in text
    assert ("\x1b[31m--max-tokens=14" in text) == (color == "yes")
    assert ("\x1b" in text) == (color == "yes")
    assert "llm-usage: internal error" not in text
    assert Path(tmp_path, "test_it.py").exists()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_calls_stand_below_their_test_and_apart_from_the_next(columns):
    lines = [line.text for line in section_lines(run(), "calls", Screen(columns=columns))]

    start = next(number for number, line in enumerate(lines) if line.startswith("test "))
    first, second = "\n".join(lines[start + 1 : lines.index("", lines.index("", start) + 1)]).split("\n\n")
    assert [block.split()[0][-4:] for block in (first, second)] == ["[en]", "long"]
    assert [line[0] for line in first.splitlines()[1:]] == ["#", "1", "2", "3", "4", "5"]
    assert [line[0] for line in second.splitlines()[1:]] == ["#", "1"]
    assert max(map(width, first.splitlines())) <= columns


def test_a_verdict_has_its_colour_on_every_line():
    texts = [
        "  tests/test_a.py::test_a  100  200  +100 %",
        "      over tokens:+5%",
        "      Prompts grew by 100 tokens",
        "FAILED: 1 test and all tests together over tokens:+5%; 1 test",
        "  and all tests together over calls:+0",
        "Wrote JSON report to run.json",
    ]

    lines = judged(texts)

    assert [line.text for line in lines] == texts
    assert [getattr(line.parts[0], "style", "") for line in lines] == ["", "bad", "", "bad", "bad", ""]
