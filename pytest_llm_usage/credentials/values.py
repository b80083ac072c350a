"""Credentials by value: those in the environment, which values can be searched for, and how a text spells them."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, urlsplit

from pytest_llm_usage.credentials.names import is_credential_name, is_credential_variable
from pytest_llm_usage.credentials.placeholders import is_placeholder

__all__ = [
    "LONG_RUN",
    "LONG_WORDS",
    "are_few_words",
    "core",
    "credentials_in",
    "credentials_now",
    "is_worth_guarding",
    "longest_first",
    "looks_random",
    "spellings",
]

_MIN_CHARACTERS = 8
#: A single word with this many characters is not a word of a language.
_LONGEST_WORD = 20
#: A path: from the root, in words. An AWS secret key can be `/` and 39 random characters.
_PATH = re.compile(
    r"(?:\./|~|/(?:[a-z0-9._ -]+/)*[a-z0-9_-]+\.[A-Za-z0-9]{1,5}$|(?:/[a-z0-9._-]+){2,}/?$|/[a-z._-]+/?$)"
)
_LIST = re.compile(r"[,;\s]+")
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey|api-key|key)\s+", re.IGNORECASE)


def credentials_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables that hold credentials, each with the name of its variable.

    A variable is recognised by its name (`…_API_KEY`, `…_TOKEN`, `…_SECRET`, `PGPASSWORD`), or by a URL with a
    password. Each of several keys in one variable counts, and each credential in JSON. Short values, paths, numbers,
    single words and placeholders are left out: they would be found everywhere.
    """
    return {
        value: name
        for name, whole in environment.items()
        for value in (_parts(whole.strip()) if is_credential_variable(name) else _url_passwords(whole))
        if is_worth_guarding(value)
    }


def credentials_now() -> Mapping[str, str]:
    """`credentials_in` this process's environment, computed again only after a change of it."""
    return _credentials_of(tuple(os.environ.items()))


@functools.lru_cache(maxsize=4)
def _credentials_of(environment: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return credentials_in(dict(environment))


def _parts(value: str) -> Iterable[str]:
    """Yields a value and the credentials in it: keys in a list, credentials in JSON, what follows `Bearer`."""
    if value.startswith("{"):
        try:
            yield from _json_credentials(json.loads(value))
        except (ValueError, RecursionError):
            pass
        else:
            return
    yield value
    yield _SCHEME.sub("", value, count=1)
    parts = _LIST.split(value)
    if len(parts) > 1:
        # The words of a passphrase are not credentials.
        yield from (part for part in parts if len(part) >= _LONGEST_WORD)
    yield from _url_passwords(value)


def _json_credentials(value: object) -> Iterable[str]:
    """Yields the credentials in a service's JSON, such as Google's, by the names of their fields."""
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, str) and is_credential_name(str(name)):
                yield part.strip()
            else:
                yield from _json_credentials(part)
    elif isinstance(value, list):
        for part in value:
            yield from _json_credentials(part)


def _url_passwords(value: str) -> Iterable[str]:
    if "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password and not password.isalpha():
        yield password


#: A run of the characters of a key, without the punctuation that some alphabets have. Text without such a run is not
#: random: words, versions and dates between punctuation are not keys.
LONG_RUN = re.compile("[A-Za-z0-9]{12,}")
_HEX_RUN = re.compile(r"(?=[0-9]{0,40}[a-fA-F])(?=[a-fA-F]{0,40}[0-9])(?:[0-9a-f]{24,}|[0-9A-F]{24,})")
#: The kind of each byte: a digit, a small letter or a capital.
_KINDS = bytes(ord("0" if chr(byte).isdigit() else "a" if chr(byte).islower() else "A") for byte in range(128)) * 2
#: Changes from one kind to another. A small letter after a capital does not count: words begin so.
_CHANGES = (b"0a", b"0A", b"a0", b"A0", b"aA")


def looks_random(value: str) -> bool:
    """Whether part of the value looks random.

    Between punctuation it then changes so often between letters, capitals and digits that it is no word, number or
    name.
    """
    for run in LONG_RUN.findall(value):
        if _HEX_RUN.fullmatch(run):
            return True
        kinds = run.encode().translate(_KINDS)
        if sum(map(kinds.count, _CHANGES)) * 5 >= len(run):
            return True
    return False


def is_worth_guarding(value: str) -> bool:
    """Whether a value can be searched for everywhere: it is long enough, and no path, number, word or placeholder."""
    return (
        len(value) >= _MIN_CHARACTERS
        and not _PATH.match(value)
        and not value.isdigit()
        and not (value.isalpha() and value.islower() and len(value) < _LONGEST_WORD)
        and not is_placeholder(value)
    )


#: Words of this many characters in the place of a credential count as one.
LONG_WORDS = 16
#: A word, or several that begin with capitals; a number, after them or alone; and versions and sizes: `v2`, `4o`.
_WORD_OR_NUMBER = re.compile(
    r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[A-Z][a-z]+){0,3}(?:(?<=..)[0-9]{1,4})?|[0-9]{0,4}|[0-9]{1,3}[a-z]|v[0-9]{1,2}"
)


def are_few_words(value: str) -> bool:
    """Whether a value is short and made of words and numbers with punctuation between them: `test-key`, `key_0001`."""
    return len(value) < LONG_WORDS and all(map(_WORD_OR_NUMBER.fullmatch, _MARKS.split(value)))


_MARKS = re.compile("[^A-Za-z0-9]+")
_PLAIN_RUN = re.compile("[A-Za-z0-9]+")


@functools.lru_cache(maxsize=2048)
def spellings(value: str) -> tuple[str, ...]:
    """The ways in which a text can spell a value: as it is, or escaped for JSON, Python, a URL, a form or HTML."""
    quoted = json.dumps(value)[1:-1]
    return tuple(
        dict.fromkeys(
            (
                value,
                quoted,
                json.dumps(value, ensure_ascii=False)[1:-1],
                json.dumps(quoted)[1:-1],
                quoted.replace("/", "\\/"),
                repr(value)[1:-1],
                value.encode("unicode_escape").decode(),
                quote(value, safe=""),
                quote(value),
                quote_plus(value),
                *_in_markup(value),
            )
        )
    )


def _in_markup(value: str) -> Iterable[str]:
    """Yields a value as `html.escape` writes it; that module takes long to load."""
    plain = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield plain
    for apostrophe in ("&#x27;", "&#39;"):
        yield plain.replace('"', "&quot;").replace("'", apostrophe)


@functools.lru_cache(maxsize=2048)
def core(value: str) -> str:
    """The longest run of letters and digits in a value: each spelling has it unchanged, so it is searched for first."""
    return max(_PLAIN_RUN.findall(value), key=len, default="")


def longest_first(values: Iterable[str]) -> list[str]:
    """The values in the order in which they must be replaced: one may be part of another."""
    return sorted(set(values), key=lambda value: (-len(value), value))
