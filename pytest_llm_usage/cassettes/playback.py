"""`Playback`: the recordings of a cassette's file that may be replayed, and which of them were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

from pytest_llm_usage.cassettes.interaction import Interaction, Request, recording_dates
from pytest_llm_usage.cassettes.matching import Recordings
from pytest_llm_usage.cassettes.mismatch import explain_age
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.read_ahead import ReadAhead
from pytest_llm_usage.cassettes.subject import Subject
from pytest_llm_usage.cassettes.vcr_config import VcrConfig
from pytest_llm_usage.errors import CassetteError

__all__ = ["Playback"]


class Playback:
    """The recordings of a cassette, read from its file when they are first asked for.

    Methods with the parameter `cassette` pass it to the user's hooks, as vcrpy does.

    Args:
        policy: How the cassette is used.
        config: The options of vcrpy.
        subject_of: Returns a request in the form in which it is compared.
        replays_only: Whether nothing may be recorded, so that recordings that are too old are refused.
        refuse: Called with the message when the file cannot be used; it raises.

    Attributes:
        interactions: The recordings, as the user's filters leave them.
        is_new: Whether there is no file.
        is_too_old: Whether the recordings are older than the policy allows; then none of them is replayed.
    """

    def __init__(
        self,
        policy: CassettePolicy,
        config: VcrConfig,
        subject_of: Callable[[Request], Subject],
        *,
        replays_only: bool,
        refuse: Callable[[str], NoReturn],
    ) -> None:
        self._policy = policy
        self._config = config
        self._subject_of = subject_of
        self._replays_only = replays_only
        self._refuse = refuse
        self._file = ReadAhead(policy.path)
        self._recordings: Recordings | None = None
        #: As they are in the file.
        self._raw: Sequence[Interaction] = ()
        self.interactions: Sequence[Interaction] = ()
        self.is_new = self.is_too_old = False

    def read_ahead(self) -> None:
        """Read the file, unless the record mode does not replay it."""
        if self._policy.record_mode not in ("live", "rewrite"):
            self._file.read()

    def urls(self) -> Sequence[str]:
        """The URLs in the file, as it was read ahead; none if it cannot be read, which the first request reports."""
        with suppress(CassetteError):
            return [interaction.request.uri for interaction in self._file.recordings() or ()]
        return ()

    def recordings(self, cassette: Any) -> Recordings:
        """The requests that may be replayed; refuses a file that cannot be read, or is too old and must be replayed."""
        if self._recordings is None:
            try:
                found = self._file.recordings() if self._policy.record_mode != "rewrite" else None
            except CassetteError as error:
                self._refuse(f"{error}\nRecord again:  {self._policy.rewrite_command}")
            self.is_new = found is None
            loaded = found or ()
            if age_problem := self._age_problem(loaded):
                loaded, self.is_too_old = (), True
                if self._replays_only:
                    self._refuse(age_problem)
            self._recordings = self._usable(loaded, cassette)
        return self._recordings

    def recordings_of_any_age(self, cassette: Any) -> Recordings:
        """The same, with recordings that are too old to be replayed.

        Raises:
            CassetteError: The file cannot be read.
        """
        return self._recordings or self._usable(self._file.recordings() or (), cassette)

    def _usable(self, loaded: Sequence[Interaction], cassette: Any) -> Recordings:
        pairs = [(old, kept) for old in loaded if (kept := self._config.after_load(old, cassette)) is not None]
        self._raw, self.interactions = [old for old, _ in pairs], [kept for _, kept in pairs]
        subjects = [self._subject_of(interaction.request) for interaction in self.interactions]
        return Recordings(subjects, self._config.match_on, repeat=self._config.repeat)

    def _age_problem(self, loaded: Sequence[Interaction]) -> str:
        """Why the recordings are too old; empty if they are not, or may be of any age."""
        if self._policy.max_age_days is None or not (self._replays_only or self._policy.record_mode == "stale"):
            return ""
        recorded_at = min(recording_dates(loaded), default=None)
        if recorded_at is None:
            return ""
        age_days = (datetime.now(UTC) - recorded_at).days
        return explain_age(self._policy, recorded_at, age_days) if age_days > self._policy.max_age_days else ""

    def played(self, cassette: Any) -> Sequence[Interaction]:
        """The recordings that were replayed, as they are in the file."""
        return [self._raw[index] for index in sorted(self.recordings(cassette).played)]

    def unplayed(self, cassette: Any) -> Sequence[Interaction]:
        """The recordings that no request asked for."""
        played = self.recordings(cassette).played
        return [interaction for index, interaction in enumerate(self.interactions) if index not in played]
