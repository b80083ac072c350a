"""`usage_snapshot` through pytest and syrupy, as a project sees it."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.snapshot import UsageFile

SYRUPY = tuple(map(int, version("syrupy").split(".")[:2]))
FILE = "__snapshots__/test_agent.usage.yaml"
HEADER = (
    "# LLM usage, format 1. Tokens as the provider counted them; "
    f"USD at the price of the recording's day (genai-prices {version('genai-prices')}).\n"
)

# The fixtures and the hook as the plugin has them, with a usage that the test itself makes up.
CONFTEST = """
    import pytest

    from pytest_llm_usage.compare import Tolerances, parse_model_names
    from pytest_llm_usage.snapshot import explain_mismatch, usage_snapshot_assertion


    class Usage:
        def __init__(self, **models):
            self.models = models
            self.calls = ()

        def to_dict(self):
            return self.models


    @pytest.fixture
    def usage():
        def usage(calls=3, inputs=1412, outputs=171, cost="0.01925", model="gpt-4-turbo-2024-04-09", **more):
            data = {"calls": calls, "input_tokens": inputs, "output_tokens": outputs,
                    "total_tokens": inputs + outputs, **more, "cost_usd": cost}
            return Usage(**{model: data})
        return usage


    def pytest_addoption(parser):
        parser.addini("tolerance", "", default="")
        parser.addini("models", "", type="linelist")


    @pytest.fixture
    def usage_snapshot(request):
        ini = request.config.getini
        return usage_snapshot_assertion(
            request, Tolerances.parse(ini("tolerance")), parse_model_names(ini("models"))
        )


    @pytest.hookimpl(wrapper=True)
    def pytest_assertrepr_compare(config, op, left, right):
        explanations = yield
        ours = explain_mismatch(config, op, left, right)
        return explanations if ours is None else [ours]
"""


def of_no_worker(monkeypatch):
    """What is run next is no part of the run that this test is in, whose workers plugins would take for their own."""
    monkeypatch.delenv("CI", raising=False)
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with the plugin's fixtures; `project.run(test code, options)` runs it."""
    of_no_worker(monkeypatch)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p syrupy -p xdist")
    pytester.makeconftest(dedent(CONFTEST))
    return Project(pytester)


class Project:
    def __init__(self, pytester):
        self.pytester = pytester
        self.path = pytester.path
        self.snapshots = self.path / FILE

    def write(self, source, name="test_agent.py"):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")

    def run(self, *options, source=None):
        if source is not None:
            self.write(source)
        # syrupy 6.1 warns whoever updates under xdist of what may happen to its own files.
        return self.pytester.runpytest(
            "-p", "no:cacheprovider", "-W", "error", "-W", "ignore:syrupy", "-W", "ignore:unclosed", *options
        )

    def update(self, *options, source=None):
        result = self.run("--snapshot-update", *options, source=source)
        assert result.ret == 0, result.stdout.str()
        return result

    def text(self):
        return self.snapshots.read_bytes().decode()

    def entries(self):
        return yaml.safe_load(self.text())


BIRD = """
    import pytest

    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_bird(usage, usage_snapshot, language):
        assert usage() == usage_snapshot

    def test_two(usage, usage_snapshot):
        assert usage(calls=1) == usage_snapshot
        assert usage(calls=2, input_token_details={"cache_read": 512}) == usage_snapshot
        assert usage(cost=None) == usage_snapshot(name="unpriced")

    class TestChat:
        def test_none(self, usage_snapshot):
            assert {} == usage_snapshot
"""


