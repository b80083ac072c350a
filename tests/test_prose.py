"""The words of the pages: those of CONTRIBUTING's table and none that it rules out, plain ones, and no sentence twice.

The spelling is codespell's part, clichés are proselint's (`make lint`). The generated reference is held to the words too: so are
docstrings, help texts and errors.
"""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from links import ROOT, pages

PAGES = pages()

#: Ruled out in one meaning (see CONTRIBUTING.md), and right in another, which no test can tell apart.
OTHER_MEANINGS = {
    "0": "a limit of 0",
    "$0": "a missing price is never $0",
    "none": "the record mode",
    "free": "what costs nothing",
    "real": "not made up",
    "annotation": "of a type, and GitHub's",
    "ask for": "what a model is asked for",
    "reference": "the pages of that name",
    "part": "of the input",
    "place": "in a layer",
    "capture": "pytest's option",
    "query": "of a URL",
    "inference": "Text Generation Inference",
}
#: Longer, grander or vaguer than a plain word: what to write instead.
PLAIN = {
    "utilize": "use",
    "leverage": "use",
    "in order to": "to",
    "due to the fact that": "because",
    "prior to": "before",
    "subsequent to": "after",
    "please note": "(leave it out)",
    "it should be noted": "(leave it out)",
    "simply": "(leave it out)",
    "seamless": "(say what works)",
    "robust": "(say what it stands)",
    "powerful": "(say what it does)",
    "blazing": "(give the figure)",
    "state of the art": "(give the figure)",
    "in the event that": "if",
    "a number of": "some, or how many",
    "as well as": "and",
    "facilitate": "help",
    "functionality": "what it does",
    "whilst": "while",
    "upon": "on",
    "hereby": "(leave it out)",
    "aforementioned": "(name it)",
    "wherein": "where",
}


def prose(page):
    """A page without its code."""
    text = re.sub(r"^```.*?^```$", "\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "`code`", text))


def ruled_out():
    """The words that CONTRIBUTING's table rules out."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Words")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!word|---)[^|]+ \| [^|]+ \| ([^|]*) ?\|$", text, flags=re.MULTILINE)
    listed = {re.sub(r"\(.*\)", "", word).strip() for row in rows for word in re.split(r"[,;]", row)} - {""}
    assert OTHER_MEANINGS.keys() <= listed
    return sorted((listed | PLAIN.keys()) - OTHER_MEANINGS.keys())


WORDS = re.compile(rf"(?<![\w/-])(?:{'|'.join(map(re.escape, ruled_out()))})(?:s|d|ing)?(?![\w/-])", re.IGNORECASE)


def hits(text):
    return [" ".join(text[max(0, hit.start() - 40) : hit.end() + 40].split()) for hit in WORDS.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_words_are_those_of_the_table(page):
    text = prose(page)
    if page.name == "CONTRIBUTING.md":
        before, _, after = text.partition("## Words")
        text = before + after.partition("\n## ")[2]
    assert hits(text) == []


def sentences(page):
    """The sentences of a page that are long enough to be somebody's own."""
    text = prose(page).replace("`code`", "") if page.name == "CHANGELOG.md" else page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#\d])", re.sub(r"\]\([^)]*\)", "]", text)):
        for sentence in re.split(r"(?<=[.!?:]) (?=[A-Z`*])", " ".join(paragraph.split())):
            words = re.findall(r"\w+", sentence.lower())
            if len(words) >= 7:
                yield " ".join(words)


def test_no_sentence_stands_twice():
    # The reference is generated: an option's help stands where it is typed and where it is read.
    where = {}
    for page in PAGES:
        if page.parent.name not in ("reference", ".github"):
            for sentence in sentences(page):
                where.setdefault(sentence, []).append(page.relative_to(ROOT).as_posix())
    assert len(where) > 500
    assert {sentence: pages for sentence, pages in where.items() if len(pages) > 1} == {}


def test_what_is_checked_can_be_wrong(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Utilize the tape.\n```text\nThe tape.\n```\n`the tape`, or the video-tape, as a vendor does.\n")
    assert len(hits(prose(page))) == 3
