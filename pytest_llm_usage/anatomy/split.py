"""`split_input`: the provider's count of a call's input, split over its parts.

The shares are counted with a tokenizer and scaled so that the parts add up to the count. What no tokenizer counts
(images, files, a conversation that the provider keeps) gets what the texts leave over. What the provider adds of its own is
`other`.
"""

from __future__ import annotations

from collections import Counter

from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.schema_text import NAMESPACE
from pytest_llm_usage.anatomy.tokenizer import CHARACTERS, Tokenizer, is_exact_for, tokenizer_for
from pytest_llm_usage.input_by_part import InputByPart, InputPart, apportioned

__all__ = ["TOOL_USE_PROMPT", "count_piece", "count_text", "split_input"]

#: Tokens that the model's answer starts with: https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken
_BEFORE_ANSWER = 3
#: The share of a piece that no tokenizer counts, where there are several; and its tokens where the texts are estimated to
#: take all there is: an image of Gemini's. https://ai.google.dev/gemini-api/docs/image-understanding
_UNCOUNTED = 258
#: By how much the counts of texts may be scaled up, in tokens and per cent. What is beyond that, the provider has added: another
#: maker's tokenizer cuts texts into up to 1.5 times as many tokens (Claude Opus 4.8 among the models recorded).
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
        model: Who read it.
        input_tokens: The provider's count.
        tokenizer: What counts the texts; None takes the model's, or the nearest installed.
    """
    tokenizer = tokenizer or tokenizer_for(model)
    is_exact = is_exact_for(model, tokenizer)
    counted: Counter[_Leaf] = Counter()
    uncounted: Counter[_Leaf] = Counter()
    for piece in prompt.pieces:
        if piece.is_text:
            counted[piece.part, piece.name] += count_piece(piece, tokenizer)
        else:
            uncounted[piece.part, piece.name] += _UNCOUNTED
    for part in prompt.unseen:
        uncounted[part, _FROM_SERVERS if part == "tools" else ""] += _UNCOUNTED
    tools = [leaf for leaf in counted if leaf[0] == "tools"]
    around = apportioned(_around_tools(prompt, tokenizer), [counted[leaf] for leaf in tools])
    for leaf, tokens in zip(tools, around, strict=True):
        counted[leaf] += tokens

    texts = sum(counted.values())
    most = (
        texts * _MOST_PERCENT["exact" if is_exact else "nearest" if tokenizer.is_exact else CHARACTERS] // 100
        + _ALWAYS_ADDED
    )
    if uncounted and input_tokens > texts:
        shares = counted + _split(input_tokens - texts, uncounted)
    elif input_tokens > most:
        added: _Leaf = ("tools", TOOL_USE_PROMPT) if prompt.api == "anthropic" and tools else ("other", "")
        shares = _split(most, counted) + Counter({added: input_tokens - most})
    else:
        shares = _split(input_tokens, counted + uncounted)
    parts: Counter[str] = Counter()
    for (part, _), tokens in shares.items():
        parts[part] += tokens
    # A request of nothing that takes tokens, which the provider counts some for.
    parts["other"] += input_tokens - sum(parts.values())
    names = dict.fromkeys(name for part, name in (*counted, *uncounted, *shares) if part == "tools")
    return InputByPart(parts, {name: shares["tools", name] for name in names}, tokenizer.name)


def _split(total: int, weights: Counter[_Leaf]) -> Counter[_Leaf]:
    return Counter(dict(zip(weights, apportioned(total, list(weights.values())), strict=True)))


def _around_tools(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """The tokens around the schemas of OpenAI's functions."""
    if prompt.api != "openai" or not any(piece.part == "tools" and piece.is_text for piece in prompt.pieces):
        return 0
    return sum(map(tokenizer.count, NAMESPACE))
