"""The command `pytest-llm-usage`."""

import json
import os
import re
import subprocess
import sys
import threading
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.cli import main
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.data import rendered, run_data
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.text import width
from pytest_llm_usage.usage import TokenUsage

#: Where this Python's commands are.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        try:
            status = main(arguments)
        except SystemExit as ended:  # how argparse ends
            status = ended.code
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    return command


@pytest.fixture
def write(tmp_path):
    """Writes a run: the input tokens of its tests by name."""

    def write(name, tests, shard=None, shared=()):
        records = {
            (test, ""): TestRecord(test, Ledger(tuple(call(i, n) for i, n in enumerate(counts))))
            for test, counts in tests.items()
        }
        run = Run(tests=records, shared=Ledger(tuple(call(i, n) for i, n in enumerate(shared))))
        (tmp_path / name).write_text(rendered(run_data(run, environment={"pytest": "9.0"}, shard=shard)))

    return write


def call(index, sent):
    return Call(
        index=index,
        model="m",
        usage=TokenUsage.from_counts(sent, 0),
        started_at=1e9,
        _quotes=Quote(cost_usd=Decimal("0.01")),
    )


def lines(text):
    return text.splitlines()


class TestCompare:
    def test_prints_what_changed_and_ends_well(self, command, write):
        write("base.json", {"a": [1000], "b": [10]})
        write("head.json", {"a": [900], "b": [10]})

        done = command("compare", "base.json", "head.json", "--fail-on=tokens:+0%")

        assert done.returncode == 0
        assert done.stderr == ""
        assert lines(done.stdout) == [
            "compared with base.json: 1 changed, 1 unchanged",
            "  test  before  now",
            "  a      1,000  900  -10 %  Prompts shrank by 100 tokens",
            "  all    1,010  910  -10 %  $0.02000",
            "within tokens:+0%",
        ]

    def test_a_gate_that_is_exceeded_is_status_1(self, command, write):
        write("base.json", {"a": [1000]})
        write("head.json", {"a": [1100]})

        done = command("compare", "base.json", "head.json", "--fail-on", "tokens:+5%")

        assert done.returncode == 1
        assert lines(done.stdout)[-1] == "FAILED: 1 test and all tests together over tokens:+5%"

    def test_gates_are_those_of_the_option_with_no_baseline(self, command, write):
        write("base.json", {"a": [1000]})
        write("head.json", {"a": [1000]})

        done = command("compare", "base.json", "head.json", "--fail-on=tokens:+5%,no-baseline")

        assert (done.returncode, lines(done.stdout)[-1]) == (0, "within tokens:+5%")
        assert command("compare", "gone.json", "head.json", "--fail-on=no-baseline").returncode == 2

    def test_several_runs_a_side(self, command, write):
        for number in range(3):
            write(f"base-{number}.json", {"a": [1000 + 50 * number]})
            write(f"head-{number}.json", {"a": [1020 + 50 * number]})
            write(f"far-{number}.json", {"a": [2000 + 50 * number]})
        base = [f"base-{number}.json" for number in range(3)]

        near = command("compare", "--fail-on=tokens:+0", *base, "--", *(f"head-{number}.json" for number in range(3)))
        far = command("compare", "--fail-on=tokens:+0", *base, "--", *(f"far-{number}.json" for number in range(3)))

        assert (near.returncode, far.returncode) == (0, 1)
        assert lines(near.stdout)[0] == "compared with 3 runs: 1 changed within the noise"

    def test_a_folder_is_the_runs_in_it(self, command, write, tmp_path):
        for side, sent in (("base", 1000), ("head", 1020)):
            (tmp_path / side).mkdir()
            for number in range(3):
                write(f"{side}/{number}.json", {"a": [sent + 50 * number]})

        done = command("compare", "base", "head", "--fail-on=tokens:+0")

        assert lines(done.stdout)[0] == "compared with 3 runs: 1 changed within the noise"
        assert done.returncode == 0

    def test_below_the_floor_is_noise(self, command, write):
        write("base.json", {"a": [1000]})
        write("head.json", {"a": [1010]})
        assert command("compare", "base.json", "head.json", "--fail-on=tokens:+0", "--floor=10").returncode == 0
        assert command("compare", "base.json", "head.json", "--fail-on=tokens:+0", "--floor=9").returncode == 1

    def test_writes_markdown_and_a_page(self, command, write, tmp_path):
        write("base.json", {"a": [1000]})
        write("head.json", {"a": [1100]})

        done = command("compare", "base.json", "head.json", "--md=-", "--html=out/page.html")

        assert lines(done.stdout)[0] == "<!-- pytest-llm-usage -->"
        assert lines(done.stderr) == ["Wrote HTML report to out/page.html"]
        assert "Compared with base.json" in (tmp_path / "out" / "page.html").read_text()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["base.json"], "give two runs (BASE HEAD), or several a side (BASE... -- HEAD...)"),
            (["base.json", "--"], "there is no run after --"),
            (["base.json", "gone.json"], "gone.json: No such file or directory"),
            (["base.json", "empty"], "empty: no run in this folder; pytest --llm-usage-json=NEW-FILE.json writes one"),
            (["base.json", "text"], "text: not JSON (Expecting value: line 1 column 1 (char 0)), so not a run; pytest --llm-usage-json=NEW-FILE.json writes one"),
            (["base.json", "new.json"], "new.json: format 2 was written by a later pytest-llm-usage; this one reads format 1: pip install --upgrade pytest-llm-usage"),
            (["base.json", "base.json", "--fail-on=tokens:5%"], "argument --fail-on: 'tokens:5%' is not a gate (examples: tokens:+5%, cost:+$0.01, calls:+0; of tokens, input, output, calls, cost)"),
            (["base.json", "base.json", "--floor=few"], "argument --floor: 'few' is not a number of tokens (examples: 5000, 5_000, 5k, 1.5M)"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_used_is_status_2(self, command, write, tmp_path, arguments, message):
        write("base.json", {"a": [1000]})
        (tmp_path / "text").write_text("text")
        (tmp_path / "new.json").write_text('{"format": 2}')
        (tmp_path / "empty").mkdir()

        done = command("compare", *arguments)

        assert done.returncode == 2
        assert done.stdout == ""
        assert lines(done.stderr)[-1].endswith(f": {message}")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("compare", "a.json", "a.json"), ("why", "a.json")], ids=lambda words: words[0])
