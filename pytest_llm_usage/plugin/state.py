"""State that the plugin's modules share, kept in the stashes of pytest's configuration and of tests; and how a test fails."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_llm_usage.errors import StoppedInChildError
from pytest_llm_usage.plugin.safety import FAULTS
from pytest_llm_usage.settings import Settings
from pytest_llm_usage.text import inert

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import OpenCassette
    from pytest_llm_usage.cassettes.ownership import Ownership
    from pytest_llm_usage.plugin.failures import RunFailures
    from pytest_llm_usage.plugin.session_budget import SessionBudget
    from pytest_llm_usage.pricing import PriceBook, PriceSource

# Kept with pytest's configuration.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
#: Closed when pytest ends: it undoes what the plugin has patched and started.
CLOSERS: pytest.StashKey[ExitStack] = pytest.StashKey()
#: The price books, by the id of their source.
PRICES: pytest.StashKey[dict[int, tuple[PriceSource | None, PriceBook]]] = pytest.StashKey()
#: Failures of the run that belong to no test; only in the process that prints.
RUN_FAILURES: pytest.StashKey[RunFailures] = pytest.StashKey()
#: What all processes of this run have spent together; only if that is limited.
SESSION_BUDGET: pytest.StashKey[SessionBudget] = pytest.StashKey()
#: The paths of the cassettes that were opened.
OPENED: pytest.StashKey[set[str]] = pytest.StashKey()
#: Which cassettes belong to which tests.
OWNERSHIP: pytest.StashKey[Ownership] = pytest.StashKey()
#: Whether stale tests are replayed first, and recorded only when the cost of recording them is known.
REPLAYS_FIRST: pytest.StashKey[bool] = pytest.StashKey()

# Kept with a test.
#: Its own open cassette.
CASSETTE: pytest.StashKey[OpenCassette | None] = pytest.StashKey()


def settings_of(config: pytest.Config) -> Settings:
    """The settings of the run; fails the test that asks for them if there are none.

    Either an internal error kept them from being read, or the plugin was switched off after it was loaded: pytest keeps the
    fixtures of a plugin that it has loaded.
    """
    if SETTINGS not in config.stash and FAULTS in config.stash:
        fail("pytest-llm-usage could not be set up, so this test cannot be checked: see the end of the run")
    if SETTINGS not in config.stash:
        fail("pytest-llm-usage is loaded (-p llm_usage) and switched off (-p no:llm_usage): drop one of the two")
    return config.stash[SETTINGS]


def marker_names(item: pytest.Item) -> set[str]:
    """The names of all markers of a test, those of its class and module included."""
    names = set()
    node: Any = item
    while node is not None:
        for marker in node.own_markers:
            names.add(marker.name)
        node = node.parent
    return names


def has_marker(item: pytest.Item, name: str) -> bool:
    """Whether a test, its class or its module has a marker."""
    node: Any = item
    while node is not None:
        if node.own_markers and any(marker.name == name for marker in node.own_markers):
            return True
        node = node.parent
    return False


def is_tracked(item: pytest.Item, settings: Settings) -> bool:
    """Whether a test's calls are budgeted and reported."""
    return settings.track != "requested" or "llm_usage" in getattr(item, "fixturenames", ())


def price_book(config: pytest.Config, source: PriceSource | None) -> PriceBook:
    """The price book with the user's own prices, made once for each source."""
    from pytest_llm_usage.event_loop import outside_event_loop  # noqa: PLC0415 -- at the first price
    from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415

    # Kept with its source, so that no other object can get the same id.
    books = config.stash.setdefault(PRICES, {})
    if id(source) not in books:
        books[id(source)] = (
            source,
            PriceBook() if source is None else outside_event_loop(lambda: PriceBook.from_sources(source)),
        )
    return books[id(source)][1]


#: Whether a test forked this process.
_is_child = [False]


def fail_in_child() -> None:
    """Makes `fail` raise an ordinary exception: a test has forked this process, and the parent process fails the test."""
    _is_child[0] = True


def shown_failure(text: str) -> str:
    """The reason of a failure without credentials or control characters."""
    from pytest_llm_usage.credentials.mask import mask_text  # noqa: PLC0415 -- at the first failure

    return "\n".join(map(inert, mask_text(text).split("\n")))


def fail(text: str) -> NoReturn:
    """Fails the test with nothing but `text`.

    It raises an outcome exception, which no `except Exception` of an agent loop or of a provider's SDK swallows or retries.
    """
    shown = shown_failure(text)
    if _is_child[0]:
        # A pool of processes waits forever for a worker that ends with anything but an `Exception`.
        raise StoppedInChildError(shown) from None
    # `from None`: pytest would print the error that caused it first.
    raise pytest.fail.Exception(shown, pytrace=False) from None


def warn(item: pytest.Item, text: str) -> None:
    """Warns about a test; if warnings are errors, the test fails with just that text."""
    import warnings  # noqa: PLC0415 -- only where there is something to say

    from pytest_llm_usage.tracker import LLMUsageWarning  # noqa: PLC0415

    try:
        warnings.warn(f"{item.nodeid}: {text}", LLMUsageWarning, stacklevel=3)
    except LLMUsageWarning as error:
        fail(str(error))
