"""Token usage and cost of the model calls that a test makes.

The plugin is loaded by pytest (`pytest_llm_usage.plugin`); what a test's type annotations need is here.
Importing this package imports none of langchain_core, vcr, syrupy or genai_prices.
"""

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
from pytest_llm_usage.ledger import Call, Ledger, Part
from pytest_llm_usage.usage import TokenUsage

__all__ = [
    "BudgetExceededError",
    "Call",
    "CassetteError",
    "ConfigurationError",
    "LLMUsageError",
    "Ledger",
    "Part",
    "PriceUnknownError",
    "RecordingMismatchError",
    "SecretError",
    "TokenUsage",
    "UsageUnknownError",
]
