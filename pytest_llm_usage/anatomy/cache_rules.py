"""When a provider reads a prompt's prefix from its cache, by its published rules. The first row that fits counts."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CACHE_RULES", "CacheRule", "cache_rule"]


@dataclass(frozen=True, slots=True)
class CacheRule:
    """How a provider caches the prompts of some models.

    Attributes:
        providers: A pattern for the provider, in LangChain's words.
        models: A pattern for the model.
        min_tokens: A shorter prefix is not cached.
        block_tokens: The tokens that are read are a multiple of this.
        lifetime_s: Seconds for which a prefix is kept at least while no call reads it.
        is_marked: Whether only prefixes that the request marks (`cache_control`, `cachePoint`) are cached.
        source: The page that publishes the rule.
    """

    providers: str
    models: str
    min_tokens: int
    block_tokens: int
    lifetime_s: int
    is_marked: bool
    source: str

    def readable(self, tokens: int) -> int:
        """How many of `tokens` at the start of a prompt can be read from the cache."""
        return 0 if tokens < self.min_tokens else tokens // self.block_tokens * self.block_tokens


_OPENAI = "https://platform.openai.com/docs/guides/prompt-caching"
_ANTHROPIC = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching#cache-limitations"
_BEDROCK = "https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"
_GEMINI = "https://ai.google.dev/gemini-api/docs/caching"
_CLAUDE_SELLERS = "anthropic|amazon_bedrock|google_anthropic_vertex|google_vertexai"

CACHE_RULES: tuple[CacheRule, ...] = (
    CacheRule("openai|azure", "^(?:ft:)?(?:gpt|o[1-9]|codex|chatgpt)", 1024, 128, 300, False, _OPENAI),
    CacheRule(_CLAUDE_SELLERS, "claude.*(opus-5|fable-5|mythos-5)", 512, 1, 300, True, _ANTHROPIC),
    CacheRule(_CLAUDE_SELLERS, "claude.*(opus-4-[567]|haiku-4-5|mythos-preview)", 4096, 1, 300, True, _ANTHROPIC),
    CacheRule(_CLAUDE_SELLERS, "claude.*haiku", 2048, 1, 300, True, _ANTHROPIC),
    CacheRule(_CLAUDE_SELLERS, "claude", 1024, 1, 300, True, _ANTHROPIC),
    CacheRule("amazon_bedrock", "nova", 1000, 1, 300, True, _BEDROCK),
    CacheRule(
        "google",
        "gemini-2\\.5-flash",
        1024,
        1,
        300,
        False,
        "https://ai.google.dev/gemini-api/docs/interactions/caching",
    ),
    CacheRule("google", "gemini-2\\.5", 2048, 1, 300, False, _GEMINI),
    CacheRule("google", "gemini-[3-9]", 4096, 1, 300, False, _GEMINI),
    CacheRule("deepseek", ".", 64, 64, 3600, False, "https://api-docs.deepseek.com/guides/kv_cache"),
)


def cache_rule(provider: str | None, model: str) -> CacheRule | None:
    """The rule for a model, or None where nothing is published."""
    return next(
        (rule for rule in CACHE_RULES if re.match(rule.providers, provider or "") and re.search(rule.models, model)),
        None,
    )
