# ruff: noqa: T201 -- a command prints
"""Runs another project's suite with and without the plugin, and prints what differs: python scripts/other_suite.py FOLDER

The suite is not changed. It runs `--runs` times with `-p no:llm_usage` and as often with the plugin, in turns, and once
more to count calls. The script prints the tests whose outcome differs, the ratio of the processor time (the least of
each kind), and the tests for which the report has fewer or more calls than possible.

To know that, this file, loaded as a plugin (`-p other_suite`), counts for itself: the answers with a status below 400
that HTTP clients get to POST requests, and the runs of LangChain's models. An answer that one client passes on from
another (httpx with a transport that uses aiohttp) is one answer, of the client below. A run that calls a model over
HTTP is one call, and so is one that calls a mock or fails. So a test has at least as many calls as the larger of the
two numbers, and at most as many as both together. Not every POST goes to a model: `--not-a-model` leaves out addresses.

A test whose outcome changes from run to run even without the plugin is the suite's own problem; `--runs 2` or more
shows those.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: The variables that tell this file, as a plugin, where to write what it sees, and whether to count requests.
NOTES, COUNTS = "OTHER_SUITE_NOTES", "OTHER_SUITE_COUNTS"

#: By kind: the options, and whether requests are counted.
WITHOUT, WITH, COUNTED = "without", "with", "counted"

_ERRORS = 400

# -- as a plugin -----------------------------------------------------------------------------------------------

_outcomes: dict[str, list[str]] = {}
_requests: list[tuple[str, str, str]] = []
_runs: list[str] = []
_running: list[str] = [""]

#: The addresses from which clients below the current one have had answers.
_below: ContextVar[list[str] | None] = ContextVar("_below", default=None)


def pytest_configure(config: Any) -> None:
    """Starts to count, if the environment says so."""
    del config
    if os.environ.get(COUNTS):
        for name in ("httpx", "httpx2"):
            with suppress(ImportError):
                library = importlib.import_module(name)
                count(name, library.Client, "_send_single_request", of_request)
                count(name, library.AsyncClient, "_send_single_request", of_request)
        with suppress(ImportError):
            count("requests", importlib.import_module("requests").Session, "send", of_request)
        with suppress(ImportError):
            session = importlib.import_module("aiohttp").ClientSession
            count("aiohttp", session, "_request", lambda method, url: (method, str(url)))
            # vcrpy replaces that method by one of its own. What it replays passes through here; what it records it
            # requests with the method that it found when it was imported.
            count("aiohttp", importlib.import_module("vcr.cassette").Cassette, "play_response", played_for_aiohttp)
            importlib.import_module("vcr.patch")._AiohttpClientSessionRequest = session._request  # noqa: SLF001
        with suppress(ImportError):
            manager = importlib.import_module("langchain_core.callbacks.manager")
            for name in ("CallbackManager", "AsyncCallbackManager"):
                for method in ("on_chat_model_start", "on_llm_start"):
                    count_runs(getattr(manager, name), method)
        with suppress(ImportError):
            count("botocore", importlib.import_module("botocore.httpsession").URLLib3Session, "send", of_request)


def count(client: str, owner: type, name: str, asked: Callable[..., tuple[str, str]]) -> None:
    """Notes each answer to a POST request that passes through a client's method."""
    original = getattr(owner, name)

    def note(answer: Any, arguments: tuple[Any, ...], below: list[str]) -> None:
        method, url = asked(*arguments)
        status = getattr(answer, "status_code", None) or getattr(answer, "status", None)
        if isinstance(answer, dict):
            status = answer["status"]["code"]  # of vcrpy
        if method.upper() == "POST" and isinstance(status, int) and status < _ERRORS:
            address = f"{urlsplit(url).hostname}{urlsplit(url).path}"
            if address not in below:
                _requests.append((_running[-1], address, client))
            if (above := _below.get()) is not None:
                above.append(address)

    if importlib.import_module("inspect").iscoroutinefunction(original):

        @functools.wraps(original)
        async def counted_async(self: Any, *arguments: Any, **keywords: Any) -> Any:
            token = _below.set(below := [])
            try:
                answer = await original(self, *arguments, **keywords)
            finally:
                _below.reset(token)
            note(answer, arguments, below)
            return answer

        setattr(owner, name, counted_async)
    else:

        @functools.wraps(original)
        def counted(self: Any, *arguments: Any, **keywords: Any) -> Any:
            token = _below.set(below := [])
            try:
                answer = original(self, *arguments, **keywords)
            finally:
                _below.reset(token)
            note(answer, arguments, below)
            return answer

        setattr(owner, name, counted)


