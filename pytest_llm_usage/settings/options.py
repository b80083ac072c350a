"""Every option, ini key and environment variable, declared once.

The options' own defaults are None, so that the environment and the ini file apply when an option is not given.
"""

import argparse
import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Literal

import pytest

from pytest_llm_usage.budget.limits import BUDGET_KINDS
from pytest_llm_usage.records import Record
from pytest_llm_usage.report.formats import FORMATS
from pytest_llm_usage.settings import parsers

PREFIX = "llm_usage_"


class Setting(Record):
    """One thing that can be configured.

    Attributes:
        name: The field of `Settings`; with the prefix `llm_usage_` it is the ini key and the option's `dest`.
        parse: Reads the text of a value; raises `ConfigurationError`.
        help: For `pytest --help`.
        default: The value if none is set.
        flag: The option without its prefix `--llm-usage-`, or None if there is only the ini key.
        short: A second, shorter spelling of the option.
        metavar: The placeholder of the value in the help.
        ini_type: pytest's type of the ini key; lines are a list in TOML.
        is_switch: Whether the option takes no value and stands for `on`.
    """

    name: str
    parse: Callable[[str], Any]
    help: str
    default: Any = None
    flag: str | None = None
    short: str | None = None
    metavar: str | None = None
    ini_type: Literal["string", "linelist"] = "string"
    is_switch: bool = False

    @property
    def key(self) -> str:
        """The ini key."""
        return f"{PREFIX}{self.name}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The spellings of the option, the best one first."""
        spellings = (f"--llm-usage-{self.flag}",)
        if self.short is None or os.environ.get("PYTEST_LLM_USAGE_SHORT_OPTIONS") == "0":
            return spellings
        return (self.short, *spellings)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.key.upper()}"


class Renamed(Record):
    """An earlier name of a setting. Using it is an error that gives the new name, so that no suite runs without the setting.

    Attributes:
        option: The option as it was.
        name: The earlier name of the ini key and the variable, without their prefixes; None if these did not change.
        new_name: The setting's name.
    """

    option: str
    name: str | None
    new_name: str

    @property
    def dest(self) -> str:
        """The `dest` of the option."""
        return f"renamed{self.option.replace('-', '_')}"


RENAMED = (Renamed("--llm-usage-mode", "mode", "budgets"), Renamed("--llm-usage", None, "report"))

RECORD_MODES = ("none", "once", "new_episodes", "all", "rewrite", "stale", "live")
parse_record_mode = parsers.one_of(*RECORD_MODES, renamed={"off": "live"})

