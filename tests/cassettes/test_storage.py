"""Cassettes as files: never lost, never half-written, never outside of their folder."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest
import vcr
from hypothesis import given
from hypothesis import strategies as st
from pytest_recording.plugin import get_default_cassette_name
from vcr.request import Request as VcrRequest

from pytest_llm_usage import encoding
from pytest_llm_usage.cassettes import cassette_path, find_recording, storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.names import failed_path
from pytest_llm_usage.errors import CassetteError


def conversation(word, size=1):
    request = Request("POST", "https://api.provider.test/v1/chat", {}, json.dumps({"say": word * size}).encode())
    return [Interaction(request, Response(200, "OK", {}, json.dumps({"said": word * size}).encode()))]


def words(path):
    return {json.loads(interaction.request.body)["say"][0] for interaction in storage.load(path)}


def leftovers(folder):
    return [entry.name for entry in folder.iterdir() if entry.suffix == ".tmp"]


def test_saved_and_loaded(path):
    storage.save(path, conversation("a"))
    assert words(path) == {"a"}
    assert not leftovers(path.parent)


def test_a_gzipped_cassette_stays_one(path):
    path = path.with_name(path.name + ".gz")
    storage.save(path, conversation("a"))
    assert gzip.decompress(path.read_bytes()).startswith(b"version: 1")
    assert words(path) == {"a"}
    first = path.read_bytes()
    storage.save(path, conversation("a"))
    assert path.read_bytes() == first


def test_the_file_can_be_read_by_whom_the_folder_lets(path):
    storage.save(path, conversation("a"))
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o640)
    storage.save(path, conversation("b"))
    assert path.stat().st_mode & 0o777 == 0o640


def test_find_recording(path):
    assert find_recording(path) is None
    zipped = path.with_name(path.name + ".gz")
    storage.save(zipped, conversation("a"))
    assert find_recording(path) == zipped
    storage.save(path, conversation("b"))
    assert find_recording(path) == path


def test_what_vcrpy_s_json_serializer_wrote_is_read_and_succeeded_by_yaml(path):
    written = path.with_suffix(".json")
    with vcr.use_cassette(str(written), serializer="json") as cassette:
        cassette.append(
            VcrRequest("POST", "https://h.test/", "{}", {}),
            {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": b"[1]"}},
        )
    before = written.read_bytes()
    assert find_recording(path) == written
    (found,) = storage.load(written)
    assert found.response.body == b"[1]"
    storage.save(storage.file_to_write(path), conversation("a"))
    assert find_recording(path) == path
    assert written.read_bytes() == before


# What goes wrong --------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file(path):
    """A disk without room, as the system reports it: the write itself fails, half-way."""
    storage.save(path, conversation("a"))
    program = """
        import resource, sys
        sys.path[:0] = sys.argv[2:]
        from pathlib import Path
        from pytest_llm_usage.errors import CassetteError
        from pytest_llm_usage.cassettes import storage
        from test_storage import conversation
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            storage.save(Path(sys.argv[1]), conversation("b", 5000))
        except CassetteError as error:
            print(error)
        """
    printed = run(program, path)
    assert printed.strip() == f"Cassette not saved: {path}: File too large. The old one was left as it is"
    assert words(path) == {"a"}
    assert not leftovers(path.parent)


@pytest.mark.parametrize("step", ["fsync", "replace", "fdopen"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_step_fails_the_old_file_stays(path, monkeypatch, step, error):
    storage.save(path, conversation("a"))

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((CassetteError, KeyboardInterrupt)):
        storage.save(path, conversation("b"))
    monkeypatch.undo()
    assert words(path) == {"a"}
    assert not leftovers(path.parent)


def run(program, *arguments):
    places = [str(Path(storage.__file__).parents[2]), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), *map(str, arguments), *places],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_200_kills_in_the_middle_of_saves(path):
    """Each child saves as often as it can until it is killed; whatever it was doing, the cassette is whole."""
    storage.save(path, conversation("a", 20_000))
    program = """
        import collections, os, random, signal, sys, time
        sys.path[:0] = sys.argv[2:]
        from pathlib import Path
        from pytest_llm_usage.cassettes import storage
        from test_storage import conversation, words
        path, seen = Path(sys.argv[1]), collections.Counter()
        contents = [conversation("a", 20_000), conversation("b", 20_000)]
        started = time.perf_counter()
        storage.save(path, contents[0])
        one_save_s = time.perf_counter() - started
        for number in range(200):
            child = os.fork()
            if not child:
                while True:
                    for content in contents if number % 2 else reversed(contents):
                        storage.save(path, content)
            time.sleep(random.random() * 2 * one_save_s)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            (word,) = words(path)
            seen[word] += 1
        print(seen["a"], seen["b"], len(list(path.parent.glob(".*.tmp"))))
        """
    a, b, abandoned = map(int, run(program, path).split())
    assert a + b == 200
    assert a
    assert b
    assert abandoned, "no kill came in the middle of a save: the test tests nothing"
    for leftover in path.parent.glob(".*.tmp"):
        os.utime(leftover, (0, time.time() - 3600))
    storage.save(path, conversation("c"))
    assert words(path) == {"c"}
    assert not leftovers(path.parent)


def test_readers_during_a_write_see_a_whole_cassette(path):
    storage.save(path, conversation("a", 5000))
    done = threading.Event()

    def write():
        for number in range(100):
            storage.save(path, conversation("ab"[number % 2], 5000))
        done.set()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    read = 0
    while not done.is_set():
        assert words(path) <= {"a", "b"}
        read += 1
    for writer in writers:
        writer.join()
    assert read
    assert not leftovers(path.parent)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\x00\x01\x02\xff" * 10, "it is not UTF-8 text (byte 3)"),
        (b"interactions:\n- request: {", "it is not valid YAML, line 3"),
        (
            b"interactions:\n<<<<<<< HEAD\n- request: {}\n=======\n- request: {}\n>>>>>>> prompt\n",
            "it has a merge conflict, line 2: resolve it, or record the cassette again",
        ),
        (
            b'{"interactions": [\r\n<<<<<<< HEAD\r\n1\r\n=======\r\n2\r\n>>>>>>> prompt\r\n]}',
            "it has a merge conflict, line 2: resolve it, or record the cassette again",
        ),
        (
            gzip.compress(b"interactions: []", mtime=0)[:-9],
            "it cannot be decompressed (the compressed body is cut off)",
        ),
        (b"\x1f\x8bnonsense", "it cannot be decompressed (the compressed body is garbled)"),
        (
            # Made in the test: it takes a second.
            lambda: gzip.compress(b"\0" * (encoding.MAX_BYTES + 1), compresslevel=1, mtime=0),
            "it cannot be decompressed (the body is larger than 268,435,456 bytes)",
        ),
    ],
)
def test_what_cannot_be_read_is_said_and_left_alone(path, content, problem):
    path.parent.mkdir(parents=True)
    content = content() if callable(content) else content
    path.write_bytes(content)
    with pytest.raises(CassetteError) as error:
        storage.load(path)
    message = str(error.value)
    assert message.startswith(f"Cassette cannot be read: {path}: {problem}")
    assert message.endswith(". The file was left as it is")
    assert path.read_bytes() == content


def test_a_file_too_large_to_be_a_cassette(path):
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(encoding.MAX_BYTES + 1)
    with pytest.raises(CassetteError, match="it has more than 268,435,456 bytes"):
        storage.load(path)


def test_a_folder_in_the_place_of_a_file(path):
    path.mkdir(parents=True)
    with pytest.raises(CassetteError, match="Is a directory"):
        storage.load(path)


# Names ------------------------------------------------------------------------------------------------------------------


class Named:
    pass


@given(st.text(min_size=1, max_size=40), st.booleans())
def test_names_are_pytest_recording_s(name, in_class):
    path = cassette_path(Path("/c"), f"Named.{name}" if in_class else name)
    expected = get_default_cassette_name(Named if in_class else None, name).replace("\0", "-")
    assert path == Path("/c") / f"{expected}.yaml"


@given(st.text(max_size=400))
def test_no_test_name_leaves_the_folder(name):
    path = cassette_path(Path("/c/d"), name)
    assert path.parent == Path("/c/d")
    assert len(os.fsencode(path.name.encode("utf-8", "replace"))) <= 255
    assert path.name not in (".", "..")


def test_long_names_are_cut_as_pytest_recording_cuts_them(monkeypatch):
    from pytest_recording import _vcr

    name = "test_" + "x" * 400
    cut = {}
    monkeypatch.setattr(_vcr.VCR, "use_cassette", lambda self, default, **_: cut.update(name=default))

    class Config:
        class hook:
            pytest_recording_configure = staticmethod(lambda **_: None)

    _vcr.use_cassette(name, "/c", "none", [], {}, Config)
    assert cassette_path(Path("/c"), name).name == cut["name"] + ".yaml"


@pytest.mark.parametrize("name", ["test_bird", "test_" + "x" * 400, "test_" + "é" * 130, "test_" + "日" * 100])
def test_what_failed_is_named_so_however_long_its_name_is(name):
    cassette = cassette_path(Path("/c"), name)
    failed = {failed_path(cassette), failed_path(cassette, name), failed_path(cassette, f"{name}[2]")}
    assert len(failed) == 3
    for path in failed:
        assert path.name.endswith(".failed.yaml")
        assert len(os.fsencode(path.name)) <= 255


def test_names_of_markers():
    folder = Path("/c/d")
    assert cassette_path(folder, "Named.test_x", "shared") == folder / "shared.yaml"
    assert cassette_path(folder, "test_x", "sub/shared.yaml") == folder / "sub/shared.yaml"
    assert cassette_path(folder, "test_x", "old.yaml.gz") == folder / "old.yaml.gz"
    assert cassette_path(folder, "test_x", "/elsewhere/one.yml") == Path("/elsewhere/one.yml")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\0b", "'a\\x00b' holds a character that no file's name can have"),
        ("\ud800", "'\\ud800' holds a character that no file's name can have"),
        ("", "'' names no file"),
        (".yaml", "'.yaml' names no file"),
        (".", "'.' names no file"),
        ("sub/", "'sub/' names no file"),
        ("n" * 251, f"'{'n' * 30}…{'n' * 29}' is longer than the 255 bytes of a file's name"),
        ("ä" * 126, f"'{'ä' * 30}…{'ä' * 29}' is longer than the 255 bytes of a file's name"),
    ],
)
def test_names_of_markers_that_no_file_can_have(name, problem):
    with pytest.raises(CassetteError) as error:
        cassette_path(Path("/c/d"), "test_x", name)
    assert str(error.value) == f"llm_cassette: {problem}"
    assert cassette_path(Path("/c/d"), "test_x", "n" * 250).name == "n" * 250 + ".yaml"


@pytest.mark.parametrize("name", ["../up", "sub/../../up", "../", "a/../../../etc/passwd"])
def test_names_of_markers_that_lead_out_of_the_folder(name):
    with pytest.raises(CassetteError, match="leads out of the cassette folder /c/d"):
        cassette_path(Path("/c/d"), "test_x", name)
