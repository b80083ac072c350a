"""Cookies without their values, as a recording may hold them."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["sent_cookies", "set_cookies"]

#: Between two cookies in one header: a name follows the comma, and not the day of an `Expires`.
_NEXT_COOKIE = re.compile(r"(,\s{0,9})(?=[^\s;,=]{1,256}=)")


def sent_cookies(value: str, hide: Callable[[str], str]) -> str:
    """A `Cookie` header with each cookie's value replaced by what `hide` returns for it."""
    return ";".join(_cookie(pair, hide) for pair in value.split(";"))


def set_cookies(value: str, hide: Callable[[str], str]) -> str:
    """A `Set-Cookie` header with each cookie's value replaced, without attributes that change with each recording."""
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
