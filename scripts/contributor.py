# ruff: noqa: T201 -- a command prints
"""Walks a contributor's first day in a fresh clone (`make contributor`): python scripts/contributor.py [--full]

* Clones the repository's last commit into a folder of its own, and leaves out variables of this environment.
* Runs the commands that CONTRIBUTING.md has for a start. `--full` runs the whole block, and takes an hour.
* Makes a change that docs/architecture.md describes, a kind of budget, in the order of CONTRIBUTING.md: the test, which
  fails; the change; the test alone; `make lint`; `make reference`; a line in the changelog. Then the tests of what was
  touched pass.

Stops at the first command that does not do what the page says.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEST = "tests/test_limit_of_streams.py"
#: The test of the change: a limit on streamed calls, by marker and by option.
TEXT = '''"""A limit on streamed calls."""

SUITE = """
import pytest
from fakes import FakeStreamingModel

@pytest.mark.llm_budget(max_streams=0)
def test_it():
    list(FakeStreamingModel().stream("one"))
"""


def test_a_test_that_streams_too_often_fails(pytester):
    pytester.makepyfile(SUITE)
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["LLM budget exceeded: 1 streamed call, limit 0 (@pytest.mark.llm_budget)"])
'''


class Clone:
    """A clone in which a contributor types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = ("PYTHON", "VIRTUAL_ENV", "LLM_USAGE", "PYTEST", "COVERAGE", "MAKE")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    def types(self, line: str, *, fails: bool = False) -> str:
        """Runs a command and returns what it prints; ends the script if it passes or fails unexpectedly."""
        print(f"$ {line}", flush=True)
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603
            shlex.split(line), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if (done.returncode != 0) != fails:
            sys.exit(f"{done.stdout[-6000:]}{done.stderr[-3000:]}\n`{line}` ended with {done.returncode}")
        print(f"  {'fails, as it should' if fails else 'passes'} ({time.monotonic() - began:.0f} s)", flush=True)
        return done.stdout

    def insert(self, path: str, before: str, text: str) -> None:
        """Writes a text before another one, which must be in the file exactly once."""
        file = self.folder / path
        content = file.read_text(encoding="utf-8")
        if content.count(before) != 1:
            sys.exit(f"{path}: {before.strip()!r} does not stand there once")
        file.write_text(content.replace(before, text + before), encoding="utf-8")


def commands(contributing: str) -> list[str]:
    """The commands of the block under "Set up"."""
    block = re.search(r"^## Set up\n.*?^```console\n(.*?)^```", contributing, flags=re.MULTILINE | re.DOTALL)
    if block is None:
        sys.exit("CONTRIBUTING.md has no block of commands under 'Set up'")
    return [line.partition("#")[0].strip() for line in re.findall(r"^\$ (.*)$", block[1], flags=re.MULTILINE)]


def worked_field(test: str) -> str:
    """The field that the worked change adds, `FIELD` in its test. It is read, not imported: the Python that runs this has no pytest."""
    for statement in ast.parse(test).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "FIELD":
            return str(ast.literal_eval(statement.value))
    sys.exit("tests/test_worked_changes.py has no FIELD")


def change(clone: Clone) -> None:
    """Adds a kind of budget, in the order of CONTRIBUTING.md."""
    worked = worked_field((clone.folder / "tests" / "test_worked_changes.py").read_text(encoding="utf-8"))
    (clone.folder / TEST).write_text(TEXT, encoding="utf-8")
    clone.types(f".venv/bin/python -m pytest {TEST}", fails=True)
    clone.insert("pytest_llm_usage/budget/limits.py", "    model: str | None = None\n", worked.lstrip("\n"))
    clone.types(f".venv/bin/python -m pytest {TEST} tests/test_budget.py")
    clone.types("make lint")
    clone.types("make reference")
    if "--max-streams" not in clone.types("git diff docs/reference"):
        sys.exit("`make reference` did not write the new option into docs/reference")
    clone.insert("CHANGELOG.md", "\n## [0.", "\n### Added\n\n- `--max-streams`: a limit on streamed calls.\n")
    clone.types(
        f".venv/bin/python -m pytest -p no:cacheprovider {TEST} tests/test_docs.py tests/test_prose.py -k 'not page_does'"
    )


def main() -> None:
    """Clones the repository, runs the commands, makes the change and checks it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--full", action="store_true", help="type every command of CONTRIBUTING.md's block")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)  # noqa: S603, S607
        clone = Clone(folder)
        listed = commands((folder / "CONTRIBUTING.md").read_text(encoding="utf-8"))
        # "Start with the first two": if they pass, the clone works.
        for line in listed if wanted.full else listed[:2]:
            clone.types(line)
        change(clone)
    print("A contributor's first day: green")


if __name__ == "__main__":
    main()
