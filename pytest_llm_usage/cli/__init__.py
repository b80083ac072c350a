"""The command `pytest-llm-usage`: compare runs, merge shards, look up prices, manage cassettes.

Exit statuses: 0, all is well; 1, a gate is exceeded, a shard is missing, a cassette holds a secret or no price is known;
2, the command or a file cannot be used as it is.
"""

# ruff: noqa: T201 -- a command prints

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

from pytest_llm_usage.budget.amounts import parse_count
from pytest_llm_usage.cassettes.redaction import Redaction
from pytest_llm_usage.cli import recordings
from pytest_llm_usage.cli.exports import export_runs, what_if
from pytest_llm_usage.cli.output import FAILED, OK, UNUSABLE, say, screen_columns
from pytest_llm_usage.cli.pages import add_page_options, check_page_options, page_extras
from pytest_llm_usage.cli.trends import LAST, blame, history
from pytest_llm_usage.errors import (
    ConfigurationError,
    LLMUsageError,
    PriceUnknownError,
    RunFileError,
)
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.report.comparison import FailOn, RunComparison, comparison_lines
from pytest_llm_usage.report.data import RunData, merged_data, read_content, read_run, read_runs
from pytest_llm_usage.report.export import EXPORTS
from pytest_llm_usage.report.files import write_report
from pytest_llm_usage.report.formats import FORMATS, STDOUT, ReportFormat
from pytest_llm_usage.report.why import explained_tests, why_lines
from pytest_llm_usage.text import inert, plural

__all__ = ["main"]


_MOST_NAMED = 20

_JSON = next(report for report in FORMATS if report.option == "json")
#: The reports that `compare` and `merge` also write.
_FORMATS = [report for report in FORMATS if report.of_command]

