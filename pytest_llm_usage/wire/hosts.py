"""Who answers at a URL, who sells there, and where: `answerer_at`.

`ENDPOINTS` names who answers, by the first pattern that fits. A gateway passes calls on to another seller, and
`GATEWAYS` says how each gateway names the seller. `REGIONS` says how a URL names the region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from pytest_llm_usage.records import Record
from pytest_llm_usage.wire.address import host_and_path, path_of
from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.framing import header

__all__ = [
    "ENDPOINTS",
    "GATEWAYS",
    "REGIONS",
    "Answerer",
    "answerer_at",
    "provider_at",
]


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answered a request.

    Attributes:
        provider: By LangChain's name (`ls_provider`) if there is one; None if the URL is not a known provider's.
        seller: Who sells the model, if not the provider.
        region: Where it was sold, in the provider's words; None if it is not known.
    """

    provider: str | None
    seller: str | None = None
    region: str | None = None


#: Who answers, by LangChain's name (`ls_provider`) if there is one: the first pattern that fits `host/path`.
ENDPOINTS: tuple[tuple[str, str], ...] = (
    # GitHub's models are on a host of Azure.
    ("models.inference.ai.azure.com/*", "github"),
    ("*.openai.azure.com/*", "azure"),
    ("*.openai.azure.us/*", "azure"),
    ("*.services.ai.azure.com/*", "azure"),
    ("*.cognitiveservices.azure.com/*", "azure"),
    ("*.inference.ai.azure.com/*", "azure"),
    ("*.models.ai.azure.com/*", "azure"),
    ("*.api.cognitive.microsoft.com/*", "azure"),
    ("*.inference.ml.azure.com/*", "azure"),
    ("*.openai.com/*", "openai"),
    ("chatgpt.com/*", "openai"),
    ("*.anthropic.com/*", "anthropic"),
    # Anthropic's own platform in others' clouds: the anthropic SDK, `AnthropicAWS` and `AnthropicGoogleCloud`.
    ("aws-external-anthropic.*.api.aws/*", "anthropic"),
    ("claude.googleapis.com/*", "anthropic"),
    ("*generativelanguage.googleapis.com/*", "google_genai"),
    ("*aiplatform.googleapis.com/*", "google_vertexai"),
    ("aiplatform.*.rep.googleapis.com/*", "google_vertexai"),
    ("*.prediction.vertexai.goog/*", "google_vertexai"),
    ("bedrock*.amazonaws.com*/*", "amazon_bedrock"),
    ("bedrock*.api.aws/*", "amazon_bedrock"),
    ("*.bedrock-runtime.*.vpce.amazonaws.com/*", "amazon_bedrock"),
    ("runtime.sagemaker.*.amazonaws.com*/*", "sagemaker"),
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
    ("*api.together.xyz/*", "together"),
    ("*api.together.ai/*", "together"),
    ("api.fireworks.ai/*", "fireworks"),
    ("*huggingface.co/*", "huggingface"),
    ("*.endpoints.huggingface.cloud/*", "huggingface"),
    ("api.cerebras.ai/*", "cerebras"),
    ("api.sambanova.ai/*", "sambanova"),
    ("dashscope*.aliyuncs.com/*", "dashscope"),
    ("api.z.ai/*", "zai"),
    ("open.bigmodel.cn/*", "zhipuai"),
    ("api.moonshot.*/*", "moonshotai"),
    ("api.minimax*/*", "minimax"),
    ("api.voyageai.com/*", "voyageai"),
    ("api.jina.ai/*", "jina"),
    ("deepsearch.jina.ai/*", "jina"),
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
    ("aigw.portkey.ai/*", "portkey"),
    ("api.githubcopilot.com/*", "github-copilot"),
    ("api.meta.ai/*", "meta"),
    ("api.llama.com/*", "meta"),
    ("api.arcee.ai/*", "arcee"),
    ("api.avian.io/*", "avian"),
    ("api.cline.bot/*", "cline"),
    ("api.cursor.com/*", "cursor"),
    ("api.doubleword.ai/*", "doubleword"),
    ("*.modal.run/*", "modal"),
    ("*.modal.direct/*", "modal"),
    ("*.endpoints.kepler.ai.cloud.ovh.net/*", "ovhcloud"),
    ("api.quicksilverpro.io/*", "quicksilverpro"),
    ("api.typesafe.ai/*", "typesafe"),
    ("api.inference.wandb.ai/*", "wandb"),
    ("api.scaleway.ai/*", "scaleway"),
    ("llm.chutes.ai/*", "chutes"),
    ("inference.api.nscale.com/*", "nscale"),
    ("api.sarvam.ai/*", "sarvam"),
    ("api-atlas.nomic.ai/*", "nomic"),
    ("api.mixedbread.*/*", "mixedbread"),
    ("clovastudio.*.ntruss.com/*", "naver"),
    ("*.ml.hana.ondemand.com/*", "sap"),
    ("oai.helicone.ai/*", "openai"),
    ("anthropic.helicone.ai/*", "anthropic"),
    ("*.helicone.ai/*", "helicone"),
    ("gateway*.pydantic.dev/*", "pydantic"),
    ("ai-gateway.vercel.sh/*", "vercel"),
    ("api.reka.ai/*", "reka"),
    ("*.oci.oraclecloud.com/*", "oci"),
    ("llm.api.cloud.yandex.net/*", "yandex"),
    ("ai.api.cloud.yandex.net/*", "yandex"),
    ("rest-assistant.api.cloud.yandex.net/*", "yandex"),
    ("llm-gateway*.assemblyai.com/*", "assemblyai"),
    ("api*.assemblyai.com/*", "assemblyai"),
    ("*.pinecone.io/*", "pinecone"),
    ("*.hyperbolic.xyz/*", "hyperbolic"),
    ("api.*.nebius.*/*", "nebius"),
    ("*.inference.heroku.com/*", "heroku"),
    ("aihubmix.com/*", "aihubmix"),
    ("api.aimlapi.com/*", "aimlapi"),
    ("api.endpoints.anyscale.com/*", "anyscale"),
    ("api.edenai.run/*", "edenai"),
    ("api.xiaomimimo.com/*", "mimo"),
    ("api-inference.modelscope.cn/*", "modelscope"),
    ("api.featherless.ai/*", "featherless"),
    ("inference.baseten.co/*", "baseten"),
    ("*.api.baseten.co/*", "baseten"),
    ("ark.*.volces.com/*", "volcengine"),
    ("api.stepfun.*/*", "stepfun"),
    ("api.lambda.ai/*", "lambda"),
    ("api.lambdalabs.com/*", "lambda"),
    ("api.inference.net/*", "inference-net"),
    ("api.parasail.io/*", "parasail"),
    ("api.friendli.ai/*", "friendli"),
    ("inference.do-ai.run/*", "digitalocean"),
    ("*.runpod.ai/*", "runpod"),
    ("api.upstage.ai/*", "upstage"),
    ("api.poe.com/*", "poe"),
    ("api.venice.ai/*", "venice"),
    ("gigachat.devices.sberbank.ru/*", "gigachat"),
    ("api.hunyuan.cloud.tencent.com/*", "hunyuan"),
    ("hunyuan.*tencentcloudapi.com/*", "hunyuan"),
    ("qianfan.baidubce.com/*", "qianfan"),
    ("aip.baidubce.com/rpc/2.0/ai_custom/*", "qianfan"),
    ("spark-api-open.xf-yun.com/*", "sparkllm"),
    ("api.siliconflow.*/*", "siliconflow"),
    ("maritaca.ai/*", "maritalk"),
    ("chat.maritaca.ai/*", "maritalk"),
    ("api.inceptionlabs.ai/*", "inception"),
    ("api.morphllm.com/*", "morph"),
    ("api.coze.*/*", "coze"),
    ("api.dify.ai/*", "dify"),
    # On a custom domain, the path still shows the provider.
    ("*/openai/deployments/*", "azure"),
    ("*/publishers/*/models/*", "google_vertexai"),
    ("*/model/*/converse*", "amazon_bedrock"),
    ("*/model/*/invoke*", "amazon_bedrock"),
)


