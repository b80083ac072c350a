"""Providers with an API of their own."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import FINISHED, Flavour, Source, has_members
from pytest_llm_usage.wire.providers.openai import OPENAI, OPENAI_SOURCE
from pytest_llm_usage.wire.schema import UsageSchema

#: https://replicate.com/docs/reference/http
_REPLICATE = UsageSchema(input=("input_token_count",), output=("output_token_count",))

#: https://docs.aleph-alpha.com/api/complete
_ALEPH_ALPHA = UsageSchema(input=("num_tokens_prompt_total",), output=("num_tokens_generated",))

#: https://cloud.ibm.com/apidocs/watsonx-ai, text generation; text embeddings and reranking.
_WATSONX = UsageSchema(input=("results[].input_token_count",), output=("results[].generated_token_count",))
_WATSONX_INPUT = UsageSchema(input=("input_token_count",))


FLAVOURS: tuple[Flavour, ...] = (
    # https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope
    Flavour(
        name="dashscope",
        home="dashscope",
        path=r"/api/v1/services/(?:[\w-]+/)+[\w-]+$",
        looks=has_members("output", "usage", "request_id"),
        sources=(Source(("usage",), OPENAI),),
        response_id=("request_id",),
        end=FINISHED,
    ),
    Flavour(
        name="replicate",
        home="replicate",
        path=r"/v1/(?:(?:models|deployments)/(?P<model>[^/]+/[^/]+)/)?predictions$",
        request=("input",),
        sources=(Source(("metrics",), _REPLICATE),),
        looks=has_members("urls", "version", "status", "input"),
    ),
    Flavour(
        name="aleph-alpha-complete",
        home="aleph_alpha",
        path=r"(?<!/v1)/complete$",
        request=("model", "prompt"),
        looks=has_members("completions", "num_tokens_generated"),
        sources=(Source(("",), _ALEPH_ALPHA),),
        model=("model_version",),
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
        sources=(OPENAI_SOURCE,),
        model=("model_id", "model"),
        end=FINISHED,
    ),
)
