"""Checks that a tag can be released: python scripts/release_check.py v1.2.3

The tag is the version in pyproject.toml, and CHANGELOG.md has a dated section for it and nothing left to release.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def faults(tag: str, pyproject: str, changelog: str) -> list[str]:
    """What speaks against releasing `tag`, a sentence each."""
    version = tomllib.loads(pyproject)["project"]["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and pyproject.toml says {version}: tag v{version}, or set version there")
    sections = dict(re.findall(r"^## \[(.+?)\](.*?)(?=^## \[|\Z)", changelog, flags=re.MULTILINE | re.DOTALL))
    if not re.match(r" - \d{4}-\d\d-\d\d\n", sections.get(version, "")):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    if re.search(r"^- ", sections.get("Unreleased", ""), flags=re.MULTILINE):
        found.append(f"CHANGELOG.md has entries under [Unreleased]: move them to [{version}]")
    return found


if __name__ == "__main__":
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md")]
    problems = faults(sys.argv[1], *texts)
    sys.exit("\n".join(problems) or None)
