"""Cassettes: provider traffic, recorded once and replayed, in vcrpy's format.

The path of a body:

- Replay: file → `storage` (decompressed, by its first bytes) → `reader` → `Interaction` (a request and a response,
  plain bytes) → `recorder` picks one by `matching` → `vcr_convert.playable` (content encoding undone, the only time) →
  `vcr_convert.vcr_response` → the client. The observer gets the same bytes in an `Exchange`.
- Recording: the client's response → `vcr_convert.plain_response` → `playable` → an `Exchange` for the observer, and an
  `Interaction` that is kept → `sanitize` when the test has passed → `writer` → `storage` (one atomic replacement).

Only the `vcr_…` modules and `observer` know vcrpy. The names of this package are imported on first use: observing the
cassettes of others needs few of its modules.
"""

from typing import TYPE_CHECKING

from pytest_llm_usage.import_hook import lazy_names

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.json_path import JsonPath
    from pytest_llm_usage.cassettes.matching import DEFAULT_MATCH_ON, MATCHERS
    from pytest_llm_usage.cassettes.names import cassette_path
    from pytest_llm_usage.cassettes.observer import observing_vcrpy, watch_all_cassettes
    from pytest_llm_usage.cassettes.open_cassette import OpenCassette
    from pytest_llm_usage.cassettes.policy import RECORD_MODES, CassettePolicy, JsonStyle, RecordMode
    from pytest_llm_usage.cassettes.redaction import Redaction
    from pytest_llm_usage.cassettes.storage import find_recording

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

__getattr__ = lazy_names(
    __name__,
    {
        "json_path": ("JsonPath",),
        "matching": ("DEFAULT_MATCH_ON", "MATCHERS"),
        "names": ("cassette_path",),
        "observer": ("observing_vcrpy", "watch_all_cassettes"),
        "open_cassette": ("OpenCassette",),
        "policy": ("RECORD_MODES", "CassettePolicy", "JsonStyle", "RecordMode"),
        "redaction": ("Redaction",),
        "storage": ("find_recording",),
    },
)
