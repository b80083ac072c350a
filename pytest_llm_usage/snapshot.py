"""`usage_snapshot`: syrupy snapshots of usage, in one readable YAML file per test module.

`__snapshots__/<module>.usage.yaml`, made for review: edited entry by entry, so that whatever else stands in the file
(other tests' entries, comments between them) stays as it is, byte for byte.

syrupy (5 to 7) relates a file to its test module by the file's stem, and takes every file in `__snapshots__` that no
extension claims for a leftover to be deleted. Both are met here: towards syrupy a file goes by its name without
`.yaml` (`test_agent.usage`, whose stem is the module's), and `hide_from_other_extensions` keeps the file itself out of
their sight through syrupy's own option for that.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from textwrap import indent, wrap
from types import MappingProxyType
from typing import Any

import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.location import PyTestLocation

from pytest_llm_usage.atomic import alone_with, replace_file
from pytest_llm_usage.compare import (
    EXACT,
    PRICE_FROM,
    Tolerances,
    causes,
    change_lines,
    compare_usage,
    is_within,
    model_name,
    with_model_names,
)
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.ledger import price_sources

__all__ = [
    "FORMAT",
    "UsageFile",
    "UsageSnapshotAssertion",
    "UsageSnapshotExtension",
    "explain_mismatch",
    "hide_from_other_extensions",
    "usage_snapshot_assertion",
]

#: 1: by snapshot name, by model, the fields of `LLMUsage.to_dict()`, and by whose price the cost is (`price_from`).
FORMAT = 1

_HEADER = re.compile(r"# LLM usage, format (\d+)\b(?:.*\(genai-prices ([^)\s]+)\))?")
#: PyYAML reads no longer key than this without the explicit `? key`.
_LONGEST_SIMPLE_KEY = 1000
#: What pytest shows of an explanation without -vv (lines, characters), with the room that it allows itself.
_PYTEST_SHOWS = (10, 690)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# -- the file --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One snapshot in a file: its name, its usage, and the lines it takes (`start` to before `stop`)."""

    name: str
    usage: dict[str, dict[str, Any]]
    start: int
    stop: int


