"""What is taken out of public recordings changes none of their numbers."""

from dataclasses import replace

import pytest
from corpus import ROOT, needs_corpus

from pytest_llm_usage import wire
from pytest_llm_usage.cassettes import Redaction, storage
from pytest_llm_usage.cassettes.redaction import RecordingRedaction
from pytest_llm_usage.cassettes.volatile_headers import strip_volatile_headers

FILES = sorted([*ROOT.glob("corpus*/**/*.yaml"), *ROOT.glob("langchain-columnar/*.gz")])


def told(call):
    """What a call says of its numbers. The day of a recording is kept, and no more of its time."""
    return call and (call.usage, call.model, call.status, call.kind, call.note, replace(call.billing, priced_at=None))


@needs_corpus
@pytest.mark.parametrize(
    "folder", sorted({file.parent for file in FILES}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_redaction_changes_no_number(folder):
    for file in (file for file in FILES if file.parent == folder):
        recorded = storage.load(file)
        noting = RecordingRedaction.from_rules(Redaction())
        clean = [strip_volatile_headers(noting.interaction(found)) for found in recorded]
        everywhere = Redaction(values=tuple(noting.credentials()))
        for before, found in zip(recorded, clean, strict=True):
            after = everywhere.interaction(found)
            assert told(wire.read(after.exchange())) == told(wire.read(before.exchange())), file
