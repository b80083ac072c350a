"""Paths into parsed JSON: `iter_path`, `get_path`.

`a.b` is a member of a member; `a[].b` is a member of every item of a list, `a[b=c].d` of the items whose `b` is `c` (in
any case); `a.*` is every member, and `a.*-b` every member whose name ends in `-b`; an empty path is the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["get_path", "iter_path", "path_keys", "path_steps"]

_STEP = re.compile(r"(?P<key>[^.\[\]]+)(?P<list>\[(?:(?P<item_key>[^=\]]+)=(?P<item_value>[^\]]+))?\])?\.?")


def iter_path(data: Any, path: str) -> Iterator[Any]:
    """Iterates over the values that `path` leads to in `data`; a path without lists leads to at most one."""
    values: list[Any] = [data]
    for key, is_list, item_key, item_value in path_steps(path):
        found = [value for value in values if isinstance(value, Mapping)]
        if key[0] == "*":
            values = [member for value in found for name, member in value.items() if str(name).endswith(key[1:])]
        else:
            values = [value[key] for value in found if key in value]
        if is_list:
            items = [item for value in values if isinstance(value, list) for item in value]
            values = [item for item in items if not item_key or _is(item, item_key, item_value)]
    return iter(values)


def get_path(data: Any, path: str) -> Any:
    """The value at a path without lists, or None."""
    return next(iter_path(data, path), None)


@lru_cache(maxsize=512)
def path_steps(path: str) -> tuple[tuple[str, bool, str, str], ...]:
    return tuple(
        (match["key"], bool(match["list"]), match["item_key"] or "", match["item_value"] or "")
        for match in _STEP.finditer(path)
    )


@lru_cache(maxsize=512)
def path_keys(path: str) -> tuple[str, ...]:
    """The keys of a path that leads to at most one value; empty for other paths."""
    return () if "[" in path or "*" in path else tuple(key for key, *_ in path_steps(path))


def _is(item: Any, key: str, value: str) -> bool:
    found = item.get(key) if isinstance(item, Mapping) else None
    return isinstance(found, str | int) and str(found).lower() == value
