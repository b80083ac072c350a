"""Whatever comes in, nothing but our own errors comes out: no crash, no hang, no memory beyond the limit.

Not a part of the suite: `make fuzz` runs it for ten minutes, the CI for one. Each target takes a good input, breaks it in
a few places, and checks what must still hold. A failure prints the smallest input that fails, and ends with status 1.

    python tests/fuzz.py [SECONDS]
"""

from __future__ import annotations

import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "wire"))

from strategies import ledgers
from test_robustness import ENCODERS, WHOLE, with_body

from pytest_llm_usage import wire
from pytest_llm_usage.budget.amounts import parse_count
from pytest_llm_usage.budget.failure import call_lines
from pytest_llm_usage.cassettes import Redaction, reader, writer
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.sanitize import sanitize
from pytest_llm_usage.compare import Tolerances, parse_model_names
from pytest_llm_usage.credentials.mask import mask_text
from pytest_llm_usage.errors import LLMUsageError, SecretError
from pytest_llm_usage.ledger import Call, Ledger
from pytest_llm_usage.pricing import PriceBook
from pytest_llm_usage.report.comparison import FailOn
from pytest_llm_usage.report.data import read_run, rendered, run_data
from pytest_llm_usage.report.html import page
from pytest_llm_usage.report.markdown import markdown
from pytest_llm_usage.report.run import Run, TestRecord
from pytest_llm_usage.report.terminal import Screen, section_lines
from pytest_llm_usage.settings import parsers
from pytest_llm_usage.usage import TokenUsage

#: What the process may take, and one example: far more than a second for each megabyte, as the machine has other work.
_MAX_MEMORY_BYTES = 4 * 2**30
_MAX_SECONDS = 20

FOLDER = Path(tempfile.mkdtemp())

CASSETTE = writer.render(
    [
        Interaction(
            Request(whole.method, whole.url, {"content-type": ["application/json"]}, whole.request_body),
            Response(200, "OK", {"date": ["Tue, 06 Jan 2026 00:00:00 GMT"]}, whole.response_body),
        )
        for whole in WHOLE.values()
    ]
)
PRICES = b"""\
[models."acme-*"]
input = 1.5
output = "2.5"
cache_read = 0.1
provider = "acme"
[price_map]
"acme-1" = { input = 0.001, output = 0.002 }
"""
_CALL = Call(
    index=0, source="langchain", provider="openai", model="gpt-4o-mini-2024-07-18", usage=TokenUsage(120, 34), status="ok"
)  # fmt: skip
_TEST = TestRecord("tests/test_a.py::test_b", Ledger((_CALL,)), Ledger())
RUN_FILE = rendered(run_data(Run(tests={("tests/test_a.py::test_b", ""): _TEST}), environment={"pytest": "9"})).encode()
LINES = [
    "5k",
    "1.5M",
    "$0.02",
    "tokens:+5%,cost:+$0.01,calls:+0",
    "2/4",
    "30d",
    "gpt-4o-* = gpt-4o",
    "field:customer",
    "input:5% ratchet",
]
#: What no count can be.
IMPOSSIBLE = ["-1", "-1000", "NaN", '"abc"', "1000.5", "[]", "{}", '"12 tokens"', "1e400", "-0.5", "Infinity"]


