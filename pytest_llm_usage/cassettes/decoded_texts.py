"""What a text says in every layer of encoding that it has.

Escapes of JSON and of source code (and JSON in JSON to any depth), percent escapes, HTML's, base64 and hexadecimal digits,
what was compressed below them, quoted-printable, and these in each other. Each is resolved as a whole: a text that holds
escapes here and there is looked at as it stands, and again with all of them resolved.
"""

from __future__ import annotations

import base64
import html
import quopri
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from pytest_llm_usage.encoding import decode

__all__ = ["layers_of", "texts_of"]

#: How often a text is decoded in ways that cannot go on for ever: base64 in base64 in base64.
_MAX_DEPTH = 5
#: How much longer than the text all that it decodes to may be: beyond it is a bomb.
_MAX_GROWTH = 32
_MIN_ROOM = 2**20
#: Less than this of what base64 expands to is looked at.
_MAX_INNER_BYTES = 16 * 2**20

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([abfnrtv\"'\\/0]))")
_NAMED_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
#: Where mail and PEM break base64 into lines.
_BASE64_BREAK = re.compile(r"(?<=[A-Za-z0-9+/]{40})\r?\n(?=[A-Za-z0-9+/])")
_HEX_RUN = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
#: What mostly cannot be printed is an image, a signature or noise: nothing is encoded in it once more.
_MIN_TEXT_SHARE = 0.9


def texts_of(body: bytes, charset: str = "") -> Iterator[str]:
    """The text that bytes are, in each of the encodings that they may be in."""
    text = body.decode("utf-8", "replace")
    yield text
    if "\N{REPLACEMENT CHARACTER}" in text:
        yield body.decode("latin-1")
    if b"\0" in body:
        # UTF-16 and UTF-32 write ASCII with zeros between; the rest only they can tell.
        yield body.replace(b"\0", b"").decode("utf-8", "replace")
        yield from (body.decode(name, "ignore") for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
    if charset:
        try:
            yield body.decode(charset, "replace")
        except LookupError:
            return


def layers_of(text: str) -> Iterator[tuple[str, bool]]:
    """The text, and what it and its parts decode to; with each, whether more than escapes had to be resolved."""
    seen = {text}
    waiting = [(text, 0)]
    room = _MAX_GROWTH * len(text) + _MIN_ROOM
    while waiting and room > 0:
        layer, depth = waiting.pop(0)
        room -= len(layer)
        yield layer, depth > 0
        found = [(_unescaped(layer), depth)]
        if depth < _MAX_DEPTH:
            found += [(inner, depth + 1) for inner in _decoded(layer)]
        for inner, its_depth in found:
            if inner and inner not in seen:
                seen.add(inner)
                waiting.append((inner, its_depth))


def _decoded(text: str) -> Iterator[str]:
    """What the text decodes to, in each way of which it holds something."""
    if _PERCENT.search(text):
        yield unquote_plus(text)
    if "&#" in text or "&quot;" in text or "&amp;" in text:
        yield html.unescape(text)
    if "=\n" in text or "=\r\n" in text or "=3D" in text:
        yield quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    joined = _BASE64_BREAK.sub("", text) if "\n" in text else text
    runs = _BASE64_RUN.findall(joined)
    # The same one may be there a hundred thousand times.
    plains = {run: "\n".join(_from_base64(run)) for run in dict.fromkeys(runs)}
    yield "\n".join(plains[run] for run in runs)
    hexadecimal = (bytes.fromhex(run).decode("utf-8", "replace") for run in _HEX_RUN.findall(text))
    yield "\n".join(plain for plain in hexadecimal if _is_readable(plain))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_character, text)
    # A character beyond the first 65,536 is escaped as two.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in text else plain


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _NAMED_ESCAPES.get(match[3], match[3])


def _from_base64(run: str) -> Iterator[str]:
    """What a run of base64 stands for, decompressed where it is compressed.

    Letters that stand before it as if they were part of it shift what it stands for, so it is tried from four places.
    """
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        if start and not _is_readable(_bytes(run[start : start + 64]).decode("utf-8", "ignore")):
            continue
        data = _bytes(run[start:])
        data = decode(data, "deflate" if data.startswith(_ZLIB) else "", guess=True).content[:_MAX_INNER_BYTES]
        yield data.decode("utf-8", "replace")


def _bytes(run: str) -> bytes:
    whole = run[:-1] if len(run) % 4 == 1 else run
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _is_readable(text: str) -> bool:
    sample = text[:4096]
    printable = sum(char.isprintable() or char.isspace() for char in sample) - sample.count("\N{REPLACEMENT CHARACTER}")
    return printable >= _MIN_TEXT_SHARE * len(sample)
