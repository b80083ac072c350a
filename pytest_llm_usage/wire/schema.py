"""How each API writes its token counts, and what they are in LangChain's terms.

A `UsageSchema` is a table of paths into a usage object; `UsageSchema.read` turns such an object into a `Reading`. Only
the schema says what an API leaves out of its input (cached tokens) or its output (reasoning).

Details are those that LangChain has terms for: cache reads and writes, a write's lifetime, audio, reasoning. Providers
split their counts in other ways, too; of these parts only those with a price of their own (images, video, cached audio)
are read, for the bill alone.

A count that is there but cannot be read (`null`, -1, "many") makes the usage unknown, and the reading says which member
held what: it is never taken for zero.

Paths have the form of `paths`. If a path leads to several values, the count is their sum; a final `a[]` is the number
of items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pytest_llm_usage.records import Record
from pytest_llm_usage.usage import MAX_COUNT, TokenUsage
from pytest_llm_usage.wire.paths import iter_path, path_keys
from pytest_llm_usage.wire.pieces import BilledItems, StatedCost, shown

__all__ = ["Reading", "UsageSchema"]

#: A count in quotation marks.
_DIGITS = re.compile(r"\s*(\d{1,16})(?:\.0+)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a usage object says.

    Attributes:
        usage: The tokens; None if a count is there but cannot be read.
        billed: The tokens as they are billed, if that differs from `usage`.
        items: What is billed by the piece, by kind.
        cost_usd: What the object says that the call cost.
        problems: Which members hold something other than a count, in words.
        remarks: Which counts were read although they are not written as whole numbers, in words.
    """

    usage: TokenUsage | None
    billed: TokenUsage | None = None
    items: Mapping[str, int] = field(default_factory=dict)
    cost_usd: Decimal | None = None
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class UsageSchema(Record):
    """The members of one API's usage object: for each count the paths that may hold it, the best first.

    Attributes:
        input: Tokens sent.
        output: Tokens received.
        output_parts: Tokens received, listed one by one: they count if `output` is zero.
        total: All tokens.
        more_input: Tokens sent besides `input`, all added: images, and what tools gave the model to read.
        more_output: Tokens received besides `output`, all added.
        cache_read: Input read from a cache.
        cache_write: Input written to a cache.
        cache_write_5m: The part of it kept for five minutes.
        cache_write_1h: The part of it kept for one hour.
        audio_input: Input that is audio.
        audio_output: Output that is audio.
        reasoning: Output that is reasoning.
        cache_apart: `input` leaves out what was read from and written to a cache.
        reasoning_apart: `output` leaves out reasoning.
        reasoning_beside: If one of these members is there, reasoning that exceeds the output is billed in addition to
            it. Otherwise such a count is an estimate by another tokenizer, and only the output is billed.
        other_units: Counts of work that is billed by another unit than tokens; if one is there, no tokens were used.
        tokens_unstated: If only `other_units` are there, tokens are not stated (rather than zero), and not billed.
        billed_input: The input that is billed, if that is not all of it.
        billed_output: The output that is billed, if that is not all of it.
        billed_input_details: Parts of the input that may have a price of their own: detail → paths.
        billed_output_details: Parts of the output that may have a price of their own: detail → paths.
        billed_output_apart: Output that is billed but that `output` leaves out: detail → paths.
        items: Work that is billed by the piece.
        costs: Where the object states what the call cost.
        cache_may_be_null: `null` is how the API writes that no cache was used.
        output_may_be_null: `null` is how the API writes that there is no output.
        loosely_typed: The API itself writes counts as text or as floats.
        zero_is_unset: Nothing but zeros is how the API writes that it has not counted yet.
        states_both: The API states input and output in each answer: what is left out is not zero but unknown.
    """

    input: tuple[str, ...]
    output: tuple[str, ...] = ()
    output_parts: tuple[str, ...] = ()
    total: tuple[str, ...] = ()
    more_input: tuple[str, ...] = ()
    more_output: tuple[str, ...] = ()
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    cache_write_5m: tuple[str, ...] = ()
    cache_write_1h: tuple[str, ...] = ()
    audio_input: tuple[str, ...] = ()
    audio_output: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    cache_apart: bool = False
    reasoning_apart: bool = False
    reasoning_beside: tuple[str, ...] = ()
    other_units: tuple[str, ...] = ()
    tokens_unstated: bool = False
    billed_input: tuple[str, ...] = ()
    billed_output: tuple[str, ...] = ()
    billed_input_details: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    billed_output_details: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    billed_output_apart: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    items: tuple[BilledItems, ...] = ()
    costs: tuple[StatedCost, ...] = ()
    cache_may_be_null: bool = False
    output_may_be_null: bool = False
    loosely_typed: bool = False
    zero_is_unset: bool = False
    states_both: bool = False

    def states_usage(self, data: Any) -> bool:
        """Whether `data` has one of the counts, readable or not."""
        if not isinstance(data, Mapping):
            return False
        stated = (self.input, self.output, self.total, self.other_units)
        if self.zero_is_unset:
            return any(value not in (None, 0) for paths in stated for path in paths for value in iter_path(data, path))
        return any(_is_there(data, path) for paths in stated for path in paths)

    def read(self, data: Any, where: str = "", *, is_begun: bool = False) -> Reading | None:
        """What `data` says, or None if it states no count.

        Args:
            data: The usage object.
            where: The path of the object in the response, for messages.
            is_begun: Whether it may be the first of several, which does not state everything yet.
        """
        if not self.states_usage(data):
            return None
        counts = _Counts(data, where, loosely_typed=self.loosely_typed)
        if self.states_both and not is_begun:
            counts.refuse_absence(self.input, self.output, self.total)
        usage: TokenUsage | None = (tokens := self._usage(counts))
        billed = self._billed(counts, tokens)
        counts.problems.extend(problem for item in self.items if (problem := item.problem(data)))
        is_known = not counts.problems
        if self.tokens_unstated and not any(_is_there(data, path) for path in (*self.input, *self.output, *self.total)):
            usage, billed = None, TokenUsage()
        return Reading(
            usage=usage if is_known else None,
            billed=billed if is_known else None,
            items={item.kind: n for item in self.items if (n := item.count(data)) is not None},
            cost_usd=next((usd for cost in self.costs if (usd := cost.read(data)) is not None), None),
            problems=tuple(counts.problems),
            remarks=tuple(counts.remarks),
        )

    def states_nothing(self, data: Mapping[str, Any]) -> bool:
        """Whether `data` states zeros and nothing else."""
        if _Counts(data, "", loosely_typed=self.loosely_typed).first(self.output):
            return False  # the case of nearly every response; no need to read the rest
        reading = self.read(data)
        return reading is not None and reading.usage == TokenUsage() and not any(reading.items.values())

    def _usage(self, counts: _Counts) -> TokenUsage:
        sent, received, stated_total = (counts.first(paths) for paths in (self.input, self.output, self.total))
        self._refuse_nulls(counts, sent, received, stated_total)
        if received == 0 and (listed := counts.sum(self.output_parts)):
            received = listed
            counts.note_listed(self.output, listed)
        lifetimes = {
            "ephemeral_5m_input_tokens": counts.first(self.cache_write_5m),
            "ephemeral_1h_input_tokens": counts.first(self.cache_write_1h),
        }
        cache_read = counts.first(self.cache_read)
        cache_write = counts.first(self.cache_write)
        if (parts := sum(filter(None, lifetimes.values()))) > (cache_write or 0):
            cache_write = parts
        reasoning = counts.first(self.reasoning)

        input_tokens = (sent or 0) + counts.sum(self.more_input)
        if self.cache_apart:
            input_tokens += (cache_read or 0) + (cache_write or 0)
        output_tokens = (received or 0) + counts.sum(self.more_output)
        # xAI's chat endpoint leaves reasoning out of the completion, under OpenAI's names; only its total shows that.
        is_apart = self.reasoning_apart or stated_total == input_tokens + output_tokens + (reasoning or 0)
        if is_apart:
            output_tokens += reasoning or 0
        # What the total has beyond the parts belongs to the part that is missing, which is not zero. A total alone is
        # not split.
        if not counts.problems and (rest := (stated_total or 0) - input_tokens - output_tokens) > 0:
            if sent is None and received is not None and self.input:
                input_tokens += rest
                counts.note_rest(self.input, rest)
            elif received is None and sent is not None and self.output:
                output_tokens += rest
                counts.note_rest(self.output, rest)
        return TokenUsage.from_counts(
            input_tokens,
            output_tokens,
            total_tokens=stated_total,
            input_token_details=_known(
                cache_read=cache_read,
                cache_creation=cache_write,
                **lifetimes,
                audio=counts.first(self.audio_input),
            ),
            output_token_details=_known(reasoning=reasoning, audio=counts.first(self.audio_output)),
        )

    def _refuse_nulls(self, counts: _Counts, sent: int | None, received: int | None, stated_total: int | None) -> None:
        """Reports members that must be numbers and are null: input and output, unless the total says the same, and what
        is added to them.
        """
        if sent is None and (stated_total is None or stated_total != received):
            counts.refuse_null(self.input)
        counts.refuse_null(counts.passed_over(self.input))
        counts.refuse_null(counts.passed_over(self.output))
        if received is None and (stated_total is None or stated_total != sent) and not self.output_may_be_null:
            counts.refuse_null(self.output)
        counts.refuse_nulls(self.more_input, self.more_output)
        if self.reasoning_apart:
            counts.refuse_nulls(self.reasoning)
        if self.cache_apart and not self.cache_may_be_null:
            counts.refuse_nulls(self.cache_read, self.cache_write)

    def _billed(self, counts: _Counts, usage: TokenUsage) -> TokenUsage | None:
        """The usage as it is billed; None if that is `usage`."""
        sent, received = (counts.first(paths) for paths in (self.billed_input, self.billed_output))
        inputs, outputs = (
            {key: n for key, paths in details.items() if (n := counts.first(paths))}
            for details in (self.billed_input_details, self.billed_output_details)
        )
        if sent is not None or received is not None:
            return TokenUsage.from_counts(
                (sent or 0) + counts.sum(self.more_input),
                received or 0,
                input_token_details=inputs,
                output_token_details=outputs,
            )
        apart = {key: n for key, paths in self.billed_output_apart.items() if (n := counts.first(paths))}
        output_tokens = usage.output_tokens + sum(apart.values())
        if self.reasoning_beside and counts.first(self.reasoning_beside) is not None:
            reasoning = usage.output_token_details.get("reasoning", 0)
            # Reasoning that exceeds the output cannot be part of it.
            output_tokens += reasoning if reasoning > usage.output_tokens else 0
        outputs |= apart
        if not inputs and not outputs and output_tokens == usage.output_tokens:
            return None
        if output_tokens != usage.output_tokens:
            usage = replace(
                usage,
                output_tokens=output_tokens,
                total_tokens=usage.total_tokens + output_tokens - usage.output_tokens,
            )
        return replace(
            usage,
            input_token_details={**usage.input_token_details, **inputs},
            output_token_details={**usage.output_token_details, **outputs},
        )


