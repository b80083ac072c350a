"""The floors of `make coverage`: every package has one, and what is below it is named."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from coverage_floors import FLOORS, PACKAGE, faults, measured, packages


def file(covered, of, *, branches=0, taken=0):
    return {
        "summary": {
            "covered_lines": covered,
            "num_statements": of,
            "num_branches": branches,
            "covered_branches": taken,
        }
    }


def test_every_package_has_a_floor_and_nothing_else():
    assert FLOORS.keys() == packages()
    assert all(0 < floor <= 100 for floor in FLOORS.values())


def test_a_package_is_measured_as_a_whole_and_copies_are_not():
    report = {
        "files": {
            "pytest_llm_usage/wire/call.py": file(30, 40, branches=10, taken=5),
            str(PACKAGE / "wire" / "shape.py"): file(50, 50),
            "pytest_llm_usage/usage.py": file(9, 10),
            "/tmp/copy/pytest_llm_usage/usage.py": file(0, 10),
        }
    }
    assert measured(report) == {"wire": 85, "usage": 90}


def test_what_is_below_its_floor_or_has_none():
    assert faults({"wire": 85, "usage": 90}, {"wire": 85, "usage": 90}) == []
    assert faults({"wire": 84.94, "new": 100}, {"wire": 85, "usage": 90}) == [
        "wire: 84.9 %, floor 85 %",
        "usage: 0.0 %, floor 90 %",
        "new: has no floor in coverage_floors.py",
    ]
