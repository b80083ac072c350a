"""What a price is: exact decimals in USD, line by line, or `Unpriced` with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Context, Decimal

from pytest_llm_usage.text import columns

__all__ = ["EXACT", "Price", "PriceLine", "Unpriced", "added", "explain", "normal", "plain", "sum_lines"]

# Wide enough that no product or sum of tokens and prices is ever rounded; the user's own context may be narrow.
EXACT = Context(prec=500)


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


def plain(amount: Decimal) -> str:
    """`amount` in full, without exponent: `0.00000002`, where `str` gives `2E-8`."""
    return f"{amount:f}"


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
                amount_usd=added(known.amount_usd, line.amount_usd),
            )
        )
    return tuple(sums.values())


def explain(prices: Iterable[Price]) -> str:
    """A table of tokens × price = amount per model and kind, its total, and where the prices are from."""
    prices = tuple(prices)
    rows = [("model", "kind", "quantity", "USD per 1M", "USD")]
    rows += [
        (
            line.model,
            line.kind,
            f"{line.quantity:,}",
            "" if line.usd_per_million is None else plain(line.usd_per_million),
            plain(line.amount_usd),
        )
        for line in sum_lines(line for price in prices for line in price.lines)
    ]
    rows.append(("total", "", "", "", plain(added(*(price.cost_usd for price in prices)))))
    sources = dict.fromkeys(price.source for price in prices)
    notes = dict.fromkeys(note for price in prices for note in price.notes)
    return "\n".join(
        [*columns(rows, "<<>>>"), *(f"prices: {source}" for source in sources), *(f"note: {note}" for note in notes)]
    )


def normal(amount: Decimal) -> Decimal:
    """The same number in its shortest form: no trailing zeros, no positive exponent."""
    short = amount.normalize(EXACT)
    return short.quantize(Decimal(1), context=EXACT) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


def added(*amounts: Decimal) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return normal(total)
