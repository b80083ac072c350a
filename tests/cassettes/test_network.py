"""While a cassette replays, whatever vcrpy does not intercept is stopped before it leaves the machine."""

import asyncio
import contextlib
import importlib
import importlib.util
import re
import socket
import sys
import threading

import pytest
from provider_server import HOST, Refused, refuse

from pytest_llm_usage.cassettes import storage
from pytest_llm_usage.cassettes.interaction import Interaction, Request, Response
from pytest_llm_usage.cassettes.network import HostPatterns, NetworkGuard
from pytest_llm_usage.errors import UpstreamMovedError
from pytest_llm_usage.wire.loopback import is_loopback

INTERCEPTED = "httpx, httpx2, requests, urllib3, urllib, aiohttp, boto3, httplib2 and tornado"


@pytest.fixture
def guard():
    with NetworkGuard(HostPatterns(["allowed.test", "*.wild.test", "port.test:1"]), refuse, "tests/c.yaml") as guard:
        yield guard


def connect(host, port):
    socket.create_connection((host, port), timeout=1).close()


def test_the_message(guard):
    with pytest.raises(Refused) as refused:
        connect("wss.provider.test", 443)
    assert str(refused.value).splitlines() == [
        "Not replayed: a connection to wss.provider.test:443 made by test_network bypasses the cassette tests/c.yaml",
        f"Only {INTERCEPTED} are recorded and replayed; this would have gone live.",
        "To allow it:  llm_usage_ignore_hosts = wss.provider.test  in pytest's configuration",
    ]


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("2001:db8::1", 443, 0, 0)])
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_addresses_are_refused(guard, address, method):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(Refused, match=r"192\.0\.2\.1:443|2001:db8::1:443"):
        getattr(client, method)(address)


def test_loopback_and_unix_sockets_are_free(guard, provider, tmp_path):
    for host in ("127.0.0.1", "localhost"):
        connect(host, provider.port)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_hosts_that_may_be_reached(guard, provider):
    connect("allowed.test", provider.port)
    connect("deep.wild.test", provider.port)
    with pytest.raises(ConnectionRefusedError):
        connect("port.test", 1)
    with pytest.raises(Refused):
        connect("port.test", provider.port)
    guard.let_through("later.test")
    connect("later.test", provider.port)


def test_the_machine_s_own_name(guard):
    assert socket.getaddrinfo(socket.gethostname(), 80)


def test_asyncio(guard, provider):
    async def open_and_close(host):
        _, writer = await asyncio.open_connection(host, provider.port)
        writer.close()
        await writer.wait_closed()

    asyncio.run(open_and_close("127.0.0.1"))
    with pytest.raises(Refused, match=r"a connection to wss.provider.test:"):
        asyncio.run(open_and_close("wss.provider.test"))
    with pytest.raises(Refused, match=r"a connection to 192.0.2.1:.* made by test_network"):
        asyncio.run(open_and_close("192.0.2.1"))


def test_websockets(guard):
    from websockets.sync.client import connect as connect_websocket

    with pytest.raises(Refused, match="made by websockets"):
        connect_websocket("wss://api.openai.com/v1/realtime")


def test_grpc(guard):
    grpc = pytest.importorskip("grpc")
    from grpc import aio

    with grpc.insecure_channel("api.provider.test:443") as channel:
        for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            request = b"" if kind.startswith("unary") else iter([b""])
            with pytest.raises(Refused, match=r"a connection to api\.provider.test:443 made by grpc"):
                getattr(channel, kind)("/service/method")(request, timeout=1)
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/service/method")(b"", timeout=1)

    async def call():
        async with aio.insecure_channel("dns:///api.provider.test:443") as channel:
            await channel.unary_unary("/service/method")(b"")

    with pytest.raises(Refused, match=r"a connection to api\.provider.test:443 made by grpc"):
        asyncio.run(call())


