"""`Settings`: the settings of a run, read from the command line, the environment and the ini file."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

from pytest_llm_usage.budget.limits import BUDGET_KINDS, Limits
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.records import Record
from pytest_llm_usage.report.formats import FORMATS, STDOUT
from pytest_llm_usage.settings.options import PREFIX, RENAMED, SETTINGS, Renamed, Setting

if TYPE_CHECKING:
    from pytest_llm_usage.compare import Tolerances
    from pytest_llm_usage.report.comparison import FailOn


class Settings(Record):
    """The settings of a run; see the help of each option.

    Attributes:
        limits: What one test may spend where no marker says otherwise.
        session_limits: What the whole run may spend.
        record: The record mode, or None if none was chosen.
        plan: Whether the run only reports what recording stale tests again will cost.
        prices: The absolute path of the user's price file.
        redact: The user's redaction rules, each as `Redaction.parse` reads it.
        max_age: How old a cassette may be, in days; None for any age.
        root: pytest's root directory.
        reports: Where reports are written to, by the option of their format: an absolute path, or `-`.
        html_bodies: Whether the page shows the recorded prompts and answers.
        history: The absolute path of the SQLite file that the run is added to.
        compare: The absolute path of the run to compare with, or of a folder of several.
        floor: By how many tokens a test may change in that comparison without being listed.
        fail_on: What fails the run in that comparison.
        shard: Which part of a sharded run this is, from 1, and of how many.
        step_summary: The file that GitHub Actions shows on the page of the run, to which Markdown is added.
    """

    limits: Limits
    session_limits: Limits
    budgets: str
    record: str | None
    plan: bool
    keep_failed: bool
    placeholder_keys: bool
    report: str
    track: str
    live: str
    missing: Literal["error", "warn", "ignore"]
    unpriced: Literal["error", "warn", "ignore"]
    tolerance: "Tolerances | None"
    model_names: Mapping[str, str]
    audit: str
    cassette_dir: str | None
    ignore_hosts: tuple[str, ...]
    match_on: tuple[str, ...] | None
    ignore_body: tuple[str, ...]
    cassette_json: Literal["indented", "verbatim"]
    redact: tuple[str, ...]
    max_age: int | None
    unplayed: Literal["fail", "warn", "off"]
    orphans: Literal["fail", "warn", "off"]
    prices: Path | None
    root: Path
    reports: Mapping[str, Path]
    html_bodies: bool
    history: Path | None
    compare: Path | None
    floor: int
    fail_on: "FailOn | None"
    shard: tuple[int, int] | None
    step_summary: Path | None

    @property
    def general_limits(self) -> tuple[Limits, ...]:
        """The limits of a test without a marker: one set, or none."""
        return (self.limits,) if self.limits else ()

    @property
    def explains(self) -> bool:
        """Whether the run needs the parts of the calls' input: for the section `why`, or for a report that shows them."""
        return self.report == "why" or bool(self.reports)

    @classmethod
    def from_config(cls, config: pytest.Config) -> "Settings":
        """The settings of a run: command line before environment before ini file before default.

        Raises:
            ConfigurationError: A value cannot be read (one line with the option and what it takes), or a setting has an
                earlier name (one line with the new one).
        """
        for old in RENAMED:
            _refuse(config, old)
        _refuse_unknown_variables()
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for setting in SETTINGS:
            values[setting.name], origins[setting.name] = _value(config, setting)
        limits = {name: values.pop(name) for name, kind in BUDGET_KINDS.items() if kind.help}
        session = {name: values.pop(f"session_{name}") for name, kind in BUDGET_KINDS.items() if kind.session_help}
        if values["prices"] is not None:
            values["prices"] = config.rootpath / values["prices"]
        formats = [report.option for report in FORMATS]
        for name in (*formats, "history", "compare"):
            if values[name] == STDOUT and name not in formats:
                raise ConfigurationError(f"{origins[name]}: - stands for standard output, not for a file")
            if values[name] not in (None, STDOUT):
                # Relative to the ini file if it was set there, else to where pytest was started.
                is_ini = origins[name] == f"{PREFIX}{name}"
                values[name] = (config.rootpath if is_ini else config.invocation_params.dir) / values[name]
        reports = {name: values.pop(name) for name in formats}
        if reports["html"] is None and origins["html_bodies"].startswith("--"):
            raise ConfigurationError(
                f"{origins['html_bodies']}: there is no page to show them on; add --llm-usage-html=PATH"
            )
        if values["plan"]:
            if values["record"] not in (None, "none", "stale") and origins["record"].startswith("--"):
                raise ConfigurationError(
                    f"{origins['plan']}: tells what --llm-usage-record=stale will cost; leave out "
                    f"{origins['record']}={values['record']}"
                )
            values["live"] = "fail"
        if values["compare"] is None and origins["fail_on"].startswith("--"):
            raise ConfigurationError(
                f"{origins['fail_on']}: there is nothing to compare with; add --llm-usage-compare=PATH"
            )
        step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
        return cls(
            limits=Limits(**limits, origins={name: origins[name] for name in limits}),
            session_limits=Limits(**session, origins={name: origins[f"session_{name}"] for name in session}),
            reports={name: path for name, path in reports.items() if path is not None},
            root=config.rootpath,
            step_summary=Path(step_summary) if step_summary else None,
            **values,
        )


