"""The user's own prices: a TOML file, the same as a mapping, or LangChain NVIDIA's `price_map`."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.pricing.billing_rules import provider_id_of, tier_of
from pytest_llm_usage.pricing.price import KINDS, per_million
from pytest_llm_usage.pricing.rates import Rate, Steps
from pytest_llm_usage.pricing.sale import Sale
from pytest_llm_usage.text import quoted, shortened

__all__ = ["ENTRY_KEYS", "Entry", "PriceFile", "PriceSource"]

#: A price file, the same data as a mapping, or LangChain NVIDIA's `price_map` (model → USD per thousand tokens).
PriceSource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model (or pattern) of a price file."""

    pattern: str
    where: str
    provider: str | None = None
    tier: str | None = None
    region: str | None = None
    terms: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    same_as: str | None = None
    free: bool = False
    by_kind: Mapping[str, Rate] = field(default_factory=dict)

    def applies(self, sale: Sale, names: Iterable[str]) -> bool:
        """Whether the entry prices a sale of a model that is known by `names`."""
        at_any_terms = self.tier is None and not self.terms and bool(self.free or self.same_as)
        asked, mine = sale.modifiers, dict(self.terms)
        if not at_any_terms and (self.tier != sale.tier or ("speed" in asked and "speed" not in mine)):
            return False
        if any(asked.get(name) != word for name, word in self.terms):
            return False
        places = [place for place in (sale.place, sale.region) if place]
        if self.region is not None and not any(fnmatchcase(place, self.region) for place in places):
            return False
        if self.provider is not None and sale.seller != self.provider:
            return False
        if (self.since and sale.moment < self.since) or (self.until and sale.moment >= self.until):
            return False
        return any(name == self.pattern or fnmatchcase(name, self.pattern) for name in names)

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The sort key: names before patterns, then entries for a region, then entries for certain terms."""
        return (any(wildcard in self.pattern for wildcard in "*?["), self.region is None, not self.terms)


#: The table's name in front of a key in a table header, and what may follow a key.
_TABLE_OF_KEY = re.compile(r"^\w+\.")
_AFTER_KEY = re.compile("[]=]")

#: Terms of a sale that change its price, in the providers' words: Anthropic's `speed = "fast"`, Bedrock's `latency`.
TERMS = ("latency", "speed")
#: The keys of a line beside its prices.
ENTRY_KEYS = ("provider", "tier", "region", *TERMS, "from", "until", "same_as", "free", "above")
_TABLES = ("models", "price_map", "currency")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{shortened(text, 20)} has an exponent that is out of range") from None


@dataclass(frozen=True)
class PriceFile:
    """A price file or mapping while it is read: turns its data into entries, and mistakes into one-line errors."""

    label: str
    text: str | None
    data: Mapping[str, Any]

    @classmethod
    def read(cls, source: PriceSource) -> PriceFile:
        if isinstance(source, Mapping):
            is_price_map = not any(key in _TABLES for key in source) and not any(
                isinstance(value, Mapping | list) for value in source.values()
            )
            return cls("llm_usage_prices", None, {"price_map": source} if is_price_map else source)
        import tomllib  # noqa: PLC0415 -- only where there is a file

        try:
            path = Path(source)
        except TypeError:
            raise ConfigurationError(f"llm_usage_prices: {quoted(source)} is neither a path nor a mapping") from None
        label = os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigurationError(f"{label}: the price file cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigurationError(f"{label}:{line}: the price file is not UTF-8 text") from None
        try:
            data = tomllib.loads(text, parse_float=_number)
        except RecursionError:
            raise ConfigurationError(f"{label}: not TOML: it is nested too deeply") from None
        except ValueError as error:  # `TOMLDecodeError`, or a number of thousands of digits
            at_line = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(at_line[1]) if at_line else text.count("\n") + 1
            message = str(error).partition(" (at ")[0]
            raise ConfigurationError(f"{label}:{line}: not TOML: {message[:1].lower()}{message[1:]}") from None
        return cls(label, text, data)

    def entries(self) -> Iterator[Entry]:
        for key in self.data:
            if key not in _TABLES:
                self._fail((key,), f"unknown key {key!r}; known: {', '.join(_TABLES)}{_did_you_mean(key, _TABLES)}")
        currency = self.data.get("currency", "USD")
        if currency != "USD":
            self._fail(("currency",), f"currency {currency!r}: prices are in USD")
        for model, value in self._table("models").items():
            pattern = str(model)
            tables = value if isinstance(value, list) else [value]
            for index, table in enumerate(tables):
                path: tuple[str, ...] = (
                    ("models", pattern, str(index)) if isinstance(value, list) else ("models", pattern)
                )
                if not isinstance(table, Mapping):
                    self._fail(path, f"model {pattern!r}: expected a table such as {{ input = 0.5, output = 1.5 }}")
                yield self._entry(pattern, table, path)
        yield from self._price_map(self._table("price_map"))

    def _entry(self, pattern: str, table: Mapping[str, Any], path: tuple[str, ...]) -> Entry:
        def read(key: str, parse: Callable[[str, Any], _T], default: _T) -> _T:
            try:
                return parse(key, table[key]) if key in table else default
            except ValueError as problem:
                self._fail((*path, key), f"model {pattern!r}: {problem}")

        for key in table:
            if key not in KINDS and key not in ENTRY_KEYS:
                hint = _did_you_mean(key, (*KINDS, *ENTRY_KEYS))
                problem = f"{key!r} is not a price kind (input, output, cache_read, cache_write, ...){hint}"
                self._fail((*path, key), f"model {pattern!r}: {problem}")
        prices = {kind: read(kind, _usd, Decimal(0)) for kind in KINDS if kind in table}
        steps: Mapping[str, Steps] = read("above", _steps, {})
        same_as = read("same_as", _text, None)
        free = read("free", _flag, default=False)
        since, until = read("from", _day, None), read("until", _day, None)
        if free and (prices or same_as):
            self._fail((*path, "free"), f"model {pattern!r}: free = true leaves no room for prices")
        if not (free or prices or same_as):
            self._fail(path, f"model {pattern!r}: no price: give input and output, or same_as, or free = true")
        if since and until and since >= until:
            problem = f"until = {until:%Y-%m-%d} is not after from = {since:%Y-%m-%d}"
            self._fail((*path, "until"), f"model {pattern!r}: {problem}")
        if missing := next((kind for kind in steps if kind not in prices), None):
            problem = f"above: {missing} has no price for less input"
            self._fail((*path, "above"), f"model {pattern!r}: {problem}")
        return Entry(
            pattern=pattern.strip().lower(),
            where=self._where(path),
            provider=provider_id_of(provider) if (provider := read("provider", _text, None)) else None,
            tier=tier_of(read("tier", _text, None)),
            region=region.strip().lower() if (region := read("region", _text, None)) else None,
            terms=tuple((name, word.strip().lower()) for name in TERMS if (word := read(name, _text, None))),
            since=since,
            until=until,
            same_as=same_as,
            free=free,
            by_kind={kind: Rate(usd, steps.get(kind, ())) for kind, usd in prices.items()},
        )

    def _price_map(self, price_map: Mapping[str, Any]) -> Iterator[Entry]:
        """LangChain NVIDIA's form: USD per thousand tokens; `NAME-completion`, where there is one, is NAME's output."""
        per_million = {}
        for name, value in price_map.items():
            try:
                per_million[name] = EXACT.multiply(_usd(name, value), 1_000)
            except ValueError as problem:
                self._fail(("price_map", name), f"price_map: {problem}")
        for name, input_usd in per_million.items():
            output_usd = per_million.get(f"{name}-completion", input_usd)
            yield Entry(
                pattern=str(name).strip().lower(),
                where=self._where(("price_map", name)),
                by_kind={"input": Rate(input_usd), "output": Rate(output_usd)},
            )

    def _table(self, key: str) -> Mapping[str, Any]:
        table = self.data.get(key, {})
        if not isinstance(table, Mapping):
            self._fail((key,), f"{key}: expected a table, [{key}]")
        return table

    def _where(self, path: tuple[str, ...]) -> str:
        line = self._line(path)
        return self.label if line is None else f"{self.label}:{line}"

    def _fail(self, path: tuple[str, ...], problem: str) -> NoReturn:
        raise ConfigurationError(f"{self._where(path)}: {problem}")

    @cached_property
    def _lines(self) -> list[str]:
        return (self.text or "").split("\n")

    @cached_property
    def _lines_by_key(self) -> Mapping[str, list[int]]:
        """The numbers of the lines that may begin with each key: an index, as a file may have thousands of keys."""
        found: dict[str, list[int]] = {}
        for number, line in enumerate(self._lines):
            plain = line.lstrip()
            rests = [plain]
            if plain.startswith("["):
                inner = plain.lstrip("[")
                rests = [inner, _TABLE_OF_KEY.sub("", inner)]
            keys = (rest[: end.start()].strip().strip("\"'") for rest in rests for end in _AFTER_KEY.finditer(rest))
            for key in dict.fromkeys(keys):
                found.setdefault(key, []).append(number)
        return found

    def _line(self, path: tuple[str, ...]) -> int | None:
        """The line at which `path` (or its nearest parent) begins; None for data without lines."""
        found: list[int] = []
        for key in path:
            if key.isdigit() and len(found) > int(key):
                found = found[int(key) :]  # [[models.x]], once for each of a model's prices
                continue
            start = found[0] if found else 0
            found = [number for number in self._lines_by_key.get(key, ()) if number >= start] or found
            if found and not self._lines[found[0]].lstrip().startswith("["):
                break  # Everything inside this key is on its line.
        return found[0] + 1 if found else None


def _usd(kind: str, value: Any) -> Decimal:
    """USD per million tokens, as written; USD each (see `PER_ITEM`) becomes USD per million."""
    try:
        usd = Decimal("NaN" if isinstance(value, bool) else str(value).strip().removeprefix("$"))
    except (InvalidOperation, ValueError):  # Python converts no integer of more than 4,300 digits to text
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        shown = value if isinstance(value, Decimal) else quoted(value)
        raise ValueError(f"{kind} = {shown} is not a price in USD (examples: 2.5, 0.075)")
    return per_million(kind, usd)


def _steps(key: str, value: Any) -> Mapping[str, Steps]:
    """Long-context prices by kind: `above = { input_tokens = 200_000, input = 5 }`, or a list of such tables."""
    steps: dict[str, Steps] = {}
    previous = 0
    for step in value if isinstance(value, list) else [value]:
        start = step.get("input_tokens") if isinstance(step, Mapping) else None
        if not isinstance(start, int) or start <= previous:
            raise ValueError(f"{key}: expected tables like {{ input_tokens = 200_000, input = 5 }}, in ascending order")
        previous = start
        for kind, price in step.items():
            if kind in KINDS:
                steps[kind] = (*steps.get(kind, ()), (start, _usd(kind, price)))
            elif kind != "input_tokens":
                raise ValueError(f"{key}: {kind!r} is not a price kind{_did_you_mean(kind, KINDS)}")
    return steps


def _text(key: str, value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} = {quoted(value)}: expected a name in quotes")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{key} = {quoted(value)}: expected true or false")  # noqa: TRY004 -- a mistake in a file, not in code
    return value


def _day(key: str, value: Any) -> datetime | None:
    """Midnight UTC of that day."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(f"{key} = {value!s} is not a day (example: 2026-01-01, without quotes)")  # noqa: TRY004
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
