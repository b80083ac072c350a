"""The run as data: its form, what reads it back, and what is refused."""

import json
import random
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import ledgers

from pytest_llm_usage.errors import RunFileError
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.comparison import RunComparison
from pytest_llm_usage.report.data import FORMAT, calls_of, merged_data, read_run, rendered, run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.markdown import markdown
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.usage import TokenUsage

SCHEMA = json.loads((files("pytest_llm_usage.report") / "run.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

#: A run of tests and calls takes a while to think up.
few = settings(max_examples=25)

OUTCOMES = SCHEMA["$defs"]["test"]["properties"]["outcome"]["enum"]

MODELS = st.sampled_from(["gpt-4o-mini", "claude", "größe"])


@st.composite
def runs(draw):
    names = draw(st.lists(st.sampled_from(["a.py::one", "a.py::two[ä|`]", "b.py::three"]), unique=True))
    workers = draw(st.lists(st.sampled_from(["gw0", "gw1"]), min_size=1, max_size=2, unique=True))
    run = Run(shared=draw(ledgers(models=MODELS, max_size=2)))
    for name in names:
        for worker in workers:
            run.tests[name, worker] = TestRecord(
                name,
                draw(ledgers(models=MODELS, max_size=2)),
                draw(ledgers(models=MODELS, max_size=1)),
                outcome=draw(st.none() | st.sampled_from(OUTCOMES)),
            )
    return run


@st.composite
def shards(draw):
    shard = draw(st.none() | st.tuples(st.integers(1, 3), st.just(3)))
    commit = draw(st.sampled_from(["1" * 40, "2" * 40]))
    environment = {"pytest": "9.0", "commit": commit}
    return run_data(draw(runs()), environment=environment, exit_status=draw(st.integers(0, 5)), shard=shard)


class TestForm:
    def test_the_schema_itself_is_one(self):
        Draft202012Validator.check_schema(SCHEMA)
        assert SCHEMA["properties"]["format"]["const"] == FORMAT

    @few
    @given(shards())
    def test_fits_the_schema_and_is_strict_json(self, data):
        plain = json.loads(rendered(data), parse_constant=pytest.fail)

        assert plain == data
        VALIDATOR.validate(plain)

    @given(ledgers())
    def test_a_ledger_reads_back(self, ledger):
        run = Run(tests={("a.py::test", ""): TestRecord("a.py::test", ledger)})

        record = json.loads(rendered(run_data(run, environment={})))["tests"]["a.py::test"]

        again = Ledger.from_list(record["calls"])
        assert again == ledger
        assert [call.cost_usd for call in again.calls] == [call.cost_usd for call in ledger.calls]

    @few
    @given(runs(), st.randoms(use_true_random=False))
    def test_the_order_in_which_tests_finish_does_not_matter(self, run, shuffle: random.Random):
        items = list(run.tests.items())
        shuffle.shuffle(items)

        assert rendered(run_data(run, environment={})) == rendered(
            run_data(Run(tests=dict(items), shared=run.shared), environment={})
        )

    @few
    @given(runs())
    def test_totals_are_the_sum_of_all_calls(self, run):
        totals = run_data(run, environment={})["totals"]
        distinct = {(name, json.dumps(_plain(test), sort_keys=True)): test for (name, _), test in run.tests.items()}
        calls = [*run.shared.calls, *(c for t in distinct.values() for c in (*t.ledger.calls, *t.earlier.calls))]
        billed = [call for call in calls if call.is_billed]

        assert totals["tests"] == len({name for name, _ in run.tests})
        assert totals["calls"] == len(billed) == sum(model["calls"] for model in totals["usage"].values())
        if any(call.is_unknown for call in billed):
            assert totals["total_tokens"] is None
        else:
            assert totals["total_tokens"] == sum((call.usage or TokenUsage()).total_tokens for call in billed)
        costs = [call.cost_usd for call in billed if call.usage is not None or call.is_unknown]
        assert totals["cost_usd"] is None if None in costs else Decimal(totals["cost_usd"]) == sum(costs)

    def test_what_earlier_versions_did_not_write_may_be_missing(self, tmp_path):
        """The fields that format 1 gained after its first files were written."""
        run = Run(tests={("a.py::t", ""): TestRecord("a.py::t", outcome="passed")})
        data = run_data(run, environment={})
        assert data["tests"]["a.py::t"].pop("outcome") == "passed"
        (tmp_path / "run.json").write_text(rendered(data))

        VALIDATOR.validate(data)
        assert read_run(tmp_path / "run.json") == data

    def test_has_a_line_for_each_test(self):
        run = Run(tests={(f"a.py::t{i}", ""): TestRecord(f"a.py::t{i}") for i in range(3)})

        lines = rendered(run_data(run, environment={})).splitlines()

        assert sum(line.lstrip().startswith('"a.py::t') for line in lines) == 3

    def test_cassettes_have_a_digest_and_those_that_were_never_made_are_left_out(self, tmp_path):
        (tmp_path / "one.yaml").write_text("a")
        (tmp_path / "two.yaml.gz").write_text("a")
        run = Run(tests={("t", ""): TestRecord("t", cassettes=("two.yaml", "one.yaml", "never.yaml"))})

        cassettes = run_data(run, environment={}, root=tmp_path)["tests"]["t"]["cassettes"]

        assert list(cassettes) == ["one.yaml", "two.yaml"]
        assert cassettes["one.yaml"] == cassettes["two.yaml"]
        assert cassettes["one.yaml"].startswith("sha256:")


def _plain(test):
    return [test.ledger.to_list(), test.earlier.to_list()]


class TestMerge:
    @few
    @given(st.lists(shards(), max_size=4), st.randoms(use_true_random=False))
    def test_order_and_grouping_do_not_matter(self, several, shuffle: random.Random):
        together = rendered(merged_data(several)[0])
        shuffled = shuffle.sample(several, len(several))
        cut = shuffle.randint(0, len(several))
        parts = [merged_data(part)[0] for part in (shuffled[:cut], shuffled[cut:])]

        assert rendered(merged_data(shuffled)[0]) == together
        assert rendered(merged_data([json.loads(rendered(part)) for part in parts])[0]) == together
        VALIDATOR.validate(json.loads(together))

    @few
    @given(shards(), shards())
    def test_every_shared_call_is_kept(self, one, other):
        merged, _ = merged_data([one, other])

        assert len(merged["shared"]["calls"]) == len(one["shared"]["calls"]) + len(other["shared"]["calls"])
        assert [call["index"] for call in merged["shared"]["calls"]] == list(range(len(merged["shared"]["calls"])))

    def test_what_runs_disagree_on_is_told_of_all(self):
        runs = [run_data(Run(), environment={"python": version, "pytest": "9"}) for version in ("3.12", "3.11")]

        assert merged_data(runs)[0]["environment"] == {"pytest": "9", "python": ["3.11", "3.12"]}


class TestReading:
    @few
    @given(shards())
    def test_reads_what_was_written(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("run") / "run.json"
        path.write_text(rendered(data))

        assert read_run(path) == data
        assert len(calls_of(read_run(path))) == len(calls_of(data))

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "No such file or directory"),
            ("{", "not JSON ("),
            ("[" * 100_000, "not JSON ("),
            ("[]", "not a run of pytest-llm-usage; pytest --llm-usage-json=NEW-FILE.json writes one"),
            ('{"format": "1"}', "not a run of pytest-llm-usage; pytest --llm-usage-json=NEW-FILE.json writes one"),
            ('{"format": 1}', "not a run of format 1: environment is missing"),
            (
                '{"format": 2, "tests": {}}',
                "format 2 was written by a later pytest-llm-usage; this one reads format 1: pip install --upgrade pytest-llm-usage",
            ),
        ],
    )
    def test_of_what_is_no_run(self, tmp_path, content, reason):
        path = tmp_path / "run.json"
        if content is not None:
            path.write_text(content)

        with pytest.raises(RunFileError) as raised:
            read_run(path)

        assert str(raised.value).startswith(f"{path}: {reason}")
        assert "\n" not in str(raised.value)

    def test_of_counts_of_which_only_some_are_known(self, tmp_path):
        """All counts of a model are unknown with the first call that reports none."""
        run = Run(
            tests={("t", ""): TestRecord("t", Ledger((Call(index=0, model="m", usage=TokenUsage.from_counts(1, 2)),)))}
        )
        data = run_data(run, environment={})
        data["tests"]["t"]["usage"]["m"]["input_tokens"] = None
        (tmp_path / "run.json").write_text(rendered(data))

        with pytest.raises(RunFileError, match=r"tests > t > usage > m > (in|out)put_tokens: .* is not"):
            read_run(tmp_path / "run.json")

    def test_a_name_in_a_broken_run_ends_no_line(self, tmp_path):
        """Else a run of somebody else's would begin a line of a CI's log, which takes some for commands."""
        data = run_data(
            Run(shared=Ledger((Call(index=0, model="m", usage=TokenUsage.from_counts(1, 2)),))), environment={}
        )
        data["shared"]["calls"][0]["modifiers"] = {"speed\n::error::gone": None}
        (tmp_path / "run.json").write_text(rendered(data))

        with pytest.raises(RunFileError) as error:
            read_run(tmp_path / "run.json")
        assert str(error.value).endswith("shared > calls > 0 > modifiers > speed ::error::gone: null is not a string")

    @settings(max_examples=50)
    @given(shards(), st.data())
    def test_whatever_is_broken_in_a_run_is_one_line(self, tmp_path_factory, data, draw):
        """Any value of it replaced by any other: it is read, or refused, and what is read can be worked with."""
        plain = json.loads(rendered(data))
        paths = list(_paths(plain))
        path = draw.draw(st.sampled_from(paths))
        value = draw.draw(st.sampled_from([None, -1, 1.5, "x", [], {}, [[]], {"x": None}, True]))
        target = plain
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value
        file = tmp_path_factory.mktemp("run") / "run.json"
        file.write_text(json.dumps(plain))
        try:
            read = read_run(file)
        except RunFileError as error:
            assert "\n" not in str(error)
            return
        try:
            merged, _ = merged_data([read, data])
            for report in (markdown, page):
                report(read, RunComparison([read], [merged], base_name="base"))
        except RunFileError as error:
            assert "\n" not in str(error)


def _paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))
