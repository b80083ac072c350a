"""Cookies by name alone, as a recording may have them."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["sent_cookies", "set_cookies"]

#: Several cookies in one header: after the comma comes a name, and not the day of an `Expires`.
_NEXT_COOKIE = re.compile(r"(,\s{0,9})(?=[^\s;,=]{1,256}=)")


def sent_cookies(value: str, hide: Callable[[str], str]) -> str:
    """What a client sends, each cookie's value replaced by what `hide` makes of it."""
    return ";".join(_cookie(pair, hide) for pair in value.split(";"))


def set_cookies(value: str, hide: Callable[[str], str]) -> str:
    """What a server sets, each cookie's value replaced; the attributes stay that are the same at each recording."""
    cookies = _NEXT_COOKIE.split(value)
    cookies[::2] = (_set_cookie(cookie, hide) for cookie in cookies[::2])
    return "".join(cookies)


def _set_cookie(value: str, hide: Callable[[str], str]) -> str:
    first, *attributes = value.split(";")
    return _cookie(first, hide) + "".join(f";{attribute}" for attribute in attributes if _is_lasting(attribute))


def _cookie(pair: str, hide: Callable[[str], str]) -> str:
    name, equals, value = pair.partition("=")
    hidden = hide(value if equals else name)
    return f"{name}={hidden}" if equals else hidden


def _is_lasting(attribute: str) -> bool:
    return attribute.partition("=")[0].strip().lower() not in ("expires", "max-age")
