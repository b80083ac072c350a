"""What the options of other recorders of cassettes say, where these are installed and their options are given."""

from __future__ import annotations

import pytest

__all__ = ["record_mode_of_neighbours"]

#: Options that choose a record mode, by the names that their plugins keep them under: pytest-recording's, and
#: pytest-vcr's, the later of its two names first.
_MODES = ("record_mode", "vcr_record", "deprecated_vcr_record")
#: Options that switch cassettes off: nothing is replayed, nothing is recorded.
_SWITCHES = ("disable_recording", "disable_vcr")


def record_mode_of_neighbours(config: pytest.Config) -> str | None:
    """The record mode that somebody gave another plugin; None where nobody did."""
    if any(config.getoption(name, False) for name in _SWITCHES):
        return "live"
    return next((mode for name in _MODES if (mode := config.getoption(name, None))), None)
