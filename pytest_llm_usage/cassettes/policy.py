"""`CassettePolicy`: everything that decides how one cassette is used, gathered by the code that opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cassettes.run_recordings import RunRecordings

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["RECORD_MODES", "CassettePolicy", "JsonStyle", "RecordMode"]

RecordMode: TypeAlias = Literal["none", "once", "new_episodes", "all", "rewrite", "stale", "live"]
RECORD_MODES: tuple[RecordMode, ...] = ("none", "once", "new_episodes", "all", "rewrite", "stale", "live")
JsonStyle: TypeAlias = Literal["indented", "verbatim"]


@dataclass(frozen=True, kw_only=True)
class CassettePolicy:
    """How one cassette is used.

    Attributes:
        path: The cassette; a file with `.gz` after that name is read as well.
        record_mode: `none` replays and fails on a request that is not recorded; `once` records if there is no cassette
            and replays otherwise; `new_episodes` replays and records what is missing; `all` sends every request again
            and keeps recordings of requests that were not made; `rewrite` sends every request again and keeps only what
            other tests of the same run recorded; `stale` replays, records what is missing, and then drops what was not
            asked for; `live` uses no cassette at all.
        rerecord_command: The command that records this cassette again, as error messages show it.
        rerecord_all_command: The command that records it again with all tests that may share it; empty if it is one
            test's own.
        draws_examples: Whether a Hypothesis test makes the requests, with other examples in every run.
        match_on_from: The setting that names the matchers, as an error shows it.
        match_on: Names of vcrpy's matchers. None for those of `vcr_config`, else
            `pytest_llm_usage.cassettes.DEFAULT_MATCH_ON`.
        ignore_body: Paths in JSON request bodies that are not compared (see `matching.JsonPath`).
        ignore_hosts: Hosts that are neither recorded nor replayed nor refused: names or patterns such as
            `*.internal`, with `:port` where only that port is meant.
        json_style: How JSON bodies are written: `indented`, or `verbatim` to keep the bytes.
        vcr_config: Keyword arguments of vcrpy's `use_cassette`, as pytest-recording's fixture gives them.
        configure_vcr: Called with the `vcr.VCR` that reads `vcr_config`, so that matchers can be registered.
        redaction: What is replaced before anything is written, besides what is always replaced.
        is_shared: Whether other tests may use the cassette, too.
        owner: The test or fixture that records. What others recorded in the same run is kept.
        run: What this run has recorded so far.
        unclaimed: Finds cassettes that may be this test's under an earlier name.
        max_age_days: How old a recording may be, in days, by the dates in it; None for any age.
        fail_unplayed: Whether a recording that the test did not ask for fails it.
        folder_from: What chose the cassette's folder, as a message shows it; empty for the default folder.
        root: Paths in messages are shown relative to it.
        prices: Returns the price book from which messages say what a change costs; None for messages without a cost.
    """

    path: Path
    record_mode: RecordMode = "none"
    rerecord_command: str = "pytest --llm-usage-record=rewrite"
    rerecord_all_command: str = ""
    draws_examples: bool = False
    match_on: tuple[str, ...] | None = None
    match_on_from: str = "match_on"
    ignore_body: tuple[str, ...] = ()
    ignore_hosts: tuple[str, ...] = ()
    json_style: JsonStyle = "indented"
    vcr_config: Mapping[str, Any] = field(default_factory=dict)
    configure_vcr: Callable[[Any], object] | None = None
    redaction: Redaction = field(default_factory=Redaction)
    is_shared: bool = False
    owner: str = ""
    run: RunRecordings = field(default_factory=RunRecordings)
    unclaimed: Callable[[], Sequence[Path]] = tuple
    max_age_days: int | None = None
    fail_unplayed: bool = False
    folder_from: str = ""
    root: Path = field(default_factory=Path.cwd)
    prices: Callable[[], PriceBook] | None = None

    @property
    def record_again(self) -> str:
        """The line of a message that says how to make the requests and the recordings match again."""
        if self.draws_examples:
            return "Hypothesis draws other examples in every run. Keep them the same:  @settings(derandomize=True)"
        command = self.rerecord_command
        if self.is_shared and command.endswith("=rewrite"):
            # `rewrite` would drop what the other tests recorded.
            command = command.removesuffix("rewrite") + "stale"
        return f"Record again:  {command}"

    @property
    def rewrite_command(self) -> str:
        """The command that records the whole cassette again, for when none of it can be kept."""
        return self.rerecord_all_command or self.rerecord_command

    @property
    def shown_path(self) -> str:
        """The path as messages show it."""
        try:
            return self.path.relative_to(self.root).as_posix()
        except ValueError:
            return str(self.path)
