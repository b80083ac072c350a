"""Opens the cassettes of tests as markers, settings and pytest-recording's fixtures say."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from pytest_llm_usage.errors import CassetteError, ConfigurationError, RecordingMismatchError
from pytest_llm_usage.event_loop import outside_event_loop
from pytest_llm_usage.plugin.attempt import attempt_at, attempt_under_way
from pytest_llm_usage.plugin.neighbours import record_mode_of_neighbours
from pytest_llm_usage.plugin.progress import note_sent
from pytest_llm_usage.plugin.recordings import own_name, run_recordings, told_apart, unclaimed
from pytest_llm_usage.plugin.run_scope import run_scope
from pytest_llm_usage.plugin.stale import note, note_without_report
from pytest_llm_usage.plugin.state import CASSETTE, OPENED, OWNERSHIP, REPLAYS_FIRST, SETTINGS, fail, price_book, warn
from pytest_llm_usage.plugin.unsaved import WHY_UNSAVED, cost_of, report_lost_recording, unsaved_text
from pytest_llm_usage.settings import CassetteMark, Settings, cassette_mark
from pytest_llm_usage.text import quoted, shell_quoted, shown_path

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import CassettePolicy, OpenCassette, RecordMode
    from pytest_llm_usage.cassettes.interaction import Request
    from pytest_llm_usage.tracker import Tracker


@contextmanager
def opened_for(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test; saves what was recorded if the test passes."""
    item = request.node
    settings = request.config.stash[SETTINGS]
    vcr_config = fixture_value(request, "vcr_config", {})
    try:
        folder, folder_from = _folder_of_fixtures(request, vcr_config)
        policy = _policy(
            request.config,
            cassette_mark(item),
            item.path,
            f"pytest {shell_quoted(_typed(item))}",
            item=item,
            owner=item.nodeid,
            folder=folder,
            folder_from=folder_from,
            redact=fixture_value(request, "llm_usage_redact", ()),
            vcr_config=vcr_config,
        )
        if settings.unplayed != "off":
            # What one test leaves unplayed in a shared cassette is there for the others.
            policy = replace(
                policy, fail_unplayed=not request.config.stash[OWNERSHIP].is_shared(plain_path(policy.path))
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
    has_passed = attempt_at(item).outcome in ("passed", "xpassed")
    _note_new(item, cassette)
    if cassette.renamed is not None:
        note(item, "renamed", str(plain_path(cassette.renamed)))
    elif cassette.is_stale:
        note(item, "stale", shell_quoted(_typed(item)))
    if cassette.is_stale and cassette.renamed is None and _is_planned(item.config):
        _note_plan(item, cassette, settings)
    try:
        cassette.close(save=has_passed)
    except RecordingMismatchError as error:
        if settings.unplayed == "fail":
            fail(str(error))
        warn(item, str(error))
    except CassetteError as error:
        fail(f"{error}\nLost: {cost_of(attempt_at(item).tracker.calls())}" if cassette.recorded else str(error))
    if cassette.recorded:
        note_sent(item, cassette, str(len(attempt_at(item).earlier)))
        if not has_passed:
            told = unsaved_text(item, cassette, settings)
            if attempt_at(item).outcome != "error":  # with reruns, the next attempt would print it once more
                item.add_report_section("teardown", "recording", told)
            if attempt_at(item).outcome is None:
                note_without_report(item.config, "unsaved", told)
            elif attempt_at(item).outcome in WHY_UNSAVED:  # pytest prints no report section of such a test
                note(item, "unsaved", told)
        elif cassette.policy.record_mode == "stale":
            note(item, "recorded", _typed(item))


def _note_new(item: pytest.Item, cassette: OpenCassette) -> None:
    """Notes that nothing was recorded before: a request without a recording is then not stale."""
    from pytest_llm_usage.cassettes import find_recording  # noqa: PLC0415 -- loaded with the cassette

    if cassette.is_stale or cassette.recorded:
        with suppress(CassetteError):  # an unreadable file is reported when it is saved
            if find_recording(cassette.policy.path) is None:
                note(item, "new", True)


def _is_planned(config: pytest.Config) -> bool:
    return config.stash[SETTINGS].plan or config.stash.get(REPLAYS_FIRST, False)


def _note_plan(item: pytest.Item, cassette: OpenCassette, settings: Settings) -> None:
    """Notes what recording the cassette again will cost."""
    try:
        again = cassette.rerecording(price_book(item.config, settings.prices)).to_dict()
    except CassetteError:
        again = {"is_known": False, "models": {}}
    note(item, "plan", {"test": _typed(item), **again})


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
            lambda: _policy(
                config,
                CassetteMark.from_marker(name, keywords),
                file,
                "pytest",
                owner=f"llm_cassette({name!r})",
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
                note(attempt.item, "stale", shell_quoted(_typed(attempt.item)))
                if _is_planned(config):
                    _note_plan(attempt.item, cassette, config.stash[SETTINGS])
        try:
            cassette.close(save=True)
        except CassetteError as error:
            fail(f"{error}\nLost: {cost_of(tracker.calls()[made_before:])}" if cassette.recorded else str(error))


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


def _policy(
    config: pytest.Config,
    mark: CassetteMark,
    file: Path,
    command: str,
    *,
    item: pytest.Item | None = None,
    owner: str,
    folder: Path | None = None,
    folder_from: str = "",
    redact: str | Iterable[str] = (),
    vcr_config: Mapping[str, Any],
) -> CassettePolicy:
    """How a cassette is recorded and matched.

    Args:
        config: pytest's.
        mark: What the marker, or the caller of `llm_cassette`, says.
        file: The test module, or the file of the caller.
        command: The command that records it again, without the option.
        item: The test that the cassette belongs to, where the mark names none.
        owner: Who records.
        folder: The folder that fixtures of pytest-recording or pytest-vcr name; None where they name none.
        folder_from: Which of these fixtures names it.
        redact: The value of the fixture `llm_usage_redact`.
        vcr_config: The value of pytest-recording's fixture of that name.
    """
    from pytest_llm_usage.cassettes import (  # noqa: PLC0415 -- only for tests that replay
        CassettePolicy,
        Redaction,
        cassette_path,
        find_recording,
    )

    _check_vcr_config(vcr_config)
    settings = config.stash[SETTINGS]
    record = mark.record or settings.record or record_mode_of_neighbours(config) or "none"
    if settings.plan or (config.stash.get(REPLAYS_FIRST, False) and record in ("stale", "once", "new_episodes")):
        record = "none"
    default = file.parent / (settings.cassette_dir or "cassettes") / file.stem
    if settings.cassette_dir is not None or folder is None:
        folder = default
    hook = getattr(config.hook, "pytest_recording_configure", None)
    run = run_recordings(config)
    own = own_name(item) if item is not None else ""
    path = cassette_path(folder, None, own, mark.name)
    is_shared = mark.name is not None
    if item is not None and mark.name is None and (apart := told_apart(item)) is not None:
        # pytest-recording's naming gives another test the same path.
        distinct = cassette_path(folder, None, own, apart=apart)
        # A cassette that was recorded for all these tests is replayed, but not written.
        is_replayed = record not in ("all", "rewrite") and not run.knows(path)
        if not is_replayed or find_recording(distinct) or not find_recording(path):
            path = distinct
        is_shared = path != distinct
    if settings.orphans != "off":
        config.stash.setdefault(OPENED, set()).add(str(plain_path(path)))
    try:
        rules = Redaction.parse((*settings.redact, *_lines(redact)))
    except ConfigurationError as error:
        raise ConfigurationError(f"llm_usage_redact: {error}") from None
    return CassettePolicy(
        path=path,
        record_mode=cast("RecordMode", record),
        rerecord_command=f"{command} --llm-usage-record=rewrite"
        if mark.record is None
        else f'{command}, with record="rewrite" instead of record="{mark.record}" in its llm_cassette',
        rerecord_all_command=f"pytest {shell_quoted(_typed(item).partition('::')[0])} --llm-usage-record=rewrite"
        if is_shared and item is not None and mark.record is None
        else "",
        draws_examples=item is not None and _draws_examples(item),
        match_on=mark.match_on or (None if "match_on" in vcr_config else settings.match_on),
        match_on_from="match_on" if mark.match_on or "match_on" in vcr_config else "llm_usage_match_on",
        ignore_body=(*settings.ignore_body, *mark.ignore_body),
        ignore_hosts=settings.ignore_hosts,
        json_style=settings.cassette_json,
        vcr_config=vcr_config,
        configure_vcr=(lambda vcr: hook(config=config, vcr=vcr)) if hook is not None and hook.get_hookimpls() else None,
        redaction=rules,
        is_shared=is_shared,
        owner=owner,
        run=run,
        unclaimed=partial(unclaimed, item, path.parent) if item is not None else tuple,
        max_age_days=settings.max_age,
        root=settings.root,
        folder_from=folder_from if folder != default else "",
        prices=lambda: price_book(config, settings.prices),
    )


def _folder_of_fixtures(request: pytest.FixtureRequest, vcr_config: Mapping[str, Any]) -> tuple[Path | None, str]:
    """The folder that fixtures of pytest-recording or pytest-vcr name, as these plugins read it, and its origin.

    Both resolve a relative path against the folder that pytest was started in.
    """
    # `cassette_library_dir` is vcrpy's own name for the folder; langchain-tests uses it.
    _check_vcr_config(vcr_config)
    name = "vcr_config" if vcr_config.get("cassette_library_dir") else "vcr_cassette_dir"
    folder = vcr_config.get("cassette_library_dir") or fixture_value(request, "vcr_cassette_dir", None)
    if folder is None:
        return None, ""
    origin = f"the fixture {name}{_home_of_fixture(request, name)}"
    if not isinstance(folder, (str, os.PathLike)):
        raise ConfigurationError(f"{origin}: {quoted(folder)} is not the path of a folder")
    return request.config.invocation_params.dir / folder, origin


def _check_vcr_config(vcr_config: object) -> None:
    if not isinstance(vcr_config, Mapping):
        raise ConfigurationError(f"the fixture vcr_config: {quoted(vcr_config)} is not a dictionary")


def _lines(rules: object) -> list[str]:
    """The lines of a text, or of a list of texts."""
    if isinstance(rules, str):
        return rules.splitlines()
    if not isinstance(rules, Iterable) or isinstance(rules, bytes):
        raise ConfigurationError(f"{quoted(rules)} is neither a string nor a list of rules")
    lines = list(rules)
    for line in lines:
        if not isinstance(line, str):
            raise ConfigurationError(f"{quoted(line)} is not a string")
    return lines


def _home_of_fixture(request: pytest.FixtureRequest, name: str) -> str:
    """Where the fixture that a test gets comes from: ` of pytest-vcr`, or ` in tests/conftest.py`."""
    # Private. The only public way to a fixture's function is a hook that runs for every fixture. Read in 8.0 and 9.2.
    function = request._get_active_fixturedef(name).func  # noqa: SLF001
    package = function.__module__.partition(".")[0]
    if package in ("pytest_recording", "pytest_vcr"):
        return f" of {package.replace('_', '-')}"
    try:
        return f" in {shown_path(Path(inspect.getfile(inspect.unwrap(function))))}"
    except TypeError:  # a callable object, not a function
        return ""


def fixture_value(request: pytest.FixtureRequest, name: str, default: Any) -> Any:
    """The value of a fixture that another plugin or the user may provide."""
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return default


def _draws_examples(item: pytest.Item) -> bool:
    """Whether Hypothesis gives the test other arguments in every run."""
    function = getattr(item, "obj", None)
    if not getattr(function, "is_hypothesis_test", False):
        return False
    own = getattr(function, "_hypothesis_internal_use_settings", None) or sys.modules["hypothesis"].settings.default
    return not own.derandomize


def _typed(item: pytest.Item) -> str:
    """The name of a test as it is typed in the folder that pytest was started in."""
    file = os.path.relpath(item.path, item.config.invocation_params.dir)
    return "::".join((file, *item.nodeid.split("::")[1:]))


def plain_path(path: Path) -> Path:
    """The path without `..`, and without following links: names and settings that spell one path mean one place."""
    return Path(os.path.normpath(path))
