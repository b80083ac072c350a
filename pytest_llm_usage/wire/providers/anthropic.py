"""Anthropic, wherever its API is served."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, any_of, has_type
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.providers.openai import OPENROUTER_COST
from pytest_llm_usage.wire.schema import UsageSchema

#: https://docs.anthropic.com/en/api/messages
ANTHROPIC = UsageSchema(
    states_both=True,
    input=("input_tokens",),
    output=("output_tokens",),
    cache_read=("cache_read_input_tokens",),
    cache_write=("cache_creation_input_tokens",),
    cache_write_5m=("cache_creation.ephemeral_5m_input_tokens",),
    cache_write_1h=("cache_creation.ephemeral_1h_input_tokens",),
    reasoning=("output_tokens_details.thinking_tokens",),
    cache_apart=True,
    cache_may_be_null=True,
    # Page fetches, tool searches and advice cost the tokens that they take, and nothing else.
    items=(BilledItems("web_search", ("server_tool_use.web_search_requests",)),),
    # OpenRouter has this API, too: https://openrouter.ai/docs/api-reference/anthropic-messages
    costs=(OPENROUTER_COST,),
)


ANTHROPIC_SOURCE = Source(("message.usage", "usage"), ANTHROPIC, combine="merge", parts="iterations[]")


FLAVOURS: tuple[Flavour, ...] = (
    # https://docs.anthropic.com/en/api/messages; Vertex and Azure serve it under paths of their own.
    Flavour(
        name="anthropic-messages",
        home="anthropic",
        path=r"(?:/messages|/publishers/anthropic/models/(?P<model>[^/:]+):(?:streamRawPredict|rawPredict))$",
        request=("messages", "model|anthropic_version"),
        looks=any_of(has_type("message_start"), lambda event: event.get("type") == "message" and "usage" in event),
        sources=(ANTHROPIC_SOURCE,),
        model=("message.model", "model"),
        response_id=("message.id", "id"),
        service_tier=("message.usage.service_tier", "usage.service_tier"),
        region=("message.usage.inference_geo", "usage.inference_geo"),
        modifiers={
            "speed": ("message.usage.speed", "usage.speed"),
            # A refusal without output is not billed since 2026-06-02:
            # https://platform.claude.com/docs/en/release-notes/overview
            "stop_reason=refusal": ("delta.stop_reason", "stop_reason"),
            # https://platform.claude.com/docs/en/build-with-claude/fallback-credit
            "fallback_credit=redeemed": (
                "usage.fallback_credit.status.type",
                "message.usage.fallback_credit.status.type",
            ),
        },
        # https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/code-execution-tool#usage-and-pricing
        items=(BilledItems("code_execution", ("container", "delta.container")),),
        # Results of tools have a `stop_reason` as well, so its event is part of the pattern.
        end=rb'"message_stop"|(?:"message_delta"|event: ?message_delta\r?\ndata:)[^\n]{0,400}?"stop_reason"\s*:\s*"',
    ),
    # Sessions of agents run by Anthropic; each request to the model ends with its usage. The anthropic SDK:
    # `BetaManagedAgentsSpanModelRequestEndEvent`; the events do not name the model.
    Flavour(
        name="anthropic-managed-agents",
        home="anthropic",
        path=r"/sessions/(?P<id>[^/]+)(?:/threads/[^/]+)?/events/stream$",
        method="GET",
        sources=(Source(("model_usage",), ANTHROPIC, combine="sum"),),
        model=(),
        modifiers={"speed": ("model_usage.speed",)},
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
        answers=("result.message",),
        answered_by=("anthropic-messages",),
        kind="batch-results",
    ),
)
