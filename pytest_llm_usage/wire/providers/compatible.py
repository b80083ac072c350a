"""APIs like OpenAI's, under paths or in envelopes of their own; these rows come before OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llm_usage.wire.flavour import FINISHED, NOWHERE, Flavour, Source, has_members
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.pieces import BilledItems, StatedCost
from pytest_llm_usage.wire.providers.mistral import OCR
from pytest_llm_usage.wire.providers.openai import OPENAI, OPENAI_SOURCE, OPENROUTER_COST
from pytest_llm_usage.wire.providers.openai_media import IMAGES_SOURCE
from pytest_llm_usage.wire.schema import UsageSchema

#: https://deepinfra.com/docs/advanced/deepinfra_api: what a model of its own API did, and what it cost.
_DEEPINFRA = UsageSchema(
    input=("tokens_input",),
    output=("tokens_generated",),
    costs=(StatedCost(path="cost"),),
)

#: The pinecone SDK: `EmbedUsage`, `RerankUsage`, `SearchUsage`.
_PINECONE = UsageSchema(
    input=("total_tokens", "embed_total_tokens"),
    other_units=("rerank_units",),
    items=(BilledItems("rerank_unit", ("rerank_units",)),),
)

FLAVOURS: tuple[Flavour, ...] = (
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral/mistral-ocr
    OCR.replace(
        name="mistral-ocr-vertex",
        home="google_vertexai",
        path=r"/publishers/mistralai/models/(?P<model>mistral-ocr[^/:]*):rawPredict$",
    ),
    # A user's own model on an endpoint, asked for chat completions; other models answer there as well.
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/open-models/vllm/use-vllm
    Flavour(
        name="vertex-endpoint",
        home="google_vertexai",
        path=NOWHERE,
        looks=lambda event: isinstance(get_path(event, "predictions.usage"), Mapping),
        sources=(Source(("predictions.usage",), OPENAI),),
        model=("predictions.model",),
        response_id=("predictions.id",),
    ),
    # A chat whose answer is retrieved later, by the id that its request was given:
    # https://docs.x.ai/docs/guides/deferred-chat-completions
    Flavour(
        name="xai-deferred",
        home="xai",
        path=NOWHERE,
        sources=(OPENAI_SOURCE,),
        stored=r"/chat/deferred-completion/(?P<id>[^/]+)$",
    ),
    # The zai SDK: `AsyncTaskStatus`, `AsyncCompletion`.
    Flavour(
        name="zai-async",
        home="zhipuai",
        path=r"/paas/v4/async/chat/completions$",
        sources=(OPENAI_SOURCE,),
        stored=r"/paas/v4/async-result/[^/]+$",
    ),
    # The zai SDK: `LayoutParsingResp`.
    Flavour(
        name="zai-layout-parsing",
        home="zhipuai",
        path=r"/paas/v4/layout_parsing$",
        request=("model", "file"),
        sources=(OPENAI_SOURCE,),
    ),
    # The zai SDK: `AgentsCompletion`, `AgentsCompletionChunk`. The answer names no model.
    Flavour(
        name="zai-agents",
        home="zhipuai",
        path=r"/v1/agents$",
        request=("agent_id", "messages"),
        sources=(OPENAI_SOURCE,),
        model=(),
        end=FINISHED,
    ),
    # The zai SDK: `AssistantCompletion`; the same.
    Flavour(
        name="zai-assistants",
        home="zhipuai",
        path=r"/paas/v4/assistant$",
        request=("assistant_id", "messages"),
        sources=(OPENAI_SOURCE,),
        model=(),
        end=FINISHED,
    ),
    # Videos, counted in tokens once they are done. volcenginesdkarkruntime: `ContentGenerationTask`.
    Flavour(
        name="volcengine-videos",
        home="volcengine",
        path=r"/contents/generations/tasks$",
        request=("model", "content"),
        sources=(OPENAI_SOURCE,),
        stored=r"/contents/generations/tasks/[^/]+$",
    ),
    # https://docs.perplexity.ai/api-reference/async-chat-completions-post
    Flavour(
        name="perplexity-async",
        home="perplexity",
        path=r"/async/(?:chat/completions|sonar)$",
        sources=(Source(("response.usage",), OPENAI),),
        stored=r"/async/(?:chat/completions|sonar)/[^/]+$",
        model=("response.model", "model"),
    ),
    # The pinecone SDK: `Assistants.chat`, `chat_completions`, `context`.
    Flavour(
        name="pinecone-assistant",
        home="pinecone",
        path=r"/assistant/chat/[^/]+(?:/chat/completions|/context)?$",
        request=("messages|query",),
        sources=(Source(("usage",), OPENAI),),
        end=FINISHED,
    ),
    Flavour(
        name="pinecone-inference",
        home="pinecone",
        path=r"(?<!/v1)(?<!/v2)/embed$",
        request=("model", "inputs"),
        sources=(Source(("usage",), _PINECONE),),
        response_id=(),
    ),
    Flavour(
        name="pinecone-search",
        home="pinecone",
        path=r"/records/namespaces/[^/]+/search$",
        sources=(Source(("usage",), _PINECONE),),
        response_id=(),
    ),
    # https://docs.x.ai/docs/guides/batch-api: each answer under the name of its API, page by page.
    Flavour(
        name="xai-batch-results",
        home="xai",
        path=r"/v1/batches/(?P<id>[^/:]+)/results$",
        answers=("results[].batch_result.response.*",),
        answered_by=("openai-chat", "openai-responses"),
        page_by="pagination_token",
        kind="batch-results",
    ),
    # The openrouter SDK: `BatchObject`.
    Flavour(
        name="openrouter-batch-results",
        home="openrouter",
        path=r"/api/v1/batches/(?P<id>[^/:]+)$",
        answers=("results[].response.body",),
        answered_by=("openai-chat", "openai-responses", "anthropic-messages", "openai-embeddings"),
        kind="batch-results",
    ),
    # The openrouter SDK: `VideoGenerationResponse`; a video that is done states its cost, and no tokens.
    Flavour(
        name="openrouter-videos",
        home="openrouter",
        path=r"/api/v1/videos$",
        request=("model", "prompt"),
        looks=has_members("id", "polling_url", "status"),
        sources=(Source(("usage",), UsageSchema(input=(), other_units=("cost",), costs=(OPENROUTER_COST,))),),
        model=(),
    ),
    # The openrouter SDK: `Images.generate`.
    Flavour(
        name="openrouter-images",
        home="openrouter",
        path=r"/v1/images$",
        request=("model", "prompt"),
        sources=(IMAGES_SOURCE,),
        response_id=(),
        end=rb'"image_generation\.completed"',
    ),
    Flavour(
        name="deepinfra",
        home="deepinfra",
        path=r"/v1/inference/(?P<model>.+)$",
        looks=has_members("inference_status"),
        sources=(Source(("inference_status",), _DEEPINFRA), Source(("",), UsageSchema(input=("input_tokens",)))),
        model=(),
        response_id=("request_id",),
    ),
    # https://developers.cloudflare.com/workers-ai/get-started/rest-api/; a stream has the result without the envelope.
    Flavour(
        name="cloudflare-run",
        home="cloudflare",
        path=r"(?:/ai/run|/workers-ai(?:/run)?)/(?P<model>@.+)$",
        sources=(Source(("result.usage", "usage"), OPENAI),),
        model=("result.model", "model"),
        response_id=("result.id", "id"),
        end=rb"\[DONE\]",
    ),
)
