"""The snapshot file: one readable YAML file per test module, edited entry by entry.

Everything else in the file (other tests' entries, comments between them) stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from pytest_llm_usage.atomic import alone_with, replace_file
from pytest_llm_usage.errors import ConfigurationError, hides_frames
from pytest_llm_usage.text import shown_path

__all__ = ["FORMAT", "UsageFile", "dump", "edit_file", "parsed", "unwritten_files"]

#: pytest shows the user's line alone.
__tracebackhide__ = hides_frames

#: 1: by snapshot name, by model, the fields of `LLMUsage.to_dict()`, and where the price comes from (`price_from`);
#:    if the test compares it, also `input_by_part`: tokens by part, `tools_by_name`, and `estimated_by`.
FORMAT = 1

_HEADER = re.compile(r"# LLM usage, format (\d+)\b(?:.*\(genai-prices ([^)\s]+)\))?")
#: PyYAML reads a longer key only in the explicit form `? key`.
_LONGEST_SIMPLE_KEY = 1000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Entry:
    """One snapshot in a file: its name, its usage, and its lines (from `start` up to, not including, `stop`)."""

    name: str
    usage: dict[str, dict[str, Any]]
    start: int
    stop: int


@dataclass(frozen=True)
class UsageFile:
    """A snapshot file as it was read: lines, kept as they are, and the entries they hold.

    Attributes:
        lines: All lines with their line endings.
        entries: By name, in the order of the file.
        prices_version: The genai-prices that it was last written with, or None if it does not say.
    """

    lines: tuple[str, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    prices_version: str | None = None

    @classmethod
    def load(cls, path: Path) -> UsageFile:
        """The file at `path`; empty if there is none.

        Raises:
            ConfigurationError: This version cannot read the file. The file is left as it is.
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
                raise _unreadable(shown, start, f"{entry.name} appears twice")
            entries[entry.name] = entry
        return cls(lines, entries, header[2] if header is not None else None)

    def updated(self, usages: Mapping[str, Mapping[str, Any]]) -> str:
        """The text with these entries replaced, or inserted in the order of names; all else as it is."""
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
        """The line before which a new entry goes: after the entries that sort before it by name."""
        place = 1 if self._has_header else 0
        for entry in self.entries.values():
            if entry.name > name:
                return place
            place = entry.stop
        return place if self.entries else len(self.lines)

    def _edited(self, edits: Sequence[tuple[int, int, str]]) -> str:
        lines = list(self.lines)
        # From the last to the first, so that line numbers stay valid; edits at the same line keep their order.
        for start, stop, text in sorted(edits, key=lambda edit: edit[:2])[::-1]:
            lines[start:stop] = [text]
        return "".join(lines)


@lru_cache(maxsize=64)
def _loaded(path: Path, _stamp: tuple[int, int, int]) -> UsageFile:
    """The file, parsed once for all the tests of a module; `_stamp` identifies the state of the file."""
    shown = shown_path(path)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _unreadable(shown, 0, f"it is not UTF-8 ({error.reason})") from None
    return UsageFile.parse(text, shown)


def _unreadable(shown: str, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{shown}:{line + 1}: {reason}. Nothing was changed.\n"
        "Restore the file, or delete it and write it again:  pytest --snapshot-update"
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
    return f"{opening}\n{indent(dump(usage), '  ')}" if usage else f"{opening} {{}}\n"


def _key(name: str) -> str:
    """`name` as a YAML key: plain where it reads back as the same text, else quoted with escapes."""
    with suppress(yaml.YAMLError):
        if name[:1].isidentifier() and name.isprintable() and yaml.load(f"{name}: 0\n", _Loader) == {name: 0}:  # noqa: S506 -- a safe loader
            return name
    quoted: str = yaml.dump(name, Dumper=_Dumper, default_style='"', allow_unicode=True, width=float("inf"))
    return quoted.rstrip("\n")


def parsed(text: Any) -> dict[str, Any]:
    """A usage from the YAML that `dump` made of it."""
    usage: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 -- a safe loader
    return usage


class _Dumper(yaml.SafeDumper):
    """Escapes characters that PyYAML would write as they are and read back differently (NEL, for one)."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    ),
)


def dump(usage: Mapping[str, Any]) -> str:
    """A usage as YAML: models by name, fields in the order they have."""
    plain = {model: usage[model] for model in sorted(usage)}
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text


def edit_file(path: Path, edit: Callable[[UsageFile], str | None]) -> None:
    """Rewrites a file in one step, one worker at a time; deletes it if `edit` returns None.

    If it cannot be written, the end of the run says so (`unwritten_files`): when syrupy writes, no test can fail any
    more.
    """
    try:
        with alone_with(path):
            content = edit(UsageFile.load(path))
            if content is None:
                path.resolve().unlink(missing_ok=True)
            else:
                replace_file(path, content.encode())
    except OSError as error:
        _unwritten.append(f"snapshots not written: {shown_path(path)}: {error.strerror or error}")
    except ConfigurationError as error:
        _unwritten.append(str(error))


_unwritten: list[str] = []


def unwritten_files() -> list[str]:
    """What could not be written since this was last called, a line each."""
    told = [line.replace("\n", "  ") for line in _unwritten]
    _unwritten.clear()
    return told