@dataclass(frozen=True)
class UsageFile:
    """A snapshot file as it was read: lines, kept as they are, and the entries they hold.

    Attributes:
        lines: All lines with their ends.
        entries: By name, in the order of the file.
        prices_version: The genai-prices that it was last written with, or None where it does not say.
    """

    lines: tuple[str, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    prices_version: str | None = None

    @classmethod
    def load(cls, path: Path) -> UsageFile:
        """The file at `path`; empty where there is none.

        Raises:
            ConfigurationError: It is not in a form that this version can read. It is left as it is.
        """
        try:
            stamp = path.stat()
        except FileNotFoundError:
            return cls()
        return _loaded(path, (stamp.st_ino, stamp.st_mtime_ns, stamp.st_size))

    @classmethod
    def parse(cls, text: str, shown: str) -> UsageFile:
        """The file whose content is `text`; `shown` names it in errors.

        Raises:
            ConfigurationError: As `load`.
        """
        lines = tuple(re.findall(r"[^\n]*\n|[^\n]+", text))
        header = _HEADER.match(lines[0]) if lines else None
        if header is not None and int(header[1]) > FORMAT:
            raise ConfigurationError(
                f"{shown} is in format {header[1]}, written by a newer pytest-llm-usage; this one reads format {FORMAT}."
                f" Nothing was changed.\nUpdate:  pip install --upgrade pytest-llm-usage"
            )
        entries: dict[str, Entry] = {}
        for start, stop in _blocks(lines):
            entry = _entry(lines, start, stop, shown)
            if entry.name in entries:
                raise _unreadable(shown, start, f"{entry.name} stands there twice")
            entries[entry.name] = entry
        return cls(lines, entries, header[2] if header is not None else None)

    def updated(self, usages: Mapping[str, Mapping[str, Any]]) -> str:
        """The text with these entries replaced, or put where they belong by name; all else as it is."""
        newline = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        edits = [(0, 1 if self._has_header else 0, _header() + newline)]
        unended = bool(self.lines) and not self.lines[-1].endswith("\n")
        for name, usage in sorted(usages.items()):
            text = _rendered(name, usage).replace("\n", newline)
            entry = self.entries.get(name)
            start, stop = (entry.start, entry.stop) if entry is not None else (self._place_of(name),) * 2
            if unended and start == len(self.lines):
                text, unended = newline + text, False
            edits.append((start, stop, text))
        return self._edited(edits)

    def without(self, names: set[str]) -> str:
        """The text without these entries; all else as it is."""
        return self._edited([(e.start, e.stop, "") for e in self.entries.values() if e.name in names])

    @cached_property
    def _has_header(self) -> bool:
        return bool(self.lines) and _HEADER.match(self.lines[0]) is not None

    def _place_of(self, name: str) -> int:
        """The line before which a new entry goes: behind the last of those that come before it by name."""
        place = 1 if self._has_header else 0
        for entry in self.entries.values():
            if entry.name > name:
                return place
            place = entry.stop
        return place if self.entries else len(self.lines)

    def _edited(self, edits: Sequence[tuple[int, int, str]]) -> str:
        lines = list(self.lines)
        # From the last to the first, so that line numbers hold; what goes to one place keeps its order.
        for start, stop, text in sorted(edits, key=lambda edit: edit[:2])[::-1]:
            lines[start:stop] = [text]
        return "".join(lines)


@lru_cache(maxsize=64)
def _loaded(path: Path, _stamp: tuple[int, int, int]) -> UsageFile:
    """The file, parsed once for all the tests of a module: `_stamp` tells one state of it from another."""
    shown = _shown(path)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _unreadable(shown, 0, f"it is not UTF-8 ({error.reason})") from None
    return UsageFile.parse(text, shown)


def _shown(path: Path) -> str:
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _unreadable(shown: str, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{shown}:{line + 1}: {reason}. Nothing was changed.\n"
        "Restore the file, or delete it and write it anew:  pytest --snapshot-update"
    )


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The lines of each entry: from the one that starts with its name to the last that is indented.

    Comments and blank lines between entries belong to none.
    """
    start = stop = -1
    for number, line in enumerate(lines):
        if not line.strip() or line.startswith(("#", "---")):
            continue
        if line[0] in " \t:" and start >= 0:
            stop = number + 1
            continue
        if start >= 0:
            yield start, stop
        start, stop = number, number + 1
    if start >= 0:
        yield start, stop


def _entry(lines: Sequence[str], start: int, stop: int, shown: str) -> Entry:
    first = lines[start].strip()
    try:
        data = yaml.load("".join(lines[start:stop]), _Loader)  # noqa: S506 -- a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = start + min(mark.line, stop - start - 1) if mark is not None else start
        raise _unreadable(shown, line, f"not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict) or len(data) != 1:
        raise _unreadable(shown, start, f"{first[:60]!r} is not the start of a snapshot")
    ((name, usage),) = data.items()
    if not isinstance(usage, dict) or not all(isinstance(model, dict) for model in usage.values()):
        raise _unreadable(shown, start, f"{str(name)[:60]} does not hold usage by model")
    return Entry(str(name), {str(model): fields for model, fields in usage.items()}, start, stop)


def _header() -> str:
    return (
        f"# LLM usage, format {FORMAT}. Tokens as the provider counted them; "
        f"USD at the price of the recording's day (genai-prices {version('genai-prices')})."
    )


def _rendered(name: str, usage: Mapping[str, Any]) -> str:
    key = _key(name)
    opening = f"{key}:" if len(key) <= _LONGEST_SIMPLE_KEY else f"? {key}\n:"
    return f"{opening}\n{indent(_dump(usage), '  ')}" if usage else f"{opening} {{}}\n"


def _key(name: str) -> str:
    """`name` as a YAML key: plain where it reads back as the same text, else quoted with escapes."""
    with suppress(yaml.YAMLError):
        if name[:1].isidentifier() and name.isprintable() and yaml.load(f"{name}: 0\n", _Loader) == {name: 0}:  # noqa: S506 -- a safe loader
            return name
    quoted: str = yaml.dump(name, Dumper=_Dumper, default_style='"', allow_unicode=True, width=float("inf"))
    return quoted.rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Escapes what PyYAML would write as it is and read back as something else (NEL, for one)."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    ),
)


def _dump(usage: Mapping[str, Any]) -> str:
    """A usage as YAML: models by name, fields in the order they have."""
    plain = {model: usage[model] for model in sorted(usage)}
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text


def _replace(path: Path, edit: Callable[[UsageFile], str | None]) -> None:
    """Rewrites a file in one step, alone among the workers of a run; None deletes it."""
    with alone_with(path):
        content = edit(UsageFile.load(path))
        if content is None:
            path.resolve().unlink(missing_ok=True)
        else:
            replace_file(path, content.encode())


# -- syrupy ----------------------------------------------------------------------------------------------------


class UsageSnapshotExtension(AbstractSyrupyExtension):
    """Usage in a YAML file per test module.

    A *location* is what syrupy knows the file by: its path without `.yaml`.
    """

    file_extension = "usage"
    #: What the next comparison allows.
    tolerances: Tolerances = EXACT
    #: Pattern → the one name under which snapshots list all models that match it.
    model_names: Mapping[str, str] = MappingProxyType({})

    @staticmethod
    def path_of(location: str) -> Path:
        """The file of a location."""
        return Path(f"{location}.yaml")

    def serialize(self, data: Any, *, exclude: Any = None, include: Any = None, matcher: Any = None) -> str:
        """Usage (an `LLMUsage`, or a dict of that form) as YAML, without what `exclude` and `include` leave out."""
        plain = with_model_names(data.to_dict() if hasattr(data, "to_dict") else data, self.model_names)
        sources = price_sources(getattr(data, "calls", ()), lambda model: model_name(model, self.model_names))
        told = {
            model: {**fields, PRICE_FROM: sources[model]} if model in sources else fields
            for model, fields in plain.items()
        }
        return _dump(_filtered(told, (), exclude, include, matcher))

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Whether the usage is the snapshot's, within the tolerances."""
        return serialized_data == snapshot_data or is_within(
            compare_usage(_parsed(snapshot_data), _parsed(serialized_data), self.tolerances)
        )

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """The snapshot files beside a test module. One that cannot be read is left alone: the tests that use it say so."""
        del ignore_extensions
        discovered = SnapshotCollections()
        for path in sorted(Path(self.dirname(test_location=test_location)).glob("*.usage.yaml")):
            collection = self.read_snapshot_collection(snapshot_location=str(path.with_suffix("")))
            if collection.has_snapshots:
                discovered.add(collection)
        return discovered

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """The names of the snapshots in a file, none where it cannot be read."""
        collection = SnapshotCollection(location=snapshot_location)
        with suppress(ConfigurationError):
            for name in UsageFile.load(self.path_of(snapshot_location)).entries:
                collection.add(Snapshot(name=name))
        return collection

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        """One snapshot, or None where there is none of that name."""
        del session_id
        entry = UsageFile.load(self.path_of(snapshot_location)).entries.get(snapshot_name)
        return None if entry is None else _dump(entry.usage)

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: dict[str, int] | None = None
    ) -> None:
        """Puts snapshots into their file; the others in it stay as they are. Safe among xdist workers."""
        del name_order
        usages = {snapshot.name: _parsed(snapshot.data) for snapshot in snapshot_collection}
        _replace(cls.path_of(snapshot_collection.location), lambda file: file.updated(usages))

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Takes snapshots out of their file, and the file away with the last of them."""

        def edit(file: UsageFile) -> str | None:
            return file.without(snapshot_names) if file.entries.keys() - snapshot_names else None

        _replace(self.path_of(snapshot_location), edit)


def _parsed(text: Any) -> dict[str, Any]:
    usage: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 -- a safe loader
    return usage


def _filtered(value: Any, path: tuple[Any, ...], exclude: Any, include: Any, matcher: Any) -> Any:
    """`value` as syrupy's filters and matchers leave it, in the terms they are called with."""
    if matcher is not None:
        value = matcher(data=value, path=path)
    if not isinstance(value, Mapping):
        return value
    return {
        key: _filtered(item, (*path, (key, type(item))), exclude, include, matcher)
        for key, item in value.items()
        if not (exclude and exclude(prop=key, path=path)) and (not include or include(prop=key, path=path))
    }


