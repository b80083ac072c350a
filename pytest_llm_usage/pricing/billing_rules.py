"""Who sells a model: providers and service tiers in one spelling, and how a provider's billing differs from others'."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

__all__ = [
    "ALWAYS_SEARCH",
    "AUDIO_AS_TEXT",
    "BILLED_AS_REQUESTED",
    "BILLED_BY_THE_HOUR",
    "BILLS_INPUT_ALONE",
    "BILLS_LESS_THAN_TOKENS",
    "CLOSED_MAKERS",
    "FEE_BY_SEARCH_SIZE",
    "GATEWAYS",
    "KNOWN_SELLERS",
    "LEAST_SECONDS",
    "NOT_SOLD_BY_MAKER",
    "PAID_BY_THE_HOUR",
    "POINTED_ANYWHERE",
    "REASONING_IN_TOTAL_ONLY",
    "ROUTERS",
    "SEARCHES_A_FIXED_INPUT",
    "SEARCHES_FREE_AT_FIRST",
    "SEARCH_ONCE_A_PROMPT",
    "SELLS_FOR",
    "STANDARD_MODIFIERS",
    "STATED_TO_USD",
    "STATES_FREE",
    "provider_id_of",
    "tier_of",
]

#: Providers in LangChain's words (and those of other tools) → genai-prices' ids; ids stand for themselves.
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

#: Providers that bill by the model that was asked for: Bedrock's region prefix stands only there.
BILLED_AS_REQUESTED = frozenset({"aws"})

#: A client that is pointed at many a server: what it asks for need not be what its namesake sells.
POINTED_ANYWHERE = "openai"

#: Gateways that take `provider/model` and ask that provider.
GATEWAYS = frozenset({"litellm"})

#: Makers whose models have their price wherever a name of theirs is met; others' weights anyone may serve at any price.
CLOSED_MAKERS = ("openai", "anthropic", "google", "x-ai")

#: Beginnings of models that genai-prices lists under a maker who does not serve them, at the price of somebody else.
NOT_SOLD_BY_MAKER = {"openai": "gpt-oss"}

#: Providers that bill less than they count (`billed_units`).
BILLS_LESS_THAN_TOKENS = frozenset({"cohere"})

#: Models of OpenAI's that search the web at every request, and do not say so.
#: https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat
ALWAYS_SEARCH = ("-search-preview", "-search-api")

#: Models whose searches are billed as one a prompt, however many there were; later ones bill each.
#: https://ai.google.dev/gemini-api/docs/google-search#pricing
SEARCH_ONCE_A_PROMPT = ("gemini-1", "gemini-2")

#: Providers that do not bill the first searches of a day or a month; how many are left, no answer tells.
SEARCHES_FREE_AT_FIRST = frozenset({"google"})

#: Work that is billed by the time it takes, beyond what is free, and whose time no answer tells.
BILLED_BY_THE_HOUR: Mapping[str, str] = {
    "code_execution": "its container is billed by the hour, beyond what is free, which is not in this cost",
}

#: Providers whose fee per request depends on the size of the search; the price book has that of the largest.
FEE_BY_SEARCH_SIZE = frozenset({"perplexity"})

#: Makers whose models a seller sells at the maker's own price, where that is not all that the price book names. Azure sets
#: its own prices for DeepSeek's, xAI's and Moonshot's.
#: https://azure.microsoft.com/pricing/details/cognitive-services/openai-service/,
#: https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry#pricing
SELLS_FOR: Mapping[str, tuple[str, ...]] = {"azure": ("openai", "anthropic")}

#: Who serves models at prices of their own (or of nobody), beside those in the price book: servers of open models, clouds,
#: gateways. A word that is neither here nor there is no provider; whoever wrote it, the model's name says more.
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

#: Values of further terms at which the list price holds.
STANDARD_MODIFIERS = frozenset({"", "standard", "default", "none", "auto", "normal"})

#: Models whose searches by OpenAI's present tool are billed as a fixed number of input tokens each, whatever was found.
#: https://developers.openai.com/api/docs/pricing (footnote of the table of tools)
SEARCHES_A_FIXED_INPUT: Mapping[str, int] = {"gpt-4o-mini": 8_000, "gpt-4.1-mini": 8_000}

#: What the name of capacity looks like that is paid by the hour, whatever it is used for.
PAID_BY_THE_HOUR = ":provisioned-model/"

#: Providers that answer with another model than the one asked for, at its price; nothing follows from what was asked for.
ROUTERS = frozenset({"openrouter"})

#: How exactly providers state a cost, at least: what a binary float holds of it.
STATED_TO_USD = Decimal("1e-8")

#: Providers that state a cost of 0 only where the call was free.
STATES_FREE = frozenset({"openrouter", "vercel"})

#: APIs that bill nothing of what they answer.
BILLS_INPUT_ALONE = frozenset({"openai-decisions"})

#: The least that is billed of a piece of sound, in seconds: https://console.groq.com/docs/speech-to-text
LEAST_SECONDS: Mapping[str, int] = {"groq": 10}

#: Providers whose list price holds for audio too unless they list one for it.
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
    """genai-prices' id of a provider in LangChain's or another tool's words; a word it does not know stands as it is."""
    word = provider.strip().lower()
    return _PROVIDER_IDS.get(word.replace("_", "-"), word)
