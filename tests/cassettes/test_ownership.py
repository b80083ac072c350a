"""Which cassettes belong to which tests, where only a part of the tests is known."""

import pytest

from pytest_llm_usage.cassettes.ownership import Ownership, OwningTest, explain_orphans


@pytest.fixture
def found(tmp_path):
    """A module of two tests that pytest found, and cassettes of three; gives what is known once some were collected."""
    module, folder = tmp_path / "test_a.py", tmp_path / "cassettes" / "test_a"
    folder.mkdir(parents=True)
    module.touch()
    for name in ("one", "two", "gone"):
        (folder / f"{name}.yaml").touch()

    def found(*collected, folder=folder, **more):
        ownership = Ownership(["test_*.py"])
        ownership.expect(module, "test_a.py", ["test_a.py::one", "test_a.py::two"])
        for name in collected:
            cassettes = (folder / f"{name}.yaml",)
            ownership.add(
                OwningTest(name=f"test_a.py::{name}", module=module, folder=folder, cassettes=cassettes, **more)
            )
        return ownership

    return found


def names(ownership):
    return [path.name for orphans in ownership.orphans() for path in orphans.paths]


def test_what_no_test_owns(found):
    assert names(found("one", "two")) == ["gone.yaml"]


def test_nothing_is_said_of_a_module_of_which_a_test_is_not_known(found):
    assert names(found("one")) == []
    assert names(found()) == []


def test_nothing_is_said_of_a_module_that_was_not_looked_into(found):
    ownership = found("one", "two")
    ownership.expect(next(iter(ownership._tests)), "test_a.py", ["test_a.py::TestGroup"])
    assert names(ownership) == []


def test_nothing_is_said_of_folders_that_modules_of_other_places_may_use(found, tmp_path):
    elsewhere = tmp_path.parent / f"{tmp_path.name}-recordings" / "test_a"
    elsewhere.mkdir(parents=True)
    (elsewhere / "gone.yaml").touch()
    assert names(found("one", "two", folder=elsewhere)) == []


def test_who_may_open_it_all_the_same_is_said(found):
    (orphans,) = found("one", "two", opens_others=True).orphans()
    assert orphans.unless_opened_by == ("test_a.py::one", "test_a.py::two")


def test_a_cassette_that_a_marker_names_may_be_shared_by_tests_that_are_not_known(found, tmp_path):
    cassette = tmp_path / "cassettes" / "test_a" / "one.yaml"
    assert not found("one").is_shared(cassette)
    assert found("one", is_named=True).is_shared(cassette)
    assert not found("one", "two", is_named=True).is_shared(cassette)
    assert found("one", "one", is_named=True).is_shared(cassette)


def test_the_message():
    assert explain_orphans(["a/test_b[x].yaml", "c.yaml"], mode="warn").splitlines() == [
        "Orphaned cassettes: 2 belong to no test (llm_usage_orphans = warn)",
        "  rm 'a/test_b[x].yaml'",
        "  rm c.yaml",
        "What is in one:  pytest-llm-usage cassettes show 'a/test_b[x].yaml'",
    ]
    first = explain_orphans(["c.yaml"], mode="fail").partition("\n")[0]
    assert first == "Orphaned cassettes: 1 belongs to no test (llm_usage_orphans = fail)"
