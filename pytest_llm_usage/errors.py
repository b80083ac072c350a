"""Every error of this package, one tree: a message a user can act on, never a traceback to read.

The lowest layer: nothing of the package is imported here.
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
    "UpstreamMovedError",
    "UsageUnknownError",
    "hides_frames",
]


class LLMUsageError(Exception):
    """Base of all errors of pytest-llm-usage."""


class ConfigurationError(LLMUsageError):
    """An option, ini key, marker or price file that cannot be used as it is written."""


class UsageUnknownError(LLMUsageError):
    """A token count was read while a call in the view has no known usage."""


class PriceUnknownError(LLMUsageError):
    """A cost was read while a call in the view has no known price."""


class NoPriceError(LLMUsageError):
    """Why a price book has no price for a call. The book answers with its text; it never reaches the user as an error.

    Attributes:
        fix: What a line of the price file for this model needs beside (or in the place of) input and output, or the
            advice itself; None where no line would help.
    """

    def __init__(self, reason: str, fix: Mapping[str, str] | str | None = None) -> None:
        super().__init__(reason)
        self.fix = fix


class BudgetExceededError(LLMUsageError, AssertionError):
    """More was spent than a limit allows. An `AssertionError`, so that it reads as a failed test."""


class CassetteError(LLMUsageError):
    """A cassette that cannot be read, written or used."""


class RecordingMismatchError(CassetteError):
    """A request that the cassette does not hold, or no longer holds in this form."""


class RunFileError(LLMUsageError):
    """A file that is no run, cannot be read, or was written by a later version."""


class ReportError(LLMUsageError):
    """A report that could not be written."""


class SecretError(CassetteError):
    """A credential was found where it would have been written to a file. Nothing was written."""


class UpstreamMovedError(LLMUsageError):
    """A release of another package no longer has the internals that this one relies on."""


def hides_frames(excinfo: Any) -> bool:
    """Whether pytest hides the frames of a module that has this function as its `__tracebackhide__`.

    It does where the error says what the user did: their own line and the message are enough. Our mistakes are shown whole.
    """
    return isinstance(excinfo.value, LLMUsageError | KeyError)
