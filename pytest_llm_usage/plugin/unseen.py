"""Names what this plugin cannot see: gRPC to a model's host, subprocesses with a provider's key, lost calls of forks.

Such calls are in no total, and no budget stops them, so the usage section reports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from pytest_llm_usage.text import inert, plural

__all__ = ["UNSEEN", "Unseen", "unseen_lines"]

#: What this process could not see.
UNSEEN: pytest.StashKey[Unseen] = pytest.StashKey()


class Unseen:
    """Collects what could not be seen, with the test in which it happened.

    Args:
        current_test: Returns the name of the test that is under way; None between tests.
    """

    def __init__(self, current_test: Callable[[], str | None]) -> None:
        self._current_test = current_test
        self._found: dict[tuple[str, str], None] = {}
        self._asked: list[Callable[[], Iterable[tuple[str, str]]]] = []

    def note(self, what: str, *, in_test_only: bool = False) -> None:
        """Notes something that cannot be seen, in the test that is under way."""
        test = self._current_test()
        if test is not None or not in_test_only:
            self._found[what, test or ""] = None

    def ask(self, known: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Adds a function that is called for more at the end of the run."""
        self._asked.append(known)

    def found(self) -> list[tuple[str, str]]:
        """What could not be seen, each with its test, as plain data."""
        others = (found for known in self._asked for found in known())
        return list(dict.fromkeys((*self._found, *others)))


def unseen_lines(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each thing that could not be seen."""
    tests: dict[str, dict[str, None]] = {}
    for what, test in found:
        tests.setdefault(what, {})[test] = None
    for what, (first, *others) in tests.items():
        more = f" and {plural(len(others), 'more test')}" if others else ""
        yield inert(f"not seen: {what} {f'in {first}' if first else 'outside of tests'}{more}")
