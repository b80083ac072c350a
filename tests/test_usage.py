"""`TokenUsage`: reading, canonical form, addition."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages.ai import add_usage
from strategies import counts, usages

from pytest_llm_usage.usage import CACHE_LIFETIMES, TokenUsage, count, no_count_in, with_names_once

# -- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (12, 12),
        (0, 0),
        (12.0, 12),
        (0.0, 0),
        ("12", 12),
        (10**15, 10**15),
        ("1" + "0" * 15, 10**15),
        (10**15 + 1, None),
        (1e300, None),
        ("9" * 19, None),
        ("9" * 5000, None),
        pytest.param(10**5000, None, id="5001 digits"),
        ("012", 12),
        ("12".zfill(19), 12),
        ("12".zfill(20), None),
        (True, None),
        (-1, None),
        (1.5, None),
        (-0.5, None),
        (float("nan"), None),
        (float("inf"), None),
        ("", None),
        ("1.0", None),
        ("-1", None),
        ("１２", None),
        ("²", None),
        (None, None),
        ([], None),
        ({"value": 1}, None),
    ],
)
def test_only_a_count_is_read_as_one(told, read):
    assert count(told) == read


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({}, None),
        ({"input_tokens": None, "output_token_details": None}, None),
        ({"input_tokens": -1}, "input_tokens"),
        ({"output_tokens": "many"}, "output_tokens"),
        ({"total_tokens": 10**16}, "total_tokens"),
        ({"input_token_details": {"cache_read": 2, "audio": -1}}, "input_token_details.audio"),
        ({"input_token_details": {}, "output_token_details": {"reasoning": 1.5}}, "output_token_details.reasoning"),
        ({"input_token_details": [-1], "output_token_details": {"reasoning": -1}}, "output_token_details.reasoning"),
        # Integrations file names there, and what LangChain leaves over for a tier may be below zero.
        ({"input_token_details": {"kind": "text", "cached": True, "cache_read": None}}, None),
        ({"output_token_details": {"flex": -3, "flex_reasoning": 5}}, None),
    ],
)
def test_what_is_no_count_in_langchains_usage_is_found(more, where):
    assert no_count_in({"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, **more}) == where


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"input_tokens": 5}, "output_tokens"),
        ({"output_tokens": 5}, "input_tokens"),
        ({"input_tokens": 5, "output_tokens": None}, "output_tokens"),
        ({"total_tokens": 5}, "input_tokens"),
        ({}, "input_tokens"),
        ({"input_tokens": 5, "total_tokens": 7}, None),
        ({"input_tokens": 5, "output_tokens": 2}, None),
    ],
)
def test_one_count_of_two_without_a_total_is_not_zero(told, where):
    assert no_count_in(told) == where


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input_tokens": 5, "total_tokens": 7}, (5, 2, 7)),
        ({"output_tokens": 2, "input_tokens": None, "total_tokens": 7}, (5, 2, 7)),
        ({"input_tokens": 5, "total_tokens": 5}, (5, 0, 5)),
        ({"input_tokens": 5, "total_tokens": 3}, (5, 0, 3)),
    ],
)
def test_one_count_of_two_with_a_total_is_what_it_leaves(told, expected):
    usage, _ = TokenUsage.from_langchain(told)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == expected


def test_what_thousands_of_calls_have_alike_is_in_memory_once():
    def read():
        return with_names_once(json.loads('{"name a": "text b", "inner c": {"name d": "text e"}, "count": 5}'))

    one, other = read(), read()

    assert one == other == {"name a": "text b", "inner c": {"name d": "text e"}, "count": 5}
    texts, others = ([*each, each["name a"], *each["inner c"], each["inner c"]["name d"]] for each in (one, other))
    assert all(left is right for left, right in zip(texts, others, strict=True))


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_reading_a_count_never_raises_and_gives_a_number_of_tokens(told):
    read = count(told)

    assert read is None or (type(read) is int and read >= 0)


def test_langchains_form_is_read():
    usage, tier = TokenUsage.from_langchain(
        {
            "input_tokens": 350,
            "output_tokens": 240,
            "total_tokens": 590,
            "input_token_details": {"audio": 10, "cache_creation": 200, "cache_read": 100},
            "output_token_details": {"audio": 10, "reasoning": 200},
        }
    )

    assert tier is None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (350, 240, 590)
    assert usage.input_token_details == {"audio": 10, "cache_creation": 200, "cache_read": 100}
    assert usage.output_token_details == {"audio": 10, "reasoning": 200}


def test_cache_creation_is_all_cache_writes_however_they_are_split():
    usage, _ = TokenUsage.from_langchain(
        {
            "input_tokens": 1_000,
            "output_tokens": 1,
            "total_tokens": 1_001,
            "input_token_details": {
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 300,
                "ephemeral_1h_input_tokens": 400,
            },
        }
    )

    assert usage.input_token_details == {
        "cache_creation": 700,
        "ephemeral_5m_input_tokens": 300,
        "ephemeral_1h_input_tokens": 400,
    }


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        ({"cache_creation": 500, "ephemeral_5m_input_tokens": 100}, 500),
        ({"cache_creation": 100, "ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}, 100),
        ({"ephemeral_1h_input_tokens": 1}, 1),
    ],
)
def test_cache_creation_is_what_is_stated_or_the_sum_of_its_lifetimes_if_that_is_more(stated, written):
    usage, _ = TokenUsage.from_langchain({"input_tokens": 1_000, "input_token_details": stated})

    assert usage.input_token_details == {**stated, "cache_creation": written}


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_one_half_of_the_details_is_enough_to_tell_the_tier(tier):
    of_input = {tier: 70, f"{tier}_cache_read": 30, "cache_read": 5}
    usage, told = TokenUsage.from_langchain({"input_tokens": 100, "input_token_details": of_input})
    assert told == tier
    # What is told with the prefix and without it is one detail.
    assert usage.input_token_details == {"cache_read": 35}

    usage, told = TokenUsage.from_langchain({"output_tokens": 50, "output_token_details": {tier: 50}})
    assert told == tier
    assert usage.output_token_details == {}


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_a_service_tier_is_told_apart_from_the_details(tier):
    usage, told = TokenUsage.from_langchain(
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "total_tokens": 150,
            "input_token_details": {f"{tier}_cache_read": 30, tier: 70},
            "output_token_details": {f"{tier}_reasoning": 20, tier: 30},
        }
    )

    assert told == tier
    assert usage.input_token_details == {"cache_read": 30}
    assert usage.output_token_details == {"reasoning": 20}


def test_a_total_that_nobody_states_is_the_sum():
    assert TokenUsage.from_langchain({"input_tokens": 10, "output_tokens": 5})[0].total_tokens == 15
    assert TokenUsage.from_counts(10, 5).total_tokens == 15


@pytest.mark.parametrize("total", [9, 20])
def test_a_total_that_langchain_states_is_kept(total):
    usage, _ = TokenUsage.from_langchain({"input_tokens": 10, "output_tokens": 5, "total_tokens": total})
    assert usage == TokenUsage(10, 5, total)


def test_what_langchain_does_not_count_is_zero():
    assert TokenUsage.from_langchain({})[0] == TokenUsage(0, 0, 0)
    assert TokenUsage.from_langchain({"output_tokens": 5})[0] == TokenUsage(0, 5, 5)
    assert TokenUsage.from_langchain({"input_tokens": 10, "output_tokens": None})[0] == TokenUsage(10, 0, 10)


def test_a_usage_of_counts_keeps_the_details_of_both_sides():
    usage = TokenUsage.from_counts(10, 5, input_token_details={"cache_read": 4}, output_token_details={"reasoning": 3})
    assert usage.input_token_details == {"cache_read": 4}
    assert usage.output_token_details == {"reasoning": 3}


def test_a_total_above_the_sum_is_kept_and_one_below_is_not():
    assert TokenUsage.from_counts(10, 5, total_tokens=20).total_tokens == 20
    assert TokenUsage.from_counts(10, 5, total_tokens=12).total_tokens == 15


@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "total_tokens", "input_token_details"]),
        st.none()
        | st.integers(-5, 5)
        | st.floats()
        | st.text(max_size=3)
        | st.dictionaries(st.text(max_size=3), counts),
    )
)
def test_reading_what_integrations_may_send_never_raises(usage_metadata):
    usage, _ = TokenUsage.from_langchain(usage_metadata)

    assert min(usage.input_tokens, usage.output_tokens, usage.total_tokens) >= 0


# -- the value ---------------------------------------------------------------------------------------------------


def test_it_is_frozen_to_the_last_detail():
    told = {"cache_read": 4}
    usage = TokenUsage(10, 5, 15, told)
    told["cache_read"] = 1_000

    assert usage.input_token_details == {"cache_read": 4}
    with pytest.raises(AttributeError):
        usage.input_tokens = 1
    with pytest.raises(TypeError):
        usage.input_token_details["cache_read"] = 1


@given(usages)
def test_its_plain_form_is_json_and_reads_back(usage):
    assert TokenUsage.from_dict(json.loads(json.dumps(usage.to_dict()))) == usage


@given(usages)
def test_it_can_be_copied_and_pickled(usage):
    for twin in (copy.copy(usage), copy.deepcopy(usage), pickle.loads(pickle.dumps(usage))):
        assert twin == usage
        assert hash(twin) == hash(usage)
        with pytest.raises(TypeError):
            twin.input_token_details["another"] = 1


def test_a_detail_of_zero_equals_an_absent_one():
    zero, absent = TokenUsage(10, 5, 15, {"audio": 0}), TokenUsage(10, 5, 15)

    assert zero == absent
    assert hash(zero) == hash(absent)
    assert zero.to_dict() == absent.to_dict()
    assert TokenUsage(10, 5, 15, {"audio": 1}) != absent
    assert absent != 15


# -- addition ----------------------------------------------------------------------------------------------------


@given(usages, usages, usages)
def test_addition_is_that_of_numbers(one, two, three):
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + TokenUsage() == one
    assert sum([one, two, three]) == sum([one, two, three], TokenUsage()) == one + two + three
    assert TokenUsage.summed([one, two, three]) == one + two + three
    assert TokenUsage.summed([]) == TokenUsage()


@given(usages, usages)
def test_every_count_and_every_detail_is_added_and_no_key_is_lost(one, two):
    total = one + two

    assert total.input_tokens == one.input_tokens + two.input_tokens
    assert total.output_tokens == one.output_tokens + two.output_tokens
    assert total.total_tokens == one.total_tokens + two.total_tokens
    for name in ("input_token_details", "output_token_details"):
        left, right, summed = getattr(one, name), getattr(two, name), getattr(total, name)
        assert set(summed) == set(left) | set(right)
        assert all(summed[key] == left.get(key, 0) + right.get(key, 0) for key in summed)


@given(usages, usages)
def test_addition_agrees_with_langchains_own(one, two):
    langchains = add_usage(one.to_dict(), two.to_dict())

    assert TokenUsage.from_dict(langchains) == one + two


def test_only_usages_are_added():
    with pytest.raises(TypeError):
        TokenUsage() + 1
    with pytest.raises(TypeError):
        1 + TokenUsage()


def test_lifetimes_are_details_that_add_up_too():
    halves = [{"cache_creation": 1, key: 1} for key in CACHE_LIFETIMES]
    total = sum(TokenUsage(1, 0, 1, half) for half in halves)

    assert total.input_token_details == {"cache_creation": 2, **dict.fromkeys(CACHE_LIFETIMES, 1)}
