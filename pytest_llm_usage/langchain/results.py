"""Reads the fields of `Call` from what LangChain says at a call's start and end, wherever an integration put them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from langchain_core.outputs import LLMResult

from pytest_llm_usage.billing import BY_TOKENS, Billing
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.ledger import Status
from pytest_llm_usage.text import printable
from pytest_llm_usage.usage import CACHE_LIFETIMES, TokenUsage, count, no_count_in

__all__ = ["ResultCopy", "copied", "copy_of", "end_fields", "is_fake", "start_fields", "states_usage"]

#: `UsageMetadata`, response metadata, `llm_output`, generation info and the message's id.
ResultCopy: TypeAlias = tuple[dict[str, Any] | None, dict[str, Any], dict[str, Any], dict[str, Any], object]


def start_fields(tags: list[str] | None, metadata: Mapping[str, Any], invocation: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Call` that are known at the start of a run."""
    return {
        "provider": _first(metadata, "ls_provider"),
        "requested_model": _first(metadata, "ls_model_name")
        or _first(invocation, "model", "model_name", "model_id", "azure_deployment"),
        "node": _first(metadata, "langgraph_node"),
        "tags": tuple(map(str, tags or ())),  # LangChain accepts any value
    }


def copy_of(response: LLMResult) -> ResultCopy:
    """A copy of what the end of a run reported, which the code under test cannot change through its message."""
    generations = response.generations
    generation = generations[0][0] if generations and generations[0] else None
    message = getattr(generation, "message", None)
    reported = getattr(message, "usage_metadata", None)  # only answers have it
    metadata = getattr(message, "response_metadata", None)
    message_id = getattr(message, "id", None)
    if reported and metadata and metadata.get("model_name"):
        # LangChain has merged the other places into these.
        return copied(reported), copied(metadata), {}, {}, message_id
    generation_info = getattr(generation, "generation_info", None)
    llm_output = response.llm_output
    return (
        copied(reported) if reported else None,
        copied(metadata) if metadata else {},
        copied(llm_output) if llm_output else {},
        copied(generation_info) if generation_info else {},
        message_id,
    )


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as deep as usage is nested; `copy.deepcopy` would take longer than all the rest."""
    copy = dict(values)
    for key, value in values.items():
        if isinstance(value, dict):
            copy[key] = copied(value)
    return copy


#: The `_type` of LangChain's own fake models, and of classes derived from them. Read in langchain-core 1.7.2.
_FAKES = frozenset(
    (
        "fake-list",
        "fake-messages-list-chat-model",
        "fake-list-chat-model",
        "fake-chat-model",
        "generic-fake-chat-model",
        "parrot-fake-chat-model",
    )
)
#: Those of them that people also give to their own classes, which may call a provider.
_COMMON_NAMES = frozenset(("fake-list", "fake-chat-model"))


def is_fake(serialized: Mapping[str, Any] | None, invocation: Mapping[str, Any] | None) -> bool:
    """Whether a run is of one of LangChain's own fake models, by its class and the parameters of the model."""
    kind = None if invocation is None else invocation.get("_type")
    if kind not in _FAKES:
        return False
    return kind not in _COMMON_NAMES or (serialized or {}).get("id", [""])[:1] == ["langchain_core"]


_SHOWN_CHARS = 100


def end_fields(result: ResultCopy, *, fake: bool = False) -> dict[str, Any]:
    """The fields of `Call` that the end of a run reports."""
    reported, metadata, llm_output, generation_info, message_id = result
    model = tier = None
    for mapping in (metadata, llm_output, generation_info):
        model = model or _first(mapping, "model_name", "model", "model_id")
        tier = tier or _first(mapping, "service_tier")
    if tier is None and isinstance(in_metadata := metadata.get("usage"), dict):
        tier = _first(in_metadata, "service_tier")
    values: dict[str, Any] = {"response_id": _response_id(metadata, message_id)}
    if model:
        values["model"] = model  # if not, the model that was asked for stays
    status: Status
    if reported is None:
        usage = _usage_elsewhere(metadata, llm_output, generation_info)
        status = "ok" if usage is not None else "fake" if fake else "no_usage"
    else:
        usage, tier_in_keys = TokenUsage.from_langchain(reported)
        tier = tier_in_keys or tier
        if (where := no_count_in(reported)) is None:
            status, values["_reported"] = "ok", reported
        else:
            # The name may be an integration's own.
            shown = printable(mask_text(where))[:_SHOWN_CHARS]
            is_there = "." in where or reported.get(where) is not None
            said = "is not a number of tokens" if is_there else "is missing"
            status, usage, values["note"] = "no_usage", None, f"LangChain's {shown} {said}"
            if not is_there:
                values["_reported"] = reported  # LangChain's own callback keeps it, too
        values["_reported_model"] = _first(metadata, "model_name")
        if reported.get("total_cost") == 0:
            # LangChain marks an answer of its own cache so: no provider was asked, and nothing was spent.
            status = "cached"
    values |= {"usage": usage, "status": status, "billing": Billing(service_tier=tier) if tier else BY_TOKENS}
    return values


