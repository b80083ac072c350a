"""The text values of fields in JSON, found and replaced in the text, so that every other byte stays where it is.

Fields are found in JSON, in the lines of a stream, in JSON within other text, and in JSON in a JSON string to any
depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

__all__ = ["replace_fields", "unescaped"]

#: What is between the name of a field and its text value. The quotes are escaped as often as JSON is nested in JSON.
_FIELD = re.compile(r'"\s*:\s*(\[\s*)?(\\*)"')
_NEXT_ITEM = re.compile(r'\s*,\s*(\\*)"')
_MAX_NAME_CHARACTERS = 64
#: A quotation mark as .NET escapes it in JSON in JSON. Fields with such marks are found in the string that holds them.
_ESCAPED_QUOTE = "\\u0022"
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MAX_DEPTH = 16


def replace_fields(
    text: str, replacement: Callable[[str, str], str | None], clean: Callable[[str], str], depth: int = 0
) -> str:
    """The text with values replaced.

    Args:
        text: JSON, or a text that holds some.
        replacement: Called with a field's name and its value, as it is escaped in the text; returns what takes the
            value's place, or None for a value that stays. Also called for each item of a list of texts.
        clean: Replaces what else must be replaced in a string that can only be searched once its escapes are resolved.
        depth: How many such strings the text is in.
    """
    pieces: list[str] = []
    done = 0
    for start in _FIELD.finditer(text):
        escape = len(start[2])
        name_end = start.start() - escape
        if start.start() < done or text[name_end : start.start()] != start[2]:
            continue
        name = text[text.rfind('"', max(0, name_end - _MAX_NAME_CHARACTERS), name_end) + 1 : name_end]
        if "\\" in name:
            name = unescaped(name)
        begin: int | None = start.end()
        while begin is not None and (end := _string_end(text, begin, escape)) is not None:
            new = replacement(name, text[begin:end]) if end > begin else None
            if new is not None:
                pieces += [text[done:begin], new]
                done = end
            following = _NEXT_ITEM.match(text, end + escape + 1) if start[1] else None
            begin = following.end() if following is not None and len(following[1]) == escape else None
    result = "".join([*pieces, text[done:]]) if pieces else text
    if _ESCAPED_QUOTE not in result or depth == _MAX_DEPTH:
        return result

    def nested(match: re.Match[str]) -> str:
        if _ESCAPED_QUOTE not in match[0]:
            return match[0]
        try:
            inner = json.loads(match[0], strict=False)
        except ValueError:
            return match[0]
        new = replace_fields(clean(inner), replacement, clean, depth + 1)
        return match[0] if new == inner else json.dumps(new)

    return _STRING.sub(nested, result)


def unescaped(value: str) -> str:
    """A value with JSON's escapes resolved, to any depth."""
    for _ in range(_MAX_DEPTH):
        if "\\" not in value:
            break
        try:
            plain = json.loads(f'"{value}"', strict=False)
        except ValueError:
            break
        value = plain
    return value


def _string_end(text: str, begin: int, escape: int) -> int | None:
    """Where a JSON string ends whose quotes have `escape` backslashes before them; None if it does not end.

    With each layer of JSON the backslashes before a quote double, and one is added: 0, 1, 3, 7. That many belong to the
    quote itself; an even number of further backslashes, as the layer counts them, does not escape it.
    """
    position = begin
    while (quote := text.find('"', position)) >= 0:
        backslashes = quote - position - len(text[position:quote].rstrip("\\"))
        if backslashes < escape:
            return None
        layers, rest = divmod(backslashes - escape, escape + 1)
        if rest == 0 and layers % 2 == 0:
            return quote - escape
        position = quote + 1
    return None
