"""From the first replay in CI to the day a prompt changes: keys, recordings of tests that failed, stale recordings."""

import errno
import gzip
import json
import os
import re
from pathlib import Path

import pytest
from counting_server import serving

from pytest_llm_usage.cassettes import storage

APP = """
    import os

    import openai

    def client():
        return openai.OpenAI(base_url=os.environ["APP_URL"] + "/v1", max_retries=0)

    def ask(text):
        return client().chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": text + " [300 20]"}]
        )
"""


@pytest.fixture
def project(pytester, monkeypatch):
    pytester.makepyfile(app=APP)
    monkeypatch.setenv("OPENAI_API_KEY", "of the developer")
    with serving() as provider:
        monkeypatch.setenv("APP_URL", provider.url)
        pytester.provider = provider
        yield pytester


def asked(path):
    found = storage.load(path)
    return [json.loads(one.request.body)["messages"][0]["content"].removesuffix(" [300 20]") for one in found]


def contents(project):
    return {path.name: path.read_bytes() for path in (project.path / "cassettes").rglob("*.yaml")}


# Keys -------------------------------------------------------------------------------------------------------------------

ONE = "from app import ask\ndef test_bird(llm_usage): ask('fastest bird?')"


def test_the_first_replay_needs_no_key(project, plugin_args, monkeypatch):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    for value in (None, ""):
        monkeypatch.delenv("OPENAI_API_KEY") if value is None else monkeypatch.setenv("OPENAI_API_KEY", value)
        project.runpytest(*plugin_args).assert_outcomes(passed=1)
        project.runpytest("--llm-usage-record=once", *plugin_args).assert_outcomes(passed=1)


MODULE_CLIENT = """
    import os
    import openai

    def test_bird(llm_usage, monkeypatch):
        for name in ("_client", "api_type", "azure_endpoint", "api_key"):
            monkeypatch.setattr(openai, name, None)
        monkeypatch.setenv("OPENAI_BASE_URL", os.environ["APP_URL"] + "/v1")
        openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "bird? [7 5]"}])
        assert llm_usage.total_tokens == 12
"""


@pytest.mark.parametrize("key", [None, "sk-of-the-developer"])
def test_the_client_of_openais_module_replays(project, monkeypatch, key):
    """It refuses to choose between OpenAI and Azure where the keys of both are set."""
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    project.makepyfile(test_it=MODULE_CLIENT)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-developer")
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    monkeypatch.delenv("OPENAI_API_KEY") if key is None else monkeypatch.setenv("OPENAI_API_KEY", key)
    project.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite", "stale", "live"])
def test_no_placeholder_while_anything_may_go_live(project, monkeypatch, mode):
    project.makepyfile(test_it=ONE)
    monkeypatch.delenv("OPENAI_API_KEY")
    project.runpytest(f"--llm-usage-record={mode}").assert_outcomes(failed=1)
    assert not project.provider.asked


def test_placeholders_can_be_switched_off(project, monkeypatch):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    monkeypatch.delenv("OPENAI_API_KEY")
    project.runpytest("-o", "llm_usage_placeholder_keys=off").assert_outcomes(failed=1)


def test_a_fixture_of_wider_scope_replays_without_a_key(project, monkeypatch):
    project.makepyfile(
        test_it="""
        import os, pytest
        from app import ask
        @pytest.fixture(scope="module")
        def answer(llm_cassette):
            with llm_cassette("shared"):
                return ask("fastest bird?")
        def test_it(answer): assert answer and "OPENAI_API_KEY" not in os.environ
        """
    )
    project.runpytest("--llm-usage-record=once").assert_outcomes(failed=1)  # the developer has a key
    monkeypatch.delenv("OPENAI_API_KEY")
    project.runpytest().assert_outcomes(passed=1)
    project.runpytest("-o", "llm_usage_placeholder_keys=off").assert_outcomes(errors=1)


