"""Calls in fixtures of wider scope belong to the run: no test's numbers depend on which test came first."""

import pytest
from printed import section, totals

#: Two tests of 15 tokens each; whichever comes first brings `shared` about, at 1,100 tokens.
TESTS = """
    import pytest
    from fakes import FakeChatModel

    @pytest.fixture(scope="{scope}")
    def shared(request):
        FakeChatModel(usage=(900, 100)).invoke("set-up")
        {leave}

    class TestIt:
        def test_one(self, shared, llm_usage):
            FakeChatModel().invoke("call")
            assert llm_usage.total_tokens == 15

        def test_other(self, shared, llm_usage):
            FakeChatModel().invoke("call")
            assert llm_usage.total_tokens == 15
"""

LEAVE = {
    "generator": "yield; FakeChatModel(usage=(90, 10)).invoke('tear-down')",
    "finalizer": "request.addfinalizer(lambda: FakeChatModel(usage=(90, 10)).invoke('tear-down'))",
}


@pytest.mark.parametrize(
    ("scope", "leave", "selected"),
    [
        ("class", "generator", []),
        ("module", "generator", []),
        ("package", "generator", []),
        ("session", "generator", []),
        ("session", "finalizer", []),
        ("module", "generator", ["-k", "one"]),
        ("module", "generator", ["-k", "other"]),
        pytest.param(
            "module",
            "generator",
            ["test_it.py::TestIt::test_other", "test_it.py"],
            marks=pytest.mark.skipif(
                pytest.version_tuple < (9,), reason="pytest 8 runs a test twice that is named twice"
            ),
        ),
    ],
)
def test_set_up_and_tear_down_belong_to_no_test(pytester, scope, leave, selected):
    pytester.makepyfile(test_it=TESTS.format(scope=scope, leave=LEAVE[leave]))

    result = pytester.runpytest(*selected, "--max-tokens=15", "--llm-usage-report=tests")

    count = 1 if "-k" in selected else 2
    result.assert_outcomes(passed=count, deselected=2 - count)
    assert totals(result)["total"][:2] == (str(2 + count), f"{990 + 10 * count:,}")
    assert any(line.startswith("shared fixtures: 2 calls, 990 input, 110 output") for line in section(result))


def test_the_same_numbers_whatever_the_workers(pytester, plugin_args):
    pytester.makepyfile(test_it=TESTS.format(scope="module", leave=LEAVE["generator"]))

    result = pytester.runpytest(*plugin_args, "--max-tokens=15", "--dist=loadfile" if "2" in plugin_args else "-q")

    result.assert_outcomes(passed=2)
    assert totals(result)["total"][:2] == ("4", "1,010")


def test_class_and_module_set_up_of_xunit_style(pytester):
    pytester.makepyfile("""
        import unittest

        import pytest
        from fakes import FakeChatModel

        def setup_module():
            FakeChatModel().invoke("module")

        def teardown_module():
            FakeChatModel().invoke("module")

        def setup_function():
            FakeChatModel().invoke("function")

        def test_function(llm_usage):
            assert [call.phase for call in llm_usage.calls] == ["setup"]

        class TestPlain:
            @classmethod
            def setup_class(cls):
                FakeChatModel().invoke("class")

            @classmethod
            def teardown_class(cls):
                FakeChatModel().invoke("class")

            def setup_method(self):
                FakeChatModel().invoke("method")

            def test_method(self, llm_usage):
                assert [call.phase for call in llm_usage.calls] == ["setup"]

        @pytest.mark.usefixtures("llm_usage")
        class TestUnit(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                FakeChatModel().invoke("class")

            @classmethod
            def tearDownClass(cls):
                FakeChatModel().invoke("class")

            def setUp(self):
                FakeChatModel().invoke("method")

            def tearDown(self):
                FakeChatModel().invoke("method")

            def test_method(self):
                assert len(self.llm_usage.calls) == 1

            def test_other(self):
                assert len(self.llm_usage.calls) == 1
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=4)
    assert totals(result)["total"][0] == str(6 + 2 + 4)
    assert any(line.startswith("shared fixtures: 6 calls") for line in section(result))


def test_async_fixtures_of_wider_scope(pytester):
    pytester.makepyfile("""
        import pytest
        import pytest_asyncio
        from fakes import FakeChatModel

        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def shared():
            await FakeChatModel().ainvoke("set-up")
            yield
            await FakeChatModel().ainvoke("tear-down")

        async def test_one(shared, llm_usage):
            await FakeChatModel().ainvoke("call")
            assert len(llm_usage.calls) == 1

        async def test_other(shared, llm_usage):
            await FakeChatModel().ainvoke("call")
            assert len(llm_usage.calls) == 1
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=2)
    assert any(line.startswith("shared fixtures: 2 calls") for line in section(result))


