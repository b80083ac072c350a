"""`LLMUsage`, what a test reads, over a `Tracker`, which gathers the calls of one test (or of the run).

`Tracker` is the only mutable thing between an event and a number: the rims (LangChain's callbacks, the cassettes'
observer) tell it that a call started and how it ended; it answers with frozen `Call`s. Which tracker an event belongs
to is decided here too (`current`): the one of the context first, else the test that is running, which is what makes
calls in plain threads count.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from operator import attrgetter
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, cast

from pytest_llm_usage.budget import Limits, breaches, failure_text, must_stop
from pytest_llm_usage.errors import BudgetExceededError, PriceUnknownError, UsageUnknownError
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call, Ledger
from pytest_llm_usage.text import columns, plural
from pytest_llm_usage.usage import TokenUsage

if TYPE_CHECKING:
    from pytest_llm_usage.pricing import Price, PriceBook, Unpriced
    from pytest_llm_usage.wire.exchange import Exchange

__all__ = [
    "LLMUsage",
    "LLMUsageWarning",
    "Missing",
    "OpenCall",
    "Section",
    "Tracker",
    "current",
    "current_call",
    "running",
    "users_place",
]

#: What reading a number does that is not known: raise, warn and count what is known, or count what is known.
Missing: TypeAlias = Literal["error", "warn", "ignore"]

#: Fields of `Call`, or what reads them when they are first asked for, so that the code under test does not wait.
Told: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

#: File, line and function.
Place: TypeAlias = tuple[str, int, str]

_UNENDED = "it had not ended when its usage was read"


class LLMUsageWarning(UserWarning):
    """A number is incomplete, and configuration says to go on all the same."""


class OpenCall:
    """A call under way: what is known of it so far, read only when it is asked for.

    Attributes:
        run_id: LangChain's id of the run.
        about: Fields of `Call` that its start told, or what reads them.
        batch: An object that the calls of one batch share; None for a call of its own.
        streamed: Whether a piece of the answer has come.
        ended: As `about`, for its end; None while it is under way.
    """

    __slots__ = (
        "about",
        "batch",
        "duration_s",
        "ended",
        "frozen",
        "phase",
        "place",
        "run_id",
        "sections",
        "started_at",
        "started_s",
        "streamed",
    )

    def __init__(
        self, run_id: object, phase: str, place: Place | None, sections: tuple[Section, ...], about: Told, batch: object
    ) -> None:
        self.run_id = run_id
        self.phase = phase
        self.place = place
        self.sections = sections
        self.about = about
        self.batch = batch
        self.streamed = False
        self.ended: Told | None = None
        self.frozen: Call | None = None
        self.duration_s: float | None = None
        self.started_at = time.time()
        self.started_s = time.perf_counter()


#: The LangChain call under way in this context: an HTTP request made now is made for it. An event cannot reset a
#: variable of the context it was started in (async ends run in a task of their own), so what ended says so itself.
current_call: ContextVar[OpenCall | None] = ContextVar("llm_usage_call", default=None)


class Tracker:
    """Gathers the calls of one test, from the set-up of its fixtures to their tear-down.

    Safe under threads without a lock: lists only grow by `append`, are copied before they are walked, and each call is
    ended by one thread.

    Attributes:
        root: Shown paths are relative to this folder.
        missing: What reading an unknown number does.
        phase: pytest's phase that is under way.
        limits: What the test may spend.
        stop: Raises, with the text it is given, to stop a call that a limit forbids; None lets calls go on.
        failure: The first reason for which this test must fail whatever its code made of it (a stopped call, a
            request that no cassette holds), as whole text.
    """

    def __init__(self, *, root: Path | None = None, missing: Missing = "error") -> None:
        self.root = root or Path.cwd()
        self.missing: Missing = missing
        self.phase = "setup"
        self.limits: tuple[Limits, ...] = ()
        self.stop: Callable[[str], NoReturn] | None = None
        self.failure: str | None = None
        self.prices: Callable[[], PriceBook] | None = None
        #: The LangChain callback handler of this tracker, and LangChain's own sum of two `UsageMetadata`; set by
        #: `langchain` when the code under test first asks for a handler. Nothing is reported before that.
        self.handler: Any = None
        self.add_reported: Callable[[Any, Any], Any] = _nothing_reported
        self.usage = LLMUsage(self)
        self._opened: list[OpenCall] = []
        self._stopped: list[str] = []
        self._sections: list[Section] = []
        self._quotes: dict[int, tuple[Call, Price | Unpriced]] = {}

    # -- gathering ---------------------------------------------------------------------------------------------

    def start(self, run_id: object, place: Place | None, about: Told, batch: object = None) -> OpenCall:
        """Notes that a call is about to be sent. Where a limit forbids it, `stop` raises instead and there is none."""
        if self.stop is not None and self.limits:
            self._stop_beyond_limits(place, about)
        call = OpenCall(run_id, self.phase, place, self._open_sections(), about, batch)
        self._opened.append(call)
        return call

    def _stop_beyond_limits(self, place: Place | None, about: Told) -> None:
        calls = self.calls()
        model = _read(about).get("requested_model") or UNKNOWN_MODEL
        found = [breach for limits in self.limits if (breach := must_stop(limits, calls, model))]
        if found and self.stop is not None:
            self._stopped.append(self._shown(place) or "")
            self.fail(failure_text(found, calls, self._stopped))
            self.stop(cast("str", self.failure))

    def over_budget(self) -> str | None:
        """The verdict with the table of calls where the limits were exceeded or cannot be shown to hold, else None."""
        calls = self.calls()
        found = [breach for limits in self.limits for breach in breaches(limits, calls)]
        return failure_text(found, calls, self._stopped) if found else None

    def end(self, call: OpenCall, told: Told) -> None:
        """Notes how a call ended; only its first end counts."""
        if call.ended is None:
            call.duration_s = time.perf_counter() - call.started_s
            call.ended = told

    def drop(self, call: OpenCall) -> None:
        """Forgets a call that turned out to be part of another one's request."""
        self._opened.remove(call)

    def siblings(self, call: OpenCall) -> list[OpenCall]:
        """The calls that LangChain started as one batch with `call`."""
        return [other for other in self._opened.copy() if other.batch is call.batch and other is not call]

    def fail(self, text: str) -> None:
        """Notes a reason for which the test must fail; the first one stays."""
        if self.failure is None:
            self.failure = text

    def observe(self, exchange: Exchange) -> None:
        """Takes in what a cassette recorded or replayed."""

    # -- answering ---------------------------------------------------------------------------------------------

    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in the order in which they started; those under way have no usage yet."""
        return tuple(self._call(index, opened) for index, opened in enumerate(self._opened.copy()))

    @property
    def stopped(self) -> tuple[str, ...]:
        """Where calls were stopped before they were sent."""
        return tuple(self._stopped)

    def ledger(self) -> Ledger:
        """The calls as a frozen value."""
        return Ledger(self.calls())

    def drain(self) -> Ledger:
        """The calls that have ended, which are then forgotten."""
        ended = [opened for opened in self._opened.copy() if opened.ended is not None]
        for opened in ended:
            self._opened.remove(opened)
        return Ledger(tuple(self._call(index, opened) for index, opened in enumerate(ended)))

    def _call(self, index: int, opened: OpenCall) -> Call:
        if opened.frozen is not None and opened.frozen.index == index:
            return opened.frozen
        about = _read(opened.about)
        told = _read(opened.ended or {"status": "aborted", "note": _UNENDED})
        call = Call(
            index=index,
            **{
                "model": about.get("requested_model") or UNKNOWN_MODEL,
                "streamed": opened.streamed,
                "started_at": opened.started_at,
                "duration_s": opened.duration_s,
                "phase": opened.phase,
                "where": self._shown(opened.place),
                "sections": tuple(section.name for section in opened.sections),
                "pricer": self._cost_usd,
                **about,
                **told,
            },
        )
        if opened.ended is not None:
            opened.frozen = call
        return call

    def _shown(self, place: Place | None) -> str | None:
        if place is None:
            return None
        filename, line, function = place
        return f"{_relative(filename, str(self.root))}:{line} in {function}"

    def quote(self, call: Call) -> Price | Unpriced:
        """The price of a call, or why there is none; looked up once."""
        from pytest_llm_usage.pricing import PriceBook  # noqa: PLC0415 -- costs nothing until a price is read

        known = self._quotes.get(call.index)
        if known is None or known[0] is not call:
            book = self.prices() if self.prices is not None else PriceBook()
            known = self._quotes[call.index] = (call, book.price(call))
        return known[1]

    def _cost_usd(self, call: Call) -> Decimal | None:
        return getattr(self.quote(call), "cost_usd", None)

    # -- sections ----------------------------------------------------------------------------------------------

    def _open_sections(self) -> tuple[Section, ...]:
        own = _sections.get()
        if own is not None:
            return own and tuple(section for section in own if section.tracker is self)
        # A plain thread has no context of ours. Where just one chain of sections is open, opened by the test itself
        # (and not by another thread), the thread works for it; where several are, it cannot be told.
        chains = {section.path for section in self._sections.copy() if section.follows_test}
        longest = max(chains, key=len, default=())
        if all(longest[: len(chain)] == chain for chain in chains):
            return longest
        return ()

    @contextmanager
    def section(self, name: str) -> Iterator[LLMUsage]:
        """See `LLMUsage.section`."""
        outer = _sections.get()
        section = Section(name, self, tuple(s for s in outer or () if s.tracker is self), outer is not None)
        self._sections.append(section)
        token = _sections.set(section.path)
        try:
            yield LLMUsage(self, section.holds)
        finally:
            self._sections.remove(section)
            with suppress(ValueError):  # left in another context than it was entered in: an async generator's
                _sections.reset(token)

    def _in_section(self, call: Call, section: Section) -> bool:
        return section in self._opened[call.index].sections


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a test, opened by `llm_usage.section(name)`.

    Attributes:
        name: As given.
        tracker: The test it is a part of.
        outer: The sections it was opened in, outermost first.
        follows_test: Opened by code that runs in the test's own context, not in a plain thread.
    """

    name: str
    tracker: Tracker = field(repr=False)
    outer: tuple[Section, ...]
    follows_test: bool

    @property
    def path(self) -> tuple[Section, ...]:
        """The section itself behind those it was opened in."""
        return (*self.outer, self)

    def holds(self, call: Call) -> bool:
        """Whether a call was made inside."""
        return self.tracker._in_section(call, self)  # noqa: SLF001 -- two halves of one thing


