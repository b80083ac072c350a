"""Every option, ini key, environment variable and marker, declared once, and the frozen `Settings` made of them.

Nothing below this module sees pytest. Command-line defaults are None, so that the environment and the ini file can
win; values are parsed here, and a wrong one is one line that names the option and what it takes.
"""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

from pytest_llm_usage.budget import BUDGET_KINDS, Limits, parse_count
from pytest_llm_usage.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_llm_usage.compare import Tolerances
    from pytest_llm_usage.report.comparison import FailOn

__all__ = ["CassetteMark", "Settings", "add_options", "cassette_mark", "is_taken", "limits_of", "project_settings"]

_PREFIX = "llm_usage_"


def _count_of(unit: str) -> Callable[[str], int]:
    return lambda text: parse_count(text, unit)


def _one_of(*choices: str, renamed: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip() in choices:
            return text.strip()
        if text.strip() in renamed:
            raise ConfigurationError(f"{text.strip()!r} was renamed: use {renamed[text.strip()]!r}")
        from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

        near = get_close_matches(text, choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"{text!r} is not one of {', '.join(choices)}{hint}")

    return parse


def _tolerances(text: str) -> Tolerances:
    from pytest_llm_usage.compare import Tolerances  # noqa: PLC0415 -- only where it is set

    return Tolerances.parse(text)


def _model_names(text: str) -> Mapping[str, str]:
    from pytest_llm_usage.compare import parse_model_names  # noqa: PLC0415 -- only where it is set

    return parse_model_names(filter(None, map(str.strip, text.splitlines())))


def _path(text: str) -> Path:
    if not text.strip():
        raise ConfigurationError("the name of a file is missing")
    return Path(text.strip())


def _fail_on(text: str) -> FailOn:
    from pytest_llm_usage.report.comparison import FailOn  # noqa: PLC0415 -- only where it is set

    return FailOn.parse(text)


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.strip().isdecimal() and count.strip().isdecimal() and 0 < int(number) <= int(count)):
        raise ConfigurationError(f"{text!r} is not a part of a run (example: 1/4, 2/4, 3/4 and 4/4)")
    return int(number), int(count)


def _days(text: str) -> int:
    number = re.fullmatch(r"\s*([0-9]{1,6})\s*d?\s*", text)
    if number is None:
        raise ConfigurationError(f"{text!r} is not a number of days (examples: 30, 30d)")
    return int(number[1])


def _redaction_rules(text: str) -> tuple[str, ...]:
    from pytest_llm_usage.cassettes.redaction import Redaction  # noqa: PLC0415 -- only where it is set

    rules = tuple(filter(None, map(str.strip, text.splitlines())))
    Redaction.parse(rules)
    return rules


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """One thing that can be configured.

    Attributes:
        name: The field of `Settings`; with the prefix `llm_usage_` the ini key and the option's `dest`.
        parse: Text → value; raises `ConfigurationError`.
        help: For `pytest --help`.
        default: Where nobody says anything.
        flag: The option with the prefix `--llm-usage-`, or None where there is only the ini key.
        short: A second, shorter spelling of the option.
        metavar: What stands for the value in the help.
        ini_type: What pytest takes it for in the ini file; lines are a list in TOML.
    """

    name: str
    parse: Callable[[str], Any]
    help: str
    default: Any = None
    flag: str | None = None
    short: str | None = None
    metavar: str | None = None
    ini_type: Literal["string", "linelist"] = "string"

    @property
    def key(self) -> str:
        """The ini key."""
        return f"{_PREFIX}{self.name}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The option, as it is best typed first."""
        spellings = (f"--llm-usage-{self.flag}",)
        if self.short is None or os.environ.get("PYTEST_LLM_USAGE_SHORT_OPTIONS") == "0":
            return spellings
        return (self.short, *spellings)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.key.upper()}"


@dataclass(frozen=True)
class _Renamed:
    """An earlier name of a setting: an error that gives the new one, so that no suite runs without what it asked for.

    Attributes:
        option: The option as it was.
        name: What the ini key and the environment variable had behind their prefixes; None where these did not change.
        new_name: The setting's name.
    """

    option: str
    name: str | None
    new_name: str