class Gateway(Record):
    """How a gateway names the provider that it passes a call on to, the most certain place first.

    Attributes:
        answer_header: A header of the answer.
        request_header: A header of the request.
        path: A pattern for the path, whose group `seller` is the name.
        model: A pattern for the requested model, whose group `seller` is the name.
        in_own_words: Whether the gateway's own name for the provider is kept, because the gateway itself sells at that
            provider's prices.
    """

    answer_header: str = ""
    request_header: str = ""
    path: str = ""
    model: str = ""
    in_own_words: bool = False


#: The gateways, by the provider that answers.
#: https://developers.cloudflare.com/ai-gateway/usage/providers/, …/usage/chat-completion/
#: https://portkey.ai/docs/api-reference/inference-api/headers, https://huggingface.co/docs/inference-providers/index
#: https://vercel.com/docs/ai-gateway/models-and-providers, https://docs.helicone.ai/gateway/overview,
#: https://pydantic.dev/docs/ai/overview/gateway/
GATEWAYS: Mapping[str, Gateway] = {
    "cloudflare": Gateway(
        path=r"^/v1/[^/]+/[^/]+/(?!compat/|universal)(?P<seller>[a-z][\w-]*)/",
        model=r"^(?P<seller>[a-z][\w-]*)/(?!.*@cf)",
    ),
    "portkey": Gateway(
        answer_header="x-portkey-provider", request_header="x-portkey-provider", model=r"^@(?P<seller>[\w-]+)/"
    ),
    "huggingface": Gateway(
        answer_header="x-inference-provider",
        path=r"^/(?P<seller>(?!v1/|models/|hf-inference/|api/|pipeline/)[a-z][a-z0-9-]*)/",
        model=r"^[^/:]+/[^/:]+:(?P<seller>(?!fastest$|cheapest$|preferred$)[a-z][a-z0-9-]*)$",
        in_own_words=True,
    ),
    "pydantic": Gateway(path=r"^/proxy/(?P<seller>[a-z-]+)/"),
    "helicone": Gateway(request_header="helicone-target-url", model=r"^[^/]+/(?P<seller>[a-z][\w-]*)$"),
}

