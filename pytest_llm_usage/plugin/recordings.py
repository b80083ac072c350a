"""How the processes of a run share what they record, and how the cassettes of tests are named."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.errors import CassetteError
from pytest_llm_usage.plugin.state import CLOSERS

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.run_recordings import RunRecordings

__all__ = ["name_recordings_folder", "note_names", "own_name", "run_recordings", "told_apart", "unclaimed"]

#: The recordings of this run.
_RECORDINGS: pytest.StashKey[RunRecordings] = pytest.StashKey()
#: The folder in which xdist's workers note their recordings.
_FOLDER: pytest.StashKey[str] = pytest.StashKey()
#: Kept with a module or class: its tests that would get the same cassette as another test by pytest-recording's naming.
_AMBIGUOUS: pytest.StashKey[frozenset[str]] = pytest.StashKey()

#: Kept with a module: the names of its tests' cassettes, and its classes, each with whether its tests are known.
_KNOWN: pytest.StashKey[set[str]] = pytest.StashKey()
_CLASSES: pytest.StashKey[dict[str, bool]] = pytest.StashKey()
#: Kept with a module: the names of cassettes that its markers give.
_NAMED: pytest.StashKey[set[str]] = pytest.StashKey()
_NAMING = frozenset(("llm_cassette", "vcr", "default_cassette"))
#: Kept with a module: its test classes by name, each once for every place in which pytest finds it.
_PLACES: pytest.StashKey[dict[str, list[type]]] = pytest.StashKey()
_NOT_IN_FILE_NAMES = frozenset("<>?%*:|\"'/\\\0")
#: The end of a cassette's name that distinguishes it from another test's cassette.
_APART = r"-[0-9a-f]{8}\.yaml$"

#: In a larger folder only so many cassettes are searched for the one of a test that was renamed.
_MAX_LOOKED_INTO = 200


def run_recordings(config: pytest.Config) -> RunRecordings:
    """The recordings in cassettes that this run made."""
    if _RECORDINGS not in config.stash:
        from pytest_llm_usage.cassettes.run_recordings import RunRecordings  # noqa: PLC0415 -- only where one is opened

        folder = Path(getattr(config, "workerinput", {}).get("llm_usage_recordings", ""))
        # A worker on another machine has no such folder, and has its own cassettes.
        config.stash[_RECORDINGS] = RunRecordings(folder if folder.name and folder.is_dir() else None)
    return config.stash[_RECORDINGS]


def name_recordings_folder(node: Any) -> None:
    """Tells an xdist worker where the workers note what they record."""
    stash = node.config.stash
    if _FOLDER not in stash:
        folder = tempfile.TemporaryDirectory(prefix="llm-usage-", ignore_cleanup_errors=True)
        stash[_FOLDER] = stash[CLOSERS].enter_context(folder)
    node.workerinput["llm_usage_recordings"] = stash[_FOLDER]


def own_name(item: pytest.Item) -> str:
    """The name of a test's cassette, which is that of pytest-recording."""
    cls = getattr(item, "cls", None)
    return item.name if cls is None else f"{cls.__name__}.{item.name}"


def note_names(report: pytest.CollectReport, collector: pytest.Collector) -> None:
    """Notes the tests of a module or class whose names differ only in characters that file names cannot have.

    All its tests count, whether they run or not: their cassettes have the same names in every run.
    """
    items = [node for node in report.result if isinstance(node, pytest.Item)]
    names = [item.name for item in items]
    module = collector.getparent(pytest.Module)
    if module is not None:
        # A suite has thousands of tests, and the tests of one collector have one class.
        prefix = own_name(items[0]).removesuffix(names[0]) if items else ""
        module.stash.setdefault(_KNOWN, set()).update([prefix + name for name in names] if prefix else names)
        if isinstance(collector, pytest.Class):
            module.stash.setdefault(_CLASSES, {})[collector.name] = True
        for node in report.result:
            if isinstance(node, pytest.Class):
                module.stash.setdefault(_CLASSES, {}).setdefault(node.name, False)
        named = [
            str(name)
            for node in (collector, *report.result)
            for marker in node.own_markers
            if marker.name in _NAMING
            for name in (*marker.args, *([marker.kwargs["name"]] if "name" in marker.kwargs else ()))
        ]
        if named:
            module.stash.setdefault(_NAMED, set()).update(named)
    if _NOT_IN_FILE_NAMES.isdisjoint("".join(names)):
        return
    from pytest_llm_usage.cassettes.names import file_name  # noqa: PLC0415 -- only where it may matter

    changed = [name for name in names if file_name(name) != name]
    if changed:
        count = Counter(map(file_name, names))
        collector.stash[_AMBIGUOUS] = frozenset(name for name in changed if count[file_name(name)] > 1)


def told_apart(item: pytest.Item) -> str | None:
    """What distinguishes a test from another that gets the same cassette by pytest-recording's naming; None if there is none."""
    if getattr(item, "cls", None) is not None and _stands_twice(item):
        return item.nodeid.partition("::")[2]
    if item.parent is not None and item.name in item.parent.stash.get(_AMBIGUOUS, frozenset()):
        return own_name(item)
    return None


def _stands_twice(item: Any) -> bool:
    """Whether several classes of this name in the module have a test of this name, such as within two other classes."""
    module = item.getparent(pytest.Module)
    if module is None:
        return False
    if _PLACES not in module.stash:
        places: dict[str, list[type]] = {}
        for cls in _classes_in(module, vars(module.obj), ()):
            places.setdefault(cls.__name__, []).append(cls)
        module.stash[_PLACES] = places
    name = getattr(item, "originalname", item.name)
    classes = module.stash[_PLACES].get(item.cls.__name__, ())
    return sum(any(name in vars(base) for base in cls.__mro__) for cls in classes) > 1


def _classes_in(module: pytest.Module, names: Mapping[str, Any], within: tuple[type, ...]) -> Iterator[type]:
    """The test classes, once for each place in which pytest finds them: a class within a base class is in every subclass."""
    for name, value in [*names.items()]:
        if isinstance(value, type) and value not in within and module.istestclass(value, name):
            yield value
            inherited = {name: value for base in reversed(value.__mro__) for name, value in vars(base).items()}
            yield from _classes_in(module, inherited, (*within, value))


def unclaimed(item: pytest.Item, folder: Path) -> list[Path]:
    """The cassettes in a module's folder that belong to none of its tests: those of tests that were renamed."""
    module = item.getparent(pytest.Module)
    if module is None or folder.name != item.path.stem or not folder.is_dir():
        return []
    from pytest_llm_usage.cassettes import cassette_path  # noqa: PLC0415 -- loaded with the cassette

    known = {cassette_path(folder, name).name for name in module.stash.get(_KNOWN, set())}
    named = set()
    for name in module.stash.get(_NAMED, set()):
        with suppress(CassetteError):
            named.add(cassette_path(folder, "", name))
    unknown_classes = tuple(f"{name}." for name, is_known in module.stash.get(_CLASSES, {}).items() if not is_known)
    return [
        path
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yaml.gz")))[:_MAX_LOOKED_INTO]
        if path.name.removesuffix(".gz") not in known
        and named.isdisjoint((path, path.with_name(path.name.removesuffix(".gz"))))
        and re.sub(_APART, ".yaml", path.name.removesuffix(".gz")) not in known
        and not path.name.endswith(".failed.yaml")
        and not (unknown_classes and path.name.startswith(unknown_classes))
    ]