def test_grpc_that_was_imported_anew(monkeypatch):
    """A test of a pytest plugin runs pytest in its own process, which then has other modules than before."""
    grpc = pytest.importorskip("grpc")
    importlib.import_module("grpc._channel")
    with NetworkGuard(HostPatterns([]), refuse, "tests/c.yaml"):
        pass  # the module as it was is known
    spec = importlib.util.find_spec("grpc._channel")
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    monkeypatch.setitem(sys.modules, "grpc._channel", anew)
    monkeypatch.setattr(grpc, "_channel", anew)

    with (
        NetworkGuard(HostPatterns([]), refuse, "tests/c.yaml"),
        grpc.insecure_channel("api.provider.test:443") as channel,
        pytest.raises(Refused, match=r"a connection to api\.provider.test:443 made by grpc"),
    ):
        channel.unary_unary("/service/method")(b"", timeout=1)


def test_threads(guard):
    refused = []

    def run():
        try:
            connect("wss.provider.test", 443)
        except Refused as error:
            refused.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert refused


def test_without_a_guard_nothing_is_wrapped(provider):
    before = (socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex)
    with NetworkGuard(HostPatterns([]), refuse, "a"):
        assert socket.getaddrinfo is not before[0]
        with NetworkGuard(HostPatterns([]), None, "b"):
            connect("anything.test", provider.port)
        with pytest.raises(Refused):
            connect("anything.test", provider.port)
    assert before == (socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex)
    connect("anything.test", provider.port)


def test_whoever_wraps_sockets_meanwhile_keeps_their_wrapper(provider, monkeypatch):
    calls = []
    with NetworkGuard(HostPatterns([]), refuse, "a"):
        ours = socket.socket.connect

        def theirs(self, address):
            calls.append(address)
            return ours(self, address)

        monkeypatch.setattr(socket.socket, "connect", theirs)
    assert socket.socket.connect is theirs
    connect("anything.test", provider.port)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_what_is_loopback(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("pattern", "host", "port", "matches"),
    [
        ("api.test", "api.test", 443, True),
        ("API.test", "api.TEST.", 443, True),
        ("api.test:443", "api.test", 443, True),
        ("api.test:443", "api.test", 80, False),
        ("*.test", "api.test", 443, True),
        ("*.test", "test", 443, False),
        ("[::1]:80", "::1", 80, True),
        ("::1", "::1", 80, True),
        ("api.test", "other.test", 443, False),
        ("10.*", "10.1.2.3", 5432, True),
    ],
)
def test_patterns_of_hosts(pattern, host, port, matches):
    assert HostPatterns([pattern]).match(host, port) is matches


# In a cassette ----------------------------------------------------------------------------------------------------------


def test_a_replaying_cassette_guards_and_a_recording_one_does_not(provider, cassette, path):
    for mode in ("once", "all", "rewrite", "new_episodes", "live"):
        with cassette(mode):
            connect(HOST, provider.port)
    for mode in ("none", "once"):
        storage.save(path, [Interaction(Request("GET", "http://x.test/"), Response(200))])
        with cassette(mode) as opened, pytest.raises(Refused):
            connect(HOST, provider.port)
        assert opened.failure.startswith(f"Not replayed: a connection to {HOST}:{provider.port} made by test_network")
    with cassette(ignore_hosts=(HOST,)):
        connect(HOST, provider.port)


# Every way out of Python's own --------------------------------------------------------------------------------------------


def _udp(method, *args):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        getattr(sock, method)(*args)


def _raw(method, *args, kind=socket.SOCK_STREAM):
    import _socket

    sock = _socket.socket(socket.AF_INET, kind)
    try:
        getattr(sock, method)(*args)
    finally:
        sock.close()


async def _datagrams(address):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=address
    )
    transport.close()


async def _unconnected_datagrams(address):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    try:
        transport.sendto(b"x", address)
    finally:
        transport.close()