def test_what_a_shared_fixture_hands_out_is_billed_to_the_test_that_uses_it(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="session")
        def model():
            return FakeChatModel()

        @pytest.mark.parametrize("count", [1, 2])
        def test_it(model, llm_usage, count):
            for number in range(count):
                model.invoke(str(number))
            assert len(llm_usage.calls) == count
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=2)
    assert not any(line.startswith("shared fixtures") for line in section(result))


def test_a_shared_fixture_that_a_test_asks_for_half_way(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="module")
        def shared():
            FakeChatModel().invoke("set-up")
            yield
            FakeChatModel().invoke("tear-down")

        @pytest.mark.parametrize("number", range(2))
        def test_it(request, llm_usage, number):
            FakeChatModel().invoke("before")
            request.getfixturevalue("shared")
            FakeChatModel().invoke("after")
            assert len(llm_usage.calls) == 2
    """)

    result = pytester.runpytest("--max-llm-calls=2")

    result.assert_outcomes(passed=2)
    assert any(line.startswith("shared fixtures: 2 calls") for line in section(result))


def test_a_function_fixture_that_needs_a_shared_one_stays_the_tests_own(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="module")
        def shared():
            FakeChatModel(usage=(900, 100)).invoke("shared")

        @pytest.fixture
        def own(shared):
            FakeChatModel().invoke("own")

        def test_one(own, llm_usage):
            assert llm_usage.total_tokens == 15

        def test_other(own, llm_usage):
            assert llm_usage.total_tokens == 15
    """)

    pytester.runpytest().assert_outcomes(passed=2)


def test_a_shared_fixture_with_parameters_is_billed_to_the_run_each_time(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="module", params=[1, 2])
        def shared(request):
            FakeChatModel().invoke("set-up")
            yield
            FakeChatModel().invoke("tear-down")

        def test_one(shared, llm_usage):
            assert llm_usage.calls == ()

        def test_other(shared, llm_usage):
            assert llm_usage.calls == ()
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=4)
    assert totals(result)["total"][0] == "4"


def test_a_shared_fixture_that_fails_is_still_the_runs(pytester):
    pytester.makepyfile("""
        import pytest
        from fakes import FakeChatModel

        @pytest.fixture(scope="module")
        def shared():
            FakeChatModel().invoke("set-up")
            raise ConnectionError("refused")

        def test_one(shared):
            pass

        def test_other(llm_usage):
            FakeChatModel().invoke("call")
            assert len(llm_usage.calls) == 1
    """)

    result = pytester.runpytest("--max-llm-calls=1")

    result.assert_outcomes(passed=1, errors=1)
    assert totals(result)["total"][0] == "2"
    assert any(line.startswith("shared fixtures: 1 call, ") for line in section(result))


def test_calls_made_while_tests_are_collected_belong_to_the_run(pytester):
    pytester.makepyfile("""
        from fakes import FakeChatModel

        FakeChatModel().invoke("import")

        def test_it(llm_usage):
            assert llm_usage.calls == ()
    """)

    result = pytester.runpytest()

    result.assert_outcomes(passed=1)
    assert totals(result)["total"][0] == "1"


def test_calls_after_the_last_test_belong_to_the_run(pytester):
    pytester.makeconftest("""
        from fakes import FakeChatModel

        def pytest_sessionfinish():
            FakeChatModel().invoke("good-bye")
    """)
    pytester.makepyfile("""
        from fakes import FakeChatModel

        def test_it():
            FakeChatModel().invoke("call")
    """)

    assert totals(pytester.runpytest())["total"][0] == "2"
