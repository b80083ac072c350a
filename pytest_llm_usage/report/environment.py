"""The environment of a run: versions, the price book, the commit, the CI job. Found without importing a package."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_llm_usage.credentials.mask import mask_text

__all__ = ["commit_of", "environment"]

#: What token counts and costs can depend on beside the code under test.
_PACKAGES = ("pytest-llm-usage", "pytest", "langchain-core", "genai-prices")
#: Where CI systems name the branch: they check out a commit, so git knows of no branch.
_BRANCHES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BUILDKITE_BRANCH", "CIRCLE_BRANCH")
#: Where CI systems name the commit, for jobs that have the files without the repository.
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1")
_JOBS = ("CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GIT_SECONDS = 10


def environment(root: Path, prices: str) -> dict[str, str]:
    """Versions by name, the commit that is checked out, whether its files were changed since (`uncommitted`), and the
    price books in the order in which they are asked.

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
    told = {
        "commit": commit_of(root),
        "branch": _git(root, "symbolic-ref", "--short", "-q", "HEAD") or _first(_BRANCHES),
        "job": _job(os.environ),
        "uncommitted": "yes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "",
    }
    found.update({name: mask_text(value) for name, value in told.items() if value})
    return dict(sorted(found.items()))


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out around `folder`, or None if that is not known."""
    commit = _git(folder, "rev-parse", "-q", "--verify", "HEAD") or _first(_COMMITS)
    return commit if _COMMIT.fullmatch(commit) else None


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; empty if it is not installed, or `folder` is not in a repository of this user."""
    import subprocess  # noqa: PLC0415 -- only for runs that are written down

    try:
        done = subprocess.run(  # noqa: S603 -- fixed words
            ["git", *arguments],  # noqa: S607 -- the user's own
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _first(variables: tuple[str, ...]) -> str:
    return next(filter(None, map(os.environ.get, variables)), "")


def _job(variables: Mapping[str, str]) -> str:
    """The URL of the CI job."""
    server, repository, run = (variables.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else _first(_JOBS)
