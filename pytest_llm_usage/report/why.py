"""Why a run costs what it costs: its largest causes (a test, a node, a part of the input or the output), in words.

The costs of parts are shares of what the input cost, so they are estimates, as the shares are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from textwrap import wrap

from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.report.data import RunData, calls_by_test, calls_in
from pytest_llm_usage.text import percent, plural, usd

__all__ = ["SHARED", "Cause", "ExplainedTest", "about_usd", "causes", "explained_tests", "why_lines", "why_words"]

_MOST_CAUSES = 5
#: The name in place of a test's, for calls that no test made.
SHARED = "shared fixtures"

#: Part → what the calls do, and what would change it.
_WORDS: Mapping[str, tuple[str, str]] = {
    "system": ("send the system prompt", "shorten it, or let the provider's prompt cache read it"),
    "tools": ("send the schemas of their tools", "send fewer tools, or shorten their descriptions"),
    "history": ("send earlier messages again", "drop or summarise old messages"),
    "tool_results": ("send what tools returned", "let the tools return less, or drop old results"),
    "user": ("send the user's messages", "shorten the prompt"),
    "images": ("send images", "send fewer or smaller images"),
    "files": ("send files", "send only the pages that are needed"),
    "other": (
        "send response formats and what the provider adds",
        "ask for a smaller response format, where the request has one",
    ),
    "answers": ("receive the model's answers", "ask for shorter answers, or limit them with max_tokens"),
    "reasoning": ("receive the model's reasoning", "lower the reasoning effort"),
    "input": ("send input that cannot be split", "record again, so that the requests can be read"),
}
_OUTPUT = ("answers", "reasoning")
_BEFORE_WORDS = re.compile(r"\d+\. | +")


@dataclass(frozen=True, slots=True)
class ExplainedTest:
    """What explains the cost of a test.

    Attributes:
        nodeid: pytest's node id; `shared fixtures` for calls that no test made.
        calls: All its calls.
        prefix_notes: See `CachePrefix.notes`.
    """

    nodeid: str
    calls: Sequence[Call]
    prefix_notes: Sequence[str] = ()


@dataclass(slots=True)
class Cause:
    """What one part of a test's calls took, in one node of its graph.

    Attributes:
        nodeid: The test.
        node: The LangGraph node; None outside of a graph.
        part: A part of the input, `answers` or `reasoning`.
        tokens: How many.
        costs_usd: What they cost, call by call; None for one whose price is not known.
        calls: Which calls, each with its tokens.
        tools: Tokens by the tool's name.
    """

    nodeid: str
    node: str | None
    part: str
    tokens: int = 0
    costs_usd: list[Decimal | None] = field(default_factory=list)
    calls: list[tuple[int, Call]] = field(default_factory=list)
    tools: dict[str, int] = field(default_factory=dict)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost; None if that is not known for a call."""
        known = [cost for cost in self.costs_usd if cost is not None]
        return total(known) if len(known) == len(self.costs_usd) else None

    @property
    def words(self) -> str:
        """What the calls did."""
        about = "" if self.part in (*_OUTPUT, "input") else "~"
        where = f"{self.nodeid}, node {self.node}" if self.node is not None else self.nodeid
        verb = _WORDS[self.part][0]
        if len(self.calls) == 1:
            first, _, rest = verb.partition(" ")
            verb = f"{first}s {rest}".replace("their tools", "its tools")
        words = f"{where}: {plural(len(self.calls), 'call')} {verb}, {about}{plural(self.tokens, 'token')}"
        if self.tools:
            name, tokens = max(self.tools.items(), key=lambda item: item[1])
            words += f", of them ~{tokens:,} for {name}" if len(self.tools) > 1 else f", all for {name}"
        most, largest = max(self.calls, key=lambda item: item[0])
        if sum(tokens == most for tokens, _ in self.calls) == 1 < len(self.calls):
            words += f"; most in call {largest.index + 1}{f' ({largest.where})' if largest.where else ''}"
        return words

    @property
    def change(self) -> str:
        """What would change it."""
        return _WORDS[self.part][1]


def explained_tests(data: RunData, by_test: Mapping[str, Sequence[Call]] | None = None) -> list[ExplainedTest]:
    """The tests of a run and, last, the calls that no test made.

    Args:
        data: The run.
        by_test: Its `calls_by_test`, if they were already read.
    """
    tests = [
        ExplainedTest(nodeid, calls, data["tests"][nodeid].get("prefix_notes", ()))
        for nodeid, calls in (calls_by_test(data) if by_test is None else by_test).items()
    ]
    return [*tests, ExplainedTest(SHARED, calls_in(data["shared"]))]


