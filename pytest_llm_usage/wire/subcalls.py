"""Work within a call that has its own model and usage: tools that the provider ran, and requests that an agent made."""

from __future__ import annotations

from pytest_llm_usage.billing import Billing, Part
from pytest_llm_usage.usage import TokenUsage
from pytest_llm_usage.wire.flavour import Flavour
from pytest_llm_usage.wire.framing import Body, Event, first_text
from pytest_llm_usage.wire.paths import get_path, iter_path, path_steps

__all__ = ["requests_within", "tools_within"]


def tools_within(flavour: Flavour, body: Body, usage: TokenUsage | None) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The provider's tools with a model of their own, as parts, and what of their usage cannot be read."""
    parts: list[Part] = []
    problems: list[str] = []
    for tool in flavour.tools:
        keys = tuple(dict.fromkeys(step for path in tool.paths for step in path_steps(path)[-1][:1]))
        for event in body.holding(keys, backwards=True):
            entries = [(path, entry) for path in tool.paths for entry in iter_path(event.data, path)]
            found = [
                (entry, reading)
                for path, entry in entries
                for value in iter_path(entry, tool.usage)
                if (reading := tool.schema.read(value, path)) is not None
            ]
            if not found:
                continue
            problems += [problem for _, reading in found for problem in reading.problems]
            listed = [
                Part(
                    tool.kind,
                    first_text(tool.model, (Event(entry), event)) or tool.default_model,
                    reading.usage,
                    Billing(usage=reading.billed),
                    in_total=tool.in_total,
                )
                for entry, reading in found
                if reading.usage is not None and reading.usage.total_tokens
            ]
            # Tools in the call's total count only if they add up to it; a list that leaves some out does not.
            total_listed = sum((part.usage for part in listed), TokenUsage()).total_tokens
            if not tool.in_total or (usage is not None and total_listed == usage.total_tokens):
                parts += listed
            break
    return tuple(parts), tuple(problems)


def requests_within(flavour: Flavour, body: Body, usage: TokenUsage | None) -> tuple[Part, ...]:
    """The requests that the call consists of, each with its own model; none if they do not add up to its usage."""
    requests = flavour.requests
    if requests is None or usage is None:
        return ()
    models: dict[object, str] = {}
    parts: list[Part] = []
    for event in body.holding(requests.keys):
        for path in requests.asked:
            for asked in iter_path(event.data, path):
                if model := first_text((requests.model,), (Event(asked),)):
                    models[_key(asked, requests.key)] = model
        for path in requests.answered:
            for answered in iter_path(event.data, path):
                reading = requests.schema.read(get_path(answered, requests.usage))
                model = models.get(_key(answered, requests.key))
                if reading is not None and reading.usage is not None and model is not None:
                    parts.append(Part("request", model, reading.usage, in_total=True))
    is_whole = sum((part.usage for part in parts), TokenUsage()).total_tokens == usage.total_tokens
    return tuple(parts) if is_whole else ()


def _key(data: object, name: str) -> object:
    value = get_path(data, name)
    return value if isinstance(value, str) else None
