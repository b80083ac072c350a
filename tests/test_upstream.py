"""Internals of other packages: a release that moved one of them is one clear error."""

import platform
import sys
from importlib import metadata
from types import ModuleType

import pytest
import vcr

from pytest_llm_usage import upstream
from pytest_llm_usage.errors import UpstreamMovedError
from pytest_llm_usage.upstream import Internals


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("a_library")
    module.Thing = type("Thing", (), {"_method": lambda self, one, two=None: None})
    monkeypatch.setitem(sys.modules, "a_library", module)
    monkeypatch.setattr(metadata, "version", lambda name: {"a-library": "3.0"}[name])
    return module


def internals(**names):
    return Internals(distribution="a-library", read_in="2.1", reason="test", names=names)


@pytest.mark.parametrize("parameters", [(), ("self", "one"), ("self", "one", "two")])
def test_all_there(library, parameters):
    internals(**{"a_library:Thing._method": parameters}).check()


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("a_library:Thing._gone", (), "a_library.Thing._gone is gone"),
        ("a_library.part:Thing", (), "a_library.part.Thing is gone"),
        ("a_library:Thing._method", ("self",), "a_library.Thing._method no longer takes (self)"),
        ("a_library:Thing._method", ("self", "1", "2", "3"), "a_library.Thing._method no longer takes (self, 1, 2, 3)"),
    ],
)
def test_what_moved_is_said_with_the_release_that_works(library, name, parameters, problem):
    with pytest.raises(UpstreamMovedError) as error:
        internals(**{name: parameters}).check()
    assert str(error.value).splitlines() == [
        f"a-library 3.0: {problem}. pytest-llm-usage needs it to test (as in a-library 2.1).",
        "Install that release, or a newer pytest-llm-usage:  pip install 'a-library==2.1'",
    ]


def test_pythons_own_names_are_told_with_pythons_release(monkeypatch):
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.1")
    with pytest.raises(UpstreamMovedError) as error:
        Internals(distribution="Python", read_in="3.13", reason="test", names={"socket:_gone": ()}).check()
    assert str(error.value).splitlines() == [
        "Python 3.99.1: socket._gone is gone. pytest-llm-usage needs it to test (as in Python 3.13).",
        "Use Python 3.13, or a newer pytest-llm-usage.",
    ]


def test_vcrpy_s_internals_are_checked_when_a_cassette_is_opened(pytester, monkeypatch):
    pytester.makeconftest("import vcr.cassette; del vcr.cassette.Cassette._load")
    pytester.makepyfile("import pytest\n@pytest.mark.vcr\ndef test(llm_usage): pass")
    result = pytester.runpytest_subprocess("-p", "pytest_recording.plugin")
    result.stdout.fnmatch_lines([f"*vcrpy {vcr.__version__}: vcr.cassette.Cassette._load is gone. *"])
    assert upstream.__name__ not in result.stderr.str()


@pytest.mark.parametrize(
    ("moved", "test", "message"),
    [
        (
            "import concurrent.futures.thread as t; del t._threads_queues",
            "def test(llm_usage): pass",
            "*Python *: concurrent.futures.thread._threads_queues is gone. *threads of executors*",
        ),
        (
            """
            import langchain_core.language_models
            import pytest_llm_usage.langchain.frames
            del langchain_core.language_models.BaseChatModel.agenerate
            pytest_llm_usage.langchain.frames._starting_model = lambda: None
            """,
            """
            from fakes import FakeChatModel
            from langchain_core.caches import InMemoryCache
            def test(llm_usage): FakeChatModel(cache=InMemoryCache()).invoke("hi")
            """,
            "*langchain-core *: langchain_core.language_models.BaseChatModel.agenerate is gone. *",
        ),
        (
            """
            def pytest_collection_finish(session):
                syrupy = session.config._syrupy
                del syrupy.ignore_file_extensions, type(syrupy).ignore_file_extensions
            """,
            "def test(usage_snapshot, llm_usage): usage_snapshot.assert_match(llm_usage)",
            "*usage_snapshot does not work with syrupy *, which has no SnapshotSession.ignore_file_extensions*",
        ),
    ],
    ids=["concurrent.futures", "langchain-core", "syrupy"],
)
def test_a_release_that_moved_a_name_is_one_clear_error(pytester, moved, test, message):
    """Told where the name is needed, with the release that has it."""
    pytester.makeconftest(moved)
    pytester.makepyfile(test)
    result = pytester.runpytest_subprocess("-p", "syrupy", "--max-llm-calls=1")
    result.stdout.fnmatch_lines([message])


def test_a_run_that_no_model_starts_is_limited_and_told_of_once(pytester):
    """No frame says whether it is looked up in a cache, so it counts as one that is sent."""
    pytester.makepyfile("""
        from langchain_core.callbacks import CallbackManager

        def test_it():
            for _ in range(2):
                CallbackManager.configure().on_chat_model_start({}, [[]])
    """)
    result = pytester.runpytest_subprocess("--max-llm-calls=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*budget exceeded*"])
    (line,) = [line for line in result.stdout.lines if "internal error in" in line]
    assert "internal error in LangChain's cache: UpstreamMovedError: langchain-core " in line
    assert "langchain_core.language_models.BaseLanguageModel starts runs in no frame of its own. " in line
    assert "  and in " not in result.stdout.str()
