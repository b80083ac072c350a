"""Hooks and fixtures of the pytest plugin, each handing over in a few lines.

Loading it imports none of langchain_core, vcr, syrupy or genai_prices, and of this package just the settings: tracking
attaches when the code under test imports LangChain (`_AttachOnImport`), the rest waits for a test that needs it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from pytest_llm_usage.errors import CassetteError, ConfigurationError, RecordingMismatchError
from pytest_llm_usage.money import plain, total
from pytest_llm_usage.settings import MARKERS, CassetteMark, Settings, add_options, cassette_mark, is_taken, limits_of

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette, RecordMode
    from pytest_llm_usage.cassettes.interaction import Request
    from pytest_llm_usage.cassettes.ownership import Ownership, OwningTest
    from pytest_llm_usage.pricing import PriceBook, PriceSource
    from pytest_llm_usage.report import Run
    from pytest_llm_usage.report.data import RunData
    from pytest_llm_usage.report.delivery import Delivery
    from pytest_llm_usage.report.tally import Tally
    from pytest_llm_usage.snapshot import UsageSnapshotAssertion
    from pytest_llm_usage.tracker import LLMUsage, Tracker

_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
_SHARED: pytest.StashKey[Tracker] = pytest.StashKey()
_PRICES: pytest.StashKey[dict[int, tuple[PriceSource | None, PriceBook]]] = pytest.StashKey()
_CLOSERS: pytest.StashKey[ExitStack] = pytest.StashKey()
_ATTEMPTS: pytest.StashKey[list[Tracker]] = pytest.StashKey()
_ATTEMPT: pytest.StashKey[ExitStack] = pytest.StashKey()
_CASSETTE: pytest.StashKey[OpenCassette | None] = pytest.StashKey()
_OUTCOME: pytest.StashKey[str | None] = pytest.StashKey()
_TALLY: pytest.StashKey[Tally] = pytest.StashKey()
_TALLIES: pytest.StashKey[str] = pytest.StashKey()
_OPENED: pytest.StashKey[set[str]] = pytest.StashKey()
_OWNERSHIP: pytest.StashKey[Ownership] = pytest.StashKey()


# -- the session -----------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the options and ini keys."""
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    """Says what to do about a suite that has an option of its own with the name of one of ours."""
    try:
        return (yield)
    except argparse.ArgumentError as error:
        if is_taken(error):
            raise pytest.UsageError(
                f"{error.argument_name}: this suite and pytest-llm-usage both have it.  PYTEST_LLM_USAGE_SHORT_OPTIONS=0  in "
                "the environment leaves it to the suite; ours are --llm-usage-max-tokens and the like"
            ) from None
        raise


