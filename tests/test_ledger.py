"""`Call` and `Ledger`: frozen values with a plain form."""

import copy
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from strategies import calls, ledgers

import pytest_llm_usage
from pytest_llm_usage.billing import Billing, Part, PriceLine, Quote
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import (
    Call,
    Ledger,
    call_attribute,
    langchain_report,
    price_sources,
    summed_usage,
    usage_by_model,
)
from pytest_llm_usage.usage import TokenUsage


@given(calls())
def test_a_calls_plain_form_is_json_and_reads_back(call):
    again = Call.from_dict(json.loads(json.dumps(call.to_dict())))

    assert again == call
    assert again.cost_usd == call.cost_usd
    assert again.to_dict() == call.to_dict()


@given(calls())
def test_a_call_can_be_copied_and_sent_to_another_process_with_its_cost(call):
    for again in (pickle.loads(pickle.dumps(call)), copy.copy(call), copy.deepcopy(call)):
        assert again == call
        assert again.cost_usd == call.cost_usd
    assert pickle.loads(pickle.dumps(call.billing)) == call.billing


def test_the_input_by_part_is_sent_to_another_process_too():
    class Told:
        def quote(self, call):
            return Quote(cost_usd=Decimal("0.5"), source="a book that cannot be sent")

        def input_by_part(self, call):
            return InputByPart.from_dict({"tokens": {"user": 11}, "estimated_by": "characters"})

        def __reduce__(self):
            raise TypeError("cannot be sent")

    call = Call(index=0, usage=TokenUsage.from_counts(11, 15), _quotes=Told(), _inputs=Told())

    again = pickle.loads(pickle.dumps(call))

    assert again.cost_usd == Decimal("0.5")
    assert again.input_by_part == call.input_by_part


@given(calls())
def test_a_cost_is_zero_only_for_an_answer_of_the_cache_a_fake_or_a_price_of_zero(call):
    if call.status in ("cached", "fake"):
        assert call.cost_usd == 0
        assert not call.is_billed
    elif call.usage is None or call.is_partial:
        assert call.cost_usd is None


@given(calls())
def test_unknown_is_what_was_spent_and_not_told(call):
    assert call.is_unknown == (call.status in ("no_usage", "aborted"))
    assert call.is_unknown <= (call.usage is None or call.is_partial)


def test_a_part_of_a_usage_has_no_cost_whatever_its_price():
    call = Call(
        index=0,
        usage=TokenUsage.from_counts(120, 1),
        is_partial=True,
        status="aborted",
        _quotes=Quote(cost_usd=Decimal(1)),
    )

    assert (call.cost_usd, call.is_unknown) == (None, True)


def test_a_price_is_looked_up_once_and_only_when_it_is_read():
    asked = []

    class Prices:
        def quote(self, call):
            asked.append(call)
            return Quote(cost_usd=Decimal("0.02"))

    call = Call(index=0, usage=TokenUsage.from_counts(10, 5), _quotes=Prices())

    assert asked == []
    assert (call.cost_usd, call.cost_usd) == (Decimal("0.02"), Decimal("0.02"))
    assert asked == [call]


def test_a_call_of_an_older_file_reads_without_what_was_not_written_then():
    call = Call.from_dict({"index": 0, "model": "m", "source": "http", "status": "ok", "cost_usd": "0.5"})

    assert call.quote == Quote(cost_usd=Decimal("0.5"))
    assert (call.billing, call.live, call.quote.books) == (Billing(), False, ())


def test_a_call_of_an_older_file_keeps_what_it_was_billed_for():
    spent = {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3}
    plain = {
        "index": 0, "model": "m", "source": "http", "status": "ok", "usage": spent, "service_tier": "flex",
        "parts": [{"kind": "compaction", "model": "m", "usage": spent}], "billed_usage": spent,
        "billed_items": {"web_search": 2}, "priced_at": "inf", "stated_cost_usd": "0.5",
        "reported": spent, "reported_model": "m-1",
    }  # fmt: skip
    call, usage = Call.from_dict(plain), TokenUsage.from_counts(2, 1)

    assert call.billing == Billing(
        usage=usage,
        items={"web_search": 2},
        parts=(Part("compaction", "m", usage),),
        stated_cost_usd=Decimal("0.5"),
        service_tier="flex",
        priced_at=math.inf,
    )
    assert (call.service_tier, call.parts, langchain_report(call)) == ("flex", call.billing.parts, (spent, "m-1"))
    assert plain.items() <= call.to_dict().items()


