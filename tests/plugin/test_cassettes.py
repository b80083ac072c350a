"""Cassettes as a project sets them up: rules of redaction, age, recordings that nobody plays, files that no test owns."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from counting_server import serving

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response

HOST = "https://api.openai.com"
JSON = {"content-type": ["application/json"]}

#: The application: one model call, at the place that its environment says.
APP = """
    import os

    import httpx

    def ask(text, **more):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}
        url = os.environ.get("APP_URL", "https://api.openai.com")
        return httpx.post(url + "/v1/chat/completions", json=body, headers={"x-tenant": "acme"}).json()
"""


def recording(text="one [3 2]", *, age_days=None, **more):
    """A model call as a cassette holds it."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}
    answer = {
        "id": "1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A falcon."}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }  # fmt: skip
    headers = dict(JSON)
    if age_days is not None:
        headers["date"] = [format_datetime(datetime.now(UTC) - timedelta(days=age_days), usegmt=True)]
    return Interaction(
        Request("POST", HOST + "/v1/chat/completions", JSON, json.dumps(body).encode()),
        Response(200, "OK", headers, json.dumps(answer).encode()),
    )


@pytest.fixture
def project(pytester):
    """A project with that application; `project.record(path, …)` writes a cassette of it."""
    pytester.makepyfile(app=APP)

    def record(path, *interactions):
        storage.save(pytester.path / path, interactions or [recording()])
        return pytester.path / path

    pytester.record = record
    return pytester


@pytest.fixture
def provider(monkeypatch):
    with serving() as provider:
        monkeypatch.setenv("APP_URL", provider.url)
        yield provider


def recorded(project, path):
    return [json.loads(found.request.body) for found in storage.load(project.path / path)]


# Nothing is lost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["new_episodes", "all", "rewrite"])
@pytest.mark.parametrize(
    "ending",
    [
        "assert False",
        "raise KeyboardInterrupt",
        "import pytest; pytest.exit('enough')",
        "import pytest; pytest.skip('not today')",
        "import os; os._exit(1)",
    ],
    ids=["failure", "ctrl-c", "exit", "skip", "crash"],
)
def test_only_a_test_that_passed_saves(project, forked, provider, mode, ending):
    path = project.record("cassettes/test_it/test_it.yaml")
    before = path.read_bytes()
    project.makepyfile(
        test_it=f"""
        from app import ask

        def test_it(llm_usage):
            ask("two [3 2]")
            {ending}
        """
    )
    args = (f"--llm-usage-record={mode}",)
    if "os._exit" in ending:
        project.runpytest_subprocess(*args)
    else:
        project.runpytest_inprocess(*args, no_reraise_ctrlc=True)
    assert len(provider.asked) == 1
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("where", ["set-up", "tear-down"])
def test_a_failure_round_the_test_leaves_the_cassette(project, provider, where):
    path = project.record("cassettes/test_it/test_it.yaml")
    before = path.read_bytes()
    project.makepyfile(
        test_it=f"""
        import pytest
        from app import ask

        @pytest.fixture
        def around(llm_usage):
            ask("two [3 2]")
            assert {where == "tear-down"}
            yield
            assert False

        def test_it(around):
            pass
        """
    )
    project.runpytest("--llm-usage-record=rewrite")
    if where == "set-up":
        assert path.read_bytes() == before
    else:
        # What the test asked for is what it got; that closing something failed does not change it.
        assert recorded(project, path)


def test_two_workers_that_record_one_cassette_leave_a_whole_one_with_the_recordings_of_both(project, provider):
    project.makepyfile(
        test_it="""
        import pytest
        from app import ask

        @pytest.mark.llm_cassette("shared")
        @pytest.mark.parametrize("number", range(12))
        def test_it(llm_usage, number):
            ask(f"{number} [3 2]" + "x" * 20_000)
        """
    )
    project.runpytest("--llm-usage-record=rewrite", "-n", "2").assert_outcomes(passed=12)
    contents = [body["messages"][0]["content"] for body in recorded(project, "cassettes/test_it/shared.yaml")]
    assert sorted(int(content.split()[0]) for content in contents) == list(range(12))
    assert all(len(content) > 20_000 for content in contents)
    assert len(list((project.path / "cassettes/test_it").iterdir())) == 1


