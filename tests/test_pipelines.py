"""The workflow files of `examples/ci`: their own commands, from the first push to a pull request that costs more."""

import os
import re
import shutil
import sys

import pytest
import yaml
from pipelines import GitHub, GitLab
from test_examples import EXAMPLES, clean_environment

sys.path.insert(0, str(EXAMPLES))
import record

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands of the workflows are a shell's")


@pytest.fixture
def project(tmp_path):
    """A copy of the example, as it is checked out."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    return shutil.copytree(EXAMPLES / "ci", tmp_path / "project", ignore=ignored)


@pytest.fixture
def github(project, tmp_path):
    return GitHub(project, tmp_path / "github", clean_environment())


@pytest.fixture
def gitlab(project, tmp_path):
    return GitLab(project, tmp_path / "gitlab", clean_environment())


def spend_more(project):
    """A change that makes `test_ticket` dearer, with its recording and its snapshot as they are then: what a review sees."""
    for file in (*project.glob("cassettes/**/*.yaml"), *project.glob("__snapshots__/*.yaml")):
        text = file.read_text(encoding="utf-8")
        text = text.replace('"prompt_tokens": 104', '"prompt_tokens": 204').replace(
            '"total_tokens": 123', '"total_tokens": 223'
        )
        file.write_text(text, encoding="utf-8")


def update_snapshots(project, service):
    assert service._shell("sh", "pytest --snapshot-update", project, {}), service.output


@pytest.fixture
def live():
    """A function that leads a service's commands to an emulator, over TLS and under the provider's own name."""
    if shutil.which("openssl") is None:
        pytest.skip("the emulator needs the openssl command")
    with record.emulator_environment() as environment:

        def live(service):
            emulated = {name: value for name, value in environment.items() if name.startswith("EMULATOR_")}
            # The plugin that leads there lies beside the examples.
            path = os.pathsep.join((environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")))
            plugins = f"{service.environment['PYTEST_ADDOPTS']} -p recording.redirect"
            service.environment |= emulated | {"PYTHONPATH": path, "PYTEST_ADDOPTS": plugins}

        yield live


class OnPullRequests:
    """What the workflow and the action have in common."""

    def test_the_comment_of_another_workflow_stays(self, github):
        """Every workflow of a repository comments as the same user."""
        assert github.run("llm-usage.yml", "push"), github.output
        assert github.run("llm-usage.yml", "pull_request"), github.output
        github.add_comment("Coverage: 93 %")
        (first, _) = github.comments

        assert github.run("llm-usage.yml", "pull_request"), github.output
        assert github.comments == [first, "Coverage: 93 %"]

    def test_a_baseline_that_has_expired_is_none(self, github):
        assert github.run("llm-usage.yml", "push"), github.output
        (github.store / "expired").touch()

        assert github.run("llm-usage.yml", "pull_request"), github.output
        assert "No run of main to compare with" in github.output
        assert github.comments == []


class TestOnGitHub(OnPullRequests):
    def test_from_the_first_push_to_a_pull_request_that_costs_more(self, github, project):
        assert github.run("llm-usage.yml", "push"), github.output
        assert github.run("llm-usage.yml", "pull_request", is_fork=True), github.output
        assert "2 unchanged\nwithin tokens:+10%, calls:+0" in github.output
        assert not github.comments, "the token of a fork may not write"

        # The snapshots hold a change up; once they are accepted, the comparison does.
        spend_more(project)
        assert not github.run("llm-usage.yml", "pull_request")
        assert "LLM usage differs from __snapshots__/test_support.usage.yaml (test_ticket)" in github.output
        update_snapshots(project, github)
        assert not github.run("llm-usage.yml", "pull_request")
        assert "FAILED: 2 tests and all tests together over tokens:+10%" in github.output
        (comment,) = github.comments
        assert "| `test_support.py::test_ticket` | 123 | 223 | **+81 %** | over `tokens:+10%`" in comment

    def test_a_missing_shard_is_named(self, github, project):
        workflow = project / ".github" / "workflows" / "llm-usage.yml"
        text = workflow.read_text()
        assert 'json="run-$SHARD.json"' in text
        workflow.write_text(text.replace('json="run-$SHARD.json"', 'json="run-1.json"'))

        assert not github.run("llm-usage.yml", "pull_request")
        assert "No run of main" not in github.output
        assert "pytest-llm-usage: shard 2/2 is missing" in github.output

    def test_every_night_against_the_models_themselves(self, github, live):
        live(github)

        assert github.run("llm-usage-live.yml", "schedule"), github.output
        assert "compared with" not in github.output
        assert github.run("llm-usage-live.yml", "schedule"), github.output
        assert "compared with 3 runs: 2 unchanged\nwithin tokens:+10%, cost:+10%" in github.output
        assert "Compared with `3 runs`" in (github.store / "summary.md").read_text()

    def test_nobody_may_do_more_than_the_job_needs(self, project):
        for file in project.glob(".github/workflows/*.yml"):
            workflow = yaml.safe_load(file.read_text())
            assert workflow["permissions"] == {}
            writing = {
                name: [p for p, level in job["permissions"].items() if level == "write"]
                for name, job in workflow["jobs"].items()
            }
            assert [p for permissions in writing.values() for p in permissions] in ([], ["pull-requests"])

    def test_the_token_that_may_write_is_in_no_job_that_runs_code_of_a_pull_request(self, project):
        workflow = yaml.safe_load((project / ".github" / "workflows" / "llm-usage.yml").read_text())
        (writing,) = [job for job in workflow["jobs"].values() if "write" in job["permissions"].values()]
        download, comment = writing["steps"]
        assert download["uses"].startswith("actions/download-artifact@")
        assert "gh pr comment" in comment["run"]
        assert "env" not in writing
        assert "github.token" not in str(download)

    def test_no_step_has_a_token_that_it_does_not_use(self, project):
        for file in project.glob(".github/workflows/*.yml"):
            workflow = yaml.safe_load(file.read_text())
            for job in workflow["jobs"].values():
                assert "token" not in str(job.get("env", {})).lower()
                for step in job["steps"]:
                    assert ("GH_TOKEN" in step.get("env", {})) == ("gh " in step.get("run", "")), step

    def test_the_baselines_are_of_a_named_branch(self, project):
        for file in project.glob(".github/workflows/*.yml"):
            assert re.findall(r"query=\(.*--branch=(\S+) ", file.read_text()) in (['"$BASE"'], ["main"])


class TestTheAction(OnPullRequests):
    """`action.yml`, in the workflow that the page on CI shows."""

    @pytest.fixture
    def github(self, github, project):
        page = (EXAMPLES.parent / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
        (workflow,) = re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
        assert workflow.count("OWNER/pytest-llm-usage@TAG") == 2
        (project / ".github" / "workflows" / "llm-usage.yml").write_text(
            workflow.replace("OWNER/pytest-llm-usage@TAG", "./.github/actions/llm-usage")
        )
        action = project / ".github" / "actions" / "llm-usage"
        action.mkdir(parents=True)
        shutil.copy(EXAMPLES.parent / "action.yml", action)
        return github

    def test_from_the_first_push_to_a_pull_request_that_costs_more(self, github, project):
        assert github.run("llm-usage.yml", "push"), github.output
        assert not github.comments

        spend_more(project)
        update_snapshots(project, github)
        assert not github.run("llm-usage.yml", "pull_request", is_fork=True)
        assert "FAILED: 2 tests and all tests together over tokens:+10%" in github.output
        assert not github.comments, "the token of a fork may not write"
        assert not github.run("llm-usage.yml", "pull_request")
        (comment,) = github.comments
        assert "| `test_support.py::test_ticket` | 123 | 223 | **+81 %** | over `tokens:+10%`" in comment

    def test_a_missing_shard_is_named(self, github, project):
        workflow = project / ".github" / "workflows" / "llm-usage.yml"
        text = workflow.read_text()
        workflow.write_text(re.sub(r"\n *- \{shard: 2/2.*", "", text))

        assert not github.run("llm-usage.yml", "push")
        assert "pytest-llm-usage: shard 2/2 is missing" in github.output

    def test_the_command_is_read_as_a_shell_reads_it(self, github, project):
        workflow = project / ".github" / "workflows" / "llm-usage.yml"
        text = workflow.read_text()
        command = "|\n            pytest test_*.py\n              -k 'ticket or reply'"
        text = text.replace("pytest ${{ matrix.tests }}", command, 1).replace("shard: 1/2", "shard: 1/1", 1)
        workflow.write_text(re.sub(r"\n *- \{shard: 2/2.*", "", text))

        assert github.run("llm-usage.yml", "push"), github.output
        assert "collected 2 items" in github.output

    def test_a_missing_baseline_fails_where_the_gates_say_so(self, github, project):
        workflow = project / ".github" / "workflows" / "llm-usage.yml"
        text = workflow.read_text()
        assert text.endswith("- uses: ./.github/actions/llm-usage\n")
        workflow.write_text(f"{text}        with:\n          fail-on: calls:+0, no-baseline\n")

        assert not github.run("llm-usage.yml", "pull_request")
        assert "No run of main to compare with" in github.output
        assert github.run("llm-usage.yml", "push"), github.output
        assert github.run("llm-usage.yml", "pull_request"), github.output
        assert "within calls:+0" in github.output

    def test_the_token_is_in_the_steps_that_use_it_alone(self):
        action = yaml.safe_load((EXAMPLES.parent / "action.yml").read_text())
        for step in action["runs"]["steps"]:
            assert ("GH_TOKEN" in step.get("env", {})) == ("gh " in step.get("run", "")), step
            assert "${{" not in step.get("run", "")


class TestOnGitLab:
    def test_from_the_first_push_to_a_merge_request_that_costs_more(self, gitlab, project):
        assert gitlab.run("push"), gitlab.output
        spend_more(project)
        update_snapshots(project, gitlab)

        assert not gitlab.run("merge_request_event")
        assert "FAILED: 2 tests and all tests together over tokens:+10%" in gitlab.output
        (note,) = gitlab.notes
        # The token is in the job that notes alone, and that one has neither a checkout nor the default's commands.
        jobs = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
        assert [name for name, job in jobs.items() if "LLM_USAGE_TOKEN" in str(job)] == ["note"]
        assert [name for name, job in jobs.items() if "environment" in job] == ["note"]
        assert "| `test_support.py::test_ticket` | 123 | 223 | **+81 %** | over `tokens:+10%`" in note

    def test_without_a_run_of_the_default_branch_there_is_nothing_to_compare_with(self, gitlab):
        assert gitlab.run("merge_request_event"), gitlab.output
        assert "No run of main to compare with yet" in gitlab.output
        assert gitlab.notes == []

    def test_every_night_against_the_models_themselves(self, gitlab, live):
        live(gitlab)

        assert gitlab.run("schedule"), gitlab.output
        assert gitlab.run("schedule"), gitlab.output
        assert "compared with 3 runs: 2 unchanged\nwithin tokens:+10%, cost:+10%" in gitlab.output
