"""What the parts of the command have in common: exit statuses, and messages beside the output."""

# ruff: noqa: T201 -- a command prints

import shutil
import sys

from pytest_llm_usage.text import inert

__all__ = ["FAILED", "OK", "UNUSABLE", "say", "screen_columns"]

OK, FAILED, UNUSABLE = 0, 1, 2


#: Narrower terminals wrap what is made for this width.
_NARROWEST = 60


def screen_columns() -> int:
    """How wide tables and sentences may be: as the terminal is, and 80 where the output goes elsewhere."""
    is_screen = sys.stdout is not None and sys.stdout.isatty()  # None where the command was started without (`>&-`)
    return max(_NARROWEST, shutil.get_terminal_size().columns) if is_screen else 80


def say(text: str) -> None:
    """Prints a message to the standard error."""
    for line in f"pytest-llm-usage: {text}".split("\n"):
        print(inert(line), file=sys.stderr)
