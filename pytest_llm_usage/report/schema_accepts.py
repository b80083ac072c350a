"""Whether a value fits a JSON Schema, and nothing more: `schema` says what does not fit, and takes four times as long.

A run of 20,000 tests is a million values, and nearly every file that is read is a run. `schema` must accept what this
module accepts, and it checks again what this module refuses. Types are compared exactly; JSON has seven.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias

__all__ = ["Accepts", "compile_accepts"]

Accepts: TypeAlias = Callable[[Any], bool]
#: The types that a value may have (None: any), and what else must hold of one that has such a type (None: nothing).
_Rule: TypeAlias = tuple["frozenset[type] | None", "Accepts | None"]

_TYPES: Mapping[str, frozenset[type]] = {
    "object": frozenset({dict}),
    "array": frozenset({list}),
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
}
_NUMBERS = (int, float)
#: A schema with at most this many properties looks each of them up, instead of going through all that an object has.
_FEW = 4


def compile_accepts(schema: Mapping[str, Any]) -> Accepts:
    """A function that accepts the values that fit a schema; it knows the keywords that `schema` knows."""
    return _as_function(_Compiler(schema).rule(schema))


def _as_function(rule: _Rule) -> Accepts:
    types, more = rule
    if types is None:
        return more or (lambda _: True)
    if more is None:
        return lambda value: type(value) in types
    return lambda value: type(value) in types and more(value)


def _all_of(rules: Sequence[Accepts]) -> Accepts | None:
    # A generator for each value takes longer than the rules themselves.
    return reduce(lambda first, then: lambda value: first(value) and then(value), rules) if rules else None


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._defined: dict[str, _Rule] = {}

    def rule(self, schema: Mapping[str, Any]) -> _Rule:
        types: frozenset[type] | None = None
        if "type" in schema:
            names = schema["type"]
            types = frozenset().union(*(_TYPES[name] for name in ([names] if isinstance(names, str) else names)))
        found = list(self._rules(schema))
        if "$ref" in schema:
            known, more = self._ref(schema["$ref"])
            if types is None:
                types = known
                found += [more] if more is not None else []
            else:
                found.append(_as_function((known, more)))
        return types, _all_of(found)

    def _ref(self, name: str) -> _Rule:
        definition = name.removeprefix("#/$defs/") if name != "#" else ""
        if definition not in self._defined:
            # Looked up when it is called: a definition may contain itself.
            self._defined[definition] = None, lambda value: _as_function(self._defined[definition])(value)  # noqa: PLW0108
            self._defined[definition] = self.rule(self._root["$defs"][definition] if definition else self._root)
        return self._defined[definition]

    def _rules(self, schema: Mapping[str, Any]) -> Iterable[Accepts]:
        for word in ("const", "enum"):
            if word in schema:
                yield _one_of([schema[word]] if word == "const" else schema[word])
        if "minimum" in schema:
            yield _at_least(schema["minimum"])
        if "pattern" in schema:
            yield _of_form(schema["pattern"])
        if "minItems" in schema or "maxItems" in schema:
            yield _of_length(schema.get("minItems", 0), schema.get("maxItems"))
        if "items" in schema:
            yield self._items(schema["items"])
        if not {"properties", "additionalProperties", "required"}.isdisjoint(schema):
            yield self._properties(schema)
        for part in schema.get("allOf", ()):
            yield _as_function(self.rule(part))
        if "anyOf" in schema:
            ways = [_as_function(self.rule(part)) for part in schema["anyOf"]]
            yield lambda value: any(accepts(value) for accepts in ways)

    def _items(self, schema: Mapping[str, Any]) -> Accepts:
        each = _as_function(self.rule(schema))
        return lambda value: type(value) is not list or all(map(each, value))

    def _properties(self, schema: Mapping[str, Any]) -> Accepts:
        known = {name: self.rule(part) for name, part in schema.get("properties", {}).items()}
        required = frozenset(schema.get("required", ()))
        rest = self.rule(schema["additionalProperties"]) if "additionalProperties" in schema else (None, None)

        def accepts(value: Any) -> bool:
            if type(value) is not dict:
                return True
            if not value.keys() >= required:
                return False
            for name, item in value.items():
                types, more = known.get(name, rest)
                if types is not None and type(item) not in types:
                    return False
                if more is not None and not more(item):
                    return False
            return True

        def accepts_few(value: Any) -> bool:
            if type(value) is not dict:
                return True
            if not value.keys() >= required:
                return False
            for name, (types, more) in known.items():
                if name in value:
                    if types is not None and type(value[name]) not in types:
                        return False
                    if more is not None and not more(value[name]):
                        return False
            return True

        return accepts_few if rest == (None, None) and len(known) <= _FEW else accepts


def _one_of(values: Iterable[Any]) -> Accepts:
    # 1, 1.0 and true are equal in Python.
    known = {(type(value), value) for value in values}
    return lambda value: type(value) not in (dict, list) and (type(value), value) in known


def _at_least(least: float) -> Accepts:
    return lambda value: type(value) not in _NUMBERS or value >= least


def _of_form(pattern: str) -> Accepts:
    # JSON Schema's `$` is the end; Python's also matches before a newline at the end.
    search = re.compile(pattern.removesuffix("$") + r"\Z" * pattern.endswith("$"), re.ASCII).search
    return lambda value: type(value) is not str or search(value) is not None


def _of_length(least: int, most: int | None) -> Accepts:
    return lambda value: type(value) is not list or (least <= len(value) and (most is None or len(value) <= most))
