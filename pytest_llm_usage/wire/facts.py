"""`Facts`: what a response says about model, usage and billing, read by the row of its API.

Usage comes from the first source that states some. A batch is read answer by answer, each by the row that it looks
like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain
from types import MappingProxyType
from typing import Any

from pytest_llm_usage.billing import Billing, Part
from pytest_llm_usage.money import total
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire.exchange import Headers
from pytest_llm_usage.wire.flavour import Flavour, Source
from pytest_llm_usage.wire.framing import Body, Event, first_text, header
from pytest_llm_usage.wire.paths import iter_path
from pytest_llm_usage.wire.providers import COST_HEADERS, FLAVOURS, GATEWAY_COSTS
from pytest_llm_usage.wire.schema import Reading
from pytest_llm_usage.wire.subcalls import requests_within, tools_within

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What one response says.

    Attributes:
        model: The model that answered, else the one that was requested.
        usage: The tokens; None if none are stated, or if a count cannot be read.
        billing: What the call was billed for, as far as the response says.
        response_id: The provider's id of the response.
        events: The events that state usage, with the decisive one first, then the first event of the response.
        problems: Why usage is not known although it is stated, in words.
        remarks: What a reader of the numbers should know, in words.
    """

    model: str
    usage: TokenUsage | None = None
    billing: Billing = field(default_factory=Billing)
    response_id: str | None = None
    events: tuple[Event, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, flavour: Flavour, body: Body, headers: Headers, requested_model: str) -> Facts:
        """Reads a response.

        Args:
            flavour: The API's row.
            body: The response.
            headers: Its headers.
            requested_model: The model if the response names none.
        """
        if flavour.answers:
            return _batch(flavour, body, requested_model)
        stated = _stated(flavour, body, headers)
        usage = stated.usage
        first = next(body.events(), None)
        telling = stated.events if first is None else (*stated.events, first)
        model = first_text(flavour.model, chain(telling, _events_naming(flavour.model, body))) or requested_model
        items, item_problems = _billed_items(flavour, body, stated)
        tools, problems = tools_within(flavour, body, usage)
        return cls(
            model=model,
            usage=None if problems or item_problems else usage,
            billing=Billing(
                # Usage that cannot be read is unknown, which is not the same as nothing billed.
                usage=None if item_problems or (usage is None and not items) else stated.billed_usage,
                # A tool that states its tokens is billed by them, and not by the piece.
                items=MappingProxyType(
                    {kind: n for kind, n in items.items() if kind not in {part.kind for part in tools}}
                ),
                parts=(*_parts(stated, model), *tools, *requests_within(flavour, body, usage)),
                stated_cost_usd=_cost_usd(stated, body, headers),
                region=first_text(flavour.region, telling, ignored=_USUAL_TERMS),
                service_tier=first_text(flavour.service_tier, telling)
                or header(headers, flavour.service_tier_header)
                or None,
                modifiers=_modifiers(flavour, body, telling, headers),
            ),
            response_id=first_text(flavour.response_id, chain(telling, _events_naming(flavour.response_id, body)))
            or header(headers, flavour.response_id_header)
            or None,
            events=telling,
            problems=(*stated.problems, *problems, *item_problems),
            remarks=(
                *stated.remarks,
                *(
                    text
                    for text, applies in flavour.remarks.items()
                    if any(isinstance(event.data, Mapping) and applies(event.data) for event in telling)
                ),
            ),
        )


def _modifiers(
    flavour: Flavour, body: Body, telling: tuple[Event, ...], headers: Mapping[str, Any]
) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for term, paths in flavour.modifiers.items():
        name, _, only = term.partition("=")
        # Events are looked up by one member of a path: the longest name, because every event of a stream has a `type`.
        keys = tuple(dict.fromkeys(max(path.split("."), key=len) for path in paths))
        value = first_text(paths, chain(telling, body.holding(keys)) if only else telling, ignored=_USUAL_TERMS)
        if value and only in ("", value):
            found[name] = value
    for name, key in flavour.modifier_headers.items():
        if (value := header(headers, key)) and value not in _USUAL_TERMS:
            found[name] = value
    return MappingProxyType(found)


