"""`VcrConfig`: the vcrpy options of `vcr_config` and a policy, read once into the form in which they are used."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vcr
import vcr.filters

from pytest_llm_usage.cassettes.interaction import Interaction, Response
from pytest_llm_usage.cassettes.matching import DEFAULT_MATCH_ON
from pytest_llm_usage.cassettes.policy import CassettePolicy
from pytest_llm_usage.cassettes.vcr_convert import (
    plain_request,
    plain_response,
    playable,
    vcr_request,
    vcr_response,
)
from pytest_llm_usage.errors import CassetteError, ConfigurationError
from pytest_llm_usage.text import quoted

__all__ = ["VcrConfig"]


_REQUEST_FILTERS = (
    "filter_headers",
    "filter_query_parameters",
    "filter_post_data_parameters",
    "before_record",
    "before_record_request",
    "ignore_hosts",
    "ignore_localhost",
)
_RESPONSE_FILTERS = ("before_record_response", "decode_compressed_response")


@dataclass(frozen=True, slots=True)
class VcrConfig:
    """The options of `vcr_config`, in the form in which they are used.

    Filters that are not configured are None: vcrpy would deep-copy every request to apply nothing.
    """

    match_on: Sequence[str]
    own_matchers: Sequence[Callable[[Any, Any], Any]]
    request_filter: Callable[[Any], Any] | None
    response_filter: Callable[[Any], Any] | None
    custom_patches: Sequence[Any]
    skip_patchers: Sequence[str]
    repeat: bool
    #: vcrpy 9's hooks for an interaction before a save and after a load. Its `filter_sensitive_data` is one of each:
    #: the first replaces values by placeholders, the second placeholders by values.
    save_hooks: Sequence[Any]
    load_hooks: Sequence[Any]

    @classmethod
    def from_policy(cls, policy: CassettePolicy) -> VcrConfig:
        """The options that a policy asks for.

        Raises:
            ConfigurationError: `match_on` or `vcr_config` is not valid.
        """
        is_default = policy.match_on is None and not policy.vcr_config and policy.configure_vcr is None
        return _default_config() if is_default else cls._read(policy)

    @classmethod
    def _read(cls, policy: CassettePolicy) -> VcrConfig:
        pristine, reader = vcr.VCR(), vcr.VCR()
        if policy.configure_vcr is not None:
            policy.configure_vcr(reader)
        options = {name: value for name, value in policy.vcr_config.items() if name not in ("path", "record_mode")}
        names = policy.match_on or options.get("match_on")
        for given in (names, options.get("additional_matchers")):
            if given is not None and (isinstance(given, str) or not isinstance(given, Iterable)):
                raise ConfigurationError(f"{policy.match_on_from}: {quoted(given)} is not a list of matchers")
        if names is None:
            names = DEFAULT_MATCH_ON if reader.match_on == pristine.match_on else reader.match_on
        names = (*names, *options.pop("additional_matchers", ()))
        for name in names:
            if name not in reader.matchers:
                near = difflib.get_close_matches(name, reader.matchers, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ";"
                raise ConfigurationError(
                    f"{policy.match_on_from}: unknown matcher {name!r}{hint} available: {', '.join(sorted(reader.matchers))}"
                )
        try:
            merged = reader.get_merged_config(**{**options, "match_on": names})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"vcr_config: {error.args[0] if error.args else error}") from None

        def is_used(filters: Sequence[str]) -> bool:
            return any(options.get(name) or getattr(reader, name, None) for name in filters)

        sensitive_data = merged.get("filter_sensitive_data")
        hooks = [vcr.filters.sensitive_data_hooks(sensitive_data)] if sensitive_data else []
        own = [name for name in names if reader.matchers[name] is not pristine.matchers.get(name)]
        return cls(
            match_on=[name for name in names if name not in own],
            own_matchers=[reader.matchers[name] for name in own],
            request_filter=merged["before_record_request"] if is_used(_REQUEST_FILTERS) else None,
            response_filter=merged["before_record_response"] if is_used(_RESPONSE_FILTERS) else None,
            custom_patches=merged["custom_patches"],
            skip_patchers=merged.get("skip_patchers", ()),
            repeat=bool(merged["allow_playback_repeats"]),
            # The user's hooks see the real values.
            save_hooks=(*_several(merged.get("before_save_interaction")), *(hide for hide, _ in hooks)),
            load_hooks=(*(restore for _, restore in hooks), *_several(merged.get("after_load_interaction"))),
        )

    def filtered_request(self, request: Any) -> Any:
        """The request after the user's filters; None if they drop it."""
        return request if self.request_filter is None else self.request_filter(request)

    def filtered(self, request: Any, response: Response, readable: Response) -> Interaction | None:
        """What is recorded of an exchange; None if the user's filters drop it.

        Args:
            request: In vcrpy's form.
            response: As it was received: the user's filters may decode it themselves.
            readable: The same response, decoded.
        """
        request = self.filtered_request(request)
        if request is None:
            return None
        if self.response_filter is not None:
            kept = self.response_filter(vcr_response(response))
            if kept is None:
                return None
            readable = playable(plain_response(kept))
        return Interaction(plain_request(request), readable)

    def after_load(self, loaded: Interaction, cassette: Any) -> Interaction | None:
        """A recording after the user's filters; None if they drop it. vcrpy applies them to what it reads as well."""
        if self.request_filter is None and self.response_filter is None and not self.load_hooks:
            return loaded
        kept = _through(self.load_hooks, loaded, cassette, "after_load_interaction")
        if kept is None:
            return None
        return self.filtered(vcr_request(kept.request), kept.response, playable(kept.response))

    def before_save(self, recorded: Sequence[Interaction], cassette: Any) -> Sequence[Interaction]:
        """The interactions to write, after the user's hooks."""
        if not self.save_hooks:
            return recorded
        kept = (_through(self.save_hooks, found, cassette, "before_save_interaction") for found in recorded)
        return [interaction for interaction in kept if interaction is not None]


def _several(hooks: Any) -> Sequence[Any]:
    if hooks is None:
        return ()
    return tuple(hooks) if isinstance(hooks, Iterable) else (hooks,)


def _through(hooks: Sequence[Any], interaction: Interaction, cassette: Any, name: str) -> Interaction | None:
    """An interaction after vcrpy's interaction hooks; None if one drops it."""
    request, response = vcr_request(interaction.request), vcr_response(interaction.response)
    for hook in hooks:
        kept = hook(request, response, cassette) if _takes_cassette(hook) else hook(request, response)
        if kept is None:
            return None
        try:
            request, response = kept
        except (TypeError, ValueError):
            raise CassetteError(
                f"vcr_config: {name} must return (request, response) or None, not {type(kept).__name__}"
            ) from None
    return Interaction(plain_request(request), plain_response(response))


def _takes_cassette(hook: Any) -> bool:
    try:
        inspect.signature(hook).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return True


@functools.cache
def _default_config() -> VcrConfig:
    return VcrConfig._read(CassettePolicy(path=Path()))  # noqa: SLF001 - its own
