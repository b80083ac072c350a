"""Adding a report format touches two files: a module that renders it, and a row of the table."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_llm_usage

ROW = """
    ReportFormat(
        name="names",
        option="names",
        help="write the names of the tests",
        renderer="pytest_llm_usage.report.names:names",
        signature="# names",
    ),
)
"""
MODULE = """
def names(data, comparison=None):
    return "\\n".join(("# names", *data["tests"])) + "\\n"
"""


@pytest.fixture
def run(tmp_path):
    """Runs Python on a copy of the package that has one format more."""
    package = tmp_path / "copy" / "pytest_llm_usage"
    shutil.copytree(Path(pytest_llm_usage.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    table = package / "report" / "formats.py"
    text = table.read_text()
    assert text.endswith("\n)\n")
    table.write_text(text.removesuffix(")\n") + ROW.removeprefix("\n"))
    (package / "report" / "names.py").write_text(MODULE)
    (tmp_path / "test_it.py").write_text(
        "from fakes import FakeChatModel\n\ndef test_it():\n    FakeChatModel().invoke('one')\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(package.parent), str(Path(__file__).parents[1])))}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_row_is_an_option_an_ini_key_and_an_option_of_the_command(run, tmp_path):
    pytest_ = ("-m", "pytest", "-p", "llm_usage", "-p", "no:cacheprovider")
    printed = run(*pytest_, "--llm-usage-names=a.txt", "--llm-usage-json=run.json")
    assert "Wrote names report to a.txt" in printed
    run(*pytest_, "-o", "llm_usage_names=b.txt")
    run("-m", "pytest_llm_usage.cli", "compare", "run.json", "run.json", "--names=c.txt")

    for name in "abc":
        assert (tmp_path / f"{name}.txt").read_text() == "# names\ntest_it.py::test_it\n"
    assert "write the names of the tests" in run("-m", "pytest", "-p", "llm_usage", "--help")
