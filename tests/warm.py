"""Processes that have pytest and the providers' libraries imported before they start: forks of one that does nothing else.

A worker of xdist spends two seconds on imports before it runs the first test of a project of three lines. `SERVER.command()` is what to
run in the place of `sys.executable`: a small program, which hands its arguments, environment, folder and streams to the server, waits for
the fork that runs them, and ends as it ended. The fork is a process of its own, as the interpreter is after these imports: no session of
pytest ran in the server, and it has one thread.

What a fork cannot do as a process from scratch does (options of Python, other locales, another hash seed, coverage, systems that do
not fork) is run by `sys.executable`. What tests start themselves is, too: `runpytest_subprocess` and `subprocess`. So a test of what
happens while a library is imported starts a process of its own.
"""

import atexit
import contextlib
import gc
import importlib
import io
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from importlib.metadata import entry_points
from pathlib import Path

#: What the plugin imports later, with what that imports: every run of the suite needs it, in this process and in forks. (Not
#: `pytest_llm_usage.langchain`: to import it is to attach it to LangChain.)
OF_THE_PLUGIN = (
    "genai_prices",
    "pytest_llm_usage.cassettes.observer",
    "pytest_llm_usage.cassettes.open_cassette",
    "pytest_llm_usage.http_clients.observer",
    "pytest_llm_usage.pricing",
    "pytest_llm_usage.report.html",
    "pytest_llm_usage.report.terminal",
    "pytest_llm_usage.report.write",
    "pytest_llm_usage.tracker.sink",
)
#: What every fork has imported: pytest with the plugins of `conftest.PLUGINS`, and what the fakes and the plugin import of others.
IMPORTS = (
    "pytest",
    "xdist.plugin",
    "xdist.remote",
    "xdist.workermanage",
    "pytest_rerunfailures",
    "pytest_asyncio.plugin",
    "anyio.pytest_plugin",
    "_pytest.faulthandler",
    "_pytest.stepwise",
    "_pytest.unraisableexception",
    "asyncio",
    "http.server",
    "pdb",
    "tomllib",
    "pytest_llm_usage.plugin",
    *OF_THE_PLUGIN,
    "genai_prices.data",
    "genai_prices.data_units",
    "langchain_core.language_models.chat_models",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.stdout",
    "openai.resources.chat",
    "openai.resources.responses",
    "vcr",
    "pytest_llm_usage.http_clients.aiohttp",
    "pytest_llm_usage.http_clients.http_client",
    "pytest_llm_usage.http_clients.httpx",
    "pytest_llm_usage.http_clients.requests",
    "pytest_llm_usage.http_clients.urllib3",
)
#: Variables that Python reads when it starts, by prefix: a fork cannot get other values of them.
INTERPRETER_VARIABLES = ("LANG", "LANGUAGE", "LC_", "TZ", "PYTHON", "MALLOC", "LD_", "COV")
#: Those of them that a fork can get nevertheless.
PER_PROCESS = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")

#: Imports as little as it can: it is started for every process.
CLIENT = """
import _socket, marshal, os, sys
path, real, *arguments = sys.argv[1:]
def cold(): os.execv(real, [real, *arguments])
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try: server.connect(path)
except OSError: cold()
asked = marshal.dumps((arguments, dict(os.environ), os.getcwd()))
fds = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
server.sendmsg([len(asked).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
server.sendall(asked)
pid = server.recv(4)
if len(pid) < 4: cold()
pid = int.from_bytes(pid, "big")
nothing = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2): os.dup2(nothing, number)
import _signal
for number in (_signal.SIGTERM, _signal.SIGINT): _signal.signal(number, lambda number, frame: os.kill(pid, number))
status = server.recv(4)
status = int.from_bytes(status, "big") if len(status) == 4 else 256
if os.WIFSIGNALED(status):
    _signal.signal(os.WTERMSIG(status), _signal.SIG_DFL) if os.WTERMSIG(status) != _signal.SIGKILL else None
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.WEXITSTATUS(status))
"""


