"""The options that write and compare, in a run of pytest."""

import json
import xml.etree.ElementTree as ET
from html import unescape
from importlib.resources import files

import pytest
from counting_server import serving
from jsonschema import Draft202012Validator

SCHEMA = json.loads((files("pytest_llm_usage.report") / "run.schema.json").read_text(encoding="utf-8"))

SUITE = """
    import os

    import pytest
    from fakes import FakeChatModel

    SENT = int(os.environ.get("SENT", "1000"))

    @pytest.fixture(scope="session")
    def shared():
        FakeChatModel(usage=(7, 0)).invoke("set-up")

    @pytest.mark.parametrize("number", range(4))
    def test_same(shared, number):
        FakeChatModel(usage=(100, number)).invoke("one")

    @pytest.mark.llm_budget(max_tokens=5000)
    def test_bird(llm_usage):
        FakeChatModel(usage=(SENT, 20)).invoke("one")

    def test_without_a_call():
        pass
"""


@pytest.fixture
def suite(pytester):
    pytester.makepyfile(test_birds=SUITE)
    return pytester


def read(pytester, name="run.json"):
    data = json.loads((pytester.path / name).read_text())
    Draft202012Validator(SCHEMA).validate(data)
    return data


def without_times(data):
    return json.loads(
        json.dumps(data),
        object_hook=lambda found: {
            name: value for name, value in found.items() if name not in ("started_at", "duration_s")
        },
    )


