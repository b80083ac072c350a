"""The APIs that are read: one row of `FLAVOURS` each, and `ENDPOINTS`, who answers where.

A flavour is recognised by its path, together with the members of its request where others use that path as well:
gateways, proxies and local servers have the same paths as the providers. Where the path tells nothing (redacted, or
somebody's own) the shape of the response does. Hosts say who is asked (and bills), never how the response reads.

A new API is a row; nothing else knows any provider by name. Formats are those of the providers' references and SDKs;
each row names its source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from pytest_llm_usage.wire.counts import Form, Items, at

__all__ = ["ENDPOINTS", "FLAVOURS", "UNBILLED", "Flavour", "Kind", "Source", "path_of", "provider_at"]

#: ``call``: a request to a model. ``retrieve``: an answer that was stored or is still in the making is asked for again;
#: it belongs to the call with the same response id. ``batch-results``: the answers of a batch, all in one body.
Kind: TypeAlias = Literal["call", "retrieve", "batch-results"]


@dataclass(frozen=True)
class Source:
    """Where the events of an API hold usage, and how those of one stream combine.

    Attributes:
        paths: Where the usage object stands in an event; empty for the event itself.
        form: How it is written.
        combine: `last`: each states the whole, the last counts. `merge`: cumulative, member by member.
            `sum`: each counts for itself.
        in_headers: The usage object is the response's headers (lower-case names) rather than in the body.
        parts: Where a usage object lists its parts, each written in the same form.
    """

    paths: tuple[str, ...]
    form: Form
    combine: Literal["last", "merge", "sum"] = "last"
    in_headers: bool = False
    parts: str = ""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The member names by which an event with usage is told from the others."""
        paths = self.paths if self.paths != ("",) else (*self.form.input, *self.form.output)
        return tuple(dict.fromkeys(_LIST.sub("", path).rsplit(".", 1)[-1] for path in paths))


_LIST = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """One API: how it is recognised and where its response says what.

    Patterns are regular expressions as text: `re` compiles and keeps those that are used, rather than all at import.

    Attributes:
        name: What the API is called here.
        home: The provider whose own API it is; who answered where the URL was redacted.
        path: A pattern of the URL path of a request (without host, query and percent-encoding); its groups: `model`,
            the model asked for; `deployment`, what stands for it on Azure; `id`, the response.
        request: Members that a request has (in JSON or as a form; `a|b` for either), where the path alone does not tell
            because others use it for something else.
        looks: Whether an event is of this API, for responses whose URL does not tell.
        sources: Where usage stands, the best first: the next is asked only where one states nothing.
        stored: A pattern of the URL path under which a stored answer is asked for again.
        model: Where events name the model.
        response_id: Where events name the response.
        service_tier: Where events name the tier.
        response_id_header: The response header that names the response where its events do not.
        service_tier_header: The response header that names the tier where the events do not.
        end: A pattern of what occurs in a stream that came to its end.
        items: Work billed by the piece that events tell of, beside what the usage object counts.
        kind: See `Kind`; other than `call` it is a GET.
    """

    name: str
    home: str
    path: str
    request: tuple[str, ...] = ()
    looks: Callable[[Mapping[str, Any]], bool] | None = None
    sources: tuple[Source, ...] = ()
    stored: str = ""
    model: tuple[str, ...] = ("model",)
    response_id: tuple[str, ...] = ("id",)
    service_tier: tuple[str, ...] = ("service_tier",)
    response_id_header: str = ""
    service_tier_header: str = ""
    end: bytes = b""
    items: tuple[Items, ...] = ()
    kind: Kind = "call"

    def fits(self, members: Collection[str] | None) -> bool:
        """Whether a request with these members may ask this API; None for one that tells nothing about itself."""
        if not self.request:
            return True
        return members is not None and all(any(name in members for name in one.split("|")) for one in self.request)


# --- How usage is written -------------------------------------------------------------------------------------------

