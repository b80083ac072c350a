"""`LLMUsage`: what a test reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from functools import partial
from pprint import pformat
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pytest_llm_usage.billing import price_file_lines
from pytest_llm_usage.budget.breaches import breaches
from pytest_llm_usage.budget.failure import failure_text
from pytest_llm_usage.budget.limits import Limits
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.errors import (
    BudgetExceededError,
    ConfigurationError,
    PriceUnknownError,
    UsageUnknownError,
    hides_frames,
)
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import Call, call_attribute, langchain_report, usage_by_model
from pytest_llm_usage.money import total
from pytest_llm_usage.text import columns, fitted, plural, quoted
from pytest_llm_usage.usage import TokenUsage

if TYPE_CHECKING:
    from pytest_llm_usage.anatomy.growth import Growth
    from pytest_llm_usage.anatomy.prefix import CachePrefix
    from pytest_llm_usage.anatomy.prompt import Prompt
    from pytest_llm_usage.tracker.reconcile import Discrepancy

__all__ = ["LLMUsage", "LLMUsageWarning", "Missing", "growth_failures"]

#: pytest shows the user's line alone.
__tracebackhide__ = hides_frames

#: What reading an unknown number does: raise, warn and count what is known, or count what is known.
Missing: TypeAlias = Literal["error", "warn", "ignore"]


class LLMUsageWarning(UserWarning):
    """A number is incomplete, and configuration says to go on all the same."""


class CallSource(Protocol):
    """What a view needs of the tracker that collects the calls."""

    @property
    def missing(self) -> Missing:
        """What reading a number does if it is not known because a call's usage is not."""

    @property
    def unpriced(self) -> Missing:
        """What reading a cost does if it is not known because a call's price is not."""

    def calls(self) -> tuple[Call, ...]:
        """The calls so far, in the order in which they started."""

    def prompt_of(self, call: Call) -> Prompt | None:
        """What a call sent; None where that cannot be read."""

    def section(self, name: str) -> AbstractContextManager[LLMUsage]:
        """A view on the calls that are made inside."""

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """The calls on which LangChain and the provider disagree."""

    def add_reported(self, left: Any, right: Any) -> Any:
        """LangChain's own sum of two usages that it reported."""


