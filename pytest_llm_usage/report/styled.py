"""Lines whose parts have a style, for terminals with colour; without one they are plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pytest_llm_usage.text import inert, printable, width

__all__ = ["MARKUP", "Line", "Styled", "judged", "table"]

#: Style → what pytest's terminal writer calls it.
MARKUP: Mapping[str, Mapping[str, bool]] = {
    "": {},
    "bad": {"red": True},
    "warn": {"yellow": True},
    "good": {"green": True},
    "head": {"bold": True},
    "quiet": {"light": True},
}
#: How the note of an exceeded gate begins beneath its row.
_OVER = "      over "


class Styled(str):
    """Text with a style (of `MARKUP`)."""

    __slots__ = ("style",)

    style: str

    def __new__(cls, text: str, style: str) -> Self:
        """The text in that style."""
        made = super().__new__(cls, text)
        made.style = style
        return made


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its parts, each plain or styled."""

    parts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The line without styles."""
        return "".join(self.parts)

    def styled(self) -> Sequence[tuple[str, Mapping[str, bool]]]:
        """Its parts as they may be printed, each with the markup for pytest's terminal writer."""
        shown = [(printable(part), MARKUP[getattr(part, "style", "")]) for part in self.parts]
        # A name may contain a command for the CI that reads the log, and it may be split over several parts.
        if inert(self.text) != printable(self.text):
            return [(inert(self.text), {})]
        return shown


def judged(texts: Iterable[str]) -> list[Line]:
    """Lines of a comparison, in colour if they fail the run: the verdict, however long, and each exceeded gate."""
    lines, is_verdict = [], False
    for text in texts:
        is_verdict = text.startswith("FAILED:") or (is_verdict and text.startswith("  "))
        is_bad = is_verdict or text.startswith(_OVER)
        lines.append(Line((Styled(text, "bad") if is_bad else text,)))
    return lines


def table(rows: Iterable[Sequence[str]], align: str, indent: str = "") -> list[Line]:
    """Rows as lines of aligned columns, two spaces apart. `align` has `<` or `>` for each column."""
    cells = [list(row) for row in rows]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        parts = [indent] if indent else []
        for number, (cell, wide, side) in enumerate(zip(row, widths, align, strict=True)):
            blank = " " * (wide - width(cell))
            space = "  " if number else ""
            parts += [space + blank, cell] if side == ">" else [space, cell, blank]
        while parts and not parts[-1].strip():
            parts.pop()
        lines.append(Line(tuple(part for part in parts if part)))
    return lines
