"""`mask_text`: a text as it may be printed, reported or written to a file, without any credential that can be told.

Four things are masked: values of this process's environment that are credentials, values that were recognised as one
anywhere in this run (`remember`), text of the shape of a known key, and parameters of URLs that are a credential's.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from pytest_llm_usage.credentials.names import is_credential_header, is_credential_name, is_credential_parameter
from pytest_llm_usage.credentials.shapes import looks_random, shapes_in
from pytest_llm_usage.credentials.values import credentials_in, is_worth_guarding, longest_first, spellings

__all__ = ["MASK", "bare_credential", "header_credentials", "mask_text", "mask_values", "remember", "remembered"]

#: What stands in the place of a credential in a text for people.
MASK = "***"

#: Credentials that are remembered. Runs with more of them, such as a token for each request, forget the oldest.
_MAX_REMEMBERED = 500
_remembered: OrderedDict[str, None] = OrderedDict()
_lock = threading.Lock()

_PARAMETER = re.compile(r"(?<=[?&;#])([A-Za-z0-9_.%-]{1,64})=([^&\s\"'<>\\#;)\]]{1,4000})")
_SCHEME = re.compile(r"^(?:bearer|basic|token|apikey|api-key|key)\s+", re.IGNORECASE)
_NOT_IN_COOKIES = re.compile(r"[;=\s]+")


def remember(values: Iterable[str]) -> None:
    """Note values that were recognised as credentials, so that no text of this run shows them."""
    with _lock:
        for value in values:
            if is_worth_guarding(value):
                _remembered[value] = None
                _remembered.move_to_end(value)
        while len(_remembered) > _MAX_REMEMBERED:
            _remembered.popitem(last=False)


def remembered() -> tuple[str, ...]:
    """The values that were recognised so far, those of the environment aside."""
    return tuple(_remembered)


def bare_credential(value: str) -> str:
    """The value of a header without the name of its scheme: of `Bearer abc`, `abc`."""
    return _SCHEME.sub("", value.strip())


def header_credentials(headers: Mapping[str, str | Sequence[str]]) -> list[str]:
    """The credentials in headers, without the name of their scheme."""
    found: list[str] = []
    for name, values in headers.items():
        if not is_credential_header(str(name)):
            continue
        for value in [values] if isinstance(values, str) else values:
            bare = bare_credential(str(value))
            is_cookie = str(name).lower() in ("cookie", "set-cookie")
            found += [part for part in _NOT_IN_COOKIES.split(bare) if looks_random(part)] if is_cookie else [bare]
    return [value for value in found if is_worth_guarding(value)]


def mask_text(text: str) -> str:
    """The text without credentials, each replaced by `***`."""
    text = mask_values(text, (*_in_environment(), *remembered()))
    if "=" in text:
        text = _PARAMETER.sub(_masked_parameter, text)
    for begin, end in sorted(((begin, end) for _, begin, end in shapes_in(text)), reverse=True):
        text = text[:begin] + MASK + text[end:]
    return text


def mask_values(text: str, values: Iterable[str], mask: str = MASK) -> str:
    """The text without these values, however JSON or a URL spell them."""
    for value in longest_first(values):
        for spelling in spellings(value):
            if spelling in text:
                text = text.replace(spelling, mask)
    return text


def _masked_parameter(match: re.Match[str]) -> str:
    is_credential = is_credential_name(match[1]) or (is_credential_parameter(match[1]) and looks_random(match[2]))
    return f"{match[1]}={MASK}" if is_credential and match[2] != MASK else match[0]


def _in_environment() -> tuple[str, ...]:
    return _credentials(tuple(os.environ.items()))


@functools.lru_cache(maxsize=4)
def _credentials(environment: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(credentials_in(dict(environment)))