def test_placeholders_are_gone_behind_the_test(project, monkeypatch):
    project.makepyfile(
        test_it="""
        import os
        def test_in(llm_usage): assert os.environ["OPENAI_API_KEY"]
        def test_behind(): assert "OPENAI_API_KEY" not in os.environ
        """
    )
    monkeypatch.delenv("OPENAI_API_KEY")
    project.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "code",
    [
        "from app import client\nC = client()\ndef test(llm_usage): pass",
        "from app import client\ndef test(): client()\ndef test_ours(llm_usage): pass",
    ],
    ids=["at import", "without a cassette"],
)
def test_a_client_that_refuses_all_the_same_is_two_lines(project, monkeypatch, code):
    project.makepyfile(test_it=code)
    monkeypatch.delenv("OPENAI_API_KEY")
    result = project.runpytest()
    lines = [line for line in result.outlines if "OPENAI_API_KEY" in line]
    assert [line for line in lines if not line.startswith(("FAILED", "ERROR"))] == [
        "openai.OpenAIError: OPENAI_API_KEY is not set (app.py:6). Only code that replays a cassette gets a placeholder",
        (
            "To replay, make the client in the test, in a fixture of function scope or in `with llm_cassette(...)`, "
            "or set any value:  OPENAI_API_KEY=replay"
        ),
    ]
    result.stdout.no_fnmatch_line("*site-packages*")


@pytest.mark.parametrize(
    "code", ["from app import client\nC = client()", "from app import client\ndef test(): client()"]
)
def test_a_suite_without_llm_usage_keeps_its_own_traceback(project, monkeypatch, code):
    project.makepyfile(test_it=code)
    monkeypatch.delenv("OPENAI_API_KEY")
    result = project.runpytest()
    result.stdout.fnmatch_lines(["app.py:6: *", "E  *OpenAIError: *"])
    result.stdout.no_fnmatch_line("*Only code that replays*")


# A test that fails while it records -------------------------------------------------------------------------------------

FAILS = "from app import ask\ndef test_bird(llm_usage):\n    ask('fastest bird?')\n    assert 1 == 2"


def test_the_command_that_accepts_a_snapshot_records_as_well(project):
    code = (
        "from app import ask\ndef test_bird(llm_usage, usage_snapshot):\n    {}\n    assert llm_usage == usage_snapshot"
    )
    project.makepyfile(test_it=code.format("ask('fastest bird?')"))
    result = project.runpytest("--llm-usage-record=once", "-p", "syrupy")
    result.stdout.fnmatch_lines(['E * pytest "test_it.py::test_bird" --llm-usage-record=once --snapshot-update'])
    project.runpytest("--llm-usage-record=once", "--snapshot-update", "-p", "syrupy").assert_outcomes(passed=1)

    project.makepyfile(test_it=code.format("ask('fastest bird?'), ask('slowest?')"))
    result = project.runpytest("--llm-usage-record=stale", "-p", "syrupy")
    result.stdout.fnmatch_lines(['E * pytest "test_it.py::test_bird" --llm-usage-record=stale --snapshot-update'])

    project.makepyfile(test_it=code.format("ask('fastest bird?')"))
    (snapshot,) = (project.path / "__snapshots__").glob("*.yaml")
    snapshot.write_text(snapshot.read_text().replace("300", "299"))
    result = project.runpytest("-p", "syrupy")
    result.stdout.fnmatch_lines(['E * pytest "test_it.py::test_bird" --snapshot-update'])


def test_what_was_paid_for_and_is_not_saved_is_said(project, plugin_args):
    project.makepyfile(test_it=FAILS)
    result = project.runpytest("--llm-usage-record=once", *plugin_args)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "cassettes/test_it/test_bird.yaml not saved: the test failed (1 call, $0.000057 spent)",
            "To keep it for inspection:  --llm-usage-keep-failed",
        ]
    )
    assert contents(project) == {}


@pytest.mark.parametrize(
    ("end", "why"),
    [("pytest.xfail('for now')", "the test failed, as expected"), ("pytest.skip('after all')", "the test was skipped")],
)
def test_what_was_paid_for_by_a_test_that_neither_passed_nor_failed_is_said(project, plugin_args, end, why):
    """Without a word its recording was missing, and a later run failed as expected for another reason."""
    project.makepyfile(test_it=f"import pytest\n{FAILS.replace('assert 1 == 2', end)}")
    result = project.runpytest("--llm-usage-record=once", *plugin_args)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*= LLM recordings =*",
            f"cassettes/test_it/test_bird.yaml not saved: {why} (1 call, $0.000057 spent)",
            "To keep it for inspection:  --llm-usage-keep-failed",
        ]
    )
    assert result.stdout.str().count("not saved") == 1
    assert contents(project) == {}


