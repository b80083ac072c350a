"""Real recordings, replayed through LangChain: the index says for every call what its client reports.

Here LangChain's own book is read; `test_second_book` has what counts where the response says something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import corpus_replay
import pytest

from pytest_llm_usage.ledger import Call, langchain_report
from pytest_llm_usage.tracker import LLMUsage
from pytest_llm_usage.usage import TokenUsage

pytestmark = corpus_replay.MARKS


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("file", "rows"), corpus_replay.cassettes())
def test_cassette(file: str, rows: list[dict[str, Any]], *, asynchronous: bool, llm_usage: LLMUsage) -> None:
    """Every call of the cassette is one call in the test's usage, with LangChain's numbers that the index has for it."""
    if asynchronous:
        rows = [row for row in rows if not _differs(row).startswith(_OTHERWISE_IF_ASYNC)]
    with corpus_replay.replayed(file) as replaying:
        requested = [corpus_replay.make_call(replaying, row, asynchronous=asynchronous) for row in rows]
    calls = llm_usage.calls
    assert list(map(_counted, calls)) == list(map(_expected, rows))
    for call, row, model in zip(calls, rows, requested, strict=True):
        assert call.model in _models(row, model)


#: ChatCohere reads streams one way, and asynchronous streams another; the index has the first.
_OTHERWISE_IF_ASYNC = "C1 "


def _differs(row: Mapping[str, Any]) -> str:
    """How LangChain departs from the wire; empty where it does not."""
    return row["langchain"]["langchain_differs"] or ""


@dataclass(frozen=True)
class Counted:
    """What LangChain reported of a call, in our form and in its own; the note only so that a failure shows it."""

    usage: TokenUsage | None
    reported: Mapping[str, Any] | None
    raised: bool
    note: str = field(default="", compare=False)


def _counted(call: Call) -> Counted:
    reported = langchain_report(call)[0]
    usage = None if reported is None else TokenUsage.from_langchain(reported)[0]
    return Counted(usage, _without_zeros(reported), call.status in ("error", "aborted"), call.note)


def _expected(row: Mapping[str, Any]) -> Counted:
    langchain = row["langchain"]
    return Counted(_expected_usage(row), _without_zeros(langchain["usage"]), raised=langchain["raises"] is not None)


def _models(row: Mapping[str, Any], requested_model: str) -> tuple[str, ...]:
    """The response's, the one that LangChain names, or where both lose the name the one that was asked for."""
    named = row["langchain"]["model_name"]
    return (named, row["model"]) if named else (row["model"], requested_model)


def _expected_usage(row: Mapping[str, Any]) -> TokenUsage | None:
    """The wire's numbers, which are in canonical form; LangChain's where it loses some."""
    langchain = row["langchain"]
    if langchain["usage"] is None:
        return None
    if _differs(row) and not _differs(row).endswith("(by design)"):
        return TokenUsage.from_langchain(langchain["usage"])[0]
    return TokenUsage.from_dict(row["usage"])


def _without_zeros(usage: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """`usage` with zero and absent details told as one."""
    if usage is None:
        return None
    details = {
        name: {key: count for key, count in (usage.get(name) or {}).items() if count}
        for name in ("input_token_details", "output_token_details")
    }
    counts = {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
    return counts | {name: detail for name, detail in details.items() if detail}
