"""Paths that several providers have in common; these rows come last."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, holds_embeddings
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.providers.cohere import COHERE
from pytest_llm_usage.wire.providers.openai import OPENAI_INPUT
from pytest_llm_usage.wire.schema import UsageSchema

#: Text by the token, pictures by the pixel. The voyageai SDK: `MultimodalEmbeddingsObject`.
_VOYAGE_MULTIMODAL = OPENAI_INPUT.replace(
    billed_input=("text_tokens",),
    items=(BilledItems("image_pixel", ("image_pixels",)), BilledItems("video_pixel", ("video_pixels",))),
)

FLAVOURS: tuple[Flavour, ...] = (
    # Cohere, Voyage, Jina, NVIDIA: one request, three ways to say what it used.
    Flavour(
        name="rerank",
        home="cohere",
        path=r"/(?:rerank|reranking|v1/ranking)$",
        sources=(Source(("usage",), OPENAI_INPUT), Source(("meta",), COHERE)),
    ),
    Flavour(
        name="voyage-multimodal",
        home="voyageai",
        path=r"/multimodalembeddings$",
        sources=(Source(("usage",), _VOYAGE_MULTIMODAL),),
    ),
    # Also Voyage's and Perplexity's contextualised embeddings, Nomic's, and Volcengine's of pictures.
    Flavour(
        name="openai-embeddings",
        home="openai",
        path=(
            r"(?:/deployments/(?P<deployment>[^/]+))?"
            r"/(?:(?:contextualized)?embeddings(?:/multimodal)?|v1/embedding/(?:text|image))$"
        ),
        looks=holds_embeddings,
        # GigaChat states the tokens beside each vector: `EmbeddingsUsage` of the gigachat SDK.
        # MiniMax states those of all vectors beside them: https://platform.minimaxi.com/document/Embeddings
        sources=(
            Source(("usage",), OPENAI_INPUT),
            Source(("",), UsageSchema(input=("data[].usage.prompt_tokens", "total_tokens"))),
        ),
    ),
)
