"""What the parts of the plugin have in common: what is kept with pytest's objects, and the trackers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_llm_usage.settings import Settings

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import OpenCassette
    from pytest_llm_usage.cassettes.ownership import Ownership
    from pytest_llm_usage.pricing import PriceBook, PriceSource
    from pytest_llm_usage.report.session_budget import SessionBudget
    from pytest_llm_usage.tracker import Tracker

# Kept with pytest's configuration.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
#: What is undone when pytest ends.
CLOSERS: pytest.StashKey[ExitStack] = pytest.StashKey()
#: The tracker of what is no test's.
SHARED: pytest.StashKey[Tracker] = pytest.StashKey()
#: The price books, by the identity of what they were made of.
PRICES: pytest.StashKey[dict[int, tuple[PriceSource | None, PriceBook]]] = pytest.StashKey()
#: What the processes of this run have spent together.
SESSION_BUDGET: pytest.StashKey[SessionBudget] = pytest.StashKey()
#: The folder in which xdist's workers note it.
SESSION_BUDGET_FOLDER: pytest.StashKey[str] = pytest.StashKey()
#: The cassettes that were opened.
OPENED: pytest.StashKey[set[str]] = pytest.StashKey()
#: Which cassettes belong to which tests.
OWNERSHIP: pytest.StashKey[Ownership] = pytest.StashKey()

# Kept with a test.
#: The trackers of a test: of each attempt at it, the last one last.
TRACKERS: pytest.StashKey[list[Tracker]] = pytest.StashKey()
#: What is closed behind the attempt that is under way.
ATTEMPT_STACK: pytest.StashKey[ExitStack] = pytest.StashKey()
#: The open cassette of its own.
CASSETTE: pytest.StashKey[OpenCassette | None] = pytest.StashKey()
#: What became of the last attempt so far.
OUTCOME: pytest.StashKey[str | None] = pytest.StashKey()


def shared_tracker(config: pytest.Config) -> Tracker:
    """The tracker of the run, for calls that are no test's: those of fixtures of wider scope, and at import."""
    if SHARED not in config.stash:
        from pytest_llm_usage.tracker import running  # noqa: PLC0415 -- at the first test, or when LangChain is imported

        shared = config.stash[SHARED] = new_tracker(config)
        shared.is_run = True
        config.stash[CLOSERS].enter_context(running(shared))
    return config.stash[SHARED]


def new_tracker(config: pytest.Config) -> Tracker:
    """A tracker that does as the settings say."""
    from pytest_llm_usage.tracker import Tracker  # noqa: PLC0415

    settings = config.stash[SETTINGS]
    tracker = Tracker(root=settings.root, missing=settings.missing, unpriced=settings.unpriced)
    tracker.prices = lambda: price_book(config, settings.prices)
    return tracker


def price_book(config: pytest.Config, source: PriceSource | None) -> PriceBook:
    """The price book over the user's own prices, made once for each source of them."""
    from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- at the first price

    # Kept with its source, so that no other can take its id.
    books = config.stash.setdefault(PRICES, {})
    if id(source) not in books:
        books[id(source)] = (source, PriceBook() if source is None else PriceBook.of(source))
    return books[id(source)][1]


def spent_by_no_test(config: pytest.Config) -> dict[str, Any]:
    """The calls since the last time that were no test's, as plain data."""
    shared = config.stash[SHARED].drain() if SHARED in config.stash else None
    return {"shared": shared.to_list()} if shared is not None and shared.calls else {}


def fail(text: str) -> NoReturn:
    """Fails the test with nothing but `text`.

    By an outcome exception: no `except Exception` of an agent loop or of a provider's SDK swallows or retries it.
    """
    # The error that it tells of would be printed before it.
    raise pytest.fail.Exception(text, pytrace=False) from None
