"""`TokenUsage`: the tokens of one call or of many, in one canonical form whatever their source.

The terms are those of LangChain's `UsageMetadata`: input includes cached and cache-writing tokens,
output includes reasoning. LangChain's form differs in two ways, which `from_langchain` undoes:

* if cache writes are split by lifetime (`ephemeral_5m_input_tokens`, `ephemeral_1h_input_tokens`),
  LangChain sets `cache_creation` to 0; here `cache_creation` is always all cache writes;
* on OpenAI's priority and flex tiers, LangChain prefixes the keys (`flex_cache_read`) and adds the tier itself as a
  key for the remainder; here keys carry no tier, which is kept apart (`Call.service_tier`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from types import MappingProxyType
from typing import Any

from pytest_llm_usage.credentials.mask import mask_name

__all__ = ["CACHE_LIFETIMES", "MAX_COUNT", "TokenUsage", "count", "masked", "no_count_in", "with_names_once"]

#: Detail keys that split `cache_creation` by how long the provider keeps the entry.
CACHE_LIFETIMES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")

#: Service tiers that LangChain writes into the detail keys of OpenAI models.
_PREFIXING_TIERS = ("priority", "flex")

#: More digits than any count has; Python refuses to parse several thousand.
_MOST_DIGITS = 20

#: More tokens than anybody is billed for in one answer. A larger number is not a count of the provider's.
MAX_COUNT = 10**15

_NO_DETAILS: Mapping[str, int] = MappingProxyType({})


def count(value: object) -> int | None:
    """`value` as a number of tokens, or None if it is not a count.

    Providers and proxies send `12`, `12.0` and, rarely, `"12"`; booleans, negative numbers, fractions, numbers above
    `MAX_COUNT` and anything else are not counts.
    """
    if type(value) is int:  # as nearly all are
        return value if 0 <= value <= MAX_COUNT else None
    if isinstance(value, str) and len(value) < _MOST_DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def no_count_in(usage_metadata: Mapping[str, Any]) -> str | None:
    """The key of LangChain's `UsageMetadata` whose value is not a count (`input_token_details.cache_read`), or None.

    The total may be missing or null, and so may one of `input_tokens` and `output_tokens` if there is a total. Of the
    details only numbers are checked, because integrations put names there as well.
    """
    for name in _COUNTS:
        if (value := usage_metadata.get(name)) is not None and count(value) is None:
            return name
    lacking = [name for name in ("input_tokens", "output_tokens") if usage_metadata.get(name) is None]
    if lacking and (len(lacking) > 1 or usage_metadata.get("total_tokens") is None):
        return lacking[0]
    for name in _DETAILS:
        details = usage_metadata.get(name)
        if not details or not isinstance(details, Mapping):
            continue
        for key, value in details.items():
            # LangChain computes the remainder of a tier; it is negative if a provider counts reasoning apart.
            if type(value) in (int, float) and count(value) is None and key not in _PREFIXING_TIERS:
                return f"{name}.{key}"
    return None


_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = ("input_token_details", "output_token_details")
#: The names that `UsageMetadata` itself defines. Nearly all integrations use no others.
_NAMED_BY_LANGCHAIN = frozenset((*_COUNTS, *_DETAILS, "audio", "cache_creation", "cache_read", "reasoning"))


def masked(usage_metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without credentials in names or texts, where an integration may put anything."""
    return {
        name if name in _NAMED_BY_LANGCHAIN else mask_name(str(name)): value if type(value) is int else _masked(value)
        for name, value in usage_metadata.items()
    }


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return mask_name(value) if isinstance(value, str) else value