#: Gateways' names for providers, each with LangChain's name.
_SELLERS = {
    "anthropic": "anthropic",
    "aws-bedrock": "amazon_bedrock",
    "azure-ai": "azure",
    "azure-openai": "azure",
    "bedrock": "amazon_bedrock",
    "fireworks-ai": "fireworks",
    "gemini": "google_genai",
    "google": "google_genai",
    "google-ai-studio": "google_genai",
    "google-cloud": "google_vertexai",
    "google-vertex-ai": "google_vertexai",
    "grok": "xai",
    "mistral-ai": "mistral",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "vertex-ai": "google_vertexai",
    "workers-ai": "cloudflare",
    "x-ai": "xai",
}

#: How a URL names the region: patterns for `host/path`, the most certain first, each after a text that whatever fits it
#: contains (looked for first, because few patterns are ever needed and each is compiled on use).
#: https://developers.openai.com/api/docs/guides/your-data,
#: https://docs.cloud.google.com/vertex-ai/docs/general/locations,
#: https://docs.aws.amazon.com/bedrock/latest/userguide/endpoints.html, https://docs.x.ai/docs/key-information/regions
REGIONS: tuple[tuple[str, str], ...] = (
    (".api.openai.com/", r"^(?P<region>[a-z]{2})\.api\.openai\.com/"),
    (".googleapis.com/", r"aiplatform[^/]*\.googleapis\.com/.*/locations/(?P<region>[a-z0-9-]+)/"),
    (".googleapis.com/", r"^(?P<region>[a-z0-9-]+)-aiplatform\.googleapis\.com/"),
    (".vertexai.goog/", r"\.prediction\.vertexai\.goog/.*/locations/(?P<region>[a-z0-9-]+)/"),
    (".vertexai.goog/", r"^(?:[^/]+\.)?(?P<region>[a-z]+-[a-z]+\d+)-\d+\.prediction\.vertexai\.goog/"),
    (".googleapis.com/", r"^aiplatform\.(?P<region>[a-z0-9-]+)\.rep\.googleapis\.com/"),
    # The same paths behind a gateway.
    ("/publishers/", r"/projects/[^/]+/locations/(?P<region>[a-z0-9-]+)/publishers/"),
    ("/bedrock-runtime/", r"/bedrock-runtime/(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/model/"),
    ("bedrock", r"bedrock[a-z-]*\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\."),
    ("runtime.sagemaker.", r"^runtime\.sagemaker\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\."),
    (".azure.com/", r"\.(?P<region>[a-z0-9]+)\.(?:models\.ai|inference\.ai|inference\.ml)\.azure\.com/"),
    (".microsoft.com/", r"^(?P<region>[a-z0-9]+)\.api\.cognitive\.microsoft\.com/"),
    (".api.x.ai/", r"^(?P<region>[a-z]{2}-[a-z]+-\d)\.api\.x\.ai/"),
    (".ml.cloud.ibm.com/", r"^(?P<region>[a-z]{2}-[a-z]+)\.ml\.cloud\.ibm\.com/"),
    ("dashscope-", r"^dashscope-(?P<region>[a-z]+)\.aliyuncs\.com/"),
    ("inference.generativeai.", r"^inference\.generativeai\.(?P<region>[a-z0-9-]+)\.oci\.oraclecloud\.com/"),
    ("-api.together.ai/", r"^(?P<region>[a-z]{2})-api\.together\.ai/"),
)
#: Azure's host names a resource; the header names its region.
_REGION_HEADER = "x-ms-region"


