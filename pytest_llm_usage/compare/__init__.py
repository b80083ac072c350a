"""What changed between two usages, or two runs, and whether that is allowed. Pure functions on plain data.

A *usage* is the form of `LLMUsage.to_dict()`: by model, `calls`, `input_tokens`, `output_tokens`, `total_tokens`, the
details that are not zero, and `cost_usd` as a string; None is unknown (or unpriced). All arithmetic is exact.

Snapshots call `compare_usage` with `Tolerances`; reports call `compare_runs` with `Gate`s, and `merge_runs`.
"""

from pytest_llm_usage.compare.aliases import added_usage, model_name, parse_model_names, with_model_names
from pytest_llm_usage.compare.amounts import PARTS, PRICE_FROM
from pytest_llm_usage.compare.change import FieldChange, ModelChange, compare_usage, is_within
from pytest_llm_usage.compare.merging import MergedRun, merge_runs
from pytest_llm_usage.compare.render import causes, change_lines
from pytest_llm_usage.compare.runs import Comparison, Gate, Spending, TestChange, compare_runs, parse_gates
from pytest_llm_usage.compare.tolerance import NO_TOLERANCE, Tolerance, Tolerances

__all__ = [
    "NO_TOLERANCE",
    "PARTS",
    "PRICE_FROM",
    "Comparison",
    "FieldChange",
    "Gate",
    "MergedRun",
    "ModelChange",
    "Spending",
    "TestChange",
    "Tolerance",
    "Tolerances",
    "added_usage",
    "causes",
    "change_lines",
    "compare_runs",
    "compare_usage",
    "is_within",
    "merge_runs",
    "model_name",
    "parse_gates",
    "parse_model_names",
    "with_model_names",
]
