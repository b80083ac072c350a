"""Times the tests from outside: set-up, call, tear-down and every plugin's hooks around them."""

import gc
import json
import os
import time
from pathlib import Path

#: Tests that come first and are not counted: they import the clients.
WARM_UP = 5

starts: list[float] = []


def pytest_runtest_logstart():
    if len(starts) == WARM_UP:
        # A full collection takes as long as ten tests. Chance decides which side's tests one falls into, if it is due.
        gc.collect()
    starts.append(time.process_time())


def pytest_sessionfinish(session):
    if session.testsfailed:
        return
    seconds = time.process_time() - starts[WARM_UP]
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps({"tests": seconds}))


def pytest_generate_tests(metafunc):
    metafunc.fixturenames.append("number")
    metafunc.parametrize("number", range(WARM_UP + int(os.environ["BENCHMARK_TESTS"])))
