"""Tests that each call a fake model several times; see `benchmarks/large_run.py`."""

import itertools
import os

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

TESTS, CALLS = int(os.environ["BENCHMARK_TESTS"]), int(os.environ["BENCHMARK_CALLS"])

answer = AIMessage(
    "Yes.",
    usage_metadata={
        "input_tokens": 1_011,
        "output_tokens": 15,
        "total_tokens": 1_026,
        "input_token_details": {"cache_read": 1_000},
    },
    response_metadata={"model_name": "gpt-4o-mini-2024-07-18", "model_provider": "openai"},
)
model = GenericFakeChatModel(messages=itertools.repeat(answer))


@pytest.mark.parametrize("number", range(TESTS))
def test_call(number):  # noqa: ARG001 -- makes many of one
    for _ in range(CALLS):
        model.invoke("Are we there?")
