"""`InFlight`: the request to a model that is under way in this context, known to every layer that it passes through.

requests calls urllib3, which calls http.client: each is observed, and the outermost owns the request. A cassette sits
between two of them. It knows more than a client (which file, recorded or replayed), so it claims the request.
"""

from __future__ import annotations

from contextvars import ContextVar

from pytest_llm_usage.wire.address import path_of

__all__ = ["InFlight", "claim", "in_flight"]


class InFlight:
    """A request that one layer owns.

    Attributes:
        claimed: Whether a cassette has reported it: its owner then reports nothing.
        live: Whether it left the machine.
    """

    __slots__ = ("_paths", "claimed", "live")

    def __init__(self, url: str) -> None:
        self._paths = {path_of(url)}
        self.claimed = False
        self.live = False

    def covers(self, url: str) -> bool:
        """Whether a request of a lower layer to `url` is part of this one."""
        return path_of(url) in self._paths

    def redirect(self, url: str) -> None:
        """Note another address of the same request."""
        self._paths.add(path_of(url))


in_flight: ContextVar[InFlight | None] = ContextVar("llm_usage_in_flight", default=None)


def claim() -> None:
    """Take over the request under way, if there is one: the caller reports it, and the client that made it does not."""
    request = in_flight.get()
    if request is not None:
        request.claimed = True