class UsageSnapshotAssertion(SnapshotAssertion):
    """What the fixture `usage_snapshot` is: a syrupy snapshot that knows tolerances.

    With `--snapshot-update` the comparison is exact, so that the file always gets the new numbers, also those that a
    tolerance or a ratchet would have let pass.
    """

    __hash__ = None  # type: ignore[assignment]  # as of any syrupy assertion

    #: For comparisons that state none of their own.
    default_tolerances: Tolerances = EXACT
    #: What the latest comparison allowed.
    compared_with: Tolerances = EXACT
    #: See `UsageSnapshotExtension.model_names`.
    model_names: Mapping[str, str] = MappingProxyType({})
    _once: Tolerances | None = None

    def __call__(  # type: ignore[override]
        self,
        *,
        rel: object = None,
        abs: object = None,  # noqa: A002 -- the name that pytest.approx gave it
        ratchet: bool | None = None,
        name: Any = None,
        exclude: Any = None,
        include: Any = None,
        matcher: Any = None,
    ) -> UsageSnapshotAssertion:
        """Options for the next comparison.

        Args:
            rel: A share that each number may move by (0.05 is 5 %), or a mapping by name (`input`, `output`, `total`,
                `tokens`, `calls`, `cost`, or a detail such as `cache_read`).
            abs: Tokens that each count may move by, or such a mapping (USD for `cost`).
            ratchet: Numbers may fall, not rise (but by what `rel` or `abs` allow).
            name: As in syrupy.
            exclude: As in syrupy.
            include: As in syrupy.
            matcher: As in syrupy.

        Raises:
            ConfigurationError: `rel` or `abs` is no tolerance.
        """
        if (rel, abs, ratchet) != (None, None, None):
            self._once = Tolerances.of(rel=rel, abs=abs, ratchet=bool(ratchet))
        super().__call__(name=name, exclude=exclude, include=include, matcher=matcher)
        return self

    def with_defaults(self, **options: Any) -> UsageSnapshotAssertion:
        """A new snapshot with these defaults, as in syrupy; the tolerance stays."""
        assertion = super().with_defaults(**options)
        assert isinstance(assertion, UsageSnapshotAssertion)  # noqa: S101 -- for the type checker
        assertion.default_tolerances = self.default_tolerances
        assertion.model_names = self.model_names
        return assertion

    @property
    def path(self) -> Path:
        """The snapshot's file."""
        location = self.extension.get_location(test_location=self.test_location, index=self.index)
        return UsageSnapshotExtension.path_of(location)

    def __eq__(self, other: object) -> bool:
        """Whether a usage is the snapshot's, within the tolerance.

        Raises:
            ConfigurationError: The file cannot be read.
            TypeError: `other` is no usage.
        """
        __tracebackhide__ = True
        self.compared_with = EXACT if self.update_snapshots else self._once or self.default_tolerances
        self._once = None
        if isinstance(self.extension, UsageSnapshotExtension):
            self.extension.tolerances = self.compared_with
            self.extension.model_names = self.model_names
            try:
                _check_usage(other)
                # syrupy would report it as a snapshot that differs, and write over it when told to update.
                UsageFile.load(self.path)
            except (ConfigurationError, TypeError):
                self._post_assert()
                raise
        return super().__eq__(other)


