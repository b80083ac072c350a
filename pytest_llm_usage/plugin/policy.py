"""How a cassette is recorded and matched, as markers, settings and the fixtures of pytest-recording say."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.plugin.neighbours import record_mode_of_neighbours
from pytest_llm_usage.plugin.recordings import own_name, run_recordings, told_apart, unclaimed
from pytest_llm_usage.plugin.state import OPENED, OWNERSHIP, REPLAYS_FIRST, SETTINGS, price_book
from pytest_llm_usage.settings import CassetteMark
from pytest_llm_usage.text import quoted, shell_quoted, shown_path

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import CassettePolicy, RecordMode
    from pytest_llm_usage.cassettes.run_recordings import RunRecordings

__all__ = ["fixture_value", "folder_of_fixtures", "plain_path", "policy_of", "typed_name"]


def policy_of(
    config: pytest.Config,
    mark: CassetteMark,
    file: Path,
    *,
    item: pytest.Item | None = None,
    folder: Path | None = None,
    folder_from: str = "",
    redact: str | Iterable[str],
    vcr_config: Mapping[str, Any],
) -> CassettePolicy:
    """How a cassette is recorded and matched.

    Args:
        config: pytest's.
        mark: What the marker, or the caller of `llm_cassette`, says.
        file: The test module, or the file of the caller.
        item: The test that uses it; None for `llm_cassette`.
        folder: The folder that fixtures of pytest-recording or pytest-vcr name; None where they name none.
        folder_from: Which of these fixtures names it.
        redact: The value of the fixture `llm_usage_redact`.
        vcr_config: The value of pytest-recording's fixture of that name.
    """
    from pytest_llm_usage.cassettes import CassettePolicy, Redaction  # noqa: PLC0415 -- only for tests that replay

    _check_vcr_config(vcr_config)
    settings = config.stash[SETTINGS]
    command = "pytest" if item is None else f"pytest {shell_quoted(typed_name(item))}"
    record = _record_mode(config, mark)
    default = file.parent / (settings.cassette_dir or "cassettes") / file.stem
    if settings.cassette_dir is not None or folder is None:
        folder = default
    hook = getattr(config.hook, "pytest_recording_configure", None)
    run = run_recordings(config)
    path, is_shared = _path(folder, mark, item, record, run)
    if settings.orphans != "off":
        config.stash.setdefault(OPENED, set()).add(str(plain_path(path)))
    try:
        rules = Redaction.parse((*settings.redact, *_lines(redact)))
    except ConfigurationError as error:
        raise ConfigurationError(f"llm_usage_redact: {error}") from None
    return CassettePolicy(
        path=path,
        record_mode=record,
        rerecord_command=f"{command} --llm-usage-record=rewrite"
        if mark.record is None
        else f'{command}, with record="rewrite" instead of record="{mark.record}" in its llm_cassette',
        rerecord_all_command=f"pytest {shell_quoted(typed_name(item).partition('::')[0])} --llm-usage-record=rewrite"
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
        owner=f"llm_cassette({mark.name!r})" if item is None else item.nodeid,
        run=run,
        unclaimed=partial(unclaimed, item, path.parent) if item is not None else tuple,
        max_age_days=settings.max_age,
        # What one test leaves unplayed in a shared cassette is there for the others.
        fail_unplayed=item is not None
        and settings.unplayed != "off"
        and not config.stash[OWNERSHIP].is_shared(plain_path(path)),
        root=settings.root,
        folder_from=folder_from if folder != default else "",
        prices=lambda: price_book(config, settings.prices),
    )


def _record_mode(config: pytest.Config, mark: CassetteMark) -> RecordMode:
    settings = config.stash[SETTINGS]
    record = mark.record or settings.record or record_mode_of_neighbours(config) or "none"
    if settings.plan or (config.stash.get(REPLAYS_FIRST, False) and record in ("stale", "once", "new_episodes")):
        record = "none"
    return cast("RecordMode", record)


def _path(
    folder: Path, mark: CassetteMark, item: pytest.Item | None, record: RecordMode, run: RunRecordings
) -> tuple[Path, bool]:
    """The path of a cassette, and whether other tests may use it, too."""
    from pytest_llm_usage.cassettes import cassette_path, find_recording  # noqa: PLC0415 -- only for tests that replay

    own = own_name(item) if item is not None else ""
    path = cassette_path(folder, own, mark.name)
    if item is None or mark.name is not None or (apart := told_apart(item)) is None:
        return path, mark.name is not None
    # pytest-recording's naming gives another test the same path.
    distinct = cassette_path(folder, own, apart=apart)
    # A cassette that was recorded for all these tests is replayed, but not written.
    is_replayed = record not in ("all", "rewrite") and not run.knows(path)
    if not is_replayed or find_recording(distinct) or not find_recording(path):
        path = distinct
    return path, path != distinct


def folder_of_fixtures(request: pytest.FixtureRequest, vcr_config: Mapping[str, Any]) -> tuple[Path | None, str]:
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


def typed_name(item: pytest.Item) -> str:
    """The name of a test as it is typed in the folder that pytest was started in."""
    file = os.path.relpath(item.path, item.config.invocation_params.dir)
    return "::".join((file, *item.nodeid.split("::")[1:]))


def plain_path(path: Path) -> Path:
    """The path without `..`, and without following links: names and settings that spell one path mean one place."""
    return Path(os.path.normpath(path))
