"""What users get wrong: type checkers report each line that ends in `# wrong`, and no other one (see `test_types.py`)."""

from pytest_llm_usage import LLMUsage, UsageSnapshotAssertion
from pytest_llm_usage import LLMUsages  # wrong


def test_it(llm_usage: LLMUsage, usage_snapshot: UsageSnapshotAssertion) -> None:
    assert llm_usage.total_token < 5_000  # wrong
    assert llm_usage.cost < "0.02"  # wrong
    assert llm_usage.calls[0].usage.total_tokens < 5_000  # wrong
    assert llm_usage == usage_snapshot(rele=0.05)  # wrong
    llm_usage.calls[0].model = "gpt-4o"  # wrong
