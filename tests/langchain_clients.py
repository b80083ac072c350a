"""LangChain's chat models, built so that their requests go where a recording says that they went.

Each builder takes an `Endpoint` and gives the model; `chat_model` keeps one model per endpoint, because building a client
(a TLS context, a botocore service model) costs far more than replaying a call through it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

#: No request leaves the process; the clients only insist on having something to send.
_DUMMY_KEY = "dummy-key"


@dataclass(frozen=True)
class Endpoint:
    """Where a recorded call went, and which client goes there.

    Attributes:
        client: Name of the LangChain class.
        api_flavour: The wire format that the recording speaks (`openai-chat`, `openai-responses` …).
        url: The recorded URL; without scheme and host where it was redacted.
        model: The model as the client is to ask for it.
    """

    client: str
    api_flavour: str
    url: str
    model: str

    @property
    def has_host(self) -> bool:
        """Whether the recorded URL still names a host that a client can be pointed at."""
        # Placeholders of redacted recordings: `https://bedrock-runtime.<AWS_REGION>.amazonaws.com/…`.
        return self.url.startswith(("http://", "https://")) and "<" not in urlsplit(self.url).netloc

    @property
    def has_route(self) -> bool:
        """Whether the recorded path is one that this client can ask for."""
        return self.url.startswith(("http://", "https://")) and _route(self) in self.path

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        return plain_path(self.url)

    def base_url(self) -> str | None:
        """The recorded URL up to the route that the client itself appends; None leaves the client its default."""
        if not self.has_host:
            return None
        return self.origin + self.path.removesuffix(_route(self)) if self.has_route else self.origin

    def base_url_option(self) -> dict[str, str]:
        """`base_url` for clients that take no None for it."""
        base_url = self.base_url()
        return {} if base_url is None else {"base_url": base_url}


def plain_path(url: str) -> str:
    """The path of `url`, unquoted: clients differ in whether they quote the colon of a model's version."""
    return unquote(urlsplit(url).path).replace("//", "/")


#: What a client appends to its base URL (or, for those that build the whole path, what marks it).
_ROUTES = {
    "AzureChatOpenAI": "/openai/deployments/",
    "ChatAnthropic": "/v1/messages",
    "ChatBedrock": "/model/",
    "ChatBedrockConverse": "/model/",
    "ChatCohere": "/v2/chat",
    "ChatGoogleGenerativeAI": "/models/",
    "ChatGroq": "/openai/v1/chat/completions",
    "ChatOllama": "/api/chat",
}


def _route(endpoint: Endpoint) -> str:
    if endpoint.api_flavour == "openai-responses":
        return "/responses"
    return _ROUTES.get(endpoint.client, "/chat/completions")


def _chat_openai(endpoint: Endpoint) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=endpoint.model,
        api_key=_DUMMY_KEY,
        base_url=endpoint.base_url(),
        use_responses_api=endpoint.api_flavour == "openai-responses",
        stream_usage=True,
        max_retries=0,
    )


def _azure_chat_openai(endpoint: Endpoint) -> Any:
    from langchain_openai import AzureChatOpenAI

    resource, deployments, rest = endpoint.path.partition("/openai/deployments/")
    return AzureChatOpenAI(
        model=endpoint.model,
        api_key=_DUMMY_KEY,
        api_version="2024-10-21",
        azure_endpoint=(endpoint.origin if endpoint.has_host else "https://redacted.openai.azure.com")
        + (resource if deployments else ""),
        azure_deployment=rest.partition("/")[0] if deployments else None,
        use_responses_api=endpoint.api_flavour == "openai-responses",
        stream_usage=True,
        max_retries=0,
    )


def _chat_anthropic(endpoint: Endpoint) -> Any:
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model=endpoint.model, api_key=_DUMMY_KEY, max_retries=0, **endpoint.base_url_option())


def _chat_google(endpoint: Endpoint) -> Any:
    from langchain_google_genai import ChatGoogleGenerativeAI

    # `…/v1beta/models/M:generateContent`, or `…/v1/projects/P/locations/L/publishers/google/models/M:generateContent`.
    prefix, _, _ = endpoint.path.partition("/models/")
    options: dict[str, Any] = {"google_api_key": _DUMMY_KEY}
    if "/projects/" in prefix:
        from google.oauth2.credentials import Credentials

        prefix, _, resource = prefix.partition("/projects/")
        project, _, resource = resource.partition("/locations/")
        location = resource.partition("/")[0]
        options = {
            "vertexai": True,
            "credentials": Credentials(token=_DUMMY_KEY),
            "project": project,
            "location": location,
        }
    gateway, _, api_version = prefix.rpartition("/")
    if endpoint.has_host:
        options["base_url"] = endpoint.origin + gateway
        options["api_version"] = api_version
    # The client counts attempts, not retries.
    return ChatGoogleGenerativeAI(model=endpoint.model, max_retries=1, **options)


