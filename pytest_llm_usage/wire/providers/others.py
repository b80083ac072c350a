"""Providers with an API of their own."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import FINISHED, NOWHERE, Flavour, Source, ToolUsage, has_members
from pytest_llm_usage.wire.pieces import BilledItems, StatedCost
from pytest_llm_usage.wire.providers.openai import OPENAI, OPENAI_INPUT, OPENAI_SOURCE
from pytest_llm_usage.wire.schema import UsageSchema

#: https://replicate.com/docs/reference/http
_REPLICATE = UsageSchema(input=("input_token_count",), output=("output_token_count",))

#: https://docs.aleph-alpha.com/api/complete
_ALEPH_ALPHA = UsageSchema(input=("num_tokens_prompt_total",), output=("num_tokens_generated",))

#: https://cloud.ibm.com/apidocs/watsonx-ai, text generation; text embeddings and reranking.
_WATSONX = UsageSchema(input=("results[].input_token_count",), output=("results[].generated_token_count",))
_WATSONX_INPUT = UsageSchema(input=("input_token_count",))


#: https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope; pictures and videos are billed as such.
_DASHSCOPE = OPENAI.replace(
    other_units=("image_count", "output_image_count", "video_count", "video_duration"),
    items=(
        BilledItems("image", ("image_count", "output_image_count")),
        BilledItems("web_search", ("plugins.search.count",)),
        BilledItems("video_second", ("video_duration", "duration")),
    ),
)

#: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/latest/datatypes/Usage
_OCI = UsageSchema(
    input=("promptTokens",),
    output=("completionTokens",),
    total=("totalTokens",),
    cache_read=("promptTokensDetails.cachedTokens",),
    reasoning=("completionTokensDetails.reasoningTokens",),
)

#: https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion: JSON of a protocol
#: buffer, which writes counts as text.
_YANDEX = UsageSchema(
    input=("inputTextTokens",),
    output=("completionTokens",),
    total=("totalTokens",),
    reasoning=("completionTokensDetails.reasoningTokens",),
    loosely_typed=True,
)
_YANDEX_EMBEDDING = UsageSchema(input=("numTokens",), loosely_typed=True)

#: The ai21 SDK before Jamba; Bedrock has the same form.
_JURASSIC = UsageSchema(input=("prompt.tokens[]",), output=("completions[].data.tokens[]",))

#: https://docs.nlpcloud.com, and litellm's `nlp_cloud/chat/transformation.py`.
_NLP_CLOUD = UsageSchema(input=("nb_input_tokens",), output=("nb_generated_tokens",))

#: The assemblyai SDK: `LemurUsage`; the anthropic and reka SDKs write their counts alike.
_PLAIN = UsageSchema(input=("input_tokens",), output=("output_tokens",))

_HUNYUAN = UsageSchema(input=("PromptTokens",), output=("CompletionTokens",), total=("TotalTokens",))

#: The cozepy SDK: `ChatUsage`; zeros until the answer is whole.
_COZE = UsageSchema(input=("input_count",), output=("output_count",), total=("token_count",), zero_is_unset=True)

#: https://docs.dify.ai/api-reference: the cost is by the price list of the Dify server.
_DIFY = OPENAI.replace(costs=(StatedCost(path="total_price", currency="currency", zero_is_unset=True),))

#: The azure-ai-contentunderstanding SDK: `UsageDetails`; tokens by model and type,
#: https://learn.microsoft.com/azure/ai-services/content-understanding/pricing-explainer. Embeddings have no type.
_CONTENT_UNDERSTANDING = UsageSchema(
    input=("tokens.*-input",),
    more_input=tuple(f"tokens.text-embedding-{name}" for name in ("3-large", "3-small", "ada-002")),
    output=("tokens.*-output",),
    # Of models that are not known above, too.
    total=("tokens.*",),
    cache_read=("tokens.*-cached_input",),
    cache_apart=True,
)

#: The ai SDK: `LanguageModelV4Usage`, and `LanguageModelV2Usage` of versions before.
_VERCEL = UsageSchema(
    states_both=True,
    input=("inputTokens.total", "inputTokens"),
    output=("outputTokens.total", "outputTokens"),
    total=("totalTokens",),
    cache_read=("inputTokens.cacheRead", "cachedInputTokens"),
    cache_write=("inputTokens.cacheWrite",),
    reasoning=("outputTokens.reasoning", "reasoningTokens"),
)

FLAVOURS: tuple[Flavour, ...] = (
    # What the ai SDK asks Vercel's gateway: https://ai-sdk.dev/providers/ai-sdk-providers/ai-gateway
    Flavour(
        name="vercel-ai",
        home="vercel",
        path=r"/v\d+/ai/(?:language|image|reranking|speech|transcription|video)-model(?:/start)?$",
        sources=(Source(("usage",), _VERCEL),),
        model=("response.modelId", "modelId"),
        response_id=("providerMetadata.gateway.generationId", "response.id"),
        end=rb'"type"\s*:\s*"finish"',
    ),
    Flavour(
        name="vercel-ai-embeddings",
        home="vercel",
        path=r"/v\d+/ai/embedding-model$",
        sources=(Source(("usage",), UsageSchema(input=("tokens",))),),
        model=(),
        response_id=("providerMetadata.gateway.generationId",),
    ),
    # The cozepy SDK: `Chat`, `ChatEventType`. The answer names no model.
    Flavour(
        name="coze-chat",
        home="coze",
        path=r"(?:/v3/chat(?:/submit_tool_outputs)?|/v1/workflows/chat)$",
        request=("bot_id|workflow_id|tool_outputs",),
        sources=(Source(("data.usage", "usage"), _COZE),),
        stored=r"/v3/chat/retrieve$",
        model=(),
        response_id=("data.id", "id"),
        end=rb"event: ?conversation\.chat\.(?:completed|failed|requires_action)",
    ),
    # The cozepy SDK: `WorkflowRunResult`, `WorkflowEventMessage`.
    Flavour(
        name="coze-workflow",
        home="coze",
        path=r"/v1/workflow/(?:run|stream_run|stream_resume)$",
        request=("workflow_id",),
        sources=(Source(("data.usage", "usage"), _COZE),),
        model=(),
        response_id=("execute_id",),
        end=rb"event: ?(?:Done|Error|Interrupt)",
    ),
    # https://docs.dify.ai/api-reference, Chatbot, Agent, Chatflow and Text Generator. The answer names no model.
    Flavour(
        name="dify-chat",
        home="dify",
        path=r"/(?:chat|completion)-messages$",
        request=("inputs", "response_mode|user|query"),
        sources=(Source(("metadata.usage",), _DIFY),),
        model=(),
        response_id=("message_id",),
        end=rb'"event"\s*:\s*"message_end"',
    ),
    # The same, Workflow: the tokens of all its nodes, in one number.
    Flavour(
        name="dify-workflow",
        home="dify",
        path=r"/workflows/(?:[^/]+/)?run$",
        request=("inputs", "response_mode|user"),
        sources=(Source(("data",), UsageSchema(input=(), total=("total_tokens",))),),
        model=(),
        response_id=("workflow_run_id",),
        end=rb'"event"\s*:\s*"workflow_(?:finished|paused)"',
    ),
    # The dashscope SDK: `ApplicationUsage`.
    Flavour(
        name="dashscope-application",
        home="dashscope",
        path=r"/api/v1/apps/[^/]+/completion$",
        request=("input",),
        sources=(Source(("usage.models[]",), _PLAIN),),
        tools=(ToolUsage(kind="model", paths=("usage.models[]",), schema=_PLAIN, model=("model_id",), in_total=True),),
        model=(),
        response_id=("request_id",),
        end=FINISHED,
    ),
    # Tencent's own API; its newer one is OpenAI's. The tencentcloud SDK: `ChatCompletionsResponse`, `Usage`.
    Flavour(
        name="hunyuan-chat",
        home="hunyuan",
        path=r"^$",
        request=("Model", "Messages"),
        sources=(Source(("Response.Usage", "Usage"), _HUNYUAN),),
        model=(),
        response_id=("Response.Id", "Id"),
        end=rb'"FinishReason"\s*:\s*"\w',
    ),
    Flavour(
        name="dashscope-embeddings",
        home="dashscope",
        path=r"/api/v1/services/(?:embeddings|rerank)/(?:[\w-]+/)*[\w-]+$",
        sources=(Source(("usage",), OPENAI_INPUT),),
        response_id=("request_id",),
    ),
    # https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope
    Flavour(
        name="dashscope",
        home="dashscope",
        path=r"/api/v1/services/(?:[\w-]+/)+[\w-]+$",
        looks=has_members("output", "usage", "request_id"),
        sources=(Source(("usage",), _DASHSCOPE),),
        # A picture or a video is a task, whose answers have an id each.
        response_id=("output.task_id", "request_id"),
        end=FINISHED,
    ),
    Flavour(
        name="replicate",
        home="replicate",
        path=r"/v1/(?:(?:models|deployments)/(?P<model>[^/]+/[^/]+)/)?predictions$",
        request=("input",),
        sources=(Source(("metrics",), _REPLICATE),),
        looks=has_members("urls", "version", "status", "input"),
        stored=r"/v1/predictions/[^/]+(?:/cancel)?$",
    ),
    Flavour(
        name="ai21-complete",
        home="ai21",
        path=r"/studio/v1/(?P<model>[^/]+)/complete$",
        request=("prompt",),
        sources=(Source(("",), _JURASSIC),),
        model=(),
    ),
    Flavour(
        name="aleph-alpha-complete",
        home="aleph_alpha",
        path=r"(?<!/v1)/complete$",
        request=("model", "prompt"),
        looks=has_members("completions", "num_tokens_generated"),
        sources=(Source(("",), _ALEPH_ALPHA),),
        # `model_version` is a date.
        model=("model",),
        response_id=(),
        end=rb'"num_tokens_generated"',
    ),
    Flavour(
        name="watsonx-embed",
        home="watsonx",
        path=r"/ml/v1/text/(?:embeddings|rerank)$",
        sources=(Source(("",), _WATSONX_INPUT),),
        model=("model_id",),
        response_id=(),
    ),
    Flavour(
        name="watsonx-generation",
        home="watsonx",
        # The path before: the ibm-watson-machine-learning SDK, `get_fm_generation_href`.
        path=r"/ml/v1(?:-beta)?/(?:deployments/[^/]+/)?(?:text/generation(?:_stream)?|generation/text(?:_stream)?)$",
        # Some events of a stream state one of the counts as zero.
        sources=(Source(("",), _WATSONX, combine="most"),),
        model=("model_id",),
        response_id=(),
        end=rb'"stop_reason"\s*:\s*"(?!not_finished)',
    ),
    Flavour(
        name="watsonx-chat",
        home="watsonx",
        path=r"/ml/v1/(?:deployments/[^/]+/)?text/(?:chat|chat_stream)$",
        sources=(OPENAI_SOURCE,),
        model=("model_id", "model"),
        end=FINISHED,
    ),
    # The reka SDK: `ChatResponse`. Others have the same path, and the request tells nothing.
    Flavour(
        name="reka-chat",
        home="reka",
        path=NOWHERE,
        looks=has_members("responses", "usage", "model"),
        sources=(Source(("usage",), _PLAIN),),
        end=rb'"finish_reason"\s*:\s*"',
    ),
    # The oci SDK: `ChatResult`, `GenericChatResponse`, `EmbedTextResult`.
    Flavour(
        name="oci",
        home="oci",
        path=r"/actions/(?:chat|generateText|embedText|summarizeText|rerankText)$",
        sources=(Source(("chatResponse.usage", "inferenceResponse.usage", "usage"), _OCI),),
        model=("modelId",),
        response_id=("chatResponse.id", "id"),
        service_tier=("chatResponse.serviceTier", "serviceTier"),
        response_id_header="opc-request-id",
        end=rb'"finishReason"\s*:\s*"',
    ),
    Flavour(
        name="yandex-completion",
        home="yandex",
        path=r"/foundationModels/v1/completion(?:Async)?$",
        sources=(Source(("result.usage", "response.usage"), _YANDEX),),
        stored=r"/operations/[a-z0-9]{20}$",
        model=(),
        response_id=("id",),
        end=rb'"ALTERNATIVE_STATUS_(?!PARTIAL|UNSPECIFIED)',
    ),
    Flavour(
        name="yandex-embedding",
        home="yandex",
        path=r"/foundationModels/v1/textEmbedding$",
        sources=(Source(("",), _YANDEX_EMBEDDING),),
        model=(),
        response_id=(),
    ),
    # https://api.ncloud-docs.com/docs/en/clovastudio-chatcompletionsv3: the last event of a stream is the result.
    Flavour(
        name="clova-chat",
        home="naver",
        path=r"/v[13]/(?:testapp/|serviceapp/)?(?:v\d/)?chat-completions/(?P<model>[^/]+)$",
        request=("messages",),
        sources=(Source(("result.usage", "usage"), _OCI),),
        model=(),
        response_id=(),
        end=rb'"finishReason"\s*:\s*"',
    ),
    # Orchestration: https://api.sap.com/api/ORCHESTRATION_API_v2/overview
    Flavour(
        name="sap-orchestration",
        home="sap",
        path=r"/inference/deployments/[^/]+/(?:v2/)?completion$",
        sources=(Source(("final_result.usage", "orchestration_result.usage"), OPENAI),),
        model=("final_result.model", "orchestration_result.model"),
        response_id=("final_result.id", "orchestration_result.id"),
        end=FINISHED,
    ),
    # The sap-ai-sdk: `EmbeddingsPostResponse`.
    Flavour(
        name="sap-embeddings",
        home="sap",
        path=r"/inference/deployments/[^/]+/v2/embeddings$",
        sources=(Source(("final_result.usage",), OPENAI_INPUT),),
        model=("final_result.model",),
        response_id=("request_id",),
    ),
    # An analysis is retrieved later. Only the names of the counts say which models were used.
    Flavour(
        name="azure-content-understanding",
        home="azure",
        path=r"/contentunderstanding/analyzers/[^/:]+:analyze\w*$",
        sources=(Source(("usage",), _CONTENT_UNDERSTANDING),),
        stored=r"/contentunderstanding/analyzerResults/(?P<id>[^/]+)$",
        model=(),
    ),
    Flavour(
        name="assemblyai-lemur",
        home="assemblyai",
        path=r"/lemur/v3/generate/[\w-]+$",
        sources=(Source(("usage",), _PLAIN),),
        model=(),
        response_id=("request_id",),
    ),
    Flavour(
        name="nlp-cloud",
        home="nlp_cloud",
        path=r"/v1/(?:gpu/)?(?P<model>[\w.-]+)/(?:chatbot|generation)$",
        looks=has_members("nb_input_tokens", "nb_generated_tokens"),
        sources=(Source(("",), _NLP_CLOUD),),
        model=(),
        response_id=(),
    ),
)
