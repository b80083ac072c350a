"""The one place that writes reports: makes the folder, replaces the file in one step, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_llm_usage.atomic import replace_file
from pytest_llm_usage.errors import ReportError

__all__ = ["STDOUT", "append_report", "shown_path", "write_report"]

#: Stands for the standard output.
STDOUT = Path("-")


def write_report(kind: str, path: Path, text: str, print_text: Callable[[str], object] = print) -> str | None:
    """Writes a report, and gives the line that says so; None where it was printed.

    A reader sees the old file or the new one, never half of one.

    Args:
        kind: What it is: `JSON`, `Markdown`, `HTML`.
        path: The file, or `STDOUT`.
        text: Its content.
        print_text: Prints what goes to the standard output.

    Raises:
        ReportError: It cannot be written; what was there is as it was.
    """
    if path == STDOUT:
        print_text(text.removesuffix("\n"))
        return None
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            # A device or a pipe cannot be replaced, only written to; a folder says itself that it is one.
            target.write_text(text, encoding="utf-8", newline="\n")
        else:
            replace_file(target, text.encode())
    except OSError as error:
        raise ReportError(f"{kind} report not written: {shown_path(path)}: {error.strerror or error}") from None
    return f"Wrote {kind} report to {shown_path(path)}"


def append_report(path: Path, text: str) -> None:
    """Adds a report to a file that others add to as well.

    Raises:
        ReportError: It cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ReportError(f"report not added to {path}: {error.strerror or error}") from None


def shown_path(path: Path) -> str:
    """The path as it is typed where the process was started."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)
