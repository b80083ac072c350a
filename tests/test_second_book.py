"""Real recordings, replayed through LangChain and read from the wire: one book, the wire's numbers, each call once.

The index says for every call what is on the wire, and what LangChain makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import corpus
import corpus_replay
import pytest

from pytest_llm_usage import TokenUsage, UsageUnknownError
from pytest_llm_usage.cassettes import observing_vcrpy
from pytest_llm_usage.tracker import Discrepancy, LLMUsage, observe
from pytest_llm_usage.usage import CACHE_LIFETIMES

pytestmark = corpus_replay.MARKS


@pytest.fixture
def observed() -> Iterator[None]:
    """The wire of plain vcrpy's cassettes is read, as that of a test with pytest-recording's marker is."""
    with observing_vcrpy(observe):
        yield


@pytest.mark.usefixtures("observed")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("file", "rows"), corpus_replay.cassettes())
def test_cassette(file: str, rows: list[dict[str, Any]], *, asynchronous: bool, llm_usage: LLMUsage) -> None:
    """Every call of the cassette is one call with the wire's numbers; where LangChain says otherwise, both are told."""
    with corpus_replay.replayed(file) as replaying:
        for row in rows:
            corpus_replay.make_call(replaying, row, asynchronous=asynchronous)

    calls = llm_usage.calls
    assert [(call.source, call.usage) for call in calls] == [("langchain", on_wire(row)) for row in rows]
    found = {discrepancy.call_index: discrepancy for discrepancy in llm_usage.discrepancies}
    assert found.keys() == {index for index, row in enumerate(rows) if is_lossy(row)}
    for index, discrepancy in found.items():
        assert discrepancy.wire == on_wire(rows[index])
        assert discrepancy.langchain != discrepancy.wire or rows[index]["langchain"]["model_name"] is None
        if not asynchronous:  # ChatCohere reads asynchronous streams in another way; the index has the first
            assert discrepancy.langchain == by_langchain(rows[index])
        assert_told(discrepancy)
    assert_totals(llm_usage, rows)


def on_wire(row: Mapping[str, Any]) -> TokenUsage | None:
    if (row["langchain"]["raises"] or "").startswith("NotImplementedError"):
        return None  # the client does not know the model, and asks nobody
    return None if row["usage"] is None else TokenUsage.from_langchain(row["usage"])[0]


def by_langchain(row: Mapping[str, Any]) -> TokenUsage | None:
    usage = row["langchain"]["usage"]
    return None if usage is None else TokenUsage.from_langchain(usage)[0]


def is_lossy(row: Mapping[str, Any]) -> bool:
    """Whether LangChain lost or changed what the wire says; one that raised makes no claim to know."""
    langchain = row["langchain"]
    differs = langchain["langchain_differs"] or ""
    if row["usage"] is None or langchain["raises"] is not None:
        return False
    return langchain["model_name"] is None or bool(differs and not differs.endswith("(by design)"))


def assert_told(discrepancy: Discrepancy) -> None:
    """The reason names every count that differs with both numbers."""
    wire, langchain = discrepancy.wire.to_dict(), discrepancy.langchain
    if langchain is None or langchain == discrepancy.wire:
        assert f"{wire['input_tokens']:,} input and {wire['output_tokens']:,} output tokens" in discrepancy.reason
        return
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        numbers = f"{name.removesuffix('_tokens')} {langchain.to_dict()[name]:,} against {wire[name]:,}"
        assert (numbers in discrepancy.reason) == (langchain.to_dict()[name] != wire[name])
    for name in ("input_token_details", "output_token_details"):
        theirs, ours = langchain.to_dict().get(name, {}), wire.get(name, {})
        for key in theirs | ours:
            numbers = f"{key} {theirs.get(key, 0):,} against {ours.get(key, 0):,}"
            assert (numbers in discrepancy.reason) == (theirs.get(key, 0) != ours.get(key, 0))


def assert_totals(llm_usage: LLMUsage, rows: list[dict[str, Any]]) -> None:
    """The test's totals are the wire's; a call without usage is not counted as zero."""
    if any(call.is_unknown for call in llm_usage.calls):
        with pytest.raises(UsageUnknownError):
            llm_usage.total_tokens
        return
    expected = sum((usage for row in rows if (usage := on_wire(row)) is not None), TokenUsage())
    assert llm_usage.input_tokens == expected.input_tokens
    assert llm_usage.output_tokens == expected.output_tokens
    assert llm_usage.total_tokens == expected.total_tokens
    assert (
        TokenUsage(
            expected.input_tokens,
            expected.output_tokens,
            expected.total_tokens,
            llm_usage.input_token_details,
            llm_usage.output_token_details,
        )
        == expected
    )


def _lost(kind: str, *keys: str) -> Callable[[TokenUsage, TokenUsage], bool]:
    """Whether details that the provider tells are not among LangChain's."""

    def is_lost(langchain: TokenUsage, wire: TokenUsage) -> bool:
        theirs, ours = (getattr(usage, f"{kind}_token_details") for usage in (langchain, wire))
        return sum(ours.get(key, 0) for key in keys) > sum(theirs.get(key, 0) for key in keys) == 0

    return is_lost


def _lost_altogether(langchain: TokenUsage | None, _wire: TokenUsage) -> bool:
    return langchain is None


#: The ways in which LangChain is known to lose or change usage, by their names in the corpus: how each shows.
LOSSES: dict[str, Callable[[Any, TokenUsage], bool]] = {
    "A1": lambda langchain, wire: langchain.input_tokens == 0 < wire.input_tokens,
    "A3": _lost("input", *CACHE_LIFETIMES),
    "B1": _lost_altogether,
    "B2": lambda langchain, wire: langchain.output_tokens != wire.output_tokens,
    "C1": _lost_altogether,
    "C2": _lost("input", "cache_read"),
    "D1": lambda langchain, wire: langchain.input_tokens > wire.input_tokens,
    "G1": _lost("input", "audio"),
    "G2": lambda langchain, wire: (
        langchain.input_tokens == wire.input_tokens and langchain.total_tokens > wire.total_tokens
    ),
    "M1": _lost("input", "cache_read"),
    "O1": _lost_altogether,
    "no": lambda langchain, wire: langchain == wire,  # no model name: LangChain's own callback drops the whole call
}


def _losses() -> dict[str, list[dict[str, Any]]]:
    """The lossy lines of the index by the name of the loss."""
    lossy: dict[str, list[dict[str, Any]]] = {}
    for row in corpus.rows():
        if row["langchain"] and is_lossy(row):
            name = (row["langchain"]["langchain_differs"] or "no model name").partition(" ")[0]
            lossy.setdefault(name, []).append(row)
    return lossy


@pytest.mark.usefixtures("observed")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_known_loss_is_a_discrepancy_and_the_totals_follow_the_wire(loss: str, llm_usage: LLMUsage) -> None:
    rows = _losses()[loss]
    for row in rows:
        with corpus_replay.replayed(row["file"]) as replaying:
            corpus_replay.make_call(replaying, row, asynchronous=False)

    found = llm_usage.discrepancies

    assert [discrepancy.wire for discrepancy in found] == list(map(on_wire, rows))
    assert all(LOSSES[loss](discrepancy.langchain, discrepancy.wire) for discrepancy in found)
    assert_totals(llm_usage, rows)


@pytest.mark.usefixtures("llm_usage")  # which the module's marker is for
def test_no_other_loss_is_among_the_recordings() -> None:
    assert _losses().keys() == LOSSES.keys()