class TestFile:
    def test_is_readable_and_in_a_stable_order(self, project):
        project.update(source=BIRD)
        assert project.text() == HEADER + dedent("""\
            TestChat.test_none: {}
            test_bird[en]:
              gpt-4-turbo-2024-04-09:
                calls: 3
                input_tokens: 1412
                output_tokens: 171
                total_tokens: 1583
                cost_usd: '0.01925'
            test_bird[fr]:
              gpt-4-turbo-2024-04-09:
                calls: 3
                input_tokens: 1412
                output_tokens: 171
                total_tokens: 1583
                cost_usd: '0.01925'
            test_two:
              gpt-4-turbo-2024-04-09:
                calls: 1
                input_tokens: 1412
                output_tokens: 171
                total_tokens: 1583
                cost_usd: '0.01925'
            test_two.1:
              gpt-4-turbo-2024-04-09:
                calls: 2
                input_tokens: 1412
                output_tokens: 171
                total_tokens: 1583
                input_token_details:
                  cache_read: 512
                cost_usd: '0.01925'
            test_two[unpriced]:
              gpt-4-turbo-2024-04-09:
                calls: 3
                input_tokens: 1412
                output_tokens: 171
                total_tokens: 1583
                cost_usd: null
        """)

    def test_matches_when_run_again(self, project):
        project.update(source=BIRD)
        result = project.run()
        result.assert_outcomes(passed=4)
        result.stdout.fnmatch_lines(["6 snapshots passed."])
        assert [path.name for path in self_and_hidden(project.snapshots.parent)] == [project.snapshots.name]

    def test_numbers_may_be_written_otherwise_by_hand(self, project):
        project.update(source=BIRD)
        project.snapshots.write_text("---\n" + project.text().replace("'0.01925'", "0.019250").replace("  ", "   "))
        project.run().assert_outcomes(passed=4)

    def test_update_keeps_everything_else_byte_for_byte(self, project):
        project.update(source=BIRD)
        text = project.text()
        text = text.replace("test_bird[fr]:", "\n# Les oiseaux\n# chantent.\ntest_bird[fr]:")
        text = text.replace("calls: 2", "calls:  2 # retries").replace("test_two:", "# twice\n\ntest_two:")
        text += "# the end"
        project.snapshots.write_text(text)
        project.update(source=BIRD.replace("usage() == usage_snapshot", "usage(inputs=2000) == usage_snapshot"))
        assert project.text() == text.replace("input_tokens: 1412", "input_tokens: 2000", 2).replace(
            "total_tokens: 1583", "total_tokens: 2171", 2
        )

    def test_new_entries_go_where_they_belong_by_name(self, project):
        project.update(source=BIRD)
        text = project.text().replace("test_two:", "# about two\ntest_two:")
        project.snapshots.write_text(text)
        project.update(
            source=BIRD
            + """
    def test_owl(usage, usage_snapshot):
        assert {} == usage_snapshot
    def test_zebra(usage, usage_snapshot):
        assert {} == usage_snapshot
    """
        )
        assert project.text() == text.replace("# about two", "test_owl: {}\n# about two") + "test_zebra: {}\n"

    def test_crlf_stays_crlf(self, project):
        project.update(source=BIRD)
        project.snapshots.write_bytes(project.text().replace("\n", "\r\n").encode())
        project.update(source=BIRD.replace("usage()", "usage(inputs=2000)").replace("TestChat", "TestTalk"))
        text = project.text()
        assert text.count("\r\n") == text.count("\n")
        assert "input_tokens: 2000" in text

    def test_keeps_its_permissions(self, project):
        project.update(source=BIRD)
        project.snapshots.chmod(0o640)
        project.update(source=BIRD.replace("usage()", "usage(inputs=2000)"))
        assert project.snapshots.stat().st_mode & 0o777 == 0o640

    @pytest.mark.skipif(SYRUPY < (5, 0), reason="syrupy 5 brought --snapshot-dirname")
    def test_snapshot_dirname_is_followed(self, project):
        project.run("--snapshot-dirname=snaps", "--snapshot-update", source=BIRD)
        assert (project.path / "snaps/test_agent.usage.yaml").exists()
        project.run("--snapshot-dirname=snaps").assert_outcomes(passed=4)

    @pytest.mark.parametrize(
        ("broken", "line", "reason"),
        [
            ("test_bird[en]:\n\tcalls: 3\n", 2, "not YAML: "),
            ("<<<<<<< HEAD\ntest_bird[en]: {}\n", 2, "'<<<<<<< HEAD' is not the start of a snapshot"),
            ("test_bird[en]: {}\ntest_bird[en]: {}\n", 3, "test_bird[en] appears twice"),
            ("test_bird[en]: 5\n", 2, "test_bird[en] does not hold usage by model"),
            ("  calls: 3\n", 2, "calls does not hold usage by model"),
        ],
        ids=["tab", "merge conflict", "twice", "number", "no name"],
    )
    @pytest.mark.parametrize("options", [(), ("--snapshot-update",)], ids=["run", "update"])
    def test_broken_is_one_error_and_never_overwritten(self, project, broken, line, reason, options):
        project.update(source=BIRD)
        text = HEADER + broken
        project.snapshots.write_text(text)
        result = project.run(*options, "test_agent.py::test_bird[en]")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                f"E *ConfigurationError: {FILE}:*. Nothing was changed.",
                "E *Restore the file, or delete it and write it again:  pytest --snapshot-update",
            ]
        )
        message = re.search(r"ConfigurationError: (.*)\. Nothing", result.stdout.str())[1]
        if reason.startswith("not YAML"):
            assert message.startswith(f"{FILE}:") and reason in message
        else:
            assert message == f"{FILE}:{line}: {reason}"
        assert project.text() == text

    def test_not_utf8(self, project):
        project.update(source=BIRD)
        project.snapshots.write_bytes(b"\xff\xfe")
        result = project.run("--snapshot-update")
        result.stdout.fnmatch_lines([f"E *{FILE}:1: it is not UTF-8 (invalid start byte). Nothing was changed."])
        assert project.snapshots.read_bytes() == b"\xff\xfe"

    def test_newer_format_is_refused(self, project):
        project.update(source=BIRD)
        text = project.text().replace("format 1.", "format 7.")
        project.snapshots.write_text(text)
        result = project.run("--snapshot-update")
        assert result.parseoutcomes()["failed"] == 4
        result.stdout.fnmatch_lines(
            [
                f"E *{FILE} is in format 7, written by a newer pytest-llm-usage; this one reads format 1. Nothing *",
                "E *Update:  pip install --upgrade pytest-llm-usage",
            ]
        )
        assert project.text() == text


