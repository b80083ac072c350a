"""Cohere."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, has_members, has_type
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.schema import UsageSchema

_COHERE_ITEMS = (
    BilledItems("search_unit", ("billed_units.search_units",)),
    BilledItems("image", ("billed_units.images",), unless=("billed_units.image_tokens",)),
    BilledItems("classification", ("billed_units.classifications",)),
    BilledItems("page", ("billed_units.pages",)),
)

#: https://docs.cohere.com/reference/chat; tokens are what the model read, billed units leave some of them out.
COHERE = UsageSchema(
    input=("tokens.input_tokens", "billed_units.input_tokens"),
    output=("tokens.output_tokens", "billed_units.output_tokens"),
    cache_read=("cached_tokens",),
    reasoning=("tokens.reasoning_tokens",),
    other_units=(
        "billed_units.search_units",
        "billed_units.images",
        "billed_units.classifications",
        "billed_units.pages",
    ),
    billed_input=("billed_units.input_tokens",),
    billed_output=("billed_units.output_tokens",),
    items=_COHERE_ITEMS,
    loosely_typed=True,
)

#: Text and pictures each have a price; a picture is billed as one where its tokens are not stated. The cohere SDK:
#: `ApiMetaBilledUnits`.
_COHERE_EMBED = UsageSchema(
    input=("billed_units.text_tokens", "billed_units.input_tokens", "tokens.input_tokens"),
    more_input=("billed_units.image_tokens",),
    other_units=("billed_units.image_tokens", "billed_units.images"),
    billed_input_details={"image": ("billed_units.image_tokens",)},
    items=(BilledItems("image", ("billed_units.images",), unless=("billed_units.image_tokens",)),),
    loosely_typed=True,
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
        looks=any_of(
            has_members("generation_id", "meta"),
            has_members("generations", "meta"),
            has_members("event_type", "generation_id"),
        ),
        sources=(COHERE_SOURCE,),
        response_id=("response_id", "generation_id", "id"),
        end=rb'"stream-end"|"is_finished"\s*:\s*true',
    ),
    Flavour(
        name="cohere-embed",
        home="cohere",
        path=r"/v[12]/embed$",
        looks=has_members("id", "embeddings", "meta"),
        sources=(Source(("usage", "meta"), _COHERE_EMBED),),
    ),
    # The cohere SDK: `ParseResponse`; billed by the page.
    Flavour(
        name="cohere-parse",
        home="cohere",
        path=r"/v2/parse$",
        request=("model", "document"),
        sources=(Source(("meta",), COHERE.replace(tokens_unstated=True)),),
    ),
    # https://docs.cohere.com/reference/classify
    Flavour(
        name="cohere-classify",
        home="cohere",
        path=r"/v1/classify$",
        request=("inputs", "model|examples"),
        sources=(COHERE_SOURCE,),
    ),
)