def test_what_an_integration_reports_beside_numbers_does_not_cost_the_data():
    reported = {
        "input_tokens": 2,
        "cost": Decimal("0.10"),
        "at": date(2026, 11, 30),
        "share": math.nan,
        "ids": ("a", None),
    }
    call = Call(index=0, usage=TokenUsage.from_counts(2, 1), _reported=reported)

    assert json.loads(json.dumps(call.to_dict()))["reported"] == {
        "input_tokens": 2,
        "cost": "0.10",
        "at": "2026-11-30",
        "share": "nan",
        "ids": ["a", None],
    }


def test_what_a_later_version_adds_to_a_price_is_passed_over():
    plain = {"index": 0, "model": "m", "source": "http", "status": "ok", "price": {"source": "b, e", "later": 1}}

    assert Call.from_dict(plain).quote == Quote(source="b, e")


def test_the_books_of_a_price_without_their_entries():
    quote = Quote(
        source="genai-prices 0.2.3, openai/o3, since 2025-06-10; prices.toml:7; genai-prices 0.2.3, openai/o4"
    )

    assert quote.books == ("genai-prices 0.2.3", "prices.toml:7")


def test_what_is_billed_by_the_piece_adds_up():
    calls = [
        Call(index=i, usage=TokenUsage.from_counts(1, 1), billing=Billing(items={"web_search": 2})) for i in range(3)
    ]

    assert summed_usage(calls)["billed_items"] == {"web_search": 6}
    assert "billed_items" not in summed_usage([Call(index=0, usage=TokenUsage.from_counts(1, 1))])


USAGE = TokenUsage.from_counts(100, 20)


@pytest.mark.parametrize(
    ("call", "billed"),
    [
        (Call(index=0, usage=USAGE), 120),
        (Call(index=0, usage=USAGE, billing=Billing(usage=TokenUsage.from_counts(30, 20))), 50),
        (
            Call(index=0, usage=USAGE, billing=Billing(parts=(Part("compaction", "m", TokenUsage.from_counts(7, 3)),))),
            130,
        ),
        (Call(index=0, usage=USAGE, billing=Billing(parts=(Part("request", "m", USAGE, in_total=True),))), 120),
        (
            Call(
                index=0,
                usage=USAGE,
                billing=Billing(parts=(Part("advisor", "m", USAGE, Billing(usage=TokenUsage.from_counts(1, 1))),)),
            ),
            122,
        ),
        (Call(index=0, usage=USAGE, status="cached"), 0),
        (Call(index=0, status="error"), None),
    ],
    ids=["as-counted", "fewer-than-counted", "work-apart", "requests-of-a-batch", "fewer-apart", "cached", "unknown"],
)
def test_billed_tokens_are_those_that_are_paid_for(call, billed):
    assert call.billed_tokens == billed


def test_billed_tokens_of_a_ledger_are_unknown_where_those_of_a_call_are():
    calls = (Call(index=0, usage=USAGE), Call(index=1, status="error"), Call(index=2, usage=USAGE))

    assert Ledger(calls).billed_tokens == 240
    assert Ledger((*calls, Call(index=3, status="no_usage"))).billed_tokens is None


def test_what_is_billed_is_filled_from_another_source_where_one_tells_nothing():
    free = Billing(stated_cost_usd=Decimal(0), service_tier="flex")

    assert Billing(region="eu", priced_at=0.0).filled_from(free) == replace(free, region="eu", priced_at=0.0)
    assert free.filled_from(Billing(stated_cost_usd=Decimal(1), service_tier="batch")) == free


@pytest.mark.parametrize(
    ("status", "unknown"),
    [
        ("ok", False),
        ("no_usage", True),
        ("error", False),
        ("aborted", True),
        ("cached", False),
        ("fake", False),
    ],
)
def test_without_usage_tokens_may_have_been_spent_where_there_was_an_answer_or_it_broke_off(status, unknown):
    assert Call(index=0, status=status).is_unknown is unknown
    assert Call(index=0, status=status, usage=USAGE).is_unknown is False
    assert Call(index=0, status=status, usage=USAGE, is_partial=True).is_unknown is True


