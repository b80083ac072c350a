"""The messages for a request that is not in the cassette: the closest recording, what changed, and what to do."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.matching import Recordings, agrees, changes_each_run, is_same_scalar
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.subject import Subject, canonical_json
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.text import listed
from pytest_llm_usage.tracker.tracker import Tracker

__all__ = [
    "Difference",
    "closest_recording",
    "differences",
    "explain_age",
    "explain_forked",
    "explain_late",
    "explain_miss",
    "explain_no_recording",
    "explain_unplayed",
    "explain_unwritable",
]

_MAX_DIFFERENCES = 6
_MAX_VALUE_CHARACTERS = 100
_MAX_LISTED_REQUESTS = 8
#: The value of a place that is not there.
_ABSENT: Any = type("_Absent", (), {"__repr__": lambda _: "(absent)"})()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two values differ. `was` or `now` is `(absent)` if that value does not have the place."""

    path: str
    was: Any
    now: Any


def differences(was: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """Yields where two JSON values differ, outermost places first; lists are aligned, so one insertion is one place."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            here = f"{path}.{key}" if path else str(key)
            one, other = was.get(key, _ABSENT), now.get(key, _ABSENT)
            # A member that is null counts as absent.
            if not (one in (None, _ABSENT) and other in (None, _ABSENT)):
                yield from differences(one, other, here)
    elif isinstance(was, list) and isinstance(now, list):
        yield from _list_differences(was, now, path)
    elif not is_same_scalar(was, now):
        yield Difference(path, was, now)


def _list_differences(was: list[Any], now: list[Any], path: str) -> Iterator[Difference]:
    keys, new_keys = [canonical_json(part) for part in was], [canonical_json(part) for part in now]
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, keys, new_keys, autojunk=False
    ).get_opcodes():
        if tag == "equal":
            continue
        shared = min(end - start, new_end - new_start)
        for offset in range(shared):
            yield from differences(was[start + offset], now[new_start + offset], f"{path}[{new_start + offset}]")
        for index in range(start + shared, end):
            yield Difference(f"{path}[{index}]", was[index], _ABSENT)
        for index in range(new_start + shared, new_end):
            yield Difference(f"{path}[{index}]", _ABSENT, now[index])


def explain_no_recording(policy: CassettePolicy, made: Subject, renamed: Path | None = None) -> str:
    """The message for a request when there is no cassette at all.

    Args:
        policy: The cassette's policy.
        made: The request.
        renamed: A cassette that holds this request and that no test owns: the test was probably renamed.
    """
    lines = [f"No recording: {policy.shown_path} does not exist", f"{made.method} {made.uri}"]
    if policy.folder_from:
        lines.append(
            f"The folder is set by {policy.folder_from}.  llm_usage_cassette_dir = cassettes  in pytest's configuration "
            "overrides it"
        )
    if renamed is not None:
        path = policy.path
        moved = path.with_name(f"{path.name}.gz") if renamed.suffix == ".gz" else path.with_suffix(renamed.suffix)
        old, new = (shlex.quote(os.path.relpath(path)) for path in (renamed, moved))
        return "\n".join([*lines, f"Was the test renamed? This request is recorded:  git mv {old} {new}"])
    command = policy.rerecord_command
    if command.endswith("=rewrite"):
        command = command.removesuffix("rewrite") + "once"
    advice = [policy.record_again] if policy.draws_examples else []
    return "\n".join([*lines, *advice, f"Record it:  {command}"])


def explain_miss(
    policy: CassettePolicy, recordings: Recordings, made: Subject, interactions: Sequence[Interaction] = ()
) -> str:
    """The message for a request that the cassette does not hold, or does not hold any more.

    Args:
        policy: How the cassette is used.
        recordings: The requests that it holds.
        made: The request.
        interactions: The recordings themselves; they give the price of the tokens that were added or removed.
    """
    path, total = policy.shown_path, len(recordings.subjects)
    request = f"{made.method} {made.uri}"
    again = policy.record_again
    replayed = list(recordings.matching(made))
    if replayed:
        times = "once" if len(replayed) == 1 else f"{len(replayed)} times"
        return "\n".join(
            [
                f"Recording used up: {path}: this request was recorded {times}, and every recording was already replayed",
                request,
                again,
            ]
        )
    closest = _closest(recordings, made)
    if closest is None:
        held = listed([f"{subject.method} {subject.uri}" for subject in recordings.subjects], _MAX_LISTED_REQUESTS)
        return "\n".join(
            [f"Recording does not match: {path} has no such request", request, "It has:", *held, again]
            if held
            else [f"Recording does not match: {path} has no requests", request, again]
        )
    lines = [f"Recording does not match: {path}, request {closest + 1} of {total}", request]
    recorded = recordings.subjects[closest]
    lines += _changes(recordings, recorded, made)
    lines += _input_delta(policy, recorded, made, interactions[closest : closest + 1])
    changing, is_all = _changing(recordings, recorded, made)
    if changing:
        lines += _ignore_advice(changing)
    # If everything that differs changes with each run, a new recording would not match either.
    return "\n".join(lines if is_all else [*lines, again])


def _changing(recordings: Recordings, recorded: Subject, made: Subject) -> tuple[Sequence[str], bool]:
    """The members of the body that change from run to run, and whether nothing else differs."""
    (kind, was), (made_kind, now) = recorded.body_value, made.body_value
    if kind != "json" or made_kind != "json" or "body" not in recordings.parts:
        return (), False
    found = list(differences(was, now))
    changing = [difference.path for difference in found if changes_each_run(difference.was, difference.now)]
    others = [
        part for part in recordings.parts if part not in ("body", "raw_body") and not agrees(part, recorded, made)
    ]
    return changing, bool(found) and len(changing) == len(found) and not others


def _ignore_advice(changing: Sequence[str]) -> list[str]:
    """The lines that say how to deal with members that change from run to run."""
    paths = list(dict.fromkeys(re.sub(r"\[\d+\]", "[*]", path) for path in changing))
    shown = ", ".join(paths[:_MAX_DIFFERENCES]) + (" …" if len(paths) > _MAX_DIFFERENCES else "")
    return [
        f"Changes from run to run: {shown}",
        f"Leave it out of the comparison:  llm_usage_ignore_body = {paths[0]}  in pytest's configuration",
        f'or for one test:  @pytest.mark.llm_cassette(ignore_body=["{paths[0]}"])',
        "or compare no bodies at all:  llm_usage_match_on = method host path query  in pytest's configuration",
    ]


def explain_age(policy: CassettePolicy, recorded_at: datetime, age_days: int) -> str:
    """The message for a cassette that is older than it may be."""
    age = f"was recorded on {recorded_at.date()}, {age_days:,} days ago (llm_usage_max_age = {policy.max_age_days:,} days)"
    return f"Recording too old: {policy.shown_path} {age}\nRecord again:  {policy.rewrite_command}"


def explain_unwritable(policy: CassettePolicy, why: str) -> str:
    """The message for a request that was to be recorded where nothing can be saved."""
    return f"Not sent: {policy.shown_path} could not be saved: {why}\nTo replay it:  --llm-usage-record=none"


def explain_late(policy: CassettePolicy, made: Subject) -> str:
    """The message for a request of a thread or task that an earlier test left behind."""
    return "\n".join(
        [
            f"Late request: not sent, and not recorded in {policy.shown_path}, which belongs to another test",
            f"{made.method} {made.uri}",
            "An earlier test started the thread or task that made it",
            "Wait for it at the end of that test, or start it in a fixture of wider scope",
        ]
    )


def explain_forked(policy: CassettePolicy, made: Subject) -> str:
    """The message for a request that would be recorded, but comes from a process that the test has forked."""
    return "\n".join(
        [
            f"Request of a forked process: not sent, and not recorded in {policy.shown_path}, which its parent saves",
            f"{made.method} {made.uri}",
            "Record it with one process or with threads; processes replay it. Without a cassette:  --llm-usage-record=live",
        ]
    )


def explain_unplayed(policy: CassettePolicy, unplayed: Sequence[Interaction], total: int) -> str:
    """The message for recordings that no request of the test asked for."""
    requests = [f"{found.request.method} {policy.redaction.uri(found.request.uri)}" for found in unplayed]
    return "\n".join(
        [
            f"Recording not played: {policy.shown_path}, {len(unplayed)} of {total} requests were not made",
            *listed(requests, _MAX_LISTED_REQUESTS),
            policy.record_again,
        ]
    )


def closest_recording(recordings: Recordings, made: Subject) -> int | None:
    """The position of the used-up recording of a request, else of the most similar recording; None if there is none."""
    used_up = list(recordings.matching(made))
    return used_up[-1] if used_up else _closest(recordings, made)


def _closest(recordings: Recordings, made: Subject) -> int | None:
    """The recording of the same endpoint that differs least, preferably one that was not replayed yet."""
    best, best_score = None, (0.0, 0.0, 0.0)
    for index, recorded in enumerate(recordings.subjects):
        if not (agrees("method", recorded, made) and agrees("path", recorded, made)):
            continue
        agreeing = sum(agrees(part, recorded, made) for part in recordings.parts if part not in ("body", "raw_body"))
        score = (float(agreeing), float(index not in recordings.played), _likeness(recorded, made))
        if best is None or score > best_score:
            best, best_score = index, score
    return best


def _likeness(recorded: Subject, made: Subject) -> float:
    one, other = str(recorded.body), str(made.body)
    matcher = difflib.SequenceMatcher(None, one[:2000], other[:2000], autojunk=False)
    # Two turns of a conversation begin alike, so their length tells them apart.
    return matcher.quick_ratio() - abs(len(one) - len(other)) / (len(one) + len(other) + 1)


def _changes(recordings: Recordings, recorded: Subject, made: Subject) -> Sequence[str]:
    lines: list[str] = []
    for part in recordings.parts:
        if part not in ("body", "raw_body") and not agrees(part, recorded, made):
            lines += _change(part, _shown_part(recorded, part), _shown_part(made, part))
    if not {"body", "raw_body"} & set(recordings.parts):
        return lines
    (kind, was), (made_kind, now) = recorded.body_value, made.body_value
    if kind == made_kind == "json":
        return [*lines, *_json_changes(was, now)]
    if kind != made_kind:
        return [*lines, f"  body   was {kind}, is {made_kind}"]
    if was != now:
        lines += _change("body", was, now)
    return lines


def _shown_part(subject: Subject, part: str) -> Any:
    value = getattr(subject, part)
    return "&".join(f"{name}={text}" for name, text in value) if part == "query" else value


def _json_changes(was: Any, now: Any) -> list[str]:
    found = list(differences(was, now))
    lines: list[str] = []
    for difference in found[:_MAX_DIFFERENCES]:
        lines += _change(difference.path or "body", difference.was, difference.now)
    if len(found) > _MAX_DIFFERENCES:
        lines.append(f"  and {len(found) - _MAX_DIFFERENCES} more places")
    return lines


def _input_delta(
    policy: CassettePolicy, recorded: Subject, made: Subject, interactions: Sequence[Interaction]
) -> list[str]:
    """The lines that say by how many tokens the input of a call changed; none for a request that is not a call."""
    was, now = recorded.body_value[1], made.body_value[1]
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return []
    from pytest_llm_usage.anatomy.delta import delta_of_bodies  # noqa: PLC0415 -- only on the way to an error

    delta = delta_of_bodies(made.method, made.path, was, now)
    if delta is None or not delta.lines():
        return []
    return [f"  {line}" for line in delta.lines(_input_price(policy, interactions))]


def _input_price(policy: CassettePolicy, interactions: Sequence[Interaction]) -> Decimal | None:
    """USD per million input tokens of a recorded call, on the day of the recording; None if that is not known."""
    if policy.prices is None:
        return None
    tracker = Tracker(root=policy.root, prices=policy.prices)
    for interaction in interactions:
        tracker.take_in(interaction.exchange(), tracker.request())
    lines = (line for call in tracker.calls() for line in call.quote.lines if line.kind == "input")
    return next((line.usd_per_million for line in lines), None)


def _change(name: str, was: Any, now: Any) -> list[str]:
    shown_was, shown_now = _shown_pair(was, now)
    margin = f"  {name}   "
    if len(margin) > 40:
        return [f"  {name}", f"       {shown_was}", f"    -> {shown_now}"]
    return [f"{margin}{shown_was}", f"{' ' * (len(margin) - 3)}-> {shown_now}"]


def _shown_pair(was: Any, now: Any) -> tuple[str, str]:
    """Both values as text; long ones are cut to the part that changed."""
    one, other = mask_text(_as_text(was)), mask_text(_as_text(now))
    if max(len(one), len(other)) <= _MAX_VALUE_CHARACTERS:
        return one, other
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, same - 30)
    return _cut(one, start), _cut(other, start)


def _as_text(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return repr(value)


def _cut(text: str, start: int) -> str:
    end = start + _MAX_VALUE_CHARACTERS
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