#: What others add to OpenAI's usage object: Perplexity (`num_search_queries`), xAI (sources and server-side tools),
#: OpenRouter (Anthropic's name), Mistral (connectors).
#: https://docs.perplexity.ai/api-reference, https://docs.x.ai/docs/guides/tools/overview,
#: https://openrouter.ai/docs/features/web-search, https://docs.mistral.ai/agents/connectors/connectors
_OPENAI_ITEMS = (
    Items(
        "web_search",
        (
            "num_search_queries",
            "server_side_tool_usage_details.web_search_calls",
            "server_tool_use.web_search_requests",
            "connectors.web_search",
        ),
    ),
    Items("x_search", ("server_side_tool_usage_details.x_search_calls",)),
    Items("file_search", ("server_side_tool_usage_details.file_search_calls",)),
    Items(
        "code_interpreter",
        ("server_side_tool_usage_details.code_interpreter_calls", "connectors.code_interpreter"),
    ),
    Items("image_generation", ("connectors.image_generation",)),
    Items("search_source", ("num_sources_used",)),
)

#: OpenAI's two spellings (chat: prompt and completion; responses and images: input and output), and what compatible
#: servers add to them: DeepSeek (`prompt_cache_hit_tokens`), Together (`cached_tokens`), Databricks and LiteLLM
#: (Anthropic's cache counts), Perplexity (`reasoning_tokens`), xAI (see `Form.read`).
#: https://platform.openai.com/docs/api-reference/chat/object, …/responses/object
_OPENAI = Form(
    input=("prompt_tokens", "input_tokens"),
    output=("completion_tokens", "output_tokens"),
    total=("total_tokens",),
    cache_read=(
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        "input_token_details.cached_tokens",
        "cached_tokens",
        "prompt_cache_hit_tokens",
        "cache_read_input_tokens",
    ),
    cache_write=(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "cache_creation_input_tokens",
    ),
    audio_input=(
        "prompt_tokens_details.audio_tokens",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio_tokens",
    ),
    audio_output=(
        "completion_tokens_details.audio_tokens",
        "output_tokens_details.audio_tokens",
        "output_token_details.audio_tokens",
    ),
    reasoning=(
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",
    ),
    billed_input_details={
        "image": ("input_tokens_details.image_tokens", "prompt_tokens_details.image_tokens"),
        "cache_read_audio": (
            "prompt_tokens_details.cached_tokens_details.audio_tokens",
            "input_token_details.cached_tokens_details.audio_tokens",
        ),
        "cache_read_image": ("input_tokens_details.cached_tokens_details.image_tokens",),
    },
    billed_output_details={
        "image": ("output_tokens_details.image_tokens", "completion_tokens_details.image_tokens"),
    },
    items=_OPENAI_ITEMS,
)

#: Embeddings and reranking: all tokens are input, and some servers state only their total.
_OPENAI_INPUT = Form(
    input=("prompt_tokens", "input_tokens", "total_tokens"),
    output=("completion_tokens",),
    total=("total_tokens",),
    other_units=("search_units",),
    items=(Items("search_unit", ("search_units",)),),
)

#: https://docs.anthropic.com/en/api/messages
_ANTHROPIC = Form(
    input=("input_tokens",),
    output=("output_tokens",),
    cache_read=("cache_read_input_tokens",),
    cache_write=("cache_creation_input_tokens",),
    cache_write_5m=("cache_creation.ephemeral_5m_input_tokens",),
    cache_write_1h=("cache_creation.ephemeral_1h_input_tokens",),
    reasoning=("output_tokens_details.thinking_tokens",),
    cache_apart=True,
    # Fetches of pages, searches for tools and advice cost the tokens that they take, and nothing beside.
    items=(Items("web_search", ("server_tool_use.web_search_requests",)),),
)

