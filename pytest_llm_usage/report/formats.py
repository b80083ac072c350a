"""The formats in which a run can be written. A new one is a row here and a module that renders it.

The settings make an option and an ini key of each row, the command line tool makes an option; `write` writes the files.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llm_usage.records import Record

if TYPE_CHECKING:
    from pytest_llm_usage.report.comparison import RunComparison
    from pytest_llm_usage.report.data import RunData
    from pytest_llm_usage.report.page_data import PageExtras

__all__ = ["FORMATS", "STDOUT", "ReportFormat"]

#: Stands for the standard output.
STDOUT = Path("-")


class ReportFormat(Record):
    """One format.

    Attributes:
        name: Its name in messages.
        option: `--llm-usage-…`, the ini key `llm_usage_…`, and the option of the command.
        help: The text for `pytest --help` and for the help of the command line tool.
        renderer: `module:function`, imported when it is needed. The function takes a run, and a comparison or None, and returns
            the text.
        signature: A text in the first lines of every such file. A file without it is never replaced.
        has_extras: Whether the renderer also takes a `PageExtras`.
        of_command: Whether `pytest-llm-usage compare` and `merge` can write it.
    """

    name: str
    option: str
    help: str
    renderer: str
    signature: str
    has_extras: bool = False
    of_command: bool = True

    def render(
        self, data: "RunData", comparison: "RunComparison | None" = None, extras: "PageExtras | None" = None
    ) -> str:
        """The text of the report."""
        module, _, function = self.renderer.partition(":")
        render: Callable[..., str] = getattr(import_module(module), function)
        return render(data, comparison, extras) if self.has_extras else render(data, comparison)


FORMATS = (
    ReportFormat(
        name="JSON",
        option="json",
        help="write the run as data (its JSON Schema is in the package)",
        renderer="pytest_llm_usage.report.data:rendered",
        signature='"format": ',
        of_command=False,
    ),
    ReportFormat(
        name="Markdown",
        option="md",
        help="write the run, or the comparison, as Markdown for a comment on a pull request",
        renderer="pytest_llm_usage.report.markdown:markdown",
        signature="<!-- pytest-llm-usage -->",
    ),
    ReportFormat(
        name="HTML",
        option="html",
        help="write the run as one self-contained page with charts",
        renderer="pytest_llm_usage.report.html:page",
        signature="<title>LLM usage</title>",
        has_extras=True,
    ),
)