# -- what the input was made of, and what it cost ----------------------------------------------------------------


QUOTE = Quote(
    cost_usd=Decimal("0.00012"),
    lines=(
        PriceLine("input", 60, Decimal(1), Decimal("0.00006"), "m"),
        PriceLine("cache_read", 40, Decimal("0.5"), Decimal("0.00002"), "m"),
        PriceLine("output", 20, Decimal(2), Decimal("0.00004"), "m"),
    ),
    source="prices.toml:7",
)
SPLIT = InputByPart({"system": 60, "tools": 40}, {"search": 40}, "characters")
UNKNOWN_USAGE = "its usage is not known"


def test_the_plain_form_of_a_call_has_its_price_and_its_input_by_part_with_what_that_cost():
    call = Call(index=0, model="m", usage=USAGE, _quotes=QUOTE, _inputs=SPLIT)

    assert call.to_dict() == {
        "index": 0,
        "source": "langchain",
        "model": "m",
        "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
        "is_partial": False,
        "status": "ok",
        "streamed": False,
        "started_at": 0.0,
        "live": False,
        "phase": "call",
        "cost_usd": "0.00012",
        "price": {"source": "prices.toml:7"},
        "input_by_part": {
            "tokens": {"system": 60, "tools": 40},
            "tools_by_name": {"search": 40},
            "estimated_by": "characters",
            "cost_usd": "0.00008",
        },
    }

    again = Call.from_dict(json.loads(json.dumps(call.to_dict())))
    assert (again.quote, again.input_by_part, again.input_by_part_reason) == (QUOTE, SPLIT, "")
    assert (again.input_by_part.tools_by_name, again.input_by_part.estimated_by) == ({"search": 40}, "characters")
    assert again.input_by_part.cost_usd == Decimal("0.00008")
    assert again.to_dict() == call.to_dict()


def test_the_price_of_a_call_without_usage_is_not_written():
    call = Call(index=0, status="error", _quotes=Quote(reason="nobody sells m"))

    assert "price" not in call.to_dict()
    assert replace(call, usage=USAGE).to_dict()["price"] == {"reason": "nobody sells m"}


def test_the_input_is_split_once_and_only_where_it_is_read():
    asked = []

    class Requests:
        def input_by_part(self, call):
            asked.append(call)
            return SPLIT

    call = Call(index=0, usage=USAGE, _inputs=Requests())

    assert "input_by_part" not in call.to_dict()
    assert asked == []
    assert Ledger((call,)).to_list() == [call.to_dict()]
    assert (call.input_by_part, call.input_by_part_reason) == (SPLIT, "")
    # There are no lines of a price, so the input has no cost.
    assert call.to_dict(with_parts=True)["input_by_part"] == SPLIT.to_dict()
    assert Ledger((call,)).to_list(with_parts=True) == [call.to_dict(with_parts=True)]
    assert asked == [call]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call(index=0, usage=USAGE), "its request was not seen"),
        (Call(index=0, usage=USAGE, _inputs="its body is not JSON"), "its body is not JSON"),
        (Call(index=0, status="error", _inputs=SPLIT), UNKNOWN_USAGE),
        (Call(index=0, usage=USAGE, status="aborted", is_partial=True, _inputs=SPLIT), UNKNOWN_USAGE),
        (Call.from_dict({"index": 0, "usage": USAGE.to_dict()}), "the run was written without it"),
    ],
    ids=["no-request", "not-read", "no-usage", "broke-off", "not-written"],
)
def test_why_the_input_by_part_is_not_known(call, reason):
    assert (call.input_by_part, call.input_by_part_reason) == (None, reason)
    assert "input_by_part" not in call.to_dict(with_parts=True)


def test_why_the_cost_of_a_call_that_broke_off_is_not_known():
    assert Call(index=0, usage=USAGE, status="aborted", is_partial=True).quote.reason == UNKNOWN_USAGE


# -- sums --------------------------------------------------------------------------------------------------------


def priced(model="m", cost="0.5", *, source="prices.toml:7", **values):
    quote = Quote(cost_usd=None if cost is None else Decimal(cost), source=source)
    return Call(index=0, model=model, usage=values.pop("usage", USAGE), _quotes=quote, **values)


