# ruff: noqa: T201 -- a command prints
"""Mutation tests: change the code in one small way, run the tests that execute it, and see that one fails.

    python scripts/mutants.py                 every group
    python scripts/mutants.py money usage     some of them; `--show` prints the survivors as diffs

The changes are those of mutmut. Its runner is not used: it copies the package and imports the copy, but pytest has loaded
this package, which is a plugin, before that. Here the tests are collected once. Each mutant is a fork of that process in
which the changed function's code replaces the code of the function that is already loaded. That costs milliseconds, and
reaches decorated functions too. Code that runs at import (tables, defaults, constants) is not changed.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import hypothesis
import libcst
import pytest
from _pytest.runner import runtestprotocol
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_llm_usage"

#: Below this share of killed mutants in a group, the command fails.
FLOOR = 0.9

_MEMORY = 6 << 30

_COMPREHENSIONS = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"})


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that are run for them: those that start no process."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[Path]:
        """The modules' files; a folder stands for all modules in it."""
        paths = [PACKAGE / module for module in self.modules]
        return [file for path in paths for file in ([path] if path.is_file() else sorted(path.glob("*.py")))]


GROUPS = {
    "usage": Group(("usage.py",), ("test_usage.py", "test_ledger.py")),
    "ledger": Group(
        ("ledger.py",), ("test_ledger.py", "test_budget.py", "tracker/test_reconcile.py", "report/test_data.py")
    ),
    "money": Group(("money.py",), ("test_money.py",)),
    "budget": Group(("budget",), ("test_budget.py", "test_money.py", "anatomy/test_budgets_on_parts.py")),
    "compare": Group(("compare",), ("test_compare.py", "test_money.py", "report/test_comparison.py")),
    "pricing": Group(
        (
            "pricing/billing_rules.py",
            "pricing/sale.py",
            "pricing/surcharges.py",
            "pricing/rates.py",
            "pricing/price.py",
        ),
        ("test_sales.py", "test_pricing.py", "test_price_rules.py", "test_money.py"),
    ),
    "reconciliation": Group(("tracker/reconcile.py",), ("tracker/test_reconcile.py",)),
    "matching": Group(
        ("cassettes/subject.py", "cassettes/json_path.py", "cassettes/matching.py"),
        ("cassettes/test_matching.py", "cassettes/test_mismatch.py", "cassettes/test_lasting_recordings.py"),
    ),
    "redaction": Group(
        ("credentials/mask.py", "credentials/values.py", "credentials/names.py", "credentials/recognised.py"),
        (
            "cassettes/test_messages_without_secrets.py",
            "cassettes/test_planted.py",
            "cassettes/test_secrets.py",
            "test_credentials.py",
        ),
    ),
}


@dataclass
class Mutant:
    """One change of one module."""

    file: Path
    line: int
    source: str
    diff: str
    codes: list[tuple[CodeType, CodeType]]
    outcome: str = ""

    @property
    def killed(self) -> bool:
        """Whether a test found it."""
        return self.outcome.startswith("killed")


class _Visitor(MutationVisitor):
    """mutmut's visitor, which here enters decorated functions too: code is replaced in place, so no copy is needed."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef):
            return False
        return super()._skip_node_and_children(node)


def mutants(file: Path) -> Iterator[Mutant]:
    """The mutants of the functions in `file`."""
    source = file.read_text(encoding="utf-8")
    original = compile(source, str(file), "exec", dont_inherit=True)
    wrapper = MetadataWrapper(libcst.parse_module(source))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    spans = wrapper.resolve(WhitespaceInclusivePositionProvider)
    starts = [0]
    for text in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    seen = {source}
    for mutation in visitor.mutations:
        span = spans[mutation.original_node]
        begin, end = (starts[place.line - 1] + place.column for place in (span.start, span.end))
        changed = source[:begin] + wrapper.module.code_for_node(mutation.mutated_node) + source[end:]
        if changed in seen:
            continue
        seen.add(changed)
        try:
            code = compile(changed, str(file), "exec", dont_inherit=True)
        except SyntaxError:
            continue
        codes = list(_changed_functions(original, code))
        if not codes:
            continue
        diff = "\n".join(list(difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm=""))[2:])
        yield Mutant(file, span.start.line, changed, diff, codes)


def _changed_functions(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The functions that differ, each with its new code: the outermost ones, not the module or a class's body."""
    olds, news = _inner(old), _inner(new)
    if [each.co_name for each in olds] != [each.co_name for each in news]:
        return
    for before, after in zip(olds, news, strict=True):
        if _plain(before) == _plain(after):
            continue
        if before.co_name in _COMPREHENSIONS:
            # A comprehension directly in a module or a class runs at import.
            continue
        # A class's body has no local variables of its own optimised (CO_OPTIMIZED).
        if before.co_flags & 1:
            yield before, after
        else:
            yield from _changed_functions(before, after)


