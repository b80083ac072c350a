"""Numbers, tables, paths and names as people read them: grouped, aligned, and never 0 for something that is not 0.

Unknown tokens print as `?`, an unknown price as `unpriced`, a paid amount too small to show as `<0.00001`.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from textwrap import wrap
from typing import Any
from unicodedata import category, combining, east_asian_width

from pytest_llm_usage.money import EXACT

__all__ = [
    "columns",
    "dollars",
    "fitted",
    "inert",
    "listed",
    "percent",
    "plural",
    "pointed",
    "printable",
    "quoted",
    "sendable",
    "shell_quoted",
    "shortened",
    "shown_path",
    "tokens",
    "told_apart",
    "usd",
    "width",
    "wrapped",
]

_SMALLEST_USD = Decimal("0.00001")
#: How many characters of a value a message shows.
_MOST_QUOTED = 80


def tokens(count: int | None) -> str:
    """A number of tokens, grouped by thousands; `?` if it is not known."""
    return "?" if count is None else f"{count:,}"


def usd(amount: Decimal | None) -> str:
    """An amount in USD to a thousandth of a cent; `unpriced` if there is no price, and never 0 for an amount that is not 0."""
    if amount is None:
        return "unpriced"
    if 0 < amount < _SMALLEST_USD:
        return f"<{_SMALLEST_USD}"
    return f"{amount.quantize(_SMALLEST_USD, context=EXACT):,}"


def dollars(amount: Decimal, *, at_least: bool = False) -> str:
    """An amount with its currency and its bound: `$0.00045`, `<$0.00001`; with `at_least`, `>=$0.00045`."""
    shown = usd(amount)
    if shown[0] == "<":
        return ">$0" if at_least else f"<${shown[1:]}"
    return f"{'>=' if at_least else ''}${shown}"


def percent(part: int | Decimal, whole: int | Decimal) -> str:
    """`part` of `whole` in whole per cent; 100 only if it is exactly that, and 0 only for nothing."""
    if not whole:
        return "over 0" if part else "0 %"
    exact = EXACT.divide(EXACT.multiply(Decimal(part), 100), Decimal(whole))
    shown = int(exact.to_integral_value(ROUND_HALF_EVEN))
    if shown == 100 and exact != 100:
        shown = 99 if exact < 100 else 101
    return f"{shown or (1 if exact else 0):,} %"


def plural(count: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(lines: Sequence[str], most: int) -> list[str]:
    """The first `most` lines, indented, and how many more there are."""
    hidden = len(lines) - most
    return [*(f"  {line}" for line in lines[:most]), *([f"  and {hidden} more"] if hidden > 0 else [])]


def columns(rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """The rows as lines of aligned columns, two spaces apart. `align` has `<` or `>` for each column."""
    table = [list(map(printable, row)) for row in rows]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            " " * (wide - width(cell)) + cell if side == ">" else cell + " " * (wide - width(cell))
            for cell, wide, side in zip(row, widths, align, strict=True)
        ).rstrip()
        for row in table
    ]


def fitted(rows: Sequence[Sequence[str]], column: int) -> list[tuple[str, ...]]:
    """The rows of a table for a failure message. Names in one column are cut in their middle so that the lines fit.

    No name is cut below the length of most models' names, and nothing else is cut.
    """
    others = sum(2 + max(map(width, cells)) for i, cells in enumerate(zip(*rows, strict=True)) if i != column)
    names = told_apart([row[column] for row in rows], max(_FAILURE_COLUMNS - others, _LEAST_NAME))
    return [(*row[:column], name, *row[column + 1 :]) for row, name in zip(rows, names, strict=True)]


#: The columns of a table in a failure: those of a terminal, less the margin that pytest and the message add.
_FAILURE_COLUMNS = 74
_LEAST_NAME = 28


def pointed(numbers: Iterable[str]) -> list[str]:
    """The numbers padded to one width, with their decimal points aligned."""
    parts = [number.partition(".") for number in numbers]
    whole = max((len(before) for before, _, _ in parts), default=0)
    rest = max((len(point + after) for _, point, after in parts), default=0)
    return [before.rjust(whole) + (point + after).ljust(rest) for before, point, after in parts]


def width(text: str) -> int:
    """The columns that `text` takes when `printable`: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if combining(char) or category(char) in ("Mn", "Me") or char in _JOINERS
        else 2
        if east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def shortened(text: str, columns: int) -> str:
    """`text` in `columns` columns; a longer one loses its middle, because the ends distinguish names."""
    if width(text) <= columns:
        return text
    tail = (columns - 1) // 2
    head = columns - 1 - tail
    start = ""
    for char in text:
        if width(start + char) > head:
            break
        start += char
    return f"{start}…{_ending(text, tail)}"


