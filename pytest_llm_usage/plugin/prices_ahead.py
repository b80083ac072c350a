"""Reads prices before an event loop may need the first one, because an event loop must not wait for the disk."""

from __future__ import annotations

import inspect
import sys

import pytest

from pytest_llm_usage.plugin.state import SETTINGS, has_marker, price_book

__all__ = ["read_prices_ahead", "read_prices_ahead_of"]

#: Asynchronous clients, and LangChain, which makes calls through them.
_ASYNCHRONOUS = ("aiohttp", "httpx", "httpx2", "langchain_core")


def read_prices_ahead(session: pytest.Session) -> None:
    """Reads prices if the tests have imported an asynchronous client. Called where costs are limited."""
    if any(name in sys.modules for name in _ASYNCHRONOUS):
        price_book(session.config, session.config.stash[SETTINGS].prices).read_ahead()


def read_prices_ahead_of(item: pytest.Item) -> None:
    """Reads prices for an asynchronous test that may ask for its cost, or that has its own limits."""
    if not ("llm_usage" in getattr(item, "fixturenames", ()) or has_marker(item, "llm_budget")):
        return
    if inspect.iscoroutinefunction(getattr(item, "obj", None)):
        price_book(item.config, item.config.stash[SETTINGS].prices).read_ahead()
