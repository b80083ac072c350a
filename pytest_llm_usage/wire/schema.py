"""How each API writes its token counts, and what they are in LangChain's terms.

A `UsageSchema` is a table of paths into a usage object; `UsageSchema.read` turns such an object into `TokenUsage`. What an API
leaves out of its input (cached tokens) or its output (reasoning) is said in the schema, once, and nowhere else.

Details are those that LangChain has terms for: reads and writes of a cache, a write's lifetime, audio, reasoning. Other
breakdowns split counts that are there already; of those what is sold at a price of its own (images, video, cached audio)
is read for the bill alone, by `UsageSchema.read_billed`.

Paths are those of `paths`. Where one leads to several values the count is their sum, and a final `a[]` is the number of
items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llm_usage.usage import TokenUsage, count
from pytest_llm_usage.wire.paths import iter_path, path_keys, path_steps

__all__ = ["BilledItems", "UsageSchema"]


def _count_at(data: Mapping[str, Any], path: str) -> int | None:
    keys = path_keys(path)
    if keys:
        # The way of nearly every path, some dozens for a usage object.
        value: Any = data
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return None if value is None else count(value)
    if path.endswith("[]"):
        found = list(iter_path(data, path))
        return len(found) if found else None
    counts = [n for value in iter_path(data, path) if (n := count(value)) is not None]
    return sum(counts) if counts else None


def _first_count(data: Mapping[str, Any], paths: tuple[str, ...]) -> int | None:
    return next((n for path in paths if (n := _count_at(data, path)) is not None), None)


@dataclass(frozen=True, slots=True)
class BilledItems:
    """Work that a provider bills by the piece, beside tokens or instead of them.

    Attributes:
        kind: What a price file calls it (`web_search`, `file_search` …).
        paths: Where it is told, the best first: a number says how many, of anything else each is a piece.
        is_billed: Whether such a piece is billed at all.
        by_name: Texts name the pieces, each of them one however often it occurs.
    """

    kind: str
    paths: tuple[str, ...]
    is_billed: Callable[[Any], bool] = lambda _: True
    by_name: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The member names by which an event that tells of it is told from the others."""
        return tuple(dict.fromkeys(path_steps(path)[-1][0] for path in self.paths))

    def count(self, data: Any) -> int | None:
        """How many pieces `data` tells of, or None where it tells of none."""
        for path in self.paths:
            # Nearly no usage object has any of them, and each is asked for all.
            found = list(iter_path(data, path)) if isinstance(data, dict) and path_steps(path)[0][0] in data else ()
            if found and self.by_name:
                return len({value for value in found if isinstance(value, str)})
            if found:
                numbers = sum(n for value in found if (n := count(value)) is not None)
                return numbers + sum(isinstance(value, Mapping) and self.is_billed(value) for value in found)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSchema:
    """The members of one API's usage object: for each count the paths that may hold it, the best first.

    Attributes:
        input: Tokens sent.
        output: Tokens received.
        total: All tokens.
        tool_input: Tokens sent besides `input`: what tools gave the model to read.
        cache_read: Input read from a cache.
        cache_write: Input written to a cache.
        cache_write_5m: The part of it kept for five minutes.
        cache_write_1h: The part of it kept for one hour.
        audio_input: Input that is audio.
        audio_output: Output that is audio.
        reasoning: Output that is reasoning.
        cache_apart: `input` leaves out what was read from and written to a cache.
        reasoning_apart: `output` leaves out reasoning.
        other_units: Counts of work that is billed by another unit than tokens; where one stands, no tokens were used.
        billed_input: The input that is billed, where that is not all of it.
        billed_output: The output that is billed, where that is not all of it.
        billed_input_details: Parts of the input that may have a price of their own: detail → paths.
        billed_output_details: The same of the output.
        items: Work that is billed by the piece.
    """

    input: tuple[str, ...]
    output: tuple[str, ...] = ()
    total: tuple[str, ...] = ()
    tool_input: tuple[str, ...] = ()
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    cache_write_5m: tuple[str, ...] = ()
    cache_write_1h: tuple[str, ...] = ()
    audio_input: tuple[str, ...] = ()
    audio_output: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    cache_apart: bool = False
    reasoning_apart: bool = False
    other_units: tuple[str, ...] = ()
    billed_input: tuple[str, ...] = ()
    billed_output: tuple[str, ...] = ()
    billed_input_details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    billed_output_details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    items: tuple[BilledItems, ...] = ()

    def read(self, data: Any) -> TokenUsage | None:
        """The usage that `data` states, or None where it states no count."""
        if not isinstance(data, Mapping):
            return None
        sent, received, total = (_first_count(data, paths) for paths in (self.input, self.output, self.total))
        if (sent, received, total) == (None, None, None) and _first_count(data, self.other_units) is None:
            return None
        lifetimes = {
            "ephemeral_5m_input_tokens": _first_count(data, self.cache_write_5m),
            "ephemeral_1h_input_tokens": _first_count(data, self.cache_write_1h),
        }
        cache_read = _first_count(data, self.cache_read)
        cache_write = _first_count(data, self.cache_write)
        if (parts := sum(filter(None, lifetimes.values()))) > (cache_write or 0):
            cache_write = parts
        reasoning = _first_count(data, self.reasoning)

        input_tokens = (sent or 0) + (_first_count(data, self.tool_input) or 0)
        if self.cache_apart:
            input_tokens += (cache_read or 0) + (cache_write or 0)
        output_tokens = received or 0
        # xAI's chat endpoint leaves reasoning out of the completion, under OpenAI's names; only its total tells.
        is_apart = self.reasoning_apart or total == input_tokens + output_tokens + (reasoning or 0)
        if is_apart:
            output_tokens += reasoning or 0
        return TokenUsage.of(
            input_tokens,
            output_tokens,
            total_tokens=total,
            input_token_details=_known(
                cache_read=cache_read,
                cache_creation=cache_write,
                **lifetimes,
                audio=_first_count(data, self.audio_input),
            ),
            output_token_details=_known(reasoning=reasoning, audio=_first_count(data, self.audio_output)),
        )

    def read_billed(self, data: Any, usage: TokenUsage) -> TokenUsage | None:
        """The usage as `data` says it is billed; None where `usage`, what `read` made of it, says all there is to say."""
        sent, received = (_first_count(data, paths) for paths in (self.billed_input, self.billed_output))
        if sent is not None or received is not None:
            return TokenUsage.of(sent or 0, received or 0)
        inputs, outputs = (
            {key: n for key, paths in details.items() if (n := _first_count(data, paths))}
            for details in (self.billed_input_details, self.billed_output_details)
        )
        if not inputs and not outputs:
            return None
        return replace(
            usage,
            input_token_details={**usage.input_token_details, **inputs},
            output_token_details={**usage.output_token_details, **outputs},
        )


def _known(**details: int | None) -> dict[str, int]:
    return {key: value for key, value in details.items() if value is not None}
