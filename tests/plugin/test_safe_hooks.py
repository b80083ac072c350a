"""A mistake of ours fails nobody's test: every hook broken, one by one, and what an interrupted run says it spent."""

import importlib
import inspect
import pkgutil
import re

import pytest
from plugin.printed import section, totals

import pytest_llm_usage.plugin as hooks

SUITE = """
    import warnings
    import pytest
    from fakes import FakeChatModel

    @pytest.fixture(scope="module")
    def shared():
        FakeChatModel().invoke("shared")
        yield 1

    @pytest.mark.parametrize("number", [1, 2])
    def test_passes(shared, number):
        FakeChatModel().invoke("one")

    def test_fails():
        FakeChatModel().invoke("two")
        assert 1 == 2

    @pytest.mark.skip
    def test_skips(): pass

    @pytest.fixture
    def broken():
        yield
        raise ValueError("in a teardown")

    def test_errs(broken): pass

    @pytest.mark.xfail(strict=True)
    def test_xfails():
        assert {1: 2} == {1: 3}
"""

#: Puts a body that raises in the place of a hook's own, with its signature.
BREAKER = """
    import importlib, inspect, pathlib

    def reached():
        pathlib.Path(__file__).with_name("reached").touch()
        return RuntimeError("broken on purpose")

    def break_hook(module, name, behind):
        owner = importlib.import_module(module)
        for part in name.split("."):
            owner = getattr(owner, part)
        hook = inspect.unwrap(owner)
        parameters = ", ".join(inspect.signature(hook).parameters)
        lines = ["result = yield"] if behind else ["yield"] if inspect.isgeneratorfunction(hook) else []
        body = "; ".join([*lines, "raise __import__('breaker').reached()"] if behind or not lines
                         else ["raise __import__('breaker').reached()", *lines])
        made = {}
        exec(f"def {hook.__name__}({parameters}): {body}", made)
        hook.__code__ = made[hook.__name__].__code__

    break_hook(*%r)
"""


def _owners():
    """Whatever has hooks: the plugin itself, and the classes of its modules."""
    yield hooks
    for found in pkgutil.iter_modules(hooks.__path__, f"{hooks.__name__}."):
        module = importlib.import_module(found.name)
        yield from (owner for owner in vars(module).values() if getattr(owner, "__module__", "") == found.name)


def _all_hooks():
    for owner in _owners():
        for name, hook in vars(owner).items() if hasattr(owner, "__dict__") else ():
            if name.startswith("pytest_") and callable(hook):
                path = name if owner is hooks else f"{owner.__name__}.{name}"
                module = owner.__name__ if owner is hooks else owner.__module__
                yield module, path, False
                if inspect.isgeneratorfunction(inspect.unwrap(hook)):
                    yield module, path, True


HOOKS = list(_all_hooks())

#: What a hook is called for, beyond the options of every run.
_XDIST = ("-n", "2")
OPTIONS = {
    "pytest_configure_node": _XDIST,
    "pytest_testnodedown": _XDIST,
    "RunCollector.pytest_testnodedown": _XDIST,
    "RunCollector.pytest_xdist_node_collection_finished": _XDIST,
    "OrphanCheck.pytest_testnodedown": _XDIST,
    "ReplayFirst.pytest_runtest_protocol": ("--llm-usage-record=stale", "--session-max-tokens=1M"),
    "ReplayFirst.pytest_runtestloop": ("--llm-usage-record=stale", "--session-max-tokens=1M"),
    "SpentRun.pytest_runtest_protocol": ("--session-max-tokens=1M",),
}
#: Registered where a test has failed in its set-up, or every test is to fail; called by pytest-html, which is not loaded;
#: called before `-p` is read.
NOT_REACHED = {
    "pytest_addoption",
    "FailedSetup.pytest_runtest_call",
    "FailingTests.pytest_runtest_setup",
    "RunCollector.pytest_html_results_table_header",
    "RunCollector.pytest_html_results_table_row",
}

#: What the suite says without the plugin, run once.
_WITHOUT = {}


def outcomes_of(result):
    """What pytest says of each test, and of all."""
    lines = [line for line in result.stdout.lines if re.match(r"test_it\.py::|E  |FAILED test|ERROR test", line)]
    return sorted(re.sub(r"\s*\[.*%\]", "", line) for line in lines), result.parseoutcomes(), result.ret


@pytest.fixture
def suite(pytester, forked):
    pytester.makepyfile(test_it=SUITE)

    def run(*arguments):
        return pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", *arguments)

    return run


def test_there_are_hooks_to_break():
    assert len(HOOKS) > 30
    assert ("pytest_llm_usage.plugin", "pytest_runtest_call", True) in HOOKS


@pytest.mark.parametrize(("module", "name", "behind"), HOOKS, ids=lambda value: str(value).rpartition(".usage.")[-1])
def test_a_broken_hook_changes_no_test(suite, pytester, module, name, behind):
    workers = OPTIONS.get(name, ()) if OPTIONS.get(name) == _XDIST else ()
    without = _WITHOUT.get(workers) or _WITHOUT.setdefault(workers, outcomes_of(suite("-p", "no:llm_usage", *workers)))
    pytester.makepyfile(breaker=BREAKER % ((module, name, behind),))
    options = [] if name == "pytest_addoption" else ["--llm-usage-orphans=warn", "--llm-usage-json=run.json"]

    broken = suite("-p", "breaker", *options, *OPTIONS.get(name, ()))

    assert outcomes_of(broken) == without
    assert (pytester.path / "reached").exists() is (name not in NOT_REACHED), "the fault was never met"
    printed = broken.stdout.str() + broken.stderr.str()
    assert "INTERNALERROR" not in printed
    if "broken on purpose" in printed:
        hook = name.rpartition(".")[-1]
        assert printed.count(f"internal error in {hook}: RuntimeError: broken on purpose") == 1
        assert "Please report it with these lines:" in printed


@pytest.mark.parametrize("name", ["pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_makereport"])
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_mistake_of_ours_is_told_once(suite, pytester, name, workers):
    pytester.makepyfile(breaker=BREAKER % (("pytest_llm_usage.plugin", name, False),))

    printed = suite("-p", "breaker", *workers).stdout.str()

    assert printed.count("pytest-llm-usage: internal error in") == 1
    assert f"internal error in {name}: RuntimeError: broken on purpose" in printed


@pytest.mark.parametrize("stop", ["raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_what_was_spent_before_an_interrupt_is_in_the_totals(pytester, forked, stop):
    pytester.makepyfile(f"""
        import pytest
        from fakes import FakeChatModel

        def test_first():
            FakeChatModel().invoke("one")

        def test_interrupted():
            FakeChatModel().invoke("two")
            {stop}

        def test_never_run():
            FakeChatModel().invoke("three")
    """)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--llm-usage-report=tests")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert totals(result)["total"][0] == "2"
    assert any("test_interrupted" in line for line in section(result))
