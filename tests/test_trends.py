"""`history`, `blame`, `export` and what-if, over files that runs and commits made."""

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.cli import main
from pytest_llm_usage.errors import ReportError, RunFileError
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.report.data import rendered, run_data
from pytest_llm_usage.report.export import export
from pytest_llm_usage.report.history import add_run, past_runs, read_trend
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.report.trend import trend_section
from pytest_llm_usage.report.what_if import what_if_lines
from pytest_llm_usage.usage import TokenUsage


def run(sent=1_000, cost: str | None = "0.001", model="gpt-4o", commit="a" * 40, test="test_a.py::t"):
    usage = None if sent is None else TokenUsage.from_counts(sent, 10)
    calls = (
        Call(
            index=0,
            status="ok" if usage is not None else "no_usage",
            model=model,
            provider="openai",
            usage=usage,
            _quotes=Quote(cost_usd=cost and Decimal(cost)),
        ),
    )
    record = TestRecord(test, Ledger(calls), outcome="passed")
    return run_data(Run(tests={(test, ""): record}), environment={"commit": commit, "branch": "main"})


def test_a_history_keeps_every_run(tmp_path, capsys):
    for number in range(3):
        add_run(tmp_path / "h.db", run(1_000 + 100 * number, commit=str(number) * 40), 1_700_000_000 + number)

    assert [r.usage["gpt-4o"]["input_tokens"] for r in past_runs(tmp_path / "h.db")] == [1_000, 1_100, 1_200]
    assert main(["history", str(tmp_path / "h.db"), "--test", "test_a.py::t", "--last", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["2023-11-14", "1" * 10, "main"],
        ["2023-11-14", "2" * 10, "main"],
    ]
    assert lines[-1].endswith("1,110 to 1,210, +9 % in 2 runs")


def test_a_pipe_is_no_history_and_nothing_is_left_beside_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ReportError, match=r"history not written: .*pipe: a device or a pipe, not a file"):
        add_run(tmp_path / "pipe", run(), 1)

    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_changes_that_were_not_committed_are_nobody_s_commit(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = run(1_200)
    changed["environment"]["uncommitted"] = "yes"
    add_run(tmp_path / "h.db", run(1_000), 1)
    add_run(tmp_path / "h.db", changed, 2)

    assert main(["history", "h.db"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["a" * 10, "a" * 10 + "+"]
    assert lines[3] == "+: with changes that were not committed"
    assert main(["blame", "test_a.py::t", "--history", "h.db"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "a" * 10,
        "    or what was changed since and not committed when it ran",
    ]


def test_what_is_not_known_is_no_zero_in_the_table(tmp_path, capsys):
    for at, past in enumerate((run(None, cost=None), run(cost=None), run(cost="0.000001"))):
        add_run(tmp_path / "h.db", past, at)

    assert main(["history", str(tmp_path / "h.db")]) == 0
    assert [line.split()[-3:] for line in capsys.readouterr().out.splitlines()[1:4]] == [
        ["1", "?", "unpriced"],
        ["1", "1,010", "unpriced"],
        ["1", "1,010", "<0.00001"],
    ]


def test_writers_at_once_lose_nothing(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: add_run(tmp_path / "h.db", run(n + 1), n), range(40)))

    assert sorted(r.usage["gpt-4o"]["input_tokens"] for r in past_runs(tmp_path / "h.db")) == list(range(1, 41))


def test_two_processes_at_once_lose_nothing(tmp_path):
    (tmp_path / "run.json").write_text(rendered(run()))
    code = (
        "import sys; from pathlib import Path; from pytest_llm_usage.report.data import read_run;"
        "from pytest_llm_usage.report.history import add_run; data = read_run(Path('run.json'));"
        "[add_run(Path('h.db'), data, int(sys.argv[1]) + n) for n in range(30)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(start)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for start in (100, 200)
    ]

    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * 2
    found = past_runs(tmp_path / "h.db")
    assert sorted(each.finished_at for each in found) == [*range(100, 130), *range(200, 230)]
    assert all(each.usage["gpt-4o"]["input_tokens"] == 1_000 for each in found)


def test_the_page_shows_how_usage_moved(pytester):
    pytester.makepyfile(
        "from fakes import FakeChatModel\n\ndef test_it():\n    FakeChatModel(usage=(90, 10)).invoke('one')\n"
    )
    options = ("--llm-usage-history=h.db", "--llm-usage-html=page.html")
    pytester.runpytest(*options)
    assert "<h2>History</h2>" not in (pytester.path / "page.html").read_text(encoding="utf-8")

    pytester.makepyfile(
        "from fakes import FakeChatModel\n\ndef test_it():\n    FakeChatModel(usage=(140, 10)).invoke('one')\n"
    )
    pytester.runpytest(*options)

    text = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert 'aria-label="tokens of the last 2 runs: 100 to 150 (+50 %)"' in text
    assert 'aria-label="100 to 150 tokens"' in text
    # From 0 up: two thirds of the height, and all of it.
    assert 'points="5.0,21.7 595.0,5.0"' in text


def test_what_is_not_known_breaks_the_line_and_is_never_zero(tmp_path):
    for at, sent in enumerate((1_000, 1_000, None, 1_000, 1_000)):
        add_run(tmp_path / "h.db", run(sent), at)
    trend = read_trend(tmp_path / "h.db", 60)

    assert trend.tests == {"test_a.py::t": [1_010, 1_010, None, 1_010, 1_010]}
    text = "".join(trend_section(trend))
    lines = re.findall(r'<polyline points="([^"]*)"', text)
    assert [len(line.split()) for line in lines[:2]] == [2, 2]
    assert all(",5.0" in point for line in lines[:2] for point in line.split())
    assert "<p>The last 5 runs. The usage of 1 run is not fully known; the line has gaps there.</p>" in text
    assert len(read_trend(tmp_path / "h.db", 2).runs) == 2


def test_what_is_not_known_stays_unknown(tmp_path):
    add_run(tmp_path / "h.db", run(cost=None), 1)
    assert past_runs(tmp_path / "h.db")[0].usage["gpt-4o"]["cost_usd"] is None


def test_another_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "mine.db") as mine:
        mine.execute("CREATE TABLE mine (x)")
    (tmp_path / "text.db").write_text("no database, and long enough for a header of one" * 20)
    before = (tmp_path / "mine.db").read_bytes()

    for name in ("mine.db", "text.db"):
        with pytest.raises(ReportError, match=f"{name}: .*is not a history of pytest-llm-usage; choose another path"):
            add_run(tmp_path / name, run(), 1)
        with pytest.raises(RunFileError, match=f"{name}: .*is not a history of pytest-llm-usage; choose another path"):
            past_runs(tmp_path / name)
    assert (tmp_path / "mine.db").read_bytes() == before


def test_a_run_of_pytest_is_added(pytester):
    pytester.makepyfile("from fakes import FakeChatModel\n\ndef test_it():\n    FakeChatModel().invoke('one')\n")
    for _ in range(2):
        assert pytester.runpytest("--llm-usage-history=h.db").ret == 0
    assert len(past_runs(pytester.path / "h.db")) == 2


SNAPSHOT = """# LLM usage, format 1. (genai-prices 0.2.3)
test_bird:
  {model}:
    calls: {calls}
    input_tokens: {sent}
    output_tokens: {received}
    total_tokens: {total}
    cost_usd: '{cost}'
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """30 commits, five of which move the usage of a test, each in another way."""
    monkeypatch.chdir(tmp_path)

    def git(*arguments):
        command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "tests" / "__snapshots__").mkdir(parents=True)
    state = {"model": "gpt-4o", "calls": 1, "sent": 100, "received": 10, "cost": "0.001"}
    moves = {
        6: ("prompt", {"sent": 150}),
        11: ("calls", {"calls": 2, "sent": 300}),
        16: ("model", {"model": "gpt-5"}),
        21: ("price", {"cost": "0.002"}),
        26: ("answer", {"received": 40}),
    }
    moved = []
    for number in range(30):
        kind, change = moves.get(number, ("", {}))
        state |= change
        text = SNAPSHOT.format(**state, total=state["sent"] + state["received"])
        (tmp_path / "tests" / "__snapshots__" / "test_agent.usage.yaml").write_text(text)
        (tmp_path / "other").write_text(str(number))
        git("add", ".")
        git("commit", "-qm", f"commit {number}")
        if kind:
            moved.append((git("rev-parse", "--short", "HEAD"), kind, f"commit {number}"))
    return moved


def test_blame_names_the_commit_and_the_cause(repository, capsys):
    assert main(["blame", "tests/test_agent.py::test_bird"]) == 0

    lines = capsys.readouterr().out.splitlines()
    named = [
        (line.split()[0], below.split(":")[0].strip(), line.rpartition(": ")[2])
        for line, below in zip(lines[::3], lines[1::3], strict=True)
    ]
    assert named == repository
    assert all(" Ada: " in line for line in lines[::3])


def test_blame_of_snapshots_without_some_of_their_numbers(repository, tmp_path, capsys):
    """As `exclude=` and `matcher=` of a snapshot leave them."""
    file = tmp_path / "tests" / "__snapshots__" / "test_agent.usage.yaml"
    text = re.sub(r".*(output|total)_tokens.*\n", "", file.read_text())
    text = re.sub("cost_usd: .*", "cost_usd: <cost>", text)
    for sent in (300, 400):
        changed = re.sub("input_tokens: .*", f"input_tokens: {sent}", text)
        again = changed.partition("\n")[2].replace("test_bird:", "test_bird.1:")
        file.write_text(changed + again)
        author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
        subprocess.run(["git", *author, "commit", "-qam", f"{sent} tokens"], check=True)

    assert main(["blame", "tests/test_agent.py::test_bird"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].endswith(": 400 tokens")
    assert lines[-2:] == ["    prompt: Prompts grew by 200 tokens", "    ? -> ? tokens, unpriced -> unpriced"]


def test_blame_of_a_test_that_is_nowhere(repository, capsys):
    assert main(["blame", "tests/test_agent.py::test_gone"]) == 2
    assert "test_gone: not in git's history of usage snapshots" in capsys.readouterr().err


def test_exports_are_what_the_tools_read():
    runs = [run(1_000), run(1_200), run(1_100)]

    smaller = json.loads(export("github-action-benchmark", runs))
    assert {"name": "all tests: total_tokens", "unit": "tokens", "value": 1110, "range": "1010 to 1210"} in smaller
    bencher = json.loads(export("bencher", runs))
    assert bencher["test_a.py::t"]["total_tokens"] == {"value": 1110, "lower_value": 1010, "upper_value": 1210}
    metrics = export("openmetrics", [run(cost="0.00000002")])
    assert 'llm_usage_test_cost_usd{test="test_a.py::t"} 0.00000002\n' in metrics
    assert metrics.endswith("# EOF\n")
    rows = list(csv.DictReader(export("csv", runs[:1]).splitlines()))
    assert (rows[0]["test"], rows[0]["total_tokens"], rows[0]["cost_usd"]) == ("test_a.py::t", "1010", "0.001")


def test_what_is_not_known_is_not_exported():
    unpriced = run(cost=None)
    for name in ("github-action-benchmark", "bencher", "openmetrics"):
        assert "cost_usd" not in export(name, [unpriced])
    assert next(csv.DictReader(export("csv", [unpriced]).splitlines()))["cost_usd"] == ""


def test_what_if_prices_the_same_counts_on_another_model(tmp_path, capsys):
    (tmp_path / "run.json").write_text(rendered(run(1_000_000)))
    (tmp_path / "prices.toml").write_text('[models]\n"other" = { input = 2, output = 10 }\n')

    assert main(["compare", str(tmp_path / "run.json"), "--as=other", "--prices", str(tmp_path / "prices.toml")]) == 0
    out = capsys.readouterr().out
    assert "2.00010" in out
    assert "Another model counts the same text differently" in out
    assert main(["compare", str(tmp_path / "run.json"), "--as=nobody-sells-this"]) == 2
    assert "--as=nobody-sells-this: " in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_what_if_keeps_to_the_width(columns):
    data = run(test=f"tests/test_a.py::test_{'with_a_long_name_' * 5}[{'x' * 9}]")

    lines = what_if_lines(data, "gpt-4.1", None, PriceBook(), 1_780_000_000, columns)

    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()).endswith("at another length: this is a first guess.")


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "pytest_llm_usage.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pytest-llm-usage ")
