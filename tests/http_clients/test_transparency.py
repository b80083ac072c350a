"""Observation changes nothing that the code under test can see, whatever the library, the answer and its reader.

Each example is played twice against a server on loopback, without and with observation, and everything that the code
sees is compared: types, heads, pieces, errors with their causes and frames, connections.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from drivers import DRIVERS, QUESTION, Plan, seen_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import KeptSink, Script, answer, encoded, events, observing

SETTINGS = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

STATUSES = st.sampled_from(["200 OK", "200 OK", "200 OK", "201 Created", "404 Not Found", "429 Slow", "500 No"])
LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\r", b"x")), min_size=1, max_size=4).map(
    b"\n".join
)
PIECES = st.one_of(
    st.lists(st.binary(min_size=1, max_size=200), max_size=6),
    st.lists(LINES.filter(bool), max_size=6),
    st.integers(0, 4).map(lambda n: events(pieces=n)),
    st.just([b"x" * 70_000, b"y"]),
)


@st.composite
def scripts(draw) -> Script:
    """An answer as a server may send it: sound, cut off, or no answer at all."""
    pieces = draw(PIECES)
    encoding = draw(st.sampled_from(["identity", "identity", "gzip", "deflate", "lie"]))
    if encoding in ("gzip", "deflate"):
        body = encoded(b"".join(pieces), encoding)
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if start != end]
    headers = [draw(st.sampled_from(["content-type: application/json", "content-type: text/event-stream", "x: y"]))]
    if encoding != "identity":
        headers.append(f"content-encoding: {encoding.replace('lie', 'gzip')}")
    framing = draw(st.sampled_from(["chunked", "length", "close"]))
    script = answer(pieces, status=draw(STATUSES), headers=tuple(headers), framing=framing)
    fault = draw(st.sampled_from(["none", "none", "none", "cut", "no-head", "bad-chunk", "short"]))
    if fault == "cut" and len(script.sends) > 1:
        return Script(script.sends[: draw(st.integers(1, len(script.sends) - 1))], end="close")
    if fault == "no-head":
        return Script([script.sends[0][:9]], end="close")
    if fault == "bad-chunk" and framing == "chunked":
        return Script([*script.sends[:-1], b"zz\r\n"], end="close")
    if fault == "short" and framing == "length":
        return Script([script.sends[0].replace(b"content-length: ", b"content-length: 1"), *pieces], end="close")
    return script


def twice(server, driver, script, plan):
    """What the code sees without and with observation."""

    def once(sink=None):
        server.scripts = [replace(script)]
        before = server.n_connections
        server.is_done.clear()
        seen = seen_of(driver.run, server.url + driver.path, QUESTION, replace(plan, seen=[]))
        server.is_done.set()
        server.drop_connections()
        return [*seen, server.n_connections - before]

    plain = once()
    sink = KeptSink()
    with observing(sink):
        observed = once()
    assert sink.failures == []
    assert len(sink.sent) == 1
    return plain, observed, sink


def joined(seen):
    """Pieces as one: how they are cut depends on the moment at which each arrives."""
    text, others = b"", []
    for item in seen:
        piece = item[0] if isinstance(item, tuple) and isinstance(item[0], bytes) else item
        if isinstance(piece, bytes | str):
            text += piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogatepass")
        else:
            others.append(item)
    return [text, *others]


class TestTransparency:
    @pytest.mark.parametrize("name", DRIVERS)
    @SETTINGS
    @given(data=st.data(), script=scripts())
    def test_any_answer(self, server, name, data, script):
        driver = DRIVERS[name]
        plan = Plan(data.draw(st.sampled_from(driver.modes)), data.draw(st.sampled_from([1, 7, 64, 8192])))
        # How much has arrived when a fault is met is a matter of time, and some libraries show it (aiohttp drops what was
        # not read, urllib3 counts what was). What observation changes, it changes every time.
        for _ in range(20):
            plain, observed, _ = twice(server, driver, script, plan)
            if not plan.mode.endswith(("sized", "lines")):
                plain, observed = joined(plain), joined(observed)
            if observed == plain:
                break
        assert observed == plain

    @pytest.mark.parametrize("name", [name for name, driver in DRIVERS.items() if driver.eager])
    @SETTINGS
    @given(
        data=st.data(),
        pieces=st.lists(st.binary(min_size=1, max_size=300), min_size=2, max_size=6),
        framing=st.sampled_from(["chunked", "length", "close"]),
        end=st.sampled_from(["keep", "close", "reset"]),
    )
    def test_each_piece_at_its_moment(self, server, name, data, pieces, framing, end):
        """The server sends a piece only when the code has the one before: none is held back, none is split or joined."""
        driver = DRIVERS[name]
        mode = data.draw(st.sampled_from(driver.eager))
        if name in ("requests", "urllib3") and mode != "read1":
            framing = "chunked"  # of any other, they wait for as many bytes as they were asked for
        stop_by = ["close", "raise", *(["cancel"] if name.endswith("async") or name == "aiohttp" else [])]
        plan = Plan(
            mode,
            stop_after=data.draw(st.none() | st.integers(1, len(pieces) - 1)),
            stop_by=data.draw(st.sampled_from(stop_by)),
        )
        script, plan, pieces = in_step(server, pieces, framing, end, plan)
        plain, observed, sink = twice(server, driver, script, plan)
        assert observed == plain
        assert [piece for piece in observed if isinstance(piece, bytes)] == pieces[: plan.stop_after]
        (exchange,) = sink.exchanges
        assert exchange.response_body.startswith(b"".join(pieces[: plan.stop_after]))


def in_step(server, pieces, framing, end, plan):
    """A script and a plan that wait for each other at every piece, and the pieces that are sent."""
    changed = threading.Condition()
    received = bytearray()
    n_received = 0

    def note(piece):
        nonlocal n_received
        with changed:
            received.extend(piece)
            n_received += 1
            changed.notify_all()

    def wait(n_sent):
        def step():
            expected = b"".join(pieces[:n_sent])
            with changed:
                assert changed.wait_for(lambda: len(received) >= len(expected), timeout=20)
                has_stopped = plan.stop_after is not None and n_received >= plan.stop_after
            if has_stopped:
                # Nothing more is sent to who wants no more; whether it would come is a matter of time.
                server.is_done.wait(20)
                raise OSError

        return step

    def start():
        nonlocal n_received
        with changed:
            received.clear()
            n_received = 0

    script = answer(pieces, framing=framing)
    head, *sends = script.sends
    if end == "reset" and framing != "close":
        pieces = pieces[:-1]
        sends = sends[: len(pieces)]
    steps = [start, head]
    for n_sent, send in enumerate(sends, 1):
        steps.append(send)
        if n_sent <= len(pieces):
            steps.append(wait(n_sent))
    return Script(steps, end="close" if framing == "close" else end), replace(plan, received=note), pieces
