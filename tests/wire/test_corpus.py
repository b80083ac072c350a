"""Every recording of the public corpus: what is read is what its index says, flavour by flavour."""

from collections import Counter
from decimal import Decimal
from email.utils import parsedate_to_datetime

import corpus
import pytest

from pytest_llm_usage import TokenUsage, wire

pytestmark = corpus.needs_corpus

#: Providers by LangChain's names where it has one; the others are called the same in both.
PROVIDERS = {
    "google-gemini": "google_genai",
    "google-vertex": "google_vertexai",
    "aws-bedrock": "amazon_bedrock",
    "aws-bedrock-mantle": "amazon_bedrock",
}


def provider_of(row):
    """The provider in LangChain's words; None where the index names a host that nobody is known to answer at."""
    name = row["provider"]
    return None if name == "local-openai-compatible" or "." in name else PROVIDERS.get(name, name)


def is_call(row):
    return row["call_kind"] != "count" and row["http_status"] < 300


def usage_of(row):
    return TokenUsage.from_langchain(row["usage"])[0] if row["usage"] is not None else None


CALLS = [pytest.param(row, id=corpus.row_id(row)) for row in corpus.rows() if is_call(row)]
OTHERS = [pytest.param(row, id=corpus.row_id(row)) for row in corpus.rows() if not is_call(row)]


@pytest.mark.parametrize("row", CALLS)
def test_a_recording_reads_as_its_index_says(row):
    call = wire.read(corpus.exchange(row))

    assert call.usage == usage_of(row)
    assert (call.flavour, call.kind, call.streamed) == (row["api_flavour"], row["call_kind"], row["streaming"])
    assert call.provider == provider_of(row)
    if row["model"] is not None:
        assert call.model == row["model"]
    if row["request_model"] is not None:
        assert call.requested_model == row["request_model"]
    if isinstance(tier := row["extra"].get("service_tier"), str):
        assert call.billing.service_tier == tier


def test_no_recording_with_usage_is_taken_for_one_that_breaks_off():
    stating = [row.values[0] for row in CALLS if row.values[0]["usage"] is not None]

    assert {wire.read(corpus.exchange(row)).status for row in stating} == {"ok"}


@pytest.mark.parametrize("row", OTHERS)
def test_what_is_not_billed_is_no_call(row):
    assert wire.read(corpus.exchange(row)) is None


@pytest.mark.parametrize("row", [row for row in CALLS if "iterations" in row.values[0]["extra"]])
def test_work_that_the_top_level_leaves_out_becomes_parts(row):
    expected = [
        (part["type"], part["model"], TokenUsage.from_langchain(part["usage"])[0])
        for part in row["extra"]["unreported_by_top_level"]
    ]

    parts = wire.read(corpus.exchange(row)).billing.parts

    assert [(part.kind, part.model, part.usage) for part in parts] == expected


@pytest.mark.parametrize("row", [row for row in CALLS if "cost-on-wire" in row.values[0]["features"]])
def test_a_cost_on_the_wire_is_stated_to_the_digit(row):
    stated = wire.read(corpus.exchange(row)).billing.stated_cost_usd
    usage = row["raw_usage"][-1]["usage"]

    if "cost_in_usd_ticks" in usage:
        # Zero ticks are what a reseller passes on, not a price.
        assert stated == (Decimal(usage["cost_in_usd_ticks"]) / 10**10 or None)
    else:
        cost = usage["cost"]
        own_key = str(usage["cost_details"]["upstream_inference_cost"] or 0) if usage.get("is_byok") else "0"
        assert stated == Decimal(str(cost["total_cost"] if isinstance(cost, dict) else cost)) + Decimal(own_key)


def test_no_cost_is_stated_where_the_wire_has_none():
    rows = [row.values[0] for row in CALLS if "cost-on-wire" not in row.values[0]["features"]]

    assert {wire.read(corpus.exchange(row)).billing.stated_cost_usd for row in rows} == {None}


def test_the_date_of_an_answer_is_that_of_its_header():
    dated = [row.values[0] for row in CALLS if str(row.values[0]["recorded"]).endswith("GMT")]

    assert [wire.read(corpus.exchange(row)).billing.priced_at for row in dated] == [
        parsedate_to_datetime(row["recorded"]).timestamp() for row in dated
    ]


def test_every_other_interaction_of_the_cassettes_is_no_call():
    indexed = {(row["file"], row["interaction_index"]) for row in corpus.rows()}
    calls = [
        (file, index, call)
        for file in {row["file"] for row in corpus.rows()}
        for index, exchange in enumerate(corpus.exchanges(file))
        if (file, index) not in indexed and (call := wire.read(exchange)) is not None
    ]

    # Polls of what was asked for elsewhere belong to that call.
    assert [call for *_, call in calls if call.kind == "call" or call.usage is not None] == []


def test_columnar_cassettes_are_read_like_their_converted_twins():
    files = sorted((corpus.ROOT / "langchain-columnar").glob("*.yaml.gz"))
    calls = [
        call
        for file in files
        for exchange in corpus.exchanges(str(file.relative_to(corpus.ROOT)))
        if (call := wire.read(exchange)) is not None
    ]

    assert len(files) == 15
    assert Counter(call.status for call in calls) == {"ok": len(calls)}
    assert {call.flavour for call in calls} == {
        "anthropic-messages",
        "bedrock-converse",
        "openai-chat",
        "openai-responses",
    }


def test_background_answers_share_the_response_id_of_the_call_that_asked_for_them():
    row = next(row for row in corpus.rows() if "background" in row["features"])
    calls = [wire.read(exchange) for exchange in corpus.exchanges(row["file"])]
    asked = [call for call in calls if call.kind == "call" and call.usage is None]

    for call in asked:
        assert call.status == "no_usage"
        assert call.note == "the response is queued: its usage comes when it is retrieved"
        polled = [poll for poll in calls if poll.retrieved and poll.response_id == call.response_id]
        assert [poll.usage is not None for poll in polled][-1]


def test_model_calls_are_told_by_their_requests_alone():
    told = {
        corpus.row_id(row): wire.is_model_call(
            exchange.method, exchange.url, exchange.request_body, exchange.request_headers
        )
        for row in corpus.rows()
        if "REDACTED" not in (exchange := corpus.exchange(row)).url and row["call_kind"] != "batch-results"
    }
    counted = {corpus.row_id(row) for row in corpus.rows() if row["call_kind"] == "count"}
    # Its path is that of another API: only the answer tells.
    by_answer = {corpus.row_id(row) for row in corpus.rows() if row["provider"] == "writer"}

    assert {row_id for row_id, is_call in told.items() if not is_call} == counted | by_answer


@pytest.mark.parametrize("flavour", sorted({row["api_flavour"] for row in corpus.rows()} - {"count-tokens"}))
def test_a_flavour_adds_up_to_its_index(flavour):
    rows = [row for row in corpus.rows() if row["api_flavour"] == flavour and is_call(row)]
    known = [row for row in rows if row["usage"] is not None]

    calls = [call for row in rows if (call := wire.read(corpus.exchange(row))) is not None]

    assert sum((call.usage for call in calls if call.usage), TokenUsage()) == sum(map(usage_of, known), TokenUsage())
    assert sum(call.usage is None for call in calls) == len(rows) - len(known)
