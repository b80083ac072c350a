"""Shares calls between the processes that a test forks: each writes its finished calls to a file that all of them read.

A child of `os.fork` has a copy of its parent's tracker. From the fork on, every process appends what it finishes to a
file of its own, as lines of JSON, and reads what the others have appended before it counts the calls. No process waits
for another, and what a child has finished is kept even if the child is killed.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.tracker.events import Response
from pytest_llm_usage.tracker.origin import Origin
from pytest_llm_usage.tracker.reconcile import Discrepancy

if TYPE_CHECKING:
    from pytest_llm_usage.anatomy.prompt import Prompt

__all__ = ["Processes", "Relatives"]

_FIELDS = tuple(f.name for f in fields(Call) if f.name not in ("index", "_quotes", "_inputs"))


class _RemoteSection(NamedTuple):
    """A section in another process, as far as it matters here."""

    name: str
    key: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class RemoteOrigin(Origin):
    """A call that another process made.

    Attributes:
        remote_call: The call.
        remote_sections: The sections that it was made in.
        remote_discrepancy: How LangChain and the wire disagree on it; None where they do not.
    """

    remote_call: Call
    remote_sections: tuple[_RemoteSection, ...]
    remote_discrepancy: Discrepancy | None

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> RemoteOrigin:
        """The inverse of `Relatives._line`."""
        call = Call.from_dict(line["call"])
        sections = tuple(
            _RemoteSection(name, (process, number))
            for name, (process, number) in zip(call.sections, line["sections"], strict=True)
        )
        difference = Discrepancy.from_dict(line["discrepancy"]) if "discrepancy" in line else None
        return cls(cast("Response", None), None, None, None, call, sections, difference)

    @property
    def started_at(self) -> float:
        return self.remote_call.started_at

    @property
    def phase(self) -> str:
        return self.remote_call.phase

    @property
    def sections(self) -> tuple[Any, ...]:
        return self.remote_sections

    @property
    def callsite(self) -> None:
        return None

    @property
    def is_settled(self) -> bool:
        return True

    def is_same(self, other: Origin) -> bool:
        return self is other

    def fields(self) -> dict[str, Any]:
        return {name: getattr(self.remote_call, name) for name in _FIELDS}

    def prompt(self) -> Prompt | str:
        return "another process sent it"

    def input_by_part(self, call: Call) -> InputByPart | str:
        return self.remote_call.input_by_part or self.remote_call.input_by_part_reason

    def discrepancy(self, made: Call) -> Discrepancy | None:
        return None if self.remote_discrepancy is None else replace(self.remote_discrepancy, call_index=made.index)


class Relatives:
    """The files of one test's processes.

    Args:
        folder: The folder of the files; no other user may read it.
        with_parts: Whether the parts of the input are written, too.
        lost: Called in a process whose calls could not be written.
    """

    def __init__(self, folder: Path, *, with_parts: bool, lost: Callable[[], None]) -> None:
        self._folder = folder
        self._with_parts = with_parts
        self._lost = lost
        self._lock = threading.RLock()
        self._file = ""
        #: What a process that is forked from now on knows already, by identity.
        self._known: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._published: dict[int, Origin] = {}
        self._published_failure: str | None = None
        #: How many bytes of each file have been read, or need not be.
        self._read: dict[str, int] = {}

    def start(self, origins: Iterable[Origin]) -> None:
        """Starts sharing, at the first fork or in a forked process; the others know `origins` already."""
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._known = {id(origin.source): origin.source for origin in origins}
        if self._file:
            # A child knows what its parent had written.
            self._read[self._file] = (self._folder / self._file).stat().st_size
        self._file = ""
        self._numbers, self._published, self._published_failure = {}, {}, None

    # -- publishing --------------------------------------------------------------------------------------------

    def publish(self, calls: Iterable[tuple[Call, Origin]], cassettes: Iterable[Path], failure: str | None) -> None:
        """Appends what is new: calls that have ended, calls that turned out to be none, and why the test must fail."""
        with self._lock:
            lines = []
            found = set()
            for call, origin in calls:
                source = id(origin.source)
                if isinstance(origin, RemoteOrigin) or source in self._known or not origin.is_settled:
                    continue
                found.add(source)
                number = self._numbers.setdefault(source, len(self._numbers))
                if source not in self._published or not self._published[source].is_same(origin):
                    self._published[source] = origin
                    lines.append(self._line(number, call, origin))
            for source in self._published.keys() - found:
                del self._published[source]
                lines.append({"number": self._numbers.pop(source), "call": None})
            if lines:
                lines[-1]["cassettes"] = [str(path) for path in cassettes]
            if failure is not None and failure != self._published_failure:
                self._published_failure = failure
                lines.append({"failure": mask_text(failure)})
            if lines:
                self._append(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _line(self, number: int, call: Call, origin: Origin) -> dict[str, Any]:
        # Without the price: the parent looks it up.
        line: dict[str, Any] = {
            "number": number,
            "call": replace(call, _quotes=None).to_dict(with_parts=self._with_parts),
            "sections": [section.key for section in origin.sections],
        }
        if (discrepancy := origin.discrepancy(call)) is not None:
            line["discrepancy"] = discrepancy.to_dict()
        return line

    def _append(self, data: bytes) -> None:
        try:
            self._file = self._file or f"{os.getpid()}-{time.time_ns()}"
            file = os.open(self._folder / self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.write(file, data) < len(data):
                    self._lost()
            finally:
                os.close(file)
        except OSError:
            self._lost()

    # -- receiving ---------------------------------------------------------------------------------------------

    def receive(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The lines that the other processes have written since the last time, each with its file; whole lines only."""
        with self._lock:
            for name in self._others():
                *lines, _ = self._unread(name).split(b"\n")
                self._read[name] = self._read.get(name, 0) + sum(map(len, lines)) + len(lines)
                for text in lines:
                    yield name, json.loads(text)

    @property
    def has_half_line(self) -> bool:
        """Whether a process ended in the middle of a line."""
        with self._lock:
            return any(self._unread(name) for name in self._others())

    def _others(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.name != self._file)
        except OSError:  # the run has ended
            return []

    def _unread(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb", buffering=0) as file:
                file.seek(self._read.get(name, 0))
                return file.read()
        except OSError:
            return b""


class Received(NamedTuple):
    """What other processes have written beside their calls.

    Attributes:
        failure: Why the test must fail; None where it need not.
        cassettes: The recordings that they have replayed or made.
    """

    failure: str | None
    cassettes: frozenset[Path]


class Processes:
    """The processes that a test has forked, as its tracker knows them.

    Attributes:
        relatives: The files in which they share their calls; empty where there are no processes.
    """

    def __init__(self) -> None:
        self.relatives: list[Relatives] = []
        self._calls: dict[tuple[str, int], RemoteOrigin] = {}

    @property
    def received(self) -> list[RemoteOrigin]:
        """The calls that other processes have written."""
        return list(self._calls.copy().values())

    def forget_received(self) -> None:
        """Forgets the calls of other processes so far: they were reported."""
        self._calls = {}

    def share(self, relatives: Relatives, known: Iterable[Origin]) -> None:
        """Shares calls with processes that are forked from now on; these know the `known` ones already."""
        relatives.start(known)
        self.relatives = [relatives]

    def start(self, known: Iterable[Origin]) -> None:
        """Writes only its own calls from now on, in a process that was forked."""
        for relatives in self.relatives:
            relatives.start(known)

    def hand_over(self) -> list[Relatives]:
        """Hands the files over to another tracker: this one no longer reads or writes them."""
        relatives, self.relatives = self.relatives, []
        return relatives

    def publish(self, calls: Iterable[tuple[Call, Origin]], cassettes: Iterable[Path], failure: str | None) -> None:
        """Writes what is new for the other processes."""
        for relatives in self.relatives:
            relatives.publish(calls, cassettes, failure)

    def receive(self) -> Received | None:
        """Reads the calls that the others have written; None if they have written nothing new."""
        return self.take_over(self.relatives) if self.relatives else None

    def take_over(self, left: Iterable[Relatives]) -> Received | None:
        """Reads the calls that the processes of another tracker have written; None if there are none."""
        failure: str | None = None
        cassettes: set[Path] = set()
        has_received = False
        for relatives in left:
            for file, line in relatives.receive():
                has_received = True
                failure = failure or line.get("failure")
                cassettes.update(map(Path, line.get("cassettes", ())))
                if line.get("call") is not None:
                    self._calls[file, line["number"]] = RemoteOrigin.from_line(line)
                elif "call" in line:
                    self._calls.pop((file, line["number"]), None)
        return Received(failure, frozenset(cassettes)) if has_received else None