#: The sections open in this context, outermost first; None where the context is not one of ours (a plain thread).
_sections: ContextVar[tuple[Section, ...] | None] = ContextVar("llm_usage_sections", default=None)


# -- which tracker ---------------------------------------------------------------------------------------------


_of_context: ContextVar[Tracker | None] = ContextVar("llm_usage_tracker", default=None)
_running: list[Tracker] = []


def current() -> Tracker | None:
    """The tracker that an event happening now belongs to: the context's while it runs, else the innermost running."""
    tracker = _of_context.get()
    if tracker is not None and tracker in _running:
        return tracker
    return _running[-1] if _running else None


class running:  # noqa: N801 -- a context manager, used as a function
    """Makes `tracker` the current one, for this context and for all threads that have none."""

    __slots__ = ("_sections", "_token", "_tracker")

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def __enter__(self) -> Tracker:
        _running.append(self._tracker)
        self._token = _of_context.set(self._tracker)
        self._sections = _sections.set(())
        return self._tracker

    def __exit__(self, *_: object) -> None:
        _sections.reset(self._sections)
        _of_context.reset(self._token)
        # The innermost: the run's tracker may stand in the list more than once.
        del _running[len(_running) - 1 - _running[::-1].index(self._tracker)]


# -- where in the user's code ----------------------------------------------------------------------------------

