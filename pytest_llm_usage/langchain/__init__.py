"""LangChain's events → calls. The only package that knows langchain_core; it is imported when the code under test does.

`handler` tells the tracker of runs; `results` reads what LangChain says of them; `frames` reads what it does not say.

One configure hook serves the whole process: LangChain asks `CurrentHandler.get()` for a handler whenever it configures
callbacks, and gets that of the test that is running. `get_usage_metadata_callback` registers one more hook, for ever,
each time it is used.
"""

from typing import Any, cast

from langchain_core.tracers.context import register_configure_hook

from pytest_llm_usage.langchain.handler import CurrentHandler, UsageHandler

__all__ = ["UsageHandler"]

# Once for the process: LangChain's list of hooks has no way to ask or to remove. Importing this package is what attaches.
register_configure_hook(cast("Any", CurrentHandler()), inheritable=True)
