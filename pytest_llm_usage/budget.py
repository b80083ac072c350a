"""Limits on what a test (or the run) may spend, and what it says when more was spent.

`Limits` are read from strings as people write them (`5k`, `$0.02`), each with the place it came from; `breaches`
compares them with calls; `failure_text` is the verdict with the table of calls. Pure values: who fails, and when, is
decided above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import EXACT, normal, total
from pytest_llm_usage.text import columns, plural, shortened, tokens, width

if TYPE_CHECKING:  # settings loads this module at every start of pytest
    from pytest_llm_usage.ledger import Call

__all__ = [
    "Breach",
    "Limits",
    "breaches",
    "call_lines",
    "failure_text",
    "must_stop",
    "parse_count",
    "parse_usd",
    "spending",
]

_COUNT = re.compile(r"([0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?\s*([kKmM]?)")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_USD = re.compile(r"\$?\s*([0-9]{1,3}(?:_[0-9]{3})+|[0-9]+|(?=\.[0-9]))(\.[0-9]+)?\s*(?:USD)?")


def parse_count(value: object, unit: str) -> int:
    """A number of `unit` (`tokens`, `calls`) as people write it: `5000`, `5_000`, `5k`, `1.5M`.

    Raises:
        ConfigurationError: It is not one; the message says what is.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _COUNT.fullmatch(value.strip())):
        whole, fraction, suffix = match.groups()
        exact = EXACT.multiply(Decimal(f"{whole.replace('_', '')}.{fraction or 0}"), _SCALE[suffix.lower()])
        if exact == exact.to_integral_value():
            return int(exact)
    raise ConfigurationError(f"{value!r} is not a number of {unit} (examples: 5000, 5_000, 5k, 1.5M)")


