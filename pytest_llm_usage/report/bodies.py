"""The recorded prompt and answer of each call, for the page: read from the cassettes, and never more than these hold.

The caller passes the functions that read cassettes, now and in git's history: this package does not import them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import zip_longest
from typing import Any

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.encoding import decode
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.report.data import RunData, calls_in
from pytest_llm_usage.wire import WireCall, read
from pytest_llm_usage.wire.exchange import Exchange
from pytest_llm_usage.wire.framing import header

__all__ = ["MOST_CHARACTERS", "MOST_OF_ALL", "Recordings", "call_bodies"]

#: The most characters of one text, and of all texts of a page; the rest is cut.
MOST_CHARACTERS, MOST_OF_ALL = 20_000, 8_000_000
_CONTEXT_LINES = 2
_LONGEST_KEY = 4_000


@dataclass(frozen=True)
class Recordings:
    """The functions that read cassettes.

    Attributes:
        now: The exchanges in the cassette of that path, relative to pytest's root directory; none if it cannot be read.
        then: The same at a commit, where the file had that digest (`sha256:…`); None if it cannot be found.
    """

    now: Callable[[str], Sequence[Exchange]]
    then: Callable[[str, str, str], Sequence[Exchange] | None]


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A call to a model in a cassette."""

    cassette: str
    exchange: Exchange
    wire: WireCall


def call_bodies(data: RunData, recordings: Recordings, base: RunData | None = None) -> dict[str, list[dict[str, Any]]]:
    """By test, what was recorded of each of its calls: `prompt` and `answer` as lines, `diff` where the prompt changed,
    and `note` where something is left out. A call without a recording has none of them.

    Args:
        data: The run.
        recordings: The functions that read cassettes.
        base: The run that it is compared with.
    """
    left = MOST_OF_ALL
    found: dict[str, list[dict[str, Any]]] = {}
    for test, record in data["tests"].items():
        cassettes: Mapping[str, str] = record.get("cassettes", {})
        recorded = [each for name in cassettes for each in _calls_of(name, recordings.now(name))]
        matched = list(_matched(calls_in(record), recorded))
        if not any(matched):
            continue
        diffs, note = _diffs(cassettes, recorded, recordings, test, base)
        bodies = []
        for each in matched:
            body: dict[str, Any] = {}
            if each is not None and left > 0:
                body = _body(each)
                if id(each.exchange) in diffs:
                    body["diff"] = diffs[id(each.exchange)]
                left -= sum(len(line) for part in ("prompt", "answer", "diff") for line in body.get(part, ()))
            elif each is not None:
                body = {
                    "note": f"left out: the page holds no more than {MOST_OF_ALL:,} characters; see {each.cassette}"
                }
            if note and body:
                body["note"] = "; ".join(filter(None, (body.get("note", ""), note)))
            bodies.append(body)
        found[test] = bodies
    return found


def _calls_of(name: str, exchanges: Sequence[Exchange]) -> Iterator[_Recorded]:
    for exchange in exchanges:
        wire = read(exchange)
        if wire is not None:
            yield _Recorded(name, exchange, wire)


def _matched(calls: Sequence[Call], recorded: Sequence[_Recorded]) -> Iterator[_Recorded | None]:
    """The recording of each call, found by the response's id, else the next one with the same model and usage."""
    left = list(recorded)
    for call in calls:
        same = [
            each
            for each in left
            if (
                each.wire.response_id == call.response_id
                if call.response_id is not None and each.wire.response_id is not None
                else (each.wire.model, each.wire.usage) == (call.model, call.usage)
            )
        ]
        if same:
            left.remove(same[0])
        yield same[0] if same else None


def _body(recorded: _Recorded) -> dict[str, Any]:
    exchange = recorded.exchange
    prompt, cut_prompt = _cut(_prompt(recorded))
    answer, cut_answer = _cut(_text(exchange.response_body, header(exchange.response_headers, "content-encoding")))
    body: dict[str, Any] = {"prompt": prompt, "answer": answer}
    cuts = [f"{what} cut" for what, is_cut in (("prompt", cut_prompt), ("answer", cut_answer)) if is_cut]
    if cuts:
        body["note"] = f"{' and '.join(cuts)} after {MOST_CHARACTERS:,} characters; all of it is in {recorded.cassette}"
    return body


def _cut(text: str) -> tuple[list[str], bool]:
    """The lines of a text that are shown, and whether there are more. Another recorder's cassette may hold a key."""
    # Masked before it is cut: the start of a key would not be recognised.
    shown = mask_text(text[: MOST_CHARACTERS + _LONGEST_KEY])[:MOST_CHARACTERS]
    return shown.split("\n"), len(text) > MOST_CHARACTERS


def _prompt(recorded: _Recorded) -> str:
    """What was sent: each text after its JSON path, or the whole body if that cannot be read."""
    from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_prompt  # noqa: PLC0415 -- when asked for

    exchange = recorded.exchange
    try:
        pieces = read_prompt(exchange, recorded.wire.flavour).pieces
    except UnreadableRequestError:
        return _text(exchange.request_body, header(exchange.request_headers, "content-encoding"))
    return "\n\n".join(f"{piece.path}\n{piece.content if piece.is_text else '(no text)'}" for piece in pieces)


def _text(content: bytes, encoding: str) -> str:
    """A body as text; JSON indented."""
    text = decode(content, encoding).content.decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text.replace("\r\n", "\n")


def _diffs(
    cassettes: Mapping[str, str], now: Sequence[_Recorded], recordings: Recordings, test: str, base: RunData | None
) -> tuple[dict[int, list[str]], str]:
    """What changed in the prompt of each recorded call since the earlier run, and why, if that is not known."""
    before: Mapping[str, Any] = base["tests"].get(test, {}) if base is not None else {}
    diffs: dict[int, list[str]] = {}
    for name, digest in before.get("cassettes", {}).items():
        if name not in cassettes or cassettes[name] == digest:
            continue
        commit = base["environment"].get("commit") if base is not None else None
        exchanges = recordings.then(commit, name, digest) if isinstance(commit, str) else None
        if exchanges is None:
            return (
                diffs,
                "the recording that the earlier run replayed is not in git's history, so prompts are not compared",
            )
        pairs = zip_longest(_calls_of(name, exchanges), (each for each in now if each.cassette == name))
        for was, is_now in pairs:
            if was is not None and is_now is not None and (lines := _diff(_prompt(was), _prompt(is_now))):
                diffs[id(is_now.exchange)] = lines
    return diffs, ""


def _diff(was: str, now: str) -> list[str]:
    lines = unified_diff(was.split("\n"), now.split("\n"), "before", "now", lineterm="", n=_CONTEXT_LINES)
    return _cut("\n".join(lines))[0] if was != now else []
