"""The hooks of the pytest plugin; each delegates to another module in a few lines.

Loading the plugin imports none of langchain_core, vcr, syrupy or genai_prices, and of this package little but the
settings. Tracking attaches when the code under test imports LangChain (`ImportHook`); the rest waits for a test that
needs it. `attempt` follows one attempt at a test, `fixtures` has the fixtures, and `safety` keeps an internal error
from failing anybody's test.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.import_hook import ImportHook
from pytest_llm_usage.plugin.attempt import (
    attempt_at,
    interrupted_attempt,
    report_attempt,
    spent_by_no_test,
    start_run,
    unreported_calls,
)
from pytest_llm_usage.plugin.collector import RunCollector
from pytest_llm_usage.plugin.failures import RunFailures
from pytest_llm_usage.plugin.fixtures import (
    _llm_usage_cassette,
    llm_cassette,
    llm_usage,
    llm_usage_prices,
    llm_usage_redact,
    usage_snapshot,
)
from pytest_llm_usage.plugin.guards import warn_of_idle_markers
from pytest_llm_usage.plugin.idle import (
    keep_from_running,
    safe_around_fixture,
    safe_around_phase,
    safe_around_report,
)
from pytest_llm_usage.plugin.neighbours import refuse_two_snapshot_updates
from pytest_llm_usage.plugin.recordings import name_recordings_folder, note_names
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.safety import (
    FAULTS,
    fault_text,
    note_early_faults,
    safe,
    safe_hooks,
    unlimited_text,
)
from pytest_llm_usage.plugin.stale import StaleTests, attach_notes
from pytest_llm_usage.plugin.state import (
    CASSETTE,
    CLOSERS,
    RUN_FAILURES,
    SESSION_BUDGET,
    SETTINGS,
    price_book,
)
from pytest_llm_usage.plugin.unseen import UNSEEN
from pytest_llm_usage.plugin.unseen_hooks import watch_unseen
from pytest_llm_usage.settings import MARKERS, Settings, add_options, is_asked_for_something, is_taken
from pytest_llm_usage.text import sendable

__all__ = [
    "_llm_usage_cassette",
    "llm_cassette",
    "llm_usage",
    "llm_usage_prices",
    "llm_usage_redact",
    "usage_snapshot",
]


def __dir__() -> list[str]:
    """The hooks and fixtures. pytest and pluggy look at each name that a plugin lists, at every start."""
    return [name for name in globals() if name.startswith("pytest_") or name in __all__]


#: The module in which LangChain keeps its configure hooks.
_LANGCHAINS_HOOKS = "langchain_core.tracers.context"

# -- the session -----------------------------------------------------------------------------------------------


@safe
def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declares the options and ini keys."""
    refuse_two_snapshot_updates(pluginmanager)
    add_options(parser)


@pytest.hookimpl(wrapper=True)
@safe
def pytest_load_initial_conftests(
    early_config: pytest.Config,  # noqa: ARG001 -- for `safe`
    parser: pytest.Parser,
) -> Generator[None, None, None]:
    """Explains what to do when the suite defines an option with the same name as one of ours."""
    try:
        result = yield
        if pytest.version_tuple < (9,):
            parser.parse_known_args([])  # pytest 8 would find the clash too late for a plugin to explain it
        return result  # noqa: TRY300 -- an error in pytest 8's call is caught below
    except argparse.ArgumentError as error:
        if is_taken(error):
            raise pytest.UsageError(
                f"{error.argument_name}: this suite and pytest-llm-usage both have it.  PYTEST_LLM_USAGE_SHORT_OPTIONS=0  in "
                "the environment leaves it to the suite; ours are --llm-usage-max-tokens and the like"
            ) from None
        raise


@safe
def pytest_configure(config: pytest.Config) -> None:
    """Reads the settings and starts tracking; a run that sets an option of ours does not start if that fails."""
    note_early_faults(config)
    try:
        _configure(config)
    except Exception as error:
        if isinstance(error, pytest.UsageError) or not is_asked_for_something(config):
            raise
        raise pytest.UsageError(unlimited_text(error)) from None