def sums(calls, sent, received, cost):
    tokens = {"input_tokens": sent, "output_tokens": received, "total_tokens": sent + received}
    return {"calls": calls, **tokens, "cost_usd": cost}


def test_by_whose_price_each_model_costs_what_it_costs():
    calls = [
        priced("m", source="genai-prices 1, a/m"),
        priced("n"),
        priced("m"),
        priced("m", source="genai-prices 1, a/m"),
        priced("o", source=""),
        priced("p", status="cached"),
    ]

    assert price_sources(calls) == {"m": "genai-prices 1, a/m; prices.toml:7", "n": "prices.toml:7"}
    assert price_sources(calls[:2], str.upper) == {"M": "genai-prices 1, a/m", "N": "prices.toml:7"}


def test_usage_by_model_is_sorted_and_leaves_answers_of_a_cache_out():
    found = usage_by_model([priced("b"), priced("a", "0.25"), priced("b"), priced("c", status="cached")])

    assert list(found.items()) == [("a", sums(1, 100, 20, "0.25")), ("b", sums(2, 200, 40, "1"))]


@pytest.mark.parametrize(
    ("calls", "summed"),
    [
        ([], sums(0, 0, 0, "0")),
        ([priced(), priced(status="cached"), priced(status="fake")], sums(1, 100, 20, "0.5")),
        # A request that failed has spent nothing, and needs no price.
        ([priced(), Call(index=1, status="error")], sums(2, 100, 20, "0.5")),
        ([priced(), priced(cost=None)], sums(2, 200, 40, None)),
    ],
    ids=["none", "cached", "failed", "unpriced"],
)
def test_a_sum_of_calls(calls, summed):
    assert summed_usage(calls) == summed


UNKNOWN_TOKENS = {"input_tokens": None, "output_tokens": None, "total_tokens": None}


def test_a_sum_over_unknown_tokens_is_not_known_and_says_how_many_calls_those_are():
    calls = [priced(), Call(index=1, status="no_usage"), Call(index=2, status="aborted")]

    assert summed_usage(calls) == {"calls": 3, "calls_without_usage": 2, **UNKNOWN_TOKENS, "cost_usd": None}


def test_a_cost_that_the_provider_states_is_summed_though_the_tokens_are_not_known():
    calls = [priced(), priced(usage=None, status="no_usage")]

    assert summed_usage(calls) == {"calls": 2, "calls_without_usage": 1, **UNKNOWN_TOKENS, "cost_usd": "1"}


NEW_FACT = """
import json, sys
from jsonschema import Draft202012Validator
from pytest_llm_usage import Billing, Call, Part, TokenUsage
from pytest_llm_usage.tracker.reconcile import completed, joined, wire_fields
from pytest_llm_usage.wire import WireCall

usage = TokenUsage.from_counts(2, 1)
wire = WireCall(provider="openai", flavour="openai-chat", usage=usage, response_id="r", billing=Billing(carbon_g=3))
later = WireCall(provider="openai", flavour="openai-chat", kind="retrieve", usage=usage, response_id="r", billing=Billing(carbon_g=4))
begun = WireCall(provider="openai", flavour="openai-chat", response_id="r")
for fields in (wire_fields(wire), joined({"status": "ok"}, wire), wire_fields(completed([begun, later])[0])):
    call = Call(index=0, **fields)
    data = json.loads(json.dumps(call.to_dict()))
    assert data["carbon_g"] == call.billing.carbon_g > 0
    assert Call.from_dict(data).billing == call.billing
    schema = Draft202012Validator({**json.load(open(sys.argv[1])), "$ref": "#/$defs/call", "required": []})
    schema.validate(data)
    assert not schema.is_valid(data | {"carbon_g": "x"})
"""


