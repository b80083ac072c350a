"""`OpenCassette`: a cassette in use, from the patches of the HTTP clients to the file that is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from pytest_llm_usage.cassettes.interaction import Interaction, Request
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.recorder import Recorder
from pytest_llm_usage.cassettes.vcr_patches import patched_clients
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.event_loop import outside_event_loop
from pytest_llm_usage.wire.exchange import Exchange

if TYPE_CHECKING:
    from pytest_llm_usage.cassettes.rerecording import Rerecording
    from pytest_llm_usage.pricing import PriceBook

__all__ = ["OpenCassette"]


class OpenCassette(AbstractContextManager["OpenCassette"]):
    """A cassette in use: while it is open, requests of the patched clients are replayed or recorded.

    The file is read on entry, but need not exist until a request asks for it; nothing is written before `close`.

    Args:
        policy: How to use it.
        observe: Called once for each response that is replayed or recorded, in the context of the code that made the
            request, before the response reaches the client.
        before_send: Called with each request that concerns the cassette, before it is replayed or sent; what it raises
            reaches the client.
        fail: Called with the message when a request must not be answered. It raises something that no `except
            Exception` of a client catches.

    Raises:
        ConfigurationError: `match_on`, `ignore_body` or `vcr_config` is not valid.
    """

    def __init__(
        self,
        policy: CassettePolicy,
        *,
        observe: Callable[[Exchange], None],
        before_send: Callable[[Request], None] | None = None,
        fail: Callable[[str], NoReturn],
    ) -> None:
        self.policy = policy
        # A separate object: if the recorder referred back to this one, both would keep all recordings until the garbage
        # collector runs.
        self._refusals = _Refusals(fail)
        self._recorder = Recorder(policy, observe, before_send, self._refusals.refuse)
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        """Read the file and patch the clients."""
        self._recorder.read_ahead()
        with ExitStack() as patches:
            patches.enter_context(patched_clients(self._recorder))
            patches.enter_context(self._recorder.network_guard)
            self._patches = patches.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Unpatch the clients. Nothing is saved; that is what `close` is for."""
        self._patches.close()

    def close(self, *, save: bool) -> None:
        """Unpatch the clients and, if asked to, save what was recorded to the file.

        Args:
            save: Whether the test passed. Otherwise the file stays as it is.

        Raises:
            CassetteError: The cassette could not be written.
            SecretError: It must not be written: it would hold a credential.
            RecordingMismatchError: Recordings were not played, and the policy forbids that.
        """
        self._patches.close()
        if save:
            self._recorder.check_unplayed()
            outside_event_loop(self._recorder.save)

    @property
    def is_stale(self) -> bool:
        """Whether a request failed because it is not recorded, or the recording is too old."""
        return self._recorder.is_stale

    def rerecording(self, prices: PriceBook) -> Rerecording:
        """What recording it again will cost.

        Args:
            prices: The price book.

        Raises:
            CassetteError: The cassette cannot be read.
        """
        return self._recorder.rerecording(prices)

    @property
    def renamed(self) -> Path | None:
        """The cassette under an earlier name of the test, where it seems to have been renamed."""
        return self._recorder.renamed

    @property
    def sends_nothing(self) -> bool:
        """Whether a request that is not recorded fails."""
        return self._recorder.write_protected

    @property
    def recorded_urls(self) -> Sequence[str]:
        """The URLs in its file; none if there is no file or it cannot be read."""
        return self._recorder.recorded_urls()

    @property
    def recorded(self) -> Sequence[Interaction]:
        """The interactions recorded so far, saved or not."""
        return self._recorder.recorded

    def save_failed(self, path: Path) -> None:
        """Write what was recorded to a file that is never replayed.

        Raises:
            CassetteError: It could not be written.
            SecretError: It must not be written: it would hold a credential.
        """
        self._recorder.save_failed(path)

    @property
    def unplayed(self) -> Sequence[Interaction]:
        """The recordings that no request asked for; reads the cassette if it was not read yet."""
        return self._recorder.unplayed

    @property
    def failure(self) -> str | None:
        """The first message that `fail` was called with, even if its exception was caught; None if there is none."""
        return self._refusals.first


class _Refusals:
    """Fails requests, and keeps the first message."""

    def __init__(self, fail: Callable[[str], NoReturn]) -> None:
        self.first: str | None = None
        self._fail = fail

    def refuse(self, message: str) -> NoReturn:
        """Fail with `message`."""
        message = mask_text(message)
        if self.first is None:
            self.first = message
        self._fail(message)
