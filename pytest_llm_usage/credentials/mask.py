"""`mask_text`: makes a text safe to print, report or write to a file, without any credential that can be recognised.

Four things are masked: credentials in this process's environment, values that were recognised as credentials anywhere
in this run (`remember`), text of the shape of a known key, and the values of URL parameters that hold credentials.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from urllib.parse import unquote_to_bytes

from pytest_llm_usage.credentials.names import is_credential_name, is_credential_parameter
from pytest_llm_usage.credentials.recognised import remembered
from pytest_llm_usage.credentials.values import core, credentials_now, longest_first, looks_random, spellings

__all__ = ["MASK", "mask_id", "mask_name", "mask_text", "mask_values"]

#: Replaces a credential in a text for people.
MASK = "***"

#: A part of a path, or a value of a query.
_PART_OF_URL = re.compile(r"[^\s\"'<>&?=/]+")
#: How many layers of percent escapes are resolved.
_MAX_ENCODING_DEPTH = 3
#: A byte that no text has in UTF-8.
_BETWEEN = b"\xff"
_BETWEEN_IN_TEXT = _BETWEEN.decode("utf-8", "surrogateescape")
_ENCODED_BETWEEN = re.compile(b"%[fF]{2}")
_ENCODED = re.compile(b"%[0-9A-Fa-f]{2}")
_PARAMETER = re.compile(r"(?<=[?&;#])([A-Za-z0-9_.%-]{1,64})=([^&\s\"'<>\\#;)\]]{1,4000})")


def mask_text(text: str) -> str:
    """The text without credentials, each replaced by `***`."""
    values = (*_in_environment(), *remembered())
    text = mask_values(text, values)
    if "=" in text:
        text = _PARAMETER.sub(_masked_parameter, text)
    from pytest_llm_usage.credentials.shapes import without_shapes  # noqa: PLC0415 -- a long table

    text = without_shapes(text, lambda _: MASK)
    # A key may have its punctuation escaped for a URL: `user%3Apassword%40host`.
    return _without_encoded(text, values) if "%" in text else text


def mask_name(name: str) -> str:
    """The name of a model, a test or a file without a credential that somebody passed in its place.

    Nearly every name is returned as it is: only names that look random are masked, so that no ordinary word is.
    """
    return mask_text(name) if looks_random(name) else name


def mask_id(text: str) -> str:
    """An id without the values that were recognised as credentials; `***` if it is a key.

    Ids always look random, so `mask_name` would read the environment for every call. That takes longer than everything
    else that is done with a call, so credentials of the environment are not masked here.
    """
    from pytest_llm_usage.credentials.shapes import starts_like_a_key, without_shapes  # noqa: PLC0415

    if starts_like_a_key(text):
        text = without_shapes(text, lambda _: MASK)
    values = remembered()
    return mask_values(text, values) if values else text


def mask_values(text: str, values: Iterable[str]) -> str:
    """The text without these values, in whatever way JSON or a URL spells them."""
    for value in longest_first(values):
        if core(value) not in text:
            continue
        for spelling in spellings(value):
            if spelling in text:
                text = text.replace(spelling, MASK)
    return text


def _masked_parameter(match: re.Match[str]) -> str:
    is_credential = is_credential_name(match[1]) or (is_credential_parameter(match[1]) and looks_random(match[2]))
    return f"{match[1]}={MASK}" if is_credential and match[2] != MASK else match[0]


def _without_encoded(text: str, values: Sequence[str]) -> str:
    """The text without the parts of URLs that hold a key or one of the values once percent escapes are resolved."""
    from pytest_llm_usage.credentials.shapes import shapes_in  # noqa: PLC0415

    parts = [match.span() for match in _PART_OF_URL.finditer(text) if "%" in match[0]]
    # Searched together: there may be a hundred thousand parts. No text holds the byte that separates them.
    together = _BETWEEN.join(text[begin:end].encode("utf-8", "replace") for begin, end in parts)
    masked: set[int] = set()
    for _ in range(_MAX_ENCODING_DEPTH):
        if _ENCODED.search(together) is None:
            break
        together = unquote_to_bytes(_ENCODED_BETWEEN.sub(b"?", together).replace(b"+", b" "))
        plain = together.decode("utf-8", "surrogateescape")
        ends = list(accumulate(len(part) + 1 for part in plain.split(_BETWEEN_IN_TEXT)))
        begins = [begin for _, begin, _ in shapes_in(plain)]
        begins += [begin for value in values for begin in _begins(value, plain)]
        masked.update(bisect_right(ends, begin) for begin in begins)
    pieces, done = [], 0
    for index in sorted(masked):
        begin, end = parts[index]
        pieces += [text[done:begin], MASK]
        done = end
    return "".join([*pieces, text[done:]])


def _begins(value: str, text: str) -> Iterator[int]:
    position = text.find(value)
    while position >= 0:
        yield position
        position = text.find(value, position + len(value))


def _in_environment() -> tuple[str, ...]:
    return tuple(credentials_now())
