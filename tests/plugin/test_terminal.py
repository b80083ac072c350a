"""The section `LLM usage` at the end of a run."""

import unicodedata

import pytest
from printed import section, totals


def width(line):
    """Columns that a line takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


MIXED = """
    import pytest
    from fakes import FakeChatModel

    USAGE = {
        "input_tokens": 8_204,
        "output_tokens": 2_310,
        "total_tokens": 10_514,
        "input_token_details": {"cache_read": 5_120},
        "output_token_details": {"reasoning": 640},
    }

    @pytest.mark.parametrize("number", range(4))
    def test_small(number):
        FakeChatModel(usage=USAGE).invoke("one")

    @pytest.mark.parametrize("number", range(3))
    def test_large(llm_usage, number):
        FakeChatModel(model="gpt-4-turbo-2024-04-09", usage=(1_412, 171)).invoke("one")
        FakeChatModel(usage=USAGE).invoke("two")
"""


def test_the_table_is_the_same_whatever_the_workers(pytester, plugin_args):
    pytester.makepyfile(MIXED)

    result = pytester.runpytest(*plugin_args)

    result.assert_outcomes(passed=7)
    # 3 × (1,412 × 10 + 171 × 30) and 7 × (3,084 × 0.15 + 5,120 × 0.075 + 2,310 × 0.60), USD per million tokens.
    assert totals(result) == {
        "gpt-4-turbo-2024-04-09": ("3", "4,236", "-", "513", "-", "0.05775"),
        "gpt-4o-mini-2024-07-18": ("7", "57,428", "35,840", "16,170", "4,480", "0.01563"),
        "total": ("10", "61,664", "35,840", "16,683", "4,480", "0.07338"),
    }


def test_columns_are_aligned(pytester):
    pytester.makepyfile(MIXED)

    head, *rows = section(pytester.runpytest())[:4]

    assert len({len(line) for line in (head, *rows)}) == 1
    assert head.startswith("model ")
    assert rows[-1].startswith("total ")


def test_nothing_is_printed_when_no_model_was_called(pytester, plugin_args):
    pytester.makepyfile("def test_it(llm_usage): pass")

    result = pytester.runpytest(*plugin_args, "--max-tokens=5000", "--llm-usage-report=calls")

    result.assert_outcomes(passed=1)
    assert "LLM" not in result.stdout.str()


def test_nothing_is_printed_where_nobody_wants_it(pytester):
    pytester.makepyfile(MIXED)

    assert section(pytester.runpytest("--llm-usage-report=off")) is None


def test_an_unknown_count_is_never_zero(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel, FakeStreamingModel

        def test_it():
            FakeChatModel(usage=(1_000, 500)).invoke("one")
            FakeChatModel(usage=None).invoke("two")
            list(FakeStreamingModel(usage=None, model="gpt-4o").stream("three"))
    """)

    result = pytester.runpytest()

    table = totals(result)
    assert table["gpt-4o"] == ("1", "?", "-", "?", "-", "?")
    assert table["gpt-4o-mini-2024-07-18"] == ("2", ">=1,000", "-", ">=500", "-", ">=0.00045")
    assert table["total"] == ("3", ">=1,000", "-", ">=500", "-", ">=0.00045")
    assert any("2 calls with unknown usage" in line for line in section(result))


def test_an_unpriced_call_is_said_to_be_unpriced(pytester):
    pytester.makepyfile("""
        from fakes import UNPRICED_MODEL, FakeChatModel

        def test_it():
            FakeChatModel(usage=(1_000, 500)).invoke("one")
            FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")
    """)

    result = pytester.runpytest()

    assert totals(result)["acme-1"][-1] == "unpriced"
    assert totals(result)["total"][-1].removeprefix(">=") == "0.00045"
    assert any(line.strip() == "and 1 unpriced call" for line in section(result))