#: Folders whose files are not the user's own: Python's, its libraries' and this package's.
_FOREIGN = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).parent),
    )
)


@lru_cache(maxsize=4096)
def _is_users(filename: str) -> bool:
    if filename.startswith("<") or "site-packages" in filename:
        return False
    return not os.path.realpath(filename).startswith(_FOREIGN)


def users_place() -> Place | None:
    """The innermost frame of the user's own code that led here; None if there is none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- inspect.stack() reads source files
    while frame is not None:
        code = frame.f_code
        if _is_users(code.co_filename):
            return code.co_filename, frame.f_lineno, code.co_name
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def _relative(filename: str, root: str) -> str:
    path = os.path.relpath(filename, root)
    return Path(filename).name if path.startswith("..") else path


# -- what a test reads -----------------------------------------------------------------------------------------


class LLMUsage:
    """Token usage and cost of model calls: of a test, a section, a model, a node. Live: it shows the calls so far.

    In LangChain's terms (`UsageMetadata`): input includes cached tokens, output includes reasoning. Answers of
    LangChain's own cache are listed in `calls` and count nothing. Reading a number that is not known raises, see
    `total_tokens` and `cost`.
    """

    __slots__ = ("_select", "_tracker")

    def __init__(self, tracker: Tracker, select: Callable[[Call], bool] | None = None) -> None:
        self._tracker = tracker
        self._select = select

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, in the order in which they started."""
        calls = self._tracker.calls()
        return calls if self._select is None else tuple(filter(self._select, calls))

    @property
    def input_tokens(self) -> int:
        """Tokens sent, cached ones included. Raises `UsageUnknownError` as `total_tokens` does."""
        return self._sum("input_tokens").input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens received, reasoning included. Raises `UsageUnknownError` as `total_tokens` does."""
        return self._sum("output_tokens").output_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all models.

        Raises:
            UsageUnknownError: The usage of a call is not known (ini `llm_usage_missing` can let it count what is).
        """
        return self._sum("total_tokens").total_tokens

    @property
    def input_token_details(self) -> Mapping[str, int]:
        """Parts of the input tokens by kind (`cache_read` …), summed, every key kept."""
        return self._sum("input_token_details").input_token_details

    @property
    def output_token_details(self) -> Mapping[str, int]:
        """Parts of the output tokens by kind (`reasoning` …), summed, every key kept."""
        return self._sum("output_token_details").output_token_details

    @property
    def cost(self) -> Decimal:
        """USD, exact.

        Raises:
            PriceUnknownError: A call has no price, or no known usage to price.
        """
        spent = [call for call in self.calls if call.usage is not None or call.is_unknown]
        unpriced = [call for call in spent if call.cost_usd is None]
        if unpriced:
            self._unknown(PriceUnknownError, self._price_unknown(unpriced, len(spent)))
        return sum((call.cost_usd for call in spent if call.cost_usd is not None), Decimal(0))

    @property
    def by_model(self) -> Mapping[str, LLMUsage]:
        """The same by model."""
        return self.by("model")

    @property
    def by_provider(self) -> Mapping[str, LLMUsage]:
        """The same by provider, in LangChain's words (`openai`, `amazon_bedrock` …)."""
        return self.by("provider")

    @property
    def by_node(self) -> Mapping[str, LLMUsage]:
        """The same by LangGraph node; None for calls outside of a graph."""
        return self.by("node")

    def by(self, key: str | Callable[[Call], Any]) -> Mapping[Any, LLMUsage]:
        """The same by a `Call` attribute or by what a callable says of each call, in the order of appearance."""
        of = key if callable(key) else attrgetter(key)
        keys = dict.fromkeys(map(of, self.calls))
        return MappingProxyType({value: self._narrowed(partial(_is, of, value)) for value in keys})

    def __getitem__(self, model: str) -> LLMUsage:
        views = self.by_model
        if model not in views:
            seen = ", ".join(views) or "none"
            raise KeyError(f"no call of model {model!r} (models called: {seen})")
        return views[model]

    def section(self, name: str) -> Any:
        """A context manager: the part of the test inside it, with the same API. Sections nest.

        Calls belong to the sections open where they start: in this task or thread and what it starts. Calls of a
        plain thread belong to the sections that the test itself has open.
        """
        return self._tracker.section(name)

    @property
    def usage_metadata(self) -> dict[str, Any]:
        """`{model: UsageMetadata}` as LangChain reported it, to the letter.

        Equal to what `langchain_core.callbacks.get_usage_metadata_callback` gives for the same calls; calls that it
        drops for want of a model name are filed under the model that was asked for.
        """
        book: dict[str, Any] = {}
        for call in self.calls:
            if call.reported is not None:
                model = call.reported_model or call.model
                book[model] = self._tracker.add_reported(book.get(model), call.reported)
        return book

    @property
    def discrepancies(self) -> tuple[Any, ...]:
        """Calls of which LangChain and the provider's response say different things."""
        return ()

    def assert_within(self, **limits: Any) -> None:
        """Fails where more was spent: the keywords of the marker `llm_budget` (`max_tokens`, `max_cost` …).

        Raises:
            BudgetExceededError: An `AssertionError` with the verdict and the table of calls.
            ConfigurationError: A keyword or value that cannot be read.
        """
        __tracebackhide__ = True
        calls = self.calls
        found = breaches(Limits.parse(limits, origin="assert_within"), calls)
        if found:
            raise BudgetExceededError(failure_text(found, calls))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain JSON-able data by model: calls, tokens, details that are not zero, cost in USD as a string.

        What is not known is None, with `calls_without_usage` beside it; never 0.
        """
        data = {}
        for model, view in sorted(self.by_model.items()):
            calls = [call for call in view.calls if call.is_billed]
            if calls:
                data[model] = _model_dict(calls)
        return data

    # What it compares by changes.
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LLMUsage):
            return self.to_dict() == other.to_dict()
        if isinstance(other, Mapping):
            return self.to_dict() == other
        return NotImplemented

    def __repr__(self) -> str:
        calls = [call for call in self.calls if call.is_billed]
        unknown = sum(call.is_unknown for call in calls)
        total = sum(call.usage.total_tokens for call in calls if call.usage is not None)
        least = "at least " if unknown else ""
        return f"<LLMUsage: {plural(len(calls), 'call')}, {least}{plural(total, 'token')}>"

    # -- the parts of the above ------------------------------------------------------------------------------

    def _narrowed(self, select: Callable[[Call], bool]) -> LLMUsage:
        mine = self._select
        return LLMUsage(self._tracker, select if mine is None else lambda call: mine(call) and select(call))

    def _sum(self, name: str) -> TokenUsage:
        calls = self.calls
        unknown = [call for call in calls if call.is_unknown]
        if unknown:
            self._unknown(UsageUnknownError, _usage_unknown(name, unknown, len(calls)))
        return sum((call.usage for call in calls if call.is_billed and call.usage is not None), TokenUsage())

    def _unknown(self, error: type[Exception], text: str) -> None:
        if self._tracker.missing == "error":
            raise error(text)
        if self._tracker.missing == "warn":
            warnings.warn(text, LLMUsageWarning, stacklevel=4)

    def _price_unknown(self, unpriced: Sequence[Call], count: int) -> str:
        lines = [f"cost is not known: {len(unpriced)} of {plural(count, 'call')} has no price"]
        for call in unpriced:
            reason = getattr(self._tracker.quote(call), "reason", "its usage is not known")
            lines.append(f"  {call.index + 1}  {call.model}  {reason}")
        fixes = dict.fromkeys(getattr(self._tracker.quote(call), "fix", "") for call in unpriced)
        return "\n".join((*lines, *filter(None, fixes)))


def _nothing_reported(*_: Any) -> Any:
    raise AssertionError("a report of LangChain's without LangChain")  # pragma: no cover


def _read(told: Told) -> Mapping[str, Any]:
    return told() if callable(told) else told


def _is(of: Callable[[Call], Any], value: object, call: Call) -> bool:
    return bool(of(call) == value)


def _usage_unknown(name: str, unknown: Sequence[Call], count: int) -> str:
    lines = [f"{name} is not known: {len(unknown)} of {plural(count, 'call')} reported no usage"]
    rows = [
        (str(call.index + 1), call.model, "stream" if call.streamed else "", call.note, call.where or "")
        for call in unknown
    ]
    lines += [f"  {line}" for line in columns(rows, "><<<<")]
    if any(call.streamed and call.status == "no_usage" for call in unknown):
        lines.append(
            "OpenAI-compatible servers send usage in streams only when asked: ChatOpenAI(..., stream_usage=True)"
        )
    lines.append("To count what is known:  llm_usage_missing = warn   in the pytest section of pyproject.toml")
    return "\n".join(lines)


def _model_dict(calls: Sequence[Call]) -> dict[str, Any]:
    unknown = sum(call.is_unknown for call in calls)
    usage = sum((call.usage for call in calls if call.usage is not None), TokenUsage())
    data: dict[str, Any] = {"calls": len(calls)}
    if unknown:
        data |= {"calls_without_usage": unknown, "input_tokens": None, "output_tokens": None, "total_tokens": None}
    else:
        data |= usage.to_dict()
    costs = [call.cost_usd for call in calls if call.usage is not None or call.is_unknown]
    data["cost_usd"] = None if None in costs else str(sum((cost for cost in costs if cost is not None), Decimal(0)))
    return data
