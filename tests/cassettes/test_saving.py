"""Tests that share a cassette: whoever saves, and whenever, nothing that another one has just recorded is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

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


def test_one_lock_for_all_names_of_a_file(record, path, tmp_path):
    storage.save(path, [recording("old")])
    record("rewrite", "test_a", "a")()
    other = CassettePolicy(path=path.parent / ".." / path.parent.name / path.name)
    assert RunRecordings().knows(other.path) is False
    record("rewrite", "test_b", "b")()
    assert asked(path) == ["a", "b"]


WRITER = """
    import json, os, resource, sys
    from pathlib import Path
    sys.path[:0] = sys.argv[5:]
    from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
    from pytest_llm_usage.cassettes import CassettePolicy
    from pytest_llm_usage.cassettes.run_recordings import RunRecordings
    from pytest_llm_usage.cassettes.saving import save_recording
    from pytest_llm_usage.errors import CassetteError

    path, folder, log, name = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    run = RunRecordings(folder)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    number = 0
    while True:
        number += 1
        ask = f"{name}-{os.getpid()}-{number}"
        policy = CassettePolicy(path=path, record_mode="rewrite", owner=f"test_{ask}", run=run)
        body = json.dumps({"ask": ask}).encode()
        one = Interaction(Request("POST", "https://x.test/chat", {}, body), Response(200, "OK", {}, b"x" * 500))
        # Every third save meets a disk with too little room.
        is_full = number % 3 == 0
        limits = (os.stat(path).st_size // 2 if is_full and path.exists() else resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits, resource.RLIM_INFINITY))
        try:
            save_recording(policy, [one], is_replaced=lambda old: False, is_dropped=lambda old: True)
        except CassetteError as error:
            os.write(out, f"full {ask}\\n".encode())
        else:
            os.write(out, f"saved {ask}\\n".encode())
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """


@pytest.mark.skipif(sys.platform == "win32", reason="kills and limits of a POSIX system")
def test_nothing_is_lost_by_kills_and_full_disks(path, tmp_path):
    """Four writers of one cassette, killed and started again. `LLM_USAGE_KILLS=300` is the full measure."""
    kills = int(os.environ.get("LLM_USAGE_KILLS", "24"))
    folder, log = tmp_path / "run", tmp_path / "log"
    folder.mkdir()
    path.parent.mkdir(parents=True)
    log.touch()

    def start(name):
        places = [str(Path(storage.__file__).parents[2])]
        return subprocess.Popen(
            [sys.executable, "-c", dedent(WRITER), str(path), str(folder), str(log), name, *places],
            stderr=subprocess.PIPE,
        )

    chance = random.Random(0)
    writers = {name: start(name) for name in "abcd"}
    killed = 0
    try:
        while killed < kills or log.read_text().count("full") < kills // 3:
            before = log.stat().st_size
            while log.stat().st_size == before:
                assert all(writer.poll() is None for writer in writers.values())
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)
            name = chance.choice("abcd")
            writers[name].send_signal(signal.SIGKILL)
            writers[name].communicate()
            killed += 1
            writers[name] = start(name)
    finally:
        for writer in writers.values():
            writer.kill()
            writer.communicate()
    lines = [line.split() for line in log.read_text().splitlines()]
    saved = {ask for state, ask in lines if state == "saved"}
    in_file = asked(path)
    assert saved - set(in_file) == set()
    assert len(saved) > kills // 4
    assert len(in_file) == len(set(in_file))
