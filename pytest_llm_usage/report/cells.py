"""The cells of the reports' tables of calls: counts and amounts as people read them, and what is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_llm_usage.ledger import NOT_READ, USAGE_NOT_ASKED, Call
from pytest_llm_usage.money import total
from pytest_llm_usage.text import plural, tokens, usd
from pytest_llm_usage.usage import TokenUsage

__all__ = ["model_rows", "notes", "unpriced_reasons", "usage_cells"]


def model_rows(calls: Sequence[Call]) -> Iterator[tuple[str, ...]]:
    """A row for each model, and one for all: the name and its `usage_cells`."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        name = f"{call.model} (http)" if call.source == "http" else call.model
        groups.setdefault(name, []).append(call)
    yield from ((name, *usage_cells(group)) for name, group in sorted(groups.items()))
    yield "total", *usage_cells(calls)


def usage_cells(calls: Sequence[Call]) -> tuple[str, ...]:
    """The cells calls, input, cached, output, reasoning, USD. They tell `0` from unknown (`?`), failed and none (`-`).

    `>=` comes before a sum of which a part is not known, `<=` before a cost that is an upper bound.
    """
    billed = [call for call in calls if call.is_billed]
    usage = TokenUsage.summed(call.usage for call in billed if call.usage is not None)
    unknown = sum(call.is_unknown for call in billed)
    known = any(call.usage is not None and not call.is_total_alone for call in billed)
    is_least = unknown or any(call.is_total_alone for call in billed)

    def shown(value: int) -> str:
        if is_least:
            return f">={tokens(value)}" if known else "?"
        return tokens(value) if known else "failed" if billed else "-"

    costs = [call.cost_usd for call in billed if call.usage is not None or call.is_unknown]
    priced = [cost for cost in costs if cost is not None]
    price = "-" if not costs else usd(total(priced)) if priced else "?" if unknown else "unpriced"
    is_bounded = any(call.quote.at_most for call in billed)
    if priced and len(priced) < len(costs) and is_bounded:
        price = f"~{price.removeprefix('<')}"  # unpriced calls may make it more, an upper bound may make it less
    elif priced and len(priced) < len(costs):
        price = f">={price}" if price[0] != "<" else ">0"
    elif priced and is_bounded:
        price = f"<={price.removeprefix('<')}"
    return (
        tokens(len(billed)),
        shown(usage.input_tokens),
        tokens(usage.input_token_details.get("cache_read", 0) or None).replace("?", "-"),
        shown(usage.output_tokens),
        tokens(usage.output_token_details.get("reasoning", 0) or None).replace("?", "-"),
        price,
    )


def notes(calls: Sequence[Call]) -> Iterable[str]:
    """What the numbers of these calls do not contain, and where their prices come from."""
    unpriced = _unpriced(calls)
    unknown = [call for call in calls if call.is_unknown]
    cached = [call for call in calls if call.status == "cached"]
    fake = [call for call in calls if call.status == "fake"]
    failed = [call for call in calls if call.status == "error"]
    live = [call for call in calls if call.live and call.is_billed]
    if failed:
        yield f"and {plural(len(failed), 'failed call')}: {_where(failed)}"
    if unpriced:
        yield f"and {plural(len(unpriced), 'unpriced call')}"
    if unknown:
        yield f"and {plural(len(unknown), 'call')} with unknown usage: {_where(unknown)}"
    if not_asked := sum(USAGE_NOT_ASKED in call.note for call in unknown):
        yield f"{plural(not_asked, 'streamed call')} {USAGE_NOT_ASKED}"
    yield from dict.fromkeys(call.note for call in unknown if NOT_READ in call.note)
    if cached:
        yield f"and {plural(len(cached), 'answer')} from LangChain's cache, not counted"
    if fake:
        yield f"and {plural(len(fake), 'call')} of fake models, not counted"
    if live:
        cost = usage_cells(live)[5]
        sign = cost[: len(cost) - len(cost.lstrip("<>=~"))]
        amount = "an unknown amount" if cost in ("?", "unpriced") else f"{sign}${cost.removeprefix(sign)}"
        yield f"spent in this run: {amount} in {plural(len(live), 'live call')}"
    # A difference within a provider's rounding is no reason for a note.
    checked = [(call.quote.cost_usd, call.quote.book_usd) for call in calls if call.quote.notes]
    differing = [(stated, book) for stated, book in checked if stated is not None and book is not None]
    if differing:
        stated_usd, book_usd = (usd(total(amounts)) for amounts in zip(*differing, strict=True))
        yield f"{stated_usd} as stated for {plural(len(differing), 'call')}, {book_usd} by the price book"
    books = Counter(book for call in calls for book in call.quote.books)
    if books:
        shown = [
            book if len(books) == 1 else f"{book} ({plural(count, 'call')})" for book, count in books.most_common()
        ]
        yield f"prices: {', '.join(shown)}"


def unpriced_reasons(calls: Sequence[Call]) -> Iterable[tuple[str, str]]:
    """Why calls have no price, each reason once, with the line of the price file that fixes it; empty if none does."""
    return dict.fromkeys((call.quote.reason, call.quote.fix) for call in _unpriced(calls) if call.quote.reason)


def _unpriced(calls: Iterable[Call]) -> list[Call]:
    known = [call for call in calls if call.usage is not None and call.is_billed and not call.is_partial]
    return [call for call in known if call.cost_usd is None]


def _where(calls: Sequence[Call]) -> str:
    places = list(dict.fromkeys(call.where or call.model for call in calls))
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{places[0]}{more}"