def test_what_was_paid_for_is_said_once_where_tests_may_be_run_again(project):
    """pytest-rerunfailures hands on the reports of all phases after the last of them."""
    project.makepyfile(test_it=f"import pytest\n{FAILS.replace('assert 1 == 2', 'pytest.skip()')}")
    result = project.runpytest("--llm-usage-record=once", "--reruns=1")
    assert result.ret == pytest.ExitCode.OK
    assert result.stdout.str().count("not saved") == 1


@pytest.mark.parametrize("reruns", [0, 1])
def test_what_was_paid_for_by_a_setup_that_failed_is_said(project, plugin_args, reruns):
    """pytest prints no section of the teardown beside the error of a setup."""
    project.makepyfile(
        test_it="""
            import pytest
            from app import ask

            @pytest.fixture
            def answer(llm_usage):
                ask("fastest bird?")
                raise ValueError("no answer")

            def test_bird(answer): pass
        """
    )
    result = project.runpytest("--llm-usage-record=once", f"--reruns={reruns}", *plugin_args)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*= LLM recordings =*",
            "cassettes/test_it/test_bird.yaml not saved: its setup failed (1 call, $0.000057 spent)",
            "To keep it for inspection:  --llm-usage-keep-failed",
        ]
    )
    assert result.stdout.str().count("not saved") == reruns + 1
    assert contents(project) == {}


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "import pytest; pytest.exit('enough')"])
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_what_was_paid_for_when_the_run_was_interrupted_is_said(project, end, workers):
    project.makepyfile(test_it=FAILS.replace("assert 1 == 2", end))
    result = project.runpytest_subprocess("--llm-usage-record=once", "--llm-usage-keep-failed", *workers)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*= LLM recordings =*",
            "cassettes/test_it/test_bird.yaml not saved: the run was interrupted (1 call, $0.000057 spent)",
            "Kept for inspection, never replayed: cassettes/test_it/test_bird.failed.yaml",
        ]
    )
    assert [*contents(project)] == ["test_bird.failed.yaml"]


@pytest.mark.parametrize("scope", ["module", "function"])
def test_what_a_fixture_paid_for_that_then_failed_is_said(project, plugin_args, scope):
    project.makepyfile(
        test_it=f"""
            import pytest
            from app import ask

            @pytest.fixture(scope="{scope}")
            def index(llm_cassette):
                with llm_cassette("index"):
                    ask("one")
                    raise ValueError("no index")

            def test_bird(index): pass
        """
    )

    result = project.runpytest("--llm-usage-record=once", *plugin_args)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["cassettes/test_it/index.yaml not saved: the code that recorded it failed (1 call, $0.000057 spent)"]
    )
    assert contents(project) == {}


def test_nothing_is_sent_where_nothing_can_be_saved(project, monkeypatch):
    project.makepyfile(test_it=ONE + "\ndef test_without(llm_usage): pass\n")
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != project.path and may(path, mode)
    )  # root may write everywhere

    result = project.runpytest("--llm-usage-record=once")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "Not sent: cassettes/test_it/test_bird.yaml could not be saved: . cannot be written to",
            "To replay it:  --llm-usage-record=none",
        ]
    )
    assert project.provider.asked == []


def test_nothing_is_sent_where_a_folder_has_the_cassettes_name(project):
    project.makepyfile(test_it=ONE)
    (project.path / "cassettes/test_it/test_bird.yaml").mkdir(parents=True)

    result = project.runpytest("--llm-usage-record=once")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Not sent: cassettes/test_it/test_bird.yaml could not be saved: cassettes/test_it/test_bird.yaml is a folder",
        ]
    )
    assert project.provider.asked == []


def test_what_was_paid_for_and_could_not_be_saved_is_said(project, monkeypatch):
    def replace_file(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "replace_file", replace_file)
    project.makepyfile(test_it=ONE)

    result = project.runpytest("--llm-usage-record=once")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "Cassette not saved: cassettes/test_it/test_bird.yaml: No space left on device. *",
            "Lost: 1 call, $0.000057 spent",
        ]
    )


