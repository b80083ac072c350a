"""The values of fields in XML, found and replaced in the text: elements, attributes, and pairs of property lists."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

__all__ = ["replace_xml_fields"]

_NAME = r"(?:[A-Za-z_][\w.-]{0,63}:)?(?P<name>[A-Za-z_][\w.-]{0,63})"
_ELEMENT = (
    rf"(?P<start><{_NAME}(?:\s[^<>]{{0,500}})?>\s*)"
    r"(?:<!\[CDATA\[(?P<data>[^\]]{1,4000})(?=\]\]>)|(?P<value>[^<>]+)(?=</))"
)
_TAG = r"<[A-Za-z][^<>]{3,4000}>"
_ATTRIBUTE = rf"(?P<start>(?<=\s){_NAME}\s{{0,9}}=\s{{0,9}}(?P<quote>[\"']))(?P<value>[^\"'<>]{{1,4000}})(?=(?P=quote))"
_PAIR = r"(?P<start><key>\s{0,9}(?P<name>[^<>]{1,64}?)\s{0,9}</key>\s{0,99}<string>)(?P<value>[^<>]+)(?=</string>)"
#: Few bodies are XML, and names of any script are slow to compile.
_compiled = functools.cache(re.compile)


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

    attribute = _compiled(_ATTRIBUTE)
    text = _compiled(_ELEMENT).sub(replaced, text)
    text = _compiled(_TAG).sub(lambda tag: attribute.sub(replaced, tag[0]) if "=" in tag[0] else tag[0], text)
    return _compiled(_PAIR).sub(replaced, text)
