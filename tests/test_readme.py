"""The README: its files are written, its commands are run, and what it shows is what they print.

A fenced block's first line says what becomes of it:

* a language and a path (```python test_birds.py, or ```python title="test_birds.py") is a file; a test file must pass, unless a command shows otherwise;
* `console` is commands (`$ …`) with what they print; a line `...` stands for any number of lines. What records is
  led to the emulator of the examples.

The blocks of one section (`## …`) share a folder with the application's modules of the examples and their recordings. What a
block writes anew is an edit: before the first one, what is there is committed to a repository and pushed to another.

Run as a script (`make readme`), it pastes what the commands print now into the README.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
import warm

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

sys.path.insert(0, str(EXAMPLES))
import record  # noqa: E402 -- the examples' script, which is no package

README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCK = re.compile(
    r"^```(?P<language>\w*)(?: (?:title=\")?(?P<path>[^\s\"]+)\"?)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
SECTIONS = {
    text.partition("\n")[0]: text for text in re.split(r"^## ", README, flags=re.MULTILINE) if BLOCK.search(text)
}


@dataclass(frozen=True)
class Command:
    """A command line, and the lines that it prints."""

    line: str
    expected: list[str]


def commands_of(text):
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *expected = part.rstrip("\n").split("\n")
        yield Command(line, expected)


#: What is never the same twice: times, the rules whose length goes with them, releases.
VARYING = re.compile(r"\d+\.\d\ds\b|={4,}|-{4,}|\b\d+\.\d+\.\d+\b")


def without_varying(line):
    """A line of which only what is always the same is left."""
    return VARYING.sub("~", line.rstrip())


def assert_prints(printed, expected):
    """Assert that the lines `expected` were printed one after the other and no others, with gaps only where `...` stands."""
    lines = [without_varying(line) for line in printed.splitlines()]
    at, is_gap = 0, True
    for line in expected:
        if line.strip() == "...":
            is_gap = True
            continue
        wanted = without_varying(line)
        found = next((i for i in range(at, len(lines)) if lines[i] == wanted), None)
        assert found is not None, f"not printed: {line!r}\n\n{printed}"
        assert is_gap or found == at, f"printed before {line!r}: {lines[at]!r}\n\n{printed}"
        at, is_gap = found + 1, False
    assert is_gap or not expected or not any(lines[at:]), f"printed, and not shown: {lines[at:]}\n\n{printed}"


class Project:
    """A folder with the application of the examples, in which a section's blocks are written and run."""

    def __init__(self, directory):
        self.directory = directory
        self.untried = set()
        for name in ("quickstart/chat.py", "agent/birds.py", "agent/conftest.py"):
            shutil.copy(EXAMPLES / name, directory)

    @property
    def remote(self):
        """The repository that the section's folder is pushed to."""
        return self.directory / ".git" / "remote.git"

    def write(self, path, text):
        file = self.directory / path
        if file.exists() and not self.remote.exists():
            self.publish()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.name.startswith("test_") and file.suffix == ".py":
            self.untried.add(path)
            self.lend_recordings(file.stem, text)

    def publish(self):
        """Commit what is there, with the snapshots of its tests, and push it."""
        self.run_python("-m", "pytest", "--snapshot-update")
        (self.directory / ".gitignore").write_text("__pycache__/\n.pytest_cache/\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=Before")
        self.git("remote", "add", "origin", str(self.remote))
        self.git("push", "--quiet", "--set-upstream", "origin", "main")

    def git(self, *arguments):
        """What git prints, with an author and without anybody's own configuration."""
        who = {f"GIT_{role}_{what}": "Test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], **who, **nobody},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def lend_recordings(self, module, text):
        """Give a test the recording of the example's test of that name."""
        for name in re.findall(r"def (test_\w+)", text):
            for recording in EXAMPLES.glob(f"*/cassettes/*/{name}*.yaml"):
                folder = self.directory / "cassettes" / module
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(recording, folder)

    def run(self, line):
        """What a command prints."""
        arguments = shlex.split(line)
        environment = {}
        while "=" in arguments[0]:
            name, _, value = arguments.pop(0).partition("=")
            environment[name] = value
        match arguments:
            case ["pip", "install", folder, *packages]:
                # This suite runs in an environment into which the clone was installed just so.
                assert (ROOT / folder / "pyproject.toml").is_file()
                assert all(map(version, packages))
                return ""
            case ["cd", folder]:
                # Of the clone.
                shutil.copytree(ROOT / folder, self.directory / folder)
                self.directory /= folder
                return ""
            case ["make", target]:
                subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
                return ""
            case ["cat", path]:
                return (self.directory / path).read_text(encoding="utf-8")
            case ["ls" | "head" | "grep", *_]:
                return subprocess.run(arguments, cwd=self.directory, capture_output=True, text=True, check=True).stdout
            case ["git", *words]:
                return self.git(*words)
            case ["pytest-llm-usage", *words]:
                done = self.run_python("-m", "pytest_llm_usage.cli", *words)
                return done.stdout + done.stderr
            case ["pytest", *words]:
                self.untried -= set(words) or self.untried
                if "--llm-usage-record=once" in arguments:
                    # There would be nothing to record.
                    shutil.rmtree(self.directory / "cassettes", ignore_errors=True)
                if any(argument.startswith("--llm-usage-record=") for argument in arguments):
                    with record.emulator_environment() as emulator:
                        # What it adds; of the rest `run_python` leaves out what a CI sets.
                        added = dict(emulator.items() - os.environ.items())
                        return self.run_python("-m", *arguments, "-p", "recording.redirect", **added).stdout
                return self.run_python("-m", *arguments, **environment).stdout
            case _:
                pytest.fail(f"README.md: a command that no test runs: {line}")

    def run_python(self, *arguments, directory=None, **environment):
        """A finished process of this Python, in an environment without keys."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI_", "PYTEST_", "GITHUB_")) and name not in ("CI", "BUILD_NUMBER")
        }
        return subprocess.run(
            [*warm.SERVER.command(), *arguments],
            cwd=directory or self.directory,
            # No other plugins than those shown, whatever is installed, and no warnings of other packages.
            env=own
            | environment
            | {
                "COLUMNS": "80",
                # A file that is written twice within a second may be as long as before.
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_ADDOPTS": f"{'' if 'no:llm_usage' in arguments else '-p llm_usage '}"
                "-p syrupy -p recording -p no:warnings",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.mark.parametrize("section", SECTIONS)
def test_section_does_what_it_shows(section, tmp_path):
    project = Project(tmp_path)
    for block in BLOCK.finditer(SECTIONS[section]):
        if block["language"] == "console":
            for command in commands_of(block["text"]):
                assert_prints(project.run(command.line), command.expected)
        else:
            assert block["path"], f"README.md: a block that no test runs:\n{block[0]}"
            project.write(block["path"], block["text"])
    for path in sorted(project.untried):
        result = project.run_python("-m", "pytest", path)
        assert result.returncode == 0, result.stdout


def abridged(command, printed):
    """What the README shows of what a command printed."""
    lines = [line.rstrip() for line in printed.splitlines()]
    if command.line.startswith("git diff"):
        return ["...", *lines[next(number for number, line in enumerate(lines) if line.startswith("@@")) :]]
    if not re.match(r"(\w+=\S+ )*pytest( |$)", command.line):
        return lines
    if command.expected[:1] == ["..."]:
        return ["...", lines[-1]]
    start = next(number for number, line in enumerate(lines) if line.startswith("collected "))
    return [lines[0], "...", *lines[start:]]


def with_fresh_output(section):
    """The text of a section with what its commands print now."""
    with tempfile.TemporaryDirectory() as directory:
        project = Project(Path(directory))

        def fresh(block):
            if block["language"] != "console":
                project.write(block["path"], block["text"])
                return block[0]
            lines = []
            for command in commands_of(block["text"]):
                lines += [f"$ {command.line}", *abridged(command, project.run(command.line))]
            return "\n".join(["```console", *lines, "```"])

        return BLOCK.sub(fresh, section)


if __name__ == "__main__":
    for text in SECTIONS.values():
        README = README.replace(text, with_fresh_output(text))
    (ROOT / "README.md").write_text(README, encoding="utf-8")
