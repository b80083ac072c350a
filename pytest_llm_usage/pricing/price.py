"""What a price is: exact decimals in USD, line by line, or `Unpriced` with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from textwrap import wrap

from pytest_llm_usage.ledger import Quote
from pytest_llm_usage.money import EXACT, normal, plain, total
from pytest_llm_usage.text import columns, pointed, shortened

__all__ = ["KINDS", "PER_ITEM", "Price", "PriceLine", "Unpriced", "explain", "sum_lines"]

#: What may have a price of its own: USD per million tokens, but for `PER_ITEM`.
KINDS = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "input_image",
    "input_video",
    "cache_read_audio",
    "cache_read_image",
    "output_reasoning",
    "output_audio",
    "output_image",
    "output_video",
    "request",
    "web_search",
    "x_search",
    "map_search",
    "file_search",
    "search_source",
    "search_unit",
    "code_interpreter",
    "code_execution",
    "image_generation",
)
#: Kinds that are counted one by one and that a price file gives in USD for one: all behind the tokens.
PER_ITEM = frozenset(KINDS[KINDS.index("request") :])


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One kind of tokens (or requests, or searches) of one model: quantity × price = amount.

    Attributes:
        kind: `input`, `output`, `cache_read`, `request` …; `stated` where the provider itself named the whole cost.
            A kind that the price book does not price apart is part of `input` or `output`.
        quantity: Tokens; for `request` and the searches, how many.
        usd_per_million: USD per million of them; None for `stated`.
        amount_usd: Exactly their product.
        model: The model in the price book's words.
    """

    kind: str
    quantity: int
    usd_per_million: Decimal | None
    amount_usd: Decimal
    model: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a call costs and how that came about.

    Attributes:
        cost_usd: Exact; the sum of the lines' amounts.
        lines: The parts, in the order input, output, per request, then the call's `parts`.
        source: Where the price is from: `genai-prices 0.2.3, openai/o3, since 2025-06-10`, `prices.toml:7` or
            `stated by openrouter`.
        book_usd: What the price book would have given where the provider stated its own cost; else None.
        notes: What a reader of the bill should know, in words.
    """

    cost_usd: Decimal
    lines: tuple[PriceLine, ...]
    source: str
    book_usd: Decimal | None = None
    notes: tuple[str, ...] = ()

    @property
    def quote(self) -> Quote:
        """The same without the lines."""
        return Quote(cost_usd=self.cost_usd, source=self.source, notes=self.notes, book_usd=self.book_usd)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A call whose price is not known.

    Attributes:
        reason: Why, in words.
        fix: The line of the price file, beneath `[models]`, that would settle it, or what to add to which line; `?`
            stands for a number to fill in. Empty where no line would help.
    """

    reason: str
    fix: str

    @property
    def quote(self) -> Quote:
        """The same as a quote of no amount."""
        return Quote(reason=self.reason, fix=self.fix)


def sum_lines(lines: Iterable[PriceLine]) -> tuple[PriceLine, ...]:
    """One line for each model, kind and price, in the order in which they first come; amounts add up exactly."""
    sums: dict[tuple[str, str, Decimal | None], PriceLine] = {}
    for line in lines:
        key = (line.model, line.kind, line.usd_per_million)
        known = sums.get(key)
        sums[key] = (
            line
            if known is None
            else replace(
                known,
                quantity=known.quantity + line.quantity,
                amount_usd=total((known.amount_usd, line.amount_usd)),
            )
        )
    return tuple(sums.values())


def explain(prices: Iterable[Price]) -> str:
    """A table of tokens × price = amount by model and kind, its total, and where the prices are from."""
    prices = tuple(prices)
    lines = sum_lines(line for price in prices for line in price.lines)
    unit_prices = pointed("" if line.kind == "stated" else _unit_price(line) for line in lines)
    units = [" each" if line.kind in PER_ITEM else "" for line in lines]
    *amounts, whole = pointed([*(plain(line.amount_usd) for line in lines), plain(total(p.cost_usd for p in prices))])
    head, *table = columns(
        [
            ("", "quantity", "USD per 1M", "USD"),
            *(
                (f"  {line.kind}", f"{line.quantity:,}", price + unit.ljust(max(map(len, units))), amount)
                for line, price, unit, amount in zip(lines, unit_prices, units, amounts, strict=True)
            ),
            ("total", "", "", whole),
        ],
        "<>>>",
    )
    text = [head]
    for line, row, before in zip(lines, table[:-1], (None, *lines), strict=False):
        if before is None or line.model != before.model:
            text.append(shortened(line.model, _WIDTH))
        text.append(row)
    text += [table[-1], ""]
    for word, found in (
        ("prices", (price.source for price in prices)),
        ("note", (note for price in prices for note in price.notes)),
    ):
        text += [
            row
            for each in dict.fromkeys(found)
            for row in wrap(
                f"{word}: {each}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
        ]
    return "\n".join(text)


_WIDTH = 80


def _unit_price(line: PriceLine) -> str:
    """USD for a million, or for one of what is counted singly."""
    price = line.usd_per_million or Decimal(0)
    return plain(normal(price.scaleb(-6, EXACT)) if line.kind in PER_ITEM else price)
