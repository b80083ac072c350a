"""Tests that each replay one recorded stream, against pytest-recording plus `get_usage_metadata_callback`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.measure import SUITES, Comparison, Seconds, alternate, run_pytest

CHUNKS = 64


def compare(tests: int, rounds: int) -> list[Comparison]:
    """The comparison of `tests` replays of a stream of 64 chunks; set-up and tear-down of the tests are included."""
    with suite() as folder:
        sides = alternate(
            {
                # Each side with the plugin that it needs, and without the other's fixtures around every test.
                "ours": lambda: run(folder, tests, "test_ours.py", "-p", "no:recording"),
                "other": lambda: run(folder, tests, "test_other.py", "-p", "no:llm_usage"),
            },
            rounds,
        )
    return [Comparison(f"{tests} replays of {CHUNKS} chunks", sides["ours"]["tests"], sides["other"]["tests"], 1.0)]


@contextmanager
def suite() -> Iterator[Path]:
    """A folder with the tests of both sides and their cassettes."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        shutil.copytree(SUITES / "replay", folder, dirs_exist_ok=True)
        for module in ("test_ours", "test_other"):
            (folder / "cassettes" / module).mkdir(parents=True)
            (folder / "cassettes" / module / "stream.yaml").write_text(yaml.safe_dump(_cassette()))
        yield folder


def run(folder: Path, tests: int, *arguments: str) -> Seconds:
    """The times of one run of the suite, on one side."""
    result = folder / "seconds.json"
    environment = {"BENCHMARK_TESTS": str(tests), "BENCHMARK_RESULT": str(result), "OPENAI_API_KEY": "none"}
    run_pytest([*arguments], folder, environment)
    return json.loads(result.read_text())


def _cassette() -> dict[str, object]:
    """A recorded stream in vcrpy's format."""
    words = [{"role": "assistant", "content": ""}, *({"content": f" word{n}"} for n in range(CHUNKS - 3)), {}]
    chunks = [_chunk([{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]) for delta in words]
    chunks.append(_chunk([], {"prompt_tokens": 11, "completion_tokens": CHUNKS, "total_tokens": CHUNKS + 11}))
    events = [*(json.dumps(chunk) for chunk in chunks), "[DONE]"]
    body = {
        "model": "gpt-4o-mini-2024-07-18",
        "stream": True,
        "messages": [{"content": "Tell me a long story", "role": "user"}],
        "stream_options": {"include_usage": True},
    }
    request = {
        "method": "POST",
        "uri": "https://api.openai.com/v1/chat/completions",
        "body": json.dumps(body),
        "headers": {"content-type": ["application/json"]},
    }
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"], "date": ["Thu, 01 Aug 2024 09:00:00 GMT"]},
        "body": {"string": "".join(f"data: {event}\n\n" for event in events)},
    }
    return {"version": 1, "interactions": [{"request": request, "response": response}]}


def _chunk(choices: list[object], usage: dict[str, int] | None = None) -> dict[str, object]:
    return {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion.chunk",
        "created": 1722502800,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": choices,
        "usage": usage,
    }
