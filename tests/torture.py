"""Four writers of one cassette, killed in the middle of their saves, on a disk that is full now and then: nothing is lost.

The suite runs a short form (tests/cassettes/test_saving.py); `make torture` the full measure.

A writer records one test after the other, as a worker of a run does, and says in a log when a save begins and how it
ends. Some are killed from outside at any moment, and some kill themselves before one of the steps of a write (`fsync`,
`chmod`, `replace`), so that no moment between two steps is left to chance. The full disk is `RLIMIT_FSIZE`: the system
cuts the write off half-way and refuses the rest, for the cassette or for the note about it.

After every kill:

* The cassette can be read, or nobody has saved it yet.
* It holds each recording whose writer said "saved", once, and none whose writer said "full".
* Recordings of an older run are there, where the record mode keeps them.
* There is at most one temporary file for each writer that was killed, and for each that writes.
* The other writers go on: the lock is free.

Once all are dead the next save removes the temporary files that are old enough.

    python tests/torture.py [--kills 300] [--full 100] [--seed NUMBER]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytest_llm_usage.cassettes import CassettePolicy, RecordMode, storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.run_recordings import RunRecordings
from pytest_llm_usage.cassettes.saving import save_recording
from pytest_llm_usage.errors import CassetteError

WRITERS = 4
#: Kills in one folder; then a new one, so that the cassette stays short and the first save is met again.
KILLS_IN_A_ROUND = 25
#: Steps of a save: `fsync`, `chmod`, `replace` and `fsync` of the folder, for the note and for the cassette.
_STEPS_OF_A_SAVE = 8
_STEPS = ("fsync", "chmod", "replace")
#: Too slow even for a busy machine: then the lock is held by a process that is dead.
_STUCK_AFTER_S = 60
#: Older than any write (`pytest_llm_usage.atomic`).
_ABANDONED_S = 3600
OLD = ("old 1", "old 2")


def recording(ask: str) -> Interaction:
    """What a test recorded, identified by its question."""
    body = json.dumps({"ask": ask}).encode()
    return Interaction(Request("POST", "https://x.test/chat", {}, body), Response(200, "OK", {}, b"x" * 500))


class Round:
    """One cassette, its writers, and what they said."""

    def __init__(self, folder: Path, mode: RecordMode, chance: random.Random) -> None:
        self.chance = chance
        self.mode = mode
        self.path = folder / "cassettes" / "test_shared.yaml"
        self.notes = folder / "run"
        self.log = folder / "log"
        self.notes.mkdir()
        self.log.touch()
        self.counts: Counter[str] = Counter()
        self.killed = 0
        self._pids: dict[int, int] = {}
        self._started = 0
        if mode != "rewrite":
            storage.save(self.path, [recording(ask) for ask in OLD])

    def run(self, kills: int, full: int) -> None:
        """Kills writers until there were enough kills and full disks."""
        try:
            self._start_missing()
            while self.killed < kills or self.counts["full"] < full:
                time.sleep(self.chance.random() * 0.02)
                self._kill(self.chance.randrange(WRITERS))
                self._check_file()
                self._start_missing()
                self._check_lock()
        finally:
            while self._pids:
                self._kill(next(iter(self._pids)))
        self._check_file()
        self._check_end()

    def _start_missing(self) -> None:
        for number in range(WRITERS):
            if number in self._pids:
                continue
            self._started += 1
            seed, name = self.chance.random(), f"{number}-{self._started}"
            pid = os.fork()
            if not pid:
                # Two go on until they are killed from outside, so that there is always one that can go on.
                self._write(name, random.Random(seed), is_killing_itself=number % 2 == 1)
            self._pids[number] = pid

    def _kill(self, number: int) -> None:
        """Kills a writer, and takes note of those that have killed themselves."""
        # A process that has ended keeps its id until it is waited for.
        os.kill(self._pids[number], signal.SIGKILL)
        for other, pid in list(self._pids.items()):
            waited, status = os.waitpid(pid, 0 if other == number else os.WNOHANG)
            if waited:
                del self._pids[other]
                self.killed += 1
                self.counts["broken"] += not os.WIFSIGNALED(status)

    def _said(self) -> dict[str, set[str]]:
        said: dict[str, set[str]] = {word: set() for word in ("begins", "saved", "full", "step")}
        for line in self.log.read_text().splitlines():
            word, ask = line.split(" ", 1)
            said[word].add(ask)
        return said

    def _check_file(self) -> None:
        assert not self.counts["broken"], "a writer ended with an error, see above"
        said = self._said()
        file = [] if not self.path.exists() else storage.load(self.path)
        asks = [json.loads(found.request.body or b"")["ask"] for found in file]
        assert said["saved"] <= set(asks), f"lost: {sorted(said['saved'] - set(asks))}"
        assert not said["full"] & set(asks), f"there, though not saved: {sorted(said['full'] & set(asks))}"
        assert len(asks) == len(set(asks)), "a recording is there twice"
        assert self.mode == "rewrite" or set(OLD) <= set(asks), "recordings of an older run are lost"
        for folder in (self.path.parent, self.notes):
            assert len(_temporary(folder)) <= self.killed + WRITERS, f"temporary files pile up in {folder}"
        self.counts.update(saved=len(said["saved"]) - self.counts["saved"])
        self.counts.update(full=len(said["full"]) - self.counts["full"])
        self.counts.update(
            in_a_save=len(said["begins"] - said["saved"] - said["full"]) - self.counts["in_a_save"],
            at_a_step=len(said["step"]) - self.counts["at_a_step"],
        )

    def _check_lock(self) -> None:
        """One of the writers begins and ends a save: whoever was killed holds no lock."""
        before, ends_at = self._ended(), time.monotonic() + _STUCK_AFTER_S
        while self._ended() == before:
            assert time.monotonic() < ends_at, "no writer goes on: the lock is held by one that was killed"
            time.sleep(0.001)

    def _ended(self) -> int:
        said = self._said()
        return len(said["saved"]) + len(said["full"])

    def _check_end(self) -> None:
        """Nobody holds the lock, and what those who were killed left behind goes with the next save."""
        handle = os.open(self.path.parent, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        left = [*_temporary(self.path.parent), *_temporary(self.notes)]
        self.counts["temporary"] += len(left)
        for file in left:
            os.utime(file, (0, time.time() - _ABANDONED_S))
        self._save("the last")
        assert not [*_temporary(self.path.parent), *_temporary(self.notes)], "temporary files stay"
        with self.log.open("a") as log:
            log.write("saved the last\n")
        self._check_file()

    def _save(self, ask: str) -> None:
        policy = CassettePolicy(
            path=self.path, record_mode=self.mode, owner=f"test {ask}", run=RunRecordings(self.notes)
        )
        save_recording(
            policy,
            [recording(ask)],
            is_replaced=lambda _: False,
            is_dropped=lambda _: self.mode == "rewrite",
        )

    # In a process of its own ---------------------------------------------------------------------------------------------

    def _write(self, name: str, chance: random.Random, *, is_killing_itself: bool) -> NoReturn:
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
            if is_killing_itself:
                # In its first save or its second.
                self._end_at_step(chance.randrange(2 * _STEPS_OF_A_SAVE), log, name)
            number = 0
            while True:
                number += 1
                self._write_one(f"{name}-{number}", chance, log)
        except BaseException:
            traceback.print_exc()
        os._exit(1)

    def _write_one(self, ask: str, chance: random.Random, log: int) -> None:
        os.write(log, f"begins {ask}\n".encode())
        room = _UNLIMITED
        if chance.random() < 0.3:
            # From none at all, where already the note does not fit, to nearly enough for the cassette.
            room = chance.randrange(max(1, self.path.stat().st_size if self.path.exists() else 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, _UNLIMITED))
        said = "saved"
        try:
            self._save(ask)
        except CassetteError as error:
            assert str(error).startswith("Cassette not saved: "), error
            assert "File too large" in str(error), error
            assert str(error).endswith(". The old one was left as it is"), error
            said = "full"
        resource.setrlimit(resource.RLIMIT_FSIZE, (_UNLIMITED, _UNLIMITED))
        os.write(log, f"{said} {ask}\n".encode())

    @staticmethod
    def _end_at_step(last: int, log: int, name: str) -> None:
        """Has the process killed before the step of this number."""
        count = 0

        def counted(step: Callable[..., object]) -> Callable[..., object]:
            def run(*args: object) -> object:
                nonlocal count
                if count == last:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (_UNLIMITED, _UNLIMITED))
                    os.write(log, f"step {name}\n".encode())
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                return step(*args)

            return run

        for step in _STEPS:
            setattr(os, step, counted(getattr(os, step)))


_UNLIMITED = resource.RLIM_INFINITY


def _temporary(folder: Path) -> list[Path]:
    return list(folder.glob(".*.tmp")) if folder.exists() else []


def torture(kills: int, full: int, seed: int) -> str:
    """Runs rounds until there were enough kills and full disks; says what was done."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    rounds = max(2, kills // KILLS_IN_A_ROUND)
    started = time.monotonic()
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = Round(Path(folder), ("rewrite", "new_episodes")[number % 2], chance)
            one.run(math.ceil(kills / rounds), math.ceil(full / rounds))
        counts += one.counts
        counts["killed"] += one.killed
    assert counts["in_a_save"] > kills // 4, "hardly a kill came in the middle of a save: this tests nothing"
    assert counts["at_a_step"], "no writer came to the step at which it ends: this tests nothing"
    assert counts["temporary"], "no kill came in the middle of a write: this tests nothing"
    return (
        f"{counts['killed']} kills ({counts['in_a_save']} in a save, {counts['at_a_step']} at a step of a write,"
        f" {counts['temporary']} left a temporary file), {counts['full']} full disks, {counts['saved']} saved:"
        f" nothing lost ({time.monotonic() - started:.0f} s, seed {seed})\n"
    )


def main() -> int:
    """Reads the command line; a failure prints the seed and ends with status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--full", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    asked = parser.parse_args()
    try:
        sys.stdout.write(torture(asked.kills, asked.full, asked.seed))
    except AssertionError:
        sys.stderr.write(f"Broken with --seed {asked.seed}\n")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
