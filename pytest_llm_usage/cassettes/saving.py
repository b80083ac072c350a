"""`save_recording`: adds a test's recordings to what its cassette keeps, even if others write the file meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytest_llm_usage.atomic import alone_with
from pytest_llm_usage.cassettes import storage, writer
from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.run_recordings import Owners
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.errors import CassetteError

__all__ = ["save_recording"]

#: Modes that drop what is older than the run.
_KEEPING_NOTHING = frozenset({"rewrite"})


@dataclass(frozen=True, slots=True)
class _Recording:
    """An interaction, and the test of this run that recorded it; None where it is older."""

    interaction: Interaction
    owner: str | None


def save_recording(
    policy: CassettePolicy,
    recorded: Sequence[Interaction],
    *,
    credentials: Mapping[str, str] = MappingProxyType({}),
    is_replaced: Callable[[Interaction], bool],
    is_dropped: Callable[[Interaction], bool],
) -> None:
    """Replace a cassette by what is kept of it and what was recorded.

    The file is read again under a lock, so what others have saved since the test began is kept. Recordings of older
    runs come first, then those of this run, test by test, so that the file does not depend on which test finished
    first.

    Args:
        policy: The cassette's policy.
        recorded: What the test recorded.
        credentials: The credentials in the environment when the test recorded, each with its variable.
        is_replaced: Whether one of the new recordings replaces a recording that is in the file.
        is_dropped: Whether a recording of an older run is dropped.

    Raises:
        CassetteError: It could not be read or written. The old file is unchanged.
        SecretError: It would hold a credential.
    """
    try:
        with alone_with(policy.path):
            kept = [found for found in _found(policy) if _stays(policy, found, is_replaced, is_dropped)]
            older = [found for found in kept if found.owner is None]
            of_run = [found for found in kept if found.owner is not None]
            of_run += [_Recording(interaction, policy.owner) for interaction in recorded]
            of_run.sort(key=lambda found: found.owner or "")
            _write(policy, [*older, *of_run], credentials)
    except OSError as error:
        raise CassetteError(
            f"Cassette not saved: {policy.shown_path}: {error.strerror or error}. The old one was left as it is"
        ) from error


def _stays(
    policy: CassettePolicy,
    found: _Recording,
    is_replaced: Callable[[Interaction], bool],
    is_dropped: Callable[[Interaction], bool],
) -> bool:
    if found.owner is None:
        return not is_dropped(found.interaction)
    # Another attempt at the same test, or the same fixture in another worker, makes the same requests again.
    return found.owner != policy.owner or not is_replaced(found.interaction)


def _found(policy: CassettePolicy) -> Sequence[_Recording]:
    file = storage.find_recording(policy.path)
    if file is None or (policy.record_mode in _KEEPING_NOTHING and not policy.run.knows(policy.path)):
        return ()
    data = storage.read(file)
    interactions = storage.parse(file, data)
    owners = policy.run.owners(policy.path, data) if policy.run.knows(policy.path) else [None] * len(interactions)
    if owners is None or len(owners) != len(interactions):
        # Someone changed the file without a note: all of it may belong to this run.
        owners = ["(unknown)"] * len(interactions)
    return [_Recording(interaction, owner) for interaction, owner in zip(interactions, owners, strict=True)]


def _write(policy: CassettePolicy, recordings: Sequence[_Recording], credentials: Mapping[str, str]) -> None:
    interactions = [recording.interaction for recording in recordings]
    clean = sanitize(interactions, policy.redaction, shown_path=policy.shown_path, credentials=credentials)
    data = writer.render(clean, indent_json=policy.json_style == "indented")
    owners: Owners = [recording.owner for recording in recordings]
    policy.run.note(policy.path, data, owners)
    storage.write(storage.file_to_write(policy.path), data)
