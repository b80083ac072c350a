"""One name for models whose own names change too often to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pytest_llm_usage import money
from pytest_llm_usage.compare.amounts import DETAILS, FIELDS, ITEMS, Usage, number
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import quoted


def parse_model_names(lines: Iterable[str]) -> dict[str, str]:
    """Pattern → name, from lines such as `gpt-4o-* = gpt-4o`.

    Raises:
        ConfigurationError: A line is not of that form.
    """
    names: dict[str, str] = {}
    for line in lines:
        pattern, _, name = (part.strip() for part in line.partition("="))
        if not (pattern and name):
            raise ConfigurationError(f"{quoted(line)} does not name models (example: gpt-4o-* = gpt-4o)")
        names[pattern] = name
    return names


def model_name(model: str, names: Mapping[str, str]) -> str:
    """The name of the first pattern that `model` matches, else its own."""
    return next((name for pattern, name in names.items() if fnmatchcase(model, pattern)), model)


def with_model_names(usage: Usage, names: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """The usage with its models renamed by pattern; models that get the same name are added up."""
    renamed: dict[str, Mapping[str, Any]] = {}
    for model, fields in usage.items():
        name = model_name(model, names)
        renamed[name] = added_usage(renamed[name], fields) if name in renamed else fields
    return renamed


_ORDER = (*FIELDS[:-1], *DETAILS, ITEMS, "cost_usd")


def added_usage(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of two usages of one model; a number is unknown if it is unknown in either."""
    names = [name for name in _ORDER if name in left or name in right]
    names += [name for name in dict.fromkeys((*left, *right)) if name not in _ORDER]
    return {name: _sum(left.get(name, 0), right.get(name, 0)) for name in names}


def _sum(left: Any, right: Any) -> Any:
    if isinstance(left, Mapping) or isinstance(right, Mapping):
        return added_usage(left or {}, right or {})
    if left is None or right is None:
        return None
    if isinstance(left, str) or isinstance(right, str):
        left, right = number(left), number(right)
        # In a snapshot, `matcher=` may have put text in place of a number.
        if isinstance(left, str) or isinstance(right, str):
            return None
        return str(money.EXACT.add(left, right))
    return left + right
