"""Opens the cassettes of tests and of `llm_cassette`, and says at their end what was saved, stale or lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_llm_usage.errors import CassetteError, ConfigurationError, RecordingMismatchError
from pytest_llm_usage.event_loop import outside_event_loop
from pytest_llm_usage.plugin.attempt import attempt_at, attempt_under_way
from pytest_llm_usage.plugin.policy import fixture_value, folder_of_fixtures, plain_path, policy_of, typed_name
from pytest_llm_usage.plugin.progress import note_sent
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.stale import note, note_without_report
from pytest_llm_usage.plugin.state import CASSETTE, REPLAYS_FIRST, SETTINGS, fail, price_book, warn
from pytest_llm_usage.plugin.unsaved import WHY_UNSAVED, cost_of, report_lost_recording, unsaved_text
from pytest_llm_usage.settings import CassetteMark, Settings, cassette_mark
from pytest_llm_usage.text import shell_quoted

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette
    from pytest_llm_usage.cassettes.interaction import Request
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.tracker import Tracker


@contextmanager
def opened_for(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test; saves what was recorded if the test passes."""
    item = request.node
    settings = request.config.stash[SETTINGS]
    vcr_config = fixture_value(request, "vcr_config", {})
    try:
        folder, folder_from = folder_of_fixtures(request, vcr_config)
        policy = policy_of(
            request.config,
            cassette_mark(item),
            item.path,
            item=item,
            folder=folder,
            folder_from=folder_from,
            redact=fixture_value(request, "llm_usage_redact", ()),
            vcr_config=vcr_config,
        )
    except (ConfigurationError, CassetteError) as error:
        fail(str(error))
    from pytest_llm_usage.cassettes.late import noting_threads  # noqa: PLC0415 -- only for tests that replay

    with noting_threads(), _replaying(policy, attempt_at(item).tracker) as cassette, _keys_for(cassette, settings):
        item.stash[CASSETTE] = cassette
        try:
            yield
        finally:
            item.stash[CASSETTE] = None
            _end(item, cassette, settings)


@contextmanager
def _keys_for(cassette: OpenCassette, settings: Settings) -> Iterator[None]:
    """Sets placeholders for providers' keys, where nothing can be sent."""
    if not (cassette.sends_nothing and settings.placeholder_keys):
        yield
        return
    from pytest_llm_usage.cassettes.network import HostPatterns  # noqa: PLC0415 -- loaded with the cassette
    from pytest_llm_usage.cassettes.provider_keys import placeholder_keys  # noqa: PLC0415

    with placeholder_keys(HostPatterns(settings.ignore_hosts), recorded=cassette.recorded_urls):
        yield


def _end(item: pytest.Item, cassette: OpenCassette, settings: Settings) -> None:
    """Saves what was recorded, or reports why not."""
    attempt = attempt_at(item)
    has_passed = attempt.outcome in ("passed", "xpassed")
    _note_new(item, cassette)
    if cassette.renamed is not None:
        note(item, "renamed", str(plain_path(cassette.renamed)))
    elif cassette.is_stale:
        _note_stale(item, cassette)
    try:
        cassette.close(save=has_passed)
    except RecordingMismatchError as error:
        if settings.unplayed == "fail":
            fail(str(error))
        warn(item, str(error))
    except CassetteError as error:
        _fail_unsaved(error, cassette, attempt.tracker.calls())
    if cassette.recorded:
        note_sent(item, cassette, str(len(attempt.earlier)))
        if not has_passed:
            told = unsaved_text(item, cassette, settings)
            if attempt.outcome != "error":  # with reruns, the next attempt would print it once more
                item.add_report_section("teardown", "recording", told)
            if attempt.outcome is None:
                note_without_report(item.config, "unsaved", told)
            elif attempt.outcome in WHY_UNSAVED:  # pytest prints no report section of such a test
                note(item, "unsaved", told)
        elif cassette.policy.record_mode == "stale":
            note(item, "recorded", typed_name(item))


