"""Providers and service tiers in one spelling, and the rules by which a provider's billing differs from others'."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

__all__ = [
    "ALWAYS_SEARCH",
    "AUDIO_AS_TEXT",
    "BILLED_AS_REQUESTED",
    "BILLED_BY_THE_HOUR",
    "BILLS_INPUT_ONLY",
    "BILLS_LESS_THAN_TOKENS",
    "CLOSED_MAKERS",
    "FEE_BY_SEARCH_SIZE",
    "FIRST_SEARCHES_FREE",
    "GATEWAYS",
    "GENERIC_CLIENT",
    "INPUT_TOKENS_PER_SEARCH",
    "KNOWN_SELLERS",
    "MIN_BILLED_SECONDS",
    "NOT_SOLD_BY_MAKER",
    "ONE_SEARCH_PER_PROMPT",
    "PAID_BY_THE_HOUR",
    "REASONING_IN_TOTAL_ONLY",
    "ROUTERS",
    "SELLS_FOR",
    "STANDARD_MODIFIERS",
    "STATED_PRECISION_USD",
    "STATES_FREE",
    "provider_id_of",
    "tier_of",
]

#: Providers as LangChain and other tools name them → genai-prices' ids. An id needs no entry.
_PROVIDER_IDS = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "anthropic-bedrock": "aws",
    "anthropic-mantle": "aws",
    "aws-bedrock": "aws",
    "azure-ai": "azure",
    "azure-openai": "azure",
    "azureai": "azure",
    "bedrock": "aws",
    "bedrock-converse": "aws",
    "fireworks-ai": "fireworks",
    "gemini": "google",
    "google-anthropic-vertex": "google",
    "google-genai": "google",
    "google-gemini": "google",
    "google-vertex": "google",
    "google-vertexai": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "openai-mantle": "aws",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "togetherai": "together",
    "vertex-ai": "google",
    "vertexai": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
}

#: Providers that bill by the requested model: only the request has Bedrock's region prefix.
BILLED_AS_REQUESTED = frozenset({"aws"})

#: A client that people point at any server: the model it requests may not be one that OpenAI sells.
GENERIC_CLIENT = "openai"

#: Gateways that take `provider/model` and forward the call to that provider.
GATEWAYS = frozenset({"litellm"})

#: Makers whose models have the maker's price wherever they appear. Anyone may serve other makers' weights at any price.
CLOSED_MAKERS = ("openai", "anthropic", "google", "x-ai")

#: Maker → prefix of models that it does not serve, and that genai-prices lists under it at another seller's price.
NOT_SOLD_BY_MAKER = {"openai": "gpt-oss"}

#: Providers that bill less than they count (`billed_units`).
BILLS_LESS_THAN_TOKENS = frozenset({"cohere"})

#: What the names of OpenAI's models contain that search the web on every request and do not report it.
#: https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat
ALWAYS_SEARCH = ("-search-preview", "-search-api")

#: Prefixes of models whose searches are billed once per prompt, however many there were; later models bill each search.
#: https://ai.google.dev/gemini-api/docs/google-search#pricing
ONE_SEARCH_PER_PROMPT = ("gemini-1", "gemini-2")

#: Providers that do not bill the first searches of a day or a month. No response says how many of those are left.
FIRST_SEARCHES_FREE = frozenset({"google"})

#: Work that is billed by the time it takes, beyond a free allowance. No response says how long it took.
BILLED_BY_THE_HOUR: Mapping[str, str] = {
    "code_execution": "its container is billed by the hour, beyond a free allowance; this cost does not include it",
}

#: Providers whose fee per request depends on the size of the search; the price book has the fee of the largest size.
FEE_BY_SEARCH_SIZE = frozenset({"perplexity"})

#: Seller → the makers whose models it sells at the maker's own price, where the price book names too many: Azure sets
#: its own prices for the models of DeepSeek, xAI and Moonshot.
#: https://azure.microsoft.com/pricing/details/cognitive-services/openai-service/,
#: https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry#pricing
SELLS_FOR: Mapping[str, tuple[str, ...]] = {"azure": ("openai", "anthropic")}

#: Sellers beside those in the price book, with prices of their own or none: servers of open models, clouds, gateways. A
#: word that is in neither is not taken for a provider: the model's name says more.
KNOWN_SELLERS = frozenset(
    [
        "ai21",
        "aihubmix",
        "aimlapi",
        "aleph_alpha",
        "aleph-alpha",
        "anyscale",
        "assemblyai",
        "baichuan",
        "chutes",
        "cline",
        "clova",
        "clovax",
        "clovastudio",
        "coze",
        "crusoe",
        "dashscope",
        "deepgram",
        "deepinfra",
        "dify",
        "digitalocean",
        "edenai",
        "everlyai",
        "featherless",
        "friendli",
        "friendliai",
        "gigachat",
        "github",
        "google_gemma",
        "gpt4all",
        "gradient",
        "helicone",
        "heroku",
        "huggingface",
        "hunyuan",
        "hyperbolic",
        "ibm",
        "inception",
        "inference-net",
        "javelin",
        "jina",
        "jinachat",
        "jllm",
        "kinetica",
        "konko",
        "lambda",
        "litellm",
        "litellm_proxy",
        "llama-cpp",
        "llamacpp",
        "llama_cpp",
        "llama_edge",
        "llamafile",
        "lm_studio",
        "lmstudio",
        "localai",
        "localhost",
        "maritalk",
        "mimo",
        "mixedbread",
        "mlflow",
        "mlx",
        "modelscope",
        "moonshot",
        "morph",
        "naver",
        "nebius",
        "nomic",
        "nscale",
        "nvidia",
        "oci",
        "oci_generative_ai",
        "octoai",
        "ollama",
        "openllm",
        "outlines",
        "parasail",
        "pinecone",
        "poe",
        "poolside",
        "portkey",
        "predibase",
        "pydantic",
        "predictionguard",
        "premai",
        "qianfan",
        "qwen",
        "reka",
        "replicate",
        "runpod",
        "sagemaker",
        "sagemaker_endpoint",
        "sambanova",
        "sap",
        "sarvam",
        "scaleway",
        "sglang",
        "siliconflow",
        "snowflake",
        "solar",
        "sparkllm",
        "stepfun",
        "text-generation-inference",
        "tgi",
        "tongyi",
        "upstage",
        "venice",
        "vercel",
        "vllm",
        "volcengine",
        "volcenginemaas",
        "wandb",
        "watsonx",
        "writer",
        "xinference",
        "yandex",
        "yi",
        "yuan2",
    ]
)

#: Values of the other terms (`modifiers`) at which the list price applies.
STANDARD_MODIFIERS = frozenset({"", "standard", "default", "none", "auto", "normal"})

#: Models for which OpenAI bills each search by its current tool as a fixed number of input tokens, whatever it found.
#: https://developers.openai.com/api/docs/pricing (footnote of the table of tools)
INPUT_TOKENS_PER_SEARCH: Mapping[str, int] = {"gpt-4o-mini": 8_000, "gpt-4.1-mini": 8_000}

#: Part of the name of provisioned capacity, which is paid by the hour, however much it is used.
PAID_BY_THE_HOUR = ":provisioned-model/"

#: Providers that choose the model that answers and bill its price. The requested model says nothing about the price.
ROUTERS = frozenset({"openrouter"})

#: Providers state a cost to at least this precision, in USD; some send it as a binary float.
STATED_PRECISION_USD = Decimal("1e-8")

#: Providers that state a cost of 0 only where the call was free.
STATES_FREE = frozenset({"openrouter", "vercel"})

#: APIs that bill only the input and nothing for the answer.
BILLS_INPUT_ONLY = frozenset({"openai-decisions"})

#: The shortest duration that is billed for a piece of audio, in seconds: https://console.groq.com/docs/speech-to-text
MIN_BILLED_SECONDS: Mapping[str, int] = {"groq": 10}

#: Providers whose list price also applies to audio, unless they list a price for audio.
AUDIO_AS_TEXT = frozenset({"google"})

#: Providers whose OpenAI-compatible endpoint counts reasoning in `total_tokens` only.
REASONING_IN_TOTAL_ONLY = frozenset({"google"})

#: What providers call the tier at which their list price applies. `1` is Vertex AI's TrafficType ON_DEMAND as a number.
_STANDARD_TIERS = frozenset(
    {"", "1", "auto", "default", "none", "on_demand", "standard", "standard_only", "traffic_type_unspecified"}
)


def tier_of(service_tier: str | None) -> str | None:
    """The tier in one spelling, or None for the standard one: Vertex AI says ON_DEMAND_FLEX, OpenAI says flex."""
    tier = (service_tier or "").strip().lower().replace("-", "_")
    if tier in _STANDARD_TIERS:
        return None
    return tier.removeprefix("on_demand_")


def provider_id_of(provider: str) -> str:
    """genai-prices' id of a provider that LangChain or another tool names; an unknown name is kept, in lower case."""
    word = provider.strip().lower()
    return _PROVIDER_IDS.get(word.replace("_", "-"), word)
