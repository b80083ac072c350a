"""Turns LangChain's events into calls. The only package that imports langchain_core, once the code under test has.

`handler` reports runs to the tracker. `results` reads what LangChain says about them, `frames` what it does not say.

One configure hook serves the whole process: whenever LangChain configures callbacks, it asks `CurrentHandler.get()` for
a handler and gets that of the running test. LangChain's own `get_usage_metadata_callback` instead registers another
hook, for ever, each time it is used.
"""

from typing import Any, cast

from langchain_core.tracers.context import register_configure_hook

from pytest_llm_usage.langchain.handler import CurrentHandler, UsageHandler

__all__ = ["UsageHandler"]

# Registered once for the process, by importing this package: LangChain's list of hooks cannot be queried or reduced.
register_configure_hook(cast("Any", CurrentHandler()), inheritable=True)
