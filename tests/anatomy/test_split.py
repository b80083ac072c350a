"""The provider's count, split over the parts of a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llm_usage.anatomy.prompt import Piece, Prompt
from pytest_llm_usage.anatomy.split import TOOL_USE_PROMPT, split_input
from pytest_llm_usage.anatomy.tokenizer import Tokenizer
from pytest_llm_usage.input_by_part import PARTS, InputByPart, apportioned

CHARACTERS = Tokenizer("characters")
#: A token for each character, taken for the tokenizer of OpenAI's models.
LETTERS = Tokenizer("o200k_base", list)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6)))
def test_shares_add_up(total, weights):
    shares = apportioned(total, weights)

    assert sum(shares) == (total if sum(weights) else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert share * sum(weights) // (sum(weights) or 1) in range(
            total * weight // (sum(weights) or 1), total * weight // (sum(weights) or 1) + 2
        )


def test_what_is_left_goes_to_the_largest_remainder():
    # 7.14, 1.43 and 1.43
    assert apportioned(10, [5, 1, 1]) == [7, 2, 1]


pieces = st.builds(
    Piece,
    part=st.sampled_from(PARTS),
    path=st.just("x"),
    content=st.text(max_size=40),
    name=st.sampled_from(["", "a", "b"]),
    framing=st.integers(0, 4),
    is_text=st.booleans(),
)
prompts = st.builds(
    Prompt,
    st.lists(pieces, max_size=8).map(tuple),
    st.lists(st.sampled_from(PARTS), max_size=2).map(tuple),
    st.sampled_from(["", "openai", "anthropic"]),
)


@given(prompts, st.integers(0, 10**7), st.sampled_from([CHARACTERS, LETTERS]), st.sampled_from(["gpt-4o", "claude"]))
def test_parts_add_up_to_the_count_of_the_provider(prompt, tokens, tokenizer, model):
    split = split_input(prompt, model, tokens, tokenizer)

    assert split.total == sum(split.values()) == tokens
    assert min(split.values()) >= 0
    assert sum(split.tools_by_name.values()) == split["tools"]
    assert InputByPart.from_dict(split.to_dict()) == split


def prompt(*parts, **more):
    return Prompt(tuple(Piece(part, f"{i}", text) for i, (part, text) in enumerate(parts)), **more)


def test_texts_have_their_share():
    split = split_input(prompt(("system", "s" * 30), ("user", "u" * 10)), "gpt-4o", 44, LETTERS)

    assert (split["system"], split["user"], split["other"]) == (33, 11, 0)


def test_what_an_exact_tokenizer_does_not_find_the_provider_has_added():
    split = split_input(prompt(("system", "s" * 30), ("user", "u" * 10)), "gpt-4o", 240, LETTERS)

    assert (split["system"], split["user"], split["other"]) == (36, 12, 192)


def test_the_tokenizer_of_another_maker_may_count_half_as_many_again():
    assert split_input(prompt(("user", "u" * 100)), "claude", 158, LETTERS)["user"] == 158
    assert split_input(prompt(("user", "u" * 100)), "claude", 159, LETTERS)["other"] == 1


def test_images_have_what_the_texts_leave():
    image = Piece("images", "x", "https://h.test/a.png", is_text=False)
    split = split_input(Prompt((Piece("user", "y", "u" * 40), image)), "gpt-4o", 1140, LETTERS)

    assert (split["user"], split["images"]) == (40, 1100)


def test_an_image_is_never_counted_as_text():
    image = Piece("images", "x", "A" * 1_000_000, is_text=False)
    split = split_input(Prompt((Piece("user", "y", "u" * 40), image)), "gpt-4o", 400, CHARACTERS)

    assert split["user"] == 10


def test_the_prompt_that_anthropic_adds_for_tools_is_listed_apart():
    parts = (Piece("tools", "tools[0]", "t" * 50, name="rain"), Piece("user", "m", "u" * 50))
    split = split_input(Prompt(parts, api="anthropic"), "claude", 500, LETTERS)

    assert split.tools_by_name == {"rain": 79, TOOL_USE_PROMPT: 342}
    assert split["user"] == 79


def test_values_add_up():
    one = InputByPart({"user": 5, "tools": 2}, {"a": 2}, "o200k_base")
    other = InputByPart({"user": 1, "tools": 3}, {"a": 1, "b": 2}, "characters")

    both = one + other

    assert (both["user"], both["tools"], dict(both.tools_by_name)) == (6, 5, {"a": 3, "b": 2})
    assert both.estimated_by == "o200k_base, characters"
    assert str(both) == "tools ~5, user ~6"


def test_a_part_that_is_none_names_those_that_are():
    with pytest.raises(KeyError, match=r"'schema' is not a part of the input \(parts: system, tools, history"):
        InputByPart({})["schema"]
