"""`sanitize`: makes interactions safe to commit, review and publish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from pytest_llm_usage.cassettes.interaction import Interaction
from pytest_llm_usage.cassettes.redaction import RecordingRedaction, Redaction
from pytest_llm_usage.cassettes.secret_scan import find_secrets, values_to_find
from pytest_llm_usage.cassettes.volatile_headers import strip_volatile_headers
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.credentials.recognised import remember, remembered_for_sure
from pytest_llm_usage.credentials.shapes import shapes_in
from pytest_llm_usage.credentials.values import credentials_now
from pytest_llm_usage.errors import SecretError
from pytest_llm_usage.text import listed

__all__ = ["sanitize"]

_MAX_SHOWN = 10

_NAME_IT = (
    "Give the parameter of the test an id, pytest.param(..., id=NAME), or the cassette a name:  llm_cassette(NAME)"
)

#: What is wrong with a cassette, and what to do about it.
_CREDENTIAL = (
    "would hold a credential",
    "Keep it out of the test, or have it replaced:  llm_usage_redact = field:NAME (header:, query:, pattern:)",
)
_UNREADABLE = (
    "has a body that cannot be checked for credentials",
    "Install the package that is named, or do not record this host:  llm_usage_ignore_hosts = HOST",
)


def sanitize(
    interactions: Iterable[Interaction],
    redaction: Redaction,
    *,
    shown_path: str,
    credentials: Mapping[str, str] = MappingProxyType({}),
) -> list[Interaction]:
    """The interactions redacted, without volatile headers, and scanned for what is left.

    Args:
        interactions: As they were recorded.
        redaction: What is replaced.
        shown_path: The cassette's path, for the message.
        credentials: Values that the environment held when they were recorded, each with its variable; it may have
            changed since.

    Raises:
        SecretError: Something still looks like a credential, a body cannot be decoded, or the cassette's name holds a
            credential. The message says what and where, never the value itself.
    """
    if shapes_in(shown_path):
        raise SecretError(f"Cassette not saved: {mask_text(shown_path)} has a credential in its name\n{_NAME_IT}")
    noting = RecordingRedaction.from_rules(redaction)
    clean = [strip_volatile_headers(noting.interaction(interaction)) for interaction in interactions]
    own = noting.credentials()
    remember(own)
    # A value that was recognised once, in any test of the run, is replaced everywhere.
    replaced = list(dict.fromkeys((*own, *remembered_for_sure())))
    if replaced:
        everywhere = replace(redaction, values=(*redaction.values, *replaced))
        clean = [everywhere.interaction(interaction) for interaction in clean]
    values = values_to_find({**credentials, **credentials_now()}, replaced)
    findings = [
        (number, finding)
        for number, interaction in enumerate(clean, 1)
        for finding in find_secrets(interaction, values)
    ]
    if findings:
        is_unreadable = all(finding.is_unreadable for _, finding in findings)
        places = listed([f"interaction {number}, {finding}" for number, finding in findings], _MAX_SHOWN)
        title, advice = _UNREADABLE if is_unreadable else _CREDENTIAL
        raise SecretError("\n".join([f"Cassette not saved: {shown_path} {title}", *places, advice]))
    return clean