def states_usage(result: ResultCopy) -> bool:
    """Whether the integration reported the tokens anywhere."""
    reported, *mappings, _ = result
    return reported is not None or _usage_elsewhere(*mappings) is not None


def _response_id(metadata: Mapping[str, Any], message_id: object) -> str | None:
    own = _first(metadata, "id")
    if own:
        return own
    # LangChain makes an id from the run's if the provider gave none.
    if isinstance(message_id, str) and message_id and not message_id.startswith(("run-", "lc_run-")):
        return message_id
    return None


def _first(values: Mapping[str, Any], *keys: str) -> str | None:
    """The first text that is there and not empty."""
    for key in keys:
        if isinstance(value := values.get(key), str) and value:
            return value
    return None


#: The keys that integrations use for usage when it is not in the message's `usage_metadata`.
_USAGE_KEYS = ("token_usage", "usage", "usage_metadata")


def _usage_elsewhere(*mappings: Mapping[str, Any]) -> TokenUsage | None:
    for mapping in mappings:
        for key in _USAGE_KEYS:
            values = _members(mapping.get(key))
            if values is not None and (usage := _usage(values)) is not None:
                return usage
    return None


def _members(value: object) -> Mapping[str, Any] | None:
    """The members of a mapping, or of an object of a provider's SDK; None if `value` is neither."""
    members = value if isinstance(value, Mapping) else getattr(value, "__dict__", None)
    return members if isinstance(members, Mapping) else None


def _usage(values: Mapping[str, Any]) -> TokenUsage | None:
    """Usage in OpenAI's terms (`prompt_tokens` …) or in Anthropic's (`input_tokens` …, cached tokens counted apart).

    None if only one half is there, because the whole is then not known, or if a detail is not a count.
    """
    prompt, completion = count(values.get("prompt_tokens")), count(values.get("completion_tokens"))
    if prompt is not None and completion is not None:
        inputs = _details(values.get("prompt_tokens_details"), cache_read="cached_tokens", audio="audio_tokens")
        outputs = _details(values.get("completion_tokens_details"), reasoning="reasoning_tokens", audio="audio_tokens")
        if inputs is None or outputs is None:
            return None
        return TokenUsage.from_counts(
            prompt,
            completion,
            total_tokens=count(values.get("total_tokens")),
            input_token_details=inputs,
            output_token_details=outputs,
        )
    sent, received = count(values.get("input_tokens")), count(values.get("output_tokens"))
    if sent is None or received is None:
        return None
    if "input_token_details" in values or "total_tokens" in values:
        return None if no_count_in(values) else TokenUsage.from_langchain(values)[0]
    cached = _details(values, cache_read="cache_read_input_tokens", cache_creation="cache_creation_input_tokens")
    lifetimes = _details(values.get("cache_creation"), **{key: key for key in CACHE_LIFETIMES})
    if cached is None or lifetimes is None:
        return None
    cached |= lifetimes
    return TokenUsage.from_counts(
        sent + cached.get("cache_read", 0) + cached.get("cache_creation", 0),
        received,
        input_token_details=cached,
    )


def _details(values: object, **keys: str) -> dict[str, int] | None:
    """The counts that are there, by name; None if one of them is not a count."""
    members = _members(values) or {}
    counts = {name: count(value) for name, key in keys.items() if (value := members.get(key)) is not None}
    return None if None in counts.values() else cast("dict[str, int]", counts)
