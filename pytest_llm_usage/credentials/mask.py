"""`mask_text`: a text as it may be printed, reported or written to a file, without any credential that can be told.

Four things are masked: values of this process's environment that are credentials, values that were recognised as one
anywhere in this run (`remember`), text of the shape of a known key, and parameters of URLs that are a credential's.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable

from pytest_llm_usage.credentials.names import is_credential_name, is_credential_parameter
from pytest_llm_usage.credentials.recognised import remembered
from pytest_llm_usage.credentials.values import credentials_in, longest_first, looks_random, spellings

__all__ = ["MASK", "mask_text", "mask_values"]

#: What stands in the place of a credential in a text for people.
MASK = "***"

_PARAMETER = re.compile(r"(?<=[?&;#])([A-Za-z0-9_.%-]{1,64})=([^&\s\"'<>\\#;)\]]{1,4000})")


def mask_text(text: str) -> str:
    """The text without credentials, each replaced by `***`."""
    text = mask_values(text, (*_in_environment(), *remembered()))
    if "=" in text:
        text = _PARAMETER.sub(_masked_parameter, text)
    from pytest_llm_usage.credentials.shapes import without_shapes  # noqa: PLC0415 -- compiled for the first text

    return without_shapes(text, lambda _: MASK)


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