#: Values by which providers say that a term is the usual one.
_USUAL_TERMS = ("standard", "default", "not_available", "auto")


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a response states about its usage.

    Attributes:
        events: The events that state it, with the decisive one first.
        readings: The usage objects, as they were read.
        parts: The parts that these list, each with its reading.
    """

    events: tuple[Event, ...] = ()
    readings: tuple[Reading, ...] = ()
    parts: tuple[tuple[Mapping[str, Any], Reading], ...] = ()

    @property
    def usage(self) -> TokenUsage | None:
        usages = [reading.usage for reading in self.readings if reading.usage is not None]
        return sum(usages, TokenUsage()) if usages and len(usages) == len(self.readings) and not self.problems else None

    @property
    def billed_usage(self) -> TokenUsage | None:
        """The tokens as they are billed, if that differs from `usage`."""
        if self.problems or not any(reading.billed is not None for reading in self.readings):
            return None
        return sum((reading.billed or reading.usage or TokenUsage() for reading in self.readings), TokenUsage())

    @property
    def items(self) -> Mapping[str, int]:
        items: Counter[str] = Counter()
        for reading in self.readings:
            items.update(reading.items)
        return items

    @property
    def problems(self) -> tuple[str, ...]:
        readings = (*self.readings, *(reading for _, reading in self.parts))
        return tuple(dict.fromkeys(problem for reading in readings for problem in reading.problems))

    @property
    def remarks(self) -> tuple[str, ...]:
        readings = (*self.readings, *(reading for _, reading in self.parts))
        return tuple(dict.fromkeys(remark for reading in readings for remark in reading.remarks))

    @property
    def cost_usd(self) -> Decimal | None:
        """What the usage objects say that the call cost."""
        costs = [reading.cost_usd for reading in self.readings if reading.cost_usd is not None]
        return total(costs) if costs else None


def _cost_usd(stated: _Stated, body: Body, headers: Headers) -> Decimal | None:
    """What the provider says that the call cost: in its usage, beside it, or in a header."""
    if stated.cost_usd is not None:
        return stated.cost_usd
    if body.mentions(_GATEWAY, b'"gateway"'):
        for event in body.holding(("gateway",), backwards=True):
            for cost in GATEWAY_COSTS:
                if isinstance(event.data, Mapping) and (usd := cost.read(event.data)) is not None:
                    return usd
    names = {name: value for cost in COST_HEADERS if (value := header(headers, name := cost.path))}
    return next((usd for cost in COST_HEADERS if names and (usd := cost.read(names)) is not None), None)


_GATEWAY = re.compile(rb'"gateway"\s*+:\s*+\{')


def _stated(flavour: Flavour, body: Body, headers: Headers) -> _Stated:
    """The usage from the first source that states some."""
    for source in flavour.sources:
        if source.in_headers:
            named = {str(name).lower(): header(headers, str(name).lower()) for name in headers}
            if (reading := source.schema.read(named)) is not None:
                return _Stated(readings=(reading,))
            continue
        events: list[Event] = []
        objects: list[tuple[str, Mapping[str, Any]]] = []
        # If only the last statement counts, the search starts at the end and stops at the first find.
        combine = source.array if body.framing == "json-array" else source.combine
        for event in body.holding(source.keys, backwards=combine == "last"):
            if found := _usage_objects(source, event):
                if combine == "last" and objects:
                    # Some gateways end a stream with zeros: then an earlier event that states more counts instead.
                    if all(source.schema.states_nothing(value) for _, value in found):
                        continue
                    events, objects = [], []
                events.append(event)
                objects.extend(found)
                if combine == "last" and not all(source.schema.states_nothing(value) for _, value in found):
                    break
        events.reverse()
        if not objects:
            continue
        if combine == "merge" and len(objects) > 1:
            objects = [_merged(source, objects)]
        # The beginning of a stream that is cut off states only the input, which is then the least that was spent.
        is_begun = combine == "merge" and body.framing != "json"
        readings = [
            reading
            for where, value in objects
            if (reading := source.schema.read(value, where, is_begun=is_begun)) is not None
        ]
        if combine == "most":
            readings = _most(readings)
        parts = [
            (part, reading)
            for where, value in objects
            if source.parts
            for part in iter_path(value, source.parts)
            if (reading := source.schema.read(part, f"{where}.{source.parts}")) is not None
        ]
        return _Stated(tuple(events), tuple(readings), tuple(parts))
    return _Stated()


def _usage_objects(source: Source, event: Event) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects of an event that state a count, all at the same path, each with that path."""
    for path in source.paths:
        found = [
            (path, value)
            for value in iter_path(event.data, path)
            # Among cumulative objects, one that resets a count to null is recognised by its members.
            if source.schema.states_usage(value)
            or (
                source.combine == "merge"
                and isinstance(value, Mapping)
                and not value.keys().isdisjoint(source.schema.output)
            )
        ]
        if found:
            return found
    return []


