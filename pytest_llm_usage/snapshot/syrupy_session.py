"""What is done to syrupy's session from outside: all that goes beyond its documented extension points.

Why: syrupy takes every file in `__snapshots__` that no extension claims for a leftover to be deleted, and every
snapshot that a test which failed or was not run did not come to. The names were looked up in syrupy 4.9, 5.0, 5.5 and
7.0; where a release moved one, `syrupy_session` says so.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pytest_llm_usage.errors import ConfigurationError

__all__ = ["hide_from_other_extensions", "keep_snapshots_of", "keep_snapshots_of_unrun", "syrupy_session"]


def syrupy_session(config: Any) -> Any:
    """Syrupy's session, where its own fixture finds it.

    Raises:
        ConfigurationError: syrupy is switched off, or a release that keeps it elsewhere.
    """
    session = getattr(config, "_syrupy", None)
    if session is None:
        # Both have --snapshot-update, so that a run can load only one of them.
        instead = (
            ", or give -p no:snapshot (pytest-snapshot) instead" if config.pluginmanager.has_plugin("snapshot") else ""
        )
        raise ConfigurationError(
            f"usage_snapshot needs syrupy's plugin, which is switched off: drop -p no:syrupy{instead}"
        )
    missing = [name for name in ("ran_item", "_selected_items", "ignore_file_extensions") if not hasattr(session, name)]
    if missing:
        raise ConfigurationError(
            f"usage_snapshot does not work with syrupy {version('syrupy')}, which has no SnapshotSession."
            f"{missing[0]}: update pytest-llm-usage, or install an earlier syrupy"
        )
    return session


def hide_from_other_extensions(config: Any) -> None:
    """Keeps syrupy's other extensions from taking usage files for unused snapshots, and deleting them.

    The same as `--snapshot-ignore-file-extensions=yaml`; what is unused in usage files is still found, by ours.
    """
    session = syrupy_session(config)
    ignored = list(config.option.ignore_file_extensions or ())
    if "yaml" not in ignored:
        config.option.ignore_file_extensions = session.ignore_file_extensions = [*ignored, "yaml"]


def keep_snapshots_of(config: Any, nodeid: str) -> None:
    """Keeps syrupy from taking for unused, and deleting, what a failing test may not have come to."""
    syrupy_session(config).ran_item(nodeid, "skipped")


def keep_snapshots_of_unrun(config: Any) -> None:
    """The same for tests that were not run, since the run ended before them or a worker died."""
    session = syrupy_session(config)
    # What syrupy's finish goes by; in xdist's controller, as the workers told it.
    reports = [report["selected"] for report in getattr(session, "_worker_reports", ())]
    for nodeid, status in session._selected_items.items():  # noqa: SLF001
        if not status.value:
            session.ran_item(nodeid, "skipped")
    for nodeid in {nodeid for selected in reports for nodeid in selected}:
        if not any(selected.get(nodeid) for selected in reports):
            reports[0][nodeid] = "skipped"
