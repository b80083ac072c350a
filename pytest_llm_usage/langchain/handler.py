"""`UsageHandler` reports LangChain's runs to a tracker.

It runs inline, so that an async call costs no hop to a thread and the handler runs in the caller's context. What it
raises is raised in the caller, so that a budget can stop a call before it is sent. That is an outcome
exception of pytest's; an internal error is noted and not raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import LLMResult

from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.errors import StoppedInChildError, UpstreamMovedError
from pytest_llm_usage.langchain.frames import looks_into_cache
from pytest_llm_usage.langchain.results import copied, copy_of, end_fields, is_fake, start_fields, states_usage
from pytest_llm_usage.ledger import Status
from pytest_llm_usage.tracker import Callsite, OpenCall, Tracker, current, set_current_call, user_callsite
from pytest_llm_usage.tracker.callsite import shown

__all__ = ["CurrentHandler", "UsageHandler"]

#: Exceptions that end a call from outside, not by a failure of its own.
_ABORTS = (GeneratorExit, asyncio.CancelledError, KeyboardInterrupt)


_Event = TypeVar("_Event", bound=Callable[..., None])


def _harmless(event: _Event) -> _Event:
    """Wraps an event so that an internal error in it is noted and fails no call. For events that never stop a call."""

    @wraps(event)
    def guarded(self: UsageHandler, *args: Any, **kwargs: Any) -> None:
        try:
            event(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 -- any error here is internal
            self.note_fault(event.__name__, error, kwargs.get("parent_run_id"))

    return guarded  # type: ignore[return-value]


class CurrentHandler:
    """Takes the place of a context variable in LangChain's hook: its value is the handler of the current tracker."""

    name = "llm_usage"

    def get(self) -> UsageHandler | None:
        """The handler, or None where no test is running."""
        tracker = current()
        return None if tracker is None else tracker.attached(self.name, UsageHandler)


class UsageHandler(BaseCallbackHandler):
    """Reports LangChain's runs to one tracker."""

    run_inline = True
    raise_error = True
    # Plain values instead of properties, because LangChain reads them at every event.
    ignore_llm = False
    ignore_chat_model = False

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._calls: dict[UUID, OpenCall] = {}
        self._streaming: UUID | None = None
        #: The runs under way whose model is one of LangChain's own fakes.
        self._fakes: set[UUID] = set()
        #: By run: where the user's code started the outermost run around it. The frames of a graph's own tasks and
        #: threads do not lead back there.
        self._callsites: dict[UUID, Callsite | None] = {}

    # Deep copies of configurations (LangGraph, RunnableConfig merging) must keep talking to the same tracker.
    def __copy__(self) -> UsageHandler:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> UsageHandler:
        return self

    def note_fault(
        self, event: str, error: Exception, parent_run_id: UUID | None, call: OpenCall | None = None
    ) -> None:
        """Notes an internal error, with the line that made the call."""
        try:
            # An awaited call ends in a task of its own, with no line of the user's code in its frames.
            known = None if call is None else call.callsite
            callsite = known or user_callsite(in_task=True) or self._callsite(parent_run_id)
            where = "" if callsite is None else f", {shown(callsite, self._tracker.root)}"
        except Exception:  # noqa: BLE001 -- the error may be in finding the line
            where = ""
        self._tracker.note_fault(f"LangChain's event {event}{where}", error)

    # -- the tracker's `Reporter` ------------------------------------------------------------------------------

    @staticmethod
    def add_reported(left: Any, right: Any) -> Any:
        """LangChain's own sum, as its own callback makes it: the first usage as it is, the others added to it."""
        return copied(right) if left is None else add_usage(left, right)

    def may_be_cached(self) -> bool:
        """Whether the model that is starting a run will look the answer up in a cache before it asks its provider."""
        try:
            return looks_into_cache()
        except UpstreamMovedError as error:
            self._tracker.note_fault("LangChain's cache", error)
            return False

    # -- starts ------------------------------------------------------------------------------------------------

    @_harmless
    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_callsite(run_id, parent_run_id)

    @_harmless
    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_callsite(run_id, parent_run_id)

    @_harmless
    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """Notes where a run began, for the calls made in it."""
        self._note_callsite(run_id, parent_run_id)

    def _note_callsite(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        if parent_run_id in self._callsites:
            self._callsites[run_id] = self._callsites[parent_run_id]
        else:
            self._callsites[run_id] = user_callsite()

    def _callsite(self, parent_run_id: UUID | None) -> Callsite | None:
        """Where the user's code started the outermost run, else the line that leads here.

        In a library's own task that line would only be the one that runs the event loop.
        """
        return self._callsites.get(cast("UUID", parent_run_id)) or user_callsite()

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
        """Notes that a model is about to be called. Raises what the tracker raises to stop the call."""
        try:
            # Skips at least LangChain's frames: its event handling, the callback manager, and the model's method.
            callsite = user_callsite(skip=4, in_task=True) or self._callsite(parent_run_id)
            fields = partial(start_fields, tags, metadata or {}, invocation_params or {})
            # The runs of one `generate` share the very object that holds their options.
            batch = options if batch_size > 1 else None
            call = self._tracker.start(self, run_id, callsite, fields, batch)
            self._calls[run_id] = call
            if is_fake(serialized, invocation_params):
                self._fakes.add(run_id)
            self._streaming = None  # the user may give one id to several runs
            set_current_call(call)
        except StoppedInChildError:
            raise
        except Exception as error:  # noqa: BLE001 -- as in `_harmless`, without the cost of its extra function call
            self.note_fault("on_chat_model_start", error, parent_run_id)

    on_llm_start = on_chat_model_start  # type: ignore[assignment] # the same for completion models

    # -- tokens and ends ---------------------------------------------------------------------------------------

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
        """Notes that a piece of an answer came: the call is a stream."""
        # Most often this is one more piece of the same run; looking a UUID up takes longer than all the rest.
        if run_id is not self._streaming:
            self._streaming = run_id
            if (call := self._calls.get(run_id)) is not None:
                call.streamed = True

    on_stream_event = on_llm_new_token  # type: ignore[assignment] # the same in the protocol of `stream_events(version="v3")`

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any) -> None:
        """Notes that a call ended, and what LangChain says it used."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        try:
            result = copy_of(response)
            if call.batch is not None and not states_usage(result) and self._is_part_of_batch(response, call):
                self._tracker.drop(call)
            else:
                self._tracker.end(call, partial(end_fields, result, fake=run_id in self._fakes))
        except Exception as error:  # noqa: BLE001 -- as above
            self.note_fault("on_llm_end", error, parent_run_id, call)

    def _is_part_of_batch(self, response: LLMResult, call: OpenCall) -> bool:
        """Whether the usage of this prompt was reported with another's.

        A completion model sends several prompts as one request; LangChain gives the first its whole usage and the
        others an empty `token_usage`, so that nothing is counted twice. One request is one call.
        """
        if (response.llm_output or {}).get("token_usage") != {}:
            return False
        return any(other.end_fields is not None for other in self._tracker.siblings(call))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any) -> None:
        """Notes that a call failed, or was abandoned half-way."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        try:
            status: Status = "error"
            note = mask_text(f"{type(error).__name__}: {error}").splitlines()[0][:200]
            if isinstance(error, _ABORTS):
                status, note = "aborted", "abandoned before its usage came" if call.streamed else "cancelled"
            elif call.streamed:
                status, note = "aborted", f"broke off half-way: {note}"
            self._tracker.end(call, {"status": status, "note": note})
        except Exception as mistake:  # noqa: BLE001 -- as above
            self.note_fault("on_llm_error", mistake, parent_run_id, call)
