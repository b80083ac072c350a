"""What stands in the place of a credential: ours, the marks that other recorders write, and what documentation shows."""

from __future__ import annotations

import functools
import re

__all__ = ["PLACEHOLDER_WORDS", "REDACTED", "is_example", "is_placeholder"]

#: What stands in the place of a credential; one word in a URL, a header, JSON and YAML alike.
REDACTED = "redacted"

PLACEHOLDER_WORDS = "REDACTED|FILTERED|SCRUBBED|SANITIZED|PLACEHOLDER|MASKED|HIDDEN|REMOVED|DUMMY|XXXX+|xxxx+|\\*{3,}"
_PLACEHOLDER = re.compile(
    rf"\*{{0,3}}[<\[{{(]{{0,2}}(?:[A-Z]+[_ -])*(?:{PLACEHOLDER_WORDS}|scrubbed)(?:[_ -][A-Z]+)*[>\]}})]{{0,2}}\*{{0,3}}"
    r"|[<\[{(*]+redacted[>\]})*]+|<[A-Z][A-Z0-9_ -]*>|\{\{[A-Z][A-Z0-9_]*\}\}|\$\{[A-Z][A-Z0-9_]*\}"
)


def is_placeholder(text: str) -> bool:
    """Whether the text is nothing but a mark that something was taken out, such as `**REDACTED**` or `<API_KEY>`."""
    return len(text) <= 80 and _PLACEHOLDER.fullmatch(text) is not None


_EXAMPLE = re.compile(
    r"(?i)example|placeholder|redacted|your[_-]|[_-]here(?![a-z0-9])|change[_-]?me|insert[_-]|replace[_-]|dummy|x{6}"
    r"|\*{4}|\.{3}|0{12}"
)
#: One of these is in what the expression matches. They are looked for first: a hostile text begins a key at every third character.
_IN_EXAMPLES = (
    "example", "placeholder", "redacted", "your", "here", "change", "insert", "replace", "dummy", "xxxxxx", "****", "...", "0" * 12,
)  # fmt: skip
#: The payload of the token that jwt.io shows, and with it much documentation.
_JWT_IO = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lI"
_MIN_DISTINCT = 5


#: A hostile text repeats itself a million times. What shapes match is short, so that this is little to keep.
@functools.lru_cache(maxsize=256)
def is_example(value: str) -> bool:
    """Whether a key is one of those that documentation shows: `AKIAIOSFODNN7EXAMPLE`, `YOUR_KEY_HERE`, `sk-xxxx…`."""
    if _JWT_IO in value or len(set(value)) < _MIN_DISTINCT:
        return True
    lower = value.lower()
    return any(word in lower for word in _IN_EXAMPLES) and _EXAMPLE.search(value) is not None
