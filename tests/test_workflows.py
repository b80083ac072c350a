"""The workflows of this repository: pinned, with no more rights than they need, and with the Makefile's commands."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the workflows are in the repository alone")

MAY_WRITE = {"publish": {"id-token": "write"}, "attest": {"attestations": "write", "id-token": "write"}}
WHO_WRITES = {"publish": ["pypa/gh-action-pypi-publish"], "attest": ["actions/attest-sbom"]}

params = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


@params
def test_every_action_is_pinned_by_its_hash_and_says_which_version_that_is(file):
    used = re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@params
def test_a_job_may_do_nothing_but_what_it_says(file):
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    rights = {name: job["permissions"] for name, job in workflow["jobs"].items()}
    written = {name: right for name, right in rights.items() if "write" in right.values()}
    assert written == (MAY_WRITE if file.name == "release.yml" else {})
    for name in written:
        # The jobs that may write have no checkout: nothing that was not built and checked runs in them.
        steps = [step.get("uses", step.get("run")).partition("@")[0] for step in workflow["jobs"][name]["steps"]]
        assert [step for step in steps if step != "actions/download-artifact"] == WHO_WRITES[name]


@params
def test_its_commands_are_the_makefile_s(file):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, flags=re.MULTILINE)[1].replace("\\\n", " ").split()
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        words = command.split()
        assert words[0] == "make"
        assert words[1] in (*targets, '"$SET"')
