"""The types that users see: strict type checkers accept what is right, and report what is wrong."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "typed"
README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def mypy(folder):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental", "--no-error-summary", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return {tuple(line.split(":", 2)[:2]): line for line in done.stdout.splitlines() if ": error: " in line}


def pyright(folder):
    """Through basedpyright, which brings the Node.js that it runs on."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return {
        (Path(found["file"]).name, str(found["range"]["start"]["line"] + 1)): found["message"]
        for found in json.loads(done.stdout)["generalDiagnostics"]
    }


CHECKERS = [
    pytest.param(
        checker,
        marks=pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed (make .venv/installed)"),
        id=checker.__name__,
    )
    for checker, module in ((mypy, "mypy"), (pyright, "basedpyright"))
]


@pytest.mark.parametrize("check", CHECKERS)
def test_what_is_right_passes_and_what_is_wrong_does_not(check, tmp_path):
    for name in ("users_code.py", "mistakes.py"):
        shutil.copy(FOLDER / name, tmp_path)
    annotated = re.findall(r"```python (test_\w*typed\w*\.py)\n(.*?)```", README, re.DOTALL)
    assert annotated
    for name, text in annotated:
        (tmp_path / name).write_text(text)
    (tmp_path / "chat.py").write_text("def joke() -> str:\n    return 'A joke.'\n")

    found = check(tmp_path)

    lines = (FOLDER / "mistakes.py").read_text().splitlines()
    wrong = {("mistakes.py", str(number)) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) >= 5
    assert found.keys() == wrong, found
