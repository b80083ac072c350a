"""Plugins that cannot be loaded beside all of those of this suite, as pytest loads them by itself: each in a process of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response

ANSWER = (
    b'{"id": "1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices": [{"index": 0, '
    b'"finish_reason": "stop", "message": {"role": "assistant", "content": "A falcon."}}], '
    b'"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}'
)
JSON = {"content-type": ["application/json"]}
ASKS = """
    import httpx

    def ask():
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "fastest bird?"}]}
        httpx.post("https://api.openai.com/v1/chat/completions", json=body)
"""
BODY = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "fastest bird?"}]}'


def needs(module):
    return pytest.mark.skipif(
        find_spec(module) is None,
        reason=f"{module} is not installed: it cannot be loaded beside the other plugins of this environment "
        "(make test-pytest-8 has it)",
    )


@pytest.fixture
def project(pytester, monkeypatch):
    """A project whose pytest loads what is installed, but for the plugins that say that they bear no other one."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    pytester.makepyfile(app=ASKS)

    def record(path):
        request = Request("POST", "https://api.openai.com/v1/chat/completions", JSON, BODY)
        storage.save(pytester.path / path, [Interaction(request, Response(200, "OK", JSON, ANSWER))])

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:recording", *arguments],
            cwd=pytester.path,
            env={**os.environ, "PYTHONPATH": f"{pytester.path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    pytester.record, pytester.run_apart = record, run
    return pytester


@needs("pytest_vcr")
class TestPytestVcr:
    @pytest.fixture(autouse=True)
    def tests(self, project):
        project.makepyfile(
            test_bird="""
            import pytest
            from app import ask

            def test_bird(llm_usage):
                ask()
                assert llm_usage.total_tokens == 5

            @pytest.mark.vcr
            def test_marked(llm_usage):
                ask()
                assert llm_usage.total_tokens == 5
            """
        )

    def test_its_cassettes_are_replayed_where_they_are(self, project):
        """With its marker, and by us without it."""
        project.record("cassettes/test_bird.yaml")
        project.record("cassettes/test_marked.yaml")
        done = project.run_apart("-p", "no:snapshot")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_whose_folder_it_is(self, project):
        done = project.run_apart("-p", "no:snapshot", "-k", "test_bird and not marked")
        assert "No recording: cassettes/test_bird.yaml does not exist\n" in done.stdout
        assert (
            "The folder is set by the fixture vcr_cassette_dir of pytest-vcr.  llm_usage_cassette_dir = cassettes  in "
            "pytest's configuration overrides it\n"
        ) in done.stdout

    @pytest.mark.parametrize("option", ["--vcr-record", "--vcr-record-mode"])
    def test_its_modes_are_followed(self, project, option):
        """A recording that does not match: `none` fails, `once` too, and the others ask; nobody is there to answer."""
        project.record("cassettes/test_bird.yaml")
        project.makepyfile(
            test_bird="""
            import httpx, pytest

            def test_bird(llm_usage):
                body = {"model": "gpt-4o-mini", "messages": []}
                with pytest.raises(httpx.ConnectError):
                    httpx.post("http://localhost:9/v1/chat/completions", json=body)
            """
        )
        for mode, is_sent in {"none": False, "once": False, "new_episodes": True, "all": True}.items():
            done = project.run_apart("-p", "no:snapshot", option, mode, "-W", "ignore::DeprecationWarning")
            assert ("1 passed" if is_sent else "Recording does not match: cassettes/test_bird.yaml") in done.stdout
        # Ours wins, as the environment and the configuration that say something of us.
        done = project.run_apart("-p", "no:snapshot", option, "all", "--llm-usage-record=none")
        assert "Recording does not match: cassettes/test_bird.yaml" in done.stdout

    def test_cassettes_are_switched_off_with_its_own(self, project):
        project.record("cassettes/test_bird.yaml")
        project.makepyfile(
            test_bird="""
            import httpx, pytest

            def test_bird(llm_usage):
                body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "fastest bird?"}]}
                with pytest.raises(httpx.ConnectError):
                    httpx.post("http://localhost:9/v1/chat/completions", json=body)
            """
        )
        done = project.run_apart("-p", "no:snapshot", "--disable-vcr")
        assert done.returncode == 0, done.stdout + done.stderr


def test_switched_off_behind_being_loaded(project):
    """pytest keeps the fixtures of such a plugin."""
    project.makepyfile(
        test_it="""
        def test_plain(): pass
        def test_usage(llm_usage): pass
        def test_snapshot(usage_snapshot): pass
        def test_cassette(llm_cassette): pass
        """
    )
    # What other plugins warn of is not counted.
    done = project.run_apart(
        "-W", "ignore", "-p", "no:vcr", "-p", "no:snapshot", "-p", "llm_usage", "-p", "no:llm_usage"
    )
    assert "1 passed, 3 errors" in done.stdout
    assert "KeyError" not in done.stdout
    assert (
        done.stdout.count(
            "\npytest-llm-usage is loaded (-p llm_usage) and switched off (-p no:llm_usage): drop one of the two\n"
        )
        == 3
    )


@needs("pytest_snapshot")
class TestPytestSnapshot:
    @pytest.fixture(autouse=True)
    def tests(self, project):
        project.record("cassettes/test_bird/test_bird.yaml")
        project.record("cassettes/test_bird/test_usage.yaml")
        project.makepyfile(
            test_bird="""
            from app import ask

            def test_text(snapshot):
                snapshot.assert_match("A falcon.", "answer.txt")

            def test_bird(llm_usage):
                ask()
                assert llm_usage.total_tokens == 5

            def test_usage(llm_usage, usage_snapshot):
                ask()
                assert llm_usage == usage_snapshot
            """
        )

    def test_beside_syrupy_two_lines_say_how_to_live_with_both(self, project):
        done = project.run_apart("-p", "no:vcr")
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert done.stderr.splitlines()[0].startswith(
            "ERROR: --snapshot-update: pytest-snapshot and syrupy both have it."
        )
        assert "Traceback" not in done.stdout + done.stderr

    def test_without_syrupy_all_but_usage_snapshot_works(self, project):
        done = project.run_apart("-p", "no:vcr", "-p", "no:syrupy", "--snapshot-update", "-k", "test_text or test_bird")
        assert (project.path / "snapshots" / "test_bird" / "test_text" / "answer.txt").exists(), done.stdout
        done = project.run_apart("-p", "no:vcr", "-p", "no:syrupy")
        assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
        assert "internal error" not in done.stdout
        assert (
            "usage_snapshot needs syrupy's plugin, which is switched off: drop -p no:syrupy, or give -p no:snapshot "
            "(pytest-snapshot) instead\n"
        ) in done.stdout

    def test_without_it_usage_snapshot_works(self, project):
        done = project.run_apart("-p", "no:vcr", "-p", "no:snapshot", "--snapshot-update", "-k", "test_usage")
        assert (project.path / "__snapshots__" / "test_bird.usage.yaml").exists(), done.stdout
        done = project.run_apart("-p", "no:vcr", "-p", "no:snapshot", "-k", "test_usage")
        assert done.returncode == 0, done.stdout + done.stderr
