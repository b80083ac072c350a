"""Merges two books into one: what LangChain reported and what the provider's response said. Each call counts once.

`pair` finds which response on the wire answered which of LangChain's calls. `joined` merges the two into the fields of
one `Call`. Where they disagree, there is a `Discrepancy`. The wire's numbers count: they are what is billed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from pytest_llm_usage.ledger import UNKNOWN_MODEL
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire import WireCall

__all__ = ["Candidate", "Discrepancy", "completed", "difference", "joined", "pair", "unnamed", "wire_fields"]

_T = TypeVar("_T")
_W = TypeVar("_W")


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """A call on which LangChain and the provider's response disagree.

    Attributes:
        call_index: `Call.index`.
        model: The call's model.
        where: `file:line in function` of the user's code.
        langchain: What LangChain reported, or None where it reported nothing.
        wire: What the response said; it is what counts.
        reason: The difference in words: which number, LangChain's against the provider's.
    """

    call_index: int
    model: str
    where: str | None
    langchain: TokenUsage | None
    wire: TokenUsage
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        return {
            "call_index": self.call_index,
            "model": self.model,
            "where": self.where,
            "langchain": None if self.langchain is None else self.langchain.to_dict(),
            "wire": self.wire.to_dict(),
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Discrepancy:
        """The inverse of `to_dict`."""
        langchain = data["langchain"]
        return cls(
            call_index=data["call_index"],
            model=data["model"],
            where=data["where"],
            langchain=None if langchain is None else TokenUsage.from_dict(langchain),
            wire=TokenUsage.from_dict(data["wire"]),
            reason=data["reason"],
        )


def difference(langchain: TokenUsage | None, wire: TokenUsage) -> str:
    """How LangChain's usage differs from the wire's, in words; empty where they agree."""
    if langchain is None:
        return f"LangChain reported no usage, the provider {_counts(wire)}"
    parts = [
        f"{name.removesuffix('_tokens')} {getattr(langchain, name):,} against {getattr(wire, name):,}"
        for name in ("input_tokens", "output_tokens")
        if getattr(langchain, name) != getattr(wire, name)
    ]
    # A provider may state a total below the sum of its parts. One of the two repeats it, so the sum is compared.
    totals = [max(usage.total_tokens, usage.input_tokens + usage.output_tokens) for usage in (langchain, wire)]
    if totals[0] != totals[1]:
        parts.append(f"total {langchain.total_tokens:,} against {wire.total_tokens:,}")
    for name in ("input_token_details", "output_token_details"):
        theirs, ours = getattr(langchain, name), getattr(wire, name)
        parts += [
            f"{key} {theirs.get(key, 0):,} against {ours.get(key, 0):,}"
            for key in dict.fromkeys((*theirs, *ours))
            if theirs.get(key, 0) != ours.get(key, 0)
        ]
    return ", ".join(parts)


def unnamed(wire: TokenUsage) -> str:
    """Says that LangChain's own callback drops usage in a message that names no model."""
    return f"LangChain's callback drops usage without a model name; the provider counted {_counts(wire)}"


def _counts(usage: TokenUsage) -> str:
    return f"{usage.input_tokens:,} input and {usage.output_tokens:,} output tokens"


# -- which response answered which call ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Candidate(Generic[_T]):
    """One side of a pair: a call of LangChain's, or a response on the wire.

    Attributes:
        item: What it stands for.
        context: An object that a call shares with the requests made for it: the call itself, or the batch that it is
            part of. None for a response if nothing tells which call it belongs to.
        models: The names of its model: the one asked for, and the one that answered.
        response_id: The provider's id.
        usage: The tokens it reports.
        started_at: Seconds since the epoch.
        ended_at: Seconds since the epoch; infinite while it is under way.
        failed: Whether it is a call that raised, most often because no answer came.
    """

    item: _T
    context: object | None
    models: frozenset[str]
    response_id: str | None
    usage: TokenUsage | None
    started_at: float
    ended_at: float
    failed: bool = False

    def shares_id(self, other: Candidate[Any]) -> bool:
        """Whether both name the same response."""
        return self.response_id is not None and self.response_id == other.response_id

    def shares_usage(self, other: Candidate[Any]) -> bool:
        """Whether both report the same tokens."""
        return self.usage is not None and self.usage == other.usage

    def shares_model(self, other: Candidate[Any]) -> bool:
        """Whether both may be of the same model; an unknown name may be any model's."""
        named, theirs = self.models - {UNKNOWN_MODEL}, other.models - {UNKNOWN_MODEL}
        return not named or not theirs or bool(named & theirs)

    def may_have_made(self, response: Candidate[Any]) -> bool:
        """Whether a response without a context may be an answer to this call.

        A call that failed most often got no answer.
        """
        if response.context is not None or self.failed:
            return False
        return self.started_at <= response.started_at <= self.ended_at and self.shares_model(response)


def pair(calls: Sequence[Candidate[_T]], responses: Sequence[Candidate[_W]]) -> list[tuple[_T, _W]]:
    """Pairs each call with the response that answered it; a call or response is in one pair at most.

    Calls and responses of the same context are paired first. The rest is paired by the provider's response id. Then
    responses without a context (from a client's own threads) are paired with calls of the same model that were under
    way: by the same usage, then by the order of start.
    """
    made_in: dict[int, list[Candidate[_W]]] = {}
    for response in responses:
        if response.context is not None:
            made_in.setdefault(id(response.context), []).append(response)
    called_in: dict[int, list[Candidate[_T]]] = {}
    for call in calls:
        if id(call.context) in made_in:
            called_in.setdefault(id(call.context), []).append(call)
    pairs = [
        found
        for context, called in called_in.items()
        # More responses than calls: a retry that was billed as well, or another client used while a stream was open.
        for found in _matched(called, made_in[context], _IN_CONTEXT)
    ]
    taken = {id(side) for found in pairs for side in found}
    pairs += _matched(
        [call for call in calls if id(call) not in taken],
        [response for response in responses if id(response) not in taken],
        _ANYWHERE,
    )
    return [(call.item, response.item) for call, response in pairs]


