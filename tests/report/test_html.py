"""The page: whole, self-contained, and with nothing of the run read as markup."""

import json
import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.compare import parse_gates
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.comparison import RunComparison
from pytest_llm_usage.report.data import run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.usage import TokenUsage

VOID = {"meta", "input", "rect", "br", "wbr"}
#: Their ends may be left out, and are.
IMPLIED = {"td", "th", "tr", "li", "tbody", "thead", "p"}


class Page(HTMLParser):
    """Tags, attributes and text, and whether every tag that must be closed is."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID | IMPLIED:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID | IMPLIED:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def call(index=0, model="gpt-4o-mini", sent=1_000, received=100, cost: str | None = "0.25", **fields):
    usage = TokenUsage.from_counts(
        sent, received, input_token_details={"cache_read": 400}, output_token_details={"reasoning": 60}
    )
    return Call(
        index=index,
        model=model,
        usage=usage,
        _quotes=Quote(cost_usd=None if cost is None else Decimal(cost)),
        **fields,
    )


def given_to_script(text):
    """What the page's script is given."""
    return json.loads(re.search(r'<script type="application/json" id="run">(.*?)</script>', text)[1])


def run(**tests):
    records = {(name, ""): TestRecord(name, Ledger(tuple(calls))) for name, calls in tests.items()}
    return run_data(Run(tests=records), environment={"commit": "ab" * 20, "prices": "genai-prices 0.2.3"})


def test_fetches_nothing():
    data = run(a=[call()])
    text = page(data, RunComparison([data], [data], base_name="base.json"))

    assert not {"link", "img", "iframe", "object", "embed"} & set(Page(text).tags)
    assert not {"src", "href", "action", "xlink:href"} & {name for name, _ in Page(text).attributes}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text


def test_shows_totals_models_and_tests():
    text = page(run(small=[call(sent=500)], large=[call(), call(1, "claude", cost=None, where="agent.py:7")]))
    parsed = Page(text)
    words = [word.strip() for word in parsed.words if word.strip()]

    assert words[words.index("tokens") - 1] == "2,800"
    assert "≥ 0.50000" in words
    assert {"gpt-4o-mini", "claude", "unpriced", "and 1 unpriced call"} <= set(words)
    given = given_to_script(text)
    assert [test["name"] for test in given["tests"]] == ["large", "small"]
    assert [test["cells"] for test in given["tests"]] == [
        ["2", "2,000", "800", "200", "120", "≥ 0.25000"],
        ["1", "500", "400", "100", "60", "0.25000"],
    ]
    assert [(given["models"][row[0]], *row[1:3], given["texts"][row[3]]) for row in given["tests"][0]["calls"]] == [
        ("gpt-4o-mini", "1,100", "0.25000", ""),
        ("claude", "1,100", "unpriced", "agent.py:7"),
    ]
    assert "commit abababababab" in " ".join(words)
    assert parsed.open == []


def test_a_part_of_a_usage_is_shown_as_the_least():
    text = page(run(a=[call(is_partial=True, status="aborted", where="a.py:7")]))
    words = [word.strip() for word in Page(text).words]

    given = given_to_script(text)
    (row,) = given["tests"][0]["calls"]
    assert (*row[1:3], given["texts"][row[3]]) == ("≥ 1,100", "?", "a.py:7")
    assert "≥ 1,100" in words
    assert "and 1 call with unknown usage: a.py:7" in words
    assert "unpriced" not in " ".join(words[: words.index("By test")])


def test_bars_are_as_long_as_their_share():
    text = page(run(a=[call()]))
    (bar, *_) = re.findall(r'<svg viewBox="0 0 100 10".*?</svg>', text)
    pieces = re.findall(r'class="(\w+)" x="([\d.]+)" width="([\d.]+)"', bar)

    assert [name for name, _, _ in pieces] == ["input", "cached", "output", "reasoning"]
    assert [round(float(width) * 11) for _, _, width in pieces] == [600, 400, 40, 60]
    assert 'aria-label="1,100 tokens"' in bar