def causes(tests: Iterable[ExplainedTest]) -> list[Cause]:
    """Everything that took tokens, the most expensive first; by tokens if a price is not known."""
    found: dict[tuple[str, str | None, str], Cause] = {}
    for test in tests:
        for call in test.calls:
            if call.is_billed and call.usage is not None:
                for part, tokens, cost in _parts_of(call):
                    cause = found.setdefault((test.nodeid, call.node, part), Cause(test.nodeid, call.node, part))
                    cause.tokens += tokens
                    cause.costs_usd.append(cost)
                    cause.calls.append((tokens, call))
                    if part == "tools" and call.input_by_part is not None:
                        for name, size in call.input_by_part.tools_by_name.items():
                            cause.tools[name] = cause.tools.get(name, 0) + size
    ranked = list(found.values())
    if any(cause.cost_usd is None for cause in ranked):
        return sorted(ranked, key=lambda cause: -cause.tokens)
    return sorted(ranked, key=lambda cause: (-(cause.cost_usd or 0), -cause.tokens))


def why_words(part: str) -> tuple[str, str]:
    """What calls do to take tokens for a part, and what would change it."""
    return _WORDS[part]


def _parts_of(call: Call) -> Iterable[tuple[str, int, Decimal | None]]:
    """Each part of a call with its tokens and what they cost."""
    usage, parts = call.usage, call.input_by_part
    if usage is None:
        return
    input_usd = parts.cost_usd if parts is not None else None
    sent: Mapping[str, int] = {"input": usage.input_tokens} if parts is None else parts
    for part, tokens in sent.items():
        if tokens:
            yield part, tokens, _share(input_usd, tokens, usage.input_tokens)
    output_usd = None
    if input_usd is not None and call.cost_usd is not None and call.cost_usd >= input_usd:
        output_usd = EXACT.subtract(call.cost_usd, input_usd)
    reasoning = min(usage.output_token_details.get("reasoning", 0), usage.output_tokens)
    for part, tokens in (("answers", usage.output_tokens - reasoning), ("reasoning", reasoning)):
        if tokens:
            yield part, tokens, _share(output_usd, tokens, usage.output_tokens)


def _share(cost_usd: Decimal | None, tokens: int, of: int) -> Decimal | None:
    return None if cost_usd is None else EXACT.divide(EXACT.multiply(cost_usd, tokens), of)


def about_usd(cost_usd: Decimal | None) -> str:
    """An estimated cost: `~$0.018`, `<$0.00001`."""
    shown = usd(cost_usd)
    return f"<${shown[1:]}" if shown.startswith("<") else f"~${shown}"


def why_lines(tests: Sequence[ExplainedTest], columns_most: int) -> list[str]:
    """The largest causes with what would change each, then what keeps prefixes from being read from a cache.

    Args:
        tests: What was called.
        columns_most: How long a line may be.
    """
    return [line for text in _why_texts(tests) for line in _wrapped(text, columns_most)]


def _wrapped(text: str, columns_most: int) -> list[str]:
    """A text in lines; those after the first are indented to where its words start, after a number or blanks."""
    start = _BEFORE_WORDS.match(text)
    indent = " " * (start.end() if start else 2)
    return wrap(text, columns_most, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


def _why_texts(tests: Sequence[ExplainedTest]) -> list[str]:
    ranked = causes(tests)
    if not ranked:
        return []
    is_priced = all(cause.cost_usd is not None for cause in ranked)
    whole = total(cause.cost_usd or Decimal(0) for cause in ranked) if is_priced else sum(c.tokens for c in ranked)
    lines = ["why it costs that (shares are estimates)" if is_priced else "why it takes that (shares are estimates)"]
    for number, cause in enumerate(ranked[:_MOST_CAUSES], start=1):
        amount = cause.cost_usd if is_priced else cause.tokens
        share = percent(amount or 0, whole)
        shown = f"{about_usd(cause.cost_usd)}, {share}" if is_priced else share
        lines += [f"{number}. {shown}: {cause.words}", f"   To change it: {cause.change}"]
    left = ranked[_MOST_CAUSES:]
    if left:
        amount = total(cause.cost_usd or Decimal(0) for cause in left) if is_priced else sum(c.tokens for c in left)
        lines.append(f"   everything else: {percent(amount, whole)}")
    notes = [f"{test.nodeid}: {note}" for test in tests for note in test.prefix_notes]
    return [*lines, *(["", *notes] if notes else [])]