class _Counts:
    """The counts of one usage object, and what was found in place of counts."""

    def __init__(self, data: Mapping[str, Any], where: str, *, loosely_typed: bool) -> None:
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._data = data
        self._prefix = f"{where}." if where else ""
        self._loosely_typed = loosely_typed

    def first(self, paths: tuple[str, ...]) -> int | None:
        """The count at the first of `paths` that leads to anything but null."""
        for path in paths:
            if path.endswith("[]"):
                if found := list(iter_path(self._data, path)):
                    return len(found)
            elif keys := path_keys(path):
                # A fast way for nearly every path: a usage object is searched for some dozens of them.
                value: Any = self._data
                for key in keys:
                    if not isinstance(value, dict):
                        value = None
                        break
                    value = value.get(key)
                if value is not None:
                    return self._read(path, value)
            else:
                found = list(iter_path(self._data, path))
                if values := [value for value in found if value is not None]:
                    if len(values) < len(found):
                        self.refuse_null((path,))
                    return sum(self._read(path, value) for value in values)
        return None

    def sum(self, paths: tuple[str, ...]) -> int:
        return sum(self.first((path,)) or 0 for path in paths)

    def refuse_null(self, paths: tuple[str, ...]) -> None:
        """Notes the path that holds null where a count must be."""
        for path in paths:
            if any(value is None for value in iter_path(self._data, path)):
                self._report(self.problems, f"{self._prefix}{path} holds null, which is not a number of tokens")
                return

    def refuse_absence(self, sent: tuple[str, ...], received: tuple[str, ...], total: tuple[str, ...]) -> None:
        """Notes that only one of two counts is there, unless a total gives the other."""
        there = [any(_is_there(self._data, path) for path in paths) for paths in (sent, received)]
        if there[0] != there[1] and not any(_is_there(self._data, path) for path in total):
            # In the same spelling as the other: an object with `input_tokens` lacks `output_tokens`.
            has, lacks = (sent, received) if there[0] else (received, sent)
            spelling = next(index for index, path in enumerate(has) if _is_there(self._data, path))
            lacking = lacks[min(spelling, len(lacks) - 1)]
            if all(value is not None for value in iter_path(self._data, lacking)):  # null is reported as null
                self._report(self.problems, f"{self._prefix}{lacking} is missing")

    def note_rest(self, paths: tuple[str, ...], rest: int) -> None:
        """Notes that a count is missing, and what the total leaves for it."""
        self._report(self.remarks, f"{self._prefix}{paths[0]} is missing: the total leaves {rest:,} for it")

    def note_listed(self, paths: tuple[str, ...], listed: int) -> None:
        """Notes that a count is zero although its parts are not."""
        self._report(self.remarks, f"{self._prefix}{paths[0]} is 0, and {listed:,} are listed: they count")

    def passed_over(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """The paths before the one that `first` takes; empty if it takes none."""
        for index, path in enumerate(paths):
            if _is_there(self._data, path):
                return paths[:index]
        return ()

    def refuse_nulls(self, *members: tuple[str, ...]) -> None:
        """Notes each count of which every path that is there holds null."""
        for paths in members:
            if self.first(paths) is None:
                self.refuse_null(paths)

    def _read(self, path: str, value: Any) -> int:
        if type(value) is int and 0 <= value <= MAX_COUNT:
            return value
        number = _count_in(value)
        if number is None:
            self._report(self.problems, f"{self._prefix}{path} holds {shown(value)}, which is not a number of tokens")
            return 0
        if not self._loosely_typed:
            self._report(self.remarks, f"{self._prefix}{path} holds {shown(value)}, read as {number:,}")
        return number

    @staticmethod
    def _report(reports: list[str], report: str) -> None:
        if report not in reports:
            reports.append(report)


def _is_there(data: Mapping[str, Any], path: str) -> bool:
    keys = path_keys(path)
    if len(keys) == 1:
        return data.get(keys[0]) is not None
    return any(value is not None for value in iter_path(data, path))


def _count_in(value: Any) -> int | None:
    """The count in a value that is not a plain integer: `12.0`, `"12"`."""
    if isinstance(value, float):
        return int(value) if 0 <= value <= MAX_COUNT and value.is_integer() else None
    if isinstance(value, str) and (digits := _DIGITS.fullmatch(value)):
        number = int(digits[1])
        return number if number <= MAX_COUNT else None
    return None


def _known(**details: int | None) -> dict[str, int]:
    return {key: value for key, value in details.items() if value is not None}
