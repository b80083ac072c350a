"""`Limits`, and `BudgetKind`: the definition of each thing that can be limited."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pytest_llm_usage.budget.amounts import parse_count, parse_share, parse_usd, shown_usd
from pytest_llm_usage.errors import ConfigurationError, hides_frames
from pytest_llm_usage.records import Record
from pytest_llm_usage.text import plural, quoted

if TYPE_CHECKING:  # settings loads this module at every start of pytest
    from pytest_llm_usage.input_by_part import InputPart
    from pytest_llm_usage.ledger import Call
    from pytest_llm_usage.usage import TokenUsage

__all__ = ["BUDGET_KINDS", "GROWTH_LIMITS", "LIMIT_KEYWORDS", "BudgetKind", "Limits"]

#: pytest shows the user's line alone.
__tracebackhide__ = hides_frames


class BudgetKind(Record):
    """The definition of something that can be limited; each belongs to a field of `Limits`.

    Attributes:
        noun: What is counted, in the singular (`input token`); `USD` for money.
        spent: How much of it a call is known to have spent.
        is_unknown: Whether a call may have spent more than that.
        is_at_most: Whether a call may have spent less than that.
        why_unknown: Why it is not known how much more a call spent; empty if the table of calls says enough.
        is_estimate: Whether `spent` is an estimate.
        whole: What `spent` is a share of. The limit is then the smallest share, from 0 to 1, that all calls together must reach.
        every_call_takes: Whether every call spends some of it, so that a limit of 0 allows no call.
        what: What is unknown about a call that may have spent more (`usage`, `price`).
        option: The option without its prefix (`max-tokens`): `--llm-usage-max-tokens`, shorter `--max-tokens`, with an
            ini key and an environment variable; empty if only the marker has it.
        help: The text for `pytest --help`.
        session_help: The same for the option that limits the whole run (`session-max-tokens`); empty if there is none.
    """

    noun: str
    spent: Callable[["Call"], int | Decimal]
    is_unknown: Callable[["Call"], bool] = lambda call: call.is_unknown
    is_at_most: Callable[["Call"], bool] = lambda _: False
    why_unknown: Callable[["Call"], str] = lambda _: ""
    is_estimate: bool = False
    whole: Callable[["Call"], int] | None = None
    every_call_takes: bool = True
    what: str = "usage"
    option: str = ""
    help: str = ""
    session_help: str = ""

    @property
    def metavar(self) -> str:
        """The placeholder of the value in the help."""
        return "USD" if self.noun == "USD" else "N"

    def parse(self, value: object) -> int | Decimal:
        """Reads a limit as people write it. Raises ConfigurationError as `parse_count`, `parse_share` and `parse_usd` do."""
        if self.whole is not None:
            return parse_share(value)
        return parse_usd(value) if self.noun == "USD" else parse_count(value, f"{self.noun}s")

    def shown(self, amount: int | Decimal) -> str:
        """An amount with its unit: `6,120 tokens`, `~310 history tokens` for an estimate, `$0.02`."""
        if self.noun == "USD":
            return f"${shown_usd(amount)}"
        return f"{'~' if self.is_estimate and amount else ''}{plural(int(amount), self.noun)}"

    def shown_limit(self, amount: int | Decimal) -> str:
        """An amount without its unit, which the text has named before: `5,000`, `$0.02`."""
        return f"${shown_usd(amount)}" if self.noun == "USD" else f"{amount:,}"


def _tokens(count: "Callable[[TokenUsage], int]") -> "Callable[[Call], int]":
    """A function that counts tokens of a call, as the provider counts or bills them, whichever is more."""
    return lambda call: max((count(usage) for usage in (call.usage, call.billed_usage) if usage is not None), default=0)


def _part(part: "InputPart", noun: str) -> BudgetKind:
    """The definition of a limit on a part of the input."""
    return BudgetKind(
        noun,
        lambda call: call.input_by_part[part] if call.input_by_part is not None else 0,
        is_unknown=lambda call: call.is_unknown or (call.usage is not None and call.input_by_part is None),
        why_unknown=lambda call: call.input_by_part_reason,
        is_estimate=True,
        every_call_takes=False,
        what="input parts",
    )


def _cache_read_of(call: "Call") -> int | None:
    return None if call.usage is None else call.usage.input_token_details.get("cache_read")


def _why_no_cache_read(call: "Call") -> str:
    return "" if call.usage is None else "its provider does not say how much of its input was read from a cache"


def _reasoning_of(call: "Call") -> int | None:
    return None if call.usage is None else call.usage.output_token_details.get("reasoning")


def _why_no_reasoning(call: "Call") -> str:
    return "" if call.usage is None else "its provider does not say how many of its output tokens are reasoning"


class Limits(Record):
    """How much may be spent; None is no limit. The fields are the keywords of the marker `llm_budget`.

    Tokens are those that the provider counts or those that it bills, whichever are more. Work that it lists separately is
    billed.

    Attributes:
        max_tokens: Input and output tokens.
        max_input_tokens: Input tokens, cached ones included.
        max_output_tokens: Output tokens, reasoning included.
        max_system_tokens: Input tokens of system prompts, estimated (see `Call.input_by_part`).
        max_tool_schema_tokens: Input tokens of the tools' schemas, estimated.
        max_history_tokens: Input tokens of earlier messages that are sent again, estimated.
        max_reasoning_tokens: Output tokens of reasoning.
        min_cache_read: The smallest share of the input that must be read from a cache, as the providers report it.
        max_cost: USD.
        max_calls: Requests to models; 0 allows none. Answers from LangChain's cache do not count.
        max_growth: How fast the input of a conversation of at least four calls may grow from call to call: one of
            `GROWTH_LIMITS`. It is not a number of single calls: `anatomy.growth_limit` checks it.
        model: A pattern (`gpt-4o*`); only calls of models that match it count.
        origins: Where each limit was set (`--max-tokens`, `@pytest.mark.llm_budget`), for the message of a failure.
    """

    max_tokens: Annotated[
        int | None,
        BudgetKind(
            "token",
            _tokens(lambda usage: usage.total_tokens),
            option="max-tokens",
            help="fail a test that uses more than N tokens (5000, 5_000, 5k, 1.5M; 0: no model call)",
            session_help="end the run once it has used more than N tokens",
        ),
    ] = None
    max_input_tokens: Annotated[
        int | None,
        BudgetKind(
            "input token",
            _tokens(lambda usage: usage.input_tokens),
            is_unknown=lambda call: call.is_unknown or call.is_total_alone,
        ),
    ] = None
    max_output_tokens: Annotated[
        int | None,
        BudgetKind(
            "output token",
            _tokens(lambda usage: usage.output_tokens),
            is_unknown=lambda call: call.is_unknown or call.is_total_alone,
        ),
    ] = None
    max_system_tokens: Annotated[int | None, _part("system", "system token")] = None
    max_tool_schema_tokens: Annotated[int | None, _part("tools", "tool schema token")] = None
    max_history_tokens: Annotated[int | None, _part("history", "history token")] = None
    max_reasoning_tokens: Annotated[
        int | None,
        BudgetKind(
            "reasoning token",
            lambda call: _reasoning_of(call) or 0,
            is_unknown=lambda call: call.is_unknown or (call.usage is not None and _reasoning_of(call) is None),
            why_unknown=_why_no_reasoning,
            every_call_takes=False,
            what="reasoning tokens",
        ),
    ] = None
    min_cache_read: Annotated[
        Decimal | None,
        BudgetKind(
            "read from a cache",
            lambda call: _cache_read_of(call) or 0,
            is_unknown=lambda call: (
                call.is_unknown or call.is_total_alone or (call.usage is not None and _cache_read_of(call) is None)
            ),
            why_unknown=_why_no_cache_read,
            whole=lambda call: call.usage.input_tokens if call.usage is not None else 0,
            what="cache reads",
        ),
    ] = None
    max_cost: Annotated[
        Decimal | None,
        BudgetKind(
            "USD",
            lambda call: call.cost_usd or Decimal(0),
            is_unknown=lambda call: call.cost_usd is None and (call.usage is not None or call.is_unknown),
            is_at_most=lambda call: call.quote.at_most,
            what="price",
            option="max-cost",
            help="fail a test whose model calls cost more than USD (0.02, $0.02)",
            session_help="end the run once its model calls have cost more than USD",
        ),
    ] = None
    max_calls: Annotated[
        int | None,
        BudgetKind(
            "call",
            lambda _: 1,
            is_unknown=lambda _: False,
            option="max-llm-calls",
            help="fail a test that makes more than N model calls",
        ),
    ] = None
    max_growth: str | None = None
    model: str | None = None
    origins: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, origin: str) -> "Limits":
        """Reads limits from the keywords of a marker or of `assert_within`.

        Raises:
            ConfigurationError: A keyword is unknown (the message has the nearest known one), or a value cannot be read.
        """
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in LIMIT_KEYWORDS:
                raise ConfigurationError(f"{origin}: {_unknown_keyword(name)}")
            if value is None:
                continue
            try:
                parsed[name] = _parsed(name, value)
            except ConfigurationError as error:
                raise ConfigurationError(f"{origin}: {name}: {error}") from None
        return cls(**parsed, origins=dict.fromkeys(parsed, origin))

    def over(self, other: "Limits") -> "Limits":
        """These limits, completed by those of `other` that are not set here."""
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

    def covers(self, call: "Call") -> bool:
        """Whether a call counts toward these limits."""
        return call.is_billed and self.names(call.model)

    def names(self, model: str) -> bool:
        """Whether calls to a model count toward these limits."""
        return self.model is None or fnmatchcase(model, self.model)


#: The definition of every limit on a count or a sum, by the keyword of the marker.
BUDGET_KINDS: Mapping[str, BudgetKind] = {
    name: hint.__metadata__[0] for name, hint in Limits.__annotations__.items() if hasattr(hint, "__metadata__")
}
#: The first fields of `Limits`.
_LIMITS = (*BUDGET_KINDS, "max_growth")
#: The keywords of the marker.
LIMIT_KEYWORDS = (*_LIMITS, "model")
#: The values of `max_growth`: the input may grow in this way, or more slowly.
GROWTH_LIMITS = ("constant", "linear")


def _parsed(name: str, value: object) -> object:
    if name in BUDGET_KINDS:
        return BUDGET_KINDS[name].parse(value)
    if name == "max_growth":
        if value in GROWTH_LIMITS:
            return value
        raise ConfigurationError(
            f"{quoted(value)} is not a growth that can be a limit ({', '.join(map(repr, GROWTH_LIMITS))})"
        )
    if isinstance(value, str) and value:
        return value
    raise ConfigurationError(f"{quoted(value)} is not a pattern of a model's name (example: 'gpt-4o*')")


def _unknown_keyword(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

    near = get_close_matches(name, LIMIT_KEYWORDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f" (it takes {', '.join(LIMIT_KEYWORDS)})"
    return f"{quoted(name)} is not a limit{hint}"
