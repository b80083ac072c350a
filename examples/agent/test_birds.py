from decimal import Decimal

import pytest
from birds import ask

QUESTION = "What's a hummingbird's scientific name and what's the fastest bird species?"


@pytest.mark.llm_budget(max_calls=3)
def test_birds(llm_usage, usage_snapshot):
    answer = ask(QUESTION)

    assert "Trochilidae" in answer
    assert "peregrine falcon" in answer
    assert llm_usage.input_tokens == 1412
    assert llm_usage.output_tokens == 171
    assert llm_usage.total_tokens == 1583
    assert llm_usage.cost == Decimal("0.01925")
    assert all(call.streamed for call in llm_usage.calls)
    assert llm_usage == usage_snapshot