@st.composite
def broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """A good input with a few places cut, doubled or overwritten."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(data)))
        end = position + draw(st.integers(0, 30))
        kind = draw(st.sampled_from(["cut", "write", "double", "number"]))
        if kind == "cut":
            del data[position:end]
        elif kind == "write":
            data[position:end] = draw(
                st.binary(max_size=12) | st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace"))
            )
        elif kind == "double":
            data[position:position] = data[position:end] * draw(st.integers(1, 50))
        else:
            data[position:end] = draw(
                st.sampled_from([b"1e999", b"-1", b"null", b"9" * 600, b"NaN", b'"', b"[[", b"{", b"\\ud800"])
            )
    return bytes(data)


def fuzz_framing(data: st.DataObject) -> None:
    """Bodies in every framing and content encoding."""
    whole = WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))]
    encoding = data.draw(st.sampled_from([*ENCODERS, "gzip, br", "x-unknown"]))
    body = ENCODERS.get(encoding, lambda body: body)(data.draw(broken(whole.response_body)))
    if data.draw(st.booleans()):
        body = data.draw(broken(body))
    call = wire.read(with_body(whole, body, **{"content-encoding": encoding}))
    assert call is None or call.status == "ok" or call.note


def fuzz_usage(data: st.DataObject) -> None:
    """Members of usage objects that hold no count: the numbers are unknown, and the note says so; never lower in silence."""
    name = data.draw(st.sampled_from(sorted(WHOLE)))
    whole = WHOLE[name]
    body = whole.response_body
    count = data.draw(st.sampled_from([b"120", b"34"]))
    if name.startswith("aws") or count not in body:
        return
    impossible = data.draw(st.sampled_from(IMPOSSIBLE)).encode()
    start, _, end = body.rpartition(count)
    call = wire.read(with_body(whole, start + impossible + end))
    known = wire.read(whole).usage
    assert call is None or call.usage is None or call.usage == known or call.note, (body, impossible, call)


def fuzz_cassette(data: st.DataObject) -> None:
    """Cassette files; one that can be read is redacted, and its calls are read."""
    interactions = reader.parse(data.draw(broken(CASSETTE)))
    try:
        clean = sanitize(interactions, Redaction(), shown_path="c.yaml")
    except SecretError:
        return
    for found in clean:
        wire.read(found.exchange())
    assert reader.parse(writer.render(clean, indent_json=False)) == clean or not clean


def fuzz_run_file(data: st.DataObject) -> None:
    """Run files; one that is a run can be shown."""
    path = FOLDER / "run.json"
    path.write_bytes(data.draw(broken(RUN_FILE)))
    run = read_run(path)
    markdown(run)
    page(run)
    rendered(run)


def fuzz_prices(data: st.DataObject) -> None:
    """Price files."""
    path = FOLDER / "prices.toml"
    path.write_bytes(data.draw(broken(PRICES)))
    PriceBook.from_sources(path)


def fuzz_options(data: st.DataObject) -> None:
    """Values of options."""
    text = data.draw(broken(data.draw(st.sampled_from(LINES)).encode())).decode("utf-8", "replace")
    read: Callable[[str], object] = data.draw(
        st.sampled_from(
            [
                FailOn.parse,
                Tolerances.parse,
                lambda text: parse_count(text, "tokens"),
                lambda text: parse_model_names([text]),
                lambda text: Redaction.parse([text]),
                parsers.shard,
                parsers.days,
                parsers.path,
            ]
        )
    )
    read(text)


def fuzz_output(data: st.DataObject) -> None:
    """Names of all kinds in the terminal, in Markdown and on the page."""
    run = Run(shared=data.draw(ledgers(models=st.text(max_size=40), max_size=2)))
    for name in data.draw(st.lists(st.text(max_size=40), max_size=3, unique=True)):
        ledger = data.draw(ledgers(models=st.text(max_size=40), max_size=3))
        run.tests[name, ""] = TestRecord(name, ledger, Ledger())
        assert all(line.isprintable() for line in call_lines(ledger.calls))
    for line in section_lines(run, "calls", Screen()):
        shown = "".join(text for text, _ in line.styled())
        assert not shown.lstrip().startswith("::")
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
    written = run_data(run, environment={"pytest": "9"})
    for text in (markdown(written), page(written), rendered(written)):
        text.encode()
    shown = mask_text(data.draw(st.text(max_size=80)))
    assert mask_text(shown) == shown


TARGETS = [fuzz_framing, fuzz_usage, fuzz_cassette, fuzz_run_file, fuzz_prices, fuzz_options, fuzz_output]


def _rounds(seconds: float) -> Iterator[int]:
    ends_at = time.monotonic() + seconds
    number = random.SystemRandom().getrandbits(32)
    while time.monotonic() < ends_at:
        number += 1
        yield number


def _hung(*_: object) -> None:
    raise TimeoutError(f"an example took more than {_MAX_SECONDS} s")


def _round(target: Callable[[st.DataObject], None], number: int, counts: dict[str, int]) -> None:
    @seed(number)
    @settings(
        max_examples=100, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        counts[target.__name__] += 1
        signal.alarm(_MAX_SECONDS)
        try:
            target(data)
        except LLMUsageError as error:
            assert str(error)
        finally:
            signal.alarm(0)

    run()


def main(seconds: float) -> int:
    """Runs the targets in turns until the time is over."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _hung)
    counts = dict.fromkeys((target.__name__ for target in TARGETS), 0)
    for number in _rounds(seconds):
        target = TARGETS[number % len(TARGETS)]
        _round(target, number, counts)
    sys.stdout.write(", ".join(f"{name.removeprefix('fuzz_')} {count:,}" for name, count in counts.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
