"""`split_input`: the provider's count of a call's input, split over its parts.

The shares are counted with a tokenizer and scaled so that the parts add up to the count. What no tokenizer counts
(images, files, a conversation that the provider keeps) gets what the texts leave over. What the provider adds of its
own is `other`.
"""

from __future__ import annotations

from collections import Counter

from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.schema_text import NAMESPACE
from pytest_llm_usage.anatomy.tokenizer import CHARACTERS, Tokenizer, is_exact_for, tokenizer_for
from pytest_llm_usage.credentials.mask import mask_name
from pytest_llm_usage.input_by_part import InputByPart, InputPart, apportioned

__all__ = ["TOOL_USE_PROMPT", "count_piece", "count_text", "split_input", "tokens_by_piece"]

#: Tokens that the model's answer starts with:
#: https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
_BEFORE_ANSWER = 3
#: The weight of a piece that no tokenizer counts, where there are several; and its tokens where the estimate for the
#: texts leaves none over. It is an image of Gemini's: https://ai.google.dev/gemini-api/docs/image-understanding
_UNCOUNTED = 258
#: How far the counts of texts may be scaled up, in tokens and per cent. The provider has added whatever is beyond that:
#: another maker's tokenizer cuts texts into up to 1.5 times as many tokens (Claude Opus 4.8 among the models recorded).
_ALWAYS_ADDED = 8
_MOST_PERCENT = {"exact": 100, "nearest": 150, CHARACTERS: 200}
#: Anthropic adds a system prompt of its own to requests with tools:
#: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing
TOOL_USE_PROMPT = "(tool use prompt)"
_FROM_SERVERS = "(from servers)"

_Leaf = tuple[InputPart, str]


def count_piece(piece: Piece, tokenizer: Tokenizer) -> int:
    """The tokens of a text piece, with what the API puts around it."""
    return tokenizer.count(piece.content) + piece.framing


def count_text(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """The tokens of all texts of a prompt; images, files and what the provider adds are left out."""
    texts = sum(count_piece(piece, tokenizer) for piece in prompt.pieces if piece.is_text)
    return texts + _around_tools(prompt, tokenizer) + (_BEFORE_ANSWER if prompt.api == "openai" else 0)


def split_input(prompt: Prompt, model: str, input_tokens: int, tokenizer: Tokenizer | None = None) -> InputByPart:
    """The `input_tokens` of a call split over the parts of its `prompt`; they add up to exactly that.

    Args:
        prompt: What was sent.
        model: The model that read it.
        input_tokens: The provider's count.
        tokenizer: Counts the texts; None for the model's own, or the nearest installed.
    """
    tokens = tokens_by_piece(prompt, model, input_tokens, tokenizer or tokenizer_for(model))
    leaves: list[_Leaf] = [(piece.part, piece.name) for piece in prompt.pieces]
    leaves += [(part, _FROM_SERVERS if part == "tools" else "") for part in prompt.unseen]
    shares: Counter[_Leaf] = Counter(dict.fromkeys(leaves, 0))
    for leaf, share in zip(leaves, tokens, strict=True):
        shares[leaf] += share
    if added := input_tokens - sum(tokens):
        has_tools = prompt.api == "anthropic" and any(
            piece.part == "tools" and piece.is_text for piece in prompt.pieces
        )
        shares[("tools", TOOL_USE_PROMPT) if has_tools else ("other", "")] += added
    parts: Counter[str] = Counter()
    for (part, _), share in shares.items():
        parts[part] += share
    tools: Counter[str] = Counter()
    for (part, name), share in shares.items():
        if part == "tools":
            tools[mask_name(name)] += share
    return InputByPart(parts, tools, (tokenizer or tokenizer_for(model)).name)


def tokens_by_piece(prompt: Prompt, model: str, input_tokens: int, tokenizer: Tokenizer) -> list[int]:
    """The `input_tokens` of a call split over the pieces of its prompt, then over its unseen parts.

    They add up to `input_tokens`, or to less where the provider has added something of its own.
    """
    counted = [count_piece(piece, tokenizer) if piece.is_text else 0 for piece in prompt.pieces]
    tools = [i for i, piece in enumerate(prompt.pieces) if piece.is_text and piece.part == "tools"]
    around = apportioned(_around_tools(prompt, tokenizer), [counted[i] for i in tools])
    for i, share in zip(tools, around, strict=True):
        counted[i] += share
    counted += [0] * len(prompt.unseen)
    uncounted = [0 if piece.is_text else _UNCOUNTED for piece in prompt.pieces] + [_UNCOUNTED] * len(prompt.unseen)
    texts, left = sum(counted), input_tokens - sum(counted)
    if any(uncounted) and left > 0:
        return [text + share for text, share in zip(counted, apportioned(left, uncounted), strict=True)]
    basis = "exact" if is_exact_for(model, tokenizer) else "nearest" if tokenizer.is_exact else CHARACTERS
    most = texts * _MOST_PERCENT[basis] // 100 + _ALWAYS_ADDED
    weights = [text + other for text, other in zip(counted, uncounted, strict=True)]
    return apportioned(min(input_tokens, most) if not any(uncounted) else input_tokens, weights)


def _around_tools(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """The tokens around the schemas of OpenAI's functions."""
    if prompt.api != "openai" or not any(piece.part == "tools" and piece.is_text for piece in prompt.pieces):
        return 0
    return sum(map(tokenizer.count, NAMESPACE))