def self_and_hidden(directory):
    return sorted(directory.iterdir())


class TestNames:
    IDS = (
        "it's",
        'say "x"',
        "a: b",
        "# no",
        "- dash",
        "{brace",
        "é",
        "鳥",
        "🐦",
        "new\nline",
        "tab\t",
        "yes",
        "x" * 1500,
    )

    def test_odd_ids_round_trip(self, project):
        source = f"""
            import pytest

            IDS = {self.IDS!r}

            class TestX:
                @pytest.mark.parametrize("i", range(len(IDS)), ids=IDS)
                def test_y(self, usage, usage_snapshot, i):
                    assert usage(inputs=i) == usage_snapshot
                    assert usage(outputs=i) == usage_snapshot(name=IDS[i])
        """
        project.update(source=source)
        assert len(project.entries()) == 2 * len(self.IDS)
        text = project.text()
        project.run().assert_outcomes(passed=len(self.IDS))
        project.update()
        assert project.text() == text

    @given(st.dictionaries(st.text(), st.integers(0, 10**20), min_size=1))
    @example({"\r\x85\u2028": 1, "\ufeff": 2, "": 3, "null": 4, "~": 5, ":a": 6, "a ": 7, "? b": 8, "'": 9})
    @example({"k" * 1024: 1, "é" * 1000: 2})
    def test_any_name_round_trips(self, numbers):
        text = UsageFile().updated({name: {name: {"calls": n}} for name, n in numbers.items()})
        read = UsageFile.parse(text, "file")
        assert {name: entry.usage for name, entry in read.entries.items()} == {
            name: {name: {"calls": n}} for name, n in numbers.items()
        }
        assert read.updated({}) == text

    @given(
        st.dictionaries(st.text(max_size=5), st.integers(0, 99), min_size=1),
        st.dictionaries(st.text(max_size=5), st.integers(0, 99)),
    )
    def test_the_order_of_writing_does_not_matter(self, first, second):
        usages = [{name: {"m": {"calls": n}} for name, n in part.items()} for part in (first, second)]
        one = UsageFile.parse(UsageFile().updated(usages[0]), "file").updated(usages[1])
        assert one == UsageFile().updated(usages[0] | usages[1])

    @given(st.dictionaries(st.text(max_size=5), st.integers(0, 99), min_size=2))
    def test_removing_keeps_the_others(self, numbers):
        usages = {name: {"m": {"calls": n}} for name, n in numbers.items()}
        gone = min(usages)
        read = UsageFile.parse(UsageFile().updated(usages), "file")
        assert UsageFile.parse(read.without({gone}), "file").entries.keys() == usages.keys() - {gone}

    @given(st.text())
    def test_whatever_is_read_is_refused_or_kept(self, text):
        try:
            read = UsageFile.parse(text, "file")
        except ConfigurationError as error:
            assert str(error).startswith("file")
        else:
            assert "".join(read.lines) == text