def of_request(request: Any) -> tuple[str, str]:
    """The method and the URL of a request of httpx, requests or botocore."""
    return request.method, str(request.url)


def played_for_aiohttp(request: Any) -> tuple[str, str]:
    """The method and the URL of what is replayed; no method unless vcrpy's part for aiohttp requested it."""
    frame, callers = sys._getframe(), []  # noqa: SLF001
    while frame.f_back is not None and len(callers) < 5:
        frame = frame.f_back
        callers.append(frame.f_globals.get("__name__"))
    return (request.method if "vcr.stubs.aiohttp_stubs" in callers else "", request.uri)


def count_runs(manager: type, name: str) -> None:
    """Notes the runs of models that a manager of LangChain's callbacks begins: one for each list of messages or prompt."""
    original = getattr(manager, name)

    @functools.wraps(original)
    def begun(self: Any, serialized: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        _runs.extend(_running[-1] for _ in inputs)
        return original(self, serialized, inputs, *arguments, **keywords)

    setattr(manager, name, begun)


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _running.append(nodeid)


def pytest_runtest_logfinish() -> None:
    """From here on, nothing belongs to a test."""
    _running.append("")


def pytest_runtest_logreport(report: Any) -> None:
    """Notes the outcome of a phase of a test."""
    if report.when == "call" or report.outcome != "passed":
        outcome = f"x{report.outcome}" if hasattr(report, "wasxfail") else report.outcome
        _outcomes.setdefault(report.nodeid, []).append(
            outcome if report.when == "call" else f"{outcome} in {report.when}"
        )


def pytest_collectreport(report: Any) -> None:
    """Notes a module that cannot be collected."""
    if report.outcome != "passed":
        _outcomes.setdefault(report.nodeid, []).append(f"{report.outcome} in collection")


def pytest_unconfigure(config: Any) -> None:
    """Writes the notes; each process of xdist has its own file."""
    name = "worker" if hasattr(config, "workerinput") else "main"
    notes = {"outcomes": _outcomes, "requests": _requests, "runs": _runs}
    Path(os.environ[NOTES], f"{name}-{os.getpid()}.json").write_text(json.dumps(notes), encoding="utf-8")


# -- as a command ----------------------------------------------------------------------------------------------


class Run:
    """One run of a suite.

    Attributes:
        kind: `WITHOUT` the plugin, `WITH` it, or `COUNTED`: with it, and with requests counted.
        outcomes: By test id.
        requests: Answered POST requests, by test id and by address.
        clients: How many of them each HTTP client answered.
        langchain_runs: Runs of LangChain's models, by test id.
        calls: Calls in the plugin's report, by test id; those of fake models are not among them.
        cpu_s: Processor time of the run and of the processes it waited for.
        summary: pytest's last line.
    """

    def __init__(self, kind: str, options: argparse.Namespace) -> None:
        self.kind = kind
        with tempfile.TemporaryDirectory() as name:
            notes = Path(name)
            path = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH"))))
            environment = {**os.environ, NOTES: name, "PYTHONPATH": path, COUNTS: "1" if kind == COUNTED else ""}
            ours = ("-p", "no:llm_usage") if kind == WITHOUT else (f"--llm-usage-json={notes / 'run.data'}",)
            command = [options.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "other_suite", *ours]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(  # noqa: S603
                [*command, *options.arguments],
                cwd=options.folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            if options.output:
                Path(options.output, f"{kind}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
            self.summary = re.sub(r"\x1b\[[0-9;]*m", "", (done.stdout.strip() or done.stderr.strip()).splitlines()[-1])
            written = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(notes.glob("*.json"))]
            data = notes / "run.data"
            self.calls = calls_by_test(json.loads(data.read_text(encoding="utf-8"))) if data.exists() else Counter()
        self.outcomes = {
            test: ", ".join(found) for note in written for test, found in note["outcomes"].items() if note["outcomes"]
        }
        self.requests: dict[str, Counter[str]] = {}
        self.clients: Counter[str] = Counter()
        for test, address, client in (request for note in written for request in note["requests"]):
            if not options.not_a_model or not re.search(options.not_a_model, address):
                self.requests.setdefault(test, Counter())[address] += 1
                self.clients[client] += 1
        self.langchain_runs = Counter(test for note in written for test in note["runs"])


def calls_by_test(data: Mapping[str, Any]) -> Counter[str]:
    """The number of calls of each test; those of no test under the empty name."""
    found: Counter[str] = Counter()
    records = [
        *data["tests"].items(),
        *((test, record) for test, all_ in data["duplicates"].items() for record in all_),
    ]
    for test, record in [*records, ("", data["shared"])]:
        found[test] += len(record.get("calls", ())) + len(record.get("earlier_calls", ()))
    return found


def differences(runs: list[Run]) -> Iterator[str]:
    """Tests whose outcome with the plugin differs from that without; a note if it varies even without the plugin."""
    without, with_plugin = (
        [run for run in runs if (run.kind == WITHOUT) is is_without] for is_without in (True, False)
    )
    for test in sorted({test for run in runs for test in run.outcomes}):
        own = {run.outcomes.get(test, "not run") for run in without}
        ours = {run.outcomes.get(test, "not run") for run in with_plugin}
        if ours - own:
            note = " (and it changes without the plugin)" if len(own) > 1 else ""
            yield f"{test}: {' | '.join(sorted(own))} → {' | '.join(sorted(ours))}{note}"


def uncounted(run: Run) -> Iterator[str]:
    """Tests for which the report has fewer or more calls than were counted here."""
    for test in sorted({*run.requests, *run.langchain_runs, *run.calls}):
        requests, runs = run.requests.get(test, Counter()), run.langchain_runs[test]
        if not max(requests.total(), runs) <= run.calls[test] <= requests.total() + runs:
            asked = ", ".join(f"{number} {address}" for address, number in sorted(requests.items()))
            yield f"{test or 'no test'}: {requests.total()} requests ({asked}), {runs} runs, {run.calls[test]} calls"


def main() -> None:
    """Runs a suite and prints what differs; fails if an outcome does."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="What stands behind -- is handed to pytest.",
    )
    parser.add_argument("folder", type=Path, help="where the suite is run")
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that has the suite's packages and the plugin"
    )
    parser.add_argument(
        "--runs", type=int, default=1, help="how often it runs with and without the plugin (default: 1)"
    )
    parser.add_argument("--not-a-model", metavar="REGEX", help="host and path of POST requests that ask no model")
    parser.add_argument("--output", type=Path, help="a folder for what pytest prints")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    options.arguments = sys.argv[split + 1 :]
    runs = [Run(kind, options) for _ in range(options.runs) for kind in (WITHOUT, WITH)]
    counted = Run(COUNTED, options)
    for run in (*runs, counted):
        print(f"{run.kind}: {run.summary}; {run.cpu_s:.2f} s of processor time")
    least = {kind: min(run.cpu_s for run in runs if run.kind == kind) for kind in (WITHOUT, WITH)}
    print(f"ratio of processor time: {least[WITH] / least[WITHOUT]:.3f}")
    made = counted.clients.total()
    through = ", ".join(f"{number} through {client}" for client, number in counted.clients.most_common())
    runs_of_langchain = counted.langchain_runs.total()
    calls = counted.calls.total()
    print(
        f"answered POST requests: {made}; runs of LangChain's models: {runs_of_langchain}; calls in the report: {calls}"
    )
    if through:
        print(f"  requests: {through}")
    for line in uncounted(counted):
        print("  calls:", line)
    changed = list(differences([*runs, counted]))
    print(f"other outcomes: {len(changed)}")
    for line in changed:
        print("  outcome:", line)
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