def _check_usage(data: object) -> None:
    if not hasattr(data, "to_dict") and not isinstance(data, Mapping):
        raise TypeError(
            f"usage_snapshot compares llm_usage (or a section or view of it), not {type(data).__name__}: "
            "for other values there is syrupy's snapshot"
        )


def usage_snapshot_assertion(
    request: Any, tolerances: Tolerances = EXACT, model_names: Mapping[str, str] = MappingProxyType({})
) -> UsageSnapshotAssertion:
    """What the fixture `usage_snapshot` returns.

    Args:
        request: pytest's request of the test.
        tolerances: For comparisons that state none (ini `llm_usage_tolerance`).
        model_names: Pattern → name, for models whose own names change too often to be written down (`gpt-4o-*`).

    Raises:
        ConfigurationError: syrupy is switched off.
    """
    config = request.config
    session = getattr(config, "_syrupy", None)
    if session is None:
        raise ConfigurationError("usage_snapshot needs syrupy's plugin, which is switched off: drop -p no:syrupy")
    hide_from_other_extensions(config)
    options = {
        name: getattr(config.option, name)
        for name in ("update_snapshots", "update_new_snapshots_only")  # the latter since syrupy 6
        if hasattr(config.option, name)
    }
    assertion = UsageSnapshotAssertion(
        session=session,
        extension_class=UsageSnapshotExtension,
        test_location=PyTestLocation(request.node),
        **options,
    )
    assertion.default_tolerances = tolerances
    assertion.model_names = model_names
    return assertion


def hide_from_other_extensions(config: Any) -> None:
    """Keeps syrupy's other extensions from taking usage files for unused snapshots, and deleting them.

    The same as `--snapshot-ignore-file-extensions=yaml`; what is unused in usage files is still found, by ours.
    """
    session = config._syrupy  # noqa: SLF001 -- where syrupy's own fixture finds it
    ignored = list(config.option.ignore_file_extensions or ())
    if "yaml" not in ignored:
        config.option.ignore_file_extensions = session.ignore_file_extensions = [*ignored, "yaml"]


