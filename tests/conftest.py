"""What all tests share: throw-away projects to run pytest in, and how hypothesis looks for examples."""

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

# A run of `pytester` forgets what it imported: what is loaded once here is not loaded again in every one of them.
for name in ("fakes", "pytest_llm_usage.langchain", *warm.OF_THE_PLUGIN):
    importlib.import_module(name)
# Where it is loaded again while a cassette is open, vcrpy's stub of it is built on what is patched.
if importlib.util.find_spec("httplib2"):
    importlib.import_module("vcr.stubs.httplib2_stubs")

pytest_plugins = ["pytester"]

# Each client of each test loads the certificates that it trusts, of which there are hundreds; no test has a need of more than one.
# Workers and what tests start inherit the name.
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
    """What is imported and collected stays: the garbage collector, which would walk it hundreds of times, leaves it alone."""
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
    """What one test planted as a credential is none in the next: a run of users' tests remembers, and each of ours is such a run."""
    monkeypatch.setattr(recognised, "_remembered", OrderedDict())


#: The plugins that a project of `pytester` loads; others would only cost every process of every test its start.
PLUGINS = ("llm_usage", "xdist", "rerunfailures", "pytest_asyncio.plugin", "anyio.pytest_plugin")


@pytest.fixture
def pytester(pytester, monkeypatch):
    """pytest's own, in a project that can import the fakes in every process, and whose settings are its own."""
    # With CI, pytest repeats whole failure messages in its summary.
    of_ci = ("CI", "BUILD_NUMBER", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS")
    for name in [*os.environ]:
        if name.startswith("PYTEST_LLM_USAGE_") or name in of_ci:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # A file that a test writes twice within a second may be as long as before: Python would run what it compiled first.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # pytest-asyncio warns where nobody chooses a scope, and warnings are errors here.
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
    """Lets `pytester.runpytest_subprocess` fork a process that has the libraries imported: not where a test is of their import."""
    monkeypatch.setattr(pytester, "_getpytestargs", lambda: (*warm.SERVER.command(), "-mpytest"))


@pytest.fixture(params=[("-p", "no:xdist"), ("-n", "0"), ("-n", "2")], ids=["no-xdist", "n0", "n2"])
def plugin_args(request):
    """Runs a test three times: without xdist, with it in one process, and with two workers."""
    return request.param
