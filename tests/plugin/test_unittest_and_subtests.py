"""`unittest` classes, which take no arguments, and tests made of subtests."""

import pytest
from printed import totals

CASE = """
    import unittest

    import pytest
    from fakes import FakeChatModel
"""


def test_a_unittest_class_asks_through_usefixtures(pytester):
    pytester.makepyfile(
        CASE
        + """
    @pytest.mark.usefixtures("llm_usage")
    class TestAgent(unittest.TestCase):
        def setUp(self):
            FakeChatModel().invoke("set-up")

        def test_one(self):
            FakeChatModel().invoke("one")
            self.assertEqual(self.llm_usage.total_tokens, 30)

        def test_other(self):
            FakeChatModel().invoke("one")
            with self.llm_usage.section("more") as part:
                FakeChatModel().invoke("two")
            self.assertEqual(self.llm_usage.total_tokens, 45)
            self.assertEqual(part.total_tokens, 15)

        def tearDown(self):
            self.assertIn(len(self.llm_usage.calls), (2, 3))
    """
    )

    result = pytester.runpytest()

    result.assert_outcomes(passed=2)
    assert totals(result)["total"][0] == "5"


def test_a_unittest_class_is_budgeted(pytester):
    pytester.makepyfile(
        CASE
        + """
    class TestAgent(unittest.TestCase):
        @pytest.mark.llm_budget(max_calls=1)
        def test_marked(self):
            model = FakeChatModel()
            for number in range(3):
                try:
                    model.invoke(str(number))
                except Exception:
                    pass

        def test_free(self):
            FakeChatModel().invoke("one")
            FakeChatModel().invoke("two")
    """
    )

    result = pytester.runpytest()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["LLM budget exceeded: 2 calls, limit 1 (@pytest.mark.llm_budget)"])


def test_an_async_unittest_class(pytester):
    pytester.makepyfile(
        CASE
        + """
    @pytest.mark.usefixtures("llm_usage")
    class TestAgent(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            await FakeChatModel().ainvoke("set-up")

        async def test_one(self):
            await FakeChatModel().ainvoke("one")
            self.assertEqual(self.llm_usage.total_tokens, 30)

        async def test_other(self):
            self.assertEqual(self.llm_usage.total_tokens, 15)
    """
    )

    pytester.runpytest().assert_outcomes(passed=2)


def test_a_plain_class_asks_through_usefixtures_too(pytester):
    pytester.makepyfile(
        CASE
        + """
    @pytest.mark.usefixtures("llm_usage")
    class TestAgent:
        def test_one(self):
            FakeChatModel().invoke("one")
            assert self.llm_usage.total_tokens == 15

        def test_other(self, llm_usage):
            assert self.llm_usage is llm_usage
            assert llm_usage.calls == ()
    """
    )

    pytester.runpytest().assert_outcomes(passed=2)


def test_an_attribute_of_the_classs_own_is_left_alone(pytester):
    pytester.makepyfile(
        CASE
        + """
    class TestAgent:
        @property
        def llm_usage(self):
            return "mine"

        def test_one(self, llm_usage):
            FakeChatModel().invoke("one")
            assert self.llm_usage == "mine"
            assert llm_usage.total_tokens == 15
    """
    )

    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("base", ["unittest.TestCase", "object"])
def test_another_attempt_at_a_test_of_a_class_has_its_own_numbers(pytester, base):
    pytester.makepyfile(
        CASE
        + f"""
    attempts = []

    @pytest.mark.usefixtures("llm_usage")
    class TestAgent({base}):
        def test_it(self):
            attempts.append(1)
            FakeChatModel().invoke("one")
            assert self.llm_usage.total_tokens == 15
            assert len(attempts) > 1
    """
    )

    result = pytester.runpytest("--reruns=2")

    result.assert_outcomes(passed=1)
    assert result.parseoutcomes()["rerun"] == 1


# -- subtests ----------------------------------------------------------------------------------------------------


#: pytest has the fixture since its release 9.
needs_subtests = pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no fixture subtests")


@needs_subtests
def test_calls_in_subtests_belong_to_the_test(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it(subtests, llm_usage):
            for number in range(3):
                with subtests.test(number=number), llm_usage.section(str(number)) as part:
                    FakeChatModel().invoke("one")
                    assert part.total_tokens == 15
            assert llm_usage.total_tokens == 45
    """)

    result = pytester.runpytest()

    assert result.ret == pytest.ExitCode.OK
    assert totals(result)["total"][0] == "3"


def test_calls_in_unittests_subtests_belong_to_the_test(pytester):
    pytester.makepyfile(
        CASE
        + """
    @pytest.mark.usefixtures("llm_usage")
    class TestAgent(unittest.TestCase):
        def test_it(self):
            for number in range(3):
                with self.subTest(number=number):
                    FakeChatModel().invoke("one")
            self.assertEqual(self.llm_usage.total_tokens, 45)
    """
    )

    result = pytester.runpytest()

    assert result.ret == pytest.ExitCode.OK
    assert totals(result)["total"][0] == "3"


@needs_subtests
def test_a_subtest_that_fails_spends_all_the_same(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it(subtests):
            for number in range(3):
                with subtests.test(number=number):
                    FakeChatModel().invoke("one")
                    assert number == 1
    """)

    result = pytester.runpytest()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert totals(result)["total"][0] == "3"


@needs_subtests
def test_a_budget_is_the_whole_tests_and_stops_its_subtests(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it(subtests):
            model = FakeChatModel(usage=(3_000, 0))
            for number in range(5):
                with subtests.test(number=number):
                    model.invoke("one")
            print("requests:", len(model.requests))
    """)

    result = pytester.runpytest("--max-tokens=5000", "-rP")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*LLM budget exceeded: 6,000 tokens, limit 5,000 (--max-tokens)"])
    assert totals(result)["total"][0] == "2"