def with_names_once(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with its names and texts interned, at any depth: thousands of calls have the same."""
    return {
        intern(name): with_names_once(value) if type(value) is dict else intern(value) if type(value) is str else value
        for name, value in data.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class TokenUsage:
    """Tokens as the provider counted them. Values add up: `sum(usages, TokenUsage())`, or plain `sum(usages)`.

    Attributes:
        input_tokens: Tokens sent, including those read from and written to a cache.
        output_tokens: Tokens received, including reasoning.
        total_tokens: Input and output; more where the provider counts more.
        input_token_details: Parts of the input (`cache_read`, `cache_creation`, `audio`, …), every key kept.
        output_token_details: Parts of the output (`reasoning`, `audio`, …), every key kept.

    Two usages are equal when their counts are and their details are; a detail of zero equals an absent one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_token_details: Mapping[str, int] = field(default_factory=lambda: _NO_DETAILS)
    output_token_details: Mapping[str, int] = field(default_factory=lambda: _NO_DETAILS)

    def __post_init__(self) -> None:
        for name in _DETAILS:
            details: Mapping[str, int] = getattr(self, name)
            if details is not _NO_DETAILS:
                # A private copy, which the caller cannot change.
                object.__setattr__(self, name, MappingProxyType(dict(details)))

    @property
    def is_total_alone(self) -> bool:
        """Whether only the total is known: input and output of zero then stand for counts that nobody stated."""
        return bool(self.total_tokens) and not self.input_tokens and not self.output_tokens

    @classmethod
    def from_counts(
        cls,
        input_tokens: int,
        output_tokens: int,
        *,
        total_tokens: int | None = None,
        input_token_details: Mapping[str, int] = _NO_DETAILS,
        output_token_details: Mapping[str, int] = _NO_DETAILS,
    ) -> TokenUsage:
        """A usage whose total is the sum of its parts unless the provider states more."""
        total = input_tokens + output_tokens
        return cls(
            input_tokens,
            output_tokens,
            total if total_tokens is None else max(total, total_tokens),
            input_token_details,
            output_token_details,
        )

    @classmethod
    def summed(cls, usages: Iterable[TokenUsage]) -> TokenUsage:
        """The same as `sum(usages, TokenUsage())`, without a usage for each step."""
        sent = received = total = 0
        inputs: dict[str, int] = {}
        outputs: dict[str, int] = {}
        for usage in usages:
            sent += usage.input_tokens
            received += usage.output_tokens
            total += usage.total_tokens
            for key, value in usage.input_token_details.items():
                inputs[key] = inputs.get(key, 0) + value
            for key, value in usage.output_token_details.items():
                outputs[key] = outputs.get(key, 0) + value
        return cls(sent, received, total, inputs or _NO_DETAILS, outputs or _NO_DETAILS)

    @classmethod
    def from_langchain(cls, usage_metadata: Mapping[str, Any]) -> tuple[TokenUsage, str | None]:
        """The canonical form of LangChain's `UsageMetadata`, and the service tier its keys tell (or None)."""
        inputs, tier_in = _canonical_details(usage_metadata.get("input_token_details"))
        outputs, tier_out = _canonical_details(usage_metadata.get("output_token_details"))
        lifetimes = sum(inputs.get(key, 0) for key in CACHE_LIFETIMES)
        if lifetimes > inputs.get("cache_creation", 0):
            inputs["cache_creation"] = lifetimes
        sent, received = count(usage_metadata.get("input_tokens")), count(usage_metadata.get("output_tokens"))
        total = count(usage_metadata.get("total_tokens"))
        # If one of the two is missing, it is what the other leaves of the total.
        input_tokens = max((total or 0) - (received or 0), 0) if sent is None and received is not None else sent or 0
        output_tokens = max((total or 0) - (sent or 0), 0) if received is None and sent is not None else received or 0
        usage = cls(
            input_tokens,
            output_tokens,
            input_tokens + output_tokens if total is None else total,
            inputs,
            outputs,
        )
        return usage, tier_in or tier_out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenUsage:
        """The inverse of `to_dict`."""
        return cls(
            data["input_tokens"],
            data["output_tokens"],
            data["total_tokens"],
            with_names_once(data["input_token_details"]) if "input_token_details" in data else _NO_DETAILS,
            with_names_once(data["output_token_details"]) if "output_token_details" in data else _NO_DETAILS,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data: the counts, and of the details those that are not zero, sorted by name."""
        data: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
        }
        for name in _DETAILS:
            details = {key: value for key, value in sorted(getattr(self, name).items()) if value}
            if details:
                data[name] = details
        return data

    def __add__(self, other: TokenUsage) -> TokenUsage:
        if not isinstance(other, TokenUsage):
            return NotImplemented
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.total_tokens + other.total_tokens,
            _added(self.input_token_details, other.input_token_details),
            _added(self.output_token_details, other.output_token_details),
        )

    def __radd__(self, other: object) -> TokenUsage:
        # sum() starts from 0.
        if other == 0:
            return self
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenUsage):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.input_tokens, self.output_tokens, self.total_tokens))

    def __getstate__(self) -> dict[str, Any]:
        # Mapping proxies cannot be pickled.
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "input_token_details": dict(self.input_token_details),
            "output_token_details": dict(self.output_token_details),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)


def _canonical_details(details: object) -> tuple[dict[str, int], str | None]:
    if not isinstance(details, Mapping):
        return {}, None
    counts: dict[str, int] = {}
    for key, value in details.items():
        if (n := count(value)) is not None:
            name = key if key in _NAMED_BY_LANGCHAIN else mask_name(str(key))
            counts[name] = counts.get(name, 0) + n
    tier = next((tier for tier in _PREFIXING_TIERS if tier in details), None)
    if tier is None:
        return counts, None
    canonical: dict[str, int] = {}
    for key, value in counts.items():
        if key == tier:
            continue
        name = key.removeprefix(f"{tier}_")
        canonical[name] = canonical.get(name, 0) + value
    return canonical, tier


def _added(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    if not right:
        return left
    if not left:
        return right
    return {key: left.get(key, 0) + right.get(key, 0) for key in dict.fromkeys((*left, *right))}
