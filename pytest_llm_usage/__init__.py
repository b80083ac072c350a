"""Token usage and cost of the model calls that a test makes.

The plugin is loaded by pytest (`pytest_llm_usage.plugin`); what a test's type annotations need is here, imported when
it is first asked for: every start of pytest imports this package.
"""

import atexit
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any

if not isinstance(__spec__.loader, SourceFileLoader):  # by pytest's rewriting of assertions
    # A module keeps what loaded it: the finder, which stays to the end, would keep pytest's configuration.
    sys.meta_path.insert(0, PathFinder)
    try:
        from pytest_llm_usage.import_hook import OwnModules
    finally:
        sys.meta_path.remove(PathFinder)
    own_modules = OwnModules(__name__)
    sys.meta_path.insert(0, own_modules)
    atexit.register(own_modules.step_aside)

if TYPE_CHECKING:
    from pytest_llm_usage.anatomy.growth import Growth
    from pytest_llm_usage.anatomy.prefix import CachePrefix, PrefixBreak, RepeatedPrefix
    from pytest_llm_usage.billing import Billing, Part, PriceLine, Quote
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
    from pytest_llm_usage.input_by_part import InputByPart
    from pytest_llm_usage.ledger import Call, Ledger
    from pytest_llm_usage.snapshot import UsageSnapshotAssertion
    from pytest_llm_usage.tracker import Discrepancy, LLMUsage, LLMUsageWarning
    from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "Billing",
    "BudgetExceededError",
    "CachePrefix",
    "Call",
    "CassetteError",
    "ConfigurationError",
    "Discrepancy",
    "Growth",
    "InputByPart",
    "LLMUsage",
    "LLMUsageError",
    "LLMUsageWarning",
    "Ledger",
    "Part",
    "PrefixBreak",
    "PriceLine",
    "PriceUnknownError",
    "Quote",
    "RecordingMismatchError",
    "RepeatedPrefix",
    "SecretError",
    "TokenUsage",
    "UsageSnapshotAssertion",
    "UsageUnknownError",
]


# Not for type checkers, which would take any name for one of this package.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        home = {
            "Growth": "anatomy.growth",
            **dict.fromkeys(("CachePrefix", "PrefixBreak", "RepeatedPrefix"), "anatomy.prefix"),
            "InputByPart": "input_by_part",
            "TokenUsage": "usage",
            **dict.fromkeys(("Billing", "Part", "PriceLine", "Quote"), "billing"),
            **dict.fromkeys(("Call", "Ledger"), "ledger"),
            **dict.fromkeys(("Discrepancy", "LLMUsage", "LLMUsageWarning"), "tracker"),
            "UsageSnapshotAssertion": "snapshot",
        }.get(name, "errors")
        return getattr(import_module(f"{__name__}.{home}"), name)
