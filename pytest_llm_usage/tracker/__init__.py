"""From events to numbers: `Tracker` collects the calls of one test, and `LLMUsage` is what the test reads.

`scope` says which test an event belongs to. `events` has what LangChain's callbacks report, and what observers of the
wire pass to `sink`. `reconcile` pairs the two books, and `origin` makes one call of each pair. `tracker` collects the
calls, `view` is what a test reads, and `callsite` finds the line of the user's code.

The names of this package are imported on first use: a scope is entered for every test, the rest waits for a call.
"""

from typing import TYPE_CHECKING

from pytest_llm_usage.import_hook import lazy_names

if TYPE_CHECKING:
    from pytest_llm_usage.tracker.callsite import Callsite, user_callsite
    from pytest_llm_usage.tracker.events import CallFields, OpenCall, Reporter, set_current_call
    from pytest_llm_usage.tracker.reconcile import Discrepancy
    from pytest_llm_usage.tracker.scope import Scope, running
    from pytest_llm_usage.tracker.sink import WireSink, before_request, observe, observe_other_cassette
    from pytest_llm_usage.tracker.tracker import Tracker, current
    from pytest_llm_usage.tracker.view import LLMUsage, LLMUsageWarning, Missing

__all__ = [
    "CallFields",
    "Callsite",
    "Discrepancy",
    "LLMUsage",
    "LLMUsageWarning",
    "Missing",
    "OpenCall",
    "Reporter",
    "Scope",
    "Tracker",
    "WireSink",
    "before_request",
    "current",
    "observe",
    "observe_other_cassette",
    "running",
    "set_current_call",
    "user_callsite",
]

__getattr__ = lazy_names(
    __name__,
    {
        "callsite": ("Callsite", "user_callsite"),
        "events": ("CallFields", "OpenCall", "Reporter", "set_current_call"),
        "reconcile": ("Discrepancy",),
        "scope": ("Scope", "running"),
        "sink": ("WireSink", "before_request", "observe", "observe_other_cassette"),
        "tracker": ("Tracker", "current"),
        "view": ("LLMUsage", "LLMUsageWarning", "Missing"),
    },
)
