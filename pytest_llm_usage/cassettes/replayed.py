"""The exchanges of cassettes, now or as a run replayed them: from the working tree, else from git's history."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llm_usage.cassettes.storage import find_recording, load, parse
from pytest_llm_usage.encoding import decode
from pytest_llm_usage.errors import CassetteError

if TYPE_CHECKING:
    from pytest_llm_usage.wire.exchange import Exchange

__all__ = ["exchanges_at", "exchanges_now", "exchanges_replayed"]

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GIT_WAIT_S = 30


def exchanges_now(path: Path) -> list[Exchange]:
    """The exchanges in a cassette; none if it cannot be read, which a test that replays it reports."""
    try:
        found = find_recording(path)
        return [each.exchange() for each in load(found)] if found is not None else []
    except CassetteError:
        return []


def exchanges_at(root: Path, commit: str, name: str, digest: str) -> list[Exchange] | None:
    """The exchanges in a cassette at a commit; None if git does not have it with that content.

    Args:
        root: pytest's root directory.
        commit: The commit's hash.
        name: The cassette's path, relative to the root directory.
        digest: The digest of the file that the run replayed: `sha256:…`.
    """
    if _COMMIT.fullmatch(commit) is None:
        return None
    for file in (name, f"{name}.gz"):
        content = _shown(root, f"{commit}:./{file}")
        # If the digests differ, the run replayed something that was not committed.
        if content is not None and _digest(content) == digest:
            try:
                return [each.exchange() for each in parse(root / name, _plain(file, content))]
            except CassetteError:
                return None
    return None


def exchanges_replayed(root: Path, commit: str, name: str, digest: str) -> list[Exchange] | None:
    """The exchanges that a run replayed, from the working tree if the cassette is unchanged, else by `exchanges_at`."""
    try:
        found = find_recording(root / name)
        if found is not None and _digest(found.read_bytes()) == digest:
            return exchanges_now(root / name)
    except (CassetteError, OSError):
        pass  # git may have it
    return exchanges_at(root, commit, name, digest)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _plain(file: str, content: bytes) -> bytes:
    return decode(content, "gzip").content if file.endswith(".gz") else content


def _shown(root: Path, path: str) -> bytes | None:
    """The content of a file in git; None if git does not have it."""
    try:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "show", path],  # noqa: S607 -- git where the user has it
            capture_output=True,
            timeout=_GIT_WAIT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