_RENAMED = (_Renamed("--llm-usage-mode", "mode", "budgets"), _Renamed("--llm-usage", None, "report"))

RECORD_MODES = ("none", "once", "new_episodes", "all", "rewrite", "live")
_parse_record_mode = _one_of(*RECORD_MODES, renamed={"off": "live"})

_SETTINGS = (
    *(
        _Setting(
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
    _Setting(
        name="budgets",
        parse=_one_of("fail", "warn", "off"),
        flag="budgets",
        default="fail",
        metavar="MODE",
        help="what happens when a test or the run exceeds its budget: fail (default), warn or off",
    ),
    _Setting(
        name="record",
        parse=_parse_record_mode,
        flag="record",
        metavar="MODE",
        help="cassettes: none (default: replay, an unknown request fails), once, new_episodes, all, rewrite, "
        "or live (no cassette: calls go to the provider and are measured)",
    ),
    _Setting(
        name="report",
        parse=_one_of("models", "tests", "calls", "off"),
        flag="report",
        default="models",
        metavar="WHAT",
        help="the section at the end of the run: models (default), tests, calls or off",
    ),
    _Setting(
        name="json",
        parse=_path,
        flag="json",
        metavar="PATH",
        help="write the run as data (its JSON Schema is in the package); - is the standard output",
    ),
    _Setting(
        name="md",
        parse=_path,
        flag="md",
        metavar="PATH",
        help="write the run, or the comparison, as Markdown for a comment on a pull request; - is the standard output. "
        "In GitHub Actions it is added to the step's summary as well",
    ),
    _Setting(
        name="html",
        parse=_path,
        flag="html",
        metavar="PATH",
        help="write the run as one self-contained page with charts",
    ),
    _Setting(
        name="compare",
        parse=_path,
        flag="compare",
        metavar="PATH",
        help="compare with an earlier run, a file that --llm-usage-json wrote, or with the medians of several, a folder of "
        "such files; where there is none yet, the run says so",
    ),
    _Setting(
        name="floor",
        parse=_count_of("tokens"),
        flag="floor",
        default=0,
        metavar="N",
        help="with --llm-usage-compare: call a change of at most N tokens, and no more calls, of a test noise (default: 0)",
    ),
    _Setting(
        name="fail_on",
        parse=_fail_on,
        flag="fail-on",
        metavar="GATES",
        help="with --llm-usage-compare: fail the run where usage rose by more, of a test or of all together "
        "(tokens:+5%, cost:+$0.01, calls:+0; of tokens, input, output, calls, cost), or where there is nothing to "
        "compare with (no-baseline); separated by commas",
    ),
    _Setting(
        name="shard",
        parse=_shard,
        flag="shard",
        metavar="I/N",
        help="which part of a divided run this is (2/4), so that pytest-llm-usage merge can name the missing ones",
    ),
    _Setting(
        name="track",
        parse=_one_of("all", "requested"),
        default="all",
        help="which tests are tracked and budgeted: all (default; of those that neither ask for llm_usage nor are marked "
        "vcr, only LangChain's calls can be seen), or requested: those that ask for llm_usage",
    ),
    _Setting(
        name="missing",
        parse=_one_of("error", "warn", "ignore"),
        default="error",
        help="what reading a count or a cost does while a call's is unknown: error (default), warn or ignore",
    ),
    _Setting(
        name="unpriced",
        parse=_one_of("error", "warn", "ignore"),
        default="error",
        help="what reading a cost, or limiting it, does while a call has no price: error (default), warn or ignore",
    ),
    _Setting(
        name="tolerance",
        parse=_tolerances,
        help="how far usage may be from its snapshot where a test does not say: input:5% output:20 cost:$0.001 ratchet",
    ),
    _Setting(
        name="model_names",
        parse=_model_names,
        default=MappingProxyType({}),
        help="names for models in snapshots, one a line: gpt-4o-* = gpt-4o",
    ),
    _Setting(
        name="audit",
        parse=_one_of("warn", "error", "off"),
        default="warn",
        help="what a call does of which LangChain and the provider's response say different things: warn (default: "
        "listed at the end of the run), error (the test fails) or off",
    ),
    _Setting(
        name="cassette_dir",
        parse=str,
        help="folder of the cassettes, relative to the test file's (default: cassettes), with a folder a test module",
    ),
    _Setting(
        name="ignore_hosts",
        parse=_words,
        default=(),
        help="hosts whose requests are neither recorded nor replayed, separated by spaces",
    ),
    _Setting(
        name="cassette_json",
        parse=_one_of("indented", "verbatim"),
        default="indented",
        help="how JSON bodies are written to a cassette: indented (default) or verbatim",
    ),
    _Setting(
        name="redact",
        parse=_redaction_rules,
        default=(),
        ini_type="linelist",
        help="what is replaced in cassettes besides credentials, one a line: header:NAME, query:NAME, field:NAME (of a "
        "JSON body) or pattern:REGEX",
    ),
    _Setting(
        name="max_age",
        parse=_days,
        help="fail a test whose cassette is older, by the dates in it: 30, 30d (default: any age)",
    ),
    _Setting(
        name="unplayed",
        parse=_one_of("fail", "warn", "off"),
        flag="unplayed",
        default="off",
        metavar="MODE",
        help="what a test does that passed without asking for all of its cassette's recordings: fail, warn or off "
        "(default)",
    ),
    _Setting(
        name="orphans",
        parse=_one_of("fail", "warn", "off"),
        flag="orphans",
        default="off",
        metavar="MODE",
        help="what the run does about cassettes that belong to no test: fail, warn or off (default); none is removed",
    ),
    _Setting(
        name="prices",
        parse=str,
        help="file of your own prices, relative to pytest's root directory",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Registers the options and ini keys with pytest.

    `PYTEST_LLM_USAGE_SHORT_OPTIONS=0` leaves out the short spellings, for suites that declare `--max-tokens` themselves.
    """
    group = parser.getgroup("llm-usage", "token usage and cost of model calls")
    for setting in _SETTINGS:
        if setting.flag is not None:
            group.addoption(
                *setting.spellings,
                dest=setting.key,
                default=None,
                metavar=setting.metavar,
                help=setting.help.replace("%", "%%"),
            )
        parser.addini(setting.key, setting.help, type=setting.ini_type, default=None)
    for old in _RENAMED:
        group.addoption(old.option, dest=_dest(old), nargs="?", const="...", default=None, help=argparse.SUPPRESS)
        if old.name is not None:
            parser.addini(f"{_PREFIX}{old.name}", f"renamed to {_PREFIX}{old.new_name}", default=None)


def _dest(old: _Renamed) -> str:
    return "renamed" + old.option.replace("-", "_")


def is_taken(error: argparse.ArgumentError) -> bool:
    """Whether an option could not be declared because one of ours has its name already."""
    ours = {spelling for setting in _SETTINGS if setting.flag is not None for spelling in setting.spellings}
    return not ours.isdisjoint((error.argument_name or "").split("/"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line, the environment and the ini file say; see the help of each option.

    Attributes:
        limits: What one test may spend where no marker says otherwise.
        session_limits: What the whole run may spend.
        record: The record mode, or None where nobody chose one.
        prices: The file of the user's own prices, absolute.
        redact: The user's rules of redaction, each as `Redaction.parse` reads it.
        max_age: How old a cassette may be, in days; None for any age.
        root: pytest's root directory.
        json: Where the run is written to as data, absolute, or `-`; likewise `md` and `html`.
        compare: The file of the run to compare with, or a folder of several, absolute.
        floor: How many tokens a test may move in that comparison without being named.
        fail_on: What fails the run in that comparison.
        shard: Which part of a divided run this is, from 1, and of how many.
        step_summary: The file to which GitHub Actions wants Markdown to be added.
    """

    limits: Limits
    session_limits: Limits
    budgets: str
    record: str | None
    report: str
    track: str
    missing: Literal["error", "warn", "ignore"]
    unpriced: Literal["error", "warn", "ignore"]
    tolerance: Tolerances | None
    model_names: Mapping[str, str]
    audit: str
    cassette_dir: str | None
    ignore_hosts: tuple[str, ...]
    cassette_json: Literal["indented", "verbatim"]
    redact: tuple[str, ...]
    max_age: int | None
    unplayed: Literal["fail", "warn", "off"]
    orphans: Literal["fail", "warn", "off"]
    prices: Path | None
    root: Path
    json: Path | None
    md: Path | None
    html: Path | None
    compare: Path | None
    floor: int
    fail_on: FailOn | None
    shard: tuple[int, int] | None
    step_summary: Path | None

    @classmethod
    def from_config(cls, config: pytest.Config) -> Settings:
        """The settings of a run: command line before environment before ini file before default.

        Raises:
            ConfigurationError: A value that cannot be read: one line with the option and what it takes. Or an earlier name:
                one line with the new one.
        """
        for old in _RENAMED:
            _refuse(config, old)
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for setting in _SETTINGS:
            values[setting.name], origins[setting.name] = _value(config, setting)
        limits = {name: values.pop(name) for name, kind in BUDGET_KINDS.items() if kind.help}
        session = {name: values.pop(f"session_{name}") for name, kind in BUDGET_KINDS.items() if kind.session_help}
        if values["prices"] is not None:
            values["prices"] = config.rootpath / values["prices"]
        for name in ("json", "md", "html", "compare"):
            if values[name] not in (None, Path("-")):
                # Relative to where it was written down.
                is_ini = origins[name] == f"{_PREFIX}{name}"
                values[name] = (config.rootpath if is_ini else config.invocation_params.dir) / values[name]
        if values["compare"] is None and origins["fail_on"].startswith("--"):
            raise ConfigurationError(f"{origins['fail_on']}: nothing to compare with; add --llm-usage-compare=PATH")
        step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
        return cls(
            limits=Limits(**limits, origins={name: origins[name] for name in limits}),
            session_limits=Limits(**session, origins={name: origins[f"session_{name}"] for name in session}),
            root=config.rootpath,
            step_summary=Path(step_summary) if step_summary else None,
            **values,
        )


#: pytest reads a project's configuration so: this plugin's keys alone, whatever else the project demands of a run.
_READ_ONLY = ("--noconftest", "--disable-plugin-autoload", "--capture=no", "-p", "llm_usage")
_LENIENT = ("strict=false", "strict_config=false", "required_plugins=")


def project_settings(places: Iterable[Path]) -> Settings:
    """The settings of the project in which some files are, as pytest finds them there. None of its code is run.

    Raises:
        ConfigurationError: They cannot be read.
    """
    overrides = (word for setting in _LENIENT for word in ("-o", setting))
    try:
        with warnings.catch_warnings():
            # Keys of plugins that are left out.
            warnings.simplefilter("ignore")
            config = pytest.Config.fromdictargs({}, [*_READ_ONLY, *overrides, *map(str, places)])
    except pytest.UsageError as error:
        raise ConfigurationError(str(error)) from None
    return Settings.from_config(config)


def _refuse(config: pytest.Config, old: _Renamed) -> None:
    """Raises an error where an earlier name is used."""
    new = next(setting for setting in _SETTINGS if setting.name == old.new_name)
    value = config.getoption(_dest(old), None)
    if value is not None:
        raise ConfigurationError(f"{old.option} was renamed: use {new.spellings[0]}={value}")
    if old.name is None:
        return
    variable, key = f"PYTEST_LLM_USAGE_{old.name.upper()}", f"{_PREFIX}{old.name}"
    if os.environ.get(variable):
        raise ConfigurationError(f"{variable} was renamed: use {new.variable}={os.environ[variable]}")
    if config.getini(key):
        raise ConfigurationError(f"{key} was renamed: use {new.key} = {config.getini(key)}")


def _ini_text(config: pytest.Config, setting: _Setting) -> str | None:
    value = config.getini(setting.key)
    return "\n".join(value or ()) or None if setting.ini_type == "linelist" else value or None


def _value(config: pytest.Config, setting: _Setting) -> tuple[Any, str]:
    """The value of a setting and where it was set."""
    sources = (
        (config.getoption(setting.key, None) if setting.flag is not None else None, setting.spellings[0]),
        # Set to nothing is not set: how CI systems pass on a variable they do not have.
        (os.environ.get(setting.variable) or None, setting.variable),
        (_ini_text(config, setting), setting.key),
    )
    for text, origin in sources:
        if text is not None:
            try:
                return setting.parse(cast("str", text)), origin
            except ConfigurationError as error:
                raise ConfigurationError(f"{origin}: {error}") from None
    return setting.default, "default"


# -- markers ---------------------------------------------------------------------------------------------------

_BUDGET_MARKER = (
    f"llm_budget({', '.join(f'{name}=None' for name in BUDGET_KINDS)}, "
    "model=None): fail the test if its model calls exceed a limit; with model='gpt-4o*' the limits hold for those models; "
    "calls of a provider's own SDK are seen only in a test that asks for llm_usage or is marked vcr"
)
_CASSETTE_MARKER = (
    "llm_cassette(name=None, record=None, match_on=None, ignore_body=None): name the test's cassette, or say how it "
    "is recorded and matched"
)
MARKERS = (_BUDGET_MARKER, _CASSETTE_MARKER)


def _marks(item: pytest.Item, name: str) -> Iterator[pytest.Mark]:
    """The markers of a name, the nearest first: a parameter's before its function's, which pytest has behind it."""
    callspec = getattr(item, "callspec", None)
    of_parameter = [mark for mark in getattr(callspec, "marks", ()) if mark.name == name]
    yield from (getattr(mark, "mark", mark) for mark in of_parameter)
    for mark in item.iter_markers(name):
        if not any(getattr(other, "mark", other) is mark for other in of_parameter):
            yield mark


def limits_of(item: pytest.Item, settings: Settings) -> tuple[Limits, ...]:
    """What a test may spend: one set for all models, and one for each marker with a `model`.

    The nearest marker wins, limit by limit, before what `settings` says; markers with a model add up.

    Raises:
        ConfigurationError: A marker with a keyword or value that cannot be read.
    """
    general = Limits()
    of_models = []
    for mark in _marks(item, "llm_budget"):
        if mark.args:
            raise ConfigurationError(f"@pytest.mark.llm_budget takes keywords only, not {mark.args[0]!r}")
        limits = Limits.parse(mark.kwargs, origin="@pytest.mark.llm_budget")
        if limits.model is not None:
            of_models.append(limits)
        else:
            general = general.over(limits)
    return tuple(limits for limits in (general.over(settings.limits), *of_models) if limits)


@dataclass(frozen=True, kw_only=True)
class CassetteMark:
    """The keywords of the marker `llm_cassette`; see the README's chapter on cassettes."""

    name: str | None = None
    record: str | None = None
    match_on: tuple[str, ...] | None = None
    ignore_body: tuple[str, ...] = ()

    @classmethod
    def from_marker(cls, name: object, keywords: Mapping[str, Any]) -> CassetteMark:
        """The keywords, checked.

        Raises:
            ConfigurationError: A keyword or value that cannot be read.
        """
        values: dict[str, Any] = {"name": name, **keywords}
        known = cls.__dataclass_fields__
        for key, value in values.items():
            if key not in known:
                raise ConfigurationError(f"llm_cassette: {key!r} is not one of {', '.join(known)}")
            if value is None:
                continue
            if key in ("match_on", "ignore_body"):
                values[key] = (value,) if isinstance(value, str) else tuple(value)
            elif not isinstance(value, str):
                raise ConfigurationError(f"llm_cassette: {key}: {value!r} is not a text")
        if values.get("record") is not None:
            try:
                _parse_record_mode(values["record"])
            except ConfigurationError as error:
                raise ConfigurationError(f"llm_cassette: record: {error}") from None
        return cls(**{key: value for key, value in values.items() if value is not None})


def cassette_mark(item: pytest.Item) -> CassetteMark:
    """What the nearest `llm_cassette` marker says.

    Raises:
        ConfigurationError: A keyword or value that cannot be read.
    """
    mark = next(_marks(item, "llm_cassette"), None)
    if mark is None:
        return CassetteMark()
    if len(mark.args) > 1:
        raise ConfigurationError(f"llm_cassette takes one name, not {', '.join(map(repr, mark.args))}")
    return CassetteMark.from_marker(mark.args[0] if mark.args else None, mark.kwargs)
