"""Google: Gemini, and Vertex AI's own predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llm_usage.usage import count
from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, first_has, has_members, has_object, has_type
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.schema import UsageSchema

#: The numbers that Vertex's enumeration has for the modalities.
_MODALITIES = {"text": 1, "image": 2, "video": 3, "audio": 4}


def _in_prompt(modality: str) -> tuple[str, ...]:
    # The second spelling is that of embeddings: https://ai.google.dev/api/embeddings#EmbeddingUsageMetadata
    return tuple(
        f"{details}[modality={name}].tokenCount"
        for details in ("promptTokensDetails", "promptTokenDetails")
        for name in (modality, _MODALITIES[modality])
    )


#: https://ai.google.dev/api/generate-content#UsageMetadata; `response…` is the Live API's spelling, the snake-case one
#: that of recordings made above the wire.
GEMINI = UsageSchema(
    input=("promptTokenCount", "prompt_token_count"),
    output=("candidatesTokenCount", "responseTokenCount", "candidates_token_count"),
    total=("totalTokenCount", "total_token_count"),
    more_input=("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    cache_read=("cachedContentTokenCount", "cached_content_token_count"),
    audio_input=_in_prompt("audio"),
    audio_output=(
        "candidatesTokensDetails[modality=audio].tokenCount",
        "candidatesTokensDetails[modality=4].tokenCount",
        "responseTokensDetails[modality=audio].tokenCount",
    ),
    reasoning=("thoughtsTokenCount", "thoughts_token_count"),
    reasoning_apart=True,
    billed_input_details={
        "image": _in_prompt("image"),
        "video": _in_prompt("video"),
        "cache_read_text": (
            "cacheTokensDetails[modality=text].tokenCount",
            "cacheTokensDetails[modality=1].tokenCount",
        ),
        "cache_read_audio": (
            "cacheTokensDetails[modality=audio].tokenCount",
            "cacheTokensDetails[modality=4].tokenCount",
        ),
        "cache_read_image": ("cacheTokensDetails[modality=image].tokenCount",),
        "cache_read_video": ("cacheTokensDetails[modality=video].tokenCount",),
    },
    billed_output_details={
        "image": (
            "candidatesTokensDetails[modality=image].tokenCount",
            "responseTokensDetails[modality=image].tokenCount",
        ),
        "video": ("candidatesTokensDetails[modality=video].tokenCount",),
    },
)


#: https://ai.google.dev/api/interactions-api, and `Usage` of the google-genai SDK; Vertex writes it in camel case.
def _of_modality(kind: str, modality: str) -> tuple[str, ...]:
    return (
        f"{kind}_tokens_by_modality[modality={modality}].tokens",
        f"{kind}TokensByModality[modality={modality}].tokens",
    )


_INTERACTIONS = UsageSchema(
    input=("total_input_tokens", "totalInputTokens"),
    output=("total_output_tokens", "totalOutputTokens"),
    # Transcriptions state a total of zero: https://ai.google.dev/gemini-api/docs/transcribe
    output_parts=("model_invocation_token_counts[].candidates_tokens_details[].tokens",),
    total=("total_tokens", "totalTokens"),
    more_input=("total_tool_use_tokens", "totalToolUseTokens"),
    cache_read=("total_cached_tokens", "totalCachedTokens"),
    audio_input=_of_modality("input", "audio"),
    audio_output=_of_modality("output", "audio"),
    reasoning=("total_thought_tokens", "totalThoughtTokens"),
    reasoning_apart=True,
    billed_input_details={
        "image": _of_modality("input", "image"),
        "video": _of_modality("input", "video"),
        "cache_read_text": _of_modality("cached", "text"),
        "cache_read_audio": _of_modality("cached", "audio"),
        "cache_read_image": _of_modality("cached", "image"),
        "cache_read_video": _of_modality("cached", "video"),
    },
    billed_output_details={"image": _of_modality("output", "image"), "video": _of_modality("output", "video")},
    items=tuple(
        BilledItems(kind, (f"grounding_tool_count[type={tool}].count", f"groundingToolCount[type={tool}].count"))
        for kind, tool in (("web_search", "google_search"), ("map_search", "google_maps"), ("retrieval", "retrieval"))
    ),
)

#: Pictures: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api
_VERTEX_IMAGES = UsageSchema(
    input=(),
    other_units=("predictions[].mimeType",),
    items=(
        BilledItems(
            "image",
            ("predictions[]",),
            is_billed=lambda found: str(found.get("mimeType")).startswith("image/"),
        ),
    ),
)

#: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, and PaLM's text models.
_VERTEX_EMBEDDINGS = UsageSchema(input=("predictions[].embeddings.statistics.token_count",))
_VERTEX_TEXT = UsageSchema(input=("inputTokenCount.totalTokens",), output=("outputTokenCount.totalTokens",))

#: https://ai.google.dev/gemini-api/docs/google-search#pricing: the searches of a grounded answer, of which equal ones
#: count once and empty ones not at all; and places on a map.
_GROUNDING = (
    BilledItems("web_search", ("candidates[].groundingMetadata.webSearchQueries[]",), by_name=True),
    BilledItems("map_search", ("candidates[].groundingMetadata.groundingChunks[].maps",)),
)


#: JSON of a protocol buffer writes counts as text.
_BATCHED_EMBEDDING = UsageSchema(input=("tokenCount",), loosely_typed=True)


def _video_seconds(request: Mapping[str, Any]) -> Mapping[str, int]:
    """The seconds of all videos that are requested, if the request states how long they are."""
    seconds = _whole(get_path(request, "parameters.durationSeconds"))
    videos = _whole(get_path(request, "parameters.sampleCount"), default=1)
    return {"video_second": seconds * videos} if seconds and videos else {}


def _whole(value: Any, default: int | None = None) -> int | None:
    if value is None:
        return default
    return count(value)


GEMINI_SOURCE = Source(("usageMetadata", "response.usageMetadata", "usage_metadata"), GEMINI)


FLAVOURS: tuple[Flavour, ...] = (
    # As part of the batch, or as a file: https://ai.google.dev/gemini-api/docs/batch-api#retrieve-results
    Flavour(
        name="gemini-batch-results",
        home="google_genai",
        path=r"/(?P<id>batches/[^/:]+$|files/[^/:]+(?=:download$))",
        answers=(
            "response.inlinedResponses.inlinedResponses[].response",
            "dest.inlinedResponses[].response",
            "response.inlinedEmbedContentResponses.inlinedResponses[].response",
            "dest.inlinedEmbedContentResponses[].response",
            # A line of the file; requests in OpenAI's form are answered in it.
            "response.body",
            "response",
        ),
        answered_by=("gemini-generateContent", "gemini-embed", "openai-chat", "openai-embeddings"),
        model=("metadata.model",),
        kind="batch-results",
    ),
    Flavour(
        name="gemini-generateContent",
        home="google_genai",
        path=r"(?:/(?:models|tunedModels|endpoints)/(?P<model>[^/:]+))?:(?:streamGenerateContent|generateContent)$",
        looks=any_of(has_members("candidates", "usageMetadata"), has_members("modelVersion", "usageMetadata")),
        sources=(GEMINI_SOURCE,),
        model=("modelVersion", "response.modelVersion"),
        response_id=("responseId", "response.responseId"),
        service_tier=("usageMetadata.serviceTier", "usageMetadata.trafficType"),
        service_tier_header="x-gemini-service-tier",
        items=_GROUNDING,
        end=rb'"(?:finishReason|blockReason|finish_reason)"',
    ),
    Flavour(
        name="gemini-embed",
        home="google_genai",
        path=r"/(?P<model>[^/:]+):(?:embedContent|batchEmbedContents|embedText|batchEmbedText)$",
        looks=any_of(
            first_has("embeddings", "values"),
            lambda event: isinstance(event.get("embedding"), Mapping) and "values" in event["embedding"],
        ),
        # In a batch: `SingleEmbedContentResponse` of the google-genai SDK.
        sources=(GEMINI_SOURCE, Source(("",), _BATCHED_EMBEDDING)),
        model=(),
    ),
    # The API before Gemini's, and answers from given passages: no usage at all. The google-ai-generativelanguage SDK:
    # `GenerateTextResponse`, `GenerateMessageResponse`; https://ai.google.dev/api/question-answering
    Flavour(
        name="palm",
        home="google_genai",
        path=r"/(?P<model>[^/:]+):(?:generateText|generateMessage|generateAnswer)$",
        model=(),
        response_id=(),
    ),
    Flavour(
        name="gemini-interactions",
        home="google_genai",
        path=r"/interactions$",
        request=("model|agent", "input"),
        looks=any_of(has_object("interaction"), has_type("interaction.", member="event_type")),
        # A step may state what was used until then: `StepDeltaMetadata` of the google-genai SDK.
        sources=(Source(("interaction.usage", "usage", "metadata.total_usage"), _INTERACTIONS),),
        stored=r"(?:/interactions/v1_[^/:]+|/locations/[^/]+/interactions/[^/:]+)(?:[:/]cancel)?$",
        model=("interaction.model", "model"),
        response_id=("interaction.id", "id"),
        service_tier=("interaction.service_tier", "service_tier"),
        end=rb'"interaction\.complete|\[DONE\]',
    ),
    # A voice that a model designs. The google-genai SDK: `VoiceOutput`.
    Flavour(
        name="gemini-voices",
        home="google_genai",
        path=r"/v1(?:alpha|beta)\d*/voices$",
        request=("type",),
        sources=(Source(("usage",), _INTERACTIONS),),
    ),
    # Veo: billed by the second of the video, which only the request states, if at all.
    # https://ai.google.dev/gemini-api/docs/video, and `GenerateVideosConfig` of the google-genai SDK.
    Flavour(
        name="google-videos",
        home="google_genai",
        path=r"/models/(?P<model>[^/:]+):predictLongRunning$",
        asked_items=_video_seconds,
        model=(),
        response_id=("name",),
    ),
    Flavour(
        name="vertex-predict",
        home="google_vertexai",
        path=r"/models/(?P<model>[^/:]+):predict$",
        sources=(
            Source(("metadata.tokenMetadata",), _VERTEX_TEXT),
            Source(("",), _VERTEX_EMBEDDINGS),
            Source(("",), _VERTEX_IMAGES),
        ),
        model=(),
        response_id=(),
    ),
)
