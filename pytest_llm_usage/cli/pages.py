"""What the page of `compare` and `merge` shows beside the runs: recorded prompts and answers, and the history."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llm_usage.cassettes.replayed import exchanges_at, exchanges_replayed
from pytest_llm_usage.cli.output import say
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.report.bodies import Recordings, call_bodies
from pytest_llm_usage.report.data import RunData
from pytest_llm_usage.report.history import MOST_PAST_RUNS, read_trend
from pytest_llm_usage.report.page_data import PageExtras
from pytest_llm_usage.text import plural

if TYPE_CHECKING:
    from pytest_llm_usage.wire.exchange import Exchange

__all__ = ["add_page_options", "check_page_options", "page_extras"]

_MOST_NAMED = 3


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the page."""
    parser.add_argument(
        "--html-bodies",
        action="store_true",
        help="with --html: show the recorded prompt and answer of each call, as the run's cassettes have them, and what "
        "changed in the prompt since the run that it is compared with",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="PATH",
        help="with --html-bodies: pytest's root directory, in which the cassettes are (default: this folder)",
    )
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help="with --html: show the last runs that --llm-usage-history wrote"
    )


def check_page_options(options: argparse.Namespace) -> None:
    """Refuses options for the page if no page is written.

    Raises:
        ConfigurationError: There is such an option.
    """
    for name, is_given in (("--html-bodies", options.html_bodies), ("--history", options.history is not None)):
        if is_given and options.html is None:
            raise ConfigurationError(f"{name}: there is no page to show it on; add --html=PATH")


def page_extras(options: argparse.Namespace, data: RunData, base: RunData | None) -> PageExtras:
    """What the page shows that is not in the run's data.

    Raises:
        RunFileError: The history cannot be read.
    """
    trend = read_trend(options.history, MOST_PAST_RUNS) if options.history is not None else None
    if not options.html_bodies:
        return PageExtras(trend=trend)
    recordings = _RunCassettes(options.root, data)
    bodies = call_bodies(data, Recordings(now=recordings.now, then=recordings.then), base)
    if recordings.missing:
        names = ", ".join(recordings.missing[:_MOST_NAMED])
        more = f" and {len(recordings.missing) - _MOST_NAMED:,} more" if len(recordings.missing) > _MOST_NAMED else ""
        say(
            f"--html-bodies: {plural(len(recordings.missing), 'cassette')} of the run cannot be shown: neither {options.root.absolute()} "
            f"nor git's history of it has what was replayed: {names}{more}"
        )
    return PageExtras(trend=trend, bodies=bodies)


class _RunCassettes:
    """The cassettes of a run as it replayed them, whatever the working tree has now."""

    def __init__(self, root: Path, data: RunData) -> None:
        self.missing: list[str] = []
        self._root = root
        commit = data["environment"].get("commit")
        self._commit = commit if isinstance(commit, str) else ""
        self._digests: Mapping[str, Any] = {
            name: digest for record in data["tests"].values() for name, digest in record.get("cassettes", {}).items()
        }

    def now(self, name: str) -> Sequence[Exchange]:
        found = exchanges_replayed(self._root, self._commit, name, self._digests[name])
        if found is None and name not in self.missing:
            self.missing.append(name)
        return found or ()

    def then(self, commit: str, name: str, digest: str) -> Sequence[Exchange] | None:
        return exchanges_at(self._root, commit, name, digest)
