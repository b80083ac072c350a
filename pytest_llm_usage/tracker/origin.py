"""`Origin`: what a `Call` is made from, LangChain's call, the response on the wire or both (`reconcile` pairs them)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.billing import Billing
from pytest_llm_usage.credentials.mask import mask_id, mask_name
from pytest_llm_usage.input_by_part import InputByPart
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call, Quotes
from pytest_llm_usage.tracker.callsite import Callsite, shown
from pytest_llm_usage.tracker.events import OpenCall, Response
from pytest_llm_usage.tracker.reconcile import (
    Candidate,
    Discrepancy,
    completed,
    difference,
    joined,
    pair,
    unnamed,
    wire_fields,
)
from pytest_llm_usage.tracker.scope import Section
from pytest_llm_usage.wire import WireCall

if TYPE_CHECKING:
    from pytest_llm_usage.anatomy.prompt import Prompt

__all__ = ["Origin", "origins_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What one `Call` is made from.

    Attributes:
        source: LangChain's call if there is one, else the response.
        call: LangChain's call, or None.
        response: The response that answered it, or None.
        wire: What that response says, completed by later answers.
    """

    source: OpenCall | Response
    call: OpenCall | None
    response: Response | None
    wire: WireCall | None

    @property
    def started_at(self) -> float:
        """Seconds since the epoch."""
        return self.source.started_at

    @property
    def phase(self) -> str:
        """Pytest's phase in which it started."""
        return self.source.phase

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that were open when it started."""
        return self.source.sections

    @property
    def callsite(self) -> Callsite | None:
        """Where the user's code made it."""
        return self.source.callsite

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will be reported."""
        return self.call is None or self.call.end_fields is not None

    def is_same(self, other: Origin) -> bool:
        """Whether the `Call` made from `other` is also this one's."""
        return self.is_settled and self.call is other.call and self.wire is other.wire

    def fields(self) -> dict[str, Any]:
        """The fields of `Call`, as LangChain and the wire report them."""
        fields: dict[str, Any] = {"source": "http"}
        if self.call is not None:
            fields = {**self.call.fields, "duration_s": self.call.duration_s}
            fields.setdefault("streamed", self.call.streamed)
        if self.wire is not None and self.response is not None:
            fields = joined(fields, self.wire) if self.call is not None else fields | wire_fields(self.wire)
            fields["live"] = self.response.exchange.live
            billing: Billing = fields["billing"]
            if billing.priced_at is None and self.response.exchange.replayed:
                # A recording that does not say when it was made gets the newest price known, whatever the day is.
                fields["billing"] = replace(billing, priced_at=math.inf)
        return fields

    def to_call(self, index: int, root: Path, *, quotes: Quotes) -> Call:
        """The call, at its place among those of its test; paths in it are relative to `root`."""
        fields = self.fields()
        if fields.get("model", UNKNOWN_MODEL) == UNKNOWN_MODEL:
            fields["model"] = fields.get("requested_model") or UNKNOWN_MODEL
        told = {
            "started_at": self.started_at,
            "phase": self.phase,
            "where": shown(self.callsite, root),
            "sections": tuple(section.name for section in self.sections),
            "_quotes": quotes,
            "_inputs": self,
            **fields,
        }
        return Call(index=index, **_without_credentials(told))

    def prompt(self) -> Prompt | str:
        """What the request sent, or why that is not known."""
        if self.response is None or self.wire is None:
            return "its request was not seen: only LangChain reported the call"
        from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_prompt  # noqa: PLC0415 -- when asked for

        try:
            return read_prompt(self.response.exchange, self.wire.flavour)
        except UnreadableRequestError as reason:
            return str(reason)

    def input_by_part(self, call: Call) -> InputByPart | str:
        """The input of `call`, which was made from this origin, by part; or why that is not known."""
        prompt = self.prompt()
        if isinstance(prompt, str):
            return prompt
        from pytest_llm_usage.anatomy.split import split_input  # noqa: PLC0415 -- when asked for

        return split_input(prompt, call.model, call.usage.input_tokens if call.usage is not None else 0)

    def discrepancy(self, made: Call) -> Discrepancy | None:
        """How LangChain and the wire disagree on `made`, the call made from this origin; None where they do not."""
        if self.call is None or self.wire is None or self.wire.usage is None:
            return None
        fields = self.call.fields
        if fields.get("usage") is None and (fields["status"] in ("error", "aborted") or self.wire.is_partial):
            return None  # neither claims to know the usage
        reason = difference(fields.get("usage"), self.wire.usage)
        if not reason and fields.get("_reported") is not None and fields.get("_reported_model") is None:
            reason = unnamed(self.wire.usage)
        if not reason:
            return None
        return Discrepancy(
            call_index=made.index,
            model=made.model,
            where=made.where,
            langchain=fields.get("usage"),
            wire=self.wire.usage,
            reason=reason,
        )


#: Fields with names that users and providers give. Somebody has passed a key where a name belongs.
_NAMES = ("model", "requested_model", "node", "where", "_reported_model")


def _without_credentials(fields: dict[str, Any]) -> dict[str, Any]:
    for name in _NAMES:
        if (value := fields.get(name)) is not None:
            fields[name] = mask_name(value)
    for name in ("tags", "sections"):
        if values := fields.get(name):
            fields[name] = tuple(map(mask_name, values))
    if (response_id := fields.get("response_id")) is not None:
        fields["response_id"] = mask_id(response_id)
    billing: Billing | None = fields.get("billing")
    if billing is not None and billing.service_tier is not None:
        fields["billing"] = replace(billing, service_tier=mask_name(billing.service_tier))
    return fields


def origins_of(calls: Sequence[OpenCall], responses: Sequence[Response]) -> tuple[Origin, ...]:
    """One origin for each call, whether one of the two books reports it or both, in the order of start."""
    answered = [(response, wire) for response in responses if (wire := response.wire()) is not None]
    if not answered:
        return tuple(Origin(call, call, None, None) for call in calls)
    book = completed([wire for _, wire in answered])
    billed = [(response, wire) for (response, _), wire in zip(answered, book, strict=True) if wire is not None]
    wire_of = {id(response): wire for response, wire in billed}
    pairs = pair(
        [_call_candidate(call) for call in calls if call.fields.get("status") != "cached"],
        [_response_candidate(response, wire) for response, wire in billed],
    )
    response_of = {id(call): response for call, response in pairs}
    taken = {id(response) for _, response in pairs}
    origins = [
        Origin(call, call, response, wire_of[id(response)])
        if (response := response_of.get(id(call))) is not None
        else Origin(call, call, None, None)
        for call in calls
    ]
    origins += [Origin(response, None, response, wire) for response, wire in billed if id(response) not in taken]
    return tuple(sorted(origins, key=lambda origin: origin.started_at))


def _call_candidate(call: OpenCall) -> Candidate[OpenCall]:
    fields = call.fields
    ended_at = math.inf if call.duration_s is None else call.started_at + call.duration_s
    models = frozenset(filter(None, (fields.get("requested_model"), fields.get("model"))))
    return Candidate(
        call,
        call.context,
        models,
        fields.get("response_id"),
        fields.get("usage"),
        call.started_at,
        ended_at,
        failed=fields.get("status") == "error",
    )


def _response_candidate(response: Response, wire: WireCall) -> Candidate[Response]:
    models = frozenset(filter(None, (wire.requested_model, wire.model)))
    started_at = response.started_at
    context = response.call.context if response.call is not None else None
    return Candidate(response, context, models, wire.response_id, wire.usage, started_at, started_at)
