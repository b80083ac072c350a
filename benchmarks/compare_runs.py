"""The comparison of two runs of 20,000 tests, against reading their files.

The other side is `json.load` of both files; ours is `pytest-llm-usage compare`'s work: reading, checking, comparing and the
terminal's lines.
"""

from __future__ import annotations

import json
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from benchmarks.measure import Comparison, Seconds, alternate

MOST_RATIO = 2.0
TESTS = 20_000


def compare(*, rounds: int) -> list[Comparison]:
    """Comparisons for two runs in which every tenth test changed: with reading their files, and without."""
    with tempfile.TemporaryDirectory() as directory:
        base, head = Path(directory) / "base.json", Path(directory) / "head.json"
        _write(base, grown=False)
        _write(head, grown=True)
        sides = alternate({"ours": lambda: _compared(base, head), "other": lambda: _loaded(base, head)}, rounds)
    loaded_s = sides["other"]["all"]
    return [
        Comparison(f"compare two runs of {TESTS:,} tests", sides["ours"]["all"], loaded_s, MOST_RATIO),
        Comparison("… what is not reading", sides["ours"]["compare"], loaded_s),
    ]


def _write(path: Path, *, grown: bool) -> None:
    from pytest_llm_usage.billing import Quote
    from pytest_llm_usage.ledger import Call, Ledger
    from pytest_llm_usage.report.data import rendered, run_data
    from pytest_llm_usage.report.run import Run, TestRecord
    from pytest_llm_usage.usage import TokenUsage

    run = Run()
    for number in range(TESTS):
        sent = number + (50 if grown and number % 10 == 0 else 0)
        quote = Quote(cost_usd=Decimal(sent).scaleb(-6), source="genai-prices 0.2.3, openai/gpt-4o-mini")
        calls = tuple(
            Call(
                index=index,
                provider="openai",
                model=model,
                usage=TokenUsage.from_counts(sent * (index + 1), 100, input_token_details={"cache_read": 5}),
                started_at=1.7e9,
                duration_s=0.5,
                where="agent.py:41 in plan",
                _quotes=quote,
            )
            for index, model in enumerate(("gpt-4o-mini-2024-07-18", "claude-sonnet-4-5"))
        )
        nodeid = f"tests/test_module_{number // 50}.py::TestAgent::test_case[{number}]"
        run.tests[nodeid, ""] = TestRecord(nodeid, Ledger(calls))
    path.write_text(rendered(run_data(run, environment={})))


def _loaded(base: Path, head: Path) -> Seconds:
    start = time.perf_counter()
    runs = []
    for path in (base, head):
        with path.open("rb") as file:
            runs.append(json.load(file))
    return {"all": time.perf_counter() - start}


def _compared(base: Path, head: Path) -> Seconds:
    from pytest_llm_usage.compare import parse_gates
    from pytest_llm_usage.report.comparison import RunComparison, comparison_lines
    from pytest_llm_usage.report.data import read_run

    start = time.perf_counter()
    runs = [read_run(path) for path in (base, head)]
    read = time.perf_counter()
    gates = parse_gates("tokens:+5%,cost:+$0.01,calls:+0")
    comparison = RunComparison(runs[:1], runs[1:], base_name=base.name, gates=gates)
    lines = comparison_lines(comparison)
    end = time.perf_counter()
    assert comparison.unchanged == TESTS * 9 // 10
    assert lines
    return {"all": end - start, "compare": end - read}
