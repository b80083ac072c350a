"""Limits compared with calls: which are exceeded, which cannot be verified, which forbid another call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from pytest_llm_usage.budget.amounts import shown_share
from pytest_llm_usage.budget.limits import BUDGET_KINDS, Limits
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.text import plural

if TYPE_CHECKING:  # settings loads this module at every start of pytest
    from pytest_llm_usage.ledger import Call

__all__ = ["MOST_UNKNOWN", "Breach", "breaches", "must_stop", "spending"]


class Breach(NamedTuple):
    """A limit that was exceeded, or that cannot be verified.

    Attributes:
        name: The limit's keyword (`max_tokens` …).
        limit: What was allowed, in tokens, calls or USD.
        spent: What is known to have been spent; a lower bound if `unknown` is not 0.
        unknown: The number of calls whose usage (or price) is not known.
        origin: Where the limit was set.
        model: The pattern the limit was restricted to, or None.
        at_most: Whether `spent` is an upper bound: that or less was spent.
        reserved: What calls without an answer yet are assumed to spend, beside `spent`.
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
        """Whether more than the limit was spent, or a wanted share was not reached."""
        return self.spent < self.limit if BUDGET_KINDS[self.name].whole is not None else self.spent > self.limit

    @property
    def verdict(self) -> str:
        """One line: what was spent, and what was allowed."""
        kind = BUDGET_KINDS[self.name]
        scope = f" for {self.model}" if self.model else ""
        if not (self.limit or self.spent or self.unknown):
            is_keyword = self.origin.startswith(("@", "assert_"))  # of a marker or of `assert_within`
            limit = f"({self.name}=0)" if is_keyword else "=0"
            return f"LLM budget exceeded{scope}: a model call, but none is allowed ({self.origin}{limit})"
        if kind.whole is not None:
            found, wanted = shown_share(self.spent), shown_share(self.limit)
            if self.unknown:
                unknown = f"{plural(self.unknown, 'call')} with unknown {kind.what}"
                return f"LLM budget cannot be verified{scope}: {unknown}, at least {wanted} wanted ({self.origin})"
            return f"LLM budget missed{scope}: {found} of the input was {kind.noun}, at least {wanted} wanted ({self.origin})"
        spent, limit = kind.shown(self.spent), f"limit {kind.shown_limit(self.limit)} ({self.origin})"
        if self.at_most:
            # It is not certain whether more than the limit was spent.
            unknown = f" and {plural(self.unknown, 'call')} with unknown {kind.what}" if self.unknown else ""
            return f"LLM budget cannot be verified{scope}: at most {spent}{unknown}, {limit}"
        if self.reserved and self.spent <= self.limit:
            under_way = f"up to {kind.shown(self.reserved)} of calls under way"
            return f"LLM budget exceeded{scope}: {spent} and {under_way}, {limit}"
        if self.spent > self.limit:
            return f"LLM budget exceeded{scope}: {'at least ' if self.unknown else ''}{spent}, {limit}"
        unknown = f"{plural(self.unknown, 'call')} with unknown {kind.what}"
        return f"LLM budget cannot be verified{scope}: {spent} and {unknown}, {limit}"


def _breach(limits: Limits, name: str, calls: Sequence[Call], *, unpriced_holds: bool = False) -> Breach | None:
    """What `calls` spent of a limit, as a `Breach` even if the limit holds; None if the limit is not set."""
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

    Exceeded is *more* than the limit. Prices are looked up only if a cost is limited.

    Args:
        limits: What may be spent.
        calls: The calls that were made.
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


#: After this many calls without usage, a limit on tokens or cost stops the next call: a loop of them would never end.
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
    """The limit that forbids another call to `model`, or None.

    Such a limit is already exceeded, or any other call exceeds it: the number of calls is reached, or nothing may be
    spent at all. Calls with unknown usage fail the test at its end; they stop no call until there are `MOST_UNKNOWN` of
    them.

    Args:
        limits: What may be spent.
        calls: The calls so far.
        model: The model that is about to be called.
        sent: The models of requests without an answer that are not among `calls`.
        under_way: The models of those among `calls` that have no answer yet.
        reserve: Whether each call without an answer yet is assumed to be as large as the largest so far.
    """
    if not limits.names(model):
        return None
    covered = [call for call in calls if limits.covers(call)]
    requests = sum(map(limits.names, sent))
    open_calls = sum(map(limits.names, under_way))
    unknown = sum(call.is_unknown for call in covered) - open_calls
    for name, kind in BUDGET_KINDS.items():
        # A share may still be reached.
        breach = _breach(limits, name, covered) if kind.whole is None else None
        if breach is None:
            continue
        spent, limit = breach.spent, breach.limit
        if name == "max_calls":
            if spent + requests >= limit:
                return breach._replace(spent=spent + requests + 1)
            continue
        reserved = (requests + open_calls) * max(map(kind.spent, covered), default=0) if reserve else 0
        if (limit == 0 and kind.every_call_takes) or spent + reserved > limit or unknown >= MOST_UNKNOWN:
            return breach._replace(unknown=max(breach.unknown - open_calls, 0), reserved=reserved)
    return None
