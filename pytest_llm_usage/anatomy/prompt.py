"""`Prompt`: the input of one call as a list of pieces, in the order in which the model reads them.

Each family of APIs has a module that reads a request body into pieces. What the readers share is here: texts and
blocks that may be missing or of the wrong type, and the rule for which message belongs to which part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_llm_usage.input_by_part import InputPart

__all__ = ["Piece", "Prompt", "as_json", "by_turn", "content_pieces", "listed", "media_piece", "text_piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One text, image, file or schema of a request.

    Attributes:
        part: The part of the input that it belongs to.
        path: Where it stands in the request body (`messages[0].content`).
        content: What the model reads; for images, files and a provider's own tools, what identifies them.
        name: The tool's name, where it is a tool's schema.
        framing: Tokens that the API puts around it.
        is_text: Whether `content` is what the model reads, so that counting its tokens makes sense.
        ends_cached_prefix: Whether the request marks it as the end of a prefix to cache.
    """

    part: InputPart
    path: str
    content: str
    name: str = ""
    framing: int = 0
    is_text: bool = True
    ends_cached_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request sends to the model.

    Attributes:
        pieces: In the order in which the model reads them: tools, system prompt, then the messages.
        unseen: Parts of which the model reads more than the request holds, such as a conversation kept by the provider.
        api: Whose rules for the tokens around tools apply: `openai`, `anthropic`, or empty where none are known.
    """

    pieces: tuple[Piece, ...]
    unseen: tuple[InputPart, ...] = ()
    api: str = ""


def as_json(value: Any) -> str:
    """`value` as compact JSON, keys in the order in which they were sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def listed(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def text_piece(part: InputPart, path: str, value: Any, **more: Any) -> Iterator[Piece]:
    """Yields a piece for `value`: a text as it is, anything else as JSON; nothing for an empty value."""
    if value is None or value in ("", [], {}):
        return
    yield Piece(part, path, value if isinstance(value, str) else as_json(value), **more)


def media_piece(part: InputPart, path: str, value: Any, **more: Any) -> Piece:
    """A piece for something that is no text to the model: an image, a file, a provider's own tool."""
    return Piece(part, path, value if isinstance(value, str) else as_json(value), is_text=False, **more)


#: Block types of images, and of other content that is not text, in every provider's words: `image_url` and
#: `input_image` are OpenAI's, `document` is Anthropic's and Bedrock's, the rest are Gemini's and others'.
_IMAGES = frozenset({"image", "image_url", "input_image"})
_FILES = frozenset(
    {"file", "input_file", "document", "container_upload", "input_audio", "audio", "audio_url", "video", "video_url"}
)


def content_pieces(part: InputPart, path: str, content: Any, *, framing: int = 0) -> Iterator[Piece]:
    """The pieces of a message's content, which is a text or a list of blocks with a `type` each.

    Args:
        part: The part that its texts belong to; images and files are parts of their own.
        path: Where the content stands.
        content: As it was sent.
        framing: Tokens around the message; they go to its first piece.
    """
    if not isinstance(content, list):
        yield from text_piece(part, path, content, framing=framing)
        return
    for index, block in enumerate(content):
        here = f"{path}[{index}]"
        for piece in _block_pieces(part, here, block):
            yield replace(piece, framing=piece.framing + framing)
            framing = 0


def _block_pieces(part: InputPart, path: str, block: Any) -> Iterator[Piece]:
    if not isinstance(block, Mapping):
        yield from text_piece(part, path, block)
        return
    kind = block.get("type")
    marked = "cache_control" in block or "prompt_cache_breakpoint" in block
    source = block.get("source")
    if kind in _IMAGES:
        yield media_piece("images", path, block, ends_cached_prefix=marked)
    elif kind == "document" and isinstance(source, Mapping) and source.get("type") in ("text", "content"):
        # Anthropic's documents of plain text.
        text = source.get("data") or source.get("content")
        yield from text_piece("files", f"{path}.source", text, ends_cached_prefix=marked)
    elif kind in _FILES:
        yield media_piece("files", path, block, ends_cached_prefix=marked)
    else:
        key = next((key for key in ("text", "thinking", "refusal") if isinstance(block.get(key), str)), None)
        here, text = (path, block) if key is None else (f"{path}.{key}", block[key])
        yield from text_piece(part, here, text, ends_cached_prefix=marked)


def by_turn(pieces: Iterable[tuple[str, Piece]]) -> Iterator[Piece]:
    """Separates the user's last message from the history: `user` is what the user sent after the model's last answer.

    Where the model's last answer comes after everything that the user sent (an agent's loop), `user` is the user's last
    message.

    Args:
        pieces: Each with the role of its message: `user`, `assistant` or whatever else.
    """
    pairs = list(pieces)
    last_user = max((i for i, (role, piece) in enumerate(pairs) if role == "user" and piece.part == "user"), default=-1)
    first_user = last_user
    while first_user > 0 and pairs[first_user - 1][0] != "assistant":
        first_user -= 1
    for index, (role, piece) in enumerate(pairs):
        is_past = role == "assistant" or index < first_user
        yield replace(piece, part="history") if piece.part == "user" and is_past else piece
