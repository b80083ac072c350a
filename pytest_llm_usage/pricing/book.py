"""`PriceBook`: what a call costs, the user's own prices before those of genai-prices.

A price is computed in one direction: call → `Sale` (who sold what on which terms) → `Rates` (from the user's file, else
from genai-prices, with surcharges) → lines (usage × rates) → `Quote`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from textwrap import wrap
from typing import TYPE_CHECKING

from pytest_llm_usage.billing import Part, PriceLine, Quote, price_file_lines
from pytest_llm_usage.errors import NoPriceError, PriceUnknownError
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT, normal, plain, total
from pytest_llm_usage.pricing.billing_rules import (
    ALWAYS_SEARCH,
    BILLED_BY_THE_HOUR,
    BILLS_LESS_THAN_TOKENS,
    FIRST_SEARCHES_FREE,
    INPUT_TOKENS_PER_SEARCH,
    KNOWN_SELLERS,
    MIN_BILLED_SECONDS,
    ONE_SEARCH_PER_PROMPT,
    PAID_BY_THE_HOUR,
    STATED_PRECISION_USD,
    STATES_FREE,
)
from pytest_llm_usage.pricing.genai_book import book_name, book_rates, look_up, shipped_providers
from pytest_llm_usage.pricing.model_names import spellings
from pytest_llm_usage.pricing.price import PER_ITEM, sum_lines
from pytest_llm_usage.pricing.rates import Rates, cut, lines_of
from pytest_llm_usage.pricing.sale import Sale, moment_of
from pytest_llm_usage.text import columns, pointed
from pytest_llm_usage.usage import TokenUsage

if TYPE_CHECKING:
    from pytest_llm_usage.pricing.pricefile import Entry, PriceSource

__all__ = ["PriceBook"]


class PriceBook:
    """The user's own prices, then genai-prices. Immutable; may be shared between threads.

    Among the user's prices an exact name wins over a pattern, then a price for the region over one for all, then a
    price for the terms over one for all, then the earlier source, then the earlier line.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: entry.rank))

    @classmethod
    def from_sources(cls, *sources: PriceSource) -> PriceBook:
        """A book of the user's prices, before those of genai-prices.

        Args:
            sources: Paths of price files, mappings of the same form, or NVIDIA's `price_map`; the earlier wins.

        Raises:
            ConfigurationError: A source is not valid. The message has the line, the mistake and what is allowed.
        """
        from pytest_llm_usage.pricing.pricefile import PriceFile  # noqa: PLC0415 -- few users have prices of their own

        return cls(entry for source in sources for entry in PriceFile.read(source).entries())

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> PriceBook:
        """A book of one price file. Raises ConfigurationError as `from_sources` does."""
        return cls.from_sources(path)

    @property
    def name(self) -> str:
        """The books in the order in which they are asked: `prices.toml, genai-prices 0.2.3`."""
        files = dict.fromkeys(re.sub(r":\d+$", "", entry.where) for entry in self._entries)
        return ", ".join([*files, book_name()])

    def read_ahead(self) -> None:
        """Reads now what the first price needs, so that no event loop has to wait for the disk later."""
        shipped_providers()
        book_name()

    def quote(self, call: Call) -> Quote:
        """The price of `call`. Never raises, whatever the call says.

        The price is that of `call.billing.priced_at` (else `started_at`, else now); `math.inf` means the newest price
        known, for a recording that does not say when it was made. If the provider stated a cost, that is the cost. Else
        the usage as billed is priced, or the usage if they are the same; items and the call's `parts`, each as its own
        model, are added.
        """
        if call.usage is None and call.billing.usage is None:
            return Quote(reason="its usage is not known")
        try:
            sale = Sale.from_call(call)
        except NoPriceError as error:
            return Quote(reason=str(error))
        book = self._book_quote(call, sale)
        stated_usd = call.billing.stated_cost_usd
        if stated_usd is None or not stated_usd.is_finite() or stated_usd < 0:
            return book
        if stated_usd == 0 and sale.seller not in STATES_FREE:
            return book  # The field is there but not filled in, as in Azure's responses from xAI's models.
        cost_usd = normal(stated_usd)
        source = f"stated by {sale.named or 'the provider'}"
        stated = Quote(
            cost_usd=cost_usd,
            lines=(PriceLine("stated", 1, None, cost_usd, call.model),),
            source=source,
            book_usd=book.cost_usd,
        )
        if book.cost_usd is None or EXACT.subtract(cost_usd, book.cost_usd).copy_abs() <= STATED_PRECISION_USD:
            return stated
        note = f"{plain(cost_usd)} USD {source}; {book.source}, has {plain(book.cost_usd)} for it"
        return replace(stated, notes=(note,))

    def describe(self, model: str, *, provider: str | None = None, at: float | None = None) -> str:
        """The prices of `model` by kind and their source, as text.

        Sellers with the same prices are listed together.

        Args:
            model: The model's name, as in a call.
            provider: The seller, as LangChain names it; None lists every seller of a model of that name.
            at: Seconds since the epoch; None is now.

        Raises:
            PriceUnknownError: No price is known. The message says why, and how a line of a price file fixes it.
        """
        now = time.time() if at is None else at
        sellers: list[str | None] = [provider]
        if provider is None:
            sellers += dict.fromkeys(entry.provider for entry in self._entries)
            sellers += (each for each in shipped_providers() if look_up(each, model))
        sources: dict[str, list[str]] = {}
        for seller in sellers:
            try:
                rates = self._rates(Sale.from_model(model, seller, now))
            except NoPriceError as error:
                reason = str(error)
            else:
                # Without a provider all sellers are listed, which says more than a note on how one was guessed.
                text = _rates_text(rates if seller else replace(rates, notes=()))
                sources.setdefault(text, []).append(rates.source)
        if not sources:
            fix = _fix(Sale.from_model(model, provider, now), {}, {}, by_token=True)
            raise PriceUnknownError("\n".join((reason, *price_file_lines([fix]))))
        head = _wrapped(f"{model} on {moment_of(now):%Y-%m-%d}, USD per million tokens")
        blocks = []
        for text, found in sources.items():
            first, *others = dict.fromkeys(found)
            blocks.append(
                "\n".join([*_wrapped(f"from {first}"), *(row for each in others for row in _wrapped(each, 5)), text])
            )
        return "\n\n".join(["\n".join(head), *blocks])

    def _book_quote(self, call: Call, sale: Sale) -> Quote:
        """The price by the books: of the call's own work, and of its parts, each as its own model."""
        billing = call.billing
        inside = [part for part in call.parts if part.in_total]
        quotes = []
        if not inside:
            usage = billing.usage or call.usage or TokenUsage()
            quotes.append(self._work_quote(sale, usage, billing.items, is_as_billed=billing.usage is not None))
        elif (
            call.usage is not None and (rest := call.usage.total_tokens - sum(p.usage.total_tokens for p in inside)) > 0
        ):
            return Quote(reason=f"contradictory usage: {rest:,} tokens belong to none of its parts")
        elif items := _items_of_no_part(inside, billing.items):
            quotes.append(self._work_quote(sale, TokenUsage(), items, is_as_billed=True))
        quotes += [
            self._work_quote(
                sale.of_part(part),
                part.billing.usage or part.usage,
                part.billing.items,
                is_as_billed=part.billing.usage is not None,
            )
            for part in call.parts
        ]
        unpriced = next((quote for quote in quotes if quote.cost_usd is None), None)
        if unpriced is not None:
            return unpriced
        if len(quotes) == 1:
            return quotes[0]
        return Quote(
            cost_usd=total(quote.cost_usd for quote in quotes if quote.cost_usd is not None),
            at_most=any(quote.at_most for quote in quotes),
            lines=sum_lines(line for quote in quotes for line in quote.lines),
            source="; ".join(dict.fromkeys(quote.source for quote in quotes)),
            notes=tuple(dict.fromkeys(note for quote in quotes for note in quote.notes)),
        )

    def _work_quote(self, sale: Sale, usage: TokenUsage, items: Mapping[str, int], *, is_as_billed: bool) -> Quote:
        """The price of one model's work: its tokens and its items."""
        items = _items(sale, items)
        try:
            rates = self._rates(sale)
            lines, remarks = lines_of(rates, usage, items)
        except NoPriceError as error:
            return Quote(reason=str(error), fix=_fix(sale, items, error.fix, by_token=bool(usage.total_tokens)))
        if sale.newest:
            remarks.add("the recording does not say when it was made: priced at the newest price in the book")
        if not is_as_billed and sale.seller in BILLS_LESS_THAN_TOKENS:
            remarks.add(
                f"{sale.named} bills fewer tokens than it counts, and does not report how many: "
                "this is the most it can cost",
                at_most=True,
            )
        if not items.keys().isdisjoint(("web_search", "map_search")) and sale.seller in FIRST_SEARCHES_FREE:
            remarks.add(
                f"includes searches that {sale.named} may not bill (the first of a day or month): "
                "this is the most it can cost",
                at_most=True,
            )
        if "web_search" in items and (tokens := _fixed_input(sale)):
            remarks.add(
                f"{sale.named} bills {tokens:,} input tokens for each search of this model; whether its usage includes them "
                "is not known"
            )
        # Some answers without any content count one token.
        if sale.modifiers.get("stop_reason") == "refusal" and usage.output_tokens <= 1:
            remarks.add(
                f"{sale.named} does not bill every refusal that comes before any output: this is the most it can cost",
                at_most=True,
            )
        if sale.modifiers.get("fallback_credit") == "redeemed":
            remarks.add(
                f"a fallback credit was redeemed, and {sale.named} does not state how much it takes off the cache writes: "
                "this is the most it can cost",
                at_most=True,
            )
        return Quote(
            cost_usd=total(line.amount_usd for line in lines),
            at_most=remarks.at_most,
            lines=tuple(lines),
            source=rates.source,
            notes=tuple(remarks.notes),
        )

    def _rates(self, sale: Sale) -> Rates:
        """The prices of a sale under the first of its names that is known, the user's before genai-prices'."""
        if not sale.names:
            raise NoPriceError("the response names no model")
        if self._entries:
            known_as = dict.fromkeys(
                each for name in sale.names for each in (name.strip().lower(), *spellings(sale.seller, name))
            )
            entry = next((entry for entry in self._entries if entry.applies(sale, known_as)), None)
            if entry is not None:
                return self._entry_rates(entry, sale)
        if any(PAID_BY_THE_HOUR in name for name in sale.names):
            raise NoPriceError("provisioned throughput is paid by the hour, not by token")
        for name in sale.names:
            rates = book_rates(sale.named_as(name))
            if rates is not None:
                if name != sale.names[0]:
                    note = f"{_shown(sale.names[0])} is not in the price book: priced as {name}"
                    rates = replace(rates, notes=(*rates.notes, note))
                return rates
        raise NoPriceError(_unknown(sale), {})

    def _entry_rates(self, entry: Entry, sale: Sale) -> Rates:
        if entry.same_as is None:
            return Rates(sale.names[0], entry.where, entry.by_kind, free=entry.free, where=entry.where)
        base = self._same_as(entry.same_as, entry.where, sale)
        return replace(
            base,
            source=f"{entry.where} as {base.source}",
            by_kind={**base.by_kind, **entry.by_kind},
            where=entry.where,
        )

    def _same_as(self, same_as: str, where: str, sale: Sale) -> Rates:
        """The prices of the model that an entry refers to: one that its provider sells, or `provider/model`."""
        others = PriceBook(other for other in self._entries if other.same_as is None)
        maker, slash, model = same_as.partition("/")
        try:
            try:
                return others._rates(sale.named_as(same_as))
            except NoPriceError:
                of_maker = sale.sold_by(maker).named_as(model)
                if slash and look_up(of_maker.seller, model):
                    return others._rates(of_maker)
                raise
        except NoPriceError as error:
            raise NoPriceError(f"{where}: same_as = {same_as!r}: {error}") from None


