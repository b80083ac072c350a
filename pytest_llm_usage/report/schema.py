"""Validation by a JSON Schema: what does not fit, and where. It knows only the keywords that `run.schema.json` uses.

The `jsonschema` package would bring four others into every environment that runs tests. The suite compares this module
with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from pytest_llm_usage.report.schema_accepts import Accepts, compile_accepts

__all__ = ["compile_schema", "run_fault"]

#: Value → what does not fit: the path to it, from the inside out, and what is wrong; None if everything fits.
Check: TypeAlias = Callable[[Any], "tuple[list[str], str] | None"]

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
#: Keywords that say nothing about values.
_ANNOTATIONS = frozenset({"$schema", "$defs", "title", "description"})


def run_fault(data: Any) -> str | None:
    """Why `data` is not a run, with the path to what is wrong; None if it is one."""
    accepts, check = _run_checks()
    if accepts(data):
        return None
    fault = check(data)
    if fault is None:
        return None
    path, text = fault
    return ": ".join((*(" > ".join(reversed(path)),) * bool(path), text))


@cache
def _run_checks() -> tuple[Accepts, Check]:
    schema = json.loads(files("pytest_llm_usage.report").joinpath("run.schema.json").read_text(encoding="utf-8"))
    return compile_accepts(schema), compile_schema(schema)


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """A function that checks values against a schema.

    Raises:
        ValueError: The schema has a keyword that this module does not know.
    """
    return _Compiler(schema).check(schema)


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._defined: dict[str, Check] = {}

    def check(self, schema: Mapping[str, Any]) -> Check:
        """A check of all the keywords of a schema."""
        makers: dict[str, Callable[[Any], Check]] = {
            "type": self._type,
            "const": lambda value: self._enum([value]),
            "enum": self._enum,
            "minimum": self._minimum,
            "pattern": self._pattern,
            "required": self._required,
            "minItems": self._min_items,
            "maxItems": self._max_items,
            "items": self._items,
            "anyOf": self._any_of,
            "allOf": lambda parts: _all([self.check(part) for part in parts]),
            "$ref": self._ref,
        }
        checks = [makers[word](value) for word, value in schema.items() if word in makers]
        if unknown := schema.keys() - makers.keys() - _ANNOTATIONS - {"properties", "additionalProperties"}:
            raise ValueError(f"keywords of JSON Schema that are not supported: {', '.join(sorted(unknown))}")
        if "properties" in schema or "additionalProperties" in schema:
            checks.append(self._properties(schema.get("properties", {}), schema.get("additionalProperties")))
        return _all(checks)

    def _ref(self, name: str) -> Check:
        definition = name.removeprefix("#/$defs/")
        if definition not in self._defined:
            # Looked up when it is called: a definition may contain itself.
            self._defined[definition] = lambda value: self._defined[definition](value)  # noqa: PLW0108
            self._defined[definition] = self.check(self._root["$defs"][definition])
        return self._defined[definition]

    def _type(self, names: str | list[str]) -> Check:
        names = [names] if isinstance(names, str) else names
        fits = [_TYPES[name] for name in names]
        wanted = " or ".join("null" if name == "null" else f"{_article(name)} {name}" for name in names)
        return lambda value: None if any(fit(value) for fit in fits) else ([], f"{_said(value)} is not {wanted}")

    def _enum(self, values: list[Any]) -> Check:
        wanted = f"one of {', '.join(map(str, values))}" if len(values) > 1 else str(values[0])

        # 1, 1.0 and true are equal in Python.
        def check(value: Any) -> tuple[list[str], str] | None:
            known = any(value == item and type(value) is type(item) for item in values)
            return None if known else ([], f"{_said(value)} is not {wanted}")

        return check

    def _minimum(self, least: float) -> Check:
        number = _TYPES["number"]
        # NaN is neither less nor more, so it is refused.
        return lambda value: None if not number(value) or value >= least else ([], f"{value} is less than {least}")

    def _pattern(self, pattern: str) -> Check:
        # JSON Schema's `$` is the end; Python's also matches before a newline at the end.
        found = re.compile(pattern.removesuffix("$") + r"\Z" * pattern.endswith("$"), re.ASCII)
        return lambda value: (
            None
            if not isinstance(value, str) or found.search(value)
            else ([], f"{_said(value)} is not of the form {pattern}")
        )

    def _required(self, names: list[str]) -> Check:
        def check(value: Any) -> tuple[list[str], str] | None:
            if not isinstance(value, dict):
                return None
            return next((([], f"{name} is missing") for name in names if name not in value), None)

        return check

    def _min_items(self, least: int) -> Check:
        return lambda value: ([], "too short") if isinstance(value, list) and len(value) < least else None

    def _max_items(self, most: int) -> Check:
        return lambda value: ([], "too long") if isinstance(value, list) and len(value) > most else None

    def _items(self, schema: Mapping[str, Any]) -> Check:
        each = self.check(schema)

        def check(value: Any) -> tuple[list[str], str] | None:
            for number, item in enumerate(value if isinstance(value, list) else ()):
                if (fault := each(item)) is not None:
                    fault[0].append(str(number))
                    return fault
            return None

        return check

    def _properties(self, named: Mapping[str, Any], other: Mapping[str, Any] | None) -> Check:
        checks = {name: self.check(schema) for name, schema in named.items()}
        rest = None if other is None else self.check(other)

        def check(value: Any) -> tuple[list[str], str] | None:
            for name, item in value.items() if isinstance(value, dict) else ():
                each = checks.get(name, rest)
                if each is not None and (fault := each(item)) is not None:
                    fault[0].append(name)
                    return fault
            return None

        return check

    def _any_of(self, schemas: list[Mapping[str, Any]]) -> Check:
        checks = [self.check(schema) for schema in schemas]

        def check(value: Any) -> tuple[list[str], str] | None:
            faults = [check(value) for check in checks]
            # The fault with the longest path says most.
            return None if None in faults else max(filter(None, faults), key=lambda fault: len(fault[0]))

        return check


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> tuple[list[str], str] | None:
        for each in checks:
            if (fault := each(value)) is not None:
                return fault
        return None

    return check


def _article(noun: str) -> str:
    return "an" if noun[0] in "aio" else "a"


def _said(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
