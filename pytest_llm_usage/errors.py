"""Every error of this package, in one tree: each is a message that a user can act on, without a traceback.

This is the lowest layer: it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BudgetExceededError",
    "CassetteError",
    "ConfigurationError",
    "LLMUsageError",
    "NoPriceError",
    "PriceUnknownError",
    "RecordingMismatchError",
    "ReportError",
    "RunFileError",
    "SecretError",
    "StoppedInChildError",
    "UpstreamMovedError",
    "UsageUnknownError",
    "hides_frames",
]


class LLMUsageError(Exception):
    """Base of all errors of pytest-llm-usage.

    To fix it: the message says what happened, where, and which line or command fixes it.
    """


class ConfigurationError(LLMUsageError):
    """An option, ini key, marker or price file that cannot be used as it is written.

    To fix it: correct the value that the message names; it says what is accepted.
    """


class UsageUnknownError(LLMUsageError):
    """A token count was read while a call in the view has no known usage.

    To fix it: make the client ask for usage (`ChatOpenAI(stream_usage=True)`, `stream_options={"include_usage": True}`), or read
    streams to their end. ini `llm_usage_missing = warn` reads what is known.
    """


class PriceUnknownError(LLMUsageError):
    """A cost was read while a call in the view has no known price.

    To fix it: put the line that the message shows into the file that `llm_usage_prices` names. ini `llm_usage_unpriced = warn`
    reads what is known.
    """


class StoppedInChildError(LLMUsageError):
    """A model call in a process that the test has forked, which a limit or a cassette forbids. It was not sent, and the test fails.

    To fix it: the message says which limit or which recording it is, as in the test's own process.
    """


class NoPriceError(LLMUsageError):
    """Why a price book has no price for a call. The book answers with its text; it never reaches the user as an error.

    To fix it: see `PriceUnknownError`.

    Attributes:
        fix: What a line of the price file for this model needs beside (or in the place of) input and output, or the
            advice itself; None where no line would help.
    """

    def __init__(self, reason: str, fix: Mapping[str, str] | str | None = None) -> None:
        super().__init__(reason)
        self.fix = fix


class BudgetExceededError(LLMUsageError, AssertionError):
    """More was spent than a limit allows. An `AssertionError`, so that it reads as a failed test.

    To fix it: look at the largest call in the table of the failure; spend less, or raise the limit where the message says it is set.
    """


class CassetteError(LLMUsageError):
    """A cassette that cannot be read, written or used.

    To fix it: the message names the file and the line. Restore the file from version control, or record it again.
    """


class RecordingMismatchError(CassetteError):
    """A request that the cassette does not hold, or no longer holds in this form.

    To fix it: where the change is meant, record again with the command that the message shows; where the request differs in each
    run, leave the member out with `ignore_body`.
    """


class RunFileError(LLMUsageError):
    """A file that is no run, cannot be read, or was written by a later version.

    To fix it: name a file that `--llm-usage-json` or `pytest-llm-usage merge` wrote.
    """


class ReportError(LLMUsageError):
    """A report that could not be written.

    To fix it: name another path. A file that is not such a report is never replaced.
    """


class SecretError(CassetteError):
    """A credential was found where it would have been written to a file. Nothing was written.

    To fix it: keep the credential out of the prompt or the answer, or redact it with a rule in `llm_usage_redact`.
    """


class UpstreamMovedError(LLMUsageError):
    """A release of another package no longer has the internals that this one relies on.

    To fix it: install the release of that package that the message names, and report it.
    """


def hides_frames(excinfo: Any) -> bool:
    """Whether pytest hides the frames of a module that has this function as its `__tracebackhide__`.

    It hides them for an error of the user's, for whom their own line and the message are enough. An internal error
    shows all frames.
    """
    return isinstance(excinfo.value, LLMUsageError | KeyError)
