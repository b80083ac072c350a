"""Mistral, beside what it has in common with OpenAI."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, has_members, has_object, has_type
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.providers.openai import OPENAI, OPENAI_INPUT
from pytest_llm_usage.wire.schema import UsageSchema

_ANNOTATIONS = ("document_annotation", "pages[].images[].image_annotation")

#: Billed by the page; an annotated page has another price. The mistralai SDK: `OCRResponse`.
OCR = Flavour(
    name="mistral-ocr",
    home="mistral",
    path=r"/ocr$",
    request=("document",),
    sources=(Source(("usage_info",), UsageSchema(input=(), other_units=("pages_processed",), tokens_unstated=True)),),
    items=(
        BilledItems("page", ("usage_info.pages_processed",), is_billed=lambda _: False, unless=_ANNOTATIONS),
        BilledItems("annotated_page", ("usage_info.pages_processed",), is_billed=lambda _: False, only_if=_ANNOTATIONS),
    ),
    response_id=(),
)

FLAVOURS: tuple[Flavour, ...] = (
    # https://docs.mistral.ai/api/endpoint/beta/conversations
    Flavour(
        name="mistral-conversations",
        home="mistral",
        path=r"/conversations(?:/[^/]+(?:/restart)?)?$",
        request=("inputs",),
        looks=any_of(has_object("conversation.response"), has_type("conversation.response.")),
        sources=(Source(("usage",), OPENAI),),
        model=("outputs[].model", "model"),
        response_id=("conversation_id",),
        end=rb'"conversation\.response\.(?:done|error)"',
    ),
    # https://docs.mistral.ai/api/endpoint/classifiers; OpenAI's moderations have the same path, no usage, and cost
    # nothing.
    Flavour(
        name="mistral-classifiers",
        home="mistral",
        path=r"/(?:chat/(?:moderations|classifications)|v1/classifications)$",
        request=("input|inputs",),
        looks=has_members("results", "usage", "model"),
        sources=(Source(("usage",), OPENAI_INPUT),),
    ),
    # A batch with its results in it, where they were asked for (`inline`); as a file they are OpenAI's.
    # The mistralai SDK: `BatchJob.outputs`.
    Flavour(
        name="mistral-batch-results",
        home="mistral",
        path=r"/batch/jobs/(?P<id>[^/]+)$",
        answers=("outputs[].response.body", "outputs[].response"),
        answered_by=("openai-chat", "openai-embeddings", "mistral-conversations"),
        kind="batch-results",
    ),
    OCR,
)
