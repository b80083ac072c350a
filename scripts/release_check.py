"""Checks that a tag can be released: python scripts/release_check.py v1.2.3

The tag is the version in pyproject.toml, CHANGELOG.md has a dated section for it and nothing left to release, and CITATION.cff
names that version and that day.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def faults(tag: str, pyproject: str, changelog: str, citation: str) -> list[str]:
    """The reasons not to release `tag`, a sentence each."""
    version = tomllib.loads(pyproject)["project"]["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and pyproject.toml says {version}: tag v{version}, or set version there")
    sections = dict(re.findall(r"^## \[(.+?)\](.*?)(?=^## \[|\Z)", changelog, flags=re.MULTILINE | re.DOTALL))
    day = re.match(r" - (\d{4}-\d\d-\d\d)\n", sections.get(version, ""))
    if day is None:
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    else:
        cited = (f"version: {version}", f"date-released: {day[1]}")
        found += [f"CITATION.cff has no line '{line}'" for line in cited if line not in citation.splitlines()]
    if re.search(r"^- ", sections.get("Unreleased", ""), flags=re.MULTILINE):
        found.append(f"CHANGELOG.md has entries under [Unreleased]: move them to [{version}]")
    return found


if __name__ == "__main__":
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md", "CITATION.cff")]
    problems = faults(sys.argv[1], *texts)
    sys.exit("\n".join(problems) or None)
