"""`Attempt`: one attempt at a test. It collects the test's calls, enforces its limits, and fails it where it must fail.

Most tests call no model. For those an `Attempt` is all there is: its tracker is made when the first call, cassette or
budget needs it, or when the test before has called a model. The run's tracker (`RunScope`) is made at its first call.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.money import plain, total
from pytest_llm_usage.plugin.observation import flush, observe_wire
from pytest_llm_usage.plugin.run_scope import RUN, RunScope, run_scope
from pytest_llm_usage.plugin.state import (
    CLOSERS,
    SESSION_BUDGET,
    SETTINGS,
    fail,
    has_marker,
    is_tracked,
    shown_failure,
    warn,
)
from pytest_llm_usage.tracker.scope import running

if TYPE_CHECKING:
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.tracker import Tracker

__all__ = [
    "Attempt",
    "attempt_at",
    "attempt_under_way",
    "begin",
    "forget_attempt",
    "interrupted_attempt",
    "report_attempt",
    "spent_by_no_test",
    "start_run",
    "unreported_calls",
]


#: The attempt that is under way, or the last one; None before the first.
_ATTEMPT: pytest.StashKey[Attempt | None] = pytest.StashKey()
#: The latest attempt of any pytest run in this process. The hooks of every test read it, many times.
_latest: list[Attempt | None] = [None]
#: Calls that belong to no test, from a report that was discarded.
_UNREPORTED: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
#: Kept with a test: what its attempts spent, as `Attempt.earlier`.
_EARLIER: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()


class Attempt:
    """One attempt at a test: from the set-up of its fixtures to their teardown.

    Attributes:
        item: The test.
        phase: The current phase of pytest.
        trackers: Its tracker, which collects its calls; empty until one is needed.
        outcome: Its outcome so far (`passed`, `failed` …); None before its first report.
        earlier: The calls of earlier attempts (reruns) that had a tracker, as JSON. pytest keeps every item until it
            ends: with the attempts themselves a run would hold dozens of objects for each test.
        is_open: Whether it has begun and not ended.
    """

    __slots__ = (
        "_calls_before_phase",
        "_is_reported",
        "_running",
        "_thread_id",
        "earlier",
        "is_open",
        "item",
        "outcome",
        "phase",
        "trackers",
    )

    is_run = False

    def __init__(self, item: pytest.Item, earlier: tuple[str, ...] = ()) -> None:
        self.item = item
        self.outcome: str | None = None
        self.earlier = earlier
        self.is_open = False
        self._is_reported = False
        self.phase = "setup"
        self._calls_before_phase = 0
        self._thread_id = threading.get_ident()
        self.trackers: list[Tracker] = []
        self._running: running | None = None

    @property
    def tracker(self) -> Tracker:
        """The tracker that collects its calls; made on first access."""
        if not self.trackers:
            # No lock, because an event loop must not wait for one: if several threads make a tracker, the first one
            # stays.
            self.trackers.append(self._new_tracker())
        return self.trackers[0]

    @property
    def failure(self) -> str | None:
        """Why the test must fail even if its code handled the error; None where it need not."""
        failure = self.trackers[0].failure if self.trackers else None
        return None if failure is None else shown_failure(failure)

    @property
    def unreported(self) -> tuple[Call, ...]:
        """Its calls, until a report carries them."""
        return self.trackers[0].calls() if self.trackers and not self._is_reported else ()

    @property
    def has_called(self) -> bool:
        """Whether it has made calls."""
        return bool(self.trackers) and bool(self.trackers[0].calls())

    @property
    def has_called_in_phase(self) -> bool:
        """Whether it has made calls since the current phase began."""
        return bool(self.trackers) and len(self.trackers[0].calls()) > self._calls_before_phase

    def _new_tracker(self) -> Tracker:
        from pytest_llm_usage.plugin.trackers import tracker_of_test  # noqa: PLC0415 -- at the first call

        return tracker_of_test(self.item, self.phase, self._thread_id)

    def enter_phase(self, phase: str) -> None:
        """Begins pytest's phase `phase`, unless it has begun already."""
        if phase == self.phase:
            return
        self.phase = phase
        if self.trackers:
            self._calls_before_phase = len(self.trackers[0].calls())
            self.trackers[0].enter_phase(phase)

    def open(self) -> None:
        """Makes this attempt the one that calls belong to."""
        self.is_open = True
        self._running = running(self)
        self._running.__enter__()
        if has_marker(self.item, "llm_budget"):
            _ = self.tracker  # an invalid marker fails a test that calls no model, too

    def close(self) -> None:
        """Ends the attempt: calls of anything that it leaves running belong to the run."""
        if self._running is not None:
            self.is_open = False
            self._running.__exit__()
            self._running = None
            if self.trackers:
                self.trackers[0].detach()

    @contextmanager
    def decisive_failure(self) -> Iterator[None]:
        """Raises `failure` where there is one, even if the test swallowed, wrapped or grouped the error."""
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException as error:
            if self.failure is not None and str(error) != self.failure:
                raise pytest.fail.Exception(self.failure, pytrace=False) from None
            raise
        if self.failure is not None:
            fail(self.failure)

    def check_budget(self) -> None:
        """Fails the test if it is over its budget; only warns in mode `warn`."""
        if not self.trackers:
            return
        flush(self.item.config)
        text = self.trackers[0].over_budget()
        if text is None:
            return
        if self.item.config.stash[SETTINGS].budgets == "warn":
            warn(self.item, text)
        else:
            fail(text)

    def warn_of_live_calls(self) -> None:
        """Warns which calls left this machine, if the settings say so."""
        if not self.trackers or self.item.config.stash[SETTINGS].live != "warn":
            return
        live = [call for call in self.trackers[0].calls() if call.live]
        if live:
            lines = (f"  {call.index + 1}  {call.model}  {call.where or ''}" for call in live)
            warn(self.item, "\n".join((f"live model calls: {len(live)} (--llm-usage-live=warn)", *lines)))

    def check_discrepancies(self) -> None:
        """Fails the test if LangChain and the provider's responses disagree, and the settings make that an error."""
        if not self.trackers or self.item.config.stash[SETTINGS].audit != "error":
            return
        if found := self.trackers[0].discrepancies():
            lines = (f"  {call.call_index + 1}  {call.model}  {call.where or ''}\n     {call.reason}" for call in found)
            fail("\n".join(("LangChain and the provider's response disagree (llm_usage_audit = error)", "", *lines)))

    def note_outcome(self, report: pytest.TestReport) -> None:
        """Updates the outcome from the report of a phase; a test that failed stays failed."""
        if self.outcome == "failed" or (report.passed and report.when != "call"):
            return
        if hasattr(report, "wasxfail"):
            self.outcome = "xfailed" if report.skipped else "xpassed"
        else:
            self.outcome = "error" if report.failed and report.when != "call" else report.outcome

    def note_reported(self, data: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Notes that a report carries what it spent (`data`), and keeps the calls for a further attempt's report."""
        self._is_reported = True
        if self.trackers:
            run_scope(self.item.config).left += self.trackers[0].processes.hand_over()
            calls = data["attempts"][-1] if "attempts" in data else ()
            self.item.stash[_EARLIER] = (*self.earlier, json.dumps(calls))

    def data(self) -> dict[str, Any]:
        """What it spent, and what was spent meanwhile outside of tests, as plain data."""
        data: dict[str, Any] = {}
        earlier = [*map(json.loads, self.earlier)]
        if (self.has_called or any(earlier)) and is_tracked(self.item, self.item.config.stash[SETTINGS]):
            from pytest_llm_usage.report.run import record  # noqa: PLC0415 -- only for tests that called a model

            with_parts = self.item.config.stash[SETTINGS].explains
            data = record(self.tracker, self.outcome, earlier=earlier, with_parts=with_parts)
        return data | spent_by_no_test(self.item.config)

    def properties(self) -> Iterator[tuple[str, str]]:
        """The test's properties in JUnit reports; an unknown number is left out, never 0."""
        calls = self.trackers[0].calls() if self.trackers else ()
        yield "llm_calls", str(sum(call.is_billed for call in calls))
        if not any(call.is_unknown for call in calls):
            from pytest_llm_usage.usage import TokenUsage  # noqa: PLC0415 -- loaded with the first call

            usage = TokenUsage.summed(call.usage for call in calls if call.is_billed and call.usage is not None)
            if not any(call.is_total_alone for call in calls):
                yield "llm_input_tokens", str(usage.input_tokens)
                yield "llm_output_tokens", str(usage.output_tokens)
            yield "llm_total_tokens", str(usage.total_tokens)
            costs = [call.cost_usd for call in calls if call.usage is not None]
            if None not in costs:
                yield "llm_cost_usd", plain(total(cost for cost in costs if cost is not None))


# -- functions over pytest's objects ---------------------------------------------------------------------------


def start_run(config: pytest.Config) -> None:
    """Opens the run's scope, to which calls outside of tests belong until pytest ends."""
    closers = config.stash[CLOSERS]
    run = config.stash[RUN] = RunScope(config)
    config.stash[_ATTEMPT] = None
    closers.enter_context(running(run))
    closers.callback(_close_interrupted, config)
    observe_wire(config)


def _close_interrupted(config: pytest.Config) -> None:
    if (attempt := config.stash[_ATTEMPT]) is not None:
        attempt.close()
    _latest[0] = None


def attempt_under_way(config: pytest.Config) -> Attempt | None:
    """The attempt that calls belong to now; None between tests."""
    attempt = config.stash.get(_ATTEMPT, None)
    return attempt if attempt is not None and attempt.is_open else None


def unreported_calls(config: pytest.Config) -> list[Call]:
    """The calls that no report carries yet."""
    attempt = config.stash[_ATTEMPT]
    own = attempt.unreported if attempt is not None else ()
    return [*own, *run_scope(config).calls]


def spent_by_no_test(config: pytest.Config) -> dict[str, Any]:
    """The calls outside of tests since the last time this was asked, as plain data."""
    run = config.stash.get(RUN, None)
    data = run.drain() if run is not None else {}
    if kept := config.stash.get(_UNREPORTED, None):
        config.stash[_UNREPORTED] = []
        data["shared"] = kept + data.get("shared", [])
    return data


def begin(item: pytest.Item) -> Attempt:
    """Begins an attempt at a test."""
    before = item.config.stash[_ATTEMPT]
    earlier: tuple[str, ...] = ()
    if _EARLIER in item.stash:  # `get` would raise and catch an exception for most tests
        earlier = item.stash[_EARLIER]
    attempt = _latest[0] = item.config.stash[_ATTEMPT] = Attempt(item, earlier)
    attempt.open()
    if before is not None and before.has_called:
        _ = attempt.tracker  # this test most likely calls a model too: make the tracker before the call
    return attempt


def attempt_at(item: pytest.Item) -> Attempt:
    """The last attempt at a test; an attempt that has not begun if another plugin's set-up failed before ours."""
    attempt = _latest[0]
    if attempt is None or attempt.item is not item:
        attempt = item.config.stash.get(_ATTEMPT, None)
    return attempt if attempt is not None and attempt.item is item else Attempt(item)


def report_attempt(attempt: Attempt, report: pytest.TestReport) -> None:
    """Adds what the test spent to its last report, as plain data: the same way with and without xdist."""
    data = attempt.data()
    attempt.note_reported(data)
    if data:
        if SESSION_BUDGET in attempt.item.config.stash:
            attempt.item.config.stash[SESSION_BUDGET].add(data)
        report.llm_usage = data  # type: ignore[attr-defined]
        report.user_properties.extend(attempt.properties())


def forget_attempt(item: pytest.Item, report: pytest.TestReport) -> None:
    """Forgets an attempt whose report was discarded, so that the test runs as if for the first time.

    The calls outside of tests that the report carried are kept.
    """
    item.stash[_EARLIER] = ()
    data = getattr(report, "llm_usage", None)
    if not data:
        return
    if SESSION_BUDGET in item.config.stash:
        item.config.stash[SESSION_BUDGET].take_back({"attempts": data.get("attempts", ())})
    item.config.stash[_UNREPORTED] = item.config.stash.get(_UNREPORTED, []) + data.get("shared", [])


def interrupted_attempt(config: pytest.Config) -> tuple[str, dict[str, Any]] | None:
    """The name of the test that was interrupted before its report, and what it spent; None where there is none."""
    attempt = config.stash.get(_ATTEMPT, None)
    if attempt is None or not attempt.unreported:
        return None
    data = attempt.data()
    attempt.note_reported(data)
    return (attempt.item.nodeid, data) if data else None