class Server:
    """The server of this process, as its tests see it: started for the first of them that asks."""

    def __init__(self):
        self._command = None
        self._process = None

    def command(self):
        """What to run in the place of `sys.executable`."""
        if self._command is None:
            self._command = self._start() or [sys.executable]
        return list(self._command)

    def _start(self):
        if sys.platform != "linux" or any(name.startswith("COV") for name in os.environ):
            return None
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        path = f"{self._folder.name}/socket"
        if len(path) > 100:  # sockets have short names
            self._folder.cleanup()
            self._folder = tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp")
            path = f"{self._folder.name}/socket"
        client = Path(self._folder.name) / "client.py"
        client.write_text(CLIENT, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        command = [sys.executable, "-I", "-S", str(client), path, sys.executable]
        # It ends when its standard input does: with this process, however that ends.
        self._process = subprocess.Popen(
            [sys.executable, __file__, path, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        atexit.register(self.stop)
        if self._process.stdout.readline() != b"ready\n":
            self.stop()
            return None
        return command

    def stop(self):
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None
            self._folder.cleanup()
        self._command = None


def fork_workers(command, replace=setattr):
    """Let this process start its workers of xdist by a command in the place of `sys.executable`."""
    try:
        from execnet import gateway_io
    except ImportError:
        return  # no xdist is installed, and so there are no workers

    cold = gateway_io.popen_args
    replace(gateway_io, "popen_args", lambda spec: [*command(), *cold(spec)[1:]])


#: One for each process of the suite.
SERVER = Server()


def _serve(path):
    _, *paths = sys.path
    base = [entry for entry in paths if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    _import()
    if len([*Path("/proc/self/task").iterdir()]) != 1:
        sys.exit("A library has started a thread: it would be missing in the forks")
    gc.collect()
    gc.freeze()
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    os.write(1, b"ready\n")
    forks = {}  # the connection of a client → the fork it waits for
    while True:
        ready, _, _ = select.select([0, listener, woken, *forks], [], [])
        if 0 in ready:
            for pid in forks.values():
                os.kill(pid, signal.SIGKILL)
            return None
        for client in [client for client in ready if client in forks]:
            # The client was killed: so is what it stands for.
            os.kill(forks[client], signal.SIGKILL)
            os.waitpid(forks.pop(client), 0)
            client.close()
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            for client, pid in [*forks.items()]:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del forks[client]
                    with contextlib.suppress(OSError):
                        client.sendall(struct.pack(">I", status))
                    client.close()
        if listener in ready:
            client, _ = listener.accept()
            asked = _asked(client)
            if asked is None:
                client.close()
                continue
            fds, arguments, environment, folder = asked
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for other in (listener, client, *forks):
                    other.close()
                for number in (woken, wakes):
                    os.close(number)
                return fds, arguments, environment, folder, base
            for number in fds:
                os.close(number)
            forks[client] = pid
            client.sendall(struct.pack(">I", pid))


def _import():
    from _pytest.assertion import install_importhook
    from _pytest.config import get_config

    # As pytest imports its plugins: it warns of one that was imported otherwise.
    hook = install_importhook(get_config())
    hook.mark_rewrite("vcr.matchers", *(entry.module.partition(".")[0] for entry in entry_points(group="pytest11")))
    for name in IMPORTS:
        with contextlib.suppress(ImportError):  # an older release has it elsewhere
            importlib.import_module(name)
    sys.meta_path.remove(hook)


def _asked(client):
    """What a client wants to be run; None if it has to be a process from scratch."""
    import marshal

    with contextlib.suppress(OSError, EOFError, ValueError):
        head, fds, _, _ = socket.recv_fds(client, 4, 3)
        length = struct.unpack(">I", head)[0]
        with client.makefile("rb") as stream:
            arguments, environment, folder = marshal.loads(stream.read(length))

        def own(variables):
            return {
                name: value
                for name, value in variables.items()
                if name.startswith(INTERPRETER_VARIABLES) and name not in PER_PROCESS
            }

        plain = [argument for argument in arguments if argument != "-u"]
        if own(environment) == own(os.environ) and plain[:1] in (["-c"], ["-mpytest"], ["-m"]):
            return fds, arguments, environment, folder
        for number in fds:
            os.close(number)
    return None


def _become(fds, arguments, environment, folder, base):
    """The process that was asked for: what an interpreter sets up before it runs the first line. Returns what runs it."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    unbuffered = arguments[0] == "-u" or bool(environment.get("PYTHONUNBUFFERED"))
    arguments = arguments[1:] if arguments[0] == "-u" else arguments
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = open(number, "rb" if number == 0 else "wb", -1 if number == 0 or not unbuffered else 0, closefd=False)  # noqa: SIM115
        new = io.TextIOWrapper(
            raw, old.encoding, old.errors, line_buffering=number == 2 or raw.isatty(), write_through=unbuffered
        )
        new.mode = "r" if number == 0 else "w"
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    paths = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    what, *rest = arguments
    if what == "-c":
        _set_path("", *paths, *base)
        sys.argv[:] = ["-c", *rest[1:]]
        code = compile(rest[0], "<string>", "exec")
        return lambda: exec(code, main.__dict__)
    name, *rest = [what[2:], *rest] if what != "-m" else rest
    _set_path(str(Path.cwd()), *paths, *base)
    sys.argv[:] = [name, *rest]
    return lambda: runpy.run_module(name, run_name="__main__", alter_sys=True)


def _set_path(*entries):
    sys.path[:] = entries
    if "xdist.plugin" in sys.modules:  # gives its workers what it found when it was imported
        sys.modules["xdist.plugin"]._sys_path[:] = entries


def _run(function):
    """Run it, and end as the interpreter would."""
    status = 0
    try:
        function()
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status & 255)


if __name__ == "__main__":
    path, *command = sys.argv[1:]
    asked = _serve(path)
    if asked:
        fork_workers(lambda: command)
        _run(_become(*asked))
    os._exit(0)
