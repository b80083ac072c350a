"""Links of the repository's pages: those inside lead to a file and a heading that are there, those outside are well formed.

`make links` asks the outside ones; no test goes to the network.
"""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from links import links_of, pages  # noqa: E402

PAGES = pages()


def anchors(page):
    """The anchors of a page's headings, as a code host and MkDocs make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial.md"} <= {page.relative_to(ROOT).as_posix() for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_inside_leads_somewhere(page):
    dead = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        target = (page.parent / path).resolve() if path else page
        if (
            not target.is_relative_to(ROOT)
            or not target.exists()
            or (anchor and target.suffix == ".md" and anchor not in anchors(target))
        ):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_outside_is_well_formed(page):
    outside = [urlsplit(link) for link in links_of(page) if urlsplit(link).scheme]
    assert [
        link.geturl() for link in outside if link.scheme != "https" or "." not in link.netloc or "@" in link.netloc
    ] == []


def test_what_is_checked_can_be_wrong(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](none.md) and [b](https://example.com/x)\n```text\n[c](in-code.md)\n```\n`[d](in-code.md)`\n")
    assert links_of(page) == ["none.md", "https://example.com/x"]
