"""From events to numbers: `Tracker` gathers the calls of one test, `LLMUsage` answers for them.

`gathering` takes in what LangChain's callbacks and the cassettes' observer tell, and decides which test it belongs to;
`joining` makes one book of the two; `view` is what a test reads; `place` finds the line of the user's code.
"""

from pytest_llm_usage.tracker.gathering import OpenCall, Told, Tracker, current, current_call, running
from pytest_llm_usage.tracker.joining import Discrepancy
from pytest_llm_usage.tracker.place import Place, users_place
from pytest_llm_usage.tracker.view import LLMUsage, LLMUsageWarning, Missing

__all__ = [
    "Discrepancy",
    "LLMUsage",
    "LLMUsageWarning",
    "Missing",
    "OpenCall",
    "Place",
    "Told",
    "Tracker",
    "current",
    "current_call",
    "running",
    "users_place",
]
