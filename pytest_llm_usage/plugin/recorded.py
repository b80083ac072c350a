"""Cassettes for the reports, which know none: as they are, and as they were at a commit."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llm_usage.errors import CassetteError

if TYPE_CHECKING:
    from pytest_llm_usage.report.bodies import Recordings
    from pytest_llm_usage.wire.exchange import Exchange

__all__ = ["recordings_in"]

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GIT_WAIT_S = 30


def recordings_in(root: Path) -> Recordings:
    """Who reads the cassettes of a project.

    Args:
        root: pytest's root directory, to which their paths are relative.
    """
    from pytest_llm_usage.report.bodies import Recordings  # noqa: PLC0415 -- only where it is asked for

    return Recordings(
        now=lambda name: _now(root / name), then=lambda commit, name, digest: _then(root, commit, name, digest)
    )


def _now(path: Path) -> list[Exchange]:
    from pytest_llm_usage.cassettes.storage import find_recording, load  # noqa: PLC0415 -- only where it is asked for

    try:
        found = find_recording(path)
        return [each.exchange() for each in load(found)] if found is not None else []
    except CassetteError:
        return []  # a test that replays it says so


def _then(root: Path, commit: str, name: str, digest: str) -> list[Exchange] | None:
    from pytest_llm_usage.cassettes.storage import parse  # noqa: PLC0415 -- only where it is asked for

    if _COMMIT.fullmatch(commit) is None:
        return None
    try:
        shown = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "show", f"{commit}:./{name}"],  # noqa: S607 -- git where the user has it
            capture_output=True,
            timeout=_GIT_WAIT_S,
            check=True,
        ).stdout
        if f"sha256:{hashlib.sha256(shown).hexdigest()}" != digest:
            return None  # the run replayed something that was not committed
        return [each.exchange() for each in parse(root / name, shown)]
    except (OSError, subprocess.SubprocessError, CassetteError):
        return None
