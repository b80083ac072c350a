"""Comparisons as the reports show them."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.compare import parse_gates
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.report.comparison import FailOn, RunComparison, comparison_lines
from pytest_llm_usage.report.data import run_data
from pytest_llm_usage.report.markdown import MARK, markdown
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.text import width
from pytest_llm_usage.usage import TokenUsage


def call(sent=100, received=10, cost="0.001", where="agent.py:7 in act", **fields):
    usage = None if sent is None else TokenUsage.from_counts(sent, received)
    fields = {"index": 0, "model": "gpt-4o-mini", "status": "ok" if usage else "no_usage"} | fields
    return Call(**fields, usage=usage, where=where, _quotes=Quote(cost_usd=None if cost is None else Decimal(cost)))


def run(**tests):
    records = {(name, ""): TestRecord(name, Ledger(tuple(calls))) for name, calls in tests.items()}
    return run_data(Run(tests=records), environment={"genai-prices": "0.2.3"})


def compared(base, head, gates="", **options):
    return RunComparison([base], [head], base_name="base.json", gates=parse_gates(gates), **options)


class TestInATerminal:
    def test_says_what_changed_and_why(self):
        base = run(same=[call()], grew=[call(1000)], fell=[call(2000)], gone=[call()])
        head = run(same=[call()], grew=[call(1000), call(500)], fell=[call(1500)], came=[call()])

        assert comparison_lines(compared(base, head, "tokens:+5%,calls:+0")) == [
            "compared with base.json: 2 changed, 1 new, 1 not in this run, 1 unchanged",
            "  test  before    now",
            "  grew   1,010  1,520  +50 %",
            "      over tokens:+5%",
            "      over calls:+0 (1 -> 2)",
            "      1 call more (agent.py:7 in act)",
            "  fell   2,010  1,510  -25 %  Prompts shrank by 500 tokens",
            "  came       -    110  new",
            "  gone     110      -  not in this run",
            "  all    3,240  3,250   +1 %  over calls:+0 (4 -> 5); $0.00400 -> $0.00500",
            "FAILED: 1 test over tokens:+5%; 1 test and all tests together over calls:+0",
        ]

    def test_of_the_same_run_is_a_line(self):
        one = run(a=[call()], b=[call()])
        assert comparison_lines(compared(one, one)) == ["compared with base.json: 2 unchanged"]
        assert comparison_lines(compared(one, one, "tokens:+5%")) == [
            "compared with base.json: 2 unchanged",
            "within tokens:+5%",
        ]

    def test_only_the_price_changed(self):
        lines = comparison_lines(compared(run(a=[call()]), run(a=[call(cost="0.002")])))
        assert lines[2:] == [
            "  a        110  110  Only the price changed, the tokens are the same",
            "  all      110  110  $0.00100 -> $0.00200",
        ]

    @pytest.mark.parametrize(
        ("then", "now", "said"),
        [
            ({}, {"model": "gpt-5-mini"}, "Another model: gpt-5-mini instead of gpt-4o-mini"),
            ({"reasoning": 3}, {"reasoning": 8}, "The same tokens, split differently (reasoning)"),
        ],
    )
    def test_what_changed_is_said_where_no_sum_did(self, then, now, said):
        def one(reasoning=0, **fields):
            usage = TokenUsage.from_counts(100, 10, output_token_details={"reasoning": reasoning})
            return run(a=[replace(call(**fields), usage=usage)])

        assert comparison_lines(compared(one(**then), one(**now))) == [
            "compared with base.json: 1 changed",
            "  test  before  now",
            f"  a        110  110  {said}",
            "  all      110  110  $0.00100",
        ]

    def test_a_cost_that_a_gate_tells_is_told_once(self):
        lines = comparison_lines(compared(run(a=[call()]), run(a=[call(cost="0.002")]), "cost:+5%"))
        assert [line for line in lines if "$" in line] == [
            "      over cost:+5% ($0.00100 -> $0.00200)",
            "  all      110  110  over cost:+5% ($0.00100 -> $0.00200)",
        ]
        assert compared(run(a=[call()]), run(a=[call(cost="0.002")]), "cost:+5%").total.notes == ()

    @pytest.mark.parametrize(
        ("now", "gates", "said"),
        [
            ({"cost": None}, "cost:+5%", "cost:+5% cannot be verified ($0.00100 -> unpriced)"),
            ({"sent": None}, "tokens:+5%", "tokens:+5% cannot be verified"),
            ({"sent": None}, "input:+5%", "input:+5% cannot be verified (100 -> ?)"),
            ({"cost": "0.0000001"}, "cost:+5%", "$0.00100 -> <$0.00001"),
        ],
    )
    def test_what_is_not_known_is_not_called_more(self, now, gates, said):
        comparison = compared(run(a=[call()]), run(a=[call(**now)]), gates)
        text = "\n".join(comparison_lines(comparison))
        assert said in text
        assert " over " not in text

    def test_a_renamed_test_keeps_its_history(self, tmp_path):
        (tmp_path / "x.yaml").write_text("recorded")
        base, head = (
            run_data(
                Run(tests={(name, ""): TestRecord(name, Ledger((call(sent),)), cassettes=("x.yaml",))}),
                environment={},
                root=tmp_path,
            )
            for name, sent in (("old", 100), ("new", 200))
        )
        assert comparison_lines(compared(base, head))[2:5] == [
            "  new      110  210  +91 %",
            "      renamed from old",
            "      Prompts grew by 100 tokens (the largest: agent.py:7 in act)",
        ]

    @pytest.mark.parametrize(
        ("before", "now", "said"),
        [
            ("passed", "failed", "Prompts shrank by 50 tokens; the test failed"),
            ("error", "passed", "Prompts shrank by 50 tokens; it had failed before"),
            (None, "xfailed", "Prompts shrank by 50 tokens"),
        ],
    )
    def test_what_failed_may_not_have_come_to_its_end(self, before, now, said):
        base, head = (
            run_data(Run(tests={("a", ""): TestRecord("a", Ledger((call(sent),)), outcome=outcome)}), environment={})
            for sent, outcome in ((100, before), (50, now))
        )
        assert comparison_lines(compared(base, head))[2].endswith(f"-45 %  {said}")

    def test_several_runs_a_side_are_compared_by_their_medians(self):
        base = [run(a=[call(n)], b=[call()]) for n in (1000, 1100, 1200)]
        head = [run(a=[call(n)], b=[call()]) for n in (1150, 1250, 1100)]
        comparison = RunComparison(base, head, base_name="3 runs", gates=parse_gates("tokens:+0"))
        assert comparison_lines(comparison)[0] == "compared with 3 runs: 1 changed within the noise, 1 unchanged"
        assert not any("a " in line for line in comparison_lines(comparison)[1:-2])

    def test_only_so_many_are_listed(self):
        base, head = run(**{f"t{i}": [call()] for i in range(30)}), run(**{f"t{i}": [call(200)] for i in range(30)})
        lines = comparison_lines(compared(base, head))
        assert lines[-2] == "  and 10 more"
        assert lines[-1].startswith("  all")

    @example({"0" * 23 + "\xad\u2e80": 0}, {"0": 999_990})
    @given(
        st.dictionaries(st.text(min_size=1, max_size=120), st.integers(0, 10**9), max_size=6),
        st.dictionaries(st.text(min_size=1, max_size=120), st.integers(0, 10**9), max_size=6),
    )
    def test_takes_no_more_columns_than_there_are(self, base, head):
        base, head = (run(**{k: [call(n)] for k, n in side.items()}) for side in (base, head))
        for columns in (60, 80, 120, 200):
            for line in comparison_lines(compared(base, head, "tokens:+5%,cost:+$0.01"), columns):
                assert width(line) <= columns or " " not in line.strip()

    def test_a_narrow_terminal_cuts_names_and_a_wide_one_none(self):
        names = [f"tests/agents/test_{kind}.py::TestAgent::test_answers_at_length[{kind}-0-of-many]" for kind in "ab"]
        base, head = run(**{n: [call()] for n in names}), run(**{n: [call(200)] for n in names})
        narrow, wide = (comparison_lines(compared(base, head), columns) for columns in (60, 200))

        assert narrow[2:4] != wide[2:4]
        assert len({line.split("  ")[1] for line in narrow[2:] if "test_" in line}) == 2
        for name in names:
            assert any(name in line for line in wide)
            assert not any(name in line for line in narrow)


class TestMarkdown:
    def test_is_the_comment_on_a_pull_request(self):
        base = run(**{"test_bird[en]": [call(1573)], "test_long": [call(4400)], "same": [call()]})
        head = run(**{"test_bird[en]": [call(2251)], "test_long": [call(4092)], "same": [call()]})

        text = markdown(head, compared(base, head, "tokens:+5%"))

        why = "over `tokens:+5%`; Prompts grew by 678 tokens (the largest: agent.py:7 in act)"
        assert text.startswith(MARK)
        assert text.splitlines()[1:10] == [
            "### LLM usage: 1 test and all tests together over `tokens:+5%`",
            "",
            "| test | before | after | Δ | |",
            "| --- | ---: | ---: | ---: | --- |",
            "| **all** | 6,103 | 6,473 | **+6 %** | over `tokens:+5%`; $0.00300 |",
            f"| `test_bird[en]` | 1,583 | 2,261 | **+43 %** | {why} |",
            "| `test_long` | 4,410 | 4,102 | −7 % | Prompts shrank by 308 tokens |",
            "| 1 more, unchanged | | | | |",
            "",
        ]

    def test_without_a_comparison_lists_models_and_tests(self):
        text = markdown(run(a=[call()], b=[call(900, cost=None, model="acme")]))

        assert text.splitlines()[3] == "**1,000 input and 20 output tokens, \\>=$0.00100** in 2 model calls in 2 tests"
        assert "| `acme` | 1 | 900 | - | 10 | - | unpriced |" in text
        assert "| **total** | 2 | 1,000 | - | 20 | - | >=0.00100 |" in text
        assert "and 1 unpriced call" in text
        assert "<summary>2 tests</summary>" in text

    def test_what_is_long_is_folded(self):
        names = [f"t{i:02}" for i in range(30)]
        base, head = run(**{n: [call()] for n in names}), run(**{n: [call(500)] for n in names})

        opened, _, folded = markdown(head, compared(base, head)).partition("<details>")

        assert opened.count("| `t") == 10
        assert "| 20 more, changed | | | | |" in opened
        assert "<summary>20 more changed</summary>" in folded
        assert all(f"`{name}`" in opened + folded for name in names)

    def test_exceeded_budgets_come_before_the_tables(self):
        spent = Spent("max_tokens", Decimal(50), Decimal(110), "@pytest.mark.llm_budget", "gpt-*")
        data = run_data(Run(tests={("a", ""): TestRecord("a", Ledger((call(),)), budget=(spent,))}), environment={})

        lines = markdown(data).splitlines()

        assert lines[5] == "**1 budget exceeded**"
        # Nobody of that name is mentioned.
        assert lines[9] == r"| `a` | 110 | max\_tokens 50 for gpt-\* (@<!-- -->pytest.mark.llm\_budget) |"

    def test_of_a_run_without_calls(self):
        assert markdown(run()) == f"{MARK}\n### LLM usage\n\nNo model was called.\n"

    @given(st.text(min_size=1, max_size=400))
    def test_no_name_breaks_the_table(self, name):
        head = run(**{name: [call(500, where=name)]})
        for comparison in (compared(run(**{name: [call()]}), head, "tokens:+5%"), None):
            table: list[int] = []
            for line in markdown(head, comparison).splitlines():
                cells = line.replace("\\|", "").count("|") - 1
                if line.startswith("|"):
                    table.append(cells)
                    assert cells == table[0]
                else:
                    table = []

    def test_fits_into_a_comment(self):
        names = [f"tests/{'x' * 200}.py::test[{i}-{'y' * 200}]" for i in range(400)]
        base, head = run(**{n: [call()] for n in names}), run(**{n: [call(500)] for n in names})
        assert len(markdown(head, compared(base, head, "tokens:+5%"))) < 65_536


class TestFailOn:
    def test_reads_gates_and_the_word(self):
        found = FailOn.parse("tokens:+5%, no-baseline ,calls:+0")
        assert [gate.text for gate in found.gates] == ["tokens:+5%", "calls:+0"]
        assert found.no_baseline
        assert not FailOn.parse("tokens:+5%").no_baseline

    def test_of_text_that_is_none(self):
        with pytest.raises(ConfigurationError, match=r"'no-base' is not a gate"):
            FailOn.parse("no-base")
