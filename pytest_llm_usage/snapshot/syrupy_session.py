"""Changes to syrupy's session from outside: everything that goes beyond its documented extension points.

Why: syrupy considers unused, and deletes, every file in `__snapshots__` that no extension claims, and every snapshot
that a test that failed or was not run did not reach. The names used here were looked up in syrupy 4.9, 5.0, 5.5 and
7.0; if a release moves one, `syrupy_session` says so.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pytest_llm_usage.errors import ConfigurationError

__all__ = ["hide_from_other_extensions", "keep_snapshots_of", "keep_snapshots_of_unrun", "syrupy_session"]


def syrupy_session(config: Any) -> Any:
    """Syrupy's session, where its own fixture finds it.

    Raises:
        ConfigurationError: syrupy is switched off, or this release of it keeps the session elsewhere.
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

    The same as `--snapshot-ignore-file-extensions=yaml`; our own extension still finds unused snapshots in usage files.
    """
    session = syrupy_session(config)
    ignored = list(config.option.ignore_file_extensions or ())
    if "yaml" not in ignored:
        config.option.ignore_file_extensions = session.ignore_file_extensions = [*ignored, "yaml"]


def keep_snapshots_of(config: Any, nodeid: str) -> None:
    """Keeps syrupy from deleting, as unused, snapshots that a failing test may not have reached."""
    syrupy_session(config).ran_item(nodeid, "skipped")


def keep_snapshots_of_unrun(config: Any) -> None:
    """Keeps the snapshots of tests that were not run, because the run ended before them or a worker died."""
    session = syrupy_session(config)
    # What syrupy decides by when it finishes; in xdist's controller, what the workers reported.
    reports = [report["selected"] for report in getattr(session, "_worker_reports", ())]
    for nodeid, status in session._selected_items.items():  # noqa: SLF001
        if not status.value:
            session.ran_item(nodeid, "skipped")
    for nodeid in {nodeid for selected in reports for nodeid in selected}:
        if not any(selected.get(nodeid) for selected in reports):
            reports[0][nodeid] = "skipped"
