"""A run's cost as an icicle chart: run → test → node → part, each box as high as its share of the one before it.

The parts stand side by side instead, each as wide as its share, because they would be too low to read.

Boxes are laid out by CSS alone, so they are there without a script and on paper. To assistive technology they are a tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pytest_llm_usage.money import EXACT, total
from pytest_llm_usage.report.markup import escape
from pytest_llm_usage.report.why import Cause, about_usd, why_words
from pytest_llm_usage.text import percent, plural

__all__ = ["icicle"]

#: At most this many tests have a box of their own, if it is high enough to read; the others share one for each file.
_MOST_TESTS, _MOST_FILES = 12, 8
_READABLE_SHARE = Decimal("0.04")
#: Less than this share of the run is not drawn.
_LEAST_SHARE = Decimal("0.0005")


@dataclass(slots=True)
class _Box:
    """A box of the chart.

    Attributes:
        label: Its full text.
        amount: USD, or tokens if a price is not known.
        short: A shorter text to show in the box; empty to show `label`.
        kind: The CSS class of a part; empty for other boxes.
        note: Further text.
        inside: The boxes that it is made of.
    """

    label: str
    amount: Decimal
    short: str = ""
    kind: str = ""
    note: str = ""
    inside: list[_Box] = field(default_factory=list)


def icicle(causes: Sequence[Cause]) -> Iterator[str]:
    """The section of the page; nothing if nothing costs anything.

    Args:
        causes: Everything that took tokens in the run.
    """
    # A cause adds up its costs at every access.
    costs_usd = {id(cause): cause.cost_usd for cause in causes}
    is_priced = None not in costs_usd.values()

    def amount(cause: Cause) -> Decimal:
        return (costs_usd[id(cause)] or Decimal(0)) if is_priced else Decimal(cause.tokens)

    whole = _Box("run", total(map(amount, causes)), inside=_tests(causes, amount))
    if not whole.amount:
        return
    what = "it costs" if is_priced else "it takes"
    shown: Callable[[Decimal], str] = about_usd if is_priced else lambda size: f"~{plural(int(size), 'token')}"
    levels = "test, node and part" if any(cause.node is not None for cause in causes) else "test and part"
    yield f"<section><h2>Why {what} that</h2>"
    yield f'<p class="quiet">Shares of the run by {levels}; what the parts took is estimated.</p>'
    yield f'<div class="icicle" role="tree" aria-label="Why {what} that">{_tree(whole, whole.amount, shown)}</div>'
    parts = dict.fromkeys(cause.part for cause in causes)
    keys = (f'<span><i class="part-{part}"></i>{escape(part.replace("_", " "))}</span>' for part in parts)
    yield f'<p class="legend">{"".join(keys)}</p>'
    yield '<p class="quiet" id="told" aria-hidden="true">&nbsp;</p></section>'


def _tests(causes: Sequence[Cause], amount: Callable[[Cause], Decimal]) -> list[_Box]:
    """A box for each of the tests that took most, and for the others one for each file, or one together."""
    by_test: dict[str, list[Cause]] = {}
    for cause in causes:
        by_test.setdefault(cause.nodeid, []).append(cause)
    sizes = {test: total(map(amount, found)) for test, found in by_test.items()}
    ranked = sorted(by_test, key=lambda test: -sizes[test])
    least = EXACT.multiply(total(sizes.values()), _READABLE_SHARE)
    own = {test for test in ranked[:_MOST_TESTS] if sizes[test] >= least}
    groups: dict[str, list[str]] = {}
    for test in ranked:
        groups.setdefault(test if test in own else test.partition("::")[0], []).append(test)
    labelled = [
        (tests[0] if len(tests) == 1 else f"{file}: {plural(len(tests), 'test')}", tests)
        for file, tests in groups.items()
    ]
    labelled.sort(key=lambda group: -total(sizes[test] for test in group[1]))
    most = len(own) + _MOST_FILES
    rest = [test for _, tests in labelled[most:] for test in tests]
    shown = [*labelled[:most], *([(f"{plural(len(rest), 'more test')}", rest)] if rest else [])]
    has_nodes = any(cause.node is not None for cause in causes)
    boxes = []
    for label, tests in shown:
        found = [cause for test in tests for cause in by_test[test]]
        inside = _nodes(found, amount) if has_nodes else _parts(found, amount)
        # Without its folders, which `label` has.
        short = re.sub(r"^[^:\[]*/", "", label)
        boxes.append(_Box(label, total(map(amount, found)), short=short, inside=inside))
    return boxes


def _nodes(causes: Iterable[Cause], amount: Callable[[Cause], Decimal]) -> list[_Box]:
    by_node: dict[str | None, list[Cause]] = {}
    for cause in causes:
        by_node.setdefault(cause.node, []).append(cause)
    boxes = [
        _Box(node if node is not None else "no node", total(map(amount, found)), inside=_parts(found, amount))
        for node, found in by_node.items()
    ]
    return sorted(boxes, key=lambda box: -box.amount)


def _parts(causes: Iterable[Cause], amount: Callable[[Cause], Decimal]) -> list[_Box]:
    by_part: dict[str, list[Cause]] = {}
    for cause in causes:
        by_part.setdefault(cause.part, []).append(cause)
    boxes = []
    for part, found in by_part.items():
        tools: dict[str, int] = {}
        for cause in found:
            for name, size in cause.tools.items():
                tools[name] = tools.get(name, 0) + size
        ranked = sorted(tools.items(), key=lambda item: -item[1])[:3]
        note = f"largest schemas: {', '.join(f'{name} ~{size:,}' for name, size in ranked)}; " if ranked else ""
        boxes.append(
            _Box(
                part.replace("_", " "),
                total(map(amount, found)),
                kind=f"part-{part}",
                note=f"{note}to change it: {why_words(part)[1]}",
            )
        )
    return sorted(boxes, key=lambda box: -box.amount)


def _tree(box: _Box, whole: Decimal, shown: Callable[[Decimal], str], level: int = 1) -> str:
    """A box with all that is in it, as an item of the tree."""
    share = percent(box.amount, whole)
    short = box.short or box.label
    # The text that is shown comes first.
    facts = [f"{short} {share}", shown(box.amount), box.label if box.label != short else "", box.note]
    told = escape("; ".join(filter(None, facts)))
    inside = [each for each in box.inside if each.amount and EXACT.divide(each.amount, whole) >= _LEAST_SHARE]
    group = "".join(_tree(each, whole, shown, level + 1) for each in inside)
    is_last = not any(each.inside for each in inside)
    expanded = ' aria-expanded="true"' if inside else ""
    return (
        # In thousandths: factors of `flex-grow` that add up to less than 1 do not fill the space.
        f'<div role="none" style="flex-grow:{float(EXACT.divide(box.amount, whole)) * 1000:.3f}">'
        f'<div class="box {box.kind}" role="treeitem" tabindex="{-1 if level > 1 else 0}" aria-level="{level}"{expanded}'
        f' aria-label="{told}" title="{told}"><span><b>{escape(short)}</b> {share}</span></div>'
        + (f'<div class="inside{" parts" * is_last}" role="group">{group}</div>' if inside else "")
        + "</div>"
    )
