"""What all tests share: throw-away projects to run pytest in, and hypothesis's settings."""

import atexit
import gc
import importlib
import importlib.util
import os
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import corpus
import pytest
import warm
from hypothesis import settings

from pytest_llm_usage.credentials import recognised

# A run of `pytester` forgets what it imported. What is imported here is not imported again in each run.
for name in ("fakes", "pytest_llm_usage.langchain", *warm.OF_THE_PLUGIN):
    importlib.import_module(name)
# If httplib2 were imported again while a cassette is open, vcrpy's stub of it would be built on patched classes.
if importlib.util.find_spec("httplib2"):
    importlib.import_module("vcr.stubs.httplib2_stubs")

pytest_plugins = ["pytester"]

# Each client of each test loads the certificates that it trusts: hundreds, of which no test needs more than one.
# Workers and processes that tests start inherit the variable.
if "PYTEST_XDIST_WORKER" not in os.environ and importlib.util.find_spec("certifi"):
    handle, name = tempfile.mkstemp(suffix=".pem")
    certificates = Path(importlib.import_module("certifi").where()).read_text(encoding="utf-8")
    os.write(handle, (certificates.partition("END CERTIFICATE-----")[0] + "END CERTIFICATE-----\n").encode())
    os.close(handle)
    os.environ["SSL_CERT_FILE"] = name
    atexit.register(os.unlink, name)

settings.register_profile("suite", deadline=None, print_blob=True)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Freezes what was imported and collected, so that the garbage collector does not scan it hundreds of times."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


#: These files have the longest tests: they come first, so that no process is left with one of them at the end.
LONGEST = (
    "test_newcomer.py",
    "test_worked_changes.py",
    "test_types.py",
    "test_emulator.py",
    "test_examples.py",
    "test_other_suite.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_unconfigure():
    warm.SERVER.stop()


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped for want of the recordings, so that green without them does not look like green with them."""
    if not (corpus.ROOT / "index.jsonl").is_file():
        reasons = ("no recordings at", "got empty parameter set")
        skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
        count = sum(any(reason in text for reason in reasons) for text in skipped)
        terminalreporter.write_line(
            f"{count} tests were skipped for want of recordings: set LLM_USAGE_CORPUS to the folder that holds index.jsonl"
        )


@pytest.fixture(autouse=True)
def nothing_recognised(monkeypatch):
    """Forgets the credentials that earlier tests planted: the plugin remembers them for a run, and each test is one."""
    monkeypatch.setattr(recognised, "_remembered", OrderedDict())


#: The plugins that a project of `pytester` loads; others would only cost every process of every test its start.
PLUGINS = ("llm_usage", "xdist", "rerunfailures", "pytest_asyncio.plugin", "anyio.pytest_plugin")


@pytest.fixture
def pytester(pytester, monkeypatch):
    """pytest's own `pytester`, whose project can import the fakes in every process and has only its own settings."""
    # With CI, pytest repeats whole failure messages in its summary.
    of_ci = ("CI", "BUILD_NUMBER", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS")
    for name in [*os.environ]:
        if name.startswith("PYTEST_LLM_USAGE_") or name in of_ci:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # A file that a test writes twice within a second may be as long as before: Python would run the first one's
    # bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # pytest-asyncio warns if no scope is chosen, and warnings are errors here.
    settings = {"pythonpath": Path(__file__).parent, "asyncio_default_fixture_loop_scope": "function"}
    monkeypatch.setenv(
        "PYTEST_ADDOPTS",
        " ".join([*(f"-p {name}" for name in PLUGINS), *(f"-o {key}='{value}'" for key, value in settings.items())]),
    )
    # The workers of its xdist are forks of a process that has pytest imported.
    if importlib.util.find_spec("execnet"):
        warm.fork_workers(warm.SERVER.command, monkeypatch.setattr)
    return pytester


@pytest.fixture
def forked(pytester, monkeypatch):
    """Lets `pytester.runpytest_subprocess` fork a process that has imported the libraries. Not for tests of imports."""
    monkeypatch.setattr(pytester, "_getpytestargs", lambda: (*warm.SERVER.command(), "-mpytest"))


@pytest.fixture(params=[("-p", "no:xdist"), ("-n", "0"), ("-n", "2")], ids=["no-xdist", "n0", "n2"])
def plugin_args(request):
    """Runs a test three times: without xdist, with it in one process, and with two workers."""
    return request.param
