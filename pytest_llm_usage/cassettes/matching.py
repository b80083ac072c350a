"""Which recording answers a request. Works on plain requests; knows neither files nor HTTP libraries.

The parts that can be compared have vcrpy's names: `method`, `scheme`, `host`, `port`, `path`, `query` (in any order),
`uri` or `url` (those five), `headers` (without volatile ones), `raw_body` (bytes) and `body`: JSON by value (key order,
white space and `1` against `1.0` do not matter), forms by their fields, multipart by its parts (the boundary between
them does not matter), anything else byte for byte.

A recording is compared by what it still says. People filter their recordings, so these match anything:

- a body that was not recorded at all (`null`, empty) where the request has one;
- a URL that is a placeholder such as `**REDACTED**` or `<URL>`, or starts with one (`<API_BASE>/chat`), and a
  placeholder that is a part of a host or path;
- a query value or a JSON string that is nothing but a placeholder.

SDKs change, recordings stay. So a member that is `null` counts as absent, and the versions of Google's API count as
one. If no body is equal, a body matches that differs only in ids made anew in each run, if each id changed alike
wherever it occurs (`without_ids`).

A recording that says everything is preferred to one that leaves something out. Each recording answers once; equal
requests get their recordings in the order in which they were made.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from pytest_llm_usage.cassettes.subject import URL_PLACEHOLDER, Subject
from pytest_llm_usage.credentials.placeholders import REDACTED, is_placeholder
from pytest_llm_usage.credentials.values import is_worth_guarding

__all__ = [
    "DEFAULT_MATCH_ON",
    "MATCHERS",
    "Recordings",
    "agrees",
    "changes_each_run",
    "is_same_scalar",
    "without_ids",
]

DEFAULT_MATCH_ON = ("method", "host", "path", "query", "body")
_URI_PARTS = ("scheme", "host", "port", "path", "query")
#: The names of vcrpy's matchers, each with the parts of a `Subject` that it compares.
MATCHERS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("method", *_URI_PARTS, "headers", "raw_body", "body")},
    "uri": _URI_PARTS,
    "url": _URI_PARTS,
}


#: Ids as SDKs and frameworks make them: UUIDs with and without hyphens, and random letters after a word for their kind.
_MADE_ID = re.compile(
    r"(?<![A-Za-z0-9])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}"
    r"|(?:call|toolu|toolcall|tool_call|fc|msg|rs|run|lc_run|thread|chatcmpl|chatcmpl-tool|resp|pyd_ai)_{1,2}"
    r"(?=[A-Za-z-]*[0-9])[A-Za-z0-9-]{8,64})(?![A-Za-z0-9])"
)


def without_ids(canonical: str) -> str:
    """A canonical JSON text with its ids numbered in the order in which they first appear.

    Two texts are then equal if one consistent renaming of ids makes them equal: equal ids have equal numbers.
    """
    numbers: dict[str, int] = {}
    return _MADE_ID.sub(lambda found: f"<id {numbers.setdefault(found[0], len(numbers))}>", canonical)


_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_TIME = r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?"
#: What else changes with each run, besides the ids above: dates and times in figures, in words and in seconds since the
#: epoch, and the folder that pytest makes for the files of a run. Compiled when a difference is first explained.
_MOMENT = (
    rf"\b(?:19|20)\d\d-\d\d-\d\d(?:[T ]{_TIME}(?:Z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b1[5-9]\d{8}(?:\d{3}){0,3}(?:\.\d+)?\b"
    r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
    rf"(?:{_MONTH} {{1,2}}{_DAY},?(?: {_TIME})?|{_DAY} {_MONTH},?) (?:19|20)\d\d\b(?:,?(?: at)? {_TIME}(?: ?[AP]M)?)?"
    r"|\b\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d\d\b"
    r"|\bpytest-of-[^/\s]{1,64}/pytest-\d+(?=/)"
)


def changes_each_run(was: Any, now: Any) -> bool:
    """Whether two values differ only in ids and moments, as the values of two runs do."""
    if not (isinstance(was, str | int | float) and isinstance(now, str | int | float)):
        return False
    one, other = ([re.split(_MOMENT, piece) for piece in _MADE_ID.split(str(value))] for value in (was, now))
    return one == other and str(was) != str(now)


def _json_agrees(recorded: Any, made: Any) -> bool:
    if isinstance(recorded, str) and isinstance(made, str):
        return recorded == made or is_placeholder(recorded) or _agrees_but_for_values(recorded, made)
    if isinstance(recorded, str) and is_placeholder(recorded):
        return True
    if isinstance(recorded, dict) and isinstance(made, dict):
        return all(_member_agrees(recorded, made, key) for key in recorded.keys() | made.keys())
    if isinstance(recorded, list) and isinstance(made, list):
        return len(recorded) == len(made) and all(map(_json_agrees, recorded, made))
    return is_same_scalar(recorded, made)


def _member_agrees(recorded: Mapping[str, Any], made: Mapping[str, Any], key: str) -> bool:
    if key in recorded and key in made:
        return _json_agrees(recorded[key], made[key])
    # A member that is null counts as absent.
    return recorded.get(key) is None and made.get(key) is None


def is_same_scalar(one: Any, other: Any) -> bool:
    """Whether two JSON values other than objects and arrays are the same: `1` is `1.0`, but not `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _text_agrees(recorded: str, made: str) -> bool:
    """Whether the texts agree if each placeholder in the recorded one stands for anything."""
    if recorded == made or _agrees_but_for_values(recorded, made):
        return True
    if not URL_PLACEHOLDER.search(recorded):
        return recorded == made
    first, *between, last = (piece.lower() for piece in URL_PLACEHOLDER.split(recorded))
    text = made.lower()
    # Piece by piece, each as early as possible; a regular expression would try every combination.
    if not (text.startswith(first) and text.endswith(last) and len(first) + len(last) <= len(text)):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in between:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def _agrees_but_for_values(recorded: str, made: str) -> bool:
    """Whether the texts agree but for credentials that were taken out of the recorded one.

    Another request of the run made them known.
    """
    first, *others = recorded.split(REDACTED)
    if not others or not made.startswith(first):
        return False
    position = len(first)
    for number, piece in enumerate(others, 1):
        is_last = number == len(others)
        found = len(made) - len(piece) if is_last else made.find(piece, position)
        if found < position or not made.endswith(piece if is_last else ""):
            return False
        gap = made[position:found]
        if gap != REDACTED and not is_worth_guarding(gap):
            return False
        position = found + len(piece)
    return True


def agrees(part: str, recorded: Subject, made: Subject) -> bool:
    """Whether a recorded request agrees in one part (see `MATCHERS`) with a request that is made now."""
    if part in _URI_PARTS and recorded.is_url_unknown:
        return True
    if part in ("scheme", "host", "port") and not recorded.scheme:
        return True
    if part == "method":
        return recorded.method == made.method or is_placeholder(recorded.method)
    if part in ("host", "path"):
        return _text_agrees(getattr(recorded, part), getattr(made, part))
    if part == "query":
        return len(recorded.query) == len(made.query) and all(
            name == made_name and (value == made_value or is_placeholder(value) or _text_agrees(value, made_value))
            for (name, value), (made_name, made_value) in zip(recorded.query, made.query, strict=True)
        )
    if part == "body":
        kind, value = recorded.body_value
        made_kind, made_value = made.body_value
        if kind == "empty":
            return True
        if kind == "json" and made_kind == "json":
            return _json_agrees(value, made_value)
        if kind == "form" and made_kind == "form":
            return len(value) == len(made_value) and all(
                name == made_name and (one == other or is_placeholder(one))
                for (name, one), (made_name, other) in zip(value, made_value, strict=True)
            )
        return recorded.body == made.body
    if part == "raw_body":
        return not recorded.raw_body or recorded.raw_body == made.raw_body
    return bool(getattr(recorded, part) == getattr(made, part))


class Recordings:
    """The requests of a cassette, each to be replayed once.

    Args:
        subjects: The recorded requests, in recorded order.
        match_on: Names of `MATCHERS`.
        repeat: Let the last recording of a request answer again when all of them were replayed
            (vcrpy's `allow_playback_repeats`).
    """

    def __init__(self, subjects: Sequence[Subject], match_on: Sequence[str], *, repeat: bool = False) -> None:
        self.subjects = subjects
        self.parts = tuple(dict.fromkeys(part for name in match_on for part in MATCHERS[name]))
        self._repeat = repeat
        self._exact: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
        self._with_gaps: list[int] = []
        self.played: set[int] = set()
        for index, subject in enumerate(subjects):
            if subject.has_gaps:
                self._with_gaps.append(index)
            if not subject.is_url_unknown:
                self._exact[self._key(subject)].append(index)

    def _key(self, subject: Subject) -> tuple[Hashable, ...]:
        return tuple(getattr(subject, part) for part in self.parts)

    def _key_without_ids(self, subject: Subject) -> tuple[Hashable, ...] | None:
        kind, _ = subject.body_value
        if kind != "json" or "body" not in self.parts:
            return None
        _, text = cast("tuple[str, str]", subject.body)
        return tuple(without_ids(text) if part == "body" else getattr(subject, part) for part in self.parts)

    @cached_property
    def _without_ids(self) -> Mapping[tuple[Hashable, ...], Sequence[int]]:
        """The positions of recordings by their keys without ids; computed for the first request that needs it."""
        found: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
        for index, subject in enumerate(self.subjects):
            key = self._key_without_ids(subject)
            if key is not None:
                found[key].append(index)
        return found

    def matching(self, made: Subject) -> Iterable[int]:
        """Yields the positions of all recordings of this request, those that say everything first."""
        exact = self._exact.get(self._key(made), ())
        yield from exact
        is_found = bool(exact)
        for index in self._with_gaps:
            if index not in exact and all(agrees(part, self.subjects[index], made) for part in self.parts):
                is_found = True
                yield index
        if made.as_sent is not None:
            for index in self._exact.get(self._key(made.as_sent), ()):
                if index not in exact:
                    is_found = True
                    yield index
        if not is_found and (key := self._key_without_ids(made)) is not None:
            yield from self._without_ids.get(key, ())

    def take(self, made: Subject, also: Callable[[int], bool] | None = None) -> int | None:
        """Takes the recording that answers this request: returns its position, or None if none is left.

        Args:
            made: The request.
            also: A further condition on a position, such as the user's own matchers.
        """
        last = None
        for index in self.matching(made):
            if also is not None and not also(index):
                continue
            if index not in self.played:
                self.played.add(index)
                return index
            last = index
        return last if self._repeat else None
