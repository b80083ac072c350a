"""Cassettes as files: finds them, shows what is in them, and finds and removes secrets."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TypeAlias
from urllib.parse import urlsplit

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import reader, storage, writer
from pytest_llm_usage.cassettes.content import decoded
from pytest_llm_usage.cassettes.interaction import Headers, Interaction, recording_dates
from pytest_llm_usage.cassettes.names import FAILED
from pytest_llm_usage.cassettes.redaction import RecordingRedaction, Redaction, answers_a_model
from pytest_llm_usage.cassettes.secret_scan import Finding, find_secrets, texts_in, values_to_find
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.credentials.values import credentials_in
from pytest_llm_usage.errors import CassetteError

__all__ = ["Summary", "audit", "files_in", "find_cassettes", "find_orphans", "redact", "show", "summarize"]

_ENDINGS = (".yaml", ".yml", ".yaml.gz")
_MAX_SHOWN_CHARACTERS = 300
#: How much of a body is masked: more than is shown, by the length of any key.
_MAX_MASKED_CHARACTERS = 20_000
_COLUMNS = 80


def find_cassettes(places: Iterable[Path]) -> list[Path]:
    """The cassettes at some paths, sorted: a file is taken as it is, a folder is searched.

    The cassettes of a folder are the YAML files in its folders called `cassettes`. If there are none and the folder is
    called so or is inside such a folder, they are all its YAML files.
    """
    found: set[Path] = set()
    for place in places:
        if place.is_file():
            found.add(place)
            continue
        files = [path for path in place.rglob("*") if path.name.endswith(_ENDINGS) and path.is_file()]
        named_so = [path for path in files if "cassettes" in path.relative_to(place).parts[:-1]]
        found.update(named_so or (files if "cassettes" in place.resolve().parts else ()))
    return sorted(found)


def files_in(folder: Path) -> list[Path]:
    """The paths in a folder; none if it is not a folder or cannot be read.

    The tests that have a cassette in it report that.
    """
    try:
        return [*folder.iterdir()]
    except OSError:
        return []


def find_orphans(folders: Iterable[Path], owned: Iterable[Path]) -> list[Path]:
    """The cassettes in some folders that belong to no test, sorted.

    Args:
        folders: Cassette folders of test modules whose tests are all known, including those that are not run.
        owned: The cassettes that belong to those tests, whether they exist or not.
    """
    names = {path for own in owned for path in (own, own.with_name(own.name + ".gz"))}
    return sorted(
        path
        for folder in set(folders)
        for path in files_in(folder)
        if path.name.endswith(_ENDINGS) and path not in names and not path.name.endswith(f"{FAILED}.yaml")
    )


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is in one cassette.

    Attributes:
        path: The file.
        size_bytes: Its size on the disk.
        interactions: How many requests were recorded.
        model_calls: How many of them are calls to a model that were answered.
        hosts: The hosts that they went to, in order of appearance.
        models: The models that answered, in order of appearance.
        recorded_from: The earliest date in it, or None if it has none.
        recorded_to: The latest date in it.
        problem: Why it cannot be read; empty if it can.
    """

    path: Path
    size_bytes: int = 0
    interactions: int = 0
    model_calls: int = 0
    hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    recorded_from: datetime | None = None
    recorded_to: datetime | None = None
    problem: str = ""


def summarize(path: Path) -> Summary:
    """Summarizes the cassette `path`. If it cannot be read, the summary has a `problem`; nothing is raised."""
    try:
        interactions = storage.load(path)
    except CassetteError as error:
        return Summary(path=path, size_bytes=path.stat().st_size if path.exists() else 0, problem=str(error))
    calls = [call for found in interactions if (call := wire.read(found.exchange())) is not None]
    dates = recording_dates(interactions)
    return Summary(
        path=path,
        size_bytes=path.stat().st_size,
        interactions=len(interactions),
        model_calls=len(calls),
        hosts=tuple(dict.fromkeys(filter(None, (_host(found.request.uri) for found in interactions)))),
        models=tuple(dict.fromkeys(call.model for call in calls)),
        recorded_from=min(dates, default=None),
        recorded_to=max(dates, default=None),
    )


def _host(uri: str) -> str:
    try:
        return urlsplit(uri).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def show(path: Path) -> str:
    """A cassette as readable text: each request with its response, shortened, and the usage that the response states.

    The text is safe to print: lines of 80 columns, no credentials, no control characters.

    Raises:
        CassetteError: It cannot be read.
    """
    lines = []
    interactions = storage.load(path)
    for number, found in enumerate(interactions, 1):
        request, response = (clean := Redaction().interaction(found)).request, clean.response
        lines += _wrapped(f"{number}/{len(interactions)}  ", f"{request.method} {request.uri}")
        lines += _shown_body("   > ", request.headers, request.body)
        lines += _wrapped("   ", f"{response.status} {response.reason}")
        lines += _shown_body("   < ", response.headers, response.body)
        call = wire.read(found.exchange())
        if call is not None:
            usage, least = call.usage, "at least " if call.is_partial else ""
            counts = f"{usage.input_tokens:,} in, {usage.output_tokens:,} out" if usage is not None else "no usage"
            if usage is not None and usage.is_total_alone:
                counts = f"{usage.total_tokens:,} in total"
            lines += _wrapped("   ", f"{call.model}: {least}{counts}")
        lines.append("")
    return "\n".join(lines)


