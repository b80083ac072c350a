"""Reads LangChain's own frames; the only place that looks into its functions while they run.

LangChain reports a run before it looks the answer up in a cache, and does not say that it will. A cached call costs
nothing, so a limit that is not exceeded yet must not stop it. Only the model knows, and it is in LangChain's own frame.

Read in langchain-core 1.7.2: `BaseChatModel.generate`, `agenerate`, `stream` and `astream`, and those of `BaseLLM`,
start a run in a frame (or below one) whose `self` is the model. `cache` is True, False, None or a `BaseCache`, and None
means the global one. `INTERNALS` reports a release that has moved this.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseLanguageModel

from pytest_llm_usage.upstream import Internals

__all__ = ["INTERNALS", "looks_into_cache"]


INTERNALS = Internals(
    distribution="langchain-core",
    read_in="1.7.2",
    reason="know whether a call is looked up in a cache before it is sent",
    names={
        "langchain_core.language_models:BaseChatModel.generate": ("self", "messages"),
        "langchain_core.language_models:BaseChatModel.agenerate": ("self", "messages"),
        "langchain_core.language_models:BaseChatModel.stream": ("self", "input"),
        "langchain_core.language_models:BaseLLM.generate": ("self", "prompts"),
        "langchain_core.globals:get_llm_cache": (),
    },
)


def looks_into_cache() -> bool:
    """Whether the model that is starting a run will look the answer up in a cache before it asks its provider.

    Raises:
        UpstreamMovedError: LangChain no longer starts runs where it did.
    """
    model = _starting_model()
    if model is None:
        INTERNALS.check()
        raise INTERNALS.moved("langchain_core.language_models:BaseLanguageModel", "starts runs in no frame of its own")
    cache = model.cache
    return bool(get_llm_cache() is not None if cache is None else cache)


def _starting_model() -> BaseLanguageModel[Any] | None:
    """The model whose method caused the event that is being handled."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- the interpreter's own list of frames
    while frame is not None:
        model = frame.f_locals.get("self")
        if isinstance(model, BaseLanguageModel):
            return model
        frame = frame.f_back
    return None
