"""`[project.urls]`, as the builder fills them in (hatchling's metadata hook): the repository in which a release is built.

Only the workflow that publishes a release knows its repository; a fork's workflow knows the fork. A package that is
built elsewhere has no addresses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def urls(environment: Mapping[str, str]) -> dict[str, str]:
    """The addresses by label, from the variables that GitHub sets in a workflow; none elsewhere."""
    server, repository = (environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY"))
    if not server or not repository:
        return {}
    home = f"{server}/{repository}"
    files = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md", "Security": "SECURITY.md"}
    return {
        "Repository": home,
        "Issues": f"{home}/issues",
        **{label: f"{home}/blob/HEAD/{name}" for label, name in files.items()},
    }


class ProjectUrls(MetadataHookInterface):
    """Sets `urls`, which pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling, but not for a build from an sdist, which has its addresses already."""
        metadata["urls"] = urls(os.environ)
