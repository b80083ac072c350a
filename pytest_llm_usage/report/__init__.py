"""The run as people and programs read it: `run` gathers what the tests spent, `terminal` prints it."""

from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.report.terminal import section_lines

__all__ = ["Run", "TestRecord", "section_lines"]
