"""What a run ran on: versions, the price book, the commit. Found without importing a package or starting a process."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["commit_of", "environment"]

#: What token counts and costs can depend on beside the code under test.
_PACKAGES = ("pytest-llm-usage", "pytest", "langchain-core", "genai-prices")


def environment(root: Path, prices: str) -> dict[str, str]:
    """Versions by name, the commit that is checked out, and the price books in the order in which they are asked.

    Args:
        root: A folder of the project.
        prices: `PriceBook.name`.
    """
    found = {"python": platform.python_version(), "platform": sys.platform, "prices": prices}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = commit_of(root)
    if commit is not None:
        found["commit"] = commit
    return dict(sorted(found.items()))


_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"ref: (refs/\S+)")


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out in the git repository around `folder`, or None where that cannot be told."""
    for parent in (folder, *folder.parents):
        dot_git = parent / ".git"
        if dot_git.exists():
            try:
                return _head(dot_git)
            except (OSError, ValueError):
                return None
    return None


def _head(dot_git: Path) -> str | None:
    if dot_git.is_file():
        # A worktree or a submodule.
        dot_git = dot_git.parent / dot_git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    head = (dot_git / "HEAD").read_text(encoding="utf-8").strip()
    ref = _REF.fullmatch(head)
    if ref is None:
        return head if _COMMIT.fullmatch(head) else None
    common = dot_git / "commondir"
    stores = [dot_git, dot_git / common.read_text(encoding="utf-8").strip()] if common.exists() else [dot_git]
    for store in stores:
        loose = store / ref[1]
        if loose.is_file():
            commit = loose.read_text(encoding="utf-8").strip()
            return commit if _COMMIT.fullmatch(commit) else None
        packed = store / "packed-refs"
        if packed.is_file():
            for line in packed.read_text(encoding="utf-8").splitlines():
                commit, _, name = line.partition(" ")
                if name == ref[1]:
                    return commit
    return None
