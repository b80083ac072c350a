"""Cassettes: provider traffic, recorded once and replayed, in vcrpy's format.

The path of a body:

- Replay: file → `storage` (decompressed, by its first bytes) → `reader` → `Interaction` (a request and a response,
  plain bytes) → `recorder` picks one by `matching` → `vcr_convert.playable` (content encoding undone, the only time) →
  `vcr_convert.vcr_response` → the client. The observer gets the same bytes in an `Exchange`.
- Recording: the client's response → `vcr_convert.plain_response` → `playable` → an `Exchange` for the observer, and an
  `Interaction` that is kept → `sanitize` when the test has passed → `writer` → `storage` (one atomic replacement).

Only the `vcr_…` modules and `observer` know vcrpy. They are loaded when the first cassette is opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.cassettes.json_path import JsonPath
from pytest_llm_usage.cassettes.matching import DEFAULT_MATCH_ON, MATCHERS
from pytest_llm_usage.cassettes.names import cassette_path
from pytest_llm_usage.cassettes.policy import RECORD_MODES, CassettePolicy, JsonStyle, RecordMode
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.storage import find_recording

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.observer import observing_vcrpy, watch_all_cassettes
    from pytest_llm_usage.cassettes.open_cassette import OpenCassette

__all__ = [
    "DEFAULT_MATCH_ON",
    "MATCHERS",
    "RECORD_MODES",
    "CassettePolicy",
    "JsonPath",
    "JsonStyle",
    "OpenCassette",
    "RecordMode",
    "Redaction",
    "cassette_path",
    "find_recording",
    "observing_vcrpy",
    "watch_all_cassettes",
]

#: The names whose modules load vcrpy, each with its module.
_LATE = {"OpenCassette": "open_cassette", "observing_vcrpy": "observer", "watch_all_cassettes": "observer"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