#: No test network of RFC 5737 answers, and no name under `.invalid` exists.
AWAY, NAME = ("192.0.2.1", 9), "api.provider.invalid"
WAYS_OUT = {
    "TCP connect": lambda: socket.create_connection(AWAY, timeout=1),
    "TCP connect_ex": lambda: _raw_python("connect_ex", AWAY),
    "UDP connect": lambda: _udp("connect", AWAY),
    "UDP sendto": lambda: _udp("sendto", b"x", AWAY),
    "UDP sendto with flags": lambda: _udp("sendto", b"x", 0, AWAY),
    "UDP sendmsg": lambda: _udp("sendmsg", [b"x"], [], 0, AWAY),
    "asyncio connection": lambda: asyncio.run(asyncio.open_connection(*AWAY)),
    "asyncio datagrams": lambda: asyncio.run(_datagrams(AWAY)),
    "asyncio datagrams, unconnected": lambda: asyncio.run(_unconnected_datagrams(AWAY)),
    "getaddrinfo": lambda: socket.getaddrinfo(NAME, 443),
    "gethostbyname": lambda: socket.gethostbyname(NAME),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex(NAME),
    "gethostbyaddr": lambda: socket.gethostbyaddr(AWAY[0]),
    "getnameinfo": lambda: socket.getnameinfo(AWAY, 0),
    "_socket connect": lambda: _raw("connect", AWAY),
    "_socket sendto": lambda: _raw("sendto", b"x", AWAY, kind=socket.SOCK_DGRAM),
    "_socket getaddrinfo": lambda: __import__("_socket").getaddrinfo(NAME, 443),
    "_socket gethostbyname": lambda: __import__("_socket").gethostbyname(NAME),
}


def _raw_python(method, *args):
    with socket.socket() as sock:
        sock.settimeout(1)
        getattr(sock, method)(*args)


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_out_of_python_s_own_is_open(way):
    refused = []

    def note(message):
        refused.append(message)
        raise Refused(message)

    # asyncio keeps what a datagram's transport raises to itself.
    with NetworkGuard(HostPatterns([]), note, "tests/c.yaml"), contextlib.suppress(Refused):
        WAYS_OUT[way]()
    assert refused[0].startswith(
        ("Not replayed: a connection to 192.0.2.1", "Not replayed: a connection to api.provider.invalid")
    )


def test_the_same_ways_are_open_to_loopback(guard):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        here = receiver.getsockname()
        _udp("sendto", b"1", here)
        _udp("sendto", b"2", 0, here)
        _udp("sendmsg", [b"3"], [], 0, here)
        _raw("sendto", b"4", here, kind=socket.SOCK_DGRAM)
        asyncio.run(_unconnected_datagrams(here))
        assert [receiver.recv(1) for _ in range(5)] == [b"1", b"2", b"3", b"4", b"x"]
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert socket.getnameinfo(("192.0.2.1", 9), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == ("192.0.2.1", "9")


def test_everything_is_put_back():
    import _socket

    names = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "socket")
    before = [getattr(module, name) for module in (socket, _socket) for name in names]
    methods = [vars(socket.socket).get(name) for name in ("connect", "connect_ex", "sendto", "sendmsg")]
    with NetworkGuard(HostPatterns([]), refuse, "a"):
        pass
    assert [getattr(module, name) for module in (socket, _socket) for name in names] == before
    assert [vars(socket.socket).get(name) for name in ("connect", "connect_ex", "sendto", "sendmsg")] == methods


@pytest.mark.parametrize("name", ["grpc._channel", "grpc.aio._channel"])
def test_a_release_of_grpc_that_moved_its_calls_is_named(monkeypatch, name):
    """Its calls would pass a replaying cassette unseen."""
    pytest.importorskip("grpc")
    module = importlib.import_module(name)
    kind = "UnaryStreamMultiCallable" if "aio" in name else "_UnaryStreamMultiCallable"
    monkeypatch.delattr(module, kind)
    gone = rf"grpcio .*: {re.escape(name)}\.{kind}\.__call__ is gone.*see calls that gRPC makes"
    with pytest.raises(UpstreamMovedError, match=gone), NetworkGuard(HostPatterns([]), refuse, "tests/c.yaml"):
        pytest.fail("it began to guard")
