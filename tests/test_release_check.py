"""What is checked before a tag is released."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from release_check import faults

PYPROJECT = '[project]\nversion = "1.2.3"\n'
RELEASED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-24\n\n- A change.\n\n## [1.2.2] - 2026-01-01\n\n- An earlier one.\n"


def test_a_version_that_is_written_down_can_be_released():
    assert faults("v1.2.3", PYPROJECT, RELEASED) == []


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
    assert faults(tag, PYPROJECT, changelog) == [fault]