def _shown_body(mark: str, headers: Headers, body: bytes | None) -> list[str]:
    if not body:
        return []
    plain = decoded(headers, body)
    if plain is None:
        return [f"{mark}({len(body):,} bytes)"]
    try:
        text = " ".join(plain.decode().split())
    except UnicodeDecodeError:
        return [f"{mark}({len(plain):,} bytes)"]
    # Masked before it is cut or wrapped, because half of a key is not recognised.
    text = mask_text(text[:_MAX_MASKED_CHARACTERS]) + text[_MAX_MASKED_CHARACTERS:]
    cut = len(text) - _MAX_SHOWN_CHARACTERS
    return _wrapped(mark, text[:_MAX_SHOWN_CHARACTERS] + (f"… and {cut:,} more characters" if cut > 0 else ""))


def _wrapped(mark: str, text: str) -> list[str]:
    """A text wrapped into lines after a mark, without credentials and control characters."""
    masked = mask_text(text)
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in masked)
    return wrap(printable, _COLUMNS, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False)


def audit(path: Path, redaction: Redaction | None = None, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """The secrets in an existing cassette, by the rules for writing a recording, in the order of the file.

    Args:
        path: The file.
        redaction: The user's own rules.
        environment: The variables whose credentials must not be in the cassette.

    Raises:
        CassetteError: It cannot be read.
    """
    rules = redaction or Redaction()
    interactions = storage.load(path)
    values = values_to_find(credentials_in(environment), _recognised(interactions, rules))
    return [
        replace(finding, place=f"interaction {number}, {finding.place}")
        for number, interaction in enumerate(interactions, 1)
        for finding in (*_misplaced(interaction, rules), *find_secrets(rules.interaction(interaction), values))
    ]


def _recognised(interactions: Sequence[Interaction], redaction: Redaction) -> list[str]:
    """The credentials that are recognised by their place, such as a header."""
    noting = RecordingRedaction.from_rules(redaction)
    for interaction in interactions:
        noting.interaction(interaction)
    return noting.credentials()


def _misplaced(interaction: Interaction, redaction: Redaction) -> Iterator[Finding]:
    """Yields what a recording would have replaced."""
    for place, text, apply in _parts(interaction):
        rules = RecordingRedaction.from_rules(redaction)
        apply(rules)
        for where in dict.fromkeys(_path_of(value, text) for value in rules.replaced):
            yield Finding(place + where, "a credential or an account id")


_Part: TypeAlias = tuple[str, str, Callable[[Redaction], object]]


def _parts(interaction: Interaction) -> Iterator[_Part]:
    """Yields the parts of an interaction that are redacted: the place, a body's text, and how the part is redacted."""
    request, response = interaction.request, interaction.response
    yield "request URL", "", lambda rules: rules.uri(request.uri)
    for side, headers in (("request", request.headers), ("response", response.headers)):
        for name in headers:
            yield f"{side} header {name!r}", "", partial(_redact_header, name, headers[name])
    is_made_up = answers_a_model(interaction)
    yield "request body", _text(request.headers, request.body), lambda rules: rules.body(request.headers, request.body)
    yield (
        "response body",
        _text(response.headers, response.body),
        lambda rules: rules.body(response.headers, response.body, is_made_up=is_made_up),
    )


def _redact_header(name: str, values: Sequence[str], rules: Redaction) -> None:
    rules.headers({name: values})


def _text(headers: Headers, body: bytes | None) -> str:
    return (decoded(headers, body or b"") or b"").decode("utf-8", "replace")


def _path_of(value: str, text: str) -> str:
    """The path of a value in a body, to be appended to the body's name."""
    if not text:
        return ""
    with contextlib.suppress(ValueError):
        value = json.loads(f'"{value}"')
    return next((f", {path}" for path, found in texts_in(text) if value in found), "")


def redact(
    path: Path, redaction: Redaction | None = None, environment: Mapping[str, str] = os.environ
) -> list[Finding]:
    """Replaces the secrets in an existing cassette, in place; nothing else in the file changes if that is possible.

    What a recording replaces is replaced here, and so is text that looks like a credential. The values are replaced in
    the text of the file if it then still says the same but for them; otherwise the whole cassette is written anew. The
    file is replaced in one step.

    Args:
        path: The file.
        redaction: The user's own rules.
        environment: The variables whose credentials must not be in the cassette.

    Returns:
        What is left: credentials inside encoded content, which must be recorded again.

    Raises:
        CassetteError: It cannot be read or written.
    """
    rules = redaction or Redaction()
    interactions = storage.load(path)
    credentials = (*credentials_in(environment), *_recognised(interactions, rules))
    noting = RecordingRedaction.from_rules(replace(rules, values=(*rules.values, *credentials), is_by_shape=True))
    clean = [noting.interaction(interaction) for interaction in interactions]
    if noting.replaced:
        edited = _with_replaced(storage.read(path), noting.replaced, clean)
        storage.write(path, edited or writer.render(clean, indent_json=False))
    return audit(path, rules, environment)


def _with_replaced(data: bytes, replaced: Mapping[str, str], clean: Sequence[Interaction]) -> bytes | None:
    """The text of the file with the values replaced in it; None if it would then say something else."""
    text = data.decode("utf-8-sig")
    for value in sorted(replaced, key=len, reverse=True):
        quoted = json.dumps(value, ensure_ascii=False)[1:-1]
        for spelling in dict.fromkeys((value, quoted, value.replace("'", "''"))):
            text = text.replace(spelling, replaced[value])
    try:
        return text.encode() if reader.parse(text.encode()) == clean else None
    except CassetteError:
        return None