def parse_usd(value: object) -> Decimal:
    """An amount in USD as people write it: `0.02`, `$0.02`, `1_000`, a Decimal or an int.

    Raises:
        ConfigurationError: It is not one; a float is refused because it is not what was written (0.1 is not 1/10).
    """
    if isinstance(value, Decimal) and value.is_finite() and value >= 0:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Decimal(value)
    if isinstance(value, float):
        raise ConfigurationError(f"{value!r} is a float, which is not exact: write it as text, {str(value)!r}")
    if isinstance(value, str) and (match := _USD.fullmatch(value.strip())):
        whole, fraction = match.groups()
        return Decimal(f"{whole.replace('_', '') or 0}{fraction or ''}")
    raise ConfigurationError(f"{value!r} is not an amount in USD (examples: 0.02, $0.02, 1_000)")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be spent; None is no limit. The fields are the keywords of the marker `llm_budget`.

    Attributes:
        max_tokens: Input and output tokens.
        max_input_tokens: Input tokens, cached ones included.
        max_output_tokens: Output tokens, reasoning included.
        max_cost: USD.
        max_calls: Requests to models; 0 means none at all. Answers of LangChain's own cache are none.
        model: A pattern (`gpt-4o*`); only calls of models that match it count.
        origins: Where each limit was set (`--max-tokens`, `@pytest.mark.llm_budget`), for the failure text.
    """

    max_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    max_cost: Decimal | None = None
    max_calls: int | None = None
    model: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, origin: str) -> Limits:
        """Limits from the keywords of a marker or of `assert_within`.

        Raises:
            ConfigurationError: An unknown keyword (with the nearest known one), or a value that cannot be read.
        """
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in _KEYWORDS:
                raise ConfigurationError(f"{origin}: {_unknown_keyword(name)}")
            if value is None:
                continue
            try:
                parsed[name] = _parsed(name, value)
            except ConfigurationError as error:
                raise ConfigurationError(f"{origin}: {name}: {error}") from None
        return cls(**parsed, origins=dict.fromkeys(parsed, origin))

    def over(self, other: Limits) -> Limits:
        """These limits, and those of `other` where these set none: the nearest wins, limit by limit."""
        merged: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for name in _LIMITS:
            source = self if getattr(self, name) is not None else other
            merged[name] = getattr(source, name)
            if name in source.origins:
                origins[name] = source.origins[name]
        return Limits(**merged, model=self.model, origins=origins)

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in _LIMITS)

    def covers(self, call: Call) -> bool:
        """Whether a call counts towards these limits."""
        return call.is_billed and (self.model is None or fnmatchcase(call.model, self.model))


_KEYWORDS = tuple(f.name for f in fields(Limits) if f.name != "origins")
_LIMITS = tuple(name for name in _KEYWORDS if name != "model")


def _parsed(name: str, value: object) -> object:
    if name == "max_cost":
        return parse_usd(value)
    if name == "model":
        if isinstance(value, str) and value:
            return value
        raise ConfigurationError(f"{value!r} is not a pattern of a model's name (example: 'gpt-4o*')")
    return parse_count(value, "calls" if name == "max_calls" else "tokens")


def _unknown_keyword(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

    near = get_close_matches(name, _KEYWORDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f" (it takes {', '.join(_KEYWORDS)})"
    return f"{name!r} is not a limit{hint}"


@dataclass(frozen=True)
class Breach:
    """A limit that was exceeded, or that cannot be shown to hold.

    Attributes:
        name: The limit's keyword (`max_tokens` …).
        limit: What was allowed, tokens, calls or USD.
        spent: What is known to have been spent; a lower bound where `unknown` is not 0.
        unknown: Calls whose usage (or price) is not known.
        origin: Where the limit was set.
        model: The pattern the limit was restricted to, or None.
    """

    name: str
    limit: int | Decimal
    spent: int | Decimal
    unknown: int
    origin: str
    model: str | None = None

    @property
    def verdict(self) -> str:
        """One line: what was spent, and what was allowed."""
        scope = f" of {self.model}" if self.model else ""
        if self.name == "max_cost":
            spent, limit = f"${_exact(self.spent)}", f"${_exact(self.limit)}"
        else:
            noun = {"max_calls": "call", "max_input_tokens": "input token", "max_output_tokens": "output token"}
            spent = plural(int(self.spent), noun.get(self.name, "token"))
            limit = f"{self.limit:,}"
        if not (self.limit or self.spent or self.unknown):
            return f"LLM budget exceeded{scope}: a model call, where none may be made ({self.origin}=0)"
        if self.spent > self.limit:
            least = "at least " if self.unknown else ""
            return f"LLM budget exceeded{scope}: {least}{spent}, limit {limit} ({self.origin})"
        what = "price" if self.name == "max_cost" else "usage"
        return (
            f"LLM budget cannot be shown to hold{scope}: {spent} and {plural(self.unknown, 'call')} "
            f"of unknown {what}, limit {limit} ({self.origin})"
        )


def _exact(amount: int | Decimal) -> str:
    return f"{normal(Decimal(amount)):,f}"


def _spent(name: str, calls: Sequence[Call]) -> tuple[int | Decimal, int]:
    """What `calls` are known to have spent in terms of a limit, and of how many it is not known."""
    if name == "max_calls":
        return len(calls), 0
    if name == "max_cost":
        costs = [call.cost_usd for call in calls if call.usage is not None or call.is_unknown]
        return total(cost for cost in costs if cost is not None), costs.count(None)
    kind = {"max_input_tokens": "input_tokens", "max_output_tokens": "output_tokens"}.get(name, "total_tokens")
    spent = sum(getattr(call.usage, kind) for call in calls if call.usage is not None)
    return spent, sum(call.is_unknown for call in calls)


def breaches(limits: Limits, calls: Iterable[Call], *, unpriced_holds: bool = False) -> list[Breach]:
    """The limits that `calls` exceed, or that cannot be shown to hold because usage or a price is unknown.

    Exceeded is *more* than the limit. Prices are looked up only where a cost is limited.

    Args:
        limits: What may be spent.
        calls: What was.
        unpriced_holds: Whether a cost limit holds over calls of known usage without a price.
    """
    covered = [call for call in calls if limits.covers(call)]
    found = []
    for name in _LIMITS:
        limit = getattr(limits, name)
        if limit is None:
            continue
        spent, unknown = _spent(name, covered)
        if name == "max_cost" and unpriced_holds:
            unknown = sum(call.is_unknown for call in covered)
        if spent > limit or unknown:
            found.append(Breach(name, limit, spent, unknown, limits.origins.get(name, name), limits.model))
    return found


def spending(limits: Limits, calls: Iterable[Call]) -> list[tuple[str, int | Decimal, int | Decimal, str]]:
    """What `calls` are known to have spent of each limit: its keyword, the limit, the amount, where it was set."""
    covered = [call for call in calls if limits.covers(call)]
    return [
        (name, limit, _spent(name, covered)[0], limits.origins.get(name, name))
        for name in _LIMITS
        if (limit := getattr(limits, name)) is not None
    ]


def must_stop(limits: Limits, calls: Sequence[Call], model: str) -> Breach | None:
    """The limit that forbids a further call of `model`, or None.

    That is one which is exceeded already, or one that any further call exceeds: the number of calls is reached, or
    nothing at all may be spent. Calls of unknown usage stop nothing here; they fail the test at its end.
    """
    if limits.model is not None and not fnmatchcase(model, limits.model):
        return None
    covered = [call for call in calls if limits.covers(call)]
    for name in _LIMITS:
        limit = getattr(limits, name)
        if limit is None:
            continue
        spent, unknown = _spent(name, covered)
        reached = spent >= limit if name == "max_calls" or limit == 0 else spent > limit
        if reached:
            spent = spent + 1 if name == "max_calls" else spent
            return Breach(name, limit, spent, unknown, limits.origins.get(name, name), limits.model)
    return None


def call_lines(
    calls: Sequence[Call], stopped: Sequence[str] = (), *, mark: str | None = "total_tokens", columns_most: int = 0
) -> list[str]:
    """A table of calls, one line each: model, tokens and where it was made, the largest marked.

    Args:
        calls: The calls, in order.
        stopped: Where calls were stopped before they were sent; listed behind the others.
        mark: The kind of tokens (or `cost_usd`) by which the largest is found; None marks none.
        columns_most: The columns there are, where there is a limit: models, then places are cut in their middle to fit.
    """
    rows = [("#", "model", "input", "output", "total", "where")]
    sizes = [(call.cost_usd or 0) if mark == "cost_usd" else getattr(call.usage, mark or "", 0) for call in calls]
    largest = max(sizes, default=0)
    for call, size in zip(calls, sizes, strict=True):
        is_largest = largest and size == largest and len(calls) > 1 and sizes.count(largest) == 1
        where = (call.where or "") + ("   <- largest" if is_largest else "")
        rows.append((str(call.index + 1), call.model, *_counts(call), where))
    if columns_most:
        room = columns_most - sum(max(width(row[i]) for row in rows) + 2 for i in (0, 2, 3, 4)) - 2
        place_width = min(max(width(row[5]) for row in rows), max(room - _NARROWEST, _NARROWEST))
        model_width = max(room - place_width, _NARROWEST)
        rows = [(row[0], shortened(row[1], model_width), *row[2:5], shortened(row[5], place_width)) for row in rows]
    table = columns(rows, "><>>><")
    number = max((call.index + 1 for call in calls), default=0)
    behind, edge = table[0].index("where"), len(rows[-1][0])
    return table + [
        f"{str(number + i).rjust(edge)}  stopped before it was sent".ljust(behind - 2) + f"  {where}"
        for i, where in enumerate(stopped, start=1)
    ]


#: No name is cut shorter.
_NARROWEST = 12


def _counts(call: Call) -> tuple[str, str, str]:
    if call.usage is None:
        state = {"error": "failed", "cached": "cached"}.get(call.status)
        return ("", "", state) if state else ("?", "?", "?")
    if not call.is_billed:
        return "", "", "cached"
    usage, least = call.usage, ">=" if call.is_partial else ""
    sent, received, total = map(tokens, (usage.input_tokens, usage.output_tokens, usage.total_tokens))
    return f"{least}{sent}", f"{least}{received}", f"{least}{total}"


def failure_text(found: Sequence[Breach], calls: Sequence[Call], stopped: Sequence[str] = ()) -> str:
    """The verdict, a line for each limit that was exceeded, and below it the table of calls."""
    lines = [breach.verdict for breach in found]
    if calls or stopped:
        mark = {"max_cost": "cost_usd", "max_input_tokens": "input_tokens", "max_output_tokens": "output_tokens"}
        table = call_lines(calls, stopped, mark=mark.get(found[0].name, "total_tokens"))
        lines += ["", *(f"  {line}" for line in table)]
    if any(breach.name == "max_cost" and breach.unknown for breach in found):
        unpriced = [call for call in calls if call.usage is not None and not call.is_partial and call.cost_usd is None]
        reasons = dict.fromkeys(call.quote.reason or f"no price is known for {call.model}" for call in unpriced)
        fixes = dict.fromkeys(call.quote.fix for call in unpriced if call.quote.fix)
        lines += ["", *(f"  Unpriced: {reason}" for reason in reasons)] if reasons else []
        lines += [f"  Add to the file of llm_usage_prices:  {fix}" for fix in fixes]
    return "\n".join(lines)