class TestJson:
    def test_has_the_run(self, suite):
        result = suite.runpytest("--llm-usage-json=out/run.json")

        assert result.ret == 0
        result.stdout.fnmatch_lines(["Wrote JSON report to out/run.json"])
        data = read(suite, "out/run.json")
        assert list(data["tests"]) == [
            "test_birds.py::test_bird",
            *(f"test_birds.py::test_same[{number}]" for number in range(4)),
        ]
        bird = data["tests"]["test_birds.py::test_bird"]
        # 1,000 × 0.15 and 20 × 0.60 USD per million tokens.
        assert bird["usage"] == {
            "gpt-4o-mini-2024-07-18": {
                "calls": 1,
                "input_tokens": 1000,
                "output_tokens": 20,
                "total_tokens": 1020,
                "cost_usd": "0.000162",
            }
        }
        assert bird["budget"] == [
            {"name": "max_tokens", "limit": "5000", "spent": "1020", "origin": "@pytest.mark.llm_budget"}
        ]
        assert bird["calls"][0]["where"] == "test_birds.py:18 in test_bird"
        assert data["shared"]["usage"]["gpt-4o-mini-2024-07-18"]["input_tokens"] == 7
        assert (data["totals"]["calls"], data["totals"]["total_tokens"]) == (6, 1_433)
        assert {"pytest", "langchain-core", "genai-prices", "pytest-llm-usage"} <= data["environment"].keys()

    def test_is_the_same_whatever_the_workers(self, suite, plugin_args):
        suite.runpytest("--llm-usage-json=one.json", "-p", "no:xdist")
        suite.runpytest("--llm-usage-json=run.json", *plugin_args)

        one, run = without_times(read(suite, "one.json")), without_times(read(suite))
        # A session's fixture is set up once in every worker.
        calls = run["shared"]["calls"]
        assert len(calls) == (2 if plugin_args == ("-n", "2") else 1)
        assert run["tests"] == one["tests"]

    def test_of_every_worker_that_ran_a_test(self, suite):
        suite.runpytest("--llm-usage-json=run.json", "--tx=2*popen", "--dist=each")

        data = read(suite)
        assert list(data["duplicates"]) == list(data["tests"])
        assert data["totals"]["total_tokens"] == 2 * 1_433

    def test_of_reruns(self, pytester):
        pytester.makepyfile("""
            from fakes import FakeChatModel

            attempts = []

            def test_it():
                attempts.append(1)
                FakeChatModel(usage=(100 * len(attempts), 0)).invoke("one")
                assert len(attempts) == 3
        """)
        pytester.runpytest("--llm-usage-json=run.json", "--reruns=2")

        data = read(pytester)
        (test,) = data["tests"].values()
        assert test["usage"]["gpt-4o-mini-2024-07-18"]["input_tokens"] == 300
        assert [call["usage"]["input_tokens"] for call in test["earlier_calls"]] == [100, 200]
        assert data["totals"]["input_tokens"] == 600

    def test_without_calls_is_written_all_the_same(self, pytester):
        pytester.makepyfile("def test_it(): pass")
        result = pytester.runpytest("--llm-usage-json=run.json")
        result.stdout.fnmatch_lines(["*= LLM usage =*", "Wrote JSON report to run.json"])
        assert read(pytester)["tests"] == {}

    def test_a_hyphen_is_the_standard_output(self, suite):
        result = suite.runpytest("--llm-usage-json=-", "-q")
        lines = result.stdout.lines
        text = "\n".join(lines[lines.index("{") : lines.index("}") + 1])
        Draft202012Validator(SCHEMA).validate(json.loads(text))

    def test_says_that_the_run_failed(self, pytester):
        pytester.makepyfile("def test_it(): assert False")
        pytester.runpytest("--llm-usage-json=run.json")
        assert read(pytester)["exit_status"] == 1

    def test_collecting_alone_writes_nothing(self, suite):
        suite.runpytest("--llm-usage-json=run.json", "--collect-only")
        assert not (suite.path / "run.json").exists()

    def test_what_cannot_be_written_fails_the_run_with_a_line(self, suite):
        (suite.path / "run.json").mkdir()
        result = suite.runpytest("--llm-usage-json=run.json")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(
            [
                "FAILED: JSON report not written: run.json: Is a directory",
                "*= short test summary info =*",
                "FAILED llm-usage: JSON report not written: run.json: Is a directory",
                "*= 6 passed in *",
            ]
        )
        assert not [path for path in suite.path.iterdir() if path.suffix == ".tmp"]

    def test_what_cannot_be_written_leaves_the_other_reports(self, suite):
        (suite.path / "run.json").mkdir()
        result = suite.runpytest("--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert "test_birds.py::test_bird" in (suite.path / "run.md").read_text()
        assert "bird" in (suite.path / "run.html").read_text()

    @pytest.mark.parametrize("option", ["json", "md", "html"])
    @pytest.mark.parametrize("where", ["test_birds.py", "notes.md", "page.html", "data.json"])
    def test_a_file_that_is_no_report_is_never_replaced(self, suite, option, where):
        contents = {"notes.md": "# Notes\n", "page.html": "<!doctype html><title>Mine</title>", "data.json": "{}"}
        path = suite.path / where
        if where in contents:
            path.write_text(contents[where])
        before = path.read_bytes()

        result = suite.runpytest(f"--llm-usage-{option}={where}")

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (line,) = filter(None, result.errlines)
        assert line.startswith(f"ERROR: --llm-usage-{option}: ")
        assert line.endswith(f"{where} already exists and is not such a report; choose another path")
        assert path.read_bytes() == before

    def test_a_report_is_replaced_by_the_next(self, suite):
        options = ("--llm-usage-json=run.json", "--llm-usage-md=run.md", "--llm-usage-html=run.html")
        (suite.path / "run.md").touch()
        assert [suite.runpytest(*options).ret for _ in range(2)] == [0, 0]

    def test_a_path_in_the_ini_file_is_relative_to_it(self, suite):
        suite.makeini("[pytest]\nllm_usage_json = out/run.json")
        (suite.path / "below").mkdir()
        (suite.path / "below" / "test_it.py").write_text("def test_it(): pass")
        suite.chdir()
        suite.run("true")
        result = suite.runpytest_subprocess("below")
        assert result.ret == 0
        assert (suite.path / "out" / "run.json").exists()

    def test_says_what_became_of_each_test(self, pytester):
        pytester.makepyfile(
            test_it="""
            import pytest
            from fakes import FakeChatModel

            @pytest.fixture(autouse=True)
            def call():
                FakeChatModel().invoke("one")

            def test_passed(): pass

            def test_failed(): assert False

            @pytest.fixture
            def broken():
                raise OSError

            def test_error(broken): pass

            @pytest.fixture
            def breaking():
                yield
                raise OSError

            def test_error_behind(breaking): pass

            def test_failed_before_it(breaking): assert False

            def test_skipped(): pytest.skip("enough")

            @pytest.mark.xfail
            def test_xfailed(): assert False

            @pytest.mark.xfail
            def test_xpassed(): pass

            @pytest.mark.xfail(strict=True)
            def test_failed_strictly(): pass
        """
        )
        pytester.runpytest("--llm-usage-json=run.json")

        outcomes = {name.partition("::")[2]: test["outcome"] for name, test in read(pytester)["tests"].items()}
        assert outcomes == {
            "test_passed": "passed",
            "test_failed": "failed",
            "test_error": "error",
            "test_error_behind": "error",
            "test_failed_before_it": "failed",
            "test_skipped": "skipped",
            "test_xfailed": "xfailed",
            "test_xpassed": "xpassed",
            "test_failed_strictly": "failed",
        }

    def test_names_the_cassettes_whoever_opens_them(self, pytester, forked, monkeypatch):
        """Its own, pytest-recording's, and one of the factory that stays open for several tests."""
        pytester.makepyfile(
            test_it="""
            import os

            import pytest
            import openai

            def ask():
                client = openai.OpenAI(base_url=os.environ["PROVIDER_URL"] + "/v1", api_key="dummy-key", max_retries=0)
                question = [{"role": "user", "content": "fastest bird? [812 64]"}]
                client.chat.completions.create(model="gpt-4o-mini", messages=question)

            def test_own(llm_usage):
                ask()

            def test_without_a_request(llm_usage):
                pass

            @pytest.mark.vcr
            def test_marked():
                ask()

            @pytest.fixture(scope="module")
            def all_of_them(llm_cassette):
                with llm_cassette("all_of_them"):
                    yield

            def test_shared(all_of_them):
                ask()

            @pytest.fixture
            def of_one(llm_cassette):
                with llm_cassette("of_one"):
                    yield

            def test_factory(of_one):
                ask()
        """
        )
        with serving() as provider:
            monkeypatch.setenv("PROVIDER_URL", provider.url)
            arguments = ("-p", "recording", "-W", "ignore", "--llm-usage-json=run.json")
            recorded = pytester.runpytest_subprocess(*arguments, "--llm-usage-record=once", "--record-mode=once")
            recorded.assert_outcomes(passed=5)
            tests = read(pytester)["tests"]
            asked = len(provider.asked)
            pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=5)
            assert len(provider.asked) == asked
        named = {name.partition("::")[2]: list(test["cassettes"]) for name, test in tests.items()}
        assert named == {
            "test_own": ["cassettes/test_it/test_own.yaml"],
            "test_marked": ["cassettes/test_it/test_marked.yaml"],
            "test_shared": ["cassettes/test_it/all_of_them.yaml"],
            "test_factory": ["cassettes/test_it/of_one.yaml"],
        }
        assert {name: test["cassettes"] for name, test in read(pytester)["tests"].items()} == {
            name: test["cassettes"] for name, test in tests.items()
        }


