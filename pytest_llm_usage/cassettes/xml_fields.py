"""The values of fields in XML, found and replaced in the text: elements, attributes, and pairs of property lists."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["replace_xml_fields"]

_NAME = r"(?:[A-Za-z_][\w.-]{0,63}:)?(?P<name>[A-Za-z_][\w.-]{0,63})"
_ELEMENT = re.compile(
    rf"(?P<start><{_NAME}(?:\s[^<>]{{0,500}})?>\s*)"
    r"(?:<!\[CDATA\[(?P<data>[^\]]{1,4000})(?=\]\]>)|(?P<value>[^<>]+)(?=</))"
)
_TAG = re.compile(r"<[A-Za-z][^<>]{3,4000}>")
_ATTRIBUTE = re.compile(
    rf"(?P<start>(?<=\s){_NAME}\s{{0,9}}=\s{{0,9}}(?P<quote>[\"']))(?P<value>[^\"'<>]{{1,4000}})(?=(?P=quote))"
)
_PAIR = re.compile(
    r"(?P<start><key>\s{0,9}(?P<name>[^<>]{1,64}?)\s{0,9}</key>\s{0,99}<string>)(?P<value>[^<>]+)(?=</string>)"
)


def replace_xml_fields(text: str, is_credential: Callable[[str], bool], hide: Callable[[str], str]) -> str:
    """The text with the values of credential fields replaced.

    Args:
        text: XML or HTML.
        is_credential: Whether a field of this name, without its prefix, is replaced.
        hide: Returns what replaces a value.
    """

    def replaced(match: re.Match[str]) -> str:
        if not is_credential(match["name"]):
            return match[0]
        data = match.groupdict().get("data")
        return match["start"] + (hide(match["value"]) if data is None else f"<![CDATA[{hide(data)}")

    text = _ELEMENT.sub(replaced, text)
    text = _TAG.sub(lambda tag: _ATTRIBUTE.sub(replaced, tag[0]) if "=" in tag[0] else tag[0], text)
    return _PAIR.sub(replaced, text)
