"""What is checked before a tag is released, and that the changelog names what is there."""

import importlib
import re
import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from release_check import ROOT, faults

from pytest_llm_usage import Call, LLMUsage, TokenUsage
from pytest_llm_usage.billing import Billing
from pytest_llm_usage.settings.options import RECORD_MODES, RENAMED, SETTINGS

PYPROJECT = '[project]\nversion = "1.2.3"\n'
RELEASED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-24\n\n- A change.\n\n## [1.2.2] - 2026-01-01\n\n- An earlier one.\n"
CITATION = "version: 1.2.3\ndate-released: 2026-11-24\n"


def test_a_version_that_is_written_down_can_be_released():
    assert faults("v1.2.3", PYPROJECT, RELEASED, CITATION) == []


@pytest.fixture
def project_urls(monkeypatch):
    """The builder's hook, without the builder."""
    interface = types.ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin", interface.__name__):
        monkeypatch.setitem(sys.modules, name, interface)
    monkeypatch.delitem(sys.modules, "project_urls", raising=False)
    return importlib.import_module("project_urls")


def test_a_release_leads_to_the_repository_of_its_workflow(project_urls, monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "birds/pytest-llm-usage")
    metadata = {}
    project_urls.ProjectUrls().update(metadata)

    home = "https://git.example/birds/pytest-llm-usage"
    assert metadata["urls"]["Repository"] == home
    assert metadata["urls"]["Issues"] == f"{home}/issues"
    files = [url.removeprefix(f"{home}/blob/HEAD/") for url in metadata["urls"].values() if "/blob/" in url]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert len(files) == 3


def test_what_is_built_elsewhere_has_no_addresses(project_urls, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    metadata = {}
    project_urls.ProjectUrls().update(metadata)

    assert metadata == {"urls": {}}


@pytest.mark.parametrize(
    ("tag", "changelog", "fault"),
    [
        ("v1.2.4", RELEASED, "the tag is v1.2.4, and pyproject.toml says 1.2.3: tag v1.2.3, or set version there"),
        ("1.2.3", RELEASED, "the tag is 1.2.3, and pyproject.toml says 1.2.3: tag v1.2.3, or set version there"),
        ("v1.2.3", RELEASED.replace(" - 2026-11-24", ""), "CHANGELOG.md has no section '## [1.2.3] - YYYY-MM-DD'"),
        ("v1.2.3", RELEASED.replace("[1.2.3]", "[1.2.4]"), "CHANGELOG.md has no section '## [1.2.3] - YYYY-MM-DD'"),
        (
            "v1.2.3",
            RELEASED.replace("[Unreleased]\n", "[Unreleased]\n\n- One more.\n"),
            "CHANGELOG.md has entries under [Unreleased]: move them to [1.2.3]",
        ),
    ],
)
def test_what_speaks_against_a_release(tag, changelog, fault):
    assert faults(tag, PYPROJECT, changelog, CITATION) == [fault]


@pytest.mark.parametrize("line", ["version: 1.2.3", "date-released: 2026-11-24"])
def test_who_cites_it_cites_the_release(line):
    assert faults("v1.2.3", PYPROJECT, RELEASED, CITATION.replace(line, "version: 1.2.2")) == [
        f"CITATION.cff has no line '{line}'"
    ]


CHANGED_NAMES = re.findall(
    r"^\| (option|ini key|variable|mode|marker|Python) \| `(.+?)` \| (.+?) \|$",
    (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)
#: What a user can type today, without its value.
TYPED = {
    "option": {spelling for setting in SETTINGS if setting.flag is not None for spelling in setting.spellings},
    "ini key": {setting.key for setting in SETTINGS},
    "variable": {setting.variable for setting in SETTINGS},
}


def typed(kind, line):
    """The name in a line of the changelog."""
    pattern = {
        "option": r"--[\w-]+",
        "ini key": r"^\w+",
        "variable": r"^\w+",
        "mode": r"(?<==)\w+",
        "marker": r'\w+(?="\))',
    }
    return re.search(pattern[kind], line)[0]


@pytest.mark.parametrize(("kind", "before", "now"), [row for row in CHANGED_NAMES if row[0] != "Python"])
def test_a_name_of_the_changelog_is_one_that_can_be_typed(kind, before, now):
    names = TYPED.get(kind, set(RECORD_MODES))
    assert typed(kind, before) not in names
    assert typed(kind, now.strip("`")) in names


def test_every_name_that_is_refused_is_in_the_changelog():
    listed = {typed(kind, before) for kind, before, _ in CHANGED_NAMES if kind == "option"}
    assert listed == {old.option for old in RENAMED}


@pytest.mark.parametrize(("before", "now"), [row[1:] for row in CHANGED_NAMES if row[0] == "Python"])
def test_a_line_of_python_in_the_changelog_can_be_written_today(before, now):
    owners = {"call": Call, "llm_usage": LLMUsage, "TokenUsage": TokenUsage, "billing": Billing}

    def missing(line):
        paths = re.findall(r"(?=\b(call|billing|llm_usage|TokenUsage)\.(\w+))", line)
        return [
            name for owner, name in paths if not hasattr(owners[owner], name) and name not in fields_of(owners[owner])
        ]

    assert missing(before)
    assert missing(now) == []


def fields_of(owner):
    return getattr(owner, "__dataclass_fields__", {})
