"""What a run ran on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llm_usage.report.environment import commit_of, environment


def git(folder, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "feature/one")
    (folder / "file").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def head(folder):
    return git(folder, "rev-parse", "HEAD")


class TestCommit:
    def test_of_a_branch_from_a_folder_below(self, repository):
        (repository / "below").mkdir()
        assert commit_of(repository / "below") == head(repository)

    def test_of_packed_references(self, repository):
        git(repository, "pack-refs", "--all")
        assert commit_of(repository) == head(repository)

    def test_of_a_detached_head(self, repository):
        git(repository, "checkout", "-q", "--detach")
        assert commit_of(repository) == head(repository)

    @pytest.mark.parametrize("packed", [False, True])
    def test_of_a_worktree(self, repository, packed):
        git(repository, "worktree", "add", "-q", "../tree", "-b", "other")
        (repository / "file").write_text("2")
        git(repository, "commit", "-qam", "two")
        if packed:
            git(repository, "pack-refs", "--all")
        tree = repository.parent / "tree"
        assert commit_of(tree) == head(tree) != head(repository)

    def test_of_a_repository_without_one(self, tmp_path):
        git(tmp_path, "init", "-q")
        assert commit_of(tmp_path) is None

    def test_of_no_repository(self, tmp_path):
        assert commit_of(tmp_path) is None

    def test_of_files_without_their_repository_is_what_ci_says(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GITHUB_SHA", "1" * 40)
        assert commit_of(tmp_path) == "1" * 40

    def test_the_repository_knows_better_than_ci(self, repository, monkeypatch):
        monkeypatch.setenv("GITHUB_SHA", "1" * 40)
        assert commit_of(repository) == head(repository)

    def test_without_git_is_none(self, repository, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert commit_of(repository) is None

    @pytest.mark.parametrize("content", ["", "ref: refs/heads/.invalid", "\xff\x00", "ref: ../../secret"])
    def test_of_what_is_no_head(self, tmp_path, content):
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "HEAD").write_text(content, encoding="latin-1")
        assert commit_of(tmp_path) is None


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("GITHUB_", "CI_", "BUILDKITE", "CIRCLE")):
            monkeypatch.delenv(name)


class TestBranchAndJob:
    def test_of_a_branch(self, repository):
        assert environment(repository, "p")["branch"] == "feature/one"

    def test_of_a_commit_that_ci_checked_out(self, repository, monkeypatch):
        git(repository, "checkout", "-q", "--detach")
        assert "branch" not in environment(repository, "p")
        monkeypatch.setenv("GITHUB_HEAD_REF", "")
        monkeypatch.setenv("GITHUB_REF_NAME", "main")
        assert environment(repository, "p")["branch"] == "main"

    def test_of_the_job(self, tmp_path, monkeypatch):
        assert "job" not in environment(tmp_path, "p")
        monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/jobs/1")
        assert environment(tmp_path, "p")["job"] == "https://gitlab.example/jobs/1"
        for name, value in (("SERVER_URL", "https://github.example"), ("REPOSITORY", "a/b"), ("RUN_ID", "7")):
            monkeypatch.setenv(f"GITHUB_{name}", value)
        assert environment(tmp_path, "p")["job"] == "https://github.example/a/b/actions/runs/7"


def test_changes_that_are_not_committed_are_told(repository):
    assert "uncommitted" not in environment(repository, "p")
    (repository / "new").write_text("it may be anything")
    assert "uncommitted" not in environment(repository, "p")
    (repository / "file").write_text("2")
    assert environment(repository, "p")["uncommitted"] == "yes"
    git(repository, "commit", "-qam", "two")
    assert "uncommitted" not in environment(repository, "p")


def test_versions_are_found_without_importing_the_packages(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pytest_llm_usage.report.environment import environment;"
        "print(sorted(environment(Path(sys.argv[1]), 'prices')));"
        "assert not {'langchain_core', 'genai_prices'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    names = ["genai-prices", "langchain-core", "platform", "prices", "pytest", "pytest-llm-usage", "python"]
    assert done.stdout.strip() == str(names)


def test_a_package_that_is_not_installed_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_llm_usage.report.environment._PACKAGES", ("not-installed-anywhere",))
    assert set(environment(tmp_path, "p")) == {"python", "platform", "prices"}