def _items_of_no_part(parts: Iterable[Part], items: Mapping[str, int]) -> dict[str, int]:
    """The items of the whole call that none of its parts lists."""
    listed = Counter[str]()
    for part in parts:
        listed.update(part.billing.items)
    return dict(Counter(items) - listed)


def _items(sale: Sale, items: Mapping[str, int]) -> dict[str, int]:
    """The items as the seller counts them."""
    counted = dict(items)
    name = sale.names[0].rpartition("/")[2] if sale.names else ""
    if any(mark in name for mark in ALWAYS_SEARCH):
        counted.setdefault("web_search", 1)
    if name.startswith(ONE_SEARCH_PER_PROMPT):
        counted |= dict.fromkeys(counted.keys() & {"web_search", "map_search"}, 1)
    if "audio_second" in counted:
        counted["audio_second"] = max(counted["audio_second"], MIN_BILLED_SECONDS.get(sale.seller or "", 0))
    return counted


def _fixed_input(sale: Sale) -> int:
    if sale.seller != "openai" or any(mark in name for name in sale.names for mark in ALWAYS_SEARCH):
        return 0
    of_models = INPUT_TOKENS_PER_SEARCH.items()
    return next((n for model, n in of_models if any(name.startswith(model) for name in sale.names)), 0)


