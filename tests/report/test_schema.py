"""Reading by a JSON Schema, held against the `jsonschema` package."""

import json
import math
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llm_usage.report.schema import compile_schema, run_fault
from pytest_llm_usage.report.schema_accepts import compile_accepts

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


@settings(max_examples=500)
@given(VALUES)
def test_what_is_accepted_at_once_is_what_has_no_fault(value):
    assert compile_accepts(SCHEMA)(value) == (compile_schema(SCHEMA)(value) is None)


def values_of(schema):
    """Values that nearly fit a schema of the run: each property there or not, of its own kind or of another."""
    if "$ref" in schema:
        return st.deferred(lambda: values_of(RUN["$defs"][schema["$ref"].removeprefix("#/$defs/")]))
    if schema.keys() & {"enum", "const"}:
        return st.sampled_from(schema.get("enum", [schema.get("const")])) | LEAVES
    ways = [values_of(part) for part in schema.get("anyOf", ()) if "type" in part or "const" in part]
    names = schema.get("type", [])
    for name in [names] if isinstance(names, str) else names:
        if name == "object" or (not ways and "properties" in schema):
            known = {
                key: values_of(part) for part in _parts(schema) for key, part in part.get("properties", {}).items()
            }
            required = {key: known.pop(key) for key in schema.get("required", ()) if key in known}
            ways.append(st.fixed_dictionaries(required, optional=known))
            if "additionalProperties" in schema:
                ways[-1] = st.dictionaries(st.sampled_from("ab"), values_of(schema["additionalProperties"]), max_size=1)
        elif name == "array":
            ways.append(st.lists(values_of(schema.get("items", {})), max_size=2))
        else:
            ways.append(KINDS[name])
    # One in eight is of another kind.
    return st.integers(0, 7).flatmap(lambda at: st.one_of(ways) if at and ways else LEAVES)


def _parts(schema):
    return [schema, *(RUN["$defs"][part["$ref"].removeprefix("#/$defs/")] for part in schema.get("allOf", ()))]


KINDS = {
    "string": st.sampled_from(["1.5", "x", "1e5", ""]),
    "integer": st.integers(-1, 3),
    "number": st.floats(0, 3) | st.integers(0, 3),
    "boolean": st.booleans(),
    "null": st.none(),
}


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["test", "sum", "call", "usage"]).flatmap(
        lambda name: values_of({"$ref": f"#/$defs/{name}"}).map(lambda value: (name, value))
    )
)
def test_of_runs_too(found):
    name, value = found
    schema = {"$ref": f"#/$defs/{name}", "$defs": RUN["$defs"]}
    event("fits" if compile_schema(schema)(value) is None else "does not fit")
    assert compile_accepts(schema)(value) == (compile_schema(schema)(value) is None)


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
