"""What the parts of the command have in common: exit statuses, and messages beside the output."""

# ruff: noqa: T201 -- a command prints

import sys

from pytest_llm_usage.text import inert

__all__ = ["FAILED", "OK", "UNUSABLE", "say"]

OK, FAILED, UNUSABLE = 0, 1, 2


def say(text: str) -> None:
    """Prints a message to the standard error."""
    for line in f"pytest-llm-usage: {text}".split("\n"):
        print(inert(line), file=sys.stderr)