class TestUpdate:
    def test_without_it_nothing_is_written(self, project):
        result = project.run(source=BIRD)
        result.assert_outcomes(failed=4)
        assert not project.snapshots.parent.exists()

    def test_unused_fail_and_are_removed(self, project):
        project.update(source=BIRD)
        text = project.text()
        project.write(BIRD.replace('["en", "fr"]', '["en"]').replace("class TestChat", "class Gone"))
        result = project.run()
        assert result.ret == 1
        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["*4 snapshots passed. 2 snapshots unused.*"])
        assert project.text() == text
        result = project.update()
        result.stdout.fnmatch_lines(["*2 unused snapshots deleted.*", "Deleted *test_bird[[]fr[]]*"])
        assert project.entries().keys() == {"test_bird[en]", "test_two", "test_two.1", "test_two[unpriced]"}
        assert project.run().ret == 0

    def test_the_file_goes_with_its_last_entry(self, project):
        project.write("def test_x(usage_snapshot):\n    assert {} == usage_snapshot\n", "test_other.py")
        project.update(source=BIRD)
        (project.path / "test_agent.py").unlink()
        project.update()
        assert [path.name for path in project.snapshots.parent.iterdir()] == ["test_other.usage.yaml"]

    def test_comments_outlive_removed_entries(self, project):
        project.update(source=BIRD)
        project.snapshots.write_text(project.text().replace("test_bird[fr]", "# on birds\ntest_bird[fr]"))
        project.update(source=BIRD.replace('["en", "fr"]', '["en"]'))
        assert "# on birds\ntest_two:" in project.text()

    @pytest.mark.parametrize("how", ["node", "keyword", "marker", "skipped"])
    def test_what_did_not_run_is_kept(self, project, how):
        project.update(source=BIRD)
        text = project.text()
        options = {"node": ["test_agent.py::test_two"], "keyword": ["-k", "two"], "marker": ["-m", "not parametrize"]}
        if how == "skipped":
            project.write(BIRD.replace("def test_two", "@pytest.mark.skip\n    def test_two"))
        project.update(*options.get(how, ()))
        assert project.text() == text

    def test_one_test_gives_up_its_second_snapshot(self, project):
        project.update(source=BIRD)
        lines = [line for line in dedent(BIRD).splitlines() if "calls=2" not in line]
        project.update("test_agent.py", source="\n".join(lines))
        assert "test_two.1" not in project.entries()
        assert len(project.entries()) == 5

    @pytest.mark.parametrize("where", ["tests", "tests/test_agent.py"])
    def test_unused_are_found_under_a_path(self, project, where):
        project.write(BIRD, "tests/test_agent.py")
        project.update()
        project.write(BIRD.replace('["en", "fr"]', '["en"]'), "tests/test_agent.py")
        result = project.run(where)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*1 snapshot unused.*"])

    def test_summary_counts(self, project):
        result = project.update(source=BIRD)
        result.stdout.fnmatch_lines(["6 snapshots generated."])
        result = project.update(source=BIRD.replace("usage()", "usage(calls=9)"))
        result.stdout.fnmatch_lines(["4 snapshots passed. 2 snapshots updated."])

    @pytest.mark.skipif(SYRUPY < (6, 0), reason="syrupy 6 brought --snapshot-update-new-only")
    def test_new_only(self, project):
        project.update(source=BIRD.replace('["en", "fr"]', '["en"]'))
        result = project.run("--snapshot-update-new-only", source=BIRD.replace("usage()", "usage(calls=9)"))
        result.assert_outcomes(passed=3, failed=1)
        assert project.entries()["test_bird[en]"]["gpt-4-turbo-2024-04-09"]["calls"] == 3
        assert project.entries()["test_bird[fr]"]["gpt-4-turbo-2024-04-09"]["calls"] == 9


class TestBesideOtherSnapshots:
    SOURCE = (
        BIRD
        + """
    from syrupy.extensions.json import JSONSnapshotExtension

    def test_amber(snapshot):
        assert {"a": 1} == snapshot

    def test_json(snapshot):
        assert {"a": 1} == snapshot.use_extension(JSONSnapshotExtension)
    """
    )

    def test_neither_takes_the_others_for_unused(self, project):
        project.update(source=self.SOURCE)
        result = project.run()
        assert result.ret == 0
        assert "snapshots unused" not in result.stdout.str()
        project.update()
        files = {str(path.relative_to(project.path)) for path in project.path.rglob("__snapshots__/**/*.*")}
        assert files == {FILE, "__snapshots__/test_agent.ambr", "__snapshots__/test_agent/test_json.json"}

    def test_unused_of_both_are_found(self, project):
        project.update(source=self.SOURCE)
        source = self.SOURCE.replace('["en", "fr"]', '["en"]').replace('{"a": 1} == snapshot\n', "snapshot\n")
        result = project.run(source=source)
        result.stdout.fnmatch_lines(["*2 snapshots unused.*"])


class TestWorkers:
    SOURCE = """
        import pytest

        @pytest.mark.parametrize("i", range(40))
        def test_many(usage, usage_snapshot, i):
            assert usage(inputs=i) == usage_snapshot
    """

    def test_write_the_same_file(self, project):
        project.update("-n", "4", source=self.SOURCE)
        parallel = project.text()
        assert len(project.entries()) == 40
        assert [path.name for path in self_and_hidden(project.snapshots.parent)] == [project.snapshots.name]
        project.snapshots.unlink()
        project.update()
        assert project.text() == parallel
        project.run("-n", "2").assert_outcomes(passed=40)

    @pytest.mark.skipif(SYRUPY < (5, 5), reason="unused snapshots are found under xdist since syrupy 5.5")
    def test_unused(self, project):
        project.update(source=self.SOURCE)
        project.write(self.SOURCE.replace("range(40)", "range(30)"))
        assert project.run("-n", "2").ret == 1
        assert len(project.entries()) == 40
        result = project.run("-n", "2", "--snapshot-update")
        result.stdout.fnmatch_lines(["*10 unused snapshots deleted.*"])
        assert len(project.entries()) == 30
        assert [path.name for path in self_and_hidden(project.snapshots.parent)] == [project.snapshots.name]

    def test_skipped_are_kept(self, project):
        project.update(source=self.SOURCE)
        text = project.text()
        source = self.SOURCE.replace("assert usage", "if i % 2: pytest.skip('odd')\n            assert usage")
        result = project.run("-n", "2", "--snapshot-update", source=source)
        result.assert_outcomes(passed=20, skipped=20)
        assert project.text() == text


