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

from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call
from pytest_llm_usage.pricing.price import Price, PriceLine, Unpriced, added, normal, plain
from pytest_llm_usage.pricing.pricefile import Entry, PriceFile, PriceSource
from pytest_llm_usage.pricing.rates import PER_ITEM, NoPriceError, Rates, lines_of
from pytest_llm_usage.pricing.sellers import (
    BILLED_AS_REQUESTED,
    BILLS_LESS_THAN_TOKENS,
    PAID_BY_THE_HOUR,
    ROUTERS,
    STATES_FREE,
    provider_id_of,
    tier_of,
)
from pytest_llm_usage.pricing.shipped import book_name, book_rates, look_up, shipped_providers, spellings
from pytest_llm_usage.text import columns
from pytest_llm_usage.usage import TokenUsage

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

    def price(
        self, call: Call, *, billed: TokenUsage | None = None, server_tools: Mapping[str, int] | None = None
    ) -> Price | Unpriced:
        """What `call` costs. Never raises, whatever the call says.

        The price is that of `call.priced_at` (else `started_at`, else now); `math.inf` means the newest price known,
        for a recording that does not say when it was made. A cost that the provider stated is the cost.

        Args:
            call: The call; its `parts` are priced each as its own model and added.
            billed: The tokens that the provider says it bills, where it bills other than it counts (Cohere).
            server_tools: How often the provider ran its own tools for it: `web_search`, `file_search`.
        """
        book = self._book_price(call, billed or call.usage, server_tools or {})
        stated_usd = call.stated_cost_usd
        if stated_usd is None or not stated_usd.is_finite() or stated_usd < 0:
            return book
        if stated_usd == 0 and provider_id_of(call.provider or "") not in STATES_FREE:
            return book  # The field is there and not filled in, as in Azure's answers by xAI's models.
        cost_usd = normal(stated_usd)
        return Price(
            cost_usd,
            (PriceLine("stated", 1, None, cost_usd, call.model),),
            f"stated by {call.provider or 'the provider'}",
            book_usd=book.cost_usd if isinstance(book, Price) else None,
        )

    def describe(self, model: str, *, provider: str | None = None, at: float | None = None) -> str:
        """What applies to `model` and from where, as text: its prices now (or at `at`, epoch seconds) by kind.

        Args:
            model: A model's name as a call would have it.
            provider: LangChain's word for who sells it; None lists everyone who sells a model of that name.
            at: Seconds since the epoch; None is now.
        """
        moment = _moment(time.time() if at is None else at)
        sellers: list[str | None] = [provider]
        if provider is None:
            sellers += dict.fromkeys(entry.provider for entry in self._entries)
            sellers += (each for each in shipped_providers() if look_up(each, model))
        blocks: dict[str, str] = {}
        for seller in sellers:
            try:
                rates = self._rates(seller, (model,), None, moment)
            except NoPriceError as error:
                reason = str(error)
            else:
                blocks.setdefault(rates.source, _rates_text(rates))
        if not blocks:
            return f"{reason}\nAdd to the price file:  {_fix(Call(index=0, provider=provider, model=model), {})}"
        return "\n\n".join([f"{model} on {moment:%Y-%m-%d}, USD per million tokens", *blocks.values()])

    def _book_price(self, call: Call, usage: TokenUsage | None, server_tools: Mapping[str, int]) -> Price | Unpriced:
        if usage is None:
            return Unpriced("its usage is not known", "")
        try:
            moment = _moment(call.priced_at if call.priced_at is not None else call.started_at or time.time())
            rates = self._rates(call.provider, _billed_names(call), tier_of(call.service_tier), moment)
            lines, notes = lines_of(rates, usage, server_tools)
        except NoPriceError as error:
            return Unpriced(str(error), _fix(call, error.fix))
        if usage is call.usage and provider_id_of(call.provider or "") in BILLS_LESS_THAN_TOKENS:
            notes.append(f"{call.provider} bills fewer tokens than it counts, and does not say here how many: at most")
        prices = [Price(added(*(line.amount_usd for line in lines)), tuple(lines), rates.source, notes=tuple(notes))]
        for part in call.parts:
            part_call = replace(call, model=part.model, requested_model=None, parts=())
            price = self._book_price(part_call, part.usage, {})
            if isinstance(price, Unpriced):
                return price
            prices.append(price)
        return Price(
            added(*(price.cost_usd for price in prices)),
            tuple(line for price in prices for line in price.lines),
            "; ".join(dict.fromkeys(price.source for price in prices)),
            notes=tuple(dict.fromkeys(note for price in prices for note in price.notes)),
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
        values |= {"input": "?", "output": "?"}
    inside = ", ".join(f"{key} = {value if value == '?' else _quoted(value)}" for key, value in values.items())
    return f"{_quoted(name)} = {{ {inside} }}"


def _shown(name: str) -> str:
    """A model's name; of an ARN what follows the account's number, which is nobody's business."""
    return name.split(":", 5)[-1] if name.startswith("arn:") else name


def _quoted(text: str) -> str:
    """A TOML basic string, whose escapes are JSON's but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _rates_text(rates: Rates) -> str:
    rows = [("  free", "")] if rates.free else []
    for kind, rate in rates.by_kind.items():
        for above, usd_per_million in ((0, rate.base), *rate.steps):
            price = usd_per_million.scaleb(-6) if kind in PER_ITEM else usd_per_million
            note = " each" if kind in PER_ITEM else f" above {above:,} input tokens" if above else ""
            rows.append((f"  {kind}", plain(normal(price)) + note))
    return "\n".join([f"from {rates.source}", *columns(rows, "<<"), *(f"  note: {note}" for note in rates.notes)])
