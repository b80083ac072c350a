"""The kinds that may have a price, and a cost as text: line by line, exact decimals in USD."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from textwrap import wrap

from pytest_llm_usage.billing import PriceLine, Quote
from pytest_llm_usage.money import EXACT, normal, plain, total
from pytest_llm_usage.text import columns, pointed, shortened

__all__ = ["KINDS", "PER_ITEM", "explain", "per_million", "sum_lines"]

#: The kinds that may have a price of their own, in USD per million tokens except for `PER_ITEM`.
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
    "output_citation",
    "request",
    "web_search",
    "web_search_preview",
    "x_search",
    "map_search",
    "web_fetch",
    "file_search",
    "search_source",
    "search_unit",
    "image",
    "code_interpreter",
    "code_execution",
    "image_generation",
    "image_pixel",
    "video_pixel",
    "video_second",
    "audio_second",
    "page",
    "annotated_page",
    "classification",
    "rerank_unit",
    "retrieval",
)
#: The kinds that are counted one by one, which a price file gives in USD each: all that follow the kinds of tokens.
PER_ITEM = frozenset(KINDS[KINDS.index("request") :])


def per_million(kind: str, usd: Decimal) -> Decimal:
    """Converts a price as price lists state it (for a million tokens, or for one item) to USD per million."""
    return EXACT.multiply(usd, 1_000_000) if kind in PER_ITEM else usd


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


def explain(quotes: Iterable[Quote]) -> str:
    """A table of tokens × price = amount by model and kind, its total, and where the prices come from."""
    quotes = tuple(quotes)
    lines = sum_lines(line for quote in quotes for line in quote.lines)
    unit_prices = pointed(map(_unit_price, lines))
    units = [" each" if line.kind in PER_ITEM else "" for line in lines]
    *amounts, whole = pointed(
        [
            *(plain(line.amount_usd) for line in lines),
            plain(total(quote.cost_usd for quote in quotes if quote.cost_usd is not None)),
        ]
    )
    head, *table = columns(
        [
            ("", "quantity", "USD per 1M", "USD"),
            *(
                (f"  {line.kind}", f"{line.quantity:,}", price + unit.ljust(max(map(len, units))), amount)
                for line, price, unit, amount in zip(lines, unit_prices, units, amounts, strict=True)
            ),
            ("total", "", "at most" if any(quote.at_most for quote in quotes) else "", whole),
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
        ("prices", (quote.source for quote in quotes)),
        ("note", (note for quote in quotes for note in quote.notes)),
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
    """USD per million, or each for `PER_ITEM`; empty if the provider stated the whole cost."""
    price = line.usd_per_million
    if price is None:
        return ""
    return plain(normal(price.scaleb(-6, EXACT)) if line.kind in PER_ITEM else price)
