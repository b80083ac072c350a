"""The page of a large run in a browser: its size, and how long a load, a search key, a sort and a drill-down take.

`make bench-page` runs it. It needs playwright and a Chromium, which the other benchmarks do not, so it is not among
them. The times come from the browser's own trace: the processor time of its main thread (so that other work on the
machine does not count) until everything that an input caused is painted. Beside them is the time from the input to the
next frame, waiting included, by the browser's Event Timing.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.measure import Figure, duration

TESTS, CALLS = 5_000, 5
MOST_KEY_S, MOST_LOAD_S, MOST_BYTES = 0.1, 2.0, 6_000_000
#: Typed one after the other; what is found shrinks from all tests to a few.
SEARCH = "planner 49"

_WORDS = ("billing", "search", "planner", "summary", "retrieval", "routing")
_MODELS = ("gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929", "gemini-2.5-flash")


def large_run(tests: int = TESTS, calls: int = CALLS) -> dict[str, Any]:
    """A run of `tests` tests with `calls` calls each, as `--llm-usage-json` writes it; always the same."""
    from pytest_llm_usage.billing import Quote
    from pytest_llm_usage.input_by_part import InputByPart
    from pytest_llm_usage.ledger import Call, Ledger
    from pytest_llm_usage.report.data import run_data
    from pytest_llm_usage.report.run import Run, Spent, TestRecord
    from pytest_llm_usage.usage import TokenUsage

    chance = random.Random(1)
    run, costs_usd = Run(), {}
    for number in range(tests):
        nodeid = (
            f"tests/agents/test_{chance.choice(_WORDS)}.py::TestAgent::test_answers[{number}-{chance.choice(_WORDS)}]"
        )
        made = []
        for index in range(calls):
            size = chance.random() ** 3 * 5
            tools = int(900 * size) + 10
            parts = {"system": int(400 * size) + 20, "tools": tools, "user": int(60 * size) + 4}
            parts |= {"history": int(700 * size * index), "tool_results": int(300 * size)} if index else {}
            sent, received = sum(parts.values()), int(120 * size) + 5
            input_usd = Decimal(sent * 25).scaleb(-7)
            usage = TokenUsage.from_counts(
                sent,
                received,
                input_token_details={"cache_read": sent // 3} if number % 2 else {},
                output_token_details={"reasoning": received // 3} if number % 5 == 0 else {},
            )
            quote = Quote(cost_usd=input_usd + Decimal(received).scaleb(-5), source="genai-prices 0.2.3, openai/gpt-4o")
            call = Call(
                index=index,
                provider="openai",
                model=chance.choice(_MODELS),
                usage=usage,
                node=chance.choice(("agent", "tools", "plan")),
                started_at=1.76e9 + number + index * 1.25,
                duration_s=round(chance.random() * 2, 3),
                where=f"agent.py:{30 + 3 * index} in act",
                _quotes=quote,
                _inputs=InputByPart(parts, {"search": tools // 2, "rain": tools - tools // 2}, "o200k_base", input_usd),
            )
            made.append(call)
            costs_usd[nodeid, index] = input_usd
        total = sum(call.usage.total_tokens for call in made if call.usage is not None)
        spent = Spent("max_tokens", Decimal(20_000), Decimal(total), "--max-tokens")
        outcome = "failed" if spent.is_over else "passed"
        run.tests[nodeid, ""] = TestRecord(nodeid, Ledger(tuple(made)), budget=(spent,), outcome=outcome)
    data = run_data(run, environment={"commit": "ab" * 20, "branch": "main", "prices": "genai-prices 0.2.3"})
    for (nodeid, _), record in run.tests.items():
        data["tests"][nodeid]["calls"] = [call.to_dict(with_parts=True) for call in record.ledger.calls]
    return data


def chromium() -> str | None:
    """The path of a Chromium; None if there is none in PATH."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def open_page(**context: Any) -> Iterator[Page]:
    """Opens a page in a headless browser.

    Args:
        context: What `new_context` of playwright takes.

    Raises:
        SystemExit: There is no Chromium.
    """
    found = chromium()
    if found is None:
        raise SystemExit("no Chromium in PATH: install chromium or google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context).new_page()
        browser.close()


def figures() -> Iterator[Figure]:
    """What was measured, against its bounds."""
    from pytest_llm_usage.report.html import page as page_of

    with tempfile.TemporaryDirectory() as directory, open_page() as page:
        file = Path(directory) / "run.html"
        file.write_text(page_of(large_run()), encoding="utf-8")
        size = file.stat().st_size
        yield Figure(
            f"page of {TESTS:,} tests, {TESTS * CALLS:,} calls: MB", size / 1e6, MOST_BYTES / 1e6, "{:.2f} MB".format
        )
        page.add_init_script(_EVENTS)
        yield _seconds("load", _work(page, lambda: page.goto(file.as_uri())), MOST_LOAD_S)
        page.locator("#filter").focus()
        keys = [_input(page, lambda key=key: page.keyboard.press(key)) for key in (*SEARCH, *["Backspace"] * 3)]
        yield _seconds("key of a search, the slowest", max(work for work, _ in keys), MOST_KEY_S)
        yield _seconds("  … from the input to the frame", max(seen for _, seen in keys))
        page.locator("#filter").fill("")
        sorts = [
            _input(page, page.locator(f"#tests th[data-key={key}] button").click) for key in ("test", "tokens", "USD")
        ]
        yield _seconds("sort, the slowest column", max(work for work, _ in sorts), MOST_KEY_S)
        yield _seconds("  … from the input to the frame", max(seen for _, seen in sorts))
        opened = [_input(page, page.locator("#tests .name button").nth(row).click) for row in (0, 1, 2)]
        yield _seconds("drill-down into a test, the slowest", max(work for work, _ in opened), MOST_KEY_S)
        yield _seconds("  … from the input to the frame", max(seen for _, seen in opened))


def _seconds(what: str, seconds: float, most_s: float | None = None) -> Figure:
    return Figure(what, seconds, most_s, duration)


#: Collects what Event Timing says of each input.
_EVENTS = """
  window.inputs = [];
  new PerformanceObserver((list) => inputs.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "event", durationThreshold: 16 });
"""


def _input(page: Page, act: Callable[[], object]) -> tuple[float, float]:
    """The main thread's processor time for an input, and the time to the frame that shows it, in seconds."""
    page.evaluate("inputs.length = 0")
    work = _work(page, act)
    return work, page.evaluate("Math.max(0, ...inputs)") / 1000


def _work(page: Page, act: Callable[[], object]) -> float:
    """The processor time of the page's main thread for `act`, in seconds, by the browser's trace."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline", "__metadata"])
    act()
    # After two frames everything that `act` caused is painted.
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")
    return _main_thread_s(json.loads(browser.stop_tracing())["traceEvents"])


def _main_thread_s(events: list[Mapping[str, Any]]) -> float:
    names = {
        (event["pid"], event["tid"])
        for event in events
        if event["ph"] == "M" and event["args"].get("name") == "CrRendererMain"
    }
    by_thread: dict[tuple[int, int], int] = {}
    for event in events:
        thread = event["pid"], event["tid"]
        if event["name"] == "RunTask" and thread in names:
            by_thread[thread] = by_thread.get(thread, 0) + event.get("tdur", 0)
    return max(by_thread.values(), default=0) / 1e6


def main() -> int:
    found = []
    for figure in figures():
        print(figure, flush=True)
        found.append(figure)
    return 0 if all(figure.is_met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
