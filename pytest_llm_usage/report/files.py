"""The one place that writes reports: makes the folder, replaces the file in one step, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_llm_usage.atomic import replace_file
from pytest_llm_usage.errors import ReportError
from pytest_llm_usage.report.formats import STDOUT, ReportFormat
from pytest_llm_usage.text import shown_path

__all__ = ["append_report", "check_replaceable", "write_report"]

#: How many bytes from its start show the format of a file.
_HEAD_BYTES = 2000


def check_replaceable(report: ReportFormat, path: Path) -> None:
    """Refuses to replace a file that is not a report of this format: it may be anything.

    Raises:
        ReportError: `path` is such a file.
    """
    try:
        if path == STDOUT or not path.is_file():
            return
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return  # A file that cannot be read raises an error when it is written.
    if head.strip() and report.signature.encode() not in head:
        raise ReportError(
            f"{report.name} report not written: {shown_path(path)} already exists and is not such a report; "
            "choose another path"
        )


def write_report(
    report: ReportFormat, path: Path, text: str, print_text: Callable[[str], object] = print
) -> str | None:
    """Writes a report, and returns the line that says so; None if it was printed.

    A reader sees the old file or the new one, never half of one.

    Args:
        report: Its format.
        path: The file, or `STDOUT`.
        text: Its content.
        print_text: Prints what goes to the standard output.

    Raises:
        ReportError: It cannot be written. An existing file is left as it was.
    """
    if path == STDOUT:
        print_text(text.removesuffix("\n"))
        return None
    check_replaceable(report, path)
    # A lone surrogate, as file names that are not UTF-8 have, is no reason to lose a report.
    content = text.encode(errors="backslashreplace")
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            # A device or a pipe cannot be replaced, only written to. For a folder the error says that it is one.
            target.write_bytes(content)
        else:
            replace_file(target, content)
    except (OSError, ValueError, RuntimeError) as error:
        raise ReportError(
            f"{report.name} report not written: {shown_path(path)}: {getattr(error, 'strerror', None) or error}"
        ) from None
    return f"Wrote {report.name} report to {shown_path(path)}"


def append_report(path: Path, text: str) -> None:
    """Adds a report to a file that others add to as well.

    Raises:
        ReportError: It cannot be written.
    """
    try:
        with path.open("ab") as file:
            file.write(text.encode(errors="backslashreplace"))
    except (OSError, ValueError) as error:
        raise ReportError(f"report not added to {path}: {getattr(error, 'strerror', None) or error}") from None
