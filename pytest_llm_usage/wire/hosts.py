"""Who answers at a URL: by `ENDPOINTS`, the first pattern that fits."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import unquote, urlsplit

__all__ = ["ENDPOINTS", "path_of", "provider_at"]

#: Who answers, in LangChain's words (`ls_provider`) where LangChain has one: the first pattern that fits `host/path`.
ENDPOINTS: tuple[tuple[str, str], ...] = (
    ("*.openai.azure.com/*", "azure"),
    ("*.services.ai.azure.com/*", "azure"),
    ("*.cognitiveservices.azure.com/*", "azure"),
    ("*.inference.ai.azure.com/*", "azure"),
    ("*.models.ai.azure.com/*", "azure"),
    ("*.openai.com/*", "openai"),
    ("chatgpt.com/*", "openai"),
    ("*.anthropic.com/*", "anthropic"),
    ("*generativelanguage.googleapis.com/*", "google_genai"),
    ("*aiplatform.googleapis.com/*", "google_vertexai"),
    ("bedrock*.amazonaws.com*/*", "amazon_bedrock"),
    ("bedrock*.api.aws/*", "amazon_bedrock"),
    ("*.mistral.ai/*", "mistral"),
    ("api.cohere.com/*", "cohere"),
    ("api.cohere.ai/*", "cohere"),
    ("api.groq.com/*", "groq"),
    ("api.deepseek.com/*", "deepseek"),
    ("*api.x.ai/*", "xai"),
    ("ollama.com/*", "ollama"),
    ("*:11434/*", "ollama"),
    ("openrouter.ai/*", "openrouter"),
    ("api.perplexity.ai/*", "perplexity"),
    ("*.api.nvidia.com/*", "NVIDIA"),
    ("api.together.xyz/*", "together"),
    ("api.together.ai/*", "together"),
    ("api.fireworks.ai/*", "fireworks"),
    ("*huggingface.co/*", "huggingface"),
    ("*.endpoints.huggingface.cloud/*", "huggingface"),
    ("api.cerebras.ai/*", "cerebras"),
    ("api.sambanova.ai/*", "sambanova"),
    ("dashscope*.aliyuncs.com/*", "dashscope"),
    ("api.z.ai/*", "zai"),
    ("open.bigmodel.cn/*", "zai"),
    ("api.moonshot.*/*", "moonshotai"),
    ("api.minimax*/*", "minimax"),
    ("api.voyageai.com/*", "voyageai"),
    ("api.jina.ai/*", "jina"),
    ("api.writer.com/*", "writer"),
    ("api.replicate.com/*", "replicate"),
    ("api.ai21.com/*", "ai21"),
    ("api.aleph-alpha.com/*", "aleph_alpha"),
    ("api.deepinfra.com/*", "deepinfra"),
    ("api.novita.ai/*", "novita"),
    ("*.crusoecloud.com/*", "crusoe"),
    ("models.github.ai/*", "github"),
    ("*.databricks.com/*", "databricks"),
    ("*.azuredatabricks.net/*", "databricks"),
    ("*.snowflakecomputing.com/*", "snowflake"),
    ("*.cloudflare.com/*", "cloudflare"),
    ("*.ml.cloud.ibm.com/*", "watsonx"),
    ("api.portkey.ai/*", "portkey"),
    # Behind a domain of one's own the path still tells.
    ("*/openai/deployments/*", "azure"),
    ("*/publishers/*/models/*", "google_vertexai"),
    ("*/model/*/converse*", "amazon_bedrock"),
    ("*/model/*/invoke*", "amazon_bedrock"),
)


@lru_cache(maxsize=1024)
def path_of(url: str) -> str:
    """The path of a URL, percent-encoding undone; of one that is redacted, what is left."""
    return unquote(_split(url)[1]).rstrip("/")


@lru_cache(maxsize=1024)
def provider_at(url: str, home: str) -> str | None:
    """Who answers at `url`: by `ENDPOINTS`, `home` where the URL was redacted, None where nobody is known there."""
    host, path = _split(url)
    if not host:
        return home
    address = f"{host}{path}/"
    return next((provider for pattern, provider in ENDPOINTS if fnmatchcase(address, pattern)), None)


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443").removesuffix(":80"), parts.path
