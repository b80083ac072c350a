"""Shows what a run that records has spent so far, in the column of pytest's progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llm_usage.money import plain, total
from pytest_llm_usage.plugin.stale import NOTES
from pytest_llm_usage.plugin.state import SETTINGS, price_book
from pytest_llm_usage.text import dollars, sendable, tokens, usd

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes import OpenCassette

__all__ = ["SpendingSoFar", "note_sent"]

#: Columns kept free at the end of a line of dots.
_COLUMNS = 26
_NARROWEST = 60


def note_sent(item: pytest.Item, cassette: OpenCassette, key: str) -> None:
    """Notes what the answers that a cassette has recorded so far cost.

    Args:
        item: The test whose report carries the note to the process that prints.
        cassette: The cassette.
        key: What tells it apart from other cassettes of the test; the last note of a key counts.
    """
    if not cassette.recorded:
        return
    from pytest_llm_usage.cassettes.rerecording import recorded_calls  # noqa: PLC0415 -- only while something is recorded

    calls = recorded_calls(cassette.recorded, price_book(item.config, item.config.stash[SETTINGS].prices))
    known = [call.cost_usd for call in calls]
    cost = None if None in known else plain(total(cost for cost in known if cost is not None))
    count = None if any(call.is_unknown for call in calls) else sum(call.billed_tokens or 0 for call in calls)
    item.stash.setdefault(NOTES, {}).setdefault("sent", {})[sendable(key)] = [count, cost, len(calls)]


class SpendingSoFar:
    """Adds up what recording has cost, and shows it beside pytest's percentage; made once something was sent.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._sent: dict[str, Mapping[str, Sequence[Any]]] = {}
        self._attach()

    def add(self, nodeid: str, sent: Mapping[str, Sequence[Any]]) -> None:
        """Adds what `note_sent` noted for a test."""
        self._sent[nodeid] = {**self._sent.get(nodeid, {}), **sent}

    @property
    def text(self) -> str:
        """Tokens and USD; marked as lower bounds where a part is not known."""
        rows = [row for of_test in self._sent.values() for row in of_test.values()]
        counts = [row[0] for row in rows if row[0] is not None]
        costs = [Decimal(row[1]) for row in rows if row[1] is not None]
        count = f"{'' if len(counts) == len(rows) else '>='}{tokens(sum(counts))}" if counts else "?"
        cost = dollars(total(costs), at_least=len(costs) < len(rows)) if costs else usd(None)
        return f"{count} tokens {cost}"

    def _attach(self) -> None:
        # Private, and the only way into that column; read in pytest 8.2 and 9.2. Without it, pytest's line is as it is.
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        message = getattr(reporter, "_get_progress_information_message", None)
        if message is None or not hasattr(reporter, "_screen_width") or reporter._screen_width < _NARROWEST:  # noqa: SLF001
            return
        writer = self._config.get_terminal_writer()

        def with_spending() -> str:
            text, columns = f" {self.text}{message()}", writer.fullwidth - writer.width_of_current_line - 1
            if len(text) > columns:
                return str(message())
            # In verbose mode pytest itself moves the text to the right edge.
            return text.rjust(columns) if self._config.option.verbose <= 0 else text

        reporter._get_progress_information_message = with_spending  # noqa: SLF001
        reporter._screen_width -= _COLUMNS  # noqa: SLF001
