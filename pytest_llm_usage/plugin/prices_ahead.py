"""Prices are read before the first of them may be asked for within an event loop, which must not wait for a disk."""

from __future__ import annotations

import inspect
import sys

import pytest

from pytest_llm_usage.plugin.state import SETTINGS, has_marker, price_book

__all__ = ["read_prices_ahead", "read_prices_ahead_of"]

#: Asynchronous clients, and what makes calls through them.
_ASYNCHRONOUS = ("aiohttp", "httpx", "httpx2", "langchain_core")


def read_prices_ahead(session: pytest.Session) -> None:
    """Reads them where costs are limited and the tests have imported an asynchronous client."""
    if any(name in sys.modules for name in _ASYNCHRONOUS):
        price_book(session.config, session.config.stash[SETTINGS].prices).read_ahead()


def read_prices_ahead_of(item: pytest.Item) -> None:
    """Reads them for an asynchronous test that may ask for its cost, or has limits of its own."""
    if not ("llm_usage" in getattr(item, "fixturenames", ()) or has_marker(item, "llm_budget")):
        return
    if inspect.iscoroutinefunction(getattr(item, "obj", None)):
        price_book(item.config, item.config.stash[SETTINGS].prices).read_ahead()
