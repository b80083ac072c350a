"""Reading by a JSON Schema, held against the `jsonschema` package."""

import json
import math
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llm_usage.report.schema import compile_schema, run_fault

RUN = json.loads((files("pytest_llm_usage.report") / "run.schema.json").read_text(encoding="utf-8"))

SCHEMA = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": ["integer", "null"], "minimum": 0},
        "b": {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?$"}, {"type": "array", "items": {"$ref": "#"}}]},
        "c": {"enum": ["x", 1, None]},
        "d": {"type": "array", "items": {"$ref": "#/$defs/d"}, "minItems": 1, "maxItems": 2},
        "e": {"allOf": [{"$ref": "#/$defs/d"}], "const": True},
    },
    "additionalProperties": {"$ref": "#/$defs/d"},
    "$defs": {"d": {"type": ["number", "boolean", "array"], "items": {"$ref": "#/$defs/d"}}},
}
SCHEMA["properties"]["b"]["anyOf"][1]["items"] = {"type": "object"}

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False)
    | st.sampled_from(["x", "1.5", "1\n", "١"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner), max_leaves=8
)


def is_known_difference(value):
    """JSON Schema takes 1.0 for an integer and for 1; a count that is written so is none of ours."""
    if isinstance(value, float):
        return value.is_integer()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(is_known_difference, inner))


@given(VALUES)
def test_says_the_same_as_jsonschema(value):
    if is_known_difference(value) or "١" in json.dumps(value, ensure_ascii=False):
        return
    theirs = Draft202012Validator(SCHEMA).is_valid(value)
    # Their `$` takes a newline before the end, as Python's does.
    assert (compile_schema(SCHEMA)(value) is None) == theirs or "1\\n" in json.dumps(value)


def test_a_keyword_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="not supported: uniqueItems"):
        compile_schema({"type": "array", "uniqueItems": True})


def test_the_schema_of_runs_uses_what_is_known():
    assert compile_schema(RUN)({}) is not None


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("shards",), [[1]], "shards > 0: too short"),
        (("shards",), [[1, 2, 3]], "shards > 0: too long"),
        (("exit_status",), "0", 'exit_status: "0" is not an integer'),
        (("exit_status",), True, "exit_status: true is not an integer"),
        (("tests",), {"a.py::b": {"usage": {}}}, "tests > a.py::b: calls is missing"),
        (("tests",), {"t": {"usage": {}, "calls": [], "outcome": "ok"}}, 'tests > t > outcome: "ok" is not one of *'),
        (("totals", "cost_usd"), "1e5", 'totals > cost_usd: "1e5" is not of the form *'),
        (("totals", "calls"), -1, "totals > calls: -1 is less than 0"),
        (("totals", "calls"), math.nan, "totals > calls: NaN is not an integer"),
    ],
)
def test_a_fault_says_where_and_what(path, value, fault):
    usage = {"calls": 0, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "cost_usd": "0"}
    data = {
        "format": 1,
        "environment": {},
        "exit_status": 0,
        "shards": [],
        "tests": {},
        "duplicates": {},
        "shared": {"usage": {}, "calls": []},
        "totals": {**usage, "tests": 0, "usage": {}},
    }
    assert run_fault(data) is None
    target = data
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value

    found = run_fault(data)

    assert found == fault or (fault.endswith("*") and found.startswith(fault[:-1]))
