"""Exports, read back as the tools read them.

OpenMetrics by prometheus-client's parser. The other two by hand, after what their makers publish:

- github-action-benchmark, `customSmallerIsBetter`: an array of objects with the texts `name` and `unit` and the number
  `value`; `range` and `extra` are optional texts.
  https://github.com/benchmark-action/github-action-benchmark#custom-benchmarks
- Bencher's metric format: benchmark → measure → `value`, with the optional numbers `lower_value` and `upper_value`; the name of a
  benchmark has at most 1,024 bytes of UTF-8, that of a measure at most 64, and text is Unicode without lone surrogates.
  https://bencher.dev/docs/reference/bencher-metric-format
"""

import csv
import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.data import run_data
from pytest_llm_usage.report.export import export
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.usage import TokenUsage

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
COSTS = st.none() | st.decimals(0, 1_000, places=12)
TESTS = st.dictionaries(NAMES, st.tuples(st.integers(0, 10**9), COSTS), min_size=1, max_size=5)


def run(tests):
    """A run of tests with one call each: name → tokens and cost."""
    records = {}
    for name, (sent, cost) in tests.items():
        call = Call(index=0, model="gpt-4o", usage=TokenUsage.from_counts(sent, 1), _quotes=Quote(cost_usd=cost))
        records[name, ""] = TestRecord(name, Ledger((call,)))
    return run_data(Run(tests=records), environment={})


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


@given(TESTS)
def test_openmetrics_as_prometheus_reads_it(tests):
    families = {family.name: family for family in text_string_to_metric_families(export("openmetrics", [run(tests)]))}

    assert all(family.type == "gauge" for family in families.values())
    tokens = {each.labels["test"]: each.value for each in families["llm_usage_test_total_tokens"].samples}
    assert tokens == {name: sent + 1 for name, (sent, _) in tests.items()}
    (whole,) = families["llm_usage_total_tokens"].samples
    assert (whole.labels, whole.value) == ({}, sum(tokens.values()))
    priced = {name: cost for name, (_, cost) in tests.items() if cost is not None}
    costs = families["llm_usage_test_cost_usd"].samples if priced else []
    assert {each.labels["test"]: each.value for each in costs} == {name: float(cost) for name, cost in priced.items()}
    assert ("llm_usage_cost_usd" in families) == (len(priced) == len(tests))


@given(TESTS, TESTS)
def test_what_github_action_benchmark_reads(first, second):
    rows = json.loads(export("github-action-benchmark", [run(first), run(second)]))

    assert isinstance(rows, list)
    for row in rows:
        assert {"name", "unit", "value"} <= row.keys() <= {"name", "unit", "value", "range", "extra"}
        assert all(isinstance(row[name], str) for name in row.keys() - {"value"})
        assert row["name"]
        assert row["unit"] in ("tokens", "calls", "USD")
        assert is_number(row["value"])
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    assert {f"{name}: total_tokens" for name in (*first, *second)} <= set(names)


@given(TESTS, TESTS)
def test_what_bencher_reads(first, second):
    benchmarks = json.loads(export("bencher", [run(first), run(second)]))

    assert set(benchmarks) >= {*first, *second, "all tests"}
    for name, measures in benchmarks.items():
        assert 0 < len(name.encode()) <= 1_024
        for measure, metric in measures.items():
            assert 0 < len(measure) <= 64
            assert {"value"} <= metric.keys() <= {"value", "lower_value", "upper_value"}
            assert all(map(is_number, metric.values()))
            if "lower_value" in metric:
                assert metric["lower_value"] <= metric["value"] <= metric["upper_value"]


@pytest.mark.parametrize("cost", [Decimal("0.00000002"), Decimal("1E-7"), Decimal("123456789.000000001")])
def test_amounts_are_written_without_an_exponent(cost):
    text = export("openmetrics", [run({"test_a": (1, cost)})])

    (line,) = [line for line in text.splitlines() if line.startswith("llm_usage_cost_usd ")]
    assert line == f"llm_usage_cost_usd {cost:f}"


@pytest.mark.parametrize("letter", ["x", "é", "鳥", "🦜"])
def test_a_name_longer_than_bencher_takes_is_cut_and_stays_its_own(letter):
    names = [f"test_{letter * 2_000}[{n}]" for n in range(2)]

    benchmarks = json.loads(export("bencher", [run(dict.fromkeys(names, (1, None)))]))

    sizes = [len(name.encode()) for name in benchmarks if name != "all tests"]
    assert all(1_000 < size <= 1_024 for size in sizes)
    assert len(sizes) == 2
    assert {name[-3:] for name in benchmarks} == {"[0]", "[1]", "sts"}


@pytest.mark.parametrize(
    ("name", "tests_in"),
    [
        ("github-action-benchmark", lambda text: {row["name"].split(": ")[0] for row in json.loads(text)}),
        ("bencher", lambda text: set(json.loads(text))),
        ("openmetrics", lambda text: set(re.findall('test="(.*)"', text.replace(r"\\", "\\")))),
        ("csv", lambda text: {row["test"] for row in csv.DictReader(text.splitlines())}),
    ],
)
def test_the_name_of_a_file_that_is_not_utf_8_costs_no_export(name, tests_in):
    names = [f"a{byte}.py::test_a" for byte in ("\udcff", "\udcfe")]

    text = export(name, [run(dict.fromkeys(names, (1, None)))])

    assert tests_in(text.encode().decode()) >= {r"a\udcff.py::test_a", r"a\udcfe.py::test_a"}
