"""Mistral, beside what it has in common with OpenAI."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, has_object, has_type
from pytest_llm_usage.wire.providers.openai import OPENAI

FLAVOURS: tuple[Flavour, ...] = (
    # https://docs.mistral.ai/api/endpoint/beta/conversations
    Flavour(
        name="mistral-conversations",
        home="mistral",
        path=r"/conversations(?:/[^/]+)?$",
        request=("inputs",),
        looks=any_of(has_object("conversation.response"), has_type("conversation.response.")),
        sources=(Source(("usage",), OPENAI),),
        model=("outputs[].model", "model"),
        response_id=("conversation_id",),
        end=rb'"conversation\.response\.(?:done|error)"',
    ),
    # Billed by the page: no tokens are stated.
    Flavour(name="mistral-ocr", home="mistral", path=r"/ocr$", request=("document",), response_id=()),
)
