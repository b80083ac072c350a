"""Numbers and tables as people read them."""

import re
from decimal import Decimal
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llm_usage.text import (
    columns,
    dollars,
    inert,
    listed,
    percent,
    plural,
    printable,
    tokens,
    told_apart,
    usd,
    width,
)

amounts = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("count", "text"), [(None, "?"), (0, "0"), (999, "999"), (1_412, "1,412"), (1_500_000, "1,500,000")]
)
def test_tokens_are_grouped(count, text):
    assert tokens(count) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unpriced"),
        ("0", "0.00000"),
        ("0.00056", "0.00056"),
        ("0.01925", "0.01925"),
        ("1234.5", "1,234.50000"),
        ("0.00001", "0.00001"),
        ("0.000009999", "<0.00001"),
        ("1E-30", "<0.00001"),
    ],
)
def test_amounts_are_shown_to_a_thousandth_of_a_cent(amount, text):
    assert usd(None if amount is None else Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "text", "least"),
    [
        ("0", "$0.00000", ">=$0.00000"),
        ("0.00056", "$0.00056", ">=$0.00056"),
        ("1234.5", "$1,234.50000", ">=$1,234.50000"),
        ("1E-30", "<$0.00001", ">$0"),
    ],
)
def test_what_bounds_an_amount_stands_before_its_currency(amount, text, least):
    assert (dollars(Decimal(amount)), dollars(Decimal(amount), at_least=True)) == (text, least)


@given(amounts)
@example(Decimal("0.0000000001"))
def test_what_was_paid_never_prints_as_nothing_nor_far_from_what_it_is(amount):
    text = usd(amount)

    if amount == 0:
        assert Decimal(text) == 0
    elif text.startswith("<"):
        assert 0 < amount < Decimal(text[1:])
    else:
        assert Decimal(text.replace(",", "")) > 0
        assert abs(Decimal(text.replace(",", "")) - amount) <= Decimal("0.000005")


@given(st.integers(0, 10**9), st.integers(1, 10**9))
@example(999_999, 1_000_000)
@example(1_000_001, 1_000_000)
@example(1, 10**9)
def test_a_share_is_a_hundred_or_nothing_only_where_it_is(part, whole):
    shown = int(percent(part, whole).removesuffix(" %").replace(",", ""))

    assert (shown == 100) == (part == whole)
    assert (shown == 0) == (part == 0)
    assert abs(shown - Decimal(part) * 100 / whole) <= 1


def test_a_share_of_nothing():
    assert percent(0, 0) == "0 %"
    assert percent(1, 0) == "over 0"


@pytest.mark.parametrize(("count", "text"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls"), (1_000, "1,000 calls")])
def test_a_noun_follows_its_number(count, text):
    assert plural(count, "call") == text


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([], []),
        (["a", "b"], ["  a", "  b"]),
        (["a", "b", "c"], ["  a", "  b", "  and 1 more"]),
        (["a", "b", "c", "d"], ["  a", "  b", "  and 2 more"]),
    ],
)
def test_a_list_says_what_it_leaves_out(lines, shown):
    assert listed(lines, 2) == shown


@given(
    st.integers(1, 4).flatmap(
        lambda size: st.lists(
            st.lists(st.from_regex(r"\w{0,9}", fullmatch=True), min_size=size, max_size=size), min_size=1
        )
    )
)
def test_columns_are_aligned_and_nothing_is_lost(rows):
    left = columns(rows, "<" * len(rows[0]))
    right = columns(rows, ">" * len(rows[0]))

    assert [line.split() for line in left] == [line.split() for line in right] == [[*filter(None, row)] for row in rows]
    assert all(line == line.rstrip() for line in left)
    ends = [
        [width(line[: match.end()]) for match in re.finditer(r"\S+", line)]
        for line in right
        if line and len(line.split()) == len(rows[0])
    ]
    assert len({tuple(end) for end in ends}) <= 1


class TestNamesThatOthersMake:
    """They are printed as they look, on one line, and no terminal, CI or reader is led by them."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("gpt-4o", "gpt-4o"),
            ("modèle – 模型 👩‍🚀", "modèle – 模型 👩‍🚀"),
            ("two\nlines\tand\r\nmore\u2028still", "two lines and  more still"),
            ("\x1b[31mred\x1b[0m\x07", "�[31mred�[0m�"),
            ("\x9b31mred", "�31mred"),
            ("safe\u202egpj.exe\u2066x\u200f", "safe�gpj.exe�x�"),
            ("hid\u200bden\ufeff", "hid�den�"),
            ("lone \ud800 surrogate", "lone � surrogate"),
        ],
    )
    def test_printable(self, text, shown):
        assert printable(text) == inert(text) == shown

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("::error file=a::gone", ": :error file=a::gone"),
            ("  ::set-output name=x::1", "  : :set-output name=x::1"),
            ("\n::add-mask::x", " : :add-mask::x"),
            ("##[error]gone", "# #[error]gone"),
            ("see ##[section]x and ##vso[task.complete]", "see # #[section]x and # #vso[task.complete]"),
            ("##teamcity[testFailed]", "# #teamcity[testFailed]"),
            ("tests/test_a.py::test_b", "tests/test_a.py::test_b"),
            ("## a heading", "## a heading"),
        ],
    )
    def test_no_command_of_a_ci(self, line, shown):
        assert inert(line) == shown

    @given(st.text())
    def test_any_text(self, text):
        shown = inert(text)
        assert shown == inert(shown)
        assert len(shown.splitlines()) <= 1
        assert not any(category(char) in ("Cc", "Cs") for char in shown)
        assert not shown.lstrip().startswith("::")
        assert "##[" not in shown
        shown.encode()


@pytest.mark.parametrize(
    ("columns", "cut"),
    [
        (40, "tests/unit/test_agent.py::test_bird[en]"),
        (30, "…/test_agent.py::test_bird[en]"),
        (28, "test_agent.py::test_bird[en]"),
        (20, "…::test_bird[en]"),
        (14, "test_bird[en]"),
        (10, "test_…[en]"),
    ],
)
def test_the_folder_of_a_test_s_file_goes_first_and_then_the_file(columns, cut):
    assert told_apart(["tests/unit/test_agent.py::test_bird[en]"], columns) == [cut]


def test_names_that_differ_in_their_folder_alone_are_told_apart():
    names = [f"tests/{folder}/test_agent.py::test_bird" for folder in ("one", "two")]

    assert len(set(told_apart(names, 30))) == 2
