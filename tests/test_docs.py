"""The pages in `docs/`: what they show runs, what is generated is fresh, and the site builds.

A page's blocks are those of the README (see `test_readme`), with one folder a page. A block in Python or `console` is always run;
one in another language is a file where it has a title, else an excerpt that no test looks at.

Run as a script (`make readme`), it pastes what the commands print now into the pages.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_readme import BLOCK, ROOT, Project, abridged, assert_prints, commands_of

sys.path.insert(0, str(ROOT / "scripts"))
import reference

DOCS = ROOT / "docs"
#: Recordings that pages need beside those of the examples: a folder a page, laid out as in the page's project.
LENT = Path(__file__).parent / "docs_recordings"
#: Pages whose project begins with nothing of the examples'.
OWN_PROJECT = ("first-day",)


def blocks_of(page):
    """The blocks of a page that are written or run."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["path"] or block["language"] in ("python", "console"):
            yield block


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.parent.name != "reference" and any(blocks_of(page))]


class Page(Project):
    """The folder in which a page's blocks are written and run."""

    def __init__(self, page, directory):
        super().__init__(directory)
        self.written = set()
        for path in directory.iterdir() if page.stem in OWN_PROJECT else ():
            path.unlink()
        lent = LENT / page.stem
        if lent.is_dir():
            shutil.copytree(lent, directory, dirs_exist_ok=True)

    def write(self, path, text):
        """Write a block. The first one of a path is how the page's project begins; the next is an edit, as in the README."""
        if path not in self.written and not self.remote.exists():
            (self.directory / path).unlink(missing_ok=True)
        self.written.add(path)
        super().write(path, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_does_what_it_shows(page, tmp_path):
    project = Page(page, tmp_path)
    for block in blocks_of(page):
        if block["language"] == "console":
            for command in commands_of(block["text"]):
                assert_prints(project.run(command.line), command.expected)
        else:
            assert block["path"], f"{page}: a block that no test runs:\n{block[0]}"
            project.write(block["path"], block["text"])
    for path in sorted(project.untried):
        result = project.run_python("-m", "pytest", path)
        assert result.returncode == 0, result.stdout
    if "git push" in page.read_text(encoding="utf-8"):
        project.git("clone", "--quiet", str(project.remote), "clone")
        result = project.run_python("-m", "pytest", directory=tmp_path / "clone")
        assert result.returncode == 0, f"what was pushed is not green:\n{result.stdout}"


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_what_the_code_says(name):
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == f"{reference.PAGES[name]().rstrip()}\n", "run `make reference`"


@pytest.fixture(scope="module")
def help_text():
    command = [sys.executable, "-m", "pytest", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


OPTIONS = (DOCS / "reference" / "options.md").read_text(encoding="utf-8")


def test_every_setting_is_listed_and_no_other(help_text):
    declared = set(re.findall(r"^  (llm_usage_\w+) \(\w+\):(?!\s+renamed)", help_text, flags=re.MULTILINE))
    assert declared
    assert set(re.findall(r"^\| .*?\| `(llm_usage_\w+)` \|", OPTIONS, flags=re.MULTILINE)) == declared


def test_every_listed_option_exists(help_text):
    listed = re.findall(r"(?<=[ >])`(--[\w-]+)[=`]", OPTIONS)
    assert listed
    assert [option for option in listed if not re.search(rf"{option}[ =,\n]", help_text)] == []


@pytest.mark.parametrize("marker", ["llm_budget", "llm_cassette"])
def test_every_keyword_of_a_marker_is_listed(marker):
    command = [sys.executable, "-m", "pytest", "--markers"]
    declared = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    keywords = re.search(rf"^@pytest.mark.{marker}\((.*?)\):", declared, flags=re.MULTILINE)[1]
    markers = (DOCS / "reference" / "markers.md").read_text(encoding="utf-8")
    listed = re.search(rf"^@pytest.mark.{marker}\((.*?)\)$", markers, flags=re.MULTILINE)[1]
    assert re.findall(r"\w+(?==)", listed) == re.findall(r"(\w+)=", keywords)


def test_every_keyword_of_a_cassette_is_explained():
    markers = (DOCS / "reference" / "markers.md").read_text(encoding="utf-8")
    keywords = re.search(r"^@pytest.mark.llm_cassette\((.*?)\)$", markers, flags=re.MULTILINE)[1]
    explained = re.findall(r"^- `(\w+)`: ", markers, flags=re.MULTILINE)
    assert explained == re.findall(r"\w+(?==)", keywords)


def test_every_record_mode_is_explained(help_text):
    modes = re.search(r"cassettes: none .*?measured\)", " ".join(help_text.split()))[0]
    page = (DOCS / "how-to" / "record.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert explained
    assert re.findall(r"\w+", re.sub(r"\([^)]*\)|cassettes:|\bor\b", "", modes)) == explained


def test_every_key_of_a_price_file_is_listed(tmp_path):
    page = (DOCS / "reference" / "price-file.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    kinds = [
        kind
        for line in re.findall(r"^Prices in USD .*", page, flags=re.MULTILINE)
        for kind in re.findall(r"`(\w+)`", line)
    ]
    assert listed
    assert kinds
    prices = tmp_path / "prices.toml"
    command = [sys.executable, "-m", "pytest_llm_usage.cli", "prices", "m", f"--prices={prices}"]
    prices.write_text(f"[models]\nm = {{ {', '.join(f'{kind} = 1' for kind in kinds)} }}\n")
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [kind for kind in kinds if not re.search(rf"^  {kind} ", shown, flags=re.MULTILINE)] == []
    prices.write_text(f"[models]\nm = {{ input = 1, {', '.join(f'{key} = []' for key in listed)} }}\n")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is not a price kind" not in refused.stderr


def test_every_status_of_a_call_is_explained():
    data = (DOCS / "reference" / "run-data.md").read_text(encoding="utf-8")
    statuses = re.findall(r'`"(\w+)"`', re.search(r"^\| `status` \|.*", data, flags=re.MULTILINE)[0])
    assert "aborted" in statuses
    api = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    explained = re.search(r"^- `status`: .*", api, flags=re.MULTILINE)[0]
    assert [status for status in statuses if f"`{status}` (" not in explained] == []


def test_every_public_name_has_a_docstring():
    assert reference.undocumented() == []


def test_every_error_says_how_to_fix_it():
    text = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections if "**To fix it:**" not in section] == []


@pytest.mark.skipif(shutil.which("mkdocs") is None, reason="mkdocs is not installed; `make docs` builds the pages")
def test_the_site_builds_strictly(tmp_path):
    command = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "index.html").is_file()


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert listed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


def paste_fresh_output(page):
    """Write what the commands of a page print now into it."""
    with tempfile.TemporaryDirectory() as directory:
        project = Page(page, Path(directory))

        def fresh(block):
            if block["language"] != "console":
                if block["path"]:
                    project.write(block["path"], block["text"])
                return block[0]
            lines = []
            for command in commands_of(block["text"]):
                lines += [f"$ {command.line}", *abridged(command, project.run(command.line))]
            return "\n".join(["```console", *lines, "```"])

        text = BLOCK.sub(fresh, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for path in map(Path.resolve, map(Path, sys.argv[1:])) if sys.argv[1:] else PAGES:
        paste_fresh_output(path)
