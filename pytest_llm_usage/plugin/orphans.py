"""Finds orphans, the cassettes without a test: noted where tests are collected, printed in the process that reports.

Loaded only if a setting needs it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from pytest_llm_usage.cassettes import cassette_path
from pytest_llm_usage.cassettes.ownership import Ownership, OwningTest, explain_orphans
from pytest_llm_usage.errors import CassetteError, ConfigurationError
from pytest_llm_usage.plugin.policy import plain_path
from pytest_llm_usage.plugin.recordings import own_name, told_apart
from pytest_llm_usage.plugin.state import OPENED, OWNERSHIP, RUN_FAILURES, SETTINGS
from pytest_llm_usage.settings import cassette_mark
from pytest_llm_usage.text import sendable


class Collection:
    """Notes which cassettes belong to which tests, including tests that are not run."""

    def __init__(self, config: pytest.Config) -> None:
        self._ownership = config.stash[OWNERSHIP] = Ownership(config.getini("python_files"))
        self._collected: list[pytest.Item] = []

    # The innermost wrapper, because --lf removes tests from this report.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Notes the tests and classes in a module or class."""
        report = yield
        if report.passed and collector.getparent(pytest.Module) is not None:
            self._ownership.expect(collector.path, collector.nodeid, [node.nodeid for node in report.result])
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Notes the tests before any is deselected; reads their markers after other plugins have added theirs."""
        self._collected += items
        yield
        for item in self._collected:
            self._ownership.add(_owning_test(item))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Passes what this process knows to xdist's controller."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None and session.config.stash[SETTINGS].orphans != "off":
            output["llm_usage_cassettes"] = sendable(_cassettes_of_run(session.config))


def _owning_test(item: pytest.Item) -> OwningTest:
    """A test with its cassettes, as far as names and markers tell: its own, and those of pytest-recording's markers."""
    folder = item.path.parent / (item.config.stash[SETTINGS].cassette_dir or "cassettes") / item.path.stem
    names: list[str | None] = [None]
    names += [
        str(name) for kind in ("vcr", "default_cassette") for mark in item.iter_markers(kind) for name in mark.args
    ]
    with suppress(ConfigurationError):  # the test itself fails for its marker
        names[0] = cassette_mark(item).name
    cassettes = []
    for name in names:
        with suppress(CassetteError):
            cassettes.append(plain_path(cassette_path(folder, own_name(item), name)))
    if names[0] is None and (apart := told_apart(item)) is not None:
        cassettes.append(plain_path(cassette_path(folder, own_name(item), apart=apart)))
    return OwningTest(
        name=item.nodeid,
        module=item.path,
        folder=folder,
        cassettes=tuple(cassettes),
        is_named=names != [None],
        opens_others="llm_cassette" in getattr(item, "fixturenames", ()),
    )


def _cassettes_of_run(config: pytest.Config) -> dict[str, Any]:
    """What one process knows of cassettes without a test, as plain data."""
    return {
        "opened": sorted(config.stash.get(OPENED, ())),
        "orphans": [
            (list(map(str, found.paths)), found.unless_opened_by) for found in config.stash[OWNERSHIP].orphans()
        ],
    }


class OrphanCheck:
    """Prints the cassettes that belong to no test; in xdist's controller, or in the only process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run: set[str] = set()
        self._renamed: set[str] = set()
        self._found: list[Mapping[str, Any]] = []
        self._is_complete = True
        self._verdict = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes which tests passed their set-up, and which cassettes renamed tests need."""
        if report.when == "setup" and report.passed:
            self._run.add(report.nodeid)
        # A renamed test needs this cassette: it should be moved, not removed.
        renamed = getattr(report, "llm_usage_cassette", {}).get("renamed")
        if renamed is not None:
            self._renamed.add(renamed)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collects what an xdist worker knows; a worker that crashed may have opened any cassette."""
        found = getattr(node, "workeroutput", {}).get("llm_usage_cassettes")
        if found is None:
            self._is_complete = False
        else:
            self._found.append(found)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Finds the orphans, and fails the run for them if the settings say so."""
        found = self._found or [sendable(_cassettes_of_run(self._config))]  # as the notes on reports are
        opened = {path for one in found for path in one["opened"]}
        orphans = {
            path
            for one in found
            for paths, unless_opened_by in one["orphans"]
            if self._run.issuperset(unless_opened_by)
            for path in paths
            if path not in self._renamed and path not in opened and path.removesuffix(".gz") not in opened
        }
        if not orphans or not self._is_complete:
            return
        mode = self._config.stash[SETTINGS].orphans
        start = self._config.invocation_params.dir
        self._verdict = explain_orphans(sorted(os.path.relpath(path, start) for path in orphans), mode=mode)
        if mode == "fail":
            self._config.stash[RUN_FAILURES].add(session, self._verdict.splitlines()[0])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the orphans."""
        if self._verdict:
            terminalreporter.ensure_newline()
            terminalreporter.write_line(self._verdict)