class TestTolerance:
    BASE = """
        def test_x(usage, usage_snapshot):
            assert usage(%s) == usage_snapshot%s
    """

    @pytest.mark.parametrize(
        ("options", "now", "passes"),
        [
            ("", "", True),
            ("", "inputs=1413", False),
            ("(rel=0.05)", "inputs=1482, cost='0.01995'", True),
            ("(rel=0.05)", "inputs=1342, cost='0.01855'", True),
            ("(rel=0.05)", "inputs=1483, cost='0.01996'", False),
            ("(rel=0.05)", "calls=4", False),
            ("(abs=10)", "inputs=1422, outputs=161, cost='0.01905'", True),
            ("(abs=10)", "inputs=1423", False),
            ("(abs=10)", "cost='0.01926'", False),
            ("(rel={'output': 0.1})", "outputs=188, cost='0.02'", True),
            ("(rel={'output': 0.1})", "outputs=189, cost='0.02'", False),
            ("(rel={'output': 0.1, 'cost': 0.01})", "outputs=188, cost='0.02'", False),
            ("(abs={'cost': '0.001'})", "cost='0.02025'", True),
            ("(abs={'cost': '0.001'})", "cost='0.02026'", False),
            ("(ratchet=True)", "calls=1, inputs=10, outputs=0, cost='0'", True),
            ("(ratchet=True)", "inputs=1413", False),
            ("(ratchet=True)", "cost='0.01926'", False),
            ("(ratchet=True)", "inputs=1000, cost='0.01926'", False),
            ("(ratchet=True, rel=0.05)", "inputs=1482, outputs=1", True),
            ("(ratchet=True)", "cost=None", False),
            ("(rel=0.5)", "model='other'", False),
            ("(ratchet=True)", "input_token_details={'cache_read': 1}", True),
            ("", "input_token_details={'cache_read': 1}", False),
            ("(rel=0)", "", True),
        ],
    )
    def test_of_one_comparison(self, project, options, now, passes):
        project.update(source=self.BASE % ("", options))
        result = project.run(source=self.BASE % (now, options))
        result.assert_outcomes(passed=int(passes), failed=int(not passes))

    def test_holds_for_one_comparison_only(self, project):
        source = """
            def test_x(usage, usage_snapshot):
                assert usage(%s) == usage_snapshot(rel=0.05, name="loose")
                assert usage(%s) == usage_snapshot(name="strict")
        """
        project.update(source=source % ("", ""))
        project.run(source=source % ("inputs=1413", "")).assert_outcomes(passed=1)
        result = project.run(source=source % ("inputs=1413", "inputs=1413"))
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E *(test_x[[]strict[]])"])

    @pytest.mark.parametrize(("options", "passes"), [("", True), ("(rel=0)", False), ("(ratchet=True)", False)])
    def test_default(self, project, options, passes):
        (project.path / "pytest.ini").write_text("[pytest]\ntolerance = input:5% output:10%\n")
        project.update(source=self.BASE % ("", options))
        result = project.run(source=self.BASE % ("inputs=1450, outputs=180, cost='0.02'", options))
        result.assert_outcomes(passed=int(passes), failed=int(not passes))

    @pytest.mark.parametrize("options", ["(rel=0.05)", "(ratchet=True)"])
    def test_update_writes_what_the_tolerance_lets_pass(self, project, options):
        project.update(source=self.BASE % ("", options))
        project.update(source=self.BASE % ("inputs=1400", options))
        assert project.entries()["test_x"]["gpt-4-turbo-2024-04-09"]["input_tokens"] == 1400

    def test_defaults_of_syrupy_keep_it(self, project):
        (project.path / "pytest.ini").write_text("[pytest]\ntolerance = input:5%\n")
        options = ".with_defaults(exclude=lambda prop, path: prop == 'cost_usd')"
        project.update(source=self.BASE % ("", options))
        assert "cost_usd" not in project.text()
        project.run(source=self.BASE % ("inputs=1413, cost='9'", options)).assert_outcomes(passed=1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("(rel='much')", "rel='much' is not a tolerance (a number, 0 or more; rel=0.05 is 5 %)"),
            ("(abs=-1)", "abs=-1 is not a tolerance (a number, 0 or more; rel=0.05 is 5 %)"),
        ],
    )
    def test_what_is_none(self, project, options, message):
        result = project.run(source=self.BASE % ("", options))
        result.stdout.fnmatch_lines([f"E *ConfigurationError: {message}"])


