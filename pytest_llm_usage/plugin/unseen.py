"""What cannot be seen is named: gRPC to a model's host, processes with a provider's key, calls of forked processes.

Their calls are in no total and no budget stops them, so the usage section says that they are there.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator

import pytest

from pytest_llm_usage.text import inert, plural

__all__ = ["UNSEEN", "Unseen", "unseen_lines"]

#: What this process could not see.
UNSEEN: pytest.StashKey[Unseen] = pytest.StashKey()

#: How many forks are told apart.
_FORKS = 4096


class Unseen:
    """What was there that cannot be seen, by the test in which it was.

    Args:
        current_test: The name of the test that is under way; None where none is.
    """

    def __init__(self, current_test: Callable[[], str | None]) -> None:
        self._current_test = current_test
        self._found: dict[tuple[str, str], None] = {}
        self._process = os.getpid()
        #: The tests that forked, and a byte for each fork that a child sets; shared with the children.
        self._forks: list[str] = []
        self._calls_in_forks: mmap.mmap | None = None
        self._is_forking_test = False

    def note(self, what: str, *, in_test_only: bool = False) -> None:
        """Note something in the test that is under way."""
        test = self._current_test()
        if test is not None or not in_test_only:
            self._found[what, test or ""] = None

    def before_fork(self) -> None:
        """Make ready to hear of a child's calls."""
        if os.getpid() != self._process:
            return
        test = self._current_test()
        # A child that is forked between tests runs tests, and reports them: pytest-forked's.
        self._is_forking_test = test is not None and len(self._forks) < _FORKS
        if test is not None and self._is_forking_test:
            self._calls_in_forks = self._calls_in_forks or mmap.mmap(-1, _FORKS)
            self._forks.append(test)

    def note_call(self) -> None:
        """Note that this process calls a model: it reports to nobody where it was forked."""
        if self._is_forking_test and self._calls_in_forks is not None and os.getpid() != self._process:
            self._calls_in_forks[len(self._forks) - 1] = 1

    def found(self) -> list[tuple[str, str]]:
        """What was found, each with its test, as plain data."""
        calls = b"" if self._calls_in_forks is None else self._calls_in_forks[:]
        forked = (
            ("model calls of a forked process", test)
            for test, called in zip(self._forks, calls, strict=False)
            if called
        )
        return list(dict.fromkeys((*self._found, *forked)))


def unseen_lines(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each thing that could not be seen."""
    tests: dict[str, dict[str, None]] = {}
    for what, test in found:
        tests.setdefault(what, {})[test] = None
    for what, (first, *others) in tests.items():
        more = f" and {plural(len(others), 'more test')}" if others else ""
        yield inert(f"not seen: {what} {f'in {first}' if first else 'outside of tests'}{more}")
