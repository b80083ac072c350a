"""A newcomer's first day, typed command by command: an agent with a tool and streams, retrieval with embeddings, a raw SDK.

In a folder of its own, with what is installed and nothing of this repository; a server on loopback is the provider. `make wheel`
walks it with the wheel alone.
"""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

APP = '''
import openai
from langchain.agents import create_agent
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

PROMPT = "Answer with the tool."
MODEL = "gpt-4o-mini"


def speed(bird: str) -> str:
    """The speed of a bird."""
    return "389 km/h"


def ask_agent(question):
    agent = create_agent(ChatOpenAI(model=MODEL, stream_usage=True), [speed], system_prompt=PROMPT)
    messages = {"messages": [("user", question)]}
    return [step for step in agent.stream(messages, stream_mode="messages")]


def find(question):
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    store = InMemoryVectorStore.from_texts(["The falcon is the fastest bird."], embeddings)
    return store.similarity_search(question, k=1)[0].page_content


def summarize(text):
    client = openai.OpenAI()
    messages = [{"role": "user", "content": f"Summarize: {text}"}]
    return client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content
'''
TESTS = """
from app import ask_agent, find, summarize


def test_agent(llm_usage):
    assert ask_agent("How fast is a falcon?")
    assert len(llm_usage.calls) == 2


def test_retrieval(llm_usage):
    assert "falcon" in find("Which bird is the fastest?")


def test_raw_sdk(llm_usage):
    assert summarize("The falcon is the fastest bird.")
"""


class Provider(BaseHTTPRequestHandler):
    """OpenAI's API as far as the project uses it: the first answer to an agent asks for its tool."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self):
        Provider.asked += 1
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": i, "embedding": [0.5, 0.5]} for i in range(len(body["input"]))]
            usage = {"prompt_tokens": 8, "total_tokens": 8}
            return self.answer({"object": "list", "data": data, "model": body["model"], "usage": usage})
        call = {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "speed", "arguments": '{"bird": "falcon"}'},
        }
        wants_tool = "tools" in body and body["messages"][-1]["role"] != "tool"
        message = {"role": "assistant", "content": None if wants_tool else "389 km/h"}
        message |= {"tool_calls": [call]} if wants_tool else {}
        reason = "tool_calls" if wants_tool else "stop"
        sent = len(json.dumps(body["messages"]))
        usage = {"prompt_tokens": sent, "completion_tokens": 10, "total_tokens": sent + 10}
        head = {"id": "1", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return self.answer(head | {"object": "chat.completion", "choices": [choice], "usage": usage})
        head["object"] = "chat.completion.chunk"
        chunks = [
            head | {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            head | {"choices": [], "usage": usage},
        ]
        text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        return self.answer(text, "text/event-stream")

    def answer(self, value, content_type="application/json"):
        content = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Provider.asked = 0
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_the_first_day(provider, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_app.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    def pytest_prints(*arguments, key=""):
        """What a command prints, and how many requests it sent."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_", "GITHUB_"))
        }
        own |= {"OPENAI_BASE_URL": provider, "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}
        own |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ({"OPENAI_API_KEY": key} if key else {})
        own.pop("CI", None)
        before = Provider.asked
        command = [sys.executable, "-m", "pytest", "-p", "llm_usage", "-p", "syrupy", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr, Provider.asked - before, done.returncode

    # Record with a key.
    printed, sent, status = pytest_prints("--llm-usage-record=once", key="of the newcomer")
    assert (status, sent) == (0, 5), printed
    assert re.search(r"^test_app.py \.\.\. +\d+ tokens \$0\.000\d\d \[100%\]$", printed, re.MULTILINE), printed
    assert re.search(r"^gpt-4o-mini-2024-07-18 +2 ", printed, re.MULTILINE), printed
    assert re.search(r"^text-embedding-3-small \(http\) +2 ", printed, re.MULTILINE), printed
    assert "of the newcomer" not in "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))

    # Replay without one; the run is kept to compare with.
    printed, sent, status = pytest_prints("--llm-usage-json=main.json")
    assert (status, sent) == (0, 0), printed
    assert "tokens $" not in printed

    # Break a prompt: the failure says what changed and what it costs, the end says how to mend it.
    (tmp_path / "app.py").write_text(
        APP.replace("Answer with the tool.", "Answer with the tool, in one short sentence.")
    )
    printed, sent, status = pytest_prints()
    assert (status, sent) == (1, 0), printed
    assert "  messages[0].content   'Answer with the tool.'\n" in printed
    assert "-> 'Answer with the tool, in one short sentence.'\n" in printed
    assert 'Record again:  pytest "test_app.py::test_agent" --llm-usage-record=rewrite\n' in printed
    assert "1 failed, 2 passed" in printed

    # What will it cost?
    printed, sent, status = pytest_prints("--llm-usage-plan")
    assert (status, sent) == (1, 0), printed
    assert "Plan: recording 1 stale test again\n" in printed
    assert re.search(r"^test_app.py::test_agent  gpt-4o-mini-2024-07-18 +2  0\.000\d\d ", printed, re.MULTILINE), (
        printed
    )
    assert '\nNothing was sent. Record them:\n  pytest "test_app.py::test_agent" --llm-usage-record=stale\n' in printed

    # More than there is: nothing is sent.
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    printed, sent, status = pytest_prints(
        "--llm-usage-record=stale", "--session-max-cost=0.00001", key="of the newcomer"
    )
    assert (status, sent) == (1, 0), printed
    assert "(--session-max-cost)" in printed
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before

    # Record what is stale, and nothing else.
    printed, sent, status = pytest_prints("--llm-usage-record=stale", "--session-max-cost=0.01", key="of the newcomer")
    assert (status, sent) == (0, 2), printed
    assert "Recorded again: 1 test (--llm-usage-record=stale)\n  test_app.py::test_agent\n" in printed
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert changed == ["test_agent.yaml"]

    # The gate.
    printed, sent, status = pytest_prints("--llm-usage-compare=main.json", "--llm-usage-fail-on=tokens:+1%")
    assert (status, sent) == (1, 0), printed
    assert "\nFAILED llm-usage: 1 test and all tests together over tokens:+1%\n" in printed
    assert "3 passed" in printed

    # The budget of the run.
    printed, sent, status = pytest_prints("--session-max-tokens=100")
    assert (status, sent) == (1, 0), printed
    assert re.search(
        r"^FAILED llm-usage: LLM budget exceeded: .* 2 tests not run: session budget$", printed, re.MULTILINE
    )
