"""What a text says in every layer of encoding that it has.

The encodings are escapes of JSON and of source code (and JSON in JSON to any depth), percent escapes, HTML's escapes,
base64 and hexadecimal digits, compressed data below them, quoted-printable, and all of these nested. Each kind is
resolved in the whole text at once: a text with escapes here and there is looked at as it stands, with each kind of
escape resolved, and with all of them resolved. So a text is looked at only a few times, however often its escapes are
escaped.
"""

from __future__ import annotations

import base64
import html
import quopri
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

from pytest_llm_usage.cassettes.archives import ArchiveTooLargeError, archived
from pytest_llm_usage.encoding import decode

__all__ = ["Layer", "layers_of", "texts_of"]

#: How many layers are decoded that could go on for ever: base64 in base64 in base64.
_MAX_DEPTH = 5
#: How many times longer than the text all its layers may be; a text with more of them is a bomb.
_MAX_GROWTH = 32
_MIN_ROOM = 2**20
#: At most this much of what base64 expands to is looked at.
_MAX_INNER_BYTES = 16 * 2**20

#: How often escapes of escapes are resolved: halving the longest run of backslashes takes twenty steps.
_MAX_TIMES = 24
#: Escapes of JSON, of source code, and of Markdown, which escapes punctuation: `sk\_live\-1`.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([abfnrtv\"'/0_.~+=*!-]))|((?:\\\\)+)")
_NAMED_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
#: A line break in base64, as mail and PEM have it.
_BASE64_BREAK = re.compile(r"(?<=[A-Za-z0-9+/]{40})\r?\n(?=[A-Za-z0-9+/])")
_HEX_RUN = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_HTML = re.compile(r"&(?:#|[A-Za-z]{2,8};)")
#: Invisible characters, which a key copied from a page may hold: zero-width spaces, soft hyphens, direction marks.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
#: Data with fewer printable characters is an image, a signature or noise; no further layer is looked for in it.
_MIN_TEXT_SHARE = 0.9


