"""Shows a client's complaint about a missing API key as two lines instead of a traceback."""

from __future__ import annotations

import os

import pytest

__all__ = ["shorten_missing_key", "shorten_missing_key_of_module"]


def shorten_missing_key(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Replaces the traceback of a test by two lines, if all it says is that a key is missing.

    A suite in which no test requests `llm_usage` keeps its tracebacks: there is nothing that it could replay.
    """
    if report.failed and call.excinfo is not None:
        text = _explanation(call.excinfo.value)
        if text and any("llm_usage" in getattr(each, "fixturenames", ()) for each in item.session.items):
            report.longrepr = text


def shorten_missing_key_of_module(report: pytest.CollectReport, collector: pytest.Collector) -> None:
    """Does the same for a module that makes a client on import, if it or pytest's configuration names `llm_usage`."""
    call = getattr(report, "call", None)
    error = getattr(getattr(call, "excinfo", None), "value", None)
    # pytest raises its own error from the module's.
    while error is not None:
        text = _explanation(error)
        if text:
            if _names_llm_usage(collector):
                report.longrepr = text
            return
        error = error.__cause__ or error.__context__


def _names_llm_usage(collector: pytest.Collector) -> bool:
    if "llm_usage" in collector.config.getini("usefixtures"):
        return True
    try:
        return b"llm_usage" in collector.path.read_bytes()
    except OSError:
        return False


def _explanation(error: BaseException) -> str | None:
    if isinstance(error, AssertionError | KeyError) or not isinstance(error, Exception):
        return None
    text = str(error)
    if "_KEY" not in text:
        return None
    from pytest_llm_usage.cassettes.provider_keys import unset_key_in  # noqa: PLC0415 -- only on the way to an error

    name = unset_key_in(text)
    if name is None:
        return None
    where = _callsite(error)
    return (
        f"{type(error).__module__}.{type(error).__name__}: {name} is not set{where}. "
        "Only code that replays a cassette gets a placeholder\n"
        "To replay, make the client in the test, in a fixture of function scope or in `with llm_cassette(...)`, "
        f"or set any value:  {name}=replay"
    )


def _callsite(error: BaseException) -> str:
    """Where the user's code made the client: the last frame that is not in an installed package."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if "site-packages" not in path and os.path.isfile(path) and f"{os.sep}lib{os.sep}python" not in path:  # noqa: PTH113
            found = f" ({os.path.relpath(path)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found
