"""Observes HTTP client libraries: responses to model calls are read in every test, with and without a cassette.

Each library has a module here. None of them imports the library: it is passed in when the code under test imports it.
`sink` is the protocol of what receives the observations, `observer` has what the libraries share, and `patches`
replaces functions and restores them.

Nothing that the code under test can see changes: the same bytes in the same pieces at the same moments, the same types
and errors. A request that asks no model costs one look at its address.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from pytest_llm_usage.import_hook import ImportHook

if TYPE_CHECKING:
    from pytest_llm_usage.http_clients.observer import Observer
    from pytest_llm_usage.http_clients.patches import Patches
    from pytest_llm_usage.http_clients.sink import Sink

__all__ = ["HttpObservation"]

#: By the name of a module that the code under test may import: our module and function that attach to it.
_LIBRARIES = {
    "httpx": ("httpx", "attach"),
    "httpx2": ("httpx", "attach"),
    "httpcore": ("httpx", "attach_core"),
    "httpcore2": ("httpx", "attach_core"),
    "requests": ("requests", "attach"),
    "urllib3": ("urllib3", "attach"),
    "http.client": ("http_client", "attach"),
    "aiohttp": ("aiohttp", "attach"),
    "botocore.endpoint": ("botocore", "attach"),
}


class HttpObservation:
    """Observes the HTTP libraries that the code under test imports, until `closers` are closed.

    This costs nothing before the first library is imported, and next to nothing before its first request: other plugins
    import such libraries at every start of pytest (langsmith's does, which comes with LangChain).

    Args:
        sink: Makes the sink, at the first request; returns None if it cannot.
        closers: Restore everything when they are closed.
    """

    def __init__(self, sink: Callable[[], Sink | None], closers: ExitStack) -> None:
        self._make_sink = sink
        self._closers = closers
        self._observer: Observer | None = None
        self._patches: Patches | None = None
        ImportHook({name: partial(self._attach, *place) for name, place in _LIBRARIES.items()}).install(closers)

    def flush(self) -> None:
        """Report the answers that the code under test dropped before their end. To be called when a test ends."""
        if self._observer is not None:
            self._observer.flush()

    def _attach(self, module: str, function: str, library: ModuleType) -> None:
        """Attach to a library; an error that is not caught here would fail its import."""
        try:
            if self._observer is None or self._patches is None:
                from pytest_llm_usage.http_clients.observer import Observer  # noqa: PLC0415 - with the first library
                from pytest_llm_usage.http_clients.patches import Patches  # noqa: PLC0415

                self._observer = Observer(self._make_sink)
                self._closers.callback(self._observer.stop)
                self._patches = Patches(self._closers)
            attach = getattr(importlib.import_module(f"{__name__}.{module}"), function)
            attach(library, self._observer, self._patches)
        except Exception as error:
            if self._observer is None:
                raise
            self._observer.report(f"{library.__name__} {getattr(library, '__version__', '')}".strip(), error)
