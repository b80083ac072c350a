"""`Ownership`: which cassettes belong to which tests, and so which belong to none.

A run rarely knows every test of a project, so a folder is judged only if every test of its module was collected,
whether the test was then run or deselected. Nothing here removes a file.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from pytest_llm_usage.cassettes.inventory import files_in, find_orphans

__all__ = ["Orphans", "Ownership", "OwningTest", "explain_orphans"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OwningTest:
    """A test with its own cassettes, whether they exist or not.

    Attributes:
        name: pytest's node id.
        module: The file of the test.
        folder: The folder for the cassettes of that module.
        cassettes: The test's own cassettes, wherever they are.
        is_named: Whether a marker names them; markers of other tests may name the same ones.
        opens_others: Whether its fixtures may open cassettes of other names, which shows only when the test runs.
    """

    name: str
    module: Path
    folder: Path
    cassettes: tuple[Path, ...]
    is_named: bool = False
    opens_others: bool = False


@dataclass(frozen=True, slots=True)
class Orphans:
    """Cassettes of one folder that belong to no test.

    Attributes:
        paths: The files, sorted.
        unless_opened_by: Node ids of tests that may still open one of them. Only when all of these have run is it known
            that none does.
    """

    paths: tuple[Path, ...]
    unless_opened_by: tuple[str, ...] = ()


class Ownership:
    """The tests that pytest finds, and the cassettes that they own.

    Args:
        module_patterns: The name patterns of test files (pytest's `python_files`).
    """

    def __init__(self, module_patterns: Sequence[str]) -> None:
        self._module_patterns = module_patterns
        self._expected: dict[Path, set[str]] = defaultdict(set)
        self._looked_into: dict[Path, set[str]] = defaultdict(set)
        self._tests: dict[Path, list[OwningTest]] = defaultdict(list)
        self._owners: dict[Path, list[OwningTest]] = defaultdict(list)

    def expect(self, module: Path, collector: str, children: Iterable[str]) -> None:
        """Note what a module, or a class in it, contains.

        Args:
            module: The file.
            collector: The node id of the module or class.
            children: The node ids of the tests and classes in it, including those that are not selected.
        """
        self._looked_into[module].add(collector)
        self._expected[module].update(children)

    def add(self, test: OwningTest) -> None:
        """Note a test that was collected, whether it is then run or deselected."""
        self._tests[test.module].append(test)
        for cassette in test.cassettes:
            self._owners[cassette].append(test)

    def is_shared(self, cassette: Path) -> bool:
        """Whether a cassette belongs to several tests, as far as the tests are known."""
        owners = self._owners[cassette]
        return len(owners) > 1 or any(test.is_named and not self._is_whole(test.module) for test in owners)

    def orphans(self) -> Iterator[Orphans]:
        """Yields the cassettes that belong to none of the tests, folder by folder, where that is certain."""
        for module, tests in self._tests.items():
            if self._is_whole(module) and tests[0].folder.is_relative_to(module.parent):
                openers = tuple(sorted(test.name for test in tests if test.opens_others))
                yield from self._in(tests[0].folder, openers)
        for folder in self._folders_of_gone_modules():
            yield from self._in(folder)

    def _in(self, folder: Path, openers: tuple[str, ...] = ()) -> Iterator[Orphans]:
        paths = find_orphans([folder], self._owners)
        if paths:
            yield Orphans(tuple(paths), openers)

    def _is_whole(self, module: Path) -> bool:
        """Whether every test of a module is known."""
        known = {test.name for test in self._tests[module]} | self._looked_into[module]
        return module in self._expected and self._expected[module] <= known

    def _folders_of_gone_modules(self) -> Iterator[Path]:
        """Yields cassette folders whose module was removed or renamed, beside modules that are all known."""
        places = {(module.parent, tests[0].folder.parent) for module, tests in self._tests.items() if tests}
        for beside, cassettes in sorted(places):
            if not cassettes.is_dir() or not cassettes.is_relative_to(beside):
                continue
            modules = [path for path in beside.glob("*.py") if self._is_module_name(path.name)]
            if not all(self._tests.get(module) and self._is_whole(module) for module in modules):
                continue
            for folder in sorted(files_in(cassettes)):
                name = f"{folder.name}.py"
                if folder.is_dir() and self._is_module_name(name) and not (beside / name).exists():
                    yield folder

    def _is_module_name(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self._module_patterns)


def explain_orphans(paths: Sequence[str], *, mode: str) -> str:
    """The message about cassettes without a test: the commands that remove them, and one that shows a cassette.

    Args:
        paths: Relative to the folder in which pytest was started; at least one.
        mode: What the run does about them: `warn` or `fail`.
    """
    count = "1 belongs" if len(paths) == 1 else f"{len(paths):,} belong"
    removing = [f"  rm {shlex.quote(path)}" for path in paths]
    return "\n".join(
        [
            f"Orphaned cassettes: {count} to no test (llm_usage_orphans = {mode})",
            *removing,
            f"What is in one:  pytest-llm-usage cassettes show {shlex.quote(paths[0])}",
        ]
    )