class TestOptionsOfSyrupy:
    def test_exclude_include_and_matcher(self, project):
        source = """
            from syrupy.filters import paths, props

            def test_x(usage, usage_snapshot):
                assert usage() == usage_snapshot(exclude=props("cost_usd"))
                assert usage() == usage_snapshot(include=lambda prop, path: not path or prop == "calls")
                assert usage(%s) == usage_snapshot(matcher=lambda data, path: path and path[-1][0] == "cost_usd" and "$" or data)
        """
        project.update(source=source % "")
        models = [usage["gpt-4-turbo-2024-04-09"] for usage in project.entries().values()]
        assert "cost_usd" not in models[0]
        assert models[1] == {"calls": 3}
        assert models[2]["cost_usd"] == "$"
        project.run(source=source % "cost='8'").assert_outcomes(passed=1)
        project.run(source=source % "cost='8', calls=4").assert_outcomes(failed=1)

    def test_unstable_model_names_get_one_of_their_own(self, project):
        (project.path / "pytest.ini").write_text("[pytest]\nmodels = gpt-4o-* = gpt-4o\n")
        source = "def test_x(usage, usage_snapshot):\n    assert usage(model='gpt-4o-%s') == usage_snapshot\n"
        project.update(source=source % "2024-05-13")
        assert list(project.entries()["test_x"]) == ["gpt-4o"]
        project.run(source=source % "2024-08-06").assert_outcomes(passed=1)

    def test_the_snapshot_may_stand_left(self, project):
        source = "def test_x(usage, usage_snapshot):\n    assert usage_snapshot == usage(%s)\n"
        project.update(source=source % "")
        project.run().assert_outcomes(passed=1)
        result = project.run(source=source % "calls=4")
        result.stdout.fnmatch_lines(["E *LLM usage differs from __snapshots__/test_agent.usage.yaml (test_x)"])

    def test_other_values_are_refused(self, project):
        result = project.run(
            "--snapshot-update", source="def test_x(usage_snapshot):\n    assert 5 == usage_snapshot\n"
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "E *TypeError: usage_snapshot compares llm_usage (or a section or view of it), not int: for other values *"
            ]
        )
        assert not project.snapshots.exists()

    def test_without_syrupy(self, project):
        result = project.run("-p", "no:syrupy", source=BIRD)
        result.stdout.fnmatch_lines(
            ["E *usage_snapshot needs syrupy's plugin, which is switched off: drop -p no:syrupy"]
        )


