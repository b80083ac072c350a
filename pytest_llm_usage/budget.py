"""Limits on what a test (or the run) may spend, and what it says when more was spent.

`Limits` are read from strings as people write them (`5k`, `$0.02`), each with the place it came from; `breaches`
compares them with calls; `failure_text` is the verdict with the table of calls. Pure values: who fails, and when, is
decided above.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import ROUND_DOWN, Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import EXACT, normal, total
from pytest_llm_usage.text import columns, inert, plural, shortened, tokens, width

if TYPE_CHECKING:  # settings loads this module at every start of pytest
    from pytest_llm_usage.input_by_part import InputPart
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "BUDGET_KINDS",
    "Breach",
    "BudgetKind",
    "Limits",
    "breaches",
    "call_lines",
    "failure_text",
    "must_stop",
    "parse_count",
    "parse_share",
    "parse_usd",
    "spending",
]

_COUNT = re.compile(r"([0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?\s*([kKmM]?)")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%)?")
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


def parse_share(value: object) -> Decimal:
    """A share as people write it: `0.6`, `60 %`.

    Raises:
        ConfigurationError: It is not one, or not between none and all.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and (match := _SHARE.fullmatch(value.strip())):
        share = EXACT.divide(Decimal(match[1]), 100) if match[2] else Decimal(match[1])
        if share <= 1:
            return share
    raise ConfigurationError(f"{value!r} is not a share between 0 and 1 (examples: 0.6, 60 %)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetKind:
    """Something that can be limited: a field of `Limits`, and everything else there is to know about it.

    Attributes:
        noun: What is counted, in the singular (`input token`); `USD` for money.
        spent: What is known that a call spent of it.
        is_unknown: Whether a call may have spent more of it than is known.
        is_at_most: Whether a call may have spent less of it than is known.
        why_unknown: Why it is not known of a call that may have spent more; empty where the table of calls says enough.
        is_estimate: Whether what a call spent is an estimate.
        whole: What `spent` is a share of; the limit is then the least share, from 0 to 1, that is wanted of all calls.
        every_call_takes: Whether every call takes some of it, so that a limit of 0 allows none.
        what: What is not known of a call that may have spent more.
        option: The option without its prefix (`max-tokens`): `--llm-usage-max-tokens`, shorter `--max-tokens`, with an
            ini key and an environment variable; empty where only the marker has it.
        help: For `pytest --help`: what `{most}` of it does to a test.
        session_help: The same of an option (`session-max-tokens`) that limits the whole run; empty where there is none.
    """

    noun: str
    spent: Callable[[Call], int | Decimal]
    is_unknown: Callable[[Call], bool] = lambda call: call.is_unknown
    is_at_most: Callable[[Call], bool] = lambda _: False
    why_unknown: Callable[[Call], str] = lambda _: ""
    is_estimate: bool = False
    whole: Callable[[Call], int] | None = None
    every_call_takes: bool = True
    what: str = "usage"
    option: str = ""
    help: str = ""
    session_help: str = ""

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        return "USD" if self.noun == "USD" else "N"

    def parse(self, value: object) -> int | Decimal:
        """A limit as people write it. Raises ConfigurationError as `parse_count`, `parse_share` and `parse_usd` do."""
        if self.whole is not None:
            return parse_share(value)
        return parse_usd(value) if self.noun == "USD" else parse_count(value, f"{self.noun}s")

    def shown(self, amount: int | Decimal) -> str:
        """An amount with its unit: `6,120 tokens`, `~310 history tokens` for an estimate, `$0.02`."""
        if self.noun == "USD":
            return f"${_exact(amount)}"
        return f"{'~' if self.is_estimate and amount else ''}{plural(int(amount), self.noun)}"

    def shown_limit(self, amount: int | Decimal) -> str:
        """An amount whose unit has been said: `5,000`, `$0.02`."""
        return f"${_exact(amount)}" if self.noun == "USD" else f"{amount:,}"


def _kind(noun: str, spent: Callable[[Call], int | Decimal], **more: Any) -> Mapping[str, BudgetKind]:
    """What the metadata of a field of `Limits` holds."""
    return {"kind": BudgetKind(noun=noun, spent=spent, **more)}


def _tokens(count: Callable[[TokenUsage], int]) -> Callable[[Call], int]:
    """Counts tokens of a call: as the provider counts them or as it bills them, whichever is more."""
    return lambda call: max((count(usage) for usage in (call.usage, call.billed_usage) if usage is not None), default=0)


def _part(part: InputPart, noun: str) -> Mapping[str, BudgetKind]:
    """A limit on a part of the input."""
    return _kind(
        noun,
        lambda call: call.input_by_part[part] if call.input_by_part is not None else 0,
        is_unknown=lambda call: call.is_unknown or (call.usage is not None and call.input_by_part is None),
        why_unknown=lambda call: call.input_by_part_reason,
        is_estimate=True,
        every_call_takes=False,
        what="input parts",
    )


def _cache_read_of(call: Call) -> int | None:
    return None if call.usage is None else call.usage.input_token_details.get("cache_read")


def _why_no_cache_read(call: Call) -> str:
    return "" if call.usage is None else "its provider does not say how much of its input was read from a cache"


def _reasoning_of(call: Call) -> int | None:
    return None if call.usage is None else call.usage.output_token_details.get("reasoning")


def _why_no_reasoning(call: Call) -> str:
    return "" if call.usage is None else "its provider does not say how many of its output tokens are reasoning"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be spent; None is no limit. The fields are the keywords of the marker `llm_budget`.

    Tokens are those that the provider counts or those that it bills, whichever are more; work that it lists apart is billed.

    Attributes:
        max_tokens: Input and output tokens.
        max_input_tokens: Input tokens, cached ones included.
        max_output_tokens: Output tokens, reasoning included.
        max_system_tokens: Input tokens of system prompts, estimated (see `Call.input_by_part`).
        max_tool_schema_tokens: Input tokens of the tools' schemas, estimated.
        max_history_tokens: Input tokens of earlier messages that are sent again, estimated.
        max_reasoning_tokens: Output tokens of reasoning.
        min_cache_read: The least share of the input that is read from a cache, as the providers report it.
        max_cost: USD.
        max_calls: Requests to models; 0 means none at all. Answers of LangChain's own cache are none.
        model: A pattern (`gpt-4o*`); only calls of models that match it count.
        origins: Where each limit was set (`--max-tokens`, `@pytest.mark.llm_budget`), for the failure text.
    """

    max_tokens: int | None = field(
        default=None,
        metadata=_kind(
            "token",
            _tokens(lambda usage: usage.total_tokens),
            option="max-tokens",
            help="fail a test that uses more than N tokens (5000, 5_000, 5k, 1.5M; 0: no model call)",
            session_help="end the run once it has used more than N tokens",
        ),
    )
    max_input_tokens: int | None = field(
        default=None, metadata=_kind("input token", _tokens(lambda usage: usage.input_tokens))
    )
    max_output_tokens: int | None = field(
        default=None, metadata=_kind("output token", _tokens(lambda usage: usage.output_tokens))
    )
    max_system_tokens: int | None = field(default=None, metadata=_part("system", "system token"))
    max_tool_schema_tokens: int | None = field(default=None, metadata=_part("tools", "tool schema token"))
    max_history_tokens: int | None = field(default=None, metadata=_part("history", "history token"))
    max_reasoning_tokens: int | None = field(
        default=None,
        metadata=_kind(
            "reasoning token",
            lambda call: _reasoning_of(call) or 0,
            is_unknown=lambda call: call.is_unknown or (call.usage is not None and _reasoning_of(call) is None),
            why_unknown=_why_no_reasoning,
            every_call_takes=False,
            what="reasoning tokens",
        ),
    )
    min_cache_read: Decimal | None = field(
        default=None,
        metadata=_kind(
            "read from a cache",
            lambda call: _cache_read_of(call) or 0,
            is_unknown=lambda call: call.is_unknown or (call.usage is not None and _cache_read_of(call) is None),
            why_unknown=_why_no_cache_read,
            whole=lambda call: call.usage.input_tokens if call.usage is not None else 0,
            what="cache reads",
        ),
    )
    max_cost: Decimal | None = field(
        default=None,
        metadata=_kind(
            "USD",
            lambda call: call.cost_usd or Decimal(0),
            is_unknown=lambda call: call.cost_usd is None and (call.usage is not None or call.is_unknown),
            is_at_most=lambda call: call.quote.at_most,
            what="price",
            option="max-cost",
            help="fail a test whose model calls cost more than USD (0.02, $0.02)",
            session_help="end the run once its model calls have cost more than USD",
        ),
    )
    max_calls: int | None = field(
        default=None,
        metadata=_kind(
            "call",
            lambda _: 1,
            is_unknown=lambda _: False,
            option="max-llm-calls",
            help="fail a test that makes more than N model calls",
        ),
    )
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
        for name in BUDGET_KINDS:
            source = self if getattr(self, name) is not None else other
            merged[name] = getattr(source, name)
            if name in source.origins:
                origins[name] = source.origins[name]
        return Limits(**merged, model=self.model, origins=origins)

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in BUDGET_KINDS)

    def covers(self, call: Call) -> bool:
        """Whether a call counts towards these limits."""
        return call.is_billed and self.names(call.model)

    def names(self, model: str) -> bool:
        """Whether calls of a model count towards these limits."""
        return self.model is None or fnmatchcase(model, self.model)


#: Everything that can be limited, by the keyword of the marker.
BUDGET_KINDS: Mapping[str, BudgetKind] = {f.name: f.metadata["kind"] for f in fields(Limits) if "kind" in f.metadata}
_KEYWORDS = (*BUDGET_KINDS, "model")


def _parsed(name: str, value: object) -> object:
    if name in BUDGET_KINDS:
        return BUDGET_KINDS[name].parse(value)
    if isinstance(value, str) and value:
        return value
    raise ConfigurationError(f"{value!r} is not a pattern of a model's name (example: 'gpt-4o*')")


def _unknown_keyword(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

    near = get_close_matches(name, _KEYWORDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f" (it takes {', '.join(_KEYWORDS)})"
    return f"{name!r} is not a limit{hint}"


@dataclass(frozen=True)
class Breach:
    """A limit that was exceeded, or that cannot be verified.

    Attributes:
        name: The limit's keyword (`max_tokens` …).
        limit: What was allowed, tokens, calls or USD.
        spent: What is known to have been spent; a lower bound where `unknown` is not 0.
        unknown: Calls whose usage (or price) is not known.
        origin: Where the limit was set.
        model: The pattern the limit was restricted to, or None.
        at_most: Whether `spent` is an upper bound: that or less was spent.
        reserved: What calls without an answer are taken for, beside `spent`.
    """

    name: str
    limit: int | Decimal
    spent: int | Decimal
    unknown: int
    origin: str
    model: str | None = None
    at_most: bool = False
    reserved: int | Decimal = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether more than the limit was spent, or less of a share reached than is wanted."""
        return self.spent < self.limit if BUDGET_KINDS[self.name].whole is not None else self.spent > self.limit

    @property
    def verdict(self) -> str:
        """One line: what was spent, and what was allowed."""
        kind = BUDGET_KINDS[self.name]
        scope = f" for {self.model}" if self.model else ""
        if not (self.limit or self.spent or self.unknown):
            return f"LLM budget exceeded{scope}: a model call, but none is allowed ({self.origin}=0)"
        if kind.whole is not None:
            found, wanted = _percent(self.spent), _percent(self.limit)
            if self.unknown:
                unknown = f"{plural(self.unknown, 'call')} of unknown {kind.what}"
                return f"LLM budget cannot be verified{scope}: {unknown}, at least {wanted} wanted ({self.origin})"
            return f"LLM budget missed{scope}: {found} of the input was {kind.noun}, at least {wanted} wanted ({self.origin})"
        spent, limit = kind.shown(self.spent), f"limit {kind.shown_limit(self.limit)} ({self.origin})"
        if self.at_most:
            # Neither more nor less than the limit is certain.
            unknown = f" and {plural(self.unknown, 'call')} of unknown {kind.what}" if self.unknown else ""
            return f"LLM budget cannot be verified{scope}: at most {spent}{unknown}, {limit}"
        if self.reserved and self.spent <= self.limit:
            under_way = f"up to {kind.shown(self.reserved)} of calls under way"
            return f"LLM budget exceeded{scope}: {spent} and {under_way}, {limit}"
        if self.spent > self.limit:
            return f"LLM budget exceeded{scope}: {'at least ' if self.unknown else ''}{spent}, {limit}"
        unknown = f"{plural(self.unknown, 'call')} of unknown {kind.what}"
        return f"LLM budget cannot be verified{scope}: {spent} and {unknown}, {limit}"


def _percent(share: int | Decimal) -> str:
    """A share to a hundredth of a per cent, rounded down: what is missed never shows as reached."""
    return f"{normal(EXACT.multiply(Decimal(share), 100).quantize(Decimal('0.01'), ROUND_DOWN)):f} %"


def _exact(amount: int | Decimal) -> str:
    return f"{normal(Decimal(amount)):,f}"


def _breach(limits: Limits, name: str, calls: Sequence[Call], *, unpriced_holds: bool = False) -> Breach | None:
    """What `calls` spent of a limit, as a breach whether it is one or not; None where there is no such limit."""
    limit = getattr(limits, name)
    if limit is None:
        return None
    kind = BUDGET_KINDS[name]
    amounts = [kind.spent(call) for call in calls]
    spent = total(map(Decimal, amounts)) if kind.noun == "USD" else sum(amounts)
    if kind.whole is not None:
        whole = sum(map(kind.whole, calls))
        spent = EXACT.divide(Decimal(spent), whole) if whole else Decimal(1)
    return Breach(
        name,
        limit,
        spent,
        sum(call.is_unknown if unpriced_holds else kind.is_unknown(call) for call in calls),
        limits.origins.get(name, name),
        limits.model,
        at_most=any(map(kind.is_at_most, calls)),
    )


def breaches(limits: Limits, calls: Iterable[Call], *, unpriced_holds: bool = False) -> list[Breach]:
    """The limits that `calls` exceed, or that cannot be verified because usage or a price is unknown.

    Exceeded is *more* than the limit. Prices are looked up only where a cost is limited.

    Args:
        limits: What may be spent.
        calls: What was.
        unpriced_holds: Whether a cost limit holds over calls of known usage without a price.
    """
    covered = [call for call in calls if limits.covers(call)]
    found = (
        _breach(limits, name, covered, unpriced_holds=unpriced_holds and name == "max_cost") for name in BUDGET_KINDS
    )
    return [breach for breach in found if breach is not None and (breach.is_exceeded or breach.unknown)]


def spending(limits: Limits, calls: Iterable[Call]) -> list[tuple[str, int | Decimal, int | Decimal, str]]:
    """What `calls` are known to have spent of each limit: its keyword, the limit, the amount, where it was set."""
    covered = [call for call in calls if limits.covers(call)]
    found = (_breach(limits, name, covered) for name, kind in BUDGET_KINDS.items() if kind.whole is None)
    return [(breach.name, breach.limit, breach.spent, breach.origin) for breach in found if breach is not None]


#: A limit on tokens or cost stops the next call once so many have answered without usage: a loop of those would not end.
MOST_UNKNOWN = 10


def must_stop(
    limits: Limits,
    calls: Sequence[Call],
    model: str,
    *,
    sent: Sequence[str] = (),
    under_way: Sequence[str] = (),
    reserve: bool = False,
) -> Breach | None:
    """The limit that forbids a further call of `model`, or None.

    That is one which is exceeded already, or one that any further call exceeds: the number of calls is reached, or
    nothing at all may be spent. Calls of unknown usage fail the test at its end; they stop nothing before there are
    `MOST_UNKNOWN` of them.

    Args:
        limits: What may be spent.
        calls: The calls so far.
        model: The model that is about to be called.
        sent: The models of requests without an answer that are not among `calls`.
        under_way: The models of those among `calls` that have no answer yet.
        reserve: Whether calls that have no answer yet are taken for as large as the largest so far.
    """
    if not limits.names(model):
        return None
    covered = [call for call in calls if limits.covers(call)]
    requests = sum(map(limits.names, sent))
    open_calls = sum(map(limits.names, under_way))
    unknown = sum(call.is_unknown for call in covered) - open_calls
    for name, kind in BUDGET_KINDS.items():
        # A share may yet be reached.
        breach = _breach(limits, name, covered) if kind.whole is None else None
        if breach is None:
            continue
        spent, limit = breach.spent, breach.limit
        if name == "max_calls":
            if spent + requests >= limit:
                return replace(breach, spent=spent + requests + 1)
            continue
        reserved = (requests + open_calls) * max(map(kind.spent, covered), default=0) if reserve else 0
        if (limit == 0 and kind.every_call_takes) or spent + reserved > limit or unknown >= MOST_UNKNOWN:
            return replace(breach, unknown=max(breach.unknown - open_calls, 0), reserved=reserved)
    return None


def call_lines(
    calls: Sequence[Call], stopped: Sequence[str] = (), *, mark: str | None = "max_tokens", columns_most: int = 0
) -> list[str]:
    """A table of calls, one line each: model, tokens and where it was made, the largest marked.

    Work that a provider lists apart has a line of its own beneath its call.

    Args:
        calls: The calls, in order.
        stopped: Where calls were stopped before they were sent; listed behind the others.
        mark: The limit by which the largest is found (`max_cost` …); None marks none.
        columns_most: The columns there are, where there is a limit: models, then places are cut in their middle to fit.
    """
    rows = [("#", "model", "input", "output", "total", "where")]
    sizes = [0 if mark is None else BUDGET_KINDS[mark].spent(call) for call in calls]
    largest = max(sizes, default=0)
    for call, size in zip(calls, sizes, strict=True):
        is_largest = largest and size == largest and len(calls) > 1 and sizes.count(largest) == 1
        where = (call.where or "") + ("   <- largest" if is_largest else "")
        rows.append((str(call.index + 1), call.model, *_counts(call), where))
        rows += [
            ("", f"+ {part.kind}: {part.model}", *_tokens_text(part.billing.usage or part.usage), "")
            for part in call.parts
            if not part.in_total
        ]
    if columns_most:
        room = columns_most - sum(max(width(row[i]) for row in rows) + 2 for i in (0, 2, 3, 4)) - 2
        place_width = min(max(width(row[5]) for row in rows), max(room - _NARROWEST, _NARROWEST))
        model_width = max(room - place_width, _NARROWEST)
        rows = [(row[0], shortened(row[1], model_width), *row[2:5], shortened(row[5], place_width)) for row in rows]
    table = columns(rows, "><>>><")
    number = max((call.index + 1 for call in calls), default=0)
    behind, edge = table[0].index("where"), max(len(row[0]) for row in rows)
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
    return _tokens_text(call.usage, ">=" if call.is_partial else "")


def _tokens_text(usage: TokenUsage, sign: str = "") -> tuple[str, str, str]:
    sent, received, total = map(tokens, (usage.input_tokens, usage.output_tokens, usage.total_tokens))
    return f"{sign}{sent}", f"{sign}{received}", f"{sign}{total}"


def failure_text(found: Sequence[Breach], calls: Sequence[Call], stopped: Sequence[str] = ()) -> str:
    """The verdict, a line for each limit that was exceeded, and below it the table of calls."""
    lines = [breach.verdict for breach in found]
    if calls or stopped:
        mark = found[0].name if BUDGET_KINDS[found[0].name].whole is None else None
        table = call_lines(calls, stopped, mark=mark)
        lines += ["", *(f"  {line}" for line in table)]
    if any(breach.at_most for breach in found):
        reasons = dict.fromkeys(note for call in calls if call.quote.at_most for note in call.quote.notes)
        lines += ["", *(f"  At most: {reason}" for reason in reasons)]
    if any(breach.name == "max_tool_schema_tokens" and breach.spent for breach in found):
        lines += ["", *(f"  {line}" for line in _tool_lines(calls))]
    whys = dict.fromkeys(why for breach in found for call in calls if (why := _why_unknown(breach, call)))
    lines += ["", *(f"  Unknown: {why}" for why in whys)] if whys else []
    if any(breach.name == "max_cost" and breach.unknown for breach in found):
        unpriced = [call for call in calls if call.usage is not None and not call.is_partial and call.cost_usd is None]
        reasons = dict.fromkeys(call.quote.reason or f"no price is known for {call.model}" for call in unpriced)
        fixes = dict.fromkeys(call.quote.fix for call in unpriced if call.quote.fix)
        lines += ["", *(f"  Unpriced: {reason}" for reason in reasons)] if reasons else []
        lines += [f"  Add to the file of llm_usage_prices:  {fix}" for fix in fixes]
    return "\n".join(map(inert, lines))


def _why_unknown(breach: Breach, call: Call) -> str:
    kind = BUDGET_KINDS[breach.name]
    return kind.why_unknown(call) if breach.unknown and call.is_billed and kind.is_unknown(call) else ""


def _tool_lines(calls: Iterable[Call]) -> list[str]:
    """The schemas that were sent, the largest first: what one takes in a call, and in how many calls it was sent."""
    sizes: dict[str, list[int]] = {}
    for call in calls:
        for name, size in (call.input_by_part.tools_by_name if call.input_by_part is not None else {}).items():
            sizes.setdefault(name, []).append(size)
    ranked = sorted(sizes.items(), key=lambda item: -sum(item[1]))
    rows = [(name, f"~{sum(found):,}", f"in {plural(len(found), 'call')}") for name, found in ranked]
    return columns([("tool", "tokens", ""), *rows], "<><")
