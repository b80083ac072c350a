"""Observes the wire, during tests and between them: HTTP clients, and the cassettes of plain vcrpy.

Nothing is loaded before the code under test imports a client or vcrpy.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_llm_usage.http_clients import HttpObservation
from pytest_llm_usage.import_hook import ImportHook
from pytest_llm_usage.plugin.safety import note_fault
from pytest_llm_usage.plugin.state import CLOSERS, SETTINGS

if TYPE_CHECKING:
    from pytest_llm_usage.tracker import WireSink

__all__ = ["flush", "observe_wire"]

_OBSERVATION: pytest.StashKey[HttpObservation] = pytest.StashKey()


def observe_wire(config: pytest.Config) -> None:
    """Observes clients and cassettes until pytest ends, if the settings count calls or restrict live ones."""
    closers, settings = config.stash[CLOSERS], config.stash[SETTINGS]
    counts = settings.track != "langchain"
    if counts or settings.live != "allow":

        def sink() -> WireSink | None:
            try:
                from pytest_llm_usage.tracker import WireSink  # noqa: PLC0415 -- at the first request

                return WireSink(partial(note_fault, config))
            except Exception as error:  # noqa: BLE001 -- an internal error must not fail the user's request
                note_fault(config, "HTTP clients", error)
                return None

        config.stash[_OBSERVATION] = HttpObservation(sink, closers)
    if counts:
        ImportHook({"vcr": partial(_watch_cassettes, config)}).install(closers)


def flush(config: pytest.Config) -> None:
    """Counts answers that the code under test dropped before their end."""
    if _OBSERVATION in config.stash:
        config.stash[_OBSERVATION].flush()


def _watch_cassettes(config: pytest.Config, vcr: ModuleType) -> None:
    """Counts what cassettes of plain vcrpy replay and record, whoever opens them, from the first one on."""
    closers = config.stash[CLOSERS]

    def watch() -> None:
        try:
            from pytest_llm_usage.cassettes import watch_all_cassettes  # noqa: PLC0415 -- with the first cassette
            from pytest_llm_usage.tracker import observe_other_cassette  # noqa: PLC0415

            closers.callback(watch_all_cassettes(observe_other_cassette))
        except Exception as error:  # noqa: BLE001 -- an internal error must not fail the user's test
            note_fault(config, "vcrpy's cassettes", error)

    try:
        from pytest_llm_usage.cassettes.first_use import when_first_opened  # noqa: PLC0415 -- with vcrpy

        when_first_opened(vcr, watch, closers)
    except Exception as error:  # noqa: BLE001 -- it would fail the import
        note_fault(config, "vcrpy's cassettes", error)