def test_a_session_cassette_under_workers(project, provider):
    project.makepyfile(
        conftest="""
        import pytest
        from app import ask

        @pytest.fixture(scope="session")
        def index(llm_cassette):
            with llm_cassette("index"):
                return ask("one [3 2]")
        """,
        test_it="""
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_it(index, number):
            assert index["usage"]["total_tokens"] == 5
        """,
    )
    for args in (("--llm-usage-record=once",), ("--llm-usage-unplayed=fail",), ("-p", "recording")):
        project.runpytest("-n", "2", *args).assert_outcomes(passed=6)
    asked = len(provider.asked)
    project.runpytest("-n", "2").assert_outcomes(passed=6)
    assert len(provider.asked) == asked


# Redaction --------------------------------------------------------------------------------------------------------------

SPENDS = """
    from app import ask

    def test_it(llm_usage):
        ask("one [3 2]", customer="acme-corp", region="north-7")
"""


class TestRedact:
    def run(self, project, provider, *args):
        result = project.runpytest("--llm-usage-record=once", *args)
        result.assert_outcomes(passed=1)
        (found,) = storage.load(project.path / "cassettes/test_it/test_it.yaml")
        provider.asked.clear()
        project.runpytest(*args).assert_outcomes(passed=1)
        assert provider.asked == []
        return json.loads(found.request.body), found.request.headers

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("pytest.ini", "[pytest]\nllm_usage_redact =\n    field:customer\n    header:X-Tenant\n"),
            ("pyproject.toml", '[tool.pytest.ini_options]\nllm_usage_redact = ["field:customer", "header:x-tenant"]\n'),
            pytest.param(
                "pyproject.toml",
                '[tool.pytest]\nllm_usage_redact = ["field:customer", "header:x-tenant"]\n',
                marks=pytest.mark.skipif(
                    pytest.version_tuple < (9,), reason="pytest 9 brought the table [tool.pytest]"
                ),
            ),
        ],
    )
    def test_rules_of_the_ini_file(self, project, provider, file, content):
        (project.path / file).write_text(content)
        project.makepyfile(test_it=SPENDS)
        body, headers = self.run(project, provider)
        assert (body["customer"], body["region"], headers["x-tenant"]) == ("redacted", "north-7", ["redacted"])

    @pytest.mark.parametrize("scope", ["function", "module", "session"])
    @pytest.mark.parametrize("rules", ['["field:customer"]', '"field:customer\\n"'])
    def test_rules_of_the_fixture_and_of_the_ini_file_and_of_vcr_config(self, project, provider, scope, rules):
        project.makeini("[pytest]\nllm_usage_redact = pattern:north-[0-9]")
        project.makepyfile(
            test_it=SPENDS,
            conftest=f"""
            import pytest

            @pytest.fixture(scope="{scope}")
            def llm_usage_redact():
                return {rules}

            @pytest.fixture
            def vcr_config():
                return {{"filter_headers": ["x-tenant"]}}
            """,
        )
        body, headers = self.run(project, provider, "-p", "recording")
        assert (body["customer"], body["region"]) == ("redacted", "redacted")
        assert "x-tenant" not in headers

    def test_rules_for_cassettes_of_wider_fixtures(self, project, provider):
        project.makepyfile(
            conftest="""
            import pytest
            from app import ask

            @pytest.fixture(scope="session")
            def llm_usage_redact():
                return ["field:customer"]

            @pytest.fixture(scope="session")
            def vcr_config():
                return {"filter_headers": ["x-tenant"]}

            @pytest.fixture(scope="session")
            def index(llm_cassette):
                with llm_cassette("index"):
                    return ask("one [3 2]", customer="acme-corp")
            """,
            test_it="def test_it(index): pass",
        )
        project.runpytest("-p", "recording", "--llm-usage-record=once").assert_outcomes(passed=1)
        (found,) = storage.load(project.path / "cassettes/conftest/index.yaml")
        assert json.loads(found.request.body)["customer"] == "redacted"
        assert "x-tenant" not in found.request.headers

    @pytest.mark.parametrize(
        ("rule", "complaint"),
        [
            ("x-tenant", "'x-tenant' is not a rule (header:NAME, query:NAME, field:NAME or pattern:REGEX)"),
            ("pattern:(", "pattern:(: missing ), unterminated subpattern at position 0"),
        ],
    )
    def test_a_rule_that_is_none(self, project, rule, complaint):
        project.makepyfile(test_it=SPENDS)
        result = project.runpytest("-o", f"llm_usage_redact={rule}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert result.errlines[0] == f"ERROR: llm_usage_redact: {complaint}"

        project.makeconftest(f"import pytest\n@pytest.fixture\ndef llm_usage_redact():\n    return [{rule!r}]")
        result = project.runpytest()
        result.assert_outcomes(errors=1)
        assert result.stdout.str().count(f"\nllm_usage_redact: {complaint}\n") == 1
        result.stdout.no_fnmatch_line("*Traceback*")

    def test_the_command_goes_by_the_rules_of_the_project(self, project):
        path = project.record("cassettes/test_it/test_it.yaml", recording(customer="acme-corp", region="north-7"))
        # Whatever else the project demands of a run, and without running any of its code.
        project.makeconftest("raise SystemExit('not to be run')")
        project.makeini(
            """
            [pytest]
            addopts = --option-of-another-plugin
            required_plugins = pytest-of-nobody
            strict_config = true
            key_of_another_plugin = 1
            llm_usage_redact = field:customer
            """
        )

        def command(*words):
            words = [sys.executable, "-m", "pytest_llm_usage.cli", "cassettes", *words]
            return subprocess.run(words, capture_output=True, text=True, check=False, cwd=project.path)

        found = command("audit")
        assert found.returncode == 1, found.stderr
        assert "request body, customer" in found.stdout
        assert "region" not in found.stdout
        found = command("audit", "--rule=pattern:north-[0-9]", "--rule=query:nothing")
        assert "request body, region" in found.stdout

        done = command("redact", "cassettes", "--rule=field:region")
        assert (done.returncode, done.stderr) == (0, "")
        assert [body[name] for body in recorded(project, path) for name in ("customer", "region")] == ["redacted"] * 2
        assert command("audit").returncode == 0

        wrong = command("audit", "--rule=customer")
        assert wrong.returncode == 2
        assert "argument --rule: 'customer' is not a rule (header:NAME," in wrong.stderr
        project.makeini("[pytest]\nllm_usage_redact = customer")
        wrong = command("redact")
        assert wrong.returncode == 2
        assert wrong.stderr.startswith("pytest-llm-usage: llm_usage_redact: 'customer' is not a rule (header:NAME,")


def test_pytest_recording_s_hook_configures_ours_too(project):
    project.makeconftest(
        """
        import json

        def same_question(made, stored):
            return json.loads(made.body)["messages"] == json.loads(stored.body)["messages"]

        def pytest_recording_configure(config, vcr):
            vcr.register_matcher("same_question", same_question)
            vcr.match_on = ["method", "same_question"]
        """
    )
    project.record("cassettes/test_it/test_it.yaml")
    project.makepyfile(test_it=SPENDS)
    project.runpytest("-p", "recording").assert_outcomes(passed=1)


# Hypothesis -------------------------------------------------------------------------------------------------------------

DRAWS = """
    from app import ask
    from hypothesis import HealthCheck, Phase, given, settings, strategies as st

    @settings(max_examples=2, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]{more})
    @given(number=st.integers())
    def test_it(llm_usage, number):
        ask(f"{{number}} [3 2]")
"""
KEEP = "Hypothesis draws other examples in every run. Keep them the same:  @settings(derandomize=True)"


@pytest.mark.parametrize("has_recording", [True, False])
def test_other_examples_in_every_run_are_not_recorded_again_but_kept(project, has_recording):
    more = ", derandomize=False"  # in CI it is True without a word
    if has_recording:
        project.record("cassettes/test_it/test_it.yaml")
        more += ", phases=[Phase.generate]"  # without shrinking the example it says the same, ten times as fast
    project.makepyfile(test_it=DRAWS.format(more=more))
    result = project.runpytest("-p", "_hypothesis_pytestplugin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([KEEP])
    result.stdout.no_fnmatch_line("*--llm-usage-record=rewrite*")


def test_the_same_examples_in_every_run_are_recorded_again(project):
    project.record("cassettes/test_it/test_it.yaml")
    project.makepyfile(test_it=DRAWS.format(more=", derandomize=True, phases=[Phase.generate]"))
    result = project.runpytest("-p", "_hypothesis_pytestplugin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Record again:  *--llm-usage-record=rewrite"])
    result.stdout.no_fnmatch_line("*Hypothesis*")


# Age --------------------------------------------------------------------------------------------------------------------

ASKS = """
    from app import ask

    def test_it(llm_usage):
        ask("one [3 2]")
"""


class TestMaxAge:
    @pytest.mark.parametrize(("age_days", "limit", "fails"), [(40, "30", True), (40, "30d", True), (40, "41d", False)])
    def test_a_cassette_may_be_so_old(self, project, age_days, limit, fails):
        project.makeini(f"[pytest]\nllm_usage_max_age = {limit}")
        project.record("cassettes/test_it/test_it.yaml", recording(age_days=age_days))
        project.makepyfile(test_it=ASKS)
        result = project.runpytest()
        result.assert_outcomes(failed=int(fails), passed=int(not fails))
        if fails:
            result.stdout.fnmatch_lines(
                [
                    "Recording too old: cassettes/test_it/test_it.yaml was recorded on *, 40 days ago (* = 30 days)",
                    'Record again:  pytest "test_it.py::test_it" --llm-usage-record=rewrite',
                ]
            )

    @pytest.mark.parametrize("date", ["Tue, 06 Jan 2222222026 00:00:00 GMT", "yesterday"])
    def test_a_date_that_is_none_is_of_no_age(self, project, date):
        project.makeini("[pytest]\nllm_usage_max_age = 30")
        found = recording()
        headers = {**found.response.headers, "date": [date]}
        project.record(
            "cassettes/test_it/test_it.yaml", replace(found, response=replace(found.response, headers=headers))
        )
        project.makepyfile(test_it=ASKS)
        project.runpytest().assert_outcomes(passed=1)

    def test_any_age_unless_somebody_minds(self, project):
        project.record("cassettes/test_it/test_it.yaml", recording(age_days=4_000))
        project.makepyfile(test_it=ASKS)
        project.runpytest().assert_outcomes(passed=1)

    @pytest.mark.parametrize("text", ["old", "-1", "30 weeks", "1.5", "30dd", "٣"])
    def test_what_is_no_number_of_days(self, project, text):
        project.makepyfile(test_it=ASKS)
        result = project.runpytest("-o", f"llm_usage_max_age={text}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (line,) = filter(None, result.errlines)
        assert line == f"ERROR: llm_usage_max_age: {text!r} is not a number of days (examples: 30, 30d)"


# The folder that a fixture of another recorder names --------------------------------------------------------------------

FOLDER = """
    import pathlib

    import pytest

    @pytest.fixture(scope="module")
    def vcr_cassette_dir():
        return {folder}
"""


@pytest.mark.parametrize("folder", ["'tapes'", "pathlib.Path('tapes')", "str(pathlib.Path('tapes').absolute())"])
def test_the_folder_of_a_fixture_is_taken_as_its_plugin_takes_it(project, folder):
    """A path string, or a path; a relative one from where pytest was started, not from the test's file."""
    project.makeconftest(FOLDER.format(folder=folder))
    project.record("tapes/test_it.yaml")
    folder = project.mkdir("unit")
    project.makepyfile(test_it=ASKS).rename(folder / "test_it.py")
    project.runpytest("-p", "recording", "unit").assert_outcomes(passed=1)


def test_whose_folder_it_is_where_the_recording_is_missing(project):
    project.makeconftest(FOLDER.format(folder="'tapes'"))
    project.makepyfile(test_it=ASKS)
    result = project.runpytest("-p", "recording")
    result.stdout.fnmatch_lines(
        [
            "No recording: tapes/test_it.yaml does not exist",
            "POST https://api.openai.com/v1/chat/completions",
            "The folder is set by the fixture vcr_cassette_dir in conftest.py.  *",
            "Record it:  *",
        ],
        consecutive=True,
    )

    project.record("cassettes/test_it/test_it.yaml")
    project.runpytest("-p", "recording", "-o", "llm_usage_cassette_dir=cassettes").assert_outcomes(passed=1)


def test_whose_folder_it_is_goes_without_saying_where_it_is_the_usual_one(project):
    project.makepyfile(test_it=ASKS)
    result = project.runpytest("-p", "recording")
    result.stdout.fnmatch_lines(["No recording: cassettes/test_it/test_it.yaml does not exist"])
    result.stdout.no_fnmatch_line("*The folder is*")


# Recordings that nobody plays -------------------------------------------------------------------------------------------


class TestUnplayed:
    @pytest.fixture
    def project(self, project):
        project.record("cassettes/test_it/test_it.yaml", recording(), recording("two [3 2]"))
        project.makepyfile(test_it=ASKS)
        return project

    def test_does_not_matter_unless_asked_for(self, project):
        project.runpytest().assert_outcomes(passed=1)

    def test_fails(self, project, plugin_args):
        result = project.runpytest("--llm-usage-unplayed=fail", *plugin_args)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(
            [
                "*Recording not played: cassettes/test_it/test_it.yaml, 1 of 2 requests were not made",
                f"*  POST {HOST}/v1/chat/completions",
                '*Record again:  pytest "test_it.py::test_it" --llm-usage-record=rewrite',
            ]
        )

    def test_warns(self, project):
        project.makeini("[pytest]\nllm_usage_unplayed = warn")
        result = project.runpytest("-W", "default")
        result.assert_outcomes(passed=1, warnings=1)
        result.stdout.fnmatch_lines(["*LLMUsageWarning: test_it.py::test_it: Recording not played: cassettes/*"])

    def test_only_of_a_test_that_passed(self, project):
        project.makepyfile(test_it=ASKS + "        assert False, 'the test itself'")
        result = project.runpytest("--llm-usage-unplayed=fail")
        result.assert_outcomes(failed=1)
        result.stdout.no_fnmatch_line("*not played*")
        result.stdout.fnmatch_lines(["*the test itself*"])

    def test_what_a_fixture_asks_behind_the_test_counts(self, project):
        project.makepyfile(
            test_it="""
            import pytest
            from app import ask

            @pytest.fixture
            def closing():
                yield
                ask("two [3 2]")

            def test_it(llm_usage, closing):
                ask("one [3 2]")
            """
        )
        project.runpytest("--llm-usage-unplayed=fail").assert_outcomes(passed=1)

    @pytest.mark.parametrize("selection", [(), ("-k", "first"), ("test_it.py::test_first",)])
    def test_a_cassette_that_tests_share_is_not_judged(self, project, selection):
        project.record("cassettes/test_it/shared.yaml", recording(), recording("two [3 2]"))
        project.makepyfile(
            test_it="""
            import pytest
            from app import ask

            pytestmark = pytest.mark.llm_cassette("shared")

            def test_first(llm_usage):
                ask("one [3 2]")

            def test_second(llm_usage):
                ask("two [3 2]")
            """
        )
        result = project.runpytest("--llm-usage-unplayed=fail", *selection)
        result.assert_outcomes(passed=1 if selection else 2, deselected=1 if "-k" in selection else 0)


# Cassettes without a test -----------------------------------------------------------------------------------------------

MODULE = """
    import pytest
    from app import ask

    @pytest.mark.parametrize("text", ["one [3 2]", "two [3 2]"], ids=["a", "b/c"])
    def test_many(llm_usage, text):
        ask(text)

    class TestGroup:
        def test_it(self, llm_usage):
            ask("one [3 2]")

    @pytest.mark.llm_cassette("named")
    def test_named(llm_usage):
        ask("one [3 2]")

    @pytest.mark.skip
    def test_skipped(llm_usage):
        pass

    @pytest.fixture(scope="module")
    def index(llm_cassette):
        with llm_cassette("index"):
            return ask("one [3 2]")

    def test_index(index):
        pass
"""
OWNED = ["test_many[a]", "test_many[b-c]", "TestGroup.test_it", "named", "test_skipped", "index"]


class TestOrphans:
    @pytest.fixture
    def project(self, project):
        """Every cassette belongs to a test."""
        project.makepyfile(**{"tests/test_agent": MODULE, "tests/test_other": ASKS, "tests/app": APP})
        for name in OWNED:
            text = "two [3 2]" if name == "test_many[b-c]" else "one [3 2]"
            project.record(f"tests/cassettes/test_agent/{name}.yaml", recording(text))
        project.record("tests/cassettes/test_other/test_it.yaml.gz")
        return project

    @pytest.fixture
    def orphan(self, project):
        """One does not: its test was renamed."""
        return project.record("tests/cassettes/test_agent/test_gone[x y].yaml")

    def check(self, project, *args, mode="fail", printed=True):
        result = project.runpytest(f"--llm-usage-orphans={mode}", *args)
        text = result.stdout.str()
        assert ("Orphaned cassettes" in text) == printed, text
        if mode == "fail" and printed:
            assert result.ret == pytest.ExitCode.TESTS_FAILED
        else:
            assert result.ret == pytest.ExitCode.OK
        return result

    @pytest.mark.parametrize("args", [(), ("-k", "named"), ("tests/test_agent.py",), ("-m", "skip"), ("--co",)])
    def test_none(self, project, plugin_args, args):
        self.check(project, *plugin_args, *args, printed=False)

    def test_one(self, project, plugin_args, orphan):
        result = self.check(project, *plugin_args)
        result.assert_outcomes(passed=6, skipped=1)
        result.stdout.fnmatch_lines(
            [
                "Orphaned cassettes: 1 belongs to no test (llm_usage_orphans = fail)",
                "  rm 'tests/cassettes/test_agent/test_gone?x y?.yaml'",
                "What is in one:  pytest-llm-usage cassettes show 'tests/cassettes/test_agent/test_gone?x y?.yaml'",
            ]
        )
        assert orphan.exists()

    def test_off_and_warn(self, project, orphan):
        self.check(project, mode="off", printed=False)
        result = self.check(project, mode="warn")
        result.stdout.fnmatch_lines(["Orphaned cassettes: 1 belongs to no test (llm_usage_orphans = warn)"])

    @pytest.mark.parametrize(
        "args",
        [
            ("tests/test_agent.py", "-k", "index"),
            ("tests/test_agent.py", "-k", "index or named"),
            ("tests/test_agent.py", "--deselect", "tests/test_agent.py::test_named"),
        ],
    )
    def test_deselected_tests_own_theirs(self, project, plugin_args, orphan, args):
        self.check(project, *plugin_args, *args)

    @pytest.mark.parametrize(
        "args",
        [
            # What the fixture that was not set up calls its cassette is not known.
            ("tests/test_agent.py", "-k", "named"),
            # Nor are the tests known that nobody asked for.
            ("tests/test_agent.py::test_named", "tests/test_agent.py::test_index"),
            ("tests/test_agent.py::TestGroup", "tests/test_agent.py::test_index"),
            ("tests/test_other.py",),
        ],
    )
    def test_a_module_of_which_not_all_is_known_is_not_judged(self, project, plugin_args, orphan, args):
        self.check(project, *plugin_args, *args, printed=False)

    def test_failed_first_alone(self, project, orphan):
        """`--lf` takes tests out while they are collected, so nobody knows them then."""
        project.makepyfile(**{"tests/test_agent": MODULE + "\n    def test_fails(index):\n        assert False\n"})
        project.record("tests/cassettes/test_other/test_gone.yaml")
        result = project.runpytest("--llm-usage-orphans=warn")
        result.assert_outcomes(passed=6, skipped=1, failed=1)
        result.stdout.fnmatch_lines(["Orphaned cassettes: 2 belong to no test *"])
        result = project.runpytest("--lf", "--llm-usage-orphans=warn")
        result.assert_outcomes(failed=1, deselected=1)
        assert "Orphaned" not in result.stdout.str()

    def test_a_module_that_cannot_be_collected_is_not_judged(self, project, orphan):
        project.makepyfile(**{"tests/test_agent": "import nothing_of_that_name"})
        result = project.runpytest("--llm-usage-orphans=fail", "--continue-on-collection-errors")
        result.assert_outcomes(passed=1, errors=1)
        assert "Orphaned" not in result.stdout.str()

    def test_a_module_that_is_gone(self, project, plugin_args):
        project.record("tests/cassettes/test_renamed/test_it.yaml")
        project.record("tests/cassettes/shared/by_hand.yaml")
        result = self.check(project, *plugin_args)
        result.stdout.fnmatch_lines(
            ["Orphaned cassettes: 1 belongs *", "  rm tests/cassettes/test_renamed/test_it.yaml"]
        )
        self.check(project, "tests/test_other.py", printed=False)

    def test_cassettes_of_pytest_recording_s_own_tests(self, project, plugin_args):
        project.makepyfile(
            **{
                "tests/test_vcr": """
            import pytest

            @pytest.mark.vcr("more.yaml")
            def test_more():
                pass

            @pytest.mark.vcr
            @pytest.mark.default_cassette("other.yaml")
            def test_other():
                pass
            """
            }
        )
        for name in ("test_more", "more", "other"):
            project.record(f"tests/cassettes/test_vcr/{name}.yaml")
        self.check(project, "-p", "recording", *plugin_args, printed=False)

    def test_a_marker_that_a_conftest_adds(self, project):
        project.makepyfile(
            **{
                "tests/conftest": """
            import pytest

            def pytest_collection_modifyitems(items):
                for item in items:
                    if item.name == "test_it":
                        item.add_marker(pytest.mark.llm_cassette("named"))
            """
            }
        )
        project.record("tests/cassettes/test_other/named.yaml")
        (project.path / "tests/cassettes/test_other/test_it.yaml.gz").unlink()
        (project.path / "tests/cassettes/test_agent/TestGroup.test_it.yaml").unlink()
        self.check(project, printed=False)

    def test_a_folder_of_another_name(self, project):
        project.makeini("[pytest]\nllm_usage_cassette_dir = recordings")
        (project.path / "tests/cassettes").rename(project.path / "tests/recordings")
        self.check(project, printed=False)
        project.record("tests/recordings/test_other/test_gone.yaml")
        self.check(project)


#: Whatever user the tests run as: root may read everything.
UNREADABLE = """
    import pathlib

    def refusing(original):
        def refused(self, *args, **kwargs):
            if {place!r} in str(self):
                raise PermissionError(13, "Permission denied", str(self))
            return original(self, *args, **kwargs)
        return refused

    for name in {names}:
        setattr(pathlib.Path, name, refusing(getattr(pathlib.Path, name)))
"""
RECORDING = """
    import httpx
    from counting_server import serving

    def test_it(llm_usage):
        with serving() as provider:
            messages = [{"role": "user", "content": "[10 5]"}]
            httpx.post(provider.url + "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
"""


@pytest.mark.parametrize("mode", ["once", "new_episodes", "rewrite", "all", "stale"])
def test_a_folder_of_cassettes_that_cannot_be_read_is_one_message(pytester, forked, mode):
    pytester.makepyfile(RECORDING)
    pytester.makeconftest(UNREADABLE.format(place="/cassettes/", names=["is_file", "iterdir"]))

    result = pytester.runpytest_subprocess(f"--llm-usage-record={mode}", "--llm-usage-orphans=warn")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    printed = result.stdout.str()
    assert re.search(r"^Cassette (cannot be read|not saved): .*cassettes/.*: Permission denied", printed, re.MULTILINE)
    assert "Traceback" not in printed
    assert "CassetteError" not in printed


def test_a_folder_of_cassettes_that_cannot_be_listed_has_no_orphans(pytester, forked):
    pytester.makepyfile(RECORDING)
    pytester.makeconftest(UNREADABLE.format(place="/cassettes", names=["iterdir"]))

    result = pytester.runpytest_subprocess("--llm-usage-record=once", "--llm-usage-orphans=fail")

    assert result.parseoutcomes() == {"passed": 1}
    assert "internal error" not in result.stdout.str()
