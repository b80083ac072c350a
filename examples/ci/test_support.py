from support import draft, sort

MESSAGE = "I was charged twice for order 1017, and my card is blocked now. Please help today!"


def test_ticket(llm_usage, usage_snapshot):
    ticket = sort(MESSAGE)

    assert ticket.queue == "billing"
    assert ticket.is_urgent
    # A few tokens more or less are no news.
    assert llm_usage == usage_snapshot(rel=0.05)


def test_reply(llm_usage, usage_snapshot):
    with llm_usage.section("sort"):
        sort(MESSAGE)
    with llm_usage.section("draft") as drafting:
        assert "1017" in draft(MESSAGE)

    assert drafting.output_tokens < 60
    # Cheaper is welcome, dearer is not.
    assert llm_usage == usage_snapshot(ratchet=True)