def test_a_cassette_that_cannot_be_read_is_named_as_it_is_typed(project):
    project.makepyfile(test_it=ONE)
    folder = project.mkdir("cassettes") / "test_it"
    folder.mkdir()
    (folder / "test_bird.yaml").write_text("")
    result = project.runpytest()
    result.stdout.fnmatch_lines(
        ["Cassette cannot be read: cassettes/test_it/test_bird.yaml: it is empty. The file was left as it is"]
    )


def test_what_was_paid_is_never_zero(project):
    project.makepyfile(test_it=FAILS)
    project.makepyfile(app=APP.replace("gpt-4o-mini", "in-house-1"))
    result = project.runpytest("--llm-usage-record=once")
    result.stdout.fnmatch_lines(["*not saved: the test failed (1 call, cost unknown)"])


def test_it_is_kept_for_a_look_and_never_replayed(project):
    project.makepyfile(test_it=FAILS)
    result = project.runpytest("--llm-usage-record=once", "--llm-usage-keep-failed")
    kept = "cassettes/test_it/test_bird.failed.yaml"
    result.stdout.fnmatch_lines([f"Kept for inspection, never replayed: {kept}"])
    assert asked(project.path / kept) == ["fastest bird?"]
    project.makepyfile(test_it=FAILS.replace("1 == 2", "True"))
    project.runpytest("--llm-usage-orphans=fail").assert_outcomes(failed=1)
    project.makepyfile(
        test_it="import pytest\nfrom app import ask\n@pytest.mark.llm_cassette('test_bird.failed')\n"
        "def test_bird(llm_usage): ask('fastest bird?')"
    )
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*llm_cassette: 'test_bird.failed' is a recording of a test that failed, which is never replayed"]
    )


def test_a_replay_that_fails_says_nothing_of_it(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=FAILS)
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*not saved*")


# Stale ------------------------------------------------------------------------------------------------------------------

FORTY = """
    import pytest
    from app import ask

    CHANGED = {changed}

    @pytest.mark.parametrize("number", range({count}))
    def test(number, llm_usage):
        ask(f"first {{number}}")
        ask(f"second {{number}}" + (" and now?" if number in CHANGED else ""))
"""


def test_stale_records_what_changed_and_leaves_the_rest(project):
    project.makepyfile(test_it=FORTY.format(changed="()", count=40))
    project.runpytest("--llm-usage-record=stale", "-n", "2").assert_outcomes(passed=40)
    before = contents(project)
    assert len(before) == 40
    project.provider.asked.clear()
    project.makepyfile(test_it=FORTY.format(changed="(3, 17, 39)", count=40))
    result = project.runpytest("-n", "2")
    result.assert_outcomes(passed=37, failed=3)
    (command,) = [line for line in result.outlines if line.startswith("  pytest ")]
    assert result.outlines[result.outlines.index(command) - 1] == "Stale recordings: 3 tests. Record them again:"
    names = [f'"test_it.py::test[{number}]"' for number in (3, 17, 39)]
    assert command.endswith(" --llm-usage-record=stale")
    assert sorted(command.split()[1:-1]) == sorted(names)

    result = project.runpytest("--llm-usage-record=stale")
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines(
        ["Recorded again: 3 tests (--llm-usage-record=stale)", *(f"  test_it.py::test[[]{n}]" for n in (3, 17, 39))]
    )
    assert len(project.provider.asked) == 3, "what still matches is replayed"
    after = contents(project)
    assert {name for name in before if before[name] != after[name]} == {
        "test[3].yaml",
        "test[17].yaml",
        "test[39].yaml",
    }
    assert asked(project.path / "cassettes/test_it/test[3].yaml") == ["first 3", "second 3 and now?"]
    project.runpytest().assert_outcomes(passed=40)


def test_what_was_never_recorded_is_not_called_stale(project):
    project.makepyfile(test_it=FORTY.format(changed="()", count=2))
    result = project.runpytest("--llm-usage-record=stale")
    result.stdout.fnmatch_lines(["Recorded: 2 tests (--llm-usage-record=stale)", "  test_it.py::test[[]0]"])
    result.stdout.no_fnmatch_line("Recorded again*")
    project.makepyfile(test_it=FORTY.format(changed="(1,)", count=4))
    project.runpytest().stdout.fnmatch_lines(["Stale recordings: 1 test; missing: 2 tests. Record them:", "  pytest *"])
    project.runpytest("--llm-usage-record=stale").stdout.fnmatch_lines(
        [
            "Recorded again: 1 test (--llm-usage-record=stale)",
            "  test_it.py::test[[]1]",
            "Recorded: 2 tests (--llm-usage-record=stale)",
            "  test_it.py::test[[]2]",
            "  test_it.py::test[[]3]",
        ]
    )