def texts_of(body: bytes, charset: str = "") -> Iterator[str]:
    """Yields the text of some bytes in each of the encodings that they may be in."""
    text = body.decode("utf-8", "replace")
    yield text
    if "\N{REPLACEMENT CHARACTER}" in text:
        yield body.decode("latin-1")
    if b"\0" in body:
        # UTF-16 and UTF-32 write ASCII with zeros in between; other characters need the codec itself.
        yield body.replace(b"\0", b"").decode("utf-8", "replace")
        yield from (body.decode(name, "ignore") for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
    if charset:
        try:
            yield body.decode(charset, "replace")
        except LookupError:
            return


@dataclass(frozen=True, slots=True)
class Layer:
    """A text in one of its layers.

    Attributes:
        text: What it says.
        is_encoded: Whether more than escapes had to be resolved.
        is_between: Whether some of its escapes are resolved and others of the same kind are not. Only a value that has
            escapes of its own needs such a layer; the layers around it say more about anything else.
    """

    text: str
    is_encoded: bool = False
    is_between: bool = False


def layers_of(text: str) -> Iterator[Layer]:
    """Yields the text, and what it and its parts decode to, the least encoded first."""
    # Each layer with its depth, and whether its escapes are still to be resolved.
    waiting = [(text, 0, True)]
    seen = {text}
    room = _MAX_GROWTH * len(text) + _MIN_ROOM
    while waiting and room > 0:
        layer, depth, is_whole = waiting.pop(0)
        yield Layer(layer, depth > 0)
        steps = _Steps()
        found: list[tuple[str, int, bool]] = []
        if _INVISIBLE.search(layer):
            found.append((_INVISIBLE.sub("", layer), depth, False))
        if is_whole:
            found.append((steps.last(_unescaped, layer), depth, False))
        if depth < _MAX_DEPTH:
            if is_whole:
                found += [(plain, depth + 1, False) for plain in _resolved(layer, found[-1][0], steps)]
            found += [(inner, depth + 1, True) for inner in _from_runs(layer)]
        yield from (Layer(between, depth > 0, is_between=True) for between in steps.between)
        room -= len(layer) + sum(map(len, steps.between))
        for new in found:
            if new[0] and new[0] not in seen:
                seen.add(new[0])
                waiting.append(new)


class _Steps:
    """Resolves escapes of escapes until there are none left, and keeps the texts in between."""

    def __init__(self) -> None:
        self.between: list[str] = []

    def last(self, resolve: Callable[[str], str], text: str) -> str:
        start = text
        for _ in range(_MAX_TIMES):
            plain = resolve(text)
            if plain == text:
                break
            if text is not start:
                self.between.append(text)
            text = plain
        return text


def _resolved(text: str, unescaped: str, steps: _Steps) -> Iterator[str]:
    """Yields the text without percent escapes, without HTML's, without quoted-printable, and without any escapes."""
    percent, once = steps.last(_without_percent, text), _without_html(text)
    markup = steps.last(_without_html, once)
    if once != markup:
        steps.between.append(once)
    yield from (percent, markup)
    everything = unescaped if (percent, markup) == (text, text) else steps.last(_without_any, percent)
    yield everything
    for plain in dict.fromkeys((unescaped, percent, once, markup, everything)):
        printable = steps.last(_without_quopri, plain)
        if printable != plain:
            yield printable
            yield steps.last(_without_any, printable)


def _without_any(text: str) -> str:
    return _without_html(_without_percent(_unescaped(text)))


def _without_percent(text: str) -> str:
    return unquote_plus(text) if _PERCENT.search(text) else text


def _without_html(text: str) -> str:
    return html.unescape(text) if "&" in text and _HTML.search(text) else text


#: An equals sign, the end of a line, or a character in UTF-8.
_QUOPRI = re.compile(r"=(?:3D|\r?\n|[C-F][0-9A-F]=[89AB][0-9A-F])")


def _without_quopri(text: str) -> str:
    if _QUOPRI.search(text) is None:
        return text
    return quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _from_runs(text: str) -> Iterator[str]:
    """Yields what the runs of base64 and of hexadecimal digits in the text stand for."""
    joined = _BASE64_BREAK.sub("", text) if "\n" in text else text
    runs = _BASE64_RUN.findall(joined)
    # The same run may occur a hundred thousand times.
    plains = {run: "\n".join(_from_base64(run)) for run in dict.fromkeys(runs)}
    yield "\n".join(plains[run] for run in runs)
    hexadecimal = (bytes.fromhex(run).decode("utf-8", "replace") for run in _HEX_RUN.findall(text))
    yield "\n".join(plain for plain in hexadecimal if _is_readable(plain))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_character, text)
    # A character beyond the first 65,536 is escaped as a surrogate pair.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in text else plain


def _character(match: re.Match[str]) -> str:
    if match[4]:
        return match[4][: len(match[4]) // 2]
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _NAMED_ESCAPES.get(match[3], match[3])


def _from_base64(run: str) -> Iterator[str]:
    """Yields what a run of base64 stands for, decompressed if it is compressed.

    Letters right before the base64 look like part of it and shift what it stands for, so four offsets are tried.
    """
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        if start and not _is_readable(_bytes(run[start : start + 64]).decode("utf-8", "ignore")):
            continue
        data = _bytes(run[start:])
        data = decode(data, "deflate" if data.startswith(_ZLIB) else "", guess=True).content[:_MAX_INNER_BYTES]
        yield data.decode("utf-8", "replace")
        if start == 0 and data.count(b"\0") * 3 > len(data):
            yield data.replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16, as PowerShell encodes its commands
        try:
            yield from (inner.decode("utf-8", "replace") for inner in archived(data, _MAX_INNER_BYTES))
        except ArchiveTooLargeError:
            continue


def _bytes(run: str) -> bytes:
    whole = run[:-1] if len(run) % 4 == 1 else run
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _is_readable(text: str) -> bool:
    sample = text[:4096]
    printable = sum(char.isprintable() or char.isspace() for char in sample) - sample.count("\N{REPLACEMENT CHARACTER}")
    return printable >= _MIN_TEXT_SHARE * len(sample)