def test_a_paid_call_never_prints_as_nothing(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel(usage=(1, 1)).invoke("one")
    """)

    assert totals(pytester.runpytest())["total"][-1] == "<0.00001"


def test_a_lower_bound_and_an_upper_bound_are_not_put_together(pytester):
    """Some of the calls cost next to nothing, of others nobody knows: the sum has no upper bound."""
    pytester.makepyfile("""
        from fakes import UNPRICED_MODEL, FakeChatModel

        def test_it():
            FakeChatModel(usage=(1, 1)).invoke("one")
            FakeChatModel(model=UNPRICED_MODEL, provider="acme").invoke("two")
    """)

    shown = totals(pytester.runpytest())["total"][-1]
    assert not ("<" in shown and ">" in shown)


def test_answers_of_langchains_cache_are_said_and_not_counted(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel
        from langchain_core.caches import InMemoryCache

        def test_it():
            model = FakeChatModel(cache=InMemoryCache())
            model.invoke("one")
            model.invoke("one")
    """)

    result = pytester.runpytest()

    assert totals(result)["total"][:4] == ("1", "10", "-", "5")
    assert any("1 answer from LangChain's cache" in line for line in section(result))


# -- tests and calls ---------------------------------------------------------------------------------------------


def test_tests_are_listed_on_demand(pytester):
    pytester.makepyfile(test_agent=MIXED)

    lines = section(pytester.runpytest("--llm-usage-report=tests"))

    rows = [line.split() for line in lines if line.startswith("test_agent.py::")]
    assert [row[0] for row in rows] == [
        *(f"test_agent.py::test_small[{number}]" for number in range(4)),
        *(f"test_agent.py::test_large[{number}]" for number in range(3)),
    ]
    assert rows[-1][1:4] == ["2", "9,616", "2,481"]


def test_calls_are_listed_on_demand_with_where_they_were_made(pytester):
    pytester.makepyfile(test_agent=MIXED)

    lines = section(pytester.runpytest("--llm-usage-report=calls", "-k", "large and 1"))

    assert any(line.split()[:5] == ["1", "gpt-4-turbo-2024-04-09", "1,412", "171", "1,583"] for line in lines)
    assert any("test_agent.py:19 in test_large" in line for line in lines)


def test_untracked_tests_are_in_no_table(pytester):
    pytester.makeini("[pytest]\nllm_usage_track = requested")
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_asks(llm_usage):
            FakeChatModel().invoke("one")

        def test_does_not():
            FakeChatModel().invoke("one")
    """)

    assert totals(pytester.runpytest())["total"][0] == "1"


# -- budgets -----------------------------------------------------------------------------------------------------


def test_tests_over_and_near_their_budget_are_listed(pytester):
    pytester.makepyfile(
        test_it="""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("spent", [6_120, 5_000, 4_410, 4_000, 10])
        def test_it(spent):
            FakeChatModel(usage=(spent, 0)).invoke("one")

        def test_nothing():
            pass
        """
    )

    result = pytester.runpytest("--max-tokens=5000")

    result.assert_outcomes(passed=5, failed=1)
    lines = section(result)
    start = lines.index(next(line for line in lines if line.startswith("--max-tokens=")))
    assert lines[start].startswith("--max-tokens=5,000: 1 of 5 tests over, 2 above 80 %")
    listed = [line.split() for line in lines[start + 1 :] if line.startswith("  ")]
    assert [(row[0], row[1], " ".join(row[3:])) for row in listed] == [
        ("test_it.py::test_it[6120]", "6,120", "122 %"),
        ("test_it.py::test_it[5000]", "5,000", "100 %"),
        ("test_it.py::test_it[4410]", "4,410", "88 %"),
    ]
    assert [len(row[2]) for row in listed] == sorted((len(row[2]) for row in listed), reverse=True)


def test_a_limit_on_calls_lists_those_over_it_alone(pytester):
    """As many calls as may be made is what most tests make."""
    pytester.makepyfile(
        test_it="""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("count", [1, 2, 2, 3])
        def test_it(count):
            for number in range(count):
                FakeChatModel().invoke(str(number))
    """
    )

    assert section(pytester.runpytest("--max-llm-calls=2"))[-2:] == [
        "--max-llm-calls=2: 1 of 4 tests over",
        "  test_it.py::test_it[3]  3  #############  150 %",
    ]


def test_limits_on_different_models_are_listed_apart(pytester):
    pytester.makepyfile(
        test_it="""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.llm_budget(max_tokens=15, model="gpt-4o-mini*")
        @pytest.mark.llm_budget(max_tokens=15, model="gpt-4o")
        def test_it():
            FakeChatModel().invoke("one")
            FakeChatModel(model="gpt-4o", usage=(20, 0)).invoke("two")
    """
    )

    assert section(pytester.runpytest())[-4:] == [
        "@pytest.mark.llm_budget max_tokens=15 for gpt-4o: 1 of 1 test over",
        "  test_it.py::test_it  20  #############  133 %",
        "@pytest.mark.llm_budget max_tokens=15 for gpt-4o-mini*: 1 of 1 test above 80 %",
        "  test_it.py::test_it  15  #############  100 %",
    ]


def test_no_budget_is_spoken_of_where_every_test_is_far_below_its_own(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel().invoke("one")
    """)

    assert not any("--max-tokens" in line for line in section(pytester.runpytest("--max-tokens=5000")))


