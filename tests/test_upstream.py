"""Internals of other packages: a release that moved one of them is one clear error."""

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


def test_vcrpy_s_internals_are_checked_when_a_cassette_is_opened(pytester, monkeypatch):
    pytester.makeconftest("import vcr.cassette; del vcr.cassette.Cassette._load")
    pytester.makepyfile("import pytest\n@pytest.mark.vcr\ndef test(llm_usage): pass")
    result = pytester.runpytest_subprocess("-p", "pytest_recording.plugin")
    result.stdout.fnmatch_lines([f"*vcrpy {vcr.__version__}: vcr.cassette.Cassette._load is gone. *"])
    assert upstream.__name__ not in result.stderr.str()