SETTINGS = (
    *(
        Setting(
            name=f"{scope}{name}",
            parse=kind.parse,
            flag=f"{scope}{kind.option}".replace("_", "-"),
            short=f"--{scope}{kind.option}".replace("_", "-"),
            metavar=kind.metavar,
            help=help_text,
        )
        for scope in ("", "session_")
        for name, kind in BUDGET_KINDS.items()
        if (help_text := kind.session_help if scope else kind.help)
    ),
    Setting(
        name="budgets",
        parse=parsers.one_of("fail", "warn", "off"),
        flag="budgets",
        default="fail",
        metavar="MODE",
        help="what happens when a test or the run exceeds its budget: fail (default), warn or off",
    ),
    Setting(
        name="record",
        parse=parse_record_mode,
        flag="record",
        metavar="MODE",
        help="cassettes: none (default: replay, an unknown request fails), once, new_episodes, all, rewrite, "
        "stale (replay, and record what does not match or is not there) "
        "or live (no cassette: calls go to the provider and are measured)",
    ),
    Setting(
        name="plan",
        parse=parsers.switch,
        flag="plan",
        default=False,
        is_switch=True,
        help="replay, and print what --llm-usage-record=stale will cost: by test and model, as a range; nothing is sent and no "
        "cassette is written, whatever else is asked for",
    ),
    Setting(
        name="keep_failed",
        parse=parsers.switch,
        flag="keep-failed",
        default=False,
        is_switch=True,
        help="keep what a test recorded that then failed, in a file .failed.yaml beside its cassette; it is never replayed",
    ),
    Setting(
        name="placeholder_keys",
        parse=parsers.switch,
        default=True,
        help="whether providers' keys that are not set get a placeholder while a test replays: on (default) or off",
    ),
    Setting(
        name="report",
        parse=parsers.one_of("models", "tests", "calls", "why", "off"),
        flag="report",
        default="models",
        metavar="WHAT",
        help="the section at the end of the run: models (default), tests, calls, why or off",
    ),
    *(
        Setting(
            name=report.option,
            parse=parsers.path,
            flag=report.option,
            metavar="PATH",
            help=f"{report.help}; - is the standard output",
        )
        for report in FORMATS
    ),
    Setting(
        name="html_bodies",
        parse=parsers.switch,
        flag="html-bodies",
        default=False,
        is_switch=True,
        help="with --llm-usage-html: show the recorded prompt and answer of each call, as its cassette has them, and what "
        "changed in the prompt since the run that it is compared with",
    ),
    Setting(
        name="history",
        parse=parsers.path,
        flag="history",
        metavar="PATH",
        help="add the run to a SQLite file, for pytest-llm-usage history and blame",
    ),
    Setting(
        name="compare",
        parse=parsers.path,
        flag="compare",
        metavar="PATH",
        help="compare with an earlier run, a file that --llm-usage-json wrote, or with the medians of several, a folder of "
        "such files; if there is no such run, the report says so",
    ),
    Setting(
        name="floor",
        parse=parsers.count_of("tokens"),
        flag="floor",
        default=0,
        metavar="N",
        help="with --llm-usage-compare: treat a test's change of at most N tokens, and no more calls, as noise (default: 0)",
    ),
    Setting(
        name="fail_on",
        parse=parsers.fail_on,
        flag="fail-on",
        metavar="GATES",
        help="with --llm-usage-compare: fail the run if the usage of a test, or of the whole run, rose by more "
        "(tokens:+5%, cost:+$0.01, calls:+0; also input and output), or if there is nothing to "
        "compare with (no-baseline); separated by commas",
    ),
    Setting(
        name="shard",
        parse=parsers.shard,
        flag="shard",
        metavar="I/N",
        help="which shard of a run this is (2/4), so that pytest-llm-usage merge can name the missing ones",
    ),
    Setting(
        name="track",
        parse=parsers.one_of("all", "langchain", "requested"),
        default="all",
        help="which calls are tracked and budgeted: all (default: of every test, whoever makes them), langchain (of every "
        "test, but only LangChain's where no cassette is replayed) or requested (of tests that ask for llm_usage)",
    ),
    Setting(
        name="live",
        parse=parsers.one_of("allow", "warn", "fail"),
        flag="live",
        default="allow",
        metavar="MODE",
        help="what happens to a model call that would leave this machine: allow (default), warn or fail (its test fails before "
        "it is sent)",
    ),
    Setting(
        name="missing",
        parse=parsers.one_of("error", "warn", "ignore"),
        default="error",
        help="what happens when a test reads a count or a cost that is unknown: error (default), warn or ignore",
    ),
    Setting(
        name="unpriced",
        parse=parsers.one_of("error", "warn", "ignore"),
        default="error",
        help="what happens when a test reads or limits a cost while a call has no price: error (default), warn or ignore",
    ),
    Setting(
        name="tolerance",
        parse=parsers.tolerances,
        help="how far usage may differ from its snapshot unless the test says otherwise: input:5% output:20 cost:$0.001 ratchet",
    ),
    Setting(
        name="model_names",
        parse=parsers.model_names,
        default=MappingProxyType({}),
        help="names for models in snapshots, one per line: gpt-4o-* = gpt-4o",
    ),
    Setting(
        name="audit",
        parse=parsers.one_of("warn", "error", "off"),
        default="warn",
        help="what happens when LangChain and the provider disagree on a call: warn (default: "
        "listed at the end of the run), error (the test fails) or off",
    ),
    Setting(
        name="cassette_dir",
        parse=str,
        help="folder of the cassettes, relative to the test file (default: cassettes), with one folder per test module",
    ),
    Setting(
        name="ignore_hosts",
        parse=parsers.words,
        default=(),
        help="hosts whose requests are neither recorded nor replayed, separated by spaces",
    ),
    Setting(
        name="match_on",
        parse=parsers.words,
        help="vcrpy's matchers that decide which recording answers, separated by spaces (default: method host path query "
        "body); a marker or vcr_config overrides it for its tests",
    ),
    Setting(
        name="ignore_body",
        parse=parsers.json_paths,
        default=(),
        ini_type="linelist",
        help="members of JSON request bodies that are not compared, one per line: metadata.session_id, messages[*].id",
    ),
    Setting(
        name="cassette_json",
        parse=parsers.one_of("indented", "verbatim"),
        default="indented",
        help="how JSON bodies are written to a cassette: indented (default) or verbatim",
    ),
    Setting(
        name="redact",
        parse=parsers.redaction_rules,
        default=(),
        ini_type="linelist",
        help="what is replaced in cassettes besides credentials, one per line: header:NAME, query:NAME, field:NAME (of a "
        "JSON body) or pattern:REGEX",
    ),
    Setting(
        name="max_age",
        parse=parsers.days,
        help="fail a test whose cassette is older, by the dates in it: 30, 30d (default: any age is accepted)",
    ),
    Setting(
        name="unplayed",
        parse=parsers.one_of("fail", "warn", "off"),
        flag="unplayed",
        default="off",
        metavar="MODE",
        help="what happens when a test passes without playing all recordings of its cassette: fail, warn or off "
        "(default)",
    ),
    Setting(
        name="orphans",
        parse=parsers.one_of("fail", "warn", "off"),
        flag="orphans",
        default="off",
        metavar="MODE",
        help="what happens when cassettes belong to no test: fail, warn or off (default); none is removed",
    ),
    Setting(
        name="prices",
        parse=str,
        help="file of your own prices, relative to pytest's root directory",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Registers the options and ini keys with pytest.

    `PYTEST_LLM_USAGE_SHORT_OPTIONS=0` omits the short spellings, for suites that declare `--max-tokens` themselves.
    """
    group = parser.getgroup("llm-usage", "token usage and cost of model calls")
    for setting in SETTINGS:
        if setting.flag is not None:
            kind: dict[str, Any] = (
                {"action": "store_const", "const": "on"} if setting.is_switch else {"metavar": setting.metavar}
            )
            group.addoption(
                *setting.spellings, dest=setting.key, default=None, help=setting.help.replace("%", "%%"), **kind
            )
        parser.addini(setting.key, setting.help, type=setting.ini_type, default=None)
    for old in RENAMED:
        group.addoption(old.option, dest=old.dest, nargs="?", const="...", default=None, help=argparse.SUPPRESS)
        if old.name is not None:
            parser.addini(f"{PREFIX}{old.name}", f"renamed to {PREFIX}{old.new_name}", default=None)


def is_taken(error: argparse.ArgumentError) -> bool:
    """Whether the error means that an option has the same name as one of ours."""
    ours = {spelling for setting in SETTINGS if setting.flag is not None for spelling in setting.spellings}
    return not ours.isdisjoint((error.argument_name or "").split("/"))
