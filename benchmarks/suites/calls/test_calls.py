"""A suite of tests that call a fake model once each; the last of them are timed."""

import asyncio
import gc
import itertools
import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

SIDE = os.environ["BENCHMARK_SIDE"]
TESTS = int(os.environ["BENCHMARK_TESTS"])
TIMED = 50

seconds: dict[str, list[float]] = {"invoke": [], "ainvoke": []}

answer = AIMessage(
    "Yes.",
    usage_metadata={"input_tokens": 11, "output_tokens": 15, "total_tokens": 26},
    response_metadata={"model_name": "fake"},
)
model = GenericFakeChatModel(messages=itertools.repeat(answer))


@pytest.fixture(scope="module", autouse=True)
def clock():
    for _ in range(100):
        model.invoke("Warm up")
        asyncio.run(model.ainvoke("Warm up"))
    # A full collection takes as long as dozens of tests. Chance decides which side's tests one falls into, if it is due.
    gc.collect()
    started = time.process_time()
    yield
    results = {what: median(times) for what, times in seconds.items()}
    results["suite"] = time.process_time() - started
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(results))


#: What the timed call runs in; the plugin tracks every test and needs nothing around it.
tracking = nullcontext if SIDE == "llm_usage" else get_usage_metadata_callback


def time_invoke():
    started = time.perf_counter()
    with tracking():
        model.invoke("Are we there?")
    return time.perf_counter() - started


async def time_ainvoke():
    started = time.perf_counter()
    with tracking():
        await model.ainvoke("Are we there?")
    return time.perf_counter() - started


async def warm_ainvoke():
    # The first call in a loop starts its threads; only the second is a call like others.
    with tracking():
        await model.ainvoke("Warm up")
    return await time_ainvoke()


@pytest.mark.parametrize("number", range(TESTS + TIMED))
def test_call(number):
    if number < TESTS:
        time_invoke()
    else:
        seconds["invoke"].append(time_invoke())
        seconds["ainvoke"].append(asyncio.run(warm_ainvoke()))