class LLMUsage:
    """Token usage and cost of model calls: of a test, a section, a model, a node. Live: it shows the calls so far.

    In LangChain's terms (`UsageMetadata`): input includes cached tokens, output includes reasoning. Answers of
    LangChain's own cache are listed in `calls` and count nothing. Reading a number that is not known raises, see
    `total_tokens` and `cost`.
    """

    __slots__ = ("_select", "_source")

    def __init__(self, source: CallSource, select: Callable[[Call], bool] | None = None) -> None:
        self._source = source
        self._select = select

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, in the order in which they started."""
        calls = self._source.calls()
        return calls if self._select is None else tuple(filter(self._select, calls))

    @property
    def input_tokens(self) -> int:
        """Tokens sent, cached ones included. Raises `UsageUnknownError` as `total_tokens` does."""
        return self._sum("input_tokens").input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens received, reasoning included. Raises `UsageUnknownError` as `total_tokens` does."""
        return self._sum("output_tokens").output_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all models.

        Raises:
            UsageUnknownError: The usage of a call is not known (ini `llm_usage_missing` can let it count what is).
        """
        return self._sum("total_tokens").total_tokens

    @property
    def billed_tokens(self) -> int:
        """The tokens that are paid for, with work that the providers list apart (see `Call.parts`).

        More than `total_tokens` where there is such work, fewer where a provider bills fewer than it counts. Raises
        `UsageUnknownError` as `total_tokens` does.
        """
        self._sum("billed_tokens")
        return sum(call.billed_tokens or 0 for call in self.calls)

    @property
    def input_token_details(self) -> Mapping[str, int]:
        """Parts of the input tokens by kind (`cache_read` …), summed, every key kept."""
        return self._sum("input_token_details").input_token_details

    @property
    def output_token_details(self) -> Mapping[str, int]:
        """Parts of the output tokens by kind (`reasoning` …), summed, every key kept."""
        return self._sum("output_token_details").output_token_details

    @property
    def input_by_part(self) -> InputByPart:
        """The input tokens by part: `system`, `tools` (each schema by name in `tools_by_name`), `history`, `tool_results`,
        `user`, `images`, `files`, `other`. The shares are estimates; they add up to `input_tokens`.

        Raises:
            UsageUnknownError: The usage of a call is not known, or its request cannot be read.
        """
        spent = [call for call in self.calls if call.is_billed and (call.usage is not None or call.is_unknown)]
        unknown = [call for call in spent if call.input_by_part is None]
        if unknown:
            self._unknown(self._source.missing, UsageUnknownError, _parts_unknown(unknown, len(spent)))
        return sum((call.input_by_part for call in spent if call.input_by_part is not None), InputByPart({}))

    @property
    def cache_prefix(self) -> CachePrefix:
        """How much of each call's input repeats an earlier call of its model from the start, which a provider's prompt cache
        can make cheaper; where the repetition breaks, and what that costs. `cache_prefix.share` is a number from 0 to 1.

        Calls whose request cannot be read are left out.
        """
        from pytest_llm_usage.anatomy.prefix import cache_prefix  # noqa: PLC0415 -- when asked for

        return cache_prefix(self.calls, self._source.prompt_of)

    @property
    def growth(self) -> tuple[Growth, ...]:
        """How the input of each conversation of four calls or more grows: `constant`, `linear` or `quadratic` in the number of
        turns, and what more turns would cost (`cost_usd(50)`). Calls whose request cannot be read are left out.
        """
        from pytest_llm_usage.anatomy.growth import growths  # noqa: PLC0415 -- when asked for

        return growths(self.calls, self._source.prompt_of)

    @property
    def cost(self) -> Decimal:
        """USD, exact; an upper bound if `Quote.at_most` is true for a call: then that or less was billed.

        Raises:
            PriceUnknownError: A call has no price, or no known usage to price.
        """
        spent = [call for call in self.calls if call.usage is not None or call.is_unknown]
        unknown = [call for call in spent if call.cost_usd is None]
        for calls, policy in (
            ([call for call in unknown if call.is_unknown], self._source.missing),
            ([call for call in unknown if not call.is_unknown], self._source.unpriced),
        ):
            if calls:
                self._unknown(policy, PriceUnknownError, self._price_unknown(calls, len(spent)))
        return total(call.cost_usd for call in spent if call.cost_usd is not None)

    def explain_cost(self) -> str:
        """How the cost came about: tokens × price = amount, by model and kind, with the source of each price.

        The amounts add up to `cost` exactly. Calls without a price are listed with the reason.
        """
        from pytest_llm_usage.pricing import explain  # noqa: PLC0415 -- only where it is asked for

        spent = [call for call in self.calls if call.is_billed and (call.usage is not None or call.is_unknown)]
        quotes = [call.quote for call in spent if call.cost_usd is not None]
        unpriced = [call for call in spent if call.cost_usd is None]
        reasons = [f"unpriced: call {call.index + 1}, {call.model}: {call.quote.reason}" for call in unpriced]
        return "\n".join(
            (
                explain(quotes),
                *(line for reason in reasons for line in wrap(reason, 80, subsequent_indent="  ")),
                *price_file_lines(call.quote.fix for call in unpriced),
            )
        )

    @property
    def by_model(self) -> Mapping[str, LLMUsage]:
        """Views by model."""
        return self.by("model")

    @property
    def by_provider(self) -> Mapping[str, LLMUsage]:
        """Views by provider, in LangChain's words (`openai`, `amazon_bedrock` …)."""
        return self.by("provider")

    @property
    def by_node(self) -> Mapping[str, LLMUsage]:
        """Views by LangGraph node; the key is None for calls outside of a graph."""
        return self.by("node")

    def by(self, key: str | Callable[[Call], Any]) -> Mapping[Any, LLMUsage]:
        """Views by a `Call` attribute, or by what a callable returns for each call, in the order of appearance.

        Raises:
            ConfigurationError: A call has no such attribute.
        """
        of = key if callable(key) else call_attribute(key)
        keys = dict.fromkeys(map(of, self.calls))
        return MappingProxyType({value: self._narrowed(partial(_is, of, value)) for value in keys})

    def __getitem__(self, model: str) -> LLMUsage:
        """The view of one model."""
        views = self.by_model
        if model not in views:
            seen = ", ".join(views) or "none"
            raise KeyError(f"no call of model {model!r} (models called: {seen})")
        return views[model]

    def section(self, name: str) -> AbstractContextManager[LLMUsage]:
        """A context manager: the part of the test inside it, with the same API. Sections nest.

        Calls belong to the sections open where they start: in this task or thread and what it starts. Calls of a
        plain thread belong to the sections that the test itself has open.

        Raises:
            ConfigurationError: The name is not a string.
        """
        if not isinstance(name, str):
            raise ConfigurationError(f"section: {quoted(name)} is not a name (a string)")
        return self._source.section(name)

    @property
    def usage_metadata(self) -> dict[str, Any]:
        """`{model: UsageMetadata}` as LangChain reported it, to the letter.

        Equal to what `langchain_core.callbacks.get_usage_metadata_callback` gives for the same calls; calls that it
        drops for want of a model name are filed under the model that was asked for.
        """
        book: dict[str, Any] = {}
        for call in self.calls:
            reported, model = langchain_report(call)
            if reported is not None:
                model = model or call.model
                book[model] = self._source.add_reported(book.get(model), reported)
        return book

    @property
    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """Calls on which LangChain and the provider's response disagree; the provider's numbers count."""
        mine = {call.index for call in self.calls}
        return tuple(found for found in self._source.discrepancies() if found.call_index in mine)

    def assert_within(self, **limits: Any) -> None:
        """Fails if more was spent; takes the keywords of the marker `llm_budget` (`max_tokens`, `max_cost` …).

        Raises:
            BudgetExceededError: An `AssertionError` with the verdict and the table of calls.
            ConfigurationError: A keyword or value that cannot be read.
        """
        calls = self.calls
        parsed = Limits.parse(limits, origin="assert_within")
        found = breaches(parsed, calls)
        texts = [failure_text(found, calls)] if found else []
        texts += growth_failures([parsed], calls, self._source.prompt_of)
        if texts:
            raise BudgetExceededError(mask_text("\n\n".join(texts)))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain JSON-able data by model: calls, tokens, details that are not zero, cost in USD as a string.

        What is not known is None, never 0, with `calls_without_usage` beside it unless only the split of a total is unknown.
        """
        return usage_by_model(self.calls)

    # Not hashable: the data that it compares by changes.
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LLMUsage):
            return self.to_dict() == other.to_dict()
        if isinstance(other, Mapping):
            return self.to_dict() == other
        if type(other).__module__.partition(".")[0] == "syrupy":
            # A snapshot of syrupy's own: compare plain data, which its serializers write readably.
            return bool(other == self.to_dict())
        return NotImplemented

    def __repr__(self) -> str:
        # All data: snapshot libraries that do not know this class (syrupy's amber) write its repr.
        return f"LLMUsage({pformat(self.to_dict(), sort_dicts=False, width=100)})"

    # -- helpers -----------------------------------------------------------------------------------------------

    def _narrowed(self, select: Callable[[Call], bool]) -> LLMUsage:
        mine = self._select
        return LLMUsage(self._source, select if mine is None else lambda call: mine(call) and select(call))

    def _sum(self, name: str) -> TokenUsage:
        calls = self.calls
        is_part = name in ("input_tokens", "output_tokens")
        unknown = [call for call in calls if call.is_unknown or (is_part and call.is_total_alone)]
        if unknown:
            self._unknown(self._source.missing, UsageUnknownError, _usage_unknown(name, unknown, len(calls)))
        return TokenUsage.summed(call.usage for call in calls if call.is_billed and call.usage is not None)

    def _unknown(self, policy: Missing, error: type[Exception], text: str) -> None:
        if policy == "error":
            raise error(text)
        if policy == "warn":
            warnings.warn(text, LLMUsageWarning, stacklevel=4)

    def _price_unknown(self, unpriced: Sequence[Call], count: int) -> str:
        verb = "has" if len(unpriced) == 1 else "have"
        lines = [f"cost is not known: {len(unpriced)} of {plural(count, 'call')} {verb} no price"]
        rows = [(str(call.index + 1), call.model, _why_unpriced(call), call.where or "") for call in unpriced]
        lines += [f"  {line}" for line in columns(fitted(rows, 1), "><<<")]
        way_out = [_COUNT_WHAT_IS_KNOWN] if any(call.is_unknown for call in unpriced) else []
        fixes = price_file_lines(call.quote.fix for call in unpriced)
        return "\n".join((*lines, *_how_to_ask(unpriced), *fixes, *way_out))


def growth_failures(
    limits: Iterable[Limits], calls: Sequence[Call], prompt_of: Callable[[Call], Prompt | None]
) -> list[str]:
    """The failures of `max_growth` in each of the limits (see `anatomy.growth_limit`); loads nothing if none has it."""
    limited = [each for each in limits if each.max_growth is not None]
    if not limited:
        return []
    from pytest_llm_usage.anatomy.growth_limit import growth_failure  # noqa: PLC0415 -- only where it is limited

    return [text for each in limited if (text := growth_failure(each, calls, prompt_of)) is not None]


def _is(of: Callable[[Call], Any], value: object, call: Call) -> bool:
    return bool(of(call) == value)


def _why_unknown(call: Call) -> str:
    known = "" if call.usage is None else plural(call.usage.total_tokens, "token")
    least = f"{known} in total" if call.is_total_alone else f"at least {known}" if known else ""
    return "; ".join(filter(None, (call.note, least)))


#: How to read the numbers that are known.
_COUNT_WHAT_IS_KNOWN = "To count what is known:  llm_usage_missing = warn  in pytest's configuration"


def _parts_unknown(unknown: Sequence[Call], count: int) -> str:
    verb = "has" if len(unknown) == 1 else "have"
    lines = [
        f"input_by_part is not known: {len(unknown)} of {plural(count, 'call')} {verb} no request that can be read"
    ]
    rows = [(str(call.index + 1), call.model, call.input_by_part_reason, call.where or "") for call in unknown]
    return "\n".join((*lines, *(f"  {line}" for line in columns(fitted(rows, 1), "><<<")), _COUNT_WHAT_IS_KNOWN))


def _usage_unknown(name: str, unknown: Sequence[Call], count: int) -> str:
    told = "did not report all usage" if any(call.usage is not None for call in unknown) else "reported no usage"
    told = "reported only a total" if all(call.is_total_alone for call in unknown) else told
    lines = [f"{name} is not known: {len(unknown)} of {plural(count, 'call')} {told}"]
    rows = [
        (str(call.index + 1), call.model, "stream" if call.streamed else "", _why_unknown(call), call.where or "")
        for call in unknown
    ]
    lines += [f"  {line}" for line in columns(fitted(rows, 1), "><<<<")]
    return "\n".join((*lines, *_how_to_ask(unknown), _COUNT_WHAT_IS_KNOWN))


def _why_unpriced(call: Call) -> str:
    return "; ".join(filter(None, (call.quote.reason, _why_unknown(call) if call.is_unknown else "")))


def _how_to_ask(unknown: Iterable[Call]) -> list[str]:
    """How to make streams report usage, if one has not: with LangChain, and with an SDK."""
    ways = {"langchain": "  ChatOpenAI(..., stream_usage=True)", "http": '  stream_options={"include_usage": True}'}
    fixes = sorted({ways[call.source] for call in unknown if call.streamed and call.status == "no_usage"})
    return ["OpenAI-compatible servers send usage in streams only when asked:", *fixes] if fixes else []
