from decimal import Decimal

import pytest
from chat import joke, translate


def test_joke(llm_usage):
    assert "bicycle" in joke()

    assert llm_usage.total_tokens == 26
    assert llm_usage.cost == Decimal("0.00056")


@pytest.mark.llm_budget(max_tokens=100, max_cost="0.0001", max_calls=1)
def test_translation(llm_usage):
    assert "".join(translate("The early bird catches the worm.", "German")) == "Morgenstund hat Gold im Mund."

    assert llm_usage.calls[0].streamed


@pytest.mark.parametrize("language", ["French", "Spanish"])
def test_translation_does_not_grow(llm_usage, usage_snapshot, language):
    assert "".join(translate("Good morning!", language))

    assert llm_usage == usage_snapshot
