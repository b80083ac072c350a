"""Model names: the spellings under which a book may know a model, and whether two names mean the same model."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["is_same", "spellings", "stem"]

#: What may follow (or be left out of) a model's name without making it another model.
_REVISION = re.compile(
    r"""(?:
        [-@:](?:19|20)\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])   # -2024-07-18, @20240620
      | -(?:0[1-9]|1[0-2])-(?:19|20)\d{2}                                 # -08-2024
      | -(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])                        # -05-06
      | -\d{3,4}                                                          # -001, -0613, -2411
      | -v\d+ | :\d+ | :\d+k                                              # Bedrock's -v1:0 and :200k
      | -latest | -preview | -exp | -beta
    )$""",
    re.VERBOSE,
)
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|in|ca|sa|me|af|mx|il)\.(?=[a-z0-9-]+\.)")
_OPEN_WEIGHTS = re.compile(r"openai\.gpt-oss-(?:safeguard-)?\d+b")
#: models/gemini-…, projects/…/publishers/google/models/gemini-…
_MODELS_PATH = re.compile(r"(?:^|/)models/[^/]+$")
_FINE_TUNED = re.compile(r"^ft:([^:]+):")


def spellings(provider_id: str | None, model: str) -> Iterator[str]:
    """The spellings of `model` under which the book may know it, the given one first; all in lower case."""
    name = model.strip().lower()
    yield name
    if name.startswith("arn:") or _MODELS_PATH.search(name):
        name = name.rpartition("/")[2]
        yield name
    if fine_tuned := _FINE_TUNED.match(name):
        yield f"ft:{fine_tuned[1]}"
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    if dashed != name:
        yield dashed
    if provider_id == "google" and (plain := name.removeprefix("google/").removesuffix("@default")) != name:
        yield plain  # as Vertex AI's OpenAI-compatible endpoint and its Claude models have it
    if provider_id == "azure":
        yield name.replace("gpt-35-", "gpt-3.5-")
    if provider_id == "aws" and _OPEN_WEIGHTS.fullmatch(name):
        yield f"{name}-1:0"  # Bedrock's newer endpoint (`bedrock-mantle`) leaves the version out
    if provider_id == "aws" and (regionless := _REGION.sub("", name)) != name:
        yield regionless


def stem(name: str) -> str:
    """`name` without dates, revisions and the like, however many."""
    name = name.rstrip("-@:")
    if fine_tuned := _FINE_TUNED.match(name):
        name = f"ft:{fine_tuned[1]}"
    while revision := _REVISION.search(name):
        name = name[: revision.start()]
    return name


def is_same(name: str, start: int, rule: str) -> bool:
    """Whether `rule`, found in `name` at `start`, names that model, not one that only begins (or ends) the same."""
    if start and name[start - 1] not in "/.:":
        return False
    found = name[start:]
    end = len(rule)
    while end < len(found) and found[end].isdigit() and rule[-1].isdigit():
        end += 1  # The rule ends within a number (`claude-sonnet-4-2025`): the number counts as a whole.
    own = stem(found)
    return own == stem(found[:end]) and len(own) <= len(rule)
