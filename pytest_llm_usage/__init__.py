"""Token usage and cost of the model calls that a test makes.

The plugin is loaded by pytest (`pytest_llm_usage.plugin`); what a test's type annotations need is here, imported when
it is first asked for: every start of pytest imports this package.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llm_usage.errors import (
        BudgetExceededError,
        CassetteError,
        ConfigurationError,
        LLMUsageError,
        PriceUnknownError,
        RecordingMismatchError,
        SecretError,
        UsageUnknownError,
    )
    from pytest_llm_usage.ledger import Call, Ledger, Part, Quote
    from pytest_llm_usage.tracker import Discrepancy, LLMUsage
    from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "BudgetExceededError",
    "Call",
    "CassetteError",
    "ConfigurationError",
    "Discrepancy",
    "LLMUsage",
    "LLMUsageError",
    "Ledger",
    "Part",
    "PriceUnknownError",
    "Quote",
    "RecordingMismatchError",
    "SecretError",
    "TokenUsage",
    "UsageUnknownError",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    home = {"TokenUsage": "usage", **dict.fromkeys(("Call", "Ledger", "Part", "Quote"), "ledger")}.get(name)
    home = home or ("tracker" if name in ("Discrepancy", "LLMUsage") else "errors")
    return getattr(import_module(f"{__name__}.{home}"), name)