def test_the_status_is_told_where_the_output_is_closed(command, write, monkeypatch, words):
    write("a.json", {"a": [100]})
    monkeypatch.setattr(sys, "stdout", None)

    assert command(*words).returncode == 0


class TestMerge:
    def test_puts_shards_together(self, command, write, tmp_path):
        write("shard-1.json", {"a": [100]}, shard=(1, 2), shared=[7])
        write("shard-2.json", {"b": [200], "c": [1]}, shard=(2, 2), shared=[7])

        done = command("merge", "shard-1.json", "shard-2.json", "-o", "run.json")

        assert (done.returncode, done.stderr) == (0, "")
        assert lines(done.stdout) == ["Wrote JSON report to run.json: 3 tests of 2 runs"]
        merged = json.loads((tmp_path / "run.json").read_text())
        assert list(merged["tests"]) == ["a", "b", "c"]
        assert merged["totals"]["input_tokens"] == 315
        assert merged["shards"] == [[1, 2], [2, 2]]

    def test_names_duplicates_and_gaps(self, command, write):
        write("shard-1.json", {"a": [100], "same": [1]}, shard=(1, 4))
        write("shard-3.json", {"a": [300]}, shard=(3, 4))

        done = command("merge", "shard-1.json", "shard-3.json", "shard-3.json", "-o", "run.json")

        assert done.returncode == 1
        assert lines(done.stderr) == [
            "pytest-llm-usage: shard-3.json is the same run as shard-3.json; it is counted once",
            "pytest-llm-usage: a: in 2 runs with different usage; the largest is taken for comparisons",
            "pytest-llm-usage: shard 2/4 is missing",
            "pytest-llm-usage: shard 4/4 is missing",
        ]

    def test_what_merged_can_be_merged_and_compared(self, command, write):
        for number in (1, 2, 3):
            write(f"{number}.json", {f"t{number}": [number]}, shard=(number, 3))
        command("merge", "1.json", "2.json", "3.json", "-o", "all.json")
        command("merge", "3.json", "1.json", "-o", "two.json")
        command("merge", "2.json", "two.json", "-o", "again.json")

        assert lines(command("compare", "all.json", "again.json").stdout) == ["compared with all.json: 3 unchanged"]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_runs_that_come_through_pipes_are_all_there(self, command, write, tmp_path):
        write("shard-1.json", {"a": [100]}, shard=(1, 2))
        write("shard-2.json", {"b": [200]}, shard=(2, 2))
        for name in ("one", "two"):
            os.mkfifo(tmp_path / name)
        writers = [
            threading.Thread(target=(tmp_path / pipe).write_bytes, args=((tmp_path / file).read_bytes(),), daemon=True)
            for pipe, file in (("one", "shard-1.json"), ("two", "shard-2.json"))
        ]
        for writer in writers:
            writer.start()

        # In a process that can be ended: a pipe that is read twice waits for ever.
        done = subprocess.run(
            [sys.executable, "-m", "pytest_llm_usage.cli", "merge", "one", "two", "-o", "run.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert list(json.loads((tmp_path / "run.json").read_text())["tests"]) == ["a", "b"]

    def test_a_file_that_is_no_run_is_status_2(self, command, tmp_path):
        (tmp_path / "x.json").write_text("{}")
        done = command("merge", "x.json", "-o", "run.json")
        assert done.returncode == 2
        assert lines(done.stderr) == [
            "pytest-llm-usage: x.json: not a run of pytest-llm-usage; pytest --llm-usage-json=NEW-FILE.json writes one"
        ]
        assert not (tmp_path / "run.json").exists()


class TestPrices:
    def test_of_a_model(self, command):
        done = command("prices", "gpt-4o-mini", "--provider", "openai", "--on=2025-01-31")
        assert done.returncode == 0
        assert lines(done.stdout)[0] == "gpt-4o-mini on 2025-01-31, USD per million tokens"
        assert "input" in done.stdout
        assert "genai-prices" in done.stdout

    def test_of_ones_own_file_first(self, command, tmp_path):
        (tmp_path / "prices.toml").write_text('[models]\n"gpt-4o-mini" = { input = 7, output = 9 }\n')
        out = command("prices", "gpt-4o-mini", "--provider=openai", "--prices=prices.toml").stdout
        assert "prices.toml" in out
        assert "7" in out

    def test_of_a_model_that_nobody_sells(self, command):
        done = command("prices", "llama3:8b", "--provider=ollama")
        assert (done.returncode, done.stdout) == (1, "")
        reason, add, fix, *new_file = lines(done.stderr)
        assert reason.startswith("pytest-llm-usage: no price is known for llama3:8b: genai-prices ")
        assert add == "Add to the file of llm_usage_prices:"
        assert fix == '  "llama3:8b" = { provider = "ollama", input = ?, output = ? }'
        assert new_file == [
            "No such file yet? Create prices.toml with the first line  [models]",
            "and set  llm_usage_prices = prices.toml  in pytest's configuration",
        ]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--on=yesterday"], "argument --on: 'yesterday' is not a day (example: 2026-01-31)"),
            (["--prices=gone.toml"], "gone.toml"),
        ],
    )
    def test_what_cannot_be_used_is_status_2(self, command, arguments, message):
        done = command("prices", "gpt-4o-mini", *arguments)
        assert done.returncode == 2
        assert message in lines(done.stderr)[-1]
        assert "Traceback" not in done.stderr


