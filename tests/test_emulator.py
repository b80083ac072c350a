"""Against an emulator of the providers' APIs: LangChain and the raw SDKs side by side in one test, live and replayed.

The emulator is npm's `@copilotkit/aimock`, on loopback. Where it departs from a provider (Bedrock's streams, which boto3
does not take; usage in the streams of Groq and Mistral; Ollama's counts; Vertex' paths) or counts what it likes
(embeddings, reranking) a server of the tests stands in.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from counting_server import serving
from emulated_clients import STREAMED

AIMOCK = "@copilotkit/aimock@1.43.0"
INSTALLED = Path(__file__).parents[1] / "build" / "aimock"
QUESTIONS = 12

pytestmark = pytest.mark.skipif(
    find_spec("langchain_groq") is None or find_spec("mistralai") is None, reason="the providers' clients are not here"
)

FLAVOURS = (
    "anthropic-messages",
    "azure-openai-chat",
    "cohere-chat",
    "gemini",
    "openai-chat",
    "openai-responses",
)

OF_THE_TESTS = (
    "azure-openai-embeddings",
    "bedrock-converse",
    "bedrock-invoke",
    "cohere-embed",
    "cohere-rerank",
    "gemini-embed",
    "groq-chat",
    "mistral-chat",
    "ollama-chat",
    "ollama-embed",
    "ollama-generate",
    "openai-embeddings",
    "vertex-gemini",
)

SIDE_BY_SIDE = """
    import os

    import pytest
    from emulated_clients import STREAMED, counted, open_stream, ways

    pytestmark = pytest.mark.filterwarnings("ignore")

    URL = os.environ["EMULATOR_URL"]
    FLAVOURS = os.environ["EMULATOR_FLAVOURS"].split()

    def told(call):
        return call.source, call.usage.input_tokens, call.usage.output_tokens, call.usage.total_tokens

    @pytest.mark.parametrize("flavour", FLAVOURS)
    def test_each_way_is_one_call(flavour, llm_usage):
        expected = []
        for number, way in enumerate(ways(flavour, URL)):
            way.ask(f"fastest bird? [{100 + number} {10 + number}]")
            expected.append((way.source, *counted(flavour, 100 + number, 10 + number)))
        assert [told(call) for call in llm_usage.calls] == expected
        assert {call.status for call in llm_usage.calls} == {"ok"}

    @pytest.mark.parametrize("flavour", [flavour for flavour in FLAVOURS if flavour in STREAMED])
    def test_the_sdk_while_a_stream_is_open(flavour, llm_usage):
        stream = open_stream(flavour, URL, "fastest bird? [100 10]")
        next(stream)
        raw = next(way for way in ways(flavour, URL) if way.source == "http")
        raw.ask("fastest bird? [101 11]")
        list(stream)
        expected = [("langchain", *counted(flavour, 100, 10)), ("http", *counted(flavour, 101, 11))]
        assert [told(call) for call in llm_usage.calls] == expected
"""


@pytest.fixture(scope="session")
def aimock() -> Path:
    """The emulator's command, installed once into a folder that git ignores."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here, to install the emulator")
    command = INSTALLED / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    if not command.is_file():
        INSTALLED.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=INSTALLED.parent) as folder:
            options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--loglevel=error"]
            command_line = ["npm", "install", *options, "--prefix", folder, AIMOCK]
            try:
                installed = subprocess.run(command_line, check=False, capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired:
                pytest.skip("npm took more than 60 seconds to install the emulator")
            if installed.returncode:
                pytest.skip(f"npm could not install the emulator: {installed.stderr.strip()[-200:]}")
            if not INSTALLED.exists():  # another worker may have been faster
                Path(folder).rename(INSTALLED)
                Path(folder).mkdir()
    return command


class Emulator:
    """The running emulator."""

    def __init__(self, url: str) -> None:
        self.url = url

    def asked(self) -> int:
        """How many requests have reached it."""
        with urllib.request.urlopen(f"{self.url}/v1/_requests") as answer:
            return len(json.load(answer))


@contextmanager
def emulating(command: Path, folder: Path) -> Iterator[Emulator]:
    """Runs the emulator; question `number` is answered with a usage of its own."""
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": [_fixture(number) for number in range(QUESTIONS)]}))
    port = _free_port()
    arguments = ["--port", str(port), "--fixtures", str(fixtures), "--log-level", "warn", "--strict"]
    with subprocess.Popen(["node", str(command), *arguments]) as process:
        try:
            emulator = Emulator(f"http://127.0.0.1:{port}")
            _wait_for(emulator)
            yield emulator
        finally:
            process.terminate()


def _fixture(number: int) -> dict[str, Any]:
    sent, received = 100 + number, 10 + number
    usage = {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
    usage |= {"input_tokens": sent, "output_tokens": received}
    response = {"content": "The peregrine falcon, in a dive.", "usage": usage}
    return {"match": {"userMessage": f"[{sent} {received}]"}, "response": response}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(emulator: Emulator) -> None:
    for _ in range(200):
        try:
            emulator.asked()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the emulator did not start")


def _run(pytester: pytest.Pytester, *arguments: str) -> dict[str, int]:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    return result.parseoutcomes()


def test_langchain_and_the_sdks_side_by_side(
    pytester: pytest.Pytester, forked: None, monkeypatch: pytest.MonkeyPatch, aimock: Path
) -> None:
    """Each call is counted once, by the right source, with the same usage live and replayed without the emulator."""
    pytester.makepyfile(SIDE_BY_SIDE)
    monkeypatch.setenv("EMULATOR_FLAVOURS", " ".join(FLAVOURS))
    # From 3.6 on Google's SDK asks /v1/models; aimock 1.43 answers at /v1beta/models alone.
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "beta")
    tests = len(FLAVOURS) + len(STREAMED.intersection(FLAVOURS))
    with emulating(aimock, pytester.path) as emulator:
        monkeypatch.setenv("EMULATOR_URL", emulator.url)
        assert _run(pytester, "--llm-usage-record=once") == {"passed": tests}
        assert emulator.asked() == _recorded(pytester.path)

    # Now there is nobody to ask.
    assert _run(pytester, "--llm-usage-record=once") == {"passed": tests}


def _recorded(folder: Path) -> int:
    """How many interactions all cassettes hold."""
    return sum(len(re.findall(r"^- request:", file.read_text(), re.MULTILINE)) for file in folder.rglob("*.yaml"))


def test_the_same_of_a_server_of_the_tests(
    pytester: pytest.Pytester, forked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(SIDE_BY_SIDE)
    monkeypatch.setenv("EMULATOR_FLAVOURS", " ".join(OF_THE_TESTS))
    tests = len(OF_THE_TESTS) + len(STREAMED.intersection(OF_THE_TESTS))
    with serving() as provider:
        monkeypatch.setenv("EMULATOR_URL", provider.url)
        assert _run(pytester, "--llm-usage-record=once") == {"passed": tests}
        recorded = len(provider.asked)
        assert recorded == _recorded(pytester.path)

        assert _run(pytester) == {"passed": tests}
        assert len(provider.asked) == recorded