def _unknown(sale: Sale) -> str:
    model = " or ".join(dict.fromkeys(map(_shown, sale.names)))
    if not sale.named:
        return f"no price is known for {model}: provider unknown"
    if sale.seller in shipped_providers():
        return f"{book_name()} has no price for {model} by {sale.named}"
    if sale.seller in KNOWN_SELLERS:
        return f"no price is known for {model}: {book_name()} has no prices for {sale.named}"
    return f"no price is known for {model}: {book_name()} does not know the provider {sale.named}"


def _fix(sale: Sale, items: Mapping[str, int], keys: Mapping[str, str] | str | None, *, by_token: bool) -> str:
    """The line of a price file that would price a sale; see `NoPriceError`."""
    if keys is None or isinstance(keys, str):
        return keys or ""
    name = sale.names[0] if sale.names else "unknown"
    name = name if name == _shown(name) else f"*:{_shown(name)}"
    values = {"provider": sale.named, **keys} if sale.named else dict(keys)
    if "speed" in sale.modifiers:
        values["speed"] = sale.modifiers["speed"]
    if "same_as" not in keys:
        values |= {"input": "?", "output": "?"} if by_token or not items else {}
        values |= dict.fromkeys((kind for kind in items if kind not in BILLED_BY_THE_HOUR), "?")
    return _line(name, tuple(values.items()))


@lru_cache(maxsize=256)
def _line(name: str, values: tuple[tuple[str, str], ...]) -> str:
    """The line of a price file for a model with these values."""
    inside = ", ".join(f"{key} = {value if value == '?' else _quoted(value)}" for key, value in values)
    return f"{_quoted(name)} = {{ {inside} }}"


def _shown(name: str) -> str:
    """A model's name for messages; an ARN without its account number, which is private."""
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
        cells = [plain(normal(cut(price.scaleb(unit, EXACT)))) for price in prices]
        rows.append([f"  {kind}", *cells, *[""] * (1 + len(steps) - len(cells)), "each" if unit else ""])
    kinds, *prices_by_step, units = zip(*rows, strict=True)
    head = [("", "", *(f"above {above:,} input tokens" for above in steps), "")] if steps else []
    table = columns(
        [*head, *zip(kinds, *map(pointed, prices_by_step), units, strict=True)], f"<{'>' * (1 + len(steps))}<"
    )
    notes = [row for note in rates.notes for row in _wrapped(f"note: {note}", 2)]
    return "\n".join([*table, *notes])
