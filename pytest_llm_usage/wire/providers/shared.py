"""Paths that several providers have in common: asked for last."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, holds_embeddings
from pytest_llm_usage.wire.providers.cohere import COHERE
from pytest_llm_usage.wire.providers.openai import OPENAI_INPUT

FLAVOURS: tuple[Flavour, ...] = (
    # Cohere, Voyage, Jina, NVIDIA: one request, three ways to say what it used.
    Flavour(
        name="rerank",
        home="cohere",
        path=r"/(?:rerank|reranking|v1/ranking)$",
        sources=(Source(("usage",), OPENAI_INPUT), Source(("meta",), COHERE)),
    ),
    # Also Voyage's multimodal and contextualised embeddings.
    Flavour(
        name="openai-embeddings",
        home="openai",
        path=r"(?:/deployments/(?P<deployment>[^/]+))?/(?:|multimodal|contextualized)embeddings$",
        looks=holds_embeddings,
        sources=(Source(("usage",), OPENAI_INPUT),),
    ),
)
