"""LangChain's events → calls. The only module that knows langchain_core; it is imported when the code under test does.

One configure hook serves the whole process: LangChain asks `_CurrentHandler.get()` for a handler whenever it configures
callbacks, and gets that of the test that is running. `get_usage_metadata_callback` registers one more hook, for ever,
each time it is used.

The handler runs inline, so that an async call costs no hop to a thread and its context is the caller's, and what it
raises is raised in the caller, so that a budget can stop a call before it is sent.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from types import FrameType
from typing import Any, TypeAlias, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import LLMResult
from langchain_core.tracers.context import register_configure_hook

from pytest_llm_usage.billing import Billing
from pytest_llm_usage.ledger import Status
from pytest_llm_usage.tracker import Callsite, OpenCall, Tracker, current, current_call, user_callsite
from pytest_llm_usage.usage import CACHE_LIFETIMES, TokenUsage, count

__all__ = ["UsageHandler"]

#: `UsageMetadata`, response metadata, `llm_output`, generation info and the message's id.
_Kept: TypeAlias = tuple[dict[str, Any] | None, dict[str, Any], dict[str, Any], dict[str, Any], object]

#: What ends a call from outside rather than by a failure of its own.
_ABORTS = (GeneratorExit, asyncio.CancelledError, KeyboardInterrupt)


class _CurrentHandler:
    """Stands where LangChain expects a context variable: its value is the handler of the current tracker."""

    name = "llm_usage"

    def get(self) -> UsageHandler | None:
        tracker = current()
        return None if tracker is None else tracker.handler or _handler_of(tracker)


def _handler_of(tracker: Tracker) -> UsageHandler:
    tracker.handler = handler = UsageHandler(tracker)
    tracker.add_reported = _added
    tracker.may_be_cached = _may_be_cached
    return handler


def _added(left: Any, right: Any) -> Any:
    # As LangChain's own callback files it: the first as it is, the others added to it.
    return _copied(right) if left is None else add_usage(left, right)


class UsageHandler(BaseCallbackHandler):
    """Tells one tracker of LangChain's runs."""

    run_inline = True
    raise_error = True
    # Plain values in the place of properties, which LangChain asks at every event.
    ignore_llm = False
    ignore_chat_model = False

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._calls: dict[UUID, OpenCall] = {}
        self._streaming: UUID | None = None
        #: Where the user's code started the outermost run that a run belongs to: the frames of a graph's own tasks and
        #: threads do not lead back to it.
        self._origins: dict[UUID, Callsite | None] = {}

    # Deep copies of configurations (LangGraph, RunnableConfig merging) must keep talking to the same tracker.
    def __copy__(self) -> UsageHandler:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> UsageHandler:
        return self

    # -- starts ------------------------------------------------------------------------------------------------

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_origin(run_id, parent_run_id)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_origin(run_id, parent_run_id)

    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_origin(run_id, parent_run_id)

    def _note_origin(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        if parent_run_id in self._origins:
            self._origins[run_id] = self._origins[parent_run_id]
        else:
            self._origins[run_id] = user_callsite()

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        invocation_params: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        batch_size: int = 1,
        **_: Any,
    ) -> None:
        """A model is about to be called. Raises what the tracker raises to stop it."""
        # LangChain's, at least: what handles the event, the callback manager, and the model's method.
        place = user_callsite(skip=4) or self._origins.get(cast("UUID", parent_run_id))
        about = partial(_begun, tags, metadata or {}, invocation_params or {})
        # The runs of one `generate` share the very object that holds their options.
        batch = options if batch_size > 1 else None
        call = self._tracker.start(run_id, place, about, batch)
        self._calls[run_id] = call
        self._streaming = None  # the user may give one id to several runs
        current_call.set(call)

    on_llm_start = on_chat_model_start  # type: ignore[assignment] # the same for completion models

    # -- what comes in between, and ends -----------------------------------------------------------------------

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
        """A piece of an answer came: the call is a stream."""
        # Most often one more piece of the same; looking a UUID up takes longer than all else here.
        if run_id is not self._streaming:
            self._streaming = run_id
            if (call := self._calls.get(run_id)) is not None:
                call.streamed = True

    on_stream_event = on_llm_new_token  # type: ignore[assignment] # the same in the protocol of `stream_events(version="v3")`

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call ended: what LangChain says it used."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        kept = _kept(response)
        if call.batch is not None and _usage_of(kept) is None and self._is_part_of_batch(response, call):
            self._tracker.drop(call)
        else:
            self._tracker.end(call, partial(_values, kept))

    def _is_part_of_batch(self, response: LLMResult, call: OpenCall) -> bool:
        """Whether the usage of this prompt was told with another's.

        A completion model sends several prompts as one request; LangChain gives the first its whole usage and the
        others an empty `token_usage`, so that nothing is counted twice. One request is one call.
        """
        if (response.llm_output or {}).get("token_usage") != {}:
            return False
        return any(other.ended is not None for other in self._tracker.siblings(call))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call failed, or was abandoned half-way."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        status: Status = "error"
        note = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        if isinstance(error, _ABORTS):
            status, note = "aborted", "abandoned before its usage came" if call.streamed else "cancelled"
        elif call.streamed:
            status, note = "aborted", f"broke off half-way: {note}"
        self._tracker.end(call, {"status": status, "note": note})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _may_be_cached() -> bool:
    """Whether the model that is starting a run will look for the answer in a cache before it asks its provider.

    LangChain tells of a run before it looks, and does not say so; only its own frame knows the model.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        model = frame.f_locals.get("self")
        if isinstance(model, BaseLanguageModel):
            return bool(get_llm_cache() is not None if model.cache is None else model.cache)
        frame = frame.f_back
    return get_llm_cache() is not None


def _begun(tags: list[str] | None, metadata: Mapping[str, Any], invocation: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Call` that the start of a run tells."""
    requested = (
        metadata.get("ls_model_name"),
        *(invocation.get(key) for key in ("model", "model_name", "model_id", "azure_deployment")),
    )
    return {
        "provider": _text(metadata.get("ls_provider")),
        "requested_model": next((name for name in map(_text, requested) if name), None),
        "node": _text(metadata.get("langgraph_node")),
        "tags": tuple(tags or ()),
    }