def test_many_stale_tests_are_named_by_their_files(project):
    project.makepyfile(test_it=FORTY.format(changed="()", count=13))
    result = project.runpytest()
    result.assert_outcomes(failed=13)
    result.stdout.fnmatch_lines(
        ["Missing recordings: 13 tests. Record them:", '  pytest "test_it.py" --llm-usage-record=stale']
    )


def test_few_stale_tests_of_long_names_are_named_by_their_files(project):
    project.makepyfile(test_it=FORTY.replace("def test(", f"def test_{'x' * 80}(").format(changed="()", count=4))
    result = project.runpytest()
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "=* LLM recordings *=",
            "Missing recordings: 4 tests. Record them:",
            '  pytest "test_it.py" --llm-usage-record=stale',
        ]
    )


def test_a_stale_test_that_fails_keeps_its_cassette(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=1)
    before = contents(project)
    project.makepyfile(test_it=FAILS.replace("bird?", "fish?"))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(failed=1)
    assert contents(project) == before
    # Its failure says the command.
    project.runpytest().stdout.no_fnmatch_line("Stale recordings*")


def test_stale_in_a_cassette_that_others_use_drops_nothing(project):
    code = """
        import pytest
        from app import ask
        pytestmark = pytest.mark.llm_cassette("shared")
        def test_a(llm_usage): ask("a{a}")
        def test_b(llm_usage): ask("b")
    """
    project.makepyfile(test_it=code.format(a=""))
    project.runpytest("--llm-usage-record=stale").assert_outcomes(passed=2)
    project.makepyfile(test_it=code.format(a=" changed"))
    project.runpytest("--llm-usage-record=stale", "-k", "test_a").assert_outcomes(passed=1, deselected=1)
    assert sorted(asked(project.path / "cassettes/test_it/shared.yaml")) == ["a", "a changed", "b"]
    project.runpytest().assert_outcomes(passed=2)


def test_a_recording_that_is_too_old_is_stale(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    (path,) = (project.path / "cassettes").rglob("*.yaml")
    lines = path.read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.strip() == "date:")
    lines[at + 1] = lines[at + 1].partition("- ")[0] + '- "Sun, 02 Feb 2020 00:00:00 GMT"'
    path.write_text("\n".join(lines) + "\n")
    project.runpytest("-o", "llm_usage_max_age=30").assert_outcomes(failed=1)
    project.runpytest("-o", "llm_usage_max_age=30", "--llm-usage-record=stale").assert_outcomes(passed=1)
    assert len(project.provider.asked) == 2
    assert asked(path) == ["fastest bird?"]
    project.runpytest("-o", "llm_usage_max_age=30").assert_outcomes(passed=1)


def test_a_shared_cassette_that_is_too_old_is_recorded_again_once(project):
    """The old recordings stayed beside the new ones, and each run paid for them again."""
    shared = """
        import pytest
        from app import ask

        pytestmark = pytest.mark.llm_cassette("shared")

        def test_bird(llm_usage): ask("fastest bird?")
        def test_fish(llm_usage): ask("fastest fish?")
    """
    project.makepyfile(test_it=shared)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=2)
    path = project.path / "cassettes/test_it/shared.yaml"
    path.write_text(re.sub(r"\w{3}, \d\d \w{3} \d{4} ", "Sat, 01 Feb 2025 ", path.read_text()))
    too_old = ("-o", "llm_usage_max_age=30")

    failed = project.runpytest(*too_old)
    failed.stdout.fnmatch_lines(['Record again:  pytest "test_it.py" --llm-usage-record=rewrite'] * 2)
    for _ in range(2):
        project.runpytest(*too_old, "--llm-usage-record=stale").assert_outcomes(passed=2)

    assert asked(path) == ["fastest bird?", "fastest fish?"]
    assert len(project.provider.asked) == 4
    project.runpytest(*too_old).assert_outcomes(passed=2)


