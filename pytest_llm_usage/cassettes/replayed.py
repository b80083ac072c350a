"""The exchanges of cassettes as they are, and as a run replayed them: from the working tree, else from git's history."""

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
    """Those in a cassette; none where it cannot be read, which a test that replays it says."""
    try:
        found = find_recording(path)
        return [each.exchange() for each in load(found)] if found is not None else []
    except CassetteError:
        return []


def exchanges_at(root: Path, commit: str, name: str, digest: str) -> list[Exchange] | None:
    """Those in a cassette at a commit; None where git does not have it with that content.

    Args:
        root: pytest's root directory.
        commit: Its hash.
        name: The cassette's path, relative to the root directory.
        digest: What the run says of the file that it replayed: `sha256:…`.
    """
    if _COMMIT.fullmatch(commit) is None:
        return None
    for file in (name, f"{name}.gz"):
        content = _shown(root, f"{commit}:./{file}")
        # Otherwise the run replayed something that was not committed.
        if content is not None and _digest(content) == digest:
            try:
                return [each.exchange() for each in parse(root / name, _plain(file, content))]
            except CassetteError:
                return None
    return None


def exchanges_replayed(root: Path, commit: str, name: str, digest: str) -> list[Exchange] | None:
    """Those that a run replayed, see `exchanges_at`: the working tree's where the cassette is still the same."""
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
    """The content of a file that git has; None where it has none."""
    try:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "show", path],  # noqa: S607 -- git where the user has it
            capture_output=True,
            timeout=_GIT_WAIT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
