"""The page as a browser has it: `make test-page`. Needs playwright and a Chromium; axe-core from npm for what it finds.

How fast the page of a large run is, `make bench-page` measures.
"""

import copy
import re
import sys
from pathlib import Path

import pytest

from pytest_llm_usage.compare import parse_gates
from pytest_llm_usage.ledger import Call, usage_by_model
from pytest_llm_usage.report.comparison import RunComparison
from pytest_llm_usage.report.history import add_run, read_trend
from pytest_llm_usage.report.html import page as page_of
from pytest_llm_usage.report.page_data import PageExtras

pytest.importorskip("playwright", reason="playwright is not installed: make test-page")

from benchmarks.page import chromium, large_run, open_page

if chromium() is None:
    pytest.skip("no Chromium in PATH", allow_module_level=True)

AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = {
    "desktop": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}


@pytest.fixture(scope="module")
def run():
    return large_run(tests=130, calls=3)


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    """The page with all that it can have: a comparison, a history and recorded prompts."""
    folder = tmp_path_factory.mktemp("page")
    base = copy.deepcopy(run)
    for record in list(base["tests"].values())[::10]:
        record["calls"].pop()
        record["usage"] = usage_by_model([Call.from_dict(call) for call in record["calls"]])
    for number, data in enumerate((base, run)):
        add_run(folder / "history.db", data, 1.76e9 + number)
    recorded = {
        "prompt": ["messages[0].content", "Which bird is it? <b>bold</b>"],
        "answer": ["A falcon."],
        "diff": ["--- before", "+++ now", "-Which one?", "+Which bird is it?"],
        "note": "prompt cut",
    }
    extras = PageExtras(
        trend=read_trend(folder / "history.db", 10),
        bodies={name: [recorded] * 3 for name in run["tests"]},
    )
    comparison = RunComparison([base], [run], base_name="base.json", gates=parse_gates("tokens:+5%"))
    path = folder / "page.html"
    path.write_text(page_of(run, comparison, extras), encoding="utf-8")
    return path


@pytest.fixture
def page(file):
    with open_page() as opened:
        opened.goto(file.as_uri())
        yield opened


def names(page):
    """The tests of the rows, from top to bottom, when all of them are there."""
    page.wait_for_timeout(100)
    return page.locator("#tests > tbody > tr:not(.detail) .name").all_text_contents()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_said_asked_for_or_found_by_axe(file, screen):
    with open_page(bypass_csp=True, **SCREENS[screen]) as page:
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.locator("#filter").fill("planner")
        page.locator("#tests .name button").first.click()
        page.locator(".detail details summary").first.click()
        page.locator("section > details summary").first.click()

        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        if AXE.exists():
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("axe.run()")["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        assert said == []
        assert asked == [file.as_uri()]
        if not AXE.exists():
            pytest.skip(f"all but axe: {AXE} is not there; make test-page installs it")


def test_a_search_is_over_everything(page, run):
    search = page.locator("#filter")
    for words, tests in (
        ("", run["tests"]),
        ("PLANNER", [name for name in run["tests"] if "planner" in name]),
        (
            "planner failed",
            [n for n, record in run["tests"].items() if "planner" in n and record["outcome"] == "failed"],
        ),
        ("act gemini", [n for n, record in run["tests"].items() if "gemini" in str(record["calls"])]),
        ("agent.py:36", run["tests"]),
        ("nothing of the kind", []),
    ):
        search.fill(words)
        shown = names(page)
        assert len(shown) == min(len(tests), 50)
        assert set(shown) <= set(tests)
        assert page.locator("#found").text_content() == f"{len(tests)} of 130 tests"


def test_more_rows_are_there_when_asked_for(page, run):
    assert len(names(page)) == 50
    page.get_by_role("button", name="Show 80 more of 130").click()

    assert sorted(names(page)) == sorted(run["tests"])
    assert page.locator("#more").is_hidden()
    assert page.evaluate("document.activeElement.textContent") == names(page)[50]


def test_every_column_sorts_both_ways(page, run):
    for column, key in (("test", lambda name, _: name), ("USD", lambda _, record: _usd(record))):
        button = page.locator(f"#tests th[data-key={column}] button")
        wanted = sorted(run["tests"].items(), key=lambda item: key(*item), reverse=column == "USD")
        button.click()
        first = names(page)
        assert [key(name, run["tests"][name]) for name in first] == [key(*item) for item in wanted[:50]]
        button.click()
        assert names(page)[0] == wanted[-1][0]
        assert page.locator("#tests th[aria-sort]").count() == 1


def _usd(record):
    return round(sum(float(call["cost_usd"]) for call in record["calls"]), 5)


def test_a_test_opens_and_closes_where_it_stands(page):
    first, second = (page.locator("#tests .name button").nth(row) for row in (0, 1))
    for button in (first, second):
        button.focus()
        page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 2
    assert "agent.py:30 in act" in page.locator("tr:has(button[aria-expanded=true]) + .detail").first.text_content()

    page.locator(".detail summary").first.click()
    assert page.locator(".detail ins").all_text_contents() == ["+Which bird is it?"]
    assert "<b>bold</b>" in page.locator(".detail pre").nth(1).text_content()

    page.keyboard.press("Tab")
    first.click()
    assert page.locator(".detail").count() == 1
    assert first.get_attribute("aria-expanded") == "false"


def test_paper_has_every_test_and_the_screen_its_rows_again(page, run, tmp_path):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert sorted(names(page)) == sorted(run["tests"])
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(names(page)) == 50

    page.emulate_media(media="print")
    for row in ("#tests > tbody > tr", ".cards > tbody > tr"):
        assert page.locator(row).first.evaluate("row => getComputedStyle(row).breakInside") == "avoid"
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())
    assert 4 < len(pages) < 12


def test_the_keys_of_a_tree_walk_the_picture(page):
    page.locator("[role=treeitem]").first.focus()
    walked = []
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
        walked.append(page.evaluate("+document.activeElement.getAttribute('aria-level')"))
    assert walked == [2, 2, 3, 2, 1]