def _merged(source: Source, objects: list[tuple[str, Mapping[str, Any]]]) -> tuple[str, Mapping[str, Any]]:
    """Cumulative usage objects as one, in which later members replace earlier ones.

    Null means "as before", except for the output, which every such object counts anew.
    """
    merged: dict[str, Any] = {}
    for _, value in objects:
        for key, member in value.items():
            if member is not None or key not in merged or key in source.schema.output:
                merged[key] = member
    return objects[-1][0], merged


def _most(readings: list[Reading]) -> list[Reading]:
    """Readings as one, with the most that any of them counts; all of them unchanged if one cannot be read."""
    usages = [reading.usage for reading in readings if reading.usage is not None]
    if not usages or len(usages) < len(readings):
        return readings
    most = TokenUsage.from_counts(
        max(usage.input_tokens for usage in usages), max(usage.output_tokens for usage in usages)
    )
    return [replace(readings[-1], usage=most)]


def _events_naming(paths: tuple[str, ...], body: Body) -> Iterator[Event]:
    """Yields the events that may hold a name; the first chunks of some streams leave it empty."""
    keys = tuple(dict.fromkeys(path.rsplit(".", 1)[-1] for path in paths))
    return body.holding(keys) if keys else iter(())


def _parts(stated: _Stated, model: str) -> tuple[Part, ...]:
    """The work that the top level leaves out: every part but the reply itself.

    Of Anthropic's iterations a `message` (after a fallback, a `fallback_message`) is part of the top level, a
    `compaction` and an advisor's message are not:
    https://docs.anthropic.com/en/docs/build-with-claude/compaction#understanding-usage
    """
    return tuple(
        Part(kind, first_text(("model",), (Event(part),)) or model, reading.usage)
        for part, reading in stated.parts
        if (kind := first_text(("type",), (Event(part),)) or "part") not in ("message", "fallback_message")
        and reading.usage is not None
    )


def _billed_items(flavour: Flavour, body: Body, stated: _Stated) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """What is billed by the piece, as the usage object counts it, else as the events list it; and what cannot be read.

    If an event of a stream lists pieces, it lists all pieces so far, unless the pieces have names.
    """
    counted = stated.items
    items = {**{item.kind: 0 for item in flavour.items}, **counted}
    unstated = [item for item in flavour.items if item.kind not in counted]
    keys = tuple(dict.fromkeys(key for item in unstated for key in item.keys))
    problems: dict[str, None] = {}
    names: list[set[str | int]] = [set() for _ in unstated]
    for event in body.holding(keys) if keys else ():
        for item, named in zip(unstated, names, strict=True):
            if found := item.count(event.data):
                named.update(item.names(event.data))
                items[item.kind] = max(items[item.kind], found, len(named))
            if problem := item.problem(event.data):
                problems[problem] = None
    return {kind: n for kind, n in items.items() if n}, tuple(problems)


# --- Batches ----------------------------------------------------------------------------------------------------------


def _batch(flavour: Flavour, body: Body, requested_model: str) -> Facts:
    """The facts of a batch: each answer is a part with its own model, usage and items, at the price of a batch."""
    rows = [row for name in flavour.answered_by for row in FLAVOURS if row.name == name]
    parts: list[Part] = []
    problems: list[str] = []
    remarks: list[str] = []
    events: list[Event] = []
    for event in body.events():
        named = first_text(flavour.model, (event,)) or requested_model
        for value in _answers(flavour, event):
            row = next((each for each in rows if each.looks and each.looks(value)), rows[0])
            facts = Facts.from_body(row, Body.from_value(value), {}, named)
            problems += facts.problems
            remarks += facts.remarks
            if facts.usage is not None:
                if not events:
                    events.append(event)
                # The tier that an answer names is that of its request; it is billed as part of the batch.
                billing = replace(facts.billing, service_tier=None)
                parts.append(Part("request", facts.model, facts.usage, billing, in_total=True))
    if not parts and not problems:
        return Facts(requested_model)
    costs = [usd for part in parts if (usd := part.billing.stated_cost_usd) is not None]
    return Facts(
        model=parts[0].model if parts else requested_model,
        usage=None if problems else sum((part.usage for part in parts), TokenUsage()),
        billing=Billing(
            parts=tuple(parts),
            service_tier="batch",
            stated_cost_usd=total(costs) if costs and len(costs) == len(parts) else None,
        ),
        events=tuple(events),
        problems=tuple(dict.fromkeys(problems)),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _answers(flavour: Flavour, event: Event) -> Iterator[Mapping[str, Any]]:
    for path in flavour.answers:
        found = [value for value in iter_path(event.data, path) if isinstance(value, Mapping)]
        if found:
            yield from found
            return