def answerer_at(url: str, home: str, asked: Headers, answered: Headers, model: str | None) -> Answerer:
    """Who answered a request.

    Args:
        url: The URL.
        home: Who answers if the URL was redacted.
        asked: The headers of the request.
        answered: The headers of the response.
        model: The requested model.
    """
    provider = provider_at(url, home)
    gateway = GATEWAYS.get(provider or "")
    seller = _seller(gateway, url, asked, answered, model) if gateway is not None else None
    region = _region_at(url)
    if region is None and provider == "azure":
        region = header(answered, _REGION_HEADER).lower().replace(" ", "") or None
    return Answerer(provider, seller if seller != provider else None, region)


def _seller(gateway: Gateway, url: str, asked: Headers, answered: Headers, model: str | None) -> str | None:
    in_path = re.search(gateway.path, path_of(url)) if gateway.path else None
    in_model = re.search(gateway.model, model) if gateway.model and model else None
    name = (
        (header(answered, gateway.answer_header) if gateway.answer_header else "")
        or (header(asked, gateway.request_header) if gateway.request_header else "")
        or (in_path["seller"] if in_path else "")
        or (in_model["seller"] if in_model else "")
    )
    name = name.strip().lower().lstrip("@")
    if gateway.in_own_words:
        return name or None
    if name.startswith("https://"):
        return provider_at(name, "") or None
    name = _SELLERS.get(name, name)
    # A slug such as `@our-account` is a name that a user has chosen.
    return name if name in _known_providers() else None


@lru_cache(maxsize=1)
def _known_providers() -> frozenset[str]:
    return frozenset((*(provider for _, provider in ENDPOINTS), *_SELLERS.values()))


@lru_cache(maxsize=1024)
def provider_at(url: str, home: str) -> str | None:
    """Who answers at `url`, by `ENDPOINTS`; `home` if the URL was redacted, None if it is not a known provider's."""
    host, path = host_and_path(url)
    if not host:
        return home
    address = f"{host}{path}/"
    # The text is looked for first: fnmatch compiles each pattern that it is asked for.
    return next(
        (provider for pattern, provider in ENDPOINTS if _text_of(pattern) in address and fnmatchcase(address, pattern)),
        None,
    )


def _text_of(pattern: str) -> str:
    """The longest text that whatever fits a pattern contains."""
    return max(pattern.split("*"), key=len)


@lru_cache(maxsize=1024)
def _region_at(url: str) -> str | None:
    host, path = host_and_path(url)
    address = f"{host}{path}/"
    return next(
        (found["region"] for text, pattern in REGIONS if text in address and (found := re.search(pattern, address))),
        None,
    )
