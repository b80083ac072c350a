"""Servers that people run themselves."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, has_members
from pytest_llm_usage.wire.schema import UsageSchema

#: https://github.com/ollama/ollama/blob/main/docs/api.md; the prompt's count is absent where the prompt was cached.
_OLLAMA = UsageSchema(input=("prompt_eval_count",), output=("eval_count",))


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
        sources=(Source(("",), _OLLAMA),),
        response_id=(),
    ),
)