@functools.cache
def _bedrock_runtime(endpoint_url: str | None) -> Any:
    """botocore builds a client in a quarter of a second and keeps it in many objects: one for all models of a host."""
    import boto3

    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=endpoint_url,
        aws_access_key_id=_DUMMY_KEY,
        aws_secret_access_key=_DUMMY_KEY,
    )


def _aws_options(endpoint: Endpoint) -> dict[str, Any]:
    client = _bedrock_runtime(endpoint.origin if endpoint.has_host else None)
    # The second one is for looking inference profiles up, which no recorded call needs.
    return {"client": client, "bedrock_client": client, "region_name": "us-east-1"}


def _chat_bedrock_converse(endpoint: Endpoint) -> Any:
    from langchain_aws import ChatBedrockConverse

    # LangChain turns streaming off for models it does not know to stream; these did.
    return ChatBedrockConverse(model=endpoint.model, disable_streaming=False, **_aws_options(endpoint))


def _chat_bedrock(endpoint: Endpoint) -> Any:
    from langchain_aws import ChatBedrock

    # An id without a provider's prefix (`anthropic.claude…`) leaves LangChain guessing; Nova would go to Converse.
    provider = {} if "." in endpoint.model else {"provider": "anthropic"}
    return ChatBedrock(model=endpoint.model, beta_use_converse_api=False, **provider, **_aws_options(endpoint))


def _chat_groq(endpoint: Endpoint) -> Any:
    from langchain_groq import ChatGroq

    return ChatGroq(
        model=endpoint.model,
        api_key=_DUMMY_KEY,
        base_url=endpoint.base_url(),
        max_retries=0,
    )


def _chat_openrouter(endpoint: Endpoint) -> Any:
    from langchain_openrouter import ChatOpenRouter

    return ChatOpenRouter(model=endpoint.model, api_key=_DUMMY_KEY, base_url=endpoint.base_url(), max_retries=0)


def _chat_mistral(endpoint: Endpoint) -> Any:
    from langchain_mistralai import ChatMistralAI

    return ChatMistralAI(model=endpoint.model, api_key=_DUMMY_KEY, base_url=endpoint.base_url(), max_retries=0)


def _chat_cohere(endpoint: Endpoint) -> Any:
    from langchain_cohere import ChatCohere

    return ChatCohere(model=endpoint.model, cohere_api_key=_DUMMY_KEY, base_url=endpoint.base_url())


def _chat_xai(endpoint: Endpoint) -> Any:
    from langchain_xai import ChatXAI

    return ChatXAI(
        model=endpoint.model,
        api_key=_DUMMY_KEY,
        use_responses_api=endpoint.api_flavour == "openai-responses",
        max_retries=0,
        **endpoint.base_url_option(),
    )


def _chat_deepseek(endpoint: Endpoint) -> Any:
    from langchain_deepseek import ChatDeepSeek

    return ChatDeepSeek(model=endpoint.model, api_key=_DUMMY_KEY, max_retries=0, **endpoint.base_url_option())


def _chat_ollama(endpoint: Endpoint) -> Any:
    from langchain_ollama import ChatOllama

    return ChatOllama(model=endpoint.model, base_url=endpoint.base_url())


def _chat_perplexity(endpoint: Endpoint) -> Any:
    from langchain_perplexity import ChatPerplexity

    # The class offers no base URL: it goes to the provider's own.
    return ChatPerplexity(model=endpoint.model, api_key=_DUMMY_KEY, max_retries=0)


_BUILDERS: dict[str, Callable[[Endpoint], Any]] = {
    "AzureChatOpenAI": _azure_chat_openai,
    "ChatAnthropic": _chat_anthropic,
    "ChatBedrock": _chat_bedrock,
    "ChatBedrockConverse": _chat_bedrock_converse,
    "ChatCohere": _chat_cohere,
    "ChatDeepSeek": _chat_deepseek,
    "ChatGoogleGenerativeAI": _chat_google,
    "ChatGroq": _chat_groq,
    "ChatMistralAI": _chat_mistral,
    "ChatOllama": _chat_ollama,
    "ChatOpenAI": _chat_openai,
    "ChatOpenRouter": _chat_openrouter,
    "ChatPerplexity": _chat_perplexity,
    "ChatXAI": _chat_xai,
}


@functools.cache
def chat_model(endpoint: Endpoint) -> Any:
    """The LangChain chat model that calls `endpoint`."""
    return _BUILDERS[endpoint.client](endpoint)
