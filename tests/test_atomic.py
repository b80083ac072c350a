"""Files replaced in one step, one writer at a time."""

import os
import subprocess
import sys
import threading
import time
from textwrap import dedent

import pytest

from pytest_llm_usage import atomic
from pytest_llm_usage.atomic import alone_with, replace_file


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "elsewhere" / "real.yaml", tmp_path / "link.yaml"
    real.parent.mkdir()
    real.write_text("old")
    link.symlink_to(real)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_link_to_nothing_gets_its_file(tmp_path):
    real, link = tmp_path / "elsewhere" / "real.yaml", tmp_path / "link.yaml"
    link.symlink_to(real)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"


@pytest.mark.parametrize("is_linked", [False, True])
def test_what_is_no_file_is_not_replaced(tmp_path, is_linked):
    """A cassette that is a link to /dev/null would take it from the whole machine, where its owner runs the tests."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)

    with pytest.raises(OSError, match="A device or a pipe, not a file"):
        replace_file(link if is_linked else pipe, b"new")

    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [link, pipe], "no temporary file is left"


def test_who_may_read_it_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    replace_file(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


INCREMENT = """
    import sys
    from pathlib import Path
    from pytest_llm_usage.atomic import alone_with, replace_file
    path = Path(sys.argv[1])
    for _ in range(25):
        with alone_with(path):
            replace_file(path, str(int(path.read_text()) + 1).encode())
    """


def test_no_increment_of_four_processes_is_lost(tmp_path):
    path = tmp_path / "number"
    path.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", dedent(INCREMENT), str(path)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert path.read_text() == "100"
    assert [*tmp_path.iterdir()] == [path], "no lock file and no temporary file is left"


def test_threads_wait_for_each_other(tmp_path):
    order = []

    def write(name):
        with alone_with(tmp_path / "file"):
            order.append(f"{name} in")
            time.sleep(0.01)
            order.append(f"{name} out")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(order) == 6
    assert all(entered[0] == left[0] for entered, left in zip(order[::2], order[1::2], strict=True))


class FakeMsvcrt:
    """Windows' locks, of one process: taken twice, it fails as the real one does after ten seconds."""

    LK_LOCK, LK_UNLCK = 1, 0

    def __init__(self):
        self.held = set()
        self.calls = []

    def locking(self, handle, mode, size):
        key = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR), size)
        self.calls.append(mode)
        if mode == self.LK_UNLCK:
            self.held.remove(key)
        elif key in self.held:
            raise OSError(36, "Resource deadlock avoided")
        else:
            self.held.add(key)


@pytest.fixture
def windows(monkeypatch):
    fake = FakeMsvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    monkeypatch.setattr(atomic.sys, "platform", "win32")
    return fake


def test_on_windows_a_lock_is_taken_and_given_back(windows, tmp_path):
    with alone_with(tmp_path / "file"):
        assert len(windows.held) == 1
    assert not windows.held
    with pytest.raises(ZeroDivisionError), alone_with(tmp_path / "file"):
        raise ZeroDivisionError
    assert not windows.held


def test_on_windows_a_writer_waits_until_the_other_is_done(windows, tmp_path):
    entered = []

    def write():
        with alone_with(tmp_path / "file"):
            entered.append(len(windows.held))

    with alone_with(tmp_path / "file"):
        waiting = threading.Thread(target=write)
        waiting.start()
        while windows.calls.count(windows.LK_LOCK) < 4:
            time.sleep(0.001)
        assert not entered
    waiting.join()
    assert entered == [1]


def test_on_windows_other_folders_do_not_wait(windows, tmp_path):
    with alone_with(tmp_path / "a" / "file"), alone_with(tmp_path / "b" / "file"):
        assert len(windows.held) == 2
