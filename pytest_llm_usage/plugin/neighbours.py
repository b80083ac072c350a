"""Options of other plugins that concern this one, if those plugins are installed."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

__all__ = ["record_mode_of_neighbours", "refuse_two_snapshot_updates"]

#: Options that choose a record mode, by their `dest`: that of pytest-recording, then those of pytest-vcr, the newer of its
#: two names first.
_MODES = ("record_mode", "vcr_record", "deprecated_vcr_record")
#: Options that switch cassettes off: nothing is replayed or recorded.
_SWITCHES = ("disable_recording", "disable_vcr")


def record_mode_of_neighbours(config: pytest.Config) -> str | None:
    """The record mode that was set for another plugin; None if none was set."""
    if any(config.getoption(name, False) for name in _SWITCHES):
        return "live"
    return next((mode for name in _MODES if (mode := config.getoption(name, None))), None)


def refuse_two_snapshot_updates(manager: pytest.PytestPluginManager) -> None:
    """Explains what to do about pytest-snapshot beside syrupy, before pytest shows a traceback of argparse.

    Args:
        manager: pytest's plugin manager. Both plugins may be loaded after this one.
    """
    options = getattr(manager.get_plugin("pytestconfig"), "known_args_namespace", None)
    is_automatic = not (
        os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or getattr(options, "disable_plugin_autoload", False)
    )
    is_either_off = manager.is_blocked("syrupy") or manager.is_blocked("snapshot")
    if is_automatic and not is_either_off and find_spec("pytest_snapshot") is not None:
        raise pytest.UsageError(
            "--snapshot-update: pytest-snapshot and syrupy both have it.  addopts = -p no:syrupy  in pytest's configuration "
            "keeps pytest-snapshot, and all of pytest-llm-usage but usage_snapshot;  addopts = -p no:snapshot  keeps syrupy"
        )
