"""What starting pytest with the plugin imports: nothing that a suite without model calls has no use for."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

#: Heavy, and each needed only where a test calls a model, replays, or compares.
HEAVY = ("langchain_core", "vcr", "genai_prices", "syrupy", "yaml", "wrapt", "pydantic", "httpx")

SPY = """
import json
import sys

def pytest_unconfigure():
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
    by_pytest = [name for name, module in sys.modules.items() if "Rewriting" in type(getattr(module, "__loader__", None)).__name__]
    with open("rewritten.json", "w") as file:
        json.dump(by_pytest, file)
"""


@pytest.fixture
def modules_after(pytester, monkeypatch):
    """What is imported after a run in a process of its own, with nothing loaded but the plugins that are named."""
    monkeypatch.delenv("PYTEST_ADDOPTS")
    pytester.makepyfile(spy=SPY)

    def modules_after(source, *args, autoload=False):
        pytester.makepyfile(test_it=source)
        environment = dict(os.environ)
        if autoload:
            environment.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
        command = [sys.executable, "-m", "pytest", "-p", "spy", "-W", "ignore", *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return set(json.loads((pytester.path / "modules.json").read_text()))

    return modules_after


def packages(modules):
    return {module.partition(".")[0] for module in modules}


def test_a_suite_without_model_calls_imports_none_of_the_heavy_packages(modules_after):
    modules = modules_after("def test_it(): pass", "-p", "llm_usage", "--max-tokens=5000", "--max-cost=0.02")

    assert "pytest_llm_usage.plugin" in modules
    assert packages(modules).isdisjoint(HEAVY)


def test_beside_other_plugins_it_adds_nothing_but_itself(modules_after):
    source = "def test_it(): pass"
    without = modules_after(source, "-p", "no:llm_usage", autoload=True)
    beside = modules_after(source, autoload=True)

    added = packages(beside - without) - sys.stdlib_module_names
    assert "pytest_llm_usage" in packages(beside)
    assert added == {"pytest_llm_usage"}
    # syrupy brings itself, as a plugin; nothing more of it than without us.
    assert {module for module in beside if module.startswith("syrupy")} <= without


def test_pytest_rewrites_none_of_its_modules(modules_after, pytester):
    """Each would be read and hashed at every start, and compiled anew where nothing can be kept beside it."""
    modules_after("def test_it(llm_usage): pass", autoload=True)

    rewritten = json.loads((pytester.path / "rewritten.json").read_text())
    assert {"spy", "test_it"} <= set(rewritten)
    assert [name for name in rewritten if name.startswith("pytest_llm_usage.")] == []


def test_asking_for_usage_without_calling_a_model_imports_no_langchain(modules_after):
    modules = modules_after("def test_it(llm_usage): assert llm_usage.total_tokens == 0", "-p", "llm_usage")

    assert packages(modules).isdisjoint({"langchain_core", "genai_prices", "syrupy"})


@pytest.mark.parametrize("module", ["pytest_llm_usage", "pytest_llm_usage.plugin", "pytest_llm_usage.tracker"])
def test_importing_the_package_is_cheap(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert packages(done.stdout.split()).isdisjoint(HEAVY)


def test_without_a_model_call_no_event_loop_is_imported(modules_after):
    # On Python 3.14 pytest itself imports it.
    source = "def test_it(): pass"
    assert "asyncio" not in modules_after(source, "-p", "llm_usage") - modules_after(source, "-p", "no:llm_usage")


def test_a_section_without_a_comparison_imports_nothing_of_comparisons(modules_after):
    source = "from fakes import FakeChatModel\ndef test_it(): FakeChatModel().invoke('one')"
    modules = modules_after(source, "-p", "llm_usage", "-o", f"pythonpath={Path(__file__).parents[1]}")

    ours = {module.removeprefix("pytest_llm_usage.") for module in modules if module.startswith("pytest_llm_usage.")}
    assert "report.terminal" in ours
    assert {module for module in ours if module.startswith(("compare", "report.data", "report.why"))} == set()
    assert "statistics" not in modules


def test_an_http_library_without_a_request_imports_none_of_what_reads_answers(modules_after):
    """Plugins of others import one at every start of pytest: langsmith's, which comes with LangChain."""
    source = "import http.client, urllib3\ndef test_it(): pass"
    modules = modules_after(source, "-p", "llm_usage")

    ours = {module for module in modules if module.startswith("pytest_llm_usage.")}
    assert "pytest_llm_usage.http_clients.urllib3" in ours
    assert ours.isdisjoint(
        {f"pytest_llm_usage.{name}" for name in ("ledger", "wire.call", "tracker.tracker", "credentials")}
    )


def test_nothing_of_a_run_is_kept_for_the_end_of_the_process(pytester):
    """What Python keeps to its end it takes down last and slowly: pytest's configuration is not among it."""
    pytester.makepyfile(test_it="def test_it(): pass")
    code = (
        "import gc, sys, pytest, weakref; pytest.main(sys.argv[1:]);"
        "config = [weakref.ref(each) for each in gc.get_objects() if isinstance(each, pytest.Config)];"
        "imported = ('_pytest', 'pytest', 'pytest_llm_usage', 'test_it');"
        "[sys.modules.pop(name) for name in [*sys.modules] if name.partition('.')[0] in imported];"
        "del pytest; gc.collect(); gc.collect();"
        "print(len(config), [each() for each in config])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # What other plugins keep is theirs.
    others = sorted({each.name for each in entry_points(group="pytest11")} - {"llm_usage"})
    command = [sys.executable, "-c", code, "-q", *(part for name in others for part in ("-p", f"no:{name}"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.splitlines()[-1] == "1 [None]", done.stdout + done.stderr


def test_nothing_of_ours_is_in_use_when_python_ends(pytester):
    """What Python still uses then (finders, what is registered for forks) it keeps with all that this imports."""
    pytester.makepyfile(test_it="def test_it(): pass")
    code = (
        "import atexit, sys, types, pytest\n"
        "def left():\n"
        "    finders = [type(each).__name__ for each in sys.meta_path if type(each).__module__.startswith('pytest_llm_usage')]\n"
        "    told = vars(sys.modules['pytest_llm_usage.fork_hooks']).values()\n"
        "    print(finders, sorted(each.__name__ for each in told if isinstance(each, types.ModuleType)))\n"
        "atexit.register(left)\n"
        "pytest.main(sys.argv[1:])\n"
    )
    # Loaded as users' pytest loads it; only so does pytest find it as a plugin whose modules it rewrites.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-c", code, "-q"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.splitlines()[-1] == "[] ['os', 'threading']", done.stdout + done.stderr