def keep_snapshots_of(config: Any, nodeid: str) -> None:
    """Keeps syrupy from taking for unused, and deleting, what a failing test may not have come to."""
    config._syrupy.ran_item(nodeid, "skipped")  # noqa: SLF001


def keep_snapshots_of_unrun(config: Any) -> None:
    """The same for tests that were not run, since the run ended before them or a worker died."""
    session = config._syrupy  # noqa: SLF001
    # What syrupy's finish goes by; in xdist's controller, as the workers told it.
    reports = [report["selected"] for report in getattr(session, "_worker_reports", ())]
    for nodeid, status in session._selected_items.items():  # noqa: SLF001
        if not status.value:
            session.ran_item(nodeid, "skipped")
    for nodeid in {nodeid for selected in reports for nodeid in selected}:
        if not any(selected.get(nodeid) for selected in reports):
            reports[0][nodeid] = "skipped"


# -- what a mismatch says --------------------------------------------------------------------------------------


def explain_mismatch(config: Any, op: str, left: object, right: object) -> list[str] | None:
    """The explanation of `assert llm_usage == usage_snapshot`, or None where it is something else that failed.

    The verdict first, then a table a model, what changed, and the command that accepts it. Where pytest would cut the
    text short, the table comes last.
    """
    snapshot, usage = (right, left) if isinstance(right, UsageSnapshotAssertion) else (left, right)
    if op != "==" or not isinstance(snapshot, UsageSnapshotAssertion) or not snapshot.executions:
        return None
    result = snapshot.executions[snapshot.num_executions - 1]
    if result.exception is not None or result.asserted_data is None:
        return None
    path = UsageSnapshotExtension.path_of(result.snapshot_location)
    command = f"pytest {_quoted(_nodeid(config, snapshot.test_location))} --snapshot-update"
    now = _parsed(result.asserted_data)
    if result.recalled_data is None:
        verdict = f"No LLM usage is recorded in {_shown(path)} ({result.snapshot_name})"
        table = change_lines(compare_usage({}, now))
        return _arranged([verdict], table, [f"Record:  {command}"])
    then = _parsed(result.recalled_data)
    changes = compare_usage(then, now, snapshot.compared_with)
    verdict = f"LLM usage differs from {_shown(path)} ({result.snapshot_name})"
    reasons = causes(changes, _where(usage, snapshot.model_names), _prices(path, then, now))
    return _arranged(
        [verdict],
        change_lines(changes),
        [*(line for text in reasons for line in wrap(text, 76)), f"Accept:  {command}"],
    )


def _arranged(verdict: list[str], table: list[str], rest: list[str]) -> list[str]:
    table = [f"  {line}" for line in table]
    lines = [*verdict, *table, *rest]
    most_lines, most_characters = _PYTEST_SHOWS
    fits = len(lines) <= most_lines and sum(map(len, lines)) <= most_characters
    return lines if fits else [*verdict, *rest, *table]


def _nodeid(config: Any, test_location: PyTestLocation) -> str:
    """The test as the command line takes it where pytest was started."""
    path = os.path.relpath(test_location.filepath, config.invocation_params.dir)
    return "::".join((Path(path).as_posix(), *test_location.nodeid.split("::")[1:]))


def _quoted(nodeid: str) -> str:
    return shlex.quote(nodeid) if re.search(r'["$`\\!]', nodeid) else f'"{nodeid}"'


def _where(usage: object, model_names: Mapping[str, str]) -> Callable[[str, str], str]:
    """Where in the user's code a model's last call, or the one with the most tokens of a kind, was made."""

    def where(model: str, which: str) -> str:
        known = [call for call in getattr(usage, "calls", ()) if call.usage is not None]
        calls = [call for call in known if model_name(call.model, model_names) == model]
        if not calls:
            return ""
        call = calls[-1] if which == "last" else max(calls, key=lambda call: getattr(call.usage, which))
        return call.where or ""

    return where


def _prices(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> Callable[[str], tuple[str, str]]:
    """By whose prices a model was and is: as the snapshot says, else by the book that it was last written with."""
    book = UsageFile.load(path).prices_version
    books = (f"genai-prices {book}" if book else "", f"genai-prices {version('genai-prices')}")

    def prices(model: str) -> tuple[str, str]:
        was, is_now = (usage.get(model, {}).get(PRICE_FROM) for usage in (then, now))
        return (was, is_now) if was and is_now else books

    return prices
