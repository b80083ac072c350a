"""Our prices beside LiteLLM's table, which is in its wheel: equal, or in a list of named causes.

Both tables change with every release of theirs; the causes below are those of LiteLLM 1.110 beside genai-prices 0.2.3.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_pricing import call, day

from pytest_llm_usage.billing import Quote
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.pricing.billing_rules import provider_id_of
from pytest_llm_usage.pricing.genai_book import look_up
from pytest_llm_usage.usage import TokenUsage

COMPARED_RELEASES = {"litellm": "1.110", "genai-prices": "0.2.3"}

MODES = (
    "chat",
    "completion",
    "embedding",
    "responses",
    "image_generation",
    "audio_transcription",
    "audio_speech",
)

#: LiteLLM's word for a seller → LangChain's.
SELLERS = {
    **{
        name: name
        for name in ("openai", "anthropic", "azure", "cohere", "groq", "deepseek", "openrouter", "perplexity")
    },
    **{
        name: name
        for name in ("cerebras", "databricks", "cloudflare", "novita", "baseten", "ovhcloud", "zai", "minimax")
    },
    **dict.fromkeys(("vertex_ai", "vertex_ai-language-models", "vertex_ai-anthropic_models"), "google_vertexai"),
    **dict.fromkeys(("bedrock", "bedrock_converse"), "amazon_bedrock"),
    "azure_ai": "azure",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google_genai",
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "voyage": "voyageai",
    "xai": "xai",
}
#: What its table has a price of → the usage that costs it, and the service tier.
THOUSAND = 1_000
KINDS = {
    "input_cost_per_token": (TokenUsage.from_counts(THOUSAND, 0), None),
    "output_cost_per_token": (TokenUsage.from_counts(0, THOUSAND), None),
    "cache_read_input_token_cost": (
        TokenUsage.from_counts(THOUSAND, 0, input_token_details={"cache_read": THOUSAND}),
        None,
    ),
    "cache_creation_input_token_cost": (
        TokenUsage.from_counts(THOUSAND, 0, input_token_details={"cache_creation": THOUSAND}),
        None,
    ),
    "input_cost_per_token_batches": (TokenUsage.from_counts(THOUSAND, 0), "batch"),
    "output_cost_per_token_batches": (TokenUsage.from_counts(0, THOUSAND), "batch"),
    "input_cost_per_token_flex": (TokenUsage.from_counts(THOUSAND, 0), "flex"),
    "input_cost_per_token_priority": (TokenUsage.from_counts(THOUSAND, 0), "priority"),
    "output_cost_per_token_flex": (TokenUsage.from_counts(0, THOUSAND), "flex"),
    "output_cost_per_token_priority": (TokenUsage.from_counts(0, THOUSAND), "priority"),
    "cache_read_input_token_cost_flex": (
        TokenUsage.from_counts(THOUSAND, 0, input_token_details={"cache_read": THOUSAND}),
        "flex",
    ),
    "cache_read_input_token_cost_priority": (
        TokenUsage.from_counts(THOUSAND, 0, input_token_details={"cache_read": THOUSAND}),
        "priority",
    ),
    "cache_creation_input_token_cost_above_1hr": (
        TokenUsage.from_counts(
            THOUSAND, 0, input_token_details={"cache_creation": THOUSAND, "ephemeral_1h_input_tokens": THOUSAND}
        ),
        None,
    ),
    "input_cost_per_audio_token": (TokenUsage.from_counts(THOUSAND, 0, input_token_details={"audio": THOUSAND}), None),
    "output_cost_per_audio_token": (
        TokenUsage.from_counts(0, THOUSAND, output_token_details={"audio": THOUSAND}),
        None,
    ),
    "output_cost_per_reasoning_token": (
        TokenUsage.from_counts(0, THOUSAND, output_token_details={"reasoning": THOUSAND}),
        None,
    ),
    "output_cost_per_image_token": (
        TokenUsage.from_counts(0, THOUSAND, output_token_details={"image": THOUSAND}),
        None,
    ),
    "input_cost_per_image_token": (TokenUsage.from_counts(THOUSAND, 0, input_token_details={"image": THOUSAND}), None),
}
#: Its steps of a long context: with more input than so many thousand tokens.
STEPS = (128, 200, 256, 272)


def _long_context(row: Mapping[str, Any]) -> Iterator[tuple[str, TokenUsage, Decimal]]:
    """What its table has a price of beyond a step → the usage that costs it, and what that costs by the table."""
    for thousands in STEPS:
        above = f"_above_{thousands}k_tokens"
        tokens = (thousands + 1) * THOUSAND
        sent = row.get(f"input_cost_per_token{above}")
        received = row.get(f"output_cost_per_token{above}")
        read = row.get(f"cache_read_input_token_cost{above}")
        if sent is not None:
            yield f"input{above}", TokenUsage.from_counts(tokens, 0), sent * tokens
        if sent is not None and received is not None:
            yield f"output{above}", TokenUsage.from_counts(tokens, THOUSAND), sent * tokens + received * THOUSAND
        if read is not None:
            usage = TokenUsage.from_counts(tokens, 0, input_token_details={"cache_read": tokens})
            yield f"cache_read{above}", usage, read * tokens


class Difference(NamedTuple):
    key: str
    seller: str
    theirs: Decimal
    ours: Quote

    @property
    def ratio(self) -> Decimal:
        """What it costs by its table, of what it costs by ours."""
        return (self.theirs / self.ours.cost_usd).quantize(Decimal("0.001"))


def _is_noted(found: Difference, text: str) -> bool:
    return any(text in note for note in found.ours.notes)


#: Why prices differ: the seller, a pattern of its table's key, and what else must be so. The source settles it.
CAUSES = [
    (
        "a search (or a fee) at every request, which its table has apart",
        lambda found: re.search(r"search-(preview|api)|sonar", found.key) and found.theirs < found.ours.cost_usd,
    ),
    (
        "a region's price that genai-prices does not have, which the quote says",
        lambda found: _is_noted(found, "price in the region"),
    ),
    (
        "Azure's price of a data zone or region, ten per cent more, which the quote says",
        lambda found: (
            found.seller == "azure"
            and found.ratio in (Decimal("1.100"), Decimal("1.102"))
            and _is_noted(found, "data zones")
        ),
    ),
    (
        "an id without profile at the price of the global one; https://aws.amazon.com/bedrock/pricing/ has ten per cent more",
        lambda found: found.seller == "amazon_bedrock" and found.ratio == Decimal("0.909"),
    ),
    (
        "rounded: a binary float, or Databricks' units of 0.07 USD",
        lambda found: abs(found.ratio - 1) <= Decimal("0.014"),
    ),
    (
        "the dearer hours of DeepSeek's day (https://api-docs.deepseek.com/quick_start/pricing)",
        lambda found: (
            re.search(r"deepseek-(v4-)?(flash|pro)$", found.key) and found.seller == "deepseek" and found.ratio == 2
        ),
    ),
    (
        "Google's prices of these models on Vertex AI, where genai-prices has those of the Gemini API",
        lambda found: found.key == "vertex_ai/gemini-2.0-flash",
    ),
    (
        "genai-prices kept the price of a name that its maker has moved to another model or price",
        lambda found: re.search(
            r"deepseek-(chat|reasoner|v3\.2)|(magistral-\w+|mistral-large)-latest|mistral-medium$|open-mistral-nemo"
            r"|mistral-large-4(-0)?$|claude-3-5-haiku|grok-code-fast",
            found.key,
        ),
    ),
    (
        "a step beyond the context that the model has there (https://github.com/openai/codex/issues/37137 for Bedrock)",
        lambda found: re.search(r"us\.openai\.gpt-5\.[45]$|gemini-3-pro-image", found.key) and found.ratio > 1,
    ),
    (
        "sound that the model does not take (https://ai.google.dev/gemini-api/docs/models)",
        lambda found: re.search(r"gemini-2\.5-(flash-image|pro-preview-tts)$", found.key),
    ),
    (
        "OpenAI's list of prices has more for tokens of sound than its page of the model, which its table follows",
        lambda found: found.key.startswith(("gpt-4o-transcribe", "gpt-4o-mini-transcribe")),
    ),
    (
        "an output that is sound alone, which its table prices as text (https://developers.openai.com/api/docs/pricing)",
        lambda found: found.key.endswith("gpt-4o-mini-tts"),
    ),
    (
        "not settled: Azure publishes no number that could be read for tokens of sound, nor OpenAI a step of this model",
        lambda found: re.search(r"azure/gpt-audio|gpt-5\.6-cyber$", found.key),
    ),
    (
        "hosts of open models change prices often: the two tables are of different days",
        lambda found: (
            found.seller in ("fireworks", "together", "novita", "ovhcloud", "cloudflare", "groq", "openrouter")
        ),
    ),
]


def _compared() -> Iterator[tuple[str, str, Decimal, Quote]]:
    """Key, seller, what it costs by their table, and by ours, wherever both have a price."""
    spec = find_spec("litellm")
    assert spec is not None
    table = Path(str(spec.origin)).with_name("model_prices_and_context_window_backup.json")
    rows: Mapping[str, Mapping[str, Any]] = json.loads(table.read_text(encoding="utf-8"), parse_float=Decimal)
    book = PriceBook()
    for key, row in rows.items():
        seller = SELLERS.get(row.get("litellm_provider", ""))
        if seller is None or row.get("mode") not in MODES:
            continue
        name = re.sub(rf"^(?:{re.escape(row['litellm_provider'])}|bedrock(?:/converse)?|vertex_ai)/", "", key)
        if (seller == "amazon_bedrock" and "/" in name) or not look_up(provider_id_of(seller), name):
            continue  # Its keys for single regions and commitments are no names of models.
        priced = [
            (kind, usage, tier, Decimal(row[kind]) * THOUSAND)
            for kind, (usage, tier) in KINDS.items()
            if row.get(kind) is not None
        ]
        priced += [(kind, usage, None, theirs) for kind, usage, theirs in _long_context(row)]
        for kind, usage, tier, theirs in priced:
            quote = book.quote(call(seller, name, usage=usage, service_tier=tier, priced_at=day("2026-11-20")))
            priced_apart = {line.kind for line in quote.lines}
            if quote.cost_usd is None or ("cache" in kind and not any("cache" in each for each in priced_apart)):
                continue  # It has no price in our book.
            yield f"{key} {kind}", seller, theirs, quote


def _releases() -> dict[str, str]:
    try:
        return {name: version(name) for name in COMPARED_RELEASES}
    except PackageNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed; its price table is not copied here")


def test_framework_litellm_has_the_same_prices_or_there_is_a_cause():
    releases = _releases()
    if any(not releases[name].startswith(release) for name, release in COMPARED_RELEASES.items()):
        pytest.skip(f"the causes are those of {COMPARED_RELEASES}; installed are {releases}")
    equal = 0
    causes: Counter[str] = Counter()
    unexplained = []
    for key, seller, theirs, ours in _compared():
        found = Difference(key.split()[0], seller, theirs, ours)
        if theirs == ours.cost_usd:
            equal += 1
        elif theirs == 0 and seller in ("novita", "openrouter", "zai", "cloudflare", "together"):
            causes["free there: an offer for a time"] += 1
        elif cause := next((cause for cause, applies in CAUSES if applies(found)), None):
            causes[cause] += 1
        else:
            unexplained.append((key, str(theirs), str(ours.cost_usd), ours.source))
    assert unexplained == []
    assert {cause for cause, _ in CAUSES} <= causes.keys()
    assert equal > 3_800
    assert causes.total() < 480
