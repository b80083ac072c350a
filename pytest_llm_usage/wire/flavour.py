"""What a row of the table of APIs says: how an API is recognised, and where its response says what.

The rows themselves are in `providers`, one module for each family of providers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from pytest_llm_usage.records import Record
from pytest_llm_usage.wire.pieces import BilledItems
from pytest_llm_usage.wire.schema import UsageSchema

__all__ = [
    "FINISHED",
    "NOWHERE",
    "Flavour",
    "Kind",
    "Requests",
    "Source",
    "ToolUsage",
    "any_of",
    "has_members",
    "has_object",
    "has_type",
    "holds_embeddings",
]

#: ``call``: a request to a model. ``retrieve``: an answer that was stored or is still in the making is asked for again;
#: it belongs to the call with the same response id. ``batch-results``: the answers of a batch, all in one body.
Kind: TypeAlias = Literal["call", "retrieve", "batch-results"]


class Source(Record):
    """Where the events of an API hold usage, and how those of one stream combine.

    Attributes:
        paths: Where the usage object stands in an event; empty for the event itself.
        schema: How it is written.
        combine: `last`: each states the whole, the last counts. `merge`: cumulative, member by member.
            `sum`: each counts for itself. `most`: each counts what there was until then, or zero; the most counts.
        array: The same where the body is a JSON array.
        in_headers: The usage object is the response's headers (lower-case names) rather than in the body.
        parts: Where a usage object lists its parts, each written by the same schema.
    """

    paths: tuple[str, ...]
    schema: UsageSchema
    combine: Literal["last", "merge", "sum", "most"] = "last"
    in_headers: bool = False
    parts: str = ""
    array: Literal["last", "merge", "sum"] = "last"

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The member names by which an event with usage is told from the others."""
        paths = self.paths if self.paths != ("",) else (*self.schema.input, *self.schema.output)
        return tuple(dict.fromkeys(_LIST.sub("", path).rsplit(".", 1)[-1] for path in paths))


_LIST = re.compile(r"\[[^\]]*\]")


class ToolUsage(Record):
    """Work with a model and a usage object of its own that the provider did within a call.

    Attributes:
        kind: The provider's name for it.
        paths: Where events hold what is told of it.
        schema: How the usage object is written.
        usage: Where the usage object stands in that; empty where it is the object.
        model: Where the model is named in that, else in the event.
        default_model: The provider's model for it where neither names one.
        in_total: Whether the usage of the call contains it.
    """

    kind: str
    paths: tuple[str, ...]
    schema: UsageSchema
    usage: str = ""
    model: tuple[str, ...] = ()
    default_model: str = ""
    in_total: bool = False


class Requests(Record):
    """Requests to models that an agent made within a call, each told by two events: what was asked, and what came of it.

    The sources of the row state the usage of each, and the call's is their sum.

    Attributes:
        asked: Where an event holds what was asked.
        answered: Where an event holds what came of it.
        key: The member by which both are found to belong together.
        model: Where `asked` names the model.
        usage: Where `answered` holds its usage.
        schema: How that is written.
    """

    asked: tuple[str, ...]
    answered: tuple[str, ...]
    key: str
    model: str
    usage: str
    schema: UsageSchema

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The member names by which the events that tell of a request are told from the others."""
        return tuple(dict.fromkeys(path.rsplit(".", 1)[-1] for path in (*self.asked, *self.answered)))


class Flavour(Record):
    """One API: how it is recognised and where its response says what.

    Patterns are regular expressions as text: `re` compiles and keeps those that are used, rather than all at import.

    Attributes:
        name: What the API is called here.
        home: The provider whose own API it is; who answered where the URL was redacted.
        seller: The price book's id of this API, where `home` sells by it at other prices than elsewhere.
        path: A pattern of the URL path of a request (without host, query and percent-encoding); its groups: `model`,
            the model asked for; `deployment`, what stands for it on Azure; `id`, the response.
        request: Members that a request has (in JSON or as a form; `a|b` for either), where the path alone does not tell
            because others use it for something else.
        looks: Whether an event is of this API, for responses whose URL does not tell.
        sources: Where usage stands, the best first: the next is asked only where one states nothing.
        stored: A pattern of the URL path under which a stored answer is asked for again; its group `id`, where it has one,
            is the response.
        model: Where events name the model.
        response_id: Where events name the response.
        service_tier: Where events name the tier.
        response_id_header: The response header that names the response where its events do not.
        service_tier_header: The response header that names the tier where the events do not.
        region: Where events name the region in which the model ran.
        modifiers: Further terms that change the price: their names, and where events state them. With `name=value` for a
            name, only that value is such a term.
        modifier_headers: The same where response headers state them.
        remarks: What a reader of the numbers should know of some answers, in words, and which answers those are.
        tools: Tools that the provider ran, and whose tokens it states beside those of the call.
        requests: Requests to models that the call consists of, where events tell of them.
        asked_items: What the request asks for by the piece, where the answer does not say what it did.
        answers: Where the events of a batch hold the answers of its requests.
        answered_by: Names of the rows by which those are read: the first that they look like, else the first.
        page_by: The query's parameter by which a batch's answers are asked for page by page.
        end: A pattern of what occurs in a stream that came to its end.
        usage_asked_by: The member by which a request asks for the usage of its stream, where that states none otherwise.
        items: Work billed by the piece that events tell of, beside what the usage object counts.
        kind: See `Kind`; other than `call` it is a GET.
        method: The HTTP method, where that is another.
    """

    name: str
    home: str
    path: str
    seller: str = ""
    request: tuple[str, ...] = ()
    looks: Callable[[Mapping[str, Any]], bool] | None = None
    sources: tuple[Source, ...] = ()
    stored: str = ""
    model: tuple[str, ...] = ("model",)
    response_id: tuple[str, ...] = ("id",)
    service_tier: tuple[str, ...] = ("service_tier",)
    response_id_header: str = ""
    service_tier_header: str = ""
    region: tuple[str, ...] = ()
    modifiers: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    modifier_headers: Mapping[str, str] = MappingProxyType({})
    remarks: Mapping[str, Callable[[Mapping[str, Any]], bool]] = MappingProxyType({})
    tools: tuple[ToolUsage, ...] = ()
    requests: Requests | None = None
    asked_items: Callable[[Mapping[str, Any]], Mapping[str, int]] | None = None
    answers: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    page_by: str = ""
    end: bytes = b""
    usage_asked_by: str = ""
    items: tuple[BilledItems, ...] = ()
    kind: Kind = "call"
    method: str = ""

    def fits(self, members: Collection[str] | None) -> bool:
        """Whether a request with these members may ask this API; None for one that tells nothing about itself."""
        if not self.request:
            return True
        return members is not None and all(any(name in members for name in one.split("|")) for one in self.request)


# --- How a response of an API looks -----------------------------------------------------------------------------------

#: The path of an API that only its responses tell.
NOWHERE = r"(?!)"

#: The end of a stream in OpenAI's form.
FINISHED = rb'\[DONE\]|"finish_reason"\s*:\s*"(?!null)'


def has_object(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: event.get("object") in names


def has_type(prefix: str, member: str = "type") -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: isinstance(name := event.get(member), str) and name.startswith(prefix)


def has_members(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: all(key in event for key in keys)


def any_of(*tests: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: any(test(event) for test in tests)


def holds_embeddings(event: Mapping[str, Any]) -> bool:
    data = event.get("data")
    return isinstance(data, list) and bool(data) and isinstance(data[0], Mapping) and "embedding" in data[0]
