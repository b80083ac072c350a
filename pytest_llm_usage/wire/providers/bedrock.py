"""Amazon Bedrock: its own API, and the APIs of the models' makers under its path."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Requests, Source
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.providers.anthropic import ANTHROPIC_SOURCE
from pytest_llm_usage.wire.providers.cohere import COHERE
from pytest_llm_usage.wire.providers.openai import OPENAI
from pytest_llm_usage.wire.schema import UsageSchema

#: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html; Nova's own body spells it alike.
_CONVERSE = UsageSchema(
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
_INVOCATION_METRICS = UsageSchema(
    input=("inputTokenCount",),
    output=("outputTokenCount",),
    cache_read=("cacheReadInputTokenCount",),
    cache_write=("cacheWriteInputTokenCount",),
    cache_apart=True,
)

#: … and to the headers of any model's answer.
_BEDROCK_HEADERS = UsageSchema(
    input=("x-amzn-bedrock-input-token-count",),
    output=("x-amzn-bedrock-output-token-count",),
    cache_read=("x-amzn-bedrock-cache-read-input-token-count",),
    cache_write=("x-amzn-bedrock-cache-write-input-token-count",),
    cache_apart=True,
    loosely_typed=True,
)

#: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html, Titan, Llama and Jurassic.
_TITAN = UsageSchema(input=("inputTextTokenCount",), output=("results[].tokenCount", "totalOutputTextTokenCount"))
_LLAMA = UsageSchema(input=("prompt_token_count",), output=("generation_token_count",))
_JURASSIC = UsageSchema(input=("prompt.tokens[]",), output=("completions[].data.tokens[]",))

#: What each of an agent's own requests used: the bedrock-agent-runtime API of botocore, `Usage`.
_AGENT = UsageSchema(input=("inputTokens",), output=("outputTokens",))
_AGENT_STEPS = tuple(
    f"trace.{step}."
    for step in ("preProcessingTrace", "routingClassifierTrace", "orchestrationTrace", "postProcessingTrace")
)
_AGENT_REQUESTS = Requests(
    asked=tuple(f"{step}modelInvocationInput" for step in _AGENT_STEPS),
    answered=tuple(f"{step}modelInvocationOutput" for step in _AGENT_STEPS),
    key="traceId",
    model="foundationModel",
    usage="metadata.usage",
    schema=_AGENT,
)

#: An agent reports its requests if tracing is on. The bedrock-agent-runtime API of botocore: `TracePart`.
_AGENTS = Flavour(
    name="bedrock-agents",
    home="amazon_bedrock",
    path=r"/agents/[^/]+/agentAliases/[^/]+/sessions/[^/]+/text$",
    sources=(Source(tuple(f"{path}.metadata.usage" for path in _AGENT_REQUESTS.answered), _AGENT, combine="sum"),),
    requests=_AGENT_REQUESTS,
    model=(),
    response_id=(),
    response_id_header="x-amzn-requestid",
)

FLAVOURS: tuple[Flavour, ...] = (
    Flavour(
        name="bedrock-converse",
        home="amazon_bedrock",
        path=r"/model/(?P<model>.+)/(?:converse|converse-stream)$",
        looks=lambda event: "usage" in event and "stopReason" in event and "output" in event,
        sources=(Source(("usage",), _CONVERSE.replace(states_both=True)),),
        # The model that a router chose:
        # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PromptRouterTrace.html
        model=("trace.promptRouter.invokedModelId",),
        response_id=(),
        service_tier=("serviceTier.type",),
        # https://docs.aws.amazon.com/nova/latest/nova2-userguide/web-grounding.html: billed beside the tokens,
        # https://aws.amazon.com/bedrock/pricing/
        items=(
            BilledItems(
                "web_search",
                ("output.message.content[].toolUse", "start.toolUse"),
                is_billed=lambda use: use.get("name") == "nova_grounding",
                identified_by="toolUseId",
            ),
        ),
        # https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html
        modifiers={"latency": ("performanceConfig.latency",)},
        response_id_header="x-amzn-requestid",
        service_tier_header="x-amzn-bedrock-service-tier",
        end=rb"event: (?:messageStop|metadata)\n",
    ),
    # The model's own JSON under Bedrock's path: the forms of all makers, then Bedrock's own counts.
    Flavour(
        name="bedrock-invoke",
        home="amazon_bedrock",
        path=r"/model/(?P<model>.+)/(?:invoke|invoke-with-response-stream)$",
        sources=(
            ANTHROPIC_SOURCE,
            Source(("usage", "metadata.usage"), _CONVERSE),
            Source(("usage",), OPENAI),
            Source(("amazon-bedrock-invocationMetrics",), _INVOCATION_METRICS),
            Source(("",), _TITAN),
            Source(("",), _LLAMA),
            Source(("",), _JURASSIC),
            Source(("meta",), COHERE),
            Source(("",), _BEDROCK_HEADERS, in_headers=True),
        ),
        model=("message.model", "model"),
        response_id=("message.id", "id"),
        service_tier=("message.usage.service_tier", "usage.service_tier"),
        response_id_header="x-amzn-requestid",
        service_tier_header="x-amzn-bedrock-service-tier",
        modifier_headers={"latency": "x-amzn-bedrock-performanceconfig-latency"},
        # Includes Titan's own end, and the end of a stream that a guardrail has blocked.
        end=rb'"amazon-bedrock-invocationMetrics"|"completionReason"\s*:\s*"|"amazon-bedrock-guardrailAction"\s*:\s*"INTERVENED"|"message_stop"|"(?:stop_reason|finish_reason)"\s*:\s*"',
    ),
    # Videos and embeddings of videos, which Bedrock puts into a bucket: no usage at all.
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_StartAsyncInvoke.html
    Flavour(
        name="bedrock-async-invoke",
        home="amazon_bedrock",
        path=r"/async-invoke$",
        request=("modelId", "modelInput"),
        model=(),
        response_id=("invocationArn",),
    ),
    _AGENTS,
    # An agent that the request itself defines.
    _AGENTS.replace(
        name="bedrock-inline-agents",
        path=r"/agents/[^/]+$",
        request=("foundationModel", "instruction"),
    ),
    # Answers from a knowledge base, and queries that a model writes: no usage at all. The same: `RetrieveAndGenerate`,
    # `GenerateQuery`.
    Flavour(
        name="bedrock-knowledge-bases",
        home="amazon_bedrock",
        path=r"/(?:retrieveAndGenerate(?:Stream)?|generateQuery)$",
        response_id=(),
        response_id_header="x-amzn-requestid",
    ),
)
