"""From events to numbers: `Tracker` gathers the calls of one test, `LLMUsage` answers for them.

`tracker` takes in what LangChain's callbacks and the cassettes' observer tell, and decides which test it belongs to;
`reconcile` makes one book of the two; `view` is what a test reads; `callsite` finds the line of the user's code.
"""

from pytest_llm_usage.tracker.callsite import Callsite, user_callsite
from pytest_llm_usage.tracker.reconcile import Discrepancy
from pytest_llm_usage.tracker.tracker import OpenCall, Told, Tracker, current, current_call, running
from pytest_llm_usage.tracker.view import LLMUsage, LLMUsageWarning, Missing

__all__ = [
    "Callsite",
    "Discrepancy",
    "LLMUsage",
    "LLMUsageWarning",
    "Missing",
    "OpenCall",
    "Told",
    "Tracker",
    "current",
    "current_call",
    "running",
    "user_callsite",
]