class TestCompare:
    @pytest.fixture
    def base(self, suite):
        suite.runpytest("--llm-usage-json=base.json")
        return suite

    @pytest.mark.parametrize(
        ("sent", "status", "workers"), [("1051", 0, "0"), ("1052", 1, "0"), ("1051", 0, "2"), ("1052", 1, "2")]
    )
    def test_a_gate_decides_the_exit_status(self, base, monkeypatch, sent, status, workers):
        """1,020 tokens were used, and 5 % more is 1,071."""
        monkeypatch.setenv("SENT", sent)
        result = base.runpytest("--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+5%", "-n", workers)
        result.assert_outcomes(passed=6)
        assert result.ret == status

    def test_prints_what_changed(self, base, monkeypatch):
        monkeypatch.setenv("SENT", "2000")
        result = base.runpytest("--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+5%")
        result.stdout.fnmatch_lines(
            [
                "compared with base.json: 1 changed, 4 unchanged",
                "  test                      before    now",
                "  test_birds.py::test_bird   1,020  2,020  +98 %",
                "      over tokens:+5%",
                "      Prompts grew by 1,000 tokens (the largest: test_birds.py:18 in test_bird)",
                "  all                        1,426  2,426  +70 %",
                "      over tokens:+5%",
                "      $0.00023 -> $0.00038",
                "FAILED: 1 test and all tests together over tokens:+5%",
                "*= short test summary info =*",
                "FAILED llm-usage: 1 test and all tests together over tokens:+5%",
                "*= 6 passed in *",
            ]
        )

    def test_a_gate_that_fails_the_run_never_ends_in_green(self, base, monkeypatch):
        monkeypatch.setenv("SENT", "2000")
        gate = ("--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+5%", "--color=yes")
        result = base.runpytest(*gate)
        assert "\x1b[31mFAILED\x1b[0m llm-usage: 1 test" in result.stdout.str()
        assert result.outlines[-1].startswith("\x1b[31m=")
        assert "failed" not in result.outlines[-1]

    @pytest.mark.parametrize(("floor", "status"), [("31", 0), ("30", 1)])
    @pytest.mark.parametrize("place", ["option", "ini"])
    def test_below_the_floor_is_noise(self, base, monkeypatch, floor, status, place):
        monkeypatch.setenv("SENT", "1031")
        if place == "ini":
            base.makeini(f"[pytest]\nllm_usage_floor = {floor}")
        arguments = [f"--llm-usage-floor={floor}"] if place == "option" else []
        result = base.runpytest("--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+0", *arguments)
        assert result.ret == status
        word = "changed within the noise" if status == 0 else "changed"
        result.stdout.fnmatch_lines([f"compared with base.json: 1 {word}, 4 unchanged"])

    def test_a_folder_of_runs_is_their_medians_and_their_spread(self, suite, monkeypatch):
        """The median is 1,000 sent, and the runs are 50 apart: 50 more is noise, 51 are not."""
        results = []
        for name, sent in (("1", 1000), ("2", 1050), ("3", 1000)):
            monkeypatch.setenv("SENT", str(sent))
            suite.runpytest(f"--llm-usage-json=runs/{name}.json")
        for sent in (1050, 1051):
            monkeypatch.setenv("SENT", str(sent))
            results.append(suite.runpytest("--llm-usage-compare=runs", "--llm-usage-fail-on=tokens:+0"))

        assert [result.ret for result in results] == [0, 1]
        results[0].stdout.fnmatch_lines(["compared with 3 runs in runs: 1 changed within the noise, 4 unchanged"])

    def test_a_folder_grows_by_the_runs_that_passed(self, suite, monkeypatch):
        (suite.path / "runs").mkdir()
        gate = ("--llm-usage-compare=runs", "--llm-usage-fail-on=tokens:+5%")

        first = suite.runpytest("--llm-usage-json=runs/1.json", *gate)
        monkeypatch.setenv("SENT", "2000")
        refused = suite.runpytest("--llm-usage-json=runs/2.json", *gate)

        first.stdout.fnmatch_lines(["nothing to compare with: there is no run in runs"])
        first.stdout.no_fnmatch_line("*to make it*")
        refused.stdout.fnmatch_lines(["Kept runs as it was, because the run failed"])
        assert [path.name for path in (suite.path / "runs").iterdir()] == ["1.json"]

    def test_without_a_baseline_the_first_run_is_no_failure(self, suite):
        result = suite.runpytest("--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+5%")
        assert result.ret == 0
        result.stdout.fnmatch_lines(
            ["nothing to compare with: there is no base.json", "  to make it:  --llm-usage-json=base.json"]
        )

    def test_without_a_baseline_it_fails_where_that_is_asked_for(self, suite):
        result = suite.runpytest("--llm-usage-compare=base.json", "--llm-usage-fail-on=no-baseline")
        assert result.ret == 1
        result.stdout.fnmatch_lines(["FAILED: nothing to compare with: there is no base.json"])

    def test_a_baseline_moves_on_only_with_a_run_that_passed(self, base, monkeypatch):
        arguments = ("--llm-usage-json=base.json", "--llm-usage-compare=base.json", "--llm-usage-fail-on=tokens:+5%")
        before = (base.path / "base.json").read_bytes()

        monkeypatch.setenv("SENT", "2000")
        result = base.runpytest(*arguments)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["Kept base.json as it was, because the run failed"])
        assert (base.path / "base.json").read_bytes() == before

        monkeypatch.setenv("SENT", "900")
        assert base.runpytest(*arguments).ret == 0
        assert read(base, "base.json")["totals"]["total_tokens"] == 1_333

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--llm-usage-fail-on=tokens:+5%"], "--llm-usage-fail-on: there is nothing to compare with; add --llm-usage-compare=PATH"),
            (["--llm-usage-compare=x", "--llm-usage-fail-on=tokens"], "--llm-usage-fail-on: 'tokens' is not a gate (*"),
            (["--llm-usage-compare=test_birds.py"], "--llm-usage-compare: *test_birds.py: not JSON (*"),
            (["--llm-usage-compare=new.json"], "--llm-usage-compare: *new.json: format 99 was written by a later pytest-llm-usage*"),
            (["--llm-usage-json="], "--llm-usage-json: the name of a file is missing"),
            (["--llm-usage-shard=5/4"], "--llm-usage-shard: '5/4' is not a shard (example: 2/4 for the second of four)"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_used_is_a_line_before_anything_runs(self, suite, arguments, message):
        (suite.path / "new.json").write_text('{"format": 99}')
        result = suite.runpytest(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {message}"])
        assert len(result.errlines) <= 2


class TestMarkdownAndPage:
    def test_are_written(self, suite):
        result = suite.runpytest("--llm-usage-md=out/comment.md", "--llm-usage-html=out/page.html")
        result.stdout.fnmatch_lines(["Wrote Markdown report to out/comment.md", "Wrote HTML report to out/page.html"])
        assert "| `test_birds.py::test_bird` | 1 | 1,000 |" in (suite.path / "out/comment.md").read_text()
        page = (suite.path / "out/page.html").read_text().replace("<wbr>", "")
        assert page.startswith("<!doctype html>")
        for name in ("test_bird", *(f"test_same[{number}]" for number in range(4))):
            assert name in page

    def test_githubs_summary_is_added_to(self, suite, monkeypatch, tmp_path):
        summary = tmp_path / "summary.md"
        summary.write_text("# Before\n")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        suite.runpytest()
        assert summary.read_text().startswith("# Before\n<!-- pytest-llm-usage -->\n### LLM usage\n")

    def test_githubs_summary_says_nothing_of_runs_without_calls(self, pytester, monkeypatch, tmp_path):
        pytester.makepyfile("def test_it(): pass")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        assert pytester.runpytest().ret == 0
        assert not (tmp_path / "summary.md").exists()


def test_junit_and_the_reports_agree(suite):
    suite.runpytest("--llm-usage-json=run.json", "--junit-xml=junit.xml")
    usage = read(suite)["tests"]["test_birds.py::test_bird"]["usage"]["gpt-4o-mini-2024-07-18"]
    cases = ET.parse(suite.path / "junit.xml").iter("testcase")
    properties = {
        item.get("name"): item.get("value")
        for case in cases
        if case.get("name") == "test_bird"
        for item in case.iter("property")
    }
    assert properties["llm_total_tokens"] == str(usage["total_tokens"])
    assert properties["llm_cost_usd"] == usage["cost_usd"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_pytest_html_has_columns(suite, workers):
    pytest.importorskip("pytest_html")
    plugins = ("-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin", "-W", "ignore::DeprecationWarning")
    result = suite.runpytest(*plugins, "--html=report.html", "-n", workers)
    assert result.ret == 0
    page = unescape((suite.path / "report.html").read_text())
    assert "<th>Tokens</th>" in page
    assert page.count("<td>1,020</td>") == 1
    assert page.count("<td>0.00016</td>") == 1
