"""The syrupy adapter: the extension that keeps usage in its file, and the assertion with tolerances.

syrupy (4.9 to 7) finds a file's test module by the file's stem. So syrupy gets a file's name without `.yaml`
(`test_agent.usage`, whose stem is the module's), and `syrupy_session` hides the file itself from syrupy's other
extensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from syrupy.assertion import SnapshotAssertion
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.location import PyTestLocation

from pytest_llm_usage.compare import (
    NO_TOLERANCE,
    PARTS,
    PRICE_FROM,
    Tolerances,
    compare_usage,
    is_within,
    model_name,
    with_model_names,
)
from pytest_llm_usage.credentials.mask import mask_name
from pytest_llm_usage.errors import ConfigurationError, UsageUnknownError, hides_frames
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import Call, price_sources
from pytest_llm_usage.snapshot.file import UsageFile, dump, edit_file, parsed
from pytest_llm_usage.snapshot.syrupy_session import hide_from_other_extensions, syrupy_session

__all__ = ["UsageSnapshotAssertion", "UsageSnapshotExtension", "usage_snapshot_assertion"]


class UsageSnapshotExtension(AbstractSyrupyExtension):
    """Usage in a YAML file per test module.

    A *location* is what syrupy knows the file by: its path without `.yaml`.
    """

    file_extension = "usage"
    #: What the next comparison allows.
    tolerances: Tolerances = NO_TOLERANCE
    #: Pattern → the one name under which snapshots list all models that match it.
    model_names: Mapping[str, str] = MappingProxyType({})
    #: Whether the next comparison includes the parts of the input.
    input_by_part: bool = False

    @staticmethod
    def path_of(location: str) -> Path:
        """The file of a location."""
        return Path(f"{location}.yaml")

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: Any = 0) -> str:
        """The name of a snapshot. A key in it, from a test's parameters or from `name`, does not get into the file."""
        return mask_name(super().get_snapshot_name(test_location=test_location, index=index))

    def serialize(self, data: Any, *, exclude: Any = None, include: Any = None, matcher: Any = None) -> str:
        """Usage (an `LLMUsage`, or a dict of that form) as YAML, without what `exclude` and `include` leave out."""
        plain = with_model_names(data.to_dict() if hasattr(data, "to_dict") else data, self.model_names)
        sources = price_sources(getattr(data, "calls", ()), lambda model: model_name(model, self.model_names))
        told = {
            model: {**fields, PRICE_FROM: sources[model]} if model in sources else fields
            for model, fields in plain.items()
        }
        if self.input_by_part:
            for model, parts in _parts(data.calls, self.model_names).items():
                told[model] = {**told[model], PARTS: parts}
        return dump(_filtered(told, (), exclude, include, matcher))

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Whether the usage matches the snapshot, within the tolerances."""
        return serialized_data == snapshot_data or is_within(
            compare_usage(parsed(snapshot_data), parsed(serialized_data), self.tolerances)
        )

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """The snapshot files beside a test module. One that cannot be read is skipped: the tests that use it say so."""
        del ignore_extensions
        discovered = SnapshotCollections()
        for path in sorted(Path(self.dirname(test_location=test_location)).glob("*.usage.yaml")):
            collection = self.read_snapshot_collection(snapshot_location=str(path.with_suffix("")))
            if collection.has_snapshots:
                discovered.add(collection)
        return discovered

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """The names of the snapshots in a file; none if it cannot be read."""
        collection = SnapshotCollection(location=snapshot_location)
        with suppress(ConfigurationError):
            for name in UsageFile.load(self.path_of(snapshot_location)).entries:
                collection.add(Snapshot(name=name))
        return collection

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        """One snapshot, or None if none has that name."""
        del session_id
        entry = UsageFile.load(self.path_of(snapshot_location)).entries.get(snapshot_name)
        return None if entry is None else dump(entry.usage)

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: dict[str, int] | None = None
    ) -> None:
        """Writes snapshots into their file; the others in it stay as they are. Safe with several xdist workers."""
        del name_order
        usages = {snapshot.name: parsed(snapshot.data) for snapshot in snapshot_collection}
        edit_file(cls.path_of(snapshot_collection.location), lambda file: file.updated(usages))

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Deletes snapshots from their file, and the file with the last of them."""

        def edit(file: UsageFile) -> str | None:
            return file.without(snapshot_names) if file.entries.keys() - snapshot_names else None

        edit_file(self.path_of(snapshot_location), edit)

    # What syrupy 4 calls them.
    _file_extension = file_extension
    _read_snapshot_collection = read_snapshot_collection
    _read_snapshot_data_from_location = read_snapshot_data_from_location
    _write_snapshot_collection = write_snapshot_collection