_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A character that the terminal cannot show must not stop the output.
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    # argparse forgets where the `--` stood.
    after = words[words.index("--") + 1 :] if "--" in words else None
    options = _parser().parse_args(words if after is None else words[: words.index("--")])
    if after is not None and options.run is not _compare:
        options.error("only compare takes --")
    options.after = after
    try:
        status: int = options.run(options)
    except LLMUsageError as error:
        say(str(error))
        return UNUSABLE
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        print(f"pytest-llm-usage: internal error: {type(error).__name__}: {error}; please report it", file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:
        # The reader of the output has closed the pipe; what Python still flushes at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"pytest-llm-usage: {where}{error.strerror or error}", file=sys.stderr)
        return UNUSABLE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-llm-usage", description="Token usage and cost of model calls in tests."
    )
    parser.add_argument("--version", action="version", version=f"pytest-llm-usage {version('pytest-llm-usage')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog, allow_abbrev=False
        )
        added.set_defaults(run=run, error=added.error)
        return added

    compare = command(
        "compare",
        _compare,
        "compare runs that --llm-usage-json wrote",
        "Several runs a side (BASE... -- HEAD..., or folders of them) are compared by their medians, and a change within their "
        "spread is called noise. Exit status: 0, or 1 where a gate is exceeded, or 2 where a file or an option cannot be used.",
    )
    compare.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="BASE HEAD, or BASE... -- HEAD...; a folder is all runs (*.json) in it",
    )
    compare.add_argument(
        "--fail-on",
        type=_argument_type(lambda text: FailOn.parse(text).gates),
        default=(),
        metavar="GATES",
        help="how much usage may rise, in one test and in all together: tokens:+5%%,cost:+$0.01,calls:+0; no-baseline "
        "changes nothing here, because a missing RUN is an error",
    )
    compare.add_argument(
        "--floor",
        type=_argument_type(_tokens),
        default=0,
        metavar="N",
        help="call a change of at most N tokens noise (default: 0)",
    )
    compare.add_argument(
        "--as",
        dest="as_model",
        metavar="MODEL",
        help="what if: what one RUN would cost on another model, at its recorded counts",
    )
    compare.add_argument("--provider", metavar="NAME", help="with --as: who sells that model")
    compare.add_argument("--prices", type=Path, metavar="PATH", help="with --as: your own prices (TOML), asked first")
    _add_reports(compare)

    export_ = command(
        "export",
        export_runs,
        "write runs for tools that draw trends",
        "Of several runs, each number is their median, with its spread where the format has a place for it.",
    )
    export_.add_argument("format", choices=EXPORTS, metavar="FORMAT", help=", ".join(EXPORTS))
    export_.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="files, or folders of them")
    export_.add_argument(
        "-o", "--output", type=Path, default=STDOUT, metavar="PATH", help="a new file (default: the standard output)"
    )

    history_ = command("history", history, "show how usage moved, from a file that --llm-usage-history wrote")
    history_.add_argument("file", type=Path, metavar="FILE", help="a file that --llm-usage-history wrote")
    history_.add_argument("--test", metavar="NAME", help="what this test used (tests/test_agent.py::test_bird)")
    history_.add_argument("--model", metavar="PATTERN", help="what these models used (gpt-4o*)")
    history_.add_argument("--branch", metavar="NAME", help="the runs of this branch alone")
    history_.add_argument(
        "--last",
        type=_argument_type(_runs),
        default=LAST,
        metavar="N",
        help=f"the latest N runs (default: {LAST}; 0: all)",
    )

    blame_ = command(
        "blame",
        blame,
        "name the commits that moved a test's usage, and what each changed",
        "Read from git's history of the test's usage snapshot, or from the runs of --history.",
    )
    blame_.add_argument("test", metavar="TEST", help="tests/test_agent.py::test_bird")
    blame_.add_argument("--history", type=Path, metavar="FILE", help="a file that --llm-usage-history wrote")

    merge = command(
        "merge",
        _merge,
        "put the shards of a run together",
        "Tests that several shards ran, and shards that are missing (--llm-usage-shard=2/4), are named. Exit status: 0, or 1 where "
        "a shard is missing, or 2 where a file cannot be used.",
    )
    merge.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="files that --llm-usage-json wrote")
    merge.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="where to write the merged run; - is the standard output",
    )
    _add_reports(merge)

    prices = command(
        "prices",
        _prices,
        "show what a model costs, and where that price comes from",
        "Exit status: 0, or 1 where no price is known, or 2 where a file or an option cannot be used.",
    )
    prices.add_argument("model", metavar="MODEL", help="as the provider's response names it")
    prices.add_argument("--provider", metavar="NAME", help="who sells it (openai, azure, amazon_bedrock, ...)")
    prices.add_argument("--prices", type=Path, metavar="PATH", help="your own prices (TOML), asked first")
    prices.add_argument(
        "--on", type=_argument_type(_day), metavar="DAY", help="the price of a day (2026-01-31) instead of today's"
    )

    why = command(
        "why",
        _why,
        "explain what a run cost: its largest causes, and what would change each",
        "Exit status: 0, or 2 where a file cannot be used or no test has that name.",
    )
    why.add_argument("run_file", type=Path, metavar="RUN", help="a file that --llm-usage-json wrote")
    why.add_argument("test", nargs="?", metavar="TEST", help="one test, or all whose name contains this text")

    cassettes = commands.add_parser("cassettes", help="manage recordings", description="Manage recordings.")
    actions = cassettes.add_subparsers(metavar="ACTION", required=True)
    for name, run, text in (
        ("list", recordings.list_, "list what each cassette holds: requests, model calls, date, models"),
        ("show", recordings.show, "show requests and answers, shortened, with their usage"),
        ("audit", recordings.audit, "find secrets; exit status 1 where there are any"),
        ("redact", recordings.redact, "remove secrets; exit status 1 where some are left"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.set_defaults(run=run, error=action.error)
        action.add_argument(
            "paths",
            nargs="+" if name == "show" else "*",
            type=Path,
            default=[Path()],
            metavar="PATH",
            help="cassettes, or folders in which to look for them",
        )
        if name in ("audit", "redact"):
            action.add_argument(
                "--rule",
                type=_argument_type(_redaction_rule),
                action="append",
                default=[],
                metavar="RULE",
                help="one more rule for what is secret, besides the project's llm_usage_redact: header:NAME, query:NAME, "
                "field:NAME or pattern:REGEX; may be repeated",
            )
    return parser


def _why(options: argparse.Namespace) -> int:
    data = read_run(options.run_file)
    tests = explained_tests(data)
    if options.test is not None:
        tests = [test for test in tests[:-1] if options.test in test.nodeid]
    if not tests:
        raise RunFileError(f"{options.run_file}: no test is called {options.test!r}")
    lines = why_lines(tests, screen_columns())
    for line in lines or ["no model was called"]:
        print(inert(line))
    if lines and not any(call.input_by_part for test in tests for call in test.calls):
        print(
            "The run was written without what its calls sent: record it with this version, --llm-usage-json=NEW-FILE.json"
        )
    return OK


def _add_reports(parser: argparse.ArgumentParser) -> None:
    for report in _FORMATS:
        parser.add_argument(
            f"--{report.option}", type=Path, metavar="PATH", help=f"{report.help}; - is the standard output"
        )
    add_page_options(parser)


def _wanted(options: argparse.Namespace) -> dict[ReportFormat, Path]:
    """The reports that were requested, and the path of each."""
    paths = {report: getattr(options, report.option) for report in _FORMATS}
    return {report: path for report, path in paths.items() if path is not None}


def _argument_type(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """`parse` as a type for argparse, which shows no other error's message than `ArgumentTypeError`'s."""

    def parsed(text: str) -> _T:
        try:
            return parse(text)
        except ConfigurationError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _tokens(text: str) -> int:
    return parse_count(text, "tokens")


def _runs(text: str) -> int:
    return parse_count(text, "runs")


def _redaction_rule(text: str) -> str:
    Redaction.parse([text])
    return text


def _day(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ConfigurationError(f"{text!r} is not a day (example: 2026-01-31)") from None


# -- runs ------------------------------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> int:
    if options.as_model is not None:
        return what_if(options)
    check_page_options(options)
    base, head = options.runs, [Path(name) for name in options.after or ()]
    if options.after is None:
        if len(base) != 2:
            options.error("give two runs (BASE HEAD), or several a side (BASE... -- HEAD...)")
        base, head = base[:1], base[1:]
    elif not head:
        options.error("there is no run after --")
    earlier, later = ([run for path in side for run in read_runs(path)] for side in (base, head))
    comparison = RunComparison(
        earlier,
        later,
        base_name=str(base[0]) if len(earlier) == 1 else plural(len(earlier), "run"),
        gates=options.fail_on,
        floor_tokens=options.floor,
    )
    if STDOUT not in _wanted(options).values():
        print("\n".join(map(inert, comparison_lines(comparison, screen_columns()))))
    _write_reports(options, comparison.head[-1], comparison)
    return FAILED if comparison.failed else OK


def _merge(options: argparse.Namespace) -> int:
    check_page_options(options)
    contents: dict[bytes, Path] = {}
    runs = []
    for path in options.runs:
        content = read_content(path)  # once: it may be a pipe
        run = read_run(path, content)
        first = contents.setdefault(content, path)
        if first is path:
            runs.append(run)
        else:
            say(f"{path} is the same run as {first}; it is counted once")
    data, merged = merged_data(runs)
    differing = [test for test, records in merged.duplicates.items() if _differ(merged.tests[test], records)]
    for test in differing[:_MOST_NAMED]:
        say(
            f"{test}: in {len(merged.duplicates[test]) + 1} runs with different usage; the largest is taken for comparisons"
        )
    if len(differing) > _MOST_NAMED:
        say(f"... and {plural(len(differing) - _MOST_NAMED, 'more test')} with different usage")
    if same := len(merged.duplicates) - len(differing):
        say(f"{plural(same, 'test')} in several runs, with the same usage in each")
    gaps = merged.missing_shards
    for number, count in gaps:
        say(f"shard {number}/{count} is missing")
    line = write_report(_JSON, options.output, _JSON.render(data))
    if line is not None:
        print(f"{line}: {plural(len(merged.tests), 'test')} of {plural(len(runs), 'run')}")
    _write_reports(options, data, None)
    return FAILED if gaps else OK


def _differ(record: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> bool:
    return any(other["usage"] != record["usage"] for other in others)


def _write_reports(options: argparse.Namespace, data: RunData, comparison: RunComparison | None) -> None:
    # If a report goes to the standard output, nothing else does.
    wanted = _wanted(options)
    messages = sys.stderr if STDOUT in wanted.values() else sys.stdout
    extras = page_extras(options, data, comparison.base[-1] if comparison is not None else None)
    for report, path in wanted.items():
        line = write_report(report, path, report.render(data, comparison, extras))
        if line is not None:
            print(line, file=messages)


# -- prices ----------------------------------------------------------------------------------------------------


def _prices(options: argparse.Namespace) -> int:
    book = PriceBook() if options.prices is None else PriceBook.from_sources(options.prices)
    try:
        print(book.describe(options.model, provider=options.provider, at=options.on))
    except PriceUnknownError as error:
        say(str(error))
        return FAILED
    return OK
