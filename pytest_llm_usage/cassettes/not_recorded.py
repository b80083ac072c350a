"""Requests that libraries make on their own: they are not recorded, and they fail no test that replays.

These are vocabularies of tokenizers, files of Hugging Face's hub, LiteLLM's price map and telemetry. They depend on the
machine's caches and on the day, and the first of them alone is 2.7 MB. Those that a cassette holds already are
replayed.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["NOT_RECORDED", "is_not_recorded"]

#: A host or a pattern of hosts, the beginning of the path, and what is there.
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
#: Paths of models that Hugging Face's hub itself runs.
_MODELS = re.compile(r"/(?:models|pipeline)/")


def is_not_recorded(url: str) -> bool:
    """Whether a library makes this request on its own."""
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
