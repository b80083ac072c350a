"""The markers `llm_budget` and `llm_cassette`: their keywords, and their values for a test."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from pytest_llm_usage.budget.limits import LIMIT_KEYWORDS, Limits
from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.records import Record
from pytest_llm_usage.settings.config import Settings
from pytest_llm_usage.settings.options import parse_record_mode
from pytest_llm_usage.text import quoted

_BUDGET_MARKER = (
    f"llm_budget({', '.join(f'{name}=None' for name in LIMIT_KEYWORDS)}): "
    "fail the test if its model calls exceed a limit; with model='gpt-4o*' the limits hold for those models"
)
_CASSETTE_MARKER = (
    "llm_cassette(name=None, record=None, match_on=None, ignore_body=None): name the test's cassette, or say how it "
    "is recorded and matched"
)
MARKERS = (_BUDGET_MARKER, _CASSETTE_MARKER)


def _marks(item: pytest.Item, name: str) -> Iterator[pytest.Mark]:
    """The markers with a name, the nearest first: those of a parameter before those of its function, unlike in pytest."""
    callspec = getattr(item, "callspec", None)
    of_parameter = [mark for mark in getattr(callspec, "marks", ()) if mark.name == name]
    yield from (getattr(mark, "mark", mark) for mark in of_parameter)
    for mark in item.iter_markers(name):
        if not any(getattr(other, "mark", other) is mark for other in of_parameter):
            yield mark


def limits_of(item: pytest.Item, settings: Settings) -> tuple[Limits, ...]:
    """The limits of a test: one set for all models, and one for each marker with a `model`.

    The nearest marker wins, limit by limit, over the settings; all markers with a model apply.

    Raises:
        ConfigurationError: A keyword or value of a marker cannot be read.
    """
    general = Limits()
    of_models = []
    for mark in _marks(item, "llm_budget"):
        if mark.args:
            raise ConfigurationError(f"@pytest.mark.llm_budget takes keywords only, not {quoted(mark.args[0])}")
        if mark.kwargs.keys() <= {"model"}:
            raise ConfigurationError("@pytest.mark.llm_budget sets no limit (example: llm_budget(max_tokens=5000))")
        limits = Limits.parse(mark.kwargs, origin="@pytest.mark.llm_budget")
        if limits.model is not None:
            of_models.append(limits)
        else:
            general = general.over(limits)
    return tuple(limits for limits in (general.over(settings.limits), *of_models) if limits)


class CassetteMark(Record):
    """The keywords of the marker `llm_cassette`.

    Attributes:
        name: The cassette, without `.yaml`: relative to `cassettes/<module>`, or an absolute path. Tests may name the same one.
        record: The record mode of the test, whatever the command line says.
        match_on: vcrpy's matchers, in place of `llm_usage_match_on`.
        ignore_body: Members of JSON request bodies that are not compared, in addition to `llm_usage_ignore_body`.
    """

    name: str | None = None
    record: str | None = None
    match_on: tuple[str, ...] | None = None
    ignore_body: tuple[str, ...] = ()

    @classmethod
    def from_marker(cls, name: object, keywords: Mapping[str, Any]) -> "CassetteMark":
        """Checks the keywords.

        Raises:
            ConfigurationError: A keyword or value that cannot be read.
        """
        if name is not None and "name" in keywords:
            raise ConfigurationError(
                f"llm_cassette: two names, {quoted(name)} and {quoted(keywords['name'])}: leave one of them out"
            )
        values: dict[str, Any] = {"name": name, **keywords}
        known = cls.field_names
        for key, value in values.items():
            if key not in known:
                raise ConfigurationError(f"llm_cassette: {quoted(key)} is not one of {', '.join(known)}")
            if value is None:
                continue
            if key in ("match_on", "ignore_body"):
                values[key] = _texts(key, value)
            elif not isinstance(value, str):
                raise ConfigurationError(f"llm_cassette: {key}: {quoted(value)} is not a string")
        if values.get("record") is not None:
            try:
                parse_record_mode(values["record"])
            except ConfigurationError as error:
                raise ConfigurationError(f"llm_cassette: record: {error}") from None
        return cls(**{key: value for key, value in values.items() if value is not None})


def _texts(key: str, value: object) -> tuple[str, ...]:
    """The value as a tuple of texts.

    Raises:
        ConfigurationError: The value is not one text or several, or a text is not a path of a member that can be ignored.
    """
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, Mapping)):
        raise ConfigurationError(f"llm_cassette: {key}: {quoted(value)} is neither a string nor a list of strings")
    texts = tuple(texts)
    for text in texts:
        if not isinstance(text, str):
            raise ConfigurationError(f"llm_cassette: {key}: {quoted(text)} is not a string")
        if key == "ignore_body":
            from pytest_llm_usage.cassettes.json_path import JsonPath  # noqa: PLC0415 -- only where it is set

            try:
                JsonPath(text)
            except ConfigurationError as error:
                raise ConfigurationError(f"llm_cassette: {key}: {error}") from None
    return texts


def cassette_mark(item: pytest.Item) -> CassetteMark:
    """The keywords of the nearest `llm_cassette` marker.

    Raises:
        ConfigurationError: A keyword or value that cannot be read.
    """
    mark = next(_marks(item, "llm_cassette"), None)
    if mark is None:
        return CassetteMark()
    if len(mark.args) > 1:
        raise ConfigurationError(f"llm_cassette takes one name, not {', '.join(map(repr, mark.args))}")
    return CassetteMark.from_marker(mark.args[0] if mark.args else None, mark.kwargs)
