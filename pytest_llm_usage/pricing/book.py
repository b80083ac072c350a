"""`PriceBook`: what a call costs, the user's own prices before those of genai-prices."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import wrap

from pytest_llm_usage.billing import PriceLine, Quote
from pytest_llm_usage.errors import NoPriceError, PriceUnknownError
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call
from pytest_llm_usage.money import EXACT, normal, plain, total
from pytest_llm_usage.pricing.billing_rules import (
    ALWAYS_SEARCH,
    BILLED_AS_REQUESTED,
    BILLED_BY_THE_HOUR,
    BILLS_LESS_THAN_TOKENS,
    PAID_BY_THE_HOUR,
    ROUTERS,
    SEARCH_ONCE_A_PROMPT,
    SEARCHES_FREE_AT_FIRST,
    STATED_TO_USD,
    STATES_FREE,
    provider_id_of,
    tier_of,
)
from pytest_llm_usage.pricing.genai_book import book_name, book_rates, look_up, shipped_providers, spellings
from pytest_llm_usage.pricing.price import PER_ITEM
from pytest_llm_usage.pricing.pricefile import Entry, PriceFile, PriceSource
from pytest_llm_usage.pricing.rates import Rates, lines_of
from pytest_llm_usage.text import columns, pointed

__all__ = ["PriceBook"]


class PriceBook:
    """The user's own prices, then genai-prices. Immutable; may be shared between threads.

    Among the user's prices an exact name wins over a pattern, then the earlier source, then the earlier line.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: not entry.is_exact))

    @classmethod
    def of(cls, *sources: PriceSource) -> PriceBook:
        """A book of the user's prices, before those of genai-prices.

        Args:
            sources: Paths of price files, mappings of the same form, or NVIDIA's `price_map`; the earlier wins.

        Raises:
            ConfigurationError: A source that cannot be used as it is written: what, in which line, and what it takes.
        """
        return cls(entry for source in sources for entry in PriceFile.read(source).entries())

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> PriceBook:
        """A book of one price file. Raises ConfigurationError as `of` does."""
        return cls.of(path)

    @property
    def name(self) -> str:
        """The books in the order in which they are asked: `prices.toml, genai-prices 0.2.3`."""
        files = dict.fromkeys(re.sub(r":\d+$", "", entry.where) for entry in self._entries)
        return ", ".join([*files, book_name()])

    def quote(self, call: Call) -> Quote:
        """What `call` costs. Never raises, whatever the call says.

        The price is that of `call.billing.priced_at` (else `started_at`, else now); `math.inf` means the newest price
        known, for a recording that does not say when it was made. A cost that the provider stated is the cost. The usage
        as billed is what is priced where there is one; what is billed by the piece, and the call's `parts`, each as its
        own model, are added.
        """
        book = self._book_quote(call)
        stated_usd = call.billing.stated_cost_usd
        if stated_usd is None or not stated_usd.is_finite() or stated_usd < 0:
            return book
        if stated_usd == 0 and provider_id_of(call.provider or "") not in STATES_FREE:
            return book  # The field is there and not filled in, as in Azure's answers by xAI's models.
        cost_usd = normal(stated_usd)
        source = f"stated by {call.provider or 'the provider'}"
        stated = Quote(
            cost_usd=cost_usd,
            lines=(PriceLine("stated", 1, None, cost_usd, call.model),),
            source=source,
            book_usd=book.cost_usd,
        )
        if book.cost_usd is None or EXACT.subtract(cost_usd, book.cost_usd).copy_abs() <= STATED_TO_USD:
            return stated
        note = f"{plain(cost_usd)} USD {source}; {book.source}, has {plain(book.cost_usd)} for it"
        return replace(stated, notes=(note,))

    def describe(self, model: str, *, provider: str | None = None, at: float | None = None) -> str:
        """What applies to `model` and from where, as text: its prices now (or at `at`, epoch seconds) by kind.

        Sellers at the same prices are listed together.

        Args:
            model: A model's name as a call would have it.
            provider: LangChain's word for who sells it; None lists everyone who sells a model of that name.
            at: Seconds since the epoch; None is now.

        Raises:
            PriceUnknownError: Nobody is known to sell it: why, and the line of the price file that settles it.
        """
        moment = _moment(time.time() if at is None else at)
        sellers: list[str | None] = [provider]
        if provider is None:
            sellers += dict.fromkeys(entry.provider for entry in self._entries)
            sellers += (each for each in shipped_providers() if look_up(each, model))
        sources: dict[str, list[str]] = {}
        for seller in sellers:
            try:
                rates = self._rates(seller, (model,), None, moment)
            except NoPriceError as error:
                reason = str(error)
            else:
                # Where nobody was asked for, all who sell it are listed, which says more than how one was guessed.
                text = _rates_text(rates if seller else replace(rates, notes=()))
                sources.setdefault(text, []).append(rates.source)
        if not sources:
            fix = _fix(Call(index=0, provider=provider, model=model), {})
            raise PriceUnknownError(f"{reason}\nAdd to the file of llm_usage_prices:  {fix}")
        head = _wrapped(f"{model} on {moment:%Y-%m-%d}, USD per million tokens")
        blocks = []
        for text, found in sources.items():
            first, *others = dict.fromkeys(found)
            blocks.append(
                "\n".join([*_wrapped(f"from {first}"), *(row for each in others for row in _wrapped(each, 5)), text])
            )
        return "\n\n".join(["\n".join(head), *blocks])

    def _book_quote(self, call: Call) -> Quote:
        billing = call.billing
        usage = billing.usage or call.usage
        if usage is None:
            return Quote(reason="its usage is not known")
        try:
            moment = _moment(billing.priced_at if billing.priced_at is not None else call.started_at or time.time())
            rates = self._rates(call.provider, _billed_names(call), tier_of(billing.service_tier), moment)
            lines, notes = lines_of(rates, usage, _items(call))
        except NoPriceError as error:
            return Quote(reason=str(error), fix=_fix(call, error.fix))
        if billing.priced_at == math.inf:
            notes.append("the recording does not say when it was made: the newest price that the book has")
        seller = provider_id_of(call.provider or "")
        if billing.usage is None and seller in BILLS_LESS_THAN_TOKENS:
            notes.append(f"{call.provider} bills fewer tokens than it counts, and does not say here how many: at most")
        if "web_search" in billing.items and seller in SEARCHES_FREE_AT_FIRST:
            notes.append(
                f"searches that {call.provider} does not bill, the first of a day or a month, are in it: at most"
            )
        # All of a batch is in the requests that it is made of.
        own = (
            []
            if any(part.in_total for part in call.parts)
            else [
                Quote(
                    cost_usd=total(line.amount_usd for line in lines),
                    lines=tuple(lines),
                    source=rates.source,
                    notes=tuple(notes),
                )
            ]
        )
        quotes = own
        for part in call.parts:
            terms = replace(billing, usage=None, items={}, parts=(), stated_cost_usd=None)
            quote = self._book_quote(
                replace(
                    call,
                    model=part.model,
                    requested_model=None,
                    usage=part.usage,
                    billing=part.billing.filled_from(terms),
                )
            )
            if quote.cost_usd is None:
                return quote
            quotes.append(quote)
        return Quote(
            cost_usd=total(quote.cost_usd for quote in quotes if quote.cost_usd is not None),
            lines=tuple(line for quote in quotes for line in quote.lines),
            source="; ".join(dict.fromkeys(quote.source for quote in quotes)),
            notes=tuple(dict.fromkeys(note for quote in quotes for note in quote.notes)),
        )

    def _rates(self, provider: str | None, names: tuple[str, ...], tier: str | None, moment: datetime) -> Rates:
        """The prices of the first of `names` that is known; the user's before genai-prices'."""
        seller = provider_id_of(provider) if provider else None
        known_as = dict.fromkeys(each for name in names for each in (name.strip().lower(), *spellings(seller, name)))
        if not names:
            raise NoPriceError("nobody names the model")
        for entry in self._entries:
            if entry.applies(provider, known_as, tier, moment):
                return self._entry_rates(entry, provider, names[0], tier, moment)
        if any(PAID_BY_THE_HOUR in name for name in names):
            raise NoPriceError("provisioned throughput is paid by the hour, not by token")
        for name in names:
            rates = book_rates(provider, name, tier, moment)
            if rates is not None:
                if name != names[0]:
                    note = f"{_shown(names[0])} is not in the price book: priced as {name}"
                    rates = replace(rates, notes=(*rates.notes, note))
                return rates
        raise NoPriceError(_unknown(provider, names), {})

    def _entry_rates(self, entry: Entry, provider: str | None, model: str, tier: str | None, moment: datetime) -> Rates:
        if entry.same_as is None:
            return Rates(model, entry.where, entry.by_kind, free=entry.free, where=entry.where)
        base = self._same_as(entry.same_as, entry.where, provider, tier, moment)
        return replace(
            base,
            source=f"{entry.where} as {base.source}",
            by_kind={**base.by_kind, **entry.by_kind},
            where=entry.where,
        )

    def _same_as(self, same_as: str, where: str, provider: str | None, tier: str | None, moment: datetime) -> Rates:
        """The prices of the model that an entry refers to: one that its provider sells, or `provider/model`."""
        others = PriceBook(other for other in self._entries if other.same_as is None)
        maker, slash, model = same_as.partition("/")
        try:
            return others._rates(provider, (same_as,), tier, moment)
        except NoPriceError as error:
            if slash and look_up(maker, model):
                return others._rates(maker, (model,), tier, moment)
            raise NoPriceError(f"{where}: same_as = {same_as!r}: {error}") from None


