"""Cassettes: provider traffic, recorded once and replayed, in vcrpy's format.

`recorder` is the only module that knows vcrpy, and it is loaded when the first cassette is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llm_usage.cassettes.matching import DEFAULT_MATCH_ON, MATCHERS, JsonPath
from pytest_llm_usage.cassettes.policy import RECORD_MODES, CassettePolicy, JsonStyle, RecordMode
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.storage import cassette_path, find_recording

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.recorder import OpenCassette, observing_vcrpy

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
]


def __getattr__(name: str) -> Any:
    if name in ("OpenCassette", "observing_vcrpy"):
        from pytest_llm_usage.cassettes import recorder  # noqa: PLC0415 - loads vcrpy

        return getattr(recorder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
