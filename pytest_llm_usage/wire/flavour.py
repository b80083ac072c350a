"""`Flavour`: a row of the table of APIs. It says how an API is recognised, and where its response says what.

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
    "all_of",
    "any_of",
    "first_has",
    "has_members",
    "has_object",
    "has_type",
    "holds_embeddings",
]

#: ``call``: a request to a model. ``retrieve``: a request for an answer that was stored or is still being made; it
#: belongs to the call with the same response id. ``batch-results``: the answers of a batch, all in one body.
Kind: TypeAlias = Literal["call", "retrieve", "batch-results"]


class Source(Record):
    """Where the events of an API hold usage, and how those of one stream combine.

    Attributes:
        paths: Where the usage object is in an event; empty for the event itself.
        schema: How the usage object is written.
        combine: `last`: each object states the whole, and the last one counts. `merge`: they are cumulative, member by
            member. `sum`: each counts on its own. `most`: each counts everything so far, or zero; the largest counts.
        array: The same for a body that is a JSON array.
        in_headers: The response's headers (lower-case names) are the usage object; it is not in the body.
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
        """The member names that distinguish an event with usage from others."""
        paths = self.paths if self.paths != ("",) else (*self.schema.input, *self.schema.output)
        return tuple(dict.fromkeys(_LIST.sub("", path).rsplit(".", 1)[-1] for path in paths))


_LIST = re.compile(r"\[[^\]]*\]")


class ToolUsage(Record):
    """Work that the provider did within a call, with a model and a usage object of its own.

    Attributes:
        kind: The provider's name for it.
        paths: Where events hold an entry for it.
        schema: How the usage object is written.
        usage: Where the usage object is in the entry; empty if the entry is the usage object.
        model: Where the entry, else the event, names the model.
        default_model: The provider's model for it, if neither names one.
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
    """Requests to models that an agent made within a call. Two events describe each: one the request, one the answer.

    The sources of the row state the usage of each request, and the usage of the call is their sum.

    Attributes:
        asked: Where an event holds the request.
        answered: Where an event holds the answer.
        key: The member that is equal in both.
        model: Where `asked` names the model.
        usage: Where `answered` holds its usage.
        schema: How the usage is written.
    """

    asked: tuple[str, ...]
    answered: tuple[str, ...]
    key: str
    model: str
    usage: str
    schema: UsageSchema

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The member names that distinguish the events of a request from others."""
        return tuple(dict.fromkeys(path.rsplit(".", 1)[-1] for path in (*self.asked, *self.answered)))


class Flavour(Record):
    """One API: how it is recognised and where its response says what.

    Patterns are regular expressions as text: `re` compiles and keeps those that are used, rather than all at import.

    Attributes:
        name: The API's name in this package.
        home: The provider whose own API it is; it counts as the one that answered if the URL was redacted.
        seller: The price book's id of this API, if `home` sells by it at other prices than elsewhere.
        path: A pattern for the URL path of a request (without host, query and percent-encoding). Its groups are
            `model`, the requested model; `deployment`, its name on Azure; `id`, the response.
        request: Members that a request has (in JSON or as a form; `a|b` for either), if the path alone does not decide
            because others use it for something else.
        looks: Whether an event is of this API, for responses whose URL does not say it.
        sources: Where usage is stated, the best source first; the next is read only if one states nothing.
        stored: A pattern for the URL path under which a stored answer is requested; its group `id`, if it has one, is
            the response.
        model: Where events name the model.
        response_id: Where events name the response.
        service_tier: Where events name the tier.
        response_id_header: The response header that names the response if its events do not.
        service_tier_header: The response header that names the tier if the events do not.
        region: Where events name the region in which the model ran.
        modifiers: Further terms that change the price: their names, and where events state them. With `name=value` for
            a name, only that value is such a term.
        modifier_headers: Such terms that response headers state: their names, and the headers.
        remarks: What a reader of the numbers should know about some answers, in words, and which answers those are.
        tools: Tools that the provider ran and whose tokens it states next to those of the call.
        requests: Requests to models that the call consists of, if events describe them.
        asked_items: What the request asks for by the piece, if the answer does not say what was done.
        answers: Where the events of a batch hold the answers to its requests.
        answered_by: The names of the rows that read those answers: the first row that an answer looks like, else the
            first.
        page_by: The query parameter for the pages of a batch's answers.
        end: A pattern that occurs in every complete stream.
        usage_asked_by: The member by which a request asks for the usage of its stream, which states none otherwise.
        items: Work billed by the piece that events list, besides what the usage object counts.
        kind: See `Kind`; any but `call` is a GET.
        method: The HTTP method, if it is another one.
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

    @property
    def streams_arrays(self) -> bool:
        """Whether a JSON array is a stream of this API, rather than several answers at once."""
        return bool(self.end) and all(source.array != "sum" for source in self.sources)

    def fits(self, members: Collection[str] | None) -> bool:
        """Whether a request with these members may be for this API; `members` is None if they are not known."""
        if not self.request:
            return True
        return members is not None and all(any(name in members for name in one.split("|")) for one in self.request)


# --- How a response of an API looks -----------------------------------------------------------------------------------

#: The path of an API that is recognised only by its responses.
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


def first_has(name: str, *keys: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the first item of the list `name` is an object with one of `keys`."""

    def test(event: Mapping[str, Any]) -> bool:
        items = event.get(name)
        first = items[0] if isinstance(items, list) and items else None
        return isinstance(first, Mapping) and any(key in first for key in keys)

    return test


holds_embeddings = first_has("data", "embedding")


def all_of(*tests: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda event: all(test(event) for test in tests)