def _kept(response: LLMResult) -> _Kept:
    """What the end of a run told, copied: what the code under test does with its message afterwards changes nothing."""
    generations = response.generations
    generation = generations[0][0] if generations and generations[0] else None
    message = getattr(generation, "message", None)
    reported = getattr(message, "usage_metadata", None)  # of answers alone
    metadata = getattr(message, "response_metadata", None)
    message_id = getattr(message, "id", None)
    if reported and metadata and metadata.get("model_name"):
        # LangChain has put together there what it was told elsewhere.
        return _copied(reported), _copied(metadata), {}, {}, message_id
    generation_info = getattr(generation, "generation_info", None)
    llm_output = response.llm_output
    return (
        _copied(reported) if reported else None,
        _copied(metadata) if metadata else {},
        _copied(llm_output) if llm_output else {},
        _copied(generation_info) if generation_info else {},
        message_id,
    )


def _copied(told: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as deep as usage goes: `copy.deepcopy` takes longer than all the rest."""
    copy = dict(told)
    for key, value in told.items():
        if isinstance(value, dict):
            copy[key] = _copied(value)
    return copy


def _values(kept: _Kept) -> dict[str, Any]:
    """The fields of `Call` that the end of a run told."""
    reported, metadata, llm_output, generation_info, message_id = kept
    places = (metadata, llm_output, generation_info)
    model = next(filter(None, (_first(place, "model_name", "model", "model_id") for place in places)), None)
    usage_there = metadata.get("usage")
    tier = next(
        filter(None, (_first(place, "service_tier") for place in (*places, usage_there) if isinstance(place, dict))),
        None,
    )
    values: dict[str, Any] = {
        "response_id": _response_id(metadata, message_id),
        "billing": Billing(service_tier=tier),
        "usage": _usage_of(kept),
    }
    if model:
        values["model"] = model  # else what was asked for stands
    status: Status = "ok" if values["usage"] is not None else "no_usage"
    if reported is not None:
        values["_reported"] = reported
        values["_reported_model"] = _text(metadata.get("model_name"))
        values["billing"] = Billing(service_tier=TokenUsage.from_langchain(reported)[1] or tier)
        if reported.get("total_cost") == 0:
            # How LangChain marks an answer of its own cache: nobody was asked, nothing was spent.
            status = "cached"
    return values | {"status": status}


def _usage_of(kept: _Kept) -> TokenUsage | None:
    """The tokens, from wherever the integration put them."""
    reported, *places, _ = kept
    if reported is not None:
        return TokenUsage.from_langchain(reported)[0]
    return _usage_elsewhere(*places)


def _response_id(metadata: Mapping[str, Any], message_id: object) -> str | None:
    own = _first(metadata, "id")
    if own:
        return own
    # LangChain makes up an id from the run's where the provider gave none.
    given = _text(message_id)
    return given if given and not given.startswith(("run-", "lc_run-")) else None


def _first(told: Mapping[str, Any], *keys: str) -> str | None:
    return next((value for key in keys if (value := _text(told.get(key)))), None)


#: Where usage stands when it is not in `usage_metadata`: the keys integrations use for it.
_USAGE_KEYS = ("token_usage", "usage", "usage_metadata")


def _usage_elsewhere(*places: Mapping[str, Any]) -> TokenUsage | None:
    for place in places:
        for key in _USAGE_KEYS:
            told = place.get(key)
            if told is not None and not isinstance(told, Mapping):
                told = getattr(told, "__dict__", None)
            if isinstance(told, Mapping) and (usage := _usage(told)) is not None:
                return usage
    return None


def _usage(told: Mapping[str, Any]) -> TokenUsage | None:
    """Usage in OpenAI's words (`prompt_tokens` …) or in Anthropic's (`input_tokens` …, cached tokens told apart).

    Where just one half is told the other is not known, and so the whole is not.
    """
    prompt, completion = count(told.get("prompt_tokens")), count(told.get("completion_tokens"))
    if prompt is not None and completion is not None:
        inputs = _details(told.get("prompt_tokens_details"), cache_read="cached_tokens", audio="audio_tokens")
        outputs = _details(told.get("completion_tokens_details"), reasoning="reasoning_tokens", audio="audio_tokens")
        return TokenUsage.of(
            prompt,
            completion,
            total_tokens=count(told.get("total_tokens")),
            input_token_details=inputs,
            output_token_details=outputs,
        )
    sent, received = count(told.get("input_tokens")), count(told.get("output_tokens"))
    if sent is None or received is None:
        return None
    if "input_token_details" in told or "total_tokens" in told:
        return TokenUsage.from_langchain(told)[0]
    cached = _details(told, cache_read="cache_read_input_tokens", cache_creation="cache_creation_input_tokens")
    cached |= _details(told.get("cache_creation"), **{key: key for key in CACHE_LIFETIMES})
    return TokenUsage.of(
        sent + cached.get("cache_read", 0) + cached.get("cache_creation", 0),
        received,
        input_token_details=cached,
    )


def _details(told: object, **keys: str) -> dict[str, int]:
    if not isinstance(told, Mapping):
        return {}
    return {name: value for name, key in keys.items() if (value := count(told.get(key))) is not None}


# Once for the process: LangChain's list of hooks has no way to ask or to remove. Importing this module is what attaches.
register_configure_hook(cast("Any", _CurrentHandler()), inheritable=True)
