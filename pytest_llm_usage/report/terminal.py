"""The section `LLM usage` at the end of a run, from 60 columns up.

Numbers are never cut. In a narrow terminal names are cut, then the details of tokens are left out; in a wide one,
nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

from pytest_llm_usage.billing import NEW_PRICE_FILE
from pytest_llm_usage.budget.failure import call_lines
from pytest_llm_usage.ledger import Call
from pytest_llm_usage.money import EXACT
from pytest_llm_usage.records import Record
from pytest_llm_usage.report.cells import model_rows, notes, unpriced_reasons, usage_cells
from pytest_llm_usage.report.run import Run, Spent, TestRecord
from pytest_llm_usage.report.styled import Line, Styled, table
from pytest_llm_usage.text import percent, plural, shortened, tokens, told_apart, usd, width, wrapped

__all__ = ["NARROWEST", "Screen", "section_lines"]

#: No output is made narrower; narrower terminals wrap it.
NARROWEST = 60
#: Sentences are no wider, however wide the terminal is.
_WIDEST_TEXT = 120
#: Tests above this share of a limit are listed beside those over it.
_NEAR = Decimal("0.8")
#: No name is cut shorter, however wide the numbers are.
_SHORTEST_NAME = 12
#: Rather than cut names further than this, the details of tokens are left out.
_READABLE_NAME = 20
_BAR_WIDTH = 13

_MOST_MODELS = 20
_MOST_TESTS = 50
_MOST_REASONS = 3
_MOST_DISCREPANCIES = 5
_ALL = "-v shows all"


class Screen(Record):
    """Where the section is printed.

    Attributes:
        columns: How wide it is.
        bar: What bars are drawn with.
        shows_all: Whether long lists are printed whole (pytest's `-v`).
    """

    columns: int = 80
    bar: str = "#"
    shows_all: bool = False

    @property
    def width(self) -> int:
        """The columns that tables may take."""
        return max(self.columns, NARROWEST)

    @property
    def text_width(self) -> int:
        """The columns that sentences may take."""
        return min(self.width, _WIDEST_TEXT)

    def wrapped(self, text: str, indent: str = "", style: str = "") -> list[Line]:
        """A sentence in lines."""
        lines = wrapped(text, self.text_width, indent=indent)
        # A line of wide characters takes more columns than it has characters.
        return [Line((Styled(shortened(line, self.width), style),)) for line in lines]

    def first(self, count: int, most: int) -> int:
        """How many of a list's rows are shown."""
        return count if self.shows_all else most


def section_lines(run: Run, detail: str, screen: Screen, *, audit: bool = True) -> list[Line]:
    """The lines of the section; none if no model was called.

    Args:
        run: What was spent.
        detail: `models`, `tests`, `calls` (each with the lines of those before it), `why` (beneath the models) or `off`.
        screen: Where they are printed.
        audit: Whether to show what LangChain and the providers disagree on.
    """
    calls = run.calls
    if not calls or detail == "off":
        return []
    lines = _models(calls, screen)
    if run.shared.calls:
        text = f"shared fixtures: {_summary(run.shared.calls)}, counted in the total, not in a test"
        lines += [Line(), *screen.wrapped(text)]
    if detail in ("tests", "calls"):
        lines += [Line(), *_tests(run.records, screen, with_calls=detail == "calls")]
    if detail == "why":
        lines += [Line(), *_lines(shortened(text, screen.width) for text in _why(run, screen.text_width))]
    lines += _budgets(run.records, screen)
    lines += _idle_limits(run.records, screen)
    if audit:
        lines += _discrepancies(run.records, screen)
    return lines


def _why(run: Run, columns_most: int) -> Iterable[str]:
    # It imports the run's data and the comparison of runs.
    from pytest_llm_usage.report.why import SHARED, ExplainedTest, why_lines  # noqa: PLC0415 -- only for this detail

    tests = [
        ExplainedTest(test.nodeid, (*test.earlier.calls, *test.ledger.calls), test.prefix_notes) for test in run.records
    ]
    return why_lines([*tests, ExplainedTest(SHARED, run.shared.calls)], columns_most)


def _styled(cell: str) -> str:
    """The cell, highlighted if it failed, is not known or has no price."""
    if cell == "failed":
        return Styled(cell, "bad")
    return Styled(cell, "warn") if cell in ("?", "unpriced") or cell[:1] in ("≥", "≤", "~", ">") else cell


def _fitting(rows: list[list[str]], screen: Screen, dispensable: Sequence[int] = ()) -> tuple[list[list[str]], str]:
    """Rows that fit the screen, and their alignment: names are cut, then columns left out, never a number."""
    dropped: list[int] = []
    for column in (None, *dispensable):
        dropped += [] if column is None else [column]
        kept = [i for i in range(len(rows[0])) if i not in dropped]
        taken = sum(max(width(row[i]) for row in rows) + 2 for i in kept[1:])
        room = screen.width - taken
        if room >= min(_READABLE_NAME, max(width(row[0]) for row in rows)):
            break
    names = told_apart([row[0] for row in rows], max(room, _SHORTEST_NAME))
    fitted = [[name, *(row[i] for i in kept[1:])] for name, row in zip(names, rows, strict=True)]
    return fitted, "<" + ">" * (len(kept) - 1)


# -- by model --------------------------------------------------------------------------------------------------

_HEAD = ["model", "calls", "input", "cached", "output", "reason.", "USD"]
#: The columns that a narrow screen leaves out first: details of the columns beside them.
_DETAILS = (5, 3)


def _models(calls: Sequence[Call], screen: Screen) -> list[Line]:
    *models, total = (list(row) for row in model_rows(calls))
    shown = screen.first(len(models), _MOST_MODELS)
    left = sorted(models, key=lambda row: (_size(row[6]), _size(row[2])))[: max(0, len(models) - shown)]
    rows, align = _fitting([_HEAD, *(row for row in models if row not in left), total], screen, _DETAILS)
    head, *body, last = rows
    lines = table(
        [
            [Styled(cell, "head") for cell in head],
            *([row[0], *map(_styled, row[1:])] for row in body),
            [Styled(last[0], "head"), *map(_styled, last[1:])],
        ],
        align,
    )
    if left:
        text = f"and {plural(len(left), 'more model')}, in the total; {_ALL}"
        lines.insert(-1, Line((Styled(text, "quiet"),)))
    edge = min(screen.text_width, max(width(line.text) for line in lines))
    for note in notes(calls):
        told = screen.wrapped(note, style="warn" if note.startswith("and ") else "")
        lines += [Line((" " * (edge - width(line.text)), *line.parts)) for line in told]
    return lines + _unpriced(calls, screen)


def _size(cell: str) -> Decimal:
    """The value of a shown number, for sorting; one that is not known may be anything and comes last."""
    digits = "".join(char for char in cell if char.isdigit() or char == ".")
    return Decimal(digits) if digits and cell[:1] != "<" else Decimal(0) if cell in "-0" or digits else Decimal("inf")


def _unpriced(calls: Sequence[Call], screen: Screen) -> list[Line]:
    """Why calls have no price, and the line of the price file that fixes it, never wrapped so that it can be copied."""
    reasons = list(unpriced_reasons(calls))
    shown = screen.first(len(reasons), _MOST_REASONS)
    lines = []
    for reason, fix in reasons[:shown]:
        lines += screen.wrapped(f"unpriced: {reason}", style="warn")
        lines += [Line((f"  {fix}",))] if fix else []
    if more := reasons[shown:]:
        lines.append(Line((f"and {plural(len(more), 'more reason')}; {_ALL}",)))
    if any(fix for _, fix in reasons[:shown]):
        lines += screen.wrapped(f"A line in a price file fixes it. {'  '.join(NEW_PRICE_FILE)}", style="quiet")
    return lines


def _summary(calls: Sequence[Call]) -> str:
    row = usage_cells(calls)
    parts = (f"{row[0]} {'call' if row[0] == '1' else 'calls'}", f"{row[1]} input", f"{row[3]} output", f"{row[5]} USD")
    return ", ".join(part for part in parts if not part.startswith("-"))


# -- by test ---------------------------------------------------------------------------------------------------


def _tests(records: Sequence[TestRecord], screen: Screen, *, with_calls: bool) -> list[Line]:
    shown = screen.first(len(records), _MOST_TESTS)
    left = set(map(id, sorted(records, key=lambda test: test.total_tokens)[: max(0, len(records) - shown)]))
    records = [test for test in records if id(test) not in left]
    rows = [["test", "calls", "input", "output", "USD"]]
    for test in records:
        row = usage_cells(test.ledger.calls)
        rows.append([test.nodeid, row[0], row[1], row[3], row[5]])
    rows, align = _fitting(rows, screen)
    head, *lines = table(
        [[Styled(cell, "head") for cell in rows[0]], *([row[0], *map(_styled, row[1:])] for row in rows[1:])], align
    )
    detailed = [head]
    for test, line in zip(records, lines, strict=True):
        detailed += [Line(), line] if with_calls and len(detailed) > 1 else [line]
        if with_calls:
            detailed += _lines(call_lines(test.ledger.calls, mark=None, columns_most=screen.width))
    if left:
        detailed.append(Line((Styled(f"and {plural(len(left), 'more test')} with fewer tokens; {_ALL}", "quiet"),)))
    return detailed


def _lines(texts: Iterable[str]) -> list[Line]:
    return [Line((text,)) for text in texts]


# -- discrepancies ---------------------------------------------------------------------------------------------


def _discrepancies(records: Sequence[TestRecord], screen: Screen) -> list[Line]:
    found = [(test.nodeid, item) for test in records for item in test.discrepancies]
    if not found:
        return []
    shown = screen.first(len(found), _MOST_DISCREPANCIES)
    title = f"LangChain and the provider disagree on {plural(len(found), 'call')}; the provider's numbers count:"
    lines = [Line(), *screen.wrapped(title, style="warn")]
    for nodeid, item in found[:shown]:
        lines += screen.wrapped(f"{nodeid}, {item.model}: {item.reason}", indent="  ")
    if len(found) > shown:
        lines.append(Line((f"  and {len(found) - shown} more; {_ALL}",)))
    return lines


# -- budgets ---------------------------------------------------------------------------------------------------


def _budgets(records: Sequence[TestRecord], screen: Screen) -> list[Line]:
    groups: dict[tuple[str, str, Decimal, str | None], list[tuple[TestRecord, Spent]]] = {}
    for test in records:
        for spent in test.budget:
            groups.setdefault((spent.origin, spent.name, spent.limit, spent.model), []).append((test, spent))
    lines: list[Line] = []
    for (origin, name, limit, model), members in groups.items():
        # Most tests are meant to make all the calls that they may.
        near = _NEAR if name != "max_calls" else Decimal(1)
        listed = sorted((m for m in members if m[1].share > near), key=lambda member: -member[1].share)
        if not listed:
            continue
        over = sum(spent.is_over for _, spent in listed)
        counts = ((over, "over"), (len(listed) - over, "above 80 %"))
        of_all = f" of {plural(len(members), 'test')} "
        told = [f"{count}{of_all if not i else ' '}{what}" for i, (count, what) in enumerate(c for c in counts if c[0])]
        limit_text = f"{origin}={limit:,}" if origin.startswith("--") else f"{origin} {name}={limit:,}"
        limit_text += f" for {model}" if model else ""
        lines += screen.wrapped(f"{limit_text}: {', '.join(told)}", style="bad" if over else "warn")
        amount: Callable[[Decimal], str] = usd if name == "max_cost" else lambda value: tokens(int(value))
        most = max(spent.share for _, spent in listed)
        shown = listed[: screen.first(len(listed), _MOST_MODELS)]
        rows = [
            [test.nodeid, amount(spent.spent), _bar(spent.share, most, screen), percent(spent.spent, spent.limit)]
            for test, spent in shown
        ]
        room = screen.width - 2 - sum(max(width(row[i]) for row in rows) + 2 for i in (1, 2, 3))
        names = told_apart([row[0] for row in rows], max(room, _SHORTEST_NAME))
        styles = ["bad" if spent.is_over else "warn" for _, spent in shown]
        lines += table(
            [[names[i], row[1], Styled(row[2], styles[i]), Styled(row[3], styles[i])] for i, row in enumerate(rows)],
            "<><>",
            indent="  ",
        )
        if len(listed) > len(shown):
            lines.append(Line((Styled(f"  and {plural(len(listed) - len(shown), 'more test')}; {_ALL}", "quiet"),)))
    return [Line(), *lines] if lines else []


def _idle_limits(records: Sequence[TestRecord], screen: Screen) -> list[Line]:
    """Limits on models that none of their tests called: the pattern is misspelt, or no longer needed."""
    tests: dict[tuple[str, str], list[str]] = {}
    used: set[tuple[str, str]] = set()
    for test in records:
        for spent in test.budget:
            if spent.model is not None:
                limit = (spent.origin, spent.model)
                tests.setdefault(limit, []).append(test.nodeid)
                used.update(limit for call in test.ledger.calls if fnmatchcase(call.model, spent.model))
    lines = []
    for limit, names in tests.items():
        if limit not in used:
            of_tests = names[0] if len(names) == 1 else plural(len(names), "test")
            lines += screen.wrapped(f"{limit[0]} model={limit[1]!r} matches no call of {of_tests}", style="warn")
    return [Line(), *lines] if lines else []


def _bar(share: Decimal, most: Decimal, screen: Screen) -> str:
    return screen.bar * max(1, round(EXACT.divide(EXACT.multiply(_BAR_WIDTH, share), most)))