class TestMismatch:
    SOURCE = """
        import pytest
        from pytest_llm_usage.ledger import Call
        from pytest_llm_usage.usage import TokenUsage

        @pytest.mark.parametrize("language", ["en"])
        def test_bird(usage, usage_snapshot, language):
            seen = usage(%s)
            seen.calls = [
                Call(index=0, model="gpt-4-turbo-2024-04-09", where="agent.py:41 in plan", usage=TokenUsage.from_counts(900, 9)),
                Call(index=1, model="gpt-4-turbo-2024-04-09", where="agent.py:57 in act", usage=TokenUsage.from_counts(500, 99)),
            ]
            assert seen == usage_snapshot%s
    """

    def explained(self, project, now, options="", before=""):
        project.update(source=self.SOURCE % (before, options))
        result = project.run(source=self.SOURCE % (now, options))
        result.assert_outcomes(failed=1)
        lines = [line for line in result.stdout.lines if line.startswith("E ")]
        return dedent("\n".join(line.removeprefix("E").rstrip() for line in lines))

    def test_text(self, project):
        text = self.explained(project, "calls=4, inputs=2090, cost='0.02603'")
        assert text == dedent("""\
            assert LLM usage differs from __snapshots__/test_agent.usage.yaml (test_bird[en])
                gpt-4-turbo-2024-04-09      was      now        by
                  calls                       3        4        +1  +33 %
                  input_tokens            1,412    2,090      +678  +48 %
                  output_tokens             171      171
                  cost_usd              0.01925  0.02603  +0.00678  +35 %
              1 call more (agent.py:57 in act)
              Accept:  pytest "test_agent.py::test_bird[en]" --snapshot-update""")

    def test_another_model_stands_against_the_one_it_replaces(self, project):
        text = self.explained(project, "model='gpt-5', inputs=1500, cost='0.00216'")
        assert text == dedent("""\
            assert LLM usage differs from __snapshots__/test_agent.usage.yaml (test_bird[en])
                gpt-5                was      now        by
                  calls                3        3
                  input_tokens     1,412    1,500       +88   +6 %
                  output_tokens      171      171
                  cost_usd       0.01925  0.00216  -0.01709  -89 %
              Another model: gpt-5 instead of gpt-4-turbo-2024-04-09
              Accept:  pytest "test_agent.py::test_bird[en]" --snapshot-update""")

    @pytest.mark.parametrize(
        ("now", "cause"),
        [
            ("inputs=2090", "Prompts grew by 678 tokens (the largest: agent.py:41 in plan)"),
            ("outputs=172", "Answers grew by 1 token (the largest: agent.py:57 in act)"),
            ("outputs=100", "Answers shrank by 71 tokens"),
            ("calls=1", "2 calls fewer"),
            ("cost='0.02'", "Only the price changed, the tokens are the same"),
            ("cost=None", "It has no price any more; the tokens are the same"),
            ("model='gpt-5'", "Another model: gpt-5 instead of gpt-4-turbo-2024-04-09"),
            ("input_token_details={'cache_read': 9}", "The same tokens, split differently (cache_read)"),
        ],
    )
    def test_cause(self, project, now, cause):
        assert f"\n  {cause}\n" in self.explained(project, now)

    def test_only_the_prices_of_another_book(self, project):
        project.update(source=self.SOURCE % ("", ""))
        project.snapshots.write_text(re.sub(r"genai-prices [^)]*", "genai-prices 0.0.1", project.text()))
        result = project.run(source=self.SOURCE % ("cost='0.02'", ""))
        text = re.sub(r"\nE +", " ", result.stdout.str())
        books = f"genai-prices 0.0.1 then, genai-prices {version('genai-prices')} now"
        assert f"Only the price changed, the tokens are the same ({books}) Accept:" in text

    def test_says_what_was_allowed(self, project):
        text = self.explained(project, "inputs=2090", "(rel=0.05)")
        assert re.search(r"input_tokens +1,412 +2,090 +\+678 +\+48 % +over 5 %", text)

    def test_no_snapshot_yet(self, project):
        result = project.run(source=self.SOURCE % ("", ""))
        result.stdout.fnmatch_lines(
            [
                "E *No LLM usage is recorded in __snapshots__/test_agent.usage.yaml (test_bird[[]en[]])",
                "E *gpt-4-turbo-2024-04-09*now*",
                "E *input_tokens*1,412*",
                'E *Record:  pytest "test_agent.py::test_bird[[]en[]]" --snapshot-update',
            ]
        )

    def test_is_said_once(self, project):
        project.update(source=self.SOURCE % ("", ""))
        output = project.run("-vv", source=self.SOURCE % ("calls=4", "")).stdout.str()
        assert output.count("LLM usage differs") == 2  # the failure and pytest's summary line
        assert "[+ received]" not in output

    def test_the_command_survives_what_pytest_cuts(self, project):
        details = "{chr(97 + i): %d for i in range(20)}"
        text = self.explained(
            project, f"input_token_details={details % 2}", before=f"input_token_details={details % 1}"
        )
        assert "Full output truncated" in text
        assert 'Accept:  pytest "test_agent.py::test_bird[en]" --snapshot-update' in text

    def test_fits_into_eighty_columns(self, project):
        text = self.explained(project, "calls=4, inputs=209_000, cost='2.602999'", "(rel=0.05)")
        assert all(len(line) <= 76 for line in text.splitlines()[1:])

    def test_the_command_is_relative_to_where_pytest_runs(self, project):
        project.write(self.SOURCE % ("", ""), "tests/test_agent.py")
        (project.path / "pytest.ini").write_text("[pytest]\n")
        os.chdir(project.path / "tests")
        result = project.run()
        result.stdout.fnmatch_lines(['E *Record:  pytest "test_agent.py::test_bird[[]en[]]" --snapshot-update'])

    def test_other_comparisons_are_left_to_others(self, project):
        project.update(source="def test_x(usage, usage_snapshot):\n    assert usage() == usage_snapshot\n")
        result = project.run(source="def test_x(usage, usage_snapshot):\n    assert usage() != usage_snapshot\n")
        result.assert_outcomes(failed=1)
        assert "LLM usage differs" not in result.stdout.str()


def test_two_processes_never_lose_an_entry(tmp_path):
    """Writers that run at once, each with entries of its own."""
    import subprocess
    import sys

    code = dedent("""
        import sys
        from pathlib import Path
        from pytest_llm_usage.snapshot.file import edit_file
        for i in range(20):
            edit_file(Path(sys.argv[1]), lambda file: file.updated({f"test_{sys.argv[2]}[{i}]": {"m": {"calls": i}}}))
    """)
    path = tmp_path / "test_x.usage.yaml"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=Path(__file__).parent.parent)
        for name in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(UsageFile.load(path).entries) == 60


# -- beside `usage_snapshot`: other snapshots of `llm_usage` -----------------------------------------------------

OF_USAGE = """
    import pytest
    from fakes import FakeChatModel
    {imports}

    def test_bird(llm_usage{fixture}):
        FakeChatModel(usage=({sent}, 64)).invoke("fastest bird?")
        assert {left} == {right}
"""


