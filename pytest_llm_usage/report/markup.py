"""Text and numbers as markup of the page."""

from __future__ import annotations

import html

from pytest_llm_usage.text import printable

__all__ = ["escape"]


def escape(text: str) -> str:
    """The text as it looks, escaped for a page: names, notes and errors may contain anything."""
    return html.escape(printable(text))
