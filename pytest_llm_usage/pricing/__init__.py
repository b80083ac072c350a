"""What a call costs: the user's own prices first, then genai-prices, else no cost and the reason.

Amounts are exact decimals in USD: tokens × price, nothing rounded. The price is that of the day the call was made (for
a replayed call, of the recording). It comes from the book that genai-prices ships, never from one updated over the
network, so the same cassette costs the same tomorrow.

Unknown is None with a reason, never 0. This includes models that genai-prices would price by resemblance: its rules
match by prefix (`gemini-1.5-flash…` also matches `gemini-1.5-flash-8b`). Here a rule counts only if the rest of the
name is a date, a revision or `-latest`.

A price file (TOML) has one line per model, in USD per million tokens::

    [models]
    "my-model" = { input = 0.5, output = 1.5, cache_read = 0.05 }
    "prod-*"   = { provider = "azure", same_as = "gpt-4o-2024-08-06" }     # an Azure deployment
    "llama3*"  = { provider = "ollama", free = true }
    "gpt-4o"   = [ { until = 2026-01-01, input = 2, output = 8 }, { from = 2026-01-01, input = 1, output = 4 } ]

    [price_map]                        # LangChain NVIDIA's price_map as it is: USD per thousand tokens
    "mixtral_8x7b" = 0.0006

Kinds that may have a price of their own: `input`, `output`, `cache_read` (`_audio`, `_image`), `cache_write` (`_5m`,
`_1h`), `input_audio`, `input_image`, `input_video`, `output_reasoning`, `output_audio`, `output_image`, `output_video`,
`output_citation`; and, in USD each: `request`, `web_search`, `web_search_preview`, `x_search`, `map_search`,
`web_fetch`, `file_search`, `search_source`, `search_unit`, `code_interpreter` (a container), `code_execution` (a
response that used it, at Groq a run), `image_generation`, `image`, `image_pixel`, `video_pixel`, `video_second`,
`audio_second`, `page`, `annotated_page`, `classification`, `rerank_unit`, `retrieval`.

A line with `tier = "flex"`, `speed = "fast"` or `latency = "optimized"` applies only to calls on those terms, and one
with `region = "eu"` (or a pattern, `"europe-*"`) only to that region, as the quote's note names it. `from` (inclusive)
and `until` (exclusive) are days in UTC. `above = { input_tokens = 200_000, input = 5 }` is the price of all tokens of a
request with more input than that. Prices beside `same_as` replace those of the other model.
"""

from typing import TYPE_CHECKING

from pytest_llm_usage.import_hook import lazy_names

if TYPE_CHECKING:
    from pytest_llm_usage.pricing.book import PriceBook
    from pytest_llm_usage.pricing.price import explain, sum_lines
    from pytest_llm_usage.pricing.pricefile import PriceSource

__all__ = ["PriceBook", "PriceSource", "explain", "sum_lines"]

__getattr__ = lazy_names(
    __name__, {"book": ("PriceBook",), "price": ("explain", "sum_lines"), "pricefile": ("PriceSource",)}
)
