"""What libraries fetch or tell on their own: no test's business, so neither recorded nor a failure while one replays.

Vocabularies of tokenizers, files of Hugging Face's hub, LiteLLM's price map, telemetry. They depend on caches of the machine and
on the day, and the first of them alone is 2.7 MB. What a cassette holds of them already is replayed all the same.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["NOT_RECORDED", "is_not_recorded"]

#: A host or pattern of hosts, what its path begins with, and what it is.
NOT_RECORDED: tuple[tuple[str, str, str], ...] = (
    ("openaipublic.blob.core.windows.net", "/", "tiktoken's vocabularies"),
    ("huggingface.co", "/", "files of Hugging Face's hub"),
    ("*.hf.co", "/", "files of Hugging Face's hub"),
    ("cdn-lfs*.huggingface.co", "/", "files of Hugging Face's hub"),
    ("raw.githubusercontent.com", "/BerriAI/litellm/", "LiteLLM's price map"),
    ("raw.githubusercontent.com", "/pydantic/genai-prices/", "genai-prices' prices"),
    ("smith.langchain.com", "/", "LangSmith"),
    ("*.smith.langchain.com", "/", "LangSmith"),
    ("*.langfuse.com", "/", "Langfuse"),
    ("*.pydantic.dev", "/v1/", "Logfire"),
    ("api.traceloop.com", "/", "OpenLLMetry"),
    ("telemetry.crewai.com", "/", "CrewAI's telemetry"),
    ("*.posthog.com", "/", "telemetry by PostHog"),
    ("*.sentry.io", "/", "telemetry by Sentry"),
    ("*.segment.io", "/", "telemetry by Segment"),
    ("*.mixpanel.com", "/", "telemetry by Mixpanel"),
    ("*.amplitude.com", "/", "telemetry by Amplitude"),
    ("*.scarf.sh", "/", "telemetry by Scarf"),
    ("*.honeycomb.io", "/", "telemetry to Honeycomb"),
    ("*.datadoghq.com", "/", "telemetry to Datadog"),
)
#: Variables that say where LangSmith is, if it is elsewhere.
_LANGSMITH_ENDPOINTS = ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT")
#: Models that Hugging Face's hub itself answers for.
_MODELS = re.compile(r"/(?:models|pipeline)/")


def is_not_recorded(url: str) -> bool:
    """Whether a request is a library's own."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = (parts.hostname or "").rstrip(".")
    if host == "huggingface.co" and _MODELS.match(parts.path):
        return False
    return _is_listed(host, parts.path or "/") or (
        parts.netloc in {urlsplit(os.environ.get(name, "")).netloc for name in _LANGSMITH_ENDPOINTS} - {""}
    )


# A suite asks the same few addresses again and again.
@lru_cache(maxsize=4096)
def _is_listed(host: str, path: str) -> bool:
    return any(fnmatchcase(host, pattern) and path.startswith(start) for pattern, start, _ in NOT_RECORDED)
