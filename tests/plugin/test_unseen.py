"""What cannot be seen is named in the usage section: gRPC, other processes."""

import importlib.util
import os

import pytest
from plugin.printed import section

GEMINI = "generativelanguage.googleapis.com"


def not_seen(result):
    """The lines that name it; long ones are wrapped."""
    paragraphs = (" ".join(part.split()) for part in "\n".join(section(result)).split("\n\n"))
    return [text for paragraph in paragraphs for text in paragraph.split("not seen: ")[1:]]


@pytest.fixture
def project(pytester, monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    pytester.makeini("[pytest]\nfilterwarnings = ignore\n")

    def run(source, *arguments):
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


#: Calls that fail without a look-up of a name: they are sent to a proxy that is not there.
GRPC = """
    import asyncio
    import os

    import grpc
    import pytest

    os.environ["grpc_proxy"] = "http://127.0.0.1:9"
    METHOD = "/google.ai.generativelanguage.v1beta.GenerativeService/GenerateContent"

    def test_sync():
        with grpc.insecure_channel("{host}:443") as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(METHOD)(b"", timeout=5)

    def test_stream():
        with grpc.insecure_channel("{host}:443") as channel, pytest.raises(grpc.RpcError):
            list(channel.unary_stream(METHOD)(b"", timeout=5))

    async def ask():
        async with grpc.aio.insecure_channel("{host}:443") as channel:
            with pytest.raises(grpc.RpcError):
                await channel.unary_unary(METHOD)(b"", timeout=5)

    def test_async():
        asyncio.run(ask())
"""


@pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="grpcio is not installed")
@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--max-tokens=10",)], ids=["alone", "xdist", "budget"])
def test_grpc_to_a_host_of_models_is_named(project, options):
    result = project(GRPC.format(host=GEMINI), *options)

    result.assert_outcomes(passed=3)
    (line,) = not_seen(result)
    assert line.startswith(f"gRPC to {GEMINI} in test_it.py::test_")
    assert line.endswith(" and 2 more tests")


@pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="grpcio is not installed")
@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("spanner.googleapis.com", ()),
        (GEMINI, ("--llm-usage-report=off",)),
        (GEMINI, ("-o", "llm_usage_track=langchain")),
    ],
    ids=["another-host", "no-report", "langchain-only"],
)
def test_other_grpc_is_not_named(project, host, options):
    result = project(GRPC.format(host=host), *options)

    result.assert_outcomes(passed=3)
    assert "not seen" not in result.stdout.str()


PROCESSES = """
    import asyncio
    import multiprocessing
    import os
    import subprocess
    import sys

    COMMAND = [sys.executable, "-c", ""]

    def test_inherits(monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-dummy")
        subprocess.run(COMMAND, check=True)

    def test_is_given():
        subprocess.run(COMMAND, check=True, env={**os.environ, "OPENAI_API_KEY": "sk-dummy"})

    def test_async():
        async def run():
            process = await asyncio.create_subprocess_exec(*COMMAND, env={**os.environ, "OPENAI_API_KEY": "sk-dummy"})
            await process.wait()
        asyncio.run(run())

    def test_spawned(monkeypatch):
        monkeypatch.setenv("GROQ_API_KEY", "gsk-dummy")
        process = multiprocessing.get_context("spawn").Process(target=os.getpid)
        process.start()
        process.join()
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_subprocess_with_a_providers_key_is_named(project, options):
    result = project(PROCESSES, *options)

    result.assert_outcomes(passed=4)
    by_openai, by_groq = sorted((line.strip() for line in not_seen(result)), key=lambda line: "GROQ" in line)
    assert by_openai.startswith("a subprocess (python") and by_openai.endswith(" and 2 more tests")
    assert " with OPENAI_API_KEY in test_it.py::test_" in by_openai
    assert by_groq == "a subprocess (python) with GROQ_API_KEY in test_it.py::test_spawned"


def test_other_subprocesses_are_not_named(project, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-dummy")
    # xdist starts its workers, and the run is described by what git says: no test does either.
    result = project(
        """
        import os
        import subprocess
        import sys

        def test_without_a_key():
            environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
            subprocess.run([sys.executable, "-c", ""], check=True, env=environment)

        def test_asks_the_machine():
            subprocess.run(["uname"], check=True)
        """,
        "-n",
        "2",
        "--llm-usage-json=run.json",
    )

    result.assert_outcomes(passed=2)
    assert "not seen" not in result.stdout.str()


def test_a_command_that_is_not_there_fails_as_ever(project):
    result = project("""
        import subprocess
        import pytest

        def test_it(monkeypatch):
            monkeypatch.setenv("OPENAI_API_KEY", "sk-dummy")
            with pytest.raises(FileNotFoundError):
                subprocess.run(["no-such-program"])
    """)

    result.assert_outcomes(passed=1)
    assert "not seen" not in result.stdout.str()
