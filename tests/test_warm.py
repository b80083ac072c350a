"""Forks that stand for processes from scratch: they get what those get, and end as those end."""

import os
import subprocess
import sys

import pytest
import warm


@pytest.fixture(scope="module", params=["cold", "warm"])
def python(request):
    """What runs Python: the tests say the same of both."""
    if request.param == "cold":
        return [sys.executable]
    if sys.platform != "linux":
        pytest.skip("nothing forks here")
    command = warm.SERVER.command()
    assert len(command) > 1
    return command


def run(python, *arguments, **options):
    return subprocess.run([*python, *arguments], capture_output=True, text=True, check=False, timeout=60, **options)


def test_code_gets_its_arguments_streams_folder_and_environment(python, tmp_path):
    code = "import os, sys; print(sys.argv, sys.path[0], sys.stdin.read(), os.getcwd(), os.environ['OF_A_TEST'], sys.path[1])"
    environment = {**os.environ, "OF_A_TEST": "bird", "PYTHONPATH": str(tmp_path / "first")}
    done = run(python, "-c", code, "one", "two", input="asked", cwd=tmp_path, env=environment)
    assert done.stdout == f"['-c', 'one', 'two']  asked {tmp_path} bird {tmp_path / 'first'}\n"


def test_a_module_is_run_in_its_folder(python, tmp_path):
    (tmp_path / "its_own.py").write_text("import sys\nprint(__name__, sys.path[0], sys.argv[1:], file=sys.stderr)")
    assert run(python, "-m", "its_own", "-x", cwd=tmp_path).stderr == f"__main__ {tmp_path} ['-x']\n"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('why')", 1, "why"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import atexit; atexit.register(print, 'last')", 0, ""),
    ],
)
def test_it_ends_as_its_code_does(python, code, status, error):
    done = run(python, "-c", code)
    assert done.returncode == status
    assert done.stderr.strip().endswith(error)
    assert done.stdout == ("last\n" if "atexit" in code else "")


def test_what_is_killed_runs_no_longer(python):
    code = "import sys; print('begun', flush=True); sys.stdin.read()"
    with subprocess.Popen([*python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.kill()
        process.wait()
        # Its end of the pipe is closed when it is gone.
        assert process.stdout.read() == ""


def test_a_fork_has_one_thread_and_no_session_of_pytest(python):
    code = (
        "import threading, pytest_llm_usage.fork_hooks as forks; from pathlib import Path;"
        "print(threading.active_count(), len([*Path('/proc/self/task').iterdir()]), forks._listeners)"
    )
    if sys.platform == "linux":
        assert run(python, "-c", code).stdout == "1 1 []\n"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["-I"], {}),
        (["-X", "dev"], {}),
        ([], {"PYTHONHASHSEED": "7"}),
        ([], {"PYTHONWARNINGS": "error"}),
        ([], {"LC_ALL": "C"}),
    ],
)
def test_another_interpreter_is_no_fork(python, arguments, variables):
    code = "import sys; print('openai' in sys.modules, sys.flags.isolated, sys.flags.dev_mode, sys.flags.hash_randomization, sys.warnoptions)"
    command = [*arguments, "-c", code]
    environment = {**os.environ, **variables}
    assert run(python, *command, env=environment).stdout == run([sys.executable], *command, env=environment).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="nothing forks here")
def test_a_fork_has_imported_what_costs():
    code = "import sys; print(*sorted({'pytest', 'openai', 'langchain_core', 'vcr'} & {*sys.modules}))"
    assert run(warm.SERVER.command(), "-c", code).stdout == "langchain_core openai pytest vcr\n"