def _with_inner(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """A changed function, and the changed ones inside it: some of those were made at import, and are called now."""
    yield old, new
    olds, news = _inner(old), _inner(new)
    if [each.co_name for each in olds] == [each.co_name for each in news]:
        for before, after in zip(olds, news, strict=True):
            if _plain(before) != _plain(after) and before.co_freevars == after.co_freevars:
                yield from _with_inner(before, after)


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _plain(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, without its line numbers."""
    constants = tuple(
        _plain(each) if isinstance(each, CodeType) else (type(each), repr(each)) for each in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_exceptiontable


@dataclass(eq=False)
class Runner:
    """A pytest plugin that replaces the test run: one run to see which lines a test executes, then one per mutant."""

    group: Group
    every: int
    show: bool
    results: list[Mutant] = field(default_factory=list)
    refused: str = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run every mutant against the tests that execute the function it changes."""
        files = self.group.files()
        lines, durations, failed = _executed_lines(session.items, files)
        if failed:
            self.refused = f"these fail before anything is changed: {', '.join(failed[:5])}"
            return True
        functions = _functions(files)
        everything = [mutant for file in files for mutant in mutants(file)][:: self.every]
        items = {item.nodeid: item for item in session.items}
        for mutant in everything:
            touched = set()
            for old, _ in mutant.codes:
                for line in _lines_of(old):
                    touched |= lines[mutant.file.as_posix(), line]
            exact = lines[mutant.file.as_posix(), mutant.line]
            chosen = sorted(exact or touched, key=lambda nodeid: durations[nodeid])
            live = [
                (function, new)
                for code in mutant.codes
                for old, new in _with_inner(*code)
                for function in functions.get(_key(old), ())
            ]
            if not live or not chosen:
                mutant.outcome = "not executed"
            else:
                mutant.outcome = _try(
                    [items[nodeid] for nodeid in chosen], live, sum(durations[each] for each in chosen)
                )
            self.results.append(mutant)
            if self.show and not mutant.killed:
                print(f"--- {mutant.file.relative_to(ROOT)}:{mutant.line} {mutant.outcome}\n{mutant.diff}", flush=True)
        return True


def _lines_of(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line)
    for inner in _inner(code):
        yield from _lines_of(inner)


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _functions(files: list[Path]) -> dict[tuple[str, str, int], list[FunctionType]]:
    """Every function object that was made from these files, wherever it is held: in a class, under a decorator, in a table."""
    names = {str(file) for file in files}
    found = defaultdict(list)
    gc.unfreeze()  # `get_objects` leaves out what tests/conftest.py has frozen after the collection
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in names:
            found[_key(each.__code__)].append(each)
    return found


def _executed_lines(
    items: list[pytest.Item], files: list[Path]
) -> tuple[dict[tuple[str, int], set[str]], dict[str, float], list[str]]:
    """Which tests execute which line, how long each takes, and which fail with the code unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "lines.json")
        child = os.fork()
        if child == 0:
            with _dying(tell=True):
                _quiet()
                watch = coverage.Coverage(
                    data_file=None, config_file=False, include=[str(file) for file in files], messages=False
                )
                durations, failed = {}, []
                watch.start()
                for number, item in enumerate(items):
                    watch.switch_context(item.nodeid)
                    began = time.perf_counter()
                    following = items[number + 1] if number + 1 < len(items) else None
                    if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                        failed.append(item.nodeid)
                    durations[item.nodeid] = time.perf_counter() - began
                watch.stop()
                data = watch.get_data()
                lines = [
                    (file, line, contexts)
                    for file in data.measured_files()
                    for line, contexts in data.contexts_by_lineno(file).items()
                ]
                answer.write_text(json.dumps([lines, durations, failed]), encoding="utf-8")
                os._exit(0)
        os.waitpid(child, 0)
        measured, durations, failed = json.loads(answer.read_text(encoding="utf-8"))
    lines: dict[tuple[str, int], set[str]] = defaultdict(set)
    for file, line, contexts in measured:
        lines[file, line] = {context for context in contexts if context}
    return lines, durations, failed


def _try(items: list[pytest.Item], live: list[tuple[FunctionType, CodeType]], duration_s: float) -> str:
    """Run `items` in a fork where the functions have their new code, until one fails."""
    child = os.fork()
    if child == 0:
        with _dying(tell=False):
            _quiet()
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(5 + 4 * duration_s))
            for function, code in live:
                function.__code__ = code
            for number, item in enumerate(items):
                following = items[number + 1] if number + 1 < len(items) else None
                if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                    os._exit(1)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed (too slow)" if os.WTERMSIG(status) == signal.SIGALRM else "killed"
    return "killed" if os.WEXITSTATUS(status) else "survived"


@contextlib.contextmanager
def _dying(*, tell: bool) -> Iterator[None]:
    """Ends the fork after the block, whatever happens in it; with `tell`, an exception is printed."""
    terminal = os.dup(2)
    try:
        yield
    except BaseException:  # noqa: BLE001 -- it is the fork that must end
        if tell:
            os.write(terminal, traceback.format_exc().encode())
    finally:
        os._exit(3)


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def run(name: str, *, every: int, show: bool) -> tuple[int, int]:
    """Test the mutants of one group; return how many there are, and how many of them were killed."""
    group = GROUPS[name]
    runner = Runner(group, every, show)
    hypothesis.settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=30,
        # Tests are slow on a busy machine, and while the lines that they execute are recorded.
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    tests = [str(ROOT / "tests" / test) for test in group.tests]
    began = time.monotonic()
    args = [
        "-q",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--rootdir",
        str(ROOT),
        "--hypothesis-profile",
        "mutants",
    ]
    status = pytest.main([*args, *tests], plugins=[runner])
    if runner.refused or not runner.results:
        raise SystemExit(f"{name}: {runner.refused or f'pytest ended with {status!r}'}")
    killed = sum(mutant.killed for mutant in runner.results)
    print(
        f"{name}: {len(runner.results)} mutants, {killed} killed, {len(runner.results) - killed} survived: "
        f"{killed / len(runner.results):.1%} in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return len(runner.results), killed


def main() -> int:
    """Test the groups named on the command line, or all, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="all, where none is named")
    parser.add_argument("--show", action="store_true", help="print what survived")
    parser.add_argument("--every", type=int, default=1, help="test only every N-th mutant")
    options = parser.parse_args()
    failing = []
    for name in options.groups or GROUPS:
        child = os.fork()
        if child == 0:
            try:
                count, killed = run(name, every=options.every, show=options.show)
            except SystemExit as refusal:
                print(refusal, file=sys.stderr)
                os._exit(2)
            sys.stdout.flush()
            os._exit(killed < FLOOR * count)
        if os.waitpid(child, 0)[1]:
            failing.append(name)
    if failing:
        print(f"Fewer than {FLOOR:.0%} of the mutants were killed, or the tests did not run: {', '.join(failing)}")
    return bool(failing)


if __name__ == "__main__":
    raise SystemExit(main())
