"""The changes that `docs/architecture.md` works out: what it names exists, and a kind of budget is one field.

The others have their tests beside what they change; the page names them.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pytest_llm_usage

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

FIELD = """
    max_streams: Annotated[
        int | None,
        BudgetKind(
            "streamed call",
            lambda call: int(call.streamed),
            is_unknown=lambda _: False,
            every_call_takes=False,
            option="max-streams",
            help="fail a test that streams more than N answers",
        ),
    ] = None
"""
SUITE = """
import pytest
from fakes import FakeStreamingModel

def test_by_option():
    list(FakeStreamingModel().stream("one"))

@pytest.mark.llm_budget(max_streams=1)
def test_by_marker():
    list(FakeStreamingModel().stream("one"))
"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest with a copy of the package that can limit one thing more."""
    package = tmp_path / "copy" / "pytest_llm_usage"
    shutil.copytree(Path(pytest_llm_usage.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    module, last = package / "budget" / "limits.py", "    model: str | None = None\n"
    text = module.read_text(encoding="utf-8")
    assert text.count(last) == 1
    module.write_text(text.replace(last, FIELD.lstrip("\n") + last), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(SUITE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(package.parent), str(Path(__file__).parent)))}

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-p", "llm_usage", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_kind_of_budget_is_a_field(run):
    assert run().returncode == 0

    printed = run("--max-streams=0").stdout
    assert "LLM budget exceeded: 1 streamed call, limit 0 (--max-streams)" in printed
    assert "1 failed, 1 passed" in printed

    assert "max_streams=None" in run("--markers").stdout
    assert "--llm-usage-max-streams=N" in run("--help").stdout


def test_the_layers_of_the_page_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    shown = re.search(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)[1].splitlines()
    assert shown == contracts[0]["layers"]
    described = set(re.findall(r"\w+", " ".join(re.findall(r"^\*\*(.*?)\*\*:", PAGE, flags=re.MULTILINE))))
    assert described == set(re.findall(r"\w+", " ".join(shown)))


def test_every_file_that_the_page_names_exists():
    named = re.findall(r"`((?:tests/)?[\w/]+\.(?:py|json)|tests/[\w/]+)`", PAGE)
    assert len(named) > 15
    missing = [name for name in named if not ((ROOT / name).exists() or (ROOT / "pytest_llm_usage" / name).exists())]
    packages = [path for path in (ROOT / "pytest_llm_usage").iterdir() if path.is_dir()]
    assert [name for name in missing if not any((package / name).exists() for package in packages)] == []


def test_every_command_of_contributing_is_there():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"(?:\$ |`)make ([\w-]+)", contributing))
    assert {"test-quick", "lint", "test", "docs", "reference", "readme"} <= commands
    assert [
        name for name in commands if not re.search(rf"^(?:[\w -]+ )?{name}(?: [\w -]+)?:", makefile, re.MULTILINE)
    ] == []
    named = re.findall(r"`((?:tests|pytest_llm_usage|docs|scripts)/[\w/.]+|\.ci/run)`", contributing)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
