"""The second book: what the provider's HTTP response says, read without any client library.

`Exchange` (one request with its response) → `framing` (body → JSON events) → `providers` (which API, and where it says
what) → `schema` (its counts in LangChain's terms) → `WireCall`.
"""

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