def _configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        settings = config.stash[SETTINGS] = Settings.from_config(config)
        if settings.prices is not None:
            price_book(config, settings.prices)
        if not hasattr(config, "workerinput"):
            failures = config.stash[RUN_FAILURES] = RunFailures()
            config.pluginmanager.register(safe_hooks(failures, config), "llm_usage_failures")
            stale = StaleTests(is_plan=settings.plan)
            collector = RunCollector(config, failures, stale)
            config.pluginmanager.register(safe_hooks(collector, config), "llm_usage_collector")
            config.pluginmanager.register(safe_hooks(stale, config), "llm_usage_stale_tests")
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[CLOSERS] = ExitStack()
    if settings.session_limits and settings.budgets == "fail":
        from pytest_llm_usage.plugin.replay_first import replay_first  # noqa: PLC0415 -- only where the run is limited
        from pytest_llm_usage.plugin.session import limit_session  # noqa: PLC0415

        limit_session(config, partial(unreported_calls, config))
        replay_first(config)
    if (settings.orphans, settings.unplayed) != ("off", "off"):
        from pytest_llm_usage.plugin.orphans import Collection, OrphanCheck  # noqa: PLC0415 -- only where asked for

        config.pluginmanager.register(safe_hooks(Collection(config), config), "llm_usage_collection")
        if settings.orphans != "off" and not hasattr(config, "workerinput"):
            config.pluginmanager.register(safe_hooks(OrphanCheck(config), config), "llm_usage_orphan_check")
    start_run(config)
    watch_unseen(config)
    attach_langchain = {_LANGCHAINS_HOOKS: lambda _: importlib.import_module("pytest_llm_usage.langchain")}
    ImportHook(attach_langchain).install(config.stash[CLOSERS])


@pytest.hookimpl(optionalhook=True)
@safe
def pytest_configure_node(node: Any) -> None:
    """Tells an xdist worker where the workers share what they spend and what they record."""
    if SESSION_BUDGET in node.config.stash:
        from pytest_llm_usage.plugin.session import name_workers_row  # noqa: PLC0415 -- only where the run is limited

        name_workers_row(node)
    name_recordings_folder(node)


@safe
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops tracking."""
    if CLOSERS in config.stash:
        config.stash[CLOSERS].close()


# -- a test ----------------------------------------------------------------------------------------------------


# The innermost wrapper, because --lf removes tests from this report.
@pytest.hookimpl(wrapper=True, trylast=True)
@safe
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Notes tests that would get the same cassette; shortens the error of a module whose client has no key."""
    report = yield
    if report.failed:
        from pytest_llm_usage.plugin.missing_keys import shorten_missing_key_of_module  # noqa: PLC0415 -- on an error

        shorten_missing_key_of_module(report, collector)
    note_names(report, collector)
    return report