def told_apart(names: Sequence[str], columns: int) -> list[str]:
    """The names in `columns` columns each. Different names stay different.

    A name that is too long loses its folder or its middle, else its start; else it gets a number.
    """
    whole = list(dict.fromkeys(names))
    short = [shortened(_own_part(name, columns), columns) for name in whole]
    count = Counter(short)
    if len(count) < len(whole):
        short = [
            f"…{_ending(name, columns - 1)}" if count[cut] > 1 else cut for name, cut in zip(whole, short, strict=True)
        ]
        count = Counter(short)
    if len(count) < len(whole):
        marks = [f"~{number}" if count[cut] > 1 else "" for number, cut in enumerate(short, start=1)]
        short = [shortened(name, columns - len(mark)) + mark for name, mark in zip(whole, marks, strict=True)]
    by_name = dict(zip(whole, short, strict=True))
    return [by_name[name] for name in names]


def _own_part(name: str, columns: int) -> str:
    """A test's name. One that is too long loses the folder of its file, or the file, which other tests share."""
    file, separator, rest = name.partition("::")
    if not separator:
        return name
    alone = file.rpartition("/")[2]
    return next(
        (part for part in (name, f"…/{alone}::{rest}", f"{alone}::{rest}", f"…::{rest}") if width(part) <= columns),
        rest,
    )


def _ending(text: str, columns: int) -> str:
    end = ""
    for char in reversed(text):
        if width(char + end) > columns:
            break
        end = char + end
    return end


def wrapped(text: str, columns: int, *, indent: str = "") -> list[str]:
    """`text` in lines of `columns` columns. All but the first are indented by two; no name or path is broken."""
    return wrap(
        text,
        columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown_path(path: Path) -> str:
    """The path relative to the current folder, or in full if it is not below it."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except (OSError, ValueError):
        return str(path)


def quoted(value: object) -> str:
    """A value as a message quotes it: its `repr`, cut in the middle if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    half = _MOST_QUOTED // 2
    return text if len(text) <= _MOST_QUOTED else f"{text[:half]}...{text[-half:]}"


def shell_quoted(word: str) -> str:
    """`word` quoted for a shell, in double quotes if these suffice, as people type them around test names."""
    return shlex.quote(word) if re.search(r'["$`\\!\n]', word) else f'"{word}"'


#: Characters without width that occur in names: they join the parts of an emoji, or keep letters apart.
_JOINERS = "\u200c\u200d"
_HIDDEN = ("Cc", "Cf", "Cs", "Cn", "Co")
#: What a CI system reads as a command: GitHub's at the start of a line, those of Azure and TeamCity (and GitHub's old) anywhere.
#: Compiled when they are first used, not at every start of pytest.
_COMMAND_AT_START = r"\s*:(?=:)"
_COMMAND = r"#(?=#(?:\[|vso\[|teamcity\[))"


def sendable(value: Any) -> Any:
    """Plain data in which lone surrogates are spelt out as escapes: a single one in a text would end a whole run of xdist.

    They occur in file names that are not UTF-8, and in what a provider's JSON escapes.
    """
    # Nearly no data has one, and `repr` shows each as an escape: this search takes a tenth of looking at every text.
    return _without_surrogates(value) if "\\ud" in repr(value) else value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return type(value)(map(_without_surrogates, value)) if type(value) in (list, tuple) else value


def printable(text: str) -> str:
    """`text` on one line, safe to show: names, notes and errors come from other people's code.

    White space becomes a space; a control character, a lone surrogate or one that changes the text's direction becomes `�`.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char.isspace():
        return " "
    is_hidden = category(char) in _HIDDEN and char not in _JOINERS
    return "\N{REPLACEMENT CHARACTER}" if is_hidden else char


def inert(line: str) -> str:
    """A line of a log, printable, and changed where a CI system would read a command."""
    line = re.sub(_COMMAND, "# ", printable(line))
    found = re.match(_COMMAND_AT_START, line)
    return line if found is None else f"{found[0]} {line[found.end() :]}"
