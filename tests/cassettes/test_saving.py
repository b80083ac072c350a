"""Tests that share a cassette: whoever saves, and whenever, nothing that another one has just recorded is lost."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from provider_server import refuse

from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette, storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.run_recordings import RunRecordings


def asked(path):
    """What the requests in a cassette ask, in the order of the file."""
    return [json.loads(found.request.body)["ask"] for found in storage.load(path)]


def recording(ask):
    return Interaction(Request("POST", "https://old.test/chat", {}, json.dumps({"ask": ask}).encode()), Response(200))


@pytest.fixture(params=["one process", "workers"])
def run(request, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return RunRecordings(folder if request.param == "workers" else None)


@pytest.fixture
def record(provider, path, run):
    """Opens the cassette for a test, makes its requests, and gives what saves it."""

    def recorded(mode, owner, *asks, run=run):
        policy = CassettePolicy(path=path, record_mode=mode, owner=owner, run=run)
        opened = OpenCassette(policy, observe=lambda _: None, fail=refuse)
        with opened:
            for ask in asks:
                httpx.post(provider.url + "/chat", json={"ask": ask})
        return lambda: opened.close(save=True)

    return recorded


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_tests_one_after_the_other(record, path, mode):
    record(mode, "test_a", "a1", "a2")()
    record(mode, "test_b", "b1", "b2")()
    assert asked(path) == ["a1", "a2", "b1", "b2"]


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_tests_at_the_same_time(record, path, mode):
    saves = [record(mode, f"test_{name}", f"{name}1", f"{name}2") for name in "abcd"]
    for save in reversed(saves):
        save()
    assert asked(path) == [f"{name}{number}" for name in "abcd" for number in (1, 2)]


def test_rewrite_drops_what_is_older_than_the_run_and_nothing_else(record, path):
    storage.save(path, [recording("old")])
    record("rewrite", "test_a", "a")()
    record("rewrite", "test_b", "b")()
    assert asked(path) == ["a", "b"]
    record("rewrite", "test_b", "b again", run=RunRecordings())()
    assert asked(path) == ["b again"], "another run"


def test_all_replaces_what_is_older_than_the_run_and_nothing_else(record, path):
    record("once", "test_a", "a", "shared", run=RunRecordings())()
    record("all", "test_b", "shared", "b")()
    record("all", "test_c", "shared")()
    assert asked(path) == ["a", "shared", "b", "shared"]


@pytest.mark.parametrize("mode", ["all", "rewrite"])
def test_a_test_that_is_run_again_replaces_its_own(record, path, mode):
    record(mode, "test_b", "b")()
    record(mode, "test_a", "same", "once")()
    record(mode, "test_a", "same", "twice")()
    assert sorted(asked(path)) == ["b", "once", "same", "twice"]


def test_equal_requests_of_two_tests_are_both_kept(record, path):
    record("rewrite", "test_a", "same")()
    record("rewrite", "test_b", "same")()
    assert asked(path) == ["same", "same"]


def test_what_was_changed_without_a_note_is_kept(record, path):
    """By a run of somebody else's, or by a process that was killed before it could say what it did."""
    record("rewrite", "test_a", "a")()
    storage.save(path, [*storage.load(path), recording("by hand")])
    record("rewrite", "test_b", "b")()
    assert sorted(asked(path)) == ["a", "b", "by hand"]


def test_what_cannot_be_noted_is_not_written(record, path, run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    record("rewrite", "test_a", "a")()
    save = record("rewrite", "test_b", "b")
    monkeypatch.setattr(RunRecordings, "note", full)
    with pytest.raises(storage.CassetteError) as error:
        save()
    assert str(error.value) == f"Cassette not saved: {path}: No space left on device. The old one was left as it is"
    assert asked(path) == ["a"]


def test_rewrite_keeps_a_link(record, path, tmp_path):
    real = tmp_path / "shared" / "real.yaml"
    storage.save(real, [recording("old")])
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    record("rewrite", "test_a", "a")()
    record("rewrite", "test_b", "b")()
    assert path.is_symlink()
    assert asked(real) == ["a", "b"]


def test_rewrite_replaces_no_pipe_behind_a_link(record, path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "pipe")
    save = record("rewrite", "test_a", "a")
    with pytest.raises(storage.CassetteError) as error:
        save()
    assert str(error.value) == (
        f"Cassette not saved: {path}: A device or a pipe, not a file. The old one was left as it is"
    )
    assert (tmp_path / "pipe").is_fifo()


def test_one_lock_for_all_names_of_a_file(record, path, tmp_path):
    storage.save(path, [recording("old")])
    record("rewrite", "test_a", "a")()
    other = CassettePolicy(path=path.parent / ".." / path.parent.name / path.name)
    assert RunRecordings().knows(other.path) is False
    record("rewrite", "test_b", "b")()
    assert asked(path) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills and limits of a POSIX system")
def test_nothing_is_lost_by_kills_and_full_disks():
    """The short form of `make torture`, which says what is looked at."""
    script = Path(__file__).parents[1] / "torture.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "24", "--full", "8"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kills, full = map(int, re.search(r"^(\d+) kills .* (\d+) full disks, .*: nothing lost", done.stdout).groups())
    assert kills >= 24
    assert full >= 8