# Renamed ----------------------------------------------------------------------------------------------------------------


def test_a_renamed_test_gets_its_cassette_moved(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=ONE.replace("test_bird", "test_falcon"))
    result = project.runpytest("--llm-usage-orphans=warn")
    result.assert_outcomes(failed=1)
    old, new = "cassettes/test_it/test_bird.yaml", "cassettes/test_it/test_falcon.yaml"
    result.stdout.fnmatch_lines([f"Was the test renamed? This request is recorded:  git mv {old} {new}"])
    result.stdout.no_fnmatch_line("*Record it*")
    result.stdout.no_fnmatch_line("*  rm *")
    (project.path / old).rename(project.path / new)
    project.runpytest("--llm-usage-orphans=fail").assert_outcomes(passed=1)


def test_a_compressed_cassette_of_a_renamed_test_stays_compressed(project):
    """It was not found, and recording it again was all that was offered."""
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    old, new = (project.path / "cassettes/test_it" / f"test_{bird}.yaml.gz" for bird in ("bird", "falcon"))
    old.write_bytes(gzip.compress(old.with_suffix("").read_bytes()))
    old.with_suffix("").unlink()
    project.makepyfile(test_it=ONE.replace("test_bird", "test_falcon"))
    result = project.runpytest()
    result.stdout.fnmatch_lines(["*git mv cassettes/test_it/test_bird.yaml.gz cassettes/test_it/test_falcon.yaml.gz"])
    old.rename(new)
    project.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("selection", [(), ("-k", "falcon"), ("test_it.py::TestNew",)])
def test_the_cassette_of_another_test_is_never_offered(project, selection):
    code = """
        from app import ask
        class TestOld:
            def test_bird(self, llm_usage): ask("fastest bird?")
        {new}
    """
    project.makepyfile(test_it=code.format(new=""))
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(
        test_it=code.format(new="class TestNew:\n            def test_falcon(self, llm_usage): ask('fastest bird?')")
    )
    result = project.runpytest(*selection)
    result.stdout.fnmatch_lines(["Record it:*"])
    result.stdout.no_fnmatch_line("*git mv*")


def test_another_request_is_another_test(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=ONE.replace("test_bird", "test_fish").replace("bird?", "fish?"))
    result = project.runpytest()
    result.stdout.fnmatch_lines(["Record it:*"])


def test_the_folder_of_vcr_config_is_followed_without_the_marker(project):
    project.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def vcr_config(pytestconfig):
            return {"cassette_library_dir": str(pytestconfig.rootpath / "flat")}
        """
    )
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    assert (project.path / "flat" / "test_bird.yaml").exists()
    project.runpytest().assert_outcomes(passed=1)


def test_pytest_recordings_own_switch_is_followed(project):
    project.makepyfile(test_it=ONE)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    before = contents(project)
    project.runpytest("-p", "recording", "--disable-recording").assert_outcomes(passed=1)
    assert len(project.provider.asked) == 2
    assert contents(project) == before


@pytest.mark.parametrize("selected", [[], ["-k", "falcon"]], ids=["all", "one"])
def test_a_cassette_that_a_marker_names_is_that_of_no_renamed_test(project, selected):
    named = "import pytest\nfrom app import ask\n@pytest.mark.llm_cassette('named')\ndef test_bird(llm_usage): ask('fastest bird?')\n"
    project.makepyfile(test_it=named)
    project.runpytest("--llm-usage-record=once").assert_outcomes(passed=1)
    project.makepyfile(test_it=f"{named}def test_falcon(llm_usage): ask('fastest bird?')\n")

    result = project.runpytest(*selected)

    result.stdout.fnmatch_lines(["No recording: cassettes/test_it/test_falcon.yaml does not exist"])
    result.stdout.no_fnmatch_line("*git mv*")


def test_what_records_a_test_again_whose_marker_says_how_it_is_recorded(project):
    marked = f"import pytest\npytestmark = pytest.mark.llm_cassette(record='none')\n{ONE}"
    project.makepyfile(test_it=marked)

    result = project.runpytest("--llm-usage-record=rewrite")

    advice = 'with record="rewrite" instead of record="none" in its llm_cassette'
    result.stdout.fnmatch_lines([f'Record it:  pytest "test_it.py::test_bird", {advice}'])