_Rule: TypeAlias = Callable[[Candidate[Any], Candidate[Any]], bool]

#: The signs that a response answered a call, the surest first.
_IN_CONTEXT: tuple[_Rule, ...] = (
    lambda call, response: call.shares_id(response),
    lambda call, response: call.shares_model(response) and call.shares_usage(response),
    lambda call, response: call.shares_model(response),
    lambda call, response: call.context is response.context,
)
_ANYWHERE: tuple[_Rule, ...] = (
    lambda call, response: call.shares_id(response),
    lambda call, response: call.may_have_made(response) and call.shares_usage(response),
    lambda call, response: call.may_have_made(response),
)


def _matched(
    calls: Sequence[Candidate[_T]], responses: Sequence[Candidate[_W]], rules: Sequence[_Rule]
) -> list[tuple[Candidate[_T], Candidate[_W]]]:
    """Matches by one rule after the other: each unmatched call with the first unmatched response that fits."""
    pairs = []
    for fits in rules:
        for call in calls:
            found = next((response for response in responses if fits(call, response)), None)
            if found is not None:
                pairs.append((call, found))
                calls = [other for other in calls if other is not call]
                responses = [other for other in responses if other is not found]
    return pairs


# -- one call of two -------------------------------------------------------------------------------------------


def joined(told: Mapping[str, Any], wire: WireCall) -> dict[str, Any]:
    """The fields of `Call` for a call that LangChain reported and the wire answered.

    Args:
        told: The fields as LangChain reported them.
        wire: What the response says.
    """
    fields = dict(told)
    if wire.usage is not None:
        fields |= {"usage": wire.usage, "is_partial": wire.is_partial}
    if fields.get("status") == "no_usage" or (fields.get("status") == "ok" and wire.is_partial):
        # LangChain mistakes a stream that breaks off for one that ended.
        fields["status"] = wire.status
    fields["note"] = fields.get("note") or wire.note
    fields["provider"] = wire.provider or fields.get("provider")
    if _is_named_better(fields, wire):
        fields["model"] = wire.model
    fields["billing"] = wire.billing.filled_from(fields.get("billing") or wire.billing)
    for name in ("requested_model", "response_id"):
        fields[name] = getattr(wire, name) or fields.get(name)
    return fields


def _is_named_better(told: Mapping[str, Any], wire: WireCall) -> bool:
    """Whether the wire knows better than LangChain which model answered; a name that only the caller uses stays."""
    name = told.get("model", UNKNOWN_MODEL)
    if name == UNKNOWN_MODEL or _is_repeated(name, wire.model):
        return True
    # Some clients report the model that they asked for, whichever answered: ChatGroq, ChatMistralAI unless it streams,
    # and ChatHuggingFace, which reports the address of an endpoint.
    is_answered = wire.model not in ("", UNKNOWN_MODEL, wire.requested_model)
    return is_answered and (name == told.get("requested_model") or "://" in name)


def _is_repeated(told: str, name: str) -> bool:
    """Whether LangChain joined the name of every choice of a stream: `gpt-4o` twice is `gpt-4ogpt-4o`."""
    return len(told) > len(name) > 0 and told == name * (len(told) // len(name))


def wire_fields(wire: WireCall) -> dict[str, Any]:
    """The fields of `Call` for a call that only the wire reported."""
    return {
        "provider": wire.provider,
        "model": wire.model,
        "requested_model": wire.requested_model,
        "usage": wire.usage,
        "is_partial": wire.is_partial,
        "status": wire.status,
        "billing": wire.billing,
        "response_id": wire.response_id,
        "streamed": wire.streamed,
        "note": wire.note,
    }


def completed(wires: Sequence[WireCall]) -> list[WireCall | None]:
    """`wires` with retrieved answers merged into the call that they belong to, and None in their own place.

    A background response has no usage when it is started; a later retrieval of the same id has it. A retrieval is no
    call of its own: it completes nothing if its usage was known already, or its response was started elsewhere. The
    results of a batch count once, however often they are fetched.
    """
    book: list[WireCall | None] = list(wires)
    batches: set[str] = set()
    for index, wire in enumerate(wires):
        if wire.kind == "batch-results" and wire.response_id is not None and wire.status == "ok":
            if wire.response_id in batches:
                book[index] = None
            batches.add(wire.response_id)
        if not wire.retrieved:
            continue
        book[index] = None
        for earlier, call in enumerate(book[:index]):
            if call is None or call.response_id != wire.response_id or wire.usage is None:
                continue
            if call.usage is None or call.is_partial:
                book[earlier] = replace(
                    call,
                    usage=wire.usage,
                    status=wire.status,
                    billing=replace(
                        wire.billing,
                        service_tier=wire.billing.service_tier or call.billing.service_tier,
                        # The price is that of the day on which it was asked for.
                        priced_at=call.billing.priced_at,
                    ),
                    note=wire.note,
                )
    return book
