"""`publishable`: interactions as they may be committed, reviewed and shown to the world."""

from __future__ import annotations

import os
from collections.abc import Iterable

from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.leaks import credentials_in, find_leaks
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.volatile import tidied
from pytest_llm_usage.errors import SecretError

__all__ = ["publishable"]

_MAX_SHOWN_LEAKS = 10


def publishable(interactions: Iterable[Interaction], redaction: Redaction, *, shown_path: str) -> list[Interaction]:
    """The interactions redacted, without volatile headers, and looked through.

    Args:
        interactions: As they were recorded.
        redaction: What is replaced.
        shown_path: The cassette's path, for the message.

    Raises:
        SecretError: What is left still looks like a credential. The message says what and where, never the thing
            itself.
    """
    clean = [tidied(redaction.interaction(interaction)) for interaction in interactions]
    credentials = credentials_in(os.environ)
    leaks = [
        f"  interaction {number}, {leak}"
        for number, interaction in enumerate(clean, 1)
        for leak in find_leaks(interaction, credentials)
    ]
    if leaks:
        hidden = len(leaks) - _MAX_SHOWN_LEAKS
        if hidden > 0:
            leaks[_MAX_SHOWN_LEAKS:] = [f"  and {hidden} more"]
        advice = (
            "Keep it out of the test, or have it replaced:  llm_usage_redact = field:NAME (header:, query:, pattern:)"
        )
        raise SecretError("\n".join([f"Cassette not saved: {shown_path} would hold a credential", *leaks, advice]))
    return clean