@pytest.fixture
def usage_project(pytester, monkeypatch):
    """A project with the real plugin; `run(sent, *options, **source)` runs a test of so many input tokens."""
    of_no_worker(monkeypatch)

    def run(sent, *options, imports="", fixture=", snapshot", left="llm_usage", right="snapshot"):
        source = OF_USAGE.format(sent=sent, imports=imports, fixture=fixture, left=left, right=right)
        (pytester.path / "test_agent.py").write_text(dedent(source))
        return pytester.runpytest("-p", "syrupy", "-p", "no:cacheprovider", *options)

    return run


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ({}, "__snapshots__/test_agent.ambr"),
        ({"left": "llm_usage.to_dict()"}, "__snapshots__/test_agent.ambr"),
        (
            {
                "imports": "from syrupy.extensions.json import JSONSnapshotExtension",
                "left": "llm_usage.to_dict()",
                "right": "snapshot.use_extension(JSONSnapshotExtension)",
            },
            "__snapshots__/test_agent/test_bird.json",
        ),
        (
            {
                "imports": "from syrupy.extensions.json import JSONSnapshotExtension",
                "right": "snapshot.use_extension(JSONSnapshotExtension)",
            },
            "__snapshots__/test_agent/test_bird.json",
        ),
    ],
    ids=["amber", "amber of to_dict", "JSON of to_dict", "JSON"],
)
def test_syrupys_own_extensions_hold_usage(usage_project, pytester, words, file):
    updated = usage_project(812, "--snapshot-update", **words)
    updated.assert_outcomes(passed=1)
    assert "812" in (pytester.path / file).read_text()

    usage_project(812, **words).assert_outcomes(passed=1)
    usage_project(813, **words).assert_outcomes(failed=1)


BIRDS = """
    import os

    import pytest
    from fakes import FakeChatModel


    @pytest.fixture
    def nest():
        assert os.environ.get("BREAKS") != "set-up"


    def test_a(llm_usage, usage_snapshot, nest):
        assert os.environ.get("BREAKS") != "test"
        FakeChatModel().invoke("one")
        assert llm_usage == usage_snapshot
        assert os.environ.get("BREAKS") != "between"
        assert llm_usage == usage_snapshot


    @pytest.mark.parametrize("bird", ["hen", "owl"])
    def test_b(llm_usage, usage_snapshot, bird):
        assert llm_usage == usage_snapshot
"""


@pytest.mark.parametrize(
    ("breaks", "options"),
    [("set-up", []), ("between", []), ("test", ["-x"]), ("test", ["-n", "2"]), ("between", ["-n", "2", "-x"])],
)
def test_an_update_removes_nothing_of_a_test_that_failed_or_was_not_run(pytester, forked, monkeypatch, breaks, options):
    of_no_worker(monkeypatch)
    command = ("-p", "syrupy", "-p", "xdist", "-p", "no:cacheprovider", "-W", "ignore:syrupy", "--snapshot-update")
    pytester.makepyfile(test_agent=BIRDS)
    pytester.runpytest_subprocess(*command).assert_outcomes(passed=3)
    file = pytester.path / FILE
    text = file.read_text()
    monkeypatch.setenv("BREAKS", breaks)

    result = pytester.runpytest_subprocess(*command, *options)

    assert result.ret != 0
    assert file.read_text() == text
    if SYRUPY >= (6,):  # before, it says of a file without any used snapshot that it deleted it, whatever becomes of it
        assert "unused" not in result.stdout.str()

    monkeypatch.delenv("BREAKS")
    pytester.makepyfile(test_agent=BIRDS.replace('["hen", "owl"]', '["hen"]'))
    assert pytester.runpytest_subprocess(*command, *options).ret == 0
    kept = {"test_a", "test_a.1", "test_b[hen]"} | ({"test_b[owl]"} if "-n" in options and SYRUPY < (5, 5) else set())
    assert yaml.safe_load(file.read_text()).keys() == kept


def test_inline_snapshot_holds_usage_as_a_dict(usage_project, pytester):
    """In the source of the test itself, written there by `--inline-snapshot=create`."""
    pytest.importorskip("inline_snapshot", reason="inline-snapshot is not installed")
    options = ("-p", "inline_snapshot.pytest_plugin", "-p", "no:xdist", "-p", "no:cacheprovider")
    words = {"imports": "from inline_snapshot import snapshot", "fixture": "", "left": "llm_usage.to_dict()"}
    usage_project(812, *options, "--inline-snapshot=create", right="snapshot()", **words)

    file = pytester.path / "test_agent.py"
    assert re.search("""['"]input_tokens['"]: 812""", file.read_text())
    pytester.runpytest(*options).assert_outcomes(passed=1)
    file.write_text(file.read_text().replace("(812, 64)", "(813, 64)"))
    assert pytester.runpytest(*options).parseoutcomes()["failed"] == 1
