"""`input_delta`: by how many tokens the input of a request differs from that of a recording."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.request import UnreadableRequestError, read_body
from pytest_llm_usage.anatomy.split import count_text
from pytest_llm_usage.anatomy.tokenizer import (
    CHARACTERS,
    INSTALL,
    Tokenizer,
    encoding_of,
    is_exact_for,
    tokenizer_for,
)
from pytest_llm_usage.money import EXACT, normal
from pytest_llm_usage.text import plural
from pytest_llm_usage.wire.recognition import Request, by_path

__all__ = ["InputDelta", "delta_of_bodies", "input_delta"]

#: The estimate for a changed schema may be off by this much, as measured on recordings of OpenAI's models with tools.
_SCHEMA_ERROR_PERCENT = 15


@dataclass(frozen=True, slots=True)
class InputDelta:
    """The tokens by which an input changed; negative where it takes fewer.

    Attributes:
        least: The smallest change to expect from the texts and schemas.
        most: The largest; the same as `least` where only texts changed.
        counted_with: The tokenizer's encoding, or `characters`.
        is_exact: Whether it is the provider's own tokenizer and only texts changed.
        uncounted: The paths of changed images, files and provider's own tools, whose tokens cannot be estimated.
        hint: What to install for a better count; empty where nothing would help.
    """

    least: int
    most: int
    counted_with: str
    is_exact: bool
    uncounted: tuple[str, ...] = ()
    hint: str = ""

    def lines(self, usd_per_million: Decimal | None = None) -> list[str]:
        """The change in words, line by line; no lines where nothing that takes tokens changed.

        Args:
            usd_per_million: The price of input tokens; None where it is not known.
        """
        found = []
        if self.least or self.most:
            basis = (
                f"counted with {self.counted_with}"
                if self.is_exact
                else f"estimate by {'characters' if self.counted_with == CHARACTERS else self.counted_with}"
            )
            found.append(f"{self._amount()}{self._cost(usd_per_million)} ({basis})")
            found += [self.hint] if self.hint else []
        if self.uncounted:
            shown = ", ".join(self.uncounted[:3])
            more = f" and {len(self.uncounted) - 3} more" if len(self.uncounted) > 3 else ""
            found.append(f"not estimable: the input tokens of {shown}{more}")
        return found

    def _cost(self, usd_per_million: Decimal | None) -> str:
        if usd_per_million is None or self.least < 0 < self.most:
            return ""
        tokens = sorted({abs(self.least), abs(self.most)})
        amounts = [normal(EXACT.divide(EXACT.multiply(n, usd_per_million), 10**6)) for n in tokens]
        return f", {' to '.join(f'${amount:f}' for amount in amounts)} a call"

    def _amount(self) -> str:
        about = "" if self.is_exact else "about "
        if self.least == self.most:
            return f"{about}{plural(abs(self.most), 'input token')} {'more' if self.most > 0 else 'fewer'}"
        if self.least < 0 < self.most:
            return f"between {plural(-self.least, 'input token')} fewer and {self.most:,} more"
        low, high = sorted((abs(self.least), abs(self.most)))
        return f"{about}{low:,} to {plural(high, 'input token')} {'more' if self.most > 0 else 'fewer'}"


def delta_of_bodies(method: str, path: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> InputDelta | None:
    """The difference in input tokens between two requests; None where they are not calls to a model.

    Args:
        method: The HTTP method of both.
        path: The path of both URLs.
        was: The recorded body.
        now: The new one.
    """
    named = now.get("model")
    recognised = by_path(method, path, Request(frozenset(now), named if isinstance(named, str) else None))
    if recognised is None or recognised[1] != "call":
        return None
    flavour, _, in_path = recognised
    model = in_path.get("model") or (named if isinstance(named, str) else "")
    try:
        prompts = read_body(was, flavour.name), read_body(now, flavour.name)
    except UnreadableRequestError:
        return None
    return input_delta(*prompts, model, tokenizer_for(model))


def input_delta(was: Prompt, now: Prompt, model: str, tokenizer: Tokenizer) -> InputDelta:
    """The difference in tokens between `was` and `now`, as far as it can be estimated.

    Args:
        was: What the recorded request sends.
        now: What the new request sends.
        model: The model; the result says whether its provider counts with `tokenizer`.
        tokenizer: Counts the texts.
    """
    texts = count_text(_without_tools(now), tokenizer) - count_text(_without_tools(was), tokenizer)
    is_tool_change = _schemas(was) != _schemas(now)
    tools = count_text(now, tokenizer) - count_text(was, tokenizer) - texts if is_tool_change else 0
    error = math.ceil(abs(tools) * _SCHEMA_ERROR_PERCENT / 100)
    if is_tool_change:
        error = max(error, 1)
    uncounted = (_uncounted(was) - _uncounted(now)) + (_uncounted(now) - _uncounted(was))
    return InputDelta(
        texts + tools - error,
        texts + tools + error,
        tokenizer.name,
        is_exact_for(model, tokenizer) and not is_tool_change,
        tuple(dict.fromkeys(path for path, _ in uncounted)),
        f"exact with  {INSTALL}" if encoding_of(model) and not tokenizer.is_exact else "",
    )


def _without_tools(prompt: Prompt) -> Prompt:
    return Prompt(tuple(piece for piece in prompt.pieces if piece.part != "tools"), prompt.unseen, prompt.api)


def _schemas(prompt: Prompt) -> list[str]:
    return [piece.content for piece in prompt.pieces if piece.part == "tools" and piece.is_text]


def _uncounted(prompt: Prompt) -> Counter[tuple[str, str]]:
    """The pieces that no tokenizer counts, by path and content."""
    pieces: list[Piece] = [piece for piece in prompt.pieces if not piece.is_text]
    return Counter((piece.path, piece.content) for piece in pieces)