def _moment(at: float) -> datetime:
    """Seconds since the epoch as a moment; beyond what a date can hold, the first or last one."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        if math.isnan(at):
            raise NoPriceError("the day of the call is not known") from None
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)


def _billed_names(call: Call) -> tuple[str, ...]:
    """The names under which `call` may be billed, the likeliest first."""
    provider_id = provider_id_of(call.provider or "")
    names = [name for name in (call.model, call.requested_model) if name and name != UNKNOWN_MODEL]
    if provider_id in BILLED_AS_REQUESTED:
        names.reverse()
    return tuple(names[:1] if provider_id in ROUTERS else names)


def _items(call: Call) -> dict[str, int]:
    """What is billed by the piece, as the call's provider counts it."""
    items = dict(call.billing.items)
    name = call.model.rpartition("/")[2]
    if any(mark in name for mark in ALWAYS_SEARCH):
        items.setdefault("web_search", 1)
    if "web_search" in items and name.startswith(SEARCH_ONCE_A_PROMPT):
        items["web_search"] = 1
    return items


def _unknown(provider: str | None, names: tuple[str, ...]) -> str:
    model = " or ".join(dict.fromkeys(map(_shown, names)))
    if not provider:
        return f"no price is known for {model}: nobody names its provider"
    if provider_id_of(provider) not in shipped_providers():
        return f"no price is known for {model}: {book_name()} does not know the provider {provider}"
    return f"{book_name()} has no price for {model} by {provider}"