def pytest_configure(config: pytest.Config) -> None:
    """Reads the settings and starts to listen."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        settings = config.stash[_SETTINGS] = Settings.of(config)
        if settings.prices is not None:
            _price_book(config, settings.prices)
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(_Gatherer(config), "llm_usage_gatherer")
            if settings.orphans != "off":
                config.pluginmanager.register(_OrphanCheck(config), "llm_usage_orphan_check")
        if (settings.orphans, settings.unplayed) != ("off", "off"):
            config.pluginmanager.register(_Collection(config), "llm_usage_collection")
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_CLOSERS] = ExitStack()
    if settings.session_limits and settings.mode == "fail":
        from pytest_llm_usage.report.tally import Tally  # noqa: PLC0415 -- only for runs with a budget

        own = Path(getattr(config, "workerinput", {}).get("llm_usage_tally", ""))
        # A worker on another machine has no such folder: it knows of itself alone, and the controller of all.
        config.stash[_TALLY] = Tally(settings.session_limits, own if own.name and own.parent.is_dir() else None)
    _AttachOnImport.install(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker of xdist where the workers note for each other what they spend."""
    if _TALLY not in node.config.stash:
        return
    if _TALLIES not in node.config.stash:
        folder = tempfile.TemporaryDirectory(prefix="llm-usage-", ignore_cleanup_errors=True)
        node.config.stash[_TALLIES] = node.config.stash[_CLOSERS].enter_context(folder)
    node.workerinput["llm_usage_tally"] = str(Path(node.config.stash[_TALLIES], node.workerinput["workerid"]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops listening."""
    if _CLOSERS in config.stash:
        config.stash[_CLOSERS].close()


def _shared(config: pytest.Config) -> Tracker:
    """The tracker of the run, for calls that are no test's: those of fixtures of wider scope, and at import."""
    if _SHARED not in config.stash:
        from pytest_llm_usage.tracker import running  # noqa: PLC0415 -- at the first test, or when LangChain is imported

        shared = config.stash[_SHARED] = _tracker(config)
        shared.is_run = True
        config.stash[_CLOSERS].enter_context(running(shared))
    return config.stash[_SHARED]


def _tracker(config: pytest.Config) -> Tracker:
    from pytest_llm_usage.tracker import Tracker  # noqa: PLC0415

    settings = config.stash[_SETTINGS]
    tracker = Tracker(root=settings.root, missing=settings.missing, unpriced=settings.unpriced)
    tracker.prices = lambda: _price_book(config, settings.prices)
    return tracker


def _price_book(config: pytest.Config, source: PriceSource | None) -> PriceBook:
    from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- at the first price

    # Kept with its source, so that no other can take its id.
    books = config.stash.setdefault(_PRICES, {})
    if id(source) not in books:
        books[id(source)] = (source, PriceBook() if source is None else PriceBook.of(source))
    return books[id(source)][1]


class _AttachOnImport:
    """Attaches tracking when the module is imported in which LangChain keeps its configure hooks.

    A finder of one module that steps aside as soon as it was asked for it. (wrapt has such hooks ready, but importing
    it costs every start of pytest more than the whole plugin.)
    """

    _module = "langchain_core.tracers.context"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @classmethod
    def install(cls, config: pytest.Config) -> None:
        hook = cls(config)
        if cls._module in sys.modules:
            hook._attach()
        else:
            sys.meta_path.insert(0, hook)
            config.stash[_CLOSERS].callback(hook._uninstall)

    def _uninstall(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                self._attach()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _attach(self) -> None:
        _shared(self._config)
        importlib.import_module("pytest_llm_usage.langchain")


# -- a test ----------------------------------------------------------------------------------------------------


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keeps usage snapshots of tests that are not run from being taken for leftovers of syrupy's other extensions."""
    if not hasattr(session.config, "_syrupy"):
        return
    folder = session.config.option.snapshot_dirname
    if any(any((parent / folder).glob("*.usage.yaml")) for parent in {item.path.parent for item in session.items}):
        from pytest_llm_usage.snapshot import hide_from_other_extensions  # noqa: PLC0415 -- imports syrupy

        hide_from_other_extensions(session.config)


class _Collection:
    """Tells which cassettes belong to which tests, those that are not run included; only where somebody asks."""

    def __init__(self, config: pytest.Config) -> None:
        from pytest_llm_usage.cassettes.ownership import Ownership  # noqa: PLC0415

        self._ownership = config.stash[_OWNERSHIP] = Ownership(config.getini("python_files"))
        self._collected: list[pytest.Item] = []

    # Inside of what else wraps it: --lf takes tests out of this report.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Notes what is in a module, or in a class in it."""
        report = yield
        if report.passed and collector.getparent(pytest.Module) is not None:
            self._ownership.expect(collector.path, collector.nodeid, [node.nodeid for node in report.result])
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Notes the tests before any is deselected; their markers are read behind whoever adds some here."""
        self._collected += items
        yield
        for item in self._collected:
            self._ownership.add(_owning_test(item))


def _owning_test(item: pytest.Item) -> OwningTest:
    """A test's cassettes as far as its names and markers tell: its own, and those of pytest-recording's markers."""
    from pytest_llm_usage.cassettes import cassette_path  # noqa: PLC0415
    from pytest_llm_usage.cassettes.ownership import OwningTest  # noqa: PLC0415

    folder = item.path.parent / (item.config.stash[_SETTINGS].cassette_dir or "cassettes") / item.path.stem
    names: list[str | None] = [None]
    names += [
        str(name) for kind in ("vcr", "default_cassette") for mark in item.iter_markers(kind) for name in mark.args
    ]
    with suppress(ConfigurationError):  # the test itself says what is wrong with its marker
        names[0] = cassette_mark(item).name
    cassettes = []
    for name in names:
        with suppress(CassetteError):
            cassettes.append(_plain_path(cassette_path(folder, None, _own_name(item), name)))
    return OwningTest(
        name=item.nodeid,
        module=item.path,
        folder=folder,
        cassettes=tuple(cassettes),
        is_named=names != [None],
        opens_others="llm_cassette" in getattr(item, "fixturenames", ()),
    )


def _plain_path(path: Path) -> Path:
    # Links may lead anywhere; what names and settings spell with `..` is one place.
    return Path(os.path.normpath(path))


def _own_name(item: pytest.Item) -> str:
    """What a test calls its cassette, and pytest-recording as well."""
    cls = getattr(item, "cls", None)
    return item.name if cls is None else f"{cls.__name__}.{item.name}"


def _fail(text: str) -> NoReturn:
    # An outcome exception: no `except Exception` of an agent loop or of a provider's SDK swallows or retries it.
    # The error that it tells of would be printed before it.
    raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Passes over the tests that are left once the whole run has spent its budget.

    In every worker of xdist by itself, so that none is cut short: what its last test spent is reported as well.
    """
    return True if _TALLY in item.config.stash and item.config.stash[_TALLY].is_exceeded else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Opens the tracker of this attempt at the test."""
    from pytest_llm_usage.tracker import running  # noqa: PLC0415

    _shared(item.config)
    tracker = _tracker(item.config)
    item.stash.setdefault(_ATTEMPTS, []).append(tracker)
    item.stash[_OUTCOME] = None
    attempt = item.stash[_ATTEMPT] = ExitStack()
    attempt.enter_context(running(tracker))
    _set_limits(item, tracker)
    try:
        with _decisive_failure(tracker):
            return (yield)
    except pytest.fail.Exception:
        if tracker.failure is None:
            raise
        # It is the test that fails, not its set-up: its call phase says so (`pytest_runtest_call_of_failed_setup`).
        return None


@pytest.hookimpl(specname="pytest_runtest_call", tryfirst=True)
def pytest_runtest_call_of_failed_setup(item: pytest.Item) -> None:
    """Keeps a test from running whose budget was spent, or whose request no cassette held, in its fixtures already."""
    failure = item.stash[_ATTEMPTS][-1].failure
    if failure is not None:
        _fail(failure)


def _set_limits(item: pytest.Item, tracker: Tracker) -> None:
    """Reads the test's budget; a marker that cannot be read fails this test alone."""
    settings = item.config.stash[_SETTINGS]
    if settings.mode == "off" or not _is_tracked(item, settings):
        return
    try:
        tracker.limits = limits_of(item, settings)
    except ConfigurationError as error:
        tracker.fail(str(error))
    if settings.mode == "fail":
        tracker.stop = _fail


@contextmanager
def _decisive_failure(tracker: Tracker) -> Iterator[None]:
    """Fails with the tracker's own reason where it has one, whatever the test made of it: swallowed, wrapped, grouped."""
    try:
        yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        if tracker.failure is not None and str(error) != tracker.failure:
            raise pytest.fail.Exception(tracker.failure, pytrace=False) from None
        raise
    if tracker.failure is not None:
        _fail(tracker.failure)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails the test where it is over its budget, or where something it did must fail it whatever it made of that."""
    tracker = item.stash[_ATTEMPTS][-1]
    tracker.phase = "call"
    with _decisive_failure(tracker):
        try:
            result = yield
        except pytest.skip.Exception:
            _check_budget(item, tracker)  # what was spent is spent
            raise
    _check_budget(item, tracker)
    if item.config.stash[_SETTINGS].audit == "error" and (found := tracker.discrepancies()):
        lines = (f"  {call.call_index + 1}  {call.model}  {call.where or ''}\n     {call.reason}" for call in found)
        _fail("\n".join(("LangChain and the provider's response disagree (llm_usage_audit = error)", "", *lines)))
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Closes the tracker behind the last fixture; what fixtures spent on the way out counts too."""
    tracker = item.stash[_ATTEMPTS][-1]
    tracker.phase = "teardown"
    before = len(tracker.calls())
    try:
        result = yield
        if len(tracker.calls()) > before:
            _check_budget(item, tracker)
        return result
    finally:
        item.stash[_ATTEMPT].close()


def _check_budget(item: pytest.Item, tracker: Tracker) -> None:
    text = tracker.over_budget()
    if text is None:
        return
    if item.config.stash[_SETTINGS].mode == "warn":
        from pytest_llm_usage.tracker import LLMUsageWarning  # noqa: PLC0415

        warnings.warn(f"{item.nodeid}: {text}", LLMUsageWarning, stacklevel=2)
    else:
        _fail(text)


def _is_tracked(item: pytest.Item, settings: Settings) -> bool:
    return settings.track == "all" or "llm_usage" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[Any, Any, Any]:
    """Calls that a fixture of wider scope makes belong to the run, not to the test that happened to come first."""
    if fixturedef.scope == "function":
        return (yield)
    from pytest_llm_usage.tracker import running  # noqa: PLC0415

    shared = _shared(request.config)
    # Finalizers run in reverse order: the last one added opens, the first one closes, the fixture's own in between.
    teardown = ExitStack()
    fixturedef.addfinalizer(teardown.close)
    try:
        with running(shared):
            return (yield)
    finally:
        fixturedef.addfinalizer(lambda: teardown.enter_context(running(shared)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts what the test spent on its last report, as plain data: the same path with and without xdist."""
    report = yield
    if not report.passed or call.when == "call":
        item.stash[_OUTCOME] = _outcome(report, item.stash.get(_OUTCOME, None))
    if call.when == "teardown":
        data = _spent(item)
        if data:
            if _TALLY in item.config.stash:
                item.config.stash[_TALLY].add(data)
            report.llm_usage = data  # type: ignore[attr-defined]
            report.user_properties.extend(_properties(item))
    return report


def _outcome(report: pytest.TestReport, before: str | None) -> str:
    """What becomes of a test by the report of one of its phases; one that failed stays failed."""
    if before == "failed":
        return before
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return "error" if report.failed and report.when != "call" else report.outcome


def _spent(item: pytest.Item) -> dict[str, Any]:
    data: dict[str, Any] = {}
    attempts = item.stash.get(_ATTEMPTS, [])  # none where another plugin's set-up failed before ours began
    if _is_tracked(item, item.config.stash[_SETTINGS]) and any(tracker.calls() for tracker in attempts):
        from pytest_llm_usage.report.run import record  # noqa: PLC0415 -- only for tests that called a model

        data = record(attempts, item.stash.get(_OUTCOME, None))
    return data | _spent_by_no_test(item.config)


def _spent_by_no_test(config: pytest.Config) -> dict[str, Any]:
    """The calls since the last time that were no test's, as plain data."""
    shared = config.stash[_SHARED].drain() if _SHARED in config.stash else None
    return {"shared": shared.to_list()} if shared is not None and shared.calls else {}


def _properties(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """What JUnit reports show of a test; what is not known is left out, never 0."""
    calls = item.stash[_ATTEMPTS][-1].calls() if _ATTEMPTS in item.stash else ()
    yield "llm_calls", str(sum(call.is_billed for call in calls))
    if not any(call.is_unknown for call in calls):
        usages = [call.usage for call in calls if call.is_billed and call.usage is not None]
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            yield f"llm_{name}", str(sum(getattr(usage, name) for usage in usages))
        costs = [call.cost_usd for call in calls if call.usage is not None]
        if None not in costs:
            yield "llm_cost_usd", plain(total(cost for cost in costs if cost is not None))


# -- the run ---------------------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands what was spent behind the last test to xdist's controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["llm_usage"] = _spent_by_no_test(session.config)
        output["llm_usage_cassettes"] = _cassettes_of_run(session.config)


def _cassettes_of_run(config: pytest.Config) -> dict[str, Any]:
    """What one process knows of cassettes without a test, as plain data."""
    if config.stash[_SETTINGS].orphans == "off":
        return {}
    return {
        "opened": sorted(config.stash.get(_OPENED, ())),
        "orphans": [
            (list(map(str, found.paths)), found.unless_opened_by) for found in config.stash[_OWNERSHIP].orphans()
        ],
    }


def _baseline(path: Path | None) -> Sequence[RunData]:
    if path is None:
        return ()
    from pytest_llm_usage.report.delivery import read_baseline  # noqa: PLC0415 -- only where it is asked for

    return read_baseline(path)


class _Gatherer:
    """Adds up what rides on the reports, in the process that prints: the only one, or xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run: Run | None = None
        self._baseline = _baseline(config.stash[_SETTINGS].compare)
        self._delivery: Delivery | None = None
        self._printed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes in what a test spent."""
        data = getattr(report, "llm_usage", None)
        if not data:
            return
        self._gathered().add(report.nodeid, getattr(report, "worker_id", ""), data)

    def _gathered(self) -> Run:
        if self._run is None:
            from pytest_llm_usage.report import Run  # noqa: PLC0415 -- only for runs that called a model

            self._run = Run()
        return self._run

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes in what a worker of xdist spent behind its last test."""
        data = getattr(node, "workeroutput", {}).get("llm_usage")
        if data:
            self._gathered().add("", "", data)

    def _check_session(self, session: pytest.Session, settings: Settings) -> None:
        """Fails the run that spent more than it may, or of which that cannot be known; says so alone in mode `warn`."""
        if self._run is None or not settings.session_limits or settings.mode == "off":
            return
        breached = self._run.breached(settings.session_limits)
        verdict = breached or self._run.unproven(settings.session_limits)
        if verdict is None:
            return
        if settings.mode == "fail" and breached is not None:
            session.shouldfail = verdict  # pytest's own words for a run that ended early: !!! … !!!
        else:
            self._printed.append(verdict)
        if settings.mode == "fail" and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Adds columns to the table of pytest-html, before its links."""
        cells[-1:-1] = ["<th>Tokens</th>", "<th>USD</th>"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fills those columns, of the row of the test itself."""
        from pytest_llm_usage.report.html import table_cells  # noqa: PLC0415 -- only beside pytest-html

        test = (report.nodeid, getattr(report, "worker_id", "")) if report.when == "call" else None
        cells[-1:-1] = table_cells(self._run.tests.get(test) if self._run is not None and test is not None else None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compares and writes the reports that are asked for; fails the run where a gate is exceeded."""
        if data := _spent_by_no_test(self._config):
            self._gathered().add("", "", data)
        settings = self._config.stash[_SETTINGS]
        self._check_session(session, settings)
        wanted = (settings.json, settings.md, settings.html, settings.compare)
        if self._config.option.collectonly or not (any(wanted) or (settings.step_summary and self._run)):
            return
        from pytest_llm_usage.report.delivery import Reports  # noqa: PLC0415 -- only where it is asked for

        reports = Reports(
            json=settings.json,
            markdown=settings.md,
            html=settings.html,
            step_summary=settings.step_summary if settings.report != "off" else None,
            compare=settings.compare,
            baseline=self._baseline,
            fail_on=settings.fail_on,
            floor_tokens=settings.floor,
            shard=settings.shard,
            root=settings.root,
        )
        self._delivery = reports.deliver(
            self._gathered(),
            exit_status=int(session.exitstatus),
            prices=lambda: _price_book(self._config, settings.prices).name,
            print_text=self._printed.append,
        )
        if self._delivery.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the section `LLM usage`; nothing where no model was called and nothing was asked for."""
        for text in self._printed:
            terminalreporter.write_line(text)
        if self._run is None:
            return
        from pytest_llm_usage.report import section_lines  # noqa: PLC0415

        unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
        bar = "█" if unicode and terminalreporter.isatty else "#"
        settings = self._config.stash[_SETTINGS]
        lines = section_lines(self._run, settings.report, bar=bar, audit=settings.audit != "off")
        if self._delivery is not None and self._delivery.lines:
            lines += ["", *self._delivery.lines] if lines else self._delivery.lines
        if lines:
            terminalreporter.section("LLM usage")
            for line in lines:
                terminalreporter.line(line)


class _OrphanCheck:
    """Says which cassettes belong to no test, in the process that prints: the only one, or xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._run: set[str] = set()
        self._found: list[Mapping[str, Any]] = []
        self._is_complete = True
        self._verdict = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes which tests had their fixtures."""
        if report.when == "setup" and report.passed:
            self._run.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes in what a worker of xdist knows; one that crashed may have opened anything."""
        found = getattr(node, "workeroutput", {}).get("llm_usage_cassettes")
        if found is None:
            self._is_complete = False
        else:
            self._found.append(found)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails the run where that is asked for."""
        found = self._found or [_cassettes_of_run(self._config)]
        opened = {path for one in found for path in one["opened"]}
        orphans = {
            path
            for one in found
            for paths, unless_opened_by in one["orphans"]
            if self._run.issuperset(unless_opened_by)
            for path in paths
            if path not in opened and path.removesuffix(".gz") not in opened
        }
        if not orphans or not self._is_complete:
            return
        from pytest_llm_usage.cassettes.ownership import explain_orphans  # noqa: PLC0415

        mode = self._config.stash[_SETTINGS].orphans
        start = self._config.invocation_params.dir
        self._verdict = explain_orphans(sorted(os.path.relpath(path, start) for path in orphans), mode=mode)
        if mode == "fail" and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints them."""
        if self._verdict:
            terminalreporter.ensure_newline()
            terminalreporter.write_line(self._verdict)


# -- fixtures --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _llm_usage_cassette(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test that asks for `llm_usage`, before its other fixtures make requests."""
    item = request.node
    if item.get_closest_marker("vcr") is not None and _is_tracked(item, request.config.stash[_SETTINGS]):
        from pytest_llm_usage.cassettes import observing_vcrpy  # noqa: PLC0415 -- the marker's plugin loads vcrpy as well

        # pytest-recording's own cassette is replayed, and only watched.
        with observing_vcrpy(item.stash[_ATTEMPTS][-1].observe):
            yield
    elif "llm_usage" in request.fixturenames:
        with _open_cassette(request):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def llm_usage_prices(pytestconfig: pytest.Config) -> PriceSource | None:
    """Your own prices: a path (of the ini key `llm_usage_prices`) or a mapping of that form. Override it to compute them."""
    return pytestconfig.stash[_SETTINGS].prices


@pytest.fixture(scope="session")
def llm_usage_redact() -> Sequence[str]:
    """Your own rules of redaction, besides those of the ini key `llm_usage_redact` and as it spells them. Override it."""
    return ()


@pytest.fixture
def llm_usage(request: pytest.FixtureRequest, llm_usage_prices: PriceSource | None) -> Iterator[LLMUsage]:
    """Token usage and cost of the model calls that this test makes; its cassette is replayed."""
    tracker = request.node.stash[_ATTEMPTS][-1]
    if llm_usage_prices != request.config.stash[_SETTINGS].prices:
        tracker.prices = lambda: _price_book(request.config, llm_usage_prices)
    instance = request.instance
    if instance is not None and not hasattr(instance, "llm_usage"):
        # unittest classes ask through usefixtures and have no arguments.
        instance.llm_usage = tracker.usage
    if request.node.stash.get(_CASSETTE, None) is not None or request.node.get_closest_marker("vcr") is not None:
        yield tracker.usage
        return
    with _open_cassette(request):
        yield tracker.usage


@pytest.fixture
def usage_snapshot(request: pytest.FixtureRequest) -> UsageSnapshotAssertion:
    """A syrupy snapshot of usage: `assert llm_usage == usage_snapshot`, with `rel=`, `abs=` or `ratchet=True`."""
    from pytest_llm_usage.compare import EXACT  # noqa: PLC0415 -- only for tests with a snapshot
    from pytest_llm_usage.snapshot import usage_snapshot_assertion  # noqa: PLC0415 -- imports syrupy

    settings = request.config.stash[_SETTINGS]
    try:
        return usage_snapshot_assertion(request, settings.tolerance or EXACT, settings.model_names)
    except ConfigurationError as error:
        _fail(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> Generator[None, list[list[str] | None], list[list[str] | None]]:
    """Explains usage that differs from its snapshot, before syrupy does."""
    explanations = yield
    snapshot = sys.modules.get("pytest_llm_usage.snapshot")
    ours = snapshot.explain_mismatch(config, op, left, right) if snapshot is not None else None
    return [ours] if ours else explanations


@pytest.fixture(scope="session")
def llm_cassette(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, llm_usage_redact: Sequence[str]
) -> Callable[..., AbstractContextManager[None]]:
    """A factory of cassettes for fixtures of wider scope: call it with a name, and use what it gives in a `with`.

    Its keywords are those of the marker. The name is relative to `cassettes/<module>` beside the file that calls it.
    What was recorded is saved when the block ends without an error. pytest-recording's `vcr_config` is honoured where
    its scope is the session, too.
    """
    vcr_config: Mapping[str, Any] = {}
    with suppress(pytest.fail.Exception):  # of a narrower scope, as pytest-recording's own is
        vcr_config = _fixture(request, "vcr_config", {})

    @contextmanager
    def open_cassette(name: str, **keywords: Any) -> Iterator[None]:
        from pytest_llm_usage.tracker import current, users_place  # noqa: PLC0415

        place, tracker = users_place(), current() or _shared(pytestconfig)
        file = pytestconfig.rootpath / "conftest.py" if place is None else Path(place[0])
        try:
            policy = _policy(
                pytestconfig,
                CassetteMark.of(name, keywords),
                file,
                "pytest",
                redact=llm_usage_redact,
                vcr_config=vcr_config,
            )
        except (ConfigurationError, CassetteError) as error:
            _fail(str(error))
        with _replaying(policy, tracker) as cassette:
            yield
            try:
                cassette.close(save=True)
            except CassetteError as error:
                _fail(str(error))

    return open_cassette


@contextmanager
def _open_cassette(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test; what was recorded is saved once the test has passed."""
    item = request.node
    settings = request.config.stash[_SETTINGS]
    try:
        policy = _policy(
            request.config,
            cassette_mark(item),
            item.path,
            f"pytest {_shell(_typed(item))}",
            own=_own_name(item),
            folder=_fixture(request, "vcr_cassette_dir", None),
            redact=_fixture(request, "llm_usage_redact", ()),
            vcr_config=_fixture(request, "vcr_config", {}),
        )
        if settings.unplayed != "off":
            # What one test leaves of a cassette that it shares is there for the others.
            policy = replace(
                policy, fail_unplayed=not request.config.stash[_OWNERSHIP].is_shared(_plain_path(policy.path))
            )
    except (ConfigurationError, CassetteError) as error:
        _fail(str(error))
    with _replaying(policy, item.stash[_ATTEMPTS][-1]) as cassette:
        item.stash[_CASSETTE] = cassette
        try:
            yield
        finally:
            item.stash[_CASSETTE] = None
            try:
                cassette.close(save=item.stash[_OUTCOME] in ("passed", "xpassed"))
            except RecordingMismatchError as error:
                if settings.unplayed == "fail":
                    _fail(str(error))
                from pytest_llm_usage.tracker import LLMUsageWarning  # noqa: PLC0415

                warnings.warn(f"{item.nodeid}: {error}", LLMUsageWarning, stacklevel=2)
            except CassetteError as error:
                _fail(str(error))


@contextmanager
def _replaying(policy: CassettePolicy, tracker: Tracker) -> Iterator[OpenCassette]:
    from pytest_llm_usage.cassettes import OpenCassette  # noqa: PLC0415 -- loads vcrpy

    def fail(text: str) -> NoReturn:
        tracker.fail(text)
        _fail(text)

    def before_send(request: Request) -> None:
        tracker.before_request(request.method, request.uri, request.body or b"", request.headers)

    with OpenCassette(policy, observe=tracker.observe, before_send=before_send, fail=fail) as cassette:
        yield cassette


def _policy(
    config: pytest.Config,
    mark: CassetteMark,
    file: Path,
    command: str,
    *,
    own: str = "",
    folder: str | os.PathLike[str] | None = None,
    redact: str | Iterable[str] = (),
    vcr_config: Mapping[str, Any],
) -> CassettePolicy:
    """How a cassette is recorded and matched.

    Args:
        config: pytest's.
        mark: What the marker, or the caller of `llm_cassette`, says.
        file: The test module, or the file of the caller.
        command: What records it again, but for the option.
        own: The name of a cassette that the mark does not name.
        folder: The value of pytest-recording's fixture `vcr_cassette_dir`; None where there is none.
        redact: The value of the fixture `llm_usage_redact`.
        vcr_config: The value of pytest-recording's fixture of that name.
    """
    from pytest_llm_usage.cassettes import (  # noqa: PLC0415 -- only for tests that replay
        CassettePolicy,
        Redaction,
        cassette_path,
    )

    settings = config.stash[_SETTINGS]
    # pytest-recording's own option is followed where it is given.
    record = mark.record or settings.record or config.getoption("--record-mode", None) or "none"
    if settings.cassette_dir is not None or folder is None:
        folder = Path(settings.cassette_dir or "cassettes") / file.stem
    hook = getattr(config.hook, "pytest_recording_configure", None)
    path = cassette_path(file.parent / folder, None, own, mark.name)
    config.stash.setdefault(_OPENED, set()).add(str(_plain_path(path)))
    try:
        rules = Redaction.parse((*settings.redact, *(redact.splitlines() if isinstance(redact, str) else redact)))
    except ConfigurationError as error:
        raise ConfigurationError(f"llm_usage_redact: {error}") from None
    return CassettePolicy(
        path=path,
        record_mode=cast("RecordMode", record),
        rerecord_command=f"{command} --llm-usage-record=rewrite",
        match_on=mark.match_on,
        ignore_body=mark.ignore_body,
        ignore_hosts=settings.ignore_hosts,
        json_style=settings.cassette_json,
        vcr_config=vcr_config,
        configure_vcr=(lambda vcr: hook(config=config, vcr=vcr)) if hook is not None and hook.get_hookimpls() else None,
        redaction=rules,
        max_age_days=settings.max_age,
        root=settings.root,
    )


def _fixture(request: pytest.FixtureRequest, name: str, default: Any) -> Any:
    """The value of a fixture that another plugin or the user may provide."""
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return default


def _typed(item: pytest.Item) -> str:
    """A test's name as it is typed where pytest was started."""
    file = os.path.relpath(item.path, item.config.invocation_params.dir)
    return "::".join((file, *item.nodeid.split("::")[1:]))


def _shell(word: str) -> str:
    return f'"{word}"' if not set(word) & set('"$`\\!\n') else shlex.quote(word)
