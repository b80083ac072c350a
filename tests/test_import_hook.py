"""Who waits for the import of a module is called behind it, once, and leaves no trace."""

import sys
from contextlib import ExitStack

import pytest

from pytest_llm_usage.import_hook import ImportHook


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that nobody has imported yet."""
    (tmp_path / "late_module.py").write_text("made = [1]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "late_module"
    sys.modules.pop("late_module", None)


def test_what_is_imported_later_is_told_behind_its_import(module):
    told, finders = [], list(sys.meta_path)
    with ExitStack() as closers:
        ImportHook({module: lambda found: told.append(found.made)}).install(closers)
        assert told == []
        __import__(module)
        __import__(module)
        assert told == [[1]]
    assert sys.meta_path == finders


def test_what_is_there_already_is_told_at_once(module):
    __import__(module)
    told, finders = [], list(sys.meta_path)
    with ExitStack() as closers:
        ImportHook({module: told.append}).install(closers)
        assert told == [sys.modules[module]]
        assert sys.meta_path == finders


def test_what_is_not_installed_stays_an_import_error_until_it_is(tmp_path, monkeypatch):
    told = []
    with ExitStack() as closers:
        ImportHook({"installed_later": told.append}).install(closers)
        with pytest.raises(ModuleNotFoundError, match="installed_later"):
            __import__("installed_later")
        (tmp_path / "installed_later.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        __import__("installed_later")
    assert told == [sys.modules.pop("installed_later")]


def test_whoever_takes_the_finder_away_may(module):
    told = []
    with ExitStack() as closers:
        hook = ImportHook({module: told.append})
        hook.install(closers)
        sys.meta_path.remove(hook)
    __import__(module)
    assert told == []
