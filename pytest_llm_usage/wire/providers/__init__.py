"""The APIs that are read, one row each: `FLAVOURS`. The first row that fits a request wins.

A row is recognised by its path, together with the members of its request where others use that path as well: gateways,
proxies and local servers have the same paths as the providers. If the path says nothing (redacted, or a custom one),
the shape of the response decides. The host never decides how a response is read; `hosts` says who answers there.

A new API is a row in the module of its family, and its host a line in `hosts.ENDPOINTS`. Formats are those of the
providers' references and SDKs; each row names its source.
"""

from __future__ import annotations

import re

from pytest_llm_usage.wire.flavour import Flavour
from pytest_llm_usage.wire.pieces import StatedCost
from pytest_llm_usage.wire.providers import (
    anthropic,
    bedrock,
    cohere,
    compatible,
    google,
    local,
    mistral,
    openai,
    openai_media,
    others,
    shared,
)

__all__ = ["COST_HEADERS", "FLAVOURS", "GATEWAY_COSTS", "UNBILLED"]

#: Paths that look like a call to a model but are none: counting tokens, tokenizing, cancelling a batch, and keeping a
#: prompt for later (Gemini's caches, which are billed by the hour).
UNBILLED = re.compile(
    r"(?:[:/]count[-_]?tokens|/input_tokens|/(?:de)?tokenize|:computeTokens|/batches/[^/]+/cancel|/cachedContents)\b[^/]*$",
    re.IGNORECASE,
)

#: `shared` is last, and `local` before it: paths of other APIs end alike, and their requests would fit these rows, too.
FLAVOURS: tuple[Flavour, ...] = (
    *compatible.FLAVOURS,
    *openai.FLAVOURS,
    *openai_media.FLAVOURS,
    *anthropic.FLAVOURS,
    *google.FLAVOURS,
    *bedrock.FLAVOURS,
    *cohere.FLAVOURS,
    *mistral.FLAVOURS,
    *others.FLAVOURS,
    *local.FLAVOURS,
    *shared.FLAVOURS,
)

#: Where a gateway states the cost in the body, next to the usage: https://vercel.com/docs/ai-gateway/capabilities/usage
GATEWAY_COSTS = tuple(
    StatedCost(path=f"{at}{key}.gateway.cost")
    for at in ("", "choices[].message.", "choices[].delta.", "response.", "message.")
    for key in ("provider_metadata", "providerMetadata")
)

#: Headers in which a proxy states what it was billed for a call: https://docs.litellm.ai/docs/proxy/response_headers
COST_HEADERS = (StatedCost(path="x-litellm-response-cost", zero_is_unset=True),)
