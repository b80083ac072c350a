"""Hooks and fixtures of the pytest plugin, each handing over in a few lines.

Loading it imports none of langchain_core, vcr, syrupy or genai_prices, and of this package just the settings: tracking
attaches when the code under test imports LangChain (`import_hook`), the rest waits for a test that needs it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import plain, total
from pytest_llm_usage.plugin.collector import RunCollector
from pytest_llm_usage.plugin.import_hook import AttachOnImport
from pytest_llm_usage.plugin.state import (
    ATTEMPT_STACK,
    CASSETTE,
    CLOSERS,
    OUTCOME,
    SESSION_BUDGET,
    SESSION_BUDGET_FOLDER,
    SETTINGS,
    TRACKERS,
    fail,
    new_tracker,
    price_book,
    shared_tracker,
    spent_by_no_test,
)
from pytest_llm_usage.settings import MARKERS, Settings, add_options, is_taken, limits_of

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceSource
    from pytest_llm_usage.snapshot import UsageSnapshotAssertion
    from pytest_llm_usage.tracker import LLMUsage, Tracker

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
        settings = config.stash[SETTINGS] = Settings.from_config(config)
        if settings.prices is not None:
            price_book(config, settings.prices)
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(RunCollector(config), "llm_usage_gatherer")
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[CLOSERS] = ExitStack()
    if settings.session_limits and settings.budgets == "fail":
        from pytest_llm_usage.report.session_budget import SessionBudget  # noqa: PLC0415 -- only for runs with a budget

        own = Path(getattr(config, "workerinput", {}).get("llm_usage_tally", ""))
        # A worker on another machine has no such folder: it knows of itself alone, and the controller of all.
        config.stash[SESSION_BUDGET] = SessionBudget(
            settings.session_limits, own if own.name and own.parent.is_dir() else None
        )
    if (settings.orphans, settings.unplayed) != ("off", "off"):
        from pytest_llm_usage.plugin.orphans import Collection, OrphanCheck  # noqa: PLC0415 -- only where asked for

        config.pluginmanager.register(Collection(config), "llm_usage_collection")
        if settings.orphans != "off" and not hasattr(config, "workerinput"):
            config.pluginmanager.register(OrphanCheck(config), "llm_usage_orphan_check")
    AttachOnImport(partial(_attach, config)).install(config.stash[CLOSERS])


def _attach(config: pytest.Config) -> None:
    shared_tracker(config)
    importlib.import_module("pytest_llm_usage.langchain")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a worker of xdist where the workers note for each other what they spend."""
    if SESSION_BUDGET not in node.config.stash:
        return
    if SESSION_BUDGET_FOLDER not in node.config.stash:
        folder = tempfile.TemporaryDirectory(prefix="llm-usage-", ignore_cleanup_errors=True)
        node.config.stash[SESSION_BUDGET_FOLDER] = node.config.stash[CLOSERS].enter_context(folder)
    node.workerinput["llm_usage_tally"] = str(
        Path(node.config.stash[SESSION_BUDGET_FOLDER], node.workerinput["workerid"])
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops listening."""
    if CLOSERS in config.stash:
        config.stash[CLOSERS].close()


# -- a test ----------------------------------------------------------------------------------------------------


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keeps usage snapshots of tests that are not run from being taken for leftovers of syrupy's other extensions."""
    if not hasattr(session.config, "_syrupy"):
        return
    folder = session.config.option.snapshot_dirname
    if any(any((parent / folder).glob("*.usage.yaml")) for parent in {item.path.parent for item in session.items}):
        from pytest_llm_usage.snapshot import hide_from_other_extensions  # noqa: PLC0415 -- imports syrupy

        hide_from_other_extensions(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Passes over the tests that are left once the whole run has spent its budget.

    In every worker of xdist by itself, so that none is cut short: what its last test spent is reported as well.
    """
    return True if SESSION_BUDGET in item.config.stash and item.config.stash[SESSION_BUDGET].is_exceeded else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Opens the tracker of this attempt at the test."""
    from pytest_llm_usage.tracker import running  # noqa: PLC0415

    shared_tracker(item.config)
    tracker = new_tracker(item.config)
    item.stash.setdefault(TRACKERS, []).append(tracker)
    item.stash[OUTCOME] = None
    attempt = item.stash[ATTEMPT_STACK] = ExitStack()
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
    failure = item.stash[TRACKERS][-1].failure
    if failure is not None:
        fail(failure)


def _set_limits(item: pytest.Item, tracker: Tracker) -> None:
    """Reads the test's budget; a marker that cannot be read fails this test alone."""
    settings = item.config.stash[SETTINGS]
    if settings.budgets == "off" or not _is_tracked(item, settings):
        return
    try:
        tracker.limits = limits_of(item, settings)
    except ConfigurationError as error:
        tracker.fail(str(error))
    if settings.budgets == "fail":
        tracker.stop = fail


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
        fail(tracker.failure)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails the test where it is over its budget, or where something it did must fail it whatever it made of that."""
    tracker = item.stash[TRACKERS][-1]
    tracker.phase = "call"
    with _decisive_failure(tracker):
        try:
            result = yield
        except pytest.skip.Exception:
            _check_budget(item, tracker)  # what was spent is spent
            raise
    _check_budget(item, tracker)
    if item.config.stash[SETTINGS].audit == "error" and (found := tracker.discrepancies()):
        lines = (f"  {call.call_index + 1}  {call.model}  {call.where or ''}\n     {call.reason}" for call in found)
        fail("\n".join(("LangChain and the provider's response disagree (llm_usage_audit = error)", "", *lines)))
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Closes the tracker behind the last fixture; what fixtures spent on the way out counts too."""
    tracker = item.stash[TRACKERS][-1]
    tracker.phase = "teardown"
    before = len(tracker.calls())
    try:
        result = yield
        if len(tracker.calls()) > before:
            _check_budget(item, tracker)
        return result
    finally:
        item.stash[ATTEMPT_STACK].close()


def _check_budget(item: pytest.Item, tracker: Tracker) -> None:
    text = tracker.over_budget()
    if text is None:
        return
    if item.config.stash[SETTINGS].budgets == "warn":
        from pytest_llm_usage.tracker import LLMUsageWarning  # noqa: PLC0415

        warnings.warn(f"{item.nodeid}: {text}", LLMUsageWarning, stacklevel=2)
    else:
        fail(text)


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

    shared = shared_tracker(request.config)
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
        item.stash[OUTCOME] = _outcome(report, item.stash.get(OUTCOME, None))
    if call.when == "teardown":
        if item.stash.get(OUTCOME, None) in ("failed", "error") and "usage_snapshot" in getattr(
            item, "fixturenames", ()
        ):
            _keep_snapshots(item)
        data = _spent(item)
        if data:
            if SESSION_BUDGET in item.config.stash:
                item.config.stash[SESSION_BUDGET].add(data)
            report.llm_usage = data  # type: ignore[attr-defined]
            report.user_properties.extend(_properties(item))
    return report


def _keep_snapshots(item: pytest.Item) -> None:
    if hasattr(item.config, "_syrupy"):
        from pytest_llm_usage.snapshot import keep_snapshots_of  # noqa: PLC0415 -- imports syrupy

        keep_snapshots_of(item.config, item.nodeid)


@pytest.hookimpl(specname="pytest_sessionfinish", wrapper=True, tryfirst=True)
def pytest_sessionfinish_around_syrupy(session: pytest.Session) -> Generator[None, None, None]:
    """Keeps the snapshots of tests that were not run, where those without a test are deleted."""
    config = session.config
    if hasattr(config, "_syrupy") and config.option.update_snapshots and not hasattr(config, "workerinput"):
        from pytest_llm_usage.snapshot import keep_snapshots_of_unrun  # noqa: PLC0415 -- imports syrupy

        keep_snapshots_of_unrun(config)
    return (yield)


def _outcome(report: pytest.TestReport, before: str | None) -> str:
    """What becomes of a test by the report of one of its phases; one that failed stays failed."""
    if before == "failed":
        return before
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return "error" if report.failed and report.when != "call" else report.outcome


def _spent(item: pytest.Item) -> dict[str, Any]:
    data: dict[str, Any] = {}
    attempts = item.stash.get(TRACKERS, [])  # none where another plugin's set-up failed before ours began
    if _is_tracked(item, item.config.stash[SETTINGS]) and any(tracker.calls() for tracker in attempts):
        from pytest_llm_usage.report.run import record  # noqa: PLC0415 -- only for tests that called a model

        data = record(attempts, item.stash.get(OUTCOME, None))
    return data | spent_by_no_test(item.config)


def _properties(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """What JUnit reports show of a test; what is not known is left out, never 0."""
    calls = item.stash[TRACKERS][-1].calls() if TRACKERS in item.stash else ()
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
        output["llm_usage"] = spent_by_no_test(session.config)


# -- fixtures --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _llm_usage_cassette(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test that asks for `llm_usage`, before its other fixtures make requests."""
    item = request.node
    if item.get_closest_marker("vcr") is not None and _is_tracked(item, request.config.stash[SETTINGS]):
        from pytest_llm_usage.cassettes import observing_vcrpy  # noqa: PLC0415 -- the marker's plugin loads vcrpy as well

        # pytest-recording's own cassette is replayed, and only watched.
        with observing_vcrpy(item.stash[TRACKERS][-1].observe):
            yield
    elif "llm_usage" in request.fixturenames:
        from pytest_llm_usage.plugin.cassette import opened_for  # noqa: PLC0415 -- only for tests that replay

        with opened_for(request):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def llm_usage_prices(pytestconfig: pytest.Config) -> PriceSource | None:
    """Your own prices: a path (of the ini key `llm_usage_prices`) or a mapping of that form. Override it to compute them."""
    return pytestconfig.stash[SETTINGS].prices


@pytest.fixture(scope="session")
def llm_usage_redact() -> Sequence[str]:
    """Your own rules of redaction, besides those of the ini key `llm_usage_redact` and as it spells them. Override it."""
    return ()


@pytest.fixture
def llm_usage(request: pytest.FixtureRequest, llm_usage_prices: PriceSource | None) -> Iterator[LLMUsage]:
    """Token usage and cost of the model calls that this test makes; its cassette is replayed."""
    tracker = request.node.stash[TRACKERS][-1]
    if llm_usage_prices != request.config.stash[SETTINGS].prices:
        tracker.prices = lambda: price_book(request.config, llm_usage_prices)
    instance = request.instance
    if instance is not None and not hasattr(instance, "llm_usage"):
        # unittest classes ask through usefixtures and have no arguments.
        instance.llm_usage = tracker.usage
    if request.node.stash.get(CASSETTE, None) is not None or request.node.get_closest_marker("vcr") is not None:
        yield tracker.usage
        return
    from pytest_llm_usage.plugin.cassette import opened_for  # noqa: PLC0415 -- only for tests that replay

    with opened_for(request):
        yield tracker.usage


@pytest.fixture
def usage_snapshot(request: pytest.FixtureRequest) -> UsageSnapshotAssertion:
    """A syrupy snapshot of usage: `assert llm_usage == usage_snapshot`, with `rel=`, `abs=` or `ratchet=True`."""
    from pytest_llm_usage.compare import EXACT  # noqa: PLC0415 -- only for tests with a snapshot
    from pytest_llm_usage.snapshot import usage_snapshot_assertion  # noqa: PLC0415 -- imports syrupy

    settings = request.config.stash[SETTINGS]
    try:
        return usage_snapshot_assertion(request, settings.tolerance or EXACT, settings.model_names)
    except ConfigurationError as error:
        fail(str(error))


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
    from pytest_llm_usage.plugin.cassette import fixture_value, opened_as  # noqa: PLC0415 -- only for who asks for it

    vcr_config: Mapping[str, Any] = {}
    with suppress(pytest.fail.Exception):  # of a narrower scope, as pytest-recording's own is
        vcr_config = fixture_value(request, "vcr_config", {})

    def open_cassette(name: str, **keywords: Any) -> AbstractContextManager[None]:
        return opened_as(pytestconfig, name, keywords, redact=llm_usage_redact, vcr_config=vcr_config)

    return open_cassette
