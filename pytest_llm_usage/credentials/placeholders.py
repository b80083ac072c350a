"""Placeholders for credentials: our own, those of other recorders, and the example keys of documentation."""

from __future__ import annotations

import functools
import re

__all__ = ["PLACEHOLDER_WORDS", "REDACTED", "is_example", "is_placeholder"]

#: Replaces a credential; it is a plain word in a URL, a header, JSON and YAML alike.
REDACTED = "redacted"

PLACEHOLDER_WORDS = "REDACTED|FILTERED|SCRUBBED|SANITIZED|PLACEHOLDER|MASKED|HIDDEN|REMOVED|DUMMY|XXXX+|xxxx+|\\*{3,}"
_PLACEHOLDER = re.compile(
    rf"\*{{0,3}}[<\[{{(]{{0,2}}(?:[A-Z]+[_ -])*(?:{PLACEHOLDER_WORDS}|scrubbed)(?:[_ -][A-Z]+)*[>\]}})]{{0,2}}\*{{0,3}}"
    r"|[<\[{(*]+redacted[>\]})*]+|<[A-Z][A-Z0-9_ -]*>|\{\{[A-Z][A-Z0-9_]*\}\}|\$\{[A-Z][A-Z0-9_]*\}"
)


def is_placeholder(text: str) -> bool:
    """Whether the text is only a placeholder for something that was removed, such as `**REDACTED**` or `<API_KEY>`."""
    return len(text) <= 80 and _PLACEHOLDER.fullmatch(text) is not None


_EXAMPLE = re.compile(
    r"(?i)example|placeholder|redacted|your[_-]|[_-]here(?![a-z0-9])|change[_-]?me|insert[_-]|replace[_-]|dummy|x{6}"
    r"|\*{4}|\.{3}|0{12}"
)
#: Every match of the expression holds one of these. They are searched for first, because a hostile text may begin a key
#: at every third character.
_IN_EXAMPLES = (
    "example", "placeholder", "redacted", "your", "here", "change", "insert", "replace", "dummy", "xxxxxx", "****", "...", "0" * 12,
)  # fmt: skip
#: The payload of the example token of jwt.io, which much documentation copies.
_JWT_IO = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lI"
_MIN_DISTINCT = 5


#: Cached, because a hostile text may repeat a key a million times. Matches of shapes are short, so it takes little
#: memory.
@functools.lru_cache(maxsize=256)
def is_example(value: str) -> bool:
    """Whether a key is an example from documentation: `AKIAIOSFODNN7EXAMPLE`, `YOUR_KEY_HERE`, `sk-xxxx…`."""
    if _JWT_IO in value or len(set(value)) < _MIN_DISTINCT:
        return True
    lower = value.lower()
    return any(word in lower for word in _IN_EXAMPLES) and _EXAMPLE.search(value) is not None
