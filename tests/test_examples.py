"""The examples: they run offline as they are, in a copy, and their recordings are what their script makes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import warm
import yaml

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("quickstart", "agent", "ci")
CASSETTES = sorted(EXAMPLES.glob("*/cassettes/**/*.yaml"))
SNAPSHOTS = sorted(EXAMPLES.glob("*/__snapshots__/*.yaml"))


def clean_environment():
    """An environment without keys, which replaying needs none of, and without plugins that only take time to load."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "PYTEST_", "GITHUB_")) and name not in ("CI", "BUILD_NUMBER")
    }
    return own | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p llm_usage -p syrupy"}


def run_pytest(directory, *arguments):
    command = [*warm.SERVER.command(), "-m", "pytest", *arguments]
    return subprocess.run(
        command, cwd=directory, env=clean_environment(), capture_output=True, text=True, check=False, timeout=120
    )


def files_below(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts)
    }


def content_of(recording):
    """What a cassette or a snapshot file holds; releases of the clients order the keys of a JSON body differently."""
    content = yaml.safe_load(recording.read_text(encoding="utf-8"))
    for interaction in content.get("interactions", ()):
        body = interaction["request"]["body"]
        interaction["request"]["body"] = json.loads(body) if body else body
    return content


@pytest.fixture
def copy(tmp_path):
    """A function that copies an example and gives the folder of the copy."""

    def copy(name):
        return shutil.copytree(
            EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
        )

    return copy


@pytest.mark.parametrize("name", NAMES)
class TestEachExample:
    def test_passes_without_keys_and_changes_nothing(self, copy, name):
        directory = copy(name)
        before = files_below(directory)

        result = run_pytest(directory)

        assert result.returncode == 0, result.stdout + result.stderr
        assert "LLM usage" in result.stdout
        assert files_below(directory) == before


def test_an_example_without_its_recordings_fails_and_says_how_to_record(copy):
    directory = copy("quickstart")
    shutil.rmtree(directory / "cassettes")

    result = run_pytest(directory)

    assert result.returncode == 1
    assert 'Record it:  pytest "test_quickstart.py::test_joke" --llm-usage-record=once' in result.stdout


class TestAgent:
    def test_a_limit_of_exactly_its_tokens_holds_and_one_less_does_not(self, copy):
        directory = copy("agent")

        assert run_pytest(directory, "--max-tokens=1583").returncode == 0
        exceeded = run_pytest(directory, "--max-tokens=1582")

        assert exceeded.returncode == 1
        assert "1,583 tokens" in exceeded.stdout
        assert "birds.py:" in exceeded.stdout

    def test_replays_in_plain_vcrpy_with_the_same_totals(self, copy):
        directory = copy("agent")
        script = """
import json, vcr, conftest, birds, test_birds
from langchain_core.callbacks import get_usage_metadata_callback
with vcr.use_cassette("cassettes/test_birds/test_birds.yaml", record_mode="none") as cassette:
    with get_usage_metadata_callback() as callback:
        birds.ask(test_birds.QUESTION)
print(json.dumps([cassette.all_played, callback.usage_metadata]))
"""
        result = subprocess.run(
            [sys.executable, "-c", script],
            cwd=directory,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        all_played, usage = json.loads(result.stdout)

        assert all_played
        counts = usage["gpt-4-turbo-2024-04-09"]
        assert (counts["input_tokens"], counts["output_tokens"], counts["total_tokens"]) == (1412, 171, 1583)


class TestCI:
    def test_a_snapshot_of_fewer_tokens_fails_the_gate(self, copy):
        directory = copy("ci")
        (snapshot,) = directory.glob("__snapshots__/*")
        text = snapshot.read_text()
        assert "input_tokens: 104" in text
        snapshot.write_text(text.replace("input_tokens: 104", "input_tokens: 52"))

        result = run_pytest(directory)

        assert result.returncode == 1
        assert "input_tokens" in result.stdout
        assert "--snapshot-update" in result.stdout


class TestRecordings:
    def test_there_is_one_for_every_example(self):
        assert {path.relative_to(EXAMPLES).parts[0] for path in CASSETTES} == set(NAMES)

    @pytest.mark.parametrize("cassette", CASSETTES, ids=lambda path: path.stem)
    def test_says_where_it_comes_from_and_holds_no_key(self, cassette):
        text = cassette.read_text(encoding="utf-8")
        assert text.startswith("# Recorded by examples/record.py against an emulator on loopback")
        assert "sk-" not in text

        for interaction in yaml.safe_load(text)["interactions"]:
            assert urlsplit(interaction["request"]["uri"]).hostname in ("api.openai.com", "en.wikipedia.org")
            headers = {name.lower(): values for name, values in interaction["response"]["headers"].items()}
            assert headers["date"] == ["Thu, 01 Aug 2024 00:00:00 GMT"]

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="recording needs the openssl command")
    def test_recording_again_gives_the_same_content(self, copy, tmp_path):
        for name in (*NAMES, "recording"):
            copy(name)
        shutil.copy(EXAMPLES / "record.py", tmp_path)
        for cassette in tmp_path.glob("*/cassettes/**/*.yaml"):
            cassette.unlink()

        result = subprocess.run(
            [sys.executable, "record.py"],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

        assert result.returncode == 0, result.stdout + result.stderr
        for original in (*CASSETTES, *SNAPSHOTS):
            again = tmp_path / original.relative_to(EXAMPLES)
            assert content_of(again) == content_of(original)