def test_a_new_fact_about_a_call_is_a_field_of_one_class_and_a_property_of_the_schema(tmp_path):
    package = tmp_path / "pytest_llm_usage"
    shutil.copytree(Path(pytest_llm_usage.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    module, schema = package / "billing.py", package / "report" / "run.schema.json"
    field, anchor = "    priced_at: float | None = None\n", '"seller": {'
    assert (module.read_text().count(field), schema.read_text().count(anchor)) == (1, 1)
    module.write_text(module.read_text().replace(field, f"{field}    carbon_g: int | None = None\n"))
    schema.write_text(schema.read_text().replace(anchor, f'"carbon_g": {{"type": "integer"}}, {anchor}'))

    ran = subprocess.run(
        [sys.executable, "-c", NEW_FACT, str(schema)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_call_without_a_price_book_is_unpriced_not_free():
    assert Call(index=0, usage=TokenUsage.from_counts(10, 5)).cost_usd is None


def test_what_langchain_reported_is_kept_to_the_letter():
    reported = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"flex": 3, "audio": 0},
    }
    call = Call(index=0, _reported=reported, _reported_model="gpt-4o")

    assert langchain_report(Call.from_dict(json.loads(json.dumps(call.to_dict())))) == (reported, "gpt-4o")


def test_a_cost_survives_without_rounding():
    cost = Decimal("0.000000012345678901234567890123456789")
    call = Call(index=0, usage=TokenUsage.from_counts(1, 0), _quotes=Quote(cost_usd=cost))

    assert Call.from_dict(call.to_dict()).cost_usd == cost


def test_calls_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Call(index=0).model = "another"


# -- ledgers -----------------------------------------------------------------------------------------------------


@given(ledgers(), ledgers(), ledgers())
def test_ledgers_add_up_in_order_and_are_numbered_anew(one, two, three):
    total = one + two + three

    assert [call.index for call in total.calls] == list(range(len(one.calls) + len(two.calls) + len(three.calls)))
    assert [call.model for call in total.calls] == [call.model for part in (one, two, three) for call in part.calls]
    assert total == one + (two + three) == sum([one, two, three]) == sum([one, two, three], Ledger())


@given(ledgers(), ledgers())
def test_adding_leaves_costs_as_they_are(one, two):
    assert [call.cost_usd for call in (one + two).calls] == [
        call.cost_usd for part in (one, two) for call in part.calls
    ]


@given(ledgers())
def test_a_ledgers_plain_form_is_json_and_reads_back(ledger):
    assert Ledger.from_list(json.loads(json.dumps(ledger.to_list()))) == ledger


def test_texts_that_the_calls_of_a_run_have_alike_are_in_memory_once():
    call = Call(
        index=0,
        model="model a",
        where="file b:1 in test_c",
        usage=TokenUsage.from_counts(5, 2, input_token_details={"detail d": 1}),
        _reported={"input_tokens": 5, "kind e": "text f"},
        _quotes=Quote(reason="reason g", source="source h", fix="fix i", notes=("note j",)),
    )
    written = json.dumps(Ledger((call,)).to_list())

    (one,), (other,) = (Ledger.from_list(json.loads(written)).calls for _ in range(2))

    for texts in zip(*map(_texts, (one, other)), strict=True):
        assert texts[0] is texts[1]


def _texts(call):
    reported, _ = langchain_report(call)
    quote = call.quote
    return [
        call.model, call.where, *call.usage.input_token_details, *reported, reported["kind e"],
        quote.reason, quote.source, quote.fix, *quote.notes,
    ]  # fmt: skip


def test_only_ledgers_are_added():
    with pytest.raises(TypeError):
        Ledger() + 1
    with pytest.raises(TypeError):
        1 + Ledger()


@pytest.mark.parametrize(
    ("path", "value"),
    [("model", "m"), ("billing.service_tier", "flex"), ("billing.items.values", None), ("is_billed", True)],
)
def test_what_calls_are_grouped_by_is_read_of_each(path, value):
    found = call_attribute(path)(Call(index=0, model="m", billing=Billing(service_tier="flex")))

    assert callable(found) if value is None else found == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("statuses", "by: a call has no 'statuses'; did you mean 'status'?"),
        ("bill.service_tier", "by: a call has no 'bill'; did you mean 'billing'?"),
        ("_quotes", "by: a call has no '_quotes'; did you mean 'quote'?"),
        ("xyz", "by: a call has no 'xyz'"),
    ],
)
def test_what_no_call_has_is_refused_at_the_users_own_line(path, message):
    with pytest.raises(ConfigurationError) as refused:
        call_attribute(path)

    assert str(refused.value) == message
    assert [Path(entry.path).name for entry in refused.traceback.filter(refused)] == [Path(__file__).name]
