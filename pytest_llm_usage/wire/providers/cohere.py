"""Cohere."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, has_members, has_type
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.schema import BilledItems, UsageSchema

#: https://docs.cohere.com/reference/chat; tokens are what the model read, billed units leave some of them out.
COHERE = UsageSchema(
    input=("tokens.input_tokens", "billed_units.input_tokens"),
    output=("tokens.output_tokens", "billed_units.output_tokens"),
    cache_read=("cached_tokens",),
    other_units=("billed_units.search_units", "billed_units.images", "billed_units.classifications"),
    billed_input=("billed_units.input_tokens",),
    billed_output=("billed_units.output_tokens",),
    items=(BilledItems("search_unit", ("billed_units.search_units",)),),
)


COHERE_SOURCE = Source(("usage", "delta.usage", "meta", "response.meta"), COHERE)


FLAVOURS: tuple[Flavour, ...] = (
    Flavour(
        name="cohere-v2",
        home="cohere",
        path=r"/v2/chat$",
        looks=any_of(
            has_type("message-start"), lambda event: "message" in event and get_path(event, "usage.tokens") is not None
        ),
        sources=(COHERE_SOURCE,),
        end=rb'"message-end"',
    ),
    Flavour(
        name="cohere-v1",
        home="cohere",
        path=r"/v1/(?:chat|generate|summarize)$",
        request=("message|prompt|text", "model|stream"),
        looks=any_of(has_members("generation_id", "meta"), has_members("event_type", "generation_id")),
        sources=(COHERE_SOURCE,),
        response_id=("response_id", "generation_id", "id"),
        end=rb'"stream-end"|"is_finished"\s*:\s*true',
    ),
    Flavour(
        name="cohere-embed",
        home="cohere",
        path=r"/v[12]/embed$",
        sources=(COHERE_SOURCE,),
    ),
)