#: https://ai.google.dev/api/generate-content#UsageMetadata; `response…` is the Live API's spelling, the snake-case one
#: that of recordings made above the wire, and a modality of 4 is the number that Vertex's enumeration has for audio.
_GEMINI = Form(
    input=("promptTokenCount", "prompt_token_count"),
    output=("candidatesTokenCount", "responseTokenCount", "candidates_token_count"),
    total=("totalTokenCount", "total_token_count"),
    tool_input=("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    cache_read=("cachedContentTokenCount", "cached_content_token_count"),
    audio_input=("promptTokensDetails[modality=audio].tokenCount", "promptTokensDetails[modality=4].tokenCount"),
    audio_output=(
        "candidatesTokensDetails[modality=audio].tokenCount",
        "candidatesTokensDetails[modality=4].tokenCount",
        "responseTokensDetails[modality=audio].tokenCount",
    ),
    reasoning=("thoughtsTokenCount", "thoughts_token_count"),
    reasoning_apart=True,
    billed_input_details={
        "image": ("promptTokensDetails[modality=image].tokenCount", "promptTokensDetails[modality=2].tokenCount"),
        "video": ("promptTokensDetails[modality=video].tokenCount", "promptTokensDetails[modality=3].tokenCount"),
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

#: https://ai.google.dev/api/interactions-api
_INTERACTIONS = Form(
    input=("total_input_tokens",),
    output=("total_output_tokens",),
    total=("total_tokens",),
    tool_input=("total_tool_use_tokens",),
    cache_read=("total_cached_tokens",),
    audio_input=("input_tokens_by_modality[modality=audio].tokens",),
    audio_output=("output_tokens_by_modality[modality=audio].tokens",),
    reasoning=("total_thought_tokens",),
    reasoning_apart=True,
)

#: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html; Nova's own body spells it alike.
_CONVERSE = Form(
    input=("inputTokens",),
    output=("outputTokens",),
    total=("totalTokens",),
    cache_read=("cacheReadInputTokens", "cacheReadInputTokenCount"),
    cache_write=("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    cache_write_5m=("cacheDetails[ttl=5m].inputTokens",),
    cache_write_1h=("cacheDetails[ttl=1h].inputTokens",),
    cache_apart=True,
)

#: What Bedrock itself adds to the last chunk of any model's stream.
_INVOCATION_METRICS = Form(
    input=("inputTokenCount",),
    output=("outputTokenCount",),
    cache_read=("cacheReadInputTokenCount",),
    cache_write=("cacheWriteInputTokenCount",),
    cache_apart=True,
)

#: … and to the headers of any model's answer.
_BEDROCK_HEADERS = Form(
    input=("x-amzn-bedrock-input-token-count",),
    output=("x-amzn-bedrock-output-token-count",),
    cache_read=("x-amzn-bedrock-cache-read-input-token-count",),
    cache_write=("x-amzn-bedrock-cache-write-input-token-count",),
    cache_apart=True,
)

#: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html, Titan, Llama and Jurassic.
_TITAN = Form(input=("inputTextTokenCount",), output=("results[].tokenCount", "totalOutputTextTokenCount"))
_LLAMA = Form(input=("prompt_token_count",), output=("generation_token_count",))
_JURASSIC = Form(input=("prompt.tokens[]",), output=("completions[].data.tokens[]",))

#: https://docs.cohere.com/reference/chat; tokens are what the model read, billed units leave some of them out.
_COHERE = Form(
    input=("tokens.input_tokens", "billed_units.input_tokens"),
    output=("tokens.output_tokens", "billed_units.output_tokens"),
    cache_read=("cached_tokens",),
    other_units=("billed_units.search_units", "billed_units.images", "billed_units.classifications"),
    billed_input=("billed_units.input_tokens",),
    billed_output=("billed_units.output_tokens",),
    items=(Items("search_unit", ("billed_units.search_units",)),),
)

#: https://github.com/ollama/ollama/blob/main/docs/api.md; the prompt's count is absent where the prompt was cached.
_OLLAMA = Form(input=("prompt_eval_count",), output=("eval_count",))

#: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, and PaLM's text models.
_VERTEX_EMBEDDINGS = Form(input=("predictions[].embeddings.statistics.token_count",))
_VERTEX_TEXT = Form(input=("inputTokenCount.totalTokens",), output=("outputTokenCount.totalTokens",))

#: https://replicate.com/docs/reference/http
_REPLICATE = Form(input=("input_token_count",), output=("output_token_count",))

#: https://docs.aleph-alpha.com/api/complete
_ALEPH_ALPHA = Form(input=("num_tokens_prompt_total",), output=("num_tokens_generated",))

#: https://cloud.ibm.com/apidocs/watsonx-ai, text generation; text embeddings and reranking.
_WATSONX = Form(input=("results[].input_token_count",), output=("results[].generated_token_count",))
_WATSONX_INPUT = Form(input=("input_token_count",))

#: Groq's streams had it in `x_groq` once, Moonshot's have it in the choice.
_OPENAI_USAGE = Source(("usage", "x_groq.usage", "choices[].usage"), _OPENAI)
_RESPONSES_USAGE = Source(("response.usage", "usage"), _OPENAI)
_ANTHROPIC_USAGE = Source(("message.usage", "usage"), _ANTHROPIC, combine="merge", parts="iterations[]")
_GEMINI_USAGE = Source(("usageMetadata", "response.usageMetadata", "usage_metadata"), _GEMINI)
_COHERE_USAGE = Source(("usage", "delta.usage", "meta", "response.meta"), _COHERE)


#: https://platform.openai.com/docs/guides/tools-web-search#output-and-citations: of what the tool does searches are billed,
#: and pages that it opens are not; a container of the code interpreter is billed, not what runs in it.
_RESPONSES_ITEMS = (
    Items(
        "web_search",
        (
            "response.tool_usage.web_search.num_requests",
            "tool_usage.web_search.num_requests",
            "response.output[type=web_search_call]",
            "output[type=web_search_call]",
        ),
        is_billed=lambda call: at(call, "action.type") in (None, "search"),
    ),
    Items("file_search", ("response.output[type=file_search_call]", "output[type=file_search_call]")),
    Items(
        "code_interpreter",
        (
            "response.output[type=code_interpreter_call].container_id",
            "output[type=code_interpreter_call].container_id",
        ),
        by_name=True,
    ),
    Items("image_generation", ("response.output[type=image_generation_call]", "output[type=image_generation_call]")),
)

#: https://ai.google.dev/gemini-api/docs/google-search: the searches of a grounded answer, and places on a map.
_GROUNDING = (
    Items("web_search", ("candidates[].groundingMetadata.webSearchQueries[]",), by_name=True),
    Items("map_search", ("candidates[].groundingMetadata.groundingChunks[].maps",)),
)


def _object(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: event.get("object") in names


def _typed(prefix: str, member: str = "type") -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: isinstance(name := event.get(member), str) and name.startswith(prefix)


def _has(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: all(key in event for key in keys)


def _any(*tests: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: any(test(event) for test in tests)


def _holds_embeddings(event: Mapping[str, Any]) -> bool:
    data = event.get("data")
    return isinstance(data, list) and bool(data) and isinstance(data[0], Mapping) and "embedding" in data[0]


# --- The table ------------------------------------------------------------------------------------------------------

#: Paths that look like those of a model and are not billed: counting tokens, and translating text into tokens.
UNBILLED = re.compile(r"(?:[:/]count[-_]?tokens|/input_tokens|/(?:de)?tokenize|:computeTokens)\b[^/]*$", re.IGNORECASE)

_FINISHED = rb'\[DONE\]|"finish_reason"\s*:\s*"(?!null)'

FLAVOURS: tuple[Flavour, ...] = (
    # OpenAI and everybody who speaks like it; also Databricks' and Snowflake's own paths, Mistral's fim and agents, and
    # what Vertex hands on to others' models than Google's and Anthropic's:
    # https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral, …/ai21
    Flavour(
        name="openai-chat",
        home="openai",
        path=(
            r"(?:(?:/deployments/(?P<deployment>[^/]+))?/(?:chat|fim|agents)/completions"
            r"|/(?:serving-endpoints|publishers/(?!anthropic/)[^/]+/models)/(?P<model>[^/:]+)"
            r"(?:/invocations|:(?:streamRawPredict|rawPredict))|/inference:complete)$"
        ),
        looks=_object("chat.completion", "chat.completion.chunk"),
        sources=(_OPENAI_USAGE,),
        end=_FINISHED,
    ),
    Flavour(
        name="openai-completions",
        home="openai",
        path=r"(?:(?:/deployments/(?P<deployment>[^/]+))?/completions|/v1/edits)$",
        request=("prompt|instruction",),
        looks=_object("text_completion"),
        sources=(_OPENAI_USAGE,),
        end=_FINISHED,
    ),
    Flavour(
        name="openai-responses-compact",
        home="openai",
        path=r"/responses/compact$",
        looks=_object("response.compaction"),
        sources=(_OPENAI_USAGE,),
    ),
    Flavour(
        name="openai-responses",
        home="openai",
        path=r"/responses$",
        request=("model|models|prompt|preset", "input|prompt|previous_response_id|conversation"),
        looks=_any(_object("response"), _typed("response.")),
        sources=(_RESPONSES_USAGE,),
        stored=r"/responses/resp_[^/]+(?:/cancel)?$",
        model=("response.model", "model"),
        response_id=("response.id", "id"),
        service_tier=("response.service_tier", "service_tier"),
        items=_RESPONSES_ITEMS,
        end=rb'"response\.(?:completed|incomplete|failed|cancelled)"',
    ),
    # https://platform.openai.com/docs/api-reference/runs; the run is the call, its steps are parts of its usage.
    Flavour(
        name="openai-assistants",
        home="openai",
        path=r"/threads/(?:thread_[^/]+/)?runs$",
        request=("assistant_id",),
        looks=_object("thread.run"),
        sources=(_OPENAI_USAGE,),
        stored=r"/threads/thread_[^/]+/runs/run_[^/]+(?:/submit_tool_outputs|/cancel)?$",
        response_id=("run_id", "id"),
        end=rb"event: ?(?:done|thread\.run\.(?:completed|incomplete|failed|cancelled|expired))",
    ),
    Flavour(
        name="openai-images",
        home="openai",
        path=r"/images/(?:generations|edits|variations)$",
        sources=(Source(("usage",), _OPENAI),),
        end=rb'"image_(?:generation|edit)\.completed"',
    ),
    Flavour(
        name="openai-audio",
        home="openai",
        path=r"/audio/(?:transcriptions|translations|speech)$",
        sources=(Source(("usage",), _OPENAI),),
        end=rb'"(?:transcript\.text|speech\.audio)\.done"',
    ),
    # https://docs.anthropic.com/en/api/messages; Vertex and Azure serve it under paths of their own.
    Flavour(
        name="anthropic-messages",
        home="anthropic",
        path=r"(?:/messages|/publishers/anthropic/models/(?P<model>[^/:]+):(?:streamRawPredict|rawPredict))$",
        request=("messages", "model|anthropic_version"),
        looks=_any(_typed("message_start"), lambda event: event.get("type") == "message" and "usage" in event),
        sources=(_ANTHROPIC_USAGE,),
        model=("message.model", "model"),
        response_id=("message.id", "id"),
        service_tier=("message.usage.service_tier", "usage.service_tier"),
        # https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing
        items=(Items("code_execution", ("container", "delta.container")),),
        end=rb'"message_stop"|"stop_reason"\s*:\s*"',
    ),
    # The API before messages: no usage at all.
    Flavour(
        name="anthropic-complete",
        home="anthropic",
        path=r"/v1/complete$",
        request=("prompt",),
        looks=lambda event: event.get("type") == "completion" and "stop_reason" in event,
        end=rb'"stop_reason"\s*:\s*"',
    ),
    Flavour(
        name="anthropic-batch-results",
        home="anthropic",
        path=r"/messages/batches/(?P<id>[^/]+)/results$",
        sources=(Source(("result.message.usage",), _ANTHROPIC, combine="sum", parts="iterations[]"),),
        model=("result.message.model",),
        response_id=(),
        service_tier=("result.message.usage.service_tier",),
        kind="batch-results",
    ),
    # OpenAI's and Mistral's batches hand out their answers as a file, like any other file.
    Flavour(
        name="openai-batch-results",
        home="openai",
        path=r"/files/(?P<id>[^/]+)/content$",
        sources=(Source(("response.body.usage",), _OPENAI, combine="sum"),),
        model=("response.body.model",),
        response_id=(),
        service_tier=("response.body.service_tier",),
        kind="batch-results",
    ),
    Flavour(
        name="gemini-batch-results",
        home="google_genai",
        path=r"/(?P<id>batches/[^/:]+)$",
        sources=(
            Source(
                (
                    "response.inlinedResponses.inlinedResponses[].response.usageMetadata",
                    "dest.inlinedResponses[].response.usageMetadata",
                ),
                _GEMINI,
                combine="sum",
            ),
        ),
        model=("metadata.model",),
        response_id=(),
        kind="batch-results",
    ),
    Flavour(
        name="gemini-generateContent",
        home="google_genai",
        path=r"(?:/(?:models|tunedModels|endpoints)/(?P<model>[^/:]+))?:(?:streamGenerateContent|generateContent)$",
        looks=_any(_has("candidates", "usageMetadata"), _has("modelVersion", "usageMetadata")),
        sources=(_GEMINI_USAGE,),
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
        path=r"/(?P<model>[^/:]+):(?:embedContent|batchEmbedContents)$",
        sources=(_GEMINI_USAGE,),
        model=(),
    ),
    Flavour(
        name="gemini-interactions",
        home="google_genai",
        path=r"/interactions$",
        request=("model|agent", "input"),
        looks=_any(_object("interaction"), _typed("interaction.", member="event_type")),
        sources=(Source(("interaction.usage", "usage"), _INTERACTIONS),),
        stored=r"/interactions/v1_[^/]+(?:/cancel)?$",
        model=("interaction.model", "model"),
        response_id=("interaction.id", "id"),
        service_tier=("interaction.service_tier", "service_tier"),
        end=rb'"interaction\.complete|\[DONE\]',
    ),
    Flavour(
        name="vertex-predict",
        home="google_vertexai",
        path=r"/models/(?P<model>[^/:]+):predict$",
        sources=(Source(("metadata.tokenMetadata",), _VERTEX_TEXT), Source(("",), _VERTEX_EMBEDDINGS)),
        model=(),
        response_id=(),
    ),
    Flavour(
        name="bedrock-converse",
        home="amazon_bedrock",
        path=r"/model/(?P<model>.+)/(?:converse|converse-stream)$",
        looks=lambda event: "usage" in event and "stopReason" in event and "output" in event,
        sources=(Source(("usage",), _CONVERSE),),
        model=(),
        response_id=(),
        service_tier=("serviceTier.type",),
        response_id_header="x-amzn-requestid",
        service_tier_header="x-amzn-bedrock-service-tier",
        end=rb"event: (?:messageStop|metadata)\n",
    ),
    # The model's own JSON under Bedrock's path: every maker's form, then what Bedrock itself counted.
    Flavour(
        name="bedrock-invoke",
        home="amazon_bedrock",
        path=r"/model/(?P<model>.+)/(?:invoke|invoke-with-response-stream)$",
        sources=(
            _ANTHROPIC_USAGE,
            Source(("usage", "metadata.usage"), _CONVERSE),
            Source(("usage",), _OPENAI),
            Source(("amazon-bedrock-invocationMetrics",), _INVOCATION_METRICS),
            Source(("",), _TITAN),
            Source(("",), _LLAMA),
            Source(("",), _JURASSIC),
            Source(("meta",), _COHERE),
            Source(("",), _BEDROCK_HEADERS, in_headers=True),
        ),
        model=("message.model", "model"),
        response_id=("message.id", "id"),
        service_tier=("message.usage.service_tier", "usage.service_tier"),
        response_id_header="x-amzn-requestid",
        service_tier_header="x-amzn-bedrock-service-tier",
        end=rb'"amazon-bedrock-invocationMetrics"|"message_stop"|"(?:stop_reason|finish_reason)"\s*:\s*"',
    ),
    Flavour(
        name="cohere-v2",
        home="cohere",
        path=r"/v2/chat$",
        looks=_any(_typed("message-start"), lambda event: "message" in event and at(event, "usage.tokens") is not None),
        sources=(_COHERE_USAGE,),
        end=rb'"message-end"',
    ),
    Flavour(
        name="cohere-v1",
        home="cohere",
        path=r"/v1/(?:chat|generate|summarize)$",
        request=("message|prompt|text", "model|stream"),
        looks=_any(_has("generation_id", "meta"), _has("event_type", "generation_id")),
        sources=(_COHERE_USAGE,),
        response_id=("response_id", "generation_id", "id"),
        end=rb'"stream-end"|"is_finished"\s*:\s*true',
    ),
    Flavour(
        name="cohere-embed",
        home="cohere",
        path=r"/v[12]/embed$",
        sources=(_COHERE_USAGE,),
    ),
    Flavour(
        name="watsonx-embed",
        home="watsonx",
        path=r"/ml/v1/text/(?:embeddings|rerank)$",
        sources=(Source(("",), _WATSONX_INPUT),),
        model=("model_id",),
        response_id=(),
    ),
    # Cohere, Voyage, Jina, NVIDIA: one request, three ways to say what it used.
    Flavour(
        name="rerank",
        home="cohere",
        path=r"/(?:rerank|reranking|v1/ranking)$",
        sources=(Source(("usage",), _OPENAI_INPUT), Source(("meta",), _COHERE)),
    ),
    Flavour(
        name="ollama-chat",
        home="ollama",
        path=r"/api/chat$",
        request=("model", "messages"),
        looks=_has("model", "message", "done"),
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
        end=rb'"done"\s*:\s*true',
    ),
    Flavour(
        name="ollama-generate",
        home="ollama",
        path=r"/api/generate$",
        request=("model",),
        looks=_has("model", "response", "done"),
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
        end=rb'"done"\s*:\s*true',
    ),
    Flavour(
        name="ollama-embed",
        home="ollama",
        path=r"/api/embed(?:dings)?$",
        request=("model", "input|prompt"),
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
    ),
    # Also Voyage's multimodal and contextualised embeddings.
    Flavour(
        name="openai-embeddings",
        home="openai",
        path=r"(?:/deployments/(?P<deployment>[^/]+))?/(?:|multimodal|contextualized)embeddings$",
        looks=_holds_embeddings,
        sources=(Source(("usage",), _OPENAI_INPUT),),
    ),
    # https://docs.mistral.ai/api/endpoint/beta/conversations
    Flavour(
        name="mistral-conversations",
        home="mistral",
        path=r"/conversations(?:/[^/]+)?$",
        request=("inputs",),
        looks=_any(_object("conversation.response"), _typed("conversation.response.")),
        sources=(Source(("usage",), _OPENAI),),
        model=("outputs[].model", "model"),
        response_id=("conversation_id",),
        end=rb'"conversation\.response\.(?:done|error)"',
    ),
    # Billed by the page: no tokens are stated.
    Flavour(name="mistral-ocr", home="mistral", path=r"/ocr$", request=("document",), response_id=()),
    # https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope
    Flavour(
        name="dashscope",
        home="dashscope",
        path=r"/api/v1/services/(?:[\w-]+/)+[\w-]+$",
        looks=_has("output", "usage", "request_id"),
        sources=(Source(("usage",), _OPENAI),),
        response_id=("request_id",),
        end=_FINISHED,
    ),
    Flavour(
        name="replicate",
        home="replicate",
        path=r"/v1/(?:(?:models|deployments)/(?P<model>[^/]+/[^/]+)/)?predictions$",
        request=("input",),
        sources=(Source(("metrics",), _REPLICATE),),
        looks=_has("urls", "version", "status", "input"),
    ),
    Flavour(
        name="aleph-alpha-complete",
        home="aleph_alpha",
        path=r"(?<!/v1)/complete$",
        request=("model", "prompt"),
        looks=_has("completions", "num_tokens_generated"),
        sources=(Source(("",), _ALEPH_ALPHA),),
        model=("model_version",),
        response_id=(),
        end=rb'"num_tokens_generated"',
    ),
    Flavour(
        name="watsonx-generation",
        home="watsonx",
        path=r"/ml/v1/(?:deployments/[^/]+/)?text/(?:generation|generation_stream)$",
        sources=(Source(("",), _WATSONX),),
        model=("model_id",),
        response_id=(),
        end=rb'"stop_reason"\s*:\s*"(?!not_finished)',
    ),
    Flavour(
        name="watsonx-chat",
        home="watsonx",
        path=r"/ml/v1/(?:deployments/[^/]+/)?text/(?:chat|chat_stream)$",
        sources=(_OPENAI_USAGE,),
        model=("model_id", "model"),
        end=_FINISHED,
    ),
)

#: Who answers, in LangChain's words (`ls_provider`) where LangChain has one: the first pattern that fits `host/path`.
ENDPOINTS: tuple[tuple[str, str], ...] = (
    ("*.openai.azure.com/*", "azure"),
    ("*.services.ai.azure.com/*", "azure"),
    ("*.cognitiveservices.azure.com/*", "azure"),
    ("*.inference.ai.azure.com/*", "azure"),
    ("*.models.ai.azure.com/*", "azure"),
    ("*.openai.com/*", "openai"),
    ("chatgpt.com/*", "openai"),
    ("*.anthropic.com/*", "anthropic"),
    ("*generativelanguage.googleapis.com/*", "google_genai"),
    ("*aiplatform.googleapis.com/*", "google_vertexai"),
    ("bedrock*.amazonaws.com*/*", "amazon_bedrock"),
    ("bedrock*.api.aws/*", "amazon_bedrock"),
    ("*.mistral.ai/*", "mistral"),
    ("api.cohere.com/*", "cohere"),
    ("api.cohere.ai/*", "cohere"),
    ("api.groq.com/*", "groq"),
    ("api.deepseek.com/*", "deepseek"),
    ("*api.x.ai/*", "xai"),
    ("ollama.com/*", "ollama"),
    ("*:11434/*", "ollama"),
    ("openrouter.ai/*", "openrouter"),
    ("api.perplexity.ai/*", "perplexity"),
    ("*.api.nvidia.com/*", "NVIDIA"),
    ("api.together.xyz/*", "together"),
    ("api.together.ai/*", "together"),
    ("api.fireworks.ai/*", "fireworks"),
    ("*huggingface.co/*", "huggingface"),
    ("*.endpoints.huggingface.cloud/*", "huggingface"),
    ("api.cerebras.ai/*", "cerebras"),
    ("api.sambanova.ai/*", "sambanova"),
    ("dashscope*.aliyuncs.com/*", "dashscope"),
    ("api.z.ai/*", "zai"),
    ("open.bigmodel.cn/*", "zai"),
    ("api.moonshot.*/*", "moonshotai"),
    ("api.minimax*/*", "minimax"),
    ("api.voyageai.com/*", "voyageai"),
    ("api.jina.ai/*", "jina"),
    ("api.writer.com/*", "writer"),
    ("api.replicate.com/*", "replicate"),
    ("api.ai21.com/*", "ai21"),
    ("api.aleph-alpha.com/*", "aleph_alpha"),
    ("api.deepinfra.com/*", "deepinfra"),
    ("api.novita.ai/*", "novita"),
    ("*.crusoecloud.com/*", "crusoe"),
    ("models.github.ai/*", "github"),
    ("*.databricks.com/*", "databricks"),
    ("*.azuredatabricks.net/*", "databricks"),
    ("*.snowflakecomputing.com/*", "snowflake"),
    ("*.cloudflare.com/*", "cloudflare"),
    ("*.ml.cloud.ibm.com/*", "watsonx"),
    ("api.portkey.ai/*", "portkey"),
    # Behind a domain of one's own the path still tells.
    ("*/openai/deployments/*", "azure"),
    ("*/publishers/*/models/*", "google_vertexai"),
    ("*/model/*/converse*", "amazon_bedrock"),
    ("*/model/*/invoke*", "amazon_bedrock"),
)


@lru_cache(maxsize=1024)
def path_of(url: str) -> str:
    """The path of a URL, percent-encoding undone; of one that is redacted, what is left."""
    return unquote(_split(url)[1]).rstrip("/")


@lru_cache(maxsize=1024)
def provider_at(url: str, home: str) -> str | None:
    """Who answers at `url`: by `ENDPOINTS`, `home` where the URL was redacted, None where nobody is known there."""
    host, path = _split(url)
    if not host:
        return home
    address = f"{host}{path}/"
    return next((provider for pattern, provider in ENDPOINTS if fnmatchcase(address, pattern)), None)


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443").removesuffix(":80"), parts.path
