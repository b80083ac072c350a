"""OpenAI, and providers with the same API: chats and other texts. `openai_media` has pictures, videos and speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llm_usage.wire.flavour import (
    FINISHED,
    Flavour,
    Source,
    ToolUsage,
    all_of,
    any_of,
    first_has,
    has_members,
    has_object,
    has_type,
)
from pytest_llm_usage.wire.paths import get_path
from pytest_llm_usage.wire.pieces import BilledItems, StatedCost
from pytest_llm_usage.wire.providers.google import GEMINI
from pytest_llm_usage.wire.schema import UsageSchema

#: What others add to OpenAI's usage object: Perplexity (`num_search_queries`), xAI (sources and server-side tools),
#: OpenRouter (Anthropic's name), Mistral (connectors), Alibaba (`x_tools`, `plugins`).
#: https://docs.perplexity.ai/api-reference, https://docs.x.ai/docs/guides/tools/overview,
#: https://openrouter.ai/docs/features/web-search, https://docs.mistral.ai/agents/connectors/connectors,
#: https://help.aliyun.com/zh/model-studio/web-search
_OPENAI_ITEMS = (
    BilledItems(
        "web_search",
        (
            "num_search_queries",
            "server_side_tool_usage_details.web_search_calls",
            "server_tool_use.web_search_requests",
            "server_tool_use_details.web_search_requests",
            "connectors.web_search",
            "tool_calls_details.search_web.invocation",
            "x_tools.web_search.count",
            "plugins.search.count",
        ),
    ),
    BilledItems("x_search", ("server_side_tool_usage_details.x_search_calls",)),
    BilledItems("file_search", ("server_side_tool_usage_details.file_search_calls",)),
    BilledItems(
        "code_interpreter",
        ("server_side_tool_usage_details.code_interpreter_calls", "connectors.code_interpreter"),
    ),
    BilledItems("image_generation", ("connectors.image_generation",)),
    BilledItems("search_source", ("num_sources_used",)),
    # Mistral: sound in a chat. The mistralai SDK: `UsageInfo`.
    BilledItems("audio_second", ("prompt_audio_seconds",), is_billed=lambda _: False, begun=True),
)

#: OpenRouter, where a call with the user's own key costs a fee besides the provider's bill; Perplexity; xAI, whose
#: models' resellers pass on zero ticks; DeepInfra. https://openrouter.ai/docs/use-cases/usage-accounting,
#: https://docs.perplexity.ai/api-reference, https://docs.x.ai/docs/api-reference,
#: https://deepinfra.com/docs/advanced/response_format
OPENROUTER_COST = StatedCost(path="cost", fee_only="is_byok", upstream="cost_details.upstream_inference_cost")
_OPENAI_COSTS = (
    StatedCost(path="cost_in_usd_ticks", units_per_usd=10**10, zero_is_unset=True),
    OPENROUTER_COST,
    StatedCost(path="cost.total_cost"),
    StatedCost(path="estimated_cost"),
)

#: OpenAI's two spellings (chat: prompt and completion; responses and images: input and output), and what compatible
#: servers add to them: DeepSeek (`prompt_cache_hit_tokens`), Together (`cached_tokens`), Inception
#: (`cached_input_tokens`), Databricks and LiteLLM (Anthropic's cache counts), Alibaba (the same among the details),
#: Perplexity (`reasoning_tokens`), xAI (see `UsageSchema`). https://help.aliyun.com/zh/model-studio/context-cache,
#: https://platform.openai.com/docs/api-reference/chat/object, …/responses/object
OPENAI = UsageSchema(
    states_both=True,
    input=("prompt_tokens", "input_tokens"),
    output=("completion_tokens", "output_tokens"),
    total=("total_tokens",),
    cache_read=(
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        "input_token_details.cached_tokens",
        "cached_tokens",
        "cached_input_tokens",
        "prompt_cache_hit_tokens",
        "cache_read_input_tokens",
        "input_tokens_details.cache_read_input_tokens",
    ),
    cache_write=(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "cache_creation_input_tokens",
        "input_tokens_details.cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_input_tokens",
    ),
    cache_write_5m=(
        "prompt_tokens_details.cache_creation.ephemeral_5m_input_tokens",
        "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens",
    ),
    cache_write_1h=("prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",),
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
        # Mistral; LangChain's integration does not report it.
        "cache_read": ("num_cached_tokens",),
        "image": ("input_tokens_details.image_tokens", "prompt_tokens_details.image_tokens"),
        "video": ("prompt_tokens_details.video_tokens",),
        "cache_read_audio": (
            "prompt_tokens_details.cached_tokens_details.audio_tokens",
            "input_token_details.cached_tokens_details.audio_tokens",
        ),
        "cache_read_image": ("input_tokens_details.cached_tokens_details.image_tokens",),
    },
    billed_output_details={
        "image": ("output_tokens_details.image_tokens", "completion_tokens_details.image_tokens"),
    },
    # Perplexity's research: https://docs.perplexity.ai/docs/sonar/models/sonar-deep-research
    billed_output_apart={"citation": ("citation_tokens",)},
    reasoning_beside=("citation_tokens",),
    items=_OPENAI_ITEMS,
    costs=_OPENAI_COSTS,
)

#: Embeddings and reranking: all tokens are input, and some servers state only their total.
OPENAI_INPUT = UsageSchema(
    input=("prompt_tokens", "input_tokens", "total_tokens"),
    output=("completion_tokens",),
    total=("total_tokens",),
    other_units=("search_units", "rerank_units"),
    output_may_be_null=True,
    costs=_OPENAI_COSTS,
    items=(BilledItems("search_unit", ("search_units",)), BilledItems("rerank_unit", ("rerank_units",))),
)

#: Groq's streams had it in `x_groq` once, Moonshot's have it in the choice.
OPENAI_SOURCE = Source(("usage", "x_groq.usage", "choices[].usage"), OPENAI)
RESPONSES_SOURCE = Source(("response.usage", "usage"), OPENAI)

#: Google's own counts, as Vercel's gateway passes them on: the gateway's usage and total leave out the thoughts, which
#: are billed. The ai SDK: `GoogleGenerativeAIProviderMetadata`; the name tells which of Google's APIs was used.
#: https://ai-sdk.dev/providers/ai-sdk-providers/google-generative-ai
_GOOGLE_BEHIND_GATEWAY = Source(
    tuple(
        f"choices[].{message}.provider_metadata.{name}.usageMetadata"
        for message in ("message", "delta")
        for name in ("google", "vertex")
    ),
    GEMINI,
)

#: `web_search_preview` and its dated names.
_PREVIEW_TOOLS = tuple(
    f"{where}tools[type={name}]"
    for where in ("response.", "")
    for name in ("web_search_preview", "web_search_preview_2025_03_11")
)


def _is_search(call: Mapping[str, Any]) -> bool:
    return get_path(call, "action.type") in (None, "search")


#: The image tool's tokens are those of its own model, and are not in the call's: `ToolUsageImageGen` of the openai SDK.
_IMAGE_TOOL = ToolUsage(
    kind="image_generation",
    paths=("response.tool_usage.image_gen", "tool_usage.image_gen"),
    schema=UsageSchema(
        input=("input_tokens",),
        output=("output_tokens",),
        total=("total_tokens",),
        cache_read=("cached_tokens",),
        billed_input_details={
            "image": ("input_tokens_details.image_tokens",),
            "cache_read_image": ("cached_tokens_details.cached_image_tokens",),
        },
        billed_output_details={"image": ("output_tokens_details.image_tokens",)},
    ),
    model=("response.tools[type=image_generation].model", "tools[type=image_generation].model"),
    default_model="gpt-image-1",
)

#: The openai SDK: `GraderRunResponse`; for the grader's model, only the total is stated.
_GRADER = UsageSchema(input=(), total=("token_usage",), other_units=("execution_time",))

#: Gemini's counts in a batch of requests in OpenAI's form; thoughts are only in the total.
#: https://ai.google.dev/gemini-api/docs/batch-api, and litellm's `gemini/batches/transformation.py`.
_GEMINI_IN_A_BATCH = UsageSchema(
    input=("promptTokens",), output=("completionTokens",), total=("totalTokens",), states_both=True
)

#: Meta's Llama API has a list of numbers: https://llama.developer.meta.com/docs/api/chat
_LLAMA_API = UsageSchema(
    input=("metrics[metric=num_prompt_tokens].value",),
    output=("metrics[metric=num_completion_tokens].value",),
    total=("metrics[metric=num_total_tokens].value",),
)

#: https://platform.openai.com/docs/guides/tools-web-search#output-and-citations: the searches of the tool are billed,
#: the pages that it opens are not; a container of the code interpreter is billed, not what runs in it.
_RESPONSES_ITEMS = (
    BilledItems(
        "web_search",
        (
            "response.tool_usage.web_search.num_requests",
            "tool_usage.web_search.num_requests",
            "response.output[type=web_search_call]",
            "output[type=web_search_call]",
        ),
        is_billed=_is_search,
        unless=_PREVIEW_TOOLS,
    ),
    # The older tool has a price of its own: https://developers.openai.com/api/docs/pricing
    BilledItems(
        "web_search_preview",
        (
            "response.tool_usage.web_search.num_requests",
            "tool_usage.web_search.num_requests",
            "response.output[type=web_search_call]",
            "output[type=web_search_call]",
        ),
        is_billed=_is_search,
        only_if=_PREVIEW_TOOLS,
    ),
    BilledItems("file_search", ("response.output[type=file_search_call]", "output[type=file_search_call]")),
    BilledItems(
        "code_interpreter",
        (
            "response.output[type=code_interpreter_call].container_id",
            "output[type=code_interpreter_call].container_id",
            # Hosted shells run in the same containers: https://developers.openai.com/api/docs/guides/tools-shell
            "response.output[type=shell_call].environment.container_id",
            "output[type=shell_call].environment.container_id",
        ),
        by_name=True,
    ),
    # xAI has no containers: each call is billed. Its later answers count what it did in their usage.
    # https://docs.x.ai/developers/tools/overview
    BilledItems(
        "code_interpreter",
        ("response.output[type=code_interpreter_call]", "output[type=code_interpreter_call]"),
        is_billed=lambda call: "container_id" not in call,
    ),
    BilledItems("x_search", ("response.output[type=x_search_call]", "output[type=x_search_call]")),
    BilledItems(
        "image_generation", ("response.output[type=image_generation_call]", "output[type=image_generation_call]")
    ),
)


def _executed(kind: str, *tools: str) -> BilledItems:
    paths = tuple(f"choices[].{message}.executed_tools[{tool}]" for message in ("message", "delta") for tool in tools)
    return BilledItems(kind, paths, identified_by="index")


#: Groq bills searches, pages and the time of code besides the tokens: https://groq.com/pricing, and `ExecutedTool` of
#: the groq SDK. The tools of a system are recognised by their type, those of a browsing model by their name; a stream
#: reports each when it begins and when it ends.
_EXECUTED_TOOLS = (
    _executed("web_search", "type=search", "name=browser.search"),
    _executed("web_fetch", "type=visit", "name=browser.open"),
    _executed("code_execution", "type=python", "name=python"),
)

#: https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
_USAGE_ASKED_BY = "stream_options.include_usage"

FLAVOURS: tuple[Flavour, ...] = (
    # OpenAI and compatible APIs; also Databricks' and Snowflake's own paths, Mistral's fim and agents, and what Vertex
    # passes on to models of makers other than Google and Anthropic:
    # https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral, …/ai21
    Flavour(
        name="openai-chat",
        home="openai",
        path=(
            r"(?:(?:/deployments/(?P<deployment>[^/]+))?/(?:chat|fim|agents)/completions|/v1/sonar"
            r"|/(?:serving-endpoints|publishers/(?!anthropic/)[^/]+/models)/(?P<model>[^/:]+)"
            r"(?:/invocations|:(?:streamRawPredict|rawPredict))|/inference:complete)$"
        ),
        # Some servers leave `object` out, and the first chunk of Azure's streams is about the prompt alone.
        looks=any_of(
            has_object("chat.completion", "chat.completion.chunk"),
            all_of(has_members("id", "model"), first_has("choices", "message", "delta")),
            has_members("choices", "prompt_filter_results"),
        ),
        # Volcengine's bots: `BotUsage` of volcenginesdkarkruntime.
        sources=(
            _GOOGLE_BEHIND_GATEWAY,
            OPENAI_SOURCE,
            Source(("usage",), _GEMINI_IN_A_BATCH),
            Source(("event", ""), _LLAMA_API),
            Source(("bot_usage.model_usage[]",), OPENAI),
        ),
        # Mistral's stands in the usage: `UsageInfo` of the mistralai SDK.
        service_tier=("service_tier", "usage.service_tier"),
        response_id=("id", "request_id"),
        items=_EXECUTED_TOOLS,
        # Of Groq's systems of several models: `UsageBreakdown` of the groq SDK.
        tools=(
            ToolUsage(
                kind="model",
                paths=("bot_usage.model_usage[]",),
                schema=OPENAI,
                model=("name",),
                in_total=True,
            ),
            ToolUsage(
                kind="model",
                paths=("usage_breakdown.models[]", "x_groq.usage_breakdown.models[]"),
                usage="usage",
                schema=OPENAI,
                model=("model",),
                in_total=True,
            ),
        ),
        # A stored completion, and one whose metadata is changed.
        stored=r"/chat/completions/[^/]+$",
        end=FINISHED,
        usage_asked_by=_USAGE_ASKED_BY,
    ),
    Flavour(
        name="openai-completions",
        home="openai",
        path=r"(?:(?:/deployments/(?P<deployment>[^/]+))?/completions|/v1/edits)$",
        request=("prompt|instruction",),
        looks=has_object("text_completion"),
        sources=(OPENAI_SOURCE,),
        end=FINISHED,
        usage_asked_by=_USAGE_ASKED_BY,
    ),
    Flavour(
        name="openai-responses-compact",
        home="openai",
        path=r"/responses/compact$",
        looks=has_object("response.compaction"),
        sources=(OPENAI_SOURCE,),
    ),
    Flavour(
        name="openai-responses",
        home="openai",
        # Azure's agents have the model: https://learn.microsoft.com/azure/foundry/agents/
        path=r"/responses$",
        request=("model|models|prompt|preset|agent_reference", "input|prompt|previous_response_id|conversation"),
        looks=any_of(has_object("response"), has_type("response.")),
        sources=(RESPONSES_SOURCE,),
        stored=r"/responses/resp_[^/]+(?:/cancel)?$",
        model=("response.model", "model"),
        response_id=("response.id", "id"),
        service_tier=("response.service_tier", "service_tier"),
        items=_RESPONSES_ITEMS,
        tools=(_IMAGE_TOOL,),
        end=rb'"response\.(?:completed|incomplete|failed|cancelled)"',
    ),
    # https://platform.openai.com/docs/api-reference/runs; the run is the call, its steps are parts of its usage.
    Flavour(
        name="openai-assistants",
        home="openai",
        path=r"/threads/(?:thread_[^/]+/)?runs$",
        request=("assistant_id",),
        looks=has_object("thread.run"),
        sources=(OPENAI_SOURCE,),
        stored=r"/threads/thread_[^/]+/runs/run_[^/]+(?:/submit_tool_outputs|/cancel)?$",
        response_id=("run_id", "id"),
        end=rb"event: ?(?:done|thread\.run\.(?:completed|incomplete|failed|cancelled|expired))",
    ),
    # The openai SDK: `Decision`. It has prices of its own.
    Flavour(
        name="openai-decisions",
        home="openai",
        seller="openai-decisions",
        path=r"/decisions$",
        request=("model", "input"),
        looks=has_members("answers", "usage", "model"),
        sources=(OPENAI_SOURCE,),
        response_id=(),
    ),
    # https://platform.openai.com/docs/api-reference/graders/run
    Flavour(
        name="openai-graders",
        home="openai",
        path=r"/fine_tuning/alpha/graders/run$",
        sources=(Source(("metadata",), _GRADER),),
        model=("metadata.sampled_model_name",),
        response_id=(),
    ),
    # OpenAI's and Mistral's batches hand out their answers as a file, like any other file.
    Flavour(
        name="openai-batch-results",
        home="openai",
        path=r"/files/(?P<id>[^/]+)/content$",
        answers=("response.body",),
        answered_by=("openai-chat", "openai-responses", "openai-completions", "openai-embeddings"),
        kind="batch-results",
    ),
)
