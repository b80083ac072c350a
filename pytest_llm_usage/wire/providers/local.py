"""Servers that people run themselves."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llm_usage.wire.flavour import Flavour, Source, has_members
from pytest_llm_usage.wire.providers.openai import OPENAI_INPUT
from pytest_llm_usage.wire.schema import UsageSchema

#: https://github.com/ollama/ollama/blob/main/docs/api.md; the prompt's count is absent where the prompt was cached.
_OLLAMA = UsageSchema(input=("prompt_eval_count",), output=("eval_count",))
_OLLAMA_INPUT = UsageSchema(input=("prompt_eval_count",))


#: https://huggingface.co/docs/text-generation-inference/reference/api_reference: counts are in the details, where a
#: request asks for those, and in the headers, always. `TextGenerationOutputDetails` of huggingface_hub.
_TGI = UsageSchema(
    input=("details.input_length", "details.prefill[]"),
    output=("details.generated_tokens",),
    states_both=True,
)
_TGI_HEADERS = UsageSchema(input=("x-prompt-tokens",), output=("x-generated-tokens",), loosely_typed=True)
_TEI_HEADERS = UsageSchema(input=("x-compute-tokens",), loosely_typed=True)
_TGI_SOURCES = (Source(("",), _TGI_HEADERS, in_headers=True), Source(("",), _TGI, array="sum"))

#: https://docs.sglang.io/basic_usage/native_api.html
_SGLANG = UsageSchema(
    input=("prompt_tokens",),
    output=("completion_tokens",),
    cache_read=("cached_tokens",),
    reasoning=("reasoning_tokens",),
)

#: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md: the evaluated tokens of the prompt,
#: including those from its cache.
_LLAMA_CPP = UsageSchema(input=("tokens_evaluated",), output=("tokens_predicted",))

#: https://lmstudio.ai/docs/developer/rest/chat
_LM_STUDIO = UsageSchema(
    input=("input_tokens",), output=("total_output_tokens",), reasoning=("reasoning_output_tokens",)
)

FLAVOURS: tuple[Flavour, ...] = (
    Flavour(
        name="ollama-chat",
        home="ollama",
        path=r"/api/chat$",
        request=("model", "messages"),
        looks=has_members("model", "message", "done"),
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
        end=rb'"done"\s*:\s*true',
    ),
    Flavour(
        name="ollama-generate",
        home="ollama",
        path=r"/api/generate$",
        request=("model",),
        looks=has_members("model", "response", "done"),
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
        end=rb'"done"\s*:\s*true',
    ),
    Flavour(
        name="ollama-embed",
        home="ollama",
        path=r"/api/embed(?:dings)?$",
        request=("model", "input|prompt"),
        looks=has_members("embeddings", "prompt_eval_count"),
        sources=(Source(("",), _OLLAMA_INPUT),),
        response_id=(),
    ),
    Flavour(
        name="lm-studio-chat",
        home="lm_studio",
        path=r"/api/v1/chat$",
        request=("model", "input"),
        looks=has_members("model_instance_id", "stats"),
        sources=(Source(("result.stats", "stats"), _LM_STUDIO),),
        model=("result.model_instance_id", "model_instance_id"),
        response_id=("result.response_id", "response_id"),
        end=rb'"type"\s*:\s*"chat\.end"',
    ),
    Flavour(
        name="tgi-generate",
        home="huggingface",
        path=r"/generate(?:_stream)?$",
        request=("inputs",),
        looks=lambda event: isinstance(event.get("generated_text"), str),
        sources=_TGI_SOURCES,
        model=(),
        response_id=(),
        end=rb'"generated_text"\s*:\s*"',
    ),
    # The same at the root of an endpoint, on SageMaker, and as Hugging Face's serverless API.
    Flavour(
        name="tgi-root",
        home="huggingface",
        path=r"(?:^|/endpoints/(?P<deployment>[^/]+)/invocations(?:-response-stream)?|/models/(?P<model>[^/:]+/[^/:]+))$",
        request=("inputs", "parameters"),
        sources=_TGI_SOURCES,
        model=(),
        response_id=(),
        end=rb'"generated_text"\s*:\s*"',
    ),
    # https://huggingface.github.io/text-embeddings-inference; Hugging Face's serverless API, at the path before and now:
    # https://huggingface.co/docs/inference-providers/tasks/feature-extraction
    Flavour(
        name="tei",
        home="huggingface",
        path=(
            r"/(?:embed|embed_all|embed_sparse|predict|similarity|rerank"
            r"|(?:pipeline/feature-extraction|models(?=/.+/pipeline/feature-extraction$))"
            r"/(?P<model>[^/:]+(?:/(?!pipeline/)[^/:]+)?)(?:/pipeline/feature-extraction)?)$"
        ),
        request=("inputs|texts",),
        sources=(Source(("",), _TEI_HEADERS, in_headers=True),),
        model=(),
        response_id=(),
    ),
    Flavour(
        name="sglang-generate",
        home="sglang",
        path=r"/generate$",
        request=("text|input_ids|input_embeds",),
        looks=lambda event: isinstance(event.get("meta_info"), Mapping) and "text" in event,
        sources=(Source(("meta_info",), _SGLANG, array="sum"),),
        model=(),
        response_id=("meta_info.id",),
        end=rb'\[DONE\]|"finish_reason"\s*:\s*\{',
    ),
    Flavour(
        name="llama-cpp-completion",
        home="llama_cpp",
        path=r"/(?:completion|infill)$",
        request=("prompt|input_prefix",),
        looks=has_members("tokens_evaluated", "tokens_predicted"),
        sources=(Source(("",), _LLAMA_CPP, array="sum"),),
        response_id=(),
        end=rb'"stop"\s*:\s*true',
    ),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    Flavour(
        name="vllm-pooling",
        home="vllm",
        path=r"/(?:score|pooling|classify)$",
        request=("model", "input|text_1|queries|data|data_1"),
        sources=(Source(("usage",), OPENAI_INPUT),),
    ),
)
