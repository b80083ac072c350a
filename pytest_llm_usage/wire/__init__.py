"""The second book: what the provider's HTTP response says, read without any client library.

`Exchange` (one request with its response) → `framing` (body → JSON events) → `providers` (which API, and where it says
what) → `schema` (its counts in LangChain's terms) → `WireCall`.

The names are imported when they are first used: when an HTTP library is imported, only `exchange` and `in_flight` are
needed; the rest waits for the first request.
"""

from typing import TYPE_CHECKING

from pytest_llm_usage.import_hook import lazy_names

if TYPE_CHECKING:
    from pytest_llm_usage.wire.call import (
        WireCall,
        asked_model,
        is_model_call,
        may_ask_model,
        may_be_unread,
        may_hold_counts,
        read,
    )
    from pytest_llm_usage.wire.exchange import Exchange

__all__ = [
    "Exchange",
    "WireCall",
    "asked_model",
    "is_model_call",
    "may_ask_model",
    "may_be_unread",
    "may_hold_counts",
    "read",
]

__getattr__ = lazy_names(
    __name__,
    {
        "call": (
            "WireCall",
            "asked_model",
            "is_model_call",
            "may_ask_model",
            "may_be_unread",
            "may_hold_counts",
            "read",
        ),
        "exchange": ("Exchange",),
    },
)