def test_shows_what_changed():
    base, head = run(a=[call()], b=[call()]), run(a=[call(sent=3_000)], b=[call()])
    text = page(head, RunComparison([base], [head], base_name="base.json", gates=parse_gates("tokens:+5%")))

    assert "Compared with base.json" in text
    assert "1 test and all tests together over tokens:+5%" in text
    assert "+182 %" in text


@settings(max_examples=25)
@given(st.text(min_size=1), st.text(min_size=1))
def test_nothing_of_the_run_is_read_as_markup(name, word):
    hostile = f"<script>alert(1)</script>{word}</style>\"'>"
    data = run(**{f"{name}{hostile}": [call(model=hostile, where=hostile, node=hostile, note=hostile)]})
    parsed = Page(page(data, RunComparison([run()], [data], base_name=hostile)))

    assert parsed.tags.count("script") == 2
    assert parsed.tags.count("style") == 1
    assert parsed.open == []


def test_a_text_that_many_calls_have_is_in_the_page_once():
    text = page(run(**{f"test_{n}": [call(where="agent.py:41 in act", note="slow")] for n in range(9)}))

    assert text.count("agent.py:41 in act") == 1
    assert set(given_to_script(text)["texts"]) == {"agent.py:41 in act", "slow"}


def test_of_a_run_without_calls():
    assert Page(page(run())).open == []


def test_each_test_has_its_outcome_its_time_and_its_budget():
    spent = Spent("max_tokens", Decimal(1_000), Decimal(1_100), "--max-tokens")
    record = TestRecord(
        "a", Ledger((call(started_at=1_700_000_000.0, duration_s=1.5),)), budget=(spent,), outcome="failed"
    )
    text = page(run_data(Run(tests={("a", ""): record}), environment={}))

    (test,) = given_to_script(text)["tests"]
    assert (test["outcome"], test["seconds"]) == ("failed", 1.5)
    assert test["budget"] == [1.1, "max_tokens: 1,100 of 1,000 (110 %)", False]
    assert "2023-11-14" in text


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ([("max_cost", "0.01", "0", None)], [0.0, "max_cost: at least 0 of 0.01 (0 %)", True]),
        # What is not known comes before what is kept, and behind what is exceeded.
        (
            [("max_cost", "0.01", "0", None), ("max_tokens", "2000", "1100", None)],
            [0.0, "max_cost: at least 0 of 0.01 (0 %)", True],
        ),
        (
            [("max_cost", "0.01", "0", None), ("max_tokens", "1000", "1100", None)],
            [1.1, "max_tokens: 1,100 of 1,000 (110 %)", False],
        ),
        ([("max_cost", "0.01", "0", "claude*")], [0.0, "max_cost: 0 of 0.01 (0 %)", False]),
    ],
)
def test_a_budget_of_which_more_may_have_been_used_is_no_share(limits, shown):
    budget = tuple(
        Spent(name, Decimal(limit), Decimal(spent), "--it", model=model) for name, limit, spent, model in limits
    )
    record = TestRecord("a", Ledger((call(cost=None),)), budget=budget)

    (test,) = given_to_script(page(run_data(Run(tests={("a", ""): record}), environment={})))["tests"]

    assert test["budget"] == shown


def test_a_tile_tells_only_what_its_number_does_not_have():
    calls = [call(cost=None, where="agent.py:7"), call(1), Call(index=2, status="error", where="agent.py:9")]
    text = page(run(a=calls))

    (tile,) = re.findall(r"<div><b>([^<]*)</b><span>USD</span><small>([^<]*)</small></div>", text)
    assert tile == ("≥ 0.25000", "and 1 unpriced call")
    assert "and 1 failed call: agent.py:9; and 1 unpriced call" in text
    assert not re.search(r"(?:>|&gt;)=", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL))


def test_the_job_is_linked_to_and_nothing_else_is():
    data = run(a=[call()])
    for job, links in (("https://ci.example/jobs/1", 1), ("javascript:alert(1)", 0)):
        environment = data["environment"] | {"job": job, "branch": "feature/one"}
        text = page(data | {"environment": environment})
        assert [value for name, value in Page(text).attributes if name == "href"] == [job] * links
        assert "branch feature/one" in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_time_is_too_far_away(seconds):
    assert "<main>" in page(run(a=[call(started_at=seconds)]))
