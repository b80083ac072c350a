"""What stands in the place of a credential: ours, and the marks that other recorders write."""

from __future__ import annotations

import re

__all__ = ["PLACEHOLDER_WORDS", "REDACTED", "is_placeholder"]

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
