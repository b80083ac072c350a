"""Hypothesis strategies for the package's values: usages, calls, and limits as people write them."""

from decimal import Decimal

from hypothesis import strategies as st

from pytest_llm_usage.billing import Billing, Part, Quote
from pytest_llm_usage.ledger import STATUSES, Call, Ledger
from pytest_llm_usage.usage import TokenUsage

counts = st.integers(min_value=0, max_value=10**12)
detail_names = st.sampled_from(["cache_read", "cache_creation", "audio", "reasoning", "image", "a b", "größe"])
details = st.dictionaries(detail_names, counts, max_size=4)
names = st.text(min_size=1, max_size=20)
usd = st.decimals(min_value=0, max_value=1_000, allow_nan=False, allow_infinity=False, places=12)

usages = st.builds(
    lambda sent, received, more, inputs, outputs: TokenUsage(sent, received, sent + received + more, inputs, outputs),
    counts,
    counts,
    st.sampled_from([0, 0, 0, 7]),
    details,
    details,
)

item_names = st.sampled_from(["web_search", "file_search", "search_unit"])
items = st.dictionaries(item_names, st.integers(1, 99), max_size=2)
parts = st.builds(
    Part,
    kind=names,
    model=names,
    usage=usages,
    billing=st.builds(Billing, usage=st.none() | usages, items=items, service_tier=st.none() | names),
    in_total=st.booleans(),
)

texts = st.just("") | names
quotes = st.builds(
    Quote,
    cost_usd=st.none() | usd,
    at_most=st.booleans(),
    source=texts,
    notes=st.lists(names, max_size=2).map(tuple),
    book_usd=st.none() | usd,
) | st.builds(Quote, reason=texts, fix=texts)


#: What a call was billed for, every field of it.
billings = st.builds(
    Billing,
    usage=st.none() | usages,
    items=items,
    parts=st.lists(parts, max_size=2).map(tuple),
    stated_cost_usd=st.none() | usd,
    seller=st.none() | names,
    region=st.none() | names,
    service_tier=st.none() | names,
    modifiers=st.dictionaries(names, names, max_size=2),
    priced_at=st.none() | st.floats(min_value=0),
)


@st.composite
def calls(draw, index=0, models=names):
    """A call that is possible: only one that succeeded, was cached or broke off half-way has usage."""
    status = draw(st.sampled_from(STATUSES))
    is_partial = status == "aborted" and draw(st.booleans())
    quote = draw(quotes) if status == "ok" else Quote()
    return Call(
        index=index,
        source=draw(st.sampled_from(["langchain", "http"])),
        provider=draw(st.none() | names),
        model=draw(models),
        requested_model=draw(st.none() | names),
        usage=draw(usages) if status in ("ok", "cached") or is_partial else None,
        is_partial=is_partial,
        status=status,
        billing=draw(billings),
        response_id=draw(st.none() | names),
        streamed=draw(st.booleans()),
        node=draw(st.none() | names),
        tags=tuple(draw(st.lists(names, max_size=3))),
        started_at=draw(st.floats(min_value=0, max_value=2**40)),
        duration_s=draw(st.none() | st.floats(min_value=0, max_value=10**6)),
        live=draw(st.booleans()),
        phase=draw(st.sampled_from(["setup", "call", "teardown"])),
        where=draw(st.none() | names),
        sections=tuple(draw(st.lists(names, max_size=2))),
        note=draw(st.just("") | names),
        _quotes=quote,
    )


@st.composite
def ledgers(draw, models=names, max_size=3):
    """Calls in order, each at its own index."""
    size = draw(st.integers(0, max_size))
    return Ledger(tuple(draw(calls(index=index, models=models)) for index in range(size)))


@st.composite
def written_counts(draw):
    """A number as people write it, and its value."""
    value = draw(st.integers(0, 10**9))
    form = draw(st.sampled_from(["plain", "grouped", "scaled"]))
    if form == "plain":
        return str(value), value
    if form == "grouped":
        return f"{value:_}", value
    suffix, scale = draw(st.sampled_from([("k", 1_000), ("K", 1_000), ("m", 1_000_000), ("M", 1_000_000)]))
    return f"{Decimal(value) / scale:f}{suffix}", value


@st.composite
def written_amounts(draw):
    """An amount in USD as people write it, and its value."""
    amount = draw(usd)
    text = draw(st.sampled_from(["{}", "${}", "$ {}", "{} USD", " {} "]))
    return text.format(f"{amount:f}"), amount
