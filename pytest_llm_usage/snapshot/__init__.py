"""`usage_snapshot`: syrupy snapshots of usage, in one readable YAML file per test module.

`file` reads and edits the YAML file, `assertion` is the syrupy adapter, `explain` describes a mismatch, and
`syrupy_session` changes syrupy from outside.
"""

from pytest_llm_usage.snapshot.assertion import (
    UsageSnapshotAssertion,
    UsageSnapshotExtension,
    usage_snapshot_assertion,
)
from pytest_llm_usage.snapshot.explain import explain_mismatch
from pytest_llm_usage.snapshot.file import FORMAT, UsageFile, unwritten_files
from pytest_llm_usage.snapshot.syrupy_session import (
    hide_from_other_extensions,
    keep_snapshots_of,
    keep_snapshots_of_unrun,
)

__all__ = [
    "FORMAT",
    "UsageFile",
    "UsageSnapshotAssertion",
    "UsageSnapshotExtension",
    "explain_mismatch",
    "hide_from_other_extensions",
    "keep_snapshots_of",
    "keep_snapshots_of_unrun",
    "unwritten_files",
    "usage_snapshot_assertion",
]
