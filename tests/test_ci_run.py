"""`.ci/run` with and without the recordings beside the repository; `make` only notes what it is asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not (ROOT / ".ci").is_dir(), reason="a shell's script, which is in the repository alone"
)


@pytest.fixture
def run(tmp_path):
    project = tmp_path / "project"
    shutil.copytree(ROOT / ".ci", project / ".ci")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/made\n')
    make.chmod(0o755)

    def run(**environment):
        path = os.pathsep.join((str(make.parent), os.environ["PATH"]))
        done = subprocess.run(
            ["bash", str(project / ".ci" / "run")],
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        made = tmp_path / "made"
        return done.returncode, done.stderr, made.read_text().split() if made.exists() else []

    run.beside = tmp_path / "shared" / "corpus"
    return run


def test_with_the_recordings(run):
    run.beside.mkdir(parents=True)
    (run.beside / "index.jsonl").touch()
    status, said, made = run(LLM_USAGE_CORPUS_REQUIRED="1")
    assert (status, said, made[-1]) == (0, "", "test")


def test_without_them_everything_else_runs(run):
    status, said, made = run()
    assert (status, said, made[-1]) == (0, "", "test")
    assert {"lint", "docs", "demo", "test-lowest"} <= set(made)


@pytest.mark.parametrize("what", ["required", "unreadable"])
def test_what_is_an_error(run, what):
    if what == "unreadable":
        run.beside.mkdir(parents=True)
    status, said, made = run(LLM_USAGE_CORPUS_REQUIRED="1" if what == "required" else "")
    assert (status, made) == (1, [])
    assert (
        said
        == "No recordings can be read in ../shared/corpus: set LLM_USAGE_CORPUS to the folder that holds index.jsonl\n"
    )


def test_pytest_says_how_many_were_skipped(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/wire/test_corpus.py"]
    environment = os.environ | {"LLM_USAGE_CORPUS": str(tmp_path / "none")}
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    assert " tests were skipped for want of recordings: set LLM_USAGE_CORPUS to the folder" in printed
    assert "\n0 tests" not in printed
