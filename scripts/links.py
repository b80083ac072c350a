# ruff: noqa: T201 -- a command prints
"""Requests every external address that the pages link to, once each (`make links`): python scripts/links.py

It needs the network, so no test and no other target runs it; CI has a job for it that is started by hand. Ends with 1
if an address is gone. An address that wants a login, or fewer requests, is there.
"""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
THERE = {401, 403, 405, 429}


def pages() -> list[Path]:
    """The Markdown pages of the repository, without those of other trees inside it."""
    found = [*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    return sorted(found)


def links_of(page: Path) -> list[str]:
    """The targets of a page's links, outside of code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(?<!\[)`[^`\n]*`(?!\])", "", text)
    return [target.strip("<>") for target in re.findall(r"\]\(([^)\s]+)\)", text)]


def fault(address: str) -> str | None:
    """What is wrong with an address, or None."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})  # noqa: S310 -- https only
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in THERE else f"answers {error.code}"
    except OSError as error:
        return str(error)


def main() -> int:
    """Requests the addresses, and prints those that are gone."""
    links: dict[str, str] = {}
    for page in pages():
        for link in links_of(page):
            if link.startswith("https://"):
                links.setdefault(link.partition("#")[0], page.relative_to(ROOT).as_posix())
    gone = 0
    for address, page in sorted(links.items()):
        if (found := fault(address)) is not None:
            gone += 1
            print(f"{page}: {address} {found}")
    print(f"{len(links)} addresses, {gone} gone")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
