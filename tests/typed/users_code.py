"""What users write, with all its types: mypy and pyright, both strict, find nothing in it (see `test_types.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, assert_type

import pytest

from pytest_llm_usage import (
    Billing,
    BudgetExceededError,
    Call,
    Discrepancy,
    InputByPart,
    LLMUsage,
    LLMUsageWarning,
    PriceUnknownError,
    Quote,
    TokenUsage,
    UsageSnapshotAssertion,
    UsageUnknownError,
)

pytestmark = pytest.mark.llm_budget(max_tokens=5_000, max_cost="0.02", max_calls=4, model="gpt-4o*")


@pytest.fixture(scope="session")
def llm_usage_prices() -> Mapping[str, Any]:
    return {"models": {"my-model": {"input": 0.5, "output": 1.5}}}


@pytest.fixture(scope="session")
def llm_usage_redact() -> Sequence[str]:
    return ["field:customer_id"]


@pytest.fixture(scope="session")
def index(llm_cassette: Callable[..., AbstractContextManager[None]]) -> int:
    with llm_cassette("index", record="none", ignore_body=["metadata.id"]):
        return 1


def test_counts(llm_usage: LLMUsage) -> None:
    assert_type(llm_usage.input_tokens, int)
    assert_type(llm_usage.total_tokens, int)
    assert_type(llm_usage.billed_tokens, int)
    assert_type(llm_usage.cost, Decimal)
    assert_type(llm_usage.input_token_details, Mapping[str, int])
    assert_type(llm_usage.input_by_part, InputByPart)
    assert_type(llm_usage["gpt-4o"].output_tokens, int)
    assert_type(llm_usage.by_node, Mapping[str, LLMUsage])
    assert_type(llm_usage.by(lambda call: call.streamed), Mapping[Any, LLMUsage])
    assert_type(llm_usage.discrepancies, tuple[Discrepancy, ...])
    assert llm_usage.cost < Decimal("0.02")
    llm_usage.assert_within(max_tokens=5_000, max_cost="0.02")


def test_calls(llm_usage: LLMUsage) -> None:
    for call in llm_usage.calls:
        assert_type(call, Call)
        assert_type(call.usage, TokenUsage | None)
        assert_type(call.cost_usd, Decimal | None)
        assert_type(call.billing, Billing)
        assert_type(call.quote, Quote)
        assert_type(call.where, str | None)
        assert_type(call.live, bool)
        if call.usage is not None:
            assert_type(call.usage.output_tokens, int)


@pytest.mark.llm_cassette("shared", match_on=["method", "path"], ignore_body=["metadata.id"])
def test_sections(llm_usage: LLMUsage) -> None:
    with llm_usage.section("retrieval") as part:
        assert_type(part, LLMUsage)
    assert part.calls == ()


@pytest.mark.filterwarnings("error::pytest_llm_usage.LLMUsageWarning")
def test_snapshots(llm_usage: LLMUsage, usage_snapshot: UsageSnapshotAssertion) -> None:
    assert llm_usage == usage_snapshot
    assert llm_usage == usage_snapshot(rel=0.05)
    assert llm_usage == usage_snapshot(ratchet=True, name="again")
    assert_type(usage_snapshot(abs={"output": 20}), UsageSnapshotAssertion)


def test_errors(llm_usage: LLMUsage) -> None:
    with pytest.raises(UsageUnknownError):
        _ = llm_usage.total_tokens
    with pytest.raises(PriceUnknownError):
        _ = llm_usage.cost
    with pytest.raises(BudgetExceededError), pytest.warns(LLMUsageWarning):
        llm_usage.assert_within(max_calls=0)
