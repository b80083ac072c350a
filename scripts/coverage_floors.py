# ruff: noqa: T201 -- a command prints
"""Compares each package's coverage with its floor (`make coverage`): python scripts/coverage_floors.py coverage.json

The floors are the measured coverage of lines and branches, rounded down, without the recordings beside the repository.
A new package fails until it has a floor. A floor is only ever raised.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pytest_llm_usage"

#: Percent of lines and branches, by package (or module) of `pytest_llm_usage`.
FLOORS: Mapping[str, int] = {
    "anatomy": 94,
    "atomic": 100,
    "billing": 100,
    "budget": 100,
    "cassettes": 97,
    "cli": 91,
    "compare": 100,
    "credentials": 99,
    "encoding": 99,
    "errors": 100,
    "event_loop": 100,
    "fork_hooks": 83,
    "http_clients": 93,
    "import_hook": 98,
    "input_by_part": 95,
    "langchain": 98,
    "ledger": 100,
    "money": 100,
    "plugin": 96,
    "pricing": 99,
    "records": 100,
    "report": 96,
    "settings": 94,
    "snapshot": 98,
    "text": 98,
    "tracker": 95,
    "upstream": 93,
    "usage": 100,
    "wire": 99,
}


def packages() -> set[str]:
    """The packages, and the modules beside them."""
    found = {
        path.name.removesuffix(".py")
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    return found - {"__init__"}


def measured(report: Mapping[str, Any]) -> dict[str, float]:
    """Percent by package, from what `coverage json` wrote."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in report["files"].items():
        path = ROOT / name
        if not path.is_relative_to(PACKAGE):
            continue  # a copy of the package that a test made
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        summary = file["summary"]
        counted[package][0] += summary["covered_lines"] + summary.get("covered_branches", 0)
        counted[package][1] += summary["num_statements"] + summary.get("num_branches", 0)
    return {
        name: 100 * covered / total if total else 100.0
        for name, (covered, total) in counted.items()
        if name != "__init__"
    }


def faults(percents: Mapping[str, float], floors: Mapping[str, int] = FLOORS) -> list[str]:
    """What is below its floor, a line each."""
    found = [
        f"{name}: {percents.get(name, 0):.1f} %, floor {floor} %"
        for name, floor in floors.items()
        if percents.get(name, 0) < floor
    ]
    return found + [
        f"{name}: has no floor in {Path(__file__).name}" for name in sorted(percents.keys() - floors.keys())
    ]


if __name__ == "__main__":
    percents = measured(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for name in sorted(percents):
        print(f"{name:16} {percents[name]:6.1f} %  floor {FLOORS.get(name, '-')}")
    sys.exit("\n".join(faults(percents)) or None)