@safe
def pytest_collection_finish(session: pytest.Session) -> None:
    """Warns of markers without effect; hides usage snapshots of tests that do not run from other syrupy extensions."""
    warn_of_idle_markers(session)
    settings = session.config.stash[SETTINGS]
    if any(limits.max_cost is not None for limits in (settings.limits, settings.session_limits)):
        from pytest_llm_usage.plugin.prices_ahead import read_prices_ahead  # noqa: PLC0415 -- only where costs are limited

        read_prices_ahead(session)
    if not hasattr(session.config, "_syrupy"):
        return
    folder = getattr(session.config.option, "snapshot_dirname", "__snapshots__")  # an option since syrupy 5
    if any(
        any((parent / folder).glob("*.usage.yaml"))
        for parent in {path.parent for path in {item.path for item in session.items}}
    ):
        from pytest_llm_usage.snapshot import hide_from_other_extensions  # noqa: PLC0415 -- imports syrupy

        hide_from_other_extensions(session.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
@safe_around_phase("setup")
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Moves a failure that is already due during the set-up to the call phase."""
    attempt = attempt_at(item)
    try:
        result = yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        failure = attempt.failure
        if failure is None or (str(error) == failure and not isinstance(error, pytest.fail.Exception)):
            raise
        result = None
    if attempt.failure is not None:
        # The test fails, not its set-up: the call phase reports it.
        keep_from_running(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
@safe_around_phase("call")
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails the test if it is over its budget, or if it must fail for something that its code has swallowed."""
    attempt = attempt_at(item)
    attempt.enter_phase("call")
    with attempt.decisive_failure():
        try:
            result = yield
        except pytest.skip.Exception:
            attempt.check_budget()  # a skip does not undo what was spent
            raise
    attempt.check_budget()
    attempt.check_discrepancies()
    attempt.warn_of_live_calls()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
@safe_around_phase("teardown")
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Ends the attempt after the last fixture's teardown; what fixtures spend during teardown counts too."""
    attempt = attempt_at(item)
    attempt.enter_phase("teardown")
    try:
        result = yield
        if attempt.has_called_in_phase:
            attempt.check_budget()
        return result
    finally:
        attempt.close()


@pytest.hookimpl(wrapper=True)
@safe_around_fixture
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[Any, Any, Any]:
    """Assigns the calls of a fixture of wider scope to the run, not to the test that happens to request it first."""
    with run_scope(request.config).around(fixturedef):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
@safe_around_report
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts what the test spent on its last report."""
    report = yield
    attempt = attempt_at(item)
    attempt.note_outcome(report)
    if report.failed:
        from pytest_llm_usage.plugin.missing_keys import shorten_missing_key  # noqa: PLC0415 -- at the first failure

        shorten_missing_key(item, report, call)
    if call.when == "call" and (cassette := item.stash.get(CASSETTE, None)) is not None:
        from pytest_llm_usage.plugin.progress import note_sent  # noqa: PLC0415 -- with the first cassette

        note_sent(item, cassette, str(len(attempt.earlier)))
        attach_notes(item, report)
    if call.when == "teardown":
        attach_notes(item, report)
        if attempt.outcome in ("failed", "error") and "usage_snapshot" in getattr(item, "fixturenames", ()):
            _keep_snapshots(item)
        report_attempt(attempt, report)
    return report


def _keep_snapshots(item: pytest.Item) -> None:
    if hasattr(item.config, "_syrupy"):
        from pytest_llm_usage.snapshot import keep_snapshots_of  # noqa: PLC0415 -- imports syrupy

        keep_snapshots_of(item.config, item.nodeid)


@pytest.hookimpl(wrapper=True)
@safe
def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> Generator[None, list[list[str] | None], list[list[str] | None]]:
    """Explains usage that differs from its snapshot, before syrupy does."""
    explanations = yield
    snapshot = sys.modules.get("pytest_llm_usage.snapshot")
    if snapshot is None:
        return explanations
    from pytest_llm_usage.plugin.unsaved import record_option  # noqa: PLC0415 -- only for tests with a snapshot

    ours = snapshot.explain_mismatch(config, op, left, right, record_option(config))
    return [ours] if ours else explanations


# -- the run ---------------------------------------------------------------------------------------------------


@pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, tryfirst=True)
@safe
def pytest_sessionfinish_around_syrupy(session: pytest.Session) -> Generator[None, None, None]:
    """Adds calls that outlived their test; keeps syrupy from deleting the snapshots of tests that were not run."""
    config = session.config
    run_scope(config).collect_left()
    if hasattr(config, "_syrupy") and config.option.update_snapshots and not hasattr(config, "workerinput"):
        from pytest_llm_usage.snapshot import keep_snapshots_of_unrun  # noqa: PLC0415 -- imports syrupy

        keep_snapshots_of_unrun(config)
    return (yield)


@pytest.hookimpl(trylast=True)
@safe
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Passes on what no report of a test carries: what belongs to no test, and the test that was interrupted."""
    config = session.config
    if not sys.modules.keys().isdisjoint(("pytest_llm_usage.snapshot", "pytest_llm_usage.plugin.unwritten")):
        from pytest_llm_usage.plugin.unwritten import fail_for_unwritten  # noqa: PLC0415 -- only with snapshots

        fail_for_unwritten(session)
    output = getattr(config, "workeroutput", None)
    interrupted = interrupted_attempt(config)
    if output is not None:
        output["llm_usage"] = spent_by_no_test(config)
        output["llm_usage_interrupted"] = interrupted
        output["llm_usage_faults"] = sendable(config.stash.get(FAULTS, []))
        output["llm_usage_unseen"] = sendable(config.stash[UNSEEN].found() if UNSEEN in config.stash else [])
    elif interrupted is not None:
        collector = cast("RunCollector", config.pluginmanager.get_plugin("llm_usage_collector"))
        collector.add(interrupted[0], "", interrupted[1])


@pytest.hookimpl(optionalhook=True)
@safe
def pytest_testnodedown(node: Any) -> None:
    """Collects the internal errors of an xdist worker, and the snapshots that it could not write."""
    if SESSION_BUDGET in node.config.stash:
        from pytest_llm_usage.plugin.session import note_lost_worker  # noqa: PLC0415 -- only where the run is limited

        note_lost_worker(node)
    faults = getattr(node, "workeroutput", {}).get("llm_usage_faults", [])
    known = node.config.stash.setdefault(FAULTS, [])
    known += faults[1:] if known else faults
    if getattr(node, "workeroutput", {}).get("llm_usage_unwritten"):
        from pytest_llm_usage.plugin.unwritten import collect_unwritten  # noqa: PLC0415 -- only on an error

        collect_unwritten(node)


@pytest.hookimpl(trylast=True)
@safe
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the plugin's internal errors, once for the whole run."""
    for line in fault_text(terminalreporter.config.stash.get(FAULTS, [])):
        terminalreporter.write_line(line)
