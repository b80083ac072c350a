"""The settings of a project, for the command: as pytest would read them there."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.settings.config import Settings

#: pytest reads a project's configuration so: this plugin's keys alone, whatever else the project demands of a run.
_READ_ONLY = ("--noconftest", "--capture=no", "-p", "llm_usage")
_LENIENT = ("strict=false", "strict_config=false", "required_plugins=")


def project_settings(places: Iterable[Path]) -> Settings:
    """The settings of the project in which some files are, as pytest finds them there. None of its code is run.

    Raises:
        ConfigurationError: They cannot be read.
    """
    overrides = (word for setting in _LENIENT for word in ("-o", setting))
    try:
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
            # Keys of plugins that are left out.
            warnings.simplefilter("ignore")
            # Its option came with pytest 8.4.
            environment.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            config = pytest.Config.fromdictargs({}, [*_READ_ONLY, *overrides, *map(str, places)])
    except pytest.UsageError as error:
        raise ConfigurationError(str(error)) from None
    return Settings.from_config(config)
