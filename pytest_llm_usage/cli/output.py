"""What the parts of the command share: exit statuses, the width of the output, and messages beside it."""

# ruff: noqa: T201 -- a command prints

import shutil
import sys

from pytest_llm_usage.text import inert

__all__ = ["FAILED", "OK", "UNUSABLE", "say", "screen_columns"]

OK, FAILED, UNUSABLE = 0, 1, 2


#: No output is made narrower; narrower terminals wrap it.
_NARROWEST = 60


def screen_columns() -> int:
    """How wide tables and sentences may be: as wide as the terminal, or 80 if the output goes elsewhere."""
    is_screen = sys.stdout is not None and sys.stdout.isatty()  # None where the command was started without (`>&-`)
    return max(_NARROWEST, shutil.get_terminal_size().columns) if is_screen else 80


def say(text: str) -> None:
    """Prints a message to the standard error."""
    for line in f"pytest-llm-usage: {text}".split("\n"):
        print(inert(line), file=sys.stderr)