def is_asked_for_something(config: pytest.Config) -> bool:
    """Whether any setting was set, to whatever value: on the command line, in the environment or in pytest's configuration."""
    for setting in SETTINGS:
        if config.getoption(setting.key, None) is not None or os.environ.get(setting.variable):
            return True
        with suppress(ValueError):  # not declared
            if config.getini(setting.key):
                return True
    return False


def _refuse_unknown_variables() -> None:
    """Raises an error if one of our variables is misspelt: a limit that is not read guards nothing."""
    known = {*(setting.variable for setting in SETTINGS), "PYTEST_LLM_USAGE_SHORT_OPTIONS"}
    for name in sorted(os.environ.keys() - known):
        if name.startswith("PYTEST_LLM_USAGE_") and os.environ[name]:
            from difflib import get_close_matches  # noqa: PLC0415 -- only on the way to an error

            prefix = "PYTEST_LLM_USAGE_"
            near = get_close_matches(name.removeprefix(prefix), [other.removeprefix(prefix) for other in known], n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigurationError(f"{name}: there is no such setting{hint}")


def _refuse(config: pytest.Config, old: Renamed) -> None:
    """Raises an error if an earlier name is used."""
    new = next(setting for setting in SETTINGS if setting.name == old.new_name)
    value = config.getoption(old.dest, None)
    if value is not None:
        raise ConfigurationError(f"{old.option} was renamed: use {new.spellings[0]}={value}")
    if old.name is None:
        return
    variable, key = f"PYTEST_LLM_USAGE_{old.name.upper()}", f"{PREFIX}{old.name}"
    if os.environ.get(variable):
        raise ConfigurationError(f"{variable} was renamed: use {new.variable}={os.environ[variable]}")
    if config.getini(key):
        raise ConfigurationError(f"{key} was renamed: use {new.key} = {config.getini(key)}")


def _ini_text(config: pytest.Config, setting: Setting) -> str | None:
    value = config.getini(setting.key)
    if isinstance(value, list):  # lines, or a list of TOML's, which pytest hands on whatever the type
        value = "\n".join(map(str, value))
    return value or None


def _value(config: pytest.Config, setting: Setting) -> tuple[Any, str]:
    """The value of a setting, and where it was set."""
    sources = (
        (config.getoption(setting.key, None) if setting.flag is not None else None, setting.spellings[0]),
        # An empty variable is not set: CI systems pass on a variable that they do not have as an empty one.
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