def _fail_unsaved(error: CassetteError, cassette: OpenCassette, made: Sequence[Call]) -> NoReturn:
    """Fails because the cassette could not be saved; says what the calls that it recorded cost."""
    fail(f"{error}\nLost: {cost_of(made)}" if cassette.recorded else str(error))


def _note_new(item: pytest.Item, cassette: OpenCassette) -> None:
    """Notes that nothing was recorded before: a request without a recording is then not stale."""
    from pytest_llm_usage.cassettes import find_recording  # noqa: PLC0415 -- loaded with the cassette

    if cassette.is_stale or cassette.recorded:
        with suppress(CassetteError):  # an unreadable file is reported when it is saved
            if find_recording(cassette.policy.path) is None:
                note(item, "new", True)


def _note_stale(item: pytest.Item, cassette: OpenCassette) -> None:
    """Notes that the cassette must be recorded again, and in a run that plans also what that will cost."""
    note(item, "stale", shell_quoted(typed_name(item)))
    settings = item.config.stash[SETTINGS]
    if not (settings.plan or item.config.stash.get(REPLAYS_FIRST, False)):
        return
    try:
        again = cassette.rerecording(price_book(item.config, settings.prices)).to_dict()
    except CassetteError:
        again = {"is_known": False, "models": {}}
    note(item, "plan", {"test": typed_name(item), **again})


@contextmanager
def opened_as(
    config: pytest.Config,
    name: str,
    keywords: Mapping[str, Any],
    *,
    redact: str | Iterable[str],
    vcr_config: Mapping[str, Any],
) -> Iterator[None]:
    """Opens a cassette for the block of code that uses it; saves what was recorded if the block ends without an error.

    Args:
        config: pytest's.
        name: Relative to `cassettes/<module>` beside the file of that code.
        keywords: As for the marker `llm_cassette`.
        redact: The value of the fixture `llm_usage_redact`.
        vcr_config: The value of pytest-recording's fixture of that name.
    """
    from pytest_llm_usage.tracker import current, user_callsite  # noqa: PLC0415

    callsite, tracker = user_callsite(), current() or run_scope(config).tracker
    file = config.rootpath / "conftest.py" if callsite is None else Path(callsite[0])
    try:
        policy = outside_event_loop(
            lambda: policy_of(
                config,
                CassetteMark.from_marker(name, keywords),
                file,
                redact=redact,
                vcr_config=vcr_config,
            )
        )
    except (ConfigurationError, CassetteError) as error:
        fail(str(error))
    made_before = len(tracker.calls())
    with _replaying(policy, tracker) as cassette, _keys_for(cassette, config.stash[SETTINGS]):
        try:
            yield
        except BaseException:
            if cassette.recorded:
                report_lost_recording(config, policy, cost_of(tracker.calls()[made_before:]))
            raise
        finally:
            attempt = attempt_under_way(config)
            if attempt is not None:
                note_sent(attempt.item, cassette, name)
            if cassette.is_stale and attempt is not None:
                _note_new(attempt.item, cassette)
                _note_stale(attempt.item, cassette)
        try:
            cassette.close(save=True)
        except CassetteError as error:
            _fail_unsaved(error, cassette, tracker.calls()[made_before:])


@contextmanager
def _replaying(policy: CassettePolicy, tracker: Tracker) -> Iterator[OpenCassette]:
    from pytest_llm_usage.cassettes import OpenCassette  # noqa: PLC0415 -- loads vcrpy
    from pytest_llm_usage.tracker import before_request, observe  # noqa: PLC0415

    def refuse(text: str) -> NoReturn:
        tracker.fail(text)
        fail(text)

    def before_send(request: Request) -> None:
        before_request(request.method, request.uri, request.body or b"", request.headers)

    try:
        opened = outside_event_loop(lambda: OpenCassette(policy, observe=observe, before_send=before_send, fail=refuse))
    except (ConfigurationError, CassetteError) as error:
        fail(str(error))
    with opened as cassette:
        yield cassette
