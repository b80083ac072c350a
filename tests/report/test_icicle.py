"""What the cost is made of, as a picture: run → test → node → part."""

import re
from decimal import Decimal
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.input_by_part import PARTS, InputByPart
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.comparison import RunComparison
from pytest_llm_usage.report.data import run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.markdown import markdown
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.usage import TokenUsage


class Tree(HTMLParser):
    """The items of the tree, each with its level, its name and its share."""

    def __init__(self, text):
        super().__init__()
        self.items, self.shares = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if given.get("role") == "none":
            self.share = float(re.fullmatch(r"flex-grow:([\d.]+)", given["style"])[1]) / 1000
        if given.get("role") == "treeitem":
            assert given["title"] == given["aria-label"]
            self.items.append((int(given["aria-level"]), given["aria-label"], self.share))


def names(items):
    """Level and name of each, without its share."""
    return [(level, re.sub(r" [\d.<]+ %$", "", name.split("; ")[0])) for level, name, _ in items]


def call(parts, *, tools=(), output=0, cost: str | None = "0.02", input_usd: str | None = "0.01", **fields):
    sent = InputByPart(parts, dict(tools), "o200k_base", input_usd and Decimal(input_usd))
    return Call(
        index=0,
        model="gpt-4o",
        usage=TokenUsage.from_counts(sent.total, output),
        _quotes=Quote(cost_usd=cost and Decimal(cost)),
        _inputs=sent,
        **fields,
    )


def run(**tests):
    records = {(name, ""): TestRecord(name, Ledger(tuple(calls))) for name, calls in tests.items()}
    # What the input cost rides on a call's data.
    data = run_data(Run(tests=records), environment={})
    for name, calls in tests.items():
        data["tests"][name]["calls"] = [each.to_dict(with_parts=True) | _cost_of_input(each) for each in calls]
    return data


def _cost_of_input(each):
    parts = each.input_by_part
    known = {"cost_usd": f"{parts.cost_usd:f}"} if parts.cost_usd is not None else {}
    return {"input_by_part": parts.to_dict() | known}


def tree(data):
    (found,) = re.findall(r'<div class="icicle".*?</section>', page(data), re.DOTALL)
    return Tree(found).items


AGENT = [
    call({"tools": 90, "user": 10}, tools={"search": 60, "rain": 30}, output=5, cost="0.03", node="agent"),
    call({"history": 100}, output=5, node="answer"),
]


def test_the_run_its_tests_their_nodes_and_the_parts():
    items = tree(
        run(**{"tests/test_a.py::test_agent": AGENT, "test_b.py::test_small": [call({"system": 1}, cost="0.01")]})
    )

    assert names(items) == [
        (1, "run"),
        (2, "test_a.py::test_agent"),
        (3, "agent"),
        (4, "answers"),
        (4, "tools"),
        (4, "user"),
        (3, "answer"),
        (4, "history"),
        (4, "answers"),
        (2, "test_b.py::test_small"),
        (3, "no node"),
        (4, "system"),
    ]
    assert items[1][1].split("; ")[2] == "tests/test_a.py::test_agent"
    assert items[4][1] == (
        "tools 15 %; ~$0.00900; largest schemas: search ~60, rain ~30; "
        "to change it: send fewer tools, or shorten their descriptions"
    )


def test_each_box_is_as_high_as_its_share():
    items = tree(run(test_agent=AGENT, test_small=[call({"system": 1}, cost="0.01")]))

    for parent_level in (1, 2, 3):
        for at, (level, _, share) in enumerate(items):
            if level != parent_level:
                continue
            below = []
            for deeper, _, size in items[at + 1 :]:
                if deeper <= level:
                    break
                below += [size] if deeper == level + 1 else []
            assert abs(sum(below) - share) < 0.001


def test_without_nodes_there_is_no_level_of_them():
    items = tree(run(test_agent=[call({"system": 60, "user": 40}, output=1)]))

    assert names(items) == [
        (1, "run"),
        (2, "test_agent"),
        (3, "answers"),
        (3, "system"),
        (3, "user"),
    ]


def test_without_prices_tokens_decide():
    items = tree(run(test_agent=[call({"system": 60, "user": 40}, cost=None, input_usd=None)]))

    assert [name.split("; ")[:2] for _, name, _ in items[2:]] == [
        ["system 60 %", "~60 tokens"],
        ["user 40 %", "~40 tokens"],
    ]


def test_many_tests_stay_one_picture():
    calls = {f"test_{n % 3}.py::test_{n}": [call({"user": 10}, cost="0.01")] for n in range(300)}
    calls["test_0.py::test_large"] = [call({"user": 10}, output=1, cost="0.9")]
    calls |= {f"test_{n}.py::test_it": [call({"user": 10}, cost="0.001")] for n in "abcdefghijklmnopqrst"}
    tests = [name for level, name in names(tree(run(**calls))) if level == 2]

    assert tests[:4] == [
        "test_0.py: 100 tests",
        "test_1.py: 100 tests",
        "test_2.py: 100 tests",
        "test_0.py::test_large",
    ]
    assert tests[4:-1] == [f"test_{n}.py::test_it" for n in "abcde"]
    assert tests[-1] == "15 more tests"


def test_one_item_alone_is_reached_by_the_tab_key():
    (found,) = re.findall(r'<div class="icicle".*?</section>', page(run(test_agent=AGENT)), re.DOTALL)

    assert found.count('tabindex="0"') == 1
    assert found.count('role="treeitem"') == found.count("aria-label=") - 1


def test_a_run_that_does_not_say_what_was_sent_has_no_picture():
    data = run(test_agent=AGENT)
    for made in data["tests"]["test_agent"]["calls"]:
        del made["input_by_part"]

    assert 'role="tree"' not in page(data)
    assert "Why it" not in markdown(data)


@settings(max_examples=25)
@given(st.text(min_size=1))
def test_nothing_of_a_name_is_read_as_markup(name):
    hostile = f'{name}"><script>alert(1)</script>'
    data = run(**{hostile: [call({"tools": 5}, tools={hostile: 5}, node=hostile)]})

    assert page(data).count("<script") == 2
    assert len(tree(data)) == 4


def test_markdown_folds_the_causes():
    lines = markdown(run(test_agent=AGENT)).splitlines()

    start = lines.index("<details><summary>Why it costs that (shares are estimates)</summary>")
    assert lines[start + 2 : start + 5] == [
        "| share | USD | cause | what would change it |",
        "| ---: | ---: | --- | --- |",
        lines[start + 4],
    ]
    rows = [line for line in lines[start + 4 : lines.index("</details>", start)] if line]
    assert len(rows) == 5
    assert any("1 call sends the schemas of its tools, \\~90 tokens, of them \\~60 for search" in row for row in rows)
    data = run(test_agent=AGENT)
    assert lines[start] in markdown(data, RunComparison([data], [data], base_name="base.json")).splitlines()


def test_every_part_has_a_colour():
    style = page(run(test_agent=AGENT))

    for part in (*PARTS, "answers", "reasoning", "input"):
        assert f".part-{part} " in style or f".part-{part}," in style
