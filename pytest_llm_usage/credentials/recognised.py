"""Remembers credentials that were recognised by their place, such as a header, so that no text of the run shows one."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from pytest_llm_usage.credentials.names import is_credential_header
from pytest_llm_usage.credentials.placeholders import is_example
from pytest_llm_usage.credentials.values import LONG_WORDS, are_few_words, is_worth_guarding, looks_random

__all__ = ["bare_credential", "header_credentials", "remember", "remembered", "remembered_for_sure"]

_SCHEME = re.compile(r"^(?:bearer|basic|token|apikey|api-key|key)\s+", re.IGNORECASE)
_NOT_IN_COOKIES = re.compile(r"[;=\s]+")

#: How many credentials are remembered. Runs with more of them, such as a token for each request, forget the oldest.
_MAX_REMEMBERED = 500
_remembered: OrderedDict[str, None] = OrderedDict()
_lock = threading.Lock()


def remember(values: Iterable[str]) -> None:
    """Note values that were recognised as credentials, so that no text of this run shows them.

    Values for a server that needs no key (`lm-studio`, `test-key`, `your-key-here`) are left out: they may be part of
    the name of a model or of a test, which would be masked with them.
    """
    with _lock:
        for value in values:
            if is_worth_guarding(value) and not are_few_words(value) and not is_example(value):
                _remembered[value] = None
                _remembered.move_to_end(value)
        while len(_remembered) > _MAX_REMEMBERED:
            _remembered.popitem(last=False)


def remembered() -> tuple[str, ...]:
    """The values that were recognised so far, without those of the environment."""
    return tuple(_remembered)


def remembered_for_sure() -> list[str]:
    """The remembered values that are also removed from every recording of this run: they look random, or are long."""
    return [value for value in remembered() if len(value) >= LONG_WORDS or looks_random(value)]


def bare_credential(value: str) -> str:
    """The value of a header without the name of its scheme: `abc` for `Bearer abc`."""
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