def _parts(calls: Iterable[Call], model_names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """By model: the tokens of each part of the input that is not 0, each tool's schema by name, what estimated them."""
    sums: dict[str, InputByPart] = {}
    for call in calls:
        if call.is_billed and call.input_by_part is not None:
            name = model_name(call.model, model_names)
            sums[name] = sums[name] + call.input_by_part if name in sums else call.input_by_part
    found: dict[str, dict[str, Any]] = {}
    for model, parts in sums.items():
        data = parts.to_dict()
        tools = data.get("tools_by_name", {})
        found[model] = {
            **data["tokens"],
            **({"tools_by_name": {name: tools[name] for name in sorted(tools)}} if tools else {}),
            "estimated_by": data["estimated_by"],
        }
    return found


def _filtered(value: Any, path: tuple[Any, ...], exclude: Any, include: Any, matcher: Any) -> Any:
    """`value` as syrupy's filters and matchers leave it; they get the arguments that syrupy would pass."""
    if matcher is not None:
        value = matcher(data=value, path=path)
    if not isinstance(value, Mapping):
        return value
    return {
        key: _filtered(item, (*path, (key, type(item))), exclude, include, matcher)
        for key, item in value.items()
        if not (exclude and exclude(prop=key, path=path)) and (not include or include(prop=key, path=path))
    }


class UsageSnapshotAssertion(SnapshotAssertion):
    """The type of the fixture `usage_snapshot`: a syrupy snapshot with tolerances.

    With `--snapshot-update` the comparison is exact, so that the file always gets the new numbers, even those that a
    tolerance or a ratchet would have allowed.

    Attributes:
        default_tolerances: For comparisons that state none of their own (`llm_usage_tolerance`).
        compared_with: What the latest comparison allowed.
        model_names: Names for models, by pattern (`llm_usage_model_names`).
        comparisons: One entry for each comparison, including those of snapshots that `with_defaults` made of it.
    """

    __hash__ = None  # type: ignore[assignment]  # as for any syrupy assertion

    default_tolerances: Tolerances = NO_TOLERANCE
    compared_with: Tolerances = NO_TOLERANCE
    model_names: Mapping[str, str] = MappingProxyType({})
    #: One list, shared with all snapshots that `with_defaults` makes of it.
    comparisons: list[None]
    _once: Tolerances | None = None
    _parts_once: bool = False

    def __call__(  # type: ignore[override]
        self,
        *,
        rel: object = None,
        abs: object = None,  # noqa: A002 -- the name that pytest.approx gave it
        ratchet: bool | None = None,
        input_by_part: bool = False,
        name: Any = None,
        exclude: Any = None,
        include: Any = None,
        matcher: Any = None,
    ) -> UsageSnapshotAssertion:
        """Sets options for the next comparison.

        Args:
            rel: A share that each number may move by (0.05 is 5 %), or a mapping by name (`input`, `output`, `total`,
                `tokens`, `calls`, `cost`, or a detail such as `cache_read`).
            abs: Tokens that each count may move by, or such a mapping (USD for `cost`).
            ratchet: Numbers may fall, and may not rise by more than `rel` or `abs` allow.
            input_by_part: Whether the snapshot also has the parts of the input, with each tool's schema by name. They
                are estimates (see `LLMUsage.input_by_part`).
            name: As in syrupy.
            exclude: As in syrupy.
            include: As in syrupy.
            matcher: As in syrupy.

        Raises:
            ConfigurationError: `rel` or `abs` is not a tolerance.
        """
        __tracebackhide__ = hides_frames
        if (rel, abs, ratchet) != (None, None, None):
            self._once = Tolerances.from_arguments(rel=rel, abs=abs, ratchet=bool(ratchet))
        self._parts_once = input_by_part
        super().__call__(name=name, exclude=exclude, include=include, matcher=matcher)
        return self

    def with_defaults(self, **options: Any) -> UsageSnapshotAssertion:
        """A new snapshot with these defaults, as in syrupy; the tolerance stays."""
        assertion = super().with_defaults(**options)
        assert isinstance(assertion, UsageSnapshotAssertion)  # noqa: S101 -- for the type checker
        assertion.default_tolerances = self.default_tolerances
        assertion.comparisons = self.comparisons
        assertion.model_names = self.model_names
        return assertion

    @property
    def path(self) -> Path:
        """The snapshot's file."""
        location = self.extension.get_location(test_location=self.test_location, index=self.index)
        return UsageSnapshotExtension.path_of(location)

    def __eq__(self, other: object) -> bool:
        """Whether a usage matches the snapshot, within the tolerance.

        Raises:
            ConfigurationError: The file cannot be read.
            TypeError: `other` is not a usage.
            UsageUnknownError: The parts of the input are compared, and they are not known for a call.
        """
        __tracebackhide__ = True
        self.comparisons.append(None)
        self.compared_with = NO_TOLERANCE if self.update_snapshots else self._once or self.default_tolerances
        with_parts, self._once, self._parts_once = self._parts_once, None, False
        if isinstance(self.extension, UsageSnapshotExtension):
            self.extension.tolerances = self.compared_with
            self.extension.input_by_part = with_parts
            self.extension.model_names = self.model_names
            try:
                _check_usage(other, with_parts=with_parts)
                # syrupy would report it as a snapshot that differs, and write over it when told to update.
                UsageFile.load(self.path)
            except (ConfigurationError, TypeError, UsageUnknownError):
                self._post_assert()
                raise
        return super().__eq__(other)


def _check_usage(data: object, *, with_parts: bool) -> None:
    """Refuses what is not a usage and, if the parts of the input are compared, a usage whose parts are not known."""
    __tracebackhide__ = True
    if not hasattr(data, "to_dict") and not isinstance(data, Mapping):
        raise TypeError(
            f"usage_snapshot compares llm_usage (or a section or view of it), not {type(data).__name__}: "
            "for other values use syrupy's snapshot"
        )
    if with_parts and not hasattr(data, "input_by_part"):
        raise TypeError(
            f"usage_snapshot(input_by_part=True) compares llm_usage (or a section or view of it), not "
            f"{type(data).__name__}, which does not say what the calls sent"
        )
    if with_parts:
        _ = data.input_by_part  # type: ignore[attr-defined]  # raises where one is not known


def usage_snapshot_assertion(
    request: Any, tolerances: Tolerances = NO_TOLERANCE, model_names: Mapping[str, str] = MappingProxyType({})
) -> UsageSnapshotAssertion:
    """What the fixture `usage_snapshot` returns.

    Args:
        request: pytest's request of the test.
        tolerances: For comparisons that state none (ini `llm_usage_tolerance`).
        model_names: Pattern → name, for models whose own names change too often to be written down (`gpt-4o-*`).

    Raises:
        ConfigurationError: syrupy is switched off.
    """
    config = request.config
    session = syrupy_session(config)
    hide_from_other_extensions(config)
    options = {
        name: getattr(config.option, name)
        for name in ("update_snapshots", "update_new_snapshots_only")  # the latter since syrupy 6
        if hasattr(config.option, name)
    }
    assertion = UsageSnapshotAssertion(
        session=session,
        extension_class=UsageSnapshotExtension,
        test_location=PyTestLocation(request.node),
        **options,
    )
    assertion.default_tolerances = tolerances
    assertion.comparisons = []
    assertion.model_names = model_names
    return assertion