CASSETTE = """
interactions:
- request:
    method: POST
    uri: https://api.openai.com/v1/chat/completions
    headers:
      authorization: [{authorization}]
    body: '{{"model": "gpt-4o-mini", "messages": []}}'
  response:
    status: {{code: 200, message: OK}}
    headers:
      content-type: [application/json]
      date: ['Mon, 02 Jun 2025 10:00:00 GMT']
    body:
      string: '{{"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices": [],
        "usage": {{"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}}}}'
version: 1
"""


class TestCassettes:
    @pytest.fixture
    def cassette(self, tmp_path):
        path = tmp_path / "tests" / "cassettes" / "test_it" / "test_it.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(CASSETTE.format(authorization=f"Bearer sk-proj-{'aB3dE5' * 8}"))
        return path

    def test_list(self, command, cassette):
        done = command("cassettes", "list")
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            "cassette        requests  calls  recorded    models",
            "tests/cassettes/test_it/",
            "  test_it.yaml         1      1  2025-06-02  gpt-4o-mini-2024-07-18",
            "1 cassette             1      1",
        ]

    def test_list_in_80_columns(self, command, cassette):
        cassette.rename(cassette.with_name(f"test_{'long_' * 20}[é-日本語].yaml"))
        deep = cassette.parent / ("deep" * 20) / "cassettes" / "test_x.yaml.gz"
        deep.parent.mkdir(parents=True)
        deep.write_text(CASSETTE.format(authorization="x").replace("gpt-4o-mini-2024", f"ft:{'gpt' * 20}-2024"))
        done = command("cassettes", "list")
        head, *rows = done.stdout.splitlines()
        assert max(map(width, rows)) <= 80
        assert any(row.startswith("  test_lo") and "語].yaml" in row for row in rows)
        assert rows[-1].split() == ["2", "cassettes", "2", "2"]
        end = head.index("requests") + len("requests")
        assert {width(re.match(r".*? +\d(?=  )", row)[0]) for row in rows if "  " in row.strip()} == {end}

    def test_show(self, command, cassette):
        out = command("cassettes", "show", str(cassette)).stdout
        assert "1/1  POST https://api.openai.com/v1/chat/completions" in out
        assert "gpt-4o-mini-2024-07-18: 11 in, 2 out" in out

    def test_audit_finds_what_redact_takes_out(self, command, cassette):
        found = command("cassettes", "audit", "tests")
        assert found.returncode == 1
        assert found.stdout.splitlines() == [
            "tests/cassettes/test_it/test_it.yaml",
            "  interaction 1, request header 'authorization': a credential or an account id",
            "1 cassette, 1 secret",
        ]
        assert "aB3dE5" not in found.stdout + found.stderr

        assert command("cassettes", "redact", "tests").returncode == 0
        assert "aB3dE5" not in cassette.read_text()

        clean = command("cassettes", "audit", "tests")
        assert (clean.returncode, clean.stdout) == (0, "1 cassette, none holds a secret\n")

    @pytest.mark.parametrize("action", ["show", "audit", "redact"])
    def test_a_broken_cassette_keeps_nothing_of_the_others_back(self, command, cassette, action):
        (cassette.parent / "a_broken.yaml").write_text("interactions: []\ninteractions: []\n")

        done = command("cassettes", action, *map(str, sorted(cassette.parent.iterdir())))

        assert done.returncode == 2
        assert "a_broken.yaml: it has 'interactions' twice" in done.stderr
        assert ("test_it.yaml" if action == "show" else "1 cassette, ") in done.stdout
        assert ("aB3dE5" in cassette.read_text()) == (action != "redact")

    @pytest.mark.parametrize("action", ["list", "show", "audit", "redact"])
    def test_of_nothing_is_status_2(self, command, action):
        done = command("cassettes", action, "gone")
        assert (done.returncode, done.stderr) == (2, "pytest-llm-usage: gone: no such file or folder\n")

    def test_one_that_cannot_be_read_is_status_2(self, command, cassette):
        cassette.write_text("interactions: 5")
        for action in ("list", "show", "audit"):
            done = command("cassettes", action, "tests")
            assert done.returncode == 2
            assert "test_it.yaml" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [[], ["compare"], ["nothing"], ["prices", "m", "--", "x"]])
def test_a_command_that_is_none_is_status_2(command, words):
    done = command(*words)
    assert done.returncode == 2
    assert lines(done.stderr)[0].startswith("usage: pytest-llm-usage")


def test_the_command_is_installed():
    done = subprocess.run(
        ["pytest-llm-usage", "--help"], capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT
    )
    assert done.stdout.startswith("usage: pytest-llm-usage [-h] [--version] COMMAND")


def test_version(command):
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"pytest-llm-usage {version('pytest-llm-usage')}\n")


def test_one_is_one(command, write):
    write("run.json", {"a": [1_000]})
    assert lines(command("merge", "run.json", "--output=merged.json").stdout) == [
        "Wrote JSON report to merged.json: 1 test of 1 run"
    ]


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path, write):
    write("base.json", {f"t{i}": [1] for i in range(2_000)})
    write("head.json", {f"t{i}": [2] for i in range(2_000)})
    line = f"{sys.executable} -m pytest_llm_usage.cli compare base.json head.json --md=- | head -1"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("<!-- pytest-llm-usage -->\n", "")
