"""Shards of a run put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llm_usage.compare.runs import Spending


@dataclass(frozen=True, slots=True)
class MergedRun:
    """Shards put together. The result does not depend on the order and the grouping in which they are merged.

    Attributes:
        tests: Node id → record, sorted. For a test that several shards ran, the record that spent most.
        duplicates: Node id → the other records of such a test, where they differ.
        missing_shards: `(index, total)` of the shards that are missing, for runs that say which shard they are.
        shards: `(index, total)` of the shards that are there.
    """

    tests: Mapping[str, Mapping[str, Any]]
    duplicates: Mapping[str, Sequence[Mapping[str, Any]]]
    shards: tuple[tuple[int, int], ...] = ()

    @property
    def missing_shards(self) -> tuple[tuple[int, int], ...]:
        """The shards that are missing, for every total that a shard names."""
        totals = sorted({total for _, total in self.shards})
        return tuple(
            (index, total) for total in totals for index in range(1, total + 1) if (index, total) not in self.shards
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data of the form that `merge_runs` reads."""
        return {
            "tests": dict(self.tests),
            "duplicates": {test: list(records) for test, records in self.duplicates.items()},
            "shards": [list(shard) for shard in self.shards],
        }


def merge_runs(runs: Iterable[Mapping[str, Any]]) -> MergedRun:
    """Several runs as one.

    Args:
        runs: From each, `tests` is read (node id → record with `usage`), `duplicates` if it was merged before, and
            `shards` (`[index, total]`, from 1) if it says which it is.
    """
    gathered: dict[str, dict[str, Mapping[str, Any]]] = {}
    shards: set[tuple[int, int]] = set()
    for run in runs:
        shards.update((index, total) for index, total in run.get("shards", ()))
        for test, record in run["tests"].items():
            gathered.setdefault(test, {})[_canonical(record)] = record
        for test, records in run.get("duplicates", {}).items():
            gathered.setdefault(test, {}).update((_canonical(record), record) for record in records)
    tests, duplicates = {}, {}
    for test, by_text in sorted(gathered.items()):
        ranked = sorted(by_text, key=lambda text: (Spending.from_usage(by_text[text]["usage"]).total_tokens, text))
        tests[test] = by_text[ranked.pop()]
        if ranked:
            duplicates[test] = [by_text[text] for text in ranked]
    return MergedRun(tests, duplicates, tuple(sorted(shards)))


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)
