"""Limits on what a test (or the run) may spend, and what it says when more was spent.

`amounts` reads numbers as people write them (`5k`, `$0.02`); `limits` has everything that can be limited, each with the
place it was set; `breaches` compares limits with calls; `failure` is the verdict with the table of calls. Pure values: who
fails, and when, is decided above.
"""

from pytest_llm_usage.budget.amounts import parse_count, parse_share, parse_usd
from pytest_llm_usage.budget.breaches import Breach, breaches, must_stop, spending
from pytest_llm_usage.budget.failure import call_lines, failure_text
from pytest_llm_usage.budget.limits import BUDGET_KINDS, GROWTH_LIMITS, LIMIT_KEYWORDS, BudgetKind, Limits

__all__ = [
    "BUDGET_KINDS",
    "GROWTH_LIMITS",
    "LIMIT_KEYWORDS",
    "Breach",
    "BudgetKind",
    "Limits",
    "breaches",
    "call_lines",
    "failure_text",
    "must_stop",
    "parse_count",
    "parse_share",
    "parse_usd",
    "spending",
]
