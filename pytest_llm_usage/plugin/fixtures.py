"""The fixtures of the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.plugin.attempt import attempt_at
from pytest_llm_usage.plugin.guards import warn_of_idle_snapshot
from pytest_llm_usage.plugin.state import CASSETTE, SETTINGS, fail, price_book, settings_of

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import PriceSource
    from pytest_llm_usage.snapshot import UsageSnapshotAssertion
    from pytest_llm_usage.tracker import LLMUsage

__all__ = [
    "_llm_usage_cassette",
    "llm_cassette",
    "llm_usage",
    "llm_usage_prices",
    "llm_usage_redact",
    "open_cassette_first",
    "usage_snapshot",
]

_CASSETTE_FIXTURE = "_llm_usage_cassette"


def open_cassette_first(item: pytest.Item) -> None:
    """Makes a test open its cassette before its other fixtures of function scope make requests.

    An autouse fixture would do the same, but most tests need none.
    """
    names: list[str] = getattr(item, "fixturenames", [])
    if _CASSETTE_FIXTURE in names or "llm_usage" not in names:
        return
    definitions: Mapping[str, Sequence[pytest.FixtureDef[Any]]] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    scopes = (definitions[name][-1].scope if name in definitions else "function" for name in names)
    names.insert(
        next((index for index, scope in enumerate(scopes) if scope == "function"), len(names)), _CASSETTE_FIXTURE
    )


@pytest.fixture
def _llm_usage_cassette(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the cassette of a test that requests `llm_usage`, before its other fixtures make requests."""
    if request.node.get_closest_marker("vcr") is not None:
        yield  # pytest-recording replays its own cassette; this plugin only observes it
        return
    from pytest_llm_usage.plugin.cassette import opened_for  # noqa: PLC0415 -- only for tests that replay

    with opened_for(request):
        yield


@pytest.fixture(scope="session")
def llm_usage_prices(pytestconfig: pytest.Config) -> PriceSource | None:
    """Your own prices: a path, as in the ini key `llm_usage_prices`, or a mapping of the same form. Override this fixture
    to compute them.
    """
    return settings_of(pytestconfig).prices


@pytest.fixture(scope="session")
def llm_usage_redact() -> Sequence[str]:
    """Your own redaction rules, in addition to and in the syntax of the ini key `llm_usage_redact`. Override this
    fixture.
    """
    return ()


@pytest.fixture
def llm_usage(request: pytest.FixtureRequest, llm_usage_prices: PriceSource | None) -> Iterator[LLMUsage]:
    """Token usage and cost of the model calls that this test makes; its cassette is replayed."""
    tracker = attempt_at(request.node).tracker
    if llm_usage_prices != request.config.stash[SETTINGS].prices:
        try:
            book = price_book(request.config, llm_usage_prices)
        except ConfigurationError as error:
            fail(str(error))
        tracker.price_by(lambda: book)
    usage = tracker.usage
    instance = request.instance
    if instance is not None and not hasattr(instance, "llm_usage"):
        # Methods of unittest classes take no fixtures as arguments: the class requests it with usefixtures.
        instance.llm_usage = usage
    if request.node.stash.get(CASSETTE, None) is not None or request.node.get_closest_marker("vcr") is not None:
        yield usage
        return
    from pytest_llm_usage.plugin.cassette import opened_for  # noqa: PLC0415 -- only for tests that replay

    with opened_for(request):
        yield usage


@pytest.fixture
def usage_snapshot(request: pytest.FixtureRequest) -> Iterator[UsageSnapshotAssertion]:
    """A syrupy snapshot of usage: `assert llm_usage == usage_snapshot`, with `rel=`, `abs=` or `ratchet=True`."""
    from pytest_llm_usage.compare import NO_TOLERANCE  # noqa: PLC0415 -- only for tests with a snapshot
    from pytest_llm_usage.snapshot import usage_snapshot_assertion  # noqa: PLC0415 -- imports syrupy

    settings = settings_of(request.config)
    try:
        assertion = usage_snapshot_assertion(request, settings.tolerance or NO_TOLERANCE, settings.model_names)
    except ConfigurationError as error:
        fail(str(error))
    yield assertion
    if attempt_at(request.node).outcome == "passed" and not assertion.comparisons:
        warn_of_idle_snapshot(request.node)


@pytest.fixture(scope="session")
def llm_cassette(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, llm_usage_redact: Sequence[str]
) -> Callable[..., AbstractContextManager[None]]:
    """A factory of cassettes for fixtures of wider scope: call it with a name, and use the result in a `with`.

    Its keywords are those of the marker. The name is relative to `cassettes/<module>` beside the file that calls it.
    What was recorded is saved when the block ends without an error. pytest-recording's `vcr_config` is honoured too
    if it is session-scoped.
    """
    from pytest_llm_usage.plugin.cassette import opened_as  # noqa: PLC0415 -- only where it is requested
    from pytest_llm_usage.plugin.policy import fixture_value  # noqa: PLC0415

    settings_of(pytestconfig)
    vcr_config: Mapping[str, Any] = {}
    with suppress(pytest.fail.Exception):  # its scope may be narrower, as that of pytest-recording's own is
        vcr_config = fixture_value(request, "vcr_config", {})

    def open_cassette(name: str, **keywords: Any) -> AbstractContextManager[None]:
        return opened_as(pytestconfig, name, keywords, redact=llm_usage_redact, vcr_config=vcr_config)

    return open_cassette
