"""Placeholders for API keys: a test that replays needs no keys, but the providers' SDKs refuse to start without them.

They are set only if the keys are missing, and only while a cassette replays and nothing may be sent. The value of a
variable that is set is never touched.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from functools import lru_cache

from pytest_llm_usage.cassettes.network import HostPatterns

__all__ = ["PROVIDER_KEYS", "placeholder_keys", "unset_key_in"]

_PLACEHOLDER = "placeholder-while-replaying"

#: The variables from which the providers' SDKs and LangChain's integrations read a key, each with a host that it is for
#: and its placeholder, which begins like a key because some SDKs check that.
PROVIDER_KEYS: dict[str, tuple[str, str]] = {
    "AI21_API_KEY": ("api.ai21.com", _PLACEHOLDER),
    "ANTHROPIC_API_KEY": ("api.anthropic.com", f"sk-ant-{_PLACEHOLDER}"),
    "AWS_ACCESS_KEY_ID": ("bedrock-runtime.us-east-1.amazonaws.com", _PLACEHOLDER),
    "AWS_SECRET_ACCESS_KEY": ("bedrock-runtime.us-east-1.amazonaws.com", _PLACEHOLDER),
    "AZURE_OPENAI_API_KEY": ("x.openai.azure.com", _PLACEHOLDER),
    "CEREBRAS_API_KEY": ("api.cerebras.ai", _PLACEHOLDER),
    "COHERE_API_KEY": ("api.cohere.com", _PLACEHOLDER),
    "CO_API_KEY": ("api.cohere.com", _PLACEHOLDER),
    "DEEPSEEK_API_KEY": ("api.deepseek.com", f"sk-{_PLACEHOLDER}"),
    "FIREWORKS_API_KEY": ("api.fireworks.ai", _PLACEHOLDER),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com", _PLACEHOLDER),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com", _PLACEHOLDER),
    "GROQ_API_KEY": ("api.groq.com", f"gsk_{_PLACEHOLDER}"),
    "JINA_API_KEY": ("api.jina.ai", _PLACEHOLDER),
    "MISTRAL_API_KEY": ("api.mistral.ai", _PLACEHOLDER),
    "MOONSHOT_API_KEY": ("api.moonshot.ai", _PLACEHOLDER),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com", f"nvapi-{_PLACEHOLDER}"),
    "OPENAI_API_KEY": ("api.openai.com", f"sk-{_PLACEHOLDER}"),
    "OPENROUTER_API_KEY": ("openrouter.ai", f"sk-or-{_PLACEHOLDER}"),
    "PERPLEXITY_API_KEY": ("api.perplexity.ai", f"pplx-{_PLACEHOLDER}"),
    "PPLX_API_KEY": ("api.perplexity.ai", f"pplx-{_PLACEHOLDER}"),
    "TOGETHER_API_KEY": ("api.together.xyz", _PLACEHOLDER),
    "UPSTAGE_API_KEY": ("api.upstage.ai", _PLACEHOLDER),
    "VOYAGE_API_KEY": ("api.voyageai.com", _PLACEHOLDER),
    "XAI_API_KEY": ("api.x.ai", f"xai-{_PLACEHOLDER}"),
}
#: Alternative variables of one provider. SDKs read them in an order of their own, so if one is set, no other gets a
#: placeholder. That includes the two halves of an AWS key: none is set beside the other, or beside a profile.
_ALTERNATIVES = (
    {"GEMINI_API_KEY", "GOOGLE_API_KEY"},
    {"COHERE_API_KEY", "CO_API_KEY"},
    {"PERPLEXITY_API_KEY", "PPLX_API_KEY"},
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"},
)
#: The alternatives of each variable that has any.
_ALTERNATIVES_OF = {name: names - {name} for names in _ALTERNATIVES for name in names}
_LOOKED_AT = frozenset(PROVIDER_KEYS).union(*_ALTERNATIVES)
#: If both are set, the module-level client of `openai` (`openai.chat.completions`) refuses to choose.
_OPENAI_KEY, _AZURE_KEY = "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"
#: Recognises a request to Azure, by its host or by a path or query that only Azure has.
_AZURE = re.compile(r"^[^/]*//[^/?#]*\bazure\b|/openai/deployments/|[?&]api-version=")
_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")


@contextlib.contextmanager
def placeholder_keys(
    live: HostPatterns, environment: MutableMapping[str, str] = os.environ, *, recorded: Collection[str] = ()
) -> Iterator[None]:
    """Gives the variables that are unset or empty a placeholder while the block runs.

    Args:
        live: Hosts that may be reached nevertheless; their keys are left alone.
        environment: The environment.
        recorded: The URLs that are recorded; empty if they are not known.
    """
    present = _LOOKED_AT.intersection(environment)
    is_set = frozenset(name for name in present if environment[name])
    has_azure = any(map(_AZURE.search, recorded)) if recorded else _OPENAI_KEY not in is_set
    missing = _missing(is_set, live, has_azure=has_azure)
    empty = present.intersection(missing)
    for name, placeholder in missing.items():
        environment[name] = placeholder
    try:
        yield
    finally:
        for name, placeholder in missing.items():
            # Any other value was set by someone else meanwhile, and stays.
            if environment.get(name) == placeholder:
                if name in empty:
                    environment[name] = ""
                else:
                    del environment[name]


@lru_cache(maxsize=16)
def _missing(is_set: frozenset[str], live: HostPatterns, *, has_azure: bool) -> Mapping[str, str]:
    """The placeholder of each variable that needs one, given those that are set; every test that replays asks."""
    return {
        name: placeholder
        for name, (host, placeholder) in PROVIDER_KEYS.items()
        if name not in is_set
        and is_set.isdisjoint(_ALTERNATIVES_OF.get(name, ()))
        and not live.match(host, 443)
        and (has_azure or name != _AZURE_KEY)
    }


def unset_key_in(text: str, environment: MutableMapping[str, str] = os.environ) -> str | None:
    """The first variable for a key that an error message names and that is not set, or None."""
    return next((name for name in _NAME.findall(text) if name in PROVIDER_KEYS and not environment.get(name)), None)