def _fix(call: Call, keys: Mapping[str, str] | str | None) -> str:
    """The line of a price file that would price `call`; see `NoPriceError`."""
    if keys is None or isinstance(keys, str):
        return keys or ""
    name = next(iter(_billed_names(call)), call.model)
    name = name if name == _shown(name) else f"*:{_shown(name)}"
    values = {"provider": call.provider, **keys} if call.provider else dict(keys)
    if "same_as" not in keys:
        items = _items(call)
        by_token = call.usage is None or call.usage.total_tokens or not items
        values |= {"input": "?", "output": "?"} if by_token else {}
        values |= dict.fromkeys((kind for kind in items if kind not in BILLED_BY_THE_HOUR), "?")
    inside = ", ".join(f"{key} = {value if value == '?' else _quoted(value)}" for key, value in values.items())
    return f"{_quoted(name)} = {{ {inside} }}"


def _shown(name: str) -> str:
    """A model's name; of an ARN what follows the account's number, which is nobody's business."""
    return name.split(":", 5)[-1] if name.startswith("arn:") else name


def _quoted(text: str) -> str:
    """A TOML basic string, whose escapes are JSON's but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _wrapped(text: str, indent: int = 0) -> list[str]:
    """Lines of 80 columns in which no name is broken."""
    return wrap(
        text,
        80,
        initial_indent=" " * indent,
        subsequent_indent=" " * 5,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rates_text(rates: Rates) -> str:
    """A row for each kind, a column for the list price and for each step of long context."""
    if rates.free:
        return "  free"
    steps = sorted({above for rate in rates.by_kind.values() for above, _ in rate.steps})
    rows = []
    for kind, rate in rates.by_kind.items():
        unit = -6 if kind in PER_ITEM else 0
        prices = [rate.at(above + 1) for above in (0, *steps)] if rate.steps else [rate.base]
        cells = [plain(normal(price.scaleb(unit, EXACT))) for price in prices]
        rows.append([f"  {kind}", *cells, *[""] * (1 + len(steps) - len(cells)), "each" if unit else ""])
    kinds, *prices_by_step, units = zip(*rows, strict=True)
    head = [("", "", *(f"above {above:,} input tokens" for above in steps), "")] if steps else []
    table = columns(
        [*head, *zip(kinds, *map(pointed, prices_by_step), units, strict=True)], f"<{'>' * (1 + len(steps))}<"
    )
    notes = [row for note in rates.notes for row in _wrapped(f"note: {note}", 2)]
    return "\n".join([*table, *notes])
