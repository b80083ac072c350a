"""A provider is a row and a host: added in a copy of the package, it is read without another line of code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest_llm_usage

ROW = """
    Flavour(
        name="acme-answers",
        home="acme",
        path=r"/answers/(?P<model>[^/]+)$",
        request=("question",),
        sources=(Source(("bill",), UsageSchema(input=("in",), output=("out",))),),
    ),
"""
READ = """
import json
from pytest_llm_usage import wire

call = wire.read(
    wire.Exchange(
        "POST",
        "https://api.acme.example/answers/acme-1",
        request_body=json.dumps({"question": "hi"}).encode(),
        response_body=json.dumps({"id": "a-1", "bill": {"in": 12, "out": 3}}).encode(),
    )
)
print(json.dumps(call and [call.provider, call.flavour, call.model, call.response_id, call.usage.to_dict()]))
"""


def insert(file, after, text):
    content = file.read_text(encoding="utf-8")
    assert content.count(after) == 1
    file.write_text(content.replace(after, after + text), encoding="utf-8")


def read_with(folder):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", READ], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_a_row_and_a_host_are_all_that_a_provider_takes(tmp_path):
    package = tmp_path / "pytest_llm_usage"
    shutil.copytree(Path(pytest_llm_usage.__file__).parent, package)
    assert read_with(tmp_path) is None

    insert(package / "wire" / "providers" / "others.py", "FLAVOURS: tuple[Flavour, ...] = (", ROW)
    insert(
        package / "wire" / "hosts.py",
        "ENDPOINTS: tuple[tuple[str, str], ...] = (",
        '\n    ("api.acme.example/*", "acme"),',
    )

    assert read_with(tmp_path) == [
        "acme",
        "acme-answers",
        "acme-1",
        "a-1",
        {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
    ]
