"""What the values of settings may be: text → value, or one line that says what is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_llm_usage.budget.amounts import parse_count
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.text import quoted

if TYPE_CHECKING:
    from pytest_llm_usage.compare import Tolerances
    from pytest_llm_usage.report.comparison import FailOn


def count_of(unit: str) -> Callable[[str], int]:
    """Reads a number of tokens or calls."""
    return lambda text: parse_count(text, unit)


def one_of(*choices: str, renamed: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], str]:
    """Reads one of a few words. `renamed` has earlier words, each with the new one: an error that gives it."""

    def parse(text: str) -> str:
        if text.strip() in choices:
            return text.strip()
        if text.strip() in renamed:
            raise ConfigurationError(f"{text.strip()!r} was renamed: use {renamed[text.strip()]!r}")
        from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

        near = get_close_matches(text, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"{quoted(text)} is not one of {', '.join(choices)}{hint}")

    return parse


def tolerances(text: str) -> Tolerances:
    """Reads the tolerances of snapshots: `input:5% output:20 ratchet`."""
    from pytest_llm_usage.compare import Tolerances  # noqa: PLC0415 -- only where it is set

    return Tolerances.parse(text)


def model_names(text: str) -> Mapping[str, str]:
    """Reads names for models, one a line: `gpt-4o-* = gpt-4o`."""
    from pytest_llm_usage.compare import parse_model_names  # noqa: PLC0415 -- only where it is set

    return parse_model_names(filter(None, map(str.strip, text.splitlines())))


def switch(text: str) -> bool:
    """Reads `on` or `off`."""
    words = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
    if text.strip().lower() not in words:
        raise ConfigurationError(f"{quoted(text)} is not one of on, off")
    return words[text.strip().lower()]


def json_paths(text: str) -> tuple[str, ...]:
    """Reads paths in JSON bodies, one a line."""
    from pytest_llm_usage.cassettes.json_path import JsonPath  # noqa: PLC0415 -- only where it is set

    paths = tuple(filter(None, map(str.strip, text.splitlines())))
    for one in paths:
        JsonPath(one)
    return paths


def path(text: str) -> Path:
    """Reads the path of a file."""
    if not text.strip():
        raise ConfigurationError("the name of a file is missing")
    return Path(text.strip())


def fail_on(text: str) -> FailOn:
    """Reads gates: `tokens:+5%,cost:+$0.01,no-baseline`."""
    from pytest_llm_usage.report.comparison import FailOn  # noqa: PLC0415 -- only where it is set

    return FailOn.parse(text)


def shard(text: str) -> tuple[int, int]:
    """Reads a shard: `2/4` is the second of four."""
    number, _, count = text.partition("/")
    numbers = re.compile(r"\s*[0-9]{1,9}\s*")
    if not (numbers.fullmatch(number) and numbers.fullmatch(count) and 0 < int(number) <= int(count)):
        raise ConfigurationError(f"{quoted(text)} is not a shard (example: 2/4 for the second of four)")
    return int(number), int(count)


def days(text: str) -> int:
    """Reads a number of days: `30`, `30d`."""
    number = re.fullmatch(r"\s*([0-9]{1,6})\s*d?\s*", text)
    if number is None:
        raise ConfigurationError(f"{quoted(text)} is not a number of days (examples: 30, 30d)")
    return int(number[1])


def redaction_rules(text: str) -> tuple[str, ...]:
    """Reads rules of redaction, one a line: `header:NAME`, `query:NAME`, `field:NAME`, `pattern:REGEX`."""
    from pytest_llm_usage.cassettes.redaction import Redaction  # noqa: PLC0415 -- only where it is set

    rules = tuple(filter(None, map(str.strip, text.splitlines())))
    Redaction.parse(rules)
    return rules


def words(text: str) -> tuple[str, ...]:
    """Reads words, separated by spaces or commas."""
    return tuple(text.replace(",", " ").split())