# -- 80 columns --------------------------------------------------------------------------------------------------

LONG = """
    import pytest
    from fakes import FakeChatModel, FakeStreamingModel

    MODELS = [
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "accounts/fireworks/models/llama4-maverick-instruct-basic-and-a-name-that-never-ends",
        "gpt-4o",
    ]
    MANY = 1_234_567

    @pytest.mark.llm_budget(max_tokens=MANY)
    @pytest.mark.parametrize("model", MODELS, ids=lambda model: "a-very-long-name-of-a-parameter-" + model[:20])
    def test_with_a_name_that_says_in_full_what_it_is_about_and_what_it_expects(model):
        usage = {
            "input_tokens": MANY,
            "output_tokens": MANY,
            "total_tokens": 2 * MANY,
            "input_token_details": {"cache_read": MANY},
            "output_token_details": {"reasoning": MANY},
        }
        FakeChatModel(model=model, provider="acme", usage=usage).invoke("one")

    def test_with_another_name_that_says_in_full_what_it_is_about_and_what_it_expects_from_that():
        FakeChatModel(usage=None).invoke("one")
        next(FakeStreamingModel(usage=None, model=MODELS[0]).stream("two"))

    @pytest.fixture(scope="module", autouse=True)
    def shared():
        FakeChatModel(usage=(MANY, MANY)).invoke("one")
"""


@pytest.mark.parametrize("what", ["models", "tests", "calls"])
def test_no_line_is_longer_than_eighty_columns(pytester, what):
    pytester.makepyfile(test_a_module_with_quite_a_long_name_as_they_often_have=LONG)

    result = pytester.runpytest(
        f"--llm-usage-report={what}", "--llm-usage-budgets=warn", "-W", "ignore", "--max-cost=1"
    )

    lines = section(result)
    # The line of a price file is printed whole: half of it helps nobody.
    assert [line for line in lines if width(line) > 80 and not line.endswith(" output = ? }")] == []


@pytest.mark.parametrize("what", ["models", "tests", "calls"])
def test_wide_characters_take_two_columns(pytester, what):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_日本語の名前は画面の上で二倍の幅を取るので切り詰める必要があるかもしれない():
            FakeChatModel(model="模型" * 20, provider="acme").invoke("one")
            FakeChatModel().invoke("two")
    """)

    lines = section(pytester.runpytest(f"--llm-usage-report={what}", "--max-tokens=30"))

    assert [line for line in lines if width(line) > 80 and not line.endswith(" output = ? }")] == []
    assert len({width(line) for line in lines[:4]}) == 1


def test_models_with_long_names_can_still_be_told_apart(pytester):
    names = ["us.anthropic.claude-3-7-sonnet-20250219-v1:0", "eu.anthropic.claude-3-7-sonnet-20250219-v1:0"]
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        @pytest.mark.parametrize("model", {names!r})
        def test_it(model):
            FakeChatModel(model=model, usage=(123_456_789, 123_456_789)).invoke("one")
    """)

    assert len(totals(pytester.runpytest())) == 3


# -- quiet and failing runs --------------------------------------------------------------------------------------


def test_the_section_is_printed_when_tests_fail(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel().invoke("one")
            assert False
    """)

    assert totals(pytester.runpytest("-q", "--tb=no"))["total"][0] == "1"


def test_the_section_is_printed_when_the_run_is_interrupted(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        def test_one():
            FakeChatModel().invoke("one")

        def test_other():
            pytest.exit("enough")
    """)

    assert totals(pytester.runpytest())["total"][0] == "1"


def test_skipped_and_expected_failures_spend_too(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        def test_skips():
            FakeChatModel().invoke("one")
            pytest.skip("enough")

        @pytest.mark.xfail(reason="known")
        def test_fails():
            FakeChatModel().invoke("one")
            assert False
    """)

    result = pytester.runpytest()

    result.assert_outcomes(skipped=1, xfailed=1)
    assert totals(result)["total"][0] == "2"
